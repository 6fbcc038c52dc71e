-- Captions longer than the text encoder reads.
local look = require "caption.lint.look"
local places = require "caption.places"
local set = require "recipe.set"

return function(rows, options)
  local most, longest, exact = options.places or places.CLIP, 0, false
  local found = look.pick(rows, function(row)
    local s = row.out or row.text
    if not look.has_text(row) or not utf8.len(s) or #s < most then return false end -- a place holds a letter at least
    local count
    count, exact = places.count(s, options.tokenizer)
    if count > most then longest = math.max(longest, count) end
    return count > most
  end)
  if #found == 0 then return end
  return look.finding("long", "warning", found, ("%s %s longer than the %d places that %s reads: the longest takes %s%d"):format(set.count(#found, "caption"),
    look.plural(#found, "is", "are"), most, options.tokenizer and "this base" or "CLIP", exact and "" or "about ", longest),
    (exact and "" or "an estimate: the recipe names no base. ") .. "what stands behind is not seen in training",
    (":caption { words_above = %d }"):format(math.max(1, math.floor(most * 0.7))))
end
