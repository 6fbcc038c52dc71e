-- settings.lua - what the options of providers that ask services mean: which models, which words, how they think, whether it costs.
--
--   settings.chain(service, options)             -- the models in the order in which they are asked
--   settings.words("gemini", options).system     -- the question
--   settings.question("gemini", options)         -- the options that an answer depends on: part of what it is kept under
local hash = require "native.hash"
local json = require "native.json"
local models = require "caption.models"
local prompts = require "caption.prompts"
local services = require "caption.services"

local M = {}

local BUDGETS = { minimal = 512, low = 1024, medium = 4096, high = 12288 }
local LEVELS = { "minimal", "low", "medium", "high" }

M.shared = {
  { "model", "list", of = "text", doc = "the model; several are asked one after another, the next when one is gone, full or out of quota" },
  { "style", "choice", choices = prompts.styles, default = "detailed", doc = "a paragraph, one sentence, or tags" },
  { "focus", "choice", choices = prompts.focuses, default = "all",
    doc = "what the LoRA shall learn: what belongs to it is left out of the captions, what changes is named" },
  { "language", "text", default = "en", match = "^%l%l[%l%-]*$", match_doc = 'it is two letters: "en"',
    doc = "of the question and of the captions: de, en, es, fr, ja, zh, or a file of your own (CALOTYPE_PROMPTS)" },
  { "tag_language", "choice", choices = { "en", "same" }, default = "en", doc = 'tags are English, as taggers write them; "same": in `language`' },
  { "instructions", "text", default = "", doc = "added to the question" },
  { "take", "integer", min = 2, max = 10000, doc = "2, 3, ...: another answer to a question that was answered before; it is paid again" },
  { "max_tokens", "integer", min = 16, max = 65536, doc = "the longest answer, thinking included; 2048 when left out, of servers of your own 1024" },
}
M.pace = {
  { "in_flight", "integer", min = 1, max = 64, doc = "questions under way at once; 16 when left out, of servers of your own 4" },
  { "per_minute", "integer", min = 1, max = 100000, doc = "questions a minute at most" },
  { "tokens_per_minute", "integer", min = 1000, max = 1000000000, doc = "tokens a minute at most, as a service's quota counts them" },
  { "spend", "money", doc = "a ceiling for this step in one run: no question is asked that could cross it" },
  { "again", "boolean", default = false, doc = "ask also for pictures that were blocked in an earlier run" },
  { "record", "path", doc = "a file that keeps all questions and answers" },
  { "replay", "path", doc = "answers from such a file: no key is needed, nothing is sent and nothing paid" },
}
-- No answer depends on these.
local HOW = { free = true, batch = true }
for _, option in ipairs(M.pace) do HOW[option[1]] = true end

--- Options of a provider in the order in which help shows them.
function M.options(...)
  local list = {}
  for _, part in ipairs { ... } do
    for _, option in ipairs(part) do
      local copy = {}
      for key, value in pairs(option) do copy[key] = value end
      list[#list + 1] = copy
    end
  end
  return list
end

--- The names of the models in the order in which they are asked: the recipe's, the environment's, those of the table.
---@return string[] chain, boolean named
function M.chain(service, options)
  if options.model and #options.model > 0 then return options.model, true end
  local named = services.setting(service.model)
  if named and named ~= "" then return { named }, true end
  return models.chain(service.name), false
end

--- The options that an answer depends on; a model that only the environment names is one of them.
function M.question(name, options)
  local kept = {}
  for key, value in pairs(options) do if not HOW[key] then kept[key] = value end end
  local chain, named = M.chain(services.list[name], options)
  kept.model = named and chain or nil
  return kept
end

local function words_of(options, service)
  if service and service.wire == "huggingface" then return { system = "", user = "", kind = "caption", id = "image-to-text" } end
  return prompts.build { style = options.style, focus = options.focus, language = options.language, instructions = options.instructions,
    tag_language = options.tag_language == "same" and options.language or "en" }
end

--- The longest answer that is asked for.
function M.max_tokens(service, options) return options.max_tokens or service.wire ~= "gemini" and service.own and 1024 or 2048 end

--- How a model is told to think: its least when nothing else is asked for. A level, a number of tokens, or nil.
function M.thinking(row, wanted)
  local has = row and row.thinking
  if not has then return nil end
  if has.style == "budget" then
    local budget = wanted == "least" and has.least or BUDGETS[wanted]
    return math.min(math.max(budget, has.least), has.most)
  end
  if wanted == "least" then return has.least end
  for i, level in ipairs(LEVELS) do -- "minimal" where the model begins at "low"
    if level == wanted then
      for j = i, #LEVELS do
        for _, known in ipairs(has.levels) do if known == LEVELS[j] then return known end end
      end
    end
  end
  return has.least
end

--- A service as these options speak to it.
function M.service(name, options)
  local service = services.find(name)
  if name == "huggingface" and require("caption.huggingface").task(options) == "image-to-text" then service.wire = "huggingface" end
  return service
end

local known = setmetatable({}, { __mode = "k" })

--- The words of the question, the same for all pictures: made once for each table of options.
function M.words(name, options)
  known[options] = known[options] or words_of(options, M.service(name, options))
  return known[options]
end

--- Does asking cost nothing? "replay", "free", or nil.
function M.costless(service, options)
  return options.replay and "replay" or options.free and service.own and "free" or nil
end

--- The question that all pictures are asked, as a key.
function M.question_key(name, options) return hash.sha256(json.encode(M.question(name, options)) .. "\n" .. M.words(name, options).id) end

--- What it is remembered under that a picture was blocked.
function M.blocked_key(name, options, item) return hash.sha256(item.sha256 .. "\n" .. M.question_key(name, options)) end

--- Why a picture was blocked in an earlier run, under these options.
---@return string?
function M.blocked(context, name, options, item) return context.store():get("blocked", M.blocked_key(name, options, item)) end

--- The settings of each format's own, for a model.
M.of_wire = {}

function M.of_wire.gemini(options, row)
  return { thinking = M.thinking(row, options.thinking or "least"), media_resolution = options.resolution, safety = options.safety }
end

--- Servers of one's own have chat templates that can be told not to think; services refuse fields that they do not know.
function M.of_wire.openai(options, _, service)
  local thinks = options.thinking
  if thinks == nil or thinks == "least" then
    thinks = nil
    if service.own then thinks = false end
  end
  return { thinking = thinks, detail = options.detail, schema_as = options.schema_as,
    limit_as = service.host == "api.openai.com" and "max_completion_tokens" or nil }
end

return M
