-- kind.lua - what is in a folder that was named as a model, as far as it shows without reading it: for those who named another one than they meant,
-- and for lists of models.
--
--   local it = kind.of "models/wd-vit-tagger-v3"
--   it.kind, it.text, it.use       -- "tagger", "a tagger (vit_base_patch16_224)", 'wd14 { model = "models/wd-vit-tagger-v3" }'
--   kind.instead("models/wd-vit-tagger-v3", "captioner")     -- "... is a tagger (...), not a BLIP that writes captions", 'wd14 { ... } reads it'
--
-- What can be captioned, scored or tagged with is decided where it is read (hub_folder.lua); nothing here refuses a model.

local fs = require "native.fs"
local part = require "models.part"
local safetensors = require "native.safetensors"
local wd14 = require "models.wd14"

local M = {}

-- What is looked for by those who look at pictures, who reads it, and which model of the hub is one.
local WANTED = {
  captioner = { text = "a BLIP that writes captions", use = "blip { model = %q }", hub = "Salesforce/blip-image-captioning-base" },
  matcher = { text = "a BLIP that says whether texts belong to pictures", use = ':score { by = "blip-itm", model = %q }',
    hub = "Salesforce/blip-itm-base-coco" },
  tagger = { text = "a WD14 tagger", use = "wd14 { model = %q }", hub = "SmilingWolf/wd-vit-tagger-v3" },
}

-- Endings of weights that other programs read.
local FOREIGN = { onnx = "ONNX", h5 = "TensorFlow", pb = "TensorFlow", tflite = "TensorFlow Lite", msgpack = "Flax", gguf = "GGUF",
  ckpt = "a PyTorch checkpoint", pt = "PyTorch under another name", pth = "PyTorch under another name" }

local function text_of(value) return type(value) == "string" and #value <= 100 and not value:find "%c" and utf8.len(value) and value or nil end

--- Which BLIP has these tensors; nil where they are of none.
---@param tensors table<string, any>
---@return "captioner"|"matcher"|"answerer"|"comparer"|nil
function M.blip(tensors)
  local encoder, decoder = false, false
  for name in pairs(tensors) do
    encoder = encoder or name:find "^text_encoder%." ~= nil
    decoder = decoder or name:find "^text_decoder%." ~= nil
  end
  if decoder then return encoder and "answerer" or "captioner" end
  if tensors["itm_head.weight"] then return "matcher" end
  return tensors["text_projection.weight"] and "comparer" or nil
end

local BLIP = { captioner = WANTED.captioner.text, matcher = WANTED.matcher.text, answerer = "a BLIP that answers questions about pictures",
  comparer = "a BLIP that compares texts with pictures and has no head for it" }
local ARCHITECTURES = { BlipForConditionalGeneration = "captioner", BlipForImageTextRetrieval = "matcher", BlipForQuestionAnswering = "answerer",
  BlipModel = "comparer" }

-- The names of a folder's tensors; empty where they cannot be seen.
local function tensors_of(path, stem)
  local names = {}
  for _, file in ipairs(part.files(path, stem) or {}) do
    local it = safetensors.open(path .. "/" .. file)
    for name in pairs(it and it.tensors or {}) do names[name] = true end
  end
  return names
end

local function is_lora(tensors)
  for name in pairs(tensors) do if name:find "lora_" or name:find "%.lora%." then return true end end
  return false
end

-- Of what lies in a folder: which names, and which formats of weights that are not read here.
local function contents(path)
  local list = fs.list(path)
  if not list then return nil end
  local names, formats, readable = {}, {}, false
  for _, entry in ipairs(list) do
    local name = entry.path:match "[^/]*$"
    names[name] = entry.kind
    local ending = name:match "%.([%w]+)$"
    readable = readable or ending == "safetensors" or ending == "bin"
    if FOREIGN[ending] and entry.kind ~= "folder" then formats[#formats + 1] = { name = name, format = FOREIGN[ending] } end
  end
  return names, formats, readable, #list
end

local function diffusers(path, names)
  local index = names["model_index.json"] and part.read_json(path .. "/model_index.json")
  if not index and not (names.unet and names.vae) then return nil end
  return { kind = "base", text = ("%s, which draws pictures"):format(index and text_of(index._class_name) or "a model of diffusers"),
    use = ("train_lora { base = %q }"):format(path) }
end

local function by_config(path, names, config)
  local architectures = type(config.architectures) == "table" and config.architectures or {}
  local name = text_of(architectures[1]) or text_of(config._class_name)
  if config.model_type == "blip" or ARCHITECTURES[name] then
    local kind = M.blip(tensors_of(path, "model")) or ARCHITECTURES[name]
    return kind and { kind = kind, text = BLIP[kind], use = WANTED[kind] and WANTED[kind].use:format(path) }
  end
  local built = text_of(config.architecture)
  if built then -- as timm writes it
    if not names["selected_tags.csv"] and not built:find "^vit_" then return { kind = "other", text = ("%s, a model of timm"):format(built) } end
    local fine = pcall(wd14.config, config)
    return { kind = "tagger", text = ("a tagger (%s)"):format(built), use = fine and WANTED.tagger.use:format(path) or nil, closed = not fine }
  end
  name = name or text_of(config.model_type)
  return name and { kind = "other", text = name }
end

local function folder(path)
  local names, formats, readable, count = contents(path)
  if not names then return nil end
  if count == 0 then return { kind = "nothing", text = "an empty folder" } end
  local config = names["config.json"] and part.read_json(path .. "/config.json")
  local it = diffusers(path, names) or config and by_config(path, names, config)
  local adapter = names["adapter_config.json"] or names["pytorch_lora_weights.safetensors"] or names["pytorch_lora_weights.bin"]
  if not it and adapter or (not it or it.kind ~= "base") and is_lora(tensors_of(path, "model")) then
    it = { kind = "lora", text = "a LoRA, which changes another model" }
  end
  if not it and names["selected_tags.csv"] then it = { kind = "tagger", text = "a tagger" } end
  if not readable and #formats > 0 and (not it or it.kind ~= "base") then
    it = it or { kind = "other", text = "a model" }
    it.foreign, it.use = formats[1], nil
  elseif it and not readable and it.kind ~= "base" then
    it.bare, it.use = true, nil
  end
  return it
end

--- What lies there: kind ("captioner", "matcher", "tagger", "answerer", "comparer", "base", "lora", "file", "nothing", "other"), text in a few words,
--- use: what reads it, in the words of a recipe; foreign: its weights, where there are none that are read; closed: a tagger of a build that is
--- not read; bare: weights are missing. nil where nothing can be said.
---@param path string
---@return { kind: string, text: string, use: string?, foreign: { name: string, format: string }?, closed: boolean?, bare: boolean? }?
function M.of(path)
  local info = fs.stat(path)
  if not info then return nil end
  if info.kind == "file" then return { kind = "file", text = "a single file" } end
  return folder(path)
end

-- A folder in `path` that is of the kind that is wanted: of models/, or of a place where the hub's own program keeps a model.
local function inside(path, wanted)
  for _, above in ipairs { path, path .. "/snapshots" } do
    for _, entry in ipairs(fs.list(above) or {}) do
      local it = entry.kind == "folder" and folder(entry.path)
      if it and it.kind == wanted and it.use then return entry.path end
    end
  end
end

-- Files that lie in models' folders under these names: the folder was meant.
local function is_part(name) return name:find "^model%." or name:find "^pytorch_model" or name:find "%.json$" or name:find "%.txt$" or name:find "%.csv$" end

local function brings(wanted) return ("`calotype get hf:%s` brings %s"):format(WANTED[wanted].hub, WANTED[wanted].text) end

--- What to say to somebody who wants one kind and named another: a sentence and what to do. The sentence is nil where only the advice is of use, both
--- are where the folder is one of the kind that is wanted, or says nothing.
---@param path string
---@param wanted "captioner"|"matcher"|"tagger"
---@return string? message
---@return string? advice
function M.instead(path, wanted)
  local it = M.of(path)
  local want, below = WANTED[wanted], (not it or it.kind ~= "file") and inside(path, wanted)
  if below then return ("%s is not %s"):format(path, want.text), ("%s inside it is one"):format(below) end
  if not it then return nil end
  if it.kind == "file" and is_part(path:match "[^/]*$") then
    return ("%s is a file; a model is its whole folder"):format(path), ("write model = %q"):format(path:match "^(.+)/[^/]*$" or ".")
  elseif it.kind == "file" then
    return ("%s is a single file; %s is a folder: config.json, weights and %s"):format(path, want.text,
      wanted == "tagger" and "selected_tags.csv" or "the words"), "name the folder; " .. brings(wanted) .. ", whole"
  end
  if it.foreign and (it.kind == wanted or it.kind == "other" or it.kind == "tagger") then
    return ("%s has its weights only as %s (%s); model.safetensors or pytorch_model.bin is read"):format(path, it.foreign.format, it.foreign.name),
      brings(wanted)
  end
  if it.kind == wanted then return nil, it.closed and brings(wanted) or nil end
  return ("%s is %s, not %s"):format(path, it.text, want.text), it.use and ("%s reads it; %s"):format(it.use, brings(wanted)) or brings(wanted)
end

return M
