/* test_vector.c - the inner loops of CPU devices, at every level this processor has, against libm and each other. */
#include <stdlib.h>

#include "core/base/random.h"
#include "core/base/thread.h"
#include "core/cl/native/vector.h"
#include "core/graph/op.h"
#include "core/graph/reference.h"
#include "test.h"

static double row_error(const cal_vector *v, const char *op_name, double (*exact)(double), float from, float to, bool relative) {
  enum { COUNT = 4096 };
  static float x[COUNT], y[COUNT];
  const cal_op *op = cal_op_find(op_name);
  double worst = 0;
  for (int i = 0; i < COUNT; i++) x[i] = from + (to - from) * (float)i / (COUNT - 1);
  const float *in[5] = {x, x, x, x, x};
  v->rows[cal_vector_row_find(op->row->inputs, op->row->text)](y, in, 0, COUNT);
  for (int i = 0; i < COUNT; i++) {
    double e = exact(x[i]), off = fabs(y[i] - e);
    worst = fmax(worst, relative ? off / fmax(fabs(e), 1e-37) : off);
  }
  return worst;
}

static double gelu(double x) { return 0.5 * x * (1 + erf(x * sqrt(0.5))); }
static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

TEST(exponentials_and_their_relatives_stay_near_libm) {
  for (int level = 0; level < 3; level++) {
    const cal_vector *v = cal_vector_of(level);
    if (!v) continue;
    CHECK(row_error(v, "exp", exp, -86, 88.7f, true) < 3e-7);
    CHECK(row_error(v, "tanh", tanh, -12, 12, true) < 5e-7);
    CHECK(row_error(v, "tanh", tanh, -0.3f, 0.3f, true) < 5e-7);
    CHECK(row_error(v, "sigmoid", sigmoid, -80, 80, true) < 5e-7);
    CHECK(row_error(v, "gelu", gelu, -6, 6, false) < 1e-6);
    CHECK(row_error(v, "sqrt", sqrt, 0, 100, true) < 2e-7);
  }
}

TEST(not_a_number_and_infinities_come_out_as_they_should) {
  for (int level = 0; level < 3; level++) {
    const cal_vector *v = cal_vector_of(level);
    if (!v) continue;
    const float x[4] = {NAN, INFINITY, -INFINITY, 1000};
    const float *in[5] = {x, x, x, x, x};
    float y[4];
    const struct {
      const char *op;
      float expected[4];
    } rows[] = {{"exp", {NAN, INFINITY, 0, INFINITY}}, {"tanh", {NAN, 1, -1, 1}}, {"sigmoid", {NAN, 1, 0, 1}}, {"finite", {0, 0, 0, 1}}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
      const cal_row *row = cal_op_find(rows[i].op)->row;
      v->rows[cal_vector_row_find(row->inputs, row->text)](y, in, 0, 4);
      for (int j = 0; j < 4; j++) CHECK(isnan(rows[i].expected[j]) ? isnan(y[j]) : y[j] == rows[i].expected[j]);
    }
    float s[3];
    v->softmax(s, (const float[]){-INFINITY, -INFINITY, -INFINITY}, 3);
    CHECK(s[0] == 0 && s[1] == 0 && s[2] == 0);
    v->softmax(s, (const float[]){-INFINITY, 5, -INFINITY}, 3);
    CHECK(s[0] == 0 && s[1] == 1 && s[2] == 0);
    v->softmax(s, (const float[]){1, NAN, 2}, 3);
    CHECK(isnan(s[0]) && isnan(s[1]) && isnan(s[2]));
  }
}

TEST(every_half_number_is_loaded_and_stored_as_the_reference_does) {
  enum { ALL = 65536 };
  static uint16_t bits[ALL], back[ALL];
  static float x[ALL];
  for (int i = 0; i < ALL; i++) bits[i] = (uint16_t)i;
  for (int level = 0; level < 3; level++) {
    const cal_vector *v = cal_vector_of(level);
    if (!v) continue;
    for (cal_dtype dtype = CAL_F16; dtype <= CAL_BF16; dtype++) {
      v->load(x, bits, dtype, 1, ALL);
      v->store(back, dtype, 1, x, ALL);
      int wrong = 0;
      for (int i = 0; i < ALL; i++) {
        float expected = dtype == CAL_F16 ? cal_f16_to_float(bits[i]) : cal_bf16_to_float(bits[i]);
        wrong += isnan(expected) ? !isnan(x[i]) : x[i] != expected || back[i] != bits[i];
      }
      CHECK(wrong == 0);
      cal_random r = cal_random_seed(5, (uint64_t)dtype);
      for (int i = 0; i < ALL; i++) { /* all kinds of floats, ties and overflows among them */
        uint32_t u = cal_random_bits(&r);
        if (i % 3 == 0) u &= 0xfffff000u;
        if (i % 5 == 0) u = (u & 0x87ffffffu) | 0x38000000u;
        memcpy(&x[i], &u, 4);
      }
      v->store(back, dtype, 1, x, ALL);
      for (int i = 0; i < ALL; i++) {
        uint16_t expected = dtype == CAL_F16 ? cal_f16_of(x[i]) : cal_bf16_of(x[i]);
        if (!isnan(x[i])) wrong += back[i] != expected;
      }
      CHECK(wrong == 0);
    }
  }
}

TEST(sums_do_not_depend_on_where_a_row_starts) {
  float x[100], shifted[103];
  cal_random r = cal_random_seed(3, 0);
  cal_random_normal_into(&r, x, 100);
  memcpy(shifted + 3, x, sizeof x);
  for (int level = 0; level < 3; level++) {
    const cal_vector *v = cal_vector_of(level);
    if (!v) continue;
    for (int n = 0; n <= 100; n++) {
      double exact = 0;
      for (int i = 0; i < n; i++) exact += x[i];
      CHECK_NEAR(v->sum(x, n), exact, 1e-4);
      CHECK(v->sum(x, n) == v->sum(shifted + 3, n));
    }
  }
}

static void count_up(void *context, size_t index) { __atomic_fetch_add((int *)context + index % 7, 1, __ATOMIC_RELAXED); }

static void nested(void *context, size_t index) {
  (void)index;
  cal_parallel_short(70, count_up, context);
}

TEST(a_short_batch_does_each_item_once_also_inside_another) {
  int counts[7] = {0};
  for (int round = 0; round < 200; round++) cal_parallel_short(7, count_up, counts);
  for (int i = 0; i < 7; i++) CHECK(counts[i] == 200);
  cal_parallel_short(10, nested, counts);
  for (int i = 0; i < 7; i++) CHECK(counts[i] == 300);
  cal_parallel_short(0, count_up, counts);
  CHECK(counts[0] == 300);
}

/* ---- attention -------------------------------------------------------------------------------------------------------- */

enum { LANES = 32 };

/* Small whole numbers, so that all sums are exact; what lies around c must stay. a is read by rows and by columns. */
static bool block_is_exact(const cal_vector *v, int M, int N, int K, bool add, bool turned) {
  enum { GAP = 3, AROUND = 99 };
  float a[64 * 70], b[70 * (48 + GAP)], c[66 * (48 + GAP)];
  const int row = N + GAP;
  for (int i = 0; i < M * K; i++) a[i] = (float)(i * 7 % 23) - 11;
  for (int i = 0; i < K * row; i++) b[i] = (float)(i * 5 % 19) - 9;
  for (int i = 0; i < (M + 2) * row; i++) c[i] = AROUND;
  float *out = c + row + 1; /* aligned to nothing */
  v->block(&(cal_block){out, a, b, row, turned ? 1 : K, turned ? M : 1, row, M, N, K}, add);
  bool exact = true;
  for (int m = -1; m <= M; m++)
    for (int n = -1; n <= N + 1; n++) {
      double sum = AROUND;
      if (m >= 0 && m < M && n >= 0 && n < N) {
        if (!add) sum = 0;
        for (int k = 0; k < K; k++) sum += (double)a[turned ? k * M + m : m * K + k] * b[k * row + n];
      }
      exact = exact && (double)out[m * row + n] == sum;
    }
  return exact;
}

TEST(products_of_small_blocks_are_exact_at_every_size_and_write_nothing_else) {
  static const int sizes[][3] = {{1, 16, 1}, {1, 32, 64}, {3, 16, 5}, {4, 32, 8}, {7, 48, 9}, {9, 32, 20}, {13, 16, 70}, {64, 32, 33}};
  for (int level = 0; level < 3; level++) {
    const cal_vector *v = cal_vector_of(level);
    if (!v) continue;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
      for (int how = 0; how < 4; how++) {
        const int *s = sizes[i];
        if (block_is_exact(v, s[0], s[1], s[2], how & 1, how & 2)) continue;
        printf("  %s: [%d, %d] over %d, %s%s\n", v->name, s[0], s[1], s[2], how & 1 ? "added" : "new", how & 2 ? ", a turned" : "");
        test_failures++;
      }
  }
}

TEST(a_product_of_pairs_is_that_of_their_numbers) {
  const cal_vector_pairs *pairs = cal_vector_pairs_best();
  if (!pairs) SKIP("this processor has no products of bf16");
  enum { M = 13, K = 7, N = LANES }; /* K pairs */
  static float a[M][2 * K], b[2 * K][N], packed[K][N], c[M][N];
  uint16_t halves[2][M * K];
  float packed_a[M * K];
  for (int m = 0; m < M; m++)
    for (int k = 0; k < 2 * K; k++) {
      a[m][k] = (float)((m * 5 + k * 3) % 17) - 8;
      cal_numbers_to(CAL_BF16, &(double){a[m][k]}, 1, &halves[k % 2][m * K + k / 2]);
    }
  pairs->join(packed_a, halves[0], halves[1], M * K);
  for (int k = 0; k < 2 * K; k++)
    for (int n = 0; n < N; n++)
      b[k][n] = (float)((k * 7 + n) % 13) - 6 + (n == 3 ? 0.001f : 0); /* rounded away, where it is not 0.001 itself */
  for (int k = 0; k < K; k++) pairs->round(packed[k], b[2 * k], b[2 * k + 1], N);
  for (int add = 0; add < 2; add++) pairs->block(&(cal_block){c[0], packed_a, packed[0], N, K, 1, N, M, N, K}, add);
  for (int m = 0; m < M; m++)
    for (int n = 0; n < N; n++) {
      double sum = 0;
      for (int k = 0; k < 2 * K; k++) sum += (double)a[m][k] * ((k * 7 + n) % 13 - 6);
      if (n == 3 ? !(fabs(c[m][n] - 2 * sum) < 0.1) : c[m][n] != 2 * sum)
        printf("  %d, %d: %g for %g\n", m, n, c[m][n], 2 * sum), test_failures++;
    }
  pairs->round(packed[0], (const float[]){1.00390625f, NAN}, (const float[]){-INFINITY, 1.01171875f}, 2); /* ties go to even */
  uint32_t bits[2];
  memcpy(bits, packed[0], sizeof bits);
  CHECK(bits[0] == 0xff803f80u && bits[1] >> 16 == 0x3f82 && (bits[1] & 0x7fff) > 0x7f80);
}

/* A softmax over all keys, made in calls of some keys each, is the one in double: probabilities, sums, scales. Some scores are
 * masked, among them the whole first call of query 5. */
static double attend_error(const cal_vector *v, int rows, int calls, float spread) {
  enum { MOST = 4 * 64 };
  static float s[MOST * LANES], p[64 * LANES];
  static double acc[LANES];
  float top[LANES], sum[LANES] = {0}, scale[LANES];
  cal_random r = cal_random_seed(9, (uint64_t)rows);
  cal_random_normal_into(&r, s, (size_t)(rows * calls * LANES));
  for (int i = 0; i < rows * calls; i++)
    for (int l = 0; l < LANES; l++) {
      s[i * LANES + l] *= spread;
      if ((l == 5 && i < rows && calls > 1) || (l == 6 && i % 3 == 1)) s[i * LANES + l] = -INFINITY;
    }
  for (int l = 0; l < LANES; l++) top[l] = -INFINITY, acc[l] = 0;
  for (int call = 0; call < calls; call++) {
    memcpy(p, s + call * rows * LANES, (size_t)(rows * LANES) * sizeof *p);
    v->attend(p, rows, top, sum, scale);
    for (int l = 0; l < LANES; l++) acc[l] *= scale[l];
    for (int i = 0; i < rows; i++) /* as values 0, 1, 2 ... would be added up */
      for (int l = 0; l < LANES; l++) acc[l] += (double)p[i * LANES + l] * (call * rows + i);
  }
  double worst = 0;
  for (int l = 0; l < LANES; l++) {
    double largest = -INFINITY, total = 0, expected = 0;
    for (int i = 0; i < rows * calls; i++) largest = fmax(largest, s[i * LANES + l]);
    for (int i = 0; i < rows * calls; i++) {
      const double e = exp2(s[i * LANES + l] - largest);
      total += e, expected += e * i;
    }
    worst = fmax(worst, fabs(sum[l] / total - 1));
    worst = fmax(worst, fabs(acc[l] / sum[l] - expected / total) / (rows * calls));
    if (top[l] != (float)largest) worst = INFINITY;
  }
  return worst;
}

TEST(a_softmax_made_of_parts_is_the_whole_one) {
  static const int rows[] = {1, 2, 3, 4, 7, 30, 64};
  for (int level = 0; level < 3; level++) {
    const cal_vector *v = cal_vector_of(level);
    if (!v) continue;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
      for (int calls = 1; calls <= 4; calls++) {
        CHECK(attend_error(v, rows[i], calls, 1) < 1e-6);
        CHECK(attend_error(v, rows[i], calls, 300) < 1e-6); /* most become 0 */
      }
  }
}

TEST(a_query_that_sees_nothing_or_not_a_number_is_told_apart_from_its_neighbours) {
  for (int level = 0; level < 3; level++) {
    const cal_vector *v = cal_vector_of(level);
    if (!v) continue;
    for (int row = 0; row < 5; row++) { /* wherever it is among five: a maximum must not lose it */
      float s[5 * LANES], top[LANES], sum[LANES] = {0}, scale[LANES];
      for (int i = 0; i < 5 * LANES; i++) s[i] = i % LANES == 1 ? -INFINITY : 3;
      for (int l = 0; l < LANES; l++) top[l] = -INFINITY;
      s[row * LANES + 2] = NAN;
      s[row * LANES + 3] = INFINITY;
      v->attend(s, 5, top, sum, scale);
      CHECK(s[0] == 1 && sum[0] == 5 && top[0] == 3);
      CHECK(s[1] == 0 && sum[1] == 0 && top[1] == -INFINITY);
      CHECK(isnan(sum[2]) && isnan(sum[3]));
      CHECK(sum[4] == 5 && scale[4] == 0);
    }
  }
}

TEST(probabilities_made_again_and_their_gradients_are_those_in_double) {
  enum { ROWS = 6 };
  static const int keys[ROWS] = {LANES, 31, 17, 1, 0, -3};
  for (int level = 0; level < 3; level++) {
    const cal_vector *v = cal_vector_of(level);
    if (!v) continue;
    float s[ROWS * LANES], dp[ROWS * LANES], p[ROWS * LANES], ds[ROWS * LANES], lse[ROWS], inner[ROWS];
    cal_random r = cal_random_seed(11, 0);
    cal_random_normal_into(&r, s, ROWS * LANES);
    cal_random_normal_into(&r, dp, ROWS * LANES);
    cal_random_normal_into(&r, inner, ROWS);
    for (int i = 0; i < ROWS; i++) lse[i] = 6 + (float)i;
    s[3] = -1e6f, s[LANES] = NAN, s[3 * LANES + 1] = NAN; /* 0; not a number; masked */
    memcpy(p, s, sizeof p), memcpy(ds, dp, sizeof ds);
    v->attend_back(p, ds, ROWS, 0.7f, lse, inner, keys);
    for (int i = 0; i < ROWS; i++)
      for (int l = 0; l < LANES; l++) {
        const int at = i * LANES + l;
        const double expected = exp2((double)s[at] * 0.7f - lse[i]);
        if (l >= keys[i]) CHECK(p[at] == 0 && ds[at] == 0);
        else if (isnan(s[at])) CHECK(isnan(p[at]) && isnan(ds[at]));
        else {
          CHECK(fabs(p[at] - expected) <= 1e-6 * expected);
          CHECK(fabs(ds[at] - expected * ((double)dp[at] - inner[i])) <= 2e-6 * expected * (1 + fabs(dp[at]) + fabs(inner[i])));
        }
      }
  }
}

TEST_MAIN()
