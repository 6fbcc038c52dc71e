-- checkpoint.lua - all that a training must know to go on bit for bit: the flat groups of a plan and a note, in one safetensors file.
--
--   local kept = checkpoint.of(g.graph, g.loads, { average = true })          -- after the optimizer was added
--   checkpoint.save("out/vae.state", plan, kept, { step = 400 })
--   local note = checkpoint.load("out/vae.state", plan, kept)                 -- { step = 400 }
--   local note = checkpoint.note "out/vae.state"                              -- reads the header only
--
-- Random numbers need no place in it: they follow from the seed and the step. The file appears whole or not at all; a state that is not
-- finite is not written. The layout (every parameter's name and shape) is named in it, so that the state of another model is refused.

local hash = require "native.hash"
local json = require "native.json"
local safetensors = require "native.safetensors"
local weights = require "native.weights"

local checkpoint = {}

local GROUPS = { "parameters", "moment_1", "moment_2", "average" }
local NOTE = "calotype.checkpoint"

--- A short name for the parameters of a graph: their names and shapes in order.
---@param parameters { name?: string, path?: string, file?: string, value: userdata }[] g.loads, or anything like it
---@return string
function checkpoint.layout(parameters)
  local lines = {}
  for i, l in ipairs(parameters) do lines[i] = (l.file or "") .. " " .. (l.name or l.path) .. " " .. table.concat(l.value:shape(), "x") end
  return hash.sha256(table.concat(lines, "\n")):sub(1, 16)
end

---@class calotype.Kept what is kept of a graph
---@field flat table<string, userdata> the flat value of each group that its optimizer uses
---@field layout string

--- Declare what is kept. Call it after the optimizer was added.
---@param g userdata a native graph
---@param parameters table[] as for checkpoint.layout
---@param options? { average?: boolean }
---@return calotype.Kept
function checkpoint.of(g, parameters, options)
  local flat = {}
  for _, group in ipairs(GROUPS) do
    if group ~= "average" or (options and options.average) then flat[group] = g:flat(group) end
  end
  return { flat = flat, layout = checkpoint.layout(parameters) }
end

---@param path string
---@param plan userdata
---@param kept calotype.Kept
---@param note table what JSON can hold
---@return boolean? ok
---@return string? message
---@return string? code
function checkpoint.save(path, plan, kept, note)
  local tensors = {}
  for _, group in ipairs(GROUPS) do
    local value = kept.flat[group]
    if value then
      local bytes, message, code = plan:group(group)
      if not bytes then return nil, message, code end
      tensors[#tensors + 1] = { name = group, shape = value:shape(), bytes = bytes }
    end
  end
  local ok, message, code = weights.save(path, tensors, { dtype = "f32", metadata = { layout = kept.layout, [NOTE] = json.encode(note) } })
  if not ok then return nil, message, code end
  return true
end

local function open(path)
  local file, message, code = safetensors.open(path)
  if not file then return nil, message, code end
  local text = file.metadata[NOTE]
  if not text then return nil, ("%s is no checkpoint of calotype: its metadata lack %s"):format(path, NOTE), "FORMAT" end
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
function checkpoint.load(path, plan, kept)
  local note, file, code = open(path)
  if not note then return nil, file, code end
  if file.metadata.layout ~= kept.layout then
    return nil, ("%s belongs to another model: its layout is %s, this one's is %s; remove it to begin anew"):format(path,
      tostring(file.metadata.layout), kept.layout), "FORMAT"
  end
  local list = {}
  for _, group in ipairs(GROUPS) do
    if kept.flat[group] then
      if not file.tensors[group] then return nil, ("%s: it has no \"%s\""):format(path, group), "FORMAT" end
      list[#list + 1] = { value = kept.flat[group], name = group }
    end
  end
  local ok, message
  ok, message, code = weights.load(path, plan, list)
  if not ok then return nil, message, code end
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
  if x == nil then return "(none)" end
  if math.type(x) == "float" then return ("%.6g"):format(x) end
  if type(x) == "string" and #x == 64 and not x:find "%X" then return x:sub(1, 8) end -- of a hash the beginning is enough
  return tostring(x)
end

--- What differs between two tables of options, sorted: { "rank 16 -> 32", ... } and the names: { "rank" }.
---@return string[] lines
---@return string[] names
function checkpoint.differences(before, now)
  local a, b = flat(before, "", {}), flat(now, "", {})
  local names, lines = {}, {}
  for name in pairs(a) do if a[name] ~= b[name] then names[#names + 1] = name end end
  for name in pairs(b) do if a[name] == nil then names[#names + 1] = name end end
  table.sort(names)
  for i, name in ipairs(names) do lines[i] = ("%s %s -> %s"):format(name, text(a[name]), text(b[name])) end
  return lines, names
end

return checkpoint
