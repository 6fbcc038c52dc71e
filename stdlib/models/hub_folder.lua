-- hub_folder.lua - a model that looks at pictures as the Hugging Face hub keeps it: config.json and model.safetensors, with what goes before
-- them (preprocessor_config.json) and after them (vocab.txt or tokenizer.json).
--
--   local model, message, code = hub_folder.blip("models/blip", "captioner")
--   model.config, model.words, model.looks       -- blip.config's, a tokenizer, what becomes of pictures: { side, mean, spread }
--   model.part:weights(g)
--   hub_folder.wd14("models/wd-vit-tagger-v3").tags[5]      -- { name = "1girl", category = "general" }

local blip = require "models.blip"
local fs = require "native.fs"
local layers = require "models.layers"
local part = require "models.part"
local text = require "native.text"
local wd14 = require "models.wd14"

local M = {}

local CONTROL = "[\0-\8\11\12\14-\31\127]" -- all but tabs and ends of lines

-- The lines of vocab.txt, from it or from tokenizer.json, and whether letters become small.
local function vocabulary(path)
  local lower = true
  if fs.stat(path .. "/tokenizer_config.json") then
    local config, message, code = part.read_json(path .. "/tokenizer_config.json")
    if not config then return nil, message, code end
    if config.do_lower_case == false then lower = false end
  end
  if fs.stat(path .. "/vocab.txt") then
    local lines, message, code = fs.read(path .. "/vocab.txt", 64 << 20)
    if not lines then return nil, message, code end
    local at = lines:find(CONTROL)
    if at then
      local _, before = lines:sub(1, at):gsub("\n", "")
      return nil, ("%s/vocab.txt: line %d has a control character, which is no part of a word"):format(path, before + 1), "FORMAT"
    end
    return lines, lower, "vocab.txt"
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
  return table.concat(lines, "\n"), lower, "tokenizer.json"
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

local KINDS = { captioner = "text_decoder.bert.embeddings.word_embeddings.weight", matcher = "itm_head.weight" }
local OTHER = { captioner = "says whether texts belong to pictures and writes none", matcher = "writes captions" }

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
  local other = kind == "captioner" and "matcher" or "captioner"
  if not it.tensors[KINDS[kind]] and it.tensors[KINDS[other]] then
    return nil, ("%s: this BLIP %s"):format(path, OTHER[kind]), "FORMAT"
  end
  local model = { path = path, part = it, config = c }
  local lines, lower, from = vocabulary(path)
  if not lines then return nil, lower, from end
  model.words, message, code = text.wordpiece(lines, lower)
  if not model.words then return nil, ("%s/%s: %s"):format(path, from, message), code end
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
  -- What decides what it says: the weights and the words, by content.
  table.insert(it.files, from)
  return model
end

-- The fields of a line of CSV (RFC 4180): between commas, or in quotes, where two stand for one.
local function fields(line)
  local list, at = {}, 1
  repeat
    local quoted, after = line:match('^"([^"]*)()', at)
    if quoted then
      while line:sub(after, after + 1) == '""' do
        local more, next_ = line:match('^([^"]*)()', after + 2)
        quoted, after = quoted .. '"' .. more, next_
      end
      if line:sub(after, after) ~= '"' then return nil end
      after = after + 1
    else
      quoted, after = line:match("^([^,]*)()", at)
    end
    list[#list + 1], at = quoted, after + 1
    local between = line:sub(after, after)
    if between ~= "," and between ~= "" then return nil end
  until after > #line
  return list
end

local CATEGORIES = { ["0"] = "general", ["4"] = "character", ["9"] = "rating" }

-- selected_tags.csv: { name =, category = } in the order of the model's outputs.
local function tag_list(path, count)
  local bytes, message, code = fs.read(path, 64 << 20)
  if not bytes then return nil, message, code end
  local rows, number, columns = {}, 0, nil
  for line in bytes:gsub("^\xEF\xBB\xBF", ""):gmatch "[^\r\n]+" do
    number = number + 1
    local list = fields(line)
    if not list then return nil, ("%s: line %d is no line of CSV"):format(path, number), "FORMAT" end
    if not columns then
      columns = {}
      for i, name in ipairs(list) do columns[name] = i end
      if not columns.name or not columns.category then
        return nil, ("%s: its first line names no columns \"name\" and \"category\""):format(path), "FORMAT"
      end
    else
      local name, category = list[columns.name], list[columns.category]
      if not name or name == "" or not category then return nil, ("%s: line %d has no name or no category"):format(path, number), "FORMAT" end
      if name:find "%c" or not utf8.len(name) then
        return nil, ("%s: line %d has a tag with a control character, or that is not UTF-8"):format(path, number), "FORMAT"
      end
      rows[#rows + 1] = { name = name, category = CATEGORIES[category] or "general" }
    end
  end
  if #rows ~= count then
    return nil, ("%s has %d tags, the config's num_classes is %d; both come with the same model"):format(path, #rows, count), "FORMAT"
  end
  return rows
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
  model.tags, message, code = tag_list(path .. "/selected_tags.csv", model.config.tags)
  if not model.tags then return nil, message, code end
  local fine
  fine, message, code = fits(it, function(g, w) wd14.tagger(g, w, model.config, { batch = 1 }) end)
  if not fine then return nil, message, code end
  table.insert(it.files, "selected_tags.csv")
  return model
end

return M
