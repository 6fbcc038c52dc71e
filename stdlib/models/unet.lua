-- unet.lua - the network that tells noise from picture (Rombach et al., 2022), as diffusers' UNet2DConditionModel for Stable Diffusion 1
-- and 2: a path down that keeps what it saw, a middle, a path up that reads it again; resnets hear the time, transformers the text.

local layers = require "models.layers"

local unet = {}

local function resnet(g, x, time, w, C, c)
  local shape = x:shape()
  local h = g.conv(g.silu(g.group_norm(x, w.norm1, c.groups, c.epsilon)), w.conv1, C)
  h = h + g.everywhere(g.linear(g.silu(time), w.time_emb_proj, C))
  h = g.conv(g.silu(g.group_norm(h, w.norm2, c.groups, c.epsilon)), w.conv2, C)
  return h + (shape[4] ~= C and g.conv1(x, w.conv_shortcut, C) or x)
end

local function attention(g, x, context, w, C, heads)
  local q, k, v = g.linear(x, w.to_q, C), g.linear(context, w.to_k, C), g.linear(context, w.to_v, C)
  return g.linear(g.attention(q, k, v, heads), w.to_out[0], C)
end

local function feed_forward(g, x, w, C)
  local h, gate = g.halves(g.linear(x, w.net[0].proj, 8 * C)) -- GEGLU, Shazeer 2020
  return g.linear(h * g.gelu(gate), w.net[2], C)
end

local function block(g, x, context, w, C, heads)
  local h = g.layer_norm(x, w.norm1, 1e-5)
  x = x + attention(g, h, h, w.attn1, C, heads)
  x = x + attention(g, g.layer_norm(x, w.norm2, 1e-5), context, w.attn2, C, heads)
  return x + feed_forward(g, g.layer_norm(x, w.norm3, 1e-5), w.ff, C)
end

local function transformer(g, x, context, w, C, heads, depth, c)
  local project = c.linear_projection and g.linear or g.conv1
  local h = project(g.tokens(g.group_norm(x, w.norm, c.groups, 1e-6)), w.proj_in, C)
  for i = 0, depth - 1 do h = block(g, h, context, w.transformer_blocks[i], C, heads) end
  return x + g.picture(project(h, w.proj_out, C), x)
end

-- Sinusoids of the timestep (Ho et al. 2020); the frequencies are rounded where PyTorch rounds them, because at t = 999 an error in the
-- last place of a frequency is seen.
local function float(x) return (string.unpack("<f", string.pack("<f", x))) end
local function time_signal(g, t, width, c)
  local half, frequencies = width // 2, {}
  for i = 0, half - 1 do frequencies[i + 1] = float(math.exp(float(float(-math.log(10000) * i) / float(half - c.shift)))) end
  local angle = t:reshape { -1, 1 } * g.graph:constant("f32", { 1, half }, frequencies)
  if c.cos_first then return g.concat(g.cos(angle), g.sin(angle)) end
  return g.concat(g.sin(angle), g.cos(angle))
end

local DOWN = { CrossAttnDownBlock2D = true, DownBlock2D = false } -- with transformers or without
local UP = { CrossAttnUpBlock2D = true, UpBlock2D = false }

--- What config.json of a unet folder says; every number is one that a model can have.
function unet.config(config)
  config = layers.plain(config)
  local WIDTH, COUNT = layers.WIDTH, layers.COUNT
  local function whole(key, default, most) return layers.whole("unet", config, key, default, 1, most) end
  layers.refuse("unet", config, { "class_embed_type", "addition_embed_type", "encoder_hid_dim", "encoder_hid_dim_type", "time_embedding_dim",
    "time_cond_proj_dim", "dual_cross_attention", "only_cross_attention", "num_class_embeds", "resnet_skip_time_act", "cross_attention_norm",
    "center_input_sample" })
  layers.word("unet", config, "mid_block_type", "UNetMidBlock2DCrossAttn", { "UNetMidBlock2DCrossAttn" })
  layers.word("unet", config, "act_fn", "silu", { "silu" })
  local function kinds(key, known)
    local list = {}
    for i, kind in ipairs(layers.words("unet", config, key, known)) do list[i] = known[kind] end
    return list
  end
  local down, up = kinds("down_block_types", DOWN), kinds("up_block_types", UP)
  local groups = whole("norm_num_groups", 32, COUNT)
  local widths = layers.widths("unet", config, groups)
  local shift = layers.whole("unet", config, "freq_shift", 0, 0, 1)
  if widths[1] % 2 ~= 0 or widths[1] // 2 <= shift then
    error(("unet: the config's block_out_channels[1] is %d; an even number from %d is expected"):format(widths[1], 2 + 2 * shift), 0)
  end
  -- Not read here: which side of latents it draws by itself (sides.lua), one for both or height and width.
  layers.each("unet", config, "sample_size", 64, 2, 1, 8192)
  local heads = config.num_attention_heads and "num_attention_heads" or "attention_head_dim" -- in SD1 and SD2 that is their NUMBER
  return {
    into = whole("in_channels", 4, WIDTH), out = whole("out_channels", 4, WIDTH), context = whole("cross_attention_dim", 1280, WIDTH),
    widths = widths, layers = whole("layers_per_block", 2, COUNT), groups = groups,
    epsilon = layers.number("unet", config, "norm_eps", 1e-5, 1e-12, 0.1), heads = layers.each("unet", config, heads, 8, #widths, 1, COUNT),
    depth = layers.each("unet", config, "transformer_layers_per_block", 1, #widths, 1, COUNT),
    down = down, up = up, pad = whole("downsample_padding", 1, 1),
    linear_projection = config.use_linear_projection == true, cos_first = config.flip_sin_to_cos ~= false, shift = shift,
  }
end

--- x [B, H, W, 4] noisy latents, t f32 [B], context [B, T, width of the text] -> what the noise schedule's target asks for, like x.
function unet.predict(g, x, t, context, w, config)
  local c = unet.config(config)
  local last, into = context:shape()[3], x:shape()[4]
  if into ~= c.into then error(("unet: the latents have %d channels, the config's in_channels is %d"):format(into, c.into), 0) end
  if last ~= c.context then error(("unet: the text has width %d, the config's cross_attention_dim is %d"):format(last, c.context), 0) end
  local time = time_signal(g, t, c.widths[1], c)
  time, x, context = g.stored(time), g.stored(x), g.stored(context)
  time = g.linear(g.silu(g.linear(time, w.time_embedding.linear_1, 4 * c.widths[1])), w.time_embedding.linear_2, 4 * c.widths[1])

  x = g.conv(x, w.conv_in, c.widths[1])
  local seen = { x }
  for i, C in ipairs(c.widths) do
    local b = w.down_blocks[i - 1]
    for j = 0, c.layers - 1 do
      x = resnet(g, x, time, b.resnets[j], C, c)
      if c.down[i] then x = transformer(g, x, context, b.attentions[j], C, c.heads[i], c.depth[i], c) end
      seen[#seen + 1] = x
    end
    if i < #c.widths then
      x = g.conv(x, b.downsamplers[0].conv, C, { stride = 2, pad = c.pad })
      seen[#seen + 1] = x
    end
  end

  local n, deepest = #c.widths, c.widths[#c.widths]
  x = resnet(g, x, time, w.mid_block.resnets[0], deepest, c)
  x = transformer(g, x, context, w.mid_block.attentions[0], deepest, c.heads[n], c.depth[n], c)
  x = resnet(g, x, time, w.mid_block.resnets[1], deepest, c)

  for i = 1, n do
    local b, level = w.up_blocks[i - 1], n + 1 - i
    local C = c.widths[level]
    for j = 0, c.layers do
      x = resnet(g, g.concat(x, table.remove(seen)), time, b.resnets[j], C, c)
      if c.up[i] then x = transformer(g, x, context, b.attentions[j], C, c.heads[level], c.depth[level], c) end
    end
    if i < n then x = g.conv(g.upsample(x), b.upsamplers[0].conv, C) end
  end
  return g.exact(g.conv(g.silu(g.group_norm(x, w.conv_norm_out, c.groups, c.epsilon)), w.conv_out, c.out))
end

--- kohya's LoRA targets: every linear and 1x1 convolution inside a transformer.
function unet.lora_targets(path)
  return path:find "%.attentions%.%d+%.proj_" ~= nil
    or path:find "%.attn%d%.to_%w+$" ~= nil or path:find "%.attn%d%.to_out%.0$" ~= nil
    or path:find "%.ff%.net%.0%.proj$" ~= nil or path:find "%.ff%.net%.2$" ~= nil
end

return unet
