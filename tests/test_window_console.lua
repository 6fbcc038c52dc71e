-- The console: its lines alone, then the pane itself in a program of its own with SDL's dummy driver (SDL reads its environment once).
local fs = require "native.fs"
local image = require "native.image"
local lines_of = require "window.lines"
local window = dofile "tests/window.lua"

local part = os.getenv "WINDOW_PART"

local function texts(list)
  local out = {}
  for i, line in ipairs(list) do out[i] = line.kind .. " " .. lines_of.words(line) end
  return out
end

-- --- lines ----------------------------------------------------------------------------------------------------------------------------------

local function test_lines()
  test("lines have a kind and a time, and what is told again is counted", function()
    local l = lines_of.new(100)
    l:add("info", "a\nb\27[31m red\27[0m")
    l:add("warning", "door.jpg: no caption", { from = "captions", time = "14:03:22" })
    l:add("warning", "door.jpg: no caption", { from = "captions", time = "14:03:24" })
    check.equal(texts(l:shown()), { "info a; b red", "warning captions: door.jpg: no caption  (2 times)" })
    check.ok(l:shown()[1].time:match "^%d%d:%d%d:%d%d$")
    check.equal(lines_of.text({ l:shown()[2] }), "14:03:24  warning   captions: door.jpg: no caption  (2 times)\n")
    check.equal(l:count "warning", 1)
  end)

  test("kinds are hidden and shown again", function()
    local l = lines_of.new(100)
    l:add("info", "one")
    l:add("bad", "two")
    l:show("info", false)
    check.equal(texts(l:shown()), { "bad two" })
    l:add("info", "three")
    check.equal(#l:shown(), 1)
    l:show("info", true)
    check.equal(texts(l:shown()), { "info one", "bad two", "info three" })
  end)

  test("lines are bounded, the oldest go; a line is bounded and UTF-8", function()
    local l = lines_of.new(80)
    for i = 1, 1000 do l:add(i % 2 == 0 and "info" or "good", "line " .. i) end
    local list = l:shown()
    check.ok(#list <= 80 and #list >= 70)
    check.equal(list[#list].text, "line 1000")
    check.equal(l:count "info" + l:count "good", #list)
    l:add("info", ("\u{E9}"):rep(5000) .. "\xFF")
    l:add("info", "caf\xE9")
    local long = l:shown()[#l:shown() - 1].text
    check.ok(#long < 4100 and utf8.len(long))
    check.equal(l:shown()[#l:shown()].text, "caf\u{FFFD}")
  end)

  test("requests come from the log in any pieces; what is no request is left", function()
    local log = '{"time":"2026-11-21T12:20:52Z","service":"gemini","method":"POST","url":"host/v1/models/flash:generateContent","status":200,"ms":812,'
      .. '"sent":428000,"received":449,"attempt":1,"verdict":"done"}\n{"half\n[1]\n{"service":"openai"}\n'
      .. '{"time":"x","service":"openai","method":"GET","url":"h/models","status":0,"ms":3,"sent":9,"received":0,"attempt":2,"verdict":"cut","again_in":1.25}\n'
    local whole, pieces = lines_of.new(10), lines_of.new(10)
    check.equal(whole:new_requests(log), 2)
    local count = 0
    for i = 1, #log do count = count + pieces:new_requests(log:sub(i, i)) end
    check.equal(count, 2)
    check.equal(texts(whole:shown()), { "request gemini: POST flash:generateContent \u{B7} 200 done \u{B7} 812 ms \u{B7} 428 kB out, 449 bytes in",
      "request openai: GET models \u{B7} no answer cut \u{B7} 3 ms \u{B7} 9 bytes out, 0 bytes in \u{B7} attempt 2 \u{B7} again in 1.2 s" })
    check.equal(texts(pieces:shown()), texts(whole:shown()))
    check.equal({ whole:shown()[1].trouble, whole:shown()[2].trouble }, { false, true })
    check.ok(whole:shown()[1].time:match "^%d%d:%d%d:52$")
  end)

  test("a log of anything at all leaves lines that can be shown", function()
    local seed = tonumber(os.getenv "SEED") or 5
    math.randomseed(seed)
    local row = '{"time":"2026-11-21T12:20:52Z","service":"gemini","method":"POST","url":"h/m","status":200,"ms":1,"sent":1,"received":1,"attempt":1}\n'
    for round = 1, 400 do
      local l, bytes = lines_of.new(50), {}
      for i = 1, math.random(1, 300) do bytes[i] = string.char(math.random(0, 255)) end
      local cut = math.random(1, #row)
      l:new_requests(table.concat(bytes) .. row:sub(1, cut) .. string.char(math.random(0, 255)) .. row:sub(cut + 1) .. "\n" .. row)
      l:add("info", table.concat(bytes))
      for _, line in ipairs(l:shown()) do check.ok(utf8.len(lines_of.words(line)), ("seed %d, round %d"):format(seed, round)) end
    end
  end)
end

-- --- the pane -------------------------------------------------------------------------------------------------------------------------------

local function test_pane()
  local console = require "window.console"
  local key = window.key
  local function with_view(use)
    local at = tmp "console"
    os.execute("mkdir -p " .. at .. "/photos")
    check.ok(image.new(64, 48, { 200, 90, 40 }):save(at .. "/photos/a.png"))
    local v <close> = window.open(at .. "/photos", { width = 900, height = 640 })
    use(v, at)
  end

  test("F12 opens it; what the window says is in it, and the log's end", function()
    with_view(function(v, at)
      v:pass(nil, false)
      v:say("warning", "a door")
      local c = console.of(v)
      check.equal({ c.open, c.unseen }, { false, 1 })
      local row = '{"time":"2026-11-21T12:20:52Z","service":"gemini","method":"POST","url":"h/m","status":200,"ms":%d,"sent":1,"received":1,"attempt":1,"verdict":"done"}\n'
      local rows = {}
      for i = 1, 1000 do rows[i] = row:format(i) end
      check.ok(fs.write(at .. "/.calotype/requests.log", table.concat(rows)))
      key(v, "f12")
      check.equal({ c.open, c.unseen }, { true, 0 })
      check.ok(console.look(v))
      local count = c.lines:count "request"
      check.ok(count > 300 and count < 600, count) -- the end of the log alone
      check.contains(c.lines:shown()[#c.lines:shown()].text, "1000 ms")
      check.equal(console.look(v), false) -- not again at once
      table.insert(rows, row:format(1001))
      check.ok(fs.write(at .. "/.calotype/requests.log", table.concat(rows)))
      c.looked = nil
      check.ok(console.look(v))
      check.equal(c.lines:count "request", count + 1)
      check.ok(fs.write(at .. "/.calotype/requests.log", row:format(7))) -- made anew
      c.looked = nil
      check.ok(console.look(v))
      check.contains(c.lines:shown()[#c.lines:shown()].text, "7 ms")
      key(v, "`", { ctrl = true })
      check.equal(c.open, false)
      console.keep(v)
      check.equal(v.project.settings.console, false)
    end)
  end)

  test("it stays at its end unless one scrolled up, and Ctrl+C copies the chosen line or all", function()
    with_view(function(v)
      key(v, "f12")
      for i = 1, 100 do console.tell(v, "info", "line " .. i) end
      v:pass(nil, false)
      local c, kept = console.of(v), v.ui:kept "console rows"
      local at_end = kept.offset
      check.ok(at_end > 1000)
      console.tell(v, "error", "last")
      v:pass(nil, false)
      check.equal(kept.offset, at_end + 20)
      v:pass({ kind = "mouse", what = "move", x = 300, y = 560 }, false)
      v:pass({ kind = "mouse", what = "wheel", x = 300, y = 560, dx = 0, dy = 3 }, false)
      local up = kept.offset
      check.ok(up < at_end)
      console.tell(v, "info", "more")
      v:pass(nil, false)
      check.equal(kept.offset, up)
      key(v, "c", { ctrl = true })
      check.contains(v.window:clipboard(), "line 1\n") -- none is chosen: all
      check.contains(v.window:clipboard(), "error     last\n")
      v:pass({ kind = "mouse", what = "down", x = 300, y = 560, button = "left", clicks = 1 }, false)
      v:pass({ kind = "mouse", what = "up", x = 300, y = 560, button = "left", clicks = 1 }, false)
      check.ok(c.row)
      key(v, "c", { ctrl = true })
      check.equal(v.window:clipboard(), lines_of.text { c.lines:shown()[c.row] })
      c.lines:show("info", false) -- the chosen one is hidden: none is chosen
      v:pass(nil, false)
      check.equal(c.row, nil)
      key(v, "c", { ctrl = true })
      check.contains(v.window:clipboard(), "last")
      check.ok(not v.window:clipboard():find "line 1")
    end)
  end)
end

if part then return test_pane() end
test_lines()

test("the pane, on SDL's dummy display", function() window.part("tests/test_window_console.lua", "WINDOW_PART=console") end)
