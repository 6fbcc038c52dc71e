-- Captions that have no words.
local look = require "caption.lint.look"
local set = require "recipe.set"

return function(rows)
  local found = look.pick(rows, function(row) return row.text ~= nil and not look.has_text(row) end)
  if #found == 0 then return end
  return look.finding("empty", "warning", found, ("%s %s empty"):format(set.count(#found, "caption"), look.plural(#found, "is", "are")),
    "kohya stops at an empty caption file, other trainers learn the picture without words",
    "here they count as missing: :caption asks for them")
end
