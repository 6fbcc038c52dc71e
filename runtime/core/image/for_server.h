/* for_server.h - a picture as a service should get it: small enough, upright, of a kind it reads, and without its history.
 *
 *   cal_error err = {0};
 *   cal_fs *fs = cal_fs_new(NULL, 0, &err);
 *   cal_buffer bytes = {0};
 *   const char *mime;
 *   if (cal_image_for_server(fs, "photos/cat.jpg", NULL, &bytes, &mime, &err)) puts(err.text);
 *   cal_buffer_free(&bytes);
 *   cal_fs_free(fs);
 *
 * A file that fits keeps its pixels byte for byte, and loses only EXIF and texts (strip.h). One that does not, that is turned by EXIF,
 * is animated, CMYK, has more than 8 bits or transparency (a model would see the colours behind it), becomes an upright JPEG on white.
 * Every file is decoded on the way: a damaged one is refused here, not by a server for money.
 * uses: base
 */
#ifndef CAL_IMAGE_FOR_SERVER_H
#define CAL_IMAGE_FOR_SERVER_H

#include "core/base/fs.h"
#include "core/image/header.h"

typedef struct {
  size_t largest_bytes; /* 0: 4 MiB */
  int largest_side;     /* 0: 2048 pixels */
  unsigned formats;     /* taken as they are: 1 << CAL_IMAGE_PNG ...; of JPEG, PNG and WebP; 0: all three. JPEG is always taken */
} cal_for_server;

/* Append the bytes; *mime is static. `options` may be NULL. The codes of cal_image_load; CAL_E_ARG for limits below 64 pixels or 4 KB;
 * CAL_E_LIMIT when even a small JPEG has more bytes. `out` is as before after a failure. */
cal_status cal_image_for_server(const cal_fs *fs, const char *path, const cal_for_server *options, cal_buffer *out, const char **mime,
                                cal_error *err);

#endif
