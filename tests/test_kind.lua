-- What is said to those who name a model of another kind than they meant: what it is, and what reads it or brings the right one.
local cache = require "hub.cache"
local fs = require "native.fs"
local hash = require "native.hash"
local json = require "native.json"
local kind = require "models.kind"
local recipes = dofile "tests/recipes.lua"
local safetensors = require "native.safetensors"
local store = require "native.store"

local BLIP, TAGGER = { "config.json", "model.safetensors" }, { "config.json", "model.safetensors", "selected_tags.csv" }

local function copy(place, from, to, names)
  for _, name in ipairs(names) do place.write(to .. "/" .. name, assert(fs.read("tests/golden/" .. from .. "/" .. name))) end
end

-- The file of a safetensors' tensors under other names.
local function renamed(from, name_of)
  local bytes, header = assert(fs.read(from)), {}
  for name, it in pairs(assert(safetensors.open(from)).tensors) do
    local first = it.offset - 8 - string.unpack("<I8", bytes)
    header[name_of(name)] = { dtype = it.dtype, shape = json.array(it.shape), data_offsets = json.array { first, first + it.size } }
  end
  local text = json.encode(header)
  return string.pack("<s8", text) .. bytes:sub(9 + string.unpack("<I8", bytes))
end

-- A place with a picture and one of everything that people have in models/.
local function place_of()
  local place = recipes.new(tmp "place")
  place.photo("p1.png", { seed = 1 })
  place.write("photos/p1.txt", "word1")
  copy(place, "blip/captioner", "m/blip", BLIP)
  copy(place, "blip/matcher", "m/itm", BLIP)
  copy(place, "wd14", "m/wd14", TAGGER)
  copy(place, "tiny", "m/sd", { "unet/config.json", "vae/config.json" })
  place.write("m/sd/model_index.json", '{"_class_name": "StableDiffusionPipeline"}')
  copy(place, "tiny", "m/parts", { "unet/config.json", "vae/config.json" })
  copy(place, "wd14", "m/onnx", { "selected_tags.csv" })
  place.write("m/onnx/model.onnx", "x")
  copy(place, "blip/captioner", "m/flax", { "config.json" })
  place.write("m/flax/flax_model.msgpack", "x")
  copy(place, "blip/captioner", "m/tf", { "config.json" })
  place.write("m/tf/tf_model.h5", "x")
  copy(place, "wd14", "m/swin", TAGGER)
  place.write("m/swin/config.json", (place.read "m/swin/config.json":gsub("vit_base_patch16_224", "swinv2_base_window8_256")))
  place.write("m/clip/config.json", '{"architectures": ["CLIPModel"], "model_type": "clip"}')
  place.write("m/clip/model.safetensors", place.read "m/blip/model.safetensors")
  place.write("m/vqa/config.json", place.read "m/blip/config.json")
  place.write("m/vqa/model.safetensors", renamed("tests/golden/blip/captioner/model.safetensors", function(name)
    return name == "text_decoder.cls.predictions.bias" and "text_encoder.bias" or name
  end))
  place.write("m/lora/config.json", place.read "m/blip/config.json")
  place.write("m/lora/model.safetensors", renamed("tests/golden/blip/captioner/model.safetensors", function(name) return name .. ".lora_A" end))
  place.write("m/peft/adapter_config.json", "{}")
  place.write("m/one.safetensors", place.read "m/blip/model.safetensors")
  fs.make_folder(place.path "m/none")
  copy(place, "blip/captioner", "hub/models--a--b/snapshots/0123", BLIP)
  return place
end

-- Folder, who is to read it, the sentence, and what to do.
local GETS = { blip = "`calotype get hf:Salesforce/blip-image-captioning-base` brings a BLIP that writes captions",
  score = "`calotype get hf:Salesforce/blip-itm-base-coco` brings", wd14 = "`calotype get hf:SmilingWolf/wd-vit-tagger-v3` brings a WD14 tagger" }
local CASES = {
  { "wd14", "blip", "m/wd14 is a tagger (vit_base_patch16_224), not a BLIP that writes captions", 'wd14 { model = "%s" } reads it' },
  { "blip", "wd14", "m/blip is a BLIP that writes captions, not a WD14 tagger", 'blip { model = "%s" } reads it' },
  { "blip", "score", "m/blip is a BLIP that writes captions, not a BLIP that says whether texts belong", 'blip { model = "%s" } reads it' },
  { "itm", "blip", "m/itm is a BLIP that says whether texts belong to pictures, not a BLIP that writes", ':score { by = "blip-itm", model = "%s" } reads it' },
  { "itm", "wd14", "m/itm is a BLIP that says whether", ":score {" },
  { "vqa", "blip", "m/vqa is a BLIP that answers questions about pictures, not", "brings" },
  { "sd", "blip", "m/sd is StableDiffusionPipeline, which draws pictures, not a BLIP", 'train_lora { base = "%s" } reads it' },
  { "sd", "wd14", "m/sd is StableDiffusionPipeline, which draws pictures, not a WD14 tagger", "train_lora" },
  { "sd", "score", "m/sd is StableDiffusionPipeline, which draws pictures, not", "train_lora" },
  { "parts", "blip", "m/parts is a model of diffusers, which draws pictures, not", "train_lora" },
  { "clip", "blip", "m/clip is CLIPModel, not a BLIP that writes captions", "brings" },
  { "clip", "wd14", "m/clip is CLIPModel, not a WD14 tagger", "brings" },
  { "lora", "blip", "m/lora is a LoRA, which changes another model, not a BLIP", "brings" },
  { "peft", "wd14", "m/peft is a LoRA, which changes another model, not", "brings" },
  { "none", "blip", "m/none is an empty folder, not a BLIP that writes captions", "brings" },
  { "one.safetensors", "blip", "m/one.safetensors is a single file; a BLIP that writes captions is a folder: config.json, weights and the words", "name the folder" },
  { "one.safetensors", "wd14", "single file; a WD14 tagger is a folder: config.json, weights and selected_tags.csv", "name the folder" },
  { "wd14/model.safetensors", "wd14", "m/wd14/model.safetensors is a file; a model is its whole folder", "m/wd14\"" },
  { "wd14/selected_tags.csv", "blip", "m/wd14/selected_tags.csv is a file; a model is its whole folder", "m/wd14\"" },
  { "onnx", "wd14", "m/onnx has its weights only as ONNX (model.onnx); model.safetensors or pytorch_model.bin is read", "brings" },
  { "onnx", "blip", "m/onnx has its weights only as ONNX", "brings" },
  { "flax", "blip", "m/flax has its weights only as Flax (flax_model.msgpack)", "brings" },
  { "tf", "blip", "m/tf has its weights only as TensorFlow (tf_model.h5)", "brings" },
  { "swin", "wd14", "swinv2_base_window8_256\", which is no plain vision transformer; wd-vit-tagger-v3 and", "brings" },
  { "../hub/models--a--b", "blip", "hub/models--a--b is not a BLIP that writes captions", "snapshots/0123 inside it is one" },
  { "", "wd14", "is not a WD14 tagger", "/wd14 inside it is one" },
}

local RECIPES = { blip = [[images "@/photos":caption { with = blip { model = "@/m/%s" } }:sheet { to = "@/out/s.png" }]],
  wd14 = [[images "@/photos":caption { with = wd14 { model = "@/m/%s" } }:sheet { to = "@/out/s.png" }]],
  score = [[images "@/photos":score { model = "@/m/%s" }:sheet { to = "@/out/s.png" }]] }

test("a folder of another kind is told as what it is, with what reads it and what brings the right one", function()
  local place = place_of()
  for _, case in ipairs(CASES) do
    local folder, by, said, advice = table.unpack(case)
    local done = place.check(RECIPES[by]:format(folder))
    local name = folder .. " for " .. by
    check.ok(done.exit == 1 or done.exit == 2, name .. ": " .. tostring(done.exit))
    check.contains(done.text, said, name)
    check.contains(done.text, advice == "brings" and GETS[by] or advice:format("@/m/" .. folder), name)
    check.ok(not done.text:find "whole folder again", name .. ": " .. done.text)
  end
  check.equal(fs.stat(place.path "out"), nil)
end)

test("a folder that is of the kind that is wanted, but broken, is not told as another", function()
  local place = place_of()
  fs.remove(place.path "m/wd14/selected_tags.csv")
  local done = place.check(RECIPES.wd14:format "wd14")
  check.contains(done.text, "selected_tags.csv")
  check.contains(done.text, "get the whole folder again")
  check.equal({ kind.instead(place.path "m/wd14", "tagger") }, {})
  check.equal({ kind.instead(place.path "m/gone", "tagger") }, {})
  place.write("m/odd/config.json", '{"architectures": ["\27[31m"], "model_type": 7}')
  check.equal(kind.of(place.path "m/odd"), nil)
  place.write("m/odd/config.json", "[")
  check.equal(kind.of(place.path "m/odd"), nil)
end)

test("train_lora tells what its base is instead", function()
  local place = place_of()
  local text = [[images "@/photos":caption { trigger = "zkr" }:train_lora { base = "@/m/%s", steps = 50 }:export { to = "@/out/x.safetensors" }]]
  local done = place.check(text:format "blip")
  check.contains(done.text, "@/m/blip is a BLIP that writes captions, no base")
  check.contains(done.text, 'blip { model = "@/m/blip" } reads it; a base is a folder as diffusers keeps it')
  check.contains(place.check(text:format "none").text, "@/m/none is an empty folder, no base")
end)

-- The hub's program keeps a model's files in blobs, and links to them.
local function linked(place, from, to)
  fs.make_folder(place.path(from .. "/blobs"))
  fs.make_folder(place.path(to))
  for _, name in ipairs(BLIP) do
    place.write(("%s/blobs/%s"):format(from, name), place.read("m/blip/" .. name))
    check.ok(os.execute(("ln -s '%s/blobs/%s' '%s/%s'"):format(place.path(from), name, place.path(to), name)))
  end
end

test("a model where huggingface_hub keeps it is read through its links, those that lead elsewhere are told with what to do", function()
  local place = place_of()
  local words = { "[PAD]" }
  for i = 1, 88 do words[#words + 1] = "word" .. i end
  for _, word in ipairs { "[UNK]", "[CLS]", "[MASK]", "[SEP]", "." } do words[#words + 1] = word end
  local text = [[images "@/photos":caption { with = blip { model = "@/%s", longest = 8 } }:sheet { to = "@/out/s.png" }]]
  linked(place, "cache/models--a--b", "cache/models--a--b/snapshots/0123")
  check.ok(os.execute(("cd '%s' && for f in *; do ln -sf ../../blobs/$f $f; done"):format(place.path "cache/models--a--b/snapshots/0123")))
  place.write("cache/models--a--b/snapshots/0123/vocab.txt", table.concat(words, "\n"))
  local done = place.check(text:format "cache/models--a--b/snapshots/0123")
  check.equal(done.exit, 0, done.text)
  local replacing = text:gsub("caption {", "caption { replace = true,")
  check.contains(place.run(replacing:format "cache/models--a--b/snapshots/0123").log, "reads @/photos, @/cache/models--a--b ")
  local kept <close> = assert(store.open(place.path "store"))
  local row = check.ok(kept:caption_in_force(hash.sha256(place.read "photos/p1.png")))
  check.equal({ row.provider, row.model }, { "blip", "b" }) -- not 0123, which says nothing to anybody
  check.equal({ cache.name "/h/models--gpt2/snapshots/0123/", cache.name "models/sd15/", cache.name "x" }, { "gpt2", "sd15", "x" })
  local header = [[recipe "x" { allow = { read = { "@/photos", "@/%s" }, write = { "@/out" }, gpu = true } } ]]
  done = place.check(header:format "cache/models--a--b" .. text:format "cache/models--a--b/snapshots/0123")
  check.equal(done.exit, 0, done.text)
  done = place.check(header:format "cache/models--a--b/snapshots/0123" .. text:format "cache/models--a--b/snapshots/0123")
  check.equal(done.exit, 3)
  check.contains(done.text, "does not allow it to read @/cache/models--a--b")

  linked(place, "cache/models--a--b", "elsewhere") -- all of it
  linked(place, "cache/models--a--b", "cache/models--c--d/snapshots/0123") -- to another model's files
  for _, folder in ipairs { "elsewhere", "cache/models--c--d/snapshots/0123" } do
    done = place.check(text:format(folder))
    check.contains(done.text, "@/" .. folder .. "/config.json leads out of the folders")
    check.contains(done.text, ("links that lead out of @/%s are not followed; `cp -rL @/%s COPY` makes a folder"):format(folder, folder))
    check.equal(done.exit, 3)
  end
  fs.make_folder(place.path "weights") -- the large file alone
  place.write("weights/config.json", place.read "m/blip/config.json")
  check.ok(os.execute(("ln -s '%s' '%s'"):format(place.path "m/blip/model.safetensors", place.path "weights/model.safetensors")))
  done = place.check(text:format "weights")
  check.contains(done.text, "@/weights/model.safetensors leads out of the folders")
  check.contains(done.text, "`cp -rL @/weights COPY`")
  fs.remove(place.path "weights/model.safetensors")
  place.write("weights/model.safetensors", place.read "m/blip/model.safetensors")
  check.ok(os.execute(("ln -s '%s' '%s'"):format(place.path "cache/models--a--b/snapshots/0123/vocab.txt", place.path "weights/vocab.txt")))
  check.contains(place.check(text:format "weights").text, "@/weights/vocab.txt leads out of the folders")
  fs.remove(place.path "weights/vocab.txt")
  check.ok(os.execute(("ln -s /etc/hostname '%s'"):format(place.path "weights/tokenizer.json")))
  check.contains(place.check(text:format "weights").text, "@/weights/tokenizer.json leads out of the folders")
  check.contains(place.check((text:gsub("@/%%s", "~/blip"))).text, "~ is no folder in a recipe: write the whole path")
end)
