-- trigger.lua - the made-up word that calls a LoRA's subject, as a whole word in captions, prompts and file names.
--
--   trigger.ensure("a red door", "zkr")              --> "zkr, a red door"
--   trigger.ensure("a photo of [trigger]", "zkr")    --> "a photo of zkr"
--   trigger.once("ZKR, a zkr door", "zkr")           --> "zkr, a door"
--
-- Trainers look for the trigger as a piece of text ("TOK" is found in "TOKYO"); here only a whole word counts, in capitals or not (most text
-- encoders see small letters only). In scripts without spaces any place is a whole word; a Korean ending may follow it.
local suggest = require "recipe.suggest"
local text_of = require "native.text"
local words = require "caption.words"

local M = {}

-- Do these two characters, side by side, belong to one word?
local function glued(left, right)
  left, right = words.class(left), words.class(right)
  if left == "hangul" or right == "hangul" then return left == right end
  return left == "word" and right == "word"
end

local function code_before(text, at) return at > 1 and utf8.codepoint(text, utf8.offset(text, -1, at), nil, true) or nil end

-- Where the trigger stands as a whole word in the text, from `at` on. Both have small letters.
local function find(lower, word, at)
  at = at or 1
  local first_code, last_code = utf8.codepoint(word, 1), utf8.codepoint(word, utf8.offset(word, -1))
  while true do
    local first, last = lower:find(word, at, true)
    if not first then return nil end
    local before, after = code_before(lower, first), last < #lower and utf8.codepoint(lower, last + 1) or nil
    local ending = after and words.class(last_code) == "hangul" and words.class(after) == "hangul"
    if not (before and glued(before, first_code)) and (ending or not (after and glued(last_code, after))) then return first, last end
    at = first + 1
  end
end

-- Texts that are no UTF-8 (the names of files) are looked at byte by byte.
local function prepared(text, trigger)
  if not utf8.len(text) then text = text:gsub("[\128-\255]", "?") end
  return text_of.lower(text), text_of.lower(trigger)
end

--- Where the trigger stands in the text as a whole word: first and last bytes.
---@param text string
---@param trigger string
---@return { [1]: integer, [2]: integer }[]
function M.places(text, trigger)
  local lower, word = prepared(text, trigger)
  local list, at = {}, 1
  while true do
    local first, last = find(lower, word, at)
    if not first then return list end
    list[#list + 1], at = { first, last }, last + 1
  end
end

--- How often the trigger stands in the text as a whole word.
---@param text string
---@param trigger string
---@return integer
function M.count(text, trigger) return #M.places(text, trigger) end

--- True when the text has the placeholder [trigger].
---@param text string
---@return boolean
function M.wanted(text) return text:find("[trigger]", 1, true) ~= nil end

--- A word in square brackets that was meant to be [trigger], with its brackets; nil when there is none.
---@param text string
---@return string?
function M.misspelt(text)
  for word in text:gmatch "%[([%w_]+)%]" do
    if word ~= "trigger" and suggest.closest(word, { "trigger" }) then return "[" .. word .. "]" end
  end
end

--- Put the trigger where [trigger] stands.
---@param text string
---@param trigger string
---@return string
function M.fill(text, trigger) return (text:gsub("%[trigger%]", (trigger:gsub("%%", "%%%%")))) end

--- The text of an option with the trigger put in, while a recipe is read. Where none is declared that is told: `what` begins the sentence
--- ("a prompt"), `where` is for session:fail. In names of files the trigger has no slash.
---@param state table of the stage
---@param text string
---@param what string
---@param where table
---@param file? boolean
---@return string
function M.filled(state, text, what, where, file)
  if not M.wanted(text) then return text end
  if not state.trigger then
    where.hint = 'declare it: :caption { trigger = "..." }'
    state.session:fail(state.at, what .. " has [trigger], but no trigger is declared", where)
  end
  return M.fill(text, file and state.trigger:gsub("[/%c]", "_") or state.trigger)
end

--- The text with the trigger: in the placeholder's place, or in front where it was missing.
---@param text string
---@param trigger string
---@return string
function M.ensure(text, trigger)
  text = M.fill(text, trigger)
  if M.count(text, trigger) > 0 then return text end
  return text == "" and trigger or trigger .. ", " .. text
end

-- Without `first` to `last`: the comma, the spaces and the empty brackets around it go with it.
local function without(text, first, last)
  local left, right = text:sub(1, first - 1), text:sub(last + 1)
  local open, close = left:match "([%(%[{])%s*$", right:match "^%s*([%)%]}])"
  if open and close and ("()[]{}"):find(open .. close, 1, true) then
    left, right = left:gsub("[%(%[{]%s*$", ""), right:gsub("^%s*[%)%]}]", "")
  end
  if left:find "%s$" or left == "" then right = right:gsub("^%s+", "") end
  for _, comma in ipairs { ",%s*", "，", "、" } do
    if left == "" or left:find(comma .. "$") then right = right:gsub("^" .. comma, "") end
  end
  if right == "" or right:find "^[,.;:!?]" then
    left = left:gsub("[,%s]+$", "")
    for _, comma in ipairs { "，", "、" } do left = left:gsub(comma .. "$", ""):gsub("%s+$", "") end
  end
  return left .. right
end

-- Without those from `at` on.
local function strip(text, trigger, at)
  while true do
    local lower, word = prepared(text, trigger)
    local first, last = find(lower, word, at)
    if not first then return text end
    text = without(text, first, last)
  end
end

--- The text with [trigger] where the trigger stands.
---@param text string
---@param trigger string
---@return string
function M.marked(text, trigger)
  local at = 1
  while true do
    local lower, word = prepared(text, trigger)
    local first, last = find(lower, word, at)
    if not first then return text end
    text = text:sub(1, first - 1) .. "[trigger]" .. text:sub(last + 1)
    at = first + #"[trigger]"
  end
end

--- The text without the trigger.
---@param text string
---@param trigger string
---@return string
function M.none(text, trigger) return strip(text, trigger, 1) end

--- The text with the trigger exactly once, spelt as it was declared: the first stays.
---@param text string
---@param trigger string
---@return string text, boolean changed
function M.once(text, trigger)
  local before = text
  text = M.ensure(text, trigger)
  local first, last = find(prepared(text, trigger))
  text = strip(text:sub(1, first - 1) .. trigger .. text:sub(last + 1), trigger, last + 1)
  return text, text ~= before
end

return M
