/* fault.h - errors as a person reads them: the place, the source line, a caret, the next step.
 *
 *   static int run(lua_State *L) {                       // the function to call is at the top
 *     lua_pushcfunction(L, cal_fault_handler);
 *     lua_insert(L, -2);
 *     if (lua_pcall(L, 0, 0, -2) == LUA_OK) return 0;
 *     cal_fault_push_text(L, -1);                        // "error: ...\n  --> recipe.lua:24:3\n ..."
 *     fputs(lua_tostring(L, -1), stderr);
 *     return cal_fault_exit(L, -2);
 *   }
 *
 * A fault is a userdata with the fields message, hint, source, line, column, width, exit, notes, frames and trace. Scripts may
 * catch it, read the first five and show it with tostring.
 * uses: base text
 */
#ifndef CAL_BIND_FAULT_H
#define CAL_BIND_FAULT_H

#include "bind/runtime.h"

/* What the program ends with. A fault carries one of these; scripts see them as script.exits. */
enum {
  CAL_EXIT_OK = 0,
  CAL_EXIT_FAILED = 1,
  CAL_EXIT_USAGE = 2,    /* wrong usage, or `check` found something */
  CAL_EXIT_DENIED = 3,   /* not permitted */
  CAL_EXIT_EXPECT = 4,   /* an :expect failed */
  CAL_EXIT_AGAIN = 75,   /* try again later */
  CAL_EXIT_STOPPED = 130 /* interrupted, and resumable */
};

void cal_fault_register(lua_State *L); /* once per state, before anything else of this file */

/* Message handler: makes a fault of a string, placed where the recipe was at that moment; what is one already gets its
 * frames; the stop sentinel passes. */
int cal_fault_handler(lua_State *L);

/* Raise a fault of the fields in the table at `index` (the argument of script.fail). */
int cal_fault_raise(lua_State *L, int index);

void cal_fault_push_stopped(lua_State *L); /* "interrupted", with CAL_EXIT_STOPPED */
void cal_fault_push_memory(lua_State *L);  /* of LUA_ERRMEM, for which Lua calls no handler: the limit and what raises it */

/* Push the whole text, ending in a newline and safe to print. Any error value will do, a plain string too. */
void cal_fault_push_text(lua_State *L, int index);

int cal_fault_print(lua_State *L); /* a C function for lua_pcall: its argument's text to stderr */

int cal_fault_exit(lua_State *L, int index); /* CAL_EXIT_FAILED, or what the fault says; CAL_EXIT_STOPPED for the sentinel */

/* Is it the sentinel, or the fault of cal_fault_push_stopped? One of stdlib's with CAL_EXIT_STOPPED has more to say: what is kept. */
bool cal_fault_stopped(lua_State *L, int index);

/* Push the name nearest to `word` among the string keys and the strings of the table at `index`, or nil; by core/base/suggest.h.
 * Returns how many edits away it is (0: the word is its beginning, or only its case differs). */
int cal_fault_push_nearest(lua_State *L, const char *word, int index);

#endif
