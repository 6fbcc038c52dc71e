-- Captions that speak of the picture before they say what it shows.
local look = require "caption.lint.look"
local phrases = require "caption.phrases"
local set = require "recipe.set"
local spoken = require "caption.lint.spoken"

return function(rows, options)
  local first, found = nil, {}
  for _, row in look.each(rows) do
    if look.has_text(row) and not spoken.refuses(row.text, options) then
      local bare = look.without_trigger(row.text, options)
      local phrase = spoken.starts(spoken.beginning(bare), phrases.openings)
      if phrase then
        bare = bare:gsub("^[%s\"'*#>`]+", ""):gsub("^“", "")
        found[#found + 1], first = row, first or bare:sub(1, (utf8.offset(bare, utf8.len(phrase) + 1) or #bare + 1) - 1) -- as it is written there
      end
    end
  end
  if #found == 0 then return end
  return look.finding("opening", "warning", found, ("%s %s with words about the picture (\"%s ...\")"):format(set.count(#found, "caption"),
    look.plural(#found, "begins", "begin"), first), "every such word takes room in the text encoder and ties the subject to a phrase nobody prompts with",
    (":edit(function(p) p.caption = p.caption and p.caption:gsub(\"%s%%s*\", \"\", 1) return p end)"):format((first:gsub("%p", "%%%0"))))
end
