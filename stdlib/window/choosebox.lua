-- choosebox.lua - a sentence and what can be done: for what is asked before it is done.
--
--   view:open("choosebox", { title = "out.zip is there already", about = "It has 12 pictures.",
--     answers = { { "Write over it", function() ... end }, { "Stay", function() end } } })
--
-- Enter is the first answer, Escape none. An answer may open another dialog.
local rect = require "window.rect"

local M = {}

---@param view table
---@param question { title: string, about: string, answers: { [1]: string, [2]: fun() }[] }
function M.opened(view, question)
  view.choosing = question
  view.ui.focus = nil
end

---@return boolean closed
function M.draw(view)
  local ui, q, chosen = view.ui, view.choosing, nil
  local width = 620
  local high = #ui:wrapped(q.about, width - 32, { size = ui.theme_size "text" }) * ui.window:line_height(ui.theme_size "text")
  local closed = ui:dialog("choose", width, 128 + high, q.title, function(area)
    local foot = rect.bottom(area, 30)
    ui:paragraph(area, q.about, { color = ui.theme.faint })
    chosen = ui:answers("choose", foot, q.answers)
    if ui:take("return", "keypad enter") then chosen = q.answers[1] end
  end)
  if not closed and not chosen then return false end
  view.dialog, ui.focus = nil, nil
  if chosen then chosen[2]() end
  return view.dialog == nil
end

return M
