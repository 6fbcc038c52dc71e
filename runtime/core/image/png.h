/* png.h - PNG, through libpng.
 *
 *   cal_error err = {0};
 *   cal_image *im = cal_image_new(16, 16, 4, &err);
 *   cal_buffer bytes = {0};
 *   const cal_png_text text[] = {{"Software", "calotype"}};
 *   if (im && !cal_png_encode(im, text, 1, NULL, &bytes, &err)) {
 *     cal_image *back = cal_png_decode((unsigned char *)bytes.data, bytes.size, "memory", &err);
 *     cal_image_free(back);
 *   }
 *   cal_buffer_free(&bytes);
 *   cal_image_free(im);
 *
 * Inside core/image only: decode.h and encode.h are the doors. Why not through SDL2_image: there libpng writes its
 * warnings to stderr, goes on after some of them, and nobody knows at which byte it stopped.
 * uses: base
 */
#ifndef CAL_IMAGE_PNG_H
#define CAL_IMAGE_PNG_H

#include "core/base/buffer.h"
#include "core/base/progress.h"
#include "core/image/image.h"

/* 3 channels, or 4 for colour types with alpha and files with a tRNS chunk. Every colour type and depth, interlaced too;
 * 16 bits give their upper 8. Checksums, filters, palette indexes and the amount of data must be right; more data than
 * pixels are harmless. CAL_E_FORMAT names the byte where the broken chunk begins. */
cal_image *cal_png_decode(const unsigned char *bytes, size_t size, const char *name, cal_error *err);

typedef struct {
  const char *key;   /* 1 .. 79 printable ASCII characters, no space at either end nor two in a row */
  const char *value; /* UTF-8: a tEXt chunk if it is ASCII, else iTXt */
} cal_png_text;

/* Append a PNG with the picture's channels, 8 bits, libpng's choice of filter per row. The same picture
 * gives the same bytes. `progress`, where there is one, is told of each row, and Ctrl-C stops between two of them. */
cal_status cal_png_encode(const cal_image *im, const cal_png_text *text, size_t text_count, cal_progress *progress, cal_buffer *out,
                          cal_error *err);

#endif
