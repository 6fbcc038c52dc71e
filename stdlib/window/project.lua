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
--   p:once_known(p.items, "5 stars", function() p.changes:star(p.items, 5) end)      -- waits for the files of those (window/reading.lua)
--   while p:work(0.004) do ... end                           -- a slice in each frame
--   for _, news in ipairs(p:told()) do ... end               -- { kind = "info"|"success"|"warning"|"error", text }
--   p.settings.zoom = 2 p:keep()                             -- opened again as it was left
--   p:close()
--
-- p:match(item) is how well its caption belongs to it, where :score computed that.
--
-- An item: index, path, name, stem, extension, size, mtime_ns; sha256, width, height, record (when they are known); caption ("" when there is
-- none), by { author, provider, model } | nil; sidecar { path, error? } | nil, shares (the name of another picture with the same caption file);
-- star 0 to 5; reject { reason, by } | nil; draft (what is being typed) | nil; error (it cannot be read); and of a recipe: bucket, crop,
-- trigger, out (its caption as it goes out) and out_of (the one of which that was made).
--
-- A file each: items.lua (what is known of each), match.lua, order.lua (filter, sorting, where one is), selection.lua, adding.lua,
-- reading.lua (steps that wait for files, or are done in slices); and changes.lua.
local adding = require "window.adding"
local changes = require "window.changes"
local fs = require "native.fs"
local items = require "window.items"
local leftovers = require "window.leftovers"
local json = require "native.json"
local match = require "window.match"
local order = require "window.order"
local reading = require "window.reading"
local selection = require "window.selection"
local set = require "recipe.set"
local source = require "window.source"
local stores = require "native.store"
local script = require "native.script"
local state = require "window.state"
local tokens = require "window.tokens"

local M = {}
local Project = {}
Project.__index = Project

local CLOSING = 4 -- seconds that closing waits for another process, once
local PATIENCE = 0.5 -- seconds that a change waits for it: the window stands still meanwhile

Project.index_content, Project.of_content, Project.copies, Project.identify = items.index_content, items.of_content, items.copies, items.identify
Project.wanted, Project.learn, Project.refresh = items.wanted, items.learn, items.refresh
Project.match, Project.new_matches = match.match, match.new_matches
Project.renew, Project.tell_renewed = items.renew, items.tell_renewed
Project.filter, Project.filter_on, Project.filter_again = order.filter, order.filter_on, order.filter_again
Project.sort, Project.current, Project.go = order.sort, order.current, order.go
Project.select, Project.select_all, Project.select_none = selection.select, selection.select_all, selection.select_none
Project.invert, Project.selection, Project.scope, Project.counts = selection.invert, selection.selection, selection.scope, selection.counts
Project.once_known, Project.needed, Project.read = reading.once_known, reading.needed, reading.read
Project.unread, Project.read_on, Project.forget_waiting = reading.unread, reading.read_on, reading.forget_waiting
Project.begin_adding, Project.stop_adding, Project.add_on, Project.add = adding.begin_adding, adding.stop_adding, adding.add_on, adding.add
Project.resume_adding = adding.resume_adding

M.sorts = order.sorts

-- --- Opening --------------------------------------------------------------------------------------------------------------------------

local function settings_of(self)
  local kept = json.decode(self.store:get("window", self.place) or "")
  return type(kept) == "table" and kept or {}
end

-- What is said of a folder when it is opened: whose tokens are counted, and the word that is marked. Kept for the next time; nil and what is wrong.
local function take_params(self, params)
  for name in pairs(params) do
    if name ~= "base" and name ~= "trigger" then
      return nil, ("%s has no setting '%s': base=FOLDER says whose tokens are counted, trigger=WORD which word is marked"):format(self.title, name), "ARG"
    end
  end
  if params.base then
    local why = params.base ~= "" and tokens.new { base = params.base }.why
    if why then return nil, ("base=%s: %s"):format(params.base, why), "ARG" end
    self.settings.base = params.base ~= "" and state.word(fs.absolute(params.base) or params.base) or nil
  end
  if params.trigger then self.settings.trigger = params.trigger ~= "" and params.trigger or nil end
  return true
end

local function restore(self)
  local s = self.settings
  local ok = type(s.filter) == "string" and self:filter(s.filter)
  if not ok then self:filter "" end
  self:filter_on()
  if type(s.sort) == "string" and M.sorts[s.sort] then self:sort(s.sort, s.descending == true) end
  self.at = #self.order > 0 and 1 or 0
  local current = type(s.current) == "string" and s.current
  local here = current and self.folder and ("%s/%s"):format(self.folder, current:match "[^/]*$") -- the folder may have another name now
  for i, item in ipairs(self.order) do
    if item.path == current or item.path == here then
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
    run = found.run, preview = found.preview, stamp = found.stamp,
    options = options, items = {}, by_path = {}, contents = {}, order = {}, selected = {}, at = 0, version = 0, news = {}, waiting = {}, renewed = {},
    filter_text = "" }, Project)
  self.seat, message, code = store:seat()
  if not self.seat then
    store:close()
    return nil, message, code
  end
  self.settings = settings_of(self)
  self:new_matches()
  self.unsettled = (store:get("window", "files:" .. self.place) or "") ~= "" or nil
  if found.kind ~= "recipe" and options.params then
    local ok
    ok, message, code = take_params(self, options.params)
    if not ok then
      store:close()
      return nil, message, code
    end
  end
  local stats = items.stats_of(found.paths)
  for i, path in ipairs(found.paths) do
    local more = found.more and found.more[path]
    local item = items.new(i, path, stats[path], more and set.copy_deep(more))
    item.rejected_by = more and more.rejected_by or nil
    self.items[i], self.by_path[path] = item, item
  end
  items.mark_shared(self.items)
  local filled
  filled, message, code = items.fill(self, self.items, stats)
  if not filled then
    store:close()
    return nil, message, code
  end
  self.tokens = tokens.new { base = self.settings.base or found.base }
  self.trigger = self.settings.trigger or found.trigger
  self.changes = changes.new(self)
  store:wait(PATIENCE)
  self.changes:settle_files(true)
  local left = leftovers.sweep(self, stats)
  if left > 0 then
    self:tell("info", ("%s that a killed program left hidden beside the pictures %s gone"):format(set.count(left, "half-written file"),
      left == 1 and "is" or "are"))
  end
  restore(self)
  self.changes:take_up_drafts()
  if self.kind == "folder" then self:resume_adding() end
  return self
end

-- --- News --------------------------------------------------------------------------------------------------------

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

-- --- Time passes ------------------------------------------------------------------------------------------------------------------------

--- A slice of what takes longer: caption files of a large step, steps whose files are read by now or that are about many, a filter that counts
--- tokens. True while there is more.
---@param seconds? number
---@return boolean
function Project:work(seconds)
  if self.changes:work(seconds) then return true end
  if self:read_on() then return true end
  if self:add_on(seconds or 0.004) then return true end
  return self:filter_on(seconds or 0.004)
end

--- Where one is, what is shown, and all that is in `settings`, for the next time. Written only when it is something else.
---@return boolean? ok, string? message, string? code
function Project:keep()
  local current = self:current()
  self.settings.current = current and state.word(current.path) or self.settings.current
  local text = json.encode(self.settings)
  if text == self.kept then return true end
  local ok, message, code = self.store:put("window", self.place, text)
  if ok then self.kept = text end
  return ok, message, code
end

--- All anew from the disk: pictures that came and went. What was typed is committed first.
---@return boolean? ok, string? message, string? code
function Project:reload()
  self.changes:commit()
  self.changes:work()
  local found, message, code = source.find(self.from, self.options)
  if not found then return nil, message, code end
  local current, chosen = self:current(), self.selected
  local stats, all, by_path, kept, new = items.stats_of(found.paths), {}, {}, {}, {}
  self.contents, self.stamp, self.title = {}, found.stamp, found.title
  self.trigger = self.settings.trigger or found.trigger
  for i, path in ipairs(found.paths) do
    local old, info = self.by_path[path], stats[path]
    local item = old
    if not old or not info or old.size ~= info.size or old.mtime_ns ~= info.mtime_ns then
      item = items.new(i, path, info, found.more and found.more[path] and set.copy_deep(found.more[path]))
      item.rejected_by = found.more and found.more[path] and found.more[path].rejected_by or nil
      if not old then new[#new + 1] = item end
    end
    if item == old and found.more then -- what the recipe says of it now
      local more = found.more[path]
      item.bucket, item.crop, item.out, item.trigger, item.rejected_by = more.bucket, more.crop, more.out, more.trigger, more.rejected_by
    end
    item.index, all[i], by_path[path], kept[item] = i, item, item, true
  end
  local gone = 0
  for _, item in ipairs(self.items) do if not by_path[item.path] then gone = gone + 1 end end
  self.items, self.by_path = all, by_path
  for item in pairs(chosen) do if not kept[item] then chosen[item] = nil end end
  items.mark_shared(all)
  local filled
  filled, message, code = items.fill(self, all, stats)
  self.order, self.at = {}, 0
  self:filter_again()
  self:filter_on()
  for i, item in ipairs(self.order) do if current and item.path == current.path then self.at = i end end
  if self.at == 0 and #self.order > 0 then self.at = 1 end
  if #new > 0 or gone > 0 then self:tell("info", ("%d new, %d gone"):format(#new, gone)) end
  self:changed()
  if not filled then return nil, message, code end
  return true
end

--- What was typed is committed, files are written, the settings kept. What was typed and the store would not take is given back, so that it
--- can be told.
---@return { path: string, text: string, why: string }[] refused
function Project:close()
  if self.closed then return end
  self.closed = true
  local ok, problem = pcall(function()
    self.store:wait(CLOSING)
    local drafts = #self.changes:keep_drafts()
    while self.changes:work(0.1) and script.interrupted() < 2 do end -- luacheck: ignore 542
    local did = drafts == 0 and self.changes:commit()
    if did == nil or drafts > 0 then self.store:wait(0.1) end
    if drafts == 0 then self.changes:commit_later() end
    self.changes:work()
    self:keep()
  end)
  local kept, refused = pcall(self.changes.keep_drafts, self.changes)
  self.store:close()
  if not ok then error(problem, 0) end
  return kept and refused or {}
end

return M
