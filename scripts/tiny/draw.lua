-- draw.lua - a model folder draws prompts, and how many of them it got right.
--
--   local draw = require "tiny.draw"
--   local artist = draw.new { device = d, model = folder.open "out/tiny", batch = 16 }
--   local pictures = artist({ "a small red circle" }, { 7 })        -- prompts and seeds
--   local scores = draw.score(artist, 64, "whole")

local clip = require "models.clip"
local folder = require "models.folder"
local hash = require "native.hash"
local image = require "native.image"
local layers = require "models.layers"
local sampling = require "models.sampling"
local schedule = require "models.schedule"
local vae = require "models.vae"
local measure = require "tiny.measure"
local world = require "tiny.world"

local draw = {}

---@param options { device: userdata, model: table, batch?: integer, steps?: integer, guidance?: number }
---@return fun(prompts: string[], seeds: integer[]): userdata[]
function draw.new(options)
  local model, B = options.model, options.batch or 16
  local side = world.SIDE >> (#model.vae.config.block_out_channels - 1)
  local numbers, tokens = side * side * 4, model.length
  local noises = schedule.noise(model.scheduler)
  local sampler = schedule.ddim(noises, { steps = options.steps or 20 })
  local guidance = options.guidance or 2.5

  local g = layers.new()
  local ids = g.input("ids", "i32", { 2 * B, tokens })
  local states = clip.encode(g, ids, model.text_encoder:weights(g), model.text_encoder.config)
  g.graph:output("sample", states)
  local text = assert(options.device:plan(g.graph))
  assert(folder.load(g, text, model.text_encoder))

  g = layers.new()
  local s = sampling.build(g, model.unet:weights(g), model.unet.config, { batch = B, height = side, width = side, tokens = tokens })
  local network = assert(options.device:plan(g.graph))
  assert(folder.load(g, network, model.unet))

  g = layers.new()
  local z = g.input("z", "f32", { B, side, side, 4 })
  local y = vae.decode(g, z / vae.config(model.vae.config).scale, model.vae:weights(g), model.vae.config)
  g.graph:output("sample", y)
  local decoder = assert(options.device:plan(g.graph))
  assert(folder.load(g, decoder, model.vae))

  return function(prompts, seeds)
    local pictures = {}
    for at = 1, #prompts, B do
      local row, noise = {}, {}
      for i = 0, 2 * B - 1 do
        local prompt = i >= B and prompts[at + i - B] or ""
        table.move(model.tokenizer:encode(prompt, tokens), 1, tokens, #row + 1, row)
        if i < B then noise[i + 1] = hash.random(seeds[math.min(at + i, #seeds)]):normal(numbers, sampler.start) end
      end
      text:set(ids, row)
      assert(text:run "sample")
      network:set(s.context, text:bytes(states))
      network:set(s.latents, table.concat(noise))
      for _, step in ipairs(sampler) do
        for name, number in pairs(s.numbers(step, guidance)) do network:set(s.inputs[name], number) end
        assert(network:run "sample")
      end
      decoder:set(z, network:bytes(s.latents))
      assert(decoder:run "sample")
      local part = assert(image.of_floats(decoder:bytes(y), world.SIDE, world.SIDE))
      table.move(part, 1, math.min(B, #prompts - at + 1), #pictures + 1, pictures)
    end
    return pictures
  end
end

--- `count` prompts of what training never saw ("whole": in this combination, "pair": this colour with this form), set 1, 2, 3 ... of them,
--- with the seeds from 0.
function draw.prompts(count, want, set)
  local random, asked, prompts, seeds = hash.random(2024, set or 1), {}, {}, {}
  for i = 1, count do
    asked[i] = world.sample(random, want)
    prompts[i], seeds[i] = world.caption(asked[i]), i - 1
  end
  return prompts, seeds, asked
end

--- Shares in percent, and the pictures.
function draw.score(artist, count, want, set)
  local prompts, seeds, asked = draw.prompts(count, want, set)
  local pictures = artist(prompts, seeds)
  return measure.score(pictures, asked), pictures, asked
end

function draw.text(s) return ("all %.1f %%, colour %.1f, count %.1f, form %.1f"):format(s.all, s.colour, s.count, s.form) end

--- Pictures in rows of 16.
function draw.sheet(pictures, path)
  local cell = world.SIDE + 2
  local im = image.new(16 * cell, (#pictures + 15) // 16 * cell, { 90, 90, 90 })
  for i, picture in ipairs(pictures) do im:paste(picture, (i - 1) % 16 * cell, (i - 1) // 16 * cell) end
  assert(im:save(path))
end

return draw
