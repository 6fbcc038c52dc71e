-- What people bring along from other windows: the keys of TagGUI, lists that are chosen from as everywhere, a mouse that reaches everything, a window
-- that is as it was left. This file is also the program that does it, on SDL's dummy display (HABITS_PART).
local loaders = require "native.loader"
local project = require "window.project"
local window = dofile "tests/window.lua"

if not os.getenv "HABITS_PART" then
  test("habits, on SDL's dummy display", function() window.part("tests/test_window_habits.lua", "HABITS_PART=yes") end)
  return
end

local actions = require "window.actions"

local function folder(count)
  local at = tmp "habits"
  os.execute("mkdir -p " .. at)
  window.draw(at .. "/photos", count)
  return at .. "/photos"
end

local function chosen(view)
  local list = {}
  for i, item in ipairs(view.project.order) do if view.project.selected[item] then list[#list + 1] = i end end
  return list
end

test("Shift and an arrow choose the picture where it begins, too, also after others were chosen and left", function()
  local view <close> = window.open(folder(12))
  view.project:go(3)
  window.press(view, "shift+right")
  window.press(view, "shift+right")
  check.equal(chosen(view), { 3, 4, 5 })
  window.press(view, "escape")
  window.press(view, "home")
  window.press(view, "shift+right")
  check.equal(chosen(view), { 1, 2 })
end)

test("while a caption is written PgDn, PgUp, Ctrl+Down and Ctrl+Up go from picture to picture, in the grid too", function()
  local view <close> = window.open(folder(12))
  local p = view.project
  p:go(1)
  window.press(view, "e")
  for i, step in ipairs { { "page down", 2 }, { "ctrl+down", 3 }, { "page up", 2 }, { "ctrl+up", 1 }, { "ctrl+down", 2 } } do
    window.press(view, step[1])
    check.equal({ p.at, view.ui.focus }, { step[2], "caption" }, step[1] .. i)
  end
  window.type(view, "typed there")
  window.press(view, "ctrl+return")
  check.equal(p.items[2].caption:sub(-11), "typed there")
  window.press(view, "escape")
  p:go(1)
  window.press(view, "page down")
  check.ok(p.at > 2, "a screen, while nothing is written")
end)

test("Alt+A is where a tag is added, as Alt+S finds one; Ctrl+Del puts aside and takes back", function()
  local view <close> = window.open(folder(4))
  window.press(view, "alt+a")
  check.equal({ view.pane.tab, view.ui.focus }, { 1, "tags" })
  window.press(view, "escape")
  window.press(view, "ctrl+delete")
  check.ok(view.project:current().reject)
  window.press(view, "ctrl+delete")
  check.equal(view.project:current().reject, nil)
end)

test("words taken out of tags go with their comma; where nobody has them that is said, and no step is made", function()
  local view <close> = window.open(folder(2))
  local p = view.project
  p.changes:write(p.items[1], "1girl, red hair, solo")
  p.changes:write(p.items[2], "A girl with red hair.")
  p:select_all()
  local function take_out(words)
    window.press(view, "a")
    window.type(view, words)
    local buttons = {}
    for _ = 1, 3 do
      window.press(view, "tab")
      buttons[#buttons + 1] = view.ui.focus
    end
    check.equal(buttons, { "ask 1", "ask 2", "ask 3" }) -- as they are read
    window.press(view, "return")
  end
  take_out "red hair"
  check.equal({ p.items[1].caption, p.items[2].caption }, { "1girl, solo", "A girl with ." })
  local before = p.changes:can()
  take_out "blue door"
  check.equal(p.changes:can(), before)
  check.contains(view.ui.toasts[#view.ui.toasts].text, "no caption has that")
  window.press(view, "ctrl+z")
  check.equal({ p.items[1].caption, p.items[2].caption }, { "1girl, red hair, solo", "A girl with red hair." })
end)

test("a click on a line of the keys does it: what no button does the mouse reaches there", function()
  local view <close> = window.open(folder(12), { width = 1100, height = 760 })
  window.settle(view)
  local help, ran, runs = require "window.help", {}, {}
  for i, row in ipairs(actions.list) do runs[i], row.run = row.run, function() ran[row.id] = true end end
  local label, places = view.ui.label, {}
  view.ui.label = function(ui, area, text, how)
    places[text] = { area.x + 8, area.y + area.height / 2, #ui.clips > 0 and ui.clips[#ui.clips] or nil }
    return label(ui, area, text, how)
  end
  local restore <close> = setmetatable({}, { __close = function() for i, row in ipairs(actions.list) do row.run = runs[i] end end }) -- luacheck: ignore
  for _, row in ipairs(actions.list) do
    if row.keys and not row.quiet and actions.can(view, row.id) then
      local words = row.said or row.title
      view:open "help"
      view:pass()
      local place = places[words]
      for _ = 1, 40 do -- the wheel brings those that are not seen
        local clip = place[3]
        local above, below = clip and place[2] < clip.y + 4, clip and place[2] > clip.y + clip.height - 4
        if not above and not below then break end
        window.mouse(view, "move", clip.x + 20, clip.y + 20)
        window.push(view, { kind = "mouse", what = "wheel", x = clip.x + 20, y = clip.y + 20, dx = 0, dy = above and 1 or -1 })
        view:pass()
        place = places[words]
      end
      window.click(view, place[1], place[2])
      check.ok(ran[row.id], row.id)
      check.equal(view.dialog, nil, row.id)
    end
  end
  view:open "help"
  view:pass()
  check.equal(view.dialog, help)
end)

test("the brightness of a picture is told with the other measures", function()
  local view <close> = window.open(folder(1))
  window.press(view, "alt+b")
  local said
  local label = view.ui.label
  view.ui.label = function(ui, area, text, how)
    if said then said[text] = true end
    return label(ui, area, text, how)
  end
  window.settle(view)
  said = {}
  view:pass()
  check.ok(said.sharpness and said.brightness, "measures")
end)

test("size and pane are kept for the next time; a window of any other size is none", function()
  local at = folder(2)
  local store = at .. "/../.calotype"
  do
    local view <close> = window.open(at, { width = 940, height = 620 })
    window.press(view, "alt+h")
    view:keep()
  end
  local p = check.ok(project.open(at, { store = store }))
  check.equal({ p.settings.width, p.settings.height, p.settings.tab }, { 940, 620, 2 })
  local sizes = require "window.view".size
  check.equal({ sizes(p.settings) }, { 940, 620 })
  check.equal({ sizes { width = 3, height = "x" } }, { 1280, 800 })
  check.equal({ sizes { width = 1e9, height = 700.5 } }, { 1280, 800 })
  p:close()
  local view <close> = window.open(at)
  check.equal(view.pane.tab, 2)
end)

test("a folder is told whose tokens are counted and which word is marked; both are remembered, and forgotten", function()
  local at = folder(2)
  local store = at .. "/../.calotype"
  local function open(params)
    local p, message, code = project.open(at, { store = store, params = params })
    if not p then return nil, message, code end
    local counted = { p.tokens.most, select(2, p.tokens:count "a red door"), p.trigger }
    p:keep()
    p:close()
    return counted
  end
  check.equal(open(), { 75, false, nil })
  check.equal(open { base = "examples/models/tiny", trigger = "zkr" }, { 30, true, "zkr" })
  check.equal(open {}, { 30, true, "zkr" })
  check.equal(open { base = "", trigger = "" }, { 75, false, nil })
  check.refused("base=photos/none: ", open { base = "photos/none" })
  check.refused("has no setting 'bas'", open { bas = "examples/models/tiny" })
  check.equal(open(), { 75, false, nil })
end)

test("the trigger is marked where the caption has it, also while it is typed", function()
  local at = folder(1)
  local view <close> = window.open(at)
  local p = view.project
  p.trigger = "zkr"
  p.changes:write(p.items[1], "a zkr door")
  view:pass()
  check.equal({ view.editor.marks[1][1], view.editor.marks[1][2] }, { 2, 5 })
  local before = window.shot(view)
  p.trigger = nil
  local mean = window.apart(before, window.shot(view))
  check.ok(mean > 0, "it is to be seen")
  p.trigger = "zkr"
  window.press(view, "e")
  window.type(view, " zkr")
  view:pass()
  check.equal(#view.editor.marks, 2)
end)

test("what is scrolled past is asked for no more: only what is seen is decoded", function()
  local at = folder(400)
  local p = check.ok(project.open(at, { store = at .. "/../.calotype" }))
  p:close()
  local loader = loaders.open
  local asked, forgotten = {}, {}
  loaders.open = function(...) -- that notes what is asked, and answers nothing: all is slower than the person
    local real = assert(loader(...))
    return setmetatable({}, { __index = {
      ask = function(_, tag, wish)
        if wish.what == "thumb" or wish.what == nil then asked[tag] = true end
        return true
      end,
      forget = function(_, tag) forgotten[tag], asked[tag] = true, nil end, next = function() end, pending = function() return 0 end,
      close = function() real:close() end } })
  end
  local view <close> = window.open(at)
  loaders.open = loader
  local function count(t) local n = 0 for _ in pairs(t) do n = n + 1 end return n end
  for _ = 1, 3 do view:pass() end -- what was asked before the window had its size is asked for no more
  local first = count(asked)
  check.ok(first > 0 and first <= #view.visible, ("%d asked, %d seen"):format(first, #view.visible))
  for _ = 1, 10 do
    window.press(view, "page down")
    view:pass()
  end
  view:pass()
  check.ok(count(asked) <= 2 * #view.visible, count(asked) .. " are still asked for")
  check.ok(count(forgotten) >= first, "the first are asked for no more")
end)
