-- folder.lua - a model as diffusers keeps it: a folder with text_encoder, tokenizer, unet, vae and scheduler.
--
--   local model = folder.open "models/sd15"          -- reads configs and headers; nothing large
--   assert(folder.fits(model))                        -- each config belongs to its tensors
--   local g = layers.new()
--   local y = unet.predict(g, x, t, context, model.unet:weights(g), model.unet.config)
--   local plan = device.open():plan(g.graph)
--   folder.load(g, plan, model.unet)                 -- streams the tensors that the layers took

local fs = require "native.fs"
local json = require "native.json"
local layers = require "models.layers"
local safetensors = require "native.safetensors"
local text = require "native.text"
local clip, schedule, unet, vae = require "models.clip", require "models.schedule", require "models.unet", require "models.vae"
local weights = require "native.weights"

local folder = {}

local PARTS = {
  text_encoder = { root = "text_encoder", stem = "model", config = clip.config },
  unet = { root = "unet", stem = "diffusion_pytorch_model", config = unet.config },
  vae = { root = "vae", stem = "diffusion_pytorch_model", config = vae.config },
}

local function read_json(path)
  local bytes, message, code = fs.read(path, 32 << 20)
  if not bytes then return nil, message, code end
  local value
  value, message, code = json.decode(bytes)
  if type(value) ~= "table" then return nil, ("%s: %s"):format(path, message or "an object is expected"), code or "FORMAT" end
  return value
end

-- A config that its model can read; what it says of itself, "unet: the config's norm_eps is ...", is told with the file instead.
local function read_config(path, root, read)
  local config, message, code = read_json(path)
  if not config then return nil, message, code end
  local fine, problem = pcall(read, config)
  if fine then return config end
  return nil, ("%s: %s"):format(path, (tostring(problem):gsub("^" .. root .. ": ", ""):gsub("^the config's ", ""))), "FORMAT"
end

-- Which files hold the tensors: plain, else fp16, else the parts that an index names. Returns a list of names.
local function choose(path, stem)
  for _, name in ipairs { stem .. ".safetensors", stem .. ".fp16.safetensors" } do
    if fs.stat(path .. "/" .. name) then return { name } end
  end
  for _, name in ipairs { stem .. ".safetensors.index.json", stem .. ".fp16.safetensors.index.json" } do
    if fs.stat(path .. "/" .. name) then
      local index, message, code = read_json(path .. "/" .. name)
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
  end
  local hint = ""
  if fs.stat(path .. "/" .. stem .. ".bin") then
    hint = ("; there is only %s.bin, a Python pickle: save the model again as safetensors"):format(stem)
  end
  return nil, ("%s: no %s.safetensors%s"):format(path, stem, hint), "NOTFOUND"
end

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

local function open_part(path, kind)
  local part = setmetatable({ root = kind.root, path = path }, Part)
  local message, code
  part.config, message, code = read_config(path .. "/config.json", kind.root, kind.config)
  if not part.config then return nil, message, code end
  part.files, message, code = choose(path, kind.stem)
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
  if kind.root == "vae" then part.tensors, part.original = vae.names(part.tensors) end
  return part
end

local SPECIAL = { "special_tokens_map.json", "tokenizer_config.json" }

--- The files of a tokenizer's folder that say how it cuts words; not every folder has all.
folder.tokenizer_files = { "vocab.json", "merges.txt", table.unpack(SPECIAL) }

--- The tokenizer of a folder with vocab.json and merges.txt; its special tokens as tokenizer_config.json or special_tokens_map.json name
--- them. Second value: how many tokens the text encoder reads.
function folder.tokenizer(path)
  if not fs.stat(path .. "/vocab.json") then
    return nil, ("%s: no vocab.json; a tokenizer folder comes with the model it was trained with"):format(path), "NOTFOUND"
  end
  local special, length = {}, 77
  for _, name in ipairs(SPECIAL) do
    if fs.stat(path .. "/" .. name) then
      local config, message, code = read_json(path .. "/" .. name)
      if not config then return nil, message, code end
      for key, role in pairs { bos_token = "begin", eos_token = "end", pad_token = "pad", unk_token = "unknown" } do
        local token = config[key]
        if type(token) == "table" then token = token.content end
        if type(token) == "string" then special[role] = token end
      end
      local most = math.tointeger(config.model_max_length)
      if most and most >= 2 and most <= 4096 then length = most end
    end
  end
  local tokenizer, message, code = text.clip(path .. "/vocab.json", path .. "/merges.txt", special)
  if not tokenizer then return nil, message, code end
  return tokenizer, length
end

--- Open what there is of a model folder. A part that is not there is nil; one that is broken refuses the whole.
---@param path string
---@return table? model { path, text_encoder?, unet?, vae?, scheduler?, tokenizer?, length? }
---@return string? message
---@return string? code
function folder.open(path)
  local model = { path = path }
  local found = false
  for name, kind in pairs(PARTS) do
    if fs.stat(path .. "/" .. name) then
      local part, message, code = open_part(path .. "/" .. name, kind)
      if not part then return nil, message, code end
      model[name], found = part, true
    end
  end
  if not found then return nil, ("%s is no model folder: it has none of text_encoder, unet, vae"):format(path), "NOTFOUND" end
  if fs.stat(path .. "/scheduler/scheduler_config.json") then
    local config, message, code = read_config(path .. "/scheduler/scheduler_config.json", "schedule", schedule.noise)
    if not config then return nil, message, code end
    model.scheduler = config
  end
  if fs.stat(path .. "/tokenizer") then
    local tokenizer, length, code = folder.tokenizer(path .. "/tokenizer")
    if not tokenizer then return nil, length, code end
    model.tokenizer, model.length = tokenizer, length
    local rows = model.text_encoder and model.text_encoder.config.vocab_size
    if rows and rows ~= tokenizer:size() then
      return nil, ("%s: the tokenizer has %d tokens, the text encoder's vocab_size is %s"):format(path, tokenizer:size(), tostring(rows)), "FORMAT"
    end
  end
  return model
end

--- Whether each config belongs to its tensors, and the parts to each other: every model is made once as a graph, which takes a hundredth
--- of a second and no memory to speak of.
---@param model table from folder.open, with all its parts
---@return boolean? ok
---@return string? message
---@return string? code
function folder.fits(model)
  local side, states, latent = 64, nil, nil
  local function try(part, build)
    local g = layers.new()
    local ok, problem = pcall(build, g, part:weights(g), part.config)
    if ok then return true end
    local said = tostring(problem)
    if said:sub(1, #part.root + 2) == part.root .. ": " then said = said:sub(#part.root + 3) end
    return nil, ("%s: config.json and the weights are not of one model: %s"):format(part.path, said), "FORMAT"
  end
  local parts = {
    { model.text_encoder, function(g, w, config)
      states = clip.encode(g, g.input("ids", "i32", { 1, model.length or 77 }), w, config):shape()
    end },
    { model.vae, function(g, w, config)
      local picture = side << (#vae.config(config).widths - 1)
      latent = vae.encode(g, g.input("picture", "f32", { 1, picture, picture, 3 }), w, config):shape()
      vae.decode(g, g.input("latents", "f32", latent), w, config)
    end },
    { model.unet, function(g, w, config)
      unet.predict(g, g.input("latents", "f32", latent), g.input("t", "f32", { 1 }), g.input("context", "f32", states), w, config)
    end },
  }
  for _, it in ipairs(parts) do
    local ok, message, code = try(it[1], it[2])
    if not ok then return nil, message, code end
  end
  return true
end

--- Stream the tensors of `part` that the layers of `g` took into a plan or reference.
---@return boolean? ok
---@return string? message
---@return string? code
function folder.load(g, target, part)
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

return folder
