-- rate.lua - how fast to learn at which step.
--
--   local at = rate.new { peak = 1e-3, steps = 12000, warmup = 50, hold = 0.3 }
--   local lr = at(1)                    -- the first step is 1

local rate = {}

--- Up in a straight line over `warmup` steps, level until the share `hold` of all steps is done, then half a cosine down to `floor` of the peak.
---@param options { peak: number, steps: integer, warmup?: integer, hold?: number, floor?: number }
---@return fun(step: integer): number
function rate.new(options)
  local peak, steps = options.peak, options.steps
  local warmup, hold, floor = options.warmup or 0, options.hold or 0, options.floor or 0
  return function(step)
    local up = warmup > 0 and math.min(1, step / warmup) or 1
    local done = (step - 1) / steps
    if done <= hold then return peak * up end
    local down = 0.5 + 0.5 * math.cos(math.pi * math.min(1, (done - hold) / (1 - hold)))
    return peak * up * (floor + (1 - floor) * down)
  end
end

return rate
