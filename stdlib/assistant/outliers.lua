-- outliers.lua - the pictures of a folder that are unlike the others, and by which measure.
--
--   local found = outliers.run { folder = "photos" }
--   found.list[1]     -- { item =, kind = "style", reasons = { { kind =, text = "palette 0.41 from the others' mean ...", score = 5.2 } } }
local folder = require "assistant.folder"
local json = require "native.json"
local judge = require "assistant.judge"
local looks = require "assistant.looks"
local quarantine = require "assistant.quarantine"
local settings = require "assistant.settings"
local spread = require "assistant.spread"

local M = {}

local FEWEST = 8 -- pictures: among fewer nothing is usual

M.settings = settings.define("outliers", judge.with {
  { "above", "number", min = 2, max = 100, default = 3.5, doc = "how many deviations from the middle make an outlier" },
  { "by", "text", default = "quality,style,artefacts", doc = "which kinds are looked for, with commas between" },
  { "recursive", "boolean", default = false, doc = "read the folders below it too" },
  { "remove", "boolean", default = false, doc = "move them out of the folder, with their caption files" },
  { "restore", "boolean", default = false, doc = "bring back everything that was moved" },
  { "to", "text", default = "", doc = "the folder that they are moved to; FOLDER-outliers when left out" },
  { "page", "text", default = "out/outliers.html", doc = "the page to write; page= writes none" },
  { "json", "text", default = "", doc = "also write what was found to this file" },
})

local function log2(x) return math.log(math.max(x, 1e-9), 2) end
local function look(name) return function(item) return item.look and item.look[name] end end

-- side: which side is odd, "low", "high" or both; least: the deviation below which a difference is none; text: how a value is told.
M.MEASURES = {
  { kind = "quality", name = "sharpness", side = "low", least = 0.5, of = function(item) return log2(math.max(item.sharpness, 1)) end,
    text = function(item) return ("%.1f"):format(item.sharpness) end },
  { kind = "quality", name = "size", side = "low", least = 0.3, of = function(item) return log2(math.min(item.width, item.height)) end,
    text = function(item) return ("%d x %d"):format(item.width, item.height) end },
  { kind = "quality", name = "information", side = "low", least = 0.3, of = function(item) return item.entropy end,
    text = function(item) return ("%.1f bits"):format(item.entropy) end },
  { kind = "style", name = "brightness", least = 0.06, of = function(item) return item.brightness.p50 end,
    text = function(item) return ("%.2f"):format(item.brightness.p50) end },
  { kind = "style", name = "colourfulness", least = 0.015, of = look "chroma", text = function(item) return ("%.2f"):format(item.look.chroma) end },
  { kind = "style", name = "contrast", least = 0.03, of = look "contrast", text = function(item) return ("%.2f"):format(item.look.contrast) end },
  { kind = "style", name = "palette", side = "high", least = 0.04, of = function(item) return item.apart end,
    text = function(item) return ("%.2f from the others"):format(item.apart) end },
  { kind = "style", name = "layout", side = "high", least = 2, of = function(item) return item.alone end,
    text = function(item) return ("%d of 64 bits from its nearest"):format(item.alone) end },
  { kind = "style", name = "shape", least = 0.15, of = function(item) return log2(item.width / item.height) end,
    text = function(item) return ("%d x %d"):format(item.width, item.height) end },
  { kind = "artefacts", name = "noise", side = "high", least = 0.6, of = function(item) return log2(item.noise + 1) end,
    text = function(item) return ("%.1f"):format(item.noise) end },
  { kind = "artefacts", name = "JPEG squares", side = "high", least = 0.12, of = function(item) return item.blocking end,
    text = function(item) return ("%.2f"):format(item.blocking) end },
}

M.KINDS = { "quality", "style", "artefacts" }

--- Which kinds a text names; the command ends for one that is none.
function M.kinds(text)
  local wanted, any = {}, false
  for word in text:gmatch "[^,%s]+" do
    local known = false
    for _, kind in ipairs(M.KINDS) do known = known or kind == word end
    if not known then
      local near = require("recipe.suggest").closest(word, M.KINDS)
      folder.fail(("by=%s: there is no kind '%s'"):format(text, word),
        near and ("did you mean '%s'?"):format(near) or "there are " .. table.concat(M.KINDS, ", "),
        "usage")
    end
    wanted[word], any = true, true
  end
  if not any then folder.fail("by= names no kind", "there are " .. table.concat(M.KINDS, ", "), "usage") end
  return wanted
end

-- The middle value as it would be told: that of the picture nearest to it.
local function middle_text(measure, items, values)
  local middle, best, best_distance = spread.median(values), nil, math.huge
  for _, item in ipairs(items) do
    local value = measure.of(item)
    if value and math.abs(value - middle) < best_distance then best, best_distance = item, math.abs(value - middle) end
  end
  return measure.text(best)
end

-- Distance from the mean of the palettes, which a few odd ones hardly move.
local function set_apart(items)
  local palettes = {}
  for _, item in ipairs(items) do palettes[#palettes + 1] = item.look and item.look.palette end
  local middle = looks.middle(palettes)
  for _, item in ipairs(items) do item.apart = item.look and looks.palette_distance(item.look.palette, middle) end
end

local MOST_OTHERS = 400

-- How far the nearest other picture is by perceptual hash: of a large folder, among a fixed choice of the others.
local function set_alone(items)
  local step = math.max(1, #items // MOST_OTHERS)
  for i, item in ipairs(items) do
    if i % 16 == 0 then folder.poll() end
    local nearest = 64
    for k = 1 + i % step, #items, step do
      if k ~= i then nearest = math.min(nearest, looks.hash_distance(item, items[k])) end
    end
    item.alone = nearest
  end
end

---@param items calotype.item[]
---@param above number
---@param wanted table<string, boolean>
---@return table[] the oddest first
function M.find(items, above, wanted)
  local by_item, list = {}, {}
  if #items < FEWEST then return list end
  local function add(item, kind, measure, score, text)
    local row = by_item[item]
    if not row then
      row = { item = item, reasons = {}, score = 0 }
      by_item[item], list[#list + 1] = row, row
    end
    row.reasons[#row.reasons + 1] = { kind = kind, measure = measure, score = score, text = text }
  end
  set_apart(items)
  set_alone(items)
  for _, measure in ipairs(M.MEASURES) do
    folder.poll()
    if wanted[measure.kind] then
      local values = {}
      for _, item in ipairs(items) do values[#values + 1] = measure.of(item) end
      local score_of, middle = spread.of(values, measure.least), #values > 0 and middle_text(measure, items, values)
      for _, item in ipairs(items) do
        local value = measure.of(item)
        local score = value and score_of(value) or 0
        if measure.side == "low" then score = -score end
        local odd = measure.side and score or math.abs(score)
        if odd > above then
          add(item, measure.kind, measure.name, odd, ("%s %s, %.1f deviations from %s"):format(measure.name, measure.text(item), odd,
            (middle:gsub(" from the others$", ""))))
        end
      end
    end
  end
  judge.outliers(items, above, function(item, kind, ...) if wanted[kind] then add(item, kind, ...) end end)
  for _, row in ipairs(list) do
    table.sort(row.reasons, function(a, b)
      if a.score ~= b.score then return a.score > b.score end
      return a.measure < b.measure
    end)
    row.score, row.kind = row.reasons[1].score, row.reasons[1].kind
  end
  table.sort(list, function(a, b)
    if a.score ~= b.score then return a.score > b.score end
    return a.item.path < b.item.path
  end)
  return list
end

--- A row's reasons in one line: "style: palette 0.41 from the others, 5.2 deviations from ...; noise 30 ..."
function M.reason(row)
  local parts = {}
  for i, reason in ipairs(row.reasons) do parts[i] = reason.text end
  return row.kind .. ": " .. table.concat(parts, "; ")
end

--- Look for outliers. Nothing is moved. Pictures that cannot be read are outliers by their artefacts.
---@param options { folder: string, above?: number, by?: string, recursive?: boolean, store?: string, say?: fun(line: string), before?: fun(photos: table) }
---@return table
function M.run(options)
  local wanted = M.kinds(options.by or M.settings.by_name.by.default)
  local photos = folder.open(options)
  if options.before then options.before(photos) end
  local fault = #photos.items >= FEWEST and judge.try(photos, options) or nil
  local list = M.find(photos.items, options.above or M.settings.by_name.above.default, wanted)
  for _, reject in ipairs(wanted.artefacts and photos.rejected or {}) do
    table.insert(list, { item = reject.item, kind = "artefacts", score = math.huge, reasons = { { kind = "artefacts", measure = "reading", score = math.huge,
      text = "cannot be read: " .. reject.reason } } })
  end
  return { folder = photos.path, photos = photos, list = list, few = #photos.items < FEWEST and FEWEST or nil, fault = fault }
end

--- Set them aside.
---@param found table of run
---@param to string
---@return table counts
function M.remove(found, to)
  local aside, stems, shared, list = quarantine.open(found.folder, to), {}, {}, {}
  for _, item in ipairs(found.photos.items) do
    local stem = item.path:gsub("%.[^./]+$", "")
    shared[stem], stems[stem] = stems[stem], true
  end
  for i, row in ipairs(found.list) do list[i] = { item = row.item, reason = M.reason(row) } end
  return aside:move(list, shared)
end

---@param found table of run
---@return string
function M.json(found)
  local list = {}
  for i, row in ipairs(found.list) do
    local reasons = {}
    for k, reason in ipairs(row.reasons) do
      reasons[k] = { kind = reason.kind, measure = reason.measure, deviations = reason.score < math.huge and reason.score or json.null,
        text = folder.printable(reason.text) }
    end
    list[i] = { path = folder.printable(row.item.path), sha256 = row.item.sha256, kind = row.kind, reasons = json.array(reasons) }
  end
  return json.encode({ folder = folder.printable(found.folder), pictures = #found.photos.items, outliers = json.array(list) }, { pretty = true }) .. "\n"
end

return M
