-- sidecars.lua - captions as name.txt: beside the input pictures, or with copies of the pictures in a folder.
local dataset = require "native.dataset"
local fs = require "native.fs"
local folder = require "export.folder"
local hash = require "native.hash"
local json = require "native.json"
local outputs = require "recipe.outputs"
local pictures = require "export.pictures"
local set = require "recipe.set"

local M = {
  name = "sidecars", doc = "name.txt for each picture: beside = true puts them beside the inputs, to = \"folder\" makes copies", folder = true,
  options = { "beside", "escape", "quality" },
}

function M.check(options)
  if options.beside and options.to then return "to", "captions go beside the pictures or into a folder, not both", "leave out beside or to" end
  if not options.beside and not options.to then return nil, ":export as \"sidecars\" needs a place", "write beside = true or to = \"folder\"" end
end

local function sidecar_path(item) return (item.path:gsub("%.[^./]+$", "")) .. ".txt" end

-- Whether the caption file has what it had when the pictures were read: a person, or the window, may have written into it since.
local function as_it_stood(item, stood)
  local file, _, code = dataset.sidecar(item.path)
  return not code and (file and file.text or false) == stood
end

local function write_beside(context, options, items)
  local captions, mended = pictures.captions(context, items, options.escape)
  local taken, store = {}, context.store()
  for i, item in ipairs(items) do
    local path = sidecar_path(item)
    if taken[path] then
      context.fail(("%s and %s would share the caption file %s"):format(taken[path].path, item.path, path), { hint = "rename one of the pictures" })
    end
    taken[path] = item
    captions[i] = captions[i] .. "\n"
  end
  local written, same, bytes, others = 0, 0, 0, {}
  local stood = context.session.stood or {}
  for i, item in ipairs(items) do
    local path = sidecar_path(item)
    bytes = bytes + #captions[i]
    if fs.read(path) == captions[i] then
      same = same + 1
    elseif stood[item.path] ~= nil and not as_it_stood(item, stood[item.path]) then
      others[#others + 1] = path
    else
      -- noted first: a sidecar that we wrote must never be taken for a person's
      if not (item.caption_by and item.caption_by.author == "human") then
        local existing = item.caption_by and item.caption_by.existing -- a person's words that went into it
        store:put("sidecar", item.sha256 .. ":" .. hash.sha256((captions[i]:gsub("\n$", ""))), existing and json.encode { existing = existing } or "1")
      end
      outputs.write(context, path, captions[i])
      stood[item.path] = captions[i]:gsub("\n+$", "")
      written = written + 1
    end
  end
  if #others > 0 then
    context.warn(("%s%s changed while this ran, and %s as it is now; run it again, and it is used"):format(others[1],
      #others > 1 and (" and %s more were"):format(#others - 1) or " was", #others > 1 and "each stays" or "stays"))
  end
  local text = written == 0 and ("%s beside the pictures, all unchanged"):format(set.count(same, "caption"))
    or ("%s written beside the pictures%s%s"):format(set.count(written, "caption"), same > 0 and (", %d unchanged"):format(same) or "",
      mended > 0 and (", trigger set right in %d"):format(mended) or "")
  context.account(text)
  context.session:wrote("captions beside the pictures", bytes, written > 0)
end

function M.write(context, options, input, key)
  if options.beside then return write_beside(context, options, input.items) end
  folder.write(context, options, input, key, function() return "" end)
end

return M
