#include <stdlib.h>

#include "core/base/random.h"
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

TEST_MAIN()
