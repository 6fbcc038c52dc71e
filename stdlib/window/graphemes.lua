-- graphemes.lua - where a caret may stand among characters, and where words begin and end.
--
--   local chars = graphemes.characters "e\u{301} do"      --> { "e", "\u{301}", " ", "d", "o" }
--   graphemes.extends(chars, 2)                           --> true: the accent belongs to the letter before it
--   graphemes.whole(chars, 1, 1)                          --> 2: the nearest place to the right that tears nothing
--   graphemes.word_left(chars, 5)                         --> 3
--   graphemes.word_around(chars, 4)                       --> 3, 5
--
-- Places are code points from 0. Told together are letters with their marks, joined emoji, skin tones and flags; Hangul
-- letters that stand one by one are not joined.
local kind = require("native.text").kind
local words = require "caption.words"

local M = {}

--- The code points of a text, each as a string.
---@param s string valid UTF-8
---@return string[]
function M.characters(s)
  local chars = {}
  for _, code in utf8.codes(s) do chars[#chars + 1] = utf8.char(code) end
  return chars
end

function M.code_of(char) return utf8.codepoint(char) end

local FLAGS = 64 -- letters of flags that belong together at most: more in a row are no flags, and stand one by one

local function flag(code) return code >= 0x1F1E6 and code <= 0x1F1FF end

--- Does this character belong to the one before it?
function M.extends(chars, i)
  local code = M.code_of(chars[i])
  if code < 0x300 then return false end
  local before = chars[i - 1] and M.code_of(chars[i - 1])
  if not before or before == 10 then return false end
  if before == 0x200D or code == 0x200D or (code >= 0x1F3FB and code <= 0x1F3FF) or (code >= 0xE0020 and code <= 0xE007F) then return true end
  if kind(code) == "mark" then return true end
  if flag(code) and flag(before) then
    local run = 0
    for k = i - 1, math.max(i - FLAGS, 1), -1 do
      if not flag(M.code_of(chars[k])) then break end
      run = run + 1
    end
    return run % 2 == 1
  end
  return false
end

--- The nearest place before or after which no character is torn.
function M.whole(chars, pos, step)
  while pos > 0 and pos < #chars and M.extends(chars, pos + 1) do pos = pos + step end
  return pos
end

local JOINTS = { ["'"] = true, ["\u{2019}"] = true }

--- Is the character a part of a word? So is an apostrophe within one.
function M.wordy(chars, i)
  local char = chars[i]
  if not char then return false end
  local class = words.class(M.code_of(char))
  if class == "word" or class == "hangul" then return true end
  return JOINTS[char] and chars[i - 1] and chars[i + 1] and words.class(M.code_of(chars[i - 1])) == "word"
    and words.class(M.code_of(chars[i + 1])) == "word" or false
end

local function class_at(chars, i)
  if M.wordy(chars, i) then return "word" end
  local class = words.class(M.code_of(chars[i]))
  if class == "alone" then return "alone" end
  return chars[i] == "\n" and "line" or class == "space" and "space" or "other"
end

--- To the end of the word on the right; what stands in between is skipped.
function M.word_right(chars, pos)
  while pos < #chars and not (M.wordy(chars, pos + 1) or class_at(chars, pos + 1) == "alone") do pos = pos + 1 end
  if pos < #chars and class_at(chars, pos + 1) == "alone" then return M.whole(chars, pos + 1, 1) end
  while pos < #chars and M.wordy(chars, pos + 1) do pos = pos + 1 end
  return M.whole(chars, pos, 1)
end

--- To the beginning of the word on the left.
function M.word_left(chars, pos)
  while pos > 0 and not (M.wordy(chars, pos) or class_at(chars, pos) == "alone") do pos = pos - 1 end
  if pos > 0 and class_at(chars, pos) == "alone" then return M.whole(chars, pos - 1, -1) end
  while pos > 0 and M.wordy(chars, pos) do pos = pos - 1 end
  return M.whole(chars, pos, -1)
end

--- The word, the run of spaces or of signs, or the line end at a place: from, to.
function M.word_around(chars, pos)
  local i = pos < #chars and pos + 1 or pos
  if i < 1 then return 0, 0 end
  local class = class_at(chars, i)
  if class == "alone" or class == "line" then return i - 1, i end
  local from, to = i - 1, i
  while from > 0 and class_at(chars, from) == class do from = from - 1 end
  while to < #chars and class_at(chars, to + 1) == class do to = to + 1 end
  return from, to
end

--- From one line end to the next.
function M.paragraph_around(chars, pos)
  local from, to = pos, pos
  while from > 0 and chars[from] ~= "\n" do from = from - 1 end
  while to < #chars and chars[to + 1] ~= "\n" do to = to + 1 end
  return from, to
end

return M
