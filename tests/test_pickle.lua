-- PyTorch's files on the road of a model: beside its config, through show, with their refusals.
local fs = require "native.fs"
local part = require "models.part"
local pickle = dofile "tests/pickle.lua"
local safetensors = require "native.safetensors"
local show = require "recipe.show"

local GOLDEN = "tests/golden/pickle/"

-- A folder of these files; each is a name and its bytes, or what makes it.
local function folder_of(files)
  local path = tmp "model"
  files["config.json"] = files["config.json"] or "{}"
  for name, bytes in pairs(files) do
    if type(bytes) == "function" then bytes(path .. "/" .. name) else check.ok(fs.write(path .. "/" .. name, bytes)) end
  end
  return path
end

local function open(files) return part.open(folder_of(files), { root = "it", stem = "model", config = function() end }) end

local function golden(name) return assert(fs.read(GOLDEN .. name)) end

test("the header is told as that of safetensors, and which of both it is", function()
  local expected, file = check.ok(safetensors.open(GOLDEN .. "kinds.safetensors")), check.ok(safetensors.open(GOLDEN .. "kinds.bin"))
  check.equal({ file.format, expected.format, file.metadata }, { "PyTorch", "safetensors", {} })
  local bytes, other = golden "kinds.bin", golden "kinds.safetensors"
  for name, it in pairs(expected.tensors) do
    local got = file.tensors[name]
    check.equal({ got.dtype, got.shape, got.size }, { it.dtype, it.shape, it.size }, name)
    check.ok(bytes:sub(got.offset + 1, got.offset + got.size) == other:sub(it.offset + 1, it.offset + it.size), name)
  end
end)

test("safetensors are taken first, then pytorch_model.bin, model.bin, their halves, and the parts that an index names", function()
  local st, bin = golden "module.safetensors", golden "module.bin"
  local function chosen(files) return check.ok(open(files)).files end
  check.equal(chosen { ["model.safetensors"] = st, ["pytorch_model.bin"] = "no zip" }, { "model.safetensors" })
  check.equal(chosen { ["model.fp16.safetensors"] = st, ["pytorch_model.bin"] = bin }, { "model.fp16.safetensors" })
  check.equal(chosen { ["pytorch_model.bin"] = bin, ["model.bin"] = bin }, { "pytorch_model.bin" })
  check.equal(chosen { ["model.bin"] = bin }, { "model.bin" })
  check.equal(chosen { ["pytorch_model.fp16.bin"] = bin }, { "pytorch_model.fp16.bin" })
  local function half(which)
    return function(path) pickle.write(path, GOLDEN .. "module.safetensors", function(name) return (name:sub(1, 1) == "0") == which end) end
  end
  local index = '{"weight_map": {"0.weight": "pytorch_model-00001-of-00002.bin", "1.weight": "pytorch_model-00002-of-00002.bin"}}'
  local it = check.ok(open { ["pytorch_model.bin.index.json"] = index, ["pytorch_model-00001-of-00002.bin"] = half(true),
    ["pytorch_model-00002-of-00002.bin"] = half(false) })
  check.equal(it.files, { "pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin" })
  local count = 0
  for _ in pairs(it.tensors) do count = count + 1 end
  check.equal(count, 7)
  check.refused("in two files", open { ["pytorch_model.bin.index.json"] = index, ["pytorch_model-00001-of-00002.bin"] = bin,
    ["pytorch_model-00002-of-00002.bin"] = bin })
  check.refused("a part is no file name", open { ["pytorch_model.bin.index.json"] = '{"weight_map": {"a": "../x.bin"}}' })
  check.refused("no model.safetensors and no pytorch_model.bin", open {})
end)

test("what is no archive of tensors is refused with what to do instead", function()
  for name, said in pairs {
    ["runs.bin"] = "pytorch_model.bin wants to run posix.system; only tensors are read: take model.safetensors where there is one, or save the model again",
    ["legacy.bin"] = "pytorch_model.bin is a Python pickle without an archive around it, as PyTorch wrote them before version 1.6",
    ["whole.bin"] = "pytorch_model.bin is a whole model as Python keeps it (torch.nn.modules.container.Sequential), not its tensors: take model.safetensors",
    ["float8.bin"] = "pytorch_model.bin has numbers of a kind that is not read (float8, or whole ones without a sign): take model.safetensors",
    ["transposed.bin"] = 'pytorch_model.bin: tensor "cut": its numbers do not lie one after the other',
  } do
    local model, message, code = open { ["pytorch_model.bin"] = golden(name) }
    check.refused(said, model, message, code)
    check.ok(part.advises(message), name)
  end
  local tar = ("\0"):rep(257) .. "ustar" .. ("\0"):rep(250)
  check.refused("pytorch_model.bin is a tar archive, as PyTorch wrote them before version 0.1.10; it is not read: take model.safetensors",
    open { ["pytorch_model.bin"] = tar })
  check.refused("pytorch_model.bin is not a zip archive, or is cut short", open { ["pytorch_model.bin"] = golden("kinds.bin"):sub(1, -100) })
  check.refused("Not a safetensors file", open { ["pytorch_model.bin"] = "version https://git-lfs.github.com/spec/v1" })
end)

test("a LoRA, and weights of another model, beside a config are told as that", function()
  local kind = require "models.kind"
  local config = assert(fs.read "tests/golden/blip/captioner/config.json")
  local lora = folder_of { ["config.json"] = config, ["pytorch_model.bin"] = function(path)
    pickle.write(path, GOLDEN .. "module.safetensors", nil, "lora_A.")
  end }
  local said, advice = kind.instead(lora, "captioner")
  check.contains(said, "is a LoRA, which changes another model, not a BLIP that writes captions")
  check.contains(advice, "calotype get hf:Salesforce/blip-image-captioning-base")
  local matcher = folder_of { ["config.json"] = config, ["pytorch_model.bin"] = function(path)
    pickle.write(path, "tests/golden/blip/matcher/model.safetensors")
  end }
  check.contains(kind.instead(matcher, "captioner"), "is a BLIP that says whether texts belong to pictures")
end)

test("show tells the tensors of a PyTorch file by block, and all of them", function()
  local lines = {}
  check.ok(show.path(GOLDEN .. "module.bin", function(line) lines[#lines + 1] = line end))
  check.contains(lines[1], "module.bin  PyTorch, 7 tensors, ")
  check.contains(table.concat(lines, "\n"), "2  F32")
  lines = {}
  check.ok(show.path(GOLDEN .. "model.bin", function(line) lines[#lines + 1] = line end, true))
  check.contains(table.concat(lines, "\n"), "F32    [2, 3]               0.weight")
  check.refused("wants to run posix.system", show.path(GOLDEN .. "runs.bin", function() end))
end)
