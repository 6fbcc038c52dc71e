-- judge.lua - a model's judgement of pictures: quality from 0 to 10 with a reason, what kind of picture it is, faults that can be seen. Kept in
-- the store by content, model and question: no picture is paid for twice.
--
--   judge.ask(photos, { with = "auto", spend = 0.50 })
--   photos.items[1].judged      -- { quality = 7.5, kind = "photo", faults = { "watermark" }, reason = "...", by = "gemini-3.8-flash" }
local alone = require "recipe.alone"
local auto = require "caption.auto"
local exchange = require "caption.exchange"
local folder = require "assistant.folder"
local hash = require "native.hash"
local json = require "native.json"
local money = require "caption.money"
local prompts = require "caption.prompts"
local providers = require "recipe.providers"
local script = require "native.script"
local set = require "recipe.set"
local spread = require "assistant.spread"
local suggest = require "recipe.suggest"

local M = {}

--- What commands that can ask a model take besides.
M.options = {
  { "judge", "boolean", default = false, doc = "also ask a model what it thinks of each picture" },
  { "with", "text", default = "auto", doc = "which one: gemini, openai, huggingface; auto follows the environment or .env" },
  { "model", "text", default = "", doc = "its model; several with commas between are tried in turn" },
  { "spend", "number", min = 0, doc = "a ceiling in dollars for this run" },
  { "record", "text", default = "", doc = "a file that keeps all questions and answers" },
  { "replay", "text", default = "", doc = "answers from such a file: nothing is sent and nothing paid" },
}

--- The options of a command with those of judging.
function M.with(options)
  return table.move(M.options, 1, #M.options, #options + 1, options)
end

local KINDS = { "photo", "painting", "drawing", "anime", "render", "screenshot", "other" }
local KIND = "assistant.judgement.1"
local POOR = 4 -- of 10: below, it is told

local SYSTEM = [[
You judge pictures for a person who collects them to train an image model. You see one picture. Judge only what can be seen in it.
quality: from 0 to 10. 10 is sharp, well lit, free of faults, with its subject clear and large enough to learn from; 5 is usable; 0 teaches nothing.
kind: what the picture is: photo, painting, drawing, anime, render, screenshot or other.
faults: each visible fault in one to four words, for example watermark, text overlay, JPEG artefacts, motion blur, cropped head, extra fingers, border,
collage; an empty list when there is none. A style is no fault.
reason: one short sentence in English that says why the quality is what it is.
Answer with the JSON object alone.]]
local USER = "Judge this picture."
local SCHEMA = json.encode { type = "object", additionalProperties = false, required = json.array { "quality", "kind", "faults", "reason" }, properties = {
  quality = { type = "number", minimum = 0, maximum = 10 }, kind = { type = "string", enum = json.array(KINDS) },
  faults = { type = "array", items = { type = "string" } }, reason = { type = "string" } } }

local MOST_FAULTS, LONGEST = 8, 300

local tidy = prompts.tidy

-- A text cut at a letter's end.
local function cut(text, most)
  if #text <= most then return text end
  return text:sub(1, (utf8.offset(text, 0, most) or most) - 1) .. "..."
end

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
    if type(fault) == "string" and utf8.len(fault) and tidy(fault) ~= "" and #faults < MOST_FAULTS then faults[#faults + 1] = cut(tidy(fault), 60) end
  end
  local reason = type(value.reason) == "string" and utf8.len(value.reason) and cut(tidy(value.reason), LONGEST) or ""
  return json.encode { quality = quality, kind = kind, faults = json.array(faults), reason = reason }
end

M.asked = { kind = "judgement", system = SYSTEM, user = USER, schema = SCHEMA, read = M.read,
  id = hash.sha256(SYSTEM .. "\0" .. USER .. "\0" .. SCHEMA) }

--- Who would be asked; the command ends where nobody can be.
---@return string name, table options
local function resolve(o)
  local name = o.with or "auto"
  if name == "auto" then
    name = auto.choose()
    if not name then
      folder.fail("there is nobody to judge: no key and no server was found", "put a key into .env (GEMINI_API_KEY=...), or the address of a server "
        .. "of your own (OPENAI_BASE_URL=http://localhost:8080); without judge=yes everything is measured here", "usage")
    end
  end
  local provider = providers.by_name[name]
  if not provider or not provider.remote or name == "ensemble" then
    local names = { "auto", "gemini", "openai", "huggingface" }
    local near = suggest.closest(name, names)
    folder.fail(("with=%s: nobody of that name judges pictures"):format(name), near and ("did you mean '%s'?"):format(near) or "there are "
      .. table.concat(names, ", "), "usage")
  end
  local options = {}
  for _, option in ipairs(provider.options) do options[option[1]] = option.default end
  if o.model and o.model ~= "" then
    options.model = {}
    for id in o.model:gmatch "[^,%s]+" do table.insert(options.model, id) end
  end
  options.spend = o.spend and { usd = o.spend } or nil
  options.record = o.record ~= "" and o.record or nil
  options.replay = o.replay ~= "" and o.replay or nil
  return name, options
end

-- What a judgement is kept under: the content, who is asked and how. How fast and up to which ceiling changes nothing.
local function key_of(name, options, item)
  local chain, named = require("caption.settings").chain(require("caption.services").list[name], options)
  return item.sha256 .. ":" .. hash.sha256(json.encode { provider = name, id = M.asked.id, model = json.array(named and chain or {}),
    thinking = options.thinking, resolution = options.resolution })
end

local function take(item, text)
  local value = json.decode(text)
  if type(value) == "table" and type(value.quality) == "number" then item.judged = value end
end

-- What exchange.ask gets: the store, money that brought nothing, how to end.
local function context_of(photos, name)
  local context = photos:context()
  context.fail = function(message, more)
    more = more or {}
    local notes = {} -- of captions there: these are judgements
    for i, note in ipairs(more.notes or {}) do notes[i] = note:gsub("(%d+) captions? written and kept", "%1 judged and kept") end
    script.fail { message = message, source = false, exit = more.exit or more.code == "DENIED" and 3 or 1, hint = more.hint, notes = notes }
  end
  context.warn = function(text) require("native.log").say("warning", text) end
  context.spent = function(row)
    local tokens = row.tokens or {}
    photos:store():add_spend { provider = row.provider or name, model = row.model, cost = row.cost, sha = row.sha, why = row.why, seconds = row.seconds,
      tokens_in = tokens.input, tokens_out = tokens.output and tokens.output + (tokens.thought or 0) }
  end
  return context
end

--- Ask for the judgements that are missing; every item that has one gets `judged`. What fails is raised after what came was kept.
---@param photos table of folder.lua
---@param o { with?: string, model?: string, spend?: number, record?: string, replay?: string }
---@return { known: integer, asked: integer, name: string }
function M.ask(photos, o)
  local name, options = resolve(o)
  local store, missing, counts = photos:store(), {}, { known = 0, asked = 0, name = name }
  local problem, hint = providers.by_name[name].check(options)
  if problem then folder.fail(("%s %s"):format(name, problem), hint, "usage") end
  if options.record then photos.session:permit(options.record, "write", nil, "record", false) end
  if options.replay then photos.session:permit(options.replay, "read", nil, "replay") end
  local _ <close> = alone.asking(store, function() folder.fail("stopped", nil, "INTERRUPT") end)
  for _, item in ipairs(photos.items) do
    local known = store:get(KIND, key_of(name, options, item))
    if known then
      take(item, known)
      counts.known = counts.known + 1
    else
      missing[#missing + 1] = item
    end
  end
  if #missing == 0 then return counts end
  local about = providers.by_name[name].estimate(missing, options, context_of(photos, name))
  photos.say(("  judging %s with %s at %s: %s%s"):format(set.count(#missing), about.model or "its model", about.host,
    options.replay and "replayed, nothing is paid" or about.free and "free" or about.usd and "about " .. money.text(about.usd) or "price unknown",
    options.spend and (", %s at most"):format(money.text(o.spend)) or about.usd and not about.free and "; spend=DOLLARS sets a ceiling" or ""))
  local bar <close> = require("native.log").progress("judging", #missing)
  exchange.ask(name, missing, options, function(i, text, detail)
    local item, tokens = missing[i], detail.tokens or {}
    local value = json.decode(text)
    value.by = detail.model or name
    text = json.encode(value)
    store:batch(function() -- the words and what they cost reach the disk together
      store:put(KIND, key_of(name, options, item), text)
      if not options.replay then
        store:add_spend { provider = name, model = detail.model, cost = detail.cost, sha = item.sha256, why = "judgement", seconds = detail.seconds,
          tokens_in = tokens.input, tokens_out = tokens.output and tokens.output + (tokens.thought or 0) }
      end
    end)
    take(item, text)
    counts.asked = counts.asked + 1
    bar:set(counts.asked)
  end, context_of(photos, name), M.asked)
  return counts
end

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
  local name, why = auto.choose()
  return name and ("measured here, no model was asked; judge=yes asks %s (%s says so)"):format(name, why) or "measured here, no model was asked"
end

--- Ask, and go on with what there is where asking fails: the fault comes back, to be raised at the end.
---@return any fault
function M.try(photos, o)
  if not o.judge then return nil end
  local ok, fault = script.call(M.ask, photos, o)
  return not ok and fault or nil
end

return M
