-- What the window has open and how it changes it: window/project.lua, changes.lua, watch.lua.
local fs = require "native.fs"
local hash = require "native.hash"
local image = require "native.image"
local json = require "native.json"
local project = require "window.project"
local stores = require "native.store"
local watch = require "window.watch"

local pipe = io.popen "readlink /proc/$PPID/exe"
local host = pipe:read "l"
local program = host:gsub("/tests/host$", "/calotype")
pipe:close()

local function put(path, text) check.ok(fs.write(path, text)) end
local function read(path) return fs.read(path) end

-- A folder with pictures in photos/, known to its store.
local function folder(count, known)
  local at = tmp "window"
  os.execute("mkdir -p " .. at .. "/photos")
  for i = 1, count or 3 do check.ok(image.new(64 + i, 48, { (40 * i) % 256, 90, 200 }):save(("%s/photos/p%d.png"):format(at, i))) end
  if known ~= false then
    local store <close> = stores.open(at .. "/.calotype")
    local paths = {}
    for i = 1, count or 3 do paths[i] = ("%s/photos/p%d.png"):format(at, i) end
    check.ok(require("native.dataset").scan(store, paths))
  end
  return at
end

local function open(at, options)
  options = options or {}
  options.store = at .. "/.calotype"
  return check.ok(project.open(at .. "/photos", options))
end

-- Runs calotype in the folder; gives the exit code and all it said.
local function run(at, words)
  local out = io.popen(("cd %s && %s %s 2>&1 </dev/null; echo \"exit $?\""):format(at, program, words))
  local text = out:read "a"
  out:close()
  local shown, code = text:match "^(.*)exit (%d+)\n$"
  return tonumber(code), shown
end

local function captions(p)
  local list = {}
  for i, item in ipairs(p.items) do list[i] = item.caption end
  return list
end

test("a folder opens with its captions, whose they are, stars and rejections", function()
  local at = folder(4)
  put(at .. "/photos/p1.txt", "a boat\r\n\n")
  put(at .. "/photos/p2.caption", "a \\(red\\) door\n")
  put(at .. "/photos/p3.txt", " \n")
  local p = open(at)
  check.equal(captions(p), { "a boat", "a \\(red\\) door", "", "" })
  check.equal(p.items[1].by, { author = "human", provider = "sidecar" })
  check.equal(p.items[2].sidecar.path, at .. "/photos/p2.caption")
  check.equal(p.items[3].by, nil)
  check.equal(#p.order, 4)
  check.equal(p:current(), p.items[1])
  check.equal(p.title, "photos")
  check.equal(p:counts().captioned, 2)
  check.equal(#p.changes:history(p.items[1]), 1) -- noted as a run would
  check.equal(p.changes:history(p.items[2])[1].text, "a (red) door") -- as it was meant
  p:close()
end)

test("what is written goes to the store, and into the caption file where there is one", function()
  local at = folder(2)
  put(at .. "/photos/p1.txt", "a boat\n")
  local p = open(at)
  local a, b = p.items[1], p.items[2]
  check.equal(p.changes:write(a, "a blue boat"), true)
  check.equal(p.changes:write(b, "a door"), true)
  check.equal(p.changes:write(b, "a door"), false)
  check.equal(read(at .. "/photos/p1.txt"), "a blue boat\n")
  check.equal(fs.stat(at .. "/photos/p2.txt"), nil)
  check.equal(b.by, { author = "human", provider = "window" })
  check.equal(p.store:caption_in_force(a.sha256).text, "a blue boat")
  p.settings.beside = true
  check.equal(p.changes:write(b, "a green door"), true)
  check.equal(read(at .. "/photos/p2.txt"), "a green door\n")
  p:close()
  p = open(at)
  check.equal(captions(p), { "a blue boat", "a green door" })
  check.equal(p.settings.beside, true)
  check.equal({ p.changes:can() }, { "caption of p2.png" })
  check.equal(p.changes:undo().count, 1)
  check.equal(fs.stat(at .. "/photos/p2.txt"), nil) -- it was made by that step
  check.equal(p.items[2].caption, "a door")
  p.changes:undo()
  check.equal(p.items[2].caption, "")
  p.changes:undo()
  check.equal(p.items[1].caption, "a boat")
  check.equal(read(at .. "/photos/p1.txt"), "a boat\n")
  local done, message = p.changes:undo()
  check.equal(done, nil)
  check.equal(message, "nothing to undo")
  p:close()
  p = open(at)
  for _ = 1, 3 do check.ok(p.changes:redo()) end
  check.equal(p.changes:redo(), nil)
  check.equal(captions(p), { "a blue boat", "a green door" })
  check.equal(read(at .. "/photos/p2.txt"), "a green door\n")
  p:close()
end)

test("many captions are one step back, and something new ends redo", function()
  local at = folder(3)
  put(at .. "/photos/p1.txt", "1girl, solo\n")
  local p = open(at)
  check.equal(p.changes:append(p.items, "old house"), 3)
  check.equal(captions(p), { "1girl, solo, old house", "old house", "old house" })
  check.equal(p.changes:prepend(p.items, "zkr"), 3)
  check.equal(p.items[1].caption, "zkr, 1girl, solo, old house")
  check.equal(p.changes:remove(p.items, ", old house"), 3)
  check.equal(captions(p), { "zkr, 1girl, solo", "zkr", "zkr" })
  check.equal(p.changes:copy(p.items[1], p.items), 2)
  check.equal(p.changes:clear(p.items), 3)
  check.equal(read(at .. "/photos/p1.txt"), "\n")
  check.equal(p.changes:undo().count, 3)
  check.equal(p.changes:undo().count, 2)
  check.equal(captions(p), { "zkr, 1girl, solo", "zkr", "zkr" })
  check.equal(p.changes:write(p.items[2], "new"), true)
  check.equal(p.changes:redo(), nil)
  local steps = p.changes:list()
  check.equal(#steps, 6)
  check.equal(steps[1].title, "caption of p2.png")
  check.equal(steps[2].dropped, true)
  check.equal(steps[6].count, 3)
  local plan = check.ok(require("window.replace").plan(p:scope "all", { find = "zkr", with = "abc", whole = true }))
  check.equal(plan.count, 2)
  check.ok(p.changes:write(p.items[3], "meanwhile"))
  local count, left = p.changes:replace(plan)
  check.equal(count, 1)
  check.equal(left[1].item, p.items[3])
  p:close()
end)

test("stars, rejections and their reasons are steps too, and a recipe leaves the rejected out", function()
  local at = folder(3)
  local p = open(at)
  check.equal(p.changes:star({ p.items[1], p.items[2] }, 4), 2)
  check.equal(p.changes:star({ p.items[1] }, 4), 0)
  check.equal(p.changes:reject({ p.items[3] }, "blurred"), 1)
  check.equal(p.items[3].reject, { reason = "blurred", by = "person" })
  check.ok(p:filter "is:rejected OR stars:>3")
  check.equal(#p.order, 3)
  p:close()
  p = open(at)
  check.equal(p.items[2].star, 4)
  check.equal(p.items[3].reject.reason, "blurred")
  put(at .. "/r.lua", 'images "photos":caption { with = template { text = "a {stem}" } }:export { as = "sidecars", to = "out" }')
  local code, shown = run(at, "run r.lua")
  check.equal(code, 0, shown)
  check.contains(shown, "1 rejected in the window")
  check.equal(fs.stat(at .. "/out/p3.txt"), nil)
  check.ok(fs.stat(at .. "/out/p2.txt"))
  p.changes:undo()
  check.equal(p.items[3].reject, nil)
  p.changes:undo()
  check.equal(p.items[1].star, 0)
  p.changes:redo()
  p.changes:redo()
  check.equal(p.items[3].reject.reason, "blurred")
  check.equal(p.changes:restore(p.items), 1)
  check.equal(p.items[3].reject, nil)
  p:close()
end)

test("a recipe uses what was written in the window, and the history of both is one", function()
  local at = folder(2)
  put(at .. "/r.lua", 'images "photos":caption { with = template { text = "a photo of {stem}" } }:export { as = "sidecars", to = "out" }')
  check.equal(run(at, "run r.lua"), 0)
  local p = open(at)
  check.equal(captions(p), { "a photo of p1", "a photo of p2" })
  check.equal(p.items[1].by, { author = "model", provider = "template" })
  check.ok(p.changes:write(p.items[1], "a boat"))
  check.equal(run(at, "run r.lua"), 0)
  check.equal(read(at .. "/out/p1.txt"), "a boat\n")
  check.equal(read(at .. "/out/p2.txt"), "a photo of p2\n")
  local _, shown = run(at, "captions log photos/p1.png")
  check.contains(shown, "a person\n      a boat")
  check.equal(run(at, "captions undo photos/p1.png"), 0)
  check.equal(run(at, "run r.lua"), 0)
  check.equal(read(at .. "/out/p1.txt"), "a photo of p1\n")
  local w = watch.new(p)
  check.equal(w:look(p.order, 0), { p.items[1] })
  check.equal(p.items[1].caption, "a photo of p1")
  check.equal(#p:told(), 1)
  check.equal(run(at, "captions redo photos/p1.png"), 0)
  check.equal(#w:look(p.order, 1.5), 1)
  check.equal(p.items[1].caption, "a boat")
  check.ok(p.changes:undo())
  check.equal(p.items[1].caption, "a photo of p1")
  local code, log = run(at, "captions log photos/p1.png")
  check.equal(code, 0)
  check.contains(log, "*  5")
  check.contains(log, "template, put back from 1")
  check.equal(run(at, "run r.lua"), 0)
  check.equal(read(at .. "/out/p1.txt"), "a photo of p1\n")
  check.equal(#p.changes:history(p.items[1]), 5)
  check.equal(p.changes:bring_back(p.items[1], 2), true)
  check.equal(p.items[1].caption, "a boat")
  check.ok(p.changes:undo())
  check.equal(p.items[1].caption, "a photo of p1")
  p:close()
end)

test("a clock that was put back: files of the future are read once, and what is written into them then is seen", function()
  local at = folder(2)
  put(at .. "/photos/p1.txt", "a boat\n")
  os.execute(("cd %s && touch -d 2037-01-01 photos/p1.txt photos/p2.png .calotype/*"):format(at))
  local p = open(at)
  local w, looked = watch.new(p), 0
  local refresh = p.refresh
  p.refresh = function(...)
    looked = looked + 1
    return refresh(...)
  end
  for second = 1, 20, 2 do check.equal(w:look(p.order, second), {}) end
  check.equal({ looked, #p:told() }, { 0, 0 })
  put(at .. "/photos/p1.txt", "a ship\n") -- now, and as long
  check.equal(w:look(p.order, 30), { p.items[1] })
  check.equal(p.items[1].caption, "a ship")
  os.execute(("cd %s && touch -d 1999-01-01 photos/p1.txt"):format(at))
  check.equal(w:look(p.order, 40), {})
  check.equal(p.changes:write(p.items[1], "a raft"), true)
  check.equal(p.changes:undo().count, 1)
  check.equal({ p.items[1].caption, read(at .. "/photos/p1.txt") }, { "a ship", "a ship\n" })
  p:close()
end)

test("a file that is touched, gone and back, or written anew as it was became no other picture; one with another content did", function()
  local at = folder(3)
  local p = open(at)
  local w, clock = watch.new(p), 0
  local one, two, three = p.items[1], p.items[2], p.items[3]
  local function looked()
    clock = clock + 2
    w:look(p.order, clock)
    for _, wish in ipairs(p:wanted()) do p:learn(wish.item, { sha256 = hash.file(wish.item.path) }) end
    w:look(p.order, clock + 1.5)
    clock = clock + 1.5
    return p:told()
  end
  os.execute(("cd %s/photos && touch -d 1999-01-01 p1.png && cp p2.png x && mv x p2.png"):format(at))
  check.equal(looked(), {})
  check.ok(one.sha256 and two.sha256)
  three.sha256 = nil -- not read yet
  os.execute(("cd %s/photos && mv p3.png away"):format(at))
  check.contains(looked()[1].text, "p3.png was taken away")
  os.execute(("cd %s/photos && mv away p3.png"):format(at))
  check.equal(looked(), {})
  check.equal({ three.gone, three.error }, {})
  os.execute(("cd %s/photos && cp p1.png p2.png"):format(at))
  check.equal(looked(), { { kind = "info", text = "p2.png became another picture" } })
  os.execute(("cd %s/photos && cp p3.png p1.png && cp p3.png p2.png"):format(at))
  check.equal(looked(), { { kind = "info", text = "2 pictures: each became another picture" } })
  check.equal(looked(), {})
  p:close()
end)

test("a caption file that a run dressed comes back letter by letter, and is no person's", function()
  local at = folder(1)
  put(at .. "/r.lua", 'images "photos":caption { with = template { text = "a boat" }, trigger = "zkr" }:export { as = "sidecars", beside = true }')
  check.equal(run(at, "run r.lua"), 0)
  check.equal(read(at .. "/photos/p1.txt"), "zkr, a boat\n")
  local p = open(at)
  check.equal(p.items[1].caption, "zkr, a boat")
  check.equal(p.items[1].by.author, "model")
  check.ok(p.changes:write(p.items[1], "zkr, my boat"))
  check.equal(p.items[1].by.author, "human")
  check.ok(p.changes:undo())
  check.equal(read(at .. "/photos/p1.txt"), "zkr, a boat\n")
  check.equal(p.items[1].by.author, "model")
  p:close()
  local code, shown = run(at, "run r.lua")
  check.equal(code, 0, shown)
  local _, log = run(at, "captions log photos/p1.png")
  check.contains(log, "3 texts")
  check.equal(log:find "a person\n      zkr, a boat", nil)
end)

test("a person's file stays a person's when a step is undone while a model's text is in force", function()
  local at = folder(1)
  put(at .. "/photos/p1.txt", "mine\n")
  local p = open(at)
  local item = p.items[1]
  p.store:add_caption { sha = item.sha256, key = "k", text = "a model's", author = "model", provider = "gemini" }
  check.ok(p:refresh { item })
  check.equal(item.caption, "mine")
  check.ok(p.changes:write(item, "new"))
  check.equal(p.changes:undo().count, 1)
  check.equal(read(at .. "/photos/p1.txt"), "mine\n")
  check.equal(item.by.author, "human")
  check.equal(p.changes:redo().count, 1)
  check.equal(p.changes:bring_back(item, 2), true)
  check.equal(read(at .. "/photos/p1.txt"), "a model's\n")
  check.equal(item.by.author, "model")
  p:close()
  p = open(at)
  check.equal(p.items[1].by, { author = "model", provider = "gemini" })
  local rows = p.changes:history(p.items[1])
  check.equal(rows[#rows].who, "gemini") -- the file's text was not taken for a person's
  p:close()
end)

test("what is typed is kept with every key and becomes a step after two seconds of rest", function()
  local at = folder(2)
  local p = open(at)
  local c, item = p.changes, p.items[1]
  for _, text in ipairs { "a", "a ", "a b", "a bo", "a boat" } do check.ok(c:type(item, text)) end
  check.equal(item.caption, "")
  check.equal(item.draft, "a boat")
  check.equal(p.store:drafts(), { { sha = item.sha256, seat = 1, text = "a boat" } })
  check.equal(c:tick(10), false)
  check.equal(c:tick(11), false)
  check.equal(c:tick(12.5), true)
  check.equal(item.caption, "a boat")
  check.equal(item.draft, nil)
  check.equal(p.store:drafts(), {})
  c:type(item, "a boat!")
  check.equal(p:go "next", p.items[2]) -- leaving commits
  check.equal(item.caption, "a boat!")
  c:type(p.items[2], "x")
  check.ok(c:discard())
  check.equal(p.items[2].draft, nil)
  c:type(p.items[2], "y")
  check.equal(c:undo().title, "caption of p2.png") -- typed, then undone
  check.equal(p.items[2].caption, "")
  c:type(p.items[2], "z")
  c:type(p.items[2], "")
  check.equal(p.items[2].draft, nil) -- as it was
  check.equal(c:commit(), false)
  c:type(p.items[2], "closing")
  p:close()
  p = open(at)
  check.equal(captions(p), { "a boat!", "closing" })
  p:close()
end)

test("a line end at the end of what is typed stays while more may follow, and is in no caption", function()
  local at = folder(1)
  local p = open(at)
  local c, item = p.changes, p.items[1]
  check.ok(c:type(item, "a boat\n"))
  c:tick(0)
  check.equal(c:tick(3), true)
  check.equal(item.caption, "a boat")
  check.equal(item.draft, "a boat\n") -- what the editor shows
  check.equal(c:tick(6), false)
  check.ok(c:type(item, "a boat\nat sea"))
  c:tick(7)
  check.equal(c:tick(9.5), true)
  check.equal(item.caption, "a boat\nat sea")
  check.equal(item.draft, nil)
  check.ok(c:type(item, "a boat\nat sea\n\n"))
  check.equal(c:commit(), false)
  check.equal(item.draft, nil)
  check.equal(#c:list(), 2)
  check.equal(p.store:drafts(), {})
  p:close()
end)

test("what is typed while another program holds the store is in the window, and in the store as soon as it can be", function()
  local at = folder(2)
  local p = open(at)
  local c, item = p.changes, p.items[1]
  check.ok(c:type(item, "one"))
  local function let_go() check.ok(fs.write(at .. "/let go", "")) end
  local function hold() -- by another process, until it is to let go
    local script = at .. "/hold.lua"
    os.remove(at .. "/let go")
    local file = assert(io.open(script, "w"))
    file:write(([[
local s = require "native.store".open %q
s:batch(function()
  s:put("held", "by", "another")
  io.write "held\n"
  io.flush()
  os.execute %q
end)
s:close()]]):format(at .. "/.calotype", ("n=0; while [ ! -e '%s/let go' ] && [ $n -lt 6000 ]; do sleep 0.05; n=$((n + 1)); done"):format(at)))
    file:close()
    local holder = io.popen(("%s %s 2>&1"):format(host, script))
    check.equal(holder:read "l", "held")
    return holder
  end
  local other = hold()
  for _, text in ipairs { "one ", "one t", "one tw", "one two" } do
    local kept, why = c:type(item, text)
    check.equal(kept, nil)
    check.contains(why, "is in use by another calotype")
  end
  check.equal(item.draft, "one two")
  check.equal(c:tick(10), false)
  local done, message = c:write(p.items[2], "not now")
  check.equal(done, nil)
  check.contains(message, "in use")
  check.equal(p.items[2].caption, "")
  let_go()
  other:close()
  check.equal(#c:keep_drafts(), 0)
  check.equal(p.store:drafts(), { { sha = item.sha256, seat = 1, text = "one two" } })
  check.equal(c:tick(13), true)
  check.equal(item.caption, "one two")
  -- what nobody keeps is given back
  other = hold()
  check.equal(c:type(item, "one two three"), nil)
  local lost = p:close()
  check.equal(#lost, 1)
  check.equal(lost[1].text, "one two three")
  check.contains(lost[1].why, "in use")
  let_go()
  other:close()
end)

test("a picture whose name is no UTF-8 is written about, marked and undone as any other", function()
  local at = folder(1)
  os.rename(at .. "/photos/p1.png", at .. "/photos/p\xff\27[31m.png")
  local p = open(at)
  local c, item = p.changes, p.items[1]
  check.ok(c:type(item, "a door"))
  check.equal(c:commit(), true)
  check.equal(c:star({ item }, 3), 1)
  check.ok(p:keep())
  p:close()
  p = open(at)
  check.equal(p.items[1].caption, "a door")
  check.equal(p.changes:undo().count, 1)
  check.equal(p.items[1].star, 0)
  check.equal(p.changes:undo().count, 1)
  check.equal(p.items[1].caption, "")
  check.equal(p.changes:redo().count, 1)
  p:close()
end)

test("two pictures that became others while they were written wait for a word each", function()
  local at = folder(2)
  put(at .. "/photos/p1.txt", "a")
  put(at .. "/photos/p2.txt", "b")
  local p = open(at)
  local c = p.changes
  check.ok(c:type(p.items[1], "mine a"))
  put(at .. "/photos/p1.txt", "their a")
  check.ok(c:type(p.items[2], "mine b"))
  put(at .. "/photos/p2.txt", "their b")
  check.equal(c:commit(), false)
  check.equal(c.conflict.item, p.items[1])
  check.equal(c:commit(p.items[2]), false)
  check.ok(c:settle "theirs")
  check.equal(p.items[1].caption, "their a")
  check.equal(c.conflict.item, p.items[2])
  check.ok(c:settle "mine")
  check.equal(c.conflict, nil)
  check.equal(read(at .. "/photos/p2.txt"), "mine b\n")
  p:close()
end)

test("a draft that a kill left becomes a step when the project is opened, and is told", function()
  local at = folder(2)
  local p = open(at)
  p.changes:type(p.items[1], "unfinished")
  p.store:close() -- as a kill does
  p = open(at)
  check.equal(p.items[1].caption, "unfinished")
  check.contains(p:told()[1].text, "p1.png: what you were writing")
  check.equal(p.changes:undo().count, 1)
  check.equal(p.items[1].caption, "")
  -- and where the caption became another meanwhile, a person decides
  p.changes:type(p.items[1], "mine")
  local sha = p.items[1].sha256
  p.store:add_caption { sha = sha, key = "k", text = "theirs", author = "model", provider = "gemini" }
  p.store:close()
  p = open(at)
  check.equal(p.changes.conflict, { item = p.items[1], mine = "mine", theirs = "theirs" })
  check.equal(p.items[1].caption, "theirs")
  check.equal(p.changes:commit(p.items[1]), false)
  check.equal(p.changes:settle "mine", true)
  check.equal(p.items[1].caption, "mine")
  check.equal(p.changes.conflict, nil)
  check.equal(p.changes:settle "mine", false)
  p:close()
end)

test("a caption file that another program changes is taken up and shown; both texts are kept while it is written", function()
  local at = folder(3)
  put(at .. "/photos/p1.txt", "a boat\n")
  local p = open(at)
  local w, c = watch.new(p), p.changes
  check.equal(w:look(p.order, 0), {})
  put(at .. "/photos/p1.txt", "a ship\n")
  check.equal(w:look(p.order, 0.5), {}) -- not yet
  check.equal(w:look(p.order, 1.1), { p.items[1] })
  check.equal(p.items[1].caption, "a ship")
  check.contains(p:told()[1].text, "p1.txt was changed by another program")
  check.equal(#c:history(p.items[1]), 2)
  put(at .. "/photos/p2.txt", "a new file\n")
  check.equal(#w:look({}, 3), 1) -- not on the screen: in turn
  check.equal(p.items[2].caption, "a new file")
  check.equal(w:look({}, 5), {})
  c:type(p.items[1], "mine")
  put(at .. "/photos/p1.txt", "theirs\n")
  w:look(p.order, 7)
  check.equal(c.conflict.theirs, "theirs")
  check.equal(c.conflict.mine, "mine")
  c:type(p.items[1], "mine too")
  check.equal(c:commit(), false)
  check.equal(c:settle "theirs", true)
  check.equal(p.items[1].caption, "theirs")
  check.equal(read(at .. "/photos/p1.txt"), "theirs\n")
  local texts = {}
  for i, row in ipairs(c:history(p.items[1])) do texts[i] = row.text end
  check.equal(texts, { "a boat", "a ship", "theirs", "mine too", "theirs" })
  -- and found out only when it is committed
  c:type(p.items[1], "mine again")
  put(at .. "/photos/p1.txt", "theirs again\n")
  check.equal(c:commit(), false)
  put(at .. "/photos/p1.txt", "\xff\xfe") -- what cannot be settled stays a question
  local settled, reason = c:settle "mine"
  check.equal(settled, nil)
  check.contains(reason, "UTF-8")
  check.ok(c.conflict)
  put(at .. "/photos/p1.txt", "theirs again\n")
  p:refresh({ p.items[1] }, true)
  check.equal(c:settle "mine", true)
  check.equal(c.conflict, nil)
  check.equal(read(at .. "/photos/p1.txt"), "mine again\n")
  -- a change of many leaves what is another by now
  put(at .. "/photos/p1.txt", "other\n")
  local count, left = c:append(p.items, "x")
  check.equal(count, 2)
  check.equal(left[1].item, p.items[1])
  check.equal(p.items[1].caption, "other")
  put(at .. "/photos/p2.txt", "changed\n")
  local done = c:undo()
  check.equal(done.count, 1)
  check.equal(done.left[1].item, p.items[2])
  check.equal(read(at .. "/photos/p2.txt"), "changed\n")
  check.ok(fs.remove(at .. "/photos/p2.txt"))
  w:look(p.order, 20)
  check.equal(p.items[2].sidecar, nil)
  check.equal(p.items[2].caption, "changed") -- its words are in the store
  p:close()
end)

test("what cannot be written is said, and nothing of it is done", function()
  local at = folder(4)
  put(at .. "/photos/p1.txt", "\xff\xfe\0")
  image.new(80, 80, { 1, 2, 3 }):save(at .. "/photos/p2.jpg")
  local p = open(at)
  local function of(name) return p.by_path[at .. "/photos/" .. name] end
  check.contains(of "p1.png".sidecar.error, "UTF-16")
  check.refused("save it as UTF-8", p.changes:write(of "p1.png", "x"))
  check.refused("share one caption file", p.changes:write(of "p2.png", "x"))
  check.refused("not UTF-8", p.changes:write(of "p3.png", "\xff"))
  check.refused("NUL", p.changes:write(of "p3.png", "a\0b"))
  check.refused("at most", p.changes:write(of "p3.png", ("x"):rep(1 << 20)))
  check.refused("not UTF-8", p.changes:type(of "p3.png", "\xff"))
  check.refused("has no text 9", p.changes:bring_back(of "p3.png", 9))
  check.equal(p.changes:list(), {})
  local count, left = p.changes:append(p.items, "x")
  check.equal(count, 2)
  check.equal(#left, 3)
  check.contains(p:told()[1].text, "and 2 more were left as they are")
  check.refused("there is no", project.open(at .. "/nothing", { store = at .. "/.calotype" }))
  put(at .. "/x.txt", "x")
  check.refused("is no folder, recipe, picture, LoRA or view file", project.open(at .. "/x.txt", { store = at .. "/.calotype" }))
  local ok, message, place = p:filter "(x"
  check.equal(ok, nil)
  check.contains(message, "not closed")
  check.equal(place, 0)
  check.equal(#p.order, 5)
  check.equal(p:sort "taste", nil)
  p:close()
end)

test("a caption file that cannot be written leaves its text in the store, and says so", function()
  if io.popen("id -u"):read "l" == "0" then skip "root may write everywhere" end
  local at = folder(1)
  put(at .. "/photos/p1.txt", "a boat\n")
  os.execute("chmod 555 " .. at .. "/photos")
  local p = open(at)
  p.changes:write(p.items[1], "a ship")
  os.execute("chmod 755 " .. at .. "/photos")
  check.equal(p:told()[1].kind, "error")
  p:close()
end)

test("a kill between the store and the caption files is made good", function()
  local at = folder(3)
  for i = 1, 3 do put(("%s/photos/p%d.txt"):format(at, i), "old " .. i .. "\n") end
  local p = open(at)
  p.changes.work = function() return false end -- killed before the files
  check.equal(p.changes:append(p.items, "new"), 3)
  p.store:close()
  check.equal(read(at .. "/photos/p1.txt"), "old 1\n")
  put(at .. "/photos/p3.txt", "another program\n")
  p = open(at)
  check.equal(captions(p), { "old 1 new", "old 2 new", "another program" })
  check.equal(read(at .. "/photos/p2.txt"), "old 2 new\n")
  check.contains(p:told()[1].text, "2 caption files")
  p.changes.work = function() return false end
  check.equal(p.changes:undo().count, 2)
  p.store:close()
  p = open(at)
  check.equal(captions(p), { "old 1", "old 2", "another program" })
  check.equal(read(at .. "/photos/p2.txt"), "old 2\n")
  p:close()
  p = open(at)
  check.equal(p:told(), {})
  p:close()
end)

test("what a killed program left hidden beside a caption file goes when the project is opened, and nothing else", function()
  local at = folder(2)
  put(at .. "/photos/p1.txt", "a door\n")
  local left, others = ".p1.txt.4194999-0.tmp", { ".p9.txt.4194999-0.tmp", ".p1.md.4194999-0.tmp", ".p1.txt.4194999.tmp", ".p1.txt.1-0.tmp" }
  for _, name in ipairs { left, table.unpack(others) } do
    put(at .. "/photos/" .. name, "a door, half\n")
    os.execute(("touch -d '2 minutes ago' %s/photos/%s"):format(at, name))
  end
  local p = open(at)
  check.equal(p:told()[1].text, "1 half-written file that a killed program left hidden beside the pictures is gone")
  check.equal(fs.stat(at .. "/photos/" .. left), nil)
  for _, name in ipairs(others) do check.ok(fs.stat(at .. "/photos/" .. name), name) end
  check.equal({ captions(p), #p.items }, { { "a door", "" }, 2 })
  p:close()
  p = open(at)
  check.equal(p:told(), {})
  p:close()
end)

test("names that differ in case alone, names of two lines and .caption files are to the window what they are to a recipe", function()
  local at = folder(0)
  local names = { "A.png", "B.PNG", "a.png", "c.png", "d.JPG.png", "two\nlines.png" }
  for i, name in ipairs(names) do
    local file = at .. "/photos/t.png"
    check.ok(image.new(64 + i, 48, { 40 * i, 90, 200 }):save(file))
    check.ok(os.rename(file, at .. "/photos/" .. name))
  end
  local files = { ["A.txt"] = "upper", ["a.txt"] = "lower", ["B.TXT"] = "another ending", ["c.caption"] = "of the other ending", ["d.JPG.caption"] = "with dots",
    ["d.txt"] = "nobody's", ["two\nlines.txt"] = "of two lines" }
  for name, text in pairs(files) do put(at .. "/photos/" .. name, text .. "\n") end
  if #fs.list(at .. "/photos") < 13 then skip "this disk takes names that differ in case alone for one" end
  put(at .. "/r.lua", ('local photos = images %q\n  :caption { with = sidecar {} }\nphotos:export { as = "sidecars", to = "out" }\n'):format(at .. "/photos"))
  local function recipe()
    local r, out = check.ok(project.open(at .. "/r.lua", { store = at .. "/.calotype" })), {}
    for i, item in ipairs(r.items) do out[i] = { item.name, item.out or "" } end
    r:close()
    return out
  end
  local function window(p)
    local out = {}
    for i, item in ipairs(p.items) do out[i] = { item.name, item.caption } end
    return out
  end
  local p = open(at)
  check.equal(window(p), { { "A.png", "upper" }, { "B.PNG", "" }, { "a.png", "lower" }, { "c.png", "of the other ending" }, { "d.JPG.png", "with dots" },
    { "two\u{FFFD}lines.png", "of two lines" } })
  check.equal(recipe(), window(p))
  for _, item in ipairs(p.items) do check.equal(p.changes:write(item, "new " .. item.name), true) end
  check.equal({ read(at .. "/photos/A.txt"), read(at .. "/photos/a.txt") }, { "new A.png\n", "new a.png\n" })
  check.equal({ read(at .. "/photos/c.caption"), (fs.stat(at .. "/photos/c.txt")) }, { "new c.png\n", nil })
  check.equal({ read(at .. "/photos/two\nlines.txt"), read(at .. "/photos/d.txt") }, { "new two\u{FFFD}lines.png\n", "nobody's\n" })
  local told = recipe()
  check.equal(told[2][1], "B.PNG")
  told[2][2] = "new B.PNG" -- it stands in the store alone
  check.equal(told, window(p))
  p:close()
end)

test("a caption file that could not be written is owed, and written when the project is opened again", function()
  local at = folder(3)
  for i = 1, 3 do put(("%s/photos/p%d.txt"):format(at, i), "old " .. i .. "\n") end
  local beside = require "captions.beside"
  local write, full = beside.write, "p1%.txt"
  local restore <close> = setmetatable({}, { __close = function() beside.write = write end }) -- luacheck: ignore
  function beside.write(path, text)
    if path:find(full) then return nil, path .. ": no space left on the device", "IO" end
    return write(path, text)
  end
  local p = open(at)
  check.equal(p.changes:append(p.items, "new"), 3)
  check.contains(p:told()[1].text, "no space left")
  check.equal(captions(p), { "old 1", "old 2 new", "old 3 new" })
  check.equal(p.changes:write(p.items[2], "another"), true) -- a step since
  p:close()
  p = open(at) -- full still
  check.contains(p:told()[1].text, "no space left")
  check.equal(read(at .. "/photos/p1.txt"), "old 1\n")
  p:close()
  full = "nothing"
  p = open(at)
  check.equal(captions(p), { "old 1 new", "another", "old 3 new" })
  check.contains(p:told()[1].text, "1 caption file that")
  p:close()
  p = open(at)
  check.equal(p:told(), {})
  -- what is written into it later settles it
  full = "p1%.txt"
  p.changes:write(p.items[1], "lost")
  full = "nothing"
  check.equal(p.changes:write(p.items[1], "mine"), true)
  check.equal(p.changes:bring_back(p.items[1], #p.changes:history(p.items[1]) - 1), true)
  local now = p.items[1].caption
  p:close()
  p = open(at)
  check.equal({ p.items[1].caption, p:told() }, { now, {} })
  p:close()
end)

test("a note of files that the store does not take back goes with the next step", function()
  local at = folder(1)
  put(at .. "/photos/p1.txt", "old\n")
  local p = open(at)
  local store, refuse = p.changes.store, true
  p.changes.store = setmetatable({}, { __index = function(_, name)
    return function(_, ...)
      if name == "put" and refuse and select(3, ...) == "" then return nil, "the store is in use", "BUSY" end
      return store[name](store, ...)
    end
  end })
  check.equal(p.changes:write(p.items[1], "new"), true)
  check.contains(p.store:get("window", "files:" .. p.place), '"id"')
  refuse = false
  check.equal(p.changes:write(p.items[1], "newer"), true)
  check.equal({ p.store:get("window", "files:" .. p.place), read(at .. "/photos/p1.txt") }, { "", "newer\n" })
  p:close()
end)

test("what is discarded while the store refuses is told, and goes as soon as it can", function()
  local at = folder(1)
  local p = open(at)
  local c, item, refuse = p.changes, p.items[1], false
  local store = c.store
  c.store = setmetatable({}, { __index = function(_, name)
    return function(_, ...)
      if name == "draft" and refuse then return nil, "the store is in use", "BUSY" end
      return store[name](store, ...)
    end
  end })
  check.ok(c:type(item, "half a"))
  refuse = true
  check.refused("what was discarded is in the store still", c:discard())
  check.equal(item.draft, nil)
  check.equal(c:keep_drafts()[1].discarded, true)
  refuse = false
  check.equal({ #c:keep_drafts(), p.store:drafts() }, { 0, {} })
  check.equal(c:discard(), false)
  p:close()
end)

test("a step on many while the store refuses what is being typed is not begun, and loses nothing of it", function()
  local at = folder(2)
  local p = open(at)
  local c, one, two = p.changes, p.items[1], p.items[2]
  check.equal(c:write(two, "two"), true)
  check.ok(c:type(one, "half a"))
  local commit = c.commit
  c.commit = function() return nil, "the store is in use", "BUSY" end
  for _, case in ipairs { { "copy", two, { one } }, { "append", { one }, "x" }, { "remove", { one, two }, "t" }, { "write_many", { { one, "x" } }, "x" },
    { "bring_back", two, 1 }, { "replace", { rows = { { item = two, before = "two", after = "three" } }, title = "x" } } } do
    check.refused("the store is in use", c[case[1]](c, table.unpack(case, 2)))
  end
  check.equal({ one.draft, two.caption }, { "half a", "two" })
  c.commit = function() return false, "the caption became another while it was written", "BUSY" end
  check.refused("keep mine or theirs first", c:copy(two, { one }))
  check.equal(c:append({ two }, "x"), 1)
  c.commit = commit
  check.equal({ one.draft, two.caption }, { "half a", "two x" })
  check.equal(c:remove(p.items, "x"), 1)
  check.equal({ one.caption, two.caption, c:list()[1].title }, { "half a", "two ", 'remove "x" from 2 pictures' })
  p:close()
end)

test("copies of a picture share a text in the store and have files of their own", function()
  local at = folder(1)
  os.execute(("cp %s/photos/p1.png %s/photos/p2.png; cp %s/photos/p1.png %s/photos/p3.png"):format(at, at, at, at))
  put(at .. "/photos/p3.txt", "its own\n")
  local p = open(at)
  for _, item in ipairs(p.items) do check.ok(p:identify(item)) end
  check.equal(captions(p), { "its own", "its own", "its own" }) -- the only text that this content has
  check.ok(p.changes:write(p.items[1], "both"))
  check.equal(captions(p), { "both", "both", "its own" })
  check.equal(p.changes:append(p.items, "x"), 3)
  check.equal(captions(p), { "both x", "both x", "its own x" })
  check.equal(read(at .. "/photos/p3.txt"), "its own x\n")
  check.equal(p.changes:undo().count, 3)
  check.equal(captions(p), { "both", "both", "its own" })
  check.equal(read(at .. "/photos/p3.txt"), "its own\n")
  check.equal(p.changes:redo().count, 3)
  check.equal(captions(p), { "both x", "both x", "its own x" })
  p:close()
end)

test("the order, the selection and the way through it", function()
  local at = folder(6)
  local p = open(at)
  p.changes:write_many({ { p.items[2], "b" }, { p.items[4], "aaa" }, { p.items[5], "cc" } }, "three")
  check.equal(p:go "last", p.items[6])
  check.equal(p:go "next", p.items[6])
  check.equal(p:go "first", p.items[1])
  check.equal(p:go "next without", p.items[3])
  check.equal(p:go "next without", p.items[6])
  check.equal(p:go "previous without", p.items[3])
  check.equal(p:go("page down", 2), p.items[5])
  check.equal(p:go(p.items[2]), p.items[2])
  check.equal(p:go(4), p.items[4])
  check.ok(p:filter "is:captioned")
  check.equal(#p.order, 3)
  check.equal(p:current(), p.items[4]) -- one stays where one was
  check.ok(p:sort "caption")
  check.equal({ p.order[1].caption, p.order[2].caption, p.order[3].caption }, { "aaa", "b", "cc" })
  check.ok(p:sort("length", true))
  check.equal({ p.order[1].caption, p.order[2].caption, p.order[3].caption }, { "aaa", "cc", "b" })
  p:select(p.order[1], "only")
  p:select(p.order[3], "range")
  check.equal(#p:selection(), 3)
  p:select(p.order[2], "toggle")
  check.equal(#p:scope "selected", 2)
  p:invert()
  check.equal(p:selection(), { p.order[2] })
  p:select_all()
  check.equal(p:counts().selected, 3)
  check.ok(p:filter "is:selected")
  check.equal(#p.order, 3)
  p:select_none()
  check.equal(p:selection(), { p:current() })
  check.ok(p:filter "")
  check.ok(p:sort "path")
  check.equal(p.order[1], p.items[1])
  check.ok(p:filter "tokens:>1")
  while p:work(0) do check.ok(true) end
  check.equal(#p.order, 0)
  check.equal(p:go "next", nil)
  check.equal(p:selection(), {})
  check.ok(p:filter "")
  p:close()
end)

test("a project is opened as it was left", function()
  local at = folder(4)
  local p = open(at)
  p.changes:star({ p.items[2], p.items[3] }, 3)
  p:filter "stars:3"
  p:sort("name", true)
  p:go(2)
  p.settings.zoom, p.settings.panes = 2.5, { tags = true }
  check.equal(p:current(), p.items[2])
  p:close()
  p = open(at)
  check.equal(p.filter_text, "stars:3")
  check.equal(#p.order, 2)
  check.equal(p:current().name, "p2.png")
  check.equal(p.settings.zoom, 2.5)
  check.equal(p.settings.panes, { tags = true })
  p.store:put("window", p.place, "{ broken")
  p.store:close()
  p = open(at)
  check.equal(#p.order, 4)
  p:close()
end)

test("pictures that nobody has looked at yet are asked for, and learnt", function()
  local at = folder(3, false)
  put(at .. "/photos/p1.txt", "a boat\n")
  local p = open(at)
  check.equal(p.items[1].sha256, nil)
  check.equal(p.items[1].caption, "a boat") -- shown before its content is known
  local wanted = p:wanted()
  check.equal(#wanted, 3)
  check.equal(wanted[1].what, "identify")
  check.equal(#p:wanted(), 0) -- asked already
  p:learn(p.items[1], { sha256 = hash.sha256(read(p.items[1].path)), width = 65, height = 48 })
  check.equal(p.items[1].width, 65)
  check.equal(#p.changes:history(p.items[1]), 1) -- now it could be noted
  check.equal(p:wanted()[1].what, "measure")
  p:learn(p.items[1], { record = { width = 65, height = 48, sharpness = 12 } })
  check.ok(p:filter "sharpness:<20")
  check.equal(p.order, { p.items[1] })
  p:learn(p.items[2], { error = "cut short" })
  check.ok(p:filter "is:unreadable")
  check.equal(p.order, { p.items[2] })
  check.ok(p.changes:write(p.items[3], "read when it is needed"))
  check.ok(p.items[3].sha256)
  p:close()
end)

test("dropped files are copied into the folder with their captions; what is not taken is named", function()
  local at, from = folder(2), tmp "from"
  os.execute("mkdir -p " .. from .. "/more")
  image.new(90, 90, { 9, 9, 9 }):save(from .. "/p1.png")
  put(from .. "/p1.txt", "mine\n")
  image.new(91, 90, { 9, 9, 9 }):save(from .. "/more/q.png")
  put(from .. "/bad.png", "no picture")
  put(from .. "/x.txt", "no picture")
  os.execute(("cp %s/photos/p2.png %s/again.png"):format(at, from))
  local p = open(at)
  p:identify(p.items[2])
  local added, refused = p:add { from .. "/p1.png", from .. "/more", from .. "/bad.png", from .. "/x.txt", from .. "/again.png", from .. "/none.png", at .. "/photos" }
  check.equal(#added, 2)
  check.equal(added[1].name, "p1-2.png") -- that name was taken
  check.equal(added[1].caption, "mine")
  check.equal(#refused, 5)
  local why = {}
  for _, row in ipairs(refused) do why[row.path:match "[^/]+$"] = row.why end
  check.contains(why["again.png"], "here already, as p2.png")
  check.contains(why["x.txt"], "no picture")
  check.ok(why["bad.png"] and why["none.png"] and why["photos"])
  check.equal(#p.order, 4)
  p:close()
  p = open(at)
  check.equal(#p.items, 4)
  local list = check.ok(project.open({ at .. "/photos/p1.png", at .. "/photos/p2.png" }, { store = at .. "/.calotype" }))
  check.equal(#list.items, 2)
  check.equal(#select(2, list:add { from .. "/p1.png" }), 1)
  list:close()
  p:close()
end)

test("reloading finds what came and what went, and keeps the rest", function()
  local at = folder(3)
  local p = open(at)
  local second = p.items[2]
  p:select(second, "only")
  p:go(second)
  os.execute("rm " .. at .. "/photos/p1.png")
  image.new(99, 90, { 9, 9, 9 }):save(at .. "/photos/p9.png")
  check.ok(p:reload())
  check.equal(#p.items, 3)
  check.equal(p.items[1], second)
  check.equal(p:current(), second)
  check.ok(p.selected[second])
  check.contains(p:told()[1].text, "1 new, 1 gone")
  p:close()
end)

test("dropped files that the disk has no room for are told before the first is copied", function()
  local source, hubs = require "window.source", require "native.hub"
  local at = folder(3)
  local p = open(at)
  local list = { at .. "/photos/p1.png", at .. "/photos/p2.png", at .. "/photos/gone.png" }
  local bytes = fs.stat(list[1]).size + fs.stat(list[2]).size
  check.equal(source.tight(p, list), nil)
  local room = hubs.room
  local restore <close> = setmetatable({}, { __close = function() hubs.room = room end }) -- luacheck: ignore
  hubs.room = function() return bytes end
  check.equal(source.tight(p, list), nil)
  hubs.room = function() return bytes - 1 end
  check.contains(source.tight(p, list), "0.0 MB are free there: not all of them will fit")
  hubs.room = function() return nil, "not known", "IO" end
  check.equal(source.tight(p, list), nil)
  p:close()
end)

test("an empty folder can be opened, for files to be dropped on it", function()
  local at = tmp "empty"
  os.execute("mkdir -p " .. at .. "/photos")
  local p = open(at)
  check.equal(#p.items, 0)
  check.equal(p:current(), nil)
  check.equal(p.changes:undo(), nil)
  p:close()
end)

test("a recipe shows its pictures with buckets, rejects and their reasons; nobody is asked", function()
  local at = folder(3)
  image.new(20, 20, { 5, 5, 5 }):save(at .. "/photos/tiny.png")
  put(at .. "/r.lua", ([[local p = images "%s/photos":reject { side_below = 40 }:bucket { resolution = 64, min = 32, max = 128, step = 8 }
    :caption { with = template { text = "a {stem}" }, trigger = "zkr" }
  p:export { as = "sidecars", to = "%s/out" }]]):format(at, at))
  local p = check.ok(project.open(at .. "/r.lua", { store = at .. "/.calotype" }))
  check.equal(#p.items, 4)
  check.equal(p.items[4].reject.by, "reject")
  check.contains(p.items[4].reject.reason, "20")
  check.ok(p.items[1].bucket.width >= 32)
  check.equal(p.trigger, "zkr")
  check.equal({ p.items[1].caption, p.items[1].out }, { "", nil }) -- what stands in a plan for a caption is none
  check.equal(p.items[1].width, 65)
  check.equal(fs.stat(at .. "/out"), nil)
  check.ok(p.changes:write(p.items[1], "mine"))
  p:close()
  put(at .. "/bad.lua", ("images '%s/photos'\n:nothing {}"):format(at))
  check.refused("nothing", project.open(at .. "/bad.lua", { store = at .. "/.calotype" }))
end)

test("a view file is what :preview wrote, and a bad one is refused with the picture's number", function()
  local at = folder(2)
  local function view(value)
    put(at .. "/v.json", json.encode(value))
    return project.open(at .. "/v.json", { store = at .. "/.calotype" })
  end
  local p = check.ok(view { calotype = "view", version = 1, title = "hall", pictures = json.array {
    { path = at .. "/photos/p1.png", caption = "zkr, a boat", trigger = "zkr", bucket = { width = 64, height = 64 } },
    { path = at .. "/photos/p2.png", rejected = "too small", verb = "reject" } } })
  check.equal(p.title, "hall")
  check.equal({ p.items[1].out, p.trigger }, { "zkr, a boat", "zkr" })
  check.equal(p.items[2].reject, { reason = "too small", by = "reject" })
  p:close()
  check.refused("is no list of pictures", view {})
  check.refused("its pictures are no list", view { calotype = "view", version = 1, pictures = { a = 1 } })
  check.refused("its pictures are no list", view { calotype = "view", version = 1, pictures = { p1 = { path = at .. "/photos/p1.png" } } })
  put(at .. "/v.json", '{"calotype":"view","version":1,"pictures":{}}')
  check.refused("its pictures are no list", project.open(at .. "/v.json", { store = at .. "/.calotype" }))
  check.refused("has version 2", view { calotype = "view", version = 2, pictures = json.array {} })
  check.refused("has version that is no number", view { calotype = "view", version = {}, pictures = json.array {} })
  check.refused("picture 1 is no picture: /etc/passwd", view { calotype = "view", version = 1, pictures = json.array { { path = "/etc/passwd" } } })
  local many = {}
  for i = 1, 200001 do many[i] = 0 end
  check.refused("has 200001 pictures; a window shows at most 200000", view { calotype = "view", version = 1, pictures = json.array(many) })
  check.refused("picture 1 has no path", view { calotype = "view", version = 1, pictures = json.array { { path = 3 } } })
  check.refused("bucket without a size", view { calotype = "view", version = 1, pictures = json.array { { path = "x", bucket = { width = -1, height = 2 } } } })
end)
