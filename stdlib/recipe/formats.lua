-- formats.lua - how sets of pictures can be exported. A new format is a file in stdlib/export/ and its name here.
local M = { by_name = {}, names = {} }

local docs = {}
for _, name in ipairs { "replicate", "kohya", "sidecars" } do
  local format = require("export." .. name)
  M.by_name[name] = format
  M.names[#M.names + 1] = name
  docs[#docs + 1] = name .. ": " .. format.doc
end
M.doc = table.concat(docs, "; ")

return M
