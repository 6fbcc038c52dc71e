-- tags.lua - captions seen as lists of tags. The text stays what it is: a tag is changed where it stands, and all around it is left alone.
--
--   tags.of "1girl, Red_Hair"                        --> { { "1girl", 1, 5 }, { "Red_Hair", 8, 15 } } with their bytes
--   tags.rename("1girl,  Red_Hair", "red hair", "auburn hair")   --> "1girl,  auburn hair"
--   tags.remove("1girl, red hair, solo", "red hair")             --> "1girl, solo"
--   tags.add("1girl, solo", "smile")                 --> "1girl, solo, smile"; tags.add(s, "smile", 1) puts it in front
--   local index = tags.index()
--   while not index:update(p.items, 0.005) do end    -- in slices; again whenever captions changed, which takes no time where none did
--   index:list()                                     --> { { "1girl", 812 }, ... } by count
--   index:complete("red", 8)                         --> { { "red hair", 31 }, { "dark red", 2 } }
--   p.changes:replace(tags.rename_plan(items, "red hair", "auburn hair"))        -- remove_plan(items, tag), add_plan(items, tag, at)
--
-- Tags are the same when they differ in capitals or underscores only. Sentences are no tags: they are not counted.
local caption_tags = require "caption.tags"
local log = require "native.log"
local trim = require "caption.trim"
local words = require "caption.words"

local M = {}
local Index = {}
Index.__index = Index

local plain = caption_tags.plain

local LONGEST = 200 -- bytes of a tag; what is longer is a sentence without a stop, or no words at all
local MOST = 32 << 10 -- bytes of a caption that is read as tags

--- The tags of a text with their first and last bytes. Commas (of any script) and line ends stand between them.
---@param s string
---@return { [1]: string, [2]: integer, [3]: integer }[]
function M.of(s)
  local list = {}
  -- as long as before: places stay
  local flat = s:gsub("，", "\0\0,"):gsub("、", "\0\0,"):gsub("[\r\n]", ",")
  for from, part in flat:gmatch "()([^,]+)" do
    local at = part:find "[^%s\0]"
    if at then
      local body = trim.right(part:sub(at), " \t\n\v\f\r\0")
      at = from + at - 1
      list[#list + 1] = { s:sub(at, at + #body - 1), at, at + #body - 1 }
    end
  end
  return list
end

local function without(s, list, i)
  if #list == 1 then return "" end
  if i > 1 then return s:sub(1, list[i - 1][3]) .. s:sub(list[i][3] + 1) end
  return s:sub(1, list[1][2] - 1) .. s:sub(list[2][2])
end

--- Without a tag, wherever it stands, and one separator for each.
---@param s string
---@param tag string
---@return string
function M.remove(s, tag)
  local wanted, list = plain(tag), M.of(s)
  for i = #list, 1, -1 do
    if plain(list[i][1]) == wanted then
      s = without(s, list, i)
      list = M.of(s)
    end
  end
  return s
end

--- A tag by another name. Where that one stands already the renamed goes, so that none stands twice.
---@param s string
---@param from string
---@param to string
---@return string
function M.rename(s, from, to)
  local wanted, other = plain(from), plain(to)
  if other == "" then return M.remove(s, from) end
  local there = false
  if wanted ~= other then
    for _, tag in ipairs(M.of(s)) do there = there or plain(tag[1]) == other end
    if there then return M.remove(s, from) end
  end
  local list, first = M.of(s), nil
  for i, tag in ipairs(list) do if not first and plain(tag[1]) == wanted then first = i end end
  for i = #list, 1, -1 do
    if plain(list[i][1]) == wanted then
      if i == first or wanted == other then s = s:sub(1, list[i][2] - 1) .. to .. s:sub(list[i][3] + 1)
      else s = without(s, M.of(s), i) end
    end
  end
  return s
end

--- With a tag at the end, or before the `at`th one; unchanged where it stands already.
---@param s string
---@param tag string
---@param at? integer
---@return string
function M.add(s, tag, at)
  tag = trim.both(tag)
  if plain(tag) == "" then return s end
  local list = M.of(s)
  for _, other in ipairs(list) do if plain(other[1]) == plain(tag) then return s end end
  if #list == 0 then return tag end
  if at and list[at] then return s:sub(1, list[at][2] - 1) .. tag .. ", " .. s:sub(list[at][2]) end
  local last = list[#list][3]
  local tail = s:sub(last + 1)
  if tail:find "^%s*$" then return s:sub(1, last) .. ", " .. tag end
  return s .. (s:find "%s$" and "" or " ") .. tag -- "a, b," has its comma
end

--- The `from`th tag moved to where the `to`th stands; the separators stay where they are.
---@param s string
---@param from integer
---@param to integer
---@return string
function M.move(s, from, to)
  local list = M.of(s)
  if not list[from] or not list[to] or from == to then return s end
  local order = {}
  for i, tag in ipairs(list) do order[i] = tag[1] end
  table.insert(order, to, table.remove(order, from))
  local parts, at = {}, 1
  for i, tag in ipairs(list) do
    parts[#parts + 1] = s:sub(at, tag[2] - 1)
    parts[#parts + 1] = order[i]
    at = tag[3] + 1
  end
  return table.concat(parts) .. s:sub(at)
end

local function plan(items, title, change)
  local made = { count = 0, rows = {}, title = title }
  for _, item in ipairs(items) do
    local after = change(item.caption)
    if after ~= item.caption then
      made.count = made.count + 1
      made.rows[#made.rows + 1] = { item = item, before = item.caption, after = after, spans = {} }
    end
  end
  return made
end

--- What would change, as window/replace.lua tells it; p.changes:replace(plan) does it.
function M.rename_plan(items, from, to)
  return plan(items, ("rename tag \"%s\" to \"%s\""):format(from, to), function(s) return M.rename(s, from, to) end)
end

function M.remove_plan(items, tag)
  return plan(items, ("remove tag \"%s\""):format(tag), function(s) return M.remove(s, tag) end)
end

function M.add_plan(items, tag, at)
  return plan(items, ("add tag \"%s\""):format(tag), function(s) return M.add(s, tag, at) end)
end

--- Whether a caption is seen as tags: a list, or a word or two.
---@param s string
---@return boolean
function M.seen(s) return #s <= MOST and (caption_tags.listed(s) or not s:find "[%.!?。]" and s:find "%S" ~= nil and words.count(s) <= 3) end

--- An empty index of tags; `update` fills it.
function M.index()
  return setmetatable({ known = setmetatable({}, { __mode = "k" }), counted = {}, counts = {}, spelled = {}, size = 0, seen = 0, version = 0 }, Index)
end

local function count(self, list, by)
  for _, tag in ipairs(list) do
    local now = (self.counts[tag] or 0) + by
    self.size = self.size + ((now > 0 and 1 or 0) - (self.counts[tag] and 1 or 0))
    self.counts[tag] = now > 0 and now or nil
  end
end

-- The tags of a caption, each once; second: as they are written there.
local function distinct(s)
  local list, written, seen = {}, {}, {}
  for _, raw in ipairs(M.seen(s) and caption_tags.split(s) or {}) do
    local tag = plain(raw)
    if tag ~= "" and #tag <= LONGEST and not seen[tag] then list[#list + 1], written[#list + 1], seen[tag] = tag, raw, true end
  end
  return list, written
end

--- Count what changed since the last time, at most so many seconds. True when all is counted. `items` is one array for as long as it has the
--- same pictures (p.order): another array is counted anew, from what is known of its captions.
---@param items table[]
---@param seconds? number
---@return boolean
function Index:update(items, seconds)
  local deadline = log.clock() + (seconds or math.huge)
  if self.items ~= items or self.total ~= #items then -- others: begin anew
    self.items, self.total, self.counted, self.counts, self.size, self.seen = items, #items, {}, {}, 0, 0
    self.sorted, self.version = nil, self.version + 1
  end
  local work = 0
  for _, item in ipairs(items) do
    local before, known = self.counted[item], self.known[item]
    if not before or before.caption ~= item.caption then
      if not known or known.caption ~= item.caption then
        local list, written = distinct(item.caption)
        for i, tag in ipairs(list) do self.spelled[tag] = self.spelled[tag] or written[i] end
        known = { caption = item.caption, tags = list }
        self.known[item] = known
        work = work + 1
      end
      if before then count(self, before.tags, -1) end
      count(self, known.tags, 1)
      self.seen = self.seen + (#known.tags > 0 and 1 or 0) - (before and #before.tags > 0 and 1 or 0)
      self.counted[item], self.sorted = known, nil
      self.version = self.version + 1
      if work == 16 then
        if log.clock() > deadline then return false end
        work = 0
      end
    end
  end
  return true
end

--- How a tag is written: as in the first caption that was seen with it ("red_hair").
function Index:written(tag) return self.spelled[plain(tag)] or tag end

--- All tags with their counts, the most frequent first.
---@return { [1]: string, [2]: integer }[]
function Index:list()
  if not self.sorted then
    local list = {}
    for tag, number in pairs(self.counts) do list[#list + 1] = { tag, number } end
    table.sort(list, function(a, b)
      if a[2] ~= b[2] then return a[2] > b[2] end
      return a[1] < b[1]
    end)
    self.sorted = list
  end
  return self.sorted
end

--- How many captions have the tag.
function Index:count(tag) return self.counts[plain(tag)] or 0 end

--- Tags that begin so, then those with a word that begins so; the frequent first.
---@param prefix string
---@param limit? integer
---@param without_tags? table<string, boolean> plain tags that are there already
---@return { [1]: string, [2]: integer }[]
function Index:complete(prefix, limit, without_tags)
  local wanted, first, second = plain(prefix), {}, {}
  limit = limit or 10
  if wanted == "" then return {} end
  for _, row in ipairs(self:list()) do
    local tag = row[1]
    if tag ~= wanted and not (without_tags and without_tags[tag]) then
      if tag:sub(1, #wanted) == wanted then
        first[#first + 1] = row
        if #first == limit then return first end
      elseif #second < limit and (tag:find(" " .. wanted, 1, true) or tag:find("(" .. wanted, 1, true)) then second[#second + 1] = row end
    end
  end
  return table.move(second, 1, math.min(#second, limit - #first), #first + 1, first)
end

return M
