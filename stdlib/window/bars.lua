-- bars.lua - the bar above everything, with the filter, and the line below it.
--
--   bars.top(view, rect.top(area, theme.size.bar))
--   bars.status(view, rect.bottom(area, 22))
local console = require "window.console"
local rect = require "window.rect"
local set = require "recipe.set"
local theme = require "window.theme"

local M = {}

local SORTS = { "path", "name", "caption", "length", "author", "stars", "changed", "size", "width", "height", "pixels", "sharpness", "entropy" }

--- The filter, the screens, the order and what opens the rest.
function M.top(self, area)
  local ui, p = self.ui, self.project
  ui.w:fill(area.x, area.y, area.width, area.height, ui.theme.panel)
  local inner = rect.inset(area, 8, 4)
  if ui:button("help", rect.right(inner, 28, 6), "?", { tip = "all keys", keys = "F1" }) then self:open "help" end
  if ui:button("theme", rect.right(inner, 56, 6), ui.theme.name == "dark" and "light" or "dark", { tip = "dark or light", keys = "Ctrl+T" }) then
    self:other_theme()
  end
  local told = console.of(self)
  local named = told.unseen > 0 and ("Console %d"):format(math.min(told.unseen, 99)) or "Console"
  if ui:button("console", rect.right(inner, ui:button_width(named), 6), named, { on = told.open, color = told.unseen > 0 and ui.theme.warning or nil,
    tip = told.unseen > 0 and "warnings and errors were told" or "what was told, what was sent", keys = "F12" }) then console.toggle(self) end
  local sort = p.settings.sort or "path"
  local words = "by " .. sort .. (p.settings.descending and " \u{2193}" or "")
  local place = rect.right(inner, ui:button_width(words), 6)
  if ui:button("sort", place, words, { tip = "the order" }) then
    local rows = {}
    for _, name in ipairs(SORTS) do
      rows[#rows + 1] = { title = "by " .. name, on = name == sort or nil, run = function()
        p:sort(name, name == sort and not p.settings.descending or false)
      end }
    end
    ui:open_menu(rows, place.x, place.y + place.height + 2)
  end
  if self.run and ui:button("show training", rect.right(inner, 76, 6), "Training", { on = self.screen == "training", keys = "T" }) then self:show "training" end
  for _, screen in ipairs { "single", "grid" } do
    local title = screen == "grid" and "All" or "One"
    if ui:button("show " .. screen, rect.right(inner, 48, 6), title, { on = self.screen == screen, tip = screen == "grid" and "all pictures" or "one picture",
      keys = "Space" }) then self:show(screen) end
  end
  if ui:button("filter help button", rect.right(inner, 28, 6), "i", { tip = "what the filter understands", keys = "Shift+F1", quiet = true }) then
    self:open "filterhelp"
  end
  if self.filter:text() ~= "" and ui:button("filter none", rect.right(inner, 28, 2), "\u{D7}", { tip = "show all again", quiet = true }) then
    self.filter:set ""
    ui.focus = nil
    self:look_for()
  end
  local what = ui:field("filter", inner, self.filter, { hint = "filter: words, tag:hat, chars:<20, stars:>3, is:rejected, NOT, OR   (Ctrl+F)",
    bad = self.filter_trouble })
  if what == "changed" then
    self:look_for()
  elseif what == "enter" or what == "escape" then
    ui.focus = nil
  end
end

--- How many there are of what, and what Ctrl+Z would take back.
function M.status(self, area)
  local ui, p = self.ui, self.project
  ui.w:fill(area.x, area.y, area.width, area.height, ui.theme.panel)
  local counts = p:counts()
  local parts = { counts.shown == counts.all and set.count(counts.all) or ("%d of %s"):format(counts.shown, set.count(counts.all)) }
  local function part(n, words) if n > 0 then parts[#parts + 1] = ("%d %s"):format(n, words) end end
  part(counts.selected, "selected")
  part(counts.all - counts.captioned, "without a caption")
  part(counts.rejected, "put aside")
  part(counts.starred, "with stars")
  local inner = rect.inset(area, 10, 0)
  local undo = p.changes:can()
  if undo then
    ui:label(rect.right(inner, inner.width * 0.4), "Ctrl+Z: " .. undo, { size = theme.size.small, color = ui.theme.faint, align = "right" })
  end
  if self.filter_trouble then
    ui:label(inner, "the filter: " .. self.filter_trouble, { size = theme.size.small, color = ui.theme.bad })
    return
  end
  ui:label(inner, table.concat(parts, "  \u{B7}  "), { size = theme.size.small, color = ui.theme.faint })
end

return M
