-- callback.lua - small functions in recipes: what they are (for keys), and running them.
--
-- A callback's identity is its source tokens and the values it closed over: moving or reformatting it changes nothing.
local hash = require "native.hash"
local json = require "native.json"
local lexer = require "recipe.lexer"
local place = require "recipe.place"
local script = require "native.script"

local M = {}

local fingerprint -- below

local function value_print(value, name, known, seen, at)
  local kind = type(value)
  if kind == "nil" or kind == "boolean" or kind == "number" or kind == "string" then
    return json.encode(value == nil and json.null or value)
  elseif known and known[value] then
    return "known " .. known[value]
  elseif kind == "function" then
    return fingerprint(value, known, seen, at)
  elseif kind == "table" then
    if seen[value] then return "again" end
    seen[value] = true
    local rows = {}
    for key, part in pairs(value) do -- what a read-only table shows counts too
      rows[#rows + 1] = tostring(key) .. "=" .. value_print(part, name .. "." .. tostring(key), known, seen, at)
    end
    table.sort(rows)
    return "{" .. table.concat(rows, ",") .. "}"
  end
  place.fail(at, ("the function uses '%s', a %s, which cannot be part of a key"):format(name, kind),
    { token = "function", hint = "take what it needs out of it first: numbers, text, tables of them" })
end

function fingerprint(fn, known, seen, at)
  if seen[fn] then return "again" end
  seen[fn] = true
  local text = script.function_text(fn)
  if not text then return "native" end
  local rows, names = { lexer.canonical(text) }, {}
  local values = script.upvalues(fn) or {}
  for name in pairs(values) do if name ~= "_ENV" then names[#names + 1] = name end end
  table.sort(names)
  for _, name in ipairs(names) do rows[#rows + 1] = name .. "=" .. value_print(values[name], name, known, seen, at) end
  return hash.sha256(table.concat(rows, "\1"))
end

--- A hash of the function's tokens and of what it closed over.
---@param fn function
---@param known? table<any, string> values of the language itself, by name
---@param at? calotype.place
---@return string
function M.key(fn, known, at) return fingerprint(fn, known, {}, at) end

--- Call `fn` for a picture; an error inside is told with the picture's name.
---@param fn function
---@param at calotype.place
---@param verb string
---@param item calotype.item
---@param ... any
function M.call(fn, at, verb, item, ...)
  local results = table.pack(script.call(fn, ...))
  if results[1] then return table.unpack(results, 2, results.n) end
  local fault = results[2]
  script.fail {
    message = (":%s on %s: %s"):format(verb, item.path, fault.message), hint = fault.hint, exit = 1,
    source = fault.source or at.source, line = fault.line or at.line, column = fault.column, width = fault.width,
  }
end

return M
