/* op.h - one record per op: everything the engine knows of it.
 *
 *   const cal_op *op = cal_op_find("matmul");
 *   if (op && op->outputs == 1) puts(op->name);
 *
 * From a record come the shape check, the reference result in float and in double, the gradient, the gradient check, the
 * comparison of every kernel with the double result, the roofline and the benchmark. To add an op, write one file in ops/.
 * uses: base
 */
#ifndef CAL_GRAPH_OP_H
#define CAL_GRAPH_OP_H

#include <stdio.h>

#include "core/graph/graph.h"

enum { CAL_MOST_INPUTS = 8, CAL_MOST_OUTPUTS = 3 };

/* What an op was asked to do besides its inputs; what each number means is said at the op's record. Plain numbers, so that
 * two nodes can be compared and hashed. */
typedef struct {
  int64_t i[8];
  double r[4];
} cal_attributes;

typedef struct cal_op cal_op;

typedef struct {
  const cal_op *op;
  int inputs, outputs;
  cal_value input[CAL_MOST_INPUTS], output[CAL_MOST_OUTPUTS];
  cal_attributes attr;
  const char *path; /* "unet.down_blocks.0.attn.to_q" */
} cal_node;

/* One call of a reference loop: every tensor dense, in the precision of the call (i32 stays i32). */
typedef struct {
  const cal_node *node;
  cal_shape input_shape[CAL_MOST_INPUTS], output_shape[CAL_MOST_OUTPUTS];
  const void *input[CAL_MOST_INPUTS];
  void *output[CAL_MOST_OUTPUTS];
} cal_reference_call;

typedef struct {
  double flops, bytes;
} cal_cost;

struct cal_op {
  const char *name;
  int least_inputs, most_inputs, outputs;
  bool view;         /* outputs only look at input 0 in another way */
  unsigned strided;  /* bit i: every implementation takes input i with any strides */
  unsigned in_place; /* bit i: output 0 may be written over input i when nothing else reads it */

  /* Check the inputs; set dtype and shape of each output. The message needs no path: the graph puts it in front. */
  cal_status (*infer)(const cal_graph *g, const cal_node *node, cal_value_info *outputs, cal_error *err);
  /* The specification, as plain loops; one source compiled twice (see reference.h). */
  void (*in_float)(const cal_reference_call *call);
  void (*in_double)(const cal_reference_call *call);
  /* The gradient of input `index`, built with ops from the node's values and d_outputs (0 where no gradient arrives).
   * NULL: this op has none (integer inputs, backward ops). Returns 0 when this input has none. */
  cal_value (*derivative)(cal_graph *g, const cal_node *node, int index, const cal_value *d_outputs);
  cal_cost (*cost)(const cal_graph *g, const cal_node *node);
  /* Build sample `index` from fresh inputs; 0 when there are no more. Edge-covering and small: they are the test matrix. */
  cal_value (*sample)(cal_graph *g, int index);
  double tolerance; /* of a kernel in f32 against the double reference, relative to the largest element */
};

const cal_op *cal_op_find(const char *name);
extern const cal_op *const cal_ops[]; /* all of them, NULL at the end */

int cal_graph_node_count(const cal_graph *g);
const cal_node *cal_graph_node(const cal_graph *g, int index);

/* For ops/: append a node; returns its first output. */
cal_value cal_graph_add(cal_graph *g, const cal_op *op, const cal_value *inputs, int count, const cal_attributes *attr);

#endif
