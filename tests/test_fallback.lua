-- Several providers in the list of one :caption: who is asked when, what is kept, what a run says. The whole program against the server of
-- tests/fake; what that cannot do at will is a conversation that a function answers.
local conversation = dofile "tests/conversation.lua"
local fake = dofile "tests/fake.lua"
local fs = require "native.fs"
local hash = require "native.hash"
local json = require "native.json"
local recipes = dofile "tests/recipes.lua"
local store = require "native.store"

local server = fake.start()
local serial = 0
local RECIPE = [[images "photos":caption { with = %s }:export { as = "sidecars", to = "out" }]]

-- A folder with pictures, a recipe, and a .env; scenarios get counts of their own.
local function place_with(count, with, scenarios, env)
  serial = serial + 1
  local place = fake.place(tmp "fallback", count)
  place.gemini, place.openai = ("%s=fb%dg"):format(scenarios.gemini or "ok", serial), ("%s=fb%do"):format(scenarios.openai or "ok", serial)
  function place.env(lines)
    place.write(".env", ("GEMINI_BASE_URL=%s\nOPENAI_BASE_URL=%s\n%s"):format(server:url(place.gemini), server:url(place.openai), lines or "GEMINI_API_KEY=" .. fake.KEY))
  end
  local run = place.run
  function place.run(words) return run(words or "run recipe.lua") end
  -- how many pictures each service was asked about
  function place.asked()
    local gemini, openai = 0, 0
    for _, r in ipairs(server:requests(place.gemini)) do gemini = gemini + (r.method == "POST" and 1 or 0) end
    for _, r in ipairs(server:requests(place.openai)) do openai = openai + (r.method == "POST" and 1 or 0) end
    return { gemini, openai }
  end
  function place.rows()
    local s, list = assert(store.open(place.folder .. "/store")), {}
    for _, sha in ipairs(place.order) do
      for _, row in ipairs(s:captions(sha)) do
        row.detail = json.decode(row.detail)
        list[#list + 1] = row
      end
    end
    s:close()
    return list
  end
  place.env(env)
  place.write("recipe.lua", RECIPE:format(with))
  return place
end

local function all_written(place, how)
  for name, caption in pairs(place.captions) do
    local text = fs.read(("%s/out/%s.txt"):format(place.folder, name))
    check.equal(text and text:gsub("%s+$", ""), how and how(name) or caption, name)
  end
end

local BOTH = "{ gemini { in_flight = 1 }, openai { free = true } }"

-- --- Going on to the next ----------------------------------------------------------------------------------------------------

for scenario, why in pairs { ["400key"] = "does not accept the key", ["429day"] = "no model of gemini is left to ask", ["404"] = "no model of gemini is left to ask" } do
  test(("what gemini cannot answer is asked of openai, and each caption says so (%s)"):format(scenario), function()
    local place = place_with(4, BOTH, { gemini = scenario })
    local code, text = place.run()
    check.equal(code, 0, text)
    all_written(place)
    check.contains(text, why)
    check.contains(text, "; openai is asked for 4 pictures")
    local rows = place.rows()
    check.equal(#rows, 4)
    for _, row in ipairs(rows) do
      check.equal({ row.provider, row.model, #row.detail.fallback, row.detail.finish }, { "openai", "fake-vlm", 1, "stop" })
    end
    check.contains(rows[4].detail.fallback[1], why)
    local _, log = place.run "captions log photos/p0004.png"
    check.contains(log:gsub("%s+", " "), "after ")
    check.contains(log:gsub("%s+", " "), why)
  end)
end

test("who has answered is not asked again, nor is anybody else, though the first is back", function()
  local place = place_with(3, BOTH, { gemini = "429day" })
  check.equal(place.run(), 0)
  local before = place.asked()
  place.gemini = place.gemini:gsub("^429day", "ok")
  place.env()
  local code, text = place.run()
  check.equal(code, 0, text)
  check.contains(text, "3 known")
  check.equal(place.asked(), { 0, before[2] })
  place.write("recipe.lua", RECIPE:format "gemini { in_flight = 1 }") -- alone it is another question
  code, text = place.run()
  check.equal(code, 0, text)
  check.equal(place.asked(), { 3, before[2] })
end)

test("without a key, and without anybody, a template has the last word", function()
  local place = place_with(2, [[{ gemini {}, openai {}, template { text = "a picture, {stem}" } }]], { openai = "401" }, "X=1")
  place.write(".env", ("OPENAI_BASE_URL=%s\n"):format(server:url(place.openai)))
  local code, text = place.run()
  check.equal(code, 0, text)
  all_written(place, function(name) return "a picture, " .. name end)
  check.contains(text, "gemini needs a key, and GOOGLE_API_KEY or GEMINI_API_KEY is not set; openai is asked for 2 pictures")
  check.contains(text, "template is asked for 2 pictures")
  local rows = place.rows()
  check.equal({ #rows, rows[1].provider, #rows[1].detail.fallback, rows[1].detail.provider }, { 2, "template", 2, "template" })
  check.contains(rows[1].detail.fallback[1], "gemini needs a key")
  code, text = place.run()
  check.equal(code, 0, text)
  check.contains(text, "2 known")
  check.equal(text:find("is asked for", 1, true), nil)
end)

test("auto {} that stands for nobody is passed over", function()
  local place = place_with(2, [[{ auto {}, template { text = "a thing" } }]], {}, "X=1")
  place.write(".env", "USE_GEMINI=0\n")
  local code, text = place.run "check recipe.lua"
  check.equal(code, 0, text)
  check.contains(text, "auto {} found no caption model")
  check.contains(text, "template {} is asked instead")
  code, text = place.run()
  check.equal(code, 0, text)
  all_written(place, function() return "a thing" end)
end)

test("when nobody answers, each says why, and the last decides how the run ends", function()
  local place = place_with(3, BOTH, { gemini = "429day", openai = "401" }, ("GEMINI_API_KEY=%s\nOPENAI_API_KEY=%s"):format(fake.KEY, fake.KEY))
  local code, text = place.run()
  check.equal(code, 1, text)
  check.contains(text, "openai is asked for 3 pictures")
  check.contains(text, "did not say which models it has")
  check.contains(text, "3 still without")
  check.equal(#place.rows(), 0)
end)

-- --- What never goes on ------------------------------------------------------------------------------------------------------

test("blocked pictures go to nobody else, in the next run neither, whether the first can be asked or not", function()
  local place = place_with(8, BOTH, { gemini = "blocked-some" })
  place.write("recipe.lua", ([[images "photos":caption { with = %s }:sheet { to = "out/sheet.png" }]]):format(BOTH))
  local blocked = 0
  for _, sha in ipairs(place.order) do if sha:sub(1, 1) <= "7" then blocked = blocked + 1 end end
  check.ok(blocked > 0 and blocked < 8)
  local code, text = place.run()
  check.equal(code, 0, text)
  check.contains(text, ("gemini blocked %d picture"):format(blocked))
  check.equal(place.asked(), { 8, 0 })
  place.env "X=1"
  code, text = place.run()
  check.equal(code, 0, text)
  check.equal(place.asked(), { 8, 0 })
  check.equal(#place.rows(), 8 - blocked)
end)

test("a ceiling stops; it sends no picture to another", function()
  local place = place_with(12, "{ gemini { spend = usd(0.02) }, openai { free = true } }", {})
  local code, text = place.run()
  check.equal(code, 1, text)
  check.contains(text, "would cross the ceiling")
  local asked = place.asked()
  check.ok(asked[1] > 0 and asked[1] < 12)
  check.equal(asked[2], 0)
end)

test("Ctrl-C while the first is asked asks nobody else", function()
  local place = place_with(60, "{ gemini { in_flight = 4 }, openai { free = true } }", { gemini = "ok@200" })
  os.execute(([[(%s) >%s/said 2>&1 & p=$!; %s; kill -INT $p; wait $p; echo $? >%s/code]]):format(place.command "run recipe.lua", place.folder,
    server:until_requests(place.gemini, 10), place.folder))
  check.equal(fs.read(place.folder .. "/code"), "130\n", fs.read(place.folder .. "/said"))
  check.equal(place.asked()[2], 0)
  local counts = server:counts(place.gemini)
  check.equal({ counts.delivered, #place.rows() }, { counts.produced, counts.produced })
end)

test("Ctrl-C while the second is asked keeps what came, and the next run asks it for the rest alone", function()
  local place = place_with(60, "{ gemini { in_flight = 1 }, openai { in_flight = 4, free = true } }", { gemini = "400key", openai = "ok@200" })
  os.execute(([[(%s) >%s/said 2>&1 & p=$!; %s; kill -INT $p; wait $p; echo $? >%s/code]]):format(place.command "run recipe.lua", place.folder,
    server:until_requests(place.openai, 10), place.folder))
  check.equal(fs.read(place.folder .. "/code"), "130\n", fs.read(place.folder .. "/said"))
  local first = server:counts(place.openai)
  check.ok(first.requests > 0 and first.requests < 60, first.requests)
  local code, text = place.run()
  check.equal(code, 0, text)
  check.equal(server:counts(place.openai).produced, 60)
  all_written(place)
end)

-- --- In a conversation -------------------------------------------------------------------------------------------------------

local TALK = [[%s images "@/photos":caption { with = %s }:sheet { to = "@/out/sheet.png" }]]

local function talk_about(count, with, answer, more)
  local place = recipes.new(tmp "talk")
  for i = 1, count do place.photo(("p%02d.png"):format(i), { seed = i, width = 64, height = 48 }) end
  local spec = { keys = { "GEMINI_API_KEY" }, env = { OPENAI_BASE_URL = "http://127.0.0.1:8080", OPENAI_MODEL_NAME = "own" }, answer = answer }
  for key, value in pairs(more or {}) do spec[key] = value end
  local service <const> = conversation.new(spec)
  local done = place.run(TALK:format(spec.header or "", with))
  service.close()
  local s = assert(store.open(place.path "store"))
  local by = {}
  for i = 1, count do
    for _, row in ipairs(s:captions(hash.sha256(place.read(("photos/p%02d.png"):format(i))))) do by[i] = row.provider end
  end
  s:close()
  return done, service, by
end

test("what the first has answered stays its own; only the rest goes on", function()
  local done, service, by = talk_about(5, [[{ gemini { in_flight = 1, model = "gemini-3.8-flash" }, openai { free = true } }]], function(q, n)
    if q.model ~= "own" and n > 2 then return { verdict = "other_model", why = "quota of the day", status = 429 } end
  end)
  check.equal(done.exit, 0, done.text)
  check.equal(by, { "gemini", "gemini", "openai", "openai", "openai" })
  check.equal(#service.questions, 6)
end)

test("single pictures that all attempts failed for go on alone", function()
  local done, _, by = talk_about(3, [[{ gemini { in_flight = 1 }, openai { free = true } }]], function(q, n)
    if q.model ~= "own" and n == 2 then return { verdict = "failed", status = 0, kind = "cut", why = "the connection was cut" } end
  end)
  check.equal(done.exit, 0, done.text)
  check.equal(by, { "gemini", "openai", "gemini" })
end)

test("questions that are refused, words of no use, and what is not on a tape go to nobody else", function()
  for _, reply in ipairs { { verdict = "refused", status = 400, why = "no pictures" }, { text = "{}" },
    { verdict = "failed", kind = "tape", status = 0, why = "it is not on the tape" } } do
    local done, service, by = talk_about(4, [[{ gemini { in_flight = 1 }, openai { free = true } }]], function()
      local copy = {}
      for key, value in pairs(reply) do copy[key] = value end
      return copy
    end)
    check.equal(by, {}, done.text)
    for _, q in ipairs(service.questions) do check.ok(q.model ~= "own", reply.why) end
  end
end)

test("a model that is left because of a ceiling hands nothing on", function()
  local done, service = talk_about(3, [[{ gemini { in_flight = 1, model = "gemini-3.8-flash", spend = usd(1) }, openai { free = true } }]], function()
    return { model = "gemini-of-tomorrow" }
  end)
  check.equal(done.exit, 75, done.text)
  check.contains(done.text, "there is a ceiling")
  check.equal(#service.questions, 1)
end)

test("while a batch may still answer, nobody else is asked for its pictures", function()
  local place = recipes.new(tmp "batch")
  place.photo("p01.png", { seed = 1, width = 64, height = 48 })
  local settings = require "caption.settings"
  local key, real = nil, settings.question_key
  function settings.question_key(...)
    key = real(...)
    return key
  end
  local WITH = TALK:format("", [[{ gemini { batch = true }, template { text = "a thing" } }]])
  local service <const> = conversation.new { keys = {} }
  check.equal(place.plan(WITH).exit, 0)
  settings.question_key = real
  local s = assert(store.open(place.path "store"))
  s:put("batches", "gemini", json.encode(json.array { { name = "calotype-1", id = "batches/1", model = "gemini-3.8-flash", question = key,
    shas = json.array { hash.sha256(place.read "photos/p01.png") }, made = "2026-11-21" } }))
  s:close()
  local done = place.run(WITH)
  service.close()
  check.equal(done.exit, 2, done.text)
  check.contains(done.text, "gemini needs a key")
end)

-- --- Before anything is asked ------------------------------------------------------------------------------------------------

test("check says what no list can be", function()
  local place = recipes.new(tmp "lists")
  place.photo("p01.png", { seed = 1, width = 64, height = 48 })
  local service <const> = conversation.new { keys = { "GEMINI_API_KEY" }, env = { OPENAI_BASE_URL = "http://127.0.0.1:8080", OPENAI_MODEL_NAME = "own" } }
  for with, complaint in pairs {
    ['{ template { text = "a" }, gemini {} }'] = "option 'with' of :caption has template {} before gemini {}, which would never be asked",
    ["{ gemini {}, ensemble { gemini {}, openai {} } }"] = "has ensemble {} in its list",
    ["{ gemini {}, sidecar {} }"] = "has sidecar {} in its list",
    ["{ gemini {}, gemini {} }"] = "has gemini {} twice in its list",
    ['{ gemini { style = "tags" }, openai {} }'] = "has gemini {}, which writes tags, and openai {}, which writes sentences",
    ["{ gemini {}, 5 }"] = "option 'with' of :caption [2] takes a provider such as template {}, not 5",
    ["{}"] = "option 'with' of :caption takes a provider such as template {}, or a list of providers, not a table",
    ['{ gemini {}, template { text = "[trigger]" } }'] = "template has [trigger], but no trigger is declared",
  } do
    local checked = place.check(TALK:format("", with))
    check.equal(checked.exit, 2, with)
    check.contains(checked.text, complaint)
  end
  local HEADER = 'recipe "x" { allow = { net = { "gemini" }, read = { "@/photos" }, write = { "@/out" }, spend = { gemini = usd(1) } } }'
  check.contains(place.check(TALK:format(HEADER, "{ gemini {}, openai {} }")).text, "openai")
  check.equal(place.check(TALK:format("", '{ gemini { style = "tags" }, template { text = "a" } }')).exit, 0)
  check.equal(place.check(TALK:format("", "{ gemini {} }")).exit, 0)
  service.close()
end)

test("a model on this machine is never down: in a list it stands last, and is told with its name where it does not", function()
  local place = recipes.new(tmp "local")
  place.photo("p01.png", { seed = 1, width = 64, height = 48 })
  local service <const> = conversation.new { keys = { "GEMINI_API_KEY" } }
  local words = { "[PAD]" }
  for i = 1, 88 do words[#words + 1] = "word" .. i end
  for _, word in ipairs { "[UNK]", "[CLS]", "[MASK]", "[SEP]", "." } do words[#words + 1] = word end
  for from, to in pairs { ["blip/captioner"] = "blip", wd14 = "wd14" } do
    for _, name in ipairs { "config.json", "model.safetensors" } do
      place.write(to .. "/" .. name, assert(fs.read(("tests/golden/%s/%s"):format(from, name))))
    end
  end
  place.write("blip/vocab.txt", table.concat(words, "\n"))
  place.write("wd14/selected_tags.csv", assert(fs.read "tests/golden/wd14/selected_tags.csv"))
  local blip, wd14 = 'blip { model = "@/blip", longest = 8 }', 'wd14 { model = "@/wd14" }'
  local done = place.check(TALK:format("", ("{ %s, gemini {} }"):format(blip)))
  check.equal(done.exit, 2)
  check.contains(done.text, "option 'with' of :caption has blip {} before gemini {}, which would never be asked")
  check.contains(done.text, "blip {} asks no service that could be down or out of quota: put it last")
  done = place.check(TALK:format("", ('{ gemini { style = "tags" }, %s, template { text = "a" } }'):format(wd14)))
  check.contains(done.text, "has wd14 {} before template {}, which would never be asked")
  check.contains(place.check(TALK:format("", ("{ gemini {}, %s }"):format(wd14))).text,
    "has wd14 {}, which writes tags, and gemini {}, which writes sentences")
  done = place.check(TALK:format("", ("{ gemini {}, %s }"):format(blip)))
  check.equal(done.exit, 0, done.text)
  service.close()
end)

test("a plan has the first alone, and what it would be if all fell to another", function()
  local place = recipes.new(tmp "plan")
  for i = 1, 3 do place.photo(("p%02d.png"):format(i), { seed = i, width = 64, height = 48 }) end
  local service <const> = conversation.new { keys = { "GEMINI_API_KEY" }, env = { OPENAI_BASE_URL = "http://127.0.0.1:8080", OPENAI_MODEL_NAME = "own" } }
  local done = place.plan(TALK:format("", [[{ gemini {}, openai {}, template { text = "a" } }]]))
  service.close()
  check.equal(done.exit, 0, done.text)
  check.contains(done.out, "caption gemini, openai, template")
  check.contains(done.out, "asks gemini at generativelanguage.googleapis.com with GEMINI_API_KEY: 3 pictures, about $0.0")
  check.contains(done.out, "  if all falls to openai at 127.0.0.1: 3 pictures, price unknown; no ceiling")
  check.contains(done.out, "  if all falls to template: nothing is paid")
  check.contains(done.out, "in all: about $0.0")
  check.equal(#service.options, 0)
end)

server:stop()
