local adapters = require "models.adapters"
local clip = require "models.clip"
local device = require "native.device"
local fs = require "native.fs"
local folder = require "models.folder"
local graph = require "native.graph"
local json = require "native.json"
local layers = require "models.layers"
local optimizer = require "train.optimizer"
local sampling = require "models.sampling"
local schedule = require "models.schedule"
local unet = require "models.unet"
local vae = require "models.vae"

local golden = "tests/golden/tiny/"

-- A safetensors file: header tables, metadata, and a function from name to numbers.
local function open(path)
  local bytes = assert(fs.read(golden .. path))
  local size = string.unpack("<I8", bytes)
  local header = json.decode(bytes:sub(9, 8 + size))
  local metadata = header.__metadata__
  header.__metadata__ = nil
  local formats = { F32 = "<f", I32 = "<i4", I64 = "<i8" }
  local function numbers(name)
    local t = check.ok(header[name], "no golden tensor " .. name)
    local list, format, at = {}, formats[t.dtype], 9 + size + t.data_offsets[1]
    local count = 1
    for _, n in ipairs(t.shape) do count = count * n end
    for i = 1, count do list[i], at = string.unpack(format, bytes, at) end
    return list, t.shape
  end
  return { tensors = header, metadata = metadata, numbers = numbers }
end

local function config(part) return json.decode(assert(fs.read(golden .. part .. "/config.json"))) end

-- [A, B, H, W] to [A, H, W, B]: PyTorch's pictures and kernels to ours.
local function channels_last(list, shape)
  if #shape ~= 4 then return list end
  local A, B, H, W = table.unpack(shape)
  local out, n = {}, 0
  for a = 0, A - 1 do
    for h = 0, H - 1 do
      for x = 0, W - 1 do
        for b = 0, B - 1 do
          n = n + 1
          out[n] = list[((a * B + b) * H + h) * W + x + 1]
        end
      end
    end
  end
  return out
end

local function ours(file, name) return channels_last(file.numbers(name)) end

local function norm(list)
  local sum = 0
  for _, x in ipairs(list) do sum = sum + x * x end
  return sum ^ 0.5
end

local function distance(a, b)
  check.equal(#a, #b)
  local sum = 0
  for i, x in ipairs(b) do sum = sum + (a[i] - x) ^ 2 end
  return sum ^ 0.5
end

local function close(got, expected, tolerance, what)
  local error_of = distance(got, expected) / norm(expected)
  if not (error_of < tolerance) then error(("%s: relative error %.2e, expected below %g"):format(what, error_of, tolerance), 2) end -- luacheck: ignore
  return error_of
end

local function load(ref, g, file)
  for _, l in ipairs(g.loads) do ref:set(l.value, ours(file, l.name)) end
end

-- Where a graph is computed: the plain loops in float or in double, or a plan on the first OpenCL device there is. Both are used alike:
-- set, run "sample", get.
local opened, why = device.open()
local function executor(g, where, values)
  if where ~= "device" then
    local ref = graph.reference(g, where)
    return { ref = ref, set = function(_, ...) return ref:set(...) end, get = function(_, v) return ref:get(v) end, run = function(_, segment)
      if segment ~= "sample" then return ref:run(segment) end
      ref:compute(values)
    end }
  end
  for _, v in ipairs(values or {}) do g:output("sample", v) end
  return check.ok(opened:plan(g))
end

local function on(where, name, fn)
  test(name .. " (" .. where .. ")", function()
    if where == "device" and not opened then skip(why) end
    fn(where)
  end)
end
local function on_both(name, fn)
  on("float", name, fn)
  on("device", name, fn)
end

-- Where the truth is zero (a key's bias under softmax) the error is measured against 1/100 of the largest.
local function check_gradients(pairs_of)
  local largest, worst = 0, 0
  for _, p in ipairs(pairs_of) do
    p.size = norm(p.expected)
    largest = math.max(largest, p.size)
  end
  for _, p in ipairs(pairs_of) do
    local scale = p.size > 1e-9 * largest and p.size or 1e-2 * largest
    local e = distance(p.got, p.expected) / scale
    if not (e < 1e-4) then error(("gradient of %s: relative error %.2e"):format(p.name, e), 2) end -- luacheck: ignore
    worst = math.max(worst, e)
  end
  return worst
end

local function everything() return true end

-- One model built for a purpose: `make(g, w)` gives the loss and the values to look at.
local function build(root, file, options, make)
  local g = layers.new(options)
  local w = g.weights(root, file.tensors)
  local m = make(g, w)
  m.g = g
  return m
end

local function full_gradients(m, file, goldens, where)
  local parameters = {}
  for i, l in ipairs(m.g.loads) do parameters[i] = l.value end
  local gradients = m.g.graph:differentiate(m.loss, parameters)
  local ref = executor(m.g.graph, where, table.move(gradients, 1, #gradients, 2, { m.loss }))
  load(ref, m.g, file)
  m.set(ref)
  ref:run "sample"
  check.near(ref:get(m.loss), goldens.numbers("loss")[1], 1e-5)
  local list = {}
  for i, l in ipairs(m.g.loads) do list[i] = { name = l.name, got = ref:get(gradients[i]), expected = ours(m.grads or goldens, "grad." .. l.name) } end
  return check_gradients(list), #list
end

local function lora_gradients(m, file, lora, lora_file, where)
  local parameters, names = {}, {}
  for _, x in ipairs(lora.modules) do
    local name = x.path:match "^[^.]+%.(.*)$"
    parameters[#parameters + 1], names[#names + 1] = x.down, name .. ".lora_A.weight"
    parameters[#parameters + 1], names[#names + 1] = x.up, name .. ".lora_B.weight"
  end
  local gradients = m.g.graph:differentiate(m.loss, parameters)
  local ref = executor(m.g.graph, where, table.move(gradients, 1, #gradients, 2, { m.loss }))
  load(ref, m.g, file)
  for i, p in ipairs(parameters) do ref:set(p, ours(lora_file, names[i])) end
  m.set(ref)
  ref:run "sample"
  check.near(ref:get(m.loss), lora_file.numbers("loss")[1], 1e-5)
  local list = {}
  for i, name in ipairs(names) do list[i] = { name = name, got = ref:get(gradients[i]), expected = ours(lora_file, "grad." .. name) } end
  local left = 0
  for name in pairs(lora_file.tensors) do if name:find "^grad%." then left = left + 1 end end
  check.equal(left, #list)
  return check_gradients(list)
end

-- Text encoder ----------------------------------------------------------------------------------------------------------

local text_file, text_golden = open "text_encoder/model.safetensors", open "text_encoder/golden.safetensors"
local function text_encoder(options)
  return build("text_encoder", text_file, options, function(g, w)
    local ids, target = g.input("ids", "i32", { 2, 77 }), g.input("target", "f32", { 2, 77, 24 })
    local hidden, states = clip.encode(g, ids, w, config "text_encoder")
    return { hidden = hidden, states = states, loss = g.mse(hidden, target), set = function(ref)
      ref:set(ids, text_golden.numbers "ids")
      ref:set(target, text_golden.numbers "target")
    end }
  end)
end

on_both("the text encoder's forward is PyTorch's", function(where)
  local m = text_encoder()
  local ref = executor(m.g.graph, where, { m.hidden, m.states[2] })
  load(ref, m.g, text_file)
  m.set(ref)
  ref:run "sample"
  close(ref:get(m.hidden), text_golden.numbers "hidden", 1e-5, "hidden")
  close(ref:get(m.states[2]), text_golden.numbers "penultimate", 1e-5, "penultimate")
end)

test("the text encoder uses every tensor but the ones it names", function()
  local m = text_encoder()
  check.equal(m.g.unused(), { "text_encoder.text_model.embeddings.position_ids" })
end)

on_both("the text encoder's gradients of every parameter are PyTorch's", function(where)
  local _, count = full_gradients(text_encoder { trainable = everything }, text_file, text_golden, where)
  check.equal(count, 36)
end)

on_both("the text encoder's first LoRA gradients are peft's", function(where)
  local lora = adapters.lora { rank = 4, alpha = 2, match = clip.lora_targets }
  local m = text_encoder { adapter = lora }
  check.equal(#lora.modules, 12)
  lora_gradients(m, text_file, lora, open "text_encoder/lora.safetensors", where)
end)

on_both("with clip_skip 2 the last block is not built, and the state before it is normed: transformers' hidden_states[-2], then final_layer_norm", function(where)
  local g = layers.new()
  local ids = g.input("ids", "i32", { 2, 77 })
  local w = g.weights("text_encoder", text_file.tensors)
  local hidden = clip.encode(g, ids, w, config "text_encoder", 2)
  local unused = g.unused()
  check.equal(#unused, 17) -- position_ids and the block's two norms and six linears
  for _, name in ipairs(unused) do check.ok(name:find ".layers.1." or name:find "position_ids$", name) end
  local ref = executor(g.graph, where, { hidden })
  load(ref, g, text_file)
  ref:set(ids, text_golden.numbers "ids")
  ref:run "sample"
  local before, scale, shift = text_golden.numbers "penultimate", text_file.numbers "text_model.final_layer_norm.weight", text_file.numbers "text_model.final_layer_norm.bias"
  local expected, width = {}, #scale
  for row = 0, #before - 1, width do
    local mean, variance = 0, 0
    for k = 1, width do mean = mean + before[row + k] / width end
    for k = 1, width do variance = variance + (before[row + k] - mean) ^ 2 / width end
    for k = 1, width do expected[row + k] = (before[row + k] - mean) / (variance + 1e-5) ^ 0.5 * scale[k] + shift[k] end
  end
  close(ref:get(hidden), expected, 1e-5, "hidden")
end)

-- Autoencoder -----------------------------------------------------------------------------------------------------------

local vae_file, vae_golden = open "vae/diffusion_pytorch_model.safetensors", open "vae/golden.safetensors"
local function autoencoder(options)
  return build("vae", vae_file, options, function(g, w)
    local picture, noise = g.input("picture", "f32", { 2, 12, 20, 3 }), g.input("noise", "f32", { 2, 6, 10, 4 })
    local c = config "vae"
    local mean, logvar = vae.encode(g, picture, w, c)
    local latent = vae.draw(g, mean, logvar, noise)
    local decoded = vae.decode(g, latent, w, c)
    local kl = (mean * mean + g.exp(logvar) - 1 - logvar):mean() * 0.5
    return { mean = mean, logvar = logvar, latent = latent, decoded = decoded, loss = g.mse(decoded, picture) + kl * 0.1, set = function(ref)
      ref:set(picture, ours(vae_golden, "picture"))
      ref:set(noise, ours(vae_golden, "noise"))
    end }
  end)
end

on_both("the autoencoder encodes and decodes as PyTorch does", function(where)
  local m = autoencoder()
  local ref = executor(m.g.graph, where, { m.mean, m.logvar, m.latent, m.decoded })
  load(ref, m.g, vae_file)
  m.set(ref)
  ref:run "sample"
  for _, name in ipairs { "mean", "logvar", "latent", "decoded" } do close(ref:get(m[name]), ours(vae_golden, name), 1e-5, name) end
  check.equal(m.g.unused(), {})
end)

on_both("the autoencoder's gradients of every parameter are PyTorch's", function(where)
  local _, count = full_gradients(autoencoder { trainable = everything }, vae_file, vae_golden, where)
  check.equal(count, 124)
end)

test("an old autoencoder file's names are understood", function()
  local old, renamed = {}, { to_q = "query", to_k = "key", to_v = "value", ["to_out.0"] = "proj_attn" }
  for name, t in pairs(vae_file.tensors) do
    for new, before in pairs(renamed) do name = name:gsub("(attentions%.0%.)" .. new:gsub("%.", "%%.") .. "%.", "%1" .. before .. ".") end
    if name:find "proj_attn.weight" then t = { dtype = t.dtype, shape = { t.shape[1], t.shape[2], 1, 1 } } end
    old[name] = t
  end
  check.ok(old["decoder.mid_block.attentions.0.proj_attn.weight"])
  local tensors, original = vae.names(old)
  check.equal(original["decoder.mid_block.attentions.0.to_out.0.weight"], "decoder.mid_block.attentions.0.proj_attn.weight")
  local g = layers.new()
  vae.decode(g, g.input("z", "f32", { 1, 4, 4, 4 }), g.weights("vae", tensors), config "vae")
end)

-- UNet ------------------------------------------------------------------------------------------------------------------

local unet_file, unet_golden = open "unet/diffusion_pytorch_model.safetensors", open "unet/golden.safetensors"
local function network(options, change)
  return build("unet", unet_file, options, function(g, w)
    local sample, noise = g.input("sample", "f32", { 2, 8, 12, 4 }), g.input("noise", "f32", { 2, 8, 12, 4 })
    local t, context = g.input("t", "f32", { 2 }), g.input("context", "f32", { 2, 11, 24 })
    local c = config "unet"
    for k, v in pairs(change or {}) do c[k] = v end
    local predicted = unet.predict(g, sample, t, context, w, c)
    return { predicted = predicted, loss = g.mse(predicted, noise), sample = sample, noise = noise, t = t, context = context, set = function(ref)
      ref:set(sample, ours(unet_golden, "sample"))
      ref:set(noise, ours(unet_golden, "noise"))
      ref:set(t, unet_golden.numbers "timestep")
      ref:set(context, unet_golden.numbers "context")
    end }
  end)
end

-- In double nearly the truth: a wrong epsilon in one of its norms is an error of 1e-6 to 2e-5 on these weights.
for where, tolerance in pairs { float = 1e-5, double = 8e-7, device = 1e-5 } do
  on(where, "the UNet's forward is PyTorch's", function()
    local m = network()
    local ref = executor(m.g.graph, where, { m.predicted, m.loss })
    load(ref, m.g, unet_file)
    m.set(ref)
    ref:run "sample"
    close(ref:get(m.predicted), ours(unet_golden, "predicted"), tolerance, "predicted")
    check.equal(m.g.unused(), {})
  end)
end

on_both("the UNet's gradients of every parameter are PyTorch's", function(where)
  local m = network { trainable = everything }
  m.grads = open "unet/gradients.safetensors"
  local _, count = full_gradients(m, unet_file, unet_golden, where)
  check.equal(count, 324)
end)

on_both("the UNet's first LoRA gradients are peft's", function(where)
  local lora = adapters.lora { rank = 4, alpha = 2, match = unet.lora_targets }
  local m = network { adapter = lora }
  check.equal(#lora.modules, 84)
  lora_gradients(m, unet_file, lora, open "unet/lora.safetensors", where)
end)

-- The real SD1.5: names, shapes and counts ------------------------------------------------------------------------------

local sd15 = json.decode(assert(fs.read "tests/golden/sd15.json"))
local function tensors_of(model)
  local tensors = {}
  for name, shape in pairs(sd15[model].tensors) do tensors[name] = { dtype = "F16", shape = shape } end
  return tensors
end

test("SD1.5's three models are built from their headers, every tensor used once", function()
  local lora = adapters.lora { rank = 16, match = function(path) return unet.lora_targets(path) or clip.lora_targets(path) end }
  local g = layers.new { adapter = lora }
  local ids = g.input("ids", "i32", { 1, 77 })
  local text = clip.encode(g, ids, g.weights("text_encoder", tensors_of "text_encoder"), sd15.text_encoder.config)
  local latents = g.input("latents", "f32", { 1, 64, 64, 4 })
  local y = unet.predict(g, latents, g.input("t", "f32", { 1 }), text, g.weights("unet", tensors_of "unet"), sd15.unet.config)
  check.equal(y:shape(), { 1, 64, 64, 4 })
  local w = g.weights("vae", tensors_of "vae")
  local mean = vae.encode(g, g.input("picture", "f32", { 1, 512, 512, 3 }), w, sd15.vae.config)
  check.equal(mean:shape(), { 1, 64, 64, 4 })
  check.equal(vae.decode(g, latents, w, sd15.vae.config):shape(), { 1, 512, 512, 3 })
  check.equal(g.unused(), {})
  check.equal(#g.loads, 686 + 248 + 196)
  -- kohya's names and sizes.
  local count, numbers = { lora_unet = 0, lora_te = 0 }, { lora_unet = 0, lora_te = 0 }
  for _, m in ipairs(lora.modules) do
    local name = adapters.kohya_name(m.path)
    check.equal({ m.into, m.out }, sd15.lora[name], name)
    sd15.lora[name] = nil
    local kind = name:match "^lora_unet" or "lora_te"
    count[kind] = count[kind] + 1
    numbers[kind] = numbers[kind] + m.into + m.out
  end
  check.equal(next(sd15.lora), nil)
  check.equal(count, { lora_unet = 192, lora_te = 72 })
  check.equal(numbers, { lora_unet = 423936, lora_te = 165888 })
end)

test("attention in narrow heads is one node for a CPU, and is composed for other devices and in wide heads", function()
  local function nodes(options, heads)
    local g = layers.new(options)
    local x = g.input("x", "f32", { 1, 5, 80 })
    local before = g.graph:counts()
    g.attention(x, x, x, heads)
    return g.graph:counts() - before
  end
  local function of(native) return { device = { info = function() return { native = native } end } } end
  check.equal({ nodes(nil, 2), nodes(of(true), 2) }, { nodes(of(true), 4), nodes(of(true), 80) })
  check.ok(nodes(of(false), 2) > nodes(of(true), 2))
  check.equal({ nodes(nil, 1), nodes(of(true), 1) }, { nodes(of(false), 2), nodes(of(false), 2) })
  if opened then check.equal(type(opened:info().native), "boolean") end
end)

test("a 1x1 kernel's LoRA is known as a kernel, a matrix's as a matrix", function()
  local lora = adapters.lora { rank = 2, match = unet.lora_targets }
  network { adapter = lora }
  check.equal(lora.by_path["unet.mid_block.attentions.0.proj_in"].size, 1)
  check.equal(lora.by_path["unet.mid_block.attentions.0.transformer_blocks.0.attn1.to_q"].size, nil)
end)

-- What does not fit ------------------------------------------------------------------------------------------------------

local function without(tensors, name, instead)
  local out = {}
  for k, v in pairs(tensors) do out[k] = v end
  out[name] = instead
  return out
end

local function build_unet(tensors, change)
  local g = layers.new()
  local c = config "unet"
  for k, v in pairs(change or {}) do c[k] = v end
  return unet.predict(g, g.input("x", "f32", { 1, 8, 8, 4 }), g.input("t", "f32", { 1 }), g.input("text", "f32", { 1, 7, 24 }), g.weights("unet", tensors), c)
end

test("a missing tensor is named with the shape the config needs", function()
  local name = "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.weight"
  check.fails('unet: tensor "' .. name .. '" is missing; the config needs it with [16, 24]', build_unet, without(unet_file.tensors, name))
  check.fails('"mid_block.resnets.0.norm1.bias" is missing', build_unet, without(unet_file.tensors, "mid_block.resnets.0.norm1.bias"))
end)

test("a config that does not fit its tensors is told with the tensor and both shapes", function()
  check.fails('unet: tensor "time_embedding.linear_1.weight" is [32, 8] in the file, but the config makes it [64, 16]',
    function() build_unet(unet_file.tensors, { block_out_channels = { 16, 16, 16 } }) end)
  check.fails('tensor "down_blocks.1.resnets.0.conv1.weight" is [16, 8, 3, 3] in the file, but the config makes it [24, 8, 3, 3]',
    function() build_unet(unet_file.tensors, { block_out_channels = { 8, 24, 16 } }) end)
  check.fails('tensor "down_blocks.0.resnets.1.norm1.weight" is missing', function() build_unet(unet_file.tensors, { layers_per_block = 2 }) end)
  check.fails('tensor "conv_out.weight" is [4, 8, 3, 3] in the file, but the config makes it [8, 8, 3, 3]',
    function() build_unet(unet_file.tensors, { out_channels = 8 }) end)
  check.fails("the text has width 24, the config's cross_attention_dim is 768", function() build_unet(unet_file.tensors, { cross_attention_dim = 768 }) end)
  check.fails("8 channels do not fall into 3 heads", function() build_unet(unet_file.tensors, { attention_head_dim = 3 }) end)
  check.fails("unet: the config's norm_num_groups is 32; 8 channels do not fall into 32 groups", function() build_unet(unet_file.tensors, { norm_num_groups = 32 }) end)
  local t = unet_file.tensors["conv_in.weight"]
  check.fails("has the dtype I64", build_unet, without(unet_file.tensors, "conv_in.weight", { dtype = "I64", shape = t.shape }))
end)

test("a config of an unknown family or with nonsense in it is refused by name", function()
  for part, change in pairs {
    ['addition_embed_type = "text_time"'] = { addition_embed_type = "text_time" },
    ['down_block_types has "AttnDownBlock2D"; calotype knows CrossAttnDownBlock2D, DownBlock2D'] = { down_block_types = { "AttnDownBlock2D" } },
    ['mid_block_type is "UNetMidBlock2D";'] = { mid_block_type = "UNetMidBlock2D" }, ['act_fn is "mish"; calotype knows silu'] = { act_fn = "mish" },
    ["3 block_out_channels but 1 up_block_types"] = { up_block_types = { "UpBlock2D" } }, ['block_out_channels is "many"; a list is expected'] = { block_out_channels = "many" },
    ['block_out_channels[2] is "x"'] = { block_out_channels = { 8, "x", 16 } }, ['norm_num_groups is "x"'] = { norm_num_groups = "x" },
    ["attention_head_dim is 0; a whole number from 1 to 1024"] = { attention_head_dim = 0 },
    ["attention_head_dim is [2,2]; 3 numbers are expected, or one for all"] = { attention_head_dim = { 2, 2 } },
  } do check.fails(part, function() build_unet(unet_file.tensors, change) end) end
  for width, change in pairs { [7] = { norm_num_groups = 7 }, [2] = { norm_num_groups = 2, freq_shift = 1 } } do
    change.block_out_channels = { width, 2 * width, 2 * width }
    check.fails(("block_out_channels[1] is %d; an even number"):format(width), function() build_unet(unet_file.tensors, change) end)
  end
  check.fails('hidden_act is "relu"; calotype knows quick_gelu, gelu', clip.config, { hidden_act = "relu" })
  check.fails("vocab_size is missing; a whole number", clip.config, {})
  check.fails('up_block_types has "AttnUpDecoderBlock2D"', vae.config, { block_out_channels = { 8 }, down_block_types = { "DownEncoderBlock2D" }, up_block_types = { "AttnUpDecoderBlock2D" } })
end)

test("null in a config means what its absence means", function()
  local c = config "unet"
  c.class_embed_type, c.num_attention_heads, c.freq_shift = json.null, json.null, json.null
  build_unet(unet_file.tensors, c)
end)

test("a vocabulary of another size, too many tokens and a table that does not fit are told apart", function()
  local function encode(T, change)
    local g = layers.new()
    local c = config "text_encoder"
    for k, v in pairs(change or {}) do c[k] = v end
    return clip.encode(g, g.input("ids", "i32", { 1, T }), g.weights("text_encoder", text_file.tensors), c)
  end
  check.fails('token_embedding.weight" is [814, 24] in the file, but the config makes it [49408, 24]', encode, 77, { vocab_size = 49408 })
  check.fails("78 tokens; its places end at 77", encode, 78)
  check.fails("24 channels do not fall into 5 heads", encode, 77, { num_attention_heads = 5 })
end)

-- Training --------------------------------------------------------------------------------------------------------------

on_both("20 steps of LoRA training are peft's: every loss within 1e-3, the final tensors within 1e-3", function(where)
  local file, start = open "unet/training.safetensors", open "unet/lora.safetensors"
  local recipe = json.decode(file.metadata.recipe)
  local lora = adapters.lora { rank = 4, alpha = 2, match = unet.lora_targets }
  local m = network { adapter = lora }
  local g = m.g.graph
  local parameters = {}
  for _, x in ipairs(lora.modules) do
    parameters[#parameters + 1] = x.down
    parameters[#parameters + 1] = x.up
  end
  for i, d in ipairs(g:differentiate(m.loss, parameters)) do g:store("accumulate", g:mirror(parameters[i], "gradients"), d, true) end
  g:output("accumulate", m.loss)
  local adamw = optimizer.adamw(g, recipe)

  local ref = executor(g, where)
  load(ref, m.g, unet_file)
  for _, x in ipairs(lora.modules) do
    local name = x.path:match "^[^.]+%.(.*)$"
    ref:set(x.down, ours(start, name .. ".lora_A.weight"))
    ref:set(x.up, ours(start, name .. ".lora_B.weight"))
  end
  -- One batch, as in the golden: noise and timesteps stay.
  local noise_schedule = schedule.noise { beta_start = 0.00085, beta_end = 0.012, beta_schedule = "scaled_linear" }
  local latents, noise, t = ours(file, "latents"), ours(file, "noise"), file.numbers "timestep"
  local noisy, each = {}, #latents // #t
  for i, x in ipairs(latents) do
    local signal, sigma = noise_schedule:mix(t[(i - 1) // each + 1])
    noisy[i] = signal * x + sigma * noise[i]
  end
  ref:set(m.sample, noisy)
  ref:set(m.noise, noise)
  ref:set(m.t, t)
  ref:set(m.context, unet_golden.numbers "context")

  local losses, norms = file.numbers "losses", file.numbers "norms"
  check.equal(#losses, 20)
  for step, expected in ipairs(losses) do
    ref:run "accumulate"
    check.near(ref:get(m.loss), expected, 1e-3 * expected, "loss of step " .. step)
    adamw.set(ref, step, recipe.lr)
    ref:run "apply"
    check.near(ref:get(adamw.norm), norms[step], 1e-3 * norms[step], "gradient norm of step " .. step)
  end
  check.ok(ref:get(m.loss) < 0.7 * losses[1])
  for _, x in ipairs(lora.modules) do
    local name = "final." .. x.path:match "^[^.]+%.(.*)$"
    close(ref:get(x.down), ours(file, name .. ".lora_A.weight"), 1e-3, name .. ".down")
    close(ref:get(x.up), ours(file, name .. ".lora_B.weight"), 1e-3, name .. ".up")
  end
end)

test("an update is skipped where the gradients are not finite, and the next one is as if nothing had been", function()
  local g = graph.new()
  local p, x = g:state("p", "f32", { 2 }, "parameters"), g:input("x", "f32", { 2 })
  local loss = (p * x):sum():reshape {}
  g:store("accumulate", g:mirror(p, "gradients"), g:differentiate(loss, { p })[1], true)
  local adamw = optimizer.adamw(g, { clip = 1 })
  local function train(batches)
    local ref = graph.reference(g, "float")
    ref:set(p, { 1, 2 })
    for _, batch in ipairs(batches) do
      ref:set(x, batch)
      ref:run "accumulate"
      adamw.set(ref, 1, 0.1)
      ref:run "apply"
    end
    return ref:get(p), ref:get(adamw.norm)
  end
  local before, bad_norm = train { { 0 / 0, 1 } }
  check.equal(before, { 1.0, 2.0 })
  check.ok(bad_norm ~= bad_norm)
  check.equal(train { { 1 / 0, 1 } }, { 1.0, 2.0 })
  check.equal(train { { 0 / 0, 1 }, { 3, 4 } }, train { { 3, 4 } })
  check.equal(select(2, train { { 3, 4 } }), 5.0)
end)

-- From a prompt to pixels ------------------------------------------------------------------------------------------------

for _, kind in ipairs { "ddim", "euler" } do
  on_both("a prompt becomes the picture that diffusers draws, with " .. kind, function(where)
    local file = open "picture.safetensors"
    local model = check.ok(folder.open "tests/golden/tiny")
    local c = model.unet.config
    local g = layers.new()
    -- The text, once; then the steps; then the decoder: three graphs, as a run has them.
    local ids = g.input("ids", "i32", { 2, 77 })
    local hidden = clip.encode(g, ids, model.text_encoder:weights(g), model.text_encoder.config)
    local text = executor(g.graph, where, { hidden })
    check.ok(folder.load(g, text.ref or text, model.text_encoder))
    local both = {}
    for _, prompt in ipairs { "", "a red circle on a white background" } do
      for _, id in ipairs(model.tokenizer:encode(prompt, model.length)) do both[#both + 1] = id end
    end
    text:set(ids, both)
    text:run "sample"

    g = layers.new()
    local s = sampling.build(g, model.unet:weights(g), c, { height = 8, width = 12, tokens = 77 })
    local steps = where == "device" and executor(g.graph, where) or graph.reference(g.graph, where)
    check.ok(folder.load(g, steps, model.unet))
    local config_of = {}
    for k, v in pairs(model.scheduler) do config_of[k] = v end
    local sampler = schedule[kind](schedule.noise(config_of), { steps = 6 })
    local x = ours(file, "noise")
    for i, v in ipairs(x) do x[i] = v * sampler.start end
    steps:set(s.latents, x)
    steps:set(s.context, text:get(hidden))
    for _, row in ipairs(sampler) do
      for name, number in pairs(s.numbers(row, 3)) do steps:set(s.inputs[name], number) end
      steps:run "sample"
    end
    local latents = steps:get(s.latents)
    close(latents, ours(file, kind), 1e-4, "latents")

    g = layers.new()
    local z = g.input("z", "f32", { 1, 8, 12, 4 })
    local picture = vae.decode(g, z / vae.config(model.vae.config).scale, model.vae:weights(g), model.vae.config)
    local decoder = executor(g.graph, where, { picture })
    check.ok(folder.load(g, decoder.ref or decoder, model.vae))
    decoder:set(z, latents)
    decoder:run "sample"
    close(decoder:get(picture), ours(file, kind .. "_picture"), 1e-4, "picture")
  end)
end

-- Halves ----------------------------------------------------------------------------------------------------------------

for dtype, tolerance in pairs { f16 = 1.5e-3, bf16 = 1.5e-2 } do
  on("device", ("stored in %s the three models stay within %g of the truth"):format(dtype, tolerance), function(where)
    local m = text_encoder { dtype = dtype }
    local ref = executor(m.g.graph, where, { m.hidden })
    load(ref, m.g, text_file)
    m.set(ref)
    ref:run "sample"
    close(ref:get(m.hidden), text_golden.numbers "hidden", tolerance, "hidden")
    m = autoencoder { dtype = dtype }
    ref = executor(m.g.graph, where, { m.mean, m.decoded })
    load(ref, m.g, vae_file)
    m.set(ref)
    ref:run "sample"
    close(ref:get(m.decoded), ours(vae_golden, "decoded"), 2 * tolerance, "decoded")
    m = network { dtype = dtype }
    ref = executor(m.g.graph, where, { m.predicted })
    load(ref, m.g, unet_file)
    m.set(ref)
    ref:run "sample"
    close(ref:get(m.predicted), ours(unet_golden, "predicted"), 2 * tolerance, "predicted")
  end)

  on("device", ("LoRA gradients through a network stored in %s keep their direction"):format(dtype), function(where)
    local lora = adapters.lora { rank = 4, alpha = 2, match = unet.lora_targets }
    local m, file = network { dtype = dtype, adapter = lora }, open "unet/lora.safetensors"
    local parameters, names = {}, {}
    for _, x in ipairs(lora.modules) do
      local name = x.path:match "^[^.]+%.(.*)$"
      parameters[#parameters + 1], names[#names + 1] = x.down, name .. ".lora_A.weight"
      parameters[#parameters + 1], names[#names + 1] = x.up, name .. ".lora_B.weight"
    end
    local gradients = m.g.graph:differentiate(m.loss, parameters)
    local ref = executor(m.g.graph, where, gradients)
    load(ref, m.g, unet_file)
    for i, p in ipairs(parameters) do ref:set(p, ours(file, names[i])) end
    m.set(ref)
    ref:run "sample"
    local got, expected = {}, {}
    for i, name in ipairs(names) do
      local part, truth = ref:get(gradients[i]), ours(file, "grad." .. name)
      table.move(part, 1, #part, #got + 1, got)
      table.move(truth, 1, #truth, #expected + 1, expected)
    end
    close(got, expected, 10 * tolerance, "all gradients")
  end)
end
