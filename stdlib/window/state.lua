-- state.lua - the text that a picture has now: what stands beside it, else what is in force in the store.
--
--   local now = state.read(store, item)                 --> { text, row?, file? }, or nil, message, code (a caption file that is no text)
--   state.show(item, now)                               -- item.caption, item.by, item.sidecar
--   state.take_up(store, item, now)                     -- a person's words in the file that the store has not: they become a row
--
-- The file's text counts as it stands there, letter by letter; rows have it as it was meant (caption/tags.lua, meant). An empty file is no
-- caption, as for recipes.
local beside = require "captions.beside"
local fs = require "native.fs"
local tags = require "caption.tags"

local M = {}

local ENDINGS = { ".txt", ".caption" }

--- A path as JSON can have it; nil where the name is no UTF-8: such a picture is known by its content alone.
---@param path string
---@return string?
function M.word(path) return utf8.len(path) and path or nil end

--- The names that a picture's caption file may have, the first is the one that is made.
function M.file_names(path)
  local base = path:gsub("%.[^./]+$", "")
  return base .. ENDINGS[1], base .. ENDINGS[2]
end

--- The caption file's path, size and time; nil when there is none.
---@param stat? fun(path: string): table?
function M.stat(path, stat)
  local first, second = M.file_names(path)
  stat = stat or fs.stat
  local info = stat(first)
  if info and info.kind == "file" then return { path = first, size = info.size, mtime_ns = info.mtime_ns } end
  info = stat(second)
  if info and info.kind == "file" then return { path = second, size = info.size, mtime_ns = info.mtime_ns } end
end

--- Refused with a fourth value, the look at the caption file, when it is that file which is no text; without one it was the store.
--- `known.row`: the row in force (false: none), `known.stat`: of the caption file (false: none), where they were read already.
---@return { text: string, row?: table, file?: { path: string, text: string, ours: boolean, size: integer, mtime_ns: integer } }?, string?, string?
function M.read(store, item, known)
  local row, stat
  if known then row, stat = known.row or nil, known.stat or nil
  else
    -- looked at before it is read: what changes in between has another time, and is found the next time
    stat = M.stat(item.path)
    local message, code
    if item.sha256 then row, message, code = store:caption_in_force(item.sha256) end
    if message then return nil, message, code end
  end
  local file
  if stat then
    local message, code
    file, message, code = require("native.dataset").sidecar(item.path)
    if code then return nil, message, code, stat end
    if file then
      file.size, file.mtime_ns = stat.size, stat.mtime_ns
      local same = row and row.author == "human" and row.text == file.text
      file.ours = not same and item.sha256 ~= nil and file.text:find "%S" ~= nil and beside.ours(store, item.sha256, file.text)
    end
  end
  local text = file and file.text:find "%S" and file.text or row and row.text or ""
  return { text = text, row = row, file = file }
end

local function by_of(now)
  local row, file = now.row, now.file
  if not now.text:find "%S" then return nil end
  local from_file = file and file.text:find "%S"
  if row and (not from_file or row.text == file.text or row.text == tags.meant(file.text)) or row and file.ours then
    return { author = row.author, provider = row.provider, model = row.model ~= "" and row.model or nil }
  end
  return { author = file.ours and "model" or "human", provider = "sidecar" }
end

--- What is remembered of a caption file. `young`: two writes in one tick of the system's clock leave the same time, so that a file that was
--- written just now is to be read again, not only looked at.
---@return { path: string, size: integer, mtime_ns: integer, young?: boolean }
function M.sidecar(file)
  local age = os.time() - (file.mtime_ns or 0) // 1000000000 -- a clock that was put back makes files of the future: those are not young for years
  return { path = file.path, size = file.size, mtime_ns = file.mtime_ns, young = math.abs(age) < 2 or nil }
end

--- What was read becomes what is shown. True when that is something else than before.
---@return boolean
function M.show(item, now)
  local before, author = item.caption, item.by and item.by.author
  item.caption, item.by, item.row = now.text, by_of(now), now.row and now.row.id or nil
  local file = now.file
  item.sidecar = file and M.sidecar(file) or nil
  return before ~= item.caption or author ~= (item.by and item.by.author)
end

--- The caption file cannot be read as text: it is left alone, and why is shown.
function M.show_error(item, message, stat)
  item.caption, item.by = item.caption or "", nil
  item.sidecar = M.sidecar(stat)
  item.sidecar.error = message
end

--- The new row is the one in force. Nil and why when the store took it not: the words stay in the file, and are taken up the next time.
---@return boolean? noted, string? message, string? code
function M.take_up(store, item, now, twice)
  if not now.file or not item.sha256 then return false end
  local row = now.row
  if row and row.author == "human" and (row.text == now.file.text or row.text == tags.meant(now.file.text)) then return false end
  local ok
  ok, row = pcall(beside.note, store, item.sha256, now.file, twice)
  if not ok and type(row) == "table" and row.message and row.code then return nil, row.message, row.code end
  if not ok then error(row, 0) end
  if row then now.row = row end
  return row ~= nil
end

return M
