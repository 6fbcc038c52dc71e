-- stage.lua - a step of a recipe: a verb, its options and what it works on. Making one computes nothing.
--
--   local photos = stage.new(session, verb, options, {}, at)      -- images "photos"
--   local good = photos:reject { side_below = 512 }                -- in a recipe
--   local set = stage.evaluate(good)                               -- pictures kept and rejected
--
-- Stages are immutable and share the work they have in common.
local callback = require "recipe.callback"
local hash = require "native.hash"
local json = require "native.json"
local log = require "native.log"
local place = require "recipe.place"
local schema = require "recipe.schema"
local script = require "native.script"
local set = require "recipe.set"
local suggest = require "recipe.suggest"
local verbs = require "recipe.verbs"

local M = {}

local state_of = setmetatable({}, { __mode = "k" }) -- ephemeron: a state may name its own stage
local metatables = {} -- by kind of stage: images, lora
local WORDS = { images = "pictures", lora = "a LoRA" }

---@param value any
---@return boolean
function M.is(value) return type(value) == "table" and state_of[value] ~= nil end

--- "images" or "lora".
---@return string
function M.kind(self) return state_of[self].kind end

--- What a stage is: session, verb, options, inputs, at, trigger. For the language itself; recipes cannot reach it.
function M.state(self) return state_of[self] end

--- A stage. `inputs` are stages.
---@return table
function M.new(session, verb, options, inputs, at, part)
  local kind = verb.gives or verb.on
  local self = setmetatable({}, metatables[kind])
  local trigger
  for _, input in ipairs(inputs) do trigger = trigger or state_of[input].trigger end
  state_of[self] = { self = self, kind = kind, session = session, verb = verb, options = options, inputs = inputs, at = at, trigger = trigger, part = part }
  if verb.declare and session.mode ~= "info" then
    verb.declare(state_of[self])
    if session.mode == "check" then session:check_devices(state_of[self]) end
  elseif verb.declare then -- what a recipe is can be told where its files are not
    local ok, fault = script.call(verb.declare, state_of[self])
    if not ok and not fault.world then error(fault, 0) end
  end
  return self
end

-- Option values as JSON can hold them; functions and stages become their keys.
local function canonical(value, state)
  if type(value) == "function" then return { ["function"] = callback.key(value, state.session.known, state.at) } end
  if M.is(value) then return { stage = M.key(value) } end
  if type(value) == "table" then
    if value.provider then return { provider = value.provider, version = value.version, options = canonical(value.options, state) } end
    local copy = {}
    for key, part in pairs(value) do copy[key] = canonical(part, state) end
    return #copy > 0 and json.array(copy) or copy
  end
  return value
end

--- The options as JSON can hold them.
function M.options(self) return canonical(state_of[self].options, state_of[self]) end

--- The stage's key: equal for stages that would do the same to the same folders.
---@return string sha256
function M.key(self)
  local state = state_of[self]
  local inputs = {}
  for i, input in ipairs(state.inputs) do inputs[i] = M.key(input) end
  return hash.sha256(json.encode {
    verb = state.verb.name, version = state.verb.version, part = state.part or 0,
    options = canonical(state.options, state), inputs = json.array(inputs),
  })
end

-- What a verb's `run` gets besides options and inputs.
function M.context(self)
  local state = state_of[self]
  local session = state.session
  return {
    session = session, stage = state.self, at = state.at, line = place.text(state.at), trigger = state.trigger, part = state.part,
    store = function() return session:store() end,
    account = function(text) state.account = text end,
    warn = function(text) session:warn(text, state.at) end,
    fail = function(message, more)
      more = more or {}
      more.exit = more.exit or 1
      if more.code == "INTERRUPT" then more.exit = 130 end
      if more.code == "DENIED" then more.exit = 3 end
      if more.code == "BUSY" then more.exit = 75 end
      local at = state.at
      for _, step in ipairs(more.of and M.lineage(state.self) or {}) do -- the step that the complaint is of
        local other = state_of[step]
        if other.verb.name == more.of.verb and place.text(other.at) == more.of.line then at = other.at end
      end
      place.fail(at, message, more)
    end,
  }
end

--- Compute a stage (once): the set of pictures it stands for; for a sink, nothing. Its line in the account has the time of its own work:
--- what other stages took that it asked for, before it ran or while it did, stands in their lines, so that the lines add up.
---@return calotype.set
function M.evaluate(self)
  local state = state_of[self]
  if state.result then return state.result end
  local session, inputs = state.session, {}
  local began, others = log.clock(), session.others_took or 0
  session.others_took = 0
  for i, input in ipairs(state.inputs) do inputs[i] = M.evaluate(input) end
  session:poll(state.at)
  local shared = state.shared -- the halves of :split have one line in the account
  local result = state.verb.run(M.context(self), state.options, table.unpack(inputs))
  state.result = result or inputs[1] or set.new {}
  local took = log.clock() - began
  if not (shared and shared.told) then
    session:account(verbs.label(state.verb, state.options), state.account or set.count(#state.result.items), took - session.others_took)
    if shared then shared.told = true end
  end
  session.others_took = others + took
  return state.result
end

local function lineage(self, seen)
  local state = state_of[self]
  if seen[self] then return end
  seen[self] = true
  for _, input in ipairs(state.inputs) do lineage(input, seen) end
  seen[#seen + 1] = self
end

--- All stages that lead to this one, inputs first.
---@return table[]
function M.lineage(self)
  local seen = {}
  lineage(self, seen)
  return table.move(seen, 1, #seen, 1, {})
end

--- One line: images photos > reject > dedupe.
---@return string
function M.describe(self)
  local parts = {}
  for i, step in ipairs(M.lineage(self)) do parts[i] = verbs.label(state_of[step].verb, state_of[step].options) end
  return table.concat(parts, " > ")
end

local function apply(self, verb, at, given, extra)
  local state = state_of[self]
  local session = state.session
  local options = schema.read(verb, given, session:reading(at), extra)
  if verb.sink then
    local sink = M.new(session, verb, options, { self }, at)
    session:sink(sink)
    return self
  elseif verb.parts then
    local shared, parts = {}, {}
    for i = 1, verb.parts do
      parts[i] = M.new(session, verb, options, { self }, at, i)
      state_of[parts[i]].shared = shared
      session:add(parts[i])
    end
    return table.unpack(parts)
  end
  local made = M.new(session, verb, options, { self }, at)
  session:add(made)
  return made
end

local PROPERTIES = { "items", "rejected", "count" }

local function property(self, name, at)
  local state = state_of[self]
  if not state.session.live then
    local label = verbs.label(state.verb, state.options)
    place.fail(at, ("'%s' needs the result of %s, but nothing is computed while a recipe is read"):format(tostring(name), label),
      { token = tostring(name), hint = "use :keep_if, :take or :expect; at the prompt results can be looked at" })
  end
  local result = M.evaluate(self)
  if name == "count" then return #result.items end
  local list = {}
  if name == "rejected" then
    for i, reject in ipairs(result.rejected) do
      list[i] = set.copy_deep(reject.item)
      list[i].reason, list[i].verb = reject.reason, reject.verb
    end
    return list
  end
  for i, item in ipairs(result.items) do list[i] = set.copy_deep(item) end
  if name == "items" then return list end
  return list[name]
end

local function on_index(kind)
  local of = verbs.of[kind]
  return function(self, name)
    local at = place.here(name)
    if type(name) == "number" then return property(self, name, at) end
    local verb = of.by_name[name]
    if verb then
      return function(object, ...)
        if not M.is(object) or M.kind(object) ~= kind then
          place.fail(at, (":%s works on %s; it was called on %s"):format(name, WORDS[kind], M.is(object) and WORDS[M.kind(object)] or schema.show(object)),
            { hint = kind == "images" and ("write images \"folder\":%s ... with a colon"):format(name) or nil })
        end
        return apply(object, verb, at, ...)
      end
    end
    for _, known in ipairs(kind == "images" and PROPERTIES or {}) do if known == name then return property(self, name, at) end end
    for _, other in ipairs(verbs.kinds) do
      if other ~= kind and verbs.of[other].by_name[name] then
        place.fail(at, (":%s works on %s; this is %s"):format(name, WORDS[other], WORDS[kind]),
          { hint = kind == "images" and "train one first: :train_lora { base = \"models/sd15\" }" or "a LoRA has :" .. table.concat(of.methods, " :") })
      end
    end
    local near = suggest.closest(tostring(name), of.methods)
    place.fail(at, ("%s has no verb ':%s'"):format(kind, tostring(name)),
      { hint = near and ("did you mean ':%s'?"):format(near)
        or require("recipe.providers").by_name[name] and (":caption { with = %s { ... } } has it write captions"):format(name)
        or "the verbs are :" .. table.concat(of.methods, " :") })
  end
end

for _, kind in ipairs(verbs.kinds) do
  local metatable = { __name = kind, __metatable = false, __names = {}, __index = on_index(kind) } -- __names: what the prompt's Tab offers
  for _, name in ipairs(verbs.of[kind].methods) do metatable.__names[#metatable.__names + 1] = name end
  metatables[kind] = metatable

  function metatable.__newindex(_, name)
    local what = kind == "images" and "set of pictures" or "LoRA"
    place.fail(place.here(tostring(name)), ("a %s cannot be changed; '%s' was assigned"):format(what, tostring(name)),
      { hint = kind == "images" and "a verb returns a new set: local good = photos:reject { ... }" or nil, token = tostring(name) })
  end

  function metatable.__tostring(self)
    local state = state_of[self]
    if not state.session.live then return kind .. " (" .. M.describe(self) .. ")" end
    return require("recipe.show")[kind == "images" and "set" or kind](M.evaluate(self), M.describe(self))
  end

  function metatable.__call(self)
    place.fail(place.here(), ("a %s is not a function"):format(kind == "images" and "set of pictures" or "LoRA"),
      { hint = "a verb goes between: photos:reject { ... }; got " .. M.describe(self) })
  end
end

function metatables.images.__len(self) return property(self, "count", place.here "#") end

return M
