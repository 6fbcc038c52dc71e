-- Captioning from the window: children at work, what they say, stopping, undo; with the server of tests/fake, in a program of its own with
-- SDL's dummy driver.
local fs = require "native.fs"
local image = require "native.image"
local jobs = require "window.jobs"
local window = dofile "tests/window.lua"

local function outside()
  test("what a child says is sorted: progress, kinds, exit codes in words", function()
    local kind, far = jobs.sorted "  captions [======                  ] 3/12  5 s, 15 s left  $0.02"
    check.equal({ kind, far }, { nil, { label = "captions", done = 3, total = 12, words = "5 s, 15 s left  $0.02" } })
    check.equal({ jobs.sorted "warning: no trigger" }, { "warning", "no trigger" })
    check.equal({ jobs.sorted "error: no key" }, { "bad", "no key" })
    check.equal({ jobs.sorted "done: 1 output" }, { "good", "done: 1 output" })
    check.equal({ jobs.sorted "     = write it" }, { "info", "= write it" })
    for code, words in pairs { [0] = "done", [130] = "goes on", [75] = "try again later", [3] = "not permitted", [137] = "signal 9", [1] = "failed" } do
      check.contains(select(2, jobs.told(code)), words)
    end
  end)

  test("a job that no window left is refused", function()
    local at = tmp "nojob"
    os.execute("mkdir -p " .. at)
    local out = io.popen(("cd %s && %s view p job=captions-7 2>&1; echo \"exit $?\""):format(at, window.program))
    local said = out:read "a"
    out:close()
    check.contains(said, "exit 2")
    check.contains(said, "no")
  end)

  test("captions come from a child, on SDL's dummy display", function()
    window.part("tests/test_window_caption.lua", "WINDOW_PART=caption")
  end)
end

if os.getenv "WINDOW_PART" ~= "caption" then return outside() end

local fake = dofile "tests/fake.lua"
local key, until_ = window.key, window.until_

-- A view of `count` pictures; `scenario` is what the server does.
local function with_view(count, scenario, use)
  local server <close> = fake.start()
  local at = tmp "caption"
  os.execute("mkdir -p " .. at .. "/photos")
  for i = 1, count do check.ok(image.new(600 + i, 520, { 40 * i % 256, 90, 40 }):save(("%s/photos/%d.png"):format(at, i))) end
  local v <close> = window.open(at .. "/photos", { width = 1000, height = 700 })
  -- the address and the key reach the child as those of its environment
  v.program, v.fakes = at .. "/calotype", true
  check.ok(fs.write(v.program, ("#!/bin/sh\nGEMINI_BASE_URL=%s GEMINI_API_KEY=%s exec %s \"$@\"\n"):format(server:url(scenario), fake.KEY, window.program)))
  os.execute("chmod +x " .. v.program)
  use(v, v.project, at)
end

local function ask(v, how)
  key(v, "c", { alt = true })
  local box = v.captioning
  for name, value in pairs(how) do
    if name == "scope" then box.scope = value
    elseif name == "replace" or name == "another" then box[name] = value
    elseif name == "with" then for i, one in ipairs(box.writers) do if one == value then box.writer = i end end
    else box.fields[name]:set(value) end
  end
  key(v, "return")
  return box
end

test("the cost is shown first, nobody is asked before it is agreed to; all is one step, which can be undone", function()
  with_view(3, "ok=caption", function(v, p)
    p.changes:write(p.items[2], "a person's")
    v:pass(nil, false)
    local box = ask(v, { with = "gemini", scope = 2 })
    until_(v, function() return box.planned end)
    local words = {}
    for _, line in ipairs(box.lines) do words[#words + 1] = line.text end
    check.equal(box.planned, 0, table.concat(words, "\n"))
    check.contains(table.concat(words, "\n"), "in all: about $")
    check.contains(table.concat(words, "\n"), "2 to ask for")
    check.equal(v.job, nil)
    check.equal(p.items[1].caption, "")
    key(v, "return")
    check.ok(v.job)
    until_(v, function() return not v.job end)
    check.contains(p.items[1].caption, "a small test picture")
    check.contains(p.items[3].caption, "a small test picture")
    check.equal(p.items[2].caption, "a person's")
    check.equal(p.items[1].by.provider, "gemini")
    check.contains((p.changes:can()), "captions by a model for 2 pictures")
    check.equal(check.ok(p.changes:undo()).count, 2)
    check.equal({ p.items[1].caption, p.items[2].caption, p.items[3].caption }, { "", "a person's", "" })
    p.changes:redo()
    check.contains(p.items[3].caption, "a small test picture")
  end)
end)

test("a model is asked once more on request; stopped, the same goes on with the answers that it has", function()
  with_view(2, "ok=caption", function(v, p)
    local function planned(how)
      local box = ask(v, { with = "gemini", scope = 2, another = how })
      until_(v, function() return box.planned end)
      local words = {}
      for _, line in ipairs(box.lines) do words[#words + 1] = line.text end
      return table.concat(words, "\n"), box
    end
    local function run()
      key(v, "return")
      check.ok(v.job)
      until_(v, function() return not v.job end)
    end
    v.project:go(1)
    check.contains(planned(false), "2 to ask for")
    run()
    check.contains(planned(false), "asks nobody")
    key(v, "escape")
    local said, box = planned(true)
    check.contains(said, "2 to ask for")
    check.contains(box.recipe, "take = 2")
    run()
    check.equal({ p.settings.captioning.take, p.settings.captioning.begun }, { 2, nil })
    check.equal(#p.changes:history(p.items[1]), 2)
    planned(false)
    key(v, "escape")
    check.equal(p.settings.captioning.take, 2) -- a plan alone asks nobody
    said, box = planned(true)
    check.contains(said, "2 to ask for") -- and a third
    check.contains(box.recipe, "take = 3")
    run()
    p.settings.captioning.begun = true -- as a run that was stopped leaves it
    said, box = planned()
    check.equal(box.another, true)
    check.contains(box.recipe, "take = 3")
    check.contains(said, "asks nobody")
    check.equal(p.settings.captioning.begun, true)
  end)
end)

test("a person's caption goes only where replace is on, in its file too, and comes back", function()
  with_view(1, "ok=replace", function(v, p, at)
    check.ok(fs.write(at .. "/photos/1.txt", "a person's\n"))
    p:reload()
    p.trigger = "zkr"
    for _, replace in ipairs { false, true } do
      local box = ask(v, { with = "gemini", replace = replace })
      until_(v, function() return box.planned end)
      key(v, "return")
      until_(v, function() return not v.job end)
      if not replace then check.equal(p.items[1].caption, "a person's") end
    end
    check.contains(p.items[1].caption, "zkr, a small test picture") -- as it stands in the file
    check.equal(fs.read(at .. "/photos/1.txt"), p.items[1].caption .. "\n")
    check.equal(p.items[1].by.author, "model")
    p.changes:undo()
    p.changes:work()
    check.equal(fs.read(at .. "/photos/1.txt"), "a person's\n")
    check.equal(p.items[1].caption, "a person's")
  end)
end)

test("stopped: what came is kept; a third time ends it at once", function()
  with_view(40, "ok@700=stop", function(v, p)
    v:pass(nil, false)
    local box = ask(v, { with = "gemini", scope = 2 })
    until_(v, function() return box.planned end)
    key(v, "return")
    until_(v, function() return p:counts().captioned > 0 end)
    key(v, "x", { ctrl = true, shift = true })
    check.equal(v.job.stops, 1)
    local job = v.job
    jobs.stop(v)
    jobs.stop(v)
    check.equal(job.stops, 3)
    until_(v, function() return not v.job end)
    local some = 0
    for _, item in ipairs(p.items) do if item.caption ~= "" then some = some + 1 end end
    check.ok(some >= 1)
    check.ok(p.changes:undo())
  end)
end)

test("closing while it works is asked; Ctrl-C in the terminal stops it and closes", function()
  with_view(4, "ok@600=close", function(v)
    v:pass(nil, false)
    check.equal(jobs.holds(v), false)
    local box = ask(v, { with = "gemini", scope = 2 })
    until_(v, function() return box.planned end)
    key(v, "return")
    check.equal(jobs.start(v, { title = "other", recipe = "" }), nil)
    check.ok(jobs.holds(v))
    check.equal(v.choosing.title, "It is still at work")
    v:pass(nil, false)
    key(v, "escape")
    check.equal(v.dialog, nil)
    check.equal(v.job.then_close, nil)
    check.ok(jobs.holds(v, true))
    check.equal(v.job.stops, 1)
    until_(v, function() return not v.job end)
    check.equal(v.closed, true)
  end)
end)

test("what is wrong is told before anything is asked", function()
  with_view(1, "ok=wrong", function(v)
    v:pass(nil, false)
    local box = ask(v, { with = "gemini", spend = "much" })
    check.contains(box.trouble, "spend")
    check.equal(box.lines, nil)
    key(v, "escape")
    check.equal(v.dialog, nil)
    check.equal(v.job, nil)
  end)
end)
