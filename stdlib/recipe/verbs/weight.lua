local set = require "recipe.set"

local M = {
  name = "weight", version = 1, positional = "times",
  doc = "How often each picture counts in training compared with others. Folders for kohya get it as repeats.",
  example = 'images.join { images "face":weight(3), images "body" }',
  options = { { "times", "number", min = 0.01, max = 1000, required = true, doc = "1 is once" } },
}

function M.run(context, options, input)
  context.account(("%s count %g times"):format(set.count(#input.items), options.times))
  return set.map(input, function(item) return set.with(item, { weight = item.weight * options.times }) end)
end

return M
