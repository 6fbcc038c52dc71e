#include "core/image/gif.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"

enum { CODES = 4096 };

/* The file, read through its sub-blocks bit by bit, and the table of strings: each is a shorter one and a last byte. */
typedef struct {
  const unsigned char *bytes;
  size_t size, at;
  unsigned block_left;
  uint32_t bits;
  int bit_count;
  bool cut, ended; /* ended: the sub-blocks are over */
  uint16_t before[CODES];
  unsigned char last[CODES], stack[CODES];
  char wrong[96];
} gif;

static unsigned next(gif *g) {
  if (g->at >= g->size) return g->cut = true, 0u;
  return g->bytes[g->at++];
}

static unsigned next16(gif *g) {
  unsigned low = next(g);
  return low | next(g) << 8;
}

static void skip_blocks(gif *g) {
  for (unsigned length; !g->cut && (length = next(g)) != 0;) {
    if (length > g->size - g->at) g->cut = true;
    else g->at += length;
  }
}

static const unsigned char *take_palette(gif *g, unsigned flags, unsigned *count) {
  *count = 2u << (flags & 7);
  if (*count * 3 > g->size - g->at) return g->cut = true, NULL;
  const unsigned char *palette = g->bytes + g->at;
  g->at += *count * 3;
  return palette;
}

static int next_code(gif *g, int width) {
  while (g->bit_count < width) {
    if (!g->block_left) {
      if (!g->ended && !(g->block_left = next(g))) g->ended = true;
      if (g->ended || g->cut) return -1;
    }
    g->bits |= (uint32_t)next(g) << g->bit_count;
    g->block_left--;
    g->bit_count += 8;
    if (g->cut) return -1;
  }
  int code = (int)(g->bits & ((1u << width) - 1));
  g->bits >>= width;
  g->bit_count -= width;
  return code;
}

/* The variable-length LZW of appendix F: `count` colour indexes. NULL, or what is wrong. */
static const char *unpack(gif *g, unsigned char *to, size_t count) {
  const int root_bits = (int)next(g);
  if (g->cut) return NULL;
  if (root_bits < 1 || root_bits > 8) return "an impossible code size";
  const int clear = 1 << root_bits, end = clear + 1;
  for (int i = 0; i < clear; i++) g->last[i] = (unsigned char)i;
  int width = root_bits + 1, free_code = end + 1, previous = -1;
  unsigned char first = 0;
  size_t done = 0;
  while (done < count) {
    int code = next_code(g, width);
    if (code < 0) return g->cut ? NULL : "the pixels' data stop too early";
    if (code == end) return "the pixels end too early";
    if (code == clear) {
      width = root_bits + 1;
      free_code = end + 1;
      previous = -1;
      continue;
    }
    if (code > free_code || (code == free_code && previous < 0) || (code >= CODES)) return "a code that is not yet defined";
    int depth = 0, at = code;
    if (code == free_code) { /* the string about to be defined: the previous one and its own first byte */
      g->stack[depth++] = first;
      at = previous;
    }
    for (; at > end; at = g->before[at]) g->stack[depth++] = g->last[at];
    if (at >= clear) return "a string that begins with a control code";
    first = g->last[at];
    g->stack[depth++] = first;
    if (previous >= 0 && free_code < CODES) {
      g->before[free_code] = (uint16_t)previous;
      g->last[free_code] = first;
      free_code++;
      if (free_code == 1 << width && width < 12) width++;
    }
    previous = code;
    while (depth && done < count) to[done++] = g->stack[--depth];
  }
  return NULL;
}

/* The place of the n-th stored row in an interlaced frame: every 8th, the 4ths between, the 2nds, the rest. */
static unsigned interlaced_row(unsigned n, unsigned height) {
  const unsigned eighths = (height + 7) / 8, fourths = (height + 3) / 8, halves = (height + 1) / 4;
  if (n < eighths) return n * 8;
  if ((n -= eighths) < fourths) return n * 8 + 4;
  if ((n -= fourths) < halves) return n * 4 + 2;
  return (n - halves) * 2 + 1;
}

static const char *read_frame(gif *g, cal_image **im, cal_error *err) {
  g->at = 6;
  const unsigned screen_w = next16(g), screen_h = next16(g), screen_flags = next(g);
  next16(g); /* background colour and aspect: no program of today looks at them */
  unsigned colors = 0;
  const unsigned char *palette = screen_flags & 0x80 ? take_palette(g, screen_flags, &colors) : NULL;
  int transparent = -1;
  for (;;) {
    const unsigned kind = next(g);
    if (g->cut) return NULL;
    if (kind == 0x2c) break;
    if (kind == 0x3b) return "no frame";
    if (kind != 0x21) return "a block of no known kind";
    const unsigned label = next(g);
    if (label == 0xf9 && g->size - g->at >= 5 && g->bytes[g->at] == 4) transparent = g->bytes[g->at + 1] & 1 ? g->bytes[g->at + 4] : -1;
    skip_blocks(g);
  }
  const unsigned left = next16(g), top = next16(g), w = next16(g), h = next16(g), flags = next(g);
  if (flags & 0x80) palette = take_palette(g, flags, &colors);
  if (g->cut) return NULL;
  if (!w || !h) return "a frame without pixels";
  if (!palette) return "no palette";
  /* A code of 12 bits stands for at most 4096 pixels: a lie about the size is seen before memory is asked for. */
  if ((uint64_t)w * h / CODES > g->size) return "more pixels than its bytes can hold";
  if ((uint64_t)w * h > (uint64_t)4 * screen_w * screen_h) { /* max_pixels was held against the screen only */
    snprintf(g->wrong, sizeof g->wrong, "a frame of %u x %u pixels on a screen of %u x %u", w, h, screen_w, screen_h);
    return g->wrong;
  }
  const bool covers = left == 0 && top == 0 && w >= screen_w && h >= screen_h;
  unsigned char *indexes = cal_alloc((size_t)w * h, err);
  if (!indexes) return NULL;
  const char *wrong = unpack(g, indexes, (size_t)w * h);
  if (!wrong && !g->cut) {
    while (!g->ended && !g->cut) { /* what the last block still holds, then the terminator */
      if (g->block_left > g->size - g->at) g->cut = true;
      else g->at += g->block_left;
      g->block_left = next(g);
      g->ended = !g->block_left;
    }
  }
  if (!wrong && !g->cut) *im = cal_image_new((int)screen_w, (int)screen_h, covers && transparent < 0 ? 3 : 4, err);
  for (unsigned n = 0; *im && n < h && !wrong; n++) {
    const unsigned y = top + (flags & 0x40 ? interlaced_row(n, h) : n);
    for (unsigned x = 0; y < screen_h && x < w && left + x < screen_w; x++) {
      const unsigned index = indexes[(size_t)n * w + x];
      unsigned char *to = cal_image_at(*im, (int)(left + x), (int)y);
      if ((int)index == transparent) continue;
      if (index >= colors) {
        wrong = "a colour that is not in the palette";
        break;
      }
      memcpy(to, palette + (size_t)index * 3, 3);
      if ((*im)->channels == 4) to[3] = 255;
    }
  }
  cal_free(indexes);
  return wrong;
}

cal_image *cal_gif_decode(const unsigned char *bytes, size_t size, const char *name, cal_error *err) {
  gif *g = cal_alloc_zero(1, sizeof *g, err);
  if (!g) return NULL;
  g->bytes = bytes;
  g->size = size;
  cal_image *im = NULL;
  const char *wrong = size < 13 ? (g->cut = true, NULL) : read_frame(g, &im, err);
  if (wrong) cal_fail(err, CAL_E_FORMAT, "%s: broken GIF: %s (at byte %zu of %zu)", name, wrong, g->at, size);
  else if (g->cut)
    cal_fail(err, CAL_E_FORMAT, "%s: the GIF is cut off: its first frame goes on after byte %zu, the end of the file", name, size);
  if (wrong || g->cut) cal_image_free(im), im = NULL;
  cal_free(g);
  return im;
}
