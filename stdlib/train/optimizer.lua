-- optimizer.lua - what the apply segment does with the gradients, as a few elementwise nodes over all parameters at once.
--
--   g:store("accumulate", g:mirror(p, "gradients"), dp, true)     -- for every parameter p, somewhere before
--   local adamw = optimizer.adamw(g, { clip = 1.0 })
--   ... each step, before the segment runs:
--   adamw.set(plan, step, lr)
--
-- The update is skipped where the norm of the gradients is not finite: parameters and moments stay bit for bit, and `norm`, an output of
-- the segment, tells. Gradients are zero after it either way.

local graph = require "native.graph"

local optimizer = {}

---@class calotype.Optimizer
---@field norm userdata norm of all gradients before clipping: an output of the segment
---@field set fun(target: userdata, step: integer, lr: number) what the segment's inputs are at a step (the first is 1), into a plan or reference

--- AdamW (Loshchilov and Hutter 2019) with PyTorch's order and defaults. `clip`: the gradients' norm is held to it (nil: not);
--- `share`: what the gradients are multiplied with first, 1 / number of accumulated batches; `rates`: some parameters learn at another
--- rate, { { from = element of the flat buffer, times = 0.5 }, ... } in order; `average`: an exponential moving average of the parameters is
--- kept too, with at most that much of the past, less in early steps: (1 + step) / (10 + step). Whoever begins copies the parameters into
--- the group "average" first.
---@param g userdata a native graph whose parameters are all declared
---@param options? { beta1?: number, beta2?: number, epsilon?: number, weight_decay?: number, clip?: number, share?: number, rates?: table, average?: number }
---@return calotype.Optimizer
function optimizer.adamw(g, options)
  options = options or {}
  local beta1, beta2 = options.beta1 or 0.9, options.beta2 or 0.999
  local epsilon, decay = options.epsilon or 1e-8, options.weight_decay or 0.01
  local p, d = g:flat "parameters", g:flat "gradients"
  local m, v = g:flat "moment_1", g:flat "moment_2"
  local inputs = {}
  local names = { "keep", "rate", "correction", options.average and "past" or nil }
  for _, name in ipairs(names) do inputs[name] = g:input("adamw." .. name, "f32", {}) end

  local slope = d * (options.share or 1)
  local norm = graph.sqrt((slope * slope):sum():reshape {})
  if options.clip then
    slope = slope * graph.min(g:number(1), options.clip / (norm + 1e-6))
  end
  local m1 = m * beta1 + slope * (1 - beta1)
  local v1 = v * beta2 + slope * slope * (1 - beta2)
  local keep, rate = inputs.keep, inputs.rate
  if options.rates then
    local size, parts = p:shape()[1], {}
    for i, part in ipairs(options.rates) do
      local stop = options.rates[i + 1] and options.rates[i + 1].from or size
      parts[i] = string.pack("<f", part.times):rep(stop - part.from)
    end
    local times = g:constant("f32", { size }, table.concat(parts))
    keep, rate = (keep - 1) * times + 1, rate * times
  end
  local p1 = p * keep - rate * m1 / (graph.sqrt(v1) * inputs.correction + epsilon)

  local fine = graph.finite(norm)
  local function update(state, value) g:store("apply", state, graph.select(fine, value, state)) end
  update(p, p1)
  update(m, m1)
  update(v, v1)
  if options.average then
    local a = g:flat "average"
    update(a, p1 + (a - p1) * inputs.past)
  end
  g:store("apply", d, g:number(0):expand(d:shape()))
  g:output("apply", norm)

  return {
    norm = norm,
    set = function(target, step, lr)
      target:set(inputs.keep, 1 - lr * decay)
      target:set(inputs.rate, lr / (1 - beta1 ^ step))
      target:set(inputs.correction, (1 - beta2 ^ step) ^ -0.5)
      if options.average then target:set(inputs.past, math.min(options.average, (1 + step) / (10 + step))) end
    end,
  }
end

return optimizer
