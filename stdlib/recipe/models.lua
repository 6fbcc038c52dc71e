-- models.lua - `calotype models ls`: what lies in models/ and where it came from, and which remote models are known.
--
--   models.run { words = { "ls" }, params = {} }    --> 0
local fs = require "native.fs"
local hubs = require "native.hub"
local json = require "native.json"
local kinds = require "models.kind"
local known = require "caption.models"
local log = require "native.log"
local safetensors = require "native.safetensors"
local script = require "native.script"
local source = require "hub.source"
local suggest = require "recipe.suggest"

local M = {}

M.help = [[
calotype models ls [in=FOLDER]

  ls           models that lie in models/ (in= names another folder): what they are, how large, what reads them, where from, whether all of
               it is there; in=$HOME/.cache/huggingface/hub lists those of huggingface_hub;
               then the remote models that are known, with their prices and the day on which those were; CALOTYPE_MODELS=FILE adds others

calotype get hf:OWNER/NAME brings one.]]

local function fail(message, hint, exit) script.fail { message = message, hint = hint, source = false, exit = exit or 2 } end

local function read_json(path)
  local text = fs.read(path, 4 << 20)
  local value = text and json.decode(text)
  return type(value) == "table" and value or nil
end

local function text_of(value) return type(value) == "string" and value or nil end

-- What a folder is, in a few words, and which words of a recipe read it; nil when it is no model.
local function kind(folder, files)
  local it = kinds.of(folder)
  if it and it.kind ~= "base" and it.kind ~= "other" and it.kind ~= "nothing" then
    return it.text:gsub("^an? ", "") .. (it.foreign and (" (only %s)"):format(it.foreign.format) or it.bare and ", no weights" or ""), it.use
  end
  if it and it.kind == "base" then
    local index = read_json(folder .. "/model_index.json")
    return index and text_of(index._class_name) or "diffusers", it.use
  end
  local config = read_json(folder .. "/config.json")
  if config then
    local architectures = type(config.architectures) == "table" and config.architectures or {}
    return text_of(config._class_name) or text_of(architectures[1]) or text_of(config.model_type) or "config.json"
  end
  for _, ending in ipairs { "safetensors", "gguf", "bin", "onnx" } do
    for _, file in ipairs(files) do if file.path:find("%." .. ending .. "$") then return ending end end
  end
end

-- { name, kind, size, from } of one folder, or nil.
local function row(folder)
  local files = fs.list(folder, true)
  if not files then return nil end
  local size, parts = 0, 0
  for _, file in ipairs(files) do
    if file.kind == "file" then size = size + file.size end
    if file.path:find "%.%x+%.part$" then parts = parts + 1 end
  end
  local noted, broken = source.read(folder)
  local what, use = kind(folder, files)
  if not what and not noted and parts == 0 then return nil end
  local from = broken or ""
  if noted then
    from = ("%s at %s%s"):format(noted.from, tostring(noted.commit or "?"):sub(1, 12), text_of(noted.licence) and ", " .. noted.licence or "")
    local gone = 0
    for name, file in pairs(noted.files) do if not source.same(folder .. "/" .. name, file) then gone = gone + 1 end end
    if gone > 0 then from = ("%s; %d %s missing or changed"):format(from, gone, gone == 1 and "file is" or "files are") end
  end
  if parts > 0 then from = from .. (from == "" and "" or "; ") .. "unfinished: calotype get goes on" end
  if use then from = use .. (from == "" and "" or "; ") .. from end
  return { folder, what or "?", hubs.size(size), from }
end

-- One file beside the folders: a checkpoint or a LoRA that was put there.
local function lone(file)
  local ending = file.path:match "%.(%w+)$"
  if ending == "safetensors" or ending == "gguf" or ending == "ckpt" then return { file.path, ending, hubs.size(file.size), "" } end
  local tensors = (ending == "bin" or ending == "pt" or ending == "pth") and safetensors.open(file.path)
  if tensors then return { file.path, tensors.format, hubs.size(file.size), "" } end
end

-- `right`: the column that is a number.
local function put(rows, right)
  local widths = { 0, 0, 0 }
  for _, cells in ipairs(rows) do for i = 1, 3 do widths[i] = math.max(widths[i], utf8.len(cells[i]) or #cells[i]) end end
  for _, cells in ipairs(rows) do
    local line = {}
    for i = 1, 3 do
      local pad = (" "):rep(widths[i] - (utf8.len(cells[i]) or #cells[i]))
      line[i] = i == right and pad .. cells[i] or cells[i] .. pad
    end
    line[4] = cells[4]
    log.put_words("  " .. (table.concat(line, "  "):gsub("%s+$", "")))
  end
end

local function here(folder)
  local granted, message, code = fs.grant(folder, "read")
  local list
  if granted then list, message, code = fs.list(folder) end
  if not list and code ~= "NOTFOUND" then fail(message, nil, code == "DENIED" and 3 or 1) end
  local rows = {}
  for _, item in ipairs(list or {}) do
    local folders = item.kind == "folder" and { item } or {}
    if item.path:find "models%-%-[^/]+$" then folders = fs.list(item.path .. "/snapshots") or folders end -- see hub/cache.lua
    for _, it in ipairs(folders) do rows[#rows + 1] = row(it.path) end
    rows[#rows + 1] = item.kind == "file" and lone(item) or nil
  end
  if #rows == 0 then
    log.put_words((list and "%s: no models; calotype get hf:OWNER/NAME brings one"
      or "there is no folder %s yet; calotype get hf:OWNER/NAME brings a model"):format(folder))
  else
    log.put_words(folder)
    put(rows, 3)
  end
end

local function dollars(number) -- two digits behind the point, more where a price has them
  return (("$%.4f"):format(number):gsub("0?0$", ""))
end

local function remote()
  local all, rows = known.all(), {}
  for _, entry in ipairs(all.models) do
    local price = known.price(entry)
    local state = entry.state == "ending" and ("ends %s%s"):format(entry.ends, entry.now and ", then " .. entry.now or "") or entry.state or ""
    if price and price.until_ then state = ("%s%sthis price until %s"):format(state, state == "" and "" or "; ", price.until_) end
    rows[#rows + 1] = { entry.service, entry.id, price and ("%s in, %s out"):format(dollars(price.input), dollars(price.output)) or "price unknown", state }
  end
  log.put_words(("remote, as known on %s; dollars for a million tokens"):format(all.as_of))
  put(rows)
  for _, entry in ipairs(all.retired) do
    log.put_words(("  %s  %s no longer answers%s since %s: write %s"):format(entry.service, entry.id, entry.routed and " as itself" or "",
      entry.since, entry.now))
  end
end

---@param options { words: string[], params: table<string, string> }
---@return integer exit
function M.run(options)
  local word, params = options.words[1], options.params
  if word ~= "ls" then
    local near = suggest.closest(word, { "ls" })
    fail(("calotype models has no word '%s'"):format(word), near and "did you mean 'ls'?" or "it has ls")
  end
  if options.words[2] then fail(("calotype models ls takes nothing more, not '%s'"):format(options.words[2]), "in=FOLDER names another folder") end
  for name in pairs(params) do if name ~= "in" then fail(("calotype models ls has no setting '%s'"):format(name), "it has in") end end
  if params["in"] == "" then fail "in= names no folder" end
  here(((params["in"] or "models"):gsub("(.)/+$", "%1")))
  remote()
  return 0
end

return M
