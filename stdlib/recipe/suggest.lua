-- suggest.lua - "did you mean": the nearest of some names, by the one rule of core/base/suggest.h.
--
--   suggest.closest("dedup", { "dedupe", "reject" })   --> "dedupe", 1
local script = require "native.script"

local M = {}

--- The candidate nearest to `word` and how many edits away it is, or nil when none is near enough to be meant.
---@param word any
---@param candidates string[]
---@return string? name
---@return integer? edits
function M.closest(word, candidates)
  if type(word) ~= "string" then return nil end
  return script.nearest(word, candidates)
end

return M
