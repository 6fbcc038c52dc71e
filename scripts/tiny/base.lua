-- base.lua - the second training: text encoder and UNet together, every parameter from nothing, against the noise in cached latents.
--
--   local phase = require("tiny.base").new { device = d, tokenizer = t, latents = list, shown = shown, ... }
--   phase.fill() or phase.load(path); phase.step(i); phase.save(path, done); phase.export(folder)

local checkpoint = require "train.checkpoint"
local clip = require "models.clip"
local fresh = require "train.fresh"
local fs = require "native.fs"
local hash = require "native.hash"
local json = require "native.json"
local layers = require "models.layers"
local optimizer = require "train.optimizer"
local rates = require "train.rate"
local schedule = require "models.schedule"
local unet = require "models.unet"
local world = require "tiny.world"

local M = {}

local DROPOUT = 0.1 -- captions that are left empty, for guidance
local NOISY = 400   -- from this step on a picture no longer tells by itself what the caption says

--- scheduler_config.json. SD1.5 has "epsilon" and a beta_end of 0.012; with these little latents sqrt(abar) = 0.068 is left of a picture at
--- the last step, and its ground can be guessed from it: a larger beta_end makes sampling begin where training was.
function M.scheduler_config(prediction, beta_end)
  return {
    _class_name = "DDIMScheduler", _diffusers_version = "0.30.0", num_train_timesteps = 1000, beta_start = 0.00085, beta_end = beta_end,
    beta_schedule = "scaled_linear", clip_sample = false, set_alpha_to_one = false, steps_offset = 1, prediction_type = prediction,
  }
end

--- config.json of the unet folder: SD1.5's blocks. attention_head_dim is the number of heads, as there.
function M.unet_config(widths, blocks, context, side)
  local n, down, up = #widths, {}, {}
  for i = 1, n do
    down[i] = i < n and "CrossAttnDownBlock2D" or "DownBlock2D"
    up[i] = i > 1 and "CrossAttnUpBlock2D" or "UpBlock2D"
  end
  return {
    _class_name = "UNet2DConditionModel", _diffusers_version = "0.30.0", act_fn = "silu", attention_head_dim = 4, block_out_channels = widths,
    center_input_sample = false, cross_attention_dim = context, down_block_types = down, downsample_padding = 1, flip_sin_to_cos = true, freq_shift = 0,
    in_channels = 4, layers_per_block = blocks, mid_block_scale_factor = 1, norm_eps = 1e-5, norm_num_groups = 8, out_channels = 4, sample_size = side,
    up_block_types = up,
  }
end

-- JSON has no 1.0 here and transformers no integers for floats: numbers that are whole and have that default are left out.
function M.text_config(vocabulary, width, count, length)
  return {
    architectures = { "CLIPTextModel" }, model_type = "clip_text_model", bos_token_id = vocabulary - 2,
    eos_token_id = vocabulary - 1, hidden_act = "quick_gelu", hidden_size = width, initializer_range = 0.02,
    intermediate_size = 4 * width, layer_norm_eps = 1e-5, max_position_embeddings = length, num_attention_heads = 4, num_hidden_layers = count,
    pad_token_id = vocabulary - 1, projection_dim = width, torch_dtype = "float16", vocab_size = vocabulary,
  }
end

local function always() return true end
local function has(path) return not path:find "attn%d%.to_[qkv]%.bias$" end

-- Signals keep their size; the last layer of each residual branch begins small, the prediction smaller.
local SMALL = { "conv2%.weight$", "to_out%.0%.weight$", "ff%.net%.2%.weight$", "proj_out%.weight$", "out_proj%.weight$", "fc2%.weight$" }
local function small(path)
  if path == "unet.conv_out.weight" then return 0.1 end
  for _, pattern in ipairs(SMALL) do if path:find(pattern) then return 0.2 end end
end

---@class calotype.TinyBase
---@field device userdata
---@field tokenizer userdata
---@field length integer tokens of text
---@field latents string[] f32 bytes, scaled
---@field shown table[] what each of them shows
---@field side integer of a latent
---@field steps integer
---@field batch integer
---@field seed integer
---@field rate number
---@field hold number see train.rate
---@field gamma number what is nearly without noise counts less (min-SNR, Hang et al. 2023); 0: not so
---@field lift number with "epsilon": what is nearly all noise counts up to so many times more, 1 / abar as "v_prediction" has it by itself; 1: not so
---@field noisy number share of samples that are drawn from the noisy steps only, where the caption decides; the others from all
---@field prediction string "epsilon" | "v_prediction"
---@field beta_end number
---@field widths integer[] of the UNet
---@field blocks integer resnets per level
---@field text_width integer
---@field text_layers integer

---@param options calotype.TinyBase
function M.new(options)
  local o = options
  local B, side = o.batch, o.side
  local text_config = M.text_config(o.tokenizer:size(), o.text_width, o.text_layers, o.length)
  local config = M.unet_config(o.widths, o.blocks, o.text_width, side)
  local scheduler = M.scheduler_config(o.prediction, o.beta_end)
  local noises = schedule.noise(scheduler)

  local g = layers.new { fresh = has, trainable = always }
  g.graph:fuse_attention(0) -- the committed weights' bits come from composed attention
  local ids, t = g.input("ids", "i32", { B, o.length }), g.input("t", "f32", { B })
  local x0, noise = g.input("latents", "f32", { B, side, side, 4 }), g.input("noise", "f32", { B, side, side, 4 })
  local signal, sigma = g.input("signal", "f32", { B, 1, 1, 1 }), g.input("sigma", "f32", { B, 1, 1, 1 })
  local context = clip.encode(g, ids, g.weights("text_encoder", {}), text_config)
  local predicted = unet.predict(g, x0 * signal + noise * sigma, t, context, g.weights("unet", {}), config)
  local weight = g.input("weight", "f32", { B, 1, 1, 1 })
  local of_noise, of_latents = g.input("of_noise", "f32", { B, 1, 1, 1 }), g.input("of_latents", "f32", { B, 1, 1, 1 })
  local e = predicted - (noise * of_noise + x0 * of_latents)
  local loss, plain = (e * e * weight):mean(), (e * e):mean()

  local parameters = {}
  for i, l in ipairs(g.loads) do parameters[i] = l.value end
  for i, d in ipairs(g.graph:differentiate(loss, parameters)) do g.graph:store("accumulate", g.graph:mirror(parameters[i], "gradients"), d, true) end
  g.graph:output("accumulate", plain)
  local adamw = optimizer.adamw(g.graph, { beta2 = 0.99, weight_decay = 0.01, clip = 1, average = 0.999 })
  fresh.averages(g)
  local kept = checkpoint.of(g.graph, g.loads, { average = true })
  local plan = assert(o.device:plan(g.graph))
  local rate = rates.new { peak = o.rate, steps = o.steps, warmup = 200, hold = o.hold, floor = 0.02 }

  local phase = { plan = plan, g = g, settings = o.settings, parameters = kept.flat.parameters:shape()[1] }
  function phase.fill()
    fresh.fill(plan, g.loads, { seed = o.seed + 1, small = small })
    plan:set_group("average", plan:group "parameters")
  end
  function phase.load(path) return checkpoint.load(path, plan, kept) end
  function phase.save(path, done) return checkpoint.save(path, plan, kept, { step = done, settings = o.settings }) end

  -- How much a sample counts. The loss that is told is the plain one.
  local function share_of(snr)
    if o.prediction == "v_prediction" then return o.gamma > 0 and math.min(snr, o.gamma) / (snr + 1) or 1 end
    return (o.gamma > 0 and math.min(1, o.gamma / snr) or 1) * math.min(o.lift, 1 + 1 / snr)
  end

  function phase.step(i)
    local random = hash.random(o.seed, 10000000 + i)
    local tokens, latents, times, signals, sigmas, shares, eps, clean = {}, {}, {}, {}, {}, {}, {}, {}
    for b = 1, B do
      local which = random:below(#o.latents) + 1
      local caption = random:uniform() < DROPOUT and "" or world.caption(o.shown[which], random)
      table.move(o.tokenizer:encode(caption, o.length), 1, o.length, #tokens + 1, tokens)
      latents[b] = o.latents[which]
      local from = random:uniform() < o.noisy and NOISY or 0
      times[b] = from + random:below(noises.steps - from)
      signals[b], sigmas[b] = noises:mix(times[b])
      eps[b], clean[b] = noises:target(times[b])
      shares[b] = share_of(noises:snr(times[b]))
    end
    plan:set(ids, tokens)
    plan:set(x0, table.concat(latents))
    plan:set(noise, random:normal(B * side * side * 4))
    plan:set(t, times)
    plan:set(signal, signals)
    plan:set(sigma, sigmas)
    plan:set(weight, shares)
    plan:set(of_noise, eps)
    plan:set(of_latents, clean)
    local ok, message, refusal = plan:run "accumulate"
    if not ok then return nil, message, refusal end
    adamw.set(plan, i, rate(i))
    ok, message, refusal = plan:run "apply"
    if not ok then return nil, message, refusal end
    return plan:get(plain), plan:get(adamw.norm)
  end

  --- Both folders in f16, from the moving average, and what makes a model folder of them.
  function phase.export(path)
    for root, part in pairs { unet = { config, "diffusion_pytorch_model" }, text_encoder = { text_config, "model" } } do
      assert(fs.make_folder(path .. "/" .. root))
      assert(fresh.save(("%s/%s/%s.safetensors"):format(path, root, part[2]), plan, g, { root = root, average = true, metadata = { format = "pt" } }))
      assert(fs.write(("%s/%s/config.json"):format(path, root), json.encode(part[1], { pretty = true }) .. "\n"))
    end
    assert(fs.make_folder(path .. "/scheduler"))
    assert(fs.write(path .. "/scheduler/scheduler_config.json", json.encode(scheduler, { pretty = true }) .. "\n"))
    assert(fs.write(path .. "/model_index.json", json.encode({
      _class_name = "StableDiffusionPipeline", _diffusers_version = "0.30.0", feature_extractor = { json.null, json.null }, requires_safety_checker = false,
      safety_checker = { json.null, json.null }, scheduler = { "diffusers", "DDIMScheduler" }, text_encoder = { "transformers", "CLIPTextModel" },
      tokenizer = { "transformers", "CLIPTokenizer" }, unet = { "diffusers", "UNet2DConditionModel" }, vae = { "diffusers", "AutoencoderKL" },
    }, { pretty = true }) .. "\n"))
  end

  return phase
end

return M
