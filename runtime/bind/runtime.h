/* runtime.h - one Lua state with what belongs to it.
 *
 *   cal_error err = {0};
 *   cal_runtime *rt = cal_runtime_new(&(cal_runtime_options){.memory_cap = 256u << 20}, &err);
 *   if (!rt) return;
 *   luaL_dostring(rt->L, "return 1 + 1");      // in the host's environment, not a recipe's
 *   cal_runtime_free(rt);
 *
 * The host's environment is for stdlib, scripts and tests. Recipes get a table built from `script.safe` (bind/safe.h) instead.
 * uses: base
 */
#ifndef CAL_BIND_RUNTIME_H
#define CAL_BIND_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>

#include "bind/bind.h"
#include "core/base/random.h"

typedef struct {
  size_t memory_cap;  /* bytes Lua may hold; 0: 1 GiB */
  const char *stdlib; /* folder to read stdlib from instead of the embedded one; NULL: CALOTYPE_STDLIB, else embedded */
  unsigned fs_flags;  /* CAL_FS_GUARDED for scripts of strangers; tests run without */
  bool guarded;       /* the host's environment has no io, and of os only time, clock and date; tests run without */
  bool trace;         /* errors keep the whole traceback, not only the recipe's frames */
  uint64_t seed;      /* of math.random in recipes */
} cal_runtime_options;

struct cal_chunk; /* bind/chunk.h */

typedef struct {
  lua_State *L;
  cal_fs *fs;
  char *stdlib, *scripts; /* folders that are read instead of the embedded files; NULL: none. CALOTYPE_STDLIB, CALOTYPE_SCRIPTS */
  size_t used, cap;
  size_t pictures; /* bytes of pixels that pictures in Lua hold */
  bool trace;
  struct cal_chunk *chunks;    /* the recipes' sources, newest first */
  lua_State *volatile running; /* the coroutine that runs now: Ctrl-C must reach it */
  volatile bool stopping;      /* the stop sentinel is on its way up: no pcall of a script may end it */
  double deadline;             /* of script.limit, on cal_clock; 0: none */
  int closing;                 /* coroutine.close calls that are nested now */
  uint64_t seed;
  cal_random random;
} cal_runtime;

cal_runtime *cal_runtime_new(const cal_runtime_options *options, cal_error *err);
void cal_runtime_free(cal_runtime *rt);
cal_runtime *cal_runtime_of(lua_State *L);

#endif
