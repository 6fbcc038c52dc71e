-- Captions longer than the text encoder reads.
local look = require "caption.lint.look"
local set = require "recipe.set"
local words = require "caption.words"

local CLIP = 75 -- pieces of words that CLIP reads, without begin and end

-- How many places of the text encoder a caption takes; false when that is an estimate.
local function places(s, tokenizer)
  if tokenizer then
    local ids = tokenizer:tokens(s)
    if ids then return #ids, true end
  end
  local count = 0
  for _, word in ipairs(words.list(s)) do
    count = count + (word[1]:find "[\128-\255]" and (#word[1] + 1) // 2 or 1 + (#word[1] - 1) // 9)
  end
  for _ in s:gmatch "[,.;:!?()\"]" do count = count + 1 end
  return count, false
end

return function(rows, options)
  local most, longest, exact = options.places or CLIP, 0, false
  local found = look.pick(rows, function(row)
    local s = row.out or row.text
    if not look.has_text(row) or not utf8.len(s) or #s < most then return false end -- a place holds a letter at least
    local count
    count, exact = places(s, options.tokenizer)
    if count > most then longest = math.max(longest, count) end
    return count > most
  end)
  if #found == 0 then return end
  return look.finding("long", "warning", found, ("%s %s longer than the %d places that %s reads: the longest takes %s%d"):format(set.count(#found, "caption"),
    look.plural(#found, "is", "are"), most, options.tokenizer and "this base" or "CLIP", exact and "" or "about ", longest),
    (exact and "" or "an estimate: the recipe names no base. ") .. "what stands behind is not seen in training",
    (":caption { words_above = %d }"):format(math.max(1, math.floor(most * 0.7))))
end
