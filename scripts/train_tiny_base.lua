-- train_tiny_base.lua - train the tiny base from nothing: its vocabulary, its autoencoder, its text encoder and UNet.
--
--   build/release/tests/host scripts/train_tiny_base.lua out/tiny                   all phases; the same line goes on after Ctrl-C
--   build/release/tests/host scripts/train_tiny_base.lua out/tiny only=vae vae_steps=400
--   build/release/tests/host scripts/train_tiny_base.lua out/quick quick=yes        a few steps of everything, for tests
--
-- The folder becomes a model folder as diffusers reads it; `state/` in it holds the checkpoints, `log.txt` what happened. With the same
-- settings, device and number of threads the same bits come out, however often it was interrupted.

local checkpoint = require "train.checkpoint"
local device = require "native.device"
local fs = require "native.fs"
local json = require "native.json"
local log = require "native.log"
local loop = require "train.loop"
local script = require "native.script"

local PHASES = { "tokenizer", "vae", "latents", "base", "score" }

local settings = {
  only = "", quick = "no", seed = 1, stop_after = 0,
  vae_widths = "24,48,64", vae_steps = 9000, vae_batch = 8, vae_rate = 1e-3, vae_hold = 0.2, vae_kl = 5e-4, vae_square = 4,
  vocabulary = 768, length = 32, pictures = 48000,
  widths = "64,96,128,128", blocks = 1, text_width = 96, text_layers = 2, steps = 11000, batch = 32, rate = 1e-3, hold = 0.3, gamma = 0, lift = 1,
  noisy = 0.5, prediction = "v_prediction", beta_end = 0.02, every = 500,
  guidance = 2.5, sample_steps = 20, prompts = 64,
}
local QUICK = {
  vae_widths = "8,8,8", vae_steps = 4, vae_batch = 2, vocabulary = 560, pictures = 40, widths = "16,16", blocks = 1, text_width = 16, text_layers = 1,
  steps = 4, batch = 2, sample_steps = 2, prompts = 2,
}

local function read_settings(arguments)
  local given = {}
  for _, text in ipairs(arguments) do
    local name, value = text:match "^([%w_]+)=(.*)$"
    local default = settings[name or ""]
    if default == nil then error(("\"%s\": write name=value; the names are in scripts/train_tiny_base.lua"):format(text), 0) end
    if type(default) == "number" then
      local number = tonumber(value)
      if not number then error(("%s=%s: a number is expected"):format(name, value), 0) end
      value = math.tointeger(number) or number
    end
    given[name] = value
  end
  if given.quick == "yes" then for name, value in pairs(QUICK) do settings[name] = value end end
  for name, value in pairs(given) do settings[name] = value end
  return settings
end

local function list_of(text)
  local list = {}
  for number in text:gmatch "%d+" do list[#list + 1] = math.tointeger(number) end
  return list
end

local folder = ...
if not folder or folder:find "=" then
  io.stderr:write "usage: host scripts/train_tiny_base.lua FOLDER [name=value ...]\n"
  return 2
end
local o = read_settings { select(2, ...) }
assert(fs.make_folder(folder .. "/state"))
local book = assert(io.open(folder .. "/log.txt", "a"))

local function say(line)
  line = log.date() .. "  " .. line
  print(line)
  book:write(line, "\n")
  book:flush()
end

local opened
local function the_device()
  if not opened then
    opened = assert(device.open())
    local info = opened:info()
    say(("device: %s, %s, %d units, CALOTYPE_THREADS=%s"):format(info.name, info.platform, info.units, script.env "CALOTYPE_THREADS" or "(all)"))
  end
  return opened
end

-- Phases ----------------------------------------------------------------------------------------------------------------

local Interrupted = {}

local function train(options)
  local step, last = options.step, 0
  options.step = function(i)
    last = i
    return step(i)
  end
  options.say, options.seconds = say, 60
  options.stopped = function() return math.max(script.interrupted(), last == o.stop_after and 1 or 0) end
  local ended, message = loop.run(options)
  if ended == "interrupted" then error(Interrupted, 0) end
  if not ended then error(message, 0) end
end

local phases = {}

-- The settings that decide a phase's bits, for its checkpoints: one that was made with others is refused.
local function chosen(names)
  local out = {}
  for _, name in ipairs(names) do out[name] = o[name] end
  return out
end

-- Begin anew or where the state says.
local function resume(phase, path, name)
  if not fs.stat(path) then
    phase.fill()
    return 0
  end
  local numbers, message = phase.load(path)
  if not numbers then error(message, 0) end
  local changed = checkpoint.differences(numbers.settings or {}, phase.settings)
  if #changed > 0 then
    error(("%s was made with other settings: %s; give those, or remove it to begin anew"):format(path, table.concat(changed, ", ")), 0)
  end
  say(("%s: goes on after step %d"):format(name, numbers.step))
  return numbers.step
end

function phases.vae()
  local tiny = dofile "scripts/tiny/vae.lua"
  local phase = tiny.new {
    device = the_device(), steps = o.vae_steps, batch = o.vae_batch, seed = o.seed, rate = o.vae_rate, hold = o.vae_hold, kl = o.vae_kl,
    square = o.vae_square, widths = list_of(o.vae_widths),
    settings = chosen { "vae_steps", "vae_batch", "seed", "vae_rate", "vae_hold", "vae_kl", "vae_square" },
  }
  local state = folder .. "/state/vae.safetensors"
  say(("vae: widths %s, %d numbers in parameters, %d steps of %d, rate %g, seed %d"):format(o.vae_widths, phase.parameters, o.vae_steps, o.vae_batch,
    o.vae_rate, o.seed))
  local pinwheels = tiny.pinwheels "examples/shapes/pictures"
  local function watch(done)
    local m = phase.measure(pinwheels)
    say(("vae step %d: PSNR of pinwheels %.2f dB (least %.2f), of the world %.2f dB (least %.2f); noise in the code %.3f"):format(done, m.pinwheel,
      m.pinwheel_least, m.world, m.world_least, m.noise))
    say(("vae step %d: of the world's pictures %.0f %% are still measured right"):format(done, m.right))
    tiny.sheet(m.unseen, m.decoded, folder .. "/state/vae.png")
  end
  local from = resume(phase, state, "vae")
  train {
    label = "vae", steps = o.vae_steps, from = from, step = phase.step, every = math.max(1, math.min(250, o.vae_steps // 2)), watch = watch,
    save = function(done) return phase.save(state, done) end,
  }
  local folded = phase.export(folder .. "/vae", math.min(2048, 64 * o.vae_steps))
  say(("vae: folded; code means %s, deviations %s; scaling_factor %.5f"):format(table.concat(folded.means, " "), table.concat(folded.deviations, " "),
    folded.scale))
end

function phases.tokenizer()
  local bpe = dofile "scripts/tiny/bpe.lua"
  local trained = bpe.train(bpe.words(o.seed), o.vocabulary)
  bpe.write(folder .. "/tokenizer", trained, o.length)
  say(("tokenizer: %d entries, %d merges, %d tokens of text"):format(#trained.vocabulary, #trained.merges, o.length))
end

-- What the phases before have left in the folder.
local function open_model()
  local model, message = require "models.folder".open(folder)
  if not model then error(message, 0) end
  return model
end

local function cache()
  return dofile "scripts/tiny/latents.lua".new { device = the_device(), vae = open_model().vae, folder = folder .. "/state", count = o.pictures, seed = o.seed }
end

function phases.latents()
  local made = cache()
  train {
    label = "latents", steps = made.parts, every = made.parts,
    step = function(part)
      if made.has(part) then return 0.0 end
      local ok, message, code = made.make(part)
      if not ok then return nil, message, code end
      return 0.0
    end,
  }
end

-- How well the folder as it stands draws. Every model is opened anew: what is measured is what is in the files.
local function examine(count, pairs_too, name)
  local draw = dofile "scripts/tiny/draw.lua"
  local artist = draw.new { device = the_device(), model = open_model(), batch = math.min(16, count), steps = o.sample_steps, guidance = o.guidance }
  local mean, sets = 0, pairs_too and 3 or 1
  for set = 1, sets do
    local s, pictures = draw.score(artist, count, "whole", set)
    say(("%s: set %d, %d prompts never trained whole: %s"):format(name, set, count, draw.text(s)))
    draw.sheet(pictures, ("%s/state/%s-%d.png"):format(folder, name, set))
    mean = mean + s.all / sets
  end
  if not pairs_too then return end
  say(("%s: mean of %d sets %.1f %%"):format(name, sets, mean))
  local s, pictures = draw.score(artist, count, "pair")
  say(("%s: %d prompts with colours and forms never trained together: %s"):format(name, count, draw.text(s)))
  draw.sheet(pictures, ("%s/state/%s-pairs.png"):format(folder, name))
end

function phases.base()
  local model = open_model()
  local made = cache()
  for part = 1, made.parts do
    if not made.has(part) then error("the latents are not complete or of another VAE; run the phase \"latents\"", 0) end
  end
  local list, shown = made.load()
  local phase = dofile "scripts/tiny/base.lua".new {
    device = the_device(), tokenizer = model.tokenizer, length = model.length, latents = list, shown = shown, side = made.side,
    steps = o.steps, batch = o.batch, seed = o.seed, rate = o.rate, hold = o.hold, gamma = o.gamma, lift = o.lift, noisy = o.noisy,
    prediction = o.prediction, beta_end = o.beta_end, widths = list_of(o.widths), blocks = o.blocks, text_width = o.text_width, text_layers = o.text_layers,
    settings = chosen { "steps", "batch", "seed", "rate", "hold", "gamma", "lift", "noisy", "prediction", "beta_end", "pictures" },
  }
  local state = folder .. "/state/base.safetensors"
  say(("base: UNet of widths %s x %d, text %d x %d, %d numbers in parameters, %d latents"):format(o.widths, o.blocks, o.text_width, o.text_layers,
    phase.parameters, #list))
  say(("base: %d steps of %d, rate %g, %s, beta_end %g, gamma %g, lift %g, seed %d"):format(o.steps, o.batch, o.rate, o.prediction, o.beta_end,
    o.gamma, o.lift, o.seed))
  local from = resume(phase, state, "base")
  train {
    label = "base", steps = o.steps, from = from, step = phase.step, every = math.max(1, math.min(o.every, o.steps // 2)),
    watch = function(done)
      phase.export(folder)
      examine(math.min(32, o.prompts), false, ("base-%05d"):format(done))
    end,
    save = function(done) return phase.save(state, done) end,
  }
  phase.export(folder)
end

function phases.score()
  local measure, world, hash = dofile "scripts/tiny/measure.lua", dofile "scripts/tiny/world.lua", require "native.hash"
  local draw = dofile "scripts/tiny/draw.lua"
  local random, pictures, asked = hash.random(o.seed, 77), {}, {}
  for i = 1, 5 * o.prompts do
    asked[i] = world.any(random)
    pictures[i] = world.draw(asked[i], random)
  end
  say(("measure: %d pictures of the renderer: %s"):format(#pictures, draw.text(measure.score(pictures, asked))))
  table.insert(asked, table.remove(asked, 1))
  say(("measure: the same with shuffled prompts: %s"):format(draw.text(measure.score(pictures, asked))))
  examine(o.prompts, true, "score")
  -- What another program is to draw (tests/golden/draw_tiny.py); `only=foreign` then measures its pictures.
  local sets = {}
  for name, row in pairs { ["1"] = { "whole", 1 }, ["2"] = { "whole", 2 }, ["3"] = { "whole", 3 }, pairs = { "pair", 1 } } do
    local prompts, seeds = draw.prompts(o.prompts, row[1], row[2])
    sets[name] = {}
    for i, prompt in ipairs(prompts) do sets[name][i] = { prompt = prompt, seed = seeds[i] } end
  end
  assert(fs.write(folder .. "/state/prompts.json", json.encode({ sets = sets, steps = o.sample_steps, guidance = o.guidance }, { pretty = true }) .. "\n"))
end

--- Pictures that diffusers drew from the same prompts.
function phases.foreign()
  local draw, image, measure = dofile "scripts/tiny/draw.lua", require "native.image", dofile "scripts/tiny/measure.lua"
  local mean = 0
  for _, row in ipairs { { "1", "whole", 1 }, { "2", "whole", 2 }, { "3", "whole", 3 }, { "pairs", "pair", 1 } } do
    local _, _, asked = draw.prompts(o.prompts, row[2], row[3])
    local pictures = {}
    for i = 1, #asked do
      local im, message = image.load(("%s/state/diffusers/%s-%d.png"):format(folder, row[1], i))
      if not im then error(message .. "; tests/golden/draw_tiny.py makes them", 0) end
      pictures[i] = im
    end
    local s = measure.score(pictures, asked)
    say(("diffusers: set %s: %s"):format(row[1], draw.text(s)))
    if row[2] == "whole" then mean = mean + s.all / 3 end
  end
  say(("diffusers: mean of 3 sets %.1f %%"):format(mean))
end

local function run()
  for _, name in ipairs(PHASES) do
    if o.only == "" or o.only == name then phases[name]() end
  end
  if o.only == "foreign" then phases.foreign() end
end

local ok, problem = pcall(run)
if ok then return 0 end
if problem == Interrupted then
  say "interrupted; what is done is kept: the same command goes on from here"
  return 130
end
say("error: " .. tostring(problem))
return 1
