-- identity.lua - what a run's numbers follow from. Two runs that agree in it are one run: its folder is named after it, so that other
-- options get a folder of their own and nothing is overwritten.
--
--   job.identity = identity.of(job)
--   job.folder = identity.folder(job)        --> "checkpoints/wtrclr-3f2a91c0"

local hash = require "native.hash"
local json = require "native.json"

local identity = {}

local VERSION = 1 -- of what a run's numbers follow from

--- Pictures as they are shown, by content.
---@return string sha256
function identity.digest(pictures)
  local rows = {}
  for i, p in ipairs(pictures) do
    local b = p.bucket
    rows[i] = json.array { p.sha256, p.caption, p.weight, b.width, b.height, b.scale_width, b.scale_height, b.crop_x, b.crop_y }
  end
  return hash.sha256(json.encode(json.array(rows)))
end

--- All that decides the numbers.
---@param job calotype.Training with its base
---@return table
function identity.of(job)
  local o = job.options
  return {
    version = VERSION, base = job.base, pictures = identity.digest(job.pictures),
    rank = o.rank, alpha = o.alpha, targets = o.targets, batch = o.batch, lr = { unet = o.lr.unet, text = o.lr.text }, warmup = o.warmup,
    weight_decay = o.weight_decay, clip = o.clip, min_snr = o.min_snr or 0, caption_dropout = o.caption_dropout, clip_skip = o.clip_skip,
    seed = o.seed, dtype = o.dtype or "as in the files", cooldown = o.cooldown > 0 and o.cooldown or nil, steps = o.cooldown > 0 and o.steps or nil,
  }
end

---@param job calotype.Training with its identity
---@return string
function identity.folder(job)
  return ("%s/%s-%s"):format(job.options.checkpoint.to, job.name, hash.sha256(json.encode(job.identity)):sub(1, 8))
end

--- What a run was asked for besides: it may change without making another run, and what lies behind stays as it is.
---@param job calotype.Training
---@return table
function identity.besides(job)
  return { checkpoint = { every = job.options.checkpoint.every }, sample = job.options.sample, validate = job.held and job.held_digest or nil }
end

return identity
