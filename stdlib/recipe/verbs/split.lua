local hash = require "native.hash"
local pictures = require "export.pictures"
local set = require "recipe.set"

local M = {
  name = "split", version = 1, parts = 2,
  doc = "Two sets: what is trained on, and what is held out to look at honestly. Which pictures are held out depends on their content and "
    .. "the seed, not on names or order.",
  example = "local train, held = photos:split { held_out = 4 }",
  options = {
    { "held_out", "integer", min = 1, required = true, doc = "how many pictures are held out" },
    { "seed", "integer", min = 0, default = 0, doc = "another seed, another choice" },
  },
}

function M.run(context, options, input)
  pictures.need_some(context, input)
  if options.held_out >= #input.items then
    context.fail((":split holds out %d of %s; nothing would be left"):format(options.held_out, set.count(#input.items)),
      { key = "held_out", value = true, hint = "hold out fewer" })
  end
  local order = {}
  for i, item in ipairs(input.items) do order[i] = { i = i, rank = hash.sha256(("%d:%s"):format(options.seed, item.sha256)) } end
  table.sort(order, function(a, b)
    if a.rank ~= b.rank then return a.rank < b.rank end
    return a.i < b.i
  end)
  local held = {}
  for n = 1, options.held_out do held[order[n].i] = true end
  local out = context.part == 1 and set.new({}, input.rejected, input.cuts) or set.new {}
  for i, item in ipairs(input.items) do
    if (held[i] or false) == (context.part == 2) then out.items[#out.items + 1] = item end
  end
  context.account(("%d and %d held out"):format(#input.items - options.held_out, options.held_out))
  return out
end

return M
