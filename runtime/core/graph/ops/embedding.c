/* embedding.c - rows of a table: [V, D] and i32 ids [...] give [..., D]. An id outside of the table gives zeros, never foreign
 * memory. Its gradient adds each d row to its table row, in the order of the ids: the same bits every time. */
#ifdef real

static void FN(embedding)(const cal_reference_call *call) {
  const int64_t V = call->input_shape[0].dim[0], D = call->input_shape[0].dim[1], T = cal_shape_count(call->input_shape[1]);
  const real *rows = call->input[0];
  const int32_t *ids = call->input[1];
  real *y = call->output[0];
  for (int64_t t = 0; t < T; t++)
    for (int64_t i = 0; i < D; i++) y[t * D + i] = ids[t] >= 0 && ids[t] < V ? rows[ids[t] * D + i] : 0;
}

static void FN(embedding_dtable)(const cal_reference_call *call) {
  const int64_t V = call->output_shape[0].dim[0], D = call->output_shape[0].dim[1], T = cal_shape_count(call->input_shape[0]);
  const int32_t *ids = call->input[0];
  const real *d = call->input[1];
  real *table = call->output[0];
  for (int64_t i = 0; i < V * D; i++) table[i] = 0;
  for (int64_t t = 0; t < T; t++)
    for (int64_t i = 0; i < D && ids[t] >= 0 && ids[t] < V; i++) table[ids[t] * D + i] += d[t * D + i];
}

#else

#include <inttypes.h>
#include <math.h>

#include "core/graph/op.h"

#define BOTH "core/graph/ops/embedding.c"
#include "core/graph/ops/both.inc"

extern const cal_op cal_op_embedding, cal_op_embedding_dtable;

static cal_status infer(const cal_graph *g, const cal_node *node, cal_value_info *outputs, cal_error *err) {
  const cal_value_info *table = cal_graph_info(g, node->input[0]), *ids = cal_graph_info(g, node->input[1]);
  char a[CAL_SHAPE_TEXT], b[CAL_SHAPE_TEXT];
  if (table->dtype == CAL_I32 || table->shape.rank != 2 || ids->dtype != CAL_I32 || ids->shape.rank == CAL_DIMS)
    return cal_fail(err, CAL_E_ARG, "embedding: %s %s and %s %s; a table [V, D] and i32 ids are wanted", cal_dtype_name(table->dtype),
                    cal_shape_text(table->shape, a), cal_dtype_name(ids->dtype), cal_shape_text(ids->shape, b));
  outputs[0].dtype = table->dtype;
  outputs[0].shape = ids->shape;
  outputs[0].shape.dim[outputs[0].shape.rank++] = table->shape.dim[1];
  return CAL_OK;
}

/* Inputs ids, d; attr.i[0] = V. */
static cal_status infer_dtable(const cal_graph *g, const cal_node *node, cal_value_info *outputs, cal_error *err) {
  const cal_value_info *ids = cal_graph_info(g, node->input[0]), *d = cal_graph_info(g, node->input[1]);
  int64_t width = d->shape.rank ? d->shape.dim[d->shape.rank - 1] : 0;
  if (ids->dtype != CAL_I32 || d->dtype == CAL_I32 || cal_shape_count(ids->shape) * width != cal_shape_count(d->shape))
    return cal_fail(err, CAL_E_ARG, "embedding_dtable: not the gradient of an embedding");
  outputs[0].dtype = CAL_F32;
  outputs[0].shape = cal_shape_of(2, (int64_t[]){node->attr.i[0], width});
  return CAL_OK;
}

static cal_value derivative(cal_graph *g, const cal_node *node, int index, const cal_value *d) {
  if (index) return 0;
  cal_attributes attr = {.i = {cal_graph_shape(g, node->input[0]).dim[0]}};
  return cal_graph_add(g, &cal_op_embedding_dtable, (cal_value[]){node->input[1], d[0]}, 2, &attr);
}

static cal_cost cost(const cal_graph *g, const cal_node *node) { return cal_cost_of(g, node, 0); }

/* Ids are constants here: some twice, the first and the last, and two that no table has. */
static cal_value sample(cal_graph *g, const cal_op *op, int index) {
  static const int32_t ids[] = {2, 0, 2, 4, 1, 2};
  static const int32_t strange[] = {-1, 3, 1 << 30};
  cal_value some = cal_graph_constant(g, CAL_I32, cal_shape_of(2, (int64_t[]){2, 3}), ids);
  cal_value odd = cal_graph_constant(g, CAL_I32, cal_shape_of(1, (int64_t[]){3}), strange);
  bool forward = op == &cal_op_embedding;
  switch (index) {
    case 0:
      return forward ? cal_embedding(g, CAL_SAMPLE(g, 5, 7), some)
                     : cal_graph_add(g, op, (cal_value[]){some, CAL_SAMPLE(g, 2, 3, 7)}, 2, &(cal_attributes){.i = {5}});
    case 1:
      return forward ? cal_embedding(g, CAL_SAMPLE(g, 4, 1), odd)
                     : cal_graph_add(g, op, (cal_value[]){odd, CAL_SAMPLE(g, 3, 1)}, 2, &(cal_attributes){.i = {4}});
    default: return 0;
  }
}

const cal_op cal_op_embedding = {"embedding",
                                 2,
                                 2,
                                 1,
                                 .infer = infer,
                                 .in_float = embedding_float,
                                 .in_double = embedding_double,
                                 .derivative = derivative,
                                 .cost = cost,
                                 .sample = sample};
const cal_op cal_op_embedding_dtable = {"embedding_dtable",
                                        2,
                                        2,
                                        1,
                                        .infer = infer_dtable,
                                        .in_float = embedding_dtable_float,
                                        .in_double = embedding_dtable_double,
                                        .cost = cost,
                                        .sample = sample,
                                        .tolerance = 1e-6};

cal_value cal_embedding(cal_graph *g, cal_value table, cal_value ids) {
  return cal_graph_add(g, &cal_op_embedding, (cal_value[]){table, ids}, 2, NULL);
}

#endif
