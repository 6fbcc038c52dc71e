-- Batches whose questions go as a file: what becomes of them when the service, the net, the disk or a kill comes between.
local batch = require "native.batch"
local fake = dofile "tests/fake.lua"
local fs = require "native.fs"
local json = require "native.json"
local net = require "native.net"
local script = require "native.script"
local store = require "native.store"
local server = fake.start()

-- As few bytes as a test can wait for: eight small pictures are a file of four pieces.
local LIMITS = [[return { as_of = "2026-11-20", batch_limits = { gemini = { inside = %d, file = %d, piece = %d, files = %d } } }]]
local RECIPE = [[images "photos":caption { with = gemini { batch = true%s } }:export { as = "sidecars", to = "out/set" }]]

-- Without a wait between asking and answers, unless that is what a test is about.
local function quick(scenario)
  return scenario:find "batch" and scenario or scenario:gsub("^[^@=]*", "%0,batchfast", 1)
end

local function place_with(count, scenario, more)
  more = more or {}
  local place = fake.place(tmp "batch_file", count, 16)
  function place.env(to)
    to = quick(to)
    place.scenario = to
    place.write(".env", ("GEMINI_BASE_URL=%s\nGEMINI_API_KEY=%s\n"):format(server:url(to), fake.KEY))
  end
  function place.command(words, looks)
    return fake.command(place.folder, words or "a.lua", { CALOTYPE_MODELS = "limits.lua", CALOTYPE_STDLIB = fake.looks(looks or fake.SOON) })
  end
  -- Starts it and ends it when `when` is true of its rows, or after so many seconds. A batch is not looked at again by itself.
  function place.ended(when, signal)
    local command = place.command("a.lua", fake.NEVER)
    fake.ended(command, place.folder .. "/log", type(when) == "number" and when or function()
      local row = place.batches()[1]
      return row and when(row)
    end, signal)
  end
  function place.left() -- of files beside the store
    local names = {}
    for _, entry in ipairs(fs.list(place.folder .. "/store") or {}) do
      local name = entry.path:match "[^/]*$"
      if name:find "batch%-" then names[#names + 1] = name end
    end
    return names
  end
  place.env(scenario)
  place.write("a.lua", RECIPE:format(more.options or ""))
  place.write("limits.lua", LIMITS:format(more.inside or 6000, more.file or 100000, more.piece or 5000, more.files or 1000000))
  return place
end

local function requests(scenario, pattern)
  local found = {}
  for _, r in ipairs(server:requests(quick(scenario))) do
    if (r.method .. " " .. r.path .. " " .. (r.headers["x-goog-upload-command"] or "")):find(pattern) then found[#found + 1] = r end
  end
  return found
end

-- Every caption is there, paid once, and nothing of a batch is left, neither here nor at the service. Of a run that was killed when all was
-- taken, the next one that asks something deletes the file.
local function all_right(place, killed)
  place.all_right(server:counts(place.scenario))
  check.equal(place.spent().requests, #place.order)
  if killed and #place.batches() == 1 and place.batches()[1].id then return end
  check.equal(#place.batches(), 0)
  check.equal(place.left(), {})
  check.equal(server:get("/files/" .. place.scenario), "0\n")
end

local function runs_through(scenario, count, more)
  local place = place_with(count or 8, scenario, more)
  local code, text = place.run()
  check.equal(code, 0, text)
  all_right(place)
  return place, text
end

test("questions beyond what goes inside a call go as one file, in pieces", function()
  local place = runs_through "ok=file"
  local sent = requests("ok=file", "upload/v1beta/files upload")
  check.ok(#sent >= 4, #sent)
  local at = 0
  for i, piece in ipairs(sent) do
    check.equal(piece.headers["x-goog-upload-offset"], tostring(at))
    check.equal(piece.headers["x-goog-upload-command"], i == #sent and "upload, finalize" or "upload")
    check.equal(piece.headers["x-goog-api-key"], fake.KEY)
    check.ok(not piece.query:find(fake.KEY, 1, true))
    check.equal(i < #sent and piece.bytes or 5000, 5000)
    at = at + piece.bytes
  end
  check.equal(requests("ok=file", "files start")[1].headers["x-goog-upload-header-content-length"], tostring(at))
  check.equal(#requests("ok=file", ":batchGenerateContent"), 1)
  check.contains(requests("ok=file", ":batchGenerateContent")[1].body, '"fileName":"files/calotype-')
  local plain = place_with(8, "ok=inside", { inside = 20 << 20 })
  check.equal(plain.run(), 0)
  check.equal(#requests("ok=inside", "upload"), 0)
  check.near(place.spent().cost, plain.spent().cost, 1e-9)
  local log = fs.read(place.folder .. "/store/requests.log")
  check.ok(not log:find("upload_id", 1, true) and not log:find(fake.KEY, 1, true))
  local code, text = place.run()
  check.equal(code, 0, text)
  check.contains(text, "8 known")
end)

test("the store may be where it usually is, which is closed to recipes", function()
  local place = place_with(8, "ok=usual")
  local out = io.popen("(" .. place.command("a.lua"):gsub("CALOTYPE_STORE=store ", "") .. ") 2>&1; echo \"exit $?\"")
  local text = out:read "a"
  out:close()
  check.contains(text, "exit 0")
  check.equal(io.popen("ls -a " .. place.folder .. "/.calotype"):read("a"):find "batch%-", nil)
end)

test("a set beyond one file goes as several", function()
  local place = runs_through("ok=several", 12, { file = 20000 })
  local made = #requests(place.scenario, ":batchGenerateContent")
  check.ok(made >= 2 and made < 12, made)
end)

test("no more files lie at the service than it keeps: the next waits until one is done with", function()
  local place = runs_through("ok=room", 12, { file = 20000, files = 20000 })
  local open, most = 0, 0
  for _, r in ipairs(requests(place.scenario, "")) do
    if r.path:find ":batchGenerateContent" then open = open + 1 elseif r.method == "DELETE" then open = open - 1 end
    most = math.max(most, open)
  end
  check.equal(most, 1)
end)

test("faults on the way are gone around: nothing is sent twice that arrived, nothing made twice", function()
  for _, fault in ipairs { "piececut-once", "piececut-twice", "piecehalf-once", "piece503-once", "piecequiet-once", "piecelost-once", "piece400-once",
    "503-once", "429fast-once", "linebadonce", "lineorder", "linetwice", "answerscut", "batchslow", "batchjob" } do
    local place = runs_through(fault .. "=way")
    check.equal(#requests(place.scenario, ":batchGenerateContent"), fault:find "^503" and 2 or fault:find "^429" and 2 or 1, fault)
  end
end)

test("the last piece's lost reply is no second file", function()
  local place = runs_through("piececut-1=last", 8, { piece = 1000000 })
  check.equal(#requests(place.scenario, "files start"), 1)
  check.equal(#requests(place.scenario, "upload, finalize"), 1)
end)

test("pieces that never arrive: 75, and the next run sends the file that lies here", function()
  local place = place_with(8, "piecelost=never")
  local code, text = place.run()
  check.equal(code, 75, text)
  check.contains(text, "could not be sent")
  check.equal(#place.left(), 1)
  place.env "ok=then"
  code, text = place.run()
  check.equal(code, 0, text)
  check.contains(text, "8 questions of an earlier run is found again")
  all_right(place)
end)

test("an address at another host is refused, and nothing goes there", function()
  local place = place_with(8, "uploadelsewhere=x")
  local code, text = place.run()
  check.equal(code, 1, text)
  check.contains(text, "nothing is sent to another server")
  check.equal(#place.batches(), 0)
  check.equal(place.left(), {})
  for _, r in ipairs(server:requests(quick "uploadelsewhere=x")) do check.equal(r.host, "main") end
  check.equal(#requests("uploadelsewhere=x", "files upload"), 0)
end)

test("a service that takes no file, tells no address, or cannot read it: 1, and nothing is left", function()
  for scenario, words in pairs { ["uploadnowhere=x"] = "no address", ["filefull=x"] = "used up the storage", ["filefailed=x"] = "cannot read the file" } do
    local place = place_with(8, scenario)
    local code, text = place.run()
    check.equal(code, 1, text)
    check.contains(text, words)
    check.equal(#place.batches(), 0)
    check.equal(place.left(), {})
    check.equal(#requests(scenario, ":batchGenerateContent"), 0)
    check.equal(server:counts(quick(scenario)).produced, 0)
  end
end)

test("a file of another size than was sent is not used", function()
  local place = place_with(8, "uploadother=x")
  local code, text = place.run()
  check.equal(code, 75, text)
  check.contains(text, "do not arrive")
  check.equal(#requests("uploadother=x", ":batchGenerateContent"), 0)
end)

test("a file that is gone when the batch is made is sent again", function()
  local place = place_with(8, "filegone=x")
  local code, text = place.run()
  check.equal(code, 0, text)
  all_right(place)
end)

test("a file that cannot be deleted stops nobody", function()
  local place = place_with(8, "filestay=x")
  local code, text = place.run()
  check.equal(code, 0, text)
  check.equal(#place.batches(), 0)
  check.equal(place.left(), {})
end)

test("answers that are damaged or missing: the others are kept, the next run asks for those alone", function()
  for _, scenario in ipairs { "linebad", "linemissing" } do
    local place = place_with(8, scenario .. "=x")
    local code, text = place.run()
    check.equal(code, 75, text)
    check.contains(text, "7 captions written")
    check.contains(text, "the batch has no answer for it")
    check.equal(#requests(place.scenario, ":download"), 2) -- it may have been damaged on the way
    check.equal(#place.batches(), 0)
    check.equal(place.left(), {})
    place.env("ok=after_" .. scenario)
    code, text = place.run()
    check.equal(code, 0, text)
    check.contains(text, "7 known")
    check.equal(server:counts(quick("ok=after_" .. scenario)).produced, 1)
  end
end)

test("answers that the service keeps no longer are told, and asked for again by the next run", function()
  local place = place_with(8, "answersgone=x")
  local code, text = place.run()
  check.equal(code, 75, text)
  check.contains(text, "no answer")
  check.equal(#place.batches(), 0)
  check.equal(place.left(), {})
end)

test("a batch of a file that failed or expired takes its file with it", function()
  for _, scenario in ipairs { "batchfailed", "batchexpired" } do
    local place = place_with(8, scenario .. "=x")
    local code, text = place.run()
    check.equal(code, 75, text)
    check.equal(#place.batches(), 0)
    check.equal(place.left(), {})
    check.equal(#requests(place.scenario, "^DELETE /v1beta/files/"), 1)
  end
end)

local function again(place, told, killed)
  local code, text = place.run()
  check.equal(code, 0, text)
  if told then check.contains(text, told) end
  all_right(place, killed)
end

test("killed while it sends: the next run sends the file that lies here, and makes one batch", function()
  local place = place_with(8, "ok@60=sending")
  place.ended(function(row) return row.size and not row.file end)
  check.equal(#place.left(), 1)
  check.equal(#requests(place.scenario, ":batchGenerateContent"), 0)
  local code, text = place.run "plan a.lua"
  check.equal(code, 0, text)
  check.ok(not text:find "in a batch already", text) -- it is still to be paid
  again(place, "of an earlier run is found again")
end)

test("killed between sending and making: the file at the service is used", function()
  local place = place_with(8, "ok@400=between")
  place.ended(function(row) return row.file and not row.id end)
  again(place)
  check.equal(#requests(place.scenario, "files start"), 1)
  check.equal(#requests(place.scenario, ":batchGenerateContent"), 1)
end)

test("killed while it waits: the next run finds the batch and takes its answers", function()
  local place = place_with(8, "batchslow=waits")
  place.ended(function(row) return row.id end)
  again(place, "a batch of an earlier run is found again")
end)

test("killed while it fetches or takes the answers: each is taken and counted once", function()
  for i = 1, 4 do
    local place = place_with(40, ("ok@20=takes%d"):format(i), { file = 1000000 })
    place.ended(function(row)
      if not row.id then return false end
      return script.pause(0.03 * i)
    end)
    again(place, nil, true)
  end
end)

test("kill -9 at any moment", function()
  for i = 1, 8 do
    local place = place_with(10, ("ok@25=any%d"):format(i), { piece = 4000, file = 20000 })
    place.ended(0.04 + i * 0.09)
    again(place, nil, true)
  end
end)

test("Ctrl-C while it sends: nothing is made, 130, and the same command goes on", function()
  local place = place_with(8, "ok@120=ctrl")
  place.ended(function(row) return row.size and not row.file end, "INT")
  check.contains(fs.read(place.folder .. "/log"), "no batch was made yet")
  check.equal(#requests(place.scenario, ":batchGenerateContent"), 0)
  check.equal(#place.batches(), 1)
  again(place, "of an earlier run is found again")
end)

test("Ctrl-C while it waits: the batch goes on at the service", function()
  local place = place_with(8, "batchslow=leave")
  place.ended(function(row) return row.id end, "INT")
  check.contains(fs.read(place.folder .. "/log"), "the batch goes on at the service")
  again(place)
end)

-- A file that lies at the service, whole, and here, and whose batch was not made.
local function sent_only(scenario)
  local place = place_with(8, "create500=" .. scenario)
  local code, text = place.run()
  check.equal(code, 75, text)
  check.contains(text, "a batch could not be made")
  check.equal(server:get("/files/" .. place.scenario), "1\n")
  check.equal({ #place.batches(), place.batches()[1].id, #place.left() }, { 1, nil, 1 })
  return place, place.scenario
end

test("a batch that was not made is made of the file that lies at the service", function()
  local place, before = sent_only "used"
  place.env "ok=used"
  again(place, "8 questions of an earlier run is found again")
  check.equal(#requests(place.scenario, "files start"), 0)
  check.equal(server:get("/files/" .. before), "0\n")
end)

test("a file of an earlier run that is not wanted any more is taken away, here and at the service", function()
  local place, before = sent_only "unwanted"
  place.env "ok=unwanted"
  place.write("a.lua", RECIPE:format ', style = "tags"')
  local code, text = place.run()
  check.equal(code, 0, text)
  check.equal(#place.batches(), 0)
  check.equal(place.left(), {})
  check.equal(server:get("/files/" .. before), "0\n")
end)

test("a file that is gone after its 48 hours is sent again; or written again, where it is gone here too", function()
  for _, here in ipairs { true, false } do
    local place = sent_only("old" .. tostring(here))
    local talk <close> = net.talk { service = "gemini", wire = "gemini", base = server:url "ok", base_from = "environment", log = "" }
    talk:request("gone", { method = "DELETE", path = "/v1beta/" .. place.batches()[1].file })
    check.equal(select(2, talk:next()).verdict, "done")
    if not here then os.remove(place.folder .. "/store/" .. place.left()[1]) end
    place.env("ok=old" .. tostring(here))
    again(place, here and "of an earlier run is found again" or "a batch of 8 pictures was made")
    check.equal(#requests(place.scenario, "files start"), 1)
  end
end)

test("a picture more than the file of an earlier run has: that is forgotten, all go in one", function()
  local place = place_with(8, "ok@60=more")
  place.ended(function(row) return row.size and not row.file end)
  os.remove(place.folder .. "/photos/p0001.png")
  place.captions.p0001, place.order = nil, { table.unpack(place.order, 2) }
  again(place)
end)

test("a file whose deletion was cut off is deleted by the next run that asks", function()
  local place = place_with(8, "ok=rest")
  check.equal(place.run(), 0)
  local s = assert(store.open(place.folder .. "/store"))
  s:put("batches", "gemini", json.encode { { name = "calotype-rest", id = "batches/1", done = true, size = 7, file = "files/rest", question = "?", shas = {} } })
  s:close()
  place.write("a.lua", RECIPE:format ', style = "tags"')
  check.equal(place.run(), 0)
  check.equal(#place.batches(), 0)
  check.equal(#requests(place.scenario, "^DELETE /v1beta/files/rest"), 1)
end)

test("the ceiling is looked at before anything is sent, also of a file that lies there", function()
  local place = place_with(8, "ok@60=dear")
  place.ended(function(row) return row.size and not row.file end)
  place.write("a.lua", RECIPE:format ", spend = usd(0.02)")
  local code, text = place.run()
  check.equal(code, 1, text)
  check.contains(text, "ceiling of usd(0.02)")
  check.ok(place.spent().cost <= 0.02 and place.spent().requests >= 1)
  check.equal(#place.batches(), 0)
  check.equal(place.left(), {})
end)

test("what a disk refuses is told, and nothing is asked", function()
  local place = place_with(8, "ok=disk")
  local code, text
  place.write("store/x", "")
  local out = io.popen("(ulimit -f 12; " .. place.command "a.lua" .. ") 2>&1; echo \"exit $?\"")
  text = out:read "a"
  out:close()
  code = tonumber(text:match "exit (%d+)\n$")
  check.ok(code ~= 0, text)
  check.equal(#requests("ok=disk", ":batchGenerateContent"), 0)
  check.equal(place.run(), 0)
  all_right(place)
end)

test("limits of a file of one's own are checked", function()
  local place = place_with(1, "ok=limits")
  place.write("limits.lua", [[return { as_of = "2026-11-20", batch_limits = { gemini = { inside = 0.5 } } }]])
  local code, text = place.run "check a.lua"
  check.equal(code, 2)
  check.contains(text, "has batch_limits of gemini without")
end)

-- --- The parts of it --------------------------------------------------------------------------------------------------------

local function talk_to(scenario)
  return net.talk { service = "gemini", wire = "gemini", base = server:url(scenario), base_from = "environment", attempts = 1, seconds = 20, log = "" }
end

local function ask(talk, what)
  local ok, why, code = talk:request("r", what)
  if not ok then return nil, why, code end
  local _, reply = talk:next()
  return reply
end

test("a request to an address goes to this server or nowhere", function()
  local talk <close> = talk_to "ok=address"
  check.equal(ask(talk, { address = server:url("ok=address", "/v1beta/models") }).verdict, "done")
  check.equal(ask(talk, { address = ("http://127.0.0.1:%d/elsewhere"):format(server.port), keep = true }).status, 404)
  for _, address in ipairs { ("http://127.0.0.1:%d/v1beta/models"):format(server.other), ("https://127.0.0.1:%d/v1beta/models"):format(server.port),
    ("http://localhost:%d/v1beta/models"):format(server.port), ("http://127.0.0.1:%d.example.org/"):format(server.port), "http://example.org/" } do
    local reply, why, code = ask(talk, { address = address })
    check.equal(reply, nil, address)
    check.ok(code == "DENIED" or code == "ARG", why)
  end
  check.equal(select(3, ask(talk, { address = ("http://a:b@127.0.0.1:%d/"):format(server.port) })), "ARG")
  check.fails("path", function() ask(talk, {}) end)
end)

test("a reply becomes a file when it is a good one, and whole", function()
  local folder = tmp "to"
  local talk <close> = talk_to "ok=to"
  local path = folder .. "/reply"
  check.equal(ask(talk, { path = "/v1beta/models", to = path }).verdict, "done")
  check.contains(fs.read(path), "gemini-3.8-flash")
  assert(fs.write(path, "before"))
  for _, scenario in ipairs { "503=to", "cut=to", "404=to" } do
    local other <close> = talk_to(scenario)
    check.ok(ask(other, { path = "/v1beta/models", to = path, keep = true }).verdict ~= "done")
    check.equal(fs.read(path), "before", scenario)
  end
  check.equal(#fs.list(folder), 1)
  local reply = ask(talk, { path = "/v1beta/models", to = folder .. "/reply/below" })
  check.ok(not reply or reply.verdict == "failed")
end)

test("a piece of a file is those bytes; what is not there is told", function()
  local folder = tmp "piece"
  local talk <close> = talk_to "ok=piece"
  assert(fs.write(folder .. "/f", "0123456789"))
  ask(talk, { path = "/v1beta/models/x:nothing", piece = { file = folder .. "/f", from = 3, size = 4 }, keep = true, headers = { "X-Mine: 7" } })
  local sent = server:requests("ok=piece")[1]
  check.equal({ sent.body, sent.headers["x-mine"], sent.method }, { "3456", "7", "POST" })
  local reply, why, code = ask(talk, { path = "/x", piece = { file = folder .. "/f", from = 8, size = 4 } })
  check.equal({ reply, code }, { nil, "IO" })
  check.contains(why, "has only 10 bytes")
  check.equal(select(3, ask(talk, { path = "/x", piece = { file = folder .. "/g", size = 4 } })), "NOTFOUND")
  check.fails("piece", function() ask(talk, { path = "/x", piece = { size = 4 } }) end)
  check.fails("piece", function() ask(talk, { path = "/x", piece = 4 }) end)
end)

test("a refusal that is kept ends nothing; one that is not ends the talk", function()
  local talk <close> = talk_to "403=keep"
  check.equal(ask(talk, { path = "/v1beta/files/x", keep = true }).status, 403)
  check.equal(ask(talk, { path = "/v1beta/files/x", keep = true }).status, 403)
  check.equal(ask(talk, { path = "/v1beta/files/x" }).status, 403)
  check.equal(ask(talk, { path = "/v1beta/files/x", keep = true }).status, 0)
end)

test("files that no batch needs are swept away, others are not", function()
  local folder = tmp "sweep"
  for _, name in ipairs { "batch-a.jsonl", "batch-a.answers", "batch-b.jsonl", ".batch-b.jsonl.7-1.tmp", "batch-notes.txt", "other.jsonl" } do
    assert(fs.write(folder .. "/" .. name, "x"))
  end
  check.equal(batch.sweep(folder, { "b" }), 3)
  local names = {}
  for _, entry in ipairs(fs.list(folder)) do names[#names + 1] = entry.path:match "[^/]*$" end
  check.equal(names, { "batch-b.jsonl", "batch-notes.txt", "other.jsonl" })
  check.equal(batch.size(folder .. "/batch-b.jsonl"), 1)
  check.refused("no-such", batch.size(folder .. "/no-such"))
  check.ok(batch.remove(folder .. "/no-such"))
  check.refused("nowhere", batch.sweep(folder .. "/nowhere", {}))
  check.refused("no-such", batch.answers(folder .. "/no-such"))
  check.fails("files/abc", batch.filed, { model = "m", name = "n", file = "abc" })
end)

server:stop()
