-- bars.lua - the bar above everything, with the filter, and the line below it.
--
--   bars.top(view, rect.top(area, theme.size.bar))
--   bars.status(view, rect.bottom(area, 22))
--   bars.waiting(view, rect.bottom(area, 34))             -- while a step waits, or is done in slices (window/reading.lua)
local console = require "window.console"
local reading = require "window.reading"
local rect = require "window.rect"
local set = require "recipe.set"
local theme = require "window.theme"

local M = {}

local NARROW, GAP = 760, 6
local SORTS = { "path", "name", "caption", "length", "author", "stars", "changed", "size", "width", "height", "pixels", "sharpness", "entropy", "match" }

-- What stands right of the filter, from the left: a button's `how`, with its id, its words and what it does. `wide`: a narrow window leaves it to
-- the menu.
local function buttons(self)
  local ui, p = self.ui, self.project
  local told = console.of(self)
  local sort = p.settings.sort or "path"
  local function screen(name, words, tip, key)
    return { id = "show " .. name, words = words, tip = tip, keys = key, on = self.screen == name, press = function() self:show(name) end }
  end
  local list = {
    screen("grid", "All", "all pictures", "Space"),
    screen("single", "One", "one picture", "Space"),
    { id = "sort", words = "by " .. sort .. (p.settings.descending and " \u{2193}" or " \u{25BE}"), tip = "the order; the same once more turns it round",
      press = function(place)
        local rows = {}
        for _, name in ipairs(SORTS) do
          rows[#rows + 1] = { title = "by " .. name, on = name == sort or nil, run = function()
            p:sort(name, name == sort and not p.settings.descending or false)
          end }
        end
        ui:open_menu(rows, place.x, place.y + place.height + 2)
      end },
    { id = "console", words = told.unseen > 0 and ("Console %d"):format(math.min(told.unseen, 99)) or "Console", on = told.open, keys = "F12",
      color = told.unseen > 0 and ui.theme.warning or nil, wide = told.unseen == 0,
      tip = told.unseen > 0 and "warnings and errors were told" or "what was told, what was sent", press = function() console.toggle(self) end },
    { id = "theme", words = ui.theme.name == "dark" and "light" or "dark", tip = "dark or light", keys = "Ctrl+T", wide = true,
      press = function() self:other_theme() end },
    { id = "help", words = "?", tip = "all keys", keys = "F1", press = function() self:open "help" end },
  }
  if self.run then table.insert(list, 3, screen("training", "Training", "how the training goes", "T")) end
  return list
end

local function filter(self, area)
  local ui = self.ui
  local explained = rect.right(area, 28, 6)
  local none = self.filter:text() ~= "" and rect.right(area, 28, 2)
  local what = ui:field("filter", area, self.filter, { bad = self.filter_trouble,
    hint = "filter (Ctrl+F): words, tag:hat, chars:<20, stars:>3, is:rejected, NOT, OR" })
  if what == "changed" then self:look_for()
  elseif what == "enter" or what == "escape" then ui.focus = nil end
  if none and ui:button("filter none", none, "\u{D7}", { tip = "show all again", quiet = true }) then self:show_all() end
  if ui:button("filter help button", explained, "i", { tip = "what the filter understands", keys = "Shift+F1", quiet = true }) then
    self:open "filterhelp"
  end
end

--- The menu of the program, the filter, the screens, the order and what opens the rest; Tab goes from the left to the right.
function M.top(self, area)
  local ui, narrow = self.ui, area.width < NARROW
  ui.w:fill(area.x, area.y, area.width, area.height, ui.theme.panel)
  local inner = rect.inset(area, 8, 4)
  local menu = rect.left(inner, ui:button_width "Menu", GAP)
  if ui:button("menu", menu, "Menu", { tip = "all that can be done", keys = "F10" }) then self:program_menu(menu) end
  local row, width = {}, 0
  for _, button in ipairs(buttons(self)) do
    if not (narrow and button.wide) then
      button.width = math.max(ui:button_width(button.words), 28)
      row[#row + 1], width = button, width + button.width + GAP
    end
  end
  local right = rect.right(inner, width - GAP, GAP)
  filter(self, inner)
  for _, button in ipairs(row) do
    local place = rect.left(right, button.width, GAP)
    if ui:button(button.id, place, button.words, button) then button.press(place) end
  end
end

--- How many there are of what, and what undo would take back; until there is something to undo, what the first keys are.
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
  local style = { size = theme.size.small, color = ui.theme.faint, align = "right" }
  local undo = p.changes:can()
  if undo then
    local words = "Undo: " .. undo
    local place = rect.right(inner, math.min(ui:button_width(words, style.size), inner.width * 0.45), 8)
    if ui:button("status undo", place, words, { quiet = true, size = style.size, color = style.color, tip = "take it back: " .. undo, keys = "Ctrl+Z" }) then
      ui.focus = nil
      self:step "undo"
    end
  else ui:label(rect.right(inner, inner.width * 0.5, 8), "Space: one picture, or all  \u{B7}  F2: write  \u{B7}  ?: all keys", style) end
  if self.filter_trouble then
    ui:label(inner, "the filter: " .. self.filter_trouble, { size = style.size, color = ui.theme.bad })
  else ui:label(inner, table.concat(parts, "  \u{B7}  "), { size = style.size, color = style.color }) end
end

--- How far a step is that waits, or is done in slices; the button that leaves it undone.
function M.waiting(self, area)
  local ui, step = self.ui, self.project.waiting[1]
  ui.w:fill(area.x, area.y, area.width, area.height, ui.theme.panel)
  ui.w:fill(area.x, area.y, area.width, 1, ui.theme.line)
  local inner = rect.inset(area, 10, 4)
  if ui:button("waiting stop", rect.right(inner, 84, 12), "Stop", { keys = "Esc", tip = "it is not done; what was read is known" }) then
    self:forget_waiting()
  end
  local words, part = reading.how_far(step)
  local width = ui:label(rect.left(inner, inner.width * 0.7, 12), step.title .. ": " .. words, { size = theme.size.small })
  inner.x, inner.width = area.x + 22 + width, math.max(inner.x + inner.width - area.x - 22 - width, 0)
  ui:progress(rect.inset(inner, 0, (inner.height - 8) / 2), part)
end

return M
