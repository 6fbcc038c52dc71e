-- batches.lua - which pictures a step sees: batches of one size, every picture as often as its weight says, in an order that only the
-- seed decides.
--
--   local order = batches.new({ { size = "64x64", weight = 1 }, { size = "64x64", weight = 3 } }, { batch = 2, seed = 42 })
--   order:at(1)                                          --> { 2, 1 }: numbers of pictures
--   order.per_epoch                                      --> steps in the first round
--
-- A round goes through all pictures; a batch that would stay short is filled with further pictures of its size.

local hash = require "native.hash"

local batches = {}

local Order = {}
Order.__index = Order

--- Streams of random numbers under one seed, so that none is used for two things.
batches.STREAM = { step = 1 << 40, round = 2 << 40, sample = 3 << 40, validation = 4 << 40 }

---@param pictures { size: string, weight: number }[]
---@param options { batch: integer, seed: integer }
function batches.new(pictures, options)
  local order = setmetatable({ pictures = pictures, batch = options.batch, seed = options.seed, steps = {}, rounds = 0, ends = {} }, Order)
  order:extend()
  order.per_epoch = #order.steps
  return order
end

-- One more round.
function Order:extend()
  local groups, names = {}, {}
  repeat
    local r = hash.random(self.seed, batches.STREAM.round + self.rounds)
    self.rounds = self.rounds + 1
    for i, picture in ipairs(self.pictures) do
      local times = math.floor(picture.weight)
      if r:uniform() < picture.weight - times then times = times + 1 end
      for _ = 1, times do
        if not groups[picture.size] then
          groups[picture.size] = {}
          names[#names + 1] = picture.size
        end
        table.insert(groups[picture.size], i)
      end
    end
    local made = {}
    table.sort(names)
    for _, name in ipairs(names) do
      local list = r:shuffle(groups[name])
      for from = 1, #list, self.batch do
        local batch = {}
        for k = 0, self.batch - 1 do batch[k + 1] = list[(from + k - 1) % #list + 1] end
        made[#made + 1] = batch
      end
    end
    for _, batch in ipairs(r:shuffle(made)) do self.steps[#self.steps + 1] = batch end
  until #names > 0 -- weights below one may leave a round empty
  self.ends[#self.ends + 1] = #self.steps
end

--- The pictures of a step, counted from 1.
---@return integer[]
function Order:at(step)
  while #self.steps < step do self:extend() end
  return self.steps[step]
end

--- In which round a step lies, from 1.
function Order:round(step)
  self:at(step)
  for i, last in ipairs(self.ends) do if step <= last then return i end end
end

return batches
