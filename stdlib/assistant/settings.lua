-- settings.lua - what a command of the assistant is given: NAME=VALUE texts become values; a wrong one is told with what is expected.
--
--   local spec = settings.define("analyze", { { "side", "integer", min = 64, max = 8192, default = 512, doc = "shorter side that is wanted" } })
--   local o = settings.read(spec, { side = "768" })                -- o.side == 768
--   settings.lines(spec)                                            -- { "side=512   shorter side that is wanted; 64 to 8192" }, for its help
--   settings.parse 'beams = 3, dtype = "bf16"'                      -- { beams = "3", dtype = "bf16" }: several in a line, as recipes have them
local lexer = require "recipe.lexer"
local place = require "recipe.place"
local schema = require "recipe.schema"

local M = {}

local YES = { yes = true, ["true"] = true, on = true, ["1"] = true }
local NO = { no = true, ["false"] = true, off = true, ["0"] = true }

---@param command string
---@param options table[] as a verb's
---@return table spec
function M.define(command, options)
  return schema.define { name = command, kind = "function", title = "calotype " .. command, doc = "Settings of a command.", options = options }
end

-- What was typed as a value of the option's type; what cannot be one stays text, and the schema tells.
local function typed(option, text)
  if option.type == "integer" then return math.tointeger(tonumber(text)) or tonumber(text) or text end
  if option.type == "number" then return tonumber(text) or option.money and tonumber(text:match "^%$(.+)$") or text end
  if option.type == "boolean" then
    if YES[text:lower()] then return true end
    if NO[text:lower()] then return false end
  end
  return text
end

local LINE = "name = value, and commas between; words with spaces or signs stand in quotes"

--- What stands in a line as in the braces of a recipe: texts, as they would be typed one by one. Words need no quotes, a list is one text with
--- commas. Raises for what is written otherwise.
---@param line string
---@return table<string, string>
function M.parse(line)
  local tokens, i, values = lexer.tokens(line), 1, {}
  local function take(kind, text)
    local token = tokens[i]
    if not token or token.kind ~= kind or text and token.text ~= text then return nil end
    i = i + 1
    return token.text
  end
  local function comma() return take("symbol", ",") or take("symbol", ";") end
  local function wrong(wanted)
    place.fail(nil, ("%s is expected %s"):format(wanted, tokens[i] and ("at '%s'"):format(tokens[i].text) or "at the end"), { hint = LINE })
  end
  local function lone()
    local words = take "string"
    if words then return lexer.string_value(words) end
    if tokens[i] and tokens[i].text:find "^[\"']" then place.fail(nil, ("a quote is not closed: %s"):format(tokens[i].text), { hint = LINE }) end
    local sign = take("symbol", "-")
    local number = take "number"
    if sign and not number then wrong "a number" end
    return number and (sign or "") .. number or take "name" or take "keyword" or wrong "a value"
  end
  while tokens[i] do
    local name = take "name" or wrong "a name"
    if values[name] then place.fail(nil, ("%s stands twice"):format(name)) end
    if not take("symbol", "=") then wrong "'='" end
    if take("symbol", "{") then
      local parts = {}
      while not take("symbol", "}") do
        parts[#parts + 1] = lone()
        if not comma() and not (tokens[i] and tokens[i].text == "}") then wrong "a comma or '}'" end
      end
      values[name] = table.concat(parts, ", ")
    else values[name] = lone() end
    if tokens[i] and not comma() then wrong "a comma" end
  end
  return values
end

--- The settings with their defaults. Raises for what is unknown or out of its range.
---@param spec table
---@param given table<string, any> texts from the command line; values stay as they are
---@return table
function M.read(spec, given)
  local values = {}
  for name, value in pairs(given or {}) do
    local option = spec.by_name[name]
    values[name] = option and type(value) == "string" and typed(option, value) or value
    if option and option.type == "boolean" and type(value) == "string" then
      values[name] = typed(option, value)
      if type(values[name]) ~= "boolean" then
        place.fail(nil, ("%s=%s: yes or no is expected"):format(name, value), { hint = ("%s=%s is what it is without"):format(name, M.shown(option)) })
      end
    end
  end
  return schema.read(spec, values, { at = {} })
end

--- A default as it is typed.
function M.shown(option)
  local value = option.default
  if value == nil then return "" end
  if type(value) == "boolean" then return value and "yes" or "no" end
  return tostring(value)
end

--- Lines for the command's help.
---@return string[]
function M.lines(spec)
  local lines, width = {}, 0
  for _, option in ipairs(spec.options) do width = math.max(width, #option.name + 1 + #M.shown(option)) end
  for i, option in ipairs(spec.options) do
    local may = option.choices and "one of " .. table.concat(option.choices, ", ") or schema.range_text(option)
    lines[i] = ("%-" .. width .. "s   %s%s"):format(option.name .. "=" .. M.shown(option), option.doc, may and "; " .. may or "")
  end
  return lines
end

return M
