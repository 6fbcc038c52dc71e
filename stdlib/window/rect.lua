-- rect.lua - rectangles, and cutting them: a screen is laid out by taking slices off what is left.
--
--   local area = rect.new(0, 0, 1280, 800)
--   local bar = rect.top(area, 32)              -- a slice; `area` is what lies below it now
--   local pane = rect.right(area, 320, 8)       -- and 8 units of space between
--
-- Units are those of the window: 1 is a pixel on an ordinary display.
local M = {}

---@class calotype.rect
---@field x number
---@field y number
---@field width number
---@field height number

---@return calotype.rect
function M.new(x, y, width, height) return { x = x, y = y, width = math.max(width, 0), height = math.max(height, 0) } end

function M.copy(r) return { x = r.x, y = r.y, width = r.width, height = r.height } end

--- Smaller by `by` on each side.
function M.inset(r, by, vertical)
  local v = vertical or by
  return M.new(r.x + by, r.y + v, r.width - 2 * by, r.height - 2 * v)
end

function M.contains(r, x, y) return x >= r.x and y >= r.y and x < r.x + r.width and y < r.y + r.height end

--- What two have in common; its width or height is 0 where they have nothing.
function M.common(a, b)
  local x, y = math.max(a.x, b.x), math.max(a.y, b.y)
  return M.new(x, y, math.min(a.x + a.width, b.x + b.width) - x, math.min(a.y + a.height, b.y + b.height) - y)
end

--- A slice off the top; `r` becomes the rest, less `gap`.
function M.top(r, height, gap)
  height = math.max(math.min(height, r.height), 0)
  local slice = M.new(r.x, r.y, r.width, height)
  local used = math.min(height + (gap or 0), r.height)
  r.y, r.height = r.y + used, r.height - used
  return slice
end

function M.bottom(r, height, gap)
  height = math.max(math.min(height, r.height), 0)
  local slice = M.new(r.x, r.y + r.height - height, r.width, height)
  r.height = math.max(r.height - height - (gap or 0), 0)
  return slice
end

function M.left(r, width, gap)
  width = math.max(math.min(width, r.width), 0)
  local slice = M.new(r.x, r.y, width, r.height)
  local used = math.min(width + (gap or 0), r.width)
  r.x, r.width = r.x + used, r.width - used
  return slice
end

function M.right(r, width, gap)
  width = math.max(math.min(width, r.width), 0)
  local slice = M.new(r.x + r.width - width, r.y, width, r.height)
  r.width = math.max(r.width - width - (gap or 0), 0)
  return slice
end

--- The largest rectangle of the shape width : height inside `r`, in its middle; never larger than width x height times `most`.
function M.fitted(r, width, height, most)
  local scale = math.min(r.width / width, r.height / height, most or math.huge)
  local w, h = width * scale, height * scale
  return M.new(r.x + (r.width - w) / 2, r.y + (r.height - h) / 2, w, h)
end

--- width x height in the middle of `r`.
function M.centred(r, width, height)
  width, height = math.min(width, r.width), math.min(height, r.height)
  return M.new(r.x + math.floor((r.width - width) / 2), r.y + math.floor((r.height - height) / 2), width, height)
end

return M
