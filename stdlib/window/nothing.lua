-- nothing.lua - what stands where no picture is to be seen: why that is, and what one can do now.
--
--   if not item then return nothing.draw(view, area) end
local rect = require "window.rect"
local theme = require "window.theme"

local M = {}

local WIDE = 420
local LARGE = theme.size.title

-- Title and sentence; whether the filter's button helps.
local function words_of(view)
  local p = view.project
  if view.filter_trouble then return "The filter is not understood", view.filter_trouble .. ". Shift+F1 tells what it understands.", true end
  if #p.items > 0 then return "No picture matches the filter", "Shift+F1 tells what it understands.", true end
  if p.kind ~= "folder" then return "No pictures", "There is none to show here; F5 looks again." end
  return "No pictures here yet", "Drop pictures, or folders with some, on this window: they are copied into the folder " .. p.title
    .. ". Or put them into the folder yourself; F5 looks again."
end

--- Draw it in the middle of `area`.
function M.draw(view, area)
  local ui = view.ui
  local title, words, filtered = words_of(view)
  local width = math.min(WIDE, area.width - 32)
  local style = { size = theme.size.text, color = ui.theme.faint, align = "centre" }
  local lines, high = ui:wrapped(words, width, style), ui.window:line_height(style.size)
  local place = rect.centred(area, width, 34 + #lines * high + 16 + theme.size.button)
  ui:label(rect.top(place, 28, 6), title, { size = LARGE, align = "centre" })
  for _, line in ipairs(lines) do ui:label(rect.inset(rect.top(place, high), -8, 0), line, style) end -- with the space that a line ends with
  if not filtered then return end
  rect.top(place, 16)
  local shown = ui:button_width "Show all again"
  if ui:button("nothing show all", rect.centred(rect.top(place, theme.size.button), shown, theme.size.button), "Show all again", { first = true }) then
    view:show_all()
  end
end

return M
