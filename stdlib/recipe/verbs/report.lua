local html = require "recipe.html"
local pages = require "recipe.page"
local place = require "recipe.place"
local quantities = require "recipe.quantities"
local schema = require "recipe.schema"
local set = require "recipe.set"
local tally = require "caption.tally"

local M = {
  name = "report", version = 1, sink = true,
  doc = "One HTML page that needs nothing else: the pictures with their captions, the rejected ones with their reasons, a histogram of each "
    .. "measured quantity with the cut drawn in, buckets, parameters and versions.",
  example = 'photos:report { to = "out/report.html" }',
  options = pages.options,
}

function M.declare(state) pages.declare(state, "out/report.html") end

local e = html.escape

local function who(by)
  if not by then return "no caption" end
  if by.parts then return who(by.parts[1]) .. ", then " .. who(by.parts[2]) end
  local text = by.author == "human" and "by a person" or "by " .. by.provider
  if by.model and by.model ~= "" then text = text .. " " .. by.model end
  if by.carried_from then text = text .. ", carried over from " .. by.carried_from:match "[^/]*$" end
  return text
end

local function figure(context, item, reason, id)
  local bytes = item.thumb and context.store():blob(item.thumb)
  local picture = bytes and html.picture(bytes, item.name) or '<img alt="" src="data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==">'
  local lines = { ('<span class="name">%s%s</span>'):format(e(item.name), item.width and (" · %d × %d"):format(item.width, item.height) or "") }
  if item.match then lines[#lines + 1] = ('<span class="name">match %s</span>'):format(quantities.text(quantities.by_name.match, item.match)) end
  if item.profile then lines[#lines + 1] = ('<span class="name">colours meant as %s, taken as sRGB</span>'):format(e(item.profile)) end
  if reason then lines[#lines + 1] = ('<span class="reason">%s</span>'):format(e(reason)) end
  if item.caption then lines[#lines + 1] = e(item.caption) end
  if not reason then lines[#lines + 1] = ('<span class="name">%s</span>'):format(e(who(item.caption_by))) end
  return ("<figure%s%s>%s<figcaption>%s</figcaption></figure>"):format(id and (' id="p%d"'):format(id) or "", reason and ' class="rejected"' or "",
    picture, table.concat(lines, "\n"))
end

local function steps_table(state)
  local stage = require "recipe.stage"
  local verbs = require "recipe.verbs"
  local rows = { { "step", "options", "line", "left", "rejected" } }
  for _, step in ipairs(stage.lineage(state)) do
    local s, before = stage.state(step), 0
    for _, input in ipairs(s.inputs) do before = before + #stage.evaluate(input).rejected end
    if not s.verb.sink then
      local options = {}
      for _, option in ipairs(s.verb.options) do
        local value = s.options[option.name]
        if value ~= nil and value ~= option.default then options[#options + 1] = option.name .. " = " .. schema.show(value) end
      end
      local result = stage.evaluate(step)
      rows[#rows + 1] = { verbs.label(s.verb, s.options), table.concat(options, ", "), place.text(s.at) or "", #result.items, #result.rejected - before }
    end
  end
  return rows
end

local function charts(input)
  local out, drawn = {}, {}
  local function draw(quantity, values, cut)
    if #values == 0 then return end
    drawn[quantity.name] = true
    local title = quantity.title .. (quantity.unit ~= "" and ", " .. quantity.unit or "")
    if cut then
      local text = quantities.text(quantity, cut.threshold)
      if cut.share then text = cut.share .. " = " .. text end
      cut = { threshold = cut.threshold, below = cut.below, text = cut.option .. ": " .. text }
    end
    out[#out + 1] = ("<div><b>%s</b> <span class=\"faint\">%s</span>\n%s</div>"):format(e(quantity.name), e(title), html.histogram(values, cut, title))
  end
  for _, cut in ipairs(input.cuts) do draw(quantities.by_name[cut.quantity], cut.values, cut) end
  for _, quantity in ipairs(quantities.list) do
    if not drawn[quantity.name] then
      local values = {}
      for _, item in ipairs(input.items) do values[#values + 1] = quantity.of(item) end
      draw(quantity, values)
    end
  end
  return table.concat(out, "\n")
end

local function bucket_rows(items)
  local by, names = {}, {}
  for _, item in ipairs(items) do
    local b = item.bucket
    if b then
      local name = ("%d x %d"):format(b.width, b.height)
      if not by[name] then
        by[name] = { count = 0, cropped = 0, enlarged = 0, width = b.width }
        names[#names + 1] = name
      end
      local row = by[name]
      row.count = row.count + 1
      row.cropped = math.max(row.cropped, 1 - b.width * b.height / (b.scale_width * b.scale_height))
      if b.scale_width > item.width then row.enlarged = row.enlarged + 1 end
    end
  end
  table.sort(names, function(a, b)
    if by[a].width ~= by[b].width then return by[a].width < by[b].width end
    return a < b
  end)
  local rows = { { "bucket", "pictures", "cropped at most", "enlarged" } }
  for _, name in ipairs(names) do
    local row = by[name]
    rows[#rows + 1] = { name, row.count, ("%.1f %%"):format(row.cropped * 100), row.enlarged }
  end
  return #names > 0 and rows or nil
end

local MOST_NAMED = 24 -- pictures below a finding

-- What is worth saying about the captions, with links to the pictures.
local function put_findings(page, findings, items)
  if #findings == 0 then return end
  local number = {}
  for i, item in ipairs(items) do number[item] = i end
  page.heading "Captions to look at"
  for _, finding in ipairs(findings) do
    page.put(("<h3>%s</h3>\n<p>%s. What to do: %s</p>\n<ul>"):format(e(finding.text), e(finding.why), e(finding.hint)))
    for i, item in ipairs(finding.items) do
      if i > MOST_NAMED then
        page.put(("<li>and %d more</li>"):format(#finding.items - MOST_NAMED))
        break
      end
      page.put(('<li><a href="#p%d">%s</a> <span class="faint">%s</span></li>'):format(number[item], e(item.name), e(item.caption or "")))
    end
    page.put "</ul>"
  end
end

function M.run(context, options, input)
  local session = context.session
  local page = pages.new(context, options, "calotype report", context.trigger)
  page.lead(("%s kept, %d rejected"):format(set.count(#input.items), #input.rejected))
  page.table("Steps", steps_table(context.stage))

  page.put(("<h2>Kept: %d</h2>\n<div class=\"sheet\">"):format(#input.items))
  for i, item in ipairs(input.items) do
    session:poll(context.at)
    page.put(figure(context, item, nil, i))
  end
  page.put "</div>"
  if #input.rejected > 0 then
    page.put(("<h2>Rejected: %d</h2>\n<div class=\"sheet\">"):format(#input.rejected))
    for _, reject in ipairs(input.rejected) do page.put(figure(context, reject.item, reject.verb .. ": " .. reject.reason)) end
    page.put "</div>"
  end

  page.put("<h2>Measured</h2>\n<div class=\"charts\">")
  page.put(charts(input))
  page.put "</div>"

  local buckets = bucket_rows(input.items)
  if buckets then page.table("Buckets", buckets) end

  local authors, order = {}, {}
  for _, item in ipairs(input.items) do
    local name = who(item.caption_by)
    if not authors[name] then
      authors[name] = 0
      order[#order + 1] = name
    end
    authors[name] = authors[name] + 1
  end
  table.sort(order)
  local caption_rows = { { "captions", "pictures" } }
  for _, name in ipairs(order) do caption_rows[#caption_rows + 1] = { name, authors[name] } end
  page.table("Captions", caption_rows)
  local services = tally.rows(input.items)
  if services then page.table("What services wrote", services) end
  local requests = tally.requests(context.store(), input.items)
  if requests then page.table("What it took to ask them, in all runs", requests) end

  put_findings(page, require("caption.known").look(context.stage, input.items), input.items)

  if #session.list > 0 then
    local rows = { { "parameter", "value", "" } }
    for _, row in ipairs(session.list) do rows[#rows + 1] = { row.name, schema.show(row.value), row.given and "given with -p" or "default" } end
    page.table("Parameters", rows)
  end
  page.finish(options.to, set.count(#input.items + #input.rejected))
end

return M
