-- watch.lua - captions that other programs change while the window is open: editors, runs, other windows.
--
--   local w = watch.new(p)
--   local changed = w:look(visible, now)          -- in every frame: `visible` are the items on the screen, `now` seconds by any clock
--
-- Once a second the visible pictures are looked at, and some of the others in turn: caption files by size and time, the store by the row in
-- force; and the pictures, which may be gone or have another content by now. What changed is taken up as a run would take it up (a person's
-- words become a row), and p.news tells of it. Where that picture is being written at the moment both texts are kept: p.changes.conflict.
local fs = require "native.fs"
local state = require "window.state"

local M = {}
local Watch = {}
Watch.__index = Watch

local EVERY = 1 -- second
local OTHERS = 200 -- pictures in turn

---@param project table
function M.new(project) return setmetatable({ project = project, at = 0 }, Watch) end

local function differs(item, stat)
  local known = item.sidecar
  if not known or not stat then return (known ~= nil) ~= (stat ~= nil) end
  return known.young or known.path ~= stat.path or known.size ~= stat.size or known.mtime_ns ~= stat.mtime_ns
end

--- What is there against what is shown. Two bulk reads and a look at each file.
---@param items table[]
---@return table[] changed
function Watch:check(items)
  local p, shas, odd = self.project, {}, {}
  local others = {}
  for _, item in ipairs(items) do
    local info, _, code = fs.stat(item.path)
    if (info or code == "NOTFOUND") and p:renew(item, info) then others[#others + 1] = item end -- a link that is closed to it is not gone
  end
  if #others > 0 or #p.renewed > 0 then p:tell_renewed(others) end
  for _, item in ipairs(items) do if item.sha256 then shas[#shas + 1] = item.sha256 end end
  local rows = p.store:texts(shas)
  if not rows then return {} end -- the store cannot be read now: what is shown stays
  for _, item in ipairs(items) do
    local row = item.sha256 and rows and rows[item.sha256]
    local other = not item.gone -- else what is known of it stays until it is back
      and (differs(item, state.stat(item.path)) or (row and row.id) ~= item.row)
    if other then odd[#odd + 1] = item end
  end
  if #odd == 0 then return odd end
  return p:refresh(odd)
end

--- Looks when it is time; otherwise nothing is done.
---@param visible table[]
---@param now number
---@return table[] changed
function Watch:look(visible, now)
  if self.last and now >= self.last and now - self.last < EVERY then return {} end
  self.last = now
  local p, list, seen = self.project, {}, {}
  if p.changes:work(0.004) then return {} end -- its own files are still being written
  if p.changes:settle_files() then return {} end -- another window's
  p.changes:follow()
  p:new_matches()
  for _, item in ipairs(visible) do list[#list + 1], seen[item] = item, true end
  for _ = 1, math.min(OTHERS, #p.items) do
    self.at = self.at % #p.items + 1
    local item = p.items[self.at]
    if not seen[item] then list[#list + 1], seen[item] = item, true end
  end
  return self:check(list)
end

return M
