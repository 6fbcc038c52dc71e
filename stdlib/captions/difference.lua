-- difference.lua - what changed between two texts, word by word.
--
--   difference.words("a red boat", "a blue boat")    --> { "a ", { "gone", "red" }, { "new", "blue" }, " boat" }, for log.put_marked
--
-- The longest common subsequence of words and the spaces between them. What is too long for that is gone and new as a whole.
local M = {}

local MOST = 1e6 -- pairs of words that are compared

local function split(text)
  local list = {}
  for word, space in text:gmatch "([^%s]*)(%s*)" do
    if word ~= "" then list[#list + 1] = word end
    if space ~= "" then list[#list + 1] = space end
  end
  return list
end

-- The pairs of equal words that a longest common subsequence has, between first and last_a, last_b.
local function common(a, b, first, last_a, last_b)
  local n, m = last_a - first + 1, last_b - first + 1
  if n <= 0 or m <= 0 or n * m > MOST then return {} end
  local rows = { [n + 1] = {} }
  for i = n, 1, -1 do
    local row, below = {}, rows[i + 1]
    for j = m, 1, -1 do
      if a[first + i - 1] == b[first + j - 1] then row[j] = (below[j + 1] or 0) + 1
      else row[j] = math.max(below[j] or 0, row[j + 1] or 0) end
    end
    rows[i] = row
  end
  local pairs_of, i, j = {}, 1, 1
  while i <= n and j <= m do
    if a[first + i - 1] == b[first + j - 1] then
      pairs_of[#pairs_of + 1] = { first + i - 1, first + j - 1 }
      i, j = i + 1, j + 1
    elseif (rows[i + 1][j] or 0) >= (rows[i][j + 1] or 0) then
      i = i + 1
    else
      j = j + 1
    end
  end
  return pairs_of
end

-- What stays and what changes, one after another: { same = } or { gone =, new = }.
local function segments(a, b)
  local first, last_a, last_b = 1, #a, #b
  while first <= last_a and first <= last_b and a[first] == b[first] do first = first + 1 end
  while last_a >= first and last_b >= first and a[last_a] == b[last_b] do last_a, last_b = last_a - 1, last_b - 1 end
  local same, list = {}, {}
  for i = 1, first - 1 do same[i] = { i, i } end
  table.move(common(a, b, first, last_a, last_b), 1, #a, #same + 1, same)
  for i = last_a + 1, #a do same[#same + 1] = { i, i - #a + #b } end
  same[#same + 1] = { #a + 1, #b + 1 }
  local i, j = 1, 1
  for _, pair in ipairs(same) do
    if pair[1] > i or pair[2] > j then list[#list + 1] = { gone = table.concat(a, "", i, pair[1] - 1), new = table.concat(b, "", j, pair[2] - 1) } end
    local word, last = a[pair[1]], list[#list]
    if word and last and last.same then last.same = last.same .. word
    elseif word then list[#list + 1] = { same = word } end
    i, j = pair[1] + 1, pair[2] + 1
  end
  return list
end

--- The parts of a line that shows the change.
---@param old string
---@param new string
---@return (string|{ [1]: "gone"|"new", [2]: string })[]
function M.words(old, new)
  local out, list, i = {}, segments(split(old), split(new)), 1
  while i <= #list do
    local part = list[i]
    if part.same then
      out[#out + 1] = part.same
    else
      -- words that changed one after another are one change
      local space, after = list[i + 1], list[i + 2]
      while after and not space.same:find "%S" do
        part.gone, part.new, i = part.gone .. space.same .. after.gone, part.new .. space.same .. after.new, i + 2
        space, after = list[i + 1], list[i + 2]
      end
      if part.gone ~= "" then out[#out + 1] = { "gone", part.gone } end
      if part.new ~= "" then out[#out + 1] = { "new", part.new } end
    end
    i = i + 1
  end
  return out
end

return M
