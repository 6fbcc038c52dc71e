/* schedule.h - a graph made ready to run: steps in order, every operand with its place in memory.
 *
 *   cal_error err = {0};
 *   cal_graph *g = cal_graph_new();
 *   cal_value x = cal_graph_input(g, "x", CAL_F32, cal_shape_of(1, (int64_t[]){8}));
 *   cal_value y = cal_square(g, x);
 *   cal_graph_output(g, CAL_SAMPLE, y);
 *   cal_schedule *s = cal_schedule_new(g, NULL, &err);
 *   for (int i = 0; s && i < s->segment[CAL_SAMPLE].steps; i++) puts(s->segment[CAL_SAMPLE].step[i].path);
 *   const cal_place *at = s ? cal_schedule_place(s, y) : NULL;     // where to read y after the segment ran
 *   if (at) printf("%ld\n", (long)at->offset);
 *   cal_schedule_free(s);
 *   cal_graph_free(g);
 *
 * A schedule knows no device and needs none; what runs it needs no graph but for names. Same graph, same schedule.
 *
 * There are two kinds of steps. A *node* is an op that needs a kernel of its own; a *chain* is a small program over the
 * elements of one iteration space, and stands for fused elementwise ops, casts, copies (a chain without instructions),
 * concatenations (chains that write into a part of their result), fills and stores into states. Views are gone: they are
 * strides and offsets of places.
 * uses: base
 */
#ifndef CAL_GRAPH_SCHEDULE_H
#define CAL_GRAPH_SCHEDULE_H

#include <stdio.h>

#include "core/base/buffer.h"
#include "core/graph/op.h"

typedef enum {
  CAL_IN_NOTHING,
  CAL_IN_ARENA,     /* chunk: which of arena_chunk[] */
  CAL_IN_INPUTS,    /* one buffer of inputs_size bytes, written by the host before a run; small inputs come first */
  CAL_IN_CONSTANTS, /* one buffer of constants_size bytes, filled from `constants` */
  CAL_IN_WEIGHTS,   /* chunk: which of weight_chunk[] */
  CAL_IN_STATES,    /* group CAL_NO_GROUP: chunk is which of state_chunk[]; else the flat buffer of the group, flat_size elements */
} cal_storage;

typedef struct {
  cal_storage storage;
  cal_group group; /* of a state */
  int chunk;
  int64_t offset; /* bytes from the start of the buffer to element 0 */
  cal_dtype dtype;
  cal_shape shape;
  int64_t stride[CAL_DIMS]; /* in elements; 0: repeated */
  cal_value value;          /* which value's memory this is (a view's: the value it looks at) */
} cal_place;

enum { CAL_CHAIN_INPUTS = 12, CAL_CHAIN_OUTPUTS = 6, CAL_CHAIN_LENGTH = 32 };

/* Registers: 0 .. inputs-1 hold the loaded operands, converted to f32; register inputs + i holds the result of instruction i.
 * `row` NULL: the result is the number k. `operand[j]` is the register bound to the row's j-th input letter. */
typedef struct {
  const cal_row *row;
  int8_t operand[5];
  float k;
} cal_instruction;

/* All places of a chain have the iteration space as their shape (the same `rank` and sizes), with strides of their own; axes are
 * merged where every operand allows. An element is read before it is written, so an output may be where an input is. */
typedef struct {
  cal_shape space;
  int inputs, outputs, length;
  cal_place input[CAL_CHAIN_INPUTS], output[CAL_CHAIN_OUTPUTS];
  int8_t result[CAL_CHAIN_OUTPUTS]; /* the register that goes to output i */
  cal_instruction program[CAL_CHAIN_LENGTH];
} cal_chain;

typedef enum { CAL_STEP_NODE, CAL_STEP_CHAIN } cal_step_kind;

typedef struct {
  cal_step_kind kind;
  const char *path; /* of the node, or of the last one fused into the chain */
  double flops;     /* as op->cost counts them; of a chain one per instruction and element */

  /* CAL_STEP_NODE. Outputs are dense, in the arena or in a state; inputs are dense too, but those whose bit is set in
   * op->strided. The dtypes are those of the places: an op computes into what its output is stored in. */
  const cal_op *op;
  cal_attributes attr;
  int inputs, outputs;
  cal_place input[CAL_MOST_INPUTS], output[CAL_MOST_OUTPUTS];

  cal_chain *chain; /* CAL_STEP_CHAIN */
} cal_step;

typedef struct {
  int steps;
  cal_step *step;
} cal_schedule_segment;

typedef struct {
  int64_t largest_chunk; /* bytes in one buffer; 0: no limit */
  bool no_fusion;        /* one chain per elementwise op: for finding out what went wrong */
  bool no_reuse;         /* every value has memory of its own: the same */
} cal_schedule_options;

typedef struct cal_schedule {
  cal_schedule_segment segment[CAL_SEGMENTS];
  int arena_chunks, weight_chunks, state_chunks;
  int64_t *arena_chunk, *weight_chunk, *state_chunk; /* bytes */
  int64_t inputs_size, constants_size;
  unsigned char *constants;
  int64_t flat_size;           /* elements of each group's flat buffer */
  bool group_used[CAL_GROUPS]; /* whether a step touches the group */
  int64_t arena_needed;        /* bytes that live at the same time at the worst moment: what the arena cannot be smaller than */
  cal_place *place;            /* by value; storage CAL_IN_NOTHING: the value is nowhere (dead, or inside a chain) */
  int values;
} cal_schedule;

/* NULL on failure: the graph's own error, a tensor larger than `largest_chunk` (CAL_E_LIMIT, with its path and size), no memory.
 * `options` may be NULL. The graph must outlive the schedule. */
cal_schedule *cal_schedule_new(const cal_graph *g, const cal_schedule_options *options, cal_error *err);
void cal_schedule_free(cal_schedule *s);

/* Where an input, weight, constant, state or output is; outputs are dense and stay until their segment runs again. NULL: nowhere. */
const cal_place *cal_schedule_place(const cal_schedule *s, cal_value v);

/* Bytes that a step reads and writes when each element moves once, however often it is repeated (a stride of 0; the table of an embedding
 * as a whole): with its flops, where the step stands below the roofline (Williams et al., "Roofline", 2009). */
int64_t cal_step_bytes(const cal_step *step);

/* The schedule as text, a line for the memory and one per step: what to read when a plan is slow or wrong. */
void cal_schedule_print(const cal_schedule *s, cal_buffer *out);

#endif
