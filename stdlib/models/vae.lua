-- vae.lua - the autoencoder between pictures and latents (Rombach et al., "High-resolution image synthesis with latent diffusion
-- models", 2022), as diffusers' AutoencoderKL: an encoder that halves the picture at every block, a decoder that doubles it, and
-- attention over all places in the middle of both.

local layers = require "models.layers"

local vae = {}

local EPSILON = 1e-6 -- of every norm here; the UNet's resnets have 1e-5

local function resnet(g, x, w, C, c)
  local shape = x:shape()
  local h = g.conv(g.silu(g.group_norm(x, w.norm1, c.groups, EPSILON)), w.conv1, C)
  h = g.conv(g.silu(g.group_norm(h, w.norm2, c.groups, EPSILON)), w.conv2, C)
  return h + (shape[4] ~= C and g.conv1(x, w.conv_shortcut, C) or x)
end

local function attention(g, x, w, C, c)
  local h = g.tokens(g.group_norm(x, w.group_norm, c.groups, EPSILON))
  local q, k, v = g.linear(h, w.to_q, C), g.linear(h, w.to_k, C), g.linear(h, w.to_v, C)
  return x + g.picture(g.linear(g.attention(q, k, v, 1), w.to_out[0], C), x)
end

local function middle(g, x, w, C, c)
  x = resnet(g, x, w.resnets[0], C, c)
  if c.attention then x = attention(g, x, w.attentions[0], C, c) end
  return resnet(g, x, w.resnets[1], C, c)
end

local function encoder(g, x, w, c)
  x = g.conv(x, w.conv_in, c.widths[1])
  for i, C in ipairs(c.widths) do
    local block = w.down_blocks[i - 1]
    for j = 0, c.layers - 1 do x = resnet(g, x, block.resnets[j], C, c) end
    -- Only to the right and below: the border that stride 2 would otherwise miss.
    if i < #c.widths then x = g.conv(x, block.downsamplers[0].conv, C, { stride = 2, top = 0, left = 0, bottom = 1, right = 1 }) end
  end
  x = middle(g, x, w.mid_block, c.widths[#c.widths], c)
  return g.conv(g.silu(g.group_norm(x, w.conv_norm_out, c.groups, EPSILON)), w.conv_out, 2 * c.latent)
end

local function decoder(g, z, w, c)
  local x = g.conv(z, w.conv_in, c.widths[#c.widths])
  x = middle(g, x, w.mid_block, c.widths[#c.widths], c)
  for i = 0, #c.widths - 1 do
    local C, block = c.widths[#c.widths - i], w.up_blocks[i]
    for j = 0, c.layers do x = resnet(g, x, block.resnets[j], C, c) end
    if i < #c.widths - 1 then x = g.conv(g.upsample(x), block.upsamplers[0].conv, C) end
  end
  return g.conv(g.silu(g.group_norm(x, w.conv_norm_out, c.groups, EPSILON)), w.conv_out, c.out)
end

--- What config.json of a vae folder says; every number is one that a model can have.
function vae.config(config)
  config = layers.plain(config)
  local function whole(key, default, most) return layers.whole("vae", config, key, default, 1, most or layers.COUNT) end
  layers.refuse("vae", config, { "latents_mean", "latents_std" })
  layers.word("vae", config, "act_fn", "silu", { "silu" })
  layers.words("vae", config, "down_block_types", { DownEncoderBlock2D = true })
  layers.words("vae", config, "up_block_types", { UpDecoderBlock2D = true })
  local groups = whole("norm_num_groups", 32)
  return {
    into = whole("in_channels", 3, layers.WIDTH), out = whole("out_channels", 3, layers.WIDTH), latent = whole("latent_channels", 4, layers.WIDTH),
    widths = layers.widths("vae", config, groups), layers = whole("layers_per_block", 1), groups = groups,
    attention = config.mid_block_add_attention ~= false, scale = layers.number("vae", config, "scaling_factor", 0.18215, 1e-6, 1000000),
    quant = config.use_quant_conv ~= false, post_quant = config.use_post_quant_conv ~= false,
  }
end

--- A picture [B, H, W, 3] in -1 .. 1 -> mean and logarithm of the variance of its latent, [B, H/8, W/8, 4] each (unscaled).
function vae.encode(g, x, w, config)
  local c = vae.config(config)
  local h = encoder(g, g.stored(x), w.encoder, c)
  if c.quant then h = g.conv1(h, w.quant_conv, 2 * c.latent) end
  local mean, logvar = g.halves(g.exact(h))
  local number = function(n) return g.graph:number(n) end
  return mean, g.max(g.min(logvar, number(20)), number(-30))
end

--- One draw from mean and logvar; noise is N(0, 1). Still unscaled: the UNet sees config.scaling_factor times this.
function vae.draw(g, mean, logvar, noise)
  return mean + g.exp(logvar * 0.5) * noise
end

--- A latent [B, h, w, 4] (unscaled) -> a picture, about -1 .. 1.
function vae.decode(g, z, w, config)
  local c = vae.config(config)
  z = g.stored(z)
  if c.post_quant then z = g.conv1(z, w.post_quant_conv, c.latent) end
  return g.exact(decoder(g, z, w.decoder, c))
end

local OLD = { query = "to_q", key = "to_k", value = "to_v", proj_attn = "to_out.0" }

--- Files from before 2023 name the attention otherwise. The tensors under the names of today, and today's name -> the file's.
function vae.names(tensors)
  local out, original = {}, {}
  for name, tensor in pairs(tensors) do
    local before, part, after = name:match "^(.*mid_block%.attentions%.0%.)([%w_]+)(%.%w+)$"
    local today = part and OLD[part] and before .. OLD[part] .. after or name
    out[today], original[today] = tensor, name
  end
  return out, original
end

return vae
