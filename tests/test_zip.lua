local zip = require "native.zip"
local fs = require "native.fs"

local entries = {
  { name = "b.txt", bytes = ("a photo of a hall, "):rep(50) }, { name = "a.jpg", bytes = "\xff\xd8 not really" },
  { name = "empty.txt", bytes = "" }, { name = "caf\u{e9}.txt", bytes = "\u{e9}" },
}

local function made(list, options)
  local path = tmp "x.zip"
  check.ok(zip.write(path, list or entries, options))
  return path
end

test("what is written comes back, in the given order", function()
  local path = made()
  check.equal(zip.list(path), {
    { name = "b.txt", size = 950 }, { name = "a.jpg", size = 13 }, { name = "empty.txt", size = 0 }, { name = "caf\u{e9}.txt", size = 2 },
  })
  for _, entry in ipairs(entries) do check.equal(zip.read(path, entry.name), entry.bytes) end
end)

test("made twice it is byte-identical, in any time zone, from bytes or from files", function()
  local first = fs.read(made())
  check.equal(fs.read(made()) == first, true)
  local folder = tmp "files"
  local list = {}
  for i, entry in ipairs(entries) do
    check.ok(fs.write(folder .. "/" .. i, entry.bytes))
    list[i] = { name = entry.name, path = folder .. "/" .. i }
  end
  check.equal(fs.read(made(list)) == first, true)
end)

test("text is deflated, pictures are stored as they are", function()
  local bytes = fs.read(made())
  check.contains(bytes, "\xff\xd8 not really")
  check.ok(not bytes:find("a photo of a hall, a photo of a hall", 1, true))
  check.ok(#bytes < 950)
end)

test("python reads it and agrees on names, bytes and time", function()
  local path = made()
  local out = tmp "out"
  if not os.execute("command -v python3 >/dev/null 2>&1") then skip "needs python3" end
  check.ok(os.execute(([[python3 -c "
import zipfile,sys
z = zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None
print([(i.filename, i.file_size, i.date_time, i.compress_type) for i in z.infolist()])" %s > %s]]):format(path, out)))
  check.equal(fs.read(out), "[('b.txt', 950, (1980, 1, 1, 12, 0, 0), 8), ('a.jpg', 13, (1980, 1, 1, 12, 0, 0), 0), "
    .. "('empty.txt', 0, (1980, 1, 1, 12, 0, 0), 8), ('caf\u{e9}.txt', 2, (1980, 1, 1, 12, 0, 0), 8)]\n")
end)

test("names that trainers or file systems would lose are refused before anything is written", function()
  local cases = {
    { "sub/a.txt", "has a folder part" }, { "../a.txt", "has a folder part" }, { "/a.txt", "absolute" }, { "", "is empty" },
    { "a\\b.txt", "backslash" }, { "c:x", "colon" }, { "a\nb", "control" }, { "\xff.txt", "not UTF-8" }, { "..", "\"..\"" },
    { ("x"):rep(1001), "1000 bytes" },
  }
  for _, case in ipairs(cases) do
    local path = tmp "bad.zip"
    check.equal(check.refused(case[2], zip.write(path, { { name = case[1], bytes = "x" } })), "ARG")
    check.equal(fs.stat(path), nil)
  end
  check.refused("stands twice", zip.write(tmp "bad.zip", { { name = "a", bytes = "" }, { name = "a", bytes = "" } }))
  check.refused("only in case", zip.write(tmp "bad.zip", { { name = "a.TXT", bytes = "" }, { name = "A.txt", bytes = "" } }))
  check.refused("at least one", zip.write(tmp "bad.zip", {}))
  check.refused("\"..\"", zip.write(tmp "bad.zip", { { name = "a/../../b", bytes = "" } }, { fold = true }))
  check.refused("folder; only files", zip.write(tmp "bad.zip", { { name = "a/", bytes = "" } }, { fold = true }))
end)

test("fold allows folder parts", function()
  local path = made({ { name = "10_cat/a.txt", bytes = "x" } }, { fold = true })
  check.equal(zip.read(path, "10_cat/a.txt"), "x")
end)

test("a missing file among the entries is named, and the old archive stays", function()
  local path = made()
  local before = fs.read(path)
  check.equal(check.refused("nowhere.jpg", zip.write(path, { { name = "a", bytes = "x" }, { name = "b", path = tmp "nowhere.jpg" } })), "NOTFOUND")
  check.equal(fs.read(path) == before, true)
end)

test("misuse raises with the entry's number", function()
  check.fails("entry 1: a table expected", zip.write, tmp(), { 5 })
  check.fails("entry 2: 'name' must be a string", zip.write, tmp(), { { name = "a", bytes = "" }, { bytes = "" } })
  check.fails("'bytes' must be a string", zip.write, tmp(), { { name = "a" } })
  check.fails("either 'bytes' or 'path'", zip.write, tmp(), { { name = "a", bytes = "", path = "x" } })
end)

test("an archive cut at any byte is refused or read right, never wrong", function()
  local path = made()
  local bytes = fs.read(path)
  local cut = tmp "cut.zip"
  for size = 0, #bytes - 1 do
    check.ok(fs.write(cut, bytes:sub(1, size)))
    local list, message, code = zip.list(cut)
    if list then error("a cut archive of " .. size .. " bytes was listed") end
    check.refused(cut, list, message, code)
  end
end)

test("a flipped bit is refused, or changes nothing but the time and attributes", function()
  local bytes = fs.read(made())
  local bad = tmp "bad.zip"
  local refused = 0
  for at = 1, #bytes do
    local flipped = bytes:sub(1, at - 1) .. string.char(bytes:byte(at) ~ (1 << (at % 8))) .. bytes:sub(at + 1)
    check.ok(fs.write(bad, flipped))
    local list = zip.list(bad)
    for i, entry in ipairs(list or {}) do
      local text, message = zip.read(bad, entry.name, 4096)
      if not text then
        refused = refused + 1
        check.contains(message, bad)
      elseif entries[i] and entry.name == entries[i].name and text ~= entries[i].bytes then
        error("byte " .. at .. " flipped: " .. entry.name .. " was read wrongly without a word")
      end
    end
  end
  check.ok(refused > 20)
end)

-- Built by hand, because no writer makes such archives.
local function lying(name, claimed, times)
  local crc, data = 0xd87f7e0c, "test"
  local body, central, count = "", "", times or 1
  for _ = 1, count do
    local offset = #body
    body = body .. string.pack("<I4I2I2I2I2I2I4I4I4I2I2", 0x04034b50, 20, 0, 0, 0, 0x21, crc, 4, claimed, #name, 0) .. name .. data
    central = central .. string.pack("<I4I2I2I2I2I2I2I4I4I4I2I2I2I2I2I4I4", 0x02014b50, 20, 20, 0, 0, 0, 0x21, crc, 4, claimed, #name, 0, 0, 0, 0, 0, offset) .. name
  end
  local path = tmp "lying.zip"
  check.ok(fs.write(path, body .. central .. string.pack("<I4I2I2I2I2I4I4I2", 0x06054b50, 0, 0, count, count, #central, #body, 0)))
  return path
end

test("an honest archive made by hand is read", function() check.equal(zip.read(lying("a.txt", 4), "a.txt"), "test") end)

test("names that lead out of a folder are refused when reading", function()
  for _, name in ipairs { "../../etc/passwd", "/etc/passwd", "a/../../b", "..\\x" } do
    local code = check.refused("the entry name", zip.list(lying(name, 4)))
    check.equal(code, "FORMAT")
  end
  check.refused("stands twice", zip.list(lying("a.txt", 4, 2)))
end)

test("a size that is a lie is refused", function()
  check.refused("", zip.read(lying("a.txt", 3), "a.txt"))
  check.refused("", zip.read(lying("a.txt", 5), "a.txt"))
  check.equal(check.refused("at most", zip.read(lying("a.txt", 0xfffffffe), "a.txt")), "LIMIT")
  check.equal(check.refused("at most 3", zip.read(lying("a.txt", 4), "a.txt", 3)), "LIMIT")
end)

test("no file, no zip, no entry: each has its code", function()
  check.equal(check.refused("nowhere.zip", zip.list(tmp "nowhere.zip")), "NOTFOUND")
  local path = tmp "plain.txt"
  fs.write(path, ("hello"):rep(100))
  check.equal(check.refused("is not a zip archive", zip.list(path)), "FORMAT")
  check.equal(check.refused('no entry "x"', zip.read(made(), "x")), "NOTFOUND")
end)
