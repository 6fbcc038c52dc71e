/* store.h - the store as other bindings take it from Lua.
 *
 *   static int l_folder(lua_State *L) {
 *     lua_pushstring(L, cal_store_folder(cal_check_store(L, 1)));     // raises when it is closed
 *     return 1;
 *   }
 *
 * uses: store
 */
#ifndef CAL_BIND_STORE_H
#define CAL_BIND_STORE_H

#include <lauxlib.h>
#include <lua.h>

#include "core/store/store.h"

cal_store *cal_check_store(lua_State *L, int arg); /* a store that is open; lives as long as its userdata, and until it is closed */

extern const luaL_Reg cal_store_notes[]; /* methods of l_store.c that stand in store_notes.c; for it alone */
void cal_register_notes(lua_State *L);   /* what they need */

#endif
