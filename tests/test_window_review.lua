-- Looking and writing in the window, event by event: window/view.lua and what it draws, with SDL's dummy display. This file is also the program
-- that does it: with REVIEW_PART set (SDL reads its environment once).
local part = os.getenv "REVIEW_PART"

if not part then
  local window = dofile "tests/window.lua"
  test("pictures are looked at and written about", function() window.part("tests/test_window_review.lua", "REVIEW_PART=1") end)
  return
end

local actions = require "window.actions"
local fs = require "native.fs"
local image = require "native.image"
local loaders = require "native.loader"
local project = require "window.project"
local tags = require "window.tags"
local views = require "window.view"
local windows = require "native.window"

-- A window on a folder of pictures; `texts` are their caption files. view.at["id"]: where a widget was drawn last.
local function open(texts, options)
  options = options or {}
  local at = options.at or tmp "review"
  os.execute("mkdir -p " .. at .. "/photos")
  for i = 1, options.at and 0 or math.max(#texts, options.count or 0) do
    check.ok(image.new(64 + i, 48, { (40 * i) % 256, 90, 200 }):save(("%s/photos/p%02d.png"):format(at, i)))
    if texts[i] then check.ok(fs.write(("%s/photos/p%02d.txt"):format(at, i), texts[i])) end
  end
  local p = check.ok(project.open(at .. "/photos", { store = at .. "/.calotype" }))
  local w = check.ok(windows.open { title = "review", width = options.width or 1280, height = options.height or 800, least = { 400, 300 } })
  local loader = check.ok(loaders.open(p.store, {}))
  local view = views.new(w, p, loader)
  view.at, view.folder = {}, at
  local ui = view.ui
  local class = getmetatable(ui).__index
  function ui:clicked(id, area, button)
    view.at[id] = { x = area.x, y = area.y, width = area.width, height = area.height }
    return class.clicked(self, id, area, button)
  end
  local closing = setmetatable({}, { __close = function() loader:close() p:close() w:close() end })
  view:pass()
  view:pass()
  return view, closing
end

local function press(view, name)
  local event = { kind = "key", key = name:match "[^+]+$" or "+" }
  for part_of in name:gmatch "(%a+)%+" do event[part_of] = true end
  view:pass(event)
  view:pass()
end

local function write(view, words)
  for _, code in utf8.codes(words) do view:pass { kind = "text", text = utf8.char(code) } end
  view:pass()
end

local function click(view, id, button, where)
  local area = check.ok(view.at[id], "nothing on the screen is " .. id)
  local x, y = area.x + area.width * (where or 0.5), area.y + area.height / 2
  view:pass { kind = "mouse", what = "move", x = x, y = y }
  view:pass { kind = "mouse", what = "down", x = x, y = y, button = button or "left", clicks = 1 }
  view:pass { kind = "mouse", what = "up", x = x, y = y, button = button or "left", clicks = 1 }
  view:pass()
end

test("a tag is completed under the caret, with Tab, Ctrl+Enter, the arrows and the mouse", function()
  local view, _ <close> = open { "red_hair, solo", "red_hair, stone", "standing, solo", "a" }
  local p = view.project
  p:go(4)
  press(view, "f2")
  write(view, ", re")
  check.equal(view.completing.rows, { { "red hair", 2 } })
  press(view, "tab")
  check.equal(p:current().draft, "a, red_hair")
  check.equal(view.ui.focus, "caption")
  write(view, ", st")
  press(view, "down")
  press(view, "ctrl+return")
  check.equal(p:current().draft, "a, red_hair, stone")
  check.equal(p.at, 4)
  write(view, ", s")
  press(view, "escape")
  check.equal(view.completing, nil)
  check.equal(view.ui.focus, "caption")
  write(view, "o")
  click(view, "completion 1")
  check.equal(p:current().draft, "a, red_hair, stone, solo")
  press(view, "ctrl+return") -- nothing to complete: it is kept, and the next one written
  check.equal(p.items[4].caption, "a, red_hair, stone, solo")
end)

test("what stands behind the caret and the other tags stay as they are", function()
  local view, _ <close> = open { "red_hair, solo", "x,  y ,z" }
  local p = view.project
  p:go(2)
  press(view, "f2")
  press(view, "home")
  for _ = 1, 6 do press(view, "right") end -- before the second comma
  write(view, " re")
  check.equal(view.completing, nil) -- "y re" is no tag of anyone
  view.editor.document:set "x, re ,z"
  view.editor.document:select(4, 4)
  view.project.changes:type(p:current(), "x, r ,z")
  view.editor.item = nil
  view:pass()
  view.editor.document:select(4, 4)
  write(view, "e")
  press(view, "tab")
  check.equal(p:current().draft, "x, red_hair ,z")
end)

test("sentences are not completed", function()
  local view, _ <close> = open { "red_hair, solo", "A door. It is red" , "" }
  view.project:go(2)
  press(view, "f2")
  write(view, ", so")
  check.equal(view.completing, nil)
  view.project:go(3)
  press(view, "f2")
  write(view, "A stone lies before the door. so")
  check.equal(view.completing, nil)
end)

test("where most captions are sentences the first word is not completed either", function()
  local view, _ <close> = open { "standing, solo", "A door is there. It is red", "The door is there. It stands", "" }
  view.project:go(4)
  press(view, "f2")
  write(view, "st")
  check.equal(view.completing, nil)
end)

test("stars and putting aside by the mouse, for all that are chosen", function()
  local view, _ <close> = open { "a", "b", "c" }
  local p = view.project
  click(view, "stars", "left", 0.7) -- the fourth
  check.equal({ p.items[1].star, p.items[2].star }, { 4, 0 })
  click(view, "stars", "left", 0.7) -- the same again: none
  check.equal(p.items[1].star, 0)
  p:select_all()
  click(view, "stars", "left", 0.1)
  check.equal({ p.items[1].star, p.items[2].star, p.items[3].star }, { 1, 1, 1 })
  click(view, "aside")
  check.ok(p.items[1].reject and p.items[3].reject)
  click(view, "aside")
  check.equal(p.items[2].reject, nil)
end)

test("the bar below a large picture goes on, and nearer", function()
  local view, _ <close> = open { "a", "", "c", "" }
  press(view, "space")
  click(view, "bar next without")
  check.equal(view.project.at, 2)
  click(view, "bar next")
  check.equal(view.project.at, 3)
  click(view, "bar previous")
  check.equal(view.project.at, 2)
  click(view, "picture menu")
  check.ok(view.ui.menu)
  press(view, "escape")
  check.equal(view.ui.menu, nil)
end)

test("Ctrl and the wheel make the thumbnails larger and smaller", function()
  local view, _ <close> = open { "a", "b" }
  local before = view.thumb
  view:pass { kind = "mouse", what = "move", x = 100, y = 200 }
  view:pass { kind = "mouse", what = "wheel", x = 100, y = 200, dx = 0, dy = 1, ctrl = true }
  check.ok(view.thumb > before)
  view:pass { kind = "mouse", what = "wheel", x = 100, y = 200, dx = 0, dy = -1, ctrl = true }
  check.equal(view.thumb, before)
end)

test("undo goes to what it changed, when that is shown", function()
  local view, _ <close> = open { "a", "b", "c" }
  local p = view.project
  check.ok(p.changes:star({ p.items[3] }, 5))
  press(view, "ctrl+z")
  check.equal(p:current(), p.items[3])
  p:go(1)
  press(view, "ctrl+y")
  check.equal(p:current(), p.items[3])
  p:go(1)
  check.ok(p:filter "caption:a")
  press(view, "ctrl+z")
  check.equal(p:current(), p.items[1])
end)

test("the filter's words are shown, and one that is taken is looked for", function()
  local view, _ <close> = open { "a door", "b", "" }
  press(view, "shift+f1")
  check.ok(view.dialog)
  for _ = 1, 2 do press(view, "down") end
  press(view, "return")
  check.equal(view.dialog, nil)
  check.equal(view.filter:text(), "tag:door")
  check.equal(view.ui.focus, "filter")
  click(view, "filter none")
  check.equal({ view.filter:text(), #view.project.order }, { "", 3 })
end)

test("the menu of orders has every order of a project", function()
  local view, _ <close> = open { "a" }
  click(view, "sort")
  local titles = {}
  for _, row in ipairs(view.ui.menu.rows) do titles[row.title] = true end
  for name in pairs(project.sorts) do check.ok(titles["by " .. name], "by " .. name .. " is missing") end
end)

test("the menu has by the mouse what has no button; F10 opens it, too, and one that is higher than the window scrolls", function()
  local view, _ <close> = open({ "a", "b" }, { width = 640, height = 300 })
  click(view, "menu")
  local titles = {}
  for _, row in ipairs(check.ok(view.ui.menu).rows) do if row ~= "-" then titles[row.title] = true end end
  for _, id in ipairs { "export", "replace", "twins", "reload", "beside", "fullscreen" } do check.ok(titles[actions.by_id[id].title], id) end
  check.equal(titles[actions.by_id.train.title], nil) -- there is no training here
  local last = #view.ui.menu.rows
  press(view, "end")
  check.equal(view.ui.menu.at, last)
  check.ok(view.at["menu " .. last].y < 300, "the last row is out of sight")
  press(view, "escape")
  check.equal(view.ui.menu, nil)
  press(view, "f10")
  for _ = 1, 4 do press(view, "tab") end
  press(view, "return")
  check.equal(view.dialog, require "window.replacebox")
  press(view, "escape")
  press(view, "shift+f10")
  check.ok(view.ui.menu)
  press(view, "escape")
end)

test("Tab goes through the bar as it stands there, and to a dialog's cross last", function()
  local view, _ <close> = open { "a", "b" }
  local seen = {}
  for i = 1, 6 do
    press(view, "tab")
    seen[i] = view.ui.focus
  end
  check.equal(seen, { "menu", "filter", "filter help button", "show grid", "show single", "sort" })
  press(view, "escape")
  press(view, "ctrl+r")
  press(view, "shift+tab")
  check.equal(view.ui.focus, "replace close")
  press(view, "escape")
end)

test("what would be taken back stands below, and a click takes it back", function()
  local view, _ <close> = open { "a", "b" }
  check.equal(view.at["status undo"], nil)
  press(view, "3")
  click(view, "status undo")
  check.equal(view.project.items[1].star, 0)
end)

test("the page of keys is moved by keys", function()
  local view, _ <close> = open({ "a" }, { height = 400 })
  press(view, "f1")
  local kept = view.ui:kept "help"
  press(view, "page down")
  local page = kept.offset
  check.ok(page > 100)
  press(view, "end")
  check.ok(kept.offset > page)
  press(view, "down")
  press(view, "home")
  check.equal(kept.offset, 0)
end)

test("a tag in the list is given, taken out and renamed by the keyboard, its menu opens, too", function()
  local view, _ <close> = open { "red hair, solo", "solo", "a" }
  local p = view.project
  p:go(3)
  view:focus "tag rows"
  for _ = 1, 3 do view:pass() end
  check.equal(view.pane.list[view.pane.row][1], "solo")
  press(view, "return")
  check.equal(p:current().caption, "a, solo")
  press(view, "delete")
  check.equal({ p:current().caption, p:current().reject }, { "a", nil })
  press(view, "application")
  check.equal(view.ui.menu.rows[1].title, "Show the pictures with it")
  press(view, "escape")
  view:focus "tag rows"
  press(view, "f2")
  check.ok(view.dialog)
  write(view, "alone")
  press(view, "return")
  check.equal({ p.items[1].caption, p.items[2].caption }, { "red hair, alone", "alone" })
end)

test("find and replace offers what there is, and shows in a long caption the place that changes", function()
  local view, _ <close> = open { ("word "):rep(60) .. "door", "a door" }
  local p = view.project
  press(view, "ctrl+r")
  check.equal(view.replacing.names, { "all (2)" })
  press(view, "escape")
  p:select(p.items[2], "add")
  check.ok(p:filter "door")
  press(view, "ctrl+r")
  check.equal({ view.replacing.names, view.replacing.scope }, { { "all (2)", "selected (1)" }, 1 })
  local shown, real = {}, view.ui.label
  function view.ui:label(area, text, how)
    shown[text] = how and how.color
    return real(self, area, text, how)
  end
  write(view, "door")
  press(view, "tab")
  write(view, "t\u{FC}r")
  view.ui.label = nil
  check.equal({ shown["door"], shown["t\u{FC}r"] }, { view.ui.theme.bad, view.ui.theme.good })
  check.ok(shown["a "])
  check.ok(not shown[("word "):rep(60)], "the place that changes is out of sight")
end)

test("where no picture is to be seen it says why, and a button shows all again", function()
  local view, _ <close> = open { "a", "b" }
  local said, real = {}, view.ui.label
  function view.ui:label(area, text, how)
    said[text] = true
    return real(self, area, text, how)
  end
  for _, screen in ipairs { "grid", "single" } do
    view:show(screen)
    view.filter:set "zzzz"
    view:look_for()
    view:pass()
    check.ok(said["No picture matches the filter"])
    check.ok(not actions.can(view, "next") and not actions.can(view, "fit"))
    click(view, "nothing show all")
    check.equal({ view.filter:text(), #view.project.order }, { "", 2 })
    said = {}
  end
  check.ok(actions.can(view, "next"))
  view:show "grid"
  view.filter:set "zzzz"
  view:look_for()
  view.filter:set "stars:>x"
  view:look_for()
  view:pass()
  check.ok(said["The filter is not understood"])
  check.equal(said["No picture matches the filter"], nil)
end)

test("an empty folder says where pictures come from", function()
  local at = tmp "none"
  os.execute("mkdir -p " .. at .. "/photos")
  local view, _ <close> = open({}, { at = at })
  local said, real = "", view.ui.label
  function view.ui:label(area, text, how)
    said = said .. text .. "\n"
    return real(self, area, text, how)
  end
  view:pass()
  check.contains(said, "No pictures here yet\nDrop pictures")
  check.equal(view.at["nothing show all"], nil) -- no filter hides any
end)

test("a picture without a caption says so when the mouse rests on it; one that is put aside says why", function()
  local view, _ <close> = open { "", "a" }
  check.ok(view.project.changes:reject({ view.project.items[2] }, "blurred"))
  local spots = {}
  local real = view.ui.tip
  function view.ui:tip(area, text)
    spots[#spots + 1] = text
    return real(self, area, text)
  end
  local wide = view.thumb
  view:pass { kind = "mouse", what = "move", x = view.spot.x + wide / 2, y = view.spot.y + wide / 2 }
  check.contains(spots[#spots], "no caption yet")
  view:pass { kind = "mouse", what = "move", x = view.spot.x + wide * 1.5 + 16, y = view.spot.y + wide / 2 }
  check.contains(spots[#spots], "put aside: blurred")
end)

test("pictures side by side are looked at nearer by the keys, too, and as a whole again", function()
  local view, _ <close> = open { "a", "b" }
  press(view, "c")
  check.equal({ view.screen, view.near.near }, { "compare", 1 })
  press(view, "ctrl+=")
  check.equal(view.near.near, 1.25)
  press(view, "ctrl+-")
  press(view, "ctrl+-")
  check.equal(view.near.near, 1)
  press(view, "ctrl+=")
  press(view, "ctrl+0")
  check.equal(view.near.near, 1)
end)

test("what a dialog or a menu covered is seen as soon as it is gone", function()
  local view, _ <close> = open { "a" }
  dofile("tests/window.lua").settle(view) -- no picture comes meanwhile
  local without = check.ok(view.window:screenshot())
  press(view, "f1")
  check.ok(check.ok(view.window:screenshot()) ~= without)
  view.wait = 0
  view.window:push { kind = "key", key = "escape" }
  local _, dialog = view:turn(0.2), view.dialog
  check.equal(dialog, nil)
  for _ = 1, 4 do -- in that turn, not at the next blink
    check.ok(check.ok(view.window:screenshot()) == without)
    view:turn(0.02)
  end
end)

test("tags are counted to the end, and then no more", function()
  local view, _ <close> = open({ "red hair, solo", "solo, sky" }, { count = 2 })
  for _ = 1, 5 do view:pass() end
  check.equal(view.pane.list[1], { "solo", 2 })
  check.equal(view.ui.moving, false)
  local index = tags.index()
  local items = { { caption = "Red_Hair, solo" }, { caption = "red hair, sky" } }
  check.ok(index:update(items))
  check.equal({ index:written "red hair", index.seen }, { "Red_Hair", 2 })
  items[1].caption = "It is a door. A red one"
  check.ok(index:update(items))
  check.equal({ index:count "red hair", index:count "solo", index.seen }, { 1, 0, 1 })
end)

-- A folder to drop from: `good` pictures with captions, and what cannot be taken.
local function elsewhere(good)
  local from = tmp "from"
  os.execute("mkdir -p " .. from)
  for i = 1, good do
    check.ok(image.new(100 + i % 50, 40 + i // 50, { i % 256, 9, 70 }):save(("%s/n%03d.png"):format(from, i)))
    check.ok(fs.write(("%s/n%03d.txt"):format(from, i), "new " .. i))
  end
  check.ok(fs.write(from .. "/bad.png", "no picture"))
  check.ok(fs.write(from .. "/words.txt", "no picture"))
  return from
end

local function drop(view, ...)
  for _, path in ipairs { ... } do view:dropped { kind = "drop", path = path } end
  view:dropped { kind = "dropped" }
  view:pass()
  view:pass()
end

test("dropped pictures are copied once a person said so, a slice at a time; what is refused is named", function()
  local view, _ <close> = open { "a", "b" }
  local p, from = view.project, elsewhere(120)
  drop(view, from, from .. "/words.txt")
  check.equal({ #view.dropping.list, #p.items }, { 122, 2 }) -- nothing is done yet
  press(view, "return")
  local turns, worst = 0, 0
  while view.dialog and not p.adding.done do
    local before = p.adding.at
    p:work(0)
    worst = math.max(worst, p.adding.at - before)
    view:pass()
    turns = turns + 1
  end
  check.ok(turns > 3 and worst < 120, ("%d turns, %d at once"):format(turns, worst))
  view:pass()
  check.ok(view.dialog) -- the refused are read first
  check.equal(#p.adding.refused, 2)
  press(view, "escape")
  check.equal(view.dialog, nil)
  check.equal({ #p.items, p:current().name, p:current().caption }, { 122, "n001.png", "new 1" })
  check.ok(fs.stat(from .. "/n001.png")) -- copied, not moved
end)

test("dropping can be refused, and stopped half way", function()
  local view, _ <close> = open { "a" }
  local p, from = view.project, elsewhere(60)
  drop(view, from)
  press(view, "escape")
  check.equal({ view.dialog, #p.items }, { nil, 1 })
  drop(view, from)
  press(view, "return")
  for _ = 1, 3 do p:work(0) end
  press(view, "escape") -- stop
  while p:work(0.004) do end
  view:pass()
  press(view, "escape")
  check.equal(view.dialog, nil)
  check.ok(#p.items >= 2 and #p.items < 61, #p.items)
end)

test("what cannot be added is said, and nothing is offered", function()
  local view, _ <close> = open { "a" }
  drop(view, view.folder .. "/nowhere.png")
  check.equal(#view.dropping.list, 0)
  check.equal(#view.dropping.refused, 1)
  check.equal(view.at["drop go"], nil)
  press(view, "return") -- the only button: Cancel
  check.equal(view.dialog, nil)
end)

test("a wrong number in the settings refuses what is dropped, with the number", function()
  local source, services = require "window.source", require "caption.services"
  local real = services.setting
  services.setting = function(name) return name == "VIEW_PICTURE_MB" and "many" or real(name) end
  local _, refused = source.expand({ kind = "folder", folder = "." }, { "a.png" })
  services.setting = real
  check.contains(refused[1].why, "VIEW_PICTURE_MB is 'many'")
end)

-- The loop's work, until what is waited for is there.
local function turns(view, done)
  for _ = 1, 400 do
    view:turn(0.01)
    if done() then
      view:pass()
      return true
    end
  end
  error("it never came", 2)
end

test("pictures that look the same are gone through side by side, and one key puts the worse aside", function()
  local at = tmp "twins"
  os.execute("mkdir -p " .. at .. "/photos")
  local function picture(seed, name, width)
    local im = image.new(256, 192, { 20, 20, 20 })
    for i = 0, 40 do
      local x, y = (i * 37 * seed + seed * 11) % 220, (i * 53 + seed * 29) % 160
      im:paste(image.new(30, 24, { (i * 40 * seed) % 256, (i * 90 + seed) % 256, (seed * 77) % 256 }), x, y)
    end
    if width then im = im:resize(width, width * 3 // 4) end
    check.ok(im:save(("%s/photos/%s"):format(at, name)))
  end
  picture(3, "a.png")
  picture(3, "b.png", 128)
  picture(8, "c.png")
  picture(5, "d.png", 128)
  picture(5, "e.png")
  local view, _ <close> = open({}, { at = at })
  local p = view.project
  press(view, "d")
  turns(view, function() return view.dialog == nil end)
  check.equal({ view.screen, #view.twins.groups }, { "compare", 2 })
  check.equal(#view.compared, 2)
  local first, second = view.twins.groups[1][1], view.twins.groups[2][1]
  check.equal(p:current(), first)
  press(view, "right") -- the other one is the better one, says a person
  local kept = p:current()
  check.ok(kept ~= first)
  press(view, "x")
  check.equal({ first.reject.reason, kept.reject }, { "looks like " .. kept.name, nil })
  check.equal(p:current(), second)
  press(view, "p")
  press(view, "n")
  click(view, "twins keep")
  check.equal(view.screen, "grid")
  local aside = 0
  for _, item in ipairs(p.items) do if item.reject then aside = aside + 1 end end
  check.equal({ aside, p.items[3].reject }, { 2, nil })
  press(view, "ctrl+z")
  press(view, "ctrl+z")
  for _, item in ipairs(p.items) do check.equal(item.reject, nil) end
  press(view, "x") -- no group is compared: nothing
  check.equal(p:current().reject, nil)
end)

test("where no two look the same that is said; what cannot be read is left out", function()
  local view, _ <close> = open { "a" }
  check.ok(fs.write(view.folder .. "/photos/zz.png", "no picture"))
  check.ok(view.project:reload())
  view:pass()
  press(view, "d")
  turns(view, function() return view.dialog == nil end)
  check.equal(view.screen, "grid")
  local said = ""
  for _, toast in ipairs(view.ui.toasts) do said = said .. toast.text .. "\n" end
  check.contains(said, "look the same")
end)

test("an empty folder, and a filter that nothing passes: every key and every screen", function()
  local at = tmp "nothing"
  os.execute("mkdir -p " .. at .. "/photos")
  for _, texts in ipairs { {}, { "a", "b" } } do
    local view, _ <close> = open(texts, #texts == 0 and { at = at } or {})
    view.filter:set "zzzz"
    view:look_for()
    check.equal(#view.project.order, 0)
    for _, screen in ipairs { "grid", "single" } do
      view:show(screen)
      view:pass()
      for key in pairs(actions.by_key) do
        if key ~= "f11" then press(view, key) end
        while view.dialog or view.ui.menu do press(view, "escape") end
        view.ui.focus, view.closed, view.screen = nil, nil, screen
      end
    end
    for _, id in ipairs { "grid", "stars", "aside" } do if view.at[id] then click(view, id) end end
  end
end)

test("a picture that goes away is shown as gone; one that becomes another is read anew", function()
  local view, _ <close> = open { "a", "b", "c" }
  local p = view.project
  turns(view, function() return p.items[1].record and p.items[2].record and p.items[3].record end)
  local sha = p.items[2].sha256
  os.remove(p.items[1].path)
  check.ok(image.new(300, 200, { 1, 2, 3 }):save(p.items[2].path))
  view.watch:check(p.items)
  check.ok(p.items[1].gone)
  check.contains(p.items[1].error, "F5")
  check.equal(p.items[3].gone, nil)
  check.contains(p:told()[1].text, "p01.png was taken away")
  turns(view, function() return p.items[2].record end)
  check.ok(p.items[2].sha256 ~= sha)
  check.equal({ p.items[2].width, p.items[2].caption }, { 300, "b" }) -- its caption file is still beside it
  check.equal(#view.watch:check(p.items), 0)
  check.contains(p:told()[1].text, "became another picture") -- told when it was read anew
  check.equal(#p:told(), 0) -- told once
  check.ok(image.new(65, 48, { 40, 90, 200 }):save(p.items[1].path))
  view.watch:check(p.items)
  check.equal({ p.items[1].gone, p.items[1].error }, {})
end)

test("what is wrong with a filter stands below, and the list stays as it was", function()
  local view, _ <close> = open { "a", "b" }
  view:focus "filter"
  write(view, "stars:>x")
  check.ok(view.filter_trouble)
  check.equal(view.ui.focus, "filter")
  press(view, "escape")
  check.equal(view.ui.focus, nil)
end)

test("textures that the driver lost are made again", function()
  local view, _ <close> = open { "a", "b" }
  turns(view, function() return view.pictures:thumb(view.project.items[1]) end)
  view.pictures:lost()
  check.equal(view.pictures:thumb(view.project.items[1]), nil)
  turns(view, function() return view.pictures:thumb(view.project.items[1]) end)
end)

test("the window closes while a caption is written: it is there the next time", function()
  local at
  do
    local view, _ <close> = open { "a", "b" }
    at = view.folder
    view:write()
    view:pass()
    write(view, " b")
    view.window:push { kind = "quit" }
    for _ = 1, 3 do if not view.closed then view:turn(0.05) end end
    check.ok(view.closed)
    view:keep()
  end
  local view, _ <close> = open({}, { at = at })
  check.equal(view.project.items[1].caption, "a b")
  check.equal(fs.read(at .. "/photos/p01.txt"), "a b\n")
end)

test("what the store refuses is not lost: it stays on the screen, is tried again, and closing warns", function()
  local view, _ <close> = open { "a", "b" }
  local p, c = view.project, view.project.changes
  view:write()
  view:pass()
  local real = c.type
  function c.type() return nil, "attempt to write a readonly database", "IO" end
  write(view, " red door")
  check.equal(view.editor.document:text(), "a red door")
  check.equal(p.items[1].draft, nil)
  press(view, "escape")
  view:go(2)
  view:pass()
  check.equal(view.editor.document:text(), "b")
  view:go(1)
  view:pass()
  check.equal(view.editor.document:text(), "a red door")
  press(view, "ctrl+q")
  check.equal(view.closed, nil)
  check.contains(view.ui.toasts[#view.ui.toasts].text, "readonly")
  c.type = real
  view.editor.tried = nil
  turns(view, function() return p.items[1].draft or p.items[1].caption == "a red door" end)
  check.equal(next(view.editor.unkept), nil)
  press(view, "ctrl+q")
  check.equal(view.closed, true)
end)

test("Tab goes to all that the keyboard can reach and back to the first, Escape leads out", function()
  local view, _ <close> = open { "a, b", "b" }
  local seen, count = {}, 0
  for _ = 1, 60 do
    press(view, "tab")
    local at = view.ui.focus
    check.ok(at, "nothing has the keyboard")
    if seen[at] then break end
    seen[at], count = true, count + 1
  end
  check.ok(count >= 10, count .. " widgets were reached")
  for _, id in ipairs { "filter", "caption", "stars", "aside", "tags", "show single", "sort" } do check.ok(seen[id], id .. " is out of reach") end
  view.ui.focus = "stars"
  press(view, "right")
  check.equal(view.project.items[1].star, 1)
  press(view, "shift+tab")
  check.equal(view.ui.focus, "caption")
  press(view, "escape")
  check.equal(view.ui.focus, nil)
end)

test("every text has a contrast of 4.5 to 1 with what it stands on, dark and light", function()
  local theme = require "window.theme"
  local function light(color) -- WCAG 2: relative luminance
    local parts = {}
    for i, shift in ipairs { 24, 16, 8 } do
      local v = (color >> shift & 255) / 255
      parts[i] = v <= 0.04045 and v / 12.92 or ((v + 0.055) / 1.055) ^ 2.4
    end
    return 0.2126 * parts[1] + 0.7152 * parts[2] + 0.0722 * parts[3]
  end
  local function contrast(a, b)
    local x, y = light(a), light(b)
    return (math.max(x, y) + 0.05) / (math.min(x, y) + 0.05)
  end
  local function over_white(color) -- a ground that is seen through, on the brightest picture
    local v = math.floor(255 * (1 - (color & 255) / 255) + 0.5)
    return v << 24 | v << 16 | v << 8 | 255
  end
  local GROUNDS = { "ground", "panel", "well", "raised", "hover", "selection", "picture" }
  local USES = { text = { "trigger" }, faint = {}, accent = {}, good = {}, warning = {}, bad = {}, beyond = {}, bucket = false,
    disabled = false }
  for _, t in ipairs { theme.dark, theme.light } do
    local function enough(name, on, ground)
      local found = contrast(t[name], ground or t[on])
      check.ok(found >= 4.5, ("%s: %s on %s has %.2f"):format(t.name, name, on, found))
    end
    for name, more in pairs(USES) do
      for _, on in ipairs(more and GROUNDS or { "panel", "ground", "well" }) do enough(name, on) end
      for _, on in ipairs(more or {}) do enough(name, on) end
    end
    enough("inverse", "accent")
    for _, name in ipairs { "star", "aside" } do enough(name, "veil", over_white(t.veil)) end
    for _, on in ipairs { "ground", "panel", "well", "picture" } do check.ok(contrast(t.focus, t[on]) >= 3, t.name .. " focus on " .. on) end
  end
end)

test("every action has a title, and what no key does a menu or button does", function()
  for _, row in ipairs(actions.list) do check.ok(row.title and row.run and row.keys and row.group, row.id) end
end)
