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
M.program = pipe:read "l":gsub("/host$", "/fake")
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

return M
