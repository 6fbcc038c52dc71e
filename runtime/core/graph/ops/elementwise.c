/* elementwise.c - ops that look at one element of each input at a time: the rows of elementwise.def as op records.
 *
 * Shapes are broadcast from the right as numpy does. The gradient of input x of row "silu" is the row "silu.dx", an op of its
 * own; what was repeated by broadcasting is summed again afterwards. */
#ifdef real

#define UNUSED (void)a, (void)b, (void)c, (void)y, (void)d, (void)k
#define ROW(name, inputs, domain, expression)                                  \
  static real FN(row_##name)(real a, real b, real c, real y, real d, real k) { \
    UNUSED;                                                                    \
    return expression;                                                         \
  }
#define STEP ROW
#define GRADIENT(name, of, inputs, expression)                                         \
  static real FN(row_##name##_d##of)(real a, real b, real c, real y, real d, real k) { \
    UNUSED;                                                                            \
    return expression;                                                                 \
  }
#include "core/graph/ops/elementwise.def"
#undef ROW
#undef STEP
#undef GRADIENT
#undef UNUSED

static void FN(elementwise)(const cal_reference_call *call) {
  const cal_row *row = call->node->op->row;
  const cal_shape out = call->output_shape[0];
  int64_t stride[CAL_MOST_INPUTS][CAL_DIMS], index[CAL_DIMS] = {0}, at[CAL_MOST_INPUTS] = {0};
  int letter[CAL_MOST_INPUTS];
  const bool whole = call->input_dtype[0] == CAL_I32;
  for (int i = 0; i < call->node->inputs; i++) {
    cal_strides_broadcast(call->input_shape[i], out, stride[i]);
    letter[i] = letter_of(row->inputs[i]);
  }
  real *y = call->output[0], value[5] = {0}, k = (real)call->node->attr.r[0];
  for (int64_t n = cal_shape_count(out), i = 0; i < n; i++) {
    for (int j = 0; j < call->node->inputs; j++)
      value[letter[j]] = whole ? (real)((const int32_t *)call->input[j])[at[j]] : ((const real *)call->input[j])[at[j]];
    y[i] = row->FN(in)(value[0], value[1], value[2], value[3], value[4], k);
    for (int axis = out.rank; axis-- > 0;) {
      bool carry = ++index[axis] == out.dim[axis];
      if (carry) index[axis] = 0;
      for (int j = 0; j < call->node->inputs; j++) at[j] += carry ? -stride[j][axis] * (out.dim[axis] - 1) : stride[j][axis];
      if (!carry) break;
    }
  }
}

#else

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/graph/op.h"
#include "core/graph/strides.h"

static int letter_of(char letter) { return (int)(strchr("abcyd", letter) - "abcyd"); }

#define BOTH "core/graph/ops/elementwise.c"
#include "core/graph/ops/both.inc"

/* What is repeated (a bias, a time embedding, a mask, a number) does not widen what it is added to. */
static cal_status infer(const cal_graph *g, const cal_node *node, cal_value_info *outputs, cal_error *err) {
  const char *name = node->op->name;
  cal_shape shape = {0};
  for (int i = 0; i < node->inputs; i++) {
    const cal_value_info *x = cal_graph_info(g, node->input[i]);
    if (x->dtype == CAL_I32 && !node->attr.i[0]) return cal_fail(err, CAL_E_ARG, "%s: input %d is i32; cast it first", name, i + 1);
    if (cal_shape_broadcast(name, shape, x->shape, &shape, err)) return err->code;
  }
  cal_dtype whole = CAL_F32, any = CAL_F32;
  bool some_whole = false;
  for (int i = 0; i < node->inputs; i++) {
    const cal_value_info *x = cal_graph_info(g, node->input[i]);
    any = i ? cal_dtype_wider(any, x->dtype) : x->dtype;
    if (cal_shape_count(x->shape) != cal_shape_count(shape) || (shape.rank && !x->shape.rank)) continue;
    whole = some_whole ? cal_dtype_wider(whole, x->dtype) : x->dtype;
    some_whole = true;
  }
  outputs[0].shape = shape;
  outputs[0].dtype = node->attr.i[0] ? (cal_dtype)(node->attr.i[0] - 1) : some_whole ? whole : any;
  if (outputs[0].dtype == CAL_I32) return cal_fail(err, CAL_E_ARG, "%s: nothing is computed in i32", name);
  return CAL_OK;
}

static cal_value derivative(cal_graph *g, const cal_node *node, int index, const cal_value *d_outputs) {
  const cal_row *row = node->op->row;
  if (row->no_gradient) return 0;
  char name[32];
  snprintf(name, sizeof name, "%s.d%c", node->op->name, row->inputs[index]);
  const cal_op *op = cal_op_find(name);
  if (!op) return 0; /* the condition of a select */
  cal_value d = d_outputs[0];
  if (strcmp(op->row->text, "d") != 0) {
    cal_value in[CAL_MOST_INPUTS];
    for (int i = 0; i < op->most_inputs; i++) {
      char letter = op->row->inputs[i];
      in[i] = letter == 'y' ? node->output[0] : letter == 'd' ? d_outputs[0] : node->input[letter - 'a'];
    }
    d = cal_graph_add(g, op, in, op->most_inputs, &(cal_attributes){.r = {node->attr.r[0]}});
  }
  return cal_sum_to(g, d, cal_graph_shape(g, node->input[index]));
}

static cal_cost cost(const cal_graph *g, const cal_node *node) {
  return cal_cost_of(g, node, (double)cal_shape_count(cal_graph_shape(g, node->output[0])));
}

/* Sizes of 1, odd sizes, broadcasting on either side, scalars. */
static cal_value sample(cal_graph *g, const cal_op *op, int index) {
  static const struct {
    int rank;
    int64_t dim[4];
  } shapes[][5] = {{{1, {1}}, {1, {1}}, {1, {1}}, {1, {1}}, {1, {1}}},
                   {{1, {7}}, {1, {7}}, {1, {7}}, {1, {7}}, {1, {7}}},
                   {{3, {2, 3, 5}}, {1, {5}}, {2, {3, 1}}, {3, {2, 3, 5}}, {3, {2, 3, 5}}},
                   {{2, {3, 1}}, {4, {2, 1, 1, 3}}, {0, {0}}, {4, {2, 1, 3, 3}}, {1, {1}}},
                   {{2, {33, 17}}, {2, {33, 17}}, {0, {0}}, {2, {33, 17}}, {2, {33, 17}}}};
  if (index >= (int)(sizeof shapes / sizeof *shapes)) return 0;
  cal_value in[CAL_MOST_INPUTS];
  for (int i = 0; i < op->most_inputs; i++) in[i] = cal_sample_input(g, shapes[index][i].rank, shapes[index][i].dim);
  /* k is what makes power interesting; a cast goes to f32. */
  cal_attributes attr = {.i = {strcmp(op->name, "cast") == 0}, .r = {op->row->uses_k ? 1.7 : 0}};
  return cal_graph_add(g, op, in, op->most_inputs, &attr);
}

/* The number of inputs: letters but k. */
#define COUNT(inputs) ((int)sizeof(inputs) - 1 - (sizeof(inputs) >= 2 && (inputs)[sizeof(inputs) - 2] == 'k'))
#define RECORD(symbol, text_name, row_inputs, of_domain, expression_text, step, derivative_fn)                        \
  static const cal_row row_##symbol = {row_inputs, expression_text,      (row_inputs)[sizeof(row_inputs) - 2] == 'k', \
                                       step,       row_##symbol##_float, row_##symbol##_double};                      \
  extern const cal_op cal_op_##symbol;                                                                                \
  const cal_op cal_op_##symbol = {.name = text_name,                                                                  \
                                  .least_inputs = COUNT(row_inputs),                                                  \
                                  .most_inputs = COUNT(row_inputs),                                                   \
                                  .outputs = 1,                                                                       \
                                  .strided = ~0u,                                                                     \
                                  .in_place = ~0u,                                                                    \
                                  .infer = infer,                                                                     \
                                  .in_float = elementwise_float,                                                      \
                                  .in_double = elementwise_double,                                                    \
                                  .derivative = derivative_fn,                                                        \
                                  .cost = cost,                                                                       \
                                  .sample = sample,                                                                   \
                                  .domain = of_domain,                                                                \
                                  .row = &row_##symbol,                                                               \
                                  .tolerance = 2e-6};
#define ROW(name, inputs, domain, expression) RECORD(name, #name, inputs, domain, #expression, false, derivative)
#define STEP(name, inputs, domain, expression) RECORD(name, #name, inputs, domain, #expression, true, derivative)
#define GRADIENT(name, of, inputs, expression) RECORD(name##_d##of, #name ".d" #of, inputs, CAL_POSITIVE, #expression, false, NULL)
/* The expressions are wanted as written: their macros must not be expanded on the way into RECORD's arguments. */
#include "core/graph/ops/elementwise.def"

/* ---- building ------------------------------------------------------------------------------------------------------ */

cal_value cal_elementwise(cal_graph *g, const char *row, cal_value a, cal_value b, cal_value c, double k) {
  const cal_op *op = cal_op_find(row);
  if (!op || !op->row) return cal_graph_fail(g, CAL_E_ARG, "\"%s\" is no elementwise op", row);
  const cal_value in[3] = {a, b, c};
  int count = op->most_inputs;
  for (int i = 0; i < 3 && i < count; i++)
    if (!in[i]) return cal_graph_fail(g, CAL_E_ARG, "%s: input %d of %d is missing", row, i + 1, count);
  if (count > 3) return cal_graph_fail(g, CAL_E_ARG, "%s: is built by differentiating", row);
  return cal_graph_add(g, op, in, count, &(cal_attributes){.r = {op->row->uses_k ? k : 0}});
}

cal_value cal_add(cal_graph *g, cal_value a, cal_value b) { return cal_elementwise(g, "add", a, b, 0, 0); }
cal_value cal_sub(cal_graph *g, cal_value a, cal_value b) { return cal_elementwise(g, "sub", a, b, 0, 0); }
cal_value cal_mul(cal_graph *g, cal_value a, cal_value b) { return cal_elementwise(g, "mul", a, b, 0, 0); }
cal_value cal_div(cal_graph *g, cal_value a, cal_value b) { return cal_elementwise(g, "div", a, b, 0, 0); }
cal_value cal_square(cal_graph *g, cal_value a) { return cal_elementwise(g, "square", a, 0, 0, 0); }
cal_value cal_scale(cal_graph *g, cal_value a, double k) { return k == 1 ? a : cal_elementwise(g, "scale", a, 0, 0, k); }

/* A product that is only wanted in another dtype is computed into that dtype. */
cal_value cal_cast(cal_graph *g, cal_value a, cal_dtype dtype) {
  const cal_value_info *info = cal_graph_info(g, a);
  if (!a || info->dtype == dtype) return a;
  const cal_node *node = info->source == CAL_COMPUTED ? cal_graph_node(g, info->node) : NULL;
  if (node && strcmp(node->op->name, "reshape") == 0) return cal_reshape(g, cal_cast(g, node->input[0], dtype), info->shape);
  if (node && node->op->dtype_at && dtype != CAL_I32) {
    cal_attributes attr = node->attr;
    attr.i[node->op->dtype_at] = dtype + 1;
    return cal_graph_add(g, node->op, node->input, node->inputs, &attr);
  }
  return cal_graph_add(g, cal_op_find("cast"), &a, 1, &(cal_attributes){.i = {dtype + 1}});
}

#endif
