-- replace.lua - find and replace in many captions: first what would change, then the change as one step that can be undone.
--
--   local plan, message = replace.plan(p:scope "filtered", { find = "colour", with = "color", whole = true })
--   for _, row in ipairs(plan.rows) do print(row.item.name, row.before, row.after, #row.spans) end
--   print(plan.count)                                     -- hits; #plan.rows captions
--   p.changes:replace(plan)
--   local search = replace.search(items, how)             -- the same in slices: while not search:on(0.03) do ... search.at of #search.items ... end
--
-- Plain text, or a pattern of Lua's (%d+, [abc], (.-) ...) whose captures stand in the new text as %1. Capitals make no difference unless
-- `case`. `whole` takes only hits that no letter or digit goes on at either end. Patterns that take too long are refused, they never hang.
local text_of = require "native.text"
local words = require "caption.words"

local M = {}

local SECONDS = 5 -- for all captions together

-- Two characters that belong to one word. Scripts without spaces have none.
local function glued(left, right)
  left, right = words.class(left), words.class(right)
  return (left == "word" or left == "hangul") and left == right
end

local function code_at(s, at) return utf8.codepoint(s, at, at, true) end

local function cuts_word(s, first, last)
  if last < first then return false end
  local before = first > 1 and utf8.offset(s, -1, first)
  if before and glued(code_at(s, before), code_at(s, first)) then return true end
  return last < #s and glued(code_at(s, utf8.offset(s, 0, last)), code_at(s, last + 1))
end

-- "a%a[bc]" -> "[aA]%a[bBcC]": %1 and what was captured stay as they are.
local function caseless(pattern)
  local out, at, inside = {}, 1, false
  while at <= #pattern do
    local char = pattern:sub(at, at)
    if char == "%" then
      local wide = pattern:sub(at + 1, at + 1) == "b" and 4 or 2
      out[#out + 1] = pattern:sub(at, at + wide - 1)
      at = at + wide - 1
    elseif inside then
      local first, last = pattern:match("^(%a)%-(%a)", at)
      if first then
        out[#out + 1] = first .. "-" .. last .. first:lower() .. "-" .. last:lower() .. first:upper() .. "-" .. last:upper()
        at = at + 2
      else
        out[#out + 1] = char:find "%a" and char:lower() .. char:upper() or char
        inside = char ~= "]"
      end
    elseif char == "[" then
      out[#out + 1], inside = char, true
      local rest = pattern:match("^%^?%]?", at + 1)
      out[#out + 1] = rest
      at = at + #rest
    else out[#out + 1] = char:find "%a" and "[" .. char:lower() .. char:upper() .. "]" or char end
    at = at + 1
  end
  return table.concat(out)
end

-- All hits of a pattern: { first, last, captures }. The string functions here are those with a budget (core/text/pattern.h).
local function hits(s, pattern)
  local anchored, list, at = pattern:sub(1, 1) == "^", {}, 1
  while at <= #s + 1 do
    local found = table.pack(s:find(pattern, at))
    if not found[1] then break end
    local empty, before = found[2] < found[1], list[#list]
    if not (empty and before and before[2] + 1 == found[1]) then -- nothing, right behind a hit, is none
      list[#list + 1] = { found[1], found[2], table.move(found, 3, found.n, 1, {}) }
    end
    at = empty and found[1] + 1 or found[2] + 1
    if anchored then break end
  end
  return list
end

local function plain_hits(s, find, case)
  local list, at = {}, 1
  local lower, wanted = case and s or text_of.lower(s), case and find or text_of.lower(find)
  while true do
    local first, last = lower:find(wanted, at, true)
    if not first then return list end
    list[#list + 1] = { first, last, {} }
    at = last + 1
  end
end

local function filled(with, whole, captures)
  return (with:gsub("%%(.?)", function(char)
    if char == "0" then return whole end
    if char:find "%d" then
      local value = captures[tonumber(char)]
      if value == nil and char == "1" and #captures == 0 then value = whole end
      if value == nil then error({ message = ("the new text has %%%s, but the pattern has %d capture%s"):format(char, #captures,
        #captures == 1 and "" or "s") }, 0) end
      return tostring(value)
    end
    if char == "%" then return "%" end
    error({ message = ("%%%s in the new text: %%1 is the first capture, %%%% is a %%"):format(char) }, 0)
  end))
end

--- One text: what becomes of it, and where the hits stand in it, in bytes.
---@return string after, { [1]: integer, [2]: integer }[] spans
local function one(s, o)
  local list = o.pattern and hits(s, o.compiled) or plain_hits(s, o.find, o.case)
  local parts, spans, at = {}, {}, 1
  for _, hit in ipairs(list) do
    local first, last = hit[1], hit[2]
    if first >= at and not (o.whole and cuts_word(s, first, last)) then
      parts[#parts + 1] = s:sub(at, first - 1)
      parts[#parts + 1] = o.pattern and filled(o.with, s:sub(first, last), hit[3]) or o.with
      spans[#spans + 1] = { first, last }
      at = last + 1
    end
  end
  parts[#parts + 1] = s:sub(at)
  return table.concat(parts), spans
end

local Search = {}
Search.__index = Search

--- What replacing would do, to be found out in slices: search:on(seconds) until it is done.
---@param items table[]
---@param options { find: string, with?: string, pattern?: boolean, whole?: boolean, case?: boolean }
---@return { at: integer, items: table[], plan: table, done?: boolean, trouble?: string }? search, string? message
function M.search(items, options)
  local o = { find = options.find, with = options.with or "", pattern = options.pattern, whole = options.whole, case = options.case }
  if o.find == "" then return nil, "what is to be found?" end
  if o.pattern then o.compiled = o.case and o.find or caseless(o.find) end
  return setmetatable({ items = items, options = o, at = 0, spent = 0,
    plan = { count = 0, rows = {}, title = ("replace \"%s\" by \"%s\""):format(o.find, o.with) } }, Search)
end

-- The next caption; why the search is given up.
local function look(self, item)
  local o, plan = self.options, self.plan
  local ok, after, spans = pcall(one, item.caption, o)
  if not ok then
    if type(after) == "table" and after.message then return after.message end
    if type(after) ~= "string" then error(after, 0) end -- Ctrl-C
    return (after:gsub("^.-:%d+: ", ""))
  end
  if o.pattern and not utf8.len(after) then
    return ("the pattern tears a letter of %s: one of several bytes is taken whole by [\\x80-\\xff]+ or a wider hit"):format(item.name)
  end
  plan.count = plan.count + #spans
  if after ~= item.caption then plan.rows[#plan.rows + 1] = { item = item, before = item.caption, after = after, spans = spans } end
end

--- Go on, at most so many seconds. True when it is done: search.plan, or search.trouble.
---@param seconds? number
---@return boolean done
function Search:on(seconds)
  local began = os.clock()
  while not self.done do
    local item = self.items[self.at + 1]
    if not item then self.done = true break end
    self.at = self.at + 1
    self.trouble = look(self, item)
    local took = os.clock() - began
    if not self.trouble and self.spent + took > SECONDS then
      self.trouble = "this pattern takes too long on so many captions; make it simpler, or choose fewer pictures"
    end
    self.done = self.trouble and true or nil
    if seconds and took > seconds then break end
  end
  self.spent = self.spent + os.clock() - began
  return self.done or false
end

--- What replacing would do. Hits that change nothing are counted among the hits, not among the rows.
---@param items table[]
---@param options { find: string, with?: string, pattern?: boolean, whole?: boolean, case?: boolean }
---@return { count: integer, rows: { item: table, before: string, after: string, spans: table }[], title: string }? plan, string? message
function M.plan(items, options)
  local search, message = M.search(items, options)
  if not search then return nil, message end
  search:on()
  if search.trouble then return nil, search.trouble end
  return search.plan
end

return M
