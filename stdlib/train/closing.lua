-- closing.lua - what is closed when its block is left, whether by its end, by a return in the middle or by an error.
--
--   local open <close> = closing.list()
--   open[#open + 1] = device:plan(graph)
--   if not fits then return nil, "too large", "LIMIT" end     -- and the plan is closed

local closing = {}

local metatable = {
  __close = function(list) -- the last first: later plans share the memory of the first
    for i = #list, 1, -1 do list[i]:close() end
  end,
}

--- An empty list of things that can be closed, also twice.
function closing.list() return setmetatable({}, metatable) end

return closing
