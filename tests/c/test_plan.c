/* test_plan.c - a schedule on a device: training steps against the host's loops, the same bits twice, and every refusal. */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bind/embedded.h"
#include "core/base/interrupt.h"
#include "core/base/memory.h"
#include "core/base/random.h"
#include "core/cl/plan.h"
#include "core/graph/reference.h"
#include "test.h"

#define SHAPE(...) cal_shape_of((int)(sizeof((int64_t[]){__VA_ARGS__}) / 8), (int64_t[]){__VA_ARGS__})

static cal_context *device(void) {
  static cal_context *c;
  static bool tried;
  if (!tried) {
    tried = true;
    cal_error err = {0};
    c = cal_context_open(&(cal_context_options){.find = cal_embedded_find}, &err);
    if (!c) printf("  %s\n", err.text);
  }
  return c;
}
static void close_device(void) __attribute__((destructor));
static void close_device(void) { cal_context_close(device()); }

#define DEVICE(c)            \
  cal_context *c = device(); \
  if (!c) SKIP("needs an OpenCL device")

static bool starts(const char *text, const char *with) { return !strncmp(text, with, strlen(with)); }

/* In a process of its own, which opens oneDNN as on a CPU with AVX2 and no more; the first test: no thread runs yet. */
TEST(bf16_is_oneDNNs_work_too_on_a_CPU_that_has_none) {
  enum { SKIPPED = 40 };
  fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    setenv("ONEDNN_MAX_CPU_ISA", "AVX2", 1);
    cal_error err = {0};
    cal_context *c = device();
    if (!c || !c->native) _exit(SKIPPED);
    cal_graph *g = cal_graph_new();
    enum { SIDE = 64 };
    cal_value x = cal_graph_input(g, "x", CAL_BF16, SHAPE(1, SIDE, SIDE, 8)), w = cal_graph_weight(g, "w", CAL_BF16, SHAPE(16, 8)),
              k = cal_graph_weight(g, "k", CAL_BF16, SHAPE(8, 3, 3, 8));
    cal_graph_output(g, CAL_SAMPLE, cal_linear(g, x, w, 0));
    cal_graph_output(g, CAL_SAMPLE, cal_conv2d(g, x, k, (cal_conv){1, 1, 1, 1, 1}));
    cal_schedule *s = cal_schedule_new(g, NULL, &err);
    cal_plan *p = s ? cal_plan_new(c, s, NULL, &err) : NULL;
    int done = 0;
    for (int i = 0; p && i < s->segment[CAL_SAMPLE].steps; i++) done += !strcmp(cal_plan_choice(p, CAL_SAMPLE, i), "onednn");
    bool good = p && done == 2 && !cal_plan_run(p, CAL_SAMPLE, &err);
    if (!good) printf("  %d of 2 by onednn: %s\n", done, err.text), fflush(stdout);
    _exit(good ? 0 : 1);
  }
  int status = -1;
  CHECK(child > 0 && waitpid(child, &status, 0) == child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED) SKIP("needs a CPU device with native functions");
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* A small picture network with everything a training step has: convolution, norm, attention, loss, gradients that are added
 * up, AdamW on the flat buffers, and no update when the gradient is not finite. */
enum { INPUT = 2 * 6 * 6 * 3, TARGET = 2 * 36 * 8 };

typedef struct {
  cal_graph *g;
  cal_value x, target, rate, loss, frozen;
  cal_value parameter[5];
} network;

static cal_value parameter(network *n, int index, cal_shape s) {
  char name[16];
  snprintf(name, sizeof name, "p%d", index);
  return n->parameter[index] = cal_graph_state(n->g, name, CAL_F32, s, CAL_PARAMETERS);
}

static network new_network_of(int64_t B);
static network new_network(void) { return new_network_of(2); }

static network new_network_of(int64_t B) {
  network n = {.g = cal_graph_new()};
  cal_graph *g = n.g;
  cal_graph_enter(g, "net");
  n.x = cal_graph_input(g, "x", CAL_F32, SHAPE(B, 6, 6, 3));
  n.target = cal_graph_input(g, "target", CAL_F32, SHAPE(B, 36, 8));
  n.rate = cal_graph_input(g, "rate", CAL_F32, (cal_shape){0});
  n.frozen = cal_graph_weight(g, "frozen", CAL_F16, SHAPE(8, 8));
  cal_value w1 = parameter(&n, 0, SHAPE(8, 3, 3, 3)), gamma = parameter(&n, 1, SHAPE(8)), beta = parameter(&n, 2, SHAPE(8)),
            wq = parameter(&n, 3, SHAPE(8, 8)), w2 = parameter(&n, 4, SHAPE(8, 8));
  cal_value h = cal_conv2d(g, n.x, w1, (cal_conv){1, 1, 1, 1, 1});
  h = cal_elementwise(g, "silu", cal_norm(g, h, 4, 1e-5, gamma, beta), 0, 0, 0);
  cal_value tokens = cal_reshape(g, h, SHAPE(B, 36, 8));
  cal_value q = cal_reshape(g, cal_linear(g, tokens, wq, 0), SHAPE(B, 36, 2, 4));
  cal_value k = cal_reshape(g, cal_linear(g, tokens, cal_cast(g, n.frozen, CAL_F32), 0), SHAPE(B, 36, 2, 4));
  cal_value seen = cal_reshape(g, cal_attention(g, q, k, k, 0.5, false), SHAPE(B, 36, 8));
  cal_value y = cal_add(g, tokens, cal_linear(g, seen, w2, 0));
  n.loss = cal_mean(g, cal_square(g, cal_sub(g, y, n.target)));
  cal_value d[5];
  cal_graph_differentiate(g, n.loss, n.parameter, 5, d);
  for (int i = 0; i < 5; i++) cal_graph_store(g, CAL_ACCUMULATE, cal_graph_mirror(g, n.parameter[i], CAL_GRADIENTS), d[i], true);
  cal_graph_output(g, CAL_ACCUMULATE, n.loss);
  /* AdamW on everything at once; NaN anywhere and nothing moves. */
  cal_value p = cal_graph_flat(g, CAL_PARAMETERS), grad = cal_graph_flat(g, CAL_GRADIENTS), m = cal_graph_flat(g, CAL_MOMENT_1),
            v = cal_graph_flat(g, CAL_MOMENT_2);
  cal_value good = cal_elementwise(g, "finite", cal_sum(g, cal_square(g, grad), 1), 0, 0, 0);
  cal_value m1 = cal_add(g, cal_scale(g, m, 0.9), cal_scale(g, grad, 0.1)),
            v1 = cal_add(g, cal_scale(g, v, 0.99), cal_scale(g, cal_square(g, grad), 0.01));
  cal_value step = cal_mul(g, cal_div(g, m1, cal_elementwise(g, "add_k", cal_elementwise(g, "sqrt", v1, 0, 0, 0), 0, 0, 1e-3)), n.rate);
  cal_graph_store(g, CAL_APPLY, p, cal_elementwise(g, "select", good, cal_sub(g, p, step), p, 0), false);
  cal_graph_store(g, CAL_APPLY, m, cal_elementwise(g, "select", good, m1, m, 0), false);
  cal_graph_store(g, CAL_APPLY, v, cal_elementwise(g, "select", good, v1, v, 0), false);
  cal_graph_store(g, CAL_APPLY, grad, cal_scale(g, cal_graph_flat(g, CAL_PARAMETERS), 0), false);
  cal_graph_leave(g);
  return n;
}

static void random_floats(float *out, int64_t count, uint64_t stream, float scale) {
  cal_random r = cal_random_seed(7, stream);
  cal_random_normal_into(&r, out, (size_t)count);
  for (int64_t i = 0; i < count; i++) out[i] *= scale;
}

typedef struct {
  cal_schedule *s;
  cal_plan *p;
} made;

static made make(cal_context *c, const network *n, const cal_plan_options *options, cal_error *err) {
  made m = {cal_schedule_new(n->g, &(cal_schedule_options){.largest_chunk = (int64_t)c->largest_buffer}, err), NULL};
  if (m.s) m.p = cal_plan_new(c, m.s, options, err);
  return m;
}

static void drop(made m) {
  cal_plan_free(m.p);
  cal_schedule_free(m.s);
}

static void set_weights(cal_plan *p, const network *n) {
  cal_error err = {0};
  float numbers[8 * 27];
  for (int i = 0; i < 5; i++) {
    int64_t count = cal_shape_count(cal_graph_shape(n->g, n->parameter[i]));
    random_floats(numbers, count, (uint64_t)i, i == 1 ? 1.0f : 0.3f);
    CHECK(!cal_plan_write(p, n->parameter[i], numbers, (size_t)count * 4, &err));
  }
  uint16_t half[64];
  random_floats(numbers, 64, 9, 0.5f);
  for (int i = 0; i < 64; i++) half[i] = cal_f16_of(numbers[i]);
  CHECK(!cal_plan_write_part(p, n->frozen, 0, half, 64, &err)); /* in two pieces, as a file is read */
  CHECK(!cal_plan_write_part(p, n->frozen, 64, half + 32, 64, &err));
}

static void step(cal_plan *p, const network *n, int number, float *loss) {
  cal_error err = {0};
  float x[INPUT], target[TARGET], rate = 0.01f;
  random_floats(x, INPUT, (uint64_t)(100 + number % 2), 1);
  random_floats(target, TARGET, (uint64_t)(200 + number % 2), 0.5f);
  CHECK(!cal_plan_write(p, n->x, x, sizeof x, &err) && !cal_plan_write(p, n->target, target, sizeof target, &err) &&
        !cal_plan_write(p, n->rate, &rate, sizeof rate, &err));
  if (cal_plan_run(p, CAL_ACCUMULATE, &err) || cal_plan_fetch(p, n->loss, loss, sizeof *loss, &err) || cal_plan_run(p, CAL_APPLY, &err)) {
    printf("  %s\n", err.text);
    test_failures++;
  }
}

static void train_against_the_host(cal_context *c, const char *candidate) {
  enum { STEPS = 6 };
  cal_error err = {0};
  network n = new_network();
  CHECK_TEXT(cal_graph_error(n.g)->text, "");
  made m = make(c, &n, &(cal_plan_options){.candidate = candidate, .or_portable = candidate != NULL}, &err);
  if (!m.p) printf("  %s\n", err.text);
  CHECK(m.p != NULL);
  if (!m.p) return;
  set_weights(m.p, &n);
  float losses[STEPS];
  for (int i = 0; i < STEPS; i++) step(m.p, &n, i, &losses[i]);
  CHECK(!cal_plan_finish(m.p, &err));
  cal_reference *ref = cal_reference_new(n.g, CAL_IN_DOUBLE, &err);
  for (int i = 0; i < 6; i++) {
    float numbers[8 * 27];
    double wide[8 * 27];
    cal_value v = i < 5 ? n.parameter[i] : n.frozen;
    int64_t count = cal_shape_count(cal_graph_shape(n.g, v));
    random_floats(numbers, count, i < 5 ? (uint64_t)i : 9, i == 1 ? 1.0f : i < 5 ? 0.3f : 0.5f);
    for (int64_t j = 0; j < count; j++) wide[j] = i < 5 ? numbers[j] : cal_f16_to_float(cal_f16_of(numbers[j]));
    CHECK(!cal_reference_set(ref, v, wide, &err));
  }
  double expected = 0, first = 0;
  for (int i = 0; i < STEPS; i++) {
    float x[INPUT], target[TARGET], rate = 0.01f;
    random_floats(x, INPUT, (uint64_t)(100 + i % 2), 1);
    random_floats(target, TARGET, (uint64_t)(200 + i % 2), 0.5f);
    cal_reference_set_bytes(ref, n.x, x, sizeof x, &err);
    cal_reference_set_bytes(ref, n.target, target, sizeof target, &err);
    cal_reference_set_bytes(ref, n.rate, &rate, sizeof rate, &err);
    CHECK(!cal_reference_run(ref, CAL_ACCUMULATE, &err) && !cal_reference_get(ref, n.loss, &expected, &err));
    CHECK(!cal_reference_run(ref, CAL_APPLY, &err));
    CHECK_NEAR(losses[i], expected, 1e-4 * fabs(expected));
    if (i == 0) first = expected;
  }
  CHECK(expected < 0.95 * first);
  for (int i = 0; i < 5; i++) {
    float seen[8 * 27];
    double wide[8 * 27], largest = 0;
    int64_t count = cal_shape_count(cal_graph_shape(n.g, n.parameter[i]));
    CHECK(!cal_plan_read(m.p, n.parameter[i], seen, (size_t)count * 4, &err) && !cal_reference_get(ref, n.parameter[i], wide, &err));
    for (int64_t j = 0; j < count; j++) largest = fmax(largest, fabs(wide[j]));
    for (int64_t j = 0; j < count; j++) CHECK_NEAR(seen[j], wide[j], 5e-4 * largest);
  }
  cal_reference_free(ref);
  drop(m);
  cal_graph_free(n.g);
}

TEST(a_training_step_by_portable_kernels_equals_the_loops_in_double) {
  DEVICE(c);
  train_against_the_host(c, "portable");
}

TEST(a_training_step_by_the_best_candidates_equals_the_loops_in_double) {
  DEVICE(c);
  train_against_the_host(c, NULL);
}

/* Everything the device holds after some steps. */
static void state_of(cal_plan *p, int64_t size, float *out) {
  cal_error err = {0};
  CHECK(!cal_plan_read_group(p, CAL_PARAMETERS, 0, size, out, &err) && !cal_plan_read_group(p, CAL_MOMENT_1, 0, size, out + size, &err) &&
        !cal_plan_read_group(p, CAL_MOMENT_2, 0, size, out + 2 * size, &err));
}

TEST(the_same_steps_give_the_same_bits_also_when_they_are_continued_elsewhere) {
  DEVICE(c);
  cal_error err = {0};
  network n = new_network();
  int64_t size = cal_graph_flat_size(n.g);
  float *whole = malloc((size_t)size * 12), *half = malloc((size_t)size * 12), *end = malloc((size_t)size * 12), loss[8], again[8];
  made a = make(c, &n, NULL, &err), b = make(c, &n, NULL, &err);
  CHECK(a.p && b.p);
  if (!a.p || !b.p) return;
  set_weights(a.p, &n);
  for (int i = 0; i < 4; i++) step(a.p, &n, i, &loss[i]);
  state_of(a.p, size, half);
  for (int i = 4; i < 8; i++) step(a.p, &n, i, &loss[i]);
  state_of(a.p, size, whole);
  set_weights(b.p, &n);
  CHECK(!cal_plan_write_group(b.p, CAL_PARAMETERS, 0, size, half, &err) &&
        !cal_plan_write_group(b.p, CAL_MOMENT_1, 0, size, half + size, &err) &&
        !cal_plan_write_group(b.p, CAL_MOMENT_2, 0, size, half + 2 * size, &err));
  for (int i = 4; i < 8; i++) step(b.p, &n, i, &again[i]);
  state_of(b.p, size, end);
  CHECK(!memcmp(whole, end, (size_t)size * 12));
  CHECK(!memcmp(loss + 4, again + 4, 4 * sizeof *loss));
  free(whole), free(half), free(end);
  drop(a), drop(b);
  cal_graph_free(n.g);
}

/* Candidates may keep a copy of a frozen weight in a form of their own. */
TEST(a_frozen_weight_that_is_written_again_is_seen) {
  DEVICE(c);
  enum { X = 5 * 6 * 7, LINEAR = 11 * 7, CONV = 9 * 3 * 3 * 7 };
  for (cal_dtype dtype = CAL_F32; dtype <= CAL_BF16; dtype++) {
    cal_error err = {0};
    cal_graph *g = cal_graph_new();
    cal_value x = cal_graph_input(g, "x", dtype, SHAPE(1, 5, 6, 7)), w = cal_graph_weight(g, "linear", dtype, SHAPE(11, 7)),
              k = cal_graph_weight(g, "conv", dtype, SHAPE(9, 3, 3, 7));
    cal_value out[2] = {cal_linear(g, x, w, 0), cal_conv2d(g, x, k, (cal_conv){1, 1, 1, 1, 1})};
    cal_graph_output(g, CAL_SAMPLE, out[0]), cal_graph_output(g, CAL_SAMPLE, out[1]);
    cal_schedule *s = cal_schedule_new(g, NULL, &err);
    cal_plan *p = s ? cal_plan_new(c, s, NULL, &err) : NULL;
    cal_reference *ref = cal_reference_new(g, CAL_IN_DOUBLE, &err);
    CHECK(p && ref);
    for (uint64_t round = 0; p && ref && round < 4; round++) {
      const cal_value from[3] = {x, w, k};
      for (int i = 0; i < 3; i++) {
        if (i && round == 1) continue; /* kept copies are used once */
        float numbers[CONV];
        double wide[CONV];
        uint32_t bytes[CONV];
        const int64_t count = cal_shape_count(cal_graph_shape(g, from[i]));
        random_floats(numbers, count, 50 + 10 * round + (uint64_t)i, 1);
        for (int64_t j = 0; j < count; j++) wide[j] = numbers[j];
        cal_numbers_to(dtype, wide, count, bytes);
        cal_numbers_of(dtype, bytes, count, wide);
        CHECK(!cal_plan_write(p, from[i], bytes, (size_t)count * cal_dtype_size(dtype), &err) &&
              !cal_reference_set(ref, from[i], wide, &err));
      }
      CHECK(!cal_plan_run(p, CAL_SAMPLE, &err) && !cal_reference_run(ref, CAL_SAMPLE, &err));
      for (int i = 0; i < 2; i++) {
        double seen[330], expected[330];
        uint32_t bytes[330];
        const int64_t count = cal_shape_count(cal_graph_shape(g, out[i]));
        CHECK(!cal_plan_read(p, out[i], bytes, (size_t)count * cal_dtype_size(dtype), &err) &&
              !cal_reference_get(ref, out[i], expected, &err));
        cal_numbers_of(dtype, bytes, count, seen);
        for (int64_t j = 0; j < count; j++) CHECK_NEAR(seen[j], expected[j], dtype == CAL_F32 ? 1e-4 : dtype == CAL_F16 ? 0.02 : 0.2);
      }
    }
    cal_reference_free(ref);
    cal_plan_free(p);
    cal_schedule_free(s);
    cal_graph_free(g);
  }
}

/* What oneDNN cannot multiply as it is stored is copied a few columns at a time: of a weight that two steps read no f32 copy is there, and
 * the numbers at the seams are right, whichever way the weight lies. */
TEST(a_large_weight_in_halves_takes_half_the_memory_in_any_number_of_steps) {
  DEVICE(c);
  enum { M = 3, K = 1000, N = 4201 }; /* 16.8 MB as f32 */
  size_t taken[3] = {0};
  for (cal_dtype dtype = CAL_F32; dtype <= CAL_BF16; dtype++) {
    cal_error err = {0};
    cal_graph *g = cal_graph_new();
    const cal_value in[3] = {cal_graph_input(g, "x", dtype, SHAPE(M, K)), cal_graph_weight(g, "rows", dtype, SHAPE(N, K)),
                             cal_graph_weight(g, "columns", dtype, SHAPE(K, N))};
    const cal_value out[3] = {cal_linear(g, in[0], in[1], 0), cal_matmul(g, in[0], in[2], 0),
                              cal_linear(g, cal_scale(g, in[0], 2), in[1], 0)};
    for (int i = 0; i < 3; i++) cal_graph_output(g, CAL_SAMPLE, out[i]);
    cal_schedule *s = cal_schedule_new(g, NULL, &err);
    const size_t before = cal_memory_in_use();
    cal_plan *p = s ? cal_plan_new(c, s, NULL, &err) : NULL;
    taken[dtype] = cal_memory_in_use() - before;
    cal_reference *ref = cal_reference_new(g, CAL_IN_DOUBLE, &err);
    double *wide = malloc(sizeof(double) * K * N), *expected = malloc(sizeof(double) * M * N);
    float *numbers = malloc(sizeof(float) * K * N);
    CHECK(p && ref && wide && expected && numbers);
    for (int i = 0; p && ref && i < 3; i++) {
      const int64_t count = cal_shape_count(cal_graph_shape(g, in[i]));
      random_floats(numbers, count, 90 + (uint64_t)i, 0.1);
      for (int64_t j = 0; j < count; j++) wide[j] = numbers[j];
      cal_numbers_to(dtype, wide, count, numbers);
      cal_numbers_of(dtype, numbers, count, wide);
      CHECK(!cal_plan_write(p, in[i], numbers, (size_t)count * cal_dtype_size(dtype), &err) && !cal_reference_set(ref, in[i], wide, &err));
    }
    CHECK(p && ref && !cal_plan_run(p, CAL_SAMPLE, &err) && !cal_reference_run(ref, CAL_SAMPLE, &err));
    for (int i = 0; p && ref && i < 3; i++) {
      CHECK(!cal_plan_read(p, out[i], numbers, (size_t)M * N * cal_dtype_size(dtype), &err) &&
            !cal_reference_get(ref, out[i], expected, &err));
      cal_numbers_of(dtype, numbers, (int64_t)M * N, wide);
      double worst = 0;
      for (int j = 0; j < M * N; j++) worst = fmax(worst, fabs(wide[j] - expected[j]));
      CHECK_NEAR(worst, 0, dtype == CAL_F32 ? 1e-5 : dtype == CAL_F16 ? 2e-3 : 1e-2);
    }
    free(wide), free(expected), free(numbers);
    cal_reference_free(ref);
    cal_plan_free(p);
    cal_schedule_free(s);
    cal_graph_free(g);
  }
  if (c->cpu) CHECK(taken[CAL_F16] < taken[CAL_F32] / 2 + (6 << 20) && taken[CAL_BF16] < taken[CAL_F32] / 2 + (6 << 20));
}

TEST(a_gradient_that_is_not_finite_changes_nothing_but_itself) {
  DEVICE(c);
  cal_error err = {0};
  network n = new_network();
  int64_t size = cal_graph_flat_size(n.g);
  float *before = malloc((size_t)size * 12), *after = malloc((size_t)size * 12), loss, bad = NAN;
  made m = make(c, &n, NULL, &err);
  CHECK(m.p != NULL);
  if (!m.p) return;
  set_weights(m.p, &n);
  step(m.p, &n, 0, &loss);
  state_of(m.p, size, before);
  CHECK(!cal_plan_write_group(m.p, CAL_GRADIENTS, 3, 1, &bad, &err));
  step(m.p, &n, 1, &loss);
  state_of(m.p, size, after);
  CHECK(!memcmp(before, after, (size_t)size * 12));
  step(m.p, &n, 2, &loss);
  state_of(m.p, size, after);
  CHECK(memcmp(before, after, (size_t)size * 12) != 0);
  for (int64_t i = 0; i < 3 * size; i++) CHECK(isfinite(after[i]));
  free(before), free(after);
  drop(m);
  cal_graph_free(n.g);
}

TEST(plans_of_other_sizes_share_weights_and_states_and_may_be_freed_in_any_order) {
  DEVICE(c);
  cal_error err = {0};
  network two = new_network(), one = new_network_of(1);
  made a = make(c, &two, NULL, &err), b = make(c, &one, &(cal_plan_options){.like = a.p}, &err);
  CHECK(a.p && b.p);
  if (!a.p || !b.p) return;
  set_weights(a.p, &two);
  float x[INPUT], target[TARGET], rate = 0.01f, seen, mean = 0, before = 0, after = 0;
  random_floats(x, INPUT, 100, 1);
  random_floats(target, TARGET, 200, 0.5f);
  for (int half = 0; half < 2; half++) { /* the loss of two pictures is the mean of the two losses */
    CHECK(!cal_plan_write(b.p, one.x, x + half * INPUT / 2, sizeof x / 2, &err) &&
          !cal_plan_write(b.p, one.target, target + half * TARGET / 2, sizeof target / 2, &err) &&
          !cal_plan_write(b.p, one.rate, &rate, 4, &err));
    CHECK(!cal_plan_run(b.p, CAL_ACCUMULATE, &err) && !cal_plan_read(b.p, one.loss, &seen, sizeof seen, &err));
    mean += seen / 2;
  }
  before = seen;
  float zeros[1024] = {0};
  CHECK(!cal_plan_write_group(b.p, CAL_GRADIENTS, 0, cal_graph_flat_size(one.g), zeros, &err));
  step(a.p, &two, 0, &seen);
  CHECK(!cal_plan_finish(a.p, &err));
  CHECK_NEAR(seen, mean, 1e-5 * fabs(mean));
  drop(a);
  CHECK(!cal_plan_run(b.p, CAL_ACCUMULATE, &err) && !cal_plan_read(b.p, one.loss, &after, sizeof after, &err));
  CHECK(isfinite(after) && after != before); /* what the other plan has learned */
  cal_graph *other = cal_graph_new();
  cal_value w = cal_graph_weight(other, "frozen", CAL_F32, SHAPE(8, 8));
  cal_graph_output(other, CAL_SAMPLE, cal_square(other, w));
  err = (cal_error){0};
  cal_schedule *s = cal_schedule_new(other, NULL, &err);
  CHECK(s && cal_plan_new(c, s, &(cal_plan_options){.like = b.p}, &err) == NULL && err.code == CAL_E_ARG);
  CHECK_TEXT(err.text, "plan: its weights or states are not those of the plan it should share them with");
  cal_schedule_free(s);
  cal_graph_free(other);
  drop(b);
  cal_graph_free(one.g), cal_graph_free(two.g);
}

TEST(what_is_asked_wrongly_is_refused_with_the_numbers) {
  DEVICE(c);
  cal_error err = {0};
  network n = new_network();
  made m = make(c, &n, NULL, &err);
  CHECK(m.p != NULL);
  if (!m.p) return;
  float numbers[8];
  CHECK(cal_plan_write(m.p, n.rate, numbers, 8, &err) == CAL_E_ARG);
  CHECK(cal_plan_write(m.p, n.x, numbers, 8, &err) == CAL_E_ARG);
  CHECK_TEXT(err.text, "plan: 8 bytes for a value of 864");
  CHECK(cal_plan_write_part(m.p, n.x, 860, numbers, 8, &err) == CAL_E_ARG);
  CHECK_TEXT(err.text, "plan: bytes 860 to 868 of f32 [2, 6, 6, 3], which has 864");
  CHECK(cal_plan_write_part(m.p, n.x, (size_t)-4, numbers, 8, &err) == CAL_E_ARG);
  CHECK(cal_plan_read(m.p, 12345, numbers, 8, &err) == CAL_E_NOTFOUND);
  CHECK(cal_plan_read_group(m.p, CAL_AVERAGE, 0, 1, numbers, &err) == CAL_E_NOTFOUND);
  CHECK(cal_plan_read_group(m.p, CAL_PARAMETERS, -1, 1, numbers, &err) == CAL_E_ARG);
  CHECK(cal_plan_read_group(m.p, CAL_PARAMETERS, INT64_MAX, INT64_MAX, numbers, &err) == CAL_E_ARG);
  CHECK(cal_plan_write_group(m.p, (cal_group)99, 0, 1, numbers, &err) == CAL_E_NOTFOUND);
  drop(m);
  err = (cal_error){0};
  m = make(c, &n, &(cal_plan_options){.candidate = "no such thing"}, &err);
  CHECK(!m.p && err.code == CAL_E_DEVICE && starts(err.text, "net: ") && strstr(err.text, "by no such thing"));
  drop(m);
  const uint64_t memory = c->memory;
  c->memory = 1000;
  err = (cal_error){0};
  m = make(c, &n, NULL, &err);
  c->memory = memory;
  CHECK(!m.p && err.code == CAL_E_LIMIT && starts(err.text, "plan: it needs ") &&
        strstr(err.text, "a smaller resolution, batch or rank needs less"));
  drop(m);
  cal_graph_free(n.g);
}

TEST(no_memory_at_any_point_of_making_a_plan_leaves_nothing_behind) {
  DEVICE(c);
  network n = new_network();
  cal_error err = {0};
  made warm = make(c, &n, NULL, &err); /* programs stay with the context */
  drop(warm);
  cal_schedule *s = cal_schedule_new(n.g, NULL, &err);
  const size_t before = cal_memory_in_use();
  long count = 0;
  for (; count < 2000; count += count < 40 ? 1 : 7) {
    cal_error why = {0};
    cal_memory_fail_after(count);
    cal_plan *p = cal_plan_new(c, s, NULL, &why);
    cal_memory_fail_after(-1);
    const bool done = p != NULL;
    cal_plan_free(p);
    CHECK(cal_memory_in_use() == before);
    if (done) break;
    CHECK(why.code == CAL_E_MEMORY && why.text[0]);
  }
  CHECK(count < 2000);
  cal_schedule_free(s);
  cal_graph_free(n.g);
}

TEST(the_second_interrupt_stops_inside_a_segment_and_the_plan_can_run_again) {
  DEVICE(c);
  cal_error err = {0};
  network n = new_network();
  made m = make(c, &n, NULL, &err);
  CHECK(m.p != NULL);
  if (!m.p) return;
  set_weights(m.p, &n);
  float loss = 0, clean = 0;
  step(m.p, &n, 0, &clean);
  CHECK(!cal_plan_finish(m.p, &err));
  set_weights(m.p, &n);
  cal_interrupt_raise();
  CHECK(!cal_plan_run(m.p, CAL_ACCUMULATE, &err)); /* the first one lets the step end */
  cal_interrupt_raise();
  CHECK(cal_plan_run(m.p, CAL_ACCUMULATE, &err) == CAL_E_INTERRUPT);
  cal_plan_finish(m.p, NULL);
  cal_interrupt_clear();
  step(m.p, &n, 0, &loss);
  CHECK(!cal_plan_finish(m.p, &err));
  CHECK(loss == clean);
  drop(m);
  cal_graph_free(n.g);
}

TEST(the_first_interrupt_stops_a_hasty_plan_which_can_run_again) {
  DEVICE(c);
  cal_error err = {0};
  network n = new_network();
  made m = make(c, &n, &(cal_plan_options){.hasty = true}, &err);
  CHECK(m.p != NULL);
  if (!m.p) return;
  set_weights(m.p, &n);
  float loss = 0, clean = 0;
  step(m.p, &n, 0, &clean);
  CHECK(!cal_plan_finish(m.p, &err));
  set_weights(m.p, &n);
  cal_interrupt_raise();
  CHECK(cal_plan_run(m.p, CAL_ACCUMULATE, &err) == CAL_E_INTERRUPT);
  cal_plan_finish(m.p, NULL);
  cal_interrupt_clear();
  step(m.p, &n, 0, &loss);
  CHECK(!cal_plan_finish(m.p, &err));
  CHECK(loss == clean);
  drop(m);
  cal_graph_free(n.g);
}

TEST(a_plan_on_a_cpu_is_few_calls_and_can_wait_after_each_step) {
  DEVICE(c);
  if (!c->native) SKIP("no native functions on this device");
  cal_error err = {0};
  network n = new_network();
  made m = make(c, &n, NULL, &err), each = make(c, &n, &(cal_plan_options){.wait_each = true}, &err);
  CHECK(m.p && each.p);
  if (!m.p || !each.p) return;
  cal_plan_size size = cal_plan_sizes(m.p), size_each = cal_plan_sizes(each.p);
  CHECK(size.steps[CAL_ACCUMULATE] > 20 && size.enqueues[CAL_ACCUMULATE] == 1);
  CHECK(size_each.enqueues[CAL_ACCUMULATE] >= size_each.steps[CAL_ACCUMULATE]);
  CHECK(size.arena > 0 && size.weights >= 128 && size.states > 0 && size.inputs >= 4 * (INPUT + TARGET + 1));
  float a = 0, b = 0;
  set_weights(m.p, &n), set_weights(each.p, &n);
  step(m.p, &n, 0, &a), step(each.p, &n, 0, &b);
  CHECK(!cal_plan_finish(m.p, &err) && !cal_plan_finish(each.p, &err) && a == b && a > 0);
  while (!cal_plan_fetched(m.p)) {
  }
  drop(m), drop(each);
  cal_graph_free(n.g);
}

/* One fused chain may write over what another of its outputs still has to read: states that change places, and a value that is
 * used up here while a cast of it is kept. */
static void overwritten_chain(cal_context *c, const char *candidate, bool mixed) {
  enum { COUNT = 3000 }; /* some blocks, the last one not full */
  cal_error err = {0};
  cal_graph *g = cal_graph_new();
  cal_value state[3];
  for (int i = 0; i < 3; i++) state[i] = cal_graph_state(g, i == 0 ? "a" : i == 1 ? "b" : "c", CAL_F32, SHAPE(COUNT), CAL_NO_GROUP);
  for (int i = 0; i < 3; i++) cal_graph_store(g, CAL_APPLY, state[i], state[(i + 1) % 3], false);
  cal_value sum = cal_add(g, state[0], state[1]);
  if (mixed) cal_graph_output(g, CAL_APPLY, sum);
  cal_schedule *s = cal_schedule_new(g, NULL, &err);
  cal_plan *p = s ? cal_plan_new(c, s, &(cal_plan_options){.candidate = candidate}, &err) : NULL;
  CHECK(p && s->segment[CAL_APPLY].steps == 1); /* or this test says nothing */
  float numbers[3][COUNT], seen[COUNT];
  for (int i = 0; p && i < 3; i++) {
    random_floats(numbers[i], COUNT, (uint64_t)i, 1);
    CHECK(!cal_plan_write(p, state[i], numbers[i], sizeof numbers[i], &err));
  }
  CHECK(p && !cal_plan_run(p, CAL_APPLY, &err));
  for (int i = 0; p && i < 3; i++)
    CHECK(!cal_plan_read(p, state[i], seen, sizeof seen, &err) && !memcmp(seen, numbers[(i + 1) % 3], sizeof seen));
  if (p && mixed) {
    CHECK(!cal_plan_read(p, sum, seen, sizeof seen, &err));
    for (int i = 0; i < COUNT; i++) CHECK_NEAR(seen[i], numbers[0][i] + numbers[1][i], 0);
  }
  cal_plan_free(p);
  cal_schedule_free(s);
  cal_graph_free(g);
}

TEST(states_that_change_places_in_one_chain_do) {
  DEVICE(c);
  for (int mixed = 0; mixed < 2; mixed++) {
    overwritten_chain(c, NULL, mixed);
    overwritten_chain(c, "portable", mixed);
  }
}

TEST(a_cast_is_of_the_value_that_was_there_before_the_chain_wrote_over_it) {
  DEVICE(c);
  enum { ROWS = 600, WIDTH = 4, COUNT = ROWS * WIDTH };
  int wrong = 0;
  cal_error err = {0};
  cal_graph *g = cal_graph_new();
  cal_value in = cal_graph_input(g, "in", CAL_F32, SHAPE(ROWS, WIDTH)), x = cal_softmax(g, in);
  cal_value twice = cal_scale(g, x, 2), half = cal_cast(g, x, CAL_F16);
  cal_graph_output(g, CAL_SAMPLE, twice), cal_graph_output(g, CAL_SAMPLE, half);
  cal_schedule *s = cal_schedule_new(g, NULL, &err);
  cal_plan *p = s ? cal_plan_new(c, s, NULL, &err) : NULL;
  CHECK(p && s->segment[CAL_SAMPLE].steps == 2);
  float numbers[COUNT], doubled[COUNT];
  uint16_t cast[COUNT];
  random_floats(numbers, COUNT, 1, 1);
  CHECK(p && !cal_plan_write(p, in, numbers, sizeof numbers, &err) && !cal_plan_run(p, CAL_SAMPLE, &err) &&
        !cal_plan_read(p, twice, doubled, sizeof doubled, &err) && !cal_plan_read(p, half, cast, sizeof cast, &err));
  for (int i = 0; p && i < COUNT; i++) wrong += cast[i] != cal_f16_of(doubled[i] / 2);
  CHECK(wrong == 0);
  cal_plan_free(p);
  cal_schedule_free(s);
  cal_graph_free(g);
}

/* ---- attention -------------------------------------------------------------------------------------------------------- */

typedef struct {
  int64_t B, Tq, Tk, H, D, E;
  bool causal, views; /* views: q, k and v are parts of wider tokens, k turned, and d is one number repeated */
} attended;

enum { ATTENDED = 4 }; /* y, dq, dk, dv */

typedef struct {
  cal_graph *g;
  cal_schedule *s;
  cal_plan *p;
  cal_value in[4], out[ATTENDED];
  int ops; /* nodes that are attention as one op, or its gradient */
} attending;

static attending attend(cal_context *c, const attended *a, cal_dtype dtype, int64_t widest, cal_error *err) {
  attending t = {.g = cal_graph_new()};
  cal_graph *g = t.g;
  cal_graph_fuse_attention(g, widest);
  const int64_t H = a->H, more = a->views ? 5 : 0;
  const cal_shape shapes[4] = {SHAPE(a->B, a->Tq, H, a->D + more),
                               a->views ? SHAPE(a->B, H, a->D + more, a->Tk) : SHAPE(a->B, a->Tk, H, a->D),
                               SHAPE(a->B, a->Tk, H, a->E + more), SHAPE(a->B, a->Tq, H, a->E)};
  cal_value use[4];
  for (int i = 0; i < 4; i++) use[i] = t.in[i] = cal_graph_input(g, (const char *[]){"q", "k", "v", "d"}[i], dtype, shapes[i]);
  if (a->views) {
    use[0] = cal_slice(g, use[0], 3, 2, a->D);
    use[1] = cal_permute(g, cal_slice(g, use[1], 2, 1, a->D), (int[]){0, 3, 1, 2});
    use[2] = cal_slice(g, use[2], 3, 4, a->E);
  }
  t.out[0] = cal_attention(g, use[0], use[1], use[2], 0.3, a->causal);
  cal_value loss = cal_sum(g, a->views ? t.out[0] : cal_mul(g, t.out[0], use[3]), 15);
  CHECK(cal_graph_differentiate(g, cal_reshape(g, cal_cast(g, loss, CAL_F32), cal_shape_of(0, NULL)), t.in, 3, t.out + 1));
  for (int i = 0; i < ATTENDED; i++) cal_graph_output(g, CAL_SAMPLE, t.out[i]);
  t.s = cal_schedule_new(g, &(cal_schedule_options){.largest_chunk = (int64_t)c->largest_buffer}, err);
  t.p = t.s ? cal_plan_new(c, t.s, NULL, err) : NULL;
  for (int i = 0; t.p && i < t.s->segment[CAL_SAMPLE].steps; i++) {
    const cal_step *step = &t.s->segment[CAL_SAMPLE].step[i];
    if (step->kind != CAL_STEP_NODE || !starts(step->op->name, "attention")) continue;
    t.ops++;
    CHECK_TEXT(cal_plan_choice(t.p, CAL_SAMPLE, i), c->native ? "native" : "portable");
  }
  return t;
}

static void end_attending(attending *t) {
  cal_plan_free(t->p);
  cal_schedule_free(t->s);
  cal_graph_free(t->g);
}

static void numbers_of_input(const attending *t, int index, double *out) {
  float x[1];
  cal_random r = cal_random_seed(21, (uint64_t)index);
  const int64_t count = cal_shape_count(cal_graph_shape(t->g, t->in[index]));
  for (int64_t i = 0; i < count; i++) cal_random_normal_into(&r, x, 1), out[i] = x[0];
}

/* What came out; the caller frees it. */
static double *attended_numbers(attending *t, int output, cal_error *err) {
  const cal_value_info *info = cal_graph_info(t->g, t->out[output]);
  const int64_t count = cal_shape_count(info->shape);
  const size_t size = cal_dtype_size(info->dtype);
  double *numbers = malloc((size_t)count * sizeof *numbers);
  unsigned char *bytes = malloc((size_t)count * size);
  CHECK(!cal_plan_read(t->p, t->out[output], bytes, (size_t)count * size, err));
  cal_numbers_of(info->dtype, bytes, count, numbers);
  free(bytes);
  return numbers;
}

static void run_attending(attending *t, cal_error *err) {
  for (int i = 0; i < 4; i++) {
    if (!cal_schedule_place(t->s, t->in[i])) continue;
    const cal_value_info *info = cal_graph_info(t->g, t->in[i]);
    const int64_t count = cal_shape_count(info->shape);
    double *numbers = malloc((size_t)count * sizeof *numbers);
    unsigned char *bytes = malloc((size_t)count * 4);
    numbers_of_input(t, i, numbers);
    cal_numbers_to(info->dtype, numbers, count, bytes);
    CHECK(!cal_plan_write(t->p, t->in[i], bytes, (size_t)count * cal_dtype_size(info->dtype), err));
    free(numbers), free(bytes);
  }
  CHECK(!cal_plan_run(t->p, CAL_SAMPLE, err));
}

TEST(attention_as_one_op_is_the_composed_one_forward_and_backward) {
  DEVICE(c);
  if (!c->native) SKIP("no native functions on this device");
  static const attended shapes[] = {{1, 1, 1, 1, 1, 1, false, false},     {2, 31, 65, 3, 5, 7, false, false},
                                    {1, 33, 64, 2, 8, 8, false, true},    {2, 64, 64, 2, 40, 40, true, false},
                                    {1, 65, 65, 3, 24, 24, true, true},   {1, 32, 129, 2, 20, 12, true, false},
                                    {3, 100, 77, 2, 16, 16, false, true}, {1, 3, 200, 1, 17, 33, true, false},
                                    {1, 200, 3, 2, 4, 4, false, false},   {1, 70, 70, 1, 80, 80, true, true}};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
    for (cal_dtype dtype = CAL_F32; dtype <= CAL_BF16; dtype++) {
      cal_error err = {0};
      const attended *a = &shapes[i];
      attending one = attend(c, a, dtype, a->D, &err), composed = attend(c, a, dtype, a->D - 1, &err);
      CHECK(one.p && composed.p && one.ops == 2 && composed.ops == 0);
      if (one.p && composed.p) run_attending(&one, &err), run_attending(&composed, &err);
      for (int k = 0; one.p && composed.p && k < ATTENDED; k++) {
        double *x = attended_numbers(&one, k, &err), *y = attended_numbers(&composed, k, &err), largest = 0, worst = 0;
        for (int64_t j = 0; j < cal_shape_count(cal_graph_shape(one.g, one.out[k])); j++) {
          largest = fmax(largest, fabs(y[j]));
          worst = isnan(x[j]) ? INFINITY : fmax(worst, fabs(x[j] - y[j]));
        }
        /* Halves: the composed one rounds its scores and probabilities, up to 8 bits. */
        const double room = dtype == CAL_F32 ? 2e-5 : dtype == CAL_F16 ? 4e-3 : 4e-2;
        if (!(worst <= room * fmax(largest, 0.1))) {
          printf("  shape %zu, %s, output %d: off by %.3g of %.3g\n", i, cal_dtype_name(dtype), k, worst, largest);
          test_failures++;
        }
        free(x), free(y);
      }
      end_attending(&one), end_attending(&composed);
    }
}

TEST(attention_gives_the_same_bits_whatever_the_number_of_threads) {
  DEVICE(c);
  if (!c->native) SKIP("no native functions on this device");
  static const attended a = {2, 150, 170, 3, 20, 20, true, false};
  const char *wish = getenv("CALOTYPE_THREADS");
  char *before = wish ? strdup(wish) : NULL;
  double *numbers[3][ATTENDED];
  int64_t counts[ATTENDED] = {0};
  for (int i = 0; i < 3; i++) {
    cal_error err = {0};
    setenv("CALOTYPE_THREADS", (const char *[]){"1", "2", "7"}[i], 1);
    attending t = attend(c, &a, CAL_F16, 64, &err);
    CHECK(t.p);
    run_attending(&t, &err);
    for (int k = 0; k < ATTENDED; k++) {
      numbers[i][k] = attended_numbers(&t, k, &err);
      counts[k] = cal_shape_count(cal_graph_shape(t.g, t.out[k]));
    }
    end_attending(&t);
  }
  for (int k = 0; k < ATTENDED; k++) {
    for (int i = 1; i < 3; i++) CHECK(!memcmp(numbers[0][k], numbers[i][k], (size_t)counts[k] * sizeof(double)));
    for (int i = 0; i < 3; i++) free(numbers[i][k]);
  }
  if (before) setenv("CALOTYPE_THREADS", before, 1);
  else unsetenv("CALOTYPE_THREADS");
  free(before);
}

TEST(what_steps_work_in_counts_as_memory) {
  DEVICE(c);
  if (!c->native) SKIP("no native functions on this device");
  cal_error err = {0};
  static const attended a = {1, 300, 300, 2, 16, 16, false, false};
  attending t = attend(c, &a, CAL_F16, 64, &err);
  CHECK(t.p);
  const cal_plan_size size = cal_plan_sizes(t.p);
  CHECK(size.scratch >= 300 * (16 + 16 + 16) * 4); /* q, d and dq as floats */
  end_attending(&t);
  const int64_t without = size.arena + size.weights + size.states + size.inputs + size.constants;
  const uint64_t memory = c->memory;
  for (int enough = 0; enough < 2; enough++) {
    c->memory = (uint64_t)(without + size.scratch) - (enough ? 0 : 1);
    err = (cal_error){0};
    t = attend(c, &a, CAL_F16, 64, &err);
    CHECK(enough ? t.p != NULL : !t.p && err.code == CAL_E_LIMIT && starts(err.text, "plan: it needs "));
    end_attending(&t);
  }
  c->memory = memory;
}

TEST_MAIN()
