-- The window among hostile files, on SDL's dummy display: captions that are none, disks that are full, pictures that are something else. No pass
-- takes long, nothing ends the program, and what was there stays. This file is also the program that does it (HOSTILE_PART).
local part = os.getenv "HOSTILE_PART"
local FILE = "tests/test_window_hostile.lua"
local window = dofile "tests/window.lua"
local fs = require "native.fs"
local hash = require "native.hash"
local image = require "native.image"
local project = require "window.project"

if not part then
  for _, case in ipairs { { "captions", "captions that are a megabyte, a hundred thousand lines, one letter of ten thousand marks, or blanks" },
    { "damaged", "a store with a page of garbage never shows captions as gone: it is refused with what to do, or each change is" },
    { "closed", "a caption file that is read-only, and links that lead outside, are named as what they are" },
    { "runs", "run.json by a stranger: wrong kinds, 300,000 losses, 20,000 sheets, curves that a float cannot step through" },
    { "paste", "a clipboard of seven megabytes is refused with a sentence, wherever it is pasted" } } do
    test(case[2], function() window.part(FILE, "HOSTILE_PART=" .. case[1]) end)
  end

  test("fifteen hundred pictures named one by one need no more open files than a folder, and little time", function()
    local at, names = tmp "many", {}
    os.execute("mkdir -p " .. at .. "/photos")
    for i = 1, 1500 do
      names[i] = ("%s/photos/p%04d.png"):format(at, i)
      for _, path in ipairs { names[i], (names[i]:gsub("png$", "txt")) } do
        local file = assert(io.open(path, "w"))
        file:write("a door " .. i)
        file:close()
      end
    end
    assert(fs.write(at .. "/r.lua", 'images { "' .. table.concat(names, '",\n"') .. '" }:export { as = "sidecars", to = "out" }\n'))
    local program = fs.absolute((os.getenv "BUILD" or "build/release") .. "/calotype")
    local pipe = io.popen(("cd %s && ulimit -n 64 && CALOTYPE_STORE=.calotype %s plan r.lua 2>&1"):format(at, program))
    local said = pipe:read "a"
    pipe:close()
    check.contains(said, "1500 pictures")
    check.contains(said, "would write out")
  end)

  test("a folder that takes nothing is tried once, not with each of five thousand dropped pictures", function()
    local source, at, list = require "window.source", tmp "closed", {}
    os.execute("mkdir -p " .. at)
    assert(fs.write(at .. "/folder", "a file where the folder was"))
    for i = 1, 20 do
      list[i] = ("%s/p%02d.png"):format(at, i)
      assert(image.new(8, 8, { i, 2, 3 }):save(list[i]))
    end
    local job = source.taking({ folder = at .. "/folder", of_content = function() return {} end }, list)
    check.equal(job.next(), false)
    check.equal({ #job.taken, #job.refused, job.at }, { 0, 20, 20 })
    check.contains(job.refused[20].why, "not tried: ")
  end)
  return
end

local pipe = io.popen "readlink /proc/$PPID/exe"
local host = pipe:read "l"
pipe:close()
local timed = host:find "/release/" and not os.getenv "CALOTYPE_GC_STRESS" -- sanitizers are slower on purpose

local LONGEST = 0.5 -- seconds of this process in one turn; it is 0.1 that is promised, machines differ, and other tests are at work

-- A window on `folder` whose every turn is short.
local function open(folder, options)
  local view = window.open(folder, options)
  local meta = getmetatable(view)
  function view.turn(self, wait)
    local began = os.clock()
    meta.__index.turn(self, wait)
    local took = os.clock() - began
    if timed and took > LONGEST then error(("a turn took %.0f ms%s"):format(took * 1000, self.doing and ": " .. self.doing or "")) end
  end
  return view
end

local function draw(count)
  local at = tmp "hostile"
  os.execute("mkdir -p " .. at)
  window.draw(at .. "/photos", count)
  os.execute(("rm -f %s/photos/*.txt"):format(at))
  return at .. "/photos"
end

local parts = {}

function parts.captions()
  local tags, numbers = {}, {}
  for i = 1, 1000 do tags[i] = "tag number " .. i end
  for i = 1, 10000 do numbers[i] = "number " .. i end
  local texts = { ("a red door and "):rep(69000), ("x\n"):rep(100000), "e" .. ("\u{301}"):rep(10000), "bad \xff\xfe bytes", ("w"):rep(1000000),
    table.concat(tags, ", "), table.concat(numbers, ", "), ("\u{1F1E6}"):rep(8000), ("\u{1F468}\u{200D}"):rep(4000), "a" .. (" "):rep(30000) .. "x",
    ("\n"):rep(30000) .. "x", "a, " .. ("\\"):rep(30000) .. "x (b)", (" "):rep(1000000) .. "x" }
  local folder = draw(#texts)
  for i, text in ipairs(texts) do assert(fs.write(("%s/p%04d.txt"):format(folder, i), text)) end
  local view <close> = open(folder)
  local ui = view.ui
  window.settle(view)
  for i, text in ipairs(texts) do
    view.doing = ("caption %d"):format(i)
    view:go(i)
    view:turn(0)
    window.press(view, "return")
    window.press(view, "f2")
    window.type(view, "z")
    if #text > 32768 then -- shown, not written
      check.equal(view.editor.document, nil)
      check.equal(ui.focus, nil)
      check.equal(view.project:current().draft, nil)
    elseif utf8.len(text) then
      local item = view.project:current()
      check.contains(item.draft or item.caption, "z")
    end
    if ui.focus == "caption" then
      for _, key in ipairs { "left", "up", "home", "ctrl+left", "ctrl+right", "end", "ctrl+backspace", "ctrl+a", "ctrl+c", "ctrl+z", "ctrl+z", "escape" } do
        view.doing = ("caption %d, %s"):format(i, key)
        window.press(view, key)
      end
    end
    window.press(view, "escape")
    window.settle(view)
    for tab = 1, 3 do
      view.pane.tab = tab
      view:turn(0)
      view:pass()
    end
    view.pane.tab = 1
    view:show "grid"
  end
  for i, text in ipairs(texts) do
    if #text > 32768 or not utf8.len(text) then check.equal(fs.read(("%s/p%04d.txt"):format(folder, i)) == text, true, "text " .. i) end
  end
end

function parts.paste()
  local folder = draw(2)
  local view <close> = open(folder)
  window.settle(view)
  for _, case in ipairs { { 600000, "a caption has at most", "too long: 32 kB is the most" } } do
    view.window:clipboard(("a red door, "):rep(case[1]))
    window.press(view, "ctrl+v") -- onto the picture
    window.settle(view)
    check.equal(view.project.items[1].caption, "")
    check.contains(view.ui.toasts[#view.ui.toasts].text, case[2])
    window.press(view, "f2")
    window.press(view, "ctrl+v") -- into its caption
    check.contains(view.ui.toasts[#view.ui.toasts].text, case[3])
    check.equal(view.editor.document:text(), "")
    window.press(view, "escape")
    window.press(view, "ctrl+f")
    window.press(view, "ctrl+v") -- into the filter
    check.equal(view.filter:text(), "")
    window.press(view, "escape")
  end
  view.window:clipboard "x"
end

function parts.damaged()
  local folder = draw(6)
  local at = folder:gsub("/photos$", "")
  do
    local p = assert(project.open(folder, { store = at .. "/.calotype" }))
    for i, item in ipairs(p.items) do check.ok(p.changes:write(item, "a red door " .. i)) end
    p.changes:star({ p.items[1] }, 3)
    p:close()
  end
  local whole, r = assert(fs.read(at .. "/.calotype/store.db")), hash.random(7)
  local refused, told = 0, 0
  for page = 1, #whole // 4096 - 1 do
    local noise = {}
    for i = 1, 4096 do noise[i] = string.char(r:below(256)) end
    local bytes = whole:sub(1, page * 4096) .. table.concat(noise) .. whole:sub(page * 4096 + 4097)
    assert(fs.write(at .. "/.calotype/store.db", bytes))
    os.execute(("rm -f %s/.calotype/store.db-*"):format(at))
    local p, message = project.open(folder, { store = at .. "/.calotype" })
    if not p then
      refused = refused + 1
      check.contains(message, "is damaged")
      check.contains(message, "Nothing was deleted: save its captions with")
      check.equal(fs.read(at .. "/.calotype/store.db") == bytes, true)
    else
      p:close()
      assert(fs.write(at .. "/.calotype/store.db", bytes))
      local view = window.open(folder)
      for i, item in ipairs(view.project.items) do if item.sha256 then check.equal(item.caption, "a red door " .. i) end end
      window.press(view, "f2")
      window.type(view, "z")
      window.press(view, "ctrl+return")
      local bad = false
      for _, toast in ipairs(view.ui.toasts) do bad = bad or toast.kind == "bad" and toast.text:find("is damaged", 1, true) ~= nil end
      local first = view.project.items[1]
      check.ok(bad or not first.draft and first.caption:find "z", "page " .. page .. ": lost in silence")
      told = told + (bad and 1 or 0)
      pcall(view.close)
    end
  end
  check.ok(refused > 2 and told > 0, ("%d refused, %d told"):format(refused, told))
end

function parts.closed()
  local folder = draw(2)
  assert(fs.write(folder .. "/p0001.txt", "a red door\n"))
  os.execute(("ln -s /dev/zero %s/zero.png; ln -s self.png %s/self.png"):format(folder, folder))
  local view <close> = open(folder)
  window.settle(view)
  for now = 1, 3 do view.watch:look(view.project.items, 1e9 + now * 2) end
  for _, item in ipairs(view.project.items) do
    if item.name:find "^[zs]" then
      check.equal(item.gone, nil)
      check.contains(item.error, "leads out of the folders")
    end
  end
  local beside = require "captions.beside"
  local write = beside.write
  beside.write = function(path) return nil, path .. " cannot be written: Permission denied", "DENIED" end -- root may write anything
  check.ok(view.project.changes:write(view.project.items[1], "a blue door"))
  beside.write = write
  local said = ""
  for _, news in ipairs(view.project:told()) do said = said .. news.text .. "\n" end
  check.contains(said, "Permission denied; the text is kept in the store")
  check.equal(said:find "another program", nil)
  check.equal(fs.read(folder .. "/p0001.txt"), "a red door\n")
end

function parts.runs()
  local losses, sheets = {}, {}
  for i = 1, 300000 do losses[i] = ("[%d,%g]"):format(i, 1 / i) end
  for i = 1, 20000 do
    sheets[i] = ('{"step":%d,"path":"samples/s.png","width":64,"height":64,"rows":[{"prompt":"p%d","strength":1,"cells":[[0,0,64,64]]}]}'):format(i, i % 9)
  end
  local cases = {
    many = '"losses":[' .. table.concat(losses, ",") .. "]",
    sheets = '"losses":[],"samples":[' .. table.concat(sheets, ",") .. "]",
    resumed = '"losses":[[1,1]],"resumed":[{},[1],"x",7]', kinds = '"losses":7,"samples":"x","grids":[7,{}],"held":{"a":1},"steps":"x"',
    flat = '"losses":[[1,1e20],[2,1.0000000000000001638e20],[3,1e20]]', wide = '"losses":[[1,-1e308],[2,1e308],[9223372036854775807,3]],"steps":9223372036854775807',
    old = '"losses":[[1,null],[2,"x"],null,{},[3,1.5]],"started":9223372036854775807,"updated":9223372036854775807,"seconds_per_step":1e308',
  }
  for name, rest in pairs(cases) do
    local folder = tmp "run"
    os.execute(("mkdir -p %s/samples"):format(folder))
    assert(image.new(64, 64, { 9, 9, 9 }):save(folder .. "/samples/s.png"))
    assert(fs.write(folder .. "/run.json", '{"calotype":"run","version":1,"state":"training","step":5,' .. rest .. "}"))
    local view <close> = window.open(folder)
    for _ = 1, 3 do
      local began = os.clock()
      view:pass()
      check.ok(not timed or os.clock() - began < LONGEST, name .. " takes long to paint")
    end
    check.ok(#view.run.losses <= 4096 and #view.run.rows <= 1000, name)
    if name == "many" then
      check.near(view.run.losses[1][2], 0.06, 0.02) -- the mean of the first 74
      check.equal(view.run.losses[#view.run.losses][1] <= 300000, true)
    elseif name == "sheets" then check.equal(view.run.rows[#view.run.rows].step, 20000)
    elseif name == "resumed" then check.equal(view.run.facts[#view.run.facts], { "went on at", "7" }) end
  end
end

test(part, parts[part])
