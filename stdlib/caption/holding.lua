-- holding.lua - money held back while questions are under way, and what their answers cost.
--
--   local purse = holding.new("gemini", service, options, context, asked)
--   local most = purse:most(job, model)
--   if purse:hold(most) then ... end               -- before a question; false: a ceiling could be crossed
--   local cost = purse:cost_of(job, reply)         -- nil: nobody knows
--   purse:settle(job, reply, cost)                 -- after its answer
--
-- A job is { item =, asked = the words of its question, max_tokens =, model =, held = the most its question may cost, spare = attempts that
-- more is held for }. Where nothing costs anything all of it is allowed, and nothing is counted. The ceilings are money.lua's.
local models = require "caption.models"
local money = require "caption.money"
local services = require "caption.services"
local settings = require "caption.settings"
local tally = require "caption.tally"

local M = {}

local Purse = {}
Purse.__index = Purse

---@param asked table the question's words
function M.new(name, service, options, context, asked)
  return setmetatable({ name = name, service = service, options = options, context = context, asked = asked,
    costless = settings.costless(service, options), ceilings = money.purse(context.session, name, options.spend), dearer = 1 }, Purse)
end

--- Is there a ceiling that can be crossed?
function Purse:limited() return not self.costless and self.ceilings:limited() end

--- The most that a question may cost; 0 where nobody knows, for then there is no ceiling.
---@param share? number of the price, in batches
function Purse:most(job, model, share)
  if self.costless then return 0 end
  local item = job.item
  local most = money.most(model.row, job.asked or self.asked, self.options.resolution or "high", job.max_tokens, item.width or 2048, item.height or 2048)
  return (most or 0) * (share or 1) * self.dearer
end

--- True, and the amount is held, when no ceiling can be crossed by it.
function Purse:hold(most) return self.costless ~= nil or self.ceilings:hold(most) end

--- Held without asking: it is under way already.
function Purse:take(most)
  if not self.costless then self.ceilings:take(most) end
end

--- What was held for a question that cost nothing.
function Purse:give_back(most)
  if not self.costless then self.ceilings:settle(most, 0) end
end

--- How many more attempts the money is held back for, should answers be lost on the way: none where other questions want it.
function Purse:hold_spare(most)
  if not self:limited() then return nil end
  local others = services.in_flight(self.service, self.options)
  local spare = math.max(0, math.min(services.ATTEMPTS - 1, self.ceilings:fits(most) - others))
  return self.ceilings:hold(spare * most) and math.tointeger(spare) or 0
end

function Purse:release_spare(job)
  if job.spare then self.ceilings:settle(job.spare * job.held, 0) end
  job.spare = nil
end

-- A question that the service refused costs nothing; one whose answer was lost on the way may have.
local UNPAID = { other_model = true, stop = true, refused = true }
local UNSENT = { connect = true, resolve = true, tls = true, start = true, stopped = true, recalled = true } -- how a request ended that never went out

--- What an answer cost: nil where nobody knows.
---@param share? number of the price, in batches
---@return number?
function Purse:cost_of(job, reply, share)
  if self.costless then return 0 end
  if UNPAID[reply.verdict] or UNSENT[reply.kind] or reply.verdict == "failed" and reply.status and reply.status > 0 then return 0 end
  local id = reply.model
  local row = id and id ~= "" and (models.find(self.name, id) or (id:sub(1, #job.model.id + 1) == job.model.id .. "-" and job.model.row))
  if not id or id == "" then row = job.model.row end
  local tokens = reply.tokens
  if reply.verdict == "blocked" and tokens and tokens.input and not tokens.output then tokens = { input = tokens.input, output = 0 } end
  local cost = models.cost(row, tokens)
  return cost and cost * (reply.batch and share or 1)
end

-- Another model may answer than was asked, at another price: where there is a ceiling, the next questions are held to what this one cost.
local function compare(self, job, reply, cost)
  if not self:limited() then return end
  if cost and job.held > 0 and cost > job.held then self.dearer = self.dearer * cost / job.held end
  if not cost and reply.model and not models.price(models.find(self.name, reply.model)) then
    job.model.gone = job.model.gone or ("%s answers for it, whose price is unknown, and there is a ceiling"):format(reply.model)
    job.model.later, job.model.priceless = true, true -- it may answer by itself again
  end
end

--- An answer is there: what was held for it is given back, what it cost is spent.
function Purse:settle(job, reply, cost)
  self:release_spare(job)
  if self.costless then return end
  self.ceilings:settle(job.held, cost)
  compare(self, job, reply, cost)
end

--- Money that brought no caption is told too.
function Purse:told(job, reply, cost, why)
  if self.costless or cost == 0 or reply.told then return end
  self.context.spent { provider = self.name, model = reply.model or job.model.id, cost = cost, sha = job.item.sha256, why = why,
    tokens = reply.tokens, seconds = reply.seconds, batch = reply.batch }
end

--- Attempts before this reply that went out and never had a whole answer.
function Purse:count_lost(job, reply)
  local lost = self.costless and 0 or reply.lost or 0
  if reply.verdict == "failed" and not (reply.status and reply.status > 0) and not UNSENT[reply.kind] then lost = lost - 1 end -- cost_of knows of the last
  for _ = 1, lost do
    self.ceilings:lose(job.held)
    tally.lost(self.context.session, self.name)
    self:told(job, {}, nil, "its answer was lost on the way; it may be paid")
  end
end

--- The sentence for a question that could cross the nearest ceiling, and what belongs to it.
---@return string why, table more
function Purse:crossing(most)
  local ceilings = self.ceilings
  return ("the next question may cost up to %s and would cross the ceiling of %s"):format(money.text(most), ceilings:limit_text()),
    { exit = ceilings.allowed and (not ceilings.ceiling or ceilings.allowed <= ceilings.ceiling) and 3 or 1,
      hint = ("%s are spent in this run; a higher ceiling goes on from here"):format(money.text(ceilings.run.paid)) }
end

return M
