-- project.lua - what the window has open: the pictures with their captions and marks, which are shown in which order, which are chosen, and
-- where one was. Nothing is decoded and nobody waits: 10,000 pictures are listed in under a second, what takes longer is done by `work`.
--
--   local p, message, code = project.open "photos"           -- a folder, recipe.lua, a view file (.json), or { "a.jpg", ... }
--   p.items[1].name, p.items[1].caption                      -- all pictures; an item is the same table for as long as p is open
--   p:filter "NOT is:captioned"                              --> true; nil, message, place
--   p:sort("stars", true)
--   for i, item in ipairs(p.order) do ... end                -- what is shown; p.at is where one is in it, p:current() that item
--   p:go "next" p:go "next without" p:select(p:current(), "toggle")
--   p.changes:write(p:current(), "a red door")               -- window/changes.lua
--   for _, wish in ipairs(p:wanted(64)) do loader:ask(wish.item.index, { path = wish.item.path, what = wish.what }) end
--   p:learn(p.items[answer.tag], answer)                     -- what the loader found out
--   while p:work(0.004) do ... end                           -- a slice in each frame
--   for _, news in ipairs(p:told()) do ... end               -- { kind = "info"|"success"|"warning"|"error", text }
--   p.settings.zoom = 2 p:keep()                             -- opened again as it was left
--   p:close()
--
-- An item: index, path, name, stem, extension, size, mtime_ns; sha256, width, height, record (when they are known); caption ("" when there is
-- none), by { author, provider, model } | nil; sidecar { path, error? } | nil, shares (the name of another picture with the same caption file);
-- star 0 to 5; reject { reason, by } | nil; draft (what is being typed) | nil; error (it cannot be read); and of a recipe: bucket, crop,
-- trigger, out (its caption as it goes out).
local changes = require "window.changes"
local filter = require "window.filter"
local fs = require "native.fs"
local hash = require "native.hash"
local images = require "recipe.verbs.images"
local json = require "native.json"
local log = require "native.log"
local set = require "recipe.set"
local source = require "window.source"
local state = require "window.state"
local stores = require "native.store"
local script = require "native.script"
local text_of = require "native.text"
local tokens = require "window.tokens"

local M = {}
local Project = {}
Project.__index = Project

local BLOCK = 128 -- pictures between two looks at the clock
local AT_ONCE = 0.03 -- seconds that a filter takes before it goes on in slices

-- --- Opening --------------------------------------------------------------------------------------------------------------------------

-- The statistics of all files beside the pictures, from one listing of each folder.
local function stats_of(paths)
  local folders, stats = {}, {}
  for _, path in ipairs(paths) do folders[path:match "^(.*)/[^/]*$" or "."] = true end
  for folder in pairs(folders) do
    fs.grant(folder, "read")
    for _, entry in ipairs(fs.list(folder) or {}) do stats[folder == "." and entry.path:gsub("^%./", "") or entry.path] = entry end
  end
  return stats
end

local function new_item(index, path, info, more)
  local item = images.item(path, more or {})
  item.index, item.size, item.mtime_ns = index, info and info.size, info and info.mtime_ns
  item.caption, item.star = "", 0
  if not info then item.error = "it is gone" end
  return item
end

-- Two pictures with one caption file: nobody can tell whose it is.
local function mark_shared(items)
  local by_base = {}
  for _, item in ipairs(items) do
    local base = state.file_names(item.path)
    local other = by_base[base]
    by_base[base] = other or item
    item.shares = nil
    if other then item.shares, other.shares = other.name, other.shares or item.name end
  end
end

-- Copies without a caption file have the text that their content has in the store.
local function show_copies(self, item)
  local list = {}
  for _, other in ipairs(self:of_content(item.sha256)) do if other ~= item and not other.sidecar then list[#list + 1] = other end end
  if #list > 0 then self:refresh(list, true) end
end

-- Captions, marks and drafts of these items, from bulk reads.
local function fill(self, items, stats)
  local shas, paths = {}, {}
  for i, item in ipairs(items) do paths[i] = item.path end
  local seen = self.store:seen_all(paths) or {}
  for _, item in ipairs(items) do
    item.sha256 = seen[item.path] or item.sha256
    if item.sha256 then
      shas[#shas + 1] = item.sha256
      self:index_content(item)
    end
  end
  local rows = self.store:texts(shas) or {}
  local stars, rejects = self.store:marks "star" or {}, self.store:marks "reject" or {}
  local new = {}
  for _, item in ipairs(items) do
    local sha = item.sha256
    local stat = state.stat(item.path, function(path) return stats[path] end)
    local now, message, _, at = state.read(self.store, item, { row = sha and rows[sha] or false, stat = stat or false })
    if now then
      state.show(item, now)
      if now.file and sha then new[#new + 1] = { item, now } end
    else state.show_error(item, message, at) end
    if sha then
      item.star = math.tointeger(tonumber(stars[sha] or "0")) or 0
      item.reject = rejects[sha] and { reason = rejects[sha], by = "person" } or item.rejected_by
    else item.reject = item.rejected_by end
  end
  -- What people wrote beside the pictures and no run has seen yet: as a run would note it.
  local others = {}
  self.store:batch(function()
    for _, pair in ipairs(new) do
      local item, now = pair[1], pair[2]
      if state.take_up(self.store, item, now, self:copies(item)) then
        state.show(item, now)
        if self:copies(item) then others[#others + 1] = item end
      end
    end
  end)
  for _, item in ipairs(others) do show_copies(self, item) end
end

local function settings_of(self)
  local kept = json.decode(self.store:get("window", self.place) or "")
  return type(kept) == "table" and kept or {}
end

local function restore(self)
  local s = self.settings
  local ok = type(s.filter) == "string" and self:filter(s.filter)
  if not ok then self:filter "" end
  self:filter_on()
  if type(s.sort) == "string" and M.sorts[s.sort] then self:sort(s.sort, s.descending == true) end
  self.at = #self.order > 0 and 1 or 0
  for i, item in ipairs(self.order) do
    if item.path == s.current then
      self.at = i
      break
    end
  end
end

---@param what string|string[] folder, recipe, view file, or paths
---@param options? { store?: string, recursive?: boolean, params?: table<string, string> }
---@return table? project, string? message, string? code, table? fault of a recipe, with its place
function M.open(what, options)
  options = options or {}
  local found, message, code, fault = source.find(what, options)
  if not found then return nil, message, code, fault end
  local folder = options.store or script.env "CALOTYPE_STORE" or ".calotype"
  local store
  store, message, code = stores.open(folder)
  if not store then return nil, ("the store %s cannot be opened: %s"):format(folder, message), code end
  local self = setmetatable({ store = store, place = found.place, title = found.title, kind = found.kind, folder = found.folder, from = what,
    preview = found.preview, stamp = found.stamp,
    options = options, items = {}, by_path = {}, contents = {}, order = {}, selected = {}, at = 0, version = 0, news = {}, filter_text = "" }, Project)
  self.settings = settings_of(self)
  local stats = stats_of(found.paths)
  for i, path in ipairs(found.paths) do
    local more = found.more and found.more[path]
    local item = new_item(i, path, stats[path], more and set.copy_deep(more))
    item.rejected_by = more and more.rejected_by or nil
    self.items[i], self.by_path[path] = item, item
  end
  mark_shared(self.items)
  fill(self, self.items, stats)
  self.tokens = tokens.new { base = self.settings.base or found.base }
  self.trigger = self.settings.trigger or found.trigger
  self.changes = changes.new(self)
  local files = self.changes:settle_files()
  if files > 0 then
    self:refresh(self.items, true)
    self:tell("info", ("%s that the program could not write before it ended %s now"):format(set.count(files, "caption file"), files == 1 and "is" or "are"))
  end
  restore(self)
  self.changes:take_up_drafts()
  return self
end

-- --- What is known of the pictures -----------------------------------------------------------------------------------------------------

function Project:index_content(item)
  local list = self.contents[item.sha256] or {}
  self.contents[item.sha256] = list
  for _, other in ipairs(list) do if other == item then return end end
  list[#list + 1] = item
end

local function forget_content(self, item)
  local list = item.sha256 and self.contents[item.sha256]
  for i = #(list or {}), 1, -1 do if list[i] == item then table.remove(list, i) end end
end

--- The items of one content: a picture and its copies.
---@return table[]
function Project:of_content(sha) return self.contents[sha] or {} end

--- Whether there are copies of it.
function Project:copies(item) return #self:of_content(item.sha256) > 1 end

local GONE = "it is gone; F5 looks at the folder again"

--- The picture's file as it is now (`info` of fs.stat, nil: there is none). True when it is not what it was: another content is asked for anew.
---@param item table
---@param info? table
---@return boolean
function Project:renew(item, info)
  if not info then
    if item.gone or item.error and not item.sha256 then return false end
    item.gone, item.error = true, GONE
    self:changed()
    return true
  end
  if not item.gone and (not item.mtime_ns or item.size == info.size and item.mtime_ns == info.mtime_ns) then return false end
  if item.size == info.size and item.mtime_ns == info.mtime_ns then -- it is back
    item.gone, item.error = nil, nil
    self:changed()
    return true
  end
  if self.changes and self.changes.typing == item then self.changes:commit() end
  forget_content(self, item)
  item.gone, item.error, item.sha256, item.record, item.width, item.height, item.asked = nil, nil, nil, nil, nil, nil, nil
  item.size, item.mtime_ns = info.size, info.mtime_ns
  self:changed()
  return true
end

--- Say which are not what they were.
function Project:tell_renewed(items)
  local gone, other = {}, {}
  for _, item in ipairs(items) do
    if item.gone then gone[#gone + 1] = item elseif not item.sha256 then other[#other + 1] = item end
  end
  local function tell(kind, list, words)
    if #list == 1 then self:tell(kind, ("%s %s"):format(list[1].name, words)) elseif #list > 1 then
      self:tell(kind, ("%s: each %s"):format(set.count(#list), words))
    end
  end
  tell("warning", gone, "was taken away by another program")
  tell("info", other, "became another picture")
end

-- Its content is known now: what the store has of it.
local function known_content(self, item, sha)
  if item.sha256 == sha then return end
  local caption, star, reject, others = item.caption, item.star, item.reject, false
  forget_content(self, item)
  item.sha256 = sha
  self:index_content(item)
  local now = state.read(self.store, item)
  if now then
    local noted = state.take_up(self.store, item, now, self:copies(item))
    state.show(item, now)
    if noted and self:copies(item) then
      show_copies(self, item)
      others = true
    end
  end
  self.star_marks, self.reject_marks = self.star_marks or self.store:marks "star" or {}, self.reject_marks or self.store:marks "reject" or {}
  item.star = math.tointeger(tonumber(self.star_marks[sha] or "0")) or 0
  local reason = self.reject_marks[sha]
  item.reject = reason and { reason = reason, by = "person" } or item.rejected_by
  if others or item.caption ~= caption or item.star ~= star or item.reject ~= reject then self:changed() end
end

--- What its content is, by reading it now if need be.
---@return boolean? ok, string? message, string? code
function Project:identify(item)
  if item.sha256 then return true end
  local sha, message, code = self.store:seen(item.path), nil, nil
  if not sha then sha, message, code = hash.file(item.path) end
  if not sha then return nil, message, code end
  self.star_marks, self.reject_marks = nil, nil
  known_content(self, item, sha)
  return true
end

--- What the loader should be asked, at the lowest urgency: first which content it is, then its measures.
---@param limit? integer
---@return { item: table, what: "identify"|"measure" }[]
function Project:wanted(limit)
  local list = {}
  limit = limit or 64
  for _, what in ipairs { "identify", "measure" } do
    for _, item in ipairs(self.items) do
      if #list >= limit then return list end
      local missing = what == "identify" and not item.sha256 or what == "measure" and item.sha256 and not item.record
      if missing and not item.error and not item.asked then
        item.asked = true
        list[#list + 1] = { item = item, what = what }
      end
    end
  end
  return list
end

--- An answer of the loader. It raises the version where texts, stars or what is put aside are others now; who shows this very item draws it
--- again in any case.
---@param item table
---@param answer { sha256?: string, width?: integer, height?: integer, record?: table, error?: string }
function Project:learn(item, answer)
  item.asked = nil
  if answer.error then
    item.error = answer.error
    return self:changed()
  end
  item.error = nil
  if answer.sha256 then known_content(self, item, answer.sha256) end
  if answer.record then
    item.record = answer.record
    item.width, item.height = answer.record.width or item.width, answer.record.height or item.height
  end
  item.width, item.height = answer.width or item.width, answer.height or item.height
end

--- Look at these pictures' captions again: those that changed.
---@param items table[]
---@param quiet? boolean
---@return table[] changed
function Project:refresh(items, quiet)
  local list = {}
  for _, item in ipairs(items) do
    local before, file_before = item.caption, item.sidecar
    local now, message, _, stat = state.read(self.store, item)
    if not now then
      if not (file_before and file_before.error) then
        list[#list + 1] = item
        if not quiet then self:tell("warning", message) end
      end
      state.show_error(item, message, stat)
    else
      if item.sha256 then state.take_up(self.store, item, now, self:copies(item)) end
      if self.changes then self.changes:found_other(item, now) else state.show(item, now) end
      if item.caption ~= before then
        list[#list + 1] = item
        if not quiet then
          self:tell("info", now.file and now.text == now.file.text and ("%s was changed by another program"):format(now.file.path)
            or ("%s has another caption: %s"):format(item.name, item.by and (item.by.author == "human" and "a person's" or item.by.provider) or "none"))
        end
      end
    end
  end
  if #list > 0 then self:changed() end
  return list
end

-- --- What is shown ----------------------------------------------------------------------------------------------------------------------

--- Something that is seen is another now.
function Project:changed() self.version = self.version + 1 end

function Project:tell(kind, text) self.news[#self.news + 1] = { kind = kind, text = text } end

--- What there is to tell since the last time.
---@return { kind: string, text: string }[]
function Project:told()
  local news = self.news
  self.news = {}
  return news
end

local function number_of(key)
  return function(item) return item[key] or -1 end
end

local function measure_of(key)
  return function(item) return item.record and item.record[key] or -1 end
end

--- By what pictures can be sorted: name -> what is compared.
M.sorts = {
  path = function(item) return item.path end,
  name = function(item) return text_of.lower(item.name) end,
  caption = function(item) return text_of.lower(item.caption) end,
  length = function(item) return #item.caption end,
  stars = number_of "star", size = number_of "size", width = number_of "width", height = number_of "height", changed = number_of "mtime_ns",
  pixels = function(item) return item.width and item.width * item.height or -1 end,
  sharpness = measure_of "sharpness", entropy = measure_of "entropy",
  author = function(item) return item.by and (item.by.author == "human" and "" or item.by.provider or "?") or "~" end,
}

-- A stable order: what is equal stays as the paths are.
local function sorted(items, by, descending)
  if by == "path" and not descending then return items end
  local get, keys = M.sorts[by], {}
  for _, item in ipairs(items) do keys[item] = get(item) end
  table.sort(items, function(a, b)
    local x, y = keys[a], keys[b]
    if x ~= y then
      if descending then return x > y end
      return x < y
    end
    return a.index < b.index
  end)
  return items
end

local function put_order(self, list)
  local current = self:current()
  self.order = sorted(list, self.sorting or "path", self.descending)
  local at
  for i, item in ipairs(self.order) do if item == current then at = i end end
  self.at = at or math.min(math.max(self.at, 1), #self.order)
  self:changed()
end

--- Which pictures are shown (window/filter.lua). What is not understood leaves all as it is. Where thousands of captions are to be counted
--- the order stays as it was for a moment, and `work` goes on until `filtering` is nil.
---@param text string
---@return boolean? ok, string? message, integer? place
function Project:filter(text)
  local shown, message, place = filter.compile(text, { tokens = self.tokens and self.tokens.counter })
  if not shown then return nil, message, place end
  self.filter_text, self.shown = text, shown
  self.settings.filter = text ~= "" and text or nil
  self.filtering = { at = 1, list = {} }
  self:filter_on(AT_ONCE)
  return true
end

-- Go on with the filter, at most so long.
function Project:filter_on(seconds)
  local f = self.filtering
  if not f then return false end
  local deadline, shown, selected = log.clock() + (seconds or math.huge), self.shown, self.selected
  local list, items = f.list, self.items
  for i = f.at, #items do
    if shown(items[i], selected) then list[#list + 1] = items[i] end
    if i % BLOCK == 0 and i < #items and seconds and log.clock() > deadline then
      f.at = i + 1
      return true
    end
  end
  self.filtering = nil
  put_order(self, list)
  return false
end

--- The filter once more: captions and marks have changed since. Where one is stays.
function Project:filter_again() return self:filter(self.filter_text) end

--- By name, path, stars, caption, length, size, width, height, pixels, sharpness, entropy, changed or author.
---@return boolean? ok, string? message
function Project:sort(by, descending)
  if not M.sorts[by] then return nil, ("pictures are not sorted by %s"):format(by) end
  self.sorting, self.descending = by, descending or false
  self.settings.sort, self.settings.descending = by ~= "path" and by or nil, descending and true or nil
  local list = table.move(self.order, 1, #self.order, 1, {})
  if by == "path" then table.sort(list, function(a, b) return a.index < b.index end) end
  put_order(self, list)
  return true
end

--- The picture one is at; nil when none is shown.
---@return table?
function Project:current() return self.order[self.at] end

-- The next one from `at` on for which `is` holds.
local function search(self, step, is)
  local at = self.at + step
  while at >= 1 and at <= #self.order do
    if is(self.order[at]) then return at end
    at = at + step
  end
end

local function without(item) return not (item.draft or item.caption):find "%S" and not item.reject end

--- Go to a picture: an item, its number, or "next", "previous", "first", "last", "page up", "page down", "next without", "previous without"
--- (a caption); `page` is how many a page has, `row` how many a row ("up", "down"). What was typed is committed.
---@return table? item
function Project:go(where, page)
  local at = self.at
  if type(where) == "table" then
    for i, item in ipairs(self.order) do if item == where then at = i end end
  elseif type(where) == "number" then at = math.tointeger(where) or at
  elseif where == "next" then at = at + 1
  elseif where == "previous" then at = at - 1
  elseif where == "first" then at = 1
  elseif where == "last" then at = #self.order
  elseif where == "down" or where == "page down" then at = at + (page or 1)
  elseif where == "up" or where == "page up" then at = at - (page or 1)
  elseif where == "next without" then at = search(self, 1, without) or at
  elseif where == "previous without" then at = search(self, -1, without) or at
  else error(("there is no way %s"):format(tostring(where)), 2) end
  at = math.max(math.min(at, #self.order), math.min(1, #self.order))
  if at ~= self.at then
    if self.changes.typing and self.changes.typing ~= self.order[at] then self.changes:commit() end
    self.at = at
    self:changed()
  end
  return self:current()
end

-- --- Selection ------------------------------------------------------------------------------------------------------------------------

--- "only" this one, "toggle", "add", or "range": all from the last one that was chosen to this one.
---@param item table
---@param how? "only"|"toggle"|"add"|"range"
function Project:select(item, how)
  if how == "range" and self.chosen then
    local from, to
    for i, other in ipairs(self.order) do
      if other == item then to = i end
      if other == self.chosen then from = i end
    end
    if from and to then
      for i = math.min(from, to), math.max(from, to) do self.selected[self.order[i]] = true end
    end
  elseif how == "toggle" then
    self.selected[item], self.chosen = not self.selected[item] or nil, item
  else
    if how ~= "add" then self:select_none() end
    self.selected[item], self.chosen = true, item
  end
  self:changed()
end

function Project:select_all()
  for _, item in ipairs(self.order) do self.selected[item] = true end
  self:changed()
end

function Project:select_none()
  for item in pairs(self.selected) do self.selected[item] = nil end -- the same table: a filter holds it
  self:changed()
end

--- Of what is shown: the chosen are not, the others are.
function Project:invert()
  for _, item in ipairs(self.order) do self.selected[item] = not self.selected[item] or nil end
  self:changed()
end

--- What is chosen and shown, in order; where nothing is, the picture one is at.
---@return table[]
function Project:selection()
  local list = {}
  for _, item in ipairs(self.order) do if self.selected[item] then list[#list + 1] = item end end
  if #list == 0 then list[1] = self:current() end
  return list
end

--- What a change may be about.
---@param which "all"|"filtered"|"selected"
---@return table[]
function Project:scope(which)
  if which == "selected" then return self:selection() end
  local from = which == "filtered" and self.order or self.items
  return table.move(from, 1, #from, 1, {})
end

--- How many there are: all, shown, selected, captioned, rejected, starred. Counted again when something changed.
function Project:counts()
  if self.counted and self.counted.version == self.version then return self.counted end
  local c = { version = self.version, all = #self.items, shown = #self.order, selected = 0, captioned = 0, rejected = 0, starred = 0 }
  for _, item in ipairs(self.items) do
    if self.selected[item] then c.selected = c.selected + 1 end
    if item.caption:find "%S" then c.captioned = c.captioned + 1 end
    if item.reject then c.rejected = c.rejected + 1 end
    if item.star > 0 then c.starred = c.starred + 1 end
  end
  self.counted = c
  return c
end

-- --- Time passes ------------------------------------------------------------------------------------------------------------------------

--- A slice of what takes longer: caption files of a large step, a filter that counts tokens. True while there is more.
---@param seconds? number
---@return boolean
function Project:work(seconds)
  if self.changes:work(seconds) then return true end
  if self:add_on(seconds or 0.004) then return true end
  return self:filter_on(seconds or 0.004)
end

--- Where one is, what is shown, and all that is in `settings`, for the next time. Written only when it is something else.
---@return boolean? ok, string? message, string? code
function Project:keep()
  local current = self:current()
  self.settings.current = current and current.path or self.settings.current
  local text = json.encode(self.settings)
  if text == self.kept then return true end
  local ok, message, code = self.store:put("window", self.place, text)
  if ok then self.kept = text end
  return ok, message, code
end

-- What was copied is shown.
local function show_added(self, taken)
  local stats, new = stats_of(taken), {}
  for _, path in ipairs(taken) do
    local item = new_item(#self.items + 1, path, stats[path])
    self.items[item.index], self.by_path[path], new[#new + 1] = item, item, item
  end
  if #new > 0 then
    mark_shared(self.items)
    fill(self, new, stats)
    self:filter_again()
  end
  return new
end

--- Begin to copy files, and the pictures of folders, into the folder (window/source.lua): `work` goes on with it. p.adding is how far it is:
--- { at, list, taken, refused, done, added }. An `add` that is at work takes these too.
---@param paths string[]
---@return table adding
function Project:begin_adding(paths)
  local list, refused = source.expand(self, paths)
  local job = self.adding
  if job and not job.done then table.move(list, 1, #list, #job.list + 1, job.list)
  else job = source.taking(self, list) end
  table.move(refused, 1, #refused, #job.refused + 1, job.refused)
  self.adding = job
  self:changed()
  return job
end

--- No more are copied; those that were stay.
function Project:stop_adding()
  local job = self.adding
  if job and not job.done then for i = #job.list, job.at + 1, -1 do job.list[i] = nil end end
end

-- Go on with copying, at most so long. True while there is more.
function Project:add_on(seconds)
  local job = self.adding
  if not job or job.done then return false end
  if #job.list == 0 then
    job.done, job.added = true, {}
    return false
  end
  local deadline = log.clock() + (seconds or math.huge)
  repeat
    if not job.next() then
      job.added = show_added(self, job.taken)
      job.done = true
      self:changed()
      return false
    end
  until log.clock() > deadline
  self:changed()
  return true
end

--- Files and folders dropped on the window: all of them, now.
---@param paths string[]
---@return table[] added, { path: string, why: string }[] refused
function Project:add(paths)
  local job = self:begin_adding(paths)
  while self:add_on() do end
  return job.added, job.refused
end

--- All anew from the disk: pictures that came and went. What was typed is committed first.
---@return boolean? ok, string? message, string? code
function Project:reload()
  self.changes:commit()
  self.changes:work()
  local found, message, code = source.find(self.from, self.options)
  if not found then return nil, message, code end
  local current, chosen = self:current(), self.selected
  local stats, items, by_path, kept, new = stats_of(found.paths), {}, {}, {}, {}
  self.contents, self.stamp, self.title = {}, found.stamp, found.title
  for i, path in ipairs(found.paths) do
    local old, info = self.by_path[path], stats[path]
    local item = old
    if not old or not info or old.size ~= info.size or old.mtime_ns ~= info.mtime_ns then
      item = new_item(i, path, info, found.more and found.more[path] and set.copy_deep(found.more[path]))
      item.rejected_by = found.more and found.more[path] and found.more[path].rejected_by or nil
      if not old then new[#new + 1] = item end
    end
    if item == old and found.more then -- what the recipe says of it now
      local more = found.more[path]
      item.bucket, item.crop, item.out, item.trigger, item.rejected_by = more.bucket, more.crop, more.out, more.trigger, more.rejected_by
    end
    item.index, items[i], by_path[path], kept[item] = i, item, item, true
  end
  local gone = 0
  for _, item in ipairs(self.items) do if not by_path[item.path] then gone = gone + 1 end end
  self.items, self.by_path = items, by_path
  for item in pairs(chosen) do if not kept[item] then chosen[item] = nil end end
  mark_shared(items)
  fill(self, items, stats)
  self.order, self.at = {}, 0
  self:filter_again()
  self:filter_on()
  for i, item in ipairs(self.order) do if current and item.path == current.path then self.at = i end end
  if self.at == 0 and #self.order > 0 then self.at = 1 end
  if #new > 0 or gone > 0 then self:tell("info", ("%d new, %d gone"):format(#new, gone)) end
  self:changed()
  return true
end

--- What was typed is committed, files are written, the settings kept.
function Project:close()
  if self.closed then return end
  self.closed = true
  local ok, problem = pcall(function()
    self.changes:commit()
    self.changes:work()
    self:keep()
  end)
  self.store:close()
  if not ok then error(problem, 0) end
end

return M
