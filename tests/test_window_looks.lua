-- How the screens of the window look, compared with pictures in tests/golden/window; `make window-pictures` makes those again.
-- This file is also the program that draws them (LOOKS_PART), on SDL's dummy display.
if not os.getenv "LOOKS_PART" then
  test("how the screens look", function() dofile "tests/window.lua".part("tests/test_window_looks.lua", "LOOKS_PART=1") end)
  for _, scale in ipairs { "1.5", "2" } do
    test("on a display " .. scale .. " times as dense they look the same, and sharper", function()
      dofile "tests/window.lua".part("tests/test_window_looks.lua", ("LOOKS_PART=dense CALOTYPE_SCALE=%s"):format(scale))
    end)
  end
  return
end

local image = require "native.image"
local window = dofile "tests/window.lua"

-- A golden has half the size. It is compared in squares of 8 x 8 units, whose mean the shapes of letters, which belong to the font's version,
-- hardly move; a word that is elsewhere, or another colour, moves it by more.
local MEAN, MOST = 1.5, 40 -- of 255

-- What is to be seen, without words that go by themselves: on a busy machine they come later.
local function shot(view)
  view.ui.toasts = {}
  return window.shot(view)
end

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

-- A window of 800 x 600 units has more pixels here. Made as small as the golden, it looks as that does; but not as one would that was stretched.
if os.getenv "LOOKS_PART" == "dense" then
  local function energy(im) -- of edges: what neighbouring pixels differ by, squared, in the caption's pane
    local bytes, width, sum = im:bytes(), im:width(), 0
    for y = 40, im:height() // 3 do
      for x = width * 2 // 3, width - 2 do
        local at = 3 * (y * width + x) + 1
        sum = sum + (bytes:byte(at) - bytes:byte(at + 3)) ^ 2
      end
    end
    return sum
  end

  test("the grid, dark and light, as on a plain display; letters are drawn at their size", function()
    local scale = tonumber(os.getenv "CALOTYPE_SCALE")
    local view <close> = prepared()
    window.push(view, { kind = "resize", width = 800, height = 600 }) -- it opens no larger than its display
    check.equal({ view.window:size() }, { 800.0, 600.0, scale })
    for _, name in ipairs { "grid", "grid-light" } do
      window.settle(view)
      local im = window.shot(view):rgb()
      check.equal({ im:width(), im:height() }, { math.tointeger(800 * scale), math.tointeger(600 * scale) })
      local mean, most = window.apart(im, check.ok(image.load("tests/golden/window/view-" .. name .. ".png")))
      check.ok(mean <= MEAN and most <= 1.5 * MOST, ("%s at %g: mean %.2f, most %d"):format(name, scale, mean, most))
      local stretched = im:resize(800, 600):resize(im:width(), im:height())
      local ours, theirs = energy(im), energy(stretched)
      check.ok(ours > 1.25 * theirs, ("%s at %g: not sharper than one that was stretched: %.0f and %.0f"):format(name, scale, ours, theirs))
      if os.getenv "WINDOW_KEPT" then im:save(("%s/%s-%g.png"):format(os.getenv "WINDOW_KEPT", name, scale)) end
      window.press(view, "ctrl+t")
    end
  end)
  return
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
      check.ok(shot(view):rgb():save(("docs/window-%s.png"):format(name)))
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
  compare(shot(view), "grid")
  window.press(view, "ctrl+t")
  window.settle(view)
  compare(shot(view), "grid-light")
end)

test("one picture, and what is known about it", function()
  local view <close> = prepared()
  window.press(view, "space")
  window.settle(view)
  compare(shot(view), "single")
end)

test("side by side", function()
  local view <close> = prepared()
  window.press(view, "c")
  window.settle(view)
  compare(shot(view), "compare")
end)

test("find and replace shows what would change", function()
  local view <close> = prepared()
  window.press(view, "escape")
  window.press(view, "ctrl+r")
  window.type(view, "door")
  window.press(view, "tab")
  window.type(view, "gate")
  window.settle(view)
  compare(shot(view), "replace")
end)

test("all keys", function()
  local view <close> = prepared()
  window.press(view, "f1")
  window.settle(view)
  compare(shot(view), "help")
end)
