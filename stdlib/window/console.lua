-- console.lua - the pane at the bottom: what was told, each request that was sent, the lines of programs at work; and their progress.
--
--   console.tell(view, "warning", "door.jpg: no caption", { from = "captions" })
--   console.look(view)                   -- what is new in the store's requests.log; called in each turn of the loop
--   console.draw(view, area)
--
-- It stays at its end, unless a person scrolled up. Lines are bounded (MOST); the log's older ones stay in its file.
local lines_of = require "window.lines"
local log = require "native.log"
local rect = require "window.rect"
local set = require "recipe.set"
local theme = require "window.theme"

local M = {}

local MOST = 4000 -- lines
local LINE = 20
local EVERY = 0.5 -- seconds between two looks at the log
local PART = 256 << 10 -- bytes of it at a time
local TAIL = 64 << 10 -- of what was there when the window opened

local function of(view)
  local c = view.console
  if not c then
    c = { lines = lines_of.new(MOST), high = view.project.settings.console_high or 220, open = view.project.settings.console == true, unseen = 0, stick = true }
    view.console = c
  end
  return c
end
M.of = of

--- Kinds are those of the window's sayings: info, good | success, warning, bad | error; and request.
function M.tell(view, kind, text, more)
  local c = of(view)
  kind = kind == "success" and "good" or kind == "error" and "bad" or kind
  c.lines:add(kind, text, more)
  if not c.open and (kind == "bad" or kind == "warning") then c.unseen = c.unseen + 1 end
end

-- Its end, when it is looked at for the first time or was made anew; then what came since.
local function read_log(view)
  local c = of(view)
  local bytes, size = view.project.store:requests(c.read or 0, PART)
  if not bytes then return M.tell(view, "warning", "the log of requests cannot be read: " .. size) end
  local cut = false
  if not c.read and size > TAIL or size < (c.read or 0) then
    c.read, c.lines.rest = math.max(size - TAIL, 0), ""
    cut = c.read > 0
    bytes = view.project.store:requests(c.read, PART) or ""
  end
  c.read = (c.read or 0) + #bytes
  if cut then bytes = bytes:match "\n(.*)" or "" end -- the rest of a line whose beginning was left
  if bytes ~= "" then c.lines:new_requests(bytes) end
end

--- Look at the log when it is time. True when there is something new to see.
---@return boolean
function M.look(view)
  local c, now = of(view), log.clock()
  if not c.open or c.looked and now - c.looked < EVERY then return false end
  c.looked = now
  local version = c.lines.version
  read_log(view)
  return c.lines.version ~= version
end

function M.toggle(view)
  local c = of(view)
  c.open, c.unseen = not c.open, 0
  c.looked, c.stick = nil, true
  view.project.settings.console = c.open
  view.ui.focus = c.open and "console rows" or nil
end

local function copy(view, list)
  if #list == 0 then return end
  view.window:clipboard(lines_of.text(list))
  view.ui:say("info", #list == 1 and "line copied" or set.count(#list, "line") .. " copied")
end

local function color_of(ui, line)
  if line.kind == "request" then return line.trouble and ui.theme.warning or ui.theme.faint end
  return line.kind == "info" and ui.theme.text or ui.theme[line.kind]
end

local function head(view, area)
  local ui, c = view.ui, of(view)
  if ui:button("console close", rect.right(area, 30, 6), "\u{D7}", { quiet = true, tip = "close the console", keys = "F12" }) then M.toggle(view) end
  if ui:button("console copy", rect.right(area, ui:button_width "Copy all", 6), "Copy all", { quiet = true, keys = "Ctrl+Shift+C",
    off = #c.lines:shown() == 0, tip = "all lines that are shown; Ctrl+C copies the chosen one" }) then copy(view, c.lines:shown()) end
  for _, kind in ipairs(lines_of.kinds) do
    local count = c.lines:count(kind)
    local words = count > 0 and ("%s %d"):format(lines_of.names[kind], count) or lines_of.names[kind]
    local on = not c.lines.hidden[kind]
    if ui:button("console " .. kind, rect.left(area, ui:button_width(words), 6), words, { on = on, quiet = not on,
      color = not on and ui.theme.disabled or kind ~= "request" and kind ~= "info" and ui.theme[kind] or nil,
      tip = (on and "hide" or "show") .. " these lines" }) then c.lines:show(kind, not on) end
  end
end

--- Draw the pane.
function M.draw(view, area)
  local ui, c = view.ui, of(view)
  ui.w:fill(area.x, area.y, area.width, area.height, ui.theme.panel)
  c.high = c.high - ui:splitter("console", rect.top(area, 1))
  local inner = rect.inset(area, 8, 4)
  head(view, rect.top(inner, 26, 4))
  ui.w:round(inner.x, inner.y, inner.width, inner.height, theme.size.radius, ui.theme.well)
  local list, well = c.lines:shown(), rect.inset(inner, 2)
  if #list == 0 then
    ui:label(rect.inset(rect.top(rect.copy(well), LINE), 6, 0), "nothing was told yet", { color = ui.theme.disabled, size = theme.size.small })
  end
  if ui.focus == "console rows" then
    local key = ui:take("ctrl+c", "ctrl+insert", "ctrl+shift+c", "escape")
    if key == "ctrl+shift+c" or key and key ~= "escape" and not list[c.row or 0] then copy(view, list)
    elseif key == "escape" then
      if c.row then c.row, c.stick = nil, true else ui.focus = nil end
    elseif key then copy(view, { list[c.row] }) end
  end
  local kept, most = ui:kept "console rows", math.max(#list * LINE - well.height, 0)
  if c.stick then kept.offset = most end
  if c.row and c.drawn ~= c.lines.version then -- the chosen line is the same one, wherever it stands now
    local at
    for i = #list, 1, -1 do if list[i] == c.chosen then at = i end end
    c.row = at
  end
  c.drawn = c.lines.version
  local from_end = not c.row and #list + 1 or c.row
  local row, what = ui:rows("console rows", well, #list, LINE, from_end, function(i, r)
    local line, place = list[i], rect.inset(r, 6, 0)
    ui:label(rect.left(place, 66), line.time, { size = theme.size.small, color = ui.theme.disabled, mono = true })
    local words = lines_of.words(line)
    local width = ui:label(place, words, { size = theme.size.small, color = color_of(ui, line) })
    if width > place.width - 20 and ui:over(r) then ui:tip(r, words) end
  end)
  if what then
    c.row, c.chosen = math.min(row, #list), list[math.min(row, #list)]
  end
  c.stick = kept.offset >= most - 1
end

--- How high it is in a window of this height.
function M.height(view, height)
  local c = of(view)
  c.high = math.min(math.max(c.high, 90), math.max(height - 240, 90))
  return math.floor(c.high)
end

--- What is kept for the next time.
function M.keep(view)
  local c = of(view)
  view.project.settings.console, view.project.settings.console_high = c.open, math.floor(c.high)
end

M.actions = {
  { id = "console", title = "The console: what was told", keys = { "f12", "ctrl+`" }, group = "Look",
    on = function(view) return of(view).open end, run = M.toggle },
}

return M
