-- replicate.lua - the zip that Replicate's LoRA trainers take: flat, plain names, JPEG and PNG only, a caption for each picture.
local log = require "native.log"
local outputs = require "recipe.outputs"
local pictures = require "export.pictures"
local set = require "recipe.set"
local zip = require "native.zip"

local M = {
  name = "replicate", doc = "a flat zip for replicate.com trainers: pictures with captions of the same name", folder = false, needs = "to",
  options = { "metadata", "quality" },
}

--- Refuses targets that no trainer would open.
function M.check(options)
  if not options.to:lower():find "%.zip$" then return "to", ("the target %s is not a .zip"):format(options.to), ('write to = "%s.zip"'):format(options.to) end
end

function M.write(context, options, input, key)
  local items = input.items
  local captions, mended = pictures.captions(context, items)
  local stems, entries, lines, converted, weighted = pictures.stems(items), {}, {}, 0, false
  local bar <close> = log.progress("export", #items)
  for i, item in ipairs(items) do
    bar:set(i)
    local file = pictures.file(context, item, true, options.quality)
    if file.converted then converted = converted + 1 end
    weighted = weighted or item.weight ~= 1
    entries[#entries + 1] = { name = stems[i] .. "." .. file.extension, path = file.path, bytes = file.bytes }
    if options.metadata == "files" then entries[#entries + 1] = { name = stems[i] .. ".txt", bytes = captions[i] .. "\n" } end
    lines[i] = { name = stems[i] .. "." .. file.extension, text = captions[i] }
  end
  if options.metadata == "lines" then
    table.sort(entries, function(a, b) return a.name < b.name end) -- file order, so that line n is picture n
    table.sort(lines, function(a, b) return a.name < b.name end)
    local texts = {}
    for i, line in ipairs(lines) do texts[i] = line.text end
    entries[#entries + 1] = { name = "metadata.txt", bytes = table.concat(texts, "\n") .. "\n" }
  end
  if weighted then context.warn "a zip for replicate has no repeats: weights are left out of it" end
  if #items < 10 then context.warn(("%s in the zip; replicate's trainers recommend at least 10"):format(set.count(#items))) end
  local ok, message, code = zip.write(options.to, entries)
  if not ok then context.fail(("%s was not written"):format(options.to), { hint = message, code = code }) end
  for _, item in ipairs(items) do -- not remembered, so that the next run writes it again
    local changed = set.changed(item)
    if changed then context.fail(changed .. ", while the zip was written", { hint = "run again" }) end
  end
  outputs.record(context, options.to, key, { options.to }, pictures.note(items, converted, mended))
end

return M
