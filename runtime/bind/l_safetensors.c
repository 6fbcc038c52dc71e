/* l_safetensors.c - native.safetensors: what a checkpoint holds, from its header; PyTorch's files, too. */
#include "bind/bind.h"
#include "core/codec/pickle.h"

static int l_free(lua_State *L) {
  cal_st **shell = lua_touserdata(L, 1);
  cal_st_close(*shell);
  *shell = NULL;
  return 0;
}

static int l_text(lua_State *L) {
  lua_pushliteral(L, "safetensors");
  return 1;
}

static void push_tensor(lua_State *L, const cal_st_tensor *t) {
  lua_createtable(L, 0, 4);
  lua_pushstring(L, cal_st_dtype_name(t->dtype));
  lua_setfield(L, -2, "dtype");
  lua_createtable(L, t->rank, 0);
  for (int i = 0; i < t->rank; i++) {
    lua_pushinteger(L, (lua_Integer)t->shape[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setfield(L, -2, "shape");
  lua_pushinteger(L, (lua_Integer)t->offset);
  lua_setfield(L, -2, "offset");
  lua_pushinteger(L, (lua_Integer)t->size);
  lua_setfield(L, -2, "size");
}

/* safetensors.open(path) -> { format = "safetensors" or "PyTorch", tensors = {name = {dtype, shape, offset, size}}, metadata =
 * {key = text} } | nil, message, code. Offsets are bytes from the start of the file, every one of them checked; 0 where PyTorch's file
 * has the numbers compressed. */
static int l_open(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  cal_error err = {0};
  cal_st **shell = cal_push_shell(L, "calotype.safetensors", sizeof *shell);
  *shell = cal_tensors_open(cal_bind_fs(L), path, &err);
  if (!*shell) return cal_push_refusal(L, &err);
  const cal_st *st = *shell;
  lua_createtable(L, 0, 3);
  lua_pushstring(L, cal_st_format(st));
  lua_setfield(L, -2, "format");
  lua_createtable(L, 0, (int)cal_st_count(st));
  for (size_t i = 0; i < cal_st_count(st); i++) {
    push_tensor(L, &cal_st_tensors(st)[i]);
    lua_setfield(L, -2, cal_st_tensors(st)[i].name);
  }
  lua_setfield(L, -2, "tensors");
  size_t count;
  const cal_st_note *notes = cal_st_notes(st, &count);
  lua_createtable(L, 0, (int)count);
  for (size_t i = 0; i < count; i++) {
    lua_pushstring(L, notes[i].value);
    lua_setfield(L, -2, notes[i].key);
  }
  lua_setfield(L, -2, "metadata");
  cal_st_close(*shell);
  *shell = NULL;
  return 1;
}

int luaopen_cal_safetensors(lua_State *L);
int luaopen_cal_safetensors(lua_State *L) {
  static const luaL_Reg functions[] = {{"open", l_open}, {NULL, NULL}};
  cal_register_type(L, "calotype.safetensors", (const luaL_Reg[]){{NULL, NULL}}, l_free, l_text);
  luaL_newlib(L, functions);
  return 1;
}
