-- Captions of people that do not name the trigger.
local look = require "caption.lint.look"
local set = require "recipe.set"
local trigger = require "recipe.trigger"

return function(rows, options)
  local word = options.trigger
  if not word then return end
  local found = look.pick(rows, function(row) return look.has_text(row) and not row.asked and trigger.count(trigger.fill(row.text, word), word) == 0 end)
  if #found == 0 then return end
  local filled = options.dressed and "" or "; it will be put in front"
  return look.finding("trigger_missing", "warning", found, ("%d of %s %s the trigger%s"):format(#found, options.count or set.count(#rows, "caption"),
    look.plural(#found, "lacks", "lack"), filled), "what a caption does not name is learned without the trigger, and is drawn without being called",
    ("write %s where it belongs in the sentence, or [trigger]"):format(word))
end
