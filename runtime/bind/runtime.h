/* runtime.h - one Lua state with what belongs to it.
 *
 *   cal_error err = {0};
 *   cal_runtime *rt = cal_runtime_new(&(cal_runtime_options){.memory_cap = 256u << 20}, &err);
 *   if (!rt) return;
 *   luaL_dostring(rt->L, "return 1 + 1");      // in the host's environment, not a recipe's
 *   cal_runtime_free(rt);
 *
 * uses: base
 */
#ifndef CAL_BIND_RUNTIME_H
#define CAL_BIND_RUNTIME_H

#include <stddef.h>

#include "bind/bind.h"

typedef struct {
  size_t memory_cap;  /* bytes Lua may hold; 0: 1 GiB */
  const char *stdlib; /* folder to read stdlib from instead of the embedded one; NULL: CALOTYPE_STDLIB, else embedded */
  unsigned fs_flags;  /* CAL_FS_GUARDED for scripts of strangers; tests run without */
} cal_runtime_options;

typedef struct {
  lua_State *L;
  cal_fs *fs;
  char *stdlib;
  size_t used, cap;
} cal_runtime;

cal_runtime *cal_runtime_new(const cal_runtime_options *options, cal_error *err);
void cal_runtime_free(cal_runtime *rt);
cal_runtime *cal_runtime_of(lua_State *L);

#endif
