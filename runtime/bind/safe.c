#include "bind/safe.h"

#include "bind/safe_parts.h"

static char safe_key;

void cal_safe_copy(lua_State *L, const char *library, const char *const names[]) {
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, library);
  for (int i = 0; names[i]; i++) {
    lua_getfield(L, -1, names[i]);
    lua_setfield(L, -4, names[i]);
  }
  lua_pop(L, 2);
}

static void add_library(lua_State *L, const char *name, void (*fill)(lua_State *), const char *const stock[]) {
  lua_newtable(L);
  if (fill) fill(L);
  if (stock) cal_safe_copy(L, name, stock);
  cal_safe_lock(L, name);
  lua_setfield(L, -2, name);
}

void cal_safe_open(lua_State *L) {
  static const char *const utf8[] = {"char", "charpattern", "codepoint", "codes", "len", "offset", NULL};
  static const char *const os[] = {"clock", "date", "time", NULL};
  lua_newtable(L);
  cal_safe_add_base(L);
  /* Strings carry the same functions as their methods; what they carried before must be out of reach. */
  lua_newtable(L);
  cal_safe_add_string(L);
  lua_pushliteral(L, "");
  lua_getmetatable(L, -1);
  lua_pushvalue(L, -3);
  lua_setfield(L, -2, "__index");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 2);
  cal_safe_lock(L, "string");
  lua_setfield(L, -2, "string");
  add_library(L, "table", cal_safe_add_table, NULL);
  add_library(L, "coroutine", cal_safe_add_coroutine, NULL);
  add_library(L, "math", cal_safe_add_math, NULL);
  add_library(L, "utf8", NULL, utf8);
  add_library(L, "os", NULL, os);
  /* stdlib gets those that know about stopping, too. */
  lua_getfield(L, -1, "pcall");
  lua_setglobal(L, "pcall");
  lua_pushcfunction(L, cal_host_xpcall);
  lua_setglobal(L, "xpcall");
  lua_newtable(L);
  cal_safe_add_coroutine(L);
  lua_setglobal(L, "coroutine");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &safe_key);
}

void cal_safe_push(lua_State *L) { lua_rawgetp(L, LUA_REGISTRYINDEX, &safe_key); }
