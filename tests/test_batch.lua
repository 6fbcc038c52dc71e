-- native.batch, and a whole batch against the server of tests/fake through native.net.
local batch = require "native.batch"
local fake = dofile "tests/fake.lua"
local fs = require "native.fs"
local json = require "native.json"
local net = require "native.net"

local server <close> = fake.start()

local function question(bytes, more)
  local q = { user = "Caption it.", pictures = { { bytes = bytes, mime = "image/png" } }, max_tokens = 500, settings = { thinking = "low" } }
  for key, value in pairs(more or {}) do q[key] = value end
  return q
end

local function open(scenario)
  return net.talk { service = "gemini", wire = "gemini", base = server:url(scenario), base_from = "environment", attempts = 2, seconds = 20, log = "" }
end

local function request(talk, what)
  check.ok(talk:request("r", what))
  local _, reply = talk:next()
  return reply
end

local folder = tmp "batch"
local function new(name, keys, more)
  local b = batch.new { model = "gemini-3.8-flash", name = name, path = folder .. "/batch.jsonl", most_inside = more and more.inside, most_in_a_file = more and more.file }
  for _, key in ipairs(keys or { "one", "two", "three" }) do check.ok(b:add(key, question("bytes of " .. key))) end
  return b
end

test("a batch is a body with each question and its key", function()
  local b = new("my 1", { "a" })
  check.equal(#b, 1)
  check.contains(tostring(b), "1 questions")
  local asked = b:request()
  check.equal({ asked.method, asked.class, asked.path }, { "POST", "billed", "/v1beta/models/gemini-3.8-flash:batchGenerateContent" })
  local body = json.decode(asked.body)
  check.equal(body.batch.displayName, "my 1")
  local only = body.batch.inputConfig.requests.requests[1]
  check.equal(only.metadata.key, "a")
  check.equal(only.request.generationConfig.thinkingConfig.thinkingLevel, "low")
  check.fails("closed", function() b:request() end)
  check.fails("closed", function() b:add("b", question "x") end)
end)

test("what cannot be in a batch is told, and what is in it stays", function()
  local b = new("my 2", { "a" })
  check.equal(check.refused("gemini batch: b: gemini: there is no setting \"thinkin\"; did you mean thinking?", b:add("b", question("x", { settings = { thinkin = 1 } }))), "ARG")
  check.refused("a key", b:add("", question "x"))
  check.fails("table expected", b.add, b, "b", 5)
  check.fails("bytes = string", b.add, b, "b", { pictures = { 7 } })
  check.equal(#b, 1)
  check.ok(json.decode(b:request().body))
  check.fails("display name", batch.new, { model = "m", path = "x" })
  check.fails("model", batch.new, { name = "n", path = "x" })
  check.fails("path", batch.new, { model = "m", name = "n" })
  check.fails("most_inside", batch.new, { model = "m", name = "n", path = "x", most_inside = -1 })
  check.fails("nothing was added", function() new("n", {}):request() end)
end)

test("questions that are too many for a call are a file; one that is full says so", function()
  local b = new("my 3", { "a", "b", "c" }, { inside = 1100, file = 1000 })
  check.equal(check.refused("begin another one", b:add("d", question(("x"):rep(700)))), "LIMIT")
  local what, size = b:request()
  check.equal({ what, size }, { false, batch.size(folder .. "/batch.jsonl") })
  local lines = {}
  for line in fs.read(folder .. "/batch.jsonl"):gmatch "[^\n]+" do lines[#lines + 1] = json.decode(line) end
  check.equal({ lines[1].key, lines[2].key, lines[3].key, #lines }, { "a", "b", "c", 3 })
  check.equal(lines[1].request.generationConfig.thinkingConfig.thinkingLevel, "low")
  local call = batch.filed { model = "gemini-3.8-flash", name = "my 3", file = "files/x" }
  check.equal(json.decode(call.body).batch, { displayName = "my 3", inputConfig = { fileName = "files/x" } })
  b = new("my 4", { "a", "b", "c" }, { inside = 1100 })
  b:close() -- nothing was asked for: nothing is left
  check.equal(#fs.list(folder), 1)
end)

test("a batch is sent, asked for until it is ready, and its answers are those of the pictures", function()
  for _, scenario in ipairs { "ok=batch", "batchjob=batch", "batchslow=batch" } do
    local talk <close> = open(scenario)
    local reply = request(talk, new("mine"):request())
    check.equal(reply.verdict, "done")
    local b = batch.read(reply.status, reply.text)
    check.equal({ b.verdict, b.state, b.name, #b.answers }, { "done", "pending", "mine", 0 })
    for _ = 1, 10 do
      if b.state == "succeeded" then break end
      check.ok(b.state == "pending" or b.state == "running")
      reply = request(talk, { path = "/v1beta/" .. b.id })
      b = batch.read(reply.status, reply.text)
    end
    check.equal(b.state, "succeeded", scenario)
    check.equal(#b.answers, 3)
    for i, key in ipairs { "one", "two", "three" } do
      check.equal({ b.answers[i].key, b.answers[i].verdict, b.answers[i].text }, { key, "done", server:caption("bytes of " .. key) })
      check.ok(b.answers[i].tokens.input > 0 and b.answers[i].model == "gemini-3.8-flash")
    end
  end
end)

test("a question that failed in a batch is told alone; a failed or expired batch as a whole", function()
  local function ended(scenario)
    local talk <close> = open(scenario)
    local reply = request(talk, new("mine"):request())
    local b = batch.read(reply.status, reply.text)
    for _ = 1, 5 do
      if b.state ~= "pending" and b.state ~= "running" then break end
      reply = request(talk, { path = "/v1beta/" .. b.id })
      b = batch.read(reply.status, reply.text)
    end
    return b
  end
  local b = ended "batchitem=one"
  check.equal({ b.answers[1].key, b.answers[1].verdict }, { "one", "again" })
  check.contains(b.answers[1].why, "Internal error")
  check.equal(b.answers[2].verdict, "done")
  b = ended "batchfailed=one"
  check.equal(b.state, "failed")
  check.ok(#b.why > 10)
  b = ended "batchexpired=one"
  check.equal(b.state, "expired")
  check.contains(b.why, "smaller batches")
end)

test("a batch whose reply was lost is found by its name, and not made twice", function()
  local talk <close> = open "cut-once=lost"
  local reply = request(talk, new("mine-lost"):request())
  check.equal(reply.verdict, "failed")
  reply = request(talk, { path = "/v1beta/batches?pageSize=100" })
  local b, next_page = batch.find(reply.status, reply.text, "mine-lost")
  check.equal({ b.verdict, b.name, next_page }, { "done", "mine-lost", nil })
  check.contains(b.id, "batches/")
  check.equal(batch.find(reply.status, reply.text, "another").verdict, "empty")
end)

test("bytes that are no batch have a verdict, and lines that are broken are answers without a key", function()
  check.equal(batch.read(503, "").verdict, "again")
  check.equal(batch.read(200, "<html>").verdict, "refused")
  check.equal(batch.read(404, '{"error":{"code":404,"message":"gone"}}').verdict, "other_model")
  local list = batch.lines '{"key":"a","error":{"code":8,"message":"limit: 0"}}\n{"key":"b"'
  check.equal({ list[1].key, list[1].verdict, list[2].key, list[2].verdict }, { "a", "other_model", nil, "empty" })
  check.contains(list[2].why, "line 2")
  check.equal(batch.lines "", {})
end)

test("a key that a server quotes is not shown", function()
  local why = batch.read(400, '{"error":{"code":400,"message":"bad key AIza' .. ("x"):rep(35) .. ' here"}}').why
  check.ok(not why:find("AIzaxxx", 1, true), why)
  why = batch.lines('{"key":"a","error":{"code":3,"message":"bad key AIza' .. ("x"):rep(35) .. ' here"}}')[1].why
  check.ok(not why:find("AIzaxxx", 1, true), why)
end)
