-- The window among hostile files, on SDL's dummy display: captions that are none, disks that are full, pictures that are something else. No pass
-- takes long, nothing ends the program, and what was there stays. This file is also the program that does it (HOSTILE_PART).
local part = os.getenv "HOSTILE_PART"
local FILE = "tests/test_window_hostile.lua"
local window = dofile "tests/window.lua"
local fs = require "native.fs"

if not part then
  for _, case in ipairs { { "captions", "captions that are a megabyte, a hundred thousand lines, one letter of ten thousand marks, or blanks" },
    { "paste", "a clipboard of seven megabytes is refused with a sentence, wherever it is pasted" } } do
    test(case[2], function() window.part(FILE, "HOSTILE_PART=" .. case[1]) end)
  end
  return
end

local pipe = io.popen "readlink /proc/$PPID/exe"
local host = pipe:read "l"
pipe:close()
local timed = host:find "/release/" and not os.getenv "CALOTYPE_GC_STRESS" -- sanitizers are slower on purpose

local LONGEST = 0.5 -- seconds of this process in one turn; it is 0.1 that is promised, machines differ, and other tests are at work

-- A window on `folder` whose every turn is short.
local function open(folder, options)
  local view = window.open(folder, options)
  local meta = getmetatable(view)
  function view.turn(self, wait)
    local began = os.clock()
    meta.__index.turn(self, wait)
    local took = os.clock() - began
    if timed and took > LONGEST then error(("a turn took %.0f ms%s"):format(took * 1000, self.doing and ": " .. self.doing or "")) end
  end
  return view
end

local function draw(count)
  local at = tmp "hostile"
  os.execute("mkdir -p " .. at)
  window.draw(at .. "/photos", count)
  os.execute(("rm -f %s/photos/*.txt"):format(at))
  return at .. "/photos"
end

local parts = {}

function parts.captions()
  local tags, numbers = {}, {}
  for i = 1, 1000 do tags[i] = "tag number " .. i end
  for i = 1, 10000 do numbers[i] = "number " .. i end
  local texts = { ("a red door and "):rep(69000), ("x\n"):rep(100000), "e" .. ("\u{301}"):rep(10000), "bad \xff\xfe bytes", ("w"):rep(1000000),
    table.concat(tags, ", "), table.concat(numbers, ", "), ("\u{1F1E6}"):rep(8000), ("\u{1F468}\u{200D}"):rep(4000), "a" .. (" "):rep(30000) .. "x",
    ("\n"):rep(30000) .. "x", "a, " .. ("\\"):rep(30000) .. "x (b)", (" "):rep(1000000) .. "x" }
  local folder = draw(#texts)
  for i, text in ipairs(texts) do assert(fs.write(("%s/p%04d.txt"):format(folder, i), text)) end
  local view <close> = open(folder)
  local ui = view.ui
  window.settle(view)
  for i, text in ipairs(texts) do
    view.doing = ("caption %d"):format(i)
    view:go(i)
    view:turn(0)
    window.press(view, "return")
    window.press(view, "f2")
    window.type(view, "z")
    if #text > 32768 then -- shown, not written
      check.equal(view.editor.document, nil)
      check.equal(ui.focus, nil)
      check.equal(view.project:current().draft, nil)
    elseif utf8.len(text) then
      local item = view.project:current()
      check.contains(item.draft or item.caption, "z")
    end
    if ui.focus == "caption" then
      for _, key in ipairs { "left", "up", "home", "ctrl+left", "ctrl+right", "end", "ctrl+backspace", "ctrl+a", "ctrl+c", "ctrl+z", "ctrl+z", "escape" } do
        view.doing = ("caption %d, %s"):format(i, key)
        window.press(view, key)
      end
    end
    window.press(view, "escape")
    window.settle(view)
    for tab = 1, 3 do
      view.pane.tab = tab
      view:turn(0)
      view:pass()
    end
    view.pane.tab = 1
    view:show "grid"
  end
  for i, text in ipairs(texts) do
    if #text > 32768 or not utf8.len(text) then check.equal(fs.read(("%s/p%04d.txt"):format(folder, i)) == text, true, "text " .. i) end
  end
end

function parts.paste()
  local folder = draw(2)
  local view <close> = open(folder)
  window.settle(view)
  for _, case in ipairs { { 600000, "a caption has at most", "too long: 32 kB is the most" } } do
    view.window:clipboard(("a red door, "):rep(case[1]))
    window.press(view, "ctrl+v") -- onto the picture
    window.settle(view)
    check.equal(view.project.items[1].caption, "")
    check.contains(view.ui.toasts[#view.ui.toasts].text, case[2])
    window.press(view, "f2")
    window.press(view, "ctrl+v") -- into its caption
    check.contains(view.ui.toasts[#view.ui.toasts].text, case[3])
    check.equal(view.editor.document:text(), "")
    window.press(view, "escape")
    window.press(view, "ctrl+f")
    window.press(view, "ctrl+v") -- into the filter
    check.equal(view.filter:text(), "")
    window.press(view, "escape")
  end
  view.window:clipboard "x"
end

test(part, parts[part])
