-- source.lua - calotype.json in a folder: where its files came from, and which bytes they had.
--
--   local s = source.read "models/sd15"             --> nil when there is none; nil, message when it cannot be read
--   s.from, s.commit, s.files["vae/config.json"]    --> "hf:owner/name", "451f4fe1...", { size =, hash =, mtime = }
--   source.write("models/sd15", s)
local fs = require "native.fs"
local json = require "native.json"

local M = {}

M.NAME = "calotype.json"

function M.read(folder)
  local path = folder .. "/" .. M.NAME
  local text, message, code = fs.read(path, 32 << 20)
  if not text then
    if code == "NOTFOUND" then return nil end
    return nil, message
  end
  local value
  value, message = json.decode(text)
  if type(value) ~= "table" or type(value.from) ~= "string" or type(value.files) ~= "table" then
    return nil, ("%s: %s"):format(path, message or "it does not say where the files came from")
  end
  for name, file in pairs(value.files) do
    if type(name) ~= "string" or type(file) ~= "table" then return nil, path .. ": a file in it has no size and hash" end
  end
  return value
end

function M.write(folder, value)
  local text = assert(json.encode(value, { pretty = true }))
  return fs.write(folder .. "/" .. M.NAME, text .. "\n")
end

--- What is noted of a file that is there now, so that the next run need not read it all.
function M.seen(path, hash)
  local info = fs.stat(path)
  return info and { size = info.size, hash = hash, mtime = tostring(info.mtime_ns) }
end

--- Is the file still the one that was noted?
function M.same(path, noted)
  local info = noted and fs.stat(path)
  return info and info.kind == "file" and info.size == noted.size and tostring(info.mtime_ns) == noted.mtime or false
end

return M
