#include "bind/runtime.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bind/chunk.h"
#include "bind/embedded.h"
#include "bind/fault.h"
#include "bind/modules.h"
#include "bind/safe.h"

/* Lua's allocator: the cap is Lua's own; native objects are counted by base/memory as well. */
static void *allocate(void *context, void *block, size_t before, size_t bytes) {
  cal_runtime *rt = context;
  if (!block) before = 0;
  if (!bytes) {
    cal_free(block);
    rt->used -= before;
    return NULL;
  }
  if (bytes > before && rt->used + (bytes - before) > rt->cap) return NULL;
  void *moved = cal_resize(block, bytes, NULL);
  if (moved) rt->used += bytes - before;
  return moved;
}

cal_runtime *cal_runtime_of(lua_State *L) { return *(cal_runtime **)lua_getextraspace(L); }

static int l_buffer_free(lua_State *L) {
  cal_buffer_free(lua_touserdata(L, 1));
  return 0;
}

static int l_buffer_text(lua_State *L) {
  lua_pushliteral(L, "buffer");
  return 1;
}

/* package.searchers for the host's environment: native.NAME, then stdlib/NAME.lua, then scripts/NAME.lua. Nothing else is ever loaded. */
static int load_native(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  if (strncmp(name, "native.", 7) != 0) return lua_pushliteral(L, "no native module"), 1;
  for (const luaL_Reg *module = cal_modules; module->name; module++)
    if (strcmp(module->name, name + 7) == 0) return lua_pushcfunction(L, module->func), 1;
  lua_pushfstring(L, "no native module '%s'", name + 7);
  return 1;
}

static int load_lua(lua_State *L) {
  cal_runtime *rt = cal_runtime_of(L);
  const char *name = luaL_gsub(L, luaL_checkstring(L, 1), ".", "/");
  const char *const trees[] = {"stdlib", "scripts"}, *const instead[] = {rt->stdlib, rt->scripts};
  for (int i = 0; i < 2; i++) {
    const char *path = lua_pushfstring(L, "%s/%s.lua", trees[i], name);
    size_t size;
    int status = LUA_ERRFILE;
    if (instead[i]) status = luaL_loadfilex(L, lua_pushfstring(L, "%s/%s.lua", instead[i], name), "t");
    if (status == LUA_ERRFILE) { /* what the folder lacks is taken from the binary */
      const void *bytes = cal_embedded_find(path, &size);
      if (!bytes) continue;
      status = luaL_loadbufferx(L, bytes, size, path, "b");
    }
    if (status != LUA_OK) return lua_error(L);
    return 1;
  }
  lua_pushfstring(L, "no file '%s.lua' in stdlib or scripts", name);
  return 1;
}

/* io.stdout:write(...), all that the program keeps of io: to people, made safe for terminals. */
static int l_write(lua_State *L) {
  int count = lua_gettop(L);
  cal_buffer *text = cal_push_shell(L, "calotype.buffer", sizeof *text);
  for (int i = 2; i <= count; i++) {
    size_t size;
    const char *part = luaL_checklstring(L, i, &size);
    cal_buffer_add_printable(text, part, size);
  }
  if (!text->failed && text->size) fwrite(text->data, 1, text->size, stdout);
  cal_buffer_free(text);
  return lua_settop(L, 1), 1;
}

/* What stdlib has no business with. Tests keep it. */
static void guard_host(lua_State *L) {
  static const char *const os_functions[] = {"execute", "exit", "getenv", "remove", "rename", "setlocale", "tmpname", NULL};
  static const char *const globals[] = {"io", "dofile", "loadfile", NULL};
  static const char *const package_fields[] = {"loadlib", "path", "cpath", "searchpath", NULL};
  for (int i = 0; globals[i]; i++) lua_pushnil(L), lua_setglobal(L, globals[i]);
  lua_getglobal(L, "os");
  for (int i = 0; os_functions[i]; i++) lua_pushnil(L), lua_setfield(L, -2, os_functions[i]);
  lua_getglobal(L, "package");
  for (int i = 0; package_fields[i]; i++) lua_pushnil(L), lua_setfield(L, -2, package_fields[i]);
  lua_getfield(L, -1, "loaded");
  lua_pushnil(L);
  lua_setfield(L, -2, "io");
  lua_pop(L, 3);
  lua_newtable(L);
  lua_newtable(L);
  lua_pushcfunction(L, l_write);
  lua_setfield(L, -2, "write");
  lua_setfield(L, -2, "stdout");
  lua_setglobal(L, "io");
}

static int open_host(lua_State *L) {
  luaL_openlibs(L);
  luaL_newmetatable(L, "calotype.buffer");
  lua_pop(L, 1);
  cal_register_type(L, "calotype.buffer", (const luaL_Reg[]){{NULL, NULL}}, l_buffer_free, l_buffer_text);
  lua_getglobal(L, "package");
  lua_createtable(L, 2, 0);
  lua_pushcfunction(L, load_native);
  lua_rawseti(L, -2, 1);
  lua_pushcfunction(L, load_lua);
  lua_rawseti(L, -2, 2);
  lua_setfield(L, -2, "searchers");
  cal_fault_register(L);
  cal_safe_open(L);
  if (lua_toboolean(L, 1)) guard_host(L);
  return 0;
}

cal_runtime *cal_runtime_new(const cal_runtime_options *options, cal_error *err) {
  cal_runtime *rt = cal_alloc_zero(1, sizeof *rt, err);
  if (!rt) return NULL;
  rt->cap = options->memory_cap ? options->memory_cap : (size_t)1 << 30;
  const char *stdlib = options->stdlib ? options->stdlib : getenv("CALOTYPE_STDLIB"), *scripts = getenv("CALOTYPE_SCRIPTS");
  rt->fs = cal_fs_new(NULL, options->fs_flags, err);
  if (stdlib) rt->stdlib = cal_copy_text(stdlib, err);
  if (scripts) rt->scripts = cal_copy_text(scripts, err);
  rt->L = rt->fs && (!stdlib || rt->stdlib) && (!scripts || rt->scripts) ? lua_newstate(allocate, rt) : NULL;
  if (!rt->L) {
    if (err && !err->code) cal_fail(err, CAL_E_MEMORY, "not enough memory for Lua");
    cal_runtime_free(rt);
    return NULL;
  }
  *(cal_runtime **)lua_getextraspace(rt->L) = rt;
  rt->running = rt->L;
  rt->trace = options->trace;
  rt->seed = options->seed;
  rt->random = cal_random_seed(rt->seed, 0);
  lua_pushcfunction(rt->L, open_host);
  lua_pushboolean(rt->L, options->guarded);
  if (lua_pcall(rt->L, 1, 0, 0) != LUA_OK) {
    cal_fail(err, CAL_E_MEMORY, "Lua cannot start: %s", lua_tostring(rt->L, -1));
    cal_runtime_free(rt);
    return NULL;
  }
  return rt;
}

void cal_runtime_free(cal_runtime *rt) {
  if (!rt) return;
  rt->running = NULL;
  if (rt->L) lua_close(rt->L);
  cal_chunk_forget(rt);
  cal_fs_free(rt->fs);
  cal_free(rt->stdlib);
  cal_free(rt->scripts);
  cal_free(rt);
}
