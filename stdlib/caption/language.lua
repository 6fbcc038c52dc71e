-- language.lua - which language a caption is in, as far as its letters and its small words tell.
--
--   language.of "eine Frau, die vor dem Haus steht"     --> "de"
--   language.of "red door"                              --> nil: too few words to tell
--
-- Scripts tell most (kana: Japanese; Hangul: Korean; Chinese characters alone: Chinese; Cyrillic, Greek, Arabic, Hebrew, Devanagari, Thai as
-- scripts). Languages in Latin letters are told apart by their small words: English, German, French, Spanish, Italian, Portuguese, Dutch and
-- Polish, from five words on and when one leads clearly; lists of tags mostly stay untold.
local phrases = require "caption.phrases"
local words = require "caption.words"

local M = {}

local SCRIPTS = {
  { "ja", 0x3040, 0x30FF }, { "ja", 0xFF66, 0xFF9F }, { "zh", 0x3400, 0x4DBF }, { "zh", 0x4E00, 0x9FFF }, { "zh", 0xF900, 0xFAFF }, { "zh", 0x20000, 0x3FFFF },
  { "ko", 0x1100, 0x11FF }, { "ko", 0x3130, 0x318F }, { "ko", 0xAC00, 0xD7FF }, { "ru", 0x400, 0x52F }, { "el", 0x370, 0x3FF }, { "he", 0x590, 0x5FF },
  { "ar", 0x600, 0x77F }, { "hi", 0x900, 0x97F }, { "th", 0xE00, 0xE7F },
}

local of_word = {} -- small word -> the languages that have it
for name, small in pairs(phrases.small) do
  for word in pairs(small) do
    of_word[word] = of_word[word] or {}
    table.insert(of_word[word], name)
  end
end

local function by_letters(s)
  local latin, by = 0, {}
  for _, _, code in words.characters(s) do
    local class = words.class(code)
    if class == "word" or class == "alone" or class == "hangul" then
      if code < 0x250 then
        latin = latin + (code >= 0x41 and 1 or 0)
      else
        for _, script in ipairs(SCRIPTS) do if code >= script[2] and code <= script[3] then by[script[1]] = (by[script[1]] or 0) + 1 end end
      end
    end
  end
  if by.ja and by.zh then by.ja, by.zh = by.ja + by.zh, nil end -- kana among the characters
  local best
  for name, count in pairs(by) do if not best or count > by[best] or (count == by[best] and name < best) then best = name end end
  if best and by[best] * 3 >= latin then return best end -- a letter of these says more than one of Latin's; triggers are Latin
  return nil, latin > 0
end

--- The language, as two letters; nil when it cannot be told. Scripts of many languages stand for all of them ("ru": Cyrillic).
---@param s string
---@param list? table[] its words, where they are known already
---@return string?
function M.of(s, list)
  if s:find "[\128-\255]" then
    local script = by_letters(s)
    if script then return script end
  end
  local hits, best, second = {}, nil, 0
  list = list or words.list(s)
  if #list < 5 then return nil end
  for _, word in ipairs(list) do
    for _, name in ipairs(of_word[word[1]] or {}) do hits[name] = (hits[name] or 0) + 1 end
  end
  for name, count in pairs(hits) do if not best or count > hits[best] or (count == hits[best] and name < best) then best = name end end
  for name, count in pairs(hits) do if name ~= best then second = math.max(second, count) end end
  return best and hits[best] >= 2 and hits[best] >= 1.5 * second and best or nil
end

--- A language's name for a sentence.
---@param code string
---@return string
function M.name(code) return phrases.names[code] or ('"%s"'):format(code) end

return M
