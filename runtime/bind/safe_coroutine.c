/* safe_coroutine.c - coroutine for recipes: the running one is known to Ctrl-C, and the stop sentinel passes through. */
#include "bind/safe_parts.h"
#include "bind/stop.h"

enum { CLOSES = 20 }; /* coroutine.close inside __close inside ...: Lua before 5.4.5 does not count its C stack there */

static lua_State *check_thread(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  luaL_argexpected(L, co, 1, "coroutine");
  return co;
}

/* Move `count` arguments to `co` and run it: the number of its results, which then lie on L, or -1 and the error there. */
static int resume(lua_State *L, lua_State *co, int count) {
  cal_runtime *rt = cal_runtime_of(L);
  int results;
  if (!lua_checkstack(co, count)) return lua_pushliteral(L, "too many arguments to resume"), -1;
  cal_stop_poll(L);
  lua_xmove(L, co, count);
  rt->running = co;
  cal_stop_arm(co); /* after `running`: a signal in between is seen here or reaches it there */
  int status = lua_resume(co, L, count, &results);
  rt->running = L;
  cal_stop_arm(L);
  if (status == LUA_OK || status == LUA_YIELD) {
    if (!lua_checkstack(L, results + 1)) {
      lua_pop(co, results);
      return lua_pushliteral(L, "too many results to resume"), -1;
    }
    lua_xmove(co, L, results);
    return results;
  }
  lua_xmove(co, L, 1);
  if (cal_stop_pending(L, -1)) cal_stop_raise(L);
  return -1;
}

static int l_create(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  return 1;
}

static int l_resume(lua_State *L) {
  lua_State *co = check_thread(L);
  int count = resume(L, co, lua_gettop(L) - 1);
  lua_pushboolean(L, count >= 0);
  if (count < 0) count = 1;
  lua_insert(L, -count - 1);
  return count + 1;
}

static int close_thread(lua_State *L, lua_State *co) {
  cal_runtime *rt = cal_runtime_of(L);
  if (rt->closing >= CLOSES) return luaL_error(L, "coroutines are closed inside each other %d deep", CLOSES);
  rt->closing++;
  rt->running = co;
  cal_stop_arm(co);
#if LUA_VERSION_RELEASE_NUM >= 50406
  int status = lua_closethread(co, L);
#else
  int status = lua_resetthread(co);
#endif
  rt->running = L;
  rt->closing--;
  cal_stop_arm(L);
  return status;
}

static int wrapped(lua_State *L) {
  lua_State *co = lua_tothread(L, lua_upvalueindex(1));
  int count = resume(L, co, lua_gettop(L));
  if (count >= 0) return count;
  int status = lua_status(co);
  if (status != LUA_OK && status != LUA_YIELD) { /* it ended with an error: its variables are closed now */
    close_thread(L, co);
    lua_xmove(co, L, 1);
    if (cal_stop_pending(L, -1)) cal_stop_raise(L);
  }
  if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

static int l_wrap(lua_State *L) {
  l_create(L);
  lua_pushcclosure(L, wrapped, 1);
  return 1;
}

static int l_yield(lua_State *L) { return lua_yield(L, lua_gettop(L)); }

static const char *status_of(lua_State *L, lua_State *co) {
  if (L == co) return "running";
  switch (lua_status(co)) {
    case LUA_YIELD: return "suspended";
    case LUA_OK: {
      lua_Debug ar;
      if (lua_getstack(co, 0, &ar)) return "normal";
      return lua_gettop(co) == 0 ? "dead" : "suspended";
    }
    default: return "dead";
  }
}

static int l_status(lua_State *L) {
  lua_pushstring(L, status_of(L, check_thread(L)));
  return 1;
}

static int l_isyieldable(lua_State *L) {
  lua_pushboolean(L, lua_isyieldable(lua_isnone(L, 1) ? L : check_thread(L)));
  return 1;
}

static int l_running(lua_State *L) {
  lua_pushboolean(L, lua_pushthread(L));
  return 2;
}

static int l_close(lua_State *L) {
  lua_State *co = check_thread(L);
  const char *status = status_of(L, co);
  if (status[0] != 's' && status[0] != 'd') return luaL_error(L, "cannot close a %s coroutine", status);
  if (close_thread(L, co) == LUA_OK) return lua_pushboolean(L, 1), 1;
  lua_pushboolean(L, 0);
  lua_xmove(co, L, 1);
  if (cal_stop_pending(L, -1)) cal_stop_raise(L);
  return 2;
}

void cal_safe_add_coroutine(lua_State *L) {
  static const luaL_Reg own[] = {{"create", l_create},   {"resume", l_resume}, {"wrap", l_wrap},
                                 {"yield", l_yield},     {"status", l_status}, {"isyieldable", l_isyieldable},
                                 {"running", l_running}, {"close", l_close},   {NULL, NULL}};
  luaL_setfuncs(L, own, 0);
}
