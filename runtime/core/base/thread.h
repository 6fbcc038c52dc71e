/* thread.h - the one pool of host threads.
 *
 *   static cal_status square(void *context, size_t index, cal_error *err) {
 *     (void)err;
 *     ((int *)context)[index] *= (int)index;
 *     return CAL_OK;
 *   }
 *   int numbers[4] = {1, 2, 3, 4};
 *   cal_parallel(4, square, numbers, NULL, NULL);
 *
 * uses: libc
 */
#ifndef CAL_BASE_THREAD_H
#define CAL_BASE_THREAD_H

#include <stddef.h>

#include "core/base/error.h"
#include "core/base/progress.h"

/* Works on item `index`. What is wrong with one item belongs into `context`; a status other than CAL_OK stops the batch. */
typedef cal_status (*cal_task)(void *context, size_t index, cal_error *err);

/* Run `task` for 0 .. count-1 on all cores, items handed out in order. The calling thread waits, advances `progress`
 * (may be NULL) and looks for Ctrl-C every 50 ms: then no further item starts and CAL_E_INTERRUPT comes back once the
 * running ones have ended. Calls do not nest: a task that calls it again runs that batch on its own thread. */
cal_status cal_parallel(size_t count, cal_task task, void *context, cal_progress *progress, cal_error *err);

/* The same for short work that must not stop half-way (a node of a plan): the caller works too, nothing looks for Ctrl-C, and
 * nothing can fail. While another batch has the pool, or inside a task, everything runs on the calling thread. */
void cal_parallel_short(size_t count, void (*task)(void *context, size_t index), void *context);

/* CALOTYPE_THREADS, or the cores this process may use; 1 to 256. */
int cal_thread_count(void);

#endif
