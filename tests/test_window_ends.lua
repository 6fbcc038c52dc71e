-- How the window ends, and that nothing which was typed ends with it: refusals in an action, faults of the program, a store that takes no more,
-- libraries that are not there. This file is also the program whose window it is (ENDS_PART): view.run itself, on SDL's dummy display, with a
-- person who does a step in each turn of the loop.
local fs = require "native.fs"
local window = dofile "tests/window.lua"

local part = os.getenv "ENDS_PART"

local function output(command)
  local pipe = io.popen(command)
  local said = pipe:read "a"
  pipe:close()
  return said
end

if not part then
  local stores = require "native.store"
  local hash = require "native.hash"

  local function folder()
    local at = tmp "ends"
    os.execute("mkdir -p " .. at)
    window.draw(at .. "/photos", 3)
    return at
  end

  -- What the program said, and its caption of the third picture, which had none.
  local function ended(name)
    local at = folder()
    local said = output(("env -u CALOTYPE_SCALE -u CALOTYPE_FONT SDL_VIDEODRIVER=dummy CALOTYPE_STORE=%s/.calotype ENDS_AT=%s ENDS_PART='%s' %s tests/test_window_ends.lua 2>&1"):format(
      at, at, name, window.host))
    check.equal(said:match "counts %d+ (%d+) %d+\n?$", "0", said)
    local store = stores.open(at .. "/.calotype")
    local row = store:caption_in_force(check.ok(hash.file(at .. "/photos/p0003.png")))
    store:close()
    return said, row and row.text
  end

  test("what the world refuses in an action is told, and the window stays with what is typed in it", function()
    local said, text = ended "refused"
    check.contains(said, "ended with 0")
    check.contains(said, "told bad: the store is in use by another program")
    check.equal(text, "a lighthouse, and more")
  end)

  test("refusals that follow each other without end, end it: with their sentence, and nothing is lost", function()
    local said, text = ended "refused again"
    check.contains(said, "ended with 75: the store is in use by another program; what was written is kept")
    check.equal(text, "a lighthouse")
  end)

  test("a fault of the program ends it, and what was typed is kept by then", function()
    local said, text = ended "fault"
    check.contains(said, "a fault on purpose")
    check.equal(text, "a lighthouse")
  end)

  test("text that the store takes not even in the end goes to the terminal, and the exit code says so", function()
    local said, text = ended "nowhere"
    check.contains(said, "told bad: what you wrote cannot be kept")
    check.contains(said, "What was written and is kept nowhere:\na lighthouse\n")
    check.contains(said, "p0003.png")
    check.contains(said, "ended with 1")
    check.equal(text, nil)
  end)

  test("a library that is not installed is told with its package, and nothing is made", function()
    local at = folder()
    os.execute("mkdir -p " .. at .. "/lib")
    for _, case in ipairs { { "libSDL2-2.0.so.0", "SDL2 is not installed", "libsdl2-2.0-0" }, { "libSDL2_ttf-2.0.so.0", "SDL2_ttf is not installed", "libsdl2-ttf-2.0-0" } } do
      os.execute(("rm -f %s/lib/*"):format(at))
      check.ok(fs.write(at .. "/lib/" .. case[1], "no library")) -- the first one that is found, and none
      local said = output(("cd %s && env -u CALOTYPE_STORE LD_LIBRARY_PATH=lib SDL_VIDEODRIVER=dummy %s view photos 2>&1; echo \"exit $?\""):format(at, window.program))
      check.contains(said, "error: " .. case[2])
      check.contains(said, "apt-get install " .. case[3])
      check.contains(said, "\nexit 1")
      check.equal(select(2, said:gsub("\n", "")), 2) -- one sentence
      check.equal(fs.stat(at .. "/.calotype"), nil)
    end
  end)
  return
end

local actions = require "window.actions"
local console = require "window.console"
local script = require "native.script"
local views = require "window.view"

local at = os.getenv "ENDS_AT"
local seen

-- A turn of the loop after each step.
local function person(steps)
  local new = views.new
  function views.new(...)
    local view = new(...)
    local turn, n = view.turn, 0
    seen = view
    function view.turn(self)
      n = n + 1
      if steps[n] then steps[n](self) elseif n > #steps + 200 then self.closed = true end
      return turn(self, 0.01)
    end
    return view
  end
end

local function push(event)
  return function(view) view.window:push(event) end
end
local function key(name, more)
  local event = { kind = "key", key = name }
  for k, v in pairs(more or {}) do event[k] = v end
  return push(event)
end
local function words(text) return push { kind = "text", text = text } end
local function nothing() end

local function refuses() error({ message = "the store is in use by another program", code = "BUSY" }, 0) end

local STEPS = {
  refused = { nothing, key("j", { ctrl = true }), key "e", words "a lighthouse", function(view)
    actions.by_id["write next"].run = refuses
    key("return", { ctrl = true })(view)
  end, nothing, words ", and more", nothing, key("q", { ctrl = true }) },
  ["refused again"] = { nothing, key("j", { ctrl = true }), key "e", words "a lighthouse", nothing, function(view)
    function view.pictures.arrive() refuses() end
  end },
  fault = { nothing, key("j", { ctrl = true }), key "e", words "a lighthouse", nothing, function(view)
    actions.by_id["write next"].run = function() error "a fault on purpose" end
    key("return", { ctrl = true })(view)
  end },
  nowhere = { nothing, key("j", { ctrl = true }), key "e", function(view)
    os.execute(("rm -rf '%s/.calotype'"):format(at))
    words "a lighthouse"(view)
  end, nothing, nothing, key("q", { ctrl = true }), nothing, key("q", { ctrl = true }) },
}

test("it ends: " .. part, function()
  person(STEPS[part])
  local ok, answer = script.call(views.run, { words = { at .. "/photos" }, params = {} })
  for _, line in ipairs(console.of(seen).lines:shown()) do print(("told %s: %s"):format(line.kind, line.text)) end
  if ok then print("ended with " .. answer)
  elseif type(answer) == "userdata" then print(("ended with %s: %s; %s"):format(answer.exit, answer.message, answer.hint))
  else print("ended by " .. tostring(answer)) end
end)
