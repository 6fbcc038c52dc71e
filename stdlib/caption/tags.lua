-- tags.lua - captions that are lists of tags, as booru sites and taggers write them.
--
--   tags.tidy("Long_Hair, ^_^, long hair, solo", { without = { "solo" } })     --> "long hair, ^_^"
--   tags.unite("1girl, solo", "solo, red hair")                                --> "1girl, solo, red hair"
--   tags.one "a,_b"                                                            --> "a b"
--   tags.escaped "miku (vocaloid)"                                             --> "miku \\(vocaloid\\)"
--
-- Tags are kept as they are meant, without backslashes; those are written on the way out, for prompts where brackets are weights.
local text = require "native.text"
local trim = require "caption.trim"
local words = require "caption.words"

local M = {}

-- The tags whose underscores are faces.
local FACES = {}
for face in ("0_0 (o)_(o) +_+ +_- ._. <o>_<o> <|>_<|> =_= >_< 3_3 6_9 >_o @_@ ^_^ o_o u_u x_x |_| ||_||"):gmatch "%S+" do FACES[face] = true end

--- How two tags are compared: small letters, spaces for underscores except in faces.
---@param tag string
---@return string
function M.plain(tag)
  tag = text.lower(tag)
  if not FACES[tag] then tag = tag:gsub("_", " ") end
  return (tag:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", ""))
end

--- A tag as one in a list: a comma in it, which would make two of it there and in every trainer, becomes a space.
---@param tag string
---@return string
function M.one(tag) return M.plain((tag:gsub("，", " "):gsub("、", " "):gsub("[,\r\n]", " "))) end

--- The tags of a text, in order, without the spaces around them; empty ones are left out.
---@param s string
---@return string[]
function M.split(s)
  local list = {}
  s = s:gsub("，", ","):gsub("、", ","):gsub("[\r\n]+", ",")
  for tag in s:gmatch "[^,]+" do
    tag = trim.both(tag)
    if tag ~= "" then list[#list + 1] = tag end
  end
  return list
end

---@param list string[]
---@return string
function M.join(list) return table.concat(list, ", ") end

--- True for what reads as a list of tags: short pieces between commas, no sentence.
---@param s string
---@return boolean
function M.listed(s)
  local list, total = M.split(s), 0
  if #list < 2 or s:find "[%.!?]%s+%S" or s:find "。" then return false end
  for _, tag in ipairs(list) do
    local count = words.count(tag)
    if count > 5 then return false end
    total = total + count
  end
  return total <= 2.5 * #list
end

local function set_of(list)
  local set = {}
  for _, tag in ipairs(list or {}) do set[M.plain(tag)] = true end
  return set
end

-- Without the tags that are the last words of another one: shirt, where there is white shirt.
local function without_redundant(list)
  local out = {}
  for _, tag in ipairs(list) do
    local said = false
    for _, other in ipairs(list) do said = said or #other > #tag + 1 and other:sub(-#tag - 1) == " " .. tag end
    if not said then out[#out + 1] = tag end
  end
  return out
end

--- A list of tags put in order: small letters, spaces, each once. `word` is the trigger: it is left as it is and never dropped.
---@param s string
---@param options? { first?: string[], without?: string[], redundant?: boolean, count_above?: integer }
---@param word? string
---@return string text, integer dropped for count_above
function M.tidy(s, options, word)
  options = options or {}
  local special = word and { [M.plain(word)] = true, ["[trigger]"] = true } or { ["[trigger]"] = true }
  local unwanted, first = set_of(options.without), set_of(options.first)
  local seen, called, front, rest = {}, {}, {}, {}
  for _, tag in ipairs(M.split(s)) do
    local plain = M.plain(tag)
    if special[plain] then
      called[1] = called[1] or { tag == "[trigger]" and tag or word or tag, at = #rest }
    elseif not seen[plain] and not unwanted[plain] and plain ~= "" then
      seen[plain] = true
      if not first[plain] then rest[#rest + 1] = plain end
    end
  end
  for _, tag in ipairs(options.first or {}) do
    local plain = M.plain(tag)
    if seen[plain] then
      front[#front + 1], seen[plain] = plain, nil
    end
  end
  local leading = called[1] and called[1].at == 0
  local list = table.move(rest, 1, #rest, #front + 1, table.move(front, 1, #front, 1, {}))
  if options.redundant == false then list = without_redundant(list) end
  local dropped = math.max(0, #list - (options.count_above or #list))
  for i = #list, #list - dropped + 1, -1 do list[i] = nil end
  if called[1] then table.insert(list, leading and 1 or math.min(#list, #front + called[1].at) + 1, called[1][1]) end
  return M.join(list), dropped
end

--- The tags of both, those of the first in front, each once.
---@param a string
---@param b string
---@return string
function M.unite(a, b)
  local seen, list = {}, {}
  for _, part in ipairs { a, b } do
    for _, tag in ipairs(M.split(part)) do
      local plain = M.plain(tag)
      if not seen[plain] then
        list[#list + 1], seen[plain] = tag, true
      end
    end
  end
  return M.join(list)
end

--- At most so many words: tags go from the end, the trigger never.
---@param s string
---@param most integer
---@param word? string
---@return string, boolean cut
function M.cut(s, most, word)
  local list, total, cut = M.split(s), 0, false
  for _, tag in ipairs(list) do total = total + words.count(tag) end
  for i = #list, 1, -1 do
    if total <= most then break end
    if list[i] ~= "[trigger]" and not (word and M.plain(list[i]) == M.plain(word)) then
      total, cut = total - words.count(list[i]), true
      table.remove(list, i)
    end
  end
  return cut and M.join(list) or s, cut
end

-- The text with each bracket, and the backslashes right before it, as `put(how many backslashes, bracket)` says.
local function brackets(s, put)
  local parts, at = {}, 1
  for place, bracket in s:gmatch "()([%(%)%[%]])" do
    local first = place
    while first > at and s:byte(first - 1) == 92 do first = first - 1 end
    parts[#parts + 1] = s:sub(at, first - 1)
    parts[#parts + 1] = put(place - first, bracket)
    at = place + 1
  end
  parts[#parts + 1] = s:sub(at)
  return table.concat(parts)
end

--- With backslashes before brackets, as prompts want them in which brackets are weights (A1111, ComfyUI, kohya's --weighted_captions).
---@param s string
---@return string
function M.escaped(s)
  return brackets(s, function(slashes, bracket) return ("\\"):rep(2 * slashes + 1) .. bracket end)
end

--- How a text's brackets are written: "plain", "escaped" (every one of them), or "mixed".
---@param s string
---@return "plain"|"escaped"|"mixed"
function M.escapes(s)
  local with, bare = 0, 0
  brackets(s, function(slashes)
    if slashes % 2 == 1 then with = with + 1 else bare = bare + 1 end
    return ""
  end)
  return with == 0 and "plain" or bare == 0 and "escaped" or "mixed"
end

--- The text that was meant. Only where every bracket has its backslash: in "\(^o^)/" the first is an arm.
---@param s string
---@return string
function M.meant(s)
  if M.escapes(s) ~= "escaped" then return s end
  return brackets(s, function(slashes, bracket) return ("\\"):rep(slashes // 2) .. bracket end)
end

return M
