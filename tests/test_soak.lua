-- Many pictures, many faults, and the plug pulled: every picture has its caption, and nobody pays twice for one that is kept.
-- CALOTYPE_SOAK=N repeats the test of faults with other seeds.
local fake = dofile "tests/fake.lua"
local fs = require "native.fs"
local store = require "native.store"

local server = fake.start()

local RECIPE = [[images "photos" :caption { with = gemini { in_flight = 16 } } :export { as = "sidecars", to = "out" }]]

local LOST_ON_THE_WAY = { cut = true, cuthead = true, cutinhead = true, reset = true, resethead = true, longer = true, chunkcut = true, chunkbad = true }

local function environment(scenario) return { GEMINI_BASE_URL = server:url(scenario), GEMINI_API_KEY = fake.KEY } end

local function place(count, side)
  local folder = tmp "place"
  fs.make_folder(folder)
  local captions, order = fake.pictures(folder .. "/photos", count, side)
  assert(fs.write(folder .. "/recipe.lua", RECIPE))
  return folder, captions, order
end

local function check_sidecars(folder, captions)
  local seen = 0
  for name, caption in pairs(captions) do
    local text = fs.read(("%s/out/%s.txt"):format(folder, name))
    if not text then error(name .. " has no sidecar", 2) end
    check.equal((text:gsub("\n$", "")), caption, name)
    seen = seen + 1
  end
  return seen
end

local function shell(command)
  local out = io.popen(command)
  local text = out:read "a"
  out:close()
  return text
end

local function nothing_of_the_key(folder)
  check.equal(shell(("grep -rlF '%s' '%s' 2>/dev/null"):format(fake.KEY, folder)), "")
end

-- Runs to its end while the memory it holds is read every 50 ms: exit code, what it said, megabytes held as time went by.
local function watched(folder, words, settings)
  local script = ([[
    (%s) >%s/said 2>&1 & p=$!
    while kill -0 $p 2>/dev/null; do sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/held \1/p' /proc/$p/status 2>/dev/null; sleep 0.05; done
    wait $p; echo "exit $?"]]):format(fake.command(folder, words, settings), folder)
  local text = shell(script)
  local held = {}
  for kilobytes in text:gmatch "held (%d+)\n" do held[#held + 1] = tonumber(kilobytes) / 1024 end
  return tonumber(text:match "exit (%d+)"), fs.read(folder .. "/said"), held
end

for seed = 1, tonumber(os.getenv "CALOTYPE_SOAK" or 1) do
  test(("2,000 pictures with five faults in a hundred requests: each is captioned once, seed %d"):format(seed), function()
    local folder, captions, order = place(2000, 64)
    local scenario = ("faults-5:%d@2"):format(seed)
    local exit, said, held = watched(folder, "run recipe.lua", environment(scenario))
    check.equal(exit, 0, said)
    check.equal(check_sidecars(folder, captions), 2000)
    local counts = server:counts(scenario)
    local requests, lost = 0, 0
    for _, sha in ipairs(order) do
      local of = counts.of[sha]
      check.equal(of.delivered, 1, sha) -- nobody pays twice for an answer that arrived
      requests, lost = requests + of.requests, lost + of.produced - of.delivered
    end
    check.equal(counts.delivered, 2000)
    check.equal(counts.produced, 2000 + lost)
    check.ok(requests > 2040 and requests < 2400, requests) -- there were faults
    -- What the run says it may have paid for nothing: what went out and was not answered whole. A server that closes a kept connection
    -- unannounced, or leaves bytes on it, may spoil the next request there too.
    local surely, perhaps = 0, 0
    for _, request in ipairs(server:requests(scenario)) do
      if LOST_ON_THE_WAY[request.fault] or request.status == 0 then surely = surely + 1 end
      if request.fault == "shorter" or request.fault == "closeafter" then perhaps = perhaps + 1 end
    end
    local told = tonumber(said:match "(%d+) answers? lost on the way, which may be paid too")
    check.ok(surely > 0 and told and told >= surely and told <= surely + perhaps, ("%s told, %d to %d lost"):format(told, surely, surely + perhaps))
    -- 2,000 pictures of 12 kB are 32 MB in base64: memory that grows with what was sent would show.
    check.ok(#held > 20, "too few looks at the memory")
    local early, late = held[#held // 4 + 1], held[#held - 1] or held[#held]
    -- the address checker keeps what was freed, to catch whoever still uses it: there memory grows for another reason
    check.ok(late - early < 16 or fake.program:find "asan", ("%.0f MB after a quarter, %.0f MB at the end"):format(early, late))
    nothing_of_the_key(folder)
    local again = fake.command(folder, "run recipe.lua", environment(scenario))
    check.ok(os.execute(("(%s) >%s/said 2>&1"):format(again, folder)), fs.read(folder .. "/said"))
    check.equal(server:counts(scenario).requests, counts.requests) -- a second run asks nothing
  end)
end

-- One folder, killed again and again until its run ends by itself or `most` kills are done; how many there were.
local function killed_until_done(serial, random, most)
  local PICTURES <const> = 700
  local folder, captions, order = place(PICTURES, 8)
  local scenario = ("ok@10=killed%d"):format(serial)
  local command = fake.command(folder, "run recipe.lua", environment(scenario))
  local function kept()
    local list, s = {}, store.open(folder .. "/store", { existing = true })
    if not s then return list end
    for _, sha in ipairs(order) do list[sha] = #s:captions(sha) > 0 end
    s:close()
    return list
  end
  local before, known, killed, paid_for_nothing = server:counts(scenario), {}, 0, 0
  while killed < most do
    -- a moment that is random in the run, however slow the machine: after so many requests, and a few milliseconds more
    local requests = before.requests + random:below(random:below(4) == 0 and 80 or 24)
    local ended = shell(([[(%s) >%s/said 2>&1 & p=$!; %s; sleep %.3f; kill -9 $p 2>/dev/null; wait $p 2>/dev/null; echo "exit $?"]]):format(command, folder,
      server:until_requests(scenario, requests, 2), random:below(15) / 1000))
    local after = server:counts(scenario)
    while after.open > 0 do after = server:counts(scenario) end
    local now, lost = kept(), 0
    for _, sha in ipairs(order) do
      local paid = (after.of[sha] or { produced = 0 }).produced - (before.of[sha] or { produced = 0 }).produced
      if known[sha] then check.equal(paid, 0, "paid again for a caption that was kept")
      else
        check.ok(paid <= 1, "asked twice in one run")
        if now[sha] then check.equal(paid, 1, "a caption that nobody gave") else lost = lost + paid end
      end
      check.ok(now[sha] or not known[sha], "a caption that was kept is gone")
    end
    check.ok(lost <= 16, ("%d answers were lost in one kill; 16 were under way at most"):format(lost))
    paid_for_nothing, before, known = paid_for_nothing + lost, after, now
    if not ended:find "exit 137" then break end
    killed = killed + 1
  end
  check.ok(os.execute(("(%s) >%s/said 2>&1"):format(command, folder)), fs.read(folder .. "/said"))
  check.equal(check_sidecars(folder, captions), PICTURES)
  check.equal(server:counts(scenario).produced, PICTURES + paid_for_nothing)
  nothing_of_the_key(folder)
  return killed
end

test("killed at 50 random moments, a run goes on: the same captions, and what is kept is not paid again", function()
  local KILLS <const>, random = 50, require "native.hash".random(20261121)
  local killed, serial = 0, 0
  while killed < KILLS do
    serial = serial + 1
    killed = killed + killed_until_done(serial, random, KILLS - killed)
    check.ok(serial < 20, "runs end before they can be killed")
  end
end)

test("killed at random moments, a batch is made once and paid once", function()
  local random, killed = require "native.hash".random(7), 0
  for round = 1, 8 do
    local folder, captions, order = place(20 + round, 8)
    assert(fs.write(folder .. "/recipe.lua", (RECIPE:gsub("in_flight = 16", "batch = true"))))
    local scenario = ("ok@40=batch%d"):format(round)
    local command = fake.command(folder, "run recipe.lua", environment(scenario))
    for _ = 1, 5 do
      local moment, milliseconds = server:until_requests(scenario, server:counts(scenario).requests + random:below(3), 1), random:below(80)
      local ended = shell(("(%s) >%s/said 2>&1 & p=$!; %s; sleep %.3f; kill -9 $p 2>/dev/null; wait $p 2>/dev/null; echo $?"):format(command, folder,
        moment, milliseconds / 1000))
      if not ended:find "137" then break end
      killed = killed + 1
    end
    check.ok(os.execute(("(%s) >%s/said 2>&1"):format(command, folder)), fs.read(folder .. "/said"))
    check.equal(check_sidecars(folder, captions), 20 + round)
    local counts, made = server:counts(scenario), 0
    for _, sha in ipairs(order) do check.equal(counts.of[sha].produced, 1) end
    for _, request in ipairs(server:requests(scenario)) do if request.path:find ":batchGenerateContent" then made = made + 1 end end
    check.equal({ made, counts.produced }, { 1, 20 + round })
    nothing_of_the_key(folder)
  end
  check.ok(killed >= 8, killed)
end)

server:stop()
