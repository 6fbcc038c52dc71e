-- suggest.lua - "did you mean": the nearest of some names.
--
--   suggest.closest("dedup", { "dedupe", "reject" })   --> "dedupe"
local script = require "native.script"

local M = {}

--- The candidate nearest to `word`, or nil when none is near enough to be meant. A word that only has its letters' case
--- wrong, or that is the beginning of exactly one candidate, counts as near.
---@param word string
---@param candidates string[]
---@return string?
function M.closest(word, candidates)
  if type(word) ~= "string" or word == "" or #word > 60 then return nil end
  local lower, best, best_distance = word:lower(), nil, math.min(#word, math.max(1, #word // 3) + 1)
  local sorted = table.move(candidates, 1, #candidates, 1, {})
  table.sort(sorted)
  for _, candidate in ipairs(sorted) do
    local d = script.distance(lower, candidate:lower()) + math.abs(#candidate - #word) / 100 -- of equally near ones that of equal length
    if d < best_distance then best, best_distance = candidate, d end
  end
  if best or #word < 3 then return best end
  for _, candidate in ipairs(sorted) do
    if candidate:sub(1, #word):lower() == lower then
      if best then return nil end
      best = candidate
    end
  end
  return best
end

return M
