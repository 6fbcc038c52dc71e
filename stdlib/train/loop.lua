-- loop.lua - step after step: a bar with what is left and the loss, what happens between steps, checkpoints, and a good end.
--
--   local ended, account = loop.run {
--     label = "training", steps = 1500, from = 400,
--     step = function(i) ... return loss, norm end,       -- i is 401 first; feeds, accumulates, applies; nil, message, code when refused
--     save = function(done) return checkpoint.save(path, plan, kept, { step = done }) end, save_every = 250,
--     each = { { every = 100, run = function(done) ... end } },
--   }
--   if ended == "interrupted" then ... exit with 130 ... end
--
-- A step whose loss or gradients are not finite changed nothing (the optimizer skips it on the device): it is said, and after three in a
-- row the run stops with what the last checkpoint holds. The last step and the one that Ctrl-C ends are kept all the same: the parameters
-- are as good as before. Steps are numbered from 1: where a step depends on its number and on the parameters only, k steps, a checkpoint and
-- the rest are bit for bit all steps at once.

local log = require "native.log"
local script = require "native.script"

local loop = {}

local WORST = 3 -- steps in a row that are not finite
local SMOOTH = 0.05 -- share of a new loss in the one that the bar shows

--- Neither infinite nor no number at all.
---@param x number
---@return boolean
function loop.finite(x) return x == x and x ~= math.huge and x ~= -math.huge end
local finite = loop.finite

---@class calotype.Loop
---@field label string of the bar
---@field steps integer all of them
---@field from? integer how many are done
---@field step fun(i: integer): number?, number|string?, string? loss and norm of the gradients | nil, message, code
---@field save? fun(done: integer): boolean?, string?, string? also at the end, and when Ctrl-C stops the run
---@field save_every? integer steps between two checkpoints
---@field seconds? number seconds between two checkpoints
---@field each? { every: integer, run: fun(done: integer): boolean?, string?, string? }[] samples, validation; false, message, code when refused
---@field every? integer steps between two lines and two calls of `watch`
---@field watch? fun(done: integer) measures something
---@field say? fun(line: string) where the lines go
---@field warn? fun(line: string) where skipped steps are said; `say` when left out
---@field stopped? fun(): integer how often Ctrl-C was pressed

---@class calotype.LoopAccount
---@field done integer the last step that ran
---@field saved integer the step of the last checkpoint
---@field skipped integer updates that were skipped
---@field losses number[] of the steps that ran, from `from` + 1
---@field loss? number smoothed
---@field seconds number

--- Run the steps that are not done yet. Refusals: "NUMBER" after three skipped steps, "INTERRUPT" at the second Ctrl-C (no checkpoint).
---@param options calotype.Loop
---@return "done" | "interrupted" | nil ended
---@return calotype.LoopAccount|string account or message
---@return string? code
---@return calotype.LoopAccount? account of what was refused
function loop.run(options)
  local from, steps = options.from or 0, options.steps
  local say, stopped = options.say or function() end, options.stopped or script.interrupted
  local warn = options.warn or say
  local account = { done = from, saved = from, skipped = 0, losses = {}, seconds = 0 }
  if from >= steps then return "done", account end
  local bar <close> = log.progress(options.label, steps - from)
  local begun = log.clock()
  local saved_at, sum, count, bad = begun, 0.0, 0, 0

  local function save()
    if not options.save or account.saved == account.done then return true end
    local ok, message, code = options.save(account.done)
    if not ok then return nil, message, code end
    account.saved, saved_at = account.done, log.clock()
    return true
  end
  local function refused(message, code)
    account.seconds = log.clock() - begun
    return nil, message, code, account
  end

  for i = from + 1, steps do
    local loss, norm, code = options.step(i)
    if not loss then return refused(norm, code) end
    account.done = i
    account.losses[i - from] = loss
    if finite(loss) and (norm == nil or finite(norm)) then
      sum, count, bad = sum + loss, count + 1, 0
      account.loss = account.loss and account.loss + SMOOTH * (loss - account.loss) or loss
    else
      bad, account.skipped = bad + 1, account.skipped + 1
      warn(("step %d: %s; its update was skipped"):format(i, finite(loss) and "the gradients are not finite" or ("the loss is %s"):format(loss)))
      if bad == WORST then
        return refused(("%d steps in a row were not finite, up to step %d; the checkpoint of step %d is kept"):format(WORST, i, account.saved), "NUMBER")
      end
    end
    bar:note(("loss %.4f"):format(account.loss or loss))
    bar:set(i - from)
    if options.every and (i % options.every == 0 or i == steps) then
      local each = (log.clock() - begun) / (i - from)
      say(("%s step %d of %d: loss %.5f, %.4f s a step, %s left"):format(options.label, i, steps, count > 0 and sum / count or 0 / 0, each,
        log.duration(each * (steps - i))))
      sum, count = 0.0, 0
      if options.watch then options.watch(i) end
    end
    local level = stopped()
    if level > 1 then return refused(("stopped in step %d; the checkpoint of step %d is kept"):format(i, account.saved), "INTERRUPT") end
    local due = (options.save_every and i % options.save_every == 0) or (options.seconds and log.clock() - saved_at >= options.seconds)
    if level == 1 or i == steps or (due and bad == 0) then
      local ok, message
      ok, message, code = save()
      if not ok then return refused(message, code) end
    end
    for _, hook in ipairs(options.each or {}) do
      if i % hook.every == 0 and stopped() == 0 then
        local ok, message
        ok, message, code = hook.run(i)
        if ok == nil and message then return refused(message, code) end
      end
    end
    if stopped() > 0 and i < steps then
      local ok, message
      ok, message, code = save() -- Ctrl-C may have come while something was drawn
      if not ok then return refused(message, code) end
      account.seconds = log.clock() - begun
      say(("%s: stopped after step %d of %d, kept"):format(options.label, account.saved, steps))
      return "interrupted", account
    end
  end
  account.seconds = log.clock() - begun
  return "done", account
end

return loop
