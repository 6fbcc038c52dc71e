/* test_ops.c - every op in every float dtype by every candidate of this device, against its loops in double.
 *
 * CALOTYPE_OPS=all tries them all (make test-ops); otherwise every 17th, so that make test stays short where kernels are compiled
 * for the first time. CALOTYPE_OPS=name tries those of one op. Inputs are rounded to their dtype before both sides see them, so
 * the tolerance is the op's own, or what the result's dtype can hold. */
#include <stdlib.h>

#include "bind/embedded.h"
#include "core/base/random.h"
#include "core/cl/native/vector.h"
#include "core/cl/plan.h"
#include "core/graph/reference.h"
#include "test.h"

enum { STRIDE = 17 };

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

/* The sample again with its float inputs in `dtype`. Statistics of norms stay f32: that is all they ever are. */
static cal_value again(const cal_graph *from, cal_value end, cal_dtype dtype, cal_graph *to) {
  int count = cal_graph_value_count(from);
  cal_value *map = calloc((size_t)count + 1, sizeof *map);
  for (cal_value v = 1; v <= count; v++) {
    const cal_value_info *info = cal_graph_info(from, v);
    cal_dtype type = info->dtype == CAL_F32 ? dtype : info->dtype;
    for (int n = 0; n < cal_graph_node_count(from); n++) {
      const cal_node *node = cal_graph_node(from, n);
      if (!strncmp(node->op->name, "norm_d", 6) && node->input[1] == v) type = CAL_F32;
    }
    if (info->source == CAL_INPUT) map[v] = cal_graph_input(to, info->name, type, info->shape);
    else if (info->source == CAL_CONSTANT) map[v] = cal_graph_constant(to, info->dtype, info->shape, info->data);
    else if (info->source == CAL_COMPUTED && info->output == 0) {
      const cal_node *node = cal_graph_node(from, info->node);
      cal_value in[CAL_MOST_INPUTS];
      for (int i = 0; i < node->inputs; i++) in[i] = map[node->input[i]];
      map[v] = cal_graph_add(to, node->op, in, node->inputs, &node->attr);
      const cal_value_info *made = map[v] ? cal_graph_info(to, map[v]) : NULL;
      for (int i = 1; made && i < node->outputs; i++) map[node->output[i]] = cal_graph_node(to, made->node)->output[i];
    }
  }
  cal_value result = map[end];
  free(map);
  return result;
}

static double room_of(cal_dtype dtype) { return dtype == CAL_F16 ? 1.0 / 1024 : dtype == CAL_BF16 ? 1.0 / 128 : 0; }

typedef struct {
  int tried, steps_taken;
} tally;

/* One sample, one dtype, one candidate. Says what is wrong with it; nothing when it is right. */
static void one(cal_context *c, const cal_op *op, int index, cal_dtype dtype, const char *candidate, tally *t) {
  cal_error err = {0};
  char label[128];
  snprintf(label, sizeof label, "%s, sample %d, %s, %s", op->name, index, cal_dtype_name(dtype), candidate);
  cal_graph *f32 = cal_graph_new(), *g = cal_graph_new();
  cal_value end = op->sample ? op->sample(f32, op, index) : 0, y = end ? again(f32, end, dtype, g) : 0;
  if (!y) {
    printf("  %s: %s\n", label, cal_graph_error(g)->text);
    test_failures++;
    cal_graph_free(f32), cal_graph_free(g);
    return;
  }
  const cal_value_info *made = cal_graph_info(g, y);
  const cal_node *node = made->source == CAL_COMPUTED ? cal_graph_node(g, made->node) : NULL;
  const int outputs = node ? node->outputs : 1;
  cal_value out[CAL_MOST_OUTPUTS] = {y};
  for (int i = 1; i < outputs; i++) out[i] = node->output[i];
  for (int i = 0; i < outputs; i++) cal_graph_output(g, CAL_SAMPLE, out[i]);
  cal_schedule *s = cal_schedule_new(g, &(cal_schedule_options){.largest_chunk = (int64_t)c->largest_buffer}, &err);
  const cal_plan_options options = {.candidate = candidate, .or_portable = false};
  cal_plan *p = s ? cal_plan_new(c, s, &options, &err) : NULL;
  cal_reference *ref = cal_reference_new(g, CAL_IN_DOUBLE, &err);
  if (!p && s && strcmp(candidate, "portable") != 0 && err.code == CAL_E_DEVICE) goto done; /* not for this candidate */
  t->tried++;
  if (!p || !ref) {
    printf("  %s: %s\n", label, err.text);
    test_failures++;
    goto done;
  }
  cal_random r = cal_random_seed(1234, (uint64_t)index);
  for (cal_value v = 1; v <= cal_graph_value_count(g); v++) {
    const cal_value_info *info = cal_graph_info(g, v);
    if (info->source != CAL_INPUT) continue;
    int64_t count = cal_shape_count(info->shape);
    double *numbers = malloc((size_t)count * sizeof *numbers);
    unsigned char *bytes = malloc((size_t)count * 4);
    for (int64_t i = 0; i < count; i++) {
      double u = cal_random_uniform(&r), sign = cal_random_below(&r, 2) ? 1 : -1;
      numbers[i] = op->domain == CAL_ANY ? 4 * u - 2 : op->domain == CAL_POSITIVE ? 0.3 + 2 * u : sign * (0.3 + 2 * u);
    }
    cal_numbers_to(info->dtype, numbers, count, bytes);
    cal_numbers_of(info->dtype, bytes, count, numbers);
    if (cal_schedule_place(s, v)) CHECK(!cal_plan_write(p, v, bytes, (size_t)count * cal_dtype_size(info->dtype), &err));
    CHECK(!cal_reference_set(ref, v, numbers, &err));
    free(numbers), free(bytes);
  }
  if (cal_reference_run(ref, CAL_SAMPLE, &err) || cal_plan_run(p, CAL_SAMPLE, &err)) {
    printf("  %s: %s\n", label, err.text);
    test_failures++;
    goto done;
  }
  for (int i = 0; i < outputs; i++) {
    const cal_value_info *info = cal_graph_info(g, out[i]);
    int64_t count = cal_shape_count(info->shape);
    double *expected = malloc((size_t)count * sizeof *expected), *seen = malloc((size_t)count * sizeof *seen), largest = 0, worst = 0;
    unsigned char *bytes = malloc((size_t)count * 4);
    if (cal_plan_read(p, out[i], bytes, (size_t)count * cal_dtype_size(info->dtype), &err) ||
        cal_reference_get(ref, out[i], expected, &err)) {
      printf("  %s: %s\n", label, err.text);
      test_failures++;
    } else {
      cal_numbers_of(info->dtype, bytes, count, seen);
      for (int64_t j = 0; j < count; j++) largest = fmax(largest, fabs(expected[j]));
      for (int64_t j = 0; j < count; j++)
        if (!(fabs(expected[j] - seen[j]) <= worst)) worst = isnan(seen[j]) && !isnan(expected[j]) ? INFINITY : fabs(expected[j] - seen[j]);
      double tolerance = fmax(op->tolerance, 1e-7) + room_of(info->dtype);
      if (!(worst <= tolerance * largest)) {
        printf("  %s: output %d is off by %.3g of %.3g, allowed %.3g (%s)\n", label, i, worst, largest, tolerance * largest,
               cal_plan_choice(p, CAL_SAMPLE, s->segment[CAL_SAMPLE].steps - 1));
        test_failures++;
      }
    }
    free(expected), free(seen), free(bytes);
  }
  t->steps_taken += s->segment[CAL_SAMPLE].steps;
done:
  cal_reference_free(ref);
  cal_plan_free(p);
  cal_schedule_free(s);
  cal_graph_free(f32), cal_graph_free(g);
}

static void all_by(const char *candidate) {
  cal_context *c = device();
  if (!c) SKIP("needs an OpenCL device");
  const char *wish = getenv("CALOTYPE_OPS");
  const bool whole = wish && strcmp(wish, "all") == 0;
  /* Kernels that PoCL must compile cost a second; native ones nothing. */
  const int stride = wish ? 1 : strcmp(candidate, "portable") == 0 ? STRIDE : 1;
  tally t = {0};
  int number = 0;
  for (int i = 0; cal_ops[i]; i++) {
    const cal_op *op = cal_ops[i];
    if (wish && !whole && strcmp(wish, op->name) != 0) continue;
    for (int index = 0;; index++) {
      cal_graph *g = cal_graph_new();
      cal_value v = op->sample ? op->sample(g, op, index) : 0;
      cal_graph_free(g);
      if (!v) break;
      for (cal_dtype dtype = CAL_F32; dtype <= CAL_BF16; dtype++)
        if (number++ % stride == 0) one(c, op, index, dtype, candidate, &t);
    }
  }
  if (getenv("CALOTYPE_OPS")) printf("  %s: %d of %d\n", candidate, t.tried, number);
  CHECK(t.tried > 0 || (wish && !whole) || !c->native);
}

TEST(portable_kernels_agree_with_the_loops_in_double) { all_by("portable"); }
TEST(a_driver_without_half_storage_gets_it_by_bits) {
  cal_context *c = device();
  if (!c) SKIP("needs an OpenCL device");
  const bool before = c->half_storage;
  tally t = {0};
  c->half_storage = false;
  one(c, cal_op_find("exp"), 4, CAL_F16, "portable", &t);
  one(c, cal_op_find("softmax"), 2, CAL_F16, "portable", &t);
  c->half_storage = before;
  CHECK(t.tried == 2);
}

TEST(native_functions_agree_with_the_loops_in_double) {
  if (device() && !device()->native) SKIP("no native functions on this device");
  all_by("native");
}
TEST(onednn_agrees_with_the_loops_in_double) {
  if (device() && !device()->native) SKIP("oneDNN is for CPU devices");
  all_by("onednn");
}
TEST(few_rows_agree_with_the_loops_in_double) {
  if (device() && (!device()->native || !cal_vector_of(1))) SKIP("products of a few rows are for CPUs with AVX2");
  all_by("few");
}
TEST(clblast_agrees_with_the_loops_in_double) {
  if (!getenv("CALOTYPE_OPS") && device() && device()->cpu) SKIP("CLBlast on a CPU takes long to compile; make test-ops tries it");
  all_by("clblast");
}

/* ---- what no record's samples cover: every order of axes, every set of them, three leading axes ------------------------ */

static bool agree(cal_context *c, cal_graph *g, cal_value x, cal_value w, cal_value y, const char *candidate) {
  cal_error err = {0};
  float bytes[2][720], seen[720];
  double numbers[720], expected[720], worst = 0;
  cal_graph_output(g, CAL_SAMPLE, y);
  cal_schedule *s = cal_schedule_new(g, NULL, &err);
  cal_plan *p = s ? cal_plan_new(c, s, &(cal_plan_options){.candidate = candidate, .or_portable = true}, &err) : NULL;
  cal_reference *ref = cal_reference_new(g, CAL_IN_DOUBLE, &err);
  const cal_value in[2] = {x, w};
  for (int i = 0; p && ref && i < (w ? 2 : 1); i++) {
    int64_t count = cal_shape_count(cal_graph_shape(g, in[i]));
    for (int64_t j = 0; j < count; j++) numbers[j] = bytes[i][j] = (float)((j * 7 + i) % 23) - 11;
    CHECK(!cal_plan_write(p, in[i], bytes[i], (size_t)count * 4, &err) && !cal_reference_set(ref, in[i], numbers, &err));
  }
  int64_t count = cal_shape_count(cal_graph_shape(g, y));
  bool good = p && ref && !cal_plan_run(p, CAL_SAMPLE, &err) && !cal_plan_read(p, y, seen, (size_t)count * 4, &err) &&
              !cal_reference_run(ref, CAL_SAMPLE, &err) && !cal_reference_get(ref, y, expected, &err);
  if (!good) printf("  %s\n", err.text);
  for (int64_t j = 0; good && j < count; j++) worst = fmax(worst, fabs(seen[j] - expected[j]));
  cal_reference_free(ref);
  cal_plan_free(p);
  cal_schedule_free(s);
  return good && worst == 0; /* small whole numbers */
}

static const char *const both[] = {"native", "portable"};

TEST(sums_over_any_axes_of_any_view_are_exact) {
  cal_context *c = device();
  if (!c) SKIP("needs an OpenCL device");
  for (int order = 0; order < 24; order++)
    for (unsigned axes = 1; axes < 16; axes++)
      for (int by = c->native ? 0 : 1; by < (order % 5 == 0 ? 2 : 1); by++) {
        int at[4] = {0, 1, 2, 3}, permutation[4], rest = order;
        for (int i = 0; i < 4; i++) {
          int pick = rest % (4 - i);
          rest /= 4 - i;
          permutation[i] = at[pick];
          for (int j = pick; j < 3; j++) at[j] = at[j + 1];
        }
        cal_graph *g = cal_graph_new();
        cal_value x = cal_graph_input(g, "x", CAL_F32, cal_shape_of(4, (int64_t[]){3, 4, 5, 8}));
        cal_value view = cal_permute(g, cal_slice(g, cal_slice(g, x, 3, 2, order % 2 ? 1 : 3), 1, 1, 2), permutation);
        if (!agree(c, g, x, 0, cal_sum(g, view, axes), both[by]))
          printf("  order %d, axes 0x%x, %s\n", order, axes, both[by]), test_failures++;
        cal_graph_free(g);
      }
}

TEST(copies_of_any_view_are_exact) {
  cal_context *c = device();
  if (!c) SKIP("needs an OpenCL device");
  static const int orders[][5] = {{0, 1, 2, 3, 4}, {4, 3, 2, 1, 0}, {1, 0, 4, 2, 3}, {2, 4, 0, 3, 1}, {0, 3, 1, 4, 2}};
  for (int order = 0; order < 5; order++)
    for (int by = c->native ? 0 : 1; by < 2; by++) {
      cal_graph *g = cal_graph_new();
      cal_value x = cal_graph_input(g, "x", CAL_F32, cal_shape_of(5, (int64_t[]){2, 3, 4, 5, 6}));
      cal_value view = cal_permute(g, cal_slice(g, x, 4, 1, 4), orders[order]);
      cal_value y = cal_concat(g,
                               (cal_value[]){cal_reshape(g, view, cal_shape_of(2, (int64_t[]){-1, 4})),
                                             cal_reshape(g, cal_scale(g, view, 2), cal_shape_of(2, (int64_t[]){-1, 4}))},
                               2, order % 2);
      y = cal_slice(g, y, 0, 0, 90);
      CHECK(agree(c, g, x, 0, cal_scale(g, y, 3), both[by]));
      cal_graph_free(g);
    }
}

TEST(products_repeat_any_of_three_leading_axes) {
  cal_context *c = device();
  if (!c) SKIP("needs an OpenCL device");
  static const char *const by[] = {"onednn", "portable", "clblast"};
  for (int mask = 0; mask < 64; mask++)
    for (int k = c->native ? 0 : 1; k < 2; k++) {
      int64_t a[5] = {mask & 1 ? 1 : 2, mask & 2 ? 1 : 3, mask & 4 ? 1 : 2, 3, 5},
              b[5] = {mask & 8 ? 1 : 2, mask & 16 ? 1 : 3, mask & 32 ? 1 : 2, 4, 5};
      cal_graph *g = cal_graph_new();
      cal_value x = cal_graph_input(g, "a", CAL_F32, cal_shape_of(5, a)), w = cal_graph_input(g, "b", CAL_F32, cal_shape_of(5, b));
      CHECK(agree(c, g, x, w, cal_matmul(g, x, w, CAL_TRANSPOSE_B), by[k]));
      cal_graph_free(g);
    }
}

/* Whether the processor has dot products of bf16. */
static bool has_bf16(void) {
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

/* The first of `rows` rows are those of a wider x, so that there are gaps between them; heads of the same x see matrices of their own. */
static bool few_rows(cal_context *c, cal_dtype dtype, bool by_row, int64_t heads, int64_t rows, int64_t columns, int64_t length,
                     bool *few) {
  cal_error err = {0};
  cal_graph *g = cal_graph_new();
  cal_value x = cal_graph_input(g, "x", dtype, cal_shape_of(3, (int64_t[]){rows, heads, length + 32})),
            w = cal_graph_input(g, "w", dtype, cal_shape_of(3, (int64_t[]){heads, by_row ? length : columns, by_row ? columns : length}));
  cal_value y = cal_matmul(g, cal_permute(g, cal_slice(g, x, 2, 32, length), (int[]){1, 0, 2}), w, by_row ? 0 : CAL_TRANSPOSE_B);
  cal_graph_output(g, CAL_SAMPLE, y);
  cal_schedule *s = cal_schedule_new(g, NULL, &err);
  cal_plan *p = s ? cal_plan_new(c, s, NULL, &err) : NULL;
  cal_reference *ref = cal_reference_new(g, CAL_IN_DOUBLE, &err);
  const int64_t most = heads * (rows * (length + 32) + columns * length + rows * columns);
  double *numbers = malloc((size_t)most * sizeof *numbers), *expected = malloc((size_t)most * sizeof *expected), worst = 0;
  unsigned char *bytes = malloc((size_t)most * 4);
  for (int i = 0; p && ref && i < 2; i++) {
    const cal_value in = i ? w : x;
    const int64_t count = cal_shape_count(cal_graph_shape(g, in));
    for (int64_t j = 0; j < count; j++) numbers[j] = (double)((j * j + 3 * j + i) % 7 % 3) - 1; /* sums that bf16 holds, too */
    cal_numbers_to(dtype, numbers, count, bytes);
    CHECK(!cal_plan_write(p, in, bytes, (size_t)count * cal_dtype_size(dtype), &err) && !cal_reference_set(ref, in, numbers, &err));
  }
  const int64_t count = heads * rows * columns;
  const bool good = p && ref && !cal_plan_run(p, CAL_SAMPLE, &err) &&
                    !cal_plan_read(p, y, bytes, (size_t)count * cal_dtype_size(dtype), &err) && !cal_reference_run(ref, CAL_SAMPLE, &err) &&
                    !cal_reference_get(ref, y, expected, &err);
  if (!good) printf("  %s\n", err.text);
  if (good) cal_numbers_of(dtype, bytes, count, numbers);
  for (int64_t j = 0; good && j < count; j++) worst = fmax(worst, fabs(numbers[j] - expected[j]));
  *few = false;
  for (int i = 0; good && i < s->segment[CAL_SAMPLE].steps; i++) *few = *few || !strcmp(cal_plan_choice(p, CAL_SAMPLE, i), "few");
  free(numbers), free(expected), free(bytes);
  cal_reference_free(ref);
  cal_plan_free(p);
  cal_schedule_free(s);
  cal_graph_free(g);
  return good && worst == 0;
}

TEST(products_of_few_rows_are_exact_whatever_their_number) {
  cal_context *c = device();
  if (!c) SKIP("needs an OpenCL device");
  const bool f32 = c->native && cal_vector_of(1), bf16 = c->native && has_bf16();
  for (int64_t rows = 1; rows <= 17; rows++)
    for (cal_dtype dtype = CAL_F32; dtype <= CAL_BF16; dtype += CAL_BF16 - CAL_F32)
      for (int64_t columns = 1; columns < 80; columns += rows % 3 ? 39 : 13) {
        bool few;
        CHECK(few_rows(c, dtype, false, rows % 4 + 1, rows, columns, (int64_t[]){96, 64, 40}[rows % 3], &few));
        CHECK(few == (rows <= 16 && (dtype == CAL_F32 ? f32 : bf16 && rows % 3 < 2))); /* whole vectors of 32 in bf16 */
      }
  bool few;
  CHECK(few_rows(c, CAL_F32, false, 1, 4, 3000, 40, &few)); /* enough for several pieces of work; whole vectors of 8 only */
  CHECK(few_rows(c, CAL_F32, false, 1, 4, 40, 33, &few) && !few);
  for (int64_t rows = 1; rows <= 16; rows++) CHECK(few_rows(c, CAL_BF16, true, 3, rows, 128, 20 + rows, &few) && few == bf16);
  CHECK(few_rows(c, CAL_BF16, true, 1, 4, 96, 20, &few) && !few);
}

TEST_MAIN()
