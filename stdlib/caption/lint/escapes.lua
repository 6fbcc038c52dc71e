-- Tags whose brackets have backslashes here and none there.
local look = require "caption.lint.look"
local set = require "recipe.set"
local tags = require "caption.tags"

return function(rows)
  local found = look.pick(rows, function(row) return row.text and tags.escapes(row.raw or row.text) == "mixed" end)
  if #found == 0 then return end
  return look.finding("escapes", "warning", found,
    ("%s %s brackets with and without backslashes"):format(set.count(#found, "caption"), look.plural(#found, "has", "have")),
    "they are kept as they are: to a trainer a backslash is a letter, to a prompt a bare bracket is a weight",
    "write all brackets of a caption in one way; :export { escape = true } puts backslashes before all of them")
end
