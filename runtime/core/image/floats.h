/* floats.h - pictures as the numbers networks see, and back.
 *
 *   cal_error err = {0};
 *   cal_image *im = cal_image_new(2, 2, 3, &err);
 *   float numbers[2 * 2 * 3];
 *   if (im) cal_image_to_floats(im, numbers);                         // black: -1 everywhere
 *   cal_image *same = cal_image_from_floats(numbers, 2, 2, &err);
 *   cal_image_free(same);
 *   cal_image_free(im);
 *
 * Rows of red, green, blue from -1 to 1, top row first: [H, W, 3].
 * uses: base
 */
#ifndef CAL_IMAGE_FLOATS_H
#define CAL_IMAGE_FLOATS_H

#include "core/image/image.h"

/* Height * width * 3 numbers, sample / 127.5 - 1. Gray becomes three equal channels; alpha is laid over white. */
void cal_image_to_floats(const cal_image *im, float *out);

/* Three channels, rounded to the nearest sample; beyond -1 and 1 is cut off. NULL and *err on failure: CAL_E_MEMORY, CAL_E_LIMIT, and
 * CAL_E_FORMAT when a number is not finite (the message names the first one's pixel). */
cal_image *cal_image_from_floats(const float *numbers, int width, int height, cal_error *err);

#endif
