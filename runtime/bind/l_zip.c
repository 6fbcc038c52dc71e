/* l_zip.c - native.zip: archives for trainers. */
#include "bind/bind.h"
#include "core/base/progress.h"
#include "core/codec/zip.h"

/* A string field of the table on top; the table keeps it alive. */
static const char *field(lua_State *L, lua_Integer i, const char *key, bool needed, size_t *size) {
  int type = lua_getfield(L, -1, key);
  const char *text = type == LUA_TSTRING ? lua_tolstring(L, -1, size) : NULL;
  if (type != LUA_TSTRING && (needed || type != LUA_TNIL)) luaL_error(L, "entry %I: '%s' must be a string", i, key);
  lua_pop(L, 1);
  return text;
}

/* zip.write(path, { {name =, bytes =} | {name =, path =}, ... } [, {fold = true}]) -> true | nil, message, code.
 * `fold`: names may have folder parts. Byte-identical when made twice. */
static int l_write(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  unsigned flags = cal_option_boolean(L, 3, "fold", 0) ? CAL_ZIP_FOLDERS : 0;
  lua_Integer count = (lua_Integer)lua_rawlen(L, 2);
  cal_zip_entry *entries = lua_newuserdatauv(L, (size_t)(count ? count : 1) * sizeof *entries, 0);
  for (lua_Integer i = 1; i <= count; i++) {
    if (lua_rawgeti(L, 2, i) != LUA_TTABLE) return luaL_error(L, "entry %I: a table expected, got %s", i, luaL_typename(L, -1));
    cal_zip_entry *e = &entries[i - 1];
    *e = (cal_zip_entry){0};
    e->name = field(L, i, "name", true, NULL);
    e->path = field(L, i, "path", false, NULL);
    e->bytes = field(L, i, "bytes", !e->path, &e->size);
    if (e->path && e->bytes) return luaL_error(L, "entry %I: either 'bytes' or 'path'", i);
    lua_pop(L, 1);
  }
  cal_error err = {0};
  cal_progress *progress = cal_progress_new("zip", (size_t)count);
  cal_status status = cal_zip_write(cal_bind_fs(L), path, entries, (size_t)count, flags, progress, &err);
  cal_progress_free(progress);
  if (status) return cal_push_refusal(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

static int l_free(lua_State *L) {
  cal_zip **shell = lua_touserdata(L, 1);
  cal_zip_close(*shell);
  *shell = NULL;
  return 0;
}

static int l_text(lua_State *L) {
  lua_pushliteral(L, "zip");
  return 1;
}

static cal_zip **open_zip(lua_State *L, cal_error *err) {
  const char *path = luaL_checkstring(L, 1);
  cal_zip **shell = cal_push_shell(L, "calotype.zip", sizeof *shell);
  *shell = cal_zip_open(cal_bind_fs(L), path, err);
  return *shell ? shell : NULL;
}

/* zip.list(path) -> { {name =, size =}, ... } in the archive's order | nil, message, code */
static int l_list(lua_State *L) {
  cal_error err = {0};
  cal_zip **z = open_zip(L, &err);
  if (!z) return cal_push_refusal(L, &err);
  lua_createtable(L, (int)cal_zip_count(*z), 0);
  for (size_t i = 0; i < cal_zip_count(*z); i++) {
    lua_createtable(L, 0, 2);
    lua_pushstring(L, cal_zip_name(*z, i));
    lua_setfield(L, -2, "name");
    lua_pushinteger(L, (lua_Integer)cal_zip_size(*z, i));
    lua_setfield(L, -2, "size");
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  cal_zip_close(*z);
  *z = NULL;
  return 1;
}

/* zip.read(path, name [, most]) -> bytes | nil, message, code. `most` bytes, 256 MiB unless told. */
static int l_read(lua_State *L) {
  cal_error err = {0};
  const char *name = luaL_checkstring(L, 2);
  lua_Integer most = luaL_optinteger(L, 3, 256 << 20);
  luaL_argcheck(L, most >= 0, 3, "must not be negative");
  cal_zip **z = open_zip(L, &err);
  size_t index;
  cal_buffer bytes = {0};
  if (!z) return cal_push_refusal(L, &err);
  if (!cal_zip_find(*z, name, &index)) cal_fail(&err, CAL_E_NOTFOUND, "%s has no entry \"%s\"", lua_tostring(L, 1), name);
  else cal_zip_read(*z, index, (uint64_t)most, &bytes, &err);
  cal_zip_close(*z);
  *z = NULL;
  if (!err.code) return cal_push_buffer(L, &bytes);
  cal_buffer_free(&bytes);
  return cal_push_refusal(L, &err);
}

int luaopen_cal_zip(lua_State *L);
int luaopen_cal_zip(lua_State *L) {
  static const luaL_Reg functions[] = {{"write", l_write}, {"list", l_list}, {"read", l_read}, {NULL, NULL}};
  cal_register_type(L, "calotype.zip", (const luaL_Reg[]){{NULL, NULL}}, l_free, l_text);
  luaL_newlib(L, functions);
  return 1;
}
