-- log.lua - `calotype captions log`: every text that pictures had, oldest first, and what was paid without getting one.
local json = require "native.json"
local log = require "native.log"
local named = require "captions.named"
local providers = require "recipe.providers"
local script = require "native.script"
local set = require "recipe.set"
local telling = require "captions.telling"

local M = {}

local JOINED = { append = "put after what was there", prepend = "put before what was there" }

-- How a row was put together with what was there | nil; the keys of the answers that are in it go into `used`.
local function joined(row, used)
  local told = row.detail and row.detail:find '"parts"' and json.decode(row.detail)
  if type(told) ~= "table" or type(told.parts) ~= "table" then return nil end
  for _, part in ipairs(told.parts) do if type(part) == "table" and part.key then used[part.key] = true end end
  return JOINED[told.mode]
end

-- What a model on this machine was asked with, where it is not what it is asked with by itself: "longest 8, penalty 1.3".
local function settings_of(row, told, parts)
  local provider = providers.by_name[row.provider]
  if type(told) ~= "table" or type(told.weights) ~= "string" or not provider then return end
  local settings = type(told.settings) == "table" and told.settings or {}
  parts[#parts + 1] = "weights " .. told.weights:sub(1, 8)
  for _, option in ipairs(provider.options) do
    local value = settings[option.name]
    local shown = tostring(value)
    if type(value) == "table" then
      local words = {}
      for i, one in ipairs(value) do words[i] = tostring(one) end
      shown = table.concat(words, " ")
    end
    if value ~= nil and shown ~= "" and value ~= option.default then parts[#parts + 1] = option.name .. " " .. shown end
  end
end

-- What one row is, without its text: "a person", "gemini gemini-3.8-flash, prompt 4be1a3f2, $0.0012, 2.1 s".
local function origin(row, numbers, paid, used)
  local parts = { telling.who(row) }
  local asked = row.prompt ~= "" and row.prompt or nil
  local hashed = asked and #asked == 64 and asked:find "^%x+$" -- else it stands as it was: how a text was begun, image-to-text
  if asked then parts[#parts + 1] = hashed and "prompt " .. asked:sub(1, 8) or asked end
  local detail = json.decode(row.detail or "")
  settings_of(row, detail, parts)
  local fallback = type(detail) == "table" and detail.fallback
  if type(fallback) == "table" and #fallback > 0 then parts[#parts + 1] = "after " .. table.concat(fallback, "; ") end
  if row.restores then parts[#parts + 1] = ("put back from %d"):format(numbers[row.restores] or 0) end
  if joined(row, {}) then parts[#parts + 1] = joined(row, {}) end
  if row.aside then parts[#parts + 1] = used[row.key] and "for a longer text" or used.ensemble and "for the ensemble" or "for a comparison" end
  if row.cost or paid[row.id] then parts[#parts + 1] = telling.money(row.cost) end
  if row.seconds then parts[#parts + 1] = ("%.1f s"):format(row.seconds) end
  return table.concat(parts, ", ")
end

-- Rows and requests without a caption, in the order of their times.
local function events(rows, spends)
  local list, paid, cost, unknown = {}, {}, 0, 0
  for _, row in ipairs(rows) do list[#list + 1] = { time = row.time, row = row } end
  for _, spend in ipairs(spends) do
    cost, unknown = cost + (spend.cost or 0), unknown + (spend.cost and 0 or 1)
    if spend.caption then paid[spend.caption] = true else list[#list + 1] = { time = spend.time, spend = spend } end
  end
  for i, event in ipairs(list) do event.order = i end
  table.sort(list, function(a, b)
    if a.time ~= b.time then return a.time < b.time end
    return a.order < b.order
  end)
  return list, paid, cost, unknown
end

local function put_picture(picture, rows, spends)
  local list, paid, cost, unknown = events(rows, spends)
  log.put_marked { { "strong", telling.title(picture) },
    ("   content %s, %s%s"):format(picture.sha:sub(1, 12), set.count(#rows, "text"), #spends > 0 and ", " .. telling.sum(cost, unknown) or "") }
  local numbers, used = {}, {}
  for i, row in ipairs(rows) do
    numbers[row.id] = i
    joined(row, used)
    used.ensemble = used.ensemble or row.provider == "ensemble"
  end
  for _, event in ipairs(list) do
    local row, spend = event.row, event.spend
    if row then
      log.put_marked { ("%s%3d  "):format(row.in_force and "*" or " ", numbers[row.id]),
        { "faint", ("%s  %s"):format(telling.when(row), origin(row, numbers, paid, used)) } }
      log.put_words("      " .. telling.indented(row.text, 6))
    else
      log.put_marked { "     ", { "faint", ("%s  %s%s, no caption: %s, %s"):format(telling.when(spend), spend.provider,
        spend.model and " " .. spend.model or "", spend.why or "it is not said why", telling.money(spend.cost)) } }
    end
  end
  return cost, unknown
end

--- log FILE|FOLDER
---@param store table
---@param words string[]
---@return integer exit
function M.run(store, words)
  local pictures, folder = named.pictures(store, words[1])
  local without, texts, cost, unknown, told = {}, 0, 0, 0, 0
  for _, picture in ipairs(pictures) do
    if script.interrupted() > 0 then script.fail { message = "stopped", source = false, exit = 130 } end
    local rows, spends = store:captions(picture.sha), store:spends(picture.sha)
    if #rows == 0 and #spends == 0 then
      without[#without + 1] = picture
    else
      if told > 0 then log.put "" end
      local more, open = put_picture(picture, rows, spends)
      told, texts, cost, unknown = told + 1, texts + #rows, cost + more, unknown + open
    end
  end
  if not folder and told == 0 then
    script.fail { message = ("%s has no captions yet"):format(words[1]), source = false, exit = 1, hint = "a recipe with :caption asks for them" }
  end
  if not folder then return 0 end
  if told > 0 then log.put "" end
  log.put_words(("%s, %s%s%s"):format(set.count(#pictures), set.count(texts, "text"), (cost > 0 or unknown > 0) and ", " .. telling.sum(cost, unknown) or "",
    #without > 0 and ("; %d without any, the first is %s"):format(#without, without[1].path) or ""))
  return 0
end

return M
