-- Captions from services, from the recipe to the sidecar: the whole program against the server of tests/fake. All runs are started at once;
-- each test then looks at its own: exit code, what was said, captions, requests, and that the key is nowhere.
local fake = dofile "tests/fake.lua"
local fs = require "native.fs"
local json = require "native.json"
local store = require "native.store"

local server = fake.start()
local runs = {}

local OUT = [[ :export { as = "sidecars", to = "out" }]]
local function recipe(provider, more) return ([[images "photos" :caption { with = %s%s }%s]]):format(provider, more or "", OUT) end

-- A run: what of pictures there are, the recipe, the scenario, the environment; `check` sees { exit, said, captions, counts, requests, kept }.
local function run(name, options, look)
  local r = { name = name, look = look, pictures = options.pictures or 3, recipe = options.recipe or recipe "gemini {}", scenario = options.scenario or "ok",
    words = options.words or "run recipe.lua", environment = options.environment, files = options.files or {}, before = options.before, key = fake.KEY }
  r.scenario = ("%s=run%d"):format(r.scenario, #runs + 1)
  r.base = server:url(r.scenario)
  r.environment = { GEMINI_BASE_URL = r.base, GEMINI_API_KEY = fake.KEY }
  for key, value in pairs(options.environment or {}) do r.environment[key] = value ~= "" and value:gsub("BASE", r.base) or nil end
  runs[#runs + 1] = r
end

local function captioned(r, count)
  local got = 0
  for name, caption in pairs(r.captions) do
    local text = fs.read(("%s/out/%s.txt"):format(r.folder, name))
    if text then
      got = got + 1
      check.equal((text:gsub("\n$", "")), caption, name)
    end
  end
  check.equal(got, count, r.said)
end

local function ends(r, exit) check.equal(r.exit, exit, r.said) end

-- --- Answers ----------------------------------------------------------------------------------------------------------------

run("gemini captions each picture once and accounts for it", {}, function(r)
  ends(r, 0)
  captioned(r, 3)
  check.equal({ r.counts.requests, r.counts.delivered }, { 3, 3 })
  check.contains(r.said, "gemini: 3 captions, 3 requests")
  for _, request in ipairs(r.requests) do
    check.equal(request.headers["x-goog-api-key"], fake.KEY)
    check.equal({ request.headers.authorization, request.query, request.method }, { nil, "", "POST" })
    check.ok(not (request.path .. request.body):find(fake.KEY, 1, true))
    check.contains(request.body, "responseJsonSchema")
  end
  check.equal(r.kept[1].model, "gemini-3.8-flash")
end)

run("openai asks a server of its own, with a Bearer, and which model it has", { recipe = recipe "openai {}",
  environment = { GEMINI_BASE_URL = "", GEMINI_API_KEY = "", OPENAI_BASE_URL = "BASE/v1", OPENAI_API_KEY = fake.KEY } }, function(r)
  ends(r, 0)
  captioned(r, 3)
  check.equal({ r.requests[1].method, r.requests[1].path }, { "GET", "/v1/models" })
  check.equal(r.requests[2].headers.authorization, "Bearer " .. fake.KEY)
  check.equal(r.requests[2].model, "fake-vlm")
  check.equal(r.counts.delivered, 3)
end)

run("openai needs no key on this machine", { recipe = recipe "openai {}", environment = { GEMINI_BASE_URL = "", GEMINI_API_KEY = "", OPENAI_BASE_URL = "BASE" } },
  function(r)
    ends(r, 0)
    captioned(r, 3)
    check.equal(r.requests[2].headers.authorization, nil)
  end)

run("huggingface asks a chat model through its own address", { recipe = recipe [[huggingface { model = "org/vlm", task = "chat" }]],
  environment = { GEMINI_BASE_URL = "", GEMINI_API_KEY = "", HF_BASE_URL = "BASE", HF_TOKEN = fake.KEY } }, function(r)
  ends(r, 0)
  captioned(r, 3)
  check.equal({ r.requests[1].path, r.requests[1].model }, { "/v1/chat/completions", "org/vlm" })
end)

run("huggingface asks an endpoint that turns pictures into text, and waits while it loads", { recipe = recipe "huggingface {}", scenario = "503loading-once",
  environment = { GEMINI_BASE_URL = "", GEMINI_API_KEY = "", HF_BASE_URL = "BASE", HF_TOKEN = fake.KEY } }, function(r)
  ends(r, 0)
  captioned(r, 3)
  check.equal({ r.counts.requests, r.requests[1].headers.authorization }, { 6, "Bearer " .. fake.KEY })
end)

run("auto asks gemini when the environment says so", { recipe = recipe "auto {}", environment = { USE_GEMINI = "true", GEMINI_MODEL_NAME = "gemini-3.6-flash" } },
  function(r)
    ends(r, 0)
    captioned(r, 3)
    check.equal(r.requests[1].model, "gemini-3.6-flash")
  end)

run("the model that answered is kept with the caption", { scenario = "rerouted", pictures = 1 }, function(r)
  ends(r, 0)
  check.equal(r.kept[1].model, "gemini-9.9-surprise")
end)

run("a caption has no colour codes and no reversed writing", { scenario = "terminal", pictures = 1 }, function(r)
  ends(r, 0)
  local text = fs.read(r.folder .. "/out/p0001.txt")
  check.ok(not text:find "[\0-\8\11-\31\127]", ("%q"):format(text))
  check.ok(not text:find("\u{202e}", 1, true), ("%q"):format(text))
end)

-- --- Models ------------------------------------------------------------------------------------------------------------------

for scenario, why in pairs { ["404-first"] = "does not have this model", ["429day-first"] = "quota of the day", ["429zero-first"] = "limit: 0",
  ["429long-first"] = "minutes" } do
  run(("a model is left for the next one, and each caption says so (%s)"):format(scenario), { scenario = scenario }, function(r)
    ends(r, 0)
    captioned(r, 3)
    check.equal(r.counts.delivered, 3)
    for _, caption in ipairs(r.kept) do
      check.equal(caption.model, "gemini-3.6-flash")
      check.contains(caption.detail, why)
    end
  end)
end

run("when no model is left, what is open is told", { scenario = "429day" }, function(r)
  ends(r, 75)
  check.contains(r.said, "no model of gemini is left to ask")
  check.contains(r.said, "3 still without")
end)

-- --- Faults ------------------------------------------------------------------------------------------------------------------

run("three kinds of failure in a row, one caption each", { scenario = "503-once,cut-once,429fast-once" }, function(r)
  ends(r, 0)
  captioned(r, 3)
  check.equal({ r.counts.requests, r.counts.delivered }, { 12, 3 })
  check.contains(r.said, "9 errors")
end)

run("an answer without words is asked for again", { scenario = "empty-once" }, function(r)
  ends(r, 0)
  captioned(r, 3)
  check.equal({ r.counts.requests, r.counts.barren }, { 6, 3 })
end)

run("an answer that is cut is asked for again with more room", { scenario = "maxtokens-once", pictures = 1 }, function(r)
  ends(r, 0)
  captioned(r, 1)
  local first, second = r.requests[1].body:match '"maxOutputTokens":(%d+)', r.requests[2].body:match '"maxOutputTokens":(%d+)'
  check.equal(tonumber(second), 2 * tonumber(first))
end)

run("pictures that never get words are named, the others have theirs", { scenario = "empty-some", pictures = 8 }, function(r)
  check.contains(r.said, ("gemini had no usable words for %d pictures"):format(r.some))
  check.equal(#r.kept, 8 - r.some)
  check.equal(r.counts.requests, 8 + r.some) -- twice each
end)

run("blocked pictures are named and not asked again", { scenario = "blocked-some", pictures = 8 }, function(r)
  check.contains(r.said, ("gemini blocked %d pictures"):format(r.some))
  check.equal(#r.kept, 8 - r.some)
  check.equal(r.counts.requests, 8)
end)

run("a page that says 200 is no caption", { scenario = "html200", pictures = 1 }, function(r)
  captioned(r, 0)
  check.contains(r.said, "Please log in")
end)

run("a login page in the way ends the run after three pictures, and is not told twice", { scenario = "html200", pictures = 40 }, function(r)
  ends(r, 1)
  check.contains(r.said, "error: Gemini answered with a web page titled Please log in")
  check.ok(r.counts.requests < 40, r.counts.requests)
end)

run("models that are gone for one reason are told together", { scenario = "404", pictures = 1 }, function(r)
  ends(r, 1)
  check.contains(r.said, "(gemini-3.8-flash, gemini-3.6-flash, ")
  check.equal(select(2, r.said:gsub("does not have this model", "")), 1)
end)

run("a quota of the day is told once for all models", { scenario = "429day", pictures = 1 }, function(r)
  ends(r, 75)
  check.equal(select(2, r.said:gsub("quota of the day", "")), 1)
  check.equal(select(2, r.said:gsub("name another model", "")), 1)
end)

run("a wrong key ends the run at once, in words", { scenario = "400key", pictures = 40 }, function(r)
  ends(r, 1)
  check.contains(r.said, "does not accept the key")
  check.ok(r.counts.requests <= 20, r.counts.requests) -- those that were under way
end)

run("a key that the server quotes is not shown", { scenario = "echo" }, function(r)
  ends(r, 1)
  check.contains(r.said, "not valid: <GEMINI_API_KEY>")
end)

run("a key that a server of one's own quotes when it is asked for its models is not shown", { scenario = "echo", recipe = recipe "openai {}",
  environment = { GEMINI_BASE_URL = "", GEMINI_API_KEY = "", OPENAI_BASE_URL = "BASE", OPENAI_API_KEY = fake.KEY } }, function(r)
  check.ok(r.exit ~= 0)
  check.contains(r.said, "<OPENAI_API_KEY>")
end)

run("a key that the server quotes in a failure that is tried again is not kept", { scenario = "echo503-once", pictures = 1,
  recipe = recipe [[gemini { record = "class.rec" }]] }, function(r)
  ends(r, 0)
  check.ok(#fs.read(r.folder .. "/class.rec") > 100)
end)

local CLOSED = "127.0.0.1:" .. server.closed
run("nobody listens", { environment = { GEMINI_BASE_URL = "http://" .. CLOSED } }, function(r)
  ends(r, 75)
  check.contains(r.said, "error: " .. CLOSED .. " cannot be reached: Connection refused (after 5 attempts)")
end)

-- --- Keys and addresses ------------------------------------------------------------------------------------------------------

run("without a key nothing is sent, and it is said what to do", { environment = { GEMINI_API_KEY = "", GEMINI_BASE_URL = "" } }, function(r)
  check.ok(r.exit ~= 0)
  check.contains(r.said, "GEMINI_API_KEY")
  check.equal(r.counts.requests, 0)
end)

run("a key under a name that nearly is one is told", { recipe = recipe "gemini {}", environment = { GEMINI_API_KEY = "", GEMINI_BASE_URL = "" },
  files = { [".env"] = "GEMINI_API_KEI=AQ.0123456789abcdef\n" } }, function(r)
  ends(r, 2)
  check.contains(r.said, ".env has GEMINI_API_KEI; did you mean GEMINI_API_KEY?")
  check.ok(not r.said:find("AQ.0123", 1, true))
end)

run("auto {} tells a name in .env that nearly is one", { recipe = recipe "auto {}", environment = { GEMINI_API_KEY = "", GEMINI_BASE_URL = "" },
  files = { [".env"] = "USE_GEMNI=1\n" } }, function(r)
  check.ok(r.exit ~= 0)
  check.contains(r.said, ".env has USE_GEMNI; did you mean USE_GEMINI?")
end)

run("key and address may come from .env", { environment = { GEMINI_API_KEY = "", GEMINI_BASE_URL = "" }, files = { [".env"] = "GEMINI_API_KEY='KEY'\nexport GEMINI_BASE_URL=BASE\n" },
  key = false }, function(r)
  ends(r, 0)
  captioned(r, 3)
  check.equal(r.requests[1].headers["x-goog-api-key"], fake.KEY)
end)

run("a key of the environment is not sent where only a .env points", { environment = { GEMINI_BASE_URL = "" },
  files = { [".env"] = "GEMINI_BASE_URL=http://192.0.2.1:9\n" } }, function(r)
  check.ok(r.exit ~= 0)
  check.contains(r.said, "a key is not sent to where only a .env points")
end)

run("the log of requests has every attempt and no secret", { scenario = "503-once", environment = { CALOTYPE_DEBUG = "2" }, pictures = 2,
  recipe = [[images "photos" :caption { with = gemini { record = "class.rec" } } :report { to = "report.html" }]] }, function(r)
  ends(r, 0)
  local log = fs.read(r.folder .. "/store/requests.log") or fs.read(r.folder .. "/.calotype/requests.log")
  check.ok(log, "no log")
  local lines = 0
  for line in log:gmatch "[^\n]+" do
    local entry = assert(json.decode(line))
    check.equal({ entry.service, entry.method }, { "gemini", "POST" })
    check.ok(entry.status == 503 or entry.status == 200)
    lines = lines + 1
  end
  check.equal(lines, 4)
end)

-- --- Money -------------------------------------------------------------------------------------------------------------------

run("a ceiling stops before the question that could cross it", { recipe = recipe "gemini { spend = usd(0.01) }", pictures = 12 }, function(r)
  check.ok(r.exit ~= 0)
  check.contains(r.said, "ceiling")
  check.ok(r.counts.requests < 12)
end)

-- --- All of them, at once ----------------------------------------------------------------------------------------------------

local function play()
  local script = {}
  for i, r in ipairs(runs) do
    r.folder = tmp "run"
    fs.make_folder(r.folder)
    r.captions, r.order = fake.pictures(r.folder .. "/photos", r.pictures)
    r.some = 0
    for _, sha in ipairs(r.order) do if sha:find "^[0-7]" then r.some = r.some + 1 end end
    assert(fs.write(r.folder .. "/recipe.lua", r.recipe))
    for name, text in pairs(r.files) do
      local file = assert(io.open(r.folder .. "/" .. name, "w"))
      file:write((text:gsub("KEY'", fake.KEY .. "'"):gsub("BASE$", r.base):gsub("BASE\n", r.base .. "\n")))
      file:close()
    end
    script[i] = ("(%s) >'%s/said' 2>&1; echo $? >'%s/exit'"):format(fake.command(r.folder, r.words, r.environment), r.folder, r.folder)
  end
  local file = tmp "all.sh"
  assert(fs.write(file, "{ " .. table.concat(script, "; } &\n{ ") .. "; } &\nwait\n"))
  os.execute("sh " .. file)
  for _, r in ipairs(runs) do
    r.exit, r.said = tonumber(fs.read(r.folder .. "/exit")), fs.read(r.folder .. "/said")
    r.counts, r.requests = server:counts(r.scenario), server:requests(r.scenario)
    r.kept = {}
    local s = store.open(r.folder .. "/store", { existing = true })
    if s then
      for _, sha in ipairs(r.order) do for _, caption in ipairs(s:captions(sha)) do r.kept[#r.kept + 1] = caption end end
      s:close()
    end
  end
end

local played, trouble = xpcall(play, debug.traceback)
test("all runs end", function() check.ok(played, trouble) end)
for _, r in ipairs(runs) do
  test(r.name, function()
    check.ok(r.exit, "no exit code")
    r.look(r)
    local out = io.popen(("grep -rlF '%s' '%s' 2>/dev/null"):format(fake.KEY, r.folder))
    local found = out:read "a"
    out:close()
    check.equal((found:gsub("[^\n]*/%.env\n", "")), "", "the key lies in a file")
  end)
end

-- --- Ctrl-C, and tapes -------------------------------------------------------------------------------------------------------

local function place(count, text)
  local folder = tmp "place"
  fs.make_folder(folder)
  local captions, order = fake.pictures(folder .. "/photos", count)
  assert(fs.write(folder .. "/recipe.lua", text))
  return folder, captions, order
end

local function shell(command)
  local out = io.popen(command)
  local text = out:read "a"
  out:close()
  return text
end

test("Ctrl-C keeps what has come, and the next run asks for the rest alone", function()
  local folder, captions = place(60, recipe "gemini { in_flight = 4 }")
  local scenario = "ok@200=ctrl-c"
  local command = fake.command(folder, "run recipe.lua", { GEMINI_BASE_URL = server:url(scenario), GEMINI_API_KEY = fake.KEY })
  local text = shell(([[(%s) >%s/said 2>&1 & p=$!; %s; kill -INT $p; wait $p; echo "exit $?"]]):format(command, folder,
    server:until_requests(scenario, 10)))
  check.contains(text, "exit 130")
  local first = server:counts(scenario)
  check.ok(first.requests > 0 and first.requests < 60, first.requests)
  check.equal(first.delivered, first.produced) -- what was under way was waited for
  local asks = fs.read(folder .. "/said"):match "waiting up to 20 s for (%d) answers? under way, paid for already; Ctrl%-C again does not wait"
  check.ok(asks and tonumber(asks) <= 4, fs.read(folder .. "/said"))
  check.equal(shell(("(%s) >/dev/null 2>&1; echo $?"):format(command)), "0\n")
  check.equal(server:counts(scenario).produced, 60)
  captioned({ captions = captions, folder = folder }, 60)
end)

test("a second Ctrl-C leaves at once, and what is on its way is told", function()
  local folder = place(6, recipe "gemini { in_flight = 3 }")
  local scenario = "ok@60000=twice"
  local command = fake.command(folder, "run recipe.lua", { GEMINI_BASE_URL = server:url(scenario), GEMINI_API_KEY = fake.KEY })
  local text = shell(([[(%s) >%s/said 2>&1 & p=$!; %s; kill -INT $p
    n=0; while [ $n -lt 3000 ] && ! grep -q 'waiting up to 20 s' %s/said; do sleep 0.02; n=$((n + 1)); done
    began=$(date +%%s); kill -INT $p; wait $p; echo "exit $? after $(($(date +%%s) - began)) s"]]):format(command, folder, server:until_requests(scenario, 3), folder))
  check.contains(text, "exit 130")
  check.ok(tonumber(text:match "after (%d+) s") < 15, text) -- after one Ctrl-C alone it would be 20
  check.contains(fs.read(folder .. "/said"), "3 answers of gemini were under way and may be paid, but will not be kept")
end)

test("answers that do not come within 20 s of Ctrl-C are told, for they may be paid", function()
  local folder = place(6, recipe "gemini { in_flight = 3 }")
  local scenario = "ok@60000=left"
  local command = fake.command(folder, "run recipe.lua", { GEMINI_BASE_URL = server:url(scenario), GEMINI_API_KEY = fake.KEY })
  local text = shell(([[(%s) >%s/said 2>&1 & p=$!; %s; kill -INT $p; wait $p; echo "exit $?"]]):format(command, folder,
    server:until_requests(scenario, 3)))
  check.contains(text, "exit 130")
  local said = fs.read(folder .. "/said")
  check.contains(said, "3 answers of gemini were under way and may be paid, but will not be kept")
  check.ok(said:find "stopping: 3 under way, 1?%d s at most", said)
  check.contains(said, "go on with: calotype run recipe.lua")
end)

test("a tape plays without key and server, the same captions", function()
  local folder, captions = place(5, recipe [[gemini { record = "class.rec" }]])
  local scenario = "503-once=tape"
  check.equal(shell(("(%s) >/dev/null 2>&1; echo $?"):format(fake.command(folder, "run recipe.lua", { GEMINI_BASE_URL = server:url(scenario),
    GEMINI_API_KEY = fake.KEY }))), "0\n")
  local before = server:counts(scenario).requests
  local other = place(5, recipe [[gemini { replay = "class.rec" }]])
  assert(fs.write(other .. "/class.rec", fs.read(folder .. "/class.rec")))
  local said = shell(("(%s) 2>&1; echo $?"):format(fake.command(other, "run recipe.lua", { GEMINI_BASE_URL = "http://" .. CLOSED })))
  check.contains(said, "\n0\n")
  captioned({ captions = captions, folder = other, said = said }, 5)
  check.equal(server:counts(scenario).requests, before)
end)

server:stop()
