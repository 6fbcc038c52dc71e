-- singlebar.lua - below the large picture: the next one, nearer and farther, for those who have a mouse in the hand.
local rect = require "window.rect"
local theme = require "window.theme"

local M = {}

M.HEIGHT = 36

local GAP = 4

-- { action, words, width, tip? }: the first are on the left; those that have no room are left out, they are in the menus too.
local LEFT = { { "previous", "\u{2190}", 40 }, { "next", "\u{2192}", 40 }, { "next without", "next without", 120, "the next without a caption" } }
local RIGHT = { { "bucket", "crop", 56 }, { "farther", "\u{2212}", 32 }, { "whole", "1:1", 44 }, { "fit", "fit", 44 }, { "nearer", "+", 32 } }

local function button(view, area, row)
  local actions = require "window.actions"
  local action = actions.by_id[row[1]]
  if view.ui:button("bar " .. row[1], area, row[2], { tip = row[4] or action.title, keys = actions.shown_key(action.keys[1]),
    on = action.on and action.on(view) or nil, off = not actions.can(view, row[1]) }) then
    view.ui.focus = nil
    actions.run(view, row[1])
  end
end

--- Draw, and do what was clicked; Tab goes from the left to the right.
function M.draw(view, area)
  local ui, p, look = view.ui, view.project, view.look
  ui.w:fill(area.x, area.y, area.width, area.height, ui.theme.panel)
  local inner, width = rect.inset(area, 8, 4), 0
  for _, row in ipairs(RIGHT) do width = width + row[3] + GAP end
  local right = rect.right(inner, width - GAP, GAP)
  for _, row in ipairs(LEFT) do
    if inner.width >= row[3] + 8 then button(view, rect.left(inner, row[3], GAP), row) end
  end
  local style = { size = theme.size.small, color = ui.theme.faint }
  if look.scale and inner.width > 120 then
    local _, _, device = ui.window:size()
    ui:label(rect.right(inner, 52, 4), ("%.0f %%"):format(look.scale * device * 100), { size = style.size, color = style.color, align = "right" })
  end
  ui:label(rect.inset(inner, 6, 0), ("%d of %d"):format(p.at, #p.order), style)
  for _, row in ipairs(RIGHT) do button(view, rect.left(right, row[3], GAP), row) end
end

return M
