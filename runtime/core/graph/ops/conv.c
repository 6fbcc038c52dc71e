/* conv.c - two-dimensional convolution (as in deep learning: a correlation) of pictures [B, H, W, C] with kernels [O, kh, kw, C],
 * and its two gradients. attr.i = stride, padding top, bottom, left, right; conv2d_dx: then H, W of x; conv2d_dw: then kh, kw;
 * last, the dtype of the result + 1. */
#ifdef real

#define EACH_PRODUCT(call, x_shape, w_shape, y_shape, body)                                                \
  const int64_t stride = call->node->attr.i[0], top = call->node->attr.i[1], left = call->node->attr.i[3]; \
  const int64_t H = x_shape.dim[1], W = x_shape.dim[2], C = x_shape.dim[3];                                \
  const int64_t O = w_shape.dim[0], KH = w_shape.dim[1], KW = w_shape.dim[2];                              \
  for (int64_t b = 0; b < y_shape.dim[0]; b++)                                                             \
    for (int64_t i = 0; i < y_shape.dim[1]; i++)                                                           \
      for (int64_t j = 0; j < y_shape.dim[2]; j++)                                                         \
        for (int64_t o = 0; o < O; o++)                                                                    \
          for (int64_t p = 0; p < KH; p++)                                                                 \
            for (int64_t q = 0; q < KW; q++) {                                                             \
              const int64_t h = i * stride + p - top, w = j * stride + q - left;                           \
              if (h < 0 || h >= H || w < 0 || w >= W) continue;                                            \
              const int64_t at_x = ((b * H + h) * W + w) * C, at_w = ((o * KH + p) * KW + q) * C;          \
              const int64_t at_y = ((b * y_shape.dim[1] + i) * y_shape.dim[2] + j) * O + o;                \
              for (int64_t c = 0; c < C; c++) body;                                                        \
            }

static void FN(zero)(void *output, cal_shape s) {
  for (int64_t i = 0; i < cal_shape_count(s); i++) ((real *)output)[i] = 0;
}

static void FN(conv2d)(const cal_reference_call *call) {
  const real *x = call->input[0], *kernel = call->input[1];
  real *y = call->output[0];
  FN(zero)(y, call->output_shape[0]);
  EACH_PRODUCT(call, call->input_shape[0], call->input_shape[1], call->output_shape[0], y[at_y] += x[at_x + c] * kernel[at_w + c])
}

static void FN(conv2d_dx)(const cal_reference_call *call) {
  const real *dy = call->input[0], *kernel = call->input[1];
  real *dx = call->output[0];
  FN(zero)(dx, call->output_shape[0]);
  EACH_PRODUCT(call, call->output_shape[0], call->input_shape[1], call->input_shape[0], dx[at_x + c] += dy[at_y] * kernel[at_w + c])
}

static void FN(conv2d_dw)(const cal_reference_call *call) {
  const real *dy = call->input[0], *x = call->input[1];
  real *dw = call->output[0];
  FN(zero)(dw, call->output_shape[0]);
  EACH_PRODUCT(call, call->input_shape[1], call->output_shape[0], call->input_shape[0], dw[at_w + c] += dy[at_y] * x[at_x + c])
}
#undef EACH_PRODUCT

#else

#include <inttypes.h>
#include <math.h>

#include "core/graph/op.h"

#define BOTH "core/graph/ops/conv.c"
#include "core/graph/ops/both.inc"

enum { STRIDE, TOP, BOTTOM, LEFT, RIGHT, MORE, RESULT = 7 };

static bool are_pictures(const cal_graph *g, const cal_node *node) {
  for (int i = 0; i < 2; i++) {
    const cal_value_info *v = cal_graph_info(g, node->input[i]);
    if (v->shape.rank != 4 || v->dtype == CAL_I32) return false;
  }
  return true;
}

static cal_status fail_shapes(const cal_graph *g, const cal_node *node, const char *why, cal_error *err) {
  char a[CAL_SHAPE_TEXT], b[CAL_SHAPE_TEXT];
  return cal_fail(err, CAL_E_ARG, "%s: %s and %s: %s", node->op->name, cal_shape_text(cal_graph_shape(g, node->input[0]), a),
                  cal_shape_text(cal_graph_shape(g, node->input[1]), b), why);
}

/* The size of y along one axis; below 1: the kernel does not fit. */
static int64_t reach(const cal_attributes *attr, int64_t size, int64_t kernel, int before) {
  int64_t room = size + attr->i[before] + attr->i[before + 1] - kernel;
  return room < 0 ? 0 : room / attr->i[STRIDE] + 1;
}

static cal_status infer(const cal_graph *g, const cal_node *node, cal_value_info *outputs, cal_error *err) {
  cal_shape x = cal_graph_shape(g, node->input[0]), w = cal_graph_shape(g, node->input[1]);
  if (!are_pictures(g, node)) return fail_shapes(g, node, "both need four axes, [B, H, W, C] and [O, kh, kw, C]", err);
  if (x.dim[3] != w.dim[3]) return fail_shapes(g, node, "the channels (last axes) differ", err);
  bool sane = node->attr.i[STRIDE] >= 1;
  for (int i = TOP; i <= RIGHT; i++) sane = sane && node->attr.i[i] >= 0;
  if (!sane) return fail_shapes(g, node, "the stride is at least 1, padding at least 0", err);
  int64_t h = reach(&node->attr, x.dim[1], w.dim[1], TOP), wide = reach(&node->attr, x.dim[2], w.dim[2], LEFT);
  if (h < 1 || wide < 1) return fail_shapes(g, node, "the kernel is larger than the padded picture", err);
  outputs[0].dtype = cal_result_dtype(node, cal_graph_info(g, node->input[0])->dtype);
  outputs[0].shape = cal_shape_of(4, (int64_t[]){x.dim[0], h, wide, w.dim[0]});
  return CAL_OK;
}

static cal_status infer_dx(const cal_graph *g, const cal_node *node, cal_value_info *outputs, cal_error *err) {
  cal_shape dy = cal_graph_shape(g, node->input[0]), w = cal_graph_shape(g, node->input[1]);
  int64_t H = node->attr.i[MORE], W = node->attr.i[MORE + 1];
  if (!are_pictures(g, node) || dy.dim[3] != w.dim[0] || reach(&node->attr, H, w.dim[1], TOP) != dy.dim[1] ||
      reach(&node->attr, W, w.dim[2], LEFT) != dy.dim[2])
    return fail_shapes(g, node, "not the gradient of such a convolution", err);
  outputs[0].dtype = cal_result_dtype(node, cal_graph_info(g, node->input[0])->dtype);
  outputs[0].shape = cal_shape_of(4, (int64_t[]){dy.dim[0], H, W, w.dim[3]});
  return CAL_OK;
}

static cal_status infer_dw(const cal_graph *g, const cal_node *node, cal_value_info *outputs, cal_error *err) {
  cal_shape dy = cal_graph_shape(g, node->input[0]), x = cal_graph_shape(g, node->input[1]);
  int64_t kh = node->attr.i[MORE], kw = node->attr.i[MORE + 1];
  if (!are_pictures(g, node) || dy.dim[0] != x.dim[0] || reach(&node->attr, x.dim[1], kh, TOP) != dy.dim[1] ||
      reach(&node->attr, x.dim[2], kw, LEFT) != dy.dim[2])
    return fail_shapes(g, node, "not the gradient of such a convolution", err);
  outputs[0].dtype = cal_result_dtype(node, cal_graph_info(g, node->input[0])->dtype);
  outputs[0].shape = cal_shape_of(4, (int64_t[]){dy.dim[3], kh, kw, x.dim[3]});
  return CAL_OK;
}

extern const cal_op cal_op_conv2d, cal_op_conv2d_dx, cal_op_conv2d_dw;

static cal_value derivative(cal_graph *g, const cal_node *node, int index, const cal_value *d) {
  cal_value x = node->input[0], w = node->input[1];
  cal_attributes attr = node->attr;
  cal_shape like = cal_graph_shape(g, index == 0 ? x : w);
  attr.i[MORE] = like.dim[1];
  attr.i[MORE + 1] = like.dim[2];
  attr.i[RESULT] = cal_graph_info(g, index == 0 ? x : w)->dtype + 1;
  return index == 0 ? cal_graph_add(g, &cal_op_conv2d_dx, (cal_value[]){d[0], w}, 2, &attr)
                    : cal_graph_add(g, &cal_op_conv2d_dw, (cal_value[]){d[0], x}, 2, &attr);
}

/* Products count whether or not they fall on padding. The picture, the kernel and the result give the number in all three. */
static cal_cost cost(const cal_graph *g, const cal_node *node) {
  cal_value y = node->op == &cal_op_conv2d ? node->output[0] : node->input[0];
  cal_value w = node->op == &cal_op_conv2d_dw ? node->output[0] : node->input[1];
  cal_shape ws = cal_graph_shape(g, w);
  return cal_cost_of(g, node, 2.0 * (double)cal_shape_count(cal_graph_shape(g, y)) * (double)(ws.dim[1] * ws.dim[2] * ws.dim[3]));
}

static cal_value sample(cal_graph *g, const cal_op *op, int index) {
  static const struct {
    int64_t x[4], w[4];
    cal_conv conv;
  } samples[] = {{{1, 1, 1, 1}, {1, 1, 1, 1}, {1, 0, 0, 0, 0}}, {{2, 5, 4, 3}, {4, 3, 3, 3}, {1, 1, 1, 1, 1}},
                 {{1, 6, 6, 2}, {3, 3, 3, 2}, {2, 0, 1, 0, 1}}, {{1, 7, 5, 3}, {5, 3, 3, 3}, {2, 1, 1, 1, 1}},
                 {{1, 3, 4, 5}, {2, 1, 1, 5}, {2, 0, 0, 0, 0}}, {{2, 9, 9, 17}, {19, 3, 3, 17}, {1, 1, 1, 1, 1}},
                 {{1, 4, 6, 2}, {3, 2, 5, 2}, {1, 0, 1, 2, 2}}};
  if (index >= (int)(sizeof samples / sizeof *samples)) return 0;
  cal_shape x = cal_shape_of(4, samples[index].x), w = cal_shape_of(4, samples[index].w), y = x;
  const cal_conv c = samples[index].conv;
  cal_attributes attr = {.i = {c.stride, c.pad_top, c.pad_bottom, c.pad_left, c.pad_right}};
  y.dim[1] = reach(&attr, x.dim[1], w.dim[1], TOP), y.dim[2] = reach(&attr, x.dim[2], w.dim[2], LEFT), y.dim[3] = w.dim[0];
  const cal_shape *first = op == &cal_op_conv2d ? &x : &y, *second = op == &cal_op_conv2d_dw ? &x : &w;
  const cal_shape *like = op == &cal_op_conv2d_dx ? &x : &w;
  if (op != &cal_op_conv2d) attr.i[MORE] = like->dim[1], attr.i[MORE + 1] = like->dim[2];
  return cal_graph_add(g, op, (cal_value[]){cal_sample_input(g, 4, first->dim), cal_sample_input(g, 4, second->dim)}, 2, &attr);
}

const cal_op cal_op_conv2d = {"conv2d",
                              2,
                              2,
                              1,
                              .dtype_at = RESULT,
                              .infer = infer,
                              .in_float = conv2d_float,
                              .in_double = conv2d_double,
                              .derivative = derivative,
                              .cost = cost,
                              .sample = sample,
                              .tolerance = 1e-5};
const cal_op cal_op_conv2d_dx = {"conv2d_dx",
                                 2,
                                 2,
                                 1,
                                 .dtype_at = RESULT,
                                 .infer = infer_dx,
                                 .in_float = conv2d_dx_float,
                                 .in_double = conv2d_dx_double,
                                 .cost = cost,
                                 .sample = sample,
                                 .tolerance = 1e-5};
const cal_op cal_op_conv2d_dw = {"conv2d_dw",
                                 2,
                                 2,
                                 1,
                                 .dtype_at = RESULT,
                                 .infer = infer_dw,
                                 .in_float = conv2d_dw_float,
                                 .in_double = conv2d_dw_double,
                                 .cost = cost,
                                 .sample = sample,
                                 .tolerance = 1e-5};

/* A kernel of one pixel without padding is a matrix product over the pixels. */
cal_value cal_conv2d(cal_graph *g, cal_value x, cal_value w, cal_conv c) {
  cal_shape xs = cal_graph_shape(g, x), ws = cal_graph_shape(g, w);
  bool padded = c.pad_top || c.pad_bottom || c.pad_left || c.pad_right;
  if (xs.rank == 4 && ws.rank == 4 && ws.dim[1] == 1 && ws.dim[2] == 1 && c.stride == 1 && !padded && xs.dim[3] == ws.dim[3])
    return cal_matmul(g, x, cal_reshape(g, w, cal_shape_of(2, (int64_t[]){ws.dim[0], ws.dim[3]})), CAL_TRANSPOSE_B);
  return cal_graph_add(g, &cal_op_conv2d, (cal_value[]){x, w}, 2,
                       &(cal_attributes){.i = {c.stride, c.pad_top, c.pad_bottom, c.pad_left, c.pad_right}});
}

/* Nothing but views and one copy: each pixel is read four times; the gradient sums over the repeated axes. */
cal_value cal_upsample(cal_graph *g, cal_value x) {
  cal_shape s = cal_graph_shape(g, x);
  char text[CAL_SHAPE_TEXT];
  if (x && s.rank != 4) return cal_graph_fail(g, CAL_E_ARG, "upsample: %s is no picture [B, H, W, C]", cal_shape_text(s, text));
  int64_t rows = s.dim[0] * s.dim[1], W = s.dim[2], C = s.dim[3];
  cal_value apart = cal_reshape(g, x, cal_shape_of(5, (int64_t[]){rows, 1, W, 1, C}));
  cal_value twice = cal_expand(g, apart, cal_shape_of(5, (int64_t[]){rows, 2, W, 2, C}));
  return cal_reshape(g, twice, cal_shape_of(4, (int64_t[]){s.dim[0], 2 * s.dim[1], 2 * W, C}));
}

#endif
