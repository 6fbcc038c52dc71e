-- dropbox.lua - pictures that were dropped on the window: told what will be done with them before it is done, then how far it is.
local console = require "window.console"
local rect = require "window.rect"
local set = require "recipe.set"
local source = require "window.source"
local theme = require "window.theme"

local M = {}

local NAMED = 8 -- files that are named before it is done; the refused are all named

---@param view table
---@param paths string[]
function M.opened(view, paths)
  local list, refused = source.expand(view.project, paths)
  view.dropping = { paths = paths, list = list, refused = refused, row = 1, tight = source.tight(view.project, list) }
  if view.project.adding and not view.project.adding.done then -- more of the same
    view.dropping.begun = true
    view.project:begin_adding(paths)
  end
  view:focus(#list > 0 and "drop go" or "drop close")
  view.ui.by_keyboard = true
end

local function short(path) return path:match "[^/]+/[^/]+$" or path end

local function rows_of(d, job)
  if d.rows and d.counted == #(job or d).refused then return d.rows end
  local rows = {}
  for _, row in ipairs((job or d).refused) do rows[#rows + 1] = { short(row.path), row.why } end -- first: they are what a person does not expect
  if not job then
    for i = 1, math.min(#d.list, NAMED) do rows[#rows + 1] = { short(d.list[i]), "" } end
    if #d.list > NAMED then rows[#rows + 1] = { ("\u{2026} and %s more"):format(set.count(#d.list - NAMED)), "" } end
  end
  d.rows, d.counted = rows, #(job or d).refused
  return rows
end

local function words_of(view, d, job)
  if not job then
    if #d.list == 0 then return "Nothing of this can be added." end
    return ("%s, copied into %s with the caption files beside them. %s%s"):format(set.count(#d.list),
      view.project.title, d.tight or "What you dropped stays where it is.", #d.refused > 0 and (" %d cannot be added:"):format(#d.refused) or "")
  end
  local taken = set.count(#job.taken)
  if job.done then
    return #job.refused == 0 and taken .. " added." or ("%s added, %d not:"):format(taken, #job.refused)
  end
  return ("%d of %d looked at, %s copied."):format(job.at, #job.list, taken)
end

--- Draw it; true when it was closed.
---@return boolean closed
function M.draw(view)
  local ui, p, d, done = view.ui, view.project, view.dropping, false
  local job = d.begun and p.adding or nil
  local working = job and not job.done
  local closed = ui:dialog("drop", 640, 380, job and "Adding pictures" or "Add pictures", function(area)
    local foot = rect.bottom(area, 30, 10)
    ui:paragraph(rect.top(area, 42, 6), words_of(view, d, job))
    if working then
      ui:progress(rect.top(area, 8, 10), #job.list > 0 and job.at / #job.list or nil)
    end
    if #rows_of(d, job) > 0 then
      local rows = rows_of(d, job)
      ui.w:round(area.x, area.y, area.width, area.height, theme.size.radius, ui.theme.well)
      d.row = ui:rows("drop rows", area, #rows, 22, math.min(d.row, #rows), function(i, r)
        local inner = rect.inset(r, 8, 0)
        local named = rect.left(inner, inner.width * 0.4, 8)
        ui:label(named, rows[i][1], { size = theme.size.small, cut = "left" })
        ui:label(inner, rows[i][2], { size = theme.size.small, color = ui.theme.warning })
        if ui:over(r) and rows[i][2] ~= "" then ui:tip(r, rows[i][1] .. ": " .. rows[i][2]) end
      end)
    end
    if not job and #d.list > 0 then
      if ui:button("drop go", rect.right(foot, 140, 8), "Copy " .. #d.list, { keys = "Enter", first = true, tip = "into " .. (p.folder or "the folder") }) then
        d.begun, d.rows = true, nil
        p:begin_adding(d.paths)
        ui.focus, ui.by_keyboard = "drop close", true
      end
    end
    if ui:button("drop close", rect.right(foot, 100, 8), working and "Stop" or job and "Close" or "Cancel", { keys = "Esc" }) then done = true end
  end)
  if job and job.done and #job.refused == 0 then done = true end
  if not (closed or done) then return false end
  if working then
    p:stop_adding()
    d.rows = nil
    return false
  end
  ui.focus, view.dropping = nil, nil
  if job then
    local first = job.added and job.added[1]
    if first then
      view:say("good", ("%s added"):format(set.count(#job.added)))
      view:go(first)
    end
    for _, row in ipairs(job.refused) do console.tell(view, "warning", ("%s was not added: %s"):format(row.path, row.why)) end
  end
  return true
end

return M
