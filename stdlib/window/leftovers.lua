-- leftovers.lua - what a program that was killed while it replaced a caption file left beside it: hidden, and whole, and read by nobody.
--
--   leftovers.sweep(p, items.stats_of(paths))            --> 1: ".cat.txt.4711-0.tmp" went
--
-- Only those of the caption files of the pictures that are open, and only what core/base/fs.h takes for one. Their text is in the store.
local fs = require "native.fs"
local state = require "window.state"

local M = {}

---@param project table
---@param stats table<string, table> of all files beside the pictures
---@return integer removed
function M.sweep(project, stats)
  local wanted, removed = {}, 0
  for path in pairs(stats) do
    local folder, name = path:match "^(.-)([^/]*)$"
    local meant = name:match "^%.(.+)%.%d+%-%d+%.tmp$"
    if meant then wanted[folder .. meant] = wanted[folder .. meant] or {} table.insert(wanted[folder .. meant], path) end
  end
  if not next(wanted) then return 0 end
  for _, item in ipairs(project.items) do
    for _, file in ipairs { state.file_names(item.path) } do
      for _, path in ipairs(wanted[file] or {}) do
        if fs.grant(path:match "^(.*)/[^/]*$" or ".", "write") and fs.remove_left(path) then removed = removed + 1 end
      end
      wanted[file] = nil -- of two pictures
    end
  end
  return removed
end

return M
