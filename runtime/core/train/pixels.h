/* pixels.h - pictures become the numbers a network sees, and the other way round.
 *
 *   cal_error err = {0};
 *   cal_image *im = cal_image_new(64, 48, 3, &err);
 *   float numbers[64 * 48 * 3];
 *   cal_pixels_read(im, numbers);                                      // black is -1, white is 1
 *   cal_image *back = cal_pixels_picture(numbers, 64, 48, &err);       // what lies outside is clipped
 *   cal_image_free(im);
 *   cal_image_free(back);
 *
 * Rows of interleaved red, green and blue, top row first: [H, W, 3], as a graph has pictures.
 * uses: image
 */
#ifndef CAL_TRAIN_PIXELS_H
#define CAL_TRAIN_PIXELS_H

#include "core/image/image.h"

/* width * height * 3 numbers in -1 .. 1. Gray is repeated; alpha is left out. */
void cal_pixels_read(const cal_image *im, float *out);

/* A picture of 3 channels; numbers are rounded to the nearest of 255 steps, NaN becomes black. NULL: no memory. */
cal_image *cal_pixels_picture(const float *numbers, int width, int height, cal_error *err);

#endif
