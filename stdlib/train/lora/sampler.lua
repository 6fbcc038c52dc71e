-- sampler.lua - pictures with a trained LoRA: a plan of its own, for a sampler (train/sampler.lua) of any size.
--
--   local drawing <close>, message, code = sampler(result, { width = 512, height = 768 }, { "a red door", "" })
--   drawing:draw { prompt = "a red door", seed = 0, strength = 1, steps = 20, cfg = 7.5 }

local encoded = require "train.encoded"
local lora_file = require "train.lora_file"
local memory = require "train.memory"
local network = require "train.network"
local samplers = require "train.sampler"
local sides = require "models.sides"
local size_text = require "size_text"

-- What drawing takes, of graphs that have no plans yet.
local function needs(device, net, decoder)
  local bytes = {}
  for i, g in ipairs { net.g, decoder.g } do
    local message, code
    bytes[i], message, code = device:sizes(g.graph)
    if not bytes[i] then return nil, message, code end
  end
  return memory.sum({ { sizes = bytes[1] }, extra = { bytes[2] } }).all
end

--- States of the prompts, negative ones too, are made and kept where the text encoder is frozen.
---@param result table of lora.train
---@param size { width: integer, height: integer }
---@param prompts string[]
---@return table? sampler
---@return string? message
---@return string? code
return function(result, size, prompts)
  local o, model, device = result.options, result.model, result.device
  local texts, message, code
  if o.lr.text == 0 then
    texts, message, code = encoded.texts { store = result.store, device = device, model = model, base = result.base, dtype = o.dtype,
      memory = result.memory, clip_skip = o.clip_skip, texts = prompts }
    if not texts then return nil, message, code end
  end
  local net = network.build(model, { rank = o.rank, alpha = o.alpha, targets = o.targets, text = o.lr.text > 0, unet = o.lr.unet > 0,
    device = device, dtype = o.dtype, clip_skip = o.clip_skip, canvas = sides.latents(model, size.width, size.height), sample = true })
  local all
  all, message, code = needs(device, net, samplers.decoder { device = device, model = model, net = net, dtype = o.dtype })
  if not all then return nil, message, code end
  if all > result.memory then -- before any is taken; `ready` looks again, with what steps work in
    return nil, ("drawing needs %s, there are %s; a smaller size needs less"):format(size_text(all), size_text(result.memory)), "LIMIT"
  end
  local plan
  plan, message, code = device:plan(net.g.graph)
  if not plan then return nil, message, code end
  local drawing
  drawing, message, code = samplers.new { device = device, model = model, net = net, plan = plan, dtype = o.dtype, owns_plan = true,
    states = function(text) return texts[text]() end }
  if not drawing then return nil, message, code end
  return drawing:ready(result.memory, function()
    local ok
    ok, message, code = network.load(net, plan, model)
    if not ok then return nil, message, code end
    return lora_file.load(result.path, net.lora, plan)
  end)
end
