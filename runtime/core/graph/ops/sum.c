/* sum.c - sums over axes, which stay with size 1. attr.i[0]: bit i is axis i; attr.i[1]: dtype
 * of the result + 1.
 *
 * Accumulation is in f32 for every float dtype; kernels use a fixed tree, so that the same device gives the same bits. */
#ifdef real

static void FN(sum)(const cal_reference_call *call) {
  const cal_shape in = call->input_shape[0];
  int64_t stride[CAL_DIMS], index[CAL_DIMS] = {0}, at = 0;
  cal_strides_broadcast(call->output_shape[0], in, stride);
  const real *x = call->input[0];
  real *y = call->output[0];
  for (int64_t i = 0; i < cal_shape_count(call->output_shape[0]); i++) y[i] = 0;
  for (int64_t n = cal_shape_count(in), i = 0; i < n; i++) {
    y[at] += x[i];
    for (int axis = in.rank; axis-- > 0;) {
      bool carry = ++index[axis] == in.dim[axis];
      if (carry) index[axis] = 0;
      at += carry ? -stride[axis] * (in.dim[axis] - 1) : stride[axis];
      if (!carry) break;
    }
  }
}

#else

#include <math.h>

#include "core/graph/op.h"
#include "core/graph/strides.h"

#define BOTH "core/graph/ops/sum.c"
#include "core/graph/ops/both.inc"

static cal_status infer(const cal_graph *g, const cal_node *node, cal_value_info *outputs, cal_error *err) {
  const cal_value_info *x = cal_graph_info(g, node->input[0]);
  unsigned axes = (unsigned)node->attr.i[0];
  if (x->dtype == CAL_I32) return cal_fail(err, CAL_E_ARG, "sum: of i32; cast it first");
  if (axes >> x->shape.rank) return cal_fail(err, CAL_E_ARG, "sum: axes 0x%x of a tensor with %d", axes, x->shape.rank);
  outputs[0].dtype = cal_result_dtype(node, x->dtype);
  outputs[0].shape = x->shape;
  for (int i = 0; i < x->shape.rank; i++)
    if (axes >> i & 1) outputs[0].shape.dim[i] = 1;
  return CAL_OK;
}

static cal_value derivative(cal_graph *g, const cal_node *node, int index, const cal_value *d) {
  (void)index;
  return cal_expand(g, d[0], cal_graph_shape(g, node->input[0]));
}

static cal_cost cost(const cal_graph *g, const cal_node *node) {
  return cal_cost_of(g, node, (double)cal_shape_count(cal_graph_shape(g, node->input[0])));
}

static cal_value sample(cal_graph *g, const cal_op *op, int index) {
  (void)op;
  switch (index) {
    case 0: return cal_sum(g, CAL_SAMPLE(g, 7), 1);
    case 1: return cal_sum(g, CAL_SAMPLE(g, 3, 1, 5), 2 | 4);
    case 2: return cal_sum(g, CAL_SAMPLE(g, 2, 3, 4, 5), 1 | 4);
    case 3: return cal_sum(g, cal_permute(g, CAL_SAMPLE(g, 4, 37), (int[]){1, 0}), 1);
    case 4: return cal_sum(g, CAL_SAMPLE(g, 33, 65), 3);
    default: return 0;
  }
}

extern const cal_op cal_op_sum;
const cal_op cal_op_sum = {"sum",
                           1,
                           1,
                           1,
                           .strided = 1,
                           .dtype_at = 1,
                           .infer = infer,
                           .in_float = sum_float,
                           .in_double = sum_double,
                           .derivative = derivative,
                           .cost = cost,
                           .sample = sample,
                           .tolerance = 1e-5};

cal_value cal_sum(cal_graph *g, cal_value a, unsigned axes) {
  cal_shape s = cal_graph_shape(g, a);
  unsigned worth = 0;
  for (int i = 0; i < s.rank; i++)
    if (axes >> i & 1 && s.dim[i] != 1) worth |= 1u << i;
  if (a && !worth && !(axes >> s.rank)) return a;
  return cal_graph_add(g, &cal_op_sum, &a, 1, &(cal_attributes){.i = {axes}});
}

cal_value cal_mean(cal_graph *g, cal_value a) {
  cal_shape s = cal_graph_shape(g, a);
  cal_value sum = cal_sum(g, cal_reshape(g, a, cal_shape_of(1, (int64_t[]){-1})), 1);
  sum = cal_cast(g, sum, CAL_F32); /* the sum of halves may be larger than a half can be */
  return cal_scale(g, cal_reshape(g, sum, (cal_shape){0}), 1.0 / (double)cal_shape_count(s));
}

cal_value cal_sum_to(cal_graph *g, cal_value a, cal_shape shape) {
  cal_shape s = cal_graph_shape(g, a);
  if (!a || cal_shape_equal(s, shape)) return a;
  unsigned axes = 0;
  for (int i = 0; i < s.rank; i++) {
    int own = i - (s.rank - shape.rank);
    if (own < 0 || shape.dim[own] != s.dim[i]) axes |= 1u << i;
  }
  return cal_reshape(g, cal_sum(g, a, axes), shape);
}

cal_cost cal_cost_of(const cal_graph *g, const cal_node *node, double flops) {
  cal_cost cost = {.flops = flops};
  for (int i = 0; i < node->inputs + node->outputs; i++) {
    const cal_value_info *v = cal_graph_info(g, i < node->inputs ? node->input[i] : node->output[i - node->inputs]);
    cost.bytes += (double)cal_shape_count(v->shape) * (double)cal_dtype_size(v->dtype);
  }
  return cost;
}

cal_value cal_sample_input(cal_graph *g, int rank, const int64_t *dims) {
  char name[32];
  snprintf(name, sizeof name, "sample %d", cal_graph_value_count(g));
  return cal_graph_input(g, name, CAL_F32, cal_shape_of(rank, dims));
}

#endif
