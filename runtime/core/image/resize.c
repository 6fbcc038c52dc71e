#include "core/image/resize.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "core/base/memory.h"

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define CLONES __attribute__((target_clones("avx2", "default"))) /* 8 lanes where the processor has them */
#else
#define CLONES
#endif

enum {
  PRECISION = 32 - 8 - 2, /* 8 bits of sample and 2 of headroom for a filter's overshoot in 32 */
  ROWS = 16
}; /* rows worked on side by side in the horizontal pass */

/* For each output place: the first input place, how many, and their weights (in 1 / 2^22). */
typedef struct {
  int *first, *count;
  int32_t *weights;
  int most;
} taps;

static double sinc(double x) { return x == 0 ? 1 : sin(x * M_PI) / (x * M_PI); }
static double lanczos3(double x) { return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0; }

/* Keys, "Cubic convolution interpolation for digital image processing", 1981, with a = -0.5. */
static double cubic(double x) {
  x = fabs(x);
  return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}

static double triangle(double x) { return fabs(x) < 1 ? 1 - fabs(x) : 0; }

static void taps_free(taps *t) {
  cal_free(t->first);
  cal_free(t->count);
  cal_free(t->weights);
}

static cal_status taps_make(taps *t, int in, int out, cal_filter filter, cal_error *err) {
  const double scale = (double)in / out, wide = scale < 1 ? 1 : scale;
  const double support = (filter == CAL_LANCZOS3 ? 3 : filter == CAL_BICUBIC ? 2 : 1) * wide;
  *t = (taps){.most = (filter == CAL_AREA ? (int)ceil(scale) + 1 : (int)ceil(support) * 2) + 1};
  t->first = cal_alloc_zero((size_t)out, sizeof *t->first, err);
  t->count = cal_alloc_zero((size_t)out, sizeof *t->count, err);
  t->weights = cal_alloc_zero((size_t)out * (size_t)t->most, sizeof *t->weights, err);
  double *w = cal_alloc_zero((size_t)t->most, sizeof *w, err);
  if (!t->first || !t->count || !t->weights || !w) {
    taps_free(t);
    cal_free(w);
    return CAL_E_MEMORY;
  }
  for (int i = 0; i < out; i++) {
    const double center = (i + 0.5) * scale, left = i * scale, right = left + scale;
    int low = filter == CAL_AREA ? (int)floor(left + 1e-9) : (int)(center - support + 0.5);
    int high = filter == CAL_AREA ? (int)ceil(right - 1e-9) : (int)(center + support + 0.5);
    if (low < 0) low = 0;
    if (high > in) high = in;
    if (low >= in) low = in - 1;
    if (high <= low) high = low + 1;
    double sum = 0;
    for (int k = low; k < high; k++) {
      const double x = (k - center + 0.5) / wide;
      if (filter == CAL_AREA) w[k - low] = fmin(right, k + 1) - fmax(left, k);
      else w[k - low] = filter == CAL_LANCZOS3 ? lanczos3(x) : filter == CAL_BICUBIC ? cubic(x) : triangle(x);
      sum += w[k - low];
    }
    t->first[i] = low;
    t->count[i] = high - low;
    for (int k = 0; k < high - low; k++)
      t->weights[(size_t)i * (size_t)t->most + (size_t)k] = (int32_t)lround(w[k] / sum * (1 << PRECISION));
  }
  cal_free(w);
  return CAL_OK;
}

static inline unsigned char clip(int32_t sum) {
  sum >>= PRECISION;
  return (unsigned char)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

/* Sixteen rows lie side by side in `block` ([column][channel][row]): the sums run over all of them at once. */
CLONES static void across_block(const taps *t, const unsigned char *block, int out, int channels, unsigned char *to) {
  for (int i = 0; i < out; i++) {
    const int32_t *weights = t->weights + (size_t)i * (size_t)t->most;
    for (int c = 0; c < channels; c++) {
      const unsigned char *from = block + ((size_t)t->first[i] * (size_t)channels + (size_t)c) * ROWS;
      int32_t sum[ROWS];
      for (int r = 0; r < ROWS; r++) sum[r] = 1 << (PRECISION - 1);
      for (int k = 0; k < t->count[i]; k++, from += channels * ROWS)
        for (int r = 0; r < ROWS; r++) sum[r] += weights[k] * from[r];
      for (int r = 0; r < ROWS; r++) to[((size_t)i * (size_t)channels + (size_t)c) * ROWS + (size_t)r] = clip(sum[r]);
    }
  }
}

static cal_status across(const taps *t, const cal_image *in, cal_image *out, cal_error *err) {
  const size_t line_in = (size_t)in->width * (size_t)in->channels, line_out = (size_t)out->width * (size_t)in->channels;
  unsigned char *block = cal_alloc_zero(line_in + line_out, ROWS, err);
  if (!block) return CAL_E_MEMORY;
  unsigned char *result = block + line_in * ROWS;
  for (int top = 0; top < in->height; top += ROWS) {
    const size_t rows = in->height - top < ROWS ? (size_t)(in->height - top) : ROWS;
    for (size_t x = 0; x < line_in; x += 64) /* 64 columns of 16 rows: both sides stay in the first cache */
      for (size_t r = 0; r < rows; r++) {
        const unsigned char *from = in->pixels + ((size_t)top + r) * line_in;
        for (size_t i = x; i < line_in && i < x + 64; i++) block[i * ROWS + r] = from[i];
      }
    across_block(t, block, out->width, in->channels, result);
    for (size_t r = 0; r < rows; r++) {
      unsigned char *to = out->pixels + ((size_t)top + r) * line_out;
      for (size_t i = 0; i < line_out; i++) to[i] = result[i * ROWS + r];
    }
  }
  cal_free(block);
  return CAL_OK;
}

CLONES static void add_row(int32_t *restrict sums, const unsigned char *restrict from, int32_t weight, size_t count) {
  for (size_t i = 0; i < count; i++) sums[i] += weight * from[i];
}

static cal_status down(const taps *t, const cal_image *in, cal_image *out, cal_error *err) {
  const size_t line = (size_t)in->width * (size_t)in->channels;
  int32_t *sums = cal_alloc_zero(line, sizeof *sums, err);
  if (!sums) return CAL_E_MEMORY;
  for (int y = 0; y < out->height; y++) {
    for (size_t i = 0; i < line; i++) sums[i] = 1 << (PRECISION - 1);
    for (int k = 0; k < t->count[y]; k++)
      add_row(sums, in->pixels + (size_t)(t->first[y] + k) * line, t->weights[(size_t)y * (size_t)t->most + (size_t)k], line);
    unsigned char *to = out->pixels + (size_t)y * line;
    for (size_t i = 0; i < line; i++) to[i] = clip(sums[i]);
  }
  cal_free(sums);
  return CAL_OK;
}

static void premultiply(cal_image *im) {
  const size_t count = cal_image_size(im);
  for (size_t i = 0; i < count; i += 4)
    for (size_t k = 0; k < 3; k++) {
      unsigned v = im->pixels[i + k] * im->pixels[i + 3] + 128u;
      im->pixels[i + k] = (unsigned char)((v + (v >> 8)) >> 8);
    }
}

static void unpremultiply(cal_image *im) {
  const size_t count = cal_image_size(im);
  for (size_t i = 0; i < count; i += 4) {
    const unsigned alpha = im->pixels[i + 3];
    if (alpha == 0 || alpha == 255) continue;
    for (size_t k = 0; k < 3; k++) {
      unsigned v = 255u * im->pixels[i + k] / alpha;
      im->pixels[i + k] = (unsigned char)(v > 255 ? 255 : v);
    }
  }
}

static int follow(int side, int of, int other) {
  double v = floor((double)side * of / other + 0.5);
  return v < 1 ? 1 : v > CAL_IMAGE_SIDE ? CAL_IMAGE_SIDE + 1 : (int)v;
}

static cal_image *one_pass(const cal_image *im, bool vertical, int side, cal_filter filter, cal_error *err) {
  cal_image *out = cal_image_new(vertical ? im->width : side, vertical ? side : im->height, im->channels, err);
  taps t;
  if (!out) return NULL;
  cal_status status = taps_make(&t, vertical ? im->height : im->width, side, filter, err);
  if (!status) {
    status = (vertical ? down : across)(&t, im, out, err);
    taps_free(&t);
  }
  if (status) cal_image_free(out), out = NULL;
  return out;
}

cal_image *cal_image_resize(const cal_image *im, int width, int height, cal_filter filter, cal_error *err) {
  if (width < 0 || height < 0 || (!width && !height))
    return cal_fail(err, CAL_E_ARG, "resize: %d x %d is no size; one side may be 0 and follows the aspect", width, height), NULL;
  if (!width) width = follow(height, im->width, im->height);
  if (!height) height = follow(width, im->height, im->width);
  if (width == im->width && height == im->height) return cal_image_copy(im, err);

  /* Pillow's order of the passes (13.0, found by comparing results), which decides where the 8-bit rounding falls. */
  const bool down_first = height < im->height && im->height - height > 2LL * (im->width - width);
  cal_image *work = im->channels == 4 ? cal_image_copy(im, err) : NULL;
  if (im->channels == 4) {
    if (!work) return NULL;
    premultiply(work);
  }
  for (int pass = 0; pass < 2; pass++) {
    const cal_image *from = work ? work : im;
    const bool vertical = (pass == 0) == down_first;
    if (vertical ? height == from->height : width == from->width) continue;
    cal_image *out = one_pass(from, vertical, vertical ? height : width, filter, err);
    cal_image_free(work);
    if (!(work = out)) return NULL;
  }
  if (work->channels == 4) unpremultiply(work);
  return work;
}
