-- checks.lua - what may be wrong with the pictures of a folder; what can be cut has the option of :reject that cuts it.
--
--   local issues, suggestion = checks.find(photos, { side = 512 })
--   issues[1]         -- { id = "small", title = "small", advice = "...", level = "bad", found = { { item =, text = "400 px" }, ... } }
--   suggestion.text   -- a recipe that can be pasted; suggestion.kept of suggestion.of pictures stay
local folder = require "assistant.folder"
local lint = require "caption.lint"
local quantities = require "recipe.quantities"

local M = {}

-- Cut by a number. `cut`: where it stands; `bad` ones go, the others are only told.
M.CUTS = {
  { id = "small", bad = true, quantity = "side", option = "side_below", below = true, cut = function(o) return o.side end,
    advice = "too small for the wanted side: enlarged, they teach softness" },
  { id = "blurred", bad = true, quantity = "sharpness", option = "sharpness_below", below = true, cut = function() return 40 end,
    advice = "blurred everywhere, even in the sharpest part" },
  { id = "soft", quantity = "sharpness", below = true, cut = function() return 100 end, least = function() return 40 end,
    advice = "soft; fine where that is the style" },
  { id = "dark", bad = true, quantity = "highlights", option = "dark_below", below = true, cut = function() return 0.32 end,
    advice = "even the bright spots are dark" },
  { id = "washed out", bad = true, quantity = "shadows", option = "light_above", cut = function() return 0.95 end,
    advice = "even the shadows are light" },
  { id = "empty", bad = true, quantity = "entropy", option = "entropy_below", below = true, cut = function() return 3 end,
    advice = "nearly nothing to see" },
  { id = "long", bad = true, quantity = "aspect", option = "aspect_above", cut = function() return 3 end,
    advice = "so long that most of it is cut away in training" },
  { id = "noisy", bad = true, quantity = "noise", option = "noise_above", cut = function() return 12 end,
    advice = "noise that a LoRA learns with the rest; fine texture all over counts, too" },
  { id = "JPEG squares", bad = true, quantity = "blocking", option = "blocking_above", cut = function() return 2.2 end,
    advice = "saved too coarsely: look for the original" },
}

local MOST = 1 / 3 -- of the pictures that a cut may take and still be suggested

local function cut_issue(row, items, options)
  local quantity, cut, least = quantities.by_name[row.quantity], row.cut(options), row.least and row.least(options)
  local found = {}
  for _, item in ipairs(items) do
    local value = quantity.of(item)
    local over
    if row.below then over = value < cut and not (least and value < least) else over = value > cut end
    if over then found[#found + 1] = { item = item, text = ("%s %s"):format(row.quantity, quantities.text(quantity, value)) } end
  end
  return { id = row.id, title = row.id, advice = row.advice, level = row.bad and "bad" or "look", found = found, option = row.option, cut = cut }
end

local function marked(items, id, advice, of)
  local found = {}
  for _, item in ipairs(items) do
    local text = of(item)
    if text then found[#found + 1] = { item = item, text = text } end
  end
  return { id = id, title = id, advice = advice, level = "look", found = found }
end

local function duplicates(photos)
  local result = photos:stage(function(images) return images:dedupe { by = "phash", distance = 4, keep = "sharpest" } end)
  local by_path, issue = {}, { id = "duplicates", title = "duplicates", level = "bad", found = {},
    advice = "the same picture twice is learned twice; the sharpest of each stays" }
  for _, item in ipairs(photos.items) do by_path[item.path] = item end
  for _, reject in ipairs(result.rejected) do
    if reject.verb == "dedupe" then issue.found[#issue.found + 1] = { item = by_path[reject.item.path], text = reject.reason } end
  end
  return issue
end

-- Captions --------------------------------------------------------------------------------------------------------------

-- What caption/lint.lua finds, in a word or two.
local TITLES = { alike = "captions alike", long = "long captions", empty = "empty captions", encoding = "caption files", refusal = "excuses",
  opening = "openings", markup = "markup", language = "other language", escapes = "backslashes", names = "names",
  trigger_missing = "without trigger", trigger_doubled = "trigger twice" }

--- Who captioned how many, and each item's caption as `words_of[item]`.
---@return table
function M.captions(photos)
  local out = { people = 0, models = 0, without = 0, of = {} }
  for i, item in ipairs(photos.items) do
    if i % 64 == 0 then folder.poll() end
    local row = not item.caption and photos:by_model(item)
    if item.caption and item.caption_by.author == "human" then out.people = out.people + 1
    elseif item.caption or row then out.models = out.models + 1
    else out.without = out.without + 1 end
    out.of[item] = item.caption or row and row.text or nil
  end
  return out
end

local function caption_issues(photos, captions, trigger, add)
  local items, rows = photos.items, {}
  if captions.without < #items then
    add(marked(items, "without a caption", "calotype caption gives them one", function(item) return not captions.of[item] and "no caption" or nil end))
  end
  for _, item in ipairs(items) do
    if captions.of[item] then rows[#rows + 1] = { name = item.shown, text = captions.of[item], item = item, asked = item.caption == nil } end
  end
  for _, finding in ipairs(lint.look(rows, { trigger = trigger })) do
    local found = {}
    for i, item in ipairs(finding.items) do found[i] = { item = item, text = captions.of[item] } end
    add { id = finding.kind, title = TITLES[finding.kind] or finding.kind, level = finding.level == "warning" and "bad" or "look", found = found,
      advice = finding.text .. ": " .. finding.why }
  end
end

--- All issues, the worst kinds first; those that concern nothing are left out.
---@param photos table of folder.lua
---@param options { side: integer, captions: table, trigger?: string }
---@return table[] issues
function M.find(photos, options)
  local issues = {}
  local function add(issue)
    folder.poll()
    if #issue.found > 0 then issues[#issues + 1] = issue end
  end
  local unreadable = { id = "unreadable", title = "unreadable", level = "bad", found = {}, advice = "left out by every recipe; get them again" }
  for _, reject in ipairs(photos.rejected) do unreadable.found[#unreadable.found + 1] = { item = reject.item, text = reject.reason } end
  add(unreadable)
  add(duplicates(photos))
  for _, row in ipairs(M.CUTS) do add(cut_issue(row, photos.items, options)) end
  local gray = marked(photos.items, "gray among colours", "a LoRA learns gray where it is not meant; say it in their captions",
    function(item) return item.gray and "no colours" or nil end)
  if #gray.found < #photos.items then add(gray) end
  add(marked(photos.items, "transparent", "what is transparent is put on white", function(item) return item.alpha and "has an alpha channel" or nil end))
  add(marked(photos.items, "other colours", "their colours are taken as sRGB and come out paler or stronger",
    function(item) return item.profile and "profile " .. item.profile or nil end))
  add(marked(photos.items, "lying on the side", "their EXIF says how they are turned; :orient() turns them for trainers that do not look",
    function(item) return item.orientation and item.orientation > 1 and ("EXIF orientation %d"):format(item.orientation) or nil end))
  caption_issues(photos, options.captions, options.trigger ~= "" and options.trigger or nil, add)
  return issues
end

-- Suggestions -----------------------------------------------------------------------------------------------------------

local function number_text(value) return math.type(value) == "integer" and tostring(value) or (("%.2f"):format(value):gsub("%.?0+$", "")) end

--- What the issues advise to do, as a recipe; and the cuts that were not suggested, with the reason.
---@param photos table
---@param issues table[]
---@return { text: string, options: table<string, number>, dedupe: boolean, kept: integer, of: integer, left_out: string[] }
function M.suggest(photos, issues)
  local out = { options = {}, left_out = {}, of = #photos.items }
  local parts, told, chain = {}, {}, {}
  local orient
  for _, issue in ipairs(issues) do
    if issue.option and #issue.found > #photos.items * MOST then
      out.left_out[#out.left_out + 1] = ("%s = %s would take %d of %d: too many to leave out%s"):format(issue.option, number_text(issue.cut), #issue.found,
        #photos.items, issue.id == "small" and "; train at a lower resolution, or get larger ones" or "")
    elseif issue.option then
      parts[#parts + 1] = ("    %s = %s,"):format(issue.option, number_text(issue.cut))
      told[#told + 1] = ("%d %s"):format(#issue.found, issue.title)
      out.options[issue.option] = issue.cut
    end
    out.dedupe = out.dedupe or issue.id == "duplicates"
    orient = orient or issue.id == "lying on the side"
  end
  chain[#chain + 1] = ("local photos = images %s"):format(M.source(photos))
  if orient then chain[#chain + 1] = "  :orient()" end
  local width = 0
  for _, part in ipairs(parts) do width = math.max(width, #part) end
  if #parts > 0 then chain[#chain + 1] = "  :reject {" end
  for i, part in ipairs(parts) do chain[#chain + 1] = ("%-" .. width .. "s -- %s"):format(part, told[i]) end
  if #parts > 0 then chain[#chain + 1] = "  }" end
  if out.dedupe then chain[#chain + 1] = '  :dedupe { by = "phash", distance = 4, keep = "sharpest" }' end
  chain[#chain + 1] = 'photos:sheet { to = "out/sheet.png" }'
  out.text = table.concat(chain, "\n") .. "\n"
  out.empty = #parts == 0 and not out.dedupe and not orient
  out.kept = #photos:stage(function(images)
    if #parts > 0 then images = images:reject(out.options) end
    return out.dedupe and images:dedupe { by = "phash", distance = 4, keep = "sharpest" } or images
  end).items
  return out
end

--- The folder as `images` takes it in a recipe.
function M.source(photos)
  return photos.recursive and ("{ %q, recursive = true }"):format(photos.path) or ("%q"):format(photos.path)
end

return M
