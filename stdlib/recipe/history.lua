-- history.lua - the texts of a picture through time. Rows are only ever added; which one is the picture's text now is its row in force.
--
--   local line, at = history.line(store:captions(sha))     -- the texts as they followed one another, and where it stands
--   line[at - 1]                                            -- what undo goes back to
--
-- A text that undo or redo brings back is a new row that points to the old one (`restores`). Answers that were only asked for a comparison
-- (`aside`) belong to the line once a run has used them.
local json = require "native.json"

local M = {}

--- The row of a person's text that stands beside a picture; nil when it is new. `twice`: the folder has copies of the
--- picture: any row of a person will do, so that copies with captions of their own are not noted again and again.
---@param store table
---@param sha string
---@param text string
---@param twice? boolean
---@return table? row
function M.of_person(store, sha, text, twice)
  local last = store:caption(sha, "human")
  if last and last.text == text then return last end
  local now = store:caption_in_force(sha) -- undo keeps a person's text under the question that it answers from then on
  if now and now.author == "human" and now.text == text then return now end
  for _, row in ipairs(twice and store:captions(sha) or {}) do
    if row.author == "human" and row.text == text then return row end
  end
end

--- A person's text that is in force now and was not when a run read the pictures; `began`: by content the row that was in force then.
---@param began table<string, integer|false>
---@return table? row
function M.since(store, began, sha)
  local row = began[sha] ~= nil and store:caption_in_force(sha)
  return row and row.author == "human" and row.id ~= began[sha] and row.text:find "%S" and row or nil
end

--- What a person wrote beside a picture, as a row to add. `mended`: what changed the text on the person's word.
---@param mended? string
function M.row_of_person(sha, text, mended)
  return { sha = sha, key = "human", text = text, author = "human", provider = "sidecar", model = "", detail = json.encode { mended = mended } }
end

--- A row's detail that also says what changed its text.
---@param detail? string
---@param mended string
---@return string
function M.mended(detail, mended)
  local told = json.decode(detail or "")
  if type(told) ~= "table" then told = {} end
  told.mended = mended
  return json.encode(told)
end

--- These rows are their pictures' texts from now on.
---@param ids integer[]
function M.use(store, ids)
  if #ids == 0 then return end
  store:batch(function() for _, id in ipairs(ids) do store:use_caption(id) end end)
end

--- The texts as they followed one another, and which of them is in force (0: none). A text that is written after an undo takes the place of
--- those that were undone.
---@param rows table[] all of a picture, oldest first
---@return table[] line, integer at
function M.line(rows)
  local line, at, by_id, now = {}, 0, {}, nil
  local function follow(row)
    for i = #line, at + 1, -1 do line[i] = nil end
    at = at + 1
    line[at] = row
  end
  local function find(id)
    for i = #line, 1, -1 do if line[i].id == id then return i end end
  end
  for _, row in ipairs(rows) do
    by_id[row.id] = row
    if row.in_force then now = row end
    local back = row.restores and find(row.restores)
    if back then at = back
    elseif row.restores then follow(by_id[row.restores] or row) -- an answer to a comparison that a run used
    elseif not row.aside then follow(row) end
  end
  if now then -- a run may have gone back to an older question since
    local origin = now.restores and by_id[now.restores] or now
    local i = find(origin.id)
    if not i then
      i = #line + 1
      line[i] = origin
    end
    at = i
  end
  return line, at
end

--- The row that puts a text of before in force again. It answers the question that the last run asked, so that the next one finds it.
---@param rows table[] all of the picture
---@param target table one of them
---@return table row to add
function M.put_back(rows, target)
  local key = "human"
  for _, row in ipairs(rows) do
    if target.restores and row.id == target.restores then target = row end
  end
  for _, row in ipairs(rows) do
    if row.key ~= "human" and (not row.aside or row.in_force) then key = row.key end
    if row.in_force and row.key ~= "human" then break end
  end
  return { sha = target.sha, key = key, text = target.text, author = target.author, provider = target.provider, model = target.model,
    detail = target.detail, prompt = target.prompt, restores = target.id }
end

--- The same for a place of the line.
---@param line table[]
---@param to integer
function M.back(rows, line, to) return M.put_back(rows, line[to]) end

return M
