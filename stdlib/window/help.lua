-- help.lua - all keys on one page: what `?` shows. The arrows, PgUp and PgDn move it; a click on a line does it.
local rect = require "window.rect"
local theme = require "window.theme"

local M = {}

local WIDE = 860 -- of two columns
local LINE, KEYS = 22, 150

M.groups = { "Move", "Look", "Choose", "Write", "Program" }

-- Lines of the page: a group's name, its keys and what they do, and an empty line.
local function lines_of(list)
  local actions = require "window.actions"
  local lines = {}
  for _, group in ipairs(M.groups) do
    lines[#lines + 1] = { group = group }
    for _, row in ipairs(list) do
      if row.group == group and row.keys and not row.quiet then
        local keys = {}
        for i = 1, math.min(#row.keys, 2) do
          if not row.keys[i]:find "keypad" then keys[#keys + 1] = actions.shown_key(row.keys[i]) end
        end
        lines[#lines + 1] = { keys = row.shown or table.concat(keys, ", "), words = row.said or row.title, id = row.id }
      end
    end
    lines[#lines + 1] = {}
  end
  return lines
end

--- Draw it; true when it was closed.
---@return boolean closed
function M.draw(view)
  local actions = require "window.actions"
  local ui, chosen = view.ui, nil
  local closed = ui:dialog("help", 1120, 720, "Keys", function(area)
    local lines = lines_of(actions.list)
    local columns = area.width > WIDE and 2 or 1
    local per = math.ceil(#lines / columns)
    while columns > 1 and lines[per].group do per = per + 1 end -- a name stands above its keys, not at the end of a column
    ui:scroll("help", area, per * LINE, function(offset, inner)
      local width = inner.width / columns
      for i, line in ipairs(lines) do
        local column = (i - 1) // per
        local place = rect.new(inner.x + column * width, inner.y + (i - 1 - column * per) * LINE - offset, width - 24, LINE)
        if line.group then ui:label(place, line.group, { bold = true, color = ui.theme.accent })
        elseif line.keys then
          local can = actions.can(view, line.id)
          if can and ui:over(place) then
            ui.w:round(place.x - 6, place.y, place.width + 6, place.height, 4, ui.theme.hover)
            ui.shape = "hand"
          end
          if ui:clicked("help " .. line.id, place) and can then chosen = line.id end
          ui:label(rect.left(place, KEYS, 12), line.keys, { size = theme.size.small, mono = true })
          ui:label(place, line.words, { size = 13, color = ui.theme.faint })
        end
      end
    end, { keys = true, step = LINE * 3 })
  end)
  if not chosen then return closed end
  view.dialog, ui.focus = nil, nil
  actions.run(view, chosen)
  return view.dialog == nil
end

return M
