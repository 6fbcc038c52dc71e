/* safe_table.c - table for recipes: lengths that a table only claims are not believed, long loops can be stopped. */
#include <limits.h>

#include "bind/safe_parts.h"
#include "bind/stop.h"

enum { CLAIMED = 10000000, POLL_EVERY = 4096 }; /* items a __len may claim beyond what is there */

/* `count` steps over the table at `index`: as many as it holds, or a claim that ends within a second. */
static void check_count(lua_State *L, int index, lua_Unsigned count) {
  if (count <= CLAIMED || (lua_istable(L, index) && count <= lua_rawlen(L, index))) return;
  luaL_error(L, "a range of %I items is too large: the table holds %I", (lua_Integer)(count > LUA_MAXINTEGER ? LUA_MAXINTEGER : count),
             (lua_Integer)(lua_istable(L, index) ? lua_rawlen(L, index) : 0));
}

static void poll(lua_State *L, lua_Unsigned step) {
  if (step % POLL_EVERY == 0) cal_stop_poll(L);
}

static lua_Integer length(lua_State *L, int arg) {
  if (lua_type(L, arg) != LUA_TUSERDATA) luaL_checktype(L, arg, LUA_TTABLE);
  return luaL_len(L, arg);
}

static int l_insert(lua_State *L) {
  lua_Integer end = (lua_Integer)((lua_Unsigned)length(L, 1) + 1);
  int count = lua_gettop(L);
  if (count == 2) return lua_seti(L, 1, end), 0;
  if (count != 3) return luaL_error(L, "wrong number of arguments to 'insert'");
  lua_Integer at = luaL_checkinteger(L, 2);
  luaL_argcheck(L, (lua_Unsigned)at - 1 < (lua_Unsigned)end, 2, "position out of bounds");
  check_count(L, 1, (lua_Unsigned)end - (lua_Unsigned)at);
  for (lua_Integer i = end; i > at; i--) {
    poll(L, (lua_Unsigned)i);
    lua_geti(L, 1, i - 1);
    lua_seti(L, 1, i);
  }
  lua_seti(L, 1, at);
  return 0;
}

static int l_remove(lua_State *L) {
  lua_Integer size = length(L, 1), at = luaL_optinteger(L, 2, size);
  if (lua_gettop(L) > 1)
    luaL_argcheck(L, (lua_Unsigned)size + 1 - (lua_Unsigned)at <= (lua_Unsigned)size || at == size, 2, "position out of bounds");
  if (at < size) check_count(L, 1, (lua_Unsigned)size - (lua_Unsigned)at);
  lua_geti(L, 1, at);
  for (; at < size; at++) {
    poll(L, (lua_Unsigned)at);
    lua_geti(L, 1, at + 1);
    lua_seti(L, 1, at);
  }
  lua_pushnil(L);
  lua_seti(L, 1, at);
  return 1;
}

/* table.move(from, first, last, at [, to]) */
static int l_move(lua_State *L) {
  lua_Integer first = luaL_checkinteger(L, 2), last = luaL_checkinteger(L, 3), at = luaL_checkinteger(L, 4);
  int to = lua_isnoneornil(L, 5) ? 1 : 5;
  if (lua_type(L, 1) != LUA_TUSERDATA) luaL_checktype(L, 1, LUA_TTABLE);
  if (lua_type(L, to) != LUA_TUSERDATA) luaL_checktype(L, to, LUA_TTABLE);
  if (last >= first) {
    luaL_argcheck(L, first > 0 || last < LUA_MAXINTEGER + first, 3, "too many elements to move");
    lua_Integer count = last - first + 1;
    luaL_argcheck(L, at <= LUA_MAXINTEGER - count + 1, 4, "destination wrap around");
    check_count(L, 1, (lua_Unsigned)count);
    bool forward = at > last || at <= first || (to != 1 && !lua_compare(L, 1, to, LUA_OPEQ));
    for (lua_Integer i = 0; i < count; i++) {
      lua_Integer k = forward ? i : count - 1 - i;
      poll(L, (lua_Unsigned)i);
      lua_geti(L, 1, first + k);
      lua_seti(L, to, at + k);
    }
  }
  lua_pushvalue(L, to);
  return 1;
}

static int l_concat(lua_State *L) {
  lua_Integer size = length(L, 1);
  size_t separator_size;
  const char *separator = luaL_optlstring(L, 2, "", &separator_size);
  lua_Integer first = luaL_optinteger(L, 3, 1), last = luaL_optinteger(L, 4, size);
  if (first <= last) check_count(L, 1, (lua_Unsigned)last - (lua_Unsigned)first);
  luaL_Buffer out;
  luaL_buffinit(L, &out);
  for (lua_Integer i = first; i <= last; i++) {
    poll(L, (lua_Unsigned)i);
    lua_geti(L, 1, i);
    if (!lua_isstring(L, -1))
      return luaL_error(L, "invalid value (at index %I) in table for 'concat': a %s, not a string or number", i, luaL_typename(L, -1));
    luaL_addvalue(&out);
    if (i == last) break; /* i + 1 may not exist */
    luaL_addlstring(&out, separator, separator_size);
  }
  luaL_pushresult(&out);
  return 1;
}

static int l_unpack(lua_State *L) {
  lua_Integer first = luaL_optinteger(L, 2, 1), last = luaL_opt(L, luaL_checkinteger, 3, luaL_len(L, 1));
  if (first > last) return 0;
  lua_Unsigned count = (lua_Unsigned)last - (lua_Unsigned)first;
  if (count >= INT_MAX || !lua_checkstack(L, (int)++count)) return luaL_error(L, "too many results to unpack");
  for (lua_Unsigned i = 0; i < count; i++) lua_geti(L, 1, (lua_Integer)((lua_Unsigned)first + i));
  return (int)count;
}

static int l_pack(lua_State *L) {
  int count = lua_gettop(L);
  lua_createtable(L, count, 1);
  lua_insert(L, 1);
  for (int i = count; i > 0; i--) lua_rawseti(L, 1, i);
  lua_pushinteger(L, count);
  lua_setfield(L, 1, "n");
  return 1;
}

/* Is the value at `a` to stand before that at `b` (both from the top)? By the function at 2, or by <. */
static bool before(lua_State *L, int a, int b) {
  if (lua_isnil(L, 2)) return lua_compare(L, a, b, LUA_OPLT);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, a - 1);
  lua_pushvalue(L, b - 2);
  lua_call(L, 2, 1);
  bool is = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return is;
}

/* A merge sort: equal items keep their order, so the result is the same everywhere; an order function that contradicts
 * itself does no harm; after an error the table is as it was. */
static int l_sort(lua_State *L) {
  lua_Integer count = length(L, 1);
  if (!lua_isnoneornil(L, 2)) luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  if (count < 2) return 0;
  luaL_argcheck(L, count < INT_MAX, 1, "array too big");
  check_count(L, 1, (lua_Unsigned)count);
  lua_Unsigned room = lua_istable(L, 1) && lua_rawlen(L, 1) < (lua_Unsigned)count ? lua_rawlen(L, 1) : (lua_Unsigned)count, steps = 0;
  lua_createtable(L, (int)room, 0);
  lua_createtable(L, (int)room, 0);
  for (lua_Integer i = 1; i <= count; i++) {
    poll(L, ++steps);
    lua_geti(L, 1, i);
    lua_rawseti(L, 3, i);
  }
  int from = 3, to = 4;
  for (lua_Integer run = 1; run < count; run *= 2) {
    for (lua_Integer low = 1; low <= count; low += 2 * run) {
      lua_Integer middle = low + run <= count + 1 ? low + run : count + 1, high = middle + run <= count + 1 ? middle + run : count + 1;
      lua_Integer a = low, b = middle;
      for (lua_Integer i = low; i < high; i++) {
        poll(L, ++steps);
        bool second = a == middle;
        if (a < middle && b < high) {
          lua_rawgeti(L, from, a);
          lua_rawgeti(L, from, b);
          second = before(L, -1, -2);
          lua_pop(L, 2);
        }
        lua_rawgeti(L, from, second ? b++ : a++);
        lua_rawseti(L, to, i);
      }
    }
    int other = from;
    from = to;
    to = other;
  }
  for (lua_Integer i = 1; i <= count; i++) {
    poll(L, ++steps);
    lua_rawgeti(L, from, i);
    lua_seti(L, 1, i);
  }
  return 0;
}

void cal_safe_add_table(lua_State *L) {
  static const luaL_Reg own[] = {{"insert", l_insert}, {"remove", l_remove}, {"move", l_move}, {"concat", l_concat},
                                 {"unpack", l_unpack}, {"pack", l_pack},     {"sort", l_sort}, {NULL, NULL}};
  luaL_setfuncs(L, own, 0);
}
