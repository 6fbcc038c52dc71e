local dataset = require "native.dataset"
local fs = require "native.fs"
local hash = require "native.hash"
local history = require "recipe.history"
local json = require "native.json"
local sessions = require "recipe.session"
local set = require "recipe.set"
local tags = require "caption.tags"

-- What the decoder reads; other files in a folder are counted and left alone.
local PICTURES = { jpg = true, jpeg = true, png = true, webp = true, bmp = true, gif = true, tif = true, tiff = true }

-- What people take for pictures and no decoder here reads.
local CONVERT = { heic = "HEIC", heif = "HEIC", avif = "AVIF", jxl = "JPEG XL", cr2 = "raw", cr3 = "raw", nef = "raw", arw = "raw", dng = "raw", psd = "PSD" }

-- Name, stem and extension. Bytes of a name that are no UTF-8, and control characters, are shown as marks; the path keeps them.
local function split_name(path)
  local name = path:match "[^/]+$" or path
  while not utf8.len(name) do
    local _, bad = utf8.len(name)
    name = name:sub(1, bad - 1) .. "\u{FFFD}" .. name:sub(bad + 1)
  end
  name = name:gsub("%c", "\u{FFFD}")
  local stem, extension = name:match "^(.+)%.([^.]+)$"
  return name, stem or name, (extension or ""):lower()
end

local function hidden(path) -- below the folder that was named: dot files, and what macOS puts into zips
  return path:find "/%.[^/]*" ~= nil or path:find("/__MACOSX/", 1, true) ~= nil
end

-- { heic = 2, mov = 1 } -> "2 .heic, 1 .mov (HEIC is not read: convert to JPEG)"
local function others_text(others)
  local list, parts, convert = {}, {}, nil
  for extension in pairs(others) do list[#list + 1] = extension end
  table.sort(list, function(a, b)
    if others[a] ~= others[b] then return others[a] > others[b] end
    return a < b
  end)
  for i, extension in ipairs(list) do
    convert = convert or CONVERT[extension]
    if i > 4 and #list > 5 then
      parts[#parts + 1] = ("%d more kinds"):format(#list - 4)
      break
    end
    parts[i] = ("%d %s"):format(others[extension], extension == "" and "without an ending" or "." .. extension)
  end
  return table.concat(parts, ", ") .. (convert and (" (%s is not read: convert to JPEG)"):format(convert) or "")
end

-- Picture files of one source, sorted by path; second: how many files were something else, by their endings.
local function find(source, recursive, fail)
  local info, message, code = fs.stat(source)
  if not info then
    -- What is not there is not granted either: that is no refusal.
    if code == "DENIED" then code = select(3, fs.grant(source, "read")) or code end
    if code == "NOTFOUND" then
      local near = fs.nearest(source)
      message, code = near and ("did you mean %q?"):format(near)
        or "relative paths start in the folder you are in; those beside the recipe's file are written here \"photos\"", nil
    end
    fail(("there is no folder or picture %s"):format(source), message, code, source)
  end
  if info.kind == "file" then return { source }, {} end
  local list, problem, problem_code = fs.list(source, recursive)
  if not list then fail(("the folder %s cannot be read"):format(source), problem, problem_code, source) end
  local pictures, others, folders, captions = {}, {}, 0, 0
  for _, entry in ipairs(list) do
    local below = "/" .. entry.path:sub(#source:gsub("/+$", "") + 1):gsub("^/+", "")
    if entry.kind == "folder" then
      folders = folders + 1
    elseif not hidden(below) then -- what is neither file nor folder, or a link that leads nowhere, becomes a reject with that reason
      local _, _, extension = split_name(entry.path)
      if PICTURES[extension] then pictures[#pictures + 1] = entry.path
      elseif extension == "txt" or extension == "caption" then captions = captions + 1
      else others[extension] = (others[extension] or 0) + 1 end
    end
  end
  if #pictures == 0 then
    local what, count = "it is empty", 0
    for _, n in pairs(others) do count = count + n end
    if count > 0 then what = ("it holds %s that no picture decoder reads: %s"):format(set.count(count, "file"), others_text(others))
    elseif folders > 0 then what = "it holds only folders"
    elseif captions > 0 then what = ("it holds %s and no picture"):format(set.count(captions, "caption file")) end
    fail(("the folder %s has no pictures: %s"):format(source, what),
      folders > 0 and not recursive and ("its %s are read too with images { %q, recursive = true }"):format(set.count(folders, "folder"), source)
        or "pictures are .jpg, .png, .webp, .bmp, .gif and .tif", nil, source)
  end
  return pictures, others
end

-- Two pictures that would share one caption file: nobody can tell whose it is.
local function check_shared_sidecars(paths, fail)
  local seen = {}
  for _, path in ipairs(paths) do
    local base = path:gsub("%.[^./]+$", "")
    local other = seen[base]
    if other and fs.stat(base .. ".txt") then
      fail(("%s and %s share the caption file %s.txt"):format(other, path, base), "rename one of the pictures, so that each has its own caption", nil)
    end
    seen[base] = path
  end
end

local M = {
  name = "images", version = 1, positional = "from",
  doc = "The pictures of folders, in the order of their names. Captions beside them (name.txt) come along. Files that are no pictures "
    .. "are left alone; a picture that cannot be read is rejected with the decoder's reason.",
  example = 'images "photos"',
  options = {
    { "from", "list", of = "folder", required = true, doc = "folders, or single picture files" },
    { "recursive", "boolean", default = false, doc = "read the folders below them too" },
  },
}

M.find = find

--- Whether a file of that name is taken for a picture.
---@param name string
function M.is_picture(name) return PICTURES[select(3, split_name(name))] or false end

function M.label(options) return "images " .. table.concat(options.from, ", ") end

function M.declare(state)
  local session = state.session
  if #state.options.from == 0 then session:fail(state.at, "images needs a folder", { hint = 'images "photos"' }) end
  for _, source in ipairs(state.options.from) do
    session:permit(source, "read", state.at)
    local info = fs.stat(source)
    for _, ending in ipairs(info and info.kind == "file" and { ".txt", ".caption" } or {}) do -- the words of a picture named by itself
      local beside = source:gsub("%.[^./]+$", "") .. ending
      if session:allowed(beside, "read") then fs.grant(beside, "read") end
    end
    local found = find(source, state.options.recursive, function(message, hint, code, text)
      session:fail(state.at, message, { hint = hint, code = code, text = text, world = true })
    end)
    state.pictures = table.move(found, 1, #found, #(state.pictures or {}) + 1, state.pictures or {}) -- as they are now, for `check`
  end
end

--- The item that a record of dataset.scan stands for.
---@return calotype.item
function M.item(path, record)
  local name, stem, extension = split_name(path)
  local item = record
  item.path, item.name, item.stem, item.extension = path, name, stem, extension
  item.weight, item.steps = 1, {}
  local b = item.brightness
  if b and b[1] then item.brightness = { p1 = b[1], p5 = b[2], p50 = b[3], p95 = b[4], p99 = b[5] } end
  return item
end

-- All picture files that are meant; and how many files are something else: by their endings, and together.
local function find_all(options, fail)
  local paths, others, other_count = {}, {}, 0
  for _, source in ipairs(options.from) do
    local found, other = find(source, options.recursive, fail)
    table.move(found, 1, #found, #paths + 1, paths)
    for extension, count in pairs(other) do
      others[extension], other_count = (others[extension] or 0) + count, other_count + count
    end
  end
  return paths, others, other_count
end

-- What records have in common while they become items: how many files each content has, and what people said in the window.
local function reading_of(context, records, fail)
  local store, copies, shas = context.store(), {}, {}
  for _, record in ipairs(records) do
    if record.sha256 then
      copies[record.sha256] = (copies[record.sha256] or 0) + 1
      shas[#shas + 1] = record.sha256
    end
  end
  return { session = context.session, store = store, fail = fail, copies = copies, rejects = store:marks "reject",
    rows = store:texts(shas), by_people = {}, noted = {}, captions = 0, written = 0, rejected = 0 }
end

-- A person's caption beside a picture is noted in the store, each text of a content once. Gives the item its row.
local function note_person(reading, item)
  local sha, seen = item.sha256, reading.noted[item.sha256] or {}
  if not seen[item.caption] then
    local last = history.of_person(reading.store, sha, item.caption, reading.copies[sha] > 1)
    if not last then table.insert(reading.by_people, history.row_of_person(sha, item.caption)) end
    seen[item.caption], reading.noted[sha] = last or { in_force = true }, seen
  end
  item.caption_by.id, item.caption_by.in_force = seen[item.caption].id, seen[item.caption].in_force
end

-- The caption file beside a picture. One that we wrote there ourselves is not a person's, unless a person changed it since.
local function take_beside(reading, item)
  local sidecar, message, refusal = dataset.sidecar(item.path)
  if refusal then
    reading.fail(message, refusal == "LIMIT" and "a caption is a sentence or two: is this another file?"
      or "save the caption file as UTF-8, or remove it", refusal)
  end
  reading.session.stood[item.path] = sidecar and sidecar.text or false
  if not (sidecar and sidecar.text:find "%S") then return end
  local ours = reading.store:get("sidecar", item.sha256 .. ":" .. hash.sha256(sidecar.text))
  local marked = ours and json.decode(ours)
  item.caption = tags.meant(sidecar.text)
  item.caption_by = { author = ours and "model" or "human", provider = "sidecar", path = sidecar.path,
    existing = type(marked) == "table" and marked.existing or nil }
  reading.captions = reading.captions + 1
  if not ours then note_person(reading, item) end
end

-- What was written in the window and stands in no file, or in one that a recipe dressed since.
local function take_written(reading, item)
  local row = reading.rows[item.sha256]
  reading.session.began[item.sha256] = row and row.id or false
  if row and row.author == "human" and row.provider == "window" and row.text:find "%S"
    and not (item.caption_by and item.caption_by.author == "human") then
    item.caption = tags.meant(row.text)
    item.caption_by = { author = "human", provider = "window", id = row.id, in_force = true }
    reading.written = reading.written + 1
  end
end

local function warn_of_profiles(context, items)
  local first, count = nil, 0
  for _, item in ipairs(items) do if item.profile then first, count = first or item, count + 1 end end
  if first then
    context.warn(("%s has the colour profile \"%s\"%s; colours are taken as sRGB"):format(first.path, first.profile,
      count > 1 and (", %d more have one that is not sRGB"):format(count - 1) or ""))
  end
end

-- "5 pictures: 2 new, 3 known; 2 captions beside them": the counts of pictures add up to all files.
local function account_of(reading, all, did, bad, unreadable)
  local new, known, parts = did.new, all - bad - did.new, {}
  if new > 0 then parts[#parts + 1] = ("%d new"):format(new) end
  if known > 0 then parts[#parts + 1] = ("%d %s"):format(known, new > 0 and did.hashed == all and "with known content" or "known") end
  if bad > 0 then
    parts[#parts + 1] = ("%d unreadable (%s%s: %s)"):format(bad, bad > 1 and "first " or "", unreadable.item.name, unreadable.reason)
  end
  local text = set.count(all) .. ": " .. table.concat(parts, ", ")
  if #parts == 1 and bad == 0 then text = ("%s, all %s"):format(set.count(all), new > 0 and "new" or "known") end
  if new == 0 and did.hashed > 0 and known > 0 then text = ("%s (%d read again)"):format(text, did.hashed) end
  if reading.rejected > 0 then text = ("%s; %d rejected in the window"):format(text, reading.rejected) end
  if reading.written > 0 then text = ("%s; %s written in the window"):format(text, set.count(reading.written, "caption")) end
  if reading.captions > 0 then text = ("%s; %s beside them"):format(text, set.count(reading.captions, "caption")) end
  return text
end

function M.run(context, options)
  local function fail(message, hint, code) context.fail(message, { hint = hint, code = code }) end
  local paths, others, other_count = find_all(options, fail)
  check_shared_sidecars(paths, fail)
  local records, did, code = dataset.scan(sessions.native_store(context.store()), paths, { label = M.label(options) })
  if not records then fail(did, nil, code) end
  local reading, out, unreadable = reading_of(context, records, fail), set.new {}, nil
  local function reject(item, verb, reason)
    local row = { item = item, verb = verb, reason = reason, line = context.line }
    out.rejected[#out.rejected + 1] = row
    return row
  end
  for i, record in ipairs(records) do
    local item = M.item(paths[i], record)
    if record.error then
      if record.error:sub(1, #paths[i] + 2) == paths[i] .. ": " then record.error = record.error:sub(#paths[i] + 3) end
      local row = reject(item, "images", record.error)
      unreadable = unreadable or row
    elseif reading.rejects[item.sha256] then
      reading.rejected = reading.rejected + 1
      reject(item, "window", reading.rejects[item.sha256])
    else
      take_beside(reading, item)
      take_written(reading, item)
      out.items[#out.items + 1] = item
    end
  end
  if #reading.by_people > 0 then
    reading.store:batch(function() for _, row in ipairs(reading.by_people) do reading.store:add_caption(row) end end)
  end
  warn_of_profiles(context, out.items)
  local text = account_of(reading, #paths, did, #out.rejected - reading.rejected, unreadable)
  if other_count > 0 then text = ("%s; %s left alone: %s"):format(text, set.count(other_count, "other file"), others_text(others)) end
  context.account(text)
  return out
end

return M
