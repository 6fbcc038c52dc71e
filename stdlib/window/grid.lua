-- grid.lua - all pictures beside each other: only the rows that are seen are drawn, and only their thumbnails are asked for.
local nothing = require "window.nothing"
local rect = require "window.rect"
local theme = require "window.theme"

local M = {}

local GAP, CAPTION = 8, 20
M.sizes = { 96, 128, 160, 200, 256 } -- of a thumbnail, in units

local STARS = { size = 13 }

-- Marks on a picture: stars, a dot for what it lacks, why it was put aside.
local function marks(ui, item, area)
  if (item.star or 0) > 0 then
    local stars = ("\u{2605}"):rep(item.star)
    local advances = ui.window:advances(stars, STARS)
    ui.w:round(area.x + 3, area.y + 4, advances[#advances] + 8, 18, 4, ui.theme.veil)
    ui.w:text(area.x + 7, area.y + 4, stars, { size = STARS.size, color = ui.theme.star })
  end
  local lacks = item.draft and ui.theme.warning or item.caption == "" and ui.theme.bad
  if lacks and not item.reject and not item.error then
    local x, y = area.x + area.width - 15, area.y + 5
    ui.w:round(x, y, 10, 10, 5, ui.theme.picture) -- seen on a picture of the same colour, too
    ui.w:round(x + 1, y + 1, 8, 8, 4, lacks)
  end
  local why = item.gone and "gone" or item.reject and (item.reject.reason or "put aside")
  if not why then return end
  ui.w:fill(area.x, area.y, area.width, area.height, ui.theme.shade)
  local line = rect.bottom(rect.copy(area), 22)
  ui.w:fill(line.x, line.y, line.width, line.height, ui.theme.veil)
  ui:label(rect.inset(line, 6, 0), why, { size = theme.size.small, color = ui.theme.aside })
end

-- What is said of a picture when the mouse rests on it.
local function tip(item, match)
  local lines = { item.name }
  if item.gone or item.reject then lines[2] = item.gone and "gone" or "put aside: " .. (item.reject.reason or "") end
  lines[#lines + 1] = item.draft and "being written: " .. item.draft or item.caption ~= "" and item.caption or "no caption yet (the dot says so)"
  if match then lines[#lines + 1] = ("match %.2g"):format(match) end
  return table.concat(lines, "\n")
end

-- One picture.
local function cell(view, item, area, current)
  local ui, chosen = view.ui, view.project.selected[item]
  local ground = rect.new(area.x - 4, area.y - 4, area.width + 8, area.height + 8)
  if chosen then ui.w:round(ground.x, ground.y, ground.width, ground.height, 5, ui.theme.selection)
  elseif ui:over(area) then ui.w:round(ground.x, ground.y, ground.width, ground.height, 5, ui.theme.raised) end
  local square = rect.new(area.x, area.y, area.width, area.height - CAPTION)
  local texture, trouble = view.pictures:thumb(item)
  local shown = square
  if texture then
    local width, height = texture:size()
    shown = rect.fitted(square, width, height, 1.5)
    ui.w:picture(texture, shown.x, shown.y, shown.width, shown.height)
  else
    ui.w:round(square.x, square.y, square.width, square.height, 4, ui.theme.panel)
    if trouble or item.error then
      ui:within(square, function()
        ui:paragraph(rect.inset(square, 8), trouble or item.error, { size = theme.size.small, color = ui.theme.bad })
      end)
    end
  end
  marks(ui, item, shown)
  ui:label(rect.new(area.x, area.y + area.height - CAPTION, area.width, CAPTION), item.name,
    { size = theme.size.small, align = "centre", color = (current or chosen) and ui.theme.text or ui.theme.faint })
  if current then ui.w:frame(ground.x, ground.y, ground.width, ground.height, ui.theme.focus, 2) end
  if ui:over(area) then ui:tip(area, tip(item, view.project:match(item))) end
end

--- How many pictures are in a row of that width.
function M.columns(view, width) return math.max((width - theme.size.scrollbar - GAP) // (view.thumb + GAP + 8), 1) end

--- Draw, and do what the mouse did.
function M.draw(view, area)
  local ui, p = view.ui, view.project
  local order = p.order
  ui.w:fill(area.x, area.y, area.width, area.height, ui.theme.ground)
  if #order == 0 then
    view.visible, view.spot = {}, nil
    return nothing.draw(view, area)
  end
  if ui.wheel and ui.wheel.ctrl and ui:over(area) then
    view:nearer(ui.wheel.dy > 0 and 1 or -1)
    ui.wheel = nil
  end
  local columns = M.columns(view, area.width)
  local wide, high = view.thumb + GAP + 8, view.thumb + CAPTION + GAP + 8
  local rows = (#order + columns - 1) // columns
  view.columns, view.rows_seen = columns, math.max(area.height // high, 1)
  local reveal
  if view.shown_at ~= p.at or view.shown_columns ~= columns or view.shown_order ~= order then -- it moved, or the rows did
    local row = (math.max(p.at, 1) - 1) // columns
    reveal = { row * high, high + GAP }
    view.shown_at, view.shown_columns, view.shown_order = p.at, columns, order
  end
  local left = math.floor((area.width - theme.size.scrollbar - columns * wide + GAP) / 2)
  view.visible = {}
  ui:scroll("grid", area, rows * high + GAP, function(offset, inner)
    local at
    for row = math.max(offset - GAP, 0) // high, math.min((offset + inner.height) // high, rows - 1) do
      for column = 0, columns - 1 do
        local i = row * columns + column + 1
        local item = order[i]
        if not item then break end
        local place = rect.new(inner.x + left + column * wide, inner.y + GAP + row * high - offset, view.thumb, view.thumb + CAPTION)
        view.visible[#view.visible + 1] = item
        cell(view, item, place, i == p.at)
        if i == p.at then view.spot = place end
        if ui:over(place) then at = i end
      end
    end
    local clicked, event = ui:clicked("grid picture", inner)
    if clicked then
      ui.focus, ui.by_keyboard = nil, false
      if at then
        view:go(at)
        p:select(order[at], event.shift and "range" or event.ctrl and "toggle" or "only")
        view.shown_at = p.at
        if event.clicks == 2 then view:show "single" end
      elseif not event.ctrl and not event.shift then
        p:select_none()
      end
    end
    if ui:clicked("grid menu", inner, "right") and at then
      if not p.selected[order[at]] then
        view:go(at)
        p:select(order[at], "only")
      end
      view:menu()
    end
  end, { step = high / 2, reveal = reveal })
end

return M
