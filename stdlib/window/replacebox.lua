-- replacebox.lua - find and replace in captions: what would change is shown before it does.
local rect = require "window.rect"
local replace = require "window.replace"
local set = require "recipe.set"
local text = require "window.text"
local theme = require "window.theme"

local M = {}

local SCOPES = { "all", "filtered", "selected" }

--- Ready for one more search; what was looked for last is still there.
function M.opened(view)
  local box = view.replacing or { find = text.new "", with = text.new "", pattern = false, whole = false, case = false }
  view.replacing = box
  local selected = 0
  for _ in pairs(view.project.selected) do selected = selected + 1 end
  box.scope = selected > 1 and 3 or #view.project.order < #view.project.items and 2 or 1
  box.planned, box.row = nil, 1
  view:focus "replace find"
end

-- What would change; made again when anything it depends on is another.
local function plan(view)
  local box, p = view.replacing, view.project
  local how = { find = box.find:text(), with = box.with:text(), pattern = box.pattern, whole = box.whole, case = box.case }
  local key = table.concat({ how.find, how.with, tostring(how.pattern), tostring(how.whole), tostring(how.case), box.scope, p.version }, "\0")
  if box.planned ~= key then
    box.planned = key
    box.plan, box.trouble = nil, nil
    if how.find ~= "" then box.plan, box.trouble = replace.plan(p:scope(SCOPES[box.scope]), how) end
  end
  return box.plan
end

-- A caption before and after, the words that go and those that come.
local function row(ui, area, r)
  local inner = rect.inset(area, 6, 3)
  ui:label(rect.left(inner, 150, 10), r.item.name, { size = theme.size.small, color = ui.theme.faint, cut = "left" })
  ui:label(rect.top(inner, inner.height / 2), r.before, { size = theme.size.small, color = ui.theme.bad })
  ui:label(inner, r.after, { size = theme.size.small, color = ui.theme.good })
end

--- Draw it; true when it was closed.
---@return boolean closed
function M.draw(view)
  local ui, box, done, left = view.ui, view.replacing, false, false
  local closed = ui:dialog("replace", 760, 560, "Find and replace", function(area)
    local line = rect.top(area, 30, 8)
    ui:label(rect.left(line, 90), "find")
    local said = ui:field("replace find", line, box.find, { bad = box.trouble, hint = "words, or a pattern" })
    line = rect.top(area, 30, 8)
    ui:label(rect.left(line, 90), "replace with")
    said = ui:field("replace with", line, box.with, { hint = box.pattern and "%1 is what the first ( ) found" or "nothing: they are taken out" }) or said
    line = rect.top(area, 26, 6)
    rect.left(line, 90)
    box.case = ui:check("replace case", rect.left(line, 130, 8), "same case", box.case)
    box.whole = ui:check("replace whole", rect.left(line, 140, 8), "whole words", box.whole)
    box.pattern = ui:check("replace pattern", rect.left(line, 160, 8), "a Lua pattern", box.pattern,
      { tip = "%a letters, %d digits, .- anything, ( ) kept as %1" })
    line = rect.top(area, 30, 10)
    ui:label(rect.left(line, 90), "in")
    box.scope = ui:tabs("replace scope", line, { "all", ("filtered (%d)"):format(#view.project.order), "selected" }, box.scope)
    local p = plan(view)
    local foot = rect.bottom(area, 32, 10)
    local words = box.trouble or not p and "type what to look for" or p.count == 0 and "nothing is found"
      or ("%s in %s"):format(set.count(p.count, "place"), set.count(#p.rows, "caption"))
    if ui:button("replace go", rect.right(foot, 140, 10), "Replace all", { off = not p or p.count == 0, keys = "Enter" })
      or said == "enter" and p and p.count > 0 then done = true end
    ui:label(foot, words, { color = box.trouble and ui.theme.bad or ui.theme.faint })
    ui.w:round(area.x, area.y, area.width, area.height, theme.size.radius, ui.theme.well)
    if p and #p.rows > 0 then
      box.row = ui:rows("replace rows", area, #p.rows, 44, math.min(box.row, #p.rows), function(i, r) row(ui, r, p.rows[i]) end)
    end
    left = said == "escape"
  end)
  if done then
    view:replace(box.plan, set.count(#box.plan.rows, "caption") .. " changed; Ctrl+Z takes it back")
  end
  closed = closed or done or left
  if closed then ui.focus = nil end
  return closed
end

M.actions = {
  { id = "replace", title = "Find and replace", keys = { "ctrl+r", "ctrl+h" }, group = "Write", run = function(view)
    view.project.changes:commit()
    view:open "replacebox"
  end },
}

return M
