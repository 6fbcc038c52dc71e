/* l_weights.c - native.weights: from checkpoints into plans, and from parameters into checkpoints. */
#include <string.h>

#include "bind/tensor.h"
#include "core/base/interrupt.h"
#include "core/base/memory.h"
#include "core/base/progress.h"
#include "core/base/sha256.h"
#include "core/codec/pickle.h"
#include "core/train/weights.h"

static const char WORK[] = "calotype.weights";

enum { MOST_TENSORS = 1 << 16 };

/* What a call holds while Lua may raise: freed with the shell. */
typedef struct {
  cal_st *st;
  cal_st_writer *writer;
  cal_st_tensor *tensors;
  cal_st_note *notes;
  void *bytes;
  cal_progress *bar;
} work;

static void release(work *w) {
  cal_st_close(w->st);
  cal_st_discard(w->writer);
  cal_free(w->tensors);
  cal_free(w->notes);
  cal_free(w->bytes);
  cal_progress_free(w->bar);
  *w = (work){0};
}

static int l_work_free(lua_State *L) {
  release(lua_touserdata(L, 1));
  return 0;
}

static int l_work_text(lua_State *L) {
  lua_pushliteral(L, "weights");
  return 1;
}

/* weights.load(path, plan or reference, {{value=, name=, kernel=}, ...} [, label]) -> bytes read | nil, message, code. One tensor at a time
 * is in memory. `name`: in the file. With a label, a bar over the tensors says how far it is, and Ctrl-C ends it (INTERRUPT). */
static int l_load(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  cal_graph_box *graph = cal_check_target(L, 2);
  luaL_checktype(L, 3, LUA_TTABLE);
  const char *label = luaL_optstring(L, 4, NULL);
  cal_error err = {0};
  work *w = cal_push_shell(L, WORK, sizeof *w);
  if (label) w->bar = cal_progress_new(label, (size_t)luaL_len(L, 3));
  if (!(w->st = cal_tensors_open(cal_bind_fs(L), path, &err))) return cal_push_refusal(L, &err);
  lua_Integer total = 0;
  for (lua_Integer i = 1, count = luaL_len(L, 3); i <= count; i++) {
    lua_rawgeti(L, 3, i);
    luaL_argcheck(L, lua_istable(L, -1), 3, "a list of {value=, name=, kernel=} is expected");
    lua_getfield(L, -1, "value");
    lua_getfield(L, -2, "name");
    lua_getfield(L, -3, "kernel");
    cal_value v = cal_check_value_of(L, -3, graph);
    const char *name = luaL_checkstring(L, -2);
    const cal_value_info *info = cal_graph_info(graph->g, v);
    const cal_st_tensor *t = cal_st_find(w->st, name);
    size_t size = (size_t)cal_shape_count(info->shape) * cal_dtype_size(info->dtype);
    cal_status status = t ? CAL_OK : cal_fail(&err, CAL_E_NOTFOUND, "there is no tensor \"%s\" in it", name);
    if (!status) {
      void *bytes = cal_resize(w->bytes, size, &err);
      if (!bytes) status = err.code;
      else {
        w->bytes = bytes;
        status = cal_weights_read(t, lua_toboolean(L, -1), info->dtype, bytes, size, &err);
      }
    }
    if (!status) status = cal_write_target(L, 2, v, w->bytes, size, &err);
    if (status) {
      cal_progress_free(w->bar), w->bar = NULL;
      cal_error_context(&err, "%s", path);
      return cal_push_refusal(L, &err);
    }
    cal_st_unneeded(w->st, t);
    total += (lua_Integer)t->size;
    cal_progress_set(w->bar, (size_t)i);
    lua_pop(L, 4);
    if (label && cal_interrupt_check(&err)) {
      release(w);
      return cal_push_refusal(L, &err);
    }
  }
  release(w);
  lua_pushinteger(L, total);
  return 1;
}

static cal_st_dtype check_st_dtype(lua_State *L, const char *name) {
  if (!strcmp(name, "f16")) return CAL_ST_F16;
  if (!strcmp(name, "bf16")) return CAL_ST_BF16;
  if (strcmp(name, "f32") != 0) luaL_error(L, "option 'dtype': f32, f16 or bf16 expected, got '%s'", name);
  return CAL_ST_F32;
}

/* {{name=, shape=, bytes=, kernel=}, ...} at 2, whose strings live as long as the table. */
static void declare_tensors(lua_State *L, work *w, cal_st_dtype dtype, lua_Integer count) {
  for (lua_Integer i = 0; i < count; i++) {
    cal_st_tensor *t = &w->tensors[i];
    lua_rawgeti(L, 2, i + 1);
    luaL_argcheck(L, lua_istable(L, -1), 2, "a list of {name=, shape=, bytes=} is expected");
    t->name = cal_option_text(L, lua_gettop(L), "name", NULL);
    luaL_argcheck(L, t->name, 2, "a tensor without a name");
    t->dtype = dtype;
    if (lua_getfield(L, -1, "shape") != LUA_TTABLE || luaL_len(L, -1) > CAL_ST_DIMENSIONS)
      luaL_error(L, "tensor \"%s\" has no shape", t->name);
    for (t->rank = 0; t->rank < luaL_len(L, -1); t->rank++) {
      lua_rawgeti(L, -1, t->rank + 1);
      lua_Integer n = luaL_checkinteger(L, -1);
      if (n < 1 || n > INT32_MAX) luaL_error(L, "tensor \"%s\" has a size of %d", t->name, (int)n);
      t->shape[t->rank] = (uint64_t)n;
      lua_pop(L, 1);
    }
    lua_pop(L, 2);
  }
}

static cal_status write_tensors(lua_State *L, work *w, lua_Integer count, cal_error *err) {
  for (lua_Integer i = 0; i < count; i++) {
    const cal_st_tensor *t = &w->tensors[i];
    lua_rawgeti(L, 2, i + 1);
    lua_getfield(L, -1, "bytes");
    lua_getfield(L, -2, "kernel");
    size_t given;
    const char *bytes = luaL_checklstring(L, -2, &given);
    size_t elements = given / sizeof(float), size = elements * cal_st_dtype_size(t->dtype);
    char *both = cal_resize(w->bytes, elements * sizeof(float) + size, err);
    if (!both) return CAL_E_MEMORY;
    w->bytes = both;
    memcpy(both, bytes, elements * sizeof(float)); /* strings need not be aligned */
    char *out = both + elements * sizeof(float);
    cal_status status = cal_weights_write(t, lua_toboolean(L, -1), (const float *)(void *)both, elements, out, size, err);
    if (!status) status = cal_st_write(w->writer, t->name, 0, out, size, err);
    if (status) return status;
    lua_pop(L, 3);
  }
  return CAL_OK;
}

/* What A1111 calls sshs_model_hash: of everything behind the header, so that it does not depend on the metadata. */
static cal_status hash_data(cal_fs *fs, const char *path, char hex[CAL_SHA256_HEX], cal_error *err) {
  cal_mapping map;
  cal_status status = cal_fs_map(fs, path, &map, err);
  if (status) return status;
  uint64_t header = 0;
  for (int i = 0; i < 8 && map.size >= 8; i++) header |= (uint64_t)map.data[i] << (8 * i);
  if (map.size < 8 || header > map.size - 8) status = cal_fail(err, CAL_E_FORMAT, "%s was changed while it was written", path);
  else cal_sha256_hex(map.data + 8 + header, map.size - 8 - (size_t)header, hex);
  cal_fs_unmap(&map);
  return status;
}

/* weights.save(path, {{name=, shape= as in the file, bytes= f32 in the graph's layout, kernel=}, ...}, {dtype="f16", metadata={}})
 * -> sha256 of the data | nil, message, code. Whole or not at all. */
static int l_save(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  cal_st_dtype dtype = check_st_dtype(L, cal_option_text(L, 3, "dtype", "f16"));
  lua_Integer count = luaL_len(L, 2);
  luaL_argcheck(L, count >= 0 && count <= MOST_TENSORS, 2, "too many tensors");
  work *w = cal_push_shell(L, WORK, sizeof *w);
  int shell = lua_gettop(L);
  cal_error err = {0};
  size_t notes = 0;
  if (lua_istable(L, 3) && lua_getfield(L, 3, "metadata") == LUA_TTABLE) {
    int metadata = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, metadata); lua_pop(L, 1)) notes++;
    if (!(w->notes = cal_alloc_zero(notes + 1, sizeof *w->notes, &err))) return cal_push_refusal(L, &err);
    notes = 0;
    for (lua_pushnil(L); lua_next(L, metadata); lua_pop(L, 1)) {
      if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING) return luaL_error(L, "metadata are texts with names");
      w->notes[notes++] = (cal_st_note){lua_tostring(L, -2), lua_tostring(L, -1)};
    }
  }
  if (!(w->tensors = cal_alloc_zero((size_t)count + 1, sizeof *w->tensors, &err))) return cal_push_refusal(L, &err);
  declare_tensors(L, w, dtype, count);
  char hex[CAL_SHA256_HEX];
  w->writer = cal_st_create(cal_bind_fs(L), path, w->tensors, (size_t)count, w->notes, notes, &err);
  cal_status status = w->writer ? write_tensors(L, w, count, &err) : err.code;
  if (!status) {
    status = cal_st_commit(w->writer, &err);
    w->writer = NULL;
  }
  if (!status) status = hash_data(cal_bind_fs(L), path, hex, &err);
  if (status) {
    if (strncmp(err.text, path, strlen(path)) != 0) cal_error_context(&err, "%s", path); /* files name themselves */
    return cal_push_refusal(L, &err);
  }
  lua_settop(L, shell);
  lua_pushstring(L, hex);
  return 1;
}

int luaopen_cal_weights(lua_State *L);
int luaopen_cal_weights(lua_State *L) {
  cal_register_type(L, WORK, (const luaL_Reg[]){{NULL, NULL}}, l_work_free, l_work_text);
  luaL_newlib(L, ((const luaL_Reg[]){{"load", l_load}, {"save", l_save}, {NULL, NULL}}));
  return 1;
}
