/* l_script.c - native.script: what stdlib needs to know about the recipes it runs. Recipes never see this table. */
#include <poll.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "bind/chunk.h"
#include "bind/embedded.h"
#include "bind/fault.h"
#include "bind/safe.h"
#include "bind/stop.h"
#include "core/base/clock.h"
#include "core/base/interrupt.h"
#include "core/net/secret.h"
#include "core/text/lua_token.h"

/* script.load(text, name, env) -> fn | nil, { message, line, column, width, incomplete } */
static int l_load(lua_State *L) {
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size), *name = luaL_checkstring(L, 2);
  luaL_checktype(L, 3, LUA_TTABLE);
  lua_settop(L, 3);
  if (name[0] != '@' && name[0] != '=') name = lua_pushfstring(L, "@%s", name);
  return cal_chunk_load(L, text, size, name, 3) ? 1 : 2;
}

/* script.where([skip]) -> { source, line } of the innermost frame of a recipe, or of the `skip`th after it | nil */
static int l_where(lua_State *L) {
  lua_Integer skip = luaL_optinteger(L, 1, 0);
  cal_runtime *rt = cal_runtime_of(L);
  lua_Debug ar;
  for (int level = 1; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sl", &ar);
    const cal_chunk *chunk = ar.what[0] == 'C' ? NULL : cal_chunk_of(rt, ar.source);
    if (!chunk || skip-- > 0) continue;
    lua_createtable(L, 0, 2);
    lua_pushstring(L, chunk->source + 1);
    lua_setfield(L, -2, "source");
    lua_pushinteger(L, ar.currentline);
    lua_setfield(L, -2, "line");
    return 1;
  }
  lua_pushnil(L);
  return 1;
}

static int l_source(lua_State *L) {
  const cal_chunk *chunk = cal_chunk_named(cal_runtime_of(L), luaL_checkstring(L, 1));
  if (chunk) lua_pushlstring(L, chunk->text, chunk->size);
  else lua_pushnil(L);
  return 1;
}

/* script.locate(source, line, token [, last]) -> line, column of the first such token from `line` on | nil */
static int l_locate(lua_State *L) {
  const cal_chunk *chunk = cal_chunk_named(cal_runtime_of(L), luaL_checkstring(L, 1));
  int line = (int)luaL_checkinteger(L, 2), column;
  const char *token = luaL_checkstring(L, 3);
  if (!chunk || !cal_chunk_find(chunk, token, false, (int)luaL_optinteger(L, 4, line + 256), &line, &column)) return lua_pushnil(L), 1;
  lua_pushinteger(L, line);
  lua_pushinteger(L, column);
  return 2;
}

/* script.tokens(text) -> { { kind, text, line, column }, ... } without layout and comments; kind: "name", "keyword", "number",
 * "string", "symbol" or "bad" */
static int l_tokens(lua_State *L) {
  static const char *const kinds[] = {"name", "keyword", "number", "string", "symbol", "bad"};
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  cal_tokens scan = cal_tokens_begin(text, size);
  cal_token token;
  lua_newtable(L);
  for (lua_Integer i = 1; cal_tokens_next(&scan, &token); i++) {
    lua_createtable(L, 0, 4);
    lua_pushstring(L, kinds[token.kind]);
    lua_setfield(L, -2, "kind");
    lua_pushlstring(L, text + token.at, token.size);
    lua_setfield(L, -2, "text");
    lua_pushinteger(L, token.line);
    lua_setfield(L, -2, "line");
    lua_pushinteger(L, token.column);
    lua_setfield(L, -2, "column");
    lua_rawseti(L, -2, i);
  }
  return 1;
}

static int l_function_text(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  cal_chunk_push_function(L, 1);
  return 1;
}

/* script.upvalues(fn) -> { name = value }, _ENV left out */
static int l_upvalues(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_newtable(L);
  const char *name;
  for (int i = 1; (name = lua_getupvalue(L, 1, i)); i++) {
    if (name[0] && strcmp(name, "_ENV") != 0) lua_setfield(L, 2, name);
    else lua_pop(L, 1);
  }
  return 1;
}

/* script.fail { message=, hint=, source=, line=, column=, width=, token=, exit=2, notes={} }: raises.
 * Without a source: where the recipe is now. Without a column: that of `token`, searched from the line on. */
static int l_fail(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  return cal_fault_raise(L, 1);
}

/* script.call(fn, ...) -> true, results | false, fault. A Ctrl-C that stopped the recipe inside comes back as a fault with
 * exit 130, so that stdlib can put things in order; a time limit goes on to who set it. */
static int l_call(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_pushcfunction(L, cal_fault_handler);
  lua_insert(L, 1);
  int status = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 1);
  if (status != LUA_OK && cal_stop_pending(L, -1)) {
    if (!cal_interrupt_level()) return cal_stop_raise(L);
    lua_settop(L, 1);
    cal_fault_push_stopped(L);
  } else if (status == LUA_ERRMEM) {
    lua_settop(L, 1);
    cal_fault_push_memory(L);
  }
  lua_pushboolean(L, status == LUA_OK);
  lua_replace(L, 1);
  return lua_gettop(L);
}

static int l_render(lua_State *L) {
  luaL_checkany(L, 1);
  cal_fault_push_text(L, 1);
  return 1;
}

/* script.nearest(word, names) -> the name that may have been meant, how many edits away | nil; names: a list, or a table with names as
 * keys */
static int l_nearest(lua_State *L) {
  luaL_checktype(L, 2, LUA_TTABLE);
  int edits = cal_fault_push_nearest(L, luaL_checkstring(L, 1), 2);
  if (lua_isnil(L, -1)) return 1;
  lua_pushinteger(L, edits);
  return 2;
}

static int l_versions(lua_State *L) {
  lua_createtable(L, 0, 3);
  lua_pushliteral(L, CAL_VERSION);
  lua_setfield(L, -2, "calotype");
  lua_pushliteral(L, LUA_VERSION_MAJOR "." LUA_VERSION_MINOR "." LUA_VERSION_RELEASE);
  lua_setfield(L, -2, "lua");
  lua_pushstring(L, sqlite3_libversion());
  lua_setfield(L, -2, "sqlite");
  return 1;
}

/* script.env(name) -> string | nil. calotype's own settings, from the environment alone; those of services are net.env's. An empty one is
 * not set. */
static int l_env(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  const char *value = strncmp(name, "CALOTYPE_", 9) == 0 && !cal_env_is_secret(name) ? getenv(name) : NULL;
  lua_pushstring(L, value && *value ? value : NULL);
  return 1;
}

static int l_interrupted(lua_State *L) {
  lua_pushinteger(L, cal_interrupt_level());
  return 1;
}

/* script.pause(seconds) -> true, or false as soon as Ctrl-C is pressed */
static int l_pause(lua_State *L) {
  const double until = cal_clock() + luaL_checknumber(L, 1);
  for (double left; !cal_interrupt_level() && (left = until - cal_clock()) > 0;) poll(NULL, 0, left < 0.04 ? (int)(left * 1000) + 1 : 40);
  lua_pushboolean(L, !cal_interrupt_level());
  return 1;
}

/* script.seed(n): what math.random gives recipes from here on */
static int l_seed(lua_State *L) {
  cal_runtime *rt = cal_runtime_of(L);
  rt->seed = (uint64_t)luaL_checkinteger(L, 1);
  rt->random = cal_random_seed(rt->seed, 0);
  return 0;
}

int luaopen_cal_script(lua_State *L);
int luaopen_cal_script(lua_State *L) {
  static const luaL_Reg functions[] = {{"load", l_load},          {"where", l_where},   {"source", l_source},
                                       {"locate", l_locate},      {"tokens", l_tokens}, {"function_text", l_function_text},
                                       {"upvalues", l_upvalues},  {"fail", l_fail},     {"call", l_call},
                                       {"limit", cal_stop_limit}, {"render", l_render}, {"nearest", l_nearest},
                                       {"versions", l_versions},  {"env", l_env},       {"interrupted", l_interrupted},
                                       {"pause", l_pause},        {"seed", l_seed},     {NULL, NULL}};
  luaL_newlib(L, functions);
  cal_safe_push(L);
  lua_setfield(L, -2, "safe");
  static const struct {
    const char *name;
    int code;
  } exits[] = {{"ok", CAL_EXIT_OK},         {"failed", CAL_EXIT_FAILED}, {"usage", CAL_EXIT_USAGE},    {"denied", CAL_EXIT_DENIED},
               {"expect", CAL_EXIT_EXPECT}, {"again", CAL_EXIT_AGAIN},   {"stopped", CAL_EXIT_STOPPED}};
  lua_newtable(L);
  for (size_t i = 0; i < sizeof exits / sizeof *exits; i++) lua_pushinteger(L, exits[i].code), lua_setfield(L, -2, exits[i].name);
  lua_setfield(L, -2, "exits");
  lua_newtable(L); /* script.scripts: the names of those that are commands */
  for (const cal_embedded *file = cal_embedded_files; file->path; file++)
    if (file->script) lua_pushstring(L, file->script), lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  lua_setfield(L, -2, "scripts");
  return 1;
}
