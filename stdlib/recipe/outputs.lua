-- outputs.lua - files that sinks write: not again when nothing changed, and never half of them.
--
--   if outputs.unchanged(context, "out/a.zip", key) then return end
--   ... write ...
--   outputs.record(context, "out/a.zip", key, { "out/a.zip" })
--
-- A file counts as unchanged when it has the size and the time that it had after we wrote it.
local fs = require "native.fs"
local json = require "native.json"
local size_text = require "size_text"
local trigger = require "recipe.trigger"

local M = {}

-- Pictures that are written into a folder that is read would be input pictures of the next run.
local function check_not_among_inputs(state, key, path, folder)
  local stage = require "recipe.stage"
  local target = fs.absolute(folder and path or path:match "^(.*)/[^/]*$" or ".")
  for _, step in ipairs(stage.lineage(state.self)) do
    local from = stage.state(step)
    for _, source in ipairs(from.verb.name == "images" and from.options.from or {}) do
      local root = fs.absolute(source)
      if target == root or (from.options.recursive and target and root and (target .. "/"):sub(1, #root + 1) == root .. "/") then
        state.session:fail(state.at, ("%s would lie among the input pictures of %s"):format(path, source),
          { key = key, value = true, hint = "write it elsewhere, or the next run takes it for an input" })
      end
    end
  end
end

--- The path of an output as the recipe meant it, checked while the recipe is read: [trigger] filled in, writing permitted.
--- `folder`: a folder is written; `pictures`: there will be pictures in it.
function M.declare(state, key, folder, pictures)
  local session, path = state.session, state.options[key]
  if not path then return nil end
  path = trigger.filled(state, path, ("option '%s' of :%s"):format(key, state.verb.name), { key = key, value = true }, true)
  state.options[key] = path
  session:permit(path, "write", state.at, key, folder)
  if pictures then check_not_among_inputs(state, key, path, folder) end
  local info = fs.stat(path)
  if info and (info.kind == "folder") ~= (folder or false) then
    session:fail(state.at, ("%s is a %s, and :%s writes a %s there"):format(path, info.kind, state.verb.name, folder and "folder" or "file"),
      { key = key, value = true, hint = folder and "name a folder" or "name the file, with its folder" })
  end
  session:output(path, state)
  return path
end

local function same_file(row)
  local info = fs.stat(row.path)
  return info and info.size == row.size and tostring(info.mtime_ns) == row.mtime_ns
end

local function read_record(context, path)
  local text = context.store():get("output", fs.absolute(path) or path)
  return text and json.decode(text)
end

--- True (and said) when the output was made from the same things and lies there as we left it.
function M.unchanged(context, path, key)
  local record = read_record(context, path)
  if not record or record.key ~= key or context.session.fresh then return false end
  local size = 0
  for _, row in ipairs(record.files) do
    if not same_file(row) then return false end
    size = size + row.size
  end
  context.account(("%s unchanged, %s"):format(path, size_text(size)))
  context.session:wrote(path, size, false)
  return true
end

-- Folders between `path` and a file in it that have become empty go; `path` itself stays.
local function remove_empty(path, file)
  local folder = file:match "^(.*)/[^/]*$"
  while folder and #folder > #path and folder:sub(1, #path + 1) == path .. "/" and fs.remove_folder(folder) do
    folder = folder:match "^(.*)/[^/]*$"
  end
end

--- Files that belong together in the folder `path`. When one cannot be written, or the run is stopped, those that were not there before
--- go again: nobody takes half of them for the whole.
---   local bundle = outputs.bundle(context, "out/k")
---   bundle.write("out/k/a.txt", "words")
---   outputs.record(context, "out/k", key, bundle.files)
---@param path string
---@return { files: string[], write: fun(file: string, bytes: string), fail: fun(message: string, more: table) }
function M.bundle(context, path)
  local bundle, new, there = { files = {} }, {}, fs.stat(path) ~= nil
  --- End the run, with nothing new left behind.
  function bundle.fail(message, more)
    for _, file in ipairs(new) do
      fs.remove(file)
      remove_empty(path, file)
    end
    if not there then fs.remove_folder(path) end
    context.fail(message, more)
  end
  function bundle.write(file, bytes)
    local before = fs.stat(file)
    if not before or before.size ~= #bytes or fs.read(file) ~= bytes then
      local ok, message, code = fs.write(file, bytes)
      if not ok then bundle.fail(("%s was not written"):format(file), { hint = message, code = code }) end
      if not before then new[#new + 1] = file end
    end
    bundle.files[#bundle.files + 1] = file
  end
  return bundle
end

--- Remember what was written. Files of the last time that are no longer part of it, and that nobody touched since, go, and the folders
--- that are empty then.
function M.record(context, path, key, files, note)
  local before, rows, now, size = read_record(context, path), {}, {}, 0
  for i, file in ipairs(files) do
    local info, message, code = fs.stat(file)
    if not info then context.fail(("%s is gone after it was written"):format(file), { hint = message, code = code }) end
    rows[i] = { path = file, size = info.size, mtime_ns = tostring(info.mtime_ns) } -- too large for a number in JSON
    now[file], size = true, size + info.size
  end
  for _, row in ipairs(before and before.files or {}) do
    if not now[row.path] and same_file(row) and fs.remove(row.path) then remove_empty(path, row.path) end
  end
  context.store():put("output", fs.absolute(path) or path, json.encode { key = key, files = json.array(rows) })
  context.account(("%s written, %s%s"):format(path, size_text(size), note and ": " .. note or ""))
  context.session:wrote(path, size, true)
end

--- fs.write that ends the run when it fails.
function M.write(context, path, bytes)
  local ok, message, code = fs.write(path, bytes)
  if not ok then context.fail(("%s was not written"):format(path), { hint = message, code = code }) end
end

return M
