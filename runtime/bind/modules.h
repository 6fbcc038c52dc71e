/* modules.h - the table of contents of the runtime: what `require "native.NAME"` finds.
 *
 *   for (const luaL_Reg *module = cal_modules; module->name; module++) puts(module->name);
 *
 * uses: libc
 */
#ifndef CAL_BIND_MODULES_H
#define CAL_BIND_MODULES_H

#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>

extern const luaL_Reg cal_modules[]; /* name without "native.", opener that leaves one table; {NULL, NULL} at the end */

#endif
