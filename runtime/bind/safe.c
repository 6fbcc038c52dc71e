#include "bind/safe.h"

static char safe_key;

void cal_safe_open(lua_State *L) {
  static const char *const names[] = {"assert", "error",    "ipairs",    "next",     "pairs",  "select",       "tonumber",
                                      "type",   "rawequal", "rawlen",    "rawget",   "rawset", "getmetatable", "setmetatable",
                                      "pcall",  "xpcall",   "tostring",  "print",    "load",   "string",       "table",
                                      "math",   "utf8",     "coroutine", "_VERSION", NULL};
  lua_newtable(L);
  for (int i = 0; names[i]; i++) lua_getglobal(L, names[i]), lua_setfield(L, -2, names[i]);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &safe_key);
}

void cal_safe_push(lua_State *L) { lua_rawgetp(L, LUA_REGISTRYINDEX, &safe_key); }
