-- sidepane.lua - below the caption: the tags of what is shown, what the picture's texts were, and what is known about it.
local caption_tags = require "caption.tags"
local matched = require "caption.matched"
local rect = require "window.rect"
local set = require "recipe.set"
local tags = require "window.tags"
local text = require "window.text"
local theme = require "window.theme"

local M = {}

local NAMES = { "Tags", "History", "About" }
local LINE = 22

-- --- tags -----------------------------------------------------------------------------------------------------------------------------------

-- Tags of the pictures shown, by how many have them; counted a little in every pass.
local function counted(view)
  local pane, p = view.pane, view.project
  if pane.counted_at ~= p.version or pane.counted_of ~= p.order then
    if pane.index:update(p.order, 0.003) then pane.counted_at, pane.counted_of = p.version, p.order else view.ui.moving = true end
  end
  local look = pane.find:text():lower()
  if pane.version ~= pane.index.version or pane.looked ~= look then
    pane.version, pane.looked, pane.list = pane.index.version, look, {}
    for _, row in ipairs(pane.index:list()) do
      if look == "" or row[1]:lower():find(look, 1, true) then pane.list[#pane.list + 1] = row end
    end
  end
  return pane.list
end

-- The tag is put to the filter's words.
local function filter_by(view, tag)
  view.filter:set('tag:"' .. tag:gsub('"', "") .. '"')
  view:look_for()
end

local function give(view, tag)
  local plan = tags.add_plan(view.project:selection(), tag)
  if plan.count > 0 then view:replace(plan) end
end

local function take(view, tag, items)
  local plan = tags.remove_plan(items, tag)
  if plan.count > 0 then view:replace(plan) end
end

local function rename(view, tag)
  local known, version, made
  local function plan(to) -- of thousands of captions: not in each pass
    local p = view.project
    if known ~= to or version ~= p.version then known, version, made = to, p.version, tags.rename_plan(p:scope "filtered", tag, to) end
    return made
  end
  view:open("askbox", { title = ("Rename \"%s\""):format(tag), text = tag,
    about = function(to) return ("in %s of those that are shown"):format(set.count(#plan(to).rows, "caption")) end,
    answers = { { "Rename", function(to)
      local found = plan(to)
      if found.count > 0 then view:replace(found, set.count(#found.rows, "caption") .. " changed; Ctrl+Z takes it back") end
    end } } })
end

-- At the mouse; in `area` when a key asked for it.
local function tag_menu(view, tag, area)
  local p = view.project
  view.ui:open_menu({
    { title = "Show the pictures with it", run = function() filter_by(view, tag) end },
    { title = "Add it to the selected", keys = "Enter", run = function() give(view, tag) end },
    { title = "Take it from the selected", keys = "Del", run = function() take(view, tag, p:selection()) end },
    "-",
    { title = "Rename it everywhere shown", keys = "F2", run = function() rename(view, tag) end },
    { title = "Take it from all that are shown", run = function() take(view, tag, p:scope "filtered") end },
  }, area and area.x + 24, area and area.y + 24)
end

local function draw_tags(view, area)
  local ui, pane, p = view.ui, view.pane, view.project
  local line = rect.top(area, 28, 6)
  local what = ui:field("tags", line, pane.find, { hint = "find a tag; Enter adds it to the selected" })
  local list = counted(view)
  if what == "changed" then pane.row = 1
  elseif what == "enter" and pane.find:text():find "%S" then
    give(view, pane.find:text())
    pane.find:set ""
  elseif what == "escape" then ui.focus = nil end
  local item = p:current()
  local says = item and item.caption or ""
  if pane.says ~= says then
    pane.says, pane.mine = says, {}
    for _, tag in ipairs(tags.seen(says) and tags.of(says) or {}) do pane.mine[caption_tags.plain(tag[1])] = true end
  end
  local mine = pane.mine
  if #list == 0 then
    ui:label(rect.top(area, LINE), "no tags", { color = ui.theme.faint })
    return
  end
  pane.row = math.min(pane.row, #list)
  local key = ui.focus == "tag rows" and ui:take("f2", "delete", "shift+f10", "application")
  if key == "f2" then return rename(view, list[pane.row][1])
  elseif key == "delete" then take(view, list[pane.row][1], p:selection())
  elseif key then return tag_menu(view, list[pane.row][1], area) end
  local chosen, did, event = ui:rows("tag rows", area, #list, LINE, pane.row, function(i, r)
    local row, inner = list[i], rect.inset(r, 6, 0)
    ui:label(rect.right(inner, 44), tostring(row[2]), { size = theme.size.small, color = ui.theme.faint, align = "right" })
    ui:label(inner, row[1], { color = mine[caption_tags.plain(row[1])] and ui.theme.accent or ui.theme.text })
    if ui:over(r) then
      ui:tip(r, row[1] .. "\ndouble click: the pictures with it; right click: more; Enter: to the selected, Del: from them, F2: another name")
      if ui.pressed and ui.pressed.button == "right" then pane.menu = row[1] end
    end
  end)
  pane.row = chosen
  if pane.menu then
    tag_menu(view, pane.menu)
    pane.menu = nil
  end
  if did == "taken" then
    if event then filter_by(view, list[chosen][1]) else give(view, list[chosen][1]) end
  end
end

-- --- history --------------------------------------------------------------------------------------------------------------------------------

local function draw_history(view, area)
  local ui, item, c = view.ui, view.project:current(), view.project.changes
  if not item then return end
  local pane = view.pane
  if pane.history_of ~= item or pane.history_at ~= view.project.version then
    pane.history, pane.history_of, pane.history_at = c:history(item) or {}, item, view.project.version
  end
  local rows = pane.history
  if #rows == 0 then
    ui:label(rect.top(area, LINE), "no text yet", { color = ui.theme.faint })
    return
  end
  local chosen, did = ui:rows("history rows", area, #rows, 58, math.min(pane.history_row or 1, #rows), function(i, r)
    local row, inner = rows[#rows + 1 - i], rect.inset(r, 6, 3)
    local head = rect.top(inner, 18)
    ui:label(rect.right(head, 150, 8), row.when, { size = theme.size.small, color = ui.theme.faint, align = "right" })
    ui:label(head, row.who, { size = theme.size.small, color = row.in_force and ui.theme.accent or ui.theme.faint })
    ui:within(inner, function() ui:paragraph(inner, row.text, { size = theme.size.small }) end)
    if ui:over(r) then ui:tip(r, row.text .. "\n(double click: this text again)") end
  end)
  pane.history_row = chosen
  if did == "taken" then view:tell(c:bring_back(item, rows[#rows + 1 - chosen].number)) end
end

-- --- about ----------------------------------------------------------------------------------------------------------------------------------

local MEASURES = { "sharpness", "entropy", "noise", "contrast", "saturation" }

local function facts(view, item)
  local rows = { { "file", item.path } }
  local function row(name, value) if value then rows[#rows + 1] = { name, value } end end
  row("size", item.width and ("%d x %d, %.1f MP"):format(item.width, item.height, item.width * item.height / 1e6))
  row("bytes", item.size and (item.size < 1e6 and ("%.0f kB"):format(item.size / 1e3) or ("%.1f MB"):format(item.size / 1e6)))
  row("format", item.format)
  row("content", item.sha256 and item.sha256:sub(1, 12))
  row("bucket", item.bucket and ("%d x %d"):format(item.bucket.width, item.bucket.height))
  row("put aside", item.reject and item.reject.reason)
  row("caption file", item.sidecar and (item.sidecar.error or item.sidecar.path:match "[^/]+$"))
  local record = item.record
  if record then
    for _, name in ipairs(MEASURES) do
      if type(record[name]) == "number" then row(name, ("%.4g"):format(record[name])) end
    end
    local bright = type(record.brightness) == "table" and (record.brightness.p50 or record.brightness[3])
    row("brightness", type(bright) == "number" and ("%.2g"):format(bright) or nil)
  elseif not item.error then
    view:measure(item)
  end
  local match = view.project:match(item)
  if match then
    local low = match < matched.LOW
    rows[#rows + 1] = { "match", ("%.2g%s"):format(match, low and ", low" or ""), color = low and view.ui.theme.warning or nil, tip = matched.SAYS }
  elseif item.caption:find "%S" and not item.error then
    rows[#rows + 1] = { "match", "not computed (Alt+M)", color = view.ui.theme.faint,
      tip = "a model on this machine says whether the caption belongs to the picture: Alt+M here, :score in a recipe" }
  end
  row("wrong", item.error)
  return rows
end

local function draw_about(view, area)
  local ui, item = view.ui, view.project:current()
  if not item then return end
  for _, row in ipairs(facts(view, item)) do
    local line = rect.top(area, LINE)
    ui:label(rect.left(line, 90, 8), row[1], { size = theme.size.small, color = ui.theme.faint })
    ui:label(line, tostring(row[2]), { size = theme.size.small, cut = row[1] == "file" and "left" or "right", color = row.color })
    if row.tip and ui:over(line) then ui:tip(line, row.tip) end
  end
end

--- Draw the pane.
function M.draw(view, area)
  local ui = view.ui
  view.pane = view.pane or { find = text.new "", row = 1, tab = NAMES[view.project.settings.tab] and view.project.settings.tab or 1, index = tags.index() }
  ui.w:fill(area.x, area.y, area.width, area.height, ui.theme.panel)
  local inner = rect.inset(area, 10, 4)
  view.pane.tab = ui:tabs("side tabs", rect.top(inner, 30, 8), NAMES, view.pane.tab)
  local draw = view.pane.tab == 1 and draw_tags or view.pane.tab == 2 and draw_history or draw_about
  draw(view, inner)
end

local function tab(n)
  return function(view)
    view.pane.tab = n
    if n == 1 then view:focus "tags" end
  end
end

M.actions = {
  { id = "tags", title = "Tags", keys = { "alt+i", "alt+a", "alt+s" }, group = "Write", run = tab(1) },
  { id = "history", title = "What its texts were", keys = { "alt+h" }, group = "Write", run = tab(2) },
  { id = "about", title = "About the picture", keys = { "alt+b" }, group = "Look", run = tab(3) },
}

return M
