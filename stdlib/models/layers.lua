-- layers.lua - the words that model files are written with.
--
--   local g = layers.new { adapter = adapters.lora { rank = 16, alpha = 16, match = unet.lora_targets } }
--   local w = g.weights("unet", file.tensors)       -- name -> { dtype, shape } of a safetensors header
--   local y = g.linear(x, w.mid_block.attentions[0].proj_in, 320)
--
-- A weight is a handle that knows its path: w.down_blocks[0].conv. Taking its tensors checks their shapes against what the model
-- file says, so a config that does not fit its tensors is told with the tensor's name and both shapes. A layer consults the adapter
-- with that path: model files never mention LoRA. Every tensor is used, or listed by g.unused().
--
-- Pictures are [B, H, W, C] and tokens [B, T, C] here, kernels [out, kh, kw, in]; PyTorch's files have [out, in, kh, kw]: g.loads says
-- what is to be turned while loading.

local graph = require "native.graph"
local json = require "native.json"

local layers = {}

-- The widest heads whose attention is one op on a CPU: up to here it is faster in training, or as fast and without the memory for the
-- scores; from 64 on it is slower (docs/SPEED.md). Where nothing is trained there is no backward that would make the scores again.
local NARROW, NARROW_FORWARD = 40, 80

local DTYPES = { F32 = "f32", F16 = "f16", BF16 = "bf16", F64 = "f32" }

local function shape_text(shape) return "[" .. table.concat(shape, ", ") .. "]" end

local function same_shape(a, b)
  if #a ~= #b then return false end
  for i, size in ipairs(a) do if size ~= b[i] then return false end end
  return true
end

---@class calotype.Load one tensor to be read into a value before the first run
---@field value userdata
---@field file string which file's tensor: the root given to g.weights
---@field name string the tensor's name in the file
---@field shape integer[] as in the file
---@field kernel boolean turn [out, in, kh, kw] to [out, kh, kw, in]

--- A graph under construction and the layers that add to it.
---@param options? { adapter?: table, dtype?: string, trainable?: (fun(path: string): boolean), device?: userdata, forward?: boolean }
---   dtype: storage of frozen weights and of what flows between layers, otherwise the weights' is the file's; trainable: which weights
---   become parameters (f32); device: what the graph is for, a CPU where it is left out. It runs on others too; forward: it is never
---   differentiated
function layers.new(options)
  options = options or {}
  local g = { graph = graph.new(), loads = {}, adapter = options.adapter, dtype = options.dtype }
  local native = g.graph
  -- A GPU's kernels for the one op are there to be right; products and a softmax are what its makers have tuned.
  if not options.device or options.device:info().native then native:fuse_attention(options.forward and NARROW_FORWARD or NARROW) end
  local handles, files = setmetatable({}, { __mode = "k" }), {}

  -- Weights -----------------------------------------------------------------------------------------------------------

  local Handle = {}
  local function handle(file, name)
    local h = setmetatable({}, Handle)
    handles[h] = { file = file, name = name }
    return h
  end
  function Handle.__index(h, key)
    local it = handles[h]
    return handle(it.file, it.name == "" and tostring(key) or it.name .. "." .. key)
  end
  function Handle.__tostring(h) return g.path(h) end

  --- The handle of a whole file. `tensors`: name -> { dtype = "F32", shape = {...} }; `root` stands before every path.
  function g.weights(root, tensors)
    local file = { root = root, tensors = tensors, used = {}, values = {} }
    files[#files + 1] = file
    return handle(file, "")
  end

  function g.path(w)
    local it = handles[w]
    return it.name == "" and it.file.root or it.file.root .. "." .. it.name
  end

  local function name_of(it, key) return it.name == "" and key or it.name .. "." .. key end

  function g.has(w, key)
    local it = handles[w]
    local name = name_of(it, key)
    if options.fresh then return options.fresh(it.file.root .. "." .. name) end
    return it.file.tensors[name] ~= nil
  end

  -- The tensor `key` of a layer, as a value in our layout. `expected` is its shape in the file; 1x1 kernels and matrices stand for each
  -- other, since files disagree about them.
  local function take(w, key, expected)
    local it = handles[w]
    local name, file = name_of(it, key), it.file
    local tensor = file.tensors[name]
    if not tensor and options.fresh then
      tensor = { dtype = "F32", shape = expected }
      file.tensors[name] = tensor
    end
    if not tensor then
      error(("%s: tensor \"%s\" is missing; the config needs it with %s"):format(file.root, name, shape_text(expected)), 0)
    end
    local shape = tensor.shape
    local kernel = #expected == 4
    local point = (#shape == 4 and shape[3] == 1 and shape[4] == 1 and #expected == 2 and same_shape({ shape[1], shape[2] }, expected))
      or (#shape == 2 and kernel and expected[3] == 1 and expected[4] == 1 and same_shape({ expected[1], expected[2] }, shape))
    if not point and not same_shape(shape, expected) then
      error(("%s: tensor \"%s\" is %s in the file, but the config makes it %s"):format(file.root, name, shape_text(shape),
        shape_text(expected)), 0)
    end
    if file.values[name] then return file.values[name] end
    local path = file.root .. "." .. name
    local dtype = DTYPES[tensor.dtype]
    if not dtype then
      error(("%s: tensor \"%s\" has the dtype %s; F32, F16, BF16 and F64 are weights"):format(file.root, name, tostring(tensor.dtype)), 0)
    end
    local ours = kernel and { expected[1], expected[3], expected[4], expected[2] } or expected
    local value
    if options.trainable and options.trainable(path) then
      value = native:state(path, "f32", ours, "parameters")
    else
      value = native:weight(path, options.dtype or dtype, ours)
    end
    file.used[name], file.values[name] = true, value
    local turned = kernel and not point and (expected[3] > 1 or expected[4] > 1)
    g.loads[#g.loads + 1] = { value = value, file = file.root, name = name, shape = shape, kernel = turned }
    return value
  end

  local function bias(w, size) return g.has(w, "bias") and take(w, "bias", { size }) or nil end

  --- Tensors of all files that no layer took, sorted.
  function g.unused()
    local list = {}
    for _, file in ipairs(files) do
      for name in pairs(file.tensors) do if not file.used[name] then list[#list + 1] = file.root .. "." .. name end end
    end
    table.sort(list)
    return list
  end

  -- Do something below the path of a handle: messages and nodes carry it.
  local function at(w, build, ...)
    native:enter(g.path(w))
    local y = build(w, ...)
    native:leave()
    return y
  end

  -- Layers ------------------------------------------------------------------------------------------------------------

  local function last(x)
    local shape = x:shape()
    return shape[#shape]
  end

  local function linear(w, x, out)
    local y = graph.linear(x, take(w, "weight", { out, last(x) }), bias(w, out))
    return g.adapter and g.adapter:linear(g, g.path(w), x, y, out) or y
  end

  --- x W' + b over the last axis.
  function g.linear(x, w, out) return at(w, linear, x, out) end

  local function conv(w, x, out, window)
    local size, into = window and window.size or 3, last(x)
    local weight = take(w, "weight", { out, into, size, size })
    local place = { stride = window and window.stride or 1 }
    for _, side in ipairs { "top", "bottom", "left", "right" } do
      place[side] = window and (window[side] or window.pad) or (size - 1) // 2
    end
    local y = graph.conv2d(x, weight, place)
    local b = bias(w, out)
    if b then y = y + b end
    return g.adapter and g.adapter:conv(g, g.path(w), x, y, out, size, place) or y
  end

  --- A convolution of pictures; 3x3 with a border of one unless `window` = { size, stride, pad | top, bottom, left, right } says otherwise.
  function g.conv(x, w, out, window) return at(w, conv, x, out, window) end

  local function point(w, x, out)
    local weight = take(w, "weight", { out, last(x), 1, 1 })
    local y = graph.linear(x, weight:reshape { out, last(x) }, bias(w, out))
    return g.adapter and g.adapter:linear(g, g.path(w), x, y, out, true) or y
  end

  --- A 1x1 convolution: a linear layer over the channels, in files a kernel.
  function g.conv1(x, w, out) return at(w, point, x, out) end

  local function group_norm(w, x, groups, epsilon)
    local C = last(x)
    if C % groups ~= 0 then error(("%s: %d channels do not fall into %d groups"):format(g.path(w), C, groups), 0) end
    return graph.norm(x, groups, epsilon, take(w, "weight", { C }), take(w, "bias", { C }))
  end
  function g.group_norm(x, w, groups, epsilon) return at(w, group_norm, x, groups, epsilon) end

  local function layer_norm(w, x, epsilon)
    local C = last(x)
    return graph.layer_norm(x, epsilon, take(w, "weight", { C }), take(w, "bias", { C }))
  end
  function g.layer_norm(x, w, epsilon) return at(w, layer_norm, x, epsilon) end

  local function embedding(w, ids, rows, width) return graph.embedding(take(w, "weight", { rows, width }), ids) end
  function g.embedding(w, ids, rows, width) return at(w, embedding, ids, rows, width) end

  --- A whole table [rows, width].
  function g.table(w, rows, width) return at(w, take, "weight", { rows, width }) end

  --- A tensor that is no layer's: its name is the handle's path with `key` behind it.
  function g.tensor(w, key, shape) return at(w, take, key, shape) end

  --- Softmax attention of tokens [B, T, C] in `heads` heads of C / heads.
  function g.attention(q, k, v, heads, causal)
    local function split(x)
      local shape = x:shape()
      if shape[3] % heads ~= 0 then error(("attention: %d channels do not fall into %d heads"):format(shape[3], heads), 0) end
      return x:reshape { shape[1], shape[2], heads, shape[3] // heads }
    end
    local shape = q:shape()
    return graph.attention(split(q), split(k), split(v), (shape[3] // heads) ^ -0.5, causal):reshape(shape)
  end

  --- A vector per picture [B, C] as something to add to every place of [B, H, W, C].
  function g.everywhere(x)
    local shape = x:shape()
    return x:reshape { shape[1], 1, 1, shape[2] }
  end

  --- A picture's places as tokens, and back.
  function g.tokens(x)
    local shape = x:shape()
    return x:reshape { shape[1], shape[2] * shape[3], shape[4] }
  end
  function g.picture(x, like)
    local shape = like:shape()
    return x:reshape { shape[1], shape[2], shape[3], last(x) }
  end

  --- Cut the last axis into two halves.
  function g.halves(x)
    local half = last(x) // 2
    return x:slice(-1, 1, half), x:slice(-1, half + 1, half)
  end

  --- What flows through the layers is kept in the dtype of the frozen weights; what leaves a model is f32 again.
  function g.stored(x) return options.dtype and x:cast(options.dtype) or x end
  function g.exact(x) return x:cast "f32" end

  --- x W' with a value for W instead of a handle: adapters use it.
  g.linear_of = graph.linear
  function g.input(name, dtype, shape) return native:input(name, dtype, shape) end
  function g.concat(...) return graph.concat({ ... }, -1) end
  function g.mse(a, b) local d = a - b return (d * d):mean() end

  -- Everything else is a word of native.graph: g.silu, g.gelu, g.upsample ...
  return setmetatable(g, { __index = graph })
end

--- A config without the entries that are null in the file: they mean what their absence means.
function layers.plain(config)
  local out = {}
  for key, value in pairs(config) do if type(value) ~= "userdata" then out[key] = value end end
  return out
end

--- A value of a config as its file has it, cut where it is long.
function layers.shown(value)
  if value == nil then return "missing" end
  local kind = type(value)
  local text = kind ~= "number" and kind ~= "boolean" and json.encode(value) or tostring(value)
  return #text <= 40 and text or text:sub(1, 40):gsub("[\xC0-\xFF][\x80-\xBF]*$", "") .. " ..."
end

--- Refuse a config value that this model file does not know; nil and false are what was always there.
function layers.refuse(model, config, keys)
  for _, key in ipairs(keys) do
    local value = config[key]
    if value then
      error(("%s: the config has %s = %s, which calotype does not know"):format(model, key, layers.shown(value)), 0)
    end
  end
end

--- Refuse a config's word that is none of those this model file knows.
function layers.word(model, config, key, default, known)
  local value = config[key]
  if value == nil then value = default end
  for _, word in ipairs(known) do if value == word then return word end end
  error(("%s: the config's %s is %s; calotype knows %s"):format(model, key, layers.shown(value), table.concat(known, ", ")), 0)
end

-- How many of each a config may have: far beyond any model there is, and little enough that a wrong one is told at once.
layers.WIDTH, layers.COUNT, layers.BLOCKS, layers.ROWS = 65536, 1024, 16, 1 << 24

-- The one place where a config's numbers are looked at.
local function checked(model, key, value, whole, least, most)
  local number = math.type(value) and (whole and math.tointeger(value) or not whole and value)
  if number and number >= least and number <= most then return number end
  local range = least == most and tostring(least) or ("a %snumber from %s to %s"):format(whole and "whole " or "", least, most)
  error(("%s: the config's %s is %s; %s is expected"):format(model, key, layers.shown(value), range), 0)
end

--- A whole number of the config, or the default; anything else, less or more is told with its name and what is expected.
function layers.whole(model, config, key, default, least, most)
  local value = config[key]
  if value == nil then value = default end
  return checked(model, key, value, true, least, most)
end

--- The same for a number that need not be whole. An epsilon has 1e-12 for its least: below that it may be 0 where it is added.
function layers.number(model, config, key, default, least, most)
  local value = config[key]
  if value == nil then value = default end
  return checked(model, key, value, false, least, most)
end

--- A list of the config, as long as a model may have blocks.
function layers.list(model, config, key)
  local value = config[key]
  if type(value) ~= "table" or #value == 0 then
    error(("%s: the config's %s is %s; a list is expected"):format(model, key, layers.shown(value)), 0)
  end
  if #value > layers.BLOCKS then
    error(("%s: the config's %s has %d entries; 1 to %d are expected"):format(model, key, #value, layers.BLOCKS), 0)
  end
  return value
end

--- The words of such a list, each one of `known`.
function layers.words(model, config, key, known)
  local list = layers.list(model, config, key)
  for _, word in ipairs(list) do
    if type(word) ~= "string" or known[word] == nil then
      local words = {}
      for name in pairs(known) do words[#words + 1] = name end
      table.sort(words)
      error(("%s: the config's %s has %s; calotype knows %s"):format(model, key, layers.shown(word), table.concat(words, ", ")), 0)
    end
  end
  return list
end

--- The widths of a config's blocks, which fall into its groups; both lists of the blocks' kinds are as long.
function layers.widths(model, config, groups)
  local key, widths = "block_out_channels", {}
  for i, width in ipairs(layers.list(model, config, key)) do
    widths[i] = checked(model, ("%s[%d]"):format(key, i), width, true, 1, layers.WIDTH)
    if widths[i] % groups ~= 0 then
      error(("%s: the config's norm_num_groups is %d; %d channels do not fall into %d groups"):format(model, groups, widths[i], groups), 0)
    end
  end
  for _, kinds in ipairs { "down_block_types", "up_block_types" } do
    local count = #layers.list(model, config, kinds)
    if count ~= #widths then error(("%s: the config has %d %s but %d %s"):format(model, #widths, key, count, kinds), 0) end
  end
  return widths
end

--- What is one whole number for all of `count` things, or a list of one for each.
function layers.each(model, config, key, default, count, least, most)
  local value, list = config[key], {}
  if value == nil then value = default end
  if type(value) == "table" and #value ~= count then
    error(("%s: the config's %s is %s; %d numbers are expected, or one for all"):format(model, key, layers.shown(value), count), 0)
  end
  for i = 1, count do
    if type(value) == "table" then list[i] = checked(model, ("%s[%d]"):format(key, i), value[i], true, least, most)
    else list[i] = checked(model, key, value, true, least, most) end
  end
  return list
end

return layers
