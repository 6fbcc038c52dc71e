-- lexer.lua - Lua source as tokens with their places: for carets under errors and for keys of callbacks.
--
--   lexer.tokens "x = 1"   --> { { kind = "name", text = "x", line = 1, column = 1 }, ... }
--
-- It reads text that Lua has already compiled, so it need not refuse anything: a byte it does not know is a token.
local M = {}

local ESCAPES = { n = "\n", t = "\t", r = "\r", a = "\a", b = "\b", f = "\f", v = "\v", ["\\"] = "\\", ['"'] = '"', ["'"] = "'", ["\n"] = "\n" }
local LONG_OPERATORS = { ["..."] = true, ["<<"] = true, [">>"] = true, ["//"] = true, ["=="] = true, ["~="] = true, ["<="] = true,
  [">="] = true, ["::"] = true, [".."] = true }

local function long_bracket(text, at)
  local level = text:match("^%[(=*)%[", at)
  if not level then return nil end
  local _, stop = text:find("]" .. level .. "]", at, true)
  return stop or #text
end

local function quoted(text, at)
  local quote, i = text:sub(at, at), at + 1
  while i <= #text do
    local c = text:sub(i, i)
    if c == "\\" then
      i = i + (text:match("^\\z%s*()", i) and text:match("^\\z%s*()", i) - i or 2)
    elseif c == quote or c == "\n" then
      return i
    else
      i = i + 1
    end
  end
  return #text
end

--- The tokens of `text` without comments and white space.
---@param text string
---@return { kind: "name"|"number"|"string"|"operator", text: string, line: integer, column: integer }[]
function M.tokens(text)
  local tokens, at, line, line_start = {}, 1, 1, 1
  local function advance(stop) -- counts the line ends in [at, stop] and goes on behind them
    local from = at
    while true do
      local newline = text:find("\n", from, true)
      if not newline or newline > stop then break end
      line, line_start, from = line + 1, newline + 1, newline + 1
    end
    at = stop + 1
  end
  if text:sub(1, 1) == "#" then advance((text:find("\n", 1, true) or #text + 1) - 1) end
  while at <= #text do
    local c = text:sub(at, at)
    local kind, stop
    if c:find "%s" then
      advance(select(2, text:find("^%s+", at)))
    elseif text:find("^%-%-", at) then
      stop = long_bracket(text, at + 2)
      advance(stop or (text:find("\n", at, true) or #text + 1) - 1)
    else
      if c:find "[%a_]" then
        kind, stop = "name", select(2, text:find("^[%w_]+", at))
      elseif c:find "%d" or text:find("^%.%d", at) then
        kind = "number"
        local exponent = text:find("^0[xX]", at) and "[pP]" or "[eE]"
        stop = at
        while text:find("^[%w%.]", stop + 1) or (text:find("^[+-]", stop + 1) and text:find("^" .. exponent, stop)) do stop = stop + 1 end
      elseif c == '"' or c == "'" then
        kind, stop = "string", quoted(text, at)
      elseif long_bracket(text, at) then
        kind, stop = "string", long_bracket(text, at)
      else
        kind, stop = "operator", at
        for length = 3, 2, -1 do
          if LONG_OPERATORS[text:sub(at, at + length - 1)] then
            stop = at + length - 1
            break
          end
        end
      end
      tokens[#tokens + 1] = { kind = kind, text = text:sub(at, stop), line = line, column = at - line_start + 1 }
      advance(stop)
    end
  end
  return tokens
end

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
