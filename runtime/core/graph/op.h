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
typedef struct cal_row cal_row;

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
  cal_dtype input_dtype[CAL_MOST_INPUTS]; /* only whether it is CAL_I32 matters here */
  size_t real_size;                       /* 4 or 8 */
} cal_reference_call;

typedef struct {
  double flops, bytes;
} cal_cost;

/* One row of ops/elementwise.def. `inputs` names what the node's inputs are bound to, in order: a b c of the op itself, y its
 * result, d the gradient of its result; "k" stands for attr.r[0]. `text` is the expression as it is written, in terms of the
 * macros EXP LOG SQRT RSQRT SIN COS TANH ERF FABS FMAX FMIN POW SELECT(condition, yes, no) REAL(literal). */
struct cal_row {
  const char *inputs, *text;
  bool uses_k;
  bool no_gradient; /* a step function: its gradient is nothing */
  float (*in_float)(float a, float b, float c, float y, float d, float k);
  double (*in_double)(double a, double b, double c, double y, double d, double k);
};

/* What the float inputs of samples may hold, so that finite differences mean something. */
typedef enum {
  CAL_ANY,      /* -2 .. 2 */
  CAL_POSITIVE, /* 0.3 .. 2.3 */
  CAL_NONZERO,  /* -2.3 .. 2.3, not nearer to 0 than 0.3 */
} cal_domain;

struct cal_op {
  const char *name;
  int least_inputs, most_inputs, outputs;
  bool view;         /* outputs only look at input 0 in another way */
  unsigned strided;  /* bit i: every implementation takes input i with any strides */
  unsigned in_place; /* bit i: output 0 may be written over input i when nothing else reads it */
  int dtype_at;      /* not 0: attr.i[dtype_at] - 1 is the dtype of the result, if that is not 0: no rounding in between */

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
  cal_value (*sample)(cal_graph *g, const cal_op *op, int index);
  cal_domain domain;
  const cal_row *row; /* of an elementwise op */
  double tolerance;   /* of a kernel in f32 against the double reference, relative to the largest element */
};

const cal_op *cal_op_find(const char *name);
extern const cal_op *const cal_ops[]; /* all of them, NULL at the end */

int cal_graph_node_count(const cal_graph *g);
const cal_node *cal_graph_node(const cal_graph *g, int index);

/* For ops/: append a node; returns its first output. The same op on the same inputs with the same attributes is the node that
 * is there already. */
cal_value cal_graph_add(cal_graph *g, const cal_op *op, const cal_value *inputs, int count, const cal_attributes *attr);

/* Shapes and dtypes, for infer functions. */
cal_status cal_shape_broadcast(const char *op, cal_shape a, cal_shape b, cal_shape *out, cal_error *err);
cal_dtype cal_dtype_wider(cal_dtype a, cal_dtype b); /* of two float dtypes; f16 with bf16 gives f32 */
/* The dtype that the attributes ask for, else `otherwise`. */
cal_dtype cal_result_dtype(const cal_node *node, cal_dtype otherwise);
cal_value cal_sum_to(cal_graph *g, cal_value a, cal_shape shape);             /* undoes broadcasting: the gradient of repeating */
cal_cost cal_cost_of(const cal_graph *g, const cal_node *node, double flops); /* with the bytes of its inputs and outputs */

/* For samples: a fresh f32 input of these sizes. */
cal_value cal_sample_input(cal_graph *g, int rank, const int64_t *dims);
#define CAL_SAMPLE(g, ...) cal_sample_input(g, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__})

#endif
