-- lora.lua - the training of a LoRA from beginning to end: encodings, plan, memory, resuming, steps, checkpoints, samples.
--
--   local result = lora.train { options =, model =, device =, pictures =, store =, say =, fail =, ... }
--   result.path                                          -- the LoRA file of the last step
--   local sampler = lora.sampler(result, { width = 512, height = 512 })
--
-- A run's folder is named after all that decides its numbers, so that other options get a folder of their own and nothing is overwritten:
--   checkpoints/wtrclr-3f2a91c0/step-000250.safetensors  LoRA files, usable as they are
--   checkpoints/wtrclr-3f2a91c0/last.state               parameters and moments in f32 of the last of them
--   checkpoints/wtrclr-3f2a91c0/until-000200.state       the same of a run to fewer steps than last.state stands at
--   checkpoints/wtrclr-3f2a91c0/samples/step-000250.png
--   checkpoints/wtrclr-3f2a91c0/run.json                 where it stands, for those who watch

local batches = require "train.batches"
local checkpoint = require "train.checkpoint"
local closing = require "train.closing"
local encoded = require "train.encoded"
local floats = require "train.floats"
local fs = require "native.fs"
local grid = require "train.grid"
local hash = require "native.hash"
local json = require "native.json"
local lives = require "train.live"
local log = require "native.log"
local loop = require "train.loop"
local lora_file = require "train.lora_file"
local memory = require "train.memory"
local network = require "train.network"
local rate = require "train.rate"
local runs = require "train.runs"
local safetensors = require "native.safetensors"
local sampler = require "train.sampler"
local schedule = require "models.schedule"
local script = require "native.script"
local set = require "recipe.set"
local sides = require "models.sides"
local size_text = require "size_text"

local lora = {}

local VERSION = 1 -- of what a run's numbers follow from
local STREAM = batches.STREAM
local KOHYA = { f16 = "fp16", bf16 = "bf16" } -- kohya's words for what is mixed in
local VALIDATION_TIMES = { 0.125, 0.375, 0.625, 0.875 } -- shares of all timesteps

-- Pictures as they are shown, by content.
local function digest_of(pictures)
  local rows = {}
  for i, p in ipairs(pictures) do
    local b = p.bucket
    rows[i] = json.array { p.sha256, p.caption, p.weight, b.width, b.height, b.scale_width, b.scale_height, b.crop_x, b.crop_y }
  end
  return hash.sha256(json.encode(json.array(rows)))
end

-- All that decides the numbers; two runs that agree here are one run.
local function identity(job, base)
  local o = job.options
  return {
    version = VERSION, base = base, pictures = digest_of(job.pictures),
    rank = o.rank, alpha = o.alpha, targets = o.targets, batch = o.batch, lr = { unet = o.lr.unet, text = o.lr.text }, warmup = o.warmup,
    weight_decay = o.weight_decay, clip = o.clip, min_snr = o.min_snr or 0, caption_dropout = o.caption_dropout, clip_skip = o.clip_skip,
    seed = o.seed, dtype = o.dtype or "as in the files", cooldown = o.cooldown > 0 and o.cooldown or nil, steps = o.cooldown > 0 and o.steps or nil,
  }
end

-- What a run was asked for besides: it may change without making another run, and what lies behind stays as it is.
local function asked(job)
  return { checkpoint = { every = job.options.checkpoint.every }, sample = job.options.sample, validate = job.held and job.held_digest or nil }
end

local function path_of(folder, step) return ("%s/step-%06d.safetensors"):format(folder, step) end

local function picture_of(folder, step) return ("%s/samples/step-%06d.png"):format(folder, step) end

-- The metadata of a LoRA file of ours; nil when there is none, or not a whole one.
local function metadata_in(path)
  local file = safetensors.open(path)
  return file and file.metadata.sshs_model_hash and file.metadata or nil
end

local function age(path)
  local info = fs.stat(path)
  return info and log.duration(math.max(0, os.time() - info.mtime_ns // 1000000000)) or "?"
end

-- --- Plans ---------------------------------------------------------------------------------------------------------------

-- One plan per size of pictures; the first has the optimizer and draws samples, the others share its weights and parameters. `open` closes them.
local function make_plans(job, graphs, open)
  local first = graphs[1]
  local bar <close> = log.progress("sizes planned", #graphs)
  for n, it in ipairs(graphs) do
    local message, code
    it.plan, message, code = job.device:plan(it.net.g.graph, { like = it ~= first and first.plan or nil })
    if not it.plan then return nil, message, code end
    open[#open + 1] = it.plan
    it.sizes = it.plan:sizes()
    job.plans[it.name] = it
    bar:set(n)
  end
  job.first = first
  return true
end

-- Refuse what does not fit, with the numbers; else the sum.
local function look_at_memory(job, graphs, sizes)
  local m = memory.sum(graphs)
  m.text = ("%s for weights, %s for parameters and moments, %s for what is computed in %s"):format(size_text(m.weights), size_text(m.states),
    size_text(m.arena), set.count(#graphs, "size"))
  if m.all > job.memory then
    job.fail(("training needs %s (%s), there %s %s"):format(size_text(m.all), m.text, job.options.memory and "may be" or "are", size_text(job.memory)),
      { hint = memory.hint(job, sizes, m.scratch) })
  end
  return m
end

-- --- A step --------------------------------------------------------------------------------------------------------------

-- What a plan is fed: rows = { { encoded =, caption =, t =, weight = }, ... }, as many as the batch.
local function feed(job, it, rows, random)
  local t, plan, noise = it.net.train, it.plan, job.noise
  local numbers = { t = {}, signal = {}, sigma = {}, ask_noise = {}, ask_x0 = {}, weight = {} }
  local latents, context, ids = {}, {}, {}
  for i, row in ipairs(rows) do
    latents[i] = row.encoded()
    numbers.t[i], numbers.weight[i] = row.t, row.weight
    numbers.signal[i], numbers.sigma[i] = noise:mix(row.t)
    numbers.ask_noise[i], numbers.ask_x0[i] = noise:target(row.t)
    if t.ids then
      for _, id in ipairs(job.ids[row.caption]) do ids[#ids + 1] = id end
    else
      context[i] = job.texts[row.caption]()
    end
  end
  latents = table.concat(latents)
  plan:set(t.encoded, latents)
  plan:set(t.draw, random:normal(#latents // 8))
  plan:set(t.noise, random:normal(#latents // 8))
  for name, list in pairs(numbers) do plan:set(t[name], floats.bytes(list)) end
  if t.ids then plan:set(t.ids, ids) else plan:set(t.context, table.concat(context)) end
end

local function run_step(job, i)
  local o, chosen = job.options, job.order:at(i)
  local it = job.plans[job.pictures[chosen[1]].size]
  local random, rows = hash.random(o.seed, STREAM.step + i), {}
  for k, n in ipairs(chosen) do
    local t = random:below(job.noise.steps)
    local caption, weight = job.pictures[n].caption, 1
    if random:uniform() < o.caption_dropout then caption = "" end
    if o.min_snr then weight = job.noise:weight(t, o.min_snr) end
    rows[k] = { encoded = job.latents[n], caption = caption, t = t, weight = weight }
  end
  feed(job, it, rows, random)
  local ok, message, code = it.plan:run "accumulate"
  if not ok then return nil, message, code end
  local first, adamw = job.first.plan, job.first.net.optimizer
  for name, number in pairs(adamw.numbers(job.updates + 1, job.rate(i))) do first:set(adamw.inputs[name], number) end
  ok, message, code = first:run "apply"
  if not ok then return nil, message, code end
  local loss, norm
  loss, message, code = it.plan:get(it.net.train.loss)
  if not loss then return nil, message, code end
  norm, message, code = first:get(adamw.norm)
  if not norm then return nil, message, code end
  if norm == norm and norm < math.huge then job.updates = job.updates + 1 end
  return loss, norm
end

-- The loss of held-out pictures at fixed timesteps and noise. Gradients are made on the way and thrown away: the segment that makes the
-- loss makes them too, and a plan of its own would need its own memory.
local function validate(job)
  local by, sizes, sum, count = {}, {}, 0, 0
  for n, picture in ipairs(job.held) do
    if not by[picture.size] then
      by[picture.size] = {}
      sizes[#sizes + 1] = picture.size
    end
    for k, share in ipairs(VALIDATION_TIMES) do
      table.insert(by[picture.size], { encoded = job.held_latents[n], caption = picture.caption, t = math.floor(share * job.noise.steps), weight = 1, k = k })
    end
  end
  table.sort(sizes)
  for _, size in ipairs(sizes) do
    local list, it = by[size], job.plans[size]
    for from = 1, #list, job.options.batch do
      local rows, real = {}, 0
      for k = 0, job.options.batch - 1 do
        local row = list[from + k]
        rows[k + 1] = row or { encoded = list[1].encoded, caption = list[1].caption, t = list[1].t, weight = 0 }
        if row then real = real + 1 end
      end
      feed(job, it, rows, hash.random(job.options.seed, STREAM.validation + from))
      local ok, message, code = it.plan:run "accumulate"
      if not ok then return nil, message, code end
      local loss
      loss, message, code = it.plan:get(it.net.train.loss)
      if not loss then return nil, message, code end
      sum, count = sum + loss * job.options.batch, count + real
    end
  end
  local gradients, message, code = job.first.plan:group "gradients"
  if not gradients then return nil, message, code end
  job.first.plan:set_group("gradients", ("\0"):rep(#gradients))
  return sum / count
end

-- --- What is kept --------------------------------------------------------------------------------------------------------

local function metadata_of(job, step)
  local o, model, noise = job.options, job.model, job.noise
  local second = model.unet.config.cross_attention_dim == 1024
  local v = noise.prediction == "v_prediction"
  local buckets, seen = {}, {}
  for _, p in ipairs(job.pictures) do
    if not seen[p.size] then
      seen[p.size] = { count = 0, resolution = json.array { p.bucket.width, p.bucket.height } }
      buckets[#buckets + 1] = p.size
    end
    seen[p.size].count = seen[p.size].count + 1
  end
  table.sort(buckets)
  local others = 0 -- pictures without the trigger, to keep the rest as it is
  for _, p in ipairs(job.pictures) do if p.other then others = others + 1 end end
  local info = {}
  for i, name in ipairs(buckets) do info[tostring(i - 1)] = seen[name] end
  local base_name = model.path:match "([^/]+)/*$"
  local metadata = {
    ss_base_model_version = second and (v and "sd_v2_v" or "sd_v2") or "sd_v1", ss_v2 = second and "True" or "False",
    ss_sd_model_name = base_name, ss_output_name = job.name, ss_resolution = ("(%d, %d)"):format(o.resolution, o.resolution),
    ss_learning_rate = o.lr.unet, ss_unet_lr = o.lr.unet, ss_text_encoder_lr = o.lr.text > 0 and o.lr.text or "None", ss_lr_warmup_steps = o.warmup,
    ss_lr_scheduler = o.cooldown > 0 and "warmup_stable_decay" or o.warmup > 0 and "constant_with_warmup" or "constant",
    ss_lr_decay_steps = o.cooldown > 0 and o.cooldown or nil,
    ss_optimizer = ("AdamW(weight_decay=%g,betas=(0.9, 0.999))"):format(o.weight_decay), ss_max_grad_norm = o.clip, ss_seed = o.seed,
    ss_min_snr_gamma = o.min_snr or "None", ss_caption_dropout_rate = o.caption_dropout, ss_clip_skip = o.clip_skip > 1 and o.clip_skip or "None",
    ss_num_train_images = #job.pictures - others, ss_num_validation_images = job.held and #job.held or 0, ss_num_reg_images = others,
    ss_num_batches_per_epoch = job.order.per_epoch, ss_epoch = job.order:round(step), ss_steps = step, ss_max_train_steps = o.steps,
    ss_network_args = o.targets == "everything" and json.encode { conv_dim = ("%d"):format(o.rank), conv_alpha = lora_file.text(o.alpha) } or nil,
    ss_batch_size_per_device = o.batch, ss_total_batch_size = o.batch, ss_bucket_info = json.encode { buckets = info },
    ss_training_started_at = job.started, ss_training_finished_at = os.time(), ss_mixed_precision = KOHYA[o.dtype] or "no", ss_cache_latents = "True",
    ["modelspec.architecture"] = second and (v and "stable-diffusion-v2-768-v/lora" or "stable-diffusion-v2-512/lora") or "stable-diffusion-v1/lora",
    ["modelspec.prediction_type"] = v and "v" or noise.prediction, ["modelspec.title"] = job.title or job.name, ["modelspec.author"] = job.author,
    ["modelspec.date"] = os.date("!%Y-%m-%dT%H:%M:%SZ"), ["modelspec.resolution"] = ("%dx%d"):format(o.resolution, o.resolution),
    ["modelspec.trigger_phrase"] = job.trigger, ["modelspec.timestep_range"] = ("0,%d"):format(noise.steps),
    ["calotype.seconds"] = job.note.seconds,
    ["calotype.dataset"] = job.identity.pictures, ["calotype.device"] = job.device_name,
    ["calotype.base_unet"] = job.base.unet, ["calotype.base_text_encoder"] = job.base.text_encoder, ["calotype.base_vae"] = job.base.vae,
    ["calotype.training"] = json.encode(job.identity), ["calotype.resumed_at"] = job.resumed and json.encode(json.array(job.resumed)) or nil,
  }
  for key, value in pairs(job.provenance or {}) do metadata[key] = value end
  return metadata
end

-- The held-out loss of a step into the note, in place of what was measured on the same pictures before.
local function measure(job, step)
  local loss, message, code = validate(job)
  if not loss then return nil, message, code end
  local fine, rows = loop.finite(loss), {}
  for _, row in ipairs(job.note.validation) do
    if row.step ~= step or (row.held and row.held ~= job.held_digest) then rows[#rows + 1] = row end
  end
  rows[#rows + 1] = { step = step, loss = fine and loss or json.null, held = job.held_digest }
  job.note.validation = rows
  if fine and job.live then job.live:held(step, loss) end
  job.say(("step %d: held-out loss %s"):format(step, fine and ("%.4f"):format(loss) or "not finite"))
  return true
end

local function write_file(job, step)
  local sum, message, code = lora_file.save(path_of(job.folder, step), job.first.net.lora, job.first.plan, { dtype = "f16", metadata = metadata_of(job, step) })
  if not sum then return nil, message, code end
  job.note.file = sum
  return true
end

local function write_state(job) return checkpoint.save(job.state, job.first.plan, job.kept, job.note) end

local function save(job, step)
  local note, ok, message, code = job.note, true, nil, nil
  if job.held and script.interrupted() == 0 then ok, message, code = measure(job, step) end
  if ok then ok, message, code = write_file(job, step) end
  if not ok then return nil, message, code end
  note.step, note.updates, note.asked = step, job.updates, asked(job)
  return write_state(job)
end

-- Loss by step, in JSON short enough for a header: means over as many steps as make 1000 points. What is not finite is no part of a mean.
local function remember_losses(job, account, from)
  local note = job.note
  for i, loss in ipairs(account) do
    local step, last, fine = from + i, note.losses[#note.losses], loop.finite(loss)
    if fine and last and last.step // note.stride == step // note.stride then
      last.sum, last.count = last.sum + loss, last.count + 1
    elseif fine then
      note.losses[#note.losses + 1] = { step = step, sum = loss, count = 1 }
    end
  end
end

-- What of `sample` decides a picture: how often it is drawn does not.
local function sample_digest(job)
  local o = job.options.sample
  return hash.sha256(json.encode { prompts = json.array(o.prompts), negative = o.negative, steps = o.steps, cfg = o.cfg, seed = o.seed, sampler = o.sampler })
end

local NONE = " is not finite" -- after the digest of a picture that could not be drawn

local function sample(job, step)
  local s, cells, path = job.options.sample, {}, picture_of(job.folder, step)
  for i, prompt in ipairs(s.prompts) do
    local picture, message, code = job.sampler:draw { prompt = prompt, negative = s.negative, seed = s.seed, strength = 1, steps = s.steps,
      cfg = s.cfg, sampler = s.sampler }
    if code == "NUMBER" then -- the run goes on: what it learns is looked at apart
      job.warn(("step %d: no sample: %s"):format(step, message))
      job.store:put("drawn", fs.absolute(path), sample_digest(job) .. NONE)
      return true
    end
    if not picture then return nil, message, code end
    cells[i] = { title = prompt, cells = { { picture = picture, label = ("step %d, seed %d"):format(step, s.seed) } } }
  end
  local sheet, places, code = grid(cells)
  if not sheet then return nil, places, code end
  local saved, message
  saved, message, code = sheet:save(path)
  if not saved then return nil, message, code end
  job.store:put("drawn", fs.absolute(path), sample_digest(job))
  if job.live then
    local rows = {}
    for i, prompt in ipairs(s.prompts) do rows[i] = { prompt = prompt, strength = 1, cells = json.array { json.array(places[i][1]) } } end
    job.live:sample { step = step, path = fs.absolute(path), width = sheet:width(), height = sheet:height(),
      rows = json.array(rows), seeds = json.array { s.seed } }
  end
  return true
end

-- What belongs to the step that a note stands at and is not there, because Ctrl-C came or because it was not asked for then.
local function owed(job, note)
  local o, step, missing = job.options, note.step, {}
  if step == 0 then return missing end
  missing.file = step == o.steps and not metadata_in(path_of(job.folder, step))
  if job.held and (step % o.checkpoint.every == 0 or step == o.steps) then
    missing.loss = true
    for _, row in ipairs(note.validation) do
      if row.step == step and (not row.held or row.held == job.held_digest) then missing.loss = false end
    end
  end
  if o.sample and step % o.sample.every == 0 then
    local path = picture_of(job.folder, step)
    local now, as = sample_digest(job), job.store:get("drawn", fs.absolute(path))
    missing.picture = as ~= now .. NONE and not (fs.stat(path) and (as or now) == now)
  end
  return missing
end

-- Make it up from the parameters of that step, which the plan holds.
local function make_up(job, missing)
  local step, ok, message, code = job.note.step, true, nil, nil
  if missing.file then
    ok, message, code = write_file(job, step)
    if ok then job.say(("%s was gone: written again from %s"):format(path_of(job.folder, step), job.from)) end
  end
  if ok and missing.loss and script.interrupted() == 0 then
    ok, message, code = measure(job, step)
    if ok and step == job.options.steps then ok, message, code = write_state(job) end -- else the next checkpoint keeps it
  end
  if ok and missing.picture and script.interrupted() == 0 then ok, message, code = sample(job, step) end
  return ok, message, code
end

-- --- The whole -----------------------------------------------------------------------------------------------------------

-- The states in this run's folder, by their steps.
local function states_of(job)
  local out = {}
  for _, entry in ipairs(fs.stat(job.folder) and fs.list(job.folder) or {}) do
    if entry.path:find "%.state$" then
      local note, message, code = checkpoint.note(entry.path)
      if not note then job.fail(("the run cannot go on: %s"):format(message), { code = code, hint = ("remove %s to begin anew"):format(entry.path) }) end
      out[#out + 1] = { path = entry.path, note = note }
    end
  end
  table.sort(out, function(a, b) return a.note.step < b.note.step end)
  return out
end

-- Where this run stands: the state to go on from and the one with the most steps, { path, note } each, nil to begin. Tells why an earlier
-- run is not gone on with, and chooses where this one is kept: a state beyond its steps stays.
local function look_back(job)
  local o = job.options
  local near = runs.remember(job.store, fs.absolute(o.checkpoint.to) .. "/" .. job.name, job)
  job.state = job.folder .. "/last.state"
  local from, most
  for _, it in ipairs(states_of(job)) do
    most = it
    if it.note.step <= o.steps then from = it end
  end
  if most and job.fresh then
    job.say(("not resuming: --fresh (%s stays until it is written again)"):format(job.folder))
    return nil
  end
  if most and most.note.step > o.steps then job.state = ("%s/until-%06d.state"):format(job.folder, o.steps) end
  if most then return from, most end
  if near then
    job.say(("not resuming: %s%s; %s stays as it is"):format(table.concat(near.causes, ", "), job.line and " (" .. job.line .. ")" or "", near.folder))
  end
end

-- Of a run that is done: what was asked for differently since. Its last step is made up for, the steps before are not there any more.
local function tell_changes(job, note)
  local seen, names = {}, {}
  local _, changed = checkpoint.differences(note.asked or asked(job), asked(job))
  for _, name in ipairs(changed) do
    name = name:gsub("%.%d+$", "")
    if not seen[name] then
      seen[name] = true
      names[#names + 1] = name
    end
  end
  if #names > 0 then
    job.say(("%s changed after these steps were done: what lies before the last of them stays as it is"):format(table.concat(names, ", ")))
  end
end

local function refuse(job, message, code, more)
  more = more or {}
  if job.live then job.live:ended(code == "INTERRUPT" and "interrupted" or "failed", message) end
  more.code = code
  if code == "LIMIT" or code == "MEMORY" then more.hint = more.hint or "a smaller resolution, batch or rank needs less" end
  if code == "INTERRUPT" then
    more.exit, more.hint = 130, more.hint or ("go on with: " .. job.again)
  end
  job.fail(message, more)
end

-- What a note tells of the run up to a step: it may be of a longer one. `metadata` are those of the step's file.
local function up_to(job, note, step, metadata)
  local part = {}
  for key, value in pairs(note) do part[key] = value end
  local function those(list, wanted)
    local out = {}
    for _, row in ipairs(list or {}) do if wanted(row) then out[#out + 1] = row end end
    return out
  end
  part.losses = those(note.losses, function(row) return row.step <= step end)
  part.validation = those(note.validation, function(row)
    return row.step <= step and job.held and (not row.held or row.held == job.held_digest)
  end)
  if note.step ~= step then
    part.step, part.seconds = step, tonumber(metadata["calotype.seconds"])
    part.resumed = json.decode(metadata["calotype.resumed_at"] or "[]")
  end
  part.file = metadata.sshs_model_hash
  return part
end

local function result_of(job, note, step)
  local path = path_of(job.folder, step)
  return {
    kind = "lora", items = {}, rejected = {}, cuts = {}, path = path, folder = job.folder, step = step,
    note = up_to(job, note, step, metadata_in(path) or {}),
    options = job.options, model = job.model, base = job.base, device = job.device, device_name = job.device_name, memory = job.memory,
    name = job.name, trigger = job.trigger, store = job.store, identity = job.identity, count = #job.pictures, held = job.held and #job.held or 0,
  }
end

-- The file for those who watch, as this run goes on.
local function watched(job)
  local o, losses, held = job.options, {}, {}
  for i, row in ipairs(job.note.losses) do losses[i] = { row.step, row.sum / row.count } end
  for _, row in ipairs(job.note.validation) do if row.loss ~= json.null then held[#held + 1] = { row.step, row.loss } end end
  return lives.open(job.folder, { name = job.name, title = job.title, trigger = job.trigger, steps = o.steps, step = job.note.step,
    losses = losses, held = held,
    base = job.model.path:match "([^/]+)/*$", pictures = #job.pictures, device = job.device_name, rank = o.rank, started = job.started,
    resumed = json.array(table.move(job.note.resumed or {}, 1, #(job.note.resumed or {}), 1, {})) })
end

--- Train, or go on, or find that it is done. `fail(message, more)` does not come back.
---@param job table
---@return table result
function lora.train(job)
  local o, model, store = job.options, job.model, job.store
  local began = log.clock()
  local function must(value, message, code)
    if not value then refuse(job, message, code) end
    return value, message
  end
  job.base = must(encoded.fingerprints(store, model))
  job.identity = identity(job, job.base)
  job.folder = ("%s/%s-%s"):format(o.checkpoint.to, job.name, hash.sha256(json.encode(job.identity)):sub(1, 8))
  job.held_digest = job.held and digest_of(job.held):sub(1, 16)
  local from, most = look_back(job)
  local missing = from and owed(job, from.note) or {}
  local path = path_of(job.folder, o.steps)
  -- Done already, now or on the way to more steps than are wanted now.
  local done = from and from.note.step == o.steps and from or most
  if done and done.note.step >= o.steps and metadata_in(path) then
    tell_changes(job, done.note)
    if done ~= from or not (missing.loss or missing.picture) then
      job.account(("%s, known: %s"):format(set.count(o.steps, "step"), path))
      return result_of(job, done.note, o.steps)
    end
  elseif most and not from then
    job.say(("not resuming: the checkpoint is at step %d, beyond steps = %d; it stays"):format(most.note.step, o.steps))
  end

  for _, folder in ipairs { job.folder, o.sample and job.folder .. "/samples" } do must(fs.writable(folder, true)) end
  job.noise = schedule.noise(model.scheduler)
  local all = table.move(job.pictures, 1, #job.pictures, 1, {})
  for _, picture in ipairs(job.held or {}) do all[#all + 1] = picture end
  local latents, made = must(encoded.latents { store = store, device = job.device, model = model, base = job.base, dtype = o.dtype, memory = job.memory,
    pictures = all })
  job.latents = table.move(latents, 1, #job.pictures, 1, {})
  job.held_latents = table.move(latents, #job.pictures + 1, #latents, 1, {})
  local texts, long = { "" }, 0
  for _, picture in ipairs(all) do texts[#texts + 1] = picture.caption end
  if o.sample then
    texts[#texts + 1] = o.sample.negative
    table.move(o.sample.prompts, 1, #o.sample.prompts, #texts + 1, texts)
  end
  job.ids = {}
  for _, text in ipairs(texts) do
    if not job.ids[text] then
      local ids, cut = must(model.tokenizer:encode(text, model.length))
      job.ids[text] = ids
      if cut > 0 then long = long + 1 end
    end
  end
  if long > 0 then
    job.warn(("%d %s longer than %d tokens; what is behind is not seen"):format(long, long == 1 and "caption is" or "captions are", model.length - 2))
  end
  local texts_made = 0
  if o.lr.text == 0 then
    job.texts, texts_made = must(encoded.texts { store = store, device = job.device, model = model, base = job.base, dtype = o.dtype,
      memory = job.memory, clip_skip = o.clip_skip, texts = texts })
  end
  job.say(("latents: %d made, %d known; text states: %s"):format(made, #all - made, o.lr.text > 0 and "made in each step" or ("%d made"):format(texts_made)))

  -- Sizes in a fixed order; the most frequent first, because its plan is the one that also draws.
  local sizes, by = {}, {}
  for _, picture in ipairs(all) do
    local it = by[picture.size]
    if not it then
      it = { name = picture.size, width = picture.bucket.width, height = picture.bucket.height, count = 0 }
      by[picture.size], sizes[#sizes + 1] = it, it
    end
    it.count = it.count + 1
  end
  table.sort(sizes, function(a, b)
    if a.count ~= b.count then return a.count > b.count end
    return a.name < b.name
  end)
  local graphs = must(memory.graphs(job, o, sizes))
  look_at_memory(job, graphs, sizes) -- before any is taken
  local open <close> = closing.list()
  job.plans = {}
  must(make_plans(job, graphs, open))
  local first = job.first
  if o.sample then
    job.sampler = must(sampler.new { device = job.device, model = model, net = first.net, plan = first.plan, dtype = o.dtype,
      states = function(text) return job.texts[text]() end })
    open[#open + 1] = job.sampler
    graphs.extra[1] = job.sampler.decoder:sizes()
  end
  local m = look_at_memory(job, graphs, sizes) -- now with what steps work in
  job.say(("memory: %s: %s; %s"):format(size_text(m.all), m.text, (o.memory and "it may use %s" or job.device:info().cpu and "%s are free now"
    or "the device has %s"):format(size_text(job.memory))))
  must(network.load(first.net, first.plan, model))
  if job.sampler then must(job.sampler:load()) end
  network.start(first.net, first.plan, o.seed)

  local parameters = {}
  for _, it in ipairs(first.net.lora.modules) do
    parameters[#parameters + 1] = { path = it.path .. ".down", value = it.down }
    parameters[#parameters + 1] = { path = it.path .. ".up", value = it.up }
  end
  job.kept = checkpoint.of(first.net.g.graph, parameters)
  if from then
    local resuming = from.note.step < o.steps
    if resuming then job.say(("resuming at step %d (checkpoint %s old)"):format(from.note.step, age(from.path))) end
    job.note, job.from = must(checkpoint.load(from.path, first.plan, job.kept)), from.path
    job.resumed = job.note.resumed
    if resuming then job.resumed[#job.resumed + 1] = from.note.step end
  else
    job.note = { step = 0, updates = 0, losses = {}, stride = 1, validation = {}, started = os.time(), seconds = 0, resumed = {} }
  end
  job.note.resumed, job.started = job.resumed or job.note.resumed, job.note.started
  job.updates = job.note.updates
  job.order = batches.new(job.pictures, { batch = o.batch, seed = o.seed })
  job.rate = rate.new { peak = o.lr.unet > 0 and o.lr.unet or o.lr.text, steps = o.steps, warmup = o.warmup, cooldown = o.cooldown }

  job.live = watched(job)
  must(make_up(job, missing))
  local begin = job.note.step
  local done_before = job.note.seconds
  local counted = begin
  job.note.stride = math.max(job.note.stride, o.steps // 1000)
  local losses = {}
  local each = {}
  if o.sample then each[1] = { every = o.sample.every, run = function(step) return sample(job, step) end } end
  local ended, account, code, message = loop.run {
    label = "training", steps = o.steps, from = begin, warn = job.warn, each = each, save_every = o.checkpoint.every,
    step = function(i)
      local loss, norm, problem = run_step(job, i)
      if loss then
        losses[#losses + 1] = loss
        job.live:step(i, loss, job.rate(i))
      end
      return loss, norm, problem
    end,
    save = function(step)
      remember_losses(job, losses, counted)
      losses, counted = {}, step
      job.note.seconds = done_before + (log.clock() - began)
      return save(job, step)
    end,
  }
  if not ended then
    local saved = message and message.saved or begin
    local hint
    if code == "NUMBER" then
      hint = "lower lr" .. (o.dtype == "f16" and ", or take dtype = \"bf16\"" or "")
      if saved > 0 then account = account .. ": " .. path_of(job.folder, saved) end
    elseif code == "INTERRUPT" then
      hint = ("go on from step %d with: %s"):format(saved, job.again)
    end
    refuse(job, account, code, { hint = hint })
  end
  if ended == "interrupted" then
    refuse(job, ("stopped after step %d of %d; %s is kept"):format(account.done, o.steps, path_of(job.folder, account.saved)), "INTERRUPT")
  end
  job.live:ended "done"
  local ran = o.steps - begin
  if ran > 0 then
    job.account(("%s%s%s%s, %.2f s a step: %s"):format(set.count(o.steps, "step"), ran < o.steps and (" (%d now)"):format(ran) or "",
      account.loss and (", loss %.4f"):format(account.loss) or "",
      account.skipped > 0 and (", %d skipped"):format(account.skipped) or "", account.seconds / ran, path))
  else
    job.account(("%s, known: %s"):format(set.count(o.steps, "step"), path))
  end
  local result = result_of(job, job.note, o.steps)
  result.trained = ran > 0
  return result
end

--- A sampler with a trained LoRA: a plan of its own. `states` of the prompts are made and kept where the text encoder is frozen.
---@param result table
---@param size { width: integer, height: integer }
---@param prompts string[]
---@return table? sampler
---@return string? message
---@return string? code
function lora.sampler(result, size, prompts)
  local o, model = result.options, result.model
  local canvas = sides.latents(model, size.width, size.height)
  local texts, message, code
  if o.lr.text == 0 then
    texts, message, code = encoded.texts { store = result.store, device = result.device, model = model, base = result.base, dtype = o.dtype,
      memory = result.memory, clip_skip = o.clip_skip, texts = prompts }
    if not texts then return nil, message, code end
  end
  local net = network.build(model, { rank = o.rank, alpha = o.alpha, targets = o.targets, text = o.lr.text > 0, unet = o.lr.unet > 0,
    device = result.device, dtype = o.dtype, clip_skip = o.clip_skip, canvas = canvas, sample = true })
  local decoder = sampler.decoder { device = result.device, model = model, net = net, dtype = o.dtype }
  local bytes = {}
  for i, g in ipairs { net.g, decoder.g } do
    bytes[i], message, code = result.device:sizes(g.graph)
    if not bytes[i] then return nil, message, code end
  end
  local all = memory.sum({ { sizes = bytes[1] }, extra = { bytes[2] } }).all
  if all > result.memory then -- before any is taken; `ready` looks again, with what steps work in
    return nil, ("drawing needs %s, there are %s; a smaller size needs less"):format(size_text(all), size_text(result.memory)), "LIMIT"
  end
  local plan
  plan, message, code = result.device:plan(net.g.graph)
  if not plan then return nil, message, code end
  local drawing
  drawing, message, code = sampler.new { device = result.device, model = model, net = net, plan = plan, dtype = o.dtype, owns_plan = true,
    states = function(text) return texts[text]() end }
  if not drawing then return nil, message, code end
  return drawing:ready(result.memory, function()
    local ok
    ok, message, code = network.load(net, plan, model)
    if not ok then return nil, message, code end
    return lora_file.load(result.path, net.lora, plan)
  end)
end

return lora
