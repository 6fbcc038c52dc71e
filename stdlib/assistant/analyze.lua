-- analyze.lua - a folder of pictures judged: quality, consistency and diversity from 0 to 10, what is wrong with which picture, what to cut.
--
--   local analyze = require "assistant.analyze"
--   local found = analyze.run { folder = "photos" }
--   found.quality, found.issues, found.suggestion.text                --> 7.2, { ... }, 'local photos = images "photos" ...'
local checks = require "assistant.checks"
local folder = require "assistant.folder"
local grades = require "assistant.grades"
local json = require "native.json"
local judge = require "assistant.judge"
local settings = require "assistant.settings"
local spread = require "assistant.spread"

local M = {}

M.settings = settings.define("analyze", judge.with {
  { "side", "integer", min = 64, max = 8192, default = 512, unit = "px", doc = "the shorter side that is wanted: what the base draws" },
  { "trigger", "text", default = "", doc = "the made-up word that captions should have once" },
  { "recursive", "boolean", default = false, doc = "read the folders below it too" },
  { "to", "text", default = "out/analysis.html", doc = "the page to write; to= writes none" },
  { "json", "text", default = "", doc = "also write all numbers to this file" },
})

---@class calotype.analysis
---@field folder string
---@field pictures calotype.item[] worst first, each with `grade` and `look`
---@field rejected calotype.reject[]
---@field quality? number
---@field consistency? { grade: number, parts: table<string, number> }
---@field diversity? { grade: number, parts: table<string, number> }
---@field captions { people: integer, models: integer, without: integer }
---@field issues table[]
---@field suggestion table
---@field photos table of folder.lua; the caller closes it
---@field judged? table of judge.summary
---@field fault? any why asking a model ended, to be raised when the rest was told

--- Judge a folder. Nothing is written but to the store.
--- `before(photos)` is called when the folder was read and nothing is judged yet. With `judge` a model is asked, as judge.lua says.
---@param options { folder: string, side?: integer, trigger?: string, recursive?: boolean, judge?: boolean, store?: string, say?: function, before?: function }
---@return calotype.analysis
function M.run(options)
  local photos = folder.open(options)
  if options.before then options.before(photos) end
  local fault = judge.try(photos, options)
  local side = options.side or 512
  for _, item in ipairs(photos.items) do item.grade = grades.picture(item, { side = side }) end
  folder.poll()
  local captions = checks.captions(photos)
  local issues, duplicates = checks.find(photos, { side = side, captions = captions, trigger = options.trigger }), 0
  for _, issue in ipairs(judge.issues(photos.items)) do issues[#issues + 1] = issue end
  for _, issue in ipairs(issues) do if issue.id == "duplicates" then duplicates = #issue.found end end
  local pictures = table.move(photos.items, 1, #photos.items, 1, {})
  table.sort(pictures, function(a, b)
    if a.grade.quality ~= b.grade.quality then return a.grade.quality < b.grade.quality end
    return a.path < b.path
  end)
  return {
    folder = photos.path, side = side, pictures = pictures, rejected = photos.rejected, photos = photos, captions = captions, issues = issues,
    judged = judge.summary(photos.items), fault = fault, quality = grades.quality(photos.items, duplicates, #photos.rejected),
    consistency = grades.consistency(photos.items), diversity = grades.diversity(photos.items, duplicates), suggestion = checks.suggest(photos, issues),
  }
end

local function rounded(value) return value and math.floor(value * 1000 + 0.5) / 1000 or json.null end

local function rounded_parts(parts)
  local out = {}
  for name, value in pairs(parts) do out[name] = rounded(value) end
  return out
end

--- The analysis as JSON: paths, contents, measures, grades, issues, the suggestion.
---@param found calotype.analysis
---@return string
function M.json(found)
  local pictures, issues, rejected = {}, {}, {}
  for i, item in ipairs(found.pictures) do
    local b = item.brightness
    pictures[i] = { path = folder.printable(item.path), sha256 = item.sha256, width = item.width, height = item.height, format = item.format,
      quality = rounded(item.grade.quality), worst = item.grade.worst, parts = rounded_parts(item.grade.parts), sharpness = rounded(item.sharpness),
      entropy = rounded(item.entropy), noise = rounded(item.noise), blocking = rounded(item.blocking), phash = item.phash,
      brightness = { p1 = rounded(b.p1), p5 = rounded(b.p5), p50 = rounded(b.p50), p95 = rounded(b.p95), p99 = rounded(b.p99) },
      caption = found.captions.of[item] or json.null, judged = item.judged or json.null }
  end
  for i, issue in ipairs(found.issues) do
    local list = {}
    for k, row in ipairs(issue.found) do
      list[k] = { path = folder.printable(row.item.path), text = folder.printable(row.text) }
    end
    issues[i] = { id = issue.id, level = issue.level, advice = issue.advice, pictures = json.array(list) }
  end
  for i, reject in ipairs(found.rejected) do
    rejected[i] = { path = folder.printable(reject.item.path), reason = folder.printable(reject.reason) }
  end
  local function grade(it) return it and { grade = rounded(it.grade), parts = rounded_parts(it.parts) } or json.null end
  return json.encode({
    folder = folder.printable(found.folder), side = found.side, quality = rounded(found.quality),
    consistency = grade(found.consistency), diversity = grade(found.diversity),
    captions = { people = found.captions.people, models = found.captions.models, without = found.captions.without },
    pictures = json.array(pictures), unreadable = json.array(rejected), issues = json.array(issues),
    judged = found.judged and { pictures = found.judged.count, quality = rounded(found.judged.quality), by = found.judged.by } or json.null,
    suggestion = { recipe = utf8.len(found.suggestion.text) and found.suggestion.text or json.null, kept = found.suggestion.kept,
      left_out = json.array(found.suggestion.left_out) },
  }, { pretty = true }) .. "\n"
end

--- The least, a quarter, the middle, the most of the pictures' quality.
---@return number[]
function M.range(found)
  local values = {}
  for i, item in ipairs(found.pictures) do values[i] = item.grade.quality end
  return { spread.quantile(values, 0), spread.quantile(values, 0.25), spread.quantile(values, 0.5), spread.quantile(values, 1) }
end

return M
