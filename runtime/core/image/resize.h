/* resize.h - pictures made smaller or larger.
 *
 *   cal_error err = {0};
 *   cal_image *im = cal_image_new(640, 480, 3, &err);
 *   cal_image *small = im ? cal_image_resize(im, 256, 0, CAL_LANCZOS3, &err) : NULL;     // 256 x 192
 *   cal_image_free(small);
 *   cal_image_free(im);
 *
 * LANCZOS3, BILINEAR and BICUBIC are Pillow's filters of these names: when a picture shrinks, the filter widens with it
 * (antialiasing); two passes with 8-bit rounding between them, coefficients of 22 bits. The results are equal to Pillow's
 * (13.0), which the perceptual hash needs. AREA gives each output pixel the exact mean of the rectangle it covers.
 * Alpha is premultiplied around the work, so that invisible pixels lend no colour to visible ones.
 * uses: base
 */
#ifndef CAL_IMAGE_RESIZE_H
#define CAL_IMAGE_RESIZE_H

#include "core/image/image.h"

typedef enum { CAL_LANCZOS3, CAL_AREA, CAL_BILINEAR, CAL_BICUBIC } cal_filter;

/* A new picture. One side may be 0: it follows from the other and the aspect (rounded, at least 1). */
cal_image *cal_image_resize(const cal_image *im, int width, int height, cal_filter filter, cal_error *err);

#endif
