-- grid.lua - pictures in rows on one sheet: what :samples and a training's samples become.
--
--   local sheet, places = grid({ { title = "a red door", cells = { { picture = im, label = "seed 1" }, ... } } }, 4)
--   places[1][2]                          --> { x, y, width, height } of the first row's second picture

local image = require "native.image"
local label = require "label"

local GAP, SIZE, FRAME = 6, 12, 2
local PAPER, INK, FAINT, MARK = { 250, 249, 246 }, { 34, 34, 34 }, { 120, 118, 112 }, { 24, 140, 70 }

--- Pictures in rows with a line of text above each row and one below each picture; a row has as many lines as it needs.
---@param rows { title: string, cells: { picture: userdata, label: string, framed?: boolean }[] }[]
---@param columns? integer at most so many pictures beside each other
---@return userdata? grid
---@return string|table message or, of each row, where its pictures are: { x, y, width, height }
---@return string? code
return function(rows, columns)
  local across, height, side = 0, GAP, 0
  for _, row in ipairs(rows) do
    across = math.max(across, math.min(#row.cells, columns or #row.cells))
    row.height = 0
    for _, cell in ipairs(row.cells) do
      side = math.max(side, cell.picture:width(), math.ceil(image.text_width(cell.label, SIZE)))
      row.height = math.max(row.height, cell.picture:height())
    end
  end
  local function lines(row) return (#row.cells + across - 1) // across end
  local function line_height(row) return row.height + SIZE + 8 end
  for _, row in ipairs(rows) do height = height + SIZE + 6 + lines(row) * line_height(row) + GAP end
  local width = math.max(GAP + across * (side + GAP), 240)
  local sheet, message, code = image.new(width, height, PAPER)
  if not sheet then return nil, message, code end
  local y, places = GAP, {}
  for r, row in ipairs(rows) do
    places[r] = {}
    sheet:text(GAP, y, label.fitted(row.title, width - 2 * GAP, SIZE), { size = SIZE, color = INK })
    y = y + SIZE + 6
    for i, cell in ipairs(row.cells) do
      local x, top = GAP + (i - 1) % across * (side + GAP), y + (i - 1) // across * line_height(row)
      local w, h = cell.picture:width(), cell.picture:height()
      if cell.framed then sheet:rect(x - FRAME, top - FRAME, w + 2 * FRAME, h + 2 * FRAME, MARK) end
      sheet:paste(cell.picture, x, top)
      places[r][i] = { x, top, w, h }
      sheet:text(x, top + row.height + 3, cell.label, { size = SIZE, color = cell.framed and MARK or FAINT })
    end
    y = y + lines(row) * line_height(row) + GAP
  end
  return sheet, places
end
