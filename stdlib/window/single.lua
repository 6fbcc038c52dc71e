-- single.lua - one picture, as large as there is room, or as near as one wants; with the bucket and crop that the trainer will see.
local buckets = require "recipe.buckets"
local dataset = require "native.dataset"
local nothing = require "window.nothing"
local rect = require "window.rect"
local singlebar = require "window.singlebar"
local theme = require "window.theme"

local M = {}

local NEAREST, FARTHEST = 32, 1 / 64 -- units of the window for a pixel
local STEP = 1.25

local list -- of the usual buckets

-- Size of the picture as it is shown; nil while nobody knows.
local function size_of(item, texture)
  if item.width and item.height then return item.width, item.height end
  if texture then return texture:size() end
end

-- How the picture lies: scale, and the place of its corner. `zoom` nil: all of it is seen.
local function placed(view, area, width, height)
  local look = view.look
  local fit = math.min(area.width / width, area.height / height)
  local scale = look.zoom or math.min(fit, 1)
  if not look.zoom then look.x, look.y = 0.5, 0.5 end
  local w, h = width * scale, height * scale
  -- look.x, look.y: which point of the picture, 0 to 1, is in the middle of the area; no further than its border
  local half_x, half_y = area.width / 2 / w, area.height / 2 / h
  look.x = half_x >= 0.5 and 0.5 or math.min(math.max(look.x, half_x), 1 - half_x)
  look.y = half_y >= 0.5 and 0.5 or math.min(math.max(look.y, half_y), 1 - half_y)
  return scale, area.x + area.width / 2 - look.x * w, area.y + area.height / 2 - look.y * h, w, h
end

--- Nearer or farther, around a point of the screen; by above 1 is nearer.
function M.zoom(view, by, x, y)
  local look = view.look
  if not look.scale then return end
  local area = look.area
  x, y = x or area.x + area.width / 2, y or area.y + area.height / 2
  local scale = math.min(math.max(look.scale * by, FARTHEST), NEAREST)
  local px, py = (x - look.left) / look.scale, (y - look.top) / look.scale -- the picture's pixel there
  look.zoom = scale
  look.x = (px + (area.x + area.width / 2 - x) / scale) / look.width
  look.y = (py + (area.y + area.height / 2 - y) / scale) / look.height
end

-- The bucket and crop of a picture: as the recipe says, else as :bucket {} would have it.
local function trained(item)
  if item.crop then return item.bucket, item.crop end
  if not item.width or not item.height or item.reject then return end
  local usual = item.usual
  if not usual or usual.width ~= item.width or usual.height ~= item.height then
    list = list or dataset.buckets {}
    local b = list and dataset.bucket(item.width, item.height, list)
    usual = { width = item.width, height = item.height, bucket = b, crop = b and buckets.crop(item.width, item.height, b) }
    item.usual = usual
  end
  return usual.bucket, usual.crop
end

-- What the trainer takes of it.
local function bucket(view, item, x, y, scale)
  if not view.show_bucket then return end
  local b, crop = trained(item)
  if not crop then return end
  local ui, look = view.ui, view.look
  local cx, cy, cw, ch = x + crop.x * scale, y + crop.y * scale, crop.width * scale, crop.height * scale
  local w, h = look.width * scale, look.height * scale
  ui.w:fill(x, y, w, cy - y, ui.theme.shade)
  ui.w:fill(x, cy + ch, w, y + h - cy - ch, ui.theme.shade)
  ui.w:fill(x, cy, cx - x, ch, ui.theme.shade)
  ui.w:fill(cx + cw, cy, x + w - cx - cw, ch, ui.theme.shade)
  ui.w:frame(cx, cy, cw, ch, ui.theme.bucket, 2)
  if b then
    local text = (item.bucket and "trained at %d x %d" or "in a bucket of 512: %d x %d"):format(b.width, b.height)
    local advances = ui.window:advances(text, { size = theme.size.small })
    ui.w:round(cx + 4, cy + 4, advances[#advances] + 12, 20, 4, ui.theme.veil)
    ui.w:text(cx + 10, cy + 5, text, { size = theme.size.small, color = ui.theme.star })
  end
end

--- Draw, and do what the mouse did.
function M.draw(view, area)
  local ui, p, look = view.ui, view.project, view.look
  local item = p:current()
  singlebar.draw(view, rect.bottom(area, singlebar.HEIGHT))
  ui.w:fill(area.x, area.y, area.width, area.height, ui.theme.picture)
  view.visible, view.spot = { item }, area
  if not item then
    look.scale, view.spot = nil, nil
    return nothing.draw(view, area)
  end
  if look.item ~= item then look.item, look.zoom = item, look.keep and look.zoom or nil end
  local _, _, device = ui.window:size()
  local room = rect.inset(area, 12)
  look.area = room
  local side = math.max(room.width, room.height) * device * (look.zoom and look.scale and math.max(look.scale / (look.fit or 1), 1) or 1)
  local texture, trouble = view.pictures:picture(item, side)
  local width, height = size_of(item, texture)
  if texture and width then
    local scale, x, y, w, h = placed(view, room, width, height)
    look.scale, look.left, look.top, look.width, look.height, look.fit = scale, x, y, width, height, math.min(room.width / width, room.height / height)
    if ui.wheel and ui:over(area) then
      M.zoom(view, STEP ^ ui.wheel.dy, ui.mouse.x, ui.mouse.y)
      ui.wheel = nil
      scale, x, y, w, h = placed(view, room, width, height)
      look.scale, look.left, look.top = scale, x, y
    end
    local dx, dy = ui:dragged("single pan", area)
    if dx and look.zoom then
      look.from = ui.pressed and { look.x, look.y } or look.from
      if look.from then look.x, look.y = look.from[1] - dx / w, look.from[2] - dy / h end
      scale, x, y, w, h = placed(view, room, width, height)
      look.left, look.top = x, y
      ui.shape = "move"
    end
    ui:within(area, function()
      ui.w:picture(texture, x, y, w, h)
      bucket(view, item, x, y, scale)
      local why = item.gone and item.error or item.reject and "put aside: " .. (item.reject.reason or "")
        .. (view.show_bucket and ". No trainer sees it" or "")
      if why then
        local line = rect.bottom(rect.copy(area), 30)
        ui.w:fill(line.x, line.y, line.width, line.height, ui.theme.veil)
        ui:label(rect.inset(line, 12, 0), why, { color = ui.theme.aside })
      end
    end)
  elseif trouble or item.error then
    look.scale = nil
    ui:paragraph(rect.centred(room, 480, 80), trouble or item.error, { color = ui.theme.bad })
  else
    ui:label(area, "...", { align = "centre", color = ui.theme.faint })
  end
  local clicked, event = ui:clicked("single", area)
  if clicked then
    ui.focus = nil
    if event.clicks == 2 then view:show "grid" end
  end
  if ui:clicked("single menu", area, "right") then view:menu() end
  -- those beside it are decoded before one goes there
  for _, by in ipairs { 1, -1 } do
    local near = p.order[p.at + by]
    if near then view.pictures:picture(near, math.max(room.width, room.height) * device, true) end
  end
end

return M
