/* safe_base.c - the plain functions recipes get. */
#include <stdio.h>
#include <string.h>

#include "bind/chunk.h"
#include "bind/safe_parts.h"
#include "bind/stop.h"

enum { LARGEST_CHUNK = 1 << 20 };

const char *cal_safe_text(lua_State *L, int index, size_t *size) {
  index = lua_absindex(L, index);
  if (luaL_callmeta(L, index, "__tostring")) {
    if (!lua_isstring(L, -1)) luaL_error(L, "'__tostring' must return a string");
    return lua_tolstring(L, -1, size);
  }
  int type = lua_type(L, index);
  if (type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TBOOLEAN || type == LUA_TNIL) return luaL_tolstring(L, index, size);
  if (luaL_getmetafield(L, index, "__name") != LUA_TSTRING) lua_pushstring(L, lua_typename(L, type));
  return lua_tolstring(L, -1, size);
}

static int l_tostring(lua_State *L) {
  luaL_checkany(L, 1);
  cal_safe_text(L, 1, NULL);
  return 1;
}

/* To stdout, so that a recipe's data can be piped; made safe for terminals. */
static int l_print(lua_State *L) {
  int count = lua_gettop(L);
  cal_buffer *line = cal_push_shell(L, "calotype.buffer", sizeof *line);
  for (int i = 1; i <= count; i++) {
    size_t size;
    const char *text = cal_safe_text(L, i, &size);
    if (i > 1) cal_buffer_add_byte(line, '\t');
    cal_buffer_add_printable(line, text, size);
    lua_settop(L, count + 1);
  }
  cal_buffer_add_byte(line, '\n');
  if (!line->failed) fwrite(line->data, 1, line->size, stdout);
  fflush(stdout);
  cal_buffer_free(line);
  return 0;
}

/* --- Metatables ---------------------------------------------------------------------------------------------------- */

static int l_getmetatable(lua_State *L) {
  luaL_checkany(L, 1);
  if (lua_type(L, 1) != LUA_TTABLE || !lua_getmetatable(L, 1)) return lua_pushnil(L), 1;
  if (luaL_getmetafield(L, 1, "__metatable") == LUA_TNIL) lua_settop(L, 2);
  return 1;
}

static int l_setmetatable(lua_State *L) {
  int type = lua_type(L, 2);
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_argexpected(L, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
  if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL) return luaL_error(L, "cannot change a protected metatable");
  if (type == LUA_TTABLE) {
    lua_pushliteral(L, "__gc");
    /* Finalizers run where no hook reaches them; even `false` would reserve the place for one. */
    if (lua_rawget(L, 2) != LUA_TNIL) return luaL_error(L, "__gc is not for scripts: use a variable with <close>");
  }
  lua_settop(L, 2);
  lua_setmetatable(L, 1);
  return 1;
}

static int refuse_change(lua_State *L) {
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : luaL_typename(L, 2);
  return luaL_error(L, "the libraries are read-only: '%s' cannot be set", key);
}

static int l_rawset(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checkany(L, 2);
  luaL_checkany(L, 3);
  lua_settop(L, 3);
  if (luaL_getmetafield(L, 1, "__newindex") != LUA_TNIL && lua_tocfunction(L, -1) == refuse_change) return refuse_change(L);
  lua_settop(L, 3);
  /* The language's own tables keep their contents in a metatable; what is set in front of it would hide them. */
  if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL) return luaL_error(L, "rawset cannot change a table with a protected metatable");
  lua_settop(L, 3);
  lua_rawset(L, 1);
  return 1;
}

/* The hidden table is the upvalue: handing it out would hand out the right to write. */
static int locked_next(lua_State *L) {
  lua_settop(L, 2);
  if (lua_next(L, lua_upvalueindex(1))) return 2;
  return lua_pushnil(L), 1;
}

static int locked_pairs(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushcclosure(L, locked_next, 1);
  lua_pushvalue(L, 1);
  return 2;
}

void cal_safe_lock(lua_State *L, const char *name) {
  lua_newtable(L);
  lua_createtable(L, 0, 5);
  lua_pushvalue(L, -3);
  lua_setfield(L, -2, "__index");
  lua_pushvalue(L, -3);
  lua_pushcclosure(L, locked_pairs, 1);
  lua_setfield(L, -2, "__pairs");
  lua_pushcfunction(L, refuse_change);
  lua_setfield(L, -2, "__newindex");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__name");
  lua_setmetatable(L, -2);
  lua_remove(L, -2);
}

/* --- Protected calls ----------------------------------------------------------------------------------------------- */

static int finish_pcall(lua_State *L, int status, lua_KContext skip) {
  if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L) - (int)skip;
  if (cal_stop_pending(L, -1)) return cal_stop_raise(L);
  lua_pushboolean(L, 0);
  lua_insert(L, -2);
  return 2;
}

static int l_pcall(lua_State *L) {
  luaL_checkany(L, 1);
  lua_pushboolean(L, 1);
  lua_insert(L, 1);
  return finish_pcall(L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, finish_pcall), 0);
}

/* The handler runs after the stack was unwound: Lua's own way would run it with the hook off, where `while true do end`
 * could not be stopped. An error in it is the result, as in plain Lua. Stack: handler, true, results or error. */
static int finish_handler(lua_State *L, int status, lua_KContext context) {
  (void)context;
  if (status != LUA_OK && status != LUA_YIELD && cal_stop_pending(L, -1)) return cal_stop_raise(L);
  lua_pushboolean(L, 0);
  lua_replace(L, 2);
  return lua_gettop(L) - 1;
}

static int finish_xpcall(lua_State *L, int status, lua_KContext context) {
  (void)context;
  if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L) - 1;
  if (cal_stop_pending(L, -1)) return cal_stop_raise(L);
  lua_pushvalue(L, 1); /* handler, true, error: handler, true, handler, error */
  lua_insert(L, 3);
  return finish_handler(L, lua_pcallk(L, 1, 1, 0, 0, finish_handler), 0);
}

static int l_xpcall(lua_State *L) {
  int count = lua_gettop(L);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  /* f, handler, args -> handler, true, f, args */
  lua_pushboolean(L, 1);
  lua_insert(L, 3);
  lua_pushvalue(L, 1);
  lua_insert(L, 4);
  lua_remove(L, 1);
  return finish_xpcall(L, lua_pcallk(L, count - 2, LUA_MULTRET, 0, 0, finish_xpcall), 0);
}

int cal_host_xpcall(lua_State *L) {
  int count = lua_gettop(L);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_pushboolean(L, 1);
  lua_insert(L, 3);
  lua_pushvalue(L, 1);
  lua_insert(L, 4);
  lua_remove(L, 1);
  return finish_pcall(L, lua_pcallk(L, count - 2, LUA_MULTRET, 1, 1, finish_pcall), 1);
}

/* --- load ---------------------------------------------------------------------------------------------------------- */

/* Push the globals of the innermost function of a recipe. */
static bool push_globals(lua_State *L) {
  lua_Debug ar;
  for (int level = 1; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sf", &ar);
    if (ar.what[0] != 'C' && cal_chunk_of(cal_runtime_of(L), ar.source)) {
      const char *name;
      for (int i = 1; (name = lua_getupvalue(L, -1, i)); i++) {
        if (strcmp(name, "_ENV") == 0) return lua_remove(L, -2), true;
        lua_pop(L, 1);
      }
    }
    lua_pop(L, 1);
  }
  return false;
}

/* Push the whole text that the function at 1 gives piece by piece. */
static void collect_pieces(lua_State *L) {
  luaL_Buffer out;
  size_t total = 0, size;
  luaL_buffinit(L, &out);
  for (;;) {
    cal_stop_poll(L);
    lua_pushvalue(L, 1);
    lua_call(L, 0, 1);
    if (lua_isnil(L, -1) || (lua_tolstring(L, -1, &size) && size == 0)) break;
    if (!lua_isstring(L, -1)) luaL_error(L, "reader function must return a string");
    total += size;
    if (total > LARGEST_CHUNK) luaL_error(L, "load: more than %d bytes", LARGEST_CHUNK);
    luaL_addvalue(&out);
  }
  lua_pop(L, 1);
  luaL_pushresult(&out);
}

/* load(text | function [, name [, mode [, env]]]): text only, in the globals of the recipe that calls unless `env` is given. */
static int l_load(lua_State *L) {
  size_t size;
  bool has_env = !lua_isnone(L, 4);
  const char *name = luaL_optstring(L, 2, "load"), *mode = luaL_optstring(L, 3, "bt");
  lua_settop(L, 4);
  if (lua_type(L, 1) == LUA_TFUNCTION) collect_pieces(L), lua_replace(L, 1);
  const char *text = luaL_checklstring(L, 1, &size);
  if (size > LARGEST_CHUNK) return lua_pushnil(L), lua_pushfstring(L, "load: more than %d bytes", LARGEST_CHUNK), 2;
  if (!strchr(mode, 't')) return lua_pushnil(L), lua_pushfstring(L, "attempt to load a text chunk (mode is '%s')", mode), 2;
  if (!has_env) {
    if (!push_globals(L)) return luaL_error(L, "load: give the globals as the fourth argument");
    lua_replace(L, 4);
  }
  /* "=load" and "=load NAME": a script cannot take the name of a file. */
  if (strcmp(name, "load") == 0) lua_pushliteral(L, "=load");
  else lua_pushfstring(L, "=load %s", strlen(name) > 40 ? "..." : name + (name[0] == '@' || name[0] == '='));
  if (!cal_chunk_load(L, text, size, lua_tostring(L, -1), 4)) {
    const cal_chunk *chunk = cal_chunk_of(cal_runtime_of(L), lua_tostring(L, 5));
    lua_getfield(L, -1, "message");
    lua_getfield(L, -2, "line");
    lua_pushnil(L);
    lua_pushfstring(L, "%s:%I: %s", chunk ? chunk->title : "load", lua_tointeger(L, -2), lua_tostring(L, -3));
    return 2;
  }
  return 1;
}

void cal_safe_add_base(lua_State *L) {
  static const char *const stock[] = {"assert", "error",    "ipairs", "next",   "pairs",    "select", "tonumber",
                                      "type",   "rawequal", "rawlen", "rawget", "_VERSION", NULL};
  static const luaL_Reg own[] = {{"getmetatable", l_getmetatable},
                                 {"setmetatable", l_setmetatable},
                                 {"rawset", l_rawset},
                                 {"pcall", l_pcall},
                                 {"xpcall", l_xpcall},
                                 {"tostring", l_tostring},
                                 {"print", l_print},
                                 {"load", l_load},
                                 {NULL, NULL}};
  cal_safe_copy(L, "_G", stock);
  luaL_setfuncs(L, own, 0);
}
