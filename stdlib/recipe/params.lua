-- params.lua - what a recipe lets its user change: `params { steps = { 1500, min = 50 } }` and `-p steps=800`.
local place = require "recipe.place"
local schema = require "recipe.schema"
local suggest = require "recipe.suggest"

local M = {}

M.schema = schema.define {
  name = "params", kind = "function",
  doc = "Declare what can be changed with -p name=value. Each parameter is { default, ... }; the result is a read-only table of the values.",
  example = 'local p = params { data = { "photos", kind = "folder" }, side = { 512, min = 64, help = "shorter side" } }',
}

local KINDS = { "integer", "number", "text", "boolean", "folder", "file", "path", "model", "choice" }
M.option = schema.define {
  name = "a parameter", kind = "function", positional = "default", doc = "One parameter.",
  options = {
    { "default", "any", doc = "the value when none is given; its type is the parameter's type" },
    { "kind", "choice", choices = KINDS, doc = "where the default does not say it" },
    { "min", "number", doc = "smallest value" },
    { "max", "number", doc = "largest value" },
    { "choices", "list", of = "text", doc = "the only values that are allowed" },
    { "help", "text", doc = "one line for `calotype info`" },
    { "required", "boolean", default = false, doc = "must be given with -p" },
  },
}

local READER = { folder = "path", file = "path", path = "path", model = "path" }
local TRUE = { ["true"] = true, yes = true, on = true, ["1"] = true }
local FALSE = { ["false"] = true, no = true, off = true, ["0"] = true }

local function kind_of(spec)
  if spec.choices then return "choice" end
  if spec.kind then return spec.kind end
  local default = spec.default
  if math.type(default) == "integer" then return "integer" end
  if type(default) == "number" then return "number" end
  if type(default) == "boolean" then return "boolean" end
  return "text"
end

-- What was typed after -p name=, as a value of the parameter's kind; nil when it is none.
local function from_text(kind, text)
  if kind == "integer" then return math.tointeger(tonumber(text)) or tonumber(text) end
  if kind == "number" then return tonumber(text) end
  if kind == "boolean" then
    if TRUE[text:lower()] then return true end
    if FALSE[text:lower()] then return false end
    return nil
  end
  return text
end

-- One parameter as `list` has it: what was declared, and what was given as text (nil: nothing).
local function read_one(name, raw, text, reading)
  if type(raw) ~= "table" then
    place.fail(reading.at, ("parameter '%s' is %s; it takes a table"):format(name, schema.show(raw)),
      { key = name, value = true, hint = ("write %s = { %s }"):format(name, schema.show(raw)) })
  end
  local spec = schema.read(M.option, raw, reading)
  local kind = kind_of(spec)
  local option = { name, READER[kind] or kind, name = name, type = READER[kind] or kind, min = spec.min, max = spec.max, choices = spec.choices }
  local function fail(message, hint, more)
    more = more or { key = name }
    more.hint = hint
    place.fail(reading.at, message, more)
  end
  if (spec.min or spec.max) and kind ~= "integer" and kind ~= "number" then
    fail(("parameter '%s' is %s and cannot have min or max"):format(name, schema.type_text(option)))
  end
  local value = spec.default
  if value ~= nil then
    local read, complaint, hint = schema.value(option, value, reading)
    if read == nil then fail(("parameter '%s' %s"):format(name, complaint), hint, { key = name, value = true }) end
    value = read
  end
  if text ~= nil then
    local typed = from_text(kind, text)
    if typed == nil then
      fail(("parameter '%s' takes %s, not %q"):format(name, schema.type_text(option), text),
        ("for example -p %s=%s"):format(name, tostring(spec.default == nil and "..." or spec.default)))
    end
    local read, complaint, hint = schema.value(option, typed, {})
    if read == nil then fail(("parameter '%s' %s"):format(name, complaint), hint) end
    value = read
  elseif value == nil and spec.required then
    fail(("parameter '%s' has no default and was not given"):format(name), ("add -p %s=...%s"):format(name, spec.help and ("  (" .. spec.help .. ")") or ""))
  end
  return { name = name, kind = kind, value = value, default = spec.default, given = text ~= nil, help = spec.help,
    min = spec.min, max = spec.max, choices = spec.choices, at = reading.at }
end

-- What the recipe holds: values can be read, not changed; a name that was not declared is told.
local function proxy_of(declared, names, values)
  return setmetatable({}, {
    __metatable = false, __name = "params", __names = names,
    __index = function(_, name)
      if values[name] ~= nil then return values[name] end
      if declared[name] ~= nil then return nil end -- declared without a default
      local near = suggest.closest(tostring(name), names)
      place.fail(place.here("params"), ("no parameter '%s'"):format(tostring(name)),
        { token = tostring(name), hint = near and ("did you mean '%s'?"):format(near)
          or "params { } declares " .. (#names > 0 and table.concat(names, ", ") or "none") })
    end,
    __newindex = function(_, name)
      place.fail(place.here("params"), ("parameters cannot be changed; '%s' was assigned"):format(tostring(name)),
        { token = tostring(name), hint = "use a local" })
    end,
    __pairs = function() return function(_, key) return next(values, key) end end, -- the table itself stays out of reach
  })
end

--- Read a recipe's declarations. Returns the read-only table for the recipe and a list { name, kind, value, default, given, help }.
---@param declared table
---@param given table<string, string> from the command line
---@param reading table what schema.read needs
---@return table values, table[] list
function M.read(declared, given, reading)
  local at = reading.at
  if type(declared) ~= "table" then place.fail(at, ("params takes a table, not %s"):format(schema.show(declared)), { hint = "params { steps = { 1500 } }" }) end
  local names, values, list = {}, {}, {}
  for name in pairs(declared) do
    if type(name) ~= "string" then place.fail(at, "params takes names: " .. schema.show(name) .. " is none", { hint = "params { steps = { 1500 } }" }) end
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do
    list[i] = read_one(name, declared[name], given[name], reading)
    values[name] = list[i].value
  end
  return proxy_of(declared, names, values), list
end

return M
