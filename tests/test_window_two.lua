-- Two windows on one folder, and what is changed by others while one is at work: nothing typed is lost, nothing is written over.
local fs = require "native.fs"
local image = require "native.image"
local project = require "window.project"
local stores = require "native.store"
local watch = require "window.watch"

local MANY = 40 -- more than the caption files that are written before a change returns

local function put(path, text) check.ok(fs.write(path, text)) end

-- A folder with pictures in photos/, each with a caption file, known to its store.
local function folder(count)
  local at, paths = tmp "two", {}
  os.execute("mkdir -p " .. at .. "/photos")
  for i = 1, count do
    paths[i] = ("%s/photos/p%02d.png"):format(at, i)
    check.ok(image.new(64 + i, 48, { (40 * i) % 256, 90, 200 }):save(paths[i]))
    put((paths[i]:gsub("png$", "txt")), "picture " .. i .. "\n")
  end
  local store <close> = stores.open(at .. "/.calotype")
  check.ok(require("native.dataset").scan(store, paths))
  return at
end

local function open(at, name) return check.ok(project.open(at .. "/" .. (name or "photos"), { store = at .. "/.calotype" })) end

local function file(at, i) return fs.read(("%s/photos/p%02d.txt"):format(at, i)) end

-- As a kill leaves it: nothing is written or kept any more, and nobody sits there.
local function kill(p) p.store:close() end

local function told(p)
  local texts = {}
  for i, news in ipairs(p:told()) do texts[i] = news.text end
  return table.concat(texts, "\n")
end

-- What a second does in a window that nobody touches.
local clock = 0
local function second(p)
  p.watch = p.watch or watch.new(p)
  clock = clock + 1
  p.watch:look(p.items, clock)
  while p:work() do end -- luacheck: ignore
end

local function wishes(p, words)
  local list = {}
  for i, item in ipairs(p.items) do list[i] = { item, words .. " " .. i } end
  return list
end

test("while one window writes the files of a large step the other changes nothing, and then goes on from there", function()
  local at = folder(MANY)
  local a, b = open(at), open(at)
  check.equal(a.changes:write_many(wishes(a, "red"), "many"), MANY)
  check.equal(file(at, MANY), "picture 40\n") -- the last ones come later
  local last = b.items[MANY]
  check.equal(check.refused("another window still writes the caption files of its last step", b.changes:write(last, "mine")), "BUSY")
  check.equal(check.refused("another window still writes", b.changes:undo()), "BUSY")
  check.ok(b.changes:type(last, "what I write"))
  check.equal(check.refused("another window still writes", b.changes:commit()), "BUSY")
  second(b)
  check.equal(#b.changes:history(last), 2) -- what the file had before is not taken for new
  while a.changes:work(0) do end -- luacheck: ignore
  second(b)
  check.equal(b.items[1].caption, "red 1")
  check.equal(b.changes.conflict.mine, "what I write")
  check.equal(b.changes.conflict.theirs, "red 40")
  check.ok(b.changes:settle "mine")
  check.equal(file(at, MANY), "what I write\n")
  second(a)
  check.equal(a.items[MANY].caption, "what I write")
  local done = a.changes:undo() -- of the other's step
  check.equal(done.count, 1)
  check.equal(a.items[MANY].caption, "red 40")
  check.equal(a.changes:undo().count, MANY)
  while a.changes:work(0) do end -- luacheck: ignore
  for i = 1, MANY do check.equal(file(at, i), "picture " .. i .. "\n") end
  a:close()
  b:close()
end)

test("a caption file that another program changes before its turn comes stays as that made it", function()
  local at = folder(MANY)
  local p = open(at)
  check.equal(p.changes:write_many(wishes(p, "red"), "many"), MANY)
  put(at .. "/photos/p39.txt", "by an editor\n")
  check.ok(fs.remove(at .. "/photos/p40.txt"))
  while p.changes:work(0) do end -- luacheck: ignore
  check.equal(file(at, 38), "red 38\n")
  check.equal(file(at, 39), "by an editor\n")
  check.equal(fs.stat(at .. "/photos/p40.txt"), nil)
  check.equal(p.items[39].caption, "by an editor")
  check.contains(told(p), "p39.txt was changed by another program")
  local done = p.changes:undo()
  check.equal({ done.count, #done.left, done.left[1].item }, { MANY - 1, 1, p.items[39] })
  check.equal(file(at, 39), "by an editor\n")
  p:close()
end)

test("the caption files of a window that was killed are written by the one that is open, or by the next", function()
  for _, later in ipairs { false, true } do
    local at = folder(MANY)
    local a, b = open(at), not later and open(at)
    check.equal(a.changes:write_many(wishes(a, "red"), "many"), MANY)
    kill(a)
    local small = stores.open(at .. "/.calotype") -- a run that came between took up what the file had
    check.ok(small:add_caption { sha = a.items[39].sha256, key = "human", text = "picture 39", author = "human", provider = "sidecar", model = "",
      detail = "{}" })
    check.ok(small:add_caption { sha = a.items[40].sha256, key = "human", text = "put back", author = "human", provider = "window", model = "",
      detail = "{}" }) -- captions undo, or whatever: the step's text is not in force any more
    small:close()
    b = b or open(at)
    second(b)
    for i = 1, MANY - 1 do check.equal(file(at, i), ("red %d\n"):format(i)) end
    check.equal(file(at, MANY), "picture 40\n")
    check.contains(told(b), "38 caption files that the program could not write before it ended are now")
    check.equal(b.items[2].caption, "red 2")
    local done = check.ok(b.changes:undo())
    check.equal(done.count, MANY - 1)
    check.equal(file(at, 1), "picture 1\n")
    b:close()
  end
end)

test("a step beside another window's is kept in mind until it is written, whoever ends first", function()
  local at = folder(MANY)
  local a = open(at)
  check.equal(a.changes:write_many(wishes(a, "red"), "many"), MANY)
  local b = open(at)
  check.equal(b.changes:star({ b.items[1] }, 3), 1) -- has no files
  b:close()
  kill(a)
  b = open(at)
  second(b)
  for i = 1, MANY do check.equal(file(at, i), ("red %d\n"):format(i)) end
  b:close()
end)

test("a text that came between looking and writing is not written over", function()
  local at = folder(3)
  local a, b = open(at), open(at)
  local function between(fn) -- fn() just before the transaction of a
    local store = a.store
    a.changes.store = setmetatable({ batch = function(_, ...)
      a.changes.store = store
      fn()
      return store:batch(...)
    end }, { __index = function(_, name) return function(_, ...) return store[name](store, ...) end end })
  end
  between(function() check.equal(b.changes:write(b.items[2], "from b"), true) end)
  local count, left = a.changes:write_many(wishes(a, "from a"), "three")
  check.equal({ count, #left, left[1].path, left[1].why }, { 2, 1, a.items[2].path, "it has another text by now" })
  check.equal({ file(at, 1), file(at, 2), file(at, 3) }, { "from a 1\n", "from b\n", "from a 3\n" })
  second(a)
  check.equal(a.items[2].caption, "from b")
  between(function() check.equal(b.changes:undo().count, 2) end)
  check.equal(check.refused("another change came just now", a.changes:undo()), "BUSY")
  check.equal(file(at, 1), "picture 1\n")
  -- what is being typed stays, and is asked about
  second(a)
  check.ok(a.changes:type(a.items[3], "typed in a"))
  between(function()
    second(b)
    check.equal(b.changes:write(b.items[3], "typed in b"), true)
  end)
  check.equal((a.changes:commit()), nil)
  check.equal(a.items[3].draft, "typed in a")
  check.equal((a.changes:commit()), false)
  check.equal(a.changes.conflict.theirs, "typed in b")
  a.changes:settle "theirs"
  a:close()
  b:close()
end)

test("two windows type in one picture: each keeps its own, and a kill of both loses neither", function()
  local at = folder(2)
  local a = open(at)
  check.ok(a.changes:type(a.items[1], "a begins"))
  local b = open(at)
  check.equal(b.items[1].caption, "picture 1") -- what a living window writes is its own
  check.equal(told(b), "")
  check.ok(b.changes:type(b.items[1], "b begins"))
  check.ok(a.changes:type(a.items[1], "a begins and goes on"))
  kill(a)
  kill(b)
  local p = open(at)
  check.equal(p.items[1].caption, "a begins and goes on")
  check.equal(p.changes.conflict.mine, "b begins")
  check.equal(p.changes.conflict.theirs, "a begins and goes on")
  check.ok(p.changes:settle "theirs")
  local texts = {}
  for i, row in ipairs(p.changes:history(p.items[1])) do texts[i] = row.text end
  check.contains(table.concat(texts, "|"), "b begins|")
  check.equal(p.store:drafts(), {})
  p:close()
  -- one goes on while the other was killed: the draft waits for the next
  a = open(at)
  b = open(at)
  check.ok(b.changes:type(b.items[2], "b was killed"))
  kill(b)
  check.ok(a.changes:type(a.items[2], "a goes on"))
  check.equal(a.changes:commit(), true)
  a:close()
  p = open(at)
  check.equal(p.changes.conflict.mine, "b was killed")
  check.equal(p.changes.conflict.theirs, "a goes on")
  p:close()
end)

test("what undo would do is another when the other window did something", function()
  local at = folder(2)
  local a, b = open(at), open(at)
  check.equal({ a.changes:can() }, {})
  check.ok(b.changes:write(b.items[1], "from b"))
  second(a)
  check.equal({ a.changes:can() }, { "caption of p01.png" })
  check.equal(a.changes:undo().count, 1)
  second(b)
  check.equal({ b.changes:can() }, { nil, "caption of p01.png" })
  a:close()
  b:close()
end)

test("a folder reached by a link is the same folder: its steps, its copies, where one was", function()
  local at = folder(3)
  os.execute(("ln -s photos %s/link; cp %s/photos/p01.png %s/photos/p04.png"):format(at, at, at))
  put(at .. "/photos/p04.txt", "the copy\n")
  local a = open(at)
  check.ok(a.changes:write(a.items[4], "the copy, changed"))
  local b = open(at, "link")
  check.equal({ b.place, b.items[4].path }, { a.place, at .. "/link/p04.png" })
  check.equal({ b.changes:can() }, { "caption of p04.png" })
  a:close()
  check.equal(b.changes:undo().count, 1)
  check.equal({ file(at, 1), file(at, 4) }, { "picture 1\n", "the copy\n" })
  b:go(b.items[3])
  b:close()
  b = open(at)
  check.equal(b:current().name, "p03.png")
  b:close()
end)

test("a folder that is moved while it is open is written where it is now", function()
  local at = folder(1)
  local p = open(at)
  os.execute(("mv %s/photos %s/elsewhere; mkdir %s/photos"):format(at, at, at))
  second(p)
  check.equal(p.changes:write(p.items[1], "moved"), true)
  local seen = io.popen(("ls %s/photos; cat %s/elsewhere/p01.txt"):format(at, at)) -- fs goes where the folder went
  check.equal(seen:read "a", "moved\n")
  seen:close()
  p:close()
end)

test("a picture that goes away while it is written gets its caption when it is back, and its file", function()
  local at = folder(2)
  put(at .. "/photos/p01.txt", "a \\(red\\) door\n")
  local p = open(at)
  check.ok(p.changes:type(p.items[1], "a green door"))
  os.execute(("mkdir %s/elsewhere; mv %s/photos/* %s/elsewhere"):format(at, at, at))
  second(p)
  check.equal(check.refused("p01.png is gone: put it back, or press F5", p.changes:commit()), "NOTFOUND")
  check.ok(p.changes:type(p.items[1], "a green door, open"))
  p.changes:tick(1)
  p.changes:tick(4)
  p.changes:tick(7)
  local _, count = told(p):gsub("what you write is kept meanwhile", "")
  check.equal(count, 1)
  check.equal(p.changes.conflict, nil)
  check.refused("p02.png is gone: put it back, or press F5", p.changes:write(p.items[2], "x"))
  check.ok(p:go(p.items[2]))
  p.changes:commit()
  check.equal(#fs.list(at .. "/photos"), 0) -- nothing is made where nothing is
  check.equal(p.items[1].draft, "a green door, open")
  os.execute(("mv %s/elsewhere/* %s/photos"):format(at, at))
  second(p)
  check.equal(p.items[1].caption, "a \\(red\\) door")
  p.changes:tick(20)
  p.changes:tick(30)
  check.equal(p.items[1].caption, "a green door, open")
  check.equal(file(at, 1), "a green door, open\n")
  check.equal(p.store:drafts(), {})
  p:close()
end)

test("a picture that becomes another while it is written keeps what is typed, once", function()
  local at = folder(1)
  local p = open(at)
  local item = p.items[1]
  local old = item.sha256
  check.ok(p.changes:type(item, "typed"))
  put(at .. "/photos/p01.txt", "theirs\n") -- what is typed cannot be kept just so
  second(p)
  check.equal(p.changes.conflict.mine, "typed")
  check.ok(image.new(50, 48, { 1, 2, 3 }):save(item.path))
  second(p)
  check.equal(item.sha256, nil)
  check.ok(p.changes:type(item, "typed on"))
  check.ok(item.sha256 ~= old)
  check.equal(p.store:drafts(), { { sha = item.sha256, seat = 1, text = "typed on" } })
  check.ok(p.changes:settle "mine")
  check.equal(file(at, 1), "typed on\n")
  check.equal(p.store:drafts(), {})
  p:close()
end)

test("a step that would wait long for the files of the last is told so, and what was typed meanwhile is kept by itself", function()
  local at = folder(MANY)
  local p = open(at)
  check.equal(p.changes:write_many(wishes(p, "red"), "many"), MANY)
  local clock_before = require("native.log").clock
  local time = 0
  require("native.log").clock = function() -- each look at the clock takes a second
    time = time + 1
    return time
  end
  check.ok(p.changes:type(p.items[1], "typed"))
  local _, message = p.changes:commit()
  check.contains(message, "the caption files of the step before are still being written")
  check.equal(check.refused("are left; try again in a moment", p.changes:undo()), "BUSY")
  require("native.log").clock = clock_before
  check.ok(p.changes:type(p.items[2], "in the next picture"))
  check.equal(p.items[1].draft, nil)
  check.equal(p.items[1].caption, "typed")
  p:close()
end)

test("pictures that were being copied when the window was killed are copied when it is opened again, each once", function()
  local at = folder(2)
  local from = at .. "/new"
  os.execute("mkdir " .. from)
  local paths = {}
  for i = 1, 20 do
    paths[i] = ("%s/n%02d.png"):format(from, i)
    check.ok(image.new(30 + i, 20, { 7, 12 * i, 3 }):save(paths[i]))
    put((paths[i]:gsub("png$", "txt")), "new " .. i .. "\n")
  end
  paths[21] = from .. "/nothing.png"
  for _, broken in ipairs { "between", "within", "before" } do
    os.execute(("rm -f %s/photos/n*"):format(at))
    local p = open(at)
    p:begin_adding(paths)
    if broken ~= "before" then for _ = 1, 8 do p:add_on(0) end end
    if broken == "within" then check.ok(fs.remove(at .. "/photos/n08.png")) end -- its caption file came first
    kill(p)
    local beside = open(at) -- has the seat now, and goes on
    while beside:work() do end -- luacheck: ignore
    check.equal(#beside.items, 22, broken)
    local names = {}
    for i, entry in ipairs(fs.list(at .. "/photos")) do names[i] = entry.path:match "[^/]+$" end
    check.equal(#names, 44, table.concat(names, " "))
    for i = 1, 20 do check.equal(fs.read(("%s/photos/n%02d.txt"):format(at, i)), "new " .. i .. "\n") end
    local text = told(beside)
    check.contains(text, ("%d pictures that had not been copied yet when the program ended are here now"):format(
      broken == "before" and 20 or broken == "between" and 12 or 13))
    check.ok(not text:find "already")
    beside:close()
    beside = open(at)
    check.equal(beside.adding, nil)
    beside:close()
  end
  -- a living window's are its own, and what a person stopped stays so
  os.execute(("rm -f %s/photos/n*"):format(at))
  local a = open(at)
  a:begin_adding(paths)
  a:add_on(0)
  local b = open(at)
  check.equal(b.adding, nil)
  b:close()
  a:stop_adding()
  while a:work() do end -- luacheck: ignore
  a:close()
  a = open(at)
  check.equal(a.adding, nil)
  check.equal(#a.items, 3)
  a:close()
end)
