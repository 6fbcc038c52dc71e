-- fake.lua - starts and asks the server of tests/fake, for tests of everything that talks to a service.
--
--   local server <close> = dofile "tests/fake.lua".start()
--   server:url "503-twice"                  -- http://127.0.0.1:PORT/s/503-twice: a base URL; tests/fake/scenario.c says what names mean
--   server:counts "503-twice"               -- { requests, produced, delivered, barren, left, open, most_open, of = { [sha256 of a picture] = { ... } } }
--   server:requests "503-twice"             -- { { method, path, headers = { name = value }, body, model, picture, fault, status, host = "main"|"other" } ... }
--   server.closed                           -- a port where nobody listens, and nobody will while the server lives
--   server:ready "ok@60000"                 -- what waits in it is answered now, what comes at once
--   server:caption(bytes)                   -- what the server says of these bytes
-- produced: answers that somebody was charged for; delivered: those whose last byte was handed to the network; barren: charged for,
-- but without a caption in them; left: the client went away first.
local fs = require "native.fs"
local hash = require "native.hash"
local json = require "native.json"
local script = require "native.script"
local store = require "native.store"

local M = {}
local Server = {}
Server.__index = Server

local pipe = io.popen "readlink /proc/$PPID/exe"
M.program = (pipe:read "l":gsub("/host$", "/fake"))
pipe:close()

function M.start()
  local out = assert(io.popen("exec " .. M.program))
  local port, other, closed = out:read("l"):match "^port (%d+)$", out:read("l"):match "^other (%d+)$", out:read("l"):match "^closed (%d+)$"
  return setmetatable({ out = out, port = math.tointeger(port), other = math.tointeger(other), closed = math.tointeger(closed) }, Server)
end

function Server:stop()
  if not self.out then return end
  os.execute(("%s quit %d"):format(M.program, self.port))
  self.out:close()
  self.out = nil
end
Server.__close, Server.__gc = Server.stop, Server.stop

function Server:url(scenario, more) return ("http://127.0.0.1:%d/s/%s%s"):format(self.port, scenario, more or "") end

function Server:get(path)
  local out = io.popen(("%s get %d '%s'"):format(M.program, self.port, path))
  local text = out:read "a"
  out:close()
  return text
end

local NONE = { requests = 0, produced = 0, delivered = 0, barren = 0, left = 0, open = 0, most_open = 0, of = {} }
function Server:counts(scenario) return assert(json.decode(self:get("/counts/" .. scenario)))[scenario] or NONE end
function Server:requests(scenario) return assert(json.decode(self:get("/requests/" .. scenario))) end
function Server:faults() return assert(json.decode(self:get "/faults")) end

--- The shell command that ends when the scenario had so many requests, or after `seconds` (60).
function Server:until_requests(scenario, count, seconds)
  return ("%s get %d '/wait/%s/%d' %g >/dev/null"):format(M.program, self.port, scenario, count, seconds or 60)
end

function Server:ready(scenario) self:get("/ready/" .. scenario) end

--- Bytes to the server, bytes from it, until it closes or is silent for `seconds`.
function Server:send(bytes, seconds)
  local file = (os.getenv "CALOTYPE_TEST_TMP" or "/tmp") .. "/fake-request"
  assert(fs.write(file, bytes))
  local out = io.popen(("%s send %d %s %g"):format(M.program, self.port, file, seconds or 5))
  local text = out:read "a"
  out:close()
  return text
end

function Server:caption(bytes) return ("a small test picture, %s"):format(hash.sha256(bytes):sub(1, 12)) end -- luacheck: ignore 212

-- --- Whole runs ---------------------------------------------------------------------------------------------------------

M.calotype = (M.program:gsub("/tests/fake$", "/calotype"))
M.KEY = "AQ.fake-key-that-nobody-may-see" -- so are those that Gemini gives out

--- Pictures of `side` pixels of noise (8), no two alike, and without anything that would be taken out before they are sent: what the server
--- will say of each by its name, and their sha256 in order.
function M.pictures(folder, count, side)
  local image = require "native.image"
  side = side or 8
  local noise, random = image.new(side, side), hash.random(count)
  for y = 0, side - 1 do for x = 0, side - 1 do noise:set(x, y, { random:below(256), random:below(256), random:below(256) }) end end
  assert(fs.make_folder(folder))
  local captions, order = {}, {}
  for i = 1, count do
    noise:set(0, 0, { i % 256, i // 256 % 256, i // 65536 })
    local name, bytes = ("p%04d"):format(i), noise:encode "png"
    assert(fs.write(("%s/%s.png"):format(folder, name), bytes))
    order[i] = hash.sha256(bytes)
    captions[name] = ("a small test picture, %s"):format(order[i]:sub(1, 12))
  end
  return captions, order
end

--- A folder with `count` pictures to run the program in:
---   place.captions, place.order                          -- what M.pictures made
---   place.write(name, text)
---   place.command(words, environment)                    -- the command line, which a test may replace by its own
---   local code, said = place.run(words, environment)     -- the key is not in it
---   place.captions_written()                           -- of the caption files below out/set: { name = text }
---   place.all_right(counts)                              -- each picture has its own caption, and each was produced exactly once
---   place.batches()                                      -- of Gemini, which its store knows
---   place.spent()                                        -- on Gemini: { cost, requests }
function M.place(folder, count, side)
  local place = { folder = folder }
  place.captions, place.order = M.pictures(folder .. "/photos", count, side)

  function place.write(name, text) assert(fs.write(folder .. "/" .. name, text)) end

  function place.command(words, environment) return M.command(folder, words, environment) end

  function place.run(words, environment)
    local out = io.popen(("(%s) 2>&1; echo \"exit $?\""):format(place.command(words, environment)))
    local said, code = out:read("a"):match "^(.*)exit (%d+)\n$"
    out:close()
    if said:find(M.KEY, 1, true) then error("the key was shown", 2) end
    return tonumber(code), said
  end

  function place.captions_written()
    local found = {}
    for _, entry in ipairs(fs.list(folder .. "/out/set", true) or {}) do
      local name = entry.path:match "([^/]+)%.txt$"
      if name then found[name] = fs.read(entry.path):gsub("%s+$", "") end
    end
    return found
  end

  function place.all_right(counts)
    local written = place.captions_written()
    local function wrong(name, got, expected) error(("%s: got %s, expected %s"):format(name, got, expected), 3) end
    for name, caption in pairs(place.captions) do
      if written[name] ~= caption then wrong(name, written[name], caption) end
    end
    for _, sha in ipairs(place.order) do
      local of = counts.of[sha] or {}
      if of.produced ~= 1 then wrong(sha, of.produced, "1 answer") end
    end
  end

  local function in_store(use)
    local s = store.open(folder .. "/store", { existing = true })
    if not s then return {} end
    local found = use(s)
    s:close()
    return found
  end

  function place.batches()
    return in_store(function(s) return json.decode(s:get("batches", "gemini") or "[]") end)
  end

  function place.spent()
    return in_store(function(s) return s:spent { provider = "gemini" } end)
  end
  return place
end

--- A folder for CALOTYPE_STDLIB: what is embedded, but a batch is looked at every `seconds` or so.
function M.looks(seconds)
  local folder = ("%s/looks-%g"):format(os.getenv "CALOTYPE_TEST_TMP" or "/tmp", seconds)
  local waits = ("FIRST_WAIT, LONGEST_WAIT = %g, %g"):format(seconds, seconds)
  local text, count = assert(fs.read "stdlib/caption/batch.lua"):gsub("FIRST_WAIT, LONGEST_WAIT = %d+, %d+", waits)
  assert(count == 1, "the waits of stdlib/caption/batch.lua are not found")
  assert(fs.make_folder(folder .. "/caption"))
  assert(fs.write(folder .. "/caption/batch.lua", text))
  return folder
end
M.SOON, M.NEVER = 0.05, 600

--- The command line that runs `words` of the program in a folder with nothing in its environment but these settings.
function M.command(folder, words, environment)
  local parts = { ("cd '%s' && exec env -i PATH=\"$PATH\" HOME='%s' LANG=C.UTF-8 CALOTYPE_STORE=store"):format(folder, folder) }
  local names = {}
  for name in pairs(environment or {}) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do parts[#parts + 1] = ("%s='%s'"):format(name, environment[name]) end
  return ("%s '%s' %s"):format(table.concat(parts, " "), M.calotype, words)
end

local function lives(pid)
  local file = io.open(("/proc/%s/stat"):format(pid))
  if file then file:close() end
  return file ~= nil
end

--- Start a command and send it that signal (9) when `when()` is true, which is tried each hundredth of a second, or after so many seconds;
--- back when it has ended: true, or false where it had ended before that, and its exit code. What it says lies in `log`.
function M.ended(command, log, when, signal)
  local out = io.popen(("(%s) >%s 2>&1 & p=$!; echo $p; wait $p 2>/dev/null; echo $?"):format(command, log))
  local pid = out:read "l"
  local came = type(when) == "number" and script.pause(when)
  while not came and lives(pid) do
    came = when()
    if not came then script.pause(0.01) end
  end
  os.execute(("kill -%s %s 2>/dev/null"):format(signal or "9", pid))
  local code = tonumber(out:read "l")
  out:close()
  return came, code
end

return M
