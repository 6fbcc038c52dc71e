-- samples.lua - pictures drawn on the way: a sheet for each step that asks for one, in the run's folder.
--
--   samples.draw(job, 250)                   -- nil, message, code when refused
--   samples.are_drawn(job, 250)              --> whether that sheet is there, as it is asked for now

local files = require "train.lora.files"
local fs = require "native.fs"
local grid = require "train.grid"
local hash = require "native.hash"
local json = require "native.json"

local samples = {}

local NONE = " is not finite" -- after the digest of a picture that could not be drawn

-- What of `sample` decides a picture: how often it is drawn does not.
local function digest(job)
  local o = job.options.sample
  return hash.sha256(json.encode { prompts = json.array(o.prompts), negative = o.negative, steps = o.steps, cfg = o.cfg, seed = o.seed, sampler = o.sampler })
end

---@param job calotype.Training
---@param step integer
---@return boolean
function samples.are_drawn(job, step)
  local path = files.sample(job.folder, step)
  local now, as = digest(job), job.store:get("drawn", fs.absolute(path))
  return as == now .. NONE or (fs.stat(path) ~= nil and (as or now) == now)
end

-- For those who watch: where each prompt's picture is in the sheet.
local function tell(job, step, path, sheet, places)
  local s, rows = job.options.sample, {}
  for i, prompt in ipairs(s.prompts) do rows[i] = { prompt = prompt, strength = 1, cells = json.array { json.array(places[i][1]) } } end
  job.live:sample { step = step, path = fs.absolute(path), width = sheet:width(), height = sheet:height(), rows = json.array(rows),
    seeds = json.array { s.seed } }
end

--- Draw the sheet of a step. A picture that is not finite is said and stops nothing: what the run learns is looked at apart.
---@param job calotype.Training
---@param step integer
---@return boolean? ok
---@return string? message
---@return string? code
function samples.draw(job, step)
  local s, rows, path = job.options.sample, {}, files.sample(job.folder, step)
  for i, prompt in ipairs(s.prompts) do
    local picture, message, code = job.sampler:draw { prompt = prompt, negative = s.negative, seed = s.seed, strength = 1, steps = s.steps,
      cfg = s.cfg, sampler = s.sampler }
    if code == "NUMBER" then
      job.warn(("step %d: no sample: %s"):format(step, message))
      job.store:put("drawn", fs.absolute(path), digest(job) .. NONE)
      return true
    end
    if not picture then return nil, message, code end
    rows[i] = { title = prompt, cells = { { picture = picture, label = ("step %d, seed %d"):format(step, s.seed) } } }
  end
  local sheet, places, code = grid(rows)
  if not sheet then return nil, places, code end
  local saved, message
  saved, message, code = sheet:save(path)
  if not saved then return nil, message, code end
  job.store:put("drawn", fs.absolute(path), digest(job))
  tell(job, step, path, sheet, places)
  return true
end

return samples
