-- live.lua - where a training stands, in a small file beside its checkpoints, for those who watch it from another process.
--
--   local live = lives.open(job.folder, { name = "wtrclr", steps = 1500, step = 400, losses = { { 1, 0.12 }, ... }, held = { { 250, 0.11 } } })
--   live:step(401, 0.093, 1e-4)                             -- written at most once a second
--   live:held(500, 0.104)  live:sample { step = 500, path = ".../step-000500.png", rows = ... }
--   live:ended "done"                                       -- or "interrupted", "failed"
--   local now, message = lives.read(folder)                 -- the table as it was written last; nil when there is none
--
-- FOLDER/run.json is written anew each time and appears whole; its size is bounded: losses are means over as many steps as make POINTS of
-- them. It is for people: nothing is computed from it, and a training goes on where it cannot be written.
local fs = require "native.fs"
local json = require "native.json"
local log = require "native.log"

local M = {}

M.NAME = "run.json"

local POINTS = 1000 -- losses in the file, at most twice as many
local PICTURES = 400 -- samples in it
local EVERY = 1 -- seconds between two writings
local LARGEST = 16 << 20

local Live = {}
Live.__index = Live

---@param folder string
---@return table? now, string? message, string? code
function M.read(folder)
  local path = folder .. "/" .. M.NAME
  if not fs.stat(path) then return nil, ("there is no %s"):format(path), "NOTFOUND" end
  local bytes, message, code = fs.read(path, LARGEST)
  if not bytes then return nil, message, code end
  local now = json.decode(bytes)
  if type(now) ~= "table" or now.calotype ~= "run" or now.version ~= 1 then return nil, ("%s is not as a training writes it"):format(path), "FORMAT" end
  return now
end

-- Those of an earlier part of this run that are still true.
local function kept(before, key, step)
  local out = {}
  for _, row in ipairs(before and type(before[key]) == "table" and before[key] or {}) do
    if type(row) == "table" and (math.type(row.step) == "integer" and row.step <= step) then out[#out + 1] = row end
  end
  return out
end

--- Begin, or go on from `about.step`.
---@param folder string
---@param about table name, steps, step, losses, held, and what else is to be shown
function M.open(folder, about)
  local before = M.read(folder)
  local self = setmetatable({ path = folder .. "/" .. M.NAME, now = {}, stride = 1 }, Live)
  for key, value in pairs(about) do self.now[key] = value end
  local now = self.now
  now.calotype, now.version, now.state, now.loss = "run", 1, "training", nil
  now.samples, now.grids = kept(before, "samples", about.step), kept(before, "grids", about.step)
  now.losses, now.held = table.move(about.losses, 1, #about.losses, 1, {}), table.move(about.held, 1, #about.held, 1, {})
  self.count, self.sum, self.first = 0, 0.0, about.step
  self.began = log.clock()
  self:write()
  return self
end

-- Half as many, each the mean of two.
local function thin(losses)
  local out = {}
  for i = 1, #losses, 2 do
    local a, b = losses[i], losses[i + 1]
    out[#out + 1] = b and { b[1], (a[2] + b[2]) / 2 } or a
  end
  return out
end

function Live:write()
  local now = self.now
  now.updated = os.time()
  local document = {}
  for key, value in pairs(now) do document[key] = value end
  for _, key in ipairs { "losses", "held", "samples", "grids" } do
    local list = json.array {}
    for i, row in ipairs(now[key]) do list[i] = #row > 0 and json.array(row) or row end
    document[key] = list
  end
  fs.write(self.path, json.encode(document)) -- a watcher's loss, never the training's
  self.wrote = log.clock()
end

--- A step was done.
---@param step integer
---@param loss number
---@param lr? number
function Live:step(step, loss, lr)
  local now, at = self.now, log.clock()
  now.step, now.lr = step, lr
  now.seconds_per_step = (at - self.began) / math.max(step - self.first, 1)
  if loss == loss and math.abs(loss) < math.huge then
    self.sum, self.count = self.sum + loss, self.count + 1
    if self.count >= self.stride then
      now.losses[#now.losses + 1] = { step, self.sum / self.count }
      self.sum, self.count = 0.0, 0
      if #now.losses > 2 * POINTS then now.losses, self.stride = thin(now.losses), self.stride * 2 end
    end
  end
  if at - self.wrote >= EVERY then self:write() end
end

--- The loss of held-out pictures.
function Live:held(step, loss)
  local rows = {}
  for _, row in ipairs(self.now.held) do if row[1] ~= step then rows[#rows + 1] = row end end
  rows[#rows + 1] = { step, loss }
  self.now.held = rows
  self:write()
end

local function put(list, row)
  for i, other in ipairs(list) do if other.path == row.path and other.step == row.step then table.remove(list, i) break end end
  list[#list + 1] = row
  if #list > PICTURES then table.remove(list, 1) end
end

--- A sheet with samples was drawn: { step =, path =, rows = { { prompt =, strength?, cells = { { x, y, width, height, seed =? }, ... } } } }, the places
--- in its pixels.
function Live:sample(row)
  put(self.now.samples, row)
  self:write()
end

--- "done", "interrupted" or "failed"; why.
function Live:ended(state, message)
  self.now.state, self.now.message = state, message
  self:write()
end

--- A grid that :samples drew of a step, into the file of its run.
---@param folder string
---@param row table as for sample, with `strength` in its rows
function M.grid(folder, row)
  local now = M.read(folder)
  if not now then return end
  local self = setmetatable({ path = folder .. "/" .. M.NAME, now = now }, Live)
  for _, key in ipairs { "losses", "held", "samples", "grids" } do now[key] = type(now[key]) == "table" and now[key] or {} end
  put(now.grids, row)
  self:write()
end

return M
