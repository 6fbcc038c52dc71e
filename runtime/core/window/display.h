/* display.h - whether the display is still there. Not for others.
 *
 *   cal_error err = {0};
 *   cal_window *w = cal_window_open(&(cal_window_options){.title = "photos"}, &err);     // watches its display
 *   if (!w) return err.code;
 *   while (cal_display_look(w)) cal_display_wait(w, 20);
 *   cal_window_close(w);
 *
 * Xlib ends the program where the X server goes away (it was killed, ssh -X was cut): what was not kept by then would be
 * lost without a word. Here that is noticed before Xlib reads from it, and where Xlib is the first to see it, its calls
 * fail and the program goes on. From then on those of SDL's functions that would touch the display do nothing: what SDL
 * holds of it stays until the program ends.
 *
 * uses: base
 */
#ifndef CAL_WINDOW_DISPLAY_H
#define CAL_WINDOW_DISPLAY_H

#include <stdbool.h>

#include "core/window/window.h"

/* Does nothing on displays other than X11, and where Xlib is older than 1.7 (November 2020). */
void cal_display_watch(cal_window *w);
void cal_display_forget(cal_window *w);

bool cal_display_gone(void);          /* for good: no other window can be opened then */
bool cal_display_look(cal_window *w); /* look; false when it is gone */

/* Wait until the display has something to say, at most so long. */
void cal_display_wait(cal_window *w, int milliseconds);

#endif
