/* softmax.c - y = exp(x - max x) / sum exp(x - max x) over the last axis; statistics in f32 for every float dtype.
 * A row that is -inf throughout (everything masked) gives zeros. */
#ifdef real

static void FN(softmax)(const cal_reference_call *call) {
  const cal_shape s = call->input_shape[0];
  const int64_t width = s.rank ? s.dim[s.rank - 1] : 1, rows = cal_shape_count(s) / width;
  for (int64_t r = 0; r < rows; r++) {
    const real *x = (const real *)call->input[0] + r * width;
    real *y = (real *)call->output[0] + r * width, top = x[0], sum = 0;
    for (int64_t i = 1; i < width; i++) top = FMAX(top, x[i]);
    for (int64_t i = 0; i < width; i++) sum += y[i] = top > -(real)INFINITY ? EXP(x[i] - top) : 0;
    for (int64_t i = 0; i < width; i++) y[i] = sum > 0 ? y[i] / sum : isnan(sum) ? sum : 0;
  }
}

/* dx = y * (d - sum(y * d)). */
static void FN(softmax_dx)(const cal_reference_call *call) {
  const cal_shape s = call->input_shape[0];
  const int64_t width = s.rank ? s.dim[s.rank - 1] : 1, rows = cal_shape_count(s) / width;
  for (int64_t r = 0; r < rows; r++) {
    const real *y = (const real *)call->input[0] + r * width, *d = (const real *)call->input[1] + r * width;
    real *dx = (real *)call->output[0] + r * width, sum = 0;
    for (int64_t i = 0; i < width; i++) sum += y[i] * d[i];
    for (int64_t i = 0; i < width; i++) dx[i] = y[i] * (d[i] - sum);
  }
}

#else

#include <math.h>

#include "core/graph/op.h"

#define BOTH "core/graph/ops/softmax.c"
#include "core/graph/ops/both.inc"

static cal_status infer(const cal_graph *g, const cal_node *node, cal_value_info *outputs, cal_error *err) {
  const cal_value_info *x = cal_graph_info(g, node->input[0]);
  if (x->dtype == CAL_I32) return cal_fail(err, CAL_E_ARG, "%s: of i32", node->op->name);
  for (int i = 1; i < node->inputs; i++) {
    const cal_value_info *d = cal_graph_info(g, node->input[i]);
    char a[CAL_SHAPE_TEXT], b[CAL_SHAPE_TEXT];
    if (!cal_shape_equal(x->shape, d->shape))
      return cal_fail(err, CAL_E_ARG, "%s: %s and %s are not the same", node->op->name, cal_shape_text(x->shape, a),
                      cal_shape_text(d->shape, b));
  }
  outputs[0].dtype = x->dtype;
  outputs[0].shape = x->shape;
  return CAL_OK;
}

static cal_cost cost(const cal_graph *g, const cal_node *node) {
  return cal_cost_of(g, node, 5 * (double)cal_shape_count(cal_graph_shape(g, node->output[0])));
}

extern const cal_op cal_op_softmax, cal_op_softmax_dx;

static cal_value derivative(cal_graph *g, const cal_node *node, int index, const cal_value *d) {
  (void)index;
  return cal_graph_add(g, &cal_op_softmax_dx, (cal_value[]){node->output[0], d[0]}, 2, NULL);
}

static cal_value sample(cal_graph *g, const cal_op *op, int index) {
  static const int64_t shapes[][3] = {{1, 1, 1}, {2, 3, 7}, {1, 5, 77}, {3, 1, 64}};
  if (index >= (int)(sizeof shapes / sizeof *shapes)) return 0;
  cal_value in[2] = {cal_sample_input(g, 3, shapes[index])};
  if (op->most_inputs == 2) in[1] = cal_sample_input(g, 3, shapes[index]);
  return cal_graph_add(g, op, in, op->most_inputs, NULL);
}

const cal_op cal_op_softmax = {"softmax",
                               1,
                               1,
                               1,
                               .in_place = 1,
                               .infer = infer,
                               .in_float = softmax_float,
                               .in_double = softmax_double,
                               .derivative = derivative,
                               .cost = cost,
                               .sample = sample,
                               .tolerance = 5e-6};
const cal_op cal_op_softmax_dx = {"softmax_dx",
                                  2,
                                  2,
                                  1,
                                  .in_place = 3,
                                  .infer = infer,
                                  .in_float = softmax_dx_float,
                                  .in_double = softmax_dx_double,
                                  .cost = cost,
                                  .sample = sample,
                                  .tolerance = 5e-6};

cal_value cal_softmax(cal_graph *g, cal_value a) { return cal_graph_add(g, &cal_op_softmax, &a, 1, NULL); }

#endif
