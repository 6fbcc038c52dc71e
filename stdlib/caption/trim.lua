-- trim.lua - blanks at the edges of texts, in time that grows with the text alone: a pattern like "%s+$" looks at a run of blanks once for each of
-- them, which a caption file with thousands in a row makes the program's end.
--
--   trim.right "a red door \n"                            --> "a red door"
--   trim.both "  a red door "                             --> "a red door"
--   trim.right("a red door\n\n", "\n")                    --> only what is one of these characters
--   trim.one_line("a red\n  door\n", "; ")                --> "a red; door"
local M = {}

local BLANKS = " \t\n\v\f\r"

--- Without what stands at its end of `set` (ASCII; blanks when it is left out).
---@param s string
---@param set? string
---@return string
function M.right(s, set)
  set = set or BLANKS
  local last = #s
  while last > 0 and set:find(s:sub(last, last), 1, true) do last = last - 1 end
  return s:sub(1, last)
end

---@param s string
---@return string
function M.both(s) return M.right(s:sub((s:find "%S" or 1))) end

--- Its lines beside each other, each without the blanks around it; empty ones go.
---@param s string
---@param joint? string
---@return string
function M.one_line(s, joint)
  local parts = {}
  for line in s:gmatch "[^\r\n]+" do
    line = M.both(line)
    if line ~= "" then parts[#parts + 1] = line end
  end
  return table.concat(parts, joint or " ")
end

return M
