-- checkpoint.lua - all that a training needs to go on bit for bit: the flat buffers of its parameters and moments in f32, and a note.
--
--   checkpoint.save("run/last.state", plan, { "parameters", "moment_1", "moment_2" }, { step = 313, options = { rank = 16 } })
--   local note = checkpoint.note "run/last.state"                        -- reads the header only
--   checkpoint.load("run/last.state", plan, { "parameters", "moment_1", "moment_2" })
--
-- The file is safetensors: one tensor [n] per group, the note as JSON in its metadata. It is whole or it is the one before.

local fs = require "native.fs"
local json = require "native.json"
local safetensors = require "native.safetensors"
local weights = require "native.weights"

local checkpoint = {}

local KEY = "calotype.checkpoint"

---@param path string
---@param plan userdata
---@param groups string[]
---@param note table what JSON can hold
---@return boolean? ok
---@return string? message
---@return string? code
function checkpoint.save(path, plan, groups, note)
  local tensors = {}
  for i, group in ipairs(groups) do
    local bytes, message, code = plan:group(group)
    if not bytes then return nil, message, code end
    tensors[i] = { name = group, shape = { #bytes // 4 }, bytes = bytes }
  end
  local hash, message, code = weights.save(path, tensors, { dtype = "f32", metadata = { [KEY] = json.encode(note) } })
  if not hash then return nil, message, code end
  return true
end

local function open(path)
  local file, message, code = safetensors.open(path)
  if not file then return nil, message, code end
  local text = file.metadata[KEY]
  if not text then return nil, ("%s is no checkpoint of calotype: its metadata lack %s"):format(path, KEY), "FORMAT" end
  local note
  note, message, code = json.decode(text)
  if type(note) ~= "table" then return nil, ("%s: its note is broken: %s"):format(path, message or "an object is expected"), code or "FORMAT" end
  return note, file
end

--- What was noted, without reading the numbers.
---@return table? note
---@return string? message
---@return string? code
function checkpoint.note(path)
  local note, message, code = open(path)
  if not note then return nil, message, code end
  return note
end

--- Put the groups back into a plan of the same graph.
---@return table? note
---@return string? message
---@return string? code
function checkpoint.load(path, plan, groups)
  local note, file, code = open(path)
  if not note then return nil, file, code end
  local bytes, message
  bytes, message, code = fs.read(path)
  if not bytes then return nil, message, code end
  local parts = {}
  for i, group in ipairs(groups) do
    local tensor = file.tensors[group]
    local now
    now, message, code = plan:group(group)
    if not now then return nil, message, code end
    if not tensor or tensor.dtype ~= "F32" then return nil, ("%s: it has no \"%s\" in f32"):format(path, group), "FORMAT" end
    if tensor.size ~= #now then
      return nil, ("%s: \"%s\" has %d numbers, this training has %d; it belongs to another model or rank"):format(path, group, tensor.size // 4, #now // 4), "FORMAT"
    end
    parts[i] = bytes:sub(tensor.offset + 1, tensor.offset + tensor.size)
  end
  -- Only now, so that a refused file changes nothing.
  for i, group in ipairs(groups) do plan:set_group(group, parts[i]) end
  return note
end

local function flat(value, prefix, out)
  if type(value) == "table" then
    for key, part in pairs(value) do flat(part, prefix == "" and tostring(key) or prefix .. "." .. tostring(key), out) end
  elseif value ~= nil then
    out[prefix] = value
  end
  return out
end

local function text(x)
  if math.type(x) == "float" then return ("%.6g"):format(x) end
  if type(x) == "string" and #x == 64 and not x:find "%X" then return x:sub(1, 8) end -- of a hash the beginning is enough
  return tostring(x)
end

--- What differs between two tables of options, sorted: { "rank 16 -> 32", ... } and the first words: { "rank" }.
---@return string[] lines
---@return string[] names
function checkpoint.differences(before, now)
  local a, b = flat(before, "", {}), flat(now, "", {})
  local names, lines = {}, {}
  for name in pairs(a) do if a[name] ~= b[name] then names[#names + 1] = name end end
  for name in pairs(b) do if a[name] == nil then names[#names + 1] = name end end
  table.sort(names)
  for i, name in ipairs(names) do
    lines[i] = ("%s %s -> %s"):format(name, a[name] == nil and "(none)" or text(a[name]), b[name] == nil and "(none)" or text(b[name]))
  end
  return lines, names
end

return checkpoint
