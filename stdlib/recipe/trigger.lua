-- trigger.lua - the made-up word that calls a LoRA's subject, as a whole word in captions, prompts and file names.
--
--   trigger.ensure("a red door", "zkr")              --> "zkr, a red door"
--   trigger.ensure("a photo of [trigger]", "zkr")    --> "a photo of zkr"
--   trigger.once("zkr, a zkr door", "zkr")           --> "zkr, a door"
--
-- Trainers look for the trigger as a piece of text ("TOK" is found in "TOKYO"); here only a whole word counts.
local suggest = require "recipe.suggest"

local M = {}

local WORD = "[%w_\128-\255]"

-- Where the trigger stands as a whole word, from `at` on.
local function find(text, trigger, at)
  local head, tail = trigger:find("^" .. WORD), trigger:find(WORD .. "$")
  while true do
    local first, last = text:find(trigger, at, true)
    if not first then return nil end
    local glued = (head and first > 1 and text:find("^" .. WORD, first - 1)) or (tail and text:find("^" .. WORD, last + 1))
    if not glued then return first, last end
    at = first + 1
  end
end

--- How often the trigger stands in the text as a whole word.
---@param text string
---@param trigger string
---@return integer
function M.count(text, trigger)
  local count, at = 0, 1
  while true do
    local first, last = find(text, trigger, at)
    if not first then return count end
    count, at = count + 1, last + 1
  end
end

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

--- The text with the trigger exactly once: the first stays.
---@param text string
---@param trigger string
---@return string text, boolean changed
function M.once(text, trigger)
  local before = text
  text = M.ensure(text, trigger)
  local _, keep = find(text, trigger, 1)
  while true do
    local first, last = find(text, trigger, keep + 1)
    if not first then break end
    local left, right = text:sub(1, first - 1), text:sub(last + 1)
    if left:find "%s$" or left == "" then right = right:gsub("^%s+", "") end
    if left:find ",%s*$" then right = right:gsub("^,%s*", "") end
    left = right:find "^[,.;:!?]" and left:gsub("%s+$", "") or left
    text = (left .. right):gsub("[,%s]+$", "")
  end
  return text, text ~= before
end

return M
