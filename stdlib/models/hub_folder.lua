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
local text = require "native.text"
local wd14 = require "models.wd14"

local M = {}

local CONTROL = "[\0-\8\11\12\14-\31\127]" -- all but tabs and ends of lines

local WORDS_MOST = 16 << 20 -- bytes; BERT's are 0.2 MB, those of a hundred languages 1 MB

local function line_of(lines, at) return select(2, lines:sub(1, at - 1):gsub("\n", "")) + 1 end

-- " (lines 7 and 90)": the first two lines of vocab.txt with the same word; "" where there are none.
local function twice(lines)
  local seen, number = {}, 0
  for word in (lines:gsub("\n$", "") .. "\n"):gmatch "([^\n]*)\n" do
    word, number = word:gsub("\r$", ""), number + 1
    if seen[word] then return (" (lines %d and %d)"):format(seen[word], number) end
    seen[word] = number
  end
  return ""
end

-- The lines of vocab.txt, from it or from tokenizer.json, and whether letters become small.
local function vocabulary(path)
  local lower
  if fs.stat(path .. "/tokenizer_config.json") then
    local config, message, code = part.read_json(path .. "/tokenizer_config.json")
    if not config then return nil, message, code end
    if config.do_lower_case ~= nil then lower = config.do_lower_case ~= false end
  end
  local there, refused, why = part.there(path .. "/vocab.txt")
  if there == nil then return nil, refused, why end
  if there then
    local lines, message, code = fs.read(path .. "/vocab.txt", WORDS_MOST)
    if code == "LIMIT" then return nil, ("%s/vocab.txt has more than %d MB, so it is no list of words"):format(path, WORDS_MOST >> 20), "FORMAT" end
    if not lines then return nil, message, code end
    lines = lines:gsub("^\xEF\xBB\xBF", "")
    local at = lines:find(CONTROL)
    if at then
      return nil, ("%s/vocab.txt: line %d has a control character, which is no part of a word"):format(path, line_of(lines, at)), "FORMAT"
    end
    at = select(2, utf8.len(lines))
    if at then return nil, ("%s/vocab.txt: line %d is not UTF-8"):format(path, line_of(lines, at)), "FORMAT" end
    return lines, lower ~= false, "vocab.txt"
  end
  if not fs.stat(path .. "/tokenizer.json") then
    return nil, ("%s: no vocab.txt and no tokenizer.json; the words come with the model they were learned with"):format(path), "NOTFOUND"
  end
  local it, message, code = part.read_json(path .. "/tokenizer.json")
  if not it then return nil, message, code end
  local model = type(it.model) == "table" and it.model or {}
  local words, count, lines = type(model.vocab) == "table" and model.vocab or {}, 0, {}
  for word, id in pairs(words) do
    if math.type(id) ~= "integer" or id < 0 or lines[id + 1] or type(word) ~= "string" or word:find(CONTROL) or word:find "[\r\n]" then
      return nil, ("%s/tokenizer.json: its vocabulary is no list of words and numbers"):format(path), "FORMAT"
    end
    lines[id + 1], count = word, count + 1
  end
  if model.type ~= "WordPiece" or count == 0 or #lines ~= count then
    return nil, ("%s/tokenizer.json: a WordPiece vocabulary, numbered from 0, is expected"):format(path), "FORMAT"
  end
  if lower == nil and type(it.normalizer) == "table" then lower = it.normalizer.lowercase ~= false end
  return table.concat(lines, "\n"), lower ~= false, "tokenizer.json"
end

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
  local lines, lower, from = vocabulary(path)
  if not lines then return nil, lower, from end
  model.words, message, code = text.wordpiece(lines, lower)
  if not model.words then
    return nil, ("%s/%s: %s%s"):format(path, from, message, code == "FORMAT" and from == "vocab.txt" and twice(lines) or ""), code
  end
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
