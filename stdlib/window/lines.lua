-- lines.lua - what was told: the last lines of the console, each with its kind and its time, and which kinds are shown.
--
--   local lines = lines_of.new(2000)                       -- at most so many; the oldest go
--   lines:add("warning", "door.jpg: no caption", { from = "captions" })
--   lines:show("request", false)                           -- this kind is left out
--   for i, line in ipairs(lines:shown()) do ... end        -- { kind, text, time = "14:03:22", from? }
--   lines_of.text(lines:shown())                           -- as it is copied
--   lines:new_requests(bytes)                              -- of the store's requests.log, a line of JSON for each: those that are whole
--
-- Kinds: info, good, warning, bad, request. One that stands below the last line again and again is one line with its count.
local json = require "native.json"
local size_text = require "size_text"
local trim = require "caption.trim"

local M = {}
local Lines = {}
Lines.__index = Lines

M.kinds = { "info", "good", "warning", "bad", "request" }
M.names = { info = "info", good = "success", warning = "warning", bad = "error", request = "requests" }

local LONGEST = 4000 -- bytes of a line

---@param most integer
function M.new(most) return setmetatable({ most = most, list = {}, counts = {}, hidden = {}, version = 0, rest = "" }, Lines) end

-- One line, valid UTF-8, of a length that can be shown.
local function one_line(text)
  text = tostring(text):gsub("\27%[[%d;]*%a", "")
  text = trim.one_line(text, "; "):gsub("%c", " ")
  while true do
    local _, bad = utf8.len(text)
    if not bad then break end
    text = text:sub(1, bad - 1) .. "\u{FFFD}" .. text:sub(bad + 1)
  end
  if #text > LONGEST then text = text:sub(1, utf8.offset(text, 0, LONGEST) - 1) .. "\u{2026}" end
  return text
end

--- more: from (whose line it is), time ("14:03:22"; now when it is left out), trouble (a request without a good answer).
---@param kind "info"|"good"|"warning"|"bad"|"request"
---@param text string
---@param more? { from?: string, time?: string, trouble?: boolean }
function Lines:add(kind, text, more)
  more = more or {}
  local line = { kind = kind, text = one_line(text), from = more.from, time = more.time or os.date "%H:%M:%S", trouble = more.trouble }
  local last = self.list[#self.list]
  self.version = self.version + 1
  if last and last.kind == kind and last.text == line.text and last.from == line.from then
    last.times, last.time = (last.times or 1) + 1, line.time
    return
  end
  self.list[#self.list + 1] = line
  self.counts[kind] = (self.counts[kind] or 0) + 1
  if #self.list > self.most then
    local keep = self.most - self.most // 8 -- many at a time: moving all for each line would be slow
    for i = 1, #self.list - keep do self.counts[self.list[i].kind] = self.counts[self.list[i].kind] - 1 end
    self.list = table.move(self.list, #self.list - keep + 1, #self.list, 1, {})
  end
end

function Lines:count(kind) return self.counts[kind] or 0 end

function Lines:show(kind, on)
  self.hidden[kind] = not on or nil
  self.version = self.version + 1
end

--- Those of the kinds that are shown, oldest first. The same table until something changes.
---@return table[]
function Lines:shown()
  if self.seen_at ~= self.version then
    self.seen_at, self.seen = self.version, {}
    for _, line in ipairs(self.list) do if not self.hidden[line.kind] then self.seen[#self.seen + 1] = line end end
  end
  return self.seen
end

--- A line as it is shown.
function M.words(line)
  return (line.from and line.from .. ": " or "") .. line.text .. (line.times and ("  (%d times)"):format(line.times) or "")
end

--- Lines as they are copied: one each, with time and kind.
---@param list table[]
---@return string
function M.text(list)
  local out = {}
  for i, line in ipairs(list) do out[i] = ("%s  %-8s  %s"):format(line.time, M.names[line.kind], M.words(line)) end
  return table.concat(out, "\n") .. (#out > 0 and "\n" or "")
end

-- --- requests.log -----------------------------------------------------------------------------------------------------------------------------

-- The log has the time of Greenwich, people that of their clock.
local function local_time(text)
  local hour, minute, second = tostring(text):match "T(%d%d):(%d%d):(%d%d)"
  if not hour then return nil end
  local now = os.time()
  local here, there = os.date("*t", now), os.date("!*t", now)
  local east = (here.hour - there.hour) * 60 + here.min - there.min
  local minutes = (tonumber(hour) * 60 + tonumber(minute) + east) % 1440
  return ("%02d:%02d:%s"):format(minutes // 60, minutes % 60, second)
end

local function number_of(value) return math.tointeger(value) or 0 end

-- Text of a row of the log; nil for one that is none.
local function request(row)
  if type(row) ~= "table" or type(row.service) ~= "string" or type(row.url) ~= "string" then return nil end
  local function number(key) return number_of(row[key]) end
  local status = number "status" > 0 and tostring(number "status") or "no answer"
  local parts = { ("%s %s"):format(row.method or "", row.url:match "[^/]+$" or row.url),
    (row.verdict or status) ~= status and ("%s %s"):format(status, row.verdict) or status, ("%d ms"):format(number "ms"),
    ("%s out, %s in"):format(size_text(number "sent"), size_text(number "received")) }
  if number "attempt" > 1 then parts[#parts + 1] = ("attempt %d"):format(number "attempt") end
  if type(row.again_in) == "number" then parts[#parts + 1] = ("again in %.1f s"):format(row.again_in) end
  return table.concat(parts, " \u{B7} ")
end

--- Bytes that were written at the end of the log, in any pieces.
---@return integer added
function Lines:new_requests(bytes)
  local count, all = 0, self.rest .. bytes
  local at = 1
  for text, stop in all:gmatch "([^\n]*)\n()" do
    at = stop
    local row = json.decode(text)
    local words = request(row)
    if words then
      self:add("request", words, { from = row.service, time = local_time(row.time), trouble = number_of(row.status) // 100 ~= 2 })
      count = count + 1
    end
  end
  self.rest = all:sub(at)
  if #self.rest > 1 << 16 then self.rest = "" end -- no log of ours has such lines
  return count
end

return M
