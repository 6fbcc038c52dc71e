-- selection.lua - which pictures are chosen, what a change may be about, and how many there are of each kind.
--
--   p:select(item, "toggle")  p:select(item, "range")  p:select_all()  p:invert()
--   p.changes:append(p:selection(), "old house")          -- the chosen that are shown, else the one where one is
--   p:counts().captioned                                  --> 37
--
-- p.selected is a set of items, p.chosen the last one that was chosen. Methods of a project (project.lua).

local M = {}

--- "only" this one, "toggle", "add", or "range": all from the last one that was chosen to this one.
---@param item table
---@param how? "only"|"toggle"|"add"|"range"
function M.select(self, item, how)
  if how == "range" and self.chosen then
    local from, to
    for i, other in ipairs(self.order) do
      if other == item then to = i end
      if other == self.chosen then from = i end
    end
    if from and to then
      for i = math.min(from, to), math.max(from, to) do self.selected[self.order[i]] = true end
    end
  elseif how == "toggle" then
    self.selected[item], self.chosen = not self.selected[item] or nil, item
  else
    if how ~= "add" then self:select_none() end
    self.selected[item], self.chosen = true, item
  end
  self:changed()
end

function M.select_all(self)
  for _, item in ipairs(self.order) do self.selected[item] = true end
  self:changed()
end

function M.select_none(self)
  for item in pairs(self.selected) do self.selected[item] = nil end -- the same table: a filter holds it
  self:changed()
end

--- Of what is shown: the chosen are not, the others are.
function M.invert(self)
  for _, item in ipairs(self.order) do self.selected[item] = not self.selected[item] or nil end
  self:changed()
end

--- What is chosen and shown, in order; where nothing is, the picture one is at.
---@return table[]
function M.selection(self)
  local list = {}
  for _, item in ipairs(self.order) do if self.selected[item] then list[#list + 1] = item end end
  if #list == 0 then list[1] = self:current() end
  return list
end

--- What a change may be about.
---@param which "all"|"filtered"|"selected"
---@return table[]
function M.scope(self, which)
  if which == "selected" then return self:selection() end
  local from = which == "filtered" and self.order or self.items
  return table.move(from, 1, #from, 1, {})
end

--- How many there are: all, shown, selected, captioned, rejected, starred. Counted again when something changed.
function M.counts(self)
  if self.counted and self.counted.version == self.version then return self.counted end
  local c = { version = self.version, all = #self.items, shown = #self.order, selected = 0, captioned = 0, rejected = 0, starred = 0 }
  for _, item in ipairs(self.items) do
    if self.selected[item] then c.selected = c.selected + 1 end
    if item.caption:find "%S" then c.captioned = c.captioned + 1 end
    if item.reject then c.rejected = c.rejected + 1 end
    if item.star > 0 then c.starred = c.starred + 1 end
  end
  self.counted = c
  return c
end

return M
