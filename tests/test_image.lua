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
  check.fails("lanczos, area, bilinear or bicubic", image.new(4, 4).resize, image.new(4, 4), 2, 2, "cubic")
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

local function crc(text)
  local c = 0xffffffff
  for i = 1, #text do
    c = c ~ text:byte(i)
    for _ = 1, 8 do c = (c & 1 == 1) and (c >> 1) ~ 0xedb88320 or c >> 1 end
  end
  return c ~ 0xffffffff
end

local function chunk(kind, body) return string.pack(">I4", #body) .. kind .. body .. string.pack(">I4", crc(kind .. body)) end

-- A PNG of one stored (not packed) deflate block.
local function make_png(w, h, depth, color, raw, extra, wrong_sum)
  local a, b = 1 + (wrong_sum or 0), 0
  for i = 1, #raw do
    a = (a + raw:byte(i)) % 65521
    b = (b + a) % 65521
  end
  local packed = "\x78\x01\x01" .. string.pack("<I2I2", #raw, #raw ~ 0xffff) .. raw .. string.pack(">I2I2", b, a)
  return "\x89PNG\r\n\x1a\n" .. chunk("IHDR", string.pack(">I4I4BBBBB", w, h, depth, color, 0, 0, 0)) .. (extra or "")
    .. chunk("IDAT", packed) .. chunk("IEND", "")
end

-- An ICC profile: described in the old way or the new one, with these primaries.
local SRGB = { { 0.4361, 0.2225, 0.0139 }, { 0.3851, 0.7169, 0.0971 }, { 0.1431, 0.0606, 0.7141 } }
local P3 = { { 0.5151, 0.2412, -0.0011 }, { 0.2920, 0.6922, 0.0419 }, { 0.1571, 0.0666, 0.7841 } }
local function profile(name, primaries, options)
  options = options or {}
  local desc = options.new and "mluc\0\0\0\0" .. string.pack(">I4I4c4I4I4", 1, 12, "enUS", 2 * #name, 28) .. name:gsub(".", "\0%0")
    or "desc\0\0\0\0" .. string.pack(">I4", #name + 1) .. name .. "\0"
  local tags = { { "desc", desc .. ("\0"):rep(-#desc % 4) } }
  for i, key in ipairs { "rXYZ", "gXYZ", "bXYZ" } do
    local numbers = "XYZ \0\0\0\0"
    for _, x in ipairs(primaries[i]) do numbers = numbers .. string.pack(">i4", math.floor(x * 65536 + 0.5)) end
    tags[i + 1] = { key, numbers }
  end
  local rows, body, at = string.pack(">I4", #tags), "", 132 + 12 * #tags
  for _, it in ipairs(tags) do
    rows = rows .. it[1] .. string.pack(">I4I4", at + #body, #it[2])
    body = body .. it[2]
  end
  local head = string.pack(">I4c4I4c4c4c4", 132 + #rows + #body, "none", 0x02100000, "mntr", options.space or "RGB ", "XYZ ") .. ("\0"):rep(12) .. "acsp"
  return head .. ("\0"):rep(128 - #head) .. rows .. body
end

-- Pictures with the profile in them, by format.
local function with_profile(icc)
  local jpeg, segment = fs.read(GOLDEN .. "jpeg-420.jpg"), "ICC_PROFILE\0\1\1" .. icc
  local webp = fs.read(GOLDEN .. "webp-alpha.webp") -- VP8X: the flag, and the chunk behind it
  local size = string.unpack("<I4", webp, 5)
  local padded = icc .. ("\0"):rep(#icc % 2)
  return {
    JPEG = jpeg:sub(1, 2) .. "\xff\xe2" .. string.pack(">I2", #segment + 2) .. segment .. jpeg:sub(3),
    PNG = make_png(1, 1, 8, 2, "\0\1\2\3", chunk("iCCP", "a name\0\0\x78\x01\x01" .. string.pack("<I2I2", #icc, #icc ~ 0xffff) .. icc)),
    WebP = webp:sub(13, 16) == "VP8X" and webp:sub(1, 4) .. string.pack("<I4", size + 8 + #padded) .. webp:sub(9, 20) .. string.char(webp:byte(21) | 32)
      .. webp:sub(22, 30) .. "ICCP" .. string.pack("<I4", #icc) .. padded .. webp:sub(31) or nil,
  }
end

test("a colour profile that is not sRGB's is named; sRGB under any name, gray ones and broken ones are not", function()
  local function seen(icc)
    local out, count = {}, 0
    for format, bytes in pairs(with_profile(icc)) do
      local path = tmp("x." .. format:lower())
      fs.write(path, bytes)
      local info = check.ok(image.probe(path))
      check.equal(info.format, format)
      check.ok(image.load(path))
      out[info.profile or ""], count = true, count + 1
    end
    check.ok(count >= 2)
    local name = next(out)
    check.equal(next(out, name), nil, "formats disagree")
    return name
  end
  check.equal(seen(profile("Display P3", P3)), "Display P3")
  check.equal(seen(profile("Display P3", P3, { new = true })), "Display P3")
  check.equal(seen(profile("", P3)), "a profile without a name")
  check.equal(seen(profile("Adobe\27[31m RGB " .. ("x"):rep(90), P3)), ("Adobe?[31m RGB " .. ("x"):rep(90)):sub(1, 47))
  check.equal(seen(profile("sRGB IEC61966-2.1", P3)), "")
  check.equal(seen(profile("c2", SRGB)), "")
  check.equal(seen(profile("Coated FOGRA39", P3, { space = "CMYK" })), "Coated FOGRA39")
  check.equal(seen(profile("Dot Gain 20%", SRGB, { space = "GRAY" })), "")
  check.equal(seen(("x"):rep(300)), "")
end)

test("a colour profile that is cut or lies anywhere never hurts", function()
  for _, new in ipairs { false, true } do
    local icc = profile("Display P3", P3, { new = new })
    for size = 0, #icc do
      for format, bytes in pairs(with_profile(icc:sub(1, size))) do check.ok(image.decode(bytes, format), format .. " " .. size) end
    end
    for at = 1, #icc do
      for format, bytes in pairs(with_profile(icc:sub(1, at - 1) .. string.char(icc:byte(at) ~ 0xff) .. icc:sub(at + 1))) do
        check.ok(image.decode(bytes, format), format .. " " .. at)
      end
    end
  end
end)

test("a PNG that lies about its size is refused without asking for the memory", function()
  check.refused("cannot be in", image.decode(make_png(12000, 12000, 8, 2, "\0\1\2\3"), "x"))
end)

test("damage inside a PNG is named with its place", function()
  check.equal({ image.decode(make_png(1, 1, 8, 2, "\0\1\2\3"), "x"):get(0, 0) }, { 1, 2, 3, 255 })
  local png = fs.read(GOLDEN .. "png-rgb8.png")
  local flipped = png:sub(1, 59) .. string.char(png:byte(60) ~ 4) .. png:sub(61)
  check.refused("(at byte 33)", image.decode(flipped, "x"))
  local plain = make_png(1, 1, 8, 2, "\0\1\2\3", chunk("tEXt", "a\0b"))
  for _, at in ipairs { 30, 46, #plain - 13, #plain - 1 } do -- the checksums of IHDR, tEXt, IDAT, IEND
    local wrong = plain:sub(1, at) .. string.char(plain:byte(at + 1) ~ 4) .. plain:sub(at + 2)
    check.refused("CRC error (at byte", image.decode(wrong, "x"))
  end
  check.refused("Not enough image data (at byte", image.decode(make_png(1, 1, 8, 2, "\0\1\2"), "x"))
  check.refused("incorrect data check", image.decode(make_png(1, 1, 8, 2, "\0\1\2\3", nil, 1), "x"))
  check.refused("bad adaptive filter value", image.decode(make_png(1, 1, 8, 2, "\5\1\2\3"), "x"))
  check.refused("Missing PLTE", image.decode(make_png(1, 1, 8, 3, "\0\0"), "x"))
  local beyond = make_png(1, 1, 8, 3, "\0\1", chunk("PLTE", "rgb"))
  check.refused("row 0 has colour 1, which is not in the palette of 1", image.decode(beyond, "x"))
  check.refused("not in the palette", image.decode(make_png(3, 1, 2, 3, "\0\x18", chunk("PLTE", "rgbrgb")), "x"))
  check.refused("PLTE: invalid", image.decode(make_png(1, 1, 8, 3, "\0\0", chunk("PLTE", "rg")), "x"))
  check.refused("ABCD: unhandled critical chunk", image.decode(make_png(1, 1, 8, 2, "\0\1\2\3", chunk("ABCD", "")), "x"))
  check.refused("Invalid color type/bit depth", image.decode(make_png(1, 1, 4, 2, "\0\1\2\3"), "x"))
  check.refused("a size of 0 x 7", image.decode(make_png(0, 7, 8, 2, ""), "x"))
  check.refused("beyond 31 bits", image.decode(make_png(0xffffffff, 1, 8, 2, ""), "x"))
end)

test("what a PNG has too much is no reason to refuse it", function()
  local function red(extra, color, raw)
    local im = check.ok(image.decode(make_png(1, 1, 8, color or 2, raw or "\0\1\2\3", extra), "x"))
    return (im:get(0, 0))
  end
  check.equal(red(nil, 2, "\0\1\2\3and more than that"), 1)
  check.equal(red(nil, 2, "\0\1\2\3" .. ("more"):rep(5000)), 1)
  check.equal(red(chunk("iCCP", "not a profile") .. chunk("gAMA", "\0\0\0\1") .. chunk("gAMA", "") .. chunk("puRE", "?")), 1)
  check.equal(red(chunk("iTXt", ("long "):rep(1800000))), 1) -- above libpng's limit for chunks that it keeps
  check.equal(red(chunk("tRNS", "\0\0\0\0\0\0"), 6, "\0\1\2\3\4"), 1)
  check.equal(red(chunk("PLTE", "rgb"), 0, "\0\1"), 1)
end)

test("a key colour or palette alpha that cannot be is refused, not left out", function()
  check.refused("tRNS", image.decode(make_png(1, 1, 8, 2, "\0\1\2\3", chunk("tRNS", "\0\1")), "x"))
  check.refused("tRNS", image.decode(make_png(1, 1, 8, 3, "\0\0", chunk("PLTE", "rgb") .. chunk("tRNS", "\0\1")), "x"))
  check.refused("tRNS", image.decode(make_png(1, 1, 8, 3, "\0\0", chunk("tRNS", "\0") .. chunk("PLTE", "rgb")), "x"))
end)

-- A GIF of one frame whose LZW codes, 3 bits each, are given as they are: 0 to 3 colours, 4 clear, 5 end, 6 the first free.
local function make_gif(codes, w, h, screen_w, screen_h, palette)
  local bits, data = 0, ""
  for i, code in ipairs(codes) do bits = bits | code << 3 * (i - 1) end
  for i = 0, (3 * #codes - 1) // 8 do data = data .. string.char(bits >> 8 * i & 255) end
  local flags = palette == "" and 0 or 0x81
  return "GIF89a" .. string.pack("<I2I2BBB", screen_w or w, screen_h or h, flags, 0, 0) .. (palette or "\0\0\0\1\1\1\2\2\2\3\3\3")
    .. "," .. string.pack("<I2I2I2I2B", 0, 0, w, h, 0) .. "\2" .. string.char(#data) .. data .. "\0;"
end

test("damage inside a GIF is refused, never half shown", function()
  local im = check.ok(image.decode(make_gif({ 4, 1, 6, 5 }, 3, 1), "x"))
  check.equal(im:bytes(), ("\1"):rep(9))
  check.refused("not yet defined", image.decode(make_gif({ 4, 1, 7 }, 3, 1), "x")) -- giflib gives 1, 1, 2
  check.refused("not yet defined", image.decode(make_gif({ 4, 6, 1, 1 }, 3, 1), "x"))
  check.refused("end too early", image.decode(make_gif({ 4, 1, 1, 5 }, 3, 1), "x"))
  check.refused("stop too early", image.decode(make_gif({ 4, 1 }, 3, 1), "x"))
  check.refused("no palette", image.decode(make_gif({ 4, 1, 1, 1, 5 }, 3, 1, 3, 1, ""), "x"))
  for _, size in ipairs { 0, 9, 86, 255 } do
    local gif = make_gif({ 4, 1, 6, 5 }, 3, 1) -- ends with the code size, 2 bytes of codes with their count, 0 and ;
    check.refused("impossible code size", image.decode(gif:sub(1, -7) .. string.char(size) .. gif:sub(-5), "x"))
  end
  check.refused("without pixels", image.decode(make_gif({ 4, 5 }, 0, 1, 3, 1), "x"))
end)

test("a GIF that lies about its size is refused without asking for the memory", function()
  check.refused("can hold", image.decode(make_gif({ 4, 1, 6, 5 }, 65535, 65535, 3, 1), "x"))
  check.refused("can hold", image.decode(make_gif({ 4, 1, 6, 5 }, 10000, 10000), "x"))
  local long = make_gif({ 4, 1, 6, 5 }, 65535, 65535, 10, 10) .. ("x"):rep(2000000) -- long enough, but the frame is not
  check.refused("65535 x 65535 pixels on a screen of 10 x 10", image.decode(long, "x"))
  check.equal(image.decode(make_gif({ 4, 1, 6, 5 }, 3, 1, 2, 1), "x"):width(), 2) -- a little too wide: cut
  check.equal(check.refused("max_pixels", image.decode(make_gif({ 4, 1, 6, 5 }, 3, 1, 300, 100), "x", { max_pixels = 10000 })), "LIMIT")
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
  for _, filter in ipairs { "lanczos", "area", "bilinear", "bicubic" } do
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
  check.fails("printable ASCII", im.encode, im, "png", { text = { ["a  b"] = "y" } })
  check.fails("printable ASCII", im.encode, im, "png", { text = { [("k"):rep(80)] = "y" } })
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

test("a large picture that is saved says how far it is, where it is told as what", function()
  local pipe = io.popen "readlink /proc/$PPID/exe"
  local program, folder = pipe:read "l":gsub("/tests/host$", "/calotype"), tmp "large"
  pipe:close()
  assert(fs.write(folder .. "/r.lua", [[
    image.new(12000, 9000, { 250, 249, 246 }):save("x.png", { progress = "writing it" })]]))
  local out = io.popen(("cd '%s' && CALOTYPE_PROGRESS=0.1 '%s' run r.lua 2>&1"):format(folder, program))
  local said = out:read "a"
  out:close()
  check.ok(said:find "  writing it %[=[= ]*%] %d+/9000 ", said)
  check.equal(image.probe(folder .. "/x.png").height, 9000)
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

local expected = dofile(GOLDEN .. "expected.lua")

local function distance(a, b)
  local x = tonumber(a, 16) ~ tonumber(b, 16)
  local bits = 0
  while x ~= 0 do
    bits = bits + (x & 1)
    x = x >> 1
  end
  return bits
end

test("the hash is imagehash's, bit for bit at 32 x 32, within 2 bits on JPEGs", function()
  for _, row in ipairs(expected) do
    local hash = golden(row.file):hash()
    if row.file:find "^hash" then check.equal(hash, row.phash, row.file)
    else check.ok(distance(hash, row.phash) <= 2, row.file .. ": " .. hash .. ", expected " .. row.phash) end
  end
end)

test("each of the 8 hashes is that of the really turned or flipped picture", function()
  for _, row in ipairs(expected) do
    local im = golden(row.file)
    local hashes = im:measure().phashes
    check.equal(hashes[1], im:hash())
    for k = 0, 7 do
      local turned = (k < 4 and im or im:flip()):rotate(k % 4)
      check.ok(distance(hashes[k + 1], turned:hash()) <= 2, ("%s, variant %d"):format(row.file, k))
    end
  end
end)

test("the hash of a picture made smaller and saved again stays near, that of another picture is far", function()
  local im = golden "photo-0.jpg"
  local again = image.decode(im:resize(90, 0):encode("jpeg", { quality = 60 }), "x")
  check.ok(distance(im:hash(), again:hash()) <= 4)
  check.ok(distance(im:hash(), golden "photo-1.jpg":hash()) > 10)
end)

test("flat pictures have the hash of their constant alone", function()
  for _, v in ipairs { 1, 77, 255 } do check.equal(image.new(50, 40, { v, v, v }):hash(), "8000000000000000") end
  check.equal(image.new(50, 40):hash(), "0000000000000000")
end)

test("brightness and entropy are cleanvision's and Pillow's", function()
  for _, row in ipairs(expected) do
    local m = golden(row.file):measure()
    for i, name in ipairs { "p1", "p5", "p50", "p95", "p99" } do
      check.near(m.brightness[name], row.brightness[i], row.file:find "jpg" and 4e-3 or 1e-3, row.file .. " " .. name)
    end
    check.near(m.entropy, row.entropy, 0.01, row.file)
  end
end)

test("measures of simple pictures are what one can work out", function()
  local m = image.new(64, 48, { 255, 255, 255 }):measure()
  check.equal({ m.width, m.height, m.alpha, m.gray }, { 64, 48, false, true })
  check.equal(m.brightness, { p1 = 1, p5 = 1, p50 = 1, p95 = 1, p99 = 1 })
  check.equal(m.sharpness, 0)
  check.near(m.entropy, math.log(3, 2), 1e-12) -- three bands laid end to end, each in one bin
end)

test("alpha and gray are seen", function()
  check.equal(image.new(4, 4, { 9, 9, 9, 254 }):measure().alpha, true)
  check.equal(image.new(4, 4, { 9, 9, 9, 255 }):measure().alpha, false)
  check.equal(image.new(4, 4, { 100, 104, 100 }):measure().gray, true)
  check.equal(image.new(4, 4, { 100, 105, 100 }):measure().gray, false)
end)

test("a blurred picture is less sharp, and a sharp corner is enough", function()
  local sharp = golden "resize.png":resize(480, 320, "lanczos")
  local soft = sharp:resize(60, 40, "area"):resize(480, 320, "bilinear")
  local a, b = sharp:measure().sharpness, soft:measure().sharpness
  check.ok(a > 4 * b, ("%g and %g"):format(a, b))
  local corner = soft:copy():paste(sharp:crop(0, 0, 120, 80), 0, 0)
  check.ok(corner:measure().sharpness > 2 * b)
  check.near(soft:resize(2000, 0, "bilinear"):measure().sharpness, b, b) -- measured at 512 px, whatever the size
end)

test("noise is found with its size, and texture is not taken for it", function()
  local hash = require "native.hash"
  local random, im = hash.random(5), image.new(400, 300, { 128, 128, 128 })
  check.equal(im:measure().noise, 0)
  for y = 0, 299 do for x = 0, 399 do -- three dice have a deviation of sqrt(3 (n^2 - 1) / 12): 10 for n = 20
    local v = 128 + random:below(20) + random:below(20) + random:below(20) - 28
    im:set(x, y, { v, v, v })
  end end
  check.near(im:measure().noise, 10, 1)
  local half = im:copy():paste(image.new(400, 150, { 90, 90, 90 }), 0, 0)
  check.equal(half:measure().noise, 0) -- the calm half is what counts
  check.equal(image.new(400, 300, { 255, 255, 255 }):measure().noise, 0) -- what is clipped says nothing
end)

test("the squares of a coarse JPEG are found, wherever they begin", function()
  local im = golden "resize.png":resize(480, 320, "lanczos")
  local function saved(quality) return image.decode(im:encode("jpeg", { quality = quality }), "x") end
  local fine, coarse = saved(95):measure().blocking, saved(15):measure().blocking
  check.ok(coarse > 1.8 and coarse > 1.4 * fine, ("%g and %g"):format(fine, coarse))
  check.near(saved(15):crop(3, 5, 470, 310):measure().blocking, coarse, 0.3 * coarse)
  check.equal(image.new(63, 500, { 1, 2, 3 }):measure().blocking, 1)
  check.equal(image.new(80, 80, { 1, 2, 3 }):measure().blocking, 1)
end)

test("the smallest pictures are measured", function()
  for _, size in ipairs { { 1, 1 }, { 1, 50 }, { 50, 1 }, { 2, 2 }, { 3, 3 } } do
    local m = image.new(size[1], size[2], { 50, 60, 70 }):measure()
    check.equal({ m.sharpness, m.noise, m.blocking }, { 0, 0, 1 })
    check.ok(#m.phashes == 8)
  end
end)

-- The sum of what drawing changed on black, in pixels of full white.
local function area(im)
  local sum = 0
  for _, v in ipairs { im:gray():bytes():byte(1, -1) } do sum = sum + v end
  return sum / 255
end

local WHITE = { 255, 255, 255 }

test("shapes cover their area", function()
  local function canvas() return image.new(64, 64) end
  check.near(area(canvas():rect(10.25, 20.5, 30.5, 7.25, WHITE)), 30.5 * 7.25, 1)
  check.near(area(canvas():circle(32, 31.3, 20.2, WHITE)), math.pi * 20.2 ^ 2, 2)
  check.near(area(canvas():ellipse(32, 32, 25, 9, 0.7, WHITE)), math.pi * 25 * 9, 2)
  check.near(area(canvas():line(5, 5, 50, 40, 2.5, WHITE)), 2.5 * math.sqrt(45 ^ 2 + 35 ^ 2), 2)
  check.near(area(canvas():fill_polygon({ 3, 3, 60, 10, 20, 55 }, WHITE)), (57 * 52 - 17 * 7) / 2, 2)
  check.near(area(canvas():circle(32, 32, 0.5, WHITE)), math.pi / 4, 0.1)
end)

test("what a polygon covers twice is empty", function()
  local im = image.new(40, 40):fill_polygon({ 0, 0, 40, 0, 40, 40, 0, 40, 0, 0, 10, 10, 30, 10, 30, 30, 10, 30, 10, 10 }, WHITE)
  check.equal((im:get(20, 20)), 0)
  check.equal((im:get(5, 20)), 255)
end)

test("an edge through the middle of a pixel covers half of it", function()
  check.near((image.new(4, 1):rect(0, 0, 1.5, 1, WHITE):get(1, 0)), 128, 1)
  check.near((image.new(4, 1):rect(0, 0, 4, 0.5, WHITE):get(1, 0)), 128, 1)
end)

test("shapes are cut at the picture's edge, and misplaced ones change nothing", function()
  local im = image.new(20, 20)
  im:circle(-500, 10, 50, WHITE):rect(30, 0, 5, 5, WHITE):line(-10, -10, -1, 30, 2, WHITE):text(500, 500, "x")
  check.equal(area(im), 0)
  check.equal(area(im:circle(10, 10, 1000, WHITE)), 400)
  check.fails("coordinates go to", im.rect, im, 0 / 0, 0, 1, 1, WHITE)
  check.fails("radii", im.circle, im, 1, 1, -1, WHITE)
  check.fails("draw:", im.circle, im, 1, 1, 1 / 0, WHITE)
  check.fails("draw:", im.line, im, 0, 0, 1, 1e300, 1, WHITE)
  check.fails("pairs of x and y", im.fill_polygon, im, { 1, 2, 3 }, WHITE)
  check.fails("pairs of x and y", im.fill_polygon, im, { 1, "a" }, WHITE)
end)

test("alpha blends, on opaque and on transparent pictures", function()
  check.near((image.new(1, 1):rect(0, 0, 1, 1, { 200, 0, 0, 128 }):get(0, 0)), 100, 1)
  check.equal({ image.new(1, 1, { 0, 0, 0, 0 }):rect(0, 0, 1, 1, { 200, 10, 0, 128 }):get(0, 0) }, { 200, 10, 0, 128 })
  local over = { image.new(1, 1, { 0, 0, 255, 255 }):rect(0, 0, 1, 1, { 255, 0, 0, 51 }):get(0, 0) }
  check.equal(over, { 51, 0, 204, 255 })
  check.equal((image.new(1, 1):gray():rect(0, 0, 1, 1, WHITE):get(0, 0)), 255)
end)

test("paste lays pictures over each other, cut at the edges", function()
  local im, red = image.new(4, 4), image.new(3, 3, { 255, 0, 0 })
  im:paste(red, 2, -1):paste(red, -100, 0):paste(red, 1 << 29, 0)
  check.equal((im:get(3, 1)), 255)
  check.equal((im:get(1, 0)), 0)
  check.equal((im:get(2, 2)), 0)
  check.equal({ image.new(1, 1, { 0, 0, 255 }):paste(image.new(1, 1, { 255, 0, 0, 51 }), 0, 0):get(0, 0) }, { 51, 0, 204, 255 })
  check.fails("into itself", im.paste, im, im, 0, 0)
end)

test("text takes the width it says, and every character leaves a mark", function()
  local width = image.text_width("Hello, world", 20)
  local im = image.new(300, 30)
  check.equal(im:text(5, 5, "Hello, world", { size = 20, color = WHITE }), width)
  local left, right = 300, 0
  for x = 0, 299 do for y = 0, 29 do if im:get(x, y) > 0 then left, right = math.min(left, x), math.max(right, x) end end end
  check.ok(left >= 5 and right <= 5 + width, ("ink from %d to %d"):format(left, right))
  check.ok(right - left > width - 6)
  for c = 33, 126 do
    local one = image.new(40, 40)
    one:text(5, 5, string.char(c), { size = 24, color = WHITE })
    check.ok(area(one) > 2, string.char(c) .. " is invisible")
  end
end)

test("every glyph is a different one", function()
  local seen = {}
  for c = 33, 126 do
    local im = image.new(40, 40)
    im:text(5, 5, string.char(c), { size = 24, color = WHITE })
    check.ok(not seen[im:bytes()], string.char(c) .. " looks like " .. tostring(seen[im:bytes()]))
    seen[im:bytes()] = string.char(c)
  end
end)

test("text that is not ASCII or not UTF-8 becomes boxes; lines stand below each other", function()
  local a, b = image.new(60, 30), image.new(60, 30)
  a:text(2, 2, "é", { color = WHITE })
  b:text(2, 2, "\xff", { color = WHITE })
  check.ok(a == b and area(a) > 5)
  check.equal(image.text_width("ab\nabcd", 10), image.text_width("abcd", 10))
  check.equal(image.text_width("", 10), 0)
  check.fails("size of", a.text, a, 0, 0, "x", { size = 0 })
  check.fails("size of", a.text, a, 0, 0, "x", { size = 1e9 })
end)

test("pictures that nobody needs go before there are too many, and too many are refused", function()
  local pipe = io.popen "readlink /proc/$PPID/exe"
  local program = pipe:read "l":gsub("/tests/host$", "/calotype")
  pipe:close()
  local path = tmp "many.lua"
  local file = assert(io.open(path, "w"))
  file:write [[
    for i = 1, 50 do assert(image.new(2000, 2000)) end
    local kept, why = {}, nil
    for i = 1, 50 do
      kept[i], why = image.new(2000, 2000)
      if why then break end
    end
    print(#kept, why)
    kept = nil
    print(image.new(2000, 2000))
  ]]
  file:close()
  local out = io.popen(("CALOTYPE_MEMORY=16 %s -q %s 2>&1"):format(program, path))
  local text = out:read "a"
  out:close()
  check.contains(text, "5\tpictures hold 68 MB, more than the 64 that a script may")
  check.contains(text, "\npicture of 2000 x 2000, RGB")
end)
