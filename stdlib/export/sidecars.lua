-- sidecars.lua - captions as name.txt: beside the input pictures (staged, then renamed together), or with copies of the pictures in a folder.
local dataset = require "native.dataset"
local fs = require "native.fs"
local folder = require "export.folder"
local hash = require "native.hash"
local json = require "native.json"
local pictures = require "export.pictures"
local script = require "native.script"
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

-- What a run that was killed here left beside the caption files of these pictures goes.
local function sweep(taken)
  local seen = {}
  for path in pairs(taken) do
    local place = path:match "^(.*)/[^/]*$" or "."
    for _, entry in ipairs(not seen[place] and fs.list(place) or {}) do
      local name = entry.path:match "([^/]*)$"
      local meant = name:match "^%.(.+)%.%d+%-%d+%.tmp$"
      if meant and taken[entry.path:sub(1, -#name - 1) .. meant] then fs.remove_left(entry.path) end
    end
    seen[place] = true
  end
end

-- Caption files that become new together: { item, path, text, staged }. Where one cannot be written, or the run is stopped, none is.
local function stage_all(context, jobs)
  local function drop(message, more)
    for _, job in ipairs(jobs) do if job.staged then fs.remove(job.staged) end end
    context.fail(message, more)
  end
  for _, job in ipairs(jobs) do
    if script.interrupted() > 0 then drop("stopped; no caption file was changed", { exit = 130 }) end
    local message, code
    job.staged, message, code = fs.stage(job.path, job.text)
    if not job.staged then
      drop(("%s was not written%s"):format(job.path, #jobs > 1 and (", and none of the %d is changed"):format(#jobs) or ""), { hint = message, code = code })
    end
  end
  return drop
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
  sweep(taken)
  local jobs, same, bytes, others = {}, 0, 0, {}
  local stood = context.session.stood or {}
  local function anothers(item) return stood[item.path] ~= nil and not as_it_stood(item, stood[item.path]) end
  for i, item in ipairs(items) do
    local path = sidecar_path(item)
    bytes = bytes + #captions[i]
    local there = fs.read(path)
    if there == captions[i] then same = same + 1
    elseif anothers(item) then others[#others + 1] = path
    else jobs[#jobs + 1] = { item = item, path = path, text = captions[i], replaces = there ~= nil }
    end
  end
  local drop = stage_all(context, jobs)
  local written, replaced = 0, 0
  for _, job in ipairs(jobs) do
    local item = job.item
    if anothers(item) then
      others[#others + 1] = job.path
      fs.remove(job.staged)
    else
      -- noted first: a sidecar that we wrote must never be taken for a person's
      if not (item.caption_by and item.caption_by.author == "human") then
        local existing = item.caption_by and item.caption_by.existing -- a person's words that went into it
        store:put("sidecar", item.sha256 .. ":" .. hash.sha256((job.text:gsub("\n$", ""))), existing and json.encode { existing = existing } or "1")
      end
      local ok, message, code = fs.rename(job.staged, job.path)
      if not ok then drop(("%s was not written; %d of %d others are"):format(job.path, written, #jobs - 1), { hint = message, code = code }) end
      stood[item.path] = job.text:gsub("\n+$", "")
      written, replaced = written + 1, replaced + (job.replaces and 1 or 0)
    end
    job.staged = nil
    if script.interrupted() > 1 then drop(("stopped; %d of %d caption files are written"):format(written, #jobs), { exit = 130 }) end
  end
  if #others > 0 then
    context.warn(("%s%s changed while this ran, and %s as it is now; run it again, and it is used"):format(others[1],
      #others > 1 and (" and %s more were"):format(#others - 1) or " was", #others > 1 and "each stays" or "stays"))
  end
  local text = written == 0 and ("%s beside the pictures, all unchanged"):format(set.count(same, "caption"))
    or ("%s written beside the pictures%s%s%s"):format(set.count(written, "caption"), replaced > 0 and (", %d in place of another"):format(replaced) or "",
      same > 0 and (", %d unchanged"):format(same) or "", mended > 0 and (", trigger set right in %d"):format(mended) or "")
  context.account(text)
  context.session:wrote("captions beside the pictures", bytes, written > 0)
end

function M.write(context, options, input, key)
  if options.beside then return write_beside(context, options, input.items) end
  folder.write(context, options, input, key, function() return "" end)
end

return M
