-- tally.lua - what was asked of services in a run, by provider: for its last lines and for reports.
--
--   tally.answer(session, "gemini", reply, 0.0021)      -- one answer; nil: nobody knows what it cost
--   tally.text(session.asked.gemini)                    -- "gemini: 20 captions, 21 requests (1 error, 4.8 %), $0.0312, ..."
local json = require "native.json"
local money = require "caption.money"
local set = require "recipe.set"

local M = {}

local function row_of(session, name)
  session.asked = session.asked or {}
  local row = session.asked[name] or { name = name, answers = 0, captions = 0, input = 0, output = 0, usd = 0, unknown = 0, models = {} }
  session.asked[name] = row
  return row
end

--- One answer: session.asked[name] has the sums. `costless`: why nothing is paid.
function M.answer(session, name, reply, cost, costless)
  local row = row_of(session, name)
  row.answers = row.answers + 1
  if reply.verdict == "done" then row.captions = row.captions + 1 end
  if reply.tokens then
    row.input, row.output = row.input + (reply.tokens.input or 0), row.output + (reply.tokens.output or 0) + (reply.tokens.thought or 0)
  end
  if cost then row.usd = row.usd + cost else row.unknown = row.unknown + 1 end
  row.costless = costless
  if reply.model and reply.model ~= "" then row.models[reply.model] = (row.models[reply.model] or 0) + 1 end
end

--- An attempt whose answer was lost on the way.
function M.lost(session, name)
  local row = row_of(session, name)
  row.lost = (row.lost or 0) + 1
end

--- What the conversation counted, beside what the answers said.
function M.counts(session, name, counts)
  local row = session.asked and session.asked[name]
  if not row then return end
  row.requests = (row.requests or 0) + (counts.requests or 0)
  row.errors = row.errors or {}
  for kind, n in pairs(counts.errors or {}) do row.errors[kind] = (row.errors[kind] or 0) + n end
  row.p50, row.p95, row.p99 = counts.p50, counts.p95, counts.p99
  row.sent, row.received = (row.sent or 0) + (counts.bytes_sent or 0), (row.received or 0) + (counts.bytes_received or 0)
end

--- The same for good: what has been asked of a service from this store, in all runs.
function M.remember(store, name, counts)
  if (counts.requests or 0) == 0 then return end
  local row = M.remembered(store, name) or { requests = 0, errors = {} }
  row.requests = row.requests + counts.requests
  for kind, n in pairs(counts.errors or {}) do row.errors[kind] = (row.errors[kind] or 0) + n end
  store:put("asked", name, json.encode(row))
end

--- { requests =, errors = { kind = count } }, or nil where nothing was asked.
---@return table?
function M.remembered(store, name)
  local text = store:get("asked", name)
  return text and json.decode(text) or nil
end

--- "$0.0312", or why it is none.
---@return string
function M.money(row)
  if row.costless then return row.costless == "replay" and "replayed, nothing paid" or "free" end
  local lost = row.lost and (", %s lost on the way, which may be paid too"):format(set.count(row.lost, "answer")) or ""
  if row.unknown == row.answers then return "price unknown" .. lost end
  return money.text(row.usd) .. (row.unknown > 0 and (" and %s of unknown price"):format(set.count(row.unknown, "answer")) or "") .. lost
end

local function time_text(seconds) return seconds < 1 and ("%d ms"):format(math.ceil(seconds * 1000)) or ("%.1f s"):format(seconds) end

local function errors_of(row)
  local sum = 0
  for _, n in pairs(row.errors or {}) do sum = sum + n end
  return sum
end

--- "gemini: 20 captions, 21 requests (1 error, 4.8 %), $0.0312, 31000 tokens in, 4000 out; a reply took 2.1 s (95 %: 3.9 s, 99 %: 4.2 s)"
---@param noun? string what was answered; nil: "caption"
---@return string
function M.text(row, noun)
  local errors = errors_of(row)
  local parts = { set.count(row.captions, noun or "caption") }
  if row.requests then
    parts[#parts + 1] = set.count(row.requests, "request")
      .. (errors > 0 and (" (%s, %.1f %%)"):format(set.count(errors, "error"), 100 * errors / row.requests) or "")
  end
  local spent = row.costless or row.usd > 0 or row.unknown > 0 or row.lost
  if spent or row.captions > 0 then parts[#parts + 1] = M.money(row) end
  if row.captions > 0 or row.input + row.output > 0 then parts[#parts + 1] = ("%d tokens in, %d out"):format(row.input, row.output) end
  local text = ("%s: %s"):format(row.name, table.concat(parts, ", "))
  if row.p50 then
    local most, high = time_text(row.p99 or row.p50), time_text(row.p95 or row.p50)
    text = text .. ("; a reply took %s (%s)"):format(time_text(row.p50), high == most and "95 %: " .. high or ("95 %%: %s, 99 %%: %s"):format(high, most))
  end
  return text
end

-- The value that a share of a sorted list is not above.
local function quantile(list, share) return list[math.max(1, math.ceil(share * #list))] end

--- What the captions of these pictures took, by who wrote them: rows for a report, the head first; nil where no service wrote any.
---@param items calotype.item[]
---@return table[]?
function M.rows(items)
  local by, order = {}, {}
  for _, item in ipairs(items) do
    local from = item.caption_by
    if from and from.tokens then
      local name = from.provider .. (from.model and from.model ~= "" and " " .. from.model or "")
      if not by[name] then
        by[name] = { name = name, captions = 0, input = 0, output = 0, usd = 0, unknown = 0, seconds = {} }
        order[#order + 1] = by[name]
      end
      local row = by[name]
      row.captions = row.captions + 1
      row.input, row.output = row.input + (from.tokens.input or 0), row.output + (from.tokens.output or 0) + (from.tokens.thought or 0)
      if from.cost then row.usd = row.usd + from.cost else row.unknown = row.unknown + 1 end
      row.seconds[#row.seconds + 1] = from.seconds
    end
  end
  if #order == 0 then return nil end
  table.sort(order, function(a, b) return a.name < b.name end)
  local rows = { { "service", "captions", "tokens in", "tokens out", "cost", "seconds: half", "95 %", "99 %" } }
  for _, row in ipairs(order) do
    table.sort(row.seconds)
    local cost = row.unknown == row.captions and "unknown" or money.text(row.usd) .. (row.unknown > 0 and (" and %d unknown"):format(row.unknown) or "")
    local function time(share) return #row.seconds > 0 and ("%.1f"):format(quantile(row.seconds, share)) or "" end
    rows[#rows + 1] = { row.name, row.captions, row.input, row.output, cost, time(0.5), time(0.95), time(0.99) }
  end
  return rows
end

--- How the asking went, in all runs from this store: rows for a report, the head first; nil where these pictures' captions needed none.
---@param items calotype.item[]
---@return table[]?
function M.requests(store, items)
  local names, rows = {}, { { "service", "requests", "errors", "error rate", "kinds" } }
  for _, item in ipairs(items) do if item.caption_by and item.caption_by.tokens then names[item.caption_by.provider] = true end end
  local order = {}
  for name in pairs(names) do order[#order + 1] = name end
  table.sort(order)
  for _, name in ipairs(order) do
    local row = M.remembered(store, name)
    if row then
      local kinds, errors = {}, errors_of(row)
      for kind, n in pairs(row.errors) do kinds[#kinds + 1] = ("%d %s"):format(n, kind) end
      table.sort(kinds)
      rows[#rows + 1] = { name, row.requests, errors, ("%.1f %%"):format(100 * errors / row.requests), table.concat(kinds, ", ") }
    end
  end
  return #rows > 1 and rows or nil
end

return M
