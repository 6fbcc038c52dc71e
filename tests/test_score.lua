-- :score, how well captions belong to their pictures: the numbers, what is made of them, and what may be wrong.
local fs = require "native.fs"
local device = require "native.device"
local goldens = dofile "tests/goldens.lua"
local hash = require "native.hash"
local hub_folder = require "models.hub_folder"
local json = require "native.json"
local lint = require "caption.lint"
local log = require "native.log"
local matched = require "caption.matched"
local recipes = dofile "tests/recipes.lua"
local scorer = require "models.scorer"
local stores = require "native.store"

local GOLDEN = "tests/golden/blip/"

local WORDS = goldens.words

-- The small matcher of the goldens, as a folder of the hub.
local function matcher(place, name) goldens.model(place, "blip/matcher", name) end

-- A place with `count` pictures, captions beside all but those that `without` names, and a matcher.
local function place_with(count, without)
  local place = recipes.new(tmp "place")
  fs.make_folder(place.path "itm")
  matcher(place, "itm")
  for i = 1, count do
    place.photo(("p%d.png"):format(i), { seed = i, width = 60 + 10 * i, height = 50 })
    if not (without and without[i]) then place.write(("photos/p%d.txt"):format(i), ("word%d word%d"):format(i, 3 * i)) end
  end
  return place
end

local SCORE = ':score { model = "@/itm" }'
local SHEET = ':sheet { to = "@/out/sheet.png" }'
local function recipe(after) return 'images "@/photos"' .. SCORE .. (after or "") .. SHEET end

-- What a run warns of.
local function warned(place, text)
  local say, list = log.say, {}
  log.say = function(level, line) if level == "warning" then list[#list + 1] = line else say(level, line) end end
  local done = place.run(text)
  log.say = say
  return done, table.concat(list, "\n")
end

-- The number that the store has for a picture and its caption.
local function last(place, name, text)
  local s <close> = assert(stores.open(place.path "store"))
  return matched.last(s, hash.sha256(place.read("photos/" .. name)), text)
end

local function numbers(name) return goldens.numbers(GOLDEN .. "matcher.safetensors", name) end

-- The goldens' pixels and the bytes of one picture; of(x, channel) makes of normalised ones what the scorer is to get: -1 to 1.
local function floats(of)
  local list, shape = goldens.pixels(GOLDEN .. "matcher.safetensors", "pixels", of or goldens.unblip)
  return goldens.floats(list), #list // shape[1] * 4
end

local function open(place, options)
  local model = assert(hub_folder.blip(place.path "itm", "matcher"))
  options.model, options.device = model, assert(device.open())
  return scorer.open(options)
end

test("scorer: texts belong to pictures as transformers says, whatever their length and however many go at once", function()
  local place, long = place_with(0), {}
  for i = 3, 32 do long[#long + 1] = "word" .. 1 + i % 80 end
  local texts, expected = { "Word5 word6 word7", "word40.", table.concat(long, " ") }, numbers "belongs"
  local pixels, each = floats()
  for _, batch in ipairs { 3, 4, 1 } do
    local it = assert(open(place, { dtype = "f32", batch = batch }))
    for first = 1, 3, batch do
      local most = math.min(batch, 3)
      local found = assert(it:score(pixels:sub((first - 1) * each + 1, (first - 1 + most) * each), table.move(texts, first, first + most - 1, 1, {})))
      check.equal(#found, most)
      for k, one in ipairs(found) do
        check.ok(math.abs(one.match - expected[first + k - 1]) < 1e-5, ("batch %d, text %d: %g, not %g"):format(batch, first + k - 1, one.match,
          expected[first + k - 1]))
        check.equal(one.cut, first + k - 1 == 3 and 16 or 0)
      end
    end
    it:close()
  end
end)

test("scorer: a text that cannot be read and a model without numbers leave that picture without; too little memory is told", function()
  local place = place_with(0)
  local pixels, each = floats()
  local it = assert(open(place, { dtype = "f32", batch = 2 }))
  local found = assert(it:score(pixels:sub(1, 2 * each), { "word1 \xff", "word40." }))
  check.contains(found[1].why, "not UTF-8")
  check.equal(found[1].match, nil)
  check.ok(found[2].match)
  it:close()
  check.equal(check.refused('need', open(place, { dtype = "f32", batch = 2, memory = 1000 })), "LIMIT")
  local huge = string.pack("<f", 3e38):rep(48) -- sums of it are no numbers any more
  local path = place.path "itm/model.safetensors"
  local bytes = assert(fs.read(path))
  local size = string.unpack("<I8", bytes)
  local at = 9 + size + json.decode(bytes:sub(9, 8 + size))["itm_head.weight"].data_offsets[1]
  assert(fs.write(path, bytes:sub(1, at - 1) .. huge .. bytes:sub(at + #huge)))
  it = assert(open(place, { dtype = "f32", batch = 1 }))
  check.equal(it:score(pixels:sub(1, each), { "word1" })[1], { cut = 0, over = true })
  it:close()
end)

test("scorer: pixels are prepared as preprocessor_config.json says; [SEP] written in a text does not end it", function()
  local place, expected = place_with(0), numbers "belongs"
  place.write("itm/preprocessor_config.json", '{"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}')
  local plain, each = floats(function(x) return x end)
  local it <close> = assert(open(place, { dtype = "f32", batch = 2 }))
  local found = assert(it:score(plain:sub(1, 2 * each), { "word5 word6 word7", "word40." }))
  for k, one in ipairs(found) do check.near(one.match, expected[k], 1e-5) end
  local one = plain:sub(1, each)
  found = assert(it:score(one .. one, { "word5 [SEP] word6 word7", "word5 [SEP] word7 word6" }))
  check.ok(math.abs(found[1].match - found[2].match) > 1e-4, "what stands behind [SEP] is read")
end)

test("score: photographs with captions beside them get transformers' numbers; the trigger is no part of what is asked", function()
  local place, expected = place_with(0), numbers "photos"
  for i, name in ipairs { "photo-0", "photo-5" } do
    place.write(("photos/%s.jpg"):format(name), assert(fs.read(("tests/golden/image/%s.jpg"):format(name))))
    place.write(("photos/%s.txt"):format(name), ({ "zkr, word5 word6 word7", "word40." })[i])
  end
  local done = place.run('images "@/photos":caption { trigger = "zkr" }' .. SCORE .. SHEET)
  check.equal(done.exit, 0, done.text)
  check.contains(done.log, "score blip-itm")
  check.contains(done.log, "match: 2 computed; 0.06")
  -- Another JPEG decoder than Pillow's moves them a little.
  check.near(last(place, "photo-0.jpg", "word5 word6 word7"), expected[1], 5e-3)
  check.near(last(place, "photo-5.jpg", "word40."), expected[2], 5e-3)
end)

test("score: no number is computed twice; another text, picture, model or dtype is another question, another batch or folder is not", function()
  local place = place_with(3)
  check.contains(place.run(recipe()).log, "match: 3 computed; ")
  check.contains(place.run(recipe()).log, "match: 3 known; ")
  check.contains(place.run((recipe():gsub("@/itm\"", "@/itm\", batch = 2"))).log, "match: 3 known")
  fs.make_folder(place.path "moved")
  matcher(place, "moved")
  check.contains(place.run((recipe():gsub("@/itm", "@/moved"))).log, "match: 3 known")
  place.write("moved/vocab.txt", (table.concat(WORDS, "\n"):gsub("word7\n", "other\n")))
  check.contains(place.run((recipe():gsub("@/itm", "@/moved"))).log, "match: 3 computed")
  check.contains(place.plan((recipe():gsub("@/itm\"", "@/itm\", dtype = \"bf16\""))).out, "match: 3 to compute")
  place.write("photos/p1.txt", "word50")
  check.contains(place.run(recipe()).log, "match: 1 computed, 2 known")
  place.photo("p2.png", { seed = 77 })
  check.contains(place.run(recipe()).log, "match: 1 computed, 2 known")
  place.write("photos/copy.png", place.read "photos/p3.png") -- the same picture and words
  place.write("photos/copy.txt", place.read "photos/p3.txt")
  check.contains(place.run(recipe()).log, "match: 4 known")
end)

test("score: numbers of another version of how they are computed are computed again, and those of this one are found again", function()
  local place, matching = place_with(2), require "caption.matching"
  check.contains(place.run(recipe()).log, "match: 2 computed")
  local text, count = assert(fs.read "stdlib/caption/matching.lua"):gsub("\nlocal VERSION = (%d+)\n", function(n) return ("\nlocal VERSION = %d\n"):format(n + 1) end)
  check.equal(count, 1)
  local next_one, before = assert(load(text))(), {}
  do
    local _ <close> = setmetatable({}, { __close = function() for name, is in pairs(before) do matching[name] = is end end })
    for name, is in pairs(next_one) do before[name], matching[name] = matching[name], is end
    check.contains(place.plan(recipe()).out, "match: 2 to compute")
    check.contains(place.run(recipe()).log, "match: 2 computed")
  end
  check.contains(place.run(recipe()).log, "match: 2 known")
end)

test("score: captions longer than the model reads are counted, each of those that are the same", function()
  local place = place_with(2)
  for _, name in ipairs { "p2", "copy" } do place.write(("photos/%s.txt"):format(name), ("word4 "):rep(40)) end
  place.write("photos/copy.png", place.read "photos/p2.png")
  check.contains(place.run(recipe()).log, "match: 3 computed, 2 read in part; ")
end)

test("score: of pictures and words that are there twice one is looked at", function()
  local place, score, seen = place_with(2), scorer.open, 0
  local _ <close> = setmetatable({}, { __close = function() scorer.open = score end })
  place.write("photos/copy.png", place.read "photos/p2.png")
  place.write("photos/copy.txt", place.read "photos/p2.txt")
  scorer.open = function(...)
    local it = assert(score(...))
    local asked = it.score
    function it:score(floats_, texts)
      seen = seen + #texts
      return asked(self, floats_, texts)
    end
    return it
  end
  check.contains(place.run(recipe()).log, "match: 3 computed; ")
  check.equal(seen, 2)
end)

test("score: plan and check say how many are known and how many would be computed, and compute none", function()
  local place = place_with(4, { [4] = true })
  check.contains(place.check(recipe()).out, ":score knows the match of 0 of 3 captions; the others are computed when it runs")
  local planned = place.plan(recipe(':reject { match_below = "lowest 50%" }'))
  planned = planned.out .. planned.text
  check.contains(planned, "match: 3 to compute, 1 without a caption")
  check.contains(planned, "4 without a match so far")
  check.equal(place.run(recipe()).exit, 0)
  place.write("photos/p2.txt", "word9")
  check.contains(place.check(recipe()).out, ":score knows the match of 2 of 3 captions")
  check.contains(place.plan(recipe()).out, "match: 1 to compute, 2 known, 1 without a caption; ")
  check.contains(place.plan('images "@/photos":caption { with = fake {} }' .. SCORE .. SHEET).out, "match: 2 to compute, 2 known")
  local none = place_with(2, { true, true })
  local told = none.check(recipe())
  check.contains(told.out .. told.text .. told.log, "no picture has a caption that :score could look at; a :caption before it writes them")
  told = none.check('images "@/photos":caption { with = fake {} }' .. SCORE .. SHEET)
  check.contains(told.out .. told.log, ":score finds no caption yet")
  check.ok(not place.check('images "@/photos":edit(function(p) p.caption = "a" return p end)' .. SCORE .. SHEET).out:find ":score knows")
end)

test("score: a picture without a caption is named and not scored, the others are", function()
  local place = place_with(3, { [2] = true })
  place.write("photos/p3.txt", "zkr")
  local done, said = warned(place, 'images "@/photos":caption { with = sidecar {}, trigger = "zkr" }' .. SCORE .. SHEET)
  check.equal(done.exit, 0, done.text)
  check.contains(done.log, "match: 1 computed, 2 without a caption; ")
  check.ok(said:find " p2%.png, p3%.png have no caption and are not scored; a :caption before :score writes one", said)
  local none = place.run('images "@/photos":keep_if(function(p) return p.name == "p2.png" end)' .. SCORE .. SHEET)
  check.contains(none.log, "match: 1 without a caption")
end)

test("score: reject cuts by the number or by a share, keep_if sees it, a new caption ends it", function()
  local place = place_with(4)
  check.equal(place.run(recipe()).exit, 0)
  local by = {}
  for i = 1, 4 do by[i] = { name = ("p%d.png"):format(i), match = last(place, ("p%d.png"):format(i), ("word%d word%d"):format(i, 3 * i)) } end
  table.sort(by, function(a, b) return a.match < b.match end)
  local cut = (by[2].match + by[3].match) / 2
  local below = place.run(recipe((":reject { match_below = %.9f }"):format(cut)))
  check.contains(below.log .. below.text, "2 kept, 2 rejected: 2 match")
  check.contains(place.run(recipe((":reject { match_above = %.9f }"):format(cut))).log, "2 kept, 2 rejected: 2 match")
  local done = place.run(recipe ':reject { match_below = "lowest 25%" }:expect { count = { 3, 3 } }')
  check.contains(done.log, "3 kept, 1 rejected: 1 match")
  local kept = place.run(recipe((":keep_if(function(p) return p.match > %.9f end)"):format(cut)))
  check.contains(kept.log, "2 kept, 2 rejected")
  local other = place.run(recipe ':edit(function(p) p.caption = "word1" return p end):keep_if(function(p) return p.match == nil end)')
  check.contains(other.log, "4 kept, 0 rejected")
  local same = place.run(recipe ':caption { with = fake {} }:keep_if(function(p) return p.match ~= nil end)')
  check.contains(same.log, "4 kept, 0 rejected")
  place.write("photos/p9.png", recipes.picture { seed = 9 }:encode "png")
  check.contains(warned(place, recipe ':reject { match_below = 0.000001 }').log, "5 kept, 0 rejected: 1 without a match stays")
end)

test("score: a cut by match without a :score before it is told where it stands", function()
  local place = place_with(1)
  for _, option in ipairs { "match_below", "match_above" } do
    local done = place.check(('images "@/photos":reject { %s = 0.3 }'):format(option) .. SCORE .. SHEET)
    check.equal(done.exit, 2)
    check.contains(done.text, ("option '%s' of :reject needs a :score before it"):format(option))
    check.contains(done.text, ":1:")
    check.contains(done.text, ':score { model = "models/blip-itm-base-coco" }')
  end
  check.contains(place.check(recipe ":reject { match_below = 2 }").text, "0 to 1")
  check.contains(place.check('images "@/photos":score { by = "blip_itm" }' .. SHEET).text, 'did you mean "blip-itm"?')
end)

test("score: reports and the prompt show the numbers, low ones as a finding; a sheet is drawn again when they change", function()
  local place = place_with(3)
  local report = 'images "@/photos"' .. SCORE .. ':sheet { to = "@/out/sheet.png" }:report { to = "@/out/report.html" }'
  local done = place.run(report)
  check.equal(done.exit, 0, done.text)
  local page = place.read "out/report.html"
  check.equal(select(2, page:gsub("<span class=\"name\">match 0%.%d+</span>", "")), 3)
  check.contains(page, "probability that the caption belongs to the picture (:score)")
  check.contains(done.log, "3 computed")
  local before = place.read "out/sheet.png"
  place.write("itm/vocab.txt", (table.concat(WORDS, "\n"):gsub("word1\nword2\nword3\n", "word3\nword2\nword1\n"))) -- other words, other numbers
  check.equal(place.run(report).exit, 0)
  check.ok(place.read "out/sheet.png" ~= before)
  local show = require "recipe.show"
  local set = require "recipe.set"
  local function item(match) return { name = "a.png", width = 4, height = 3, format = "png", caption = "a", match = match, steps = {} } end
  check.contains(show.set(set.new { item(0.25), item(0.5), item(0.9375) }, "t"), "\n  match 0.25 to 0.938, the middle one 0.5")
  check.contains(show.set(set.new { item(0.25), item() }, "t"), "the middle one 0.25 (1 of 2)")
  check.ok(not show.set(set.new { item() }, "t"):find "match")
end)

test("lint: captions with a low match are told, the worst first; those that nobody asked about are not", function()
  local rows = { { name = "a.png", text = "a", match = 0.09 }, { name = "b.png", text = "b", match = 0.004 }, { name = "c.png", text = "c", match = 0.11 },
    { name = "d.png", text = "d" } }
  local found
  for _, finding in ipairs(lint.look(rows)) do if finding.kind == "match" then found = finding end end
  check.equal(found.names, { "b.png", "a.png" })
  check.equal(found.text, "2 captions may not describe their pictures (match from 0.004, below 0.1)")
  check.equal(found.level, "warning")
  check.contains(found.hint, ":reject { match_below = 0.1 }")
  check.contains(lint.look({ rows[1], rows[3] })[1].text, "1 caption may not describe its picture (match is 0.09, below 0.1)")
end)

test("check warns of captions that an earlier run found low, whatever trigger they have; the report links them", function()
  local place = place_with(2)
  local text = 'images "@/photos":caption { trigger = "zkr" }' .. SCORE .. ':report { to = "@/out/r.html" }'
  check.equal(place.run(text).exit, 0)
  local function note(match)
    local s <close> = assert(stores.open(place.path "store"))
    matched.note(s, hash.sha256(place.read "photos/p2.png"), "word2 word6", match)
  end
  note(0.02)
  local done = place.check(text)
  check.contains(done.out .. done.log .. done.text, "1 caption may not describe its picture (match is 0.02, below 0.1): p2.png")
  note(0.5)
  done = place.check(text)
  check.ok(not (done.out .. done.log .. done.text):find "may not describe")
end)

test("score: pictures that cannot be decoded are named in the middle of a batch, the others are scored", function()
  local place = place_with(4)
  local matching = require "caption.matching"
  local native <close> = assert(stores.open(place.path "store"))
  local session_store = setmetatable({ native = native }, { __index = function(_, name) return function(_, ...) return native[name](native, ...) end end })
  local said, rows = {}, {}
  for i = 1, 4 do
    local path = place.path(("photos/p%d.png"):format(i))
    if i == 3 then assert(fs.write(path, assert(fs.read(path)):sub(1, 200))) end
    rows[i] = { item = { path = path, sha256 = hash.sha256(assert(fs.read(path))) }, text = "word" .. i }
  end
  local opened = assert(device.open())
  local context = { at = {}, store = function() return session_store end, warn = function(line) said[#said + 1] = line end, fail = error,
    session = { device = function() return opened, "a device", 8e9 end } }
  local done = matching.score(context, { by = "blip-itm", model = place.path "itm", batch = 2, dtype = "f32" }, rows)
  check.equal({ done.computed, done.values[3] }, { 3, nil })
  check.equal(#said, 1)
  check.contains(said[1], "p3.png is left without: the PNG is cut off")
end)

test("score: Ctrl-C stops between batches, and the numbers so far are kept", function()
  local script = require "native.script"
  local place, interrupted, count = place_with(5), script.interrupted, 0
  local ready = scorer.open
  scorer.open = function(...) -- from the second batch on
    local it, message, code = ready(...)
    local score = it.score
    function it:score(...)
      count = count + 1
      if count == 2 then script.interrupted = function() return 1 end end
      return score(self, ...)
    end
    return it, message, code
  end
  local ok, done = pcall(place.run, (recipe():gsub("@/itm\"", "@/itm\", batch = 2")))
  scorer.open, script.interrupted = ready, interrupted
  check.ok(ok, done)
  check.equal(done.exit, 130)
  check.contains(done.text, "so far is kept")
  check.ok(last(place, "p1.png", "word1 word3")) -- for those who only look, too
  check.contains(place.run(recipe()).log, "match: 1 computed, 4 known")
end)

-- Each: what is done to the folder, what `check` says of it.
local BROKEN = {
  { "the folder is not there", function() end, "there is no model @/gone", "gone" },
  { "no config", function(place) fs.remove(place.path "itm/config.json") end, "config.json" },
  { "no weights", function(place) fs.remove(place.path "itm/model.safetensors") end, "no model.safetensors" },
  { "no words", function(place) fs.remove(place.path "itm/vocab.txt") end, "no vocab.txt and no tokenizer.json" },
  { "too few words", function(place) place.write("itm/vocab.txt", table.concat(WORDS, "\n", 1, 80) .. "\n[UNK]\n[CLS]\n[SEP]\n") end,
    "vocab.txt has 83 words, the config's vocab_size is 96" },
  { "other shapes", function(place) place.write("itm/config.json", (place.read "itm/config.json":gsub('"hidden_size": 24', '"hidden_size": 30'))) end,
    "config.json and the weights are not of one model" },
}

test("score: a model's folder that is broken is told by check, with what to do, and nothing is computed", function()
  for _, case in ipairs(BROKEN) do
    local name, breaks, said, folder = table.unpack(case)
    local place = place_with(1)
    breaks(place)
    local done = place.check((recipe():gsub("@/itm", "@/" .. (folder or "itm"))))
    check.ok(done.exit == 1 or done.exit == 2, name .. ": " .. tostring(done.exit))
    check.contains(done.text, said, name)
    check.contains(done.text, ":1:", name)
    check.ok(done.text:find "whole folder again" or done.text:find "did you mean" or done.text:find "calotype get", name .. ": " .. done.text)
  end
end)

test("the example captions, scores, tags and exports a folder with models on this machine", function()
  local place = place_with(0)
  for folder, names in pairs { ["blip/captioner"] = { "config.json", "model.safetensors" }, wd14 = { "config.json", "model.safetensors", "selected_tags.csv" } } do
    for _, name in ipairs(names) do place.write(("%s/%s"):format(folder:match "^%w+", name), assert(fs.read(("tests/golden/%s/%s"):format(folder, name)))) end
  end
  place.write("blip/vocab.txt", place.read "itm/vocab.txt")
  local text, params = assert(fs.read "examples/captions/recipe.lua"), { data = fs.absolute "examples/shapes/pictures" }
  for name, value in pairs { writer = "@/blip", matcher = "@/itm", tagger = "@/wd14", out = "@/out", longest = "8", penalty = "4", match = "0.05" } do
    params[name] = value:gsub("@", place.folder)
  end
  local done = place.run(text, { params = params })
  check.equal(done.exit, 0, done.text)
  check.contains(done.log, "match: ")
  local kept = math.tointeger(tonumber(done.log:match "(%d+) kept, %d+ rejected: [^\n]*match"))
  check.ok(kept and kept > 2 and kept < 19, done.log)
  local captions = 0
  for _, folder in ipairs(fs.list(place.path "out/kohya")) do
    for _, entry in ipairs(folder.kind == "folder" and fs.list(folder.path) or {}) do
      if entry.path:find "%.txt$" then
        captions = captions + 1
        check.ok(fs.read(entry.path):find "^zkr, %S", fs.read(entry.path))
      end
    end
  end
  check.equal(captions, kept)
  check.contains(place.run(text, { params = params }).log, "all 3 outputs are unchanged")
end)
