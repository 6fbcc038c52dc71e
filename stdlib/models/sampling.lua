-- sampling.lua - one step from noise towards a picture, as a segment of a plan: the network sees the latents twice, with the prompt and
-- without it, guidance goes beyond the difference, and a row of the sampler (models/schedule.lua) says how far to go.
--
--   local s = sampling.build(g, unet_handle, unet_config, { batch = 1, height = 64, width = 64, tokens = 77 })
--   plan:set(s.latents, noise)                    -- times sampler.start
--   plan:set(s.context, both)                     -- the empty prompt's states, then the prompt's
--   for i = 1, #sampler do
--     for input, number in pairs(s.numbers(sampler[i], 7.5)) do plan:set(s.inputs[input], number) end
--     plan:run "sample"
--   end
--   local latents = plan:get(s.latents)           -- divide by the VAE's scaling_factor before decoding

local graph = require "native.graph"
local schedule = require "models.schedule"
local unet = require "models.unet"

local sampling = {}

local NUMBERS = { "input", "clip", "x0_x", "x0_out", "eps_x", "eps_x0", "eps_out", "prev_x", "prev_x0", "prev_eps", "prev_noise" }

---@param options { batch?: integer, height: integer, width: integer, tokens: integer, noise?: boolean, context?: fun(ids: userdata): userdata }
---   height and width are the latents'; noise: an input for the part that samplers with eta add; context: where the text encoder is part
---   of the plan, what makes its states from s.ids [2 * B, tokens], which then takes the place of s.context
function sampling.build(g, w, config, options)
  local B = options.batch or 1
  local c = unet.config(config)
  local shape = { B, options.height, options.width, c.into }
  local s = { inputs = {} }
  s.latents = g.graph:state("sample.latents", "f32", shape, "none")
  local context
  if options.context then
    s.ids = g.input("sample.ids", "i32", { 2 * B, options.tokens })
    context = options.context(s.ids)
  else
    s.context = g.input("sample.context", "f32", { 2 * B, options.tokens, c.context })
    context = s.context
  end
  s.noise = options.noise and g.input("sample.noise", "f32", shape) or nil
  for _, name in ipairs(NUMBERS) do s.inputs[name] = g.input("sample." .. name, "f32", {}) end
  s.inputs.t, s.inputs.scale = g.input("sample.t", "f32", {}), g.input("sample.scale", "f32", {})

  local seen = s.latents * s.inputs.input
  local out = unet.predict(g, graph.concat({ seen, seen }, 1), s.inputs.t:reshape({ 1 }):expand { 2 * B }, context, w, config)
  out = schedule.guide(out:slice(1, 1, B), out:slice(1, B + 1, B), s.inputs.scale)
  -- The row's numbers are inputs here, so the same words that step over numbers step over tensors.
  local function clamp(x, limit) return graph.max(graph.min(x, limit), -limit) end
  g.graph:store("sample", s.latents, (schedule.step(s.inputs, s.latents, out, s.noise, clamp)))

  --- What the inputs are at a row of a sampler.
  function s.numbers(row, scale)
    local numbers = { t = row.t, scale = scale }
    for _, name in ipairs(NUMBERS) do numbers[name] = row[name] end
    return numbers
  end
  return s
end

return sampling
