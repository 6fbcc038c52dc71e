-- place.lua - where in a recipe something was said, and errors that point there.
--
--   local at = place.here "reject"                                   -- in the function that the recipe called
--   place.fail(at, "unknown option 'sid_below' for :reject", { key = "sid_below", hint = "did you mean 'side_below'?" })
--
-- Lua knows lines only, so the column is found by reading the kept source again from that line.
local lexer = require "recipe.lexer"
local script = require "native.script"

local M = {}
local cache = setmetatable({}, { __mode = "v" }) -- source path -> { text = , tokens = }

local function tokens_of(source)
  local text = source and script.source(source)
  if not text then return nil end
  local entry = cache[source]
  if not entry or entry.text ~= text then
    entry = { text = text, tokens = lexer.tokens(text) }
    cache[source] = entry
  end
  return entry.tokens
end

---@class calotype.place
---@field source? string
---@field line? integer
---@field name? string the verb, provider or function that was called

--- The innermost line of a recipe that is running now. `name` is what was called there.
---@param name? string
---@return calotype.place
function M.here(name)
  local where = script.where()
  return { source = where and where.source, line = where and where.line, name = name }
end

-- The last token of the arguments that follow token `i`: "text", { }, ( ), or several of them as in recipe "x" { }.
local function arguments_end(list, i)
  local last = i
  while list[last + 1] and (list[last + 1].kind == "string" or list[last + 1].text == "{" or list[last + 1].text == "(") do
    local depth = 0
    repeat
      last = last + 1
      local text = list[last].text
      if text == "{" or text == "(" then depth = depth + 1 end
      if text == "}" or text == ")" then depth = depth - 1 end
    until depth == 0 or not list[last + 1]
  end
  return last
end

-- Tokens [first, last] of the calls of `at.name` on its line (or on the next line that has one), in order.
local function calls(at)
  local list, found = tokens_of(at.source), {}
  if not list or not at.line then return list, found end
  for i, token in ipairs(list) do
    if token.kind == "name" and token.text == at.name and token.line >= at.line then
      if #found > 0 and token.line > list[found[1][1]].line then break end
      found[#found + 1] = { i, arguments_end(list, i) }
    end
  end
  return list, found
end

local function key_text(token) return token.kind == "string" and lexer.string_value(token.text) or token.text end

local function width_of(list, from, to)
  if not list[to] or list[to].line ~= list[from].line then return #list[from].text:match "^[^\n]*" end
  return list[to].column + #list[to].text:match "^[^\n]*" - list[from].column
end

-- Finds what `find` names inside the call; line, column, width or nil.
local function locate(at, find)
  local list, found = calls(at)
  if find.token and list and at.line then -- a bare name somewhere on the line
    for _, token in ipairs(list) do
      if token.line == at.line and token.text == find.token and token.kind ~= "string" then return token.line, token.column, #token.text end
    end
  end
  for _, call in ipairs(found) do
    local depth, inside = 0, find.inside == nil
    for j = call[1], call[2] do
      local token = list[j]
      inside = inside or token.text == find.inside and list[j + 1] and list[j + 1].text == "="
      if find.key and inside and depth <= 3 and (token.kind == "name" or token.kind == "string") and key_text(token) == find.key then
        local bracket = token.kind == "string" and list[j + 1] and list[j + 1].text == "]"
        local equals = bracket and j + 2 or j + 1
        if list[equals] and list[equals].text == "=" then
          if not find.value then return token.line, token.column, #token.text end
          local stop, level = equals + 1, 0
          while stop <= call[2] do
            local text = list[stop].text
            if text == "{" or text == "(" or text == "[" then level = level + 1 end
            if text == "}" or text == ")" or text == "]" then level = level - 1 end
            if level < 0 or (level == 0 and (text == "," or text == ";")) then break end
            stop = stop + 1
          end
          local first = equals + 1
          return list[first].line, list[first].column, width_of(list, first, math.max(first, stop - 1))
        end
      end
      if find.text and token.kind == "string" and lexer.string_value(token.text) == find.text then
        return token.line, token.column, #token.text:match "^[^\n]*"
      end
      if find.argument and j > call[1] and (depth == 1 or token.text ~= "(" and token.text ~= "{") then
        return token.line, token.column, width_of(list, j, j)
      end
      if token.text == "{" or token.text == "(" then depth = depth + 1 end
      if token.text == "}" or token.text == ")" then depth = depth - 1 end
    end
  end
  if found[1] then
    local token = list[found[1][1]]
    return token.line, token.column, #token.text
  end
  return at.line, nil, nil
end

---@class calotype.complaint
---@field key? string point at this option's name
---@field inside? string with `key`: behind this option's name, of which it is a part
---@field value? boolean with `key`: point at its value
---@field text? string point at the string that says this
---@field token? string point at this bare name on the line
---@field argument? boolean point at the first argument
---@field hint? string the next step
---@field notes? string[]
---@field exit? integer 2 unless told
---@field code? string
---@field world? boolean it is about files and devices, not about the recipe's text

--- Raise the error that the command line prints with excerpt and caret.
---@param at? calotype.place
---@param message string
---@param more? calotype.complaint
function M.fail(at, message, more)
  more = more or {}
  local line, column, width
  if at and at.source and at.line then line, column, width = locate(at, more) end
  script.fail {
    message = message, hint = more.hint, notes = more.notes, exit = more.exit or 2,
    world = more.world, source = at and at.source, line = line, column = column, width = width,
  }
end

--- "recipe.lua:12", or nil for what no recipe said.
---@param at? calotype.place
---@return string?
function M.text(at)
  if not at or not at.source or not at.line then return nil end
  return ("%s:%d"):format(at.source:match "[^/]*$", at.line)
end

return M
