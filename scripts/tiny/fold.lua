-- fold.lua - standardise a VAE's code inside the VAE: its last 1x1 convolution before the code and its first one after it take over
-- "less the mean, by the deviation" and the way back. Pictures stay as they were; what the UNet sees has mean 0 and deviation 1.
--
--   local change = fold.into(g, plan, means, deviations)     -- for train.fresh's save

local floats = require "train.floats"

local fold = {}

---@param means number[] of each channel of the code
---@param deviations number[]
---@return fun(name: string, bytes: string): string
function fold.into(g, from, means, deviations)
  local n, taken = #means, {}
  for _, l in ipairs(g.loads) do taken[l.name] = l end
  local function average(name) return floats.numbers(assert(from:bytes(taken[name].average))) end
  local matrix = average "post_quant_conv.weight" -- before it is scaled

  local changes = {
    ["quant_conv.weight"] = function(w) -- [2 n, 1, 1, 2 n]: the first n rows make the mean
      for i = 1, n do
        for j = 1, 2 * n do w[(i - 1) * 2 * n + j] = w[(i - 1) * 2 * n + j] / deviations[i] end
      end
    end,
    ["quant_conv.bias"] = function(b)
      for i = 1, n do b[i], b[n + i] = (b[i] - means[i]) / deviations[i], b[n + i] - 2 * math.log(deviations[i]) end
    end,
    ["post_quant_conv.weight"] = function(w) -- [n, 1, 1, n]
      for i = 1, n do
        for j = 1, n do w[(i - 1) * n + j] = w[(i - 1) * n + j] * deviations[j] end
      end
    end,
    ["post_quant_conv.bias"] = function(b)
      for i = 1, n do
        for j = 1, n do b[i] = b[i] + matrix[(i - 1) * n + j] * means[j] end
      end
    end,
  }
  return function(name, bytes)
    if not changes[name] then return bytes end
    local list = floats.numbers(bytes)
    changes[name](list)
    return floats.bytes(list)
  end
end

return fold
