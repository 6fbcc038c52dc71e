-- base64.lua - bytes for data: addresses in the report.
local M = {}

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local pairs_of = {} -- 12 bits -> two letters
for n = 0, 4095 do pairs_of[n] = ALPHABET:sub(n // 64 + 1, n // 64 + 1) .. ALPHABET:sub(n % 64 + 1, n % 64 + 1) end

---@param bytes string
---@return string
function M.encode(bytes)
  local out, whole = {}, #bytes - #bytes % 3
  for i = 1, whole, 3 do
    local a, b, c = bytes:byte(i, i + 2)
    out[#out + 1] = pairs_of[a << 4 | b >> 4]
    out[#out + 1] = pairs_of[(b & 15) << 8 | c]
  end
  local a, b = bytes:byte(whole + 1, whole + 2)
  if b then
    out[#out + 1] = pairs_of[a << 4 | b >> 4] .. pairs_of[(b & 15) << 8]:sub(1, 1) .. "="
  elseif a then
    out[#out + 1] = pairs_of[a << 4] .. "=="
  end
  return table.concat(out)
end

return M
