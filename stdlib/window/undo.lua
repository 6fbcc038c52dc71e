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

local function back(self, way)
  if self.typing then self:commit() end
  local waits, why_waits = captionfiles.ready(self)
  if waits then return nil, waits, why_waits end
  local action = find(self, way)
  if not action then return nil, "nothing to " .. way end
  local source, target = way == "undo" and "to" or "from", way == "undo" and "from" or "to"
  local left, todo, jobs, count, known_rows = {}, {}, {}, 0, {}
  local function leave(entry, item, why) left[#left + 1] = { item = item, path = item and item.path or entry.path or "a picture", why = why } end
  for _, entry in ipairs(entries.of_action(action)) do
    local item = entries.picture_of(self.project, entry)
    if not item then leave(entry, nil, "its picture is gone")
    elseif entry.mark then
      if marks.of(item, entry.mark) == entries.plain(entry[source]) then todo[#todo + 1] = { entry = entry, item = item }
      else leave(entry, item, "it has another mark by now") end
    else
      local why = step.closed(self, item)
      local now = not why and step.look(self, item) or nil
      local rows = now and must(self.store:captions(item.sha256))
      if now then known_rows[item.sha256] = now.row and now.row.id or false end
      if not now then leave(entry, item, why or item.sidecar and item.sidecar.error)
      elseif now.text ~= entries.text_on(entry[source], rows) then
        state.show(item, now)
        leave(entry, item, "it has another text by now")
      else todo[#todo + 1] = { entry = entry, item = item, now = now, rows = rows } end
    end
  end
  local ok, message, code = transaction.run(self, function()
    local restored, texts, meant = {}, {}, {}
    local again = find(self, way)
    if not again or again.id ~= action.id then
      must(nil, ("another window was at work just now; look, and %s again"):format(way), "BUSY")
    end
    for i = #todo, 1, -1 do if not todo[i].entry.mark then table.insert(texts, 1, table.remove(todo, i)) end end
    step.still(self, texts, known_rows, left)
    table.move(texts, 1, #texts, #todo + 1, todo)
    for _, job in ipairs(todo) do
      local entry, item, now, rows = job.entry, job.item, job.now, job.rows
      if entry.mark then must(self.store:mark(entry.sha, entry.mark, entries.plain(entry[target])))
      else
        local wanted, row = entry[target], nil
        local old = wanted.row and entries.row_by_id(rows, wanted.row)
        if old then
          row = history.put_back(rows, old)
          local origin = now.row and (now.row.restores or now.row.id)
          if origin == row.restores then row = now.row end -- it is in force already
        elseif now.row and now.row.text ~= "" then row = entries.human(item.sha256, "") end
        if row and not row.id then
          local key = item.sha256 .. (row.restores or "")
          row.id = restored[key] or must(self.store:add_caption(row))
          restored[key] = row.id
        end
        job.row, job.text = row or now.row, entries.file_text(wanted, rows)
        meant[item.sha256] = job.row and job.row.text or ""
        -- A person's words may stand in the file while a model's are in force: those are never marked as a model's.
        if job.text and job.row and job.row.author == "model" and job.text == job.row.text then
          must(beside.mark(self.store, item.sha256, job.row, job.text))
        end
        if job.text and not now.file and entry[source].file then job.text = nil -- somebody took the file away: it stays away
        elseif not job.text and now.file and not entry[source].file then job.text = now.file.text
        elseif job.text ~= (now.file and now.file.text) then
          jobs[#jobs + 1] = { item = item, path = now.file and now.file.path or (state.file_names(item.path)), text = job.text or false,
            was = now.file and now.file.text }
        end
      end
      count = count + 1
    end
    must(self.store:undo_action(action.id, way == "undo"))
    captionfiles.note(self, action.id, way, jobs, meant)
  end)
  if not ok then return nil, message, code end
  local shown = {}
  for _, job in ipairs(todo) do
    if job.entry.mark then marks.show(self, job.entry.sha, job.entry.mark, entries.plain(job.entry[target]))
    else
      local file = job.text
      local text = file and file:find "%S" and file or job.row and job.row.text or ""
      local there = job.now.file
      state.show(job.item, { text = text, row = job.row, file = file and there and { path = there.path, text = file, size = there.size,
        mtime_ns = there.mtime_ns, ours = beside.ours(self.store, job.item.sha256, file) } or nil })
      shown[#shown + 1] = job.item
    end
  end
  captionfiles.write(self, jobs)
  step.show_all(self, shown)
  self.project:changed()
  local items = {}
  for i, job in ipairs(todo) do items[i] = job.item end
  return { title = action.title, count = count, left = left, items = items }
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
