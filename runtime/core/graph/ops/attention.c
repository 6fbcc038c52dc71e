/* attention.c - softmax(q k' * scale + mask) v, built from products, an elementwise chain and a softmax. A record of its own can
 * take the place of this function without any caller knowing. */
#include <math.h>

#include "core/base/memory.h"
#include "core/graph/op.h"

/* [Tq, Tk] f32: 0 where a token may look, a very negative number where it may not. Token i of q is token Tk - Tq + i of k. */
static cal_value causal_mask(cal_graph *g, int64_t rows, int64_t columns) {
  cal_error err = {0};
  float *mask = cal_alloc((size_t)(rows * columns) * sizeof *mask, &err);
  if (!mask) return cal_graph_fail(g, err.code, "attention: %s", err.text);
  for (int64_t i = 0; i < rows; i++)
    for (int64_t j = 0; j < columns; j++) mask[i * columns + j] = j <= columns - rows + i ? 0 : -INFINITY;
  cal_value v = cal_graph_constant(g, CAL_F32, cal_shape_of(2, (int64_t[]){rows, columns}), mask);
  cal_free(mask);
  return v;
}

cal_value cal_attention(cal_graph *g, cal_value q, cal_value k, cal_value v, double scale, bool causal) {
  static const int heads_first[] = {0, 2, 1, 3};
  cal_shape qs = cal_graph_shape(g, q), ks = cal_graph_shape(g, k), vs = cal_graph_shape(g, v);
  if (!q || !k || !v) return cal_graph_fail(g, CAL_E_ARG, "attention: q, k or v is missing");
  bool fit = qs.rank == 4 && ks.rank == 4 && vs.rank == 4 && qs.dim[0] == ks.dim[0] && qs.dim[2] == ks.dim[2] && qs.dim[3] == ks.dim[3] &&
             vs.dim[0] == ks.dim[0] && vs.dim[1] == ks.dim[1] && vs.dim[2] == ks.dim[2] && (!causal || qs.dim[1] <= ks.dim[1]);
  if (!fit) {
    char a[CAL_SHAPE_TEXT], b[CAL_SHAPE_TEXT], c[CAL_SHAPE_TEXT];
    return cal_graph_fail(g, CAL_E_ARG, "attention: q %s, k %s, v %s; [B, tokens, heads, size] is wanted of each", cal_shape_text(qs, a),
                          cal_shape_text(ks, b), cal_shape_text(vs, c));
  }
  /* q is scaled, not the scores: there are fewer numbers in it. */
  cal_value scores = cal_matmul(g, cal_permute(g, cal_scale(g, q, scale), heads_first), cal_permute(g, k, heads_first), CAL_TRANSPOSE_B);
  if (causal) scores = cal_cast(g, cal_add(g, scores, causal_mask(g, qs.dim[1], ks.dim[1])), cal_graph_info(g, scores)->dtype);
  return cal_permute(g, cal_matmul(g, cal_softmax(g, scores), cal_permute(g, v, heads_first), 0), heads_first);
}
