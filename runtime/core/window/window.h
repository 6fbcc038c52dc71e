/* window.h - one window on the screen.
 *
 *   cal_error err = {0};
 *   cal_window *w = cal_window_open(&(cal_window_options){.title = "photos", .width = 1280, .height = 800}, &err);
 *   if (!w) return err.code;                                  // CAL_E_MISSING "there is no display ..."
 *   double width, height, scale;
 *   cal_window_size(w, &width, &height, &scale);
 *   cal_window_close(w);
 *
 * A program has at most one, and all calls come from one thread. Sizes and places are in units: a unit is `scale` device pixels (1 on
 * plain displays, 2 on dense ones; CALOTYPE_SCALE = 0.5 .. 4 overrides what the display says). What is drawn: canvas.h, letters.h; what
 * people do: event.h. SDL2 and SDL2_ttf are opened here, on first use.
 * uses: base, image
 */
#ifndef CAL_WINDOW_WINDOW_H
#define CAL_WINDOW_WINDOW_H

#include <stdbool.h>

#include "core/base/error.h"
#include "core/image/image.h"

typedef struct cal_window cal_window;

typedef struct {
  const char *title;                /* UTF-8 */
  double width, height;             /* units; 0: 1280 x 800. No larger than the display, */
  double least_width, least_height; /* nor is the least size; 0: 320 x 240 */
} cal_window_options;

/* CAL_E_MISSING: no SDL2, no SDL2_ttf (the message has the package), no display (it has what to do instead). CAL_E_BUSY: there is a
 * window. CAL_E_ARG: sizes out of 1 .. 16384, or a CALOTYPE_SCALE that is none. CAL_E_DEVICE: the display refuses. */
cal_window *cal_window_open(const cal_window_options *options, cal_error *err);
void cal_window_close(cal_window *w);

/* Whether a window could be opened, without opening one: CAL_E_MISSING with the sentence when not. */
cal_status cal_window_display(cal_error *err);

void cal_window_size(const cal_window *w, double *width, double *height, double *scale); /* 0 x 0 while it is an icon */
void cal_window_title(cal_window *w, const char *title);
const char *cal_window_renderer(const cal_window *w); /* "opengl", "metal", "software" ... */

/* Bytes that are no UTF-8 become U+FFFD, on both ways. CAL_E_LIMIT: more than CAL_CLIPBOARD_MOST bytes. CAL_E_DEVICE. */
enum { CAL_CLIPBOARD_MOST = 8 << 20 };
cal_status cal_window_clipboard_set(cal_window *w, const char *text, cal_error *err);
char *cal_window_clipboard(cal_window *w, cal_error *err); /* owned; "" when there is no text */

typedef enum { CAL_CURSOR_ARROW, CAL_CURSOR_HAND, CAL_CURSOR_TEXT, CAL_CURSOR_MOVE, CAL_CURSOR_WAIT, CAL_CURSORS } cal_cursor;
void cal_window_cursor(cal_window *w, cal_cursor cursor);

cal_status cal_window_fullscreen(cal_window *w, bool on, cal_error *err);
bool cal_window_is_fullscreen(const cal_window *w);

/* Text input on, with the place of the cursor, where an input method shows its list; or off. Off at first. */
void cal_window_typing(cal_window *w, bool on, double x, double y, double width, double height);

/* What was shown last, in device pixels, 3 channels; owned. CAL_E_NOTFOUND before the first frame, CAL_E_BUSY inside one, CAL_E_DEVICE
 * where the display cannot give it back. */
cal_image *cal_window_screenshot(cal_window *w, cal_error *err);

#endif
