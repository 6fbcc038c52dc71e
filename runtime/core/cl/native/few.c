/* few.c - products of a few rows with a large matrix: the candidate "few". A text's next token is that: every weight is read once, for one
 * row of each beam, so that memory's speed is what counts, of which oneDNN reaches a third (docs/SPEED.md). The matrix lies column by
 * column, as the weights of linear layers and the keys of an attention do: f32 on processors with AVX2, bf16 on those with its dot
 * products. Or row by row, as values do: bf16. All else is oneDNN's.
 *
 * Each result is worked out alone and its lanes are added in a fixed order: the same bits whatever the number of threads. */
#include <string.h>

#include "core/base/memory.h"
#include "core/base/thread.h"
#include "core/cl/candidates.h"
#include "core/cl/native/vector.h"

enum {
  MOST_ROWS = 16,
  COLUMNS = 64,      /* worked out before they are stored */
  SHARE = 128 << 10, /* bytes of columns in one piece of work: about 5 us */
  PIECES = 4,        /* for each thread */
  LINE = 64,         /* bytes that memory gives at a time */
};

typedef struct product product;
struct product {
  void (*columns)(const product *p, const char *x, const char *const w[4], int64_t ahead, float *y);
  void (*lines)(const product *p, const char *x, const char *w, float *y); /* or this, for what lies row by row */
  const cal_vector *v;
  cal_product sizes;
  const char *x, *w;
  char *y;
  cal_dtype dtype;       /* of y */
  int64_t size, y_size;  /* of a number */
  int64_t length, x_row; /* bytes of a column, bytes from row to row */
  int64_t blocks, items; /* blocks of columns: of one product, and of all that differ in their leading axes */
  int64_t each, pieces;  /* blocks of a piece */
};

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#include <immintrin.h>

#pragma GCC push_options
#pragma GCC target("avx2,fma")
#define FN(name) name##_avx2
#define WIDTH 8
#define MULTIPLY(sum, x, w) ((sum) + (x) * (w))
#include "core/cl/native/few.inc"
#undef FN
#undef WIDTH
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,prefer-vector-width=512")
#define FN(name) name##_avx512
#define WIDTH 16
#include "core/cl/native/few.inc"
#undef FN
#undef MULTIPLY
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bf16,prefer-vector-width=512")
#define FN(name) name##_bf16
#define MULTIPLY(sum, x, w) ((v_bf16)_mm512_dpbf16_ps((__m512)(sum), (__m512bh)(x), (__m512bh)(w)))
#include "core/cl/native/few.inc"
#undef FN
#undef WIDTH
#undef MULTIPLY

typedef uint16_t halves __attribute__((vector_size(32), aligned(2), may_alias));
typedef uint32_t words __attribute__((vector_size(64)));

/* `rows` rows of x times the COLUMNS columns that w begins with, in f32. */
static inline __attribute__((always_inline)) void patch_of_lines(const product *p, const char *x, const char *w, float *y, int rows) {
  v_bf16 sum[16] = {{0}};
  for (int64_t k = 0; k < p->sizes.K; k++, x += 2, w += p->sizes.b_row * 2) {
    v_bf16 four[4];
    _Pragma("GCC unroll 4") for (int i = 0; i < 4; i++) four[i] =
        (v_bf16)(__builtin_convertvector(((const halves *)(const void *)w)[i], words) << 16);
    _Pragma("GCC unroll 4") for (int row = 0; row < rows; row++) {
      const uint32_t bits = (uint32_t) * (const uint16_t *)(const void *)(x + row * p->x_row) << 16;
      float one;
      memcpy(&one, &bits, sizeof one);
      _Pragma("GCC unroll 4") for (int i = 0; i < 4; i++) sum[row * 4 + i] += one * four[i];
    }
  }
  _Pragma("GCC unroll 4") for (int row = 0; row < rows; row++) memcpy(y + row * COLUMNS, sum + row * 4, COLUMNS * sizeof *y);
}

static void lines_bf16(const product *p, const char *x, const char *w, float *y) {
  int64_t left = p->sizes.M;
  for (; left >= 4; left -= 4, x += 4 * p->x_row, y += 4 * COLUMNS) patch_of_lines(p, x, w, y, 4);
  if (left == 1) patch_of_lines(p, x, w, y, 1);
  if (left == 2) patch_of_lines(p, x, w, y, 2);
  if (left == 3) patch_of_lines(p, x, w, y, 3);
}
#pragma GCC pop_options

/* Whether there is something on this processor, which is bound where `p` is given. */
static bool choose(const cal_product *s, cal_dtype dtype, product *p) {
  const int64_t length = s->K * (int64_t)cal_dtype_size(dtype);
  const bool wide = __builtin_cpu_supports("avx512f"), halves_too = wide && __builtin_cpu_supports("avx512bf16");
  product found = {0};
  if (dtype == CAL_BF16 && halves_too && s->b_row == 1 && length % 64 == 0) found.columns = columns_bf16;
  else if (dtype == CAL_BF16 && halves_too && s->b_column == 1 && s->N % COLUMNS == 0) found.lines = lines_bf16;
  else if (dtype == CAL_F32 && wide && s->b_row == 1 && length % 64 == 0) found.columns = columns_avx512;
  else if (dtype == CAL_F32 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && s->b_row == 1 && length % 32 == 0)
    found.columns = columns_avx2;
  if (p) p->columns = found.columns, p->lines = found.lines;
  return found.columns || found.lines;
}

#else

static bool choose(const cal_product *s, cal_dtype dtype, product *p) { return (void)s, (void)dtype, (void)p, false; }

#endif

static void block(const product *p, int64_t lead, int64_t from) {
  const cal_product *s = &p->sizes;
  const int64_t at[3] = {lead / s->lead[2] / s->lead[1], lead / s->lead[2] % s->lead[1], lead % s->lead[2]};
  const char *x = p->x, *w = p->w + from * s->b_column * p->size, *column[4];
  char *to = p->y + from * s->c_column * p->y_size;
  for (int i = 0; i < 3; i++)
    x += at[i] * s->a_lead[i] * p->size, w += at[i] * s->b_lead[i] * p->size, to += at[i] * s->c_lead[i] * p->y_size;
  const int n = (int)(s->N - from < COLUMNS ? s->N - from : COLUMNS);
  float y[MOST_ROWS * COLUMNS];
  if (p->lines) p->lines(p, x, w, y);
  for (int i = 0; p->columns && i < n; i += 4) {
    for (int j = 0; j < 4; j++) column[j] = w + (i + j < n ? i + j : n - 1) * s->b_column * p->size; /* beyond the last: thrown away */
    p->columns(p, x, column, 4 * s->b_column * p->size, y + i);
  }
  for (int64_t row = 0; row < s->M; row++) p->v->store(to + row * s->c_row * p->y_size, p->dtype, s->c_column, y + row * COLUMNS, n);
}

static void piece(void *context, size_t index) {
  const product *p = context;
  const int64_t begin = (int64_t)index * p->each, end = begin + p->each < p->items ? begin + p->each : p->items;
  for (int64_t item = begin; item < end; item++) block(p, item / p->blocks, item % p->blocks * COLUMNS);
}

static bool run(void *state) {
  product *p = state;
  cal_parallel_short((size_t)p->pieces, piece, p);
  return true;
}

static bool takes(const cal_site *site, const cal_step *step) {
  if (!site->context->native || !cal_step_is(step, "matmul")) return false;
  cal_product sizes;
  cal_product_of(step, &sizes);
  const cal_dtype dtype = step->input[1].dtype;
  return sizes.M <= MOST_ROWS && sizes.a_column == 1 && step->input[0].dtype == dtype && choose(&sizes, dtype, NULL);
}

static cal_status prepare(const cal_site *site, const cal_step *step, cal_prepared *out, cal_error *err) {
  product *p = cal_alloc_zero(1, sizeof *p, err);
  if (!p) return CAL_E_MEMORY;
  out->state = p, out->free_state = cal_free, out->run = run;
  cal_product_of(step, &p->sizes);
  p->v = cal_vector_best();
  p->dtype = step->output[0].dtype;
  p->size = (int64_t)cal_dtype_size(step->input[1].dtype), p->y_size = (int64_t)cal_dtype_size(p->dtype);
  p->length = p->sizes.K * p->size, p->x_row = p->sizes.a_row * p->size;
  choose(&p->sizes, step->input[1].dtype, p);
  p->x = cal_site_host(site, &step->input[0]), p->w = cal_site_host(site, &step->input[1]), p->y = cal_site_host(site, &step->output[0]);
  const int64_t leads = p->sizes.lead[0] * p->sizes.lead[1] * p->sizes.lead[2], most = (int64_t)PIECES * cal_thread_count(),
                wanted = leads * p->sizes.N * p->length / SHARE;
  p->blocks = (p->sizes.N + COLUMNS - 1) / COLUMNS;
  p->items = leads * p->blocks;
  p->pieces = wanted < 1 ? 1 : wanted > most ? most : wanted;
  p->each = (p->items + p->pieces - 1) / p->pieces;
  p->pieces = (p->items + p->each - 1) / p->each; /* none without work */
  return CAL_OK;
}

const cal_candidate cal_few_candidate = {"few", takes, prepare};
