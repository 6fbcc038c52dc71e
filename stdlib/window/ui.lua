-- ui.lua - widgets that are drawn anew in every pass; the call that draws one says what a person did to it.
--
--   local ui = UI.new(window, theme.dark)
--   ui:begin(event)                             -- one event a pass; nil: only time went by
--   if ui:button("reload", rect.top(area, 28), "Reload") then ... end
--   for key in ui:keys() do ... end             -- what no widget took
--   ui:finish()
--
-- A pass whose event is followed by others is `dry`: widgets answer, nothing is painted. So every event meets the screen as it is, in its
-- order, and a burst of typing costs one picture. Ids are strings, one for each widget on the screen.
--
-- What lies on top is a layer: only the topmost layer under the mouse feels it, and while one is modal only that one has the keys.
local rect = require "window.rect"

---@class calotype.ui
---@field w table the window
---@field theme table
---@field now number seconds, rising
---@field focus? string the widget that has the keyboard
local UI = {}
UI.__index = UI

local log = require "native.log"

-- Answers all that the window does and paints nothing.
local function unpainted(w)
  local nothing = function() end
  local dry = setmetatable({}, { __index = function(_, name)
    return function(_, ...) return w[name](w, ...) end
  end })
  for _, name in ipairs { "fill", "frame", "line", "polyline", "round", "clip", "picture", "begin", "show", "cursor" } do dry[name] = nothing end
  function dry.text(_, _, _, text, how)
    local advances = w:advances(text, how)
    return advances[#advances]
  end
  return dry
end

---@param w table native.window's
---@param theme table
---@return calotype.ui
function UI.new(w, theme)
  return setmetatable({ window = w, unpainted = unpainted(w), w = w, theme = theme, mouse = { x = -1, y = -1 }, state = {}, clips = {}, layers = {},
    before = {}, order = {}, left = {}, toasts = {}, fitted = {}, fitted_count = 0, now = log.clock(), held = {} }, UI)
end

--- What is kept for a widget between passes.
---@param id string
---@return table
function UI:kept(id)
  local kept = self.state[id]
  if not kept then
    kept = {}
    self.state[id] = kept
  end
  return kept
end

-- --- a pass -------------------------------------------------------------------------------------------------------------------------------

--- Begin a pass.
---@param event? table of native.window
---@param dry? boolean more events wait: nothing is painted
function UI:begin(event, dry)
  self.w = dry and self.unpainted or self.window
  self.dry = dry or false
  self.now = log.clock()
  local width, height = self.window:size()
  self.screen = rect.new(0, 0, width, height)
  self.clips, self.order, self.layer = {}, {}, nil
  self.before, self.layers = self.layers, {}
  self.left, self.pressed, self.released, self.wheel, self.typed, self.composed, self.wants_typing = {}, nil, nil, nil, nil, nil, nil
  self.shape, self.tooltip = "arrow", nil
  if event then
    if event.kind == "mouse" then
      self.mouse.x, self.mouse.y = event.x, event.y
      if event.what == "down" then
        self.pressed = event
        self.held = { button = event.button, x = event.x, y = event.y, shift = event.shift, ctrl = event.ctrl }
      elseif event.what == "up" then self.released = event
      elseif event.what == "wheel" then self.wheel = event end
      self.moved = self.now
    elseif event.kind == "key" then self.left[1], self.moved = event, nil -- and no tip where the mouse happens to be
    elseif event.kind == "text" then self.typed, self.moved = event.text, nil
    elseif event.kind == "editing" then self.composed = event
    elseif event.kind == "focus" and not event.on then
      self.mouse.x, self.mouse.y = -1, -1
    end
  end
  self.top = nil -- the layer that feels the mouse: as it lay in the last pass
  for i = #self.before, 1, -1 do
    local layer = self.before[i]
    if layer.modal or rect.contains(layer.area, self.mouse.x, self.mouse.y) then
      self.top = layer.name
      break
    end
  end
  self.modal = nil
  for i = #self.before, 1, -1 do
    if self.before[i].modal then
      self.modal = self.before[i].name
      break
    end
  end
  self.w:begin(self.theme.ground)
end

--- End it: what lies on top is drawn, Tab moves on, and the picture is shown.
function UI:finish()
  self:draw_menu()
  self:draw_toasts()
  self:draw_tip()
  for i, key in ipairs(self.left) do
    if key.key == "tab" and not key.ctrl and not key.alt and #self.order > 0 then
      self:move_focus(key.shift and -1 or 1)
      table.remove(self.left, i)
      break
    end
  end
  if self.released then self.active, self.held = nil, {} end
  local typing = self.wants_typing
  if typing then self.window:typing(typing.x, typing.y, typing.width, typing.height)
  elseif self.was_typing then self.window:typing(false) end
  self.was_typing = typing ~= nil
  self.w:cursor(self.shape)
  if not self.dry then self.w:show() end
end

--- The keys that no widget took, which are the caller's then. None while a layer is modal.
---@return fun(): table?
function UI:keys()
  return function()
    local key = self.left[1]
    if self.modal or key and key.key == "tab" and not key.ctrl and not key.alt then return nil end -- Tab is of `finish`
    return table.remove(self.left, 1)
  end
end

--- The key of this pass when it is one of `names` ("return", "ctrl+c"); it is taken.
function UI:take(...)
  local event = self.left[1]
  if not event or not self:has_keys() then return nil end
  local name = self.key_name(event)
  for i = 1, select("#", ...) do
    if name == select(i, ...) then
      self.left = {}
      return name, event
    end
  end
end

--- A key event as it is written in tables: "ctrl+shift+m".
function UI.key_name(event)
  return (event.ctrl and "ctrl+" or "") .. (event.alt and "alt+" or "") .. (event.shift and "shift+" or "") .. event.key
end

-- Whether the layer that is drawn now has the keyboard.
function UI:has_keys() return not self.modal or self.layer == self.modal end

-- --- layers and clips ---------------------------------------------------------------------------------------------------------------------

--- What `draw` draws lies above what was drawn before. `modal`: nothing below it feels anything.
function UI:on_top(name, area, modal, draw)
  local outer, clips = self.layer, self.clips
  self.layers[#self.layers + 1] = { name = name, area = area, modal = modal }
  self.layer, self.clips = name, {}
  self.w:clip()
  draw()
  self.layer, self.clips = outer, clips
  self:reclip()
end

function UI:reclip()
  local clip = self.clips[#self.clips]
  if clip then self.w:clip(clip.x, clip.y, clip.width, clip.height) else self.w:clip() end
end

--- Draw within `area` only.
function UI:within(area, draw)
  local outer = self.clips[#self.clips]
  self.clips[#self.clips + 1] = outer and rect.common(outer, area) or area
  self:reclip()
  draw()
  self.clips[#self.clips] = nil
  self:reclip()
end

--- Whether the mouse is over `area`, and this layer feels it.
function UI:over(area)
  if self.top ~= self.layer then return false end
  local clip, x, y = self.clips[#self.clips], self.mouse.x, self.mouse.y
  return rect.contains(area, x, y) and (not clip or rect.contains(clip, x, y))
end

-- --- what a person does ---------------------------------------------------------------------------------------------------------------------

--- A widget that the keyboard can reach; whether it has it.
function UI:focusable(id)
  if self:has_keys() then self.order[#self.order + 1] = id end
  return self.focus == id and self:has_keys()
end

function UI:move_focus(step)
  local at = step > 0 and 0 or #self.order + 1
  for i, id in ipairs(self.order) do if id == self.focus then at = i end end
  self.focus = self.order[(at - 1 + step) % #self.order + 1]
  self.by_keyboard = true
end

--- Whether `area` was clicked: pressed and let go in it. Second: the event, for its button and keys.
---@return boolean, table?
function UI:clicked(id, area, button)
  button = button or "left"
  if self.pressed and self.pressed.button == button and self:over(area) then self.active = id end
  if self.released and self.released.button == button and self.active == id and self:over(area) then return true, self.released end
  return false
end

--- While it is held since it was pressed in `area`: how far the mouse is from there.
---@return number? dx, number? dy
function UI:dragged(id, area)
  if self.pressed and self.pressed.button == "left" and self:over(area) then self.active = id end
  if self.active == id and self.held.x then return self.mouse.x - self.held.x, self.mouse.y - self.held.y end
end

-- --- painting -----------------------------------------------------------------------------------------------------------------------------

local ELLIPSIS = "\u{2026}"
local REMEMBERED = 4000 -- texts cut to a width
local LINE = 4096 -- bytes of a text that are looked at for one line of the screen; no line is as long

-- Its first bytes, or its last, with no letter torn: what a screen has room for is not measured by what a file may have.
local function piece(text, most, from)
  if #text <= most then return text end
  if from == "left" then return text:sub(utf8.offset(text, 0, #text - most + 1)) end
  return text:sub(1, utf8.offset(text, 0, most + 1) - 1)
end

--- `text` in one line of at most `width`, with an ellipsis where it was cut; `from` "left": its end is kept.
---@return string
function UI:fit(text, width, how, from)
  local long = #text > LINE
  text = piece(text, LINE, from):gsub("%s+", " ")
  local size = how and how.size or self.theme_size("text")
  local key = ("%d|%d|%s|%s"):format(math.floor(width), size, from or "", text)
  local known = self.fitted[key]
  if known then return known end
  if self.fitted_count >= REMEMBERED then self.fitted, self.fitted_count = {}, 0 end
  local advances = self.window:advances(text, how or { size = size })
  local fits = text
  if long or advances[#advances] > width then
    local dots = self.window:advances(ELLIPSIS, how or { size = size })
    local room, all, n = width - dots[#dots], advances[#advances], 0
    if from == "left" then
      n = #advances
      while n > 1 and all - advances[n - 1] <= room do n = n - 1 end
      fits = ELLIPSIS .. text:sub(utf8.offset(text, n) or #text + 1)
    else
      while advances[n + 2] and advances[n + 2] <= room do n = n + 1 end
      fits = text:sub(1, (utf8.offset(text, n + 1) or #text + 1) - 1) .. ELLIPSIS
    end
  end
  self.fitted[key], self.fitted_count = fits, self.fitted_count + 1
  return fits
end

function UI.theme_size(name) return require("window.theme").size[name] end

--- One line of text in the middle of `area`'s height. how: size, color, bold, mono, align "left" | "centre" | "right", cut "left" | "right".
---@return number width
function UI:label(area, text, how)
  how = how or {}
  local style = { size = how.size or self.theme_size "text", bold = how.bold, mono = how.mono, color = how.color or self.theme.text }
  local shown = self:fit(text, area.width, style, how.cut)
  if #shown < #text and not self.dry and shown:find(ELLIPSIS, 1, true) and self:over(area) then -- all of it, unless there is more to say
    self:tip(area, text)
  end
  local advances = self.window:advances(shown, style)
  local width = advances[#advances]
  local x = how.align == "right" and area.x + area.width - width or how.align == "centre" and area.x + (area.width - width) / 2 or area.x
  self.w:text(x, area.y + (area.height - self.window:line_height(style.size)) / 2, shown, style)
  return width
end

--- Lines of text from the top of `area`, wrapped at its width; how high they are.
---@return number height
function UI:paragraph(area, text, how)
  how = how or {}
  local style = { size = how.size or self.theme_size "text", bold = how.bold, mono = how.mono, color = how.color or self.theme.text }
  local high, y = self.window:line_height(style.size), area.y
  local room = (math.max(area.height, 0) / high + 2) * math.max(area.width, 1) -- bytes: no letter is narrower than two of its bytes
  for _, line in ipairs(self:wrapped(piece(text, math.max(math.ceil(room * 2), LINE)), area.width, style)) do
    if y + high > area.y and y < area.y + area.height then self.w:text(area.x, y, line, style) end
    y = y + high
  end
  return y - area.y
end

--- The lines of `text` at a width, broken at spaces, or in words that are wider than it.
---@return string[]
function UI:wrapped(text, width, style)
  local lines = {}
  for paragraph in (text .. "\n"):gmatch "(.-)\n" do
    local advances = self.window:advances(paragraph, style)
    local from, space, n = 1, nil, #advances - 1 -- code points
    local offsets = {}
    for position in utf8.codes(paragraph, true) do offsets[#offsets + 1] = position end
    offsets[#offsets + 1] = #paragraph + 1
    local i = 1
    while i <= n do
      local character = paragraph:sub(offsets[i], offsets[i + 1] - 1)
      if character == " " then space = i end
      if advances[i + 1] - advances[from] > width and i > from and character ~= " " then
        local stop = space and space >= from and space or i - 1
        lines[#lines + 1] = paragraph:sub(offsets[from], offsets[stop + 1] - 1)
        from, space = stop + 1, nil
        i = from
      else
        i = i + 1
      end
    end
    lines[#lines + 1] = paragraph:sub(offsets[from] or #paragraph + 1)
  end
  return lines
end

--- The ring around what has the keyboard.
function UI:ring(area)
  self.w:frame(area.x - 2, area.y - 2, area.width + 4, area.height + 4, self.theme.focus, 2)
end

for _, part in ipairs { "window.widgets", "window.field", "window.overlays" } do
  for name, method in pairs(require(part)) do UI[name] = method end
end

return UI
