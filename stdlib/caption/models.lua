-- models.lua - what is known of remote models: data/models.lua, with the file that CALOTYPE_MODELS names laid over it.
--
--   local row = models.find("gemini", "gemini-3.8-flash")        -- nil: unknown, so is its price
--   models.cost(row, { input = 1400, output = 60, thought = 200 })   --> 0.002025; nil where the price is unknown
--
-- Prices change on days; `date` is "2026-11-21", today when left out.
local fs = require "native.fs"
local log = require "native.log"
local script = require "native.script"
local suggest = require "recipe.suggest"

local M = {}

local known -- the table, read once for each value of CALOTYPE_MODELS

local function fail(path, message, hint)
  script.fail { message = ("CALOTYPE_MODELS: %s %s"):format(path, message), source = false, exit = 2, hint = hint }
end

local function check_row(path, row, i)
  local what = ("models[%d]"):format(i)
  if type(row) ~= "table" or type(row.service) ~= "string" or type(row.id) ~= "string" then
    fail(path, what .. " has no service and id", 'write { service = "openai", id = "...", prices = { { input = 0.1, output = 0.4 } } }')
  end
  for _, price in ipairs(row.prices or {}) do
    for _, side in ipairs { "input", "output" } do
      local value = type(price) == "table" and price[side]
      if type(value) ~= "number" or not (value >= 0 and value < math.huge) then
        fail(path, ("%s (%s): a price needs input and output, dollars for a million tokens"):format(what, row.id))
      end
    end
  end
end

-- The user's file: a Lua file that sees nothing and returns a table.
local function read_file(path)
  local ok, message = fs.grant(path, "read")
  local text
  if ok then text, message = fs.read(path) end
  if not text then fail(path, "cannot be read: " .. message) end
  local fn, problem = script.load(text, "@" .. path, {})
  if not fn then fail(path, ("line %d: %s"):format(problem.line or 1, problem.message)) end
  local good, rows = script.call(script.limit, 2, fn)
  if not good or type(rows) ~= "table" then
    fail(path, "gives no table", "it has the shape of stdlib/data/models.lua: return { as_of = ..., models = { ... } }")
  end
  if type(rows.as_of) ~= "string" or not rows.as_of:find "^%d%d%d%d%-%d%d%-%d%d$" then
    fail(path, "has no as_of", 'the day its prices are of: as_of = "2026-11-20"')
  end
  for i, row in ipairs(rows.models or {}) do check_row(path, row, i) end
  for name, limits in pairs(rows.batch_limits or {}) do
    for _, key in ipairs { "inside", "file", "piece", "files" } do
      if type(limits) ~= "table" or math.type(limits[key]) ~= "integer" or limits[key] < 1 then
        fail(path, ("has batch_limits of %s without %s"):format(name, key), "bytes: batch_limits = { gemini = { inside =, file =, piece =, files = } }")
      end
    end
  end
  return rows
end

local function lay_over(base, over, path)
  local made = { as_of = base.as_of, chains = {}, batch = {}, batch_limits = {}, models = {}, retired = {} }
  for _, key in ipairs { "chains", "batch", "batch_limits" } do
    for name, value in pairs(base[key]) do made[key][name] = value end
    for name, value in pairs(over and over[key] or {}) do made[key][name] = value end
  end
  local replaced = {}
  for _, row in ipairs(over and over.models or {}) do
    replaced[row.service .. " " .. row.id] = true
    row.as_of, row.from = over.as_of, path
    table.insert(made.models, row)
  end
  for _, row in ipairs(base.models) do
    row.as_of = base.as_of
    if not replaced[row.service .. " " .. row.id] then table.insert(made.models, row) end
  end
  for _, list in ipairs { over and over.retired or {}, base.retired } do
    for _, row in ipairs(list) do if not replaced[row.service .. " " .. row.id] then table.insert(made.retired, row) end end
  end
  return made
end

--- The whole table.
function M.all()
  local path = script.env "CALOTYPE_MODELS"
  if path == "" then path = nil end
  if not known or known.path ~= path then
    known = { path = path, table = lay_over(require "data.models", path and read_file(path), path) }
  end
  return known.table
end

local function search(list, service, id)
  for _, row in ipairs(list) do if row.service == service and row.id == id then return row end end
end

--- A model by its name; also by the name with a version behind that a server gives itself (gemini-3.8-flash-002).
---@return table?
function M.find(service, id)
  if not id then return nil end
  local row = search(M.all().models, service, id)
  local base = not row and id:match "^(.*)%-%d%d%d$"
  return row or base and search(M.all().models, service, base) or nil
end

--- Since when a name is no longer served, and what to write instead.
---@return { since: string, now: string, routed?: boolean }?
function M.retired(service, id) return search(M.all().retired, service, id) end

--- The models asked one after another where a recipe names none.
---@return string[]
function M.chain(service)
  local chain = M.all().chains[service] or {}
  return table.move(chain, 1, #chain, 1, {})
end

--- The name that was meant.
---@return string?
function M.nearest(service, id)
  local names = {}
  for _, row in ipairs(M.all().models) do if row.service == service then names[#names + 1] = row.id end end
  return suggest.closest(id, names)
end

--- Dollars for a million tokens: { input, output, until_ }, or nil where nobody knows.
function M.price(row, date)
  date = (date or log.date()):sub(1, 10)
  for _, price in ipairs(row and row.prices or {}) do
    if not price.until_ or date <= price.until_ then return price end
  end
end

--- What an answer cost in dollars; nil where the price or the number of tokens is unknown.
---@param row table?
---@param tokens { input: integer?, output: integer?, thought: integer? }?
---@param date? string
---@return number?
function M.cost(row, tokens, date)
  local price = M.price(row, date)
  if not price or not tokens or not tokens.input or not tokens.output then return nil end
  return (tokens.input * price.input + (tokens.output + (tokens.thought or 0)) * price.output) / 1e6
end

--- The most tokens that a picture of that size can be.
---@param row table?
---@param resolution string low, medium or high
---@return integer
function M.picture_tokens(row, resolution, width, height)
  local tokens = row and row.picture and row.picture[resolution]
  if type(tokens) == "table" then
    return math.max(1, (width + tokens.tile - 1) // tokens.tile) * math.max(1, (height + tokens.tile - 1) // tokens.tile) * tokens.each
  end
  return tokens or 2800 -- no model known here takes more for a picture of at most 2048 pixels a side
end

return M
