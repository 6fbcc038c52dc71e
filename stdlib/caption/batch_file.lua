-- batch_file.lua - questions that are too many for a call, as a file at Gemini, and the file of answers that comes back.
--
--   local sent, why, code = files.send(talk, row, path, piece)     -- row: { name, size }; true, and row.file is its name there
--   local state = files.state(talk, row)                           -- "active", "failed" or "gone"; nil: nobody knows
--   files.delete(talk, row)
--   local got, why, code = files.fetch(talk, "files/abc", path)    -- false: there is no such file any more
--
-- A file costs nothing, is looked at by nobody else, and is deleted by the service after 48 hours. It is sent in pieces, as Google's own
-- programs do: what of a piece arrived is asked for when its reply was lost. code: "INTERRUPT", "DENIED", "REFUSED" (the service does not
-- want it) or "NETWORK" (later it may work).
local json = require "native.json"
local log = require "native.log"
local script = require "native.script"

local M = {}

local STALL = 60 -- seconds below 1 kB/s
local STARTS = 3 -- how often a file is begun anew
local LOST = 4 -- pieces one after another that did not arrive
local LOOKS = 10 -- at a file that is being made ready

--- One request, waited for. nil, why, code: Ctrl-C, or it cannot be sent.
function M.ask(talk, what)
  local ok, message, code = talk:request("file", what)
  if not ok then return nil, message, code end
  while true do
    local tag, reply, trouble = talk:next(1)
    if tag then return reply end
    if trouble then return nil, reply, trouble end
  end
end

--- A file beside the store: kind is "jsonl" (questions) or "answers".
function M.path(store, name, kind) return ("%s/batch-%s.%s"):format(store:folder(), name, kind) end

local function answered(reply) return reply.verdict ~= "failed" and (reply.status or 0) > 0 end

local function trouble(reply) -- of a reply that is not what was wanted
  local why = reply.why and reply.why ~= "" and reply.why or ("status %d"):format(reply.status or 0)
  return nil, why, answered(reply) and reply.status ~= 429 and "REFUSED" or "NETWORK"
end

local function start(talk, row)
  local reply, why, code = M.ask(talk, { method = "POST", path = "/upload/v1beta/files", class = "safe", keep = true, wants = { "x-goog-upload-url" },
    headers = { "X-Goog-Upload-Protocol: resumable", "X-Goog-Upload-Command: start", ("X-Goog-Upload-Header-Content-Length: %d"):format(row.size),
      "X-Goog-Upload-Header-Content-Type: application/jsonl", ("X-Goog-Upload-File-Name: %s.jsonl"):format(row.name) },
    body = json.encode { file = { name = "files/" .. row.name, displayName = row.name } } })
  if not reply then return nil, why, code end
  if reply.verdict ~= "done" then return trouble(reply) end
  local address = reply.headers["x-goog-upload-url"]
  if not address then return nil, "the service told no address for the file", "REFUSED" end
  return address
end

-- How much of it has arrived: bytes, "final", or nil: nobody knows.
local function arrived(talk, address)
  local reply, why, code = M.ask(talk, { method = "POST", address = address, class = "safe", keep = true, headers = { "X-Goog-Upload-Command: query" },
    wants = { "x-goog-upload-status", "x-goog-upload-size-received" } })
  if not reply then return nil, why, code end
  if reply.verdict ~= "done" then return nil end
  local status = reply.headers["x-goog-upload-status"]
  if status == "final" then return "final" end
  return status == "active" and math.tointeger(tonumber(reply.headers["x-goog-upload-size-received"])) or nil
end

-- What is told of a file: "active", "processing", "failed"; "gone" when it is another one.
local function state_of(row, file)
  if type(file) ~= "table" or type(file.name) ~= "string" or not file.name:find "^files/[%w._-]+$" then return "gone" end
  local word = type(file.state) == "string" and file.state:lower() or "active"
  if word == "failed" then return "failed" end
  if math.tointeger(tonumber(file.sizeBytes)) ~= row.size then return "gone" end
  row.file = file.name
  return word == "processing" and "processing" or "active"
end

--- What became of a file at the service: "active", "failed", "gone". nil, why, code: nobody knows.
function M.state(talk, row)
  for look = 1, LOOKS do
    local reply, why, code = M.ask(talk, { method = "GET", path = "/v1beta/" .. (row.file or "files/" .. row.name), keep = true })
    if not reply then return nil, why, code end
    if not answered(reply) then return trouble(reply) end
    if reply.verdict ~= "done" then return "gone" end -- Google says 403 of what is not there
    local state = state_of(row, json.decode(reply.text))
    if state ~= "processing" then return state end
    if look < LOOKS and not script.pause(look) then return nil, "stopped", "INTERRUPT" end
  end
  return nil, "the service does not get the file ready", "NETWORK"
end

-- The pieces, from the first to the last: "sent", "anew", or nil, why, code.
local function pieces(talk, row, path, piece, address, bar)
  local at, lost = 0, 0
  while true do
    local size = math.min(piece, row.size - at)
    local last = at + size == row.size
    local reply, why, code = M.ask(talk, { method = "POST", address = address, class = "billed", keep = true, stall = STALL,
      piece = { file = path, from = at, size = size }, content_type = "application/jsonl",
      headers = { ("X-Goog-Upload-Offset: %d"):format(at), "X-Goog-Upload-Command: " .. (last and "upload, finalize" or "upload") },
      wants = { "x-goog-upload-status" } })
    if not reply then return nil, why, code end
    local status = reply.verdict == "done" and reply.headers["x-goog-upload-status"]
    if status == "active" and not last then
      at, lost = at + size, 0
      bar:set(at)
    elseif status == "final" and last then
      local told = json.decode(reply.text)
      local state = state_of(row, type(told) == "table" and told.file)
      if state == "active" then return "sent" end
      return "anew"
    else -- was it taken or not?
      local here, trouble_why, trouble_code = arrived(talk, address)
      if trouble_code then return nil, trouble_why, trouble_code end
      if here == "final" then return "final" end
      if not here or here > row.size then return "anew", reply.why end
      lost = here > at and 0 or lost + 1
      if lost == LOST then return "anew", reply.why end
      at = here
      if not script.pause(math.min(lost, 2)) then return nil, "stopped", "INTERRUPT" end
    end
  end
end

--- Send the file at `path`. true | nil, why, code
function M.send(talk, row, path, piece)
  local bar <close> = log.progress("sending questions", row.size, 0)
  local why, code
  for _ = 1, STARTS do
    local address, outcome
    address, why, code = start(talk, row)
    if not address then
      if code ~= "REFUSED" then return nil, why, code end
      local state = M.state(talk, row) -- is it there already?
      if state == "active" then return true end
      return nil, why, code
    end
    outcome, why, code = pieces(talk, row, path, piece, address, bar)
    if not outcome then return nil, why, code end
    if outcome == "sent" then return true end
    local state, unknown, unknown_code = M.state(talk, row) -- also of one that is being made ready
    if state == "active" then return true end
    if not state then return nil, unknown, unknown_code end
    if state == "failed" then
      M.delete(talk, row)
      return nil, "the service cannot read the file of questions", "REFUSED"
    end
    M.delete(talk, row) -- another one of this name
  end
  return nil, why and why ~= "" and why or "its pieces do not arrive", "NETWORK"
end

--- Delete it at the service, which would do so itself after 48 hours. false: Ctrl-C came before.
---@return boolean
function M.delete(talk, row)
  local _, _, code = M.ask(talk, { method = "DELETE", path = "/v1beta/" .. (row.file or "files/" .. row.name), keep = true, class = "safe" })
  return code ~= "INTERRUPT"
end

--- The file of answers, whole, at `path`. true | false: it is not there any more | nil, why, code
function M.fetch(talk, file, path)
  local reply, why, code = M.ask(talk, { method = "GET", path = ("/v1beta/%s:download?alt=media"):format(file), keep = true, stall = STALL, to = path })
  if not reply then return nil, why, code end
  if reply.verdict == "done" then return true end
  if not answered(reply) then return trouble(reply) end
  return false
end

return M
