-- Pixels are looked at with SDL's dummy driver and its software renderer, in programs of their own (SDL reads its environment once).
-- This file is also that program: with WINDOW_PART set it runs the tests that need the dummy driver.
local image = require "native.image"
local window = require "native.window"

local part = os.getenv "WINDOW_PART"

local function open(options)
  local w, message = window.open(options or { title = "test", width = 200, height = 120, least = { 50, 50 } })
  return check.ok(w, message)
end

local function near(im, x, y, r, g, b, tolerance)
  local p, q, s = im:get(x, y)
  for i, pair in ipairs { { p, r }, { q, g }, { s, b } } do
    if math.abs(pair[1] - pair[2]) > (tolerance or 1) then
      error(("pixel %d, %d is %d %d %d, expected %d %d %d (channel %d)"):format(x, y, p, q, s, r, g, b, i), 2)
    end
  end
end

local function shot(w, draw, color)
  w:begin(color or 0x000000ff)
  draw(w)
  w:show()
  return check.ok(w:screenshot())
end

-- The columns and rows that are not black.
local function ink(im)
  local left, right, top, bottom
  for y = 0, im:height() - 1 do
    for x = 0, im:width() - 1 do
      local r, g, b = im:get(x, y)
      if r + g + b > 60 then
        left, right = math.min(left or x, x), math.max(right or x, x)
        top, bottom = math.min(top or y, y), math.max(bottom or y, y)
      end
    end
  end
  return left, right, top, bottom
end

-- Events until there is none for a moment.
local function events(w)
  local list = {}
  for e in function() return w:event(0.02) end do list[#list + 1] = e end
  return list
end

local function of_kind(list, kind)
  for _, e in ipairs(list) do if e.kind == kind then return e end end
end

if not part then
  local again, FILE = dofile("tests/window.lua").again, "tests/test_window.lua"
  local function run(name, environment)
    test(name, function() again(FILE, environment) end)
  end
  run("what is drawn, typed and pushed, on SDL's dummy display", "SDL_VIDEODRIVER=dummy WINDOW_PART=dummy")
  run("the same on a display twice as dense", "SDL_VIDEODRIVER=dummy CALOTYPE_SCALE=2 WINDOW_PART=dense")
  run("without a display a window is refused with what to do instead", "env -u DISPLAY -u WAYLAND_DISPLAY -u SDL_VIDEODRIVER WINDOW_PART=none")

  -- A real X server, nobody's screen: keys and mouse come from xdotool, as from a person's hands.
  local function there(name) return os.execute("command -v " .. name .. " >/dev/null 2>&1") end
  local function with_server(name, environment)
    test(name, function()
      for _, needed in ipairs { "Xvfb", "xdotool" } do if not there(needed) then skip(needed .. " is not installed") end end
      local number, log = tmp "display", tmp "xvfb.log"
      local pipe = io.popen(("Xvfb -displayfd 3 -screen 0 1024x768x24 -nolisten tcp -noreset -r 3>%s >%s 2>&1 & echo $!"):format(number, log))
      local server = pipe:read "n"
      pipe:close()
      local display
      for _ = 1, 300 do
        local file = io.open(number)
        display = file and file:read "n"
        if file then file:close() end
        if display then break end
        os.execute "sleep 0.1"
      end
      -- OpenGL's drivers leak, and are unloaded before anybody can name them: with the software renderer, kept from them, leaks are looked for.
      local bare = "env -u WAYLAND_DISPLAY -u SDL_VIDEODRIVER DISPLAY=:%d %s"
      local ok, said = false, "the server did not begin"
      if display then ok, said = pcall(again, FILE, bare:format(display, environment)) end
      os.execute("kill " .. server)
      if not ok then error(said, 0) end
    end)
  end
  with_server("keys, typing and the mouse of a real X server", "ASAN_OPTIONS=detect_leaks=0 WINDOW_PART=x11")
  with_server("the same drawn by the software renderer", "SDL_RENDER_DRIVER=software SDL_FRAMEBUFFER_ACCELERATION=0 WINDOW_PART=x11")
  return
end

if part == "none" then
  test("no display: a sentence, the way out, and the code", function()
    local w, message, code = window.open {}
    check.equal(w, nil)
    check.contains(message, "there is no display")
    check.contains(message, ":sheet")
    check.equal(code, "MISSING")
    check.equal(check.refused("there is no display", window.display()), "MISSING")
  end)
  return
end

if part == "dense" then
  test("units are two device pixels each, in what is drawn and where the mouse is", function()
    local w <close> = open()
    check.equal({ w:size() }, { 200.0, 120.0, 2.0 })
    local im = shot(w, function() w:fill(10, 10, 20, 5, 0xff0000ff) end)
    check.equal({ im:width(), im:height() }, { 400, 240 })
    check.equal({ ink(im) }, { 20, 59, 20, 29 })
    events(w)
    w:push { kind = "mouse", what = "down", x = 50, y = 40, button = "right" }
    local e = of_kind(events(w), "mouse")
    check.equal({ e.x, e.y, e.button }, { 50.0, 40.0, "right" })
  end)
  return
end

-- One frame with everything but letters, whose shapes belong to the font's version.
local function scene(w)
  w:fill(8, 8, 40, 24, 0xcc3333ff)
  w:fill(28, 20, 40, 24, 0x33cc3380)
  w:frame(76, 8, 40, 24, 0xf0f0f0ff, 2)
  w:line(124, 8, 190, 32, 0xffffffff)
  w:line(124, 32, 190, 8, 0xffd040ff, 3)
  local points = {}
  for i = 0, 30 do
    points[#points + 1] = 76 + i * 3.75
    points[#points + 1] = 48 + 8 * math.sin(i / 3)
  end
  w:polyline(points, 0x60c0ffff, 1.5)
  w:round(8, 64, 60, 40, 10, 0x406080ff)
  w:round(40, 80, 40, 36, 18, 0xffffff80)
  local im = image.new(16, 12, { 200, 100, 50 }):rect(4, 3, 8, 6, { 20, 80, 200 })
  local t = check.ok(w:texture(im))
  w:picture(t, 90, 64, 48, 36)
  w:clip(144, 64, 40, 40)
  w:picture(t, 140, 60, 60, 60, 4, 3, 8, 6)
  w:clip()
end

-- Mean and largest difference of 255.
local function apart(a, b)
  check.equal({ a:width(), a:height() }, { b:width(), b:height() })
  local p, q, sum, most = a:bytes(), b:bytes(), 0, 0
  for i = 1, #p do
    local d = math.abs(p:byte(i) - q:byte(i))
    sum, most = sum + d, math.max(most, d)
  end
  return sum / #p, most
end

local GOLDEN = "tests/golden/window/scene.png"

if part == "x11" then
  local id
  local function hands(command) check.ok(os.execute("xdotool " .. command), "xdotool " .. command) end
  local function ready_window()
    local w = open { title = "calotype test", width = 400, height = 300 }
    w:begin(0x202020ff)
    w:show()
    local pipe = io.popen "xdotool search --sync --name 'calotype test'"
    id = pipe:read "n"
    pipe:close()
    hands(("windowmove %d 0 0"):format(id))
    hands "mousemove 200 150"
    hands(("windowfocus %d"):format(id))
    events(w)
    return w
  end
  local function wait(w, kind, of)
    for _ = 1, 200 do
      local e = w:event(0.05)
      if e and e.kind == kind and (not of or e.what == of) then return e end
    end
    error(("no event '%s' within 10 s"):format(kind), 2)
  end

  test("what is drawn is what the dummy display draws", function()
    local w <close> = open()
    local mean, most = apart(shot(w, scene, 0x202428ff), check.ok(image.load(GOLDEN)))
    check.ok(mean < 0.5 and most <= 24, ("%s: mean %.2f, most %d"):format(w:renderer(), mean, most))
  end)

  test("keys have their names and modifiers", function()
    local w <close> = ready_window()
    for given, name in pairs { a = "a", Left = "left", Page_Up = "page up", F5 = "f5", Return = "return", Delete = "delete", Escape = "escape", space = "space" } do
      hands("key " .. given)
      check.equal(wait(w, "key").key, name)
    end
    hands "key ctrl+shift+z"
    local e
    repeat e = wait(w, "key") until e.key == "z"
    check.equal(e, { kind = "key", key = "z", ctrl = true, shift = true, alt = false, again = false })
    check.equal(of_kind(events(w), "text"), nil)
  end)

  test("what is typed comes as text while typing is on", function()
    local w <close> = ready_window()
    w:typing(10, 10, 1, 20)
    hands "type --delay 20 'Two words, 3%'"
    local text = ""
    while text ~= "Two words, 3%" do text = text .. wait(w, "text").text end
  end)

  -- What some keys, by their places on the keyboard, say in a layout: "ctrl+alt+shift+key" and ="text".
  local function said(layout, ...)
    check.ok(os.execute("setxkbmap " .. layout))
    local restore <close> = setmetatable({}, { __close = function() os.execute "setxkbmap us" end }) -- luacheck: ignore
    local w <close> = ready_window()
    w:typing(10, 10, 1, 20)
    local told = {}
    for _, keys in ipairs { ... } do hands(keys) end
    for _, e in ipairs(events(w)) do
      local name = e.kind == "key" and (e.ctrl and "ctrl+" or "") .. (e.alt and "alt+" or "") .. (e.shift and "shift+" or "") .. e.key
      if e.kind == "text" then told[#told + 1] = "=" .. e.text
      elseif name and not name:find "left %a" and not name:find "right %a" then told[#told + 1] = name end
    end
    return table.concat(told, " ")
  end
  local Z, F, Q, ONE, EQUALS = 52, 41, 24, 10, 21 -- places on a US keyboard

  local function held(modifier, key) return ("keydown %d key %d keyup %d"):format(modifier, key, modifier) end
  local CTRL, ALT, ALTGR = 37, 64, 108

  test("shortcuts are where their letters are, and what they make of them is no text", function()
    check.equal(said("us", held(CTRL, Z), held(CTRL, ONE), held(CTRL, EQUALS), held(ALT, F), "key " .. F), "ctrl+z ctrl+1 ctrl+= alt+f f =f")
    check.equal(said("fr", held(CTRL, Z), held(CTRL, ONE), "key " .. Q), "ctrl+w ctrl+1 a =a")
    check.equal(said("de", held(CTRL, Z), "key " .. Z), "ctrl+y y =y")
    check.equal(said("ru", held(CTRL, Z), held(ALT, F), "key " .. Z), "ctrl+z alt+f z =я")
    check.equal(said("gr", held(CTRL, Z), "key " .. Z), "ctrl+z z =ζ")
  end)

  test("what AltGr writes is text, and no shortcut", function()
    check.equal(said("de", held(ALTGR, Q), held(ALTGR, F)), "q =@ f =đ")
    check.equal(said("pl", held(ALTGR, 38)), "a =ą")
  end)

  test("the keypad moves while NumLock is off", function()
    check.equal(said("us", "key KP_Home", "key KP_Down", "key KP_Delete"), "home down delete")
  end)

  test("the mouse clicks, twice too, drags and turns its wheel", function()
    local w <close> = ready_window()
    hands "mousemove 60 70 click 1"
    local e = wait(w, "mouse", "down")
    check.equal({ e.x, e.y, e.button, e.clicks, e.ctrl }, { 60.0, 70.0, "left", 1, false })
    check.equal(wait(w, "mouse", "up").button, "left")
    hands "mousemove 200 200 click --repeat 2 --delay 50 1"
    wait(w, "mouse", "down")
    check.equal(wait(w, "mouse", "down").clicks, 2)
    events(w)
    hands "keydown ctrl click 3 keyup ctrl"
    e = wait(w, "mouse", "down")
    check.equal({ e.button, e.ctrl }, { "right", true })
    events(w)
    hands "mousedown 1 mousemove 230 220 mouseup 1"
    repeat e = wait(w, "mouse", "move") until e.x == 230.0
    check.equal({ e.y, e.button }, { 220.0, "left" })
    hands "click 4"
    e = wait(w, "mouse", "wheel")
    check.equal({ e.x, e.y, e.dy }, { 230.0, 220.0, 1.0 })
    hands "click 5"
    check.equal(wait(w, "mouse", "wheel").dy, -1.0)
  end)

  test("a window made larger is told and drawn whole", function()
    local w <close> = ready_window()
    hands(("windowsize %d 500 350"):format(id))
    local e
    repeat e = wait(w, "resize") until e.width == 500.0 and e.height == 350.0
    local im = shot(w, function() w:fill(490, 340, 10, 10, 0xff0000ff) end)
    check.equal({ im:width(), im:height() }, { 500, 350 })
    near(im, 499, 349, 255, 0, 0)
  end)

  test("text copied in one place is there in the other", function()
    local w <close> = ready_window()
    check.equal(w:clipboard "von hier – 日本", "von hier – 日本")
    check.equal(w:clipboard(), "von hier – 日本")
  end)
  return
end

test("a frame is the golden one", function()
  local w <close> = open()
  local im = shot(w, scene, 0x202428ff)
  if os.getenv "WINDOW_GOLDEN" then check.ok(im:save(GOLDEN)) end
  local mean, most = apart(im, check.ok(image.load(GOLDEN)))
  check.ok(mean < 0.5 and most <= 24, ("mean %.2f, most %d"):format(mean, most))
end)

test("letters of other scripts come from the font that has them", function()
  local cjk
  for _, path in ipairs(check.ok(window.fonts())) do cjk = cjk or path:find "CJK" end
  if not cjk then skip "no font for Chinese, Japanese and Korean is installed" end
  local w <close> = open()
  local list = w:advances("日本中", { size = 16 })
  for i = 2, 4 do check.equal(list[i] - list[i - 1], 16.0) end
  local one = shot(w, function() w:text(5, 5, "日", { size = 32, color = 0xffffffff }) end)
  local two = shot(w, function() w:text(5, 5, "本", { size = 32, color = 0xffffffff }) end)
  check.ok(one ~= two, "boxes are alike, letters are not")
  local _, _, top, bottom = ink(one)
  check.ok(bottom - top > 20)
end)

test("a window tells its size, and there is one at a time", function()
  local w <close> = open()
  check.equal({ w:size() }, { 200.0, 120.0, 1.0 })
  check.equal(check.refused("open already", window.open {}), "BUSY")
  check.equal(tostring(w), "window")
  w:title "another"
  for _, name in ipairs { "arrow", "hand", "text", "move", "wait" } do w:cursor(name) end
  check.fails("arrow, hand, text, move or wait", w.cursor, w, "cross")
  w:close()
  check.equal(tostring(w), "window (closed)")
  check.fails("closed", w.size, w)
  local again <close> = open()
  check.equal(again:size(), 200.0)
end)

test("misuse raises with what was wrong", function()
  check.fails("sides go up to", window.open, { width = 1e6 })
  check.fails("'least'", window.open, { least = { 1 } })
  local w <close> = open()
  check.fails("w:begin(color) comes first", w.fill, w, 0, 0, 1, 1, 0xff)
  check.fails("w:begin(color) comes first", w.show, w)
  check.fails("0xRRGGBBAA", w.begin, w, -1)
  check.equal(check.refused("nothing was shown yet", w:screenshot()), "NOTFOUND")
  w:begin(0xff)
  check.fails("already", w.begin, w, 0xff)
  check.equal(check.refused("being drawn", w:screenshot()), "BUSY")
  check.fails("0xRRGGBBAA", w.fill, w, 0, 0, 1, 1, 1 << 32)
  check.fails("'size'", w.text, w, 0, 0, "x", { size = 1000 })
  check.fails("pairs of x and y", w.polyline, w, { 1, 2, 3 }, 0xff)
  w:show()
  check.fails("an event's 'kind'", w.push, w, { kind = "wish" })
  check.fails("an event's 'what'", w.push, w, { kind = "mouse", what = "jump" })
  check.fails("there is no key 'anykey'", w.push, w, { kind = "key", key = "anykey" })
  check.fails("seconds", w.event, w, -1)
end)

test("rectangles, frames, lines and round corners lie where they should", function()
  local w <close> = open()
  local im = shot(w, function()
    w:fill(10, 10, 20, 10, 0xff0000ff)
    w:fill(15, 12, 4, 4, 0x0000ff80)
    w:frame(50, 10, 20, 12, 0x00ff00ff, 2)
    w:line(80, 20, 100, 20, 0xffffffff)
    w:line(110, 10, 130, 30, 0xffffffff, 3)
    w:polyline({ 140, 10, 140, 30, 160, 30 }, 0xffff00ff, 1)
    w:round(10, 50, 60, 40, 12, 0x8080ffff)
  end, 0x101010ff)
  near(im, 9, 10, 16, 16, 16)
  near(im, 10, 10, 255, 0, 0)
  near(im, 29, 19, 255, 0, 0)
  near(im, 30, 19, 16, 16, 16)
  near(im, 16, 13, 127, 0, 128, 2)
  near(im, 51, 11, 0, 255, 0)
  near(im, 52, 12, 16, 16, 16)
  near(im, 69, 21, 0, 255, 0)
  near(im, 80, 20, 255, 255, 255)
  near(im, 100, 20, 16, 16, 16)
  near(im, 120, 20, 255, 255, 255)
  near(im, 115, 25, 16, 16, 16)
  near(im, 140, 20, 255, 255, 0)
  near(im, 150, 30, 255, 255, 0)
  near(im, 10, 50, 16, 16, 16)
  near(im, 40, 70, 128, 128, 255)
  near(im, 22, 50, 128, 128, 255)
  near(im, 10, 62, 128, 128, 255)
  near(im, 69, 89, 16, 16, 16)
end)

test("a clip lets nothing out, an empty one nothing in, and a frame begins without", function()
  local w <close> = open()
  local im = shot(w, function()
    w:clip(10, 10, 5, 5)
    w:fill(0, 0, 200, 120, 0xffffffff)
    w:clip(40, 40, 0, 5)
    w:fill(0, 0, 200, 120, 0xff0000ff)
  end)
  check.equal({ ink(im) }, { 10, 14, 10, 14 })
  im = shot(w, function() w:fill(0, 0, 200, 120, 0xffffffff) end)
  check.equal({ ink(im) }, { 0, 199, 0, 119 })
end)

test("text is as wide as it says, and its advances are where the letters are", function()
  local w <close> = open()
  for _, options in ipairs { { size = 14 }, { size = 14, bold = true }, { size = 20, mono = true }, { size = 9 } } do
    local advance
    options.color = 0xffffffff
    local im = shot(w, function() advance = w:text(20, 30, "Hamburg", options) end)
    local left, right, top, bottom = ink(im)
    check.near(left, 20, 3)
    check.near(right, 20 + advance, 3)
    check.ok(top >= 30 and bottom < 30 + w:line_height(options), "the line box holds it")
    local list = w:advances("Hamburg", options)
    check.equal(#list, 8)
    check.equal(list[1], 0.0)
    check.equal(list[8], advance)
    for i = 2, 8 do check.ok(list[i] > list[i - 1]) end
  end
  local mono = w:advances("iiMM", { size = 15, mono = true })
  check.equal(mono[3] - mono[1], mono[5] - mono[3])
  check.ok(w:line_height(20) > w:line_height(10))
end)

test("a picture is drawn scaled, a part of it too, and a closed texture says so", function()
  local w <close> = open()
  local im = image.new(4, 2, { 255, 0, 0 }):rect(2, 0, 2, 2, { 0, 0, 255 })
  local t = check.ok(w:texture(im))
  check.equal({ t:size() }, { 4, 2 })
  check.equal(t:bytes(), 32)
  check.equal(tostring(t), "texture of 4 x 2")
  local got = shot(w, function()
    check.equal(w:picture(t, 10, 10, 80, 40), true)
    w:picture(t, 100, 10, 20, 20, 2, 0, 2, 2)
    w:picture(t, 100, 50, 4000, 2000, 0, 0, 2, 2)
  end)
  near(got, 12, 30, 255, 0, 0)
  near(got, 87, 30, 0, 0, 255)
  near(got, 9, 30, 0, 0, 0)
  near(got, 90, 30, 0, 0, 0)
  near(got, 101, 11, 0, 0, 255)
  near(got, 199, 119, 255, 0, 0)
  t:close()
  check.equal(tostring(t), "texture (closed)")
  check.fails("closed", t.size, t)
end)

test("what is pushed comes back as a person's", function()
  local w <close> = open()
  events(w)
  local function back(event)
    w:push(event)
    return of_kind(events(w), event.kind)
  end
  for _, key in ipairs { "left", "a", "f5", "page up", "page down", "return", "delete", "escape", "tab", "space", "backspace", "home", "end", "/" } do
    check.equal(back({ kind = "key", key = key }).key, key)
  end
  check.equal(back { kind = "key", key = "z", ctrl = true, shift = true, again = true },
    { kind = "key", key = "z", ctrl = true, shift = true, alt = false, again = true })
  check.equal(back { kind = "mouse", what = "down", x = 30, y = 40, button = "left", clicks = 2, shift = true },
    { kind = "mouse", what = "down", x = 30.0, y = 40.0, button = "left", clicks = 2, ctrl = false, shift = true, alt = false })
  check.equal(back { kind = "mouse", what = "wheel", x = 3, y = 4, dy = -1.5, ctrl = true },
    { kind = "mouse", what = "wheel", x = 3.0, y = 4.0, dx = 0.0, dy = -1.5, ctrl = true, shift = false, alt = false })
  check.equal(back { kind = "mouse", what = "move", x = 3, y = 4, dx = 1, dy = 2, button = "left" }.button, "left")
  check.equal(back { kind = "mouse", what = "up", x = 3, y = 4 }.what, "up")
  check.equal(back { kind = "drop", path = "/photos/cät.jpg" }.path, "/photos/cät.jpg")
  check.equal(back { kind = "drop", text = "https://example.org" }.text, "https://example.org")
  check.equal(back { kind = "dropped" }, { kind = "dropped" })
  check.equal(back { kind = "focus", on = false }, { kind = "focus", on = false })
  check.equal(back { kind = "expose" }, { kind = "expose" })
  check.equal(back { kind = "quit" }, { kind = "quit" })
  check.equal(back { kind = "quit", signal = true }, { kind = "quit", signal = true })
end)

test("text comes while typing is on, whole, however long", function()
  local w <close> = open()
  events(w)
  w:push { kind = "text", text = "lost" }
  check.equal(of_kind(events(w), "text"), nil)
  w:typing(10, 10, 1, 20)
  local long = ("日本語 and a long sentence, é "):rep(20)
  w:push { kind = "text", text = long }
  local parts = {}
  for _, e in ipairs(events(w)) do
    check.equal(e.kind, "text")
    check.ok(utf8.len(e.text), "a piece is whole letters")
    parts[#parts + 1] = e.text
  end
  check.equal(table.concat(parts), long)
  w:push { kind = "editing", text = "にほんごにほんごにほんごにほんご", start = 2, length = 1 }
  check.equal(of_kind(events(w), "editing"), { kind = "editing", text = "にほんごにほんごにほんごにほんご", start = 2, length = 1 })
  w:typing(false)
  w:push { kind = "text", text = "lost" }
  check.equal(of_kind(events(w), "text"), nil)
end)

test("places that no screen has are taken to its edge", function()
  local w <close> = open()
  events(w)
  for _, far in ipairs { 1e300, -1e300, 0 / 0 } do
    w:typing(far, far, far, far)
    check.ok(w:push { kind = "mouse", what = "move", x = far, y = far, dx = far, dy = far })
    check.equal(of_kind(events(w), "mouse").what, "move")
    check.ok(w:push { kind = "mouse", what = "wheel", x = far, y = far, dx = far, dy = 1 })
    events(w)
  end
end)

test("a resize is told and the next frame has the new size", function()
  local w <close> = open()
  shot(w, function() end)
  events(w)
  w:push { kind = "resize", width = 260, height = 150 }
  local e = of_kind(events(w), "resize")
  check.equal(e, { kind = "resize", width = 260.0, height = 150.0 })
  check.equal({ w:size() }, { 260.0, 150.0, 1.0 })
  check.equal(shot(w, function() end):width(), 260)
  check.fails("cannot be", w.push, w, { kind = "resize", width = 0, height = 10 })
end)

test("a display that starts anew takes the textures, and says so", function()
  local w <close> = open()
  local t = check.ok(w:texture(image.new(8, 8, { 255, 255, 255 })))
  local before = shot(w, function() w:text(5, 5, "letters", { size = 14, color = 0xffffffff }) end)
  events(w)
  w:push { kind = "reset" }
  check.equal(of_kind(events(w), "reset"), { kind = "reset" })
  check.equal(check.refused("nothing was shown yet", w:screenshot()), "NOTFOUND")
  check.equal(tostring(t), "texture of 8 x 8 (lost)")
  check.equal(t:bytes(), 0)
  local after = shot(w, function()
    check.equal(w:picture(t, 60, 60, 20, 20), false)
    w:text(5, 5, "letters", { size = 14, color = 0xffffffff })
  end)
  check.ok(before == after, "letters come back by themselves")
end)

test("a texture outlives its window, empty", function()
  local w = open()
  local t = check.ok(w:texture(image.new(8, 8)))
  w:close()
  check.equal(tostring(t), "texture of 8 x 8 (lost)")
  local other <close> = open()
  other:begin(0xff)
  check.equal(other:picture(t, 0, 0, 8, 8), false)
  other:show()
end)

test("the clipboard gives back what it was given", function()
  local w <close> = open()
  check.equal(w:clipboard "naïve 日本", "naïve 日本")
  check.equal(w:clipboard(), "naïve 日本")
  check.fails("zero byte", w.clipboard, w, "a\0b")
  check.equal(w:clipboard "bad \xff\xc3 bytes", "bad \xff\xc3 bytes")
  check.equal(w:clipboard(), "bad \u{FFFD}\u{FFFD} bytes")
  check.equal(check.refused("at most 8", w:clipboard(("x"):rep((8 << 20) + 1))), "LIMIT")
  check.equal(w:clipboard(), "bad \u{FFFD}\u{FFFD} bytes", "what was there before")
  w:title "no \xff name"
end)

test("what is typed, composed and dropped is UTF-8, whatever came; a path is as it was", function()
  local w <close> = open()
  w:typing(10, 10, 1, 20)
  events(w)
  for kind, text in pairs { text = "a\xffb", editing = "\xe3\x81", drop = "\xc0" } do
    w:push { kind = kind, text = text, start = 0, length = 0 }
    check.ok(utf8.len(of_kind(events(w), kind).text), kind)
  end
  w:push { kind = "drop", path = "/photos/\xff.jpg" }
  check.equal(of_kind(events(w), "drop").path, "/photos/\xff.jpg")
end)

test("a screenshot is written as a file", function()
  local w <close> = open()
  w:begin(0x336699ff)
  w:show()
  local path = tmp "shot.png"
  check.equal(w:screenshot(path), true)
  near(check.ok(image.load(path)), 100, 60, 0x33, 0x66, 0x99, 0)
  check.fails("does not end in", w.screenshot, w, tmp "shot.txt")
end)

test("the whole screen, and back", function()
  local w <close> = open()
  check.equal(w:fullscreen(), false)
  check.equal(w:fullscreen(true), true)
  check.equal(w:fullscreen(false), false)
end)
