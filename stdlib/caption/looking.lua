-- looking.lua - what providers share that look at pictures here, on the device: the model, by folder and content, made ready.
--
--   looking.declare(options, state, "captioner")                       -- while a recipe is read; kinds are those of models/kind.lua
--   local model = looking.model(options, context, "captioner")
--   local it <close>, device, batch = looking.ready(options, context, #items, "with", function(how) return captioner.open { ... } end)

local bring = require "hub.bring"
local cache = require "hub.cache"
local fs = require "native.fs"
local hub_folder = require "models.hub_folder"
local kinds = require "models.kind"
local part = require "models.part"

local M = {}

--- What such providers are asked for besides what their model is about.
M.options = {
  { "batch", "integer", min = 1, max = 64, elsewhere = { "batch_size" },
    doc = "pictures looked at together; left out 4 on a CPU, 16 on a GPU, fewer where memory is short" },
  { "dtype", "choice", choices = { "f32", "bf16", "f16" }, default = "f32",
    doc = "how weights are held; bf16 and f16 take half the memory. On a CPU rather bf16: f16 is computed as f32 there" },
  { "device", "text", doc = "\"gpu\", \"cpu\" or part of a name; a GPU where there is one when left out" },
}

-- No answer depends on these, but on the numbers' rounding.
local HOW = { batch = true, device = true }

--- The options that an answer depends on. Where the model lies is not one of them: what it is stands in M.depends.
function M.question(options)
  local kept = {}
  for key, value in pairs(options) do if not HOW[key] and key ~= "model" then kept[key] = value end end
  return kept
end

local prints = setmetatable({}, { __mode = "k" })

--- The model by content, once for each recipe's options.
function M.depends(options, context, kind)
  if not prints[options] then
    local sum, message, code = part.fingerprint(context.store(), M.model(options, context, kind).part)
    if not sum then context.fail(message, { code = code }) end
    prints[options] = sum
  end
  return prints[options]
end

--- After the weights were read: they are those that the answers will be kept under.
function M.same(options, context, model)
  if part.fingerprint(context.store(), model.part, true) == prints[options] then return end
  context.fail(("%s changed while it was read"):format(model.path), { code = "IO", hint = "run again" })
end

local NOT_ITS_FAULT = { MEMORY = true, LIMIT = true, DENIED = true, IO = true, DEVICE = true, INTERRUPT = true }

-- What to do about a model that could not be used; nil: it says so itself, or it is not the model's fault.
local function hint_of(path, message, code)
  if part.advises(message) or NOT_ITS_FAULT[code] then return nil end
  if message:find("has the dtype", 1, true) then return "save the model again as one of these: in transformers model.half().save_pretrained(FOLDER)" end
  return bring.hint(path)
end

-- The model, or what is wrong, the code and what to do: another kind than was wanted is told as what it is.
local function opened(path, kind)
  local there = fs.stat(path)
  if there and there.kind == "file" then
    local message, advice = kinds.instead(path, kind)
    return nil, message, "ARG", advice
  end
  local model, message, code = hub_folder.open(path, kind)
  if model then return model end
  local absent = bring.absent(path)
  if absent then message, code = absent, "NOTFOUND"
  elseif code == "NOTFOUND" and message:find("/config.json cannot be opened", 1, true) then
    message = ("%s has no config.json, which every model's folder has"):format(path)
  end
  local other, advice
  if not NOT_ITS_FAULT[code] then other, advice = kinds.instead(path, kind) end
  return nil, other or message, code, advice or cache.advice(path, message) or hint_of(path, message, code)
end

--- Open the model while a recipe is read: what is wrong with it is told before anything is computed.
---@param kind "captioner"|"matcher"|"tagger"
---@return table model
function M.declare(options, state, kind)
  local session, at = state.session, state.at
  session:permit_device(at)
  session:permit_base(options.model, at, "model")
  local model, message, code, hint = opened(options.model, kind)
  if not model then session:fail(at, message, { key = "model", value = true, hint = hint, code = code, world = true }) end
  return model
end

--- What is kept with each answer of a model that looks here: whose it is, and what it was asked with.
---@param seconds number that one picture took
---@return table detail as recipe/providers.lua describes it
function M.told(options, context, kind, seconds)
  local settings = M.question(options)
  settings.prompt = nil
  return { model = cache.name(options.model), weights = M.depends(options, context, kind), settings = settings, seconds = seconds, cost = 0 }
end

function M.model(options, context, kind)
  local model, message, code, hint = opened(options.model, kind)
  if not model then context.fail(message, { code = code, hint = hint }) end
  return model
end

local TOO_LARGE = { LIMIT = true, MEMORY = true }

--- The model at work on the device that was wished for, with as many pictures at once as were asked for, `count` at most. Left out, they are 4 on a
--- CPU and 16 on a GPU, or half of that, and half again, until they fit. open(how) gets device, dtype, batch and memory in bytes; key: the option that
--- a refusal points at. Whoever waits is told that the model comes first.
---@param open fun(how: table): table?, string?, string?
---@return table it, userdata device, integer batch
function M.ready(options, context, count, key, open)
  if context.tick then context.tick "the model is made ready" end
  local device, _, memory = context.session:device(options.device, context.at)
  local batch = math.min(options.batch or device:info().cpu and 4 or 16, count)
  while true do
    local it, message, code = open { device = device, dtype = options.dtype, batch = batch, memory = memory }
    if it then return it, device, batch end
    if options.batch or batch == 1 or not TOO_LARGE[code] then
      context.fail(message, { code = code, key = key, hint = hint_of(options.model, message, code) })
    end
    batch = batch // 2
  end
end

--- The model did not answer: it was stopped, its numbers ran over, the device failed.
function M.fail(context, model, message, code)
  if code == "INTERRUPT" then context.fail(message, { code = code, hint = "what was done so far is kept" }) end
  context.fail(("%s: %s"):format(model.path, message), { code = code, hint = code == "FORMAT" and 'dtype = "f32", or get the folder again' or nil })
end

return M
