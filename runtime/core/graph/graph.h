/* graph.h - a static program over tensors: built once, differentiated, run many times.
 *
 *   cal_graph *g = cal_graph_new();
 *   cal_value x = cal_graph_input(g, "x", CAL_F32, cal_shape_of(2, (int64_t[]){8, 320}));
 *   cal_value w = cal_graph_state(g, "to_q.weight", CAL_F32, cal_shape_of(2, (int64_t[]){64, 320}), CAL_PARAMETERS);
 *   cal_value y = cal_matmul(g, x, w, CAL_TRANSPOSE_B);           // [8, 64]
 *   cal_value loss = cal_mean(g, cal_square(g, y));
 *   cal_value dw;
 *   cal_graph_differentiate(g, loss, &w, 1, &dw);                 // dw has w's shape
 *   if (cal_graph_error(g)->code) puts(cal_graph_error(g)->text); // the first thing that went wrong while building
 *   cal_graph_free(g);
 *
 * A value is a number; 0 is "no value". Building functions return 0 on failure, keep the first error in the graph, and
 * accept 0 (returning 0): a model is written without a check after every line, and asked once at the end.
 *
 * Layout: token-major, pictures as [B, H, W, C]. A linear layer's weight is [out, in] as PyTorch stores it; a convolution's
 * is [out, kh, kw, in]. Everything is a list of at most CAL_DIMS sizes, last one fastest.
 * uses: base
 */
#ifndef CAL_GRAPH_GRAPH_H
#define CAL_GRAPH_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"

typedef enum { CAL_F32, CAL_F16, CAL_BF16, CAL_I32, CAL_DTYPES } cal_dtype; /* storage; floats are always accumulated in f32 */

size_t cal_dtype_size(cal_dtype dtype);
const char *cal_dtype_name(cal_dtype dtype); /* "f32" ... */

enum { CAL_DIMS = 5 };

typedef struct {
  int rank; /* 0: a scalar */
  int64_t dim[CAL_DIMS];
} cal_shape;

cal_shape cal_shape_of(int rank, const int64_t *dims);
int64_t cal_shape_count(cal_shape s); /* number of elements */
bool cal_shape_equal(cal_shape a, cal_shape b);
enum { CAL_SHAPE_TEXT = 80 };
char *cal_shape_text(cal_shape s, char out[CAL_SHAPE_TEXT]); /* "[2, 64, 320]" */

typedef int32_t cal_value; /* 0: none */

/* Where a value comes from, which decides where it lives. */
typedef enum {
  CAL_COMPUTED, /* by a node: lives in the arena for as long as it is needed */
  CAL_INPUT,    /* written by the host before a run (pictures, token ids, noise, timestep, learning rate): one staged buffer */
  CAL_CONSTANT, /* bytes known when the graph is built; kept by the graph */
  CAL_WEIGHT,   /* frozen, loaded once, never written; found by its path */
  CAL_STATE,    /* read and written by the device: parameters, gradients, moments, averages */
} cal_source;

/* States live in flat buffers, one per group, each state's start rounded up to 64 elements with zeros between, so that an
 * optimiser is a few elementwise nodes over cal_graph_flat(). CAL_GRADIENTS mirrors CAL_PARAMETERS element by element. */
typedef enum { CAL_NO_GROUP, CAL_PARAMETERS, CAL_GRADIENTS, CAL_MOMENT_1, CAL_MOMENT_2, CAL_AVERAGE, CAL_GROUPS } cal_group;

/* A plan runs a segment at a time. A computed value never crosses from one segment into another: states do. */
typedef enum { CAL_ACCUMULATE, CAL_APPLY, CAL_SAMPLE, CAL_SEGMENTS } cal_segment;

typedef struct cal_graph cal_graph;

cal_graph *cal_graph_new(void); /* NULL: no memory */
void cal_graph_free(cal_graph *g);
const cal_error *cal_graph_error(const cal_graph *g);

/* Paths for messages and for finding weights: "unet.down_blocks.0" then "attn" give nodes the path "unet.down_blocks.0.attn". */
void cal_graph_enter(cal_graph *g, const char *part);
void cal_graph_leave(cal_graph *g);

/* Refuse: keeps the first refusal, with the path in front. For whoever builds on top of the graph. Returns 0. */
cal_value cal_graph_fail(cal_graph *g, cal_status code, const char *format, ...) CAL_PRINTF(3, 4);

cal_value cal_graph_input(cal_graph *g, const char *name, cal_dtype dtype, cal_shape shape);
cal_value cal_graph_constant(cal_graph *g, cal_dtype dtype, cal_shape shape, const void *data); /* copies the bytes */
cal_value cal_graph_number(cal_graph *g, double number);                                        /* scalar f32 constant */
cal_value cal_graph_weight(cal_graph *g, const char *path, cal_dtype dtype, cal_shape shape);   /* same path twice: same value */

/* A state of its own (CAL_NO_GROUP) or a parameter (CAL_PARAMETERS, f32). The other groups have the layout of the parameters:
 * cal_graph_mirror gives the place in `group` (its gradient, its moment ...) that belongs to a parameter. */
cal_value cal_graph_state(cal_graph *g, const char *name, cal_dtype dtype, cal_shape shape, cal_group group);
cal_value cal_graph_mirror(cal_graph *g, cal_value parameter, cal_group group);
cal_value cal_graph_flat(cal_graph *g, cal_group group); /* the whole group as [N] f32; after it no parameter can be added */
int64_t cal_graph_flat_size(const cal_graph *g);         /* N so far, padding included */

/* What a run must produce. A value to be read back, or a store: `state` takes `value` (add: state + value) at the end of the
 * segment, after every reading of the old state. */
void cal_graph_output(cal_graph *g, cal_segment segment, cal_value value);
void cal_graph_store(cal_graph *g, cal_segment segment, cal_value state, cal_value value, bool add);

/* Gradients of a scalar with respect to `wrt` (states, inputs, computed values). Builds backward nodes for what lies between
 * and for nothing else; a `wrt` that does not influence `loss` gets a zero constant. Returns false when the graph has an error. */
bool cal_graph_differentiate(cal_graph *g, cal_value loss, const cal_value *wrt, int count, cal_value *gradients);

/* Looking at a graph. */
typedef struct {
  cal_source source;
  cal_dtype dtype;
  cal_shape shape;
  cal_group group;
  int64_t flat_at;  /* of a state: its first element inside the group's flat buffer */
  int node, output; /* of a computed value: which node, which of its outputs */
  const char *name; /* input, weight or state name; of a computed value its node's path */
  const void *data; /* of a constant */
} cal_value_info;   /* stays where it is as long as the graph lives */

typedef struct {
  cal_value state, value;
  bool add;
} cal_store;

int cal_graph_output_count(const cal_graph *g, cal_segment segment);
cal_value cal_graph_output_at(const cal_graph *g, cal_segment segment, int index);
int cal_graph_store_count(const cal_graph *g, cal_segment segment);
cal_store cal_graph_store_at(const cal_graph *g, cal_segment segment, int index);

int cal_graph_value_count(const cal_graph *g); /* values are 1 .. count */
const cal_value_info *cal_graph_info(const cal_graph *g, cal_value v);
cal_shape cal_graph_shape(const cal_graph *g, cal_value v);

/* ---- ops. Each is documented at its record in ops/. -------------------------------------------------------------- */

/* Elementwise with right-aligned broadcasting; the rows of ops/elementwise.def. The result has the widest dtype of those inputs
 * that have its size: what is repeated (a bias, a mask, a number) does not widen. A product or convolution has the dtype of its
 * first input: how weights are stored does not decide how activations are. */
cal_value cal_elementwise(cal_graph *g, const char *row, cal_value a, cal_value b, cal_value c, double k);
cal_value cal_add(cal_graph *g, cal_value a, cal_value b);
cal_value cal_sub(cal_graph *g, cal_value a, cal_value b);
cal_value cal_mul(cal_graph *g, cal_value a, cal_value b);
cal_value cal_div(cal_graph *g, cal_value a, cal_value b);
cal_value cal_scale(cal_graph *g, cal_value a, double k);
cal_value cal_square(cal_graph *g, cal_value a);
cal_value cal_cast(cal_graph *g, cal_value a, cal_dtype dtype);

/* Views: no bytes move where the reader takes strides. */
cal_value cal_reshape(cal_graph *g, cal_value a, cal_shape shape); /* one -1 is worked out */
cal_value cal_permute(cal_graph *g, cal_value a, const int *order);
cal_value cal_slice(cal_graph *g, cal_value a, int axis, int64_t from, int64_t size);
cal_value cal_expand(cal_graph *g, cal_value a, cal_shape shape); /* sizes of 1 are repeated, axes added in front */
cal_value cal_concat(cal_graph *g, const cal_value *parts, int count, int axis);

cal_value cal_sum(cal_graph *g, cal_value a, unsigned axes); /* bit i: axis i goes to size 1; deterministic tree */
cal_value cal_mean(cal_graph *g, cal_value a);               /* of everything: a scalar, f32 */
cal_value cal_softmax(cal_graph *g, cal_value a);            /* over the last axis */

cal_value cal_pad(cal_graph *g, cal_value a, int axis, int64_t before, int64_t after); /* with zeros */

enum { CAL_TRANSPOSE_A = 1, CAL_TRANSPOSE_B = 2 };
cal_value cal_matmul(cal_graph *g, cal_value a, cal_value b, unsigned flags); /* leading axes broadcast */

typedef struct {
  int stride;
  int pad_top, pad_bottom, pad_left, pad_right;
} cal_conv;
cal_value cal_conv2d(cal_graph *g, cal_value x, cal_value w, cal_conv conv); /* [B,H,W,C], [O,kh,kw,C] -> [B,H',W',O] */
cal_value cal_upsample(cal_graph *g, cal_value x);                           /* nearest, twice as large: [B,2H,2W,C] */

/* x w' + bias over the last axis: w is [out, in], bias [out] or 0. */
cal_value cal_linear(cal_graph *g, cal_value x, cal_value w, cal_value bias);

/* Over groups of channels and all positions: x [B, ..., C], C in `groups` runs. groups = 1 on [tokens, D] with the tokens as
 * B is a layer norm. gamma and beta [C] or 0. */
cal_value cal_norm(cal_graph *g, cal_value x, int groups, double epsilon, cal_value gamma, cal_value beta);
cal_value cal_layer_norm(cal_graph *g, cal_value x, double epsilon, cal_value gamma, cal_value beta); /* over the last axis */

cal_value cal_embedding(cal_graph *g, cal_value table, cal_value ids); /* [V, D], i32 [...] -> [..., D] */

/* softmax(q k' * scale + mask) v. q [B,Tq,H,d], k and v [B,Tk,H,d]; causal: a token sees itself and what is before it. */
cal_value cal_attention(cal_graph *g, cal_value q, cal_value k, cal_value v, double scale, bool causal);

/* From now on attention with heads of up to `widest` numbers (the last size of q and k) is one op that keeps no scores; with wider ones
 * it is composed from products and a softmax, which keep [B, H, Tq, Tk]. 0, the default: always composed. */
void cal_graph_fuse_attention(cal_graph *g, int64_t widest);
bool cal_graph_fuses_attention(const cal_graph *g, int64_t size);

#endif
