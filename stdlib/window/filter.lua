-- filter.lua - which pictures are shown: the language of the filter box, as users of TagGUI know it.
--
--   local shown, message, place = filter.compile 'tag:"long hair" AND (stars:>3 OR NOT is:captioned)'
--   if not shown then ... the box turns red; `place` is the code point where it went wrong
--   elseif shown(item) then ...
--
-- Words look into caption and path. NOT binds closest, then AND (which may be left out), then OR. * stands for any letters, ? for one.
-- Capitals make no difference, and in tags no underscores. A number that is not known yet (the width of a picture that nobody has looked
-- at) fits no comparison.
local suggest = require "recipe.suggest"
local tags = require "caption.tags"
local text_of = require "native.text"
local words = require "caption.words"

local M = {}

local DEEPEST = 100

--- For the help and the menu of the box.
M.help = {
  { "door", "caption or path has it; \"a red door\" in quotes with its spaces; * any letters, ? one" },
  { "caption:door", "the caption has it" },
  { "tag:door", "one of the tags is it: tag:*door ends so" },
  { "name:cat  path:old/", "the file's name, or its path, has it" },
  { "by:gemini  by:person", "who wrote the caption: a provider, a model, a person" },
  { "tags:>10  chars:<100  words:>=5", "how many; also = and !=" },
  { "tokens:>75", "places of the text encoder" },
  { "stars:>3  width:<512  height:  side:  pixels:>2", "stars 0 to 5, pixels of a side, of the shorter side, millions of both" },
  { "sharpness:<40  brightness:  entropy:", "what was measured" },
  { "match:<0.3", "how sure BLIP's matcher was that the caption belongs to the picture: 0 to 1, where it was asked (Alt+M, :score)" },
  { "is:captioned", "also empty, rejected, starred, edited (by a person), scored (has a match), draft, file (beside it), unreadable, selected" },
  { "NOT a AND (b OR c)", "NOT binds closest, AND may be left out" },
}

-- --- What is asked of an item -------------------------------------------------------------------------------------------------------

local looks = setmetatable({}, { __mode = "k" }) -- item -> what was made of its caption; made anew when the caption is another

local function look(item)
  local known = looks[item]
  if not known or known.caption ~= item.caption then
    known = { caption = item.caption, lower = text_of.lower(item.caption), path = known and known.path or text_of.lower(item.path) }
    looks[item] = known
  end
  return known
end

--- The tags of an item's caption in plain letters, remembered until it changes.
---@return string[]
function M.tags(item)
  local known = look(item)
  if not known.tags then
    known.tags = tags.split(item.caption)
    for i, tag in ipairs(known.tags) do known.tags[i] = tags.plain(tag) end
  end
  return known.tags
end

local function record(key) return function(item) return item.record and item.record[key] end end

local NUMBERS = {
  tags = function(item) return #M.tags(item) end,
  chars = function(item)
    local known = look(item)
    known.chars = known.chars or utf8.len(item.caption) or #item.caption
    return known.chars
  end,
  words = function(item)
    local known = look(item)
    known.words = known.words or words.count(item.caption)
    return known.words
  end,
  tokens = function(item, count)
    local known = look(item)
    if known.counter ~= count then known.tokens, known.counter = count(item.caption), count end
    return known.tokens
  end,
  stars = function(item) return item.star or 0 end,
  width = function(item) return item.width end,
  height = function(item) return item.height end,
  side = function(item) return item.width and math.min(item.width, item.height) end,
  pixels = function(item) return item.width and item.width * item.height / 1e6 end,
  match = function(item, _, match) return match and match(item) end,
  sharpness = record "sharpness", entropy = record "entropy",
  brightness = function(item)
    local b = item.record and item.record.brightness
    return type(b) == "table" and (b.p50 or b[3]) or nil
  end,
}

local IS = {
  captioned = function(item) return item.caption:find "%S" ~= nil end,
  empty = function(item) return not item.caption:find "%S" end,
  rejected = function(item) return item.reject ~= nil end,
  starred = function(item) return (item.star or 0) > 0 end,
  edited = function(item) return item.by ~= nil and item.by.author == "human" end,
  draft = function(item) return item.draft ~= nil end,
  file = function(item) return item.sidecar ~= nil end,
  unreadable = function(item) return item.error ~= nil end,
  scored = function(item, _, _, match) return match ~= nil and match(item) ~= nil end,
  selected = function(item, _, chosen) return chosen ~= nil and chosen[item] ~= nil end,
}

local function by(item, has)
  local author = item.by
  if not author then return false end
  if author.author == "human" and (has "person" or has "human") then return true end
  return has(text_of.lower(author.provider or "")) or has(text_of.lower(author.model or ""))
end

-- A word with * and ? as a function of a text in small letters: whether it has the word, or is it.
local function matcher(word, wholly)
  local lower = text_of.lower(word)
  if not lower:find "[%*%?\\]" then
    if wholly then return function(s) return s == lower end end
    return function(s) return s:find(lower, 1, true) ~= nil end
  end
  local pattern, at = {}, 1
  while at <= #lower do
    local char = lower:sub(at, at)
    if char == "\\" and at < #lower then
      at = at + 1
      pattern[#pattern + 1] = lower:sub(at, at):gsub("%W", "%%%0")
    elseif char == "*" then pattern[#pattern + 1] = wholly and ".*" or ".-"
    elseif char == "?" then pattern[#pattern + 1] = "[\1-\127\194-\253][\128-\191]*"
    else pattern[#pattern + 1] = char:find "[%w\128-\255]" and char or "%" .. char end
    at = at + 1
  end
  local whole = table.concat(pattern):gsub("%.%*%.%*[%.%*]*", ".*"):gsub("%.%-%.%-[%.%-]*", ".-")
  if wholly then whole = "^" .. whole .. "$" end
  return function(s) return s:find(whole) ~= nil end
end

local TEXTS = {
  tag = function(word)
    local is = matcher(tags.plain(word), true)
    return function(item)
      for _, tag in ipairs(M.tags(item)) do if is(tag) then return true end end
      return false
    end
  end,
  caption = function(word)
    local has = matcher(word)
    return function(item) return has(look(item).lower) end
  end,
  name = function(word)
    local has = matcher(word)
    return function(item) return has(look(item).path:match "[^/]*$") end
  end,
  path = function(word)
    local has = matcher(word)
    return function(item) return has(look(item).path) end
  end,
  by = function(word)
    local has = matcher(word)
    return function(item) return by(item, has) end
  end,
}

local function anywhere(word)
  local has = matcher(word)
  return function(item)
    local known = look(item)
    return has(known.lower) or has(known.path)
  end
end

-- --- Reading ------------------------------------------------------------------------------------------------------------------------

local COMPARE = {
  ["<"] = function(a, b) return a < b end, ["<="] = function(a, b) return a <= b end,
  [">"] = function(a, b) return a > b end, [">="] = function(a, b) return a >= b end,
  ["="] = function(a, b) return a == b end, ["=="] = function(a, b) return a == b end, ["!="] = function(a, b) return a ~= b end,
}

local function names(...)
  local list = {}
  for _, from in ipairs { ... } do for name in pairs(from) do list[#list + 1] = name end end
  table.sort(list)
  return list
end

local KEYS = names(TEXTS, NUMBERS, { is = true })

local function refuse(place, message, ...) error({ place = place, message = message:format(...) }, 0) end

-- Up to the quote that closes it; a backslash takes the next letter as it is (also * and ?).
local function quoted(s, at)
  local quote, from, parts = s:sub(at, at), at, {}
  at = at + 1
  while true do
    local char = s:sub(at, at)
    if char == "" then refuse(from, "the quote is not closed") end
    if char == quote then return table.concat(parts), at + 1 end
    if char == "\\" and s:sub(at + 1, at + 1) == quote then char, at = quote, at + 1 end
    parts[#parts + 1] = char
    at = at + 1
  end
end

-- A word without quotes; brackets inside belong to it when they close in it: miku_(vocaloid).
local function bare(s, at)
  local from, depth = at, 0
  while at <= #s do
    local char = s:sub(at, at)
    if char:find "%s" then break end
    if char == "(" then
      if at == from or not s:find("^[^%s%(%)]*%)", at + 1) then break end
      depth = depth + 1
    elseif char == ")" then
      if depth == 0 then break end
      depth = depth - 1
    end
    at = at + 1
  end
  return s:sub(from, at - 1), at
end

-- { kind = "and" | "or" | "not" | "(" | ")" | "key" | "word", text, at }
local function lex(s)
  local list, at = {}, 1
  while true do
    at = s:find("%S", at)
    if not at then return list end
    local char, from = s:sub(at, at), at
    if char == "(" or char == ")" then
      list[#list + 1], at = { kind = char, text = char, at = from }, at + 1
    elseif char == '"' or char == "'" then
      local word
      word, at = quoted(s, at)
      list[#list + 1] = { kind = "word", text = word, at = from }
    else
      local key = s:match("^(%a+):", at)
      if key then
        at = at + #key + 1
        local quotes, place = s:find("^[\"']", at), at
        local value
        if quotes then value, at = quoted(s, at) else value, at = bare(s, at) end
        list[#list + 1] = { kind = "key", key = key:lower(), text = value, quoted = quotes, at = from, place = place }
      else
        local word
        word, at = bare(s, at)
        local kind = (word == "AND" or word == "OR" or word == "NOT") and word:lower() or "word"
        list[#list + 1] = { kind = kind, text = word, at = from }
      end
    end
  end
end

local function number(token)
  local operator, digits = token.text:match "^([<>=!]*)(.*)$"
  local key = token.key
  if operator == "" then operator = "=" end
  local compare, value = COMPARE[operator], tonumber(digits:match "^%d*%.?%d*$" or "")
  if not compare then refuse(token.place, "'%s' is no comparison: < <= > >= = != are", operator) end
  if not value then refuse(token.place, "%s: needs a number, as in %s:>%s", key, key, key == "stars" and "3" or "10") end
  local get = NUMBERS[key]
  return function(item, count, _, match)
    local own = get(item, count, match)
    return own ~= nil and compare(own, value)
  end
end

local function term(token, uses)
  if token.kind == "word" then return anywhere(token.text) end
  local key = token.key
  if key == "is" then
    local is = IS[token.text:lower()]
    if not is then
      local near = suggest.closest(token.text:lower(), names(IS))
      refuse(token.place, token.text == "" and "is: needs a word: %s" or "a picture is %s, not '" .. token.text:gsub("%%", "%%%%") .. "'",
        near or table.concat(names(IS), ", "))
    end
    if token.text:lower() == "selected" then uses.selected = true end
    return is
  end
  if NUMBERS[key] then
    uses[key] = true
    return number(token)
  end
  local make = TEXTS[key]
  if not make then
    local near = suggest.closest(key, KEYS)
    refuse(token.at, "there is no %s: here%s", key, near and (", did you mean %s:?"):format(near) or "; words with a colon go in quotes")
  end
  if token.text == "" then refuse(token.place, "%s: needs a word", key) end
  return make(token.text)
end

local function parse(s)
  local list, at, uses = lex(s), 1, {}
  local any
  local function single(depth)
    local token = list[at]
    if depth > DEEPEST then refuse(token and token.at or #s + 1, "this is nested too deep") end
    if not token then refuse(#s + 1, "something is missing at the end") end
    at = at + 1
    if token.kind == "not" then
      local inner = single(depth + 1)
      return function(...) return not inner(...) end
    end
    if token.kind == "(" then
      local inner = any(depth + 1)
      if not list[at] then refuse(token.at, "the bracket is not closed") end
      at = at + 1
      return inner
    end
    if token.kind == ")" then refuse(token.at, "this bracket closes nothing") end
    if token.kind == "and" or token.kind == "or" then refuse(token.at, "%s needs something before it", token.text) end
    return term(token, uses)
  end
  local function all(depth)
    local parts = { single(depth) }
    while list[at] and list[at].kind ~= "or" and list[at].kind ~= ")" do
      if list[at].kind == "and" then at = at + 1 end
      parts[#parts + 1] = single(depth)
    end
    if #parts == 1 then return parts[1] end
    return function(...)
      for i = 1, #parts do if not parts[i](...) then return false end end
      return true
    end
  end
  function any(depth)
    local parts = { all(depth) }
    while list[at] and list[at].kind == "or" do
      at = at + 1
      parts[#parts + 1] = all(depth)
    end
    if #parts == 1 then return parts[1] end
    return function(...)
      for i = 1, #parts do if parts[i](...) then return true end end
      return false
    end
  end
  if #list == 0 then return function() return true end, uses end
  local whole = any(1)
  if list[at] then refuse(list[at].at, "this bracket closes nothing") end
  return whole, uses
end

--- A function of an item (and, for `is:selected`, of the set of those that are selected), and which of the numbers it asks for
--- ({ tokens = true }: slow the first time); or nil, what is wrong, and the code point where.
---@param s string
---@param options? { tokens?: fun(caption: string): integer, match?: fun(item: table): number? }
---@return (fun(item: table, selected?: table): boolean)? shown, table|string uses_or_message, integer? place
function M.compile(s, options)
  local ok, whole, uses = pcall(parse, s)
  if not ok then
    if type(whole) ~= "table" or not whole.place then error(whole, 0) end
    return nil, whole.message, utf8.len(s:sub(1, whole.place - 1)) or whole.place - 1
  end
  local count, match = options and options.tokens or words.count, options and options.match
  return function(item, selected) return whole(item, count, selected, match) end, uses
end

return M
