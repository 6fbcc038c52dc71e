-- lora.lua - the training of a LoRA from beginning to end: what is known, encodings, plans, steps, and what it comes to. Its parts lie in lora/.
--
--   local result = lora.train { options =, model =, device =, pictures =, store =, say =, fail =, ... }
--   result.path                                          -- the LoRA file of the last step
--   local drawing = require "train.lora.sampler"(result, { width = 512, height = 512 }, { "a red door" })
--
-- A run has a folder of its own (lora/files.lua), named after all that decides its numbers (lora/identity.lua).

local batches = require "train.batches"
local closing = require "train.closing"
local encoded = require "train.encoded"
local feed = require "train.lora.feed"
local files = require "train.lora.files"
local fs = require "native.fs"
local identity = require "train.lora.identity"
local json = require "native.json"
local keeping = require "train.lora.keeping"
local lives = require "train.live"
local log = require "native.log"
local loop = require "train.loop"
local lora_file = require "train.lora_file"
local notes = require "train.lora.note"
local plans = require "train.lora.plans"
local rate = require "train.rate"
local resume = require "train.lora.resume"
local samples = require "train.lora.samples"
local set = require "recipe.set"
local step = require "train.lora.step"

local lora = {}

---@class calotype.Training
--- what is given:
---@field options table of :train_lora
---@field model table an open base (models.folder)
---@field device userdata
---@field device_name string
---@field memory number bytes that may be used
---@field store table of the project
---@field pictures table[] { path, sha256, caption, weight, bucket, size = "512x768", other = without the trigger }
---@field held? table[] pictures that are held out
---@field name string of the run's folder
---@field trigger? string
---@field title? string
---@field author? string
---@field line? string what else there is to say of the recipe's line
---@field provenance? table<string, string> metadata that win
---@field again string the command that goes on
---@field fresh? boolean begin anew
---@field say fun(text: string)
---@field warn fun(text: string)
---@field account fun(text: string) the last word
---@field fail fun(message: string, more: table) does not come back
--- what comes to be, in this order:
---@field base table<string, string> fingerprints (train.encoded)
---@field identity table
---@field folder string of the run
---@field held_digest? string of the held-out pictures
---@field state string path of the state that is written
---@field all table[] pictures, then those held out
---@field noise table a schedule (models.schedule)
---@field latents (fun(): string)[] of the pictures
---@field held_latents (fun(): string)[]
---@field ids table<string, integer[]> tokens by text
---@field texts? table<string, fun(): string> states by text, where the text encoder is frozen
---@field plans table<string, table> { name, net, plan, sizes } by size
---@field first table the one of them that has the optimizer
---@field sampler? table
---@field kept calotype.Kept
---@field note calotype.Note
---@field from? string path of the state it went on from
---@field updates integer steps whose update was not skipped
---@field order table of train.batches
---@field rate fun(step: integer): number
---@field live table of train.live

local function refuse(job, message, code, hint)
  if job.live then job.live:ended(code == "INTERRUPT" and "interrupted" or "failed", message) end
  local more = { code = code, hint = hint }
  if code == "LIMIT" or code == "MEMORY" then more.hint = hint or "a smaller resolution, batch or rank needs less" end
  if code == "INTERRUPT" then
    more.exit, more.hint = 130, hint or ("go on with: " .. job.again)
  end
  job.fail(message, more)
end

local function result_of(job, note)
  local steps = job.options.steps
  local path = files.lora(job.folder, steps)
  return {
    kind = "lora", items = {}, rejected = {}, cuts = {}, path = path, folder = job.folder, step = steps,
    note = notes.up_to(note, steps, job.held_digest, lora_file.metadata(path) or {}),
    options = job.options, model = job.model, base = job.base, device = job.device, device_name = job.device_name, memory = job.memory,
    name = job.name, trigger = job.trigger, store = job.store, identity = job.identity, count = #job.pictures, held = job.held and #job.held or 0,
  }
end

local function tell_known(job)
  job.account(("%s, known: %s"):format(set.count(job.options.steps, "step"), files.lora(job.folder, job.options.steps)))
end

-- The file for those who watch, as this run goes on.
local function open_live(job)
  local o, losses, held = job.options, {}, {}
  for i, row in ipairs(job.note.losses) do losses[i] = { row.step, row.sum / row.count } end
  for _, row in ipairs(job.note.validation) do if row.loss ~= json.null then held[#held + 1] = { row.step, row.loss } end end
  return lives.open(job.folder, { name = job.name, title = job.title, trigger = job.trigger, steps = o.steps, step = job.note.step,
    losses = losses, held = held,
    base = job.model.path:match "([^/]+)/*$", pictures = #job.pictures, device = job.device_name, rank = o.rank, started = job.note.started,
    resumed = json.array(table.move(job.note.resumed or {}, 1, #(job.note.resumed or {}), 1, {})) })
end

-- The steps that are not done yet, as loop.run has it. `began`: when, on log.clock.
local function run_steps(job, began)
  local o, note = job.options, job.note
  local before, counted, losses = note.seconds, note.step, {}
  note.stride = math.max(note.stride, o.steps // 1000)
  return loop.run {
    label = "training", steps = o.steps, from = note.step, warn = job.warn, save_every = o.checkpoint.every,
    each = o.sample and { { every = o.sample.every, run = function(i) return samples.draw(job, i) end } } or nil,
    step = function(i)
      local loss, norm, code = step(job, i)
      if loss then
        losses[#losses + 1] = loss
        job.live:step(i, loss, job.rate(i))
      end
      return loss, norm, code
    end,
    save = function(i)
      notes.add_losses(note, losses, counted)
      losses, counted = {}, i
      note.seconds = before + (log.clock() - began)
      return keeping.save(job, i)
    end,
  }
end

-- A run that did not come to its end: why, and what is kept of it.
local function tell_refused(job, message, code, saved)
  local hint
  if code == "NUMBER" then
    hint = "lower lr" .. (job.options.dtype == "f16" and ", or take dtype = \"bf16\"" or "")
    if saved > 0 then message = message .. ": " .. files.lora(job.folder, saved) end
  elseif code == "INTERRUPT" then
    hint = ("go on from step %d with: %s"):format(saved, job.again)
  end
  refuse(job, message, code, hint)
end

local function tell_done(job, ran, account)
  if ran == 0 then return tell_known(job) end
  local steps = job.options.steps
  job.account(("%s%s%s%s, %.2f s a step: %s"):format(set.count(steps, "step"), ran < steps and (" (%d now)"):format(ran) or "",
    account.loss and (", loss %.4f"):format(account.loss) or "",
    account.skipped > 0 and (", %d skipped"):format(account.skipped) or "", account.seconds / ran, files.lora(job.folder, steps)))
end

--- Train, or go on, or find that it is done.
---@param job calotype.Training what is given of it
---@return table result { path =, folder =, step =, note =, ... } and what drawing with it needs; trained: whether there were steps to do
function lora.train(job)
  local o, began = job.options, log.clock()
  local function must(value, message, code)
    if not value then refuse(job, message, code) end
    return value
  end
  job.base = must(encoded.fingerprints(job.store, job.model))
  job.identity = identity.of(job)
  job.folder = identity.folder(job)
  job.held_digest = job.held and identity.digest(job.held):sub(1, 16)
  local from, most = resume.find(job)
  local missing = from and keeping.missing(job, from.note) or {}
  local done = resume.done(job, from, most, missing)
  if done then
    tell_known(job)
    return result_of(job, done)
  end

  for _, folder in ipairs { job.folder, o.sample and files.samples_folder(job.folder) } do must(fs.writable(folder, true)) end
  -- One process works in it: two would write over each other's states. What may still refuse leaves no folder behind.
  local lock <close> = fs.stat(job.folder) and must(fs.lock(job.folder))
  job.all = table.move(job.pictures, 1, #job.pictures, 1, {})
  for _, picture in ipairs(job.held or {}) do job.all[#job.all + 1] = picture end
  must(feed.prepare(job))
  local open <close> = closing.list()
  must(plans.make(job, open))
  must(fs.make_folder(job.folder))
  local _ <close> = not lock and must(fs.lock(job.folder))
  must(resume.begin(job, from))
  job.order = batches.new(job.pictures, { batch = o.batch, seed = o.seed })
  job.rate = rate.new { peak = o.lr.unet > 0 and o.lr.unet or o.lr.text, steps = o.steps, warmup = o.warmup, cooldown = o.cooldown }
  job.live = open_live(job)
  must(keeping.make_up(job, missing))

  local begin = job.note.step
  local ended, account, code, stood = run_steps(job, began)
  if not ended then tell_refused(job, account, code, stood and stood.saved or begin) end
  if ended == "interrupted" then
    refuse(job, ("stopped after step %d of %d; %s is kept"):format(account.done, o.steps, files.lora(job.folder, account.saved)), "INTERRUPT")
  end
  job.live:ended "done"
  tell_done(job, o.steps - begin, account)
  local result = result_of(job, job.note)
  result.trained = o.steps > begin
  return result
end

return lora
