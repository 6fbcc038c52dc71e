-- places.lua - how many places of a text encoder a caption takes.
--
--   local count, exact = places.count("a red door", tokenizer)     --> 3, true; without a tokenizer an estimate for CLIP: 3, false
--   if count > places.CLIP then ... what stands behind is not seen
local words = require "caption.words"

local M = {}

M.CLIP = 75 -- pieces of words that CLIP reads, without begin and end

---@param s string
---@param tokenizer? userdata
---@return integer count, boolean exact
function M.count(s, tokenizer)
  if tokenizer then
    local ids = tokenizer:tokens(s)
    if ids then return #ids, true end
  end
  local count = 0
  for _, word in ipairs(words.list(s)) do
    count = count + (word[1]:find "[\128-\255]" and (#word[1] + 1) // 2 or 1 + (#word[1] - 1) // 9)
  end
  for _ in s:gmatch "[,.;:!?()\"]" do count = count + 1 end
  return count, false
end

return M
