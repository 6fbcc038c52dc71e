local device = require "native.device"
local folder = require "models.folder"
local fs = require "native.fs"
local hash = require "native.hash"
local json = require "native.json"
local bpe = require "tiny.bpe"
local measure = require "tiny.measure"
local scatter = require "tiny.scatter"
local world = require "tiny.world"

local opened, why = device.open()

test("the world draws the same picture from the same numbers, and leaves every tenth combination out", function()
  local p = world.any(hash.random(1))
  check.ok(world.draw(p, hash.random(2)) == world.draw(p, hash.random(2)))
  check.ok(world.draw(p, hash.random(2)) ~= world.draw(p, hash.random(3)))
  check.ok(scatter.draw(hash.random(2)) == scatter.draw(hash.random(2)))
  local random, count = hash.random(3), { whole = 0, pair = 0, trained = 0 }
  for _ = 1, 2000 do
    local kind = world.held_out(world.any(random)) or "trained"
    count[kind] = count[kind] + 1
  end
  check.near(count.pair / 2000, 6 / 64, 0.03)
  check.near(count.whole / 2000, 0.1, 0.03)
end)

test("captions are whole without random numbers, and leave things out with them", function()
  local p = { count = "one", size = "big", texture = "plain", colour = "orange", form = "star", position = "centre", ground = "sand" }
  check.equal(world.caption(p), "a big orange star in the centre on a sand background")
  p.count, p.form, p.texture, p.position = "three", "cross", "dotted", "left"
  check.equal(world.caption(p), "three big dotted orange crosses at the left on a sand background")
  local random, seen = hash.random(1), {}
  for _ = 1, 200 do seen[world.caption(p, random)] = true end
  check.ok(seen["three dotted orange crosses on a sand background"])
  check.ok(seen["a photo of three big dotted orange crosses at the left on a sand background"])
end)

test("the measurement finds at least 98 of 100 pictures of the renderer right, and few when they are shuffled", function()
  local random, pictures, asked = hash.random(77), {}, {}
  for i = 1, 250 do
    asked[i] = world.any(random)
    pictures[i] = world.draw(asked[i], random)
  end
  check.ok(measure.score(pictures, asked).all >= 98)
  table.insert(asked, table.remove(asked, 1))
  check.ok(measure.score(pictures, asked).all <= 15)
end)

test("the measurement sees nothing where nothing is, and counts what it does not know", function()
  local image = require "native.image"
  check.equal(measure.look(image.new(64, 64, { 9, 9, 9 })), { count = 0 })
  local im = image.new(64, 64, { 255, 255, 255 })
  for i = 0, 3 do im:circle(8 + 16 * i, 32, 6, { 200, 0, 0 }) end
  check.equal(measure.look(im), { count = 4 })
  local bar = image.new(64, 64, { 255, 255, 255 }):rect(4, 30, 56, 3, { 214, 44, 48 })
  check.equal(measure.look(bar), { count = 1, colour = "red" })
end)

test("the vocabulary is trained the same twice, and every word of the world is one token", function()
  local trained = bpe.train(bpe.words(1), 768)
  check.equal(#trained.vocabulary, 768)
  local path = tmp "tokenizer"
  local function files() return check.ok(fs.read(path .. "/vocab.json")) .. check.ok(fs.read(path .. "/merges.txt")) end
  bpe.write(path, trained, 32)
  local first = files()
  bpe.write(path, bpe.train(bpe.words(1), 768), 32)
  check.ok(first == files())
  local tokenizer, length = folder.tokenizer(path)
  check.equal({ tokenizer:size(), length }, { 768, 32 })
  local random = hash.random(4)
  for _ = 1, 300 do
    local caption, words = world.caption(world.any(random), random), 2
    for _ in caption:gmatch "%S+" do words = words + 1 end
    local ids, tokens = tokenizer:encode(caption, 32), 1
    while ids[tokens] ~= 767 do tokens = tokens + 1 end
    check.equal(tokens, words, caption)
  end
end)

test("the base in examples/models/tiny draws what prompts ask that it never saw", function()
  if not opened then skip(why) end
  local draw = require "tiny.draw"
  local artist = draw.new { device = opened, model = check.ok(folder.open "examples/models/tiny"), batch = 16, guidance = 2.5 }
  local right = draw.score(artist, 16, "whole", 2)
  check.ok(right.all >= 75, draw.text(right))
  check.ok(right.colour >= 90, draw.text(right))
end)

-- The script, with a few steps of everything, as a person runs it ---------------------------------------------------------------

local pipe = io.popen "pwd; readlink /proc/$PPID/exe"
local here, program = pipe:read "l", pipe:read "l":gsub("/tests/host$", "/calotype")
pipe:close()
if not program:find "^/" then program = here .. "/" .. program end

-- calotype train_tiny_base FOLDER ... from a working folder of its own: its exit code and all it said.
local elsewhere = tmp "elsewhere"
local function train(path, ...)
  fs.make_folder(elsewhere)
  local out = io.popen(("cd %s && %s train_tiny_base %s %s 2>&1 </dev/null; echo \"exit $?\""):format(elsewhere, program, path, table.concat({ ... }, " ")))
  local said, code = out:read "a":match "^(.*)exit (%d+)\n$"
  out:close()
  return tonumber(code), said
end

local PINWHEELS = "pinwheels=" .. here .. "/examples/shapes/pictures"

local function well(...)
  local code, said = train(...)
  check.equal(code, 0, said)
  return said
end

local made = tmp "tiny"
local function file(name) return check.ok(fs.read(made .. "/" .. name)) end

test("every phase runs, leaves a model folder, and says how it went", function()
  if not opened then skip(why) end
  local said = well(made, "quick=yes", PINWHEELS)
  local model = check.ok(folder.open(made))
  check.ok(model.vae and model.unet and model.text_encoder and model.tokenizer and model.scheduler)
  check.equal(model.length, 32)
  check.equal(json.decode(file "model_index.json").unet, { "diffusers", "UNet2DConditionModel" })
  local log = file "log.txt"
  for _, part in ipairs { "tokenizer: 560 entries", "vae step 4: PSNR of pinwheels", "scaling_factor 1.0", "base step 4 of 4", "measure:", "score: mean of 3 sets" } do
    check.contains(log, part)
    check.contains(said, part)
  end
end)

local function file_of(path) return check.ok(fs.read(path .. "/state/vae.safetensors")) end

local RESULTS = { "vae/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors", "tokenizer/vocab.json" }

test("running it again computes nothing new; from nothing, and without the pinwheels, the same bytes come out", function()
  if not opened then skip(why) end
  local before = {}
  for i, name in ipairs(RESULTS) do before[i] = hash.sha256(file(name)) end
  well(made, "quick=yes")
  check.contains(file "log.txt", "base: goes on after step 4")
  for i, name in ipairs(RESULTS) do check.equal(hash.sha256(file(name)), before[i], name) end
  local again = tmp "tiny-again"
  well(again, "quick=yes")
  local log = fs.read(again .. "/log.txt")
  check.contains(log, "vae: examples/shapes/pictures cannot be opened")
  check.contains(log, "measured without pinwheels; pinwheels=FOLDER names their pictures")
  check.contains(log, "vae step 4: PSNR of the world")
  for i, name in ipairs(RESULTS) do check.equal(hash.sha256(fs.read(again .. "/" .. name)), before[i], name) end
end)

test("Ctrl-C while something is measured keeps the steps before it, and the same line ends in the same bytes", function()
  if not opened then skip(why) end
  local path = tmp "measured"
  local line = ("%s train_tiny_base %s quick=yes >/dev/null 2>&1"):format(program, path)
  local _, _, code = os.execute(([[%s & pid=$!
    for i in $(seq 5000); do grep -q 'vae step 2 of 4' %s/log.txt 2>/dev/null && break; sleep 0.02; done
    kill -TERM $pid; wait $pid]]):format(line, path))
  check.equal(code, 130)
  check.contains(fs.read(path .. "/log.txt"), "vae: stopped after step")
  well(path, "quick=yes")
  for _, name in ipairs(RESULTS) do check.equal(hash.sha256(fs.read(path .. "/" .. name)), hash.sha256(file(name)), name) end
end)

test("Ctrl-C ends a phase with 130 and a checkpoint, and the same line goes on to the bits of an unbroken run", function()
  if not opened then skip(why) end
  local stopped, unbroken = tmp "stopped", tmp "unbroken"
  local line = ("%s train_tiny_base %s quick=yes only=vae vae_steps=1000000 >/dev/null 2>&1"):format(program, stopped)
  local log = stopped .. "/log.txt"
  -- A shell without job control lets `&` ignore SIGINT: TERM is handled alike.
  local _, _, code = os.execute(([[%s & pid=$!
    for i in $(seq 1200); do grep -q 'numbers in parameters' %s 2>/dev/null && break; sleep 0.1; done
    sleep 2; kill -TERM $pid; wait $pid]]):format(line, log))
  check.equal(code, 130)
  local steps = math.tointeger(check.ok(check.ok(fs.read(log)):match "stopped after step (%d+) of 1000000, kept"))
  check.contains(fs.read(log), "the same command goes on from here")
  local stop = "stop_after=" .. steps + 2
  check.equal((train(stopped, "quick=yes", "only=vae", "vae_steps=1000000", stop)), 130)
  check.contains(fs.read(log), ("goes on after step %d"):format(steps))
  check.equal((train(unbroken, "quick=yes", "only=vae", "vae_steps=1000000", stop)), 130)
  check.ok(file_of(stopped) == file_of(unbroken), "the states differ")
end)

test("two trainings in one folder: the second is refused at once, and the first does not notice", function()
  local path = tmp "both"
  check.ok(fs.make_folder(path .. "/state"))
  do
    local _ <close> = assert(fs.lock(path .. "/state"))
    local code, said = train(path, "quick=yes", "only=tokenizer")
    check.equal(code, 75, said)
    check.contains(said, "another process works in " .. path .. "/state; try again when it is done")
    check.ok(not fs.stat(path .. "/log.txt") and not fs.stat(path .. "/tokenizer"))
  end
  well(path, "quick=yes", "only=tokenizer")
  if not opened then return end
  local line = ("%s train_tiny_base %s quick=yes only=vae vae_steps=1000000 >/dev/null 2>&1"):format(program, path)
  local _, _, code = os.execute(([[%s & pid=$!
    for i in $(seq 3000); do grep -q 'numbers in parameters' %s/log.txt 2>/dev/null && break; sleep 0.02; done
    %s train_tiny_base %s quick=yes >%s/said 2>&1; echo "exit $?" >>%s/said
    kill -TERM $pid; wait $pid]]):format(line, path, program, path, path, path))
  check.equal(code, 130)
  check.contains(fs.read(path .. "/said"), "exit 75")
  local log = fs.read(path .. "/log.txt")
  check.equal(select(2, log:gsub("numbers in parameters", "")), 1, log)
  check.contains(log, "the same command goes on from here")
end)

test("a state that was made with other settings is not gone on with", function()
  if not opened then skip(why) end
  local code, said = train(made, "quick=yes", "only=base", "rate=0.01", "steps=9")
  check.equal(code, 1)
  for _, text in ipairs { said, file "log.txt" } do
    check.contains(text, "was made with other settings: rate 0.001 -> 0.01, steps 4 -> 9; give those, or remove it to begin anew")
  end
end)

test("latents of another world, seed or VAE are made anew, and the base does not learn from them", function()
  if not opened then skip(why) end
  local latents, vae, draw = require "tiny.latents", folder.open(made).vae, world.draw
  local function has(seed) return latents.new({ device = opened, vae = vae, folder = made .. "/state", count = 40, seed = seed }).has(1) end
  check.equal({ has(1), has(2) }, { true, false })
  world.draw = function(p, random) return draw(p, random):set(0, 0, { 1, 2, 3 }) end
  local of_another = has(1)
  world.draw = draw
  check.equal(of_another, false)
  local code, said = train(made, "quick=yes", "only=base", "seed=2")
  check.equal(code, 1)
  check.contains(said, "the latents are not complete or of another VAE; make them with only=latents")
end)

test("a network that predicts v is trained and drawn with as well", function()
  if not opened then skip(why) end
  local other = tmp "v"
  well(other, "quick=yes", "prediction=v_prediction", "beta_end=0.02", "gamma=5")
  check.equal(folder.open(other).scheduler.prediction_type, "v_prediction")
end)

test("what is wrong with the settings or the folder is said with the next step, before anything is made", function()
  local path = tmp "wrong"
  local function wrong(code, text, ...)
    local got, said = train(path, ...)
    check.equal(got, code, said)
    check.contains(said, text)
    check.equal(fs.stat(path), nil)
  end
  wrong(2, "there is no setting 'steppes'\n     = did you mean 'steps'?", "steppes=4")
  wrong(2, "     = the settings: batch, beta_end,", "zzzzzzz=4")
  wrong(2, "vae_steps=many: a whole number from 1 to 1000000 is expected\n     = vae_steps=9000 is what it is without", "vae_steps=many")
  wrong(2, "only=vea: that is none of its values\n     = did you mean 'vae'?", "only=vea")
  wrong(2, "quick=perhaps: that is none of its values\n     = there are: yes, no", "quick=perhaps")
  wrong(2, "has no --fresh\n     = remove " .. path .. "/state to begin anew", "--fresh")
  check.ok(fs.write(path, "a file"))
  local code, said = train(path)
  check.equal(code, 2)
  check.contains(said, path .. " is no folder")
  code, said = train("/proc/self/x", "quick=yes")
  check.equal(code, 3, said)
end)

test("a setting out of its range is told with the range and the default before anything is made, and help lists all of them", function()
  local path = tmp "ranges"
  local steps, share, yes = "a whole number from 1 to 10000000", "a number from 0 to 1", "a whole number from 1 to "
  local widths = "1 to %d widths, multiples of %d up to 4096 with commas between"
  local rows = { -- name, default, what may be, what may not
    { "seed", "1", "a whole number from 0 to 4294967295", "0.5", "1e300", "-1" },
    { "stop_after", "0", "a whole number from 0 to 10000000", "-1", "0.5" },
    { "vae_widths", "24,48,64", widths:format(6, 2), "", "x", "0", "1,1", "1000000", "8,,8", "8,x", "8,8,8,8,8,8,8", "-2", "2.5" },
    { "vae_steps", "9000", yes .. "1000000", "0", "-1", "1e18", "1.5" },
    { "vae_batch", "8", yes .. "1024", "0", "-1", "0.5" },
    { "vae_rate", "0.001", "a number from 1e-08 to 1", "0", "-1", "2" },
    { "vae_hold", "0.2", share, "-0.1", "1.1" },
    { "vae_kl", "0.0005", "a number from 0 to 1000", "-1", "1e9" },
    { "vae_square", "4", "a number from 1e-06 to 1000", "-1", "0" },
    { "vocabulary", "768", "a whole number from 514 to 65536", "0", "513", "1e6" },
    { "length", "32", "a whole number from 2 to 4096", "0", "1", "4097" },
    { "pictures", "48000", yes .. "1000000", "0", "-1", "1.5" },
    { "widths", "64,96,128,128", widths:format(7, 8), "", "x", "0", "1,1", "12", "8,8,8,8,8,8,8,8", "1000000", "8;8" },
    { "blocks", "1", yes .. "16", "0", "-1", "1e6" },
    { "text_width", "96", "a multiple of 4 from 4 to 4096", "0", "6", "1e9" },
    { "text_layers", "2", yes .. "64", "0", "-1", "1e6" },
    { "steps", "11000", steps, "1e18", "0", "-1", "inf", "nan", "1e999" },
    { "batch", "32", yes .. "1024", "0", "-1", "0.5" },
    { "rate", "0.001", "a number from 1e-08 to 1", "0", "-0.1" },
    { "hold", "0.3", share, "-0.1", "1.1" },
    { "gamma", "0", "a number from 0 to 1000", "-1" },
    { "lift", "1", "a number from 1 to 1000", "-1", "0" },
    { "noisy", "0.5", share, "-0.1", "1.1" },
    { "beta_end", "0.02", "a number from 0.001 to 0.1", "0", "1" },
    { "every", "500", steps, "0", "-1" },
    { "guidance", "2.5", "a number from 0 to 100", "1e30", "-1" },
    { "sample_steps", "20", yes .. "1000", "0", "-1", "0.5" },
    { "prompts", "64", yes .. "1000", "0", "-1", "0.5" },
    { "pinwheels", "examples/shapes/pictures", "a folder", "" },
    { "prediction", "v_prediction", "one of v_prediction, epsilon" },
    { "quick", "no", "one of yes, no" },
    { "only", "", "one of tokenizer, vae, latents, base, score, foreign" },
  }
  local shown <close> = io.popen(program .. " help train_tiny_base")
  local help, known = shown:read "a":gsub(" +", " "), {}
  for _, row in ipairs(rows) do
    local name, default, expected = table.unpack(row)
    known[#known + 1] = name
    check.contains(help, ("\n %s=%s %s\n"):format(name, default, expected))
    for i = 4, #row do
      local code, said = train(path, ("'%s=%s'"):format(name, row[i]))
      check.equal(code, 2, said)
      check.contains(said, ("error: %s=%s: %s is expected\n     = %s=%s is what it is without\n"):format(name, row[i], expected, name, default))
    end
  end
  table.sort(known)
  local _, said = train(path, "zzzzzzz=4")
  check.contains(said, "= the settings: " .. table.concat(known, ", ") .. "\n")
  local function wrong(text, ...)
    local code
    code, said = train(...)
    check.equal(code, 2, said)
    check.contains(said, text)
  end
  wrong("steps=0: a whole number from 1 to 10000000 is expected\n     = steps=4 is what it is without", path, "quick=yes", "steps=0")
  wrong("error: the folder has no name\n", "''", "quick=yes")
  wrong("widths=8,8,8,8: 3 at most, one for each halving of the autoencoder's latents and one more\n     = give fewer widths, or fewer vae_widths", path,
    "vae_widths=8,8,8,8,8", "widths=8,8,8,8")
  wrong(("vae_steps=%s...: a whole number"):format(("9"):rep(60)), path, "vae_steps=" .. ("9"):rep(99))
  check.equal(fs.stat(path), nil)
end)

test("the least of everything trains, and a base with more widths than its folder's latents can be halved is told", function()
  if not opened then skip(why) end
  local least = tmp "least"
  well(least, "quick=yes", "seed=0", "vae_widths=2,2,2,2,2,2", "vae_steps=1", "vae_batch=1", "vae_hold=1", "vocabulary=514", "length=2", "pictures=1", "widths=8",
    "text_width=4", "steps=1", "batch=1", "rate=0.5", "hold=1", "noisy=1", "beta_end=0.1", "every=1", "guidance=0", "sample_steps=1", "prompts=1")
  local code, said = train(least, "quick=yes", "only=base", "pictures=1", "seed=0", "widths=8,8,8")
  check.equal(code, 2, said)
  check.contains(said, "widths=8,8,8: 2 at most, one for each halving of the autoencoder's latents and one more\n     = give fewer widths, or fewer vae_widths")
end)

test("pinwheels that were named must be there", function()
  if not opened then skip(why) end
  local code, said = train(tmp "none", "quick=yes", "only=vae", "pinwheels=nowhere")
  check.equal(code, 1)
  check.contains(said, "error: nowhere cannot be opened")
  code, said = train(tmp "none", "quick=yes", "only=vae", "pinwheels=" .. elsewhere)
  check.equal(code, 1)
  check.contains(said, "pinwheel-01.jpg")
end)
