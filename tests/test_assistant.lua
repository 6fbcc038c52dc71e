-- The assistant's commands, on pictures whose faults are known because they were made here.
local fs = require "native.fs"
local image = require "native.image"
local json = require "native.json"
local recipes = dofile "tests/recipes.lua"
local script = require "native.script"
local settings = require "assistant.settings"

local COMMANDS = { "analyze" }

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
    for _, line in ipairs(settings.lines(require("assistant." .. name).settings)) do check.contains(text, "--   " .. line .. "\n") end
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
  for i = 1, 3 do place.write(("photos/p0%d.txt"):format(i), "a picture of coloured patches") end
  place.write("photos/p04.txt", "patches")
  local done = ends(0, place.command("analyze", { side = "256", to = "" }))
  check.contains(done.out, "captions                4 by people, 1 without")
  check.contains(done.out, "1 without a caption  p05.png")
  check.contains(done.out, "3 the same caption   p01.png, p02.png, p03.png")
  check.contains(done.out, "1 short captions     p04.png")
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
