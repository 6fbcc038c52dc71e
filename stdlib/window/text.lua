-- text.lua - a text that is being written: caret, selection, lines, undo, what an input method composes. It draws nothing and asks nobody.
--
--   local t = text.new "a red door"                      -- text.new("", { single = true }): line ends become spaces (input boxes)
--   t:move "end" t:insert ", open"                       --> t:text() == "a red door, open"
--   t:move("word left", true)                            --> t:selected() == "open"
--   t:delete "left" t:undo()                             --> "a red door, open" again
--   t:wrap(300, function(line) return w:advances(line, { size = 14 }) end)
--   for i, line in ipairs(t.lines) do w:text(0, i * 20, line.text, { size = 14 }) end
--   local x, line = t:xy()                               -- where the caret stands
--   t:click(x, line, 2)                                  -- the word there
--   t:compose("にほ", 2, 0)                              -- t:shown() has it, t:text() has not; t:insert "日本" ends it
--
-- Places are code points from 0, as w:advances counts them. The caret never stops between a letter and its accents, nor inside an emoji that
-- is put together. `version` rises with every change of the text, `moved` with every change of what is seen of it.
local graphemes = require "window.graphemes"
local kind = require("native.text").kind
local linebreaks = require "window.linebreaks"
local words = require "caption.words"

local characters, code_of, whole = graphemes.characters, graphemes.code_of, graphemes.whole

local M = {}
local Text = {}
Text.__index = Text

M.MOST = 32 << 10 -- bytes: ten times what any text encoder reads, and each letter is still laid out within a frame or two
local STEPS = 1000 -- of undo

local function clean(s, single)
  if not utf8.len(s) then
    local parts = {}
    for first, last, code in words.characters(s) do parts[#parts + 1] = code == 0xFFFD and "\u{FFFD}" or s:sub(first, last) end
    s = table.concat(parts)
  end
  s = s:gsub("\r\n?", "\n"):gsub("[\0-\8\11\12\14-\31\127]", "")
  return single and (s:gsub("[\n\t]+", " ")) or s
end

---@param s? string
---@param options? { single?: boolean, most?: integer }
function M.new(s, options)
  local self = setmetatable({ single = options and options.single, most = options and options.most or M.MOST, version = 0, moved = 0 }, Text)
  self:set(s or "")
  return self
end

--- Another text: nothing of the one before can be undone.
function Text:set(s)
  self.chars = characters(clean(s, self.single))
  self.caret, self.anchor, self.hang, self.goal, self.composing = 0, 0, false, nil, nil
  self.done, self.undone, self.joint = {}, {}, nil
  self:changed()
end

function Text:changed()
  self.version, self.moved, self.whole, self.laid = self.version + 1, self.moved + 1, nil, nil
end

function Text:text()
  self.whole = self.whole or table.concat(self.chars)
  return self.whole
end

function Text:length() return #self.chars end

-- --- Selection -----------------------------------------------------------------------------------------------------------------

--- The first place and the one after the last; nil when nothing is selected.
function Text:selection()
  if self.caret == self.anchor then return nil end
  return math.min(self.caret, self.anchor), math.max(self.caret, self.anchor)
end

function Text:part(from, to) return table.concat(self.chars, "", from + 1, to) end

function Text:selected()
  local from, to = self:selection()
  return from and self:part(from, to) or ""
end

local function clamp(self, pos) return math.max(0, math.min(math.floor(pos), #self.chars)) end

--- Select from one place to another: the caret stands at the second.
function Text:select(from, to)
  self.anchor, self.caret = whole(self.chars, clamp(self, from), -1), whole(self.chars, clamp(self, to), 1)
  self.goal, self.hang, self.joint, self.moved = nil, false, nil, self.moved + 1
end

function Text:select_all() self:select(0, #self.chars) end

-- --- Changes -------------------------------------------------------------------------------------------------------------------

-- Characters from..to become `chars`. Each change knows its way back.
local function splice(self, from, to, chars)
  local removed = table.move(self.chars, from + 1, to, 1, {})
  local tail = table.move(self.chars, to + 1, #self.chars, 1, {})
  for i = #self.chars, from + 1, -1 do self.chars[i] = nil end
  table.move(chars, 1, #chars, from + 1, self.chars)
  table.move(tail, 1, #tail, from + #chars + 1, self.chars)
  return removed
end

-- Letters that follow one another are one step back; so are characters deleted one after the other.
local function joins(self, how, from, to, chars)
  local last = self.done[#self.done]
  if not last or self.joint ~= how then return nil end
  if how == "type" and from == to and from == last.from + #last.new and #chars == 1 and chars[1] ~= "\n"
    and not (chars[1] ~= " " and last.new[#last.new] == " ") then return last end
  if how == "left" and #last.new == 0 and to == last.from then return last end
  if how == "right" and #last.new == 0 and from == last.from then return last end
end

local function change(self, how, from, to, chars)
  if from == to and #chars == 0 then return false end
  local before = { self.caret, self.anchor }
  local last = joins(self, how, from, to, chars)
  local old = splice(self, from, to, chars)
  if last and how == "type" then table.move(chars, 1, #chars, #last.new + 1, last.new)
  elseif last and how == "left" then
    last.old, last.from = table.move(last.old, 1, #last.old, #old + 1, old), from
  elseif last then table.move(old, 1, #old, #last.old + 1, last.old)
  else
    self.done[#self.done + 1] = { from = from, old = old, new = chars, before = before }
    if #self.done > STEPS then table.remove(self.done, 1) end
  end
  self.undone, self.joint, self.composing = {}, how, nil -- the place where it was composed may be none any more
  self.caret = from + #chars
  self.anchor, self.goal, self.hang = self.caret, nil, false
  self:changed()
  return true
end

--- What is typed, in the place of the selection. False and why when the text would become too long.
---@param s string
---@return boolean, string?
function Text:insert(s)
  self.composing = nil
  local long = ("%s is the most that is written here"):format(self.most >= 1024 and self.most // 1024 .. " kB" or self.most .. " bytes")
  if #s > self.most * 4 then return false, long end -- not even looked at: the clipboard may have a film
  s = clean(s, self.single)
  local from, to = self:selection()
  if s == "" and not from then
    self.moved, self.laid = self.moved + 1, nil
    return false
  end
  if #self:text() - #self:selected() + #s > self.most then return false, long end
  return change(self, from and "over" or "type", from or self.caret, to or self.caret, characters(s)) and true
end

local STEP = {
  ["left"] = function(self, pos) return whole(self.chars, math.max(0, pos - 1), -1) end,
  ["right"] = function(self, pos) return whole(self.chars, math.min(#self.chars, pos + 1), 1) end,
  ["word left"] = function(self, pos) return graphemes.word_left(self.chars, pos) end,
  ["word right"] = function(self, pos) return graphemes.word_right(self.chars, pos) end,
  ["line home"] = function(self, pos)
    local line = self:line_of(pos)
    if line then return self:from_shown(line.from) end
    while pos > 0 and self.chars[pos] ~= "\n" do pos = pos - 1 end
    return pos
  end,
  ["line end"] = function(self, pos)
    local line = self:line_of(pos)
    if line then return self:from_shown(line.to), not line.last end
    while pos < #self.chars and self.chars[pos + 1] ~= "\n" do pos = pos + 1 end
    return pos
  end,
  ["home"] = function() return 0 end,
  ["end"] = function(self) return #self.chars end,
}

--- The selection, or from the caret as far as the word says: "left", "right", "word left", "word right", "line home", "line end".
---@param what? string
---@return boolean
function Text:delete(what)
  local from, to = self:selection()
  if from then return change(self, "cut", from, to, {}) end
  local pos = STEP[what or "left"](self, self.caret)
  -- Backspace takes an accent alone: it was typed alone.
  if what == "left" and self.caret > 0 and kind(code_of(self.chars[self.caret])) == "mark" then pos = self.caret - 1 end
  if pos == self.caret then return false end
  return change(self, (what == "left" or what == "right") and what or "cut", math.min(pos, self.caret), math.max(pos, self.caret), {})
end

--- Backwards through what was typed since `set`.
---@return boolean
function Text:undo()
  local step = table.remove(self.done)
  if not step then return false end
  splice(self, step.from, step.from + #step.new, step.old)
  self.caret, self.anchor = step.before[1], step.before[2]
  self.undone[#self.undone + 1] = step
  self.goal, self.hang, self.joint, self.composing = nil, false, nil, nil
  self:changed()
  return true
end

---@return boolean
function Text:redo()
  local step = table.remove(self.undone)
  if not step then return false end
  splice(self, step.from, step.from + #step.old, step.new)
  self.caret = step.from + #step.new
  self.anchor = self.caret
  self.done[#self.done + 1] = step
  self.goal, self.hang, self.joint, self.composing = nil, false, nil, nil
  self:changed()
  return true
end

function Text:copy() return self:selected() end

function Text:cut()
  local s = self:selected()
  if s ~= "" then self:delete() end
  return s
end

--- Several characters as one step.
function Text:paste(s)
  self.joint = nil
  local did, why = self:insert(s)
  self.joint = nil
  return did, why
end

-- --- Input methods ----------------------------------------------------------------------------------------------------------------

--- What is being composed at the caret and is no text yet; "" ends it without one. `start`: where its own caret stands, `length`: of the
--- part that is chosen.
function Text:compose(s, start, length)
  s = clean(s, true)
  if s ~= "" and self:selection() then change(self, "cut", self:selection(), select(2, self:selection()), {}) end
  local chars = characters(s)
  self.composing = #chars > 0 and { chars = chars, at = self.caret, start = math.max(0, math.min(start or #chars, #chars)),
    length = length or 0 } or nil
  self.moved, self.laid = self.moved + 1, nil
end

--- What is to be seen, and from where to where it is being composed; nil when nothing is.
---@return string text, integer? from, integer? to
function Text:shown()
  local c = self.composing
  if not c then return self:text() end
  return self:part(0, c.at) .. table.concat(c.chars) .. self:part(c.at, #self.chars), c.at, c.at + #c.chars
end

--- A place of the text among what is to be seen, and back.
function Text:to_shown(pos)
  local c = self.composing
  if not c or pos < c.at then return pos end
  return pos == c.at and pos + c.start or pos + #c.chars
end

function Text:from_shown(pos)
  local c = self.composing
  if not c or pos <= c.at then return clamp(self, pos) end
  return clamp(self, math.max(c.at, pos - #c.chars))
end

-- --- Lines -------------------------------------------------------------------------------------------------------------------------

--- Lines no wider than `width` (nil: only where the text has its own ends). `advances(line)` gives the place before each character and
--- the one behind the last. Done again only when the text or the width is another.
---@param width? number
---@param advances fun(line: string): number[]
---@param page? integer lines that "page up" goes
function Text:wrap(width, advances, page)
  self.page = page or self.page
  local laid = self.laid
  if laid and laid.width == width and laid.advances == advances then return self.lines end
  local lines = linebreaks.wrap(self:shown(), width, advances)
  self.lines, self.laid = lines, { width = width, advances = advances }
  return lines
end

-- The line of a place of the text and its number; nil when nothing was wrapped since the text changed.
function Text:line_of(pos)
  if not self.laid then return nil end
  local at = self:to_shown(pos)
  for i, line in ipairs(self.lines) do
    local ends_here = at == line.to and (line.last or self.hang and pos == self.caret)
    if at >= line.from and (at < line.to or ends_here) then return line, i end
  end
  return self.lines[#self.lines], #self.lines
end

--- Where a place (the caret's) stands: x in its line, number of the line. After `wrap`.
---@param pos? integer
---@return number x, integer line
function Text:xy(pos)
  local line, number = self:line_of(pos or self.caret)
  return line.x[self:to_shown(pos or self.caret) - line.from + 1] or line.x[#line.x], number
end

--- The place nearest to x in a line. Second: at the end of a line that goes on in the next one.
---@return integer pos, boolean hang
function Text:at(x, number)
  local line = self.lines[math.max(1, math.min(number, #self.lines))]
  local best, distance = line.from, math.huge
  for i, place in ipairs(line.x) do
    if math.abs(place - x) < distance then best, distance = line.from + i - 1, math.abs(place - x) end
  end
  local hang = best == line.to and not line.last
  local pos = self:from_shown(best)
  pos = whole(self.chars, pos, -1)
  return pos, hang
end

-- --- Moving ------------------------------------------------------------------------------------------------------------------------

local function put(self, pos, keep, hang)
  self.caret = clamp(self, pos)
  if not keep then self.anchor = self.caret end
  self.hang, self.joint, self.moved = hang or false, nil, self.moved + 1
end

local ROWS = { up = -1, down = 1, ["page up"] = -1, ["page down"] = 1 }

--- "left", "right", "word left", "word right", "line home", "line end", "home", "end"; after `wrap` also "up", "down", "page up", "page down".
--- With `keep` the selection grows. False when the caret is there already.
---@param where string
---@param keep? boolean
---@return boolean
function Text:move(where, keep)
  local caret, anchor, hang = self.caret, self.anchor, self.hang
  if ROWS[where] then
    if not self.laid then return false end
    local x, number = self:xy()
    self.goal = self.goal or x
    local goal = self.goal
    local target = number + ROWS[where] * (where:find "page" and math.max(1, (self.page or 10) - 1) or 1)
    if target < 1 then put(self, 0, keep)
    elseif target > #self.lines then put(self, #self.chars, keep)
    else
      local pos, over = self:at(goal, target)
      put(self, pos, keep, over)
    end
    self.goal = goal
  else
    local from, to = self:selection()
    if from and not keep and (where == "left" or where == "right") then put(self, where == "left" and from or to)
    else
      local pos, over = STEP[where](self, self.caret)
      put(self, pos, keep, over)
    end
    self.goal = nil
  end
  return self.caret ~= caret or self.anchor ~= anchor or self.hang ~= hang
end

local function unit_around(self, pos)
  if self.unit == "word" then return graphemes.word_around(self.chars, pos) end
  if self.unit == "line" then return graphemes.paragraph_around(self.chars, pos) end
  return pos, pos
end

--- The mouse went down there: one click puts the caret, two select the word, three the line. With `keep` (shift) the selection grows.
---@param x number
---@param line integer
---@param clicks? integer
---@param keep? boolean
function Text:click(x, line, clicks, keep)
  local pos, hang = self:at(x, line)
  self.goal = nil
  self.unit = clicks and clicks % 3 == 2 and "word" or clicks and clicks > 0 and clicks % 3 == 0 and "line" or nil
  if self.unit and not keep then
    local from, to = unit_around(self, pos)
    self.origin = { from, to }
    self:select(from, to)
  else
    put(self, pos, keep, hang)
    self.origin = { self.anchor, self.anchor }
  end
end

--- The mouse moved on with its button down: whole words after a double click.
function Text:drag(x, line)
  if not self.origin then return end
  local pos, hang = self:at(x, line)
  local from, to = unit_around(self, pos)
  if from < self.origin[1] then self.anchor = self.origin[2] put(self, from, true)
  else
    self.anchor = self.origin[1]
    put(self, math.max(to, self.origin[2]), true, hang and not self.unit)
  end
end

return M
