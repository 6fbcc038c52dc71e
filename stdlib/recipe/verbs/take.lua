local hash = require "native.hash"
local set = require "recipe.set"

local M = {
  name = "take", version = 1, positional = "count",
  doc = "Keep at most so many pictures.",
  example = 'photos:take(30, { by = "sharpest" })',
  options = {
    { "count", "integer", min = 1, required = true, doc = "how many to keep" },
    { "by", "choice", choices = { "first", "sharpest", "largest", "random" }, default = "first", doc = "which ones" },
    { "seed", "integer", min = 0, default = 0, doc = "for by = \"random\": another seed, another choice" },
  },
}

local WHY = { first = "is not among the first %d", sharpest = "is not among the %d sharpest", largest = "is not among the %d largest",
  random = "was not drawn (%d were)" }

function M.run(context, options, input)
  local rank = {}
  for i, item in ipairs(input.items) do
    local value = options.by == "first" and -i or options.by == "sharpest" and item.sharpness or options.by == "largest" and item.width * item.height
      or hash.sha256(("%d:%s"):format(options.seed, item.sha256)) -- the content decides: one more picture changes little
    rank[i] = { i = i, value = value }
  end
  table.sort(rank, function(a, b)
    if a.value ~= b.value then return a.value > b.value end
    return a.i < b.i
  end)
  local kept = {}
  for place = 1, math.min(options.count, #rank) do kept[rank[place].i] = true end
  local why = WHY[options.by]:format(options.count)
  local out, count = set.filter(input, "take", context.line, function(_, i) return not kept[i] and why or nil end)
  context.account(("%d kept, %d left out"):format(#out.items, count))
  return out
end

return M
