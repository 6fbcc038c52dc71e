-- verdicts.lua - what an answer means: for its picture, for the model that was asked, for the service.
--
--   verdicts.take(asking, job, reply)      -- its words are handed on, or the picture is asked for again, or left; a model that is gone, full
--                                          -- or out of quota is left for the next; or all asking stops
--
-- A blocked picture never goes to another model.
local prompts = require "caption.prompts"
local settings = require "caption.settings"
local tally = require "caption.tally"
local telling = require "caption.telling"

local M = {}

local AGAIN = 2 -- how often a question is asked that brings no words
local STRAINED = 3 -- so many pictures one after another that a model had no room for: it is left ...
local FRESH_STRAINED = 2 -- ... and so many where it answered nothing yet: one is enough ...
local LONG = 30 -- ... that was waited for so many seconds
local UNREACHABLE = 3 -- so many failures one after another, none from the service itself: it is given up
local REFUSED = 3 -- so many pictures refused and none described: the question itself is wrong

-- Did the service itself say something? An answer that broke off on its way is none, whatever it began with.
local function answered(reply)
  local status = reply.status or 0
  return status > 0 and not (reply.verdict == "failed" and status < 300)
end

-- The same question once more, of another model: this attempt does not count.
local function ask_another(asking, job)
  asking:again(job)
  job.tries = job.tries - 1
end

-- One function for each verdict of native.net: fun(asking, job, reply, cost, why)
local on = {}

function on.done(asking, job, reply, cost)
  local asked = job.asked or asking.asked
  local text, complaint = (asked.read or prompts.read)(asked, reply.text)
  if not text then return on.empty(asking, job, reply, cost, complaint) end
  job.model.strained, job.model.answered = 0, true
  asking.done = asking.done + 1
  asking.emit(job.n, text, { model = reply.model and reply.model ~= "" and reply.model or job.model.id, prompt = asked.id, cost = cost,
    tokens = reply.tokens, finish = reply.finish, seconds = reply.seconds, batch = reply.batch, fallback = asking.chain:fallback(),
    settings = job.settings })
end

function on.blocked(asking, job, reply, cost, why)
  asking.purse:told(job, reply, cost, why)
  if not asking.asked.read then
    asking.context.store():put("blocked", settings.blocked_key(asking.name, asking.options, job.item), why)
  end
  asking:leave("blocked", job, why)
end

function on.empty(asking, job, reply, cost, why)
  asking.purse:told(job, reply, cost, why)
  if job.tries + 1 < AGAIN then return asking:again(job, true) end
  asking:leave("unusable", job, why)
end

on.cut = on.empty

function on.other_model(asking, job, reply, _, why)
  local model = job.model
  model.gone, model.later = model.gone or why, model.later or reply.status ~= 404
  ask_another(asking, job)
end

function on.stop(asking, job, reply, _, why)
  local said = answered(reply)
  asking:stop(said and telling.about(asking.name, "%s cannot be asked: %s", why) or why, { exit = said and 1 or 75, elsewhere = true })
  asking:leave("failed", job)
end

function on.refused(asking, job, _, _, why)
  asking:leave("refused", job, why)
  if asking.done == 0 and #asking.left.refused >= REFUSED then
    asking:stop(telling.about(asking.name, "%s refuses every question: %s", why), { exit = 1 })
  end
end

-- All attempts were in vain, and the service had no answer: is it there at all?
local function lost(asking, job, reply, cost, why)
  asking.purse:told(job, reply, cost, why)
  asking.unreachable = asking.unreachable + 1
  if asking.unreachable >= UNREACHABLE then
    local words = (reply.status or 0) > 0 and "the answers of %s break off: %s" or "%s cannot be reached: %s"
    asking:stop(telling.about(asking.service.host, words, why), { exit = 75, elsewhere = true })
  end
  asking:leave("failed", job, why)
end

-- All attempts were in vain, though the service answered: this model has no room.
local function no_room(asking, job, reply, why)
  local model = job.model
  model.strained = model.strained + 1
  local enough = model.answered and STRAINED or (reply.seconds or 0) >= LONG and 1 or FRESH_STRAINED
  if model.strained >= enough and not model.gone then model.gone, model.later = why, true end
  local other = asking:model()
  if other and other ~= model then return ask_another(asking, job) end
  if not other then asking:stop(telling.about(asking.name, "%s has no room: %s", why), { exit = 75, elsewhere = true }) end
  job.no_room = true
  asking:leave("failed", job, why)
end

function on.failed(asking, job, reply, cost, why)
  if reply.kind == "recalled" then -- its model was left while it waited for another try
    ask_another(asking, job)
  elseif reply.kind == "tape" then -- the next question would not be on it either
    asking:stop(why, { exit = 1 })
    asking:leave("failed", job)
  elseif answered(reply) then
    no_room(asking, job, reply, why)
  else
    lost(asking, job, reply, cost, why)
  end
end

--- An answer came: what it cost is counted first, then it is looked at.
function M.take(asking, job, reply)
  local purse = asking.purse
  local cost = purse:cost_of(job, reply, asking.share)
  asking.flying, asking.asked_now[job] = asking.flying - 1, nil
  purse:settle(job, reply, cost)
  if reply.kind ~= "recalled" then tally.answer(asking.context.session, asking.name, reply, cost, purse.costless) end
  purse:count_lost(job, reply)
  if answered(reply) or reply.verdict ~= "failed" then asking.unreachable = 0 end
  local why = reply.why and reply.why ~= "" and reply.why or reply.verdict;
  (on[reply.verdict] or on.failed)(asking, job, reply, cost, why)
end

return M
