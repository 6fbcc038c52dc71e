#include "bind/stop.h"

#include "bind/chunk.h"
#include "core/base/clock.h"
#include "core/base/interrupt.h"

static char sentinel;
static cal_runtime *volatile listening;

bool cal_stop_is(lua_State *L, int at) { return lua_touserdata(L, at) == &sentinel; }

int cal_stop_raise(lua_State *L) {
  cal_runtime_of(L)->stopping = true;
  lua_pushlightuserdata(L, &sentinel);
  return lua_error(L);
}

/* Is the innermost Lua function one of a recipe? */
static bool in_recipe(lua_State *L) {
  lua_Debug ar;
  for (int level = 0; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "S", &ar);
    if (ar.what[0] != 'C') return cal_chunk_of(cal_runtime_of(L), ar.source) != NULL;
  }
  return false;
}

static bool reason(cal_runtime *rt) { return cal_interrupt_level() > 0 || (rt->deadline != 0 && cal_clock() > rt->deadline); }

bool cal_stop_pending(lua_State *L, int at) {
  cal_runtime *rt = cal_runtime_of(L);
  return cal_stop_is(L, at) || (rt->stopping && reason(rt));
}

static bool due(lua_State *L) {
  cal_runtime *rt = cal_runtime_of(L);
  if (rt->deadline != 0 && cal_clock() > rt->deadline) return true;
  int level = cal_interrupt_level();
  return level > 1 || (level == 1 && in_recipe(L));
}

bool cal_stop_due(lua_State *L) {
  cal_runtime *rt = cal_runtime_of(L);
  return (rt->deadline != 0 || cal_interrupt_level()) && due(L);
}

void cal_stop_poll(lua_State *L) {
  if (cal_stop_due(L)) cal_stop_raise(L);
}

enum { EVERY = 10000 }; /* instructions between two looks at the clock */

static void on_hook(lua_State *L, lua_Debug *ar) {
  (void)ar;
  if (due(L)) cal_stop_raise(L);
  /* Not yet: stdlib finishes its step (calls are watched, so the next function of a recipe is stopped), a clock runs, or
   * the reason has gone. */
  if (cal_interrupt_level()) lua_sethook(L, on_hook, LUA_MASKCOUNT | LUA_MASKCALL | LUA_MASKRET, 1000);
  else if (cal_runtime_of(L)->deadline != 0) lua_sethook(L, on_hook, LUA_MASKCOUNT, EVERY);
  else lua_sethook(L, NULL, 0, 0);
}

/* Inside the signal handler. lua_sethook is the one call Lua allows here. */
static void on_interrupt(void) {
  cal_runtime *rt = listening;
  lua_State *L = rt ? rt->running : NULL;
  if (L) lua_sethook(L, on_hook, LUA_MASKCOUNT | LUA_MASKCALL | LUA_MASKRET, 1);
}

void cal_stop_listen(cal_runtime *rt) {
  listening = rt;
  cal_interrupt_install(on_interrupt);
}

void cal_stop_arm(lua_State *co) {
  if (cal_interrupt_level()) lua_sethook(co, on_hook, LUA_MASKCOUNT | LUA_MASKCALL | LUA_MASKRET, 1);
  else if (cal_runtime_of(co)->deadline != 0) lua_sethook(co, on_hook, LUA_MASKCOUNT, EVERY);
}

void cal_stop_clear(cal_runtime *rt) {
  cal_interrupt_clear();
  rt->stopping = false;
  rt->running = rt->L;
  rt->deadline = 0;
  rt->closing = 0;
  lua_sethook(rt->L, NULL, 0, 0);
}

int cal_stop_limit(lua_State *L) {
  cal_runtime *rt = cal_runtime_of(L);
  double seconds = luaL_checknumber(L, 1), before = rt->deadline, mine = cal_clock() + seconds;
  luaL_checktype(L, 2, LUA_TFUNCTION);
  bool tighter = before == 0 || mine < before;
  if (tighter) rt->deadline = mine;
  lua_State *running = rt->running;
  cal_stop_arm(L);
  int status = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 0);
  bool pending = status != LUA_OK && cal_stop_pending(L, -1), late = pending && cal_clock() > mine && !cal_interrupt_level();
  rt->deadline = before;
  rt->running = running;
  cal_stop_arm(L);
  if (status == LUA_OK) return lua_gettop(L) - 1;
  if (!late) return pending ? cal_stop_raise(L) : lua_error(L);
  rt->stopping = false;
  return luaL_error(L, "took longer than %f s", seconds);
}
