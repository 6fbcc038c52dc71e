-- filterhelp.lua - what can be written into the filter's box; a click puts an example there.
local filter = require "window.filter"
local rect = require "window.rect"
local theme = require "window.theme"

local M = {}

local HIGH = 40

function M.opened(view)
  view.filter_row = 1
  view:focus "filter help"
end

--- Draw it; true when it was closed.
---@return boolean closed
function M.draw(view)
  local ui, taken = view.ui, nil
  local closed = ui:dialog("filter help dialog", 720, 540, "The filter", function(area)
    ui:label(rect.top(area, 22, 6), "What is written there is looked for in all that is open. Enter or a double click takes an example.",
      { size = theme.size.small, color = ui.theme.faint })
    local what
    view.filter_row, what = ui:rows("filter help", area, #filter.help, HIGH, view.filter_row, function(i, r)
      local row, inner = filter.help[i], rect.inset(r, 8, 2)
      ui:label(rect.top(inner, inner.height / 2), row[1], { mono = true, size = theme.size.small })
      ui:label(inner, row[2], { size = theme.size.small, color = ui.theme.faint })
      if ui:over(r) then ui:tip(r, row[2]) end
    end)
    if what == "taken" then taken = filter.help[view.filter_row][1]:match "^(.-)  " or filter.help[view.filter_row][1] end
  end)
  if taken then
    view.filter:set(taken)
    view.filter:select_all()
    view:focus "filter"
    view:look_for()
    return true
  end
  if closed then view:focus "filter" end
  return closed
end

M.actions = {
  { id = "filter help", title = "What the filter understands", keys = { "shift+f1", "ctrl+f1" }, group = "Choose",
    run = function(view) view:open "filterhelp" end },
}

return M
