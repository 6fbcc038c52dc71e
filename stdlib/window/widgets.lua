-- widgets.lua - what stands on the screen: buttons, switches, tabs, splitters, lists and what scrolls. Methods of window.ui.
--
-- Each that the keyboard can reach has a ring while it has it. What is chosen in a list that has the keyboard stands on `selection`, else on
-- `raised`: it is where one would go on, and nothing that a key would do something to now.
local rect = require "window.rect"
local theme = require "window.theme"

local M = {}

local size = theme.size

--- A button; true when it is pressed, by the mouse or with Return and Space. how: on (a switch that is on), off (it cannot be pressed now),
--- first (what Enter does here), quiet (no ground), keys (shown in its tooltip), tip, color, size.
---@return boolean pressed
function M:button(id, area, text, how)
  how = how or {}
  local over, pressed = self:over(area) and not how.off, false
  if not how.off then
    local focused = self:focusable(id)
    pressed = self:clicked(id, area)
    if focused and self:take("return", "space", "keypad enter") then pressed = true end
    if pressed then self.focus, self.by_keyboard = id, false end
    local held = self.active == id and over
    local ground = how.first and self.theme.accent or how.on and self.theme.selection or (held or over) and self.theme.hover
      or not how.quiet and self.theme.raised
    if ground then self.w:round(area.x, area.y, area.width, area.height, size.radius, ground) end
    if how.first and over then self.w:frame(area.x + 2, area.y + 2, area.width - 4, area.height - 4, self.theme.inverse) end
    if focused and self.by_keyboard then self:ring(area) end
    if over then
      self.shape = "hand"
      if how.tip or how.keys then self:tip(area, (how.tip or text) .. (how.keys and ("  " .. how.keys) or "")) end
    end
  elseif not how.quiet then
    self.w:round(area.x, area.y, area.width, area.height, size.radius, self.theme.line)
    self.w:round(area.x + 1, area.y + 1, area.width - 2, area.height - 2, size.radius, self.theme.panel)
  end
  self:label(rect.inset(area, 8, 0), text, { align = how.align or "centre", bold = how.bold, size = how.size,
    color = how.off and self.theme.disabled or how.first and self.theme.inverse or how.color })
  return pressed
end

--- How wide a button for `text` is.
function M:button_width(text, high)
  local advances = self.window:advances(text, { size = high or size.text })
  return math.ceil(advances[#advances]) + 24
end

--- A switch with its words; the value, and whether it changed.
---@return boolean value, boolean changed
function M:check(id, area, text, value, how)
  local focused, over = self:focusable(id), self:over(area)
  local changed = self:clicked(id, area) or focused and self:take("return", "keypad enter", "space") ~= nil
  if changed then value, self.focus = not value, id end
  local box = rect.new(area.x, area.y + (area.height - 16) / 2, 16, 16)
  self.w:round(box.x, box.y, 16, 16, 3, value and self.theme.accent or over and self.theme.hover or self.theme.raised)
  self.w:frame(box.x, box.y, 16, 16, value and self.theme.accent or self.theme.faint, 1)
  if value then self.w:polyline({ box.x + 3, box.y + 8, box.x + 7, box.y + 12, box.x + 13, box.y + 4 }, self.theme.inverse, 2) end
  self:label(rect.new(area.x + 24, area.y, area.width - 24, area.height), text)
  if over then
    self.shape = "hand"
    if how and how.tip then self:tip(area, how.tip) end
  end
  if focused and self.by_keyboard then self:ring(area) end
  return value, changed
end

--- Names beside each other, one of them chosen; the chosen one's number. Left and right choose when it has the keyboard.
---@param names string[]
---@return integer
function M:tabs(id, area, names, chosen)
  local focused = self:focusable(id)
  if focused then
    local key = self:take("left", "right")
    if key and #names > 0 then chosen = (chosen - 1 + (key == "left" and -1 or 1)) % #names + 1 end
  end
  local rest = rect.copy(area)
  for i, name in ipairs(names) do
    local tab = rect.left(rest, self:button_width(name), 4)
    local over = self:over(tab)
    if self:clicked(id .. i, tab) then chosen, self.focus, self.by_keyboard = i, id, false end
    if over then self.shape = "hand" end
    if i == chosen then self.w:fill(tab.x + 4, tab.y + tab.height - 3, tab.width - 8, 3, self.theme.accent) end
    self:label(tab, name, { align = "centre", color = i == chosen and self.theme.text or over and self.theme.text or self.theme.faint })
  end
  if focused and self.by_keyboard then self:ring(area) end
  return chosen
end

--- A border that can be moved; by how much it was, 0 mostly. `upright`: it is moved left and right.
---@return number
function M:splitter(id, area, upright)
  local grip = upright and rect.new(area.x - 3, area.y, area.width + 6, area.height) or rect.new(area.x, area.y - 3, area.width, area.height + 6)
  local kept = self:kept(id)
  local dx, dy = self:dragged(id, grip)
  local by = dx and (upright and dx or dy)
  local moved = by and by - (kept.by or 0) or 0
  kept.by = by
  local lit = by or self:over(grip)
  if lit then self.shape = "move" end
  self.w:fill(area.x, area.y, area.width, area.height, lit and self.theme.accent or self.theme.line)
  return moved
end

--- What is higher than its area. `draw(offset, inner)` draws what is to be seen; the wheel, the bar, and `reveal` move it.
--- how: step (units for a click of the wheel), reveal = { y, height } to be seen, now; keys: the arrows, PgUp, PgDn, Home and End move it.
---@return number offset
function M:scroll(id, area, height, draw, how)
  how = how or {}
  local kept = self:kept(id)
  local most = math.max(height - area.height, 0)
  local offset = kept.offset or 0
  local key = how.keys and self:take("up", "down", "page up", "page down", "home", "end")
  if key then
    local by = { up = -(how.step or 60), down = how.step or 60, ["page up"] = -area.height, ["page down"] = area.height, home = -offset, ["end"] = most }
    offset = offset + by[key]
  end
  if self.wheel and self:over(area) then offset, self.wheel = offset - self.wheel.dy * (how.step or 60), nil end
  if how.reveal then
    local y, high = how.reveal[1], how.reveal[2]
    if y < offset then offset = y elseif y + high > offset + area.height then offset = y + high - area.height end
  end
  local inner = rect.copy(area)
  if most > 0 then
    local track = rect.right(inner, size.scrollbar)
    local long = math.max(area.height * area.height / height, 24)
    local room = area.height - long
    local bar = rect.new(track.x + 2, track.y + room * math.min(math.max(offset / most, 0), 1), track.width - 4, long)
    local _, dy = self:dragged(id .. " bar", track)
    if dy then
      if self.pressed then
        kept.from = rect.contains(bar, bar.x, self.mouse.y) and offset or (self.mouse.y - area.y - long / 2) / room * most
      end
      offset = (kept.from or offset) + dy / room * most
    end
    self.w:round(bar.x, track.y + room * math.min(math.max(offset / most, 0), 1), bar.width, bar.height, 3,
      (dy or self:over(track)) and self.theme.faint or self.theme.line)
  end
  offset = math.floor(math.min(math.max(offset, 0), most))
  kept.offset = offset
  self:within(inner, function() draw(offset, inner) end)
  return offset
end

--- Rows of one height, of which only those to be seen are drawn: draw(i, area, chosen, over). The arrows, PgUp, PgDn, Home, End choose when it
--- has the keyboard; so does a click. The chosen row, and "chosen" | "taken" (double click or Return) when a person just did that.
---@return integer chosen, string? what, table? event
function M:rows(id, area, count, high, chosen, draw)
  local focused, what, at = self:focusable(id), nil, nil
  local page = math.max(math.floor(area.height / high) - 1, 1)
  local reveal
  if focused and count > 0 then
    local key = self:take("up", "down", "page up", "page down", "home", "end", "return", "keypad enter")
    local to = key == "up" and chosen - 1 or key == "down" and chosen + 1 or key == "page up" and chosen - page or key == "page down" and chosen + page
      or key == "home" and 1 or key == "end" and count
    if to then
      chosen, what = math.min(math.max(to, 1), count), "chosen"
      reveal = { (chosen - 1) * high, high }
    elseif key then what = "taken" end
  end
  local event
  self:scroll(id, area, count * high, function(offset, inner)
    if self:over(inner) then
      at = math.floor((self.mouse.y - inner.y + offset) / high) + 1
      if at > count then at = nil end
    end
    local hit
    hit, event = self:clicked(id .. " row", inner)
    if hit and at then
      chosen, what = at, event.clicks == 2 and "taken" or "chosen"
      self.focus, self.by_keyboard = id, false
    end
    for i = offset // high + 1, math.min((offset + inner.height) // high + 1, count) do
      local row = rect.new(inner.x, inner.y + (i - 1) * high - offset, inner.width, high)
      if i == chosen then self.w:fill(row.x, row.y, row.width, row.height, self.focus == id and self.theme.selection or self.theme.raised)
      elseif i == at then self.w:fill(row.x, row.y, row.width, row.height, self.theme.hover) end
      draw(i, row, i == chosen, i == at)
    end
  end, { step = high * 3, reveal = reveal })
  if focused and self.by_keyboard then self:ring(rect.inset(area, 2)) end
  return chosen, what, event
end

--- A bar of how far something is, 0 to 1; nil: nobody knows.
function M:progress(area, share)
  self.w:round(area.x, area.y, area.width, area.height, 3, self.theme.raised)
  if share then
    self.w:round(area.x, area.y, math.max(area.width * math.min(share, 1), 3), area.height, 3, self.theme.accent)
  else
    local at = self.now % 2 / 2
    self.w:round(area.x + area.width * 0.8 * (at < 0.5 and at * 2 or 2 - at * 2), area.y, area.width * 0.2, area.height, 3, self.theme.accent)
    self.moving = true
  end
end

return M
