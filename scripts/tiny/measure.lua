-- measure.lua - what is in a picture: how many things, of which colour and form. It knows the world's palette and forms, nothing else.
--
--   local measure = require "tiny.measure"
--   local seen = measure.look(im)                   -- { count = 2, colour = "red", form = "star" }, nil where things differ or nothing fits
--   local all, colour, count, form = measure.right(im, p)
--
-- Things are connected pixels that differ from the ground. Their form is that of the most alike of 384 templates: masks moved to their
-- middle and scaled to one spread. Their colour is the nearest of the palette, or of its darker tones, by vote.

local hash = require "native.hash"
local world = require "tiny.world"

local measure = {}

local SIDE = world.SIDE
local DIFFERENT, LEAST = 38, 14 -- distance in RGB from the ground; pixels of a thing
local GRID, REACH = 16, 2.3     -- a template's side; how many spreads it reaches from the middle
local ALIKE = 0.75              -- a form must fit that well

-- The picture's bytes as numbers, three a pixel.
local function pixels_of(im)
  local bytes, list = im:bytes(), {}
  for at = 1, #bytes, 96 do table.move({ bytes:byte(at, at + 95) }, 1, 96, at, list) end
  return list
end

-- The median of the border, channel by channel.
local function ground_of(px)
  local ground = {}
  for k = 1, 3 do
    local list = {}
    for i = 0, SIDE - 1 do
      for _, place in ipairs { i, (SIDE - 1) * SIDE + i, i * SIDE, i * SIDE + SIDE - 1 } do list[#list + 1] = px[3 * place + k] end
    end
    table.sort(list)
    ground[k] = (list[#list // 2] + list[#list // 2 + 1]) / 2
  end
  return ground
end

-- Lists of places (y * SIDE + x) that hang together, corners included; the largest first.
local function things_of(px, ground)
  local different, found = {}, {}
  for place = 0, SIDE * SIDE - 1 do
    local r, g, b = px[3 * place + 1] - ground[1], px[3 * place + 2] - ground[2], px[3 * place + 3] - ground[3]
    different[place] = r * r + g * g + b * b > DIFFERENT * DIFFERENT
  end
  for start = 0, SIDE * SIDE - 1 do
    if different[start] then
      local thing, at = { start }, 1
      different[start] = false
      while at <= #thing do
        local x, y = thing[at] % SIDE, thing[at] // SIDE
        for v = math.max(0, y - 1), math.min(SIDE - 1, y + 1) do
          for u = math.max(0, x - 1), math.min(SIDE - 1, x + 1) do
            local place = v * SIDE + u
            if different[place] then
              different[place] = false
              thing[#thing + 1] = place
            end
          end
        end
        at = at + 1
      end
      if #thing >= LEAST then found[#found + 1] = thing end
    end
  end
  table.sort(found, function(a, b) return #a > #b or (#a == #b and a[1] < b[1]) end)
  return found
end

-- A thing's mask on a grid around its middle, with mean 0 and length 1.
local function shape_of(thing)
  local mask, sx, sy = {}, 0, 0
  for _, place in ipairs(thing) do
    mask[place] = 1
    sx, sy = sx + place % SIDE, sy + place // SIDE
  end
  local cx, cy, spread = sx / #thing, sy / #thing, 0
  for _, place in ipairs(thing) do spread = spread + (place % SIDE - cx) ^ 2 + (place // SIDE - cy) ^ 2 end
  local reach = REACH * (spread / #thing / 2 + 0.08) ^ 0.5
  local function at(x, y) return x >= 0 and x < SIDE and y >= 0 and y < SIDE and mask[y * SIDE + x] or 0 end
  local list, sum = {}, 0
  for j = 0, GRID - 1 do
    local y = cy + ((j + 0.5) / GRID * 2 - 1) * reach
    local y0 = y // 1 | 0
    local fy = y - y0
    for i = 0, GRID - 1 do
      local x = cx + ((i + 0.5) / GRID * 2 - 1) * reach
      local x0 = x // 1 | 0
      local fx = x - x0
      local v = (at(x0, y0) * (1 - fx) + at(x0 + 1, y0) * fx) * (1 - fy) + (at(x0, y0 + 1) * (1 - fx) + at(x0 + 1, y0 + 1) * fx) * fy
      list[#list + 1], sum = v, sum + v
    end
  end
  local mean, square = sum / #list, 0
  for i, v in ipairs(list) do
    list[i] = v - mean
    square = square + list[i] ^ 2
  end
  local length = square ^ 0.5 + 1e-6
  for i, v in ipairs(list) do list[i] = v / length end
  return list
end

local templates
local function make_templates()
  templates = {}
  local random = hash.random(5)
  for _, form in ipairs(world.FORMS) do
    for _, count in ipairs(world.COUNTS) do
      for _, size in ipairs(world.SIZES) do
        for _ = 1, 8 do
          local im = world.draw({ count = "one", size = size, radius = world.RADIUS[count][size], texture = "plain", colour = "red", form = form,
            position = "centre", ground = "white" }, random)
          local px = pixels_of(im)
          local thing = things_of(px, ground_of(px))[1]
          templates[#templates + 1] = { form = form, size = #thing, shape = shape_of(thing) }
        end
      end
    end
  end
end

local function form_of(thing)
  if not templates then make_templates() end
  local shape, best, form = shape_of(thing), -math.huge, nil
  for _, template in ipairs(templates) do
    local sum, other = 0, template.shape
    for i = 1, #shape do sum = sum + shape[i] * other[i] end
    sum = sum - 0.12 * math.min(1.5, math.abs(math.log(template.size / #thing))) -- templates of a like size first
    if sum > best then best, form = sum, template.form end
  end
  return best >= ALIKE and form or nil
end

local function colour_of(px, thing)
  local mask, inner = {}, {}
  for _, place in ipairs(thing) do mask[place] = true end
  for _, place in ipairs(thing) do
    local x, y = place % SIDE, place // SIDE
    if x > 0 and x < SIDE - 1 and y > 0 and y < SIDE - 1 and mask[place - 1] and mask[place + 1] and mask[place - SIDE] and mask[place + SIDE] then
      inner[#inner + 1] = place
    end
  end
  local votes = {}
  for _, place in ipairs(#inner >= 8 and inner or thing) do
    local r, g, b = px[3 * place + 1], px[3 * place + 2], px[3 * place + 3]
    local best, name = math.huge, nil
    for _, colour in ipairs(world.COLOURS) do
      local c, k = world.PAINT[colour], world.TONE
      local plain = ((r - c[1]) ^ 2 + (g - c[2]) ^ 2 + (b - c[3]) ^ 2) ^ 0.5
      local tone = ((r - c[1] * k) ^ 2 + (g - c[2] * k) ^ 2 + (b - c[3] * k) ^ 2) ^ 0.5 + 25 -- only where the colour itself does not fit
      local d = math.min(plain, tone)
      if d < best then best, name = d, colour end
    end
    votes[name] = (votes[name] or 0) + math.exp(-best / 40)
  end
  local most, winner = -1, nil
  for _, colour in ipairs(world.COLOURS) do
    if (votes[colour] or 0) > most then most, winner = votes[colour] or 0, colour end
  end
  return winner
end

--- What is seen. With more than three things only their number is told.
function measure.look(im)
  local px = pixels_of(im)
  local things = things_of(px, ground_of(px))
  local seen = { count = #things }
  if #things == 0 or #things > 3 then return seen end
  seen.form, seen.colour = form_of(things[1]), colour_of(px, things[1])
  for i = 2, #things do
    if form_of(things[i]) ~= seen.form then seen.form = nil end
    if colour_of(px, things[i]) ~= seen.colour then seen.colour = nil end
  end
  return seen
end

--- Whether it is what `p` (world.lua) asks for.
---@return boolean all, boolean colour, boolean count, boolean form
function measure.right(im, p)
  local seen = measure.look(im)
  local colour, count, form = seen.colour == p.colour, seen.count == world.NUMBER[p.count], seen.form == p.form
  return colour and count and form, colour, count, form
end

--- Shares in percent over pictures and what was asked for.
---@return { all: number, colour: number, count: number, form: number }
function measure.score(pictures, asked)
  local keys, sums = { "all", "colour", "count", "form" }, { all = 0, colour = 0, count = 0, form = 0 }
  for i, im in ipairs(pictures) do
    for k, good in ipairs { measure.right(im, asked[i]) } do if good then sums[keys[k]] = sums[keys[k]] + 1 end end
  end
  for key, sum in pairs(sums) do sums[key] = 100 * sum / #pictures end
  return sums
end

return measure
