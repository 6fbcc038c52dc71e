-- entries.lua - what a step of changes is made of, as the store keeps it in the `detail` of an action.
--
--   An entry: { path, sha, from = { row?, file? }, to = { row?, file? } }: a picture's two sides, before and after.
--     row: id of a caption in the store (absent: none)
--     file: what the caption file has: absent (there is none), true (the row's text) or its own text
--   Of marks: { path, sha, mark = "star"|"reject", from?, to? }: the mark's value before and after.
--
--   entries.side(now)                                     --> a side from what state.read found
--   entries.text_on(entry.from, store:captions(sha))      --> the text that it stands for
--   for _, entry in ipairs(entries.of_action(row)) do local item = entries.picture_of(project, entry) end
local json = require "native.json"
local trim = require "caption.trim"

local M = {}

local LONGEST = 1 << 20 -- bytes, as a caption file may have

--- As a caption is kept: no line ends at its end, no bytes that a text has not.
function M.text_of(text)
  if #text > 4 * LONGEST then return nil, ("this text has %d bytes; a caption has at most %d"):format(#text, LONGEST - 1), "LIMIT" end
  if not utf8.len(text) then return nil, "this text is not UTF-8", "FORMAT" end
  if text:find "\0" then return nil, "this text has a NUL byte", "FORMAT" end
  text = trim.right(text:gsub("\r\n?", "\n"):gsub("^\u{FEFF}", ""), "\n")
  if #text > LONGEST - 1 then return nil, ("this text has %d bytes; a caption has at most %d"):format(#text, LONGEST - 1), "LIMIT" end
  return text
end

--- What is there now, as an entry has it.
function M.side(now)
  local file = now.file and now.file.text
  if file and now.row and now.row.text == file then file = true end
  return { row = now.row and now.row.id or nil, file = file }
end

function M.row_by_id(rows, id)
  for _, row in ipairs(rows) do if row.id == id then return row end end
end

--- The text that a side stands for: its file's, else its row's; "" for none. `rows`: all of the picture's.
function M.text_on(side, rows)
  local row = side.row and M.row_by_id(rows, side.row)
  local text = row and row.text or ""
  if type(side.file) == "string" and side.file:find "%S" then return side.file end
  return text
end

--- What the caption file has on a side; nil where it has none.
function M.file_text(side, rows)
  if type(side.file) == "string" then return side.file end
  local row = side.file and side.row and M.row_by_id(rows, side.row)
  return side.file and (row and row.text or "") or nil
end

--- The entries of a row of the store's actions.
function M.of_action(action)
  local detail = json.decode(action.detail)
  return type(detail) == "table" and type(detail.entries) == "table" and detail.entries or {}
end

--- A mark's value out of JSON.
function M.plain(value) return value ~= json.null and value or nil end

--- A text of a person, as a row that the store takes.
function M.human(sha, text)
  return { sha = sha, key = "human", text = text, author = "human", provider = "window", model = "", detail = "{}" }
end

local function is(project, item, entry) return item and (item.sha256 or project:identify(item)) and item.sha256 == entry.sha end

--- The picture of an entry: by its path, by its name in a folder that was opened by another name, or wherever its content is now.
function M.picture_of(project, entry)
  local item = entry.path and project.by_path[entry.path]
  if is(project, item, entry) then return item end
  item = entry.path and project.folder and project.by_path[("%s/%s"):format(project.folder, entry.path:match "[^/]*$")]
  if is(project, item, entry) then return item end
  return project:of_content(entry.sha)[1]
end

return M
