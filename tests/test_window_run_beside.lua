-- A run of calotype captions the picture that is being written in the window: a recipe, and `calotype caption` with the server of tests/fake.
local fake = dofile "tests/fake.lua"
local fs = require "native.fs"
local image = require "native.image"
local project = require "window.project"
local watch = require "window.watch"

local pipe = io.popen "readlink /proc/$PPID/exe"
local program = pipe:read("l"):gsub("/tests/host$", "/calotype")
pipe:close()

local function texts(c, item)
  local list = {}
  for i, row in ipairs(c:history(item)) do list[i] = row.text end
  return list
end

-- A window on three pictures, two with caption files, and what runs beside it.
local function open()
  local at = tmp "beside"
  os.execute("mkdir -p " .. at .. "/photos")
  for i = 1, 3 do check.ok(image.new(600 + i, 512, { 60 * i, 90, 40 }):save(("%s/photos/p%d.png"):format(at, i))) end
  for i = 1, 2 do check.ok(fs.write(("%s/photos/p%d.txt"):format(at, i), ("words %d\n"):format(i))) end
  local p = check.ok(project.open(at .. "/photos", { store = at .. "/.calotype" }))
  for _, item in ipairs(p.items) do check.ok(p:identify(item)) end
  local w, clock = watch.new(p), 0
  local function look()
    clock = clock + 2
    w:look(p.order, clock)
    local list = {}
    for i, news in ipairs(p:told()) do list[i] = news.text end
    return table.concat(list, "\n")
  end
  local function run(words)
    local out = io.popen(("cd %s && %s %s 2>&1 </dev/null; echo \"exit $?\""):format(at, program, words))
    local said = out:read "a"
    out:close()
    check.contains(said, "exit 0")
    return said
  end
  local function file(i) return fs.read(("%s/photos/p%d.txt"):format(at, i)) end
  return at, p, look, run, file
end

-- `calotype caption` in the background, which the server keeps waiting; `use` meanwhile.
local function while_asked(at, words, use)
  local server <close> = fake.start()
  local out = io.popen(("cd %s && GEMINI_BASE_URL=%s GEMINI_API_KEY=%s %s caption photos with=gemini %s 2>&1; echo \"exit $?\""):format(at,
    server:url "ok@60000=beside", fake.KEY, program, words))
  os.execute(server:until_requests("ok@60000=beside", 1))
  use()
  server:ready "ok@60000=beside"
  local said = out:read "a"
  out:close()
  check.contains(said, "exit 0")
  return said
end

test("what a person writes in the window while a run asks is not written over: not in the store, not beside the picture", function()
  local at, p, look, run, file = open()
  local c, two, three = p.changes, p.items[2], p.items[3]
  look()
  local said = while_asked(at, "beside=yes to=", function()
    check.ok(c:type(three, "a person's"))
    check.ok(c:type(two, "words 2, more"))
    check.equal(c:commit(), true)
  end)
  check.contains(said, "photos/p2.txt was changed while this ran, and stays as it is now")
  check.equal({ file(1), file(2), file(3) }, { "words 1\n", "words 2, more\n", "a person's\n" })
  check.equal(look(), "")
  check.equal({ two.caption, three.caption }, { "words 2, more", "a person's" })
  check.equal(texts(c, two), { "words 2", "words 2, more" })
  local known = texts(c, three)
  check.equal({ #known, known[1] }, { 2, "a person's" }) -- and the answer that was paid for
  check.equal(c:undo().title, "caption of p2.png")
  check.equal({ two.caption, file(2) }, { "words 2", "words 2\n" })
  said = run "caption photos with=template text=door beside=yes to="
  check.contains(said, "3 by people")
  check.equal({ file(1), file(2), file(3) }, { "words 1\n", "words 2\n", "a person's\n" })
  p:close()
end)

test("a run that is to replace captions leaves the file that was written while it ran; the text is kept in any case", function()
  local at, p, look, _, file = open()
  local c, one, two, three = p.changes, p.items[1], p.items[2], p.items[3]
  look()
  local said = while_asked(at, "replace=yes beside=yes to=", function()
    check.ok(c:type(three, "a person's"))
    check.ok(c:type(two, "words 2, more"))
    check.equal(c:commit(), true)
    check.ok(c:type(one, "words 1, and mine"))
  end)
  check.contains(said, "photos/p2.txt was changed while this ran")
  check.contains(look(), "p1.png got another caption while it was written: keep mine or theirs?")
  check.contains(file(1), "a small test picture")
  check.equal(c.conflict.mine, "words 1, and mine")
  check.equal(c:settle "mine", true)
  check.equal(file(1), "words 1, and mine\n")
  check.equal(c:undo().count, 1)
  check.contains(file(1), "a small test picture")
  check.equal({ file(2), two.caption }, { "words 2, more\n", "words 2, more" })
  check.equal(texts(c, three)[1], "a person's")
  check.contains(three.caption, "a small test picture")
  p:close()
end)

test("captions that a recipe writes by the hundred are told in two lines", function()
  local at, p, look, run = open()
  for i = 4, 9 do check.ok(image.new(600 + i, 512, { 20 * i, 90, 40 }):save(("%s/photos/p%d.png"):format(at, i))) end
  p:reload()
  look()
  check.ok(fs.write(at .. "/r.lua", 'images "photos":caption { with = template { text = "a {stem}" }, replace = true }:export { as = "sidecars", beside = true }'))
  run "run r.lua"
  local said = look()
  check.contains(said, "p1.txt was changed by another program\nand 8 more captions are others")
  check.equal(select(2, said:gsub("\n", "")), 1)
  p:close()
end)
