-- overlays.lua - what lies above the rest: menus, dialogs, tooltips, and words that go by themselves. Methods of window.ui.
local rect = require "window.rect"
local theme = require "window.theme"

local M = {}

local size = theme.size
local TIP_AFTER = 0.6 -- seconds that the mouse rests
local STAYS = { info = 3, good = 3, warning = 6, bad = 9 } -- seconds
local TOASTS = 4
local LONGEST = 1200 -- bytes of a tip

--- Open a menu at the mouse, or at x, y. A row: { title, keys = "Ctrl+C", run = function, off = boolean, on = boolean }; "-" is a line.
function M:open_menu(rows, x, y)
  self.menu = { rows = rows, x = x or self.mouse.x, y = y or self.mouse.y, at = 0, opened = self.now }
end

local function rows_height(rows)
  local high = 8
  for _, row in ipairs(rows) do high = high + (row == "-" and 9 or size.row) end
  return high
end

-- The next row that can be taken.
local function step(rows, at, by)
  for _ = 1, #rows do
    at = (at - 1 + by) % #rows + 1
    if rows[at] ~= "-" and not rows[at].off then return at end
  end
  return 0
end

function M:draw_menu()
  local menu = self.menu
  if not menu then return end
  if not menu.width then
    menu.width = 120
    for _, row in ipairs(menu.rows) do
      if row ~= "-" then
        local words, keys = self.window:advances(row.title, { size = size.text }), self.window:advances(row.keys or "", { size = size.small })
        menu.width = math.max(menu.width, words[#words] + keys[#keys] + 64)
      end
    end
  end
  local high = rows_height(menu.rows)
  local area = rect.new(math.max(math.min(menu.x, self.screen.width - menu.width - 4), 0), math.max(math.min(menu.y, self.screen.height - high - 4), 0),
    menu.width, high)
  local run
  self:on_top("menu", area, true, function()
    self.w:round(area.x - 1, area.y - 1, area.width + 2, area.height + 2, size.radius, self.theme.line)
    self.w:round(area.x, area.y, area.width, area.height, size.radius, self.theme.panel)
    local key = self:take("up", "down", "home", "end", "return", "space", "escape")
    if key == "up" or key == "down" then menu.at = step(menu.rows, menu.at, key == "up" and -1 or 1)
    elseif key == "home" then menu.at = step(menu.rows, 0, 1)
    elseif key == "end" then menu.at = step(menu.rows, 1, -1)
    elseif key == "escape" then self.menu = nil
    elseif key and menu.rows[menu.at] then run = menu.rows[menu.at] end
    local y = area.y + 4
    for i, row in ipairs(menu.rows) do
      if row == "-" then
        self.w:fill(area.x + 8, y + 4, area.width - 16, 1, self.theme.line)
        y = y + 9
      else
        local line = rect.new(area.x, y, area.width, size.row)
        if self:over(line) and self.moved and self.moved > menu.opened then menu.at = row.off and 0 or i end
        if menu.at == i then self.w:fill(line.x + 2, line.y, line.width - 4, line.height, self.theme.selection) end
        if row.on then self.w:polyline({ line.x + 9, line.y + 13, line.x + 13, line.y + 17, line.x + 19, line.y + 9 }, self.theme.accent, 2) end
        local words = rect.inset(line, 26, 0)
        if row.keys then self:label(rect.inset(line, 10, 0), row.keys, { align = "right", size = size.small, color = self.theme.faint }) end
        self:label(words, row.title, { color = row.off and self.theme.disabled or row.color })
        if self:clicked("menu " .. i, line) and not row.off then run = row end
        y = y + size.row
      end
    end
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
    if self:button(id .. " close", rect.right(head, 28), "\u{D7}", { quiet = true, tip = "close", keys = "Esc" }) then closed = true end
    self:label(head, title, { size = size.title, bold = true })
    draw(inner)
    if self:take "escape" then closed = true end
  end)
  return closed
end

--- Say something that goes by itself: kind "info", "good", "warning", "bad".
function M:say(kind, text)
  table.insert(self.toasts, { kind = kind, text = text, till = self.now + STAYS[kind] })
  if #self.toasts > TOASTS then table.remove(self.toasts, 1) end
end

function M:draw_toasts()
  local y = self.screen.height - 56
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
      y = y - high - 8
      local area = rect.new((self.screen.width - widest - 32) / 2, y, widest + 32, high)
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
  if #text > LONGEST then text = text:sub(1, (utf8.offset(text, 0, LONGEST) or LONGEST) - 1) .. "\u{2026}" end
  self.tooltip = { area = area, text = text }
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
