#include "bind/bind.h"

#include <string.h>

#include "bind/runtime.h"

void cal_register_type(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction gc, lua_CFunction to_string) {
  luaL_newmetatable(L, name); /* sets __name */
  luaL_setfuncs(L, methods, 0);
  lua_pushcfunction(L, gc);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "__gc");
  lua_setfield(L, -2, "__close");
  lua_pushcfunction(L, to_string);
  lua_setfield(L, -2, "__tostring");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  /* The methods live in a table of their own, so that scripts cannot reach __gc through an object. */
  lua_newtable(L);
  for (const luaL_Reg *m = methods; m->name; m++) {
    if (strncmp(m->name, "__", 2) == 0) continue;
    lua_pushcfunction(L, m->func);
    lua_setfield(L, -2, m->name);
    lua_pushnil(L);
    lua_setfield(L, -3, m->name);
  }
  if (lua_getfield(L, -2, "__index") == LUA_TNIL) {
    lua_pop(L, 1);
    lua_setfield(L, -2, "__index");
  } else {
    lua_pop(L, 2);
  }
  lua_pop(L, 1);
}

void *cal_push_shell(lua_State *L, const char *name, size_t size) {
  void *shell = lua_newuserdatauv(L, size, 1);
  memset(shell, 0, size);
  luaL_setmetatable(L, name);
  return shell;
}

int cal_push_refusal(lua_State *L, const cal_error *err) {
  lua_pushnil(L);
  lua_pushstring(L, err->text);
  lua_pushstring(L, cal_status_name(err->code));
  return 3;
}

int cal_raise(lua_State *L, const cal_error *err) {
  lua_pushstring(L, err->text);
  return lua_error(L);
}

int cal_push_buffer(lua_State *L, cal_buffer *b) {
  /* The copy into Lua may raise for lack of memory: a shell would outlive it, so the buffer is handed over first. */
  cal_buffer *shell = cal_push_shell(L, "calotype.buffer", sizeof *shell);
  *shell = *b;
  *b = (cal_buffer){0};
  lua_pushlstring(L, shell->size ? shell->data : "", shell->size);
  cal_buffer_free(shell);
  lua_remove(L, -2);
  return 1;
}

static int option(lua_State *L, int index, const char *key) {
  if (lua_isnoneornil(L, index)) return LUA_TNIL;
  luaL_checktype(L, index, LUA_TTABLE);
  return lua_getfield(L, index, key);
}

static void wrong_option(lua_State *L, const char *key, const char *expected) {
  luaL_error(L, "option '%s': %s expected, got %s", key, expected, luaL_typename(L, -1));
}

lua_Integer cal_option_integer(lua_State *L, int index, const char *key, lua_Integer otherwise) {
  int type = option(L, index, key), fits = 0;
  if (lua_isnoneornil(L, index)) return otherwise;
  lua_Integer value = lua_tointegerx(L, -1, &fits);
  if (type != LUA_TNIL && !fits) wrong_option(L, key, "whole number");
  lua_pop(L, 1);
  return fits ? value : otherwise;
}

lua_Number cal_option_number(lua_State *L, int index, const char *key, lua_Number otherwise) {
  int type = option(L, index, key), fits = 0;
  if (lua_isnoneornil(L, index)) return otherwise;
  lua_Number value = lua_tonumberx(L, -1, &fits);
  if (type != LUA_TNIL && !fits) wrong_option(L, key, "number");
  lua_pop(L, 1);
  return fits ? value : otherwise;
}

int cal_option_boolean(lua_State *L, int index, const char *key, int otherwise) {
  int type = option(L, index, key);
  if (lua_isnoneornil(L, index)) return otherwise;
  if (type != LUA_TNIL && type != LUA_TBOOLEAN) wrong_option(L, key, "true or false");
  int value = type == LUA_TNIL ? otherwise : lua_toboolean(L, -1);
  lua_pop(L, 1);
  return value;
}

const char *cal_option_text(lua_State *L, int index, const char *key, const char *otherwise) {
  int type = option(L, index, key);
  if (lua_isnoneornil(L, index)) return otherwise;
  if (type != LUA_TNIL && type != LUA_TSTRING) wrong_option(L, key, "string");
  const char *value = type == LUA_TNIL ? otherwise : lua_tostring(L, -1);
  lua_pop(L, 1); /* the table still holds it */
  return value;
}

int cal_check_choice(lua_State *L, int arg, const char *otherwise, const char *const names[]) {
  const char *name = otherwise ? luaL_optstring(L, arg, otherwise) : luaL_checkstring(L, arg);
  for (int i = 0; names[i]; i++)
    if (strcmp(names[i], name) == 0) return i;
  luaL_Buffer list;
  luaL_buffinit(L, &list);
  for (int i = 0; names[i]; i++) {
    luaL_addstring(&list, i ? (names[i + 1] ? ", " : " or ") : "");
    luaL_addstring(&list, names[i]);
  }
  luaL_pushresult(&list);
  return luaL_argerror(L, arg, lua_pushfstring(L, "'%s' is not one of %s", name, lua_tostring(L, -1)));
}

cal_fs *cal_bind_fs(lua_State *L) { return cal_runtime_of(L)->fs; }

cal_fs *cal_bind_own_fs(const char *path, cal_error *err) {
  char *folder = cal_copy_text(path, err);
  cal_fs *fs = folder ? cal_fs_new(NULL, 0, err) : NULL;
  char *slash = folder ? strrchr(folder, '/') : NULL;
  if (slash) slash[slash == folder] = 0;
  if (fs && cal_fs_grant(fs, slash ? folder : ".", CAL_FS_READ | CAL_FS_WRITE, err)) cal_fs_free(fs), fs = NULL;
  cal_free(folder);
  return fs;
}
