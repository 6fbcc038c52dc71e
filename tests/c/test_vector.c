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

TEST_MAIN()
