-- The assistant's commands, on pictures whose faults are known because they were made here.
local environment = require "recipe.environment"
local fs = require "native.fs"
local hash = require "native.hash"
local image = require "native.image"
local json = require "native.json"
local recipes = dofile "tests/recipes.lua"
local script = require "native.script"
local set = require "recipe.set"
local settings = require "assistant.settings"

local conversation = dofile "tests/conversation.lua"
local COMMANDS = { "analyze", "outliers", "recommend", "caption", "tags" }

-- A folder with photos/ and a store; command("analyze", { side = "256" }) -> { exit, text (of an error), out, log }
local function new(count)
  local place = recipes.new(tmp "place")
  for i = 1, count or 0 do place.photo(("p%02d.png"):format(i), { seed = i, width = 300, height = 280, cells = 40 }) end
  function place.command(name, params, folder)
    local log, out = {}, {}
    local ok, result = script.call(require(name).run, { folder = folder or place.path "photos", params = params or {}, store = place.path "store",
      say = function(line) log[#log + 1] = line end, put = function(line) out[#out + 1] = line end })
    local function named(shown) return (shown:gsub(place.folder:gsub("%p", "%%%0"), "@")) end
    if ok then return { exit = result, text = "", out = named(table.concat(out, "\n")), log = named(table.concat(log, "\n")) } end
    return { exit = result.exit, text = named(script.render(result)), out = named(table.concat(out, "\n")), log = named(table.concat(log, "\n")) }
  end
  return place
end

local function ends(exit, done)
  if done.exit ~= exit then error(("exit %s: %s\n%s\n%s"):format(done.exit, done.text, done.log, done.out), 2) end
  return done
end

-- A folder with one of each fault, for side=256.
local function faulty()
  local place = new(8)
  place.photo("a small.png", { seed = 21, width = 120, height = 150, cells = 40 })
  place.photo("blurred.png", { seed = 22, width = 300, height = 280, cells = 2 })
  place.write("photos/twin.jpg", assert(image.load(place.path "photos/p01.png")):encode("jpeg", { quality = 90 }))
  place.write("photos/coarse.jpg", recipes.picture { seed = 23, width = 300, height = 280, cells = 12 }:encode("jpeg", { quality = 8 }))
  place.write("photos/night.png", image.new(300, 280, { 20, 20, 30 }):paste(recipes.picture { seed = 24, width = 100, height = 100, cells = 60 }:gray(), 9000, 0):encode "png")
  place.write("photos/broken.jpg", "no picture")
  return place
end

test("each command's help has its settings as they are", function()
  for _, name in ipairs(COMMANDS) do
    local text = fs.read(("scripts/%s.lua"):format(name))
    local spec = name == "caption" and settings.define("caption", require "assistant.caption".own) or require("assistant." .. name).settings
    for _, line in ipairs(settings.lines(spec)) do check.contains(text, "--   " .. line .. "\n") end
    check.contains(text, ("-- %s.lua - "):format(name))
  end
end)

test("settings are typed and told when they are wrong", function()
  local spec = settings.define("try", { { "side", "integer", min = 2, max = 9, default = 5, unit = "px", doc = "a side" },
    { "deep", "boolean", default = false, doc = "a switch" }, { "share", "number", default = 0.5, doc = "a share" } })
  check.equal(settings.read(spec, { side = "7", deep = "yes" }), { side = 7, deep = true, share = 0.5 })
  check.equal(settings.read(spec, { share = 0.25, deep = false }), { side = 5, deep = false, share = 0.25 })
  check.equal(settings.lines(spec), { "side=5      a side; 2 to 9 px", "deep=no     a switch", "share=0.5   a share" })
  check.fails("is 12; it must be 2 to 9 px", settings.read, spec, { side = "12" })
  check.fails("takes a whole number", settings.read, spec, { side = "x" })
  check.fails("deep=maybe: yes or no is expected", settings.read, spec, { deep = "maybe" })
  check.fails("unknown option 'sid'", settings.read, spec, { sid = "1" })
end)

test("several settings are typed in a line as recipes have them; what is written otherwise is told with the place", function()
  check.equal(settings.parse "", {})
  check.equal(settings.parse ' beams = 3,longest=40; penalty = 1.5, dtype = bf16, rating = true, shift = -1e-2, says = "a = b, \\"c\\"", ',
    { beams = "3", longest = "40", penalty = "1.5", dtype = "bf16", rating = "true", shift = "-1e-2", says = 'a = b, "c"' })
  check.equal(settings.parse "without = { 'long hair', solo, }, model = {}", { without = "long hair, solo", model = "" })
  for line, words in pairs { ["beams 3"] = "'=' is expected at '3'", ["beams ="] = "a value is expected at the end", ["= 3"] = "a name is expected at '='",
    ["a = 1 b = 2"] = "a comma is expected at 'b'", ["a = 1, a = 2"] = "a stands twice", ['a = "b'] = 'a quote is not closed: "b',
    ["a = { 'b }"] = "a quote is not closed: 'b }", ["a = -b"] = "a number is expected at 'b'", ["a: 3"] = "'=' is expected at ':'",
    ["a = { b c }"] = "a comma or '}' is expected at 'c'", ["a = { b"] = "a comma or '}' is expected at the end", ["a = { b,"] = "a value is expected at the end",
    ["a = { { 1 } }"] = "a value is expected at '{'", ["1 = 2"] = "a name is expected at '1'", [","] = "a name is expected at ','",
    ["a == 3"] = "'=' is expected at '=='" } do
    check.fails(words, settings.parse, line)
  end
end)

test("what the commands find is there in a recipe, as a table that shows itself as the command prints", function()
  local place = faulty()
  local function run(text, mode)
    local env, session = environment.new { mode = mode or "run", store = place.path "store", say = function() end }
    local fn = assert(script.load(text:gsub("@", place.folder), "@recipe.lua", env))
    local results = table.pack(script.call(fn))
    session:close()
    return results, session
  end
  local done = run [[local found = analyze { "@/photos", side = 256 }
    local odd, advice, mended = outliers("@/photos", { above = 3 }), recommend { "@/photos", goal = "scene" }, tags "@/photos"
    return found.quality, #found.pictures, tostring(found), #odd.outliers, advice.rank, advice.reasons.rank, advice.recipe, #mended.changes, getmetatable(found)]]
  check.equal(done[1], true, done[1] or script.render(done[2]))
  check.ok(done[2] > 0 and done[2] < 10)
  check.equal({ done[3], done[9], done[10] }, { 13, 0, false })
  check.contains(done[4], "small")
  check.ok(done[5] >= 1 and math.type(done[6]) == "integer" and #done[7] > 0)
  check.contains(done[8], "train_lora")
  local function refused(text, what, exit, mode)
    local results, session = run(text, mode)
    check.equal(results[1], false)
    check.contains(results[2].message, what)
    if exit then check.equal(results[2].exit, exit) end
    return session
  end
  refused('analyze { "@/photos", sied = 3 }', "unknown option 'sied' for analyze")
  refused('analyze { "@/photos", judge = true }', "unknown option 'judge' for analyze") -- that costs money: the command's
  refused('analyze {}', "folder")
  refused('recipe "x" { allow = { read = { "@/other" } } } analyze "@/photos"', "does not allow it to read", 3)
  local results, session = run('analyze "@/photos"', "check")
  check.equal(results[1], false)
  check.ok(session.stopped_at) -- fine up to there
end)

test("robust numbers: the middle, its width, and how far a value is from it", function()
  local spread = require "assistant.spread"
  check.equal({ spread.median { 3, 1, 2 }, spread.median { 1, 2 }, spread.median {}, spread.mean {} }, { 2, 1.5 })
  check.equal({ spread.quantile({ 4, 1, 3, 2, 5 }, 0.25), spread.middle_half { 4, 1, 3, 2, 5 }, spread.middle_half {} }, { 2, 2, 0 })
  check.near(spread.of({ 1, 2, 3, 100 }, 0.1)(100), 97.5 / 1.4826, 1e-9)
  check.equal(spread.of({ 5, 5, 5, 6 }, 0.5)(6), 2.0) -- no width: the least that is believed
  check.equal({ spread.ramp(0, 1, 3), spread.ramp(2, 1, 3), spread.ramp(2.5, 3, 1), spread.ramp(9, 1, 3) }, { 0, 0.5, 0.25, 1 })
end)

-- analyze -----------------------------------------------------------------------------------------------------------------

test("analyze names every fault with its pictures", function()
  local place = faulty()
  local done = ends(0, place.command("analyze", { side = "256", to = "" }))
  for _, words in ipairs { "photos   13 pictures, 1 unreadable", "1 unreadable         broken.jpg", "1 duplicates         ", "1 small              a small.png",
    "blurred.png", "JPEG squares       coarse.jpg", "1 dark               night.png", "1 empty              night.png", "none yet; calotype caption" } do
    check.contains(done.out, words)
  end
end)

test("the suggestion of analyze passes check as it stands, and keeps what it says", function()
  local place = faulty()
  local found = require "assistant.analyze".run { folder = place.path "photos", side = 256, store = place.path "store", say = function() end }
  found.photos:close()
  local text = found.suggestion.text:gsub('"out/sheet.png"', '"@/out/sheet.png"')
  ends(0, place.check(text))
  local done = ends(0, place.run(text))
  check.equal(done.text, "")
  check.ok(found.suggestion.kept < 12 and found.suggestion.kept >= 8, found.suggestion.kept)
  local count = 0
  for line in done.log:gmatch "[^\n]+" do count = tonumber(line:match "^  dedupe +(%d+) kept") or count end
  check.equal(count, found.suggestion.kept)
  for _, option in ipairs { "side_below", "sharpness_below", "dark_below", "entropy_below", "blocking_above" } do check.ok(found.suggestion.options[option], option) end
end)

test("a cut that would take more than a third is told and not suggested", function()
  local place = new(4)
  local done = ends(0, place.command("analyze", { side = "1024", to = "" }))
  check.contains(done.out, "not suggested: side_below = 1024 would take 4 of 4: too many to leave out; train at a lower resolution")
  check.contains(done.out, "suggested: nothing to cut")
end)

test("grades fall with what is wrong and stay between 0 and 10", function()
  local grades = require "assistant.grades"
  local good = { width = 600, height = 600, sharpness = 400, entropy = 7, noise = 1, blocking = 1, brightness = { p1 = 0, p5 = 0.05, p50 = 0.5, p95 = 0.9, p99 = 0.95 } }
  local function quality(changes) return grades.picture(setmetatable(changes, { __index = good }), { side = 512 }).quality end
  check.near(quality {}, 10, 1e-9)
  for _, changes in ipairs { { width = 300 }, { sharpness = 50 }, { entropy = 4 }, { noise = 14 }, { blocking = 2.5 },
    { brightness = { p1 = 0, p5 = 0, p50 = 0.1, p95 = 0.2, p99 = 0.4 } } } do
    local q = quality(changes)
    check.ok(q < 9 and q > 0, q)
  end
  check.near(quality { sharpness = 10 }, 10 * (0.6 * 0.7 + 0), 1e-9) -- 0.6 of the mean without sharpness' 0.3; the worst part is 0
  local worst = quality { width = 1, height = 1, sharpness = 0, entropy = 0, noise = 255, blocking = 99, brightness = { p1 = 0, p5 = 0, p50 = 0, p95 = 0, p99 = 0 } }
  check.equal(worst, 0.0)
  check.equal(grades.consistency { good }, nil)
  check.equal(grades.diversity({ good }, 0), nil)
end)

test("pictures of one kind are consistent, copies are not diverse", function()
  local analyze = require "assistant.analyze"
  local function of(place)
    local found = analyze.run { folder = place.path "photos", side = 256, store = place.path "store", say = function() end }
    found.photos:close()
    return found
  end
  local same, mixed = new(6), new(3)
  mixed.photo("a.png", { seed = 31, width = 900, height = 300, cells = 3 })
  mixed.write("photos/b.png", image.new(200, 500, { 250, 250, 240 }):encode "png")
  mixed.write("photos/c.png", image.new(400, 400, { 30, 5, 90 }):encode "png")
  check.ok(of(same).consistency.grade > of(mixed).consistency.grade + 2)
  local copies = new(1)
  for i = 2, 6 do copies.write(("photos/p0%d.jpg"):format(i), image.load(copies.path "photos/p01.png"):encode("jpeg", { quality = 40 + 8 * i })) end
  local a, b = of(same), of(copies)
  check.ok(a.diversity.grade > 6 and b.diversity.grade < 1, ("%g and %g"):format(a.diversity.grade, b.diversity.grade))
  check.ok(b.quality < a.quality)
end)

test("analyze looks at captions too", function()
  local place = new(5)
  for i = 1, 3 do place.write(("photos/p0%d.txt"):format(i), "many coloured patches beside each other in rows of forty") end
  place.write("photos/p04.txt", "This image shows patches")
  local done = ends(0, place.command("analyze", { side = "256", to = "" }))
  check.contains(done.out, "captions                4 by people, 1 without")
  check.contains(done.out, "1 without a caption  p05.png")
  check.contains(done.out, "3 captions alike     p01.png, p02.png, p03.png")
  check.contains(done.out, "1 openings           p04.png")
  done = ends(0, place.command("analyze", { side = "256", to = "", trigger = "zkr" }))
  check.contains(done.out, "4 of 4 captions lack the trigger")
end)

test("analyze looks at the text in force, not at what was only asked for a comparison", function()
  local place = new(2)
  ends(0, place.command("analyze", { side = "256", to = "" }))
  local s <close> = assert(require "native.store".open(place.path "store"))
  local sha = hash.file(place.path "photos/p01.png")
  local function text(words, more) return assert(s:add_caption(set.with({ sha = sha, key = words, text = words, author = "model", provider = "fake" }, more or {}))) end
  text("Sorry, I cannot help with that", { aside = true })
  check.contains(ends(0, place.command("analyze", { side = "256", to = "" })).out, "captions                none yet")
  local first = text "This image shows patches"
  text "patches in rows"
  text("Sorry, I cannot help with that", { aside = true })
  local done = ends(0, place.command("analyze", { side = "256", to = "" }))
  check.contains(done.out, "captions                1 by models, 1 without")
  check.ok(not done.out:find("excuses", 1, true) and not done.out:find("openings", 1, true), done.out)
  assert(s:use_caption(first))
  check.contains(ends(0, place.command("analyze", { side = "256", to = "" })).out, "1 openings           p01.png")
end)

test("analyze writes a page with the pictures and numbers as JSON, the page not again", function()
  local place = faulty()
  local params = { side = "256", to = place.path "out/a.html", json = place.path "out/a.json" }
  ends(0, place.command("analyze", params))
  local page = place.read "out/a.html"
  for _, words in ipairs { "<h1>What is in ", "Blurred: ", "data:image/jpeg;base64,", "coarse.jpg", "How it is counted", "sharpness_below = 40" } do check.contains(page, words) end
  local numbers = json.decode(place.read "out/a.json")
  check.equal({ #numbers.pictures, #numbers.unreadable, numbers.side }, { 13, 1, 256 })
  check.ok(numbers.pictures[1].quality <= numbers.pictures[2].quality and numbers.quality > 0 and numbers.quality <= 10)
  check.contains(ends(0, place.command("analyze", params)).log, "out/a.html unchanged")
end)

test("analyze refuses what it cannot do before anything is judged", function()
  local place = new(2)
  for _, case in ipairs { { { to = "a.png" }, 2, "the page a.png is not .html" }, { { sides = "3" }, 2, "did you mean 'side'?" } } do
    local done = ends(case[2], place.command("analyze", case[1]))
    check.contains(done.text, case[3])
    check.equal(done.out, "")
  end
  check.contains(ends(2, place.command("analyze", {}, place.path "nowhere")).text, "there is no folder or picture @/nowhere")
  place.write("file", "x")
  check.contains(ends(2, place.command("analyze", { to = place.path "file/a.html" })).text, "@/file is a file, not a folder")
  local broken = new()
  broken.write("photos/a.jpg", "x")
  local done = ends(0, broken.command("analyze", { to = broken.path "out/a.html" }))
  check.contains(done.out, "0 pictures, 1 unreadable")
end)

-- outliers ----------------------------------------------------------------------------------------------------------------

local NO_PAGE = { page = "" }
local function with(more)
  local params = { page = "" }
  for key, value in pairs(more or {}) do params[key] = value end
  return params
end

-- Twelve of a kind and one of each oddity.
local function odd()
  local place = new(12)
  for i = 1, 12 do place.write(("photos/p%02d.txt"):format(i), ("patches %d"):format(i)) end
  place.photo("blurred.png", { seed = 40, width = 300, height = 280, cells = 2 })
  place.write("photos/blurred.txt", "soft patches")
  place.write("photos/red.png", image.new(300, 280, { 230, 20, 20 }):paste(recipes.picture { seed = 42, width = 150, height = 280, cells = 40 }, 0, 0):encode "png")
  place.write("photos/coarse.jpg", recipes.picture { seed = 43, width = 300, height = 280, cells = 40 }:encode("jpeg", { quality = 4 }))
  place.write("photos/coarse.caption", "squares")
  place.write("photos/broken.jpg", "x")
  return place
end

-- Every file below a folder with its content, so that two states can be compared.
local function state_of(folder)
  local out = {}
  for _, entry in ipairs(fs.list(folder, true) or {}) do
    if entry.kind == "file" then out[entry.path:sub(#folder + 2)] = fs.read(entry.path) end
  end
  return out
end

test("outliers tells which picture is odd by which measure, and moves nothing", function()
  local place = odd()
  local before = state_of(place.path "photos")
  local done = ends(0, place.command("outliers", with { json = place.path "out/o.json", page = place.path "out/o.html" }))
  check.ok(done.out:find "quality +blurred.png +sharpness", done.out)
  check.ok(done.out:find "style +red.png +", done.out)
  check.ok(done.out:find "artefacts +coarse.jpg +JPEG squares", done.out)
  check.ok(done.out:find "artefacts +broken.jpg +cannot be read", done.out)
  check.contains(done.out, "@/photos   16 pictures, 4 outliers")
  check.contains(done.out, "nothing was moved: remove=yes moves them to @/photos-outliers")
  check.equal(state_of(place.path "photos"), before)
  local numbers = json.decode(place.read "out/o.json")
  check.equal({ numbers.pictures, #numbers.outliers }, { 15, 4 })
  for _, words in ipairs { "By quality: 1", "By style: 1", "By artefacts: 2", "1.4826" } do check.contains(place.read "out/o.html", words) end
end)

test("a picture laid out like none of the others is odd", function()
  local place = new()
  local scene = recipes.picture { seed = 1, width = 300, height = 280, cells = 8 }
  for i = 1, 10 do -- one scene, a little different each time
    place.write(("photos/p%02d.png"):format(i), scene:copy():rect(20 * i, 30, 60, 60, { 90, 90, 90 }):encode "png")
  end
  place.photo("other.png", { seed = 2, width = 300, height = 280, cells = 8 })
  local done = ends(0, place.command("outliers", with { by = "style" }))
  check.ok(done.out:find "style +other.png[^\n]*" and done.out:find "layout %d+ of 64 bits from its nearest", done.out)
  check.contains(done.out, "1 outlier")
end)

test("by and above choose what is odd", function()
  local place = odd()
  local done = ends(0, place.command("outliers", with { by = "quality" }))
  check.ok(done.out:find "blurred.png" and not done.out:find "broken" and not done.out:find "squares", done.out)
  check.contains(ends(0, place.command("outliers", with { by = "quality", above = "100" })).out, "no outliers")
  check.contains(ends(2, place.command("outliers", with { by = "quality,stile" })).text, "did you mean 'style'?")
  check.contains(ends(2, place.command("outliers", with { by = "," })).text, "by= names no kind")
  check.contains(ends(0, new(5).command("outliers", NO_PAGE)).out, "with fewer than 8 pictures nothing is usual")
end)

test("outliers move with their captions and come back, and the folder is as before", function()
  local place = odd()
  local before = state_of(place.path "photos")
  local done = ends(0, place.command("outliers", with { remove = "yes" }))
  check.contains(done.out, "4 pictures moved to @/photos-outliers")
  local aside, left = state_of(place.path "photos-outliers"), state_of(place.path "photos")
  for _, name in ipairs { "blurred.png", "blurred.txt", "coarse.jpg", "coarse.caption", "red.png", "broken.jpg" } do
    check.equal({ aside[name], left[name] }, { before[name] })
  end
  local reasons = {}
  for line in aside["journal.jsonl"]:gmatch "[^\n]+" do
    local entry = json.decode(line)
    reasons[entry.parts[1].from] = entry.reason
  end
  check.contains(reasons["blurred.png"], "quality: sharpness")
  check.contains(ends(0, place.command("outliers", with { remove = "yes" })).out, "0 pictures moved")
  check.contains(ends(0, place.command("outliers", with { restore = "yes" })).out, "4 pictures back in @/photos")
  check.equal(state_of(place.path "photos"), before)
  check.equal(fs.stat(place.path "photos-outliers"), nil)
  check.contains(ends(2, place.command("outliers", with { restore = "yes" })).text, "there is nothing to restore")
end)

test("wherever the moving stops, every file is here or there, and restoring gives the folder back", function()
  local move = fs.move
  for _, what in ipairs { "remove", "restore" } do
    for stop = 0, 5 do
      local place, moved = odd(), 0
      local before = state_of(place.path "photos")
      if what == "restore" then ends(0, place.command("outliers", with { remove = "yes" })) end
      fs.move = function(...)
        if moved == stop then error("killed", 0) end
        moved = moved + 1
        return move(...)
      end
      local done = place.command("outliers", with { [what] = "yes" })
      fs.move = move
      check.contains(done.text, "killed")
      local here, aside = state_of(place.path "photos"), state_of(place.path "photos-outliers")
      for name, bytes in pairs(before) do
        check.ok((here[name] == bytes) ~= (aside[name] == bytes), name .. " is not in exactly one place")
      end
      if stop % 2 == 0 and what == "remove" then -- what was begun is finished by the next run: no picture without its caption
        ends(0, place.command("outliers", with { remove = "yes", by = "quality", above = "100" }))
        here = state_of(place.path "photos")
        for _, name in ipairs { "blurred", "coarse" } do
          check.equal(here[name .. ".txt"] == nil and here[name .. ".caption"] == nil, here[name .. ".png"] == nil and here[name .. ".jpg"] == nil, name)
        end
      end
      if fs.stat(place.path "photos-outliers") then ends(0, place.command("outliers", with { restore = "yes" })) end
      check.equal(state_of(place.path "photos"), before)
    end
  end
end)

test("while another process moves nothing is, and its journal stays whole", function()
  local place = odd()
  ends(0, place.command("outliers", with { remove = "yes", by = "quality" }))
  local journal = place.read "photos-outliers/journal.jsonl"
  do
    local _ <close> = assert(fs.lock(place.path "photos"))
    check.contains(ends(1, place.command("outliers", with { remove = "yes" })).text, "another process works in @/photos; try again")
    check.contains(ends(1, place.command("outliers", with { restore = "yes" })).text, "another process works in @/photos; try again")
  end
  check.equal(place.read "photos-outliers/journal.jsonl", journal)
  local aside = require("assistant.quarantine").open(place.path "photos", place.path "photos-outliers") -- which knows of one
  ends(0, place.command("outliers", with { remove = "yes" }))
  check.equal(aside:restore().restored, 4)
end)

test("nothing is moved over a file: not there, and not on the way back", function()
  local place = odd()
  place.write("photos-outliers/red.png", "mine")
  ends(0, place.command("outliers", with { remove = "yes" }))
  check.equal(place.read "photos-outliers/red.png", "mine")
  check.ok(fs.stat(place.path "photos-outliers/red-2.png"))
  place.write("photos/blurred.txt", "a new one")
  local done = ends(1, place.command("outliers", with { restore = "yes" }))
  check.contains(done.out, "stays aside: @/photos/blurred.txt is there already")
  check.equal({ place.read "photos/blurred.txt", place.read "photos-outliers/blurred.txt" }, { "a new one", "soft patches" })
  check.ok(fs.stat(place.path "photos/red.png") and fs.stat(place.path "photos/blurred.png"))
  fs.remove(place.path "photos/blurred.txt")
  ends(0, place.command("outliers", with { restore = "yes" }))
  check.equal({ place.read "photos/blurred.txt", place.read "photos-outliers/red.png" }, { "soft patches", "mine" })
end)

test("a caption file that two pictures share stays, and pictures of sub-folders keep their path", function()
  local place = odd()
  place.photo("coarse.png", { seed = 50, width = 300, height = 280, cells = 40 })
  place.write("photos/deep/er/dull.png", image.new(300, 280, { 9, 9, 9 }):encode "png")
  ends(0, place.command("outliers", with { remove = "yes", recursive = "yes" }))
  check.ok(fs.stat(place.path "photos/coarse.caption") and fs.stat(place.path "photos-outliers/coarse.jpg"))
  check.ok(fs.stat(place.path "photos-outliers/deep/er/dull.png"))
  ends(0, place.command("outliers", with { restore = "yes" }))
  check.ok(fs.stat(place.path "photos/deep/er/dull.png") and not fs.stat(place.path "photos-outliers"))
end)

test("a journal that cannot be written, or is none, stops the command before anything moves", function()
  local place = odd()
  local before, write = state_of(place.path "photos"), fs.write
  fs.write = function(path, ...)
    if path:find "journal" then return nil, path .. " cannot be written: No space left on device", "IO" end
    return write(path, ...)
  end
  local done = place.command("outliers", with { remove = "yes" })
  fs.write = write
  check.contains(ends(1, done).text, "was not written, and nothing was moved")
  check.contains(done.text, "No space left on device")
  check.equal(state_of(place.path "photos"), before)
  for _, line in ipairs { "{", '{"parts":[]}', '{"parts":[{"from":"../x","to":"y"}]}', '{"parts":[{"from":"/etc/x","to":"y"}]}', '{"parts":[{"from":"a"}]}', "[]" } do
    place.write("photos-outliers/journal.jsonl", line .. "\n")
    for _, what in ipairs { "remove", "restore" } do
      check.contains(ends(1, place.command("outliers", with { [what] = "yes" })).text, "@/photos-outliers/journal.jsonl:1 is no line of a journal")
    end
  end
  check.equal(state_of(place.path "photos"), before)
end)

test("outliers refuses what would go wrong later", function()
  local place = odd()
  check.contains(ends(2, place.command("outliers", with { remove = "yes", to = place.path "photos/odd" })).text, "lies in @/photos")
  check.contains(ends(2, place.command("outliers", with { remove = "yes", restore = "yes" })).text, "are opposites")
  check.contains(ends(2, place.command("outliers", with { remove = "maybe" })).text, "yes or no is expected")
  place.write("file", "x")
  check.contains(ends(2, place.command("outliers", with { remove = "yes", to = place.path "file" })).text, "is a file, not a folder")
end)

test("a folder that cannot be written keeps its outliers and says so", function()
  local pipe = io.popen "pwd; readlink /proc/$PPID/exe; id -u"
  local here, program, root = pipe:read "l", pipe:read "l":gsub("/tests/host$", "/calotype"), pipe:read "l" == "0"
  pipe:close()
  if not program:find "^/" then program = here .. "/" .. program end
  local place = odd()
  local function shell(line)
    local out = io.popen(("cd %s && CALOTYPE_STORE=store %s sh -c '%s' 2>&1; echo \"exit $?\""):format(place.folder,
      root and "setpriv --bounding-set=-all --inh-caps=-all" or "", line))
    local text, exit = out:read "a":match "^(.*)exit (%d+)\n$"
    out:close()
    return text, tonumber(exit)
  end
  if select(2, shell "mkdir locked && chmod 555 locked && ! touch locked/x") ~= 0 then skip "needs setpriv, or somebody who is not root" end
  local text, exit = shell(("chmod 555 photos; %s outliers photos remove=yes page=; code=$?; chmod 755 photos; exit $code"):format(program))
  check.equal(exit, 3, text)
  check.contains(text, "nothing can be written to photos: Permission denied")
  check.ok(fs.stat(place.path "photos/blurred.png"))
end)

-- recommend ---------------------------------------------------------------------------------------------------------------

local TINY = fs.absolute "examples/models/tiny"

test("what is recommended passes check for every goal, and every number has its reason", function()
  local seen = {}
  for _, goal in ipairs { "character", "style", "scene", "object" } do
    local place = new(6)
    place.photo("small.png", { seed = 9, width = 50, height = 60, cells = 40 })
    place.write("photos/twin.jpg", assert(image.load(place.path "photos/p01.png")):encode("jpeg", { quality = 90 }))
    local done = ends(0, place.command("recommend", { goal = goal, base = TINY, to = place.path "out/r.lua" }))
    local text = place.read "out/r.lua"
    check.contains(done.out, "@/out/r.lua written: " .. goal .. ", 6 pictures")
    check.contains(done.out, "go on with: calotype check")
    check.contains(text, "side_below = p.resolution")
    check.contains(text, ":dedupe")
    local fine = ends(0, place.check((text:gsub('"out/', '"@/out/'))))
    check.contains(fine.out, "fine: ")
    check.ok(not fine.out:find "warning", fine.out)
    for _, name in ipairs { "resolution", "rank", "steps", "batch", "lr", "warmup", "caption_dropout", "held_out", "trigger", "captions" } do
      check.ok(done.out:find("\n  " .. name .. " +%S+ +%S+ %S+"), name .. " has no reason: " .. done.out)
    end
    seen[done.out:match "\n  steps +(%d+)" .. done.out:match "\n  rank +(%d+)"] = true
    check.ok(done.out:find "\n  resolution +64 ")
  end
  local kinds = 0
  for _ in pairs(seen) do kinds = kinds + 1 end
  check.ok(kinds >= 3, kinds)
end)

test("a recipe that is there is not written over unless asked, and one that could not be written is told at once", function()
  local place = new(3)
  place.write("r.lua", "mine")
  local done = ends(2, place.command("recommend", { base = TINY, to = place.path "r.lua" }))
  check.contains(done.text, "@/r.lua is there already and is not written over")
  check.equal({ place.read "r.lua", done.out }, { "mine", "" })
  ends(0, place.command("recommend", { base = TINY, to = place.path "r.lua", overwrite = "yes" }))
  check.contains(place.read "r.lua", "train_lora")
  check.contains(ends(2, place.command("recommend", { base = TINY, to = place.path "r.txt" })).text, "is not .lua")
  check.contains(ends(2, place.command("recommend", { base = TINY, to = place.path "r.lua/x.lua" })).text, "is a file, not a folder")
  check.contains(ends(0, place.command("recommend", { base = TINY, to = "" })).out, "local lora = photos:train_lora {")
end)

test("the number of pictures, their size, their captions and the memory decide", function()
  local few = new(3)
  local done = ends(0, few.command("recommend", { base = TINY, to = "", goal = "style" }))
  check.contains(done.out, "style would take 32; half of it for only 3 pictures")
  check.contains(done.out, "half of the usual: with so few pictures")
  check.contains(done.out, "3 of 3 have no caption beside them")
  local many = new(20)
  for i = 1, 20 do many.write(("photos/p%02d.txt"):format(i), ("zqrt patch of colour %d"):format(i)) end
  done = ends(0, many.command("recommend", { base = TINY, to = "", goal = "object" }))
  check.contains(done.out, "held = photos:split { held_out = 2 }")
  check.contains(done.out, 'with = sidecar {}, trigger = "zqrt"')
  check.contains(done.out, "validate = held")
  check.contains(done.out, "each of 18 is seen 81 times")
  check.contains(ends(0, many.command("recommend", { base = TINY, to = "", trigger = "wrt" })).out, 'trigger = "wrt"')
  check.contains(ends(2, many.command("recommend", { base = TINY, to = "", trigger = " a" })).text, "at least two letters")
  local tiny = recipes.new(tmp "tiny")
  tiny.command = few.command
  local device = require "native.device"
  if not device.open() then skip "no device" end
  done = ends(0, many.command("recommend", { base = TINY, to = "", memory = "0.001" }))
  check.contains(done.out, "it does not fit into the memory: ")
  check.contains(done.out, "more than ")
end)

test("on a GPU the batch is what its memory takes, and the rate goes with it", function()
  local device = require "native.device"
  local real, why = device.open()
  if not real then skip(why) end
  local memory, open = 24e9, device.open
  device.open = function()
    return setmetatable({}, { __close = function() end, __index = {
      info = function() return { name = "a GPU", cpu = false, memory = memory } end,
      sizes = function(_, graph) return real:sizes(graph) end } })
  end
  local place, out = new(20), {}
  for i, bytes in ipairs { 24e9, 40e6, 1e6 } do
    memory = bytes
    out[i] = ends(0, place.command("recommend", { base = TINY, to = "", goal = "style" })).out
  end
  device.open = open
  real:close()
  check.ok(out[1]:find "\n  batch +4 +needs [%d.]+ MB of a GPU, 24.0 GB", out[1])
  check.ok(out[1]:find "\n  lr +0.0002 +the usual 1e%-4, times the root of the batch", out[1])
  check.ok(out[1]:find "\n  steps +250 .-is seen 56 times", out[1]) -- as many looks as with a batch of one
  check.ok(out[2]:find "\n  batch +[12] ", out[2])
  check.contains(out[3], "it does not fit into the memory: ")
end)

test("small pictures lower the resolution", function()
  local place = new()
  for i = 1, 6 do place.photo(("s%d.png"):format(i), { seed = i, width = 50, height = 44, cells = 40 }) end
  local done = ends(0, place.command("recommend", { base = TINY, to = "" }))
  check.contains(done.out, "the base draws 64, but only from 32 on are two thirds of the pictures not enlarged")
  for i = 1, 6 do place.photo(("s%d.png"):format(i), { seed = i, width = 20, height = 24, cells = 40 }) end
  check.contains(ends(0, place.command("recommend", { base = TINY, to = "" })).out, "even so most pictures are enlarged: get larger ones")
end)

test("without a base the numbers are SD 1.5's, and what is missing is said", function()
  local place = new(3)
  local done = ends(0, place.command("recommend", { to = place.path "r.lua" }))
  check.contains(done.out, "SD 1.5 draws")
  check.contains(done.out, "not ready yet: there is no base models/sd15; base=FOLDER names one")
  check.contains(ends(2, place.command("recommend", { to = "", base = place.path "nowhere" })).text, "there is no base @/nowhere")
  check.contains(ends(2, place.command("recommend", { to = "", goal = "stile" })).text, "did you mean")
  local broken = new()
  broken.write("photos/a.jpg", "x")
  check.contains(ends(1, broken.command("recommend", { to = "", base = TINY })).text, "no picture of @/photos can be read")
end)

-- caption -----------------------------------------------------------------------------------------------------------------

test("caption makes a recipe, runs it, keeps the words in the store and says what is next", function()
  local place = new(3)
  place.write("photos/p02.txt", "by hand")
  local page = place.path "out/c.html"
  local done = ends(0, place.command("caption", { with = "fake", trigger = "zkr", to = page, save = place.path "out/c.lua" }))
  check.contains(done.log, ":caption { with = fake {}, trigger = \"zkr\" }")
  check.contains(done.log, "captions: 2 written, 1 by people")
  check.contains(done.out, "next: look at @/out/c.html")
  check.contains(done.out, "asks nobody again; beside=yes writes name.txt")
  check.equal(fs.stat(place.path "photos/p01.txt"), nil)
  check.contains(place.read "out/c.html", "zkr")
  ends(0, place.check((place.read "out/c.lua")))
  check.contains(ends(0, place.command("caption", { with = "fake", trigger = "zkr", to = page })).log, "2 known")
end)

test("caption writes beside the pictures only when asked, and a person's words win", function()
  local place = new(3)
  place.write("photos/p02.txt", "by hand")
  local done = ends(0, place.command("caption", { with = "template", text = "a photo of {stem}, [trigger]", trigger = "zkr", beside = "yes", to = "" }))
  check.equal({ place.read "photos/p01.txt", place.read "photos/p02.txt" }, { "a photo of p01, zkr\n", "zkr, by hand\n" })
  check.contains(done.out, "the captions stand beside the pictures")
end)

test("a command that skips blocked pictures says so in its own spelling", function()
  local place = new(2)
  local service = conversation.new { keys = { "GEMINI_API_KEY" },
    answer = function(_, n) if n == 1 then return { verdict = "blocked", why = "SAFETY", tokens = { input = 1300 } } end end }
  local function said(more)
    local params = { with = "gemini", in_flight = "1", to = place.path "out/c.html" }
    for key, value in pairs(more or {}) do params[key] = value end
    local log, lines = require "native.log", {}
    local say = log.say
    log.say = function(_, line) lines[#lines + 1] = line end
    local done = place.command("caption", params)
    log.say = say
    ends(0, done)
    return table.concat(lines, "\n")
  end
  said()
  local second = said { to = place.path "out/d.html" }
  local asked = #service.questions
  said { again = "yes" }
  service.close()
  check.equal({ asked, #service.questions }, { 2, 3 })
  check.contains(second, "not asked for again (again=yes does): p01.png (SAFETY)")
end)

test("caption shows its recipe, with every option of the provider, and does nothing else", function()
  local place = new(1)
  local done = ends(0, place.command("caption", { show = "yes", with = "gemini", style = "tags", focus = "scene", spend = "0.5", model = "a, b", in_flight = "2",
    again = "yes", prefix = 'say "hi"', recursive = "yes", to = "out/x.html" }))
  check.contains(done.out, 'images { "@/photos", recursive = true }')
  for _, words in ipairs { 'model = { "a", "b" }', 'style = "tags"', "spend = usd(0.5)", "in_flight = 2", "again = true", 'prefix = "say \\"hi\\""' } do
    check.contains(done.out, words)
  end
  check.equal(fs.stat(place.path "store"), nil)
end)

test("caption without anybody to ask says in a sentence what can be done", function()
  local services = require "caption.services"
  services.net = { env = function() return nil end, has_key = function() return nil end }
  local place = new(2)
  place.write("photos/p02.txt", "by hand")
  local done = place.command("caption", { to = place.path "out/c.html" })
  place.write("photos/p01.txt", "by hand, too")
  local fine = place.command("caption", { to = place.path "out/c.html" })
  services.net = nil
  check.contains(ends(2, done).text, "1 of 2 pictures has no caption, and there is nobody to ask: no key and no server was found")
  check.contains(done.text, "put a key into .env (GEMINI_API_KEY=...)")
  ends(0, fine)
end)

test("on a narrow terminal reasons go on below where they began", function()
  local log, telling = require "native.log", require "assistant.telling"
  local terminal, lines = log.terminal, {}
  local advice = { folder = "photos", found = { pictures = {} }, count = 0, goal = "style", base = "b",
    rows = { { name = "lr", value = 0.0001, reason = "usual for LoRAs with AdamW; halve it if samples burn" } } }
  log.terminal = function() return 60 end
  telling.advice(advice, function(line) lines[#lines + 1] = line end)
  log.terminal = function() return nil end
  telling.advice(advice, function(line) lines[#lines + 1] = line end)
  log.terminal = terminal
  check.equal(lines[2], "  lr              0.0001    usual for LoRAs with AdamW;\n" .. (" "):rep(28) .. "halve it if samples burn")
  check.equal(lines[4], "  lr              0.0001    usual for LoRAs with AdamW; halve it if samples burn")
end)

test("money may be typed with its sign", function()
  local done = ends(0, new(1).command("caption", { show = "yes", with = "gemini", spend = "$0.50" }))
  check.contains(done.out, "spend = usd(0.5)")
end)

test("names that are long leave room for those that do not fit", function()
  local telling = require "assistant.telling"
  local function list(...)
    local rows = {}
    for i, name in ipairs { ... } do rows[i] = { item = { name = name } } end
    return rows
  end
  check.equal(telling.names(list("a.jpg", "b.jpg", "c.jpg", "d.jpg")), "a.jpg, b.jpg, c.jpg and 1 more")
  local a, b, c = ("a"):rep(30), ("b"):rep(25), ("c"):rep(30)
  check.equal(telling.names(list(a, b, c)), a .. ", " .. b .. " and 1 more")
  check.equal(telling.names(list(a, c .. c, b)), a .. " and 2 more")
  check.equal(telling.names(list(("a"):rep(90))), ("a"):rep(90))
end)

test("caption refuses what would go wrong before anybody is asked", function()
  local place = new(1)
  place.write("there.lua", "mine")
  for _, case in ipairs { { { with = "gemnii" }, "did you mean 'gemini'?" }, { { with = "fake", stile = "x" }, "unknown option 'stile' for calotype caption" },
    { { with = "gemini", stile = "x" }, "did you mean 'style'?" }, { { with = "gemini", style = "x" }, "option 'style' of calotype caption" },
    { { with = "fake", to = "" }, "nothing would be written" }, { { with = "fake", save = place.path "there.lua" }, "is not written over" },
    { { with = "fake", save = "x" }, "is not .lua" }, { { with = "template", text = "a {stm}" }, "did you mean {stem}?" },
    { { with = "gemini", spend = "much" }, "takes a number" },
    { { with = "ensemble" }, "with=ensemble: its members are named in a recipe" } } do
    check.contains(ends(2, place.command("caption", case[1])).text, case[2])
  end
  check.equal(place.read "there.lua", "mine")
end)

test("caption keeps no recipe that would not pass check, and quotes the folder in the command to go on with", function()
  local place = new(1)
  local done = ends(2, place.command("caption", { with = "fake", save = place.path "c.lua" }, place.path "nowhere"))
  check.contains(done.text, "nowhere")
  check.equal(fs.stat(place.path "c.lua"), nil)
  ends(2, place.command("caption", { with = "fake", save = place.path "c.lua", to = place.path "out/[trigger].html" }))
  check.equal(fs.stat(place.path "c.lua"), nil)
  check.contains(ends(2, place.command("caption", { with = "fake", to = place.path "out/c.html" }, place.path "bad\xff")).text, "give the file or folder a name in UTF-8")
  local command, typed = require "recipe.command", nil
  local before = command.run
  command.run = function(options) typed = options.again return 1 end
  place.command("caption", { with = "template", text = "it's" }, "a b")
  command.run = before
  check.equal(typed, "calotype caption 'a b' 'text=it'\\''s' with=template")
end)

-- tags --------------------------------------------------------------------------------------------------------------------

test("lists of tags are mended, each change with its kind", function()
  local tags = require "assistant.tags"
  local mended, changes = tags.mend "Long_Hair, a Tree, trees, backround, long hair, shirt, white shirt, ^_^, best quality, score_9, score_8_up"
  check.equal(mended, "score_9, score_8_up, best quality, long hair, trees, background, white shirt, ^_^")
  local kinds = {}
  for _, change in ipairs(changes) do kinds[change.kind] = (kinds[change.kind] or 0) + 1 end
  check.equal(kinds, { spelling = 1, grammar = 1, plural = 1, double = 1, redundant = 1, underscores = 1 })
  for text, wanted in pairs { ["short, shorts, glass, glasses"] = "short, shorts, glass, glasses", ["teh, the sea, Backround."] = "teh, sea, background",
    ["1girl, smilling, masterpiece"] = "masterpiece, 1girl, smiling", ["st. peter's, an owl"] = "st. peter's, owl" } do
    check.equal((tags.mend(text)), wanted)
  end
  check.equal((tags.mend("sea, masterpiece, sky", { quality = "drop" })), "sea, sky")
  check.equal((tags.mend("sea, masterpiece, sky", { quality = "keep" })), "sea, masterpiece, sky")
  check.equal((tags.mend("Zkr_X, sea, a sky", { trigger = "Zkr_X", without = { "sea" } })), "Zkr_X, sky")
  check.equal(select(3, tags.mend "masterpiece, worst quality"), "good and bad quality at once")
  check.equal({ tags.mend(mended) }, { mended, {} }) -- mended is mended
end)

test("the list of misspellings has no word that is right, and no chains", function()
  local misspelt = require "data.misspelt"
  local count = 0
  for wrong, right in pairs(misspelt) do
    count = count + 1
    check.ok(wrong:find "^[%w]+$" and wrong == wrong:lower() and wrong ~= right and not misspelt[right], wrong)
  end
  check.ok(count > 150, count)
  if fs.stat "/usr/share/dict/words" then
    local words = {}
    for word in fs.read "/usr/share/dict/words":gmatch "[^\n]+" do words[word] = true end
    for wrong in pairs(misspelt) do check.ok(not words[wrong], wrong .. " is a word") end
  end
end)

test("tags shows what would change; people's are written only when asked, and the old text is in the history", function()
  local place = new(3)
  place.write("photos/p01.txt", "red_hair, backround, red hair")
  place.write("photos/p02.txt", "A red house. It stands on a hill.")
  local done = ends(0, place.command("tags"))
  check.contains(done.out, "3 pictures: 1 to mend, 0 fine, 1 with sentences (left alone), 1 without a caption")
  check.contains(done.out, "- red_hair, backround, red hair\n    + red hair, background")
  check.contains(done.out, "nothing was written")
  check.contains(ends(0, place.command("tags", { write = "yes" })).out, "1 caption by people left alone: people=yes writes it too")
  check.equal(place.read "photos/p01.txt", "red_hair, backround, red hair")
  check.contains(ends(0, place.command("tags", { write = "yes", people = "yes" })).out, "1 caption written; the old ones are in the history")
  check.equal({ place.read "photos/p01.txt", place.read "photos/p02.txt" }, { "red hair, background\n", "A red house. It stands on a hill." })
  local store <close> = require "native.store".open(place.path "store")
  local sha = require "native.hash".sha256(place.read "photos/p01.png")
  local texts = {}
  for i, row in ipairs(store:captions(sha)) do texts[i] = row.author .. ": " .. row.text end
  check.equal(texts, { "human: red_hair, backround, red hair", "human: red hair, background" })
  local who = require "captions.telling".who
  check.equal({ who(store:captions(sha)[1]), who(store:captions(sha)[2]) }, { "a person", "a person, mended by calotype tags" })
  check.contains(ends(0, place.command("tags")).out, "0 to mend, 1 fine")
end)

test("tags that a model wrote are mended in the store and beside the picture, and the next run uses them", function()
  local place = new(1)
  local recipe = [[
local p = images "@/photos" :caption { with = template { text = "Blue_Sky, backround" } }
p:export { as = "sidecars", beside = true }
]]
  ends(0, place.run(recipe))
  check.equal(place.read "photos/p01.txt", "Blue_Sky, backround\n")
  check.contains(ends(0, place.command("tags", { write = "yes" })).out, "1 caption written")
  check.equal(place.read "photos/p01.txt", "blue sky, background\n")
  do
    local store <close> = require "native.store".open(place.path "store")
    local rows = store:captions(require "native.hash".sha256(place.read "photos/p01.png"))
    check.equal(require "captions.telling".who(rows[#rows]), "template, mended by calotype tags")
  end
  local done = ends(0, place.run(recipe))
  check.contains(done.log, "1 known")
  check.equal(place.read "photos/p01.txt", "blue sky, background\n")
end)

test("a caption file that cannot be written keeps its words and ends tags with a sentence", function()
  local place, write = new(1), fs.write
  place.write("photos/p01.txt", "red_hair, backround")
  fs.write = function(path, ...)
    if path:find "%.txt$" then return nil, path .. " cannot be written: No space left on device", "IO" end
    return write(path, ...)
  end
  local done = place.command("tags", { write = "yes", people = "yes" })
  fs.write = write
  check.contains(ends(1, done).text, "No space left on device")
  check.equal(place.read "photos/p01.txt", "red_hair, backround")
end)

-- judge -------------------------------------------------------------------------------------------------------------------

-- Judgements by the picture's size: what answers cannot know which picture they are of.
local function judging(answer, more)
  local spec = { keys = { "GEMINI_API_KEY" }, answer = answer }
  for key, value in pairs(more or {}) do spec[key] = value end
  return conversation.new(spec)
end
local function judgement(quality, kind, faults, reason)
  return { text = json.encode { quality = quality, kind = kind or "photo", faults = json.array(faults or {}), reason = reason or "plain" } }
end

test("with judge=yes a model is asked for each picture once, and never again", function()
  local place = new(3)
  local service = judging(function(_, n) return judgement(({ 8, 3, 7 })[n], "photo", n == 2 and { "watermark" } or nil, "number " .. n) end)
  local done = place.command("analyze", { side = "256", to = place.path "out/a.html", json = place.path "out/a.json", judge = "yes" })
  local again = place.command("analyze", { side = "256", to = "", judge = "yes" })
  service.close()
  ends(0, done)
  check.contains(done.out, "judged        6.0 of 10   all by gemini")
  check.ok(done.log:find "judging 3 pictures with gemini%-%S+ at generativelanguage.googleapis.com: about %$0.%d+; spend=DOLLARS sets a ceiling", done.log)
  check.contains(done.out, "bad    1 judged poor        p02.png")
  check.contains(done.log, "gemini: 3 judgements, 3 requests, $0.0057, 3900 tokens in, 750 out; a reply took 1.0 s (95 %: 2.0 s, 99 %: 3.0 s)")
  check.ok(not again.log:find("judgements", 1, true), again.log)
  check.contains(done.out, "look   1 faults seen        p02.png")
  check.contains(place.read "out/a.html", "says 3.0: number 2")
  check.equal(json.decode(place.read "out/a.json").judged.quality, 6)
  check.contains(ends(0, again).out, "judged        6.0 of 10")
  check.equal(#service.questions, 3)
  local q = service.questions[1]
  check.ok(q.schema:find '"quality"' and q.system:find "0 teaches nothing" and #q.pictures == 1 and #q.pictures[1].bytes > 100)
  local store <close> = require "native.store".open(place.path "store")
  local spent = store:spent {}
  check.equal(spent.requests, 3)
  check.ok(spent.cost > 0)
end)

test("the question of judge=yes is asked in six languages, each a question of its own; the English one is what stores have", function()
  local consult, judge = require "assistant.consult", require "assistant.judge"
  local seen = {}
  for _, language in ipairs { "de", "en", "es", "fr", "ja", "zh" } do
    local asked = consult.asked(judge.question, language)
    check.ok(not seen[asked.id] and asked.system:find "quality" and asked.system:find "screenshot" and asked.user ~= "", language)
    seen[asked.id] = true
  end
  check.equal(consult.asked(judge.question, "en").id, "fb22c0a34d86f5a583452f356ba879c039d6354dfb4159ff917b3ba2eee7e077")
  local place = new(2)
  local service = judging(function(q) return judgement(8, "photo", {}, q.system:find "auf Deutsch" and "Unscharf." or "Blurred.") end)
  local function run(more)
    local params = { side = "256", to = "", judge = "yes", json = place.path "out/a.json" }
    for key, value in pairs(more or {}) do params[key] = value end
    return place.command("analyze", params)
  end
  ends(0, run())
  check.contains(place.read "out/a.json", "Blurred.")
  ends(0, run { language = "de" })
  check.contains(place.read "out/a.json", "Unscharf.")
  ends(0, run { language = "en" })
  check.contains(place.read "out/a.json", "Blurred.")
  check.equal(#service.questions, 4)
  check.contains(ends(2, run { language = "it" }).text, 'there are no prompts in "it"; there are de, en, es, fr, ja, zh')
  check.contains(ends(2, run { language = "../x" }).text, "it is two letters")
  service.close()
end)

test("a person's own file of prompts has the words of judge=yes, or leaves them as they are", function()
  local prompts = require "caption.prompts"
  local place = recipes.new(tmp "place")
  local text = fs.read "stdlib/data/prompts/en.lua"
  if not text then skip "the sources are not here" end
  local bare = text:gsub("\n  judge = {.*$", "\n}\n")
  place.write("en.lua", bare)
  place.write("it.lua", bare)
  place.write("nl.lua", (text:gsub("Judge this picture%.", "Beoordeel deze foto.")))
  place.write("sv.lua", (text:gsub("    ask = \"Its tags: \",\n", "")))
  local env = script.env
  script.env = function(name) return name == "CALOTYPE_PROMPTS" and place.folder or env(name) end
  local plain, lacking, own = prompts.judging("judge", "en"), table.pack(prompts.judging("judge", "it")), prompts.judging("judge", "nl")
  local broken = table.pack(prompts.judging("judge", "sv"))
  script.env = env
  check.equal(plain.ask, "Judge this picture.")
  check.equal(lacking[2], 'the prompts in "it" have no \'judge\'')
  check.equal(own.ask, "Beoordeel deze foto.")
  check.contains(broken[2], "sv.lua has no 'judge_tags.ask'")
end)

test("copies of a picture are judged once; an endpoint that only captions is not asked", function()
  local place = new(2)
  place.write("photos/p03.png", place.read "photos/p02.png")
  local service = judging(function() return judgement(8) end)
  check.contains(ends(0, place.command("analyze", { side = "256", to = "", judge = "yes" })).out, "all by gemini")
  service.close()
  check.equal(#service.questions, 2)
  service = conversation.new { keys = { "HF_TOKEN" }, env = { HF_BASE_URL = "https://x.endpoints.huggingface.cloud" } }
  local done = place.command("analyze", { side = "256", to = "", judge = "yes", with = "huggingface" })
  service.close()
  check.contains(ends(2, done).text, "an endpoint that only captions")
end)

test("what a model says makes outliers, and what it says of half of the pictures moves none", function()
  local place = new(12)
  local kinds = { [4] = "drawing" }
  local service = judging(function(_, n)
    if n == 7 then return judgement(1, "photo", {}, "nothing to see") end
    if n == 9 then return judgement(8, "photo", { "watermark" }) end
    return judgement(8, kinds[n])
  end)
  local done = place.command("outliers", with { judge = "yes" })
  service.close()
  ends(0, done)
  check.ok(done.out:find "quality +p07.png +judged 1.0, [%d.]+ deviations from 8.0: nothing to see", done.out)
  check.ok(done.out:find "style +p04.png +judged a drawing; 11 of 12 pictures are photos", done.out)
  check.ok(done.out:find "artefacts +p09.png +faults seen: watermark", done.out)
  local other = new(12)
  service = judging(function(_, n) return n > 5 and { verdict = "stop", status = 403, why = "the key is blocked", text = "" } or judgement(8) end)
  done = other.command("outliers", with { judge = "yes", remove = "yes" })
  service.close()
  check.contains(ends(1, done).text, "the key is blocked")
  check.contains(done.text, "judged and kept")
  check.equal(fs.stat(other.path "photos-outliers"), nil)
  service = judging(function() return judgement(8) end)
  ends(0, other.command("outliers", with { judge = "yes" }))
  service.close()
  check.equal(#service.questions, 7) -- five were kept
end)

test("a ceiling holds for judgements too, and what was measured is told all the same", function()
  local place = new(4)
  local service = judging(function() return judgement(7) end)
  local done = place.command("analyze", { side = "256", to = "", judge = "yes", spend = "0.000001" })
  service.close()
  check.equal(#service.questions, 0)
  check.ok(done.exit == 1 or done.exit == 3, done.exit)
  check.contains(done.text, "would cross the ceiling of usd(1e-06)")
  check.contains(done.out, "quality ")
end)

test("recommend has the model's judgement among its reasons", function()
  local place = new(3)
  local service = judging(function(_, n) return judgement(8, ({ "painting", "photo", "drawing" })[n]) end)
  local done = place.command("recommend", { base = TINY, to = "", goal = "style", judge = "yes" })
  service.close()
  check.contains(ends(0, done).out, "a style of several kinds is none")
end)

-- tags judge=yes ----------------------------------------------------------------------------------------------------------

local function doubts(wrong, missing, better)
  return { text = json.encode { wrong = json.array(wrong or {}), missing = json.array(missing or {}), better = json.array(better or {}) } }
end

-- Two lists and a sentence; the model finds one of each kind in the first.
local function tagged()
  local place = new(3)
  place.write("photos/p01.txt", "zkr, masterpiece, a Hat, sail_boat, sea")
  place.write("photos/p02.txt", "zkr, tree, sky")
  place.write("photos/p03.txt", "A red house. It stands on a hill.")
  local service = judging(function(q)
    if not q.user:find "hat" then return doubts() end
    return doubts({ { tag = "Hat", why = "nobody wears\27[31m one" }, { tag = "moon", why = "not in the list" } },
      { "gull, harbour", "sea", "masterpiece", "zkr", "one two three four five six" }, { { tag = "sail_boat", better = "sailboat" }, { tag = "sea", better = "Sea" } })
  end)
  local function run(more)
    local params = { judge = "yes", trigger = "zkr" }
    for key, value in pairs(more or {}) do params[key] = value end
    return place.command("tags", params)
  end
  return place, service, run
end

test("tags judge=yes shows what a model says of each list, once paid, and takes nothing unasked", function()
  local place, service, run = tagged()
  local done = ends(0, run())
  check.ok(done.log:find "judging the tags of 2 pictures with gemini%-%S+ at generativelanguage.googleapis.com: about %$0.%d+; spend=DOLLARS sets", done.log)
  check.contains(done.out, "    + zkr, masterpiece, hat, sail boat, sea\n    wrong    hat (nobody wears one)\n    missing  gull, harbour\n"
    .. "    better   sailboat for sail boat\n")
  check.ok(not done.out:find("p02", 1, true), done.out)
  check.contains(done.out, "on the tags of 2 pictures: 1 wrong, 2 missing, 1 better written otherwise")
  check.contains(done.out, "none of the model's suggestions is taken: accept=wrong,missing,better (or all) takes them")
  check.contains(service.questions[1].user, '["hat","sail boat","sea"]')
  check.ok(service.questions[1].schema:find '"wrong"' and #service.questions[1].pictures == 1)
  ends(0, run { write = "yes", people = "yes" })
  check.equal(place.read "photos/p01.txt", "zkr, masterpiece, hat, sail boat, sea\n")
  ends(0, run())
  check.equal(#service.questions, 2)
  check.contains(ends(0, run { language = "de" }).out, "1 wrong")
  service.close()
  check.equal(#service.questions, 4)
  check.ok(service.questions[3].system:find "auf Deutsch")
  local store <close> = require "native.store".open(place.path "store")
  check.equal(store:spent({}).requests, 4)
end)

test("tags takes the suggestions that a person accepts, says in the history what they are, and does not ask about its own words", function()
  local place, service, run = tagged()
  local done = ends(0, run { accept = "wrong,better" })
  check.contains(done.out, "+ zkr, masterpiece, sailboat, sea\n")
  check.contains(done.out, "1 better, ")
  check.ok(not done.out:find("none of the model's", 1, true))
  check.equal(place.read "photos/p01.txt", "zkr, masterpiece, a Hat, sail_boat, sea", "shown only")
  check.contains(ends(0, run { accept = "all", except = "Sailboat, gull", write = "yes" }).out, "by people left alone")
  ends(0, run { accept = "all", except = "Sailboat, gull", write = "yes", people = "yes" })
  check.equal(place.read "photos/p01.txt", "zkr, masterpiece, sail boat, sea, harbour\n")
  check.equal(place.read "photos/p02.txt", "zkr, tree, sky")
  done = ends(0, run())
  check.contains(done.out, "      zkr, masterpiece, sail boat, sea, harbour\n    missing  gull\n    better   sailboat for sail boat\n")
  service.close()
  check.equal(#service.questions, 2)
  local store <close> = require "native.store".open(place.path "store")
  local rows = store:captions(require "native.hash".sha256(place.read "photos/p01.png"))
  check.ok(require "captions.telling".who(rows[#rows]):find "^a person, mended by calotype tags with gemini%-", rows[#rows].detail)
end)

test("tags accepts for captions of models, too, with the dressing that the next run puts on", function()
  local place = new(1)
  local recipe = 'local p = images "@/photos" :caption { with = template { text = "hat, sea" }, trigger = "zkr" }\np:export { as = "sidecars", beside = true }\n'
  ends(0, place.run(recipe))
  local service = judging(function() return doubts({ { tag = "hat", why = "none" } }, { "gull" }) end)
  ends(0, place.command("tags", { judge = "yes", accept = "all", write = "yes", trigger = "zkr" }))
  service.close()
  check.equal(place.read "photos/p01.txt", "zkr, sea, gull\n")
  check.contains(ends(0, place.run(recipe)).log, "1 known")
  check.equal(place.read "photos/p01.txt", "zkr, sea, gull\n")
end)

test("tags writes nothing by half of the judgements, and tells what accept and except cannot mean", function()
  local place, service, run = tagged()
  service.close()
  service = judging(function(_, n) return n == 1 and doubts({ { tag = "hat", why = "" } }) or { verdict = "stop", status = 403, why = "the key is blocked", text = "" } end)
  local done = run { accept = "all", write = "yes", people = "yes", in_flight = nil }
  service.close()
  check.contains(ends(1, done).text, "the key is blocked")
  check.contains(done.out, "wrong    hat\n")
  check.equal(place.read "photos/p01.txt", "zkr, masterpiece, a Hat, sail_boat, sea")
  service = judging(function() return doubts() end)
  done = run { spend = "0.000001" }
  check.ok(done.exit ~= 0 and done.text:find("would cross the ceiling", 1, true), done.text)
  check.contains(ends(2, run { accept = "worng" }).text, "did you mean 'wrong'?")
  check.contains(ends(2, run { except = "hat" }).text, "except= without accept=")
  check.contains(ends(2, run { accept = "all", judge = "no" }).text, "accept= takes suggestions of a model, and none is asked")
  check.contains(ends(2, run { judge = "no", language = "x" }).text, "it is two letters")
  check.equal(#service.questions, 0)
  service.close()
end)

test("answers about tags are read in whatever shape they come, and nothing else", function()
  local judge = require "assistant.tag_judge"
  for text, why in pairs { ["no"] = "no JSON object", ["{}"] = "no list 'wrong'", ['{"wrong":[],"missing":3}'] = "no list 'missing'", ['{"wrong":[],"missing":[]}'] = "no list 'better'" } do
    local value, message = judge.read(nil, text)
    check.equal(value, nil)
    check.contains(message, why)
  end
  local strange = json.decode(judge.read(nil, '{"wrong":["a",{"tag":"b"},{"tag":5},7,{"why":"x"}],"missing":["c",4,""],"better":["d",{"tag":"e","better":"f"},{"tag":"g","better":""}]}'))
  check.equal({ strange.wrong, strange.missing, strange.better }, { { { tag = "a", why = "" }, { tag = "b", why = "" } }, { "c" }, { { tag = "e", better = "f" } } })
  local long = json.decode(judge.read(nil, json.encode { wrong = json.array { { tag = ("é"):rep(90), why = ("x"):rep(900) } }, missing = json.array {}, better = json.array {} }))
  check.ok(utf8.len(long.wrong[1].tag) and #long.wrong[1].tag < 70 and #long.wrong[1].why < 130)
end)

test("answers that are no judgement are asked for again once, then left out", function()
  local judge = require "assistant.judge"
  for text, why in pairs { ["no"] = "no JSON object", ["{}"] = "no quality", ['{"quality":11}'] = "no quality", ['{"quality":"nan"}'] = "no quality", ["[]"] = "no quality" } do
    local value, message = judge.read(nil, text)
    check.equal(value, nil)
    check.contains(message, why)
  end
  local long = json.decode(judge.read(nil, json.encode { quality = "7.5", kind = "x", faults = json.array { ("é"):rep(100), 3, " " }, reason = ("ü"):rep(400) }))
  check.equal({ long.quality, long.kind, #long.faults }, { 7.5, "other", 1 })
  check.ok(utf8.len(long.reason) and #long.reason < 310 and utf8.len(long.faults[1]) and #long.faults[1] < 70)
  local strange = json.decode(judge.read(nil, json.encode { quality = 5, kind = "photo", faults = json.array { "a\u{202E}b" }, reason = "x\27[31my\u{9B}z" }))
  check.equal({ strange.faults[1], strange.reason }, { "ab", "xyz" }, "nothing that colours or reverses a terminal's line")
  local place = new(2)
  local service = judging(function(_, n) return n ~= 1 and n ~= 3 and judgement(8) or { text = "{}" } end)
  local done = place.command("analyze", { side = "256", to = "", judge = "yes" })
  service.close()
  check.contains(done.out, "1 of 2 pictures by gemini")
end)

test("without anybody to ask, judge=yes ends with what can be done, and judge=no says that nobody was asked", function()
  local place = new(2)
  local service = conversation.new { keys = {} }
  local done = place.command("analyze", { side = "256", to = "", judge = "yes" })
  local plain = place.command("analyze", { side = "256", to = "" })
  service.close()
  check.contains(ends(2, done).text, "there is nobody to judge: no key and no server was found")
  check.contains(ends(0, plain).out, "measured here, no model was asked")
  service = judging()
  plain = place.command("analyze", { side = "256", to = "" })
  local wrong = place.command("analyze", { side = "256", to = "", judge = "yes", with = "gemnii" })
  local fake = place.command("analyze", { side = "256", to = "", judge = "yes", with = "fake" })
  service.close()
  check.contains(plain.out, "judge=yes asks gemini (GEMINI_API_KEY says so)")
  check.contains(ends(2, wrong).text, "did you mean 'gemini'?")
  check.contains(ends(2, fake).text, "nobody of that name judges pictures")
end)

test("the whole road of a judgement: the program, .env, a server; what fails is asked again, what is known is not", function()
  local fake = dofile "tests/fake.lua"
  local server <close> = fake.start()
  local folder = tmp "road"
  local _, order = fake.pictures(folder .. "/photos", 5, 200)
  local function run(scenario, words)
    assert(fs.write(folder .. "/.env", ("GEMINI_BASE_URL=%s\nGEMINI_API_KEY=%s\n"):format(server:url(scenario), fake.KEY)))
    local out = io.popen("(" .. fake.command(folder, words) .. ") 2>&1; echo \"exit $?\"")
    local text, code = out:read "a":match "^(.*)exit (%d+)\n$"
    out:close()
    check.ok(not text:find(fake.KEY, 1, true), "the key was shown")
    return text, tonumber(code)
  end
  local text, code = run("503-twice=judge", "analyze photos side=64 to= judge=yes")
  check.equal(code, 0, text)
  check.contains(text, "judged        1.0 of 10   all by ") -- the server gives small values that the schema allows
  check.contains(text, "bad    5 judged poor")
  text, code = run("503-twice=judge", "analyze photos side=64 to=out/a.html judge=yes")
  check.equal(code, 0, text)
  local counts = server:counts "503-twice=judge"
  for _, sha in ipairs(order) do check.equal(counts.of[sha].produced, 1, sha) end
  check.contains(fs.read(folder .. "/out/a.html"), "says 1.0: a small test picture")
  -- recorded, then played back without key and network
  text, code = run("ok=tape", "analyze photos side=64 to= judge=yes model=gemini-3.8-flash record=tape.jsonl")
  check.equal(code, 0, text)
  assert(fs.remove(folder .. "/.env"))
  local replay = io.popen("(" .. fake.command(folder, "analyze photos side=64 to= judge=yes with=gemini model=gemini-3.8-flash replay=tape.jsonl",
    { CALOTYPE_STORE = "other" }) .. ") 2>&1")
  check.contains(replay:read "a", "judged        1.0 of 10   all by ")
  replay:close()
  check.ok(fs.stat(folder .. "/other"))
  assert(fs.write(folder .. "/photos/" .. fs.list(folder .. "/photos")[1].path:match "([^/]+)%.png$" .. ".txt", "red_hair, backround"))
  text, code = run("503-twice=tags", "tags photos judge=yes language=ja")
  check.equal(code, 0, text)
  check.contains(text, "judging the tags of 1 picture with ")
  check.contains(text, "on the tags of 1 picture: ")
  text, code = run("bad-key", "tags photos judge=yes language=ja") -- what is known is not asked for again
  check.equal(code, 0, text)
  text, code = run("bad-key", "outliers photos page= judge=yes") -- fewer than eight: nobody needs to be asked
  check.equal(code, 0, text)
end)

test("names that are no UTF-8, have controls or marks of HTML go through every command, and come back from quarantine", function()
  local place = odd()
  local names = { "bad\xffname.png", "new\nline.png", "<b>x.png", "-p=1.png", "'q\".png" }
  for i, name in ipairs(names) do place.photo(name, { seed = 70 + i, width = 300, height = 280, cells = 2 }) end
  place.write("photos/bad\xffname.txt", "grass")
  local before = state_of(place.path "photos")
  local done = ends(0, place.command("analyze", { side = "256", to = place.path "out/a.html", json = place.path "out/a.json" }))
  check.ok(utf8.len(done.out) and not done.out:find "new\nline")
  check.ok(json.decode(place.read "out/a.json") and utf8.len(place.read "out/a.html") and not place.read "out/a.html":find("<b>x", 1, true))
  ends(0, place.command("outliers", with { remove = "yes", above = "2", json = place.path "out/o.json" }))
  check.ok(json.decode(place.read "out/o.json"))
  for _, name in ipairs(names) do check.ok(fs.stat(place.path "photos-outliers/" .. name), name) end
  check.ok(fs.stat(place.path "photos-outliers/bad\xffname.txt"))
  ends(0, place.command("outliers", with { restore = "yes" }))
  check.equal(state_of(place.path "photos"), before)
  ends(0, place.command("tags"))
  ends(0, place.command("caption", { with = "fake", to = place.path "out/c.html" }))
  fs.make_folder(place.path "a ${x}")
  check.contains(ends(2, place.command("analyze", {}, place.path "a ${x}")).text, "where recipes put a parameter")
end)

test("Ctrl-C ends every command where it looks at much, and nothing is half-written", function()
  local place, interrupted = odd(), script.interrupted
  local before = state_of(place.path "photos")
  ends(0, place.command("analyze", { side = "256", to = "" }))
  for _, case in ipairs { { "analyze", { side = "256", to = place.path "out/a.html" } }, { "outliers", with { remove = "yes" } }, { "tags", { write = "yes", people = "yes" } },
    { "recommend", { base = TINY, to = place.path "r.lua" } } } do
    for calls = 0, 3 do
      local count = 0
      script.interrupted = function()
        count = count + 1
        return count > calls and 1 or 0
      end
      local done = place.command(case[1], case[2])
      script.interrupted = interrupted
      if done.exit ~= 0 then check.contains(ends(130, done).text, "stopped") end
    end
  end
  check.ok(not fs.stat(place.path "out/a.html") and not fs.stat(place.path "r.lua"))
  if fs.stat(place.path "photos-outliers") then ends(0, place.command("outliers", with { restore = "yes" })) end
  for name, bytes in pairs(before) do if not name:find "%.txt$" then check.equal(place.read("photos/" .. name), bytes) end end
end)
