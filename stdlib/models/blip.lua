-- blip.lua - BLIP (Li et al., "BLIP: bootstrapping language-image pre-training", 2022), as transformers' BlipForConditionalGeneration and
-- BlipForImageTextRetrieval: a vision transformer looks, a BERT that looks at what it saw writes, or says whether a text belongs.
--
--   local c = blip.config(config)
--   local it = blip.captioner(g, g.weights("blip", file.tensors), c, { batch = 4, beams = 3, prompt = 1, length = 20 })
--   plan:set(it.pixels, floats) ... plan:run "accumulate"            -- pictures and the prompt are read, once
--   plan:set(it.ids, tokens) ... plan:run "sample"                   -- each step reads one more token of every beam
--
-- The keys and values of tokens that were read stay in states, so a step costs one token however long the text is. Which place a token
-- takes, what it may see and which beam it goes on from are inputs: no plan is made again. models/generate.lua drives it.

local graph = require "native.graph"
local layers = require "models.layers"
local vit = require "models.vit"

local blip = {}

local UNSEEN = -10000 -- added to the scores of what may not be seen; the original's number, which halves can hold

-- Of red, green and blue: CLIP's, which BLIP was trained with.
blip.MEAN, blip.SPREAD = { 0.48145466, 0.4578275, 0.40821073 }, { 0.26862954, 0.26130258, 0.27577711 }

--- What config.json says, every number one that a model can have.
function blip.config(config)
  config = layers.plain(config)
  local function part(key)
    local it = config[key]
    if type(it) ~= "table" then error(("blip: the config's %s is %s; an object is expected"):format(key, layers.shown(it)), 0) end
    return layers.plain(it)
  end
  local text, vision = part "text_config", part "vision_config"
  local function whole(from, key, default, most, least) return layers.whole("blip", from, key, default, least or 1, most) end
  local c = {
    vision = { width = whole(vision, "hidden_size", 768, layers.WIDTH), inner = whole(vision, "intermediate_size", 3072, layers.WIDTH),
      layers = whole(vision, "num_hidden_layers", 12, layers.COUNT), heads = whole(vision, "num_attention_heads", 12, layers.COUNT),
      side = whole(vision, "image_size", 384, 4096), patch = whole(vision, "patch_size", 16, 1024),
      epsilon = layers.number("blip", vision, "layer_norm_eps", 1e-5, 1e-12, 0.1),
      act = layers.word("blip", vision, "hidden_act", "gelu", { "gelu" }), class = true, names = vit.transformers },
    width = whole(text, "hidden_size", 768, layers.WIDTH), inner = whole(text, "intermediate_size", 3072, layers.WIDTH),
    layers = whole(text, "num_hidden_layers", 12, layers.COUNT), heads = whole(text, "num_attention_heads", 12, layers.COUNT),
    vocabulary = whole(text, "vocab_size", 30524, layers.ROWS), places = whole(text, "max_position_embeddings", 512, layers.WIDTH),
    epsilon = layers.number("blip", text, "layer_norm_eps", 1e-12, 1e-12, 0.1),
    act = layers.word("blip", text, "hidden_act", "gelu", { "gelu" }),
    joint = whole(config, "image_text_hidden_size", 256, layers.WIDTH),
  }
  -- Early files say 8, which is no model: all that were trained have 12 (transformers issue 22625).
  if c.width == 768 and c.heads == 8 then c.heads = 12 end
  for _, it in ipairs { c, c.vision } do
    if it.width % it.heads ~= 0 then error(("blip: %d channels do not fall into %d heads"):format(it.width, it.heads), 0) end
  end
  if c.vision.side % c.vision.patch ~= 0 then
    error(("blip: the config's image_size is %d, which does not fall into patches of %d"):format(c.vision.side, c.vision.patch), 0)
  end
  for name, key in pairs { first = "bos_token_id", last = "sep_token_id", pad = "pad_token_id" } do
    local usual = { first = 30522, last = 102, pad = 0 }
    c[name] = layers.whole("blip", text, key, usual[name], 0, c.vocabulary - 1)
  end
  return c
end

--- f32 [B, side, side, 3] from -1 to 1, as image.floats gives them, -> what the model was trained on.
function blip.normalised(g, pixels, mean, spread)
  mean, spread = mean or blip.MEAN, spread or blip.SPREAD
  local scale, shift = {}, {}
  for i = 1, 3 do scale[i], shift[i] = 0.5 / spread[i], (0.5 - mean[i]) / spread[i] end
  return pixels * g.graph:constant("f32", { 3 }, scale) + g.graph:constant("f32", { 3 }, shift)
end

-- The BERT ------------------------------------------------------------------------------------------------------------

-- ids [..., n], places [n] or the table's first n -> [..., n, width]
local function embedded(g, ids, w, c, places)
  local table_ = g.table(w.position_embeddings, c.places, c.width)
  local shape = ids:shape()
  local at = places and graph.embedding(table_, places) or table_:slice(1, 1, shape[#shape])
  return g.layer_norm(g.stored(g.embedding(w.word_embeddings, ids, c.vocabulary, c.width)) + at, w.LayerNorm, c.epsilon)
end

-- Dense, and what came in is added, and a norm: how each part of a block ends.
local function closed(g, x, before, w, c) return g.layer_norm(g.linear(x, w.dense, c.width) + before, w.LayerNorm, c.epsilon) end

-- `self` and `across` make of the block's states and its handle what that attention saw.
local function block(g, x, w, c, self, across)
  x = closed(g, self(x, w.attention.self), x, w.attention.output, c)
  x = closed(g, across(x, w.crossattention.self), x, w.crossattention.output, c)
  return closed(g, g[c.act](g.linear(x, w.intermediate.dense, c.inner)), x, w.output, c)
end

-- softmax(q k' / sqrt(d) + mask) v with heads as an axis of their own: q [.., H, T, d], k and v [.., H, S, d].
local function attend(q, k, v, mask)
  local shape = q:shape()
  local scores = graph.matmul(q, k, { transpose_b = true }) * shape[#shape] ^ -0.5
  if mask then scores = scores + mask end
  return graph.matmul(scores:softmax(), v)
end

-- [B, T, width] -> [B, heads, T, d], and back.
local function split(x, c)
  local shape = x:shape()
  return x:reshape({ shape[1], shape[2], c.heads, c.width // c.heads }):permute { 1, 3, 2, 4 }
end
local function merge(x, c)
  local shape = x:shape()
  return x:permute({ 1, 3, 2, 4 }):reshape { shape[1], shape[3], c.width }
end

-- What the language model says of the next token: [rows, width] -> f32 [rows, vocabulary]. The last weight is the embedding's: files that have
-- it a second time (cls.predictions.decoder) are read as transformers reads them.
local function logits(g, x, w, c)
  local head = w.cls.predictions
  x = g.layer_norm(g[c.act](g.linear(x, head.transform.dense, c.width)), head.transform.LayerNorm, c.epsilon)
  local words = g.table(w.bert.embeddings.word_embeddings, c.vocabulary, c.width)
  return g.exact(g.linear_of(x, words, g.tensor(head, "bias", { c.vocabulary })))
end

--- What writes captions. B pictures, each with as many beams; all texts begin with the same number of tokens.
---@param options { batch: integer, beams: integer, prompt: integer, length: integer, mean?: number[], spread?: number[] }
---   length: tokens at most, those of the prompt with them; mean, spread: of each colour from 0 to 1, what the model was trained with if not BLIP's
---@return table it inputs and outputs of two segments.
---   "accumulate" reads pixels f32 [B, side, side, 3] (-1 to 1) and start i32 [B, prompt], gives first f32 [B, vocabulary], and fills the
---   states. "sample" reads ids i32 [B * beams], the tokens that were chosen; from i32 [B * beams], the row that each goes on from (nil with
---   one beam); place i32 [1], where they stand (0 is the first); here f32 [length], 1 at that place; mask f32 [length], 0 up to it and
---   it.unseen beyond. It gives next f32 [B * beams, vocabulary].
function blip.captioner(g, w, c, options)
  local B, beams, P, L = options.batch, options.beams, options.prompt, options.length
  if L > c.places then error(("blip: %d tokens; its places end at %d"):format(L, c.places), 0) end
  local R, d, text = B * beams, c.width // c.heads, w.text_decoder
  local side, count = c.vision.side, vit.tokens(c.vision)
  local it = { unseen = UNSEEN }
  local dtype = g.dtype or "f32"

  local caches = {}
  for i = 1, c.layers do
    local cache = {}
    for _, key in ipairs { "k", "v" } do
      cache[key] = g.graph:state(("blip.layer.%d.%s"):format(i - 1, key), dtype, { R, c.heads, L, d }, "none")
      cache["picture_" .. key] = g.graph:state(("blip.layer.%d.picture.%s"):format(i - 1, key), dtype, { B, c.heads, count, d }, "none")
    end
    caches[i] = cache
  end

  -- Pictures and prompt. Every beam begins with the same keys and values.
  it.pixels = g.input("pixels", "f32", { B, side, side, 3 })
  it.start = g.input("start", "i32", { B, P })
  local seen = vit.encode(g, blip.normalised(g, it.pixels, options.mean, options.spread), w.vision_model, c.vision)
  it.states = g.exact(seen)
  local x = embedded(g, it.start, text.bert.embeddings, c)
  for i = 1, c.layers do
    local cache = caches[i]
    local function keep(name, value) g.graph:store("accumulate", cache[name], value) end
    x = block(g, x, text.bert.encoder.layer[i - 1], c, function(h, a)
      local q, k, v = g.linear(h, a.query, c.width), g.linear(h, a.key, c.width), g.linear(h, a.value, c.width)
      for name, value in pairs { k = k, v = v } do
        local wide = split(value, c):pad(3, 0, L - P):reshape { B, 1, c.heads * L * d }
        keep(name, wide:expand({ B, beams, c.heads * L * d }):reshape { R, c.heads, L, d })
      end
      return g.attention(q, k, v, c.heads, true)
    end, function(h, a)
      local k, v = split(g.linear(seen, a.key, c.width), c), split(g.linear(seen, a.value, c.width), c)
      keep("picture_k", k)
      keep("picture_v", v)
      return merge(attend(split(g.linear(h, a.query, c.width), c), k, v), c)
    end)
  end
  it.first = logits(g, x:slice(2, P, 1):reshape { B, c.width }, text, c)
  g.graph:output("accumulate", it.first)

  -- One token more.
  it.ids, it.place = g.input("ids", "i32", { R }), g.input("place", "i32", { 1 })
  it.here, it.mask = g.input("here", "f32", { L }), g.input("mask", "f32", { L })
  it.from = beams > 1 and g.input("from", "i32", { R }) or nil
  local here = it.here:reshape { L, 1 }
  x = embedded(g, it.ids:reshape { R, 1 }, text.bert.embeddings, c, it.place)
  for i = 1, c.layers do
    local cache = caches[i]
    local function longer(name, new)
      local old = cache[name]
      if it.from then old = graph.embedding(old:reshape { R, c.heads * L * d }, it.from):reshape { R, c.heads, L, d } end
      local all = graph.select(here, split(new, c), old)
      g.graph:store("sample", cache[name], all)
      return all
    end
    x = block(g, x, text.bert.encoder.layer[i - 1], c, function(h, a)
      local k, v = longer("k", g.linear(h, a.key, c.width)), longer("v", g.linear(h, a.value, c.width))
      return merge(attend(split(g.linear(h, a.query, c.width), c), k, v, it.mask), c)
    end, function(h, a)
      local q = g.linear(h, a.query, c.width):reshape { B, beams, c.width } -- the beams of a picture look at the same one
      return merge(attend(split(q, c), cache.picture_k, cache.picture_v), c):reshape { R, 1, c.width }
    end)
  end
  it.next = logits(g, x:reshape { R, c.width }, text, c)
  g.graph:output("sample", it.next)
  return it
end

--- What says whether texts belong to pictures. Segment "sample" reads pixels f32 [B, side, side, 3] (-1 to 1), ids i32 [B, length] and mask f32
--- [B, length], 0 for tokens and it.unseen for padding; gives match f32 [B, 2], the logits of "does not" and "does". The cosine of both as each is
--- seen alone (vision_proj and text_proj) is not made.
---@param options { batch: integer, length: integer, mean?: number[], spread?: number[] }
function blip.matcher(g, w, c, options)
  local B, T = options.batch, options.length
  if T > c.places then error(("blip: %d tokens; its places end at %d"):format(T, c.places), 0) end
  local it = { unseen = UNSEEN }
  it.pixels = g.input("pixels", "f32", { B, c.vision.side, c.vision.side, 3 })
  it.ids, it.mask = g.input("ids", "i32", { B, T }), g.input("mask", "f32", { B, T })
  local mask, text = it.mask:reshape { B, 1, 1, T }, w.text_encoder
  local seen = vit.encode(g, blip.normalised(g, it.pixels, options.mean, options.spread), w.vision_model, c.vision)
  local x = embedded(g, it.ids, text.embeddings, c)
  for i = 0, c.layers - 1 do
    x = block(g, x, text.encoder.layer[i], c, function(h, a)
      local q, k, v = g.linear(h, a.query, c.width), g.linear(h, a.key, c.width), g.linear(h, a.value, c.width)
      return merge(attend(split(q, c), split(k, c), split(v, c), mask), c)
    end, function(h, a)
      return g.attention(g.linear(h, a.query, c.width), g.linear(seen, a.key, c.width), g.linear(seen, a.value, c.width), c.heads)
    end)
  end
  it.match = g.exact(g.linear(x:slice(2, 1, 1):reshape { B, c.width }, w.itm_head, 2))
  g.graph:output("sample", it.match)
  return it
end

return blip
