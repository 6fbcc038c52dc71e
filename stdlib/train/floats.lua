-- floats.lua - numbers as the f32 bytes that plans take and give.
--
--   floats.bytes { 1, 0.5 }               -- 8 bytes
--   floats.numbers(bytes)                 -- { 1.0, 0.5 }
--   floats.not_finite(bytes)              -- nil, or where the first number stands that is none or has no end: 1 is the first

local floats = {}

---@param list number[]
---@return string
function floats.bytes(list)
  local parts = {}
  for i, x in ipairs(list) do parts[i] = string.pack("<f", x) end
  return table.concat(parts)
end

---@param bytes string
---@return number[]
function floats.numbers(bytes)
  local list = {}
  for i = 1, #bytes // 4 do list[i] = string.unpack("<f", bytes, 4 * i - 3) end
  return list
end

---@param bytes string
---@return integer? place
function floats.not_finite(bytes)
  for i = 1, #bytes // 4 do
    local x = string.unpack("<f", bytes, 4 * i - 3)
    if x - x ~= 0 then return i end -- infinite or not a number
  end
end

return floats
