-- A window that a person, and other programs, never leave alone: keys, words, the mouse, sizes, drops, other hands in the files, closing and
-- opening, by chance, on SDL's dummy display. Nothing may be raised, what nobody else wrote is led back and on again, and the memory that it
-- holds comes to a level.
--
--   make MODE=asan tests && CALOTYPE_SOAK_SECONDS=600 CALOTYPE_SOAK_SEED=7 BUILD=build/asan T=window_soak tests/run.sh
--
-- CALOTYPE_SOAK_PICTURES=FOLDER: copies of these pictures are among the drawn ones. The memory's curve is printed for a minute and more.
-- This file is also the program that does it (SOAK_PART), in a folder of its own, where it may write.
local fs = require "native.fs"
local hash = require "native.hash"

local SECONDS = tonumber(os.getenv "CALOTYPE_SOAK_SECONDS") or 4
local SEED = math.tointeger(tonumber(os.getenv "CALOTYPE_SOAK_SEED") or 1)
local SLACK = 16 -- megabytes by which the last third may hold more than the middle one (medians: large pictures come and go)

local function output(command)
  local pipe = io.popen(command)
  local said = pipe:read "a"
  return said, pipe:close()
end

if not os.getenv "SOAK_PART" then
  test(("%g seconds of anything at all in the window, seed %d"):format(SECONDS, SEED), function()
    local at, here = tmp "soak", output "pwd -P":gsub("\n", "")
    check.ok(fs.make_folder(at))
    check.ok(os.execute(("ln -s '%s/tests' '%s/tests'"):format(here, at)))
    local host = output "readlink /proc/$PPID/exe":gsub("\n", "")
    local checker = (os.getenv "ASAN_OPTIONS" or "detect_leaks=1") .. (":quarantine_size_mb=8:log_path='%s/report'"):format(at)
    local said, ended = output(("cd '%s' && env -u CALOTYPE_STORE -u CALOTYPE_SCALE -u CALOTYPE_FONT SDL_VIDEODRIVER=dummy SOAK_PART=1 ASAN_OPTIONS=%s "
      .. "CALOTYPE_TEST_TMP='%s' %s tests/test_window_soak.lua 2>&1"):format(at, checker, at, host))
    for _, entry in ipairs(fs.list(at)) do -- of this program, and of its children
      if entry.path:find "/report%.%d+$" then error(("%s\n%s"):format(said, fs.read(entry.path)), 0) end
    end
    if not ended or said:match "counts %d+ (%d+) %d+\n?$" ~= "0" then error(said, 0) end
    if SECONDS >= 60 then for line in said:gmatch "note [^\n]+" do print(line) end end
  end)
  return
end

local actions = require "window.actions"
local image = require "native.image"
local log = require "native.log"
local window = dofile "tests/window.lua"

local r = hash.random(SEED)
local function any(n) return 1 + r:below(n) end
local function pick(list) return list[any(#list)] end

local at = output "pwd -P":gsub("\n", "")
local photos = at .. "/photos"
local program = output "readlink /proc/$PPID/exe":gsub("\n", ""):gsub("/tests/host$", "/calotype")

-- Pictures whose names begin with "o" belong to others too: they write, take away and bring them. The others' captions are ours alone.
local function prepare()
  window.draw(photos, 60, 240)
  for i = 1, 60, 3 do
    for _, ending in ipairs { "png", "txt" } do
      os.rename(("%s/p%04d.%s"):format(photos, i, ending), ("%s/o%04d.%s"):format(photos, i, ending))
    end
  end
  local real = os.getenv "CALOTYPE_SOAK_PICTURES"
  if real then os.execute(("cp '%s'/*.* '%s/'"):format(real, photos)) end
  check.ok(fs.make_folder(at .. "/elsewhere/deeper"))
  for i = 1, 6 do check.ok(image.new(64 + i, 64, { 40 * i, 10, 200 }):save(("%s/elsewhere/%sd%d.png"):format(at, i > 3 and "deeper/" or "", i))) end
  check.ok(fs.write(at .. "/elsewhere/d1.txt", "a dropped caption\n"))
  check.ok(fs.write(at .. "/elsewhere/bad.png", "no picture at all"))
  check.ok(fs.write(at .. "/elsewhere/notes.pdf", "%PDF"))
end

local WORDS = { "a", "red", "door", "hair ", ", ", "1girl, solo", "é", "日本語", "e\u{301}\u{302}", "\u{1F9D1}\u{200D}\u{1F680}", "עברית", "(x:1.2)", "\\(y\\)", "\n", "%d+",
  "tag:red", "stars:>2", " OR ", "NOT (", "\"", "\u{FFFD}", "w" .. ("ide"):rep(60), "100%", "12" }
local KEYS = { "left", "right", "up", "down", "tab", "tab", "return", "return", "escape", "backspace", "delete", "home", "end", "page up", "page down", "space", "a", "z",
  "c", "v", "x", "e", "f", "1", "5", "f2", "f5", "f12", "keypad enter", "insert", "menu" }

local by_keys = {}
for _, row in ipairs(actions.list) do
  for _, key in ipairs(row.id ~= "quit" and row.keys or {}) do by_keys[#by_keys + 1] = key end
end

local function key_event(name)
  local event, rest = { kind = "key" }, name
  repeat
    local modifier, after = rest:match "^(%a+)%+(.+)$"
    if modifier ~= "ctrl" and modifier ~= "shift" and modifier ~= "alt" then break end
    event[modifier], rest = true, after
  until false
  event.key = rest
  return event
end

local function place(view)
  local width, height = view.window:size()
  return any(math.max(math.floor(width), 1)), any(math.max(math.floor(height), 1))
end

local pressed = false

-- What a person does. Each pushes its events; the loop takes them when it turns.
local person = {
  action = function(view) view.window:push(key_event(pick(by_keys))) end,
  key = function(view)
    view.window:push { kind = "key", key = pick(KEYS), ctrl = r:below(6) == 0, shift = r:below(5) == 0, alt = r:below(12) == 0, again = r:below(5) == 0 }
  end,
  words = function(view)
    for _ = 1, any(5) do view.window:push { kind = "text", text = pick(WORDS) } end
  end,
  method = function(view) -- an input method
    view.window:push { kind = "editing", text = "にほ", start = r:below(3), length = 0 }
    if r:below(2) == 0 then view.window:push { kind = "editing", text = "", start = 0, length = 0 } end
    if r:below(2) == 0 then view.window:push { kind = "text", text = "日本" } end
  end,
  click = function(view)
    local x, y = place(view)
    local button, clicks = pick { "left", "left", "left", "left", "middle", "right" }, pick { 1, 1, 1, 2, 3 }
    local more = { kind = "mouse", x = x, y = y, button = button, clicks = clicks, ctrl = r:below(8) == 0, shift = r:below(8) == 0 }
    for _, what in ipairs { "move", "down", "up" } do
      local event = { what = what }
      for name, value in pairs(more) do event[name] = value end
      if what == "move" then event.button = nil end
      view.window:push(event)
    end
  end,
  drag = function(view)
    local x, y = place(view)
    if not pressed then view.window:push { kind = "mouse", what = "down", x = x, y = y, button = "left", clicks = 1 } end
    pressed = true
    for _ = 1, any(6) do
      x, y = place(view)
      view.window:push { kind = "mouse", what = "move", x = x, y = y, button = "left" }
    end
    if r:below(4) > 0 then
      view.window:push { kind = "mouse", what = "up", x = x, y = y, button = "left", clicks = 1 }
      pressed = false
    end
  end,
  wheel = function(view)
    local x, y = place(view)
    for _ = 1, any(8) do view.window:push { kind = "mouse", what = "wheel", x = x, y = y, dy = pick { -3, -1, -1, 1, 1, 2 }, ctrl = r:below(4) == 0 } end
  end,
  size = function(view) view.window:push { kind = "resize", width = pick { 800, 800, 1024, 1280, 700, 400, 1600 }, height = pick { 600, 600, 768, 300, 900 } } end,
  focus = function(view) view.window:push { kind = "focus", on = r:below(2) == 0 } end,
  reset = function(view) view.window:push { kind = "reset" } end,
  clipboard = function(view) view.window:clipboard(pick(WORDS)) end,
  drop = function(view)
    for _ = 1, any(3) do
      local path = pick { "d1.png", "d2.png", "deeper", "bad.png", "notes.pdf", "not there.jpg", "deeper/d5.png" }
      view.window:push { kind = "drop", path = at .. "/elsewhere/" .. path }
    end
    view.window:push { kind = "dropped" }
  end,
  captions = function(view) -- by the one who needs no service, through the plan
    if view.job or view.dialog or view.ui.menu or not view.project:current() then return end
    view:open "captionbox"
    local box, till = view.captioning, log.clock() + 60
    if #box.scopes == 0 then return end
    box.writer, box.scope, box.replace = #box.writers, any(#box.scopes), r:below(2) == 0
    view.window:push(key_event "return")
    while view.dialog and not box.planned and not box.trouble and not view.closed and log.clock() < till do view:turn(0.01) end
    view.window:push(key_event "return")
  end,
  export = function(view)
    if view.job or view.dialog or view.ui.menu then return end
    view:open "exportbox"
    view.exporting.skip = true
    view.window:push(key_event "return")
  end,
  quit = function(view) view.window:push { kind = "quit", signal = r:below(3) == 0 } end,
}

local function others()
  local list = {}
  for _, entry in ipairs(fs.list(photos)) do
    if entry.path:find "/o[^/]*%.%a+$" then list[#list + 1] = entry.path end
  end
  return list
end

-- What other programs do with their files.
local hands = {
  writes = function() assert(fs.write(("%s/o%04d.txt"):format(photos, 1 + 3 * r:below(20)), pick(WORDS) .. pick(WORDS) .. "\n")) end,
  removes = function()
    local list = others()
    if #list > 20 then os.remove(pick(list)) end
  end,
  brings = function()
    local path = ("%s/o%04d.png"):format(photos, 1 + 3 * r:below(20))
    check.ok(image.new(100 + r:below(60), 100, { r:below(256), r:below(256), 80 }):save(path))
  end,
  spoils = function()
    local list = others()
    if #list > 0 then assert(fs.write(pick(list), "not what it was")) end
  end,
}

local often = { action = 12, key = 14, words = 8, method = 1, click = 12, drag = 4, wheel = 4, size = 1, focus = 1, clipboard = 1 }
local seldom = { reset = 2, drop = 2, quit = 4, captions = 1, export = 1 }
local function bag_of(table_of)
  local bag = {}
  for name, count in pairs(table_of) do for _ = 1, count do bag[#bag + 1] = name end end
  table.sort(bag)
  return bag
end
local often_bag, seldom_bag, hand_bag = bag_of(often), bag_of(seldom), bag_of { writes = 4, removes = 1, brings = 1, spoils = 1 }

local function held() return tonumber(fs.read("/proc/self/status"):match "VmRSS:%s+(%d+) kB") / 1024 end

-- The captions of those that are ours alone.
local function captions(p)
  local all = {}
  for _, item in ipairs(p.items) do
    if item.name:find "^p" and not item.name:find "^p%d+_" then all[item.name] = item.caption end
  end
  return all
end

local function differences(a, b)
  local list = {}
  for name, text in pairs(a) do
    if b[name] ~= text then list[#list + 1] = ("%s: %q, was %q"):format(name, tostring(b[name]), text) end
  end
  table.sort(list)
  return table.concat(list, "\n")
end

local jobs, opened, longest, slowest = 0, 0, 0, ""
local sizes = { { 800, 600 }, { 1280, 800 } }
local function open()
  local size = pick(sizes)
  local view = window.open(photos, { width = size[1], height = size[2] })
  view.program, view.fakes, pressed = program, true, false
  opened = opened + 1
  return view
end

local function close(view)
  while view.job do view:turn(0.02) end -- as the loop does
  if view.captioning and view.captioning.child then view.captioning.child:close() end
  view:keep()
  check.equal(view.project.changes:keep_drafts(), {})
  view:close()
end

test(("%g s of it, seed %d"):format(SECONDS, SEED), function()
  prepare()
  local view = open()
  window.settle(view)
  local first = captions(view.project)
  local start, trail, curve, count, had = log.clock(), {}, {}, 0, nil
  local next_look = start
  while log.clock() - start < SECONDS do
    for _ = 1, any(6) do
      local name = pick(r:below(60) == 0 and seldom_bag or often_bag)
      trail[#trail + 1] = name
      if #trail > 40 then table.remove(trail, 1) end
      person[name](view)
      count = count + 1
    end
    if r:below(30) == 0 then hands[pick(hand_bag)]() end
    local before = log.clock()
    local ok, problem = xpcall(view.turn, function(e) return type(e) == "string" and debug.traceback(e) or e end, view, 0)
    if log.clock() - before > longest then longest, slowest = log.clock() - before, table.concat(trail, " ", math.max(1, #trail - 5)) end
    if not ok then
      error(("seed %d, after %d events: %s\nthe last: %s"):format(SEED, count, type(problem) == "table" and problem.message or tostring(problem), table.concat(trail, " ")), 0)
    end
    if view.job and view.job ~= had then jobs = jobs + 1 end
    had = view.job
    if view.closed then
      close(view)
      view = open()
    end
    if r:below(400) == 0 and not view.job then window.settle(view) end
    if log.clock() >= next_look then
      curve[#curve + 1], next_look = held(), next_look + SECONDS / 30
    end
  end
  view.dialog = nil
  close(view)
  view = open()
  window.settle(view)
  while view.project.changes:redo() do end -- what was undone last
  local last = captions(view.project)
  for name, text in pairs(last) do
    local bytes = fs.read(photos .. "/" .. name:gsub("%.%a+$", ".txt"))
    if bytes and text ~= "" then check.equal((bytes:gsub("\n$", "")), text, name .. ": its file") end
  end
  local steps = 0
  while view.project.changes:undo() do steps = steps + 1 end
  check.equal(differences(first, captions(view.project)), "", ("seed %d: %d steps back"):format(SEED, steps))
  while view.project.changes:redo() do steps = steps - 1 end
  check.equal(steps, 0)
  check.equal(differences(last, captions(view.project)), "", ("seed %d: and all of them on again"):format(SEED))
  close(view)
  print(("note seed %d: %d events, %d windows, %d jobs, longest turn %.0f ms (after %s)"):format(SEED, count, opened, jobs, longest * 1e3, slowest))
  local shown = {}
  for i, megabytes in ipairs(curve) do shown[i] = ("%.0f"):format(megabytes) end
  print("note memory in MB, 30 looks: " .. table.concat(shown, " "))
  if SECONDS >= 60 then
    local function median(from, to)
      local part = table.move(curve, from, to, 1, {})
      table.sort(part)
      return part[#part // 2 + 1]
    end
    local middle, last_third = median(11, 20), median(21, 30)
    check.ok(last_third <= middle + SLACK, ("memory goes on growing: %.0f MB in the middle third, %.0f in the last"):format(middle, last_third))
  end
end)
