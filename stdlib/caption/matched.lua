-- matched.lua - what was found of how well captions belong to their pictures, without asking a model: for those who only look.
--
--   matched.text("zkr, a red door", "zkr")             --> "a red door": the words that a model is asked about; nil where there are none
--   matched.last(store, sha256, text)                  --> 0.93: the last number that was computed for them, or nil
--   matched.note(store, sha256, text, 0.93)            --> whether that is another number than before
--   matched.told(store)  matched.stamp(store)          -- after numbers were noted; the stamp is another then
local hash = require "native.hash"
local trigger = require "recipe.trigger"

local M = {}

local KIND = "matched"

--- Below it a caption is told by the linter: the model is nine to one sure that it does not belong. Good captions get less than one expects,
--- long ones above all, so that half would be too much.
M.LOW = 0.1

--- What the number says, for people.
M.SAYS = "how sure BLIP's matcher is that this caption belongs to this picture; a low one may be of something else"

--- The words of a caption that can be asked about: the trigger is made up, no model knows it.
---@param caption? string
---@param word? string the trigger
---@return string?
function M.text(caption, word)
  if not caption then return nil end
  local text = word and utf8.len(caption) and trigger.none(trigger.fill(caption, word), word) or caption
  return text:find "%S" and text or nil
end

local function key_of(sha, text) return sha .. ":" .. hash.sha256(text) end

---@return number? match
function M.last(store, sha, text) return tonumber(store:get(KIND, key_of(sha, text)) or nil) end

---@return boolean new
function M.note(store, sha, text, match)
  if M.last(store, sha, text) == match then return false end
  store:put(KIND, key_of(sha, text), ("%.17g"):format(match))
  return true
end

--- For those who have the store open meanwhile: there are other numbers now.
function M.told(store) store:put(KIND, "stamp", tostring((math.tointeger(tonumber(M.stamp(store))) or 0) + 1)) end

--- Another text whenever numbers were computed.
---@return string
function M.stamp(store) return store:get(KIND, "stamp") or "" end

return M
