-- Pictures whose caption files other programs would mix up.
local look = require "caption.lint.look"
local set = require "recipe.set"
local text_of = require "native.text"

---@param paths string[]
---@return calotype.finding?
return function(paths)
  local by, found, seen = {}, {}, {}
  for _, path in ipairs(paths) do
    local stem = text_of.lower((path:gsub("%.[^./]*$", "")))
    local other = by[stem]
    if other then
      for _, one in ipairs { other, path } do
        if not seen[one] then found[#found + 1], seen[one] = { name = one:match "[^/]*$" }, true end
      end
    end
    by[stem] = other or path
  end
  if #found == 0 then return end
  return look.finding("names", "note", found, ("%s share a name but for the ending or capitals"):format(set.count(#found)),
    "trainers look for name.txt: such pictures get one caption for both", "rename one of each; in what :export writes to a folder or a zip they have numbers")
end
