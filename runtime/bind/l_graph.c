/* l_graph.c - native.graph: programs over tensors, written with operators. One to one with core/graph/graph.h; axes count from 1,
 * negative ones from the end. What cannot be built raises the graph's own sentence, with the path where it happened. */
#include <string.h>

#include "bind/tensor.h"
#include "core/graph/op.h"

static const char REFERENCE[] = "calotype.reference";

typedef struct {
  cal_reference *ref;
  cal_graph_box *graph;
} reference_box;

enum { LONGEST_LIST = 1 << 16 };

/* ---- between Lua and the graph ---------------------------------------------------------------------------------------- */

cal_graph_box *cal_check_graph(lua_State *L, int arg) {
  cal_graph_box *box = luaL_checkudata(L, arg, CAL_GRAPH_TYPE);
  if (!box->g) luaL_argerror(L, arg, "this graph is closed");
  return box;
}

cal_value_box *cal_check_value(lua_State *L, int arg) {
  cal_value_box *box = luaL_checkudata(L, arg, CAL_VALUE_TYPE);
  if (!box->graph->g) luaL_argerror(L, arg, "the graph of this value is closed");
  return box;
}

/* A value of this graph; the values of two graphs are never mixed. */
cal_value cal_check_value_of(lua_State *L, int arg, const cal_graph_box *graph) {
  cal_value_box *box = cal_check_value(L, arg);
  if (box->graph != graph) luaL_argerror(L, arg, "this value belongs to another graph");
  return box->v;
}

static cal_value optional_value_of(lua_State *L, int arg, const cal_graph_box *graph) {
  return lua_isnoneornil(L, arg) ? 0 : cal_check_value_of(L, arg, graph);
}

/* Push a value of the graph that argument `owner` (a graph or a value) belongs to; raise what went wrong when there is none. */
static int push_value(lua_State *L, int owner, cal_value v) {
  owner = lua_absindex(L, owner);
  if (luaL_testudata(L, owner, CAL_VALUE_TYPE)) lua_getiuservalue(L, owner, 1);
  else lua_pushvalue(L, owner);
  cal_graph_box *graph = lua_touserdata(L, -1);
  if (!v) {
    const cal_error *err = cal_graph_error(graph->g);
    if (err->code) return cal_raise(L, err);
    return luaL_error(L, "the graph gave no value and no reason");
  }
  cal_value_box *box = cal_push_shell(L, CAL_VALUE_TYPE, sizeof *box);
  *box = (cal_value_box){graph, v};
  lua_pushvalue(L, -2);
  lua_setiuservalue(L, -2, 1);
  return 1;
}

static int raise_graph_error(lua_State *L, const cal_graph *g) {
  const cal_error *err = cal_graph_error(g);
  return err->code ? cal_raise(L, err) : 0;
}

static cal_dtype check_dtype(lua_State *L, int arg) {
  static const char *const names[] = {"f32", "f16", "bf16", "i32", NULL};
  return (cal_dtype)cal_check_choice(L, arg, NULL, names);
}

cal_segment cal_check_segment(lua_State *L, int arg) {
  static const char *const names[] = {"accumulate", "apply", "sample", NULL};
  return (cal_segment)cal_check_choice(L, arg, NULL, names);
}

cal_group cal_check_group(lua_State *L, int arg) {
  static const char *const names[] = {"none", "parameters", "gradients", "moment_1", "moment_2", "average", NULL};
  return (cal_group)cal_check_choice(L, arg, "none", names);
}

static cal_shape check_shape(lua_State *L, int arg, int64_t least) {
  luaL_checktype(L, arg, LUA_TTABLE);
  cal_shape s = {0};
  lua_Integer rank = luaL_len(L, arg);
  if (rank > CAL_DIMS) luaL_argerror(L, arg, lua_pushfstring(L, "a shape has at most %d sizes", CAL_DIMS));
  for (s.rank = 0; s.rank < rank; s.rank++) {
    int whole;
    lua_rawgeti(L, arg, s.rank + 1);
    s.dim[s.rank] = lua_tointegerx(L, -1, &whole);
    if (!whole || s.dim[s.rank] < least || s.dim[s.rank] > INT32_MAX)
      luaL_argerror(L, arg, lua_pushfstring(L, "size %d is no size", s.rank + 1));
    lua_pop(L, 1);
  }
  return s;
}

static int check_axis(lua_State *L, int arg, int rank) {
  lua_Integer axis = luaL_checkinteger(L, arg);
  if (axis < 0) axis += rank + 1;
  if (axis < 1 || axis > rank) luaL_argerror(L, arg, lua_pushfstring(L, "there are %d axes", rank));
  return (int)axis - 1;
}

double *cal_check_numbers(lua_State *L, int arg, int64_t count) {
  double *numbers = lua_newuserdatauv(L, (size_t)count * sizeof *numbers + 1, 0);
  if (lua_type(L, arg) == LUA_TNUMBER) {
    luaL_argcheck(L, count == 1, arg, "one number is for a value of one element");
    numbers[0] = lua_tonumber(L, arg);
    return numbers;
  }
  luaL_checktype(L, arg, LUA_TTABLE);
  luaL_argcheck(L, luaL_len(L, arg) == count, arg, lua_pushfstring(L, "%d numbers for %d elements", (int)luaL_len(L, arg), (int)count));
  for (int64_t i = 0; i < count; i++) {
    lua_rawgeti(L, arg, i + 1);
    numbers[i] = luaL_checknumber(L, -1);
    lua_pop(L, 1);
  }
  return numbers;
}

int cal_push_numbers(lua_State *L, const double *numbers, cal_shape shape) {
  if (!shape.rank) return lua_pushnumber(L, numbers[0]), 1;
  int64_t count = cal_shape_count(shape);
  lua_createtable(L, (int)count, 0);
  for (int64_t i = 0; i < count; i++) {
    lua_pushnumber(L, numbers[i]);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

/* ---- graphs ----------------------------------------------------------------------------------------------------------- */

static int l_new(lua_State *L) {
  cal_graph_box *box = cal_push_shell(L, CAL_GRAPH_TYPE, sizeof *box);
  box->g = cal_graph_new();
  return box->g ? 1 : luaL_error(L, "graph: no memory");
}

static int l_graph_free(lua_State *L) {
  cal_graph_box *box = luaL_checkudata(L, 1, CAL_GRAPH_TYPE);
  cal_graph_free(box->g);
  box->g = NULL;
  return 0;
}

static int l_graph_text(lua_State *L) {
  cal_graph_box *box = luaL_checkudata(L, 1, CAL_GRAPH_TYPE);
  if (!box->g) lua_pushliteral(L, "graph (closed)");
  else lua_pushfstring(L, "graph (%d nodes)", cal_graph_node_count(box->g));
  return 1;
}

static int l_input(lua_State *L) {
  return push_value(L, 1, cal_graph_input(cal_check_graph(L, 1)->g, luaL_checkstring(L, 2), check_dtype(L, 3), check_shape(L, 4, 1)));
}

static int l_weight(lua_State *L) {
  return push_value(L, 1, cal_graph_weight(cal_check_graph(L, 1)->g, luaL_checkstring(L, 2), check_dtype(L, 3), check_shape(L, 4, 1)));
}

/* g:state(name, dtype, shape [, "none" | "parameters"]) */
static int l_state(lua_State *L) {
  cal_group group = cal_check_group(L, 5);
  return push_value(L, 1,
                    cal_graph_state(cal_check_graph(L, 1)->g, luaL_checkstring(L, 2), check_dtype(L, 3), check_shape(L, 4, 1), group));
}

/* g:mirror(parameter, group): the place in `group` that belongs to a parameter. */
static int l_mirror(lua_State *L) {
  cal_graph_box *box = cal_check_graph(L, 1);
  return push_value(L, 1, cal_graph_mirror(box->g, cal_check_value_of(L, 2, box), cal_check_group(L, 3)));
}

static int l_flat(lua_State *L) { return push_value(L, 1, cal_graph_flat(cal_check_graph(L, 1)->g, cal_check_group(L, 2))); }

/* g:constant(dtype, shape, bytes | {numbers}) */
static int l_constant(lua_State *L) {
  cal_graph_box *box = cal_check_graph(L, 1);
  cal_dtype dtype = check_dtype(L, 2);
  cal_shape shape = check_shape(L, 3, 1);
  int64_t count = cal_shape_count(shape);
  size_t size;
  if (lua_type(L, 4) == LUA_TSTRING) {
    const char *bytes = luaL_checklstring(L, 4, &size);
    if ((int64_t)(size / cal_dtype_size(dtype)) != count || size % cal_dtype_size(dtype))
      return luaL_error(L, "%d bytes do not fill a constant of %d elements", (int)size, (int)count);
    return push_value(L, 1, cal_graph_constant(box->g, dtype, shape, bytes));
  }
  luaL_checktype(L, 4, LUA_TTABLE);
  if (luaL_len(L, 4) != count) return luaL_error(L, "%d numbers do not fill a constant of %d elements", (int)luaL_len(L, 4), (int)count);
  double *numbers = lua_newuserdatauv(L, (size_t)count * sizeof *numbers, 0);
  for (int64_t i = 0; i < count; i++) {
    lua_rawgeti(L, 4, i + 1);
    numbers[i] = luaL_checknumber(L, -1);
    lua_pop(L, 1);
  }
  void *bytes = lua_newuserdatauv(L, (size_t)count * cal_dtype_size(dtype), 0);
  cal_numbers_to(dtype, numbers, count, bytes);
  return push_value(L, 1, cal_graph_constant(box->g, dtype, shape, bytes));
}

static int l_number(lua_State *L) { return push_value(L, 1, cal_graph_number(cal_check_graph(L, 1)->g, luaL_checknumber(L, 2))); }

static int l_enter(lua_State *L) {
  cal_graph_box *box = cal_check_graph(L, 1);
  cal_graph_enter(box->g, luaL_checkstring(L, 2));
  return raise_graph_error(L, box->g);
}

static int l_leave(lua_State *L) {
  cal_graph_box *box = cal_check_graph(L, 1);
  cal_graph_leave(box->g);
  return raise_graph_error(L, box->g);
}

/* g:fuse_attention(widest): attention with heads of up to so many numbers is one op from now on; 0: none is */
static int l_fuse_attention(lua_State *L) {
  cal_graph_box *box = cal_check_graph(L, 1);
  const lua_Integer widest = luaL_checkinteger(L, 2);
  luaL_argcheck(L, widest >= 0, 2, "0 or more is wanted");
  return cal_graph_fuse_attention(box->g, widest), 0;
}

static int l_output(lua_State *L) {
  cal_graph_box *box = cal_check_graph(L, 1);
  cal_graph_output(box->g, cal_check_segment(L, 2), cal_check_value_of(L, 3, box));
  return raise_graph_error(L, box->g);
}

/* g:store(segment, state, value [, add]) */
static int l_store(lua_State *L) {
  cal_graph_box *box = cal_check_graph(L, 1);
  cal_graph_store(box->g, cal_check_segment(L, 2), cal_check_value_of(L, 3, box), cal_check_value_of(L, 4, box), lua_toboolean(L, 5));
  return raise_graph_error(L, box->g);
}

/* A list of values at `arg` into memory that Lua owns. */
static cal_value *check_list(lua_State *L, int arg, const cal_graph_box *graph, int *count) {
  luaL_checktype(L, arg, LUA_TTABLE);
  lua_Integer n = luaL_len(L, arg);
  if (n < 0 || n > LONGEST_LIST) luaL_argerror(L, arg, "the list is too long");
  cal_value *values = lua_newuserdatauv(L, (size_t)n * sizeof *values + 1, 0);
  for (lua_Integer i = 0; i < n; i++) {
    lua_rawgeti(L, arg, i + 1);
    cal_value_box *box = luaL_testudata(L, -1, CAL_VALUE_TYPE);
    if (!box || box->graph != graph)
      return luaL_argerror(L, arg, lua_pushfstring(L, "element %d is no value of this graph", (int)i + 1)), NULL;
    values[i] = box->v;
    lua_pop(L, 1);
  }
  *count = (int)n;
  return values;
}

/* g:differentiate(loss, {values}) -> {gradients} */
static int l_differentiate(lua_State *L) {
  cal_graph_box *box = cal_check_graph(L, 1);
  int count;
  cal_value loss = cal_check_value_of(L, 2, box), *wrt = check_list(L, 3, box, &count);
  cal_value *gradients = lua_newuserdatauv(L, (size_t)count * sizeof *gradients + 1, 0);
  if (!cal_graph_differentiate(box->g, loss, wrt, count, gradients)) return raise_graph_error(L, box->g);
  lua_createtable(L, count, 0);
  for (int i = 0; i < count; i++) {
    push_value(L, 1, gradients[i]);
    lua_rawseti(L, -3, i + 1);
    lua_pop(L, 1);
  }
  return 1;
}

/* g:counts() -> nodes, values */
static int l_counts(lua_State *L) {
  cal_graph_box *box = cal_check_graph(L, 1);
  lua_pushinteger(L, cal_graph_node_count(box->g));
  lua_pushinteger(L, cal_graph_value_count(box->g));
  return 2;
}

/* ---- values ----------------------------------------------------------------------------------------------------------- */

static int l_value_free(lua_State *L) {
  (void)L; /* a value owns nothing */
  return 0;
}

static int l_value_text(lua_State *L) {
  cal_value_box *box = luaL_checkudata(L, 1, CAL_VALUE_TYPE);
  if (!box->graph->g) return lua_pushliteral(L, "value (closed)"), 1;
  const cal_value_info *info = cal_graph_info(box->graph->g, box->v);
  char text[CAL_SHAPE_TEXT];
  lua_pushfstring(L, "%s %s %s", cal_dtype_name(info->dtype), cal_shape_text(info->shape, text), info->name ? info->name : "");
  return 1;
}

static int l_shape(lua_State *L) {
  cal_value_box *box = cal_check_value(L, 1);
  cal_shape s = cal_graph_shape(box->graph->g, box->v);
  lua_createtable(L, s.rank, 0);
  for (int i = 0; i < s.rank; i++) {
    lua_pushinteger(L, s.dim[i]);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

static int l_dtype(lua_State *L) {
  cal_value_box *box = cal_check_value(L, 1);
  lua_pushstring(L, cal_dtype_name(cal_graph_info(box->graph->g, box->v)->dtype));
  return 1;
}

/* v:element() -> where a parameter begins in the flat buffers, counted from 0 */
static int l_element(lua_State *L) {
  cal_value_box *box = cal_check_value(L, 1);
  const cal_value_info *info = cal_graph_info(box->graph->g, box->v);
  luaL_argcheck(L, info->source == CAL_STATE && info->group != CAL_NO_GROUP, 1, "a parameter or its mirror is expected");
  lua_pushinteger(L, (lua_Integer)info->flat_at);
  return 1;
}

static int l_equal(lua_State *L) {
  cal_value_box *a = luaL_checkudata(L, 1, CAL_VALUE_TYPE), *b = luaL_checkudata(L, 2, CAL_VALUE_TYPE);
  lua_pushboolean(L, a->graph == b->graph && a->v == b->v);
  return 1;
}

/* One of the operands of an operator may be a Lua number. */
static int l_operator(lua_State *L, const char *row) {
  bool left = lua_type(L, 1) == LUA_TNUMBER, right = lua_type(L, 2) == LUA_TNUMBER;
  cal_graph_box *graph = cal_check_value(L, left ? 2 : 1)->graph;
  cal_graph *g = graph->g;
  cal_value v;
  if (!left && !right) v = cal_elementwise(g, row, cal_check_value_of(L, 1, graph), cal_check_value_of(L, 2, graph), 0, 0);
  else {
    cal_value a = cal_check_value_of(L, left ? 2 : 1, graph);
    double k = lua_tonumber(L, left ? 1 : 2);
    switch (row[0]) {
      case 'a': v = cal_elementwise(g, "add_k", a, 0, 0, k); break;
      case 'm': v = cal_scale(g, a, k); break;
      case 's':
        v = right ? cal_elementwise(g, "add_k", a, 0, 0, -k) : cal_elementwise(g, "add_k", cal_elementwise(g, "neg", a, 0, 0, 0), 0, 0, k);
        break;
      default: v = right ? cal_scale(g, a, 1 / k) : cal_div(g, cal_graph_number(g, k), a); break;
    }
  }
  return push_value(L, left ? 2 : 1, v);
}
static int l_add(lua_State *L) { return l_operator(L, "add"); }
static int l_sub(lua_State *L) { return l_operator(L, "sub"); }
static int l_mul(lua_State *L) { return l_operator(L, "mul"); }
static int l_div(lua_State *L) { return l_operator(L, "div"); }
static int l_negate(lua_State *L) {
  cal_value_box *box = cal_check_value(L, 1);
  return push_value(L, 1, cal_elementwise(box->graph->g, "neg", box->v, 0, 0, 0));
}

static int l_reshape(lua_State *L) {
  cal_value_box *box = cal_check_value(L, 1);
  return push_value(L, 1, cal_reshape(box->graph->g, box->v, check_shape(L, 2, -1)));
}

static int l_expand(lua_State *L) {
  cal_value_box *box = cal_check_value(L, 1);
  return push_value(L, 1, cal_expand(box->graph->g, box->v, check_shape(L, 2, 1)));
}

static int l_permute(lua_State *L) {
  cal_value_box *box = cal_check_value(L, 1);
  cal_shape order = check_shape(L, 2, 1);
  int rank = cal_graph_shape(box->graph->g, box->v).rank, axes[CAL_DIMS];
  luaL_argcheck(L, order.rank == rank, 2, "every axis is named once");
  unsigned seen = 0;
  for (int i = 0; i < rank; i++) {
    axes[i] = (int)order.dim[i] - 1;
    luaL_argcheck(L, axes[i] < rank && !(seen >> axes[i] & 1), 2, "every axis is named once");
    seen |= 1u << axes[i];
  }
  return push_value(L, 1, cal_permute(box->graph->g, box->v, axes));
}

/* v:slice(axis, from, size): `from` counts from 1 */
static int l_slice(lua_State *L) {
  cal_value_box *box = cal_check_value(L, 1);
  int axis = check_axis(L, 2, cal_graph_shape(box->graph->g, box->v).rank);
  return push_value(L, 1, cal_slice(box->graph->g, box->v, axis, luaL_checkinteger(L, 3) - 1, luaL_checkinteger(L, 4)));
}

/* v:pad(axis, before, after): with zeros */
static int l_pad(lua_State *L) {
  cal_value_box *box = cal_check_value(L, 1);
  int axis = check_axis(L, 2, cal_graph_shape(box->graph->g, box->v).rank);
  return push_value(L, 1, cal_pad(box->graph->g, box->v, axis, luaL_checkinteger(L, 3), luaL_checkinteger(L, 4)));
}

static int l_cast(lua_State *L) {
  cal_value_box *box = cal_check_value(L, 1);
  return push_value(L, 1, cal_cast(box->graph->g, box->v, check_dtype(L, 2)));
}

/* v:sum(axis, ...): each goes to size 1; without arguments all of them */
static int l_sum(lua_State *L) {
  cal_value_box *box = cal_check_value(L, 1);
  int rank = cal_graph_shape(box->graph->g, box->v).rank, last = lua_gettop(L);
  unsigned axes = last == 1 ? (1u << rank) - 1 : 0;
  for (int arg = 2; arg <= last; arg++) axes |= 1u << check_axis(L, arg, rank);
  return push_value(L, 1, cal_sum(box->graph->g, box->v, axes));
}

static int l_mean(lua_State *L) {
  cal_value_box *box = cal_check_value(L, 1);
  return push_value(L, 1, cal_mean(box->graph->g, box->v));
}

static int l_softmax(lua_State *L) {
  cal_value_box *box = cal_check_value(L, 1);
  return push_value(L, 1, cal_softmax(box->graph->g, box->v));
}

/* ---- ops of several values ------------------------------------------------------------------------------------------- */

/* graph.concat({values}, axis) */
static int l_concat(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  int count;
  lua_rawgeti(L, 1, 1);
  cal_value_box *first = luaL_testudata(L, -1, CAL_VALUE_TYPE);
  luaL_argcheck(L, first && first->graph->g, 1, "a list of values is expected");
  int owner = lua_gettop(L), axis = check_axis(L, 2, cal_graph_shape(first->graph->g, first->v).rank);
  cal_value *parts = check_list(L, 1, first->graph, &count);
  return push_value(L, owner, cal_concat(first->graph->g, parts, count, axis));
}

/* graph.matmul(a, b [, {transpose_a=, transpose_b=}]) */
static int l_matmul(lua_State *L) {
  cal_graph_box *graph = cal_check_value(L, 1)->graph;
  unsigned flags = (cal_option_boolean(L, 3, "transpose_a", 0) ? CAL_TRANSPOSE_A : 0) |
                   (cal_option_boolean(L, 3, "transpose_b", 0) ? CAL_TRANSPOSE_B : 0);
  return push_value(L, 1, cal_matmul(graph->g, cal_check_value_of(L, 1, graph), cal_check_value_of(L, 2, graph), flags));
}

/* graph.linear(x, w [, bias]): w is [out, in] */
static int l_linear(lua_State *L) {
  cal_graph_box *graph = cal_check_value(L, 1)->graph;
  return push_value(L, 1,
                    cal_linear(graph->g, cal_check_value_of(L, 1, graph), cal_check_value_of(L, 2, graph), optional_value_of(L, 3, graph)));
}

/* graph.conv2d(x, w [, {stride=1, pad=0, top=, bottom=, left=, right=}]): x [B, H, W, C], w [O, kh, kw, C] */
static int l_conv2d(lua_State *L) {
  cal_graph_box *graph = cal_check_value(L, 1)->graph;
  int pad = (int)cal_option_integer(L, 3, "pad", 0);
  cal_conv conv = {(int)cal_option_integer(L, 3, "stride", 1), (int)cal_option_integer(L, 3, "top", pad),
                   (int)cal_option_integer(L, 3, "bottom", pad), (int)cal_option_integer(L, 3, "left", pad),
                   (int)cal_option_integer(L, 3, "right", pad)};
  return push_value(L, 1, cal_conv2d(graph->g, cal_check_value_of(L, 1, graph), cal_check_value_of(L, 2, graph), conv));
}

static int l_upsample(lua_State *L) {
  cal_value_box *box = cal_check_value(L, 1);
  return push_value(L, 1, cal_upsample(box->graph->g, box->v));
}

/* graph.norm(x, groups, epsilon [, gamma, beta]) */
static int l_norm(lua_State *L) {
  cal_graph_box *graph = cal_check_value(L, 1)->graph;
  lua_Integer groups = luaL_checkinteger(L, 2);
  luaL_argcheck(L, groups >= 1 && groups <= INT32_MAX, 2, "at least one group");
  return push_value(L, 1,
                    cal_norm(graph->g, cal_check_value_of(L, 1, graph), (int)groups, luaL_checknumber(L, 3), optional_value_of(L, 4, graph),
                             optional_value_of(L, 5, graph)));
}

/* graph.layer_norm(x, epsilon [, gamma, beta]) */
static int l_layer_norm(lua_State *L) {
  cal_graph_box *graph = cal_check_value(L, 1)->graph;
  return push_value(L, 1,
                    cal_layer_norm(graph->g, cal_check_value_of(L, 1, graph), luaL_checknumber(L, 2), optional_value_of(L, 3, graph),
                                   optional_value_of(L, 4, graph)));
}

static int l_embedding(lua_State *L) {
  cal_graph_box *graph = cal_check_value(L, 1)->graph;
  return push_value(L, 1, cal_embedding(graph->g, cal_check_value_of(L, 1, graph), cal_check_value_of(L, 2, graph)));
}

/* graph.attention(q, k, v, scale [, causal]) */
static int l_attention(lua_State *L) {
  cal_graph_box *graph = cal_check_value(L, 1)->graph;
  return push_value(L, 1,
                    cal_attention(graph->g, cal_check_value_of(L, 1, graph), cal_check_value_of(L, 2, graph),
                                  cal_check_value_of(L, 3, graph), luaL_checknumber(L, 4), lua_toboolean(L, 5)));
}

/* graph.silu(x), graph.max(a, b), graph.power(a, k) ...: upvalue 1 is the row's op */
static int l_row(lua_State *L) {
  const cal_op *op = lua_touserdata(L, lua_upvalueindex(1));
  cal_graph_box *graph = cal_check_value(L, 1)->graph;
  cal_value in[3] = {0};
  for (int i = 0; i < op->most_inputs && i < 3; i++) in[i] = cal_check_value_of(L, i + 1, graph);
  double k = op->row->uses_k ? luaL_checknumber(L, op->most_inputs + 1) : 0;
  return push_value(L, 1, cal_elementwise(graph->g, op->name, in[0], in[1], in[2], k));
}

/* ---- the reference executor -------------------------------------------------------------------------------------------- */

static reference_box *check_reference(lua_State *L) {
  reference_box *box = luaL_checkudata(L, 1, REFERENCE);
  if (!box->ref || !box->graph->g) luaL_argerror(L, 1, "this reference is closed");
  return box;
}

cal_graph_box *cal_test_reference(lua_State *L, int arg, cal_reference **ref) {
  reference_box *box = luaL_testudata(L, arg, REFERENCE);
  if (!box || !box->ref || !box->graph->g) return NULL;
  *ref = box->ref;
  return box->graph;
}

static int l_reference(lua_State *L) {
  static const char *const names[] = {"float", "double", NULL};
  cal_graph_box *graph = cal_check_graph(L, 1);
  cal_precision precision = (cal_precision)cal_check_choice(L, 2, "float", names);
  reference_box *box = cal_push_shell(L, REFERENCE, sizeof *box);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  cal_error err = {0};
  box->graph = graph;
  box->ref = cal_reference_new(graph->g, precision, &err);
  return box->ref ? 1 : cal_raise(L, &err);
}

static int l_reference_free(lua_State *L) {
  reference_box *box = luaL_checkudata(L, 1, REFERENCE);
  cal_reference_free(box->ref);
  box->ref = NULL;
  return 0;
}

static int l_reference_text(lua_State *L) {
  lua_pushliteral(L, "reference");
  return 1;
}

/* ref:set(value, bytes in its dtype | {numbers} | number) */
static int l_set(lua_State *L) {
  reference_box *box = check_reference(L);
  cal_value v = cal_check_value_of(L, 2, box->graph);
  cal_error err = {0};
  if (lua_type(L, 3) == LUA_TSTRING) {
    size_t size;
    const char *bytes = lua_tolstring(L, 3, &size);
    return cal_reference_set_bytes(box->ref, v, bytes, size, &err) ? cal_raise(L, &err) : 0;
  }
  double *numbers = cal_check_numbers(L, 3, cal_shape_count(cal_graph_shape(box->graph->g, v)));
  return cal_reference_set(box->ref, v, numbers, &err) ? cal_raise(L, &err) : 0;
}

static int l_run(lua_State *L) {
  reference_box *box = check_reference(L);
  cal_error err = {0};
  return cal_reference_run(box->ref, cal_check_segment(L, 2), &err) ? cal_raise(L, &err) : 0;
}

static int l_compute(lua_State *L) {
  reference_box *box = check_reference(L);
  int count;
  cal_value *values = check_list(L, 2, box->graph, &count);
  cal_error err = {0};
  return cal_reference_compute(box->ref, values, count, &err) ? cal_raise(L, &err) : 0;
}

static double *get_numbers(lua_State *L, int64_t *count) {
  reference_box *box = check_reference(L);
  cal_value v = cal_check_value_of(L, 2, box->graph);
  *count = cal_shape_count(cal_graph_shape(box->graph->g, v));
  double *numbers = lua_newuserdatauv(L, (size_t)*count * sizeof *numbers + 1, 0);
  cal_error err = {0};
  if (cal_reference_get(box->ref, v, numbers, &err)) cal_raise(L, &err);
  return numbers;
}

/* ref:get(value) -> {numbers}, or the number of a value without axes */
static int l_get(lua_State *L) {
  int64_t count;
  double *numbers = get_numbers(L, &count);
  cal_value_box *box = cal_check_value(L, 2);
  return cal_push_numbers(L, numbers, cal_graph_shape(box->graph->g, box->v));
}

/* ref:bytes(value) -> its elements in its dtype */
static int l_bytes(lua_State *L) {
  int64_t count;
  double *numbers = get_numbers(L, &count);
  cal_value_box *box = cal_check_value(L, 2);
  cal_dtype dtype = cal_graph_info(box->graph->g, box->v)->dtype;
  luaL_Buffer b;
  size_t size = (size_t)count * cal_dtype_size(dtype);
  cal_numbers_to(dtype, numbers, count, luaL_buffinitsize(L, &b, size));
  luaL_pushresultsize(&b, size);
  return 1;
}

int luaopen_cal_graph(lua_State *L);
int luaopen_cal_graph(lua_State *L) {
  static const luaL_Reg graph_methods[] = {{"input", l_input},   {"weight", l_weight},     {"state", l_state},
                                           {"mirror", l_mirror}, {"flat", l_flat},         {"number", l_number},
                                           {"enter", l_enter},   {"constant", l_constant}, {"leave", l_leave},
                                           {"output", l_output}, {"store", l_store},       {"differentiate", l_differentiate},
                                           {"counts", l_counts}, {"close", l_graph_free},  {"fuse_attention", l_fuse_attention},
                                           {NULL, NULL}};
  static const luaL_Reg value_methods[] = {
      {"shape", l_shape}, {"dtype", l_dtype}, {"element", l_element}, {"reshape", l_reshape}, {"expand", l_expand}, {"permute", l_permute},
      {"slice", l_slice}, {"pad", l_pad},     {"cast", l_cast},       {"sum", l_sum},         {"mean", l_mean},     {"softmax", l_softmax},
      {"__add", l_add},   {"__sub", l_sub},   {"__mul", l_mul},       {"__div", l_div},       {"__unm", l_negate},  {"__eq", l_equal},
      {NULL, NULL}};
  static const luaL_Reg reference_methods[] = {{"set", l_set}, {"run", l_run},     {"compute", l_compute},
                                               {"get", l_get}, {"bytes", l_bytes}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"new", l_new},
                                       {"concat", l_concat},
                                       {"matmul", l_matmul},
                                       {"linear", l_linear},
                                       {"conv2d", l_conv2d},
                                       {"upsample", l_upsample},
                                       {"norm", l_norm},
                                       {"layer_norm", l_layer_norm},
                                       {"embedding", l_embedding},
                                       {"attention", l_attention},
                                       {"reference", l_reference},
                                       {NULL, NULL}};
  cal_register_type(L, CAL_GRAPH_TYPE, graph_methods, l_graph_free, l_graph_text);
  cal_register_type(L, CAL_VALUE_TYPE, value_methods, l_value_free, l_value_text);
  cal_register_type(L, REFERENCE, reference_methods, l_reference_free, l_reference_text);
  luaL_newlib(L, functions);
  for (const cal_op *const *op = cal_ops; *op; op++) {
    /* Rows that only differentiating builds have a dot or a 'd' among their inputs. */
    if (!(*op)->row || (*op)->most_inputs > 3 || strpbrk((*op)->row->inputs, "yd") || !strcmp((*op)->name, "cast")) continue;
    lua_pushlightuserdata(L, (void *)(uintptr_t)*op);
    lua_pushcclosure(L, l_row, 1);
    lua_setfield(L, -2, (*op)->name);
  }
  return 1;
}
