#include "bind/modules.h"

/* clang-format off: one a line, so that branches meet without a conflict */
#define MODULES(X) \
  X(batch)         \
  X(dataset)       \
  X(device)        \
  X(fs)            \
  X(graph)         \
  X(hash)          \
  X(hub)           \
  X(image)         \
  X(json)          \
  X(loader)        \
  X(log)           \
  X(net)           \
  X(process)       \
  X(safetensors)   \
  X(script)        \
  X(store)         \
  X(system)        \
  X(text)          \
  X(weights)       \
  X(window)        \
  X(zip)
/* clang-format on */

#define DECLARE(name) int luaopen_cal_##name(lua_State *L);
MODULES(DECLARE)

#define ROW(name) {#name, luaopen_cal_##name},
const luaL_Reg cal_modules[] = {MODULES(ROW){NULL, NULL}};
