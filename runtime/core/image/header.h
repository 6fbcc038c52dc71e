/* header.h - what the first bytes of a picture file say.
 *
 *   const unsigned char gif[] = {'G', 'I', 'F', '8', '9', 'a', 4, 0, 3, 0, 0, 0, 0, ','};
 *   cal_image_info info;
 *   bool cut;
 *   cal_error err = {0};
 *   cal_status status = cal_image_header(gif, sizeof gif, "a.gif", &info, &cut, &err);     // 4 x 3, CAL_IMAGE_GIF
 *   if (status && cut) return;       // the header goes on after these bytes: read more and ask again
 *
 * Own parsers for hostile bytes: every offset is checked, nothing is allocated, no library is opened. Sources: ITU T.81
 * (JPEG), Exif 2.3, the PNG specification, GIF89a, the WebP container, Windows' BITMAPINFO, TIFF 6.0, QOI 1.0, netpbm.
 * uses: base
 */
#ifndef CAL_IMAGE_HEADER_H
#define CAL_IMAGE_HEADER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/error.h"
#include "core/image/profile.h"

typedef enum {
  CAL_IMAGE_UNKNOWN,
  CAL_IMAGE_JPEG,
  CAL_IMAGE_PNG,
  CAL_IMAGE_GIF,
  CAL_IMAGE_WEBP,
  CAL_IMAGE_BMP,
  CAL_IMAGE_TIFF,
  CAL_IMAGE_QOI,
  CAL_IMAGE_PNM,
} cal_image_format;

typedef struct {
  cal_image_format format;
  int width, height; /* as stored, before the orientation is applied */
  int orientation;   /* EXIF, 1 .. 8; 1 where there is none */
  int bits, samples; /* of JPEG and PNG: bits per sample (8, 12, 16 ...) and samples per pixel (4 in a JPEG: CMYK); else 8, 3 */
  char profile[CAL_PROFILE_NAME]; /* of JPEG, PNG and WebP: the embedded colour profile's name, when it is not sRGB's; else "" */
} cal_image_info;

/* Read format, size and orientation. CAL_E_FORMAT names `name`, the format seen and the byte where reading stopped;
 * *cut tells that more bytes might help. */
cal_status cal_image_header(const unsigned char *bytes, size_t size, const char *name, cal_image_info *info, bool *cut, cal_error *err);

const char *cal_image_format_name(cal_image_format format); /* "JPEG", "PNG" ... "unknown" */

/* What the bytes look like, in words, for formats that are not decoded too: "AVIF", "SVG", "text". Never NULL. */
const char *cal_image_looks_like(const unsigned char *bytes, size_t size);

/* The orientation in an EXIF block that starts with its TIFF header ("II*" or "MM"); 1 if there is none or it is broken. */
int cal_image_exif_orientation(const unsigned char *tiff, size_t size);

#endif
