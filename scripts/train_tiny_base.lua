-- train_tiny_base.lua - train the tiny base from nothing: its vocabulary, its autoencoder, its text encoder and UNet.
--
--   calotype train_tiny_base out/tiny                        all phases; the same line goes on after Ctrl-C
--   calotype train_tiny_base out/tiny only=vae vae_steps=400
--   calotype train_tiny_base out/quick quick=yes             a few steps of everything, for tests
--
-- The folder becomes a model folder as diffusers reads it; `state/` in it holds the checkpoints, `log.txt` what happened. With the same
-- settings, device and number of threads the same bits come out, however often it was interrupted. `pinwheels=FOLDER` names the demo's
-- pictures, which the autoencoder never learns from and is measured with; without them only the measuring is less.

local checkpoint = require "train.checkpoint"
local device = require "native.device"
local fs = require "native.fs"
local json = require "native.json"
local log = require "native.log"
local loop = require "train.loop"
local script = require "native.script"

local M = {}

local PHASES = { "tokenizer", "vae", "latents", "base", "score" }

local SETTINGS = {
  only = "", quick = "no", seed = 1, stop_after = 0,
  vae_widths = "24,48,64", vae_steps = 9000, vae_batch = 8, vae_rate = 1e-3, vae_hold = 0.2, vae_kl = 5e-4, vae_square = 4,
  vocabulary = 768, length = 32, pictures = 48000,
  widths = "64,96,128,128", blocks = 1, text_width = 96, text_layers = 2, steps = 11000, batch = 32, rate = 1e-3, hold = 0.3, gamma = 0, lift = 1,
  noisy = 0.5, prediction = "v_prediction", beta_end = 0.02, every = 500,
  guidance = 2.5, sample_steps = 20, prompts = 64, pinwheels = "examples/shapes/pictures",
}
local CHOICES = { only = { "tokenizer", "vae", "latents", "base", "score", "foreign" }, quick = { "yes", "no" }, prediction = { "v_prediction", "epsilon" } }
local QUICK = {
  vae_widths = "8,8,8", vae_steps = 4, vae_batch = 2, vocabulary = 560, pictures = 40, widths = "16,16", blocks = 1, text_width = 16, text_layers = 1,
  steps = 4, batch = 2, sample_steps = 2, prompts = 2,
}

local function misused(message, hint) script.fail { message = message, hint = hint, source = false, exit = script.exits.usage } end

local function meant(word, names, otherwise)
  local near = script.nearest(word, names)
  return near and ("did you mean '%s'?"):format(near) or otherwise .. ": " .. table.concat(names, ", ")
end

local function sorted_names(of)
  local names = {}
  for name in pairs(of) do names[#names + 1] = name end
  table.sort(names)
  return names
end

local function one_of(list, value)
  for _, known in ipairs(list) do if known == value then return true end end
  return false
end

local function read_settings(texts)
  local given, settings = {}, {}
  for _, name in ipairs(sorted_names(texts)) do
    local default, value = SETTINGS[name], texts[name]
    if default == nil then misused(("there is no setting '%s'"):format(name), meant(name, sorted_names(SETTINGS), "the settings")) end
    if type(default) == "number" then
      local number = tonumber(value)
      if not number then misused(("%s=%s: a number is expected"):format(name, value), ("%s=%s is what it is without"):format(name, default)) end
      value = math.tointeger(number) or number
    end
    local choices = CHOICES[name]
    if choices and value ~= default and not one_of(choices, value) then
      misused(("%s=%s: that is none of its values"):format(name, value), meant(value, choices, "there are"))
    end
    given[name] = value
  end
  for _, from in ipairs { SETTINGS, given.quick == "yes" and QUICK or {}, given } do
    for name, value in pairs(from) do settings[name] = value end
  end
  return settings
end

local function list_of(text)
  local list = {}
  for number in text:gmatch "%d+" do list[#list + 1] = math.tointeger(number) end
  return list
end

-- Of this run: the folder, the settings, and what log.txt holds.
local folder, o, book

local function note(line)
  book = book .. line .. "\n"
  return fs.write(folder .. "/log.txt", book)
end

local function say(line)
  line = log.date() .. "  " .. line
  log.say("info", line)
  assert(note(line))
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

local function stop(message)
  script.fail { message = message or "stopped", source = false, exit = script.exits.stopped }
end

-- Did Ctrl-C end it? What else goes wrong meanwhile, a full disk perhaps, is told as what it is.
local function was_stopped(fault)
  return fault.exit == script.exits.stopped or (script.interrupted() > 0 and tostring(fault.message):find "interrupted" ~= nil)
end

local function train(options)
  local step, watch, last = options.step, options.watch, 0
  options.step = function(i)
    last = i
    return step(i)
  end
  -- Ctrl-C while something is measured: the measure is lost, the steps before it are kept.
  options.watch = watch and function(done)
    local ok, fault = script.call(watch, done)
    if not ok and not was_stopped(fault) then error(fault, 0) end
  end
  options.say, options.seconds = say, 60
  options.stopped = function() return math.max(script.interrupted(), last == o.stop_after and 1 or 0) end
  local ended, message, code = loop.run(options)
  if ended == "interrupted" then stop() end
  if code == "INTERRUPT" then stop(message) end
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

-- The demo's pictures, where they are: the program may have been called in any folder.
local function the_pinwheels(tiny)
  local list
  local ok, message = fs.grant(o.pinwheels, "read")
  if ok then list, message = tiny.pinwheels(o.pinwheels) end
  if list then return list end
  if o.pinwheels ~= SETTINGS.pinwheels then error(message, 0) end
  say(("vae: %s: measured without pinwheels; pinwheels=FOLDER names their pictures"):format(message))
end

function phases.vae()
  local tiny = require "tiny.vae"
  local phase = tiny.new {
    device = the_device(), steps = o.vae_steps, batch = o.vae_batch, seed = o.seed, rate = o.vae_rate, hold = o.vae_hold, kl = o.vae_kl,
    square = o.vae_square, widths = list_of(o.vae_widths),
    settings = chosen { "vae_steps", "vae_batch", "seed", "vae_rate", "vae_hold", "vae_kl", "vae_square" },
  }
  local state = folder .. "/state/vae.safetensors"
  say(("vae: widths %s, %d numbers in parameters, %d steps of %d, rate %g, seed %d"):format(o.vae_widths, phase.parameters, o.vae_steps, o.vae_batch,
    o.vae_rate, o.seed))
  local pinwheels = the_pinwheels(tiny)
  local function watch(done)
    local m = phase.measure(pinwheels)
    local of_pinwheels = m.pinwheel and ("of pinwheels %.2f dB (least %.2f), "):format(m.pinwheel, m.pinwheel_least) or ""
    say(("vae step %d: PSNR %sof the world %.2f dB (least %.2f); noise in the code %.3f"):format(done, of_pinwheels, m.world, m.world_least, m.noise))
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
  local bpe = require "tiny.bpe"
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
  return require "tiny.latents".new { device = the_device(), vae = open_model().vae, folder = folder .. "/state", count = o.pictures, seed = o.seed }
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
  local draw = require "tiny.draw"
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
    if not made.has(part) then error("the latents are not complete or of another VAE; make them with only=latents", 0) end
  end
  local list, shown = made.load()
  local phase = require "tiny.base".new {
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
  local measure, world, hash = require "tiny.measure", require "tiny.world", require "native.hash"
  local draw = require "tiny.draw"
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
  local draw, image, measure = require "tiny.draw", require "native.image", require "tiny.measure"
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
    if script.interrupted() > 0 then stop() end
    if o.only == "" or o.only == name then phases[name]() end
  end
  if o.only == "foreign" then phases.foreign() end
end

---@param options { folder: string, params: table<string, string>, fresh?: boolean }
---@return integer exit
function M.run(options)
  folder, o, book, opened = options.folder, read_settings(options.params), "", nil
  local state = folder .. "/state"
  if options.fresh then misused("train_tiny_base has no --fresh", ("remove %s to begin anew"):format(state)) end
  local ok, message, code = fs.grant(folder, "write")
  local there = ok and fs.stat(folder)
  if there and there.kind ~= "folder" then misused(("%s is no folder"):format(folder), "name one that may be written; it is made if it is not there") end
  if ok then ok, message, code = fs.make_folder(state) end
  if not ok then script.fail { message = message, source = false, exit = code == "DENIED" and script.exits.denied or script.exits.failed } end
  if fs.stat(folder .. "/log.txt") then book = assert(fs.read(folder .. "/log.txt")) end

  local done, fault = script.call(run)
  if done then return script.exits.ok end
  if was_stopped(fault) then
    say "interrupted; what is done is kept: the same command goes on from here"
    return script.exits.stopped
  end
  note(log.date() .. "  error: " .. tostring(fault.message)) -- where the disk is full, what is raised still tells
  error(fault, 0)
end

return M
