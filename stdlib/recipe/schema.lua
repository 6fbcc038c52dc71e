-- schema.lua - what a verb's options may be: the only source of checking, messages, help, completion and stubs.
--
--   local take = schema.define {
--     name = "take", doc = "Keep the first pictures.", positional = "count",
--     options = { { "count", "integer", min = 1, required = true, doc = "how many to keep" } },
--   }
--   local options = schema.read(take, { count = 30 }, { at = place.here "take" })
--
-- An option is { name, type, default =, required =, min =, max =, unit =, choices =, of =, doc = }. Types:
--   integer number text choice boolean path folder provider cut callback list money range stage table any options
-- A cut is a number or "lowest 10%" / "highest 5%"; a range is a number or { from, to }; a list takes one value for { value }. "options" is
-- a table with options of its own, { "sample", "options", options = { ... } }; with alone = "unet" a lone value stands for that one. A provider
-- with several = true may be a list of them. elsewhere = { "num_beams" } are the names that other programs have for it.
local place = require "recipe.place"
local suggest = require "recipe.suggest"
local trigger = require "recipe.trigger"

local M = {}

---@class calotype.option
---@field [1] string name
---@field [2] string type
---@field name string
---@field type string
---@field default any
---@field required? boolean
---@field min? number
---@field max? number
---@field unit? string
---@field choices? string[]
---@field of? string
---@field several? boolean
---@field options? calotype.option[] of a table of options
---@field alone? string which of them a lone value stands for
---@field elsewhere? string[] what other programs call it
---@field doc string

---@class calotype.schema
---@field name string
---@field kind "verb"|"provider"|"function"
---@field doc string
---@field options calotype.option[]
---@field by_name table<string, calotype.option>
---@field positional? string
---@field version integer

local function number_text(value)
  if math.type(value) == "float" and value == math.floor(value) and math.abs(value) < 1e15 then return ("%d"):format(value) end
  if math.type(value) == "float" then return ("%.6g"):format(value) end
  return tostring(value)
end

local MOST_SHOWN = 12 -- parts of a list in a message

--- A value as it would be written in a recipe, short. Lists in lists are not entered: one may hold itself.
---@param value any
---@param inside? boolean
---@return string
function M.show(value, inside)
  if type(value) == "string" then
    return #value > 60 and ('"%s..."'):format(value:sub(1, 57)) or ('"%s"'):format(value)
  elseif type(value) == "number" then
    return number_text(value)
  elseif type(value) == "table" then
    if value.cut then return ('"%s %s%%"'):format(value.cut, number_text(value.percent)) end
    if value.usd then return ("usd(%s)"):format(number_text(value.usd)) end
    if value.provider then
      local parts = {}
      for key, part in pairs(not inside and value.options or {}) do parts[#parts + 1] = key .. " = " .. M.show(part, true) end
      table.sort(parts)
      return value.provider .. (#parts > 0 and " { " .. table.concat(parts, ", ") .. " }" or " {}")
    end
    if #value > 0 and not inside then
      local parts = {}
      for i, part in ipairs(value) do
        parts[i] = i <= MOST_SHOWN and M.show(part, true) or "..."
        if i > MOST_SHOWN then break end
      end
      return "{ " .. table.concat(parts, ", ") .. " }"
    end
    return "a table"
  elseif type(value) == "boolean" or value == nil then
    return tostring(value)
  end
  return "a " .. type(value)
end

local function quoted_list(names)
  local parts = {}
  for i, name in ipairs(names) do parts[i] = '"' .. name .. '"' end
  if #parts < 2 then return parts[1] or "" end
  return table.concat(parts, ", ", 1, #parts - 1) .. " or " .. parts[#parts]
end

--- The type of an option in words, for messages and help.
---@param option calotype.option
---@return string
function M.type_text(option)
  local kind, unit = option.type, option.unit and " (" .. option.unit .. ")" or ""
  if kind == "integer" then return "a whole number" .. unit end
  if kind == "number" then return "a number" .. unit end
  if kind == "text" then return "text" end
  if kind == "boolean" then return "true or false" end
  if kind == "choice" then return quoted_list(option.choices) end
  if kind == "path" then return "a path" end
  if kind == "folder" then return "a folder" end
  if kind == "cut" then
    return ("a number%s or %s"):format(unit, option.side and ('"%s 10%%"'):format(option.side) or '"lowest 10%" or "highest 10%"')
  end
  if kind == "range" then return "a number or { from, to }" .. unit end
  if kind == "money" then return "an amount like usd(0.50)" end
  if kind == "callback" then return "a function" end
  if kind == "provider" then return "a provider such as template {}" .. (option.several and ", or a list of providers" or "") end
  if kind == "list" then return "a list of " .. (option.of and option.of ~= "any" and option.of or "value") .. "s" end
  if kind == "stage" then return "a set of pictures" end
  if kind == "options" then
    local names = {}
    for i, part in ipairs(option.options) do names[i] = part.name or part[1] end
    local alone = option.schema and option.alone and option.schema.by_name[option.alone]
    return (alone and M.type_text(alone) .. " or " or "") .. "{ " .. table.concat(names, ", ") .. " }"
  end
  return "a table"
end

--- The range of an option in words: "1 to 40", or nil.
---@param option calotype.option
---@return string?
function M.range_text(option)
  local unit = option.unit and " " .. option.unit or ""
  if option.min and option.max then return number_text(option.min) .. " to " .. number_text(option.max) .. unit end
  if option.min then return "at least " .. number_text(option.min) .. unit end
  if option.max then return "at most " .. number_text(option.max) .. unit end
  return nil
end

--- Functions of recipes that make a provider, with its name: for those who forget to call them.
M.provider_of = setmetatable({}, { __mode = "k" })
local provider_names, is_provider = {}, {}

-- Each reader: value, option, context -> canonical value, or nil, complaint, hint. `false` is a value for booleans.
local readers = {}

local function in_range(value, option)
  if value ~= value or value == math.huge or value == -math.huge then return nil, ("is not a number (%s)"):format(value) end
  if math.type(value) == "integer" and math.abs(value) > 1 << 53 then return nil, ("is %d; whole numbers end at 2^53 here"):format(value) end
  if (option.min and value < option.min) or (option.max and value > option.max) then
    local percent = option.max == 1 and option.type ~= "integer" and value >= 5 and value <= 100
    return nil, ("is %s; it must be %s"):format(number_text(value), M.range_text(option)),
      percent and ("%s percent are written %s"):format(number_text(value), number_text(value / 100)) or nil
  end
  return value
end

local function wrong(value, option) return nil, ("takes %s, not %s"):format(M.type_text(option), M.show(value)) end

-- What was meant by "0.35" where a number is taken, or by "35%" where one of 0 to 1 is.
local function number_hint(value, option)
  if type(value) ~= "string" then return nil end
  local number, percent = value:match "^%s*(%-?%d*%.?%d+)%s*(%%?)%s*$"
  if not number or option.type == "integer" and (percent ~= "" or not math.tointeger(tonumber(number))) then return nil end
  if percent == "" then return ("write %s, without quotes"):format(number) end
  return option.max == 1 and ("%s percent are written %s"):format(number, number_text(tonumber(number) / 100)) or nil
end

function readers.integer(value, option)
  local whole = math.type(value) == "integer" and value or (type(value) == "number" and math.tointeger(value))
  if not whole then
    local _, complaint = wrong(value, option)
    return nil, complaint, number_hint(value, option)
  end
  return in_range(whole, option)
end

function readers.number(value, option)
  if type(value) ~= "number" then
    local _, complaint = wrong(value, option)
    return nil, complaint, number_hint(value, option)
  end
  return in_range(value, option)
end

function readers.text(value, option, context)
  if type(value) ~= "string" then return wrong(value, option) end
  local text, complaint, hint = M.interpolate(value, context)
  if not text then return nil, complaint, hint end
  if text:find "%z" then return nil, "has a zero byte" end
  local misspelt = trigger.misspelt(text)
  if misspelt then return nil, ("has %s"):format(misspelt), "did you mean [trigger]?" end
  if not utf8.len(text) then return nil, "is not UTF-8", option.type ~= "text" and "a recipe is text: give the file or folder a name in UTF-8" or nil end
  if option.match and not text:find(option.match) then return nil, ("is %s; %s"):format(M.show(text), option.match_doc) end
  return text
end

function readers.path(value, option, context)
  local text, complaint, hint = readers.text(value, option, context)
  if not text then return nil, complaint, hint end
  if text == "" then return nil, "is an empty path" end
  return text
end
readers.folder = readers.path

function readers.boolean(value, option)
  if type(value) ~= "boolean" then return wrong(value, option) end
  return value
end

function readers.choice(value, option)
  for _, choice in ipairs(option.choices) do if choice == value then return value end end
  if type(value) ~= "string" then return wrong(value, option) end
  local near = suggest.closest(value, option.choices)
  return nil, ("is %s; it can be %s"):format(M.show(value), quoted_list(option.choices)), near and ('did you mean "%s"?'):format(near)
end

function readers.cut(value, option)
  if type(value) == "number" then return in_range(value, option) end
  if type(value) ~= "string" then return wrong(value, option) end
  local which, percent = value:match "^%s*(%a+)%s+([%d%.]+)%s*%%%s*$"
  if which then which, percent = which:lower(), tonumber(percent) end
  if not percent then
    local number, share = value:match "^%s*([%d%.]+)%s*$", value:match "([%d%.]+)%s*%%?%s*$"
    local _, complaint = wrong(value, option)
    return nil, complaint, number and ("write %s without quotes, or \"%s %s%%\""):format(number, option.side or "lowest", number)
      or share and ("write \"%s %s%%\""):format(which or value:match "%a+" or option.side or "lowest", share) or nil
  end
  if which ~= "lowest" and which ~= "highest" then
    local near = suggest.closest(which, { "lowest", "highest" })
    return nil, ("is %s; a share is \"lowest 10%%\" or \"highest 10%%\""):format(M.show(value)), near and ('did you mean "%s"?'):format(near)
  end
  if option.side and which ~= option.side then
    return nil, ("is %s, but this option cuts the other end"):format(M.show(value)), ('say "%s %s%%"'):format(option.side, number_text(percent))
  end
  if percent <= 0 or percent >= 100 then return nil, ("is %s; the share must be between 0%% and 100%%"):format(M.show(value)) end
  return { cut = which, percent = percent }
end

function readers.range(value, option)
  if type(value) == "number" then value = { value, value } end
  if type(value) ~= "table" or type(value[1]) ~= "number" or type(value[2]) ~= "number" or #value ~= 2 then return wrong(value, option) end
  if value[1] > value[2] then return nil, ("is { %s, %s }; the smaller number comes first"):format(number_text(value[1]), number_text(value[2])) end
  for _, bound in ipairs(value) do
    local ok, complaint = in_range(bound, option)
    if not ok then return nil, complaint end
  end
  return { value[1], value[2] }
end

function readers.money(value, option)
  if type(value) == "table" and type(value.usd) == "number" then return { usd = value.usd } end
  if type(value) == "number" then return nil, ("is %s without a unit"):format(number_text(value)), ("write usd(%s)"):format(number_text(value)) end
  return wrong(value, option)
end

function readers.callback(value, option)
  if type(value) ~= "function" then return wrong(value, option) end
  return value
end

function readers.provider(value, option, context)
  if option.several and type(value) == "table" and not (context.is_stage and context.is_stage(value)) and not value.provider and #value > 0 then
    local list, complaint, hint = readers.list(value, { type = "list", of = "provider" }, context)
    if list and #list == 1 then return list[1] end
    return list, complaint, hint
  end
  if type(value) ~= "table" or type(value.provider) ~= "string" then
    local meant = type(value) == "function" and M.provider_of[value] or is_provider[value] and value or suggest.closest(value, provider_names) or "template"
    local hint = type(value) == "function" and ("call it: %s {}"):format(meant) or type(value) == "string" and ("write %s {}"):format(meant)
    local complaint = select(2, wrong(value, option))
    return nil, complaint, hint or nil
  end
  return value
end

function readers.stage(value, option, context)
  if context.is_stage and context.is_stage(value) then
    local kind = context.stage_kind and context.stage_kind(value) or "images"
    if kind == "images" then return value end
    return nil, ("takes %s, not a %s"):format(M.type_text(option), kind == "lora" and "LoRA" or kind)
  end
  return wrong(value, option)
end

function readers.options(value, option, context)
  if type(value) ~= "table" and option.alone then
    local alone = option.schema.by_name[option.alone]
    local read, complaint, hint = readers[alone.type](value, alone, context)
    if read == nil and complaint:find "^takes" then return wrong(value, option) end
    if read == nil then return nil, complaint, hint end
    value = { [option.alone] = value }
  end
  if type(value) ~= "table" or (context.is_stage and context.is_stage(value)) then return wrong(value, option) end
  local inner = {}
  for key, part in pairs(context) do inner[key] = part end
  inner.inside = option.name
  return M.read(option.schema, value, inner)
end

function readers.table(value, option)
  if type(value) ~= "table" then return wrong(value, option) end
  return value
end

function readers.any(value) return value end

function readers.list(value, option, context)
  local element = { type = option.of or "text", min = option.min, max = option.max, unit = option.unit, choices = option.choices }
  if type(value) ~= "table" or (context.is_stage and context.is_stage(value)) then value = { value } end
  local list, count = {}, 0
  for key in pairs(value) do
    count = count + 1
    if math.type(key) ~= "integer" then return nil, ("takes %s; it has the key %s"):format(M.type_text(option), M.show(key)) end
  end
  if count ~= #value then return nil, "is a list with holes" end
  for i, part in ipairs(value) do
    local canonical, complaint, hint = readers[element.type](part, element, context)
    if canonical == nil then return nil, ("[%d] %s"):format(i, complaint), hint end
    list[i] = canonical
  end
  return list
end

--- Replace ${name} by the parameter's value. Text without ${ comes back as it is.
---@param text string
---@param context { param?: fun(name: string): any, names?: fun(): string[] }
---@return string? text, string? complaint, string? hint
function M.interpolate(text, context)
  if not text:find("${", 1, true) then return text end
  local complaint, hint
  local done = text:gsub("%${([^}]*)}", function(name)
    local value = context and context.param and context.param(name)
    if value == nil and not complaint then
      complaint = ("has ${%s}, which is no parameter of this recipe"):format(name)
      local near = context and context.names and suggest.closest(name, context.names())
      hint = near and ("did you mean ${%s}?"):format(near) or ("declare it: params { %s = { \"...\" } }"):format(name:match "^[%a_][%w_]*$" or "name")
    end
    return value ~= nil and (type(value) == "number" and number_text(value) or tostring(value)) or ""
  end)
  if complaint then return nil, complaint, hint end
  return done
end

--- Read one value as an option's type. nil, complaint, hint when it is not one.
---@param option calotype.option
---@param value any
---@param context? table
function M.value(option, value, context) return readers[option.type](value, option, context or {}) end

--- How a schema is called in a message: ":reject", "images", "template".
---@param spec calotype.schema
---@return string
function M.title(spec) return spec.title or (spec.kind == "verb" and spec.name ~= "images" and ":" or "") .. spec.name end

local registry = {} -- key -> { schema names in the order they were defined }

--- Make a schema from a verb's, provider's or function's description; wrong descriptions raise at once.
---@param spec table
---@return calotype.schema
function M.define(spec)
  spec.kind, spec.version, spec.by_name = spec.kind or "verb", spec.version or 1, {}
  if spec.kind == "provider" then provider_names[#provider_names + 1], is_provider[spec.name] = spec.name, true end
  spec.options = spec.options or {}
  for _, option in ipairs(spec.options) do
    option.name, option.type = option[1], option[2]
    assert(readers[option.type], ("schema of %s: option %s has the unknown type %s"):format(spec.name, option.name, tostring(option.type)))
    assert(type(option.doc) == "string", ("schema of %s: option %s has no doc"):format(spec.name, option.name))
    assert(option.type ~= "choice" or option.choices, ("schema of %s: option %s has no choices"):format(spec.name, option.name))
    assert(not spec.by_name[option.name], ("schema of %s: option %s twice"):format(spec.name, option.name))
    spec.by_name[option.name] = option
    if option.type == "options" then
      option.schema = M.define { name = option.name, kind = "function", doc = option.doc, title = ("'%s' of %s"):format(option.name, M.title(spec)),
        options = option.options }
      option.schema.owner = spec
    end
    registry[option.name] = registry[option.name] or {}
    local owner = M.title(spec)
    if spec.kind ~= "function" and not registry[option.name][owner] then
      registry[option.name][owner] = true
      table.insert(registry[option.name], owner)
    end
  end
  return spec
end

local function option_names(spec)
  local names = {}
  for i, option in ipairs(spec.options) do names[i] = option.name end
  return names
end

local function refuse_unknown(spec, key, context)
  if type(key) ~= "string" then
    local first = M.show(key)
    place.fail(context.at, ("%s takes named options, not a value at %s"):format(M.title(spec), first),
      { hint = #spec.options > 0 and ("write %s = ..."):format(spec.options[1].name) or "leave the braces empty" })
  end
  local hint
  local owners = registry[key]
  if owners and #owners > 0 then
    hint = "this key belongs to " .. table.concat(owners, ", ")
  end
  local near, edits = suggest.closest(key, option_names(spec))
  for _, option in ipairs(spec.options) do
    for _, name in ipairs(option.elsewhere or {}) do if name == key then near, edits = option.name, 0 end end
  end
  if near and not (hint and edits > 2) then
    hint = ("did you mean '%s'?"):format(near) .. (hint and " (" .. hint .. ")" or "")
  end
  if not hint then
    hint = #spec.options > 0 and ("%s has %s"):format(M.title(spec), table.concat(option_names(spec), ", ")) or ("%s has no options"):format(M.title(spec))
  end
  place.fail(context.at, ("unknown option '%s' for %s"):format(key, M.title(spec)), { key = key, inside = context.inside, hint = hint })
end

-- What was given, by names: a lone value, or the values of a list without names, are the positional option. `is_options`: it is a table of options.
local function by_names(spec, given, extra, is_options, context)
  local name = spec.positional
  if not name or given == nil then
    if given ~= nil and not is_options then
      place.fail(context.at, ("%s takes a table of options, not %s"):format(M.title(spec), M.show(given)),
        { hint = type(given) == "string" and spec.kind == "provider" and spec.by_name.text and ("write %s { text = %s }"):format(M.title(spec), M.show(given))
          or ("write %s { ... }"):format(M.title(spec)), argument = true })
    end
    return given or {}
  end
  local raw = given
  if not is_options then
    raw = { [name] = given }
  elseif #given > 0 then -- images { "a", "b", recursive = true }; take { 30, by = "sharpest" }
    raw = {}
    local values = {}
    for key, value in pairs(given) do
      if math.type(key) == "integer" then values[key] = value else raw[key] = value end
    end
    if raw[name] ~= nil then
      place.fail(context.at, ("%s has '%s' twice: once by name, once without"):format(M.title(spec), name), { key = name })
    end
    local alone = spec.by_name[name].type ~= "list" and #values == 1
    if alone then raw[name] = values[1] else raw[name] = values end -- no `and`: { false } is false
  end
  if extra ~= nil then
    if type(extra) ~= "table" then
      place.fail(context.at, ("%s takes a table of options after %s, not %s"):format(M.title(spec), name, M.show(extra)))
    end
    for key, value in pairs(extra) do raw[key] = value end
  end
  return raw
end

-- What stands for an option that was not given; one that is needed is told.
local function default_of(spec, option, context)
  if option.required then
    place.fail(context.at, ("%s needs '%s': %s"):format(M.title(spec), option.name, option.doc),
      { hint = ("it takes %s"):format(M.type_text(option)), key = context.inside })
  end
  if option.type == "options" and option.default ~= nil then return readers.options(option.default, option, context) end
  if type(option.default) == "table" then return table.move(option.default, 1, #option.default, 1, {}) end
  return option.default
end

--- The canonical options: every key known, every value of its type and in its range, defaults filled in.
--- A lone value that is no options table fills the positional option: take(30). Raises at the recipe's own place.
---@param spec calotype.schema
---@param given any
---@param context { at: calotype.place, param?: function, names?: function, is_stage?: function }
---@param extra? any a second argument: the options that follow a positional value
---@return table
function M.read(spec, given, context, extra)
  local is_options = type(given) == "table" and not (context.is_stage and context.is_stage(given)) and not given.provider and not given.usd
  local options, raw, keys = {}, by_names(spec, given, extra, is_options, context), {}
  for key in pairs(raw) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  for _, key in ipairs(keys) do
    local option = type(key) == "string" and spec.by_name[key]
    if not option then refuse_unknown(spec, key, context) end
    local value, complaint, hint = readers[option.type](raw[key], option, context)
    if value == nil then
      local positional = key == spec.positional and not (is_options and given[key] ~= nil)
      place.fail(context.at, ("option '%s' of %s %s"):format(key, M.title(spec), complaint),
        { key = not positional and key or nil, inside = context.inside, value = true, argument = positional, hint = hint })
    end
    options[key] = value
  end
  for _, option in ipairs(spec.options) do
    if options[option.name] == nil then options[option.name] = default_of(spec, option, context) end
  end
  return options
end

return M
