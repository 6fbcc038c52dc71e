-- prompt.lua - what the prompt says about values and names. The C part (runtime/repl) reads lines and runs them.
local script = require "native.script"

local M = {}

local ROWS, DEPTH, WIDTH = 20, 4, 78

--- The globals of the prompt.
---@return table env
function M.env() return require "recipe.command".repl_env() end

--- What `?topic` shows.
---@param topic string
---@return string
function M.help(topic)
  topic = topic:match "^(.-)[%s\"')]*$" -- ?reject, help reject, help("reject")
  if topic == "" then
    return "?reject explains a verb, ?images a function; Tab completes names; a line ending in ; shows nothing;\n"
      .. "_ is the last result; Ctrl-C stops what runs; Ctrl-D or exit leaves.\n"
      .. (require "recipe.help".text "" or "")
  end
  return (require "recipe.help".text(topic)) -- its second value says whether there is such a topic
end

-- Values ------------------------------------------------------------------------------------------------------------

local KEYWORDS = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return then true until
  while]]):gmatch "%a+" do KEYWORDS[word] = true end

local function is_name(key) return type(key) == "string" and key:match "^[%a_][%w_]*$" and not KEYWORDS[key] end

local function quoted(text)
  local shown = ("%q"):format(text):gsub("\\\n", "\\n"):gsub("\\9", "\t")
  return shown
end

local describe

local function sorted_keys(value)
  local keys = {}
  for key in next, value do keys[#keys + 1] = key end
  local rank = { number = 1, string = 2 }
  table.sort(keys, function(a, b)
    local ra, rb = rank[type(a)] or 3, rank[type(b)] or 3
    if ra ~= rb then return ra < rb end
    if ra < 3 then return a < b end
    return script.safe.tostring(a) < script.safe.tostring(b)
  end)
  return keys
end

local function describe_table(value, depth, seen)
  if seen[value] then return "{ ...itself }" end
  if next(value) == nil then return "{}" end
  if depth > DEPTH then return "{ ... }" end
  seen[value] = true
  local parts, hidden, length = {}, 0, rawlen(value)
  for _, key in ipairs(sorted_keys(value)) do
    if #parts == ROWS then
      hidden = hidden + 1
    else
      local shown = describe(rawget(value, key), depth + 1, seen)
      if math.type(key) == "integer" and key >= 1 and key <= length then parts[#parts + 1] = shown
      elseif is_name(key) then parts[#parts + 1] = key .. " = " .. shown
      else parts[#parts + 1] = "[" .. describe(key, DEPTH + 1, seen) .. "] = " .. shown end
    end
  end
  seen[value] = nil
  if hidden > 0 then parts[#parts + 1] = ("... %d more"):format(hidden) end
  local line = "{ " .. table.concat(parts, ", ") .. " }"
  if #line + 2 * depth <= WIDTH and not line:find("\n", 1, true) then return line end
  local indent = ("  "):rep(depth)
  return "{\n" .. indent .. "  " .. table.concat(parts, ",\n" .. indent .. "  ") .. "\n" .. indent .. "}"
end

-- "image: decode, load, new, probe": what only offers names.
local function describe_library(value, meta)
  local names = {}
  for name in pairs(M.names_of(value)) do names[#names + 1] = name end
  table.sort(names)
  return script.safe.tostring(rawget(meta, "__name")) .. (#names > 0 and ": " .. table.concat(names, ", ") or "")
end

function describe(value, depth, seen)
  local meta = debug.getmetatable(value)
  local repr = type(value) ~= "string" and meta and rawget(meta, "__repr")
  if repr then return script.safe.tostring(repr(value)) end
  if type(value) == "string" then return depth > 0 and #value > 60 and quoted(value:sub(1, 57)) .. "..." or quoted(value) end
  if type(value) == "table" and not (meta and rawget(meta, "__tostring")) then
    if next(value) == nil and meta and rawget(meta, "__name") then return describe_library(value, meta) end
    return describe_table(value, depth, seen)
  end
  return script.safe.tostring(value)
end

--- How the prompt shows a value: at most 20 rows of a table, four tables deep.
---@param value any
---@return string
function M.show(value) return describe(value, 0, {}) end

-- Names -------------------------------------------------------------------------------------------------------------

-- All names a value offers, without running any code: its own keys, and those of __index tables. What a type wants to
-- offer beyond that stands in its metatable's __names.
function M.names_of(value)
  local names = {}
  for _ = 1, 8 do
    local meta = debug.getmetatable(value)
    if type(value) == "table" then for key in next, value do if is_name(key) then names[key] = true end end end
    local extra = meta and rawget(meta, "__names")
    if type(extra) == "table" then
      for key, text in next, extra do names[type(key) == "string" and key or text] = true end
    end
    value = meta and rawget(meta, "__index")
    if type(value) ~= "table" then break end
  end
  return names
end

local function raw_field(value, key)
  for _ = 1, 8 do
    if type(value) == "table" then
      local found = rawget(value, key)
      if found ~= nil then return found end
    end
    local meta = debug.getmetatable(value)
    value = meta and rawget(meta, "__index")
    if type(value) ~= "table" then return nil end
  end
end

-- The globals of the prompt have a function as __index; its __pairs lists them.
local function globals_of(env)
  local all, meta = {}, debug.getmetatable(env)
  for key, value in next, env do all[key] = value end
  if meta and rawget(meta, "__pairs") then
    for key, value in pairs(env) do all[key] = value end
  end
  return all
end

--- What Tab does with the text before the cursor: what to insert, and the list to show when that is nothing.
---@param before string
---@param env table
---@return string? insert, string? list
function M.complete(before, env)
  local path, separator, word = before:match "([%a_][%w_%.]*)([%.:])([%w_]*)$"
  local all = globals_of(env)
  local names
  if path then
    local value = nil
    for name in path:gmatch "[%a_][%w_]*" do
      if value == nil then value = all[name] else value = raw_field(value, name) end
      if value == nil then break end
    end
    if value == nil and separator ~= ":" then return nil end
    names = value ~= nil and M.names_of(value) or {}
    if separator == ":" then -- what is known to be no function cannot be called
      for name in pairs(names) do
        local field = raw_field(value, name)
        if field ~= nil and type(field) ~= "function" then names[name] = nil end
      end
    end
  else
    word = before:match "[%a_][%w_]*$" or ""
    if word == "" and not before:find "{[^{}]*$" then return nil end
    names = {}
    for name in pairs(all) do if is_name(name) then names[name] = true end end
    for name in pairs(KEYWORDS) do names[name] = true end
  end
  -- Behind a colon and inside { } the language knows what may stand there: verbs, options, their values.
  local candidates = require "recipe.help".complete(before)
  if #candidates > 0 and (separator == ":" or before:find "{[^{}]*$") then
    names = {}
    for _, name in ipairs(candidates) do names[name] = true end
  end
  local fitting = {}
  for name in pairs(names) do
    if name:sub(1, #word) == word and (word ~= "" or name:sub(1, 1) ~= "_") then fitting[#fitting + 1] = name end
  end
  table.sort(fitting)
  if #fitting == 0 then return nil end
  local common = fitting[1]
  for _, name in ipairs(fitting) do
    while name:sub(1, #common) ~= common do common = common:sub(1, -2) end
  end
  if #common > #word then return common:sub(#word + 1) end
  if #fitting == 1 then return "" end
  local list = table.concat(fitting, "  ")
  return nil, #list > 1000 and list:sub(1, 997) .. "..." or list
end

return M
