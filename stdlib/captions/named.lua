-- named.lua - the pictures that a word of the command line means: a folder, a picture, its caption file, a name without its ending, or the
-- first digits of a content's sha256.
--
--   for _, picture in ipairs(named.pictures(store, "photos")) do print(picture.path, picture.sha) end
--
-- A picture that only the store knows has no path.
local dataset = require "native.dataset"
local fs = require "native.fs"
local images = require "recipe.verbs.images"
local script = require "native.script"

local M = {}

local SHOWN = 5 -- of what a name could mean

local function fail(message, hint, exit) script.fail { message = message, hint = hint, source = false, exit = exit or 2 } end

-- Pictures of a folder whose name without ending is `stem`.
local function of_stem(folder, stem)
  local found = {}
  for _, entry in ipairs(fs.list(folder) or {}) do
    local name = entry.path:match "[^/]+$"
    if entry.kind == "file" and images.is_picture(name) and name:gsub("%.[^.]+$", "") == stem then found[#found + 1] = entry.path end
  end
  return found
end

local function list_text(list)
  local shown = table.move(list, 1, math.min(#list, SHOWN), 1, {})
  return table.concat(shown, ", ") .. (#list > SHOWN and (" and %d more"):format(#list - SHOWN) or "")
end

-- A picture of that name in a folder right below this one.
local function elsewhere(name)
  local found = {}
  if name:find "/" or name == "" then return nil end
  for _, entry in ipairs(fs.grant(".", "read") and fs.list "." or {}) do
    local path = entry.path:gsub("^%./", "")
    if entry.kind == "folder" and path:sub(1, 1) ~= "." then
      if fs.stat(path .. "/" .. name) then found[#found + 1] = path .. "/" .. name
      else table.move(of_stem(path, name), 1, SHOWN, #found + 1, found) end
    end
  end
  return #found > 0 and list_text(found) or nil
end

local function paths_of(name)
  local ok, message, code = fs.grant(name, "read")
  local info = ok and fs.stat(name)
  if info and info.kind == "folder" then
    return images.find(name, false, function(what, hint, why)
      fail(what, hint and hint:find "recursive" and "name one of its folders" or hint, why == "DENIED" and 3 or 2)
    end), true
  end
  if info and not name:find "%.txt$" and not name:find "%.caption$" then return { name } end
  if code == "DENIED" then fail(message, nil, 3) end
  -- cat, or cat.txt: the picture of that name
  local folder, file = name:match "^(.*)/([^/]+)$"
  local stem = (file or name):gsub("%.txt$", ""):gsub("%.caption$", "")
  fs.grant(folder or ".", "read")
  local found = of_stem(folder or ".", stem)
  if not folder then for i, path in ipairs(found) do found[i] = path:gsub("^%./", "") end end
  if #found > 1 then fail(("%s could be %s"):format(name, list_text(found)), "name one of them") end
  if #found == 1 then return found end
end

--- The pictures, in the order of their names; second: whether a folder was named.
---@param store table the native one
---@param name string
---@return { path?: string, sha: string, record?: table }[] pictures, boolean folder
function M.pictures(store, name)
  local paths, folder = paths_of(name)
  if not paths then
    local shas = name:find "^%x%x%x%x%x*$" and store:find_pictures(name:lower()) or {}
    if #shas > 1 then
      for i, sha in ipairs(shas) do shas[i] = sha:sub(1, 16) end
      fail(("%s is the beginning of several contents: %s"):format(name, list_text(shas)), "give more digits")
    end
    if #shas == 1 then return { { sha = shas[1] } }, false end
    local near = fs.nearest(name) or elsewhere(name)
    fail(("there is no picture %s"):format(name), near and ("did you mean %s?"):format(near)
      or "name a folder, a picture, or the first digits of its content as `calotype captions log` shows them")
  end
  local records, message, code = dataset.scan(store, paths, { label = "reading" })
  if not records then fail(message, nil, code == "INTERRUPT" and 130 or 1) end
  local pictures = {}
  for i, record in ipairs(records) do
    if record.sha256 and not record.error then pictures[#pictures + 1] = { path = paths[i], sha = record.sha256, record = record }
    elseif not folder then fail(("%s cannot be read: %s"):format(paths[i], record.error or "?"), nil, 1) end
  end
  return pictures, folder or false
end

return M
