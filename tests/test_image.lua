local image = require "native.image"
local fs = require "native.fs"

local GOLDEN = "tests/golden/image/"

-- The largest difference of two pictures, byte by byte.
local function difference(a, b)
  check.equal({ a:width(), a:height(), a:channels() }, { b:width(), b:height(), b:channels() }, "size")
  local p, q, most = a:bytes(), b:bytes(), 0
  for i = 1, #p do
    local d = math.abs(p:byte(i) - q:byte(i))
    if d > most then most = d end
  end
  return most
end

local function golden(name) return check.ok(image.load(GOLDEN .. name)) end

local function decodable()
  local list = {}
  for _, entry in ipairs(fs.list(GOLDEN)) do
    local name = entry.path:match "([^/]+)%.ref%.png$"
    if name then list[#list + 1] = name end
  end
  return list
end

test("a new picture has the asked size and colour", function()
  local im = image.new(3, 2, { 10, 20, 30 })
  check.equal({ im:width(), im:height(), im:channels() }, { 3, 2, 3 })
  check.equal({ im:get(2, 1) }, { 10, 20, 30, 255 })
  check.equal({ image.new(1, 1, { 1, 2, 3, 4 }):get(0, 0) }, { 1, 2, 3, 4 })
  check.equal({ image.new(1, 1):get(0, 0) }, { 0, 0, 0, 255 })
end)

test("a set pixel is read back, and lies where the bytes say", function()
  local im = image.new(2, 2):set(1, 0, { 7, 8, 9 })
  check.equal({ im:get(1, 0) }, { 7, 8, 9, 255 })
  check.equal(im:bytes(), ("\0"):rep(3) .. "\7\8\9" .. ("\0"):rep(6))
  check.fails("pixel 2, 0 is outside", im.get, im, 2, 0)
  check.fails("outside", im.set, im, 0, -1, { 1, 2, 3 })
end)

test("misuse raises with the argument", function()
  check.fails("both sides are at least 1", image.new, 0, 5)
  check.fails("a colour is", image.new, 5, 5, { 1, 2 })
  check.fails("a colour is", image.new, 5, 5, { 1, 2, 300 })
  check.fails("too large", image.new, 1 << 40, 1)
  check.fails("does not lie inside 4 x 4", image.new(4, 4).crop, image.new(4, 4), 2, 2, 3, 1)
  check.fails("is no size", image.new(4, 4).resize, image.new(4, 4), 0, 0)
  check.fails("lanczos, area or bilinear", image.new(4, 4).resize, image.new(4, 4), 2, 2, "cubic")
  check.fails("png or jpeg", image.new(4, 4).encode, image.new(4, 4), "gif")
  check.fails("quality", image.new(4, 4).encode, image.new(4, 4), "jpeg", { quality = 101 })
  check.fails("does not end in", image.new(4, 4).save, image.new(4, 4), tmp "x.bmp")
end)

test("too large a picture is refused with the limit", function()
  check.equal(check.refused("too large", image.new(1 << 20, 1 << 20)), "LIMIT")
end)

test("a closed picture says so", function()
  local im = image.new(1, 1)
  check.equal(tostring(im), "picture of 1 x 1, RGB")
  im:close()
  check.equal(tostring(im), "picture (closed)")
  check.fails("closed", im.width, im)
end)

test("every golden file decodes as Pillow sees it", function()
  local names = decodable()
  check.ok(#names > 40, "the goldens are missing")
  for _, name in ipairs(names) do
    local im = check.ok(image.load(GOLDEN .. name))
    local lossy = name:find "^jpeg" or name == "webp.webp" -- Pillow brings its own newer libjpeg-turbo and libwebp
    local d = difference(im, golden(name .. ".ref.png"))
    check.ok(d <= (lossy and 2 or 0), name .. ": off by " .. d)
  end
end)

test("probe tells the size as displayed, the format and the orientation", function()
  for _, name in ipairs(decodable()) do
    local info = check.ok(image.probe(GOLDEN .. name))
    local ref = golden(name .. ".ref.png")
    check.equal({ info.width, info.height }, { ref:width(), ref:height() }, name)
    check.equal(info.orientation, tonumber(name:match "orient(%d)") or 1, name)
  end
  check.equal(image.probe(GOLDEN .. "png-rgb8.png").format, "PNG")
  check.equal(image.probe(GOLDEN .. "jpeg-gray.jpg").format, "JPEG")
  check.equal(image.probe(GOLDEN .. "webp.webp").format, "WebP")
end)

test("probe finds a size behind a long profile", function()
  local jpeg = fs.read(GOLDEN .. "jpeg-420.jpg")
  local long = jpeg:sub(1, 2) .. ("\xff\xe2\xff\xff" .. ("p"):rep(65533)):rep(3) .. jpeg:sub(3)
  local path = tmp "long.jpg"
  fs.write(path, long)
  check.equal(image.probe(path).width, 61)
end)

test("what a file is follows from its bytes, not its name", function()
  local path = tmp "liar.png"
  fs.write(path, fs.read(GOLDEN .. "jpeg-gray.jpg"))
  check.equal(image.load(path):width(), 29)
  check.equal(image.probe(path).format, "JPEG")
end)

test("a file that is no picture is named by what it looks like", function()
  check.equal(check.refused("a.jpg: this is HTML", image.decode("<html>sorry</html>", "a.jpg")), "FORMAT")
  check.refused("this is an empty file", image.decode("", "x"))
  check.refused("Git LFS pointer", image.decode("version https://git-lfs.github.com/spec/v1\n", "x"))
  check.refused("this is AVIF", image.decode("\0\0\0\x1cftypavif\0\0\0\0", "x"))
  check.refused("this is text", image.decode("hello", "x"))
  check.equal(check.refused("nowhere.png", image.load(tmp "nowhere.png")), "NOTFOUND")
  check.equal(check.refused("nowhere.png", image.probe(tmp "nowhere.png")), "NOTFOUND")
end)

test("a picture with too many pixels is refused before it is decoded", function()
  local png = fs.read(GOLDEN .. "png-rgb8.png")
  local huge = png:sub(1, 16) .. string.pack(">I4I4", 50000, 50000) .. png:sub(25)
  check.equal(check.refused("50000 x 50000", image.decode(huge, "huge.png")), "LIMIT")
  check.equal(check.refused("max_pixels", image.decode(png, "a.png", { max_pixels = 100 })), "LIMIT")
end)

test("a PNG that lies about its size is refused without asking for the memory", function()
  local png = fs.read(GOLDEN .. "png-rgb8.png")
  local function crc(text)
    local c = 0xffffffff
    for i = 1, #text do
      c = c ~ text:byte(i)
      for _ = 1, 8 do c = (c & 1 == 1) and (c >> 1) ~ 0xedb88320 or c >> 1 end
    end
    return c ~ 0xffffffff
  end
  local body = "IHDR" .. string.pack(">I4I4", 12000, 12000) .. png:sub(25, 29)
  check.refused("cannot be in", image.decode(png:sub(1, 12) .. body .. string.pack(">I4", crc(body)) .. png:sub(34), "x"))
end)

test("a picture cut off at any length is refused, never half shown", function()
  for _, name in ipairs(decodable()) do
    local bytes = fs.read(GOLDEN .. name)
    local whole = image.decode(bytes, name)
    for length = 0, #bytes - 1 do
      local im, message, code = image.decode(bytes:sub(1, length), name)
      -- What a cut may leave out: GIF's further frames and trailer, TIFF's and WebP's padding. Then the picture is whole.
      if im then check.ok(im == whole, ("%s cut to %d of %d bytes is half shown"):format(name, length, #bytes))
      else check.ok(message and code == "FORMAT" or code == "LIMIT", message) end
    end
  end
end)

test("a cut JPEG or PNG is refused at every length with the byte", function()
  for _, name in ipairs { "jpeg-orient6.jpg", "jpeg-progressive.jpg", "png-rgb8.png" } do
    local bytes = fs.read(GOLDEN .. name)
    for length = 40, #bytes - 1, 7 do
      check.refused(("byte %d, the end of the file"):format(length), image.decode(bytes:sub(1, length), name))
    end
  end
end)

test("min_side gives a smaller JPEG that still has twice the side", function()
  local path = tmp "big.jpg"
  golden "resize.png":resize(800, 640):save(path)
  for _, case in ipairs { { 0, 800 }, { 1, 100 }, { 40, 100 }, { 41, 200 }, { 80, 200 }, { 160, 400 }, { 161, 800 }, { 5000, 800 } } do
    check.equal(image.load(path, { min_side = case[1] }):width(), case[2], "min_side " .. case[1])
  end
end)

test("resize equals Pillow's, with and without alpha", function()
  for _, entry in ipairs(fs.list(GOLDEN)) do
    local tag, filter, w, h = entry.path:match "resize(%-?a?l?p?h?a?)%-(%l+)%-(%d+)x(%d+)%.png$"
    if filter then
      local got = golden("resize" .. tag .. ".png"):resize(tonumber(w), tonumber(h), filter)
      check.equal(difference(got, golden(entry.path:match "[^/]+$")), 0, entry.path)
    end
  end
end)

test("resize keeps the aspect when one side is 0", function()
  local im = image.new(640, 480)
  check.equal({ im:resize(64, 0):width(), im:resize(64, 0):height() }, { 64, 48 })
  check.equal(im:resize(0, 24):width(), 32)
  check.equal(image.new(1000, 1):resize(10, 0):height(), 1)
end)

test("area gives each pixel the mean of what it covers", function()
  local im = image.new(3, 2)
  for x = 0, 2 do for y = 0, 1 do im:set(x, y, { x * 60, y * 100, 90 }) end end
  check.equal({ im:resize(1, 1, "area"):get(0, 0) }, { 60, 50, 90, 255 })
  local half = im:resize(2, 2, "area") -- columns 0 and half of 1; half of 1 and 2
  check.equal({ half:get(0, 0) }, { 20, 0, 90, 255 })
  check.equal({ half:get(1, 1) }, { 100, 100, 90, 255 })
end)

test("a flat picture stays flat under every filter", function()
  for _, filter in ipairs { "lanczos", "area", "bilinear" } do
    for _, size in ipairs { { 1, 1 }, { 7, 90 }, { 200, 3 }, { 31, 31 } } do
      local im = image.new(37, 53, { 200, 100, 3, 77 }):resize(size[1], size[2], filter)
      check.ok(difference(im, image.new(size[1], size[2], { 200, 100, 3, 77 })) <= 3, filter) -- premultiplied in 8 bits
      check.equal(select(4, im:get(0, 0)), 77)
      local plain = image.new(37, 53, { 200, 100, 3 }):resize(size[1], size[2], filter)
      check.equal(difference(plain, image.new(size[1], size[2], { 200, 100, 3 })), 0, filter)
    end
  end
end)

test("invisible pixels lend no colour to visible ones", function()
  local im = image.new(2, 1, { 255, 0, 0, 0 }):set(1, 0, { 0, 0, 255, 255 })
  check.equal({ im:resize(1, 1, "area"):get(0, 0) }, { 0, 0, 255, 128 })
end)

test("extreme shapes resize", function()
  check.equal(image.new(1, 1, { 5, 6, 7 }):resize(300, 200):get(299, 199), 5)
  check.equal(image.new(10000, 1, { 5, 6, 7 }):resize(1, 100):get(0, 99), 5)
  check.equal(image.new(1, 10000, { 5, 6, 7 }):resize(50, 1):get(49, 0), 5)
end)

test("crop takes the rectangle", function()
  local im = golden "png-rgb8.png"
  local part = im:crop(5, 3, 10, 8)
  check.equal({ part:width(), part:height() }, { 10, 8 })
  check.equal({ part:get(2, 4) }, { im:get(7, 7) })
  check.ok(im:crop(0, 0, im:width(), im:height()) == im)
end)

test("flip and rotate move the corners where they belong", function()
  local im = image.new(3, 2):set(0, 0, { 1, 0, 0 }):set(2, 0, { 2, 0, 0 }):set(0, 1, { 3, 0, 0 }):set(2, 1, { 4, 0, 0 })
  local function corners(p)
    local w, h = p:width() - 1, p:height() - 1
    return { (p:get(0, 0)), (p:get(w, 0)), (p:get(0, h)), (p:get(w, h)) }
  end
  check.equal(corners(im:flip()), { 2, 1, 4, 3 })
  check.equal(corners(im:rotate(1)), { 3, 1, 4, 2 }) -- clockwise: the lower left comes to the upper left
  check.equal(corners(im:rotate(2)), { 4, 3, 2, 1 })
  check.equal(corners(im:rotate(-1)), { 2, 4, 1, 3 })
  check.ok(im:rotate(4) == im)
  local big = golden "resize.png"
  check.ok(big:rotate(1):rotate(1) == big:rotate(2))
  check.ok(big:flip():rotate(1):flip() == big:rotate(3))
end)

test("gray is Pillow's, and rgb lays alpha over a background", function()
  check.equal({ image.new(1, 1, { 200, 100, 50 }):gray():get(0, 0) }, { 124, 124, 124, 255 })
  check.equal(image.new(1, 1, { 200, 100, 50 }):gray():channels(), 1)
  local im = image.new(1, 1, { 255, 0, 0, 51 })
  check.equal({ im:rgb():get(0, 0) }, { 255, 204, 204, 255 })
  check.equal({ im:rgb { 0, 0, 100 }:get(0, 0) }, { 51, 0, 80, 255 })
end)

test("PNG gives back every pixel", function()
  for _, name in ipairs { "resize.png", "resize-alpha.png", "png-rgb8.png" } do
    local im = golden(name)
    local bytes = im:encode "png"
    check.ok(image.decode(bytes, name) == im, name)
    check.equal(im:encode "png", bytes, "the same bytes again")
  end
  local gray = golden "resize.png":gray()
  check.ok(image.decode(gray:encode "png", "gray"):gray() == gray)
  check.ok(image.decode(image.new(1, 1, { 9, 8, 7 }):encode "png", "x"):get(0, 0) == 9)
end)

test("PNG carries texts, sorted by key", function()
  local im = image.new(2, 2)
  local bytes = im:encode("png", { text = { prompt = "a cat", author = "Zoë" } })
  check.contains(bytes, "tEXtprompt\0a cat")
  check.contains(bytes, "iTXtauthor\0\0\0\0\0Zoë")
  check.ok(bytes:find "author" < bytes:find "prompt")
  check.ok(image.decode(bytes, "x") == im)
  check.fails("printable ASCII", im.encode, im, "png", { text = { [" x"] = "y" } })
  check.fails("not UTF-8", im.encode, im, "png", { text = { x = "\xff" } })
  check.fails("strings only", im.encode, im, "png", { text = { x = 5 } })
end)

test("JPEG keeps what its quality promises", function()
  local im = golden "resize.png"
  check.ok(#im:encode "jpeg" > #im:encode("jpeg", { quality = 50 }))
  check.equal(im:encode "jpeg", im:encode("jpeg", { quality = 95 }))
  check.ok(difference(image.decode(im:encode("jpeg", { quality = 100 }), "x"), im) <= 4)
  check.equal(image.decode(im:gray():encode "jpeg", "x"):channels(), 3)
end)

test("a saved picture is loaded again; the name chooses the format", function()
  local im = golden "resize-alpha.png"
  local path = tmp "a/b.PNG"
  check.ok(im:save(path))
  check.ok(image.load(path) == im)
  path = tmp "c.jpeg"
  check.ok(im:save(path, { quality = 80 }))
  check.equal(image.probe(path).format, "JPEG")
end)

test("progressive files with endless scans are refused", function()
  local bytes = fs.read(GOLDEN .. "jpeg-progressive.jpg")
  local first = bytes:find("\xff\xda", 1, true)
  local following = bytes:find("\xff", first + 20, true)
  while bytes:byte(following + 1) == 0 do following = bytes:find("\xff", following + 2, true) end
  local scan = bytes:sub(first, following - 1)
  local im, message = image.decode(bytes:sub(1, first - 1) .. scan:rep(400) .. bytes:sub(first), "x")
  check.ok(not im and message, "400 scans were decoded")
end)
