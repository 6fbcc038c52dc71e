-- reading.lua - steps that take longer than a frame. Marks and captions belong to a content: where nobody knows it yet, the step waits while the
-- loader's threads read, for ten thousand files are not read between two frames. And what it does on many it does in slices (window/slices.lua).
--
--   p:once_known(items, "5 stars for 10,000 pictures", function() c:star(items, 5) end)      --> true: done; false: it waits
--   print(p.waiting[1].title, reading.how_far(p.waiting[1]))      --> 5 stars for 10,000 pictures, "63 of 10000 files are read", 0.0063
--   for _, wish in ipairs(p:needed(64)) do ... end        -- what the loader should be asked for it now; the answers go to p:learn
--   while p:work(0.004) do ... end                        -- does what has all it needs, in the order in which it was asked for
--   p:forget_waiting()                                    --> "5 stars for 10,000 pictures": the last that was asked for is not done
--
-- A step stays whole: nothing of it is in the store until all is read and looked at, then all of it in one transaction. So a program that is
-- killed, or a step that is taken back, leaves no mark of it; what was read until then is known, and is not read again.
--
-- Methods of a project (project.lua).
local slices = require "window.slices"

local M = {}

M.AT_ONCE = 8 << 20 -- bytes of files that are read at once: less than a frame or two
local FILES = 64 -- and how many of them

-- A file that cannot be read waits for nobody: the step says why it left it.
local function known(item) return item.sha256 ~= nil or item.error ~= nil end

--- Do it now where little is to be read and nothing waits, else once the files of `items` are read; in slices where it is about many. `run` says
--- itself what became of it. `way`: of an undo or a redo.
---@param items table[]
---@param title string
---@param run fun()
---@param way? "undo"|"redo"
---@return boolean done
function M.once_known(self, items, title, run, way)
  local unknown, bytes = {}, 0
  for _, item in ipairs(items) do
    if not known(item) then unknown[#unknown + 1], bytes = item, bytes + (item.size or 0) end
  end
  local step = { title = title, way = way, slice = slices.new(run), items = unknown, at = 0, all = #unknown, next = 1, flying = {}, count = 0 }
  if #self.waiting == 0 and bytes <= M.AT_ONCE and #unknown <= FILES then
    if step.slice:on(slices.SECONDS) then return true end
    step.items, step.all = {}, 0
  end
  table.insert(self.waiting, step)
  self:changed()
  return false
end

--- What the loader should be asked now, so that `limit` files are on their way.
---@param limit integer
---@return { item: table, what: "identify" }[]
function M.needed(self, limit)
  local list, step = {}, self.waiting[1]
  while step and step.count < limit and step.next <= #step.items do
    local item = step.items[step.next]
    step.next = step.next + 1
    if known(item) then step.at = step.at + 1
    else
      step.flying[item], step.count = true, step.count + 1
      if not item.asked then -- else its answer comes anyway
        item.asked = true
        list[#list + 1] = { item = item, what = "identify" }
      end
    end
  end
  return list
end

--- An answer came for it, or never will.
function M.read(self, item)
  local step = self.waiting[1]
  if not step or not step.flying[item] then return end
  step.flying[item], step.count, step.at = nil, step.count - 1, step.at + 1
  self:changed()
end

--- It could not be asked for now: another time.
function M.unread(self, item)
  local step = self.waiting[1]
  item.asked = nil
  if not step or not step.flying[item] then return end
  step.flying[item], step.count = nil, step.count - 1
  table.insert(step.items, item)
end

--- Do the first step, or a slice of it, if it has all it needs. True when there may be more to do at once.
---@return boolean
function M.read_on(self)
  local step = self.waiting[1]
  if not step or step.at < step.all then return false end
  table.remove(self.waiting, 1)
  self:changed()
  if not step.slice:on(slices.SECONDS) then table.insert(self.waiting, 1, step) end
  return true
end

--- How far a step is that waits, in words and as a part of 1.
---@return string words, number part
function M.how_far(step)
  local at, all, what = step.slice.at, step.slice.all, "captions are looked at"
  if not at then at, all, what = step.at, step.all, "files are read" end
  return ("%d of %d %s"):format(at, all, what), at / math.max(all, 1)
end

--- The step that was asked for last is not done; its title, or nil when none waits.
---@return string?
function M.forget_waiting(self)
  local step = table.remove(self.waiting)
  if not step then return nil end
  self:changed()
  return step.title
end

return M
