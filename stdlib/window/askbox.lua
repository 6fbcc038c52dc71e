-- askbox.lua - a line of text and what to do with it: the small questions of the window.
--
--   view:open("askbox", { title = "Rename a tag", text = "hat", about = function(text) return "3 captions" end,
--     answers = { { "Rename", function(text) ... end } } })
--
-- Enter is the first answer. An answer whose function gives false leaves the box open; one without words is off unless `empty` is set.
local rect = require "window.rect"
local text = require "window.text"

local M = {}

---@param view table
---@param question { title: string, text?: string, hint?: string, about?: fun(text: string): string, answers: table[], empty?: boolean }
function M.opened(view, question)
  view.question = question
  question.document = text.new(question.text or "")
  question.document:select_all()
  view:focus "ask"
end

--- Draw it; true when it was closed.
---@return boolean closed
function M.draw(view)
  local ui, q, done = view.ui, view.question, false
  local closed = ui:dialog("ask", 560, 170, q.title, function(area)
    local said = ui:field("ask", rect.top(area, 30, 8), q.document, { hint = q.hint })
    local words = q.document:text()
    local off = not q.empty and not words:find "%S"
    local foot = rect.bottom(area, 30)
    if q.about then ui:paragraph(area, q.about(words), { color = ui.theme.faint }) end
    local chosen = said == "enter" and not off and q.answers[1] or ui:answers("ask", foot, q.answers, off)
    if chosen then done = chosen[2](words) ~= false end
    if said == "escape" then done = true end
  end)
  if closed or done then ui.focus = nil end
  return closed or done
end

return M
