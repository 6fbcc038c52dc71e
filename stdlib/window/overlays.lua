-- overlays.lua - what lies above the rest: menus, dialogs, tooltips, and words that go by themselves. Methods of window.ui.
local rect = require "window.rect"
local theme = require "window.theme"

local M = {}

local size = theme.size
local TIP_AFTER = 0.6 -- seconds that the mouse rests
local STAYS = { info = 3, good = 3, warning = 6, bad = 9 } -- seconds
local TOASTS = 4
local LONGEST = 1200 -- bytes of a tip, or of what is said

local function cut(text)
  if #text <= LONGEST then return text end
  return text:sub(1, (utf8.offset(text, 0, LONGEST) or LONGEST) - 1) .. "\u{2026}"
end

--- Open a menu at the mouse, or at x, y. A row: { title, keys = "Ctrl+C", run = function, off = boolean, on = boolean }; "-" is a line.
function M:open_menu(rows, x, y)
  self.menu = { rows = rows, x = x or self.mouse.x, y = y or self.mouse.y, at = 0, opened = self.now }
  self:kept("menu rows").offset = 0
end

-- Where its rows stand, and how wide and high it is; of a menu that was just opened.
local function measure(self, menu)
  menu.width, menu.height, menu.tops = 120, 8, {}
  for i, row in ipairs(menu.rows) do
    menu.tops[i], menu.height = menu.height - 4, menu.height + (row == "-" and 9 or size.row)
    if row ~= "-" then
      local words, keys = self.window:advances(row.title, { size = size.text }), self.window:advances(row.keys or "", { size = size.small })
      menu.width = math.max(menu.width, words[#words] + keys[#keys] + 64)
    end
  end
end

-- The next row that can be taken.
local function step(rows, at, by)
  for _ = 1, #rows do
    at = (at - 1 + by) % #rows + 1
    if rows[at] ~= "-" and not rows[at].off then return at end
  end
  return 0
end

-- What a key does to it: the row that is taken; the chosen one is to be seen.
local function menu_key(self, menu)
  local key = self:take("up", "down", "home", "end", "return", "keypad enter", "space", "escape", "f10", "tab", "shift+tab")
  if not key then return nil end
  if key == "up" or key == "shift+tab" then menu.at = step(menu.rows, menu.at, -1)
  elseif key == "down" or key == "tab" then menu.at = step(menu.rows, menu.at, 1)
  elseif key == "home" then menu.at = step(menu.rows, 0, 1)
  elseif key == "end" then menu.at = step(menu.rows, 1, -1)
  elseif key == "escape" or key == "f10" then self.menu = nil
  else return menu.rows[menu.at] end
  menu.reveal = menu.tops[menu.at] and { menu.tops[menu.at] - 4, size.row + 8 }
end

-- One row; true when it was clicked.
local function menu_row(self, menu, i, line)
  local row = menu.rows[i]
  if row == "-" then
    self.w:fill(line.x + 8, line.y + 4, line.width - 16, 1, self.theme.line)
    return false
  end
  if self:over(line) and self.moved and self.moved > menu.opened then menu.at = row.off and 0 or i end
  if menu.at == i then self.w:fill(line.x + 2, line.y, line.width - 4, line.height, self.theme.selection) end
  if row.on then self.w:polyline({ line.x + 9, line.y + 13, line.x + 13, line.y + 17, line.x + 19, line.y + 9 }, self.theme.accent, 2) end
  if row.keys then self:label(rect.inset(line, 10, 0), row.keys, { align = "right", size = size.small, color = self.theme.faint }) end
  self:label(rect.inset(line, 26, 0), row.title, { color = row.off and self.theme.disabled or row.color })
  return self:clicked("menu " .. i, line) and not row.off
end

--- The menu that is open; one that is higher than the window scrolls.
function M:draw_menu()
  local menu = self.menu
  if not menu then return end
  if not menu.width then measure(self, menu) end
  local room = self.screen
  local width, high = math.min(menu.width, room.width - 8), math.min(menu.height, room.height - 8)
  local area = rect.new(math.max(math.min(menu.x, room.width - width - 4), 4), math.max(math.min(menu.y, room.height - high - 4), 4), width, high)
  local run
  self:on_top("menu", area, true, function()
    self.w:round(area.x - 1, area.y - 1, area.width + 2, area.height + 2, size.radius, self.theme.line)
    self.w:round(area.x, area.y, area.width, area.height, size.radius, self.theme.panel)
    menu.reveal = nil
    run = menu_key(self, menu)
    self:scroll("menu rows", area, menu.height, function(offset, seen)
      for i, row in ipairs(menu.rows) do
        local line = rect.new(seen.x, seen.y + menu.tops[i] - offset, seen.width, row == "-" and 9 or size.row)
        if menu_row(self, menu, i, line) then run = row end
      end
    end, { step = size.row * 3, reveal = menu.reveal })
    if self.pressed and not rect.contains(area, self.mouse.x, self.mouse.y) then self.menu = nil end
  end)
  if run then
    self.menu = nil
    run.run()
  end
end

--- A window in the window, while the caller asks for it: draw(area) draws what is below its title. Escape closes it.
---@return boolean closed
function M:dialog(id, width, height, title, draw)
  local shade, closed = self.screen, false
  local area = rect.centred(rect.inset(shade, 16), width, height)
  self:on_top(id, shade, true, function()
    self.w:fill(shade.x, shade.y, shade.width, shade.height, self.theme.shade)
    self.w:round(area.x - 1, area.y - 1, area.width + 2, area.height + 2, size.radius + 1, self.theme.line)
    self.w:round(area.x, area.y, area.width, area.height, size.radius, self.theme.panel)
    local inner = rect.inset(area, 16)
    local head = rect.top(inner, 28, 8)
    local close = rect.right(head, 28, 8)
    self:label(head, title, { size = size.title, bold = true })
    draw(inner)
    if self:button(id .. " close", close, "\u{D7}", { quiet = true, tip = "close", keys = "Esc" }) then closed = true end -- Tab comes here last
    if self:take "escape" then closed = true end
  end)
  return closed
end

--- Buttons at the right end of a line: { words, tip = }, the first of them what Enter does; the one that was pressed. `off`: none can be now.
---@return table? answer
function M:answers(id, area, answers, off)
  local width, pressed = 0, nil
  for _, answer in ipairs(answers) do width = width + self:button_width(answer[1]) + size.gap end
  local place = rect.right(area, width - size.gap, size.gap)
  for i, answer in ipairs(answers) do
    local first = i == 1 or nil
    if self:button(id .. " " .. i, rect.left(place, self:button_width(answer[1]), size.gap), answer[1], { off = off, first = first, tip = answer.tip,
      keys = first and "Enter" }) then pressed = answer end
  end
  return pressed
end

--- Say something that goes by itself: kind "info", "good", "warning", "bad".
function M:say(kind, text)
  text = cut(text)
  table.insert(self.toasts, { kind = kind, text = text, till = self.now + STAYS[kind] })
  if #self.toasts > TOASTS then table.remove(self.toasts, 1) end
end

--- They stand below; above a dialog, whose buttons are below.
function M:draw_toasts()
  local dialog = self.modal and not self.menu
  local y = dialog and 8 or self.screen.height - 56
  for i = #self.toasts, 1, -1 do
    local toast = self.toasts[i]
    if toast.till < self.now then
      table.remove(self.toasts, i)
    else
      local width = math.min(self.screen.width - 32, 560)
      local lines = self:wrapped(toast.text, width - 32, { size = size.text })
      local widest = 0
      for _, line in ipairs(lines) do
        local advances = self.window:advances(line, { size = size.text })
        widest = math.max(widest, advances[#advances])
      end
      local high = #lines * self.window:line_height(size.text) + 16
      if not dialog then y = y - high - 8 end
      local area = rect.new((self.screen.width - widest - 32) / 2, y, widest + 32, high)
      if dialog then y = y + high + 8 end
      self:on_top("toast " .. i, area, false, function()
        local color = toast.kind == "info" and self.theme.accent or self.theme[toast.kind]
        self.w:round(area.x - 1, area.y - 1, area.width + 2, area.height + 2, size.radius, self.theme.line)
        self.w:round(area.x, area.y, area.width, area.height, size.radius, self.theme.raised)
        self.w:fill(area.x, area.y + 4, 4, area.height - 8, color)
        self:paragraph(rect.new(area.x + 16, area.y + 8, widest + 4, high), toast.text)
        if self:clicked("toast " .. i, area) then toast.till = 0 end
      end)
    end
  end
end

--- When the next words go, or a tooltip comes: seconds from now; nil: nothing changes by itself.
function M:next_change()
  local soonest
  for _, toast in ipairs(self.toasts) do soonest = math.min(soonest or math.huge, toast.till - self.now + 0.01) end
  if self.tooltip and self.moved and self.now - self.moved < TIP_AFTER then
    soonest = math.min(soonest or math.huge, TIP_AFTER - (self.now - self.moved) + 0.01)
  end
  return soonest and math.max(soonest, 0)
end

--- What is said of `area` when the mouse rests on it.
function M:tip(area, text)
  self.tooltip = { area = area, text = cut(text) }
end

function M:draw_tip()
  local tip = self.tooltip
  if not tip or not self.moved or self.now - self.moved < TIP_AFTER or self.active then return end
  local lines = self:wrapped(tip.text, 360, { size = size.small })
  local widest = 0
  for _, line in ipairs(lines) do
    local advances = self.window:advances(line, { size = size.small })
    widest = math.max(widest, advances[#advances])
  end
  local high = #lines * self.window:line_height(size.small) + 10
  local below = tip.area.y + tip.area.height + 6
  local y = below + high < self.screen.height and below or tip.area.y - high - 6
  local x = math.max(math.min(tip.area.x, self.screen.width - widest - 24), 4)
  self.w:clip()
  self.w:round(x - 1, y - 1, widest + 18, high + 2, 4, self.theme.line)
  self.w:round(x, y, widest + 16, high, 4, self.theme.raised)
  self:paragraph(rect.new(x + 8, y + 5, widest + 4, high), tip.text, { size = size.small })
end

return M
