-- Providers that look at pictures on this machine: blip {} and wd14 {}, on the whole road of a recipe.
local device = require "native.device"
local fitted = require "caption.fitted"
local fs = require "native.fs"
local goldens = dofile "tests/goldens.lua"
local hash = require "native.hash"
local hub_folder = require "models.hub_folder"
local image = require "native.image"
local json = require "native.json"
local loader = require "native.loader"
local log = require "native.log"
local pickle = dofile "tests/pickle.lua"
local recipes = dofile "tests/recipes.lua"
local script = require "native.script"
local store = require "native.store"
local tagger = require "models.tagger"
local native_text = require "native.text"

local function copy(from, place, to, names)
  fs.make_folder(place.path(to))
  for _, name in ipairs(names) do place.write(to .. "/" .. name, assert(fs.read(from .. "/" .. name))) end
end

local WORDS = goldens.words

-- A place with `count` pictures and both models of the goldens in it.
local function place_with(count)
  local place = recipes.new(tmp "place")
  for i = 1, count do place.photo(("p%d.png"):format(i), { seed = i, width = 60 + 10 * i, height = 50 }) end
  goldens.model(place, "blip/captioner", "blip")
  goldens.model(place, "wd14", "wd14")
  return place
end

-- What a run warns of.
local function warned(place, text)
  local say, list = log.say, {}
  log.say = function(level, line) if level == "warning" then list[#list + 1] = line else say(level, line) end end
  local done = place.run(text)
  log.say = say
  return done, table.concat(list, "\n")
end

local function captions(place)
  local out = {}
  for _, entry in ipairs(fs.list(place.path "out") or {}) do
    local stem = entry.path:match "([^/]+)%.txt$"
    if stem then out[stem] = (assert(fs.read(entry.path)):gsub("\n$", "")) end
  end
  return out
end

local SIDECARS = [[images "@/photos":caption { with = %s }:export { as = "sidecars", to = "@/out" }]]
-- A random model goes in circles unless that costs much.
local BLIP = 'blip { model = "@/blip", beams = %d, longest = %d, shortest = 3, penalty = 4%s }'
local SHORT = BLIP:format(2, 5, "")

local function row_of(place, name)
  local s <close> = assert(store.open(place.path "store"))
  local row = s:captions(hash.sha256(place.read("photos/" .. name)))[1]
  row.detail = json.decode(row.detail)
  return row
end

test("wd14: a folder is tagged, the surest first, characters last; a second run asks nobody", function()
  local place = place_with(3)
  local with = 'wd14 { model = "@/wd14", threshold = 0.6, character_threshold = 0.5, rating = true, without = { "smile" } }'
  local done = place.run(SIDECARS:format(with))
  check.equal(done.exit, 0, done.text)
  for stem, text in pairs(captions(place)) do
    local list = {}
    for tag in text:gmatch "[^,]+" do list[#list + 1] = tag:gsub("^ ", "") end
    check.ok(({ general = true, sensitive = true, questionable = true, explicit = true })[list[1]], stem .. ": " .. text)
    check.ok(not text:find "smile", text)
    check.ok(not text:find "hatsune.*,[^,]*%f[%w]sky", text)
  end
  check.contains(place.run(SIDECARS:format(with)).log, "3 known")
  local row = row_of(place, "p1.png")
  check.equal({ row.provider, row.model, row.cost }, { "wd14", "wd14", 0 })
end)

-- `open` of captioner or tagger, until the test ends: what it gives is `it`, whatever is asked.
local function instead(of, it)
  local open = of.open
  of.open = function() return setmetatable(it, { __close = function() end }) end
  return setmetatable({}, { __close = function() of.open = open end })
end

test("wd14: each kind of tag has its threshold; 1 names nobody, however sure the model is; other tags in the folder are asked for again", function()
  local place = place_with(1)
  local sure = { solo = 0.7, sky = 0.9, smile = 0.59, tree = 0.7, explicit = 0.2, general = 0.1, ["hatsune_miku"] = 1, ["saber_(fate)"] = 0.65 }
  local function with(more) return SIDECARS:format(('wd14 { model = "@/wd14", threshold = 0.6%s }'):format(more)) end
  local function tags(more)
    local found = {}
    for i, tag in ipairs(hub_folder.wd14(place.path "wd14").tags) do found[i] = sure[tag.name] or 0 end
    local _ <close> = instead(tagger, { look = function() return { found } end })
    check.equal(place.run(with(more)).exit, 0)
    return captions(place).p1
  end
  check.equal(tags "", "sky, solo, tree, hatsune miku")
  check.equal(tags ", character_threshold = 0.5", "sky, solo, tree, hatsune miku, saber (fate)")
  check.equal(tags ", character_threshold = 1, rating = true", "explicit, sky, solo, tree")
  check.contains(place.plan(with "").out, "1 known")
  place.write("wd14/selected_tags.csv", (place.read "wd14/selected_tags.csv":gsub("solo", "alone")))
  check.contains(place.plan(with "").out, "1 to ask for")
end)

test("blip: what its texts become: words, ends and circles; a row says of which prompt and whether it was cut", function()
  local place, longest = place_with(1), 6
  local function write(ids, ended)
    longest = longest + 1 -- another question
    local it = { write = function() return { { ids = ids, ended = ended, text = #ids > 2 and "word" .. ids[2] or "." } } end }
    local _ <close> = instead(require "models.captioner", it)
    local done, said = warned(place, ([[images "@/photos":caption { with = blip { model = "@/blip", prompt = "word1", longest = %d } }
      :sheet { to = "@/out/sheet.png" }]]):format(longest))
    check.equal(done.exit, 0, done.text)
    return said
  end
  check.contains(write({ 94, 92 }, true), "BLIP had no words for it")
  check.contains(write({ 94, 5, 7, 7, 7, 7, 92 }, true), "goes in circles (\"word5\")")
  check.contains(write({ 94, 5, 1, 2, 1, 2, 1, 2 }, false), "goes in circles")
  check.equal(write({ 94, 6, 7, 7, 7, 7, 5 }, false), "") -- what it came out of again is no circle
  local row = row_of(place, "p1.png")
  check.equal({ row.text, row.prompt, row.detail.finish }, { "word6", "word1", "length" })
  check.equal(write({ 94, 5, 7, 7, 7, 92 }, true), "") -- and "very, very, very" is said
end)

test("wd14: pictures are made ready as timm's are: white behind, a white border, bicubic, blue first", function()
  local place, names = place_with(0), { "photo-0.jpg", "photo-5.jpg", "resize-alpha.png" }
  for _, name in ipairs(names) do place.write("photos/" .. name, assert(fs.read("tests/golden/image/" .. name))) end
  local done = place.run(SIDECARS:format('wd14 { model = "@/wd14", threshold = 0.495, character_threshold = 0.495 }'))
  check.equal(done.exit, 0, done.text)
  -- The tags of tests/golden/wd14/golden.safetensors from 0.495 on, which none is nearer to than 0.02; another JPEG decoder moves them by less.
  check.equal(captions(place), {
    ["photo-0"] = '^_^, a b, tree, blue eyes, poster (object), outdoors, red hair, hatsune miku, saber (fate)',
    ["photo-5"] = '^_^, smile, no humans, "quoted", sky, 1girl, hatsune miku, saber (fate)',
    ["resize-alpha"] = '^_^, no humans, long hair, solo, smile, sky, "quoted", hatsune miku, saber (fate)',
  })
end)

test("wd14: a tag with a comma is one tag, one that stands twice in the list is given once; without takes either way of writing it", function()
  local place = place_with(1)
  local with = 'wd14 { model = "@/wd14", threshold = 0.01, character_threshold = 1%s }'
  local list = place.read "wd14/selected_tags.csv":gsub("sky", "Long Hair")
  place.write("wd14/selected_tags.csv", list)
  local function given(more)
    check.equal(place.run(SIDECARS:format(with:format(more))).exit, 0)
    local text = captions(place).p1
    return select(2, ("," .. text .. ","):gsub(", ?a b%f[,]", "")), select(2, text:gsub("long hair", "")), select(2, text:gsub(", *b%f[,]", ""))
  end
  check.equal({ given "" }, { 1, 1, 0 })
  check.equal({ given ', without = { "a,_b", "long_hair" }' }, { 0, 0, 0 })
  check.equal({ given ', without = { "A b" }' }, { 0, 1, 0 })
end)

test("wd14: a rating that no tag of the model gives is told by check", function()
  local place = place_with(1)
  place.write("wd14/selected_tags.csv", (place.read "wd14/selected_tags.csv":gsub(",9,", ",5,")))
  local done = place.check(SIDECARS:format 'wd14 { model = "@/wd14", rating = true }')
  check.contains(done.text, "this tagger does not rate pictures: no line of @/wd14/selected_tags.csv has category 9")
  check.equal(place.check(SIDECARS:format 'wd14 { model = "@/wd14" }').exit, 0)
end)

test("blip: a folder is captioned; how many go at once changes no text", function()
  local place = place_with(5)
  local texts = {}
  for _, batch in ipairs { 1, 2, 5, 16 } do
    local other = place_with(5)
    local done = other.run(SIDECARS:format(BLIP:format(2, 5, (", batch = %d"):format(batch))))
    check.equal(done.exit, 0, done.text)
    texts[#texts + 1] = captions(other)
    check.equal(texts[#texts], texts[1], "batch " .. batch)
  end
  check.equal(place.run(SIDECARS:format(SHORT)).exit, 0)
  check.contains(place.run(SIDECARS:format(SHORT)).log, "5 known")
  check.contains(place.run(SIDECARS:format(BLIP:format(2, 5, ", batch = 3"))).log, "5 known") -- not asked again for another batch
  local row = row_of(place, "p1.png")
  check.equal({ row.provider, row.model, row.cost }, { "blip", "blip", 0 })
end)

test("blip: another model in the same folder asks again, the same one elsewhere does not", function()
  local place = place_with(2)
  check.equal(place.run(SIDECARS:format(SHORT)).exit, 0)
  copy(place.path "blip", place, "moved", { "config.json", "model.safetensors", "vocab.txt" })
  check.contains(place.run(SIDECARS:format((SHORT:gsub("@/blip", "@/moved")))).log, "2 known")
  local words = table.concat(WORDS, "\n"):gsub("word7\n", "other\n")
  place.write("moved/vocab.txt", words)
  check.contains(place.plan(SIDECARS:format((SHORT:gsub("@/blip", "@/moved")))).out, "2 to ask for")
end)

test("what becomes of pictures is a part of the model: with another mean it is asked again", function()
  local place = place_with(2)
  place.write("blip/preprocessor_config.json", '{"image_mean": [0.5, 0.5, 0.5]}')
  check.equal(place.run(SIDECARS:format(SHORT)).exit, 0)
  check.contains(place.run(SIDECARS:format(SHORT)).log, "2 known")
  place.write("blip/preprocessor_config.json", '{"image_mean": [0.5, 0.5, 0.25]}')
  check.contains(place.plan(SIDECARS:format(SHORT)).out, "2 to ask for")
  place.write("blip/preprocessor_config.json", '{"image_mean": [0.5, 0.5, 0.5]}')
  check.contains(place.run(SIDECARS:format(SHORT)).log, "2 known")
  place.write("blip/tokenizer_config.json", '{"do_lower_case": false}')
  check.contains(place.plan(SIDECARS:format(SHORT)).out, "2 to ask for")
end)

test("with each answer is kept whose it is: the model by content, and what it was asked with", function()
  local place = place_with(1)
  check.equal(place.run(SIDECARS:format(BLIP:format(2, 6, ', prompt = "word1"'))).exit, 0)
  local row = row_of(place, "p1.png")
  check.equal({ row.author, row.provider, row.model, row.prompt, row.cost }, { "model", "blip", "blip", "word1", 0 })
  check.equal(row.detail.settings, { beams = 2, longest = 6, shortest = 3, penalty = 4, dtype = "f32" })
  check.ok(row.detail.weights:find "^%x+$" and #row.detail.weights == 64)
  local other = place_with(1)
  check.equal(other.run(SIDECARS:format 'wd14 { model = "@/wd14", threshold = 0.6, without = { "solo" } }').exit, 0)
  row = row_of(other, "p1.png")
  check.equal({ row.provider, row.prompt, row.detail.settings.threshold, row.detail.settings.without }, { "wd14", nil, 0.6, { "solo" } })
  check.ok(row.detail.weights:find "^%x+$")
end)

test("blip: one plan serves a folder: pictures are read once a batch, then it runs once for each word of all beams; nothing is built between", function()
  local layers, part = require "models.layers", require "models.part"
  local place, plan_of, new_graph, ran, plans, graphs = place_with(5), part.plan, layers.new, {}, 0, 0
  local _ <close> = setmetatable({}, { __close = function() part.plan, layers.new = plan_of, new_graph end })
  part.plan = function(...)
    local plan, io, code = plan_of(...)
    plans = plans + 1
    layers.new = function(...)
      graphs = graphs + 1
      return new_graph(...)
    end
    local shell = {}
    for _, name in ipairs { "set", "bytes", "get", "close" } do shell[name] = function(_, ...) return plan[name](plan, ...) end end
    function shell.run(_, step)
      ran[#ran + 1] = step:sub(1, 1)
      return plan:run(step)
    end
    return setmetatable(shell, { __close = function() plan:close() end }), io, code
  end
  local done = place.run(SIDECARS:format((BLIP:format(3, 12, ", batch = 2"):gsub("shortest = 3", "shortest = 12"))))
  check.equal({ plans, graphs }, { 1, 0 })
  -- Three batches; the pictures and the first token make the first word, and each further one of twelve is a step.
  check.equal(table.concat(ran), ("a" .. ("s"):rep(10)):rep(3), done.text)
end)

test("blip: a prompt is how a caption begins", function()
  local place = place_with(2)
  local done = place.run(SIDECARS:format(BLIP:format(2, 6, ', prompt = "word1 Word2"')))
  check.equal(done.exit, 0, done.text)
  for _, text in pairs(captions(place)) do check.contains(text, "word1 word2") end
  local too_long = place.run(SIDECARS:format(BLIP:format(2, 3, ', prompt = "word1 word2"')))
  check.contains(too_long.text, "the prompt has 2 tokens, so a caption of 3 has no room")
  check.equal(too_long.exit, 2)
  check.contains(place.check(SIDECARS:format(BLIP:format(2, 6, ', prompt = "word1 qqq"'))).text, "no word for a part of the prompt")
  place.write("blip/tokenizer_config.json", '{"do_lower_case": false}')
  check.contains(place.check(SIDECARS:format(BLIP:format(2, 6, ', prompt = "Word1"'))).text, "no word for a part of the prompt")
  local marked = place.check(SIDECARS:format 'blip { model = "@/blip", prompt = "[SEP]" }').text
  check.contains(marked, "[SEP] in it, which ends a text")
  check.ok(marked:find 'prompt = "%[SEP%]".-\n%s+|%s+^^^^^^^\n' and not marked:find "longest", marked) -- what is wrong is what is pointed at
  for _, mark in ipairs { "[CLS]", "[PAD]", "[MASK]" } do
    check.contains(place.check(SIDECARS:format(BLIP:format(2, 6, (', prompt = "word1 %s"'):format(mark)))).text,
      ("the prompt has %s in it, which is no word"):format(mark))
  end
  local beyond = place.check(SIDECARS:format(BLIP:format(2, 40, "")))
  check.contains(beyond.text, "40 tokens are asked for; this model writes 16 at most")
  check.contains(beyond.text, "write longest = 16, or less")
  check.equal(beyond.exit, 2)
  local least = place.check(SIDECARS:format('blip { model = "@/blip", shortest = 9, longest = 8 }'))
  check.contains(least.text, "shortest = 9 and longest = 8")
end)

test("blip: what goes in circles is named and left out, the others are captioned", function()
  local place = place_with(4)
  local done, said = warned(place, [[images "@/photos":caption { with = blip { model = "@/blip", beams = 1, longest = 16, shortest = 12 } }
    :sheet { to = "@/out/sheet.png" }]])
  check.equal(done.exit, 0, done.text)
  check.contains(done.log, "3 written, 1 without")
  check.contains(said, "p3.png is left without: its caption goes in circles (\"word12 ")
  check.contains(said, "penalty = 1.3 or other words as prompt may help")
end)

test("how far it is counts pictures that are left without, too", function()
  local place, progress, far = place_with(4), log.progress, {}
  local _ <close> = setmetatable({}, { __close = function() log.progress = progress end })
  log.progress = function(name, total, ...)
    local bar = progress(name, total, ...)
    if name ~= "captions" then return bar end
    local function set(_, done)
      far[#far + 1] = ("%d of %d"):format(done, total)
      bar:set(done)
    end
    return setmetatable({ set = set, note = function(_, ...) bar:note(...) end, close = function() bar:close() end }, { __close = function() bar:close() end })
  end
  place.run [[images "@/photos":caption { with = blip { model = "@/blip", beams = 1, longest = 16, shortest = 12, batch = 1 } }:sheet { to = "@/out/sheet.png" }]]
  check.equal(far[#far], "4 of 4", table.concat(far, "; "))
end)

test("what a model had no usable words for is not looked at again before another question is asked", function()
  local place = place_with(4)
  local captioner = require "models.captioner"
  local open, opened = captioner.open, 0
  local _ <close> = setmetatable({}, { __close = function() captioner.open = open end })
  captioner.open = function(...)
    opened = opened + 1
    return open(...)
  end
  local circles = [[images "@/photos":caption { with = blip { model = "@/blip", beams = 1, longest = 16, shortest = %d } }:sheet { to = "@/out/sheet.png" }]]
  check.contains(place.run(circles:format(12)).log, "3 written, 1 without")
  place.photo("p5.png", { seed = 4, width = 100, height = 52 })
  for runs = 2, 3 do
    if runs == 3 then place.write("photos/p6.png", place.read "photos/p5.png") end
    local done, said = warned(place, circles:format(12))
    check.equal({ done.exit, opened }, { 0, 2 }, done.text)
    check.contains(said, "1 picture is left without as in an earlier run: p3.png; penalty = 1.3 or other words as prompt may help")
  end
  local planned = place.plan(circles:format(12))
  check.contains(planned.out .. planned.text, "captions: 5 known, 1 without")
  check.ok(not (planned.out .. planned.text):find "to ask for")
  check.contains(place.run(circles:format(11)).log, "written")
  check.equal(opened, 3)
  local none = [[images "@/photos":caption { with = wd14 { model = "@/wd14", threshold = 1, character_threshold = 1 } }:sheet { to = "@/out/sheet.png" }]]
  local _, first = warned(place, none)
  check.contains(first, "p3.png is left without: no tag is as sure as 1; a lower threshold gives more")
  local _, again = warned(place, none)
  check.contains(again, "6 pictures are left without as in an earlier run: p1.png, p2.png, p3.png and 3 more; a lower threshold gives more")
end)

test("blip: words of any script are a caption", function()
  local place, lines = place_with(2), { table.unpack(WORDS) }
  for i, word in ipairs(lines) do if word:find "^word" then lines[i] = utf8.char(0x4E00 + 7 * i) end end
  place.write("blip/vocab.txt", table.concat(lines, "\n") .. "\n")
  local done, said = warned(place, SIDECARS:format(SHORT))
  check.equal({ done.exit, said }, { 0, "" }, done.text)
  for _, text in pairs(captions(place)) do check.ok(utf8.len(text) > 2 and not text:find "%w", text) end
end)

test("a picture that cannot be decoded, or is another one by now, is named in the middle of a batch; the others are looked at", function()
  local place = place_with(4)
  local items, said = {}, {}
  for i = 1, 4 do
    local path = place.path(("photos/p%d.png"):format(i))
    items[i] = { path = path, sha256 = hash.sha256(assert(fs.read(path))) }
  end
  place.photo("p2.png", { seed = 9 })
  local half = place.read "photos/p3.png":sub(1, 200)
  place.write("photos/p3.png", half)
  items[3].sha256 = hash.sha256(half)
  local s <close> = assert(store.open(place.path "store"))
  local context = { fail = error, store = function() return { native = s } end }
  local function leave(item, why) said[#said + 1] = item.path .. ": " .. why end
  local got = {}
  for numbers, floats in fitted.batches(context, items, { device = device.open(), batch = 2, side = 4, leave = leave }) do
    got[#got + 1] = { table.concat(numbers, " "), #floats }
  end
  check.equal(got, { { "1 4", 2 * 4 * 4 * 3 * 4 } })
  check.contains(said[1], "p2.png: it changed since it was looked at; run again")
  check.contains(said[2], "p3.png: the PNG is cut off")
end)

-- What each of those who look says of every picture of a place whose captions stand beside them: its recipe, and how its account counts them.
local LOOKERS = {
  { SIDECARS:format(BLIP:format(2, 5, "")):gsub(":export.*", ':sheet { to = "@/out/sheet.png" }'), "captions: %d written, %d without" },
  { SIDECARS:format 'wd14 { model = "@/wd14", threshold = 0.01 }':gsub(":export.*", ':sheet { to = "@/out/sheet.png" }'), "captions: %d written, %d without" },
  { [[images "@/photos":caption { with = template { text = "word5" } }:score { model = "@/itm" }:sheet { to = "@/out/sheet.png" }]],
    "match: %d computed, %d left without" },
}

local function with_matcher(place)
  copy("tests/golden/blip/matcher", place, "itm", { "config.json", "model.safetensors" })
  place.write("itm/vocab.txt", place.read "blip/vocab.txt")
end

test("a picture that is gone, cut short or another one since the folder was read is named, left out and counted by each who looks", function()
  for _, looker in ipairs(LOOKERS) do
    local place, open = place_with(5), loader.open
    with_matcher(place)
    local _ <close> = setmetatable({}, { __close = function() loader.open = open end })
    loader.open = function(...)
      loader.open = open
      fs.remove(place.path "photos/p1.png")
      place.photo("p3.png", { seed = 33 })
      place.write("photos/p4.png", place.read "photos/p4.png":sub(1, 200))
      return open(...)
    end
    local done, said = warned(place, looker[1])
    check.contains(done.log, looker[2]:format(2, 3), done.text)
    check.contains(said, "p1.png is left without: cannot be found: No such file")
    check.contains(said, "p3.png is left without: it changed since it was looked at; run again")
    check.contains(said, "p4.png is left without: it changed since it was looked at; run again")
    check.equal(select(2, said:gsub("left without", "")), 3)
    check.ok(not said:find "p2.png" and not said:find "p5.png", said)
  end
end)

test("pictures of every kind are looked at: CMYK, 16 bits, alpha, palettes, one bit, animations, one pixel", function()
  local names = { "jpeg-cmyk.jpg", "jpeg-gray.jpg", "jpeg-orient6.jpg", "png-rgb16.png", "png-gray-alpha16.png", "png-palette-alpha.png", "png-gray1.png",
    "gif-animated.gif", "resize-alpha-bicubic-1x1.png" }
  for _, looker in ipairs(LOOKERS) do
    local place = place_with(0)
    with_matcher(place)
    for _, name in ipairs(names) do place.write("photos/" .. name, assert(fs.read("tests/golden/image/" .. name))) end
    local done, said = warned(place, looker[1])
    check.contains(done.log, looker[2]:format(#names, 0):gsub(", 0.*", ""), said .. done.text)
  end
end)

test("a line of 20,000 pixels is squeezed for BLIP and refused by a tagger, which would need a square of it", function()
  for i, looker in ipairs(LOOKERS) do
    local place = place_with(1)
    with_matcher(place)
    place.write("photos/line.png", image.new(20000, 1):encode "png")
    local done, said = warned(place, looker[1])
    check.contains(done.log, i == 2 and looker[2]:format(1, 1) or looker[2]:format(2, 0):gsub(", 0.*", ""), said .. done.text)
    if i == 2 then check.contains(said, "line.png is left without: 20000 x 1 with a border that makes it a square is too large; crop it") end
  end
end)

-- Items of a folder's pictures, a context around a store, and the floats that a provider made of them by itself before.
local function looked(place, count)
  local items, expected = {}, {}
  for i = 1, count do
    local path = place.path(("photos/p%d.png"):format(i))
    local bytes = assert(fs.read(path))
    items[i] = { path = path, sha256 = hash.sha256(bytes) }
    expected[i] = image.floats { assert(image.decode(bytes, path)):rgb({ 255, 255, 255 }):resize(8, 8, "bicubic") }
  end
  local s = assert(store.open(place.path "store"))
  return items, { fail = error, store = function() return { native = s } end }, expected
end

test("pictures come in the items' order, the last batch short, also where they take longer to decode than the next", function()
  local place = place_with(7)
  place.photo("p1.png", { seed = 1, width = 1500, height = 1200 })
  place.photo("p4.png", { seed = 4, width = 1500, height = 1200 })
  local items, context, expected = looked(place, 7)
  for _, most in ipairs { 1, 2, 3, 7, 20 } do
    for _, cpu in ipairs { true, false } do -- one thread, or all there are
      local got, all = {}, {}
      local it = { info = function() return { cpu = cpu } end }
      for numbers, floats in fitted.batches(context, items, { device = it, batch = most, side = 8 }) do
        check.ok(#numbers == most or numbers[#numbers] == 7)
        got[#got + 1] = floats
        table.move(numbers, 1, #numbers, #all + 1, all)
      end
      check.equal(all, { 1, 2, 3, 4, 5, 6, 7 })
      check.ok(table.concat(got) == table.concat(expected), "batches of " .. most)
    end
  end
end)

test("the next batch is asked for before this one is worked on, and no more; the loader is closed however the loop ends", function()
  local place = place_with(9)
  local items, context = looked(place, 9)
  local open, asked, closed, threads, handed = loader.open, 0, 0, {}, {}
  loader.open = function(from, with)
    local l = assert(open(from, with))
    threads[#threads + 1] = with.threads
    local shell = { pending = function() return l:pending() end }
    function shell.next()
      local answer = l:next()
      if answer then handed[#handed + 1] = answer.image end
      return answer
    end
    function shell.ask(_, tag, options)
      asked = asked + 1
      return l:ask(tag, options)
    end
    return setmetatable(shell, { __close = function() closed = closed + 1 l:close() end })
  end
  local _ <close> = setmetatable({}, { __close = function() loader.open = open end })
  local how, seen = { device = device.open(), batch = 2, side = 8 }, {}
  for _ in fitted.batches(context, items, how) do seen[#seen + 1] = asked end
  check.equal({ seen, closed }, { { 4, 6, 8, 9, 9 }, 1 })
  check.equal(#handed, 9)
  for _, picture in ipairs(handed) do check.contains(tostring(picture), "closed") end -- not when it pleases the collector
  for _ in fitted.batches(context, items, { device = { info = function() return {} end }, batch = 9, side = 8 }) do closed = 0 end
  check.equal({ threads, closed }, { { device.open():info().cpu and 1 or 0, 0 }, 1 })
  for numbers in fitted.batches(context, items, how) do
    if numbers[1] == 3 then break end
  end
  check.equal(closed, 2)
  check.fails("the device is gone", function()
    for numbers in fitted.batches(context, items, how) do error(#numbers == 2 and "the device is gone") end
  end)
  check.equal(closed, 3)
  local interrupted = script.interrupted
  local _ <close> = setmetatable({}, { __close = function() script.interrupted = interrupted end })
  local stopping = { store = context.store, warn = error, fail = function(message, more) error(message .. more.exit, 0) end }
  seen = 0
  check.fails("stopped130", function()
    for _ in fitted.batches(stopping, items, how) do
      seen = seen + 1
      script.interrupted = function() return 1 end
    end
  end)
  check.equal({ seen, closed }, { 1, 4 })
end)

test("a model that is not there: the command that brings it is told", function()
  local place = place_with(1)
  local text = [[images "@/photos":caption { with = %s }:sheet { to = "@/out/sheet.png" }]]
  check.contains(place.check(text:format "blip {}").text, "`calotype get hf:Salesforce/blip-image-captioning-base` brings it")
  check.contains(place.check(text:format "wd14 {}").text, "`calotype get hf:SmilingWolf/wd-vit-tagger-v3` brings it")
  check.contains(place.check(text:format 'blip { model = "@/m/blip-image-captioning-large" }').text,
    "`calotype get hf:Salesforce/blip-image-captioning-large to=")
  for _, name in ipairs { "hf:Salesforce/blip-image-captioning-large", "Salesforce/blip-image-captioning-large", "blip-image-captioning-large" } do
    check.contains(place.check(text:format(("blip { model = %q }"):format(name))).text,
      '`calotype get hf:Salesforce/blip-image-captioning-large` brings it, for model = "models/blip-image-captioning-large"')
  end
  check.contains(place.check(text:format 'wd14 { model = "hf:Some/one" }').text, '`calotype get hf:Some/one` brings it, for model = "models/one"')
end)

test("ensemble: taggers vote, captioners are chosen from; both kinds together are refused", function()
  local place = place_with(2)
  copy(place.path "wd14", place, "other", { "config.json", "model.safetensors", "selected_tags.csv" })
  local both = 'ensemble { wd14 { model = "@/wd14", threshold = 0.6 }, wd14 { model = "@/other", threshold = 0.6 } }'
  check.equal(place.run(SIDECARS:format(both)).exit, 0)
  local voted = captions(place)
  local alone = place_with(2)
  check.equal(alone.run(SIDECARS:format('wd14 { model = "@/wd14", threshold = 0.6 }')).exit, 0)
  check.equal(voted, captions(alone)) -- of one opinion
  local done = place.run(SIDECARS:format(('ensemble { %s, %s }'):format(SHORT, BLIP:format(2, 6, ""))))
  check.equal(done.exit, 0, done.text)
  local mixed = place.check(SIDECARS:format(('ensemble { %s, wd14 { model = "@/wd14" } }'):format(SHORT)))
  check.contains(mixed.text, "has members that write tags and members that write sentences")
end)

test("wd14: what it writes is a list of tags for whoever shortens it, joins it or stands in a list with it", function()
  local place = place_with(2)
  local names = {}
  for i = 1, 20 do names[i] = ("%d,%s,%d,1"):format(i, i == 1 and "general" or ("blue_door_%d"):format(i), i == 1 and 9 or 0) end
  place.write("wd14/selected_tags.csv", "tag_id,name,category,count\n" .. table.concat(names, "\n") .. "\n")
  local function with(threshold) return ('wd14 { model = "@/wd14", threshold = %g }'):format(threshold) end
  local function told(recipe)
    local done = place.run(recipe .. ':export { as = "sidecars", to = "@/out" }')
    check.equal(done.exit, 0, done.text)
    return captions(place)
  end
  local all = told('images "@/photos":caption { with = ' .. with(0.01) .. " }")
  for _, text in pairs(told('images "@/photos":caption { with = ' .. with(0.01) .. ', trigger = "zkr", words_above = 3 }')) do
    check.equal(text, "zkr") -- no half of "blue door 8"
  end
  local one = place.run(('images "@/photos/p1.png":caption { with = wd14 { model = "@/wd14", threshold = 0.01, without = { %s } } }'):format(
    '"' .. all.p1:match "^[^,]+, (.*)$":gsub(", ", '", "') .. '"') .. ':caption { with = ' .. with(0.01) .. ', append = true }:export { as = "sidecars", to = "@/out" }')
  check.equal(one.exit, 0, one.text)
  check.equal(captions(place).p1, all.p1)
  for list, complaint in pairs { [("{ gemini {}, %s }"):format(with(0.5))] = "has wd14 {}, which writes tags, and gemini {}, which writes sentences",
    [('{ gemini { style = "tags" }, %s }'):format(SHORT)] = "has gemini {}, which writes tags, and blip {}, which writes sentences" } do
    check.contains(place.check(SIDECARS:format(list)).text, complaint)
  end
  check.equal(place.check(SIDECARS:format(('{ gemini { style = "tags" }, %s }'):format(with(0.5)))).exit, 0)
end)

test("blip: Ctrl-C is noticed between two words, however large the batch is", function()
  local place, best, interrupted, asked = place_with(2), native_text.best, script.interrupted, 0
  local _ <close> = setmetatable({}, { __close = function() native_text.best, script.interrupted = best, interrupted end })
  native_text.best = function(...)
    asked = asked + 1
    script.interrupted = function() return 1 end
    return best(...)
  end
  local done = place.run(SIDECARS:format(BLIP:format(2, 16, "")))
  check.equal(done.exit, 130, done.text)
  check.contains(done.text, "what was done so far is kept")
  check.equal(asked, 2) -- the first word of both pictures
end)

-- A model with numbers put in at a tensor's beginning.
local function numbers_in(place, file, tensor, ...)
  local bytes = place.read(file)
  local size = string.unpack("<I8", bytes)
  local from = json.decode(bytes:sub(9, 8 + size))[tensor].data_offsets[1] + 8 + size
  local new = string.pack("<" .. ("f"):rep(select("#", ...)), ...)
  place.write(file, bytes:sub(1, from) .. new .. bytes:sub(from + #new + 1))
end

test("a model of the size and time of the one before is not taken for it: another file in its place, the same file written to", function()
  local place = place_with(2)
  local file, time = place.path "blip/model.safetensors", place.path "time"
  local function given_time(to, from) check.ok(os.execute(("touch -r '%s' '%s'"):format(from, to))) end
  given_time(time, file)
  check.contains(place.run(SIDECARS:format(SHORT)).log, "2 written")
  check.contains(place.run(SIDECARS:format(SHORT)).log, "2 known")
  numbers_in(place, "blip/model.safetensors", "text_decoder.cls.predictions.bias", 0.5)
  given_time(file, time)
  check.contains(place.run(SIDECARS:format(SHORT)).log, "2 written")
  local handle = assert(io.open(file, "r+b"))
  handle:seek("end", -4)
  handle:write(string.pack("<f", 0.125))
  handle:close()
  given_time(file, time)
  check.contains(place.run(SIDECARS:format(SHORT)).log, "2 written")
  check.contains(place.run(SIDECARS:format(SHORT)).log, "2 known")
end)

test("a model that is replaced while it is read is told: nothing is kept under the name of the other one", function()
  for with, name in pairs { ['wd14 { model = "@/wd14", threshold = 0.5 }'] = "tagger", [SHORT] = "captioner" } do
    local place, models = place_with(2), require("models." .. name)
    local file, open <const> = name == "tagger" and "wd14" or "blip", models.open
    function models.open(options)
      numbers_in(place, file .. "/model.safetensors", name == "tagger" and "head.bias" or "text_decoder.cls.predictions.bias", 1, 2, 3)
      return open(options)
    end
    local done = place.run(SIDECARS:format(with))
    models.open = open
    check.equal(done.exit, 1)
    check.contains(done.text, ("@/%s changed while it was read"):format(file))
    check.contains(place.run(SIDECARS:format(with)).log, "captions: 2 written")
  end
end)

test("Ctrl-C and a device that fails while a model is read: the folder is not blamed", function()
  local place, captioner = place_with(1), require "models.captioner"
  local open <const> = captioner.open
  for code, exit in pairs { INTERRUPT = 130, DEVICE = 1 } do
    function captioner.open() return nil, "interrupted", code end
    local ok, done = pcall(place.run, SIDECARS:format(SHORT))
    captioner.open = open
    check.equal(ok and done.exit, exit)
    check.ok(not done.text:find "whole folder", done.text)
  end
end)

test("a caption that nothing came to join or to replace stays, with what the recipe puts on it, and is told as what it is", function()
  local place = place_with(2)
  place.write("photos/p1.txt", "a person's words")
  for _, mode in ipairs { "append", "prepend", "replace" } do
    local done, said = warned(place, ([[images "@/photos":caption { with = wd14 { model = "@/wd14", threshold = 1, character_threshold = 1 }, %s = true,
      trigger = "zkr" }:keep_if(function(p) return p.caption end):export { as = "sidecars", to = "@/out" }]]):format(mode))
    check.equal(done.exit, 0, done.text)
    check.contains(done.log, "captions: 1 as they were, 1 without")
    check.contains(said, "1 picture keeps the caption it had: no other came")
    check.contains(said, "1 picture has no caption")
    check.equal(captions(place).p1, "zkr, a person's words")
  end
end)

test("blip: what is no word is not said", function()
  local place = place_with(1)
  numbers_in(place, "blip/model.safetensors", "text_decoder.cls.predictions.bias", 1000) -- of [PAD]
  local done, said = warned(place, [[images "@/photos":caption { with = ]] .. SHORT .. [[ }:sheet { to = "@/out/sheet.png" }]])
  check.equal(done.exit, 0, done.text)
  check.contains(said, "p1.png is left without: BLIP had no words for it")
end)

test("blip: a model whose numbers run over is named", function()
  local place = place_with(1)
  numbers_in(place, "blip/model.safetensors", "vision_model.embeddings.patch_embedding.bias", 3e38, 3e38)
  local done = place.run(SIDECARS:format(SHORT))
  check.equal(done.exit, 1)
  check.contains(done.text, "blip: its numbers run over in the only picture that it looked at")
  check.contains(done.text, "get the whole folder again")
  numbers_in(place, "blip/model.safetensors", "vision_model.embeddings.patch_embedding.bias", 0 / 0)
  done = place.run(SIDECARS:format(SHORT))
  check.contains(done.text, "1 of its numbers are not finite")
  check.contains(done.text, "get the whole folder again")
end)

-- Pictures whose floats are none, until the test ends: those of the nth batch that is(n, k).
local function spoiled(is)
  local floats, n = image.floats, 0
  image.floats = function(list)
    local bytes, parts = floats(list), {}
    n = n + 1
    for k = 1, #list do
      local each = #bytes // #list
      parts[k] = is(n, k) and string.pack("<f", 0 / 0):rep(each // 4) or bytes:sub((k - 1) * each + 1, k * each)
    end
    return table.concat(parts)
  end
  return setmetatable({}, { __close = function() image.floats = floats end })
end

test("a picture in which a model's numbers run over is named, with what may help, and left out; the others get theirs", function()
  for i, looker in ipairs(LOOKERS) do
    local place = place_with(6)
    with_matcher(place)
    local _ <close> = spoiled(function(n, k) return n == 1 and k == 2 end)
    local done, said = warned(place, looker[1])
    check.equal(done.exit, 0, done.text)
    check.contains(done.log, looker[2]:format(5, 1))
    check.contains(said, "p2.png is left without: the model's numbers run over in it; another model may help")
    check.equal(select(2, said:gsub("is left without", "")), 1)
    if i < 3 then -- it is not looked at again
      done, said = warned(place, looker[1])
      check.contains(done.log, "captions: 5 known, 1 without")
      check.contains(said, "1 picture is left without as in an earlier run: p2.png; another model may help")
    end
    for n = 7, 8 do place.photo(("p%d.png"):format(n), { seed = n, width = 60 + 10 * n, height = 50 }) end
    local _ <close> = spoiled(function() return true end) -- the model that gave numbers once is not to blame for those
    done, said = warned(place, looker[1])
    check.equal(done.exit, 0, done.text)
    check.contains(said, "p7.png is left without: the model's numbers run over in it")
    check.contains(said, "p8.png is left without: the model's numbers run over in it")
  end
end)

test("where a model's numbers run over in all that it looks at first, it is the model that is named, with what may help", function()
  for _, looker in ipairs(LOOKERS) do
    for _, dtype in ipairs { "f32", "bf16" } do
      local place, batches = place_with(6), 0
      with_matcher(place)
      local _ <close> = spoiled(function(n) batches = n return true end)
      local text = dtype == "f32" and looker[1] or looker[1]:gsub('model = "@/(%w+)"', '%0, dtype = "bf16", batch = 3')
      local done, said = warned(place, text)
      check.equal(done.exit, 1)
      check.contains(done.text, ("its numbers run over in all %d pictures that it looked at"):format(dtype == "f32" and 4 or 6))
      check.contains(done.text, (dtype == "f32" and "= " or 'dtype = "f32", or ') .. "get the whole folder again")
      check.equal({ batches, said:find "is left without" }, { dtype == "f32" and 1 or 2 })
    end
    local place = place_with(3) -- all there are
    with_matcher(place)
    local _ <close> = spoiled(function() return true end)
    check.contains(place.run(looker[1]).text, "its numbers run over in all 3 pictures")
  end
end)

test("of many pictures that stay without the first three have a line each; the others are a number, and the log says why of each", function()
  local place = place_with(6)
  local with = [[images "@/photos":caption { with = wd14 { model = "@/wd14", threshold = %g, character_threshold = 1, batch = 2 } }:sheet { to = "@/out/s.png" }]]
  local done, said = warned(place, with:format(1))
  check.equal(done.exit, 0, done.text)
  check.equal(select(2, said:gsub("is left without: no tag is as sure as 1; a lower threshold gives more", "")), 3)
  check.contains(said, ("3 more pictures are left without: p4.png, p5.png, p6.png; `calotype captions log %s` says why of each"):format(place.path "photos"))
  local s <close> = assert(store.open(place.path "store"))
  for i = 1, 6 do
    local row = s:spends(hash.sha256(place.read(("photos/p%d.png"):format(i))))[1]
    check.equal({ row.provider, row.model, row.cost, row.why }, { "wd14", "wd14", 0, "no tag is as sure as 1; a lower threshold gives more" })
  end
  fs.remove(place.path "photos/p5.png")
  fs.remove(place.path "photos/p6.png")
  local four = select(2, warned(place, with:format(0.999))) -- the last of four has its line, too
  check.equal(select(2, four:gsub("is left without: no tag is as sure as 0.999", "")), 4)
end)

test("copies of a picture that stay without are told each and logged once; where the log is asked for is quoted, and no folder where there are several", function()
  local place = place_with(1)
  for n = 1, 5 do place.write(("my photos/c%d.png"):format(n), place.read "photos/p1.png") end
  local with = [[images { %s }:caption { with = wd14 { model = "@/wd14", threshold = %g, character_threshold = 1 } }:sheet { to = "@/out/s.png" }]]
  local _, said = warned(place, with:format('"@/my photos"', 1))
  check.equal(select(2, said:gsub("is left without: no tag", "")), 3)
  check.contains(said, ('2 more pictures are left without: c4.png, c5.png; `calotype captions log "%s"` says why of each'):format(place.path "my photos"))
  do
    local s <close> = assert(store.open(place.path "store"))
    check.equal(#s:spends(hash.sha256(place.read "photos/p1.png")), 1)
  end
  _, said = warned(place, with:format('"@/my photos", "@/photos"', 0.999))
  check.contains(said, "3 more pictures are left without: c4.png, c5.png, p1.png; `calotype captions log FOLDER` says why of each")
end)

test("wd14: Ctrl-C while it looks keeps what there is", function()
  local place, open = place_with(2), tagger.open
  local _ <close> = setmetatable({}, { __close = function() tagger.open = open end })
  tagger.open = function(options)
    local it = assert(open(options))
    function it.look() return nil, "stopped", "INTERRUPT" end
    return it
  end
  local done = place.run(SIDECARS:format 'wd14 { model = "@/wd14", threshold = 0.5 }')
  check.equal(done.exit, 130)
  check.contains(done.text, "what was done so far is kept")
end)

test("Ctrl-C after a batch was looked at keeps all of its captions, and the next run asks for the others", function()
  local interrupted = script.interrupted
  local _ <close> = setmetatable({}, { __close = function() script.interrupted = interrupted end })
  for with, name in pairs { ['wd14 { model = "@/wd14", threshold = 0.5, batch = 3 }'] = "tagger", [BLIP:format(2, 5, ", batch = 3")] = "captioner" } do
    local place, models = place_with(5), require("models." .. name)
    local open <const>, method = models.open, name == "tagger" and "look" or "write"
    function models.open(options)
      local it = assert(open(options))
      local work = it[method]
      it[method] = function(...)
        local found, message, code = work(...)
        script.interrupted = function() return 1 end
        return found, message, code
      end
      return it
    end
    local done = place.run(SIDECARS:format(with))
    models.open, script.interrupted = open, interrupted
    check.equal(done.exit, 130, done.text)
    check.contains(place.run(SIDECARS:format(with)).log, "captions: 2 written, 3 known")
  end
end)

-- Each: what is done to the folder, what `check` says of it.
local BROKEN = {
  { "the folder is not there", function() end, "there is no model @/gone", "blip", "gone" },
  { "no config", function(place) fs.remove(place.path "blip/config.json") end, "blip has no config.json, which every model's folder has", "blip" },
  { "pictures", function() end, "photos has no config.json, which every model's folder has", "wd14", "photos" },
  { "a file in the folder", function() end, "blip/model.safetensors is a file; a model is its whole folder", "blip", "blip/model.safetensors" },
  { "no weights", function(place) fs.remove(place.path "blip/model.safetensors") end, "no model.safetensors and no pytorch_model.bin", "blip" },
  { "a pickle that is cut", function(place)
    fs.remove(place.path "blip/model.safetensors")
    place.write("blip/pytorch_model.bin", "PK")
  end, "pytorch_model.bin is not a zip archive, or is cut short", "blip" },
  { "a pickle that runs something", function(place)
    fs.remove(place.path "blip/model.safetensors")
    place.write("blip/pytorch_model.bin", assert(fs.read "tests/golden/pickle/runs.bin"))
  end, "pytorch_model.bin wants to run posix.system; only tensors are read", "blip" },
  { "no words", function(place) fs.remove(place.path "blip/vocab.txt") end, "no vocab.txt and no tokenizer.json", "blip" },
  { "too few words", function(place) place.write("blip/vocab.txt", table.concat(WORDS, "\n", 1, 80) .. "\n[UNK]\n[CLS]\n[SEP]\n") end,
    "vocab.txt has 83 words, the config's vocab_size is 96", "blip" },
  { "words without the special ones", function(place) place.write("blip/vocab.txt", "a\nb\n") end, 'the begin token "[CLS]" is not in it', "blip" },
  { "other shapes", function(place)
    place.write("blip/config.json", (place.read "blip/config.json":gsub('"hidden_size": 24', '"hidden_size": 30')))
  end, "config.json and the weights are not of one model", "blip" },
  { "heads that do not fit", function(place)
    place.write("blip/config.json", (place.read "blip/config.json":gsub('"num_attention_heads": 3', '"num_attention_heads": 5')))
  end, "24 channels do not fall into 5 heads", "blip" },
  { "a block less than the weights have", function(place)
    place.write("wd14/config.json", (place.read "wd14/config.json":gsub('"depth": 2', '"depth": 1')))
  end, 'the config has no place for tensor "blocks.1.attn.proj.bias"', "wd14" },
  { "other pictures", function(place) place.write("blip/preprocessor_config.json", '{"size": {"height": 384, "width": 384}}') end,
    "32 x 32, the config's image_size, is expected", "blip" },
  { "another resize", function(place) place.write("blip/preprocessor_config.json", '{"resample": 2}') end, "resample is 2; 3, bicubic, is expected", "blip" },
  { "no spread", function(place) place.write("blip/preprocessor_config.json", '{"image_std": [0, 1, 1]}') end, "image_std is [0,1,1]", "blip" },
  { "no tags", function(place) fs.remove(place.path "wd14/selected_tags.csv") end, "selected_tags.csv", "wd14" },
  { "too few tags", function(place) place.write("wd14/selected_tags.csv", "tag_id,name,category,count\n1,a,0,9\n") end,
    "selected_tags.csv has 1 tags, the config's num_classes is 20", "wd14" },
  { "a tag with a control character", function(place)
    place.write("wd14/selected_tags.csv", (place.read "wd14/selected_tags.csv":gsub("sky", "s\27[31mky")))
  end, "line 17 has a tag with a control character", "wd14" },
  { "a tag that is no text", function(place)
    place.write("wd14/selected_tags.csv", (place.read "wd14/selected_tags.csv":gsub("sky", "s\xFFky")))
  end, "line 17 has a tag with a control character, or that is not UTF-8", "wd14" },
  { "a word with a NUL", function(place) place.write("blip/vocab.txt", (place.read "blip/vocab.txt":gsub("word7\n", "word7\0\n"))) end,
    "vocab.txt: line 8 has a control character", "blip" },
  { "a word that is no text", function(place) place.write("blip/vocab.txt", (place.read "blip/vocab.txt":gsub("word7\n", "word\xE9\n"))) end,
    "vocab.txt: line 8 is not UTF-8", "blip" },
  { "a word twice", function(place) place.write("blip/vocab.txt", (place.read "blip/vocab.txt":gsub("word7\n", "word3\r\n"))) end,
    'token "word3" comes twice (lines 4 and 8)', "blip" },
  { "empty lines", function(place) place.write("blip/vocab.txt", place.read "blip/vocab.txt" .. "\n\n") end,
    'token "" comes twice (lines 95 and 96)', "blip" },
  { "a flood of words", function(place) place.write("blip/vocab.txt", ("word\n"):rep(4 << 20)) end,
    "vocab.txt has more than 16 MB, so it is no list of words", "blip" },
  { "a flood of words in tokenizer.json", function(place)
    fs.remove(place.path "blip/vocab.txt")
    place.write("blip/tokenizer.json", "{" .. (" "):rep(17 << 20) .. "}")
  end, "tokenizer.json has more than 16 MB, so it is no list of words", "blip" },
  { "a flood of tags", function(place) place.write("wd14/selected_tags.csv", ("1,abc,0,1\n"):rep(4 << 20)) end,
    "selected_tags.csv has 40 MB, so it is no list of 20 tags; at most 4 MB are read", "wd14" },
  { "no CSV", function(place) place.write("wd14/selected_tags.csv", 'tag_id,name,category,count\n1,"a,0,9\n') end, "line 2 is no line of CSV", "wd14" },
  { "other columns", function(place) place.write("wd14/selected_tags.csv", "id,tag\n") end, 'names no columns "name" and "category"', "wd14" },
  { "a class token", function(place)
    place.write("wd14/config.json", (place.read "wd14/config.json":gsub('"class_token": false', '"class_token": true')))
  end, "has a class_token", "wd14" },
}

test("a model's folder that may not be looked at is told as that: nothing has to be fetched", function()
  local place, stat = place_with(1), fs.stat
  os.execute("rm -r " .. place.path "blip")
  local _ <close> = setmetatable({}, { __close = function() fs.stat = stat end })
  fs.stat = function(path)
    if path:find "/blip$" then return nil, path .. " cannot be found: Permission denied", "DENIED" end
    return stat(path)
  end
  local done = place.check [[images "@/photos":caption { with = blip { model = "@/blip" } }:sheet { to = "@/out/sheet.png" }]]
  check.contains(done.text, "blip cannot be found: Permission denied")
  check.contains(done.text, "whose are they?")
  check.equal(done.text:find("calotype get", 1, true), nil)
end)

test("a model's folder that is broken is told by check, with what to do", function()
  for _, case in ipairs(BROKEN) do
    local name, breaks, said, provider, folder = table.unpack(case)
    local place = place_with(1)
    breaks(place)
    local done = place.check(([[images "@/photos":caption { with = %s { model = "@/%s" } }:sheet { to = "@/out/sheet.png" }]]):format(provider,
      folder or provider))
    check.ok(not (done.text:find "whole folder again" and done.text:find "save the model again"), name .. ": " .. done.text)
    check.ok(done.exit == 1 or done.exit == 2, name .. ": " .. tostring(done.exit))
    check.contains(done.text, said, name)
    check.ok(done.text:find "whole folder" or done.text:find "did you mean" or done.text:find "save the model again"
      or done.text:find "brings", name .. ": " .. done.text)
  end
end)

test("what is wrong with a folder is told with the command that brings it, and of other dtypes what to save them as", function()
  local place = place_with(1)
  local text = [[images "@/photos":caption { with = blip { model = "@/%s" } }:sheet { to = "@/out/sheet.png" }]]
  copy("tests/golden/blip/captioner", place, "m/blip-image-captioning-base", { "config.json", "model.safetensors" })
  check.contains(place.check(text:format "m/blip-image-captioning-base").text, "get the whole folder again: `calotype get hf:Salesforce/blip-image-captioning-base to=")
  fs.remove(place.path "blip/vocab.txt")
  check.contains(place.check(text:format "blip").text, "get the whole folder again from where it came from")
  place.write("blip/calotype.json", '{"from":"hf:some/one","files":{}}')
  check.contains(place.check(text:format "blip").text, "get the whole folder again: `calotype get hf:some/one to=")
  place.write("blip/vocab.txt", table.concat(WORDS, "\n") .. "\n")
  local bytes = place.read "blip/model.safetensors"
  local whole = bytes:gsub('("text_decoder%.cls%.predictions%.bias":{[^}]*"dtype":)"F32"', '%1"I32"')
  if whole == bytes then whole = bytes:gsub('"dtype":"F32"', '"dtype":"I32"', 1) end
  place.write("blip/model.safetensors", whole)
  local done = place.check(text:format "blip")
  check.contains(done.text, "has the dtype I32; F32, F16, BF16 and F64 are weights")
  check.contains(done.text, "save the model again as one of these")
  check.ok(not done.text:find "not of one model", done.text)
end)

test("blip: a model that is only there as pytorch_model.bin writes the same captions", function()
  local place = place_with(2)
  check.equal(place.run(SIDECARS:format(SHORT)).exit, 0)
  local before = captions(place)
  fs.remove(place.path "blip/model.safetensors")
  pickle.write(place.path "blip/pytorch_model.bin", "tests/golden/blip/captioner/model.safetensors")
  local done = place.run(SIDECARS:format(SHORT))
  check.equal(done.exit, 0, done.text)
  check.contains(done.log, "2 written") -- another file, so it is asked again
  check.equal(captions(place), before)
end)

test("a vocabulary whose lines end as on Windows, with a mark of UTF-8 before them, writes the same captions", function()
  local place = place_with(2)
  check.equal(place.run(SIDECARS:format(SHORT)).exit, 0)
  local before = captions(place)
  place.write("blip/vocab.txt", "\xEF\xBB\xBF" .. place.read "blip/vocab.txt":gsub("\n", "\r\n"))
  local done = place.run(SIDECARS:format(SHORT))
  check.contains(done.log, "2 written", done.text)
  check.equal(captions(place), before)
end)

test("a vocabulary is found in tokenizer.json too, and whether letters become small", function()
  local place = place_with(1)
  local vocabulary = {}
  for i, word in ipairs(WORDS) do vocabulary[word] = i - 1 end
  fs.remove(place.path "blip/vocab.txt")
  place.write("blip/tokenizer.json", json.encode { model = { type = "WordPiece", vocab = vocabulary } })
  local done = place.run(SIDECARS:format(SHORT))
  check.equal(done.exit, 0, done.text)
  local prompted = BLIP:format(2, 6, ', prompt = "Word7"')
  check.equal(place.check(SIDECARS:format(prompted)).exit, 0)
  place.write("blip/tokenizer.json", json.encode { model = { type = "WordPiece", vocab = vocabulary }, normalizer = { type = "BertNormalizer", lowercase = false } })
  check.contains(place.check(SIDECARS:format(prompted)).text, "no word for a part of the prompt")
  place.write("blip/tokenizer_config.json", '{"do_lower_case": true}')
  check.equal(place.check(SIDECARS:format(prompted)).exit, 0)
  place.write("blip/tokenizer.json", json.encode { model = { type = "BPE", vocab = vocabulary } })
  check.contains(place.check(SIDECARS:format(SHORT)).text, "a WordPiece vocabulary, numbered from 0, is expected")
end)
