-- hub_folder.lua - a model that looks at pictures as the Hugging Face hub keeps it: config.json and model.safetensors, with what goes before
-- them (preprocessor_config.json) and after them (vocab.txt or tokenizer.json).
--
--   local model, message, code = hub_folder.blip("models/blip", "captioner")
--   model.config, model.words, model.looks       -- blip.config's, a tokenizer, what becomes of pictures: { side, mean, spread }
--   model.part:weights(g)
--   hub_folder.wd14("models/wd-vit-tagger-v3").tags[5]      -- { name = "1girl", category = "general" }

local blip = require "models.blip"
local fs = require "native.fs"
local kinds = require "models.kind"
local layers = require "models.layers"
local part = require "models.part"
local tag_list = require "models.tag_list"
local vocabulary = require "models.vocabulary"
local wd14 = require "models.wd14"

local M = {}

-- What preprocessor_config.json says becomes of a picture; without one what the model was trained with.
local function looks(path, side)
  local it = { side = side, mean = blip.MEAN, spread = blip.SPREAD }
  local file = path .. "/preprocessor_config.json"
  if not fs.stat(file) then return it end
  local config, message, code = part.read_json(file)
  if not config then return nil, message, code end
  config = layers.plain(config)
  local function wrong(key, expected)
    return nil, ("%s: %s is %s; %s is expected"):format(file, key, layers.shown(config[key]), expected), "FORMAT"
  end
  local size = config.size
  if type(size) == "table" then size = size.height == size.width and size.height or nil end
  if size ~= nil and size ~= side or config.size ~= nil and size == nil then return wrong("size", ("%d x %d, the config's image_size,"):format(side, side)) end
  if config.resample ~= nil and config.resample ~= 3 then return wrong("resample", "3, bicubic,") end
  for key, name in pairs { image_mean = "mean", image_std = "spread" } do
    local list = config[key]
    if list ~= nil then
      if type(list) ~= "table" or #list ~= 3 then return wrong(key, "a list of three numbers") end
      for _, x in ipairs(list) do
        if type(x) ~= "number" or x ~= x or x < -10 or x > 10 or name == "spread" and x < 1e-3 then return wrong(key, "a list of three numbers") end
      end
      it[name] = list
    end
  end
  return it
end

-- Whether config.json belongs to the weights: the graph finds its tensors, and of its blocks ("encoder.layer.3.") none is left over. Tensors besides
-- blocks may be: heads that others use, a table that is there twice.
local function fits(it, build)
  local unused, message, code = part.try(it, build)
  if not unused then return nil, message, code end
  for _, name in ipairs(unused) do
    if name:find "%f[%w]%d+%." then
      return nil, ("%s: config.json and the weights are not of one model: the config has no place for tensor \"%s\""):format(it.path, name), "FORMAT"
    end
  end
  return true
end

--- BLIP's folder. kind: "captioner", which writes, or "matcher", which says whether a text belongs to a picture.
---@param path string
---@param kind "captioner"|"matcher"
---@return { path: string, part: calotype.ModelPart, config: table, words: userdata, looks: table }? model
---@return string? message
---@return string? code
function M.blip(path, kind)
  local it, message, code = part.open(path, { root = "blip", stem = "model", config = blip.config })
  if not it then return nil, message, code end
  local c = blip.config(it.config)
  if (kinds.blip(it.tensors) or kind) ~= kind then return nil, kinds.instead(path, kind) or path .. ": another BLIP", "FORMAT" end
  local model = { path = path, part = it, config = c }
  local from
  model.words, from, code = vocabulary.read(path)
  if not model.words then return nil, from, code end
  -- [DEC] and [ENC] stand behind BERT's words and in no file.
  local count = model.words:size()
  if count > c.vocabulary or count + 2 < c.vocabulary then
    return nil, ("%s: %s has %d words, the config's vocab_size is %d"):format(path, from, count, c.vocabulary), "FORMAT"
  end
  model.looks, message, code = looks(path, c.vision.side)
  if not model.looks then return nil, message, code end
  local fine
  fine, message, code = fits(it, function(g, w)
    if kind == "captioner" then blip.captioner(g, w, c, { batch = 1, beams = 1, prompt = 1, length = 2 })
    else blip.matcher(g, w, c, { batch = 1, length = 2 }) end
  end)
  if not fine then return nil, message, code end
  -- What decides what it says: the weights, the words and what becomes of pictures, by content.
  table.insert(it.files, from)
  for _, name in ipairs { "preprocessor_config.json", "tokenizer_config.json" } do
    if fs.stat(path .. "/" .. name) then table.insert(it.files, name) end
  end
  return model
end

--- The tagger's folder: config.json as timm writes it, model.safetensors, selected_tags.csv.
---@param path string
---@return { path: string, part: calotype.ModelPart, config: table, tags: { name: string, category: "general"|"character"|"rating" }[] }? model
---@return string? message
---@return string? code
function M.wd14(path)
  local it, message, code = part.open(path, { root = "wd14", stem = "model", config = wd14.config })
  if not it then return nil, message, code end
  local model = { path = path, part = it, config = wd14.config(it.config) }
  model.tags, message, code = tag_list.read(path .. "/selected_tags.csv", model.config.tags)
  if not model.tags then return nil, message, code end
  local fine
  fine, message, code = fits(it, function(g, w) wd14.tagger(g, w, model.config, { batch = 1 }) end)
  if not fine then return nil, message, code end
  table.insert(it.files, "selected_tags.csv")
  return model
end

--- The folder of a model that looks at pictures.
---@param path string
---@param kind "captioner"|"matcher"|"tagger"
function M.open(path, kind)
  if kind == "tagger" then return M.wd14(path) end
  return M.blip(path, kind)
end

return M
