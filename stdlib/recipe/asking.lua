-- asking.lua - what a :caption asks of a provider: nothing that the store knows, and each answer is kept before the next is looked at.
--
--   local with = asking.resolve(options.with)                    -- { provider =, version =, options = }; auto {} is who it stands for
--   local done = asking.ask(context, with, items)                -- done.texts[i] = { text =, by = }
--   local plan = asking.plan(context, with, items)               -- the same, only counted: nobody is asked
--
-- What a picture's answer is kept under: the picture's content, the provider, those of its options that the answer depends on, and what
-- `depends` says (the words of the question). How fast, through which tape, up to which ceiling: that changes no answer.
local alone = require "recipe.alone"
local auto = require "caption.auto"
local hash = require "native.hash"
local history = require "recipe.history"
local json = require "native.json"
local log = require "native.log"
local providers = require "recipe.providers"
local script = require "native.script"

local M = {}

--- Who is asked. nil and the sentence to say where nobody can be.
---@param with? { provider: string, version: integer, options: table }
---@return table? with, string? why
function M.resolve(with)
  if with and with.provider ~= "auto" then return with end
  return auto.resolve(with and with.options or {})
end

--- While a recipe is read: may the provider be asked, has it what it needs. Warns where nobody can be.
---@param state table of the stage
---@param with? table the option of :caption
---@return table? with who will be asked
function M.declare(state, with)
  local resolved, why = M.resolve(with)
  if not resolved then
    state.session:warn(("%s; a picture without a caption beside it will stop the run"):format(why), state.at, "auto")
    return nil
  end
  if why then state.session:note(why) end
  local provider = providers.by_name[resolved.provider]
  if provider.declare then provider.declare(resolved.options, state) end
  return resolved
end

--- The key that an item's answer is kept under, as a function of the item; second value: what of it is the same for all, as JSON.
---@return fun(item: calotype.item): string, string
function M.keys(with)
  local provider = providers.by_name[with.provider]
  local question = json.encode { provider = with.provider, version = provider.version,
    options = provider.question and provider.question(with.options) or with.options }
  return function(item) return hash.sha256(question .. "\n" .. (provider.depends and provider.depends(item, with.options) or "")) end, question
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

-- The answers that the store has, and the items without one with their keys.
local function look(context, with, items)
  local store, provider = context.store(), providers.by_name[with.provider]
  local key_of, question = M.keys(with)
  local done, asked = { texts = {}, known = 0, written = 0, chosen = {} }, { items = {}, index = {}, keys = {}, question = question }
  for i, item in ipairs(items) do
    local key = key_of(item)
    local row = store:caption(item.sha256, key)
    if row then
      done.known = done.known + 1
      if not row.in_force then done.chosen[#done.chosen + 1] = row.id end
      done.texts[i] = { text = row.text, by = author_of(row.author, with.provider, key, known_of(row), row.id, row.in_force or not context.aside) }
    else
      local n = #asked.items + 1
      asked.items[n], asked.index[n], asked.keys[n] = item, i, key
    end
  end
  return done, asked, provider
end

--- Ask for the missing ones. With context.aside the answers are kept, but do not become the pictures' texts. A provider gets a context of
--- its own: store(), key(n) of the nth item asked for, tick(note) where nothing comes for a while, spent(row) for money that brought no
--- caption, fail, warn, session.
---@param items calotype.item[]
---@return { texts: table<integer, { text: string, by: table }>, known: integer, written: integer }
function M.ask(context, with, items)
  local store = context.store()
  local done, asked, provider = look(context, with, items)
  local missing = #asked.items > 0 and not provider.instant
  local _ <close> = missing and alone.asking(store, function() context.fail("stopped", { exit = 130 }) end) or nil
  if missing then done, asked = look(context, with, items) end
  if not context.aside then history.use(store, done.chosen) end
  if #asked.items == 0 then return done end
  local bar = log.progress("captions", #asked.items)
  local function answer(n, text, detail)
    detail = detail or {}
    local i, tokens = asked.index[n], detail.tokens or {}
    local model = detail.model or ""
    local id = store:add_caption { sha = items[i].sha256, key = asked.keys[n], text = text, author = provider.author, provider = with.provider, model = model,
      detail = next(detail) and json.encode(detail) or asked.question, prompt = detail.prompt, cost = detail.cost, tokens_in = tokens.input,
      tokens_out = tokens.output and tokens.output + (tokens.thought or 0), seconds = detail.seconds, aside = context.aside,
      spend = detail.model ~= nil and not detail.from, batch = detail.batch }
    done.written = done.written + 1
    done.texts[i] = { text = text, by = author_of(provider.author, with.provider, asked.keys[n], detail, id, not context.aside) }
    bar:set(done.written)
    if script.interrupted() > 0 and not provider.finishes then context.fail("stopped", { exit = 130, hint = "captions so far are kept" }) end
  end
  local asking = setmetatable({
    key = function(n) return asked.keys[n] end,
    tick = function(note) -- nothing came, but it goes on: why it takes its time
      bar:note(note)
      bar:set(done.written)
    end,
    spent = function(row)
      local tokens = row.tokens or {}
      store:add_spend { provider = row.provider or with.provider, model = row.model, cost = row.cost, sha = row.sha, why = row.why, batch = row.batch,
        seconds = row.seconds, tokens_in = row.tokens_in or tokens.input,
        tokens_out = row.tokens_out or tokens.output and tokens.output + (tokens.thought or 0) }
    end,
  }, { __index = context })
  -- What cost nothing reaches the disk together; what may have cost money, each before the next is asked for.
  local function ask() return pcall(provider.ask, asked.items, with.options, answer, asking) end
  local ok, problem
  if provider.instant then store:batch(function() ok, problem = ask() end) else ok, problem = ask() end
  bar:close()
  if not ok then error(problem, 0) end
  return done
end

--- What asking would do: how many are known, how many would be asked for, and what the provider says of that. Those have a text that only
--- stands for one.
---@return { known: integer, asked: integer, written: integer, texts: table, estimate: table? }
function M.plan(context, with, items)
  local done, asked, provider = look(context, with, items)
  for n, i in ipairs(asked.index) do
    done.texts[i] = { text = "(a caption to come)", by = { author = provider.author, provider = with.provider, key = asked.keys[n] } }
  end
  return { known = done.known, asked = #asked.items, written = 0, texts = done.texts,
    estimate = #asked.items > 0 and provider.estimate and provider.estimate(asked.items, with.options, context) or nil }
end

return M
