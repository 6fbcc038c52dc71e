-- leaving.lua - pictures that stay without an answer, told: the first ones each with why, of the others how many, and where it stands of each.
--
--   local left <close> = leaving.new(context, function(items) return "run again" end)
--   left:tell(item, "the PNG is cut off")        -- "photos/p3.png is left without: the PNG is cut off"
--                                                -- at the end: "223 more pictures are left without: p6.png, p8.png, p9.png and 220 more; run again"
local lint = require "caption.lint"

local M = {}

local SAID = 3 -- pictures with a line of their own

local Left = {}
Left.__index = Left

---@param rest fun(items: calotype.item[]): string what to do, or where to read, about those that have no line of their own
function M.new(context, rest) return setmetatable({ context = context, rest = rest, count = 0, held = {} }, Left) end

local function say(self, item, why) self.context.warn(("%s is left without: %s"):format(item.path, why)) end

---@param item calotype.item
---@param why string
function Left:tell(item, why)
  self.count = self.count + 1
  if self.count <= SAID then say(self, item, why) else self.held[#self.held + 1] = { item = item, why = why } end
end

function Left:close()
  local held, items, names = self.held, {}, {}
  self.held = {}
  for i, one in ipairs(held) do items[i], names[i] = one.item, one.item.name end
  if #held == 1 then say(self, held[1].item, held[1].why)
  elseif #held > 1 then self.context.warn(("%d more pictures are left without: %s; %s"):format(#held, lint.some(names), self.rest(items))) end
end
Left.__close = Left.close

return M
