#include "core/image/profile.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <zlib.h>

#include "core/base/memory.h"

static uint32_t u32(const unsigned char *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }

/* The bytes of a tag; NULL when it is not there or leads out of the profile. */
static const unsigned char *tag(const unsigned char *icc, size_t size, const char *signature, size_t *length) {
  const uint32_t count = u32(icc + 128);
  for (uint32_t i = 0; i < count && i < 100 && 132 + 12 * (size_t)(i + 1) <= size; i++) {
    const unsigned char *row = icc + 132 + 12 * (size_t)i;
    const size_t at = u32(row + 4), bytes = u32(row + 8);
    if (memcmp(row, signature, 4) != 0) continue;
    *length = bytes;
    return at <= size && bytes <= size - at ? icc + at : NULL;
  }
  return NULL;
}

static void add(char *name, size_t *used, unsigned character) {
  if (*used + 1 < CAL_PROFILE_NAME) name[(*used)++] = character >= 0x20 && character < 0x7f ? (char)character : '?';
}

/* The description: plain (version 2) or in some language (version 4, UTF-16). */
static void describe(const unsigned char *icc, size_t size, char name[CAL_PROFILE_NAME]) {
  size_t length = 0, used = 0;
  const unsigned char *text = tag(icc, size, "desc", &length);
  if (text && length > 12 && memcmp(text, "desc", 4) == 0) {
    for (size_t i = 12; i < length && text[i]; i++) add(name, &used, text[i]);
  } else if (text && length >= 28 && memcmp(text, "mluc", 4) == 0) {
    const size_t bytes = u32(text + 20), at = u32(text + 24);
    for (size_t i = 0; at <= length && bytes <= length - at && i + 1 < bytes; i += 2)
      add(name, &used, (unsigned)text[at + i] << 8 | text[at + i + 1]);
  }
  name[used] = 0;
  if (!used) snprintf(name, CAL_PROFILE_NAME, "a profile without a name");
}

/* s15Fixed16 numbers of an XYZ tag are near those given: sRGB's primaries, adapted to D50 as profiles keep them. */
static bool near(const unsigned char *icc, size_t size, const char *signature, double x, double y, double z) {
  const double wanted[3] = {x, y, z};
  size_t length = 0;
  const unsigned char *numbers = tag(icc, size, signature, &length);
  if (!numbers || length < 20) return false;
  for (int i = 0; i < 3; i++)
    if (fabs((int32_t)u32(numbers + 8 + 4 * i) / 65536.0 - wanted[i]) > 0.01) return false;
  return true;
}

static bool says_srgb(const char *name) {
  for (; *name; name++)
    if (strncasecmp(name, "sRGB", 4) == 0) return true;
  return false;
}

bool cal_profile_differs(const unsigned char *icc, size_t size, char name[CAL_PROFILE_NAME]) {
  name[0] = 0;
  if (size < 132 || memcmp(icc + 36, "acsp", 4) != 0 || memcmp(icc + 16, "GRAY", 4) == 0) return false;
  describe(icc, size, name);
  const bool same = says_srgb(name) || (near(icc, size, "rXYZ", 0.4361, 0.2225, 0.0139) &&
                                        near(icc, size, "gXYZ", 0.3851, 0.7169, 0.0971) && near(icc, size, "bXYZ", 0.1431, 0.0606, 0.7141));
  if (same) name[0] = 0;
  return !same;
}

bool cal_profile_differs_png(const unsigned char *chunk, size_t size, char name[CAL_PROFILE_NAME]) {
  enum { MOST = 64 << 10 }; /* tags that are looked at stand in front */
  name[0] = 0;
  const unsigned char *end = memchr(chunk, 0, size < 80 ? size : 80);
  if (!end || (size_t)(end - chunk) + 2 >= size) return false;
  unsigned char *icc = cal_alloc(MOST, NULL);
  z_stream z = {
      .next_in = (Bytef *)(uintptr_t)(end + 2), .avail_in = (uInt)(size - (size_t)(end - chunk) - 2), .next_out = icc, .avail_out = MOST};
  bool differs = false;
  if (icc && inflateInit(&z) == Z_OK) {
    inflate(&z, Z_FINISH); /* what there is of it, whatever it says */
    differs = cal_profile_differs(icc, MOST - z.avail_out, name);
    inflateEnd(&z);
  }
  cal_free(icc);
  return differs;
}
