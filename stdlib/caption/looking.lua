-- looking.lua - what those share that look at pictures here, on the device: the model, by folder and content, made ready, and its work.
--
--   looking.declare(options, state, "tagger")                          -- while a recipe is read; kinds are those of models/kind.lua
--   looking.at(items, options, context, { kind = "tagger", key = "with", square = true, open = tagger.open,
--     look = function(it, floats, numbers) return it:look(floats, #numbers) end,      -- what it says of items[numbers[k]]: found[k]
--     take = function(n, said, told, left, model) ... end,                            -- of items[n] it said that
--     leave = function(n, why, told, left) left:tell(items[n], why) end, rest = function(items) return "run again" end })

local bring = require "hub.bring"
local cache = require "hub.cache"
local fitted = require "caption.fitted"
local fs = require "native.fs"
local hub_folder = require "models.hub_folder"
local kinds = require "models.kind"
local leaving = require "caption.leaving"
local log = require "native.log"
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
  local absent, hint, why = bring.absent(path)
  if why then return nil, absent, why, hint end
  if absent then message, code = absent, "NOTFOUND"
  elseif code == "NOTFOUND" and message:find("/config.json cannot be opened", 1, true) then
    message = ("%s has no config.json, which every model's folder has"):format(path)
  end
  local other, advice
  if not NOT_ITS_FAULT[code] then other, advice = kinds.instead(path, kind) end
  return nil, other or message, code, advice or cache.advice(path, message) or hint_of(path, message, code)
end

local function model_of(options, context, kind)
  local model, message, code, hint = opened(options.model, kind)
  if not model then context.fail(message, { code = code, hint = hint }) end
  return model
end

local prints = setmetatable({}, { __mode = "k" })

--- The model by content, once for each recipe's options.
function M.depends(options, context, kind)
  if not prints[options] then
    local sum, message, code = part.fingerprint(context.store(), model_of(options, context, kind).part)
    if not sum then context.fail(message, { code = code }) end
    prints[options] = sum
  end
  return prints[options]
end

-- After the weights were read: they are those that the answers will be kept under.
local function check_same(options, context, model)
  if part.fingerprint(context.store(), model.part, true) == prints[options] then return end
  context.fail(("%s changed while it was read"):format(model.path), { code = "IO", hint = "run again" })
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

-- What is kept with each answer of a model that looks here: whose it is, what it was asked with, and the seconds that one picture took.
local function told_of(options, context, kind, seconds)
  local settings = M.question(options)
  settings.prompt = nil
  return { model = cache.name(options.model), weights = M.depends(options, context, kind), settings = settings, seconds = seconds, cost = 0 }
end

local TOO_LARGE = { LIMIT = true, MEMORY = true }

-- The model at work on the device that was wished for, with as many pictures at once as were asked for, `count` at most. Left out, they are 4 on a
-- CPU and 16 on a GPU, or half of that, and half again, until they fit. Whoever waits is told that the model comes first.
local function ready(options, context, count, model, about)
  if context.tick then context.tick "the model is made ready" end
  local device, _, memory = context.session:device(options.device, context.at)
  local batch = math.min(options.batch or device:info().cpu and 4 or 16, count)
  while true do
    local it, message, code = about.open { model = model, device = device, dtype = options.dtype, batch = batch, memory = memory }
    if it then return it, device, batch end
    if options.batch or batch == 1 or not TOO_LARGE[code] then
      context.fail(message, { code = code, key = about.key, hint = hint_of(options.model, message, code) })
    end
    batch = batch // 2
  end
end

-- So many pictures in which the numbers run over, and none before in which they did not, are the model's fault.
local SURE = 4

-- What is told of a model and its pictures by those whose numbers ran over. Once it gave numbers to one picture it is not to blame for others; that is
-- remembered, for a later run may look at the bad one alone.
local function judge(options, context, model, about)
  local waiting, kind, key = {}, "gives numbers", M.depends(options, context, about.kind) .. options.dtype .. (options.device or "")
  local well = context.store():get(kind, key) ~= nil
  local why = "the model's numbers run over in it; " .. (options.dtype == "f32" and "another model may help" or 'dtype = "f32" may help')
  local verdict = {}
  function verdict.blame()
    if #waiting == 0 then return end
    local again = bring.hint(options.model)
    context.fail(("%s: its numbers run over in %s that it looked at"):format(model.path, #waiting == 1 and "the only picture"
      or ("all %d pictures"):format(#waiting)), { code = "FORMAT", hint = options.dtype == "f32" and again or 'dtype = "f32", or ' .. again })
  end
  --- Those of a batch.
  function verdict.of(numbers, found, told, left)
    local good = false
    for k, one in ipairs(found) do
      if one.over then waiting[#waiting + 1] = numbers[k] elseif not one.why then good = true end
    end
    if good and not well then
      context.store():put(kind, key, "1")
      well = true
    end
    if not well then return #waiting >= SURE and verdict.blame() end
    for _, n in ipairs(waiting) do about.leave(n, why, told, left) end
    waiting = {}
  end
  return verdict
end

--- Have a model look at all of these, a batch at a time. A picture that cannot be looked at, or in which the model's numbers run over, is left out; where
--- they do in all that come first it is the model's fault, and ends the run. about:
---   kind      of models/kind.lua; key: the option that a refusal points at; square: pictures get a white border
---   open(how) the model at work, from how.model, device, dtype, batch and memory in bytes | nil, message, code
---   look(it, floats, numbers)   what it says of the pictures items[numbers[k]]: found, found[k].over where its numbers ran over | nil, message, code
---   take(n, said, told, left, model)   items[n] has said = found[k]; told: the detail that is kept with it, of recipe/providers.lua
---   leave(n, why, told, left)   items[n] stays without
---   rest      as in caption/leaving.lua, of which `left` is
---@param items calotype.item[]
function M.at(items, options, context, about)
  if #items == 0 then return end
  local model = model_of(options, context, about.kind)
  local it <close>, device, batch = ready(options, context, #items, model, about)
  check_same(options, context, model)
  local gone <close> = leaving.new(context, function() return "run again" end)
  local left <close> = leaving.new(context, about.rest)
  local verdict = judge(options, context, model, about)
  for numbers, floats in fitted.batches(context, items, { device = device, batch = batch, side = (model.looks or model.config).side, square = about.square,
    leave = function(item, why) gone:tell(item, why) end }) do
    local began = log.clock()
    local found, message, code = about.look(it, floats, numbers)
    if code == "INTERRUPT" then context.fail(message, { code = code, hint = "what was done so far is kept" }) end
    if not found then context.fail(("%s: %s"):format(model.path, message), { code = code }) end
    local seconds = (log.clock() - began) / #numbers
    local function told() return told_of(options, context, about.kind, seconds) end
    context.store():batch(function()
      verdict.of(numbers, found, told(), left)
      for k, n in ipairs(numbers) do if not found[k].over then about.take(n, found[k], told(), left, model) end end
    end)
    local without = left.count + gone.count
    if without > 0 and context.tick then context.tick(("%d left without"):format(without), without) end
  end
  verdict.blame()
end

return M
