-- judge.lua - a model's judgement of pictures: quality from 0 to 10 with a reason, what kind of picture it is, faults that can be seen.
--
--   judge.ask(photos, { with = "auto", language = "de", spend = 0.50 })
--   photos.items[1].judged      -- { quality = 7.5, kind = "photo", faults = { "watermark" }, reason = "...", by = "gemini-3.8-flash" }
--
-- Its words are in data/prompts; who is asked and what is kept is consult.lua's.
local consult = require "assistant.consult"
local json = require "native.json"
local script = require "native.script"
local set = require "recipe.set"
local spread = require "assistant.spread"

local M = {}

--- The options of a command with those of judging.
function M.with(options) return consult.with(options, "also ask a model what it thinks of each picture") end

local KINDS = { "photo", "painting", "drawing", "anime", "render", "screenshot", "other" }
local POOR = 4 -- of 10: below, it is told

local SCHEMA = json.encode { type = "object", additionalProperties = false, required = json.array { "quality", "kind", "faults", "reason" }, properties = {
  quality = { type = "number", minimum = 0, maximum = 10 }, kind = { type = "string", enum = json.array(KINDS) },
  faults = { type = "array", items = { type = "string" } }, reason = { type = "string" } } }

local MOST_FAULTS, LONGEST = 8, 300

--- A reply as a judgement in JSON; nil and why it is none.
---@return string?, string?
function M.read(_, text)
  local value = json.decode(text)
  if type(value) ~= "table" then return nil, "the answer is no JSON object" end
  local quality = tonumber(value.quality)
  if not quality or quality ~= quality or quality < 0 or quality > 10 then return nil, "the answer has no quality from 0 to 10" end
  local kind, faults = "other", {}
  for _, known in ipairs(KINDS) do if value.kind == known then kind = known end end
  for _, fault in ipairs(type(value.faults) == "table" and value.faults or {}) do
    local line = consult.line(fault, 60)
    if line ~= "" and #faults < MOST_FAULTS then faults[#faults + 1] = line end
  end
  return json.encode { quality = quality, kind = kind, faults = json.array(faults), reason = consult.line(value.reason, LONGEST) }
end

M.question = { part = "judge", kind = "assistant.judgement.1", why = "judgement", about = "judging %s", schema = SCHEMA, read = M.read,
  take = function(item, value)
    if type(value) == "table" and type(value.quality) == "number" then item.judged = value end
  end }

--- Ask for the judgements that are missing; every item that has one gets `judged`.
---@param photos table of folder.lua
---@param o table of consult.lua
---@return { known: integer, asked: integer, name: string }
function M.ask(photos, o) return consult.ask(photos, photos.items, o, M.question) end

-- What follows ------------------------------------------------------------------------------------------------------------

--- What was judged, all together; nil when nothing was.
---@param items calotype.item[]
---@return { count: integer, quality: number, kind: string, share: number, by: string }?
function M.summary(items)
  local values, kinds, by, best = {}, {}, {}, nil
  for _, item in ipairs(items) do
    local it = item.judged
    if it then
      values[#values + 1] = it.quality
      kinds[it.kind] = (kinds[it.kind] or 0) + 1
      if not best or kinds[it.kind] > kinds[best] or (kinds[it.kind] == kinds[best] and it.kind < best) then best = it.kind end
      by[it.by or "a model"] = true
    end
  end
  if #values == 0 then return nil end
  local names = {}
  for name in pairs(by) do names[#names + 1] = name end
  table.sort(names)
  return { count = #values, quality = spread.mean(values), kind = best, share = kinds[best] / #values, by = table.concat(names, ", ") }
end

local function of_kind(kind, many)
  local article = kind:find "^[aeiou]" and "an " or "a "
  if kind == "other" then return many and "of other kinds" or "of another kind" end
  return many and kind .. (kind == "anime" and "" or "s") or article .. kind
end
M.of_kind = of_kind

--- Issues for checks: poor pictures, faults, pictures of another kind.
---@param items calotype.item[]
---@return table[]
function M.issues(items)
  local summary, out = M.summary(items), {}
  local function collect(id, level, advice, of)
    local found = {}
    for _, item in ipairs(items) do
      local text = item.judged and of(item.judged)
      if text then found[#found + 1] = { item = item, text = text } end
    end
    if #found > 0 then out[#out + 1] = { id = id, title = id, level = level, advice = advice, found = found } end
  end
  if not summary then return out end
  collect("judged poor", "bad", ("%s thinks little of them"):format(summary.by), function(it)
    return it.quality < POOR and ("%.1f: %s"):format(it.quality, it.reason) or nil
  end)
  collect("faults seen", "look", ("%s sees them; a LoRA learns them with the rest"):format(summary.by), function(it)
    return #it.faults > 0 and table.concat(it.faults, ", ") or nil
  end)
  if summary.share >= 2 / 3 and summary.share < 1 then
    collect("of another kind", "look", ("most are %s"):format(of_kind(summary.kind, true)), function(it)
      return it.kind ~= summary.kind and of_kind(it.kind) or nil
    end)
  end
  return out
end

--- What a judgement means for a training.
---@return string
function M.advice(summary, goal, total)
  local whole = ("of 10, the mean of %d by %s"):format(summary.count, summary.by)
  if summary.count < total then whole = ("of 10, the mean of %d of %d by %s"):format(summary.count, total, summary.by) end
  if summary.quality < 5 then return whole .. ": better pictures gain more than any number here" end
  if summary.share < 2 / 3 and goal == "style" then return whole .. "; they are of several kinds, and a style of several kinds is none: choose one" end
  if summary.share == 1 then return ("%s; all %s"):format(whole, of_kind(summary.kind, true)) end
  return whole
end

--- Outliers by judgement: fun(add), where add(item, kind, measure, score, text).
---@param items calotype.item[]
---@param above number
---@param add fun(item: table, kind: string, measure: string, score: number, text: string)
function M.outliers(items, above, add)
  local summary, values, faulty = M.summary(items), {}, 0
  if not summary then return end
  for _, item in ipairs(items) do
    if item.judged then
      values[#values + 1] = item.judged.quality
      if #item.judged.faults > 0 then faulty = faulty + 1 end
    end
  end
  local score_of, middle = spread.of(values, 0.8), spread.median(values)
  for _, item in ipairs(items) do
    local it = item.judged
    if it then
      local score = -score_of(it.quality)
      if score > above then
        add(item, "quality", "judgement", score, ("judged %.1f, %.1f deviations from %.1f: %s"):format(it.quality, score, middle, it.reason))
      end
      if it.kind ~= summary.kind and summary.share >= 2 / 3 then
        add(item, "style", "kind", above, ("judged %s; %d of %s are %s"):format(of_kind(it.kind), math.floor(summary.share * summary.count + 0.5),
          set.count(summary.count), of_kind(summary.kind, true)))
      end
      if #it.faults > 0 and faulty * 3 < #values then add(item, "artefacts", "faults", above, "faults seen: " .. table.concat(it.faults, ", ")) end
    end
  end
end

--- The last words of a command that asked nobody.
---@return string
function M.unasked()
  local offer = consult.offer()
  return offer and "measured here, no model was asked; " .. offer or "measured here, no model was asked"
end

--- Ask, and go on with what there is where asking fails: the fault comes back, to be raised at the end.
---@return any fault
function M.try(photos, o)
  if not o.judge then return nil end
  local ok, fault = script.call(M.ask, photos, o)
  return not ok and fault or nil
end

return M
