/* stop.h - how running Lua is stopped: by Ctrl-C, or because a time limit has passed.
 *
 *   static int l_count(lua_State *L) {
 *     for (unsigned steps = 1; steps < 1u << 30; steps++)
 *       if (steps % 4096 == 0) cal_stop_poll(L);   // raises when Ctrl-C was pressed or the time is up
 *     return 0;
 *   }
 *
 * Stopping raises one sentinel that the scripts' pcall, xpcall and coroutines hand on. At the first Ctrl-C it stops the code
 * of recipes; stdlib goes on, so that it can finish its step and keep what is done. At the second it stops both.
 * uses: base
 */
#ifndef CAL_BIND_STOP_H
#define CAL_BIND_STOP_H

#include "bind/runtime.h"

void cal_stop_listen(cal_runtime *rt); /* install the handler of SIGINT and SIGTERM; NULL: for no runtime any more */

void cal_stop_poll(lua_State *L);       /* raises when it is time; call it at least every 50 ms from long loops */
bool cal_stop_due(lua_State *L);        /* is it time? */
int cal_stop_raise(lua_State *L);       /* raise the sentinel; never returns */
bool cal_stop_is(lua_State *L, int at); /* is this value the sentinel? */

/* A protected call ended with the error at `at`: must the stop go on? An error raised in a __close while the sentinel was on
 * its way up has taken its place, and counts as it. */
bool cal_stop_pending(lua_State *L, int at);

void cal_stop_arm(lua_State *co);     /* a coroutine is about to run: give it the hook it needs now */
void cal_stop_clear(cal_runtime *rt); /* the stop has arrived at the top: the next script starts anew */

/* limit(seconds, fn, ...) -> its results. Raises "took longer than 2 s" when the time is up, whatever fn does. */
int cal_stop_limit(lua_State *L);

#endif
