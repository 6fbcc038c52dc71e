-- Captions that are a model's excuse, or a server's error.
local look = require "caption.lint.look"
local set = require "recipe.set"
local spoken = require "caption.lint.spoken"

return function(rows, options)
  local first
  local found = look.pick(rows, function(row)
    local phrase = look.has_text(row) and spoken.refuses(row.text, options)
    first = first or phrase
    return phrase
  end)
  if #found == 0 then return end
  local one = look.only(found)
  return look.finding("refusal", "warning", found, ("%s %s an excuse or an error, no caption (\"%s ...\")"):format(set.count(#found, "caption"),
    look.plural(#found, "is", "are"), first), "the words would be learned as a description of the picture",
    ("write a caption beside the picture, or ask another model: :caption { with = ..., replace = true%s }"):format(one and ", " .. one or ""))
end
