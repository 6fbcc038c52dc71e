-- alone.lua - one process at a time asks for what costs money or takes the device, so that two runs in one folder do not pay or compute twice for the same.
--
--   local _ <close> = alone.asking(store, function() context.fail("stopped", { exit = 130 }) end)   -- waits for the other one, and says so
--
-- Look at what the store has after this, not before: the other one may have put it there.
local log = require "native.log"
local script = require "native.script"

local M = {}

---@param store table
---@param stopped fun() Ctrl-C while waiting; does not return
function M.asking(store, stopped)
  local told = false
  while true do
    local got, message, code = store:lock()
    if got == nil then script.fail { message = message, source = false, exit = code == "DENIED" and 3 or 1 } end
    if got then return setmetatable({}, { __close = function() store:unlock() end }) end
    if not told then log.say("info", "another run asks with this store; waiting, so that nothing is computed or paid twice") end
    told = true
    if not script.pause(0.1) then stopped() end
  end
end

return M
