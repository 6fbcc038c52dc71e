-- plan.lua - calotype plan FILE: what a run would do. Pictures are looked at (what is measured is remembered, the run needs it too); nobody is
-- asked, nothing is trained or drawn, no output is written.
--
--   plan.run { file = "hall.lua" }     --> 0
local buckets = require "recipe.buckets"
local command = require "recipe.command"
local log = require "native.log"
local money = require "caption.money"
local schema = require "recipe.schema"
local script = require "native.script"
local services = require "caption.services"
local set = require "recipe.set"
local stage = require "recipe.stage"
local verbs = require "recipe.verbs"

local M = {}

local function print_line(text) io.stdout:write(text, "\n") end

-- "about $0.031", or why nobody knows.
local function price_text(e)
  if e.free then return e.replay and "replayed" or "free" end
  return e.usd and "about " .. money.text(e.usd) or "price unknown"
end

-- What the price is from: "gemini-3.8-flash, prices of 2026-11-20, which hold until 2026-12-31".
local function source_text(e)
  if e.free then return nil end
  if e.usd then
    return ("%s%s, prices of %s%s"):format(e.model, e.batch and ", in batches" or "", e.as_of, e.until_ and ", which hold until " .. e.until_ or "")
  end
  return ("%s is in no table of prices%s"):format(e.model or "the model", e.own and "; a server of your own that costs nothing: free = true" or "")
end

local Plan = {}
Plan.__index = Plan

function Plan:line(label, text) self.put(("  %-24s %s"):format(label, text)) end

-- The sums by provider, the members of an ensemble each under their own name.
function Plan:add(name, done)
  local e = done.estimate
  if not e then return end
  if e.members then
    for _, member in ipairs(e.members) do self:add(member.provider, { asked = member.asked, known = member.known, estimate = member.estimate }) end
    return
  end
  if e.host then table.insert(self.asks, { name = name, estimate = e }) end
end

-- What a stage would be: its set, as far as that can be known without asking, drawing and training; nil when it cannot.
function Plan:stage(self_)
  local state = stage.state(self_)
  if self.known[self_] ~= nil then return self.known[self_] or nil end
  local inputs, unknown = {}, false
  for i, input in ipairs(state.inputs) do
    inputs[i] = self:stage(input)
    unknown = unknown or not inputs[i]
  end
  local verb, label = state.verb, verbs.label(state.verb, state.options)
  self.known[self_] = false
  if verb.sink or verb.on ~= "images" or verb.gives or verb.device then
    self:line(label, verb.planned and verb.planned(state.options, inputs[1]) or state.options.to and "would write " .. state.options.to
      or verb.name == "expect" and "looked at when it runs" or state.options.beside and "would write captions beside the pictures"
      or "when it runs")
    return nil
  elseif unknown then
    self:line(label, "when it runs")
    return nil
  end
  local context, told = stage.context(self_), nil
  function context.account(text) told = text end
  function context.planning(name, done)
    self:add(name, done)
    self.last = done
  end
  self.last = nil
  state.session:poll(state.at)
  local result = verb.run(context, state.options, table.unpack(inputs)) or inputs[1]
  if not (state.shared and self.known[state.shared]) then
    local e = self.last and self.last.estimate
    self:line(label, (told or set.count(#result.items)) .. (e and e.requests and "; " .. price_text(e) or ""))
  end
  if state.shared then self.known[state.shared] = true end
  self.known[self_] = result
  return result
end

local function ceiling_text(session, name, e)
  local parts = {}
  local allowed = session.allow and session.allow.spend and session.allow.spend[name]
  if e.ceiling then parts[#parts + 1] = ("spend is usd(%g)"):format(e.ceiling) end
  if allowed then parts[#parts + 1] = ("the header allows usd(%g)"):format(allowed.usd) end
  local least = math.min(e.ceiling or math.huge, allowed and allowed.usd or math.huge)
  if e.usd and e.usd > least then
    parts[#parts + 1] = ("that is enough for about %d of them"):format(math.floor(e.requests * least / e.usd))
  end
  return #parts > 0 and table.concat(parts, ", ") or "no ceiling"
end

-- What an answer would take of those who stand after the first in a list.
local function put_others(put, session, e)
  for _, other in ipairs(e.others or {}) do
    local about = other.estimate
    if about then
      put(("  if all falls to %s at %s: %s, %s; %s"):format(other.name, about.host, set.count(about.requests), price_text(about),
        ceiling_text(session, other.name, about)))
    else
      put(("  if all falls to %s: nothing is paid"):format(other.name))
    end
  end
end

--- The pictures that a recipe is about, without asking anybody or writing anything: the sets of the last stages that can be known now.
--- `base`: the model it trains on, where it names one; `training`: the key of its runs; `bucket_of`: by set, what gives a picture the bucket
--- that it is trained in. `put` gets a line for each stage.
---@param options { file: string, params?: table<string, string>, store?: string, put?: fun(line: string) }
---@return calotype.set[]
function M.sets(options)
  local session = command.read(options, "plan")
  local plan = setmetatable({ put = options.put or function() end, known = {}, asks = {} }, Plan)
  local sets, used, ends = { bucket_of = {} }, {}, {}
  local ok, fault = script.call(function()
    for _, made in ipairs(session.stages) do plan:stage(made) end
    for _, made in ipairs(session.stages) do
      local state = stage.state(made)
      if state.verb.name == "train_lora" then sets.training = require("recipe.verbs.train_lora").key(state) end
      sets.base = sets.base or type(state.options.base) == "string" and state.options.base or nil
      for _, input in ipairs(state.inputs) do
        if plan.known[made] then used[input] = true else ends[input] = true end -- what is trained on, say
      end
    end
    for _, made in ipairs(session.stages) do
      local known = plan.known[made]
      if known and (ends[made] or not used[made]) then sets[#sets + 1], sets.bucket_of[known] = known, buckets.trained(session, made) end
    end
  end)
  session:close()
  if not ok then error(fault, 0) end
  return sets
end

--- Print what a run would do.
---@param options { file: string, params?: table<string, string>, put?: fun(line: string) }
---@return integer exit
function M.run(options)
  local put = options.put or print_line
  local session = command.read(options, "plan")
  command.need_sink(session)
  local plan = setmetatable({ put = put, known = {}, asks = {} }, Plan)
  local given = {}
  for _, row in ipairs(session.list) do if row.given then given[#given + 1] = row.name .. "=" .. schema.show(row.value) end end
  put(("%s%s: nothing is asked, trained or written"):format(options.file, #given > 0 and " " .. table.concat(given, " ") or ""))
  local ok, fault = script.call(function()
    for _, sink in ipairs(session.sinks) do plan:stage(sink) end
  end)
  session:close()
  if not ok then error(fault, 0) end
  for _, warning in ipairs(session.warnings) do
    put(("warning: %s%s"):format(warning.at and warning.at.line and ("%s:%d: "):format(warning.at.source, warning.at.line) or "", warning.text))
  end
  for _, note in ipairs(session.notes) do put("note: " .. note) end
  if session.stopped_at then put(("from line %d on it works with pictures itself: that is known when it runs"):format(session.stopped_at.line)) end
  local total, unknown = 0, false
  for _, ask in ipairs(plan.asks) do
    local e = ask.estimate
    if e.waiting > 0 then put(("%s: %d are in a batch already; a run waits for their answers"):format(ask.name, e.waiting)) end
    if e.requests > 0 then
      local service = services.find(ask.name)
      if e.replay then
        put(("answers for %s come from %s: nothing is sent, nothing is paid"):format(set.count(e.requests), e.replay))
      else
        put(("asks %s at %s %s: %s, %s; %s%s"):format(ask.name, e.host, service.key and "with " .. service.key or "without a key", set.count(e.requests),
          price_text(e), ceiling_text(session, ask.name, e), e.blocked > 0 and ("; %d blocked before are left"):format(e.blocked) or ""))
        local source = source_text(e)
        if source then put("  " .. source) end
      end
      put_others(put, session, e)
      if e.usd then total = total + e.usd else unknown = true end
    end
  end
  if #plan.asks == 0 then put "asks nobody, costs nothing"
  elseif unknown and total == 0 then put "in all: a price that nobody here knows"
  else put(("in all: about %s%s on %s"):format(money.text(total), unknown and " and what is unknown" or "", log.date():sub(1, 10))) end
  return 0
end

return M
