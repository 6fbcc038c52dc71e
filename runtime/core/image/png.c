#include "core/image/png.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/library.h"
#include "core/base/memory.h"

/* zlib's functions that take whole blocks; declared here because nothing is compiled against it. */
static int (*z_compress)(unsigned char *to, unsigned long *to_size, const unsigned char *from, unsigned long size, int level);
static unsigned long (*z_bound)(unsigned long size);
static int (*z_uncompress)(unsigned char *to, unsigned long *to_size, const unsigned char *from, unsigned long size);
static unsigned long (*z_crc32)(unsigned long crc, const unsigned char *bytes, unsigned size);
static const cal_symbol z_symbols[] = {{"compress2", (void *)&z_compress},
                                       {"compressBound", (void *)&z_bound},
                                       {"uncompress", (void *)&z_uncompress},
                                       {"crc32", (void *)&z_crc32},
                                       {0}};
static const char *const z_names[] = {"libz.so.1", "libz.so", "libz.1.dylib", "libz.dylib", NULL};
static cal_library zlib = {"zlib", z_names, z_symbols, "zlib1g", NULL};

enum { GRAY = 0, RGB = 2, PALETTE = 3, GRAY_ALPHA = 4, RGBA = 6 };
static const unsigned char signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

static uint32_t u32(const unsigned char *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }

static int paeth(int a, int b, int c) {
  const int pa = abs(b - c), pb = abs(a - c), pc = abs(a + b - 2 * c);
  return pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
}

/* --- Reading ------------------------------------------------------------------------------------------------------ */
typedef struct {
  const char *name;
  uint32_t width, height;
  int depth, color, samples; /* samples per pixel in the file */
  bool interlaced, keyed;    /* keyed: a tRNS chunk was seen */
  int palette_size;
  unsigned char palette[256][4];
  unsigned key[3];
  cal_buffer data; /* all IDAT chunks */
  unsigned char *raw;
} png;

/* The seven passes of Adam7: first column and row, steps. A picture that is not interlaced is one pass. */
static const unsigned char adam7[7][4] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}};
static const unsigned char whole[4] = {0, 0, 1, 1};

static size_t line_bytes(const png *p, uint32_t width) { return ((size_t)width * (size_t)(p->samples * p->depth) + 7) / 8; }

static uint32_t steps(uint32_t side, unsigned first, unsigned step) { return side > first ? (side - first + step - 1) / step : 0; }

static size_t raw_size(const png *p) {
  size_t sum = 0;
  for (int i = 0; i < (p->interlaced ? 7 : 1); i++) {
    const unsigned char *pass = p->interlaced ? adam7[i] : whole;
    const uint32_t w = steps(p->width, pass[0], pass[2]), h = steps(p->height, pass[1], pass[3]);
    if (w && h) sum += (line_bytes(p, w) + 1) * h;
  }
  return sum;
}

static cal_status broken(const png *p, size_t at, const char *what, cal_error *err) {
  return cal_fail(err, CAL_E_FORMAT, "%s: broken PNG: %s (at byte %zu)", p->name, what, at);
}

static cal_status read_header(png *p, const unsigned char *body, uint32_t length, cal_error *err) {
  if (length != 13) return broken(p, 8, "an IHDR that has not 13 bytes", err);
  p->width = u32(body);
  p->height = u32(body + 4);
  p->depth = body[8];
  p->color = body[9];
  p->interlaced = body[12] == 1;
  static const unsigned depths[7] = {1 | 2 | 4 | 8 | 16, 0, 8 | 16, 1 | 2 | 4 | 8, 8 | 16, 0, 8 | 16}; /* legal, by colour type */
  static const int samples[7] = {1, 0, 3, 1, 2, 0, 4};
  const bool known = p->color <= 6 && (p->depth & (p->depth - 1)) == 0 && (depths[p->color] & (unsigned)p->depth);
  if (!known || body[10] || body[11] || body[12] > 1) return broken(p, 24, "no such colour type, depth or method", err);
  if (!p->width || !p->height || p->width > CAL_IMAGE_SIDE || p->height > CAL_IMAGE_SIDE) return broken(p, 16, "an impossible size", err);
  p->samples = samples[p->color];
  return CAL_OK;
}

static cal_status read_chunk(png *p, const unsigned char *kind, const unsigned char *body, uint32_t length, size_t at, cal_error *err) {
  if (memcmp(kind, "PLTE", 4) == 0) {
    if (length % 3 || length > 768 || !length) return broken(p, at, "a palette that has not 1 to 256 colours", err);
    p->palette_size = (int)length / 3;
    for (int i = 0; i < p->palette_size; i++) {
      memcpy(p->palette[i], body + 3 * i, 3);
      p->palette[i][3] = 255;
    }
  } else if (memcmp(kind, "tRNS", 4) == 0) {
    if (p->color == GRAY_ALPHA || p->color == RGBA) return CAL_OK; /* forbidden there, and without meaning */
    p->keyed = true;
    if (p->color == PALETTE) {
      if (length > (uint32_t)p->palette_size) return broken(p, at, "more transparencies than palette colours", err);
      for (uint32_t i = 0; i < length; i++) p->palette[i][3] = body[i];
    } else if (length != (uint32_t)p->samples * 2) {
      return broken(p, at, "a tRNS chunk of a wrong length", err);
    } else {
      for (int i = 0; i < p->samples; i++) p->key[i] = (unsigned)body[2 * i] << 8 | body[2 * i + 1];
    }
  } else if (memcmp(kind, "IDAT", 4) == 0) {
    cal_buffer_add(&p->data, body, length);
    if (p->data.failed) return cal_fail(err, CAL_E_MEMORY, "%s: not enough memory for its pixels", p->name);
  } else if (!(kind[0] & 0x20) && memcmp(kind, "IHDR", 4) != 0) {
    return broken(p, at, "an unknown chunk that must not be skipped", err);
  }
  return CAL_OK;
}

static cal_status read_chunks(png *p, const unsigned char *bytes, size_t size, cal_error *err) {
  size_t at = sizeof signature;
  for (bool first = true;; first = false) {
    const uint32_t length = size - at >= 8 ? u32(bytes + at) : 0;
    if (size - at < 12 || length > size - at - 12)
      return cal_fail(err, CAL_E_FORMAT,
                      "%s: the PNG is cut off: a chunk that begins at byte %zu goes on after byte %zu, the end of the file", p->name, at,
                      size);
    const unsigned char *kind = bytes + at + 4, *body = kind + 4;
    if (u32(body + length) != z_crc32(0, kind, length + 4)) return broken(p, at, "a chunk's checksum is wrong", err);
    if (first && memcmp(kind, "IHDR", 4) != 0) return broken(p, at, "the first chunk is not an IHDR", err);
    if (memcmp(kind, "IEND", 4) == 0) break;
    cal_status status = first ? read_header(p, body, length, err) : read_chunk(p, kind, body, length, at, err);
    if (status) return status;
    at += 12 + (size_t)length;
  }
  if (p->color == PALETTE && !p->palette_size) return broken(p, at, "no palette", err);
  return CAL_OK;
}

/* Undo one row's filter in place. `above` is the row before it (zeros for the first), `step` the bytes of a pixel. */
static bool unfilter(int filter, unsigned char *row, const unsigned char *above, size_t bytes, size_t step) {
  switch (filter) {
    case 0: return true;
    case 1:
      for (size_t i = step; i < bytes; i++) row[i] = (unsigned char)(row[i] + row[i - step]);
      return true;
    case 2:
      for (size_t i = 0; i < bytes; i++) row[i] = (unsigned char)(row[i] + above[i]);
      return true;
    case 3:
      for (size_t i = 0; i < bytes; i++) row[i] = (unsigned char)(row[i] + ((i >= step ? row[i - step] : 0) + above[i]) / 2);
      return true;
    case 4:
      for (size_t i = 0; i < step && i < bytes; i++) row[i] = (unsigned char)(row[i] + above[i]);
      for (size_t i = step; i < bytes; i++) row[i] = (unsigned char)(row[i] + paeth(row[i - step], above[i], above[i - step]));
      return true;
    default: return false;
  }
}

static unsigned sample(const png *p, const unsigned char *row, size_t i) {
  if (p->depth == 8) return row[i];
  if (p->depth == 16) return (unsigned)row[2 * i] << 8 | row[2 * i + 1];
  const size_t bit = i * (size_t)p->depth;
  return row[bit / 8] >> (8 - p->depth - (int)(bit % 8)) & ((1u << p->depth) - 1);
}

static unsigned char to_8_bits(const png *p, unsigned value) {
  return (unsigned char)(p->depth == 16 ? value >> 8 : value * 255 / ((1u << p->depth) - 1));
}

/* One row of a pass into the picture, `step` output pixels apart. False: a palette index that does not exist. */
static bool place_row(const png *p, const unsigned char *row, uint32_t count, cal_image *im, int x, int y, int step) {
  unsigned char *to = cal_image_at(im, x, y);
  const size_t advance = (size_t)step * (size_t)im->channels;
  if (p->depth == 8 && step == 1 && im->channels == p->samples) return memcpy(to, row, (size_t)count * (size_t)p->samples), true;
  for (uint32_t i = 0; i < count; i++, to += advance) {
    if (p->color == PALETTE) {
      const unsigned index = sample(p, row, i);
      if (index >= (unsigned)p->palette_size) return false;
      memcpy(to, p->palette[index], (size_t)im->channels);
      continue;
    }
    const size_t first = (size_t)i * (size_t)p->samples;
    bool clear = p->keyed;
    for (int k = 0; k < 3; k++) {
      const unsigned value = sample(p, row, first + (p->samples >= 3 ? (size_t)k : 0));
      if (value != p->key[p->samples >= 3 ? k : 0]) clear = false;
      to[k] = to_8_bits(p, value);
    }
    if (im->channels == 4) to[3] = p->keyed ? (clear ? 0 : 255) : to_8_bits(p, sample(p, row, first + (size_t)p->samples - 1));
  }
  return true;
}

static cal_status place(const png *p, cal_image *im, cal_error *err) {
  const size_t longest = line_bytes(p, p->width), step = (size_t)(p->samples * p->depth + 7) / 8;
  unsigned char *zeros = cal_alloc_zero(longest, 1, err), *row = p->raw;
  if (!zeros) return CAL_E_MEMORY;
  cal_status status = CAL_OK;
  for (int i = 0; i < (p->interlaced ? 7 : 1); i++) {
    const unsigned char *pass = p->interlaced ? adam7[i] : whole, *above = zeros;
    const uint32_t w = steps(p->width, pass[0], pass[2]), h = steps(p->height, pass[1], pass[3]);
    const size_t bytes = line_bytes(p, w);
    for (uint32_t y = 0; w && y < h && !status; y++, above = row + 1, row += bytes + 1) {
      if (!unfilter(row[0], row + 1, above, bytes, step))
        status = cal_fail(err, CAL_E_FORMAT, "%s: broken PNG: row %u has the unknown filter %d", p->name, (unsigned)y, row[0]);
      else if (!place_row(p, row + 1, w, im, pass[0], pass[1] + (int)y * pass[3], pass[2]))
        status = cal_fail(err, CAL_E_FORMAT, "%s: broken PNG: row %u has a colour that is not in the palette", p->name, (unsigned)y);
    }
  }
  cal_free(zeros);
  return status;
}

cal_image *cal_png_decode(const unsigned char *bytes, size_t size, const char *name, cal_error *err) {
  if (cal_library_open(&zlib, err)) return NULL;
  if (size < sizeof signature || memcmp(bytes, signature, sizeof signature) != 0)
    return cal_fail(err, CAL_E_FORMAT, "%s: not a PNG", name), NULL;
  cal_image *im = NULL;
  png *p = cal_alloc_zero(1, sizeof *p, err);
  if (!p) return NULL;
  p->name = name;
  if (read_chunks(p, bytes, size, err)) goto done;
  const size_t expected = raw_size(p);
  unsigned long got = expected;
  /* deflate packs at most 1032 : 1, so that a lie about the size is seen before the memory is asked for */
  if (expected / 1040 > p->data.size) {
    cal_fail(err, CAL_E_FORMAT, "%s: broken PNG: %u x %u pixels cannot be in %zu bytes", name, (unsigned)p->width, (unsigned)p->height,
             p->data.size);
    goto done;
  }
  if (!(p->raw = cal_alloc(expected, err))) goto done;
  const int packed = z_uncompress(p->raw, &got, (unsigned char *)p->data.data, p->data.size);
  if (got != expected || (packed != 0 && packed != -5)) { /* -5, Z_BUF_ERROR: more data than pixels, which is harmless */
    if (packed == -4) cal_fail(err, CAL_E_MEMORY, "%s: not enough memory to inflate the PNG", name);
    else cal_fail(err, CAL_E_FORMAT, "%s: broken PNG: the pixels' data stop or are damaged after %lu of %zu bytes", name, got, expected);
    goto done;
  }
  im = cal_image_new((int)p->width, (int)p->height, p->keyed || p->color == GRAY_ALPHA || p->color == RGBA ? 4 : 3, err);
  if (im && place(p, im, err)) cal_image_free(im), im = NULL;
done:
  cal_buffer_free(&p->data);
  cal_free(p->raw);
  cal_free(p);
  return im;
}

/* --- Writing ------------------------------------------------------------------------------------------------------ */
static void put_u32(unsigned char *p, uint32_t v) {
  for (int i = 0; i < 4; i++) p[i] = (unsigned char)(v >> (24 - 8 * i));
}

static void add_chunk(cal_buffer *out, const char *kind, const void *body, size_t size) {
  unsigned char word[4];
  put_u32(word, (uint32_t)size);
  cal_buffer_add(out, word, 4);
  const size_t at = out->size;
  cal_buffer_add(out, kind, 4);
  if (size) cal_buffer_add(out, body, size);
  if (out->failed) return;
  put_u32(word, (uint32_t)z_crc32(0, (unsigned char *)out->data + at, (unsigned)size + 4));
  cal_buffer_add(out, word, 4);
}

static cal_status add_text(cal_buffer *out, const cal_png_text *text, cal_error *err) {
  const size_t length = strlen(text->key);
  bool fine = length >= 1 && length <= 79 && text->key[0] != ' ' && text->key[length - 1] != ' ', ascii = true;
  for (const char *c = text->key; *c; c++) fine = fine && *c >= ' ' && *c <= '~';
  if (!fine) return cal_fail(err, CAL_E_ARG, "png: a text's key has 1 to 79 printable ASCII characters without spaces at its ends");
  if (!cal_utf8_valid(text->value, strlen(text->value), NULL))
    return cal_fail(err, CAL_E_ARG, "png: the text '%s' is not UTF-8", text->key);
  for (const char *c = text->value; *c; c++) ascii = ascii && (unsigned char)*c < 128;
  cal_buffer body = {0};
  cal_buffer_add(&body, text->key, length + 1);
  if (!ascii) cal_buffer_add(&body, "\0\0\0", 4); /* not compressed, method 0, no language, no translated key */
  cal_buffer_add_text(&body, text->value);
  if (body.failed) out->failed = true;
  else if (body.size > INT32_MAX) cal_fail(err, CAL_E_LIMIT, "png: the text '%s' is too long", text->key);
  else add_chunk(out, ascii ? "tEXt" : "iTXt", body.data, body.size);
  const bool long_text = body.size > INT32_MAX;
  cal_buffer_free(&body);
  return long_text ? CAL_E_LIMIT : CAL_OK;
}

/* Write one row under `filter` and return the sum of |difference| as signed bytes, the usual guess at what packs well. */
static unsigned long filter_row(int filter, const unsigned char *row, const unsigned char *above, size_t bytes, size_t step,
                                unsigned char *to) {
  unsigned long sum = 0;
  for (size_t i = 0; i < bytes; i++) {
    const int a = i >= step ? row[i - step] : 0, b = above[i], c = i >= step ? above[i - step] : 0;
    const int guess = filter == 0 ? 0 : filter == 1 ? a : filter == 2 ? b : filter == 3 ? (a + b) / 2 : paeth(a, b, c);
    to[i] = (unsigned char)(row[i] - guess);
    sum += to[i] < 128 ? to[i] : 256u - to[i];
  }
  return sum;
}

static void filter_all(const cal_image *im, unsigned char *raw, unsigned char *work) {
  const size_t step = (size_t)im->channels, bytes = (size_t)im->width * step;
  const unsigned char *above = work; /* zeros; the trial rows follow */
  for (int y = 0; y < im->height; y++) {
    const unsigned char *row = cal_image_at(im, 0, y);
    unsigned long least = 0;
    int best = -1;
    for (int f = 0; f < 5; f++) {
      unsigned char *trial = work + bytes * (size_t)(f + 1);
      const unsigned long sum = filter_row(f, row, above, bytes, step, trial);
      if (best < 0 || sum < least) best = f, least = sum;
    }
    *raw++ = (unsigned char)best;
    memcpy(raw, work + bytes * (size_t)(best + 1), bytes);
    raw += bytes;
    above = row;
  }
}

cal_status cal_png_encode(const cal_image *im, const cal_png_text *text, size_t text_count, cal_buffer *out, cal_error *err) {
  cal_status status = cal_library_open(&zlib, err);
  if (status) return status;
  const size_t bytes = (size_t)im->width * (size_t)im->channels, raw_bytes = (bytes + 1) * (size_t)im->height;
  unsigned long packed_bytes = z_bound(raw_bytes);
  unsigned char *raw = cal_alloc(raw_bytes, err), *work = cal_alloc_zero(bytes, 6, err), *packed = cal_alloc(packed_bytes, err);
  if (!raw || !work || !packed) {
    status = CAL_E_MEMORY;
    goto done;
  }
  filter_all(im, raw, work);
  if (z_compress(packed, &packed_bytes, raw, raw_bytes, 6)) {
    status = cal_fail(err, CAL_E_MEMORY, "png: not enough memory to deflate %d x %d pixels", im->width, im->height);
    goto done;
  }
  cal_buffer_add(out, signature, sizeof signature);
  unsigned char header[13] = {0};
  put_u32(header, (uint32_t)im->width);
  put_u32(header + 4, (uint32_t)im->height);
  header[8] = 8;
  header[9] = im->channels == 1 ? GRAY : im->channels == 3 ? RGB : RGBA;
  add_chunk(out, "IHDR", header, sizeof header);
  for (size_t i = 0; i < text_count && !status; i++) status = add_text(out, &text[i], err);
  if (status) goto done;
  for (size_t at = 0; at < packed_bytes; at += 1 << 30) /* a chunk's length has 31 bits */
    add_chunk(out, "IDAT", packed + at, packed_bytes - at < 1 << 30 ? packed_bytes - at : 1 << 30);
  add_chunk(out, "IEND", NULL, 0);
  if (out->failed) status = cal_fail(err, CAL_E_MEMORY, "png: not enough memory for %zu bytes", (size_t)packed_bytes);
done:
  cal_free(raw);
  cal_free(work);
  cal_free(packed);
  return status;
}
