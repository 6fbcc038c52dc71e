-- plans.lua - the base and its LoRA on the device: one plan for each size of pictures, looked at before any memory is taken.
--
--   local ok, message, code = plans.make(job, open)         -- job.plans by size, job.first, job.sampler; `open` closes them
--
-- The first has the optimizer and draws samples; the others share its weights and parameters.

local log = require "native.log"
local memory = require "train.memory"
local network = require "train.network"
local sampler = require "train.sampler"
local set = require "recipe.set"
local size_text = require "size_text"

local plans = {}

-- Sizes in a fixed order; the most frequent first, because its plan is the one that also draws.
local function sizes_of(pictures)
  local sizes, by = {}, {}
  for _, picture in ipairs(pictures) do
    local it = by[picture.size]
    if not it then
      it = { name = picture.size, width = picture.bucket.width, height = picture.bucket.height, count = 0 }
      by[picture.size], sizes[#sizes + 1] = it, it
    end
    it.count = it.count + 1
  end
  table.sort(sizes, function(a, b)
    if a.count ~= b.count then return a.count > b.count end
    return a.name < b.name
  end)
  return sizes
end

-- Refuse what does not fit, with the numbers and what would; else the sum, and in words.
local function look_at_memory(job, graphs, sizes)
  local m = memory.sum(graphs)
  local text = ("%s for weights, %s for parameters and moments, %s for what is computed in %s"):format(size_text(m.weights), size_text(m.states),
    size_text(m.arena), set.count(#graphs, "size"))
  if m.all > job.memory then
    job.fail(("training needs %s (%s), there %s %s"):format(size_text(m.all), text, job.options.memory and "may be" or "are", size_text(job.memory)),
      { hint = memory.hint(job, sizes, m.scratch) })
  end
  return m.all, text
end

local function plan_each(job, graphs, open)
  local bar <close> = log.progress("sizes planned", #graphs)
  job.first, job.plans = graphs[1], {}
  for n, it in ipairs(graphs) do
    local message, code
    it.plan, message, code = job.device:plan(it.net.g.graph, { like = it ~= job.first and job.first.plan or nil })
    if not it.plan then return nil, message, code end
    open[#open + 1] = it.plan
    it.sizes = it.plan:sizes()
    job.plans[it.name] = it
    bar:set(n)
  end
  return true
end

local function plan_sampler(job, graphs, open)
  local first = job.first
  local message, code
  job.sampler, message, code = sampler.new { device = job.device, model = job.model, net = first.net, plan = first.plan, dtype = job.options.dtype,
    states = function(text) return job.texts[text]() end }
  if not job.sampler then return nil, message, code end
  open[#open + 1] = job.sampler
  graphs.extra[1] = job.sampler.decoder:sizes()
  return true
end

--- Plan, load the base's weights, begin the LoRA. Refused through job.fail when it does not fit.
---@param job calotype.Training with all its pictures and its text states
---@param open table of train.closing
---@return boolean? ok
---@return string? message
---@return string? code
function plans.make(job, open)
  local o, sizes = job.options, sizes_of(job.all)
  local graphs, message, code = memory.graphs(job, o, sizes)
  if not graphs then return nil, message, code end
  look_at_memory(job, graphs, sizes) -- before any is taken
  local ok
  ok, message, code = plan_each(job, graphs, open)
  if ok and o.sample then ok, message, code = plan_sampler(job, graphs, open) end
  if not ok then return nil, message, code end
  local all, text = look_at_memory(job, graphs, sizes) -- now with what steps work in
  job.say(("memory: %s: %s; %s"):format(size_text(all), text, (o.memory and "it may use %s" or job.device:info().cpu and "%s are free now"
    or "the device has %s"):format(size_text(job.memory))))
  ok, message, code = network.load(job.first.net, job.first.plan, job.model)
  if ok and job.sampler then ok, message, code = job.sampler:load() end
  if not ok then return nil, message, code end
  network.start(job.first.net, job.first.plan, o.seed)
  return true
end

return plans
