-- changes.lua - every change that is made in the window: at once in the store with its way back, then in the caption file where there is one.
--
--   local c = p.changes
--   c:write(item, "a red door")                            --> true; nil, message, code when it could not be
--   c:write_many({ { item, "a" }, { other, "b" } }, "two captions")      --> 2, left: one step back for all of them
--   c:append(items, "old house") c:prepend(items, "zkr") c:remove(items, "blurry") c:copy(item, others) c:clear(items)
--   c:replace(plan)                                        -- of window/replace.lua or window/tags.lua
--   c:star(items, 4) c:reject(items, "blurred") c:restore(items)
--   c:undo() c:redo()                                      --> { title =, count =, left = { { item =, path =, why = }, ... } } | nil, "nothing to undo"
--   c:can()                                                --> what undo and redo would do, as titles | nil
--   c:history(item)                                        --> { { number, text, who, when, in_force, row }, ... }, as `calotype captions log`
--   c:bring_back(item, 2)                                  -- the second of them again, as a step
--
--   c:type(item, text)                                     -- with every key; kept at once, so that a kill loses nothing
--   c:tick(now)                                            -- called now and then: after two seconds of rest what was typed is a step
--   c:commit()                                             -- Ctrl+Enter, leaving the picture, closing;  c:discard(item) forgets what was typed
--   if c.conflict then c:settle "mine" end                 -- { item, mine, theirs }: the caption became another while it was typed in
--
-- A step is one row of the store's actions; undo puts the rows that were in force before in force again, as `calotype captions undo` does, and
-- the caption files get the text that they had. A picture whose text is another by now (a run, another program) is left as it is and named
-- in `left`. Files are written after the store: a kill in between is made good when the project is opened (`settle_files`).
--
-- uses of an item: path, sha256, caption, sidecar, draft, star, reject.
local beside = require "captions.beside"
local caption_tags = require "caption.tags"
local fs = require "native.fs"
local history = require "recipe.history"
local json = require "native.json"
local log = require "native.log"
local replace = require "window.replace"
local state = require "window.state"
local telling = require "captions.telling"

local M = {}
local Changes = {}
Changes.__index = Changes

local REST = 2 -- seconds without a key
local AT_ONCE = 32 -- caption files that are written before a change returns; more are written by `work`
local LONGEST = 1 << 20 -- bytes, as a caption file may have

---@param project table
function M.new(project)
  return setmetatable({ project = project, store = project.store, place = project.place, files = {} }, Changes)
end

-- What the store refuses ends the change; all of it is then as before.
local function must(value, message, code)
  if value == nil and message then error({ refused = true, message = message, code = code }, 0) end
  return value
end

-- fn() within one transaction: all or nothing.
local function transact(self, fn)
  self.known = nil
  local ok, problem, why, code = pcall(self.store.batch, self.store, fn, { whole = true })
  if ok and problem then return true end
  if not ok and type(problem) == "table" and problem.refused then return nil, problem.message, problem.code end
  if not ok and type(problem) == "table" and problem.message and problem.code then return nil, problem.message, problem.code end
  if not ok then error(problem, 0) end
  return nil, why, code
end

local function count_of(items) return #items == 1 and items[1].name or ("%d pictures"):format(#items) end

-- As a caption is kept: no line ends at its end, no bytes that a text has not.
local function text_of(text)
  if not utf8.len(text) then return nil, "this text is not UTF-8", "FORMAT" end
  if text:find "\0" then return nil, "this text has a NUL byte", "FORMAT" end
  text = text:gsub("\r\n?", "\n"):gsub("^\u{FEFF}", ""):gsub("\n+$", "")
  if #text > LONGEST - 1 then return nil, ("this text has %d bytes; a caption has at most %d"):format(#text, LONGEST - 1), "LIMIT" end
  return text
end

-- --- What a change is made of --------------------------------------------------------------------------------------------------------
--
-- An entry: { path, sha, from = { row?, file? }, to = { row?, file? } }; row: id of a caption (absent: none), file: absent (none), true (the
-- row's text) or its own text. Of marks: { path, sha, mark, from?, to? }.

-- What is there, as an entry has it.
local function side(now)
  local file = now.file and now.file.text
  if file and now.row and now.row.text == file then file = true end
  return { row = now.row and now.row.id or nil, file = file }
end

local function row_by_id(rows, id)
  for _, row in ipairs(rows) do if row.id == id then return row end end
end

local function text_on(side_, rows)
  local row = side_.row and row_by_id(rows, side_.row)
  local text = row and row.text or ""
  if type(side_.file) == "string" and side_.file:find "%S" then return side_.file end
  return text
end

local function file_text(side_, rows)
  if type(side_.file) == "string" then return side_.file end
  local row = side_.file and side_.row and row_by_id(rows, side_.row)
  return side_.file and (row and row.text or "") or nil
end

-- Why a picture takes no caption now; nil when it does.
local function closed(self, item)
  if not item.sha256 then
    local ok, message, code = self.project:identify(item)
    if not ok then return message, code end
  end
  if item.sidecar and item.sidecar.error then return item.sidecar.error .. "; save it as UTF-8, or remove it", "FORMAT" end
  if item.shares then
    return ("%s and %s share one caption file; rename one of the pictures, so that each has its own"):format(item.name, item.shares), "ARG"
  end
end

-- Look again; what the file has and the store has not is taken up first.
local function look(self, item)
  local now, message, code, stat = state.read(self.store, item)
  if not now then
    state.show_error(item, message, stat)
    return nil, message, code
  end
  state.take_up(self.store, item, now, self.project:copies(item))
  return now
end

local function note_marks(self, id, way, files)
  if #files > 0 then must(self.store:put("window", "files:" .. self.place, json.encode { id = id, way = way })) end
end

-- --- Caption files -----------------------------------------------------------------------------------------------------------------------

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
function Changes:work(seconds)
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

local function write_files(self, jobs)
  self.files = jobs
  if #jobs <= AT_ONCE then self:work() else self:work(0) end
end

-- --- Doing --------------------------------------------------------------------------------------------------------------------------------

-- The pictures of one content whose text stands in the store alone have one text.
local function show_all(self, items)
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

local function human(sha, text)
  return { sha = sha, key = "human", text = text, author = "human", provider = "window", model = "", detail = "{}" }
end

-- wishes: { { item, text, row? }, ... }; `row` is one of the picture's own that comes back, else the text is a person's.
-- known: what is there may be another text than the one that was shown (the person has seen it).
local function apply(self, wishes, title, known)
  self:work()
  local entries, left, jobs, shown = {}, {}, {}, {}
  for _, wish in ipairs(wishes) do
    local item = wish[1]
    local text, message, code = text_of(wish[2])
    if text then
      message, code = closed(self, item)
      text = not message and text or nil
    end
    local now
    if text then
      now, message, code = look(self, item)
    end
    if now and now.text ~= item.caption and not known then
      if state.show(item, now) then self.project:changed() end
      now, message, code = nil, "it has another text by now", "BUSY"
    end
    if not now then left[#left + 1] = { item = item, path = item.path, why = message, code = code }
    elseif text ~= now.text or wish.row then
      local file = now.file and now.file.path or self.project.settings.beside and (state.file_names(item.path)) or nil
      entries[#entries + 1] = { item = item, now = now, text = text, row = wish.row, file = file }
    elseif item.draft then entries[#entries + 1] = { item = item, now = now, idle = true } end
  end
  -- Those whose text stands in the store alone come last: of copies it is their text that is in force then.
  local steps, last = {}, {}
  for _, entry in ipairs(entries) do
    if not entry.idle then table.insert(entry.file and steps or last, entry) end
  end
  table.move(last, 1, #last, #steps + 1, steps)
  if #entries == 0 then return 0, left end
  local ok, message, code = transact(self, function()
    local written, rows = {}, {}
    if #steps > 0 then must(self.store:drop_undone(self.place)) end
    for _, entry in ipairs(entries) do must(self.store:draft(entry.item.sha256, nil)) end
    for _, entry in ipairs(steps) do
      local item = entry.item
      local row
      if entry.row then row = history.put_back(self.store:captions(item.sha256), entry.row)
      else row = human(item.sha256, entry.file and caption_tags.meant(entry.text) or entry.text) end
      local key = row.sha .. (row.restores or "") .. row.text
      row.id = written[key] or must(self.store:add_caption(row))
      written[key], entry.new = row.id, row
      if entry.file and row.author == "model" then must(beside.mark(self.store, item.sha256, row, entry.text)) end
      rows[#rows + 1] = { path = item.path, sha = item.sha256, from = side(entry.now),
        to = { row = row.id, file = entry.file and (row.text == entry.text or entry.text) or nil } }
      if entry.file then jobs[#jobs + 1] = { item = item, path = entry.file, text = entry.text } end
    end
    if #steps == 0 then return end
    local id = must(self.store:add_action { place = self.place, title = title,
      detail = ('{"count":%d,"entries":%s}'):format(#rows, json.encode(json.array(rows))) })
    note_marks(self, id, "do", jobs)
  end)
  if not ok then return nil, message, code end
  for _, entry in ipairs(entries) do
    entry.item.draft = nil
    if self.typing == entry.item then self.typing = nil end
  end
  for _, entry in ipairs(steps) do
    local item, row = entry.item, entry.new
    item.caption, item.row = entry.text, row.id
    item.by = entry.text:find "%S" and { author = row.author, provider = row.provider, model = row.model ~= "" and row.model or nil } or nil
    shown[#shown + 1] = item
  end
  write_files(self, jobs)
  show_all(self, shown)
  return #steps, left
end

--- One caption. False when it was that already.
---@param item table
---@param text string
---@param title? string
---@return boolean? changed, string? message, string? code
function Changes:write(item, text, title)
  local count, left, code = apply(self, { { item, text } }, title or ("caption of %s"):format(item.name))
  if not count then return nil, left, code end
  if left[1] then return nil, left[1].why, left[1].code end
  return count > 0
end

-- Pictures that a step of many left out are named: nothing is left silently.
local function told(self, count, left, code)
  if not count then return nil, left, code end
  if left[1] then
    self.project:tell("warning", ("%s%s left as %s: %s"):format(left[1].item.name, #left > 1 and (" and %d more were"):format(#left - 1) or " was",
      #left > 1 and "they are" or "it is", left[1].why))
  end
  return count, left
end

--- Many captions as one step. Those that could not be are in `left`: { item, path, why }.
---@param list { [1]: table, [2]: string }[]
---@param title string
---@return integer? count, table|string left
function Changes:write_many(list, title)
  if self.typing then self:commit() end
  return told(self, apply(self, list, title))
end

local function map(self, items, title, change)
  if self.typing then self:commit() end
  local list = {}
  for _, item in ipairs(items) do
    local text = change(item.caption, item)
    if text ~= item.caption then list[#list + 1] = { item, text } end
  end
  if #list == 0 then return 0, {} end
  return told(self, apply(self, list, title))
end

local function short(text) return (utf8.len(text) or 0) > 24 and text:sub(1, utf8.offset(text, 24) - 1) .. "…" or text end

local function joint_of(caption, joint) return joint or (caption_tags.listed(caption) and ", " or " ") end

--- After what is there: with a comma in lists of tags, a space in sentences, or with `joint`.
function Changes:append(items, text, joint)
  return map(self, items, ("append \"%s\" to %s"):format(short(text), count_of(items)), function(caption)
    return caption:find "%S" and caption .. joint_of(caption, joint) .. text or text
  end)
end

function Changes:prepend(items, text, joint)
  return map(self, items, ("put \"%s\" before %s"):format(short(text), count_of(items)), function(caption)
    return caption:find "%S" and text .. (joint or ", ") .. caption or text
  end)
end

--- Every place where the text stands just so.
function Changes:remove(items, text)
  local plan, message = replace.plan(items, { find = text, with = "", case = true })
  if not plan then return nil, message end
  return map(self, items, ("remove \"%s\" from %s"):format(short(text), count_of(items)), function(caption)
    return (caption:gsub((text:gsub("%W", "%%%0")), ""))
  end)
end

function Changes:copy(from, items)
  if self.typing then self:commit() end
  return map(self, items, ("copy the caption of %s to %s"):format(from.name, count_of(items)), function() return from.caption end)
end

function Changes:clear(items) return map(self, items, ("clear %s"):format(count_of(items)), function() return "" end) end

--- What a plan shows: captions that are no longer as it shows them are left.
---@param plan { rows: { item: table, before: string, after: string }[], title: string }
---@return integer? count, table|string left
function Changes:replace(plan)
  if self.typing then self:commit() end
  local list, left = {}, {}
  for _, row in ipairs(plan.rows) do
    if row.item.caption == row.before then list[#list + 1] = { row.item, row.after }
    else left[#left + 1] = { item = row.item, path = row.item.path, why = "it has another text by now", code = "BUSY" } end
  end
  if #list == 0 then return told(self, 0, left) end
  local count, more, code = apply(self, list, plan.title)
  if not count then return nil, more, code end
  return told(self, count, table.move(more, 1, #more, #left + 1, left))
end

-- --- What a run writes ------------------------------------------------------------------------------------------------------------------

--- What these pictures have before a run that may caption them: for `adopt`.
---@param items table[]
---@return table[]
function Changes:stand(items)
  if self.typing then self:commit() end
  local list = {}
  for _, item in ipairs(items) do
    local now = not closed(self, item) and look(self, item) or nil
    if now then list[#list + 1] = { item = item, from = side(now) } end
  end
  return list
end

--- The texts that models gave them since are one step, which can be undone; they go into the caption files, too, where there are ones.
--- `dress`: a text as it stands in a file.
---@param before table[] of `stand`
---@param title fun(count: integer): string
---@param dress? fun(text: string): string
---@return integer? count, string? message, string? code
function Changes:adopt(before, title, dress)
  self:work()
  local listed, jobs, shown = {}, {}, {}
  local ok, message, code = transact(self, function()
    for _, stood in ipairs(before) do
      local item = stood.item
      local now = not closed(self, item) and look(self, item) or nil
      local row = now and now.row
      if row and row.id ~= stood.from.row and row.author == "model" and row.text:find "%S" then
        local file = now.file and now.file.path or self.project.settings.beside and (state.file_names(item.path)) or nil
        local text = file and dress and dress(row.text) or row.text
        if file then
          must(beside.mark(self.store, item.sha256, row, text))
          jobs[#jobs + 1] = { item = item, path = file, text = text }
        end
        listed[#listed + 1] = { path = item.path, sha = item.sha256, from = stood.from,
          to = { row = row.id, file = file and (text == row.text or text) or nil } }
        shown[#shown + 1] = { item, text, row }
      end
    end
    if #listed == 0 then return end
    must(self.store:drop_undone(self.place))
    local id = must(self.store:add_action { place = self.place, title = title(#listed),
      detail = ('{"count":%d,"entries":%s}'):format(#listed, json.encode(json.array(listed))) })
    note_marks(self, id, "do", jobs)
  end)
  if not ok then return nil, message, code end
  local items = {}
  for i, wish in ipairs(shown) do
    local item, row = wish[1], wish[3]
    item.caption, item.row, items[i] = wish[2], row.id, item
    item.by = { author = row.author, provider = row.provider, model = row.model ~= "" and row.model or nil }
  end
  write_files(self, jobs)
  show_all(self, items)
  return #listed
end

-- --- Marks -------------------------------------------------------------------------------------------------------------------------------

local function show_mark(self, sha, mark, value)
  for _, item in ipairs(self.project:of_content(sha)) do
    if mark == "star" then item.star = value and math.tointeger(tonumber(value)) or 0
    else item.reject = value and { reason = value, by = "person" } or item.rejected_by end
  end
end

local function mark_of(item, mark)
  if mark == "star" then return (item.star or 0) > 0 and tostring(item.star) or nil end
  return item.reject and item.reject.by == "person" and item.reject.reason or nil
end

local function mark_all(self, items, mark, value, title)
  local entries, seen, left = {}, {}, {}
  for _, item in ipairs(items) do
    local message, code
    if not item.sha256 then
      local ok
      ok, message, code = self.project:identify(item)
      if ok then message = nil end
    end
    if message then left[#left + 1] = { item = item, path = item.path, why = message, code = code }
    elseif not seen[item.sha256] and mark_of(item, mark) ~= value then
      seen[item.sha256] = true
      entries[#entries + 1] = { path = item.path, sha = item.sha256, mark = mark, from = mark_of(item, mark), to = value }
    end
  end
  if #entries == 0 then return told(self, 0, left) end
  local ok, message, code = transact(self, function()
    must(self.store:drop_undone(self.place))
    for _, entry in ipairs(entries) do must(self.store:mark(entry.sha, mark, value)) end
    must(self.store:add_action { place = self.place, title = title,
      detail = ('{"count":%d,"entries":%s}'):format(#entries, json.encode(json.array(entries))) })
  end)
  if not ok then return nil, message, code end
  for _, entry in ipairs(entries) do show_mark(self, entry.sha, mark, value) end
  self.project:changed()
  return told(self, #entries, left)
end

--- 0 takes the stars away.
---@param items table[]
---@param stars integer
---@return integer? count, table|string left
function Changes:star(items, stars)
  return mark_all(self, items, "star", stars > 0 and tostring(stars) or nil,
    stars > 0 and ("%d star%s for %s"):format(stars, stars == 1 and "" or "s", count_of(items)) or ("no stars for %s"):format(count_of(items)))
end

--- A recipe leaves them out from its next run on, and says so.
function Changes:reject(items, reason)
  if not reason or not reason:find "%S" then reason = "by hand" end
  if not utf8.len(reason) or reason:find "\0" then return nil, "this reason is not UTF-8", "FORMAT" end
  return mark_all(self, items, "reject", reason, ("reject %s"):format(count_of(items)))
end

function Changes:restore(items) return mark_all(self, items, "reject", nil, ("take %s back"):format(count_of(items))) end

-- --- Undo and redo -----------------------------------------------------------------------------------------------------------------------

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

local function entries_of(action)
  local detail = json.decode(action.detail)
  return type(detail) == "table" and type(detail.entries) == "table" and detail.entries or {}
end

-- The picture of an entry: by its path, or wherever its content is now.
local function picture_of(self, entry)
  local item = self.project.by_path[entry.path]
  if item and (item.sha256 or self.project:identify(item)) and item.sha256 == entry.sha then return item end
  return self.project:of_content(entry.sha)[1]
end

local function plain(value) return value ~= json.null and value or nil end

local function back(self, way)
  if self.typing then self:commit() end
  self:work()
  local action = find(self, way)
  if not action then return nil, "nothing to " .. way end
  local source, target = way == "undo" and "to" or "from", way == "undo" and "from" or "to"
  local left, todo, jobs, count = {}, {}, {}, 0
  local function leave(entry, item, why) left[#left + 1] = { item = item, path = entry.path, why = why } end
  for _, entry in ipairs(entries_of(action)) do
    local item = picture_of(self, entry)
    if not item then leave(entry, nil, "its picture is gone")
    elseif entry.mark then
      if mark_of(item, entry.mark) == plain(entry[source]) then todo[#todo + 1] = { entry = entry, item = item }
      else leave(entry, item, "it has another mark by now") end
    else
      local why = closed(self, item)
      local now = not why and look(self, item) or nil
      local rows = now and self.store:captions(item.sha256)
      if not now then leave(entry, item, why or item.sidecar and item.sidecar.error)
      elseif now.text ~= text_on(entry[source], rows) then
        state.show(item, now)
        leave(entry, item, "it has another text by now")
      else todo[#todo + 1] = { entry = entry, item = item, now = now, rows = rows } end
    end
  end
  local ok, message, code = transact(self, function()
    local restored = {}
    for _, job in ipairs(todo) do
      local entry, item, now, rows = job.entry, job.item, job.now, job.rows
      if entry.mark then must(self.store:mark(entry.sha, entry.mark, plain(entry[target])))
      else
        local wanted, row = entry[target], nil
        local old = wanted.row and row_by_id(rows, wanted.row)
        if old then
          row = history.put_back(rows, old)
          local origin = now.row and (now.row.restores or now.row.id)
          if origin == row.restores then row = now.row end -- it is in force already
        elseif now.row and now.row.text ~= "" then row = human(item.sha256, "") end
        if row and not row.id then
          local key = item.sha256 .. (row.restores or "")
          row.id = restored[key] or must(self.store:add_caption(row))
          restored[key] = row.id
        end
        job.row, job.text = row or now.row, file_text(wanted, rows)
        -- A person's words may stand in the file while a model's are in force: those are never marked as a model's.
        if job.text and job.row and job.row.author == "model" and job.text == job.row.text then
          must(beside.mark(self.store, item.sha256, job.row, job.text))
        end
        if job.text and not now.file and entry[source].file then job.text = nil -- somebody took the file away: it stays away
        elseif not job.text and now.file and not entry[source].file then job.text = now.file.text
        elseif job.text ~= (now.file and now.file.text) then
          jobs[#jobs + 1] = { item = item, path = now.file and now.file.path or (state.file_names(item.path)), text = job.text or false }
        end
      end
      count = count + 1
    end
    must(self.store:undo_action(action.id, way == "undo"))
    note_marks(self, action.id, way, jobs)
  end)
  if not ok then return nil, message, code end
  local shown = {}
  for _, job in ipairs(todo) do
    if job.entry.mark then show_mark(self, job.entry.sha, job.entry.mark, plain(job.entry[target]))
    else
      local file = job.text
      local text = file and file:find "%S" and file or job.row and job.row.text or ""
      local there = job.now.file
      state.show(job.item, { text = text, row = job.row, file = file and there and { path = there.path, text = file, size = there.size,
        mtime_ns = there.mtime_ns, ours = beside.ours(self.store, job.item.sha256, file) } or nil })
      shown[#shown + 1] = job.item
    end
  end
  write_files(self, jobs)
  show_all(self, shown)
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
function Changes:undo() return safely(self, "undo") end

function Changes:redo() return safely(self, "redo") end

--- What undo and redo would do; remembered until something is changed here.
---@return string? undo, string? redo
function Changes:can()
  if not self.known then
    local undo, redo = find(self, "undo"), find(self, "redo")
    self.known = { undo and undo.title, redo and redo.title }
  end
  return self.known[1], self.known[2]
end

--- The steps, newest first: { id, title, time, undone, dropped, count }.
function Changes:list(limit)
  local list = {}
  for i, row in ipairs(self.store:actions(self.place, { limit = limit or 50 }) or {}) do
    list[i] = { id = row.id, title = row.title, time = row.time, undone = row.undone, dropped = row.dropped,
      count = math.tointeger(tonumber(row.detail:match '"count":(%d+)')) or 0 }
  end
  return list
end

--- All texts of a picture, oldest first, numbered as `calotype captions log` does.
---@return { number: integer, text: string, who: string, when: string, in_force: boolean, row: table }[]
function Changes:history(item)
  if not item.sha256 and not self.project:identify(item) then return {} end
  local list = {}
  for i, row in ipairs(self.store:captions(item.sha256)) do
    list[i] = { number = i, text = row.text, who = telling.who(row), when = telling.when(row), in_force = row.in_force, row = row }
  end
  return list
end

--- One of these texts again, as a step.
---@return boolean? changed, string? message, string? code
function Changes:bring_back(item, number)
  if self.typing then self:commit() end
  local found = self:history(item)[number]
  if not found then return nil, ("%s has no text %d"):format(item.name, number), "NOTFOUND" end
  if found.in_force and found.text == item.caption then return false end
  local count, left, code = apply(self, { { item, found.text, row = found.row } }, ("text %d of %s again"):format(number, item.name))
  if not count then return nil, left, code end
  if left[1] then return nil, left[1].why, left[1].code end
  return count > 0
end

-- --- Typing ------------------------------------------------------------------------------------------------------------------------------

--- What the editor has now. Kept at once: a program that is killed has it when it is opened again.
---@return boolean? ok, string? message, string? code
function Changes:type(item, text)
  local kept, message, code = text_of(text)
  if not kept then return nil, message, code end
  if self.typing and self.typing ~= item then self:commit() end
  if self.typing ~= item then
    message, code = closed(self, item)
    if message then return nil, message, code end
    if not item.draft then
      local ok
      ok, message, code = self.store:put("window", "typing:" .. self.place, json.encode { path = item.path, sha = item.sha256, base = item.caption })
      if not ok then return nil, message, code end
    end
    self.typing = item
  end
  self.touched = true
  local draft = text ~= item.caption and text or nil
  local ok
  ok, message, code = self.store:draft(item.sha256, draft)
  if not ok then return nil, message, code end
  item.draft = draft
  self.project:changed()
  return true
end

--- After two seconds without a key what was typed becomes a step. `now`: seconds by any clock.
---@param now number
---@return boolean committed
function Changes:tick(now)
  if not self.typing then return false end
  if self.touched then self.touched, self.rested = false, now end
  if self.conflict or now - self.rested < REST then return false end
  local item, raw = self.typing, self.typing.draft
  if raw and text_of(raw) == item.caption then return false end -- a line end at its end: more may follow
  local did, message = self:commit()
  if did and raw ~= item.caption then self.typing, item.draft, self.rested = item, raw, now
  elseif item.draft == nil then self.typing = nil
  else self.rested = now end
  if did == nil then self.project:tell("error", ("%s: %s; what you write is kept meanwhile"):format(item.name, message)) end
  return did or false
end

-- While it was typed in the caption became another: both are kept, a person decides.
local function conflict(self, item, now)
  state.show(item, now)
  self.conflict = { item = item, mine = item.draft, theirs = item.caption }
  self.project:tell("warning", ("%s got another caption while it was written: keep mine or theirs?"):format(item.name))
  self.project:changed()
end

--- What was typed becomes a step. False when nothing was, or when a conflict is to be settled first.
---@param item? table the one that is being typed in
---@return boolean? changed, string? message, string? code
function Changes:commit(item)
  item = item or self.typing
  if not item or not item.draft then
    if item == self.typing then self.typing = nil end
    return false
  end
  if self.conflict and self.conflict.item == item then return false, "the caption became another while it was written", "BUSY" end
  local now, message, code = look(self, item)
  if not now then return nil, message, code end
  if now.text ~= item.caption and now.text ~= text_of(item.draft) then
    conflict(self, item, now)
    return false, "the caption became another while it was written", "BUSY"
  end
  local count, left
  count, left, code = apply(self, { { item, item.draft } }, ("caption of %s"):format(item.name), true)
  if not count then return nil, left, code end
  if left[1] then return nil, left[1].why, left[1].code end
  return count > 0
end

--- What was typed and is no step yet goes.
function Changes:discard(item)
  item = item or self.typing
  if not item or not item.draft then return false end
  self.store:draft(item.sha256, nil)
  item.draft = nil
  if self.conflict and self.conflict.item == item then self.conflict = nil end
  if self.typing == item then self.typing = nil end
  self.project:changed()
  return true
end

--- "mine": what was typed is the caption. "theirs": the other one stays; what was typed is in the history.
---@param which "mine"|"theirs"
---@return boolean? changed, string? message, string? code
function Changes:settle(which)
  local c = self.conflict
  if not c then return false end
  self.conflict = nil
  local item = c.item
  if which == "mine" then
    local count, left, code = apply(self, { { item, item.draft or c.mine } }, ("caption of %s"):format(item.name), true)
    if not count then return nil, left, code end
    return count > 0
  end
  local now, message, code = look(self, item)
  if not now then return nil, message, code end
  local ok
  ok, message, code = transact(self, function()
    must(self.store:add_caption(human(item.sha256, (text_of(item.draft or c.mine)))))
    local rows = self.store:captions(item.sha256)
    must(self.store:add_caption(now.row and history.put_back(rows, now.row) or human(item.sha256, "")))
    must(self.store:draft(item.sha256, nil))
  end)
  if not ok then return nil, message, code end
  item.draft = nil
  if self.typing == item then self.typing = nil end
  self.project:refresh({ item }, true)
  return true
end

--- A caption that changed elsewhere is shown; called by whoever finds it out.
function Changes:found_other(item, now)
  if item.draft and now.text ~= item.caption and now.text ~= text_of(item.draft) then conflict(self, item, now)
  else state.show(item, now) end
end

-- --- After a kill ------------------------------------------------------------------------------------------------------------------------

--- Caption files that a change still had to write. A file that is neither as it was nor as it should be is another program's, and stays.
---@return integer written
function Changes:settle_files()
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
  for _, entry in ipairs(action and entries_of(action) or {}) do
    local item = not entry.mark and picture_of(self, entry)
    local source, target = entry.from, entry.to
    if pending.way == "undo" then source, target = target, source end
    if item and (source.file or target.file) then
      local rows = self.store:captions(item.sha256)
      local was, wanted = file_text(source, rows), file_text(target, rows)
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

--- What was being typed when the program was killed. It becomes a step, and is told; where the caption became another since, it waits for a
--- person's word.
---@return integer committed
function Changes:take_up_drafts()
  local drafts, count = self.store:drafts() or {}, 0
  local noted = json.decode(self.store:get("window", "typing:" .. self.place) or "")
  for sha, draft in pairs(drafts) do
    local items = self.project:of_content(sha)
    local item = items[1]
    for _, other in ipairs(items) do if type(noted) == "table" and noted.path == other.path then item = other end end
    if item then
      item.draft = draft
      local base = type(noted) == "table" and noted.sha == sha and noted.base or nil
      if base and base ~= item.caption and text_of(draft) ~= item.caption then
        self.conflict = self.conflict or { item = item, mine = draft, theirs = item.caption }
        self.project:tell("warning", ("%s: what you were writing when the program ended, and another caption since: keep mine or theirs?"):format(item.name))
      else
        local did, message = self:commit(item)
        if did then
          count = count + 1
          self.project:tell("info", ("%s: what you were writing when the program ended is its caption now"):format(item.name))
        elseif message then self.project:tell("warning", ("%s: %s; what you were writing is kept"):format(item.name, message)) end
      end
    end
  end
  return count
end

return M
