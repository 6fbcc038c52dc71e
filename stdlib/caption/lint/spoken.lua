-- spoken.lua - what a model says besides a caption: how a text begins, and whether it is an excuse.
local look = require "caption.lint.look"
local phrases = require "caption.phrases"
local text_of = require "native.text"
local words = require "caption.words"

local M = {}

--- Without what a model says before it comes to the point.
function M.beginning(s)
  s = text_of.lower(s):gsub("’", "'"):gsub("^[%s\"'*#>`]+", ""):gsub("^“", "")
  return s
end

--- The phrase of the list that a text begins with, up to the end of a word.
function M.starts(s, list)
  for _, phrase in ipairs(list) do
    if s:sub(1, #phrase) == phrase then
      local code = s:sub(#phrase + 1) ~= "" and select(3, words.characters(s:sub(#phrase + 1))())
      if not code or words.class(code) ~= "word" or words.class(utf8.codepoint(phrase, utf8.offset(phrase, -1))) ~= "word" then return phrase end
    end
  end
end

--- The words by which a text is an excuse or an error; nil where it is none.
function M.refuses(s, options)
  s = M.beginning(look.without_trigger(s, options))
  local phrase = M.starts(s, phrases.refusals)
  for _, inside in ipairs(phrase and {} or phrases.refusals_inside) do
    if s:find(inside, 1, true) then return inside end
  end
  return phrase
end

return M
