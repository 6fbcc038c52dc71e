/* safe_math.c - math for recipes: stock, but random numbers come from the run's seed. */
#include "bind/safe_parts.h"

static int l_random(lua_State *L) {
  cal_random *r = &cal_runtime_of(L)->random;
  lua_Integer low = 1, high;
  switch (lua_gettop(L)) {
    case 0: return lua_pushnumber(L, cal_random_uniform(r)), 1;
    case 1: high = luaL_checkinteger(L, 1); break;
    case 2:
      low = luaL_checkinteger(L, 1);
      high = luaL_checkinteger(L, 2);
      break;
    default: return luaL_error(L, "wrong number of arguments");
  }
  lua_Unsigned span = (lua_Unsigned)high - (lua_Unsigned)low + 1; /* 0: all 64 bits */
  if (lua_gettop(L) == 1 && high == 0) span = 0, low = 0;
  else luaL_argcheck(L, low <= high, lua_gettop(L), "interval is empty");
  lua_Unsigned draw = span ? cal_random_below(r, span) : (lua_Unsigned)cal_random_bits(r) << 32 | cal_random_bits(r);
  lua_pushinteger(L, (lua_Integer)((lua_Unsigned)low + draw));
  return 1;
}

/* math.randomseed(n): another stream of the run's seed, the same one each time. Without n: back to the start. */
static int l_randomseed(lua_State *L) {
  cal_runtime *rt = cal_runtime_of(L);
  uint64_t stream = 0;
  if (!lua_isnoneornil(L, 1)) {
    lua_Number n = luaL_checknumber(L, 1);
    int fits;
    lua_Integer whole = lua_tointegerx(L, 1, &fits);
    stream = fits ? (uint64_t)whole : (uint64_t)(int64_t)(n * 4096 > 9e18 || n * 4096 < -9e18 || n != n ? 0 : n * 4096);
    stream += 1;
  }
  rt->random = cal_random_seed(rt->seed, stream);
  return 0;
}

void cal_safe_add_math(lua_State *L) {
  static const char *const stock[] = {"abs",  "acos", "asin", "atan", "ceil",       "cos",  "deg",        "exp",  "floor",
                                      "fmod", "huge", "log",  "max",  "maxinteger", "min",  "mininteger", "modf", "pi",
                                      "rad",  "sin",  "sqrt", "tan",  "tointeger",  "type", "ult",        NULL};
  static const luaL_Reg own[] = {{"random", l_random}, {"randomseed", l_randomseed}, {NULL, NULL}};
  cal_safe_copy(L, "math", stock);
  luaL_setfuncs(L, own, 0);
}
