-- settings.lua - what a command of the assistant is given: NAME=VALUE texts become values; a wrong one is told with what is expected.
--
--   local spec = settings.define("analyze", { { "side", "integer", min = 64, max = 8192, default = 512, doc = "shorter side that is wanted" } })
--   local o = settings.read(spec, { side = "768" })                -- o.side == 768
--   settings.lines(spec)                                            -- { "side=512   shorter side that is wanted; 64 to 8192" }, for its help
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
