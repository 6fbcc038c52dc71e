-- Marks on many pictures that nobody has read yet: the loader reads them while the window goes on, and then the step is done as a whole or, taken
-- back or killed before, not at all. This file is also the program that does it with SDL's dummy display (MARKS_PART).
local fs = require "native.fs"
local hash = require "native.hash"
local loaders = require "native.loader"
local log = require "native.log"
local project = require "window.project"
local script = require "native.script"
local stores = require "native.store"

local FILE = "tests/test_window_marks.lua"
local COUNT = 160

-- Files of 64 KB that are no pictures, each another: what they are is nobody's question here.
local function folder(count)
  local at = tmp(os.getenv "MARKS_PART" or "marks")
  os.execute("mkdir -p " .. at .. "/photos")
  for i = 1, count or COUNT do
    local file = assert(io.open(("%s/photos/p%04d.png"):format(at, i), "w"))
    file:write(("not decoded %06d "):format(i):rep(3400))
    file:close()
  end
  return at, at .. "/photos", at .. "/.calotype"
end

local function open(photos, store)
  local p = check.ok(project.open(photos, { store = store }))
  local loader = check.ok(loaders.open(p.store, {}))
  -- What the window does in a turn.
  local tags, tag = {}, 0
  local function turn()
    for answer in function() return loader:next() end do p:learn(tags[answer.tag], answer) end
    for _, wish in ipairs(p:needed(16)) do
      tag = tag + 1
      tags[tag] = wish.item
      check.ok(loader:ask(tag, { path = wish.item.path, what = wish.what }))
    end
    return p:work(0.004)
  end
  local function all()
    local till = log.clock() + 60
    while p.waiting[1] do
      turn()
      check.ok(log.clock() < till, "the files were not read in 60 s")
    end
  end
  return p, { turn = turn, all = all, close = function()
    loader:close()
    p:close()
  end }
end

local function with_stars(p)
  local count = 0
  for _, item in ipairs(p.items) do count = count + (item.star > 0 and 1 or 0) end
  return count
end

local function kept(store)
  local s <close> = check.ok(stores.open(store))
  local count = 0
  for _ in pairs(s:marks "star") do count = count + 1 end
  return count
end

local function stars(p, said)
  return function() said[#said + 1] = table.pack(p.changes:star(p.items, 5)) end
end

local function model()
  test("a few small files are read at once, many wait for the loader and become one step", function()
    local _, photos, store = folder()
    local p, on = open(photos, store)
    local said = {}
    check.equal(p:once_known({ p.items[1] }, "one", function() p.changes:star({ p.items[1] }, 2) end), true)
    check.equal(p.items[1].star, 2)
    check.equal(p:once_known(p.items, "all", stars(p, said)), false)
    check.equal({ p.waiting[1].title, p.waiting[1].at, p.waiting[1].all }, { "all", 0, COUNT - 1 })
    check.equal({ with_stars(p), kept(store) }, { 1, 1 })
    on.all()
    check.equal(said[1][1], COUNT)
    check.equal({ with_stars(p), kept(store) }, { COUNT, COUNT })
    check.equal(p.changes:list()[1].count, COUNT)
    check.equal(p.changes:undo().count, COUNT)
    check.equal({ with_stars(p), p.items[1].star, kept(store) }, { 1, 2, 1 })
    check.equal(p.changes:redo().count, COUNT)
    check.equal(kept(store), COUNT)
    on.close()
  end)

  test("steps that wait are done in the order in which they were asked for", function()
    local _, photos, store = folder()
    local p, on = open(photos, store)
    p:once_known(p.items, "all", function() p.changes:star(p.items, 5) end)
    check.equal(p:once_known({ p.items[7] }, "one", function() p.changes:star({ p.items[7] }, 1) end), false)
    on.all()
    check.equal({ p.items[6].star, p.items[7].star }, { 5, 1 })
    check.equal(#p.changes:list(), 2)
    on.close()
  end)

  test("a step that is taken back while it waits leaves nothing, and what was read is not read again", function()
    local _, photos, store = folder()
    local p, on = open(photos, store)
    p:once_known(p.items, "all", stars(p, {}))
    repeat on.turn() until p.waiting[1].at >= COUNT // 4
    check.equal(p:forget_waiting(), "all")
    check.equal(p:forget_waiting(), nil)
    on.turn()
    check.equal({ with_stars(p), kept(store), #p.changes:list() }, { 0, 0, 0 })
    p:once_known(p.items, "all", stars(p, {}))
    check.ok(p.waiting[1].all <= COUNT * 3 // 4, "read once more")
    on.all()
    check.equal(kept(store), COUNT)
    on.close()
  end)

  test("files that cannot be read are left, and named; one that is no picture is put aside", function()
    local _, photos, store = folder()
    local p, on = open(photos, store)
    os.remove(p.items[3].path)
    local count, left
    p:once_known(p.items, "all", function() count, left = p.changes:reject(p.items, "blurred") end)
    on.all()
    check.equal({ count, #left, left[1].item }, { COUNT - 1, 1, p.items[3] })
    check.contains(left[1].why, "p0003.png")
    check.contains(p:told()[1].text, "p0003.png was left as it is")
    check.equal({ p.items[2].reject.reason, p.items[3].reject }, { "blurred", nil })
    on.close()
  end)

  test("a mark stays with a file that is touched after it was given", function()
    local _, photos, store = folder(2)
    local p, on = open(photos, store)
    local one, two = p.items[1], p.items[2]
    p:learn(two, { sha256 = hash.file(two.path) }) -- marks were read from the store by now
    check.equal(p.changes:star({ one, two }, 4), 2)
    os.execute("touch -d 2020-01-01 " .. two.path)
    check.ok(p:renew(two, fs.stat(two.path)))
    p:learn(two, { sha256 = hash.file(two.path) })
    check.equal({ one.star, two.star }, { 4, 4 })
    on.close()
  end)

  test("what the loader has no memory for is asked for again", function()
    local _, photos, store = folder()
    local p, on = open(photos, store)
    p:once_known(p.items, "all", stars(p, {}))
    local refused = p:needed(16)
    check.equal(#refused, 16)
    for _, wish in ipairs(refused) do p:unread(wish.item) end
    on.all()
    check.equal(kept(store), COUNT)
    on.close()
  end)

  test("a program that is killed while files are read, or while marks are written, leaves all of the step or nothing", function()
    local at, photos, store = folder()
    local program = at .. "/child.lua"
    check.ok(fs.write(program, ([[
      local loaders, project = require "native.loader", require "window.project"
      local p = project.open(%q, { store = %q })
      local loader = loaders.open(p.store, {})
      for n = 1, 1000 do
        for _, item in ipairs(p.items) do item.sha256, item.error = nil, nil end -- as if nobody had read them
        p:once_known(p.items, "all", function() p.changes:star(p.items, 1 + n %% 5) end)
        while p.waiting[1] do
          for answer in function() return loader:next() end do p:learn(p.items[answer.tag], answer) end
          for _, wish in ipairs(p:needed(64)) do loader:ask(wish.item.index, { path = wish.item.path, what = wish.what }) end
          p:work(0.004)
        end
      end
    ]]):format(photos, store)))
    local pipe = io.popen "readlink /proc/$PPID/exe"
    local host = pipe:read "l"
    pipe:close()
    local random, some, slow = hash.random(20261121), 0, 1 -- a machine on which nothing came so far gets twice the time
    for kill = 1, 12 do
      local child = io.popen(("%s %s >%s/out 2>&1 & echo $!; wait $! 2>/dev/null"):format(host, program, at))
      local pid = child:read "l"
      script.pause((0.05 + random:below(400) / 1000) * slow)
      os.execute("kill -9 " .. pid)
      child:close()
      check.equal(fs.read(at .. "/out"), "", "kill " .. kill .. ": it ended by itself")
      local p, on = open(photos, store)
      local first, steps = p.items[1].star, 0
      for _, item in ipairs(p.items) do check.equal(item.star, first) end
      for _, step in ipairs(p.changes:list(10000)) do if not step.undone and not step.dropped then steps = steps + 1 end end
      check.equal(first > 0, steps > 0)
      if steps > 0 then
        some = some + 1
        check.equal(p.changes:undo().left, {})
        for _, item in ipairs(p.items) do check.equal(item.star, p.items[1].star) end
      end
      if some == 0 then slow = slow * 2 end
      on.close()
    end
    check.ok(some > 0, "no program came so far")
  end)

  test("in the window: the bar, Esc, one step back", function() dofile("tests/window.lua").part(FILE, "MARKS_PART=window") end)
end

if not os.getenv "MARKS_PART" then return model() end

local window = dofile "tests/window.lua"

-- Until a step is done, and the longest turn by the clock of this process.
local function done(view)
  local till = log.clock() + 60
  while view.project.waiting[1] do
    view:turn(0.002)
    check.ok(log.clock() < till, "the files were not read in 60 s")
  end
end

test("stars for all: the bar tells how far it is, Esc and Ctrl+Z leave it undone, a second key waits its turn", function()
  local _, photos, store = folder()
  local view <close> = window.open(photos)
  local p = view.project
  view.identifying[p.items[1]] = true -- nothing is read without being asked for
  function view.pictures.arrive() return 0, 0 end -- and nothing comes yet
  window.press(view, "ctrl+a")
  window.press(view, "5")
  check.ok(p.waiting[1], "it is done already")
  check.equal(p.waiting[1].title, "5 stars for 160 pictures")
  local drawn, label = nil, view.ui.label
  function view.ui:label(area, words, how)
    drawn = words:find "files are read" and words or drawn
    return label(self, area, words, how)
  end
  view:pass()
  check.contains(drawn, "5 stars for 160 pictures: ")
  window.press(view, "escape")
  check.equal({ #p.waiting, p:counts().selected, with_stars(p), kept(store) }, { 0, COUNT, 0, 0 })
  window.press(view, "4")
  check.ok(p.waiting[1])
  window.press(view, "ctrl+z")
  check.equal({ #p.waiting, with_stars(p) }, { 0, 0 })
  window.press(view, "3")
  view.pictures.arrive = nil
  done(view)
  check.equal({ with_stars(p), kept(store) }, { COUNT, COUNT })
  window.press(view, "ctrl+z")
  check.equal({ with_stars(p), kept(store) }, { 0, 0 })
end)

test("closing while a step waits is asked about once", function()
  local _, photos, store = folder()
  local view <close> = window.open(photos)
  function view.pictures.arrive() return 0, 0 end
  window.press(view, "ctrl+a")
  window.press(view, "delete")
  check.ok(view.project.waiting[1])
  view:leave()
  check.equal(view.closed, nil)
  check.contains(view.project.waiting[1].title, "Put 160 pictures aside")
  view:leave()
  check.equal({ view.closed, kept(store) }, { true, 0 })
end)

test("captions for many that nobody has read wait, too", function()
  local _, photos = folder()
  local view <close> = window.open(photos)
  function view.pictures.arrive() return 0, 0 end
  view.window:clipboard "a red door"
  window.press(view, "ctrl+a")
  window.press(view, "ctrl+v")
  check.ok(view.project.waiting[1])
  view.pictures.arrive = nil
  done(view)
  check.equal(view.project:counts().captioned, COUNT)
end)
