-- step.lua - one step: a batch, its gradients, an update.
--
--   local loss, norm = step(job, 401)        -- nil, message, code when refused

local STREAM = require "train.batches".STREAM
local feed = require "train.lora.feed"
local hash = require "native.hash"

-- The pictures of a step, each at a timestep of its own.
local function rows_of(job, chosen, random)
  local o, rows = job.options, {}
  for k, n in ipairs(chosen) do
    local t = random:below(job.noise.steps)
    local caption, weight = job.pictures[n].caption, 1
    if random:uniform() < o.caption_dropout then caption = "" end
    if o.min_snr then weight = job.noise:weight(t, o.min_snr) end
    rows[k] = { encoded = job.latents[n], caption = caption, t = t, weight = weight }
  end
  return rows
end

--- An update whose gradients are not finite is skipped on the device (train/optimizer.lua), and not counted.
---@param job calotype.Training
---@param i integer the first is 1
---@return number? loss
---@return number|string norm of the gradients, or message
---@return string? code
return function(job, i)
  local chosen = job.order:at(i)
  local it, random = job.plans[job.pictures[chosen[1]].size], hash.random(job.options.seed, STREAM.step + i)
  feed.batch(job, it, rows_of(job, chosen, random), random)
  local ok, message, code = it.plan:run "accumulate"
  if not ok then return nil, message, code end
  local first, adamw = job.first.plan, job.first.net.optimizer
  adamw.set(first, job.updates + 1, job.rate(i))
  ok, message, code = first:run "apply"
  if not ok then return nil, message, code end
  local loss, norm
  loss, message, code = it.plan:get(it.net.train.loss)
  if not loss then return nil, message, code end
  norm, message, code = first:get(adamw.norm)
  if not norm then return nil, message, code end
  if norm == norm and norm < math.huge then job.updates = job.updates + 1 end
  return loss, norm
end
