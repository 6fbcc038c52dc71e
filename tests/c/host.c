/* host.c - runs one test_*.lua with everything open: natives, stdlib, scripts, io, os, debug.
 *
 *   build/release/tests/host tests/test_image.lua
 *
 * tests/harness.lua gives a test `test` and `check`; its last line is "counts P F S". */
#include <stdio.h>

#include "bind/runtime.h"
#include "core/base/progress.h"

int main(int count, char **args) {
  if (count < 2) return fprintf(stderr, "usage: host tests/test_NOUN.lua\n"), 2;
  cal_error err = {0};
  cal_progress_quiet(1);
  cal_runtime *rt = cal_runtime_new(&(cal_runtime_options){0}, &err);
  if (!rt || cal_fs_grant(rt->fs, "/", CAL_FS_READ | CAL_FS_WRITE, &err)) return fprintf(stderr, "%s\n", err.text), 1;
  lua_State *L = rt->L;
  int bad = luaL_loadfilex(L, "tests/harness.lua", "t") || (lua_pushstring(L, args[1]), lua_pcall(L, 1, 1, 0));
  if (bad) fprintf(stderr, "%s\n", lua_tostring(L, -1));
  int failed = bad || !lua_toboolean(L, -1);
  cal_runtime_free(rt);
  return failed;
}
