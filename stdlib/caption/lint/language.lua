-- Captions in another language than was asked for, or than most are in.
local language = require "caption.language"
local look = require "caption.lint.look"
local phrases = require "caption.phrases"
local set = require "recipe.set"

return function(rows, options)
  local by, told = {}, {}
  for _, row in look.each(rows) do
    local code = look.has_text(row) and utf8.len(row.text) and language.of(look.without_trigger(row.text, options), look.words_of(row, options)) or nil
    if code then by[code], told[row] = (by[code] or 0) + 1, code end
  end
  local wanted = options.language
  if not wanted then -- the one that most captions are in
    for code, count in pairs(by) do if not wanted or count > by[wanted] or (count == by[wanted] and code < wanted) then wanted = code end end
  end
  if not wanted or not phrases.names[wanted] then return end
  local found, other = {}, nil
  for _, row in look.each(rows) do
    if told[row] and told[row] ~= wanted then
      found[#found + 1], other = row, other or told[row]
    end
  end
  if #found == 0 then return end
  local one = look.only(found)
  return look.finding("language", options.language and "warning" or "note", found, ("%s %s %s, %s %s"):format(set.count(#found, "caption"),
    look.plural(#found, "reads as", "read as"), language.name(other), options.language and "asked was" or "most are", language.name(wanted)),
    "two languages teach two sets of words. Told by letters and small words: short captions and lists of tags are not judged",
    ("ask again: :caption { with = ... { language = %q }, replace = true%s }"):format(wanted, one and ", " .. one or ""))
end
