-- transaction.lua - what a change writes into the store, all of it or nothing.
--
--   local ok, message, code = transaction.run(changes, function()
--     transaction.must(store:add_caption(row))            -- what the store refuses here ends all of it
--   end)                                                  --> true; nil, message, code: the store is as it was before
--   transaction.follow(changes)                           -- once a second: what undo would do is asked again when another window did something
local log = require "native.log"

local M = {}

--- What the store refuses ends the change; all of it is then as before.
function M.must(value, message, code)
  if value == nil and message then error({ refused = true, message = message, code = code }, 0) end
  return value
end

--- fn() within one transaction: all or nothing.
function M.run(changes, fn)
  changes.known = nil -- of `can`
  changes.count = (changes.count or 0) + 1
  local stamp = ("%d:%d:%s"):format(changes.project.seat, changes.count, log.clock())
  local ok, problem, why, code = pcall(changes.store.batch, changes.store, function()
    fn()
    M.must(changes.store:put("window", "stamp:" .. changes.place, stamp))
    changes.stamp = stamp
  end, { whole = true })
  if ok and problem then return true end
  if not ok and type(problem) == "table" and problem.refused then return nil, problem.message, problem.code end
  if not ok and type(problem) == "table" and problem.message and problem.code then return nil, problem.message, problem.code end
  if not ok then error(problem, 0) end
  return nil, why, code
end

--- Whether another window changed something since the last time.
function M.follow(changes)
  local stamp = changes.store:get("window", "stamp:" .. changes.place)
  if stamp == changes.stamp then return end
  changes.stamp, changes.known = stamp, nil
  changes.project:changed()
end

return M
