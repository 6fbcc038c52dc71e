-- changes.lua - every change that is made in the window: at once in the store with its way back, then in the caption file where there is one.
--
--   local c = p.changes
--   c:write(item, "a red door")                            --> true; nil, message, code when it could not be
--   c:write_many({ { item, "a" }, { other, "b" } }, "two captions")      --> 2, left: one step back for all of them
--   c:append(items, "old house") c:prepend(items, "zkr") c:remove(items, "blurry") c:copy(item, others) c:clear(items)
--   c:replace(plan)                                        -- of window/replace.lua or window/tags.lua
--   c:star(items, 4) c:reject(items, "blurred") c:restore(items)
--   c:undo() c:redo()                                      --> { title =, count =, left = { { item =, path =, why = }, ... } } | nil, "nothing to undo"
--   c:can()                                                --> what undo and redo would do, as titles | nil
--   c:history(item)                                        --> { { number, text, who, when, in_force, row }, ... }, as `calotype captions log`
--   c:bring_back(item, 2)                                  -- the second of them again, as a step
--
--   c:type(item, text)                                     -- with every key; kept at once, so that a kill loses nothing
--   c:tick(now)                                            -- called now and then: after two seconds of rest what was typed is a step
--   c:commit()                                             -- Ctrl+Enter, leaving the picture, closing;  c:discard(item) forgets what was typed
--   if c.conflict then c:settle "mine" end                 -- { item, mine, theirs }: the caption became another while it was typed in
--
-- A step is one row of the store's actions; undo puts the rows that were in force before in force again, as `calotype captions undo` does, and
-- the caption files get the text that they had. A picture whose text is another by now (a run, another program) is left as it is and named
-- in `left`. Files are written after the store: a kill in between is made good when the project is opened (`settle_files`).
--
-- uses of an item: path, sha256, caption, sidecar, draft, star, reject.
--
-- A file each: step.lua (how captions become others, all of them through `apply`), undo.lua, marks.lua, typing.lua, adopted.lua; beneath them
-- entries.lua (a step as it is kept), captionfiles.lua and transaction.lua.
local adopted = require "window.adopted"
local caption_tags = require "caption.tags"
local captionfiles = require "window.captionfiles"
local marks = require "window.marks"
local replace = require "window.replace"
local step = require "window.step"
local telling = require "captions.telling"
local transaction = require "window.transaction"
local typing = require "window.typing"
local undo = require "window.undo"

local M = {}
local Changes = {}
Changes.__index = Changes

Changes.undo, Changes.redo, Changes.can, Changes.list = undo.undo, undo.redo, undo.can, undo.list
Changes.star, Changes.reject, Changes.restore = marks.star, marks.reject, marks.restore
Changes.stand, Changes.adopt = adopted.stand, adopted.adopt
Changes.type, Changes.tick, Changes.commit, Changes.discard = typing.type, typing.tick, typing.commit, typing.discard
Changes.keep_drafts, Changes.commit_later = typing.keep_drafts, typing.commit_later
Changes.settle, Changes.found_other, Changes.take_up_drafts = typing.settle, typing.found_other, typing.take_up_drafts
Changes.work, Changes.settle_files = captionfiles.work, captionfiles.settle
Changes.follow = transaction.follow

---@param project table
function M.new(project)
  return setmetatable({ project = project, store = project.store, place = project.place, files = {}, unkept = {}, later = {}, conflicts = {} }, Changes)
end

-- --- Captions ----------------------------------------------------------------------------------------------------

--- One caption. False when it was that already.
---@param item table
---@param text string
---@param title? string
---@return boolean? changed, string? message, string? code
function Changes:write(item, text, title)
  local count, left, code = step.apply(self, { { item, text } }, title or ("caption of %s"):format(item.name))
  if not count then return nil, left, code end
  if left[1] then return nil, left[1].why, left[1].code end
  return count > 0
end

-- What is being typed is a step of its own before any other. Where the store refuses it nothing else is done; where it waits for a person's word
-- its picture is left alone.
local function ready(self, items)
  local item = self.typing
  if not item then return true end
  local did, message, code = self:commit()
  if did == nil then return nil, message, code end
  for _, other in ipairs(message and items or {}) do
    if other == item then return nil, ("%s: %s: keep mine or theirs first"):format(item.name, message), code end
  end
  return true
end

--- Many captions as one step. Those that could not be are in `left`: { item, path, why }.
---@param list { [1]: table, [2]: string }[]
---@param title string
---@return integer? count, table|string left
function Changes:write_many(list, title)
  local items = {}
  for i, wish in ipairs(list) do items[i] = wish[1] end
  local ok, message, code = ready(self, items)
  if not ok then return nil, message, code end
  return step.told(self, step.apply(self, list, title))
end

local function map(self, items, title, change)
  local ok, message, code = ready(self, items)
  if not ok then return nil, message, code end
  local list = {}
  for _, item in ipairs(items) do
    local text = change(item.caption, item)
    if text ~= item.caption then list[#list + 1] = { item, text } end
  end
  if #list == 0 then return 0, {} end
  return step.told(self, step.apply(self, list, title))
end

local function short(text) return (utf8.len(text) or 0) > 24 and text:sub(1, utf8.offset(text, 24) - 1) .. "…" or text end

local function joint_of(caption, joint) return joint or (caption_tags.listed(caption) and ", " or " ") end

--- After what is there: with a comma in lists of tags, a space in sentences, or with `joint`.
function Changes:append(items, text, joint)
  return map(self, items, ("append \"%s\" to %s"):format(short(text), step.count_of(items)), function(caption)
    return caption:find "%S" and caption .. joint_of(caption, joint) .. text or text
  end)
end

function Changes:prepend(items, text, joint)
  return map(self, items, ("put \"%s\" before %s"):format(short(text), step.count_of(items)), function(caption)
    return caption:find "%S" and text .. (joint or ", ") .. caption or text
  end)
end

--- Every place where the text stands just so.
function Changes:remove(items, text)
  local ok, message, code = ready(self, items)
  if not ok then return nil, message, code end
  local plan
  plan, message = replace.plan(items, { find = text, with = "", case = true })
  if not plan then return nil, message end
  plan.title = ("remove \"%s\" from %s"):format(short(text), step.count_of(items))
  return self:replace(plan)
end

function Changes:copy(from, items)
  return map(self, items, ("copy the caption of %s to %s"):format(from.name, step.count_of(items)), function() return from.caption end)
end

function Changes:clear(items) return map(self, items, ("clear %s"):format(step.count_of(items)), function() return "" end) end

--- What a plan shows: captions that are no longer as it shows them are left.
---@param plan { rows: { item: table, before: string, after: string }[], title: string }
---@return integer? count, table|string left
function Changes:replace(plan)
  local list, left, items = {}, {}, {}
  for i, row in ipairs(plan.rows) do items[i] = row.item end
  local ok, message, code = ready(self, items)
  if not ok then return nil, message, code end
  for _, row in ipairs(plan.rows) do
    if row.item.caption == row.before then list[#list + 1] = { row.item, row.after }
    else left[#left + 1] = { item = row.item, path = row.item.path, why = "it has another text by now", code = "BUSY" } end
  end
  if #list == 0 then return step.told(self, 0, left) end
  local count, more
  count, more, code = step.apply(self, list, plan.title)
  if not count then return nil, more, code end
  return step.told(self, count, table.move(more, 1, #more, #left + 1, left))
end

-- --- Texts from before ------------------------------------------------------------------------------------------

--- All texts of a picture, oldest first, numbered as `calotype captions log` does.
---@return { number: integer, text: string, who: string, when: string, in_force: boolean, row: table }[]
function Changes:history(item)
  if not item.sha256 and not self.project:identify(item) then return {} end
  local list = {}
  for i, row in ipairs(self.store:captions(item.sha256) or {}) do
    list[i] = { number = i, text = row.text, who = telling.who(row), when = telling.when(row), in_force = row.in_force, row = row }
  end
  return list
end

--- One of these texts again, as a step.
---@return boolean? changed, string? message, string? code
function Changes:bring_back(item, number)
  local ok, message, why = ready(self, { item })
  if not ok then return nil, message, why end
  local found = self:history(item)[number]
  if not found then return nil, ("%s has no text %d"):format(item.name, number), "NOTFOUND" end
  if found.in_force and found.text == item.caption then return false end
  local count, left, code = step.apply(self, { { item, found.text, row = found.row } }, ("text %d of %s again"):format(number, item.name))
  if not count then return nil, left, code end
  if left[1] then return nil, left[1].why, left[1].code end
  return count > 0
end

return M
