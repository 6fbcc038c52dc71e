-- remote.lua - a provider that asks a service: what it may, what it would cost, and the asking.
--
--   return remote.provider { name = "gemini", doc = "...", options = remote.options(remote.shared, { ... }, remote.pace) }
--
-- What its options mean stands in settings.lua, how it asks in exchange.lua.
local batch = require "caption.batch"
local exchange = require "caption.exchange"
local models = require "caption.models"
local money = require "caption.money"
local prompts = require "caption.prompts"
local services = require "caption.services"
local settings = require "caption.settings"

local M = { shared = settings.shared, pace = settings.pace, options = settings.options }

--- What no option may say. complaint, hint, key.
function M.check(name, options)
  for _, id in ipairs(options.model or {}) do
    local gone = models.retired(name, id)
    if gone and not gone.routed then
      return ("has %q, which is no longer served since %s"):format(id, gone.since), ('write model = "%s"'):format(gone.now), "model"
    end
    if id == "" or id:find "[%c%s]" then return ("has the model %q"):format(id), "a model's name has no spaces", "model" end
  end
  if options.language then
    local words, complaint, hint = prompts.words(options.language)
    if not words then return "has a language it cannot ask in: " .. complaint, hint, "language" end
  end
  if options.record and options.replay then return "has both record and replay", "record first; replay what was recorded", "replay" end
  if options.batch and (options.record or options.replay) then return "has batch, which is not recorded", "record without batch", "batch" end
  if options.tag_language == "same" and options.style ~= "tags" then
    return "has tag_language, but writes no tags", 'it belongs to style = "tags"', "tag_language"
  end
end

--- While a recipe is read: may it ask, may it spend, is there a key. Nothing is sent.
function M.declare(name, options, state)
  local session, at = state.session, state.at
  local service = settings.service(name, options)
  if options.replay then session:permit(options.replay, "read", at) else session:permit_net(name, at) end
  if options.record then session:permit(options.record, "write", at, nil, false) end
  local placed, complaint, remedy = services.address(service)
  if not placed and not options.replay then
    session:warn(("%s; %s"):format(complaint, remedy), at, "key")
  elseif options.free and not service.own then
    session:fail(at, ("free is for servers of your own; %s would be asked at %s"):format(name, service.host), { key = "free",
      hint = ("set %s to its address, or leave free out"):format(service.variable) })
  end
  local chain = settings.chain(service, options)
  for _, id in ipairs(chain) do
    local row, gone = models.find(name, id), models.retired(name, id)
    if gone and gone.routed then session:warn(("%s is since %s answered by %s"):format(id, gone.since, gone.now), at, "model")
    elseif gone then session:warn(("%s is no longer served since %s; %s is"):format(id, gone.since, gone.now), at, "model")
    elseif row and row.ends then session:warn(("%s ends on %s, then %s answers"):format(id, row.ends, row.now), at, "model")
    elseif not row and models.nearest(name, id) then
      session:warn(("%s is no model known here; did you mean %s?"):format(id, models.nearest(name, id)), at, "model")
    end
  end
  if #chain == 0 and not service.own and service.wire ~= "huggingface" then
    session:warn(("%s does not know which model to ask; name one: model = \"...\", or %s in .env"):format(name, service.model), at, "model")
  end
  if settings.costless(service, options) then return end
  if session.allow and not (session.allow.spend and session.allow.spend[name]) then
    session:fail(at, ("the recipe's header does not allow it to spend anything with %s"):format(name),
      { exit = 3, hint = ("add it: allow = { spend = { %s = usd(0.50) } }%s"):format(name,
        service.own and "; a server of your own that costs nothing: free = true" or "") })
  end
  local purse = money.purse(session, name, options.spend)
  if purse:limited() then
    local unknown
    for _, id in ipairs(chain) do
      if models.price(models.find(name, id)) then unknown = nil break end
      unknown = unknown or id
    end
    if #chain == 0 or unknown then
      session:fail(at, ("the price of %s is unknown, so the ceiling of %s cannot be kept"):format(unknown or "the model", purse:limit_text()),
        { key = options.spend and "spend" or nil, hint = service.own and "a server of your own that costs nothing: free = true"
          or "put the price into a file that CALOTYPE_MODELS names (stdlib/data/models.lua shows its shape), or leave the ceiling out" })
    end
  end
  if services.kept_apart(service) then
    session:warn(("%s is in the environment, but only .env names the server %s, which does not get it; put both into one place"):format(service.key,
      service.host), at, "key")
  end
  local ok, why, hint = services.ready(service)
  if not ok and placed then session:warn(("%s; %s"):format(why, hint), at, "key") end
end

--- About what asking for these pictures costs: { requests, model, usd (nil: unknown), as_of, until_, blocked }. `other`: another question than
--- that of captions, as exchange.lua takes it.
function M.estimate(name, items, options, context, other)
  local service = settings.service(name, options)
  local asked = other or settings.words(name, options)
  local id = settings.chain(service, options)[1]
  local row = models.find(name, id)
  local price, usd, blocked, waiting = models.price(row), 0, 0, 0
  local in_batches = options.batch and batch.waiting(context.store(), name, settings.question_key(name, options)) or {}
  for _, item in ipairs(items) do
    if in_batches[item.sha256] then
      waiting = waiting + 1
    elseif not options.again and not other and settings.blocked(context, name, options, item) then
      blocked = blocked + 1
    elseif price then
      local words = other and other.of and other.of(item) or asked
      usd = usd + money.usual(row, words, options.resolution or "high", options.style, options.thinking, item.width or 1024, item.height or 1024)
    end
  end
  local requests = #items - blocked - waiting
  local half = options.batch and models.all().batch[name]
  local free = settings.costless(service, options)
  return { requests = requests, model = id, host = service.host, usd = free and 0 or price and usd * (half or 1) or nil, free = free,
    waiting = waiting, as_of = row and row.as_of, until_ = price and price.until_, blocked = blocked, batch = half and true or nil,
    ceiling = options.spend and options.spend.usd, named = service.key,
    own = service.own, replay = options.replay }
end

--- A provider from its name, doc and options.
function M.provider(spec)
  local name = spec.name
  spec.version, spec.author, spec.finishes, spec.remote = 1, "model", true, true
  function spec.check(options) return M.check(name, options) end
  function spec.declare(options, state) return M.declare(name, options, state) end
  function spec.question(options) return settings.question(name, options) end
  function spec.depends(_, options) return settings.words(name, options).id end
  function spec.estimate(items, options, context, other) return M.estimate(name, items, options, context, other) end
  function spec.ask(items, options, emit, context, asked) return exchange.ask(name, items, options, emit, context, asked) end
  return spec
end

return M
