local set = require "recipe.set"

local M = {
  name = "weight", version = 1, positional = "times",
  doc = "How often each picture counts in training compared with others. Folders for kohya get it as repeats.",
  example = 'images.join { images "face":weight(3), images "body" }',
  options = { { "times", "number", min = 0.01, max = 1000, required = true, doc = "1 is once" } },
}

-- Pictures of one set may be drawn a million times as often as others, no more.
local LEAST, MOST = 1e-6, 1e6

function M.run(context, options, input)
  context.account(("%s count %g times"):format(set.count(#input.items), options.times))
  return set.map(input, function(item)
    local weight = item.weight * options.times
    if weight < LEAST or weight > MOST then
      context.fail((":weight %g makes the weight of %s %g"):format(options.times, item.path, weight),
        { hint = ("weights multiply; together they may be %g to %g"):format(LEAST, MOST) })
    end
    return set.with(item, { weight = weight })
  end)
end

return M
