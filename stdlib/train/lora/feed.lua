-- feed.lua - what steps are fed with: latents and text states of all pictures and captions of a run, made once, and a batch of them with its noise.
--
--   local ok, message, code = feed.prepare(job)             -- job.noise, latents, held_latents, ids and texts
--   feed.batch(job, plan_of_a_size, { { encoded = job.latents[3], caption = "a red door", t = 500, weight = 1 }, ... }, random)

local encoded = require "train.encoded"
local floats = require "train.floats"
local schedule = require "models.schedule"

local feed = {}

-- All texts that are read: captions, the empty one of dropped captions, those that samples are drawn with.
local function texts_of(job)
  local texts, sample = { "" }, job.options.sample
  for _, picture in ipairs(job.all) do texts[#texts + 1] = picture.caption end
  if sample then
    texts[#texts + 1] = sample.negative
    table.move(sample.prompts, 1, #sample.prompts, #texts + 1, texts)
  end
  return texts
end

-- The tokens of each text; warns of captions that are longer than what the text encoder reads.
local function tokens_of(job, texts)
  local model, ids, long = job.model, {}, 0
  for _, text in ipairs(texts) do
    if not ids[text] then
      local list, cut, code = model.tokenizer:encode(text, model.length)
      if not list then return nil, cut, code end
      ids[text] = list
      if cut > 0 then long = long + 1 end
    end
  end
  if long > 0 then
    job.warn(("%d %s longer than %d tokens; what is behind is not seen"):format(long, long == 1 and "caption is" or "captions are", model.length - 2))
  end
  return ids
end

--- Make what is not known yet.
---@param job calotype.Training with its base and all its pictures
---@return boolean? ok
---@return string? message
---@return string? code
function feed.prepare(job)
  local o, model = job.options, job.model
  job.noise = schedule.noise(model.scheduler)
  local latents, made, code = encoded.latents { store = job.store, device = job.device, model = model, base = job.base, dtype = o.dtype,
    memory = job.memory, pictures = job.all }
  if not latents then return nil, made, code end
  job.latents = table.move(latents, 1, #job.pictures, 1, {})
  job.held_latents = table.move(latents, #job.pictures + 1, #latents, 1, {})
  local texts = texts_of(job)
  local message
  job.ids, message, code = tokens_of(job, texts)
  if not job.ids then return nil, message, code end
  local states = "made in each step"
  if o.lr.text == 0 then
    local count
    job.texts, count, code = encoded.texts { store = job.store, device = job.device, model = model, base = job.base, dtype = o.dtype,
      memory = job.memory, clip_skip = o.clip_skip, texts = texts }
    if not job.texts then return nil, count, code end
    states = ("%d made"):format(count)
  end
  job.say(("latents: %d made, %d known; text states: %s"):format(made, #job.all - made, states))
  return true
end

--- Give a plan its batch: rows = { { encoded =, caption =, t =, weight = }, ... }, as many as the batch.
---@param job calotype.Training
---@param it { net: table, plan: userdata } of the rows' size
---@param rows table[]
---@param random table stream that the noise is drawn from
function feed.batch(job, it, rows, random)
  local t, plan, noise = it.net.train, it.plan, job.noise
  local numbers = { t = {}, signal = {}, sigma = {}, ask_noise = {}, ask_x0 = {}, weight = {} }
  local latents, context, ids = {}, {}, {}
  for i, row in ipairs(rows) do
    latents[i] = row.encoded()
    numbers.t[i], numbers.weight[i] = row.t, row.weight
    numbers.signal[i], numbers.sigma[i] = noise:mix(row.t)
    numbers.ask_noise[i], numbers.ask_x0[i] = noise:target(row.t)
    if t.ids then
      for _, id in ipairs(job.ids[row.caption]) do ids[#ids + 1] = id end
    else
      context[i] = job.texts[row.caption]()
    end
  end
  latents = table.concat(latents)
  plan:set(t.encoded, latents)
  plan:set(t.draw, random:normal(#latents // 8))
  plan:set(t.noise, random:normal(#latents // 8))
  for name, list in pairs(numbers) do plan:set(t[name], floats.bytes(list)) end
  if t.ids then plan:set(t.ids, ids) else plan:set(t.context, table.concat(context)) end
end

return feed
