-- exchange.lua - the asking itself: questions go out as far as the window of the service allows, each answer is handed on (and kept) before
-- the next is looked at.
--
--   exchange.ask("gemini", items, options, emit, context)      -- emit(i, text, detail) for each caption; what is left is told at the end
--
-- A model that is gone, full, or out of quota is left for the next of the chain, and each caption says so; never because a picture was
-- blocked. Money is held back before a question and settled after its answer (money.lua).
local batch = require "caption.batch"
local fs = require "native.fs"
local image = require "native.image"
local json = require "native.json"
local log = require "native.log"
local models = require "caption.models"
local money = require "caption.money"
local prompts = require "caption.prompts"
local script = require "native.script"
local services = require "caption.services"
local set = require "recipe.set"
local settings = require "caption.settings"
local tally = require "caption.tally"

local M = {}

local AGAIN = 2 -- how often a question is asked that brings no words
local STRAINED = 3 -- so many pictures one after another that a model had no room for: it is left
local UNREACHABLE = 3 -- so many failures one after another, none from the service itself: it is given up
local LAST_WAIT = 20 -- seconds for what is under way when Ctrl-C is pressed: it is paid for
local NAMED = 5 -- pictures named in a sentence

-- "a.png, b.png (SAFETY), c.png (too large)": names with the same reason stand together, a few of each.
local function names_of(list)
  local reasons, by = {}, {}
  for _, entry in ipairs(list) do
    local why = entry.why or ""
    if not by[why] then
      by[why] = {}
      reasons[#reasons + 1] = why
    end
    table.insert(by[why], entry.item.name)
  end
  for i, why in ipairs(reasons) do
    local names = by[why]
    local text = table.concat(names, ", ", 1, math.min(#names, NAMED)) .. (#names > NAMED and (" and %d more"):format(#names - NAMED) or "")
    reasons[i] = why ~= "" and ("%s (%s)"):format(text, why) or text
  end
  return table.concat(reasons, ", ", 1, math.min(#reasons, NAMED)) .. (#reasons > NAMED and ", ..." or "")
end

local Asking = {}
Asking.__index = Asking

local function new_asking(name, items, options, emit, context, asked)
  local service = settings.service(name, options)
  local self = setmetatable({
    name = name, service = service, options = options, emit = emit, context = context, asked = asked or settings.words(name, options),
    costless = settings.costless(service, options), purse = money.purse(context.session, name, options.spend),
    chain = {}, queue = {}, first = 1, flying = 0, left = { blocked = {}, before = {}, unusable = {}, refused = {}, failed = {} },
    unreachable = 0, done = 0, dearer = 1,
  }, Asking)
  for i, item in ipairs(items) do
    local why = not options.again and not asked and settings.blocked(context, name, options, item)
    if why then table.insert(self.left.before, { item = item, why = why })
    else table.insert(self.queue, { n = i, item = item, tries = 0, max_tokens = settings.max_tokens(service, options) }) end
  end
  return self
end

-- The end of asking: what is under way is still waited for. exit 75: trying again may help.
function Asking:stop(why, more)
  self.stopped = self.stopped or { why = why, more = more or {} }
end

-- The end of all: nothing is waited for.
function Asking:give_up(why, exit)
  self:stop(why, { exit = exit })
  self.given_up = true
end

-- A server of its own need not be told which model: it names what it has.
function Asking:ask_for_models(talk)
  talk:request("models", { method = "GET", path = "/v1/models", class = "safe" })
  local tag, reply, code = talk:next(30)
  local host = self.service.host
  if tag ~= "models" then return self:stop(("%s did not say which models it has: %s"):format(host, reply or code or "no answer"), { exit = 75 }) end
  local value = reply.verdict == "done" and json.decode(reply.text)
  local rows, names = type(value) == "table" and type(value.data) == "table" and value.data or {}, {}
  for _, row in ipairs(rows) do names[#names + 1] = type(row) == "table" and type(row.id) == "string" and row.id or nil end
  if #names == 1 then return names end
  if #names == 0 then
    return self:stop(("%s does not say which models it has (%s)"):format(host, reply.why or reply.verdict), { hint = 'name one: model = "..."' })
  end
  self:stop(("%s has several models: %s"):format(host, table.concat(names, ", ", 1, math.min(#names, 8))),
    { hint = ('name one: model = "%s"'):format(names[1]) })
end

function Asking:set_chain(talk)
  local names = settings.chain(self.service, self.options)
  if #names == 0 and self.service.wire ~= "huggingface" then
    if not self.service.own then return self:stop(("%s does not know which model to ask"):format(self.name), { hint = 'name one: model = "..."', exit = 2 }) end
    names = self:ask_for_models(talk) or {}
  end
  if self.service.wire == "huggingface" and #names == 0 then names = { "" } end
  for i, id in ipairs(names) do self.chain[i] = { id = id, row = models.find(self.name, id), strained = 0 } end
end

-- The model to ask now; nil when none is left.
function Asking:model()
  local limited = self.purse:limited() and not self.costless
  for _, model in ipairs(self.chain) do
    if not model.gone and limited and not models.price(model.row) then model.gone = "its price is unknown and there is a ceiling" end
    if not model.gone then return model end
  end
end

local function gone_text(chain)
  local parts = {}
  for _, model in ipairs(chain) do if model.gone then parts[#parts + 1] = ("%s: %s"):format(model.id, model.gone) end end
  return parts
end

-- "(a, b: no quota; c: its price is unknown)": models that are gone for the same reason stand together.
local function gone_together(chain)
  local by, order = {}, {}
  for _, model in ipairs(chain) do
    local why = model.gone
    if why and by[why] then by[why] = by[why] .. ", " .. model.id
    elseif why then
      by[why] = model.id
      order[#order + 1] = why
    end
  end
  for i, why in ipairs(order) do order[i] = ("%s: %s"):format(by[why], why) end
  return table.concat(order, "; ")
end

-- A reason in a sentence about the service, unless it names the service itself.
local function about(name, format, why)
  return why:sub(1, #name):lower() == name and why or format:format(name, why)
end

-- The settings of the service's own for this model.
function Asking:settings(model)
  local make = settings.of_wire[self.service.wire]
  return make and make(self.options, model.row, self.service) or nil
end

function Asking:stop_without_model()
  local later = false -- is one of them only full, or its quota used up?
  for _, it in ipairs(self.chain) do later = later or it.later end
  self:stop(("no model of %s is left to ask (%s)"):format(self.name, gone_together(self.chain)), { exit = later and 75 or 1 })
end

function Asking:stop_at_ceiling(most)
  local purse = self.purse
  self:stop(("the next question may cost up to %s and would cross the ceiling of %s"):format(money.text(most), purse:limit_text()),
    { exit = purse.allowed and (not purse.ceiling or purse.allowed <= purse.ceiling) and 3 or 1,
      hint = ("%s are spent in this run; a higher ceiling goes on from here"):format(money.text(purse.run.paid)) })
end

--- The most that a question may cost; 0 where nobody knows, for then there is no ceiling.
function Asking:most(job, model, share)
  if self.costless then return 0 end
  local item = job.item
  local most = money.most(model.row, self.asked, self.options.resolution or "high", job.max_tokens, item.width or 2048, item.height or 2048)
  return (most or 0) * (share or 1) * self.dearer
end

--- The question about a picture, as native.net takes it; nil and why there is none.
function Asking:question(job, model)
  local item = job.item
  local changed = set.changed(item)
  if changed then return nil, changed end
  local bytes, mime = image.for_server(item.path, self.service.picture or {})
  if not bytes then return nil, mime end
  local only_captions = self.service.wire == "huggingface" -- it has a length of its own
  return { model = model.id ~= "" and model.id or nil, system = self.asked.system, user = self.asked.user, schema = self.asked.schema,
    pictures = { { bytes = bytes, mime = mime } }, settings = self:settings(model),
    max_tokens = not (only_captions and not self.options.max_tokens) and job.max_tokens or nil,
    expected_tokens = models.picture_tokens(model.row, self.options.resolution or "high", item.width or 1024, item.height or 1024)
      + job.max_tokens // 4 }
end

-- How many more attempts the money is held back for, should answers be lost on the way: none where other questions want it.
function Asking:hold_spare(most)
  if self.costless or not self.purse:limited() then return nil end
  local others = services.in_flight(self.service, self.options)
  local spare = math.max(0, math.min(services.ATTEMPTS - 1, self.purse:fits(most) - others))
  return self.purse:hold(spare * most) and math.tointeger(spare) or 0
end

-- Send one question. False when it must wait, because questions under way hold the money; true when it was sent, or the picture, or all
-- asking, was given up.
function Asking:send(talk, job)
  local model = self:model()
  if not model then
    self:stop_without_model()
    table.insert(self.left.failed, { item = job.item })
    return true
  end
  local most = self:most(job, model)
  if not self.costless and not self.purse:hold(most) then
    if self.flying > 0 then return false end
    self:stop_at_ceiling(most)
    table.insert(self.left.failed, { item = job.item })
    return true
  end
  local question, why = self:question(job, model)
  if question then
    job.model, job.held, job.settings, job.spare = model, most, question.settings, self:hold_spare(most)
    question.most_lost = job.spare and job.spare + 1
    local ok
    ok, why = talk:ask(job, question)
    if ok then
      self.flying = self.flying + 1
      return true
    end
    self:release_spare(job)
  end
  if not self.costless then self.purse:settle(most, 0) end
  table.insert(self.left.refused, { item = job.item, why = why })
  return true
end

function Asking:release_spare(job)
  if job.spare then self.purse:settle(job.spare * job.held, 0) end
  job.spare = nil
end

-- What an answer cost: nil where nobody knows. A question that the service refused costs nothing; one whose answer was lost on the way may have.
local UNPAID = { other_model = true, stop = true, refused = true }
local UNSENT = { connect = true, resolve = true, tls = true, start = true, stopped = true } -- how a request ended that never went out
function Asking:cost_of(job, reply)
  if self.costless then return 0 end
  if UNPAID[reply.verdict] or UNSENT[reply.kind] or reply.verdict == "failed" and reply.status and reply.status > 0 then return 0 end
  local id = reply.model
  local row = id and id ~= "" and (models.find(self.name, id) or (id:sub(1, #job.model.id + 1) == job.model.id .. "-" and job.model.row))
  if not id or id == "" then row = job.model.row end
  local tokens = reply.tokens
  if reply.verdict == "blocked" and tokens and tokens.input and not tokens.output then tokens = { input = tokens.input, output = 0 } end
  local cost = models.cost(row, tokens)
  return cost and cost * (reply.batch and self.share or 1)
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

-- Money that brought no caption is told too.
function Asking:told(job, reply, cost, why)
  if self.costless or cost == 0 then return end
  self.context.spent { provider = self.name, model = reply.model or job.model.id, cost = cost, sha = job.item.sha256, why = why,
    tokens = reply.tokens, seconds = reply.seconds, batch = reply.batch }
end

-- Attempts before this reply that went out and never had a whole answer.
function Asking:count_lost(job, reply)
  local lost = self.costless and 0 or reply.lost or 0
  if reply.verdict == "failed" and not (reply.status and reply.status > 0) and not UNSENT[reply.kind] then lost = lost - 1 end -- cost_of knows of the last
  for _ = 1, lost do
    self.purse:lose(job.held)
    tally.lost(self.context.session, self.name)
    self:told(job, {}, nil, "its answer was lost on the way; it may be paid")
  end
end

-- Another model may answer than was asked, at another price: where there is a ceiling, the next questions are held to what this one cost.
function Asking:compare(job, reply, cost)
  if not self.purse:limited() then return end
  if cost and job.held > 0 and cost > job.held then self.dearer = self.dearer * cost / job.held end
  if not cost and reply.model and not models.price(models.find(self.name, reply.model)) then
    job.model.gone = job.model.gone or ("%s answers for it, whose price is unknown, and there is a ceiling"):format(reply.model)
    job.model.later = true -- it may answer by itself again
  end
end

function Asking:take(job, reply)
  local cost = self:cost_of(job, reply)
  self.flying = self.flying - 1
  self:release_spare(job)
  if not self.costless then
    self.purse:settle(job.held, cost)
    self:compare(job, reply, cost)
  end
  tally.answer(self.context.session, self.name, reply, cost, self.costless)
  self:count_lost(job, reply)
  local verdict, why = reply.verdict, reply.why and reply.why ~= "" and reply.why or reply.verdict
  if reply.status and reply.status > 0 or verdict ~= "failed" then self.unreachable = 0 end
  if verdict == "done" then
    local text, complaint = (self.asked.read or prompts.read)(self.asked, reply.text)
    if text then
      job.model.strained = 0
      self.done = self.done + 1
      local fallback = gone_text(self.chain)
      self.emit(job.n, text, { model = reply.model and reply.model ~= "" and reply.model or job.model.id, prompt = self.asked.id, cost = cost,
        tokens = reply.tokens, finish = reply.finish, seconds = reply.seconds, batch = reply.batch,
        fallback = #fallback > 0 and json.array(fallback) or nil, settings = job.settings })
      return
    end
    verdict, why = "empty", complaint
  end
  if verdict == "blocked" then
    self:told(job, reply, cost, why)
    if not self.asked.read then self.context.store():put("blocked", settings.blocked_key(self.name, self.options, job.item), why) end
    table.insert(self.left.blocked, { item = job.item, why = why })
  elseif verdict == "empty" or verdict == "cut" then
    self:told(job, reply, cost, why)
    if job.tries + 1 < AGAIN then return self:again(job, true) end
    table.insert(self.left.unusable, { item = job.item, why = why })
  elseif verdict == "other_model" then
    job.model.gone = job.model.gone or why
    job.model.later = job.model.later or reply.status ~= 404
    self:again(job)
    job.tries = job.tries - 1
  elseif verdict == "stop" then
    local answered = reply.status and reply.status > 0
    self:stop(answered and about(self.name, "%s cannot be asked: %s", why) or why, { exit = answered and 1 or 75 })
    table.insert(self.left.failed, { item = job.item })
  elseif verdict == "refused" then
    table.insert(self.left.refused, { item = job.item, why = why })
    if self.done == 0 and #self.left.refused >= 3 then self:stop(about(self.name, "%s refuses every question: %s", why), { exit = 1 }) end
  elseif reply.kind == "tape" then -- the next question would not be on it either
    self:stop(why, { exit = 1 })
    table.insert(self.left.failed, { item = job.item })
  else -- "failed": after all attempts
    local lost = not (reply.status and reply.status > 0)
    if lost then
      self:told(job, reply, cost, why)
      self.unreachable = self.unreachable + 1
      if self.unreachable >= UNREACHABLE then self:stop(about(self.service.host, "%s cannot be reached: %s", why), { exit = 75 }) end
    else
      job.model.strained = job.model.strained + 1
      if job.model.strained >= STRAINED and not job.model.gone then job.model.gone, job.model.later = why, true end
      local other = self:model()
      if other and other ~= job.model then
        self:again(job)
        job.tries = job.tries - 1
        return
      elseif not other then
        self:stop(about(self.name, "%s has no room: %s", why), { exit = 75 })
      end
    end
    table.insert(self.left.failed, { item = job.item, why = why })
  end
end

-- "12 under way, 31 errors (429)": what is to be seen while nothing comes; of several kinds of errors the most frequent.
function Asking:state(talk)
  local sum, most, kind = 0, 0, nil
  for name, n in pairs(talk:counts().errors or {}) do
    sum = sum + n
    if n > most then most, kind = n, name end
  end
  return ("%d under way%s"):format(self.flying, sum > 0 and (", %s (%s)"):format(set.count(sum, "error"), kind) or "")
end

function Asking:loop(talk)
  local leave, told -- after Ctrl-C: until when what is under way is waited for; the talk has said that it knows
  local wait = false
  while true do
    if script.interrupted() > 0 and not leave then
      leave = log.clock() + LAST_WAIT
      self:stop("stopped", { exit = 130 })
      if talk:flying() > 0 then log.say("info", "waiting for the answers under way, they are paid for; Ctrl-C again leaves them") end
    end
    while not self.stopped and not wait and self.queue[self.first] and talk:room() > 0 do
      local job = self.queue[self.first]
      self.queue[self.first], self.first = false, self.first + 1
      wait = not self:send(talk, job)
      if wait then self:put_back(job) end
    end
    if self.flying == 0 and (self.stopped or not self.queue[self.first]) then return end
    if leave and (log.clock() > leave or script.interrupted() > 1) then return end
    local job, reply, code = talk:next(leave and leave - log.clock() or 1)
    if job then
      self.taking = true
      self:take(job, reply)
      self.taking, wait = false, false
    elseif leave and told then
      self.unsent = true
      return -- what was not sent yet is not sent any more
    elseif code == "INTERRUPT" then
      told = true
    elseif reply then
      self:stop(("%s: %s"):format(self.name, reply), { exit = 1 })
    elseif self.context.tick then
      self.context.tick(self:state(talk))
    end
  end
end

-- What is left in the air is paid for all the same: by a second Ctrl-C, or because an answer could not be kept (then that one, too).
function Asking:tell_of_flying(fault)
  local count = self.flying + (fault and self.taking and 1 or 0)
  if count == 0 or self.unsent or self.costless or self.options.batch then return end
  self.context.warn(("%s of %s %s under way and may be paid, but will not be kept"):format(set.count(count, "answer"), self.name,
    count == 1 and "was" or "were"))
end

local SENTENCES = {
  before = "%s blocked %s in an earlier run, not asked for again (again = true does): %s",
  blocked = "%s blocked %s, left without a caption: %s",
  unusable = "%s had no usable words for %s: %s",
  refused = "%s refused %s: %s",
}

function Asking:tell()
  local context = self.context
  for _, kind in ipairs { "before", "blocked", "unusable", "refused" } do
    local list = self.left[kind]
    if #list > 0 then
      context.warn(SENTENCES[kind]:format(self.name, set.count(#list), names_of(list)))
    end
  end
  local stopped, open = self.stopped, #self.left.failed
  for i = self.first, #self.queue do if self.queue[i] then open = open + 1 end end
  open = open + self.flying
  if not stopped and open > 0 then stopped = { why = ("%s failed: %s"):format(set.count(open), names_of(self.left.failed)), more = { exit = 75 } } end
  if not stopped then return end
  local more = {}
  for key, value in pairs(stopped.more) do more[key] = value end
  if more.exit == 2 and self.done == 0 then return context.fail(stopped.why, more) end -- nothing was begun
  more.notes = { ("%s written and kept, %d still without%s"):format(set.count(self.done, "caption"), open,
    self.options.replay and "" or "; the same command asks for those alone") }
  context.fail(stopped.why, more)
end

--- Ask. `asked` is another question than that of captions: { system, user, schema, id, read = fun(asked, text): string?, string? }.
function M.ask(name, items, options, emit, context, asked)
  local self = new_asking(name, items, options, emit, context, asked)
  if #self.queue > 0 then
    if not options.replay then
      local ok, why, hint = services.ready(self.service)
      if not ok then context.fail(why, { exit = 2, hint = hint }) end
    end
    if options.replay then fs.grant(options.replay, "read") end
    local talk <close>, message, code = services.talk(self.service, options)
    if not talk then context.fail(about(name, "%s cannot be asked: %s", message), { exit = code == "BUSY" and 75 or 1, code = code }) end
    self:set_chain(talk)
    local _ <close> = setmetatable({}, { __close = function(_, fault) self:tell_of_flying(fault ~= nil) end })
    if not self.stopped then
      if options.batch and not asked then batch.loop(self, talk) else self:loop(talk) end
    end
    local counts = talk:counts()
    tally.counts(context.session, name, counts)
    if not options.replay then tally.remember(context.store(), name, counts) end
  end
  self:tell()
end

return M
