/* items.h - between graph and schedule: what a segment has to do, before it is fused, ordered and placed. Private to the passes.
 *
 *   cal_items list = {0};
 *   cal_items_free(&list);
 *
 * lower.c makes items from nodes, fuse.c joins elementwise items into chains, place.c gives every buffer its bytes, schedule.c
 * calls them.
 * uses: base
 */
#ifndef CAL_GRAPH_ITEMS_H
#define CAL_GRAPH_ITEMS_H

#include "core/graph/schedule.h"

/* A stretch of memory that is written and read under one name. */
typedef struct {
  cal_storage storage;
  cal_group group; /* of a flat buffer */
  cal_dtype dtype;
  cal_value value;
  const char *path; /* for messages */
  int64_t count;    /* elements */
  int segment;      /* of an arena buffer */
  bool pinned;      /* an output: stays after its segment */
  int first, last;  /* steps of its segment between which it is needed; first -1: never */
  int writers;      /* items */
  int home;         /* in-place: the buffer whose memory it takes over; itself otherwise */
  int chunk;
  int64_t offset; /* bytes */
} cal_memory;

/* Elements of a buffer seen with a shape. */
typedef struct {
  int memory; /* which cal_memory */
  int64_t at; /* elements before the first one */
  cal_shape shape;
  int64_t stride[CAL_DIMS];
} cal_access;

/* A node that needs its own kernel (`node`), or one elementwise instruction over the shape of its output: a row, a copy (no row,
 * one input) or a fill with k (no row, no input). */
typedef struct {
  const cal_node *node;
  const char *path;
  const cal_row *row;
  float k;
  int inputs, outputs;
  cal_access input[CAL_MOST_INPUTS], output[CAL_MOST_OUTPUTS];
} cal_item;

typedef struct {
  int count, capacity;
  cal_item *item;
  /* Who must come before whom: item i waits for before[before_at[i]] .. before[before_at[i + 1]], all smaller than i. */
  int *before, *before_at, *after, *after_at;
} cal_items;

typedef struct {
  int count, capacity;
  cal_memory *at;
} cal_memories;

void cal_items_free(cal_items *list);

/* What the passes know of a schedule in the making. */
typedef struct {
  const cal_graph *g;
  const cal_schedule_options *options;
  cal_schedule *s;
  cal_error *err;
  cal_memories memories;
  int group_memory[CAL_GROUPS]; /* -1 until used */
  int *source_memory;           /* by value, of inputs, constants, weights, ungrouped states: -1 until used */

  /* Of the segment being lowered. */
  int segment;
  cal_items items;
  unsigned char *wanted; /* by value */
  cal_access *layout;    /* by value: where its elements are */
  int *dense_copy;       /* by value: memory of a dense copy, -1 */
} cal_lowering;

/* Fill `items` with what the segment's outputs and stores need, in an order in which everything is made before it is used. Places
 * of outputs are set, with place.chunk and place.offset as in chains below. */
bool cal_lower_segment(cal_lowering *j);

/* Where an input, constant, weight or state is; gives it a memory when it has none. */
bool cal_find_source(cal_lowering *j, cal_value v, cal_access *out);
cal_access cal_access_dense(int memory, int64_t at, cal_shape shape);

/* Join elementwise items. `chains[i]` is the finished chain at the last of its items, NULL at all others and at nodes; in it,
 * place.chunk is the index of a cal_memory and place.offset counts elements. An item whose result nobody outside of its chain
 * reads leaves no trace. The array and each chain are owned by the caller. */
cal_chain **cal_fuse(const cal_items *list, const cal_memories *memories, const cal_graph *g, bool never, cal_error *err);

/* Give every arena memory with first >= 0 its chunk and offset. Sets the schedule's arena fields. */
cal_status cal_place_arena(cal_memories *memories, const cal_schedule_options *options, cal_schedule *s, cal_error *err);

/* Whether two accesses of one memory may touch a common element, and whether they are the same elements in the same order. */
bool cal_access_overlaps(const cal_access *a, const cal_access *b);

#endif
