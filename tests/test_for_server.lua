local image = require "native.image"
local fs = require "native.fs"

local GOLDEN = "tests/golden/image/"

local function sent(path, options)
  local bytes, mime = image.for_server(path, options)
  check.ok(bytes, mime)
  local im = check.ok(image.decode(bytes, path))
  return im, bytes, mime
end

-- Whole numbers in bytes, little end first.
local function little(n, size)
  local out = {}
  for i = 1, size do out[i] = string.char(n >> 8 * (i - 1) & 255) end
  return table.concat(out)
end

local function near(a, b, most)
  local p, q = a:bytes(), b:bytes()
  check.equal({ a:width(), a:height(), a:channels() }, { b:width(), b:height(), b:channels() })
  local sum = 0
  for i = 1, #p do sum = sum + math.abs(p:byte(i) - q:byte(i)) end
  check.ok(sum / #p <= most, ("differs by %.2f on average"):format(sum / #p))
end

test("a picture that fits keeps its bytes", function()
  for name, mime in pairs { ["jpeg-420.jpg"] = "image/jpeg", ["jpeg-progressive.jpg"] = "image/jpeg", ["jpeg-gray.jpg"] = "image/jpeg",
    ["png-rgb8.png"] = "image/png", ["png-palette4.png"] = "image/png", ["webp.webp"] = "image/webp" } do
    local im, bytes, kind = sent(GOLDEN .. name)
    check.equal(kind, mime)
    check.equal(bytes, fs.read(GOLDEN .. name), name)
    check.ok(im == image.load(GOLDEN .. name))
  end
end)

test("a picture turned by EXIF arrives upright", function()
  for _, name in ipairs { "jpeg-orient2.jpg", "jpeg-orient6.jpg", "jpeg-orient8.jpg", "webp-orient6.webp", "png-orient6.png" } do
    local im, bytes, mime = sent(GOLDEN .. name)
    check.equal(mime, "image/jpeg")
    near(im, image.load(GOLDEN .. name):rgb(), 10)
    check.ok(not bytes:find("Exif", 1, true))
  end
end)

test("transparency becomes white, and opaque alpha stays", function()
  local path = tmp "alpha.png"
  local im = image.new(80, 64, { 255, 0, 0, 0 })
  im:rect(0, 0, 40, 64, { 0, 0, 255 })
  check.ok(im:save(path))
  local got, _, mime = sent(path)
  check.equal(mime, "image/jpeg")
  check.equal({ got:get(70, 30) }, { 255, 255, 255, 255 }, "not the colour that lies behind")
  check.ok(image.new(80, 64, { 255, 0, 0, 255 }):save(path))
  check.equal(select(3, sent(path)), "image/png")
  check.equal(select(3, sent(GOLDEN .. "webp-alpha.webp")), "image/jpeg")
end)

test("what servers do not read becomes a JPEG: GIF, animations, BMP, TIFF, CMYK, 16 bits", function()
  for _, name in ipairs { "gif.gif", "gif-animated.gif", "webp-animated.webp", "bmp.bmp", "tiff-orient6.tif", "jpeg-cmyk.jpg", "png-rgb16.png", "qoi.qoi" } do
    local im, _, mime = sent(GOLDEN .. name)
    check.equal(mime, "image/jpeg", name)
    near(im, image.load(GOLDEN .. name):rgb(), 10)
  end
  check.equal(select(3, sent(GOLDEN .. "webp.webp", { formats = { "jpeg", "png" } })), "image/jpeg")
  check.equal(select(3, sent(GOLDEN .. "webp.webp", { formats = { "webp" } })), "image/webp")
  check.equal(select(3, sent(GOLDEN .. "png-rgb8.png", { formats = {} })), "image/jpeg")
end)

test("a picture of 10,000 pixels is made as small as asked, with its aspect", function()
  for _, name in ipairs { "wide.png", "wide.jpg" } do
    local path = tmp(name)
    local im = image.new(10000, 500, { 200, 30, 30 })
    im:rect(5000, 0, 5000, 500, { 30, 30, 200 })
    check.ok(im:save(path))
    local got, _, mime = sent(path)
    check.equal(mime, "image/jpeg")
    check.equal({ got:width(), got:height() }, { 2048, 102 })
    local r, _, b = got:get(500, 50)
    check.ok(r > 190 and b < 40)
    r, _, b = got:get(1500, 50)
    check.ok(r < 40 and b > 190)
    got = sent(path, { largest_side = 64 })
    check.equal({ got:width(), got:height() }, { 64, 3 })
  end
  local thin = tmp "thin.png"
  check.ok(image.new(3, 3000, { 1, 2, 3 }):save(thin))
  local got = sent(thin, { largest_side = 100 })
  check.equal({ got:width(), got:height() }, { 1, 100 })
end)

test("bytes stay below the limit, by quality first, then by size", function()
  local noise = {}
  local state = 1
  for i = 1, 300 * 200 do
    state = (state * 1103515245 + 12345) & 0x7fffffff
    noise[i] = state >> 8 & 255
  end
  local im = image.new(300, 200)
  for y = 0, 199 do
    for x = 0, 299 do
      local v = noise[y * 300 + x + 1]
      im:set(x, y, { v, noise[(y * 300 + x + 7777) % 60000 + 1], 255 - v })
    end
  end
  local path = tmp "noise.png"
  check.ok(im:save(path))
  local coarse, bytes = sent(path, { largest_bytes = 60000 })
  check.ok(#bytes <= 60000)
  check.equal(coarse:width(), 300, "coarser was enough")
  local small, fewer = sent(path, { largest_bytes = 10000 })
  check.ok(#fewer <= 10000 and small:width() < 300)
  check.equal(select(3, sent(path)), "image/png")
  local none, message, code = image.for_server(path, { largest_bytes = 4096, largest_side = 64 })
  check.ok(none or (code == "LIMIT" and message:find("at most 4096 are wanted", 1, true)), message)
end)

test("what a file tells about its maker stays at home, its pixels and profile do not change", function()
  local function jpeg_with(segments, tail)
    local bytes = fs.read(GOLDEN .. "jpeg-420.jpg")
    local out = { bytes:sub(1, 2) }
    for _, s in ipairs(segments) do out[#out + 1] = "\xff" .. s[1] .. little(#s[2] + 2, 2):reverse() .. s[2] end
    return table.concat(out) .. bytes:sub(3) .. (tail or "")
  end
  local path = tmp "told.jpg"
  local exif = "Exif\0\0II*\0\8\0\0\0\0\0\0\0\0\0GPS-HOME"
  check.ok(fs.write(path, jpeg_with({ { "\xe1", exif }, { "\xed", "Photoshop NAME-OF-OWNER" }, { "\xfe", "a comment" } }, "\xff\xd8\xff\xe1 GPS-AGAIN")))
  local im, bytes = sent(path)
  check.equal(bytes, fs.read(GOLDEN .. "jpeg-420.jpg"))
  check.ok(im == image.load(GOLDEN .. "jpeg-420.jpg"))
  check.ok(fs.write(path, jpeg_with { { "\xe2", "ICC_PROFILE\0\1\1 kept" } }))
  check.ok(select(2, sent(path)):find("ICC_PROFILE", 1, true))

  path = tmp "told.png"
  local drawn = image.new(20, 10, { 9, 8, 7 })
  check.ok(drawn:save(path, { text = { parameters = "the secret prompt" } }))
  im, bytes = sent(path)
  check.ok(im == drawn and not bytes:find("secret", 1, true))
  check.ok(fs.write(path, fs.read(path) .. "behind the end"))
  check.ok(not select(2, sent(path)):find("behind", 1, true))

  path = tmp "told.webp"
  local webp = fs.read(GOLDEN .. "webp.webp")
  local whole = webp:sub(9) .. "EXIF" .. little(8, 4) .. "GPS-HOME" .. "XMP " .. little(3, 4) .. "xmp\0"
  check.ok(fs.write(path, "RIFF" .. little(#whole, 4) .. whole))
  im, bytes = sent(path)
  check.equal(bytes, webp)
  check.ok(im == image.load(path))
end)

test("a JPEG whose parts only its decoder understands is sent as its pixels", function()
  local path = tmp "odd.jpg"
  local bytes = fs.read(GOLDEN .. "jpeg-420.jpg")
  check.ok(fs.write(path, bytes:sub(1, 2) .. "\xff\xe1\0\10GPS-HOME" .. "\0\0\0" .. bytes:sub(3)))
  if image.load(path) then
    local im, got = sent(path)
    near(im, image.load(path), 10)
    check.ok(not got:find("GPS", 1, true))
  else
    check.ok(not image.for_server(path))
  end
end)

test("a truncated file is refused here, not by the server", function()
  for _, name in ipairs { "jpeg-420.jpg", "jpeg-progressive.jpg", "png-rgb8.png", "webp.webp", "gif.gif", "jpeg-orient6.jpg" } do
    local bytes = fs.read(GOLDEN .. name)
    local path = tmp("cut-" .. name)
    for _, part in ipairs { 0, 1, 12, #bytes // 2, #bytes - 2 } do
      check.ok(fs.write(path, bytes:sub(1, part)))
      local got, message, code = image.for_server(path)
      check.ok(not got and code == "FORMAT" and message:find(path, 1, true), name .. " cut at " .. part)
    end
  end
  local got, _, code = image.for_server(tmp "nothing.jpg")
  check.ok(not got and code == "NOTFOUND")
end)

test("limits that cannot be are misuse", function()
  local path = GOLDEN .. "webp.webp"
  check.fails("at least 64", image.for_server, path, { largest_side = 10 })
  check.fails("at least 64 and 4096", image.for_server, path, { largest_bytes = 10 })
  check.fails("largest_bytes", image.for_server, path, { largest_bytes = -1 })
  check.fails("formats", image.for_server, path, { formats = "png" })
  check.fails("a list of jpeg, png, webp", image.for_server, path, { formats = { "gif" } })
end)
