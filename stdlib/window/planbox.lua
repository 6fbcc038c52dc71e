-- planbox.lua - what a recipe would do, before it does: this program says so in a child that asks nobody, on the second page of a dialog.
--
--   planbox.start(view, box, recipe, { planbox.HERE })      -- box.lines, or box.trouble
--   if box.lines then local what = planbox.draw(view, box, area, "Caption 12 pictures") end      --> "go", "back", or nil
--   planbox.forget(box)
local bring = require "hub.bring"
local fs = require "native.fs"
local jobs = require "window.jobs"
local rect = require "window.rect"
local set = require "recipe.set"
local theme = require "window.theme"

local M = {}

local REST = 0.5 -- seconds without a letter

--- What there is to say of a model on this machine.
M.HERE = "on this machine's device: nothing is sent, nothing costs"

--- The same of the model in a folder, or that it is not there and what brings it. The folder is looked at by this program's own hand.
---@return string words, boolean lacking
function M.about(folder)
  fs.grant(folder, "read")
  local message, hint = bring.absent(folder)
  if not message then return M.HERE, false end
  return message .. (hint and ": " .. hint or ""), true
end

--- The same of a folder that is typed in the field `id`: it is looked at when the typing rests or the field is left, not what lies above it.
---@return string words, boolean lacking
function M.typed(ui, box, id, folder)
  if folder ~= box.typing then box.typing, box.since = folder, ui.now end
  if not box.folder or ui.focus ~= id or ui.now - box.since >= REST then box.folder = folder end
  return M.about(box.folder)
end

--- Ask for the plan; `first` are lines that stand before it.
---@param first? string[]
function M.start(view, box, recipe, first)
  box.lines, box.planned = {}, nil
  for i, words in ipairs(first or {}) do box.lines[i] = { kind = "info", text = words, bold = true } end
  box.first = #box.lines
  box.child, box.trouble = jobs.child(view, { title = "plan", recipe = recipe, plan = true })
end

-- What a line of the plan says of this run: its steps are known, their names are as long as all the pictures'; and nobody wrote that recipe, so
-- that the place of what is wrong in it says nothing.
local function plain(box, words)
  if words:find "^%-%-> plan:" or words:find "^%d+ | " or words:find "^|[%s^]*$" then return nil end
  if words:find "^plan: " or words:find "^expect " or words:find "^edit " then return nil end
  local here = box.first > 0
  if here and words == "asks nobody, costs nothing" then return nil end
  local captions = words:match "^caption %S+%s+captions: (.*)$"
  if captions then return here and captions:gsub("to ask for", "to write") or captions end
  return words:match "^score %S+%s+match: (.*)$" or words:match "^images .-(%d+ pictures?[:,;].*)$" or words:match "^= (.*)$" or words
end

local function read(box)
  if not box.child then return end
  local lines, code = box.child:read()
  for _, line in ipairs(lines) do
    local kind, words = jobs.sorted(line.text)
    if kind == "info" then words = plain(box, words) elseif kind then words = box.child:unplaced(words) end -- no kind: how far it is
    if kind and words and words:find "%S" then box.lines[#box.lines + 1] = { kind = kind, text = words } end
  end
  if code then box.child, box.planned = nil, code end
end

function M.forget(box)
  if box.child then box.child:close() end
  box.child, box.lines, box.planned = nil, nil, nil
end

--- Before it is planned, and before it is done: pictures whose files went are left out and told, for one of them would stop it all; how many.
---@param scope { items: table[] }
---@return integer gone
function M.leave_gone(view, scope)
  local there = {}
  for _, item in ipairs(scope.items) do if select(3, fs.stat(item.path)) ~= "NOTFOUND" then there[#there + 1] = item end end
  local gone = #scope.items - #there
  if gone == 0 then return 0 end
  scope.items = there
  view:say("warning", ("%s gone by now and left out%s"):format(set.count(gone) .. (gone == 1 and " is" or " are"), #there == 0 and ": nothing is left" or ""))
  return gone
end

--- Draw it, with the button that does it once the plan is there.
---@param title string of that button
---@return "go"|"back"|nil
function M.draw(view, box, area, title)
  local ui = view.ui
  read(box)
  if box.child then ui.moving = true end
  local foot = rect.bottom(area, 30, 10)
  local ready, failed, what = box.planned == 0, box.planned and box.planned ~= 0, nil
  local go = rect.right(foot, ui:button_width(title), 8)
  if ui:button("plan back", rect.right(foot, 90, 8), "Back", { first = failed, keys = failed and "Enter" or nil })
    or failed and ui:take("return", "keypad enter") then what = "back" end
  if ui:button("plan go", go, title, { off = not ready, first = ready, keys = "Enter" }) or ready and ui:take("return", "keypad enter") then what = "go" end
  if box.child then
    if box.first > 0 and #box.lines == box.first then
      local words = "a new model is read first"
      ui:label(rect.left(foot, ui:button_width(words, theme.size.small)), words, { size = theme.size.small, color = ui.theme.faint })
    end
    ui:progress(rect.inset(foot, 0, 11), nil)
  end
  ui.w:round(area.x, area.y, area.width, area.height, theme.size.radius, ui.theme.well)
  local inner, high = rect.inset(area, 10, 8), 0
  local style = { size = theme.size.text }
  local blocks = {}
  for i, line in ipairs(box.lines) do
    local lines = ui:wrapped(line.text, inner.width - 14, style)
    blocks[i] = { y = high, height = #lines * ui.window:line_height(style.size) + 5 }
    high = high + blocks[i].height
  end
  ui:scroll("plan lines", inner, high, function(offset, seen)
    for i, line in ipairs(box.lines) do
      local bold = line.bold or line.text:find "^in all: " ~= nil
      ui:paragraph(rect.new(seen.x, seen.y + blocks[i].y - offset, inner.width - 14, blocks[i].height), line.text, { bold = bold,
        color = line.kind ~= "info" and ui.theme[line.kind] or (bold or line.text:find "^asks ") and ui.theme.text or ui.theme.faint })
    end
  end, { keys = true })
  if what then M.forget(box) end
  if what == "back" then ui.focus = nil end
  return what
end

return M
