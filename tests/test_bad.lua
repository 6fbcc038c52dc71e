-- What comes in broken: one clear sentence with the file, the place in the recipe and the next step, the right exit code, and nothing
-- written. The readers have hostile tests of their own; this is what a person sees.
local fs = require "native.fs"
local recipes = dofile "tests/recipes.lua"
local script = require "native.script"
local show = require "recipe.show"

local BASE = "tests/golden/tiny"
local FILES = { "unet/config.json", "unet/diffusion_pytorch_model.safetensors", "vae/config.json", "vae/diffusion_pytorch_model.safetensors",
  "text_encoder/config.json", "text_encoder/model.safetensors", "tokenizer/vocab.json", "tokenizer/merges.txt",
  "tokenizer/special_tokens_map.json", "tokenizer/tokenizer_config.json", "scheduler/scheduler_config.json" }

local function new()
  local place = recipes.new(tmp "place")
  for i = 1, 3 do place.photo(("p%d.png"):format(i), { seed = i, width = 40, height = 32 }) end
  return place
end

local TRAINING = [[
local photos = images "@/photos" :caption { with = template { text = "a [trigger]" }, trigger = "zkr" }
local lora = photos:train_lora {
  base = "@/base", resolution = 16, rank = 2, steps = 2, checkpoint = { every = 1, to = "@/runs" } }
lora:export { to = "@/out/lora.safetensors" }
]]

local DRAWN = [[
local class = images.drawn {
  prompts = { "a door" }, to = "@/class",
  base = "@/base", steps = 1, width = 16, height = 16 }
class:sheet { to = "@/out/sheet.png" }
]]

local function number(key, value) return function(bytes) return (bytes:gsub('("' .. key .. '": )%d+', "%1" .. value)) end end
local function cut(size) return function(bytes) return bytes:sub(1, size) end end

-- file, what happens to it, parts of the sentence
local BROKEN = {
  { "unet/diffusion_pytorch_model.safetensors", cut(200000), "ends at byte", "Is the download complete?" },
  { "unet/diffusion_pytorch_model.safetensors", cut(5), "5 bytes are too few" },
  { "unet/diffusion_pytorch_model.safetensors", cut(0), "0 bytes are too few" },
  { "vae/diffusion_pytorch_model.safetensors", function(bytes) return "\255\255\255\255\255\255\255\127" .. bytes:sub(9) end, "the header claims 9223372036854775807 bytes" },
  { "vae/diffusion_pytorch_model.safetensors", function(bytes) return string.pack("<I8", #bytes) .. bytes:sub(9) end, "the header claims" },
  { "vae/diffusion_pytorch_model.safetensors", function(bytes) return bytes:sub(1, 8) .. "{{{{" .. bytes:sub(13) end, "json: line 1, column 2" },
  { "text_encoder/model.safetensors", function() return ("# a page that says the file has moved\n"):rep(40) end, "the header claims" },
  { "text_encoder/config.json", number("intermediate_size", 7), "is [48, 24] in the file, but the config makes it [7, 24]" },
  { "text_encoder/config.json", number("hidden_size", '"x"'), '@/base/text_encoder/config.json: hidden_size is "x"; a whole number from 1 to 65536 is expected' },
  { "text_encoder/config.json", number("vocab_size", 99), "the tokenizer has 814 tokens, the text encoder's vocab_size is 99" },
  { "vae/config.json", number("norm_num_groups", 3), "8 channels do not fall into 3 groups" },
  { "vae/config.json", number("latent_channels", 8), "encoder.conv_out.weight" },
  { "vae/config.json", cut(20), "json: line" },
  { "unet/config.json", number("cross_attention_dim", 48), "cross_attention_dim is 48" },
  { "unet/config.json", number("in_channels", 5), "in_channels is 5" },
  { "unet/config.json", number("layers_per_block", 3), "is missing; the config needs it with" },
  { "unet/config.json", function() return "[1, 2]" end, "@/base/unet/config.json: down_block_types is missing; a list is expected" },
  { "tokenizer/vocab.json", cut(100), "vocab" },
  { "tokenizer/merges.txt", function() return "no merges\nin here at all\n" end, "merges" },
  { "scheduler/scheduler_config.json", function() return '{ "num_train_timesteps": -5 }' end, "num_train_timesteps" },
}

test("a base that is cut, lies or does not fit itself: check and run tell which file, where it was named and what to do", function()
  local place = new()
  for _, name in ipairs(FILES) do place.write("base/" .. name, fs.read(BASE .. "/" .. name)) end
  check.equal(place.check(TRAINING).exit, 0)
  for _, case in ipairs(BROKEN) do
    local name, change = case[1], case[2]
    local whole = fs.read(BASE .. "/" .. name)
    place.write("base/" .. name, change(whole))
    for what, done in pairs { check = place.check(TRAINING), run = place.run(TRAINING), ["run drawn"] = place.run(DRAWN) } do
      check.equal(done.exit, 2, name .. what)
      check.contains(done.text, "@/base")
      check.contains(done.text, "recipe.lua:3:10")
      check.contains(done.text, "\n     = ")
      for i = 3, #case do check.contains(done.text, case[i]) end
      check.equal(select(2, done.text:gsub("error: ", "")), 1)
    end
    check.ok(not fs.stat(place.path "runs") and not fs.stat(place.path "out") and not fs.stat(place.path "class"), name)
    place.write("base/" .. name, whole)
  end
  check.equal(place.check(TRAINING).exit, 0)
end)

-- part, key, what its config says instead, what is told after the key
local WHOLE = "a whole number from %d to %d is expected"
local EPSILON, BETA = "a number from 1e-12 to 0.1 is expected", "a number from 1e-09 to 0.999999 is expected"
local COUNT, WIDTH = WHOLE:format(1, 1024), WHOLE:format(1, 65536)
local MANY = "[" .. ("64, "):rep(999) .. "64]"
local WILD = {
  { "unet", "block_out_channels", "[1000000000, 16, 16]", "[1] is 1000000000; " .. WIDTH },
  { "unet", "block_out_channels", "[8, 16, 1e9]", "[3] is 1000000000; " .. WIDTH },
  { "unet", "block_out_channels", "[0, 16, 16]", "[1] is 0; " .. WIDTH },
  { "unet", "block_out_channels", "[8, -16, 16]", "[2] is -16; " .. WIDTH },
  { "unet", "block_out_channels", "[8, 16.5, 16]", "[2] is 16.5; " .. WIDTH },
  { "unet", "block_out_channels", "[8, null, 16]", "[2] is null; " .. WIDTH },
  { "unet", "block_out_channels", "[]", " is []; a list is expected" },
  { "unet", "block_out_channels", MANY, " has 1000 entries; 1 to 16 are expected" },
  { "unet", "norm_num_groups", "0", " is 0; " .. COUNT },
  { "unet", "norm_num_groups", "-1", " is -1; " .. COUNT },
  { "unet", "norm_num_groups", "3", " is 3; 8 channels do not fall into 3 groups" },
  { "unet", "num_attention_heads", "0", " is 0; " .. COUNT },
  { "unet", "num_attention_heads", "-1", " is -1; " .. COUNT },
  { "unet", "attention_head_dim", "0", " is 0; " .. COUNT },
  { "unet", "attention_head_dim", "[2, 0, 2]", "[2] is 0; " .. COUNT },
  { "unet", "attention_head_dim", "[]", " is []; 3 numbers are expected, or one for all" },
  { "unet", "attention_head_dim", '"2"', ' is "2"; ' .. COUNT },
  { "unet", "transformer_layers_per_block", "1e9", " is 1000000000; " .. COUNT },
  { "unet", "layers_per_block", "[1, 1, 1]", " is [1,1,1]; " .. COUNT },
  { "unet", "layers_per_block", "[]", " is []; " .. COUNT },
  { "unet", "layers_per_block", "0", " is 0; " .. COUNT },
  { "unet", "layers_per_block", '"' .. ("x"):rep(500) .. '"', ' is "' .. ("x"):rep(39) .. " ...; " .. COUNT },
  { "unet", "norm_eps", "-1", " is -1; " .. EPSILON },
  { "unet", "norm_eps", "0", " is 0; " .. EPSILON },
  { "unet", "norm_eps", "1e308", " is 1e+308; " .. EPSILON },
  { "unet", "freq_shift", "4", " is 4; " .. WHOLE:format(0, 1) },
  { "unet", "downsample_padding", "0", " is 0; 1 is expected" },
  { "unet", "sample_size", "-1", " is -1; " .. WHOLE:format(1, 8192) },
  { "unet", "sample_size", "0", " is 0; " .. WHOLE:format(1, 8192) },
  { "unet", "sample_size", "1.5", " is 1.5; " .. WHOLE:format(1, 8192) },
  { "unet", "sample_size", '"large"', ' is "large"; ' .. WHOLE:format(1, 8192) },
  { "unet", "sample_size", "[8, null]", "[2] is null; " .. WHOLE:format(1, 8192) },
  { "unet", "sample_size", "[]", " is []; 2 numbers are expected, or one for all" },
  { "unet", "in_channels", "{}", " is {}; " .. WIDTH },
  { "unet", "mid_block_type", "[1]", " is [1]; calotype knows UNetMidBlock2DCrossAttn" },
  { "vae", "block_out_channels", MANY, " has 1000 entries; 1 to 16 are expected" },
  { "vae", "block_out_channels", "[8, 0]", "[2] is 0; " .. WIDTH },
  { "vae", "block_out_channels", "[8]", "the config has 1 block_out_channels but 2 down_block_types" },
  { "vae", "norm_num_groups", "0", " is 0; " .. COUNT },
  { "vae", "norm_num_groups", "-1", " is -1; " .. COUNT },
  { "vae", "layers_per_block", "[1, 1]", " is [1,1]; " .. COUNT },
  { "vae", "layers_per_block", "[]", " is []; " .. COUNT },
  { "vae", "latent_channels", "-4", " is -4; " .. WIDTH },
  { "vae", "scaling_factor", "0", " is 0; a number from 1e-06 to 1000000 is expected" },
  { "vae", "scaling_factor", "-1", " is -1; a number from 1e-06" },
  { "vae", "scaling_factor", "1e300", " is 1e+300; a number from 1e-06" },
  { "text_encoder", "num_hidden_layers", "0", " is 0; " .. COUNT },
  { "text_encoder", "num_hidden_layers", "-1", " is -1; " .. COUNT },
  { "text_encoder", "num_hidden_layers", "1e9", " is 1000000000; " .. COUNT },
  { "text_encoder", "num_attention_heads", "0", " is 0; " .. COUNT },
  { "text_encoder", "num_attention_heads", "-1", " is -1; " .. COUNT },
  { "text_encoder", "layer_norm_eps", "-1", " is -1; " .. EPSILON },
  { "text_encoder", "layer_norm_eps", "1e308", " is 1e+308; " .. EPSILON },
  { "text_encoder", "hidden_size", "null", " is missing; " .. WIDTH },
  { "text_encoder", "vocab_size", "[]", " is []; " .. WHOLE:format(1, 1 << 24) },
  { "text_encoder", "hidden_act", "[]", " is []; calotype knows quick_gelu, gelu" },
  { "scheduler", "beta_start", "null", " is null; " .. BETA },
  { "scheduler", "beta_start", "0", " is 0; " .. BETA },
  { "scheduler", "beta_end", "1", " is 1; " .. BETA },
  { "scheduler", "beta_end", "[]", " is []; " .. BETA },
  { "scheduler", "beta_end", "0.0001", "beta_start is 0.00085, more than its beta_end, 0.0001" },
  { "scheduler", "num_train_timesteps", "null", " is null; " .. WHOLE:format(1, 100000) },
  { "scheduler", "num_train_timesteps", "0", " is 0; " .. WHOLE:format(1, 100000) },
  { "scheduler", "num_train_timesteps", "1e9", " is 1000000000; " .. WHOLE:format(1, 100000) },
  { "scheduler", "steps_offset", "1000", " is 1000; " .. WHOLE:format(0, 999) },
  { "scheduler", "prediction_type", "[]", " is []; calotype knows epsilon, v_prediction, sample" },
}

-- A config with another value for a key, as text: what stands there is a word, a number or a list.
local function with_value(bytes, key, value)
  local from, to = bytes:find('"' .. key .. '":%s*%b[]')
  if not from then from, to = bytes:find('"' .. key .. '":%s*[^,\n]+') end
  local pair = ('"%s": %s'):format(key, value)
  if not from then return (bytes:gsub("{", function() return "{ " .. pair .. "," end, 1)) end
  return bytes:sub(1, from - 1) .. pair .. bytes:sub(to + 1)
end

test("a number in a base's config that no model can have is told at once with its file, key, value and what is expected", function()
  local place = new()
  for _, name in ipairs(FILES) do place.write("base/" .. name, fs.read(BASE .. "/" .. name)) end
  for _, case in ipairs(WILD) do
    local part, key, value, says = table.unpack(case)
    local name = part == "scheduler" and "scheduler/scheduler_config.json" or part .. "/config.json"
    local whole = fs.read(BASE .. "/" .. name)
    place.write("base/" .. name, with_value(whole, key, value))
    local done = place.check(TRAINING)
    check.equal(done.exit, 2, name .. " " .. key)
    check.contains(done.text, ("@/base/%s: %s%s"):format(name, says:find "^[ %[]" and key or "", says))
    check.contains(done.text, "recipe.lua:3:10")
    check.contains(done.text, "\n     = get the whole folder again")
    check.equal({ done.text:match "0x%x+" or done.text:match "attempt to" or done.text:match "%.lua:%d+: " }, {}, done.text)
    place.write("base/" .. name, whole)
  end
  -- What is not there has diffusers' default.
  local bytes = fs.read(BASE .. "/scheduler/scheduler_config.json")
  place.write("base/scheduler/scheduler_config.json", (bytes:gsub('%s*"num_train_timesteps": 1000,', "")))
  check.equal(place.check(TRAINING).exit, 0)
end)

test("steps that a base's scheduler does not have, and what a sampler cannot do with it, are told by check where they stand", function()
  local place = new()
  for _, name in ipairs(FILES) do place.write("base/" .. name, fs.read(BASE .. "/" .. name)) end
  local name = "base/scheduler/scheduler_config.json"
  local bytes = place.read(name)
  local function told(text, line, ...)
    for what, done in pairs { check = place.check(text), run = place.run(text) } do
      check.equal(done.exit, 2, what .. done.text)
      check.contains(done.text, "recipe.lua:" .. line .. ":")
      for _, part in ipairs { ... } do check.contains(done.text, part) end
      check.equal(done.text:match "attempt to" or done.text:match "%.lua:%d+: ", nil, done.text)
    end
    check.ok(not fs.stat(place.path "runs") and not fs.stat(place.path "out") and not fs.stat(place.path "class"))
  end
  local sampled = TRAINING:gsub("steps = 2,", 'steps = 2,\n  sample = { every = 1, prompts = { "a zkr" },\n    steps = 9 },')
  local after = TRAINING .. 'lora:samples { prompts = { "a zkr" },\n  steps = 9, to = "@/out/g.png" }\n'
  local drawn = DRAWN:gsub("steps = 1", "steps = 9")
  place.write(name, with_value(bytes, "num_train_timesteps", "8"))
  check.equal(place.check(TRAINING).exit, 0)
  for line, text in pairs { [5] = sampled, [6] = after, [3] = drawn } do
    -- with steps_offset = 1, as SD 1.5 has it, eight steps would begin at a ninth timestep
    told(text, line, 'steps 9: sampler "ddim" can take 7 of this base\'s 8 timesteps', "take 7, or less", "@/base/scheduler/scheduler_config.json")
    told(text:gsub("steps = 9", "steps = 8"), line, 'steps 8: sampler "ddim" can take 7')
    told(text:gsub("steps = 9", 'sampler = "euler", steps = 1000'), line, 'sampler "euler" can take 8')
    check.equal(place.check((text:gsub("steps = 9", "steps = 7"))).exit, 0)
  end
  place.write(name, with_value(bytes, "timestep_spacing", '"sideways"'))
  told(drawn, 3, 'scheduler_config.json: timestep_spacing is "sideways"; calotype knows leading, trailing, linspace', "take another base")
  told(after, 5, "timestep_spacing is \"sideways\"")
  told(sampled, 3, "timestep_spacing is \"sideways\"")
  place.write(name, with_value(bytes, "thresholding", "true"))
  told(drawn, 3, "scheduler_config.json: calotype cannot do 'thresholding' yet", 'sampler = "euler" takes it')
end)

test("pictures that are cut or lie are rejected with the byte, and the others go on", function()
  local place = new()
  local png = place.read "photos/p1.png"
  place.photo("q.jpg", { seed = 9, width = 64, height = 64 })
  local jpeg = place.read "photos/q.jpg"
  place.write("photos/cut.png", png:sub(1, #png - 200))
  place.write("photos/cut.jpg", jpeg:sub(1, #jpeg // 2))
  place.write("photos/empty.png", "")
  place.write("photos/large.png", png:sub(1, 16) .. string.pack(">I4I4", 2 ^ 30, 2 ^ 30) .. png:sub(25))
  place.write("photos/page.jpg", "<!doctype html><html><body>404</body></html>")
  local done = place.run [[
    local few = images "@/photos" :caption { with = fake {}, trigger = "zkr" }
    few:report { to = "@/out/r.html" }
    few:export { as = "replicate", to = "@/out/a.zip" }
  ]]
  check.equal(done.exit, 0, done.text)
  check.contains(done.log, "9 pictures: 4 new, 5 unreadable (first cut.jpg: ")
  local page = place.read "out/r.html"
  for _, part in ipairs { "cut.png", "the PNG is cut off", "cut.jpg", "large.png", "page.jpg", "empty file" } do check.contains(page, part) end
  check.equal(#require("native.zip").list(place.path "out/a.zip"), 8)
end)

test("a caption that is no text stops the run at its file, before anything is written", function()
  local place = new()
  local text = [[images "@/photos" :caption { with = template {}, trigger = "zkr" } :export { as = "replicate", to = "@/out/a.zip" }]]
  for _, case in ipairs { { "a red \255 door", "photos/p2.txt: byte 7 (0xff) is not UTF-8", "save the caption file as UTF-8" },
    { "a\0b", "photos/p2.txt: byte 2 (0x00)", "save the caption file as UTF-8" }, { ("x"):rep(2 << 20), "photos/p2.txt is larger than", "is this another file?" } } do
    place.write("photos/p2.txt", case[1])
    local done = place.run(text)
    check.equal(done.exit, 1)
    for i = 2, #case do check.contains(done.text, case[i]) end
    check.contains(done.text, "recipe.lua:1:1")
    check.ok(not fs.stat(place.path "out"))
  end
end)

test("show tells what is wrong with a file in one sentence, with its name", function()
  local place = new()
  check.equal(place.run([[images "@/photos" :caption { with = fake {}, trigger = "zkr" } :export { as = "replicate", to = "@/a.zip" }]]).exit, 0)
  place.write("cut.zip", place.read("a.zip"):sub(1, -200))
  place.write("empty.zip", "")
  place.write("cut.safetensors", fs.read(BASE .. "/vae/diffusion_pytorch_model.safetensors"):sub(1, 4000))
  place.write("cut.state", "12345678")
  place.write("cut.png", place.read("photos/p1.png"):sub(1, 100))
  for _, name in ipairs { "cut.zip", "empty.zip", "cut.safetensors", "cut.state", "cut.png", "none.png" } do
    local lines = {}
    local ok, message, code = show.path(place.path(name), function(line) lines[#lines + 1] = line end)
    check.equal(ok, nil, name)
    check.contains(message, name)
    check.ok(not message:find "\n" and type(code) == "string" and #lines == 0, name)
  end
end)

test("no output may lie in a base, whichever the recipe names first", function()
  local place = new()
  local training = TRAINING:gsub("@/base", BASE)
  local function refused(text)
    local done = place.check(text)
    check.equal(done.exit, 2, done.text)
    check.contains(done.text, "would lie in the base " .. BASE)
  end
  refused((training:gsub("@/out/lora", BASE .. "/unet/diffusion_pytorch_model")))
  refused((training:gsub("@/runs", BASE .. "/runs")))
  refused('images "@/photos":sheet { to = "' .. BASE .. '/s.png" }\n' .. training)
  refused((DRAWN:gsub("@/base", BASE):gsub("@/class", BASE .. "/unet")))
  check.equal(place.check(training).exit, 0)
end)

test("a device that is not there is told by check with those that are, and by info not at all", function()
  local devices = require("native.system").devices()
  if not devices then skip "needs an OpenCL device" end
  local place = new()
  for _, name in ipairs(FILES) do place.write("base/" .. name, fs.read(BASE .. "/" .. name)) end
  local training = TRAINING:gsub("steps = 2", "DEVICE, steps = 2")
  local drawn = DRAWN:gsub("steps = 1", "DEVICE,\n  steps = 1")
  local caption = [[
images "@/photos":caption { trigger = "zkr",
  with = { openai { model = "m", style = "tags" }, wd14 { model = "tests/golden/wd14", DEVICE } } }:sheet { to = "@/out/s.png" }
]]
  for name, text in pairs { training = training, drawn = drawn, caption = caption } do
    local done = place.check((text:gsub("DEVICE", 'device = "no such device"')))
    check.equal(done.exit, 2, name .. done.text)
    check.contains(done.text, 'no OpenCL device fits "no such device"; there are: ')
    check.contains(done.text, devices[1].name)
    check.contains(done.text, "recipe.lua:" .. (name == "caption" and 2 or 3) .. ":")
    check.contains(done.text, "\n     = take one of them")
    for _, wish in ipairs { devices[1].name, devices[1].name:sub(1, 3):upper(), devices[1].kind:lower() } do
      check.equal(place.check((text:gsub("DEVICE", ("device = %q"):format(wish)))).exit, 0, name .. wish)
    end
    check.equal(place.info((text:gsub("DEVICE", 'device = "no such device"'))).exit, 0, name)
  end
  -- Where there is no driver, the recipe may be meant for another machine.
  local self <close> = io.popen "readlink /proc/$PPID/exe"
  local program = self:read "l":gsub("/tests/host$", "/calotype")
  place.write("d.lua", (drawn:gsub("DEVICE", 'device = "gpu"'):gsub("@", place.folder)))
  local there <close> = io.popen(("OCL_ICD_VENDORS=%s CALOTYPE_STDLIB= %s check %s 2>&1; echo \"exit $?\""):format(tmp "none", program, place.path "d.lua"))
  local said = there:read "a"
  check.contains(said, "exit 0")
  check.contains(said, "d.lua:1: looking for OpenCL drivers")
  check.contains(said, "fine: 1 step, 1 output, 1 warning")
end)

test("what no device can hold is refused with the numbers and what needs less", function()
  if not require("native.device").open() then skip "needs an OpenCL device" end
  local place = new()
  local text = TRAINING:gsub("@/base", BASE):gsub("steps = 2", 'steps = 2, device = "cpu"')
  for _, change in ipairs { { "resolution = 16", "resolution = 4096, memory = 0.5", "the VAE at 4544x3648: " },
    { "steps = 2", "steps = 2, memory = 0.001", "training needs " } } do
    local done = place.run((text:gsub(change[1], change[2])))
    check.contains(done.text, change[3])
    check.equal(done.exit, 1, done.text)
    check.contains(done.text, "recipe.lua:2:21")
    check.contains(done.text, "needs")
    check.ok(done.text:find "\n     = [^\n]*needs? less" or done.text:find "\n     = [^\n]*halves the weights" or done.text:find "needs about", done.text)
    check.ok(not fs.stat(place.path "out"))
  end
end)

-- A typo in any place ------------------------------------------------------------------------------------------------------

local TWENTY = [[
recipe "style" { about = "words", version = "1.0", needs = ">=0.1" }
local p = params {
  data  = { "@/photos", kind = "folder", help = "pictures" },
  base  = { "]] .. BASE .. [[", kind = "folder" },
  rank  = { 4, min = 1, max = 128 },
  steps = { 15, min = 5, max = 20000 },
}
local style = images(p.data)
  :orient()
  :reject  { side_below = 20, aspect_above = 3, sharpness_below = "lowest 10%" }
  :dedupe  { by = "phash", distance = 4, keep = "sharpest" }
  :caption { with = template { text = "a painting of {stem}, [trigger]" }, trigger = "wtrclr" }
local train, held = style:split { held_out = 1 }
local lora = train:train_lora {
  base = p.base, resolution = 16, rank = p.rank, steps = p.steps, lr = 1e-4, warmup = 5,
  validate = held, sample = { every = 5, prompts = { "a lighthouse, [trigger]" } },
}
lora:samples { prompts = { "a lighthouse, [trigger]" }, seeds = { 0, 1, 2 }, to = "@/out/grid.png" }
lora:export  { to = "@/out/wtrclr.safetensors" }
lora:report  { to = "@/out/report.html" }
style:keep_if(function(item) return item.width > 10 end):sheet { to = "@/out/sheet.png" }
]]

-- The texts one slip of the finger away from `text`, with the line of the slip: a letter doubled, left out, swapped with its neighbour
-- or another one, at every `step`-th byte that is not blank.
local function slips(text, step)
  local out, line = {}, 1
  for at = 1, #text do
    local byte = text:sub(at, at)
    if byte == "\n" then line = line + 1
    elseif byte ~= " " and at % step == 0 then
      local before, after = text:sub(1, at - 1), text:sub(at + 1)
      for _, slip in ipairs { byte .. byte, "", after:sub(1, 1) .. byte, byte == "e" and "r" or "e" } do
        if #slip == 2 and slip ~= byte .. byte then out[#out + 1] = { before .. slip .. after:sub(2), line }
        else out[#out + 1] = { before .. slip .. after, line } end
      end
    end
  end
  return out
end

test("a slip of the finger anywhere is harmless or has its place: never the language's own inside, never a crash", function()
  local place = new()
  local text = TWENTY:gsub("@", place.folder)
  check.equal(place.check(text).exit, 0, place.check(text).text)
  local refused = 0
  for i, slip in ipairs(slips(text, os.getenv "CALOTYPE_SLIPS" and 1 or 7)) do
    local done = place.check(slip[1])
    local shown = ("slip %d in line %d: %s\n%s"):format(i, slip[2], slip[1]:gsub("\n.*", "..."), done.text)
    -- 1: Lua itself tripped over it, as over a value that is nil; the program makes 2 of it for `check`.
    check.ok(done.exit <= 3 and (done.exit ~= 1 or done.text:find "^error: attempt to "), shown)
    if done.exit ~= 0 then
      refused = refused + 1
      local line = tonumber(done.text:match "%-%-> [^\n]*recipe%.lua:(%d+)")
      check.ok(line, shown)
      check.ok(done.text:find "%^", shown)
      check.ok(not done.text:find "stdlib" and not done.text:find "%.lua:%d+: [^\n]*%.lua:%d+:", shown)
    end
  end
  check.ok(refused > 100)
  check.ok(not fs.stat(place.path "out"))
  check.equal(script.interrupted(), 0)
end)
