/* event.h - what a person does to a window.
 *
 *   cal_error err = {0};
 *   cal_window *w = cal_window_open(&(cal_window_options){.title = "keys"}, &err);
 *   cal_event e;
 *   for (bool on = w != NULL; on;) {
 *     if (!cal_event_next(w, 1.0, &e)) continue;              // a second without anything
 *     on = e.kind != CAL_EVENT_QUIT;
 *     if (e.kind == CAL_EVENT_KEY) printf("%s\n", e.key);     // "left", "a", "page up"
 *     cal_event_free(&e);
 *   }
 *   cal_window_close(w);
 *
 * All events come in their order. Those that are pushed take SDL's own queue and come back as if a person had made them.
 * uses: base
 */
#ifndef CAL_WINDOW_EVENT_H
#define CAL_WINDOW_EVENT_H

#include "core/window/window.h"

typedef enum {
  CAL_EVENT_KEY,     /* a key went down: key, modifiers, again */
  CAL_EVENT_TEXT,    /* text was typed, while typing is on: text */
  CAL_EVENT_EDITING, /* an input method's text so far: text, start, length (code points) */
  CAL_EVENT_DOWN,    /* a mouse button: x, y, button, clicks, modifiers */
  CAL_EVENT_UP,
  CAL_EVENT_MOVE,    /* x, y, dx, dy, button (the first one held, or none), modifiers */
  CAL_EVENT_WHEEL,   /* x, y, dx, dy (lines; away from the person is positive), modifiers */
  CAL_EVENT_PATH,    /* a file was dropped: text */
  CAL_EVENT_DROP,    /* a text was dropped: text */
  CAL_EVENT_DROPPED, /* that was all of the drop */
  CAL_EVENT_RESIZE,  /* width, height */
  CAL_EVENT_FOCUS,   /* on */
  CAL_EVENT_EXPOSE,  /* draw again */
  CAL_EVENT_RESET,   /* textures are lost: make them again, draw again */
  CAL_EVENT_QUIT,    /* the window is to be closed; signal: by Ctrl-C in the terminal; gone: the display went away, nothing can be seen any
                        more */
} cal_event_kind;

typedef enum { CAL_BUTTON_NONE, CAL_BUTTON_LEFT, CAL_BUTTON_MIDDLE, CAL_BUTTON_RIGHT } cal_button;

typedef struct {
  cal_event_kind kind;
  bool ctrl, shift, alt; /* on macOS the command key counts as ctrl */
  bool again, on, signal, gone;
  char key[32]; /* what is printed on it, as SDL_GetKeyName in small letters; see below */
  char *text;   /* owned */
  cal_button button;
  int clicks, start, length;
  double x, y, dx, dy, width, height; /* units */
} cal_event;

/* Keys have the names that they have in the layout: Ctrl+Z is where the z is. Where the letters are not Latin ones, the names are those of
 * a US keyboard's places. The keypad's keys are "home", "up" ... while NumLock is off. AltGr (on macOS Option) is no alt while typing is
 * on: what it writes comes as text. What Ctrl and Alt make of letters is never text. */

/* Wait at most `seconds` (0: only look; less than 0: as long as it takes). Ctrl-C is seen within 20 ms. */
bool cal_event_next(cal_window *w, double seconds, cal_event *e);
void cal_event_free(cal_event *e); /* its text */

/* CAL_E_ARG: a key that there is not. CAL_E_DEVICE: the queue is full. A pushed resize changes the window's size. */
cal_status cal_event_push(cal_window *w, const cal_event *e, cal_error *err);

#endif
