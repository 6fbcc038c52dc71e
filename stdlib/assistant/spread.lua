-- spread.lua - how a list of numbers lies: its middle and its width, by measures that a few odd values do not move.
--
--   spread.median { 3, 1, 2 }                                       --> 2
--   spread.of({ 1, 2, 3, 100 }, 0.1)(100)                           --> 65.8: how many deviations from the middle
local M = {}

---@param values number[]
---@param share number 0 to 1
---@return number? nil when there are none
function M.quantile(values, share)
  local sorted = table.move(values, 1, #values, 1, {})
  table.sort(sorted)
  if #sorted == 0 then return nil end
  local place = 1 + (#sorted - 1) * share
  local low = math.floor(place)
  local high = math.min(low + 1, #sorted)
  return sorted[low] + (sorted[high] - sorted[low]) * (place - low)
end

---@return number?
function M.median(values) return M.quantile(values, 0.5) end

--- The width of the middle half.
---@return number
function M.middle_half(values) return #values > 0 and M.quantile(values, 0.75) - M.quantile(values, 0.25) or 0 end

---@return number?
function M.mean(values)
  if #values == 0 then return nil end
  local sum = 0
  for _, value in ipairs(values) do sum = sum + value end
  return sum / #values
end

--- A function that tells how far a value is from the middle, in standard deviations as the median of the distances tells them
--- (Iglewicz and Hoaglin 1993): robust z-scores. `least` is the smallest deviation that is believed.
---@param values number[]
---@param least number
---@return fun(value: number): number
function M.of(values, least)
  local middle, distances = M.median(values) or 0, {}
  for i, value in ipairs(values) do distances[i] = math.abs(value - middle) end
  local width = math.max((M.median(distances) or 0) * 1.4826, least)
  return function(value) return (value - middle) / width end
end

--- 0 at `from`, 1 at `to`, straight in between.
function M.ramp(value, from, to) return math.max(0, math.min(1, (value - from) / (to - from))) end

return M
