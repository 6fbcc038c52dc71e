-- captionfiles.lua - the caption files of a step: noted with it in the store, written after it, made good after a kill.
--
--   captionfiles.note(changes, id, "do", jobs, meant)     -- within the step's transaction
--   captionfiles.write(changes, jobs)                     -- after it
--   while captionfiles.work(changes, 0.004) do ... end    -- those that wait, a slice in each frame
--   captionfiles.settle(changes)                          --> true while another window writes its own; those of one that was killed are
--                                                             written by `work` from then on
--   local message, code = captionfiles.ready(changes)     -- before a step: all is written; else why none can begin now
--
-- A job: { item, path, text, was }: the caption file `path` is to have `text` (false: it goes) where it has `was` (nil: there was none) and the
-- step's text (`meant`, by content) is in force. A file that has something else by then is another program's, and stays.
--
-- What is still to be written stands in the store: a list of { id (of the action), way, seat (of the window that does it) }. A file that cannot be
-- written (a full disk, a folder without the right to) is told and stays there, without a seat and with its `paths`: it is written when the
-- project is opened again, unless something else was written into it by then.
local beside = require "captions.beside"
local dataset = require "native.dataset"
local entries = require "window.entries"
local fs = require "native.fs"
local json = require "native.json"
local log = require "native.log"
local set = require "recipe.set"
local state = require "window.state"
local tags = require "caption.tags"

local must = require("window.transaction").must

local M = {}

local AT_ONCE = 32 -- caption files that are written before a change returns; more are written by `work`
local PATIENCE = 1 -- seconds that the next step waits for them: the window stands still meanwhile

-- --- what is noted ------------------------------------------------------------------------------------------------

local function key(self) return "files:" .. self.place end

local function noted(self)
  local text = self.store:get("window", key(self))
  local list = text and text ~= "" and json.decode(text)
  if type(list) ~= "table" then return {} end
  return list.id and { list } or list -- one alone, as it was kept before windows had seats
end

local function keep(self, list) return self.store:put("window", key(self), #list > 0 and json.encode(json.array(list)) or "") end

--- Note, within the transaction, that these files are still to be written: a kill from here on is made good by `settle`.
---@param id integer of the action
---@param way "do"|"undo"|"redo"
---@param jobs table[]
---@param meant table<string, string> the text in force from now on, by content
function M.note(self, id, way, jobs, meant)
  if #jobs == 0 then return end
  local list = noted(self)
  jobs.meant = meant
  jobs.notes = { { id = id, way = way, seat = self.project.seat } }
  list[#list + 1] = jobs.notes[1]
  must(keep(self, list))
end

local function same(note, other)
  return other.id == note.id and other.way == note.way and (other.seat or 0) == (note.seat or 0) and (other.paths == nil) == (note.paths == nil)
end

-- They are written, but for those jobs that failed: these are owed by the step that they are of. What was owed of the same files before is not.
local function strike(self, notes, jobs)
  jobs = jobs or {}
  local met, owed = {}, {}
  for _, job in ipairs(jobs) do
    met[job.path] = true
    if job.failed and state.word(job.path) then
      local note, last = job.note or notes[1], owed[#owed]
      if not last or last.id ~= note.id or last.way ~= note.way then
        last = { id = note.id, way = note.way, paths = json.array {} }
        owed[#owed + 1] = last
      end
      table.insert(last.paths, job.path)
    end
  end
  self.store:batch(function()
    local list = noted(self)
    for _, note in ipairs(notes) do
      for i = #list, 1, -1 do if same(note, list[i]) then table.remove(list, i) end end
    end
    for i = #list, 1, -1 do
      local paths = list[i].paths
      for k = #(paths or {}), 1, -1 do if met[paths[k]] then table.remove(paths, k) end end
      if paths and #paths == 0 then table.remove(list, i) end
    end
    keep(self, table.move(owed, 1, #owed, #list + 1, list))
  end)
end

-- Is somebody at work on it? A seat with one's own number was another's before.
local function alive(self, note) return note.seat ~= self.project.seat and self.store:seated(note.seat or 0) end

-- --- the files ----------------------------------------------------------------------------------------------------

-- Whether the file is still to be written: true, false when it is as it should be, nil when it is another's by now.
local function due(self, job, meant)
  local file, _, code = dataset.sidecar(job.item.path)
  local there = file and file.text
  if code then return nil end
  if there == (job.text or nil) then return false end
  if there ~= job.was then return nil end
  local row = self.store:caption_in_force(job.item.sha256)
  local now = row and row.text or ""
  if now == meant then return true end
  -- a run that came between took up what the file had before
  return row.author == "human" and row.provider == "sidecar" and there and (now == there or now == tags.meant(there)) or nil
end

-- One file as it should be.
local function put_file(self, job, meant)
  local item, needed = job.item, due(self, job, meant[job.item.sha256])
  if needed == nil then
    self.project:refresh { item }
    return false
  end
  local ok, message = true, nil
  if needed and job.text then ok, message = beside.write(job.path, job.text)
  elseif needed then
    ok, message = fs.grant(job.path:match "^(.*)/[^/]*$" or ".", "write")
    if ok then ok, message = fs.remove(job.path) end
  end
  if ok then
    local info = job.text and fs.stat(job.path)
    item.sidecar = info and state.sidecar { path = job.path, size = info.size, mtime_ns = info.mtime_ns } or nil
  else
    job.failed = true
    self.project:tell("error", ("%s; the text is kept in the store, and goes into the file when the project is opened again"):format(message))
    self.project:refresh({ item }, true)
  end
  return ok and needed
end

--- Write caption files that wait, at most so many seconds. True while some are left.
---@param seconds? number
---@return boolean
function M.work(self, seconds)
  local files = self.files
  if #files == 0 then return false end
  local deadline = log.clock() + (seconds or math.huge)
  files.at, files.written = files.at or 1, files.written or 0
  while files.at <= #files do
    if put_file(self, files[files.at], files.meant) then files.written = files.written + 1 end
    files.at = files.at + 1
    if log.clock() > deadline and files.at <= #files then return true end
  end
  self.files = {}
  strike(self, files.notes or {}, files)
  if files.late then M.look_anew(self, files.written) end
  return false
end

--- Write files after their step: a few at once, of many the first now and the others by `work`.
---@param jobs table[]
function M.write(self, jobs)
  self.files = jobs
  if #jobs <= AT_ONCE then self:work() else self:work(0) end
end

-- --- those of others ----------------------------------------------------------------------------------------------

local function action_of(self, id)
  local limit = 64
  repeat
    local rows = self.store:actions(self.place, { limit = limit }) or {}
    for _, row in ipairs(rows) do if row.id == id then return row end end
    limit = limit * 8
  until #rows < limit // 8
end

-- What a step that was broken off still has to write.
local function jobs_of(self, note, jobs)
  local action, owed = action_of(self, note.id), nil
  for _, path in ipairs(note.paths or {}) do
    owed = owed or {}
    owed[path] = true
  end
  for _, entry in ipairs(action and entries.of_action(action) or {}) do
    local item = not entry.mark and entries.picture_of(self.project, entry)
    local source, target = entry.from, entry.to
    if note.way == "undo" then source, target = target, source end
    if item then
      local rows = self.store:captions(item.sha256) or {}
      local row = target.row and entries.row_by_id(rows, target.row)
      local was, wanted = entries.file_text(source, rows), entries.file_text(target, rows)
      local file = state.stat(item.path)
      local path = file and file.path or (state.file_names(item.path))
      if not owed or owed[path] then
        if was ~= wanted then jobs[#jobs + 1] = { item = item, path = path, text = wanted or false, was = was, note = note } end
        jobs.meant[item.sha256] = row and row.text or ""
      end
    end
  end
end

--- All is written, by whoever it was: what people put beside the pictures is looked at again.
---@param written integer
function M.look_anew(self, written)
  self.project.unsettled = nil
  self.project:refresh(self.project.items, true)
  if written > 0 then
    self.project:tell("info", ("%s that the program could not write before it ended %s now"):format(set.count(written, "caption file"),
      written == 1 and "is" or "are"))
  end
end

--- Caption files that another window still has to write: those of one that was killed are taken over. True while a living one is at work.
--- `opening`: those too that could not be written.
---@return boolean
function M.settle(self, opening)
  local list = {}
  for _, note in ipairs(noted(self)) do if opening or not note.paths then list[#list + 1] = note end end
  if #list == 0 or #self.files > 0 then
    if #self.files == 0 and self.project.unsettled then M.look_anew(self, 0) end
    return false
  end
  local notes = {}
  for _, note in ipairs(list) do
    if alive(self, note) then
      self.project.unsettled = true
      return true
    end
    notes[#notes + 1] = note
  end
  self.project.unsettled = true
  local jobs = { notes = notes, meant = {}, late = true }
  for _, note in ipairs(notes) do jobs_of(self, note, jobs) end
  if #jobs == 0 then
    strike(self, notes)
    M.look_anew(self, 0)
    return false
  end
  M.write(self, jobs)
  return false
end

--- Before a step: what is still to be written is, also a killed window's. Else why none can begin now.
---@return string? message, string? code
function M.ready(self)
  local late = self:work(PATIENCE)
  if not late and M.settle(self) then
    return "another window still writes the caption files of its last step; try again in a moment", "BUSY"
  end
  if late or self:work(PATIENCE) then
    return ("the caption files of the step before are still being written, %d are left; try again in a moment"):format(
      #self.files - self.files.at + 1), "BUSY"
  end
end

return M
