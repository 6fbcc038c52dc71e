-- The server that other tests talk to: whether it says what its names promise, looked at byte by byte.
local json = require "native.json"
local fake = dofile "tests/fake.lua"
local server = fake.start()

local PICTURE, BASE64 = "hello", "aGVsbG8=" -- to the server a picture is bytes
local SHA = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

local function http(method, path, body, headers)
  return ("%s %s HTTP/1.1\r\nHost: x\r\n%sConnection: close\r\nContent-Length: %d\r\n\r\n%s"):format(method, path, headers or "", #(body or ""), body or "")
end

local GEMINI = ('{"contents":[{"role":"user","parts":[{"inlineData":{"mimeType":"image/png","data":"%s"}},{"text":"Caption it."}]}]}'):format(BASE64)
local SCHEMA = GEMINI:sub(1, -2) .. ',"generationConfig":{"responseMimeType":"application/json","responseJsonSchema":{"type":"object",' ..
  '"properties":{"caption":{"type":"string"},"quality":{"type":"integer"},"tags":{"type":"array","items":{"type":"string"}}}}}}'

local function gemini(scenario, body, model, seconds)
  return server:send(http("POST", ("/s/%s/v1beta/models/%s:generateContent"):format(scenario, model or "gemini-3.8-flash"), body or GEMINI,
    "Content-Type: application/json\r\nx-goog-api-key: k\r\n"), seconds)
end
local function status(reply) return tonumber(reply:match "^HTTP/1%.%d (%d+)") end
local function body(reply) return reply:match "\r\n\r\n(.*)" end

test("a caption is a function of the picture's bytes, in the words of each service", function()
  local caption = server:caption(PICTURE)
  check.equal(caption, "a small test picture, 2cf24dba5fb0")
  local reply = json.decode(body(gemini "ok=words"))
  check.equal(reply.candidates[1].content.parts[1].text, caption)
  check.equal(reply.modelVersion, "gemini-3.8-flash")
  local openai = server:send(http("POST", "/s/ok=words/v1/chat/completions", ('{"model":"llava","messages":[{"role":"user","content":[' ..
    '{"type":"image_url","image_url":{"url":"data:image/png;base64,%s"}}]}]}'):format(BASE64)))
  check.equal(json.decode(body(openai)).choices[1].message.content, caption)
  local ollama = server:send(http("POST", "/s/ok=words/api/chat", ('{"model":"llava","messages":[{"role":"user","content":"x","images":["%s"]}]}'):format(BASE64)))
  check.equal(json.decode(body(ollama)).message.content, caption)
  local hf = server:send(http("POST", "/s/ok=words/hf-inference/models/blip", PICTURE, "Content-Type: image/jpeg\r\n"))
  check.equal(json.decode(body(hf))[1].generated_text, caption)
  check.equal(server:counts "ok=words".of, { [SHA] = { requests = 4, produced = 4, delivered = 4, barren = 0 } })
end)

test("a schema is filled with what it allows", function()
  local text = json.decode(body(gemini("ok=schema", SCHEMA))).candidates[1].content.parts[1].text
  local caption = server:caption(PICTURE)
  check.equal(json.decode(text), { caption = caption, quality = 7, tags = { caption } })
end)

test("faults come in turn, as often as the name says, per picture", function()
  local seen = {}
  for i = 1, 5 do seen[i] = status(gemini "503-twice,429fast-once=turn") end
  check.equal(seen, { 503, 503, 429, 200, 200 })
  local other = GEMINI:gsub("aGVs", "AAAA")
  check.equal(status(gemini("503-twice,429fast-once=turn", other)), 503)
  check.equal(server:counts "503-twice,429fast-once=turn".of[SHA], { requests = 5, produced = 2, delivered = 2, barren = 0 })
  check.equal(status(gemini "404-first=chain"), 404)
  check.equal(status(gemini("404-first=chain", nil, "gemini-3.6-flash")), 200)
  check.equal(status(gemini "404-first=chain"), 404)
end)

test("some pictures meet a fault, others never do", function()
  check.equal(status(gemini "503-some=half"), 503) -- 2cf2...
  check.equal(status(gemini("503-some=half", (GEMINI:gsub("aGVs", "AAAA")))), 200)
end)

test("what is paid and lost is told from what is delivered", function()
  for _, name in ipairs { "cut", "cuthead", "cutinhead", "reset", "resethead", "longer", "shorter", "chunkcut", "chunkbad", "truncated", "nobody", "garbage" } do
    gemini(name .. "-once=lost")
    gemini(name .. "-once=lost")
    check.equal(server:counts(name .. "-once=lost").of[SHA], { requests = 2, produced = 2, delivered = 1, barren = 0 }, name)
  end
  for _, name in ipairs { "blocked", "empty", "maxtokens", "thought", "safety", "half" } do
    gemini(name .. "-once=lost")
    check.equal(server:counts(name .. "-once=lost").of[SHA], { requests = 1, produced = 0, delivered = 0, barren = 1 }, name)
  end
end)

test("every fault answers as it is described", function()
  for _, fault in ipairs(server:faults()) do
    local reply = gemini(fault.name .. "=each", SCHEMA, nil, fault.name:find "^stall" and 2 or 60)
    local code = tonumber(fault.name:match "^%d%d%d")
    if fault.of ~= "all" then check.equal(status(reply), 200, fault.name)
    elseif fault.name:find "^echo" then
      check.contains(reply, ({ echo = "not valid: k.", echo503 = "with k now.", echolong = "the key k that", echocaption = "that says k and" })[fault.name])
    elseif code then check.equal(status(reply), code, fault.name)
    elseif fault.name:find "head$" and fault.name ~= "cutinhead" and fault.name ~= "endlesshead" then check.equal(reply, "", fault.name)
    elseif fault.name == "garbage" then check.ok(not status(reply))
    else check.equal(reply:find("HTTP/1.", 1, true), 1, fault.name)
    end
  end
end)

test("lengths that lie lie by ten bytes", function()
  local whole = #body(gemini "ok=length")
  for name, by in pairs { longer = 10, shorter = -10, cut = 0 } do
    local reply = gemini(name .. "=length")
    check.equal(tonumber(reply:match "Content%-Length: (%d+)"), whole + by)
    check.equal(#body(reply), name == "cut" and whole // 2 or whole)
  end
end)

test("a name that means nothing says so", function()
  check.contains(gemini "503-often", "once, twice, first, some or a number")
  check.contains(gemini "nosuch", 'there is no fault called \\"nosuch\\"')
end)

test("five of a hundred requests meet a fault, the same ones each time", function()
  local before, faulty = {}, 0
  for round = 1, 2 do
    for i = 1, 200 do
      local reply = gemini(("faults-50:7=%d"):format(round), (GEMINI:gsub("aGVs", ("%04d"):format(i))))
      local bad = not reply:find "^HTTP/1%.1 200" and 1 or 0
      faulty = faulty + bad
      if round == 1 then before[i] = bad else check.equal(bad, before[i]) end
    end
  end
  check.ok(faulty > 60 and faulty < 200, faulty)
end)

test("a file of the hub lies on another host, with its sha256, in ranges", function()
  local head = server:send(http("HEAD", "/s/ok=hub/a/b/resolve/main/unet/x-3000.bin"))
  check.equal(status(head), 302)
  local sum, where = head:match 'X%-Linked%-Etag: "(%x+)"', head:match "Location: http://localhost:%d+(%S+)"
  check.contains(head, "X-Linked-Size: 3000")
  local all = body(server:send(http("GET", where)))
  check.equal(require "native.hash".sha256(all), sum)
  local part = server:send(http("GET", where, nil, "Range: bytes=2990-\r\n"))
  check.equal(status(part), 206)
  check.equal(body(part), all:sub(2991))
  check.contains(part, "Content-Range: bytes 2990-2999/3000")
  check.equal(status(server:send(http("GET", where, nil, "Range: bytes=3000-\r\n"))), 416)
  check.equal(status(server:send(http("GET", where:gsub("ok=hub", "norange"), nil, "Range: bytes=2990-\r\n"))), 200)
  check.equal(status(server:send(http("HEAD", "/s/gated/a/b/resolve/main/x.bin"))), 403)
  check.contains(server:send(http("HEAD", "/s/gated/a/b/resolve/main/x.bin")), "X-Error-Code: GatedRepo")
  local small = server:send(http("GET", "/s/ok=hub/a/b/resolve/main/config.json"))
  check.equal(status(small), 200)
  check.equal(#json.decode(body(server:send(http("GET", "/s/ok=hub/api/models/a/b/tree/main?recursive=true")))), 12)
end)

test("a batch is made once per call, looked at, and paid per picture", function()
  local call = ('{"batch":{"displayName":"mine","inputConfig":{"requests":{"requests":[{"request":%s,"metadata":{"key":"a.png"}}]}}}}'):format(GEMINI)
  local made = json.decode(body(server:send(http("POST", "/s/ok=batch/v1beta/models/gemini-3.8-flash:batchGenerateContent", call))))
  check.equal(made.metadata.state, "BATCH_STATE_PENDING")
  local states, last = {}, nil
  for i = 1, 3 do
    last = json.decode(body(server:send(http("GET", "/s/ok=batch/v1beta/" .. made.name))))
    states[i] = last.metadata.state
  end
  check.equal(states, { "BATCH_STATE_PENDING", "BATCH_STATE_RUNNING", "BATCH_STATE_SUCCEEDED" })
  local result = last.metadata.output.inlinedResponses.inlinedResponses[1]
  check.equal(result.metadata.key, "a.png")
  check.equal(result.response.candidates[1].content.parts[1].text, server:caption(PICTURE))
  check.equal(server:counts "ok=batch".of[SHA].produced, 1)
  check.equal(#json.decode(body(server:send(http("GET", "/s/ok=batch/v1beta/batches")))).operations, 1)
  server:send(http("POST", "/s/cuthead=lostbatch/v1beta/models/m:batchGenerateContent", call))
  check.equal(#json.decode(body(server:send(http("GET", "/s/ok=batch/v1beta/batches")))).operations, 1)
end)

test("what arrived can be looked at, with long base64 as its length", function()
  gemini("ok=arrived", (GEMINI:gsub("aGVsbG8=", ("aGVs"):rep(100))))
  local arrived = server:requests "ok=arrived"
  check.equal(#arrived, 1)
  check.equal(arrived[1].headers["x-goog-api-key"], "k")
  check.contains(arrived[1].body, '"data":"<400>"')
  check.equal({ arrived[1].host, arrived[1].status, arrived[1].model, arrived[1].pictures }, { "main", 200, "gemini-3.8-flash", 1 })
end)

server:stop()
