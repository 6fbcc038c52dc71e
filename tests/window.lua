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
-- SDL reads its environment once, so what needs the dummy driver runs in a program of its own: window.part(file, name, environment).
local fs = require "native.fs"
local image = require "native.image"
local loaders = require "native.loader"
local log = require "native.log"
local project = require "window.project"
local views = require "window.view"
local windows = require "native.window"

local M = {}

--- Run `file` once more, with the dummy driver and `environment`; what failed there fails here.
function M.part(file, environment)
  local program = (os.getenv "BUILD" or "build/release") .. "/tests/host"
  local pipe = io.popen(("env -u CALOTYPE_STORE -u CALOTYPE_SCALE -u CALOTYPE_FONT SDL_VIDEODRIVER=dummy %s %s %s 2>&1"):format(environment, program, file))
  local said = pipe:read "a"
  local ended = pipe:close() -- false where something leaked
  if not ended or said:match "counts %d+ (%d+) %d+\n?$" ~= "0" then error(said, 0) end
  for line in said:gmatch "skip [^\n]+" do print(line) end
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
