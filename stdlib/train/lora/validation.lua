-- validation.lua - the loss of held-out pictures at fixed timesteps and noise, so that two steps can be compared.
--
--   local loss, message, code = validation(job)
--
-- Gradients are made on the way and thrown away: the segment that makes the loss makes them too, and a plan of its own would need its own
-- memory.

local STREAM = require "train.batches".STREAM
local feed = require "train.lora.feed"
local hash = require "native.hash"

local SHARES = { 0.125, 0.375, 0.625, 0.875 } -- of all timesteps

-- Each picture at each timestep, by size; and the sizes in order.
local function rows_of(job)
  local by, sizes = {}, {}
  for n, picture in ipairs(job.held) do
    if not by[picture.size] then
      by[picture.size] = {}
      sizes[#sizes + 1] = picture.size
    end
    for _, share in ipairs(SHARES) do
      table.insert(by[picture.size], { encoded = job.held_latents[n], caption = picture.caption, t = math.floor(share * job.noise.steps), weight = 1 })
    end
  end
  table.sort(sizes)
  return by, sizes
end

-- As many rows as the batch; where the list ends they are filled with rows that do not count. Second: how many count.
local function batch_of(list, from, batch)
  local rows, real = {}, 0
  for k = 0, batch - 1 do
    local row = list[from + k]
    rows[k + 1] = row or { encoded = list[1].encoded, caption = list[1].caption, t = list[1].t, weight = 0 }
    if row then real = real + 1 end
  end
  return rows, real
end

---@param job calotype.Training
---@return number? loss
---@return string? message
---@return string? code
return function(job)
  local batch, sum, count = job.options.batch, 0, 0
  local by, sizes = rows_of(job)
  for _, size in ipairs(sizes) do
    local list, it = by[size], job.plans[size]
    for from = 1, #list, batch do
      local rows, real = batch_of(list, from, batch)
      feed.batch(job, it, rows, hash.random(job.options.seed, STREAM.validation + from))
      local ok, message, code = it.plan:run "accumulate"
      if not ok then return nil, message, code end
      local loss
      loss, message, code = it.plan:get(it.net.train.loss)
      if not loss then return nil, message, code end
      sum, count = sum + loss * batch, count + real
    end
  end
  local gradients, message, code = job.first.plan:group "gradients"
  if not gradients then return nil, message, code end
  job.first.plan:set_group("gradients", ("\0"):rep(#gradients))
  return sum / count
end
