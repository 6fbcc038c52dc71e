-- calotype plan: what a run would do, said without doing it.
local conversation = dofile "tests/conversation.lua"
local fs = require "native.fs"
local recipes = dofile "tests/recipes.lua"


local function place_with(count)
  local place = recipes.new(tmp "place")
  for i = 1, count do place.photo(("p%02d.png"):format(i), { seed = i, width = 64 + i, height = 80 }) end
  return place
end

local function plan(place, text, spec)
  spec = spec or {}
  spec.keys = spec.keys or { "GEMINI_API_KEY" }
  local service = conversation.new(spec)
  local done = place.plan(text)
  service.close()
  check.equal(#service.options, 0, "somebody was asked")
  return done
end

local TALK = [[images "@/photos":reject { side_below = 65 }:caption { with = %s, trigger = "zkr" }:export { as = "kohya", to = "@/out/set" }]]

test("a plan counts pictures and captions, tells the price with its date, and makes nothing", function()
  local place = place_with(5)
  place.write("photos/p02.txt", "a red door")
  local done = plan(place, TALK:format "gemini { spend = usd(1) }")
  check.equal(done.exit, 0, done.text)
  check.contains(done.out, "5 pictures, all new")
  check.contains(done.out, "4 to ask for, 1 by people; about $0.0")
  check.contains(done.out, "\n  gemini-3.8-flash, prices of 2026-11-20")
  check.equal(select(2, done.out:gsub("prices of", "")), 1)
  check.contains(done.out, "would write @/out/set")
  check.contains(done.out, "asks gemini at generativelanguage.googleapis.com with GEMINI_API_KEY: 4 pictures, about $0.0")
  check.contains(done.out, "spend is usd(1)")
  check.equal(fs.stat(place.path "out"), nil)
end)

test("after the run nobody would be asked", function()
  local place = place_with(3)
  local service = conversation.new { keys = { "GEMINI_API_KEY" } }
  check.equal(place.run(TALK:format "gemini {}").exit, 0)
  service.close()
  local done = plan(place, TALK:format "gemini {}")
  check.contains(done.out, "3 known")
  check.contains(done.out, "asks nobody, costs nothing")
end)

test("a ceiling that is too low says how far it reaches", function()
  local done = plan(place_with(20), TALK:format "gemini { spend = usd(0.02) }")
  check.contains(done.out, "that is enough for about")
end)

test("an unknown price is said to be unknown, a server of one's own free when it is said to be", function()
  local done = plan(place_with(3), TALK:format "gemini { model = 'gemini-9-flash' }")
  check.contains(done.out, "price unknown; no ceiling\n  gemini-9-flash is in no table of prices\nin all: a price that nobody here knows")
  local env = { OPENAI_BASE_URL = "http://127.0.0.1:9" }
  done = plan(place_with(3), TALK:format "openai { model = 'llava', free = true }", { env = env, keys = {} })
  check.contains(done.out, "asks openai at 127.0.0.1 without a key: 3 pictures, free; no ceiling")
  done = plan(place_with(3), TALK:format "openai { model = 'llava' }", { env = env, keys = {} })
  check.contains(done.out, "llava is in no table of prices; a server of your own that costs nothing: free = true")
end)

test("a model that nobody named is a warning of the plan", function()
  local done = plan(place_with(1), TALK:format "huggingface {}", { keys = { "HF_TOKEN" } })
  check.contains(done.out, [[huggingface does not know which model to ask; name one: model = "...", or HF_MODEL_NAME in .env]])
end)

test("a replay asks nobody, and the plan says where the answers come from", function()
  local done = plan(place_with(3), TALK:format 'gemini { replay = "@/class.rec" }', { keys = {} })
  check.contains(done.out, "3 to ask for; replayed\n")
  check.contains(done.out, "answers for 3 pictures come from @/class.rec: nothing is sent, nothing is paid")
  check.ok(not done.out:find("asks gemini", 1, true))
end)

test("an address that is none is told before anybody is asked, and not shown: it may be a key", function()
  for _, base in ipairs { "127.0.0.1:8080", "htp://127.0.0.1", "AIzaSyKEY", "http://" } do
    local done = plan(place_with(3), TALK:format "openai { model = 'llava', free = true }", { env = { OPENAI_BASE_URL = base }, keys = {} })
    check.contains(done.text .. done.out, "OPENAI_BASE_URL (.env) is no address of a server; OPENAI_BASE_URL=http://127.0.0.1:8080 is one")
    check.ok(not (done.text .. done.out):find("SyKEY", 1, true))
  end
end)

test("an ensemble's members are asked each", function()
  local done = plan(place_with(3), TALK:format 'ensemble { gemini { style = "concise" }, gemini { model = "gemini-3.6-flash" } }')
  check.equal(done.exit, 0, done.text)
  check.contains(done.out, "gemini-3.8-flash")
  check.contains(done.out, "gemini-3.6-flash")
  check.contains(done.out, "in all: about $0.0")
end)

test("what a plan warns of is what check warns of", function()
  local done = plan(place_with(3), TALK:format "gemini {}", { keys = {} })
  check.contains(done.out, "GEMINI_API_KEY=...")
  done = plan(place_with(1), [[images "@/photos":caption {}:sheet { to = "@/out/s.png" }]], { env = { USE_GEMINI = "1" } })
  check.contains(done.out, "note: auto {} is gemini {} here: USE_GEMINI says so")
end)

test("a recipe without providers asks nobody; one that makes nothing is a mistake", function()
  local done = plan(place_with(2), [[images "@/photos":take(1):sheet { to = "@/out/s.png" }]])
  check.contains(done.out, "asks nobody, costs nothing")
  check.contains(done.out, "would write @/out/s.png")
  check.equal(plan(place_with(2), [[images "@/photos":take(1)]]).exit, 2)
end)

test("what stands behind a training is known when it runs", function()
  local place = place_with(2)
  local done = plan(place, [[images "@/photos":caption { with = fake {} }:train_lora { base = "examples/models/tiny", resolution = 64, steps = 5,
    checkpoint = { to = "@/out/c" } }:export { to = "@/out/x.safetensors" }]])
  check.equal(done.exit, 0, done.text)
  check.contains(done.out, "2 to ask for")
  check.contains(done.out, "train_lora")
  check.contains(done.out, "would write @/out/x.safetensors")
end)

test("both halves of a split go on, its line stands once", function()
  local done = plan(place_with(4), [[local a, b = images "@/photos":split { held_out = 1 } a:sheet { to = "@/out/a.png" } b:sheet { to = "@/out/b.png" }]])
  check.equal(done.exit, 0, done.text)
  local _, times = done.out:gsub("\n  split ", "")
  check.equal(times, 1)
end)
