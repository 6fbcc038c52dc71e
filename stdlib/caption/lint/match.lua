-- Captions that may be of something else, where a model was asked (:score): the row's match is its answer.
local look = require "caption.lint.look"
local matched = require "caption.matched"
local set = require "recipe.set"

return function(rows)
  local found = look.pick(rows, function(row) return row.match and row.match < matched.LOW end)
  if #found == 0 then return end
  table.sort(found, function(a, b)
    if a.match ~= b.match then return a.match < b.match end
    return a.name < b.name
  end)
  return look.finding("match", "warning", found, ("%s may not describe %s (match %s %.2g, below %g)"):format(set.count(#found, "caption"),
    look.plural(#found, "its picture", "their pictures"), look.plural(#found, "is", "from"), found[1].match, matched.LOW),
    "a caption of something else teaches wrong words; the worst comes first",
    ("look at them and write better ones beside the pictures, or leave them out after :score: :reject { match_below = %g }"):format(matched.LOW))
end
