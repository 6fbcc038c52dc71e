/* safe.h - the libraries that recipes get: nothing that reaches files, the process, bytecode or the garbage collector.
 *
 *   static void push_string_library(lua_State *L) {
 *     cal_safe_push(L);                    // { string =, table =, math =, ..., pcall =, error =, ... }, read-only inside
 *     lua_getfield(L, -1, "string");
 *   }
 *
 * uses: base text
 */
#ifndef CAL_BIND_SAFE_H
#define CAL_BIND_SAFE_H

#include "bind/bind.h"

void cal_safe_open(lua_State *L); /* once per state: builds the libraries, gives strings their methods */
void cal_safe_push(lua_State *L); /* the table of all of them */

#endif
