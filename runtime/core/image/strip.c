#include "core/image/strip.h"

#include <string.h>

static cal_status broken(const char *kind, size_t at, cal_error *err) {
  return cal_fail(err, CAL_E_FORMAT, "broken %s: its parts cannot be told apart at byte %zu", kind, at);
}

/* Where the next marker stands behind a scan's data, in which 0xff is followed by 0 or a restart; `size`: nowhere. */
static size_t after_scan(const unsigned char *bytes, size_t size, size_t at) {
  for (const unsigned char *found; at + 1 < size && (found = memchr(bytes + at, 0xff, size - at - 1)); at++) {
    at = (size_t)(found - bytes);
    if (found[1] != 0 && found[1] != 0xff && (found[1] < 0xd0 || found[1] > 0xd7)) return at;
  }
  return size;
}

/* APP0 is JFIF, APP2 the profile, APP14 how the colours are stored. Behind the end phones put other pictures and films. */
static cal_status strip_jpeg(const unsigned char *bytes, size_t size, cal_buffer *out, cal_error *err) {
  if (size < 2) return broken("JPEG", size, err);
  cal_buffer_add(out, bytes, 2);
  for (size_t at = 2; size - at >= 2;) {
    const int marker = bytes[at + 1];
    if (bytes[at] != 0xff) return broken("JPEG", at, err);
    if (marker == 0xff) { /* filling */
      at++;
      continue;
    }
    if (marker == 0xd9) return cal_buffer_add(out, bytes + at, 2), CAL_OK;
    if (size - at < 4) return broken("JPEG", at, err);
    const size_t length = 2 + ((size_t)bytes[at + 2] << 8 | bytes[at + 3]);
    if (length < 4 || length > size - at) return broken("JPEG", at, err);
    const bool app = marker >= 0xe0 && marker <= 0xef, needed = marker == 0xe0 || marker == 0xe2 || marker == 0xee;
    const size_t next = marker == 0xda ? after_scan(bytes, size, at + length) : at + length;
    if (marker != 0xfe && (!app || needed)) cal_buffer_add(out, bytes + at, next - at);
    at = next;
  }
  return broken("JPEG", size, err);
}

static uint32_t big32(const unsigned char *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }

static cal_status strip_png(const unsigned char *bytes, size_t size, cal_buffer *out, cal_error *err) {
  static const char *const dropped[] = {"eXIf", "tEXt", "zTXt", "iTXt", "tIME"};
  if (size < 8) return broken("PNG", size, err);
  cal_buffer_add(out, bytes, 8);
  for (size_t at = 8; size - at >= 12;) {
    const size_t length = (size_t)big32(bytes + at) + 12;
    if (length > size - at) return broken("PNG", at, err);
    bool drop = false;
    for (size_t i = 0; i < sizeof dropped / sizeof *dropped; i++) drop = drop || !memcmp(bytes + at + 4, dropped[i], 4);
    if (!drop) cal_buffer_add(out, bytes + at, length);
    if (!memcmp(bytes + at + 4, "IEND", 4)) return CAL_OK;
    at += length;
  }
  return broken("PNG", size, err);
}

static uint32_t little32(const unsigned char *p) { return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0]; }

static cal_status strip_webp(const unsigned char *bytes, size_t size, cal_buffer *out, cal_error *err) {
  enum { HAS_XMP = 4, HAS_EXIF = 8 };
  if (size < 12 || little32(bytes + 4) > size - 8) return broken("WebP", 0, err);
  const size_t begin = out->size, end = little32(bytes + 4) + 8;
  cal_buffer_add(out, bytes, 12);
  size_t at = 12;
  while (end >= at + 8) {
    const size_t length = little32(bytes + at + 4), padded = 8 + length + (length & 1), whole = padded < end - at ? padded : end - at;
    if (8 + length > end - at) return broken("WebP", at, err);
    if (memcmp(bytes + at, "EXIF", 4) != 0 && memcmp(bytes + at, "XMP ", 4) != 0) {
      const size_t flags = out->size + 8;
      cal_buffer_add(out, bytes + at, whole);
      if (!out->failed && !memcmp(bytes + at, "VP8X", 4) && length) out->data[flags] &= (char)~(HAS_XMP | HAS_EXIF);
    }
    at += whole;
  }
  if (at != end) return broken("WebP", at, err);
  const size_t left = out->size - begin - 8;
  for (int i = 0; !out->failed && i < 4; i++) out->data[begin + 4 + (size_t)i] = (char)(left >> (8 * i));
  return CAL_OK;
}

cal_status cal_image_strip(const void *bytes, size_t size, cal_image_format format, cal_buffer *out, cal_error *err) {
  cal_status status;
  switch (format) {
    case CAL_IMAGE_JPEG: status = strip_jpeg(bytes, size, out, err); break;
    case CAL_IMAGE_PNG: status = strip_png(bytes, size, out, err); break;
    case CAL_IMAGE_WEBP: status = strip_webp(bytes, size, out, err); break;
    default: return cal_fail(err, CAL_E_ARG, "%s: only JPEG, PNG and WebP can be stripped", cal_image_format_name(format));
  }
  if (!status && out->failed) status = cal_fail(err, CAL_E_MEMORY, "not enough memory for a copy of %zu bytes", size);
  return status;
}
