local set = require "recipe.set"

local M = {
  name = "orient", version = 1,
  doc = "Write pictures upright: a picture that a camera stored turned is turned when it is exported. Sizes and measures are always "
    .. "those of the upright picture.",
  example = 'images "photos":orient()',
}

function M.run(context, _, input)
  local turned = 0
  local out = set.map(input, function(item)
    local turn = (item.orientation or 1) ~= 1
    turned = turned + (turn and 1 or 0)
    return set.with(item, { upright = true }, turn and "orient" or nil)
  end)
  context.account(turned == 0 and "all upright" or ("%d turned upright at export"):format(turned))
  return out
end

return M
