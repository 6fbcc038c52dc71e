-- telling.lua - what the assistant found, as lines for a terminal and as pages with pictures.
--
--   telling.analysis(found, print)                       -- a table of grades, issues, the worst pictures, the suggestion
--   telling.analysis_page(found, "out/analysis.html")
local analyze = require "assistant.analyze"
local folder = require "assistant.folder"
local fs = require "native.fs"
local grades = require "assistant.grades"
local html = require "recipe.html"
local judge = require "assistant.judge"
local log = require "native.log"
local pages = require "recipe.page"
local set = require "recipe.set"

local M = {}

local e = html.escape
local NAMES, WORST = 3, 5
local ROOM = 70 -- columns that names may take
local MOST, MOST_OF_ALL = 48, 240 -- pictures under one heading of a page: a browser shall open it

--- "a.jpg, b.jpg and 5 more"
---@param list { item: table }[]
---@return string
function M.names(list)
  local text = ""
  for i, row in ipairs(list) do
    local longer = (i > 1 and text .. ", " or "") .. (row.item.shown or row.item.name)
    local rest = i < #list and (" and %d more"):format(#list - i) or ""
    if i > NAMES or i > 1 and #longer + #rest > ROOM then return text .. (" and %d more"):format(#list - i + 1) end
    text = longer
  end
  return text
end

-- `head`, then `text`: on a terminal that is too narrow its words go on below where it began.
local function beside(head, text)
  local columns, indent = log.terminal "stdout", utf8.len(head) or #head
  if not columns or columns < indent + 30 then return head .. text end
  local lines, line = {}, nil
  for word in text:gmatch "%S+" do
    if line and indent + (utf8.len(line) or #line) + 1 + (utf8.len(word) or #word) > columns then
      lines[#lines + 1], line = line, word
    else
      line = line and line .. " " .. word or word
    end
  end
  lines[#lines + 1] = line
  return head .. table.concat(lines, "\n" .. (" "):rep(indent))
end

local function grade_text(value) return value and ("%4.1f"):format(value) or "   -" end

-- The parts of a grade, the best and the worst by name: "alike: size, shape; apart: light".
local function sorted_parts(parts)
  local names = {}
  for name in pairs(parts) do names[#names + 1] = name end
  table.sort(names, function(a, b)
    if parts[a] ~= parts[b] then return parts[a] > parts[b] end
    return a < b
  end)
  return names
end

local function parts_text(it, high, low)
  if not it then return "needs two pictures" end
  local good, bad = {}, {}
  for _, name in ipairs(sorted_parts(it.parts)) do
    if it.parts[name] >= 0.7 then good[#good + 1] = name elseif it.parts[name] < 0.4 then bad[#bad + 1] = name end
  end
  local out = {}
  if #good > 0 then out[#out + 1] = high .. " in " .. table.concat(good, ", ") end
  if #bad > 0 then out[#out + 1] = low .. " in " .. table.concat(bad, ", ") end
  return #out > 0 and table.concat(out, "; ") or "neither " .. high .. " nor " .. low
end

function M.captions_text(captions)
  local parts = {}
  if captions.people > 0 then parts[#parts + 1] = ("%d by people"):format(captions.people) end
  if captions.models > 0 then parts[#parts + 1] = ("%d by models"):format(captions.models) end
  if captions.without > 0 then parts[#parts + 1] = #parts > 0 and ("%d without"):format(captions.without) or "none yet; calotype caption writes them" end
  return table.concat(parts, ", ")
end

local function range_text(found)
  local r = analyze.range(found)
  if #found.pictures < 4 then return ("pictures from %.1f to %.1f"):format(r[1], r[4]) end
  return ("pictures from %.1f to %.1f, a quarter below %.1f"):format(r[1], r[4], r[2])
end

--- Who judged how many.
function M.judged_text(found)
  local it = found.judged
  return ("%s by %s%s"):format(it.count < #found.pictures and ("%d of %s"):format(it.count, set.count(#found.pictures)) or "all", it.by,
    it.share == 1 and (", all %s"):format(judge.of_kind(it.kind, true)) or "")
end

--- The head of an analysis: what there is, and the grades.
function M.grades(found, put)
  put(("%s   %s%s"):format(found.folder, set.count(#found.pictures), #found.rejected > 0 and (", %d unreadable"):format(#found.rejected) or ""))
  if #found.pictures == 0 then return end
  put(("  quality      %s of 10   %s"):format(grade_text(found.quality), range_text(found)))
  put(("  consistency  %s of 10   %s"):format(grade_text(found.consistency and found.consistency.grade), parts_text(found.consistency, "alike", "apart")))
  put(("  diversity    %s of 10   %s"):format(grade_text(found.diversity and found.diversity.grade), parts_text(found.diversity, "different", "the same")))
  if found.judged then put(("  judged       %s of 10   %s"):format(grade_text(found.judged.quality), M.judged_text(found))) end
  put(("  captions                %s"):format(M.captions_text(found.captions)))
end

--- Lines for the terminal.
---@param found calotype.analysis
---@param put fun(line: string)
function M.analysis(found, put)
  M.grades(found, put)
  put ""
  if #found.issues == 0 then put "nothing is wrong with them that could be measured" end
  for _, issue in ipairs(found.issues) do
    put(("  %-4s %3d %-18s %s"):format(issue.level == "bad" and "bad" or "look", #issue.found, issue.title, M.names(issue.found)))
    put(beside((" "):rep(30), issue.advice))
  end
  if #found.pictures > 1 then
    put ""
    put "the lowest   (size, sharpness, exposure, information, cleanness, each 0 to 1)"
    for i = 1, math.min(WORST, #found.pictures) do
      local item, values = found.pictures[i], {}
      for k, part in ipairs(grades.PARTS) do values[k] = ("%.2f"):format(item.grade.parts[part.name]) end
      put(("  %s   %s   %s"):format(grade_text(item.grade.quality), table.concat(values, " "), item.shown))
    end
  end
  put ""
  if found.suggestion.empty then
    put "suggested: nothing to cut"
  else
    put(("suggested: keeps %d of %d"):format(found.suggestion.kept, found.suggestion.of))
    for line in found.suggestion.text:gmatch "[^\n]+" do put("  " .. line) end
  end
  for _, text in ipairs(found.suggestion.left_out) do put(beside("  not suggested: ", text)) end
end

-- A picture with lines below it; `reason` is the one that stands out.
local function figure(photos, item, lines, reason)
  local bytes = item.thumb and photos:store():blob(item.thumb)
  local out = { ("<figure%s>"):format(reason and ' class="rejected"' or "") }
  out[#out + 1] = html.picture(bytes, item.name)
  out[#out + 1] = ('<figcaption><span class="name">%s%s</span>'):format(e(item.shown or item.name),
    item.width and (" · %d × %d"):format(item.width, item.height) or "")
  if reason then out[#out + 1] = ('<span class="reason">%s</span><br>'):format(e(reason)) end
  for _, line in ipairs(lines) do out[#out + 1] = e(line) .. "<br>" end
  out[#out + 1] = "</figcaption></figure>"
  return table.concat(out)
end
M.figure = figure

local function figures(page, photos, list, most)
  most = most or MOST
  page.put '<div class="sheet">'
  for i = 1, math.min(#list, most) do
    folder.poll()
    page.put(figure(photos, list[i].item, list[i].lines or {}, list[i].text))
  end
  page.put "</div>"
  if #list > most then page.put(("<p>... and %d more; json=FILE has them all.</p>"):format(#list - most)) end
end
M.figures = figures

--- Whether a page may go there: asked before anything is computed. The command ends where it may not.
function M.allow_page(photos, path)
  if not path:lower():find "%.html?$" then
    folder.fail(("the page %s is not .html"):format(path), "for example to=out/page.html", "usage")
  end
  photos.session:permit(path, "write", nil, "to", false)
end

local function begin_page(photos, title)
  return pages.new(photos:context(), { title = title }, title)
end

local function grade_rows(found)
  local rows = { { "", "of 10", "" } }
  rows[2] = { "quality", ("%.1f"):format(found.quality), range_text(found) }
  rows[3] = { "consistency", found.consistency and ("%.1f"):format(found.consistency.grade) or "-", parts_text(found.consistency, "alike", "apart") }
  rows[4] = { "diversity", found.diversity and ("%.1f"):format(found.diversity.grade) or "-", parts_text(found.diversity, "different", "the same") }
  if found.judged then rows[5] = { "judged", ("%.1f"):format(found.judged.quality), M.judged_text(found) } end
  rows[#rows + 1] = { "captions", "", M.captions_text(found.captions) }
  return rows
end

local function formula_rows()
  local rows = { { "part of a picture's quality", "weight", "from 0 to 1" } }
  for _, part in ipairs(grades.PARTS) do rows[#rows + 1] = { part.name, ("%.2f"):format(part.weight), part.says } end
  return rows
end

--- The page: grades, issues with their pictures, all pictures from the lowest to the highest, the formulas.
---@param found calotype.analysis
---@param path string
function M.analysis_page(found, path)
  local photos = found.photos
  M.allow_page(photos, path)
  local page = begin_page(photos, "What is in " .. found.folder)
  page.lead(("%s%s"):format(set.count(#found.pictures), #found.rejected > 0 and (", %d that cannot be read"):format(#found.rejected) or ""))
  if #found.pictures > 0 then page.table("Grades", grade_rows(found)) end
  page.heading "Suggested"
  page.put(("<p>%s</p>\n<pre><code>%s</code></pre>"):format(found.suggestion.empty and "Nothing to cut."
    or ("Keeps %d of %d."):format(found.suggestion.kept, found.suggestion.of), e(found.suggestion.text)))
  for _, text in ipairs(found.suggestion.left_out) do page.put(("<p>Not suggested: %s.</p>"):format(e(text))) end
  for _, issue in ipairs(found.issues) do
    page.heading(("%s: %d"):format(issue.title:sub(1, 1):upper() .. issue.title:sub(2), #issue.found))
    page.put(("<p class=\"faint\">%s.</p>"):format(e(issue.advice)))
    figures(page, photos, issue.found)
  end
  page.heading "All pictures, the lowest quality first"
  local rows = {}
  for i, item in ipairs(found.pictures) do
    local lines = { ("quality %.1f, least in %s"):format(item.grade.quality, item.grade.worst) }
    if item.judged then lines[#lines + 1] = ("%s says %.1f: %s"):format(item.judged.by or "a model", item.judged.quality,
      item.judged.reason) end
    rows[i] = { item = item, lines = lines }
  end
  figures(page, photos, rows, MOST_OF_ALL)
  page.table("How it is counted", formula_rows())
  for _, text in ipairs { "A picture: " .. grades.FORMULA, "Quality: " .. grades.QUALITY, "Consistency: " .. grades.CONSISTENCY,
    "Diversity: " .. grades.DIVERSITY } do page.put(("<p class=\"faint\">%s.</p>"):format(e(text))) end
  page.finish(path, set.count(#found.pictures))
end

--- Write a file that is no page; the command ends where it cannot be.
function M.write(photos, path, bytes)
  photos.session:permit(path, "write", nil, "to", false)
  local ok, message, code = fs.write(path, bytes)
  if not ok then folder.fail(("%s was not written"):format(path), message, code) end
end

-- outliers ----------------------------------------------------------------------------------------------------------------

--- Lines for the terminal.
---@param found table of outliers.run
---@param put fun(line: string)
function M.outliers(found, put)
  local list = found.list
  put(("%s   %s, %s"):format(found.folder, set.count(#found.photos.items + #found.photos.rejected),
    #list == 0 and "no outliers" or set.count(#list, "outlier")))
  if found.few then
    put(("  with fewer than %d pictures nothing is usual, so nothing is odd; calotype analyze tells what is wrong with each"):format(found.few))
  end
  local width = 8
  for _, row in ipairs(list) do width = math.min(40, math.max(width, utf8.len(row.item.shown) or #row.item.shown)) end
  for _, row in ipairs(list) do
    local name = row.item.shown
    put(("  %-9s  %s%s  %s"):format(row.kind, name, (" "):rep(width - (utf8.len(name) or #name)), row.reasons[1].text))
    for i = 2, #row.reasons do put(("  %-9s  %s  %s"):format("", (" "):rep(width), row.reasons[i].text)) end
  end
end

--- The page: the outliers by kind, with what makes them odd.
---@param found table of outliers.run
---@param path string
function M.outliers_page(found, path)
  local photos = found.photos
  M.allow_page(photos, path)
  local page = begin_page(photos, "What is odd in " .. found.folder)
  page.lead(("%s, %s"):format(set.count(#photos.items), set.count(#found.list, "outlier")))
  for _, kind in ipairs { "quality", "style", "artefacts" } do
    local rows = {}
    for _, row in ipairs(found.list) do
      if row.kind == kind then
        local lines = {}
        for i, reason in ipairs(row.reasons) do if i > 1 then lines[#lines + 1] = reason.text end end
        rows[#rows + 1] = { item = row.item, text = row.reasons[1].text, lines = lines }
      end
    end
    if #rows > 0 then
      page.heading(("By %s: %d"):format(kind, #rows))
      figures(page, photos, rows)
    end
  end
  page.put('<p class="faint">A deviation is 1.4826 x the median distance from the median (robust z-scores, Iglewicz and Hoaglin 1993). '
    .. "Odd is not wrong: a character's only close-up is odd, too.</p>")
  page.finish(path, set.count(#found.list, "outlier"))
end

-- recommend ---------------------------------------------------------------------------------------------------------------

--- Lines for the terminal: every number with its reason.
---@param advice table of recommend.run
---@param put fun(line: string)
function M.advice(advice, put)
  put(("%s   %s, %d after the cuts; %s on %s"):format(advice.folder, set.count(#advice.found.pictures), advice.count, advice.goal, advice.base))
  for _, row in ipairs(advice.rows) do
    local value = type(row.value) == "number" and ("%.7g"):format(row.value) or tostring(row.value):gsub(" {.*", "")
    put(beside(("  %-15s %-9s "):format(row.name, value), row.reason))
  end
end

-- tags --------------------------------------------------------------------------------------------------------------------

-- What a model says of a picture's tags, below its name.
local function put_doubts(doubts, put)
  local parts = { wrong = {}, missing = doubts.missing, better = {} }
  for i, entry in ipairs(doubts.wrong) do parts.wrong[i] = entry.why ~= "" and ("%s (%s)"):format(entry.tag, entry.why) or entry.tag end
  for i, entry in ipairs(doubts.better) do parts.better[i] = ("%s for %s"):format(entry.better, entry.tag) end
  for _, kind in ipairs { "wrong", "missing", "better" } do
    if #parts[kind] > 0 then put(beside(("    %-8s "):format(kind), table.concat(parts[kind], ", "))) end
  end
end

-- "gemini-3.8-flash on 3 of 4 lists: 2 wrong, 1 missing, 0 better"
local function put_judged(found, put)
  local sums, by, names, lists = { wrong = 0, missing = 0, better = 0 }, {}, {}, 0
  for _, item in ipairs(found.photos.items) do
    local doubts = item.doubts
    if doubts then
      lists, by[doubts.by] = lists + 1, true
      for kind, sum in pairs(sums) do sums[kind] = sum + #doubts[kind] end
    end
  end
  for name in pairs(by) do names[#names + 1] = name end
  table.sort(names)
  if lists == 0 then return end
  put(("%s on the tags of %s: %d wrong, %d missing, %d better written otherwise"):format(table.concat(names, ", "), set.count(lists), sums.wrong,
    sums.missing, sums.better))
end

--- What would change, as old and new lines, and what a model says of the tags.
---@param found table of tags.run
---@param put fun(line: string)
---@param most integer
function M.tags(found, put, most)
  local list, kinds, order = found.list, {}, {}
  put(("%s   %s: %d to mend, %d fine%s%s"):format(found.folder, set.count(#found.photos.items), #list, found.fine,
    found.sentences > 0 and (", %d with sentences (left alone)"):format(found.sentences) or "",
    found.without > 0 and (", %d without a caption"):format(found.without) or ""))
  for _, row in ipairs(list) do
    for _, change in ipairs(row.changes) do
      if not kinds[change.kind] then
        kinds[change.kind] = 0
        order[#order + 1] = change.kind
      end
      kinds[change.kind] = kinds[change.kind] + 1
    end
  end
  for i = 1, math.min(#found.told, most) do
    local row = found.told[i]
    put(("  %s%s"):format(row.item.shown, row.author == "human" and "   by a person" or ""))
    if row.changed then
      put("    - " .. row.old)
      put("    + " .. row.new)
    else
      put("      " .. row.old)
    end
    if row.item.doubts then put_doubts(row.item.doubts, put) end
  end
  if #found.told > most then put(("  ... and %d more; most=%d shows all"):format(#found.told - most, #found.told)) end
  table.sort(order)
  for i, kind in ipairs(order) do order[i] = ("%d %s"):format(kinds[kind], kind) end
  if #order > 0 then put("changes: " .. table.concat(order, ", ")) end
  if #found.odd > 0 then
    put(("look: %s %s %s (%s)"):format(set.count(#found.odd, "caption"), #found.odd == 1 and "says" or "say", found.odd[1].text, M.names(found.odd)))
  end
  put_judged(found, put)
end

return M
