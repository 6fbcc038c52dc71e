-- Captions with the marks of Markdown or HTML.
local look = require "caption.lint.look"
local phrases = require "caption.phrases"
local set = require "recipe.set"

return function(rows)
  local first
  local found = look.pick(rows, function(row)
    for _, mark in ipairs(row.text and phrases.markup or {}) do
      if row.text:find(mark, 1, true) then
        first = first or mark
        return true
      end
    end
  end)
  if #found == 0 then return end
  return look.finding("markup", "warning", found, ("%s %s marks of a markup (%s)"):format(set.count(#found, "caption"),
    look.plural(#found, "has", "have"), first),
    "they are read as words", ":edit(function(p) p.caption = p.caption and p.caption:gsub(\"[*`]+\", \"\") return p end)")
end
