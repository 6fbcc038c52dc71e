-- scorebox.lua - whether captions belong to their pictures: BLIP's matcher is asked on this machine, as :score does.
--
--   view:open "scorebox"
--   scorebox.recipe(p, items, "models/blip-itm-base-coco")     --> the recipe that asks
--
-- The captions are those that stand here, written to files or not. The numbers come into the store and are shown as they come (window.match);
-- they change no caption, so there is nothing to undo. What is known is not asked again.
local captionbox = require "window.captionbox"
local jobs = require "window.jobs"
local match = require "window.match"
local matched = require "caption.matched"
local planbox = require "window.planbox"
local score = require "recipe.verbs.score"
local rect = require "window.rect"
local set = require "recipe.set"
local text = require "window.text"
local theme = require "window.theme"

local M = {}

local LABEL = 96

local USUAL
for _, option in ipairs(score.options) do if option[1] == "model" then USUAL = option.default end end

--- Ready for one more.
function M.opened(view)
  local p = view.project
  p.changes:commit()
  local kept = type(p.settings.scoring) == "string" and p.settings.scoring or ""
  local box = { model = text.new(kept, { single = true }), scope = 1, scopes = captionbox.scopes(view, {
    wants = function(item) return match.asked(p, item) ~= nil end,
    lacks = function(item) return not p:match(item) end, lacking = "those without a number" }) }
  for i, scope in ipairs(box.scopes) do if scope.name:find("selected", 1, true) then box.scope = i end end
  view.scoring = box
  view.ui.focus = nil
end

local function model_of(box)
  local words = box.model:text():match "^%s*(.-)%s*$"
  return words ~= "" and words or USUAL
end

--- The recipe that asks about these pictures, with the captions that they have here.
---@return string
function M.recipe(p, items, model)
  local paths, says = {}, {}
  for i, item in ipairs(items) do
    paths[i] = ("  %q,\n"):format(item.path)
    says[i] = ("  [%q] = %q,\n"):format(item.path, match.asked(p, item))
  end
  return table.concat { "local says = {\n", table.concat(says), "}\nlocal photos = images {\n", table.concat(paths), "}\n",
    "  :edit(function(picture)\n    picture.caption = says[picture.path]\n    return picture\n  end)\n",
    ("  :score { model = %q }\nphotos:expect { count = { 0, %d } }\n"):format(model, #items) }
end

local function begin(view)
  local box, p = view.scoring, view.project
  local scope = box.scopes[box.scope]
  if planbox.leave_gone(view, scope) > 0 then
    if #scope.items == 0 then return end
    box.recipe = M.recipe(p, scope.items, model_of(box))
  end
  local items = scope.items
  local about = set.count(#items, "caption")
  p.settings.scoring = box.model:text()
  local job, message = jobs.start(view, { title = "match", recipe = box.recipe, about = "Match of " .. about, total = #items,
    came = function() return p:new_matches() end,
    ended = function(_, code, words)
      p:new_matches()
      if code ~= 0 and code ~= 130 then return words end -- what was wrong
      local have, low = 0, 0
      for _, item in ipairs(items) do
        local value = p:match(item)
        if value then have, low = have + 1, low + (value < matched.LOW and 1 or 0) end
      end
      return ("%s a number%s; %s"):format(set.count(have, "caption") .. (have == 1 and " has" or " have"),
        low > 0 and (", %d of them below %g: the filter match:<%g shows %s"):format(low, matched.LOW, matched.LOW, low == 1 and "it" or "them") or "", words),
        code == 0 and have < #items and "warning" or nil
    end })
  if not job then return view:say("bad", message) end
  view:say("info", ("asks whether %s %s to the picture; the button below stops it"):format(about, #items == 1 and "belongs" or "belong"))
end

local function wishes(view, area)
  local ui, box = view.ui, view.scoring
  local function line(label)
    local r = rect.top(area, 30, 8)
    ui:label(rect.left(r, LABEL), label, { color = ui.theme.faint })
    return r
  end
  local names = {}
  for i, scope in ipairs(box.scopes) do names[i] = scope.name end
  box.scope = ui:tabs("score scope", line "for", names, box.scope)
  local said = ui:field("score model", line "folder", box.model, { hint = USUAL })
  local folder = model_of(box)
  local words, lacking = planbox.typed(ui, box, "score model", folder)
  local r = rect.new(area.x + LABEL, area.y, area.width - LABEL, area.height)
  local high = ui:paragraph(r, words, { size = theme.size.small,
    color = lacking and ui.theme.warning or ui.theme.faint })
  rect.top(area, high, 8)
  local foot = rect.bottom(area, 30)
  ui:paragraph(area, ("BLIP's matcher says of each caption how sure it is, from 0 to 1, that it belongs to its picture. Below %g one may be of something else. "
    .. "The number stands below the caption; the filter has match:<%g, the order \"by match\", recipes :reject { match_below = %g }."):format(matched.LOW,
    matched.LOW, matched.LOW), { size = theme.size.small, color = ui.theme.faint })
  local scope = box.scopes[box.scope]
  if scope and #scope.items == 0 then scope = nil end -- all of it went
  local can = scope and not view.job
  local go = ui:button("score plan", rect.right(foot, 190, 8), "What would it do?", { keys = "Enter", first = true, off = not can })
  if can and (said == "enter" or ui:take("return", "keypad enter")) then go = true end
  ui:paragraph(foot, box.trouble or not scope and "there is no caption to ask about" or view.job and "something is at work already"
    or scope.left > 0 and ("%d without a caption, put aside or unreadable are left out"):format(scope.left) or "nothing is done yet", { size = theme.size.small,
    color = box.trouble and ui.theme.bad or ui.theme.faint })
  if go then planbox.leave_gone(view, scope) end
  if go and #scope.items > 0 then
    box.recipe = M.recipe(view.project, scope.items, folder)
    planbox.start(view, box, box.recipe, { planbox.HERE })
    ui.moving = true -- shown at once
  end
  return said == "escape"
end

--- Draw it; true when it was closed.
---@return boolean closed
function M.draw(view)
  local ui, box, done = view.ui, view.scoring, false
  local closed = ui:dialog("score", 680, 330, "Do captions belong to their pictures?", function(area)
    if not box.lines then
      done = wishes(view, area)
      return
    end
    local what = planbox.draw(view, box, area, ("Ask about %s"):format(set.count(#box.scopes[box.scope].items, "caption")))
    if what == "go" then begin(view) end
    done = what == "go"
  end)
  if closed then planbox.forget(box) end
  if closed or done then ui.focus = nil end
  return closed or done
end

M.actions = {
  { id = "score", title = "Do captions belong to their pictures?", keys = { "alt+m" }, group = "Write",
    when = function(view) return #view.project.items > 0 end, run = function(view) view:open "scorebox" end },
}

return M
