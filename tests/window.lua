-- window.lua - the window of calotype view in a test: opened on a folder, moved by events from SDL's own queue, looked at.
--
--   local window = dofile "tests/window.lua"
--   window.draw(folder, 12)                           -- small pictures, each another, some with caption files
--   local view <close> = window.open(folder)          -- a window.view with .folder and .store of its own; SDL_VIDEODRIVER=dummy: nobody sees it
--   window.press(view, "ctrl+shift+j")                -- keys as actions.lua writes them
--   window.type(view, "a red door")
--   window.mouse(view, "down", 40, 60)
--   window.settle(view)                               -- until all that is seen is decoded
--   local im = window.shot(view)                      -- native.image
--   local mean, most = window.apart(im, other)
--
--   window.key(view, "c", { alt = true })             -- a key, and one pass of the drawing; no turn of the loop
--   window.until_(view, function() return box.planned end)     -- turns of a window whose child works, until then
--   window.told(view)                                 -- what the console says, one "kind text" a line
--
-- SDL reads its environment once, so what needs the dummy driver runs in a program of its own: window.part(file, environment).
local console = require "window.console"
local fs = require "native.fs"
local image = require "native.image"
local jobs = require "window.jobs"
local loaders = require "native.loader"
local log = require "native.log"
local project = require "window.project"
local script = require "native.script"
local views = require "window.view"
local windows = require "native.window"

local M = {}

M.host = (os.getenv "BUILD" or "build/release") .. "/tests/host"
M.program = fs.absolute((M.host:gsub("/tests/host$", "/calotype")))

--- Run `file` once more, with `environment` in front of the command; what failed there fails here.
function M.again(file, environment)
  local pipe = io.popen(("%s %s %s 2>&1"):format(environment, M.host, file))
  local said = pipe:read("a"):gsub("took [%d.]+ [^\n]*\n", "")
  local ended = pipe:close() -- false where something leaked
  if not ended or said:match "counts %d+ (%d+) %d+\n?$" ~= "0" then error(said, 0) end
  for line in said:gmatch "skip [^\n]+" do print(line) end
end

--- The same with the dummy driver.
function M.part(file, environment)
  M.again(file, "env -u CALOTYPE_STORE -u CALOTYPE_SCALE -u CALOTYPE_FONT SDL_VIDEODRIVER=dummy " .. environment)
end

local TEXTS = { "a red door", "a door, a step, red hair", "", "a boat on a lake", "1girl, solo, red hair", "", "two doors" }

--- `count` pictures of about `side` pixels below `folder`, the same each time, and caption files for most.
function M.draw(folder, count, side)
  side = side or 96
  os.execute(("rm -rf %s/../.calotype %s; mkdir -p %s"):format(folder, folder, folder))
  for i = 1, count do
    local width, height = side, side * (2 + i % 3) // 3
    local im = image.new(width, height, { 40 + 37 * i % 190, 60 + 71 * i % 170, 90 + 113 * i % 150 })
    im:circle(width * (1 + i % 3) // 4, height // 2, height // 4, { 250, 220 - 31 * i % 200, 120 })
    im:rect(width // 2, height // 3, width // 3, height // 4, { 20, 30 + 53 * i % 200, 60 })
    assert(im:save(("%s/p%04d.png"):format(folder, i)))
    local text = TEXTS[(i - 1) % #TEXTS + 1]
    if text ~= "" then assert(fs.write(("%s/p%04d.txt"):format(folder, i), text .. "\n")) end
  end
end

--- A window on `folder`, with a store beside it. options: width, height, loader (of native.loader).
function M.open(folder, options)
  options = options or {}
  local p = assert(project.open(folder, { store = folder .. "/../.calotype" }))
  local w = assert(windows.open { title = "test", width = options.width or 800, height = options.height or 600, least = { 400, 300 } })
  local loader = assert(loaders.open(p.store, options.loader or {}))
  local view = views.new(w, p, loader)
  view.folder = folder
  local closed = false
  function view.close()
    if closed then return end
    closed = true
    if view.job then view.job:close() end
    loader:close()
    p:close()
    w:close()
  end
  local meta = getmetatable(view)
  setmetatable(view, { __index = meta.__index, __close = view.close })
  view:turn(0)
  return view
end

--- Turns until nothing is on its way.
function M.settle(view)
  local till, still = log.clock() + 60, 0
  repeat
    view:turn(0.002)
    still = (view.pictures:waiting() or view.project:work(0)) and 0 or still + 1
    if log.clock() > till then error "the window did not come to rest in 60 s" end
  until still >= 3 or view.closed
end

function M.push(view, event)
  view.window:push(event)
  view:turn(0.2)
end

--- A key as actions.lua writes it.
function M.press(view, name)
  local event, rest = { kind = "key" }, name
  repeat
    local modifier, after = rest:match "^(%a+)%+(.+)$"
    if modifier ~= "ctrl" and modifier ~= "shift" and modifier ~= "alt" then break end
    event[modifier], rest = true, after
  until false
  event.key = rest
  M.push(view, event)
end

function M.key(view, name, more)
  local event = { kind = "key", key = name }
  for key, value in pairs(more or {}) do event[key] = value end
  view:pass(event, false)
end

function M.told(view)
  local lines = {}
  for i, line in ipairs(console.of(view).lines:shown()) do lines[i] = line.kind .. " " .. line.text end
  return table.concat(lines, "\n")
end

--- Turns of a window whose child works, until `ready`: 60 s of the clock at most.
function M.until_(view, ready)
  local till = log.clock() + 60
  while true do
    jobs.look(view)
    view.project:work()
    view:pass(nil, false)
    if ready() then return end
    if log.clock() > till then error("it did not come:\n" .. M.told(view), 2) end
    script.pause(0.02)
  end
end

function M.type(view, text) M.push(view, { kind = "text", text = text }) end

function M.mouse(view, what, x, y, more)
  local event = { kind = "mouse", what = what, x = x, y = y }
  if what == "down" or what == "up" then event.button, event.clicks = "left", 1 end
  for key, value in pairs(more or {}) do event[key] = value end
  M.push(view, event)
end

function M.click(view, x, y, more)
  M.mouse(view, "move", x, y)
  M.mouse(view, "down", x, y, more)
  M.mouse(view, "up", x, y, more)
end

--- How far two pictures are from each other in squares of 8 x 8 units: the mean of all, and the most of one, of 255. The shapes of letters,
--- which belong to the font's version, hardly move a square; a word that is elsewhere, or another colour, does.
function M.apart(a, b)
  local p = a:rgb():resize(100, 75, "area"):bytes()
  local q = b:rgb():resize(100, 75, "area"):bytes()
  local sum, most = 0, 0
  for i = 1, #p do
    local d = math.abs(p:byte(i) - q:byte(i))
    sum, most = sum + d, math.max(most, d)
  end
  return sum / #p, most
end

--- What is to be seen, painted anew.
function M.shot(view)
  view:pass()
  return assert(view.window:screenshot())
end

return M
