-- batch.lua - questions to Gemini in batches: half the price, answered within a day.
--
--   batch.loop(exchange, talk)      -- in place of the exchange's own loop
--
-- A batch is written into the store before it is created, under a name of its own, and its id as soon as the reply is there; so a run that was
-- killed at any moment finds its batches again and asks for nothing twice. It is taken out when its answers are kept. What is still open stands
-- in the store under "batches": a list of { name, id, model, question, shas, made, size, file, done }.
--
-- Questions that are too many for one call go as a file (batch_file.lua), which is written beside the store: such a row has `size`, its bytes,
-- and `file`, its name at the service once that is known. A row with a size and without an id is a batch that was not made yet: the next
-- run goes on with the file that is there, here or at the service, or takes both away. One that is done has only its file to be deleted.
local batches = require "native.batch"
local files = require "caption.batch_file"
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

--- The pictures whose answers are still to come from batches under this question.
function M.waiting(store, service, question)
  local shas = {}
  for _, row in ipairs(open_batches(store, service)) do
    if row.question == question and (row.id or not row.size) then for _, sha in ipairs(row.shas) do shas[sha] = true end end
  end
  return shas
end

-- --- Asking ------------------------------------------------------------------------------------------------------------------

-- One request, waited for; nil when Ctrl-C was pressed.
local function request(talk, what)
  local ok, why = talk:request("batch", what)
  if not ok then return { verdict = "failed", why = why, status = 0 } end
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

-- What the service takes: { inside, file, files, piece } in bytes.
local function limits_of(self) return models.all().batch_limits[self.name] or {} end

local function release(self, jobs) -- back into the queue, in their order
  for i = #jobs, 1, -1 do
    self.purse:give_back(jobs[i].held)
    self:put_back(jobs[i])
  end
end

-- As many of the queue's questions as fit into one call, or into one file: the row and either the call or, in row.size, how large the file is.
-- nil when there is nothing to ask, nobody to ask it of, or no room on the disk.
local function fill(self, model, share)
  local row = { name = ("calotype-%s"):format(hash.sha256(self.key .. log.date() .. log.clock() .. " " .. self.first):sub(1, 16)), model = model.id,
    question = self.key, shas = json.array {}, made = log.date() }
  local limits = limits_of(self)
  local body <close> = batches.new { model = model.id, name = row.name, path = files.path(self.store, row.name, "jsonl"), most_inside = limits.inside,
    most_in_a_file = limits.file }
  local bar <close> = log.progress("questions", #self.queue - self.first + 1)
  local jobs = {}
  local function fail(why, code) -- the disk, not the question
    release(self, jobs)
    self:stop(("the questions cannot be written: %s"):format(why), { exit = 1, code = code })
  end
  while self.queue[self.first] do
    if script.interrupted() > 0 then return release(self, jobs) end
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
    if not ok and question and code ~= "LIMIT" and code ~= "ARG" then return fail(why, code) end
    self.queue[self.first], self.first = false, self.first + 1
    if ok then
      job.model, job.held, job.settings = model, most, question.settings
      jobs[#jobs + 1] = job
      row.shas[#row.shas + 1] = job.item.sha256
      bar:set(#jobs)
    else
      self:leave("refused", job, why)
    end
  end
  if #jobs == 0 then return end
  local what, size, code = body:request()
  if what == nil then return fail(size, code) end
  row.size = not what and size or nil
  return row, what, jobs
end

-- A batch that was not made and will not be: neither its file here nor that at the service is needed.
local function forget(self, talk, row)
  if row.size then
    files.delete(talk, row)
    batches.remove(files.path(self.store, row.name, "jsonl"))
  end
  change(self.store, self.name, row.name, nil)
end

-- Create it, of a call or of a file that was sent. True when the jobs are under way now.
local function create(self, talk, row, what, jobs)
  local model = jobs[1].model
  what.keep = true -- a refusal ends no more than this: the file is still to be deleted
  local reply = request(talk, what)
  local made = reply and reply.verdict == "done" and batches.read(reply.status, reply.text)
  if made and made.verdict == "done" and made.id then
    row.id = made.id
    change(self.store, self.name, row.name, { id = row.id })
  elseif not reply or reply.verdict == "done" or reply.verdict == "failed" or reply.verdict == "stop" and not (reply.status and reply.status > 0) then
    -- it may have been made, and then it is paid: only the service's list tells
    local state = look_for(self, talk, row)
    if state == "none" and not row.size then change(self.store, self.name, row.name, nil) end -- a file waits for the next run
    if state ~= "found" then self:give_up(("a batch could not be made: %s"):format(reply and reply.why or "stopped"), reply and 75 or 130) end
  else -- it was refused, so it was not made
    local gone = row.size and files.state(talk, row) == "gone"
    forget(self, talk, row)
    self.lost_files = (self.lost_files or 0) + (gone and 1 or 0)
    if gone and self.lost_files < 3 then log.say("warning", "the file of questions is gone at the service; it is sent again")
    elseif reply.verdict == "other_model" then model.gone, model.later = reply.why, reply.status ~= 404
    else self:give_up(("a batch was refused: %s"):format(reply.why), 1, reply.verdict == "stop") end
  end
  if not row.id then return release(self, jobs) end
  if row.size then batches.remove(files.path(self.store, row.name, "jsonl")) end
  for _, job in ipairs(jobs) do self.flying, self.of_sha[job.item.sha256] = self.flying + 1, job end
  table.insert(self.open, row)
  log.say("info", ("a batch of %s was made: %s"):format(set.count(#jobs), row.id))
  return true
end

-- Send the file of a row that stands in the store, and create the batch of it.
local function create_of_file(self, talk, row, jobs, sent)
  local why, code
  if not sent then
    sent, why, code = files.send(talk, row, files.path(self.store, row.name, "jsonl"), limits_of(self).piece)
    if sent then change(self.store, self.name, row.name, { file = row.file }) end
  end
  if sent and script.interrupted() == 0 then
    return create(self, talk, row, batches.filed { model = row.model, name = row.name, file = row.file }, jobs)
  end
  release(self, jobs)
  if sent or code == "INTERRUPT" then return end -- M.loop tells
  if code == "NETWORK" then return self:give_up(("the questions could not be sent: %s"):format(why), 75) end
  forget(self, talk, row)
  self:stop(("the questions could not be sent: %s"):format(why), { exit = 1 }) -- what was made before is waited for
end

-- Make one batch. The jobs come back into the queue where it was not made.
local function make(self, talk, model, share)
  local row, what, jobs = fill(self, model, share)
  if not row then return end
  add(self.store, self.name, row)
  if what then create(self, talk, row, what, jobs) else create_of_file(self, talk, row, jobs) end
end

-- Is there room at the service for one more file? What was answered is deleted there.
local function has_room(self)
  local limits, used = limits_of(self), 0
  for _, row in ipairs(self.open) do used = used + (row.size or 0) end
  return used == 0 or not limits.files or used + limits.file <= limits.files
end

-- --- Answers -----------------------------------------------------------------------------------------------------------------

-- The answer about a picture that this run does not ask for: it is paid, so it is kept for the run that will.
local function keep_aside(self, row, sha, answer)
  if not answer or answer.verdict ~= "done" or self.store:caption(sha, self.answer_key) then return end
  local text = prompts.read(self.asked, answer.text or "")
  if not text then return end
  answer.batch = row.id
  local cost, tokens = self.purse:cost_of({ model = { id = row.model, row = models.find(self.name, row.model) } }, answer, self.share), answer.tokens or {}
  self.store:add_caption { sha = sha, key = self.answer_key, text = text, author = "model", provider = self.name, model = answer.model or row.model,
    detail = json.encode { model = answer.model or row.model, prompt = self.asked.id, cost = cost, tokens = answer.tokens, batch = row.id },
    prompt = self.asked.id, cost = cost, tokens_in = tokens.input, tokens_out = tokens.output and tokens.output + (tokens.thought or 0), aside = true,
    spend = true, batch = row.id }
end

-- Was this answer counted already, by a run that was killed while it took them?
local function counted(self, row, sha)
  for _, spend in ipairs(row.found and self.store:spends(sha) or {}) do if spend.batch == row.id then return true end end
  return false
end

local function take_one(self, row, sha, answer)
  local job = self.of_sha[sha]
  if not job then return keep_aside(self, row, sha, answer) end
  answer = answer or { verdict = "failed", why = "the batch has no answer for it" }
  if answer.verdict == "again" or answer.verdict == "other_model" or answer.verdict == "stop" then answer.verdict = "failed" end
  answer.status, answer.batch, answer.told = answer.status or 200, row.id, counted(self, row, sha)
  self.of_sha[sha] = nil
  verdicts.take(self, job, answer)
end

-- Hand on what came, list after list: of two answers with one key the first good one. Unless it is the last try, what is missing or cannot be
-- read is left. true: all was there; false: something is left; nil, why, code: no more can be had now.
local function take_answers(self, row, next_list, last)
  local wanted, others, damaged = {}, {}, 0
  for _, sha in ipairs(row.shas) do wanted[sha] = true end
  while true do
    local list, why, code = next_list()
    if code then return nil, why, code end
    if not list then break end
    for _, answer in ipairs(list) do
      local sha = answer.key
      if script.interrupted() > 0 then return nil, "stopped", "INTERRUPT" end
      if not sha then
        damaged = damaged + 1
      elseif wanted[sha] and answer.verdict == "done" then
        wanted[sha] = nil
        take_one(self, row, sha, answer)
      elseif wanted[sha] then
        others[sha] = others[sha] or answer
      end
    end
  end
  local missing = 0
  for sha in pairs(wanted) do if not others[sha] then missing = missing + 1 end end
  if missing > 0 and not last then return false end
  if damaged > 0 then log.say("warning", ("%s of the answers of %s cannot be read"):format(set.count(damaged, "line"), row.id)) end
  for _, sha in ipairs(row.shas) do if wanted[sha] then take_one(self, row, sha, others[sha]) end end
  return true
end

-- The batch is over: nothing of it is needed any more, here or at the service.
local function close(self, talk, row)
  if row.size then
    batches.remove(files.path(self.store, row.name, "answers"))
    change(self.store, self.name, row.name, { done = true, shas = json.array {} })
    if not files.delete(talk, row) then return end -- the next run does
  end
  change(self.store, self.name, row.name, nil)
end

local function once(list)
  return function()
    local given = list
    list = nil
    return given
  end
end

-- The answers of a batch that succeeded. True when they are taken.
local function take_all(self, talk, row, state)
  if not state.file then return take_answers(self, row, once(state.answers), true) end
  local path = files.path(self.store, row.name, "answers")
  for try = 1, 2 do -- what is damaged may have been damaged on the way
    local got, why, code = files.fetch(talk, state.file, path)
    if got == false then return take_answers(self, row, once {}, true) end -- paid, and lost
    if not got then return nil, why, code end
    local answers <close>, message, problem = batches.answers(path)
    if not answers then return nil, message, problem end
    local all
    all, why, code = take_answers(self, row, function() return answers:next() end, try == 2)
    if all or code then return all, why, code end
  end
end

-- Look at one batch. True when it is over.
local function look(self, talk, row)
  local reply = request(talk, { method = "GET", path = "/v1beta/" .. row.id, class = "safe" })
  if not reply then return false end
  if reply.verdict ~= "done" then
    if reply.status == 404 then -- it was deleted, or is older than the service keeps them
      take_answers(self, row, once {}, true)
      close(self, talk, row)
      return true
    end
    if reply.verdict ~= "failed" then self:give_up(("the batch %s cannot be looked at: %s"):format(row.id, reply.why or reply.verdict), 1) end
    return false
  end
  local state = batches.read(reply.status, reply.text)
  if state.state == "succeeded" then
    local taken, why, code = take_all(self, talk, row, state)
    if taken then
      close(self, talk, row)
    elseif code ~= "INTERRUPT" then
      self:give_up(("the answers of %s cannot be had: %s"):format(row.id, why), (code == "NETWORK" or code == "LIMIT") and 75 or 1)
    end
    return taken or false
  elseif state.state == "failed" or state.state == "cancelled" or state.state == "expired" then
    for _, sha in ipairs(row.shas) do
      local job = self.of_sha[sha]
      if job then
        self.of_sha[sha], self.flying = nil, self.flying - 1
        self.purse:give_back(job.held)
        self:leave("failed", job, ("its batch %s"):format(state.state == "failed" and "failed" or "was " .. state.state))
      end
    end
    close(self, talk, row)
    return true
  end
  return false
end

-- The queue's places by picture.
local function places(self)
  local by = {}
  for i = self.first, #self.queue do
    local job = self.queue[i]
    if job and not by[job.item.sha256] then by[job.item.sha256] = i end
  end
  return by
end

local function close_gaps(self)
  local left = {}
  for i = self.first, #self.queue do if self.queue[i] then left[#left + 1] = self.queue[i] end end
  self.queue, self.first = left, 1
end

-- A batch of an earlier run: its pictures leave the queue.
local function wait_for(self, row, by)
  local waited, model = 0, { id = row.model, row = models.find(self.name, row.model), strained = 0 }
  for _, sha in ipairs(row.shas) do
    local job = by[sha] and self.queue[by[sha]]
    if job and not self.of_sha[sha] then
      job.model = model
      job.held, job.tries = self.purse:most(job, model, self.share), 1
      self.purse:take(job.held)
      self.of_sha[sha], self.flying, waited = job, self.flying + 1, waited + 1
      self.queue[by[sha]] = false
    end
  end
  row.found = true
  table.insert(self.open, row)
  log.say("info", ("a batch of an earlier run is found again: %s, %s"):format(row.id, set.count(waited)))
end

-- The jobs of a batch whose file was written by an earlier run, but which was not made; nil when it is not what this run would ask: other
-- pictures, another model, or more than the ceiling allows.
local function same_jobs(self, row, by)
  local model, jobs = self:model(), {}
  if row.question ~= self.key or not model or model.id ~= row.model then return nil end
  for i, sha in ipairs(row.shas) do
    jobs[i] = by[sha] and self.queue[by[sha]]
    if not jobs[i] then return nil end
  end
  for i, job in ipairs(jobs) do
    job.model, job.held, job.settings = model, self.purse:most(job, model, self.share), self:settings(model)
    if not self.purse:hold(job.held) then
      for k = 1, i - 1 do self.purse:give_back(jobs[k].held) end
      return nil
    end
  end
  return jobs
end

-- Go on with the file, or take it away.
local function go_on(self, talk, row, by)
  local state, why, code = files.state(talk, row)
  if not state then
    if code ~= "INTERRUPT" then self:give_up(("a file of questions cannot be looked at: %s"):format(why), 75) end
    return
  end
  local here = batches.size(files.path(self.store, row.name, "jsonl")) == row.size
  local jobs = (state == "active" or state == "gone" and here) and same_jobs(self, row, by)
  if not jobs then return forget(self, talk, row) end
  for _, sha in ipairs(row.shas) do self.queue[by[sha]] = false end
  close_gaps(self)
  log.say("info", ("a file of %s of an earlier run is found again"):format(set.count(#jobs, "question")))
  create_of_file(self, talk, row, jobs, state == "active")
end

-- Batches of earlier runs: those that ask the same are waited for; a file of questions is used, or taken away whoever asked.
local function find_again(self, talk)
  local needed = json.array {}
  for _, row in ipairs(open_batches(self.store, self.name)) do
    if row.size and not row.id then needed[#needed + 1] = row.name end
  end
  batches.sweep(self.store:folder(), needed)
  for _, row in ipairs(open_batches(self.store, self.name)) do
    if self.stopped or script.interrupted() > 0 then return end
    if row.done then
      close(self, talk, row)
    elseif row.question == self.key or row.size and not row.id then
      local known = row.id and "found" or look_for(self, talk, row)
      if known == "found" and row.size then batches.remove(files.path(self.store, row.name, "jsonl")) end
      if known == "none" and row.size then
        go_on(self, talk, row, places(self))
      elseif known == "none" then
        change(self.store, self.name, row.name, nil)
      elseif not known then
        if row.question == self.key then return self:give_up("whether an earlier batch was made is not known", 75) end
      elseif row.question == self.key then
        wait_for(self, row, places(self))
        close_gaps(self)
      end
    end
  end
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
    while not self.stopped and self.queue[self.first] and has_room(self) and script.interrupted() == 0 do
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
      self:stop("stopped", { exit = 130, hint = self.open[1] and "the batch goes on at the service; the same command looks for its answers"
        or "no batch was made yet, nothing is to be paid; the same command goes on" })
      return
    end
    if self.given_up then return end
    if self.open[1] then script.pause(wait) end
    wait = math.min(wait * 1.5, LONGEST_WAIT)
  end
end

return M
