-- compare.lua - pictures side by side, near and far together: which of two that are nearly the same is the sharper one.
local rect = require "window.rect"
local theme = require "window.theme"
local twins = require "window.twins"

local M = {}

local MOST = 12
local STEP, NEAREST = 1.25, 64
local NARROW = 380 -- a picture's width, in which name and facts have no room beside each other
local FOOT = 44 -- below a picture: its name, its size, its caption

--- What is compared: the selected pictures; with one alone, it and the next.
---@return table[] items
function M.items(view)
  local p = view.project
  local list = {}
  for _, item in ipairs(p.order) do
    if p.selected[item] and #list < MOST then list[#list + 1] = item end
  end
  if #list >= 2 then return list end
  return { p:current(), p.order[p.at + 1] }
end

-- Columns and rows that leave the pictures largest.
local function tiling(area, items)
  local best, columns = 0, 1
  for n = 1, #items do
    local rows = math.ceil(#items / n)
    local width, height = area.width / n, area.height / rows - FOOT
    local size = 0
    for _, item in ipairs(items) do
      local w, h = item.width or 1, item.height or 1
      size = size + math.min(width / w, height / h) * math.min(w, h)
    end
    if size > best then best, columns = size, n end
  end
  return columns, math.ceil(#items / columns)
end

-- What helps to choose: pixels, sharpness, bytes; why it was put aside. What was never measured is, once.
local function facts_of(view, item)
  if item.reject then return "put aside: " .. (item.reject.reason or "") end
  local parts = { item.facts or item.width and ("%d x %d"):format(item.width, item.height) or "..." }
  local record = item.record
  if not item.facts then
    if record and type(record.sharpness) == "number" then parts[2] = ("sharpness %.4g"):format(record.sharpness) else view:measure(item) end
  end
  if item.size then parts[#parts + 1] = item.size >= 1e6 and ("%.1f MB"):format(item.size / 1e6) or ("%.0f kB"):format(item.size / 1e3) end
  return table.concat(parts, ", ")
end

-- One of them. `look`: how near, 1 is all of it; and which point of the picture is in the middle, 0 to 1.
local function tile(view, item, area, look, current)
  local ui = view.ui
  local foot = rect.bottom(area, FOOT)
  local _, _, device = ui.window:size()
  local part = item.part -- of a sheet
  local larger = part and math.max(part.sheet_width, part.sheet_height) / math.max(part.width, part.height) or 1
  local texture, trouble = view.pictures:picture(item, math.max(area.width, area.height) * device * look.near * larger)
  if texture then
    local width, height = item.width, item.height
    if not width then width, height = texture:size() end
    local scale = math.min(area.width / width, area.height / height) * look.near
    local w, h = width * scale, height * scale
    local half_x, half_y = area.width / 2 / w, area.height / 2 / h
    local cx = half_x >= 0.5 and 0.5 or math.min(math.max(look.x, half_x), 1 - half_x)
    local cy = half_y >= 0.5 and 0.5 or math.min(math.max(look.y, half_y), 1 - half_y)
    local x, y = area.x + area.width / 2 - cx * w, area.y + area.height / 2 - cy * h
    if ui.wheel and ui:over(area) then
      local by = STEP ^ ui.wheel.dy
      local near = math.min(math.max(look.near * by, 1), NEAREST)
      by = near / look.near
      -- the point under the mouse stays under it
      look.x = (ui.mouse.x - x) / w + (area.x + area.width / 2 - ui.mouse.x) / (w * by)
      look.y = (ui.mouse.y - y) / h + (area.y + area.height / 2 - ui.mouse.y) / (h * by)
      look.near, ui.wheel = near, nil
    end
    local dx, dy = ui:dragged("compare pan " .. item.index, area)
    if dx and look.near > 1 then
      if ui.pressed then look.from = { cx, cy } end
      if look.from then look.x, look.y = look.from[1] - dx / w, look.from[2] - dy / h end
      ui.shape = "move"
    end
    ui:within(area, function()
      if not part then return ui.w:picture(texture, x, y, w, h) end
      local wide, high = texture:size()
      local kx, ky = wide / part.sheet_width, high / part.sheet_height
      ui.w:picture(texture, x, y, w, h, part.x * kx + 0.5, part.y * ky + 0.5, part.width * kx - 1, part.height * ky - 1)
    end)
  else
    ui:paragraph(rect.centred(area, 300, 60), trouble or item.error or "...", { color = trouble and ui.theme.bad or ui.theme.faint })
  end
  if item.reject then ui.w:fill(area.x, area.y, area.width, area.height, ui.theme.shade) end
  if current then ui.w:frame(area.x, area.y, area.width, area.height, ui.theme.focus, 2) end
  local facts = facts_of(view, item)
  local how = { size = theme.size.small, color = item.reject and ui.theme.bad or ui.theme.faint }
  local name = ("\u{2605}"):rep(item.star or 0) .. ((item.star or 0) > 0 and " " or "") .. item.name
  if area.width < NARROW then -- one below the other, and the caption is read beside
    ui:label(rect.top(foot, 20), name, { size = how.size })
    return ui:label(rect.top(foot, 20), facts, how)
  end
  local line = rect.top(foot, 20)
  local right = rect.right(line, line.width * 0.55, 8)
  ui:label(line, name, { size = how.size })
  ui:label(right, facts, { size = how.size, color = how.color, align = "right" })
  ui:label(rect.top(foot, 20), item.caption, { size = how.size, color = ui.theme.faint })
end

--- Pictures that are no part of the project side by side, near and far together. An item has path, mtime_ns, index, name, caption, facts; and
--- `part` where it is one of a sheet (window/run.lua).
function M.tiles(view, area, items, look)
  view.ui.w:fill(area.x, area.y, area.width, area.height, view.ui.theme.picture)
  local columns, rows = tiling(area, items)
  local width, height = area.width / columns, area.height / rows
  for i, item in ipairs(items) do
    tile(view, item, rect.inset(rect.new(area.x + (i - 1) % columns * width, area.y + (i - 1) // columns * height, width, height), 4), look)
  end
end

--- All of them nearer or farther; by above 1 is nearer, 0: all of each is seen.
function M.zoom(view, by)
  local look = view.near
  look.near = math.min(math.max(look.near * by, 1), NEAREST)
end

--- Draw, and do what the mouse did.
function M.draw(view, area)
  local ui, p, look = view.ui, view.project, view.near
  ui.w:fill(area.x, area.y, area.width, area.height, ui.theme.picture)
  local items = view.compared or {}
  view.visible = items
  twins.bar(view, area)
  local columns, rows = tiling(area, items)
  local width, height = area.width / columns, area.height / rows
  for i, item in ipairs(items) do
    local place = rect.inset(rect.new(area.x + (i - 1) % columns * width, area.y + (i - 1) // columns * height, width, height), 4)
    local seen = rect.copy(place)
    tile(view, item, place, look, item == p:current())
    local clicked, event = ui:clicked("compare " .. item.index, seen)
    if clicked then
      ui.focus = nil
      view:go(item)
      if event.clicks == 2 then view:show "single" end
    end
    if ui:clicked("compare menu " .. item.index, seen, "right") then
      view:go(item)
      p:select(item, "only")
      view:menu()
    end
  end
end

--- Compare these.
function M.open(view, items)
  view.compared, view.near = items, { near = 1, x = 0.5, y = 0.5 }
  view:show "compare"
end

--- The next of those that are compared.
function M.step(view, by)
  local at, current = 0, view.project:current()
  for i, item in ipairs(view.compared) do if item == current then at = i end end
  view:go(view.compared[math.min(math.max(at + by, 1), #view.compared)])
end

M.actions = {
  { id = "compare", title = "The selected side by side", keys = { "c", "ctrl+shift+c" }, group = "Look", when = function(view) return #M.items(view) >= 2 end,
    run = function(view) M.open(view, M.items(view)) end },
}

return M
