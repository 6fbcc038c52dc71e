#include "bind/modules.h"

#define MODULES(X) \
  X(dataset) X(device) X(fs) X(graph) X(hash) X(image) X(json) X(log) X(safetensors) X(script) X(store) X(system) X(text) X(zip)

#define DECLARE(name) int luaopen_cal_##name(lua_State *L);
MODULES(DECLARE)

#define ROW(name) {#name, luaopen_cal_##name},
const luaL_Reg cal_modules[] = {MODULES(ROW){NULL, NULL}};
