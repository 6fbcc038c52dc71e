/* attention.c - o = softmax(q k' * scale + mask) v for each head (Vaswani and others, "Attention is all you need", 2017).
 * q [B, Tq, H, d], k [B, Tk, H, d], v [B, Tk, H, e]. attr.r[0] = scale, attr.i[0] = causal: token i of q sees tokens of k up to
 * i + Tk - Tq.
 *
 * attention: outputs o [B, Tq, H, e] and lse [B, H, Tq] f32, the logarithm of each row's sum of exponentials, from which backward
 * makes the probabilities again (Dao and others, "FlashAttention", 2022): nothing of size Tq x Tk is kept.
 * attention_dqkv: inputs q, k, v, o, lse, d; outputs dq, dk, dv. With p = exp(s - lse): dv = p' d, ds = p (d v' - rowsum(d o)),
 * dq = ds k * scale, dk = ds' q * scale. */
#ifdef real

#define SIZES(call)                                                                                         \
  const cal_shape qs = call->input_shape[0], vs = call->input_shape[2];                                     \
  const int64_t B = qs.dim[0], Tq = qs.dim[1], H = qs.dim[2], D = qs.dim[3], Tk = vs.dim[1], E = vs.dim[3]; \
  const real scale = (real)call->node->attr.r[0];                                                           \
  const real *q = call->input[0], *k = call->input[1], *v = call->input[2]

static real FN(score)(const real *q, const real *k, int64_t size, real scale) {
  real sum = 0;
  for (int64_t i = 0; i < size; i++) sum += q[i] * k[i];
  return sum * scale;
}

static void FN(attention)(const cal_reference_call *call) {
  SIZES(call);
  real *o = call->output[0], *lse = call->output[1];
  for (int64_t b = 0; b < B; b++)
    for (int64_t h = 0; h < H; h++)
      for (int64_t t = 0; t < Tq; t++) {
        const int64_t seen = call->node->attr.i[0] ? t + Tk - Tq + 1 : Tk;
        const real *row = q + ((b * Tq + t) * H + h) * D;
        real *out = o + ((b * Tq + t) * H + h) * E, top = -(real)INFINITY, sum = 0;
        for (int64_t i = 0; i < E; i++) out[i] = 0;
        for (int64_t j = 0; j < seen; j++) top = FMAX(top, FN(score)(row, k + ((b * Tk + j) * H + h) * D, D, scale));
        for (int64_t j = 0; j < seen; j++) {
          const real p = EXP(FN(score)(row, k + ((b * Tk + j) * H + h) * D, D, scale) - top);
          sum += p;
          for (int64_t i = 0; i < E; i++) out[i] += p * v[((b * Tk + j) * H + h) * E + i];
        }
        for (int64_t i = 0; i < E; i++) out[i] /= sum;
        lse[(b * H + h) * Tq + t] = top + LOG(sum);
      }
}

static void FN(attention_dqkv)(const cal_reference_call *call) {
  SIZES(call);
  const real *o = call->input[3], *lse = call->input[4], *d = call->input[5];
  real *dq = call->output[0], *dk = call->output[1], *dv = call->output[2];
  for (int64_t i = 0; i < B * Tq * H * D; i++) dq[i] = 0;
  for (int64_t i = 0; i < B * Tk * H * D; i++) dk[i] = 0;
  for (int64_t i = 0; i < B * Tk * H * E; i++) dv[i] = 0;
  for (int64_t b = 0; b < B; b++)
    for (int64_t h = 0; h < H; h++)
      for (int64_t t = 0; t < Tq; t++) {
        const int64_t seen = call->node->attr.i[0] ? t + Tk - Tq + 1 : Tk, at_q = ((b * Tq + t) * H + h) * D,
                      at_o = ((b * Tq + t) * H + h) * E;
        real inner = 0;
        for (int64_t i = 0; i < E; i++) inner += d[at_o + i] * o[at_o + i];
        for (int64_t j = 0; j < seen; j++) {
          const int64_t at_k = ((b * Tk + j) * H + h) * D, at_v = ((b * Tk + j) * H + h) * E;
          const real p = EXP(FN(score)(q + at_q, k + at_k, D, scale) - lse[(b * H + h) * Tq + t]);
          real dp = 0;
          for (int64_t i = 0; i < E; i++) {
            dp += d[at_o + i] * v[at_v + i];
            dv[at_v + i] += p * d[at_o + i];
          }
          const real ds = p * (dp - inner) * scale;
          for (int64_t i = 0; i < D; i++) {
            dq[at_q + i] += ds * k[at_k + i];
            dk[at_k + i] += ds * q[at_q + i];
          }
        }
      }
}
#undef SIZES

#else

#include <math.h>

#include "core/base/memory.h"
#include "core/graph/op.h"

#define BOTH "core/graph/ops/attention.c"
#include "core/graph/ops/both.inc"

extern const cal_op cal_op_attention, cal_op_attention_dqkv;

static bool fits(const cal_value_info *q, const cal_value_info *k, const cal_value_info *v, bool causal) {
  const int64_t *a = q->shape.dim, *b = k->shape.dim, *c = v->shape.dim;
  bool ranks = q->shape.rank == 4 && k->shape.rank == 4 && v->shape.rank == 4;
  bool floats = q->dtype != CAL_I32 && k->dtype != CAL_I32 && v->dtype != CAL_I32;
  bool batches = a[0] == b[0] && a[0] == c[0] && a[2] == b[2] && a[2] == c[2];
  return ranks && floats && batches && a[3] == b[3] && b[1] == c[1] && (!causal || a[1] <= b[1]);
}

static cal_status infer(const cal_graph *g, const cal_node *node, cal_value_info *outputs, cal_error *err) {
  const cal_value_info *in[3];
  char text[3][CAL_SHAPE_TEXT];
  for (int i = 0; i < 3; i++) cal_shape_text((in[i] = cal_graph_info(g, node->input[i]))->shape, text[i]);
  if (!fits(in[0], in[1], in[2], node->attr.i[0]))
    return cal_fail(err, CAL_E_ARG, "attention: q %s, k %s, v %s; [B, tokens, heads, size] is wanted of each%s", text[0], text[1], text[2],
                    node->attr.i[0] ? ", and no more tokens in q than in k" : "");
  const int64_t *q = in[0]->shape.dim;
  cal_shape o = cal_shape_of(4, (int64_t[]){q[0], q[1], q[2], in[2]->shape.dim[3]}), lse = cal_shape_of(3, (int64_t[]){q[0], q[2], q[1]});
  if (node->op == &cal_op_attention) {
    outputs[0].dtype = in[0]->dtype;
    outputs[0].shape = o;
    outputs[1].dtype = CAL_F32;
    outputs[1].shape = lse;
    return CAL_OK;
  }
  if (!cal_shape_equal(cal_graph_shape(g, node->input[3]), o) || !cal_shape_equal(cal_graph_shape(g, node->input[4]), lse) ||
      !cal_shape_equal(cal_graph_shape(g, node->input[5]), o))
    return cal_fail(err, CAL_E_ARG, "attention_dqkv: not the gradient of such an attention");
  for (int i = 0; i < 3; i++) outputs[i].dtype = in[i]->dtype, outputs[i].shape = in[i]->shape;
  return CAL_OK;
}

static cal_value derivative(cal_graph *g, const cal_node *node, int index, const cal_value *d) {
  if (d[1]) return cal_graph_fail(g, CAL_E_ARG, "attention: no gradient comes back through its logarithms");
  const cal_value in[6] = {node->input[0], node->input[1], node->input[2], node->output[0], node->output[1], d[0]};
  cal_value dq = cal_graph_add(g, &cal_op_attention_dqkv, in, 6, &node->attr); /* the same node for all three */
  return dq ? cal_graph_node(g, cal_graph_info(g, dq)->node)->output[index] : 0;
}

/* Two products forward, five backward (the scores are made again). */
static cal_cost cost(const cal_graph *g, const cal_node *node) {
  cal_shape q = cal_graph_shape(g, node->input[0]), v = cal_graph_shape(g, node->input[2]);
  double pairs = (double)(q.dim[0] * q.dim[2]) * (double)q.dim[1] * (double)v.dim[1];
  double forward = node->op == &cal_op_attention;
  return cal_cost_of(g, node, 2 * pairs * (forward ? (double)(q.dim[3] + v.dim[3]) : 3.0 * (double)q.dim[3] + 2.0 * (double)v.dim[3]));
}

static cal_value sample(cal_graph *g, const cal_op *op, int index) {
  /* The last: 32 queries see 67 keys, an odd number, and more are there. */
  static const struct {
    int64_t B, Tq, Tk, H, D, E;
    bool causal;
  } samples[] = {{1, 1, 1, 1, 1, 1, false}, {2, 3, 5, 2, 4, 3, false},     {1, 7, 7, 2, 5, 5, true},
                 {2, 2, 5, 1, 8, 8, true},  {1, 33, 77, 2, 20, 20, false}, {1, 40, 75, 1, 8, 8, true}};
  if (index >= (int)(sizeof samples / sizeof *samples)) return 0;
  const int64_t B = samples[index].B, Tq = samples[index].Tq, Tk = samples[index].Tk, H = samples[index].H, D = samples[index].D,
                E = samples[index].E;
  cal_value in[6] = {CAL_SAMPLE(g, B, Tq, H, D), CAL_SAMPLE(g, B, Tk, H, D), CAL_SAMPLE(g, B, Tk, H, E)};
  if (index == 3) in[1] = cal_permute(g, CAL_SAMPLE(g, B, H, Tk, D), (int[]){0, 2, 1, 3}); /* a strided view */
  if (op != &cal_op_attention) {
    in[3] = CAL_SAMPLE(g, B, Tq, H, E), in[4] = CAL_SAMPLE(g, B, H, Tq), in[5] = CAL_SAMPLE(g, B, Tq, H, E);
  }
  cal_attributes attr = {.i = {samples[index].causal}, .r = {0.4}};
  return cal_graph_add(g, op, in, op->most_inputs, &attr);
}

const cal_op cal_op_attention = {"attention",
                                 3,
                                 3,
                                 2,
                                 .strided = 7,
                                 .infer = infer,
                                 .in_float = attention_float,
                                 .in_double = attention_double,
                                 .derivative = derivative,
                                 .cost = cost,
                                 .sample = sample,
                                 .tolerance = 2e-5};
const cal_op cal_op_attention_dqkv = {"attention_dqkv",
                                      6,
                                      6,
                                      3,
                                      .strided = 47,
                                      .infer = infer,
                                      .in_float = attention_dqkv_float,
                                      .in_double = attention_dqkv_double,
                                      .cost = cost,
                                      .sample = sample,
                                      .tolerance = 5e-5};

/* [Tq, Tk] f32: 0 where a token may look, minus infinity where it may not. */
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
  const cal_attributes attr = {.i = {causal}, .r = {scale}};
  cal_shape qs = cal_graph_shape(g, q), ks = cal_graph_shape(g, k);
  bool fit = q && k && v && fits(cal_graph_info(g, q), cal_graph_info(g, k), cal_graph_info(g, v), causal);
  if (!fit || cal_graph_fuses_attention(g, qs.dim[3])) return cal_graph_add(g, &cal_op_attention, (cal_value[]){q, k, v}, 3, &attr);
  /* q is scaled, not the scores: there are fewer numbers in it. */
  cal_value scores = cal_matmul(g, cal_permute(g, cal_scale(g, q, scale), heads_first), cal_permute(g, k, heads_first), CAL_TRANSPOSE_B);
  if (causal) scores = cal_add(g, scores, causal_mask(g, qs.dim[1], ks.dim[1]));
  return cal_permute(g, cal_matmul(g, cal_softmax(g, scores), cal_permute(g, v, heads_first), 0), heads_first);
}

#endif
