-- looks.lua - the colours of a picture in a few numbers, from its thumbnail; how far two pictures are apart.
--
--   local look = looks.of(store, item)             -- { light =, contrast =, chroma =, palette = { 24 numbers } }, kept in the store by content
--   looks.palette_distance(a, b)                    -- 0 the same colours ... 1 none in common
--   looks.hash_distance(item_a, item_b)             -- bits of 64; pictures that have nothing in common are about 32 apart
local image = require "native.image"
local json = require "native.json"

local M = {}

local KIND = "assistant.look.1"
local SIDE, BINS, WIDEST = 24, 8, 0.4 -- WIDEST: of the colour differences, where the outermost bins begin

-- A value between two bins counts in both, so that a small change of colour is a small change here.
local function add(bins, first, place)
  place = math.max(0, math.min(BINS - 1, place))
  local low = math.floor(place)
  local share = place - low
  bins[first + low] = bins[first + low] + 1 - share
  if share > 0 then bins[first + low + 1] = bins[first + low + 1] + share end
end

local function measure(picture)
  local bytes = picture:rgb({ 255, 255, 255 }):resize(SIDE, SIDE, "area"):bytes()
  local count, palette = SIDE * SIDE, {}
  for i = 1, 3 * BINS do palette[i] = 0 end
  local sum, squares, chroma = 0, 0, 0
  for i = 1, #bytes, 3 do
    local r, g, b = bytes:byte(i, i + 2)
    local light = (0.299 * r + 0.587 * g + 0.114 * b) / 255 -- Y, Cb, Cr of JPEG
    local blue, red = 0.564 * (b / 255 - light), 0.713 * (r / 255 - light)
    sum, squares, chroma = sum + light, squares + light * light, chroma + math.sqrt(blue * blue + red * red)
    add(palette, 1, light * (BINS - 1))
    add(palette, 1 + BINS, (blue + WIDEST) / (2 * WIDEST) * (BINS - 1))
    add(palette, 1 + 2 * BINS, (red + WIDEST) / (2 * WIDEST) * (BINS - 1))
  end
  for i, value in ipairs(palette) do palette[i] = math.floor(value / count * 1e5 + 0.5) / 1e5 end
  local mean = sum / count
  return { light = mean, contrast = math.sqrt(math.max(0, squares / count - mean * mean)), chroma = chroma / count, palette = palette }
end

--- nil where there is no thumbnail.
---@param store table
---@param item calotype.item
---@return table?
function M.of(store, item)
  local known = store:get(KIND, item.sha256)
  if known then return json.decode(known) end
  local bytes = item.thumb and store:blob(item.thumb)
  local picture = bytes and image.decode(bytes, item.name)
  if not picture then return nil end
  local look = measure(picture)
  store:put(KIND, item.sha256, json.encode(look))
  return look
end

--- Of brightness and two colour differences, the share that does not overlap.
---@param a table a palette
---@param b table
---@return number
function M.palette_distance(a, b)
  local sum = 0
  for i = 1, 3 * BINS do sum = sum + math.abs(a[i] - b[i]) end
  return sum / 6
end

--- The mean of palettes.
---@param list table[]
---@return table
function M.middle(list)
  local middle = {}
  for i = 1, 3 * BINS do
    local sum = 0
    for _, palette in ipairs(list) do sum = sum + palette[i] end
    middle[i] = #list > 0 and sum / #list or 0
  end
  return middle
end

local function bits(n)
  local count = 0
  while n ~= 0 do
    n = n & (n - 1)
    count = count + 1
  end
  return count
end

---@param a calotype.item
---@param b calotype.item
---@return integer
function M.hash_distance(a, b) return bits(tonumber("0x" .. a.phash) ~ tonumber("0x" .. b.phash)) end

return M
