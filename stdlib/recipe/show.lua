-- show.lua - pictures, sets and files as text in a terminal.
local bases = require "recipe.base"
local fs = require "native.fs"
local image = require "native.image"
local json = require "native.json"
local log = require "native.log"
local quantities = require "recipe.quantities"
local safetensors = require "native.safetensors"
local script = require "native.script"
local set = require "recipe.set"
local size_text = require "size_text"
local zip = require "native.zip"

local M = {}

local MOST_BLOCKS = 24
local RAMP = { " ", ".", ":", "-", "=", "+", "*", "#", "%", "@" }

-- A picture in at most `columns` x `rows` characters, two pixels in each, above one another.
local function put_pixels(picture, columns, rows, color, put)
  local scale = math.min(columns / picture:width(), rows * 2 / picture:height(), 1)
  local w, h = math.max(1, math.floor(picture:width() * scale)), math.max(2, math.floor(picture:height() * scale))
  h = h - h % 2
  local small = picture:rgb({ 255, 255, 255 }):resize(w, h, "area")
  for y = 0, h - 1, 2 do
    local line = {}
    for x = 0, w - 1 do
      local r, g, b = small:get(x, y)
      local r2, g2, b2 = small:get(x, y + 1)
      if color then
        table.move({ r, g, b, r2, g2, b2 }, 1, 6, 6 * x + 1, line)
      else
        local light = (0.299 * (r + r2) + 0.587 * (g + g2) + 0.114 * (b + b2)) / 510
        line[x + 1] = RAMP[math.min(#RAMP, 1 + math.floor(light * #RAMP))]
      end
    end
    if color then log.put_pixels(line) else put(table.concat(line)) end
  end
end

--- A set of pictures as the prompt shows it.
---@param result calotype.set
---@param title string
---@return string
function M.set(result, title)
  local formats, order, captions, matches = {}, {}, 0, {}
  local smallest, largest
  for _, item in ipairs(result.items) do
    local format = (item.format or item.extension or "?"):lower()
    if not formats[format] then
      formats[format] = 0
      order[#order + 1] = format
    end
    formats[format] = formats[format] + 1
    if item.caption then captions = captions + 1 end
    matches[#matches + 1] = item.match
    if not smallest or item.width * item.height < smallest.width * smallest.height then smallest = item end
    if not largest or item.width * item.height > largest.width * largest.height then largest = item end
  end
  table.sort(order)
  local kinds = {}
  for i, format in ipairs(order) do kinds[i] = ("%d %s"):format(formats[format], format) end
  local lines = { ("%s  (%s)"):format(set.count(#result.items), title) }
  if #result.items > 0 then
    lines[#lines + 1] = ("  %s; %d x %d to %d x %d; %s"):format(table.concat(kinds, ", "), smallest.width, smallest.height, largest.width, largest.height,
      captions == #result.items and "all captioned" or captions == 0 and "no captions" or set.count(captions, "caption"))
  end
  if #matches > 0 then
    local few = #matches < #result.items and (" (%d of %d)"):format(#matches, #result.items) or ""
    lines[#lines + 1] = ("  match %s%s"):format(require("recipe.verbs.score").spread(matches), few)
  end
  for i, reject in ipairs(result.rejected) do
    if i > 8 then
      lines[#lines + 1] = ("  ... and %d more rejected"):format(#result.rejected - 8)
      break
    end
    lines[#lines + 1] = ("  rejected %s: %s: %s"):format(reject.item.name, reject.verb, reject.reason)
  end
  return table.concat(lines, "\n")
end

--- A trained LoRA as the prompt shows it.
---@param result table of train.lora
---@param title string
---@return string
function M.lora(result, title)
  return ("a LoRA of %s after %d steps  (%s)\n  %s, rank %d, alpha %g, %s\n  %s"):format(result.model.path, result.step, title, result.name,
    result.options.rank, result.options.alpha, set.count(result.count), result.path)
end

local function refused(message, code) return nil, message, code end

local function show_picture(path, put)
  local picture, message, code = image.load(path)
  if not picture then return refused(message, code) end
  local info, m = image.probe(path), picture:measure()
  put(("%s  %s, %d x %d, %s"):format(path, info and info.format or m.format or "picture", picture:width(), picture:height(),
    size_text(fs.stat(path).size)))
  m.width, m.height = picture:width(), picture:height()
  if m.brightness and not m.brightness.p50 then m.brightness = { p5 = m.brightness[2], p50 = m.brightness[3], p99 = m.brightness[5] } end
  for _, quantity in ipairs(quantities.list) do
    local value = quantity.of(m)
    if value then put(("  %-11s %-10s %s"):format(quantity.name, quantities.text(quantity, value), quantity.title)) end
  end
  put(("  %-11s %s"):format("phash", m.phash))
  local columns = log.terminal "stdout"
  put_pixels(picture, math.min(columns or 64, 64), 20, columns ~= nil, put)
  return true
end

local function show_zip(path, put)
  local list, message, code = zip.list(path)
  if not list then return refused(message, code) end
  local total = 0
  for _, entry in ipairs(list) do total = total + entry.size end
  put(("%s  zip, %s, %s unpacked"):format(path, set.count(#list, "entry", "entries"), size_text(total)))
  for _, entry in ipairs(list) do
    local text = ""
    if entry.name:find "%.txt$" and entry.size < 4096 then text = "  " .. (zip.read(path, entry.name) or ""):gsub("%s*\n%s*", " ") end
    put(("  %10s  %s%s"):format(size_text(entry.size), entry.name, text))
  end
  return true
end

-- The part of a model that a tensor belongs to, by its name: "lora_unet_down_blocks_0", "down_blocks.0".
local function block(name)
  return name:match "^lora_unet_%a+_blocks_%d+" or name:match "^lora_%a+_mid_block" or name:match "^(lora_te%d?)_" or name:match "^([^.]+%.[^.]+)%."
    or name:match "^[^.]+"
end

-- A line of each block: how many tensors, of what, how large.
local function put_blocks(file, names, put)
  local blocks, by = {}, {}
  for _, name in ipairs(names) do
    local tensor, title = file.tensors[name], block(name)
    local it = by[title]
    if not it then
      it = { title = title, count = 0, size = 0, dtype = tensor.dtype }
      by[title], blocks[#blocks + 1] = it, it
    end
    it.count, it.size = it.count + 1, it.size + tensor.size
    if it.dtype ~= tensor.dtype then it.dtype = "mixed" end
  end
  for i, it in ipairs(blocks) do
    if i > MOST_BLOCKS then
      put(("  ... and %d more groups"):format(#blocks - MOST_BLOCKS))
      break
    end
    put(("  %5d  %-5s %9s  %s"):format(it.count, it.dtype, size_text(it.size), it.title))
  end
end

local function put_lora(meta, names, put)
  local modules, text = 0, 0
  for _, name in ipairs(names) do
    if name:find "%.lora_down%.weight$" then
      modules = modules + 1
      if name:find "^lora_te" then text = text + 1 end
    end
  end
  put(("  a LoRA%s for %s: rank %s, alpha %s, %s%s"):format(meta.ss_output_name and (" %q"):format(meta.ss_output_name) or "",
    meta["modelspec.architecture"] or meta.ss_base_model_version or "an unknown base", meta.ss_network_dim or "?", meta.ss_network_alpha or "?",
    set.count(modules, "layer"), text > 0 and (" (%d of the text encoder)"):format(text) or ""))
  if meta["modelspec.trigger_phrase"] then put(("  its trigger is %q"):format(meta["modelspec.trigger_phrase"])) end
  if meta.ss_steps then
    put(("  %s steps%s%s"):format(meta.ss_steps, meta.ss_num_train_images and " on " .. meta.ss_num_train_images .. " pictures" or "",
      meta.ss_sd_model_name and meta.ss_sd_model_name ~= "None" and " with the base " .. meta.ss_sd_model_name or ""))
  end
end

-- What it is and its tensors by block; with `all`, every line of metadata and every tensor.
local function show_tensors(path, put, all)
  local file, message, code = safetensors.open(path)
  if not file then return refused(message, code) end
  local names, keys, meta = {}, {}, file.metadata or {}
  for name in pairs(file.tensors) do names[#names + 1] = name end
  for key in pairs(meta) do keys[#keys + 1] = key end
  table.sort(names)
  table.sort(keys)
  put(("%s  %s, %s, %s"):format(path, file.format, set.count(#names, "tensor"), size_text(fs.stat(path).size)))
  if meta.ss_network_module or meta["modelspec.architecture"] then put_lora(meta, names, put) end
  local note = meta["calotype.checkpoint"] and json.decode(meta["calotype.checkpoint"])
  if type(note) == "table" and note.step then put(("  where a training stands: parameters and moments after step %s"):format(note.step)) end
  if not all then
    put_blocks(file, names, put)
    put(("  --all lists %s%s"):format(set.count(#names, "tensor"), #keys > 0 and " and " .. set.count(#keys, "line") .. " of metadata" or ""))
    return true
  end
  for _, key in ipairs(keys) do
    local value = tostring(meta[key])
    put(("  %s = %s"):format(key, #value > 100 and value:sub(1, 97) .. "..." or value))
  end
  for _, name in ipairs(names) do
    local tensor = file.tensors[name]
    put(("  %-6s %-20s %s"):format(tensor.dtype, "[" .. table.concat(tensor.shape, ", ") .. "]", name))
  end
  return true
end

local function show_text(path, put)
  local text, message, code = fs.read(path, 1 << 20)
  if not text then return refused(message, code) end
  local bad = select(2, utf8.len(text))
  if bad then return refused(("%s is not UTF-8 (byte %d)"):format(path, bad), "FORMAT") end
  put((text:gsub("\n$", "")))
  return true
end

local function show_page(path, put)
  put(("%s  an HTML page, %s: open it in a browser"):format(path, size_text(fs.stat(path).size)))
  return true
end

-- A base as diffusers keeps it: what there is of it, and what is missing.
local function put_base(path, put)
  local there, lacking = bases.parts(path)
  put(("  a base as diffusers keeps it: %s%s"):format(table.concat(there, ", "), #lacking > 0 and "; it lacks " .. table.concat(lacking, ", ") or ""))
  if #lacking > 0 then return end
  local fine, model = script.call(bases.open, path, function(message) script.fail { message = message, source = false } end)
  if not fine then
    put("  it cannot be used: " .. tostring(model.message))
    return
  end
  local width, height = require("models.sides").own(model)
  put(("  it draws %d x %d and reads %d tokens of a prompt"):format(width, height, model.length))
end

-- The folder of a run: which steps are kept.
local function put_checkpoints(folder, put)
  local files = require "train.lora.files"
  local loras, state = files.loras(folder), files.last_state(folder)
  if #loras == 0 then return end
  local note = fs.stat(state) and require("train.checkpoint").note(state)
  put(("  checkpoints of a training: %s, step %d%s; %s"):format(set.count(#loras, "LoRA"), loras[1].step,
    #loras > 1 and (" to %d"):format(loras[#loras].step) or "",
    note and ("it goes on from step %s"):format(tostring(note.step)) or "without last.state it does not go on"))
end

local function show_folder(path, put)
  local list, message, code = fs.list(path, true)
  if not list then return refused(message, code) end
  local kinds, names, files, total = {}, {}, 0, 0
  for _, entry in ipairs(list) do
    local kind = entry.kind == "file" and (entry.path:match "%.([^./]+)$" or "file"):lower() or entry.kind
    if not kinds[kind] then
      kinds[kind] = 0
      names[#names + 1] = kind
    end
    kinds[kind] = kinds[kind] + 1
    if entry.kind == "file" then files, total = files + 1, total + entry.size end
  end
  table.sort(names)
  put(("%s  a folder, %s in it and below, %s"):format(path, set.count(files, "file"), size_text(total)))
  for _, name in ipairs(names) do put(("  %5d  %s"):format(kinds[name], name == "folder" and kinds[name] > 1 and "folders" or name)) end
  if fs.stat(path .. "/unet/config.json") then put_base(path, put) end
  put_checkpoints(path, put)
  return true
end

--- The project's own store, which no recipe reads: `folder` is where store.db lies. False when there is none.
---@param folder string
---@param put fun(line: string)
---@return boolean there
function M.store(folder, put)
  local store, message, code = require("native.store").open(folder, { existing = true })
  if code == "NOTFOUND" then return false end
  put(("%s  calotype's store: captions and who wrote them, what was measured and what was made; recipes cannot read it"):format(folder))
  if not store then
    put("  it cannot be opened: " .. message)
    return true
  end
  local runs = store:runs(1000000) or {}
  local last = runs[1]
  put(last and ("  %s; the last: %s, %s"):format(set.count(#runs, "run"), last.recipe, last.status or "not finished") or "  no runs yet")
  local sum = store:spent()
  if sum and sum.requests > 0 then
    put(("  %s to services: %s"):format(set.count(sum.requests, "request"), require("captions.telling").sum(sum.cost, sum.unknown)))
  end
  store:close()
  return true
end

local SHOWERS = { zip = show_zip, txt = show_text, caption = show_text, safetensors = show_tensors, state = show_tensors, bin = show_tensors,
  pt = show_tensors, pth = show_tensors, ckpt = show_tensors,
  lua = show_text, json = show_text, md = show_text, csv = show_text, html = show_page, htm = show_page }

--- Show a file or a folder. True, or nil, message, code.
---@param path string
---@param put fun(line: string)
---@param all? boolean list everything, where there is much
function M.path(path, put, all)
  local info, message, code = fs.stat(path)
  if not info then return refused(message, code) end
  if info.kind == "folder" then return show_folder(path, put) end
  local shower = SHOWERS[(path:match "%.([^./]+)$" or ""):lower()]
  return (shower or show_picture)(path, put, all)
end

return M
