-- lexer.lua - Lua source as tokens with their places: for carets under errors and for keys of callbacks.
--
--   lexer.tokens "x = 1"   --> { { kind = "name", text = "x", line = 1, column = 1 }, ... }
--
-- The tokens are those of core/text/lua_token, which the errors of Lua itself are placed with too.
local script = require "native.script"

local M = {}

local ESCAPES = { n = "\n", t = "\t", r = "\r", a = "\a", b = "\b", f = "\f", v = "\v", ["\\"] = "\\", ['"'] = '"', ["'"] = "'", ["\n"] = "\n" }

--- The tokens of `text` without comments and white space.
---@type fun(text: string): { kind: "name"|"keyword"|"number"|"string"|"symbol"|"bad", text: string, line: integer, column: integer }[]
M.tokens = script.tokens

--- What a string token says, for the escapes people write by hand.
---@param text string
---@return string
function M.string_value(text)
  local level = text:match "^%[(=*)%["
  if level then return (text:sub(#level + 3, -(#level + 3)):gsub("^\r?\n", "")) end
  return (text:sub(2, -2):gsub("\\(.)", ESCAPES))
end

--- The tokens as one line: equal for two texts that differ in layout and comments only.
---@param text string
---@return string
function M.canonical(text)
  local parts = {}
  for i, token in ipairs(M.tokens(text)) do parts[i] = token.text end
  return table.concat(parts, "\0")
end

return M
