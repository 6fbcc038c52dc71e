/* host.c - runs one test_*.lua, or a script of this repository, with everything open: natives, stdlib, io, os, debug.
 *
 *   build/release/tests/host tests/test_image.lua
 *   build/release/tests/host scripts/train_tiny_base.lua out/tiny vae_steps=100
 *
 * tests/harness.lua gives a test `test` and `check`; its last line is "counts P F S". A script gets the rest of the command line
 * as `...` and returns its exit code; Ctrl-C is its own affair (native.script's interrupted). */
#include <stdio.h>
#include <string.h>

#include "bind/runtime.h"
#include "core/base/interrupt.h"
#include "core/base/progress.h"

static int run_script(lua_State *L, int count, char **args) {
  cal_interrupt_install(NULL);
  luaL_checkstack(L, count, "arguments");
  int bad = luaL_loadfilex(L, args[1], "t");
  for (int i = 2; !bad && i < count; i++) lua_pushstring(L, args[i]);
  bad = bad || lua_pcall(L, count - 2, 1, 0);
  if (bad) fprintf(stderr, "error: %s\n", luaL_tolstring(L, -1, NULL));
  return bad ? 1 : (int)lua_tointeger(L, -1);
}

int main(int count, char **args) {
  if (count < 2) return fprintf(stderr, "usage: host tests/test_NOUN.lua\n"), 2;
  cal_error err = {0};
  const int script = strncmp(args[1], "scripts/", 8) == 0;
  cal_progress_quiet(!script);
  cal_runtime *rt = cal_runtime_new(&(cal_runtime_options){0}, &err);
  if (!rt || cal_fs_grant(rt->fs, "/", CAL_FS_READ | CAL_FS_WRITE, &err)) return fprintf(stderr, "%s\n", err.text), 1;
  lua_State *L = rt->L;
  if (script) {
    int code = run_script(L, count, args);
    cal_runtime_free(rt);
    return code;
  }
  int bad = luaL_loadfilex(L, "tests/harness.lua", "t") || (lua_pushstring(L, args[1]), lua_pcall(L, 1, 1, 0));
  if (bad) fprintf(stderr, "%s\n", lua_tostring(L, -1));
  int failed = bad || !lua_toboolean(L, -1);
  cal_runtime_free(rt);
  return failed;
}
