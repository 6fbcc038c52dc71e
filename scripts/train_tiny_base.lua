-- train_tiny_base.lua - train the tiny base from nothing: its vocabulary, its autoencoder, its text encoder and UNet.
--
--   calotype train_tiny_base out/tiny                        all phases; the same line goes on after Ctrl-C
--   calotype train_tiny_base out/tiny only=vae vae_steps=400
--   calotype train_tiny_base out/quick quick=yes             a few steps of everything, for tests
--
-- The folder becomes a model folder as diffusers reads it; `state/` in it holds the checkpoints, `log.txt` what happened. With the same
-- settings, device and number of threads the same bits come out, however often it was interrupted. One at a time works in a folder, another
-- ends with 75. `pinwheels=FOLDER` names the demo's pictures, which the autoencoder never learns from and is measured with; without them only
-- the measuring is less.
--
-- The settings, with what they are without and what they may be:
--
--   only=                               one of tokenizer, vae, latents, base, score, foreign
--   quick=no                            one of yes, no
--   seed=1                              a whole number from 0 to 4294967295
--   stop_after=0                        a whole number from 0 to 10000000
--   vae_widths=24,48,64                 1 to 6 widths, multiples of 2 up to 4096 with commas between
--   vae_steps=9000                      a whole number from 1 to 1000000
--   vae_batch=8                         a whole number from 1 to 1024
--   vae_rate=0.001                      a number from 1e-08 to 1
--   vae_hold=0.2                        a number from 0 to 1
--   vae_kl=0.0005                       a number from 0 to 1000
--   vae_square=4                        a number from 1e-06 to 1000
--   vocabulary=768                      a whole number from 514 to 65536
--   length=32                           a whole number from 2 to 4096
--   pictures=48000                      a whole number from 1 to 1000000
--   widths=64,96,128,128                1 to 7 widths, multiples of 8 up to 4096 with commas between
--   blocks=1                            a whole number from 1 to 16
--   text_width=96                       a multiple of 4 from 4 to 4096
--   text_layers=2                       a whole number from 1 to 64
--   steps=11000                         a whole number from 1 to 10000000
--   batch=32                            a whole number from 1 to 1024
--   rate=0.001                          a number from 1e-08 to 1
--   hold=0.3                            a number from 0 to 1
--   gamma=0                             a number from 0 to 1000
--   lift=1                              a number from 1 to 1000
--   noisy=0.5                           a number from 0 to 1
--   prediction=v_prediction             one of v_prediction, epsilon
--   beta_end=0.02                       a number from 0.001 to 0.1
--   every=500                           a whole number from 1 to 10000000
--   guidance=2.5                        a number from 0 to 100
--   sample_steps=20                     a whole number from 1 to 1000
--   prompts=64                          a whole number from 1 to 1000
--   pinwheels=examples/shapes/pictures  a folder

local checkpoint = require "train.checkpoint"
local device = require "native.device"
local fs = require "native.fs"
local json = require "native.json"
local log = require "native.log"
local loop = require "train.loop"
local script = require "native.script"

local M = {}

local PHASES = { "tokenizer", "vae", "latents", "base", "score" }

-- What each setting is: its name, what it is without, what it may be, least and most; `quick` is what quick=yes makes of it. Streams of random
-- numbers part at a million pictures and steps of the autoencoder. Widths are multiples of `of`: the groups of the norms, and the heads. A
-- world's picture of 64 places is halved by all widths but the first: 7 leave one place, and a norm's group of one number is always 0.
local SETTINGS = {
  { "only", "", "choice", { "tokenizer", "vae", "latents", "base", "score", "foreign" } },
  { "quick", "no", "choice", { "yes", "no" } },
  { "seed", 1, "whole", 0, 4294967295 },
  { "stop_after", 0, "whole", 0, 10000000 },
  { "vae_widths", "24,48,64", "widths", 1, 6, of = 2, quick = "8,8,8" },
  { "vae_steps", 9000, "whole", 1, 1000000, quick = 4 },
  { "vae_batch", 8, "whole", 1, 1024, quick = 2 },
  { "vae_rate", 1e-3, "real", 1e-8, 1 },
  { "vae_hold", 0.2, "real", 0, 1 },
  { "vae_kl", 5e-4, "real", 0, 1000 },
  { "vae_square", 4, "real", 1e-6, 1000 },
  { "vocabulary", 768, "whole", 514, 65536, quick = 560 }, -- 256 bytes, 256 at a word's end, begin and end
  { "length", 32, "whole", 2, 4096 }, -- begin and end; what a tokenizer's config may say
  { "pictures", 48000, "whole", 1, 1000000, quick = 40 },
  { "widths", "64,96,128,128", "widths", 1, 7, of = 8, quick = "16,16" },
  { "blocks", 1, "whole", 1, 16 },
  { "text_width", 96, "whole", 4, 4096, of = 4, quick = 16 },
  { "text_layers", 2, "whole", 1, 64, quick = 1 },
  { "steps", 11000, "whole", 1, 10000000, quick = 4 },
  { "batch", 32, "whole", 1, 1024, quick = 2 },
  { "rate", 1e-3, "real", 1e-8, 1 },
  { "hold", 0.3, "real", 0, 1 },
  { "gamma", 0, "real", 0, 1000 },
  { "lift", 1, "real", 1, 1000 },
  { "noisy", 0.5, "real", 0, 1 },
  { "prediction", "v_prediction", "choice", { "v_prediction", "epsilon" } },
  { "beta_end", 0.02, "real", 0.001, 0.1 },
  { "every", 500, "whole", 1, 10000000 },
  { "guidance", 2.5, "real", 0, 100 },
  { "sample_steps", 20, "whole", 1, 1000, quick = 2 },
  { "prompts", 64, "whole", 1, 1000, quick = 2 },
  { "pinwheels", "examples/shapes/pictures", "folder" },
}
local BY_NAME = {}
for _, setting in ipairs(SETTINGS) do BY_NAME[setting[1]] = setting end

local WIDEST = 4096
local AGAIN = 75 -- the exit for what may go well later

local function misused(message, hint) script.fail { message = message, hint = hint, source = false, exit = script.exits.usage } end

local function meant(word, names, otherwise)
  local near = script.nearest(word, names)
  return near and ("did you mean '%s'?"):format(near) or otherwise .. ": " .. table.concat(names, ", ")
end

local function names_of(settings)
  local names = {}
  for i, setting in ipairs(settings) do names[i] = setting[1] end
  table.sort(names)
  return names
end

local function one_of(list, value)
  for _, known in ipairs(list) do if known == value then return true end end
  return false
end

local function list_of(text)
  local list = {}
  for word in (text .. ","):gmatch "(.-)," do list[#list + 1] = math.tointeger(tonumber(word)) or false end
  return list
end

local function within(number, least, most, of) return number and number >= least and number <= most and (not of or number % of == 0) end

-- What a text means for a setting of each kind, nil where it means nothing; and the sentence's part that says what it may be.
local kinds = {}
function kinds.choice(s, text) return (text == s[2] or one_of(s[4], text)) and text, "one of " .. table.concat(s[4], ", ") end
function kinds.folder(_, text) return text ~= "" and text, "a folder" end
function kinds.whole(s, text)
  local number, of = math.tointeger(tonumber(text)), s.of and ("multiple of %d"):format(s.of) or "whole number"
  return within(number, s[4], s[5], s.of) and number, ("a %s from %d to %d"):format(of, s[4], s[5])
end
function kinds.real(s, text)
  local number = tonumber(text)
  return within(number, s[4], s[5]) and (math.tointeger(number) or number), ("a number from %.7g to %.7g"):format(s[4], s[5])
end
function kinds.widths(s, text)
  local list = list_of(text)
  local right = #list <= s[5]
  for _, width in ipairs(list) do right = right and within(width, s.of, WIDEST, s.of) end
  return right and text, ("%d to %d widths, multiples of %d up to %d with commas between"):format(s[4], s[5], s.of, WIDEST)
end

local function read_settings(texts)
  local settings, quick = {}, texts.quick == "yes"
  for _, s in ipairs(SETTINGS) do settings[s[1]] = quick and s.quick or s[2] end
  local given = {}
  for name in pairs(texts) do given[#given + 1] = name end
  table.sort(given)
  for _, name in ipairs(given) do
    local s, text = BY_NAME[name], texts[name]
    if not s then misused(("there is no setting '%s'"):format(name), meant(name, names_of(SETTINGS), "the settings")) end
    local value, expected = kinds[s[3]](s, text)
    local shown = #text > 60 and text:sub(1, 60) .. "..." or text
    if not value and s[3] == "choice" then
      misused(("%s=%s: that is none of its values"):format(name, shown), meant(text, s[4], "there are"))
    elseif not value then
      misused(("%s=%s: %s is expected"):format(name, shown, expected), ("%s=%s is what it is without"):format(name, settings[name]))
    end
    settings[name] = value
  end
  return settings
end

-- Every width but the first halves what is drawn. Of a folder's VAE the latents' side is what it is; else it follows from vae_widths.
local function check_depth(settings, side)
  local most = 1
  while side > 1 and side % 2 == 0 do side, most = side // 2, most + 1 end
  if #list_of(settings.widths) > most then
    misused(("widths=%s: %d at most, one for each halving of the autoencoder's latents and one more"):format(settings.widths, most),
      "give fewer widths, or fewer vae_widths")
  end
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
  if o.pinwheels ~= BY_NAME.pinwheels[2] then error(message, 0) end
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
  check_depth(o, made.side)
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
  if folder == "" then misused("the folder has no name", "name one that may be written: calotype train_tiny_base out/tiny") end
  if o.only == "" then check_depth(o, require "tiny.world".SIDE >> (#list_of(o.vae_widths) - 1)) end
  if options.fresh then misused("train_tiny_base has no --fresh", ("remove %s to begin anew"):format(state)) end
  local ok, message, code = fs.grant(folder, "write")
  local there = ok and fs.stat(folder)
  if there and there.kind ~= "folder" then misused(("%s is no folder"):format(folder), "name one that may be written; it is made if it is not there") end
  if ok then ok, message, code = fs.make_folder(state) end
  if not ok then script.fail { message = message, source = false, exit = code == "DENIED" and script.exits.denied or script.exits.failed } end
  -- One at a time: two would write over each other's states, and over the other's lines of log.txt.
  local lock <close>, busy, why = fs.lock(state)
  if not lock then script.fail { message = busy, source = false, exit = why == "BUSY" and AGAIN or script.exits.failed } end
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
