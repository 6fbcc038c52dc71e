/* safe_parts.h - what the files of bind/safe*.c share; for them alone.
 *
 *   static int l_print(lua_State *L) {
 *     cal_safe_text(L, 1, NULL);       // like luaL_tolstring, without addresses
 *     return 0;
 *   }
 *
 * uses: base
 */
#ifndef CAL_BIND_SAFE_PARTS_H
#define CAL_BIND_SAFE_PARTS_H

#include "bind/runtime.h"

/* Each fills the table at the top. */
void cal_safe_add_base(lua_State *L);
void cal_safe_add_string(lua_State *L);
void cal_safe_add_table(lua_State *L);
void cal_safe_add_coroutine(lua_State *L);
void cal_safe_add_math(lua_State *L);

/* Push the value as text and return it: tables, functions, threads and userdata by their kind or __name, never an address. */
const char *cal_safe_text(lua_State *L, int index, size_t *size);

/* The table at the top becomes one that can be read and not be changed; shown as `name`. */
void cal_safe_lock(lua_State *L, const char *name);

/* xpcall for stdlib: the handler runs where the error is, as in plain Lua, but the stop sentinel goes on. */
int cal_host_xpcall(lua_State *L);

/* Like lua_pushcfunction + lua_setfield on the table at the top, name by name. */
void cal_safe_copy(lua_State *L, const char *library, const char *const names[]); /* from the stock library of that name */

#endif
