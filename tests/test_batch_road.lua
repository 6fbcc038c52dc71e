-- Captions in Gemini's batches, from a recipe to the server's own counts: half the price, and never made twice.
local fake = dofile "tests/fake.lua"
local fs = require "native.fs"
local json = require "native.json"
local store = require "native.store"
local server = fake.start()

local RECIPE = [[images "photos":caption { with = gemini { batch = true%s } }:export { as = "sidecars", to = "out/set" }]]

local function place_with(count, scenario, options)
  local place = fake.place(tmp "batch", count, 200)
  function place.command(words, looks) return fake.command(place.folder, words, { CALOTYPE_STDLIB = fake.looks(looks or fake.SOON) }) end
  function place.env(to) place.write(".env", ("GEMINI_BASE_URL=%s\nGEMINI_API_KEY=%s\n"):format(server:url(to), fake.KEY)) end
  -- Starts it and kills it (with that signal) when the service has made the batch (`told`: and its store knows that); it does not look again
  -- by itself.
  function place.killed(told, signal)
    fake.ended(place.command("a.lua", fake.NEVER), place.folder .. "/log", function()
      if not told then return os.execute(server:until_requests(scenario, 1)) end
      local row = place.batches()[1]
      return row and row.id
    end, signal)
  end
  place.env(scenario)
  place.write("a.lua", RECIPE:format(options or ""))
  return place
end

local function all_right(place, scenario)
  place.all_right(server:counts(scenario))
  check.equal(#place.batches(), 0)
end

test("a batch is made, waited for and taken, at half the price", function()
  local place = place_with(5, "ok=batch")
  local code, text = place.run "a.lua"
  check.equal(code, 0, text)
  all_right(place, "ok=batch")
  local plain = place_with(5, "ok=single")
  plain.write("a.lua", (RECIPE:format "":gsub("batch = true", "")))
  check.equal(plain.run "a.lua", 0)
  check.near(place.spent().cost, plain.spent().cost / 2, 1e-9)
  code, text = place.run "a.lua"
  check.equal(code, 0, text)
  check.contains(text, "5 known")
end)

test("states by their other names, and answers that take three looks", function()
  local place = place_with(3, "batchjob,batchslow=both")
  local code, text = place.run "a.lua"
  check.equal(code, 0, text)
  all_right(place, "batchjob,batchslow=both")
end)

test("a killed run finds its batch again: nothing is made twice", function()
  local place = place_with(4, "batchslow=kill")
  place.killed(true)
  check.equal(#place.batches(), 1)
  local code, text = place.run "plan a.lua"
  check.equal(code, 0, text)
  check.contains(text, "4 are in a batch already")
  code, text = place.run "a.lua"
  check.equal(code, 0, text)
  check.contains(text, "a batch of an earlier run is found again")
  all_right(place, "batchslow=kill")
end)

test("answers about pictures that are not asked for any more are kept for the run that asks for them", function()
  local place = place_with(4, "batchslow=aside")
  place.killed(true)
  local bytes = fs.read(place.folder .. "/photos/p0001.png")
  os.remove(place.folder .. "/photos/p0001.png")
  check.equal(place.run "a.lua", 0)
  assert(fs.write(place.folder .. "/photos/p0001.png", bytes))
  local code, text = place.run "a.lua"
  check.equal(code, 0, text)
  check.contains(text, "4 known")
  all_right(place, "batchslow=aside")
  check.equal(place.spent().requests, 4)
end)

test("Ctrl-C leaves the batch to the service, and the same command takes its answers", function()
  local place = place_with(4, "batchslow=leave")
  place.killed(true, "TERM")
  check.contains(fs.read(place.folder .. "/log"), "the batch goes on at the service")
  check.equal(#place.batches(), 1)
  local code, text = place.run "a.lua"
  check.equal(code, 0, text)
  all_right(place, "batchslow=leave")
end)

test("a run that is killed while its batch is being made finds out whether it was", function()
  local place = place_with(4, "ok@5000=making")
  place.killed(false)
  check.equal(#place.batches(), 1)
  check.equal(place.batches()[1].id, nil)
  place.env "ok=making"
  local code, text = place.run "a.lua"
  check.equal(code, 0, text)
  all_right(place, "ok@5000=making")
end)

test("a batch whose making was never answered is looked for by its name", function()
  local place = place_with(4, "cuthead-once=lost")
  local code, text = place.run "a.lua"
  if code == 75 then code, text = place.run "a.lua" end -- the look itself met the fault
  check.equal(code, 0, text)
  all_right(place, "cuthead-once=lost")
end)

test("a batch that was only intended is forgotten", function()
  local place = place_with(2, "ok=meant")
  check.equal(place.run "a.lua", 0)
  local s = assert(store.open(place.folder .. "/store"))
  fake.pictures(place.folder .. "/photos", 3, 200)
  local row = { name = "calotype-never", model = "gemini-3.8-flash", question = "?", shas = {}, made = "2026-11-21" }
  s:put("batches", "gemini", json.encode { row })
  s:close()
  check.equal(place.run "a.lua", 0)
  check.equal(#place.batches(), 1) -- of another question: not ours to forget
end)

test("one question of a batch may fail alone: 75, and the next run asks for it alone", function()
  local place = place_with(3, "batchitem=one")
  local code, text = place.run "a.lua"
  check.equal(code, 75, text)
  check.contains(text, "2 captions written")
  place.env "ok=one"
  code, text = place.run "a.lua"
  check.equal(code, 0, text)
  check.contains(text, "2 known")
end)

test("a batch that failed or expired is told, and asked for again by the next run", function()
  for _, scenario in ipairs { "batchfailed", "batchexpired" } do
    local place = place_with(2, scenario)
    local code, text = place.run "a.lua"
    check.equal(code, 75, text)
    check.contains(text, "its batch")
    check.equal(#place.batches(), 0)
    place.env("ok=" .. scenario)
    code, text = place.run "a.lua"
    check.equal(code, 0, text)
  end
end)

test("a ceiling holds half the price for each question of a batch", function()
  local place = place_with(8, "ok=ceiling", ", spend = usd(0.02)")
  local code, text = place.run "a.lua"
  check.equal(code, 1, text)
  check.contains(text, "ceiling of usd(0.02)")
  check.ok(place.spent().cost <= 0.02)
  check.ok(place.spent().requests >= 1)
end)

test("batches are not recorded", function()
  local place = place_with(1, "ok", ', record = "x.rec"')
  local code, text = place.run "check a.lua"
  check.equal(code, 2)
  check.contains(text, "record without batch")
end)

server:stop()
