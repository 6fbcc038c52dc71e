"""Makes the pictures and expected values in this folder; see ../README.md for the command.

Files to decode (a.*, png-*, jpeg-*, ...) each have a reference "<file>.ref.png": what Pillow sees, as RGB or RGBA.
"""
import io, struct, zlib, pathlib
import numpy as np, imagehash, PIL
from PIL import Image, ImageDraw, ImageOps

here = pathlib.Path(__file__).parent
rng = np.random.default_rng(7)

def scene(w, h, seed):
    """Something with edges, gradients and texture: a cheap stand-in for a photograph."""
    r = np.random.default_rng(seed)
    y, x = np.mgrid[0:h, 0:w].astype(float)
    im = np.stack([x / w * 200, y / h * 180, 120 + 60 * np.sin(x / 9 + y / 5)], -1)
    im = Image.fromarray(im.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(im)
    for _ in range(9):
        cx, cy, s = r.uniform(0, w), r.uniform(0, h), r.uniform(5, h / 2)
        color = tuple(int(v) for v in r.integers(0, 256, 3))
        if r.random() < 0.5: draw.ellipse([cx - s, cy - s / 2, cx + s, cy + s / 2], fill=color)
        else: draw.polygon([(cx - s, cy), (cx, cy - s), (cx + s, cy + s / 3)], fill=color)
    noise = r.normal(0, 8, (h, w, 3))
    return Image.fromarray((np.asarray(im) + noise).clip(0, 255).astype(np.uint8))

def alpha(im):
    w, h = im.size
    y, x = np.mgrid[0:h, 0:w]
    a = (255 * ((x - w / 2) ** 2 + (y - h / 2) ** 2 < (h / 2.2) ** 2) * (x / w)).astype(np.uint8)
    return Image.merge("RGBA", [*im.split(), Image.fromarray(a)])

def save(name, im, **options): im.save(here / name, **options)

def reference(name, im=None):
    if im is None:
        im = ImageOps.exif_transpose(Image.open(here / name))
        has_alpha = "A" in im.mode or "transparency" in im.info
        im = im.convert("RGBA" if has_alpha else "RGB")
    im.save(here / (name + ".ref.png"), optimize=True)

def chunk(kind, body): return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]

def png(name, samples, color, depth, interlaced=False, extra=b""):
    """samples: (h, w, channels) integers below 2^depth. Rows use all five filters in turn."""
    h, w, c = samples.shape
    def rows(s):
        out, above, step = b"", None, max(1, c * depth // 8)
        for i in range(s.shape[0]):
            flat = s[i].reshape(-1)
            if depth == 16: row = b"".join(struct.pack(">H", int(v)) for v in flat)
            else:
                bits = "".join(format(int(v), "0%db" % depth) for v in flat)
                bits += "0" * (-len(bits) % 8)
                row = bytes(int(bits[k:k + 8], 2) for k in range(0, len(bits), 8))
            above = above or bytes(len(row))
            f, line = i % 5, bytearray()
            for k, v in enumerate(row):
                a = row[k - step] if k >= step else 0
                b, d = above[k], above[k - step] if k >= step else 0
                p = a + b - d
                guess = [0, a, b, (a + b) // 2, min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - d), 2, d))[2]][f]
                line.append((v - guess) & 255)
            out += bytes([f]) + bytes(line)
            above = row
        return out
    raw = b"".join(rows(samples[y::dy, x::dx]) for x, y, dx, dy in ADAM7 if samples[y::dy, x::dx].size) if interlaced else rows(samples)
    packed = zlib.compress(raw)
    body = chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, color, 0, 0, int(interlaced))) + extra
    half = len(packed) // 2
    (here / name).write_bytes(b"\x89PNG\r\n\x1a\n" + body + chunk(b"IDAT", packed[:half]) + chunk(b"IDAT", packed[half:]) + chunk(b"IEND", b""))

small = scene(29, 19, 1)
rgb = np.asarray(small)
rgba = np.asarray(alpha(small))
gray = np.asarray(small.convert("L"))[..., None]
wide = (rgb.astype(int) * 257 + rng.integers(-100, 100, rgb.shape)).clip(0, 65535)

def three(a): return Image.fromarray(np.repeat(a.astype(np.uint8), 3, -1))
for lace in (False, True):
    tail = "-interlaced.png" if lace else ".png"
    png("png-rgb8" + tail, rgb, 2, 8, lace); reference("png-rgb8" + tail, small)
    png("png-rgba8" + tail, rgba, 6, 8, lace); reference("png-rgba8" + tail, alpha(small))
    png("png-rgb16" + tail, wide, 2, 16, lace); reference("png-rgb16" + tail, Image.fromarray((wide >> 8).astype(np.uint8)))
    for depth in (1, 2, 4, 8):
        v = gray >> (8 - depth)
        png(f"png-gray{depth}" + tail, v, 0, depth, lace); reference(f"png-gray{depth}" + tail, three(v.astype(int) * 255 // (2 ** depth - 1)))
for depth in (1, 2, 4, 8):
    n = min(2 ** depth, 200)
    table = rng.integers(0, 256, (n, 3)).astype(np.uint8)
    index = rng.integers(0, n, (19, 29, 1))
    png(f"png-palette{depth}.png", index, 3, depth, False, chunk(b"PLTE", table.tobytes()))
    reference(f"png-palette{depth}.png", Image.fromarray(table[index[..., 0]]))
clear = rng.integers(0, 256, 100).astype(np.uint8)
png("png-palette-alpha.png", index, 3, 8, True, chunk(b"PLTE", table.tobytes()) + chunk(b"tRNS", clear.tobytes()))
full = np.concatenate([table, np.concatenate([clear, np.full(100, 255, np.uint8)])[:, None]], 1)
reference("png-palette-alpha.png", Image.fromarray(full[index[..., 0]]))
key = rgb[3, 4]
png("png-rgb8-key.png", rgb, 2, 8, False, chunk(b"tRNS", struct.pack(">HHH", *[int(v) for v in key])))
a = np.where((rgb == key).all(-1), 0, 255).astype(np.uint8)
reference("png-rgb8-key.png", Image.fromarray(np.concatenate([rgb, a[..., None]], 2)))
ga = np.concatenate([gray.astype(int) * 257, rgba[..., 3:].astype(int) * 257], 2)
png("png-gray-alpha16.png", ga, 4, 16)
reference("png-gray-alpha16.png", Image.fromarray(np.concatenate([gray, gray, gray, rgba[..., 3:]], 2)))

for k in range(1, 9):
    exif = Image.Exif(); exif[0x0112] = k
    save(f"jpeg-orient{k}.jpg", small, quality=90, exif=exif); reference(f"jpeg-orient{k}.jpg")
exif = Image.Exif(); exif[0x0112] = 6
save("png-orient6.png", small, exif=exif); reference("png-orient6.png")
save("webp-orient6.webp", small, exif=exif, lossless=True); reference("webp-orient6.webp")
save("jpeg-gray.jpg", small.convert("L")); reference("jpeg-gray.jpg")
save("jpeg-progressive.jpg", small, progressive=True, quality=85); reference("jpeg-progressive.jpg")
save("jpeg-420.jpg", scene(61, 43, 3), quality=80, subsampling=2); reference("jpeg-420.jpg")
save("jpeg-cmyk.jpg", scene(29, 19, 4).convert("CMYK"), quality=95); reference("jpeg-cmyk.jpg")

quantized = small.quantize(32)
save("gif.gif", quantized); reference("gif.gif")
save("gif-interlaced.gif", quantized, interlace=True); reference("gif-interlaced.gif")
save("gif-animated.gif", quantized, save_all=True, append_images=[scene(29, 19, 5).quantize(32)], duration=100); reference("gif-animated.gif")
save("bmp.bmp", small); reference("bmp.bmp")
save("bmp-palette.bmp", quantized); reference("bmp-palette.bmp")
save("webp.webp", small, quality=80); reference("webp.webp")
save("webp-alpha.webp", alpha(small), lossless=True, exact=True); reference("webp-alpha.webp")
save("webp-animated.webp", alpha(small), save_all=True, append_images=[scene(29, 19, 5).convert("RGBA")], lossless=True, exact=True)
reference("webp-animated.webp")
save("tiff.tif", small, compression="tiff_lzw"); reference("tiff.tif")
for k in range(2, 9):
    save(f"tiff-orient{k}.tif", small, compression="tiff_lzw", tiffinfo={274: k}); reference(f"tiff-orient{k}.tif")
save("pnm.ppm", small); reference("pnm.ppm")
save("pnm.pgm", small.convert("L")); reference("pnm.pgm")
save("qoi.qoi", small); reference("qoi.qoi")
save("qoi-alpha.qoi", alpha(small)); reference("qoi-alpha.qoi")

# Resizing: Pillow's own results.
big = scene(120, 80, 2)
save("resize.png", big, optimize=True)
save("resize-alpha.png", alpha(big), optimize=True)
for w, h in ((37, 23), (240, 50), (32, 32), (120, 7), (1, 1)):
    for tag, filter in (("lanczos", Image.LANCZOS), ("bilinear", Image.BILINEAR), ("bicubic", Image.BICUBIC)):
        save(f"resize-{tag}-{w}x{h}.png", big.resize((w, h), filter), optimize=True)
        save(f"resize-alpha-{tag}-{w}x{h}.png", alpha(big).resize((w, h), filter), optimize=True)

# Perceptual hashes by imagehash, entropy by Pillow, brightness percentiles by cleanvision's formula with numpy.
with open(here / "expected.lua", "w") as out:
    out.write("-- Made by make.py; imagehash %s, Pillow %s, numpy %s.\nreturn {\n" % (imagehash.__version__, PIL.__version__, np.__version__))
    def row(name, im):
        f = np.asarray(im.convert("RGB")).astype(float)
        b = np.sqrt(0.241 * f[..., 0] ** 2 + 0.691 * f[..., 1] ** 2 + 0.068 * f[..., 2] ** 2) / 255
        p = ", ".join("%.6f" % v for v in np.percentile(b, [1, 5, 50, 95, 99]))
        out.write('  { file = "%s", phash = "%s", entropy = %.6f,\n    brightness = { %s } },\n' % (name, imagehash.phash(im), im.convert("RGB").entropy(), p))
    for k in range(8):
        im = scene(32, 32, 20 + k).convert("L")
        save(f"hash-{k}.png", im, optimize=True)
        row(f"hash-{k}.png", im)
    for k in range(6):
        im = scene(150 + 13 * k, 190 - 17 * k, 40 + k)
        save(f"photo-{k}.jpg", im, quality=88)
        row(f"photo-{k}.jpg", Image.open(here / f"photo-{k}.jpg"))
    out.write("}\n")
