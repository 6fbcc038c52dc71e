-- grades.lua - numbers from 0 to 10 for a picture and for a folder, each with the formula that it comes from.
--
--   local grade = grades.picture(item, { side = 512 })      -- { quality = 7.3, worst = "sharpness", parts = { size = 1, sharpness = 0.4, ... } }
--   grades.consistency(items), grades.diversity(items, 2)    -- { grade =, parts = { ... } }; nil for fewer than two pictures
local folder = require "assistant.folder"
local hash = require "native.hash"
local looks = require "assistant.looks"
local spread = require "assistant.spread"

local M = {}

local ramp = spread.ramp
local function log2(x) return math.log(math.max(x, 1e-9), 2) end

-- The parts of a picture's quality, each from 0 to 1, with its weight.
M.PARTS = {
  { name = "size", weight = 0.25, says = "shorter side: 1 from the wanted side on, 0 at a quarter of it, by its logarithm",
    of = function(item, options) return ramp(log2(math.min(item.width, item.height) / options.side), -2, 0) end },
  { name = "sharpness", weight = 0.30, says = "variance of the Laplacian: 0 at 10, 1 from 300 on, by its logarithm",
    of = function(item) return ramp(log2(item.sharpness), log2(10), log2(300)) end },
  { name = "exposure", weight = 0.20,
    says = "the least of: bright spots (0 at 0.32, 1 at 0.6), shadows (0 at 0.95, 1 at 0.6), range between the two (0 at 0.05, 1 at 0.3)",
    of = function(item)
      local b = item.brightness
      return math.min(ramp(b.p99, 0.32, 0.6), ramp(b.p5, 0.95, 0.6), ramp(b.p95 - b.p5, 0.05, 0.3))
    end },
  { name = "information", weight = 0.10, says = "entropy: 0 at 3 bits, 1 from 6 on", of = function(item) return ramp(item.entropy, 3, 6) end },
  { name = "cleanness", weight = 0.15, says = "the lesser of: noise (1 up to 4 gray levels, 0 at 25), JPEG's squares (1 up to 1.6, 0 at 3.5)",
    of = function(item) return math.min(ramp(item.noise, 25, 4), ramp(item.blocking, 3.5, 1.6)) end },
}

M.FORMULA = "quality = 10 x (0.6 x the weighted mean of the parts + 0.4 x the worst part)"

--- The quality of one picture.
---@param item calotype.item
---@param options { side: integer }
---@return { quality: number, worst: string, parts: table<string, number> }
function M.picture(item, options)
  local mean, worst, worst_name, parts = 0, 2, nil, {}
  for _, part in ipairs(M.PARTS) do
    local value = part.of(item, options)
    parts[part.name], mean = value, mean + part.weight * value
    if value < worst then worst, worst_name = value, part.name end
  end
  return { quality = 10 * (0.6 * mean + 0.4 * worst), worst = worst_name, parts = parts }
end

M.QUALITY = "the mean of the pictures' quality x (1 - half the share of duplicates) x (1 - the share that cannot be read)"

---@param items calotype.item[] each with its grade
---@param duplicates integer
---@param unreadable integer
---@return number? 0 to 10; nil without pictures
function M.quality(items, duplicates, unreadable)
  local values = {}
  for i, item in ipairs(items) do values[i] = item.grade.quality end
  local mean = spread.mean(values)
  return mean and mean * (1 - 0.5 * duplicates / #items) * (1 - unreadable / (#items + unreadable))
end

-- What may differ within a folder: the width of the middle half, and the width that counts as wholly different.
M.ALIKE = {
  { name = "light", wide = 0.5, says = "median brightness", of = function(item) return item.brightness.p50 end },
  { name = "colourfulness", wide = 0.15, says = "mean distance from gray", of = function(item) return item.look and item.look.chroma end },
  { name = "sharpness", wide = 4, says = "logarithm of the sharpness", of = function(item) return log2(math.max(item.sharpness, 1)) end },
  { name = "shape", wide = 1, says = "logarithm of width by height", of = function(item) return log2(item.width / item.height) end },
  { name = "size", wide = 2, says = "logarithm of the shorter side", of = function(item) return log2(math.min(item.width, item.height)) end },
}

M.CONSISTENCY = "10 x (1 - the mean of the parts' spreads); a spread is the width of the middle half by the width that counts as wholly different, "
  .. "that of the colours the median distance of the palettes from their mean by 0.4"

local function numbers(items, of)
  local values = {}
  for _, item in ipairs(items) do values[#values + 1] = of(item) end
  return values
end

local function palettes_of(items)
  local list = {}
  for _, item in ipairs(items) do list[#list + 1] = item.look and item.look.palette end
  return list
end

--- How alike the pictures are in how they were taken. Parts: 1 alike, 0 wholly different.
---@param items calotype.item[]
---@return { grade: number, parts: table<string, number> }?
function M.consistency(items)
  if #items < 2 then return nil end
  local parts, sum, count = {}, 0, 0
  local function note(name, width)
    parts[name] = 1 - math.min(1, width)
    sum, count = sum + parts[name], count + 1
  end
  for _, row in ipairs(M.ALIKE) do note(row.name, spread.middle_half(numbers(items, row.of)) / row.wide) end
  local palettes = palettes_of(items)
  local middle, distances = looks.middle(palettes), {}
  for i, palette in ipairs(palettes) do distances[i] = looks.palette_distance(palette, middle) end
  note("colours", (spread.median(distances) or 0) / 0.4)
  return { grade = 10 * sum / count, parts = parts }
end

local MOST_PAIRS = 20000

-- All pairs of a small folder, a fixed choice of a large one.
local function pairs_of(count)
  local out = {}
  if count * (count - 1) // 2 <= MOST_PAIRS then
    for i = 1, count - 1 do for j = i + 1, count do out[#out + 1] = { i, j } end end
    return out
  end
  local random = hash.random(1)
  while #out < MOST_PAIRS do
    local i, j = random:below(count) + 1, random:below(count) + 1
    if i ~= j then out[#out + 1] = { i, j } end
  end
  return out
end

M.DIVERSITY = "10 x (0.6 x median distance of two pictures' hashes by 30 bits + 0.4 x that of their palettes by 0.4) x (1 - the share of duplicates)"

--- How much the pictures differ in what they show. Parts: 0 all the same, 1 nothing in common.
---@param items calotype.item[]
---@param duplicates integer
---@return { grade: number, parts: table<string, number> }?
function M.diversity(items, duplicates)
  if #items < 2 then return nil end
  local hashes, palettes = {}, {}
  for n, pair in ipairs(pairs_of(#items)) do
    if n % 1024 == 0 then folder.poll() end
    local a, b = items[pair[1]], items[pair[2]]
    hashes[#hashes + 1] = looks.hash_distance(a, b)
    if a.look and b.look then palettes[#palettes + 1] = looks.palette_distance(a.look.palette, b.look.palette) end
  end
  local layout, colours = ramp(spread.median(hashes), 0, 30), ramp(spread.median(palettes) or 0, 0, 0.4)
  return { grade = 10 * (0.6 * layout + 0.4 * colours) * (1 - duplicates / #items), parts = { layout = layout, colours = colours } }
end

return M
