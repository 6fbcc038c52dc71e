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
local planbox = require "window.planbox"
local place = require "recipe.place"
local providers = require "recipe.providers"
local rect = require "window.rect"
local schema = require "recipe.schema"
local script = require "native.script"
local set = require "recipe.set"
local settings = require "assistant.settings"
local text = require "window.text"
local theme = require "window.theme"
local trigger = require "recipe.trigger"

local M = {}

local WRITERS = { "auto", "gemini", "openai", "huggingface", "blip", "wd14", "template" }
local LOCAL = { blip = true, wd14 = true } -- at work on this machine: their model is a folder
local LABEL = 96

-- What is typed: its name here, the option it is (another name where it is not the same for all), whose it is (nil: of all that have such an option).
local FIELDS = {
  { name = "model", remote = true, title = "model", hint = "the one that the environment or the table of models names" },
  { name = "blip", option = "model", by = "blip", title = "folder" },
  { name = "prompt", by = "blip", title = "begins with", hint = "words that each caption goes on from: a picture of" },
  { name = "penalty", by = "blip", title = "penalty" },
  { name = "wd14", option = "model", by = "wd14", title = "folder" },
  { name = "threshold", by = "wd14", title = "tags" },
  { name = "character_threshold", by = "wd14", title = "characters" },
  { name = "text", title = "text", hint = "a photo of {stem}" },
}
for _, writer in ipairs(WRITERS) do FIELDS[#FIELDS + 1] = { name = "more " .. writer, by = writer, more = true, title = "options" } end -- as in a recipe
table.move({
  { name = "trigger", title = "trigger", hint = "the made-up word, if there is one: for caption files and exports",
    tip = "it is put into caption files that are written and into exports; the store keeps the model's own words" },
  { name = "spend", title = "at most $", hint = "no ceiling; 0.50 is half a dollar" },
}, 1, 2, #FIELDS + 1, FIELDS)

local CHOSEN = { style = true, focus = true, take = true } -- options with another place than a field

-- Whether a field is this writer's.
local function belongs(field, writer) return (not field.by or field.by == writer) and not (field.remote and LOCAL[writer]) end

local rests = {} -- writer -> its rest

-- The options of a writer that have no place of their own: they are typed in one line.
local function rest_of(writer)
  if rests[writer] then return rests[writer] end
  local spec, placed, rest = caption.settings { with = writer }, {}, {}
  for _, field in ipairs(FIELDS) do if belongs(field, writer) then placed[field.option or field.name] = true end end
  for _, option in ipairs(providers.by_name[writer].options or {}) do
    if spec.by_name[option.name] and not placed[option.name] and not CHOSEN[option.name] then rest[#rest + 1] = option end
  end
  rests[writer] = rest
  return rest
end

-- --- what is wanted -------------------------------------------------------------------------------------------------------------------------

--- Which pictures may be meant; what is put aside is asked about by nobody.
---@param rule { lacks: fun(item: table): boolean; lacking: string; wants?: fun(item: table): boolean } wants: nothing else is meant
---@return { name: string, items: table[], left: integer }[]
function M.scopes(view, rule)
  local p = view.project
  local list = {}
  local function scope(name, items, counted)
    local kept = {}
    for _, item in ipairs(items) do if not item.reject and not item.error and (not rule.wants or rule.wants(item)) then kept[#kept + 1] = item end end
    if #kept > 0 then list[#list + 1] = { name = counted and ("%s (%d)"):format(name, #kept) or name, items = kept, left = #items - #kept } end
  end
  scope("this one", { p:current() })
  local selected = p:selection()
  if #selected > 1 then scope("the selected", selected, true) end
  local without = {}
  for _, item in ipairs(p.order) do if rule.lacks(item) then without[#without + 1] = item end end
  scope(rule.lacking, without, true)
  if #p.order > 1 and #p.order ~= #without then scope("all that are shown", p.order, true) end
  return list
end

local function writer_of(box) return box.writers[box.writer] end

-- A provider's option: its default is what an empty field stands for.
local function option_of(provider, name)
  for _, option in ipairs(providers.by_name[provider].options) do if option[1] == name then return option end end
end

-- Where the model of a writer on this machine lies.
local function folder_of(writer, typed)
  local folder = typed:match "^%s*(.-)%s*$"
  if folder == "" then folder = option_of(writer, "model").default end
  return folder
end

-- What an empty field stands for, and what is told of it where the mouse rests.
local function hint_of(field)
  if field.more then
    local parts, lines = {}, {}
    for i, option in ipairs(rest_of(field.by)) do
      local usual, range = option.default, schema.range_text(option)
      parts[i] = option.name .. (type(usual) ~= "table" and usual ~= nil and usual ~= "" and " = " .. schema.show(usual) or "")
      lines[i] = ("%s: %s%s"):format(option.name, option.doc, range and "; " .. range or "")
    end
    return table.concat(parts, ", "), table.concat(lines, "\n")
  end
  local option = option_of(field.by, field.option or field.name)
  return settings.shown(option) .. (option[2] == "number" and ": " .. option.doc or "")
end

local function kept_of(p) return type(p.settings.captioning) == "table" and p.settings.captioning or {} end

--- Ready for one more; what was chosen last is still there.
function M.opened(view)
  local p = view.project
  p.changes:commit()
  local kept = kept_of(p)
  local writers = table.move(WRITERS, 1, #WRITERS, 1, {})
  if view.fakes then writers[#writers + 1] = "fake" end
  local box = { writers = writers, writer = 1, scope = 1, chosen = {}, fields = {}, replace = false,
    scopes = M.scopes(view, { lacks = function(item) return not item.caption:find "%S" end, lacking = "those without" }),
    take = math.type(kept.take) == "integer" and kept.take >= 1 and kept.take or 1, begun = kept.begun == true }
  box.another = box.begun -- a run that was stopped goes on with the answers that it has
  local name, why = auto.choose()
  box.alone = not name
  box.auto = name and ("auto is %s here: %s says so"):format(name, why) or "auto: " .. caption.KEY .. "choose blip or wd14, which are at work here, or template"
  for i, writer in ipairs(writers) do
    local first = not kept.with and box.alone and box.writer == 1 and LOCAL[writer] and folder_of(writer, "")
    if writer == kept.with or first and not select(2, planbox.about(first)) then box.writer = i end
  end
  for i, scope in ipairs(box.scopes) do if scope.name:find("selected", 1, true) then box.scope = i end end
  for _, field in ipairs(FIELDS) do
    local was = kept[field.name]
    box.fields[field.name] = text.new(type(was) == "string" and was or field.name == "trigger" and p.trigger or "", { single = true })
  end
  box.chosen.style, box.chosen.focus = kept.style, kept.focus
  box.has = function(option) -- whether this writer has such an option
    local spec = caption.settings { with = writer_of(box) }
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

-- What can be typed for this writer: the field, what stands in it, and its option's name.
local function typed(box)
  local i, writer = 0, writer_of(box)
  return function()
    repeat
      i = i + 1
      local field = FIELDS[i]
      local option = field and (field.option or field.name)
      if field and belongs(field, writer) and (field.more and #rest_of(writer) > 0 or box.has(option)) then
        return field, box.fields[field.name]:text():match "^%s*(.-)%s*$", option
      end
    until not field
  end
end

-- How the line of an option that has one is called, where that is another name.
local function titled(writer, option)
  for _, field in ipairs(FIELDS) do
    if belongs(field, writer) and (field.option or field.name) == option and field.title ~= option then return ": " .. field.title end
  end
  return ""
end

-- What stands in the line of options. Raises for what the writer does not have, or not so, and for what is set in another place.
local function more_of(writer, words)
  local values, rest = settings.parse(words), {}
  settings.read(providers.by_name[writer], values)
  for _, option in ipairs(rest_of(writer)) do rest[option.name] = true end
  for name in pairs(values) do if not rest[name] then place.fail(nil, ("%s has a place of its own in this box%s"):format(name, titled(writer, name))) end end
  return values
end

-- What was chosen as the command's settings: texts, as they would be typed; those that this writer has.
local function given(box)
  local values = { with = writer_of(box), to = "", replace = box.replace and "yes" or nil }
  for field, words, option in typed(box) do
    if field.more then for name, value in pairs(more_of(field.by, words)) do values[name] = value end
    elseif words ~= "" then values[option] = words end
  end
  for _, name in ipairs { "style", "focus" } do if box.has(name) then values[name] = box.chosen[name] end end
  local take = take_of(box)
  values.take = take and ("%d"):format(take) or nil
  return values
end

-- The recipe that does it, or nil and what is wrong with what was typed.
local function recipe_of(box)
  local paths = {}
  for i, item in ipairs(box.scopes[box.scope].items) do paths[i] = item.path end
  local ok, made = script.call(function()
    local values = given(box)
    local spec = caption.settings(values)
    return caption.recipe(paths, settings.read(spec, values), spec)
  end)
  if not ok then return nil, made.hint and ("%s: %s"):format(made.message, made.hint) or tostring(made) end
  return ("%sphotos:expect { count = { 0, %d } }\n"):format(made, #paths)
end

local function trigger_of(box)
  local word = box.fields.trigger:text():match "^%s*(.-)%s*$"
  return word ~= "" and word or nil
end

-- What was wished for is there the next time; the number of the answer only once it is asked for.
local function keep(view, asked)
  local box, before = view.captioning, kept_of(view.project)
  local kept = { with = writer_of(box), style = box.chosen.style, focus = box.chosen.focus, take = before.take, begun = before.begun }
  if asked then kept.take, kept.begun = take_of(box) or box.take, take_of(box) ~= nil or nil end
  for _, field in ipairs(FIELDS) do kept[field.name] = box.fields[field.name]:text() end
  view.project.settings.captioning = kept
  local word = trigger_of(box)
  if word and asked then view.project.settings.trigger, view.project.trigger = word, word end
end

-- --- the plan -------------------------------------------------------------------------------------------------------------------------------

local function plan(view)
  local box = view.captioning
  local scope = box.scopes[box.scope]
  planbox.leave_gone(view, scope)
  if #scope.items == 0 then return end
  box.recipe, box.trouble = recipe_of(box)
  if box.recipe then keep(view, false) end
  if box.recipe then planbox.start(view, box, box.recipe, LOCAL[writer_of(box)] and { planbox.HERE } or nil) end
end

-- --- doing it -------------------------------------------------------------------------------------------------------------------------------

-- All of these pictures are read by now: how they stand is what undo goes back to.
local function ask(view, box)
  local p = view.project
  local scope = box.scopes[box.scope]
  if planbox.leave_gone(view, scope) > 0 then
    if #scope.items == 0 then return end
    box.recipe = recipe_of(box)
  end
  local about = set.count(#scope.items)
  local before = p.changes:stand(scope.items)
  local word = trigger_of(box)
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
      local left, parts = 0, { count == 0 and "no new caption" or set.count(count, "new caption") .. ", Ctrl+Z takes them back" }
      for _, item in ipairs(scope.items) do if not item.caption:find "%S" then left = left + 1 end end
      if code == 0 and left > 0 then parts[2] = ("%s left without"):format(set.count(left) .. (left == 1 and " is" or " are")) end
      parts[#parts + 1] = words
      return table.concat(parts, "; "), #parts == 3 and "warning" or nil
    end })
  if not job then return view:say("bad", message) end
  view:say("info", ("%s the captions of %s; the button below stops it"):format(LOCAL[writer_of(box)] and "writes" or "asks for", about))
end

local function begin(view)
  local box = view.captioning
  local items = box.scopes[box.scope].items
  keep(view, true)
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

-- What is to be said of who writes, before anything is asked.
local function about(view, box)
  local writer = writer_of(box)
  if writer == "auto" then return box.auto, box.alone end
  if not LOCAL[writer] then return nil end
  return planbox.typed(view.ui, box, "caption " .. writer, folder_of(writer, box.fields[writer]:text()))
end

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
  local writer = ui:tabs("caption writer", line "by", box.writers, box.writer)
  if writer ~= box.writer then box.writer, box.trouble = writer, nil end
  local words, lacking = about(view, box)
  if words then
    local r = rect.new(area.x + LABEL, area.y, area.width - LABEL, area.height)
    local high = ui:paragraph(r, words, { size = theme.size.small, color = lacking and ui.theme.warning or ui.theme.faint })
    rect.top(area, high, 8)
  end
  local said
  if box.has "style" then
    local r = line "style"
    choice(view, "style", r)
    ui:label(rect.left(r, 50), "focus", { color = ui.theme.faint })
    choice(view, "focus", r)
  end
  for field in typed(box) do
    local hint, tip = field.hint, field.tip
    if not hint then hint, tip = hint_of(field) end
    said = ui:field("caption " .. field.name, line(field.title), box.fields[field.name], { hint = hint, tip = tip }) or said
  end
  if said == "changed" then box.trouble = nil end
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
  if scope and #scope.items == 0 then scope = nil end -- all of it went
  local can, here = scope and not view.job, LOCAL[writer_of(box)]
  local go = ui:button("caption plan", rect.right(foot, 190, 8), here and "What would it do?" or "What would it cost?",
    { keys = "Enter", first = true, off = not can })
  if can and (said == "enter" or ui:take("return", "keypad enter")) then go = true end
  local says = box.trouble or not scope and "there is no picture to ask about" or view.job and "something is at work already"
    or scope.left > 0 and ("%d put aside or unreadable are left out"):format(scope.left) or here and "nothing is done yet" or "nobody is asked yet"
  local style = { size = theme.size.small, color = box.trouble and ui.theme.bad or ui.theme.faint }
  local over = math.max(#ui:wrapped(says, foot.width, style) * ui.window:line_height(style.size) - foot.height, 0) -- what is long grows upwards
  ui:paragraph(rect.new(foot.x, foot.y - over, foot.width, foot.height + over), says, style)
  if go then
    plan(view)
    ui.moving = true -- shown at once
  end
  return said == "escape"
end

local function answer(view, area)
  local box = view.captioning
  local items = box.scopes[box.scope].items
  local what = planbox.draw(view, box, area, #items == 1 and "Caption it" or ("Caption %s"):format(set.count(#items)))
  if what == "go" then begin(view) end
  return what == "go"
end

--- Draw it; true when it was closed.
---@return boolean closed
function M.draw(view)
  local ui, box, done = view.ui, view.captioning, false
  local closed = ui:dialog("caption", 680, 520, box.lines and "What it would be" or "Captions by a model", function(area)
    if box.lines then done = answer(view, area) else done = wishes(view, area) end
  end)
  if closed then planbox.forget(box) end
  if closed or done then ui.focus = nil end
  return closed or done
end

M.actions = {
  { id = "caption", title = "Captions by a model", keys = { "alt+c" }, group = "Write",
    when = function(view) return #view.project.items > 0 end, run = function(view) view:open "captionbox" end },
}

return M
