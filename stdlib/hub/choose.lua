-- choose.lua - which files of a repository a model needs.
--
--   choose.files({ { path = "unet/config.json", size = 743 }, ... }, {})          --> chosen, left | nil, message, hint
--   choose.files(entries, { pattern = "vae/*.json" })                             -- * stands for any letters, ? for one; "vae/" for all below
--   choose.files(entries, { variant = "fp16" })                                   -- halved weights where there are some
--
-- A repository often keeps the same weights many times: in formats of other programs, in full and in half precision, and all parts in
-- one more file. Of a diffusers folder (model_index.json) each part is taken once, of a transformers folder (config.json) its root,
-- safetensors before others; where there is neither, the only file of weights. `left` are files of weights that were left out.
local M = {}

local STEMS = { model = true, diffusion_pytorch_model = true, pytorch_model = true, adapter_model = true }
local PREFERRED = { safetensors = 1, gguf = 2, bin = 3 }
local WEIGHTS = { safetensors = true, gguf = true, bin = true, ckpt = true, pt = true, pth = true, onnx = true, onnx_data = true, msgpack = true,
  h5 = true, ot = true, pb = true, tflite = true, xml = true, npz = true }
local TEXTS = { json = true, txt = true, model = true, jinja = true, csv = true } -- csv: the tags of a tagger
local PARTS = { "config.json", "scheduler_config.json", "tokenizer_config.json", "preprocessor_config.json", "vocab.json", "tokenizer.json" }

-- "unet/model.fp16-00001-of-00002.safetensors" -> folder, name, { format, stem, variant }; the third is nil for what holds no weights.
local function parse(path)
  local folder, name = path:match "^(.*)/([^/]*)$"
  folder, name = folder or "", name or path
  local base, format = name:match "^(.*)%.([%w_]+)$"
  if not base then return folder, name end
  local index = name:match "^(.*)%.index%.json$" or name:match "^(.*)%.index%.[%w_]+%.json$"
  if index then -- model.safetensors.index.json, model.fp16.safetensors.index.json, model.safetensors.index.fp16.json
    local variant = name:match "%.index%.([%w_]+)%.json$"
    base, format = index:match "^(.*)%.([%w_]+)$"
    if not base then return folder, name end
    local stem, own = base:match "^([^.]*)%.?(.*)$"
    return folder, name, { format = format, stem = stem, variant = variant or own, index = true }
  end
  if not WEIGHTS[format] then return folder, name end
  base = base:gsub("%-%d%d%d%d%d%-of%-%d%d%d%d%d", "")
  local stem, variant = base:match "^([^.]*)%.?(.*)$"
  if not STEMS[stem] then stem, variant = base, "" end
  return folder, name, { format = format, stem = stem, variant = variant }
end

local function matcher(pattern)
  if pattern:sub(-1) == "/" then pattern = pattern .. "*" end
  local lua = "^" .. pattern:gsub("[%^%$%(%)%%%.%[%]%+%-]", "%%%0"):gsub("%*", ".*"):gsub("%?", ".") .. "$"
  return function(path) return path:find(lua) ~= nil end
end

-- One set of weights of a folder: { format, variant }, or nil when it has none that a model is opened from.
local function best(files, wanted)
  local found = {}
  for _, file in ipairs(files) do
    local w = file.weights
    if w and not w.index and STEMS[w.stem] and PREFERRED[w.format] then
      local rank = PREFERRED[w.format] * 10 + (w.variant == (wanted or "") and 0 or w.variant == "" and 1 or w.variant == "fp16" and 2 or 3)
      if not found.rank or rank < found.rank or (rank == found.rank and w.variant < found.variant) then
        found = { rank = rank, format = w.format, variant = w.variant }
      end
    end
  end
  return found.rank and found
end

-- Texts and one set of weights of a folder.
local function take_folder(files, wanted, chosen, left)
  local set = best(files, wanted)
  for _, file in ipairs(files) do
    local w = file.weights
    if w then
      if set and STEMS[w.stem] and w.format == set.format and w.variant == set.variant then chosen[#chosen + 1] = file.entry
      elseif not w.index then left[#left + 1] = file.entry end
    elseif TEXTS[file.name:match "%.([%w_]+)$" or ""] then chosen[#chosen + 1] = file.entry end
  end
end

local function about(name) -- what says what it is and what one may do with it
  local upper = name:upper()
  return upper == "README.MD" or upper:find "^LICEN[SC]E" or upper:find "^USE_POLICY" or upper:find "^NOTICE"
end

local function by_path(a, b) return a.path < b.path end

--- Choose. Entries have path and size; what is chosen are entries of the list, sorted.
---@param entries { path: string, size: integer }[]
---@param options { pattern: string?, variant: string? }
function M.files(entries, options)
  local chosen, left, folders, root, weights = {}, {}, {}, {}, {}
  if options.pattern then
    local fits = matcher(options.pattern)
    for _, entry in ipairs(entries) do if entry.path == options.pattern or fits(entry.path) then chosen[#chosen + 1] = entry end end
    if #chosen == 0 then
      return nil, ("no file is '%s'"):format(options.pattern), "* stands for any letters: 'vae/*', '*.safetensors'"
    end
    table.sort(chosen, by_path)
    return chosen, left
  end
  for _, entry in ipairs(entries) do
    local folder, name, w = parse(entry.path)
    local file = { entry = entry, name = name, weights = w }
    folders[folder] = folders[folder] or {}
    table.insert(folders[folder], file)
    if folder == "" then
      root[name] = entry
      if about(name) then chosen[#chosen + 1] = entry end
      if w and not w.index then weights[#weights + 1] = entry end
    end
  end
  if root["model_index.json"] then
    for folder, files in pairs(folders) do
      local part = false
      for _, file in ipairs(files) do
        for _, name in ipairs(PARTS) do part = part or file.name == name end
      end
      if folder ~= "" and not folder:find "/" and part then take_folder(files, options.variant, chosen, left) end
    end
    chosen[#chosen + 1] = root["model_index.json"]
    table.move(weights, 1, #weights, #left + 1, left)
  elseif root["config.json"] then take_folder(folders[""], options.variant, chosen, left)
  else
    local only = {}
    for _, entry in ipairs(weights) do if entry.path:find "%.safetensors$" then only[#only + 1] = entry end end
    if #only == 0 then only = weights end
    if #only ~= 1 then
      local names = {}
      for i = 1, math.min(8, #only) do names[i] = only[i].path end
      local why = #only == 0 and "nothing in its root looks like a model"
        or ("it has %d files of weights and nothing that says which are one model: %s%s")
        :format(#only, table.concat(names, ", "), #only > 8 and " ..." or "")
      return nil, why, "name the files: hf:OWNER/NAME:FILE, where * stands for any letters"
    end
    chosen[#chosen + 1] = only[1]
    for _, file in ipairs(folders[""]) do
      if not file.weights and TEXTS[file.name:match "%.([%w_]+)$" or ""] then chosen[#chosen + 1] = file.entry end
    end
    for _, entry in ipairs(weights) do if entry ~= only[1] then left[#left + 1] = entry end end
  end
  table.sort(chosen, by_path)
  table.sort(left, by_path)
  return chosen, left
end

return M
