-- captionbox.lua - captions from a model, for the picture one is at, the selected ones, or those without: who, how, and what it would cost
-- before anybody is asked.
--
--   view:open "captionbox"
--
-- Two steps: what is wanted; then the plan, which this program makes in a child without asking anybody, and the button that does it. The
-- captions appear as they come (window.jobs). A person's caption stays unless `replace` is on. All that came is one step, which can be undone.
local auto = require "caption.auto"
local caption = require "assistant.caption"
local jobs = require "window.jobs"
local rect = require "window.rect"
local script = require "native.script"
local set = require "recipe.set"
local settings = require "assistant.settings"
local text = require "window.text"
local theme = require "window.theme"
local trigger = require "recipe.trigger"

local M = {}

local WRITERS = { "auto", "gemini", "openai", "huggingface", "template" }
local FIELDS = { "model", "text", "trigger", "spend" } -- that are typed
local LABEL = 96

-- --- what is wanted -------------------------------------------------------------------------------------------------------------------------

-- Which pictures may be meant; what is put aside is asked about by nobody.
local function scopes(view)
  local p = view.project
  local list = {}
  local function scope(name, items)
    local kept = {}
    for _, item in ipairs(items) do if not item.reject and not item.error then kept[#kept + 1] = item end end
    if #kept > 0 then list[#list + 1] = { name = name, items = kept, left = #items - #kept } end
  end
  scope("this one", { p:current() })
  local selected = p:selection()
  if #selected > 1 then scope(("the selected (%d)"):format(#selected), selected) end
  local without = {}
  for _, item in ipairs(p.order) do if not item.caption:find "%S" then without[#without + 1] = item end end
  scope(("those without (%d)"):format(#without), without)
  if #p.order > 1 and #p.order ~= #without then scope(("all that are shown (%d)"):format(#p.order), p.order) end
  return list
end

--- Ready for one more; what was chosen last is still there.
function M.opened(view)
  local p = view.project
  p.changes:commit()
  local kept = type(p.settings.captioning) == "table" and p.settings.captioning or {}
  local writers = table.move(WRITERS, 1, #WRITERS, 1, {})
  if view.fakes then writers[#writers + 1] = "fake" end
  local box = { writers = writers, writer = 1, scopes = scopes(view), scope = 1, chosen = {}, fields = {}, replace = false,
    take = math.type(kept.take) == "integer" and kept.take >= 1 and kept.take or 1, begun = kept.begun == true }
  box.another = box.begun -- a run that was stopped goes on with the answers that it has
  for i, name in ipairs(writers) do if name == kept.with then box.writer = i end end
  for i, scope in ipairs(box.scopes) do if scope.name:find("selected", 1, true) then box.scope = i end end
  for _, name in ipairs(FIELDS) do box.fields[name] = text.new(kept[name] or (name == "trigger" and p.trigger) or "", { single = true }) end
  box.chosen.style, box.chosen.focus = kept.style, kept.focus
  local name, why = auto.choose()
  box.alone = not name
  box.auto = name and ("auto is %s here: %s says so"):format(name, why) or "auto: " .. caption.NOBODY
  box.has = function(option) -- whether this writer has such an option
    local spec = caption.settings { with = writers[box.writer] }
    return spec.by_name[option]
  end
  view.captioning = box
  view.ui.focus = nil
end

-- The number of the answer that is asked for: nil is the first, which is asked for once and kept.
local function take_of(box)
  if not box.another or not box.has "take" then return nil end
  return box.begun and box.take > 1 and box.take or box.take + 1
end

-- What was chosen as the command's settings: texts, as they would be typed; those that this writer has.
local function given(box)
  local values = { with = box.writers[box.writer], to = "", replace = box.replace and "yes" or nil }
  for _, name in ipairs(FIELDS) do
    local typed = box.fields[name]:text()
    if box.has(name) and typed:find "%S" then values[name] = typed:match "^%s*(.-)%s*$" end
  end
  for _, name in ipairs { "style", "focus" } do if box.has(name) then values[name] = box.chosen[name] end end
  local take = take_of(box)
  values.take = take and ("%d"):format(take) or nil
  return values
end

-- The recipe that does it, or nil and what is wrong with what was typed.
local function recipe_of(box)
  local values, paths = given(box), {}
  for i, item in ipairs(box.scopes[box.scope].items) do paths[i] = item.path end
  local ok, made = script.call(function()
    local spec = caption.settings(values)
    return caption.recipe(paths, settings.read(spec, values), spec)
  end)
  if not ok then return nil, type(made) == "table" and made.message or tostring(made) end
  return ("%sphotos:expect { count = { 0, %d } }\n"):format(made, #paths)
end

local function keep(view)
  local box = view.captioning
  local kept = { with = box.writers[box.writer], style = box.chosen.style, focus = box.chosen.focus, take = take_of(box) or box.take,
    begun = take_of(box) ~= nil or nil }
  for _, name in ipairs(FIELDS) do kept[name] = box.fields[name]:text() end
  view.project.settings.captioning = kept
  local word = kept.trigger:match "^%s*(.-)%s*$"
  if word ~= "" then view.project.settings.trigger, view.project.trigger = word, word end
end

-- --- the plan -------------------------------------------------------------------------------------------------------------------------------

local function plan(view)
  local box = view.captioning
  box.recipe, box.trouble = recipe_of(box)
  if not box.recipe then return end
  box.lines, box.planned = {}, nil
  box.child, box.trouble = jobs.child(view, { title = "plan", recipe = box.recipe, plan = true })
end

-- What a line of the plan says of this run: its steps are known, their names are as long as all the pictures'.
local function plain(words)
  if words:find "^plan: " or words:find "^expect " then return nil end
  return words:match "^images .-(%d+ pictures?[:,;].*)$" or words:match "^caption %S+%s+captions: (.*)$" or words
end

local function read_plan(box)
  if not box.child then return end
  local lines, code = box.child:read()
  for _, line in ipairs(lines) do
    local kind, words = jobs.sorted(line.text)
    words = kind == "info" and plain(words) or kind ~= "info" and words or nil
    if kind and words and words:find "%S" then box.lines[#box.lines + 1] = { kind = kind, text = words } end
  end
  if code then box.child, box.planned = nil, code end
end

local function forget_plan(box)
  if box.child then box.child:close() end
  box.child, box.lines, box.planned = nil, nil, nil
end

-- --- doing it -------------------------------------------------------------------------------------------------------------------------------

-- All of these pictures are read by now: how they stand is what undo goes back to.
local function ask(view, box)
  local p = view.project
  local scope = box.scopes[box.scope]
  local about = set.count(#scope.items)
  local before = p.changes:stand(scope.items)
  local word = given(box).trigger
  local shas = {}
  local function came() -- those whose text in force is another now
    for i, item in ipairs(scope.items) do shas[i] = item.sha256 end
    local rows = #shas == #scope.items and p.store:texts(shas) or {}
    local odd = {}
    for _, item in ipairs(scope.items) do
      local row = rows[item.sha256]
      if row and row.id ~= item.row then odd[#odd + 1] = item end
    end
    return #odd > 0 and #p:refresh(odd, true) > 0
  end
  local job, message = jobs.start(view, { title = "captions", recipe = box.recipe, about = "Captions for " .. about, total = #scope.items, came = came,
    ended = function(_, code, words)
      if code == 0 and type(p.settings.captioning) == "table" then p.settings.captioning.begun = nil end
      local count, trouble = p.changes:adopt(before, function(count)
        return count == 1 and #before == 1 and ("caption of %s by a model"):format(before[1].item.name)
          or ("captions by a model for %s"):format(set.count(count))
      end, word and function(caption_text) return (trigger.once(caption_text, word)) end or nil)
      if not count then return ("%s; they cannot be undone here: %s"):format(words, trouble) end
      return ("%s; %s"):format(count == 0 and "no new caption" or set.count(count, "new caption") .. ", Ctrl+Z takes them back", words)
    end })
  if not job then return view:say("bad", message) end
  view:say("info", ("asks for the captions of %s; the button below stops it"):format(about))
end

local function begin(view)
  local box = view.captioning
  local items = box.scopes[box.scope].items
  keep(view)
  view:once_known(items, "Captions for " .. set.count(#items), function() ask(view, box) end)
end

-- --- drawing --------------------------------------------------------------------------------------------------------------------------------

-- A button whose menu has the choices.
local function choice(view, name, area)
  local ui, box, option = view.ui, view.captioning, view.captioning.has(name)
  local value = box.chosen[name] or option.choices[1] -- the first is what it is without
  if ui:button("caption " .. name, rect.left(area, 150, 12), value .. "  \u{25BE}", { tip = option.doc }) then
    local rows = {}
    for _, one in ipairs(option.choices) do
      rows[#rows + 1] = { title = one, on = one == value or nil, run = function() box.chosen[name] = one end }
    end
    ui:open_menu(rows)
  end
end

local HINTS = { model = "the one that the environment or the table of models names", text = "a photo of {stem}", trigger = "the made-up word, if there is one",
  spend = "no ceiling; 0.50 is half a dollar" }
local TITLES = { model = "model", text = "text", trigger = "trigger", spend = "at most $" }

local function wishes(view, area)
  local ui, box = view.ui, view.captioning
  local function line(label)
    local r = rect.top(area, 30, 8)
    ui:label(rect.left(r, LABEL), label, { color = ui.theme.faint })
    return r
  end
  local names = {}
  for i, scope in ipairs(box.scopes) do names[i] = scope.name end
  box.scope = ui:tabs("caption scope", line "for", names, box.scope)
  box.writer = ui:tabs("caption writer", line "by", box.writers, box.writer)
  if box.writers[box.writer] == "auto" then
    local r = rect.new(area.x + LABEL, area.y, area.width - LABEL, area.height)
    local high = ui:paragraph(r, box.auto, { size = theme.size.small, color = box.alone and ui.theme.warning or ui.theme.faint })
    rect.top(area, high, 8)
  end
  local said
  if box.has "style" then
    local r = line "style"
    choice(view, "style", r)
    ui:label(rect.left(r, 50), "focus", { color = ui.theme.faint })
    choice(view, "focus", r)
  end
  for _, name in ipairs(FIELDS) do
    if box.has(name) then
      local r = line(TITLES[name])
      said = ui:field("caption " .. name, r, box.fields[name], { hint = HINTS[name] }) or said
    end
  end
  local low = rect.top(area, 26, 6)
  rect.left(low, LABEL)
  box.replace = ui:check("caption replace", low, "also where a person wrote one; it stays in the history", box.replace)
  if box.has "take" then
    low = rect.top(area, 26, 6)
    rect.left(low, LABEL)
    box.another = ui:check("caption another", low, "another answer, where this was asked before", box.another,
      { tip = "it is asked, and paid, once more; the answer before stays in the history" })
  end
  local foot = rect.bottom(area, 30)
  local scope = box.scopes[box.scope]
  local can = scope and not view.job
  local go = ui:button("caption plan", rect.right(foot, 190, 8), "What would it cost?", { keys = "Enter", first = true, off = not can })
  if can and (said == "enter" or ui:take("return", "keypad enter")) then go = true end
  ui:paragraph(foot, box.trouble or not scope and "there is no picture to ask about" or view.job and "something is at work already"
    or scope.left > 0 and ("%d put aside are left out"):format(scope.left) or "nobody is asked yet", { size = theme.size.small,
    color = box.trouble and ui.theme.bad or ui.theme.faint })
  if go then
    plan(view)
    ui.moving = true -- shown at once
  end
  return said == "escape"
end

local function answer(view, area)
  local ui, box = view.ui, view.captioning
  read_plan(box)
  if box.child then view.ui.moving = true end
  local foot = rect.bottom(area, 30, 10)
  local ready, done, back = box.planned == 0, false, false
  local scope = box.scopes[box.scope]
  local title = #scope.items == 1 and "Caption it" or ("Caption %s"):format(set.count(#scope.items))
  local go = rect.right(foot, ui:button_width(title), 8)
  if ui:button("caption back", rect.right(foot, 90, 8), "Back") then back = true end
  if ui:button("caption go", go, title, { off = not ready, first = true, keys = "Enter" }) or ready and ui:take("return", "keypad enter") then done = true end
  if box.child then ui:progress(rect.inset(foot, 0, 11), nil) end
  ui.w:round(area.x, area.y, area.width, area.height, theme.size.radius, ui.theme.well)
  local inner, high = rect.inset(area, 10, 8), 0
  local style = { size = theme.size.text }
  local blocks = {}
  for i, line in ipairs(box.lines) do
    local lines = ui:wrapped(line.text, inner.width - 14, style)
    blocks[i] = { y = high, height = #lines * ui.window:line_height(style.size) + 5 }
    high = high + blocks[i].height
  end
  ui:scroll("caption plan lines", inner, high, function(offset, seen)
    for i, line in ipairs(box.lines) do
      local sum = line.text:find "^in all: " or line.text:find "^asks "
      ui:paragraph(rect.new(seen.x, seen.y + blocks[i].y - offset, inner.width - 14, blocks[i].height), line.text,
        { bold = sum and line.text:find "^in all: " ~= nil, color = line.kind ~= "info" and ui.theme[line.kind] or sum and ui.theme.text or ui.theme.faint })
    end
  end, { keys = true })
  if back then
    forget_plan(box)
    ui.focus = nil
  end
  if done then
    forget_plan(box)
    begin(view)
  end
  return done
end

--- Draw it; true when it was closed.
---@return boolean closed
function M.draw(view)
  local ui, box, done = view.ui, view.captioning, false
  local closed = ui:dialog("caption", 680, 480, box.lines and "What it would be" or "Captions by a model", function(area)
    if box.lines then done = answer(view, area) else done = wishes(view, area) end
  end)
  if closed then forget_plan(box) end
  if closed or done then ui.focus = nil end
  return closed or done
end

M.actions = {
  { id = "caption", title = "Captions by a model", keys = { "alt+c" }, group = "Write",
    when = function(view) return #view.project.items > 0 end, run = function(view) view:open "captionbox" end },
}

return M
