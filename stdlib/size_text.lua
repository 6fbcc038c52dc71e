-- size_text.lua - how many bytes, as people read it.
--
--   size_text(512)        --> "512 bytes"
--   size_text(2.1e9)      --> "2.1 GB"

---@param bytes number
---@return string
return function(bytes)
  if bytes < 1000 then return bytes .. " bytes" end
  if bytes < 1e6 then return ("%.0f kB"):format(bytes / 1e3) end
  if bytes < 1e9 then return ("%.1f MB"):format(bytes / 1e6) end
  return ("%.1f GB"):format(bytes / 1e9)
end
