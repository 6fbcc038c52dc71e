-- compare.lua - `calotype captions compare`: several providers side by side on a sample of a folder, as a table and as a page.
--
-- Those that have not answered yet are asked on the same road as :caption (recipe/asking.lua), so that nothing is paid for twice; their answers
-- are kept aside: the pictures' texts stay as they are, and a recipe that asks the same later finds them.
local agreement = require "caption.agreement"
local asking = require "recipe.asking"
local dataset = require "native.dataset"
local environment = require "recipe.environment"
local fs = require "native.fs"
local hash = require "native.hash"
local images = require "recipe.verbs.images"
local json = require "native.json"
local log = require "native.log"
local matched = require "caption.matched"
local named = require "captions.named"
local page = require "captions.compare_page"
local providers = require "recipe.providers"
local schema = require "recipe.schema"
local script = require "native.script"
local sessions = require "recipe.session"
local set = require "recipe.set"
local tags = require "caption.tags"
local tally = require "caption.tally"
local telling = require "captions.telling"
local words_of = require "caption.words"

local M = {}

local SAMPLE, MOST = 8, 200
local PAGE = "out/compare.html"
local HINT = "for example with=gemini,openai or with='gemini { style = \"concise\" }, gemini { style = \"tags\" }'"

local function fail(message, hint, exit) script.fail { message = message, hint = hint, source = false, exit = exit or 2 } end

-- "gemini { style = \"concise\" }": the provider, and what its answers depend on that is not as usual.
local function title(with)
  local provider, parts = providers.by_name[with.provider], {}
  local asked = provider.question and provider.question(with.options) or with.options
  for _, option in ipairs(provider.options) do
    local value = with.options[option.name]
    if asked[option.name] ~= nil and value ~= nil and schema.show(value) ~= schema.show(option.default) then
      parts[#parts + 1] = option.name .. " = " .. schema.show(type(value) == "table" and #value == 1 and value[1] or value)
    end
  end
  return with.provider .. (#parts > 0 and " { " .. table.concat(parts, ", ") .. " }" or "")
end

-- What with= names, read as a recipe would write it.
local function read_with(env, session, text)
  if not text or not text:find "%S" then fail("calotype captions compare needs with=: who is compared", HINT) end
  local fn, problem = script.load("return {" .. text .. "}", "=with", env)
  if not fn then fail(("with=%s cannot be read: %s"):format(text, problem.message), HINT) end
  local ok, list = script.call(fn)
  if not ok then fail(("with=%s: %s"):format(text, list.message), list.hint or HINT, list.exit == 3 and 3 or 2) end
  local seen, columns = {}, {}
  for i = 1, #list do
    local value = list[i]
    if type(value) == "function" then
      ok, value = script.call(value, {})
      if not ok then fail(("with=%s: %s"):format(text, value.message), value.hint) end
    end
    local is, provider = script.call(function() return value.provider end) -- images complains of it
    local with = is and provider and value
    if not with then fail(("with=%s: number %d of it is not who writes captions"):format(text, i), HINT) end
    local resolved, why = asking.resolve(with)
    if not resolved then fail(("with=%s: %s"):format(text, why)) end
    local name = title(resolved)
    if seen[name] then fail(("with=%s has %s twice"):format(text, name)) end
    seen[name] = true
    asking.declare({ session = session, at = {} }, resolved)
    columns[i] = { with = resolved, title = name }
  end
  if #columns < 2 then fail("one alone cannot be compared", HINT) end
  return columns
end

-- So many pictures of the folder, the same ones each time whatever their names: those whose content's sha256 is the smallest.
local function sample_of(pictures, count)
  local list, seen, chosen, out = {}, {}, {}, {}
  for _, picture in ipairs(pictures) do
    if not seen[picture.sha] then list[#list + 1] = picture end
    seen[picture.sha] = true
  end
  table.sort(list, function(a, b) return a.sha < b.sha end)
  for i = 1, math.min(count, #list) do chosen[list[i]] = true end
  for _, picture in ipairs(pictures) do if chosen[picture] then out[#out + 1] = images.item(picture.path, picture.record) end end
  return out
end

-- What a person wrote beside the pictures.
local function of_people(store, items)
  local texts = {}
  for i, item in ipairs(items) do
    local file = dataset.sidecar(item.path)
    if file and file.text:find "%S" and not store:get("sidecar", item.sha256 .. ":" .. hash.sha256(file.text)) then
      texts[i] = { text = tags.meant(file.text) }
    end
  end
  return texts
end

-- The answers of one column: texts[i] = { text =, row = }. One that cannot be asked leaves gaps, and why.
local function answers(context, column, items)
  local store = context.store()
  if column.with.provider == "sidecar" then
    column.texts = of_people(store, items)
    return
  end
  local key_of = asking.keys(column.with, context)
  local ok, fault = script.call(asking.ask, context, column.with, items)
  if not ok and fault.exit == 130 then error(fault, 0) end
  if not ok then column.fault = fault end
  column.texts = {}
  for i, item in ipairs(items) do
    local key = key_of(item)
    for _, row in ipairs(store:captions(item.sha256)) do -- the provider's own words, not what undo put in their place
      if row.key == key and not row.restores then column.texts[i] = { text = row.text, row = row } end
    end
  end
end

local function mean(list)
  local sum = 0
  for _, value in ipairs(list) do sum = sum + value end
  return #list > 0 and sum / #list or nil
end

-- Numbers of each column, of each pair of them, and of each picture.
local function measure(columns, items)
  local pairs_of, of_picture = {}, {}
  for i, column in ipairs(columns) do
    column.matches = {}
    column.lengths, column.seconds, column.cost, column.unknown, column.paid, column.count, column.shared = {}, {}, 0, 0, 0, 0, {}
    for n in ipairs(items) do
      local answer = column.texts[n]
      if answer then
        local row = answer.row or {}
        column.count = column.count + 1
        answer.words = words_of.count(answer.text)
        column.lengths[#column.lengths + 1] = answer.words
        column.seconds[#column.seconds + 1] = row.seconds
        column.matches[#column.matches + 1] = answer.match
        if row.prompt or row.cost then column.paid = column.paid + 1 end
        if row.cost then column.cost = column.cost + row.cost elseif row.prompt then column.unknown = column.unknown + 1 end
        if (row.model or "") ~= "" then column.model = row.model end
      end
    end
    for j = i + 1, #columns do pairs_of[#pairs_of + 1] = { columns[i], columns[j], values = {} } end
  end
  for n in ipairs(items) do
    local values = {}
    for _, pair in ipairs(pairs_of) do
      local a, b = pair[1].texts[n], pair[2].texts[n]
      local value = a and b and agreement.of(a.text, b.text)
      if value then
        values[#values + 1], pair.values[#pair.values + 1] = value, value
        table.insert(pair[1].shared, value)
        table.insert(pair[2].shared, value)
      end
    end
    of_picture[n] = mean(values) or false
  end
  for _, column in ipairs(columns) do
    table.sort(column.lengths)
    table.sort(column.seconds)
    column.words, column.agreement, column.match = mean(column.lengths), mean(column.shared), mean(column.matches)
    column.latency = column.seconds[(#column.seconds + 1) // 2]
  end
  for _, pair in ipairs(pairs_of) do pair.mean = mean(pair.values) end
  return pairs_of, of_picture
end

local function number(format, value) return value and format:format(value) or "-" end

-- The table, as rows of cells; the first is its head.
local function rows_of(columns, count, scorer)
  local rows = { { "who", "captions", "words", "agreement", "cost", "seconds", scorer and "match" or nil } }
  for _, column in ipairs(columns) do
    rows[#rows + 1] = { column.title .. (column.model and not column.title:find(column.model, 1, true) and " (" .. column.model .. ")" or ""),
      ("%d of %d"):format(column.count, count),
      column.words and ("%.0f (%d to %d)"):format(column.words, column.lengths[1], column.lengths[#column.lengths]) or "-",
      number("%.2f", column.agreement), column.paid > 0 and telling.sum(column.cost, column.unknown) or column.count > 0 and "free" or "-",
      number("%.1f", column.latency), scorer and number("%.2f", column.match) or nil }
  end
  return rows
end

local function put_table(rows)
  local widths = {}
  for _, row in ipairs(rows) do
    for k, cell in ipairs(row) do widths[k] = math.max(widths[k] or 0, utf8.len(cell) or #cell) end
  end
  for i, row in ipairs(rows) do
    local cells = {}
    for k, cell in ipairs(row) do cells[k] = cell .. (k < #row and (" "):rep(widths[k] - (utf8.len(cell) or #cell)) or "") end
    local line = table.concat(cells, "   ")
    log.put_marked { i == 1 and { "faint", line } or line }
  end
end

-- The options of :score for match=, or for the usual folder where it is there; nil: no model is asked how well captions belong to their pictures.
local function scorer_of(session, path)
  local score = require "recipe.verbs.score"
  local usual = score.by_name.model.default
  path = path or fs.grant(usual, "read") and usual
  if not path then return nil end
  local options = schema.read(score, { model = path }, { at = {} })
  score.declare { options = options, session = session, at = {} }
  return options
end

-- How well each answer belongs to its picture.
local function score(context, options, columns, items)
  local rows = {}
  for _, column in ipairs(columns) do
    for n, item in ipairs(items) do
      local answer = column.texts[n]
      local text = answer and matched.text(answer.text)
      if text then rows[#rows + 1] = { item = item, text = text, answer = answer } end
    end
  end
  local done = require("caption.matching").score(context, options, rows)
  for i, row in ipairs(rows) do row.answer.match = done.values[i] end
end

-- What the asking will take, before anything is asked.
local function put_plan(session, context, columns, items, folder, total, scorer)
  session:say(("compare %s of %d in %s"):format(set.count(#items), total, folder))
  for _, column in ipairs(columns) do
    if column.with.provider ~= "sidecar" then
      local plan = asking.plan(context, column.with, items)
      local cost = plan.estimate and (plan.estimate.free and ", free" or plan.estimate.usd and ", about " .. telling.money(plan.estimate.usd)
        or ", price unknown") or ""
      session:say(("  %s: %d known, %d to ask%s"):format(column.title, plan.known, plan.asked, plan.asked > 0 and cost or ""))
    end
  end
  if scorer then session:say(("  how well each belongs to its picture is asked of %s, on this machine"):format(scorer.model)) end
end

local function count_of(text)
  if not text then return SAMPLE end
  local count = text:find "^%d+$" and math.tointeger(tonumber(text))
  if not count or count < 1 or count > MOST then fail(("sample=%s is no number of pictures"):format(text), ("a whole number from 1 to %d"):format(MOST)) end
  return count
end

--- compare FILE|FOLDER with=A,B[,C] [sample=8] [to=out/compare.html] [match=models/blip-itm-base-coco]
---@param words string[]
---@param params table<string, string>
---@return integer exit
function M.run(_, words, _, params)
  local env, session = environment.new { mode = "run", file = "captions compare" }
  local count, to = count_of(params.sample), params.to or PAGE
  if not to:lower():find "%.html?$" then fail(("the page %s is not .html"):format(to), "for example to=" .. PAGE) end
  local columns = read_with(env, session, params.with)
  local scorer = scorer_of(session, params.match)
  local context = { session = session, at = {}, aside = true, store = function() return session:store() end, account = function() end }
  function context.warn(text) session:warn(text) end
  function context.fail(message, more)
    more = more or {}
    script.fail { message = message, hint = more.hint, notes = more.notes, source = false, exit = more.exit or more.code == "INTERRUPT" and 130 or 1 }
  end
  local writable, message, code = fs.writable(to, false)
  if not writable then fail(message, "name another page with to=", code == "DENIED" and 3 or 2) end
  local granted, refused, why = fs.grant(to:match "^(.*)/[^/]*$" or ".", "write")
  if not granted then fail(refused, nil, why == "DENIED" and 3 or 1) end

  local store = context.store()
  local native = sessions.native_store(store)
  local pictures = named.pictures(native, words[1])
  local paths = {}
  for _, picture in ipairs(pictures) do if picture.path then paths[#paths + 1] = picture end end
  if #paths == 0 then fail(("no picture in %s can be read"):format(words[1]), nil, 1) end
  local items = sample_of(paths, count)
  put_plan(session, context, columns, items, words[1], #paths, scorer)
  local run = store:start_run { recipe = "captions compare " .. words[1], params = json.encode(params) }
  local ok, fault = script.call(function()
    for _, column in ipairs(columns) do answers(context, column, items) end
    if scorer then score(context, scorer, columns, items) end
  end)
  native:finish_run(run, ok and "ok" or fault.exit == 130 and "interrupted" or "failed", ok and "" or tostring(fault.message or fault))
  if not ok then
    session:close()
    error(fault, 0)
  end

  local services = {}
  for name in pairs(session.asked or {}) do services[#services + 1] = name end
  table.sort(services)
  for _, name in ipairs(services) do session:say("  " .. tally.text(session.asked[name])) end

  local pairs_of, of_picture = measure(columns, items)
  local rows = rows_of(columns, #items, scorer)
  put_table(rows)
  for _, pair in ipairs(#columns > 2 and pairs_of or {}) do
    if pair.mean then log.put_words(("  %s and %s agree by %.2f"):format(pair[1].title, pair[2].title, pair.mean)) end
  end
  page.write(context, { to = to, folder = words[1], total = #paths, columns = columns, items = items, rows = rows, pairs = pairs_of, of_picture = of_picture })
  log.put_words(("the captions side by side: %s"):format(to))
  local exit = 0
  for _, column in ipairs(columns) do
    if column.fault then
      exit = column.fault.exit or 1
      log.say("warning", ("%s: %s%s"):format(column.title, column.fault.message, column.fault.hint and "; " .. column.fault.hint or ""))
    end
  end
  session:close()
  return exit
end

return M
