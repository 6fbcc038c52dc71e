local image = require "native.image"
local label = require "label"

test("a label that fits stays, a longer one is its longest beginning with three dots, and no letter is cut through", function()
  check.equal(label.fitted("seed 7", 240, 12), "seed 7")
  check.equal(label.fitted("two\nlines", 240, 12), "two lines")
  check.equal(label.fitted("", 240, 12), "")
  for _, letter in ipairs { "w", "i", "é", "字", "😀", "\xff" } do
    for _, width in ipairs { 12, 60, 240 } do
      local text = letter:rep(1000)
      local cut = label.fitted(text, width, 12)
      local kept = #cut - 3
      check.equal(cut, letter:rep(kept // #letter) .. "...")
      check.ok(image.text_width(cut, 12) <= width)
      check.ok(image.text_width(letter .. cut, 12) > width)
    end
  end
  check.equal(label.fitted("a wide word " .. ("w"):rep(99), 98, 12):sub(1, 11), "a wide word")
end)

test("a label of megabytes is cut before it is measured", function()
  local measured, width_of = 0, image.text_width
  image.text_width = function(text, size)
    measured = measured + #text
    return width_of(text, size)
  end
  local cut = label.fitted(("é"):rep(4 << 20), 240, 12)
  local fits = label.fits(("i"):rep(4 << 20), 240, 12)
  image.text_width = width_of
  check.equal(fits, false)
  check.ok(#cut < 200)
  check.ok(measured < 10000, measured)
end)
