-- linebreaks.lua - where lines end that are no wider than so much: after spaces and hyphens, and between the letters of scripts without spaces.
--
--   local lines = linebreaks.wrap("a red door", 60, function(s) return w:advances(s, { size = 14 }) end)
--   lines[1]                                              --> { text = "a red ", from = 0, to = 6, x = { 0, 8, ... }, last = false }
--
-- A line: its text; `from` and `to`, its places in the whole, code points from 0; `x`, pixels of each place from the line's left edge;
-- `last`, whether a line end of the text (or the text's own end) ends it.
local graphemes = require "window.graphemes"
local words = require "caption.words"

local M = {}

-- What may not begin a line.
local CLOSING = {}
for _, code in utf8.codes "、。，．：；！？）」』】〉》〕］｝・ー々’”,.:;!?)]}%…" do CLOSING[code] = true end

-- May a line end before chars[i]?
local function breaks(chars, i)
  local left, right = chars[i - 1], chars[i]
  if right == " " or right == "\t" or graphemes.extends(chars, i) then return false end
  if left == " " or left == "\t" then return true end
  if left == "-" and i > 2 and graphemes.wordy(chars, i - 2) and graphemes.wordy(chars, i) then return true end
  local b = graphemes.code_of(right)
  if CLOSING[b] then return false end
  return words.class(graphemes.code_of(left)) == "alone" or words.class(b) == "alone"
end

-- Where the line ends that begins at `from`; x are the places of the paragraph.
local function line_end(chars, x, from, width)
  local n = #chars
  local to = from
  while to < n and x[to + 2] - x[from + 1] <= width do to = to + 1 end
  if to == n then return n end
  local over = to
  while over < n and (chars[over + 1] == " " or chars[over + 1] == "\t") do over = over + 1 end -- spaces may hang over the edge
  if over > to then return over end
  for i = to, from + 1, -1 do if breaks(chars, i + 1) then return i end end
  to = math.max(to, from + 1)
  local back = graphemes.whole(chars, to, -1)
  return back > from and back or graphemes.whole(chars, to, 1)
end

--- The lines of a text, at most `width` pixels wide (nil: only where the text has its own ends). `advances(line)` gives the pixels before each
--- character and those behind the last.
---@param s string
---@param width? number
---@param advances fun(line: string): number[]
---@return { text: string, from: integer, to: integer, x: number[], last: boolean }[]
function M.wrap(s, width, advances)
  local lines, start = {}, 0
  for paragraph in (s .. "\n"):gmatch "(.-)\n" do
    local chars, x = graphemes.characters(paragraph), advances(paragraph)
    local from = 0
    repeat
      local to = width and line_end(chars, x, from, width) or #chars
      local places = {}
      for i = from, to do places[#places + 1] = x[i + 1] - x[from + 1] end
      lines[#lines + 1] = { from = start + from, to = start + to, text = table.concat(chars, "", from + 1, to), x = places, last = to == #chars }
      from = to
    until from >= #chars
    start = start + #chars + 1
  end
  return lines
end

return M
