-- completion.lua - tags under the caret while a caption is written as a list of tags: Tab or Ctrl+Enter takes the first.
--
--   completion.keys(view, document)             -- before the field has them; true when the text is another
--   completion.typed(view, document)            -- after a letter was typed
--   completion.draw(view, document)             -- above all else
--
-- Only what stands between two commas, left of the caret, is completed; a caption that is read as sentences never is. What else is in the
-- caption stays as it is.
local caption_tags = require "caption.tags"
local rect = require "window.rect"
local tags = require "window.tags"
local theme = require "window.theme"

local M = {}

local MOST, LINE = 8, 24
local LONGEST = 8000 -- bytes of a caption that are looked at with every letter
local LISTS = 0.5 -- so many of the captions are lists, then the first word of an empty one is a tag

-- The part of the caption that is being written: from, to (code points), its text; nil where nothing is to be completed.
local function part(view, document)
  local says = document:text()
  if #says > LONGEST or document:selection() then return end
  local list = tags.of(says)
  if #list > 1 and not tags.seen(says) then return end
  if #list <= 1 then
    local index = view.pane and view.pane.index
    if not index or not tags.seen(says) or index.seen < LISTS * math.max(view.project:counts().captioned, 1) then return end
  end
  local caret = (utf8.offset(says, document.caret + 1) or #says + 1) - 1 -- the byte before it
  for _, tag in ipairs(list) do
    if caret >= tag[2] and caret <= tag[3] then
      if caret < tag[3] and says:sub(caret + 1, caret + 1):find "[^%s,]" then return end -- in a word
      return utf8.len(says, 1, tag[2] - 1) or 0, document.caret, says:sub(tag[2], caret), list
    end
  end
end

local function close(view) view.completing = nil end

--- What fits to what was just typed.
function M.typed(view, document)
  close(view)
  local from, to, prefix, list = part(view, document)
  if not from then return end
  local there = {}
  for _, tag in ipairs(list) do there[caption_tags.plain(tag[1])] = true end
  there[caption_tags.plain(prefix)] = nil
  local rows = view.pane.index:complete(prefix, MOST, there)
  if #rows > 0 then view.completing = { rows = rows, at = 1, from = from, to = to, version = document.version, item = view.project:current() } end
end

local function take(view, document, at)
  local c = view.completing
  document:select(c.from, c.to)
  document:insert(view.pane.index:written(c.rows[at][1]))
  close(view)
  view.ui.struck = view.ui.now
end

--- The keys of the list while it is open. True: the text became another.
---@return boolean
function M.keys(view, document)
  local ui, c = view.ui, view.completing
  if not c then return false end
  if ui.focus ~= "caption" or c.version ~= document.version or c.to ~= document.caret or c.item ~= view.project:current() or ui.menu or view.dialog then
    close(view)
    return false
  end
  if c.taken then
    take(view, document, c.taken)
    return true
  end
  local key = ui:take("tab", "ctrl+return", "ctrl+keypad enter", "up", "down", "escape")
  if key == "escape" then close(view)
  elseif key == "up" or key == "down" then c.at = (c.at - 1 + (key == "up" and -1 or 1)) % #c.rows + 1
  elseif key then
    take(view, document, c.at)
    return true
  end
  return false
end

--- The list, under the caret.
function M.draw(view)
  local ui, c, caret = view.ui, view.completing, view.ui.wants_typing
  if not c or not caret then return end
  local width = 160
  for _, row in ipairs(c.rows) do
    local advances = ui.window:advances(row[1], { size = theme.size.text })
    width = math.max(width, math.min(advances[#advances] + 76, 360))
  end
  local high = #c.rows * LINE + 8
  local y = caret.y + caret.height + 4
  if y + high > ui.screen.height - 4 then y = caret.y - high - 4 end
  local area = rect.new(math.max(math.min(caret.x - 8, ui.screen.width - width - 4), 4), math.max(y, 4), width, high)
  ui:on_top("completion", area, false, function()
    ui.w:round(area.x - 1, area.y - 1, area.width + 2, area.height + 2, theme.size.radius, ui.theme.line)
    ui.w:round(area.x, area.y, area.width, area.height, theme.size.radius, ui.theme.panel)
    for i, row in ipairs(c.rows) do
      local line = rect.new(area.x, area.y + 4 + (i - 1) * LINE, area.width, LINE)
      if i == c.at then ui.w:fill(line.x + 2, line.y, line.width - 4, line.height, ui.theme.selection)
      elseif ui:over(line) then ui.w:fill(line.x + 2, line.y, line.width - 4, line.height, ui.theme.hover) end
      local inner = rect.inset(line, 10, 0)
      ui:label(rect.right(inner, 44), tostring(row[2]), { align = "right", size = theme.size.small, color = ui.theme.faint })
      ui:label(inner, view.pane.index:written(row[1]))
      if ui:clicked("completion " .. i, line) then
        c.taken = i -- by the field in the next pass, which has the document
        ui.moving = true
      end
    end
  end)
end

return M
