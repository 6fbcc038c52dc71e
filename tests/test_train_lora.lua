-- The training verbs on the tiny random base of tests/golden/tiny: a few steps each.
local checkpoint = require "train.checkpoint"
local device = require "native.device"
local fs = require "native.fs"
local hash = require "native.hash"
local image = require "native.image"
local json = require "native.json"
local log = require "native.log"
local recipes = dofile "tests/recipes.lua"
local safetensors = require "native.safetensors"

local opened, why = device.open()
local BASE = "tests/golden/tiny"

local function new()
  local place = recipes.new(tmp "place")
  for i = 1, 5 do place.photo(("p%d.png"):format(i), { seed = i, width = i == 5 and 24 or 40, height = i >= 4 and 40 or 32 }) end
  return place
end

-- A recipe whose training has these options; `rest` follows.
local function recipe(options, rest)
  return ([[local p = params { steps = { 4, min = 1 }, rank = { 2, min = 1 } }
local photos = images "@/photos" :caption { with = template { text = "a photo of {stem}, [trigger]" }, trigger = "zkr" }
local lora = photos:train_lora { base = "%s", resolution = 16, rank = p.rank, steps = p.steps, lr = 1e-2, checkpoint = { every = 2, to = "@/runs" }, %s }
%s]]):format(BASE, options or "", rest or 'lora:export { to = "@/out/[trigger].safetensors" }')
end

local function on_device(name, fn)
  test(name, function()
    if not opened then skip(why) end
    fn()
  end)
end

local function metadata(place, name) return check.ok(safetensors.open(place.path(name))).metadata end

-- The one folder of runs, or the n-th by name.
local function run_folder(place, n)
  local folders = {}
  for _, entry in ipairs(fs.list(place.path "runs")) do if entry.kind == "folder" then folders[#folders + 1] = entry.path end end
  check.ok(#folders >= (n or 1))
  return folders[n or 1]
end

local function fine(done)
  if done.exit ~= 0 then error(done.text .. "\n" .. done.log, 2) end
  return done
end

on_device("a training gives a LoRA, a grid and a report; the second time nothing is computed", function()
  local place = new()
  local text = [[local photos = images "@/photos" :caption { with = template { text = "a photo of {stem}, [trigger]" }, trigger = "zkr" }
local train, held = photos:split { held_out = 1 }
local lora = train:train_lora { base = "tests/golden/tiny", resolution = 16, rank = 2, alpha = 1, steps = 6, batch = 2, lr = 1e-2, warmup = 2, seed = 3,
  min_snr = 5, caption_dropout = 0.2, clip = 0.5, weight_decay = 0.02, targets = "attention", validate = held, device = "cpu",
  sample = { every = 3, prompts = { "a [trigger]", "a door" }, steps = 2, cfg = 2, seed = 7 }, checkpoint = { every = 2, to = "@/runs" } }
lora:export { to = "@/out/[trigger].safetensors", about = "made by a test", license = "CC0-1.0" }
lora:samples { prompts = { "a red [trigger]" }, seeds = { 0, 1 }, steps = 3, to = "@/out/grid.png", pictures = "@/out/each" }
lora:report { to = "@/out/lora.html" }]]
  local done = fine(place.run(text))
  check.ok(done.log:find "^on [^\n]+%(a CPU%)", done.log) -- the first line names the device
  check.contains(done.log, "latents: 5 made, 0 known")
  check.ok(done.log:find "memory: [%d.]+ %a+: [%d.]+ %a+ for weights, [%d.]+ %a+ for parameters and moments, [%d.]+ %a+ for what is computed in %d size")
  check.ok(done.log:find "computed in %d size; [%d.]+ GB are free now\n" or done.log:find "computed in %d sizes; [%d.]+ GB are free now\n", done.log)
  check.contains(done.log, "step 6: held-out loss")
  local folder = run_folder(place)
  for _, name in ipairs { "step-000002.safetensors", "step-000004.safetensors", "step-000006.safetensors", "last.state", "samples/step-000003.png",
    "samples/step-000006.png" } do check.ok(fs.stat(folder .. "/" .. name), name) end
  local m = metadata(place, "out/zkr.safetensors")
  for key, value in pairs { ss_network_dim = "2", ss_network_alpha = "1", ss_steps = "6", ss_output_name = "zkr", ss_seed = "3", ss_min_snr_gamma = "5",
    ss_base_model_version = "sd_v1", ss_num_train_images = "4", ss_num_validation_images = "1", ss_total_batch_size = "2", ss_lr_warmup_steps = "2",
    ss_caption_dropout_rate = "0.2", ss_learning_rate = "0.01", ["modelspec.architecture"] = "stable-diffusion-v1/lora", ["modelspec.trigger_phrase"] = "zkr",
    ["modelspec.resolution"] = "16x16", ["modelspec.license"] = "CC0-1.0", ["modelspec.description"] = "made by a test", ss_sd_model_name = "tiny",
    ["calotype.captions_by"] = "template", ["calotype.version"] = require("native.script").versions().calotype } do check.equal(m[key], value, key) end
  check.equal(m["modelspec.hash_sha256"], "0x" .. m.sshs_model_hash)
  do -- calotype view out/zkr.safetensors finds the run
    local store <close> = check.ok(require("native.store").open(place.path "store"))
    check.equal(hash.file(require("train.runs").of_file(store, m.sshs_model_hash) .. "/last.state"), hash.file(folder .. "/last.state"))
  end
  for key, value in pairs(m) do check.ok(not value:find(place.folder, 1, true), key .. " tells a path") end
  check.equal(#fs.list(place.path "out/each"), 4)
  local now = check.ok(require("train.live").read(folder)) -- for those who watch
  check.equal({ now.state, now.step, now.steps, #now.losses, #now.held, #now.samples, #now.grids }, { "done", 6, 6, 6, 3, 2, 1 })
  check.equal({ now.samples[2].rows[1].prompt, #now.grids[1].rows, #now.grids[1].rows[2].cells }, { "a zkr", 2, 2 })
  check.ok(place.read "out/each/1-1-1.png" ~= place.read "out/each/1-2-1.png")
  check.ok(image.load(place.path "out/grid.png"):width() >= 240)
  local page = place.read "out/lora.html"
  for _, part in ipairs { "<polyline", "held-out loss", "step-000006.safetensors", "caption_dropout", "step-000003", "lr.unet" } do check.contains(page, part) end
  local again = fine(place.run(text))
  check.contains(again.log, "6 steps, known")
  check.contains(again.log, "nothing to do: all 4 outputs are unchanged")
end)

-- Every tensor and moment after 6 steps at once, and after 4, a stop and 2 more.
for _, kind in ipairs { { "UNet", "batch = 2" }, { "UNet and text encoder", "lr = { unet = 1e-2, text = 5e-3 }, caption_dropout = 0.3" } } do
  on_device("training goes on bit for bit: " .. kind[1], function()
    local whole, parts = new(), new()
    local text = recipe(kind[2], nil):gsub("lr = 1e%-2, (checkpoint.*lr = {)", "%1")
    fine(whole.run(text, { params = { steps = "6" } }))
    fine(parts.run(text, { params = { steps = "4" } }))
    local done = fine(parts.run(text, { params = { steps = "6" } }))
    check.ok(done.log:find "resuming at step 4 %(checkpoint [%d.]+ %a+ old%)", done.log)
    check.contains(done.log, "latents: 0 made, 5 known")
    check.equal(metadata(parts, "out/zkr.safetensors").sshs_model_hash, metadata(whole, "out/zkr.safetensors").sshs_model_hash)
    check.equal(metadata(parts, "out/zkr.safetensors")["calotype.resumed_at"], "[4]")
    local a, b = run_folder(whole) .. "/last.state", run_folder(parts) .. "/last.state"
    local x, y = fs.read(a), fs.read(b)
    for name, t in pairs(safetensors.open(a).tensors) do
      local u = safetensors.open(b).tensors[name]
      check.ok(x:sub(t.offset + 1, t.offset + t.size) == y:sub(u.offset + 1, u.offset + u.size), name)
    end
    local text_layers = 0
    for name in pairs(safetensors.open(whole.path "out/zkr.safetensors").tensors) do if name:find "^lora_te_" then text_layers = text_layers + 1 end end
    check.equal(text_layers, kind[1] == "UNet" and 0 or 36)
  end)
end

on_device("a run that another process is at work on is refused before anything is computed; what is done needs nobody's leave", function()
  local place = new()
  local text = recipe(nil, nil)
  fine(place.run(text, { params = { steps = "2" } }))
  local state = fs.read(run_folder(place) .. "/last.state")
  do
    local _ <close> = assert(fs.lock(run_folder(place)))
    fine(place.run(text, { params = { steps = "2" } }))
    local refused = place.run(text, { params = { steps = "4" } })
    check.equal(refused.exit, 75, refused.log)
    check.contains(refused.text, "another process works in @/runs/zkr-" .. run_folder(place):match "%x+$" .. "; try again when it is done")
    check.ok(fs.read(run_folder(place) .. "/last.state") == state)
  end
  check.contains(fine(place.run(text, { params = { steps = "4" } })).log, "resuming at step 2")
end)

on_device("two that begin the same run: who comes second is refused, before it writes", function()
  local place, lock, asked = new(), fs.lock, nil
  fs.lock = function(folder)
    asked = folder
    return nil, "another process works in " .. folder, "BUSY"
  end
  local ok, refused = pcall(place.run, recipe(nil, nil))
  fs.lock = lock
  assert(ok, refused)
  check.equal(refused.exit, 75, refused.log)
  check.equal({ asked, #fs.list(run_folder(place)) }, { run_folder(place), 0 })
end)

on_device("alpha = 1/3 goes through training, stopping, drawing and the file", function()
  local place = new()
  local text = recipe("alpha = 1 / 3", 'lora:export { to = "@/out/zkr.safetensors" }\nlora:samples { prompts = { "a" }, seeds = { 0 }, steps = 2, to = "@/out/grid.png" }')
  fine(place.run(text))
  fine(place.run(text, { params = { steps = "6" } }))
  check.equal(metadata(place, "out/zkr.safetensors").ss_network_alpha, "0.3333333333333333")
  check.contains(fine(place.run(text, { params = { steps = "6" } })).log, "nothing to do: both outputs are unchanged")
end)

on_device("another option makes another run, says what changed, and leaves the first as it is", function()
  local place = new()
  fine(place.run(recipe()))
  local first = run_folder(place)
  local before = fs.read(first .. "/last.state")
  local done = fine(place.run(recipe(), { params = { rank = "4" } }))
  check.contains(done.log, "not resuming: alpha 2 -> 4, rank 2 -> 4 (recipe.lua:3); ")
  check.ok(fs.read(first .. "/last.state") == before)
  local less = fine(place.run(recipe(), { params = { steps = "3" } }))
  check.contains(less.log, "not resuming: the checkpoint is at step 4, beyond steps = 3; it stays")
  check.ok(fs.read(first .. "/last.state") == before)
  check.contains(fine(place.run(recipe(), { params = { steps = "2" } })).log, "2 steps, known")
end)

on_device("what makes a run another is told in words, against the nearest of those before", function()
  local place = new()
  local function says(part, text, more)
    local done = fine(place.run(text, { params = more }))
    if part then check.contains(done.log, "not resuming: " .. part .. " (recipe.lua:3); @/runs/zkr-")
    else check.ok(not done.log:find "not resuming", done.log) end
    return done.log:match "not resuming: [^;]*; (%S+) stays as it is"
  end
  says(nil, recipe())
  local first = run_folder(place):gsub(place.folder:gsub("%p", "%%%0"), "@")
  says("resolution 16 -> 32", (recipe():gsub("resolution = 16", "resolution = 32")))
  -- The run just before had another resolution; the first is nearer.
  check.equal(says("3 pictures instead of 5", (recipe():gsub("photos:train_lora", "photos:take(3):train_lora"))), first)
  check.equal(says("other captions", (recipe():gsub("a photo of", "a view of"))), first)
  check.equal(says("other weights of pictures", (recipe():gsub("photos:train_lora", "photos:weight(2):train_lora"))), first)
  check.equal(says("seed 0 -> 1", recipe "seed = 1"), first)
  place.photo("p2.png", { seed = 99, width = 40, height = 32 })
  says("other pictures", recipe())
  says(nil, recipe(), { steps = "5" }) -- goes on
  place = new()
  says(nil, recipe())
  says("other sizes or crops of the pictures", (recipe():gsub("photos:train_lora", "photos:bucket { resolution = 64, step = 8, min = 32, max = 128 }:train_lora")))
end)

on_device("fewer than five pictures to train on are warned of", function()
  local place, said = new(), {}
  local before = log.say
  log.say = function(level, text) said[#said + 1] = level .. ": " .. text end
  local done = place.run((recipe():gsub("photos:train_lora", "photos:take(1):train_lora")))
  log.say = before
  fine(done)
  check.contains(table.concat(said, "\n"), "1 picture to train on: below 5 a LoRA tends to repeat its pictures")
  said = {}
  log.say = function(level, text) said[#said + 1] = level .. ": " .. text end
  done = place.run(recipe())
  log.say = before
  fine(done)
  check.equal(said, {})
end)

on_device("three steps in a row that are not finite end the run at the last good checkpoint", function()
  local place = new()
  local done = place.run(recipe('alpha = 4096, dtype = "f16", clip = 0', nil):gsub("lr = 1e%-2", "lr = 1"):gsub("every = 2", "every = 1"), { params = { steps = "40" } })
  check.equal(done.exit, 1, done.text)
  check.contains(done.text, "3 steps in a row were not finite")
  check.contains(done.text, "is kept: @/runs/")
  check.contains(done.text, 'lower lr, or take dtype = "bf16"')
  check.ok(not fs.stat(place.path "out/zkr.safetensors"))
  local step = checkpoint.note(run_folder(place) .. "/last.state").step
  check.ok(step >= 1 and fs.stat(("%s/step-%06d.safetensors"):format(run_folder(place), step)))
end)

-- Runs fn with other latents: change(n, i, good) gives those of picture i, or good() itself; n counts those of the first `held` pictures, which
-- in batches of one is the step.
local function with_latents(held, change, fn)
  local encoded = require "train.encoded"
  local real = encoded.latents
  encoded.latents = function(job)
    local out, made, code = real(job)
    local shown = 0
    for i, good in ipairs(out or {}) do
      out[i] = function()
        if i <= held then shown = shown + 1 end
        return change(shown, i, good)
      end
    end
    return out, made, code
  end
  local ok, result = pcall(fn)
  encoded.latents = real
  return ok and result or error(result, 0)
end

-- Latents that are no numbers: in step n, and of all pictures behind the first `held`.
local function poisoned(n, held, fn)
  return with_latents(held, function(shown, i, good)
    return (i > held or shown == n) and string.pack("<f", 0 / 0):rep(#good() // 4) or good()
  end, fn)
end

-- Ctrl-C in step n.
local function pressed(n, held, fn)
  local script = require "native.script"
  local real, level = script.interrupted, 0
  script.interrupted = function() return level end
  local ok, result = pcall(with_latents, held, function(shown, _, good)
    if shown == n then level = 1 end
    return good()
  end, fn)
  script.interrupted = real
  return ok and result or error(result, 0)
end

on_device("a loss that is no number costs its update and nothing else: checkpoints go on, held-out losses too", function()
  local place = new()
  local text = recipe("validate = held", 'lora:export { to = "@/out/zkr.safetensors" }\nlora:report { to = "@/out/lora.html" }')
    :gsub("local lora = photos", "local train, held = photos:split { held_out = 1 }\nlocal lora = train")
  local done = poisoned(3, 4, function() return fine(place.run(text)) end)
  check.contains(done.log, "1 skipped")
  check.contains(done.log, "step 4: held-out loss not finite")
  local note = checkpoint.note(run_folder(place) .. "/last.state")
  local count = 0
  for _, row in ipairs(note.losses) do count = count + row.count end
  check.equal({ note.step, note.updates, count }, { 4, 3, 3 })
  check.equal(note.validation[2].loss, json.null)
  check.contains(place.read "out/lora.html", "<polyline")
  done = fine(place.run(text, { params = { steps = "6" } }))
  check.contains(done.log, "resuming at step 4")
  check.ok(done.log:find "step 6: held%-out loss %d")
end)

-- Copies the tiny base; change(name, bytes) -> bytes, or nil to leave a file out.
local function copy_base(place, change)
  for _, entry in ipairs(fs.list(BASE, true)) do
    local name = entry.path:sub(#BASE + 2)
    if entry.kind == "file" and name:find "/" and not name:find "golden" and not name:find "gradients" and not name:find "training" and not name:find "lora" then
      local bytes = change(name, fs.read(entry.path))
      if bytes then place.write("base/" .. name, bytes) end
    end
  end
end

on_device("a last step that is not finite is kept: the run is done and has its file", function()
  local place = new()
  local done = poisoned(4, 5, function() return fine(place.run(recipe())) end)
  check.contains(done.log, "1 skipped")
  check.equal(metadata(place, "out/zkr.safetensors").ss_steps, "4")
  check.equal(checkpoint.note(run_folder(place) .. "/last.state").step, 4)
end)

on_device("the LoRA of the last step that was removed is written again from the state", function()
  local place = new()
  fine(place.run(recipe()))
  local path = run_folder(place) .. "/step-000004.safetensors"
  local sum = metadata(place, "out/zkr.safetensors").sshs_model_hash
  for _, gone in ipairs { function() fs.remove(path) end, function() fs.write(path, fs.read(path):sub(1, 100)) end } do
    gone()
    local done = fine(place.run(recipe()))
    check.contains(done.log, "step-000004.safetensors was gone: written again from @/runs/")
    check.contains(done.log, "4 steps, known")
    check.ok(not done.log:find("nan", 1, true) and not done.log:find("resuming", 1, true), done.log)
    check.contains(done.log, "nothing to do")
    check.equal(check.ok(safetensors.open(path)).metadata.sshs_model_hash, sum)
  end
end)

on_device("a run to fewer steps than a state has is kept in a state of its own, goes on from it, and is known afterwards", function()
  local place, whole = new(), new()
  local text = recipe("", 'lora:export { to = "@/out/zkr.safetensors" }\nlora:report { to = "@/out/lora.html" }')
  fine(place.run(text, { params = { steps = "8" } }))
  local state = run_folder(place) .. "/last.state"
  local before = fs.read(state)
  local seven = { params = { steps = "7" } }
  local done = pressed(3, 5, function() return place.run(text, seven) end)
  check.equal(done.exit, 130)
  check.contains(done.text, "go on with: calotype run")
  check.contains(done.text .. done.log, "beyond steps = 7")
  check.equal(checkpoint.note(run_folder(place) .. "/until-000007.state").step, 3)
  done = fine(place.run(text, seven))
  check.contains(done.log, "resuming at step 3")
  check.contains(done.log, "7 steps (4 now), loss")
  fine(whole.run(text, seven))
  check.equal(metadata(place, "out/zkr.safetensors").sshs_model_hash, metadata(whole, "out/zkr.safetensors").sshs_model_hash)
  check.ok(fs.read(state) == before)
  done = fine(place.run(text, seven))
  check.contains(done.log, "7 steps, known")
  check.contains(done.log, "nothing to do: both outputs are unchanged")
  fs.remove(run_folder(place) .. "/until-000007.state") -- the file says what it is
  check.contains(fine(place.run(text, seven)).log, "nothing to do: both outputs are unchanged")
  local result = fine(place.run(text:gsub("out/lora.html", "out/other.html"), seven))
  check.contains(result.log, "other.html written")
  check.ok(not place.read "out/other.html":find("step 8", 1, true))
  check.contains(fine(place.run(text, { params = { steps = "8" } })).log, "8 steps, known")
end)

on_device("what Ctrl-C left out of a step is made up when the run goes on, also of the last step", function()
  local place, whole = new(), new()
  local text = recipe 'validate = photos, sample = { every = 2, prompts = { "a zkr" }, steps = 2 }'
  fine(whole.run(text))
  check.equal(pressed(2, 5, function() return place.run(text) end).exit, 130)
  local folder = run_folder(place)
  check.ok(not fs.stat(folder .. "/samples/step-000002.png"))
  local done = pressed(2, 5, function() return place.run(text) end) -- steps 3 and 4
  check.contains(done.log, "step 2: held-out loss")
  check.ok(fs.stat(folder .. "/samples/step-000002.png") and not fs.stat(folder .. "/samples/step-000004.png"))
  done = fine(place.run(text))
  check.contains(done.log, "step 4: held-out loss")
  check.contains(done.log, "4 steps, known")
  local a, b = checkpoint.note(folder .. "/last.state"), checkpoint.note(run_folder(whole) .. "/last.state")
  check.equal(a.validation, b.validation)
  for _, name in ipairs { "step-000002", "step-000004" } do
    check.ok(fs.read(("%s/samples/%s.png"):format(folder, name)) == fs.read(("%s/samples/%s.png"):format(run_folder(whole), name)), name)
  end
  check.ok(not fine(place.run(text)).log:find "held%-out")
end)

on_device("what is asked for after a run was done is made of its last step, and said", function()
  local place = new()
  fine(place.run(recipe()))
  local text = recipe('validate = photos, sample = { every = 2, prompts = { "a zkr" }, steps = 2 }'):gsub("every = 2, to", "every = 3, to")
  local done = fine(place.run(text))
  check.contains(done.log, "checkpoint.every, sample.cfg")
  check.contains(done.log, "validate changed after these steps were done: what lies before the last of them stays as it is")
  check.contains(done.log, "step 4: held-out loss")
  check.contains(done.log, "4 steps, known")
  local picture = run_folder(place) .. "/samples/step-000004.png"
  local first = check.ok(fs.read(picture))
  check.ok(not fs.stat(run_folder(place) .. "/samples/step-000002.png"))
  check.ok(not fine(place.run(text)).log:find "held%-out loss")
  fine(place.run((text:gsub("a zkr", "a door"))))
  check.ok(fs.read(picture) ~= first)
  check.contains(fine(place.run(recipe(), { params = { steps = "1" } })).log, "train_lora                1 step, loss")
end)

on_device("a base whose last timestep is noise alone learns with min_snr", function()
  local place = new()
  copy_base(place, function(name, bytes) -- two timesteps: every second step is without signal
    return name:find "^scheduler/" and bytes:gsub('"num_train_timesteps": 1000', '"num_train_timesteps": 2, "rescale_betas_zero_snr": true') or bytes
  end)
  local done = fine(place.run((recipe("min_snr = 5"):gsub(BASE:gsub("%p", "%%%0"), "@/base"))))
  check.ok(not done.log:find "skipped", done.log)
  check.equal(checkpoint.note(run_folder(place) .. "/last.state").updates, 4)
end)

on_device("a training that cannot fit is refused with the numbers before its first step", function()
  local place = new()
  local done = place.run(recipe("memory = 0.001"))
  check.equal(done.exit, 1)
  check.ok(done.text:find "training needs [%d.]+ MB %([%d.]+ kB for weights, .*, there may be 1.0 MB", done.text)
  check.ok(not fs.stat(place.path "runs"))
  done = place.run(recipe("batch = 4, memory = 0.0035"))
  check.ok(done.text:find "batch = %d needs about", done.text)
  done = place.run((recipe("memory = 0.04"):gsub("resolution = 16", "resolution = 160")))
  check.contains(done.text, "resolution = 16 needs about") -- what the base itself draws, though more would fit
end)

-- How many plans fn makes, and what it returns.
local function plans_made(fn)
  local methods, count = debug.getmetatable(opened).__index, 0
  local real = methods.plan
  methods.plan = function(...)
    count = count + 1
    return real(...)
  end
  local ok, result = pcall(fn)
  methods.plan = real
  if not ok then error(result, 0) end
  return count, result
end

on_device("memory is looked at before any is taken, for training and for drawing; the hint names what fits, and that fits", function()
  local place = new()
  fine(place.run(recipe(), { params = { steps = "1" } })) -- latents and text states are known from here on
  local count, done = plans_made(function() return place.run(recipe("batch = 4, memory = 0.0035")) end)
  check.equal({ count, done.exit }, { 0, 1 })
  local batch = tonumber(done.text:match "batch = (%d) needs about")
  check.ok(batch, done.text)
  fine(place.run(recipe(("batch = %d, memory = 0.0035"):format(batch)), { params = { steps = "1" } }))
  if batch < 3 then check.equal(place.run(recipe(("batch = %d, memory = 0.0035"):format(batch + 1))).exit, 1) end
  done = place.run(recipe("memory = 0.0012"))
  check.contains(done.text, "the pictures have 2 sizes, each with memory of its own: one size needs about")
  done = place.run((recipe("memory = 0.001, rank = 512"):gsub("rank = p.rank, ", "")))
  check.contains(done.text, "this base is too large for it: rank = 1 on 1 picture of 16 px with dtype = \"bf16\" still needs")
  done = place.run((recipe("memory = 0.004, rank = 512"):gsub("rank = p.rank, ", "")))
  local rank = done.text:match "rank = (%d+) needs about"
  fine(place.run((recipe(("memory = 0.004, rank = %s"):format(rank)):gsub("rank = p.rank, ", "")), { params = { steps = "1" } }))

  -- The samples are larger than what was trained.
  local text = recipe("memory = 0.004", 'lora:samples { prompts = { "a" }, seeds = { 0 }, steps = 1, width = 256, height = 256, to = "@/x.png" }')
  fine(place.run((text:gsub("width = 256, height = 256, ", ""))))
  count, done = plans_made(function() return place.run(text) end)
  check.equal({ count, done.exit }, { 0, 1 })
  check.contains(done.text, "a smaller size needs less")
end)

on_device("what the frozen parts of a base need is within memory, too", function()
  local encoded, folder, store = require "train.encoded", require "models.folder", require "native.store"
  local place = new()
  local model = check.ok(folder.open(BASE))
  local kept <close> = check.ok(store.open(tmp "store"))
  local job = { store = kept, device = opened, model = model, base = check.ok(encoded.fingerprints(kept, model)), memory = 1e4, texts = { "a door" },
    pictures = {} }
  for i, side in ipairs { 16, 32 } do
    local path = place.path(("photos/p%d.png"):format(i))
    job.pictures[i] = { path = path, sha256 = require("native.hash").file(path),
      bucket = { width = side, height = side, scale_width = side, scale_height = side, crop_x = 0, crop_y = 0 } }
  end
  local _, message, code = encoded.texts(job)
  check.ok(message:find "^the text encoder: it needs [%d.]+ MB, there may be 0.01 MB$", message)
  check.equal(code, "LIMIT")
  local function refused(size)
    _, message, code = encoded.latents(job)
    check.equal(code, "LIMIT")
    return tonumber(check.ok(message:match("^the VAE at " .. size .. ": it needs ([%d.]+) MB, there may be [%d.]+ MB$"), message)) * 1e6
  end
  local both = job.pictures
  job.pictures = { both[2] }
  local alone = refused "32x32"
  job.pictures = both
  job.memory = refused "16x16" + 1e3
  local second = refused "32x32"
  check.ok(second > alone) -- what the first plan works in is still there
  job.memory = second + 1e3
  check.equal(#check.ok(encoded.latents(job)), 2)
end)

on_device("a cut or foreign state is refused with its name and the next step, and stays", function()
  local place = new()
  fine(place.run(recipe()))
  local state = run_folder(place) .. "/last.state"
  local bytes = fs.read(state)
  for _, size in ipairs { 0, 7, 100, #bytes - 1 } do
    check.ok(fs.write(state, bytes:sub(1, size)))
    local done = place.run(recipe(), { params = { steps = "6" } })
    check.equal(done.exit, 1)
    check.contains(done.text, "the run cannot go on: ")
    check.contains(done.text, "last.state to begin anew")
    check.equal(#fs.read(state), size)
  end
end)

on_device("weights that are not finite, or cut, stop the run with the tensor's or the file's name", function()
  local place = new()
  copy_base(place, function(name, bytes)
    if name ~= "unet/diffusion_pytorch_model.safetensors" then return bytes end
    local t = safetensors.open(BASE .. "/" .. name).tensors["conv_in.weight"]
    return bytes:sub(1, t.offset + 8) .. string.pack("<f", 0 / 0) .. bytes:sub(t.offset + 13)
  end)
  local done = place.run((recipe():gsub(BASE:gsub("%p", "%%%0"), "@/base")))
  check.equal(done.exit, 1)
  check.contains(done.text, 'tensor "conv_in.weight": 1 of its numbers are not finite')
  check.ok(not fs.stat(place.path "runs"))
  copy_base(place, function(name, bytes) return name:find "^vae/.*safetensors" and bytes:sub(1, #bytes // 2) or bytes end)
  done = place.run((recipe():gsub(BASE:gsub("%p", "%%%0"), "@/base")))
  check.equal(done.exit, 2)
  check.contains(done.text, "vae/diffusion_pytorch_model.safetensors")
end)

on_device("another noise schedule or tokenizer makes another run, other samples and other drawn pictures; who wrote the schedule's file does not", function()
  local place = new()
  local function change(name, from, to)
    local changed = 0
    copy_base(place, function(file, bytes)
      if file ~= name then return bytes end
      bytes, changed = bytes:gsub(from, to, 1)
      return bytes
    end)
    check.equal(changed, 1, name)
  end
  local text = recipe('base = "@/base"', ([[
    images.drawn { base = "@/base", prompts = { "a door" }, width = 16, height = 16, steps = 2, to = "@/class" }:sheet { to = "@/sheet.png" }
    lora:samples { prompts = { "a zkr" }, seeds = { 0 }, steps = 2, to = "@/grid.png" }]])):gsub('base = "tests/golden/tiny", ', "")
  copy_base(place, function(_, bytes) return bytes end)
  fine(place.run(text))
  local function again(what)
    local done = fine(place.run(text))
    check.contains(done.log, "not resuming: the base's " .. what)
    check.contains(done.log, "1 drawn now")
    check.contains(done.log, "@/grid.png written")
    check.contains(fine(place.run(text)).log, "nothing to do")
  end
  change("scheduler/scheduler_config.json", '"beta_end": 0.012', '"beta_end": 0.013')
  again "scheduler"
  change("scheduler/scheduler_config.json", '"beta_end": 0.012', '"_diffusers_version": "9", "beta_end": 0.013')
  check.contains(fine(place.run(text)).log, "nothing to do")
  copy_base(place, function(_, bytes) return bytes end)
  fine(place.run(text))
  change("tokenizer/merges.txt", "\n[^\n]+\n$", "\n")
  again "tokenizer"
  place.write("base/tokenizer/special_tokens_map.json", '{ "pad_token": "!" }')
  again "tokenizer"
end)

on_device("the LoRA's report is written again when anything on it changes: the header, options that are no part of the run, steps, samples", function()
  local place = new()
  local function report(header, options, more)
    local text = recipe(options, 'lora:report { to = "@/out/lora.html" }'):gsub(":caption", (more or ""):gsub("%%", "%%%%") .. ":caption")
    return fine(place.run('recipe "r" { ' .. header .. " }\n" .. text)).log, place.read "out/lora.html"
  end
  report("", "memory = 1")
  check.contains(report("", "memory = 1"), "lora.html unchanged")
  for _, case in ipairs { { 'about = "two"', "memory = 1", "", '<p class="lead">two</p>' }, { 'version = "7"', "memory = 1", "", "<td>7</td>" },
    { "", "memory = 2", "", "<td>2</td>" }, { "", "device = 'cpu'", "", "cpu" }, { "", "device = 'cpu'", ":take(5)", "take" } } do
    local said, page = report(case[1], case[2], case[3])
    check.contains(said, "4 steps, known")
    check.contains(said, "lora.html written")
    check.contains(page, case[4])
  end
  place.write(run_folder(place):sub(#place.folder + 2) .. "/samples/step-000002.png", recipes.picture { width = 8, height = 8 }:encode "png")
  local options = "device = 'cpu'"
  check.contains(report("", options, ":take(5)"), "lora.html written")
  place.write(run_folder(place):sub(#place.folder + 2) .. "/samples/step-000002.png", recipes.picture { seed = 2, width = 8, height = 8 }:encode "png")
  check.contains(report("", options, ":take(5)"), "lora.html written")
  check.contains(report("", options, ":take(5)"), "lora.html unchanged")
end)

local function drawn(options, rest)
  return ([[local class = images.drawn { base = "%s", prompts = { "a photo of a door", "a red house" }, width = 16, height = 16, steps = 2, to = "@/class"%s }
%s]]):format(BASE, options and ", " .. options or "", rest or 'class:sheet { to = "@/out/sheet.png" }')
end

-- The tiny base with one tensor of a part so large that what it makes has no end.
local function overflowing(place, part, tensor, number)
  copy_base(place, function(name, bytes)
    if name:match "^[^/]+" ~= part or not name:find "safetensors$" then return bytes end
    local t = check.ok(safetensors.open(BASE .. "/" .. name).tensors[tensor], tensor)
    return bytes:sub(1, t.offset) .. string.pack("<f", number or 3e38):rep(t.size // 4) .. bytes:sub(t.offset + t.size + 1)
  end)
end

on_device("numbers without end are refused with what they are of, where they stand and what to do; none is kept or becomes black", function()
  local place = new()
  local text = recipe("base = '@/base'"):gsub('base = "tests/golden/tiny", ', "")
  local class = drawn("count = 2"):gsub("tests/golden/tiny", "@/base")
  local function says(run, ...)
    local done = place.run(run)
    check.equal(done.exit, 1, done.log)
    for _, part in ipairs { ... } do check.contains(done.text, part) end
    check.ok(not fs.stat(place.path "runs") and not fs.stat(place.path "class"))
  end
  overflowing(place, "vae", "quant_conv.weight")
  says(text, "p1.png: the VAE's latents are not finite, number ", " of 512; the base may be damaged: get its folder again")
  overflowing(place, "vae", "quant_conv.weight", 6e4)
  says((text:gsub("lr = 1e%-2", '%0, dtype = "f16"')), "p1.png: the VAE's latents are not finite", 'dtype = "bf16" has more room')
  overflowing(place, "text_encoder", "text_model.final_layer_norm.weight")
  says(text, '"": the text encoder\'s states are not finite, number ', "of 1848; the base may be damaged")
  says(class, "the pictures were not drawn", "the text encoder's states are not finite")
  overflowing(place, "unet", "conv_out.weight")
  says(class, '"a photo of a door", seed 0: after 2 steps the latents are not finite, number 1 of 256; the base may be damaged')
  overflowing(place, "vae", "decoder.conv_out.weight")
  says(class, '"a photo of a door", seed 0: image: ', " of the pixel at ")
  place.write("base/vae/diffusion_pytorch_model.safetensors", fs.read(BASE .. "/vae/diffusion_pytorch_model.safetensors"))
  check.contains(fine(place.run(class)).log, "2 drawn now")
end)

on_device("a sample that is not finite does not end a training, and is said; :samples refuses it", function()
  local place = new()
  overflowing(place, "vae", "decoder.conv_out.weight")
  local native, warned = require "native.log", {}
  local say = native.say
  native.say = function(kind, line) if kind == "warning" then warned[#warned + 1] = line end end
  local text = recipe("base = '@/base', sample = { every = 2, prompts = { 'a zkr' }, steps = 1 }",
    'lora:samples { prompts = { "a zkr" }, seeds = { 3 }, strength = { 1 }, steps = 2, to = "@/grid.png" }'):gsub('base = "tests/golden/tiny", ', "")
  local ok, done = pcall(place.run, text)
  native.say = say
  check.ok(ok, done)
  check.equal(done.exit, 1)
  check.contains(done.log, "train_lora                4 steps, loss")
  check.contains(table.concat(warned, "\n"), 'step 2: no sample: "a zkr", seed 0, strength 1: image: ')
  check.contains(done.text, "the samples were not drawn")
  check.contains(done.text, '"a zkr", seed 3, strength 1: image: ')
  check.contains(done.text, "the LoRA learned too fast: an earlier checkpoint or a lower strength may draw")
  local again = place.run(text)
  check.contains(again.log, "4 steps, known")
  check.ok(not again.log:find("latents:", 1, true), "a sample that cannot be drawn is tried again")
  check.ok(not fs.stat(place.path "grid.png"))
end)

on_device("no path, caption or text given to a parameter is in the metadata; the author only as the header names it", function()
  local place = new()
  local text = recipe("", 'lora:export { to = p.to .. "/zkr.safetensors" }'):gsub("rank = { 2, min = 1 } }", [[rank = { 2, min = 1 },
    to = { "@/out", kind = "folder" }, word = { "Anna Karenina" }, kind = { "small", kind = "choice", choices = { "small", "large" } }, flip = { true } }]])
  local header = 'recipe "x" { author = "A. Nonym" }\n'
  for _, named in ipairs { false, true } do
    fine(place.run(named and header .. text or text, { params = { word = "Maria Stuart" }, fresh = named }))
    local m = metadata(place, "out/zkr.safetensors")
    check.equal(json.decode(m["calotype.params"]), { steps = 4, rank = 2, kind = "small", flip = true })
    check.equal(m["modelspec.author"], named and "A. Nonym" or nil)
    for key, value in pairs(m) do
      for _, part in ipairs { "Anna", "Maria", "a photo of", place.folder, "/out" } do check.ok(not value:find(part, 1, true), key .. " tells " .. part) end
    end
  end
end)

on_device("metadata say precision and prediction in the words that other programs know", function()
  local place = new()
  for dtype, word in pairs { f16 = "fp16", bf16 = "bf16", f32 = "no" } do
    fine(place.run((recipe(('dtype = "%s"'):format(dtype))), { params = { steps = "1" } }))
    check.equal(metadata(place, "out/zkr.safetensors").ss_mixed_precision, word)
  end
  for kind, word in pairs { v_prediction = "v", sample = "sample", epsilon = "epsilon" } do
    copy_base(place, function(name, bytes) return name:find "^scheduler/" and bytes:gsub('"epsilon"', '"' .. kind .. '"') or bytes end)
    fine(place.run((recipe("min_snr = 5"):gsub(BASE:gsub("%p", "%%%0"), "@/base")), { params = { steps = "1" }, fresh = true }))
    local m = metadata(place, "out/zkr.safetensors")
    check.equal({ m["modelspec.prediction_type"], m.ss_mixed_precision }, { word, "no" })
  end
end)

on_device("no plan stays open: after a run that ends well, and after refusals at every place", function()
  local place, devices, open = new(), {}, device.open
  local function plans_after(text)
    collectgarbage "stop" -- what is closed is closed by us
    device.open = function(...)
      local made, message, code = open(...)
      devices[#devices + 1] = made
      return made, message, code
    end
    local ran, done = pcall(place.run, text)
    device.open = open
    collectgarbage "restart"
    check.ok(ran, done)
    check.equal(tostring(devices[#devices]), "device (closed)", done.text) -- the command closed it, and there was no plan that kept it
    return done
  end
  local text = recipe("base = '@/base', validate = held, sample = { every = 2, prompts = { 'a zkr' }, steps = 1 }",
    'lora:samples { prompts = { "a zkr" }, seeds = { 0 }, strength = { 1 }, steps = 1, to = "@/grid.png" }'):gsub('base = "tests/golden/tiny", ', "")
    :gsub("local lora = photos", "local train, held = photos:split { held_out = 1 }\nlocal lora = train")
  local class = drawn("count = 1"):gsub("tests/golden/tiny", "@/base")
  local function whole() copy_base(place, function(_, bytes) return bytes end) end
  local function refused(what, said) check.contains(plans_after(what).text, said) end
  overflowing(place, "vae", "quant_conv.weight")
  refused(text, "the VAE's latents")
  overflowing(place, "text_encoder", "text_model.final_layer_norm.weight")
  refused(text, "the text encoder's states")
  overflowing(place, "unet", "conv_in.weight", 0 / 0)
  refused(text, 'tensor "conv_in.weight"')
  refused(class, 'tensor "conv_in.weight"')
  whole()
  refused((text:gsub("lr = 1e%-2", "%0, memory = 0.0015")), "training needs")
  overflowing(place, "vae", "decoder.conv_out.weight")
  refused(class, "the pictures were not drawn")
  refused(text, "the samples were not drawn")
  overflowing(place, "vae", "decoder.conv_out.weight", 0 / 0)
  refused(class, 'tensor "decoder.conv_out.weight"')
  whole()
  fine(plans_after(class))
  fine(plans_after(text))
  place.write("noise.safetensors", "x")
  refused((text:gsub("seeds = {", 'noise = "@/noise.safetensors", %0')), "noise.safetensors")
  refused((text:gsub("seeds = {", "width = 4096, height = 4096, %0"):gsub("lr = 1e%-2", "%0, memory = 0.02")), "drawing needs")
end)

-- What a recipe counts in the pictures it draws -------------------------------------------------------------------------

local function counting(fn, more)
  return recipe("", ([[local LIMIT = 100
local function grey(picture)
  local sum, bytes = 0, picture:gray():bytes()
  for i = 1, #bytes do sum = sum + bytes:byte(i) end
  return sum / #bytes
end
local seen = {}
lora:report { to = "@/out/lora.html" }
lora:samples { prompts = { "a [trigger]", "a door" }, seeds = { 0, 1, 2 }, strength = { 0, 1, 0.5 }, steps = 2, columns = 2, to = "@/out/grid.png",
  counting = "bright ones", count = %s%s }]]):format(fn, more or ""))
end

on_device("a function counts in the samples what it looks for; the run's last line tells it, also when everything is known", function()
  local place = new()
  local text = counting "function(picture, how) return grey(picture) > LIMIT and how.seed < 2 and how.prompt:find 'zkr' and how.strength <= 1 end"
  local done = fine(place.run(text))
  local shown = done.out:match "^bright ones: (without LoRA %d of 6, with LoRA %d of 6, LoRA at 0.5 %d of 6)$"
  check.ok(shown, done.out)
  for count in shown:gmatch "(%d) of" do check.ok(tonumber(count) <= 2) end -- of the first prompt, two seeds
  local grid = image.load(place.path "out/grid.png")
  local page = place.read "out/lora.html" -- the report stands before :samples in the recipe, and has the grid all the same
  check.contains(page, "bright ones: " .. shown)
  check.contains(page, 'alt="grid.png" src="data:image/png')
  local again = fine(place.run(text))
  check.contains(again.log, "nothing to do: both outputs are unchanged")
  check.equal(again.out, done.out)
  -- Another function looks again; seeds go on below each other: 2 columns make 2 lines of each of the 6 rows.
  local all = fine(place.run(counting "function() return true end"))
  check.equal(all.out, "bright ones: without LoRA 6 of 6, with LoRA 6 of 6, LoRA at 0.5 6 of 6")
  check.contains(all.log, "grid.png written")
  check.equal(image.load(place.path "out/grid.png"):height(), grid:height())
  check.ok(grid:height() > 12 * (16 + 20))
  -- A counted picture has a frame.
  local framed = image.load(place.path "out/grid.png")
  local x, y = 5, 6 + 18 - 1
  check.ok(select(2, framed:get(x, y)) > 100 + framed:get(x, y), "no green frame")
end)

on_device("a grid that was stopped goes on with the cells that it had; another seed draws only its own", function()
  local place = new()
  local drawing, script = require "train.sampler", require "native.script"
  local real, interrupted, pictures = drawing.new, script.interrupted, 0
  local _ <close> = setmetatable({}, { __close = function() drawing.new, script.interrupted = real, interrupted end })
  local stop
  function drawing.new(options)
    local it, message, code = real(options)
    local draw = it and it.draw
    function it.draw(self, row)
      pictures = pictures + 1
      if pictures == stop then script.interrupted = function() return 1 end end
      return draw(self, row)
    end
    return it, message, code
  end
  local function grid(seeds, fresh)
    pictures = 0
    local done = place.run(recipe("", ([[lora:samples { prompts = { "a [trigger]", "a door" }, seeds = { %s }, strength = { 0, 1 }, steps = 2, to = "@/out/grid.png",
      count = function() return true end, pictures = "@/out/each" }]]):format(seeds)), { fresh = fresh })
    script.interrupted = interrupted
    return done, pictures
  end
  stop = 5
  local done, count = grid "0, 1"
  check.equal({ done.exit, count }, { 130, 5 })
  check.contains(done.text, "those drawn are kept")
  check.ok(not fs.stat(place.path "out/grid.png") and not fs.stat(place.path "out/each"))
  stop = nil
  done, count = grid "0, 1"
  check.equal({ fine(done).exit, count }, { 0, 3 })
  check.contains(done.log, "8 pictures, 5 of them drawn before")
  local went_on, one = place.read "out/grid.png", place.read "out/each/2-2-2.png"
  done, count = grid "1, 0, 2"
  check.equal({ fine(done).exit, count }, { 0, 4 })
  check.ok(place.read "out/each/2-2-1.png" == one, "the seed that was second")
  fs.remove(place.path "out/grid.png")
  done, count = grid "0, 1"
  check.equal({ fine(done).exit, count, place.read "out/grid.png" == went_on }, { 0, 0, true })
  place = new() -- from nothing, without a stop: the same bytes
  done, count = grid "0, 1"
  check.equal({ fine(done).exit, count, place.read "out/each/2-2-2.png" == one }, { 0, 8, true })
  done, count = grid("0, 1", true) -- --fresh asks nothing that is kept
  check.equal({ fine(done).exit, count }, { 0, 8 })
end)

on_device("a grid of a megabyte of prompt and of what is counted is drawn, both cut to what fits", function()
  local place = new()
  local function grid(prompts, text)
    return recipe("", ([[lora:samples { prompts = { %s }, seeds = { 0 }, steps = 1, to = "@/out/grid.png",
  counting = %s, count = function() return true end }]]):format(prompts, text))
  end
  fine(place.run(grid('("a zkr "):rep(170000), ("é"):rep(100000)', '("is shown "):rep(100000)')))
  check.equal(image.load(place.path "out/grid.png"):width(), 240)
end)

on_device("a count that fills the memory is told with the limit and what raises it", function()
  local done = new().run(counting "function(picture) local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end end")
  check.equal(done.exit, 1)
  check.contains(done.text, ":samples on without LoRA, seed 0: not enough memory")
  check.contains(done.text, "CALOTYPE_MEMORY=1024 in the environment raises that")
end)

on_device("a count that is not a pure function of the picture, or breaks, is told with its place", function()
  local place = new()
  local done = place.run(counting "function(picture) seen[#seen + 1] = picture:width() return true end")
  check.equal(done.exit, 1)
  check.contains(done.text, "'count' of :samples changes what it closed over")
  check.ok(not fs.stat(place.path "out/grid.png"))
  done = place.run(counting "function(picture) return picture.nothing.there end")
  check.equal(done.exit, 1)
  check.contains(done.text, ":samples on without LoRA, seed 0: ")
  check.ok(not fs.stat(place.path "out/grid.png"))
end)

on_device("samples begin with the noise of a file, and one that does not fit is refused with both shapes", function()
  local place, weights = new(), require "native.weights"
  local function noise(name, shape)
    local size = 4
    for _, n in ipairs(shape) do size = size * n end
    assert(weights.save(place.path "noise.safetensors", { { name = name, shape = shape, bytes = require("native.hash").random(1):normal(size // 4) } }, { dtype = "f32" }))
  end
  local text = recipe("", 'lora:samples { prompts = { "a [trigger]" }, seeds = { 0, 1 }, steps = 2, noise = "@/noise.safetensors", to = "@/grid.png", pictures = "@/each" }')
  local function says(part)
    local done = place.run(text)
    check.equal(done.exit, 1)
    check.contains(done.text, part)
    check.contains(done.text, "recipe.lua:4:")
    check.ok(not fs.stat(place.path "grid.png") and not fs.stat(place.path "each"))
  end
  says "noise.safetensors"
  noise("other", { 2, 4, 8, 8 })
  says 'has no tensor "noise" in F32 with four sizes'
  noise("noise", { 2, 4, 8, 4 })
  says "noise is [2, 4, 8, 4]; [2 or more, 4, 8, 8] are needed"
  noise("noise", { 1, 4, 8, 8 })
  says "noise is [1, 4, 8, 8]; [2 or more, 4, 8, 8] are needed"
  noise("noise", { 2, 4, 8, 8 })
  local whole = place.read "noise.safetensors"
  local offset, shape = safetensors.open(place.path "noise.safetensors").tensors.noise.offset, { 2, 4, 8, 8 }
  local at = offset + 4 * (((1 * shape[2] + 2) * shape[3] + 3) * shape[4] + 5)
  place.write("noise.safetensors", whole:sub(1, at) .. string.pack("<f", 0 / 0) .. whole:sub(at + 5))
  says "noise.safetensors: noise[1, 2, 3, 5] is not finite, counted from 0; make the file again"
  place.write("noise.safetensors", whole)
  fine(place.run(text))
  check.equal(#fs.list(place.path "each"), 4)
  check.contains(fine(place.run(text)).log, "nothing to do")
  noise("noise", { 3, 4, 8, 8 })
  check.contains(fine(place.run(text)).log, "grid.png written")
end)

for name, rates in pairs { frozen = "", trained = "lr = { unet = 1e-2, text = 5e-3 }, " } do
  on_device(("clip_skip 2 trains and draws with a %s text encoder, and is another run than 1"):format(name), function()
    local place = new()
    local function go(skip)
      local text = recipe(("%ssample = { every = 2, prompts = { 'a zkr' }, steps = 1 }, clip_skip = %d"):format(rates, skip),
        'lora:export { to = "@/out/zkr.safetensors" } lora:samples { prompts = { "a zkr" }, seeds = { 0 }, strength = { 1 }, steps = 1, to = "@/grid.png" }')
      fine(place.run(rates == "" and text or (text:gsub("lr = 1e%-2, (checkpoint.*lr = {)", "%1"))))
      return metadata(place, "out/zkr.safetensors"), safetensors.open(place.path "out/zkr.safetensors").tensors
    end
    local one = go(1)
    local two, tensors = go(2)
    check.equal({ one.ss_clip_skip, two.ss_clip_skip }, { "None", "2" })
    check.ok(one.sshs_model_hash ~= two.sshs_model_hash)
    local blocks = {}
    for key in pairs(tensors) do blocks[key:match "^lora_te_text_model_encoder_layers_(%d)" or "unet"] = true end
    check.equal(blocks, name == "frozen" and { unet = true } or { unet = true, ["0"] = true })
  end)
end

on_device("cooldown lets lr fall to 0 at the end, and ties a run to its number of steps", function()
  local place = new()
  fine(place.run(recipe "cooldown = 2"))
  local m = metadata(place, "out/zkr.safetensors")
  check.equal({ m.ss_lr_scheduler, m.ss_lr_decay_steps }, { "warmup_stable_decay", "2" })
  local flat = new()
  fine(flat.run(recipe()))
  check.equal(metadata(flat, "out/zkr.safetensors").ss_lr_scheduler, "constant")
  check.ok(m.sshs_model_hash ~= metadata(flat, "out/zkr.safetensors").sshs_model_hash)
  local done = fine(place.run(recipe "cooldown = 2", { params = { steps = "6" } }))
  check.contains(done.log, "not resuming: steps 4 -> 6 (recipe.lua:3)")
end)

-- What `check` finds: nothing of this needs a device ---------------------------------------------------------------------

local function finds(place, text, part, exit)
  local done = place.check(text)
  if exit == 0 then
    check.equal(done.exit, 0, done.text)
    check.contains(done.out, part)
  else
    check.equal(done.exit, exit or 2, done.text .. done.out)
    check.contains(done.text, part)
  end
  return done
end

test("check tells of a trigger that is a word or very long, captions that lack it and prompts that lack it", function()
  local place = new()
  check.ok(not finds(place, recipe(), "fine", 0).out:find "the trigger")
  finds(place, (recipe():gsub('trigger = "zkr"', 'trigger = "dog"')), 'the trigger "dog" is a word that the base may know', 0)
  finds(place, (recipe():gsub('trigger = "zkr"', 'trigger = "xqzvkwjxqz"')), 'the trigger "xqzvkwjxqz" takes 10 of the ', 0)
  place.write("photos/p1.txt", "a zkr")
  place.write("photos/p2.txt", "a red door")
  local done = finds(place, recipe 'sample = { prompts = { "a door" } }', "1 of 2 captions beside the pictures lacks the trigger", 0)
  check.contains(done.out, "no prompt of 'sample' has the trigger")
  finds(place, (recipe():gsub(', %[trigger%]" }, trigger = "zkr"', '" }'):gsub("%[trigger%]", "x")), "no trigger is declared: nothing will call", 0)
end)

test("check finds a base that lacks files or is none", function()
  local place = new()
  local function with(base) return (recipe():gsub(BASE:gsub("%p", "%%%0"), base)) end
  finds(place, with "@/none", "there is no base @/none")
  finds(place, with "@/photos", "@/photos is no base")
  finds(place, with "@/photos/p1.png", "is a file")
  for name, part in pairs { ["scheduler/scheduler_config.json"] = "lacks scheduler", ["tokenizer/merges.txt"] = "merges.txt", ["vae/config.json"] = "config.json",
    ["unet/diffusion_pytorch_model.safetensors"] = "no diffusion_pytorch_model.safetensors" } do
    local other = recipes.new(tmp "place")
    for i = 1, 2 do other.photo(("p%d.png"):format(i), { seed = i, width = 40, height = 40 }) end
    copy_base(other, function(file, bytes) return file ~= name and bytes or nil end)
    finds(other, with "@/base", part)
  end
  local other = new()
  copy_base(other, function(file, bytes) return file == "unet/config.json" and bytes:gsub('"silu"', '"mish"') or bytes end)
  finds(other, with "@/base", 'act_fn is "mish"; calotype knows silu')
end)

test("check finds options that cannot be, with the place inside a table of options", function()
  local place = new()
  finds(place, (recipe():gsub("resolution = 16", "resolution = 20")), "resolution 20: with this base sides are multiples of 8")
  finds(place, (recipe():gsub("resolution = 16", "resolution = 64")), "recipe.lua:3: resolution 64: this base draws 16 x 16", 0)
  check.ok(not finds(place, (recipe():gsub("resolution = 16", "resolution = 32")), "fine", 0).out:find "this base draws")
  local done = finds(place, recipe 'sample = { evry = 3, prompts = { "x" } }', "unknown option 'evry' for 'sample' of :train_lora")
  check.contains(done.text, "did you mean 'every'?")
  check.ok(done.text:find "recipe.lua:3:%d+")
  finds(place, recipe "sample = {}", "'sample' of :train_lora needs 'prompts'")
  finds(place, recipe "sample = { prompts = {} }", "'sample' has no prompts")
  done = finds(place, recipe 'sample = { prompts = { "x" }, steps = 0 }', "option 'steps' of 'sample' of :train_lora is 0; it must be 1 to 1000")
  check.contains(done.text, "^") -- points at the inner steps, not at those of the training
  local line, caret = done.text:match "\n%s+3 | ([^\n]*)\n%s+| ([^\n]*)"
  check.equal(line:sub(caret:find "%^", caret:find "%^"), "0")
  finds(place, recipe "targets = 'attn'", 'it can be "transformers", "attention" or "everything"')
  finds(place, recipe "validate = 3", "option 'validate' of :train_lora takes a set of pictures, not 3")
  finds(place, (recipe():gsub("lr = 1e%-2", "lr = { unet = 0 }")), "nothing is learned with lr 0")
  finds(place, (recipe():gsub("lr = 1e%-2", "lr = 'fast'")), "option 'lr' of :train_lora takes a number or { unet, text }, not \"fast\"")
  finds(place, recipe("cooldown = 9"), "cooldown 9: there are 4 steps")
  finds(place, recipe("", 'lora:samples { prompts = { "x" }, to = "@/x.png", count = 3 }'), "option 'count' of lora:samples takes a function, not 3")
  finds(place, recipe("clip_skip = 5"), "clip_skip 5: the text encoder has 2 blocks")
  finds(place, recipe("", 'lora:export { to = "@/x.zip" }'), "is not .safetensors")
  local function without(options, rest)
    return ('images "@/photos":train_lora { base = "%s", resolution = 16%s }%s'):format(BASE, options, rest or ':export { to = "@/x.safetensors" }')
  end
  for text, part in pairs { [without ', sample = { prompts = { "[trigger]" } }'] = "a prompt has", [without ', checkpoint = { to = "@/[trigger]" }'] = "option 'to' of 'checkpoint' has",
    [without("", ':samples { prompts = { "a [trigger]" }, to = "@/x.png" }')] = "a prompt has", [without("", ':export { to = "@/[trigger].safetensors" }')] = "option 'to' of :export has" } do
    check.contains(finds(place, text, part .. " [trigger], but no trigger is declared").text, 'declare it: :caption { trigger = "..." }')
  end
  finds(place, recipe("", 'lora:samples { prompts = { "x" }, to = "@/x.gif" }'), "neither .png nor .jpg")
  finds(place, recipe("", 'lora:samples { prompts = { "x" }, to = "@/x.png", width = 12 }'), "width 12: with this base sides are multiples of 8")
  finds(place, recipe("", 'lora:dedupe {}'), ":dedupe works on pictures; this is a LoRA")
  finds(place, recipe("", 'photos:samples { prompts = { "x" }, to = "@/x.png" }'), ":samples works on a LoRA; this is pictures")
  finds(place, recipe("", 'photos:train_lora { base = "' .. BASE .. '", resolution = 16, validate = lora } :export { to = "@/x.safetensors" }'),
    "takes a set of pictures, not a LoRA")
  finds(place, recipe("", 'lora:exprt {}'), "did you mean ':export'?")
  finds(place, 'recipe "x" { allow = { read = { "@/photos", "' .. BASE .. '" }, write = { "@/out", "@/runs" } } }\n' .. recipe(),
    "does not allow it to use the device", 3)
end)

-- Ctrl-C, as a person presses it -----------------------------------------------------------------------------------------

local pipe = io.popen "readlink /proc/$PPID/exe"
local program = pipe:read "l":gsub("/tests/host$", "/calotype")
pipe:close()

on_device("Ctrl-C keeps the step, ends with 130 and the command to go on; the rest is bit for bit", function()
  local whole, place = new(), new()
  local text = recipe("batch = 2"):gsub("every = 2", "every = 1000")
  fine(whole.run(text, { params = { steps = "300" } }))
  -- The finger waits for a checkpoint: then it is among the steps.
  place.write("stopped.lua", (text:gsub("@", place.folder):gsub("every = 1000", "every = 20")))
  local command = [[CALOTYPE_STDLIB=stdlib CALOTYPE_STORE=F/store P run F/stopped.lua -p steps=100000 2>&1 & p=$!
    n=0; while [ $n -lt 2400 ] && kill -0 $p 2>/dev/null && ! ls F/runs/*/step-000020.safetensors >/dev/null 2>&1; do sleep 0.05; n=$((n + 1)); done
    kill -INT $p; wait $p; echo "exit $?"]]
  local out = io.popen((command:gsub("F/", place.folder .. "/"):gsub("P run", program .. " run")))
  local said = out:read "a"
  out:close()
  check.contains(said, "exit 130")
  local step = tonumber(said:match "stopped: after step (%d+) of 100000")
  check.ok(step, said)
  check.contains(said, ("go on with: calotype run %s/stopped.lua -p steps=100000"):format(place.folder))
  check.equal(checkpoint.note(run_folder(place) .. "/last.state").step, step)
  if step >= 300 then skip "the machine was faster than the finger" end
  place.write("recipe.lua", "")
  local done = fine(place.run(text, { params = { steps = "300" } }))
  check.contains(done.log, ("resuming at step %d "):format(step))
  check.equal(metadata(place, "out/zkr.safetensors").sshs_model_hash, metadata(whole, "out/zkr.safetensors").sshs_model_hash)
end)

-- The device promises more than the system gives: the promise is the machine's free memory, the system's limit is this process's.
on_device("an allocation that fails on the device ends the run with one sentence and the next step, and leaves nothing half-written", function()
  if program:find "asan" then skip "the address sanitizer needs more address space than the test leaves" end
  local place = new()
  place.write("large.lua", (recipe("batch = 1024, device = 'cpu'"):gsub("resolution = 16", "resolution = 64"):gsub("@", place.folder)))
  local line = "ulimit -v 1500000; POCL_MAX_PTHREAD_COUNT=2 CALOTYPE_THREADS=2 CALOTYPE_STDLIB=stdlib CALOTYPE_STORE=F/store P run F/large.lua 2>&1; echo \"exit $?\""
  local out = io.popen((line:gsub("F/", place.folder .. "/"):gsub("P run", program .. " run")))
  local said = out:read "a"
  out:close()
  if said:find "training needs" then skip "the machine has too little memory to promise it" end
  check.contains(said, "exit 1\n")
  check.ok(said:find "error: what is computed: not enough memory for %d+ more bytes", said)
  check.contains(said, "a smaller resolution, batch or rank needs less")
  check.equal(select(2, said:gsub("error: ", "")), 1)
  check.ok(not fs.stat(place.path "runs") and not fs.stat(place.path "out"))
  fine(place.run((recipe():gsub("resolution = 16", "resolution = 64")), { params = { steps = "1" } })) -- what was encoded before is known
end)

test("show tells of a LoRA what it is", function()
  if not opened then skip(why) end
  local place = new()
  fine(place.run(recipe()))
  local function text(path, all)
    local lines = {}
    check.ok(require("recipe.show").path(path, function(line) lines[#lines + 1] = line end, all))
    return table.concat(lines, "\n"), #lines
  end
  local shown, count = text(place.path "out/zkr.safetensors")
  check.ok(count <= 16, shown)
  check.contains(shown, require "size_text"(fs.stat(place.path "out/zkr.safetensors").size))
  check.ok(shown:find "%s36  F16 +[%d.]+ kB  lora_unet_down_blocks_0\n" or shown:find "lora_unet_down_blocks_0", shown)
  check.contains(shown, "--all lists 252 tensors and ")
  check.ok(not shown:find "ss_", shown)
  local all = text(place.path "out/zkr.safetensors", true)
  check.contains(all, "ss_network_dim = 2")
  check.contains(all, "lora_unet_mid_block_attentions_0_proj_in.lora_down.weight")
  local run = run_folder(place)
  check.contains(text(run), "checkpoints of a training: 2 LoRAs, step 2 to 4; it goes on from step 4")
  check.contains(text(run .. "/last.state"), "parameters and moments after step 4")
  fs.remove(run .. "/last.state")
  check.contains(text(run), "without last.state it does not go on")
  check.contains(shown, 'a LoRA "zkr" for stable-diffusion-v1/lora: rank 2, alpha 2, 84 layers')
  check.contains(shown, 'its trigger is "zkr"')
  check.contains(shown, "4 steps on 5 pictures with the base tiny")
  check.ok(json.decode(metadata(place, "out/zkr.safetensors")["calotype.training"]).rank == 2)
end)

-- Pictures that a base draws by itself -----------------------------------------------------------------------------------

on_device("a base draws pictures with their prompts as captions; a picture drawn is never drawn again", function()
  local place = new()
  local text = drawn "count = 3, seed = 5"
  local done = fine(place.run(text))
  check.contains(done.log, "3 pictures, 3 drawn now: @/class")
  check.equal(#fs.list(place.path "class"), 3)
  check.equal(image.load(place.path "class/drawn-0001.png"):width(), 16)
  check.contains(fine(place.run(text)).log, "nothing to do")
  local first = place.read "class/drawn-0001.png"
  check.contains(fine(place.run(drawn "count = 4, seed = 5")).log, "4 pictures, 1 drawn now")
  check.ok(place.read "class/drawn-0001.png" == first and place.read "class/drawn-0002.png" ~= first)
  check.contains(fine(place.run(drawn "count = 4, seed = 6, cfg = 1")).log, "4 drawn now")
  check.ok(place.read "class/drawn-0001.png" ~= first)
  fs.remove(place.path "class/drawn-0001.png") -- comes back without being drawn
  check.contains(fine(place.run(drawn "count = 3, seed = 5")).log, "3 pictures, all known")
  check.ok(place.read "class/drawn-0001.png" == first)
  check.equal(#fs.list(place.path "class"), 3) -- the fourth went
end)

on_device("drawn pictures are joined to those with the concept, keep their captions, and are told apart in the LoRA", function()
  local place = new()
  local done = fine(place.run(drawn("count = 2", [[
    local photos = images "@/photos" :caption { with = template { text = "a photo of {stem}, [trigger]" }, trigger = "zkr" }
    local all = images.join { photos, class:weight(0.5) }
    all:expect { count = 7 }
    all:export { as = "sidecars", to = "@/side" }
    local lora = all:train_lora { base = "]] .. BASE .. [[", resolution = 16, rank = 2, steps = 2, targets = "everything", checkpoint = { to = "@/runs" } }
    lora:export { to = "@/out/zkr.safetensors" }
  ]])))
  check.equal(place.read "side/drawn-0001.txt", "a photo of a door\n")
  check.contains(place.read "side/p1.txt", "zkr")
  local m = metadata(place, "out/zkr.safetensors")
  check.equal({ m.ss_num_train_images, m.ss_num_reg_images, m["calotype.captions_by"] }, { "5", "2", "drawn tiny, template" })
  check.equal(json.decode(m.ss_network_args), { conv_dim = "2", conv_alpha = "2" })
  check.contains(done.log, "7 pictures: 5 + 2")
end)

on_device("Ctrl-C between two drawn pictures keeps those that are drawn", function()
  local place = new()
  place.write("stopped.lua", (drawn("count = 100000"):gsub("@", place.folder)))
  local line = [[CALOTYPE_STDLIB=stdlib CALOTYPE_STORE=F/store P run F/stopped.lua 2>&1 & p=$!
    n=0; while [ $n -lt 2400 ] && kill -0 $p 2>/dev/null && [ $(find F/store -path '*blobs*' -type f 2>/dev/null | wc -l) -lt 5 ]; do sleep 0.05; n=$((n + 1)); done
    kill -INT $p; wait $p; echo "exit $?"]]
  local out = io.popen((line:gsub("F/", place.folder .. "/"):gsub("P run", program .. " run")))
  local said = out:read "a"
  out:close()
  check.contains(said, "exit 130")
  check.contains(said, "those drawn are kept")
  check.ok(not fs.stat(place.path "class"))
  check.contains(fine(place.run(drawn "count = 2")).log, "2 pictures, all known")
end)

test("a base's own size is what its config says: a side, height and width, or 64", function()
  local place = new()
  local text = drawn():gsub(BASE:gsub("%p", "%%%0"), "@/base"):gsub("width = 16, height = 16, ", "")
  for size, found in pairs { ["8"] = { 16, 16 }, ["[8, 16]"] = { 32, 16 }, null = { 128, 128 } } do
    copy_base(place, function(name, bytes) return name == "unet/config.json" and bytes:gsub('"sample_size": 8', '"sample_size": ' .. size) or bytes end)
    finds(place, text, "1 output", 0)
    check.equal({ require("models.sides").own(require("models.folder").open(place.path "base")) }, found, size)
  end
end)

test("check finds what images.drawn cannot do", function()
  local place = new()
  finds(place, drawn "count = 0", "option 'count' of images.drawn is 0; it must be 1 to 100000")
  finds(place, (drawn():gsub('"a red house"', '""')), "a prompt is empty; it is the caption too")
  finds(place, (drawn():gsub("a red house", "a [trigger]")), "a prompt has [trigger], which a base knows nothing of")
  finds(place, (drawn():gsub('{ "a photo.-}', "{}")), "images.drawn has no prompts")
  finds(place, (drawn():gsub("width = 16", "width = 12")), "width 12: with this base sides are multiples of 8")
  finds(place, (drawn():gsub(BASE:gsub("%p", "%%%0"), "@/none")), "there is no base @/none")
  finds(place, (drawn():gsub("images.drawn", "images.drawm")), "did you mean 'images.drawn'?")
  finds(place, 'recipe "x" { allow = { read = { "' .. BASE .. '" }, write = { "@/out", "@/class" } } }\n' .. drawn(), "does not allow it to use the device", 3)
  finds(place, drawn(), "1 output", 0)
end)
