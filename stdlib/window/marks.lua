-- marks.lua - stars and rejections as steps that can be undone. They belong to a picture's content: its copies have them, too.
--
--   c:star(items, 4)  c:reject(items, "blurred")  c:restore(items)      --> how many, left
--
-- All of a step or nothing, in one transaction. Files whose content nobody knows are read here: of many, p:once_known waits for the loader.
--
-- Methods of what changes.new makes (changes.lua).
local json = require "native.json"
local state = require "window.state"
local step = require "window.step"
local transaction = require "window.transaction"

local must = transaction.must

local M = {}

--- A mark in the store has this value now: shown on all pictures of the content.
---@param value? string
function M.show(self, sha, mark, value)
  self.project.star_marks, self.project.reject_marks = nil, nil -- what items.lua remembers of the store
  for _, item in ipairs(self.project:of_content(sha)) do
    if mark == "star" then item.star = value and math.tointeger(tonumber(value)) or 0
    else item.reject = value and { reason = value, by = "person" } or item.rejected_by end
  end
end

--- The mark that a person gave, as the store has it; nil for none.
---@param mark "star"|"reject"
---@return string?
function M.of(item, mark)
  if mark == "star" then return (item.star or 0) > 0 and tostring(item.star) or nil end
  return item.reject and item.reject.by == "person" and item.reject.reason or nil
end

local function mark_all(self, items, mark, value, title)
  local marked, seen, left = {}, {}, {}
  for _, item in ipairs(items) do
    local message, code
    if not item.sha256 and item.error then message = item.error -- the loader could not read it
    elseif not item.sha256 then
      local ok
      ok, message, code = self.project:identify(item)
      if ok then message = nil end
    end
    if message then left[#left + 1] = { item = item, path = item.path, why = message, code = code }
    elseif not seen[item.sha256] and M.of(item, mark) ~= value then
      seen[item.sha256] = true
      marked[#marked + 1] = { path = state.word(item.path), sha = item.sha256, mark = mark, from = M.of(item, mark), to = value }
    end
  end
  if #marked == 0 then return step.told(self, 0, left) end
  local ok, message, code = transaction.run(self, function()
    must(self.store:drop_undone(self.place))
    for _, entry in ipairs(marked) do must(self.store:mark(entry.sha, mark, value)) end
    must(self.store:add_action { place = self.place, title = title,
      detail = ('{"count":%d,"entries":%s}'):format(#marked, json.encode(json.array(marked))) })
  end)
  if not ok then return nil, message, code end
  for _, entry in ipairs(marked) do M.show(self, entry.sha, mark, value) end
  self.project:changed()
  return step.told(self, #marked, left)
end

--- 0 takes the stars away.
---@param items table[]
---@param stars integer
---@return integer? count, table|string left
function M.star(self, items, stars)
  return mark_all(self, items, "star", stars > 0 and tostring(stars) or nil,
    stars > 0 and ("%d star%s for %s"):format(stars, stars == 1 and "" or "s", step.count_of(items)) or ("no stars for %s"):format(step.count_of(items)))
end

--- A recipe leaves them out from its next run on, and says so.
function M.reject(self, items, reason)
  if not reason or not reason:find "%S" then reason = "by hand" end
  if not utf8.len(reason) or reason:find "\0" then return nil, "this reason is not UTF-8", "FORMAT" end
  return mark_all(self, items, "reject", reason, ("reject %s"):format(step.count_of(items)))
end

function M.restore(self, items) return mark_all(self, items, "reject", nil, ("take %s back"):format(step.count_of(items))) end

return M
