#!/usr/bin/env calotype
-- Draws the pictures of this example: a paper pinwheel, six twisted sails around a hub, on sixteen grounds; and beside
-- them what every real folder has: a copy, a second save, a mirrored one, a blurred one, a thumbnail, a broken file.
--   calotype run examples/shapes/draw.lua -p to=examples/shapes/pictures
recipe "draw-pinwheels" {
  about = "Draw the example's pictures again, byte for byte", license = "MIT", version = "1.0",
}
local p = params {
  to   = { "pictures", kind = "folder", help = "where the pictures go" },
  side = { 320, min = 64, max = 1024, help = "pixels" },
}

local SAILS, TWIST = 6, 0.75 -- radians that a sail's edge turns between hub and rim
local paint = {
  { 205, 48, 52 }, { 34, 102, 190 }, { 24, 140, 88 }, { 226, 140, 24 }, { 130, 60, 160 }, { 20, 140, 160 },
  { 190, 40, 110 }, { 90, 90, 20 },
}
local ground = {
  { 236, 230, 214 }, { 196, 216, 226 }, { 60, 66, 84 }, { 214, 226, 196 }, { 110, 90, 74 }, { 232, 208, 208 },
  { 150, 160, 170 }, { 40, 84, 72 },
}

-- The rim bulges between two edges, so that the outline is a flower, not a disc.
local function sail(im, cx, cy, radius, from, colour)
  local points = {}
  local width = 2 * math.pi / SAILS
  local function add(r, angle)
    points[#points + 1] = cx + r * math.cos(angle)
    points[#points + 1] = cy + r * math.sin(angle)
  end
  for i = 0, 12 do add(radius * i / 12, from + TWIST * i / 12) end
  for i = 1, 11 do add(radius * (1 + 0.10 * math.sin(math.pi * i / 12)), from + TWIST + width * i / 12) end
  for i = 12, 0, -1 do add(radius * i / 12, from + width + TWIST * i / 12) end
  im:fill_polygon(points, colour)
end

local function pinwheel(index, side)
  local random = math.random
  local back = ground[(index - 1) % #ground + 1]
  local im = image.new(side, side, back)
  -- A ground that is not flat: broad soft bands, or scattered dots, or nothing.
  local kind = index % 3
  local shade = back[1] > 128 and -14 or 16
  local tone = { back[1] + shade, back[2] + shade, back[3] + shade }
  if kind == 1 then
    for y = 0, side, side // 8 do im:rect(0, y, side, side // 16, tone) end
  elseif kind == 2 then
    for _ = 1, 40 do im:circle(random() * side, random() * side, side * (0.01 + 0.02 * random()), tone) end
  end
  local radius = side * (0.26 + 0.08 * random())
  local cx = side / 2 + (random() - 0.5) * side * 0.22
  local cy = side / 2 + (random() - 0.5) * side * 0.22
  local turn = random() * 0.5 -- held nearly upright, as by a hand
  local colour = paint[(index * 5 - 1) % #paint + 1]
  local pale = { 250, 248, 240 }
  im:circle(cx + side * 0.012, cy + side * 0.016, radius * 1.08, { 0, 0, 0, 40 }) -- a shadow
  for i = 0, SAILS - 1 do
    sail(im, cx, cy, radius, turn + i * 2 * math.pi / SAILS, i % 2 == 0 and colour or pale)
  end
  im:circle(cx, cy, radius * 0.10, { 50, 44, 40 })
  return im
end

local function save(im, name, options) assert(im:save(p.to .. "/" .. name, options)) end

math.randomseed(8)
local pictures = {}
for i = 1, 16 do
  pictures[i] = pinwheel(i, p.side)
  save(pictures[i], ("pinwheel-%02d.jpg"):format(i), { quality = 90 })
end
save(pictures[3], "copy-of-03.jpg", { quality = 90 })                                    -- the same bytes
save(pictures[5]:resize(p.side - 32, 0), "pinwheel-05-smaller.jpg", { quality = 75 })    -- saved again, smaller
save(pictures[8]:flip(), "pinwheel-mirrored.png")
save(pictures[11]:resize(p.side // 10, 0):resize(p.side, 0), "blurred.jpg", { quality = 85 })
save(pictures[12]:resize(48, 0), "thumbnail.jpg", { quality = 85 })
local whole = assert(pictures[13]:encode("jpeg", { quality = 90 }))
assert(fs.write(p.to .. "/broken.jpg", whole:sub(1, #whole // 3)))                       -- a download that stopped
print(("22 pictures in %s"):format(p.to))
