-- looks.lua - what becomes of pictures before BLIP and WD14 see them, as the loader's threads make it: the other side of looks.py, which calls it.
--
--   LOOKS_PICTURES="a.jpg b.png" LOOKS_TO=FOLDER build/release/tests/host tests/bench/looks.lua       -- f32 in FOLDER/1.384, FOLDER/1.448 ...
local fitted = require "caption.fitted"
local fs = require "native.fs"
local hash = require "native.hash"
local store = require "native.store"

test("looks", function()
  local kept <close> = assert(store.open(tmp "store"))
  local context = { warn = error, fail = error, store = function() return { native = kept } end }
  local cpu = { info = function() return { cpu = true } end }
  local n, to = 0, os.getenv "LOOKS_TO"
  for path in os.getenv "LOOKS_PICTURES":gmatch "%S+" do
    n = n + 1
    local items = { { path = path, sha256 = hash.sha256(assert(fs.read(path))) } }
    for side, square in pairs { [384] = false, [448] = true } do
      for _, floats in fitted.batches(context, items, { device = cpu, batch = 1, side = side, square = square,
        leave = function(_, why) error(why) end }) do
        assert(fs.write(("%s/%d.%d"):format(to, n, side), floats))
      end
    end
  end
end)
