-- typing.lua - what is being typed: kept with every key, a step after a rest, and a question where the caption became another meanwhile.
--
--   c:type(item, text)                                    -- with every key; kept at once, so that a kill loses nothing
--   c:tick(now)                                           -- called now and then: after two seconds of rest what was typed is a step
--   c:commit()  c:discard(item)
--   if c.conflict then c:settle "mine" end                -- { item, mine, theirs }
--   c:take_up_drafts()                                    -- when opened: what was being typed when the program was killed
--
-- c.typing is the picture that is typed in, item.draft its text so far. Methods of what changes.new makes (changes.lua).
local captionfiles = require "window.captionfiles"
local entries = require "window.entries"
local history = require "recipe.history"
local json = require "native.json"
local state = require "window.state"
local step = require "window.step"
local transaction = require "window.transaction"

local must = transaction.must

local M = {}

local REST = 2 -- seconds without a key

-- What was typed over at a seat: { path, sha, base }.
local function note_of(self, seat) return seat > 0 and ("typing:%s#%d"):format(self.place, seat) or "typing:" .. self.place end

-- What is typed, into the store. With the first key of a picture goes what it was typed over.
local function keep_draft(self, item)
  local known, why, kind = self.project:identify(item) -- it may be another picture by now
  if not known then return nil, why, kind end
  if item.draft and self.typing == item and self.noted ~= item then
    local note = json.encode { path = state.word(item.path), sha = item.sha256, base = self.base }
    local ok, message, code = self.store:put("window", note_of(self, self.project.seat), note)
    if not ok then return nil, message, code end
    self.noted = item
  end
  local ok, message, code = self.store:draft(item.sha256, item.draft, self.project.seat)
  if ok and not item.draft and self.noted == item then self.noted = nil end
  if ok and item.draft_sha and item.draft_sha ~= item.sha256 then self.store:draft(item.draft_sha, nil, self.project.seat) end
  if ok then item.draft_sha = item.draft and item.sha256 or nil end
  return ok, message, code
end

--- What the editor has now. Kept at once: a program that is killed has it when it is opened again. What the store refuses is item.draft all the
--- same, and offered again by `tick`.
---@return boolean? ok, string? message, string? code
function M.type(self, item, text)
  local kept, message, code = entries.text_of(text)
  if not kept then return nil, message, code end
  if self.typing and self.typing ~= item then self:commit() end
  if self.typing ~= item then
    message, code = step.closed(self, item)
    if message then return nil, message, code end
    if not item.draft then self.base = item.caption end
    self.typing = item
  end
  self.touched = true
  item.draft = text ~= item.caption and text or nil
  self.project:changed()
  if not next(self.unkept) then -- else it would be refused again, after a wait: `tick` asks
    local ok
    ok, message, code = keep_draft(self, item)
    if ok then return true end
    self.refusal = { message, code }
  end
  self.unkept[item] = true
  return nil, self.refusal[1], self.refusal[2]
end

--- Drafts that the store did not take are offered once more: those that it still refuses.
---@return { item: table, path: string, text: string, why: string, discarded: boolean }[] refused
function M.keep_drafts(self)
  local refused = {}
  for item in pairs(self.unkept) do
    local ok, message
    if not refused[1] then ok, message = keep_draft(self, item) end
    if ok then self.unkept[item] = nil
    else refused[#refused + 1] = { item = item, path = item.path, text = item.draft or "", why = message or refused[1].why,
      discarded = item.draft == nil } end
  end
  return refused
end

-- What was typed in pictures that one has left, and no step could be made of then.
function M.commit_later(self)
  for item in pairs(self.later) do
    local did = (not item.draft or self.typing == item) and true or M.commit(self, item)
    if did ~= nil then self.later[item] = nil end
  end
end

--- After two seconds without a key what was typed becomes a step. `now`: seconds by any clock.
---@param now number
---@return boolean committed
function M.tick(self, now)
  if next(self.unkept) and now - (self.offered or now - REST) >= REST then
    self.offered = now
    self:keep_drafts()
  end
  if next(self.later) and now - (self.tried or now - REST) >= REST then
    self.tried = now
    self:commit_later()
  end
  if not self.typing then return false end
  if self.touched then self.touched, self.rested = false, now end
  if next(self.unkept) or self.conflict and self.conflict.item == self.typing or now - self.rested < REST then return false end
  local item, raw = self.typing, self.typing.draft
  if raw and entries.text_of(raw) == item.caption then return false end -- a line end at its end: more may follow
  local did, message = self:commit()
  if did and raw ~= item.caption then self.typing, item.draft, self.rested = item, raw, now
  elseif item.draft == nil then self.typing = nil
  else self.rested = now end
  if did == nil and self.told_why ~= message then -- once, not every two seconds
    self.project:tell("error", ("%s: %s; what you write is kept meanwhile"):format(item.name, message))
  end
  self.told_why = did == nil and message or nil
  return did or false
end

local function in_conflict(self, item)
  if self.conflict and self.conflict.item == item then return true end
  for _, other in ipairs(self.conflicts) do if other.item == item then return true end end
  return false
end

-- The next one that waits for a person's word, if any.
local function settled(self, item)
  if self.conflict and self.conflict.item == item then self.conflict = table.remove(self.conflicts, 1) end
  for i = #self.conflicts, 1, -1 do if self.conflicts[i].item == item then table.remove(self.conflicts, i) end end
end

-- While it was typed in the caption became another: both are kept, a person decides.
local function conflict(self, item, now)
  state.show(item, now)
  local new = { item = item, mine = item.draft, theirs = item.caption }
  local again = self.conflict and self.conflict.item == item
  for i, other in ipairs(self.conflicts) do
    if other.item == item then self.conflicts[i], again = new, true end
  end
  if not self.conflict or self.conflict.item == item then self.conflict = new
  elseif not again then table.insert(self.conflicts, new) end
  if not again then self.project:tell("warning", ("%s got another caption while it was written: keep mine or theirs?"):format(item.name)) end
  self.project:changed()
end

local function commit(self, item)
  if in_conflict(self, item) then return false, "the caption became another while it was written", "BUSY" end
  local message, code = captionfiles.ready(self) -- what they had before is not looked at
  if not message then message, code = step.closed(self, item) end
  if message then return nil, message, code end
  local now
  now, message, code = step.look(self, item)
  if not now then return nil, message, code end
  if now.text ~= item.caption and now.text ~= entries.text_of(item.draft) then
    conflict(self, item, now)
    return false, "the caption became another while it was written", "BUSY"
  end
  local count, left
  count, left, code = step.apply(self, { { item, item.draft } }, ("caption of %s"):format(item.name), true)
  if not count then return nil, left, code end
  if left[1] then return nil, left[1].why, left[1].code end
  return count > 0
end

--- What was typed becomes a step. False when nothing was, or when a conflict is to be settled first.
---@param item? table the one that is being typed in
---@return boolean? changed, string? message, string? code
function M.commit(self, item)
  item = item or self.typing
  if not item or not item.draft then
    if item == self.typing then self.typing = nil end
    return false
  end
  local did, message, code = commit(self, item)
  self.later[item] = did == nil or nil
  return did, message, code
end

--- What was typed and is no step yet goes, at least from the screen: where the store refuses to forget it, `tick` asks again.
---@return boolean? discarded, string? message, string? code
function M.discard(self, item)
  item = item or self.typing
  if not item or not item.draft then return false end
  item.draft = nil
  local ok, message, code = keep_draft(self, item)
  self.unkept[item] = not ok or nil
  settled(self, item)
  if self.typing == item then self.typing = nil end
  self.project:changed()
  if not ok then return nil, ("%s: what was discarded is in the store still, and would come back: %s"):format(item.name, message), code end
  return true
end

--- A question that cannot be settled now stays one. "mine": what was typed is the caption. "theirs": the other one stays; what was typed is in the history.
---@param which "mine"|"theirs"
---@return boolean? changed, string? message, string? code
function M.settle(self, which)
  local c = self.conflict
  if not c then return false end
  local item = c.item
  if which == "mine" then
    local count, left, code = step.apply(self, { { item, item.draft or c.mine } }, ("caption of %s"):format(item.name), true)
    if not count then return nil, left, code end
    if left[1] then return nil, left[1].why, left[1].code end
    settled(self, item)
    return count > 0
  end
  local message, code = step.closed(self, item)
  if message then return nil, message, code end
  local now
  now, message, code = step.look(self, item)
  if not now then return nil, message, code end
  local ok
  ok, message, code = transaction.run(self, function()
    must(self.store:add_caption(entries.human(item.sha256, (entries.text_of(item.draft or c.mine)))))
    local rows = must(self.store:captions(item.sha256))
    must(self.store:add_caption(now.row and history.put_back(rows, now.row) or entries.human(item.sha256, "")))
    must(self.store:draft(item.sha256, nil, self.project.seat))
  end)
  if not ok then return nil, message, code end
  item.draft, self.unkept[item] = nil, nil
  settled(self, item)
  if self.typing == item then self.typing = nil end
  self.project:refresh({ item }, true)
  return true
end

--- A caption that changed elsewhere is shown; called by whoever finds it out.
function M.found_other(self, item, now)
  if item.draft and now.text ~= item.caption and now.text ~= entries.text_of(item.draft) then conflict(self, item, now)
  else state.show(item, now) end
end

-- A draft of a window that is gone is this one's from now on. False when another window was quicker.
local function take_over(self, draft)
  local mine = self.project.seat
  if draft.seat == mine then return true end
  local taken = false
  local ok = transaction.run(self, function()
    for _, other in ipairs(must(self.store:drafts())) do
      if other.sha == draft.sha and other.seat == draft.seat and other.text == draft.text then taken = true end
    end
    if not taken then return end
    must(self.store:draft(draft.sha, draft.text, mine))
    must(self.store:draft(draft.sha, nil, draft.seat))
    must(self.store:put("window", note_of(self, mine), self.store:get("window", note_of(self, draft.seat)) or ""))
  end)
  return ok and taken or false
end

--- What was being typed when the program was killed. It becomes a step, and is told; where the caption became another since, it waits for a
--- person's word. What a window that is open types is its own.
---@return integer committed
function M.take_up_drafts(self)
  local count = 0
  for _, draft in ipairs(self.store:drafts() or {}) do
    local gone = draft.seat == self.project.seat or not self.store:seated(draft.seat)
    local noted = gone and json.decode(self.store:get("window", note_of(self, draft.seat)) or "")
    local items = gone and self.project:of_content(draft.sha) or {}
    local item = items[1]
    for _, other in ipairs(items) do if type(noted) == "table" and noted.path == other.path then item = other end end
    if item and not item.draft and take_over(self, draft) then
      item.draft, item.draft_sha = draft.text, draft.sha
      local base = type(noted) == "table" and noted.sha == draft.sha and noted.base or nil
      if base and base ~= item.caption and entries.text_of(draft.text) ~= item.caption then
        local new = { item = item, mine = draft.text, theirs = item.caption }
        if self.conflict then table.insert(self.conflicts, new) else self.conflict = new end
        self.project:tell("warning", ("%s: what you were writing when the program ended, and another caption since: keep mine or theirs?"):format(item.name))
      else
        local did, message = self:commit(item)
        if did then
          count = count + 1
          self.project:tell("info", ("%s: what you were writing when the program ended is its caption now"):format(item.name))
        elseif message then self.project:tell("warning", ("%s: %s; what you were writing is kept"):format(item.name, message)) end
      end
    end
  end
  return count
end

return M
