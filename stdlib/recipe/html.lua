-- html.lua - the pieces of the report page: everything that comes from outside is escaped here.
local hash = require "native.hash"

local M = {}

local ENTITIES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }

--- Text as HTML text or as a quoted attribute. Bytes that are no UTF-8, control characters, and marks that turn the
--- direction of writing, become a replacement mark.
---@param text any
---@return string
function M.escape(text)
  text = tostring(text)
  while true do
    local ok, bad = utf8.len(text)
    if ok then break end
    text = text:sub(1, bad - 1) .. "\u{FFFD}" .. text:sub(bad + 1)
  end
  text = text:gsub("[%z\1-\8\11\12\14-\31\127]", "\u{FFFD}"):gsub("\xC2[\x80-\x9F]", "\u{FFFD}")
  text = text:gsub("\xE2\x80[\xAA-\xAE]", "\u{FFFD}"):gsub("\xE2\x81[\xA6-\xA9]", "\u{FFFD}") -- U+202A to 202E, U+2066 to 2069
  return (text:gsub("[&<>\"']", ENTITIES))
end

--- A picture whose bytes are part of the page; "" without them.
---@param bytes string?
---@param name string said where it cannot be seen
---@param kind? "jpeg"|"png"
---@return string
function M.picture(bytes, name, kind)
  return bytes and ('<img loading="lazy" alt="%s" src="data:image/%s;base64,%s">'):format(M.escape(name), kind or "jpeg", hash.base64(bytes)) or ""
end

--- The page up to <body>: nothing is loaded from elsewhere.
---@param title string
---@return string
function M.head(title)
  return ([[
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>%s</title>
<style>
%s</style>
</head>
<body>]]):format(M.escape(title), M.STYLE)
end

--- A table of rows; the first is the head. Cells are escaped.
---@param rows any[][]
---@return string
function M.table(rows)
  local out = { "<table>" }
  for i, row in ipairs(rows) do
    local tag = i == 1 and "th" or "td"
    local cells = {}
    for k = 1, #rows[1] do cells[k] = ("<%s>%s</%s>"):format(tag, M.escape(row[k] == nil and "" or row[k]), tag) end
    out[#out + 1] = "<tr>" .. table.concat(cells) .. "</tr>"
  end
  out[#out + 1] = "</table>"
  return table.concat(out, "\n")
end

local BINS = 24

local function short(value) return (("%.4g"):format(value)) end

--- A histogram as SVG. `cut` = { threshold, below, text }: the bars beyond it are marked and a line is drawn.
---@param values number[]
---@param cut? { threshold: number, below: boolean, text: string }
---@param title string
---@return string
function M.histogram(values, cut, title)
  local low, high = math.huge, -math.huge
  for _, value in ipairs(values) do low, high = math.min(low, value), math.max(high, value) end
  if #values == 0 then low, high = 0, 1 end
  if cut then low, high = math.min(low, cut.threshold), math.max(high, cut.threshold) end
  if high <= low then low, high = low - 0.5, high + 0.5 end
  local counts, top = {}, 1
  for i = 1, BINS do counts[i] = { kept = 0, gone = 0 } end
  for _, value in ipairs(values) do
    local bin = counts[math.min(BINS, 1 + math.floor((value - low) / (high - low) * BINS))]
    local gone = cut and ((cut.below and value < cut.threshold) or (not cut.below and value > cut.threshold))
    local side = gone and "gone" or "kept"
    bin[side] = bin[side] + 1
    top = math.max(top, bin.kept + bin.gone)
  end
  local width, height, left, base = 480, 150, 10, 120
  local out = { ('<svg viewBox="0 0 %d %d" role="img" aria-label="%s"><title>%s</title>'):format(width, height, M.escape(title), M.escape(title)) }
  local step = (width - 2 * left) / BINS
  for i, bin in ipairs(counts) do
    local x, y = left + (i - 1) * step, base
    for _, part in ipairs { { "gone", bin.gone }, { "kept", bin.kept } } do
      local h = part[2] / top * (base - 16)
      if h > 0 then
        y = y - h
        out[#out + 1] = ('<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>'):format(part[1], x + 0.5, y, step - 1, h)
      end
    end
  end
  out[#out + 1] = ('<line class="axis" x1="%d" y1="%d" x2="%d" y2="%d"/>'):format(left, base, width - left, base)
  out[#out + 1] = ('<text x="%d" y="%d">%s</text>'):format(left, base + 16, short(low))
  out[#out + 1] = ('<text x="%d" y="%d" text-anchor="end">%s</text>'):format(width - left, base + 16, short(high))
  if cut then
    local x = left + (cut.threshold - low) / (high - low) * (width - 2 * left)
    local below = base + 30 > height and height - 2 or base + 28
    local anchor = x > width * 0.7 and "end" or x < width * 0.3 and "start" or "middle"
    out[#out + 1] = ('<line class="cut" x1="%.1f" y1="8" x2="%.1f" y2="%d"/>'):format(x, x, base + 4)
    out[#out + 1] = ('<text class="cut" x="%.1f" y="%d" text-anchor="%s">%s</text>'):format(x, below, anchor, M.escape(cut.text))
  end
  out[#out + 1] = "</svg>"
  return table.concat(out, "\n")
end

--- Lines over steps as SVG: { { points = { { x, y }, ... }, class = "kept" | "cut" }, ... }.
---@param lines table[]
---@param title string
---@return string
function M.curve(lines, title)
  local low, high, first, last = math.huge, -math.huge, math.huge, -math.huge
  for _, line in ipairs(lines) do
    for _, point in ipairs(line.points) do
      first, last = math.min(first, point[1]), math.max(last, point[1])
      if point[2] == point[2] and math.abs(point[2]) < math.huge then low, high = math.min(low, point[2]), math.max(high, point[2]) end
    end
  end
  if high < low then low, high = 0, 1 end
  if high == low then low, high = low - 0.5, high + 0.5 end
  local width, height, left, top, base = 960, 260, 60, 10, 230
  local span = math.max(1, last - first)
  local out = { ('<svg viewBox="0 0 %d %d" role="img" aria-label="%s"><title>%s</title>'):format(width, height, M.escape(title), M.escape(title)) }
  for _, line in ipairs(lines) do
    local points = {}
    for _, point in ipairs(line.points) do
      if point[2] == point[2] and math.abs(point[2]) < math.huge then
        local x, y = left + (point[1] - first) / span * (width - left - 10), base - (point[2] - low) / (high - low) * (base - top)
        points[#points + 1] = ("%.1f,%.1f"):format(x, y)
      end
    end
    out[#out + 1] = ('<polyline class="line %s" points="%s"/>'):format(line.class, table.concat(points, " "))
  end
  out[#out + 1] = ('<line class="axis" x1="%d" y1="%d" x2="%d" y2="%d"/>'):format(left, base, width - 10, base)
  out[#out + 1] = ('<text x="%d" y="%d" text-anchor="end">%s</text>'):format(left - 6, base, short(low))
  out[#out + 1] = ('<text x="%d" y="%d" text-anchor="end">%s</text>'):format(left - 6, top + 8, short(high))
  out[#out + 1] = ('<text x="%d" y="%d">step %s</text>'):format(left, base + 18, short(first))
  out[#out + 1] = ('<text x="%d" y="%d" text-anchor="end">%s</text>'):format(width - 10, base + 18, short(last))
  out[#out + 1] = "</svg>"
  return table.concat(out, "\n")
end

M.STYLE = [[
:root { color-scheme: light dark; --paper: #faf9f6; --ink: #222; --faint: #77746c; --line: #dcd8ce; --mark: #b3372a; --bar: #5b7a94; }
@media (prefers-color-scheme: dark) { :root { --paper: #191a1c; --ink: #e6e3dc; --faint: #98948a; --line: #3a3a3c; --mark: #e0796c; --bar: #86a9c4; } }
body { background: var(--paper); color: var(--ink); font: 15px/1.45 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid var(--line); }
p.lead, .faint { color: var(--faint); } code { font-size: .92em; }
table { border-collapse: collapse; } th, td { text-align: left; padding: .15rem 1rem .15rem 0; vertical-align: top; }
th { color: var(--faint); font-weight: normal; }
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: 1rem; }
figure { margin: 0; } figure img { width: 100%; height: 11rem; object-fit: contain; background: color-mix(in srgb, var(--line) 35%, transparent); }
.wide img { max-width: 100%; height: auto; }
figcaption { font-size: .85rem; overflow-wrap: anywhere; } figcaption .name { color: var(--faint); display: block; }
.rejected img { outline: 2px solid var(--mark); opacity: .75; } .reason { color: var(--mark); }
.beside { display: grid; grid-template-columns: 14rem 1fr; gap: 1.2rem; margin: 0 0 1.6rem; align-items: start; }
.beside img { height: auto; max-height: 16rem; } .beside dl, .beside dd { margin: 0; overflow-wrap: anywhere; }
.beside dt { margin-top: .5rem; color: var(--bar); } .beside dt:first-child { margin-top: 0; }
mark { background: color-mix(in srgb, var(--mark) 22%, transparent); color: inherit; }
@media (max-width: 40rem) { .beside { grid-template-columns: 1fr; } }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(22rem, 1fr)); gap: 1rem; }
svg { width: 100%; } svg text { font-size: 12px; fill: var(--faint); } svg .kept { fill: var(--bar); } svg .gone { fill: var(--mark); }
svg .line { fill: none; stroke: var(--bar); stroke-width: 1.5; } svg .line.cut { stroke: var(--mark); }
svg .axis { stroke: var(--line); } svg line.cut { stroke: var(--mark); stroke-width: 1.5; stroke-dasharray: 4 3; } svg text.cut { fill: var(--mark); }
]]

return M
