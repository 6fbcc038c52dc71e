local dataset = require "native.dataset"
local hash = require "native.hash"
local fs = require "native.fs"

-- ---- buckets ----

local function sizes(list)
  local out = {}
  for i, b in ipairs(list) do out[i] = b[1] .. "x" .. b[2] end
  return table.concat(out, " ")
end

local GOLDEN_512 = "256x832 256x896 256x960 256x1024 320x704 320x768 384x640 448x576 512x512 576x448 640x384 704x320 768x320 "
  .. "832x256 896x256 960x256 1024x256"

test("buckets for 512 are kohya's 17", function()
  check.equal(sizes(dataset.buckets { resolution = 512, min = 256, max = 1024, step = 64 }), GOLDEN_512)
  check.equal(sizes(dataset.buckets {}), GOLDEN_512)
end)

-- The list is given by its half with width <= height; the other half are the transposes.
local function with_transposes(half)
  local list, seen = {}, {}
  for w, h in half:gmatch "(%d+)x(%d+)" do
    for _, pair in ipairs { { tonumber(w), tonumber(h) }, { tonumber(h), tonumber(w) } } do
      local name = pair[1] .. "x" .. pair[2]
      if not seen[name] then seen[name], list[#list + 1] = true, pair end
    end
  end
  table.sort(list, function(a, b) return a[1] < b[1] or a[1] == b[1] and a[2] < b[2] end)
  return list
end

test("buckets for 768 and 1024 are kohya's 19 and 41", function()
  local expected = with_transposes "256x1024 320x1024 384x1024 448x1024 512x1024 576x960 576x1024 640x896 704x832 768x768"
  check.equal(#expected, 19)
  check.equal(sizes(dataset.buckets { resolution = 768, min = 256, max = 1024 }), sizes(expected))
  expected = with_transposes("256x2048 320x2048 384x2048 448x2048 512x1856 512x1920 512x1984 512x2048 576x1664 576x1728 576x1792 "
    .. "640x1536 640x1600 704x1408 704x1472 768x1280 768x1344 832x1216 896x1152 960x1088 1024x1024")
  check.equal(#expected, 41)
  check.equal(sizes(dataset.buckets { resolution = 1024, max = 2048 }), sizes(expected))
end)

test("rules that make no buckets are refused with their numbers", function()
  check.refused("min 300 and max 1024 must be multiples", dataset.buckets { min = 300 })
  check.refused("min 512, max 256", dataset.buckets { min = 512, max = 256 })
  check.refused("the resolution 32", dataset.buckets { resolution = 32 })
  check.refused("max 99968", dataset.buckets { max = 99968 })
  check.fails("is no size", dataset.buckets, { step = -1 })
  check.fails("whole number expected", dataset.buckets, { step = "x" })
end)

test("a picture goes into the bucket of the nearest shape and covers it", function()
  check.equal(dataset.bucket(1920, 1080, { resolution = 512 }),
    { width = 640, height = 384, scale_width = 683, scale_height = 384, crop_x = 21, crop_y = 0 })
  check.equal(dataset.bucket(512, 512, { resolution = 512 }),
    { width = 512, height = 512, scale_width = 512, scale_height = 512, crop_x = 0, crop_y = 0 })
  check.equal(dataset.bucket(100, 100, { resolution = 512 }).scale_width, 512)
  check.equal(dataset.bucket(10000, 10, { resolution = 512 }).width, 1024)
  local list = dataset.buckets {}
  local r = hash.random(1)
  for _ = 1, 3000 do
    local w, h = 1 + r:below(4000), 1 + r:below(4000)
    local p = dataset.bucket(w, h, list)
    check.equal(p, dataset.bucket(w, h, {}))
    check.ok(p.scale_width >= p.width and p.scale_height >= p.height)
    check.ok(p.scale_width == p.width or p.scale_height == p.height)
    check.equal(p.crop_x, (p.scale_width - p.width) // 2)
    check.equal(p.crop_y, (p.scale_height - p.height) // 2)
    for _, b in ipairs(list) do
      check.ok(math.abs(b[1] / b[2] - w / h) >= math.abs(p.width / p.height - w / h))
    end
  end
end)

test("a size that is a bucket stays as it is, whatever comes first among equal shapes", function()
  local list = { { 512, 512 }, { 768, 768 } }
  check.equal(dataset.bucket(768, 768, list).width, 768)
  check.equal(dataset.bucket(700, 700, list).width, 512)
end)

test("without enlarging a small picture keeps its pixels", function()
  local rule = { resolution = 512, upscale = false }
  check.equal(dataset.bucket(300, 200, rule), { width = 256, height = 192, scale_width = 300, scale_height = 200, crop_x = 22, crop_y = 4 })
  check.equal(dataset.bucket(512, 512, rule), { width = 512, height = 512, scale_width = 512, scale_height = 512, crop_x = 0, crop_y = 0 })
  check.refused("smaller than one step of 64", dataset.bucket(63, 500, rule))
  check.refused("smaller than one step of 64", dataset.bucket(100000, 10, rule))
end)

test("without enlarging a large picture shrinks to the area, one side on the step", function()
  local p = dataset.bucket(1920, 1080, { resolution = 512, upscale = false })
  check.equal(p, { width = 640, height = 384, scale_width = 683, scale_height = 384, crop_x = 21, crop_y = 0 })
  p = dataset.bucket(1500, 1000, { resolution = 512, upscale = false })
  check.equal(p, { width = 576, height = 384, scale_width = 576, scale_height = 384, crop_x = 0, crop_y = 0 })
  local r = hash.random(2)
  for _ = 1, 2000 do
    local w, h = 600 + r:below(4000), 600 + r:below(4000)
    p = dataset.bucket(w, h, { resolution = 512, upscale = false })
    check.ok(p.width % 64 == 0 and p.height % 64 == 0 and p.width <= p.scale_width and p.height <= p.scale_height)
    check.ok(p.width * p.height <= 600 * 600)
  end
end)

test("arguments that are no sizes raise", function()
  check.fails("is no size", dataset.bucket, 0, 5, {})
  check.fails("{width, height} expected", dataset.bucket, 5, 5, { { 512 } })
  check.fails("{width, height} expected", dataset.bucket, 5, 5, { 512 })
  check.refused("no size for a bucket", dataset.bucket(5, 5, { { 100000, 512 } }))
end)

-- ---- sidecars ----

local function beside(files)
  local folder = tmp "folder"
  for name, text in pairs(files) do check.ok(fs.write(folder .. "/" .. name, text)) end
  return folder .. "/cat.jpg"
end

test("the text beside a picture is found, .txt before .caption", function()
  local path = beside { ["cat.txt"] = "a cat\n", ["cat.caption"] = "another" }
  check.equal(dataset.sidecar(path), { text = "a cat", path = path:gsub("jpg$", "txt") })
  path = beside { ["cat.caption"] = "another", ["cat.jpg.txt"] = "no" }
  check.equal(dataset.sidecar(path), { text = "another", path = path:gsub("jpg$", "caption") })
end)

test("no sidecar is nil and nothing else", function() check.equal(select("#", dataset.sidecar(beside {})), 1) end)

test("byte order marks, line ends of other systems and newlines at the end go", function()
  check.equal(dataset.sidecar(beside { ["cat.txt"] = "\xef\xbb\xbfa cat\r\n" }).text, "a cat")
  check.equal(dataset.sidecar(beside { ["cat.txt"] = "one\r\ntwo\rthree\n\n\r\n" }).text, "one\ntwo\nthree")
  check.equal(dataset.sidecar(beside { ["cat.txt"] = "" }).text, "")
  check.equal(dataset.sidecar(beside { ["cat.txt"] = "\xef\xbb\xbf" }).text, "")
  check.equal(dataset.sidecar(beside { ["cat.txt"] = " caf\u{e9}, \u{4e16} " }).text, " caf\u{e9}, \u{4e16} ")
end)

test("what is not UTF-8 is refused with the byte, and no other file is taken instead", function()
  local path = beside { ["cat.txt"] = "caf\xe9", ["cat.caption"] = "good" }
  check.equal(check.refused("cat.txt: byte 4 (0xe9) is not UTF-8", dataset.sidecar(path)), "FORMAT")
  check.refused("byte 7 (0xff)", dataset.sidecar(beside { ["cat.txt"] = "\xef\xbb\xbfabc\xff" }))
  check.refused("byte 2 (0x00)", dataset.sidecar(beside { ["cat.txt"] = "a\0b" }))
  check.refused("is UTF-16", dataset.sidecar(beside { ["cat.txt"] = "\xff\xfea\0" }))
  check.refused("is UTF-16", dataset.sidecar(beside { ["cat.txt"] = "\xfe\xff\0a" }))
  check.equal(check.refused("larger than", dataset.sidecar(beside { ["cat.txt"] = ("x"):rep(1048577) })), "LIMIT")
end)

test("dots in folders and names do not confuse the stem", function()
  local folder = tmp "v1.0"
  fs.write(folder .. "/a.b.txt", "with dot")
  fs.write(folder .. "/none.txt", "no ending")
  fs.write(folder .. "/.hidden.txt", "hidden")
  check.equal(dataset.sidecar(folder .. "/a.b.jpg").text, "with dot")
  check.equal(dataset.sidecar(folder .. "/none").text, "no ending")
  check.equal(dataset.sidecar(folder .. "/.hidden").text, "hidden")
end)

-- ---- duplicates ----

local function hex(n) return ("%016x"):format(n) end

-- All pairs of `count` pictures, in order.
local function listed(found, count)
  local list = {}
  for i = 1, count do
    for j = i + 1, count do
      local distance, transform = found:pair(i, j)
      if distance then list[#list + 1] = { i = i, j = j, distance = distance, transform = transform } end
      check.equal({ found:pair(j, i) }, { distance, transform })
    end
  end
  check.equal(found:count(), #list)
  return list
end

test("hashes within the distance are pairs, and pairs link groups", function()
  local groups, pairs_found = dataset.duplicates({ hex(0), hex(0xff), hex(1), hex(3), hex(-1), hex(0xff) }, { distance = 1 })
  check.equal(groups, { { 1, 3, 4 }, { 2, 6 } })
  check.equal(listed(pairs_found, 6), {
    { i = 1, j = 3, distance = 1, transform = "same" }, { i = 2, j = 6, distance = 0, transform = "same" },
    { i = 3, j = 4, distance = 1, transform = "same" },
  })
  check.equal((dataset.duplicates({ hex(0), hex(1) }, { distance = 0 })), {})
  check.equal({ pairs_found:pair(0, 1), pairs_found:pair(-1, 3), pairs_found:pair(1, 7), pairs_found:pair(1, 1 << 40), (pairs_found:pair(1, 4)) }, {})
  local none, nothing = dataset.duplicates {}
  check.equal({ none, nothing:count(), (nothing:pair(1, 2)) }, { {}, 0 })
  check.equal((dataset.duplicates { hex(5) }), {})
end)

test("a turned picture is found by its variants, unless flips are off", function()
  local function item(seed, at, value)
    local r, list = hash.random(seed), {}
    for v = 1, 8 do list[v] = hex(r:below(math.maxinteger)) end
    if at then list[at] = value end
    return list
  end
  local a = item(1)
  local list = { a, item(2, 5, a[1]), item(3), item(4, 2, a[1]) }
  local groups, found = dataset.duplicates(list)
  check.equal(groups, { { 1, 2, 4 } })
  check.equal(listed(found, 4), { { i = 1, j = 2, distance = 0, transform = "flip" }, { i = 1, j = 4, distance = 0, transform = "rotate 90" } })
  check.equal((dataset.duplicates(list, { flips = false })), {})
end)

test("equal files are duplicates whatever their hashes say", function()
  local groups, found = dataset.duplicates({ { hex(0), sha256 = "a" }, { hex(-1), sha256 = "a" }, { hex(0xf0f0f0f0), sha256 = "b" } })
  check.equal(groups, { { 1, 2 } })
  check.equal(listed(found, 3), { { i = 1, j = 2, distance = 0, transform = "same" } })
end)

test("ten thousand equal pictures are one group, not fifty million pairs", function()
  local list = {}
  for i = 1, 10000 do list[i] = hex(7) end
  local groups, found = dataset.duplicates(list)
  check.equal({ #groups, #groups[1], found:count() }, { 1, 10000, 9999 })
end)

test("millions of pairs are not made tables", function()
  local r, list, of = hash.random(1), {}, {}
  for g = 0, 19 do of[g] = r:below(math.maxinteger) end
  for i = 0, 8999 do
    local n = i // 20 -- two bits of its group's hash, no two alike
    list[i + 1] = hex(of[i % 20] ~ (1 << n // 30 | 1 << 32 + n % 30))
  end
  collectgarbage()
  local before = collectgarbage "count"
  local groups, found = dataset.duplicates(list, { distance = 4 })
  check.equal({ #groups, found:count() }, { 20, 20 * 450 * 449 // 2 })
  check.equal({ found:pair(1, 21) }, { found:pair(21, 1) })
  check.ok(collectgarbage "count" - before < 4096, "kB of Lua's memory")
end)

test("hashes that are none raise with the picture's number", function()
  check.fails("picture 2: a hash is 16", dataset.duplicates, { hex(1), "xyz" })
  check.fails("picture 1: a hash is 16", dataset.duplicates, { 5 })
  check.fails("picture 1: 1 or 8 hashes", dataset.duplicates, { { hex(1), hex(2) } })
  check.fails("0 to 31 bits", dataset.duplicates, { hex(1) }, { distance = 40 })
end)

-- ---- scan ----

local image = require "native.image"
local store = require "native.store"

-- A folder with `count` different pictures, and a store beside it.
local function pictures(count)
  local folder, paths = tmp "pictures", {}
  for i = 1, count do
    local im = image.new(40 + i, 30, { 255 - 10 * i, 5 * i, 128 })
    im:circle(10 + i, 15, 6, { 255, 255, 255 })
    paths[i] = ("%s/p%02d.png"):format(folder, i)
    check.ok(im:save(paths[i]))
  end
  return paths, check.ok(store.open(tmp "store")), folder
end

local function work(counts) return { counts.files, counts.hashed, counts.measured } end

test("a scan measures every file, in order", function()
  local paths, s = pictures(3)
  local records, counts = dataset.scan(s, paths)
  check.equal(work(counts), { 3, 3, 3 })
  for i, r in ipairs(records) do
    check.equal({ r.path, r.width, r.height, r.format, r.orientation, r.error }, { paths[i], 40 + i, 30, "PNG", 1, nil })
    check.equal(r.sha256, hash.sha256(fs.read(paths[i])))
    check.equal(r.size, #fs.read(paths[i]))
    local m = image.load(paths[i]):measure()
    check.equal({ r.phash, r.phashes[1], #r.phashes }, { m.phash, m.phash, 8 })
    check.equal({ r.alpha, r.gray, r.brightness.p50, r.sharpness, r.entropy },
      { m.alpha, m.gray, m.brightness.p50, m.sharpness, m.entropy })
    local thumb = check.ok(image.decode(check.ok(s:blob(r.thumb)), "thumb"))
    check.equal({ thumb:width(), thumb:height(), thumb:channels() }, { 40 + i, 30, 3 })
  end
end)

test("a second scan computes nothing, one new picture costs one", function()
  local paths, s, folder = pictures(4)
  local first = dataset.scan(s, paths)
  local second, counts = dataset.scan(s, paths)
  check.equal(work(counts), { 4, 0, 0 })
  check.equal(second, first)
  paths[5] = folder .. "/new.png"
  image.new(9, 9):save(paths[5])
  check.equal(work(select(2, dataset.scan(s, paths))), { 5, 1, 1 })
  check.equal(work(select(2, dataset.scan(s, paths))), { 5, 0, 0 })
end)

test("files that a scan saw are known by path at once, but not one that changed or went", function()
  local paths, s, folder = pictures(4)
  local records = dataset.scan(s, paths)
  fs.write(paths[2], "changed")
  check.ok(os.remove(paths[3]))
  paths[5] = folder .. "/never.png"
  check.equal(s:seen_all(paths), { [paths[1]] = records[1].sha256, [paths[4]] = records[4].sha256 })
end)

test("a renamed file costs nothing, a copy only its hash, a changed one everything", function()
  local paths, s, folder = pictures(2)
  dataset.scan(s, paths)
  check.ok(os.rename(paths[1], folder .. "/renamed.png"))
  check.equal(work(select(2, dataset.scan(s, { folder .. "/renamed.png" }))), { 1, 0, 0 })
  fs.write(folder .. "/copy.png", fs.read(paths[2]))
  local records, counts = dataset.scan(s, { folder .. "/copy.png" })
  check.equal(work(counts), { 1, 1, 0 })
  check.equal(records[1].width, 42)
  image.new(7, 8):save(paths[2])
  records, counts = dataset.scan(s, { paths[2] })
  check.equal({ records[1].width, counts.measured }, { 7, 1 })
end)

test("a file rewritten in place at once, with the same size, is seen", function()
  local _, s, folder = pictures(0)
  local path = folder .. "/x.bin"
  for round = 1, 5 do
    local text = "round " .. round
    if round == 1 then fs.write(path, text) else
      local f = io.open(path, "r+")
      f:write(text)
      f:close()
    end
    check.equal(dataset.scan(s, { path })[1].sha256, hash.sha256(text))
  end
end)

test("equal files are measured once and all have the result", function()
  local paths, s, folder = pictures(1)
  local bad = folder .. "/bad1.png"
  fs.write(bad, "not a picture")
  fs.write(folder .. "/bad2.png", "not a picture")
  fs.write(folder .. "/twin.png", fs.read(paths[1]))
  local records, counts = dataset.scan(s, { paths[1], folder .. "/twin.png", bad, folder .. "/bad2.png", paths[1] })
  check.equal(work(counts), { 5, 5, 2 })
  check.equal(records[2].phash, records[1].phash)
  check.equal(records[5].sha256, records[1].sha256)
  check.contains(records[3].error, "bad1.png: ")
  check.contains(records[4].error, "bad2.png: ")
end)

test("a file that cannot be used has an error with its path and a code, and the others are measured", function()
  local paths, s, folder = pictures(1)
  local whole = fs.read(paths[1])
  fs.write(folder .. "/cut.png", whole:sub(1, #whole // 2))
  fs.write(folder .. "/empty.png", "")
  local list = { folder .. "/cut.png", folder .. "/empty.png", folder .. "/none.png", folder, paths[1] }
  local records = dataset.scan(s, list)
  check.equal({ records[1].code, records[2].code, records[3].code, records[4].code, records[5].code },
    { "FORMAT", "FORMAT", "NOTFOUND", "FORMAT", nil })
  for i = 1, 4 do
    check.equal(records[i].path, list[i])
    check.contains(records[i].error, list[i])
    check.equal(records[i].width, nil)
  end
  check.equal(records[3].sha256, nil)
  check.equal(records[5].height, 30)
  local again, counts = dataset.scan(s, list)
  check.equal(work(counts), { 5, 0, 0 })
  check.equal(again, records)
end)

test("a lost thumbnail is made again, one that a power cut emptied too", function()
  local paths, s = pictures(1)
  local thumb = dataset.scan(s, paths)[1].thumb
  local path = s:folder() .. "/blobs/" .. thumb:sub(1, 2) .. "/" .. thumb:sub(3)
  for _, spoil in ipairs { fs.remove, function() return fs.write(path, "") end } do
    check.ok(spoil(path))
    local records, counts = dataset.scan(s, paths)
    check.equal(work(counts), { 1, 0, 1 })
    check.ok(s:blob(records[1].thumb))
  end
end)

test("a large picture's thumbnail has a long side of 256", function()
  local _, s, folder = pictures(0)
  image.new(1000, 300, { 9, 9, 9, 100 }):save(folder .. "/wide.png")
  image.new(3, 2000):save(folder .. "/tall.png")
  local records = dataset.scan(s, { folder .. "/wide.png", folder .. "/tall.png" })
  local wide = image.decode(s:blob(records[1].thumb), "t")
  check.equal({ wide:width(), wide:height() }, { 256, 77 })
  local tall = image.decode(s:blob(records[2].thumb), "t")
  check.equal({ tall:width(), tall:height() }, { 1, 256 })
end)

test("misuse of scan raises", function()
  local _, s = pictures(0)
  check.equal(dataset.scan(s, {}), {})
  check.fails("path 2 is not a string", dataset.scan, s, { "a", 5 })
  check.fails("calotype.store expected", dataset.scan, {}, {})
  s:close()
  check.fails("the store is closed", dataset.scan, s, {})
end)
