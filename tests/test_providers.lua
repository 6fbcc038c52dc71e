-- The providers that ask services, in a conversation that a function answers; test_remote has the real road.
local conversation = dofile "tests/conversation.lua"
local json = require "native.json"
local models = require "caption.models"
local money = require "caption.money"
local prompts = require "caption.prompts"
local recipes = dofile "tests/recipes.lua"
local store = require "native.store"

local TALK = [[images "@/photos":caption { with = %s }:sheet { to = "@/out/sheet.png" }]]

local function place_with(count)
  local place = recipes.new(tmp "place")
  for i = 1, count do place.photo(("p%02d.png"):format(i), { seed = i, width = 64, height = 48 }) end
  return place
end

-- One recipe in a conversation; gives the run, the conversation and the captions by picture.
local function run(place, provider, spec, header)
  spec.keys = spec.keys or { "GEMINI_API_KEY" }
  local service <const> = conversation.new(spec)
  local done = place.run((header or "") .. TALK:format(provider))
  service.close()
  return done, service
end

local function rows(place)
  local s, list = assert(store.open(place.path "store")), {}
  local scanned = require("native.dataset").scan and require "native.hash"
  for i = 1, 40 do
    local bytes = place.read(("photos/p%02d.png"):format(i))
    if not bytes then break end
    for _, row in ipairs(s:captions(scanned.sha256(bytes))) do
      row.detail = json.decode(row.detail)
      list[#list + 1] = row
    end
  end
  s:close()
  return list
end

-- --- The table of models --------------------------------------------------------------------------------------------

test("a price is that of the day", function()
  local row = models.find("gemini", "gemini-3.8-flash")
  check.equal(models.price(row, "2026-12-31").output, 3.75)
  check.equal(models.price(row, "2026-12-31T23:59:59Z").output, 3.75)
  check.equal(models.price(row, "2027-01-01").output, 7.50)
  check.near(models.cost(row, { input = 1000000, output = 100000, thought = 100000 }, "2026-11-21"), 0.75 + 0.75, 1e-9)
end)

test("an unknown model has no price, which is not 0", function()
  check.equal(models.cost(models.find("gemini", "gemini-9-flash"), { input = 5, output = 5 }), nil)
  check.equal(models.cost(models.find("gemini", "gemini-flash-latest"), { input = 5, output = 5 }), nil)
  check.equal(models.cost(models.find("gemini", "gemini-3.8-flash"), { input = 5 }), nil)
  check.equal(models.cost(models.find("gemini", "gemini-3.8-flash"), nil), nil)
end)

test("a model is found under the version that a server gives it", function()
  check.equal(models.find("gemini", "gemini-3.8-flash-002").id, "gemini-3.8-flash")
  check.equal(models.find("gemini", "gemini-3.8-flash-lite-x"), nil)
  check.equal(models.find("openai", "gemini-3.8-flash"), nil)
end)

test("every model of a chain is known, with a price and its least of thinking", function()
  for service, chain in pairs(models.all().chains) do
    for _, id in ipairs(chain) do
      local row = check.ok(models.find(service, id), id)
      check.ok(models.price(row), id)
      check.ok(row.thinking.least, id)
      check.ok(models.picture_tokens(row, "high", 1024, 1024) > 0)
    end
  end
end)

test("a picture of tiles has as many tokens as tiles", function()
  local row = models.find("gemini", "gemini-2.5-flash")
  check.equal(models.picture_tokens(row, "high", 768, 769), 2 * 258)
  check.equal(models.picture_tokens(row, "low", 4000, 4000), 64)
  check.equal(models.picture_tokens(nil, "high", 100, 100), 2800)
end)

local function with_env(name, value, fn)
  local script = require "native.script"
  local env = script.env
  script.env = function(asked) if asked == name then return value end return env(asked) end
  local ok, problem = script.call(fn)
  script.env = env
  if not ok then error(type(problem) == "table" and script.render(problem) or problem, 0) end
end

test("CALOTYPE_MODELS lays a file over the table: prices, chains, names that are back", function()
  local place = recipes.new(tmp "place")
  place.write("models.lua", [[return { as_of = "2027-02-01", chains = { openai = { "local-vl" } },
    models = { { service = "openai", id = "local-vl", prices = { { input = 1, output = 2 } } },
               { service = "gemini", id = "gemini-3.8-flash", prices = { { input = 9, output = 9 } } },
               { service = "gemini", id = "gemini-2.0-flash", prices = { { input = 1, output = 1 } } } } }]])
  with_env("CALOTYPE_MODELS", place.path "models.lua", function()
    check.equal(models.chain "openai", { "local-vl" })
    check.equal(models.find("gemini", "gemini-3.8-flash").as_of, "2027-02-01")
    check.equal(models.price(models.find("gemini", "gemini-3.8-flash")).input, 9)
    check.equal(models.find("gemini", "gemini-3.6-flash").as_of, "2026-11-20")
    check.equal(models.retired("gemini", "gemini-2.0-flash"), nil)
  end)
  check.ok(models.retired("gemini", "gemini-2.0-flash"))
end)

test("a file of models that is none is told with its name", function()
  local place = recipes.new(tmp "place")
  local function says(text, part)
    place.write("models.lua", text)
    models.all()
    with_env("CALOTYPE_MODELS", place.path "models.lua", function() check.fails("", models.all) end)
    local script, shown = require "native.script", nil
    with_env("CALOTYPE_MODELS", place.path "models.lua", function() shown = script.render(select(2, script.call(models.all))) end)
    check.contains(shown, part)
  end
  says("return 5", "gives no table")
  says("return {", "line 1")
  says("return {}", "as_of")
  says("return { as_of = '2027-01-01', models = { { id = 'x' } } }", "models[1] has no service and id")
  says("return { as_of = '2027-01-01', models = { { service = 'openai', id = 'x', prices = { { input = -1, output = 2 } } } } }", "a price needs input and output")
  says("return os.execute 'true'", "gives no table")
  with_env("CALOTYPE_MODELS", place.path "nowhere.lua", function() check.fails("", models.all) end)
end)

-- --- The words ------------------------------------------------------------------------------------------------------

test("every language has every part, and says what style and focus ask for", function()
  for _, language in ipairs { "en", "de", "fr", "es", "zh", "ja" } do
    local seen = {}
    for _, style in ipairs(prompts.styles) do
      for _, focus in ipairs(prompts.focuses) do
        local asked = prompts.build { style = style, focus = focus, language = language }
        check.ok(not seen[asked.id], language .. style .. focus)
        seen[asked.id] = true
        check.ok(utf8.len(asked.system) > 150 and #asked.system < 4000, language)
        check.equal(json.decode(asked.schema).required[1], style == "tags" and "tags" or "caption")
      end
    end
  end
end)

test("tags are English in every language, unless the language's own are asked for", function()
  check.contains(prompts.build { style = "tags", language = "de" }.system, "auf Englisch")
  check.contains(prompts.build { style = "tags", language = "de", tag_language = "de" }.system, "auf Deutsch")
  check.contains(prompts.build { style = "concise", language = "de" }.system, "Schreibe auf Deutsch")
end)

test("instructions are another question", function()
  local plain, more = prompts.build {}, prompts.build { instructions = "Name the breed." }
  check.contains(more.system, "Name the breed.")
  check.ok(plain.id ~= more.id)
end)

test("a folder of one's own has other words and other languages", function()
  local place = recipes.new(tmp "place")
  local source = assert(io.open "stdlib/data/prompts/en.lua")
  local text = source:read "a"
  source:close()
  place.write("it.lua", (text:gsub("Write in English%.", "Scrivi in italiano.")))
  place.write("de.lua", "return { role = 'x' }")
  check.refused("there are no prompts in \"it\"", prompts.words "it")
  with_env("CALOTYPE_PROMPTS", place.folder, function()
    check.contains(prompts.build { language = "it" }.system, "Scrivi in italiano.")
    check.ok(not prompts.words "de")
    check.contains(select(2, prompts.words "de"), "has no '")
    check.contains(prompts.build { language = "fr" }.system, "en français")
  end)
end)

test("an answer is read from JSON, from plain text, and is nothing when it is broken", function()
  local one, tags = prompts.build {}, prompts.build { style = "tags" }
  check.equal(prompts.read(one, '{"caption": "  a\\n red  door "}'), "a red door")
  check.equal(prompts.read(one, "a red door\n"), "a red door")
  check.equal(prompts.read(one, '"a red door"'), "a red door")
  check.ok(not prompts.read(one, '{"caption": ""}'))
  check.ok(not prompts.read(one, '{"caption": 5}'))
  check.ok(not prompts.read(one, '{"caption": "a red'))
  check.ok(not prompts.read(one, "   "))
  check.equal(prompts.read(tags, '{"tags": ["1girl", " solo ", "1girl", "", 5, "red  door,"]}'), "1girl, solo, red door")
  check.equal(prompts.read(tags, '{"tags": "1girl, solo"}'), "1girl, solo")
  check.equal(prompts.read(tags, '["1girl", "solo"]'), "1girl, solo")
  check.equal(prompts.read(tags, "1girl, solo, 1girl"), "1girl, solo")
  check.equal(prompts.read(tags, "- 1girl\n- solo\n"), "1girl, solo")
  check.ok(not prompts.read(tags, '{"tags": []}'))
  check.ok(not prompts.read(tags, "null"))
end)

test("an answer of what nobody sees, or of punctuation, has no words; [trigger] in front is no JSON", function()
  local one, tags = prompts.build {}, prompts.build { style = "tags" }
  for _, nothing in ipairs { "\u{A0}\u{3000} ", "\u{200B}\u{200B}", "\u{FEFF}", ",,, .", '{"caption": "\u{2060}\u{AD}"}', "\u{2028}\u{2029}" } do
    check.ok(not prompts.read(one, nothing), nothing)
    check.ok(nothing == ",,, ." or not prompts.read(tags, nothing), nothing)
  end
  check.equal(prompts.read(tags, "^_^, \u{200B}, solo"), "^_^, solo")
  check.equal(prompts.read(one, "\u{FEFF}a\u{2028}red\u{2029}\u{85}door"), "a red door")
  check.equal(prompts.read(one, "\u{1F98A}"), "\u{1F98A}")
  check.equal(prompts.read(one, "\u{8D64}\u{3044}\u{6238}\u{3000}"), "\u{8D64}\u{3044}\u{6238}\u{3000}")
  check.equal(prompts.read(one, "[trigger], a red door"), "[trigger], a red door")
  check.ok(not prompts.read(one, '["a red'))
end)

-- --- Asking ---------------------------------------------------------------------------------------------------------

test("each picture is asked for once, and never again", function()
  local place = place_with(5)
  local done, service = run(place, "gemini {}", { answer = function(_, n) return { text = ('{"caption": "thing %d"}'):format(n) } end })
  check.equal(done.exit, 0, done.text)
  check.equal(#service.questions, 5)
  check.equal(service.closed, true)
  local list = rows(place)
  check.equal(#list, 5)
  for _, row in ipairs(list) do
    check.equal(row.provider, "gemini")
    check.equal(row.model, "gemini-3.8-flash")
    check.near(row.detail.cost, (1300 * 0.75 + 250 * 3.75) / 1e6, 1e-9)
    check.equal(row.detail.prompt, prompts.build {}.id)
    check.equal(row.detail.settings.thinking, "low")
  end
  done, service = run(place, "gemini {}", {})
  check.equal(done.exit, 0, done.text)
  check.equal(#service.questions, 0)
  check.contains(done.log, "5 known")
end)

test("the question has the model, its settings, the words and the picture", function()
  local place = place_with(1)
  local _, service = run(place, 'gemini { style = "tags", focus = "style", thinking = "high", resolution = "low", max_tokens = 500 }',
    { answer = function() return { text = '{"tags": ["a", "b"]}' } end })
  local q = service.questions[1]
  check.equal(q.model, "gemini-3.8-flash")
  check.equal(q.settings.thinking, "high")
  check.equal(q.settings.media_resolution, "low")
  check.equal(q.max_tokens, 500)
  check.equal(q.system, prompts.build { style = "tags", focus = "style" }.system)
  check.equal(#q.pictures, 1)
  check.equal(service.options[1].base, "https://generativelanguage.googleapis.com")
  check.equal(rows(place)[1].text, "a, b")
end)

test("what changes no answer asks nobody again; what does, does", function()
  local place = place_with(2)
  run(place, "gemini {}", {})
  local function asks(provider) return #select(2, run(place, provider, {})).questions end
  check.equal(asks "gemini { in_flight = 2, per_minute = 60, tokens_per_minute = 50000, spend = usd(1) }", 0)
  check.equal(asks 'gemini { focus = "style" }', 2)
  check.equal(asks 'gemini { model = "gemini-3.6-flash" }', 2)
end)

test("no more are under way than in_flight says", function()
  local place = place_with(9)
  local done, service = run(place, "gemini { in_flight = 3, per_minute = 600, tokens_per_minute = 1000000 }", {})
  check.equal(service.options[1].per_minute, 600)
  check.equal(service.options[1].tokens_per_minute, 1000000)
  check.equal(done.exit, 0, done.text)
  check.equal(service.most, 3)
  check.equal(#service.questions, 9)
end)

test("without a key the sentence says what to put where", function()
  local place = place_with(1)
  local done = run(place, "gemini {}", { keys = {} })
  check.equal(done.exit, 2)
  check.contains(done.text, "GEMINI_API_KEY=...")
  check.contains(done.text, ".env")
  local service = conversation.new { keys = {} }
  local checked = place.check(TALK:format "gemini {}")
  service.close()
  check.equal(checked.exit, 0)
  check.contains(checked.out, "GEMINI_API_KEY=...")
  check.equal(#service.options, 0)
end)

test("a model that is gone is left for the next, and the captions say so", function()
  local place = place_with(4)
  local done, service = run(place, "gemini { in_flight = 2 }", { answer = function(q)
    if q.model == "gemini-3.8-flash" then return { verdict = "other_model", why = "retired", status = 404 } end
  end })
  check.equal(done.exit, 0, done.text)
  check.equal(#service.questions, 6)
  for _, row in ipairs(rows(place)) do
    check.equal(row.model, "gemini-3.6-flash")
    check.equal(row.detail.fallback[1], "gemini-3.8-flash: retired")
  end
end)

test("a model that is named is the only one", function()
  local place = place_with(1)
  local done, service = run(place, 'gemini { model = "gemini-3.6-flash" }', { answer = function() return { verdict = "other_model", why = "quota of the day", status = 429 } end })
  check.equal(done.exit, 75)
  check.contains(done.text, "gemini-3.6-flash: quota of the day")
  check.equal(#service.questions, 1)
end)

local function asked_of(service, model)
  local count = 0
  for _, question in ipairs(service.questions) do if question.model == model then count = count + 1 end end
  return count
end

test("a model that answered nothing yet is left after two pictures without room, and the next has all of them", function()
  local place = place_with(5)
  local done, service = run(place, "gemini { in_flight = 1 }", { answer = function(q)
    if q.model == "gemini-3.8-flash" then return { verdict = "failed", status = 503, why = "overloaded" } end
  end })
  check.equal(done.exit, 0, done.text)
  check.equal(asked_of(service, "gemini-3.8-flash"), 2)
  check.equal(#rows(place), 5)
end)

test("a model that answered nothing yet is left after one picture that was waited for long", function()
  local done, service = run(place_with(3), "gemini { in_flight = 1 }", { answer = function(q)
    if q.model == "gemini-3.8-flash" then return { verdict = "failed", status = 429, why = "the quota of the minute", seconds = 61 } end
  end })
  check.equal(done.exit, 0, done.text)
  check.equal(asked_of(service, "gemini-3.8-flash"), 1)
end)

test("a model that answered before is left after three", function()
  local place = place_with(6)
  local done, service = run(place, "gemini { in_flight = 1 }", { answer = function(q, n)
    if q.model == "gemini-3.8-flash" and n > 1 then return { verdict = "failed", status = 503, why = "overloaded" } end
  end })
  check.equal(done.exit, 0, done.text)
  check.equal(asked_of(service, "gemini-3.8-flash"), 4)
  check.equal(#rows(place), 6)
end)

test("what waits for another try at a model that is left is taken back and asked of the next", function()
  local place = place_with(6)
  local done, service = run(place, "gemini { in_flight = 6 }", { answer = function(q, n)
    if q.model == "gemini-3.8-flash" and n <= 2 then return { verdict = "failed", status = 503, why = "overloaded" } end
    if q.model == "gemini-3.8-flash" then error "it should have been taken back" end
  end, recall = true })
  check.equal(done.exit, 0, done.text)
  check.equal(service.recalled, 4)
  check.equal(#rows(place), 6)
end)

test("without a model that has room all is told at once, and what waits is not waited for", function()
  local done, service = run(place_with(6), 'gemini { in_flight = 6, model = "gemini-3.8-flash" }', { answer = function(_, n)
    if n <= 2 then return { verdict = "failed", status = 429, why = "no more requests" } end
    error "it should have been taken back"
  end, recall = true })
  check.equal(done.exit, 75, done.text)
  check.contains(done.text, "gemini has no room: no more requests")
  check.contains(done.text, "0 captions written and kept, 6 still without")
  check.equal(service.recalled, 4)
end)

test("a blocked picture is named, left, and not asked for again until something changes", function()
  local place = place_with(3)
  local function answer(_, n) if n == 2 then return { verdict = "blocked", why = "SAFETY", tokens = { input = 1300 } } end end
  local done, service = run(place, "gemini { in_flight = 1 }", { answer = answer })
  check.equal(done.exit, 0, done.text)
  check.equal(#service.questions, 3)
  for _, q in ipairs(service.questions) do check.equal(q.model, "gemini-3.8-flash") end
  check.equal(#rows(place), 2)
  done, service = run(place, "gemini {}", {})
  check.equal(done.exit, 0)
  check.equal(#service.questions, 0)
  done, service = run(place, "gemini { again = true }", {})
  check.equal(done.exit, 0)
  check.equal(#service.questions, 1)
  check.equal(#rows(place), 3)
end)

test("an answer without words, or cut, is asked for once more with more tokens", function()
  local place = place_with(2)
  local done, service = run(place, "gemini { in_flight = 1 }", { answer = function(_, n)
    if n == 1 then return { verdict = "cut", text = '{"caption": "a th' } end
    if n == 3 then return { text = '{"caption": ""}' } end
  end })
  check.equal(done.exit, 0, done.text)
  check.equal({ service.questions[1].max_tokens, service.questions[2].max_tokens, service.questions[3].max_tokens, service.questions[4].max_tokens }, { 2048, 4096, 2048, 4096 })
  check.equal(#rows(place), 2)
  place = place_with(1)
  done, service = run(place, "gemini {}", { answer = function() return { verdict = "empty" } end })
  check.equal(done.exit, 0, done.text)
  check.equal(#service.questions, 2)
  check.equal(#rows(place), 0)
end)

test("a service that stops everything is told, what is written stays", function()
  local place = place_with(4)
  local done, service = run(place, "gemini { in_flight = 1 }", { answer = function(_, n) if n == 3 then return { verdict = "stop", why = "the key is not valid", status = 400 } end end })
  check.equal(done.exit, 1)
  check.contains(done.text, "the key is not valid")
  check.contains(done.text, "2 captions written and kept, 2 still without")
  check.equal(#service.questions, 3)
end)

test("a service that cannot be reached is given up after three pictures", function()
  local place = place_with(9)
  local done, service = run(place, "gemini { in_flight = 1 }", { answer = function() return { verdict = "failed", status = 0, why = "could not connect" } end })
  check.equal(done.exit, 75)
  check.contains(done.text, "generativelanguage.googleapis.com cannot be reached")
  check.equal(#service.questions, 3)
end)

test("answers that break off are the service's trouble: no model is left for them, and it is given up after three pictures", function()
  local done, service = run(place_with(9), "gemini { in_flight = 1 }", { answer = function()
    return { verdict = "failed", status = 200, kind = "cut", why = "the connection was cut" }
  end })
  check.equal(done.exit, 75)
  check.contains(done.text, "the answers of generativelanguage.googleapis.com break off: the connection was cut")
  check.equal(#service.questions, 3)
end)

test("while nothing comes the bar says what is under way and what went wrong", function()
  local log = require "native.log"
  local progress, notes = log.progress, {}
  local function bar(label, total)
    if label ~= "captions" then return progress(label, total) end
    return { set = function() end, close = function() end, note = function(_, text) notes[#notes + 1] = text end }
  end
  log.progress = bar
  local done = run(place_with(3), "gemini {}", { silent = 2, errors = { ["429"] = 5, connect = 1 } })
  log.progress = progress
  check.equal(done.exit, 0, done.text)
  check.equal(notes, { "3 under way, 6 errors (429)", "3 under way, 6 errors (429)" })
  notes = {}
  log.progress = bar
  done = run(place_with(3), "gemini {}", { silent = 1, errors = { ["429"] = 6 }, pause = 7.2 })
  log.progress = progress
  check.equal(done.exit, 0, done.text)
  check.equal(notes, { "3 under way, 6 errors (429); gemini-3.8-flash is asked again in 8 s" })
end)

test("a model that nobody named is told by check, and nothing is counted that was never begun", function()
  local done = run(place_with(2), "huggingface {}", { keys = { "HF_TOKEN" } })
  check.equal(done.exit, 2)
  check.contains(done.text, "huggingface does not know which model to ask")
  check.ok(not done.text:find("still without", 1, true), done.text)
end)

test("one picture that failed ends the run with 75, and the same command asks for it alone", function()
  local place = place_with(3)
  local done = run(place, "gemini { in_flight = 1, model = 'gemini-3.8-flash' }", { answer = function(_, n) if n == 2 then return { verdict = "failed", status = 500, why = "internal" } end end })
  check.equal(done.exit, 75)
  check.contains(done.text, "1 picture failed: p02.png (internal)")
  local again, service = run(place, "gemini { in_flight = 1, model = 'gemini-3.8-flash' }", {})
  check.equal(again.exit, 0, again.text)
  check.equal(#service.questions, 1)
end)

test("a question that is refused names its picture; three at the start, and none is asked more", function()
  local place = place_with(6)
  local done = run(place, "gemini { in_flight = 1 }", { answer = function(_, n) if n == 2 then return { verdict = "refused", why = "bad picture", status = 400 } end end })
  check.equal(done.exit, 0, done.text)
  check.equal(#rows(place), 5)
  place = place_with(6)
  local service
  done, service = run(place, "gemini { in_flight = 1 }", { answer = function() return { verdict = "refused", why = "bad field", status = 400 } end })
  check.equal(done.exit, 1)
  check.contains(done.text, "refuses every question: bad field")
  check.equal(#service.questions, 3)
end)

test("a conversation that cannot be opened is told", function()
  local done = run(place_with(1), "gemini {}", { refuse = "there is no libcurl" })
  check.equal(done.exit, 1)
  check.contains(done.text, "there is no libcurl")
end)

-- --- Money ----------------------------------------------------------------------------------------------------------

test("a ceiling stops before the question that could cross it", function()
  local place = place_with(8)
  local done, service = run(place, "gemini { in_flight = 4, spend = usd(0.02) }", {})
  check.equal(done.exit, 1, done.text)
  check.contains(done.text, "usd(0.02)")
  local most = money.most(models.find("gemini", "gemini-3.8-flash"), prompts.build {}, "high", 2048, 64, 48)
  local cost = (1300 * 0.75 + 250 * 3.75) / 1e6
  local n = #service.questions
  check.ok(n >= 1 and n < 8)
  check.ok((n - 1) * cost + most <= 0.02, "the last one could have crossed it")
  check.ok(n * cost + most > 0.02, "one more would have fitted")
  check.equal(#rows(place), n)
end)

test("the header's ceiling counts for all steps together, and ends with 3", function()
  local place = place_with(6)
  local header = [[recipe "x" { allow = { read = { "@/photos" }, write = { "@/out" }, net = { "gemini" }, spend = { gemini = usd(0.012) } } } ]]
  local done = run(place, "gemini { in_flight = 1 }", {}, header)
  check.equal(done.exit, 3, done.text)
  check.contains(done.text, "header allows")
end)

test("a header that does not allow the service, or any spending, ends with 3 before anything", function()
  local place = place_with(1)
  local function header(more) return ([[recipe "x" { allow = { read = { "@/photos" }, write = { "@/out" } %s } } ]]):format(more) end
  local done, service = run(place, "gemini {}", {}, header "")
  check.equal(done.exit, 3)
  check.contains(done.text, 'allow = { net = { "gemini" } }')
  check.equal(#service.options, 0)
  done = run(place, "gemini {}", {}, header ', net = { "openai" }')
  check.equal(done.exit, 3)
  done = run(place, "gemini {}", {}, header ', net = { "gemini" }')
  check.equal(done.exit, 3)
  check.contains(done.text, "spend = { gemini = usd(0.50) }")
  done = run(place, "gemini {}", {}, header ', net = { "gemini" }, spend = { gemini = usd(1) }')
  check.equal(done.exit, 0, done.text)
end)

test("an unknown price with a ceiling is refused, with what to do", function()
  local done, service = run(place_with(1), 'gemini { model = "gemini-9-flash", spend = usd(1) }', {})
  check.equal(done.exit, 2)
  check.contains(done.text, "the price of gemini-9-flash is unknown")
  check.contains(done.text, "CALOTYPE_MODELS")
  check.equal(#service.questions, 0)
end)

test("an unknown price without a ceiling is told as unknown", function()
  local place = place_with(2)
  local done = run(place, 'gemini { model = "gemini-9-flash" }', {})
  check.equal(done.exit, 0, done.text)
  check.contains(done.log, "price unknown")
  check.equal(rows(place)[1].detail.cost, nil)
end)

test("a server that answers with another model is charged at that one's price, or at none", function()
  local place = place_with(2)
  run(place, "gemini { in_flight = 1 }", { answer = function(_, n) return { model = n == 1 and "gemini-3.5-flash-lite" or "something-new" } end })
  local list = rows(place)
  check.near(list[1].detail.cost, (1300 * 0.30 + 250 * 2.50) / 1e6, 1e-9)
  check.equal(list[2].detail.cost, nil)
  check.equal(list[2].model, "something-new")
end)

test("attempts whose answers were lost on the way count as all that they could cost, and are told", function()
  local place = place_with(8)
  local most = money.most(models.find("gemini", "gemini-3.8-flash"), prompts.build {}, "high", 2048, 64, 48)
  local done, service = run(place, ("gemini { in_flight = 1, spend = usd(%.9f) }"):format(4.5 * most), { answer = function() return { lost = 2, attempts = 3 } end })
  check.equal(done.exit, 1, done.text)
  check.equal(#service.questions, 2) -- two lost and a good one each: the third question could cross
  check.contains(done.log, "4 answers lost on the way, which may be paid too")
  done = run(place_with(1), "gemini { in_flight = 1 }", { answer = function() return { verdict = "failed", status = 0, kind = "timeout", lost = 1 } end })
  check.ok(not done.log:find "lost on the way") -- the only attempt is the answer of unknown price
  done = run(place_with(1), "gemini { in_flight = 1, model = 'gemini-3.8-flash' }", { answer = function()
    return { verdict = "failed", status = 200, kind = "cut", lost = 5, attempts = 5 }
  end })
  check.contains(done.log, "gemini: 0 captions, 1 request, $0.00, 5 answers lost on the way, which may be paid too") -- also where none came
end)

test("a dearer model that answers for the one that was asked is reckoned with from then on", function()
  local place = place_with(12)
  local done, service = run(place, 'gemini { in_flight = 1, model = "gemini-3.5-flash-lite", spend = usd(0.06) }',
    { answer = function() return { model = "gemini-3.1-pro-preview", tokens = { input = 1300, output = 1200 } } end })
  local cost = (1300 * 2 + 1200 * 12) / 1e6
  check.equal(done.exit, 1, done.text)
  check.ok(#service.questions * cost <= 0.06, "the ceiling was crossed")
  check.equal(#service.questions, 3)
end)

test("a model of unknown price that answers for another is left where there is a ceiling", function()
  local place = place_with(6)
  local done, service = run(place, 'gemini { in_flight = 1, model = "gemini-3.8-flash", spend = usd(1) }', { answer = function() return { model = "something-new" } end })
  check.equal(done.exit, 75, done.text)
  check.contains(done.text, "something-new answers for it, whose price is unknown")
  check.equal(#service.questions, 1)
end)

test("check tells of a key that a server will not get", function()
  local place = place_with(1)
  local function shown(base, from)
    local service = conversation.new { env = { GEMINI_BASE_URL = base }, keys = { "GEMINI_API_KEY" }, keys_from = from }
    local done = place.check(TALK:format "gemini {}")
    service.close()
    return done.out
  end
  check.contains(shown("https://other.example", "environment"), "only .env names the server other.example, which does not get it")
  check.ok(not shown("https://other.example", ".env"):find "does not get it")
  check.ok(not shown("http://127.0.0.1:9", "environment"):find "does not get it")
  check.ok(not shown(nil, "environment"):find "does not get it")
end)

test("a retired name in the environment is told by check", function()
  local place = place_with(1)
  local service = conversation.new { env = { GEMINI_MODEL_NAME = "gemini-2.0-flash" }, keys = { "GEMINI_API_KEY" } }
  local shown = place.check(TALK:format "gemini {}").out
  service.close()
  check.contains(shown, "gemini-2.0-flash is no longer served since 2026-06-01; gemini-3.5-flash-lite is")
end)

test("a model that writes [trigger] where none is declared, or something like it, stops no export", function()
  local place = place_with(2)
  local service <const> = conversation.new { keys = { "GEMINI_API_KEY" },
    answer = function(_, n) return { text = json.encode { caption = n == 1 and "a sign with [trigger] on it" or "a sign with [triger] on it" } } end }
  local done = place.run [[images "@/photos":caption { with = gemini { in_flight = 1 } }:export { as = "sidecars", to = "@/out" }]]
  service.close()
  check.equal(done.exit, 0, done.text)
  check.equal(place.read "out/p01.txt", "a sign with trigger on it\n")
  check.equal(place.read "out/p02.txt", "a sign with [triger] on it\n")
end)

test("answers that are left in the air are told, for they may be paid", function()
  local script = require "native.script"
  local function answer(_, n)
    if n == 3 then script.fail { message = "the store cannot go on: the disk is full", source = false, exit = 1 } end
  end
  local log = require "native.log"
  local say, said = log.say, ""
  log.say = function(_, text) said = said .. text .. "\n" end
  local ok, done = script.call(run, place_with(8), "gemini { in_flight = 4 }", { answer = answer })
  local fine = ok and run(place_with(3), "gemini {}", {})
  log.say = say
  check.equal(done.exit, 1, done.text)
  check.contains(done.text, "the disk is full")
  check.contains(said, "4 answers of gemini were under way and may be paid, but will not be kept")
  check.equal({ fine.exit, select(2, said:gsub("under way", "")) }, { 0, 1 })
end)

test("the account tells captions, requests, money, tokens and time", function()
  local done = run(place_with(3), "gemini {}", {})
  check.contains(done.log, "gemini: 3 captions, 3 requests, $0.0057, 3900 tokens in, 750 out; a reply took 1.0 s (95 %: 2.0 s, 99 %: 3.0 s)")
end)

test("a report has what services wrote, with tokens, money and time, and stays as it is when nobody is asked", function()
  local place = place_with(4)
  local text = [[images "@/photos":caption { with = gemini {} }:report { to = "@/out/r.html" }]]
  local service = conversation.new { keys = { "GEMINI_API_KEY" }, answer = function(_, n) return { seconds = n } end }
  check.equal(place.run(text).exit, 0)
  local page = place.read "out/r.html"
  check.contains(page, "What services wrote")
  check.contains(page, "error rate")
  check.contains(page, "<td>gemini gemini-3.8-flash</td>")
  check.contains(page, "$0.0076")
  for _, seconds in ipairs { "2.0", "4.0" } do check.contains(page, seconds .. "</td>") end
  local again = place.run(text)
  service.close()
  check.contains(again.log, "unchanged")
  check.equal(#service.questions, 4)
  local s = assert(store.open(place.path "store"))
  check.contains(s:runs(2)[2].detail, "gemini: 4 captions")
  s:close()
end)

test("sixteen questions are under way at once, four at a server of one's own", function()
  local _, service = run(place_with(20), "gemini {}", {})
  check.equal(service.most, 16)
  _, service = run(place_with(6), 'openai { model = "llava" }', { env = { OPENAI_BASE_URL = "http://127.0.0.1:9" } }) -- luacheck: ignore
  check.equal(service.most, 4)
end)

-- --- openai, huggingface, ensemble, auto ------------------------------------------------------------------------------

test("openai: a server of one's own says which model it has; free means nothing is paid", function()
  local place = place_with(1)
  local env = { OPENAI_BASE_URL = "http://127.0.0.1:8080/v1" }
  local done, service = run(place, "openai { free = true }", { env = env, keys = {}, request = function() return { text = '{"data": [{"id": "llava"}]}' } end })
  check.equal(done.exit, 0, done.text)
  check.equal(service.options[1].base, "http://127.0.0.1:8080")
  check.equal(service.options[1].seconds, 300)
  check.equal(service.questions[1].model, "llava")
  check.equal(service.questions[1].max_tokens, 1024)
  check.equal(rows(place)[1].detail.cost, 0)
  check.contains(done.log, "free")
  done = run(place, 'openai { style = "concise" }', { env = env, keys = {}, request = function() return { text = '{"data": [{"id": "a"}, {"id": "b"}]}' } end })
  check.equal(done.exit, 1)
  check.contains(done.text, 'model = "a"')
end)

test("openai: free is not taken for somebody else's server, and a model must be named there", function()
  local done = run(place_with(1), "openai { free = true, model = 'x' }", { keys = { "OPENAI_API_KEY" } })
  check.equal(done.exit, 2)
  check.contains(done.text, "free is for servers of your own; openai would be asked at api.openai.com")
  done = run(place_with(1), "openai {}", { keys = { "OPENAI_API_KEY" } })
  check.equal(done.exit, 2)
  check.contains(done.text, 'model = "..."')
end)

test("what is a server of one's own", function()
  local private = require("native.net").private
  local services = require "caption.services"
  for _, base in ipairs { "http://localhost:1/x", "http://127.0.0.1", "http://[::1]:8", "https://10.1.2.3", "http://192.168.0.9:80", "http://172.20.0.1", "http://[fd00::1]",
    "http://[::ffff:10.0.0.1]" } do
    check.ok(private(services.host(base)), base)
  end
  for _, base in ipairs { "https://api.openai.com", "http://172.32.0.1", "http://11.0.0.1", "http://127.0.0.1.evil.example", "http://localhost.evil.example", "http://10.example" } do
    check.ok(not private(services.host(base)), base)
  end
end)

test("huggingface: an endpoint that captions is asked nothing; the router is chatted with", function()
  local place = place_with(1)
  local done, service = run(place, "huggingface {}", { env = { HF_BASE_URL = "https://x.endpoints.huggingface.cloud" }, keys = { "HF_TOKEN" },
    answer = function() return { text = "a cat on a mat" } end })
  check.equal(done.exit, 0, done.text)
  check.equal(service.options[1].wire, "huggingface")
  check.equal(service.questions[1].schema, nil)
  check.equal(rows(place)[1].text, "a cat on a mat")
  done = run(place, 'huggingface { style = "tags" }', { env = { HF_BASE_URL = "https://x.endpoints.huggingface.cloud" }, keys = { "HF_TOKEN" } })
  check.equal(done.exit, 2)
  check.contains(done.text, "is asked nothing")
  done, service = run(place, 'huggingface { model = "org/vl" }', { keys = { "HF_TOKEN" } })
  check.equal(done.exit, 0, done.text)
  check.equal(service.options[1].wire, "openai")
  check.equal(service.options[1].base, "https://router.huggingface.co")
end)

test("ensemble: tags by vote, each member kept as its own and paid once", function()
  local place = place_with(2)
  local env = { OPENAI_BASE_URL = "http://127.0.0.1:1" }
  local spec = { env = env, keys = { "GEMINI_API_KEY" }, answer = function(q)
    return { text = q.model == "llava" and '{"tags": ["red", "door", "wall"]}' or '{"tags": ["door", "red", "sky"]}' }
  end }
  local with = 'ensemble { gemini { style = "tags" }, openai { style = "tags", model = "llava" } }'
  local done, service = run(place, with, spec)
  check.equal(done.exit, 0, done.text)
  check.equal(#service.questions, 4)
  local list, combined = rows(place), nil
  check.equal(#list, 6)
  for _, row in ipairs(list) do if row.provider == "ensemble" then combined = row end end
  check.equal(combined.text, "door, red")
  check.equal(#combined.detail.from, 2)
  done, service = run(place, 'ensemble { gemini { style = "tags" }, openai { style = "tags", model = "llava" }, votes = 1 }', spec)
  check.equal(done.exit, 0, done.text)
  check.equal(#service.questions, 0)
end)

test("ensemble: votes, places and rules", function()
  local ensemble = require "caption.ensemble"
  check.equal(ensemble.vote({ "a, b, c", "b, c, d", "c, b, a" }), "b, c, a")
  check.equal(ensemble.vote({ "a, b", "a_x, c" }, 2), "")
  check.equal(ensemble.vote({ "red door", "Red_Door, sky" }, 2), "red door")
  check.equal(ensemble.vote({ "a, b" }, 3), "a, b")
  local texts = { "a cat on a mat", "a red cat sits on a mat.", "nothing here" }
  check.equal(ensemble.choose(texts, "agreement"), "a cat on a mat")
  check.equal(ensemble.choose(texts, "longest"), "a red cat sits on a mat.")
  check.equal(ensemble.choose(texts, "first"), "a cat on a mat")
  check.equal(ensemble.choose({ "A cat. A mat.", "A cat. A door" }, "join"), "A cat. A mat. A door")
  check.equal(ensemble.choose({ "猫在垫子上。", "门开着。", "猫在门上。" }, "agreement"), "猫在门上。", "in scripts without spaces, too")
  check.equal(ensemble.choose({ "猫在垫子上。门开着。", "门开着。" }, "join"), "猫在垫子上。门开着。")
end)

test("ensemble: members that do not go together are told", function()
  local place = place_with(1)
  local function says(text, part)
    local done = run(place, text, { keys = { "GEMINI_API_KEY" } })
    check.equal(done.exit, 2)
    check.contains(done.text, part)
  end
  says("ensemble { gemini {} }", "fewer than two members")
  says('ensemble { gemini {}, template { text = "x" }, votes = 2 }', "votes, but its members write sentences")
  says('ensemble { gemini { style = "tags" }, template { text = "x" } }', "members that write tags and members that write sentences")
  says("ensemble { gemini {}, gemini {} }", "the same member twice")
  says('ensemble { gemini { model = "gemini-3.8-flash", spend = usd(1) }, gemini { model = { "gemini-3.8-flash" }, in_flight = 2, record = "a.rec" } }',
    "the same member twice") -- nothing that changes the answer differs: one opinion would count as two votes
  says("ensemble { gemini {}, auto {} }", "auto {} as a member")
end)

test("auto: who the environment names, told by check; nobody where it names none", function()
  local auto = require "caption.auto"
  local function chosen(env, keys)
    local service = conversation.new { env = env, keys = keys or {} }
    local name, why = auto.choose()
    service.close()
    return name, why
  end
  check.equal(chosen({ USE_GEMINI = "1", OPENAI_BASE_URL = "http://127.0.0.1:1" }), "gemini")
  check.equal(chosen({ USE_GEMINI = "0", OPENAI_BASE_URL = "http://127.0.0.1:1" }, { "GEMINI_API_KEY" }), "openai")
  check.equal(chosen({ HF_BASE_URL = "http://127.0.0.1:1" }), "huggingface")
  check.equal(chosen({ GEMINI_MODEL_NAME = "x" }), "gemini")
  check.equal(chosen({}, { "GEMINI_API_KEY" }), "gemini")
  check.equal(chosen({ USE_GEMINI = "false" }, { "GEMINI_API_KEY" }), nil)
  check.equal(chosen({}, { "HF_TOKEN" }), nil)
  local place = place_with(1)
  local service = conversation.new { env = { USE_GEMINI = "1", GEMINI_MODEL_NAME = "gemini-3.6-flash" }, keys = { "GEMINI_API_KEY" } }
  check.contains(place.check(TALK:format "auto {}").out, "auto {} is gemini {} here: USE_GEMINI says so")
  local done = place.run(TALK:format 'auto { style = "concise" }')
  service.close()
  check.equal(done.exit, 0, done.text)
  check.equal(service.questions[1].model, "gemini-3.6-flash")
  check.equal(rows(place)[1].provider, "gemini")
end)

test("a replay needs no key, asks no service of the header, and costs nothing", function()
  local place = place_with(1)
  place.write("class.rec", "{}")
  local done, service = run(place, 'gemini { replay = "@/class.rec" }', { keys = {} })
  check.equal(done.exit, 0, done.text)
  check.contains(service.options[1].replay, "class.rec")
  check.equal(rows(place)[1].detail.cost, 0)
  check.contains(done.log, "nothing paid")
end)

test("options that cannot be are told where they stand", function()
  local place = place_with(1)
  local function says(text, part)
    local done = run(place, text, {})
    check.equal(done.exit, 2)
    check.contains(done.text, part)
  end
  says('gemini { model = "gemini-2.0-flash" }', 'no longer served since 2026-06-01')
  says('gemini { language = "it" }', "there are no prompts in \"it\"")
  says('gemini { record = "@/a", replay = "@/b" }', "both record and replay")
  says('gemini { tag_language = "same" }', "writes no tags")
  says('gemini { spend = 0.5 }', "usd(0.5)")
  says('gemini { model = "a b" }', "no spaces")
end)
