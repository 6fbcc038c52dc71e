#include "core/image/hash.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/image/resize.h"

enum { SIDE = 32, LOW = 8 };

/* DCT-II without factors (they move no coefficient across the median), the lowest 8 x 8: c[vertical][horizontal]. */
static void low_frequencies(const unsigned char *pixels, double c[LOW][LOW]) {
  double wave[LOW][SIDE], rows[SIDE][LOW];
  for (int k = 0; k < LOW; k++)
    for (int n = 0; n < SIDE; n++) wave[k][n] = cos(M_PI * k * (2 * n + 1) / (2 * SIDE));
  for (int y = 0; y < SIDE; y++)
    for (int k = 0; k < LOW; k++) {
      rows[y][k] = 0;
      for (int n = 0; n < SIDE; n++) rows[y][k] += pixels[y * SIDE + n] * wave[k][n];
    }
  for (int k = 0; k < LOW; k++)
    for (int x = 0; x < LOW; x++) {
      double sum = 0;
      for (int n = 0; n < SIDE; n++) sum += rows[n][x] * wave[k][n];
      /* Flat and mirrored pictures have coefficients that are 0 but for rounding; their bits must not be chance. */
      c[k][x] = fabs(sum) < 1e-6 ? 0 : sum;
    }
}

static int by_size(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static uint64_t bits_above_median(double c[LOW][LOW]) {
  double sorted[LOW * LOW];
  memcpy(sorted, c, sizeof sorted);
  qsort(sorted, LOW * LOW, sizeof *sorted, by_size);
  const double median = (sorted[LOW * LOW / 2 - 1] + sorted[LOW * LOW / 2]) / 2;
  uint64_t bits = 0;
  for (int i = 0; i < LOW * LOW; i++) bits = bits << 1 | (c[i / LOW][i % LOW] > median);
  return bits;
}

/* cos(k (31 - n)) is (-1)^k cos(k n): a mirrored axis changes the sign of its odd coefficients. */
static void flip(double c[LOW][LOW]) {
  for (int y = 0; y < LOW; y++)
    for (int x = 1; x < LOW; x += 2) c[y][x] = -c[y][x];
}

static void turn(double c[LOW][LOW]) { /* clockwise: columns, read from below, become rows */
  for (int y = 0; y < LOW; y++)
    for (int x = 0; x < y; x++) {
      double t = c[y][x];
      c[y][x] = c[x][y];
      c[x][y] = t;
    }
  flip(c);
}

cal_status cal_image_hash(const cal_image *im, uint64_t hashes[CAL_HASH_VARIANTS], cal_error *err) {
  cal_image *gray = cal_image_gray(im, err);
  if (!gray) return CAL_E_MEMORY;
  cal_image *small = cal_image_resize(gray, SIDE, SIDE, CAL_LANCZOS3, err);
  cal_image_free(gray);
  if (!small) return CAL_E_MEMORY;
  double c[LOW][LOW];
  low_frequencies(small->pixels, c);
  cal_image_free(small);
  for (int k = 0; k < CAL_HASH_VARIANTS; k++) {
    if (k == 4) flip(c); /* four turns have brought it back */
    hashes[k] = bits_above_median(c);
    turn(c);
  }
  return CAL_OK;
}

const char *cal_image_transform_name(int variant) {
  static const char *const names[CAL_HASH_VARIANTS] = {"same", "rotate 90",       "rotate 180",       "rotate 270",
                                                       "flip", "flip, rotate 90", "flip, rotate 180", "flip, rotate 270"};
  return names[variant & (CAL_HASH_VARIANTS - 1)];
}
