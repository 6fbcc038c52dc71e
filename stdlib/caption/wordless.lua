-- wordless.lua - pictures for which a model on this machine had no usable words: the same question would have the same answer, so it is remembered
-- and not asked again. Why stands in `captions log`, and ends with what may help: "goes in circles; penalty = 1.3 may help".
--
--   local items, at = wordless.open(context, asked, "a lower threshold gives more")      -- those to look at; items[k] is asked[at[k]]
--   local about = { ..., leave = wordless.leaver(context, items, at), rest = wordless.log }      -- for looking.at
--   about.leave(k, "no tag is as sure as 0.9; a lower threshold gives more", told, left)
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

--- Who leaves items[k] without a caption, now and in later runs that ask the same, as looking.at wants it.
---@return fun(k: integer, why: string, told: table, left: table)
function M.leaver(context, items, at)
  return function(k, why, told, left)
    local store, key = context.store(), key_of(items[k], context.key(at[k]))
    if not store:get(KIND, key) then -- else a copy of the same picture
      store:put(KIND, key, why)
      context.spent { model = told.model, cost = told.cost, sha = items[k].sha256, why = why, seconds = told.seconds }
    end
    left:tell(items[k], why)
  end
end

--- Where it stands why each of these was left without.
---@param items calotype.item[]
---@return string
function M.log(items)
  local folder
  for i, item in ipairs(items) do
    local its = item.path:match "^(.*)/[^/]*$" or "."
    folder = (i == 1 or its == folder) and its or "FOLDER"
  end
  return ("`calotype captions log %s` says why of each"):format(folder:find "[^%w_./@%%+-]" and '"' .. folder .. '"' or folder)
end

--- Those that no earlier run left without, and which of `items` each is. The others are told, a sentence for those that the same may help.
---@param advice string what may help those of which nothing better is known
---@return calotype.item[] open
---@return integer[] at
function M.open(context, items, advice)
  local open, at, groups, by = {}, {}, {}, {}
  for n, item in ipairs(items) do
    local why = context.store():get(KIND, key_of(item, context.key(n)))
    if why then
      local helps = why:match "; ([^;]*)$" or advice
      if not by[helps] then
        by[helps] = { helps = helps }
        groups[#groups + 1] = by[helps]
      end
      table.insert(by[helps], item.name)
    else
      open[#open + 1], at[#at + 1] = item, n
    end
  end
  for _, names in ipairs(groups) do
    context.warn(("%s %s left without as in an earlier run: %s; %s"):format(set.count(#names), #names == 1 and "is" or "are", lint.some(names), names.helps))
  end
  return open, at
end

return M
