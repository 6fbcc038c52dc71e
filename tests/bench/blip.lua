-- blip.lua - what blip {} does with pictures, without a recipe around it: the other side of blip.py.
--
--   BLIP=FOLDER BLIP_PICTURES="a.jpg b.jpg" BLIP_BATCH=4 BLIP_BEAMS=3 BLIP_PENALTY=1 BLIP_DTYPE=f32 build/release/tests/host tests/bench/blip.lua
--
-- One line of JSON as blip.py prints it; BLIP_OUT=FILE gets the tokens.
local captioner = require "models.captioner"
local device = require "native.device"
local fs = require "native.fs"
local hash = require "native.hash"
local hub_folder = require "models.hub_folder"
local json = require "native.json"
local log = require "native.log"
local looking = require "caption.looking"
local store = require "native.store"

local function number(name, otherwise) return tonumber(os.getenv("BLIP_" .. name) or otherwise) end

test("bench", function()
  local items = {}
  for path in os.getenv "BLIP_PICTURES":gmatch "%S+" do items[#items + 1] = { path = path, sha256 = hash.sha256(assert(fs.read(path))) } end
  local opened = assert(device.open { wish = "cpu" })
  local batch = math.tointeger(number("BATCH", 4))
  local model = assert(hub_folder.blip(os.getenv "BLIP", "captioner"))
  local it = assert(captioner.open { model = model, device = opened, dtype = os.getenv "BLIP_DTYPE" or "f32", batch = batch, prompt = "",
    beams = math.tointeger(number("BEAMS", 3)), longest = math.tointeger(number("LENGTH", 20)), shortest = 0, penalty = number("PENALTY", 1) })
  local kept <close> = assert(store.open(tmp "store"))
  local context = { warn = error, fail = error, store = function() return { native = kept } end }
  local how = { device = opened, batch = batch, side = model.looks.side }
  local tokens, began
  for turn = 1, 2 do -- the first batch warms up
    local some = turn == 1 and table.move(items, 1, math.min(batch, #items), 1, {}) or items
    tokens, began = {}, log.clock()
    for numbers, floats in looking.batches(context, some, how) do
      for _, found in ipairs(assert(it:write(floats, #numbers))) do tokens[#tokens + 1] = json.array(found.ids) end
    end
  end
  local seconds = log.clock() - began
  local peak
  for line in assert(fs.read "/proc/self/status"):gmatch "[^\n]+" do peak = peak or line:match "VmHWM:%s+(%d+)" end
  print(json.encode { pictures = #items, seconds = seconds, per_second = #items / seconds, peak_mb = tonumber(peak) / 1024 })
  it:close()
  if os.getenv "BLIP_OUT" then assert(fs.write(os.getenv "BLIP_OUT", json.encode(json.array(tokens)))) end
end)
