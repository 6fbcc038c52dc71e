-- compare_page.lua - the page of `calotype captions compare`: the numbers, then each picture with its captions side by side, those that differ
-- most first.
local agreement = require "caption.agreement"
local html = require "recipe.html"
local pages = require "recipe.page"
local set = require "recipe.set"
local telling = require "captions.telling"

local M = {}

local e = html.escape

local function picture_of(context, item) return html.picture(item.thumb and context.store():blob(item.thumb), item.name) end

local function facts(answer)
  local row, parts = answer.row or {}, { set.count(answer.words, "word") }
  if (row.model or "") ~= "" then parts[#parts + 1] = row.model end
  if row.cost or row.prompt then parts[#parts + 1] = telling.money(row.cost) end
  if answer.match then parts[#parts + 1] = ("match %.2g"):format(answer.match) end
  if row.seconds then parts[#parts + 1] = ("%.1f s"):format(row.seconds) end
  return table.concat(parts, ", ")
end

-- The words that no other caption of the picture has are marked: there they say different things.
local function marked(text, n, column, columns)
  local others = {}
  for _, other in ipairs(columns) do
    if other ~= column and other.texts[n] then for word in pairs((agreement.content(other.texts[n].text))) do others[word] = true end end
  end
  local own, out, at = agreement.content(text), {}, 1
  for _, word in ipairs(agreement.words(text)) do
    if own[word[1]] and not others[word[1]] then
      out[#out + 1] = e(text:sub(at, word.first - 1)) .. "<mark>" .. e(text:sub(word.first, word.last)) .. "</mark>"
      at = word.last + 1
    end
  end
  out[#out + 1] = e(text:sub(at))
  return table.concat(out)
end

local function block(context, item, n, report)
  local cells = {}
  for _, column in ipairs(report.columns) do
    local answer = column.texts[n]
    cells[#cells + 1] = ("<dt>%s <span class=\"faint\">%s</span></dt><dd>%s</dd>"):format(e(column.title), answer and e(facts(answer)) or "",
      answer and marked(answer.text, n, column, report.columns) or '<span class="faint">no caption</span>')
  end
  local shared = report.of_picture[n]
  return ('<section class="beside"><figure>%s<figcaption><span class="name">%s</span>%s</figcaption></figure><dl>%s</dl></section>'):format(
    picture_of(context, item), e(item.name), shared and ('<span class="name">agreement %.2f</span>'):format(shared) or "", table.concat(cells, "\n"))
end

--- Write the page.
---@param report { to: string, folder: string, total: integer, columns: table[], items: table[], rows: table, pairs: table, of_picture: table }
function M.write(context, report)
  local page = pages.new(context, {}, "Captions compared")
  page.lead(("%s of %d in %s"):format(set.count(#report.items), report.total, report.folder))
  page.table("In numbers", report.rows)
  page.put(("<p class=\"faint\">%s. Cost and seconds (the middle one) are those of the answers shown, whenever they were given.</p>"):format(e(agreement.TEXT)))
  local more = { { "for the whole folder", "about" } }
  for _, column in ipairs(report.columns) do
    if column.paid > 0 and column.paid > column.unknown then
      more[#more + 1] = { column.title, telling.money(column.cost / (column.paid - column.unknown) * report.total) }
    end
  end
  if #more > 1 then page.table("Cost of all", more) end
  if #report.columns > 2 then
    local rows = { { "between", "and", "agreement" } }
    for _, pair in ipairs(report.pairs) do
      if pair.mean then rows[#rows + 1] = { pair[1].title, pair[2].title, ("%.2f"):format(pair.mean) } end
    end
    page.table("Pair by pair", rows)
  end
  page.heading "Side by side"
  page.put '<p class="faint">The pictures whose captions differ most come first. Marked: content words that no other caption of the picture has.</p>'
  local order = {}
  for n in ipairs(report.items) do order[n] = n end
  table.sort(order, function(a, b)
    local x, y = report.of_picture[a] or 2, report.of_picture[b] or 2
    if x ~= y then return x < y end
    return a < b
  end)
  for _, n in ipairs(order) do page.put(block(context, report.items[n], n, report)) end
  page.finish(report.to, set.count(#report.items))
end

return M
