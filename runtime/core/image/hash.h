/* hash.h - the perceptual hash: pictures that look alike differ in few bits.
 *
 *   cal_error err = {0};
 *   cal_image *im = cal_image_new(64, 64, 3, &err);
 *   uint64_t hashes[CAL_HASH_VARIANTS];
 *   if (im && !cal_image_hash(im, hashes, &err)) printf("%016llx\n", (unsigned long long)hashes[0]);
 *   cal_image_free(im);
 *
 * The pHash of Python's imagehash: gray, Lanczos to 32 x 32, DCT-II, the 8 x 8 lowest coefficients with the constant one,
 * a bit is set where the coefficient is above the median of the 64; row by row, the highest bit first. Alpha is not
 * looked at. Two pictures are near duplicates at a Hamming distance of about 4 or less.
 * uses: base
 */
#ifndef CAL_IMAGE_HASH_H
#define CAL_IMAGE_HASH_H

#include <stdint.h>

#include "core/image/image.h"

/* hashes[k] is the hash that the picture would have after transform k: first none, then flips and quarter turns. They all
 * come from one DCT: a flip changes the sign of every other column, a turn exchanges rows and columns. */
enum { CAL_HASH_VARIANTS = 8 };

cal_status cal_image_hash(const cal_image *im, uint64_t hashes[CAL_HASH_VARIANTS], cal_error *err);

/* "same", "rotate 90", "rotate 180", "rotate 270", "flip", "flip, rotate 90", "flip, rotate 180", "flip, rotate 270":
 * a flip exchanges left and right and comes first, turns are clockwise. */
const char *cal_image_transform_name(int variant);

#endif
