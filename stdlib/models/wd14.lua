-- wd14.lua - SmilingWolf's tagger (wd-vit-tagger-v3 and its like), as timm's VisionTransformer without a class token: what the tokens say is
-- averaged, and each tag gets a probability of its own.
--
--   local c = wd14.config(config)
--   local it = wd14.tagger(g, g.weights("wd14", file.tensors), c, { batch = 4 })
--   plan:set(it.pixels, floats) plan:run "sample"
--   plan:get(it.probabilities)                      -- [B, tags], in the order of selected_tags.csv

local graph = require "native.graph"
local layers = require "models.layers"
local vit = require "models.vit"

local wd14 = {}

-- timm's plain vision transformers: width, blocks, heads.
local SIZES = { tiny = { 192, 12, 3 }, small = { 384, 12, 6 }, base = { 768, 12, 12 }, large = { 1024, 24, 16 } }

--- What config.json of timm says, every number one that a model can have.
function wd14.config(config)
  config = layers.plain(config)
  local name = config.architecture
  local size, patch = tostring(name):match "^vit_(%l+)_patch(%d+)_%d+$"
  if not SIZES[size] then
    error(("wd14: the architecture is %s, which is no plain vision transformer; wd-vit-tagger-v3 and wd-vit-large-tagger-v3 are"):format(
      layers.shown(name)), 0)
  end
  local args, trained = config.model_args, config.pretrained_cfg
  args = layers.plain(type(args) == "table" and args or {})
  trained = layers.plain(type(trained) == "table" and trained or {})
  local width, blocks, heads = table.unpack(SIZES[size])
  local function whole(from, key, default, most) return layers.whole("wd14", from, key, default, 1, most) end
  if args.class_token ~= false then error("wd14: the config has a class_token; the taggers that calotype knows have none", 0) end
  if args.fc_norm then error("wd14: the config has fc_norm, which calotype does not know", 0) end
  layers.word("wd14", args, "global_pool", config.global_pool or "avg", { "avg" })
  for _, key in ipairs { "mean", "std" } do
    local list = trained[key]
    if list ~= nil and not (type(list) == "table" and list[1] == 0.5 and list[2] == 0.5 and list[3] == 0.5) then
      error(("wd14: the config's %s is %s; {0.5, 0.5, 0.5} is expected"):format(key, layers.shown(list)), 0)
    end
  end
  local c = { width = whole(args, "embed_dim", width, layers.WIDTH), layers = whole(args, "depth", blocks, layers.COUNT),
    heads = whole(args, "num_heads", heads, layers.COUNT), side = whole(args, "img_size", 448, 4096),
    patch = whole(args, "patch_size", tonumber(patch), 1024), tags = whole(config, "num_classes", nil, layers.ROWS), epsilon = 1e-6, class = false,
    names = vit.timm, act = layers.word("wd14", args, "act_layer", "gelu", { "gelu", "gelu_tanh" }) }
  c.inner = whole({ inner = c.width * layers.number("wd14", args, "mlp_ratio", 4, 0.1, 64) // 1 | 0 }, "inner", nil, layers.WIDTH * 4)
  if c.width % c.heads ~= 0 then error(("wd14: %d channels do not fall into %d heads"):format(c.width, c.heads), 0) end
  if c.side % c.patch ~= 0 then error(("wd14: a picture of %d does not fall into patches of %d"):format(c.side, c.patch), 0) end
  return c
end

--- Segment "sample" reads pixels f32 [B, side, side, 3] from -1 to 1 as image.floats gives them (red first: it was trained with blue first, which
--- is turned here), gives probabilities f32 [B, tags].
---@param options { batch: integer }
function wd14.tagger(g, w, c, options)
  local it, B = {}, options.batch
  it.pixels = g.input("pixels", "f32", { B, c.side, c.side, 3 })
  local turned = graph.concat({ it.pixels:slice(4, 3, 1), it.pixels:slice(4, 2, 1), it.pixels:slice(4, 1, 1) }, 4)
  local seen = vit.encode(g, turned, w, c)
  local all = (seen:sum(2) * (1 / vit.tokens(c))):reshape { B, c.width }
  it.probabilities = graph.sigmoid(g.exact(g.linear(all, w.head, c.tags)))
  g.graph:output("sample", it.probabilities)
  return it
end

return wd14
