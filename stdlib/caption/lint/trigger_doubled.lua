-- Captions that name the trigger more than once.
local look = require "caption.lint.look"
local set = require "recipe.set"
local trigger = require "recipe.trigger"

return function(rows, options)
  local word = options.trigger
  if not word then return end
  local found = look.pick(rows, function(row) return look.has_text(row) and trigger.count(trigger.fill(row.text, word), word) > 1 end)
  if #found == 0 then return end
  return look.finding("trigger_doubled", "note", found, ("%s %s the trigger more than once"):format(set.count(#found, "caption"),
    look.plural(#found, "has", "have")),
    "a doubled trigger weighs more in these captions than in the others", ":caption and :export leave the first one")
end
