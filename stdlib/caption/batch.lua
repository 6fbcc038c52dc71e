-- batch.lua - questions to Gemini in batches: half the price, answered within a day.
--
--   batch.loop(exchange, talk)      -- in place of the exchange's own loop
--
-- A batch is written into the store before it is created, under a name of its own, and its id as soon as the reply is there; so a run that was
-- killed at any moment finds its batches again and asks for nothing twice. It is taken out when its answers are kept. What is still open stands
-- in the store under "batches": a list of { name, id, model, question, shas, made }.
local batches = require "native.batch"
local hash = require "native.hash"
local json = require "native.json"
local log = require "native.log"
local models = require "caption.models"
local prompts = require "caption.prompts"
local script = require "native.script"
local set = require "recipe.set"
local settings = require "caption.settings"
local verdicts = require "caption.verdicts"

local M = {}

local FIRST_WAIT, LONGEST_WAIT = 1, 60 -- seconds between two looks
local PAGES = 20 -- of the list of batches, when one is looked for by its name

-- --- What the store knows ----------------------------------------------------------------------------------------------------

local function open_batches(store, service)
  local list = json.decode(store:get("batches", service) or "[]")
  return type(list) == "table" and list or {}
end

local function keep(store, service, list) store:put("batches", service, json.encode(json.array(list))) end

local function add(store, service, row)
  local list = open_batches(store, service)
  list[#list + 1] = row
  keep(store, service, list)
end

local function change(store, service, name, changes) -- nil: taken out
  local list, left = open_batches(store, service), {}
  for _, row in ipairs(list) do
    if row.name == name then
      for key, value in pairs(changes or {}) do row[key] = value end
      if changes then left[#left + 1] = row end
    else
      left[#left + 1] = row
    end
  end
  keep(store, service, left)
end

--- How many pictures' answers are still to come from batches under this question.
function M.waiting(store, service, question)
  local shas = {}
  for _, row in ipairs(open_batches(store, service)) do
    if row.question == question then for _, sha in ipairs(row.shas) do shas[sha] = true end end
  end
  return shas
end

-- --- Asking ------------------------------------------------------------------------------------------------------------------

-- One request, waited for; nil when Ctrl-C was pressed.
local function request(talk, what)
  talk:request("batch", what)
  local told = false -- Ctrl-C: what went out is still waited for, what did not will not go out
  while true do
    local tag, reply, code = talk:next(told and 30 or 1)
    if tag then return reply end
    if code and (told or code ~= "INTERRUPT") then return nil end
    told = code == "INTERRUPT"
  end
end

-- Was a batch of that name made after all? "found", "none", or nil: nobody knows.
local function look_for(self, talk, row)
  local token = ""
  for _ = 1, PAGES do
    local path = "/v1beta/batches?pageSize=100" .. (token ~= "" and "&pageToken=" .. token or "")
    local reply = request(talk, { method = "GET", path = path, class = "safe" })
    if not reply or reply.verdict ~= "done" then return nil end
    local found, next_page = batches.find(reply.status, reply.text, row.name)
    if found.verdict == "done" then
      row.id = found.id
      change(self.store, self.name, row.name, { id = row.id })
      return "found"
    end
    if not next_page then return "none" end
    token = next_page
  end
  return "none"
end

-- A body with as many of the queue's questions as fit; nil when there is nothing to ask, or nobody to ask it of.
local function fill(self, model, share)
  local row = { name = ("calotype-%s"):format(hash.sha256(self.key .. log.date() .. log.clock() .. " " .. self.first):sub(1, 16)), model = model.id,
    question = self.key, shas = json.array {}, made = log.date() }
  local body = batches.new { model = model.id, name = row.name }
  local jobs = {}
  while self.queue[self.first] do
    local job = self.queue[self.first]
    local question, why = self:question(job, model)
    local most = question and self.purse:most(job, model, share)
    if question and not self.purse:hold(most) then
      if #jobs == 0 then self:stop(self.purse:crossing(most)) end
      break
    end
    local ok, code
    if question then ok, why, code = body:add(job.item.sha256, question) end
    if not ok and question then self.purse:give_back(most) end
    if not ok and code == "LIMIT" and #jobs > 0 then break end
    self.queue[self.first], self.first = false, self.first + 1
    if ok then
      job.model, job.held, job.settings = model, most, question.settings
      jobs[#jobs + 1] = job
      row.shas[#row.shas + 1] = job.item.sha256
    else
      self:leave("refused", job, why)
    end
  end
  if #jobs > 0 then return row, body:request(), jobs end
end

-- Make one batch. The jobs come back into the queue where it was not made.
local function make(self, talk, model, share)
  local row, what, jobs = fill(self, model, share)
  if not row then return end
  add(self.store, self.name, row)
  local reply = request(talk, what)
  local made = reply and reply.verdict == "done" and batches.read(reply.status, reply.text)
  if made and made.verdict == "done" and made.id then
    row.id = made.id
    change(self.store, self.name, row.name, { id = row.id })
  elseif not reply or reply.verdict == "done" or reply.verdict == "failed" or reply.verdict == "stop" and not (reply.status and reply.status > 0) then
    -- it may have been made, and then it is paid: only the service's list tells
    local state = look_for(self, talk, row)
    if state == "none" then change(self.store, self.name, row.name, nil) end
    if state ~= "found" then self:give_up(("a batch could not be made: %s"):format(reply and reply.why or "stopped"), reply and 75 or 130) end
  else -- it was refused, so it was not made
    change(self.store, self.name, row.name, nil)
    if reply.verdict == "other_model" then model.gone, model.later = reply.why, reply.status ~= 404
    else self:give_up(("a batch was refused: %s"):format(reply.why), 1, reply.verdict == "stop") end
  end
  if row.id then
    for _, job in ipairs(jobs) do self.flying, self.of_sha[job.item.sha256] = self.flying + 1, job end
    table.insert(self.open, row)
    log.say("info", ("a batch of %s was made: %s"):format(set.count(#jobs), row.id))
    return
  end
  for i = #jobs, 1, -1 do
    self.purse:give_back(jobs[i].held)
    self:put_back(jobs[i])
  end
end

-- --- Answers -----------------------------------------------------------------------------------------------------------------

local function answers_of(talk, state)
  if not state.file then return state.answers end
  local reply = request(talk, { method = "GET", path = ("/v1beta/%s:download?alt=media"):format(state.file), class = "safe" })
  if not reply or reply.verdict ~= "done" then return nil, reply and reply.why or "stopped" end
  return batches.lines(reply.text)
end

-- The answer about a picture that this run does not ask for: it is paid, so it is kept for the run that will.
local function keep_aside(self, row, sha, answer)
  if not answer or answer.verdict ~= "done" then return end
  local text = prompts.read(self.asked, answer.text or "")
  if not text then return end
  answer.batch = row.id
  local cost, tokens = self.purse:cost_of({ model = { id = row.model, row = models.find(self.name, row.model) } }, answer, self.share), answer.tokens or {}
  self.store:add_caption { sha = sha, key = self.answer_key, text = text, author = "model", provider = self.name, model = answer.model or row.model,
    detail = json.encode { model = answer.model or row.model, prompt = self.asked.id, cost = cost, tokens = answer.tokens, batch = row.id },
    prompt = self.asked.id, cost = cost, tokens_in = tokens.input, tokens_out = tokens.output and tokens.output + (tokens.thought or 0), aside = true,
    spend = true, batch = row.id }
end

-- Hand on what came; the batch is done with afterwards.
local function take_all(self, row, answers)
  local by = {}
  for _, answer in ipairs(answers) do if answer.key then by[answer.key] = answer end end
  for _, sha in ipairs(row.shas) do
    local job = self.of_sha[sha]
    if job then
      local answer = by[sha] or { verdict = "failed", why = "the batch has no answer for it" }
      if answer.verdict == "again" or answer.verdict == "other_model" or answer.verdict == "stop" then answer.verdict = "failed" end
      answer.status, answer.batch = answer.status or 200, row.id
      self.of_sha[sha] = nil
      verdicts.take(self, job, answer)
    else
      keep_aside(self, row, sha, by[sha])
    end
  end
  change(self.store, self.name, row.name, nil)
end

-- Look at one batch. True when it is over.
local function look(self, talk, row)
  local reply = request(talk, { method = "GET", path = "/v1beta/" .. row.id, class = "safe" })
  if not reply then return false end
  if reply.verdict ~= "done" then
    if reply.status == 404 then -- it was deleted, or is older than the service keeps them
      take_all(self, row, {})
      return true
    end
    if reply.verdict ~= "failed" then self:give_up(("the batch %s cannot be looked at: %s"):format(row.id, reply.why or reply.verdict), 1) end
    return false
  end
  local state = batches.read(reply.status, reply.text)
  if state.state == "succeeded" then
    local answers, why = answers_of(talk, state)
    if not answers then
      self:give_up(("the answers of %s cannot be had: %s"):format(row.id, why), 75)
      return false
    end
    take_all(self, row, answers)
    return true
  elseif state.state == "failed" or state.state == "cancelled" or state.state == "expired" then
    for _, sha in ipairs(row.shas) do
      local job = self.of_sha[sha]
      if job then
        self.of_sha[sha], self.flying = nil, self.flying - 1
        self.purse:give_back(job.held)
        self:leave("failed", job, ("its batch %s"):format(state.state == "failed" and "failed" or "was " .. state.state))
      end
    end
    change(self.store, self.name, row.name, nil)
    return true
  end
  return false
end

-- Batches of earlier runs that ask the same: their pictures leave the queue.
local function find_again(self, talk)
  for _, row in ipairs(open_batches(self.store, self.name)) do
    if row.question == self.key then
      local known = row.id and "found" or look_for(self, talk, row)
      if known == "none" then
        change(self.store, self.name, row.name, nil)
      elseif not known then
        return self:give_up("whether an earlier batch was made is not known", 75)
      else
        local waited = 0
        for i = self.first, #self.queue do
          local job = self.queue[i]
          for _, sha in ipairs(job and row.shas or {}) do
            if job.item.sha256 == sha and not self.of_sha[sha] then
              job.model = { id = row.model, row = models.find(self.name, row.model), strained = 0 }
              job.held, job.tries = self.purse:most(job, job.model, self.share), 1
              self.purse:take(job.held)
              self.of_sha[sha], self.flying, waited = job, self.flying + 1, waited + 1
              self.queue[i] = false
            end
          end
        end
        table.insert(self.open, row)
        log.say("info", ("a batch of an earlier run is found again: %s, %s"):format(row.id, set.count(waited)))
      end
    end
  end
  local left = {}
  for i = self.first, #self.queue do if self.queue[i] then left[#left + 1] = self.queue[i] end end
  self.queue, self.first = left, 1
end

--- Ask for all of an exchange's queue in batches, and wait for the answers.
function M.loop(self, talk)
  self.store, self.key, self.of_sha, self.open = self.context.store(), settings.question_key(self.name, self.options), {}, {}
  self.answer_key = self.context.key(self.queue[self.first].n) -- the same for all pictures
  self.share = models.all().batch[self.name] or 1
  find_again(self, talk)
  for i = self.first, #self.queue do self.queue[i].tries = 1 end -- what has no words is not asked for again: the next run does
  local wait = FIRST_WAIT
  while true do
    while not self.stopped and self.queue[self.first] do
      local model = self:model()
      if model then make(self, talk, model, self.share) else self:stop_without_model() end
    end
    local over = {}
    for i, row in ipairs(self.open) do
      if script.interrupted() > 0 then break end
      if look(self, talk, row) then over[#over + 1] = i end
    end
    for i = #over, 1, -1 do table.remove(self.open, over[i]) end
    if #self.open == 0 and (self.stopped or not self.queue[self.first]) then return end
    if script.interrupted() > 0 then
      self:stop("stopped", { exit = 130, hint = "the batch goes on at the service; the same command looks for its answers" })
      return
    end
    if self.given_up then return end
    if self.open[1] then script.pause(wait) end
    wait = math.min(wait * 1.5, LONGEST_WAIT)
  end
end

return M
