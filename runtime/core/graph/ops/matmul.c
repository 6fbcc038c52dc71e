/* matmul.c - products of matrices: c[.., m, n] = sum over k of a[.., m, k] b[.., k, n]. attr.i[0]: CAL_TRANSPOSE_A reads a as
 * [.., k, m], CAL_TRANSPOSE_B reads b as [.., n, k] (a linear layer's weight). attr.i[1]: dtype of the result + 1.
 * Leading axes are broadcast from the right. */
#ifdef real

static void FN(matmul)(const cal_reference_call *call) {
  const cal_shape out = call->output_shape[0], as = call->input_shape[0], bs = call->input_shape[1];
  const bool ta = call->node->attr.i[0] & CAL_TRANSPOSE_A, tb = call->node->attr.i[0] & CAL_TRANSPOSE_B;
  const int64_t M = out.dim[out.rank - 2], N = out.dim[out.rank - 1], K = as.dim[as.rank - (ta ? 2 : 1)];
  const int64_t am = ta ? 1 : K, ak = ta ? M : 1, bk = tb ? 1 : N, bn = tb ? K : 1;
  cal_shape lead = out, lead_a = as, lead_b = bs;
  lead.rank -= 2, lead_a.rank -= 2, lead_b.rank -= 2;
  int64_t stride_a[CAL_DIMS], stride_b[CAL_DIMS];
  cal_strides_broadcast(lead_a, lead, stride_a);
  cal_strides_broadcast(lead_b, lead, stride_b);
  for (int64_t batches = cal_shape_count(lead), batch = 0; batch < batches; batch++) {
    int64_t at_a = 0, at_b = 0, rest = batch;
    for (int axis = lead.rank; axis-- > 0; rest /= lead.dim[axis]) {
      at_a += rest % lead.dim[axis] * stride_a[axis];
      at_b += rest % lead.dim[axis] * stride_b[axis];
    }
    const real *a = (const real *)call->input[0] + at_a * M * K, *b = (const real *)call->input[1] + at_b * K * N;
    real *c = (real *)call->output[0] + batch * M * N;
    for (int64_t m = 0; m < M; m++) {
      for (int64_t n = 0; n < N; n++) {
        real sum = 0;
        for (int64_t k = 0; k < K; k++) sum += a[m * am + k * ak] * b[k * bk + n * bn];
        c[m * N + n] = sum;
      }
    }
  }
}

#else

#include <inttypes.h>
#include <math.h>

#include "core/graph/op.h"
#include "core/graph/strides.h"

#define BOTH "core/graph/ops/matmul.c"
#include "core/graph/ops/both.inc"

static cal_status infer(const cal_graph *g, const cal_node *node, cal_value_info *outputs, cal_error *err) {
  const cal_value_info *a = cal_graph_info(g, node->input[0]), *b = cal_graph_info(g, node->input[1]);
  const bool ta = node->attr.i[0] & CAL_TRANSPOSE_A, tb = node->attr.i[0] & CAL_TRANSPOSE_B;
  char at[CAL_SHAPE_TEXT], bt[CAL_SHAPE_TEXT];
  if (a->dtype == CAL_I32 || b->dtype == CAL_I32) return cal_fail(err, CAL_E_ARG, "matmul: of i32; cast it first");
  if (a->shape.rank < 2 || b->shape.rank < 2)
    return cal_fail(err, CAL_E_ARG, "matmul: %s x %s: both need two axes", cal_shape_text(a->shape, at), cal_shape_text(b->shape, bt));
  int64_t m = a->shape.dim[a->shape.rank - (ta ? 1 : 2)], k = a->shape.dim[a->shape.rank - (ta ? 2 : 1)];
  int64_t n = b->shape.dim[b->shape.rank - (tb ? 2 : 1)], kb = b->shape.dim[b->shape.rank - (tb ? 1 : 2)];
  if (k != kb)
    return cal_fail(err, CAL_E_ARG, "matmul: inner sizes differ, %s%s x %s%s: %" PRId64 " and %" PRId64, cal_shape_text(a->shape, at),
                    ta ? " transposed" : "", cal_shape_text(b->shape, bt), tb ? " transposed" : "", k, kb);
  cal_shape lead_a = a->shape, lead_b = b->shape, out;
  lead_a.rank -= 2, lead_b.rank -= 2;
  if (cal_shape_broadcast("matmul", lead_a, lead_b, &out, err)) return err->code;
  out.dim[out.rank++] = m;
  out.dim[out.rank++] = n;
  outputs[0].shape = out;
  outputs[0].dtype = cal_result_dtype(node, a->dtype);
  return CAL_OK;
}

/* y = a b: da = d b', db = a' d, each written so that no transposed copy is needed, then summed over what was repeated. */
static cal_value derivative(cal_graph *g, const cal_node *node, int index, const cal_value *d) {
  const bool ta = node->attr.i[0] & CAL_TRANSPOSE_A, tb = node->attr.i[0] & CAL_TRANSPOSE_B;
  cal_value a = node->input[0], b = node->input[1], result;
  if (index == 0)
    result = ta ? cal_matmul(g, b, d[0], (tb ? CAL_TRANSPOSE_A : 0) | CAL_TRANSPOSE_B) : cal_matmul(g, d[0], b, tb ? 0 : CAL_TRANSPOSE_B);
  else
    result = tb ? cal_matmul(g, d[0], a, CAL_TRANSPOSE_A | (ta ? CAL_TRANSPOSE_B : 0)) : cal_matmul(g, a, d[0], ta ? 0 : CAL_TRANSPOSE_A);
  result = cal_cast(g, result, cal_graph_info(g, node->input[index])->dtype);
  return cal_sum_to(g, result, cal_graph_shape(g, node->input[index]));
}

static cal_cost cost(const cal_graph *g, const cal_node *node) {
  cal_shape a = cal_graph_shape(g, node->input[0]);
  int64_t k = a.dim[a.rank - (node->attr.i[0] & CAL_TRANSPOSE_A ? 2 : 1)];
  return cal_cost_of(g, node, 2.0 * (double)k * (double)cal_shape_count(cal_graph_shape(g, node->output[0])));
}

static cal_value sample(cal_graph *g, const cal_op *op, int index) {
  (void)op;
  switch (index) {
    case 0: return cal_matmul(g, CAL_SAMPLE(g, 1, 1), CAL_SAMPLE(g, 1, 1), 0);
    case 1: return cal_matmul(g, CAL_SAMPLE(g, 3, 5), CAL_SAMPLE(g, 5, 7), 0);
    case 2: return cal_matmul(g, CAL_SAMPLE(g, 5, 3), CAL_SAMPLE(g, 7, 5), CAL_TRANSPOSE_A | CAL_TRANSPOSE_B);
    case 3: return cal_matmul(g, CAL_SAMPLE(g, 2, 4, 5), CAL_SAMPLE(g, 2, 3, 5), CAL_TRANSPOSE_B);
    case 4: return cal_matmul(g, CAL_SAMPLE(g, 2, 1, 5, 3), CAL_SAMPLE(g, 2, 5, 4), CAL_TRANSPOSE_A); /* both repeated */
    case 5: return cal_matmul(g, CAL_SAMPLE(g, 4, 3), CAL_SAMPLE(g, 3, 3, 2), 0);                     /* a repeated */
    case 6: return cal_matmul(g, CAL_SAMPLE(g, 2, 3, 17), CAL_SAMPLE(g, 33, 17), CAL_TRANSPOSE_B);    /* a linear layer */
    case 7: return cal_matmul(g, CAL_SAMPLE(g, 65, 19), CAL_SAMPLE(g, 19, 35), 0);
    case 8: { /* heads: strided views on both sides */
      cal_value q = cal_permute(g, CAL_SAMPLE(g, 2, 5, 3, 4), (int[]){0, 2, 1, 3}),
                k = cal_permute(g, CAL_SAMPLE(g, 2, 6, 3, 4), (int[]){0, 2, 1, 3});
      return cal_matmul(g, q, k, CAL_TRANSPOSE_B);
    }
    case 9: return cal_matmul(g, CAL_SAMPLE(g, 13, 96), CAL_SAMPLE(g, 71, 96), CAL_TRANSPOSE_B); /* a few rows of a text's next token */
    default: return 0;
  }
}

extern const cal_op cal_op_matmul;
const cal_op cal_op_matmul = {"matmul",
                              2,
                              2,
                              1,
                              .strided = 3,
                              .dtype_at = 1,
                              .infer = infer,
                              .in_float = matmul_float,
                              .in_double = matmul_double,
                              .derivative = derivative,
                              .cost = cost,
                              .sample = sample,
                              .tolerance = 1e-5};

/* Many rows against one matrix are one product: the leading axes of a are folded, and its gradient needs no sum. */
cal_value cal_matmul(cal_graph *g, cal_value a, cal_value b, unsigned flags) {
  cal_shape as = cal_graph_shape(g, a), bs = cal_graph_shape(g, b);
  if (a && b && bs.rank == 2 && as.rank > 2 && !(flags & CAL_TRANSPOSE_A)) {
    cal_value rows = cal_reshape(g, a, cal_shape_of(2, (int64_t[]){-1, as.dim[as.rank - 1]}));
    cal_value y = cal_matmul(g, rows, b, flags);
    if (!y) return 0;
    as.dim[as.rank - 1] = cal_graph_shape(g, y).dim[1];
    return cal_reshape(g, y, as);
  }
  return cal_graph_add(g, &cal_op_matmul, (cal_value[]){a, b}, 2, &(cal_attributes){.i = {flags}});
}

cal_value cal_linear(cal_graph *g, cal_value x, cal_value w, cal_value bias) {
  cal_value y = cal_matmul(g, x, w, CAL_TRANSPOSE_B);
  return bias ? cal_add(g, y, bias) : y;
}

#endif
