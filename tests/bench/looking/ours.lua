-- ours.lua - what blip {}, wd14 {} and :score do with pictures, without a recipe around it: the other side of peer.py.
--
--   LOOK_WHAT=caption LOOK_MODEL=FOLDER LOOK_PICTURES="a.jpg b.jpg" LOOK_BATCH=4 LOOK_BEAMS=3 build/release/tests/host tests/bench/looking/ours.lua
--
-- LOOK_WHAT: caption, match (the text of a.jpg in a.txt) or tag; device only tells which one there is. LOOK_SHARES=1 tells where the last batch's time went, by kind of
-- step.
-- LOOK_DEVICE: cpu, gpu, a part of a name, or portable: the CPU as a device of which nothing is known, by the kernels that every device runs.
-- LOOK_DTYPE, LOOK_LENGTH (20), LOOK_PENALTY (1). A line of JSON as peer.py prints it; LOOK_OUT=FILE gets what was said: tokens, probabilities.
local captioner = require "models.captioner"
local device = require "native.device"
local fitted = require "caption.fitted"
local fs = require "native.fs"
local hash = require "native.hash"
local hub_folder = require "models.hub_folder"
local json = require "native.json"
local log = require "native.log"
local scorer = require "models.scorer"
local store = require "native.store"
local tagger = require "models.tagger"

local function asked(name, otherwise) return os.getenv("LOOK_" .. name) or otherwise end
local function number(name, otherwise) return math.tointeger(asked(name, otherwise)) or tonumber(asked(name, otherwise)) end

local wish, dtype, batch = asked("DEVICE", "cpu"), asked("DTYPE", "f32"), number("BATCH", 4)

-- A device whose plans are made by `how` too, and seen by `see`; with a candidate it says that it knows no native functions.
local function around(real, how, see)
  local it = {}
  function it.info()
    local info = real:info()
    if how.candidate then info.native, info.cpu = false, false end
    return info
  end
  function it.sizes(_, graph) return real:sizes(graph) end
  function it.plan(_, graph, options)
    local all = {}
    for _, from in ipairs { options or {}, how } do for key, value in pairs(from) do all[key] = value end end
    local plan, message, code = real:plan(graph, all)
    if plan then see(plan) end
    return plan, message, code
  end
  return it
end

local function text_of(path) return (assert(fs.read((path:gsub("%.%w+$", ".txt")))):gsub("%s+$", "")) end

-- Of each kind: the side of its pictures, and what it says of a batch of them.
local kinds = {}

function kinds.caption(opened)
  local model = assert(hub_folder.blip(asked "MODEL", "captioner"))
  local it = assert(captioner.open { model = model, device = opened, dtype = dtype, batch = batch, prompt = "", beams = number("BEAMS", 3),
    longest = number("LENGTH", 20), shortest = 0, penalty = number("PENALTY", 1) })
  return { side = model.looks.side, work = function(floats, items)
    local said = {}
    for k, found in ipairs(assert(it:write(floats, #items))) do said[k] = json.array(found.ids) end
    return said
  end }
end

function kinds.match(opened)
  local model = assert(hub_folder.blip(asked "MODEL", "matcher"))
  local it = assert(scorer.open { model = model, device = opened, dtype = dtype, batch = batch })
  return { side = model.looks.side, work = function(floats, items)
    local texts, said = {}, {}
    for k, item in ipairs(items) do texts[k] = item.text end
    for k, found in ipairs(assert(it:score(floats, texts))) do said[k] = json.array { assert(found.match, found.why) } end
    return said
  end }
end

function kinds.tag(opened)
  local model = assert(hub_folder.wd14(asked "MODEL"))
  local it = assert(tagger.open { model = model, device = opened, dtype = dtype, batch = batch })
  return { side = model.config.side, square = true, work = function(floats, items)
    local said = {}
    for k, found in ipairs(assert(it:look(floats, #items))) do said[k] = json.array(found) end
    return said
  end }
end

-- Bytes that the plans take of their device.
local function taken(plans)
  local all = 0
  for _, plan in ipairs(plans) do
    local sizes = plan:sizes()
    for _, key in ipairs { "arena", "weights", "states", "inputs", "constants", "scratch" } do all = all + sizes[key] end
  end
  return all
end

local function process_peak()
  for line in assert(fs.read "/proc/self/status"):gmatch "[^\n]+" do
    local kb = line:match "VmHWM:%s+(%d+)"
    if kb then return tonumber(kb) << 10 end
  end
end

local function pictures_of(what)
  local items = {}
  for path in asked "PICTURES":gmatch "%S+" do
    items[#items + 1] = { path = path, sha256 = hash.sha256(assert(fs.read(path))), text = what == "match" and text_of(path) or nil }
  end
  return items
end

-- All pictures once, after a first batch that warms up: what was said of each, and the seconds.
local function look(it, opened, items)
  local kept <close> = assert(store.open(tmp "store"))
  local context = { warn = error, fail = error, store = function() return { native = kept } end }
  local how = { device = opened, batch = batch, side = it.side, square = it.square, leave = function(_, why) error(why) end }
  local said, began
  for turn = 1, 2 do
    said, began = {}, log.clock()
    for numbers, floats in fitted.batches(context, turn == 1 and table.move(items, 1, math.min(batch, #items), 1, {}) or items, how) do
      local some = {}
      for k, n in ipairs(numbers) do some[k] = items[n] end
      for _, one in ipairs(it.work(floats, some)) do said[#said + 1] = one end
    end
  end
  return said, log.clock() - began
end

-- Where a plan's time goes: its steps one by one, waited for, added up by kind.
local function shares(plans)
  for _, plan in ipairs(plans) do
    for _, segment in ipairs { "accumulate", "sample" } do
      local by, order, all = {}, {}, 0
      for _, step in ipairs(plan:times(segment)) do
        local name = step.op .. " (" .. step.candidate .. ")"
        if not by[name] then by[name], order[#order + 1] = { seconds = 0, flops = 0, bytes = 0, steps = 0 }, name end
        local sum = by[name]
        sum.steps, all = sum.steps + 1, all + step.seconds
        for _, key in ipairs { "seconds", "flops", "bytes" } do sum[key] = sum[key] + step[key] end
      end
      table.sort(order, function(a, b) return by[a].seconds > by[b].seconds end)
      if all > 0 then print(("%s: %.1f ms"):format(segment, all * 1e3)) end
      for _, name in ipairs(order) do
        local sum = by[name]
        print(("  %-32s %4d steps %9.2f ms %5.1f %% %8.2f GFLOP %7.1f GFLOP/s %8.1f MB %6.1f GB/s"):format(name, sum.steps, sum.seconds * 1e3,
          100 * sum.seconds / all, sum.flops / 1e9, sum.flops / sum.seconds / 1e9, sum.bytes / 1e6, sum.bytes / sum.seconds / 1e9))
      end
    end
  end
end

test("bench", function()
  local what, plans = asked("WHAT", "caption"), {}
  local real, why = device.open { wish = wish == "portable" and "cpu" or wish }
  if what == "device" then return print(json.encode { device = real and real:info().name, missing = why }) end
  assert(real, why)
  local opened = around(real, { candidate = wish == "portable" and "portable" or nil, wait_each = asked "SHARES" ~= nil },
    function(plan) plans[#plans + 1] = plan end)
  local it, items = kinds[what](opened), pictures_of(what)
  local said, seconds = look(it, opened, items)
  local peak = real:info().cpu and process_peak() or taken(plans)
  print(json.encode { pictures = #items, seconds = seconds, per_second = #items / seconds, peak_mb = peak / (1 << 20) })
  if asked "SHARES" then shares(plans) end
  if asked "OUT" then assert(fs.write(asked "OUT", json.encode(json.array(said)))) end
end)
