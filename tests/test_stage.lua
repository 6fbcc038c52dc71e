local environment = require "recipe.environment"
local fs = require "native.fs"
local script = require "native.script"
local stage = require "recipe.stage"
local recipes = dofile "tests/recipes.lua"

-- A prompt in a place: eval(text) -> what it returns; set(text) -> the set a stage stands for.
local function prompt(place)
  local env, session = environment.new { mode = "live", store = place.path "store", say = function() end }
  local function eval(text) return assert(script.load((text:gsub("@", place.folder)), "@repl", env))() end
  local function set(text) return stage.evaluate(eval(text)) end
  return eval, set, session
end

local function names(list)
  local out = {}
  for i, item in ipairs(list) do out[i] = item.name or item.item.name end
  return table.concat(out, " ")
end

local function place_with(count)
  local place = recipes.new(tmp "place")
  for i = 1, count do place.photo(("p%d.png"):format(i), { seed = i, width = 200 + 10 * i, height = 200, cells = 6 + 4 * i }) end
  return place
end

local function fault_of(eval, text)
  local ok, fault = script.call(eval, text)
  check.equal(ok, false)
  return script.render(fault), fault.exit
end

test("a line of the account has the time of its own work: stages that a stage asks for have theirs, and the lines add up", function()
  local place, log = place_with(0), require "native.log"
  local now, lines = 100, {}
  local session = require("recipe.session").new { mode = "run", store = place.path "store", say = function(line) lines[#lines + 1] = line end }
  local function make(name, seconds, inputs, asks)
    local function run(context)
      context.account("done")
      now = now + seconds
      if asks then stage.evaluate(asks) end
    end
    return stage.new(session, { name = name, on = "images", options = {}, run = run }, {}, inputs, { line = 1 })
  end
  local clock = log.clock
  log.clock = function() return now end
  local first = make("first", 1, {})
  local drawn = make("drawn", 8, { first })
  local last = make("last", 16, { make("second", 2, { first }) }, make("between", 4, { first }, drawn))
  local ok, problem = pcall(stage.evaluate, last)
  log.clock = clock
  check.ok(ok, problem)
  check.equal(now, 131)
  check.equal(table.concat(lines, "\n"):gsub(" +", " "), " first done 1.0 s\n second done 2.0 s\n drawn done 8.0 s\n between done 4.0 s\n last done 16 s")
end)

test("making stages reads no picture and opens no store", function()
  local place = place_with(1)
  local env = environment.new { mode = "run", store = place.path "store" }
  assert(script.load(('local a = images "%s/photos":dedupe {}:reject { side_below = 5 }:take(3)'):format(place.folder), "@r.lua", env))()
  check.equal(fs.stat(place.path "store"), nil)
end)

test("a stage's key is that of what it does, not of its text", function()
  local place = place_with(1)
  local eval = prompt(place)
  local function key(text) return stage.key(eval("return " .. text)) end
  local a = key 'images "@/photos":reject { side_below = 50, aspect_above = 3 }'
  check.equal(key 'images { from = "@/photos" }\n:reject { aspect_above = 3, -- layout\n side_below = 50.0 }', a)
  check.ok(key 'images "@/photos":reject { side_below = 51, aspect_above = 3 }' ~= a)
  check.ok(key 'images "@/photos":orient():reject { side_below = 50, aspect_above = 3 }' ~= a)
  local one, two = eval 'return images "@/photos":split { held_out = 1 }'
  check.ok(stage.key(one) ~= stage.key(two))
end)

test("a callback's tokens, and what it closed over, are part of the key", function()
  local place = place_with(1)
  local eval = prompt(place)
  local function key(text) return stage.key(eval(text)) end
  local a = key 'local n = 5 return images "@/photos":keep_if(function(i) return i.width > n end)'
  check.equal(key 'local n = 5\n\nreturn images "@/photos":keep_if(function(i) -- wide\n  return i.width > n\nend)', a)
  check.ok(key 'local n = 6 return images "@/photos":keep_if(function(i) return i.width > n end)' ~= a)
  check.ok(key 'local n = 5 return images "@/photos":keep_if(function(i) return i.width < n end)' ~= a)
  local b = key 'local t = { "a", { x = 1 } } return images "@/photos":keep_if(function(i) return t[i.name] end)'
  check.ok(key 'local t = { "a", { x = 2 } } return images "@/photos":keep_if(function(i) return t[i.name] end)' ~= b)
  local c = key 'local p = params { n = { 5 } } return images "@/photos":keep_if(function(i) return i.width > p.n end)'
  local eval2 = prompt(place)
  check.ok(stage.key(eval2 'local p = params { n = { 6 } } return images "@/photos":keep_if(function(i) return i.width > p.n end)') ~= c)
  check.contains(fault_of(eval, 'local i = image.new(2, 2) return images "@/photos":keep_if(function() return i end)'), "cannot be part of a key")
end)

test("a callback that keeps a tally is refused", function()
  local place = place_with(3)
  local _, set = prompt(place)
  check.fails("depends on the order of calls", function()
    local ok, fault = script.call(set, 'local n = 0 return images "@/photos":keep_if(function() n = n + 1 return n < 2 end)')
    check.equal(ok, false)
    error(script.render(fault), 0)
  end)
end)

test("shared steps are computed once", function()
  local place = place_with(2)
  local said = {}
  local env = environment.new { mode = "live", store = place.path "store", say = function(line) said[#said + 1] = line end }
  assert(script.load(('a = images "%s/photos"; b = a:take(1); c = a:take(2); x, y = #b, #c'):format(place.folder), "@repl", env))()
  local scans = 0
  for _, line in ipairs(said) do if line:find "images" then scans = scans + 1 end end
  check.equal(scans, 1)
end)

test("reject cuts by numbers and by shares, and says why with the numbers", function()
  local place = place_with(5)
  local _, set = prompt(place)
  local out = set 'return images "@/photos":reject { side_below = 201 }'
  check.equal(#out.items, 0)
  check.equal(out.rejected[1].reason, "side 200 px is below 201 px")
  out = set 'return images "@/photos":reject { aspect_above = "highest 20%" }'
  check.equal(names(out.rejected), "p5.png")
  check.equal(out.rejected[1].reason, "aspect 1.25 is above 1.2 (highest 20%)")
  out = set 'return images "@/photos":reject { sharpness_below = "lowest 40%" }'
  check.equal(#out.items, 3)
  check.ok(out.rejected[1].reason:find "^sharpness [%d.]+ is below [%d.]+ %(lowest 40%%%)$", out.rejected[1].reason)
  check.equal(#set('return images "@/photos":reject { sharpness_below = "lowest 10%" }').items, 5) -- a tenth of five is none
  check.equal(#set('return images "@/photos":reject { side_below = 200, aspect_above = 1.25, dark_below = 0, light_above = 1, entropy_below = 0, noise_above = 255, blocking_above = 1000 }').items, 5)
  check.equal(set('return images "@/photos":reject { aspect_above = 1.22 }').cuts[1].threshold, 1.22)
end)

test("dedupe finds equal content, mirrored and scaled copies, and carries the caption over", function()
  local place = recipes.new(tmp "place")
  local picture = recipes.picture { seed = 3, width = 400, height = 300, cells = 10 }
  place.write("photos/a.png", picture:encode "png")
  place.write("photos/b.png", picture:encode "png")
  place.write("photos/c.png", picture:flip():encode "png")
  place.write("photos/d.jpg", picture:resize(200, 150):encode "jpeg")
  place.photo("e.png", { seed = 8, width = 400, height = 300, cells = 10 })
  place.write("photos/d.txt", "a person's words")
  local _, set = prompt(place)
  local out = set 'return images "@/photos":dedupe { keep = "largest" }'
  check.equal(names(out.items), "a.png e.png")
  check.equal(out.items[1].caption, "a person's words")
  check.equal(out.items[1].caption_by.author, "human")
  local why = {}
  for _, reject in ipairs(out.rejected) do why[reject.item.name] = reject.reason end
  check.contains(why["b.png"], "same content as a.png")
  check.contains(why["c.png"], "looks like a.png")
  check.contains(why["c.png"], "flip")
  check.contains(why["d.jpg"], "of 64")
  check.equal(names(set('return images "@/photos":dedupe { keep = "captioned" }').items), "d.jpg e.png")
  place.write("photos/a.txt", "my own words")
  check.equal(set('return images "@/photos":dedupe { keep = "largest" }').items[1].caption, "my own words")
  check.equal(names(set('return images "@/photos":dedupe { by = "exact" }').items), "a.png c.png d.jpg e.png")
  check.equal(names(set('return images "@/photos":dedupe { flips = false, keep = "first" }').items), "a.png c.png e.png")
end)

test("dedupe of thousands that look the same is stopped in the middle of its own loops, too", function()
  local dataset, dedupe, set = require "native.dataset", require "recipe.verbs.dedupe", require "recipe.set"
  local items, interrupted, duplicates = {}, script.interrupted, dataset.duplicates
  for i = 1, 3000 do
    local look = ("%016x"):format(1 << i // 60 | 1 << i % 60)
    items[i] = { path = i .. ".png", name = i .. ".png", sha256 = tostring(i), phash = look, phashes = { look }, sharpness = i, width = 8, height = 8, steps = {} }
  end
  local said = {}
  local context = { account = function(text) said[#said + 1] = text end, fail = function(text, more) error({ text = text, exit = more.exit }, 0) end }
  local options = { by = "phash", distance = 4, flips = true, keep = "sharpest" }
  check.equal(#dedupe.run(context, options, set.new(items)).items, 1)
  for _, at in ipairs { "before", "after" } do
    local _ <close> = setmetatable({}, { __close = function() script.interrupted, dataset.duplicates = interrupted, duplicates end })
    if at == "before" then script.interrupted = function() return 1 end end
    function dataset.duplicates(...)
      check.equal(at, "after")
      script.interrupted = function() return 1 end
      return duplicates(...)
    end
    local ok, fault = pcall(dedupe.run, context, options, set.new(items))
    check.ok(not ok, at)
    check.equal(fault, { text = "stopped while pictures were compared", exit = 130 })
  end
  check.equal(said, { "1 kept, 2999 rejected: 2999 that look the same" })
end)

test("edit changes captions and weights, and nothing else", function()
  local place = place_with(2)
  place.write("photos/p1.txt", "The image shows a door")
  local eval, set = prompt(place)
  local out = set [[return images "@/photos":edit(function(i)
    if not i.caption then return nil end
    i.caption = i.caption:gsub("^The image shows ", "")
    i.weight = 2
    return i
  end)]]
  check.equal(out.items[1].caption, "a door")
  check.equal(out.items[1].weight, 2)
  check.equal(out.items[2].caption, nil)
  local function edit(body) return fault_of(eval, ('stage = images "@/photos":edit(function(i) %s return i end) x = #stage'):format(body)) end
  check.contains(edit "i.width = 5", ":edit cannot change 'width'")
  check.contains(edit "i.captoin = 'x'", "did you mean 'caption'?")
  check.contains(edit "i.caption = 5", "it must be a text")
  check.contains(edit "i.caption = {}", "it must be a text")
  check.contains(edit "i.brightness.p50 = 0", ":edit cannot change 'brightness'")
  check.contains(edit "i.caption = 'a\\xff'", "no longer UTF-8")
  check.contains(edit "i.weight = -1", "the weight -1")
  for _, weight in ipairs { "0", "0.009", "1e-300", "1000.1", "0/0", "math.huge" } do
    check.contains(edit("i.weight = " .. weight), "it must be 0.01 to 1000")
  end
  local edges = set 'return images "@/photos":edit(function(i) i.weight = i.name == "p1.png" and 0.01 or 1000 return i end)'.items
  check.equal({ edges[1].weight, edges[2].weight }, { 0.01, 1000 })
  -- what :weights made of a picture stays where an edit leaves it
  local slight = set 'return images "@/photos":weight(0.01):weight(0.5):edit(function(i) i.caption = "x" return i end)'
  check.near(slight.items[1].weight, 0.005, 1e-12)
  check.contains(edit "do return 5 end", "returned 5")
  check.contains(edit "i = i.x.y", "p1.png")
end)

test("keep_if can give its reason", function()
  local place = place_with(3)
  local _, set = prompt(place)
  local out = set 'return images "@/photos":keep_if(function(i) return i.width > 215, "narrow" end)'
  check.equal(names(out.items), "p2.png p3.png")
  check.equal(out.rejected[1].reason, "narrow")
end)

test("what functions and the prompt write into a picture changes nothing", function()
  local place = place_with(1)
  local eval = prompt(place)
  local before = eval 'return images "@/photos".items[1].brightness.p50'
  check.equal(eval([[local s = images "@/photos":keep_if(function(i) i.brightness.p50 = 7 return true end)
    s.items[1].brightness.p50 = 8
    return s.items[1].brightness.p50]]), before)
end)

test("take keeps the first, the largest, the sharpest, or drawn ones", function()
  local place = place_with(4)
  local _, set = prompt(place)
  check.equal(names(set('return images "@/photos":take(2)').items), "p1.png p2.png")
  check.equal(names(set('return images "@/photos":take(2, { by = "largest" })').items), "p3.png p4.png")
  check.equal(#set('return images "@/photos":take { 1, by = "sharpest" }').items, 1)
  check.equal(#set('return images "@/photos":take(9)').items, 4)
  local drawn = names(set('return images "@/photos":take(2, { by = "random", seed = 5 })').items)
  check.equal(names(set('return images "@/photos":take(2, { by = "random", seed = 5 })').items), drawn)
end)

test("split holds out by content: the same ones whatever they are called", function()
  local place = place_with(5)
  local eval = prompt(place)
  local train, held = eval 'return images "@/photos":split { held_out = 2, seed = 1 }'
  train, held = stage.evaluate(train), stage.evaluate(held)
  check.equal(#train.items, 3)
  check.equal(#held.items, 2)
  local shas = {}
  for _, item in ipairs(held.items) do shas[item.sha256] = true end
  for i = 1, 5 do place.write(("photos/z%d.png"):format(6 - i), place.read(("photos/p%d.png"):format(i))) end
  for i = 1, 5 do fs.remove(place.path(("photos/p%d.png"):format(i))) end
  local eval2 = prompt(place)
  local _, again = eval2 'return images "@/photos":split { held_out = 2, seed = 1 }'
  for _, item in ipairs(stage.evaluate(again).items) do check.ok(shas[item.sha256]) end
  check.contains(fault_of(eval2, 'local a, b = images "@/photos":split { held_out = 5 } return #a'), "nothing would be left")
end)

test("join keeps order, weights and rejects", function()
  local place = place_with(3)
  local _, set = prompt(place)
  local out = set 'return images.join { images "@/photos/p3.png":weight(3):weight(2), images "@/photos":reject { aspect_above = 1.12 } }'
  check.equal(names(out.items), "p3.png p1.png p2.png")
  check.equal(out.items[1].weight, 6)
  check.equal(names(out.rejected), "p3.png")
end)

test("weights multiply up to a million and down to a millionth, and no further", function()
  local place = place_with(1)
  local eval, set = prompt(place)
  check.equal(set('return images "@/photos":weight(1000):weight(1000)').items[1].weight, 1e6)
  check.near(set('return images "@/photos":weight(0.01):weight(0.01):weight(0.01)').items[1].weight, 1e-6, 1e-12)
  for times, says in pairs { ["1000"] = "p1.png 1e+09", ["0.01"] = "p1.png 1e-08" } do
    local text = ('local s = images "@/photos" for _ = 1, %d do s = s:weight(%s) end return s.items'):format(times == "1000" and 3 or 4, times)
    local said = fault_of(eval, text)
    check.contains(said, says)
    check.contains(said, "weights multiply; together they may be 1e-06 to 1e+06")
  end
end)

test("captions keep who wrote them, and their history stays in the store", function()
  local place = place_with(2)
  place.write("photos/p1.txt", "\xef\xbb\xbfby hand\r\n")
  local eval, set, session = prompt(place)
  local out = set 'return images "@/photos":caption { with = template { text = "a {stem} of {width}" }, trigger = "zkr", prefix = "photo, ", suffix = "." }'
  check.equal(out.items[1].caption, "zkr, photo, by hand.")
  check.equal(out.items[1].caption_by.author, "human")
  check.equal(out.items[2].caption, "zkr, photo, a p2 of 220.")
  check.equal(out.items[2].caption_by.provider, "template")
  local again = set 'return images "@/photos":caption { with = template { text = "[trigger] is {folder}" }, trigger = "zkr", replace = true }'
  check.equal(again.items[1].caption, "zkr is photos")
  local history = session:store():captions(out.items[1].sha256)
  check.equal(#history, 2)
  check.equal(history[1].text, "by hand")
  check.equal(history[1].author, "human")
  check.equal(history[2].text, "[trigger] is photos")
  check.equal(history[2].author, "model")
  check.equal(eval('return images "@/photos":caption { with = fake {}, only = function(i) return i.stem == "p2" end, trigger = "zkr", replace = true }[1].caption'), "by hand")
end)

test("fake captions are the same for the same picture, and others for another seed", function()
  local place = place_with(3)
  local _, set = prompt(place)
  local a = set('return images "@/photos":caption { with = fake {} }').items
  local b = set('return images "@/photos":caption { with = fake { seed = 3 } }').items
  check.equal(set('return images "@/photos":caption { with = fake {} }').items[1].caption, a[1].caption)
  check.ok(a[1].caption ~= b[1].caption or a[2].caption ~= b[2].caption)
end)

test("bucket gives each picture kohya's size", function()
  local place = recipes.new(tmp "place")
  place.photo("wide.png", { seed = 1, width = 1000, height = 500 })
  place.photo("square.png", { seed = 2, width = 700, height = 700 })
  local _, set = prompt(place)
  local items = set('return images "@/photos":bucket {}').items
  check.equal(items[1].bucket.width, 512)
  check.equal(items[1].bucket.height, 512)
  check.equal(items[2].bucket.width, 704)
  check.equal(items[2].bucket.height, 320)
  check.equal(set('return images "@/photos":bucket { resolution = 2048, max = 4096, upscale = false }').items[2].bucket.width, 960)
end)

test("hidden files, sidecars and folders below are not taken for pictures", function()
  local place = place_with(1)
  place.write("photos/._p1.png", "x")
  place.write("photos/p1.txt", "x")
  place.write("photos/readme.md", "x")
  place.write("photos/below/q.png", place.read "photos/p1.png")
  place.write("photos/__MACOSX/p1.png", "x")
  local _, set = prompt(place)
  check.equal(names(set('return images "@/photos"').items), "p1.png")
  check.equal(names(set('return images("@/photos", { recursive = true })').items), "q.png p1.png")
end)

test("what a set shows cannot change the set", function()
  local place = place_with(2)
  local eval = prompt(place)
  eval 'a = images "@/photos"'
  eval 'a[1].caption = "x"; a.items[2] = nil'
  check.equal(eval "return #a", 2)
  check.equal(eval "return a[1].caption", nil)
end)
