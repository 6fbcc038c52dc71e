-- editor.lua - the caption of the picture one is at: free text, kept with each keystroke, with what the text encoder will see of it.
local completion = require "window.completion"
local log = require "native.log"
local matched = require "caption.matched"
local rect = require "window.rect"
local size_text = require "size_text"
local starbar = require "window.starbar"
local text = require "window.text"
local theme = require "window.theme"
local tokens = require "window.tokens"

local M = {}

local AGAIN = 2 -- seconds, until what could not be kept is tried again
local LONG = 8000 -- bytes of a caption that are counted with every letter

-- Bytes of a text as code points.
local function points(s, byte) return utf8.len(s, 1, byte - 1, true) or 0 end

--- The document on the screen is that of the current picture; it is set anew when its text became another elsewhere.
local function follow(view)
  local item, e = view.project:current(), view.editor
  e.unkept = e.unkept or {}
  local says = item and (e.unkept[item] or item.draft or item.caption) or ""
  if #says > text.MOST then
    if e.says ~= says then e.item, e.document, e.says = item, nil, says end
  elseif e.item ~= item or not e.document then
    e.item, e.document, e.says = item, text.new(says), says
    if view.ui.focus == "caption" then e.document:move "end" end
  elseif says ~= e.says then
    if says ~= e.document:text() then e.document:set(says) end
    e.says = says
  end
end

-- What is written is kept with each letter. What the store refuses (it is read-only, the disk is full) stays here, is shown, and tried again.
local function keep(view, item, says)
  local e = view.editor
  local ok, message = view.project.changes:type(item, says)
  e.unkept[item] = not ok and says or nil
  e.trouble = not ok and message or nil
  return ok
end

--- Whether there are texts that could not be kept.
function M.unkept(view) return view.editor.unkept ~= nil and next(view.editor.unkept) ~= nil end

-- What lies under the words: the trigger, and what the text encoder does not see.
local function marks(view, item)
  local e, says = view.editor, view.editor.document:text()
  local word = item.trigger or view.project.trigger
  if e.marked == says and e.marked_theme == view.ui.theme and e.marked_word == word then return e.marks end
  if #says > LONG and e.marks and e.marked_item == item and view.ui.typed then -- counted when nothing more is typed
    view.ui.moving = true
    return e.marks
  end
  local list = {}
  if word then
    for _, span in ipairs(tokens.triggers(says, word)) do
      list[#list + 1] = { points(says, span[1]), points(says, span[2] + 1), view.ui.theme.trigger }
    end
  end
  local beyond = view.tokens:beyond(says)
  if beyond then list[#list + 1] = { points(says, beyond), utf8.len(says) or 0, view.ui.theme.beyond, low = true } end
  e.count, e.exact = view.tokens:count(says)
  e.marks, e.marked, e.marked_theme, e.marked_item, e.marked_word = list, says, view.ui.theme, item, word
  return list
end

local function by(view, item)
  if view.editor.unkept[item] then return "not kept" end
  if item.draft then return "being written" end
  if item.caption == "" then return "no caption" end
  if not item.by then return "" end
  if item.by.author == "human" then return "by a person" end
  return "by " .. (item.by.model and item.by.model ~= "" and item.by.model or item.by.provider or "a model")
end

-- The file of this caption was changed by another program while it was being written.
local function conflict(view, area)
  local c, ui = view.project.changes, view.ui
  local bar = rect.top(area, 84, 6)
  ui.w:round(bar.x, bar.y, bar.width, bar.height, 5, ui.theme.raised)
  ui.w:fill(bar.x, bar.y, 4, bar.height, ui.theme.warning)
  local inner = rect.inset(bar, 12, 6)
  ui:paragraph(rect.top(inner, 40), "another program wrote this caption: " .. c.conflict.theirs, { size = theme.size.small })
  if ui:button("mine", rect.left(inner, 100, 8), "keep mine") then c:settle "mine" end
  if ui:button("theirs", rect.left(inner, 100, 8), "take theirs") then
    c:settle "theirs"
    view.editor.item = nil
  end
end

-- More than anybody captions: its beginning is shown, and it stays as it is.
local function long(view, area, says)
  local ui = view.ui
  if ui.focus == "caption" then ui.focus = nil end
  ui:paragraph(rect.top(area, 38, 6), ("%s: more than a caption. Up to %d kB are written here; a text editor, or find and replace, make it shorter."):format(
    size_text(#says), text.MOST // 1024), { size = theme.size.small, color = ui.theme.warning })
  ui:within(area, function() ui:paragraph(area, says, { color = ui.theme.faint }) end)
end

--- Draw, and take what is typed.
function M.draw(view, area)
  local ui, p = view.ui, view.project
  follow(view)
  local item, e = p:current(), view.editor
  ui.w:fill(area.x, area.y, area.width, area.height, ui.theme.panel)
  local inner = rect.inset(area, 10, 8)
  local head = rect.top(inner, 20, 4)
  if not item then return end
  if #e.says > text.MOST and not e.document then
    ui:label(head, item.name, { size = theme.size.small, color = ui.theme.faint })
    return long(view, inner, e.says)
  end
  if p.changes.conflict and p.changes.conflict.item == item then conflict(view, inner) end
  local low = rect.bottom(inner, 20, 4)
  local stars = rect.bottom(inner, 26, 6)
  local completed = completion.keys(view, e.document)
  if item.out and item.out ~= item.caption and not item.draft then -- a recipe puts words before and behind it
    local out = rect.bottom(inner, 18, 2)
    local width = ui:label(out, "goes out as ", { size = theme.size.small, color = ui.theme.faint })
    ui:label(rect.new(out.x + width, out.y, out.width - width, out.height), item.out, { size = theme.size.small })
    if ui:over(out) then ui:tip(out, item.out) end
  end
  local painted = marks(view, item)
  local typed = ui.focus == "caption" and ui.typed
  local what = ui:field("caption", inner, e.document, { lines = true, hint = "what is to be seen here?", marks = painted })
  if what == "changed" and typed or what == "changed" and view.completing then completion.typed(view, e.document) end
  if what == "changed" or completed then
    e.says = e.document:text()
    keep(view, item, e.says)
  elseif what == "enter" then
    p.changes:commit(item)
  elseif what == "escape" then
    p.changes:commit(item)
    ui.focus = nil
  end
  starbar.draw(view, stars) -- after the field: Tab goes there from it
  local lost = e.unkept[item] ~= nil
  local width = ui:label(head, by(view, item), { size = theme.size.small, align = "right",
    color = lost and ui.theme.bad or item.draft and ui.theme.warning or ui.theme.faint })
  ui:label(rect.left(head, head.width - width - 12), item.name, { size = theme.size.small, color = ui.theme.faint })
  if lost then
    local words = ("not kept: %s. It stays here, and is tried again"):format(e.trouble or "it could not be written")
    ui:label(low, words, { size = theme.size.small, color = ui.theme.bad })
    if ui:over(low) then ui:tip(low, words) end
    return
  end
  local match = p:match(item)
  if match then
    local place = rect.right(low, 84, 8)
    ui:label(place, ("match %.2g"):format(match), { size = theme.size.small, align = "right",
      color = match < matched.LOW and ui.theme.warning or ui.theme.faint })
    if ui:over(place) then ui:tip(place, matched.SAYS) end
  end
  local most = view.tokens.most
  local over = (e.count or 0) > most
  ui:label(low, ("%s%d of %d tokens%s"):format(e.exact and "" or "about ", e.count or 0, most, over and ": the rest is not seen" or ""),
    { size = theme.size.small, color = over and ui.theme.beyond or ui.theme.faint })
  if view.tokens.why and ui:over(low) then ui:tip(low, view.tokens.why) end
end

--- What was typed and rests for a while is kept as a caption.
function M.tick(view)
  local now, e = log.clock(), view.editor
  if M.unkept(view) and now - (e.tried or 0) > AGAIN then
    e.tried = now
    for item, says in pairs(e.unkept) do if not keep(view, item, says) then break end end
    if not M.unkept(view) then view:say("good", "what could not be kept is kept now") end
  end
  view.project.changes:tick(now)
end

return M
