/* png.h - PNG, read and written here; zlib (opened on first use) inflates and deflates.
 *
 *   cal_error err = {0};
 *   cal_image *im = cal_image_new(16, 16, 4, &err);
 *   cal_buffer bytes = {0};
 *   const cal_png_text text[] = {{"Software", "calotype"}};
 *   if (im && !cal_png_encode(im, text, 1, &bytes, &err)) {
 *     cal_image *back = cal_png_decode((unsigned char *)bytes.data, bytes.size, "memory", &err);
 *     cal_image_free(back);
 *   }
 *   cal_buffer_free(&bytes);
 *   cal_image_free(im);
 *
 * Inside core/image: decode.h and encode.h are the doors. Why not libpng: it writes its warnings to stderr when it is
 * reached through SDL2_image, and cannot say at which byte it stopped. Source: PNG specification, third edition.
 * uses: base
 */
#ifndef CAL_IMAGE_PNG_H
#define CAL_IMAGE_PNG_H

#include "core/base/buffer.h"
#include "core/image/image.h"

/* 3 channels, or 4 for colour types with alpha and files with a tRNS chunk. Every colour type and depth, interlaced too;
 * 16 bits give their upper 8. Checksums, filters, palette indexes and the amount of data must be right. */
cal_image *cal_png_decode(const unsigned char *bytes, size_t size, const char *name, cal_error *err);

typedef struct {
  const char *key;   /* 1 .. 79 printable ASCII characters, no space at either end */
  const char *value; /* UTF-8: a tEXt chunk if it is ASCII, else iTXt */
} cal_png_text;

/* Append a PNG with the picture's channels, 8 bits, the filter chosen per row by the least sum of differences. */
cal_status cal_png_encode(const cal_image *im, const cal_png_text *text, size_t text_count, cal_buffer *out, cal_error *err);

#endif
