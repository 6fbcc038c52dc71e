#include "core/image/measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/image/resize.h"

enum { BRIGHTNESS = 65026 /* 255 * 255 and 0 */, WORKING_SIDE = 512, TILES = 4, TILE_SIDE = 32, SPREAD = 4 };
enum { NOISE_TILE = 32, NOISE_TILES = 12 /* across and down */, BLOCK = 8, BLOCK_LINES = 512, BLOCK_LEAST = 64 };

/* One pass over the pixels counts what several rows need. */
typedef struct {
  const cal_image *im;
  cal_image *gray; /* the same size */
  uint64_t pixels;
  uint32_t bands[3][256];
  uint32_t brightness[BRIGHTNESS]; /* by the weighted sum of squares */
  int spread;                      /* the largest difference between a pixel's channels */
  bool alpha;
} counts;

static void count(counts *c, const cal_image *im) {
  c->im = im;
  c->pixels = (uint64_t)im->width * (uint64_t)im->height;
  const unsigned char *p = im->pixels;
  for (uint64_t i = 0; i < c->pixels; i++, p += im->channels) {
    const int r = p[0], g = im->channels == 1 ? r : p[1], b = im->channels == 1 ? r : p[2];
    c->bands[0][r]++;
    c->bands[1][g]++;
    c->bands[2][b]++;
    c->brightness[(241 * r * r + 691 * g * g + 68 * b * b + 500) / 1000]++;
    const int most = r > g ? (r > b ? r : b) : (g > b ? g : b), least = r < g ? (r < b ? r : b) : (g < b ? g : b);
    if (most - least > c->spread) c->spread = most - least;
    if (im->channels == 4 && p[3] != 255) c->alpha = true;
  }
}

static double nth_brightness(const counts *c, uint64_t n) {
  uint64_t below = 0;
  for (int i = 0; i < BRIGHTNESS; i++)
    if ((below += c->brightness[i]) > n) return sqrt(i) / 255;
  return 1;
}

/* --- One function per row ------------------------------------------------------------------------------------------ */
static const char *const percentile_names[] = {"p1", "p5", "p50", "p95", "p99"};

static cal_status brightness(const counts *c, double *out, cal_error *err) {
  static const double percentiles[] = {1, 5, 50, 95, 99};
  (void)err;
  for (int i = 0; i < 5; i++) { /* numpy's linear interpolation between the two neighbours */
    const double place = (double)(c->pixels - 1) * percentiles[i] / 100;
    const uint64_t low = (uint64_t)place;
    const double a = nth_brightness(c, low), b = low + 1 < c->pixels ? nth_brightness(c, low + 1) : a;
    out[i] = a + (b - a) * (place - (double)low);
  }
  return CAL_OK;
}

static cal_status entropy(const counts *c, double *out, cal_error *err) {
  (void)err;
  *out = 0;
  for (int k = 0; k < 3; k++)
    for (int i = 0; i < 256; i++) {
      const double share = (double)c->bands[k][i] / (3 * (double)c->pixels);
      if (share > 0) *out -= share * log2(share);
    }
  return CAL_OK;
}

static double tile_variance(const cal_image *gray, int left, int top, int right, int bottom) {
  double sum = 0, squares = 0;
  for (int y = top; y < bottom; y++) {
    const unsigned char *p = cal_image_at(gray, 0, y), *above = p - gray->width, *below = p + gray->width;
    int64_t row_sum = 0, row_squares = 0;
    for (int x = left; x < right; x++) {
      const int v = above[x] + below[x] + p[x - 1] + p[x + 1] - 4 * p[x];
      row_sum += v;
      row_squares += v * v;
    }
    sum += (double)row_sum;
    squares += (double)row_squares;
  }
  const double n = (double)(right - left) * (bottom - top);
  return n > 0 ? squares / n - sum / n * (sum / n) : 0;
}

static int tiles(int side) { return side / TILE_SIDE < 1 ? 1 : side / TILE_SIDE > TILES ? TILES : side / TILE_SIDE; }

static cal_status sharpness(const counts *c, double *out, cal_error *err) {
  const cal_image *gray = c->gray;
  cal_image *small = NULL;
  if (gray->width > WORKING_SIDE || gray->height > WORKING_SIDE) {
    const bool wide = gray->width >= gray->height;
    gray = small = cal_image_resize(gray, wide ? WORKING_SIDE : 0, wide ? 0 : WORKING_SIDE, CAL_AREA, err);
    if (!small) return CAL_E_MEMORY;
  }
  *out = 0;
  const int w = gray->width - 2, h = gray->height - 2; /* the outermost pixels have no Laplacian */
  const int columns = tiles(w), rows = tiles(h);
  for (int y = 0; w > 0 && h > 0 && y < rows; y++)
    for (int x = 0; x < columns; x++) {
      const double v = tile_variance(gray, 1 + w * x / columns, 1 + h * y / rows, 1 + w * (x + 1) / columns, 1 + h * (y + 1) / rows);
      if (v > *out) *out = v;
    }
  cal_image_free(small);
  return CAL_OK;
}

/* Immerkaer's estimate ("Fast noise variance estimation", 1996) in one tile: a mask that neither planes nor straight edges pass.
 * Negative where the tile is nearly black or white: what is clipped has no noise. */
static double tile_noise(const cal_image *gray, int left, int top) {
  int64_t sum = 0, light = 0;
  for (int y = top; y < top + NOISE_TILE; y++) {
    const unsigned char *p = cal_image_at(gray, left, y), *above = p - gray->width, *below = p + gray->width;
    for (int x = 0; x < NOISE_TILE; x++) {
      const int v =
          above[x - 1] - 2 * above[x] + above[x + 1] - 2 * p[x - 1] + 4 * p[x] - 2 * p[x + 1] + below[x - 1] - 2 * below[x] + below[x + 1];
      sum += v < 0 ? -v : v;
      light += p[x];
    }
  }
  const double n = (double)NOISE_TILE * NOISE_TILE, mean = (double)light / n;
  return mean < 16 || mean > 239 ? -1 : sqrt(acos(-1) / 2) / 6 * (double)sum / n;
}

static int by_value(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Texture looks like noise, so the calm tiles are asked: the lower quartile. */
static cal_status noise(const counts *c, double *out, cal_error *err) {
  (void)err;
  double found[NOISE_TILES * NOISE_TILES] = {0};
  size_t count = 0;
  const int w = c->gray->width - 2 - NOISE_TILE, h = c->gray->height - 2 - NOISE_TILE;
  for (int y = 0; w >= 0 && h >= 0 && y < NOISE_TILES; y++)
    for (int x = 0; x < NOISE_TILES; x++) {
      const double v = tile_noise(c->gray, 1 + (int)((int64_t)w * x / (NOISE_TILES - 1)), 1 + (int)((int64_t)h * y / (NOISE_TILES - 1)));
      if (v >= 0) found[count++] = v;
    }
  qsort(found, count, sizeof *found, by_value);
  *out = count ? found[count / 4] : 0;
  return CAL_OK;
}

/* How much the steps between neighbours at the strongest of 8 phases exceed those at the others; 1 where none does. */
static double strongest_phase(const double sums[BLOCK], const uint64_t counted[BLOCK]) {
  double most = 0, all = 0;
  for (int i = 0; i < BLOCK; i++) {
    const double mean = counted[i] ? sums[i] / (double)counted[i] : 0;
    all += mean;
    if (mean > most) most = mean;
  }
  const double others = (all - most) / (BLOCK - 1);
  return others > 0 ? most / others : 1;
}

/* JPEG codes squares of 8 pixels, and coarse coding leaves steps at their borders. The phase is found, not assumed: a picture that was cut
 * or saved as PNG since has them elsewhere. */
static cal_status blocking(const counts *c, double *out, cal_error *err) {
  (void)err;
  const cal_image *gray = c->gray;
  *out = 1;
  if (gray->width < BLOCK_LEAST || gray->height < BLOCK_LEAST) return CAL_OK;
  double across[BLOCK] = {0}, down[BLOCK] = {0};
  uint64_t counted_across[BLOCK] = {0}, counted_down[BLOCK] = {0};
  const int every_row = 1 + (gray->height - 1) / BLOCK_LINES, every_column = 1 + (gray->width - 1) / BLOCK_LINES;
  for (int y = 0; y < gray->height; y += every_row) {
    const unsigned char *p = cal_image_at(gray, 0, y);
    for (int x = 0; x + 1 < gray->width; x++) across[x % BLOCK] += abs(p[x + 1] - p[x]), counted_across[x % BLOCK]++;
  }
  for (int y = 0; y + 1 < gray->height; y++) {
    const unsigned char *p = cal_image_at(gray, 0, y), *below = p + gray->width;
    int sum = 0;
    for (int x = 0; x < gray->width; x += every_column) sum += abs(below[x] - p[x]), counted_down[y % BLOCK]++;
    down[y % BLOCK] += sum;
  }
  *out = sqrt(strongest_phase(across, counted_across) * strongest_phase(down, counted_down)); /* letters have steps one way only */
  return CAL_OK;
}

static cal_status alpha(const counts *c, double *out, cal_error *err) { return (void)err, *out = c->alpha, CAL_OK; }
static cal_status gray(const counts *c, double *out, cal_error *err) { return (void)err, *out = c->spread <= SPREAD, CAL_OK; }

/* The table: one row is one measure. */
static const struct {
  cal_measure_row row;
  cal_status (*measure)(const counts *c, double *out, cal_error *err);
} table[] = {
    {{"brightness", "percentiles of sqrt(0.241 R^2 + 0.691 G^2 + 0.068 B^2) / 255 (cleanvision's), 0 black to 1 white", 5, percentile_names,
      false},
     brightness},
    {{"entropy", "Shannon entropy in bits of the red, green and blue histograms laid end to end (Pillow's), at most 9.58", 1, NULL, false},
     entropy},
    {{"sharpness",
      "variance of the Laplacian [0 1 0; 1 -4 1; 0 1 0] on gray, the long side brought down (never up) to 512 px by area, in the sharpest "
      "of "
      "at most 4 x 4 tiles: a blurred background does not count against a sharp subject",
      1, NULL, false},
     sharpness},
    {{"noise", "standard deviation of noise in gray levels of 255 (Immerkaer 1996), the lower quartile of 12 x 12 tiles of 32 px", 1, NULL,
      false},
     noise},
    {{"blocking",
      "steps between neighbours at the strongest phase of 8 by those at the others, geometric mean across and down: 1 none; of a JPEG "
      "about 1.6 at quality 75, 2 at 50, 3 at 20",
      1, NULL, false},
     blocking},
    {{"alpha", "some pixel is not fully opaque", 1, NULL, true}, alpha},
    {{"gray", "no pixel's channels differ by more than 4", 1, NULL, true}, gray},
};

const cal_measure_row *cal_measure_row_at(int index) {
  return index >= 0 && (size_t)index < sizeof table / sizeof *table ? &table[index].row : NULL;
}

const double *cal_measures_of(const cal_measures *m, const char *name) {
  const cal_measure_row *row;
  for (int i = 0, at = 0; (row = cal_measure_row_at(i)); i++, at += row->count)
    if (strcmp(row->name, name) == 0) return m->values + at;
  return NULL;
}

cal_status cal_image_measure(const cal_image *im, const cal_image_info *info, cal_measures *m, cal_error *err) {
  *m = (cal_measures){.width = im->width, .height = im->height, .orientation = 1};
  if (info) {
    m->width = cal_image_shown_width(info);
    m->height = cal_image_shown_height(info);
    m->format = info->format;
    m->orientation = info->orientation;
    memcpy(m->profile, info->profile, sizeof m->profile);
  }
  cal_status status = cal_image_hash(im, m->hashes, err);
  counts *c = status ? NULL : cal_alloc_zero(1, sizeof *c, err);
  if (!c) return CAL_E_MEMORY;
  if (!(c->gray = cal_image_gray(im, err))) status = CAL_E_MEMORY;
  if (!status) count(c, im);
  const cal_measure_row *row;
  for (int i = 0, at = 0; !status && (row = cal_measure_row_at(i)); i++, at += row->count)
    status = table[i].measure(c, m->values + at, err);
  cal_image_free(c->gray);
  cal_free(c);
  return status;
}
