local set = require "recipe.set"

local M = {
  name = "join", title = "images.join", version = 1, positional = "sets",
  doc = "Several sets of pictures as one, in the given order. Weights given before are kept.",
  example = 'images.join { images "face":weight(3), images "body" }',
  options = { { "sets", "list", of = "stage", required = true, doc = "the sets to join" } },
}

function M.run(context, _, ...)
  local out, sizes = set.new {}, {}
  for i, input in ipairs { ... } do
    sizes[i] = #input.items
    table.move(input.items, 1, #input.items, #out.items + 1, out.items)
    table.move(input.rejected, 1, #input.rejected, #out.rejected + 1, out.rejected)
    table.move(input.cuts, 1, #input.cuts, #out.cuts + 1, out.cuts)
  end
  context.account(("%s: %s"):format(set.count(#out.items), table.concat(sizes, " + ")))
  return out
end

return M
