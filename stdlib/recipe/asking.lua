-- asking.lua - what a :caption asks of providers: nothing that the store knows, and each answer is kept before the next is looked at.
--
--   local list, nobody = asking.members(options.with)            -- { { provider =, version =, options = } ... }; auto {} is who it stands for
--   local done = asking.ask(context, list, items)                -- done.texts[i] = { text =, by = }
--   local plan = asking.plan(context, list, items)               -- the same, only counted: nobody is asked
--
-- What a picture's answer is kept under: the picture's content, the provider, those of its options that the answer depends on, and what
-- `depends` says (the words of the question). How fast, through which tape, up to which ceiling: that changes no answer.
--
-- Of several in a list each is asked for what those before it could not answer, for reasons of the service. An answer is kept as that of
-- whoever gave it, so a picture that one of them has answered is asked of nobody.
local alone = require "recipe.alone"
local auto = require "caption.auto"
local fallback = require "caption.fallback"
local hash = require "native.hash"
local history = require "recipe.history"
local json = require "native.json"
local log = require "native.log"
local providers = require "recipe.providers"
local script = require "native.script"
local set = require "recipe.set"

local M = {}

M.TO_COME = "(a caption to come)" -- stands in a plan for an answer that nobody has given yet

--- Who is asked. nil and the sentence to say where nobody can be.
---@param with? { provider: string, version: integer, options: table }
---@return table? with, string? why
function M.resolve(with)
  if with and with.provider ~= "auto" then return with end
  return auto.resolve(with and with.options or {})
end

--- Who is asked in turn, without an auto {} that stands for nobody. None of them, and the sentence to say, where nobody can be.
---@param with? table the option of :caption: a provider or a list
---@return table[] list, string? nobody
function M.members(with)
  local list, nobody = {}, nil
  for _, member in ipairs(fallback.list(with)) do
    local resolved, why = M.resolve(member)
    if resolved then list[#list + 1] = resolved else nobody = why end
  end
  return list, #list == 0 and nobody or nil
end

--- While a recipe is read: may the providers be asked, have they what they need. Warns where nobody can be.
---@param state table of the stage
---@param with? table the option of :caption
function M.declare(state, with)
  local list = fallback.list(with)
  local complaint, hint = fallback.check(list)
  if complaint then state.session:fail(state.at, "option 'with' of :caption " .. complaint, { key = "with", hint = hint }) end
  for i, member in ipairs(list) do
    local resolved, why = M.resolve(member)
    if not resolved then
      state.session:warn(("%s; %s"):format(why, i == #list and "a picture without a caption beside it will stop the run"
        or list[i + 1].provider .. " {} is asked instead"), state.at, "auto")
    else
      if why then state.session:note(why) end
      local provider = providers.by_name[resolved.provider]
      if provider.declare then provider.declare(resolved.options, state) end
    end
  end
end

--- The key that an item's answer is kept under, as a function of the item; second value: what of it is the same for all, as JSON.
---@return fun(item: calotype.item): string, string
function M.keys(with, context)
  local provider = providers.by_name[with.provider]
  local question = json.encode { provider = with.provider, version = provider.version,
    options = provider.question and provider.question(with.options) or with.options }
  return function(item) return hash.sha256(question .. "\n" .. (provider.depends and provider.depends(item, with.options, context) or "")) end, question
end

-- What a caption is known by, from what its provider told of it.
local function author_of(author, provider, key, told, id, in_force)
  return { id = id, in_force = in_force, author = author, provider = provider, model = told.model, key = key, prompt = told.prompt,
    cost = told.cost, tokens = told.tokens, seconds = told.seconds, finish = told.finish, fallback = told.fallback, settings = told.settings }
end

local function known_of(row)
  local told = json.decode(row.detail or "")
  told = type(told) == "table" and told or {}
  told.model = row.model
  return told
end

-- Whether an answer about this item does not become its text: context.aside is true for all, or has the items.
local function is_aside(context, item) return context.aside == true or type(context.aside) == "table" and context.aside[item] or false end

-- The answers that the store has, and which items have none: the first of the list that answered a picture is the one.
local function look(context, list, items)
  local store, keys = context.store(), {}
  for m, with in ipairs(list) do keys[m] = M.keys(with, context) end
  local done, open = { texts = {}, known = 0, written = 0, chosen = {} }, {}
  for i, item in ipairs(items) do
    local with, key, row
    for m = 1, #list do
      with, key = list[m], keys[m](item)
      row = store:caption(item.sha256, key)
      if row then break end
    end
    if row then
      done.known = done.known + 1
      local aside = is_aside(context, item)
      if not row.in_force and not aside then done.chosen[#done.chosen + 1] = row.id end
      local by = author_of(row.author, with.provider, key, known_of(row), row.id, row.in_force or not aside)
      done.texts[i] = { text = row.text, by = by }
    else
      open[#open + 1] = i
    end
  end
  return done, open
end

-- Ask one provider for the items open[n]; tried[i] is what was in vain before. What it could not answer for reasons of its own comes back
-- with why, where somebody stands after it.
local function ask_one(context, with, items, open, tried, done, is_last)
  local store, provider = context.store(), providers.by_name[with.provider]
  local key_of, question = M.keys(with, context)
  local wanted, keys, left, why = {}, {}, {}, {}
  for n, i in ipairs(open) do wanted[n], keys[n] = items[i], key_of(items[i]) end
  local bar, written, without = log.progress("captions", #open), 0, 0
  local function answer(n, text, detail)
    detail = detail or {}
    local i, tokens = open[n], detail.tokens or {}
    local told = fallback.told(detail, tried[i], question)
    local person = context.missing and history.since(store, context.session.began, items[i].sha256) or nil
    local id = store:add_caption { sha = items[i].sha256, key = keys[n], text = text, author = provider.author, provider = with.provider,
      model = detail.model or "", detail = next(told) and json.encode(told) or question, prompt = detail.prompt, cost = detail.cost,
      tokens_in = tokens.input, tokens_out = tokens.output and tokens.output + (tokens.thought or 0), seconds = detail.seconds,
      aside = is_aside(context, items[i]) or person ~= nil,
      spend = detail.model ~= nil and not detail.from, batch = detail.batch }
    done.written, written = done.written + 1, written + 1
    done.texts[i] = { text = text, by = author_of(provider.author, with.provider, keys[n], told, id, not is_aside(context, items[i])) }
    if person then done.texts[i] = { text = person.text, by = { author = "human", provider = person.provider, id = person.id, in_force = true } } end
    bar:set(written + without)
    if script.interrupted() > 0 and not provider.finishes then context.fail("stopped", { exit = 130, hint = "captions so far are kept" }) end
  end
  local asking = {
    key = function(n) return keys[n] end,
    tick = function(note, left_out) -- nothing came, but it goes on: why it takes its time, and how many were answered by no words
      without = left_out or without
      bar:note(note)
      bar:set(written + without)
    end,
    spent = function(row)
      local tokens = row.tokens or {}
      store:add_spend { provider = row.provider or with.provider, model = row.model, cost = row.cost, sha = row.sha, why = row.why, batch = row.batch,
        seconds = row.seconds, tokens_in = row.tokens_in or tokens.input,
        tokens_out = row.tokens_out or tokens.output and tokens.output + (tokens.thought or 0) }
    end,
  }
  if not is_last then
    function asking.elsewhere(n, reason)
      left[#left + 1], why[open[n]] = open[n], reason
    end
  end
  -- What cost nothing reaches the disk together; what may have cost money, each before the next is asked for.
  local function ask() return pcall(provider.ask, wanted, with.options, answer, setmetatable(asking, { __index = context })) end
  local ok, problem
  if provider.instant then store:batch(function() ok, problem = ask() end) else ok, problem = ask() end
  bar:close()
  if not ok then error(problem, 0) end
  table.sort(left)
  return left, why
end

--- Ask for the missing ones. With context.aside (true, or the items that it is about) the answers are kept, but do not become the pictures'
--- texts. A provider gets a context of its own: store(), key(n) of the nth item asked for, tick(note [, without]) where nothing comes for
--- a while (without: how many had no words so far), spent(row) for money that brought no caption, elsewhere(n, why) where somebody else can be asked
--- for the nth item, fail, warn, session.
---@param list table a provider, or several in turn
---@param items calotype.item[]
---@return { texts: table<integer, { text: string, by: table }>, known: integer, written: integer }
function M.ask(context, list, items)
  list = fallback.list(list)
  local store, waits = context.store(), false
  local done, open = look(context, list, items)
  for _, with in ipairs(list) do waits = waits or #open > 0 and not providers.by_name[with.provider].instant end
  local _ <close> = waits and alone.asking(store, function() context.fail("stopped", { exit = 130 }) end) or nil
  if waits then done, open = look(context, list, items) end
  history.use(store, done.chosen)
  local tried = {}
  for m, with in ipairs(list) do
    if #open == 0 then break end
    local why
    open, why = ask_one(context, with, items, open, tried, done, m == #list)
    if #open > 0 then
      if script.interrupted() > 0 then context.fail("stopped", { exit = 130, hint = "captions so far are kept" }) end
      for _, i in ipairs(open) do
        tried[i] = tried[i] or {}
        table.insert(tried[i], fallback.line(with.provider, why[i]))
      end
      context.warn(fallback.sentence(with.provider, why, open, list[m + 1].provider, set.count(#open)))
    end
  end
  return done
end

-- What asking the first would take, and what each of the others would, if it were asked for all.
local function estimate(context, list, items)
  local first
  for m, with in ipairs(list) do
    local provider = providers.by_name[with.provider]
    local about = provider.estimate and provider.estimate(items, with.options, context)
    if m == 1 then
      first = about
    else
      first.others = first.others or {}
      first.others[m - 1] = { name = with.provider, estimate = about }
    end
  end
  return first
end

--- What asking would do: how many are known, how many would be asked for, and what the provider says of that. Those have a text that only
--- stands for one.
---@param list table a provider, or several in turn
---@return { known: integer, asked: integer, written: integer, texts: table, estimate: table? }
function M.plan(context, list, items)
  list = fallback.list(list)
  local done, open = look(context, list, items)
  local with, wanted = list[1], {}
  local provider, key_of = providers.by_name[with.provider], M.keys(with, context)
  for _, i in ipairs(open) do
    local key = key_of(items[i])
    if not (provider.wordless and provider.wordless(context, items[i], key)) then
      wanted[#wanted + 1] = items[i]
      done.texts[i] = { text = M.TO_COME, by = { author = provider.author, provider = with.provider, key = key } }
    end
  end
  return { known = done.known, asked = #wanted, written = 0, texts = done.texts, estimate = #wanted > 0 and estimate(context, list, wanted) or nil }
end

return M
