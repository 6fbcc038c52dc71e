-- field.lua - text that a person writes, in one line or many, over a document of window.text. A method of window.ui.
--
--   local document = text.new "a red door"
--   local what = ui:field("caption", area, document, { lines = true, marks = { { 3, 6, theme.trigger } } })   -- "changed", "enter", "escape", nil
--
-- Left to the caller are the keys that move between pictures (PgUp, PgDn), Ctrl+Z when nothing was typed that could be taken back, and all
-- that it does not know.
local rect = require "window.rect"
local theme = require "window.theme"

local M = {}

local BLINK = 1.06 -- seconds
local MOVES = { left = "left", right = "right", ["ctrl+left"] = "word left", ["ctrl+right"] = "word right", home = "line home", ["end"] = "line end",
  ["ctrl+home"] = "home", ["ctrl+end"] = "end" }
local LINES = { up = "up", down = "down" }
local DELETES = { backspace = "left", delete = "right", ["ctrl+backspace"] = "word left", ["ctrl+delete"] = "word right" }

-- What the document did not take, which is nothing that a person sees.
local function refused(self, _, why)
  if why then self:say("warning", "too long: " .. why) end
end

-- One key; whether it was for the field. Second: "enter" or "escape".
local function key_pressed(self, document, name, event, lines)
  local plain = event.shift and name:gsub("shift%+", "", 1) or name
  local move = MOVES[plain] or lines and LINES[plain]
  if move then return true, document:move(move, event.shift or false) and nil end
  if DELETES[plain] then return true, document:delete(DELETES[plain]) and nil end
  if name == "ctrl+a" then return true, document:select_all() and nil end
  if name == "ctrl+c" or name == "ctrl+insert" or name == "ctrl+x" or name == "shift+delete" then
    if not document:selection() then return name ~= "ctrl+x" and name ~= "shift+delete" and false or true end
    local copied = self.window:clipboard(document:copy())
    if copied and (name == "ctrl+x" or name == "shift+delete") then document:cut() end -- what nobody took stays
    return true
  end
  if name == "ctrl+v" or name == "shift+insert" then
    local pasted, message = self.window:clipboard()
    if not pasted then return true, self:say("warning", message) end
    if not lines and #pasted <= document.most then pasted = pasted:gsub("%s*[\r\n]+%s*", " ") end
    refused(self, document:paste(pasted))
    return true
  end
  if name == "ctrl+z" then return document:undo() end
  if name == "ctrl+y" or name == "ctrl+shift+z" then return document:redo() end
  if lines and name == "shift+return" then return true, document:insert "\n" and nil end
  if name == "return" or name == "keypad enter" then return true, "enter" end
  if name == "escape" then return true, "escape" end
  -- what makes a character comes as text, too
  return not event.ctrl and not event.alt and (utf8.len(event.key) == 1 or event.key == "space" or event.key:find "^keypad ." ~= nil)
end

-- The caret's and the mouse's places, and what is painted, at `offset`.
local function paint(self, document, area, offset_x, offset_y, high, style, how, focused)
  local from, to = document:selection()
  local shown, composed_from, composed_to = document:shown()
  local first = math.max(offset_y // high + 1, 1)
  for i = first, math.min(#document.lines, first + area.height // high + 1) do
    local line = document.lines[i]
    local x, y = area.x - offset_x, area.y + (i - 1) * high - offset_y
    local function band(a, b, color, low)
      local f, t = math.max(a, line.from), math.min(b, line.to)
      if f > t or f == t and b <= line.to then return end
      local x1, x2 = line.x[f - line.from + 1], line.x[t - line.from + 1]
      if b > line.to and line.last then x2 = x2 + 6 end
      self.w:fill(x + x1, low and y + high - 2 or y, x2 - x1, low and 2 or high, color)
    end
    for _, mark in ipairs(how.marks or {}) do band(mark[1], mark[2], mark[3], mark.low) end
    if from and from < to then band(from, to, self.theme.selection) end
    if composed_from and composed_from < composed_to then band(composed_from, composed_to, self.theme.accent, true) end
    self.w:text(x, y, line.text, style)
  end
  if shown == "" and how.hint and not focused then
    self.w:text(area.x, area.y, self:fit(how.hint, area.width, style), { size = style.size, color = self.theme.disabled })
  elseif shown == "" and how.hint then
    self.w:text(area.x + 4, area.y, self:fit(how.hint, area.width, style), { size = style.size, color = self.theme.disabled })
  end
  if focused then
    local x, line = document:xy()
    local cx, cy = area.x + x - offset_x, area.y + (line - 1) * high - offset_y
    if (self.now - (self.struck or 0)) % BLINK < BLINK / 2 then self.w:fill(cx - 0.5, cy + 1, 1.5, high - 2, self.theme.text) end
    self.wants_typing = rect.new(cx, cy, 2, high)
    self.blinks = true
  end
end

-- The places of characters in a line: one function for each size, for a document is wrapped again when it is another one.
local function advances_at(self, size)
  self.advances = self.advances or {}
  local known = self.advances[size]
  if not known then
    local style, window = { size = size }, self.window
    known = function(line) return window:advances(line, style) end
    self.advances[size] = known
  end
  return known
end

--- A field. how: lines (many), hint (shown while it is empty), marks = { { from, to (code points), color, low = underline } }, bad (what is wrong
--- with it: it is framed), size.
---@param document table of window.text
---@return "changed"|"enter"|"escape"|nil
function M:field(id, area, document, how)
  how = how or {}
  local focused, what, version, caret = self:focusable(id), nil, document.version, document.caret
  local style = { size = how.size or theme.size.text, color = self.theme.text }
  local high = self.window:line_height(style.size)
  local inner = rect.inset(area, 8, how.lines and 6 or math.max((area.height - high) / 2, 0))
  local advances = advances_at(self, style.size)
  local function wrap()
    document:wrap(how.lines and math.max(inner.width - theme.size.scrollbar - 2, 20) or math.huge, advances, math.max(inner.height // high, 1))
  end
  if focused then
    if self.typed then
      document:compose("", 0, 0)
      refused(self, document:insert(how.lines and self.typed or (self.typed:gsub("[\r\n]+", " "))))
      self.typed = nil
    elseif self.composed then
      document:compose(self.composed.text, self.composed.start, self.composed.length)
    end
    local event = self.left[1]
    if event then
      wrap()
      local taken, said = key_pressed(self, document, self.key_name(event), event, how.lines)
      if taken then self.left, what = {}, said end
      self.struck = self.now
    end
  elseif document.composing then document:compose("", 0, 0) end -- an input method goes on elsewhere
  wrap()

  local ground = how.quiet and self.theme.panel or self.theme.well
  self.w:round(area.x, area.y, area.width, area.height, theme.size.radius, ground)
  self.w:frame(area.x, area.y, area.width, area.height, how.bad and self.theme.bad or focused and self.theme.focus or self.theme.line, focused and 2 or 1)
  if self:over(area) then
    self.shape = "text"
    if how.bad then self:tip(area, how.bad) elseif how.tip then self:tip(area, how.tip) end
  end

  local function mouse(offset_x, offset_y)
    local function place()
      local line = math.min(math.max((self.mouse.y - inner.y + offset_y) // high + 1, 1), #document.lines)
      return self.mouse.x - inner.x + offset_x, math.tointeger(line)
    end
    if self.pressed and self.pressed.button == "left" and self:over(area) then
      self.focus, self.active, self.by_keyboard, self.struck, focused = id, id, false, self.now, true
      local x, line = place()
      document:click(x, line, self.pressed.clicks, self.pressed.shift)
    elseif self.active == id and self.held.x and (self.mouse.x ~= self.held.x or self.mouse.y ~= self.held.y) then
      local x, line = place()
      document:drag(x, line)
    end
  end

  local moved = document.version ~= version or document.caret ~= caret
  local x, line = document:xy()
  if how.lines then
    self:scroll(id, inner, #document.lines * high, function(offset, seen)
      mouse(0, offset)
      paint(self, document, seen, 0, offset, high, style, how, focused)
    end, { step = high * 2, reveal = moved and { (line - 1) * high, high } or nil })
  else
    local kept = self:kept(id)
    local offset = kept.x or 0
    if x < offset then offset = x elseif x > offset + inner.width - 2 then offset = x - inner.width + 2 end
    local long = document.lines[1].x[#document.lines[1].x]
    offset = math.max(math.min(offset, long - inner.width + 2), 0)
    kept.x = offset
    self:within(inner, function()
      mouse(offset, 0)
      paint(self, document, inner, offset, 0, high, style, how, focused)
    end)
  end
  if document.version ~= version then what = what or "changed" end
  return what
end

return M
