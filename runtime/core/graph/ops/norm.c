/* norm.c - y = (x - mean) * rstd * gamma + beta, with mean and 1 / sqrt(variance + epsilon) of each group of channels of each
 * B of x [B, ..., C] (Wu and He, "Group normalization", 2018; one group on [tokens, D] is layer normalisation).
 *
 * norm: inputs x, gamma, beta (beta, or both, may be missing); outputs y and the statistics [B, groups, 2] f32: mean, rstd.
 * attr.i[0] = groups, attr.r[0] = epsilon. The variance is that of the population, computed after the mean is known. */
#ifdef real

#define SIZES(s)                                                                     \
  const int64_t B = s.dim[0], C = s.dim[s.rank - 1], P = cal_shape_count(s) / B / C; \
  const int64_t G = call->node->attr.i[0], W = C / G;                                \
  (void)W, (void)P

static void FN(norm)(const cal_reference_call *call) {
  SIZES(call->input_shape[0]);
  const real *x = call->input[0], *gamma = call->node->inputs > 1 ? call->input[1] : NULL,
             *beta = call->node->inputs > 2 ? call->input[2] : NULL;
  real *y = call->output[0], *stats = call->output[1];
  for (int64_t b = 0; b < B; b++) {
    for (int64_t group = 0; group < G; group++) {
      real mean = 0, square = 0;
      for (int64_t p = 0; p < P; p++)
        for (int64_t c = group * W; c < (group + 1) * W; c++) mean += x[(b * P + p) * C + c];
      mean /= (real)(P * W);
      for (int64_t p = 0; p < P; p++)
        for (int64_t c = group * W; c < (group + 1) * W; c++) {
          const real off = x[(b * P + p) * C + c] - mean;
          square += off * off;
        }
      const real rstd = RSQRT(square / (real)(P * W) + (real)call->node->attr.r[0]);
      for (int64_t p = 0; p < P; p++)
        for (int64_t c = group * W; c < (group + 1) * W; c++) {
          const int64_t at = (b * P + p) * C + c;
          y[at] = (x[at] - mean) * rstd * (gamma ? gamma[c] : 1) + (beta ? beta[c] : 0);
        }
      stats[(b * G + group) * 2] = mean;
      stats[(b * G + group) * 2 + 1] = rstd;
    }
  }
}

/* dx = rstd * (e - mean(e) - n * mean(e * n)) with e = d * gamma, n = (x - mean) * rstd. Inputs x, statistics, d, gamma. */
static void FN(norm_dx)(const cal_reference_call *call) {
  SIZES(call->input_shape[0]);
  const real *x = call->input[0], *stats = call->input[1], *d = call->input[2], *gamma = call->node->inputs > 3 ? call->input[3] : NULL;
  real *dx = call->output[0];
  for (int64_t b = 0; b < B; b++) {
    for (int64_t group = 0; group < G; group++) {
      const real mean = stats[(b * G + group) * 2], rstd = stats[(b * G + group) * 2 + 1];
      real sum = 0, sum_n = 0;
      for (int64_t p = 0; p < P; p++)
        for (int64_t c = group * W; c < (group + 1) * W; c++) {
          const int64_t at = (b * P + p) * C + c;
          const real e = d[at] * (gamma ? gamma[c] : 1);
          sum += e;
          sum_n += e * (x[at] - mean) * rstd;
        }
      sum /= (real)(P * W);
      sum_n /= (real)(P * W);
      for (int64_t p = 0; p < P; p++)
        for (int64_t c = group * W; c < (group + 1) * W; c++) {
          const int64_t at = (b * P + p) * C + c;
          dx[at] = rstd * (d[at] * (gamma ? gamma[c] : 1) - sum - (x[at] - mean) * rstd * sum_n);
        }
    }
  }
}

/* dgamma[c] = sum of d * n. Inputs x, statistics, d. */
static void FN(norm_dgamma)(const cal_reference_call *call) {
  SIZES(call->input_shape[0]);
  const real *x = call->input[0], *stats = call->input[1], *d = call->input[2];
  real *dgamma = call->output[0];
  for (int64_t c = 0; c < C; c++) {
    real sum = 0;
    for (int64_t b = 0; b < B; b++) {
      const real mean = stats[(b * G + c / W) * 2], rstd = stats[(b * G + c / W) * 2 + 1];
      for (int64_t p = 0; p < P; p++) sum += d[(b * P + p) * C + c] * (x[(b * P + p) * C + c] - mean) * rstd;
    }
    dgamma[c] = sum;
  }
}
#undef SIZES

#else

#include <inttypes.h>
#include <math.h>

#include "core/graph/op.h"

#define BOTH "core/graph/ops/norm.c"
#include "core/graph/ops/both.inc"

extern const cal_op cal_op_norm, cal_op_norm_dx, cal_op_norm_dgamma;

static cal_shape stats_shape(cal_shape x, int64_t groups) { return cal_shape_of(3, (int64_t[]){x.dim[0], groups, 2}); }

static cal_status infer(const cal_graph *g, const cal_node *node, cal_value_info *outputs, cal_error *err) {
  const cal_value_info *x = cal_graph_info(g, node->input[0]);
  const char *name = node->op->name;
  int64_t groups = node->attr.i[0], channels = x->shape.rank ? x->shape.dim[x->shape.rank - 1] : 0;
  char a[CAL_SHAPE_TEXT], b[CAL_SHAPE_TEXT];
  if (x->dtype == CAL_I32 || x->shape.rank < 2)
    return cal_fail(err, CAL_E_ARG, "%s: %s is not [B, ..., C]", name, cal_shape_text(x->shape, a));
  if (groups < 1 || channels % groups)
    return cal_fail(err, CAL_E_ARG, "%s: %" PRId64 " channels cannot be %" PRId64 " groups, in %s", name, channels, groups,
                    cal_shape_text(x->shape, a));
  cal_shape per_channel = cal_shape_of(1, &channels), stats = stats_shape(x->shape, groups);
  bool forward = node->op == &cal_op_norm;
  for (int i = 1; i < node->inputs; i++) {
    const cal_value_info *v = cal_graph_info(g, node->input[i]);
    const cal_shape *like = forward || i == 3 ? &per_channel : i == 1 ? &stats : &x->shape;
    if (v->dtype == CAL_I32 || !cal_shape_equal(v->shape, *like))
      return cal_fail(err, CAL_E_ARG, "%s: input %d is %s; %s is wanted", name, i + 1, cal_shape_text(v->shape, a),
                      cal_shape_text(*like, b));
  }
  outputs[0].dtype = node->op == &cal_op_norm_dgamma ? CAL_F32 : x->dtype;
  outputs[0].shape = node->op == &cal_op_norm_dgamma ? per_channel : x->shape;
  outputs[1].dtype = CAL_F32;
  outputs[1].shape = stats;
  return CAL_OK;
}

static cal_value derivative(cal_graph *g, const cal_node *node, int index, const cal_value *d) {
  if (d[1]) return cal_graph_fail(g, CAL_E_ARG, "norm: no gradient comes back through its statistics");
  cal_value in[4] = {node->input[0], node->output[1], d[0], node->input[1]};
  if (index == 0) return cal_graph_add(g, &cal_op_norm_dx, in, node->inputs > 1 ? 4 : 3, &(cal_attributes){.i = {node->attr.i[0]}});
  if (index == 1) return cal_graph_add(g, &cal_op_norm_dgamma, in, 3, &(cal_attributes){.i = {node->attr.i[0]}});
  return cal_sum_to(g, d[0], cal_graph_shape(g, node->input[2]));
}

static cal_cost cost(const cal_graph *g, const cal_node *node) {
  return cal_cost_of(g, node, 8 * (double)cal_shape_count(cal_graph_shape(g, node->input[0])));
}

static cal_value sample(cal_graph *g, const cal_op *op, int index) {
  static const struct {
    int rank;
    int64_t dim[4];
    int groups, inputs;
  } samples[] = {{2, {1, 2}, 1, 3},    {2, {5, 7}, 1, 3},   {4, {2, 3, 5, 6}, 3, 3}, {3, {2, 9, 4}, 4, 2},
                 {3, {1, 4, 8}, 2, 1}, {2, {77, 33}, 1, 3}, {4, {1, 8, 8, 32}, 8, 3}};
  if (index >= (int)(sizeof samples / sizeof *samples)) return 0;
  cal_shape x = cal_shape_of(samples[index].rank, samples[index].dim);
  const int64_t *channels = &x.dim[x.rank - 1];
  cal_shape stats = stats_shape(x, samples[index].groups);
  cal_attributes attr = {.i = {samples[index].groups}, .r = {op == &cal_op_norm ? 1e-5 : 0}};
  cal_value in[4] = {cal_sample_input(g, x.rank, x.dim)};
  int inputs = op == &cal_op_norm ? samples[index].inputs : op == &cal_op_norm_dx && samples[index].inputs > 1 ? 4 : 3;
  if (op == &cal_op_norm) {
    for (int i = 1; i < inputs; i++) in[i] = cal_sample_input(g, 1, channels);
  } else {
    in[1] = cal_sample_input(g, 3, stats.dim);
    in[2] = cal_sample_input(g, x.rank, x.dim);
    if (inputs > 3) in[3] = cal_sample_input(g, 1, channels);
  }
  return cal_graph_add(g, op, in, inputs, &attr);
}

const cal_op cal_op_norm = {"norm",
                            1,
                            3,
                            2,
                            .in_place = 1,
                            .infer = infer,
                            .in_float = norm_float,
                            .in_double = norm_double,
                            .derivative = derivative,
                            .cost = cost,
                            .sample = sample,
                            .tolerance = 2e-5};
const cal_op cal_op_norm_dx = {"norm_dx",
                               3,
                               4,
                               1,
                               .in_place = 4,
                               .infer = infer,
                               .in_float = norm_dx_float,
                               .in_double = norm_dx_double,
                               .cost = cost,
                               .sample = sample,
                               .tolerance = 2e-5};
const cal_op cal_op_norm_dgamma = {"norm_dgamma",
                                   3,
                                   3,
                                   1,
                                   .infer = infer,
                                   .in_float = norm_dgamma_float,
                                   .in_double = norm_dgamma_double,
                                   .cost = cost,
                                   .sample = sample,
                                   .tolerance = 2e-5};

cal_value cal_norm(cal_graph *g, cal_value x, int groups, double epsilon, cal_value gamma, cal_value beta) {
  if (beta && !gamma) return cal_graph_fail(g, CAL_E_ARG, "norm: beta without gamma");
  return cal_graph_add(g, &cal_op_norm, (cal_value[]){x, gamma, beta},
                       beta    ? 3
                       : gamma ? 2
                               : 1,
                       &(cal_attributes){.i = {groups}, .r = {epsilon}});
}

cal_value cal_layer_norm(cal_graph *g, cal_value x, double epsilon, cal_value gamma, cal_value beta) {
  cal_shape s = cal_graph_shape(g, x);
  if (x && !s.rank) return cal_graph_fail(g, CAL_E_ARG, "layer_norm: of a scalar");
  if (!x) return 0;
  cal_value rows = cal_reshape(g, x, cal_shape_of(2, (int64_t[]){-1, s.dim[s.rank - 1]}));
  return cal_reshape(g, cal_norm(g, rows, 1, epsilon, gamma, beta), s);
}

#endif
