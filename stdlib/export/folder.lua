-- folder.lua - writing pictures and captions into folders, all or with a clear word about where it stopped.
local fs = require "native.fs"
local log = require "native.log"
local outputs = require "recipe.outputs"
local pictures = require "export.pictures"
local script = require "native.script"

local M = {}

--- Write pictures with captions of the same name. `folder_of(item)` names each one's folder below options.to.
function M.write(context, options, input, key, folder_of)
  local items = input.items
  local captions, mended = pictures.captions(context, items)
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
  local files, converted = {}, 0
  local bar <close> = log.progress("export", #items)
  for _, folder in ipairs(order) do
    local members = {}
    for n, i in ipairs(groups[folder]) do members[n] = items[i] end
    local stems = pictures.stems(members)
    for n, i in ipairs(groups[folder]) do
      local file = pictures.file(context, items[i], false, options.quality)
      if file.converted then converted = converted + 1 end
      local bytes = file.bytes
      if not bytes then
        local read, message, code = fs.read(file.path)
        if not read then context.fail(("%s cannot be read any more"):format(file.path), { hint = message, code = code }) end
        bytes = read
      end
      local base = (folder == "" and options.to or options.to .. "/" .. folder) .. "/" .. stems[n]
      outputs.write(context, base .. "." .. file.extension, bytes)
      outputs.write(context, base .. ".txt", captions[i] .. "\n")
      files[#files + 1] = base .. "." .. file.extension
      files[#files + 1] = base .. ".txt"
      bar:set(#files // 2)
      if script.interrupted() > 0 then
        context.fail(("stopped after %d of %d pictures in %s"):format(#files // 2, #items, options.to), { exit = 130, hint = "run again to write the rest" })
      end
    end
  end
  outputs.record(context, options.to, key, files, pictures.note(items, converted, mended))
end

return M
