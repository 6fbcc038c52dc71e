-- pickle.lua - a safetensors file as torch.save would have written it, but compressed: NAME/data.pkl and NAME/data/0, 1 ...
--
--   pickle.write(tmp "pytorch_model.bin", "tests/golden/blip/captioner/model.safetensors")
local fs = require "native.fs"
local safetensors = require "native.safetensors"
local zip = require "native.zip"

local M = {}

local STORAGES = { F32 = "FloatStorage", F16 = "HalfStorage", BF16 = "BFloat16Storage", F64 = "DoubleStorage", I64 = "LongStorage", I32 = "IntStorage" }

local function text(s) return "X" .. string.pack("<s4", s) end
local function number(n) return "\x8a\x08" .. string.pack("<i8", n) end

local function numbers(list)
  local out = {}
  for i, n in ipairs(list) do out[i] = number(n) end
  return "(" .. table.concat(out) .. "t"
end

-- The instructions that make one tensor whose storage is data/`key`.
local function tensor(it, key)
  local strides, count = {}, 1
  for i = #it.shape, 1, -1 do
    strides[i] = count
    count = count * it.shape[i]
  end
  return "ctorch._utils\n_rebuild_tensor_v2\n((" .. text "storage" .. "ctorch\n" .. STORAGES[it.dtype] .. "\n" .. text(key) .. text "cpu" .. number(count)
    .. "tQ" .. number(0) .. numbers(it.shape) .. numbers(strides) .. "\x89ccollections\nOrderedDict\n)RtR"
end

--- Write the tensors of `from` (those that keep(name) wants) to `path`, under names that begin with `front`.
---@param path string
---@param from string
---@param keep? fun(name: string): boolean
---@param front? string
function M.write(path, from, keep, front)
  local bytes, file = assert(fs.read(from)), assert(safetensors.open(from))
  local program, entries = { "\x80\2}(" }, {}
  for name, it in pairs(file.tensors) do
    if not keep or keep(name) then
      local key = tostring(#entries)
      program[#program + 1] = text((front or "") .. name) .. tensor(it, key)
      entries[#entries + 1] = { name = "archive/data/" .. key, bytes = bytes:sub(it.offset + 1, it.offset + it.size) }
    end
  end
  program[#program + 1] = "u."
  table.insert(entries, 1, { name = "archive/data.pkl", bytes = table.concat(program) })
  assert(zip.write(path, entries, { fold = true }))
end

return M
