-- A training, watched: the file that it writes, what is read of it (also of broken ones), and the screen on SDL's dummy display. This file is
-- also the program that draws: with TRAINING_PART set.
local fs = require "native.fs"
local hash = require "native.hash"
local image = require "native.image"
local json = require "native.json"
local lives = require "train.live"
local project = require "window.project"
local runs = require "window.run"
local safetensors = require "native.safetensors"
local stores = require "native.store"

local drawing = os.getenv "TRAINING_PART"

-- A folder as a training leaves it: `steps` done of 100, samples of two prompts at each 10.
local function run_folder(name, steps, more)
  local folder = tmp(name)
  fs.make_folder(folder .. "/samples")
  local about = { name = "zkr", title = "doors", trigger = "zkr", steps = 100, step = 0, losses = {}, held = {}, base = "tiny", rank = 4, pictures = 12 }
  for key, value in pairs(more or {}) do about[key] = value end
  local live = lives.open(folder, about)
  for i = 1, steps do
    live:step(i, 1 / i, 1e-4)
    if i % 10 == 0 then
      live:held(i, 1.5 / i)
      local path = ("%s/samples/step-%06d.png"):format(folder, i)
      local sheet = image.new(120, 140, { 250, 250, 250 })
      sheet:rect(10, 10, 50, 50, { 255 - 2 * i, 0, 0 })
      sheet:rect(10, 80, 50, 50, { 0, 2 * i, 0 })
      check.ok(sheet:save(path))
      live:sample { step = i, path = path, width = 120, height = 140, seeds = json.array { 7 }, rows = json.array {
        { prompt = "a door", strength = 1, cells = json.array { json.array { 10, 10, 50, 50 } } },
        { prompt = "a zkr", strength = 1, cells = json.array { json.array { 10, 80, 50, 50 } } } } }
    end
  end
  return folder, live
end

if drawing then
  local loaders = require "native.loader"
  local views = require "window.view"
  local windows = require "native.window"

  local function open(what, store)
    local p = check.ok(project.open(what, { store = store }))
    local w = check.ok(windows.open { title = "training", width = 1000, height = 700, least = { 400, 300 } })
    local loader = check.ok(loaders.open(p.store, {}))
    local view = views.new(w, p, loader)
    local closing = setmetatable({}, { __close = function() loader:close() p:close() w:close() end })
    for _ = 1, 100 do -- until the samples are there
      view:turn(0.01)
      if not view.pictures:waiting() then break end
    end
    view:pass()
    return view, closing
  end
  local function shows(view, wanted) -- whether a colour is anywhere in the window
    local shot = check.ok(view.window:screenshot())
    for y = 0, shot:height() - 1, 3 do
      for x = 0, shot:width() - 1, 3 do
        local r, g, b = shot:get(x, y)
        if math.abs(r - wanted[1]) + math.abs(g - wanted[2]) + math.abs(b - wanted[3]) < 24 then return true, x, y end
      end
    end
    return false
  end
  local function press(view, key, more)
    local event = { kind = "key", key = key }
    for name, value in pairs(more or {}) do event[name] = value end
    view:pass(event)
    view:pass()
  end

  test("the arrows go through a training's samples, Enter looks at one nearer, Esc comes back", function()
    local view, _ <close> = open((run_folder("keys", 30)), tmp "store keys")
    check.equal({ view.screen, view.sample }, { "training", nil })
    press(view, "down") -- the first key shows where one is: at the newest
    check.equal(view.sample, { row = 3, n = 1 })
    press(view, "up")
    press(view, "right")
    press(view, "right")
    check.equal(view.sample, { row = 2, n = 2 })
    press(view, "return")
    check.equal({ #view.sampled, view.sampled[2].prompt }, { 3, "a zkr" })
    press(view, "=", { ctrl = true })
    check.equal(view.near.near, 1.25)
    press(view, "escape")
    check.equal({ view.sampled, view.screen }, { nil, "training" })
    press(view, "home")
    check.equal(view.sample.row, 1)
  end)

  test("the folder of a run opens as its training, with curve and samples; a click looks nearer, Esc comes back", function()
    local folder = run_folder("drawn", 30)
    local view <const>, _ <close> = open(folder, tmp "drawn-store")
    check.equal({ view.screen, #view.project.items, #view.run.rows }, { "training", 3, 3 })
    check.ok(shows(view, { 195, 0, 0 }), "the sample of step 30")
    check.ok(shows(view, { 0, 60, 0 }), "that of the other prompt")
    check.ok(shows(view, { 108, 176, 255 }) or shows(view, { 0x80, 0xB8, 0xFF }), "the curve")
    local _, x, y = shows(view, { 195, 0, 0 })
    for _, what in ipairs { "move", "down", "up" } do view:pass { kind = "mouse", what = what, x = x + 4, y = y + 4, button = "left", clicks = 1 } end
    check.equal(#view.sampled, 3)
    for _ = 1, 50 do view:turn(0.01) end
    check.ok(shows(view, { 235, 0, 0 }) and shows(view, { 195, 0, 0 }), "all steps of the prompt beside each other")
    press(view, "escape")
    check.equal({ view.sampled, view.screen }, { nil, "training" })
    press(view, "t")
    check.equal(view.screen, "grid")
    press(view, "t")
    check.equal(view.screen, "training")
    press(view, "=", { ctrl = true })
    check.equal(view.thumb, 200)
  end)

  test("Ctrl+Shift+Enter runs the recipe that is shown, with its parameters, in a process of its own", function()
    local folder = tmp "recipe"
    os.execute("mkdir -p " .. folder .. "/photos")
    for i = 1, 3 do check.ok(image.new(60 + i, 48, { 20 * i, 90, 200 }):save(("%s/photos/p%d.png"):format(folder, i))) end
    local recipe = folder .. "/hall.lua"
    check.ok(fs.write(recipe, ([[
local p = params { word = { "none" }, to = { "out", kind = "folder", help = "where to" } }
images "%s/photos" :caption { with = template { text = "a " .. p.word } } :export { as = "sidecars", to = p.to }
]]):format(folder)))
    local w = check.ok(windows.open { title = "training", width = 800, height = 600, least = { 400, 300 } })
    local p = check.ok(project.open(recipe, { store = folder .. "/.calotype", params = { word = "door", to = folder .. "/out" } }))
    local loader = check.ok(loaders.open(p.store, {}))
    p.run = { recipe = recipe, key = "k" } -- as of a recipe that trains
    local view = views.new(w, p, loader)
    view.program = dofile "tests/window.lua".program
    press(view, "return", { ctrl = true, shift = true })
    check.equal({ view.screen, view.job and view.job.title }, { "training", "training" })
    check.ok(view.job)
    press(view, "return", { ctrl = true, shift = true }) -- once at a time
    for _ = 1, 1200 do
      view:turn(0.05)
      if not view.job then break end
    end
    check.equal(view.job, nil)
    local told = dofile "tests/window.lua".told(view)
    check.contains(told, "good training: done")
    check.equal(fs.read(folder .. "/out/p1.txt"), "a door\n", told)
    loader:close()
    p:close()
    w:close()
  end)

  test("what another process writes is seen within two seconds; an empty and a broken run are no crash", function()
    local folder, live = run_folder("lives", 10)
    local view <const>, _ <close> = open(folder, tmp "lives-store")
    check.equal(view.run.step, 10)
    live:step(11, 0.5)
    live:ended("failed", "the device was lost")
    for _ = 1, 40 do if view.run.state ~= "failed" then view:turn(0.05) end end
    check.contains(view.run:told(), "the device was lost")
    check.ok(fs.write(folder .. "/run.json", "{"))
    view.run.looked = nil
    view:turn(0)
    view:pass()
    check.contains(view.run.trouble, "is not as a training writes it")
    check.ok(fs.write(folder .. "/run.json", '{"calotype":"run","version":1,"losses":[],"samples":[]}'))
    view.run.looked = nil
    view:turn(0)
    view:pass()
    check.equal({ view.run.step, #view.run.losses }, { 0, 0 })
  end)
  return
end

test("the screen draws it", function()
  dofile("tests/window.lua").part("tests/test_window_training.lua", "TRAINING_PART=1")
end)

test("the file of a training is bounded, goes on from a step, and is written though nobody can read what was there", function()
  local folder, live = run_folder("file", 50)
  live:ended "interrupted"
  local now = check.ok(lives.read(folder))
  check.equal({ now.step, now.steps, now.state, #now.losses, #now.samples, now.held[5][2] }, { 50, 100, "interrupted", 50, 5, 0.03 })
  lives.open(folder, { steps = 100, step = 30, losses = { { 10, 0.5 }, { 30, 0.4 } }, held = { { 30, 0.2 } } }) -- it went on from a checkpoint
  now = lives.read(folder)
  check.equal({ now.step, now.state, #now.losses, #now.held, #now.samples }, { 30, "training", 2, 1, 3 })
  live = lives.open(folder, { steps = 1000000, step = 0, losses = {}, held = {} })
  for i = 1, 9000 do live:step(i, i % 7 == 0 and 0 / 0 or 2.0) end
  live:ended "done"
  now = lives.read(folder)
  check.ok(#now.losses > 500 and #now.losses <= 2001, #now.losses)
  check.equal(now.losses[1][2], 2.0)
  check.ok(fs.stat(folder .. "/run.json").size < 100000)
  check.ok(fs.write(folder .. "/run.json", "no JSON"))
  check.equal(check.refused("is not as a training writes it", lives.read(folder)), "FORMAT")
  lives.grid(folder, { step = 1 }) -- nothing to add it to
  lives.open(folder, { steps = 1, step = 0, losses = {}, held = {} })
  check.ok(lives.read(folder))
  check.equal(check.refused("there is no", lives.read(tmp "none")), "NOTFOUND")
end)

test("a run is read once a second: curve, time that is left, checkpoints, samples by prompt, strength and seed", function()
  local folder, live = run_folder("read", 40)
  check.ok(fs.write(folder .. "/step-000040.safetensors", "x"))
  live:sample { step = 41, path = folder .. "/gone.png", width = 9, height = 9, rows = {} }
  local path = tmp "grid.png"
  check.ok(image.new(200, 200):save(path))
  lives.grid(folder, { step = 40, path = fs.absolute(path), width = 200, height = 200, seeds = json.array { 1, 2 }, rows = json.array {
    { prompt = "a zkr", strength = 0, cells = json.array { json.array { 0, 0, 90, 90 }, json.array { 100, 0, 90, 90 } } },
    { prompt = "a zkr", strength = 0.5, cells = json.array { json.array { 0, 100, 90, 90 }, json.array { 150, 100, 90, 90 } } } } }) -- the last: beyond it
  local store <close> = check.ok(stores.open(tmp "read-store"))
  local r = runs.new { folder = folder }
  check.equal({ r:look(store, 0), r:look(store, 0.5), r:look(store, 1.5) }, { true, false, false })
  check.equal({ r.state, r.step, r.steps, #r.losses, #r.smooth, #r.held, #r.checkpoints }, { "training", 40, 100, 40, 40, 4, 1 })
  check.ok(r.left and r.smooth[40][2] > r.losses[40][2], "the curve lags behind what falls")
  check.equal(r.prompts, { "a door", "a zkr" })
  local titles = {}
  for i, row in ipairs(r.rows) do titles[i] = row.title .. "/" .. row.second end
  check.equal(titles, { "step 10 at 1/seed 7", "step 20 at 1/seed 7", "step 30 at 1/seed 7", "without/seed 1", "without/seed 2", "step 40 at 0.5/seed 1",
    "step 40 at 1/seed 7" })
  check.equal({ r.rows[4][1], r.rows[4][2].part.width }, { nil, 90 })
  check.contains(r:told(), "step 40 of 100")
  local now = lives.read(folder) -- killed hours ago: nobody says so but the clock
  now.updated = os.time() - 7200
  check.ok(fs.write(folder .. "/run.json", json.encode(now)))
  r:look(store, 3)
  check.contains(r:told(), "no news for 2")
end)

test("the runs of a recipe are found by their key, also one whose folder comes later", function()
  local at = tmp "later"
  fs.make_folder(at)
  local folder = at .. "/zkr-1"
  local store <close> = check.ok(stores.open(tmp "later-store"))
  local r = runs.new { key = "k", recipe = "hall.lua" }
  check.ok(r:look(store, 0))
  check.contains(r:told(), "not trained yet")
  check.ok(store:put("training", "k", json.encode { runs = json.array { { folder = folder } } }))
  r:look(store, 2)
  check.equal({ r.folder, r.state }, { folder, "none" })
  fs.make_folder(folder)
  lives.open(folder, { steps = 5, step = 2, losses = {}, held = {} })
  check.ok(r:look(store, 4))
  check.equal({ r.state, r.step }, { "training", 2 })
end)

test("what is wrong in the file of a run is left out, whatever it is", function()
  local folder = run_folder("hostile", 20)
  local store <close> = check.ok(stores.open(tmp "hostile-store"))
  local good = lives.read(folder)
  local random = hash.random(7)
  local junk = { 5, -1, 1e300, "x", "", true, {}, { {} }, { 1 }, { { 1, "x" } }, json.null, { a = 1 }, { { step = -1, path = "/", width = 1, height = 1 } },
    { { step = 1, path = folder, width = 1e9, height = "x", rows = { { prompt = 5, cells = { { 1, 2, 3 } } } } } },
    { { step = 1, path = folder .. "/samples/step-000010.png", width = 10, height = 10, seeds = 5, rows = { { prompt = "p", cells = { { 0, 0, 99, 99 } } } } } } }
  local keys = {}
  for key in pairs(good) do if key ~= "calotype" and key ~= "version" then keys[#keys + 1] = key end end
  table.sort(keys)
  for i = 1, 300 do
    local bad = {}
    for key, value in pairs(good) do bad[key] = value end
    for _ = 1, 1 + random:below(3) do bad[keys[1 + random:below(#keys)]] = junk[1 + random:below(#junk)] end
    check.ok(fs.write(folder .. "/run.json", json.encode(bad)))
    local r = runs.new { folder = folder }
    check.ok(r:look(store, i))
    check.ok(#r:told() > 0)
    for _, row in ipairs(r.rows) do check.ok(row.title) end
  end
end)

test("a LoRA opens with its metadata and the pictures beside it; its run's folder with all", function()
  local at = tmp "lora"
  fs.make_folder(at)
  check.ok(image.new(8, 8):save(at .. "/door.png"))
  check.ok(image.new(8, 8):save(at .. "/other.png"))
  local header = json.encode { __metadata__ = { ["modelspec.title"] = "Doors", ss_steps = "40", ss_network_dim = "4", ss_sd_model_name = "tiny" },
    t = { dtype = "F32", shape = json.array { 1 }, data_offsets = json.array { 0, 4 } } }
  header = header .. (" "):rep(-#header % 8)
  check.ok(fs.write(at .. "/door.safetensors", string.pack("<I8", #header) .. header .. "\0\0\0\0"))
  check.ok(safetensors.open(at .. "/door.safetensors"))
  local p = check.ok(project.open(at .. "/door.safetensors", { store = tmp "lora-store" }))
  check.equal({ p.kind, #p.items, p.items[1].name, p.run.folder }, { "run", 1, "door.png" })
  local r = runs.new(p.run)
  check.ok(r:look(p.store, 0))
  check.equal(r.facts, { { "title", "Doors" }, { "base", "tiny" }, { "steps", "40" }, { "rank", "4" }, { "tensors", "1" } })
  check.contains(r:told(), "no training is known")
  p:close()
  check.ok(fs.write(at .. "/broken.safetensors", "x"))
  p = check.ok(project.open(at .. "/broken.safetensors", { store = tmp "lora-store" }))
  r = runs.new(p.run)
  r:look(p.store, 0)
  check.ok(r.trouble, "what is wrong with it is told")
  p:close()
  local folder = run_folder("lora-run", 20)
  check.ok(fs.write(folder .. "/step-000020.safetensors", string.pack("<I8", #header) .. header .. "\0\0\0\0"))
  p = check.ok(project.open(folder .. "/step-000020.safetensors", { store = tmp "lora-store" }))
  check.equal({ p.kind, #p.items, p.run.folder ~= nil }, { "run", 2, true })
  p:close()
  -- one that went out of the run, under another name and elsewhere
  header = json.encode { __metadata__ = { sshs_model_hash = "abc", ss_steps = "20" }, t = { dtype = "F32", shape = json.array { 1 }, data_offsets = json.array { 0, 4 } } }
  header = header .. (" "):rep(-#header % 8)
  check.ok(fs.write(at .. "/out.safetensors", string.pack("<I8", #header) .. header .. "\0\0\0\0"))
  p = check.ok(project.open(at .. "/out.safetensors", { store = tmp "lora-store" }))
  require("train.runs").remember_file(p.store, "abc", folder)
  r = runs.new(p.run)
  check.ok(r:look(p.store, 0))
  check.equal({ r.state, r.step, #r.losses, #r.rows, r.facts[1] }, { "training", 20, 20, 2, { "steps", "20" } })
  os.execute("rm -r " .. folder)
  r = runs.new(p.run)
  check.ok(r:look(p.store, 0))
  check.contains(r:told(), "no training is known")
  p:close()
end)
