-- adopted.lua - what a run of captioning wrote is one step of the window's, which can be undone.
--
--   local before = c:stand(items)                         -- what they have before the run
--   c:adopt(before, function(count) return ("captions of %d pictures"):format(count) end)      --> how many got another text since
--
-- Methods of what changes.new makes (changes.lua).
local beside = require "captions.beside"
local captionfiles = require "window.captionfiles"
local entries = require "window.entries"
local json = require "native.json"
local state = require "window.state"
local step = require "window.step"
local transaction = require "window.transaction"

local must = transaction.must

local M = {}

--- What these pictures have before a run that may caption them: for `adopt`.
---@param items table[]
---@return table[]
function M.stand(self, items)
  if self.typing then self:commit() end
  local list = {}
  for _, item in ipairs(items) do
    local now = not step.closed(self, item) and step.look(self, item) or nil
    if now then list[#list + 1] = { item = item, from = entries.side(now) } end
  end
  return list
end

--- The texts that models gave them since are one step, which can be undone; they go into the caption files, too, where there are ones.
--- `dress`: a text as it stands in a file.
---@param before table[] of `stand`
---@param title fun(count: integer): string
---@param dress? fun(text: string): string
---@return integer? count, string? message, string? code
function M.adopt(self, before, title, dress)
  self:work()
  local listed, jobs, shown, meant = {}, {}, {}, {}
  local ok, message, code = transaction.run(self, function()
    for _, stood in ipairs(before) do
      local item = stood.item
      local now = not step.closed(self, item) and step.look(self, item) or nil
      local row = now and now.row
      if row and row.id ~= stood.from.row and row.author == "model" and row.text:find "%S" then
        local file = now.file and now.file.path or self.project.settings.beside and (state.file_names(item.path)) or nil
        local text = file and dress and dress(row.text) or row.text
        if file then
          must(beside.mark(self.store, item.sha256, row, text))
          jobs[#jobs + 1] = { item = item, path = file, text = text, was = now.file and now.file.text }
        end
        meant[item.sha256] = row.text
        listed[#listed + 1] = { path = state.word(item.path), sha = item.sha256, from = stood.from,
          to = { row = row.id, file = file and (text == row.text or text) or nil } }
        shown[#shown + 1] = { item, text, row }
      end
    end
    if #listed == 0 then return end
    must(self.store:drop_undone(self.place))
    local id = must(self.store:add_action { place = self.place, title = title(#listed),
      detail = ('{"count":%d,"entries":%s}'):format(#listed, json.encode(json.array(listed))) })
    captionfiles.note(self, id, "do", jobs, meant)
  end)
  if not ok then return nil, message, code end
  local items = {}
  for i, wish in ipairs(shown) do
    local item, row = wish[1], wish[3]
    item.caption, item.row, items[i] = wish[2], row.id, item
    item.by = { author = row.author, provider = row.provider, model = row.model ~= "" and row.model or nil }
  end
  captionfiles.write(self, jobs)
  step.show_all(self, items)
  return #listed
end

return M
