local command = require "recipe.command"
local fs = require "native.fs"
local help = require "recipe.help"
local script = require "native.script"
local zip = require "native.zip"
local recipes = dofile "tests/recipes.lua"

local function ok(done)
  if done.exit ~= 0 then error(done.text, 2) end
  return done
end

local function place_with(count)
  local place = recipes.new(tmp "place")
  for i = 1, count do place.photo(("p%d.png"):format(i), { seed = i, width = 560 + 8 * i, height = 520 }) end
  return place
end

-- What a zip holds, by name.
local function unzip(path)
  local files, names = {}, {}
  for i, entry in ipairs(check.ok(zip.list(path))) do files[entry.name], names[i] = zip.read(path, entry.name), entry.name end
  return files, names
end

local FOUR_LINES = [[
local hall = images "@/photos"
  :reject  { side_below = 512 }
  :dedupe  { keep = "sharpest" }
  :caption { with = template { text = "a photo of {stem}, [trigger]" }, trigger = "zkr" }
hall:export { as = "replicate", to = "@/out/[trigger].zip" }
]]

test("four lines make a zip that replicate takes: flat, with a caption that has the trigger once for each picture", function()
  local place = place_with(3)
  place.photo("small.png", { seed = 9, width = 300, height = 400 })
  place.write("photos/p2.txt", "a zkr door, zkr\n")
  local done = ok(place.run(FOUR_LINES))
  local files, names = unzip(place.path "out/zkr.zip")
  check.equal(names, { "p1.png", "p1.txt", "p2.png", "p2.txt", "p3.png", "p3.txt" })
  check.equal(files["p1.txt"], "a photo of p1, zkr\n")
  check.equal(files["p2.txt"], "a zkr door\n")
  check.equal(files["p1.png"], place.read "photos/p1.png")
  check.contains(done.log, "3 kept, 1 rejected: 1 side")
  check.contains(done.log, "captions: 2 written, 1 by people")
  check.contains(done.log, "done: 1 output written")
end)

test("the second run computes nothing, writes nothing and says so", function()
  local place = place_with(3)
  ok(place.run(FOUR_LINES))
  local before = place.read "out/zkr.zip"
  local done = ok(place.run(FOUR_LINES))
  check.contains(done.log, "3 pictures, all known")
  check.contains(done.log, "captions: 3 known")
  check.contains(done.log, "out/zkr.zip unchanged")
  check.contains(done.log, "nothing to do: the output is unchanged")
  check.equal(place.read "out/zkr.zip", before)
end)

test("one picture added computes one", function()
  local place = place_with(3)
  ok(place.run(FOUR_LINES))
  place.photo("p4.png", { seed = 44, width = 600, height = 600 })
  local done = ok(place.run(FOUR_LINES))
  check.contains(done.log, "1 new, 3 known")
  check.contains(done.log, "captions: 1 written, 3 known")
  check.contains(done.log, "out/zkr.zip written")
end)

test("an output that was changed or removed is written again, byte for byte", function()
  local place = place_with(2)
  ok(place.run(FOUR_LINES))
  local before = place.read "out/zkr.zip"
  fs.remove(place.path "out/zkr.zip")
  check.contains(ok(place.run(FOUR_LINES)).log, "out/zkr.zip written")
  check.equal(place.read "out/zkr.zip", before)
  place.write("out/zkr.zip", "spoilt")
  ok(place.run(FOUR_LINES))
  check.equal(place.read "out/zkr.zip", before)
end)

test("the pictures that go in are never changed", function()
  local place = place_with(3)
  place.write("photos/p1.txt", "mine\r\n")
  local before = {}
  for _, entry in ipairs(fs.list(place.path "photos")) do before[entry.path] = fs.read(entry.path) end
  ok(place.run(FOUR_LINES .. 'hall:sheet { to = "@/out/s.png" }\nhall:report { to = "@/out/r.html" }\nhall:export { as = "kohya", to = "@/out/k" }'))
  for _, entry in ipairs(fs.list(place.path "photos")) do
    check.equal(before[entry.path], fs.read(entry.path), entry.path)
    before[entry.path] = nil
  end
  check.equal(before, {})
end)

test("a damaged picture is a reject with the decoder's reason, not a failure", function()
  local place = place_with(2)
  place.write("photos/broken.png", place.read("photos/p1.png"):sub(1, 400))
  place.write("photos/empty.jpg", "")
  local done = ok(place.run(FOUR_LINES .. 'hall:report { to = "@/out/r.html" }'))
  check.contains(done.log, "4 pictures: 2 new, 2 unreadable (first broken.png: broken PNG: 568 x 520")
  check.contains(place.read "out/r.html", "broken.png")
  check.contains(ok(place.run(FOUR_LINES)).log, "4 pictures: 2 known, 2 unreadable (first broken.png: ")
end)

test("the account's counts add up: copies, broken files, pictures with two reasons", function()
  local place = place_with(3)
  place.write("photos/copy.png", place.read "photos/p1.png")
  place.write("photos/empty.jpg", "")
  place.photo("small.png", { seed = 9, width = 300, height = 400 })
  place.photo("soft.png", { seed = 10, width = 700, height = 700, cells = 2 })
  place.photo("both.png", { seed = 11, width = 300, height = 300, cells = 2 })
  local done = ok(place.run [[images "@/photos" :reject { side_below = 512, sharpness_below = "lowest 30%" } :sheet { to = "@/out/sheet.png" }]])
  check.contains(done.log, "8 pictures: 6 new, 1 with known content, 1 unreadable (empty.jpg: ")
  local shown = check.ok(done.log:match "(%d kept, %d rejected: [^\n]+)")
  local kept, rejected, reasons = shown:match "(%d) kept, (%d) rejected: (.*)"
  local sum = 0
  for count in reasons:gmatch "%d" do sum = sum + tonumber(count) end
  check.equal({ sum, tonumber(kept) + sum }, { tonumber(rejected), 7 }, shown)
  check.contains(shown, "1 side, 1 sharpness, 1 side and sharpness")
end)

test("files that are no pictures are told by their endings, with what to do about them", function()
  local place = place_with(2)
  for _, name in ipairs { "a.heic", "b.HEIC", "c.mov", "README" } do place.write("photos/" .. name, "x") end
  place.write("photos/p1.txt", "words")
  check.contains(ok(place.run(FOUR_LINES)).log,
    "2 pictures, all new; 1 caption beside them; 4 other files left alone: 2 .heic, 1 without an ending, 1 .mov (HEIC is not read: convert to JPEG)")
  place.write("phone/a.heic", "x")
  check.contains(place.run((FOUR_LINES:gsub("photos", "phone"))).text, "it holds 1 file that no picture decoder reads: 1 .heic (HEIC is not read")
end)

test("metadata = lines puts one line for each picture, in file order", function()
  local place = place_with(3)
  ok(place.run((FOUR_LINES:gsub('as = "replicate"', 'as = "replicate", metadata = "lines"'))))
  local files, names = unzip(place.path "out/zkr.zip")
  check.equal(names, { "p1.png", "p2.png", "p3.png", "metadata.txt" })
  check.equal(files["metadata.txt"], "a photo of p1, zkr\na photo of p2, zkr\na photo of p3, zkr\n")
end)

test("names in a zip are plain, and equal ones are numbered", function()
  local place = recipes.new(tmp "place")
  place.photo("a b.png", { seed = 1 })
  place.photo("a.b.png", { seed = 2 })
  place.photo("Größe.png", { seed = 3 })
  place.photo("A_B.jpg", { seed = 4 })
  ok(place.run 'images "@/photos":caption { with = fake {}, trigger = "zkr" }:export { as = "replicate", to = "@/out/z.zip" }')
  local _, names = unzip(place.path "out/z.zip")
  for _, name in ipairs(names) do check.ok(name:match "^[%w_-]+%.%l+$", name) end
  check.equal(#names, 8)
end)

test("formats that trainers do not read go out as PNG", function()
  local place = recipes.new(tmp "place")
  place.photo("a.png", { seed = 1 })
  -- a 2 x 2 BMP, 24 bits
  place.write("photos/b.bmp", "BM" .. string.pack("<I4I2I2I4I4i4i4I2I2I4I4i4i4I4I4", 70, 0, 0, 54, 40, 2, 2, 1, 24, 0, 16, 2835, 2835, 0, 0)
    .. "\0\0\255\0\255\0\0\0\255\0\0\255\255\255\0\0")
  local done = ok(place.run 'images "@/photos":caption { with = fake {}, trigger = "zkr" }:export { as = "replicate", to = "@/out/z.zip" }')
  local files = unzip(place.path "out/z.zip")
  check.equal(files["b.png"]:sub(1, 4), "\137PNG")
  check.contains(done.log, "1 converted")
end)

test("kohya folders have repeats from weights, and a second export takes away what is no longer part of it", function()
  local place = place_with(2)
  local text = [[
    local c = { with = template {}, trigger = "zkr" }
    images.join { images "@/photos/p1.png":weight(3), images "@/photos/p2.png" }:caption(c):export { as = "kohya", to = "@/out/k" }]]
  ok(place.run(text))
  check.equal(place.read "out/k/3_zkr/p1.txt", "zkr, a photo of p1\n")
  check.equal(place.read "out/k/1_zkr/p2.png", place.read "photos/p2.png")
  ok(place.run((text:gsub("weight%(3%)", "weight(2)"))))
  check.equal(place.read "out/k/2_zkr/p1.txt", "zkr, a photo of p1\n")
  check.equal(fs.stat(place.path "out/k/3_zkr/p1.txt"), nil)
end)

test("another trigger takes the folder of the old one along, but not what somebody else put into it", function()
  local place = place_with(2)
  local text = 'images "@/photos":caption { with = template {}, trigger = "zkr" }:export { as = "kohya", to = "@/out/k" }'
  ok(place.run(text))
  ok(place.run((text:gsub("zkr", "abc"))))
  check.equal(fs.stat(place.path "out/k/1_zkr"), nil)
  check.equal(place.read "out/k/1_abc/p1.txt", "abc, a photo of p1\n")
  place.write("out/k/1_abc/mine.txt", "mine")
  ok(place.run((text:gsub("zkr", "def"))))
  check.equal(#fs.list(place.path "out/k/1_abc"), 1)
  check.equal(place.read "out/k/1_abc/mine.txt", "mine")
  local left = {}
  for i, entry in ipairs(fs.list(place.path "out/k")) do left[i] = entry.path:match "[^/]+$" end
  check.equal(left, { "1_abc", "1_def" })
end)

test("sidecars go beside the pictures and are known as ours; a person's edit of one wins", function()
  local place = place_with(2)
  local text = 'images "@/photos":caption { with = fake {}, trigger = "zkr" }:export { as = "sidecars", beside = true }'
  ok(place.run(text))
  local first = check.ok(place.read "photos/p1.txt")
  check.contains(first, "zkr, a ")
  local again = ok(place.run(text))
  check.contains(again.log, "captions: 2 known")
  check.contains(again.log, "all unchanged")
  check.equal(place.read "photos/p1.txt", first)
  place.write("photos/p1.txt", "zkr, what I see\n")
  local edited = ok(place.run(text))
  check.contains(edited.log, "captions: 1 known, 1 by people")
  check.equal(place.read "photos/p1.txt", "zkr, what I see\n")
  local replaced = ok(place.run((text:gsub('trigger =', 'replace = true, trigger ='))))
  check.contains(replaced.log, "captions: 2 known")
  check.equal(place.read "photos/p1.txt", first)
end)

test("sidecars beside the pictures become new together: what cannot be written, and Ctrl-C, leave all as they were", function()
  local place = place_with(4)
  local text = 'images "@/photos":caption { with = template { text = "WORD {stem}" }, trigger = "zkr" }:export { as = "sidecars", beside = true }'
  ok(place.run((text:gsub("WORD", "old"))))
  fs.remove(place.path "photos/p2.txt")
  local function files()
    local out = {}
    for _, entry in ipairs(fs.list(place.path "photos")) do
      local name = entry.path:match "[^/]*$"
      if not name:find "%.png$" then out[name] = fs.read(entry.path) end
    end
    return out
  end
  local before, stage, interrupted, rename = files(), fs.stage, script.interrupted, fs.rename
  check.equal(before, { ["p1.txt"] = "zkr, old p1\n", ["p3.txt"] = "zkr, old p3\n", ["p4.txt"] = "zkr, old p4\n" })
  local _ <close> = setmetatable({}, { __close = function() fs.stage, script.interrupted, fs.rename = stage, interrupted, rename end })
  text = text:gsub("WORD", "new")
  function fs.stage(path, bytes) -- a disk that is full at the third
    if path:find "p3" then return nil, path .. " cannot be written: the disk is full; make room and run again", "IO" end
    return stage(path, bytes)
  end
  local done = place.run(text)
  check.equal(done.exit, 1)
  check.contains(done.text, "@/photos/p3.txt was not written, and none of the 4 is changed")
  check.contains(done.text, "the disk is full")
  check.equal(files(), before)
  function fs.stage(path, bytes) -- Ctrl-C after the second
    if path:find "p2" then script.interrupted = function() return 1 end end
    return stage(path, bytes)
  end
  done = place.run(text)
  check.equal(done.exit, 130)
  check.contains(done.text, "no caption file was changed")
  check.equal(files(), before)
  fs.stage, script.interrupted = stage, interrupted
  function fs.rename(from, to) -- what goes wrong afterwards is told with how far it came, and leaves nothing hidden
    if to:find "p4" then return nil, to .. " cannot be written: because", "IO" end
    if to:find "p1" then fs.write(place.path "photos/p3.txt", "my own") end -- somebody writes meanwhile
    return rename(from, to)
  end
  done = place.run(text)
  check.equal(done.exit, 1)
  check.contains(done.text, "@/photos/p4.txt was not written; 2 of 3 others are")
  local now = files()
  check.equal(now, { ["p1.txt"] = "zkr, new p1\n", ["p2.txt"] = "zkr, new p2\n", ["p3.txt"] = "my own", ["p4.txt"] = "zkr, old p4\n" })
  fs.rename = rename
  -- What a kill left of this goes: by a process that is no more, over a minute old.
  local pipe = io.popen "echo $$" -- one that has ended by the time it is looked for
  local left = (".p1.txt.%s-0.tmp"):format(pipe:read "l")
  pipe:close()
  place.write("photos/" .. left, "zkr, new p1\n")
  os.execute(("touch -d '2 minutes ago' '%s'"):format(place.path("photos/" .. left)))
  done = ok(place.run(text))
  check.contains(done.log, "2 captions written beside the pictures, 2 in place of another, 2 unchanged")
  now = files()
  check.equal({ now["p3.txt"], now["p4.txt"], now[left] }, { "zkr, my own\n", "zkr, new p4\n" })
end)

test("sidecars can go with copies of the pictures into a folder", function()
  local place = place_with(2)
  ok(place.run 'images "@/photos":caption { with = fake {}, trigger = "zkr" }:export { as = "sidecars", to = "@/out/set" }')
  check.equal(place.read "out/set/p1.png", place.read "photos/p1.png")
  check.contains(place.read "out/set/p2.txt", "zkr, a ")
  check.equal(place.read "photos/p1.txt", nil)
end)

test("a picture without a caption is not exported silently", function()
  local place = place_with(2)
  place.write("photos/p1.txt", "a door")
  local done = place.run 'images "@/photos":caption { with = sidecar {}, trigger = "zkr" }:export { as = "replicate", to = "@/out/z.zip" }'
  check.equal(done.exit, 1)
  check.contains(done.text, "1 of 2 has no caption")
  check.contains(done.text, "@/photos/p2.png")
  check.equal(fs.stat(place.path "out/z.zip"), nil)
end)

test("auto says plainly who could write captions", function()
  local place = place_with(1)
  local done = place.run 'images "@/photos":caption { trigger = "zkr" }:export { as = "replicate", to = "@/out/z.zip" }'
  check.equal(done.exit, 1)
  check.contains(done.text, "1 of 1 has no caption")
  check.contains(done.text, "template")
  check.contains(done.text, "sidecar {}")
end)

test("a caption with [trigger] is not exported while nobody declared one", function()
  local place = place_with(1)
  place.write("photos/p1.txt", "a photo of [trigger]")
  local done = place.run 'images "@/photos":export { as = "replicate", to = "@/out/z.zip" }'
  check.equal(done.exit, 1)
  check.contains(done.text, "has [trigger], but no trigger is declared")
end)

test("an output that cannot be written is one clear sentence, and nothing is left of it", function()
  local place = place_with(1)
  place.write("out", "a file where a folder should be")
  local done = place.run(FOUR_LINES)
  check.ok(done.exit == 2 or done.exit == 3, done.text)
  check.contains(done.text, "recipe.lua:5")
  check.equal(place.read "out", "a file where a folder should be")
  local folder = place.run 'images "@/photos":caption { with = fake {}, trigger = "zkr" }:export { as = "kohya", to = "@/out/k" }'
  check.ok(folder.exit == 2 or folder.exit == 3, folder.text)
  check.contains(place.run('images "@/photos":sheet { to = "@/photos" }').text, "neither .png nor .jpg")
  fs.make_folder(place.path "x.png")
  check.contains(place.run('images "@/photos":sheet { to = "@/x.png" }').text, "is a folder, and :sheet writes a file there")
end)

test("pictures are not written where the next run would read them", function()
  local place = place_with(1)
  local function refused(text) check.contains(place.check('images "@/photos"' .. text).text, "would lie among the input pictures") end
  refused ':sheet { to = "@/photos/sheet.png" }'
  refused ':export { as = "sidecars", to = "@/photos" }'
  check.contains(place.check('images("@/photos", { recursive = true }):export { as = "kohya", to = "@/photos/below/k" }').text, "would lie among")
  ok(place.check 'images "@/photos":export { as = "kohya", to = "@/photos/below" }')
  ok(place.check 'images "@/photos":report { to = "@/photos/r.html" }')
end)

test("a recipe's own file may have a name without an ending: no folder takes its place", function()
  local place = place_with(1)
  ok(place.run 'assert(fs.write("@/notes/words", "x"))\nimages "@/photos":sheet { to = "@/s.png" }')
  check.equal(fs.read(place.path "notes/words"), "x")
end)

test("all rejected means nothing is exported, and it is said", function()
  local place = place_with(1)
  local done = place.run(FOUR_LINES:gsub("512", "5000") .. "")
  check.equal(done.exit, 1)
  check.contains(done.text, "no picture is left: all 1 were rejected by :reject at recipe.lua:2 (1 side)")
end)

test("a name that is not UTF-8 is shown with marks and exported plainly", function()
  local place = recipes.new(tmp "place")
  place.photo("a\xffb.png", { seed = 1 })
  ok(place.run(FOUR_LINES:gsub("512", "5") .. 'hall:report { to = "@/out/r.html" }\nhall:sheet { to = "@/out/s.png" }'))
  local _, names = unzip(place.path "out/zkr.zip")
  check.equal(names, { "a_b.png", "a_b.txt" })
end)

test("two pictures cannot share a caption file that we would write", function()
  local place = place_with(1)
  place.photo("p1.jpg", { seed = 7 })
  local done = place.run 'images "@/photos":caption { with = fake {}, trigger = "zkr" }:export { as = "sidecars", beside = true }'
  check.equal(done.exit, 1)
  check.contains(done.text, "would share the caption file @/photos/p1.txt")
  check.equal(place.read "photos/p1.txt", nil)
end)

test("a caption file that is not UTF-8 is named with its byte", function()
  local place = place_with(1)
  place.write("photos/p1.txt", "caf\xe9 at night")
  local done = place.run(FOUR_LINES)
  check.equal(done.exit, 1)
  check.contains(done.text, "p1.txt")
  check.contains(done.text, "byte")
  check.contains(done.text, "recipe.lua:1")
  check.equal(fs.stat(place.path "out/zkr.zip"), nil)
end)

test("two pictures that share a caption file are refused", function()
  local place = place_with(1)
  place.photo("p1.jpg", { seed = 5 })
  place.write("photos/p1.txt", "whose?")
  local done = place.run(FOUR_LINES)
  check.equal(done.exit, 1)
  check.contains(done.text, "@/photos/p1.jpg and @/photos/p1.png share the caption file @/photos/p1.txt")
  check.contains(done.text, "rename one")
end)

test("folders without pictures and folders that are not there have one clear sentence", function()
  local place = recipes.new(tmp "place")
  local done = place.run(FOUR_LINES)
  check.equal(done.exit, 2)
  check.contains(done.text, "the folder @/photos has no pictures: it is empty")
  check.contains(done.text, "recipe.lua:1:21")
  place.write("photos/notes.md", "x")
  check.contains(place.run(FOUR_LINES).text, "it holds 1 file that no picture decoder reads")
  fs.remove(place.path "photos/notes.md")
  place.write("photos/below/x.md", "x")
  check.contains(place.run(FOUR_LINES).text, "recursive = true")
  local gone = place.run 'images "@/fotos":sheet { to = "@/out/s.png" }'
  check.equal(gone.exit, 2)
  check.contains(gone.text, "there is no folder or picture @/fotos")
  check.equal(place.check('images "@/fotos":sheet { to = "@/out/s.png" }').exit, 2)
end)

test("parameters are typed, bounded and overridden by -p", function()
  local place = place_with(3)
  local text = [[
    local p = params { data = { "@/photos", kind = "folder" }, n = { 2, min = 1, max = 3, help = "how many" }, by = { "first", choices = { "first", "largest" } }, on = { true } }
    images(p.data):take(p.n, { by = p.by }):expect { count = p.n }]]
  ok(place.run(text))
  check.contains(ok(place.run(text, { params = { n = "3", by = "largest", on = "no" } })).log, "n=3")
  local function refused(params, ...)
    local done = place.run(text, { params = params })
    check.equal(done.exit, 2)
    for _, part in ipairs { ... } do check.contains(done.text, part) end
  end
  refused({ n = "4" }, "parameter 'n' is 4; it must be 1 to 3")
  refused({ n = "two" }, "takes a whole number, not \"two\"", "-p n=2")
  refused({ n = "1.5" }, "takes a whole number")
  refused({ bby = "1" }, "no parameter 'bby'", "did you mean 'by'?")
  refused({ by = "larges" }, 'did you mean "largest"?')
  refused({ on = "maybe" }, "takes true or false")
  check.contains(place.run("local p = params { steps = { 1 } }\nlocal x = p.stpes").text, "no parameter 'stpes'")
  check.contains(place.run("local p = params { steps = { 1 } }\np.steps = 2").text, "parameters cannot be changed")
  check.contains(place.run('local p = params { data = { required = true, help = "pictures" } }').text, "was not given")
  check.contains(place.run("local p = params { steps = 5 }").text, "write steps = { 5 }")
  check.contains(place.run("params { steps = { 5, mni = 2 } }").text, "did you mean 'min'?")
end)

test("a parameter may be false without -p, with its kind or without", function()
  local place = place_with(1)
  local text = [[
    local p = params { flip = { false, kind = "boolean" }, bare = { false, help = "neither" } }
    images("@/photos"):expect { count = (p.flip == false and p.bare == false) and 1 or 5 }]]
  ok(place.run(text))
  check.equal(place.run(text, { params = { flip = "yes" } }).exit, 4)
  check.equal(place.run(text, { params = { bare = "on" } }).exit, 4)
  check.contains(place.run(text, { params = { flip = "maybe" } }).text, "-p flip=false")
  check.contains(place.info(text).out, "bare           false  boolean  neither")
  check.contains(place.run("local p = params { flip = { false, true } }").text, "takes text, not { false, true }")
end)

test("${name} is filled in from the parameters", function()
  local place = place_with(1)
  ok(place.run('local p = params { what = { "door" } }\nimages "@/photos":caption { with = template { text = "a ${what}" }, trigger = "zkr" }'
    .. ':export { as = "sidecars", to = "@/out/${what}" }'))
  check.equal(place.read "out/door/p1.txt", "zkr, a door\n")
  check.contains(place.run('local p = params { what = { "door" } }\nimages "@/${waht}"').text, "did you mean ${what}?")
end)

test("here is beside the recipe", function()
  local place = place_with(1)
  ok(place.run 'images(here "photos"):expect { count = 1 }')
end)

test("what a header does not allow is refused with 3", function()
  local place = place_with(1)
  local function header(allow) return ('recipe "r" { allow = { %s } }\nimages "@/photos":sheet { to = "@/out/s.png" }'):format(allow) end
  ok(place.run(header 'read = { "@/photos" }, write = { "@/out" }'))
  local no_read = place.run(header 'read = { "@/other" }, write = { "@/out" }')
  check.equal(no_read.exit, 3)
  check.contains(no_read.text, "does not allow it to read @/photos")
  local no_write = place.run(header 'read = { "@/photos" }')
  check.equal(no_write.exit, 3)
  check.contains(no_write.text, "does not allow it to write @/out/s.png")
  check.contains(no_write.text, "recipe.lua:2")
  check.equal(place.run(header 'read = { "@/photos" }, write = { "@/ou" }').exit, 3)
  local above = place.run((header 'read = { "@/photos" }, write = { "@/out" }':gsub("s%.png", "../s.png")))
  check.equal(above.exit, 3)
  check.contains(above.text, ('write = { "%s" }'):format("@")) -- the folder that is meant, not the one that is allowed already
  check.equal(place.run(header 'read = { "@/photos/.." }, write = { "@/out/../out" }').exit, 0)
  check.contains(place.run(header 'raed = { "@/photos" }').text, "did you mean 'read'?")
  check.contains(place.run(header 'spend = { gemini = 0.5 }').text, "write usd(0.5)")
end)

test("a recipe that needs a newer calotype says so", function()
  local place = place_with(1)
  check.contains(place.run('recipe "r" { needs = ">=99.0" }').text, "this recipe needs calotype >=99.0")
  check.contains(place.run('recipe "r" { needs = "newest" }').text, 'write needs = ">=0.1"')
end)

test("an expectation that fails ends with 4 and nothing is written", function()
  local place = place_with(2)
  local done = place.run(FOUR_LINES .. "hall:expect { count = { 10, 200 } }")
  check.equal(done.exit, 4)
  check.contains(done.text, "expected 10 to 200 pictures, but there are 2")
  check.contains(done.text, "recipe.lua:6:15")
  check.equal(fs.stat(place.path "out/zkr.zip"), nil)
  check.equal(place.run(FOUR_LINES .. "hall:expect { count = 2, captioned = true, triggered = true, words = { 1, 9 } }").exit, 0)
  check.equal(place.run(FOUR_LINES .. "hall:expect { words = 2 }").exit, 4)
  check.equal(place.run(FOUR_LINES .. "hall:expect { side = { 600, 900 } }").exit, 4)
  check.equal(place.run('images "@/photos":expect { captioned = true }').exit, 4)
end)

test("typos anywhere have their place and the right word", function()
  local place = place_with(1)
  local cases = {
    { 'local a = imagse "@/photos"', "'imagse' is not defined", "did you mean 'images'?", "recipe.lua:1:11" },
    { 'local a = images "@/photos"\n  :orient()\n  :dedup {}', "images has no verb ':dedup'", "did you mean ':dedupe'?", "recipe.lua:3:4" },
    { 'local a = images "@/photos"\n  :orient()\n  :reject {\n    side_below = 1,\n    sharpnes_below = 2 }', "unknown option 'sharpnes_below'", "recipe.lua:5:5" },
    { 'local a = images "@/photos":reject { trigger = "x" }', "this key belongs to :caption" },
    { 'local a = images "@/photos"\n  :caption { with = template { txt = "x" } }', "unknown option 'txt' for template", "recipe.lua:2:32" },
    { 'local a = images "@/photos":caption { with = template { text = "a {stm}" } }', "has {stm}", "did you mean {stem}?" },
    { 'local a = images "@/photos":caption { with = template }', "takes a provider", "call it: template {}" },
    { 'local a = images "@/photos":caption { with = wd14 }', "takes a provider", "call it: wd14 {}" },
    { 'local a = images "@/photos":wd14 { threshold = 0.5 }', "images has no verb ':wd14'", ":caption { with = wd14 { ... } } has it write captions" },
    { 'local a = images "@/photos":caption { with = "wd14" }', 'not "wd14"', "write wd14 {}" },
    { 'local a = images "@/photos":caption { with = "Blip" }', 'not "Blip"', "write blip {}" },
    { 'local a = images "@/photos":caption { with = "a red door" }', 'not "a red door"', "write template {}" },
    { 'local a = images "@/photos":caption { with = wd14 { threshold = 35 } }', "is 35; it must be 0.01 to 1", "35 percent are written 0.35" },
    { 'local a = images "@/photos":caption { with = wd14 { threshold = "35%" } }', 'takes a number, not "35%"', "35 percent are written 0.35" },
    { 'local a = images "@/photos":caption { with = wd14 { threshold = "0.35" } }', "takes a number", "write 0.35, without quotes" },
    { 'local a = images "@/photos":take "3"', "takes a whole number", "write 3, without quotes" },
    { 'local a = images "@/photos":take "50%"', 'takes a whole number, not "50%"', without = "percent" },
    { 'local a = images "@/photos":take "2.5"', 'takes a whole number, not "2.5"', without = "write 2.5" },
    { 'local a = images "@/photos":caption { with = blip { penalty = "50%" } }', 'takes a number, not "50%"', without = "percent" },
    { 'local a = images "@/photos":caption { with = blip { num_beams = 3 } }', "unknown option 'num_beams'", "did you mean 'beams'?" },
    { 'local a = images "@/photos":reject { score_below = 0.1 }', "unknown option 'score_below'", "did you mean 'match_below'?" },
    { 'local a = images "@/photos":caption { with = { gemini {}, wd14 {} } }', "has wd14 {}, which writes tags, and gemini {}, which writes sentences" },
    { 'a = images "@/photos"', "'a' is assigned but was never declared", "local a" },
    { "images = 5", "'images' belongs to the language" },
    { 'images.jion { }', "did you mean 'images.join'?" },
    { 'images.join { 5 }', "takes a set of pictures, not 5" },
    { 'local a = images "@/photos"\na.x = 5', "cannot be changed" },
    { 'local a = images "@/photos"\nif #a > 3 then end', "nothing is computed while a recipe is read", ":expect" },
    { 'local a = images "@/photos"\nprint(a[1])', "nothing is computed" },
    { 'local a = images "@/photos"\na.reject({ side_below = 5 })', "with a colon" },
    { 'images "@/photos":export { as = "replicat", to = "@/z.zip" }', 'did you mean "replicate"?' },
    { 'images "@/photos":export { as = "replicate", to = "@/z.tar" }', "is not a .zip" },
    { 'images "@/photos":export { as = "replicate" }', "needs 'to'" },
    { 'images "@/photos":export { as = "kohya", to = "@/k", metadata = "lines" }', "means nothing for as = \"kohya\"" },
    { 'images "@/photos":export { as = "sidecars" }', "beside = true" },
    { 'images "@/photos":sheet { to = "@/sheet" }', "neither .png nor .jpg" },
    { 'images "@/photos":sheet { to = "@/[trigger].png" }', "no trigger is declared" },
    { 'images "@/photos":caption { trigger = "abc" }:caption { trigger = "abd" }', 'the trigger is already "abc"' },
    { 'images "@/photos":caption { prefix = "[trigger]" }', "no trigger is declared" },
    { 'images "@/photos":reject {}', "nothing to reject by" },
    { 'images "@/photos":bucket { min = 900, max = 800 }', "min 900 above max 800" },
    { 'recipe "x" { abuot = "y" }', "did you mean 'about'?" },
    { 'local x = = 5', "recipe.lua:1:11" },
    { 'image.laod "x.png"', "did you mean 'load'?" },
    { 'images "@/photos":keep_if(5)', "takes a function" },
    { 'local a = images "@/photos":sheet { to = "@/a.png" }\na:report { to = "@/a.png.html" }\na:sheet { to = "@/a.png" }', "is written twice", "recipe.lua:1 writes it too" },
    { 'local a = images "@/photos":sheet { to = "@/a.png" }:take(1):sheet { to = "@/a.png" }', "is written twice", "this line has written it before" },
    { 'for n = 1, 2 do images "@/photos":take(n):export { as = "kohya", to = "@/k" } end', "is written twice", "put what changes into the name" },
  }
  for _, case in ipairs(cases) do
    for _, done in ipairs { place.run(case[1]), place.check(case[1]) } do
      if done.exit ~= 2 then error(("exit %s for %s: %s"):format(done.exit, case[1], done.text)) end
      for i = 2, #case do check.contains(done.text, case[i]) end
      check.ok(not case.without or not done.text:find(case.without, 1, true), done.text)
    end
  end
end)

test("a recipe without an output is an error, a script without pictures is not", function()
  local place = place_with(1)
  for _, done in ipairs { place.run 'local a = images "@/photos"', place.check 'local a = images "@/photos"' } do
    check.equal(done.exit, 2)
    check.contains(done.text, "produces nothing")
  end
  check.equal(place.run("local x = 1 + 1").exit, 0)
  check.contains(place.check("local x = 1 + 1").out, "a script without pictures")
end)

test("check computes nothing, writes nothing and warns", function()
  local place = place_with(2)
  local done = ok(place.check 'images "@/photos":caption { with = fake {} }:export { as = "replicate", to = "@/out/z.zip" }')
  check.contains(done.out, "warning: @/recipe.lua:1: no trigger is declared")
  check.contains(done.out, "fine: 2 steps, 1 output, 1 warning")
  check.equal(fs.stat(place.path "store"), nil)
  check.equal(fs.stat(place.path "out"), nil)
  check.contains(ok(place.check 'local i = image.load "@/photos/p1.png"\nprint(i:width())').out, "fine up to line 1")
end)

test("a check that never ends is stopped", function()
  local place = place_with(1)
  check.contains(place.check("while true do end", { hasty = true }).text, "took longer than 2")
end)

test("info tells header, parameters, permissions and outputs", function()
  local place = place_with(1)
  local done = ok(place.info('recipe "style" { about = "Filter", author = "Ann", license = "MIT", version = "1.2" }\n'
    .. 'local p = params { side = { 512, min = 64, max = 2048, help = "shorter side" } }\n'
    .. 'images "@/photos":reject { side_below = p.side }:sheet { to = "@/out/s.png" }', { params = { side = "600" } }))
  for _, part in ipairs { "style", "Filter", "Ann", "MIT", "1.2", "side", "600", "default 512", "64 to 2048", "shorter side", "@/photos", "@/out/s.png", "reject" } do
    check.contains(done.out, part)
  end
end)

test("the sheet shows kept and rejected pictures", function()
  local place = place_with(4)
  place.photo("tiny.png", { seed = 77, width = 64, height = 64 })
  ok(place.run 'images "@/photos":reject { side_below = 512 }:sheet { to = "@/out/s.png", columns = 3 }')
  local sheet = check.ok(require("native.image").load(place.path "out/s.png"))
  check.equal(sheet:width(), 8 + 3 * 208)
  ok(place.run 'images "@/photos":reject { side_below = 512 }:sheet { to = "@/out/t.png", columns = 3, rejected = false }')
  check.ok(require("native.image").load(place.path "out/t.png"):height() < sheet:height() + 1)
end)

test("a sheet says that it is written; Ctrl-C meanwhile ends the run, and there is no sheet", function()
  local place, image = place_with(2), require "native.image"
  local new, seen = image.new, nil
  local _ <close> = setmetatable({}, { __close = function() image.new = new end })
  function image.new(...)
    local sheet = new(...)
    local shell = setmetatable({}, { __index = function(_, name) return function(_, ...) return sheet[name](sheet, ...) end end })
    function shell.save(_, _, options)
      seen = options
      return nil, "interrupted", "INTERRUPT"
    end
    return shell
  end
  local done = place.run 'images "@/photos":sheet { to = "@/out/s.png" }'
  check.equal({ done.exit, seen }, { 130, { progress = "writing the sheet" } }, done.text)
  check.equal(require("native.fs").stat(place.path "out/s.png"), nil)
end)

test("text that does not fit on a sheet ends after a whole word", function()
  local wrapped = require("recipe.verbs.sheet").wrapped
  local lines = wrapped("images: the JPEG is cut off: it goes on after byte 3865, the end of the file", 200, 2)
  check.equal(#lines, 2)
  check.ok(lines[2]:find "^on after byte 3865, the [%a ]*%a%.%.%.$", lines[2])
  check.ok(("the end of the file"):find(lines[2]:match "3865, (.-)%.%.%.$" .. "%f[%s]"), lines[2])
  check.equal(wrapped("short", 200, 2), { "short" })
  check.ok(wrapped(("w"):rep(99) .. " x", 200, 1)[1]:find "^w+%.%.%.$")
end)

test("a long path keeps its last folders in the account, each whole", function()
  local place = place_with(1)
  place.photo("../deep/er/and/deeper/b.png", { seed = 3 })
  check.contains(ok(place.run 'images "@/deep/er/and/deeper":sheet { to = "@/s.png" }').log, "  images .../er/and/deeper  1 picture, all new")
end)

test("the report is one page that loads nothing and escapes everything", function()
  local place = recipes.new(tmp "place")
  place.photo("a<b>&'.png", { seed = 1 })
  place.photo("small.png", { seed = 2, width = 100, height = 90 })
  place.write("photos/a<b>&'.txt", "</figcaption><script>alert(1)</script> \"quoted\"")
  ok(place.run('recipe "r<i>" { about = "<b>&amp;" }\nparams { x = { "<u>" } }\n'
    .. 'images "@/photos":reject { side_below = 200, sharpness_below = "lowest 10%" }:caption { with = fake {}, trigger = "zkr" }:bucket {}'
    .. ':report { to = "@/out/r.html" }'))
  local page = place.read "out/r.html"
  for _, never in ipairs { "<script", "<i>", "<u>", "<b>&amp;<", "http://", "https://", "src=\"/", "@import", "url(" } do
    check.equal(page:find(never, 1, true), nil, never)
  end
  for _, part in ipairs { "&lt;script&gt;", "a&lt;b&gt;&amp;&#39;.png", "side 90 px is below 200 px", "data:image/jpeg;base64,", "class=\"cut\"", "<h2>Buckets</h2>",
    "by a person", "prefers-color-scheme: dark", "calotype" } do
    check.contains(page, part)
  end
end)

test("writing that turns its direction, and controls beyond ASCII, are marks on a page", function()
  local html = require "recipe.html"
  check.equal(html.escape "a\u{202E}gpj\u{2069}\u{9B}31m\u{2028}\u{E9}\u{201C}", "a\u{FFFD}gpj\u{FFFD}\u{FFFD}31m\u{2028}\u{E9}\u{201C}")
end)

test("a report is written again when anything on it changes, and not because a day went by", function()
  local place, log = place_with(2), require "native.log"
  local function page(header, more)
    local text = ('recipe "r" { %s }\nimages "@/photos":take(2):report { to = "@/out/r.html"%s }'):format(header, more or "")
    return ok(place.run(text)).log, place.read "out/r.html"
  end
  page 'about = "one", version = "1"'
  local date = log.date
  log.date = function() return "2199-01-01" end
  local said, text = page 'about = "one", version = "1"'
  log.date = date
  check.contains(said, "r.html unchanged")
  check.equal(text:find("2199", 1, true), nil)
  for header, part in pairs { ['about = "two", version = "1"'] = '<p class="lead">two</p>', ['about = "one", version = "seven"'] = "seven" } do
    said, text = page(header)
    check.contains(said, "r.html written")
    check.contains(text, part)
    check.contains(page(header), "r.html unchanged")
  end
  check.contains(page('about = "two"', ', title = "T"'), "r.html written")
end)

test("a picture whose colours are not sRGB's is told, in the account and in the report", function()
  local place = place_with(2)
  local jpeg = place.photo("x.jpg", { seed = 9 }) or place.read "photos/x.jpg"
  local icc = ("\0"):rep(16) .. "RGB XYZ " .. ("\0"):rep(12) .. "acsp" .. ("\0"):rep(88) .. string.pack(">I4c4I4I4", 1, "desc", 144, 24)
    .. "desc\0\0\0\0" .. string.pack(">I4", 12) .. "Display P3\0\0"
  local segment = "ICC_PROFILE\0\1\1" .. icc
  place.write("photos/x.jpg", jpeg:sub(1, 2) .. "\xff\xe2" .. string.pack(">I2", #segment + 2) .. segment .. jpeg:sub(3))
  ok(place.run 'images "@/photos":report { to = "@/out/r.html" }')
  check.contains(place.read "out/r.html", "colours meant as Display P3, taken as sRGB")
end)

test("show tells what a picture, a zip, a caption and a folder are", function()
  local place = place_with(2)
  ok(place.run(FOUR_LINES))
  local show = require "recipe.show"
  local function text(path)
    local lines = {}
    check.ok(show.path(path, function(line) lines[#lines + 1] = line end))
    return table.concat(lines, "\n")
  end
  check.contains(text(place.path "photos/p1.png"), "568 x 520")
  check.contains(text(place.path "photos/p1.png"), "sharpness")
  check.contains(text(place.path "out/zkr.zip"), "p1.txt  a photo of p1, zkr")
  check.contains(text(place.path "photos"), "2  png")
  place.write("deep/a/b/c.txt", ("x"):rep(5000))
  check.contains(text(place.path "deep"), "a folder, 1 file in it and below, 5 kB")
  place.write("page.html", "<html>")
  check.contains(text(place.path "page.html"), "page.html  an HTML page, 6 bytes: open it in a browser")
  check.contains(text "tests/golden/tiny", "a base as diffusers keeps it: unet, vae, text_encoder, tokenizer, scheduler\n  it draws 16 x 16 and reads ")
  place.write("half/unet/config.json", "{}")
  check.contains(text(place.path "half"), "a base as diffusers keeps it: unet; it lacks vae, text_encoder, tokenizer, scheduler")
  for _, part in ipairs { "vae", "text_encoder", "tokenizer", "scheduler" } do place.write("half/" .. part .. "/x", "") end
  check.contains(text(place.path "half"), "it cannot be used: ")
  place.write("a.txt", "words\n")
  check.equal(text(place.path "a.txt"), "words")
  place.write("b.txt", "w\xff")
  check.refused("byte 2", show.path(place.path "b.txt", print))
  check.refused("nowhere", show.path(place.path "nowhere", print))
  place.write("x.safetensors", "12345678")
  check.refused("", show.path(place.path "x.safetensors", print))
  check.equal(script.call(command.show, place.path "nowhere"), false)
end)

test("show tells what the store is", function()
  local place, lines = place_with(1), {}
  ok(place.run(FOUR_LINES))
  local function put(line) lines[#lines + 1] = line end
  check.ok(require("recipe.show").store(place.path "store", put))
  check.contains(lines[1], "store  calotype's store: ")
  check.contains(lines[2], "1 run; the last: " .. place.folder .. "/recipe.lua, ok")
  check.equal(require("recipe.show").store(place.path "nowhere", put), false)
  check.ok(not require("native.fs").stat(place.path "nowhere"))
end)

test("help comes from the schemas", function()
  check.contains(help.text "images.reject", "side_below")
  check.contains(help.text ":reject", "sharpness_below")
  check.contains(help.text "template", "{stem}")
  check.contains(help.text "side_below", ":reject")
  check.contains(help.text "rejct", "did you mean 'reject'?")
  check.contains(help.text "", ":caption")
  check.contains(help.text "kohya", "export")
  check.contains(help.manual(), "| `side_below` |")
end)

test("completion knows where it is", function()
  local function has(line, ...)
    local got = {}
    for _, name in ipairs((help.complete(line))) do got[name] = true end
    for _, name in ipairs { ... } do check.ok(got[name], line .. " should offer " .. name) end
    return got
  end
  has("images 'x':re", "reject", "report")
  has("a:reject { side", "side_below")
  check.equal(has("a:reject { side_below = 5, s", "sharpness_below").side_below, nil)
  has('a:dedupe { keep = "', "sharpest", "captioned")
  has("a:caption { with = te", "template")
  has("ima", "images", "image")
  has("images.", "join")
end)

test("the prompt has the same language; results can be looked at there", function()
  local place = place_with(3)
  local env = command.repl_env { store = place.path "store", say = function() end }
  local function eval(text) return assert(script.load(text:gsub("@", place.folder), "@repl", env))() end
  eval 'photos = images "@/photos"'
  check.equal(eval "return #photos", 3)
  check.equal(eval "return photos[1].name", "p1.png")
  check.contains(eval "return tostring(photos:reject { side_below = 575 })", "rejected")
  check.contains(eval "return photos:reject { side_below = 2000 }.rejected[1].reason", "is below 2000 px")
  eval 'photos:sheet { to = "@/out/s.png" }'
  check.ok(fs.stat(place.path "out/s.png"))
end)

test("a recipe reads and writes files of its own below its folders, and no others", function()
  local place = place_with(0)
  place.write("out/.keep", "")
  ok(place.run [[
    recipe "words" { allow = { read = { "@/out" }, write = { "@/out" } } }
    assert(fs.write("@/out/w.txt", "one two"))
    assert(fs.read "@/out/w.txt" == "one two" and fs.stat("@/out/w.txt").size == 7)
    assert(#fs.list "@/out" == 2)
  ]])
  local done = place.run [[
    recipe "words" { allow = { read = { "@/out" }, write = { "@/out" } } }
    fs.read "/etc/passwd"
  ]]
  check.equal(done.exit, 3)
  check.contains(done.text, "does not allow it to read /etc/passwd")
end)

test("what trainers cannot read goes out as 8-bit RGB: a JPEG for the printer, a PNG of 16 bits", function()
  local place = place_with(0)
  place.write("photos/press.jpg", check.ok(fs.read "tests/golden/image/jpeg-cmyk.jpg"))
  place.write("photos/deep.png", check.ok(fs.read "tests/golden/image/png-gray-alpha16.png"))
  local done = ok(place.run [[
    local few = images "@/photos":caption { with = template { text = "a zkr thing" }, trigger = "zkr" }
    few:export { as = "replicate", to = "@/out/few.zip" }
  ]])
  check.contains(done.log, "2 converted")
  local files = unzip(place.path "out/few.zip")
  fs.write(place.path "press.jpg", files["press.jpg"])
  fs.write(place.path "deep.png", files["deep.png"])
  local image = require "native.image"
  check.equal(image.probe(place.path "press.jpg").samples, 3)
  check.equal(image.probe(place.path "deep.png").bits, 8)
end)

test("a person who names the wrong thing reads what is so and what to write", function()
  local place = recipes.new(tmp "person")
  local function says(text, exit, ...)
    local done = place.run(text)
    check.equal(done.exit, exit, done.text)
    for _, part in ipairs { ... } do check.contains(done.text, part) end
  end
  says([[images "@/phots":sheet { to = "@/out/s.png" }]], 2, "no folder or picture @/phots", 'did you mean "@/photos"?')
  place.write("photos/a.txt", "words")
  says([[images "@/photos":sheet { to = "@/out/s.png" }]], 2, "it holds 1 caption file and no picture")
  place.photo("a.png", { seed = 1 })
  says([[images "@/photos":reject { side_below = "512" }]], 2, "write 512 without quotes")
  says([[images "@/photos":reject { side_below = "lowest 10" }]], 2, 'write "lowest 10%"')
  says([[images "@/photos":reject { side_below = "10%" }]], 2, 'write "lowest 10%"')
  says([[images "@/photos":caption { with = template "a photo" }]], 2, 'write template { text = "a photo" }')
  says([[print(io)]], 2, "'io' is not defined", "fs.read")
  says([[images "@/photos":caption { with = ollama {} }]], 2, "openai {} asks it")
  says("\255\216\0", 2, "is no recipe", "calotype show")
end)

test("a share that ties leave smaller says so", function()
  local place = place_with(0)
  for i = 1, 4 do place.photo(("p%d.png"):format(i), { seed = i, width = 640, height = 480 }) end
  local done = ok(place.run [[
    images "@/photos":reject { side_below = "lowest 50%" }:sheet { to = "@/out/sheet.png" }
  ]])
  check.contains(done.log, "the lowest 50% by side would be 2, but pictures with the same value stay")
end)

test("require is another file of the recipe, beside it: run once, with the same globals, part of what its functions are", function()
  local place = place_with(3)
  place.write("wide.lua", "local LIMIT = 570\nlocal wide = {}\nfunction wide.enough(picture) return picture.width > LIMIT end\nreturn wide")
  place.write("chain.lua", "return { wide = require 'wide', here = here 'x' }")
  local text = [[
    local wide, chain = require "wide", require "chain"
    assert(wide == chain.wide and wide == require "wide" and chain.here == here "x")
    images "@/photos":keep_if(wide.enough):sheet { to = "@/out/s.png" }
  ]]
  check.contains(ok(place.run(text)).log, "2 kept, 1 rejected")
  check.contains(ok(place.run(text)).log, "unchanged")
  place.write("wide.lua", (place.read("wide.lua"):gsub("570", "580")))
  local done = ok(place.run(text))
  check.contains(done.log, "1 kept, 2 rejected")
  check.contains(done.log, "written")
  check.contains(place.info(text).out, "requires  @/wide.lua, @/chain.lua")
  -- A recipe with an `allow` may require its own parts all the same, and they may do no more than it.
  place.write("reads.lua", "return function()\n  local text = fs.read '/etc/hostname'\n  return text\nend")
  done = place.run('recipe "x" { allow = { read = { "@/photos" } } }\nlocal reads = require "reads"\nreads()')
  check.equal(done.exit, 3)
  check.contains(done.text, "reads.lua:2")
end)

test("here is a path beside the recipe, in its shortest form", function()
  local place = place_with(0)
  local done = place.run([[error(here "photos" .. " " .. here "../a/b" .. " " .. here "x/../y/../../z" .. " " .. here "/abs")]])
  local up = place.folder:match "^(.*)/[^/]*$"
  check.contains(done.text, ("@/photos %s/a/b %s/z /abs"):format(up, up))
end)

test("require tells what is wrong with a part of a recipe at its place", function()
  local place = place_with(0)
  local function says(text, ...)
    local done = place.run(text)
    check.ok(done.exit > 0, text)
    for _, part in ipairs { ... } do check.contains(done.text, part) end
  end
  says("local x = require 'nowhere'", "@/nowhere.lua cannot be read", "recipe.lua:1:19")
  for _, name in ipairs { "'../up'", "'a.b'", "'/etc/passwd'", "''", "7", "nil" } do says("require(" .. name .. ")", "takes the name of a Lua file beside the recipe") end
  place.write("self.lua", "local it = require 'self'\nreturn it")
  says("require 'self'", "@/self.lua requires itself", "self.lua:1")
  place.write("broken.lua", "local x = 1\nlocal y = = 2")
  says("require 'broken'", "unexpected symbol", "broken.lua:2:11")
  place.write("raises.lua", "local x = nil\nreturn x.y")
  says("require 'raises'", "attempt to index", "raises.lua:2")
  place.write("global.lua", "leaked = 1")
  says("require 'global'", "'leaked' is assigned but was never declared", "global.lua:1")
  place.write("code.lua", string.dump(load "return 1"))
  says("require 'code'", "code.lua")
  place.write("late.lua", "return require 'raises'")
  says("assert(not pcall(require, 'late')) require 'late'", "attempt to index")
  says("dofile 'self.lua'", "'dofile' is not defined", 'require "name" is name.lua beside the recipe')
end)
