-- set.lua - what a stage evaluates to: pictures kept, pictures rejected with their reasons, and the numbers behind it.
--
--   local out = set.filter(input, at, "reject", function(item)
--     if item.width < 512 then return ("width %d is below 512"):format(item.width) end
--   end)
--
-- An item is a plain table: path, name, stem, sha256, size, mtime_ns, width, height, format, orientation, brightness, entropy, sharpness,
-- phash, thumb, profile, caption, caption_by, match, trigger, weight, bucket, steps. Items are never changed, only copied with changes.
local fs = require "native.fs"
local hash = require "native.hash"
local json = require "native.json"

local M = {}

---@class calotype.item
---@field path string
---@field name string
---@field stem string
---@field sha256? string content
---@field width? integer as displayed
---@field height? integer
---@field caption? string
---@field caption_by? { author: "human"|"model", provider: string, model?: string, path?: string }
---@field match? number how well the caption belongs to it, 0 to 1, where :score asked
---@field trigger? string
---@field weight number
---@field steps string[] what was done to it, oldest first

---@class calotype.reject
---@field item calotype.item
---@field verb string
---@field reason string
---@field line? string

---@class calotype.set
---@field items calotype.item[]
---@field rejected calotype.reject[]
---@field cuts table[] { quantity, option, below, threshold, text, values }

---@param items calotype.item[]
---@param rejected? calotype.reject[]
---@param cuts? table[]
---@return calotype.set
function M.new(items, rejected, cuts) return { items = items, rejected = rejected or {}, cuts = cuts or {} } end

--- What became of an item's file since it was looked at, as a sentence; nil when it is still the same.
---@param item calotype.item
---@return string?
function M.changed(item)
  local info = fs.stat(item.path)
  if not info then return ("%s is gone since it was looked at"):format(item.path) end
  if info.size ~= item.size or info.mtime_ns ~= item.mtime_ns then return ("%s changed since it was looked at"):format(item.path) end
end

--- A copy of a list.
function M.copy(list) return table.move(list, 1, #list, 1, {}) end

--- A copy of an item with changes; `step` is added to its history.
---@param item calotype.item
---@param changes table
---@param step? string
---@return calotype.item
function M.with(item, changes, step)
  local copy = {}
  for key, value in pairs(item) do copy[key] = value end
  for key, value in pairs(changes) do copy[key] = value end
  if changes.caption and changes.caption ~= item.caption then copy.match = changes.match end -- it was the other caption's
  if step then
    copy.steps = M.copy(item.steps)
    copy.steps[#copy.steps + 1] = step
  end
  return copy
end

--- A copy of an item all the way down, for functions in recipes: what they write into it changes nothing here.
---@param value any
---@return any
function M.copy_deep(value)
  if type(value) ~= "table" then return value end
  local copy = {}
  for key, part in pairs(value) do copy[key] = M.copy_deep(part) end
  return copy
end

--- The set without the items that `decide` gives a reason for; second value: how many that were.
---@param input calotype.set
---@param verb string
---@param line string?
---@param decide fun(item: calotype.item, i: integer): string?
---@return calotype.set, integer
function M.filter(input, verb, line, decide)
  local out, count = M.new({}, M.copy(input.rejected), M.copy(input.cuts)), 0
  for i, item in ipairs(input.items) do
    local reason = decide(item, i)
    if reason then
      count = count + 1
      out.rejected[#out.rejected + 1] = { item = item, verb = verb, reason = reason, line = line }
    else
      out.items[#out.items + 1] = item
    end
  end
  return out, count
end

--- The set with each item replaced by what `change` gives.
---@param input calotype.set
---@param change fun(item: calotype.item, i: integer): calotype.item
---@return calotype.set
function M.map(input, change)
  local out = M.new({}, M.copy(input.rejected), M.copy(input.cuts))
  for i, item in ipairs(input.items) do out.items[i] = change(item, i) end
  return out
end

--- A fingerprint of all that an output can depend on.
---@param input calotype.set
---@return string sha256
function M.digest(input)
  local rows = {}
  for _, item in ipairs(input.items) do
    local b = item.bucket
    rows[#rows + 1] = { item.name, item.sha256, item.caption or json.null, item.trigger or json.null, item.weight, item.upright or false,
      item.caption_by and item.caption_by.author or json.null, b and ("%dx%d"):format(b.width, b.height) or json.null, json.array { table.unpack(item.steps) } }
    table.insert(rows[#rows], item.match)
  end
  for _, reject in ipairs(input.rejected) do
    rows[#rows + 1] = { "rejected", reject.item.name, reject.item.sha256 or json.null, reject.verb, reject.reason }
  end
  for _, cut in ipairs(input.cuts) do rows[#rows + 1] = { "cut", cut.option, cut.text, cut.threshold } end
  return hash.sha256(json.encode(json.array(rows)))
end

--- "3 pictures", "1 picture".
---@param n integer
---@param one? string
---@param many? string
---@return string
function M.count(n, one, many) return ("%d %s"):format(n, n == 1 and (one or "picture") or (many or (one or "picture") .. "s")) end

return M
