-- training.lua - a training, watched: where it stands, the curve of its loss, checkpoints, and what it draws, prompt by prompt.
--
-- view.run is a run of window/run.lua. It is looked at once a second, also while another process trains; what this window started is a job of
-- window/jobs.lua and stopped like one.
local compare = require "window.compare"
local jobs = require "window.jobs"
local log = require "native.log"
local rect = require "window.rect"
local size_text = require "size_text"
local theme = require "window.theme"

local M = { whole = true } -- the screen has the panes' place, too

local HEAD, LINE, FOOT, LABEL = 64, 20, 6, 116
local LEAST = 96 -- a sample's side; else as large as thumbnails are
local CURVE = 300 -- its height, at most
local TILES = 12

local SMALL = theme.size.small
local DOWN = { up = -1, down = 1, ["page up"] = -4, ["page down"] = 4, home = -math.huge, ["end"] = math.huge }
local RIGHT = { left = -1, right = 1 }

--- Look at its files when it is time. True when there is something new to see.
---@return boolean
function M.look(view)
  if not view.run then return false end
  local new = view.run:look(view.project.store, log.clock())
  return new and view.screen == "training"
end

-- --- the curve ------------------------------------------------------------------------------------------------------------------------------

-- 1, 2 or 5 times a power of ten, so that about `n` lines fit.
local function nice(range, n)
  local raw = range / n
  local power = 10 ^ math.floor(math.log(raw, 10))
  for _, times in ipairs { 1, 2, 5, 10 } do if raw <= times * power then return times * power end end
  return 10 * power
end

-- What is seen of the losses: of the single ones not the wildest, so that the curve does not lie flat.
local function range_of(r)
  local all = {}
  for _, list in ipairs { r.losses, r.held } do for _, point in ipairs(list) do all[#all + 1] = point[2] end end
  if #all == 0 then return nil end
  table.sort(all)
  local low, high = all[1], all[math.max(math.ceil(#all * 0.98), 1)]
  for _, list in ipairs { r.smooth, r.held } do
    for _, point in ipairs(list) do low, high = math.min(low, point[2]), math.max(high, point[2]) end
  end
  if high - low < 1e-9 then low, high = low - math.max(math.abs(low) * 0.1, 1e-6), high + math.max(math.abs(high) * 0.1, 1e-6) end
  local room = (high - low) * 0.06
  return math.max(low - room, low >= 0 and 0 or -math.huge), high + room
end

local function curve(view, area)
  local ui, r = view.ui, view.run
  ui.w:round(area.x, area.y, area.width, area.height, theme.size.radius, ui.theme.well)
  local low, high = range_of(r)
  if not low then
    ui:label(area, r.state == "training" and "no step is done yet" or "no losses are known", { align = "centre", color = ui.theme.faint })
    return
  end
  local plot = rect.new(area.x + 60, area.y + 12, area.width - 76, area.height - 40)
  local last = math.max(r.steps or 0, r.losses[#r.losses] and r.losses[#r.losses][1] or 1, r.held[#r.held] and r.held[#r.held][1] or 1, 1)
  local function at(point)
    return plot.x + point[1] / last * plot.width, plot.y + plot.height - (math.min(point[2], high) - low) / (high - low) * plot.height
  end
  local step = nice(high - low, math.max(plot.height / 44, 2))
  local digits = math.max(0, math.ceil(-math.log(step, 10) - 1e-9))
  local first = math.ceil(low / step)
  for i = 0, math.min((high - low) // step, plot.height) do
    local value = (first + i) * step
    local _, y = at { 0, value }
    ui.w:fill(plot.x, y, plot.width, 1, ui.theme.line)
    ui:label(rect.new(area.x + 4, y - 9, 50, 18), ("%%.%df"):format(digits):format(value), { size = SMALL, color = ui.theme.faint, align = "right" })
  end
  local wide = nice(last, math.max(plot.width / 110, 2))
  for s = 0, last, math.max(wide, 1) do
    local x = plot.x + s / last * plot.width
    ui.w:fill(x, plot.y + plot.height, 1, 4, ui.theme.line)
    ui:label(rect.new(x - 40, plot.y + plot.height + 5, 80, 16), ("%d"):format(s), { size = SMALL, color = ui.theme.faint, align = "centre" })
  end
  ui:within(plot, function()
    local function line(points, color, thick)
      local flat, every = {}, math.max(#points // math.max(plot.width // 1, 1), 1)
      for i = 1, #points, every do flat[#flat + 1], flat[#flat + 2] = at(points[i]) end
      if #flat == 2 then ui.w:round(flat[1] - 2, flat[2] - 2, 4, 4, 2, color)
      elseif #flat > 2 then ui.w:polyline(flat, color, thick) end
    end
    line(r.losses, ui.theme.line, 1)
    line(r.smooth, ui.theme.accent, 2)
  end)
  for _, point in ipairs(r.held) do
    local x, y = at(point)
    ui.w:round(x - 4, y - 4, 8, 8, 4, ui.theme.bucket)
    local spot = rect.new(x - 7, y - 7, 14, 14)
    if ui:over(spot) then ui:tip(spot, ("held-out loss at step %d: %.4f"):format(point[1], point[2])) end
  end
  -- the step under the mouse
  if ui:over(plot) and #r.smooth > 0 then
    local wanted, near = (ui.mouse.x - plot.x) / plot.width * last, nil
    for _, point in ipairs(r.smooth) do if not near or math.abs(point[1] - wanted) < math.abs(near[1] - wanted) then near = point end end
    local x, y = at(near)
    ui.w:fill(x, plot.y, 1, plot.height, ui.theme.faint)
    ui.w:round(x - 3, y - 3, 6, 6, 3, ui.theme.accent)
    ui:label(rect.new(plot.x, plot.y, plot.width - 6, 16), ("step %d: %.4f"):format(near[1], near[2]), { size = SMALL, align = "right" })
  else
    local x = plot.x + plot.width - 6
    ui.w:round(x - 138, plot.y - 2, 142, #r.held > 0 and 38 or 20, 4, ui.theme.well)
    local function legend(words, color, y)
      local width = ui:label(rect.new(plot.x, y, plot.width - 22, 16), words, { size = SMALL, color = ui.theme.faint, align = "right" })
      ui.w:round(x - 10, y + 5, 8, 8, 4, color)
      return width
    end
    legend("loss", ui.theme.accent, plot.y)
    if #r.held > 0 then legend("held-out pictures", ui.theme.bucket, plot.y + 18) end
  end
end

-- --- beside the curve -------------------------------------------------------------------------------------------------------------------------

local function facts(view, area)
  local ui, r = view.ui, view.run
  local rows = {}
  if r.loss then rows[#rows + 1] = { "loss", ("%.4f"):format(r.loss) } end
  if #r.held > 0 then rows[#rows + 1] = { "held out", ("%.4f at step %d"):format(r.held[#r.held][2], r.held[#r.held][1]) } end
  if r.lr then rows[#rows + 1] = { "lr", ("%g"):format(r.lr) } end
  if r.per_step then rows[#rows + 1] = { "a step", ("%.2f s"):format(r.per_step) } end
  for _, row in ipairs(r.facts) do rows[#rows + 1] = row end
  for i = #r.checkpoints, 1, -1 do
    local c = r.checkpoints[i]
    rows[#rows + 1] = { i == #r.checkpoints and "checkpoints" or "", ("step %d, %s"):format(c.step, size_text(c.size)), path = c.path }
  end
  ui:scroll("training facts", area, #rows * LINE, function(offset, inner)
    for i = offset // LINE + 1, math.min((offset + inner.height) // LINE + 1, #rows) do
      local row, line = rows[i], rect.new(inner.x, inner.y + (i - 1) * LINE - offset, inner.width - 6, LINE)
      local name = rect.left(line, 88, 6)
      ui:label(name, row[1], { size = SMALL, color = ui.theme.faint })
      ui:label(line, row[2], { size = SMALL })
      if row.path then
        if ui:over(line) then
          ui.shape = "hand"
          ui:tip(line, row.path .. "  (a click copies the path)")
        end
        if ui:clicked("checkpoint " .. i, line) then
          ui.window:clipboard(row.path)
          view:say("info", "copied: " .. row.path)
        end
      elseif ui:over(line) then ui:tip(line, row[2]) end
    end
  end, { step = LINE * 3 })
end

-- --- samples ----------------------------------------------------------------------------------------------------------------------------------

-- A picture of a sheet, from its texture.
local function sample(view, cell, area)
  local ui = view.ui
  local _, _, device = ui.window:size()
  local part = cell.part
  local near = part and math.max(part.sheet_width, part.sheet_height) / math.max(part.width, part.height) or 1
  local texture, trouble = view.pictures:picture(cell, math.max(area.width, area.height) * device * near)
  if not texture then
    ui.w:round(area.x, area.y, area.width, area.height, 4, ui.theme.panel)
    if trouble then ui:within(area, function() ui:paragraph(rect.inset(area, 6), trouble, { size = SMALL, color = ui.theme.bad }) end) end
    return
  end
  local width, height = texture:size()
  if part then
    local kx, ky = width / part.sheet_width, height / part.sheet_height
    local place = rect.fitted(area, part.width, part.height)
    -- half a pixel less on each side: what lies beside it in the sheet does not shine in
    ui.w:picture(texture, place.x, place.y, place.width, place.height, part.x * kx + 0.5, part.y * ky + 0.5, part.width * kx - 1, part.height * ky - 1)
  else
    local place = rect.fitted(area, width, height)
    ui.w:picture(texture, place.x, place.y, place.width, place.height)
  end
end

-- What is looked at nearer: those of a row, or of a prompt through time.
local function look_at(view, row, n)
  local r, cells = view.run, {}
  for _, other in ipairs(r.rows) do if other[n] then cells[#cells + 1] = other[n] end end
  local at = 1
  for i, cell in ipairs(cells) do if cell == row[n] then at = i end end
  local from = math.max(math.min(at - TILES // 2, #cells - TILES + 1), 1)
  view.sampled, view.near = table.move(cells, from, math.min(from + TILES - 1, #cells), 1, {}), { near = 1, x = 0.5, y = 0.5 }
end

-- The arrows choose one, Enter looks at it nearer; what is to be seen then is revealed: the row's number.
local function sample_key(view)
  local ui, r, at = view.ui, view.run, view.sample
  local key = not ui.focus and ui:take("up", "down", "left", "right", "page up", "page down", "home", "end", "return", "keypad enter")
  if not key then return nil end
  if not at then at = { row = #r.rows, n = 1 } -- the newest
  elseif key == "return" or key == "keypad enter" then
    if r.rows[at.row][at.n] then look_at(view, r.rows[at.row], at.n) end
    return nil
  end
  local down, right = DOWN[key] or 0, RIGHT[key] or 0
  if not view.sample then down, right = 0, 0 end
  view.sample = { row = math.min(math.max(at.row + down, 1), #r.rows), n = math.min(math.max(at.n + right, 1), #r.prompts) }
  return view.sample.row
end

local function samples(view, area)
  local ui, r = view.ui, view.run
  if #r.rows == 0 then
    ui:label(rect.top(area, 40), r.state == "training" and "samples appear here as they are drawn" or "no samples", { color = ui.theme.faint })
    return
  end
  local columns = #r.prompts
  local room = area.width - LABEL - theme.size.scrollbar
  local side = math.max(math.floor(math.min(view.thumb, room / columns - FOOT)), LEAST)
  local head = rect.top(area, LINE + 2)
  local shown = math.max(math.min(columns, room // (side + FOOT)), 1)
  local first = math.min(view.first_prompt or 1, columns - shown + 1)
  if shown < columns then
    if ui:button("prompts before", rect.new(head.x, head.y, 26, 20), "\u{2039}", { off = first == 1, tip = "prompts before" }) then first = first - 1 end
    if ui:button("prompts behind", rect.new(head.x + 30, head.y, 26, 20), "\u{203A}", { off = first + shown > columns, tip = "further prompts" }) then
      first = first + 1
    end
  end
  local chosen = sample_key(view)
  if view.sample then view.sample.row, view.sample.n = math.min(view.sample.row, #r.rows), math.min(view.sample.n, columns) end
  if chosen then first = math.min(math.max(first, view.sample.n - shown + 1), view.sample.n) end
  view.first_prompt = first
  for n = first, math.min(first + shown - 1, columns) do
    local place = rect.new(area.x + LABEL + (n - first) * (side + FOOT), head.y, side, LINE)
    ui:label(place, r.prompts[n], { size = SMALL })
    if ui:over(place) then ui:tip(place, r.prompts[n]) end
  end
  local high = side + FOOT
  local reveal = chosen and { (chosen - 1) * high, high } or nil
  if view.rows_shown ~= #r.rows then -- the newest is seen, unless somebody looks at others
    if not view.rows_shown or view.at_end then reveal = { (#r.rows - 1) * high, high } end
    view.rows_shown = #r.rows
  end
  local all = #r.rows * high
  local offset = ui:scroll("samples", area, all, function(offset, inner)
    for i = offset // high + 1, math.min((offset + inner.height) // high + 1, #r.rows) do
      local row, y = r.rows[i], inner.y + (i - 1) * high - offset
      ui:label(rect.new(inner.x, y, LABEL - 8, LINE), row.title, { size = SMALL })
      ui:label(rect.new(inner.x, y + LINE, LABEL - 8, LINE), row.second, { size = SMALL, color = ui.theme.faint })
      for n = first, math.min(first + shown - 1, columns) do
        local place, cell = rect.new(inner.x + LABEL + (n - first) * (side + FOOT), y, side, side), row[n]
        if cell then
          sample(view, cell, place)
          if ui:over(place) then ui.shape = "hand" end
          if ui:over(place) or view.sample and view.sample.row == i and view.sample.n == n then
            ui.w:frame(place.x, place.y, place.width, place.height, ui.theme.focus, 2)
          end
          if ui:clicked(cell.index, place) then look_at(view, row, n) end
        end
      end
    end
  end, { step = high / 2, reveal = reveal })
  view.at_end = offset >= all - area.height - high / 2
end

-- Samples of one prompt, near and far together.
local function near(view, area)
  local ui = view.ui
  local bar = rect.top(area, 32)
  local back = ui:take "escape"
  if ui:button("samples back", rect.inset(rect.left(bar, 92), 4, 3), "\u{2039} Table", { keys = "Esc" }) or back then
    view.sampled = nil
    return
  end
  ui:label(rect.inset(bar, 10, 0), view.sampled[1] and view.sampled[1].prompt or "", { color = ui.theme.faint })
  compare.tiles(view, area, view.sampled, view.near)
end

-- --- the whole ----------------------------------------------------------------------------------------------------------------------------------

local function head(view, area)
  local ui, r = view.ui, view.run
  local line = rect.top(area, 30, 4)
  if r.recipe and ui:button("train", rect.right(line, 128, 10), "Run this recipe", { tip = "calotype run " .. r.recipe, keys = "Ctrl+Shift+Enter",
    off = view.job ~= nil }) then
    M.start(view)
  end
  local width = ui:label(rect.left(line, line.width * 0.5, 14), r.title or view.project.title, { size = theme.size.title, bold = true })
  local told = rect.new(area.x + width + 16, line.y, math.max(line.x + line.width - area.x - width - 16, 0), line.height)
  ui:label(told, r:told(), { color = r.state == "failed" and ui.theme.bad or r.silent and ui.theme.warning or ui.theme.faint })
  if r.steps then ui:progress(rect.new(area.x, area.y + 4, area.width, 8), r.step / math.max(r.steps, 1)) end
  if r.trouble then ui:label(rect.new(area.x, area.y + 12, area.width, LINE), r.trouble, { size = SMALL, color = ui.theme.bad }) end
end

--- Draw, and do what the mouse did.
function M.draw(view, area)
  local ui = view.ui
  ui.w:fill(area.x, area.y, area.width, area.height, ui.theme.ground)
  view.visible = {}
  local inner = rect.inset(area, 14, 10)
  if view.sampled then return near(view, inner) end
  head(view, rect.top(inner, HEAD, 4))
  local upper = rect.top(inner, math.min(CURVE, inner.height * 0.45), 12)
  facts(view, rect.right(upper, math.min(300, upper.width * 0.35), 16))
  curve(view, upper)
  samples(view, inner)
end

--- Run the recipe in a process of its own.
function M.start(view)
  local job, message = jobs.start(view, { title = "training", file = view.run.recipe, params = view.project.options.params,
    about = view.run.recipe })
  if not job then view:say("bad", message) end
end

M.actions = {
  { id = "train", title = "Run this recipe, as calotype run does", keys = { "ctrl+shift+return" }, group = "Program",
    when = function(view) return view.run ~= nil and view.run.recipe ~= nil and view.job == nil end, run = function(view)
      view:show "training"
      M.start(view)
    end },
  { id = "training", title = "The training", keys = { "t" }, group = "Look", when = function(view) return view.run ~= nil end, run = function(view)
    view:show(view.screen == "training" and "grid" or "training")
  end },
}

return M
