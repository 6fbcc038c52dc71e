#include "core/dataset/bucket.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

enum { MOST_SIDE = 16384, MOST_PICTURE = 1 << 20 };

static cal_status complete(const cal_bucket_rule *rule, cal_bucket_rule *whole, cal_error *err) {
  *whole = *rule;
  if (!whole->step) whole->step = 64;
  if (!whole->min) whole->min = 256;
  if (!whole->max) whole->max = 1024;
  int step = whole->step;
  if (step < 1 || whole->min < 1 || whole->min > whole->max || whole->max > MOST_SIDE)
    return cal_fail(err, CAL_E_ARG, "buckets: min %d, max %d, step %d; needed is 1 <= min <= max <= %d", whole->min, whole->max, step,
                    MOST_SIDE);
  if (whole->min % step || whole->max % step)
    return cal_fail(err, CAL_E_ARG, "buckets: min %d and max %d must be multiples of the step %d", whole->min, whole->max, step);
  if (whole->resolution < step || whole->resolution > MOST_SIDE)
    return cal_fail(err, CAL_E_ARG, "buckets: the resolution %d is not between the step %d and %d", whole->resolution, step, MOST_SIDE);
  return CAL_OK;
}

static int by_size(const void *a, const void *b) {
  const cal_bucket *p = a, *q = b;
  return p->width != q->width ? (p->width < q->width ? -1 : 1) : (p->height > q->height) - (p->height < q->height);
}

cal_status cal_buckets_make(const cal_bucket_rule *rule, cal_bucket **list, size_t *count, cal_error *err) {
  *list = NULL;
  *count = 0;
  cal_bucket_rule r;
  cal_status status = complete(rule, &r, err);
  if (status) return status;
  size_t room = 1 + 2 * ((size_t)(r.max - r.min) / (size_t)r.step + 1);
  cal_bucket *all = cal_alloc(room * sizeof *all, err);
  if (!all) return CAL_E_MEMORY;
  int area = r.resolution * r.resolution, square = r.resolution / r.step * r.step;
  size_t n = 0;
  all[n++] = (cal_bucket){square, square};
  for (int width = r.min; width <= r.max; width += r.step) {
    int height = area / width / r.step * r.step;
    if (height > r.max) height = r.max;
    if (height < r.min) continue;
    all[n++] = (cal_bucket){width, height};
    all[n++] = (cal_bucket){height, width};
  }
  qsort(all, n, sizeof *all, by_size);
  size_t kept = 1;
  for (size_t i = 1; i < n; i++)
    if (by_size(&all[i], &all[kept - 1])) all[kept++] = all[i];
  *list = all;
  *count = kept;
  return CAL_OK;
}

static cal_status check_picture(int width, int height, cal_error *err) {
  if (width >= 1 && height >= 1 && width <= MOST_PICTURE && height <= MOST_PICTURE) return CAL_OK;
  return cal_fail(err, CAL_E_ARG, "buckets: a picture of %d x %d has no bucket", width, height);
}

static void cut_middle(cal_bucket_place *p) {
  p->crop_x = (p->scale_width - p->width) / 2;
  p->crop_y = (p->scale_height - p->height) / 2;
}

cal_status cal_bucket_choose(int width, int height, const cal_bucket *list, size_t count, cal_bucket_place *place, cal_error *err) {
  cal_status status = check_picture(width, height, err);
  if (!status && !count) status = cal_fail(err, CAL_E_ARG, "buckets: the list is empty");
  if (status) return status;
  double aspect = (double)width / height, least = INFINITY;
  size_t best = 0;
  bool exact = false;
  for (size_t i = 0; i < count && !exact; i++) {
    if (list[i].width < 1 || list[i].height < 1 || list[i].width > MOST_SIDE || list[i].height > MOST_SIDE)
      return cal_fail(err, CAL_E_ARG, "buckets: %d x %d is no size for a bucket", list[i].width, list[i].height);
    double error = fabs((double)list[i].width / list[i].height - aspect);
    exact = list[i].width == width && list[i].height == height;
    if (error < least || exact) least = error, best = i;
  }
  cal_bucket b = list[best];
  bool by_height = aspect > (double)b.width / b.height;
  double scale = by_height ? (double)b.height / height : (double)b.width / width;
  *place = (cal_bucket_place){b.width, b.height, (int)(width * scale + 0.5), (int)(height * scale + 0.5), 0, 0};
  if (place->scale_width < b.width) place->scale_width = b.width;
  if (place->scale_height < b.height) place->scale_height = b.height;
  cut_middle(place);
  return CAL_OK;
}

static int to_step(double side, int step) {
  int rounded = (int)(side + 0.5);
  return rounded - rounded % step;
}

cal_status cal_bucket_fit(int width, int height, const cal_bucket_rule *rule, cal_bucket_place *place, cal_error *err) {
  cal_bucket_rule r;
  cal_status status = check_picture(width, height, err);
  if (!status) status = complete(rule, &r, err);
  if (status) return status;
  double aspect = (double)width / height, area = (double)r.resolution * r.resolution;
  int scale_width = width, scale_height = height;
  if ((double)width * height > area) {
    double wide = sqrt(area * aspect), high = area / wide;
    /* Round one side, let the other follow, both ways; the one that keeps the shape better wins. */
    int width_first = to_step(wide, r.step), its_height = width_first ? to_step(width_first / aspect, r.step) : 0;
    int height_first = to_step(high, r.step), its_width = height_first ? to_step(height_first * aspect, r.step) : 0;
    double error = its_height ? fabs((double)width_first / its_height - aspect) : INFINITY;
    double other = its_width ? fabs((double)its_width / height_first - aspect) : INFINITY;
    if (error < other) scale_width = width_first, scale_height = (int)(width_first / aspect + 0.5);
    else scale_width = (int)(height_first * aspect + 0.5), scale_height = height_first;
  }
  *place = (cal_bucket_place){scale_width - scale_width % r.step, scale_height - scale_height % r.step, scale_width, scale_height, 0, 0};
  if (!place->width || !place->height)
    return cal_fail(err, CAL_E_ARG, "buckets: a picture of %d x %d, at %d x %d, is smaller than one step of %d", width, height, scale_width,
                    scale_height, r.step);
  cut_middle(place);
  return CAL_OK;
}
