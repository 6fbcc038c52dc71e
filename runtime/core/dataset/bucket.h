/* bucket.h - the sizes that pictures are trained at.
 *
 *   cal_error err = {0};
 *   cal_bucket *list;
 *   size_t count;
 *   if (cal_buckets_make(&(cal_bucket_rule){.resolution = 512}, &list, &count, &err)) return err.code;   // 17 sizes
 *   cal_bucket_place p;
 *   cal_bucket_choose(1920, 1080, list, count, &p, &err);        // 640 x 384: scaled to 683 x 384, 21 columns cut at the left
 *   cal_free(list);
 *
 * Trainers put pictures of like shape together, each shape with about resolution^2 pixels. The rules are those of kohya's
 * sd-scripts (library/model_util.py and train_util.py, 2026-02), so that a recipe can say what a trainer will do.
 * uses: base
 */
#ifndef CAL_DATASET_BUCKET_H
#define CAL_DATASET_BUCKET_H

#include <stddef.h>

#include "core/base/error.h"
#include "core/base/memory.h"

typedef struct {
  int width, height;
} cal_bucket;

typedef struct {
  int resolution;     /* side of the square with the wished number of pixels */
  int min, max, step; /* sides; 0: 256, 1024, 64 */
} cal_bucket_rule;

typedef struct {
  int width, height;             /* the bucket */
  int scale_width, scale_height; /* resize the picture to this ... */
  int crop_x, crop_y;            /* ... and cut the bucket out of it here, in the middle */
} cal_bucket_place;

/* All buckets, sorted by width, then height. Free with cal_free. CAL_E_ARG for sides outside 1 .. 16384 or that are no
 * multiples of the step. */
cal_status cal_buckets_make(const cal_bucket_rule *rule, cal_bucket **list, size_t *count, cal_error *err);

/* The bucket whose shape is nearest (the first of equals); the picture is scaled to cover it, up if need be. */
cal_status cal_bucket_choose(int width, int height, const cal_bucket *list, size_t count, cal_bucket_place *place, cal_error *err);

/* Without enlarging ("bucket_no_upscale"): only pictures with more than resolution^2 pixels are scaled; the bucket is the
 * size rounded down to the step. `min` and `max` play no part. CAL_E_ARG when a side is below one step. */
cal_status cal_bucket_fit(int width, int height, const cal_bucket_rule *rule, cal_bucket_place *place, cal_error *err);

#endif
