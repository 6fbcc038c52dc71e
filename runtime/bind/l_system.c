/* l_system.c - native.system: what this machine has. For `calotype doctor` and for the choice of a device. */
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "bind/bind.h"
#include "core/base/library.h"
#include "core/base/thread.h"
#include "core/cl/device.h"

static void set_text(lua_State *L, const char *key, const char *text) { lua_pushstring(L, text), lua_setfield(L, -2, key); }
static void set_integer(lua_State *L, const char *key, uint64_t n) { lua_pushinteger(L, (lua_Integer)n), lua_setfield(L, -2, key); }
static void set_boolean(lua_State *L, const char *key, int is) { lua_pushboolean(L, is), lua_setfield(L, -2, key); }

static int l_devices_free(lua_State *L) {
  cal_device **list = lua_touserdata(L, 1);
  cal_device_list_free(*list);
  *list = NULL;
  return 0;
}

static int l_devices_text(lua_State *L) {
  lua_pushliteral(L, "devices");
  return 1;
}

/* system.devices() -> { {platform, name, vendor, kind, version, c_version, driver, compute_units, clock_mhz, memory,
 * largest_buffer, local_memory, half, doubles, native_kernels, shared_memory}, ... } | nil, message, code */
static int l_devices(lua_State *L) {
  cal_error err = {0};
  cal_device **list = cal_push_shell(L, "calotype.devices", sizeof *list);
  size_t count;
  if (cal_device_list(list, &count, &err)) return cal_push_refusal(L, &err);
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    const cal_device *d = &(*list)[i];
    lua_createtable(L, 0, 16);
    set_text(L, "platform", d->platform);
    set_text(L, "name", d->name);
    set_text(L, "vendor", d->vendor);
    set_text(L, "kind", cal_device_kind_name(d->kind));
    set_text(L, "version", d->version);
    set_text(L, "c_version", d->c_version);
    set_text(L, "driver", d->driver);
    set_integer(L, "compute_units", d->compute_units);
    set_integer(L, "clock_mhz", d->clock_mhz);
    set_integer(L, "memory", d->memory);
    set_integer(L, "largest_buffer", d->largest_buffer);
    set_integer(L, "local_memory", d->local_memory);
    set_boolean(L, "half", d->half);
    set_boolean(L, "doubles", d->doubles);
    set_boolean(L, "native_kernels", d->native_kernels);
    set_boolean(L, "shared_memory", d->shared_memory);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* system.device(wish) -> name of the device that device.open would take, which is not opened | nil, message, code */
static int l_device(lua_State *L) {
  const char *wish = luaL_checkstring(L, 1);
  cal_error err = {0};
  cal_device **list = cal_push_shell(L, "calotype.devices", sizeof *list);
  size_t count;
  if (cal_device_list(list, &count, &err)) return cal_push_refusal(L, &err);
  const cal_device *chosen = cal_device_choose(*list, count, wish, &err);
  if (!chosen) return cal_push_refusal(L, &err);
  lua_pushstring(L, chosen->name);
  return 1;
}

/* system.libraries() -> { {title, package, found, message}, ... }: each is opened once, by what we would call in it first. */
static int l_libraries(lua_State *L) {
  static const struct {
    const char *title, *names[4], *symbol, *package;
  } rows[] = {
      {"SDL2", {"libSDL2-2.0.so.0", "libSDL2.so"}, "SDL_GetVersion", "libsdl2-2.0-0"},
      {"SDL2_image", {"libSDL2_image-2.0.so.0", "libSDL2_image.so"}, "IMG_Linked_Version", "libsdl2-image-2.0-0"},
      {"SDL2_ttf", {"libSDL2_ttf-2.0.so.0", "libSDL2_ttf.so"}, "TTF_RenderGlyph32_Blended", "libsdl2-ttf-2.0-0"},
      {"libcurl", {"libcurl.so.4", "libcurl.so"}, "curl_version", "libcurl4"},
      {"OpenCL loader", {"libOpenCL.so.1", "libOpenCL.so"}, "clGetPlatformIDs", "ocl-icd-libopencl1"},
      {"CLBlast", {"libclblast.so.1", "libclblast.so"}, "CLBlastSgemm", "libclblast1"},
      {"oneDNN", {"libdnnl.so.3", "libdnnl.so.2", "libdnnl.so"}, "dnnl_version", "libdnnl2"},
  };
  lua_createtable(L, (int)(sizeof rows / sizeof *rows), 0);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    void *function;
    cal_symbol symbols[] = {{rows[i].symbol, (void *)&function}, {NULL, NULL}};
    cal_library library = {rows[i].title, rows[i].names, symbols, rows[i].package, NULL};
    cal_error err = {0};
    cal_status status = cal_library_open(&library, &err);
    lua_createtable(L, 0, 4);
    set_text(L, "title", rows[i].title);
    set_text(L, "package", rows[i].package);
    set_boolean(L, "found", !status);
    if (status) set_text(L, "message", err.text);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* system.machine() -> { threads, memory, free_memory }, bytes */
static int l_machine(lua_State *L) {
  struct sysinfo info;
  lua_createtable(L, 0, 3);
  set_integer(L, "threads", (uint64_t)cal_thread_count());
  if (sysinfo(&info) != 0) return 1;
  set_integer(L, "memory", (uint64_t)info.totalram * info.mem_unit);
  set_integer(L, "free_memory", ((uint64_t)info.freeram + info.bufferram) * info.mem_unit);
  return 1;
}

/* system.writable(folder): could files be made in it, or in the nearest folder above that exists? Nothing is made. */
static int l_writable(lua_State *L) {
  char path[4096];
  size_t size;
  const char *given = luaL_checklstring(L, 1, &size);
  luaL_argcheck(L, size < sizeof path, 1, "too long");
  memcpy(path, given, size + 1);
  while (access(path, F_OK) != 0) {
    char *slash = strrchr(path, '/');
    if (!slash) strcpy(path, ".");
    else if (slash == path) path[1] = 0;
    else *slash = 0;
  }
  lua_pushboolean(L, access(path, W_OK) == 0);
  return 1;
}

int luaopen_cal_system(lua_State *L);
int luaopen_cal_system(lua_State *L) {
  static const luaL_Reg functions[] = {{"device", l_device},   {"devices", l_devices},   {"libraries", l_libraries},
                                       {"machine", l_machine}, {"writable", l_writable}, {NULL, NULL}};
  cal_register_type(L, "calotype.devices", (const luaL_Reg[]){{NULL, NULL}}, l_devices_free, l_devices_text);
  luaL_newlib(L, functions);
  return 1;
}
