-- exchange.lua - the asking itself: questions go out as far as the window of the service allows, each answer is handed on (and kept) before
-- the next is looked at.
--
--   exchange.ask("gemini", items, options, emit, context)      -- emit(i, text, detail) for each caption; what is left is told at the end
--
-- What an answer means is verdicts.lua's, which model is asked is chain.lua's, the money is holding.lua's, the last words are telling.lua's.
local batch = require "caption.batch"
local chain = require "caption.chain"
local holding = require "caption.holding"
local image = require "native.image"
local log = require "native.log"
local models = require "caption.models"
local script = require "native.script"
local services = require "caption.services"
local set = require "recipe.set"
local settings = require "caption.settings"
local tally = require "caption.tally"
local telling = require "caption.telling"
local verdicts = require "caption.verdicts"

local M = {}

local ELSEWHERE = { NETWORK = true, DENIED = true } -- why there is no conversation: another service may be asked
local LAST_WAIT = 20 -- seconds for what is under way when Ctrl-C is pressed: it is paid for

-- What is asked of one service for one step: who, what, and how far it is.
local Asking = {}
Asking.__index = Asking

local function new_asking(name, items, options, emit, context, asked)
  local service = settings.service(name, options)
  local words = asked or settings.words(name, options)
  local self = setmetatable({
    name = name, service = service, options = options, emit = emit, context = context, asked = words,
    purse = holding.new(name, service, options, context, words), chain = chain.new(name, {}),
    queue = {}, first = 1, flying = 0, asked_now = {}, unreachable = 0, done = 0, models_left = 0,
    left = { blocked = {}, before = {}, unusable = {}, refused = {}, failed = {} },
  }, Asking)
  for i, item in ipairs(items) do
    local why = not options.again and not asked and settings.blocked(context, name, options, item)
    if why then self:leave("before", { item = item }, why)
    else table.insert(self.queue, { n = i, item = item, tries = 0, asked = asked and asked.of and asked.of(item) or words,
      max_tokens = settings.max_tokens(service, options) }) end
  end
  return self
end

--- A picture that stays without a caption: "blocked", "unusable", "refused", "failed".
function Asking:leave(kind, job, why) table.insert(self.left[kind], { item = job.item, why = why, job = job }) end

-- The end of asking: what is under way is still waited for. exit 75: trying again may help; elsewhere: it is the service's own reason, and
-- another may be asked.
function Asking:stop(why, more)
  self.stopped = self.stopped or { why = why, more = more or {} }
end

-- The end of all: nothing is waited for.
function Asking:give_up(why, exit, elsewhere)
  self:stop(why, { exit = exit, elsewhere = elsewhere })
  self.given_up = true
end

-- Nobody was asked: another service may be, or nothing is done.
function Asking:cannot_begin(why, more)
  self:stop(why, more)
  if not self:hand_over() then self.context.fail(why, more) end
end

--- The pictures that the service could not answer for reasons of its own go to whoever stands after it (recipe/asking.lua): true when they
--- did. Never what was blocked, refused or without usable words, never past a ceiling or Ctrl-C, and never while a batch may still answer.
function Asking:hand_over()
  local stopped, to = self.stopped, self.context.elsewhere
  if not to or stopped and not stopped.more.elsewhere or self.flying > 0 then return false end
  if self.options.batch and next(batch.waiting(self.context.store(), self.name, settings.question_key(self.name, self.options))) then return false end
  for _, entry in ipairs(self.left.failed) do to(entry.job.n, entry.why or stopped.why) end
  for i = self.first, #self.queue do
    if self.queue[i] then to(self.queue[i].n, stopped.why) end
  end
  telling.without(self)
  return true
end

function Asking:set_chain(talk)
  local names, why, more = settings.chain(self.service, self.options), nil, nil
  if self.service.wire == "huggingface" then
    if #names == 0 then names = { "" } end
  elseif #names == 0 and self.service.own then
    names, why, more = chain.ask(talk, self.service.host)
  elseif #names == 0 then
    why, more = ("%s does not know which model to ask"):format(self.name), { hint = 'name one: model = "..."', exit = 2 }
  end
  if why then return self:stop(why, more) end
  self.chain = chain.new(self.name, names)
end

-- The model to ask now; nil when none is left.
function Asking:model() return self.chain:first(self.purse:limited()) end

function Asking:stop_without_model()
  self:stop(("no model of %s is left to ask (%s)"):format(self.name, self.chain:why_none()), { exit = self.chain:later() and 75 or 1,
    elsewhere = not self.chain:priceless() })
end

-- The settings of the service's own for this model.
function Asking:settings(model)
  local make = settings.of_wire[self.service.wire]
  return make and make(self.options, model.row, self.service) or nil
end

--- The question about a picture, as native.net takes it; nil and why there is none.
function Asking:question(job, model)
  local item = job.item
  local changed = set.changed(item)
  if changed then return nil, changed end
  local bytes, mime = image.for_server(item.path, self.service.picture or {})
  if not bytes then return nil, mime end
  local only_captions = self.service.wire == "huggingface" -- it has a length of its own
  return { model = model.id ~= "" and model.id or nil, system = job.asked.system, user = job.asked.user, schema = job.asked.schema,
    pictures = { { bytes = bytes, mime = mime } }, settings = self:settings(model),
    max_tokens = not (only_captions and not self.options.max_tokens) and job.max_tokens or nil,
    expected_tokens = models.picture_tokens(model.row, self.options.resolution or "high", item.width or 1024, item.height or 1024)
      + job.max_tokens // 4 }
end

-- Send one question. False when it must wait, because questions under way hold the money; true when it was sent, or the picture, or all
-- asking, was given up.
function Asking:send(talk, job)
  local model, purse = self:model(), self.purse
  if not model then
    self:stop_without_model()
    self:leave("failed", job)
    return true
  end
  local most = purse:most(job, model)
  if not purse:hold(most) then
    if self.flying > 0 then return false end
    self:stop(purse:crossing(most))
    self:leave("failed", job)
    return true
  end
  local question, why = self:question(job, model)
  if question then
    job.model, job.held, job.settings, job.spare = model, most, question.settings, purse:hold_spare(most)
    question.most_lost = job.spare and job.spare + 1
    local ok
    ok, why = talk:ask(job, question)
    if ok then
      self.flying, self.asked_now[job] = self.flying + 1, true
      return true
    end
    purse:release_spare(job)
  end
  purse:give_back(most)
  self:leave("refused", job, why)
  return true
end

-- Next in the queue: the place that it was taken from, or another's, is free.
function Asking:put_back(job)
  self.first = self.first - 1
  self.queue[self.first] = job
end

function Asking:again(job, more_tokens)
  job.tries = job.tries + 1
  if more_tokens then job.max_tokens = math.min(job.max_tokens * 2, job.model.row and job.model.row.output_limit or 65536) end
  self:put_back(job)
end

-- A model is left: what waits for another try at it is taken back, and what it had no room for is asked of the next.
function Asking:leave_model(talk)
  for job in pairs(self.asked_now) do if job.model.gone then talk:recall(job) end end
  local gone = self.chain:gone()
  if gone == self.models_left or self.stopped or not self:model() then return end
  self.models_left = gone
  local failed = {}
  for _, entry in ipairs(self.left.failed) do
    if entry.job.model and entry.job.model.gone and entry.job.no_room then
      entry.job.no_room = nil
      self:put_back(entry.job)
    else
      failed[#failed + 1] = entry
    end
  end
  self.left.failed = failed
end

local function seconds_text(seconds) return seconds < 60 and ("%d s"):format(math.ceil(seconds)) or log.duration(seconds) end

-- "12 under way, 31 errors (429); gemini-3.8-flash is asked again in 8 s": what is to be seen while nothing comes; of several kinds of
-- errors the most frequent.
function Asking:state(talk)
  local sum, most, kind = 0, 0, nil
  for name, n in pairs(talk:counts().errors or {}) do
    sum = sum + n
    if n > most then most, kind = n, name end
  end
  local text = ("%d under way%s"):format(self.flying, sum > 0 and (", %s (%s)"):format(set.count(sum, "error"), kind) or "")
  local pause = talk:pause()
  if pause < 1 then return text end
  local model = #self.chain > 1 and self:model()
  return ("%s; %s is asked again in %s"):format(text, model and model.id or self.name, seconds_text(pause))
end

-- What is here already is kept, whatever stops the rest; of that, what never went out is not paid for.
function Asking:take_arrived(talk)
  local job, reply = talk:next(0)
  while job do
    verdicts.take(self, job, reply)
    job, reply = talk:next(0)
  end
  self.unsent = self.flying - talk:flying()
end

function Asking:loop(talk)
  local leave, told -- after Ctrl-C: until when what is under way is waited for; the talk has said that it knows
  local wait = false
  while true do
    if script.interrupted() > 0 and not leave then
      leave = log.clock() + LAST_WAIT
      self:stop("stopped", { exit = 130 })
      local flying = talk:flying()
      if flying > 0 then
        log.say("info", ("waiting up to %d s for %s under way%s; Ctrl-C again does not wait"):format(LAST_WAIT, set.count(flying, "answer"),
          self.purse.costless and "" or ", paid for already"))
      end
    end
    while not self.stopped and not wait and self.queue[self.first] and talk:room() > 0 do
      local job = self.queue[self.first]
      self.queue[self.first], self.first = false, self.first + 1
      wait = not self:send(talk, job)
      if wait then self:put_back(job) end
    end
    self:leave_model(talk)
    if self.flying == 0 and (self.stopped or not self.queue[self.first]) then return end
    local left = leave and leave - log.clock()
    if left and (left <= 0 or script.interrupted() > 1) then return self:take_arrived(talk) end
    local job, reply, code = talk:next(math.min(1, left or 1))
    if job then
      self.taking = true
      verdicts.take(self, job, reply)
      self.taking, wait = false, false
    elseif leave and told and talk:flying() == 0 then
      return self:take_arrived(talk) -- what was not sent yet is not sent any more
    elseif leave and told then
      if self.context.tick then self.context.tick(("stopping: %d under way, %s at most"):format(talk:flying(), seconds_text(left))) end
    elseif code == "INTERRUPT" then
      told = true
    elseif reply then
      self:stop(("%s: %s"):format(self.name, reply), { exit = 1 })
    elseif self.context.tick then
      self.context.tick(self:state(talk))
    end
  end
end

--- Ask. `asked` is another question than that of captions: { system, user, schema, id, read = fun(asked, text): string?, string? }; where it is
--- not the same for all pictures, `of = fun(item)` gives such a table for each.
function M.ask(name, items, options, emit, context, asked)
  local self = new_asking(name, items, options, emit, context, asked)
  if #self.queue > 0 then
    if not options.replay then
      local ok, why, hint = services.ready(self.service)
      if not ok then return self:cannot_begin(why, { exit = 2, hint = hint, elsewhere = true }) end
    end
    local talk <close>, message, code = services.talk(self.service, options, not self.purse.costless and not options.batch)
    if not talk then
      return self:cannot_begin(telling.about(name, "%s cannot be asked: %s", message),
        { exit = code == "BUSY" and 75 or 1, code = code, elsewhere = not options.record and ELSEWHERE[code] })
    end
    self:set_chain(talk)
    local _ <close> = setmetatable({}, { __close = function(_, fault) telling.flying(self, fault ~= nil) end })
    if not self.stopped then
      if options.batch and not asked then batch.loop(self, talk) else self:loop(talk) end
    end
    local counts = talk:counts()
    tally.counts(context.session, name, counts)
    if not options.replay then tally.remember(context.store(), name, counts) end
  end
  if not self:hand_over() then telling.left(self) end
end

return M
