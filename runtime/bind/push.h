/* push.h - native values that several bindings make Lua values of.
 *
 *   lua_State *L = luaL_newstate();
 *   cal_json *value = cal_json_parse("[1, 2]", 6, NULL);
 *   cal_push_json(L, value);                 // a table; may raise, so a shell must own `value`
 *   cal_json_free(value);
 *   lua_close(L);
 *
 * uses: codec
 */
#ifndef CAL_BIND_PUSH_H
#define CAL_BIND_PUSH_H

#include <lauxlib.h>
#include <lua.h>
#include <stdint.h>

#include "core/codec/json.h"

/* null is a light userdata NULL (json.null), whole numbers within 2^53 are integers, lists carry the mark of json.array. */
void cal_push_json(lua_State *L, const cal_json *value);

/* Into the table on top; what is unknown (NULL, "", below 0) is absent there. */
static inline void cal_set_text(lua_State *L, const char *key, const char *text) {
  if (text && *text) lua_pushstring(L, text), lua_setfield(L, -2, key);
}
static inline void cal_set_count(lua_State *L, const char *key, int64_t n) {
  if (n >= 0) lua_pushinteger(L, n), lua_setfield(L, -2, key);
}

#endif
