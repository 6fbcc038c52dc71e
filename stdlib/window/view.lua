-- view.lua - `calotype view FOLDER`: the window. Events come in, the model changes, and what changed is drawn.
--
--   view.run { words = { "photos" }, params = {} }     --> 0
--
-- One event is one pass through all that is on the screen (window.ui). What a pass wants done is an action (window.actions); what an action
-- changes is the project (window.project), which keeps it at once.
local actions = require "window.actions"
local bars = require "window.bars"
local compare = require "window.compare"
local completion = require "window.completion"
local console = require "window.console"
local editor = require "window.editor"
local grid = require "window.grid"
local jobs = require "window.jobs"
local loaders = require "native.loader"
local log = require "native.log"
local pictures = require "window.pictures"
local preview = require "window.preview"
local project = require "window.project"
local reading = require "window.reading"
local rect = require "window.rect"
local run = require "window.run"
local script = require "native.script"
local set = require "recipe.set"
local sidepane = require "window.sidepane"
local single = require "window.single"
local text = require "window.text"
local theme = require "window.theme"
local training = require "window.training"
local UI = require "window.ui"
local watch = require "window.watch"
local windows = require "native.window"

local M = {}

M.help = [[
calotype view FOLDER|PICTURE|recipe.lua|LORA.safetensors [base=FOLDER] [trigger=WORD]

Look at the pictures, write their captions, choose among them. What is done here is kept at once, in the project's store, and can be undone,
also tomorrow. ? shows all keys. Of a recipe what it would train on is shown, nobody is asked for captions; of a LoRA or the
folder of its checkpoints how the training went, or goes just now.

base=models/sd15 counts tokens as that base does, trigger=WORD marks the word; both are remembered, base= and trigger= forget them.]]

local FRAME = 1 / 60 -- seconds
local REST = 1 -- seconds without anything to do, until files are looked at again
local MOST_REFUSED = 20 -- turns that follow each other
local MOST_EVENTS = 256 -- in one go

---@class calotype.view
local View = {}
View.__index = View

local SCREENS = { grid = grid, single = single, compare = compare, training = training }

local function fail(message, hint, exit) script.fail { message = message, hint = hint, source = false, exit = exit or 2 } end

-- --- what actions use -----------------------------------------------------------------------------------------------------------------------

--- Go to another picture; what was being written is kept.
function View:go(where)
  local did, message = self.project.changes:commit()
  if did == nil then self:say("bad", ("%s; what you wrote is kept as a draft"):format(message)) end
  self.project:go(where)
end

function View:show(screen)
  self.screen = screen
  if screen == "grid" then self.shown_at = nil end
end

--- Close; texts that could not be kept are told first, and a second time closes all the same.
function View:leave()
  if editor.unkept(self) and not self.warned then
    self.warned = true
    return self:say("bad", ("%s cannot be kept: %s. Copy what you wrote, or close once more to lose it"):format(
      "what you wrote", self.editor.trouble or "the store refused it"))
  end
  local step = self.project.waiting[1]
  if step and not self.warned then
    self.warned = true
    return self:say("warning", ("%s: %s. Wait, or close once more to leave it undone"):format(step.title, (reading.how_far(step))))
  end
  self.closed = true
end

--- Write the caption of the current picture.
function View:write()
  self.ui.focus, self.ui.by_keyboard = "caption", false
  self.editor.item = nil -- the caret goes to the end
end

function View:focus(id) self.ui.focus, self.ui.by_keyboard = id, false end

--- Say something below; it goes by itself.
function View:say(kind, words)
  console.tell(self, kind, words)
  self.ui:say(kind == "error" and "bad" or kind == "success" and "good" or kind, words)
end

--- What the model answered: nothing when it went well, else the reason.
function View:tell(ok, message)
  if ok == nil and message then self:say("bad", message) end
  return ok
end

--- A step on pictures: at once, or when their files are read, or in slices (window/reading.lua); the bar says how far that is.
function View:once_known(items, title, fn, way)
  if not self.project:once_known(items, title, fn, way) then self.ui.moving = true end
end

--- What a plan shows (window/replace.lua), as a step; `said` when it is done.
function View:replace(plan, said)
  local items = {}
  for i, row in ipairs(plan.rows) do items[i] = row.item end
  self:once_known(items, plan.title, function()
    if self:tell(self.project.changes:replace(plan)) and said then self:say("good", said) end
  end)
end

--- The step that waits, if one does, is not done.
---@return boolean?
function View:forget_waiting()
  local title = self.project:forget_waiting()
  if not title then return false end
  self:say("info", "not done: " .. title)
  return true
end

local function step_back(self, way)
  local done, message = self.project.changes[way](self.project.changes)
  if not done then return self:say("info", message) end
  local left = done.left and #done.left or 0
  self:show_one_of(done.items)
  self:say("info", ("%s: %s%s"):format(way == "undo" and "undone" or "done again", done.title,
    left > 0 and ("; %s left, which says something else by now"):format(set.count(left)) or ""))
end

--- Undo or redo, and say what that was. A step that waits is the last one: it is not done, unless it goes the same way.
function View:step(way)
  local p = self.project
  local last = p.waiting[#p.waiting]
  if last and last.way ~= way and self:forget_waiting() then return end
  self:once_known({}, way == "undo" and "Undo" or "Redo", function() step_back(self, way) end, way)
end

--- Go to one of these pictures, unless one is at one of them: what was changed elsewhere is to be seen.
function View:show_one_of(items)
  local p, among = self.project, {}
  for _, item in ipairs(items or {}) do among[item] = true end
  if not next(among) or among[p:current()] then return end
  for i, item in ipairs(p.order) do if among[item] then return self:go(i) end end
end

--- Show what the filter's box asks for; what is wrong with it is said there.
function View:look_for()
  local ok, message = self.project:filter(self.filter:text())
  self.filter_trouble = not ok and message or nil
end

--- The filter is empty again.
function View:show_all()
  self.filter:set ""
  self.ui.focus = nil
  self:look_for()
end

--- Nearer or farther: the picture, or the size of all.
function View:nearer(by)
  if self.screen == "compare" or self.screen == "training" and self.sampled then return compare.zoom(self, 1.25 ^ by) end
  if self.screen == "single" then return single.zoom(self, 1.25 ^ by) end
  for i, size in ipairs(grid.sizes) do
    if size == self.thumb then
      self.thumb = grid.sizes[math.min(math.max(i + by, 1), #grid.sizes)]
      break
    end
  end
  self.shown_at = nil
end

function View:other_theme()
  self.ui.theme = theme.other(self.ui.theme)
end

--- A dialog: a module of window with draw(view), which says when it is closed.
function View:open(name, ...)
  self.dialog = require("window." .. name)
  if self.dialog.opened then self.dialog.opened(self, ...) end
end

local PICTURE = { "look", "compare", "bucket", "write", "caption", "score", "-", "copy", "paste", "add", "-", "star 5", "star 3", "star 1", "star 0", "reject",
  "reject because", "-", "select all", "invert", "-", "undo", "redo" }
local PROGRAM = { "caption", "score", "add", "replace", "twins", "next without", "-", "undo", "redo", "-", "look", "compare", "bucket", "training", "-",
  "export", "beside", "train", "job stop", "-", "console", "theme", "fullscreen", "reload", "-", "filter help", "help", "quit" }

--- The menu of a picture, at the mouse or at x, y.
function View:menu(x, y)
  self.ui.focus = nil
  self.ui:open_menu(actions.menu(self, PICTURE), x, y)
end

--- The menu of the program, below its button. What belongs to a training is named where there is one.
function View:program_menu(place)
  local ids = {}
  for _, id in ipairs(PROGRAM) do
    if id ~= "training" and id ~= "train" and id ~= "job stop" or actions.can(self, id) then ids[#ids + 1] = id end
  end
  self.ui.focus = nil
  self.ui:open_menu(actions.menu(self, ids), place and place.x or 8, place and place.y + place.height + 2 or theme.size.bar)
end

--- Measure the picture, once.
function View:measure(item)
  self.measured = self.measured or {}
  if self.measured[item] then return end
  self.measured[item] = true
  self.pictures:ask(item, "measure", 15)
end

-- --- the screen -----------------------------------------------------------------------------------------------------------------------------

--- One pass: everything is asked, and painted unless it is dry.
function View:pass(event, dry)
  local ui, p = self.ui, self.project
  ui.blinks, ui.moving = false, false
  ui:begin(event, dry)
  local area = rect.copy(ui.screen)
  bars.top(self, rect.top(area, theme.size.bar))
  bars.status(self, rect.bottom(area, 22))
  if self.job then jobs.bar(self, rect.bottom(area, 34)) end
  if p.waiting[1] then bars.waiting(self, rect.bottom(area, 34)) end
  if console.of(self).open then console.draw(self, rect.bottom(area, console.height(self, ui.screen.height))) end
  if SCREENS[self.screen].whole then
    SCREENS[self.screen].draw(self, area)
  else
    local side = rect.right(area, math.min(math.max(self.side, 220), area.width - 320))
    self.side = self.side - ui:splitter("side", rect.right(area, 1), true)
    SCREENS[self.screen].draw(self, area)
    editor.draw(self, rect.top(side, math.min(math.max(self.written, 120), side.height - 120)))
    self.written = self.written + ui:splitter("written", rect.top(side, 1))
    sidepane.draw(self, side)
  end
  completion.draw(self)
  local acted, menu = false, ui.menu
  if self.dialog and self.dialog.draw(self) then self.dialog, acted = nil, true end
  if ui.typed == "?" and not ui.modal then self:open "help" end
  for key in ui:keys() do acted = actions.dispatch(self, key) or acted end
  ui:finish()
  if not dry then self.pictures:rest() end
  self.again = self.again or event ~= nil and (event.kind ~= "mouse" or event.what ~= "move")
  if not dry and self.again then -- what a widget drawn late did is seen in all that is drawn before it: what a dialog covered, a menu changed
    self.again, ui.moving = false, true
  end
  if acted or menu and not ui.menu then self:pass(nil, dry) end -- what an action changed is seen, and who has the keyboard now gets the next letter
end

-- --- the loop -------------------------------------------------------------------------------------------------------------------------------

-- All events that wait; of mouse moves that follow each other the last.
local function gather(w, seconds)
  local events = {}
  local event = w:event(seconds)
  while event do
    local last = events[#events]
    if last and last.kind == "mouse" and last.what == "move" and event.kind == "mouse" and event.what == "move" then events[#events] = event
    else events[#events + 1] = event end
    if #events >= MOST_EVENTS then break end
    event = w:event(0)
  end
  return events
end

local AT_A_TIME, NEEDED = 64, 12 -- files on their way; the urgency of those that a step waits for, below what is to be seen

-- Pictures whose content nobody knows yet, a few at a time; first those that a step waits for.
local function identify(self)
  local p = self.project
  local function ask(wishes, urgency)
    for _, wish in ipairs(wishes) do
      if self.pictures:ask(wish.item, wish.what, urgency) then self.identifying[wish.item] = true else p:unread(wish.item) end
    end
  end
  ask(p:needed(AT_A_TIME), NEEDED)
  if not next(self.identifying) then ask(p:wanted(AT_A_TIME)) end
end

local function contains(list, wanted)
  for _, item in ipairs(list) do if item == wanted then return true end end
  return false
end

--- What came since the last turn is done, and what is another now is painted.
---@param wait? number seconds to wait for an event at most
function View:turn(wait)
  local w, p = self.window, self.project
  local events = gather(w, wait or self.wait)
  local stale = false -- something is to be seen that was not painted yet
  local _, came = self.pictures:arrive(function(answer, item)
    self.identifying[item] = nil
    p:learn(item, answer)
    if item == p:current() or contains(self.visible, item) then stale = true end
  end)
  local painted, version = false, p.version -- what a pass changes was painted only in part
  for i, event in ipairs(events) do
    if event.kind == "quit" then
      self.gone = self.gone or event.gone -- nobody can be asked
      self.interrupted = self.interrupted or event.signal
      if event.signal or event.gone then self.closed, self.signalled = true, true else self:leave() end
    elseif event.kind == "reset" then self.pictures:lost()
    elseif event.kind == "drop" or event.kind == "dropped" then self:dropped(event)
    else
      self:pass(event, i < #events)
      painted = i == #events
    end
    if self.closed and jobs.holds(self, self.signalled) then self.closed, self.signalled, painted = false, nil, false end
    if self.closed then return end
  end
  identify(self)
  local now = log.clock()
  editor.tick(self)
  local new = jobs.look(self) -- before the files are looked at: what it wrote is no news
  self.watch:look(self.visible, now)
  if preview.follow(p, now) then w:title(p.title) end
  local busy = p:work(0.004)
  for _, news in ipairs(p:told()) do self:say(news.kind, news.text) end
  local change = self.ui:next_change()
  new = console.look(self) or new
  new = training.look(self) or new
  stale = stale or came > 0 or #events > 0 or self.ui.moving or self.due and now >= self.due
  if not painted and (stale or new or p.version ~= self.version) then
    version = p.version
    self:pass(nil, false)
    painted, new, change = true, false, self.ui:next_change()
  end
  if painted then self.version = not new and version or nil end
  local rest = math.min(self.ui.blinks and 0.53 or REST, change or REST, self.job and 0.1 or REST)
  self.due = now + rest
  self.wait = p.waiting[1] and FRAME / 4 or (busy or self.ui.moving or p.version ~= self.version) and FRAME or self.pictures:waiting() and FRAME or rest
end

--- Until it is closed. What the world refused (a store in use, a disk that is full) and nobody asked about is told, and the window stays; a
--- fault of the program ends it, and what was typed is kept by then.
function View:loop()
  local refused = 0
  while not self.closed do
    local ok, problem = pcall(self.turn, self)
    if ok then refused = 0
    elseif type(problem) == "table" and problem.message and problem.code and refused < MOST_REFUSED then
      refused = refused + 1
      pcall(self.window.show, self.window) -- the frame in which it was refused is over; the next turn paints it whole
      self:say("bad", problem.message)
      script.pause(0.05)
    elseif type(problem) == "table" and problem.message and problem.code then
      fail(problem.message, "what was written is kept", problem.code == "BUSY" and 75 or 1)
    else error(problem, 0) end
  end
end

--- Files and folders that were dropped on the window.
function View:dropped(event)
  if event.kind == "drop" then
    self.drops = self.drops or {}
    table.insert(self.drops, event.path)
  elseif self.drops then
    local drops = self.drops
    self.drops = nil
    self:open("dropbox", drops)
  end
end

--- A view of an open project in an open window.
---@return calotype.view
function M.new(w, p, loader)
  local settings = p.settings
  local self = setmetatable({ window = w, project = p, loader = loader, screen = settings.screen or "grid", thumb = settings.thumb or 160,
    side = settings.side or 340, written = settings.written or 240, look = {}, editor = {}, identifying = {}, wait = 0,
    show_bucket = settings.bucket or settings.bucket == nil and p.kind ~= "folder",
    visible = {}, filter = text.new(settings.filter or ""),
    ui = UI.new(w, theme[settings.theme] or theme.dark), pictures = pictures.new(w, loader), watch = watch.new(p),
    tokens = p.tokens, run = p.run and run.new(p.run) or nil }, View)
  if self.run then self.run:look(p.store, log.clock()) end
  if p.kind == "run" and not settings.screen then self.screen = "training" end
  local gone = self.screen == "training" and not self.run or self.screen == "compare" -- what was compared is not known any more
  if gone or not SCREENS[self.screen] then self.screen = "grid" end
  return self
end

--- The window's size as it was left, in units.
---@param settings table
---@return integer width, integer height
function M.size(settings)
  local function side(value, least, usual) return math.type(value) == "integer" and value >= least and value <= 16384 and value or usual end
  return side(settings.width, 800, 1280), side(settings.height, 600, 800)
end

--- What is kept for the next time.
function View:keep()
  local settings = self.project.settings
  settings.screen, settings.thumb, settings.side, settings.written = self.screen, self.thumb, self.side, self.written
  settings.theme, settings.bucket = self.ui.theme.name, self.show_bucket
  settings.tab = self.pane and self.pane.tab or settings.tab
  if not self.full then
    local width, height = self.window:size()
    settings.width, settings.height = math.floor(width), math.floor(height)
  end
  console.keep(self)
  self.project:keep()
end

-- The window goes first: a picture that is being decoded is waited for by nobody. Text that the store takes not even now goes to the terminal,
-- where it can be copied.
local function close(view)
  local p = view.project
  view.window:close()
  preview.gone(p)
  for _, step in ipairs(p.waiting) do log.say("warning", ("not done: %s: %s"):format(step.title, (reading.how_far(step)))) end
  for _, lost in ipairs(p:close()) do
    log.say("error", lost.discarded and ("%s: %s. What was discarded is in the store still, and comes back"):format(lost.path, lost.why)
      or ("%s: %s. What was written and is kept nowhere:\n%s"):format(lost.path, lost.why, lost.text))
    view.exit = 1
  end
  view.loader:close()
end

---@param options { words: string[], params: table<string, string> }
---@return integer exit
function M.run(options)
  local word = options.words[1]
  if options.params.job then return jobs.run { job = options.params.job, plan = options.params.plan == "yes" } end
  if #options.words > 1 then fail(("calotype view opens one thing: '%s' is one too many"):format(options.words[2]), "a folder is all its pictures") end
  local there, missing = windows.display() -- before anything is opened, or made
  if not there then fail(missing, nil, 1) end
  local store = script.env "CALOTYPE_STORE" or ".calotype"
  local p, message, code, fault = project.open(word, { store = store, params = options.params, say = function(line) log.say("info", line) end })
  if fault then error(fault, 0) end
  if not p then fail(message, nil, code == "DENIED" and 3 or code == "BUSY" and 75 or 1) end
  local w, loader
  local width, height = M.size(p.settings)
  w, message, code = windows.open { title = p.title, width = width, height = height, least = { 800, 600 } }
  if not w then
    p:close()
    fail(message, code == "MISSING" and "a recipe's :sheet { to = \"sheet.png\" } shows the pictures without a window" or nil, 1)
  end
  loader, message = loaders.open(p.store, {})
  if not loader then
    w:close()
    p:close()
    fail(message, nil, 1)
  end
  local view = M.new(w, p, loader)
  do
    local closing <close> = setmetatable({}, { __close = function() close(view) end }) -- luacheck: ignore
    view:loop()
    view:keep()
    if view.gone then
      log.say("error", "the display went away, and the window with it; what was written is kept, the same command goes on with it")
      view.exit = 1
    end
  end
  return view.exit or view.interrupted and 130 or 0
end

return M
