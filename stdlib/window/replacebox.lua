-- replacebox.lua - find and replace in captions: what would change is shown before it does.
local rect = require "window.rect"
local replace = require "window.replace"
local set = require "recipe.set"
local text = require "window.text"
local theme = require "window.theme"

local M = {}

local SLICE = 0.03 -- seconds in a pass

local BEFORE = 36 -- bytes of a caption before the place that changes
local LABEL = 104

--- Ready for one more search; what was looked for last is still there.
function M.opened(view)
  local box = view.replacing or { find = text.new "", with = text.new "", pattern = false, whole = false, case = false }
  view.replacing = box
  local p, names = view.project, {}
  box.scopes = { "all" }
  if #p.order < #p.items then table.insert(box.scopes, "filtered") end
  if next(p.selected) then table.insert(box.scopes, "selected") end
  for i, scope in ipairs(box.scopes) do names[i] = ("%s (%d)"):format(scope == "filtered" and "shown" or scope, #p:scope(scope)) end
  box.names, box.scope = names, next(p.selected, next(p.selected)) and #names or math.min(#names, #p.order < #p.items and 2 or 1)
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
    box.plan, box.trouble, box.search = nil, nil, nil
    if how.find ~= "" then box.search, box.trouble = replace.search(p:scope(box.scopes[box.scope]), how) end
  end
  if box.search and box.search:on(SLICE) then
    box.trouble = box.search.trouble
    box.plan, box.search = not box.trouble and box.search.plan or nil, nil
  elseif box.search then view.ui.moving = true end
  return box.plan
end

-- How many bytes two texts have in common at their beginning and at their end; characters stay whole, and words of plain letters.
local function common(a, b)
  local most, from, to = math.min(#a, #b), 0, 0
  while from < most and a:byte(from + 1) == b:byte(from + 1) do from = from + 1 end
  while from > 0 and ((a:byte(from + 1) or 0) & 0xC0 == 0x80 or (b:byte(from + 1) or 0) & 0xC0 == 0x80) do from = from - 1 end
  while to < most - from and a:byte(-1 - to) == b:byte(-1 - to) do to = to + 1 end
  while to > 0 and (a:byte(-to) & 0xC0) == 0x80 do to = to - 1 end
  while from > 0 and a:find("^%w", from) do from = from - 1 end
  while to > 0 and a:find("^%w", #a - to + 1) do to = to - 1 end
  return from, to
end

-- A text whose middle, which is another before than after, is coloured; of what stands before it in a long text only the last words are shown.
local function changed(ui, area, says, from, to, color)
  local head, tail = says:sub(1, from), says:sub(#says - to + 1)
  if #head > BEFORE then
    local at = utf8.offset(head, 0, #head - BEFORE)
    head = "\u{2026}" .. head:sub(head:find(" ", at, true) or at)
  end
  local rest = rect.copy(area)
  for _, piece in ipairs { { head, ui.theme.faint }, { says:sub(from + 1, #says - to), color }, { tail, ui.theme.faint } } do
    if piece[1] ~= "" and rest.width > 16 then
      rect.left(rest, ui:label(rest, piece[1], { size = theme.size.small, color = piece[2] }))
    end
  end
end

-- A caption before and after, in colour the words that go and those that come.
local function row(ui, area, r)
  local inner = rect.inset(area, 6, 3)
  ui:label(rect.left(inner, 150, 10), r.item.name, { size = theme.size.small, color = ui.theme.faint, cut = "left" })
  local from, to = common(r.before, r.after)
  changed(ui, rect.top(inner, inner.height / 2), r.before, from, to, ui.theme.bad)
  changed(ui, inner, r.after, from, to, ui.theme.good)
end

--- Draw it; true when it was closed.
---@return boolean closed
function M.draw(view)
  local ui, box, done, left = view.ui, view.replacing, false, false
  local closed = ui:dialog("replace", 760, 560, "Find and replace", function(area)
    local line = rect.top(area, 30, 8)
    ui:label(rect.left(line, LABEL), "find")
    local said = ui:field("replace find", line, box.find, { bad = box.trouble, hint = "words, or a pattern" })
    line = rect.top(area, 30, 8)
    ui:label(rect.left(line, LABEL), "replace with")
    said = ui:field("replace with", line, box.with, { hint = box.pattern and "%1 is what the first ( ) found" or "nothing: they are taken out" }) or said
    line = rect.top(area, 26, 6)
    rect.left(line, LABEL)
    box.case = ui:check("replace case", rect.left(line, 130, 8), "same case", box.case)
    box.whole = ui:check("replace whole", rect.left(line, 140, 8), "whole words", box.whole)
    box.pattern = ui:check("replace pattern", rect.left(line, 160, 8), "a Lua pattern", box.pattern,
      { tip = "%a letters, %d digits, .- anything, ( ) kept as %1" })
    line = rect.top(area, 30, 10)
    ui:label(rect.left(line, LABEL), "in")
    box.scope = ui:tabs("replace scope", line, box.names, box.scope)
    local p = plan(view)
    local foot = rect.bottom(area, 32, 10)
    local words = box.trouble or box.search and ("looks through the captions: %d of %d"):format(box.search.at, #box.search.items)
      or not p and "type what to look for" or p.count == 0 and "nothing is found"
      or ("%s in %s"):format(set.count(p.count, "place"), set.count(#p.rows, "caption"))
    if ui:button("replace go", rect.right(foot, 140, 10), "Replace all", { off = not p or p.count == 0, first = true, keys = "Enter" })
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
