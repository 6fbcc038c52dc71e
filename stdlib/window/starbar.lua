-- starbar.lua - stars and putting aside, by the mouse: for the chosen pictures, or the one that one is at, as the keys do it.
--
--   starbar.draw(view, rect.top(area, 26))
local rect = require "window.rect"

local M = {}

local STAR, WIDE = "\u{2605}", 20

--- Draw, and do what was clicked.
---@param view table
---@param area calotype.rect
function M.draw(view, area)
  local ui, p = view.ui, view.project
  local actions = require "window.actions"
  local item = p:current()
  if not item then return end
  local stars = rect.left(area, WIDE * 5, 8)
  local focused = ui:focusable "stars"
  local key = focused and ui:take("left", "right")
  local wanted = key and math.min(math.max(item.star + (key == "left" and -1 or 1), 0), 5) or nil
  local pointed = ui:over(stars) and math.floor((ui.mouse.x - stars.x) / WIDE) + 1 or 0
  for i = 1, 5 do
    local lit = pointed > 0 and i <= pointed or pointed == 0 and i <= item.star
    local place = rect.new(stars.x + (i - 1) * WIDE, stars.y, WIDE, stars.height)
    ui:label(place, STAR, { align = "centre", size = 17, color = lit and ui.theme.bucket or ui.theme.disabled })
  end
  if ui:clicked("stars", stars) and pointed > 0 then wanted = pointed == item.star and 0 or pointed end
  if pointed > 0 then
    ui.shape = "hand"
    ui:tip(stars, pointed == item.star and "no stars  0" or ("%d of 5 stars  %d"):format(pointed, pointed))
  end
  if focused and ui.by_keyboard then ui:ring(stars) end
  if wanted and wanted ~= item.star then actions.run(view, "star " .. wanted) end
  local words = item.reject and "take back" or "put aside"
  local width = math.min(ui:button_width(words), area.width)
  if width > 60 and ui:button("aside", rect.left(area, width, 8), words, { on = item.reject ~= nil, keys = "Del",
    tip = item.reject and "it was put aside: " .. (item.reject.reason or "") or "left out by recipes; it stays on the disk" }) then
    actions.run(view, "reject")
    ui.focus = nil
  end
  local menu = rect.right(area, math.min(32, area.width))
  if menu.width >= 32 and ui:button("picture menu", menu, "\u{22EF}", { quiet = true, tip = "all that can be done with it" }) then
    view:menu(menu.x, menu.y + menu.height)
  end
end

return M
