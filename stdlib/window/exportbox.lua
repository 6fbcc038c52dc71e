-- exportbox.lua - the dataset as a trainer wants it: what would be in the zip or the folder is shown first, then one key writes it.
--
--   view:open "exportbox"
--   exportbox.contents(items, { format = "replicate", trigger = "zkr", metadata = "lines" })
--       --> { rows = { { item, name = "door.jpg", text = "zkr, a red door", bytes = 81234 }, ... }, bytes =, without = { items }, metadata = "..." }
--   exportbox.recipe(contents, { format = "replicate", to = "out/photos.zip", trigger = "zkr" })   --> the recipe that writes it
--
-- It is written by a recipe in a child (window.jobs), which has the captions as they stand here; so the trainers' rules (names, formats, the
-- trigger once) are those of :export, and nothing is there half-written. What is put aside is left out.
local fs = require "native.fs"
local jobs = require "window.jobs"
local pictures = require "export.pictures"
local rect = require "window.rect"
local set = require "recipe.set"
local size_text = require "size_text"
local text = require "window.text"
local theme = require "window.theme"
local trigger = require "recipe.trigger"

local M = {}

-- name: of the recipe's format; file: a zip, else a folder; beside: no place is asked for
local FORMATS = {
  { name = "replicate", title = "zip for Replicate", file = true },
  { name = "kohya", title = "kohya folder" },
  { name = "sidecars", title = "folder with .txt" },
  { name = "beside", title = "beside the pictures", beside = true },
}
local METADATA = { "files", "lines" }
local LABEL = 84

-- --- what would be written ------------------------------------------------------------------------------------------------------------------

local function caption_of(item, word)
  local says = pictures.one_line(item.caption:find "%S" and item.caption or item.out or "")
  if says == "" then return nil end
  return word and (trigger.once(says, word)) or says
end

--- What goes out, in its order. Those put aside and those that cannot be read are left out.
---@param items table[]
---@param how { format: string, trigger?: string, metadata?: string, repeats?: integer, skip?: boolean }
---@return { rows: table[], bytes: integer, without: table[], aside: integer, metadata?: string, unfilled?: table } contents unfilled: says [trigger]
function M.contents(items, how)
  local kept, c = {}, { rows = {}, bytes = 0, without = {}, aside = 0 }
  for _, item in ipairs(items) do
    local says = caption_of(item, how.trigger)
    if item.reject or item.error then c.aside = c.aside + 1
    elseif not says then
      c.without[#c.without + 1] = item
      if not how.skip then kept[#kept + 1] = { item, "" } end
    else
      kept[#kept + 1] = { item, says }
      if trigger.wanted(says) then c.unfilled = c.unfilled or item end
    end
  end
  local going = {}
  for i, pair in ipairs(kept) do going[i] = pair[1] end
  local stems = pictures.stems(going)
  local folder = how.format == "kohya" and ("%d_%s/"):format(how.repeats or 1, (how.trigger or "pictures"):gsub("[^%w_ -]", "_")) or ""
  for i, pair in ipairs(kept) do
    local item = pair[1]
    local ending = item.extension == "jpeg" and "jpg" or item.extension
    if ending ~= "jpg" then ending = "png" end
    c.rows[i] = { item = item, text = pair[2], bytes = item.size or 0,
      name = how.format == "beside" and item.name:gsub("%.[^.]+$", "") .. ".txt" or folder .. stems[i] .. "." .. ending }
    c.bytes = c.bytes + (how.format == "beside" and #pair[2] + 1 or c.rows[i].bytes + #pair[2] + 1)
  end
  if how.format == "replicate" and how.metadata == "lines" then
    local sorted, lines = table.move(c.rows, 1, #c.rows, 1, {}), {}
    table.sort(sorted, function(a, b) return a.name < b.name end)
    for i, row in ipairs(sorted) do lines[i] = row.text end
    c.metadata = table.concat(lines, "\n") .. "\n"
  end
  return c
end

--- The recipe that writes it.
---@param contents table
---@param how { format: string, to?: string, trigger?: string, metadata?: string, repeats?: integer }
---@return string
function M.recipe(contents, how)
  local paths, says = {}, {}
  for i, row in ipairs(contents.rows) do
    paths[i] = ("  %q,\n"):format(row.item.path)
    says[i] = ("  [%q] = %q,\n"):format(row.item.path, row.text)
  end
  local out = { "local says = {\n", table.concat(says), "}\nlocal photos = images {\n", table.concat(paths), "}\n" }
  if how.trigger then out[#out + 1] = ("  :caption { with = sidecar {}, trigger = %q, only = function() return false end }\n"):format(how.trigger) end
  out[#out + 1] = "  :edit(function(picture)\n    picture.caption = says[picture.path]\n    return picture\n  end)\n"
  if (how.repeats or 1) ~= 1 and how.format == "kohya" then out[#out + 1] = ("  :weight(%d)\n"):format(how.repeats) end
  if how.format == "beside" then out[#out + 1] = 'photos:export { as = "sidecars", beside = true }\n'
  else
    out[#out + 1] = ("photos:export { as = %q, to = %q%s }\n"):format(how.format, how.to,
      how.metadata == "lines" and how.format == "replicate" and ', metadata = "lines"' or "")
  end
  return table.concat(out)
end

-- --- the dialog -----------------------------------------------------------------------------------------------------------------------------

local function plain(name)
  name = name:gsub("%.lua$", ""):gsub("[^%w_-]+", "_"):gsub("^_+", ""):gsub("_+$", "")
  return name ~= "" and name or "photos"
end

--- Ready for one more; what was chosen last is still there.
function M.opened(view)
  local p = view.project
  p.changes:commit()
  local kept = type(p.settings.exporting) == "table" and p.settings.exporting or {}
  local box = { format = 1, metadata = 1, scope = 1, skip = false, row = 1, tab = 1, repeats = text.new(kept.repeats or "10", { single = true }),
    trigger = text.new(p.trigger or "", { single = true }), to = {} }
  for i, format in ipairs(FORMATS) do
    if format.name == kept.format then box.format = i end
    local usual = ("out/%s%s"):format(plain(p.title), format.name == "kohya" and "-kohya" or format.file and ".zip" or "-captioned")
    box.to[i] = text.new(type(kept.to) == "table" and kept.to[format.name] or usual, { single = true })
  end
  if kept.metadata == "lines" then box.metadata = 2 end
  local scopes = { { "all", "all" } }
  if #p.order ~= #p.items then scopes[#scopes + 1] = { ("shown (%d)"):format(#p.order), "filtered" } end
  if next(p.selected) then scopes[#scopes + 1] = { ("selected (%d)"):format(#p:selection()), "selected" } end
  box.scopes = scopes
  view.exporting = box
  view.ui.focus = nil
end

local function typed(document)
  local says = document:text():match "^%s*(.-)%s*$"
  return says ~= "" and says or nil
end

local function how_of(box)
  local format = FORMATS[box.format]
  return { format = format.name, to = not format.beside and typed(box.to[box.format]) or nil, trigger = typed(box.trigger), metadata = METADATA[box.metadata],
    repeats = math.tointeger(tonumber(box.repeats:text())), skip = box.skip }
end

-- What would be written; made again when anything that it depends on is another.
local function contents(view)
  local box, p = view.exporting, view.project
  local how = how_of(box)
  local key = table.concat({ how.format, how.trigger or "", how.metadata, tostring(how.repeats), tostring(how.skip), box.scope, p.version }, "\0")
  if box.made ~= key then box.made, box.contents = key, M.contents(p:scope(box.scopes[box.scope][2]), how) end
  return box.contents, how
end

-- Why it cannot be written as it is; nil when it can.
local function trouble(view, c, how)
  local format = FORMATS[view.exporting.format]
  if view.job then return "something is at work already" end
  if #c.rows == 0 then return "no picture is left to write" .. (c.aside > 0 and (": %d put aside or unreadable"):format(c.aside) or "") end
  if #c.without > 0 and not how.skip then
    return ("%s no caption, the first is %s"):format(#c.without == 1 and "1 picture has" or #c.without .. " pictures have", c.without[1].name)
  end
  if c.unfilled and not format.beside then return ("the caption of %s has [trigger]: say above what it is"):format(c.unfilled.name) end
  if not format.beside and not how.to then return "name the place it is written to" end
  if format.file and not how.to:lower():find "%.zip$" then return "the name of a zip ends with .zip" end
  if format.name == "kohya" and not (how.repeats and how.repeats >= 1 and how.repeats <= 1000) then return "repeats are a whole number, 1 to 1000" end
  if how.trigger and how.trigger:find "%s" and how.trigger:find "[\n\r]" then return "the trigger is a word" end
end

local function write(view, c, how)
  local p, box = view.project, view.exporting
  local places = {}
  for i, format in ipairs(FORMATS) do places[format.name] = typed(box.to[i]) end
  p.settings.exporting = { format = how.format, metadata = how.metadata, repeats = box.repeats:text(), to = places }
  if how.trigger then p.settings.trigger, p.trigger = how.trigger, how.trigger end
  local job, message = jobs.start(view, { title = "export", recipe = M.recipe(c, how), about = "Writing " .. (how.to or "captions beside the pictures"),
    total = #c.rows, ended = function(_, code, words)
      if code ~= 0 then return words .. "; what was there before is as it was" end
      local info = how.to and fs.grant(how.to, "read") and fs.stat(how.to)
      if how.format == "beside" then p:refresh(p.items, true) end
      return ("%s%s: %s"):format(how.to or "beside the pictures", info and info.kind == "file" and ", " .. size_text(info.size) or "",
        set.count(#c.rows, how.format == "beside" and "caption" or "picture"))
    end })
  if not job then view:say("bad", message) end
end

-- What is there already is asked about.
local function begin(view, c, how)
  local info = how.to and fs.grant(how.to, "read") and fs.stat(how.to)
  if not info then return write(view, c, how) end
  local about
  if info.kind == "file" then about = ("%s has %s. Until the new one is whole it stays as it is."):format(how.to, size_text(info.size))
  else
    local list = fs.list(how.to) or {}
    if #list == 0 then return write(view, c, how) end
    about = ("The folder %s has %s. Files of the same names are written anew, others stay."):format(how.to, set.count(#list, "entry", "entries"))
  end
  view:open("choosebox", { title = how.to:match "[^/]+$" .. " is there already", about = about, answers = {
    { "Write over it", function() write(view, c, how) end },
    { "Another name", function()
      local made = view.exporting
      view.dialog = M
      view.exporting = made
      view.ui.focus = "export to"
    end } } })
end

local function wishes(view, area)
  local ui, box, said = view.ui, view.exporting, nil
  local function line(label)
    local r = rect.top(area, 30, 6)
    ui:label(rect.left(r, LABEL), label, { color = ui.theme.faint })
    return r
  end
  local names = {}
  for i, format in ipairs(FORMATS) do names[i] = format.title end
  box.format = ui:tabs("export format", line "as", names, box.format)
  local format = FORMATS[box.format]
  if #box.scopes > 1 then
    for i, scope in ipairs(box.scopes) do names[i] = scope[1] end
    box.scope = ui:tabs("export scope", line "of", table.move(names, 1, #box.scopes, 1, {}), box.scope)
  end
  if not format.beside then said = ui:field("export to", line "to", box.to[box.format], { hint = format.file and "out/photos.zip" or "out/photos" }) end
  local r = line "trigger"
  said = ui:field("export trigger", rect.left(r, 220, 16), box.trigger, { hint = "none" }) or said
  if format.name == "replicate" then
    ui:label(rect.left(r, 66), "captions", { color = ui.theme.faint })
    box.metadata = ui:tabs("export metadata", r, { "a .txt for each", "metadata.txt" }, box.metadata)
  elseif format.name == "kohya" then
    ui:label(rect.left(r, 66), "repeats", { color = ui.theme.faint })
    said = ui:field("export repeats", rect.left(r, 80), box.repeats, {}) or said
  elseif format.beside then
    local p = view.project
    local changed
    p.settings.beside, changed = ui:check("export beside", r, "from now on, every caption written here too", p.settings.beside == true,
      { tip = "a caption that is written in the window goes into a file beside its picture at once" })
    if changed then p:keep() end
  end
  return said
end

-- True when Enter was pressed in it, which is the button's.
local function preview(view, area, c, how)
  local ui, box = view.ui, view.exporting
  ui.w:round(area.x, area.y, area.width, area.height, theme.size.radius, ui.theme.well)
  local inner = rect.inset(area, 6)
  if c.metadata then
    box.tab = ui:tabs("export preview", rect.top(inner, 26, 4), { "what is in it", "metadata.txt" }, box.tab)
  end
  if c.metadata and box.tab == 2 then
    local lines = {}
    for one in c.metadata:gmatch "([^\n]*)\n" do lines[#lines + 1] = one end
    ui:rows("export lines", inner, #lines, 22, 0, function(i, r)
      local row = rect.inset(r, 6, 0)
      ui:label(rect.left(row, 40), tostring(i), { size = theme.size.small, color = ui.theme.disabled })
      ui:label(row, lines[i], { size = theme.size.small })
    end)
    return
  end
  local did, event
  box.row, did, event = ui:rows("export rows", inner, #c.rows, 24, math.min(box.row, #c.rows), function(i, r)
    local row, place = c.rows[i], rect.inset(r, 6, 0)
    ui:label(rect.left(place, 200, 10), row.name, { size = theme.size.small, cut = "left" })
    if how.format ~= "beside" then
      ui:label(rect.right(place, 70, 8), size_text(row.bytes), { size = theme.size.small, color = ui.theme.faint, align = "right" })
    end
    ui:label(place, row.text ~= "" and row.text or "no caption", { size = theme.size.small, color = row.text ~= "" and ui.theme.faint or ui.theme.bad })
    if ui:over(r) and row.text ~= "" then ui:tip(r, row.text) end
  end)
  return did == "taken" and not event
end

--- Draw it; true when it was closed.
---@return boolean closed
function M.draw(view)
  local ui, box, go = view.ui, view.exporting, false
  local left
  local closed = ui:dialog("export", 780, 580, "Export", function(area)
    local said = wishes(view, area)
    local c, how = contents(view)
    local foot = rect.bottom(area, 30, 8)
    local wrong = trouble(view, c, how)
    if #c.without > 0 then
      box.skip = ui:check("export skip", rect.bottom(area, 26, 4), ("leave out what has no caption (%d)"):format(#c.without), box.skip)
    end
    local entered = preview(view, area, c, how)
    if ui:button("export go", rect.right(foot, 110, 10), "Write it", { off = wrong ~= nil, first = true, keys = "Enter" }) then go = true end
    if not wrong and (said == "enter" or entered or ui:take("return", "keypad enter")) then go = true end
    local words = ("%s%s, about %s%s"):format(set.count(#c.rows, how.format == "beside" and "caption" or "picture"),
      how.format == "replicate" and (c.metadata and " and metadata.txt" or " and as many .txt") or how.format == "beside" and "" or " with captions",
      size_text(c.bytes), c.aside > 0 and ("; %d put aside are left out"):format(c.aside) or "")
    ui:label(foot, wrong or words, { color = wrong and ui.theme.warning or ui.theme.faint })
    left = said == "escape"
  end)
  if not go then
    if closed or left then ui.focus = nil end
    return closed or left or false
  end
  ui.focus, view.dialog = nil, nil
  begin(view, contents(view))
  return view.dialog == nil
end

M.actions = {
  { id = "export", title = "Export: a zip or folder for a trainer", keys = { "ctrl+e", "ctrl+shift+s" }, group = "Program",
    when = function(view) return #view.project.items > 0 end, run = function(view) view:open "exportbox" end },
  { id = "beside", title = "Write captions in files beside, too", group = "Write", keys = { "ctrl+shift+b" },
    on = function(view) return view.project.settings.beside == true end, run = function(view)
      local s = view.project.settings
      s.beside = not s.beside
      view.project:keep()
      view:say("info", s.beside and "captions that are written here go into files beside the pictures, too"
        or "captions stay in the store; files that are there are kept as they are written")
    end },
}

return M
