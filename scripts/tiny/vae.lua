-- vae.lua - the first phase: the autoencoder, every parameter from nothing, on pictures that are drawn as it learns.
--
--   local phase = require("tiny.vae").new { device = d, steps = 12000, batch = 8, seed = 1 }
--   phase.fill() or phase.load(path); phase.step(i); phase.save(path, done); phase.measure()

local checkpoint = require "train.checkpoint"
local fresh = require "train.fresh"
local fs = require "native.fs"
local hash = require "native.hash"
local image = require "native.image"
local json = require "native.json"
local layers = require "models.layers"
local optimizer = require "train.optimizer"
local rates = require "train.rate"
local vae = require "models.vae"
local fold = require "tiny.fold"
local blobs = require "tiny.measure"
local scatter = require "tiny.scatter"
local world = require "tiny.world"

local M = {}

local PSNR_PICTURES = 16 -- of a plan that measures

--- config.json of the vae folder. Groups of a norm have at least 8 channels: with 2 it trains badly.
function M.config(widths)
  local down, up = {}, {}
  for i = 1, #widths do down[i], up[i] = "DownEncoderBlock2D", "UpDecoderBlock2D" end
  return {
    _class_name = "AutoencoderKL", _diffusers_version = "0.30.0", act_fn = "silu", block_out_channels = widths, down_block_types = down, up_block_types = up,
    force_upcast = false, in_channels = 3, latent_channels = 4, layers_per_block = 1, norm_num_groups = 2, out_channels = 3, sample_size = world.SIDE,
    scaling_factor = 1.0,
  }
end

--- The demo's pictures, which training never sees; nil and a message when one is missing.
function M.pinwheels(folder)
  local list = {}
  for i = 1, 16 do
    local im, message, code = image.load(("%s/pinwheel-%02d.jpg"):format(folder, i))
    if not im then return nil, message, code end
    list[i] = im:resize(world.SIDE, world.SIDE, "area")
  end
  return list
end

--- Pictures above what became of them, in rows of 12.
function M.sheet(before, after, path)
  local cell, rows = world.SIDE + 2, (#before + 11) // 12
  local im = image.new(12 * cell, 2 * rows * cell, { 90, 90, 90 })
  for i = 0, #before - 1 do
    im:paste(before[i + 1], i % 12 * cell, i // 12 * 2 * cell)
    im:paste(after[i + 1], i % 12 * cell, (i // 12 * 2 + 1) * cell)
  end
  assert(im:save(path))
end

local function always() return true end

-- The last convolution of each residual branch begins small; the code is nearly without noise at first.
local function small(path) return (path:find "conv2%.weight$" or path:find "to_out%.0%.weight$") and 0.1 or nil end
local function begin(path, count)
  if path == "vae.quant_conv.bias" then return string.pack("<f", 0):rep(count // 2) .. string.pack("<f", -6):rep(count // 2) end
end

--- Half world, half scatter. Every step has its own stream of random numbers.
local function batch_of(random, count)
  local list = {}
  for i = 1, count do list[i] = i % 2 == 0 and world.draw(world.any(random), random) or scatter.draw(random) end
  return image.floats(list)
end

--- PSNR of each picture after encoding and decoding with the moving average, as a function of a list of pictures.
local function measure_with(device, config, from, g)
  local m = layers.new { fresh = always }
  local side = world.SIDE
  local x = m.input("picture", "f32", { PSNR_PICTURES, side, side, 3 })
  local w = m.weights("vae", {})
  local mean, logvar = vae.encode(m, x, w, config)
  local y = vae.decode(m, mean, w, config)
  local number = function(n) return m.graph:number(n) end
  local e = (m.max(m.min(y, number(1)), number(-1)) - x) * 0.5
  local square = (e * e):sum(2, 3, 4):reshape { PSNR_PICTURES } / (side * side * 3)
  local noise = m.exp(logvar * 0.5):mean()
  for _, v in ipairs { square, y, mean, noise } do m.graph:output("sample", v) end
  local plan = assert(device:plan(m.graph))
  return function(pictures)
    for i, l in ipairs(m.loads) do
      assert(l.name == g.loads[i].name)
      plan:set(l.value, assert(from:bytes(g.loads[i].average)))
    end
    local out, decoded, codes, deviation = {}, {}, {}, 0
    for at = 1, #pictures, PSNR_PICTURES do
      local part = table.move(pictures, at, math.min(#pictures, at + PSNR_PICTURES - 1), 1, {})
      local count = #part
      for i = count + 1, PSNR_PICTURES do part[i] = part[1] end
      plan:set(x, image.floats(part))
      assert(plan:run "sample")
      local list = plan:get(square)
      for i = 1, count do out[#out + 1] = -10 * math.log(math.max(list[i], 1e-10), 10) end
      decoded = table.move(assert(image.of_floats(plan:bytes(y), side, side)), 1, count, #decoded + 1, decoded)
      codes[#codes + 1], deviation = plan:get(mean), plan:get(noise)
    end
    return out, decoded, codes, deviation
  end
end

local function summary(list)
  local sum, least = 0, math.huge
  for _, x in ipairs(list) do sum, least = sum + x, math.min(least, x) end
  return sum / #list, least
end

---@param options { device: userdata, steps: integer, batch: integer, seed: integer, rate: number, widths: integer[], kl: number, square: number, hold: number }
function M.new(options)
  local o = options
  local config = M.config(o.widths)
  local side, code = world.SIDE, world.SIDE >> (#o.widths - 1)
  local g = layers.new { fresh = always, trainable = always }
  local x = g.input("picture", "f32", { o.batch, side, side, 3 })
  local noise = g.input("noise", "f32", { o.batch, code, code, 4 })
  local w = g.weights("vae", {})
  local mean, logvar = vae.encode(g, x, w, config)
  local e = vae.decode(g, vae.draw(g, mean, logvar, noise), w, config) - x
  local distance = g.abs(e):mean()
  -- The mean over the code's numbers, not their sum: `kl` does not depend on the picture's size.
  local kl = (mean * mean + g.exp(logvar) - 1 - logvar):mean() * 0.5
  local loss = distance + (e * e):mean() * o.square + kl * o.kl

  local parameters = {}
  for i, l in ipairs(g.loads) do parameters[i] = l.value end
  for i, d in ipairs(g.graph:differentiate(loss, parameters)) do g.graph:store("accumulate", g.graph:mirror(parameters[i], "gradients"), d, true) end
  g.graph:output("accumulate", distance)
  local adamw = optimizer.adamw(g.graph, { beta2 = 0.99, weight_decay = 1e-4, clip = 1, average = 0.998 })
  fresh.averages(g)
  local kept = checkpoint.of(g.graph, g.loads, { average = true })
  local plan = assert(o.device:plan(g.graph))
  local rate = rates.new { peak = o.rate, steps = o.steps, warmup = 50, hold = o.hold, floor = 0.01 }
  local measure

  local phase = { plan = plan, g = g, settings = o.settings, config = config, parameters = kept.flat.parameters:shape()[1] }
  function phase.fill()
    fresh.fill(plan, g.loads, { seed = o.seed, small = small, begin = begin })
    plan:set_group("average", plan:group "parameters")
  end
  function phase.load(path) return checkpoint.load(path, plan, kept) end
  function phase.save(path, done) return checkpoint.save(path, plan, kept, { step = done, settings = o.settings }) end

  function phase.step(i)
    local random = hash.random(o.seed, 1000000 + i)
    plan:set(x, batch_of(random, o.batch))
    plan:set(noise, random:normal(o.batch * code * code * 4))
    local ok, message, refusal = plan:run "accumulate"
    if not ok then return nil, message, refusal end
    adamw.set(plan, i, rate(i))
    ok, message, refusal = plan:run "apply"
    if not ok then return nil, message, refusal end
    return plan:get(distance), plan:get(adamw.norm)
  end

  --- PSNR of pinwheels (if there are any) and of the world, both unseen: mean and least; and how many of the world's are still measured right, the most that
  --- a base can reach.
  function phase.measure(pinwheels)
    measure = measure or measure_with(o.device, config, plan, g)
    local random, unseen, asked = hash.random(o.seed, 999), {}, {}
    for i = 1, 48 do
      asked[i] = world.any(random)
      unseen[i] = world.draw(asked[i], random)
    end
    local p, p_least
    if pinwheels then p, p_least = summary(measure(pinwheels)) end
    local list, decoded, _, deviation = measure(unseen)
    local w_mean, w_least = summary(list)
    return { pinwheel = p, pinwheel_least = p_least, world = w_mean, world_least = w_least, noise = deviation, unseen = unseen, decoded = decoded,
      right = blobs.score(decoded, asked).all }
  end

  --- The folder of the finished VAE, in f16. The code's means and deviations over `count` pictures of the world go into its own 1x1
  --- convolutions, which changes no picture: every channel then has mean 0 and deviation 1, so that the UNet's noise fits.
  function phase.export(path, count)
    measure = measure or measure_with(o.device, config, plan, g)
    local random, sum, square, numbers = hash.random(o.seed, 998), { 0, 0, 0, 0 }, { 0, 0, 0, 0 }, 0
    for _ = 1, count, PSNR_PICTURES do
      local pictures = {}
      for i = 1, PSNR_PICTURES do pictures[i] = world.draw(world.any(random), random) end
      local _, _, codes = measure(pictures)
      for i, number in ipairs(codes[1]) do
        local c = (i - 1) % 4 + 1
        sum[c], square[c] = sum[c] + number, square[c] + number * number
      end
      numbers = numbers + #codes[1] // 4
    end
    local means, deviations = {}, {}
    for c = 1, 4 do
      means[c] = sum[c] / numbers
      deviations[c] = (square[c] / numbers - means[c] ^ 2) ^ 0.5
    end
    local change = fold.into(g, plan, means, deviations)
    assert(fs.make_folder(path))
    assert(fresh.save(path .. "/diffusion_pytorch_model.safetensors", plan, g, { root = "vae", average = true, metadata = { format = "pt" }, change = change }))
    config.scaling_factor = 1.0
    assert(fs.write(path .. "/config.json", json.encode(config, { pretty = true }) .. "\n"))
    local function text(list)
      local out = {}
      for c, number in ipairs(list) do out[c] = ("%.4f"):format(number) end
      return out
    end
    return { means = text(means), deviations = text(deviations), scale = config.scaling_factor }
  end
  return phase
end

return M
