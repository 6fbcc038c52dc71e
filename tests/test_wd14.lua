local device = require "native.device"
local fs = require "native.fs"
local hub_folder = require "models.hub_folder"
local json = require "native.json"
local layers = require "models.layers"
local part = require "models.part"
local wd14 = require "models.wd14"

local golden = "tests/golden/wd14/"

local function numbers(path, name)
  local bytes = assert(fs.read(golden .. path))
  local size = string.unpack("<I8", bytes)
  local t = json.decode(bytes:sub(9, 8 + size))[name]
  local list, at, count = {}, 9 + size + t.data_offsets[1], 1
  for _, n in ipairs(t.shape) do count = count * n end
  for i = 1, count do list[i], at = string.unpack("<f", bytes, at) end
  return list, t.shape
end

-- [B, blue green red, H, W] to [B, H, W, red green blue].
local function pixels()
  local list, shape = numbers("golden.safetensors", "pixels")
  local B, C, H, W = table.unpack(shape)
  local out = {}
  for b = 0, B - 1 do
    for i = 1, H * W do
      for c = C - 1, 0, -1 do out[#out + 1] = list[(b * C + c) * H * W + i] end
    end
  end
  return out, B
end

test("wd14: probabilities are timm's", function()
  local model = check.ok(hub_folder.wd14(golden))
  local given, B = pixels()
  local g = layers.new { forward = true }
  local it = wd14.tagger(g, model.part:weights(g), model.config, { batch = B })
  local plan <close> = assert(device.open():plan(g.graph))
  assert(part.load(g, plan, model.part))
  check.equal(#g.unused(), 0)
  plan:set(it.pixels, given)
  assert(plan:run "sample")
  local got, expected = plan:get(it.probabilities), numbers("golden.safetensors", "probabilities")
  check.equal(#got, #expected)
  for i, x in ipairs(expected) do check.ok(math.abs(got[i] - x) < 1e-4, ("number %d: %g, %g expected"):format(i, got[i], x)) end
end)

test("wd14: names, quotes and categories of selected_tags.csv", function()
  local tags = check.ok(hub_folder.wd14(golden)).tags
  check.equal({ tags[1], tags[5].name, tags[10].name, tags[11].name, tags[12].name, tags[13] },
    { { name = "general", category = "rating" }, "1girl", "poster_(object)", '"quoted"', "a,_b", { name = "hatsune_miku", category = "character" } })
end)
