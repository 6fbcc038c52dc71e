-- memory.lua - what a training will take of its device, known before anything is taken, and the nearest setting that fits.
--
--   local graphs = memory.graphs(job, job.options, sizes)      -- { { name =, net =, sizes = bytes }, ..., extra = { bytes } }
--   local m = memory.sum(graphs)
--   if m.all > job.memory then ... memory.hint(job, sizes) end
--
-- `job` has model, device, memory in bytes and options; `sizes` are those of the pictures, { { name, width, height }, ... }, the first of which
-- has the optimizer and draws samples. Bytes are those of device:sizes until there are plans, then those of plan:sizes.

local network = require "train.network"
local sampler = require "train.sampler"
local set = require "recipe.set"
local sides = require "models.sides"
local size_text = require "size_text"

local memory = {}

--- One graph for each size of pictures, and what the decoder of samples needs besides.
---@return table? graphs
---@return string? message
---@return string? code
function memory.graphs(job, options, sizes)
  local o, model, graphs = options, job.model, { extra = {} }
  local canvas = o.sample and sides.latents(model, o.resolution, o.resolution) or nil
  for i, size in ipairs(sizes) do
    local latents = sides.latents(model, size.width, size.height)
    local ok, net = pcall(network.build, model, {
      rank = o.rank, alpha = o.alpha, targets = o.targets, text = o.lr.text > 0, unet = o.lr.unet > 0, device = job.device, dtype = o.dtype,
      clip_skip = o.clip_skip, width = latents.width, height = latents.height, batch = o.batch, canvas = canvas,
      sample = i == 1 and o.sample or nil,
      train = i == 1 and { clip = o.clip > 0 and o.clip or nil, weight_decay = o.weight_decay,
        text_rate = o.lr.unet > 0 and o.lr.text / o.lr.unet or 1 } or nil,
    })
    if not ok then return nil, tostring(net), "FORMAT" end
    local bytes, message, code = job.device:sizes(net.g.graph)
    if not bytes then return nil, message, code end
    graphs[i] = { name = size.name, net = net, sizes = bytes }
  end
  if o.sample then
    local bytes, message, code = job.device:sizes(sampler.decoder { device = job.device, model = model, net = graphs[1].net, dtype = o.dtype }.g.graph)
    if not bytes then return nil, message, code end
    graphs.extra[1] = bytes
  end
  return graphs
end

--- Weights and parameters once, what is computed for every size.
---@return { weights: integer, states: integer, arena: integer, scratch: integer, all: integer }
function memory.sum(graphs)
  local m = { weights = graphs[1].sizes.weights, states = graphs[1].sizes.states, arena = 0, scratch = 0 }
  local function computed(sizes)
    m.arena = m.arena + sizes.arena + sizes.inputs + sizes.constants + sizes.scratch
    m.scratch = m.scratch + sizes.scratch
  end
  for _, it in ipairs(graphs) do computed(it.sizes) end
  for _, sizes in ipairs(graphs.extra or {}) do
    m.weights = m.weights + sizes.weights
    computed(sizes)
  end
  m.all = m.weights + m.states + m.arena
  return m
end

-- The largest n from 1 to `most` that needs(n) says bytes for; more needs more.
local function largest(most, needs)
  local low, high, bytes = 0, most + 1, nil
  while high - low > 1 do
    local middle = (low + high) // 2
    local all = needs(middle)
    if all then low, bytes = middle, all else high = middle end
  end
  return low, bytes
end

-- The sizes when pictures are scaled to another resolution.
local function scaled(sizes, by, multiple)
  local out, seen = {}, {}
  local function side(n) return math.max(multiple, math.floor(n * by / multiple + 0.5) * multiple) end
  for _, size in ipairs(sizes) do
    local it = { width = side(size.width), height = side(size.height) }
    it.name = ("%dx%d"):format(it.width, it.height)
    if not seen[it.name] then
      seen[it.name] = true
      out[#out + 1] = it
    end
  end
  return out
end

local MARGIN = 1 / 32 -- of the memory, for what steps work in, which is not known before there are plans

--- A sentence with the nearest setting that fits into the memory, found by laying it out. `scratch`: what steps work in, 0 when not known.
---@param scratch integer
---@return string
function memory.hint(job, sizes, scratch)
  local o, multiple = job.options, sides.multiple(job.model)
  if scratch == 0 then scratch = math.ceil(job.memory * MARGIN) end
  local function needs(changes, other)
    local graphs = memory.graphs(job, setmetatable(changes, { __index = o }), other or sizes)
    return graphs and memory.sum(graphs).all + scratch
  end
  local function fitting(changes, other)
    local all = needs(changes, other)
    return all and all <= job.memory and all or nil
  end
  local n, all = largest(o.batch - 1, function(batch) return fitting { batch = batch } end)
  if all then return ("batch = %d needs about %s"):format(n, size_text(all)) end

  local own = math.max(sides.own(job.model)) -- nothing above what the base draws by itself is proposed
  local step = math.max(multiple, math.min(64, own) // multiple * multiple)
  local function at(k) return { batch = 1, resolution = k * step }, scaled(sizes, k * step / o.resolution, multiple) end
  n, all = largest(math.min(own, o.resolution - 1) // step, function(k) return fitting(at(k)) end)
  if all then return ("resolution = %d%s needs about %s"):format(n * step, o.batch > 1 and " with batch = 1" or "", size_text(all)) end

  all = fitting({}, { sizes[1] })
  if all then return ("the pictures have %d sizes, each with memory of its own: one size needs about %s"):format(#sizes, size_text(all)) end
  if not o.dtype or o.dtype == "f32" then
    all = fitting { dtype = "bf16" }
    if all then return ("dtype = \"bf16\" needs about %s"):format(size_text(all)) end
  end
  n, all = largest(o.rank - 1, function(rank) return fitting { rank = rank } end)
  if all then return ("rank = %d needs about %s"):format(n, size_text(all)) end
  local changes, least = at(1)
  changes.dtype, changes.rank = "bf16", 1
  all = needs(changes, { least[1] })
  return all and ("this base is too large for it: rank = 1 on %s of %d px with dtype = \"bf16\" still needs %s"):format(set.count(1), step, size_text(all))
    or "this base is too large for it"
end

return memory
