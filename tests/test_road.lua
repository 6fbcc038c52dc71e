-- The whole road of a caption: the README's recipe, the program, .env, a server. What the server counted is what was paid.
local fake = dofile "tests/fake.lua"
local fs = require "native.fs"
local json = require "native.json"
local server = fake.start()

local function readme()
  local file = assert(io.open "README.md")
  local text = file:read("a"):match "<!%-%- gemini%.lua %-%->\n```lua\n(.-)```"
  file:close()
  return assert(text)
end

-- A folder with pictures of its own and a .env that names the server.
local function place_with(count, scenario, lines)
  local place = fake.place(tmp "road", count, 200)
  function place.env(to, more)
    place.write(".env", ("GEMINI_BASE_URL=%s\nGEMINI_API_KEY=%s\n%s"):format(server:url(to), fake.KEY, more or ""))
  end
  place.env(scenario, lines)
  return place
end

local RECIPE = [[images "photos":caption { with = %s }:export { as = "sidecars", to = "out/set" }]]

test("the README's recipe runs, and a second run asks nobody", function()
  local place = place_with(12, "ok=readme")
  place.write("gemini.lua", (readme():gsub("side_below = 512", "side_below = 8")))
  local code, text = place.run "gemini.lua"
  check.equal(code, 0, text)
  check.contains(text, "captions: 12 written")
  check.contains(text, "gemini: 12 captions, 12 requests, $0.0")
  check.ok(fs.stat(place.folder .. "/out/ide_main_hall.zip"))
  local counts = server:counts "ok=readme"
  check.equal({ counts.requests, counts.produced }, { 12, 12 })
  code, text = place.run "gemini.lua"
  check.equal(code, 0, text)
  check.contains(text, "12 known")
  check.equal(server:counts("ok=readme").requests, 12)
  code, text = place.run "plan gemini.lua"
  check.equal(code, 0, text)
  check.contains(text, "asks nobody, costs nothing")
  local asked = server:requests("ok=readme")[1]
  check.contains(asked.path, "/v1beta/models/gemini-3.8-flash:generateContent")
end)

test("check and plan send nothing", function()
  local place = place_with(3, "ok=silent")
  place.write("a.lua", RECIPE:format "gemini {}")
  check.equal(place.run "check a.lua", 0)
  check.equal(place.run "info a.lua", 0)
  local code, text = place.run "plan a.lua"
  check.equal(code, 0, text)
  check.contains(text, "3 to ask for")
  check.equal(server:counts("ok=silent").requests, 0)
end)

test("faults on the way cost time, never a second payment", function()
  local place = place_with(6, "503-once,429fast-once=road")
  place.write("a.lua", RECIPE:format "gemini {}")
  local code, text = place.run "a.lua"
  check.equal(code, 0, text)
  check.contains(text, "18 requests (12 errors")
  place.all_right(server:counts "503-once,429fast-once=road")
end)

test("a model that is gone is left, and its successor's captions say so", function()
  local place = place_with(4, "404-first=road")
  place.write("a.lua", RECIPE:format "gemini {}")
  local code, text = place.run "a.lua"
  check.equal(code, 0, text)
  place.all_right(server:counts "404-first=road")
  code, text = place.run "captions log photos/p0001.png"
  check.equal(code, 0, text)
  check.contains(text, "gemini-3.6-flash")
end)

test("blocked pictures are named and left, and not sent again", function()
  local place = place_with(8, "blocked-some=road")
  place.write("a.lua", [[images "photos":caption { with = gemini {} }:report { to = "out/r.html" }]])
  local code, text = place.run "a.lua"
  check.equal(code, 0, text)
  local blocked = 0
  for _, sha in ipairs(place.order) do if sha:sub(1, 1) <= "7" then blocked = blocked + 1 end end
  check.contains(text, ("gemini blocked %d picture"):format(blocked))
  local before = server:counts("blocked-some=road").requests
  code = place.run "a.lua"
  check.equal(code, 0)
  check.equal(server:counts("blocked-some=road").requests, before)
end)

test("a key that is not valid stops everything with what to do", function()
  local place = place_with(12, "400key=road")
  place.write("a.lua", RECIPE:format "gemini { in_flight = 1 }")
  local code, text = place.run "a.lua"
  check.equal(code, 1, text)
  check.contains(text, "error: Gemini does not accept the key")
  check.equal(server:counts("400key=road").requests, 1)
end)

test("no server at all: the sentence names the host, 75 says to try again", function()
  local place = place_with(5, "ok")
  place.write(".env", "GEMINI_BASE_URL=http://127.0.0.1:9\nGEMINI_API_KEY=" .. fake.KEY)
  place.write("a.lua", RECIPE:format "gemini { in_flight = 4 }")
  local code, text = place.run "a.lua"
  check.equal(code, 75, text)
  check.contains(text, "127.0.0.1")
end)

test("a recording is played back without a key and without the net", function()
  local place = place_with(3, "ok=tape")
  place.write("a.lua", RECIPE:format 'gemini { record = "class.rec" }')
  local code, text = place.run "a.lua"
  check.equal(code, 0, text)
  check.ok(not fs.read(place.folder .. "/class.rec"):find(fake.KEY, 1, true))
  place.write(".env", "")
  place.write("b.lua", RECIPE:format 'gemini { replay = "class.rec" }')
  code, text = place.run("b.lua", { CALOTYPE_STORE = "other" })
  check.equal(code, 0, text)
  check.contains(text, "replayed, nothing paid")
  check.equal(server:counts("ok=tape").requests, 3)
end)

test("Ctrl-C keeps what came; the same command goes on, and nothing is paid twice", function()
  local place = place_with(40, "ok@300=stop")
  place.write("a.lua", RECIPE:format "gemini { in_flight = 4 }")
  local done = place.folder .. "/log"
  -- what a shell starts in the background hears no Ctrl-C; TERM is heard as one
  fake.ended(place.command "a.lua", done, function() return os.execute(server:until_requests("ok@300=stop", 8)) end, "TERM")
  local text = fs.read(done)
  check.contains(text, "go on with: calotype run a.lua")
  local first = server:counts "ok@300=stop"
  check.ok(first.requests > 0 and first.requests < 40, text)
  local code, rest = place.run "a.lua"
  check.equal(code, 0, rest)
  place.all_right(server:counts "ok@300=stop")
end)

test("two runs at once in one folder pay once for each picture", function()
  local place = place_with(12, "ok@60000=two")
  place.write("a.lua", RECIPE:format "gemini { in_flight = 12 }")
  local one = io.popen(place.command "a.lua" .. " 2>&1")
  os.execute(server:until_requests("ok@60000=two", 1))
  local two = io.popen(("(%s) >%s/two 2>&1; echo $?"):format(place.command "a.lua", place.folder))
  local function said() return fs.read(place.folder .. "/two") or "" end
  for _ = 1, 600 do
    if said():find "another run asks" then break end
    os.execute "sleep 0.1"
  end
  server:ready "ok@60000=two"
  local other, code = one:read "a", two:read "n"
  local text = said()
  one:close()
  two:close()
  check.equal(code, 0, text)
  check.contains(text, "another run asks with this store; waiting, so that nothing is computed or paid twice")
  check.contains(text .. other, "captions: 12 known")
  place.all_right(server:counts "ok@60000=two")
end)

test("a key that a service quotes, in a caption or where a sentence is cut, is neither shown nor kept", function()
  local half = fake.KEY:sub(1, 12)
  for _, scenario in ipairs { "echocaption", "echolong" } do
    local place = place_with(1, scenario)
    place.write("a.lua", RECIPE:format 'gemini { record = "a.rec" }')
    local code, text = place.run "a.lua"
    check.equal(code, scenario == "echolong" and 1 or 0, text)
    check.contains(text, scenario == "echolong" and "<GEMINI_API_KEY>" or "captions: 1 written")
    check.ok(not text:find(half, 1, true), text)
    local where = io.popen(("cd '%s' && grep -rlaF '%s' . --exclude=.env"):format(place.folder, half)):read "a"
    check.equal(where, "")
    if scenario == "echocaption" then check.equal(place.captions_written().p0001, "a note that says <GEMINI_API_KEY> and <GEMINI_API_KEY>") end
  end
end)

test("no answer that is lost on the way, nor its next attempts, crosses the ceiling", function()
  local models, money, prompts = require "caption.models", require "caption.money", require "caption.prompts"
  local most = money.most(models.find("gemini", "gemini-3.8-flash"), prompts.build {}, "high", 2048, 200, 200)
  for _, many in ipairs { 1.5, 3.5, 12.5 } do
    local scenario = ("cut=ceiling%g"):format(many)
    local place = place_with(6, scenario)
    place.write("a.lua", RECIPE:format(("gemini { in_flight = 2, spend = usd(%.9f) }"):format(many * most)))
    local code, text = place.run "a.lua"
    check.ok(code == 1 or code == 75, text)
    local counts = server:counts(scenario)
    check.ok(counts.produced >= 1 and counts.produced <= many, ("%d answers may be paid; the ceiling is that of %g"):format(counts.produced, many))
  end
end)

test("openai: a server of one's own, free, its only model found", function()
  local place = place_with(3, "ok=own")
  place.write(".env", ("OPENAI_BASE_URL=%s/v1\n"):format(server:url "ok=own"))
  place.write("a.lua", RECIPE:format "openai { free = true }")
  local code, text = place.run "a.lua"
  check.equal(code, 0, text)
  check.contains(text, "free")
  place.all_right(server:counts "ok=own")
end)

test("huggingface: an endpoint that captions, loading first", function()
  local place = place_with(2, "503loading-once=hf")
  place.write(".env", ("HF_BASE_URL=%s\n"):format(server:url "503loading-once=hf"))
  place.write("a.lua", RECIPE:format 'huggingface { free = true, model = "Salesforce/blip-image-captioning-base" }')
  local code, text = place.run "a.lua"
  check.equal(code, 0, text)
  place.all_right(server:counts "503loading-once=hf")
end)

test("an ensemble of two: both asked, the sentence that agrees is taken", function()
  local place = place_with(2, "ok=both", ("OPENAI_BASE_URL=%s\n"):format(server:url "ok=both"))
  place.write("a.lua", RECIPE:format 'ensemble { gemini {}, openai { model = "llava" } }')
  local code, text = place.run "a.lua"
  check.equal(code, 0, text)
  check.equal(server:counts("ok=both").requests, 4)
  local written = place.captions_written()
  for name, caption in pairs(place.captions) do check.equal(written[name]:gsub("%s+$", ""), caption) end
end)

test("a .env that names its own server gets no key of the environment's", function()
  local place = place_with(1, "ok=thief")
  place.write(".env", "GEMINI_BASE_URL=https://thief.invalid\n")
  place.write("a.lua", RECIPE:format "gemini {}")
  local code, text = place.run("a.lua", { GEMINI_API_KEY = fake.KEY })
  check.ok(code == 1 or code == 3, text)
  check.contains(text, "thief.invalid")
  check.contains(text, "error: gemini: ")
end)

test("a .env that cannot be read is told with its line", function()
  local place = place_with(1, "ok=line")
  place.write(".env", "GEMINI_API_KEY=\"open\n")
  place.write("a.lua", RECIPE:format "gemini {}")
  local code, text = place.run "check a.lua"
  check.equal(code, 2, text)
  check.contains(text, "line 1")
end)

test("the log of requests has no key and no picture", function()
  local place = place_with(1, "ok=log")
  place.write("a.lua", RECIPE:format "gemini {}")
  check.equal(place.run "a.lua", 0)
  local log = fs.read(place.folder .. "/store/requests.log")
  if not log then return end
  check.ok(not log:find(fake.KEY, 1, true))
  check.equal(json.decode(log:match "[^\n]+").service, "gemini")
end)

server:stop()
