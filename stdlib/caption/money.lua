-- money.lua - what asking may cost and has cost: estimates, ceilings, and the account of a run.
--
--   local purse = money.purse(session, "gemini", options.spend)     -- the ceiling: the recipe's and the option's, whichever is less
--   if purse:hold(0.008) then ... purse:settle(0.008, 0.0021) end   -- before a question; after its answer, nil where the cost is unknown
--
-- A ceiling counts what this run has paid and the most that what is under way may cost, so that it stops before the question that could
-- cross it. An answer whose cost is unknown counts as the most it may have been.
local models = require "caption.models"

local M = {}

--- 0.0021 -> "$0.0021"; 1.5 -> "$1.50"
---@param usd number
---@return string
function M.text(usd)
  if usd > 0 and usd < 0.00005 then return "less than $0.0001" end
  if usd > 0 and usd < 0.10 then return ("$%.4f"):format(usd) end
  return ("$%.2f"):format(usd)
end

-- Tokens of a text at most: letters of Latin script are a quarter of a token or so, others up to one and a half.
local function text_tokens(text)
  text = text or ""
  local ascii = select(2, text:gsub("[\0-\127]", ""))
  return ascii // 2 + (#text - ascii) + 16
end

--- The most that one question may cost; nil where the price is unknown.
---@param row table? the model
---@param asked { system: string, user: string, schema: string }
---@param resolution string
---@param max_tokens integer
---@param width integer
---@param height integer
---@return number?
function M.most(row, asked, resolution, max_tokens, width, height)
  local input = text_tokens(asked.system) + text_tokens(asked.user) + text_tokens(asked.schema) + models.picture_tokens(row, resolution, width, height)
  return models.cost(row, { input = input, output = max_tokens })
end

local WORDS = { detailed = 130, concise = 45, tags = 110 } -- tokens of usual answers
local THOUGHTS = { none = 0, minimal = 20, low = 250, medium = 700, high = 1800 }

--- About what one question will cost; nil where the price is unknown.
function M.usual(row, asked, resolution, style, thinking, width, height)
  local least = row and row.thinking and (row.thinking.style == "budget" and "none" or row.thinking.least) or "none"
  local input = (text_tokens(asked.system) + text_tokens(asked.user)) // 2 + models.picture_tokens(row, resolution, width, height)
  return models.cost(row, { input = input, output = WORDS[style or "detailed"] + THOUGHTS[thinking == "least" and least or thinking or least] })
end

local Purse = {}
Purse.__index = Purse

--- What a provider may spend. session.money[name] lives as long as the run: all stages that ask the provider share it.
---@param session table
---@param name string
---@param ceiling? { usd: number } the option `spend` of this stage
function M.purse(session, name, ceiling)
  session.money = session.money or {}
  session.money[name] = session.money[name] or { spent = 0, held = 0, paid = 0, unknown = 0 }
  local allowed = session.allow and session.allow.spend and session.allow.spend[name]
  return setmetatable({ name = name, run = session.money[name], own = { spent = 0, held = 0 }, ceiling = ceiling and ceiling.usd,
    allowed = allowed and allowed.usd }, Purse)
end

--- Is there a ceiling at all?
function Purse:limited() return self.ceiling ~= nil or self.allowed ~= nil end

--- The ceiling that is nearest, in words.
function Purse:limit_text()
  if self.allowed and (not self.ceiling or self.allowed <= self.ceiling) then
    return ("usd(%s) that the recipe's header allows for %s"):format(("%g"):format(self.allowed), self.name)
  end
  return ("usd(%g) that spend sets"):format(self.ceiling)
end

--- True, and the amount is held, when no ceiling can be crossed by it.
---@param most number
---@return boolean
function Purse:hold(most)
  local tiny = 1e-12
  if self.ceiling and self.own.spent + self.own.held + most > self.ceiling + tiny then return false end
  if self.allowed and self.run.spent + self.run.held + most > self.allowed + tiny then return false end
  self.own.held, self.run.held = self.own.held + most, self.run.held + most
  return true
end

--- Held without asking whether a ceiling allows it: it is spent already, or under way.
function Purse:take(most) self.own.held, self.run.held = self.own.held + most, self.run.held + most end

--- How often an amount fits below the ceilings: math.huge where there are none.
---@param most number
---@return number
function Purse:fits(most)
  local left = math.min(self.ceiling and self.ceiling - self.own.spent - self.own.held or math.huge,
    self.allowed and self.allowed - self.run.spent - self.run.held or math.huge)
  return most > 0 and left < math.huge and left // most or math.huge
end

--- What was held is given back, and what the answer cost is spent; nil: unknown, which counts as all that was held.
---@param held number
---@param cost number?
function Purse:settle(held, cost)
  for _, account in ipairs { self.own, self.run } do
    account.held, account.spent = account.held - held, account.spent + (cost or held)
  end
  self.run.paid = self.run.paid + (cost or 0)
  if not cost then self.run.unknown = self.run.unknown + 1 end
end

--- An attempt whose answer was lost on the way: it may be paid, and counts as all that it could cost.
---@param most number
function Purse:lose(most)
  self.own.spent, self.run.spent = self.own.spent + most, self.run.spent + most
  self.run.unknown = self.run.unknown + 1
end

return M
