-- fake.lua - starts and asks the server of tests/fake, for tests of everything that talks to a service.
--
--   local server <close> = dofile "tests/fake.lua".start()
--   server:url "503-twice"                  -- http://127.0.0.1:PORT/s/503-twice: a base URL; tests/fake/scenario.c says what names mean
--   server:counts "503-twice"               -- { requests, produced, delivered, barren, left, open, most_open, of = { [sha256 of a picture] = { ... } } }
--   server:requests "503-twice"             -- { { method, path, headers = { name = value }, body, model, picture, fault, status, host = "main"|"other" } ... }
--   server:caption(bytes)                   -- what the server says of these bytes
-- produced: answers that somebody was charged for; delivered: those whose last byte was handed to the network; barren: charged for,
-- but without a caption in them; left: the client went away first.
local fs = require "native.fs"
local hash = require "native.hash"
local json = require "native.json"

local M = {}
local Server = {}
Server.__index = Server

local pipe = io.popen "readlink /proc/$PPID/exe"
M.program = (pipe:read "l":gsub("/host$", "/fake"))
pipe:close()

function M.start()
  local out = assert(io.popen("exec " .. M.program))
  local port, other = out:read("l"):match "^port (%d+)$", out:read("l"):match "^other (%d+)$"
  return setmetatable({ out = out, port = math.tointeger(port), other = math.tointeger(other) }, Server)
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

--- The shell command that ends when the scenario had so many requests, or after `seconds` (30).
function Server:until_requests(scenario, count, seconds)
  return ("%s get %d '/wait/%s/%d' %g >/dev/null"):format(M.program, self.port, scenario, count, seconds or 30)
end

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

--- The command line that runs `words` of the program in a folder with nothing in its environment but these settings.
function M.command(folder, words, environment)
  local parts = { ("cd '%s' && exec env -i PATH=\"$PATH\" HOME='%s' LANG=C.UTF-8 CALOTYPE_STORE=store"):format(folder, folder) }
  local names = {}
  for name in pairs(environment or {}) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do parts[#parts + 1] = ("%s='%s'"):format(name, environment[name]) end
  return ("%s '%s' %s"):format(table.concat(parts, " "), M.calotype, words)
end

return M
