-- chain.lua - the models of a service that are asked in turn, and why one is left for the next.
--
--   local models = chain.new("gemini", { "gemini-3.8-flash", "gemini-3.5-flash" })
--   local model = models:first(limited)      -- { id =, row =, strained = 0 }; nil when none is left
--   model.gone = "quota of the day"          -- it is left for the next, and each caption says so
--   model.later = true                       -- it may answer again by itself
local json = require "native.json"
local known = require "caption.models"

local M = {}

local Chain = {}
Chain.__index = Chain

---@param name string of the provider
---@param ids string[]
function M.new(name, ids)
  local self = setmetatable({ name = name }, Chain)
  for i, id in ipairs(ids) do self[i] = { id = id, row = known.find(name, id), strained = 0 } end
  return self
end

--- The model to ask now; nil when none is left. Where there is a ceiling, one whose price nobody knows is not asked.
---@param limited boolean
---@return table?
function Chain:first(limited)
  for _, model in ipairs(self) do
    if not model.gone and limited and not known.price(model.row) then
      model.gone, model.priceless = "its price is unknown and there is a ceiling", true
    end
    if not model.gone then return model end
  end
end

--- How many were left.
---@return integer
function Chain:gone()
  local count = 0
  for _, model in ipairs(self) do count = count + (model.gone and 1 or 0) end
  return count
end

--- A line for each model that was left, for the captions of the next; nil when none was.
---@return string[]?
function Chain:fallback()
  local lines = {}
  for _, model in ipairs(self) do if model.gone then lines[#lines + 1] = ("%s: %s"):format(model.id, model.gone) end end
  return #lines > 0 and json.array(lines) or nil
end

--- "a, b: no quota; c: its price is unknown": models that are gone for the same reason stand together.
---@return string
function Chain:why_none()
  local by, order = {}, {}
  for _, model in ipairs(self) do
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

--- Is one of them only full, or its quota used up?
---@return boolean
function Chain:later()
  for _, model in ipairs(self) do if model.later then return true end end
  return false
end

--- Was one of them left because of a ceiling?
---@return boolean
function Chain:priceless()
  for _, model in ipairs(self) do if model.priceless then return true end end
  return false
end

--- A server of its own need not be told which model: it names what it has. nil, the sentence, and what belongs to it, where that is not one.
---@return string[]? ids, string? why, table? more
function M.ask(talk, host)
  talk:request("models", { method = "GET", path = "/v1/models", class = "safe" })
  local tag, reply, code = talk:next(30)
  if tag ~= "models" then
    return nil, ("%s did not say which models it has: %s"):format(host, reply or code or "no answer"), { exit = 75, elsewhere = code ~= "INTERRUPT" }
  end
  if reply.verdict == "failed" or reply.verdict == "stop" then
    return nil, ("%s did not say which models it has: %s"):format(host, reply.why), { exit = reply.verdict == "failed" and 75 or 1, elsewhere = true }
  end
  local value = reply.verdict == "done" and json.decode(reply.text)
  local rows, names = type(value) == "table" and type(value.data) == "table" and value.data or {}, {}
  for _, row in ipairs(rows) do names[#names + 1] = type(row) == "table" and type(row.id) == "string" and row.id or nil end
  if #names == 1 then return names end
  if #names == 0 then
    return nil, ("%s does not say which models it has (%s)"):format(host, reply.why or reply.verdict), { hint = 'name one: model = "..."' }
  end
  return nil, ("%s has several models: %s"):format(host, table.concat(names, ", ", 1, math.min(#names, 8))),
    { hint = ('name one: model = "%s"'):format(names[1]) }
end

return M
