-- Services as they are, and as they should not be: the real client against the server of tests/fake. All scenarios are asked at once, so that
-- those that wait wait together; then each test looks at what came of its own.
local fake = dofile "tests/fake.lua"
local json = require "native.json"
local net = require "native.net"

local server = fake.start()
local PICTURE = "\x89PNG, or so it says; a picture is bytes to everybody here"
local CAPTION = server:caption(PICTURE)
local SCHEMA = '{"type":"object","properties":{"caption":{"type":"string"}},"required":["caption"]}'
local JSON = ('{"caption":"%s"}'):format(CAPTION)
local PREFIX = { gemini = "", openai = "", huggingface = "" }

local scenarios = {}

-- `expected`: of the reply (verdict, text, attempts, status, finish, model, tokens; why: a part of it) and of the server's counts.
local function scenario(name, path, expected, more)
  more = more or {}
  local s = { name = name, path = path, expected = expected, wire = more.wire or "gemini", talk = more.talk or {}, ask = more.ask or {} }
  s.path = ("%s=%d"):format(path, #scenarios + 1)
  scenarios[#scenarios + 1] = s
end

local OPENAI, HF = { wire = "openai" }, { wire = "huggingface", ask = { schema = false } }

-- --- Answers ----------------------------------------------------------------------------------------------------------------

scenario("an answer has its text, its model and what it took", "ok", { verdict = "done", text = JSON, model = "gemini-3.8-flash", finish = "STOP", status = 200,
  attempts = 1, tokens = { input = 1200, output = 12, thought = 20 }, requests = 1, delivered = 1 })
scenario("a server of the OpenAI kind answers", "ok", { verdict = "done", text = JSON, attempts = 1, requests = 1, tokens = { input = 656, output = 12 } }, OPENAI)
scenario("an image-to-text endpoint answers", "ok", { verdict = "done", text = CAPTION, attempts = 1, requests = 1 }, HF)
scenario("a text without a schema is taken as it is", "ok", { verdict = "done", text = CAPTION, requests = 1 }, { ask = { schema = false } })
scenario("thoughts are left out and parts joined", "parts", { verdict = "done", text = JSON, requests = 1 })
scenario("a fence around JSON is taken off", "fenced", { verdict = "done", text = JSON, requests = 1 })
scenario("a fence around JSON is taken off, OpenAI's too", "fenced", { verdict = "done", text = JSON, requests = 1 }, OPENAI)
scenario("blank lines around the text go", "spaced", { verdict = "done", text = JSON, requests = 1 })
scenario("numbers may come as strings", "strings", { verdict = "done", text = JSON, tokens = { input = 1200, output = 12, thought = 20 } })
scenario("an answer in an array of one is an answer", "arrayok", { verdict = "done", text = JSON, requests = 1 })
scenario("an answer without counts and model is one, and they stay unknown", "bare", { verdict = "done", text = JSON, no_tokens = true, requests = 1 })
scenario("the model that answered is named, not the one that was asked", "rerouted", { verdict = "done", model = "gemini-9.9-surprise" })
scenario("a wrong Content-Type does no harm", "wrongtype", { verdict = "done", text = JSON, requests = 1 })
scenario("a missing Content-Type does no harm", "notype", { verdict = "done", text = JSON, requests = 1 })

-- --- Ways -------------------------------------------------------------------------------------------------------------------

scenario("a slow body is waited for", "slow", { verdict = "done", text = JSON, attempts = 1, requests = 1 })
scenario("a body that comes byte by byte is put together", "drip", { verdict = "done", text = JSON, attempts = 1, requests = 1 })
scenario("chunks are put together", "chunked", { verdict = "done", text = JSON, attempts = 1, requests = 1 })
scenario("chunks that split letters are put together", "utf8", { verdict = "done", attempts = 1, requests = 1,
  text = JSON:gsub("small", "grünes 日本 🦊, small") })
scenario("HTTP/1.0 is understood", "http10", { verdict = "done", text = JSON, attempts = 1, requests = 1 })
scenario("early hints are passed over", "informed", { verdict = "done", text = JSON, attempts = 1, requests = 1 })
scenario("a connection that is closed after the answer does no harm", "closeafter", { verdict = "done", text = JSON, attempts = 1, requests = 1 })
scenario("a connection that is closed when it is used again is opened anew", "closereused", { verdict = "done", text = JSON, delivered = 1 })

-- --- What is tried again ----------------------------------------------------------------------------------------------------

local function recovers(path, name, more)
  local expected = { verdict = "done", text = JSON, attempts = 2, delivered = 1 }
  for key, value in pairs(more or {}) do expected[key] = value end
  scenario(name, path .. "-once", expected)
end
recovers("429", "over the quota of the minute: after the time that the server names", { requests = 2, produced = 1 })
recovers("429message", "the time to wait may stand in the message alone", { requests = 2, produced = 1 })
recovers("429after", "Retry-After is heeded", { requests = 2, produced = 1 })
recovers("429date", "Retry-After as a date is read by the server's clock, whatever ours says", { requests = 2, produced = 1 })
recovers("429commas", "a doubled comma and a key with a space are forgiven", { requests = 2, produced = 1 })
recovers("429nested", "an error inside the message of an error is found", { requests = 2, produced = 1 })
recovers("500", "an internal error is tried again", { requests = 2, produced = 1 })
recovers("502html", "a proxy's page is tried again", { requests = 2, produced = 1 })
recovers("503", "an overload without details is tried again", { requests = 2, produced = 1 })
recovers("503array", "an error in an array of one is understood", { requests = 2, produced = 1 })
recovers("503loading", "a model that is being loaded is waited for", { requests = 2, produced = 1 })
recovers("503empty", "an error without a body is tried again", { requests = 2, produced = 1 })
recovers("504", "a time-out of the server is tried again", { requests = 2, produced = 1 })
recovers("499", "a cancelled request is tried again", { requests = 2, produced = 1 })
recovers("408", "a request time-out is tried again", { requests = 2, produced = 1 })
recovers("cut", "a body that is cut is asked for again: what was lost is paid", { requests = 2, produced = 2, lost = 1 })
recovers("cutinhead", "headers that are cut are no answer", { requests = 2, produced = 2, lost = 1 })
recovers("reset", "a reset in the body is survived", { requests = 2, produced = 2, lost = 1 })
recovers("longer", "a body shorter than it says is no answer", { requests = 2, produced = 2, lost = 1 })
recovers("chunkcut", "a body without its last chunk is no answer", { requests = 2, produced = 2, lost = 1 })
recovers("chunkbad", "a chunk of nonsense is no answer", { requests = 2, produced = 2, lost = 1 })
-- A kept connection that dies before the first byte is tried again by libcurl itself, so that one attempt may be two requests.
recovers("cuthead", "a connection that ends before the answer is opened again", { attempts = false, lost = 1 })
recovers("resethead", "a reset before the answer is survived", { attempts = false, lost = 1 })
scenario("503 twice, then a cut, then an answer: three kinds of failure, one caption", "503-twice,cut-once", { verdict = "done", text = JSON, attempts = 4,
  requests = 4, produced = 2, delivered = 1 })
scenario("a server that is silent is given up after its time, and asked again", "stallhead-once", { verdict = "done", text = JSON, attempts = 2, requests = 2 },
  { talk = { seconds = 1 } })
scenario("a body that stalls is given up after its time, and asked again", "stall-once", { verdict = "done", text = JSON, attempts = 2, requests = 2 },
  { talk = { seconds = 1 } })
scenario("image-to-text: the model is loaded first", "503loading-twice", { verdict = "done", text = CAPTION, attempts = 3, requests = 3 }, HF)
scenario("OpenAI's kind: loading, then an answer", "503loading-once", { verdict = "done", text = JSON, attempts = 2, requests = 2 }, OPENAI)

-- --- What is given up -------------------------------------------------------------------------------------------------------

scenario("an overload that lasts fails after all attempts", "503", { verdict = "failed", attempts = 3, requests = 3, status = 503, why = "overloaded", produced = 0 },
  { talk = { attempts = 3 } })
scenario("a server that never answers fails and says so", "stallhead", { verdict = "failed", attempts = 1, why = "1 s", left = 1 }, { talk = { seconds = 1, attempts = 1 } })
scenario("a reply that never ends is not kept", "huge", { verdict = "failed", requests = 1, why = "more than" })
scenario("what is no HTTP is tried again, and then fails", "garbage", { verdict = "failed", attempts = 2, requests = 2, why = "no HTTP" }, { talk = { attempts = 2 } })
scenario("a Content-Length below 0 is no HTTP", "negative", { verdict = "failed", attempts = 2, requests = 2, why = "no HTTP" }, { talk = { attempts = 2 } })
scenario("a megabyte of headers fails at once", "endlesshead", { verdict = "failed", requests = 1, why = "the headers of the reply have more than" })
scenario("a quota of the day leaves the model", "429day", { verdict = "other_model", attempts = 1, requests = 1, why = "quota of the day" })
scenario("a quota of nothing leaves the model", "429zero", { verdict = "other_model", attempts = 1, requests = 1, why = "limit: 0" })
scenario("a wait of hours leaves the model", "429long", { verdict = "other_model", attempts = 1, requests = 1, why = "1149 minutes" })
scenario("no capacity leaves the model", "429capacity", { verdict = "other_model", attempts = 1, requests = 1 })
scenario("a retired model is left", "404", { verdict = "other_model", attempts = 1, requests = 1, status = 404, why = "name another" })
scenario("a key that is wrong stops the service", "400key", { verdict = "stop", attempts = 1, requests = 1, why = "does not accept the key" })
scenario("a 401 stops the service", "401", { verdict = "stop", requests = 1, status = 401, why = "key" })
scenario("a 401 of OpenAI's kind stops the service", "401", { verdict = "stop", requests = 1, why = "key" }, OPENAI)
scenario("a 401 of an endpoint stops the service", "401", { verdict = "stop", requests = 1, why = "key" }, HF)
scenario("no credit stops the service", "402", { verdict = "stop", requests = 1 }, HF)
scenario("a key that may not stops the service", "403", { verdict = "stop", requests = 1, why = "Vertex" })
scenario("a country without the service stops it", "400region", { verdict = "stop", requests = 1, why = "billing" })
scenario("a field that is wrong is this request's alone", "400", { verdict = "refused", attempts = 1, requests = 1, why = "Thinking level" })
scenario("too large a request is this request's alone", "413", { verdict = "refused", requests = 1, why = "smaller picture" })
scenario("a redirect is not followed", "302", { verdict = "stop", requests = 1, status = 302, why = "another address" })

-- --- What costs and gives nothing -------------------------------------------------------------------------------------------

scenario("a blocked prompt is blocked, once", "blocked", { verdict = "blocked", attempts = 1, requests = 1, barren = 1, why = "PROHIBITED_CONTENT", tokens = { input = 1200 } })
scenario("a refusal of OpenAI's kind is blocked, once", "blocked", { verdict = "blocked", requests = 1, barren = 1 }, OPENAI)
scenario("SAFETY is blocked, once", "safety", { verdict = "blocked", requests = 1, finish = "SAFETY" })
scenario("PROHIBITED_CONTENT is blocked, once", "prohibited", { verdict = "blocked", requests = 1 })
scenario("RECITATION is blocked, once", "recitation", { verdict = "blocked", requests = 1 })
scenario("a filter of OpenAI's kind is blocked, once", "safety", { verdict = "blocked", requests = 1 }, OPENAI)
scenario("STOP without parts is empty", "empty", { verdict = "empty", requests = 1, why = "no words" })
scenario("thoughts alone are empty", "thought", { verdict = "empty", requests = 1, why = "only thoughts" })
scenario("reasoning alone is empty", "thought", { verdict = "empty", requests = 1 }, OPENAI)
scenario("MAX_TOKENS without parts is cut", "maxtokens", { verdict = "cut", requests = 1, why = "max_tokens" })
scenario("MAX_TOKENS in the middle is cut", "half", { verdict = "cut", requests = 1 })
scenario("length in the middle is cut", "half", { verdict = "cut", requests = 1 }, OPENAI)
scenario("JSON that breaks off is empty", "truncated", { verdict = "empty", requests = 1, status = 200 })
scenario("a Content-Length that is short gives JSON that breaks off", "shorter", { verdict = "empty", requests = 1 })
scenario("200 without a body is empty", "nobody", { verdict = "empty", requests = 1, why = "empty reply" })
scenario("a page with status 200 is no answer, and named", "html200", { verdict = "refused", requests = 1, why = "Please log in" })
scenario("JSON of another shape is empty", "otherjson", { verdict = "empty", requests = 1 })
scenario("bytes that are not UTF-8 are no answer", "badutf8", { verdict = "empty", requests = 1 })
scenario("a NUL in the body is no answer", "rawnul", { verdict = "empty", requests = 1 })
scenario("a hundred thousand brackets are no answer", "deep", { verdict = "empty", requests = 1 })
scenario("an error with status 200 is an error", "error200-once", { verdict = "done", attempts = 2, requests = 2 })

-- --- All of them, at once ---------------------------------------------------------------------------------------------------

local function play()
  local open = {}
  for _, s in ipairs(scenarios) do
    local options = { service = s.wire, wire = s.wire, base = server:url(s.path, PREFIX[s.wire]), base_from = "environment", keys = {}, seconds = 20 }
    for key, value in pairs(s.talk) do options[key] = value end
    s.open = assert(net.talk(options))
    local ask = { model = "gemini-3.8-flash", system = "You write captions.", user = "Caption it.", schema = SCHEMA, max_tokens = 500,
      pictures = { { bytes = PICTURE, mime = "image/png" } } }
    for key, value in pairs(s.ask) do ask[key] = value or nil end
    if s.ask.schema == false then ask.schema = nil end
    if s.wire == "huggingface" then ask.system, ask.user, ask.max_tokens = nil, "", nil end
    assert(s.open:ask(s, ask))
    open[#open + 1] = s
  end
  while #open > 0 do
    for i = #open, 1, -1 do
      local tag, reply = open[i].open:next(0.005)
      if tag then
        tag.reply = reply
        tag.told = tag.open:counts()
        table.remove(open, i)
      end
    end
  end
  for _, s in ipairs(scenarios) do
    s.open:close()
    s.counts = server:counts(s.path)
  end
end

local played, trouble = xpcall(play, debug.traceback)
test("more than forty scenarios are asked at once and each has its reply", function()
  check.ok(played, trouble)
  check.ok(#scenarios > 40)
end)

local COUNTED = { requests = true, produced = true, delivered = true, barren = true, left = true }
for _, s in ipairs(scenarios) do
  test(("%s [%s]"):format(s.name, s.path), function()
    local reply = s.reply
    check.ok(reply, "no reply")
    for key, value in pairs(s.expected) do
      if COUNTED[key] then check.equal(s.counts[key], value, ("%s, %s"):format(key, json.encode(reply)))
      elseif key == "why" then check.contains(reply.why, value)
      elseif key == "no_tokens" then check.equal(reply.tokens, nil)
      elseif key == "tokens" then
        for kind, n in pairs(value) do check.equal(reply.tokens and reply.tokens[kind], n, kind) end
      elseif value then check.equal(reply[key], value, ("%s, %s"):format(key, reply.why)) end
    end
    if s.expected.verdict == "done" then check.equal(reply.why or "", "") else check.ok(#reply.why > 10, "no sentence") end
    check.equal(s.told.ok, s.expected.verdict == "done" and 1 or s.told.ok)
  end)
end

-- --- Several in one conversation ---------------------------------------------------------------------------------------------

local function talk_to(path, options)
  local all = { service = "gemini", wire = "gemini", base = server:url(path), base_from = "environment", keys = {}, seconds = 20 }
  for key, value in pairs(options or {}) do all[key] = value end
  return assert(net.talk(all))
end

local function question(bytes) return { model = "gemini-3.8-flash", user = "Caption it.", pictures = { { bytes = bytes, mime = "image/png" } }, max_tokens = 500 } end

-- Asks for `count` pictures; the texts by number.
local function ask_all(talk, count)
  local texts, asked, had = {}, 0, 0
  while had < count do
    while asked < count and talk:room() > 0 do
      asked = asked + 1
      assert(talk:ask(asked, question("picture " .. asked)))
    end
    local tag, reply = talk:next(20)
    check.ok(tag, "no reply")
    check.equal(texts[tag], nil)
    texts[tag], had = reply.text or reply.why, had + 1
  end
  return texts
end

for _, most in ipairs { 1, 5, 50 } do
  test(("of 120 questions %d are under way at most, and each gets its own answer"):format(most), function()
    local path = ("ok@%d=flight%d"):format(({ [1] = 1, [5] = 40, [50] = 1000 })[most], most)
    local talk <close> = talk_to(path, { in_flight = most })
    local texts = ask_all(talk, 120)
    for i = 1, 120 do check.equal(texts[i], server:caption("picture " .. i)) end
    local counts = server:counts(path)
    check.equal({ counts.requests, counts.delivered, counts.most_open }, { 120, 120, most })
    check.equal(talk:counts().ok, 120)
  end)
end

test("three hundred questions with a fault in ten each get their own answer", function()
  local path = "faults-10:3=many"
  local talk <close> = talk_to(path, { in_flight = 32 })
  local texts, again = ask_all(talk, 300), 0
  for i = 1, 300 do
    if texts[i] ~= server:caption("picture " .. i) then again = again + 1 end -- empty and broken answers are the caller's to ask again
  end
  check.ok(again < 40, again)
  local counts = talk:counts()
  check.ok(counts.requests > 300)
  check.equal(counts.ok, 300 - again)
end)

test("of what went out and was never answered each time is told, also when libcurl sent it again by itself", function()
  local talk <close> = talk_to "cuthead-once=again"
  for i = 1, 2 do -- the second on a connection that was kept
    talk:request("list", { method = "GET", path = "/v1beta/models", class = "safe" })
    talk:next(20)
    assert(talk:ask(i, question("picture " .. i)))
    local _, reply = talk:next(20)
    check.equal({ reply.verdict, reply.lost }, { "done", 1 })
  end
  check.equal(server:counts "cuthead-once=again".requests, 5 + 2)
end)

test("a picture of 3 MB goes out whole", function()
  local talk <close> = talk_to "ok=big"
  local bytes = ("0123456789abcde\n"):rep(3 << 16)
  assert(talk:ask(1, question(bytes)))
  local _, reply = talk:next(20)
  check.equal(reply.text, server:caption(bytes))
  check.equal(server:requests "ok=big"[1].picture_bytes, #bytes)
end)

test("any JSON request of the service may be asked", function()
  local talk <close> = talk_to "503-once=list"
  assert(talk:request("models", { method = "GET", path = "/v1beta/models?pageSize=50", class = "safe" }))
  local tag, reply = talk:next(20)
  check.equal({ tag, reply.verdict, reply.attempts }, { "models", "done", 2 })
  check.equal(json.decode(reply.text).models[1].name, "models/gemini-3.8-flash")
end)

local BATCH = [[{"batch":{"displayName":"mine","inputConfig":{"requests":{"requests":[{"request":{"contents":[{"parts":[{"text":"x"}]}]},"metadata":{"key":"a"}}]}}}}]]
for path, what in pairs { ["cuthead-once"] = "lost before its answer", ["cut-once"] = "cut in its answer", ["resethead-once"] = "reset" } do
  test("what is billed is not sent twice when the connection is " .. what, function()
    path = path .. "=billed"
    local talk <close> = talk_to(path)
    assert(talk:request("list", { method = "GET", path = "/v1beta/batches/none", class = "safe" })) -- so that there is a connection to use again
    talk:next(20)
    assert(talk:request("make", { method = "POST", path = "/v1beta/models/gemini-3.8-flash:batchGenerateContent", body = BATCH, class = "billed" }))
    local tag, reply = talk:next(20)
    check.equal({ tag, reply.verdict, reply.attempts }, { "make", "failed", 1 })
    check.contains(reply.why, "may have taken")
    local made = 0
    for _, request in ipairs(server:requests(path)) do if request.path:find "batchGenerateContent" then made = made + 1 end end
    check.equal(made, 1)
  end)
end

server:stop()
