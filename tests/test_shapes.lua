-- examples/shapes: what its measurement says of its pictures and of what the base was trained on.
local device = require "native.device"
local hash = require "native.hash"
local image = require "native.image"
local measure = dofile "examples/shapes/measure.lua"
local world = dofile "scripts/tiny/world.lua"

local PICTURES = "examples/shapes/pictures/"
local opened, why = device.open()

local function clean()
  local list = {}
  for i = 1, 16 do list[i] = check.ok(image.load(("%spinwheel-%02d.jpg"):format(PICTURES, i))) end
  return list
end

local function share(pictures)
  local count = 0
  for _, picture in ipairs(pictures) do if measure.shown(picture) then count = count + 1 end end
  return count / #pictures
end

test("the concept is found in at least 95 % of the training pictures and in at most 5 % of what the base was trained on", function()
  local random, pictures = hash.random(11), {}
  for i = 1, 400 do pictures[i] = world.draw(world.any(random), random) end
  local on_training, on_world = share(clean()), share(pictures)
  print(("concept found: training pictures %.1f %%, pictures of the world %.1f %%"):format(100 * on_training, 100 * on_world))
  check.ok(on_training >= 0.95, on_training)
  check.ok(on_world <= 0.05, on_world)
end)

test("what is like a pinwheel and is none is not taken for one", function()
  for i, picture in ipairs(clean()) do check.ok(not measure.shown(picture:flip()), i) end -- it turns the other way
  check.ok(measure.shown(clean()[3]:rotate(1)))
  local flat = image.new(64, 64, { 200, 200, 200 })
  check.ok(not measure.shown(flat))
  local straight = image.new(64, 64, { 60, 66, 84 }) -- six sails without a twist
  for i = 0, 5 do
    local points = { 32, 32 }
    for k = 0, 8 do
      local a = math.pi / 3 * (i + k / 8)
      points[#points + 1], points[#points + 2] = 32 + 20 * math.cos(a), 32 + 20 * math.sin(a)
    end
    straight:fill_polygon(points, i % 2 == 0 and { 205, 48, 52 } or { 250, 248, 240 })
  end
  check.ok(measure.look(straight).share > 0.6)
  check.ok(not measure.shown(straight))
end)

test("pictures are looked at in any size and number of channels", function()
  local picture = clean()[5]
  for _, side in ipairs { 64, 65, 128 } do check.ok(measure.shown(picture:resize(side, side, "area")), side) end
  check.ok(measure.shown(picture:gray()))
end)

test("the concept survives the tiny base's VAE", function()
  if not opened then skip(why) end
  local folder, layers, vae = require "models.folder", require "models.layers", require "models.vae"
  local part = check.ok(folder.open "examples/models/tiny").vae
  local g = layers.new()
  local x = g.input("x", "f32", { 1, 64, 64, 3 })
  local w = part:weights(g)
  local mean = vae.encode(g, x, w, part.config)
  local y = vae.decode(g, mean, w, part.config)
  g.graph:output("sample", y)
  local plan = check.ok(opened:plan(g.graph))
  check.ok(folder.load(g, plan, part))
  local found, worst = 0, math.huge
  for _, picture in ipairs(clean()) do
    local small = picture:resize(64, 64, "area")
    plan:set(x, image.floats { small })
    check.ok(plan:run "sample")
    local back = image.of_floats(plan:bytes(y), 64, 64)[1]
    if measure.shown(back) then found = found + 1 end
    local a, b, sum = small:bytes(), back:bytes(), 0
    for i = 1, #a do sum = sum + (a:byte(i) - b:byte(i)) ^ 2 end
    worst = math.min(worst, 10 * math.log(255 ^ 2 / (sum / #a), 10))
  end
  check.ok(found >= 16 * 0.95, found)
  check.ok(worst >= 28, ("%.1f dB"):format(worst))
end)
