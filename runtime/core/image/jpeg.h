/* jpeg.h - JPEG, through libjpeg-turbo.
 *
 *   cal_error err = {0};
 *   cal_image *im = cal_image_new(16, 16, 3, &err);
 *   cal_buffer bytes = {0};
 *   if (im && !cal_jpeg_encode(im, 95, NULL, &bytes, &err)) {
 *     cal_image *back = cal_jpeg_decode((unsigned char *)bytes.data, bytes.size, "memory", 0, &err);
 *     cal_image_free(back);
 *   }
 *   cal_buffer_free(&bytes);
 *   cal_image_free(im);
 *
 * Inside core/image only: decode.h and encode.h are the doors.
 * uses: base
 */
#ifndef CAL_IMAGE_JPEG_H
#define CAL_IMAGE_JPEG_H

#include "core/base/buffer.h"
#include "core/base/progress.h"
#include "core/image/image.h"

/* Three channels, orientation not applied. With min_side > 0 the inverse DCT runs at the smallest of 1/8, 1/4, 1/2 that
 * leaves the shorter side at 2 * min_side or more. Warnings that mean lost data are refusals, with the byte. */
cal_image *cal_jpeg_decode(const unsigned char *bytes, size_t size, const char *name, int min_side, cal_error *err);

/* Append a baseline JPEG with optimised tables. Quality 1 .. 100; from 90 on colour is kept at full size (4:4:4), below
 * it is halved both ways. Alpha is laid over white. `progress`, where there is one, counts to the picture's height, and Ctrl-C
 * stops within a few rows. */
cal_status cal_jpeg_encode(const cal_image *im, int quality, cal_progress *progress, cal_buffer *out, cal_error *err);

#endif
