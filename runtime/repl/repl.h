/* repl.h - the prompt: type Lua of the recipe language, see what it gives.
 *
 *   cal_error err = {0};
 *   cal_runtime *rt = cal_runtime_new(&(cal_runtime_options){.guarded = true}, &err);
 *   int code = rt ? cal_repl(rt, NULL, 0) : 1;        // returns at Ctrl-D, or when stdin ends
 *   cal_runtime_free(rt);
 *
 * On a terminal with line editing, history, completion by Tab and pasting as one piece; elsewhere, and with TERM=dumb,
 * lines are just read. What is said about values and names is Lua's part: stdlib/prompt.lua.
 * uses: base
 */
#ifndef CAL_REPL_REPL_H
#define CAL_REPL_REPL_H

#include <stdbool.h>
#include <stddef.h>

#include "bind/runtime.h"

/* The exit code. Lines of `before`, which was read of stdin already, come first. */
int cal_repl(cal_runtime *rt, const char *before, size_t before_size);

/* Whether what came through a pipe is for the prompt: its first line asks for help ("?reject", "help reject"), which no recipe begins with.
 */
bool cal_repl_speaks(const char *text);

#endif
