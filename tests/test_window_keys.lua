-- calotype view itself, as a person has it: the program on a real X server that is nobody's screen, keys by xdotool, and what is in the store
-- and in the files afterwards. Waited for is what should come about, never a time.
local fs = require "native.fs"
local hash = require "native.hash"
local stores = require "native.store"

local PROGRAM = (os.getenv "BUILD" or "build/release") .. "/calotype"
local PATIENCE = 60 -- seconds: a machine may do other things

local function output(command)
  local pipe = io.popen(command)
  local said = pipe:read "a"
  pipe:close()
  return said
end

local function sleep() os.execute "sleep 0.1" end

-- Until `fn` gives something; what it was for is said when it never does.
local function wait(what, fn)
  local till = os.time() + PATIENCE
  while true do
    local got = fn()
    if got then return got end
    if os.time() > till then error(("%s did not come about within %d s"):format(what, PATIENCE), 2) end
    sleep()
  end
end

local function alive(pid) return os.execute(("kill -0 %d 2>/dev/null"):format(pid)) == true end

local function with_server(fn)
  for _, needed in ipairs { "Xvfb", "xdotool" } do
    if output("command -v " .. needed) == "" then skip(needed .. " is not installed") end
  end
  local number = tmp "display"
  local server = math.tointeger(tonumber(output(("Xvfb -displayfd 3 -screen 0 1280x800x24 -nolisten tcp -noreset -r 3>%s >/dev/null 2>&1 & echo $!"):format(number))))
  local ok, message = xpcall(function()
    local display = wait("an X server", function() return tonumber(fs.read(number) or "") end)
    fn(math.tointeger(display), server)
  end, debug.traceback)
  os.execute("kill " .. server)
  if not ok then error(message, 0) end
end

-- The program with its window on the display; keys go to it.
local function start(display, at, renderer, before)
  -- OpenGL's drivers leak, and are unloaded before anybody can name them: with the software renderer, kept from them, leaks are looked for
  local checks = renderer and "ASAN_OPTIONS=detect_leaks=0" or "SDL_FRAMEBUFFER_ACCELERATION=0"
  local environment = ("env -u WAYLAND_DISPLAY -u SDL_VIDEODRIVER -u CALOTYPE_STORE %s DISPLAY=:%d SDL_RENDER_DRIVER=%s %s"):format(
    checks, display, renderer or "software", before or "")
  local program = output "pwd":gsub("\n", "") .. "/" .. PROGRAM
  local command = "cd %s || exit; { %s %s view photos >view.log 2>&1 & echo $! >pid; wait $!; echo $? >exit; } >/dev/null 2>&1 & "
    .. "while [ ! -s pid ]; do sleep 0.1; done; cat pid"
  local pid = math.tointeger(tonumber(output(command:format(at, environment, program))))
  local self = { pid = pid }
  local function xdotool(words) return output(("DISPLAY=:%d xdotool %s 2>/dev/null"):format(display, words)) end
  self.window = wait("a window", function()
    if fs.stat(at .. "/exit") then error("the program ended: " .. (fs.read(at .. "/view.log") or ""), 0) end
    return xdotool("search --onlyvisible --name photos"):match "%d+"
  end)
  xdotool("windowfocus " .. self.window)
  function self.key(...) xdotool("key --delay 40 " .. table.concat({ ... }, " ")) end
  function self.type(text) xdotool(("type --delay 30 '%s'"):format(text)) end
  function self.ended()
    wait("the end of the program", function() return fs.stat(at .. "/exit") end)
    return tonumber(fs.read(at .. "/exit"))
  end
  return self
end

local function folder()
  local at = tmp "keys"
  os.execute("mkdir -p " .. at)
  dofile("tests/window.lua").draw(at .. "/photos", 3)
  return at
end

-- What the store says of a picture now.
local function kept(at, name)
  local store <close> = check.ok(stores.open(at .. "/.calotype"))
  local sha = check.ok(hash.file(("%s/photos/%s.png"):format(at, name)))
  local row = store:caption_in_force(sha)
  local drafts = {}
  for _, draft in ipairs(store:drafts()) do drafts[draft.sha] = draft.text end
  return row and row.text, drafts[sha], store:marks("star")[sha]
end

test("a person types, keeps, filters, replaces, takes back after a restart, and closes", function()
  with_server(function(display)
    local at = folder()
    local third, first = at .. "/photos/p0003.txt", at .. "/photos/p0001.txt"
    local view = start(display, at)
    -- the third picture has no caption: Ctrl+J goes there
    view.key "ctrl+j"
    view.key "e"
    wait("the caption being typed", function()
      view.type "a"
      return select(2, kept(at, "p0003"))
    end)
    view.type " lighthouse"
    wait("a draft", function() return (select(2, kept(at, "p0003")) or ""):find " lighthouse$" end)
    check.equal((kept(at, "p0003")), nil)
    view.key "ctrl+Return"
    local text = wait("the caption", function() return (kept(at, "p0003")) end)
    check.ok(text:find "^a+ lighthouse$", text)
    check.equal(fs.stat(third), nil) -- it had no caption file
    view.key "Escape"
    view.key "Escape"
    view.key "4"
    wait("four stars", function() return select(3, kept(at, "p0003")) == "4" end)
    -- only those with "red" are shown, the others stay as they are
    view.key "ctrl+f"
    view.type "caption:red"
    view.key "Return"
    view.key "ctrl+r"
    view.type "a red"
    view.key "Tab"
    view.type "the blue"
    view.key "Return"
    wait("the replaced caption", function() return fs.read(first) == "the blue door\n" end)
    check.equal(fs.read(at .. "/photos/p0002.txt"), "a door, a step, red hair\n")
    view.key "ctrl+q"
    check.equal(view.ended(), 0)
    os.remove(at .. "/exit")
    os.remove(at .. "/pid")

    local again = start(display, at)
    again.key "ctrl+z"
    wait("the replaced caption taken back", function() return fs.read(first) == "a red door\n" end)
    again.key "ctrl+z"
    wait("the stars taken back", function() return select(3, kept(at, "p0003")) ~= "4" end)
    again.key "ctrl+y"
    wait("the stars again", function() return select(3, kept(at, "p0003")) == "4" end)
    os.execute("kill -INT " .. again.pid) -- Ctrl-C in its terminal
    check.equal(again.ended(), 130)
    check.ok(not alive(again.pid))
  end)
end)

test("? opens the keys where it is Shift and another key", function()
  with_server(function(display)
    local at = folder()
    local view = start(display, at)
    view.key "question"
    view.key "5" -- the page of keys has the keyboard
    view.key "Escape"
    view.key "2"
    wait("two stars", function() return select(3, kept(at, "p0001")) end)
    check.equal(select(3, kept(at, "p0001")), "2")
    local store <close> = check.ok(stores.open(at .. "/.calotype"))
    local place = output("cd " .. at .. "/photos && pwd -P"):gsub("\n", "")
    check.equal(#store:actions(place), 1)
    view.key "ctrl+q"
    check.equal(view.ended(), 0)
  end)
end)

test("a display that goes away takes nothing along: what is being typed is there again, and one sentence says what was", function()
  for _, renderer in ipairs { false, "opengl" } do
    with_server(function(display, server)
      local at = folder()
      local view = start(display, at, renderer)
      view.key "ctrl+j"
      view.key "e"
      wait("the caption being typed", function()
        view.type "a"
        return select(2, kept(at, "p0003"))
      end)
      view.type " lighthouse"
      wait("a draft", function() return (select(2, kept(at, "p0003")) or ""):find " lighthouse$" end)
      os.execute("kill -9 " .. server)
      check.equal(view.ended(), 1)
      check.equal(fs.read(at .. "/view.log"), "error: the display went away, and the window with it; what was written is kept, the same command goes on with it\n")
      local text, draft = kept(at, "p0003")
      check.contains(text or draft, " lighthouse")
    end)
  end
end)

test("a terminal that is closed (SIGHUP) takes nothing along, and under nohup it ends nothing", function()
  with_server(function(display)
    local at = folder()
    local heeded = os.execute "env --default-signal=HUP true 2>/dev/null" and "env --default-signal=HUP" -- the tests may be under nohup themselves
    local view = start(display, at, nil, heeded)
    local function typed(name)
      view.key "e"
      wait("the caption being typed", function()
        view.type "a"
        return select(2, kept(at, name))
      end)
      view.type " lighthouse"
      wait("a draft", function() return (select(2, kept(at, name)) or ""):find " lighthouse$" end)
    end
    view.key "ctrl+j"
    typed "p0003"
    os.execute("kill -HUP " .. view.pid)
    check.equal(view.ended(), 130) -- as Ctrl-C
    check.ok((kept(at, "p0003")):find "^a+ lighthouse$", "it is the caption now")
    check.equal(select(2, kept(at, "p0003")), nil)
    os.remove(at .. "/exit")
    os.remove(at .. "/pid")

    view = start(display, at, nil, "nohup")
    os.execute("kill -HUP " .. view.pid)
    view.key "4"
    wait("four stars", function() return select(3, kept(at, "p0003")) == "4" or select(3, kept(at, "p0001")) == "4" end)
    check.ok(alive(view.pid))
    view.key "ctrl+q"
    check.equal(view.ended(), 0)
  end)
end)

test("a display that is named and not there is told with its name", function()
  local at = folder()
  local program = output "pwd":gsub("\n", "") .. "/" .. PROGRAM
  local said = output(("cd %s && env -u WAYLAND_DISPLAY -u SDL_VIDEODRIVER DISPLAY=:987654 %s view photos 2>&1; echo \"exit $?\""):format(at, program))
  check.contains(said, "there is no display that opens: DISPLAY is ':987654'")
  check.contains(said, ":sheet")
  check.contains(said, "calotype show PICTURE")
  check.contains(said, "exit 1")
  check.equal(select(2, said:gsub("\n", "")), 2)
  check.equal(fs.stat(at .. "/.calotype"), nil)
end)

test("without a display it is said what to do instead, and nothing is made", function()
  local at = folder()
  local program = output "pwd":gsub("\n", "") .. "/" .. PROGRAM
  local said = output(("cd %s && env -u DISPLAY -u WAYLAND_DISPLAY -u SDL_VIDEODRIVER %s view photos 2>&1; echo \"exit $?\""):format(at, program))
  check.contains(said, "there is no display")
  check.contains(said, ":sheet")
  check.contains(said, "exit 1")
  check.equal(select(2, said:gsub("\n", "")), 2) -- one sentence, and the line of its code
  check.equal(fs.stat(at .. "/.calotype"), nil)
end)
