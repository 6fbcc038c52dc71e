#include "core/image/header.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

/* Bytes with a place in them. A read beyond the end gives 0 and sets `cut`: parsers look at it where it matters. */
typedef struct {
  const unsigned char *bytes;
  size_t size, at;
  bool big_endian, cut;
  int bits, samples; /* of JPEG and PNG: bits per sample, samples per pixel */
  char profile[CAL_PROFILE_NAME];
} reader;

static unsigned byte_at(reader *r, size_t at) {
  if (at >= r->size) return r->cut = true, 0u;
  return r->bytes[at];
}

static unsigned u16_at(reader *r, size_t at) {
  unsigned a = byte_at(r, at), b = byte_at(r, at + 1);
  return r->big_endian ? a << 8 | b : b << 8 | a;
}

static uint32_t u32_at(reader *r, size_t at) {
  uint32_t a = u16_at(r, at), b = u16_at(r, at + 2);
  return r->big_endian ? a << 16 | b : b << 16 | a;
}

static bool starts(const unsigned char *bytes, size_t size, const char *with, size_t length) {
  return size >= length && memcmp(bytes, with, length) == 0;
}
#define STARTS(bytes, size, text) starts(bytes, size, text, sizeof(text) - 1)

static const char *const format_names[] = {"unknown", "JPEG", "PNG", "GIF", "WebP", "BMP", "TIFF", "QOI", "PNM"};

const char *cal_image_format_name(cal_image_format format) {
  return (size_t)format < sizeof format_names / sizeof *format_names ? format_names[format] : format_names[0];
}

static cal_image_format sniff(const unsigned char *b, size_t n) {
  if (STARTS(b, n, "\xff\xd8\xff")) return CAL_IMAGE_JPEG;
  if (STARTS(b, n, "\x89PNG\r\n\x1a\n")) return CAL_IMAGE_PNG;
  if (STARTS(b, n, "GIF87a") || STARTS(b, n, "GIF89a")) return CAL_IMAGE_GIF;
  if (STARTS(b, n, "RIFF") && n >= 12 && memcmp(b + 8, "WEBP", 4) == 0) return CAL_IMAGE_WEBP;
  if (STARTS(b, n, "BM") && n >= 18 && b[15] == 0 && b[16] == 0 && b[17] == 0) return CAL_IMAGE_BMP;
  if (starts(b, n, "II*\0", 4) || starts(b, n, "MM\0*", 4)) return CAL_IMAGE_TIFF;
  if (STARTS(b, n, "qoif")) return CAL_IMAGE_QOI;
  if (n >= 3 && b[0] == 'P' && b[1] >= '1' && b[1] <= '6' && isspace(b[2])) return CAL_IMAGE_PNM;
  return CAL_IMAGE_UNKNOWN;
}

const char *cal_image_looks_like(const unsigned char *b, size_t n) {
  static const struct {
    size_t at;
    const char *magic, *words;
  } others[] = {
      {4, "ftypavif", "AVIF"},
      {4, "ftypavis", "AVIF"},
      {4, "ftyphei", "HEIC"},
      {4, "ftyphevc", "HEIC"},
      {4, "ftypmif1", "HEIC"},
      {4, "ftyp", "a video"},
      {0, "\xff\x0a", "JPEG XL"},
      {4, "JXL ", "JPEG XL"},
      {4, "jP  ", "JPEG 2000"},
      {0, "8BPS", "Photoshop"},
      {0, "gimp xcf", "GIMP"},
      {0, "%PDF", "PDF"},
      {0, "PK\x03\x04", "zip"},
      {0, "\x1f\x8b", "gzip"},
      {0, "\x1a\x45\xdf\xa3", "a video"},
      {0, "#?RADIANCE", "Radiance HDR"},
      {0, "v/1\x01", "OpenEXR"},
      {0, "<svg", "SVG"},
      {0, "<?xml", "XML (an SVG?)"},
      {0, "<!DOCTYPE", "HTML"},
      {0, "<html", "HTML"},
      {0, "version https://git-lfs", "a Git LFS pointer, not the file itself"},
      {0, "\x89PNG", "PNG with a damaged signature"},
  };
  cal_image_format format = sniff(b, n);
  if (format) return cal_image_format_name(format);
  if (n == 0) return "an empty file";
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    size_t length = strlen(others[i].magic);
    if (n >= others[i].at + length && memcmp(b + others[i].at, others[i].magic, length) == 0) return others[i].words;
  }
  if (starts(b, n, "\0\0\1\0", 4)) return "an icon (ICO)";
  size_t text = 0;
  while (text < n && text < 64 && (isprint(b[text]) || isspace(b[text]))) text++;
  if (text == n || text == 64) return "text";
  return "no picture format that is known here";
}

/* --- EXIF -------------------------------------------------------------------------------------------------------- */
static bool tiff_start(reader *r, const unsigned char *bytes, size_t size) {
  *r = (reader){.bytes = bytes, .size = size};
  if (size < 8) return false;
  r->big_endian = bytes[0] == 'M';
  if (!starts(bytes, size, "II*\0", 4) && !starts(bytes, size, "MM\0*", 4)) return false;
  r->at = u32_at(r, 4);
  return true;
}

/* The number (SHORT or LONG, the first of its values) in a field of the first directory; -1 if there is none. */
static int64_t tiff_field(reader *r, unsigned tag) {
  const unsigned count = u16_at(r, r->at);
  for (unsigned i = 0; i < count && !r->cut; i++) {
    const size_t entry = r->at + 2 + (size_t)i * 12;
    if (u16_at(r, entry) != tag) continue;
    const unsigned type = u16_at(r, entry + 2);
    int64_t value = type == 3 ? (int64_t)u16_at(r, entry + 8) : type == 4 ? (int64_t)u32_at(r, entry + 8) : -1;
    return r->cut ? -1 : value;
  }
  return -1;
}

int cal_image_exif_orientation(const unsigned char *tiff, size_t size) {
  reader r;
  if (!tiff_start(&r, tiff, size)) return 1;
  int64_t value = tiff_field(&r, 0x0112);
  return value >= 1 && value <= 8 ? (int)value : 1;
}

/* --- One function per format: it fills width, height and orientation and leaves `at` where it stopped ------------- */
typedef const char *(*parser)(reader *r, uint32_t *w, uint32_t *h, int *orientation); /* NULL, or what is wrong */

static const char *parse_jpeg(reader *r, uint32_t *w, uint32_t *h, int *orientation) {
  r->big_endian = true;
  r->at = 2;
  while (!r->cut) {
    if (byte_at(r, r->at) != 0xff) {
      if (!r->cut) r->at++; /* stray bytes between segments: libjpeg skips them as well */
      continue;
    }
    const unsigned marker = byte_at(r, r->at + 1);
    if (r->cut) break;
    if (marker == 0xff) { /* fill byte */
      r->at++;
      continue;
    }
    if (marker == 0 || marker == 0x01 || (marker >= 0xd0 && marker <= 0xd8)) {
      r->at += 2;
      continue;
    }
    if (marker == 0xd9) return "the picture ends before it begins";
    if (marker == 0xda) return "no size comes before the first scan";
    const unsigned length = u16_at(r, r->at + 2);
    if (r->cut) break;
    if (length < 2) return "a segment is shorter than its own length";
    if (marker == 0xe1 && *orientation == 1 && length >= 8 && r->at + 2 + length <= r->size &&
        memcmp(r->bytes + r->at + 4, "Exif\0\0", 6) == 0)
      *orientation = cal_image_exif_orientation(r->bytes + r->at + 10, length - 8);
    /* ICC_PROFILE, a number, how many: what is looked at stands in the first of them. */
    if (marker == 0xe2 && length > 16 && r->at + 2 + length <= r->size && memcmp(r->bytes + r->at + 4, "ICC_PROFILE\0\1", 13) == 0)
      cal_profile_differs(r->bytes + r->at + 18, length - 16, r->profile);
    if (marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc) {
      *h = u16_at(r, r->at + 5);
      *w = u16_at(r, r->at + 7);
      r->bits = (int)byte_at(r, r->at + 4);
      r->samples = (int)byte_at(r, r->at + 9);
      return !r->cut && length < 8 ? "the frame header is too short" : NULL;
    }
    r->at += 2 + length;
  }
  return NULL;
}

static const char *parse_png(reader *r, uint32_t *w, uint32_t *h, int *orientation) {
  r->big_endian = true;
  r->at = 8;
  if (u32_at(r, 8) != 13 || u32_at(r, 12) != 0x49484452) return "the first chunk is not an IHDR of 13 bytes";
  *w = u32_at(r, 16);
  *h = u32_at(r, 20);
  static const int samples[8] = {1, 0, 3, 3, 2, 0, 4, 0}; /* by colour type; a palette's entries are RGB */
  r->bits = (int)byte_at(r, 24);
  r->samples = samples[byte_at(r, 25) & 7];
  if (r->cut || *w > INT32_MAX || *h > INT32_MAX) return "the size is beyond 31 bits";
  for (r->at = 33; !r->cut;) { /* eXIf counts where the writers put it: before the pixels */
    const uint32_t length = u32_at(r, r->at), kind = u32_at(r, r->at + 4);
    if (r->cut || kind == 0x49444154 || kind == 0x49454e44 || length > INT32_MAX) break;
    if (kind == 0x65584966 && length <= r->size - r->at - 8) *orientation = cal_image_exif_orientation(r->bytes + r->at + 8, length);
    if (kind == 0x69434350 && length <= r->size - r->at - 8) cal_profile_differs_png(r->bytes + r->at + 8, length, r->profile);
    r->at += 12 + (size_t)length;
  }
  return NULL;
}

static const char *parse_gif(reader *r, uint32_t *w, uint32_t *h, int *orientation) {
  (void)orientation;
  *w = u16_at(r, r->at = 6);
  *h = u16_at(r, 8);
  return NULL;
}

static const char *parse_bmp(reader *r, uint32_t *w, uint32_t *h, int *orientation) {
  (void)orientation;
  const uint32_t header = u32_at(r, r->at = 14);
  if (header == 12) {
    *w = u16_at(r, 18);
    *h = u16_at(r, 20);
    return NULL;
  }
  if (header < 40) return "the header has no known length";
  *w = u32_at(r, 18);
  *h = u32_at(r, 22);
  if (*h > INT32_MAX) *h = 0u - *h; /* negative: the top row comes first */
  return *w > INT32_MAX || *h > INT32_MAX ? "the size is negative" : NULL;
}

static const char *parse_webp(reader *r, uint32_t *w, uint32_t *h, int *orientation) {
  const uint32_t kind = u32_at(r, 12);
  r->at = 20;
  if (kind == 0x20385056) { /* "VP8 ": frame tag of 3 bytes, start code, 14-bit sizes (RFC 6386, 9.1) */
    if (byte_at(r, 23) != 0x9d || byte_at(r, 24) != 0x01 || byte_at(r, 25) != 0x2a) return "the key frame's start code is missing";
    *w = u16_at(r, 26) & 0x3fff;
    *h = u16_at(r, 28) & 0x3fff;
    return NULL;
  }
  if (kind == 0x4c385056) { /* "VP8L" */
    if (byte_at(r, 20) != 0x2f) return "the lossless signature is missing";
    const uint32_t bits = u32_at(r, 21);
    *w = (bits & 0x3fff) + 1;
    *h = (bits >> 14 & 0x3fff) + 1;
    return NULL;
  }
  if (kind != 0x58385056) return "the first chunk is no VP8, VP8L or VP8X";
  const unsigned flags = byte_at(r, 20);
  *w = (u32_at(r, 23) >> 8) + 1; /* 24 bits each */
  *h = (u32_at(r, 26) >> 8) + 1;
  if ((flags & 32) && r->size >= 38 && memcmp(r->bytes + 30, "ICCP", 4) == 0 && u32_at(r, 34) <= r->size - 38)
    cal_profile_differs(r->bytes + 38, u32_at(r, 34), r->profile);
  for (r->at = 30; (flags & 8) && !r->cut;) { /* the EXIF chunk stands after the pixels */
    const uint32_t chunk = u32_at(r, r->at), length = u32_at(r, r->at + 4);
    if (r->cut) break;
    if (chunk == 0x46495845 && length <= r->size - r->at - 8) {
      const unsigned char *exif = r->bytes + r->at + 8;
      const size_t skip = length >= 6 && memcmp(exif, "Exif\0\0", 6) == 0 ? 6 : 0; /* some writers keep JPEG's prefix */
      *orientation = cal_image_exif_orientation(exif + skip, length - skip);
      break;
    }
    r->at += 8 + (size_t)length + (length & 1);
  }
  return NULL;
}

static const char *parse_tiff(reader *r, uint32_t *w, uint32_t *h, int *orientation) {
  if (!tiff_start(r, r->bytes, r->size)) return r->cut = true, NULL;
  const int64_t wide = tiff_field(r, 256), high = tiff_field(r, 257);
  if (r->cut) return NULL;
  if (wide < 0 || high < 0 || wide > INT32_MAX || high > INT32_MAX) return "the first directory states no size";
  *w = (uint32_t)wide;
  *h = (uint32_t)high;
  const int64_t turned = tiff_field(r, 0x0112);
  if (turned >= 1 && turned <= 8) *orientation = (int)turned;
  return NULL;
}

static const char *parse_qoi(reader *r, uint32_t *w, uint32_t *h, int *orientation) {
  (void)orientation;
  r->big_endian = true;
  *w = u32_at(r, r->at = 4);
  *h = u32_at(r, 8);
  return *w > INT32_MAX || *h > INT32_MAX ? "the size is beyond 31 bits" : NULL;
}

static uint32_t pnm_number(reader *r) {
  for (;;) {
    unsigned c = byte_at(r, r->at);
    if (r->cut) return 0;
    if (c == '#')
      while (!r->cut && byte_at(r, r->at) != '\n') r->at++;
    else if (isspace((int)c)) r->at++;
    else break;
  }
  uint32_t value = 0;
  unsigned c;
  while (!r->cut && (c = byte_at(r, r->at), c >= '0' && c <= '9') && value < 100000000) value = value * 10 + (c - '0'), r->at++;
  return value;
}

static const char *parse_pnm(reader *r, uint32_t *w, uint32_t *h, int *orientation) {
  (void)orientation;
  r->at = 2;
  *w = pnm_number(r);
  *h = pnm_number(r);
  return NULL;
}

cal_status cal_image_header(const unsigned char *bytes, size_t size, const char *name, cal_image_info *info, bool *cut, cal_error *err) {
  static const parser parsers[] = {NULL, parse_jpeg, parse_png, parse_gif, parse_webp, parse_bmp, parse_tiff, parse_qoi, parse_pnm};
  *info = (cal_image_info){.format = sniff(bytes, size), .orientation = 1};
  *cut = size < 32;
  if (!info->format) {
    const char *seen = cal_image_looks_like(bytes, size);
    return cal_fail(err, CAL_E_FORMAT, "%s: this is %s; pictures can be JPEG, PNG, WebP, GIF, BMP, TIFF, QOI or PNM", name, seen);
  }
  const char *kind = cal_image_format_name(info->format);
  reader r = {.bytes = bytes, .size = size};
  uint32_t width = 0, height = 0;
  const char *wrong = parsers[info->format](&r, &width, &height, &info->orientation);
  const bool sized = width && height;
  *cut = r.cut;
  if (r.at > size) r.at = size;
  if (r.cut && !(sized && info->format == CAL_IMAGE_PNG) && !(sized && info->format == CAL_IMAGE_WEBP))
    return cal_fail(err, CAL_E_FORMAT, "%s: the %s is cut off: its header goes on after byte %zu, the end of the file", name, kind, size);
  if (wrong) return cal_fail(err, CAL_E_FORMAT, "%s: broken %s: %s (at byte %zu)", name, kind, wrong, r.at);
  if (!sized)
    return cal_fail(err, CAL_E_FORMAT, "%s: broken %s: a size of %u x %u (at byte %zu)", name, kind, (unsigned)width, (unsigned)height,
                    r.at);
  info->bits = r.bits ? r.bits : 8;
  info->samples = r.samples ? r.samples : 3;
  memcpy(info->profile, r.profile, sizeof info->profile);
  info->width = (int)width;
  info->height = (int)height;
  return CAL_OK;
}
