local adapters = require "models.adapters"
local folder = require "models.folder"
local fs = require "native.fs"
local graph = require "native.graph"
local hash = require "native.hash"
local json = require "native.json"
local layers = require "models.layers"
local lora_file = require "train.lora_file"
local pickle = dofile "tests/pickle.lua"
local safetensors = require "native.safetensors"
local unet = require "models.unet"
local weights = require "native.weights"

local tiny = "tests/golden/tiny"

local function network(options)
  local model = check.ok(folder.open(tiny))
  options = options or {}
  local lora = adapters.lora { rank = options.rank or 4, alpha = options.alpha or 2, match = options.match or unet.lora_targets, conv = options.conv }
  local g = layers.new { adapter = lora }
  local y = unet.predict(g, g.input("x", "f32", { 1, 8, 8, 4 }), g.input("t", "f32", { 1 }), g.input("text", "f32", { 1, 7, 24 }), model.unet:weights(g), model.unet.config)
  return { lora = lora, g = g, y = y, model = model, ref = graph.reference(g.graph) }
end

local function fill(net, scale)
  local r = hash.random(7)
  for _, m in ipairs(net.lora.modules) do
    for _, v in ipairs { m.down, m.up } do
      local list, count = {}, 1
      for _, size in ipairs(v:shape()) do count = count * size end
      for i = 1, count do list[i] = (r:uniform() - 0.5) * (scale or 1) end
      net.ref:set(v, list)
    end
  end
end

test("a model folder is opened by its headers and streamed into a reference", function()
  local net = network()
  check.equal(net.model.unet.files, { "diffusion_pytorch_model.safetensors" })
  check.equal(net.model.tokenizer:size(), 814)
  check.equal(net.model.length, 77)
  check.ok(folder.load(net.g, net.ref, net.model.unet))
  -- Kernels are turned from [out, in, kh, kw] to [out, kh, kw, in] on the way.
  local t = net.model.unet.tensors["down_blocks.1.resnets.0.conv1.weight"]
  check.equal(t.shape, { 16, 8, 3, 3 })
  local bytes, value = fs.read(t.file), nil
  for _, l in ipairs(net.g.loads) do if l.name == "down_blocks.1.resnets.0.conv1.weight" then value = net.ref:get(l.value) end end
  for o, i, p in (function() return coroutine.wrap(function()
    for o = 0, 15 do for i = 0, 7 do for p = 0, 8 do coroutine.yield(o, i, p) end end end
  end) end)() do
    check.equal(value[(o * 9 + p) * 8 + i + 1], (string.unpack("<f", bytes, t.offset + ((o * 8 + i) * 9 + p) * 4 + 1)))
  end
  fill(net, 0)
  net.ref:set(net.g.input("x", "f32", { 1, 8, 8, 4 }), (function() local l = {} for i = 1, 256 do l[i] = math.sin(i) end return l end)())
  net.ref:set(net.g.input("t", "f32", { 1 }), { 500 })
  net.ref:set(net.g.input("text", "f32", { 1, 7, 24 }), (function() local l = {} for i = 1, 168 do l[i] = math.cos(i) end return l end)())
  net.ref:compute { net.y }
  check.ok(net.ref:get(net.y)[1] == net.ref:get(net.y)[1])
end)

test("a saved LoRA has kohya's names, shapes, alpha, metadata and hash", function()
  local net, path = network(), tmp "lora.safetensors"
  fill(net)
  local sum = check.ok(lora_file.save(path, net.lora, net.ref, { metadata = { ss_output_name = "wtrclr", ss_steps = 20 } }))
  local file = check.ok(safetensors.open(path))
  local count = 0
  for name, t in pairs(file.tensors) do
    count = count + 1
    check.equal(t.dtype, "F16", name)
    check.ok(name:find "^lora_unet_[%w_]+%.alpha$" or name:find "^lora_unet_[%w_]+%.lora_down%.weight$" or name:find "^lora_unet_[%w_]+%.lora_up%.weight$", name)
  end
  check.equal(count, 3 * 84)
  local stem = "lora_unet_down_blocks_0_attentions_0_"
  check.equal(file.tensors[stem .. "proj_in.lora_down.weight"].shape, { 4, 8, 1, 1 })
  check.equal(file.tensors[stem .. "proj_in.lora_up.weight"].shape, { 8, 4, 1, 1 })
  check.equal(file.tensors[stem .. "transformer_blocks_0_attn2_to_k.lora_down.weight"].shape, { 4, 24 })
  check.equal(file.tensors[stem .. "transformer_blocks_0_ff_net_0_proj.lora_up.weight"].shape, { 64, 4 })
  check.equal(file.tensors[stem .. "proj_in.alpha"].shape, {})
  local bytes = fs.read(path)
  local alpha = file.tensors[stem .. "proj_in.alpha"]
  check.equal(bytes:sub(alpha.offset + 1, alpha.offset + alpha.size), "\0\64") -- 2 in f16
  for key, value in pairs { ss_network_dim = "4", ss_network_alpha = "2", ss_output_name = "wtrclr", ss_steps = "20", ss_v2 = "False", ss_base_model_version = "sd_v1",
    ss_network_module = "networks.lora", ["modelspec.architecture"] = "stable-diffusion-v1/lora", sshs_model_hash = sum } do
    check.equal(file.metadata[key], value, key)
  end
  local header = string.unpack("<I8", bytes)
  check.equal(hash.sha256(bytes:sub(9 + header)), sum)
end)

test("the same parameters give the same file, byte for byte", function()
  local net, a, b = network(), tmp "a.safetensors", tmp "b.safetensors"
  fill(net)
  check.equal(lora_file.save(a, net.lora, net.ref), lora_file.save(b, net.lora, net.ref))
  check.ok(fs.read(a) == fs.read(b))
end)

test("what was saved comes back: exactly in f32, rounded in f16", function()
  local net, path = network { conv = function(p) return p:find "%.conv1$" ~= nil end }, tmp "lora.safetensors"
  fill(net)
  for dtype, tolerance in pairs { f32 = 0, f16 = 3e-4, bf16 = 2e-3 } do
    check.ok(lora_file.save(path, net.lora, net.ref, { dtype = dtype }))
    local again = network { conv = function(p) return p:find "%.conv1$" ~= nil end }
    check.ok(lora_file.load(path, again.lora, again.ref))
    for i, m in ipairs(net.lora.modules) do
      for _, part in ipairs { "down", "up" } do
        local got = again.ref:get(again.lora.modules[i][part])
        for k, x in ipairs(net.ref:get(m[part])) do check.near(got[k], x, tolerance, m.path) end
      end
    end
  end
  check.ok(lora_file.save(path, net.lora, net.ref, { dtype = "f32" }))
  local conv = safetensors.open(path).tensors["lora_unet_down_blocks_0_resnets_0_conv1.lora_down.weight"]
  check.equal(conv.shape, { 4, 8, 3, 3 })
  -- Element [1, 2, 0, 1] of the file is [1, 0, 1, 2] of the graph.
  local down = net.ref:get(net.lora.by_path["unet.down_blocks.0.resnets.0.conv1"].down)
  check.equal((string.unpack("<f", fs.read(path), conv.offset + 4 * ((1 * 8 + 2) * 9 + 1) + 1)), down[((1 * 3 + 0) * 3 + 1) * 8 + 2 + 1])
end)

test("a LoRA of another rank or other targets is refused with the name", function()
  local net, path = network(), tmp "lora.safetensors"
  fill(net)
  check.ok(lora_file.save(path, net.lora, net.ref))
  local other = network { rank = 8 }
  check.refused("this model and rank make it [8, 8, 1, 1]", lora_file.load(path, other.lora, other.ref))
  other = network { alpha = 4 }
  check.refused("trained with alpha 2, this LoRA has 4", lora_file.load(path, other.lora, other.ref))
  other = network { match = function(p) return unet.lora_targets(p) or p:find "time_embedding" ~= nil end }
  check.refused("it was trained with other targets", lora_file.load(path, other.lora, other.ref))
  other = network { match = function(p) return p:find "to_q$" ~= nil end }
  check.refused("belongs to no layer that this LoRA adapts", lora_file.load(path, other.lora, other.ref))
end)

test("an alpha that is no short decimal comes back in every kind of number, and another one is told apart", function()
  local path = tmp "lora.safetensors"
  for _, alpha in ipairs { 1 / 3, 0.001, 2 / 3 * 1000, 12.345678901234567 } do
    local net = network { alpha = alpha }
    fill(net)
    for _, dtype in ipairs { "f32", "f16", "bf16" } do
      check.ok(lora_file.save(path, net.lora, net.ref, { dtype = dtype }))
      check.equal(tonumber(safetensors.open(path).metadata.ss_network_alpha), alpha)
      check.ok(lora_file.load(path, net.lora, net.ref))
      check.refused("this LoRA has", lora_file.load(path, network({ alpha = alpha * 1.02 }).lora, net.ref))
    end
  end
  check.equal({ lora_file.text(1 / 3), lora_file.text(0.1), lora_file.text(5e-5), lora_file.text(16.0), lora_file.text(3), lora_file.text "x" },
    { "0.3333333333333333", "0.1", "5e-05", "16", "3", "x" })
end)

test("alpha is what the tensors say; where there is none it is the rank, as kohya has it; what is no number is refused", function()
  local net, path = network { alpha = 4 }, tmp "lora.safetensors"
  fill(net)
  check.ok(lora_file.save(path, net.lora, net.ref, { dtype = "f32" }))
  local bytes = fs.read(path)
  local name = "lora_unet_down_blocks_0_attentions_0_proj_in.alpha"
  local at = safetensors.open(path).tensors[name].offset
  local function with(new) check.ok(fs.write(path, bytes:sub(1, at) .. new .. bytes:sub(at + 5))) end
  with(string.pack("<f", 2))
  check.refused('"lora_unet_down_blocks_0_attentions_0_proj_in" was trained with alpha 2, this LoRA has 4', lora_file.load(path, net.lora, net.ref))
  with(string.pack("<f", 0 / 0))
  check.refused("was trained with alpha", lora_file.load(path, net.lora, net.ref))
  local function only_pairs(alpha, extra)
    local other, tensors = network { alpha = alpha, match = function(p) return p:find "to_q$" ~= nil end }, {}
    fill(other)
    for _, m in ipairs(other.lora.modules) do
      for _, part in ipairs { "down", "up" } do
        tensors[#tensors + 1] = { name = ("%s.lora_%s.weight"):format(adapters.kohya_name(m.path), part), shape = m[part]:shape(), bytes = other.ref:bytes(m[part]) }
      end
      if extra then tensors[#tensors + 1] = { name = adapters.kohya_name(m.path) .. ".alpha", shape = { 2 }, bytes = string.pack("<ff", 4, 4) } end
    end
    check.ok(weights.save(path, tensors, { dtype = "f16" }))
    return lora_file.load(path, other.lora, other.ref)
  end
  check.ok(only_pairs(4))
  check.refused("was trained with alpha 4, this LoRA has 2", only_pairs(2))
  check.refused('.alpha" is no number', only_pairs(4, true))
end)

test("a number that is not finite is never written, and the file before stays", function()
  local net, path = network(), tmp "lora.safetensors"
  fill(net)
  check.ok(lora_file.save(path, net.lora, net.ref))
  local before = fs.read(path)
  local m = net.lora.modules[3]
  local numbers = net.ref:get(m.up)
  numbers[5] = 0 / 0
  net.ref:set(m.up, numbers)
  check.equal(check.refused("1 of its numbers are not finite, element 4 is the first", lora_file.save(path, net.lora, net.ref)), "FORMAT")
  numbers[5] = 70000
  net.ref:set(m.up, numbers)
  check.refused("not finite", lora_file.save(path, net.lora, net.ref))
  check.ok(lora_file.save(tmp "big.safetensors", net.lora, net.ref, { dtype = "bf16" }))
  check.ok(fs.read(path) == before)
end)

local function copy_model(change)
  local root = tmp "model"
  for _, e in ipairs(fs.list(tiny, true)) do
    local name = e.path:sub(#tiny + 2)
    if e.kind == "file" and name:find "/" and not name:find "golden" and not name:find "gradients" and not name:find "training" and not name:find "lora" then
      local bytes = fs.read(e.path)
      local path
      path, bytes = change(name, bytes)
      if path then check.ok(fs.write(root .. "/" .. path, bytes)) end
    end
  end
  return root
end

test("NaN among the weights of a model is told with the tensor", function()
  local root = copy_model(function(name, bytes)
    if name == "unet/diffusion_pytorch_model.safetensors" then
      local t = safetensors.open(tiny .. "/" .. name).tensors["conv_in.weight"]
      bytes = bytes:sub(1, t.offset + 8) .. string.pack("<f", 0 / 0) .. bytes:sub(t.offset + 13)
    end
    return name, bytes
  end)
  local net = network()
  local model = check.ok(folder.open(root))
  check.refused('tensor "conv_in.weight": 1 of its numbers are not finite, element 2 is the first', folder.load(net.g, net.ref, model.unet))
end)

test("the fp16 variant and a sharded model are found, and what PyTorch wrote", function()
  local function rename(to) return function(name, bytes) return name:gsub("unet/diffusion_pytorch_model.safetensors", to), bytes end end
  check.equal(folder.open(copy_model(rename "unet/diffusion_pytorch_model.fp16.safetensors")).unet.files, { "diffusion_pytorch_model.fp16.safetensors" })
  local pickled = copy_model(rename "unet/diffusion_pytorch_model.safetensors")
  check.ok(fs.remove(pickled .. "/unet/diffusion_pytorch_model.safetensors"))
  pickle.write(pickled .. "/unet/diffusion_pytorch_model.bin", tiny .. "/unet/diffusion_pytorch_model.safetensors")
  check.equal(folder.open(pickled).unet.files, { "diffusion_pytorch_model.bin" })
  check.refused("is not a zip archive", folder.open(copy_model(function(name, bytes)
    return name:gsub("unet/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.bin"), name:find "^unet/.*%.safe" and "PK" or bytes
  end)))
  check.refused("no diffusion_pytorch_model.safetensors and no diffusion_pytorch_model.bin", folder.open(copy_model(rename "unet/else.safetensors")))
  local sharded = copy_model(rename "unet/part-1-of-1.safetensors")
  check.ok(fs.write(sharded .. "/unet/diffusion_pytorch_model.safetensors.index.json", '{"weight_map": {"conv_in.weight": "part-1-of-1.safetensors"}}'))
  check.equal(folder.open(sharded).unet.files, { "part-1-of-1.safetensors" })
  check.ok(fs.write(sharded .. "/unet/diffusion_pytorch_model.safetensors.index.json", '{"weight_map": {"conv_in.weight": "../../x.safetensors"}}'))
  check.refused("a part is no file name", folder.open(sharded))
  check.ok(fs.write(sharded .. "/unet/diffusion_pytorch_model.safetensors.index.json", "{}"))
  check.refused("names no files", folder.open(sharded))
end)

test("a folder that is no model, a broken config and a tokenizer of another size are refused", function()
  check.refused("is no model folder", folder.open "tests/golden/image")
  check.refused("config.json", folder.open(copy_model(function(name, bytes) return name, name == "vae/config.json" and "{" or bytes end)))
  check.refused("config.json", folder.open(copy_model(function(name, bytes) return name ~= "unet/config.json" and name or nil, bytes end)))
  check.refused("the tokenizer has 814 tokens, the text encoder's vocab_size is 49408",
    folder.open(copy_model(function(name, bytes) return name, name == "text_encoder/config.json" and bytes:gsub("814,?\n", "49408\n") or bytes end)))
  check.refused("no vocab.json", folder.tokenizer(tiny .. "/unet"))
end)

test("a truncated checkpoint is refused at every length of its header", function()
  local path = tmp "cut.safetensors"
  local bytes = fs.read(tiny .. "/text_encoder/lora.safetensors")
  for size = 0, 8 + string.unpack("<I8", bytes), 97 do
    fs.write(path, bytes:sub(1, size))
    check.refused("cut.safetensors", safetensors.open(path))
  end
  local net = network()
  check.refused("cut.safetensors", weights.load(path, net.ref, {}))
end)

test("misuse of the weights module names what is wrong", function()
  local net = network()
  check.fails("an open plan or reference is expected", weights.load, "x", {}, {})
  check.fails("f32, f16 or bf16 expected", weights.save, "x", {}, { dtype = "f64" })
  check.fails("a tensor without a name", weights.save, tmp "x", { {} })
  check.fails('tensor "a" has no shape', weights.save, tmp "x", { { name = "a" } })
  check.fails("metadata are texts", weights.save, tmp "x", {}, { metadata = { a = 1 } })
  check.refused("do not fill", weights.save(tmp "x", { { name = "a", shape = { 3 }, bytes = "12345678" } }))
  check.refused('there is no tensor "zzz"', weights.load(tiny .. "/unet/lora.safetensors", net.ref, { { value = net.lora.modules[1].up, name = "zzz" } }))
  check.equal(json.decode(fs.read(tiny .. "/unet/config.json")).in_channels, 4)
end)
