-- world.lua - the little world that the tiny base learns: what a picture shows -> the picture, and a sentence about it.
--
--   local world = require "tiny.world"
--   local p = world.sample(random)                  -- { count = "two", size = "small", texture = "striped", colour = "red", form = "star", ... }
--   local im = world.draw(p, random)                -- 64 x 64
--   print(world.caption(p, random))                 -- two small striped red stars at the left on a sand background
--
-- 8 forms, 8 colours, 2 sizes, 3 counts, 5 positions, 5 grounds, 3 textures: 28,800 combinations. `random` is hash.random.

local hash = require "native.hash"
local image = require "native.image"

local world = { SIDE = 64 }

world.FORMS = { "circle", "square", "triangle", "star", "ring", "cross", "heart", "moon" }
world.COLOURS = { "red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink" }
world.SIZES = { "small", "big" }
world.COUNTS = { "one", "two", "three" }
world.POSITIONS = { "left", "right", "top", "bottom", "centre" }
world.GROUNDS = { "white", "black", "grey", "sand", "sky" }
world.TEXTURES = { "plain", "plain", "striped", "dotted" } -- plain twice: as often as the other two
world.KEYS = { "count", "size", "texture", "colour", "form", "position", "ground" }

world.PAINT = {
  red = { 214, 44, 48 }, orange = { 242, 138, 28 }, yellow = { 246, 214, 48 }, green = { 44, 164, 72 }, cyan = { 48, 194, 204 },
  blue = { 44, 84, 212 }, purple = { 132, 60, 180 }, pink = { 242, 130, 182 },
}
local GROUND = { white = { 244, 244, 244 }, black = { 22, 22, 24 }, grey = { 128, 128, 128 }, sand = { 222, 204, 164 }, sky = { 188, 214, 236 } }
world.TONE = 0.52 -- stripes and dots: the colour times this

-- Colour and form pairs that training never shows.
local HELD = { red = "star", blue = "ring", green = "heart", yellow = "square", purple = "moon", orange = "cross" }

-- Pixels from the middle to the outline.
world.RADIUS = { one = { small = 10.5, big = 15 }, two = { small = 9, big = 12 }, three = { small = 7.6, big = 8.8 } }

-- Outlines with a radius of about 1; y grows downwards ------------------------------------------------------------------

local TAU, N = 2 * math.pi, 40

local function arc(points, radius, from, to, count, cx)
  for i = 0, count do
    local a = from + (to - from) * i / count
    points[#points + 1] = { radius * math.cos(a) + (cx or 0), radius * math.sin(a) }
  end
  return points
end

local function star()
  local points = {}
  for i = 0, 9 do
    local r = i % 2 == 0 and 1.1 or 0.44
    points[#points + 1] = { r * math.sin(TAU * i / 10), -r * math.cos(TAU * i / 10) }
  end
  return points
end

local function heart()
  local points = {}
  for i = 0, N - 1 do
    local t = TAU * i / N
    local y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
    points[#points + 1] = { 16 * math.sin(t) ^ 3 / 16.5, -y / 16.5 - 0.08 }
  end
  return points
end

-- A disc less a smaller one to the right of its middle.
local function moon()
  local d, r, shift = 0.55, 0.80, 0.22
  local x = (1 - r * r + d * d) / (2 * d)
  local y = (1 - x * x) ^ 0.5
  local outer, inner = math.atan(y, x), math.atan(y, x - d)
  return arc(arc({}, 1, outer, TAU - outer, N, shift), r, -inner, inner - TAU, N // 2, d + shift)
end

local a, b = 1.0, 0.34
local OUTLINE = {
  circle = arc({}, 0.95, 0, TAU, N),
  square = { { -0.82, -0.82 }, { 0.82, -0.82 }, { 0.82, 0.82 }, { -0.82, 0.82 } },
  triangle = { { 0, -1 }, { 1, 0.78 }, { -1, 0.78 } },
  star = star(),
  ring = arc(arc({}, 1.0, 0, TAU, N), 0.5, TAU, 0, N),
  cross = { { -b, -a }, { b, -a }, { b, -b }, { a, -b }, { a, b }, { b, b }, { b, a }, { -b, a }, { -b, b }, { -a, b }, { -a, -b }, { -b, -b } },
  heart = heart(),
  moon = moon(),
}

-- The part of a polygon between two heights (Sutherland and Hodgman 1974); seams without area do no harm.
local function clip(points, low, high)
  for _, cut in ipairs { { 1, low }, { -1, -high } } do
    local sign, limit, out = cut[1], cut[2], {}
    local before = points[#points]
    for _, p in ipairs(points) do
      local from, to = sign * before[2] - limit, sign * p[2] - limit
      if (from >= 0) ~= (to >= 0) then
        local t = from / (from - to)
        out[#out + 1] = { before[1] + t * (p[1] - before[1]), before[2] + t * (p[2] - before[2]) }
      end
      if to >= 0 then out[#out + 1] = p end
      before = p
    end
    points = out
    if #points == 0 then break end
  end
  return points
end

local function inside(points, x, y)
  local hit, before = false, points[#points]
  for _, p in ipairs(points) do
    local x0, y0, x1, y1 = before[1], before[2], p[1], p[2]
    if (y0 > y) ~= (y1 > y) and x < x0 + (y - y0) / (y1 - y0) * (x1 - x0) then hit = not hit end
    before = p
  end
  return hit
end

-- Drawing ---------------------------------------------------------------------------------------------------------------

local function pick(random, list) return list[random:below(#list) + 1] end
local function spread(random, by) return (random:uniform() * 2 - 1) * by end

local function near(random, colour, by)
  local out = {}
  for i = 1, 3 do out[i] = math.max(0, math.min(255, colour[i] + random:below(2 * by + 1) - by)) end
  return out
end

local GAP = { one = 0, two = 28, three = 21.2 }
local NUMBER = { one = 1, two = 2, three = 3 }
world.NUMBER = NUMBER

-- Middles of the objects. A group at the left or right is a column, one at the top or bottom a row, in the centre either.
local function places(p, radius, random)
  local n, at = NUMBER[p.count], p.position
  local column = at == "left" or at == "right" or (at == "centre" and n > 1 and random:uniform() < 0.5)
  local off = radius >= 12 and 14 or 16
  local cx = 32 + (at == "left" and -off or at == "right" and off or 0) + spread(random, 1.5)
  local cy = 32 + (at == "top" and -off or at == "bottom" and off or 0) + spread(random, 1.5)
  if n == 1 and at ~= "centre" then
    if column then cy = cy + spread(random, 5) else cx = cx + spread(random, 5) end
  end
  local slack, out = n > 1 and 0.6 or 0, {}
  for i = 0, n - 1 do
    local t, side = (i - (n - 1) / 2) * GAP[p.count], spread(random, 2)
    local x, y = cx + (column and side or t), cy + (column and t or side)
    out[#out + 1] = { x + spread(random, slack), y + spread(random, slack) }
  end
  return out
end

local function stripes(fill, points, radius, random, tone)
  local period = math.max(5.6, radius * 0.5) / radius -- narrower ones do not survive the VAE
  local y = -1.2 + random:uniform() * period
  while y < 1.2 do
    local piece = clip(points, y, y + period / 2)
    if #piece > 2 then fill(piece, tone) end
    y = y + period
  end
end

local function dots(im, turn, points, radius, random, tone)
  local step, size = math.max(5.2, radius * 0.48) / radius, math.max(1.6, radius * 0.155)
  local m, y, row = 0.7 * size / radius, -1.2 + random:uniform() * step, 0
  while y < 1.2 do
    local x = -1.2 + (row % 2) * step / 2
    while x < 1.2 do
      if inside(points, x + m, y + m) and inside(points, x - m, y + m) and inside(points, x + m, y - m) and inside(points, x - m, y - m) then
        local px, py = turn(x, y)
        im:circle(px, py, size, tone)
      end
      x = x + step
    end
    y, row = y + step * 0.87, row + 1
  end
end

--- One picture. `p` has a value for each of world.KEYS; p.radius, if there is one, counts instead of the size.
function world.draw(p, random)
  local ground = near(random, GROUND[p.ground], 4)
  local colour = near(random, world.PAINT[p.colour], 6)
  local tone = { colour[1] * world.TONE // 1, colour[2] * world.TONE // 1, colour[3] * world.TONE // 1 }
  local im = image.new(world.SIDE, world.SIDE, ground)
  local base, points = p.radius or world.RADIUS[p.count][p.size], OUTLINE[p.form]
  for _, at in ipairs(places(p, base, random)) do
    local radius = base * (0.95 + 0.1 * random:uniform())
    local angle = spread(random, math.rad(10))
    local c, s = radius * math.cos(angle), radius * math.sin(angle)
    local function turn(x, y) return at[1] + x * c - y * s, at[2] + x * s + y * c end
    local function fill(outline, paint)
      local list = {}
      for i, q in ipairs(outline) do list[2 * i - 1], list[2 * i] = turn(q[1], q[2]) end
      im:fill_polygon(list, paint)
    end
    fill(points, colour)
    if p.texture == "striped" then stripes(fill, points, radius, random, tone)
    elseif p.texture == "dotted" then dots(im, turn, points, radius, random, tone)
    end
  end
  return im
end

-- Words -----------------------------------------------------------------------------------------------------------------

--- "pair": this colour and form are never trained together; "whole": this very combination is not (every tenth); nil: it is trained.
function world.held_out(p)
  if HELD[p.colour] == p.form then return "pair" end
  local words = {}
  for i, key in ipairs(world.KEYS) do words[i] = p[key] end
  return tonumber(hash.sha256(table.concat(words, " ")):sub(1, 2), 16) < 26 and "whole" or nil
end

--- What one picture shows: anything, held out or not.
function world.any(random)
  return {
    count = pick(random, world.COUNTS), size = pick(random, world.SIZES), texture = pick(random, world.TEXTURES), colour = pick(random, world.COLOURS),
    form = pick(random, world.FORMS), position = pick(random, world.POSITIONS), ground = pick(random, world.GROUNDS),
  }
end

--- The same, of what is held out as `want`; nil: of what is trained.
function world.sample(random, want)
  while true do
    local p = world.any(random)
    if world.held_out(p) == want then return p end
  end
end

--- The whole sentence without `random`; with it one that leaves some things out, as people do.
function world.caption(p, random)
  local function chance() return random and random:uniform() or 1.0 end
  local words = {}
  local function add(word) words[#words + 1] = word end
  if p.count == "one" then add(chance() < 0.3 and "one" or "a") else add(p.count) end
  if chance() >= 0.15 then add(p.size) end
  if p.texture ~= "plain" or chance() < 0.3 then add(p.texture) end
  add(p.colour)
  add(p.count == "one" and p.form or p.form == "cross" and "crosses" or p.form .. "s")
  if words[1] == "a" and words[2]:find "^[aeiou]" then words[1] = "an" end
  if chance() >= 0.15 then add(p.position == "centre" and "in the centre" or "at the " .. p.position) end
  if chance() >= 0.10 then add("on a " .. p.ground .. " background") end
  local u = chance()
  if random and u < 0.3 then table.insert(words, 1, u < 0.2 and "a photo of" or "a picture of") end
  return table.concat(words, " ")
end

return world
