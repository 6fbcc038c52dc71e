-- step.lua - captions become others as one step: looked at again, into the store with their way back, into their files, onto the screen.
--
--   local count, left, code = step.apply(changes, { { item, "a red door" }, ... }, "two captions")     --> 2, { { item, path, why }, ... }
--   return step.told(changes, count, left, code)          -- a line about those that were left
--
-- The other files of changes (undo.lua, typing.lua, adopted.lua, marks.lua) begin with `closed` and `look`, too, and end with `show_all`.
local beside = require "captions.beside"
local caption_tags = require "caption.tags"
local captionfiles = require "window.captionfiles"
local entries = require "window.entries"
local fs = require "native.fs"
local history = require "recipe.history"
local json = require "native.json"
local slices = require "window.slices"
local state = require "window.state"
local transaction = require "window.transaction"

local must = transaction.must

local M = {}

--- How a title names pictures.
function M.count_of(items) return #items == 1 and items[1].name or ("%d pictures"):format(#items) end

--- Why a picture takes no caption now; nil when it does. One that is away gets it when it is back: its caption file is where it is.
function M.closed(self, item)
  if not fs.stat(item.path) then return ("%s is gone: put it back, or press F5"):format(item.path), "NOTFOUND" end
  if not item.sha256 then
    local ok, message, code = self.project:identify(item)
    if not ok then return message, code end
  end
  if item.sidecar and item.sidecar.error then return item.sidecar.error .. "; save it as UTF-8, or remove it", "FORMAT" end
  if item.shares then
    return ("%s and %s share one caption file; rename one of the pictures, so that each has its own"):format(item.name, item.shares), "ARG"
  end
end

--- Look again; what the file has and the store has not is taken up first.
function M.look(self, item)
  local now, message, code, stat = state.read(self.store, item)
  if not now then
    if stat then state.show_error(item, message, stat) end -- else it was the store
    return nil, message, code
  end
  local noted
  noted, message, code = state.take_up(self.store, item, now, self.project:copies(item))
  if noted == nil then return nil, message, code end
  return now
end

--- The pictures of one content whose text stands in the store alone have one text.
function M.show_all(self, items)
  local done = {}
  for _, item in ipairs(items) do
    if not done[item.sha256] then
      done[item.sha256] = true
      for _, other in ipairs(self.project:of_content(item.sha256)) do
        if other.row ~= item.row and not other.sidecar then self.project:refresh({ other }, true) end
      end
    end
  end
  self.project:changed()
end

--- What is kept of a look: `moved` compares with it. `draft`, `shown`: what was typed and what was its caption when the step began.
function M.looked(entry, draft, shown)
  entry.sha, entry.draft, entry.shown = entry.item.sha256, draft, shown
  return entry
end

--- After a pause: why a picture leaves the step, as it is not what was looked at; nil where it is. Keys that were typed meanwhile are a step to come.
function M.moved(self, entry)
  local item, typing = entry.item, self.typing
  if not entry.sha then return nil end -- a mark: each change of one is an action, and the transaction finds that
  if self.project.by_path[item.path] ~= item or item.sha256 ~= entry.sha then return "it became another picture by now" end
  if item.draft ~= entry.draft or typing and typing ~= item and typing.draft and typing.sha256 == item.sha256 then return "it is being written" end
  if item.caption ~= entry.shown and item.caption ~= entry.now.text then return "it has another text by now" end
end

--- Those that moved leave the list.
function M.leave_moved(self, list, left)
  for i = #list, 1, -1 do
    local item, why = list[i].item, M.moved(self, list[i])
    if why then
      table.remove(list, i)
      left[#left + 1] = { item = item, path = item.path, why = why, code = "BUSY" }
    end
  end
end

--- Within the transaction: those whose text in force became another since they were looked at (`rows`: its id by content) leave the step.
---@param steps table[]
---@param rows table<string, integer|false>
---@param left table[]
function M.still(self, steps, rows, left)
  local shas = {}
  for i, entry in ipairs(steps) do shas[i] = entry.item.sha256 end
  local now = must(self.store:texts(shas))
  for i = #steps, 1, -1 do
    local entry = steps[i]
    local item = entry.item
    if (now[item.sha256] and now[item.sha256].id or false) ~= rows[item.sha256] then
      entry.other = true
      table.remove(steps, i)
      left[#left + 1] = { item = item, path = item.path, why = "it has another text by now", code = "BUSY" }
    end
  end
end

-- A wish, looked at: { item, now, text, row?, file? }; { item, now, idle = true } where only what is being typed goes; nothing where it is there
-- already. Second and third: why it cannot be. `in_force`: by content the id of the row that was in force then, false for none.
local function looked(self, wish, known, in_force, draft, shown)
  local item = wish[1]
  local text, message, code = entries.text_of(wish[2])
  if not text then return nil, message, code end
  message, code = M.closed(self, item)
  if message then return nil, message, code end
  local now
  now, message, code = M.look(self, item)
  if not now then return nil, message or "it cannot be read", code end
  in_force[item.sha256] = now.row and now.row.id or false
  if now.text ~= shown and not known then
    if state.show(item, now) then self.project:changed() end
    return nil, "it has another text by now", "BUSY"
  end
  if text ~= now.text or wish.row then
    local file = now.file and now.file.path or self.project.settings.beside and (state.file_names(item.path)) or nil
    return M.looked({ item = item, now = now, text = text, row = wish.row, file = file }, draft, shown)
  end
  return item.draft and M.looked({ item = item, now = now, idle = true }, draft, shown) or nil
end

-- Its row in the store, written once for each content and text; what the step keeps of it.
local function kept(self, entry, written)
  local item = entry.item
  local row
  if entry.row then row = history.put_back(must(self.store:captions(item.sha256)), entry.row)
  else row = entries.human(item.sha256, entry.file and caption_tags.meant(entry.text) or entry.text) end
  local key = row.sha .. (row.restores or "") .. row.text
  row.id = written[key] or must(self.store:add_caption(row))
  written[key], entry.new = row.id, row
  if entry.file and row.author == "model" then must(beside.mark(self.store, item.sha256, row, entry.text)) end
  return { path = state.word(item.path), sha = item.sha256, from = entries.side(entry.now),
    to = { row = row.id, file = entry.file and (row.text == entry.text or entry.text) or nil } }
end

-- What is kept is on the screen, too, and nothing of it is being typed.
local function show(self, entry)
  if entry.other then return end
  local item, row = entry.item, entry.new
  item.draft, item.draft_sha, self.unkept[item] = nil, nil, nil
  if self.noted == item then self.noted = nil end
  if self.typing == item then self.typing = nil end
  if entry.idle then return end
  item.caption, item.row = entry.text, row.id
  item.by = entry.text:find "%S" and { author = row.author, provider = row.provider, model = row.model ~= "" and row.model or nil } or nil
end

-- All wishes, looked at in slices where they are many: what is to be done, and those that are left.
local function look_at_all(self, wishes, known, in_force)
  local found, left, drafts, shown, paused = {}, {}, {}, {}, false
  for i, wish in ipairs(wishes) do drafts[i], shown[i] = wish[1].draft or false, wish[1].caption end
  for i, wish in ipairs(wishes) do
    if slices.pause(i, #wishes) then
      paused = true
      local waits, code = captionfiles.ready(self)
      if waits then return nil, waits, code end
    end
    local entry, why, code = looked(self, wish, known, in_force, drafts[i] or nil, shown[i])
    if why then left[#left + 1] = { item = wish[1], path = wish[1].path, why = why, code = code } else found[#found + 1] = entry end
  end
  if paused then M.leave_moved(self, found, left) end
  return found, left
end

--- Many captions as one step: in the store, in the caption files, on the screen. The count and those that were left as they are.
--- wishes: { { item, text, row? }, ... }; `row` is one of the picture's own that comes back, else the text is a person's.
--- known: what is there may be another text than the one that was shown (the person has seen it).
function M.apply(self, wishes, title, known)
  local waits, why_waits = captionfiles.ready(self)
  if waits then return nil, waits, why_waits end
  local files, in_force = {}, {}
  local found, left, refused = look_at_all(self, wishes, known, in_force)
  if not found then return nil, left, refused end
  local steps, alone = {}, {} -- those whose text stands in the store alone come last: of copies it is their text that is in force then
  for _, entry in ipairs(found) do
    if not entry.idle then table.insert(entry.file and steps or alone, entry) end
  end
  table.move(alone, 1, #alone, #steps + 1, steps)
  if #found == 0 then return 0, left end
  local ok, message, code = transaction.run(self, function()
    local written, rows, meant = {}, {}, {}
    M.still(self, steps, in_force, left)
    if #steps > 0 then must(self.store:drop_undone(self.place)) end
    for _, entry in ipairs(found) do
      if not entry.other then
        must(self.store:draft(entry.item.sha256, nil, self.project.seat))
        local before = entry.item.draft_sha -- kept while it was another picture
        if before and before ~= entry.item.sha256 then must(self.store:draft(before, nil, self.project.seat)) end
      end
    end
    for i, entry in ipairs(steps) do
      rows[i] = kept(self, entry, written)
      meant[entry.item.sha256] = entry.new.text
      if entry.file then
        files[#files + 1] = { item = entry.item, path = entry.file, text = entry.text, was = entry.now.file and entry.now.file.text }
      end
    end
    if #steps == 0 then return end
    local id = must(self.store:add_action { place = self.place, title = title,
      detail = ('{"count":%d,"entries":%s}'):format(#rows, json.encode(json.array(rows))) })
    captionfiles.note(self, id, "do", files, meant)
  end)
  if not ok then return nil, message, code end
  local shown = {}
  for _, entry in ipairs(found) do show(self, entry) end
  for i, entry in ipairs(steps) do shown[i] = entry.item end
  captionfiles.write(self, files)
  M.show_all(self, shown)
  return #steps, left
end

--- Pictures that a step of many left out are named: nothing is left silently.
function M.told(self, count, left, code)
  if not count then return nil, left, code end
  if left[1] then
    self.project:tell("warning", ("%s%s left as %s: %s"):format(left[1].item.name, #left > 1 and (" and %d more were"):format(#left - 1) or " was",
      #left > 1 and "they are" or "it is", left[1].why))
  end
  return count, left
end

return M
