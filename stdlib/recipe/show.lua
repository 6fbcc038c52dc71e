-- show.lua - pictures, sets and files as text in a terminal.
local fs = require "native.fs"
local image = require "native.image"
local log = require "native.log"
local outputs = require "recipe.outputs"
local quantities = require "recipe.quantities"
local safetensors = require "native.safetensors"
local set = require "recipe.set"
local zip = require "native.zip"

local M = {}

local RAMP = { " ", ".", ":", "-", "=", "+", "*", "#", "%", "@" }

--- A picture in at most `columns` x `rows` characters: two pixels in each, above one another, where the terminal has colours.
---@param picture userdata
---@param columns integer
---@param rows integer
---@param color boolean
---@return string
function M.picture(picture, columns, rows, color)
  local scale = math.min(columns / picture:width(), rows * 2 / picture:height(), 1)
  local w, h = math.max(1, math.floor(picture:width() * scale)), math.max(2, math.floor(picture:height() * scale))
  h = h - h % 2
  local small, out = picture:rgb({ 255, 255, 255 }):resize(w, h, "area"), {}
  for y = 0, h - 1, 2 do
    local line = {}
    for x = 0, w - 1 do
      local r, g, b = small:get(x, y)
      local r2, g2, b2 = small:get(x, y + 1)
      if color then
        line[#line + 1] = ("\27[38;2;%d;%d;%dm\27[48;2;%d;%d;%dm\u{2580}"):format(r, g, b, r2, g2, b2)
      else
        local light = (0.299 * (r + r2) + 0.587 * (g + g2) + 0.114 * (b + b2)) / 510
        line[#line + 1] = RAMP[math.min(#RAMP, 1 + math.floor(light * #RAMP))]
      end
    end
    out[#out + 1] = table.concat(line) .. (color and "\27[0m" or "")
  end
  return table.concat(out, "\n")
end

--- A set of pictures as the prompt shows it.
---@param result calotype.set
---@param title string
---@return string
function M.set(result, title)
  local formats, order, captions = {}, {}, 0
  local smallest, largest
  for _, item in ipairs(result.items) do
    local format = (item.format or item.extension or "?"):lower()
    if not formats[format] then
      formats[format] = 0
      order[#order + 1] = format
    end
    formats[format] = formats[format] + 1
    if item.caption then captions = captions + 1 end
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
    outputs.size_text(fs.stat(path).size)))
  m.width, m.height = picture:width(), picture:height()
  if m.brightness and not m.brightness.p50 then m.brightness = { p5 = m.brightness[2], p50 = m.brightness[3], p99 = m.brightness[5] } end
  for _, quantity in ipairs(quantities.list) do
    local value = quantity.of(m)
    if value then put(("  %-11s %-10s %s"):format(quantity.name, quantities.text(quantity, value), quantity.title)) end
  end
  put(("  %-11s %s"):format("phash", m.phash))
  local columns = log.terminal "stdout"
  put(M.picture(picture, math.min(columns or 64, 64), 20, columns ~= nil))
  return true
end

local function show_zip(path, put)
  local list, message, code = zip.list(path)
  if not list then return refused(message, code) end
  local total = 0
  for _, entry in ipairs(list) do total = total + entry.size end
  put(("%s  zip, %s, %s unpacked"):format(path, set.count(#list, "entry", "entries"), outputs.size_text(total)))
  for _, entry in ipairs(list) do
    local text = ""
    if entry.name:find "%.txt$" and entry.size < 4096 then text = "  " .. (zip.read(path, entry.name) or ""):gsub("%s*\n%s*", " ") end
    put(("  %10s  %s%s"):format(outputs.size_text(entry.size), entry.name, text))
  end
  return true
end

local function show_safetensors(path, put)
  local file, message, code = safetensors.open(path)
  if not file then return refused(message, code) end
  local names, total = {}, 0
  for name, tensor in pairs(file.tensors) do
    names[#names + 1] = name
    total = total + tensor.size
  end
  table.sort(names)
  put(("%s  safetensors, %s, %s"):format(path, set.count(#names, "tensor"), outputs.size_text(total)))
  local meta = file.metadata or {}
  if meta.ss_network_module or meta["modelspec.architecture"] then
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
  local keys = {}
  for key in pairs(meta) do keys[#keys + 1] = key end
  table.sort(keys)
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

local function show_folder(path, put)
  local list, message, code = fs.list(path)
  if not list then return refused(message, code) end
  local kinds, names, total = {}, {}, 0
  for _, entry in ipairs(list) do
    local kind = entry.kind == "file" and (entry.path:match "%.([^./]+)$" or "file"):lower() or entry.kind
    if not kinds[kind] then
      kinds[kind] = 0
      names[#names + 1] = kind
    end
    kinds[kind] = kinds[kind] + 1
    if entry.kind == "file" then total = total + entry.size end
  end
  table.sort(names)
  put(("%s  %s, %s"):format(path, set.count(#list, "entry", "entries"), outputs.size_text(total)))
  for _, name in ipairs(names) do put(("  %5d  %s"):format(kinds[name], name)) end
  return true
end

local SHOWERS = { zip = show_zip, safetensors = show_safetensors, state = show_safetensors, txt = show_text, caption = show_text,
  lua = show_text, json = show_text, md = show_text }

--- Show a file or a folder. True, or nil, message, code.
---@param path string
---@param put fun(line: string)
function M.path(path, put)
  local info, message, code = fs.stat(path)
  if not info then return refused(message, code) end
  if info.kind == "folder" then return show_folder(path, put) end
  local shower = SHOWERS[(path:match "%.([^./]+)$" or ""):lower()]
  return (shower or show_picture)(path, put)
end

return M
