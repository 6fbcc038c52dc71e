/* bind.h - the few words every binding is written with.
 *
 *   static int l_read(lua_State *L) {
 *     cal_error err = {0};
 *     cal_buffer bytes = {0};
 *     if (cal_fs_read(cal_bind_fs(L), luaL_checkstring(L, 1), 0, &bytes, &err)) return cal_push_refusal(L, &err);
 *     return cal_push_buffer(L, &bytes);        // one string; the buffer is freed whatever happens
 *   }
 *
 * Misuse (a wrong argument) raises; a refusal by the world returns nil, message, code. Userdata: the shell with its
 * metatable comes first, then the native object, so that a raise in between leaks nothing.
 * uses: base
 */
#ifndef CAL_BIND_BIND_H
#define CAL_BIND_BIND_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/base/fs.h"

/* Make the metatable `name` ("calotype.image"): methods, __gc and __close (both `gc`), __tostring, __name, and
 * __metatable = false. Metamethods may stand among the methods ("__len", "__eq"). Leaves nothing on the stack. */
void cal_register_type(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction gc, lua_CFunction to_string);

/* A shell: userdata of `size` zeroed bytes with the metatable of `name`, on the stack. */
void *cal_push_shell(lua_State *L, const char *name, size_t size);

int cal_push_refusal(lua_State *L, const cal_error *err); /* nil, message, code ("IO"): returns 3 */
int cal_raise(lua_State *L, const cal_error *err);        /* lua_error with the sentence; a Ctrl-C is cal_stop_raise's */
int cal_push_buffer(lua_State *L, cal_buffer *b);         /* pushes its bytes as a string, frees it: returns 1 */

/* Options in the table at `index` (absent or nil: an empty one). A wrong type raises "option 'w': number expected ...". */
lua_Integer cal_option_integer(lua_State *L, int index, const char *key, lua_Integer otherwise);
lua_Number cal_option_number(lua_State *L, int index, const char *key, lua_Number otherwise);
int cal_option_boolean(lua_State *L, int index, const char *key, int otherwise);
const char *cal_option_text(lua_State *L, int index, const char *key, const char *otherwise); /* lives as long as the table */

/* One of `names` (NULL at the end) at argument `arg`; the message lists the legal values. Returns its place. */
int cal_check_choice(lua_State *L, int arg, const char *otherwise, const char *const names[]);

/* What this state may touch: the script's guarded file system. Never NULL inside a runtime. */
cal_fs *cal_bind_fs(lua_State *L);

/* For files of the program's own, in the store's folder, which scripts have no way to: a file system of the folder that holds `path`, the
 * caller's. NULL on failure. */
cal_fs *cal_bind_own_fs(const char *path, cal_error *err);

#endif
