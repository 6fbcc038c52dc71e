-- order.lua - which pictures are shown, in which order, and at which of them one is.
--
--   p:filter "NOT is:captioned"                           --> true; nil, message, place
--   p:sort("stars", true)
--   p:go "next without"                                   --> the picture one is at now
--
-- p.order is what is shown, p.at where one is in it, p:current() that picture. Methods of a project (project.lua).
local filter = require "window.filter"
local log = require "native.log"
local text_of = require "native.text"

local M = {}

local BLOCK = 128 -- pictures between two looks at the clock
local AT_ONCE = 0.03 -- seconds that a filter takes before it goes on in slices

local function number_of(key)
  return function(item) return item[key] or -1 end
end

local function measure_of(key)
  return function(item) return item.record and item.record[key] or -1 end
end

--- By what pictures can be sorted: name -> what is compared.
M.sorts = {
  path = function(item) return item.path end,
  name = function(item) return text_of.lower(item.name) end,
  caption = function(item) return text_of.lower(item.caption) end,
  length = function(item) return #item.caption end,
  stars = number_of "star", size = number_of "size", width = number_of "width", height = number_of "height", changed = number_of "mtime_ns",
  pixels = function(item) return item.width and item.width * item.height or -1 end,
  sharpness = measure_of "sharpness", entropy = measure_of "entropy",
  match = function(item, p) return p:match(item) or -1 end,
  author = function(item) return item.by and (item.by.author == "human" and "" or item.by.provider or "?") or "~" end,
}

-- A stable order: what is equal stays as the paths are.
local function sorted(self, items)
  local by, descending = self.sorting or "path", self.descending
  if by == "path" and not descending then return items end
  local get, keys = M.sorts[by], {}
  for _, item in ipairs(items) do keys[item] = get(item, self) end
  table.sort(items, function(a, b)
    local x, y = keys[a], keys[b]
    if x ~= y then
      if descending then return x > y end
      return x < y
    end
    return a.index < b.index
  end)
  return items
end

local function put_order(self, list)
  local current = self:current()
  self.order = sorted(self, list)
  local at
  for i, item in ipairs(self.order) do if item == current then at = i end end
  self.at = at or math.min(math.max(self.at, 1), #self.order)
  self:changed()
end

--- Which pictures are shown (window/filter.lua). What is not understood leaves all as it is. Where thousands of captions are to be counted
--- the order stays as it was for a moment, and `work` goes on until `filtering` is nil.
---@param text string
---@return boolean? ok, string? message, integer? place
function M.filter(self, text)
  local shown, message, place = filter.compile(text, { tokens = self.tokens and self.tokens.counter, match = function(item) return self:match(item) end })
  if not shown then return nil, message, place end
  self.filter_text, self.shown = text, shown
  self.settings.filter = text ~= "" and text or nil
  self.filtering = { at = 1, list = {} }
  self:filter_on(AT_ONCE)
  return true
end

-- Go on with the filter, at most so long.
function M.filter_on(self, seconds)
  local f = self.filtering
  if not f then return false end
  local deadline, shown, selected = log.clock() + (seconds or math.huge), self.shown, self.selected
  local list, items = f.list, self.items
  for i = f.at, #items do
    if shown(items[i], selected) then list[#list + 1] = items[i] end
    if i % BLOCK == 0 and i < #items and seconds and log.clock() > deadline then
      f.at = i + 1
      return true
    end
  end
  self.filtering = nil
  put_order(self, list)
  return false
end

--- The filter once more: captions and marks have changed since. Where one is stays.
function M.filter_again(self) return self:filter(self.filter_text) end

--- By name, path, stars, caption, length, size, width, height, pixels, sharpness, entropy, match, changed or author.
---@return boolean? ok, string? message
function M.sort(self, by, descending)
  if not M.sorts[by] then return nil, ("pictures are not sorted by %s"):format(by) end
  self.sorting, self.descending = by, descending or false
  self.settings.sort, self.settings.descending = by ~= "path" and by or nil, descending and true or nil
  local list = table.move(self.order, 1, #self.order, 1, {})
  if by == "path" then table.sort(list, function(a, b) return a.index < b.index end) end
  put_order(self, list)
  return true
end

--- The picture one is at; nil when none is shown.
---@return table?
function M.current(self) return self.order[self.at] end

-- The next one from `at` on for which `is` holds.
local function search(self, step, is)
  local at = self.at + step
  while at >= 1 and at <= #self.order do
    if is(self.order[at]) then return at end
    at = at + step
  end
end

local function without(item) return not (item.draft or item.caption):find "%S" and not item.reject end

--- Go to a picture: an item, its number, or "next", "previous", "first", "last", "next without", "previous without"
--- (a caption), "up", "down", "page up", "page down": over `page` pictures, as many as a row or a page has. What was typed is committed.
---@return table? item
function M.go(self, where, page)
  local at = self.at
  if type(where) == "table" then
    for i, item in ipairs(self.order) do if item == where then at = i end end
  elseif type(where) == "number" then at = math.tointeger(where) or at
  elseif where == "next" then at = at + 1
  elseif where == "previous" then at = at - 1
  elseif where == "first" then at = 1
  elseif where == "last" then at = #self.order
  elseif where == "down" or where == "page down" then at = at + (page or 1)
  elseif where == "up" or where == "page up" then at = at - (page or 1)
  elseif where == "next without" then at = search(self, 1, without) or at
  elseif where == "previous without" then at = search(self, -1, without) or at
  else error(("there is no way %s"):format(tostring(where)), 2) end
  at = math.max(math.min(at, #self.order), math.min(1, #self.order))
  if at ~= self.at then
    if self.changes.typing and self.changes.typing ~= self.order[at] then self.changes:commit() end
    self.at = at
    self:changed()
  end
  return self:current()
end

return M
