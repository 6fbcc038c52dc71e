-- twins.lua - pictures that look the same, found among those shown, and gone through side by side: one stays, the others are put aside.
--
--   view:open "twins"                           -- measures first what was never measured; then the first group is compared
--   twins.groups(items)                         --> { { best, other, ... }, ... }: the largest first, the sharper of equally large ones
--
-- It is what a recipe's :dedupe finds (looks by 64 bits, also mirrored and turned), with a person who chooses.
local dataset = require "native.dataset"
local rect = require "window.rect"
local set = require "recipe.set"
local theme = require "window.theme"

local M = {}

M.HEIGHT = 40

local DISTANCE = 4 -- of 64 bits, as :dedupe
local AT_ONCE = 64 -- pictures that the loader is asked to measure
local URGENCY = 12
local BESIDE = 12 -- of a group; more of it follow

-- The larger; of equally large ones the sharper: a small copy is sharper than its original, pixel by pixel.
local function better(a, b)
  local p, q = a.record.width * a.record.height, b.record.width * b.record.height
  if p ~= q then return p > q end
  local x, y = a.record.sharpness or 0, b.record.sharpness or 0
  if x ~= y then return x > y end
  return a.index < b.index
end

local function measured(item) return item.record and item.record.phashes and item.sha256 end

--- Groups of pictures that look the same; those that cannot be read, and those that were put aside, are in none.
---@param items table[]
---@return table[][]? groups, string? message
function M.groups(items)
  local list, looks = {}, {}
  for _, item in ipairs(items) do
    if measured(item) and not item.reject then
      local look = table.move(item.record.phashes, 1, #item.record.phashes, 1, { sha256 = item.sha256 })
      list[#list + 1], looks[#looks + 1] = item, look
    end
  end
  if #list < 2 then return {} end
  local found, message = dataset.duplicates(looks, { distance = DISTANCE, flips = true })
  if not found then return nil, message end
  local groups = {}
  for _, numbers in ipairs(found) do
    local group = {}
    for i, n in ipairs(numbers) do group[i] = list[n] end
    if #group > 1 then
      table.sort(group, better)
      groups[#groups + 1] = group
    end
  end
  table.sort(groups, function(a, b) return a[1].index < b[1].index end)
  return groups
end

-- --- One group after the other --------------------------------------------------------------------------------------------------------

-- Whether a group is what is on the screen.
local function going(view)
  local t = view.twins
  return t ~= nil and t.shown ~= nil and view.screen == "compare" and view.compared == t.shown
end

local function show(view, at)
  local t = view.twins
  t.at = at
  t.shown = table.move(t.groups[at], 1, math.min(#t.groups[at], BESIDE), 1, {})
  require("window.compare").open(view, t.shown)
  view:go(t.shown[1])
end

local function step(by)
  return function(view)
    local t = view.twins
    if t.groups[t.at + by] then return show(view, t.at + by) end
    if by < 0 then return view:say("info", "this is the first group") end
    t.shown = nil
    view:show "grid"
    view:say("good", ("that were all: %s put aside; Ctrl+Z takes it back"):format(set.count(t.aside)))
  end
end

-- The one that one is at stays; the others go.
local function settle(view)
  local t, keep, others = view.twins, view.project:current(), {}
  for _, item in ipairs(t.shown) do if item ~= keep and not item.reject then others[#others + 1] = item end end
  if #others > 0 then
    local count = view:tell(view.project.changes:reject(others, "looks like " .. keep.name))
    if not count then return end
    t.aside = t.aside + count
  end
  local group = t.groups[t.at]
  if #group > BESIDE then -- the rest of it, against the one that stayed
    t.groups[t.at] = table.move(group, BESIDE + 1, #group, 2, { keep })
    return show(view, t.at)
  end
  step(1)(view)
end

--- Below the pictures, while a group is compared: what to do with it.
---@return boolean drawn
function M.bar(view, area)
  if not going(view) then return false end
  local ui, t = view.ui, view.twins
  local actions = require "window.actions"
  local bar = rect.bottom(area, M.HEIGHT)
  ui.w:fill(bar.x, bar.y, bar.width, bar.height, ui.theme.panel)
  local inner = rect.inset(bar, 8, 6)
  local right = rect.right(inner, 64 + 64 + 100 + 12, 10)
  ui:label(inner, ("%d of %d: which one stays?"):format(t.at, #t.groups), {})
  for _, row in ipairs { { "twins previous", "back", 64 }, { "twins next", "skip", 64 }, { "twins keep", "keep it", 100, true } } do
    local action = actions.by_id[row[1]]
    if ui:button(row[1], rect.left(right, row[3], 6), row[2], { tip = action.title, keys = actions.shown_key(action.keys[1]), first = row[4] }) then
      ui.focus = nil
      actions.run(view, row[1])
    end
  end
  return true
end

-- --- Before that: all must be measured --------------------------------------------------------------------------------------------------

function M.opened(view)
  view.project.changes:commit()
  local items = view.project:selection()
  if #items < 2 then items = view.project:scope "filtered" end
  view.twins = { items = items, asked = {}, aside = 0, at = 0 }
  view:focus "twins close"
end

-- How many are measured; the next ones are asked for.
local function measure(view)
  local t, done, asked = view.twins, 0, 0
  for _, item in ipairs(t.items) do
    if item.error or measured(item) then done = done + 1 elseif t.asked[item] then asked = asked + 1 end
  end
  for _, item in ipairs(t.items) do
    if asked >= AT_ONCE then break end
    if not item.error and not measured(item) and not t.asked[item] then
      t.asked[item], asked = true, asked + 1
      view.pictures:ask(item, "measure", URGENCY)
    end
  end
  return done
end

--- Draw it; true when it was closed.
---@return boolean closed
function M.draw(view)
  local ui, t, stop = view.ui, view.twins, false
  local done = measure(view)
  local closed = ui:dialog("twins", 460, 150, "Pictures that look the same", function(area)
    ui:label(rect.top(area, 22, 6), ("%d of %s measured; they are kept for the next time"):format(done, set.count(#t.items)),
      { size = theme.size.small, color = ui.theme.faint })
    ui:progress(rect.top(area, 8, 8), #t.items > 0 and done / #t.items or 1)
    if ui:button("twins close", rect.right(rect.bottom(area, 30), 100), "Stop", { keys = "Esc" }) then stop = true end
  end)
  if closed or stop then
    ui.focus = nil
    return true
  end
  if done < #t.items then
    ui.moving = true
    return false
  end
  ui.focus = nil
  local message
  t.groups, message = M.groups(t.items)
  if not t.groups then view:say("bad", message)
  elseif #t.groups == 0 then view:say("info", ("no two of %s look the same"):format(set.count(#t.items)))
  else show(view, 1) end
  return true
end

M.actions = {
  { id = "twins", title = "Find pictures that look the same", keys = { "d", "alt+d" }, group = "Choose",
    when = function(view) return #view.project.order > 1 end, run = function(view) view:open "twins" end },
  { id = "twins keep", title = "Of those that look the same: keep it", keys = { "x" }, group = "Choose", when = going, run = settle },
  { id = "twins next", again = true, title = "The next group; none is put aside", keys = { "n" }, group = "Choose", when = going, run = step(1) },
  { id = "twins previous", again = true, title = "The group before", keys = { "p" }, group = "Choose", when = going, run = step(-1) },
}

return M
