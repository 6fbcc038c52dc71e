-- resume.lua - where a run stands before it begins: what is done, what it goes on from, and why an earlier one is not gone on with.
--
--   local from, most = resume.find(job)             -- states, { path =, note = } each; nil to begin
--   local note = resume.done(job, from, most, missing)
--   resume.begin(job, from)                         -- job.note, and the parameters and moments into the plan

local checkpoint = require "train.checkpoint"
local files = require "train.lora.files"
local fs = require "native.fs"
local identity = require "train.lora.identity"
local log = require "native.log"
local lora_file = require "train.lora_file"
local notes = require "train.lora.note"
local runs = require "train.runs"

local resume = {}

-- The states in this run's folder, by their steps.
local function states_of(job)
  local out = {}
  for i, path in ipairs(files.states(job.folder)) do
    local note, message, code = checkpoint.note(path)
    if not note then job.fail(("the run cannot go on: %s"):format(message), { code = code, hint = ("remove %s to begin anew"):format(path) }) end
    out[i] = { path = path, note = note }
  end
  table.sort(out, function(a, b) return a.note.step < b.note.step end)
  return out
end

--- The state to go on from and the one with the most steps; nil to begin. Tells why an earlier run is not gone on with, and chooses where
--- this one is kept: a state beyond its steps stays.
---@param job calotype.Training with its folder
---@return { path: string, note: calotype.Note }? from
---@return { path: string, note: calotype.Note }? most
function resume.find(job)
  local o = job.options
  local near = runs.remember(job.store, fs.absolute(o.checkpoint.to) .. "/" .. job.name, job)
  job.state = files.last_state(job.folder)
  local from, most
  for _, it in ipairs(states_of(job)) do
    most = it
    if it.note.step <= o.steps then from = it end
  end
  if most and job.fresh then
    job.say(("not resuming: --fresh (%s stays until it is written again)"):format(job.folder))
    return nil
  end
  if most and most.note.step > o.steps then job.state = files.state_until(job.folder, o.steps) end
  if most then return from, most end
  if near then
    job.say(("not resuming: %s%s; %s stays as it is"):format(table.concat(near.causes, ", "), job.line and " (" .. job.line .. ")" or "", near.folder))
  end
end

-- Of a run that is done: what was asked for differently since. Its last step is made up for, the steps before are not there any more.
local function tell_changes(job, note)
  local seen, names, now = {}, {}, identity.besides(job)
  local _, changed = checkpoint.differences(note.asked or now, now)
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

--- The note of a run whose steps are all done, now or on the way to more than are wanted now, with nothing left to make up; nil when there
--- is something to do. Tells what was asked for differently since.
---@param job calotype.Training
---@param missing { loss?: boolean, picture?: boolean } of `from`
---@return calotype.Note?
function resume.done(job, from, most, missing)
  local steps = job.options.steps
  local done = from and from.note.step == steps and from or most
  if done and done.note.step >= steps and lora_file.metadata(files.lora(job.folder, steps)) then
    tell_changes(job, done.note)
    if done ~= from or not (missing.loss or missing.picture) then return done.note end
  elseif most and not from then
    job.say(("not resuming: the checkpoint is at step %d, beyond steps = %d; it stays"):format(most.note.step, steps))
  end
end

local function age(path)
  local info = fs.stat(path)
  return info and log.duration(math.max(0, os.time() - info.mtime_ns // 1000000000)) or "?"
end

-- Every parameter by its name, in the graph's order.
local function parameters_of(lora)
  local list = {}
  for _, it in ipairs(lora.modules) do
    list[#list + 1] = { path = it.path .. ".down", value = it.down }
    list[#list + 1] = { path = it.path .. ".up", value = it.up }
  end
  return list
end

--- Begin, or put a state back into the plan.
---@param job calotype.Training with its plans
---@param from? { path: string, note: calotype.Note }
---@return boolean? ok
---@return string? message
---@return string? code
function resume.begin(job, from)
  job.kept = checkpoint.of(job.first.net.g.graph, parameters_of(job.first.net.lora))
  if from then
    local resuming = from.note.step < job.options.steps
    if resuming then job.say(("resuming at step %d (checkpoint %s old)"):format(from.note.step, age(from.path))) end
    local message, code
    job.note, message, code = checkpoint.load(from.path, job.first.plan, job.kept)
    if not job.note then return nil, message, code end
    job.from = from.path
    if resuming then table.insert(job.note.resumed, from.note.step) end
  else
    job.note = notes.new()
  end
  job.updates = job.note.updates
  return true
end

return resume
