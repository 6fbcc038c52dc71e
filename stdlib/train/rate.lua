-- rate.lua - how fast to learn at which step.
--
--   local at = rate.new { peak = 1e-3, steps = 12000, warmup = 50, hold = 0.3 }     -- a model from nothing
--   local at = rate.new { peak = 1e-4, steps = 1500, warmup = 50, cooldown = 500 }  -- a LoRA
--   local lr = at(1)                    -- the first step is 1

local rate = {}

---@class calotype.Rate
---@field peak number
---@field steps? integer all of them, for `hold` and `cooldown`
---@field warmup? integer steps over which it rises in a straight line
---@field cooldown? integer steps at the end over which it falls in a straight line, so that the step after the last would have 0
---@field hold? number share of all steps after which it falls along half a cosine to `floor`
---@field floor? number share of the peak

--- Up, level, and down in one of two ways; level to the end where neither `cooldown` nor `hold` is given.
---@param options calotype.Rate
---@return fun(step: integer): number
function rate.new(options)
  local peak, steps, hold, floor = options.peak, options.steps, options.hold, options.floor or 0
  local warmup, cooldown = options.warmup or 0, options.cooldown or 0
  local function fall(step)
    if cooldown > 0 then return math.min(1, (steps + 1 - step) / cooldown) end
    local done = hold and (step - 1) / steps
    if not hold or done <= hold then return 1 end
    return floor + (1 - floor) * (0.5 + 0.5 * math.cos(math.pi * math.min(1, (done - hold) / (1 - hold))))
  end
  return function(step)
    local up = warmup > 0 and math.min(1, step / warmup) or 1
    return peak * up * fall(step)
  end
end

return rate
