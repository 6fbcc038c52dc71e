-- items.lua - the pictures of a project and what is known of each: its file, content, caption, marks and measures.
--
--   local stats = items.stats_of(paths)                   -- of the pictures' folders, one listing each
--   project.items[1] = items.new(1, paths[1], stats[paths[1]])
--   items.mark_shared(project.items)  items.fill(project, project.items, stats)
--   p:identify(item)  p:of_content(item.sha256)  p:copies(item)  p:refresh { item }
--   for _, wish in ipairs(p:wanted(64)) do ... end  p:learn(item, answer)
--
-- What an item has stands in project.lua, whose methods those with p: are.
local fs = require "native.fs"
local hash = require "native.hash"
local images = require "recipe.verbs.images"
local set = require "recipe.set"
local state = require "window.state"

local M = {}

local NAMED = 4 -- captions that became others at the same moment and are named one by one

--- The statistics of all files beside the pictures, from one listing of each folder.
function M.stats_of(paths)
  local folders, stats = {}, {}
  for _, path in ipairs(paths) do folders[path:match "^(.*)/[^/]*$" or "."] = true end
  for folder in pairs(folders) do
    fs.grant(folder, "read")
    for _, entry in ipairs(fs.list(folder) or {}) do stats[folder == "." and entry.path:gsub("^%./", "") or entry.path] = entry end
  end
  return stats
end

--- A picture that nothing is known of but its file. `more`: what a recipe says of it.
function M.new(index, path, info, more)
  local item = images.item(path, more or {})
  item.index, item.size, item.mtime_ns = index, info and info.size, info and info.mtime_ns
  item.caption, item.star = "", 0
  if not info then item.error = "it is gone" end
  return item
end

--- Two pictures with one caption file: nobody can tell whose it is.
function M.mark_shared(items)
  local by_base = {}
  for _, item in ipairs(items) do
    local base = state.file_names(item.path)
    local other = by_base[base]
    by_base[base] = other or item
    item.shares = nil
    if other then item.shares, other.shares = other.name, other.shares or item.name end
  end
end

-- Words in a file that the store has not. Where caption files are still to be written they are those from before, and wait.
local function take_up(self, item, now)
  if self.unsettled then return false end
  return state.take_up(self.store, item, now, self:copies(item))
end

-- Copies without a caption file have the text that their content has in the store.
local function show_copies(self, item)
  local list = {}
  for _, other in ipairs(self:of_content(item.sha256)) do if other ~= item and not other.sidecar then list[#list + 1] = other end end
  if #list > 0 then self:refresh(list, true) end
end

--- Captions and marks of these items, from bulk reads. Refused where the store cannot be read: captions that stand in it alone would seem to be
--- gone.
---@return boolean? ok, string? message, string? code
function M.fill(self, items, stats)
  local shas, paths = {}, {}
  for i, item in ipairs(items) do paths[i] = item.path end
  local seen, message, code = self.store:seen_all(paths)
  if not seen then return nil, message, code end
  for _, item in ipairs(items) do
    item.sha256 = seen[item.path] or item.sha256
    if item.sha256 then
      shas[#shas + 1] = item.sha256
      self:index_content(item)
    end
  end
  local rows, stars, rejects
  rows, message, code = self.store:texts(shas)
  if rows then stars, message, code = self.store:marks "star" end
  if stars then rejects, message, code = self.store:marks "reject" end
  if not rejects then return nil, message, code end
  local new = {}
  for _, item in ipairs(items) do
    local sha = item.sha256
    local stat = state.stat(item.path, function(path) return stats[path] end)
    local now, why, _, at = state.read(self.store, item, { row = sha and rows[sha] or false, stat = stat or false })
    if now then
      state.show(item, now)
      if now.file and sha then new[#new + 1] = { item, now } end
    else state.show_error(item, why, at) end
    item.out_of = item.out and item.caption or nil
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
      if take_up(self, item, now) then
        state.show(item, now)
        if self:copies(item) then others[#others + 1] = item end
      end
    end
  end)
  for _, item in ipairs(others) do show_copies(self, item) end
  return true
end

function M.index_content(self, item)
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
function M.of_content(self, sha) return self.contents[sha] or {} end

--- Whether there are copies of it.
function M.copies(self, item) return #self:of_content(item.sha256) > 1 end

-- Its content is known now: what the store has of it.
local function known_content(self, item, sha)
  if item.sha256 == sha then return end
  local caption, star, reject, others = item.caption, item.star, item.reject, false
  if item.before and item.before ~= sha then table.insert(self.renewed, item) end
  item.before = nil
  forget_content(self, item)
  item.sha256 = sha
  self:index_content(item)
  local now = state.read(self.store, item)
  if now then
    local noted = take_up(self, item, now)
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
function M.identify(self, item)
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
function M.wanted(self, limit)
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
function M.learn(self, item, answer)
  item.asked, item.error = nil, answer.error
  if answer.sha256 then known_content(self, item, answer.sha256) end -- also of a file that is no picture: it can be put aside
  self:read(item)
  if answer.error then return self:changed() end
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
function M.refresh(self, items, quiet)
  local list, told = {}, {}
  for _, item in ipairs(items) do
    local before, file_before = item.caption, item.sidecar
    local now, message, _, stat = state.read(self.store, item)
    if not now and not stat then break end -- the store cannot be read now: what is shown stays
    if not now then
      if not (file_before and file_before.error) then
        list[#list + 1] = item
        if not quiet then self:tell("warning", message) end
      end
      state.show_error(item, message, stat)
    else
      if item.sha256 then take_up(self, item, now) end
      if self.changes then self.changes:found_other(item, now) else state.show(item, now) end
      if item.caption ~= before then
        list[#list + 1] = item
        if not quiet then
          told[#told + 1] = now.file and now.text == now.file.text and ("%s was changed by another program"):format(now.file.path)
            or ("%s has another caption: %s"):format(item.name, item.by and (item.by.author == "human" and "a person's" or item.by.provider) or "none")
        end
      end
    end
  end
  for i = 1, #told > NAMED and 1 or #told do self:tell("info", told[i]) end -- a run beside the window writes thousands
  if #told > NAMED then self:tell("info", ("and %d more captions are others, by other programs"):format(#told - 1)) end
  if #list > 0 then self:changed() end
  return list
end

local GONE = "it is gone; F5 looks at the folder again"

--- The picture's file as it is now (`info` of fs.stat, nil: there is none). True when it is not what it was: another content is asked for anew.
---@param item table
---@param info? table
---@return boolean
function M.renew(self, item, info)
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
  item.before = item.sha256 or item.before -- who only touched the file made no other picture of it
  item.gone, item.error, item.sha256, item.record, item.width, item.height, item.asked = nil, nil, nil, nil, nil, nil, nil
  item.size, item.mtime_ns = info.size, info.mtime_ns
  self:changed()
  return true
end

--- Say which of these are gone, and which pictures turned out to be others since the last time.
function M.tell_renewed(self, items)
  local gone, other = {}, {}
  for _, item in ipairs(items) do if item.gone then gone[#gone + 1] = item end end
  for _, item in ipairs(self.renewed) do if self.by_path[item.path] == item then other[#other + 1] = item end end
  self.renewed = {}
  local function tell(kind, list, words)
    if #list == 1 then self:tell(kind, ("%s %s"):format(list[1].name, words)) elseif #list > 1 then
      self:tell(kind, ("%s: each %s"):format(set.count(#list), words))
    end
  end
  tell("warning", gone, "was taken away by another program")
  tell("info", other, "became another picture")
end

return M
