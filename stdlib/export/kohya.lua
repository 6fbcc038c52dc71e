-- kohya.lua - repeat folders as kohya's trainer reads them: 3_zkr/door.jpg with door.txt beside it.
local folder = require "export.folder"

local M = {
  name = "kohya", doc = "N_trigger folders with captions for kohya's sd-scripts; weights become repeats", folder = true, needs = "to",
  options = { "escape", "quality" },
}

local function repeats(item) return math.max(1, math.floor(item.weight + 0.5)) end

function M.write(context, options, input, key)
  for _, item in ipairs(input.items) do
    if math.abs(repeats(item) - item.weight) > 1e-9 then
      context.warn(("kohya repeats are whole numbers: the weight %g of %s becomes %d"):format(item.weight, item.path, repeats(item)))
      break
    end
  end
  folder.write(context, options, input, key, function(item)
    return ("%d_%s"):format(repeats(item), (item.trigger or "pictures"):gsub("[^%w_ -]", "_"))
  end)
end

return M
