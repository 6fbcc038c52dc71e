-- adding.lua - files and folders that are copied into the open folder, a slice at a time.
--
--   local job = p:begin_adding { "/home/me/new" }         --> { at, list, taken, refused, done, added }
--   while p:add_on(0.004) do ... end                      -- in each frame; p:stop_adding() ends it
--   local added, refused = p:add(paths)                   -- all of it, now
--   p:resume_adding()                                     -- when opened: what a window that ended had still to copy
--
-- Methods of a project (project.lua).
local items = require "window.items"
local json = require "native.json"
local log = require "native.log"
local set = require "recipe.set"
local source = require "window.source"
local state = require "window.state"

local M = {}

-- What is being copied stands in the store until it is done, by the seat of the window that does it.
local function key(self, seat) return ("adding:%s#%d"):format(self.place, seat) end

local function note(self, list)
  local words = {}
  for _, path in ipairs(list) do words[#words + 1] = state.word(path) end
  self.store:put("window", key(self, self.seat), #words > 0 and json.encode(json.array(words)) or "")
end

-- All are copied, or refused.
local function finish(self, job)
  job.done = true
  note(self, {})
  if not job.resumed then return end
  self:tell("info", ("%s that had not been copied yet when the program ended %s here now"):format(set.count(#job.added), #job.added == 1 and "is" or "are"))
  for _, row in ipairs(job.refused) do
    if not row.why:find("it is here already", 1, true) then self:tell("warning", ("%s was not added: %s"):format(row.path, row.why)) end
  end
end

-- What was copied is shown.
local function show_added(self, taken)
  local stats, new = items.stats_of(taken), {}
  for _, path in ipairs(taken) do
    local item = items.new(#self.items + 1, path, stats[path])
    self.items[item.index], self.by_path[path], new[#new + 1] = item, item, item
  end
  if #new > 0 then
    items.mark_shared(self.items)
    local ok, message = items.fill(self, new, stats)
    if not ok then self:tell("error", message) end
    self:filter_again()
  end
  return new
end

--- Begin to copy files, and the pictures of folders, into the folder (window/source.lua): `work` goes on with it. p.adding is how far it is:
--- { at, list, taken, refused, done, added }. An `add` that is at work takes these too.
---@param paths string[]
---@return table adding
function M.begin_adding(self, paths)
  local list, refused = source.expand(self, paths)
  local job = self.adding
  if job and not job.done then table.move(list, 1, #list, #job.list + 1, job.list)
  else job = source.taking(self, list) end
  table.move(refused, 1, #refused, #job.refused + 1, job.refused)
  self.adding = job
  note(self, job.list)
  self:changed()
  return job
end

--- Go on with what windows that are gone had still to copy: a person had said so. Those that are here already are left out.
function M.resume_adding(self)
  for seat = 1, 64 do
    local text = self.store:get("window", key(self, seat))
    local list = text and text ~= "" and (seat == self.seat or not self.store:seated(seat)) and json.decode(text)
    if type(list) == "table" then
      self.store:put("window", key(self, seat), "")
      local paths = {}
      for _, path in ipairs(list) do if type(path) == "string" and not path:find "\0" then paths[#paths + 1] = path end end
      if #paths > 0 then self:begin_adding(paths).resumed = true end
    end
  end
end

--- No more are copied; those that were stay.
function M.stop_adding(self)
  local job = self.adding
  if job and not job.done then for i = #job.list, job.at + 1, -1 do job.list[i] = nil end end
end

-- Go on with copying, at most so long. True while there is more.
function M.add_on(self, seconds)
  local job = self.adding
  if not job or job.done then return false end
  if #job.list == 0 then
    job.added = {}
    finish(self, job)
    return false
  end
  local deadline = log.clock() + (seconds or math.huge)
  repeat
    if not job.next() then
      job.added = show_added(self, job.taken)
      finish(self, job)
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
function M.add(self, paths)
  local job = self:begin_adding(paths)
  while self:add_on() do end
  return job.added, job.refused
end

return M
