-- slices.lua - work on many pictures that stands still now and then, so that the window goes on meanwhile.
--
--   local slice = slices.new(function()
--     for i, item in ipairs(items) do
--       slices.pause(i, #items)                           -- true when it stood still: look again at what may have become another
--       ...
--     end
--   end)
--   while not slice:on(0.03) do ... slice.at of slice.all ... end
--
-- Without a slice around it `pause` does nothing, and few pictures are never paused at: then all is done at once. Who forgets a slice that is not
-- done has ended it where it stands; so what may not be half done comes after the last pause.
local log = require "native.log"

local M = {}

M.FEW = 500 -- pictures that are looked at without a pause
M.SECONDS = 0.03 -- of one slice

local Slice = {}
Slice.__index = Slice

local current -- the slice that is at work

---@param run fun()
---@return { at?: integer, all?: integer } slice
function M.new(run) return setmetatable({ thread = coroutine.create(run), till = 0 }, Slice) end

--- Go on, about so many seconds. True when it is done. What `run` raises is raised here.
---@param seconds number
---@return boolean done
function Slice:on(seconds)
  current, self.till = self, log.clock() + seconds
  local ok, problem = coroutine.resume(self.thread)
  current = nil
  if not ok then error(problem, 0) end
  return coroutine.status(self.thread) == "dead"
end

--- Before the picture number `at` of `all`: stand still if the slice is over. True when it did.
---@param at integer
---@param all integer
---@return boolean paused
function M.pause(at, all)
  local self = current
  if not self or all < M.FEW or coroutine.running() ~= self.thread or log.clock() < self.till then return false end
  self.at, self.all = at - 1, all
  coroutine.yield()
  return true
end

return M
