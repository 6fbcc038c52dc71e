/* l_device.c - native.device: an OpenCL device, and graphs compiled for it into plans. */
#include <string.h>

#include "bind/embedded.h"
#include "bind/tensor.h"
#include "core/cl/plan.h"
#include "core/graph/schedule.h"

static const char DEVICE[] = "calotype.device", PLAN[] = "calotype.plan";

/* A device that is closed while plans are open goes with the last of them. */
typedef struct {
  cal_context *c;
  int plans;
  bool closed;
} device_box;

typedef struct {
  cal_plan *plan;
  cal_schedule *schedule;
  device_box *device; /* it and the graph are kept alive by the user value */
  cal_graph_box *graph;
} plan_box;

/* ---- devices ---------------------------------------------------------------------------------------------------------- */

static device_box *check_device(lua_State *L) {
  device_box *box = luaL_checkudata(L, 1, DEVICE);
  if (!box->c || box->closed) luaL_argerror(L, 1, "this device is closed");
  return box;
}

static int l_device_free(lua_State *L) {
  device_box *box = luaL_checkudata(L, 1, DEVICE);
  box->closed = true;
  if (box->plans) return 0;
  cal_context_close(box->c);
  box->c = NULL;
  return 0;
}

static int l_device_text(lua_State *L) {
  device_box *box = luaL_checkudata(L, 1, DEVICE);
  if (!box->c) lua_pushliteral(L, "device (closed)");
  else if (box->closed) lua_pushfstring(L, "device (closed, goes with the last of %d plans)", box->plans);
  else lua_pushfstring(L, "device (%s)", box->c->name);
  return 1;
}

/* device.open([{wish=, cache=}]) -> device | nil, message, code */
static int l_open(lua_State *L) {
  cal_context_options options = {
      .wish = cal_option_text(L, 1, "wish", NULL), .cache = cal_option_text(L, 1, "cache", NULL), .find = cal_embedded_find};
  device_box *box = cal_push_shell(L, DEVICE, sizeof *box);
  cal_error err = {0};
  box->c = cal_context_open(&options, &err);
  return box->c ? 1 : cal_push_refusal(L, &err);
}

/* device:info() -> {name, vendor, version, driver, platform, cpu, units, memory, largest_buffer} */
static int l_info(lua_State *L) {
  const cal_context *c = check_device(L)->c;
  const struct {
    const char *key, *value;
  } texts[] = {{"name", c->name}, {"vendor", c->vendor}, {"version", c->version}, {"driver", c->driver}, {"platform", c->platform_name}};
  lua_newtable(L);
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) lua_pushstring(L, texts[i].value), lua_setfield(L, -2, texts[i].key);
  lua_pushboolean(L, c->cpu), lua_setfield(L, -2, "cpu");
  lua_pushboolean(L, c->native), lua_setfield(L, -2, "native");
  lua_pushinteger(L, c->units), lua_setfield(L, -2, "units");
  lua_pushinteger(L, (lua_Integer)c->memory), lua_setfield(L, -2, "memory");
  lua_pushinteger(L, (lua_Integer)c->largest_buffer), lua_setfield(L, -2, "largest_buffer");
  return 1;
}

/* ---- plans ------------------------------------------------------------------------------------------------------------ */

static plan_box *check_plan(lua_State *L) {
  plan_box *box = luaL_checkudata(L, 1, PLAN);
  if (!box->plan || !box->graph->g) luaL_argerror(L, 1, "this plan is closed");
  return box;
}

cal_graph_box *cal_check_target(lua_State *L, int arg) {
  cal_reference *ref;
  cal_graph_box *graph = cal_test_reference(L, arg, &ref);
  if (graph) return graph;
  plan_box *box = luaL_testudata(L, arg, PLAN);
  if (!box || !box->plan || !box->graph->g) luaL_argerror(L, arg, "an open plan or reference is expected");
  return box->graph;
}

cal_status cal_write_target(lua_State *L, int arg, cal_value v, const void *bytes, size_t size, cal_error *err) {
  cal_reference *ref;
  if (cal_test_reference(L, arg, &ref)) return cal_reference_set_bytes(ref, v, bytes, size, err);
  plan_box *box = luaL_checkudata(L, arg, PLAN);
  return cal_plan_write(box->plan, v, bytes, size, err);
}

static void close_plan(plan_box *box) {
  if (!box->device) return;
  cal_plan_free(box->plan);
  cal_schedule_free(box->schedule);
  device_box *device = box->device;
  *box = (plan_box){0};
  if (!--device->plans && device->closed) cal_context_close(device->c), device->c = NULL;
}

static int l_plan_free(lua_State *L) {
  close_plan(luaL_checkudata(L, 1, PLAN));
  return 0;
}

static int l_plan_text(lua_State *L) {
  plan_box *box = luaL_checkudata(L, 1, PLAN);
  if (!box->plan) return lua_pushliteral(L, "plan (closed)"), 1;
  cal_plan_size size = cal_plan_sizes(box->plan);
  lua_pushfstring(L, "plan (%d steps)", size.steps[CAL_ACCUMULATE] + size.steps[CAL_APPLY] + size.steps[CAL_SAMPLE]);
  return 1;
}

/* The option `like`: an open plan, whose weights and states the new one shares. */
static cal_plan *like_of(lua_State *L) {
  if (!lua_istable(L, 3) || lua_getfield(L, 3, "like") == LUA_TNIL) return NULL;
  plan_box *box = luaL_testudata(L, -1, PLAN);
  if (!box || !box->plan) luaL_argerror(L, 3, "like: an open plan is expected");
  return box->plan;
}

static cal_schedule_options schedule_options(lua_State *L, const device_box *device) {
  return (cal_schedule_options){.largest_chunk = (int64_t)device->c->largest_buffer, .no_fusion = !cal_option_boolean(L, 3, "fusion", 1)};
}

/* device:plan(graph [, {candidate=, or_portable=true, wait_each=, hasty=, fusion=true, like=plan}]) -> plan | nil, message, code */
static int l_plan(lua_State *L) {
  device_box *device = check_device(L);
  cal_graph_box *graph = cal_check_graph(L, 2);
  cal_plan_options options = {.candidate = cal_option_text(L, 3, "candidate", NULL),
                              .or_portable = cal_option_boolean(L, 3, "or_portable", 1),
                              .wait_each = cal_option_boolean(L, 3, "wait_each", 0),
                              .hasty = cal_option_boolean(L, 3, "hasty", 0),
                              .like = like_of(L)};
  cal_schedule_options place = schedule_options(L, device);
  plan_box *box = cal_push_shell(L, PLAN, sizeof *box);
  lua_createtable(L, 2, 0);
  for (int arg = 1; arg <= 2; arg++) lua_pushvalue(L, arg), lua_rawseti(L, -2, arg);
  lua_setiuservalue(L, -2, 1);
  cal_error err = {0};
  box->device = device, box->graph = graph;
  device->plans++;
  box->schedule = cal_schedule_new(graph->g, &place, &err);
  box->plan = box->schedule ? cal_plan_new(device->c, box->schedule, &options, &err) : NULL;
  if (box->plan) return 1;
  close_plan(box);
  return cal_push_refusal(L, &err);
}

/* plan:set(value, bytes in its dtype | {numbers} | number) */
static int l_set(lua_State *L) {
  plan_box *box = check_plan(L);
  cal_value v = cal_check_value_of(L, 2, box->graph);
  const cal_value_info *info = cal_graph_info(box->graph->g, v);
  cal_error err = {0};
  size_t size;
  const void *bytes;
  if (lua_type(L, 3) == LUA_TSTRING) bytes = lua_tolstring(L, 3, &size);
  else {
    int64_t count = cal_shape_count(info->shape);
    double *numbers = cal_check_numbers(L, 3, count);
    size = (size_t)count * cal_dtype_size(info->dtype);
    void *made = lua_newuserdatauv(L, size + 1, 0);
    cal_numbers_to(info->dtype, numbers, count, made);
    bytes = made;
  }
  return cal_plan_write(box->plan, v, bytes, size, &err) ? cal_raise(L, &err) : 0;
}

/* plan:run(segment) -> true | nil, message, code. Returns when the work is enqueued; get waits. */
static int l_run(lua_State *L) {
  plan_box *box = check_plan(L);
  cal_error err = {0};
  if (cal_plan_run(box->plan, cal_check_segment(L, 2), &err)) return cal_push_refusal(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

/* plan:bytes(value) -> its elements in its dtype | nil, message, code */
static int l_bytes(lua_State *L) {
  plan_box *box = check_plan(L);
  cal_value v = cal_check_value_of(L, 2, box->graph);
  const cal_value_info *info = cal_graph_info(box->graph->g, v);
  size_t size = (size_t)cal_shape_count(info->shape) * cal_dtype_size(info->dtype);
  luaL_Buffer b;
  cal_error err = {0};
  if (cal_plan_read(box->plan, v, luaL_buffinitsize(L, &b, size), size, &err)) return cal_push_refusal(L, &err);
  luaL_pushresultsize(&b, size);
  return 1;
}

/* plan:get(value) -> {numbers}, or the number of a value without axes | nil, message, code */
static int l_get(lua_State *L) {
  plan_box *box = check_plan(L);
  cal_value v = cal_check_value_of(L, 2, box->graph);
  const cal_value_info *info = cal_graph_info(box->graph->g, v);
  int64_t count = cal_shape_count(info->shape);
  size_t size = (size_t)count * cal_dtype_size(info->dtype);
  void *bytes = lua_newuserdatauv(L, size + 1, 0);
  double *numbers = lua_newuserdatauv(L, (size_t)count * sizeof *numbers + 1, 0);
  cal_error err = {0};
  if (cal_plan_read(box->plan, v, bytes, size, &err)) return cal_push_refusal(L, &err);
  cal_numbers_of(info->dtype, bytes, count, numbers);
  return cal_push_numbers(L, numbers, info->shape);
}

/* plan:group(name) -> the flat buffer of a group as f32 bytes; plan:set_group(name, bytes) puts them back: checkpoints. */
static int l_group(lua_State *L) {
  plan_box *box = check_plan(L);
  cal_group group = cal_check_group(L, 2);
  int64_t count = cal_graph_flat_size(box->graph->g);
  luaL_Buffer b;
  cal_error err = {0};
  float *out = (float *)(void *)luaL_buffinitsize(L, &b, (size_t)count * sizeof *out);
  if (cal_plan_read_group(box->plan, group, 0, count, out, &err)) return cal_push_refusal(L, &err);
  luaL_pushresultsize(&b, (size_t)count * sizeof *out);
  return 1;
}

static int l_set_group(lua_State *L) {
  plan_box *box = check_plan(L);
  cal_group group = cal_check_group(L, 2);
  size_t size;
  const char *bytes = luaL_checklstring(L, 3, &size);
  int64_t count = cal_graph_flat_size(box->graph->g);
  if (size != (size_t)count * sizeof(float)) return luaL_error(L, "%d bytes for a group of %d numbers", (int)size, (int)count);
  float *in = lua_newuserdatauv(L, size + 1, 0); /* strings need not be aligned */
  memcpy(in, bytes, size);
  cal_error err = {0};
  return cal_plan_write_group(box->plan, group, 0, count, in, &err) ? cal_raise(L, &err) : 0;
}

static void push_bytes(lua_State *L, const cal_plan_size *size) {
  const struct {
    const char *key;
    int64_t value;
  } bytes[] = {{"arena", size->arena},   {"weights", size->weights},     {"states", size->states},
               {"inputs", size->inputs}, {"constants", size->constants}, {"scratch", size->scratch}};
  lua_newtable(L);
  for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) lua_pushinteger(L, bytes[i].value), lua_setfield(L, -2, bytes[i].key);
}

/* device:sizes(graph [, {fusion=true}]) -> what a plan of it will take, {arena, weights, states, inputs, constants, scratch = 0} in bytes |
 * nil, message, code. Nothing is taken for it; scratch is known when the plan is there. */
static int l_device_sizes(lua_State *L) {
  device_box *device = check_device(L);
  cal_graph_box *graph = cal_check_graph(L, 2);
  cal_schedule_options place = schedule_options(L, device);
  cal_error err = {0};
  cal_schedule *s = cal_schedule_new(graph->g, &place, &err);
  if (!s) return cal_push_refusal(L, &err);
  cal_plan_size size = cal_plan_sizes_of(s);
  cal_schedule_free(s);
  push_bytes(L, &size);
  return 1;
}

/* plan:sizes() -> {arena, weights, states, inputs, constants, scratch} in bytes, {steps, enqueues} per segment */
static int l_sizes(lua_State *L) {
  static const char *const names[] = {"accumulate", "apply", "sample"};
  cal_plan_size size = cal_plan_sizes(check_plan(L)->plan);
  push_bytes(L, &size);
  for (int part = 0; part < 2; part++) {
    lua_newtable(L);
    for (int i = 0; i < CAL_SEGMENTS; i++) lua_pushinteger(L, part ? size.enqueues[i] : size.steps[i]), lua_setfield(L, -2, names[i]);
    lua_setfield(L, -2, part ? "enqueues" : "steps");
  }
  return 1;
}

/* plan:times(segment) -> {{op, path, candidate, seconds, flops, bytes}, ...}: what each step took in the last run of a plan with wait_each,
 * in order, what it computes, and what it moves when each element moves once. A chain of elementwise ops is "elementwise". */
static int l_times(lua_State *L) {
  plan_box *box = check_plan(L);
  const cal_segment segment = cal_check_segment(L, 2);
  const cal_schedule_segment *steps = &box->schedule->segment[segment];
  lua_createtable(L, steps->steps, 0);
  for (int i = 0; i < steps->steps; i++) {
    const cal_step *step = &steps->step[i];
    lua_createtable(L, 0, 6);
    lua_pushstring(L, step->kind == CAL_STEP_NODE ? step->op->name : "elementwise"), lua_setfield(L, -2, "op");
    lua_pushstring(L, step->path), lua_setfield(L, -2, "path");
    lua_pushstring(L, cal_plan_choice(box->plan, segment, i)), lua_setfield(L, -2, "candidate");
    lua_pushnumber(L, cal_plan_seconds(box->plan, segment, i)), lua_setfield(L, -2, "seconds");
    lua_pushnumber(L, step->flops), lua_setfield(L, -2, "flops");
    lua_pushinteger(L, cal_step_bytes(step)), lua_setfield(L, -2, "bytes");
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

int luaopen_cal_device(lua_State *L);
int luaopen_cal_device(lua_State *L) {
  static const luaL_Reg device_methods[] = {
      {"info", l_info}, {"plan", l_plan}, {"sizes", l_device_sizes}, {"close", l_device_free}, {NULL, NULL}};
  static const luaL_Reg plan_methods[] = {{"set", l_set},         {"run", l_run},     {"bytes", l_bytes}, {"get", l_get},
                                          {"group", l_group},     {"sizes", l_sizes}, {"times", l_times}, {"set_group", l_set_group},
                                          {"close", l_plan_free}, {NULL, NULL}};
  cal_register_type(L, DEVICE, device_methods, l_device_free, l_device_text);
  cal_register_type(L, PLAN, plan_methods, l_plan_free, l_plan_text);
  luaL_newlib(L, ((const luaL_Reg[]){{"open", l_open}, {NULL, NULL}}));
  return 1;
}
