-- vocabulary.lua - the words of a BERT as the Hugging Face hub keeps them in a model's folder: vocab.txt, else tokenizer.json, with what
-- tokenizer_config.json says of capital letters.
--
--   local words, from, code = vocabulary.read "models/blip-image-captioning-base"         -- a tokenizer of native.text, "vocab.txt"
--   words:tokens "a picture of"                                                           -- { 1037, 3861, 1997 }

local fs = require "native.fs"
local part = require "models.part"
local text = require "native.text"

local M = {}

local CONTROL = "[\0-\8\11\12\14-\31\127]" -- all but tabs and ends of lines
local MOST = 16 << 20 -- bytes; BERT's words are 0.2 MB, those of a hundred languages 1 MB

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

-- The lines of vocab.txt.
local function lines_of(file)
  local lines, message, code = fs.read(file, MOST)
  if code == "LIMIT" then return nil, ("%s has more than %d MB, so it is no list of words"):format(file, MOST >> 20), "FORMAT" end
  if not lines then return nil, message, code end
  lines = lines:gsub("^\xEF\xBB\xBF", "")
  local at = lines:find(CONTROL)
  if at then return nil, ("%s: line %d has a control character, which is no part of a word"):format(file, line_of(lines, at)), "FORMAT" end
  at = select(2, utf8.len(lines))
  if at then return nil, ("%s: line %d is not UTF-8"):format(file, line_of(lines, at)), "FORMAT" end
  return lines
end

-- The same of tokenizer.json, and what it says of capital letters (nil: nothing).
local function lines_of_json(file)
  local info = fs.stat(file)
  if info and info.size > MOST then return nil, ("%s has more than %d MB, so it is no list of words"):format(file, MOST >> 20), "FORMAT" end
  local it, message, code = part.read_json(file)
  if not it then return nil, message, code end
  local model = type(it.model) == "table" and it.model or {}
  local words, count, lines = type(model.vocab) == "table" and model.vocab or {}, 0, {}
  for word, id in pairs(words) do
    if math.type(id) ~= "integer" or id < 0 or lines[id + 1] or type(word) ~= "string" or word:find(CONTROL) or word:find "[\r\n]" then
      return nil, ("%s: its vocabulary is no list of words and numbers"):format(file), "FORMAT"
    end
    lines[id + 1], count = word, count + 1
  end
  if model.type ~= "WordPiece" or count == 0 or #lines ~= count then
    return nil, ("%s: a WordPiece vocabulary, numbered from 0, is expected"):format(file), "FORMAT"
  end
  local lower
  if type(it.normalizer) == "table" then lower = it.normalizer.lowercase ~= false end
  return table.concat(lines, "\n"), lower
end

-- Whether letters become small, as tokenizer_config.json says: true, false, or nil where it does not say.
local function lower_of(path)
  if not fs.stat(path .. "/tokenizer_config.json") then return nil end
  local config, message, code = part.read_json(path .. "/tokenizer_config.json")
  if not config then return nil, message, code end
  if config.do_lower_case ~= nil then return config.do_lower_case ~= false end
end

-- Lines, what the file itself says of capital letters, and its name.
local function find(path)
  local there, message, code = part.there(path .. "/vocab.txt")
  if there == nil then return nil, message, code end
  if there then
    local lines
    lines, message, code = lines_of(path .. "/vocab.txt")
    return lines, message, lines and "vocab.txt" or code
  end
  there, message, code = part.there(path .. "/tokenizer.json")
  if there == nil then return nil, message, code end
  if not there then
    return nil, ("%s: no vocab.txt and no tokenizer.json; the words come with the model they were learned with"):format(path), "NOTFOUND"
  end
  local lines, lower
  lines, lower, code = lines_of_json(path .. "/tokenizer.json")
  return lines, lower, lines and "tokenizer.json" or code
end

--- The tokenizer, and the name of the file that has its words.
---@param path string the folder
---@return userdata? words
---@return string from or what is wrong: the line, where it is one's
---@return string? code
function M.read(path)
  local lower, message, code = lower_of(path)
  if message then return nil, message, code end
  local lines, own, from = find(path)
  if not lines then return nil, own, from end
  if lower == nil then lower = own ~= false end
  local words
  words, message, code = text.wordpiece(lines, lower)
  if words then return words, from end
  return nil, ("%s/%s: %s%s"):format(path, from, message, code == "FORMAT" and from == "vocab.txt" and twice(lines) or ""), code
end

return M
