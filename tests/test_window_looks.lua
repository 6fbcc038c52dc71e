-- How the screens of the window look, compared with pictures in tests/golden/window; `make window-pictures` makes those again.
-- This file is also the program that draws them (LOOKS_PART), on SDL's dummy display.
if not os.getenv "LOOKS_PART" then
  test("how the screens look", function() dofile "tests/window.lua".part("tests/test_window_looks.lua", "LOOKS_PART=1") end)
  return
end

local image = require "native.image"
local window = dofile "tests/window.lua"

-- A golden has half the size. It is compared in squares of 8 x 8 units, whose mean the shapes of letters, which belong to the font's version,
-- hardly move; a word that is elsewhere, or another colour, moves it by more.
local MEAN, MOST = 1.5, 40 -- of 255

local function compare(im, name)
  local path = "tests/golden/window/view-" .. name .. ".png"
  local half = im:rgb():resize(im:width() // 2, im:height() // 2)
  if os.getenv "WINDOW_GOLDEN" then check.ok(half:save(path)) end
  local mean, most = window.apart(half, check.ok(image.load(path)))
  if mean > MEAN or most > MOST then
    local kept = "build/" .. name .. ".png"
    half:save(kept)
    error(("%s looks different (mean %.2f, most %d), see %s; make window-pictures makes the goldens again"):format(name, mean, most, kept), 2)
  end
end

local function prepared()
  local at = tmp "looks"
  window.draw(at .. "/photos", 14, 240)
  local view = window.open(at .. "/photos")
  window.settle(view)
  local p = view.project
  p.changes:star({ p.items[2] }, 3)
  p.changes:reject({ p.items[4] }, "a watermark")
  p:select(p.items[7], "add")
  p:select(p.items[8], "add")
  p:go(2)
  view:turn(0)
  window.settle(view)
  return view
end

-- The pictures of docs/window.md, of the demo's pictures.
if os.getenv "LOOKS_PART" == "docs" then
  test("the pictures of the documentation", function()
    local at = tmp "docs"
    os.execute(("mkdir -p %s/photos && cp examples/shapes/pictures/pinwheel-*.jpg %s/photos"):format(at, at))
    local texts = { "a picture of a pnwhl, red and white", "a picture of a pnwhl, paper", "a paper pinwheel on a stick", "a pnwhl, blue background" }
    for i = 1, 11 do
      check.ok(require("native.fs").write(("%s/photos/pinwheel-%02d.txt"):format(at, i), texts[i % 4 + 1] .. "\n"))
    end
    local view <close> = window.open(at .. "/photos", { width = 1000, height = 680 })
    window.settle(view)
    local p = view.project
    p.changes:star({ p.items[1], p.items[3] }, 5)
    p.changes:reject({ p.items[5] }, "smaller than the other")
    local function save(name)
      window.settle(view)
      check.ok(window.shot(view):rgb():save(("docs/window-%s.png"):format(name)))
    end
    save "grid"
    window.press(view, "space")
    save "single"
    window.press(view, "escape")
    window.press(view, "ctrl+r")
    window.type(view, "picture")
    window.press(view, "tab")
    window.type(view, "photo")
    save "replace"
  end)
  return
end

test("the grid, dark and light", function()
  local view <close> = prepared()
  compare(window.shot(view), "grid")
  window.press(view, "ctrl+t")
  window.settle(view)
  compare(window.shot(view), "grid-light")
end)

test("one picture, and what is known about it", function()
  local view <close> = prepared()
  window.press(view, "space")
  window.settle(view)
  compare(window.shot(view), "single")
end)

test("side by side", function()
  local view <close> = prepared()
  window.press(view, "c")
  window.settle(view)
  compare(window.shot(view), "compare")
end)

test("find and replace shows what would change", function()
  local view <close> = prepared()
  window.press(view, "escape")
  window.press(view, "ctrl+r")
  window.type(view, "door")
  window.press(view, "tab")
  window.type(view, "gate")
  window.settle(view)
  compare(window.shot(view), "replace")
end)

test("all keys", function()
  local view <close> = prepared()
  window.press(view, "f1")
  window.settle(view)
  compare(window.shot(view), "help")
end)
