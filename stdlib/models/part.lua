-- part.lua - a model's weights with their config: config.json beside safetensors, as diffusers and transformers keep them, or beside
-- what torch.save wrote (pytorch_model.bin), of which nothing but the tensors is read.
--
--   local unet = part.open("models/sd15/unet", { root = "unet", stem = "diffusion_pytorch_model", config = unet.config })
--   local y = unet.predict(g, x, t, context, unet:weights(g), unet.config)
--   part.load(g, plan, unet)                          -- streams the tensors that the layers took

local fs = require "native.fs"
local hash = require "native.hash"
local json = require "native.json"
local layers = require "models.layers"
local safetensors = require "native.safetensors"
local size_text = require "size_text"
local weights = require "native.weights"

local M = {}

--- A file that holds one JSON object.
---@return table? value
---@return string? message
---@return string? code
function M.read_json(path)
  local bytes, message, code = fs.read(path, 32 << 20)
  if not bytes then return nil, message, code end
  local value
  value, message, code = json.decode(bytes)
  if type(value) ~= "table" then return nil, ("%s: %s"):format(path, message or "an object is expected"), code or "FORMAT" end
  return value
end

--- A config that its model can read; what it says of itself, "unet: the config's norm_eps is ...", is told with the file instead.
---@return table? config
---@return string? message
---@return string? code
function M.read_config(path, root, read)
  local config, message, code = M.read_json(path)
  if not config then return nil, message, code end
  local fine, problem = pcall(read, config)
  if fine then return config end
  return nil, ("%s: %s"):format(path, (tostring(problem):gsub("^" .. root .. ": ", ""):gsub("^the config's ", ""))), "FORMAT"
end

-- The files that an index names.
local function parts_of(path, name)
  local index, message, code = M.read_json(path .. "/" .. name)
  if not index then return nil, message, code end
  local files, seen = {}, {}
  for _, file in pairs(type(index.weight_map) == "table" and index.weight_map or {}) do
    if type(file) ~= "string" or file:find "[/\\]" then return nil, ("%s/%s: a part is no file name"):format(path, name), "FORMAT" end
    if not seen[file] then
      seen[file] = true
      files[#files + 1] = file
    end
  end
  table.sort(files)
  if #files == 0 then return nil, ("%s/%s names no files"):format(path, name), "FORMAT" end
  return files
end

--- Whether a file is there. nil, why and the code where that cannot be said: a link that leads out of the folder, a folder that is closed.
---@param path string
---@return boolean? there
---@return string? message
---@return string? code
function M.there(path)
  local info, message, code = fs.stat(path)
  if info then return true end
  if code == "NOTFOUND" then return false end
  return nil, message, code
end

--- Which files of a folder hold the tensors: safetensors before what torch.save wrote, of each plain, else fp16, else the parts that an index names.
---@return string[]? names
---@return string? message
---@return string? code
function M.files(path, stem)
  local pytorch = stem == "model" and "pytorch_model" or stem -- as transformers calls it
  for _, format in ipairs { { ".safetensors", { stem } }, { ".bin", { pytorch, stem } } } do
    local ending, names = table.unpack(format)
    for _, suffix in ipairs { "", ".index.json" } do
      for _, variant in ipairs { "", ".fp16" } do
        for _, start in ipairs(names) do
          local name = start .. variant .. ending .. suffix
          local there, message, code = M.there(path .. "/" .. name)
          if there == nil then return nil, message, code end
          if there then
            if suffix == "" then return { name } end
            return parts_of(path, name)
          end
        end
      end
    end
  end
  return nil, ("%s: no %s.safetensors and no %s.bin"):format(path, stem, pytorch), "NOTFOUND"
end

--- Whether a refusal of M.open says itself what to do: the folder is whole, but of another kind than is read.
---@param message string
---@return boolean
function M.advises(message) return message:find("save the model again", 1, true) ~= nil end

---@class calotype.ModelPart
---@field root string first part of every path: "unet"
---@field path string
---@field config table config.json
---@field files string[] which files were chosen
---@field tensors table<string, table> dtype and shape by today's name
local Part = {}
Part.__index = Part

--- The handle of this part's tensors in a graph.
function Part:weights(g) return g.weights(self.root, self.tensors) end

--- Config and header of a folder. kind: root, the first part of every path; stem, what the files of weights are called; config, what reads
--- config.json and raises what is wrong with it; names, where tensors had other names once, today's and those of the file.
---@param kind { root: string, stem: string, config: fun(config: table), names?: fun(tensors: table): table, table }
---@return calotype.ModelPart? part
---@return string? message
---@return string? code
function M.open(path, kind)
  local part = setmetatable({ root = kind.root, path = path }, Part)
  local message, code
  part.config, message, code = M.read_config(path .. "/config.json", kind.root, kind.config)
  if not part.config then return nil, message, code end
  part.files, message, code = M.files(path, kind.stem)
  if not part.files then return nil, message, code end
  part.tensors, part.original = {}, {}
  for _, name in ipairs(part.files) do
    local file
    file, message, code = safetensors.open(path .. "/" .. name)
    if not file then return nil, message, code end
    for tensor, it in pairs(file.tensors) do
      if part.tensors[tensor] then return nil, ("%s: tensor \"%s\" is in two files"):format(path, tensor), "FORMAT" end
      it.file = path .. "/" .. name
      part.tensors[tensor] = it
    end
  end
  if kind.names then part.tensors, part.original = kind.names(part.tensors) end
  return part
end

--- Whether the config belongs to its tensors: build(g, handle, config) makes the model once as a graph, which takes a hundredth of a second and
--- no memory to speak of.
---@return string[]? unused the tensors that it has no use for
---@return string? message
---@return string? code
function M.try(part, build)
  local g = layers.new()
  local ok, problem = pcall(build, g, part:weights(g), part.config)
  if ok then
    local unused = g.unused()
    for i, name in ipairs(unused) do unused[i] = name:sub(#part.root + 2) end
    return unused
  end
  local said = tostring(problem)
  if said:sub(1, #part.root + 2) == part.root .. ": " then said = said:sub(#part.root + 3) end
  local apart = said:find("has the dtype", 1, true) and "" or "config.json and the weights are not of one model: "
  return nil, ("%s: %s%s"):format(part.path, apart, said), "FORMAT"
end

--- sha256 of a file: a checkpoint of gigabytes is read once, then known by its path and what the disk says of it (fs.stat's stamp). With `only_known` it
--- is not read.
---@return string? sum
---@return string? message
---@return string? code
function M.file_hash(store, path, only_known)
  local info, message, code = fs.stat(path)
  if not info then return nil, message, code end
  local key = (fs.absolute(path) or path) .. "|" .. info.stamp
  local known = store:get("file", key)
  if known or only_known then return known end
  local sum
  sum, message, code = hash.file(path, "hashing the model, MB")
  if not sum then return nil, message, code end
  store:put("file", key, sum)
  return sum
end

--- What a part is, by content: its config and its files (those of `part.files` in its folder). With `known` no file is read: nil where one was never
--- read before.
---@param part { path: string, config?: table, files: string[] }
---@param known? boolean
---@return string? sum
---@return string? message
---@return string? code
function M.fingerprint(store, part, known)
  local rows = { json.encode(part.config or json.array(part.files)) }
  for _, file in ipairs(part.files) do
    local sum, message, code = M.file_hash(store, part.path .. "/" .. file, known)
    if not sum then return nil, message, code end
    rows[#rows + 1] = sum
  end
  return hash.sha256(table.concat(rows, "\n"))
end

--- Stream the tensors of `part` that the layers of `g` took into a plan or reference.
---@return boolean? ok
---@return string? message
---@return string? code
function M.load(g, target, part)
  local by_file, order = {}, {}
  for _, l in ipairs(g.loads) do
    if l.file == part.root then
      local file = part.tensors[l.name].file
      if not by_file[file] then
        by_file[file] = {}
        order[#order + 1] = file
      end
      table.insert(by_file[file], { value = l.value, name = part.original[l.name] or l.name, kernel = l.kernel })
    end
  end
  for _, file in ipairs(order) do
    local ok, message, code = weights.load(file, target, by_file[file], ("tensors of the %s"):format(part.root))
    if not ok then return nil, message, code end
  end
  return true
end

-- The graph for so many pictures at once, its inputs and outputs, the bytes that it takes, and those of them that are weights.
local function laid_out(part, o, build, batch)
  local g = layers.new { device = o.device, dtype = o.dtype, forward = true }
  local fine, io = pcall(build, g, part:weights(g), batch)
  if not fine then return nil, tostring(io), "FORMAT" end
  local sizes, message, code = o.device:sizes(g.graph)
  if not sizes then return nil, message, code end
  -- On a CPU pictures wait in the same memory: this batch's as floats, padded, on their way, and the next as they are decoded.
  local waiting = o.device:info().cpu and 3 * sizes.inputs or 0
  return g, io, sizes.weights + sizes.states + sizes.arena + sizes.inputs + sizes.constants + waiting, sizes.weights
end

-- Why there is no plan, and what would need less.
local function too_large(part, o, build, needs, held, fewer)
  local ways, fits = {}, o.batch
  repeat
    fits = fits // 2
    local _, _, less = laid_out(part, o, build, math.max(fits, 1))
  until fits == 0 or math.type(less) == "integer" and less <= o.memory
  if fits > 0 then ways[1] = ("batch = %d"):format(fits) end
  for _, way in ipairs(held <= o.memory and fewer or {}) do ways[#ways + 1] = way end
  if (o.dtype or "f32") == "f32" then ways[#ways + 1] = 'dtype = "bf16"' end
  local last = table.remove(ways)
  local advice
  if not last then advice = "a smaller model needs less, or close what else holds memory"
  elseif #ways == 0 then advice = last .. " needs less"
  else advice = table.concat(ways, ", ") .. " or " .. last .. " need less" end
  local asked = o.batch > 1 and ("%d pictures at once need"):format(o.batch) or "1 picture needs"
  return ("%s: %s %s, there are %s; %s"):format(part.path, asked, size_text(needs), size_text(o.memory), advice), "LIMIT"
end

--- The plan of a model at work, which the first Ctrl-C stops, with the part's weights in it: build(g, handle, batch) makes the graph that looks at
--- `batch` pictures at once and gives its inputs and outputs. LIMIT before anything is taken where it needs more than
--- `o.memory` (nil: not looked at), with what would need less: a batch that fits, and `fewer`.
---@param part calotype.ModelPart
---@param o { device: userdata, dtype?: string, batch: integer, memory?: number }
---@param build fun(g: table, handle: table, batch: integer): table
---@param fewer? string[]
---@return userdata? plan
---@return table|string io what build gave
---@return string? code
function M.plan(part, o, build, fewer)
  local g, io, needs, held = laid_out(part, o, build, o.batch)
  if not g then return nil, io, needs end
  if o.memory and needs > o.memory then return nil, too_large(part, o, build, needs, held, fewer) end
  local plan, message, code = o.device:plan(g.graph, { hasty = true })
  if not plan then return nil, message, code end
  local loaded
  loaded, message, code = M.load(g, plan, part)
  if loaded then return plan, io end
  plan:close()
  return nil, message, code
end

return M
