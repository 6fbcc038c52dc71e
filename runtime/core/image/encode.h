/* encode.h - pictures into files.
 *
 *   cal_error err = {0};
 *   cal_fs *fs = cal_fs_new(NULL, 0, &err);
 *   cal_image *im = cal_image_new(64, 64, 3, &err);
 *   if (im) cal_image_save(im, fs, "out/black.png", NULL, &err);                       // atomic; the name chooses the format
 *   cal_buffer bytes = {0};
 *   if (im) cal_image_encode(im, CAL_IMAGE_JPEG, &(cal_encode_options){.quality = 80}, &bytes, &err);
 *   cal_buffer_free(&bytes);
 *   cal_image_free(im);
 *   cal_fs_free(fs);
 *
 * The same picture, options and libraries give the same bytes: no dates, no random numbers.
 * uses: base
 */
#ifndef CAL_IMAGE_ENCODE_H
#define CAL_IMAGE_ENCODE_H

#include "core/base/fs.h"
#include "core/base/progress.h"
#include "core/image/header.h"
#include "core/image/image.h"
#include "core/image/png.h"

typedef struct {
  int quality;              /* JPEG, 1 .. 100; 0: 95 */
  const cal_png_text *text; /* PNG */
  size_t text_count;
  cal_progress *progress; /* of as many as the picture has rows, for one that takes a while; with it Ctrl-C stops the work */
} cal_encode_options;

/* Append the file's bytes; after a failure `out` may hold a part. CAL_E_ARG for formats other than JPEG and PNG; CAL_E_INTERRUPT. */
cal_status cal_image_encode(const cal_image *im, cal_image_format format, const cal_encode_options *options, cal_buffer *out,
                            cal_error *err);

/* The format that a file name asks for by .png, .jpg or .jpeg; CAL_IMAGE_UNKNOWN for others. */
cal_image_format cal_image_format_of_name(const char *path);

cal_status cal_image_save(const cal_image *im, const cal_fs *fs, const char *path, const cal_encode_options *options, cal_error *err);

#endif
