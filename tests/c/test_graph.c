#include <stdlib.h>

#include "core/base/memory.h"
#include "core/base/random.h"
#include "core/graph/interpret.h"
#include "core/graph/reference.h"
#include "core/graph/schedule.h"
#include "test.h"

#define SHAPE(...) cal_shape_of((int)(sizeof((int64_t[]){__VA_ARGS__}) / 8), (int64_t[]){__VA_ARGS__})

TEST(a_refusal_says_where_with_the_numbers_and_stays) {
  cal_graph *g = cal_graph_new();
  cal_graph_enter(g, "unet");
  cal_graph_enter(g, "down.1");
  cal_value x = cal_graph_input(g, "x", CAL_F32, SHAPE(4096, 320)), w = cal_graph_weight(g, "w", CAL_F32, SHAPE(768, 320));
  CHECK(cal_matmul(g, x, w, 0) == 0);
  CHECK_TEXT(cal_graph_error(g)->text, "unet.down.1: matmul: inner sizes differ, [4096, 320] x [768, 320]: 320 and 768");
  CHECK(cal_add(g, x, w) == 0);
  CHECK(strstr(cal_graph_error(g)->text, "matmul") != NULL);
  cal_graph_free(g);
}

/* One graph per refusal: what is built in `body` must end with this sentence. */
#define REFUSED(sentence, ...)                                                         \
  do {                                                                                 \
    cal_graph *g = cal_graph_new();                                                    \
    cal_value x = cal_graph_input(g, "x", CAL_F32, SHAPE(4, 6));                       \
    cal_value ids = cal_graph_input(g, "ids", CAL_I32, SHAPE(3));                      \
    cal_value picture = cal_graph_input(g, "picture", CAL_F32, SHAPE(1, 5, 5, 3));     \
    cal_value p = cal_graph_state(g, "p", CAL_F32, SHAPE(2, 2), CAL_PARAMETERS), d[2]; \
    (void)x, (void)ids, (void)picture, (void)p, (void)d;                               \
    __VA_ARGS__;                                                                       \
    CHECK_TEXT(cal_graph_error(g)->text, sentence);                                    \
    cal_graph_free(g);                                                                 \
  } while (0)

TEST(every_refusal_of_a_graph_is_one_sentence_with_its_numbers) {
  const cal_conv once = {.stride = 1};
  float number = 0;
  REFUSED("add: [4, 6] and [5] do not fit together: axis 1 from the right is 6 and 5",
          cal_add(g, x, cal_graph_input(g, "b", CAL_F32, SHAPE(5))));
  REFUSED("silu: input 1 is i32; cast it first", cal_elementwise(g, "silu", ids, 0, 0, 0));
  REFUSED("cast: nothing is computed in i32", cal_cast(g, x, CAL_I32));
  REFUSED("add: input 2 of 2 is missing", cal_add(g, x, 0));
  REFUSED("\"sulu\" is no elementwise op", cal_elementwise(g, "sulu", x, 0, 0, 0));
  REFUSED("add: input 2 is no value of this graph", cal_add(g, x, 999));
  REFUSED("input \"x\" is f16 [4, 6] here and f32 [4, 6] elsewhere", cal_graph_input(g, "x", CAL_F16, SHAPE(4, 6)));
  REFUSED("w: [4, 0] cannot be a shape: every size is at least 1, and the product must fit",
          cal_graph_weight(g, "w", CAL_F32, SHAPE(4, 0)));
  REFUSED("w: [2305843009213693952, 8] cannot be a shape: every size is at least 1, and the product must fit",
          cal_graph_weight(g, "w", CAL_F32, SHAPE((int64_t)1 << 61, 8)));
  REFUSED("w: 6 axes; at most 5", cal_graph_weight(g, "w", CAL_F32, (cal_shape){.rank = 6}));
  REFUSED("state \"q\": parameters are f32, not f16", cal_graph_state(g, "q", CAL_F16, SHAPE(2), CAL_PARAMETERS));
  REFUSED("state \"q\": only parameters are declared; what mirrors them comes from cal_graph_mirror",
          cal_graph_state(g, "q", CAL_F32, SHAPE(2), CAL_GRADIENTS));
  REFUSED("state \"q\": the parameters are already in use as one flat value", cal_graph_flat(g, CAL_PARAMETERS),
          cal_graph_state(g, "q", CAL_F32, SHAPE(2), CAL_PARAMETERS));
  REFUSED("mirror: value 1 is no parameter, or group 2 mirrors none", cal_graph_mirror(g, x, CAL_GRADIENTS));
  REFUSED("flat: there are no parameters, or group 0 is none", cal_graph_flat(g, CAL_NO_GROUP));
  REFUSED("store: value 1 is no state", cal_graph_store(g, CAL_APPLY, x, x, false));
  REFUSED("store: state \"p\" is f32 [2, 2], the value is f32 [4, 6]", cal_graph_store(g, CAL_APPLY, p, x, false));
  REFUSED("store: state \"p\" is stored twice in one segment",
          cal_graph_store(g, CAL_APPLY, cal_graph_flat(g, CAL_PARAMETERS), cal_graph_flat(g, CAL_GRADIENTS), false),
          cal_graph_store(g, CAL_APPLY, p, p, false));
  REFUSED("graph: left a path that was never entered", cal_graph_leave(g));
  REFUSED("reshape: [4, 6] cannot become [5, -1]: no size for -1 fits", cal_reshape(g, x, SHAPE(5, -1)));
  REFUSED("reshape: [4, 6] has 24 elements, [5, 5] has 25", cal_reshape(g, x, SHAPE(5, 5)));
  REFUSED("permute: axis 0 is named twice or is not one of 2", cal_permute(g, x, (int[]){0, 0}));
  REFUSED("slice: 3 elements from 4 on axis 1 are not inside [4, 6]", cal_slice(g, x, 1, 4, 3));
  REFUSED("slice: 1 elements from 0 on axis 2 are not inside [4, 6]", cal_slice(g, x, 2, 0, 1));
  REFUSED("expand: [4, 6] cannot be repeated to [4, 1]", cal_expand(g, x, SHAPE(4, 1)));
  REFUSED("concat: part 2 is i32 [3], part 1 is f32 [4, 6]; they may differ on axis 0 only", cal_concat(g, (cal_value[]){x, ids}, 2, 0));
  REFUSED("concat: there is no axis 2 of 2", cal_concat(g, (cal_value[]){x, x}, 2, 2));
  REFUSED("concat: 9 inputs; it takes 1 to 8", cal_concat(g, (cal_value[]){x, x, x, x, x, x, x, x, x}, 9, 0));
  REFUSED("pad: -1 before and 0 after on axis 0 of 2", cal_pad(g, x, 0, -1, 0));
  REFUSED("sum: axes 0x4 of a tensor with 2", cal_sum(g, x, 4));
  REFUSED("sum: of i32; cast it first", cal_sum(g, ids, 1));
  REFUSED("softmax: of i32", cal_softmax(g, ids));
  REFUSED("matmul: [3] x [4, 6]: both need two axes", cal_matmul(g, cal_cast(g, ids, CAL_F32), x, 0));
  REFUSED("matmul: inner sizes differ, [4, 6] transposed x [4, 6] transposed: 4 and 6",
          cal_matmul(g, x, x, CAL_TRANSPOSE_A | CAL_TRANSPOSE_B));
  REFUSED("conv2d: [1, 5, 5, 3] and [4, 6]: both need four axes, [B, H, W, C] and [O, kh, kw, C]", cal_conv2d(g, picture, x, once));
  REFUSED("conv2d: [1, 5, 5, 3] and [8, 3, 3, 4]: the channels (last axes) differ",
          cal_conv2d(g, picture, cal_graph_weight(g, "w", CAL_F32, SHAPE(8, 3, 3, 4)), once));
  REFUSED("conv2d: [1, 5, 5, 3] and [8, 7, 3, 3]: the kernel is larger than the padded picture",
          cal_conv2d(g, picture, cal_graph_weight(g, "w", CAL_F32, SHAPE(8, 7, 3, 3)), once));
  REFUSED("conv2d: [1, 5, 5, 3] and [8, 3, 3, 3]: the stride is at least 1, padding at least 0",
          cal_conv2d(g, picture, cal_graph_weight(g, "w", CAL_F32, SHAPE(8, 3, 3, 3)), (cal_conv){0}));
  REFUSED("upsample: [4, 6] is no picture [B, H, W, C]", cal_upsample(g, x));
  REFUSED("norm: 6 channels cannot be 4 groups, in [4, 6]", cal_norm(g, x, 4, 1e-5, 0, 0));
  REFUSED("norm: [3] is not [B, ..., C]", cal_norm(g, cal_cast(g, ids, CAL_F32), 1, 1e-5, 0, 0));
  REFUSED("norm: input 2 is [2, 2]; [6] is wanted", cal_norm(g, x, 2, 1e-5, p, 0));
  REFUSED("norm: beta without gamma", cal_norm(g, x, 2, 1e-5, 0, p));
  REFUSED("embedding: f32 [4, 6] and f32 [4, 6]; a table [V, D] and i32 ids are wanted", cal_embedding(g, x, x));
  REFUSED("attention: q [1, 5, 5, 3], k [1, 5, 5, 3], v [4, 6]; [B, tokens, heads, size] is wanted of each",
          cal_attention(g, picture, picture, x, 1, false));
  REFUSED("gradient: the loss is one number, not [4, 6]", CHECK(!cal_graph_differentiate(g, x, &p, 1, d)));
  REFUSED("gradient: value 2 (1 of 1) is no float value of this graph", CHECK(!cal_graph_differentiate(g, cal_mean(g, x), &ids, 1, d)));
  REFUSED("silu: silu.da: has no gradient of its own; a gradient of a gradient was asked for",
          cal_graph_differentiate(g, cal_mean(g, cal_elementwise(g, "silu", x, 0, 0, 0)), &x, 1, d);
          CHECK(!cal_graph_differentiate(g, cal_mean(g, d[0]), &x, 1, d + 1)));
  REFUSED("constant: [0] cannot be a shape: every size is at least 1, and the product must fit",
          cal_graph_constant(g, CAL_F32, SHAPE(0), &number));
}

TEST(a_path_that_is_too_deep_is_refused_not_cut) {
  cal_graph *g = cal_graph_new();
  for (int i = 0; i < 65; i++) cal_graph_enter(g, "a");
  CHECK(strstr(cal_graph_error(g)->text, "deeper than 64 parts") != NULL);
  cal_graph_free(g);
}

TEST(the_same_op_on_the_same_values_is_one_node_and_views_of_views_are_one_view) {
  cal_graph *g = cal_graph_new();
  cal_value x = cal_graph_input(g, "x", CAL_F32, SHAPE(2, 3, 4)), w = cal_graph_weight(g, "w", CAL_F32, SHAPE(4));
  CHECK(cal_graph_weight(g, "w", CAL_F32, SHAPE(4)) == w);
  CHECK(cal_add(g, x, w) == cal_add(g, x, w) && cal_add(g, x, w) != cal_add(g, x, cal_graph_number(g, 1)));
  CHECK(cal_graph_number(g, 2) == cal_graph_number(g, 2));
  CHECK(cal_scale(g, x, 2) != cal_scale(g, x, 3) && cal_scale(g, x, 1) == x);
  CHECK(cal_reshape(g, cal_reshape(g, x, SHAPE(6, 4)), SHAPE(2, 3, 4)) == x);
  CHECK(cal_permute(g, cal_permute(g, x, (int[]){2, 0, 1}), (int[]){1, 2, 0}) == x);
  CHECK(cal_slice(g, x, 1, 0, 3) == x && cal_expand(g, x, SHAPE(2, 3, 4)) == x &&
        cal_sum(g, cal_slice(g, x, 1, 0, 1), 2) == cal_slice(g, x, 1, 0, 1));
  CHECK(cal_graph_error(g)->code == CAL_OK);
  cal_graph_free(g);
}

TEST(the_reference_refuses_what_was_not_set_or_does_not_fit) {
  cal_error err = {0};
  cal_graph *g = cal_graph_new();
  cal_value x = cal_graph_input(g, "x", CAL_F32, SHAPE(2, 3)), y = cal_square(g, x), w = cal_graph_weight(g, "unet.w", CAL_F16, SHAPE(3));
  cal_reference *ref = cal_reference_new(g, CAL_IN_FLOAT, &err);
  double numbers[6] = {1, 2, 3, 4, 5, 6};
  CHECK(cal_reference_compute(ref, &y, 1, &err) == CAL_E_ARG);
  CHECK_TEXT(err.text, "reference: input \"x\" has not been set");
  CHECK(cal_reference_compute(ref, &w, 1, &err) == CAL_E_ARG);
  CHECK_TEXT(err.text, "reference: weight \"unet.w\" has not been set");
  CHECK(cal_reference_get(ref, y, numbers, &err) == CAL_E_NOTFOUND);
  CHECK(cal_reference_set(ref, y, numbers, &err) == CAL_E_ARG);
  CHECK(cal_reference_set_bytes(ref, w, numbers, 7, &err) == CAL_E_ARG);
  CHECK_TEXT(err.text, "unet.w: 7 bytes; f16 [3] has 6");
  CHECK(cal_reference_compute(ref, (cal_value[]){77}, 1, &err) == CAL_E_ARG);
  cal_graph_leave(g);
  CHECK(cal_reference_set(ref, x, numbers, &err) == CAL_E_ARG && strstr(err.text, "never entered") != NULL);
  cal_reference_free(ref);
  cal_graph_free(g);
}

/* ---- helpers ------------------------------------------------------------------------------------------------------- */

static void fill(cal_random *r, cal_domain domain, double *out, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    double u = cal_random_uniform(r), sign = cal_random_below(r, 2) ? 1 : -1;
    out[i] = domain == CAL_ANY ? 4 * u - 2 : domain == CAL_POSITIVE ? 0.3 + 2 * u : sign * (0.3 + 2 * u);
  }
}

static double *numbers_of(const cal_reference *ref, const cal_graph *g, cal_value v) {
  cal_error err = {0};
  double *out = malloc((size_t)cal_shape_count(cal_graph_shape(g, v)) * sizeof *out);
  if (cal_reference_get(ref, v, out, &err)) printf("  %s\n", err.text), test_failures++;
  return out;
}

/* Every float source of a graph gets numbers from `r`; i32 inputs get 0 .. 3. */
static void set_sources(cal_reference *ref, const cal_graph *g, cal_random *r, cal_domain domain) {
  cal_error err = {0};
  for (cal_value v = 1; v <= cal_graph_value_count(g); v++) {
    const cal_value_info *info = cal_graph_info(g, v);
    if (info->source == CAL_COMPUTED || info->source == CAL_CONSTANT) continue;
    int64_t count = cal_shape_count(info->shape);
    double *x = malloc((size_t)count * sizeof *x);
    fill(r, domain, x, count);
    for (int64_t i = 0; i < count && info->dtype == CAL_I32; i++) x[i] = (double)cal_random_below(r, 4);
    CHECK(cal_reference_set(ref, v, x, &err) == CAL_OK);
    free(x);
  }
}

/* A number that depends on every element of v, each in another way. */
static cal_value weigh(cal_graph *g, cal_value v, cal_random *r) {
  cal_shape s = cal_graph_shape(g, v);
  int64_t count = cal_shape_count(s);
  float *weights = malloc((size_t)count * sizeof *weights);
  for (int64_t i = 0; i < count; i++) weights[i] = (float)(0.5 + cal_random_uniform(r));
  cal_value w = cal_graph_constant(g, CAL_F32, s, weights);
  free(weights);
  return cal_scale(g, cal_mean(g, cal_mul(g, v, w)), (double)count);
}

TEST(f16_and_bf16_are_rounded_to_nearest_and_come_back) {
  for (unsigned bits = 0; bits < 65536; bits++) {
    bool f16_nan = (bits & 0x7fff) > 0x7c00, bf16_nan = (bits & 0x7fff) > 0x7f80;
    if (!f16_nan) CHECK(cal_f16_of(cal_f16_to_float((uint16_t)bits)) == bits);
    else CHECK(isnan(cal_f16_to_float(cal_f16_of(cal_f16_to_float((uint16_t)bits)))));
    if (!bf16_nan) CHECK(cal_bf16_of(cal_bf16_to_float((uint16_t)bits)) == bits);
    else CHECK(isnan(cal_bf16_to_float(cal_bf16_of(cal_bf16_to_float((uint16_t)bits)))));
  }
  CHECK(cal_f16_of(65519.0f) == 0x7bff && cal_f16_of(65520.0f) == 0x7c00 && cal_f16_of(-1e9f) == 0xfc00);
  CHECK(cal_f16_of(1.0f + 0x1p-11f) == 0x3c00 && cal_f16_of(1.0f + 0x3p-11f) == 0x3c02); /* ties to even */
  CHECK(cal_f16_of(0x1p-25f) == 0 && cal_f16_of(0x1.8p-25f) == 1 && cal_f16_of(-0x1p-24f) == 0x8001);
  CHECK(cal_bf16_of(1.0f + 0x1p-8f) == 0x3f80 && cal_bf16_of(1.0f + 0x3p-8f) == 0x3f82);
}

/* ---- op records ---------------------------------------------------------------------------------------------------- */

TEST(every_op_has_samples_and_a_cost_and_float_agrees_with_double_within_its_tolerance) {
  for (int i = 0; cal_ops[i]; i++) {
    const cal_op *op = cal_ops[i];
    int samples = 0;
    for (;; samples++) {
      cal_error err = {0};
      cal_graph *g = cal_graph_new();
      cal_value y = op->sample(g, op, samples);
      if (cal_graph_error(g)->code) printf("  %s, sample %d: %s\n", op->name, samples, cal_graph_error(g)->text), test_failures++;
      if (!y) {
        cal_graph_free(g);
        break;
      }
      cal_reference *f = cal_reference_new(g, CAL_IN_FLOAT, &err), *d = cal_reference_new(g, CAL_IN_DOUBLE, &err);
      cal_random r = cal_random_seed(7, (uint64_t)samples), again = r;
      set_sources(f, g, &r, op->domain);
      set_sources(d, g, &again, op->domain);
      CHECK(cal_reference_compute(f, &y, 1, &err) == CAL_OK && cal_reference_compute(d, &y, 1, &err) == CAL_OK);
      double *a = numbers_of(f, g, y), *b = numbers_of(d, g, y), largest = 0, off = 0;
      for (int64_t n = cal_shape_count(cal_graph_shape(g, y)), j = 0; j < n; j++)
        largest = fmax(largest, fabs(b[j])), off = fmax(off, fabs(a[j] - b[j]));
      bool step = op->row && op->row->no_gradient;
      if (!(off <= (op->tolerance + 1e-6) * largest) && !step)
        printf("  %s, sample %d: off by %g of %g\n", op->name, samples, off, largest), test_failures++;
      const cal_value_info *info = cal_graph_info(g, y);
      cal_cost cost = op->cost(g, cal_graph_node(g, info->node));
      CHECK(cost.flops >= 0 && cost.bytes >= 0);
      free(a);
      free(b);
      cal_reference_free(f);
      cal_reference_free(d);
      cal_graph_free(g);
    }
    if (samples < 2) printf("  %s has %d samples\n", op->name, samples), test_failures++;
  }
}

/* Central differences, h = 1e-5: the error is about h*h times the third derivative, 1e-10, plus 1e-16 / h = 1e-11. */
static void check_gradients(cal_graph *g, cal_value loss, const cal_value *wrt, int count, cal_domain domain, const char *name) {
  cal_error err = {0};
  cal_value gradients[16];
  if (!cal_graph_differentiate(g, loss, wrt, count, gradients)) {
    printf("  %s: %s\n", name, cal_graph_error(g)->text);
    test_failures++;
    return;
  }
  cal_reference *ref = cal_reference_new(g, CAL_IN_DOUBLE, &err);
  cal_random r = cal_random_seed(11, 3);
  set_sources(ref, g, &r, domain);
  if (cal_reference_compute(ref, gradients, count, &err)) printf("  %s: %s\n", name, err.text), test_failures++;
  for (int i = 0; i < count; i++) {
    CHECK(cal_shape_equal(cal_graph_shape(g, wrt[i]), cal_graph_shape(g, gradients[i])));
    double *d = numbers_of(ref, g, gradients[i]), *x = numbers_of(ref, g, wrt[i]);
    int64_t n = cal_shape_count(cal_graph_shape(g, wrt[i])), stride = n > 200 ? n / 100 : 1;
    for (int64_t j = 0; j < n; j += stride) {
      const double h = 1e-5, was = x[j];
      double side[2];
      for (int k = 0; k < 2; k++) {
        x[j] = was + (k ? h : -h);
        cal_reference_set(ref, wrt[i], x, &err);
        cal_reference_compute(ref, &loss, 1, &err);
        cal_reference_get(ref, loss, &side[k], &err);
      }
      x[j] = was;
      double measured = (side[1] - side[0]) / (2 * h);
      if (!(fabs(measured - d[j]) <= 1e-6 * fmax(1, fabs(measured)))) {
        printf("  %s: input %d, element %ld: the gradient is %.9g, finite differences say %.9g\n", name, i + 1, (long)j, d[j], measured);
        test_failures++;
        break;
      }
    }
    cal_reference_set(ref, wrt[i], x, &err);
    free(x);
    free(d);
  }
  cal_reference_free(ref);
}

TEST(every_gradient_of_every_op_agrees_with_finite_differences_in_double) {
  int checked = 0;
  for (int i = 0; cal_ops[i]; i++) {
    const cal_op *op = cal_ops[i];
    if (!op->derivative || (op->row && op->row->no_gradient)) continue;
    for (int sample = 0;; sample++) {
      cal_graph *g = cal_graph_new();
      cal_value y = op->sample(g, op, sample), wrt[16];
      if (!y) {
        cal_graph_free(g);
        break;
      }
      /* The float inputs of the sample; a condition has no gradient, but nothing is wrong with asking: it is zero then. */
      int count = 0;
      for (cal_value v = 1; v <= cal_graph_value_count(g); v++)
        if (cal_graph_info(g, v)->source == CAL_INPUT && cal_graph_info(g, v)->dtype != CAL_I32) wrt[count++] = v;
      cal_random r = cal_random_seed(5, (uint64_t)sample);
      char name[64];
      snprintf(name, sizeof name, "%s, sample %d", op->name, sample);
      check_gradients(g, weigh(g, y, &r), wrt, count, op->domain, name);
      checked++;
      cal_graph_free(g);
    }
  }
  CHECK(checked > 100);
}

/* Forgetting a GRADIENT row would make a gradient silently zero. */
TEST(every_elementwise_row_has_a_gradient_for_each_input_or_says_that_it_is_a_step) {
  for (int i = 0; cal_ops[i]; i++) {
    const cal_op *op = cal_ops[i];
    if (!op->row || !op->derivative) continue;
    for (int j = 0; j < op->most_inputs; j++) {
      char name[40];
      snprintf(name, sizeof name, "%s.d%c", op->name, op->row->inputs[j]);
      bool condition = strcmp(op->name, "select") == 0 && j == 0;
      if ((cal_op_find(name) != NULL) == (op->row->no_gradient || condition)) printf("  %s\n", name), test_failures++;
    }
  }
}

TEST(a_value_used_twice_gets_both_gradients_and_one_that_does_not_matter_gets_zeros) {
  cal_error err = {0};
  cal_graph *g = cal_graph_new();
  cal_value x = cal_graph_input(g, "x", CAL_F32, SHAPE(3)), other = cal_graph_input(g, "other", CAL_F32, SHAPE(2, 2)), d[2];
  cal_value loss = cal_mean(g, cal_add(g, cal_square(g, x), cal_mul(g, x, cal_elementwise(g, "silu", x, 0, 0, 0))));
  check_gradients(g, loss, &x, 1, CAL_ANY, "x*x + x*silu(x)");
  CHECK(cal_graph_differentiate(g, loss, (cal_value[]){x, other}, 2, d));
  cal_reference *ref = cal_reference_new(g, CAL_IN_FLOAT, &err);
  CHECK(cal_reference_set(ref, x, (double[]){1, 2, 3}, &err) == CAL_OK && cal_reference_compute(ref, d, 2, &err) == CAL_OK);
  double *zero = numbers_of(ref, g, d[1]);
  for (int i = 0; i < 4; i++) CHECK(zero[i] == 0);
  free(zero);
  cal_reference_free(ref);
  cal_graph_free(g);
}

TEST(a_cast_product_is_computed_into_that_dtype_and_gradients_of_f32_parameters_are_never_rounded) {
  cal_graph *g = cal_graph_new();
  cal_value x = cal_graph_input(g, "x", CAL_F16, SHAPE(2, 4, 8)), w = cal_graph_state(g, "w", CAL_F32, SHAPE(8, 8), CAL_PARAMETERS), dw;
  cal_value y = cal_reshape(g, cal_cast(g, cal_linear(g, x, w, 0), CAL_F16), SHAPE(8, 8));
  CHECK_TEXT(cal_graph_node(g, cal_graph_info(g, y)->node)->op->name, "matmul");
  CHECK(cal_graph_info(g, y)->dtype == CAL_F16);
  CHECK(cal_graph_differentiate(g, cal_mean(g, cal_cast(g, y, CAL_F32)), &w, 1, &dw));
  CHECK_TEXT(cal_graph_node(g, cal_graph_info(g, dw)->node)->op->name, "matmul");
  CHECK(cal_graph_info(g, dw)->dtype == CAL_F32);
  cal_graph_free(g);
}

TEST(a_layer_in_halves_stays_in_halves_whatever_its_parameters_are_stored_in) {
  cal_graph *g = cal_graph_new();
  cal_value x = cal_graph_input(g, "x", CAL_F16, SHAPE(2, 4, 4, 8)),
            w = cal_graph_state(g, "w", CAL_F32, SHAPE(8, 3, 3, 8), CAL_PARAMETERS);
  cal_value bias = cal_graph_state(g, "bias", CAL_F32, SHAPE(8), CAL_PARAMETERS),
            time = cal_graph_input(g, "time", CAL_F32, SHAPE(2, 1, 1, 8));
  cal_value y = cal_add(g, cal_add(g, cal_conv2d(g, x, w, (cal_conv){1, 1, 1, 1, 1}), bias), time), d[2];
  CHECK(cal_graph_info(g, y)->dtype == CAL_F16);
  CHECK(cal_graph_info(g, cal_scale(g, cal_mul(g, y, cal_graph_number(g, 3)), 2))->dtype == CAL_F16);
  CHECK(cal_graph_info(g, cal_sub(g, y, cal_graph_input(g, "target", CAL_F32, SHAPE(2, 4, 4, 8))))->dtype == CAL_F32);
  CHECK(cal_graph_differentiate(g, cal_mean(g, cal_cast(g, y, CAL_F32)), (cal_value[]){w, bias}, 2, d));
  CHECK(cal_graph_info(g, d[0])->dtype == CAL_F32 && cal_graph_info(g, d[1])->dtype == CAL_F32);
  const cal_node *last = cal_graph_node(g, cal_graph_info(g, d[1])->node);
  if (strcmp(last->op->name, "reshape") == 0) last = cal_graph_node(g, cal_graph_info(g, last->input[0])->node);
  CHECK_TEXT(last->op->name, "sum"); /* into f32 at once, not cast afterwards */
  cal_graph_free(g);
}

TEST(backward_nodes_are_built_only_below_what_is_trainable) {
  cal_graph *g = cal_graph_new();
  cal_value x = cal_graph_input(g, "x", CAL_F32, SHAPE(4, 8)), w1 = cal_graph_weight(g, "w1", CAL_F32, SHAPE(8, 8));
  cal_value w2 = cal_graph_state(g, "w2", CAL_F32, SHAPE(8, 8), CAL_PARAMETERS), dw;
  cal_value h = cal_linear(g, x, w1, 0);
  cal_value loss = cal_mean(g, cal_square(g, cal_linear(g, h, w2, 0)));
  int before = cal_graph_node_count(g), products = 0;
  CHECK(cal_graph_differentiate(g, loss, &w2, 1, &dw));
  for (int i = before; i < cal_graph_node_count(g); i++) products += strcmp(cal_graph_node(g, i)->op->name, "matmul") == 0;
  CHECK(products == 1); /* dw2; neither dh nor dw1 */
  cal_graph_free(g);
}

TEST(slices_that_cover_a_value_give_one_concatenation_and_no_sum_as_its_gradient) {
  cal_graph *g = cal_graph_new();
  cal_value x = cal_graph_input(g, "x", CAL_F32, SHAPE(3, 8)), dx;
  cal_value half = cal_slice(g, x, 1, 0, 4), gate = cal_elementwise(g, "gelu", cal_slice(g, x, 1, 4, 4), 0, 0, 0);
  cal_value loss = cal_mean(g, cal_square(g, cal_mul(g, half, gate)));
  check_gradients(g, loss, &x, 1, CAL_ANY, "geglu");
  CHECK(cal_graph_differentiate(g, loss, &x, 1, &dx));
  CHECK_TEXT(cal_graph_node(g, cal_graph_info(g, dx)->node)->op->name, "concat");
  cal_graph_free(g);
}

TEST(attention_and_upsampling_and_layer_norm_have_gradients) {
  for (int causal = 0; causal < 2; causal++) {
    cal_graph *g = cal_graph_new();
    cal_random r = cal_random_seed(1, 2);
    cal_value in[3] = {cal_graph_input(g, "q", CAL_F32, SHAPE(2, 3, 2, 4)), cal_graph_input(g, "k", CAL_F32, SHAPE(2, 5, 2, 4)),
                       cal_graph_input(g, "v", CAL_F32, SHAPE(2, 5, 2, 3))};
    cal_value y = cal_attention(g, in[0], in[1], in[2], 0.5, causal);
    CHECK(cal_shape_equal(cal_graph_shape(g, y), SHAPE(2, 3, 2, 3)));
    check_gradients(g, weigh(g, y, &r), in, 3, CAL_ANY, causal ? "causal attention" : "attention");
    cal_graph_free(g);
  }
  cal_graph *g = cal_graph_new();
  cal_random r = cal_random_seed(1, 2);
  cal_value in[3] = {cal_graph_input(g, "x", CAL_F32, SHAPE(2, 2, 3, 5)), cal_graph_input(g, "gamma", CAL_F32, SHAPE(5)),
                     cal_graph_input(g, "beta", CAL_F32, SHAPE(5))};
  check_gradients(g, weigh(g, cal_layer_norm(g, cal_upsample(g, in[0]), 1e-5, in[1], in[2]), &r), in, 3, CAL_ANY, "norm of upsampled");
  cal_graph_free(g);
}

TEST(attention_as_one_op_is_the_composed_one_and_keeps_no_scores) {
  for (int causal = 0; causal < 2; causal++) {
    cal_error err = {0};
    cal_graph *g = cal_graph_new();
    cal_random r = cal_random_seed(3, 2), again = r;
    cal_value in[3] = {cal_graph_input(g, "q", CAL_F32, SHAPE(2, 6, 2, 4)), cal_graph_input(g, "k", CAL_F32, SHAPE(2, 7, 2, 4)),
                       cal_graph_input(g, "v", CAL_F32, SHAPE(2, 7, 2, 3))};
    cal_value both[8];
    for (int fused = 0; fused < 2; fused++) {
      cal_graph_fuse_attention(g, fused ? 4 : 0);
      int before = cal_graph_node_count(g);
      both[fused * 4] = cal_attention(g, in[0], in[1], in[2], 0.5, causal);
      cal_random weights = again;
      CHECK(cal_graph_differentiate(g, weigh(g, both[fused * 4], &weights), in, 3, both + fused * 4 + 1));
      for (int i = before; fused && i < cal_graph_node_count(g); i++) CHECK(strcmp(cal_graph_node(g, i)->op->name, "matmul") != 0);
    }
    cal_reference *ref = cal_reference_new(g, CAL_IN_DOUBLE, &err);
    set_sources(ref, g, &r, CAL_ANY);
    CHECK(cal_reference_compute(ref, both, 8, &err) == CAL_OK);
    for (int i = 0; i < 4; i++) {
      double *a = numbers_of(ref, g, both[i]), *b = numbers_of(ref, g, both[i + 4]);
      for (int64_t k = 0; k < cal_shape_count(cal_graph_shape(g, both[i])); k++) CHECK_NEAR(a[k], b[k], 1e-12);
      free(a);
      free(b);
    }
    cal_reference_free(ref);
    cal_graph_free(g);
  }
}

TEST(a_causal_token_does_not_see_what_comes_after_it) {
  cal_error err = {0};
  cal_graph *g = cal_graph_new();
  cal_value q = cal_graph_input(g, "q", CAL_F32, SHAPE(1, 4, 1, 2)), k = cal_graph_input(g, "k", CAL_F32, SHAPE(1, 4, 1, 2));
  cal_value v = cal_graph_input(g, "v", CAL_F32, SHAPE(1, 4, 1, 2)), y = cal_attention(g, q, k, v, 1, true);
  cal_reference *ref = cal_reference_new(g, CAL_IN_FLOAT, &err);
  cal_random r = cal_random_seed(1, 1);
  set_sources(ref, g, &r, CAL_ANY);
  CHECK(cal_reference_compute(ref, &y, 1, &err) == CAL_OK);
  double *a = numbers_of(ref, g, y), *x = numbers_of(ref, g, v);
  CHECK_NEAR(a[0], x[0], 1e-6);
  x[6] = 1e6;
  CHECK(cal_reference_set(ref, v, x, &err) == CAL_OK && cal_reference_compute(ref, &y, 1, &err) == CAL_OK);
  double *b = numbers_of(ref, g, y);
  CHECK_NEAR(b[2], a[2], 0);
  free(a);
  free(b);
  free(x);
  cal_reference_free(ref);
  cal_graph_free(g);
}

/* ---- schedules ----------------------------------------------------------------------------------------------------- */

/* Which value wrote each byte last: a step that reads finds its own, or two live values share bytes. */
typedef struct {
  const cal_schedule *s;
  int32_t **chunk;
} shadow;

static int walk_place(shadow *sh, const cal_place *p, bool write) {
  if (p->storage != CAL_IN_ARENA) return 0;
  int bad = 0;
  size_t size = cal_dtype_size(p->dtype);
  for (int64_t n = cal_shape_count(p->shape), i = 0; i < n; i++) {
    int64_t rest = i, at = 0;
    for (int axis = p->shape.rank; axis-- > 0; rest /= p->shape.dim[axis]) at += rest % p->shape.dim[axis] * p->stride[axis];
    int64_t byte = p->offset + at * (int64_t)size;
    if (p->chunk < 0 || p->chunk >= sh->s->arena_chunks || byte < 0 || byte + (int64_t)size > sh->s->arena_chunk[p->chunk]) return 1;
    for (size_t b = 0; b < size; b++) {
      int32_t *tag = &sh->chunk[p->chunk][byte + (int64_t)b];
      if (write) *tag = p->value;
      else bad += *tag != p->value;
    }
  }
  return bad;
}

/* A device works on the elements of a step in any order: where an output lies over an input, it must be element over element. */
static int meets_itself(const cal_place *in, const cal_place *out, bool chain) {
  if (in->storage != out->storage || in->group != out->group || in->chunk != out->chunk) return 0;
  int64_t end[2] = {0}, size = (int64_t)cal_dtype_size(in->dtype);
  for (int i = 0; i < 2; i++) {
    const cal_place *p = i ? out : in;
    for (int axis = 0; axis < p->shape.rank; axis++) end[i] += (p->shape.dim[axis] - 1) * p->stride[axis];
    end[i] = p->offset + (end[i] + 1) * (int64_t)cal_dtype_size(p->dtype);
  }
  if (in->offset >= end[1] || out->offset >= end[0]) return 0;
  if (!chain)
    return in->offset != out->offset ||
           cal_shape_count(in->shape) * size != cal_shape_count(out->shape) * (int64_t)cal_dtype_size(out->dtype);
  bool same =
      in->offset == out->offset && in->dtype == out->dtype && !memcmp(in->stride, out->stride, (size_t)in->shape.rank * sizeof *in->stride);
  if (!same) printf("  a chain reads at %ld what it writes at %ld\n", (long)in->offset, (long)out->offset);
  return !same;
}

static int overlaps(const cal_graph *g, const cal_schedule *s, const cal_segment *order, int segments) {
  shadow sh = {.s = s, .chunk = calloc((size_t)s->arena_chunks + 1, sizeof(int32_t *))};
  int bad = 0;
  for (int i = 0; i < s->arena_chunks; i++) sh.chunk[i] = calloc((size_t)s->arena_chunk[i] + 1, sizeof(int32_t));
  for (int k = 0; k < segments; k++) {
    const cal_schedule_segment *seg = &s->segment[order[k]];
    for (int t = 0; t < seg->steps; t++) {
      const cal_step *step = &seg->step[t];
      bool chain = step->kind == CAL_STEP_CHAIN;
      int inputs = chain ? step->chain->inputs : step->inputs, outputs = chain ? step->chain->outputs : step->outputs;
      for (int i = 0; i < inputs; i++) {
        int wrong = walk_place(&sh, chain ? &step->chain->input[i] : &step->input[i], false);
        if (wrong && !bad++) printf("  step %d (%s) reads %d bytes that are not of input %d\n", t, step->path, wrong, i);
      }
      for (int i = 0; i < inputs * outputs; i++) {
        const cal_place *in = chain ? &step->chain->input[i % inputs] : &step->input[i % inputs];
        const cal_place *out = chain ? &step->chain->output[i / inputs] : &step->output[i / inputs];
        bad += meets_itself(in, out, chain);
      }
      for (int i = 0; i < outputs; i++) walk_place(&sh, chain ? &step->chain->output[i] : &step->output[i], true);
    }
  }
  for (int k = 0; k < segments; k++) /* outputs have survived all of it */
    for (int i = 0; i < cal_graph_output_count(g, order[k]); i++)
      bad += walk_place(&sh, cal_schedule_place(s, cal_graph_output_at(g, order[k], i)), false);
  for (int i = 0; i < s->arena_chunks; i++) free(sh.chunk[i]);
  free(sh.chunk);
  return bad;
}

/* A copy of a value by the interpreter against the same value of the reference. */
static void compare(const cal_graph *g, const cal_interpreter *run, const cal_reference *ref, cal_value v, double tolerance,
                    const char *what) {
  const cal_value_info *info = cal_graph_info(g, v);
  const void *bytes = cal_interpreter_at(run, v);
  int64_t n = cal_shape_count(info->shape);
  if (!bytes) {
    printf("  %s: value %d has no place\n", what, v);
    test_failures++;
    return;
  }
  double *a = malloc((size_t)n * sizeof *a), *b = numbers_of(ref, g, v), largest = 1e-3;
  cal_numbers_of(info->dtype, bytes, n, a);
  for (int64_t i = 0; i < n; i++) largest = fmax(largest, fabs(b[i]));
  for (int64_t i = 0; i < n; i++)
    if (!(fabs(a[i] - b[i]) <= tolerance * largest)) {
      char text[CAL_SHAPE_TEXT];
      printf("  %s: value %d \"%s\" %s, element %ld is %g, the reference has %g\n", what, v, info->name, cal_shape_text(info->shape, text),
             (long)i, a[i], b[i]);
      test_failures++;
      break;
    }
  free(a);
  free(b);
}

/* Both get the same numbers, rounded to what the dtype can hold. */
static void set_both(const cal_graph *g, cal_reference *ref, cal_interpreter *run, cal_random *r) {
  cal_error err = {0};
  for (cal_value v = 1; v <= cal_graph_value_count(g); v++) {
    const cal_value_info *info = cal_graph_info(g, v);
    if (info->source == CAL_COMPUTED || info->source == CAL_CONSTANT || strcmp(info->name, "flat") == 0) continue;
    int64_t n = cal_shape_count(info->shape);
    double *x = malloc((size_t)n * sizeof *x);
    void *bytes = malloc((size_t)n * 4);
    fill(r, CAL_ANY, x, n);
    for (int64_t i = 0; i < n && info->dtype == CAL_I32; i++) x[i] = (double)cal_random_below(r, 4);
    cal_numbers_to(info->dtype, x, n, bytes);
    size_t size = (size_t)n * cal_dtype_size(info->dtype);
    CHECK(cal_reference_set_bytes(ref, v, bytes, size, &err) == CAL_OK);
    CHECK(cal_interpreter_write(run, v, bytes, size, &err) == CAL_OK);
    free(x);
    free(bytes);
  }
}

/* Schedule, run `order` twice on the host, compare all outputs and states. */
static void check_schedule(const cal_graph *g, const cal_schedule_options *options, const cal_segment *order, int segments,
                           double tolerance, uint64_t seed, const char *what) {
  cal_error err = {0};
  cal_schedule *s = cal_schedule_new(g, options, &err);
  if (!s) {
    printf("  %s: %s\n", what, err.text);
    test_failures++;
    return;
  }
  cal_interpreter *run = cal_interpreter_new(s, &err);
  cal_reference *ref = cal_reference_new(g, CAL_IN_FLOAT, &err);
  cal_random r = cal_random_seed(seed, 9);
  for (int round = 0; round < 2; round++) {
    if (round == 0) set_both(g, ref, run, &r);
    for (int k = 0; k < segments; k++) {
      CHECK(cal_reference_run(ref, order[k], &err) == CAL_OK);
      CHECK(cal_interpreter_run(run, order[k], &err) == CAL_OK);
    }
    for (int k = 0; k < segments; k++) {
      for (int i = 0; i < cal_graph_output_count(g, order[k]); i++)
        compare(g, run, ref, cal_graph_output_at(g, order[k], i), tolerance, what);
      for (int i = 0; i < cal_graph_store_count(g, order[k]); i++)
        compare(g, run, ref, cal_graph_store_at(g, order[k], i).state, tolerance, what);
    }
  }
  if (overlaps(g, s, order, segments)) printf("  %s: live values overlap\n", what), test_failures++;
  cal_interpreter_free(run);
  cal_reference_free(ref);
  cal_schedule_free(s);
}

static cal_value random_view(cal_graph *g, cal_value a, cal_random *r) {
  cal_shape s = cal_graph_shape(g, a);
  switch (cal_random_below(r, 4)) {
    case 0: {
      int order[CAL_DIMS];
      for (int i = 0; i < s.rank; i++) order[i] = i;
      for (int i = s.rank - 1; i > 0; i--) {
        int k = (int)cal_random_below(r, (uint64_t)i + 1), was = order[i];
        order[i] = order[k], order[k] = was;
      }
      return cal_permute(g, a, order);
    }
    case 1: { /* merge or split an axis */
      cal_shape to = s;
      if (s.rank >= 2 && cal_random_below(r, 2)) {
        int axis = (int)cal_random_below(r, (uint64_t)s.rank - 1);
        to.dim[axis] *= to.dim[axis + 1];
        for (int i = axis + 1; i + 1 < s.rank; i++) to.dim[i] = to.dim[i + 1];
        to.rank--;
      } else if (s.rank && s.rank < 4) {
        int axis = (int)cal_random_below(r, (uint64_t)s.rank);
        int64_t factor = s.dim[axis] % 3 == 0 ? 3 : s.dim[axis] % 2 == 0 ? 2 : 1;
        for (int i = s.rank; i > axis + 1; i--) to.dim[i] = to.dim[i - 1];
        to.dim[axis] = factor, to.dim[axis + 1] = s.dim[axis] / factor;
        to.rank++;
      }
      return cal_reshape(g, a, to);
    }
    case 2: {
      if (!s.rank) return a;
      int axis = (int)cal_random_below(r, (uint64_t)s.rank);
      int64_t size = 1 + (int64_t)cal_random_below(r, (uint64_t)s.dim[axis]);
      return cal_slice(g, a, axis, (int64_t)cal_random_below(r, (uint64_t)(s.dim[axis] - size + 1)), size);
    }
    default: {
      if (!s.rank || cal_shape_count(s) > 200) return a;
      int axis = (int)cal_random_below(r, (uint64_t)s.rank);
      s.dim[axis] = 1;
      cal_value one = cal_slice(g, a, axis, 0, 1);
      s.dim[axis] = 1 + (int64_t)cal_random_below(r, 4);
      return cal_expand(g, one, s);
    }
  }
}

/* A value that may stand beside a: a itself in another role, something of its shape, or a row of it. */
static cal_value partner(cal_graph *g, cal_value a, const cal_value *pool, int count, cal_random *r) {
  for (int tries = 0; tries < 6; tries++) {
    cal_value b = pool[cal_random_below(r, (uint64_t)count)];
    cal_shape x = cal_graph_shape(g, a), y = cal_graph_shape(g, b), both;
    cal_error err = {0};
    if (!cal_shape_broadcast("", x, y, &both, &err) && cal_shape_count(both) < 500) return b;
  }
  return a;
}

static cal_value random_op(cal_graph *g, const cal_value *pool, int count, cal_random *r, bool halves) {
  static const char *const unary[] = {"tanh", "sigmoid", "sin", "silu", "gelu", "neg", "abs"}, *const binary[] = {"add", "sub", "mul",
                                                                                                                  "max"};
  cal_value a = pool[cal_random_below(r, (uint64_t)count)];
  cal_shape s = cal_graph_shape(g, a);
  switch (cal_random_below(r, 12)) {
    case 0:
    case 1: return cal_elementwise(g, unary[cal_random_below(r, 7)], a, 0, 0, 0);
    case 2:
    case 3:
    case 4: return cal_elementwise(g, binary[cal_random_below(r, 4)], a, partner(g, a, pool, count, r), 0, 0);
    case 5:
    case 6: return random_view(g, a, r);
    case 7:
      return s.rank && cal_shape_count(s) < 200
                 ? cal_concat(g, (cal_value[]){a, cal_elementwise(g, "cos", a, 0, 0, 0), a}, 3, (int)cal_random_below(r, (uint64_t)s.rank))
                 : a;
    case 8: return s.rank ? cal_pad(g, a, (int)cal_random_below(r, (uint64_t)s.rank), (int64_t)cal_random_below(r, 2), 1) : a;
    case 9: return s.rank ? cal_scale(g, cal_sum(g, a, 1u << cal_random_below(r, (uint64_t)s.rank)), 0.3) : cal_scale(g, a, 1.5);
    case 10: {
      if (s.rank < 2) return cal_softmax(g, cal_reshape(g, a, SHAPE(1, -1)));
      int64_t K = s.dim[s.rank - 1];
      cal_value w = cal_graph_state(g, K % 2 ? "odd" : "even", CAL_F32, SHAPE(6, 12), CAL_PARAMETERS);
      if (K > 12) return cal_softmax(g, a);
      return cal_elementwise(g, "tanh", cal_matmul(g, a, cal_slice(g, w, 1, 0, K), CAL_TRANSPOSE_B), 0, 0, 0);
    }
    default:
      return halves && cal_random_below(r, 2) ? cal_cast(g, a, cal_random_below(r, 2) ? CAL_F16 : CAL_BF16)
                                              : cal_elementwise(g, "scale", a, 0, 0, 0.7);
  }
}

/* A graph of random ops with everything a training plan has: parameters, gradients that accumulate, an optimiser, outputs. */
static cal_graph *random_training(uint64_t seed, bool halves, int ops) {
  cal_random r = cal_random_seed(seed, 77);
  cal_graph *g = cal_graph_new();
  cal_value pool[80] = {cal_graph_input(g, "x", CAL_F32, SHAPE(3, 4, 6)),
                        cal_graph_weight(g, "w", halves ? CAL_F16 : CAL_F32, SHAPE(6)),
                        cal_graph_input(g, "t", CAL_F32, cal_shape_of(0, NULL)),
                        cal_graph_state(g, "even", CAL_F32, SHAPE(6, 12), CAL_PARAMETERS),
                        cal_graph_state(g, "odd", CAL_F32, SHAPE(6, 12), CAL_PARAMETERS),
                        cal_graph_state(g, "cache", CAL_F32, SHAPE(4, 6), CAL_NO_GROUP),
                        cal_graph_number(g, 0.5)};
  int count = 7;
  for (int i = 0; i < ops && count < 80; i++) {
    cal_value v = random_op(g, pool, count, &r, halves);
    if (v && cal_shape_count(cal_graph_shape(g, v)) <= 2000) pool[count++] = v;
  }
  cal_value loss = cal_graph_number(g, 0), d[3], parameter[3] = {pool[3], pool[4], pool[0]};
  for (int i = count - 5; i < count; i++)
    loss = cal_add(g, loss, cal_mean(g, cal_elementwise(g, "sin", cal_cast(g, pool[i], CAL_F32), 0, 0, 0)));
  cal_graph_differentiate(g, loss, parameter, 3, d);
  cal_graph_output(g, CAL_ACCUMULATE, loss);
  cal_graph_output(g, CAL_ACCUMULATE, d[2]);
  cal_graph_output(g, CAL_ACCUMULATE, pool[count - 2]);
  for (int i = 0; i < 2; i++) cal_graph_store(g, CAL_ACCUMULATE, cal_graph_mirror(g, parameter[i], CAL_GRADIENTS), d[i], seed % 4 != 0);
  cal_graph_store(g, CAL_ACCUMULATE, pool[5], cal_scale(g, cal_add(g, pool[5], cal_sum_to(g, pool[0], SHAPE(4, 6))), 0.1), false);
  /* AdamW without its corrections, clipped by the norm. */
  cal_value p = cal_graph_flat(g, CAL_PARAMETERS), grad = cal_graph_flat(g, CAL_GRADIENTS), m1 = cal_graph_flat(g, CAL_MOMENT_1),
            m2 = cal_graph_flat(g, CAL_MOMENT_2), lr = cal_graph_input(g, "lr", CAL_F32, cal_shape_of(0, NULL));
  cal_value norm = cal_elementwise(g, "sqrt", cal_sum(g, cal_square(g, grad), 1), 0, 0, 0);
  cal_value clip = cal_elementwise(g, "min", cal_div(g, cal_graph_number(g, 1), cal_elementwise(g, "add_k", norm, 0, 0, 1e-6)),
                                   cal_graph_number(g, 1), 0, 0);
  cal_value clipped = cal_mul(g, grad, clip);
  cal_value new_m1 = cal_add(g, cal_scale(g, m1, 0.9), cal_scale(g, clipped, 0.1));
  cal_value new_m2 = cal_add(g, cal_scale(g, cal_square(g, m2), 0.5), cal_scale(g, cal_square(g, clipped), 0.1));
  cal_value step = cal_div(g, new_m1, cal_elementwise(g, "add_k", cal_elementwise(g, "sqrt", new_m2, 0, 0, 0), 0, 0, 0.1));
  cal_graph_store(g, CAL_APPLY, p, cal_sub(g, p, cal_mul(g, step, cal_scale(g, lr, 0.01))), false);
  cal_graph_store(g, CAL_APPLY, m1, new_m1, false);
  cal_graph_store(g, CAL_APPLY, m2, new_m2, false);
  cal_graph_store(g, CAL_APPLY, grad, cal_expand(g, cal_graph_number(g, 0), cal_graph_shape(g, grad)), false);
  cal_graph_output(g, CAL_APPLY, norm);
  return g;
}

static const cal_segment train_step[] = {CAL_ACCUMULATE, CAL_ACCUMULATE, CAL_APPLY};

TEST(a_schedule_gives_what_the_reference_gives_on_random_graphs_and_live_values_never_overlap) {
  for (uint64_t seed = 0; seed < 150; seed++) {
    cal_graph *g = random_training(seed, false, 10 + (int)(seed % 60));
    char what[64];
    snprintf(what, sizeof what, "seed %d", (int)seed);
    if (cal_graph_error(g)->code) printf("  %s: %s\n", what, cal_graph_error(g)->text), test_failures++;
    else check_schedule(g, &(cal_schedule_options){.largest_chunk = seed % 3 ? 0 : 16384}, train_step, 3, 2e-4, seed, what);
    cal_graph_free(g);
  }
}

TEST(the_mean_of_halves_does_not_overflow) {
  cal_error err = {0};
  cal_graph *g = cal_graph_new();
  cal_value x = cal_graph_input(g, "x", CAL_F16, SHAPE(4, 1000)), mean = cal_mean(g, x);
  cal_graph_output(g, CAL_SAMPLE, mean);
  cal_schedule *s = cal_schedule_new(g, NULL, &err);
  cal_interpreter *run = cal_interpreter_new(s, &err);
  uint16_t halves[4000];
  for (int i = 0; i < 4000; i++) halves[i] = cal_f16_of(1000);
  CHECK(!cal_interpreter_write(run, x, halves, sizeof halves, &err) && !cal_interpreter_run(run, CAL_SAMPLE, &err));
  CHECK_NEAR(*(const float *)cal_interpreter_at(run, mean), 1000, 0.01);
  cal_interpreter_free(run);
  cal_schedule_free(s);
  cal_graph_free(g);
}

TEST(a_schedule_without_fusion_or_reuse_gives_the_same) {
  for (uint64_t seed = 0; seed < 20; seed++) {
    cal_graph *g = random_training(seed, false, 30);
    char what[64];
    snprintf(what, sizeof what, "unfused seed %d", (int)seed);
    check_schedule(g, &(cal_schedule_options){.no_fusion = true, .no_reuse = seed % 2}, train_step, 3, 2e-4, seed, what);
    cal_graph_free(g);
  }
}

TEST(a_schedule_with_halves_gives_the_reference_within_their_rounding) {
  for (uint64_t seed = 0; seed < 60; seed++) {
    cal_graph *g = random_training(seed, true, 10 + (int)(seed % 30));
    char what[64];
    snprintf(what, sizeof what, "halves, seed %d", (int)seed);
    check_schedule(g, NULL, train_step, 1, 0.1, seed, what);
    cal_graph_free(g);
  }
}

static cal_schedule *schedule_of(const cal_graph *g) {
  cal_error err = {0};
  cal_schedule *s = cal_schedule_new(g, NULL, &err);
  if (!s) printf("  %s\n", err.text), test_failures++;
  return s;
}

TEST(adamw_over_all_parameters_is_one_chain_with_four_stores) {
  cal_graph *g = random_training(3, false, 10);
  cal_schedule *s = schedule_of(g);
  const cal_schedule_segment *apply = &s->segment[CAL_APPLY];
  const cal_chain *last = apply->step[apply->steps - 1].chain;
  CHECK(last && last->outputs == 4 && last->space.rank == 1);
  CHECK(apply->steps <= 5); /* squares, sum, clip, step */
  cal_schedule_free(s);
  cal_graph_free(g);
}

TEST(a_long_run_of_elementwise_ops_through_reshapes_is_one_chain) {
  cal_graph *g = cal_graph_new();
  cal_value x = cal_graph_input(g, "x", CAL_F32, SHAPE(2, 6, 6, 8)), bias = cal_graph_weight(g, "bias", CAL_F32, SHAPE(8));
  cal_value time = cal_graph_input(g, "time", CAL_F32, SHAPE(2, 1, 1, 8));
  cal_value h = cal_add(g, cal_elementwise(g, "silu", cal_add(g, x, bias), 0, 0, 0), time);
  cal_value tokens = cal_reshape(g, h, SHAPE(2, 36, 8));
  cal_graph_output(g, CAL_SAMPLE, cal_cast(g, cal_add(g, cal_reshape(g, x, SHAPE(2, 36, 8)), cal_scale(g, tokens, 0.5)), CAL_F16));
  cal_schedule *s = schedule_of(g);
  CHECK(s->segment[CAL_SAMPLE].steps == 1);
  CHECK(s->segment[CAL_SAMPLE].step[0].chain->outputs == 1 && s->segment[CAL_SAMPLE].step[0].chain->space.rank == 3);
  CHECK(s->arena_needed == 2 * 36 * 8 * 2);
  cal_schedule_free(s);
  cal_graph_free(g);
}

TEST(what_makes_a_part_of_a_concatenation_writes_it_there) {
  cal_graph *g = cal_graph_new();
  cal_value x = cal_graph_input(g, "x", CAL_F32, SHAPE(4, 8)), y = cal_graph_input(g, "y", CAL_F32, SHAPE(4, 3));
  cal_value parts[2] = {cal_elementwise(g, "silu", x, 0, 0, 0), cal_elementwise(g, "gelu", y, 0, 0, 0)};
  cal_value joined = cal_concat(g, parts, 2, 1);
  cal_graph_output(g, CAL_SAMPLE, joined);
  cal_schedule *s = schedule_of(g);
  CHECK(s->segment[CAL_SAMPLE].steps == 2 && s->arena_needed <= 4 * 11 * 4 + 63);
  CHECK(s->segment[CAL_SAMPLE].step[1].chain->output[0].offset == cal_schedule_place(s, joined)->offset + 8 * 4);
  cal_schedule_free(s);
  cal_graph_free(g);
}

TEST(heads_reach_a_product_as_strides_without_a_copy) {
  cal_graph *g = cal_graph_new();
  cal_value qkv = cal_linear(g, cal_graph_input(g, "x", CAL_F32, SHAPE(2, 5, 8)), cal_graph_weight(g, "w", CAL_F32, SHAPE(24, 8)), 0),
            part[3];
  for (int i = 0; i < 3; i++) part[i] = cal_reshape(g, cal_slice(g, qkv, 2, 8 * i, 8), SHAPE(2, 5, 2, 4));
  cal_graph_output(
      g, CAL_SAMPLE,
      cal_matmul(g, cal_permute(g, part[0], (int[]){0, 2, 1, 3}), cal_permute(g, part[1], (int[]){0, 2, 1, 3}), CAL_TRANSPOSE_B));
  cal_schedule *s = schedule_of(g);
  CHECK(s->segment[CAL_SAMPLE].steps == 2);
  const cal_place *k = &s->segment[CAL_SAMPLE].step[1].input[1];
  CHECK(k->offset == s->segment[CAL_SAMPLE].step[0].output[0].offset + 8 * 4 && k->stride[0] == 120 && k->stride[1] == 4 &&
        k->stride[2] == 24);
  cal_schedule_free(s);
  cal_graph_free(g);
}

TEST(a_schedule_can_be_read) {
  cal_graph *g = cal_graph_new();
  cal_graph_enter(g, "mlp");
  cal_value h = cal_linear(g, cal_graph_input(g, "x", CAL_F32, SHAPE(2, 4)), cal_graph_weight(g, "w", CAL_F16, SHAPE(3, 4)), 0);
  cal_graph_output(g, CAL_SAMPLE, cal_permute(g, cal_scale(g, cal_elementwise(g, "silu", h, 0, 0, 0), 2), (int[]){1, 0}));
  cal_schedule *s = schedule_of(g);
  cal_buffer text = {0};
  cal_schedule_print(s, &text);
  CHECK(strstr(text.data, "sample: 2 steps\n   0  matmul  mlp\n      < f32 [2, 4] inputs 0:0\n      < f16 [3, 4] weights 0:0\n") != NULL);
  CHECK(strstr(text.data, "   1  silu scale  ") != NULL);
  CHECK(strstr(text.data, "      > f32 [2, 3] arena 0:64 by 1,2\n") != NULL);
  cal_buffer_free(&text);
  cal_schedule_free(s);
  cal_graph_free(g);
}

TEST(a_chain_of_a_hundred_layers_needs_the_memory_of_two) {
  cal_graph *g = cal_graph_new();
  cal_value h = cal_graph_input(g, "x", CAL_F32, SHAPE(32, 32));
  for (int i = 0; i < 100; i++) {
    char name[16];
    snprintf(name, sizeof name, "w%d", i);
    h = cal_elementwise(g, "silu", cal_linear(g, h, cal_graph_weight(g, name, CAL_F32, SHAPE(32, 32)), 0), 0, 0, 0);
  }
  cal_graph_output(g, CAL_SAMPLE, h);
  cal_schedule *s = schedule_of(g);
  CHECK(s->segment[CAL_SAMPLE].steps == 200 && s->arena_chunks == 1);
  CHECK(s->arena_needed == 2 * 32 * 32 * 4 && s->arena_chunk[0] <= 3 * 32 * 32 * 4);
  CHECK(s->weight_chunk[0] == 100 * 32 * 32 * 4);
  cal_schedule_free(s);
  cal_graph_free(g);
}

TEST(gradients_are_stored_as_soon_as_they_are_there) {
  cal_graph *g = cal_graph_new();
  cal_value h = cal_graph_input(g, "x", CAL_F32, SHAPE(4, 64)), w[20], dw[20];
  for (int i = 0; i < 20; i++) {
    char name[16];
    snprintf(name, sizeof name, "w%d", i);
    h = cal_elementwise(g, "tanh", cal_linear(g, h, w[i] = cal_graph_state(g, name, CAL_F32, SHAPE(64, 64), CAL_PARAMETERS), 0), 0, 0, 0);
  }
  CHECK(cal_graph_differentiate(g, cal_mean(g, h), w, 20, dw));
  for (int i = 0; i < 20; i++) cal_graph_store(g, CAL_ACCUMULATE, cal_graph_mirror(g, w[i], CAL_GRADIENTS), dw[i], true);
  cal_schedule *s = schedule_of(g);
  CHECK(s->arena_needed < 3 * 64 * 64 * 4); /* not twenty */
  cal_schedule_free(s);
  cal_graph_free(g);
}

TEST(a_gradient_that_is_not_added_to_anything_is_made_in_its_place) {
  for (int add = 0; add < 2; add++) {
    cal_graph *g = cal_graph_new();
    cal_value x = cal_graph_input(g, "x", CAL_F32, SHAPE(4, 6)), w = cal_graph_state(g, "w", CAL_F32, SHAPE(5, 6), CAL_PARAMETERS);
    cal_value v = cal_graph_state(g, "v", CAL_F32, SHAPE(6, 6), CAL_PARAMETERS), d[2];
    cal_value loss = cal_mean(g, cal_square(g, cal_linear(g, cal_linear(g, x, v, 0), w, 0)));
    CHECK(cal_graph_differentiate(g, loss, (cal_value[]){w, v}, 2, d));
    cal_graph_store(g, CAL_ACCUMULATE, cal_graph_mirror(g, w, CAL_GRADIENTS), d[0], add);
    cal_graph_store(g, CAL_ACCUMULATE, cal_graph_mirror(g, v, CAL_GRADIENTS), d[1], add);
    cal_schedule *s = schedule_of(g);
    int in_states = 0;
    for (int t = 0; t < s->segment[CAL_ACCUMULATE].steps; t++) {
      const cal_step *step = &s->segment[CAL_ACCUMULATE].step[t];
      in_states += step->kind == CAL_STEP_NODE && step->output[0].storage == CAL_IN_STATES;
    }
    CHECK(in_states == (add ? 0 : 2));
    cal_schedule_free(s);
    check_schedule(g, NULL, (cal_segment[]){CAL_ACCUMULATE}, 1, 1e-6, 1, "made in place");
    cal_graph_output(g, CAL_ACCUMULATE, cal_sum(g, cal_square(g, d[0]), 3)); /* somebody else reads it too */
    check_schedule(g, NULL, (cal_segment[]){CAL_ACCUMULATE}, 1, 1e-5, 1, "made in place and read");
    cal_graph_free(g);
  }
  cal_graph *g = cal_graph_new(); /* the product reads the state that it would be made in; another is read after it */
  cal_value a = cal_graph_state(g, "a", CAL_F32, SHAPE(4, 4), CAL_NO_GROUP),
            b = cal_graph_state(g, "b", CAL_F32, SHAPE(4, 4), CAL_NO_GROUP);
  cal_value square = cal_matmul(g, a, a, 0), other = cal_matmul(g, a, cal_elementwise(g, "sin", a, 0, 0, 0), 0);
  cal_graph_store(g, CAL_SAMPLE, a, square, false);
  cal_graph_store(g, CAL_SAMPLE, b, other, false);
  cal_graph_output(g, CAL_SAMPLE, cal_elementwise(g, "cos", b, 0, 0, 0));
  check_schedule(g, NULL, (cal_segment[]){CAL_SAMPLE}, 1, 1e-5, 1, "read and made");
  cal_graph_free(g);
}

TEST(states_that_exchange_their_values_are_not_mixed_up) {
  cal_error err = {0};
  cal_graph *g = cal_graph_new();
  cal_value a = cal_graph_state(g, "a", CAL_F32, SHAPE(2, 3), CAL_NO_GROUP),
            b = cal_graph_state(g, "b", CAL_F32, SHAPE(3, 2), CAL_NO_GROUP);
  cal_graph_store(g, CAL_SAMPLE, a, cal_permute(g, b, (int[]){1, 0}), false);
  cal_graph_store(g, CAL_SAMPLE, b, cal_permute(g, cal_scale(g, a, 2), (int[]){1, 0}), false);
  check_schedule(g, NULL, (cal_segment[]){CAL_SAMPLE}, 1, 1e-6, 1, "exchange");
  cal_graph_store(g, CAL_SAMPLE, a, a, false);
  CHECK(strstr(cal_graph_error(g)->text, "stored twice") != NULL);
  CHECK(cal_schedule_new(g, NULL, &err) == NULL && strstr(err.text, "stored twice") != NULL);
  cal_graph_free(g);
}

TEST(a_state_that_is_read_turned_is_not_overwritten_on_the_way) {
  cal_graph *g = cal_graph_new();
  cal_value a = cal_graph_state(g, "a", CAL_F32, SHAPE(4, 4), CAL_NO_GROUP);
  cal_graph_store(g, CAL_SAMPLE, a, cal_elementwise(g, "sin", cal_permute(g, a, (int[]){1, 0}), 0, 0, 0), true);
  check_schedule(g, NULL, (cal_segment[]){CAL_SAMPLE}, 1, 1e-6, 1, "turned");
  cal_graph_free(g);
}

TEST(half_of_a_dying_value_is_not_moved_within_its_own_memory) {
  cal_graph *g = cal_graph_new();
  cal_value x = cal_softmax(g, cal_graph_input(g, "x", CAL_F32, SHAPE(600))), w = cal_graph_weight(g, "w", CAL_F32, SHAPE(300));
  cal_value shifted = cal_add(g, cal_slice(g, x, 0, 300, 300), cal_slice(g, x, 0, 299, 300));
  cal_graph_output(g, CAL_SAMPLE, cal_softmax(g, cal_concat(g, (cal_value[]){shifted, w}, 2, 0)));
  check_schedule(g, NULL, (cal_segment[]){CAL_SAMPLE}, 1, 1e-6, 1, "half");
  cal_graph_free(g);
}

TEST(a_tensor_larger_than_a_buffer_is_refused_with_its_path_and_size) {
  cal_error err = {0};
  cal_graph *g = cal_graph_new();
  cal_graph_enter(g, "vae.decoder");
  cal_value x = cal_graph_input(g, "x", CAL_F32, SHAPE(16));
  cal_graph_output(g, CAL_SAMPLE, cal_elementwise(g, "silu", cal_expand(g, x, SHAPE(100, 16)), 0, 0, 0));
  CHECK(cal_schedule_new(g, &(cal_schedule_options){.largest_chunk = 1024}, &err) == NULL);
  CHECK_TEXT(err.text, "vae.decoder: a tensor of 1600 f32 needs 6400 bytes; this device allows 1024 in one buffer");
  CHECK(err.code == CAL_E_LIMIT);
  cal_graph_free(g);
}

TEST(what_does_not_fit_a_device_is_refused_with_its_numbers) {
  cal_error err = {0};
  const cal_schedule_options small = {.largest_chunk = 1024};
  cal_graph *g = cal_graph_new();
  cal_value y = cal_sum(g, cal_graph_weight(g, "unet.w", CAL_F16, SHAPE(1000)), 1);
  cal_graph_output(g, CAL_SAMPLE, y);
  CHECK(!cal_schedule_new(g, &small, &err));
  CHECK_TEXT(err.text, "unet.w: needs 2048 bytes; this device allows 1024 in one buffer");
  cal_graph_output(g, CAL_APPLY, y);
  CHECK(!cal_schedule_new(g, NULL, &err) && strstr(err.text, "a value is an output of two segments") != NULL);
  cal_graph_free(g);

  g = cal_graph_new();
  for (int i = 0; i < 10; i++) {
    char name[16];
    snprintf(name, sizeof name, "x%d", i);
    cal_graph_input(g, name, CAL_F32, SHAPE(64));
  }
  CHECK(!cal_schedule_new(g, &small, &err));
  CHECK_TEXT(err.text, "schedule: all inputs together have 2560 bytes; this device allows 1024 in one buffer");
  cal_graph_free(g);

  g = cal_graph_new();
  for (int i = 0; i < 10; i++) {
    char name[16];
    snprintf(name, sizeof name, "p%d", i);
    cal_graph_state(g, name, CAL_F32, SHAPE(64), CAL_PARAMETERS);
  }
  cal_graph_output(g, CAL_SAMPLE, cal_sum(g, cal_graph_state(g, "p0", CAL_F32, SHAPE(64), CAL_PARAMETERS), 1));
  CHECK(!cal_schedule_new(g, &small, &err));
  CHECK_TEXT(err.text, "schedule: 640 parameters need 2560 bytes in one buffer; this device allows 1024");
  cal_graph_free(g);
}

TEST(same_graph_same_schedule) {
  cal_graph *g[2] = {random_training(8, true, 50), random_training(8, true, 50)};
  cal_schedule *s[2] = {schedule_of(g[0]), schedule_of(g[1])};
  for (int k = 0; k < CAL_SEGMENTS; k++) {
    CHECK(s[0]->segment[k].steps == s[1]->segment[k].steps);
    for (int t = 0; t < s[0]->segment[k].steps; t++) {
      const cal_step *a = &s[0]->segment[k].step[t], *b = &s[1]->segment[k].step[t];
      CHECK(a->kind == b->kind && a->op == b->op && !memcmp(a->input, b->input, sizeof a->input) &&
            !memcmp(a->output, b->output, sizeof a->output));
      if (a->chain) CHECK(!memcmp(a->chain, b->chain, sizeof *a->chain));
    }
  }
  for (int i = 0; i < 2; i++) cal_schedule_free(s[i]), cal_graph_free(g[i]);
}

TEST(no_memory_at_any_moment_is_refused_and_leaks_nothing) {
  size_t before = cal_memory_in_use();
  bool done = false;
  for (long n = 0; !done; n++) {
    cal_error err = {0};
    cal_memory_fail_after(n);
    cal_graph *g = cal_graph_new();
    cal_value x = g ? cal_graph_input(g, "x", CAL_F32, SHAPE(4, 8)) : 0, dx = 0;
    if (g) {
      cal_graph_enter(g, "a");
      cal_value y = cal_concat(g,
                               (cal_value[]){cal_elementwise(g, "gelu", cal_slice(g, x, 1, 0, 4), 0, 0, 0),
                                             cal_permute(g, cal_slice(g, x, 1, 4, 4), (int[]){1, 0})},
                               2, 1);
      cal_graph_differentiate(g, cal_mean(g, cal_layer_norm(g, y, 1e-5, 0, 0)), &x, 1, &dx);
      cal_graph_output(g, CAL_SAMPLE, dx);
    }
    cal_schedule *s = g ? cal_schedule_new(g, NULL, &err) : NULL;
    cal_interpreter *run = s ? cal_interpreter_new(s, &err) : NULL;
    cal_reference *ref = run ? cal_reference_new(g, CAL_IN_FLOAT, &err) : NULL;
    double zeros[32] = {0};
    done = ref && !cal_interpreter_run(run, CAL_SAMPLE, &err) && !cal_reference_set(ref, x, zeros, &err) &&
           !cal_reference_run(ref, CAL_SAMPLE, &err);
    if (!done && g) CHECK(err.code == CAL_E_MEMORY);
    cal_reference_free(ref);
    cal_interpreter_free(run);
    cal_schedule_free(s);
    cal_graph_free(g);
    cal_memory_fail_after(-1);
    CHECK(n < 5000);
    done = done || n >= 5000;
  }
  CHECK(cal_memory_in_use() == before);
}

TEST_MAIN()
