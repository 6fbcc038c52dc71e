local hash = require "native.hash"
local image = require "native.image"
local json = require "native.json"
local label = require "label"
local log = require "native.log"
local outputs = require "recipe.outputs"
local script = require "native.script"
local set = require "recipe.set"

local M = {
  name = "sheet", version = 1, sink = true,
  doc = "A contact sheet: every picture small, with its name, size and the beginning of its caption; rejected ones framed, with the reason.",
  example = 'photos:sheet { to = "out/sheet.png" }',
  options = {
    { "to", "path", required = true, doc = "the PNG or JPEG to write; may have [trigger]" },
    { "columns", "integer", min = 1, max = 20, default = 6, doc = "pictures beside each other" },
    { "rejected", "boolean", default = true, doc = "show the rejected ones too" },
  },
}

local CELL, PICTURE, GAP, SIZE = 200, 184, 8, 11
local PAPER, INK, FAINT, RED = { 250, 249, 246 }, { 34, 34, 34 }, { 120, 118, 112 }, { 190, 40, 30 }
local MOST_PIXELS = 200e6

function M.declare(state)
  local path = state.options.to
  if not path:lower():find "%.png$" and not path:lower():find "%.jpe?g$" then
    state.session:fail(state.at, ("the sheet %s is neither .png nor .jpg"):format(path),
      { key = "to", value = true, hint = 'for example to = "out/sheet.png"' })
  end
  outputs.declare(state, "to", false, true)
end

local function fits(text, width) return label.fits(text, width, SIZE) end
local function fitted(text, width) return label.fitted(text, width, SIZE) end

-- At most `lines` lines of whole words that fit a width.
local function wrapped(text, width, lines)
  local out, line = {}, ""
  for word in text:gmatch "%S+" do
    local longer = line == "" and word or line .. " " .. word
    if line ~= "" and not fits(longer, width) then
      out[#out + 1], line = line, word
      if #out == lines then
        local whole = out[lines]
        while whole:find " " and not fits(whole .. "...", width) do whole = whole:gsub("%s+%S*$", "") end
        out[lines] = fitted(whole .. "...", width)
        return out
      end
    else
      line = longer
    end
  end
  if line ~= "" then out[#out + 1] = fitted(line, width) end
  return out
end

M.wrapped = wrapped

local function thumbnail(context, item)
  local bytes = item.thumb and context.store():blob(item.thumb)
  local picture = bytes and image.decode(bytes, item.name)
  if not picture then return nil end
  local w, h = picture:width(), picture:height()
  local scale = math.min(PICTURE / w, PICTURE / h)
  w, h = math.max(1, math.floor(w * scale + 0.5)), math.max(1, math.floor(h * scale + 0.5))
  picture = picture:channels() ~= 3 and picture:rgb(PAPER) or picture
  return picture:resize(w, h, "area"), w, h
end

function M.run(context, options, input)
  local cells = {}
  for _, item in ipairs(input.items) do cells[#cells + 1] = { item = item } end
  for _, reject in ipairs(options.rejected and input.rejected or {}) do
    cells[#cells + 1] = { item = reject.item, reason = reject.verb .. ": " .. reject.reason }
  end
  if #cells == 0 then context.fail("there are no pictures for a sheet") end
  local key = hash.sha256(json.encode { verb = "sheet", version = M.version, options = options, input = set.digest(input),
    calotype = script.versions().calotype })
  if outputs.unchanged(context, options.to, key) then return end

  local columns = math.min(options.columns, #cells)
  local rows = (#cells + columns - 1) // columns
  local row_height = CELL + 4 * (SIZE + 5)
  local width, height = GAP + columns * (CELL + GAP), GAP + rows * (row_height + GAP)
  if width * height > MOST_PIXELS then
    context.fail(("a sheet of %d pictures would be %d x %d pixels"):format(#cells, width, height),
      { hint = "make one of fewer: :take(500) before :sheet, or rejected = false" })
  end
  local sheet, message, code = image.new(width, height, PAPER)
  if not sheet then context.fail("the sheet was not made", { hint = message, code = code }) end
  local bar <close> = log.progress("sheet", #cells)
  for n, cell in ipairs(cells) do
    bar:set(n)
    local x, y = GAP + (n - 1) % columns * (CELL + GAP), GAP + (n - 1) // columns * (row_height + GAP)
    local picture, w, h = thumbnail(context, cell.item)
    if picture then sheet:paste(picture, x + (CELL - w) // 2, y + (CELL - h) // 2) end
    if cell.reason then
      for _, side in ipairs { { 0, 0, CELL, 3 }, { 0, CELL - 3, CELL, 3 }, { 0, 0, 3, CELL }, { CELL - 3, 0, 3, CELL } } do
        sheet:rect(x + side[1], y + side[2], side[3], side[4], RED)
      end
    end
    local line = y + CELL + 3
    sheet:text(x, line, fitted(cell.item.name, CELL), { size = SIZE, color = INK })
    line = line + SIZE + 5
    local size = cell.item.width and ("%d x %d"):format(cell.item.width, cell.item.height) or "unreadable"
    if cell.item.match then size = ("%s, match %.2g"):format(size, cell.item.match) end
    sheet:text(x, line, fitted(size, CELL), { size = SIZE, color = FAINT })
    for i, text in ipairs(wrapped(cell.reason or cell.item.caption or "", CELL, 2)) do
      sheet:text(x, line + i * (SIZE + 5), text, { size = SIZE, color = cell.reason and RED or INK })
    end
    if script.interrupted() > 0 then context.fail("stopped", { exit = 130 }) end
  end
  bar:close()
  local ok, problem, problem_code = sheet:save(options.to, { progress = "writing the sheet" })
  if not ok then context.fail(("%s was not written"):format(options.to), { hint = problem, code = problem_code }) end
  outputs.record(context, options.to, key, { options.to }, ("%d x %d, %s"):format(width, height, set.count(#cells)))
end

return M
