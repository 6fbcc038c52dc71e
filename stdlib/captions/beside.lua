-- beside.lua - the caption file beside a picture, and whose words stand in it: what `captions undo` and the window share.
--
--   local file, message, code = beside.read(store, sha, "photos/cat.jpg")   --> { path, text, ours } | nil; the folder is granted by the caller
--   beside.note(store, sha, file)                        -- a person's words that no run has seen yet become a row, so that they are not lost
--   beside.mark(store, sha, row, text)                   -- before a model's text goes into the file: it is never taken for a person's
--   beside.write(file.path, text)                        --> true | nil, message, code
--
-- A file that a run wrote is known by its text. Everything else that stands beside a picture is a person's.
local dataset = require "native.dataset"
local fs = require "native.fs"
local hash = require "native.hash"
local history = require "recipe.history"
local json = require "native.json"
local tags = require "caption.tags"

local M = {}

local function name(sha, text) return sha .. ":" .. hash.sha256(text) end

--- Whether a run (or an undo) wrote this text into the file of this picture.
function M.ours(store, sha, text) return store:get("sidecar", name(sha, text)) ~= nil end

--- The caption file; nil alone when there is none. `text` is what stands in it, without line ends at its end.
---@return { path: string, text: string, ours: boolean }? file, string? message, string? code
function M.read(store, sha, path)
  local file, message, code = dataset.sidecar(path)
  if code then return nil, message, code end
  if file then file.ours = M.ours(store, sha, file.text) end
  return file
end

--- A person's words in the file as a row of the history, where they are in none; the row that was added.
---@param file { text: string, ours: boolean }
---@param twice? boolean copies of the picture have files of their own
---@return table? row
function M.note(store, sha, file, twice)
  local text = tags.meant(file.text)
  if file.ours or not text:find "%S" or history.of_person(store, sha, text, twice) then return nil end
  local row = history.row_of_person(sha, text)
  local id, message, code = store:add_caption(row)
  if not id then error { message = message, code = code } end
  row.id = id
  return row
end

--- A person's words that a caption was put after or before; nil when it was not.
---@param row table
---@return string?
function M.existing(row)
  local detail = json.decode(row.detail or "")
  for _, part in ipairs(type(detail) == "table" and detail.parts or {}) do
    if part.author == "human" then return part.text end
  end
end

--- A text that is no person's, about to be written.
---@return boolean? ok, string? message, string? code
function M.mark(store, sha, row, text)
  local words = M.existing(row)
  return store:put("sidecar", name(sha, text), words and json.encode { existing = words } or "1")
end

--- The file, whole or as it was.
---@return boolean? ok, string? message, string? code
function M.write(path, text)
  local ok, message, code = fs.grant(path:match "^(.*)/[^/]*$" or ".", "write")
  if ok then ok, message, code = fs.write(path, text .. "\n") end
  if not ok and not message:find(path, 1, true) then message = ("%s: %s"):format(path, message) end
  return ok, message, code
end

return M
