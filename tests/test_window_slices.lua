-- Steps over many captions are looked at in slices: the window goes on meanwhile, and a step is done as a whole or, taken back, left or killed
-- before, not at all. This file is also the program that does it with SDL's dummy display (SLICES_PART).
local fs = require "native.fs"
local hash = require "native.hash"
local log = require "native.log"
local project = require "window.project"
local reading = require "window.reading"
local script = require "native.script"
local slices = require "window.slices"

local FILE = "tests/test_window_slices.lua"
local COUNT = 600

local pipe = io.popen "readlink /proc/$PPID/exe"
local host = pipe:read "l"
pipe:close()
local timed = host:find "/release/" and not os.getenv "CALOTYPE_GC_STRESS" -- sanitizers are slower on purpose

-- Files that are no pictures, each another, with a caption file for every third.
local function folder(count)
  local at = tmp(os.getenv "SLICES_PART" or "slices")
  os.execute("mkdir -p " .. at .. "/photos")
  for i = 1, count or COUNT do
    local path = ("%s/photos/p%05d.png"):format(at, i)
    assert(fs.write(path, "not decoded " .. i))
    if i % 3 == 0 then assert(fs.write((path:gsub("png$", "txt")), "a door\n")) end
  end
  return at, at .. "/photos", at .. "/.calotype"
end

local function open(photos, store)
  local p = check.ok(project.open(photos, { store = store }))
  for _, item in ipairs(p.items) do check.ok(item.sha256 or p:identify(item)) end
  return p
end

-- A step as the window asks for it, a picture in each slice, until so many are looked at.
local function begin(p, at, fn)
  slices.SECONDS = 0
  local said = {}
  check.equal(p:once_known(p.items, "words", function() table.insert(said, table.pack(fn())) end), false)
  while p.waiting[1].slice.at < at do p:work(0) end
  return said
end

local function finish(p)
  local till = log.clock() + 60
  while p.waiting[1] or p:work(0) do
    p:work(0.01)
    check.ok(log.clock() < till, "the step was not done in 60 s")
  end
end

local function with(p, text)
  local count = 0
  for _, item in ipairs(p.items) do
    local row = item.sha256 and p.store:caption_in_force(item.sha256)
    count = count + (item.caption == text and row and row.text == text and 1 or 0)
  end
  return count
end

-- Pictures that show a text which the store, or the caption file, has not.
local function odd(p)
  local list = {}
  for _, item in ipairs(p.items) do
    local row, file = p.store:caption_in_force(item.sha256), fs.read((item.path:gsub("png$", "txt")))
    if (row and row.text or "") ~= item.caption and not (file and not row) or file and file ~= item.caption .. "\n" then list[#list + 1] = item.name end
  end
  return list
end

local function texts(p, text)
  local list = {}
  for i, item in ipairs(p.items) do list[i] = { item, text } end
  return list
end

local function model()
  test("few pictures are done at once, many in slices of which each is short", function()
    local _, photos, store = folder(3000)
    local p = open(photos, store)
    slices.SECONDS = 0
    local few = table.move(p.items, 1, slices.FEW - 1, 1, {})
    check.equal(p:once_known(few, "few", function() p.changes:append(few, "words") end), true)
    check.equal(#p.changes:list(), 1)
    finish(p)
    slices.SECONDS = 0.005
    local function run(fn)
      check.equal(p:once_known(p.items, "all", fn), false)
      local count = 0
      while true do
        local began = os.clock()
        p:work(0.004)
        local took = os.clock() - began
        if not p.waiting[1] then break end -- the transaction was in this one: it is whole
        count = count + 1
        if timed and took > 1 then error(("a slice took %.0f ms"):format(took * 1000)) end
      end
      check.ok(count > 2, "it was cut into slices")
      finish(p)
    end
    local count, done
    run(function() count = p.changes:write_many(texts(p, "a red door"), "all") end)
    check.equal({ count, with(p, "a red door") }, { 3000, 3000 })
    run(function() done = p.changes:undo() end)
    check.equal({ done.count, #done.left, with(p, "a red door") }, { 3000, 0, 0 })
    check.equal(odd(p), {})
    p:close()
  end)

  test("a step that is taken back while it is looked at leaves nothing", function()
    local _, photos, store = folder()
    local p = open(photos, store)
    local said = begin(p, 300, function() return p.changes:write_many(texts(p, "a red door"), "all") end)
    check.equal({ reading.how_far(p.waiting[1]) }, { "300 of 600 captions are looked at", 0.5 })
    check.equal(p:forget_waiting(), "words")
    finish(p)
    check.equal({ #said, #p.changes:list(), with(p, "a red door") }, { 0, 0, 0 })
    check.equal(odd(p), {})
    check.equal(p.changes:write_many(texts(p, "a red door"), "all"), COUNT) -- no slice: at once
    finish(p)
    begin(p, 300, function() return p.changes:undo() end)
    p:forget_waiting()
    check.equal({ with(p, "a red door"), (p.changes:can()) }, { COUNT, "all" })
    p:close()
  end)

  test("what changes between two slices stays as it is, and is named", function()
    local _, photos, store = folder()
    local p, other = open(photos, store), open(photos, store)
    begin(p, 300, function() return p.changes:write_many(texts(p, "a red door"), "all") end)
    check.ok(p.changes:type(p.items[1], "being written"))
    check.ok(p.changes:write(p.items[2], "written"))
    check.equal(other.changes:write(other.items[4], "by another window"), true)
    check.ok(fs.write(p.items[5].path, "another picture"))
    check.ok(p:reload())
    check.ok(p:forget_waiting() == "words")
    local said = begin(p, 300, function() return p.changes:write_many(texts(p, "a red door"), "all") end)
    check.ok(p.changes:type(p.items[1], "being written once more"))
    check.ok(p.changes:write(p.items[2], "written again"))
    check.ok(p.changes:write(p.items[COUNT], "written before it was looked at"))
    check.equal(other.changes:write(other.items[4], "by another window again"), true)
    check.ok(fs.write(p.items[5].path, "another picture again"))
    check.ok(p:renew(p.items[5], fs.stat(p.items[5].path)))
    finish(p)
    local count, left, why = said[1][1], said[1][2], {}
    for _, one in ipairs(left) do why[one.item.name] = one.why end
    check.equal({ count, with(p, "a red door") }, { COUNT - 5, COUNT - 5 })
    check.equal(why, { ["p00001.png"] = "it is being written", ["p00002.png"] = "it has another text by now", ["p00600.png"] = "it has another text by now",
      ["p00004.png"] = "it has another text by now", ["p00005.png"] = "it became another picture by now" })
    check.equal({ p.items[1].draft, p.items[2].caption }, { "being written once more", "written again" })
    check.equal(p.store:drafts()[1].text, "being written once more")
    check.equal(p.changes:commit(), true)
    check.equal(p.items[1].caption, "being written once more")
    other:close()
    p:close()
  end)

  test("an undo that another change overtakes is not done", function()
    local _, photos, store = folder()
    local p = open(photos, store)
    check.equal(p.changes:write_many(texts(p, "a red door"), "all"), COUNT)
    finish(p)
    local said = begin(p, 300, function() return p.changes:undo() end)
    check.ok(p.changes:write(p.items[1], "written"))
    finish(p)
    check.equal({ said[1][1], said[1][3] }, { nil, "BUSY" })
    check.contains(said[1][2], "another change came just now")
    check.equal({ with(p, "a red door"), #odd(p) }, { COUNT - 1, 0 })
    said = begin(p, 300, function() -- what is typed meanwhile is not what is taken back
      p.changes:undo()
      return p.changes:undo()
    end)
    check.ok(p.changes:type(p.items[2], "a red door, open"))
    finish(p)
    check.equal({ said[1][1].count, said[1][1].left[1].why, p.items[2].draft }, { COUNT - 1, "it is being written", "a red door, open" })
    p:close()
  end)

  test("caption files of another window's step are waited for", function()
    local _, photos, store = folder()
    local p = open(photos, store)
    local said = begin(p, 300, function() return p.changes:write_many(texts(p, "a red door"), "all") end)
    local other = open(photos, store)
    check.equal(other.changes:write_many(texts(other, "a blue door"), "all"), COUNT) -- its files are written by `work`
    finish(p)
    check.equal({ said[1][1], said[1][3] }, { nil, "BUSY" })
    check.contains(said[1][2], "another window still writes the caption files of its last step")
    finish(other)
    p:refresh(p.items)
    check.equal(with(p, "a blue door"), COUNT)
    other:close()
    p:close()
  end)

  test("what goes wrong in a slice ends the step, and is told", function()
    local _, photos, store = folder()
    local p = open(photos, store)
    begin(p, 300, function()
      for i = 1, COUNT do slices.pause(i, COUNT) end
      error({ message = "the disk is full", code = "IO" }, 0)
    end)
    local ok, problem = pcall(finish, p)
    check.equal({ ok, problem.message, problem.code, #p.waiting }, { false, "the disk is full", "IO", 0 })
    begin(p, 300, function() return p.changes:write_many(texts(p, "a red door"), "all") end) -- the next one begins
    finish(p)
    check.equal(with(p, "a red door"), COUNT)
    p:close()
  end)

  test("a program that is killed while captions are looked at leaves all of the step or nothing", function()
    local at, photos, store = folder()
    local program = at .. "/child.lua"
    check.ok(fs.write(program, ([[
      local project, slices = require "window.project", require "window.slices"
      slices.SECONDS = 0.001
      local p = project.open(%q, { store = %q })
      for _, item in ipairs(p.items) do assert(item.sha256 or p:identify(item)) end
      for n = 1, 1000 do
        local list = {}
        for i, item in ipairs(p.items) do list[i] = { item, "door number " .. n .. " by " .. p.seat } end
        p:once_known(p.items, "all", function() p.changes:write_many(list, "all") end)
        while p:work(0.004) do end
        if n %% 3 == 0 then p:once_known({}, "undo", function() p.changes:undo() end) end
        while p:work(0.004) do end
      end
    ]]):format(photos, store)))
    local random, some, slow = hash.random(20261121), 0, 1 -- a machine on which nothing came so far gets twice the time
    for kill = 1, 8 do
      local child = io.popen(("%s %s >%s/out 2>&1 & echo $!; wait $! 2>/dev/null"):format(host, program, at))
      local pid = child:read "l"
      script.pause((0.1 + random:below(500) / 1000) * slow)
      os.execute("kill -9 " .. pid)
      child:close()
      check.equal(fs.read(at .. "/out"), "", "kill " .. kill .. ": it ended by itself")
      local p = open(photos, store)
      while p:work(0.1) do script.pause(0) end
      if #p.changes:list(10) > 0 then
        some = some + 1
        for _, item in ipairs(p.items) do check.equal(item.caption, p.items[1].caption) end
        check.equal(odd(p), {})
      end
      if some == 0 then slow = slow * 2 end
      p:close()
    end
    check.ok(some > 0, "no program came so far")
  end)

  test("in the window: the bar, Esc, keys meanwhile, closing", function() dofile("tests/window.lua").part(FILE, "SLICES_PART=window") end)
end

if not os.getenv "SLICES_PART" then return model() end

local window = dofile "tests/window.lua"

-- Words behind all captions, by the keyboard.
local function add(view, words)
  window.press(view, "ctrl+a")
  window.press(view, "a")
  window.type(view, words)
  window.press(view, "return")
end

local function opened()
  local _, photos = folder()
  local view = window.open(photos)
  for _, item in ipairs(view.project.items) do check.ok(item.sha256 or view.project:identify(item)) end
  slices.SECONDS = 0
  return view, view.project
end

local function done(view)
  local till = log.clock() + 60
  slices.SECONDS = 0.01
  while view.project.waiting[1] do
    view:turn(0)
    check.ok(log.clock() < till, "the step was not done in 60 s")
  end
  window.settle(view)
end

test("the bar tells how far it is, Esc leaves it undone, and Ctrl+Z while an undo is at work undoes one step more", function()
  local view, p = opened()
  local closing <close> = view -- luacheck: ignore
  add(view, "red")
  check.ok(p.waiting[1], "it is done already")
  local drawn, label = nil, view.ui.label
  function view.ui:label(area, words, how)
    drawn = words:find "captions are looked at" and words or drawn
    return label(self, area, words, how)
  end
  view:pass()
  check.contains(drawn, "Words for 600 pictures: ")
  window.press(view, "escape")
  check.equal({ #p.waiting, p:counts().selected, #p.changes:list() }, { 0, COUNT, 0 })
  for _, words in ipairs { "red", "blue" } do -- each a step
    slices.SECONDS = 0
    add(view, words)
    done(view)
  end
  check.equal({ p.items[3].caption, #p.changes:list() }, { "a door red blue", 2 })
  slices.SECONDS = 0
  window.press(view, "ctrl+z")
  check.contains(p.waiting[1].title, "Undo")
  window.press(view, "escape")
  check.equal({ #p.waiting, p.items[3].caption }, { 0, "a door red blue" })
  window.press(view, "ctrl+z")
  window.press(view, "ctrl+z")
  check.equal(#p.waiting, 2)
  done(view)
  check.equal(p.items[3].caption, "a door")
end)

test("keys that are typed while a step is at work are kept, and the others are done", function()
  local view, p = opened()
  local closing <close> = view -- luacheck: ignore
  view:go(3)
  add(view, "red")
  window.press(view, "f2")
  window.type(view, "s")
  check.ok(p.waiting[1], "it is done already")
  check.equal(p.items[3].draft, "a doors")
  done(view)
  check.equal({ p.items[3].draft or p.items[3].caption, p.items[6].caption, p.items[1].caption }, { "a doors", "a door red", "red" })
  check.contains(window.told(view), "p00003.png was left as it is: it ")
end)

test("closing while a step is looked at is asked about once", function()
  local view, p = opened()
  local closing <close> = view -- luacheck: ignore
  add(view, "red")
  check.ok(p.waiting[1], "it is done already")
  view:leave()
  check.equal(view.closed, nil)
  check.contains(window.told(view), "captions are looked at. Wait, or close once more to leave it undone")
  view:leave()
  check.equal({ view.closed, #p.changes:list() }, { true, 0 })
end)
