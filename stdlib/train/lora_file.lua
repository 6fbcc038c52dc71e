-- lora_file.lua - a trained LoRA as a file that other programs open: kohya's names, alpha, metadata (facts: trainers 2.1 to 2.3, 2.10, 2.12).
--
--   lora_file.save("out/wtrclr.safetensors", lora, plan, { metadata = { ss_output_name = "wtrclr" } })
--   lora_file.load("out/wtrclr.safetensors", lora, plan)        -- as a beginning, or to sample with it
--   lora_file.metadata("out/wtrclr.safetensors").ss_output_name

local adapters = require "models.adapters"
local fs = require "native.fs"
local json = require "native.json"
local safetensors = require "native.safetensors"
local weights = require "native.weights"

local lora_file = {}

local function file_shape(m)
  if not m.size then return { m.rank, m.into }, { m.out, m.rank } end
  return { m.rank, m.into, m.size, m.size }, { m.out, m.rank, 1, 1 }
end

-- Numbers as the shortest text that is the same number again; whole ones without a point.
local function text(x)
  if math.type(x) ~= "float" then return tostring(x) end
  if math.tointeger(x) then return ("%d"):format(x) end
  for digits = 1, 16 do
    local short = ("%%.%dg"):format(digits):format(x)
    if tonumber(short) == x then return short end
  end
  return ("%.17g"):format(x)
end
lora_file.text = text

-- How far a number may be from what a file has of it: half a step of its kind, relative.
local ROUNDED = { F16 = 2.0 ^ -11, BF16 = 2.0 ^ -8, F32 = 2.0 ^ -24 }

-- A file's tensor of one element as a number; nil when it is something else.
local function scalar(bytes, tensor)
  local count = 1
  for _, size in ipairs(tensor.shape) do count = count * size end
  if count ~= 1 then return nil end
  local at = tensor.offset + 1
  if tensor.dtype == "F32" then return (string.unpack("<f", bytes, at)) end
  if not ROUNDED[tensor.dtype] then return nil end
  local n = string.unpack("<I2", bytes, at)
  if tensor.dtype == "BF16" then return (string.unpack("<f", string.pack("<I4", n << 16))) end
  local sign, exponent, rest = n >> 15 == 1 and -1 or 1, n >> 10 & 31, n & 1023
  if exponent == 31 then return nil end
  return sign * (exponent == 0 and rest * 2.0 ^ -24 or (1024 + rest) * 2.0 ^ (exponent - 25))
end

--- Metadata that every file has; what the caller knows of the run comes on top and wins.
local function with_defaults(lora, more)
  local metadata = {
    ss_network_module = "networks.lora", ss_network_dim = text(lora.rank), ss_network_alpha = text(lora.alpha), ss_v2 = "False",
    ss_base_model_version = "sd_v1", ["modelspec.sai_model_spec"] = "1.0.1", ["modelspec.architecture"] = "stable-diffusion-v1/lora",
    ["modelspec.implementation"] = "diffusers", ["modelspec.prediction_type"] = "epsilon",
  }
  for key, value in pairs(more or {}) do metadata[key] = text(value) end
  return metadata
end

--- Write the parameters that `from` (a plan: :bytes) holds. Nothing is written when a number is not finite.
---@param path string
---@param lora table an adapters.lora whose model was built
---@param from userdata a plan or reference
---@param options? { dtype?: "f16" | "bf16" | "f32", metadata?: table<string, any> }
---@return string? sha256 of the data, also in the file as sshs_model_hash
---@return string? message
---@return string? code
function lora_file.save(path, lora, from, options)
  options = options or {}
  local tensors = {}
  for _, m in ipairs(lora.modules) do
    local name = adapters.kohya_name(m.path)
    local down, up = file_shape(m)
    local bytes, message, code = from:bytes(m.down)
    if not bytes then return nil, message, code end
    tensors[#tensors + 1] = { name = name .. ".lora_down.weight", shape = down, bytes = bytes, kernel = (m.size or 1) > 1 }
    bytes, message, code = from:bytes(m.up)
    if not bytes then return nil, message, code end
    tensors[#tensors + 1] = { name = name .. ".lora_up.weight", shape = up, bytes = bytes }
    tensors[#tensors + 1] = { name = name .. ".alpha", shape = {}, bytes = string.pack("<f", m.alpha) }
  end
  -- The hash is of the data alone, so the file is written once to know it and once to say it.
  local metadata = with_defaults(lora, options.metadata)
  local hash, message, code = weights.save(path, tensors, { dtype = options.dtype or "f16", metadata = metadata })
  if not hash then return nil, message, code end
  metadata.sshs_model_hash, metadata["modelspec.hash_sha256"] = hash, "0x" .. hash
  return weights.save(path, tensors, { dtype = options.dtype or "f16", metadata = metadata })
end

--- What a file of ours says of itself; nil when there is none, or not a whole one.
---@param path string
---@return table<string, string>? metadata
function lora_file.metadata(path)
  local file = safetensors.open(path)
  return file and file.metadata.sshs_model_hash and file.metadata or nil
end

--- Copy a LoRA file with other metadata: `change` gets the table and changes it. The data stay byte for byte. Whole or not at all.
---@param from string
---@param to string
---@param change fun(metadata: table<string, string>)
---@return boolean? ok
---@return string? message
---@return string? code
function lora_file.relabel(from, to, change)
  local file, message, code = safetensors.open(from) -- every offset checked
  if not file then return nil, message, code end
  local bytes
  bytes, message, code = fs.read(from)
  if not bytes then return nil, message, code end
  local size = string.unpack("<I8", bytes)
  local header = json.decode(bytes:sub(9, 8 + size))
  local metadata = header.__metadata__ or {}
  change(metadata)
  for key, value in pairs(metadata) do metadata[key] = text(value) end
  header.__metadata__ = metadata
  local head = json.encode(header)
  head = head .. (" "):rep(-#head % 8)
  return fs.write(to, string.pack("<I8", #head) .. head .. bytes:sub(9 + size))
end

--- Read a file of ours or of kohya's back into the parameters of a LoRA of the same layers and rank. Its alphas must be the LoRA's own.
---@return boolean? ok
---@return string? message
---@return string? code
function lora_file.load(path, lora, into)
  local file, message, code = safetensors.open(path)
  if not file then return nil, message, code end
  local bytes
  bytes, message, code = fs.read(path)
  if not bytes then return nil, message, code end
  local list = {}
  for _, m in ipairs(lora.modules) do
    local name = adapters.kohya_name(m.path)
    local down, up = file_shape(m)
    for part, expected in pairs { ["lora_down.weight"] = down, ["lora_up.weight"] = up } do
      local tensor = file.tensors[name .. "." .. part]
      if not tensor then return nil, ("%s: no \"%s.%s\"; it was trained with other targets"):format(path, name, part), "NOTFOUND" end
      local got, want = table.concat(tensor.shape, ", "), table.concat(expected, ", ")
      if got ~= want then return nil, ("%s: \"%s.%s\" is [%s], this model and rank make it [%s]"):format(path, name, part, got, want), "FORMAT" end
    end
    -- kohya: without the tensor, alpha is the rank.
    local tensor = file.tensors[name .. ".alpha"]
    local alpha, near = m.rank, 0
    if tensor then alpha, near = scalar(bytes, tensor), ROUNDED[tensor.dtype] end
    if not alpha then return nil, ("%s: \"%s.alpha\" is no number"):format(path, name), "FORMAT" end
    if not (math.abs(alpha - m.alpha) <= near * math.abs(m.alpha)) then -- luacheck: ignore 581 (NaN)
      return nil, ("%s: \"%s\" was trained with alpha %g, this LoRA has %g"):format(path, name, alpha, m.alpha), "FORMAT"
    end
    list[#list + 1] = { value = m.down, name = name .. ".lora_down.weight", kernel = (m.size or 1) > 1 }
    list[#list + 1] = { value = m.up, name = name .. ".lora_up.weight" }
  end
  local known = {}
  for _, l in ipairs(list) do known[l.name] = true end
  for name in pairs(file.tensors) do
    if not known[name] and not name:find "%.alpha$" then
      return nil, ("%s: \"%s\" belongs to no layer that this LoRA adapts"):format(path, name), "FORMAT"
    end
  end
  local ok
  ok, message, code = weights.load(path, into, list)
  if not ok then return nil, message, code end
  return true
end

return lora_file
