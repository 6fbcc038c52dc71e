-- words.lua - captions as words and sentences, in any script: counting, cutting, joining.
--
--   words.count("a red door")                            --> 3
--   words.cut("A red door. It is old and worn.", 5)      --> "A red door.", "sentence"
--   words.join("a red door", "It is old.")               --> "a red door. It is old."
--
-- In scripts that are written without spaces (Chinese, Japanese, Thai, Lao, Khmer, Burmese) each letter counts as a word: nobody can tell
-- their words without a dictionary, and tokenizers take them letter by letter too.
local text = require "native.text"
local trim = require "caption.trim"

local M = {}

-- First and last letters of scripts without spaces.
local SPACELESS = {
  { 0x0E00, 0x0EFF }, { 0x1000, 0x109F }, { 0x1780, 0x17FF }, { 0x2E80, 0x2FDF }, { 0x3005, 0x3007 }, { 0x3040, 0x312F }, { 0x31A0, 0x31BF },
  { 0x31F0, 0x31FF }, { 0x3400, 0x4DBF }, { 0x4E00, 0x9FFF }, { 0xF900, 0xFAFF }, { 0xFF66, 0xFF9F }, { 0x1B000, 0x1B16F }, { 0x20000, 0x3FFFF },
}
local HANGUL = { { 0x1100, 0x11FF }, { 0x3130, 0x318F }, { 0xA960, 0xA97F }, { 0xAC00, 0xD7FF } }

local function within(code, ranges)
  for _, range in ipairs(ranges) do if code >= range[1] and code <= range[2] then return true end end
  return false
end

local known = {} -- code point -> class; a caption has few different ones

--- What a character is to the words around it: "word" (letters, digits, accents, _), "hangul", "alone" (letters of scripts without spaces:
--- each stands by itself), "space", or "other".
---@param code integer
---@return string
function M.class(code)
  local class = known[code]
  if class then return class end
  local kind = text.kind(code)
  if kind == "letter" or kind == "digit" then class = within(code, SPACELESS) and "alone" or within(code, HANGUL) and "hangul" or "word"
  elseif kind == "mark" or code == 0x5F or code == 0x200C or code == 0x200D then class = "word" -- joiners stand inside Persian words
  else class = kind == "space" and "space" or "other" end
  if code >= 0xFE00 and code <= 0xFE0F then class = "other" end -- how an emoji looks
  known[code] = class
  return class
end

--- The characters of a text: fun() -> first byte, last byte, code point. Bytes that are no UTF-8 count as U+FFFD.
---@param s string
---@return fun(): integer?, integer?, integer?
function M.characters(s)
  local at = 1
  return function()
    if at > #s then return nil end
    local first, good = at, utf8.len(s, at, at)
    local code = good and utf8.codepoint(s, at) or 0xFFFD
    at = good and (utf8.offset(s, 2, at) or #s + 1) or at + 1
    return first, at - 1, code
  end
end

local JOINTS = { [0x27] = true, [0x2019] = true, [0x2D] = true, [0x2010] = true } -- don't and well-worn are one word

-- The same for ASCII without numbers like 3.5, in half the time.
local function ascii_list(lower)
  local list = {}
  for first, word in lower:gmatch "()([%w_][%w_'-]*)" do
    local bare = word:match "^.*[%w_]"
    if bare:find "%w" then list[#list + 1] = { bare, first = first, last = first + #bare - 1 } end
  end
  return list
end

--- The words of a text, in small letters and without punctuation, with where each stands.
---@param s string
---@return { [1]: string, first: integer, last: integer }[]
function M.list(s)
  if not s:find "[\128-\255]" and not s:find "%d[,.]%d" then return ascii_list(s:lower()) end
  local lower, list, from, to = text.lower(s), {}, nil, nil
  local function close()
    local word = from and lower:sub(from, to)
    if word and word:find "[^_]" then list[#list + 1] = { word, first = from, last = to } end
    from = nil
  end
  local before
  for first, last, code in M.characters(lower) do
    local class = M.class(code)
    if class == "alone" then
      close()
      list[#list + 1] = { lower:sub(first, last), first = first, last = last }
    elseif class == "word" or class == "hangul" then
      if before == "alone" and class == "word" and text.kind(code) == "mark" then
        list[#list][1], list[#list].last = list[#list][1] .. lower:sub(first, last), last
      else
        from, to = from or first, last
      end
    elseif not (from and (JOINTS[code] or lower:find("^%d[,.]%d", first - 1))) then -- 3.5 is one word too
      close()
    end
    if not (class == "word" and before == "alone" and text.kind(code) == "mark") then before = class end
  end
  close()
  return list
end

--- How many words a text has.
---@param s string
---@return integer
function M.count(s) return #M.list(s) end

-- What ends with a dot and ends no sentence.
local SHORT = {}
for word in ("mr mrs ms dr prof st sr jr vs approx ca cf bzw usw evtl etc inc ltd sra srta dott sig mme mlle str hl"):gmatch "%S+" do
  SHORT[word] = true
end
local NUMBERED = { no = true, nr = true, fig = true, vol = true } -- "no. 5"

local ENDS = { [0x21] = true, [0x2E] = true, [0x3F] = true, [0x2026] = true, [0x61F] = true, [0x6D4] = true, [0x964] = true, [0x203C] = true,
  [0x2047] = true, [0x2048] = true, [0x2049] = true }
local FULL_ENDS = { [0x3002] = true, [0xFF01] = true, [0xFF0E] = true, [0xFF1F] = true, [0xFF61] = true } -- no space follows these
local CLOSES = { [0x22] = true, [0x27] = true, [0x29] = true, [0x5D] = true, [0x2019] = true, [0x201D] = true, [0xBB] = true, [0x300D] = true,
  [0x300F] = true, [0xFF09] = true }

local function cased(code) return code < 0x530 or (code >= 0x1E00 and code <= 0x1FFF) end -- Latin, Greek, Cyrillic, Armenian

-- Whether the dot after `before` ends a sentence; `after` is what follows.
local function dot_ends(before, after)
  local word = before:match "([%a\128-\255]+)$" or ""
  if after == "" then return true end
  word = text.lower(word)
  if SHORT[word] or (NUMBERED[word] and after:find "^%d") then return false end
  if before:find "%.%a$" or before:find "^%a$" or before:find "[%s%.]%u$" then return false end -- e.g., U.S., J. R.
  local _, last, code = M.characters(after)()
  local first = after:sub(1, last)
  return not (text.kind(code) == "letter" and cased(code) and text.lower(first) == first) -- a small letter goes on
end

--- The sentences of a text, each with the space after it taken away; a line end ends one too.
---@param s string
---@return { [1]: string, first: integer, last: integer }[]
function M.sentences(s)
  local list, from, ended = {}, nil, nil
  local function close(last)
    if from and last >= from then list[#list + 1] = { s:sub(from, last), first = from, last = last } end
    from, ended = nil, nil
  end
  local mark
  for first, last, code in M.characters(s) do
    local space = M.class(code) == "space"
    if ended and CLOSES[code] and not space then
      ended = last
    elseif ended and (ENDS[code] or FULL_ENDS[code]) then
      ended, mark = last, code
    elseif ended and (space or FULL_ENDS[mark]) then
      local after = s:sub(first):gsub("^%s+", "")
      if mark ~= 0x2E or dot_ends(s:sub(from, ended):gsub("[%.\"')%]]+$", ""), after) then close(ended) else ended = nil end
    elseif ended then
      ended = nil
    end
    if space and from and (code == 10 or code == 13 or code == 0x2028 or code == 0x2029) then close(#trim.right(s:sub(1, first - 1))) end
    if not space and not from then from = first end
    if not ended and from and (ENDS[code] or FULL_ENDS[code]) then ended, mark = last, code end
  end
  close(#trim.right(s))
  return list
end

local PARTS = {}
for _, code in utf8.codes ",;:—–，、；،" do PARTS[code] = true end

-- The text up to the last place before `last` where a part of a sentence ends; nil when that would leave less than half of the words.
local function to_clause(s, first, last)
  local part, best = s:sub(first, last), nil
  for from, _, code in M.characters(part) do
    if PARTS[code] then best = from end
  end
  if not best then return nil end
  local kept = part:sub(1, best - 1)
  return M.count(kept) * 2 >= M.count(part) and kept or nil
end

--- At most so many words: cut after a sentence; where the first sentence is longer than that, after a part of it, or else after a word.
--- Never in the middle of a word. Second: where it was cut ("sentence", "clause", "word"); nil when it was not.
---@param s string
---@param most integer
---@return string, string?
function M.cut(s, most)
  local list = M.list(s)
  if #list <= most then return s, nil end
  if most < 1 then return "", "word" end
  local limit, best = list[most].last, nil
  for _, sentence in ipairs(M.sentences(s)) do
    local reached = 0 -- the words up to its end
    for i, word in ipairs(list) do if word.last <= sentence.last then reached = i end end
    if reached <= most and reached > 0 then best = sentence.last end
  end
  if best then return s:sub(1, best), "sentence" end
  local clause = to_clause(s, 1, list[most + 1].first - 1)
  if clause then return trim.right(clause), "clause" end
  return s:sub(1, limit), "word"
end

-- The first and the last character that is no space.
local function edges(s)
  local first, last
  for _, _, code in M.characters(s) do
    if M.class(code) ~= "space" then first, last = first or code, code end
  end
  return first, last
end

--- Two texts as sentences after one another. What the first has already is not said again.
---@param a string
---@param b string
---@return string
function M.join(a, b)
  a, b = trim.right(a), trim.both(b)
  local said, new = " " .. M.plain(a) .. " ", {}
  for _, sentence in ipairs(M.sentences(b)) do
    local plain = M.plain(sentence[1])
    local has = plain ~= "" and said:find(" " .. plain .. " ", 1, true)
    if plain == "" then has = sentence[1]:find "^[%p%s]*$" or a:find(sentence[1], 1, true) end -- a lone mark says nothing, an emoji does
    if not has then
      new[#new + 1] = sentence
      said = said .. plain .. " "
    end
  end
  if a:find "^%s*$" or #new == 0 then return a:find "^%s*$" and b or a end
  local _, last = edges(a)
  local close = ENDS[last] or FULL_ENDS[last] or last == 0x3A or last == 0x3B
  if not close and CLOSES[last] then close = a:find "[%.!?][\"')%]]+$" ~= nil end
  local wide = M.class(last) == "alone" or FULL_ENDS[last]
  local out = close and a or a:gsub("[,%s]+$", "") .. (wide and "。" or ".")
  local at = 1
  for i, sentence in ipairs(new) do -- the spaces between the new ones stay as they were
    local between = i > 1 and new[i - 1].last + 1 == at and b:sub(at, sentence.first - 1) or wide and M.class((edges(sentence[1]))) == "alone" and "" or " "
    out = out .. between .. sentence[1]
    at = sentence.last + 1
  end
  return out
end

--- A text as its words alone, for telling whether two say the same.
---@param s string
---@return string
function M.plain(s)
  local list = M.list(s)
  for i, word in ipairs(list) do list[i] = word[1] end
  return table.concat(list, " ")
end

local STOPS = {}
for _, code in utf8.codes ",.;:!?" do STOPS[code] = true end

--- `before` in front of `body`, with a space where words would run together. Commas and dots are not doubled.
---@param before string
---@param body string
---@return string
function M.glue(before, body)
  if before == "" then return (body:gsub("^[,;%s]+", "")) end
  if body == "" then return before end
  local last = utf8.codepoint(before, utf8.offset(before, -1))
  local first = utf8.codepoint(body, 1)
  local class = M.class
  if class(last) == "space" or class(first) == "space" then return before .. body end
  local stops, starts = STOPS[last], STOPS[first]
  if starts and stops then -- "a door." and ", oil": one of the two marks
    if ENDS[first] and ENDS[last] then return before .. body:sub(2) end
    return M.glue(before:gsub("[,%.;:!?%s]+$", ""), body)
  end
  local wordy = (class(last) == "word" and last ~= 0x5F) or class(last) == "hangul"
  local goes_on = class(first) == "word" or class(first) == "hangul"
  if (wordy or stops) and goes_on then return before .. " " .. body end
  return before .. body
end

return M
