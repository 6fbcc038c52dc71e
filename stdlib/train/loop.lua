-- loop.lua - steps one after another, what happens between them, and how they end.
--
--   local ended = loop.run {
--     label = "training", from = checkpoint_step, to = 1500,
--     step = function(i) ... return loss, norm end,             -- feeds, accumulates, applies; nil, message, code when the device refused
--     save = function(step) ... end, save_every = 250,          -- a checkpoint; also at the end, and when Ctrl-C stops the run
--     each = { { every = 100, run = function(step) ... end } }, -- samples, validation
--   }
--   ended.why                                                   -- "done", "interrupt" (the first Ctrl-C), "now" (the second), "not finite"
--
-- A step whose gradients are not finite changed nothing (the device skipped it); after three in a row the loop ends with what the last
-- checkpoint holds. Steps are numbered from 1: what a step does may depend on its number and on the parameters, on nothing else, and then
-- k steps, a checkpoint and the rest are bit for bit all steps at once.

local log = require "native.log"
local script = require "native.script"

local loop = {}

local MOST_SKIPPED = 3
local SMOOTH = 0.05 -- share of a new loss in the one that is shown

local function finite(x) return x == x and x ~= math.huge and x ~= -math.huge end

---@class calotype.Loop
---@field label string
---@field from? integer steps that are done already
---@field to integer
---@field step fun(i: integer): number?, number|string?, string? loss and norm of the gradients, or nil, message, code
---@field save? fun(step: integer)
---@field save_every? integer
---@field each? { every: integer, run: fun(step: integer) }[]
---@field say? fun(text: string)
---@field stopped? fun(): integer 0, or how often Ctrl-C was pressed

--- Run the steps. Refusals of the device come back as nil, message, code; a second Ctrl-C as why = "now".
---@param job calotype.Loop
---@return { why: string, step: integer, saved: integer, loss?: number, skipped: integer, losses: number[], seconds: number }?
---@return string? message
---@return string? code
function loop.run(job)
  local from, say, stopped = job.from or 0, job.say or function(text) log.say("warning", text) end, job.stopped or script.interrupted
  local ended = { step = from, saved = from, skipped = 0, losses = {} }
  local began, row = log.clock(), 0
  local bar <close> = log.progress(job.label, job.to - from)

  local function save()
    if job.save and ended.saved ~= ended.step then job.save(ended.step) end
    ended.saved = ended.step
  end
  local function finish(why)
    ended.why, ended.seconds = why, log.clock() - began
    return ended
  end

  if stopped() > 0 then return finish "interrupt" end
  for i = from + 1, job.to do
    local loss, norm, code = job.step(i)
    if not loss then
      if code == "INTERRUPT" then return finish "now" end
      return nil, norm, code
    end
    ended.step = i
    ended.losses[i - from] = loss
    if finite(loss) and finite(norm) then
      row = 0
      ended.loss = ended.loss and ended.loss + SMOOTH * (loss - ended.loss) or loss
    else
      row, ended.skipped = row + 1, ended.skipped + 1
      say(("step %d: %s; its update was skipped"):format(i, finite(loss) and "the gradients are not finite" or ("the loss is %s"):format(loss)))
      if row == MOST_SKIPPED then return finish "not finite" end
    end
    bar:note(("loss %.4f"):format(ended.loss or loss))
    bar:set(i - from)
    if job.save_every and i % job.save_every == 0 and row == 0 then save() end
    for _, hook in ipairs(job.each or {}) do
      if i % hook.every == 0 and stopped() == 0 then hook.run(i) end
    end
    local level = stopped()
    if level > 1 then return finish "now" end
    if level == 1 then
      if row == 0 then save() end
      return finish "interrupt"
    end
  end
  if row == 0 then save() end
  return finish "done"
end

return loop
