-- fresh.lua - weights to begin with, for models that are trained from nothing, and the files they become.
--
--   fresh.fill(plan, g.loads, { seed = 1, small = function(name) return name:find "conv2%.weight$" and 0.1 end })
--   fresh.save("out/vae/diffusion_pytorch_model.safetensors", plan, g, { root = "vae", average = true })

local hash = require "native.hash"
local weights = require "native.weights"

local fresh = {}

local function count_of(shape)
  local count = 1
  for _, n in ipairs(shape) do count = count * n end
  return count
end

local function repeated(number, count) return string.pack("<f", number):rep(count) end

--- Numbers for every tensor that the layers of a graph took. Kernels and matrices are normal with a deviation of 1 / sqrt(inputs), which
--- keeps a signal's size (He et al. 2015 with gain 1; PyTorch's default is a third of that variance and trains much slower); norms are 1,
--- biases 0, tables 0.02. `small(path)` may give a factor: the last layers of residual branches begin small. Each tensor has a stream
--- of its own, so that one tensor more changes no other.
---@param target userdata plan or reference
---@param loads calotype.Load[]
---@param options { seed: integer, small?: (fun(path: string): number?), begin?: fun(path: string, count: integer): string? }
function fresh.fill(target, loads, options)
  for i, l in ipairs(loads) do
    local shape, path = l.value:shape(), l.file .. "." .. l.name
    local count = count_of(shape)
    local bytes = options.begin and options.begin(path, count)
    if not bytes then
      local factor = options.small and options.small(path) or 1
      if #shape == 1 then bytes = repeated(l.name:find "weight$" and 1 or 0, count)
      elseif l.name:find "embedding%.weight$" then bytes = hash.random(options.seed, i):normal(count, 0.02)
      else bytes = hash.random(options.seed, i):normal(count, factor * (count // shape[1]) ^ -0.5)
      end
    end
    target:set(l.value, bytes)
  end
end

--- Give every load its moving average as well, `average` beside `value`; before the plan is made.
function fresh.averages(g)
  for _, l in ipairs(g.loads) do l.average = g.graph:mirror(l.value, "average") end
end

--- The tensors of one root as a safetensors file in PyTorch's layouts.
---@param path string
---@param from userdata plan or reference
---@param g table of layers.new
---@param options { root: string, average?: boolean, dtype?: string, metadata?: table<string, string>, change?: fun(name: string, bytes: string): string }
---   average: the moving average instead of the last step's; change: what is done to a tensor's f32 bytes (in the graph's layout) before
---@return string? sha256
---@return string? message
---@return string? code
function fresh.save(path, from, g, options)
  local tensors = {}
  for _, l in ipairs(g.loads) do
    if l.file == options.root then
      local bytes, message, code = from:bytes(options.average and l.average or l.value)
      if not bytes then return nil, message, code end
      if options.change then bytes = options.change(l.name, bytes) end
      tensors[#tensors + 1] = { name = l.name, shape = l.shape, bytes = bytes, kernel = l.kernel }
    end
  end
  return weights.save(path, tensors, { dtype = options.dtype or "f16", metadata = options.metadata })
end

return fresh
