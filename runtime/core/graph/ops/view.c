/* view.c - ops that look at a tensor in another way (reshape, permute, slice, expand), and the two that put tensors together
 * again (concat, pad). The reference makes every result dense; a schedule turns views into strides. */
#include <inttypes.h>
#include <string.h>

#include "core/graph/op.h"
#include "core/graph/strides.h"

static cal_cost no_cost(const cal_graph *g, const cal_node *node) {
  (void)g, (void)node;
  return (cal_cost){0};
}

static cal_cost move_cost(const cal_graph *g, const cal_node *node) { return cal_cost_of(g, node, 0); }

static size_t element_size(const cal_reference_call *call) { return call->input_dtype[0] == CAL_I32 ? 4 : call->real_size; }

static const void *moved(const void *p, int64_t elements, size_t size) { return (const char *)p + (size_t)elements * size; }

/* The node that made `a`, if it is of this op; a view of a view is one view. */
static const cal_node *made_by(const cal_graph *g, cal_value a, const char *op) {
  const cal_value_info *info = cal_graph_info(g, a);
  if (info->source != CAL_COMPUTED || !a) return NULL;
  const cal_node *node = cal_graph_node(g, info->node);
  return strcmp(node->op->name, op) == 0 ? node : NULL;
}

static bool axis_ok(const cal_value_info *x, int64_t axis) { return axis >= 0 && axis < x->shape.rank; }

/* ---- reshape: attr.i are the sizes, i[5] their number. No element moves. ---------------------------------------------- */

static cal_status reshape_infer(const cal_graph *g, const cal_node *node, cal_value_info *outputs, cal_error *err) {
  const cal_value_info *x = cal_graph_info(g, node->input[0]);
  outputs[0].dtype = x->dtype;
  outputs[0].shape = cal_shape_of((int)node->attr.i[5], node->attr.i);
  if (cal_shape_count(outputs[0].shape) == cal_shape_count(x->shape)) return CAL_OK;
  char a[CAL_SHAPE_TEXT], b[CAL_SHAPE_TEXT];
  return cal_fail(err, CAL_E_ARG, "reshape: %s has %" PRId64 " elements, %s has %" PRId64, cal_shape_text(x->shape, a),
                  cal_shape_count(x->shape), cal_shape_text(outputs[0].shape, b), cal_shape_count(outputs[0].shape));
}

static void reshape_reference(const cal_reference_call *call) {
  memcpy(call->output[0], call->input[0], (size_t)cal_shape_count(call->output_shape[0]) * element_size(call));
}

static cal_value reshape_derivative(cal_graph *g, const cal_node *node, int index, const cal_value *d) {
  (void)index;
  return cal_reshape(g, d[0], cal_graph_shape(g, node->input[0]));
}

static cal_value reshape_sample(cal_graph *g, const cal_op *op, int index) {
  (void)op;
  switch (index) {
    case 0: return cal_reshape(g, CAL_SAMPLE(g, 2, 6), cal_shape_of(3, (int64_t[]){3, -1, 2}));
    case 1: return cal_reshape(g, CAL_SAMPLE(g, 1), cal_shape_of(0, NULL));
    case 2: return cal_reshape(g, cal_permute(g, CAL_SAMPLE(g, 2, 3, 5), (int[]){2, 0, 1}), cal_shape_of(1, (int64_t[]){30}));
    default: return 0;
  }
}

cal_value cal_reshape(cal_graph *g, cal_value a, cal_shape shape) {
  const cal_value_info *x = cal_graph_info(g, a);
  if (!a) return cal_graph_fail(g, CAL_E_ARG, "reshape: no value");
  if (shape.rank < 0 || shape.rank > CAL_DIMS) return cal_graph_fail(g, CAL_E_LIMIT, "reshape: %d axes; at most %d", shape.rank, CAL_DIMS);
  int64_t known = 1;
  int open = -1, opens = 0;
  for (int i = 0; i < shape.rank; i++) {
    if (shape.dim[i] == -1) open = i, opens++;
    else known *= shape.dim[i];
  }
  int64_t count = cal_shape_count(x->shape);
  char from[CAL_SHAPE_TEXT], to[CAL_SHAPE_TEXT];
  if (opens > 1 || (opens && (known <= 0 || count % known)))
    return cal_graph_fail(g, CAL_E_ARG, "reshape: %s cannot become %s: no size for -1 fits", cal_shape_text(x->shape, from),
                          cal_shape_text(shape, to));
  if (opens) shape.dim[open] = count / known;
  if (cal_shape_equal(x->shape, shape)) return a;
  const cal_node *inner = made_by(g, a, "reshape");
  if (inner && cal_shape_count(shape) == count) return cal_reshape(g, inner->input[0], shape);
  cal_attributes attr = {.i = {[5] = shape.rank}};
  for (int i = 0; i < shape.rank; i++) attr.i[i] = shape.dim[i];
  return cal_graph_add(g, cal_op_find("reshape"), &a, 1, &attr);
}

extern const cal_op cal_op_reshape;
const cal_op cal_op_reshape = {"reshape",
                               1,
                               1,
                               1,
                               .view = true,
                               .strided = 1,
                               .infer = reshape_infer,
                               .in_float = reshape_reference,
                               .in_double = reshape_reference,
                               .derivative = reshape_derivative,
                               .cost = no_cost,
                               .sample = reshape_sample};

/* ---- permute: axis i of the result is axis attr.i[i] of the input. ---------------------------------------------------- */

static cal_status permute_infer(const cal_graph *g, const cal_node *node, cal_value_info *outputs, cal_error *err) {
  const cal_value_info *x = cal_graph_info(g, node->input[0]);
  unsigned seen = 0;
  outputs[0].dtype = x->dtype;
  outputs[0].shape.rank = x->shape.rank;
  for (int i = 0; i < x->shape.rank; i++) {
    int64_t from = node->attr.i[i];
    if (!axis_ok(x, from) || seen >> from & 1)
      return cal_fail(err, CAL_E_ARG, "permute: axis %" PRId64 " is named twice or is not one of %d", from, x->shape.rank);
    seen |= 1u << from;
    outputs[0].shape.dim[i] = x->shape.dim[from];
  }
  return CAL_OK;
}

static void permute_reference(const cal_reference_call *call) {
  int64_t own[CAL_DIMS], from[CAL_DIMS], to[CAL_DIMS];
  cal_strides_dense(call->input_shape[0], own);
  cal_strides_dense(call->output_shape[0], to);
  for (int i = 0; i < call->output_shape[0].rank; i++) from[i] = own[call->node->attr.i[i]];
  cal_strided_copy(call->output_shape[0], call->output[0], to, call->input[0], from, element_size(call));
}

static cal_value permute_derivative(cal_graph *g, const cal_node *node, int index, const cal_value *d) {
  (void)index;
  int back[CAL_DIMS] = {0};
  for (int i = 0; i < cal_graph_shape(g, d[0]).rank; i++) back[node->attr.i[i]] = i;
  return cal_permute(g, d[0], back);
}

static cal_value permute_sample(cal_graph *g, const cal_op *op, int index) {
  (void)op;
  switch (index) {
    case 0: return cal_permute(g, CAL_SAMPLE(g, 3, 5), (int[]){1, 0});
    case 1: return cal_permute(g, CAL_SAMPLE(g, 2, 3, 1, 4), (int[]){0, 3, 1, 2});
    case 2: return cal_permute(g, CAL_SAMPLE(g, 2, 3, 2, 1, 5), (int[]){4, 2, 0, 1, 3});
    default: return 0;
  }
}

cal_value cal_permute(cal_graph *g, cal_value a, const int *order) {
  if (!a) return cal_graph_fail(g, CAL_E_ARG, "permute: no value");
  int rank = cal_graph_shape(g, a).rank;
  const cal_node *inner = made_by(g, a, "permute");
  bool same = true;
  cal_attributes attr = {0};
  for (int i = 0; i < rank; i++) {
    bool known = order[i] >= 0 && order[i] < rank;
    attr.i[i] = inner && known ? inner->attr.i[order[i]] : order[i];
    if (!known) inner = NULL, attr.i[i] = order[i];
  }
  cal_value from = inner ? inner->input[0] : a;
  for (int i = 0; i < rank; i++) same = same && attr.i[i] == i;
  return same ? from : cal_graph_add(g, cal_op_find("permute"), &from, 1, &attr);
}

extern const cal_op cal_op_permute;
const cal_op cal_op_permute = {"permute",
                               1,
                               1,
                               1,
                               .view = true,
                               .strided = 1,
                               .infer = permute_infer,
                               .in_float = permute_reference,
                               .in_double = permute_reference,
                               .derivative = permute_derivative,
                               .cost = no_cost,
                               .sample = permute_sample};

/* ---- slice: attr.i = axis, first index, size. ------------------------------------------------------------------------- */

static cal_status slice_infer(const cal_graph *g, const cal_node *node, cal_value_info *outputs, cal_error *err) {
  const cal_value_info *x = cal_graph_info(g, node->input[0]);
  int64_t axis = node->attr.i[0], from = node->attr.i[1], size = node->attr.i[2];
  char a[CAL_SHAPE_TEXT];
  if (!axis_ok(x, axis) || from < 0 || size < 1 || from > x->shape.dim[axis] - size)
    return cal_fail(err, CAL_E_ARG, "slice: %" PRId64 " elements from %" PRId64 " on axis %" PRId64 " are not inside %s", size, from, axis,
                    cal_shape_text(x->shape, a));
  outputs[0].dtype = x->dtype;
  outputs[0].shape = x->shape;
  outputs[0].shape.dim[axis] = size;
  return CAL_OK;
}

static void slice_reference(const cal_reference_call *call) {
  int64_t from[CAL_DIMS], to[CAL_DIMS], axis = call->node->attr.i[0];
  cal_strides_dense(call->input_shape[0], from);
  cal_strides_dense(call->output_shape[0], to);
  size_t size = element_size(call);
  cal_strided_copy(call->output_shape[0], call->output[0], to, moved(call->input[0], from[axis] * call->node->attr.i[1], size), from, size);
}

static cal_value slice_derivative(cal_graph *g, const cal_node *node, int index, const cal_value *d) {
  (void)index;
  int axis = (int)node->attr.i[0];
  int64_t whole = cal_graph_shape(g, node->input[0]).dim[axis];
  return cal_pad(g, d[0], axis, node->attr.i[1], whole - node->attr.i[1] - node->attr.i[2]);
}

static cal_value slice_sample(cal_graph *g, const cal_op *op, int index) {
  (void)op;
  switch (index) {
    case 0: return cal_slice(g, CAL_SAMPLE(g, 7), 0, 6, 1);
    case 1: return cal_slice(g, CAL_SAMPLE(g, 2, 5, 3), 1, 1, 3);
    case 2: return cal_slice(g, CAL_SAMPLE(g, 3, 8), 1, 4, 4);
    default: return 0;
  }
}

cal_value cal_slice(cal_graph *g, cal_value a, int axis, int64_t from, int64_t size) {
  const cal_value_info *x = cal_graph_info(g, a);
  if (!a) return cal_graph_fail(g, CAL_E_ARG, "slice: no value");
  if (axis_ok(x, axis) && from == 0 && size == x->shape.dim[axis]) return a;
  return cal_graph_add(g, cal_op_find("slice"), &a, 1, &(cal_attributes){.i = {axis, from, size}});
}

extern const cal_op cal_op_slice;
const cal_op cal_op_slice = {"slice",
                             1,
                             1,
                             1,
                             .view = true,
                             .strided = 1,
                             .infer = slice_infer,
                             .in_float = slice_reference,
                             .in_double = slice_reference,
                             .derivative = slice_derivative,
                             .cost = no_cost,
                             .sample = slice_sample};

/* ---- expand: attr.i are the sizes, i[5] their number; sizes of 1 are repeated, axes are added in front. ---------------- */

static cal_status expand_infer(const cal_graph *g, const cal_node *node, cal_value_info *outputs, cal_error *err) {
  const cal_value_info *x = cal_graph_info(g, node->input[0]);
  cal_shape to = cal_shape_of((int)node->attr.i[5], node->attr.i), both;
  outputs[0].dtype = x->dtype;
  outputs[0].shape = to;
  if (cal_shape_broadcast("expand", x->shape, to, &both, err)) return err->code;
  char a[CAL_SHAPE_TEXT], b[CAL_SHAPE_TEXT];
  if (cal_shape_equal(both, to)) return CAL_OK;
  return cal_fail(err, CAL_E_ARG, "expand: %s cannot be repeated to %s", cal_shape_text(x->shape, a), cal_shape_text(to, b));
}

static void expand_reference(const cal_reference_call *call) {
  int64_t from[CAL_DIMS], to[CAL_DIMS];
  cal_strides_broadcast(call->input_shape[0], call->output_shape[0], from);
  cal_strides_dense(call->output_shape[0], to);
  cal_strided_copy(call->output_shape[0], call->output[0], to, call->input[0], from, element_size(call));
}

static cal_value expand_derivative(cal_graph *g, const cal_node *node, int index, const cal_value *d) {
  (void)index;
  return cal_sum_to(g, d[0], cal_graph_shape(g, node->input[0]));
}

static cal_value expand_sample(cal_graph *g, const cal_op *op, int index) {
  (void)op;
  switch (index) {
    case 0: return cal_expand(g, CAL_SAMPLE(g, 3, 1), cal_shape_of(2, (int64_t[]){3, 5}));
    case 1: return cal_expand(g, CAL_SAMPLE(g, 3), cal_shape_of(3, (int64_t[]){2, 4, 3}));
    case 2: return cal_expand(g, CAL_SAMPLE(g, 2, 1, 3, 1, 1), cal_shape_of(5, (int64_t[]){2, 2, 3, 2, 1}));
    default: return 0;
  }
}

cal_value cal_expand(cal_graph *g, cal_value a, cal_shape shape) {
  if (!a) return cal_graph_fail(g, CAL_E_ARG, "expand: no value");
  if (shape.rank < 0 || shape.rank > CAL_DIMS) return cal_graph_fail(g, CAL_E_LIMIT, "expand: %d axes; at most %d", shape.rank, CAL_DIMS);
  if (cal_shape_equal(cal_graph_shape(g, a), shape)) return a;
  cal_attributes attr = {.i = {[5] = shape.rank}};
  for (int i = 0; i < shape.rank; i++) attr.i[i] = shape.dim[i];
  return cal_graph_add(g, cal_op_find("expand"), &a, 1, &attr);
}

extern const cal_op cal_op_expand;
const cal_op cal_op_expand = {"expand",
                              1,
                              1,
                              1,
                              .view = true,
                              .strided = 1,
                              .infer = expand_infer,
                              .in_float = expand_reference,
                              .in_double = expand_reference,
                              .derivative = expand_derivative,
                              .cost = no_cost,
                              .sample = expand_sample};

/* ---- concat: attr.i[0] is the axis. ----------------------------------------------------------------------------------- */

static cal_status concat_infer(const cal_graph *g, const cal_node *node, cal_value_info *outputs, cal_error *err) {
  const cal_value_info *first = cal_graph_info(g, node->input[0]);
  int64_t axis = node->attr.i[0], size = 0;
  if (!axis_ok(first, axis)) return cal_fail(err, CAL_E_ARG, "concat: there is no axis %" PRId64 " of %d", axis, first->shape.rank);
  outputs[0].dtype = first->dtype;
  for (int i = 0; i < node->inputs; i++) {
    const cal_value_info *x = cal_graph_info(g, node->input[i]);
    cal_shape like = x->shape;
    if (like.rank == first->shape.rank) like.dim[axis] = first->shape.dim[axis];
    char a[CAL_SHAPE_TEXT], b[CAL_SHAPE_TEXT];
    if (!cal_shape_equal(like, first->shape) || (x->dtype == CAL_I32) != (first->dtype == CAL_I32))
      return cal_fail(err, CAL_E_ARG, "concat: part %d is %s %s, part 1 is %s %s; they may differ on axis %" PRId64 " only", i + 1,
                      cal_dtype_name(x->dtype), cal_shape_text(x->shape, a), cal_dtype_name(first->dtype), cal_shape_text(first->shape, b),
                      axis);
    outputs[0].dtype = cal_dtype_wider(outputs[0].dtype, x->dtype);
    size += x->shape.dim[axis];
  }
  outputs[0].shape = first->shape;
  outputs[0].shape.dim[axis] = size;
  return CAL_OK;
}

static void concat_reference(const cal_reference_call *call) {
  int64_t to[CAL_DIMS], from[CAL_DIMS], at = 0, axis = call->node->attr.i[0];
  size_t size = element_size(call);
  cal_strides_dense(call->output_shape[0], to);
  for (int i = 0; i < call->node->inputs; i++) {
    cal_strides_dense(call->input_shape[i], from);
    cal_strided_copy(call->input_shape[i], (void *)(uintptr_t)moved(call->output[0], at * to[axis], size), to, call->input[i], from, size);
    at += call->input_shape[i].dim[axis];
  }
}

static cal_value concat_derivative(cal_graph *g, const cal_node *node, int index, const cal_value *d) {
  int64_t at = 0, axis = node->attr.i[0];
  for (int i = 0; i < index; i++) at += cal_graph_shape(g, node->input[i]).dim[axis];
  return cal_slice(g, d[0], (int)axis, at, cal_graph_shape(g, node->input[index]).dim[axis]);
}

static cal_value concat_sample(cal_graph *g, const cal_op *op, int index) {
  (void)op;
  switch (index) {
    case 0: return cal_concat(g, (cal_value[]){CAL_SAMPLE(g, 3), CAL_SAMPLE(g, 1)}, 2, 0);
    case 1: return cal_concat(g, (cal_value[]){CAL_SAMPLE(g, 2, 1, 3), CAL_SAMPLE(g, 2, 5, 3), CAL_SAMPLE(g, 2, 2, 3)}, 3, 1);
    case 2: return cal_concat(g, (cal_value[]){CAL_SAMPLE(g, 2, 3, 4), CAL_SAMPLE(g, 2, 3, 7)}, 2, 2);
    default: return 0;
  }
}

cal_value cal_concat(cal_graph *g, const cal_value *parts, int count, int axis) {
  if (count == 1) return parts[0];
  return cal_graph_add(g, cal_op_find("concat"), parts, count, &(cal_attributes){.i = {axis}});
}

extern const cal_op cal_op_concat;
const cal_op cal_op_concat = {"concat",
                              1,
                              CAL_MOST_INPUTS,
                              1,
                              .strided = ~0u,
                              .infer = concat_infer,
                              .in_float = concat_reference,
                              .in_double = concat_reference,
                              .derivative = concat_derivative,
                              .cost = move_cost,
                              .sample = concat_sample};

/* ---- pad: attr.i = axis, zeros before, zeros after. ------------------------------------------------------------------- */

static cal_status pad_infer(const cal_graph *g, const cal_node *node, cal_value_info *outputs, cal_error *err) {
  const cal_value_info *x = cal_graph_info(g, node->input[0]);
  int64_t axis = node->attr.i[0], before = node->attr.i[1], after = node->attr.i[2];
  if (!axis_ok(x, axis) || before < 0 || after < 0)
    return cal_fail(err, CAL_E_ARG, "pad: %" PRId64 " before and %" PRId64 " after on axis %" PRId64 " of %d", before, after, axis,
                    x->shape.rank);
  outputs[0].dtype = x->dtype;
  outputs[0].shape = x->shape;
  outputs[0].shape.dim[axis] += before + after;
  return CAL_OK;
}

static void pad_reference(const cal_reference_call *call) {
  int64_t to[CAL_DIMS], from[CAL_DIMS];
  size_t size = element_size(call);
  cal_strides_dense(call->output_shape[0], to);
  cal_strides_dense(call->input_shape[0], from);
  memset(call->output[0], 0, (size_t)cal_shape_count(call->output_shape[0]) * size);
  int64_t at = to[call->node->attr.i[0]] * call->node->attr.i[1];
  cal_strided_copy(call->input_shape[0], (void *)(uintptr_t)moved(call->output[0], at, size), to, call->input[0], from, size);
}

static cal_value pad_derivative(cal_graph *g, const cal_node *node, int index, const cal_value *d) {
  (void)index;
  int axis = (int)node->attr.i[0];
  return cal_slice(g, d[0], axis, node->attr.i[1], cal_graph_shape(g, node->input[0]).dim[axis]);
}

static cal_value pad_sample(cal_graph *g, const cal_op *op, int index) {
  (void)op;
  switch (index) {
    case 0: return cal_pad(g, CAL_SAMPLE(g, 1), 0, 0, 3);
    case 1: return cal_pad(g, CAL_SAMPLE(g, 2, 3, 5), 1, 2, 1);
    case 2: return cal_pad(g, CAL_SAMPLE(g, 3, 4), 1, 4, 0);
    default: return 0;
  }
}

cal_value cal_pad(cal_graph *g, cal_value a, int axis, int64_t before, int64_t after) {
  if (!before && !after) return a;
  return cal_graph_add(g, cal_op_find("pad"), &a, 1, &(cal_attributes){.i = {axis, before, after}});
}

extern const cal_op cal_op_pad;
const cal_op cal_op_pad = {"pad",
                           1,
                           1,
                           1,
                           .strided = 1,
                           .infer = pad_infer,
                           .in_float = pad_reference,
                           .in_double = pad_reference,
                           .derivative = pad_derivative,
                           .cost = move_cost,
                           .sample = pad_sample};
