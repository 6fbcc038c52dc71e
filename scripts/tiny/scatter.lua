-- scatter.lua - pictures of nothing in particular: grounds, bands, dots, checks, fans, blobs, lines and soft light. The VAE learns them beside
-- the world, so that it can encode what the base cannot draw.
--
--   local im = require("tiny.scatter").draw(hash.random(7))

local image = require "native.image"

local scatter = {}

local SIDE, TAU = 64, 2 * math.pi

local function between(random, low, high) return low + (high - low) * random:uniform() end
local function colour(random) return { random:below(256), random:below(256), random:below(256) } end
local function near(random, c, by)
  local out = {}
  for i = 1, 3 do out[i] = math.max(0, math.min(255, c[i] + random:below(2 * by + 1) - by)) end
  return out
end
local function contrast(random, c) return near(random, c, ({ 20, 60, 255 })[random:below(3) + 1]) end

local function bands(im, random, c)
  local angle, period, n = random:uniform() * math.pi, between(random, 3, 16), SIDE
  local dx, dy = math.cos(angle), math.sin(angle)
  for t = -n, n, period do
    local x0, y0 = n / 2 + dx * t, n / 2 + dy * t
    local x1, y1 = x0 + dx * period / 2, y0 + dy * period / 2
    im:fill_polygon({ x0 - dy * n, y0 + dx * n, x0 + dy * n, y0 - dx * n, x1 + dy * n, y1 - dx * n, x1 - dy * n, y1 + dx * n }, c)
  end
end

local function dots(im, random, c)
  for _ = 1, 5 + random:below(56) do im:circle(random:uniform() * SIDE, random:uniform() * SIDE, between(random, 0.8, 4), c) end
end

local function checks(im, random, c)
  local step = between(random, 3, 14)
  for i = 0, SIDE // step do
    for j = i % 2, SIDE // step, 2 do im:rect(i * step, j * step, step, step, c) end
  end
end

local function blob(im, random, c, cx, cy, radius)
  local corners, from, list = 3 + random:below(7), random:uniform() * TAU, {}
  for i = 0, corners - 1 do
    local r = radius * between(random, 0.2, 1)
    list[#list + 1] = cx + r * math.cos(from + TAU * i / corners)
    list[#list + 1] = cy + r * math.sin(from + TAU * i / corners)
  end
  im:fill_polygon(list, c)
end

-- Wedges of two colours around a point: fine edges that meet.
local function fan(im, random, c, cx, cy, radius)
  local other, pairs_of, from = colour(random), 2 + random:below(8), random:uniform() * TAU
  local width = math.pi / pairs_of
  for i = 0, 2 * pairs_of - 1 do
    local list = { cx, cy }
    for k = 0, 4 do
      local angle = from + width * (i + k / 4)
      list[#list + 1] = cx + radius * math.cos(angle)
      list[#list + 1] = cy + radius * math.sin(angle)
    end
    im:fill_polygon(list, i % 2 == 0 and c or other)
  end
end

-- A soft light of four colours, one from each corner.
local function light(im, random)
  local over, alpha = image.new(2, 2, { 0, 0, 0, 0 }), between(random, 15, 110)
  for i = 0, 3 do
    local c = colour(random)
    c[4] = alpha * random:uniform()
    over:set(i % 2, i // 2, c)
  end
  im:paste(over:resize(SIDE, SIDE, "bilinear"), 0, 0)
end

function scatter.draw(random)
  local back = colour(random)
  local im = image.new(SIDE, SIDE, back)
  local kind = random:uniform()
  if kind < 0.25 then bands(im, random, contrast(random, back))
  elseif kind < 0.45 then dots(im, random, contrast(random, back))
  elseif kind < 0.55 then checks(im, random, contrast(random, back))
  end
  for _ = 1, random:below(10) do
    local c, cx, cy, radius, what = colour(random), random:uniform() * SIDE, random:uniform() * SIDE, between(random, 2, 26), random:uniform()
    if what < 0.40 then blob(im, random, c, cx, cy, radius)
    elseif what < 0.52 then fan(im, random, c, cx, cy, radius)
    elseif what < 0.75 then im:ellipse(cx, cy, radius, radius * between(random, 0.3, 1), random:uniform() * math.pi, c)
    else im:line(cx, cy, random:uniform() * SIDE, random:uniform() * SIDE, between(random, 1, 6), c)
    end
  end
  if random:uniform() < 0.35 then light(im, random) end
  return im
end

return scatter
