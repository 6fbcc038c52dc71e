-- actions.lua - all that one can do: one table, which the keys, the menus, the help and the tests read.
--
--   actions.dispatch(view, event)          -- do what a key stands for; whether it stood for something
--   actions.run(view, "undo")
--
-- A row: { id, title, keys = { "ctrl+z" }, group, run = function(view), when = function(view), on = function(view), again }. `when` false: it
-- cannot be done now. A key that is held repeats what is in the group Move and what has `again`, nothing else. Rooms of the window that bring
-- their own are named in MORE; each has a table `actions`.
local caption_tags = require "caption.tags"
local set = require "recipe.set"
local tags = require "window.tags"

local M = {}

local MORE = { "captionbox", "compare", "console", "exportbox", "filterhelp", "jobs", "replacebox", "scorebox", "sidepane", "training", "twins" }

-- Aside, for a reason; or back again without one.
local function put_aside(view, items, reason)
  local c, many = view.project.changes, set.count(#items)
  view:once_known(items, reason and ("Put %s aside"):format(many) or ("Take %s back"):format(many), function()
    if reason then view:tell(c:reject(items, reason)) else view:tell(c:restore(items)) end
  end)
end

local function here(view) return view.project:current() ~= nil end
local function chosen(view) return view.project:selection() end
local function in_grid(view) return view.screen == "grid" end
local function scaled(view) return view.screen ~= "single" or here(view) end

local function move(by, rows)
  return function(view)
    local p = view.project
    if view.screen == "compare" then return require("window.compare").step(view, by) end
    local step = rows and in_grid(view) and (view.columns or 1) or 1
    view:go(math.min(math.max(p.at + by * step, 1), #p.order))
  end
end

local function extend(by, rows)
  return function(view)
    local p = view.project
    local from = p:current()
    if from and not p.selected[from] then p:select(from, "add") end -- where it begins is one of them
    move(by, rows)(view)
    if p:current() then p:select(p:current(), "range") end
  end
end

local function page(by)
  return function(view)
    if not in_grid(view) or view.ui.focus == "caption" then return move(by)(view) end
    local p = view.project
    view:go(math.min(math.max(p.at + by * (view.columns or 1) * (view.rows_seen or 1), 1), #p.order))
  end
end

-- A caption without these words; of a list of tags a tag goes with its comma.
local function without(caption, words)
  local tag = caption_tags.listed(caption) and tags.remove(caption, words) or caption
  return tag ~= caption and tag or (caption:gsub((words:gsub("%W", "%%%0")), ""))
end

local function stars(count)
  local title = count == 0 and "No stars" or count == 1 and "1 star" or count .. " stars"
  return { id = "star " .. count, title = title, keys = { tostring(count) }, group = "Choose",
    when = here,
    quiet = count > 1, shown = count == 1 and "1 ... 5" or nil, said = count == 1 and "1 to 5 stars" or nil,
    run = function(view)
      local items = chosen(view)
      view:once_known(items, ("%s for %s"):format(title, set.count(#items)), function() view:tell(view.project.changes:star(items, count)) end)
    end }
end

M.list = {
  { id = "next", title = "Next picture", keys = { "right", "ctrl+down" }, group = "Move", when = here, run = move(1) },
  { id = "previous", title = "Previous picture", keys = { "left", "ctrl+up" }, group = "Move", when = here, run = move(-1) },
  { id = "down", title = "The picture below", keys = { "down" }, group = "Move", when = here, run = move(1, true) },
  { id = "up", title = "The picture above", keys = { "up" }, group = "Move", when = here, run = move(-1, true) },
  { id = "page down", title = "A screen further; while writing the next picture", keys = { "page down" }, group = "Move", when = here, run = page(1) },
  { id = "page up", title = "A screen back; while writing the one before", keys = { "page up" }, group = "Move", when = here, run = page(-1) },
  { id = "first", title = "First picture", keys = { "home" }, group = "Move", when = here, run = function(view) view:go "first" end },
  { id = "last", title = "Last picture", keys = { "end" }, group = "Move", when = here, run = function(view) view:go "last" end },
  { id = "next without", title = "Next picture without a caption", keys = { "ctrl+j" }, group = "Move", when = here, run = function(view)
    local before = view.project:current()
    view:go "next without"
    if view.project:current() == before then view:say("info", "no further picture without a caption") end
  end },
  { id = "previous without", title = "Previous one without", keys = { "ctrl+shift+j" }, group = "Move", when = here,
    run = function(view) view:go "previous without" end },

  { id = "look", title = "Look at it alone, or at all", keys = { "space" }, group = "Look",
    run = function(view) view:show(in_grid(view) and "single" or "grid") end },
  { id = "enter", title = "Look at it; then write", keys = { "return" }, group = "Look", when = here, run = function(view)
    if in_grid(view) then view:show "single" else view:write() end
  end },
  { id = "back", title = "Back to all; select none", keys = { "escape" }, group = "Look", run = function(view)
    if view:forget_waiting() then return end
    if not in_grid(view) then view:show "grid" else view.project:select_none() end
  end },
  { id = "nearer", again = true, title = "Larger", keys = { "ctrl+=", "ctrl++", "ctrl+shift+=", "ctrl+keypad +" }, group = "Look", when = scaled,
    run = function(view) view:nearer(1) end },
  { id = "farther", again = true, title = "Smaller", keys = { "ctrl+-", "ctrl+keypad -" }, group = "Look", when = scaled,
    run = function(view) view:nearer(-1) end },
  { id = "fit", title = "All of the picture", keys = { "ctrl+0" }, group = "Look", when = here, run = function(view)
    view.look.zoom = nil
    if view.near then view.near.near = 1 end
  end },
  { id = "whole", title = "Pixel by pixel", keys = { "ctrl+1" }, group = "Look", when = here, run = function(view)
    view:show "single"
    local _, _, scale = view.window:size()
    view.look.zoom = 1 / scale
  end },
  { id = "bucket", title = "What the trainer sees of it", keys = { "b" }, group = "Look", on = function(view) return view.show_bucket end,
    run = function(view) view.show_bucket = not view.show_bucket end },
  { id = "theme", title = "Dark or light", keys = { "ctrl+t" }, group = "Look", run = function(view) view:other_theme() end },
  { id = "fullscreen", title = "The whole screen", keys = { "f11" }, group = "Look", run = function(view)
    view.full = not view.full
    view.window:fullscreen(view.full)
  end },

  { id = "filter", title = "Filter", keys = { "ctrl+f", "alt+f" }, group = "Choose", run = function(view)
    view.filter:select_all()
    view:focus "filter"
  end },
  { id = "select all", title = "Select all that are shown", keys = { "ctrl+a" }, group = "Choose",
    run = function(view) view.project:select_all() end },
  { id = "invert", title = "Select the others", keys = { "ctrl+i" }, group = "Choose", run = function(view) view.project:invert() end },
  { id = "toggle", title = "Select it, or not", keys = { "ctrl+space", "insert" }, group = "Choose", when = here,
    run = function(view) view.project:select(view.project:current(), "toggle") end },
  { id = "extend right", again = true, title = "Select further", keys = { "shift+right" }, group = "Choose", run = extend(1) },
  { id = "extend left", again = true, title = "Select back", keys = { "shift+left" }, group = "Choose", run = extend(-1), quiet = true },
  { id = "extend down", again = true, title = "Select a row further", keys = { "shift+down" }, group = "Choose", run = extend(1, true), quiet = true },
  { id = "extend up", again = true, title = "Select a row back", keys = { "shift+up" }, group = "Choose", run = extend(-1, true), quiet = true },
  stars(1), stars(2), stars(3), stars(4), stars(5), stars(0),
  { id = "reject", title = "Put aside, or take back", keys = { "delete", "ctrl+delete" }, group = "Choose", when = here, run = function(view)
    local items, all = chosen(view), true
    for _, item in ipairs(items) do all = all and item.reject ~= nil end
    put_aside(view, items, not all and "put aside by hand" or nil)
  end },

  { id = "reject because", title = "Put aside, with a reason", keys = { "shift+delete" }, group = "Choose", when = here, run = function(view)
    local items = chosen(view)
    view:open("askbox", { title = ("Put %s aside"):format(set.count(#items)), hint = "why: blurred, watermark, another style ...",
      answers = { { "Put aside", function(reason) put_aside(view, items, reason) end } } })
  end },

  { id = "write", title = "Write its caption", keys = { "f2", "e" }, group = "Write", when = here, run = function(view) view:write() end },
  { id = "write next", title = "Keep it and write the next", keys = { "ctrl+return", "ctrl+keypad enter" }, group = "Write", when = here, run = function(view)
    view:go "next"
    view:write()
  end },
  { id = "copy", title = "Copy the caption", keys = { "ctrl+c" }, group = "Write", when = here, run = function(view)
    view.window:clipboard(view.project:current().caption)
    view.copied = view.project:current().caption
    view:say("info", "caption copied; Ctrl+V gives it to the selected pictures")
  end },
  { id = "paste", title = "Give the copied caption to the selected", keys = { "ctrl+v" }, group = "Write", when = here, run = function(view)
    local says, message = view.window:clipboard()
    if not says then return view:say("bad", message) end
    if not says or says == "" then return view:say("info", "nothing was copied") end
    local texts, items = {}, chosen(view)
    for i, item in ipairs(items) do texts[i] = { item, says } end
    local title = ("give a caption to %d"):format(#items)
    view:once_known(items, title, function() view:tell(view.project.changes:write_many(texts, title)) end)
  end },
  { id = "add", title = "Add words, or take some out", keys = { "a", "alt+t" }, group = "Write", when = here, run = function(view)
    local items, c = chosen(view), view.project.changes
    local function told(count, left)
      if count == 0 and #left == 0 then view:say("info", "no caption has that: nothing is another now")
      elseif view:tell(count, left) and count > 0 then view:say("good", set.count(count, "caption") .. " changed; Ctrl+Z takes it back") end
    end
    local function put(how)
      return function(words)
        view:once_known(items, ("Words for %s"):format(set.count(#items)), function() told(c[how](c, items, words)) end)
      end
    end
    local function take_out(words)
      local having = {}
      for _, item in ipairs(items) do if without(item.caption, words) ~= item.caption then having[#having + 1] = item end end
      if #having == 0 then return told(0, {}) end
      local title = ("take words out of %s"):format(set.count(#having, "caption"))
      view:once_known(having, title, function()
        local texts = {}
        for i, item in ipairs(having) do texts[i] = { item, without(item.caption, words) } end
        told(c:write_many(texts, title))
      end)
    end
    view:open("askbox", { title = ("Words for %s"):format(set.count(#items, "caption")), hint = "words, or a tag",
      about = function() return "Enter puts them behind what is there, after a comma." end,
      answers = { { "Put behind", put "append" }, { "Put before", put "prepend" }, { "Take out", take_out } } })
  end },
  { id = "undo", again = true, title = "Undo", keys = { "ctrl+z" }, group = "Write",
    when = function(view) return view.project.waiting[1] ~= nil or (view.project.changes:can()) ~= nil end,
    run = function(view) view:step "undo" end },
  { id = "redo", again = true, title = "Redo", keys = { "ctrl+y", "ctrl+shift+z" }, group = "Write",
    when = function(view) return select(2, view.project.changes:can()) ~= nil end,
    run = function(view) view:step "redo" end },

  { id = "menu", title = "The menu", keys = { "f10" }, group = "Program", run = function(view) view:program_menu() end },
  { id = "picture menu", title = "The menu of the picture", keys = { "shift+f10", "application" }, group = "Program", when = here, run = function(view)
    view:menu(view.spot and view.spot.x + 24, view.spot and view.spot.y + 24)
  end },
  { id = "reload", title = "Look at the files again", keys = { "f5" }, group = "Program", run = function(view)
    view.project.changes:commit()
    view:tell(view.project:reload())
  end },
  { id = "help", title = "All keys", keys = { "?", "f1", "shift+/" }, group = "Program", run = function(view) view:open "help" end },
  { id = "quit", title = "Close", keys = { "ctrl+q", "ctrl+w" }, group = "Program", run = function(view) view:leave() end },
}

for _, room in ipairs(MORE) do
  for _, row in ipairs(require("window." .. room).actions) do M.list[#M.list + 1] = row end
end

M.by_id, M.by_key = {}, {}
for _, row in ipairs(M.list) do
  M.by_id[row.id] = row
  for _, key in ipairs(row.keys or {}) do M.by_key[key] = row end
end

--- Whether it can be done now.
function M.can(view, id)
  local row = M.by_id[id]
  return not row.when or row.when(view) and true or false
end

---@param view table
---@param id string
function M.run(view, id)
  if M.can(view, id) then M.by_id[id].run(view) end
end

--- Do what a key stands for.
---@return boolean known
function M.dispatch(view, event)
  local name = view.ui.key_name(event)
  local row = M.by_key[name]
  if row and (not event.again or row.again or row.group == "Move") then M.run(view, row.id) end
  return row ~= nil
end

local SHOWN = { ["return"] = "Enter", escape = "Esc", delete = "Del", insert = "Ins", application = "Menu key", ["page up"] = "PgUp", ["page down"] = "PgDn",
  left = "\u{2190}", right = "\u{2192}", up = "\u{2191}", down = "\u{2193}" }

--- "ctrl+shift+j" as people write it: "Ctrl+Shift+J".
function M.shown_key(key)
  local parts = {}
  for part in key:gmatch "[^+]+" do parts[#parts + 1] = SHOWN[part] or #part == 1 and part:upper() or part:sub(1, 1):upper() .. part:sub(2) end
  if key:sub(-1) == "+" then parts[#parts + 1] = "+" end
  return table.concat(parts, "+")
end

--- Rows of a menu for these ids; "-" is a line.
function M.menu(view, ids)
  local rows = {}
  for _, id in ipairs(ids) do
    local row = M.by_id[id]
    if id == "-" then rows[#rows + 1] = "-"
    elseif row then
      rows[#rows + 1] = { title = row.title, keys = row.keys and M.shown_key(row.keys[1]), off = not M.can(view, id), on = row.on and row.on(view) or nil,
        run = function() M.run(view, id) end }
    end
  end
  return rows
end

return M
