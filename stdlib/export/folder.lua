-- folder.lua - writing pictures and captions into folders: all, or none that was not there before.
local fs = require "native.fs"
local log = require "native.log"
local outputs = require "recipe.outputs"
local pictures = require "export.pictures"
local script = require "native.script"
local set = require "recipe.set"

local M = {}

--- Write pictures with captions of the same name. `folder_of(item)` names each one's folder below options.to.
function M.write(context, options, input, key, folder_of)
  local items = input.items
  local captions, mended = pictures.captions(context, items, options.escape)
  local groups, order = {}, {}
  for i, item in ipairs(items) do
    local folder = folder_of(item)
    if not groups[folder] then
      groups[folder] = {}
      order[#order + 1] = folder
    end
    table.insert(groups[folder], i)
  end
  table.sort(order)
  local bundle, converted = outputs.bundle(context, options.to), 0
  local bar <close> = log.progress("export", #items)
  for _, folder in ipairs(order) do
    local members = {}
    for n, i in ipairs(groups[folder]) do members[n] = items[i] end
    local stems = pictures.stems(members)
    for n, i in ipairs(groups[folder]) do
      local file = pictures.file(bundle, items[i], false, options.quality)
      if file.converted then converted = converted + 1 end
      local bytes = file.bytes
      if not bytes then
        local read, message, code = fs.read(file.path)
        if not read then bundle.fail(("%s cannot be read any more"):format(file.path), { hint = message, code = code }) end
        bytes = read
        local changed = set.changed(items[i])
        if changed then bundle.fail(changed, { hint = "run again" }) end
      end
      local base = (folder == "" and options.to or options.to .. "/" .. folder) .. "/" .. stems[n]
      bundle.write(base .. "." .. file.extension, bytes)
      bundle.write(base .. ".txt", captions[i] .. "\n")
      bar:set(#bundle.files // 2)
      if script.interrupted() > 0 then
        bundle.fail(("stopped after %d of %d pictures in %s; none that were not there before are kept"):format(#bundle.files // 2, #items,
          options.to), { exit = 130 })
      end
    end
  end
  outputs.record(context, options.to, key, bundle.files, pictures.note(items, converted, mended))
end

return M
