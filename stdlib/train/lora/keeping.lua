-- keeping.lua - what is kept of a step: its LoRA file, the state that the run goes on from, the loss of held-out pictures.
--
--   keeping.save(job, 250)                          -- nil, message, code when refused
--   local missing = keeping.missing(job, note)      --> { file = true, loss = true, picture = true } of the step that a note stands at
--   keeping.make_up(job, missing)                   -- from the parameters of that step, which the plan holds

local checkpoint = require "train.checkpoint"
local files = require "train.lora.files"
local identity = require "train.lora.identity"
local lora_file = require "train.lora_file"
local loop = require "train.loop"
local metadata = require "train.lora.metadata"
local notes = require "train.lora.note"
local samples = require "train.lora.samples"
local script = require "native.script"
local validation = require "train.lora.validation"

local keeping = {}

local function measure(job, step)
  local loss, message, code = validation(job)
  if not loss then return nil, message, code end
  notes.set_held(job.note, step, loss, job.held_digest)
  local fine = loop.finite(loss)
  if fine then job.live:held(step, loss) end
  job.say(("step %d: held-out loss %s"):format(step, fine and ("%.4f"):format(loss) or "not finite"))
  return true
end

local function write_file(job, step)
  local sum, message, code = lora_file.save(files.lora(job.folder, step), job.first.net.lora, job.first.plan,
    { dtype = "f16", metadata = metadata(job, step) })
  if not sum then return nil, message, code end
  job.note.file = sum
  return true
end

local function write_state(job) return checkpoint.save(job.state, job.first.plan, job.kept, job.note) end

--- A checkpoint. After Ctrl-C nothing is measured any more: it is made up for when the run goes on.
---@param job calotype.Training
---@param step integer
---@return boolean? ok
---@return string? message
---@return string? code
function keeping.save(job, step)
  local note, ok, message, code = job.note, true, nil, nil
  if job.held and script.interrupted() == 0 then ok, message, code = measure(job, step) end
  if ok then ok, message, code = write_file(job, step) end
  if not ok then return nil, message, code end
  note.step, note.updates, note.asked = step, job.updates, identity.besides(job)
  return write_state(job)
end

--- What belongs to the step that a note stands at and is not there, because Ctrl-C came or because it was not asked for then.
---@param job calotype.Training
---@param note calotype.Note
---@return { file?: boolean, loss?: boolean, picture?: boolean }
function keeping.missing(job, note)
  local o, step, missing = job.options, note.step, {}
  if step == 0 then return missing end
  missing.file = step == o.steps and not lora_file.metadata(files.lora(job.folder, step))
  if job.held and (step % o.checkpoint.every == 0 or step == o.steps) then missing.loss = not notes.has_held(note, step, job.held_digest) end
  if o.sample and step % o.sample.every == 0 then missing.picture = not samples.are_drawn(job, step) end
  return missing
end

---@param job calotype.Training with its note
---@param missing { file?: boolean, loss?: boolean, picture?: boolean }
---@return boolean? ok
---@return string? message
---@return string? code
function keeping.make_up(job, missing)
  local step, ok, message, code = job.note.step, true, nil, nil
  if missing.file then
    ok, message, code = write_file(job, step)
    if ok then job.say(("%s was gone: written again from %s"):format(files.lora(job.folder, step), job.from)) end
  end
  if ok and missing.loss and script.interrupted() == 0 then
    ok, message, code = measure(job, step)
    if ok and step == job.options.steps then ok, message, code = write_state(job) end -- else the next checkpoint keeps it
  end
  if ok and missing.picture and script.interrupted() == 0 then ok, message, code = samples.draw(job, step) end
  return ok, message, code
end

return keeping
