/* interrupt.h - Ctrl-C in three stages.
 *
 *   cal_interrupt_install(NULL);
 *   while (cal_interrupt_level() == 0) {
 *     // one item or one step; never longer than 50 ms without a look at the level
 *   }
 *
 * First signal: finish the item, keep what is done. Second: stop now. Third: the process ends at once with 130.
 * uses: libc
 */
#ifndef CAL_BASE_INTERRUPT_H
#define CAL_BASE_INTERRUPT_H

#include "core/base/error.h"

/* Catch SIGINT and SIGTERM. `also` (may be NULL) is called inside the signal handler after the level rose: it may only
 * do what a signal handler may do (the Lua runtime sets its hook there). */
void cal_interrupt_install(void (*also)(void));

int cal_interrupt_level(void);  /* 0, 1 or 2 */
void cal_interrupt_clear(void); /* the prompt is back: start anew */
void cal_interrupt_raise(void); /* what a signal would do, for tests and for the window's stop button */

/* CAL_OK, or CAL_E_INTERRUPT with a sentence when the level is not 0. */
cal_status cal_interrupt_check(cal_error *err);

#endif
