-- suggest.lua - "did you mean": the nearest of some names.
--
--   suggest.closest("dedup", { "dedupe", "reject" })   --> "dedupe"
local M = {}

--- Edits (insert, delete, replace, swap neighbours) that turn `a` into `b`.
---@param a string
---@param b string
---@return integer
function M.distance(a, b)
  local before, last = {}, {}
  for j = 0, #b do last[j] = j end
  for i = 1, #a do
    local row = { [0] = i }
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      row[j] = math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (same and 0 or 1))
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        row[j] = math.min(row[j], before[j - 2] + 1)
      end
    end
    before, last = last, row
  end
  return last[#b]
end

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
    local d = M.distance(lower, candidate:lower()) + math.abs(#candidate - #word) / 100 -- of equally near ones that of equal length
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
