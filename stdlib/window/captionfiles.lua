-- captionfiles.lua - the caption files of a step: noted with it in the store, written after it, made good after a kill.
--
--   captionfiles.note(changes, id, "do", jobs)            -- within the step's transaction
--   captionfiles.write(changes, jobs)                     -- after it: { { item, path, text }, ... }
--   while captionfiles.work(changes, 0.004) do ... end    -- those that wait, a slice in each frame
--   captionfiles.settle(changes)                          --> 3: those that a killed program could not write any more
local beside = require "captions.beside"
local entries = require "window.entries"
local fs = require "native.fs"
local json = require "native.json"
local log = require "native.log"
local state = require "window.state"

local must = require("window.transaction").must

local M = {}

local AT_ONCE = 32 -- caption files that are written before a change returns; more are written by `work`

--- Note, within the transaction, that these files are still to be written: a kill from here on is made good by `settle`.
---@param id integer of the action
---@param way "do"|"undo"|"redo"
function M.note(self, id, way, files)
  if #files > 0 then must(self.store:put("window", "files:" .. self.place, json.encode { id = id, way = way })) end
end

-- One file as it should be. `text` false: it goes.
local function put_file(self, job)
  local item = job.item
  local ok, message
  if job.text then ok, message = beside.write(job.path, job.text)
  else
    ok, message = fs.grant(job.path:match "^(.*)/[^/]*$" or ".", "write")
    if ok then ok, message = fs.remove(job.path) end
  end
  if ok then
    local info = job.text and fs.stat(job.path)
    if item then item.sidecar = info and state.sidecar { path = job.path, size = info.size, mtime_ns = info.mtime_ns } or nil end
  else
    self.project:tell("error", ("%s; the text is kept in the store"):format(message))
    if item then self.project:refresh { item } end
  end
  return ok
end

--- Write caption files that wait, at most so many seconds. True while some are left.
---@param seconds? number
---@return boolean
function M.work(self, seconds)
  local files = self.files
  if #files == 0 then return false end
  local deadline = log.clock() + (seconds or math.huge)
  files.at = files.at or 1
  while files.at <= #files do
    put_file(self, files[files.at])
    files.at = files.at + 1
    if log.clock() > deadline and files.at <= #files then return true end
  end
  self.files = {}
  self.store:put("window", "files:" .. self.place, "")
  return false
end

--- Write files after their step: a few at once, of many the first now and the others by `work`.
---@param jobs { item: table, path: string, text: string|false }[] text false: the file goes
function M.write(self, jobs)
  self.files = jobs
  if #jobs <= AT_ONCE then self:work() else self:work(0) end
end

--- Caption files that a change still had to write. A file that is neither as it was nor as it should be is another program's, and stays.
---@return integer written
function M.settle(self)
  local noted = self.store:get("window", "files:" .. self.place)
  local pending = noted and noted ~= "" and json.decode(noted)
  if type(pending) ~= "table" then return 0 end
  local limit, action = 64, nil
  repeat
    local rows = self.store:actions(self.place, { limit = limit }) or {}
    for _, row in ipairs(rows) do if row.id == pending.id then action = row end end
    limit = limit * 8
  until action or #rows < limit // 8
  local written = 0
  for _, entry in ipairs(action and entries.of_action(action) or {}) do
    local item = not entry.mark and entries.picture_of(self.project, entry)
    local source, target = entry.from, entry.to
    if pending.way == "undo" then source, target = target, source end
    if item and (source.file or target.file) then
      local rows = self.store:captions(item.sha256) or {}
      local was, wanted = entries.file_text(source, rows), entries.file_text(target, rows)
      local file = require("native.dataset").sidecar(item.path)
      if (file and file.text) == was and was ~= wanted then
        local path = file and file.path or (state.file_names(item.path))
        if put_file(self, { path = path, text = wanted or false }) then written = written + 1 end
      end
    end
  end
  self.store:put("window", "files:" .. self.place, "")
  return written
end

return M
