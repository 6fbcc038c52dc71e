/* image.h - pictures in memory.
 *
 *   cal_error err = {0};
 *   cal_image *im = cal_image_new(640, 480, 3, &err);         // black; owned by the caller
 *   if (!im) return err.code;
 *   cal_image *square = cal_image_crop(im, 80, 0, 480, 480, &err);
 *   cal_image *turned = square ? cal_image_rotate(square, 1, &err) : NULL;
 *   cal_image_free(turned);
 *   cal_image_free(square);
 *   cal_image_free(im);
 *
 * A picture is rows of interleaved 8-bit samples, top row first, without padding: 1 channel (gray), 3 (sRGB) or
 * 4 (sRGB and straight, not premultiplied, alpha). Colour profiles are not looked at: everything is taken as sRGB.
 * Nothing here is global: different pictures may be worked on by different threads.
 * uses: base
 */
#ifndef CAL_IMAGE_IMAGE_H
#define CAL_IMAGE_IMAGE_H

#include <stddef.h>

#include "core/base/error.h"

typedef struct {
  int width, height, channels;
  unsigned char *pixels; /* height * width * channels bytes */
} cal_image;

/* One picture's largest side, and its largest number of pixels whatever a hint allows. */
enum { CAL_IMAGE_SIDE = 1 << 20, CAL_IMAGE_PIXELS = 1 << 29 };

/* Black, and transparent where there is alpha. CAL_E_ARG for sides below 1 or channels other than 1, 3, 4;
 * CAL_E_LIMIT above the limits; CAL_E_MEMORY. */
cal_image *cal_image_new(int width, int height, int channels, cal_error *err);
cal_image *cal_image_copy(const cal_image *im, cal_error *err);
void cal_image_free(cal_image *im);
size_t cal_image_size(const cal_image *im); /* bytes of `pixels` */

static inline unsigned char *cal_image_at(const cal_image *im, int x, int y) {
  return im->pixels + ((size_t)y * (size_t)im->width + (size_t)x) * (size_t)im->channels;
}

/* All of these return a new picture. A crop must lie inside the picture: CAL_E_ARG names both otherwise. */
cal_image *cal_image_crop(const cal_image *im, int x, int y, int width, int height, cal_error *err);
cal_image *cal_image_flip(const cal_image *im, cal_error *err);                      /* left and right change places */
cal_image *cal_image_rotate(const cal_image *im, int quarter_turns, cal_error *err); /* clockwise; any whole number */

/* The picture as it is meant to be seen, for an EXIF orientation of 1 .. 8 (other values count as 1). */
cal_image *cal_image_orient(const cal_image *im, int orientation, cal_error *err);

/* The gray of a colour: (299 R + 587 G + 114 B) / 1000 in 16-bit fixed point, as Pillow's convert("L"). */
static inline unsigned char cal_image_luma(const unsigned char *rgb) {
  return (unsigned char)((rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 0x8000u) >> 16);
}

/* One channel, by cal_image_luma; alpha is dropped. */
cal_image *cal_image_gray(const cal_image *im, cal_error *err);

/* Three channels. Alpha is laid over `background` (3 bytes; NULL: white). */
cal_image *cal_image_rgb(const cal_image *im, const unsigned char *background, cal_error *err);

#endif
