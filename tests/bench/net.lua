-- net.lua - what a request costs: pictures of 1 MB are read, made a question and sent, 50 at a time, to a server that thinks for 2 s.
--
--   build/release/tests/host tests/bench/net.lua          on a quiet machine; NET_PICTURES=200
--
-- Wanted: under 2 ms of this process's time for each picture, and 1,000 pictures a minute.
local fake = dofile "tests/fake.lua"
local fs = require "native.fs"
local log = require "native.log"
local net = require "native.net"

local COUNT, MOST, BYTES, FILES = math.tointeger(os.getenv "NET_PICTURES" or "200"), 50, 1 << 20, 10

test("bench", function()
  local server <close> = fake.start()
  local folder = tmp "pictures"
  assert(fs.make_folder(folder))
  for i = 1, FILES do assert(fs.write(("%s/%d.jpg"):format(folder, i), (("%d picture "):format(i)):rep(BYTES // 8):sub(1, BYTES))) end

  local function run(scenario, count, with_files)
    local talk <close> = assert(net.talk { service = "gemini", wire = "gemini", base = server:url(scenario), base_from = "environment",
      in_flight = MOST, seconds = 60, log = tmp "requests.log" })
    local asked, had, good = 0, 0, 0
    local clock, cpu = log.clock(), os.clock()
    while had < count do
      while asked < count and talk:room() > 0 do
        asked = asked + 1
        local bytes = with_files and fs.read(("%s/%d.jpg"):format(folder, asked % FILES + 1)) or "x"
        assert(talk:ask(asked, { model = "gemini-3.8-flash", user = "Caption it.", max_tokens = 500, pictures = { { bytes = bytes, mime = "image/jpeg" } } }))
      end
      local tag, reply = talk:next(60)
      assert(tag, reply)
      had, good = had + 1, good + (reply.verdict == "done" and 1 or 0)
    end
    local counts = talk:counts()
    return (os.clock() - cpu) / count * 1000, count / (log.clock() - clock) * 60, good, counts
  end

  run("ok=warm", 5, true)
  local cpu, rate, good, counts = run("ok@2000=bench", COUNT, true)
  print(("net: %d pictures of 1 MB, %d at a time, 2 s each: %.2f ms of processor time a picture, %.0f pictures a minute, p50 %.2f s, p95 %.2f s"):format(good,
    MOST, cpu, rate, counts.p50, counts.p95))
  cpu, rate = run("ok=small", 1000, false)
  print(("net: 1000 questions of a few bytes, no thinking: %.2f ms of processor time each, %.0f a minute"):format(cpu, rate))
end)
