-- vit.lua - the Vision Transformer (Dosovitskiy et al., "An image is worth 16x16 words", 2021): a picture cut into squares, each square a
-- token, N blocks in which every token sees every other, a last norm.
--
--   local states = vit.encode(g, pixels, handle, { width = 768, inner = 3072, layers = 12, heads = 12, side = 384, patch = 16, epsilon = 1e-5,
--     act = "gelu", class = true, names = vit.transformers })          -- [B, 577, 768]

local graph = require "native.graph"

local vit = {}

--- What the tensors are called: as transformers' BlipVisionModel writes them, and as timm does.
vit.transformers = { patch = "embeddings.patch_embedding", places = "embeddings.position_embedding", class = "embeddings.class_embedding",
  block = "encoder.layers", norm1 = "layer_norm1", qkv = "self_attn.qkv", out = "self_attn.projection", norm2 = "layer_norm2", last = "post_layernorm" }
vit.timm = { patch = "patch_embed.proj", places = "pos_embed", class = "cls_token", block = "blocks", norm1 = "norm1", qkv = "attn.qkv",
  out = "attn.proj", norm2 = "norm2", last = "norm" }

-- The handle of a path of several parts below w.
local function below(w, path)
  for part in path:gmatch "[^.]+" do w = w[part] end
  return w
end

local function attention(g, x, w, c)
  local both = g.linear(x, below(w, c.names.qkv), 3 * c.width) -- queries, keys, values; heads within each
  local function part(i) return both:slice(-1, (i - 1) * c.width + 1, c.width) end
  return g.linear(g.attention(part(1), part(2), part(3), c.heads), below(w, c.names.out), c.width)
end

local function block(g, x, w, c)
  x = x + attention(g, g.layer_norm(x, below(w, c.names.norm1), c.epsilon), w, c)
  local h = g[c.act](g.linear(g.layer_norm(x, below(w, c.names.norm2), c.epsilon), w.mlp.fc1, c.inner))
  return x + g.linear(h, w.mlp.fc2, c.width)
end

--- How many tokens a picture becomes.
function vit.tokens(c)
  local along = c.side // c.patch
  return along * along + (c.class and 1 or 0)
end

--- pixels f32 [B, side, side, 3], normalised as the model was trained -> [B, tokens, width], after the last norm. With `class` the first token
--- is no square of the picture but what the model says of all of it.
---@param c { width: integer, inner: integer, layers: integer, heads: integer, side: integer, patch: integer, epsilon: number, act: string,
---   class: boolean, names: table }
function vit.encode(g, pixels, w, c)
  local B, names, count = pixels:shape()[1], c.names, vit.tokens(c)
  local x = g.tokens(g.conv(g.stored(pixels), below(w, names.patch), c.width, { size = c.patch, stride = c.patch, pad = 0 }))
  local function tensor(path, shape)
    local above, key = path:match "^(.*)%.([^.]+)$"
    return g.tensor(above and below(w, above) or w, key or path, shape)
  end
  if c.class then x = graph.concat({ tensor(names.class, { 1, 1, c.width }):expand { B, 1, c.width }, x }, 2) end
  x = x + tensor(names.places, { 1, count, c.width })
  for i = 0, c.layers - 1 do x = block(g, x, below(w, names.block)[i], c) end
  return g.layer_norm(x, below(w, names.last), c.epsilon)
end

return vit
