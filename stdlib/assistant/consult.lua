-- consult.lua - a model asked about pictures for the commands: who it is, what it will cost, and what is kept. An answer is kept in the store by
-- content, model and question: nothing is paid for twice.
--
--   local counts = consult.ask(photos, photos.items, { with = "auto", language = "en", spend = 0.50 }, question)
--
-- A question is { part = its words in data/prompts, schema, read = fun(asked, text): string? (JSON), string?, kind = what the store keeps it
-- as, why = what the money was for, about = "judging %s", take = fun(item, value) }, and, where pictures are asked different things,
-- more = fun(item): string, put behind the words of the question.
local alone = require "recipe.alone"
local auto = require "caption.auto"
local exchange = require "caption.exchange"
local folder = require "assistant.folder"
local hash = require "native.hash"
local huggingface = require "caption.huggingface"
local json = require "native.json"
local money = require "caption.money"
local prompts = require "caption.prompts"
local providers = require "recipe.providers"
local script = require "native.script"
local set = require "recipe.set"
local suggest = require "recipe.suggest"
local tally = require "caption.tally"

local M = {}

local OPTIONS = {
  { "with", "text", default = "auto", doc = "which one: gemini, openai, huggingface; auto follows the environment or .env" },
  { "model", "text", default = "", doc = "its model; several with commas between are tried in turn" },
  { "language", "text", default = "en", match = "^%l%l[%l%-]*$", match_doc = 'it is two letters: "en"',
    doc = "of the question and of its reasons: de, en, es, fr, ja, zh, or a file of your own (CALOTYPE_PROMPTS)" },
  { "spend", "number", min = 0, doc = "a ceiling in dollars for this run" },
  { "record", "text", default = "", doc = "a file that keeps all questions and answers" },
  { "replay", "text", default = "", doc = "answers from such a file: nothing is sent and nothing paid" },
}

--- The options of a command with those of asking a model.
---@param doc string what judge=yes asks
function M.with(options, doc)
  options[#options + 1] = { "judge", "boolean", default = false, doc = doc }
  return table.move(OPTIONS, 1, #OPTIONS, #options + 1, options)
end

--- What of a command's settings belongs to asking, put into `into`.
function M.given(o, into)
  into.judge = o.judge
  for _, option in ipairs(OPTIONS) do into[option[1]] = o[option[1]] end
  return into
end

--- A text cut at a letter's end.
function M.cut(text, most)
  if #text <= most then return text end
  return text:sub(1, (utf8.offset(text, 0, most) or most) - 1) .. "..."
end

--- One line of what a model said, `most` bytes at most; "" for what is no text.
function M.line(value, most)
  return type(value) == "string" and utf8.len(value) and M.cut(prompts.tidy(value), most) or ""
end

--- The question as exchange.lua takes it; nil and what is wrong with the language.
---@return table?, string?, string?
function M.asked(question, language)
  local words, complaint, hint = prompts.judging(question.part, language)
  if not words then return nil, complaint, hint end
  local function asked(user)
    return { kind = question.why, system = words.system, user = user, schema = question.schema, read = question.read,
      id = hash.sha256(words.system .. "\0" .. user .. "\0" .. question.schema) }
  end
  local all = asked(words.ask)
  if question.more then all.of = function(item) return asked(words.ask .. question.more(item)) end end
  return all
end

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
  if name == "huggingface" and huggingface.task(options) == "image-to-text" then
    folder.fail("huggingface: HF_BASE_URL is an endpoint that only captions, and cannot be asked anything",
      "with=gemini or with=openai asks another one", "usage")
  end
  return name, options
end

-- What an answer is kept under: the content, who is asked and how. How fast and up to which ceiling changes nothing.
local function key_of(name, options, asked, item)
  local chain, named = require("caption.settings").chain(require("caption.services").list[name], options)
  return item.sha256 .. ":" .. hash.sha256(json.encode { provider = name, id = (asked.of and asked.of(item) or asked).id,
    model = json.array(named and chain or {}), thinking = options.thinking, resolution = options.resolution })
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

--- Ask for the answers that are missing; `take` gets each. What fails is raised after what came was kept.
---@param photos table of folder.lua
---@param items table[] of them, those that are asked about
---@param o { with?: string, model?: string, language?: string, spend?: number, record?: string, replay?: string }
---@param question table
---@return { known: integer, asked: integer, name: string, keep: fun(item: table, value: table) } counts keep: the answer also holds for what the
--- item is now
function M.ask(photos, items, o, question)
  local name, options = resolve(o)
  local asked, complaint, help = M.asked(question, o.language or "en")
  if not asked then folder.fail("language: " .. complaint, help, "usage") end
  local store, missing, counts = photos:store(), {}, { known = 0, asked = 0, name = name }
  function counts.keep(item, value)
    local key = key_of(name, options, asked, item)
    if not store:get(question.kind, key) then store:put(question.kind, key, json.encode(value)) end
  end
  local problem, hint = providers.by_name[name].check(options)
  if problem then folder.fail(("%s %s"):format(name, problem), hint, "usage") end
  if options.record then photos.session:permit(options.record, "write", nil, "record", false) end
  if options.replay then photos.session:permit(options.replay, "read", nil, "replay") end
  local _ <close> = alone.asking(store, function() folder.fail("stopped", nil, "INTERRUPT") end)
  local keys, of = {}, {} -- copies of a picture have one answer
  for _, item in ipairs(items) do
    local key = key_of(name, options, asked, item)
    local known = not of[key] and store:get(question.kind, key)
    if known then
      question.take(item, json.decode(known))
      counts.known = counts.known + 1
    elseif of[key] then
      table.insert(of[key], item)
    else
      of[key], missing[#missing + 1], keys[#keys + 1] = { item }, item, key
    end
  end
  if #missing == 0 then return counts end
  local about = providers.by_name[name].estimate(missing, options, context_of(photos, name), asked)
  photos.say(("  %s with %s at %s: %s%s"):format(question.about:format(set.count(#missing)), about.model or "its model", about.host,
    options.replay and "replayed, nothing is paid" or about.free and "free" or about.usd and "about " .. money.text(about.usd) or "price unknown",
    options.spend and (", %s at most"):format(money.text(o.spend)) or about.usd and not about.free and "; spend=DOLLARS sets a ceiling" or ""))
  local _ <close> = setmetatable({}, { __close = function() -- what failed may be paid, too
    local row = photos.session.asked and photos.session.asked[name]
    if row then photos.say("  " .. tally.text(row, "judgement")) end
  end })
  local bar <close> = require("native.log").progress("judging", #missing)
  exchange.ask(name, missing, options, function(i, text, detail)
    local item, tokens = missing[i], detail.tokens or {}
    local value = json.decode(text)
    value.by = detail.model or name
    store:batch(function() -- the words and what they cost reach the disk together
      store:put(question.kind, keys[i], json.encode(value))
      if not options.replay then
        store:add_spend { provider = name, model = detail.model, cost = detail.cost, sha = item.sha256, why = question.why, seconds = detail.seconds,
          tokens_in = tokens.input, tokens_out = tokens.output and tokens.output + (tokens.thought or 0) }
      end
    end)
    for _, copy in ipairs(of[keys[i]]) do question.take(copy, json.decode(json.encode(value))) end
    counts.asked = counts.asked + 1
    bar:set(counts.asked)
  end, context_of(photos, name), asked)
  return counts
end

--- Who would be asked by judge=yes, as the end of a sentence | nil.
---@return string?
function M.offer()
  local name, why = auto.choose()
  return name and ("judge=yes asks %s (%s says so)"):format(name, why) or nil
end

return M
