-- tag_judge.lua - what a model says of a picture's tags: which are wrong, what is missing, which are better written otherwise. Suggestions: a
-- person says which of them are taken.
--
--   tag_judge.ask(photos, items, { with = "auto" })         -- items have `tagged`, what is judged, and `untouched`; they get `doubts`
--   item.doubts      -- { wrong = { { tag = "hat", why = "no hat" } }, missing = { "boat" }, better = { { tag = "sail boat", better = "sailboat" } } }
--   tag_judge.take("hat, sail boat", item.doubts, { wrong = true, better = true }, {})  --> "sailboat", { { kind = "wrong", from = "hat" }, ... }
local caption_tags = require "caption.tags"
local consult = require "assistant.consult"
local json = require "native.json"
local words = require "caption.words"

local M = {}

M.KINDS = { "wrong", "missing", "better" }

local TAG, WHY = 60, 120 -- bytes
local MOST_MISSING, MOST_WORDS = 8, 5
local LONGEST = 200 -- tags of one picture that are sent

local function pairs_of(first, second)
  return { type = "array", items = { type = "object", additionalProperties = false, required = json.array { first, second },
    properties = { [first] = { type = "string" }, [second] = { type = "string" } } } }
end
local SCHEMA = json.encode { type = "object", additionalProperties = false, required = json.array(M.KINDS), properties = {
  wrong = pairs_of("tag", "why"), missing = { type = "array", items = { type = "string" } }, better = pairs_of("tag", "better") } }

-- { tag, [second] } from an object, or from a bare tag where the second may be left out.
local function pair(entry, second, most, needed)
  if type(entry) == "string" and not needed then entry = { tag = entry } end
  if type(entry) ~= "table" then return nil end
  local tag, more = consult.line(entry.tag, TAG), consult.line(entry[second], most)
  if tag == "" or needed and more == "" then return nil end
  return { tag = tag, [second] = more }
end

--- A reply as suggestions in JSON; nil and why it is none.
---@return string?, string?
function M.read(_, text)
  local value = json.decode(text)
  if type(value) ~= "table" then return nil, "the answer is no JSON object" end
  local out = { wrong = {}, missing = {}, better = {} }
  for _, kind in ipairs(M.KINDS) do
    if type(value[kind]) ~= "table" then return nil, ("the answer has no list '%s'"):format(kind) end
    for i = 1, math.min(#value[kind], LONGEST) do
      local entry = value[kind][i]
      local found
      if kind == "missing" then
        found = consult.line(entry, TAG)
        found = found ~= "" and found or nil
      else
        found = pair(entry, kind == "wrong" and "why" or "better", kind == "wrong" and WHY or TAG, kind == "better")
      end
      table.insert(out[kind], found)
    end
    out[kind] = json.array(out[kind])
  end
  return json.encode(out)
end

--- The tags of a text that a model is asked about, at most 200.
---@param text string
---@param untouched table<string, boolean> by plain tag: the trigger, words of quality, which nobody can see
---@return string[]
function M.subject(text, untouched)
  local list = {}
  for _, tag in ipairs(caption_tags.split(text)) do
    if not untouched[caption_tags.plain(tag)] and #list < LONGEST then list[#list + 1] = tag end
  end
  return list
end

-- What of an answer is about these tags, each tag once: "wrong" of what is not in the list says nothing, nor does "missing" of what is.
local function about(list, untouched, value)
  local there, said = {}, {}
  local out = { wrong = {}, missing = {}, better = {}, by = type(value.by) == "string" and value.by or "a model" }
  for _, tag in ipairs(list) do there[caption_tags.plain(tag)] = true end
  local function first(plain)
    local fresh = not said[plain]
    said[plain] = true
    return fresh
  end
  for _, entry in ipairs(value.wrong) do
    local plain = caption_tags.plain(entry.tag)
    if there[plain] and first(plain) then table.insert(out.wrong, { tag = plain, why = entry.why }) end
  end
  for _, entry in ipairs(value.better) do
    local plain, better = caption_tags.plain(entry.tag), caption_tags.plain(entry.better)
    local usable = better ~= "" and better ~= plain and not untouched[better] and #caption_tags.split(better) == 1 and words.count(better) <= MOST_WORDS
    if there[plain] and usable and first(plain) then
      table.insert(out.better, { tag = plain, better = better })
      first(better)
    end
  end
  for _, text in ipairs(value.missing) do
    for _, tag in ipairs(caption_tags.split(text)) do
      local plain = caption_tags.plain(tag)
      local usable = not there[plain] and not untouched[plain] and words.count(plain) <= MOST_WORDS and #out.missing < MOST_MISSING
      if usable and first(plain) then table.insert(out.missing, plain) end
    end
  end
  return out
end

M.question = { part = "judge_tags", kind = "assistant.tags.1", why = "judgement of tags", about = "judging the tags of %s", schema = SCHEMA, read = M.read,
  more = function(item) return json.encode(json.array(item.tagged)) end,
  take = function(item, value)
    for _, kind in ipairs(M.KINDS) do if type(value) ~= "table" or type(value[kind]) ~= "table" then return end end
    item.doubted = value
    item.doubts = about(item.tagged, item.untouched, value)
  end }

--- Ask about the tags of these items; those that were answered for get `doubts`.
---@return table counts of consult.ask
function M.ask(photos, items, o) return consult.ask(photos, items, o, M.question) end

--- How many suggestions there are of each kind.
function M.count(doubts) return #doubts.wrong + #doubts.missing + #doubts.better end

--- A list of tags with the suggestions of these kinds, but for those that name a tag of `except`.
---@param text string
---@param doubts table
---@param kinds table<string, boolean>
---@param except table<string, boolean> by plain tag
---@return string text, table[] changes as tags.mend has them
function M.take(text, doubts, kinds, except)
  local wrong, better, list, changes = {}, {}, {}, {}
  for _, entry in ipairs(kinds.wrong and doubts.wrong or {}) do wrong[entry.tag] = not except[entry.tag] end
  for _, entry in ipairs(kinds.better and doubts.better or {}) do
    better[entry.tag] = not except[entry.tag] and not except[entry.better] and entry.better or nil
  end
  for _, tag in ipairs(caption_tags.split(text)) do
    local plain = caption_tags.plain(tag)
    if wrong[plain] then changes[#changes + 1] = { kind = "wrong", from = tag }
    else
      list[#list + 1] = better[plain] or tag
      if better[plain] then changes[#changes + 1] = { kind = "better", from = tag, to = better[plain] } end
    end
  end
  for _, tag in ipairs(kinds.missing and doubts.missing or {}) do
    if not except[tag] then
      list[#list + 1] = tag
      changes[#changes + 1] = { kind = "missing", to = tag }
    end
  end
  if #changes == 0 then return text, changes end
  return caption_tags.join(list), changes
end

return M
