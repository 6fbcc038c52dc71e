-- tag_list.lua - the tags of a WD14 tagger, as selected_tags.csv beside its weights names them.
--
--   local tags = tag_list.read("models/wd-vit-tagger-v3/selected_tags.csv", 10861)
--   tags[5]                                        -- { name = "1girl", category = "general" }
--
-- Its first line names the columns, of which "name" and "category" are read; the tags stand in the order of the model's outputs.

local fs = require "native.fs"

local M = {}

local MOST, LONGEST = 4 << 20, 4096 -- bytes of the file (10,861 tags are 0.3 MB), and of a line

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

-- By Danbooru's numbers; its others (artists, copyrights, what is said of the file) are tags as all are.
local CATEGORIES = { ["4"] = "character", ["9"] = "rating" }

-- The lines of a text, however they end, with their numbers; empty ones are passed over.
local function lines_of(bytes)
  local number, at = 0, 1
  return function()
    while at <= #bytes do
      local line, after = bytes:match("^([^\r\n]*)()", at)
      at = after + (bytes:find("^\r\n", after) and 2 or 1)
      number = number + 1
      if line ~= "" then return line, number end
    end
  end
end

--- The tags, `count` of them.
---@param path string
---@param count integer the model's outputs
---@return { name: string, category: "general"|"character"|"rating" }[]? tags
---@return string? message
---@return string? code
function M.read(path, count)
  local info = fs.stat(path)
  if info and info.size > MOST then
    return nil, ("%s has %d MB, so it is no list of %d tags; at most %d MB are read"):format(path, info.size >> 20, count, MOST >> 20), "FORMAT"
  end
  local bytes, message, code = fs.read(path, MOST)
  if not bytes then return nil, message, code end
  local rows, columns = {}, nil
  local function wrong(number, what) return nil, ("%s: line %d %s"):format(path, number, what), "FORMAT" end
  for line, number in lines_of((bytes:gsub("^\xEF\xBB\xBF", ""))) do
    local list = #line <= LONGEST and fields(line)
    if not list then return wrong(number, "is no line of CSV") end
    if not columns then
      columns = { count = #list }
      for i, name in ipairs(list) do columns[name] = i end
      if not columns.name or not columns.category then
        return nil, ("%s: its first line names no columns \"name\" and \"category\""):format(path), "FORMAT"
      end
    else
      local name, category = list[columns.name], list[columns.category]
      if not name or name == "" or not category then return wrong(number, "has no name or no category") end
      if #list > columns.count then
        return wrong(number, ("has %d fields, the first line %d; a name with a comma stands in quotes"):format(#list, columns.count))
      end
      if name:find "%c" or not utf8.len(name) then return wrong(number, "has a tag with a control character, or that is not UTF-8") end
      if not category:find "^%d%d?$" then
        return wrong(number, "has a category that is no number; 0 is general, 4 a character, 9 a rating")
      end
      rows[#rows + 1] = { name = name, category = CATEGORIES[category] or "general" }
    end
  end
  if #rows ~= count then
    return nil, ("%s has %d tags, the config's num_classes is %d; both come with the same model"):format(path, #rows, count), "FORMAT"
  end
  return rows
end

return M
