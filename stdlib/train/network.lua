-- network.lua - the graph that a LoRA is trained with: noise on latents, the UNet's guess, its distance from the truth, gradients of
-- the LoRA, AdamW; and, where asked for, the steps of sampling on the same weights.
--
--   local net = network.build(model, { rank = 16, alpha = 16, width = 64, height = 64, batch = 1, train = { clip = 1 } })
--   local plan = device:plan(net.g.graph)
--   network.load(net, plan, model)                          -- weights from the base, fresh LoRA parameters come from network.start
--   network.start(net, plan, 42)
--   plan:set(net.train.latents, bytes) ...
--
-- All graphs of one run declare the same weights, states and parameters in the same order, whatever else they are for, so that plans of
-- other sizes share them (device:plan's `like`).

local adapters = require "models.adapters"
local clip = require "models.clip"
local folder = require "models.folder"
local hash = require "native.hash"
local layers = require "models.layers"
local optimizer = require "train.optimizer"
local sampling = require "models.sampling"
local unet = require "models.unet"
local vae = require "models.vae"

local network = {}

local function is_attention(path)
  return path:find "%.attn%d%.to_%w+$" ~= nil or path:find "%.attn%d%.to_out%.0$" ~= nil or path:find "%.self_attn%." ~= nil
end
local function is_resnet(path)
  return path:find "%.resnets%.%d+%.time_emb_proj$" ~= nil or path:find "%.resnets%.%d+%.conv_shortcut$" ~= nil
end
local function is_convolution(path)
  return path:find "%.resnets%.%d+%.conv%d$" ~= nil or path:find "samplers%.0%.conv$" ~= nil
end

-- What of a path: the UNet's layers by `targets`, of each network only when it is trained.
local function matcher(targets, text, with_unet)
  return function(path)
    if path:find "^text_encoder%." then return text and clip.lora_targets(path) and (targets ~= "attention" or is_attention(path)) end
    if not with_unet then return false end
    if targets == "attention" then return is_attention(path) end
    return unet.lora_targets(path) or (targets == "everything" and is_resnet(path))
  end, with_unet and targets == "everything" and is_convolution or nil
end

-- x0 -> noisy x -> the network's guess -> how wrong it is. Per picture: the part of signal and noise, what is asked for
-- (a * noise + b * x0), and how much it counts.
local function training(net, model, options)
  local g, B = net.g, options.batch
  local c = unet.config(model.unet.config)
  local shape = { B, options.height, options.width, c.into }
  local t = { batch = B }
  t.encoded = g.input("encoded", "f32", { B, options.height, options.width, 2 * c.into }) -- mean and logvar of the VAE
  t.draw, t.noise = g.input("draw", "f32", shape), g.input("noise", "f32", shape)
  for _, name in ipairs { "t", "signal", "sigma", "ask_noise", "ask_x0", "weight" } do t[name] = g.input(name, "f32", { B }) end
  local context
  if net.text then
    t.ids = g.input("ids", "i32", { B, net.tokens })
    context = clip.encode(g, t.ids, net.handles.text, model.text_encoder.config, options.clip_skip)
  else
    t.context = g.input("context", "f32", { B, net.tokens, c.context })
    context = t.context
  end
  local function each(x) return x:reshape { B, 1, 1, 1 } end
  local mean, logvar = g.halves(t.encoded)
  local x0 = vae.draw(g, mean, logvar, t.draw) * options.scale
  local guess = unet.predict(g, x0 * each(t.signal) + t.noise * each(t.sigma), t.t, context, net.handles.unet, model.unet.config)
  local off = guess - (t.noise * each(t.ask_noise) + x0 * each(t.ask_x0))
  t.loss = (off * off * each(t.weight)):mean()
  return t
end

--- The graph. `options`: rank, alpha, targets ("transformers"), text (train the text encoder too), unet (false: not it), device (what it
--- is for), dtype, clip_skip; width, height and batch of the latents for training, with train = { clip =, weight_decay =, text_rate = } for
--- the optimizer too; sample = { width, height, steps ... } for sampling. The latents of sampling are a state, so `canvas` =
--- { width, height } is the same in all graphs.
---@param model table from models.folder
---@param options table
function network.build(model, options)
  local match, conv = matcher(options.targets or "transformers", options.text, options.unet ~= false)
  local lora = adapters.lora { rank = options.rank, alpha = options.alpha, match = match, conv = conv }
  local g = layers.new { adapter = lora, device = options.device, dtype = options.dtype }
  local net = { g = g, lora = lora, text = options.text, tokens = model.length, handles = {} }
  if options.text then net.handles.text = model.text_encoder:weights(g) end
  net.handles.unet = model.unet:weights(g)
  local scale = vae.config(model.vae.config).scale
  net.scale = scale

  if options.batch then
    net.train = training(net, model, { width = options.width, height = options.height, batch = options.batch, scale = scale, clip_skip = options.clip_skip })
    local parameters = {}
    for _, m in ipairs(lora.modules) do
      parameters[#parameters + 1] = m.down
      parameters[#parameters + 1] = m.up
    end
    -- Halves have little room below: their gradients are made larger on the way and smaller again by the optimizer.
    local room = options.dtype == "f16" and 512 or 1
    for i, d in ipairs(g.graph:differentiate(net.train.loss * room, parameters)) do
      g.graph:store("accumulate", g.graph:mirror(parameters[i], "gradients"), d, true)
    end
    g.graph:output("accumulate", net.train.loss)
    net.room = room
  end
  local canvas = options.canvas
  if options.sample then
    local strength = g.input("sample.strength", "f32", {})
    lora:set_strength(strength)
    net.sample = sampling.build(g, net.handles.unet, model.unet.config, {
      height = canvas.height, width = canvas.width, tokens = net.tokens,
      context = net.text and function(ids) return clip.encode(g, ids, net.handles.text, model.text_encoder.config, options.clip_skip) end or nil,
    })
    net.sample.strength = strength
    lora:set_strength(nil)
  elseif canvas then
    g.graph:state("sample.latents", "f32", { 1, canvas.height, canvas.width, unet.config(model.unet.config).into }, "none")
  end
  if #lora.modules == 0 then error(("unet: no layer is one of the targets \"%s\""):format(options.targets or "transformers"), 0) end
  if options.train then
    local rates
    if options.text and options.unet ~= false and options.train.text_rate ~= 1 then
      local first -- of the UNet's parameters; the text encoder's come before
      for _, m in ipairs(lora.modules) do if m.path:find "^unet%." then first = math.min(first or math.huge, m.down:element(), m.up:element()) end end
      rates = { { from = 0, times = options.train.text_rate }, { from = first, times = 1 } }
    end
    net.optimizer = optimizer.adamw(g.graph, { clip = options.train.clip, weight_decay = options.train.weight_decay, share = 1 / net.room, rates = rates })
  end
  return net
end

--- Stream the base's weights into a plan.
---@return boolean? ok
---@return string? message
---@return string? code
function network.load(net, plan, model)
  for _, part in ipairs(net.text and { model.text_encoder, model.unet } or { model.unet }) do
    local ok, message, code = folder.load(net.g, plan, part)
    if not ok then return nil, message, code end
  end
  return true
end

--- kohya's beginning: down is uniform within 1 / sqrt(fan in), up is zero, so that nothing changes at first.
function network.start(net, plan, seed)
  for i, m in ipairs(net.lora.modules) do
    local r, bound = hash.random(seed, i), (m.into * (m.size or 1) ^ 2) ^ -0.5
    local numbers = {}
    for k = 1, m.rank * m.into * (m.size or 1) ^ 2 do numbers[k] = (2 * r:uniform() - 1) * bound end
    plan:set(m.down, numbers)
    local out = {}
    for k = 1, m.out * m.rank do out[k] = 0 end
    plan:set(m.up, out)
  end
end

return network
