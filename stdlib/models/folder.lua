-- folder.lua - a model as diffusers keeps it: a folder with text_encoder, tokenizer, unet, vae and scheduler.
--
--   local model = folder.open "models/sd15"          -- reads configs and headers; nothing large
--   assert(folder.fits(model))                        -- each config belongs to its tensors
--   local g = layers.new()
--   local y = unet.predict(g, x, t, context, model.unet:weights(g), model.unet.config)
--   local plan = device.open():plan(g.graph)
--   folder.load(g, plan, model.unet)                 -- streams the tensors that the layers took
--
-- What a part is and how it is read stands in part.lua.

local fs = require "native.fs"
local part = require "models.part"
local text = require "native.text"
local clip, schedule, unet, vae = require "models.clip", require "models.schedule", require "models.unet", require "models.vae"

local folder = {}

local PARTS = {
  text_encoder = { root = "text_encoder", stem = "model", config = clip.config },
  unet = { root = "unet", stem = "diffusion_pytorch_model", config = unet.config },
  vae = { root = "vae", stem = "diffusion_pytorch_model", config = vae.config, names = vae.names },
}

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
      local config, message, code = part.read_json(path .. "/" .. name)
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
      local it, message, code = part.open(path .. "/" .. name, kind)
      if not it then return nil, message, code end
      model[name], found = it, true
    end
  end
  if not found then return nil, ("%s is no model folder: it has none of text_encoder, unet, vae"):format(path), "NOTFOUND" end
  if fs.stat(path .. "/scheduler/scheduler_config.json") then
    local config, message, code = part.read_config(path .. "/scheduler/scheduler_config.json", "schedule", schedule.noise)
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
    local ok, message, code = part.try(it[1], it[2])
    if not ok then return nil, message, code end
  end
  return true
end

--- Stream the tensors of `part` that the layers of `g` took into a plan or reference.
folder.load = part.load

return folder
