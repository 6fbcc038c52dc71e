-- undo.lua - steps back and forth again, across restarts: the store has them.
--
--   c:undo() c:redo()          --> { title =, count =, left = { { item =, path =, why = }, ... }, items = { ... } } | nil, "nothing to undo"
--   c:can()                    --> "a caption", nil: the titles of what undo and redo would do
--
-- A picture that is no longer as the step left it stays as it is and is named in `left`. Methods of what changes.new makes (changes.lua).
local beside = require "captions.beside"
local captionfiles = require "window.captionfiles"
local entries = require "window.entries"
local history = require "recipe.history"
local marks = require "window.marks"
local slices = require "window.slices"
local state = require "window.state"
local step = require "window.step"
local transaction = require "window.transaction"

local must = transaction.must

local M = {}

-- The action that undo (or redo) is about: the newest that is done; the oldest that is undone.
local function find(self, way)
  local limit = 8
  while true do
    local rows = must(self.store:actions(self.place, { limit = limit }))
    local found
    for _, row in ipairs(rows) do
      if not row.dropped then
        if way == "undo" and not row.undone then return row end
        if way == "redo" and not row.undone then return found end
        if way == "redo" then found = row end
      end
    end
    if #rows < limit then return found end
    limit = limit * 8
  end
end

-- The picture of an entry as it is now: { entry, item, now?, rows? }. nil, why it stays as it is, and the picture; `source`: the side that the
-- step left it on; `in_force`: by content the id of the row that was in force then, false for none.
local function look(self, entry, source, in_force)
  local item = entries.picture_of(self.project, entry)
  if not item then return nil, "its picture is gone" end
  if entry.mark then
    if marks.of(item, entry.mark) ~= entries.plain(entry[source]) then return nil, "it has another mark by now", item end
    return { entry = entry, item = item }
  end
  local why = step.closed(self, item)
  if why then return nil, why, item end
  local now = step.look(self, item)
  if not now then return nil, item.sidecar and item.sidecar.error, item end
  local rows = must(self.store:captions(item.sha256))
  in_force[item.sha256] = now.row and now.row.id or false
  if now.text ~= entries.text_on(entry[source], rows) then
    state.show(item, now)
    return nil, "it has another text by now", item
  end
  return step.looked({ entry = entry, item = item, now = now, rows = rows }, nil, item.caption)
end

-- The row of a side is in force again, written once for each content and text; the row that is in force then.
local function put_row(self, job, side, written)
  local now, sha, row = job.now, job.item.sha256, nil
  local old = side.row and entries.row_by_id(job.rows, side.row)
  if old then
    row = history.put_back(job.rows, old)
    local origin = now.row and (now.row.restores or now.row.id)
    if origin == row.restores then row = now.row end -- it is in force already
  elseif now.row and now.row.text ~= "" then row = entries.human(sha, "") end
  if row and not row.id then
    local key = sha .. (row.restores or "")
    row.id = written[key] or must(self.store:add_caption(row))
    written[key] = row.id
  end
  return row or now.row
end

-- The text of the caption file after the step, nil for none; second: what is to be written for that, if anything.
local function put_file(self, job, source, target)
  local item, there, row = job.item, job.now.file, job.row
  local text = entries.file_text(job.entry[target], job.rows)
  -- A person's words may stand in the file while a model's are in force: those are never marked as a model's.
  if text and row and row.author == "model" and text == row.text then must(beside.mark(self.store, item.sha256, row, text)) end
  local had = job.entry[source].file
  if text and not there and had then return nil end -- somebody took the file away: it stays away
  if not text and there and not had then return there.text end -- somebody made it: it stays
  if text == (there and there.text) then return text end
  return text, { item = item, path = there and there.path or (state.file_names(item.path)), text = text or false, was = there and there.text }
end

-- What was put back is on the screen, too.
local function show(self, job, target)
  local item, there, file, row = job.item, job.now and job.now.file, job.text, job.row
  if job.entry.mark then return marks.show(self, job.entry.sha, job.entry.mark, entries.plain(job.entry[target])) end
  state.show(item, { text = file and file:find "%S" and file or row and row.text or "", row = row, file = file and there
    and { path = there.path, text = file, size = there.size, mtime_ns = there.mtime_ns, ours = beside.ours(self.store, item.sha256, file) } or nil })
end

-- All of it in the store; what there is to be written into files. Those whose text became another since they were looked at leave the step.
local function put_back(self, action, way, todo, in_force, left)
  local source, target = way == "undo" and "to" or "from", way == "undo" and "from" or "to"
  local again = find(self, way)
  if not again or again.id ~= action.id then must(nil, ("another change came just now; look, and %s again"):format(way), "BUSY") end
  local texts, files, written, meant = {}, {}, {}, {}
  local jobs = table.move(todo, 1, #todo, 1, {})
  for i = #jobs, 1, -1 do todo[i] = nil end
  for _, job in ipairs(jobs) do table.insert(job.entry.mark and todo or texts, job) end
  step.still(self, texts, in_force, left)
  for _, job in ipairs(todo) do must(self.store:mark(job.entry.sha, job.entry.mark, entries.plain(job.entry[target]))) end
  for _, job in ipairs(texts) do
    job.row = put_row(self, job, job.entry[target], written)
    meant[job.item.sha256] = job.row and job.row.text or ""
    job.text, files[#files + 1] = put_file(self, job, source, target)
    todo[#todo + 1] = job
  end
  must(self.store:undo_action(action.id, way == "undo"))
  captionfiles.note(self, action.id, way, files, meant)
  return files
end

local function back(self, way)
  if self.typing then self:commit() end
  local waits, why_waits = captionfiles.ready(self)
  if waits then return nil, waits, why_waits end
  local action = find(self, way)
  if not action then return nil, "nothing to " .. way end
  local left, todo, in_force, files, paused = {}, {}, {}, nil, false
  local list = entries.of_action(action)
  for i, entry in ipairs(list) do
    if slices.pause(i, #list) then
      paused = true
      waits, why_waits = captionfiles.ready(self)
      if waits then return nil, waits, why_waits end
    end
    local job, why, item = look(self, entry, way == "undo" and "to" or "from", in_force)
    if job then todo[#todo + 1] = job else left[#left + 1] = { item = item, path = item and item.path or entry.path or "a picture", why = why } end
  end
  if paused then step.leave_moved(self, todo, left) end
  local ok, message, code = transaction.run(self, function() files = put_back(self, action, way, todo, in_force, left) end)
  if not ok then return nil, message, code end
  local items, texts = {}, {}
  for i, job in ipairs(todo) do
    show(self, job, way == "undo" and "from" or "to")
    items[i] = job.item
    if not job.entry.mark then texts[#texts + 1] = job.item end
  end
  captionfiles.write(self, files)
  step.show_all(self, texts)
  self.project:changed()
  return { title = action.title, count = #todo, left = left, items = items }
end

local function safely(self, way)
  local ok, result, message, code = pcall(back, self, way)
  if ok then return result, message, code end
  if type(result) == "table" and result.refused then return nil, result.message, result.code end
  error(result, 0)
end

--- The last step back. What is being typed is a step first.
---@return { title: string, count: integer, left: table[] }? done, string? message
function M.undo(self) return safely(self, "undo") end

function M.redo(self) return safely(self, "redo") end

--- What undo and redo would do; remembered until something is changed here.
---@return string? undo, string? redo
function M.can(self)
  if not self.known then
    local ok, undo, redo = pcall(function() return find(self, "undo"), find(self, "redo") end)
    if not ok and not (type(undo) == "table" and undo.refused) then error(undo, 0) end
    if not ok then return nil, nil end
    self.known = { undo and undo.title, redo and redo.title }
  end
  return self.known[1], self.known[2]
end

--- The steps, newest first: { id, title, time, undone, dropped, count }.
function M.list(self, limit)
  local list = {}
  for i, row in ipairs(self.store:actions(self.place, { limit = limit or 50 }) or {}) do
    list[i] = { id = row.id, title = row.title, time = row.time, undone = row.undone, dropped = row.dropped,
      count = math.tointeger(tonumber(row.detail:match '"count":(%d+)')) or 0 }
  end
  return list
end

return M
