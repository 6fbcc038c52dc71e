-- The window as a whole, on SDL's dummy display: every action by its keys on every screen, and pictures within their bound. This file is also
-- the program that does it (VIEW_PART).
local part = os.getenv "VIEW_PART"
local FILE = "tests/test_window_view.lua"

if not part then
  local window = dofile "tests/window.lua"
  for _, case in ipairs { { "keys", "actions by their keys, on every screen" }, { "bound", "textures within a bound" },
    { "start", "a start that fails" } } do
    test(case[2], function() window.part(FILE, ("VIEW_PART=%s CALOTYPE_STORE=%s"):format(case[1], tmp "store")) end)
  end

  local actions = require "window.actions"
  test("each action has a title, a group of the help's, and keys of its own", function()
    local groups, ids, keys = {}, {}, {}
    for _, group in ipairs(require("window.help").groups) do groups[group] = true end
    for _, row in ipairs(actions.list) do
      local name = tostring(row.id)
      check.ok(type(row.id) == "string" and not ids[row.id], name .. ": an id of its own")
      check.ok(type(row.title) == "string" and row.title:find "^[%u%d]", name .. ": a title")
      check.ok(not row.title:find "%.$" and utf8.len(row.title) <= 60, name .. ": a short title")
      check.ok(groups[row.group], name .. ": its group is none of the help's: " .. tostring(row.group))
      check.equal(type(row.run), "function", name)
      ids[row.id] = true
      for _, key in ipairs(row.keys or {}) do
        check.ok(not keys[key], ("%s: %s is that of %s, too"):format(name, key, keys[key]))
        keys[key] = row.id
      end
    end
  end)
  return
end

local actions = require "window.actions"
local window = dofile "tests/window.lua"

local function folder(count, side)
  local at = tmp "view"
  os.execute("mkdir -p " .. at)
  window.draw(at .. "/photos", count, side)
  return at .. "/photos"
end

local SCREENS = { "grid", "single", "compare" }

-- As it was: nothing open, nothing chosen, no words being written, on that screen.
local function onto(view, screen)
  local p = view.project
  view.dialog, view.ui.menu, view.ui.focus, view.closed = nil, nil, nil, nil
  p.changes:commit()
  p:filter ""
  p:select_none()
  p:go(5)
  if screen == "compare" then
    p:select(p.order[5], "add")
    p:select(p.order[6], "add")
    p:select(p.order[7], "add")
    view:show "grid"
    actions.run(view, "compare")
  else
    view:show(screen)
  end
  view:turn(0)
end

if part == "keys" then
  -- What an action did, for those that do something wherever one is.
  local function at(n) return function(view) check.equal(view.project.at, n) end end
  local did = {
    next = at(6), last = function(view) check.equal(view.project.at, #view.project.order) end, first = at(1),
    ["star 3"] = function(view) check.equal(view.project:current().star, 3) end,
    ["star 0"] = function(view) check.equal(view.project:current().star, 0) end,
    filter = function(view) check.equal(view.ui.focus, "filter") end,
    write = function(view) check.equal(view.ui.focus, "caption") end,
    help = function(view) check.equal(view.dialog, require "window.help") end,
    replace = function(view) check.equal(view.dialog, require "window.replacebox") end,
    ["reject because"] = function(view) check.equal(view.dialog, require "window.askbox") end,
    add = function(view) check.equal(view.dialog, require "window.askbox") end,
    quit = function(view) check.equal(view.closed, true) end,
    ["select all"] = function(view) check.equal(view.project:counts().selected, #view.project.order) end,
    copy = function(view) check.equal(view.window:clipboard(), view.project:current().caption) end,
    tags = function(view) check.equal(view.ui.focus, "tags") end,
    history = function(view) check.equal(view.pane.tab, 2) end,
    about = function(view) check.equal(view.pane.tab, 3) end,
    compare = function(view) check.equal(view.screen, "compare") end,
    whole = function(view) check.equal(view.screen, "single") end,
    undo = function(view) check.ok(select(2, view.project.changes:can()), "something can be done again") end,
  }
  local moves = { next = true, last = true, first = true } -- on the compare screen within those that are compared

  test("every action runs by each of its keys on every screen", function()
    local view <close> = window.open(folder(12))
    window.settle(view)
    local ran
    for _, row in ipairs(actions.list) do
      local run = row.run
      row.run = function(v)
        ran = row.id
        return run(v)
      end
    end
    for _, screen in ipairs(SCREENS) do
      for _, row in ipairs(actions.list) do
        for _, key in ipairs(row.keys or {}) do
          onto(view, screen)
          local changes = view.project.changes
          if row.id == "undo" then changes:star({ view.project.items[1] }, (view.project.items[1].star + 1) % 6) end
          if row.id == "redo" then
            changes:star({ view.project.items[1] }, (view.project.items[1].star + 1) % 6)
            changes:undo()
          end
          if row.id == "paste" then view.window:clipboard "a text from elsewhere" end
          local can = actions.can(view, row.id)
          ran = nil
          window.press(view, key)
          local where = ("%s by %s on the screen %s"):format(row.id, key, screen)
          if can then check.equal(ran, row.id, where) end
          local effect = did[row.id]
          if can and effect and not (screen == "compare" and moves[row.id]) then
            local ok, message = pcall(effect, view)
            if not ok then error(where .. ": " .. tostring(message), 0) end
          end
          view:turn(0)
        end
      end
    end
  end)

  test("? shows every action and its key", function()
    local view <close> = window.open(folder(2))
    local said
    local label = view.ui.label
    view.ui.label = function(ui, area, text, how)
      if said then said[text] = true end
      return label(ui, area, text, how)
    end
    for _, key in ipairs { "f1", "shift+/" } do
      said = {}
      window.press(view, key)
      check.ok(view.dialog, key .. " opens the keys")
      for _, row in ipairs(actions.list) do
        if not row.quiet then check.ok(not row.keys or said[row.said or row.title], row.id .. " is among the keys") end
      end
      for _, group in ipairs(require("window.help").groups) do check.ok(said[group], group) end
      window.press(view, "escape")
      check.equal(view.dialog, nil)
    end
  end)

  test("what was typed is kept by Ctrl+Enter, taken back by Ctrl+Z, and there again by Ctrl+Y", function()
    local view <close> = window.open(folder(4))
    window.settle(view)
    local p = view.project
    p:go(3)
    window.press(view, "e")
    window.type(view, "naïve 日本")
    check.equal(p.items[3].draft, "naïve 日本")
    check.equal(view.project.store:drafts(), { { sha = p.items[3].sha256, seat = 1, text = "naïve 日本" } })
    window.press(view, "ctrl+return")
    check.equal(p.items[3].caption, "naïve 日本")
    check.equal(p.at, 4)
    window.press(view, "escape")
    window.press(view, "ctrl+z")
    check.equal(p.items[3].caption, "")
    window.press(view, "ctrl+y")
    check.equal(p.items[3].caption, "naïve 日本")
  end)

  test("closed while pictures are compared, it opens with all of them", function()
    local place = folder(12)
    local view = window.open(place)
    onto(view, "compare")
    check.equal(view.screen, "compare")
    view:keep()
    view.close()
    local again <close> = window.open(place)
    check.equal(again.screen, "grid")
    check.equal(again.project.at, 5)
    window.press(again, "right")
    check.equal(again.project.at, 6)
  end)

  test("a key that is held goes on moving, and does nothing else twice", function()
    local view <close> = window.open(folder(6))
    window.settle(view)
    local p = view.project
    local function hold(name)
      window.press(view, name)
      for _ = 1, 3 do window.push(view, { kind = "key", key = name, again = true }) end
    end
    hold "right"
    check.equal(p.at, 5)
    hold "delete"
    check.ok(p.items[5].reject, "put aside once, not taken back")
    hold "space"
    check.equal(view.screen, "single")
  end)

  test("what an input method composes ends where the writing ends", function()
    local view <close> = window.open(folder(4))
    window.settle(view)
    window.press(view, "e")
    window.push(view, { kind = "editing", text = "にほ", start = 2, length = 0 })
    local document = view.editor.document
    check.contains(document:shown(), "にほ")
    check.ok(not document:text():find("にほ", 1, true))
    window.press(view, "ctrl+f")
    check.equal(document:shown(), document:text())
    check.ok(not view.project.items[1].caption:find("にほ", 1, true))
  end)

  test("at 800 x 600, the smallest window, every button, box and tab of each screen and dialog lies within it", function()
    local view <close> = window.open(folder(12))
    window.settle(view)
    local where, out = "", {}
    for _, name in ipairs { "button", "field", "tabs", "check" } do
      local widget = view.ui[name]
      view.ui[name] = function(ui, id, area, ...)
        local s = ui.screen
        if area.x < -0.5 or area.y < -0.5 or area.x + area.width > s.width + 0.5 or area.y + area.height > s.height + 0.5 or area.width < 8 or area.height < 8 then
          out[#out + 1] = ("%s: %s '%s' at %g, %g, %g x %g"):format(where, name, id, area.x, area.y, area.width, area.height)
        end
        return widget(ui, id, area, ...)
      end
    end
    for _, size in ipairs { { 800, 600 }, { 1600, 900 }, { 800, 600 } } do
      window.push(view, { kind = "resize", width = size[1], height = size[2] })
      for _, screen in ipairs(SCREENS) do
        for _, key in ipairs { "escape", "f1", "ctrl+r", "alt+c", "ctrl+e", "shift+f1", "a", "shift+delete", "f12", "alt+h", "alt+a" } do
          onto(view, screen)
          where = ("%s, %s, %g x %g"):format(screen, key, view.window:size())
          window.press(view, key)
          view:pass()
        end
      end
    end
    check.equal(out, {})
  end)

  test("with all put aside, captions by a model are for nobody: every key in the dialog does nothing, and it closes", function()
    local view <close> = window.open(folder(3))
    window.settle(view)
    view.project.changes:reject(view.project.items, "all of them")
    window.press(view, "alt+c")
    for _, key in ipairs { "tab", "left", "right", "return", "tab", "left", "return", "tab", "return", "escape" } do
      if view.dialog then window.press(view, key) end
    end
    check.equal({ view.job, view.dialog }, {})
  end)

  test("a display that starts anew has its pictures again", function()
    local view <close> = window.open(folder(6))
    window.settle(view)
    local before = window.shot(view)
    window.push(view, { kind = "reset" })
    window.settle(view)
    local mean, most = window.apart(window.shot(view), before) -- not equal: thumbnails come from where they are kept, now
    check.ok(mean < 0.5 and most < 20, ("the same is shown: mean %.2f, most %d"):format(mean, most))
  end)
  return
end

if part == "bound" then
  test("2,000 pictures are scrolled through: textures stay within their bound and go, oldest first", function()
    local pictures = require "window.pictures"
    local at = folder(20, 300)
    os.execute(([[cd %s && i=21; while [ $i -le 2000 ]; do n=$(printf %%04d $i); ln p$(printf %%04d $((i %% 20 + 1))).png p$n.png; i=$((i + 1)); done]]):format(at))
    local most = pictures.MOST
    pictures.MOST = 8 << 20
    local view <close> = window.open(at, { loader = { finished = 4 << 20 } })
    check.equal(#view.project.items, 2000)
    local made, highest = 0, 0
    local function watch()
      local sum, count = 0, 0
      for _, known in pairs(view.pictures.known) do
        sum = sum + (known.texture and known.texture:bytes() or 0)
        count = count + 1
      end
      check.equal(view.pictures.bytes, sum)
      highest, made = math.max(highest, sum), math.max(made, count)
    end
    local seen = {}
    for _, item in ipairs(view.visible) do seen[item] = true end
    while view.project.at < 2000 do
      window.press(view, "page down")
      for _ = 1, 200 do
        view:turn(0.002)
        if not view.pictures:waiting() then break end
      end
      for _, item in ipairs(view.visible) do seen[item] = true end
      watch()
    end
    local count = 0
    for _ in pairs(seen) do count = count + 1 end
    check.equal(count, 2000)
    check.ok(highest <= (8 << 20) + (1 << 20), ("%d bytes of textures"):format(highest))
    check.ok(highest > 4 << 20, ("only %d bytes of textures: nothing was bounded"):format(highest))
    check.ok(made < 200, ("%d textures at once"):format(made))
    pictures.MOST = most
  end)
end

if part == "start" then
  test("where the window or its threads cannot start, what was open is closed", function()
    local loaders, project, script = require "native.loader", require "window.project", require "native.script"
    local views, windows = require "window.view", require "native.window"
    local at, opened, opener, threads = folder(2), nil, project.open, loaders.open
    function project.open(...)
      opened = opener(...)
      return opened
    end
    local other = check.ok(windows.open { title = "other", width = 400, height = 300, least = { 400, 300 } })
    local ok, fault = script.call(views.run, { words = { at }, params = {} })
    check.equal({ ok, opened.closed }, { false, true })
    check.contains(fault.message, "window")
    other:close()
    function loaders.open() return nil, "no thread can be started", "MEMORY" end
    ok, fault = script.call(views.run, { words = { at }, params = {} })
    check.equal({ ok, opened.closed, fault.message }, { false, true, "no thread can be started" })
    windows.open({ title = "other", width = 400, height = 300, least = { 400, 300 } }):close() -- there is no other
    project.open, loaders.open = opener, threads
  end)
end
