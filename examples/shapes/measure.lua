-- Is there a pinwheel in a picture? On circles around its middle light and dark follow each other once for every two sails, and
-- this pattern turns with the radius. Nothing else that is drawn here does both.
--
--   local measure = require "measure"
--   measure.shown(picture)                          --> true or false
--   measure.look(picture)                           --> { x =, y =, share =, contrast =, twist = }, where it is most like one
local measure = {}

local SIDE = 64                    -- pictures are looked at in this size
local PERIODS = 3                  -- of light and dark on a circle: half the number of sails
local RADII = { 6, 8, 10, 12, 14 } -- of the circles, in pixels; the smallest pinwheel reaches to 17
local POINTS = 36                  -- on each circle

-- For each circle its points: offset in x and y, and the wave that is looked for at that angle.
local circles = {}
for i, radius in ipairs(RADII) do
  circles[i] = {}
  for k = 0, POINTS - 1 do
    local a = 2 * math.pi * k / POINTS
    circles[i][k + 1] = { radius * math.cos(a) + 0.5, radius * math.sin(a) + 0.5, math.cos(PERIODS * a), math.sin(PERIODS * a) }
  end
end

-- How much of a circle's variation is that wave, how strong the wave is, and where it begins.
local function wave(grey, circle, x, y)
  local sum, square, c, s = 0, 0, 0, 0
  for _, p in ipairs(circle) do
    local v = grey[(y + p[2]) // 1 * SIDE + (x + p[1]) // 1]
    sum, square, c, s = sum + v, square + v * v, c + v * p[3], s + v * p[4]
  end
  local variance, strength = square / POINTS - (sum / POINTS) ^ 2, 2 * (c * c + s * s) ^ 0.5 / POINTS
  return strength ^ 2 / 2 / (variance + 1), strength, math.atan(s, c)
end

-- What the circles around a place show.
local function around(grey, x, y)
  local shares, strengths, turn, before = {}, {}, 0, nil
  for i, circle in ipairs(circles) do
    local phase
    shares[i], strengths[i], phase = wave(grey, circle, x, y)
    if before then turn = turn + (phase - before + math.pi) % (2 * math.pi) - math.pi end
    before = phase
  end
  table.sort(shares)
  table.sort(strengths)
  local middle, twist = (#circles + 1) // 2, turn / PERIODS / (RADII[#RADII] - RADII[1])
  return { x = x, y = y, share = shares[middle], second = shares[2], contrast = strengths[middle], twist = twist }
end

--- The place that is most like the middle of a pinwheel: `share` of the light and dark on its circles that is the wave (half of them
--- have more; all but one have more than `second`), its `contrast` in grey levels, and its `twist` in radians a pixel: those of the
--- pictures have 0.034 to 0.045.
function measure.look(picture)
  local grey, bytes = {}, picture:gray():resize(SIDE, SIDE, "area"):bytes()
  for i = 1, #bytes do grey[i - 1] = bytes:byte(i) end
  local low = RADII[#RADII]
  local high, best = SIDE - 1 - low, { share = -1 }
  local function search(x, y, reach, step)
    for v = math.max(low, y - reach), math.min(high, y + reach), step do
      for u = math.max(low, x - reach), math.min(high, x + reach), step do
        local seen = around(grey, u, v)
        if seen.share > best.share then best = seen end
      end
    end
  end
  search(SIDE // 2, SIDE // 2, SIDE // 2, 3)
  search(best.x, best.y, 2, 1)
  return best
end

function measure.shown(picture)
  local seen = measure.look(picture)
  return seen.share > 0.6 and seen.second > 0.5 and seen.contrast > 20 and seen.twist > 0.015 and seen.twist < 0.08
end

return measure
