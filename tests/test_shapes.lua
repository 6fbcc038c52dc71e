-- examples/shapes: what its measurement says of its pictures and of what the base was trained on.
local device = require "native.device"
local fs = require "native.fs"
local hash = require "native.hash"
local image = require "native.image"
local measure = dofile "examples/shapes/measure.lua"
local world = require "tiny.world"

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

-- `make demo`, in small: the recipe itself, with few steps and pictures.
local pipe = io.popen "readlink /proc/$PPID/exe"
local program = pipe:read "l":gsub("/tests/host$", "/calotype")
pipe:close()

test("the demo ends with how often the concept is shown, and the second time finds everything known", function()
  if not opened then skip(why) end
  if not fs.stat "examples/models/tiny/unet" then skip "the tiny base is not there" end
  local place = tmp "demo"
  local function run()
    local command = ("CALOTYPE_STDLIB=stdlib CALOTYPE_STORE=%s/store %s run examples/shapes/recipe.lua -p out=%s/out -p steps=3 -p others=2 -p drawn=2"):format(place,
      program, place)
    local out = io.popen(("%s 2>%s/log; echo \"exit $?\""):format(command, place))
    local lines = {}
    for line in out:lines() do lines[#lines + 1] = line end
    out:close()
    local log = check.ok(fs.read(place .. "/log"))
    check.equal(table.remove(lines), "exit 0", log)
    return lines, log
  end
  fs.make_folder(place)
  local lines, log = run()
  check.equal(#lines, 2)
  check.ok(lines[1]:find "^concept shown without the trigger: with LoRA [012] of 2$", lines[1])
  check.ok(lines[2]:find "^concept shown: without LoRA [012] of 2, with LoRA [012] of 2$", lines[2])
  check.contains(log, "19 kept, 2 rejected: 1 side, 1 sharpness")
  check.contains(log, "16 kept, 3 rejected: 1 with the same content, 2 that look the same")
  check.contains(log, "18 pictures: 16 + 2")
  for _, name in ipairs { "pnwhl.safetensors", "report.html", "pictures.html", "grid.png", "without-trigger.png", "sheet.png", "pinwheels.zip" } do
    check.ok(fs.stat(place .. "/out/" .. name), name)
  end
  local again, second = run()
  check.equal(again, lines)
  check.contains(second, "nothing to do: all 9 outputs are unchanged")
end)
