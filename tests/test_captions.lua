-- calotype captions: the history of what was written about pictures, as a person sees it.
local fs = require "native.fs"
local hash = require "native.hash"
local image = require "native.image"
local store = require "native.store"

local pipe = io.popen "readlink /proc/$PPID/exe"
local program = pipe:read "l":gsub("/tests/host$", "/calotype")
pipe:close()

-- A folder with pictures in photos/, where calotype runs.
local function project(count)
  local folder = tmp "project"
  os.execute("mkdir -p " .. folder .. "/photos")
  for i = 1, count or 2 do
    check.ok(image.new(64 + i, 48, { 40 * i, 90, 200 - 30 * i }):save(("%s/photos/p%d.png"):format(folder, i)))
  end
  return folder
end

local function put(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

local function read(path) return check.ok(fs.read(path)) end
local function sha_of(path) return hash.sha256(read(path)) end

-- Runs calotype in the folder; gives the exit code and all it said, without the seconds that a stage took on a busy machine.
local function run(folder, words)
  local out = io.popen(("cd %s && %s %s 2>&1 </dev/null; echo \"exit $?\""):format(folder, program, words))
  local text = out:read "a"
  out:close()
  local shown, code = text:gsub("   %d[%d.]* s\n", "\n"):match "^(.*)exit (%d+)\n$"
  return tonumber(code), shown
end

local function ends(code, folder, words, part)
  local got, shown = run(folder, words)
  check.equal(got, code, words .. ": " .. shown)
  if part then check.contains(shown, part) end
  return shown
end

local function export(folder, with, place)
  put(folder .. "/r.lua", ('images "photos":caption { with = %s }:export { as = "sidecars", %s }'):format(with, place))
  return ends(0, folder, "run r.lua")
end

local function caption(folder, with) return export(folder, with, 'to = "out"') end
local function beside(folder, with) return export(folder, with, "beside = true") end

test("log tells who wrote what about a picture, oldest first, and which is its text now", function()
  local folder = project()
  caption(folder, 'template { text = "a first {stem}" }')
  put(folder .. "/photos/p1.txt", "a boat\n")
  caption(folder, 'template { text = "a first {stem}" }')
  local shown = ends(0, folder, "captions log photos/p1.png")
  check.ok(shown:find "^photos/p1%.png   content %x+, 2 texts\n   1  [%d%-: ]+  template\n      a first p1\n%*  2  [%d%-: ]+  a person\n      a boat\n$", shown)
end)

test("log tells prompts, money, comparisons and what was paid for nothing", function()
  local folder = project(1)
  caption(folder, "fake {}")
  local s = check.ok(store.open(folder .. "/.calotype"))
  local sha = sha_of(folder .. "/photos/p1.png")
  local prompt = hash.sha256 "what is it?"
  check.ok(s:add_spend { provider = "gemini", model = "g-1", sha = sha, why = "blocked: safety", cost = 0.0004 })
  check.ok(s:add_caption { sha = sha, key = "k1", text = "two\nlines", author = "model", provider = "gemini", model = "g-1", prompt = prompt,
    detail = '{"fallback":["g-2: quota of the day"]}', cost = 0.0012, seconds = 2.06, spend = true })
  check.ok(s:add_caption { sha = sha, key = "k2", text = "other", author = "model", provider = "openai", spend = true, aside = true })
  check.ok(s:add_caption { sha = sha_of(folder .. "/photos/p1.png"), key = "k3", text = "blip", author = "model", provider = "huggingface",
    prompt = "image-to-text", detail = '{"mended":"calotype tags"}', aside = true })
  s:close()
  local shown = ends(0, folder, "captions log photos/p1.png")
  check.contains(shown, "  huggingface, mended by calotype tags, image-to-text, for a comparison\n")
  check.contains(shown, ", 4 texts, $0.0016 and 1 of unknown price\n")
  check.contains(shown, ("  gemini g-1, prompt %s, after g-2: quota of the day, $0.0012, 2.1 s\n      two\n      lines\n"):format(prompt:sub(1, 8)))
  check.contains(shown, "  openai, for a comparison, price unknown\n      other\n")
  check.contains(shown, "  gemini g-1, no caption: blocked: safety, $0.0004\n")
  check.contains(shown, "*  2  ")
  check.contains(ends(0, folder, "captions log photos"), "\n\n1 picture, 4 texts, $0.0016 and 1 of unknown price\n")
  check.contains(ends(0, folder, "show .calotype"), "\n  3 requests to services: $0.0016 and 1 of unknown price\n")
end)

test("log says what a model on this machine was asked with, where that is not the usual; a prompt of no words is none", function()
  local folder = project(1)
  local s = check.ok(store.open(folder .. "/.calotype"))
  local sha = sha_of(folder .. "/photos/p1.png")
  local function add(key, detail, prompt)
    check.ok(s:add_caption { sha = sha, key = key, text = key, author = "model", provider = "blip", model = "base", detail = detail, prompt = prompt, cost = 0,
      spend = true })
  end
  add("k1", '{"model":"base"}', "")
  add("k2", '{"weights":"5e87564200","settings":{"beams":3,"longest":8,"penalty":1.5,"shortest":5}}', "a picture of")
  add("k3", '{"weights":"5e87564200","settings":7}')
  check.ok(s:add_caption { sha = sha, key = "k4", text = "k4", author = "model", provider = "wd14", model = "vit", cost = 0, spend = true,
    detail = '{"weights":"d3be337100","settings":{"threshold":0.5,"rating":true,"without":["solo","1girl"]}}' })
  check.ok(s:add_caption { sha = sha, key = "k5", text = "k5", author = "model", provider = "wd14", model = "odd", cost = 0, spend = true,
    detail = '{"weights":"d3be337100","settings":{"without":[true,"1girl"]}}' })
  s:close()
  local shown = ends(0, folder, "captions log photos/p1.png")
  for _, line in ipairs { "  blip base, free\n      k1\n", "  blip base, a picture of, weights 5e875642, longest 8, penalty 1.5, free\n      k2\n",
    "  blip base, weights 5e875642, free\n      k3\n", "  wd14 vit, weights d3be3371, threshold 0.5, rating true, without solo 1girl, free\n",
    "  wd14 odd, weights d3be3371, without true 1girl, free\n" } do
    check.contains(shown, line)
  end
end)

test("log says of a text that was put together what it was, and of the answer in it what it was for", function()
  local folder = project(1)
  put(folder .. "/photos/p1.txt", "a boat\n")
  caption(folder, "fake {}, append = true")
  local shown = ends(0, folder, "captions log photos/p1.png")
  check.contains(shown, "  fake, for a longer text\n")
  check.contains(shown, "  fake, put after what was there\n      a boat")
  check.ok(not shown:find("comparison", 1, true), shown)
  folder = project(2)
  put(folder .. "/photos/p1.txt", "a boat\n")
  caption(folder, "fake {}, append = true") -- to p2 nothing is joined: its text is the answer alone
  shown = ends(0, folder, "captions log photos/p2.png")
  check.ok(shown:find "%*  1  [%d%-: ]+  fake\n", shown)
  folder = project(1)
  caption(folder, "ensemble { fake {}, fake { seed = 2 } }")
  shown = ends(0, folder, "captions log photos/p1.png")
  check.equal(select(2, shown:gsub("  fake, for the ensemble\n", "")), 2, shown)
end)

test("a picture is named by its path, its caption file, its bare name or its content; otherwise the nearest is said", function()
  local folder = project(2)
  caption(folder, 'template { text = "a {stem}" }')
  put(folder .. "/photos/p1.txt", "a boat\n")
  local sha = sha_of(folder .. "/photos/p1.png")
  for _, name in ipairs { "photos/p1.png", "photos/p1.txt", "photos/p1", "./photos/p1", sha, sha:sub(1, 12):upper() } do
    check.contains(ends(0, folder, "captions log " .. name), "      a p1\n")
  end
  check.contains(ends(0, folder, "captions log " .. sha), "content " .. sha:sub(1, 12) .. "   content")
  os.execute(("cd %s && cp photos/p1.png moved.png && cp photos/p2.png moved.jpg"):format(folder))
  check.contains(ends(0, folder, "captions log moved.png"), "      a p1\n")
  ends(2, folder, "captions log moved", "moved could be moved.jpg, moved.png\n     = name one of them")
  ends(2, folder, "captions log p1", "there is no picture p1\n     = did you mean out/p1.png, photos/p1.png?")
  ends(2, folder, "captions log p2.png", "did you mean out/p2.png, photos/p2.png?")
  ends(2, folder, "captions log photos/p11.png", "did you mean photos/p1.png?")
  ends(2, folder, "captions log zzzz.png", "there is no picture zzzz.png\n     = name a folder, a picture, or the first digits")
  ends(2, folder, "captions log 00000000", "there is no picture 00000000")
  local s = check.ok(store.open(folder .. "/.calotype"))
  for _, end_ in ipairs { "0", "1" } do s:add_caption { sha = "abcd" .. ("0"):rep(59) .. end_, key = "k", text = "t", author = "human" } end
  s:close()
  ends(2, folder, "captions log abcd", "abcd is the beginning of several contents: abcd000000000000, abcd000000000000\n     = give more digits")
  os.execute(("mkdir -p %s/nest/a && cp %s/photos/p1.png %s/nest/a"):format(folder, folder, folder))
  ends(2, folder, "captions log nest", "the folder nest has no pictures: it holds only folders\n     = name one of its folders")
  put(folder .. "/broken.png", "no picture")
  ends(1, folder, "captions log broken.png", "broken.png cannot be read: ")
  check.contains(ends(0, folder, "captions log photos"), "\n2 pictures, 2 texts\n")
end)

test("undo goes back through the texts, redo forth, and the next run uses what came back and asks nobody", function()
  local folder = project(2)
  for _, word in ipairs { "first", "second", "third" } do caption(folder, ('template { text = "a %s {stem}" }'):format(word)) end
  local shown = ends(0, folder, "captions undo photos/p1.png")
  check.equal(shown, "photos/p1.png   from 3 (template) to 2 (template)\n  a [-third-]{+second+} p1\n1 text put back; the next run uses it and asks nobody\n"
    .. "calotype captions redo photos/p1.png brings back what was undone\n")
  check.contains(ends(0, folder, "run r.lua"), "captions: 2 known\n")
  check.equal(read(folder .. "/out/p1.txt"), "a second p1\n")
  check.equal(read(folder .. "/out/p2.txt"), "a third p2\n")
  check.contains(ends(0, folder, "captions undo photos/p1.png"), "[-second-]{+first+}")
  ends(1, folder, "captions undo photos/p1.png", "nothing to undo: photos/p1.png has no earlier text")
  check.contains(ends(0, folder, "run r.lua"), "captions: 2 known\n")
  check.equal(read(folder .. "/out/p1.txt"), "a first p1\n")
  check.contains(ends(0, folder, "captions redo photos/p1.png 2"), "[-first-]{+third+}")
  ends(1, folder, "captions redo photos/p1.png", "has no later text\n     = redo brings back what undo took")
  ends(0, folder, "run r.lua")
  check.equal(read(folder .. "/out/p1.txt"), "a third p1\n")
  check.contains(ends(0, folder, "captions log photos/p1.png"), "*  6  ")
  check.contains(ends(0, folder, "captions log photos/p1.png"), "template, put back from 3\n")
  -- a folder is all its pictures; a text that comes after an undo takes the place of what was undone
  check.contains(ends(0, folder, "captions undo photos 2"), "2 texts put back; the next run uses them")
  caption(folder, 'template { text = "a fourth {stem}" }')
  check.contains(ends(0, folder, "captions undo photos"), "a [-fourth-]{+first+} p2\n")
  image.new(30, 30, { 9, 9, 9 }):save(folder .. "/photos/p3.png")
  check.contains(ends(0, folder, "captions redo photos"), "2 texts put back; the next run uses them and asks nobody; 1 picture with no captions yet\n")
  ends(1, folder, "captions undo photos/p3.png", "photos/p3.png has no captions yet")
  ends(2, folder, "captions undo photos zero", "goes a number of texts back, not 'zero'\n     = a whole number from 1 to 1000")
  for _, count in ipairs { "0", "1.5", "1001" } do ends(2, folder, "captions undo photos " .. count, "not '" .. count .. "'") end
end)

test("a run that goes back to an older question has its texts in force, without another row", function()
  local folder = project(1)
  caption(folder, 'template { text = "a first {stem}" }')
  caption(folder, 'template { text = "a second {stem}" }')
  check.contains(caption(folder, 'template { text = "a first {stem}" }'), "1 known")
  local shown = ends(0, folder, "captions log photos/p1")
  check.contains(shown, ", 2 texts\n*  1  ")
  ends(1, folder, "captions undo photos/p1", "no earlier text")
  check.contains(ends(0, folder, "captions redo photos/p1"), "[-first-]{+second+}")
  ends(0, folder, "run r.lua")
  check.equal(read(folder .. "/out/p1.txt"), "a second p1\n")
end)

test("what a person wrote beside a picture is undone in the file too, and comes back", function()
  local folder = project(2)
  beside(folder, 'template { text = "a {stem}" }, trigger = "zkr"')
  check.equal(read(folder .. "/photos/p1.txt"), "zkr, a p1\n")
  put(folder .. "/photos/p1.txt", "zkr, a boat\n")
  -- undone before any run has seen it: it is not lost
  local shown = ends(0, folder, "captions undo photos/p1.txt")
  check.contains(shown, "from 2 (a person) to 1 (template)\n  [-zkr, -]a [-boat-]{+p1+}\n")
  check.contains(shown, "1 caption file written\n")
  check.contains(ends(0, folder, "run r.lua"), "captions: 2 known\n")
  check.equal(read(folder .. "/photos/p1.txt"), "zkr, a p1\n") -- the export dressed it again
  check.contains(ends(0, folder, "captions redo photos/p1"), "{+zkr, +}a [-p1-]{+boat+}\n")
  check.contains(ends(0, folder, "run r.lua"), "captions: 1 known, 1 by people\n")
  check.equal(read(folder .. "/photos/p1.txt"), "zkr, a boat\n")
  -- two texts of the person
  put(folder .. "/photos/p1.txt", "zkr, a ship")
  ends(0, folder, "run r.lua")
  check.contains(ends(0, folder, "captions undo photos/p1"), "[-ship-]{+boat+}")
  check.equal(read(folder .. "/photos/p1.txt"), "zkr, a boat\n")
  local texts = ends(0, folder, "captions log photos/p1"):match ", (%d+) texts"
  check.contains(ends(0, folder, "run r.lua"), "captions: 1 known, 1 by people\n")
  check.equal(ends(0, folder, "captions log photos/p1"):match ", (%d+) texts", texts) -- what we put back is no new text of the person
  -- a caption file that an export dressed keeps its clothes
  beside(folder, 'template { text = "an old {stem}" }, trigger = "zkr"')
  check.contains(ends(0, folder, "captions undo photos/p2"), "1 caption file written")
  check.equal(read(folder .. "/photos/p2.txt"), "zkr, a p2\n")
end)

test("with replace = true what came back is used as well", function()
  local folder = project(1)
  put(folder .. "/photos/p1.txt", "a boat")
  caption(folder, 'template { text = "a {stem}" }, replace = true')
  check.equal(read(folder .. "/out/p1.txt"), "a p1\n")
  check.contains(ends(0, folder, "captions undo photos/p1"), "from 2 (template) to 1 (a person)")
  check.contains(ends(0, folder, "run r.lua"), "captions: 1 known\n")
  check.equal(read(folder .. "/out/p1.txt"), "a boat\n")
  check.equal(read(folder .. "/photos/p1.txt"), "a boat")
end)

test("a joined caption that was undone stays undone", function()
  local folder = project(1)
  put(folder .. "/photos/p1.txt", "a boat")
  caption(folder, 'template { text = "a {stem}" }, append = true')
  check.equal(read(folder .. "/out/p1.txt"), "a boat. a p1\n")
  check.contains(ends(0, folder, "captions undo photos/p1"), "{+boat+}")
  ends(0, folder, "run r.lua")
  check.equal(read(folder .. "/out/p1.txt"), "a boat\n")
  ends(0, folder, "captions redo photos/p1")
  ends(0, folder, "run r.lua")
  check.equal(read(folder .. "/out/p1.txt"), "a boat. a p1\n")
end)

test("copies of one picture have one history, and their captions are noted once", function()
  local folder = project(1)
  os.execute(("cd %s/photos && cp p1.png p2.png && echo one > p1.txt && echo two > p2.txt"):format(folder))
  for _ = 1, 3 do caption(folder, "fake {}") end
  check.contains(ends(0, folder, "captions log photos/p1.png"), ", 2 texts\n")
  check.contains(ends(0, folder, "captions undo photos"), "1 text put back")
end)

test("a caption file that cannot be written leaves its picture's text as it was", function()
  local folder = project(1)
  beside(folder, 'template { text = "a {stem}" }')
  put(folder .. "/photos/p1.txt", "a boat")
  ends(0, folder, "run r.lua")
  local s <close> = check.ok(store.open(folder .. "/.calotype")) -- its files are there already: nothing may be written from here on
  local out = io.popen(("cd %s && sh -c 'ulimit -f 0; %s captions undo photos/p1.png' 2>&1"):format(folder, program))
  local shown = out:read "a"
  out:close()
  check.contains(shown, "error: photos/p1.txt")
  check.contains(shown, "its picture's text is left as it was")
  check.equal(read(folder .. "/photos/p1.txt"), "a boat\n")
  check.equal(#s:captions(sha_of(folder .. "/photos/p1.png")), 2)
end)

test("diff shows the words that changed, of a picture or a folder, between the texts that are named", function()
  local folder = project(2)
  caption(folder, 'template { text = "a photo of a first {stem} here" }')
  check.equal(ends(0, folder, "captions diff photos/p1"), "photos/p1 has one text only\n")
  caption(folder, 'template { text = "a photo of one second {stem} here" }')
  caption(folder, "fake {}")
  ends(0, folder, "captions undo photos/p2.png")
  local shown = ends(0, folder, "captions diff photos")
  check.ok(shown:find "photos/p1%.png   template, [%d%-: ]+ %-> fake, [%d%-: ]+\n", shown)
  check.contains(shown, "{+one second p2 here+}\n2 of 2 pictures differ\n") -- what the undo changed
  check.contains(ends(0, folder, "captions diff photos/p1 between=1,2"), "\n  a photo of [-a first-]{+one second+} p1 here\n")
  check.contains(ends(0, folder, "captions diff photos/p1 between=first,template"), "[-a first-]{+one second+}")
  check.contains(ends(0, folder, "captions diff photos between=template,now"), "1 of 2 pictures differ, 1 are the same\n")
  check.equal(ends(0, folder, "captions diff photos/p1 between=fake"), "photos/p1: the two texts are the same\n")
  check.equal(ends(0, folder, "captions diff photos/p1 between=person,now"), "photos/p1 does not have both texts\n")
  check.contains(ends(0, folder, "captions diff photos between=2020-01-01,now"), "0 of 2 pictures differ, 2 do not have both texts\n")
  check.equal(ends(0, folder, "captions diff photos/p1 between=2999-01-01,now"), "photos/p1: the two texts are the same\n")
  check.contains(ends(0, folder, "captions diff photos/p1 between=1,9"), "does not have both texts")
  ends(2, folder, "captions diff photos between=tmplate,now", "no text here is of 'tmplate'\n     = did you mean 'template'?")
  ends(2, folder, "captions diff photos between=zzzzzz", "there are fake, first, now, person, template")
  for _, between in ipairs { "a,b,c", ",b", "a,", "" } do ends(2, folder, "captions diff photos between=" .. between, "is not two texts") end
  ends(2, folder, "captions diff photos betwen=1,2", "has no setting 'betwen'\n     = did you mean 'between'?")
end)

test("on a terminal what changed has its colours, and NO_COLOR turns them off", function()
  local folder = project(1)
  caption(folder, 'template { text = "a first {stem}" }')
  caption(folder, 'template { text = "a second {stem}" }')
  local function terminal(before)
    local out = io.popen(("cd %s && %s script -qec '%s captions diff photos/p1' /dev/null </dev/null 2>&1"):format(folder, before, program))
    local text = out:read "a"
    out:close()
    return text
  end
  local shown = terminal "env -u NO_COLOR"
  if shown:find "not found" then skip "script is not installed" end
  check.contains(shown, "a \27[31mfirst\27[0m\27[32msecond\27[0m p1")
  check.contains(terminal "NO_COLOR=1", "a [-first-]{+second+} p1")
end)

test("on a narrow terminal undo, the list of models and help are folded", function()
  local folder = project(1)
  caption(folder, 'template { text = "a first {stem} with quite a few words in it, so that a terminal breaks it" }')
  caption(folder, 'template { text = "a second {stem} with quite a few words in it, so that a terminal breaks it" }')
  local function terminal(words)
    local out = io.popen(("cd %s && NO_COLOR=1 script -qec 'stty cols 60; %s %s' /dev/null </dev/null 2>&1"):format(folder, program, words))
    local text = out:read "a":gsub("\r", "")
    out:close()
    return text
  end
  local shown = terminal "captions undo photos/p1"
  if shown:find "not found" then skip "script is not installed" end
  check.contains(shown, "  a [-second-]{+first+} p1 with quite a few words in it, so\n    that a terminal breaks it\n")
  for _, words in ipairs { "captions undo photos/p1", "captions redo photos/p1 2", "captions log photos", "models ls", "help captions" } do
    for line in terminal(words):gmatch "[^\n]+" do check.ok(utf8.len(line) <= 60 or not line:find " %S+ ", line) end
  end
  check.contains(terminal "help captions", "\n  redo FILE|FOLDER [n]        what undo took comes back\n")
end)

test("a text cannot move the cursor", function()
  local folder = project(1)
  put(folder .. "/photos/p1.txt", "a \27[2Jboat")
  caption(folder, "fake {}")
  check.contains(ends(0, folder, "captions log photos/p1.png"), "a \\x1b[2Jboat")
end)

test("what cannot be logged is told with the next step", function()
  local folder = project()
  ends(2, folder, "captions log photos/p1.png", "there is no store in .calotype\n     = captions are kept in the folder where a recipe ran")
  caption(folder, "fake {}")
  ends(2, folder, "captions log photos/p11.png", "did you mean photos/p1.png?")
  ends(2, folder, "captions lgo photos/p1.png", "no word 'lgo'\n     = did you mean 'log'?")
  ends(2, folder, "captions log", "calotype captions log needs a picture or a folder")
  ends(2, folder, "captions log photos/p1.png photos/p2.png", "'photos/p2.png' is one too many\n     = a folder is all its pictures")
  ends(2, folder, "captions log photos/p1.png x=1", "no setting 'x'")
  image.new(9, 9, { 1, 2, 3 }):save(folder .. "/new.png")
  ends(1, folder, "captions log new.png", "new.png has no captions yet")
end)

-- --- compare -------------------------------------------------------------------------------------------------------------

local difference = require "captions.difference"
local agreement = require "caption.agreement"

test("a word diff keeps what is common and tells what is gone and new", function()
  local function text(old, new)
    local out = {}
    for i, part in ipairs(difference.words(old, new)) do out[i] = type(part) == "string" and part or ("<%s %s>"):format(table.unpack(part)) end
    return table.concat(out)
  end
  check.equal(text("a red boat on the sea", "a blue ship on the sea"), "a <gone red boat><new blue ship> on the sea")
  check.equal(text("a b c d", "b c e d f"), "<gone a >b c <new e >d<new  f>")
  check.equal(text("", "x y"), "<new x y>")
  check.equal(text("x y", ""), "<gone x y>")
  check.equal(text("", ""), "")
  check.equal(text("same text", "same text"), "same text")
  check.equal(text("end", "the end"), "<new the >end")
  check.equal(text("a\nb", "a b"), "a<gone \n><new  >b")
  local long, other = ("a b "):rep(3000), ("c d "):rep(3000)
  check.equal(text("x " .. long .. "y", "x " .. other .. "y"), "x <gone " .. long:sub(1, -2) .. "><new " .. other:sub(1, -2) .. "> y")
  -- whatever it finds, its parts make up both texts
  local random = hash.random(7)
  for _ = 1, 200 do
    local function words()
      local list = {}
      for i = 1, random:below(12) do list[i] = ({ "a", "b", "c", " ", "  " })[random:below(5) + 1] end
      return table.concat(list, " ")
    end
    local a, b, old, new = words(), words(), "", ""
    for _, part in ipairs(difference.words(a, b)) do
      if type(part) == "string" then old, new = old .. part, new .. part
      elseif part[1] == "gone" then old = old .. part[2] else new = new .. part[2] end
    end
    check.equal({ old, new }, { a, b })
  end
end)

test("agreement is Dice's of content words, in any script", function()
  check.near(agreement.of("a red boat on the sea", "The boat is red."), 2 * 2 / 5, 1e-12)
  check.equal(agreement.of("A boat", "the BOAT."), 1)
  check.equal(agreement.of("boat", "ship"), 0)
  check.equal(agreement.of("boat", ""), 0)
  check.equal(agreement.of("the", "an"), nil)
  check.equal(agreement.of("", ""), nil)
  check.near(agreement.of("red red red boat", "red ship"), 0.5, 1e-12)
  check.equal(agreement.of("ein rotes Boot", "das rote Boot"), 0.5)
  check.near(agreement.of("红色的船", "红船"), 2 * 2 / 6, 1e-12)
end)

test("compare asks several on a sample, tells length and agreement, makes a page, and leaves the pictures' texts alone", function()
  local folder = project(6)
  caption(folder, 'template { text = "a {stem}" }')
  local words = "captions compare photos with='fake, fake { seed = 2 }, template { text = \"a boat, {stem}\" }' sample=4"
  local shown = ends(0, folder, words)
  check.contains(shown, "compare 4 pictures of 6 in photos\n  fake: 0 known, 4 to ask\n  fake { seed = 2 }: 0 known, 4 to ask\n")
  check.ok(shown:find "\nwho +captions +words +agreement +cost +seconds\nfake +4 of 4 +%d+ %(%d+ to %d+%) +[01]%.%d%d +free +%-\n", shown)
  check.ok(shown:find '\ntemplate { text = "a boat, {stem}" } +4 of 4 +3 %(3 to 3%) +[01]%.%d%d +free +%-\n', shown)
  check.contains(shown, "\n  fake and fake { seed = 2 } agree by ")
  check.contains(shown, "the captions side by side: out/compare.html\n")
  local page = read(folder .. "/out/compare.html")
  check.contains(page, "4 pictures of 6 in photos")
  check.contains(page, "<mark>boat</mark>")
  check.contains(page, "agreement is the share of content words")
  check.equal(select(2, page:gsub('<section class="beside">', "")), 4)
  check.equal(select(2, page:gsub("data:image/jpeg;base64,", "")), 4)
  -- nobody is asked twice, also not by a recipe; the texts in force were left alone
  check.contains(ends(0, folder, words), "  fake: 4 known, 0 to ask\n")
  check.contains(ends(0, folder, "run r.lua"), "captions: 6 known\n")
  check.contains(caption(folder, "fake {}"), "captions: 2 written, 4 known\n")
  local log_text = ends(0, folder, "captions log photos")
  check.equal(select(2, log_text:gsub("\n%*%s+%d+  [^\n]*  fake", "")), 6)
  check.equal(select(2, log_text:gsub("fake, for a comparison", "")), 8)
  -- one that a run has used since is undone like any other
  check.contains(ends(0, folder, "captions undo photos"), "6 texts put back")
  check.contains(ends(0, folder, "captions redo photos"), "6 texts put back")
  check.contains(ends(0, folder, "run r.lua"), "captions: 6 known\n")
  check.ok(read(folder .. "/out/p1.txt"):find "picture of")
  check.contains(ends(0, folder, "captions undo photos"), "6 texts put back")
  -- the sample is the same whatever the pictures' names
  local function shown_pictures(name)
    local list = {}
    for bytes in read(folder .. "/out/" .. name):gmatch "data:image/jpeg;base64,([^\"]+)" do list[#list + 1] = bytes end
    table.sort(list)
    return list
  end
  os.execute(("cd %s/photos && for i in 1 2 3 4 5 6; do mv p$i.png q$i.png; done"):format(folder))
  ends(0, folder, words .. " to=out/other.html")
  check.equal(shown_pictures "other.html", shown_pictures "compare.html")
  check.contains(read(folder .. "/out/other.html"), "picture of") -- fake's own words, not those that undo put in their place
end)

test("compare takes people's captions as one side, and a picture or a folder without a store", function()
  local folder = project(2)
  put(folder .. "/photos/p1.txt", "a boat")
  local shown = ends(0, folder, "captions compare photos with='sidecar, template { text = \"a red boat\" }'")
  check.ok(shown:find "\nsidecar +1 of 2 +2 %(2 to 2%) +0%.67 +free +%-\n", shown)
  check.contains(ends(0, folder, "captions compare photos/p2 with=fake,sidecar to=one.html"), "\nsidecar   0 of 1     -               -           -      -\n")
  check.contains(read(folder .. "/one.html"), "no caption")
  check.contains(ends(0, folder, "show .calotype"), "the last: captions compare photos/p2, ok")
end)

test("compare has a column for how well captions belong to their pictures, where a matcher is there", function()
  local folder, words = project(3), { "[PAD]" }
  for i = 1, 88 do words[#words + 1] = "word" .. i end
  local function matcher(name)
    os.execute(("mkdir -p %s/%s && cp tests/golden/blip/matcher/* %s/%s"):format(folder, name, folder, name))
    put(("%s/%s/vocab.txt"):format(folder, name), table.concat(words, "\n") .. "\n[UNK]\n[CLS]\n[MASK]\n[SEP]\n.\n")
  end
  matcher "itm"
  local with = "captions compare photos with='template { text = \"word1 word2\" }, template { text = \"word7\" }' "
  check.ok(not ends(0, folder, with):find "match")
  local shown = ends(0, folder, with .. "match=itm")
  check.contains(shown, "  how well each belongs to its picture is asked of itm, on this machine\n")
  check.ok(shown:find "seconds +match\n", shown)
  check.equal(select(2, shown:gsub("free +%- +0%.%d%d\n", "")), 2, shown)
  check.equal(select(2, read(folder .. "/out/compare.html"):gsub("word.?, match [%d.e-]+", "")), 6)
  check.contains(ends(2, folder, with .. "match=gone"), "there is no model gone")
  check.contains(ends(2, folder, with .. "match=photos"), "photos has no config.json")
  matcher "models/blip-itm-base-coco" -- found where `calotype get` puts it
  check.contains(ends(0, folder, with), "is asked of models/blip-itm-base-coco")
end)

test("what cannot be compared is told before anybody is asked", function()
  local folder = project(1)
  local function refused(words, part) check.contains(ends(2, folder, "captions compare " .. words), part) end
  refused("photos", "needs with=: who is compared\n     = for example with=gemini,openai")
  refused("photos with=fake", "one alone cannot be compared")
  refused("photos with=fake,fake", "has fake twice")
  refused("photos with=fake,fkae", "'fkae' is not defined\n     = did you mean 'fake'?")
  refused("photos with=fake,images", "number 2 of it is not who writes captions")
  refused("photos with=fake,3", "number 2 of it is not who writes captions")
  refused("photos with='fake,('", "cannot be read")
  refused("photos with='fake, template { txt = 1 }'", "unknown option 'txt' for template")
  refused("photos with='fake, auto'", "with=fake, auto: ")
  refused("photos with=fake,sidecar to=page.txt", "the page page.txt is not .html")
  refused("photos with=fake,sidecar to=photos/p1.png/x.html", "photos/p1.png")
  refused("phtos with=fake,sidecar", "did you mean photos?")
  for _, count in ipairs { "0", "x", "1.5", "201", "" } do refused("photos with=fake,sidecar sample=" .. count, "is no number of pictures") end
  refused("photos wiht=fake", "has no setting 'wiht'\n     = did you mean 'with'?")
end)

test("compare asks services on the road of :caption, pays once, and one that cannot be asked leaves the others", function()
  if not pcall(require, "native.net") then skip "this build has no network" end
  local folder, server <close> = project(5), dofile "tests/fake.lua".start()
  put(folder .. "/.env", ("OPENAI_BASE_URL=%s\n"):format(server:url "ok=compare"))
  local words = "captions compare photos with='openai { model = \"llava\", free = true }, fake, gemini' sample=3"
  local code, shown = run(folder, words)
  check.equal(code, 2, shown) -- gemini has no key
  check.ok(shown:find '\nopenai { model = "llava" } +3 of 3 +5 %(5 to 5%) +0%.00 +free +%d+%.%d\n', shown)
  check.contains(shown, "warning: gemini: gemini needs a key")
  check.contains(shown, "\n  openai: 3 captions, 3 requests, free, ")
  check.equal(server:counts "ok=compare".produced, 3)
  check.equal((run(folder, words)), 2)
  check.equal(server:counts "ok=compare".produced, 3)
  put(folder .. "/r.lua", 'images "photos":caption { with = openai { model = "llava", free = true } }:export { as = "sidecars", to = "out/c" }')
  check.contains(ends(0, folder, "run r.lua"), "captions: 2 written, 3 known")
  check.equal(server:counts "ok=compare".produced, 5)
  for i = 1, 5 do check.ok(read(("%s/out/c/p%d.txt"):format(folder, i)):find "^a small test picture, %x+\n$") end
  local s = check.ok(store.open(folder .. "/.calotype"))
  check.equal(s:spent().requests, 5)
  check.equal(s:spent().cost, 0)
end)

-- --- killed at any moment --------------------------------------------------------------------------------------------------

-- A provider that is not instant, costs something, and says what it has done: emit returns when the caption is kept.
local SLOW = [[
local log = require "native.log"
return {
  name = "fake", version = 1, author = "model", doc = "slow", example = "fake {}", options = {},
  ask = function(items, _, emit, context)
    for i, item in ipairs(items) do
      if i % 5 == 0 then context.spent { provider = "fake", model = "f-1", cost = 0.25, sha = item.sha256, why = "blocked" } end
      log.put("spent " .. item.sha256)
      emit(i, "a caption", { model = "f-1", cost = 0.5, tokens = { input = 10, output = 2 } })
      log.put("said " .. item.sha256)
    end
  end,
}]]

test("a run that is killed at any moment has kept every caption it told of, with what it cost, and asks for no more than the rest", function()
  local folder, count, rounds = tmp "project", 300, 30
  os.execute(("mkdir -p %s/photos %s/lib/caption"):format(folder, folder))
  put(folder .. "/lib/caption/fake.lua", SLOW)
  for i = 1, count do put(("%s/photos/%03d.png"):format(folder, i), image.new(8, 8, { i % 256, i // 256, 7 }):encode "png") end
  put(folder .. "/r.lua", 'images "photos":caption { with = fake {} }:expect { captioned = true }')
  local scan = 'images "photos":expect { rejected = 0 }'
  put(folder .. "/scan.lua", scan)
  ends(0, folder, "run -q scan.lua")
  local random, said, cut = hash.random(tonumber(os.getenv "SEED") or 3), {}, 0
  for round = 1, rounds do
    local wait = 0.01 + random:below(1000) / 1000 * 0.15
    os.execute(("cd %s && { CALOTYPE_STDLIB=lib %s run -q r.lua >said 2>/dev/null </dev/null & p=$!; sleep %.3f; kill -9 $p; wait $p; } 2>/dev/null")
      :format(folder, program, wait))
    local told = read(folder .. "/said")
    for sha in told:gmatch "said (%x+)\n" do
      check.equal(said[sha], nil, "asked again in round " .. round)
      said[sha] = true
    end
    if told ~= "" then cut = cut + 1 end
    local s <close> = check.ok(store.open(folder .. "/.calotype"))
    for sha in told:gmatch "said (%x+)\n" do
      local rows, spends = s:captions(sha), s:spends(sha)
      check.equal({ #rows, rows[1].text, rows[1].cost, rows[1].in_force }, { 1, "a caption", 0.5, true })
      check.equal(spends[#spends].caption, rows[1].id)
      check.equal(spends[#spends].cost, 0.5)
    end
  end
  if cut == 0 then skip "this machine is too busy to get to a caption in 0.16 s" end
  local out = io.popen(("cd %s && CALOTYPE_STDLIB=lib %s run -q r.lua; echo \"exit $?\""):format(folder, program))
  local told = out:read "a"
  out:close()
  check.contains(told, "exit 0\n")
  for sha in told:gmatch "said (%x+)\n" do
    check.equal(said[sha], nil)
    said[sha] = true
  end
  local s <close> = check.ok(store.open(folder .. "/.calotype"))
  local captions, spends, blocked = 0, 0, 0
  for i = 1, count do
    local sha = sha_of(("%s/photos/%03d.png"):format(folder, i))
    local rows = s:captions(sha)
    captions = captions + #rows
    for _, spend in ipairs(s:spends(sha)) do
      if spend.caption then
        spends = spends + 1
        check.equal(spend.caption, rows[1].id)
      else
        blocked = blocked + 1
        check.equal({ spend.why, spend.cost }, { "blocked", 0.25 })
      end
    end
  end
  check.equal({ captions, spends }, { count, count }) -- each once, none without the other
  check.ok(blocked > 0)
  check.near(s:spent().cost, count * 0.5 + blocked * 0.25, 1e-9)
end)

test("Ctrl-C ends compare when the questions under way are answered, and all answers are kept", function()
  local fake = dofile "tests/fake.lua"
  local folder, server <close> = project(4), fake.start()
  put(folder .. "/.env", ("OPENAI_BASE_URL=%s\n"):format(server:url "ok@4000=stopped"))
  local words = "captions compare photos with='fake, openai { model = \"llava\", free = true }'"
  local _, exit = fake.ended(("cd %s && exec %s %s </dev/null"):format(folder, program, words), folder .. "/said", function()
    return os.execute(server:until_requests("ok@4000=stopped", 4))
  end, "INT")
  local shown = read(folder .. "/said")
  check.equal(exit, 130, shown)
  check.contains(shown, "waiting up to 20 s for 4 answers under way; Ctrl-C again does not wait\n") -- a free server: nothing is paid
  check.contains(shown, "4 captions written and kept, 0 still without\n")
  local code, text = run(folder, "captions log photos/p1")
  check.equal(code, 0, shown .. text)
  check.contains(text, "fake, for a comparison\n")
  check.contains(text, "  openai llava, prompt ")
  check.contains(ends(0, folder, "show .calotype"), "the last: captions compare photos, interrupted")
end)

test("pictures that a service blocks are left out of a comparison, and the log says so", function()
  local folder, server <close> = project(4), dofile "tests/fake.lua".start()
  put(folder .. "/.env", ("GEMINI_BASE_URL=%s\nGEMINI_API_KEY=AQ.nobody\n"):format(server:url "blocked=compare"))
  local shown = select(2, run(folder, "captions compare photos with=fake,gemini"))
  check.ok(shown:find "\ngemini +0 of 4 +%- +%- +%- +%-\n", shown)
  check.contains(read(folder .. "/out/compare.html"), "no caption")
  check.equal(shown:find("AQ.nobody", 1, true), nil)
  local text = ends(0, folder, "captions log photos")
  check.ok(text:find "gemini [^\n]*, no caption: [^\n]*, %$" or not text:find "no caption", text)
  local asked = server:counts "blocked=compare".requests
  run(folder, "captions compare photos with=fake,gemini")
  check.equal(server:counts "blocked=compare".requests, asked) -- what was blocked is not asked again
end)
