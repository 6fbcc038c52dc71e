-- Export from the window: what would be written, the recipe that writes it, and the dialog in a program of its own with SDL's dummy driver.
local exportbox = require "window.exportbox"
local fs = require "native.fs"
local image = require "native.image"
local window = dofile "tests/window.lua"
local zip = require "native.zip"

local function item(name, caption, more)
  local one = { path = "photos/" .. name, name = name, stem = name:gsub("%.[^.]+$", ""), extension = name:match "[^.]+$", caption = caption, size = 1000 }
  for key, value in pairs(more or {}) do one[key] = value end
  return one
end

local function names(c)
  local list = {}
  for i, row in ipairs(c.rows) do list[i] = row.name .. ": " .. row.text end
  return list
end

local function outside()
  test("what would be written has the names, the captions and the trigger once; put aside stays out", function()
    local items = { item("b door.jpg", "zkr, a zkr door"), item("a.webp", "a hat\nred"), item("c.png", "x", { reject = { reason = "blurred" } }),
      item("d.jpeg", ""), item("e.png", "", { out = "from a recipe" }) }
    local c = exportbox.contents(items, { format = "replicate", trigger = "zkr", metadata = "files" })
    check.equal(names(c), { "b_door.jpg: zkr, a door", "a.png: zkr, a hat red", "d.jpg: ", "e.png: zkr, from a recipe" })
    check.equal({ #c.without, c.aside, c.metadata }, { 1, 1, nil })
    c = exportbox.contents(items, { format = "replicate", metadata = "lines", skip = true })
    check.equal(#c.rows, 3)
    check.equal(c.metadata, "a hat red\nzkr, a zkr door\nfrom a recipe\n") -- in the order of the files
    c = exportbox.contents(items, { format = "kohya", trigger = "my hall", repeats = 7, skip = true })
    check.equal(c.rows[1].name, "7_my hall/b_door.jpg")
    c = exportbox.contents(items, { format = "beside", skip = true })
    check.equal(c.rows[2].name, "a.txt")
  end)

  test("a caption that has [trigger] waits for the word", function()
    local items = { item("a.jpg", "a door"), item("b.jpg", "a photo of [trigger]") }
    local c = exportbox.contents(items, { format = "kohya" })
    check.equal(c.unfilled, items[2])
    c = exportbox.contents(items, { format = "kohya", trigger = "zkr" })
    check.equal({ c.unfilled, c.rows[1].text, c.rows[2].text }, { nil, "zkr, a door", "a photo of zkr" })
  end)

  test("the recipe has the captions as they stand", function()
    local c = exportbox.contents({ item("a\"b.jpg", "a \"door\"\\") }, { format = "kohya", trigger = "zkr", repeats = 3 })
    local made = exportbox.recipe(c, { format = "kohya", to = "out/k", trigger = "zkr", repeats = 3 })
    check.contains(made, [["photos/a\"b.jpg"] = "zkr, a \"door\"\\"]])
    check.contains(made, ":weight(3)")
    check.contains(made, 'as = "kohya", to = "out/k"')
  end)

  test("it is written by a child, on SDL's dummy display", function()
    window.part("tests/test_window_export.lua", "WINDOW_PART=export")
  end)
end

if os.getenv "WINDOW_PART" ~= "export" then return outside() end

local key = window.key

local function with_view(use)
  local at = tmp "export"
  os.execute("mkdir -p " .. at .. "/photos")
  for i = 1, 4 do check.ok(image.new(60 + i, 52, { 40 * i % 256, 90, 40 }):save(("%s/photos/p%d.%s"):format(at, i, i == 2 and "jpg" or "png"))) end
  local v <close> = window.open(at .. "/photos", { width = 1000, height = 700 })
  v.program = window.program
  for i, one in ipairs(v.project.items) do check.ok(v.project.changes:write(one, "a door, number " .. i)) end
  use(v, v.project, at)
end

local function finish(v)
  window.until_(v, function() return not v.job end)
  return window.told(v)
end

local function open(v, format, to, how)
  v:pass(nil, false)
  key(v, "e", { ctrl = true })
  local box = check.ok(v.exporting)
  for i, name in ipairs { "replicate", "kohya", "sidecars", "beside" } do if name == format then box.format = i end end
  if to then box.to[box.format]:set(to) end
  for name, value in pairs(how or {}) do
    if name == "trigger" or name == "repeats" then box[name]:set(value) else box[name] = value end
  end
  v:pass(nil, false)
  return box
end

local function entries(path)
  local list = {}
  for _, entry in ipairs(check.ok(zip.list(path))) do list[#list + 1] = entry.name end
  table.sort(list)
  return list
end

test("one key writes the zip; it is asked before another takes its place", function()
  with_view(function(v, p, at)
    local to = at .. "/out/p.zip"
    p.changes:reject({ p.items[4] }, "blurred")
    local box = open(v, "replicate", to, { trigger = "zkr" })
    check.equal(#box.contents.rows, 3)
    key(v, "return")
    check.equal(v.dialog, nil)
    local told = finish(v)
    check.equal(entries(to), { "p1.png", "p1.txt", "p2.jpg", "p2.txt", "p3.png", "p3.txt" })
    check.contains(told, "good export: " .. to)
    check.equal(p.trigger, "zkr")
    local before = fs.stat(to)
    p.changes:restore { p.items[4] }
    open(v, "replicate", nil, { metadata = 2 })
    check.equal(v.exporting.to[1]:text(), to) -- remembered
    key(v, "return")
    check.contains(v.choosing.title, "p.zip is there already")
    v:pass(nil, false)
    key(v, "escape")
    check.equal({ v.job, v.dialog }, {})
    check.equal(fs.stat(to), before)
    open(v, "replicate", nil, { metadata = 2 })
    key(v, "return")
    v:pass(nil, false)
    key(v, "return")
    check.ok(v.job)
    finish(v)
    check.equal(entries(to), { "metadata.txt", "p1.png", "p2.jpg", "p3.png", "p4.png" })
  end)
end)

test("kohya's folders, with the repeats in their name", function()
  with_view(function(v, _, at)
    open(v, "kohya", at .. "/out/k", { trigger = "zkr", repeats = "3" })
    key(v, "return")
    local told = finish(v)
    check.equal(fs.read(at .. "/out/k/3_zkr/p2.txt"), "zkr, a door, number 2\n", told)
  end)
end)

test("captions beside the pictures are still whose they were", function()
  with_view(function(v, p, at)
    p.changes:clear { p.items[3] }
    local box = open(v, "beside")
    check.equal(#box.contents.without, 1)
    key(v, "return")
    check.equal(v.job, nil) -- one has no caption: nothing is written
    box.skip = true
    key(v, "return")
    local told = finish(v)
    check.equal(fs.read(at .. "/photos/p1.txt"), "a door, number 1\n", told)
    check.equal(fs.stat(at .. "/photos/p3.txt"), nil)
    check.equal(p.items[1].by.author, "human")
    check.ok(p.items[1].sidecar)
  end)
end)

test("what cannot be written is told, and nothing is there", function()
  with_view(function(v, _, at)
    local box = open(v, "replicate", at .. "/out/p.tar")
    key(v, "return")
    check.equal(v.job, nil)
    check.ok(fs.write(at .. "/file", "x"))
    box.to[1]:set(at .. "/file/p.zip")
    key(v, "return")
    local told = finish(v)
    check.contains(told, "bad export")
    check.contains(told, "what was there before is as it was")
    key(v, "b", { ctrl = true, shift = true })
    check.equal(v.project.settings.beside, true)
    key(v, "b", { ctrl = true, shift = true })
    check.equal(v.project.settings.beside, false)
  end)
end)
