/* measure.h - what numbers say about a picture.
 *
 *   cal_error err = {0};
 *   cal_fs *fs = cal_fs_new(NULL, 0, &err);
 *   cal_image_info info;
 *   cal_measures m;
 *   cal_image *im = cal_image_load(fs, "photos/cat.jpg", NULL, &info, &err);       // one decode for everything
 *   if (im && !cal_image_measure(im, &info, &m, &err)) {
 *     double sharpness = cal_measures_of(&m, "sharpness")[0], dark = cal_measures_of(&m, "brightness")[4];
 *     printf("%d x %d, sharpness %g, 99th percentile of brightness %g\n", m.width, m.height, sharpness, dark);
 *   }
 *   cal_image_free(im);
 *   cal_fs_free(fs);
 *
 * To add a measure, write one row in measure.c: name, what it tells, how many numbers, a function. Lua, the store and the
 * report find it through cal_measure_row_at. Measure what was decoded at full size: a JPEG decoded smaller (a hint's min_side)
 * keeps its hash within 2 bits, but its sharpness falls by about a quarter. Alpha is not looked at, but by `alpha` itself.
 * uses: base
 */
#ifndef CAL_IMAGE_MEASURE_H
#define CAL_IMAGE_MEASURE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/image/decode.h"
#include "core/image/hash.h"

enum { CAL_MEASURE_VALUES = 32 };

typedef struct {
  int width, height; /* as displayed */
  cal_image_format format;
  int orientation;
  char profile[CAL_PROFILE_NAME];     /* of its colours, when it is not sRGB's */
  uint64_t hashes[CAL_HASH_VARIANTS]; /* hash.h */
  double values[CAL_MEASURE_VALUES];  /* those of the rows, one after the other */
} cal_measures;

typedef struct {
  const char *name;
  const char *about;        /* one sentence: formula, unit, where the value was measured */
  int count;                /* how many numbers */
  const char *const *parts; /* their names; NULL for a single one */
  bool flag;                /* 0 or 1, meant as false or true */
} cal_measure_row;

/* Row 0, 1, 2 ...; NULL after the last. */
const cal_measure_row *cal_measure_row_at(int index);

/* `info` is what decoding told about the file; NULL takes the picture's own size and format unknown. */
cal_status cal_image_measure(const cal_image *im, const cal_image_info *info, cal_measures *m, cal_error *err);

/* The numbers of the row `name`; NULL if there is no such row. */
const double *cal_measures_of(const cal_measures *m, const char *name);

#endif
