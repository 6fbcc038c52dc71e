/* tensor.h - graphs and their values as arguments of bindings.
 *
 *   static int l_rank(lua_State *L) {
 *     cal_value_box *box = cal_check_value(L, 1);
 *     lua_pushinteger(L, cal_graph_shape(box->graph->g, box->v).rank);
 *     return 1;
 *   }
 *
 * The values of two graphs are never mixed; a value keeps its graph alive through its user value.
 * uses: core/graph, Lua
 */
#ifndef CAL_BIND_TENSOR_H
#define CAL_BIND_TENSOR_H

#include "bind/bind.h"
#include "core/graph/graph.h"
#include "core/graph/reference.h"

#define CAL_GRAPH_TYPE "calotype.graph"
#define CAL_VALUE_TYPE "calotype.value"

typedef struct {
  cal_graph *g; /* NULL: closed */
} cal_graph_box;

typedef struct {
  cal_graph_box *graph;
  cal_value v;
} cal_value_box;

/* All of these raise with the argument's number when it is something else, closed, or of another graph. */
cal_graph_box *cal_check_graph(lua_State *L, int arg);
cal_value_box *cal_check_value(lua_State *L, int arg);
cal_value cal_check_value_of(lua_State *L, int arg, const cal_graph_box *graph);
cal_segment cal_check_segment(lua_State *L, int arg);
cal_group cal_check_group(lua_State *L, int arg);

/* `count` numbers from a table, or one from a number; the memory is Lua's and stays while it is on the stack. */
double *cal_check_numbers(lua_State *L, int arg, int64_t count);

/* A table of numbers, or one number when the shape has no axes: returns 1. */
int cal_push_numbers(lua_State *L, const double *numbers, cal_shape shape);

/* The graph of the plan or reference at `arg`, and a write of one of its values in its dtype. */
cal_graph_box *cal_check_target(lua_State *L, int arg);
cal_status cal_write_target(lua_State *L, int arg, cal_value v, const void *bytes, size_t size, cal_error *err);
cal_graph_box *cal_test_reference(lua_State *L, int arg, cal_reference **ref); /* NULL: it is none */

#endif
