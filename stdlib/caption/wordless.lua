-- wordless.lua - pictures for which a model on this machine had no usable words: the same question would have the same answer, so it is remembered
-- and not asked again.
--
--   local items, at = wordless.open(context, asked, "a lower threshold gives more")      -- those to look at; items[k] is asked[at[k]]
--   wordless.leave(context, at[k], items[k], "no tag is as sure as 0.9")
local hash = require "native.hash"
local lint = require "caption.lint"
local set = require "recipe.set"

local M = {}

local KIND = "wordless"

-- The picture, and all that the model was asked with.
local function key_of(item, question) return hash.sha256(item.sha256 .. "\n" .. question) end

--- Whether an earlier run left a picture without. question: the key of recipe/asking.lua.
---@param item calotype.item
---@param question string
---@return boolean
function M.known(context, item, question) return context.store():get(KIND, key_of(item, question)) ~= nil end

--- The nth item stays without a caption, now and in later runs that ask the same.
function M.leave(context, n, item, why)
  context.store():put(KIND, key_of(item, context.key(n)), why)
  context.warn(("%s is left without: %s"):format(item.path, why))
end

--- Those that no earlier run left without, and which of `items` each is. The others are told in one sentence.
---@param advice string what may help them
---@return calotype.item[] open
---@return integer[] at
function M.open(context, items, advice)
  local open, at, names = {}, {}, {}
  for n, item in ipairs(items) do
    if M.known(context, item, context.key(n)) then names[#names + 1] = item.name
    else open[#open + 1], at[#at + 1] = item, n end
  end
  if #names > 0 then
    context.warn(("%s %s left without as in an earlier run: %s; %s"):format(set.count(#names), #names == 1 and "is" or "are", lint.some(names), advice))
  end
  return open, at
end

return M
