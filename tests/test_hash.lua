local hash = require "native.hash"

test("sha256 of abc is the published one", function()
  check.equal(hash.sha256 "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
end)

test("the same seed gives the same numbers, another seed or stream others", function()
  local function draw(seed, stream)
    local r, list = hash.random(seed, stream), {}
    for i = 1, 20 do list[i] = r:below(1000000) end
    return list
  end
  check.equal(draw(7), draw(7))
  check.equal(draw(7), draw(7, 0))
  check.ok(draw(7)[1] ~= draw(8)[1] or draw(7)[2] ~= draw(8)[2])
  check.ok(draw(7, 1)[1] ~= draw(7, 2)[1] or draw(7, 1)[2] ~= draw(7, 2)[2])
end)

test("below stays below, uniform in [0, 1), both reach everywhere", function()
  local r, seen, sum = hash.random(1), {}, 0
  for _ = 1, 1000 do
    local n, u = r:below(6), r:uniform()
    check.ok(n >= 0 and n < 6 and u >= 0 and u < 1)
    seen[n] = true
    sum = sum + u
  end
  for n = 0, 5 do check.ok(seen[n]) end
  check.near(sum / 1000, 0.5, 0.05)
end)

test("shuffle returns the same list with the same members in another order", function()
  local list = {}
  for i = 1, 50 do list[i] = i end
  local shuffled = hash.random(3):shuffle(list)
  check.ok(rawequal(shuffled, list))
  local in_place = 0
  for i = 1, 50 do if list[i] == i then in_place = in_place + 1 end end
  check.ok(in_place < 10)
  table.sort(list)
  for i = 1, 50 do check.equal(list[i], i) end
  check.equal(hash.random(3):shuffle {}, {})
end)

test("normal numbers have mean 0 and deviation 1, and are the same every time", function()
  local bytes = hash.random(5, 7):normal(10000)
  check.equal(#bytes, 40000)
  local sum, squares = 0, 0
  for i = 1, 40000, 4 do
    local x = string.unpack("<f", bytes, i)
    sum, squares = sum + x, squares + x * x
  end
  check.near(sum / 10000, 0, 0.04)
  check.near(squares / 10000, 1, 0.06)
  check.ok(hash.random(5, 7):normal(10000) == bytes)
  check.ok(hash.random(5, 8):normal(10000) ~= bytes)
  check.equal(hash.random(1):normal(0), "")
end)

test("a file's hash is that of its bytes, and a missing file is refused", function()
  local fs = require "native.fs"
  local path = tmp "x"
  check.ok(fs.write(path, "abc"))
  check.equal(hash.file(path), hash.sha256 "abc")
  check.equal(check.refused("x.none", hash.file(path .. ".none")), "NOTFOUND")
end)

test("a checkpoint of gigabytes is hashed without being in memory", function()
  local fs = require "native.fs"
  local function most() return tonumber((fs.read "/proc/self/status" or ""):match "VmHWM:%s+(%d+) kB") end
  local before = most()
  if not before then skip "needs /proc" end
  local path = tmp "sparse"
  assert(os.execute(("truncate -s 400M '%s'"):format(path)))
  check.ok(hash.file(path))
  check.ok(most() - before < 100 * 1024, ("%d kB more"):format(most() - before))
end)

test("wrong arguments raise", function()
  check.fails("at least 1", function() hash.random(1):below(0) end)
  check.fails("number expected", hash.random, "x")
  check.fails("string expected", hash.sha256, nil)
end)

test("a file's hash is its bytes', also in pieces and with a bar", function()
  local fs = require "native.fs"
  local path = tmp "large"
  for _, size in ipairs { 0, 1, (1 << 24) - 1, 1 << 24, (1 << 24) + 1, 40000000 } do
    local bytes = ("calotype"):rep(size // 8) .. ("x"):rep(size % 8)
    assert(fs.write(path, bytes))
    check.equal(hash.file(path), hash.sha256(bytes), size)
    check.equal(hash.file(path, "hashing"), hash.sha256(bytes), size)
  end
  check.refused("none", hash.file(path .. "none", "hashing"))
end)

test("base64 is that of RFC 4648, for any bytes", function()
  for bytes, text in pairs { [""] = "", f = "Zg==", fo = "Zm8=", foo = "Zm9v", ["\0\255\254"] = "AP/+" } do check.equal(hash.base64(bytes), text) end
  check.equal(#hash.base64(("x"):rep(100001)), 133336)
end)
