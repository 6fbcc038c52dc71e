/* l_process.c - native.process: other programs at work beside this one. Recipes have no way to it. */
#include <string.h>

#include "bind/bind.h"
#include "core/base/memory.h"
#include "core/base/process.h"

#define PROCESS "calotype.process"
enum { LINES = 1000 }; /* of one p:read(): what a frame of the window can take */

static cal_process *check_process(lua_State *L) {
  cal_process **shell = luaL_checkudata(L, 1, PROCESS);
  if (!*shell) luaL_error(L, "the process is closed");
  return *shell;
}

static const char *plain_text(lua_State *L, int index, const char *what) {
  size_t size;
  if (lua_type(L, index) != LUA_TSTRING) luaL_error(L, "%s is no string", what);
  const char *text = lua_tolstring(L, index, &size);
  if (strlen(text) != size) luaL_error(L, "%s has a NUL byte", what);
  return text;
}

/* The words in the list at 1 as an array that lives in a userdata, which is left on the stack. */
static const char **take_words(lua_State *L) {
  const size_t count = lua_rawlen(L, 1);
  if (!count) luaL_error(L, "no program is named");
  const char **words = lua_newuserdatauv(L, (count + 1) * sizeof *words, 0);
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, 1, (lua_Integer)i + 1);
    words[i] = plain_text(L, -1, "a word"); /* the list holds it */
    lua_pop(L, 1);
  }
  words[count] = NULL;
  return words;
}

/* The same for `env`: {NAME = "value", OTHER = false}. */
static cal_process_variable *take_variables(lua_State *L, size_t *count) {
  *count = 0;
  if (lua_getfield(L, 1, "env") == LUA_TNIL) return NULL;
  luaL_argcheck(L, lua_istable(L, -1), 1, "option 'env': table expected");
  const int table = lua_gettop(L);
  size_t room = 0;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) room++;
  cal_process_variable *list = lua_newuserdatauv(L, (room + 1) * sizeof *list, 0);
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    const char *name = plain_text(L, -2, "a name in option 'env'");
    const bool none = lua_type(L, -1) == LUA_TBOOLEAN && !lua_toboolean(L, -1);
    list[(*count)++] = (cal_process_variable){name, none ? NULL : plain_text(L, -1, "a value in option 'env'")};
  }
  return list;
}

/* process.start{ program, word, ..., env = {NAME = value | false}, folder =, detached = true } -> p | nil, message, code
 * No shell: the program gets exactly these words. Without a slash it is looked for in PATH. See core/base/process.h. */
static int l_start(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  cal_process_options o = {.folder = cal_option_text(L, 1, "folder", NULL), .detached = cal_option_boolean(L, 1, "detached", false)};
  if (o.folder) lua_getfield(L, 1, "folder"), plain_text(L, -1, "option 'folder'");
  o.words = take_words(L);
  o.variables = take_variables(L, &o.variable_count);
  cal_error err = {0};
  cal_process **shell = cal_push_shell(L, PROCESS, sizeof *shell);
  *shell = cal_process_start(&o, &err);
  return *shell ? 1 : cal_push_refusal(L, &err);
}

/* p:close(): one that still runs is killed, unless it was started with detached = true */
static int l_close(lua_State *L) {
  cal_process **shell = luaL_checkudata(L, 1, PROCESS);
  cal_process_close(*shell);
  *shell = NULL;
  return 0;
}

static int l_text(lua_State *L) {
  cal_process **shell = luaL_checkudata(L, 1, PROCESS);
  if (*shell) lua_pushfstring(L, "process %d", cal_process_id(*shell));
  else lua_pushliteral(L, "process (closed)");
  return 1;
}

/* p:read() -> { {from = "out" | "err", text = line}, ... }: the whole lines that are there, at most 1000 of them; never waits. Of a program
 * that has ended, what it wrote last is still to be read. */
static int l_read(lua_State *L) {
  cal_process *p = check_process(L);
  cal_process_line line;
  lua_newtable(L);
  for (lua_Integer i = 1; i <= LINES && cal_process_read(p, &line); i++) {
    lua_createtable(L, 0, 2);
    lua_pushlstring(L, line.text, line.size), lua_setfield(L, -2, "text");
    lua_pushstring(L, line.from_err ? "err" : "out"), lua_setfield(L, -2, "from");
    lua_rawseti(L, -2, i);
  }
  return 1;
}

/* p:interrupt(): as Ctrl-C in its terminal, each time; nothing when it has ended */
static int l_interrupt(lua_State *L) {
  cal_process_interrupt(check_process(L));
  return 0;
}

static int l_kill(lua_State *L) {
  cal_process_kill(check_process(L));
  return 0;
}

/* p:status() -> nil (it runs) | exit code; 128 + the number for one that a signal ended: 130 after an interrupt */
static int l_status(lua_State *L) {
  int code;
  if (cal_process_ended(check_process(L), &code)) lua_pushinteger(L, code);
  else lua_pushnil(L);
  return 1;
}

static int l_id(lua_State *L) {
  lua_pushinteger(L, cal_process_id(check_process(L)));
  return 1;
}

/* process.self() -> the path of this program | nil, message, code */
static int l_self(lua_State *L) {
  cal_error err = {0};
  char *path = cal_process_self(&err);
  if (!path) return cal_push_refusal(L, &err);
  cal_buffer text = {0};
  cal_buffer_add_text(&text, path);
  cal_free(path);
  return cal_push_buffer(L, &text);
}

int luaopen_cal_process(lua_State *L);
int luaopen_cal_process(lua_State *L) {
  static const luaL_Reg methods[] = {{"read", l_read}, {"interrupt", l_interrupt}, {"kill", l_kill}, {"status", l_status},
                                     {"id", l_id},     {"close", l_close},         {NULL, NULL}};
  static const luaL_Reg functions[] = {{"start", l_start}, {"self", l_self}, {NULL, NULL}};
  cal_register_type(L, PROCESS, methods, l_close, l_text);
  luaL_newlib(L, functions);
  return 1;
}
