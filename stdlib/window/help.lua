-- help.lua - all keys on one page: what `?` shows.
local rect = require "window.rect"
local theme = require "window.theme"

local M = {}

M.groups = { "Move", "Look", "Choose", "Write", "Program" }

--- Draw it; true when it was closed.
---@return boolean closed
function M.draw(view)
  local actions = require "window.actions"
  local ui = view.ui
  return ui:dialog("help", 980, 640, "Keys", function(area)
    local count = 0
    for _, row in ipairs(actions.list) do if row.keys and not row.quiet then count = count + 1 end end
    local columns = area.width > 700 and 2 or 1
    local lines = count + #M.groups * 2
    local high = 22
    local per = math.ceil(lines / columns)
    ui:scroll("help", area, (per + 1) * high, function(offset, inner)
      local width = inner.width / columns
      local n = 0
      local function place()
        local column = math.min(n // per, columns - 1)
        local r = rect.new(inner.x + column * width, inner.y + (n - column * per) * high - offset, width - 24, high)
        n = n + 1
        return r
      end
      for _, group in ipairs(M.groups) do
        ui:label(place(), group, { bold = true, color = ui.theme.accent })
        for _, row in ipairs(actions.list) do
          if row.group == group and row.keys and not row.quiet then
            local line = place()
            local shown = {}
            for i = 1, math.min(#row.keys, 2) do
              if not row.keys[i]:find "keypad" then shown[#shown + 1] = actions.shown_key(row.keys[i]) end
            end
            ui:label(rect.left(line, 150, 12), row.shown or table.concat(shown, ", "), { size = theme.size.small, mono = true })
            ui:label(line, row.said or row.title, { size = theme.size.text, color = ui.theme.faint })
          end
        end
        n = n + 1
      end
    end)
  end)
end

return M
