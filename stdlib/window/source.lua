-- source.lua - which pictures a project is made of, and files that are dropped on it.
--
--   local found, message, code = source.find("photos", {})       -- folder, recipe.lua, view file, picture, or { paths }
--   found.kind, found.place, found.title, found.paths            -- "folder"; what the store knows it by; for people; in order
--   found.more["photos/a.jpg"]                                   -- what a recipe or a view file says of it: bucket, crop, out, rejected_by, record
--   local list, refused = source.expand(project, { "/home/me/new.jpg", "/home/me/more" })        -- the pictures that are meant
--   local job = source.taking(project, list)                     -- copied into the project's folder, with their caption files
--   while job.next() do end                                      -- one each time: job.taken, job.refused
--
-- A view file is what :preview keeps in the store, too, for "preview:NAME" (window/preview.lua): { "calotype": "view", "version": 1, "title": "...",
-- "recipe": "hall.lua", "pictures": [ { "path": "photos/a.jpg", "width": 640, "height": 480, "caption": "...", "trigger": "zkr",
-- "bucket": { "width": 512, "height": 512 }, "crop": {...}, "rejected": "too small", "verb": "reject" } ] }; all but the path may be left out.
local asking = require "recipe.asking"
local buckets = require "recipe.buckets"
local files = require "train.lora.files"
local fs = require "native.fs"
local hash = require "native.hash"
local hubs = require "native.hub"
local image = require "native.image"
local images = require "recipe.verbs.images"
local json = require "native.json"
local preview = require "window.preview"
local runs = require "window.run"
local script = require "native.script"
local services = require "caption.services"
local state = require "window.state"
local stores = require "native.store"

local M = {}

local MOST_IN_VIEW = 200000 -- pictures
local FORMATS = { jpg = true, jpeg = true, png = true, webp = true, bmp = true, gif = true, tif = true, tiff = true }

-- --- Folders and lists -------------------------------------------------------------------------------------------------------------

-- One folder has one place, by whatever links it was reached.
local function place_of(path) return fs.real(path) or fs.absolute(path) or path end

local function title_of(path) return (place_of(path):match "[^/]+$") or path end

local function of_folder(path, options)
  path = #path > 1 and path:gsub("/+$", "") or path
  local paths = {}
  local ok, problem = pcall(function()
    paths = images.find(path, options.recursive or false, function(message, hint, code) error({ message = message, hint = hint, code = code }, 0) end)
  end)
  if not ok then
    if type(problem) ~= "table" or not problem.message then error(problem, 0) end
    local list = fs.list(path)
    if not list then return nil, problem.message, problem.code or "IO" end
  end
  return { kind = "folder", place = place_of(path), title = title_of(path), folder = path, paths = paths,
    empty = not ok and problem.message .. (problem.hint and "; " .. problem.hint or "") or nil }
end

local function of_list(list)
  local paths, folder = {}, nil
  for _, path in ipairs(list) do
    local ok, message, code = fs.grant(path:match "^(.*)/[^/]*$" or ".", "read")
    if not ok then return nil, message, code end
    if not images.is_picture(path) then return nil, ("%s is no picture: those are .jpg, .png, .webp, .bmp, .gif and .tif"):format(path), "ARG" end
    if not fs.stat(path) then return nil, ("there is no picture %s"):format(path), "NOTFOUND" end
    paths[#paths + 1], folder = path, folder or path:match "^(.*)/[^/]*$" or "."
  end
  if #paths == 0 then return nil, "a list of pictures without a picture", "ARG" end
  return { kind = "list", place = place_of(folder) .. "#" .. hash.sha256(table.concat(paths, "\n")):sub(1, 12), paths = paths,
    title = #paths == 1 and paths[1] or ("%d pictures of %s"):format(#paths, title_of(folder)) }
end

-- --- View files -----------------------------------------------------------------------------------------------------------------------

local function whole(value, least) return math.type(value) == "integer" and value >= least and value <= 1 << 20 end

local function rectangle(value, least)
  if value == nil then return true end
  return type(value) == "table" and whole(value.width, 1) and whole(value.height, 1)
    and (least == nil or whole(value.x, least) and whole(value.y, least))
end

local function text_or_nil(value) return value == nil or type(value) == "string" and utf8.len(value) ~= nil end

-- What one row of a view file says; nil and what is wrong.
local function row_of(row)
  if type(row) ~= "table" or type(row.path) ~= "string" or row.path == "" then return nil, "has no path" end
  if not rectangle(row.bucket) then return nil, "has a bucket without a size" end
  if not rectangle(row.crop, 0) then return nil, "has a crop without a size or a place" end
  for _, key in ipairs { "caption", "trigger", "rejected", "verb" } do
    if not text_or_nil(row[key]) then return nil, ("has a %s that is no text"):format(key) end
  end
  if row.width ~= nil and not (whole(row.width, 1) and whole(row.height, 1)) then return nil, "has a size that is none" end
  if not images.is_picture(row.path) then return nil, ("is no picture: %s"):format(row.path) end
  return { out = row.caption, trigger = row.trigger, width = row.width, height = row.width and row.height, bucket = row.bucket, crop = row.crop,
    rejected_by = row.rejected and { reason = row.rejected, by = row.verb or "the recipe" } or nil }
end

local function of_view(path, bytes, place)
  local view = json.decode(bytes)
  if type(view) ~= "table" or view.calotype ~= "view" or type(view.pictures) ~= "table" then
    return nil, ("%s is no list of pictures that :preview wrote"):format(path), "FORMAT"
  end
  if view.pictures[1] == nil and json.encode(view.pictures) ~= "[]" then
    return nil, ("%s: its pictures are no list: write \"pictures\": [ { \"path\": \"a.jpg\" } ]"):format(path), "FORMAT"
  end
  if view.version ~= 1 then
    local version = type(view.version) == "number" and view.version or "that is no number"
    return nil, ("%s has version %s; this calotype reads 1: run the recipe again"):format(path, version), "FORMAT"
  end
  if #view.pictures > MOST_IN_VIEW then
    return nil, ("%s has %d pictures; a window shows at most %d"):format(path, #view.pictures, MOST_IN_VIEW), "LIMIT"
  end
  local paths, more, trigger = {}, {}, nil
  for i, row in ipairs(view.pictures) do
    local made, why = row_of(row)
    if not made then return nil, ("%s: picture %d %s"):format(path, i, why), "FORMAT" end
    if not more[row.path] then paths[#paths + 1] = row.path end
    more[row.path], trigger = made, trigger or made.trigger
    fs.grant(row.path:match "^(.*)/[^/]*$" or ".", "read")
  end
  return { kind = "view", place = place, title = type(view.title) == "string" and view.title or title_of(path), paths = paths, more = more,
    trigger = trigger }
end

local function of_view_file(path)
  local bytes, message, code = fs.read(path, 256 << 20)
  if not bytes then return nil, message, code end
  return of_view(path, bytes, place_of(path))
end

-- What :preview kept in the store.
local function of_preview(name, folder)
  local store, message, code = stores.open(folder)
  if not store then return nil, ("the store %s cannot be opened: %s"):format(folder, message), code end
  local text, stamp = preview.text(store, name), preview.stamp(store, name)
  store:close()
  if not text then return nil, ("nothing was previewed as %s: run the recipe, it needs :preview {}"):format(name), "NOTFOUND" end
  local found
  found, message, code = of_view(name, text, (place_of(".")) .. "#" .. preview.PREFIX .. name)
  if found then found.preview, found.stamp = name, stamp end
  return found, message, code
end

-- --- Recipes --------------------------------------------------------------------------------------------------------------------------

local RECORD = { "width", "height", "format", "orientation", "phash", "brightness", "entropy", "sharpness", "alpha", "gray", "thumb" }

local function of_item(item, bucket)
  local record = {}
  for _, key in ipairs(RECORD) do record[key] = item[key] end
  return { sha256 = item.sha256, width = item.width, height = item.height, record = item.width and record or nil, bucket = bucket,
    crop = bucket and buckets.crop(item.width, item.height, bucket) or nil,
    trigger = item.trigger, out = item.caption and not item.caption:find(asking.TO_COME, 1, true) and item.caption or nil }
end

local function of_recipe(path, options)
  local ok, sets = script.call(require("recipe.plan").sets, { file = path, params = options.params or {}, store = options.store, put = options.say })
  if not ok then
    local fault = sets
    return nil, type(fault) == "table" and fault.message or script.render(fault), type(fault) == "table" and fault.exit == 130 and "INTERRUPT" or "ARG", fault
  end
  local paths, more, trigger = {}, {}, nil
  local function add(item, made)
    local there = more[item.path]
    if not there then paths[#paths + 1] = item.path
    elseif there.bucket and not made.bucket then made.bucket, made.crop = there.bucket, there.crop end
    more[item.path] = made
    trigger = trigger or item.trigger
  end
  for _, set in ipairs(sets) do for _, item in ipairs(set.items) do add(item, of_item(item, sets.bucket_of[set](item))) end end
  for _, set in ipairs(sets) do
    for _, reject in ipairs(set.rejected) do
      local there = more[reject.item.path]
      if reject.verb ~= "window" and (not there or there.rejected_by) then
        local made = of_item(reject.item)
        made.rejected_by = { reason = reject.reason, by = reject.verb }
        add(reject.item, made)
      elseif not there then add(reject.item, of_item(reject.item)) end
    end
  end
  table.sort(paths)
  return { kind = "recipe", place = place_of(path), title = title_of(path), paths = paths, more = more, trigger = trigger, base = sets.base,
    run = sets.training and { key = sets.training, recipe = path } or nil }
end

-- --- Trainings ------------------------------------------------------------------------------------------------------------------------

-- A run's folder, or a LoRA's file: what it drew are the pictures.
local function of_run(path, file)
  local folder = path
  if file then folder = path:match "^(.*)/[^/]*$" or "." end
  local ok, message, code = fs.grant(folder, "read")
  if not ok then return nil, message, code end
  local known, paths, stem = runs.is_folder(folder), {}, file and path:match "([^/]+)%.[^.]+$"
  local samples = files.samples_folder(folder)
  local function take(list, wanted)
    for _, entry in ipairs(list or {}) do
      local name = entry.path:match "[^/]+$"
      if entry.kind == "file" and images.is_picture(name) and wanted(name) then paths[#paths + 1] = (entry.path:gsub("^%./", "")) end
    end
  end
  if known then take(fs.stat(samples) and fs.list(samples), function() return true end)
  elseif file then take(fs.list(folder), function(name) return name:sub(1, #stem) == stem end) end -- a picture of the LoRA, as people put it beside
  table.sort(paths)
  return { kind = "run", place = place_of(path), title = title_of(path), paths = paths, run = { folder = known and folder or nil, file = file and path } }
end

--- The pictures that are meant.
---@param what string|string[]
---@param options { recursive?: boolean, params?: table<string, string>, store?: string }
---@return table? found, string? message, string? code, table? fault of a recipe
function M.find(what, options)
  if type(what) == "table" then return of_list(what) end
  if what:sub(1, #preview.PREFIX) == preview.PREFIX then
    return of_preview(what:sub(#preview.PREFIX + 1), options.store or script.env "CALOTYPE_STORE" or ".calotype")
  end
  local ok, message, code = fs.grant(what, "read")
  local info = ok and fs.stat(what)
  if not info then
    if not ok and code ~= "NOTFOUND" then return nil, message, code end
    local near = fs.nearest(what)
    return nil, ("there is no %s%s"):format(what, near and ("; did you mean %s?"):format(near) or ""), "NOTFOUND"
  end
  if info.kind == "folder" then
    local folder = what:gsub("(.)/+$", "%1")
    if runs.is_folder(folder) then return of_run(folder) end
    return of_folder(folder, options)
  end
  local ending = (what:match "%.([^./]+)$" or ""):lower()
  if ending == "lua" then return of_recipe(what, options) end
  if ending == "safetensors" then return of_run(what, true) end
  if ending == "json" then return of_view_file(what) end
  if images.is_picture(what) then return of_list { what } end
  return nil, ("%s is no folder, recipe, picture, LoRA or view file"):format(what), "ARG"
end

-- --- Dropped files ----------------------------------------------------------------------------------------------------------------------

-- A number of .env; second: what is wrong with it.
local function limit(name, default)
  local value = services.setting(name)
  if not value or value == "" then return default end
  local number = tonumber(value)
  if number and number > 0 and number < math.huge then return number end
  return default, ("%s is '%s', which is no number above 0"):format(name, value)
end

-- A name in the folder that is free, together with that of its caption file. A caption file without a picture and with this very text was
-- left by a copy that was broken off: it is this picture's.
local function free_name(folder, name, text)
  local stem, ending = name:match "^(.+)(%.[^.]+)$"
  local n = 1
  while true do
    local path = ("%s/%s%s%s"):format(folder, stem, n > 1 and "-" .. n or "", ending)
    local first, second = state.file_names(path)
    local captions = fs.stat(first) and first or fs.stat(second) and second
    local taken = fs.stat(path) or captions and not (text and fs.read(captions, #text + 1) == text)
    for other in pairs(FORMATS) do taken = taken or fs.stat((path:gsub("%.[^.]+$", "." .. other))) end
    if not taken then return path end
    n = n + 1
  end
end

-- One picture into the folder, its caption file with it; nil and why not; third: the folder takes nothing, so that the next need not be read.
local function take_one(project, path, bytes_most, contents)
  local name = path:match "[^/]+$" or path
  if not images.is_picture(name) then return nil, "it is no picture: those are .jpg, .png, .webp, .bmp, .gif and .tif" end
  local info = fs.stat(path)
  if not info or info.kind ~= "file" then return nil, "it is not there, or no file" end
  if info.size > bytes_most then
    return nil, ("it has %.1f MB; the most is %g (VIEW_PICTURE_MB in .env)"):format(info.size / 1e6, bytes_most / 1e6)
  end
  local bytes, message = fs.read(path)
  if not bytes then return nil, message end
  local sha = hash.sha256(bytes)
  local there = project:of_content(sha)[1]
  local as = there and there.name or contents[sha]
  local named = not as and fs.stat(project.folder .. "/" .. name) -- one that nobody has read yet
  if named and named.size == #bytes and hash.file(project.folder .. "/" .. name) == sha then as = name end
  if as then return nil, ("it is here already, as %s"):format(as) end
  local picture, why = image.decode(bytes, name)
  if not picture then return nil, (why:gsub("^" .. name:gsub("%W", "%%%0") .. ": ", "")) end
  local caption = state.stat(path)
  local text = caption and caption.size <= 1 << 20 and fs.read(caption.path)
  local to = free_name(project.folder, name, text)
  local ok
  ok, message = fs.grant(project.folder, "write")
  if ok and text then ok, message = fs.write((to:gsub("%.[^.]+$", caption.path:match "%.[^.]+$")), text) end -- first: a picture is whole when it is there
  if ok then ok, message = fs.write(to, bytes) end
  if not ok then return nil, message, true end
  contents[sha] = to:match "[^/]+$"
  return to
end

--- The pictures among these files and in these folders; nothing is read yet but lists of names.
---@param project table
---@param paths string[]
---@return string[] found, { path: string, why: string }[] refused
function M.expand(project, paths)
  local refused, list = {}, {}
  local function refuse(path, why) refused[#refused + 1] = { path = path, why = why } end
  local most, wrong = limit("VIEW_PICTURES", 10000)
  local _, wrong_size = limit("VIEW_PICTURE_MB", 100)
  wrong = wrong or wrong_size
  if project.kind ~= "folder" or wrong then
    for _, path in ipairs(paths) do
      refuse(path, wrong or project.kind == "recipe" and "a recipe's pictures are those it names: put it into one of its folders"
        or "pictures are added to a folder that is open")
    end
    return list, refused
  end
  local granted = {}
  for _, path in ipairs(paths) do
    local ok, message = fs.grant(path, "read")
    local folder = path:match "^(.+)/[^/]*$" or "."
    if not granted[folder] then granted[folder] = fs.grant(folder, "read") end -- its caption file
    local info = ok and fs.stat(path)
    if not info then refuse(path, message or "it cannot be read")
    elseif info.kind == "folder" then
      local found = of_folder(path, {})
      if not found or #found.paths == 0 then refuse(path, found and found.empty or "it cannot be read")
      elseif found.place == place_of(project.folder) then refuse(path, "it is open already")
      else table.move(found.paths, 1, #found.paths, #list + 1, list) end
    else list[#list + 1] = path end
  end
  for i = #list, most + 1, -1 do
    refuse(list[i], ("%d pictures are the most at a time (VIEW_PICTURES in .env)"):format(most))
    list[i] = nil
  end
  return list, refused
end

--- What is to be said before they are copied where the disk has not the room for all of them: nil where it has.
---@param project table
---@param list string[]
---@return string? words
function M.tight(project, list)
  local bytes, free = 0, project.folder and hubs.room(project.folder)
  for _, path in ipairs(list) do
    local info = fs.stat(path)
    bytes = bytes + (info and info.size or 0)
  end
  if not free or bytes <= free then return nil end
  return ("They have %.1f MB, and only %.1f MB are free there: not all of them will fit."):format(bytes / 1e6, free / 1e6)
end

--- Copies of these pictures in the project's own folder, one in each call of `next`; false when there is none left.
---@param project table
---@param list string[]
---@return { taken: string[], refused: { path: string, why: string }[], at: integer, list: string[], next: fun(): boolean }
function M.taking(project, list)
  local job = { taken = {}, refused = {}, at = 0, list = list, names = {} }
  local bytes_most = limit("VIEW_PICTURE_MB", 100) * 1e6
  function job.next()
    if job.at >= #list then return false end
    job.at = job.at + 1
    local to, why, closed = take_one(project, list[job.at], bytes_most, job.names)
    if to then job.taken[#job.taken + 1] = to else job.refused[#job.refused + 1] = { path = list[job.at], why = why } end
    if closed then -- a full disk, a folder that is read-only: so it is with the rest, which is not read for that
      for i = job.at + 1, #list do job.refused[#job.refused + 1] = { path = list[i], why = "not tried: " .. why } end
      job.at = #list
    end
    return job.at < #list
  end
  return job
end

return M
