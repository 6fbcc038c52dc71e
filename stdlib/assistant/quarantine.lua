-- quarantine.lua - pictures set aside in another folder, each with its reason, and brought back.
--
--   local aside = quarantine.open("photos", "photos-outliers")
--   aside:move { { item = item, reason = "noise 40" } }             -- with their caption files; counts
--   aside:restore()                                                   -- everything back where it was
--
-- The journal, photos-outliers/journal.jsonl, has a line of JSON for each picture: time, reason, content, and the parts { from, to } that move,
-- by their paths below the two folders. It is on the disk before anything moves, and a file moves in one step: at every moment it is here or
-- there, and the journal knows both names. Nothing is ever moved over a file.
local fs = require "native.fs"
local json = require "native.json"
local log = require "native.log"
local script = require "native.script"

local M = {}
local Quarantine = {}
Quarantine.__index = Quarantine

M.JOURNAL = "journal.jsonl"

local function fail(message, hint, code) require("assistant.folder").fail(message, hint, code) end

local function there(path) return fs.stat(path) ~= nil end

-- Names may be any bytes, JSON is UTF-8: what is none is written as hexadecimal digits, and said so.
local function hex(text) return (text:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end
local function unhex(text) return (text:gsub("%x%x", function(digits) return string.char(tonumber(digits, 16)) end)) end

local function written_part(part)
  if utf8.len(part.from) and utf8.len(part.to) then return part end
  return { hex = true, from = hex(part.from), to = hex(part.to) }
end

local function is_part(part) return type(part) == "table" and type(part.from) == "string" and type(part.to) == "string" end

-- Paths that a journal names lie below its folders, whoever wrote it.
local function below(path) return path ~= "" and path:sub(1, 1) ~= "/" and not ("/" .. path .. "/"):find("/../", 1, true) end

local function read_journal(path)
  if not there(path) then return {} end
  local text, message, code = fs.read(path)
  if not text then fail(("the journal %s cannot be read"):format(path), message, code) end
  local entries, number = {}, 0
  for line in text:gmatch "[^\n]+" do
    number = number + 1
    local entry = json.decode(line)
    local right = type(entry) == "table" and type(entry.parts) == "table" and #entry.parts > 0
    for _, part in ipairs(right and entry.parts or {}) do
      if is_part(part) and part.hex then part.from, part.to, part.hex = unhex(part.from), unhex(part.to), nil end
    end
    for _, part in ipairs(right and entry.parts or {}) do right = right and is_part(part) and below(part.from) and below(part.to) end
    if not right then
      fail(("%s:%d is no line of a journal"):format(path, number), "nothing was moved; repair the line or take it out: its files lie beside it", "FORMAT")
    end
    entries[#entries + 1] = entry
  end
  return entries
end

--- The folder that sets aside what is taken out of `folder`, by default.
function M.beside(folder)
  local absolute = fs.absolute(folder) or folder
  if folder:find "^[^/]" and not folder:find "^%.%.?/*$" and not folder:find "/%.%.?/*$" then return folder .. "-outliers" end
  return absolute .. "-outliers"
end

-- The folder that holds a folder, so that the folder itself can be made and removed.
local function above(path) return path:match "^(.+)/[^/]*$" or (path:sub(1, 1) == "/" and "/" or ".") end

--- Whether something was ever set aside there.
---@param to string
---@return boolean
function M.made(to) return fs.grant(above(to), "read") == true and there(to) end

--- Both folders are granted for writing; the command ends where that cannot be.
---@param folder string
---@param to string
---@return table
function M.open(folder, to)
  for _, path in ipairs { folder, to } do
    local ok, message, code = fs.writable(path, true)
    if ok then ok, message, code = fs.grant(path == to and above(to) or path, "write") end
    if not ok then fail(message, "let yourself write there, or name another folder with to=", code == "ARG" and "usage" or code) end
  end
  local self = setmetatable({ folder = folder, to = to, journal = to .. "/" .. M.JOURNAL }, Quarantine)
  self.entries = read_journal(self.journal)
  return self
end

-- One process at a time moves: another one's lines of the journal must not be written over.
local function hold(self)
  local lock, message, code = fs.lock(self.folder)
  if not lock then fail(message, nil, code) end
  self.entries = read_journal(self.journal)
  return lock
end

function Quarantine:write_journal()
  local lines = {}
  for i, entry in ipairs(self.entries) do
    local parts = {}
    for k, part in ipairs(entry.parts) do parts[k] = written_part(part) end
    lines[i] = json.encode { time = entry.time, reason = entry.reason, sha256 = entry.sha256, parts = json.array(parts) } .. "\n"
  end
  local ok, message, code = fs.write(self.journal, table.concat(lines))
  if not ok then fail(("the journal %s was not written, and nothing was moved"):format(self.journal), message, code) end
end

local function split(path)
  local stem, ending = path:match "^(.+)(%.[^./]+)$"
  return stem or path, ending or ""
end

-- A picture's place here and its caption files' places, under a stem that is free.
local function parts_of(self, item, taken, shared)
  local from = item.path:sub(#self.folder + 2)
  local stem, ending = split(from)
  local endings = { ending }
  if not shared[item.path:sub(1, -#ending - 1)] then
    for _, caption in ipairs { ".txt", ".caption" } do if there(self.folder .. "/" .. stem .. caption) then endings[#endings + 1] = caption end end
  end
  local name, serial = stem, 1
  local function free()
    for _, part in ipairs(endings) do
      local path = name .. part
      if taken[path] or there(self.to .. "/" .. path) then return false end
    end
    return true
  end
  while not free() do
    serial = serial + 1
    name = ("%s-%d"):format(stem, serial)
  end
  local parts = {}
  for i, part in ipairs(endings) do
    parts[i] = { from = stem .. part, to = name .. part }
    taken[name .. part] = true
  end
  return parts
end

-- Where the parts of an entry are now.
local function places(self, entry)
  local here, aside = 0, 0
  for _, part in ipairs(entry.parts) do
    if there(self.to .. "/" .. part.to) then aside = aside + 1 elseif there(self.folder .. "/" .. part.from) then here = here + 1 end
  end
  return here, aside
end

local function poll(text)
  if script.interrupted() > 0 then fail("stopped", text, "INTERRUPT") end
end

--- Set pictures aside. What an earlier, interrupted run had begun is finished; what it had not begun is forgotten.
---@param list { item: calotype.item, reason: string }[]
---@param shared? table<string, boolean> paths without ending, of pictures that share a caption file: it stays
---@return { moved: integer, finished: integer, refused: { item: table, reason: string }[] }
function Quarantine:move(list, shared)
  local _ <close> = hold(self)
  local kept, taken, todo, counts = {}, {}, {}, { moved = 0, finished = 0, refused = {} }
  for _, entry in ipairs(self.entries) do
    local here, aside = places(self, entry)
    if aside > 0 then
      kept[#kept + 1] = entry
      for _, part in ipairs(entry.parts) do taken[part.to] = true end
      if here > 0 then todo[#todo + 1] = { entry = entry, finish = true } end
    end
  end
  for _, row in ipairs(list) do
    local entry = { time = log.date(), reason = require("assistant.folder").printable(row.reason), sha256 = row.item.sha256,
      parts = json.array(parts_of(self, row.item, taken, shared or {})) }
    kept[#kept + 1] = entry
    todo[#todo + 1] = { entry = entry, item = row.item }
  end
  if #todo == 0 and #kept == #self.entries then return counts end
  self.entries = kept
  self:write_journal()
  for _, row in ipairs(todo) do
    poll("every file is where it was or aside, and the journal knows: the same command goes on, restore=yes brings all back")
    local moved = 0
    for _, part in ipairs(row.entry.parts) do
      local from, to = self.folder .. "/" .. part.from, self.to .. "/" .. part.to
      if there(from) and not there(to) then
        local ok, message, code = fs.move(from, to)
        if ok then moved = moved + 1
        elseif code == "ARG" or code == "NOTFOUND" or code == "BUSY" then counts.refused[#counts.refused + 1] = { path = from, reason = message }
        else fail(message, ("%d moved so far; restore=yes brings them back"):format(counts.moved), code) end
      end
    end
    if moved > 0 and row.finish then counts.finished = counts.finished + 1 elseif moved > 0 then counts.moved = counts.moved + 1 end
  end
  return counts
end

local function remove_empty(folder)
  local list = fs.list(folder, true) or {}
  for i = #list, 1, -1 do if list[i].kind == "folder" then fs.remove_folder(list[i].path) end end
  fs.remove_folder(folder)
end

--- Bring everything back. What has another file in its place stays aside.
---@return { restored: integer, kept: string[], gone: integer }
function Quarantine:restore()
  local _ <close> = hold(self)
  local counts, kept = { restored = 0, kept = {}, gone = 0 }, {}
  for i = #self.entries, 1, -1 do
    local entry, blocked, moved = self.entries[i], false, 0
    poll("what is back is back; the same command brings the rest")
    for k = #entry.parts, 1, -1 do -- captions first: a picture does not come back without its words
      local part = entry.parts[k]
      local from, to = self.to .. "/" .. part.to, self.folder .. "/" .. part.from
      if there(from) then
        local ok, message, code = fs.move(from, to)
        if ok then moved = moved + 1
        elseif code == "BUSY" or code == "ARG" then
          blocked = true
          counts.kept[#counts.kept + 1] = message
        else fail(message, ("%d are back; the same command brings the rest"):format(counts.restored), code) end
      end
    end
    if moved > 0 then counts.restored = counts.restored + 1 elseif not blocked and not there(self.folder .. "/" .. entry.parts[1].from) then
      counts.gone = counts.gone + 1
    end
    if blocked then table.insert(kept, 1, entry) end
  end
  self.entries = kept
  if #kept > 0 then self:write_journal() else
    local ok, message, code = fs.remove(self.journal)
    if not ok and code ~= "NOTFOUND" then fail(("the journal %s was not removed, but everything is back"):format(self.journal), message, code) end
    remove_empty(self.to)
  end
  return counts
end

return M
