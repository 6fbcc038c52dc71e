-- clip.lua - CLIP's text encoder (Radford et al., "Learning transferable visual models from natural language supervision", 2021), as
-- transformers' CLIPTextModel: tokens and places, N blocks that look back only, a last norm.

local layers = require "models.layers"

local clip = {}

local function attention(g, x, w, c)
  local q, k, v = g.linear(x, w.q_proj, c.width), g.linear(x, w.k_proj, c.width), g.linear(x, w.v_proj, c.width)
  return g.linear(g.attention(q, k, v, c.heads, true), w.out_proj, c.width)
end

local function block(g, x, w, c)
  x = x + attention(g, g.layer_norm(x, w.layer_norm1, c.epsilon), w.self_attn, c)
  local h = c.activation(g.linear(g.layer_norm(x, w.layer_norm2, c.epsilon), w.mlp.fc1, c.inner))
  return x + g.linear(h, w.mlp.fc2, c.width)
end

--- What config.json of a text_encoder folder says; every number is one that a model can have.
function clip.config(config)
  config = layers.plain(config)
  local function whole(key, default, most) return layers.whole("text_encoder", config, key, default, 1, most) end
  return {
    act = layers.word("text_encoder", config, "hidden_act", "quick_gelu", { "quick_gelu", "gelu" }),
    vocabulary = whole("vocab_size", nil, layers.ROWS), length = whole("max_position_embeddings", 77, layers.WIDTH),
    width = whole("hidden_size", nil, layers.WIDTH), inner = whole("intermediate_size", nil, layers.WIDTH),
    layers = whole("num_hidden_layers", nil, layers.COUNT), heads = whole("num_attention_heads", nil, layers.COUNT),
    epsilon = layers.number("text_encoder", config, "layer_norm_eps", 1e-5, 1e-12, 0.1),
  }
end

--- ids i32 [B, T] -> hidden states [B, T, width]: after the last norm. `skip` = 2 leaves the last block out, as kohya's clip_skip counts (what
--- diffusers' pipelines call clip_skip is one less): transformers' hidden_states[-skip], then final_layer_norm. Blocks that are left out are
--- not built; g.unused() lists their tensors. The second value are the states before each block and after the last one, without the norm.
function clip.encode(g, ids, w, config, skip)
  local c = clip.config(config)
  local shape = ids:shape()
  if shape[2] > c.length then error(("text_encoder: %d tokens; its places end at %d"):format(shape[2], c.length), 0) end
  c.activation = g[c.act]
  w = g.has(w.text_model.final_layer_norm, "weight") and w.text_model or w
  local places = g.table(w.embeddings.position_embedding, c.length, c.width)
  local x = g.embedding(w.embeddings.token_embedding, ids, c.vocabulary, c.width) + places:slice(1, 1, shape[2])
  local states = { x }
  for i = 0, c.layers - (skip or 1) do
    x = block(g, x, w.encoder.layers[i], c)
    states[#states + 1] = x
  end
  return g.exact(g.layer_norm(x, w.final_layer_norm, c.epsilon)), states
end

--- Tensors that files carry and this encoder has no use for.
clip.idle = { "position_ids", "logit_scale", "text_projection", "visual_projection" }

--- kohya's LoRA targets (facts: six linears per block).
function clip.lora_targets(path)
  return path:find "%.self_attn%.[qkv]_proj$" ~= nil or path:find "%.self_attn%.out_proj$" ~= nil or path:find "%.mlp%.fc[12]$" ~= nil
end

return clip
