-- native.net: what Lua sees of services. The scenarios of each service stand in test_remote.lua.
local fake = dofile "tests/fake.lua"
local fs = require "native.fs"
local json = require "native.json"
local net = require "native.net"
local script = require "native.script"

local server <close> = fake.start()

local function open(scenario, options)
  local all = { service = "gemini", wire = "gemini", base = server:url(scenario), base_from = "environment", seconds = 20, log = "" }
  for key, value in pairs(options or {}) do all[key] = value end
  return net.talk(all)
end

local function question(bytes, more)
  local q = { model = "gemini-3.8-flash", user = "Caption it.", pictures = { { bytes = bytes, mime = "image/png" } }, max_tokens = 500 }
  for key, value in pairs(more or {}) do q[key] = value end
  return q
end

-- Runs Lua in a process of its own: in a folder with this .env, and with this environment alone.
local HOST = fake.program:gsub("/fake$", "/host")
local function apart(dotenv, environment, text)
  local folder = tmp "apart"
  assert(fs.make_folder(folder))
  if dotenv then assert(fs.write(folder .. "/.env", dotenv)) end
  assert(fs.write(folder .. "/inside.lua", 'local net = require "native.net"\ntest("inside", function()\n' .. text .. "\nend)\n"))
  local words = {}
  for name, value in pairs(environment or {}) do words[#words + 1] = ("%s='%s'"):format(name, value) end
  local out = io.popen(("d=$PWD; cd '%s' && ln -s \"$d/tests\" tests && env -i CALOTYPE_STORE=store %s '%s' inside.lua 2>&1"):format(folder,
    table.concat(words, " "), HOST:sub(1, 1) == "/" and HOST or "$d/" .. HOST))
  local said = out:read "a"
  out:close()
  check.contains(said, "counts 1 0 0")
  return said
end

-- --- The environment --------------------------------------------------------------------------------------------------------

test("settings come from the environment, then from .env, and say from where", function()
  apart("export A=' of the file '\nB=of the file\n\nEMPTY=\n", { B = "of the environment" }, [[
    check.equal({ net.env "A" }, { "of the file", ".env" })
    check.equal({ net.env "B" }, { "of the environment", "environment" })
    check.equal({ net.env "EMPTY" }, { nil, "nowhere" })
    check.equal({ net.env "C" }, { nil, "nowhere" })]])
end)

test("what looks like a key is not shown, only that it is there", function()
  apart("GEMINI_API_KEY=AQ.secret-of-the-file\n", { HF_TOKEN = "hf_secretsecretsecret" }, [[
    for _, name in ipairs { "GEMINI_API_KEY", "HF_TOKEN", "MY_PASSWORD", "A_SECRET", "hf_token" } do
      check.equal(check.refused("looks like a key", net.env(name)), "DENIED")
    end
    check.equal({ net.has_key { "GOOGLE_API_KEY", "GEMINI_API_KEY" } }, { "GEMINI_API_KEY", ".env" })
    check.equal({ net.has_key { "HF_TOKEN" } }, { "HF_TOKEN", "environment" })
    check.equal(net.has_key { "OPENAI_API_KEY" }, nil)
    check.equal(net.has_key {}, nil)
    check.fails("strings", net.has_key, { 5 })
    check.fails("8 are the most", net.has_key, { "a", "a", "a", "a", "a", "a", "a", "a", "a" })]])
end)

test("a broken .env is told with its line, never with what stands there", function()
  local said = apart("A=1\nthis is AQ.not-a-line\n", {}, [[
    for _, f in ipairs { function() return net.env "A" end, function() return net.has_key { "X_KEY" } end,
      function() return net.talk { service = "s", base = "http://127.0.0.1:1", keys = { "X_KEY" }, base_from = "environment" } end } do
      local _, message = f()
      check.equal(check.refused(".env: line 2", f()), "FORMAT")
      print(message)
    end]])
  check.ok(not said:find "not%-a%-line")
end)

-- --- Where keys may go --------------------------------------------------------------------------------------------------------

test("the key goes to the address that its own place names, and to this machine", function()
  apart("MY_KEY=AQ.secret-of-the-file\nOTHER=1\n", { OUTER_KEY = "AQ.secret-of-the-environment" }, [[
    local function talk(base, from, key)
      return net.talk { service = "s", wire = "gemini", base = base, base_from = from, keys = { key }, log = "" }
    end
    check.ok(talk("https://example.invalid", ".env", "MY_KEY")):close()
    check.ok(talk("https://example.invalid", "environment", "OUTER_KEY")):close()
    check.ok(talk("https://example.invalid", "environment", "MY_KEY")):close()
    check.ok(talk("https://example.invalid", "default", "OUTER_KEY")):close()
    check.ok(talk("https://example.invalid", ".env", "NO_KEY")):close()
    check.ok(talk("http://localhost:1", ".env", "OUTER_KEY")):close()
    check.equal(check.refused("OUTER_KEY from the environment: a key is not sent to where only a .env points", talk("https://example.invalid", ".env", "OUTER_KEY")), "DENIED")
    check.equal(check.refused("s needs a key: set NO_KEY", talk("https://example.invalid", "default", "NO_KEY")), "NOTFOUND")
    local open <close> = check.ok(talk("http://93.184.216.34", "environment", "OUTER_KEY"))
    check.ok(open:request(1, { path = "/x" }))
    local _, reply = open:next(5)
    check.equal(reply.verdict, "failed")
    check.contains(reply.why, "a key would go over the open net")]])
end)

test("the key arrives in the header of its service, and Lua never has it", function()
  local said = apart("MY_KEY=AQ.secret-of-the-file\n", {}, ([[
    local talk <close> = check.ok(net.talk { service = "gemini", wire = "gemini", base = "%s", base_from = ".env", keys = { "MY_KEY" }, log = "requests.log" })
    check.ok(talk:ask("t", { model = "gemini-3.8-flash", user = "Caption it.", pictures = { { bytes = "x", mime = "image/png" } } }))
    local _, reply = talk:next(20)
    print(tostring(talk), require("native.json").encode(reply), require("native.json").encode(talk:counts()))
    print(require("native.fs").read "requests.log")
    check.equal(reply.verdict, "done")]]):format(server:url "ok=key"))
  check.ok(not said:find("AQ.secret", 1, true))
  check.contains(said, '"verdict":"done"')
  check.equal(server:requests "ok=key"[1].headers["x-goog-api-key"], "AQ.secret-of-the-file")
end)

test("what CALOTYPE_DEBUG=2 shows has requests and connections, and no key", function()
  local said = apart("MY_KEY=AQ.secret-of-the-file\n", { CALOTYPE_DEBUG = "2" }, ([[
    local talk <close> = check.ok(net.talk { service = "gemini", wire = "gemini", base = "%s", base_from = ".env", keys = { "MY_KEY" }, log = "" })
    check.ok(talk:ask("t", { model = "gemini-3.8-flash", user = "Caption it.", pictures = { { bytes = "my picture", mime = "image/png" } } }))
    check.equal(select(2, talk:next(20)).verdict, "done")]]):format(server:url "echo503-once=debug"))
  check.contains(said, '"verdict":"503"')
  check.contains(said, '"verdict":"done"')
  check.contains(said, "127.0.0.1: ")
  for _, word in ipairs { "AQ.secret", "x-goog-api-key", "Caption it", "bXkgcGljdHVyZQ" } do check.ok(not said:find(word, 1, true), word) end
end)

test("certificates are looked at, and CALOTYPE_CA names one's own", function()
  if not os.execute "command -v openssl >/dev/null 2>&1" then skip "openssl is not installed: there is no server that speaks TLS" end
  local folder = tmp "tls"
  assert(fs.make_folder(folder))
  local secure = assert(io.popen(([[cd '%s' && openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
    -keyout key.pem -out cert.pem >openssl.log 2>&1; echo $$; exec openssl s_server -accept 0 -key key.pem -cert cert.pem -WWW 2>>openssl.log]]):format(folder)))
  local process, port = secure:read "l", nil
  for line in secure:lines() do -- the system chooses the port
    port = line:match "^ACCEPT .*:(%d+)$"
    if port then break end
  end
  if not port then error("openssl s_server did not begin: " .. fs.read(folder .. "/openssl.log")) end
  assert(fs.write(folder .. "/page", "HTTP/1.0 200 OK\r\n\r\nhello"))
  local ask = ([[
    local talk <close> = check.ok(net.talk { service = "s", base = "https://localhost:%d", base_from = ".env", keys = { "MY_KEY" }, attempts = %s, log = "" })
    check.ok(talk:request(1, { path = "/page" }))
    local _, reply = talk:next(30)
    %s]])
  local good, message = pcall(function()
    apart("MY_KEY=AQ.secret\n", { CALOTYPE_CA = folder .. "/cert.pem" }, ask:format(port, 5, 'check.equal({ reply.verdict, reply.status }, { "done", 200 })'))
    apart("MY_KEY=AQ.secret\n", {}, ask:format(port, 1, [[
      check.equal(reply.verdict, "failed")
      check.contains(reply.why, "localhost: no secure connection")
      check.contains(reply.why, "CALOTYPE_CA=FILE")]]))
    apart("MY_KEY=AQ.secret\n", { CALOTYPE_CA = folder .. "/cert.pem" }, ask:gsub("localhost", "127.0.0.1"):format(port, 1,
      'check.contains(reply.why, "no secure connection")')) -- a certificate for another name
  end)
  os.execute(("kill %s 2>/dev/null"):format(process)) -- it may have ended: said is why
  secure:close()
  if not good then error(message, 0) end
end)

test("recipes have no way to it", function()
  local env = {}
  for name, value in pairs(script.safe) do env[name] = value end
  local ok, refusal = script.call(assert(script.load('return require "native.net"', "recipe.lua", env)))
  check.equal(ok, false)
  check.contains(refusal.message, "require")
end)

-- --- Questions and replies ----------------------------------------------------------------------------------------------------

test("a tag is any value but nil, and comes back as it was", function()
  local talk <close> = check.ok(open "ok=tags")
  local tags = { "text", 7, 1.5, true, {}, print, false }
  for _, tag in ipairs(tags) do check.ok(talk:ask(tag, question "a picture")) end
  check.equal(talk:pending(), 7)
  local left = {}
  for i, tag in ipairs(tags) do left[tag] = i end
  for _ = 1, 7 do
    local tag, reply = talk:next(20)
    check.ok(left[tag], tostring(tag))
    left[tag] = nil
    check.equal({ reply.verdict, reply.text, reply.attempts, reply.status }, { "done", server:caption "a picture", 1, 200 })
    check.equal(reply.why, nil)
  end
  check.equal(next(left), nil)
  check.equal(talk:next(20), nil)
  check.fails("a tag is not nil", talk.ask, talk, nil, question "x")
  check.equal(tostring(talk), "talk (0 pending)")
end)

test("a schema and settings may be tables or JSON text", function()
  local talk <close> = check.ok(open "ok=schema")
  local schema = { type = "object", properties = { caption = { type = "string" } }, required = { "caption" } }
  for i, value in ipairs { schema, json.encode(schema) } do
    check.ok(talk:ask(i, question("a picture", { schema = value, settings = i == 1 and { seed = 5 } or '{"seed":5}' })))
    local _, reply = talk:next(20)
    check.equal(json.decode(reply.text).caption, server:caption "a picture")
  end
  local requests = server:requests "ok=schema"
  check.equal(requests[1].body, requests[2].body)
  check.equal(check.refused("no setting", talk:ask(1, question("x", { settings = { nonsense = 1 } }))), "ARG")
  check.equal(talk:pending(), 0)
end)

test("a room that is full refuses until a reply was taken", function()
  local talk <close> = check.ok(open("ok=room", { in_flight = 2 }))
  check.equal(talk:room(), 3)
  for i = 1, 3 do check.ok(talk:ask(i, question "x")) end
  check.equal(talk:room(), 0)
  check.equal(check.refused("pending", talk:ask(4, question "x")), "BUSY")
  check.ok(talk:next(20))
  check.equal(talk:room(), 1)
  check.ok(talk:ask(4, question "x"))
end)

test("time that is over gives nil, and the reply still comes", function()
  local talk <close> = check.ok(open "ok@400=slow")
  check.ok(talk:ask(1, question "x"))
  check.equal({ talk:next(0) }, {})
  check.equal({ talk:next(0.05) }, {})
  check.equal(select(2, talk:next(20)).verdict, "done")
end)

test("counts tell requests, what failed by kind, times and bytes", function()
  local talk <close> = check.ok(open "503-once=counts")
  check.equal(talk:counts().p50, nil)
  check.ok(talk:ask(1, question(("x"):rep(30000))))
  check.equal(select(2, talk:next(20)).attempts, 2)
  local counts = talk:counts()
  check.equal({ counts.requests, counts.ok, counts.errors }, { 2, 1, { ["503"] = 1 } })
  check.ok(counts.p50 > 0 and counts.p95 >= counts.p50 and counts.p99 >= counts.p95)
  check.ok(counts.bytes_sent > 80000 and counts.bytes_sent < 90000 and counts.bytes_received > 100)
end)

test("a bad key stops all that is queued, with what the service says", function()
  local talk <close> = check.ok(open("400key=stop", { in_flight = 1 }))
  for i = 1, 2 do check.ok(talk:ask(i, question "x")) end
  for i = 1, 2 do
    local tag, reply = talk:next(20)
    check.equal({ tag, reply.verdict }, { i, "stop" })
    check.contains(reply.why:lower(), "key")
  end
  check.equal(server:counts "400key=stop".requests, 1)
end)

-- --- Requests -----------------------------------------------------------------------------------------------------------------

test("any request of a service may be made, with or without a wire", function()
  for _, wire in ipairs { "gemini", false } do
    local talk <close> = check.ok(net.talk { service = "s", wire = wire or nil, base = server:url "ok=request", base_from = "environment", log = "" })
    if not wire then check.fails("no wire", talk.ask, talk, 1, question "x") end
    check.ok(talk:request("list", { path = "/v1beta/models?pageSize=50" }))
    local tag, reply = talk:next(20)
    check.equal({ tag, reply.verdict, reply.status }, { "list", "done", 200 })
    check.ok(#json.decode(reply.text).models > 0)
    check.ok(talk:request("no", { path = "/v1beta/nothing" }))
    _, reply = talk:next(20)
    check.ok(reply.verdict ~= "done" and reply.status >= 400)
    check.ok(#reply.why > 5)
  end
end)

test("a request that is no GET counts as billed unless it is said to be safe", function()
  local talk <close> = check.ok(open("cuthead-once=class", { wire = "gemini" }))
  check.ok(talk:request(1, { path = "/v1beta/models/a:batchGenerateContent", body = "{}" }))
  local _, reply = talk:next(20)
  check.equal({ reply.verdict, reply.attempts, reply.lost, reply.kind }, { "failed", 1, 1, "cut" })
  check.ok(talk:request(2, { path = "/v1beta/models/b:batchGenerateContent", body = "{}", class = "safe" }))
  _, reply = talk:next(20)
  check.equal(reply.attempts, 2)
  check.fails("safe or billed", talk.request, talk, 3, { path = "/x", class = "free" })
end)

-- --- Tape and log -------------------------------------------------------------------------------------------------------------

test("what was recorded is replayed without server, key and waiting", function()
  local tape = tmp "class.rec"
  local talk = check.ok(open("503-once=tape", { record = tape }))
  check.ok(talk:ask(1, question "a picture"))
  local _, first = talk:next(20)
  talk:close()
  local before = server:counts "503-once=tape".requests
  talk = check.ok(net.talk { service = "gemini", wire = "gemini", base = "https://nowhere.invalid", keys = { "NO_SUCH_KEY" }, replay = tape, log = "" })
  check.ok(talk:ask(1, question "a picture"))
  local _, again = talk:next(20)
  check.equal({ again.text, again.attempts, again.tokens, again.model }, { first.text, 2, first.tokens, first.model })
  check.ok(talk:ask(2, question "another"))
  _, again = talk:next(20)
  check.equal({ again.verdict, again.attempts }, { "failed", 1 })
  check.contains(again.why, "has no reply to this POST")
  talk:close()
  check.equal(server:counts "503-once=tape".requests, before)
  check.equal(check.refused("no.rec", open("ok", { replay = tmp "no.rec" })), "NOTFOUND")
  check.refused("not both", open("ok", { replay = tape, record = tape }))
end)

test("the log has a line for each attempt", function()
  local path = tmp "requests.log"
  local talk = check.ok(open("503-once=log", { log = path }))
  check.ok(talk:ask(1, question "a picture"))
  talk:next(20)
  talk:close()
  local lines = {}
  for line in fs.read(path):gmatch "[^\n]+" do lines[#lines + 1] = json.decode(line) end
  check.equal(#lines, 2)
  check.equal({ lines[1].service, lines[1].method, lines[1].status, lines[1].attempt, lines[1].verdict }, { "gemini", "POST", 503, 1, "503" })
  check.equal({ lines[2].status, lines[2].attempt, lines[2].verdict }, { 200, 2, "done" })
  check.contains(lines[2].url, "/v1beta/models/gemini-3.8-flash:generateContent")
end)

-- --- Misuse -------------------------------------------------------------------------------------------------------------------

test("a talk that makes no sense is told", function()
  check.fails("needs service and base", net.talk, {})
  check.fails("'morse' is none", open, "ok", { wire = "morse" })
  check.fails("'recipe' is not one of", open, "ok", { base_from = "recipe" })
  check.fails("0 to 1000000", open, "ok", { in_flight = -1 })
  check.refused("256 is the most", open("ok", { in_flight = 300 }))
  check.refused("ftp:// is not spoken", open("ok", { base = "ftp://x" }))
  local talk = check.ok(open "ok=misuse")
  check.fails("table expected", talk.ask, talk, 1)
  check.fails("a picture is", talk.ask, talk, 1, { user = "x", pictures = { { bytes = 5 } } })
  check.fails("16 are the most", talk.ask, talk, 1, { user = "x", pictures = (function()
    local many = {}
    for i = 1, 17 do many[i] = { bytes = "x", mime = "image/png" } end
    return many
  end)() })
  check.fails("schema", talk.ask, talk, 1, { user = "x", schema = 5 })
  check.fails("'path' is missing", talk.request, talk, 1, {})
  check.fails("'body'", talk.request, talk, 1, { path = "/x", body = {} })
  check.equal(check.refused("a path that begins with", talk:request(1, { path = "x" })), "ARG")
  check.equal(talk:pending(), 0)
  talk:close()
  talk:close()
  check.equal(tostring(talk), "talk (closed)")
  check.fails("the talk is closed", talk.next, talk)
  check.fails("the talk is closed", talk.ask, talk, 1, question "x")
end)

test("a talk that is dropped with questions under way is collected", function()
  for _ = 1, 20 do
    local talk = check.ok(open "ok@2000=dropped")
    for i = 1, 5 do check.ok(talk:ask({ i }, question "x")) end
    if _ % 2 == 0 then talk:next(0) end
  end
  collectgarbage()
  collectgarbage()
end)
