/* parts.h - what the files of the window share. Not for others.
 *
 *   cal_window w = {.scale = 1.25, .pixel_width = 1600, .pixel_height = 1000};
 *   int left = cal_window_snap(&w, 8.5), right = cal_window_snap(&w, 8.5 + 20);      // neighbours meet: edges are rounded, not widths
 *
 * Drawing speaks units; device pixels are units * scale; SDL's own window coordinates are device pixels / ratio.
 * uses: base
 */
#ifndef CAL_WINDOW_PARTS_H
#define CAL_WINDOW_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/window/canvas.h"
#include "core/window/event.h"
#include "core/window/fonts.h"
#include "core/window/letters.h"
#include "core/window/sdl.h"
#include "core/window/window.h"

typedef struct cal_letters cal_letters; /* letters.c */

enum { CAL_SIDE_MOST = 16384 }; /* of one texture, whatever the renderer can */

struct cal_window {
  SDL_Window *window;
  SDL_Renderer *renderer;
  SDL_Texture *target; /* what is drawn and what was shown last: outlives SDL_RenderPresent, so it can be read back. NULL: no memory */
  int target_width, target_height;
  int pixel_width, pixel_height; /* 0: nothing can be seen, frames do nothing */
  double ratio;                  /* device pixels per SDL window coordinate */
  double scale;                  /* device pixels per unit */
  double wish;                   /* CALOTYPE_SCALE; 0: as the display says */
  int largest;                   /* side of a texture */
  bool drawing;                  /* between begin and show, with something to draw on */
  bool begun;                    /* between begin and show */
  bool shown;                    /* a whole frame; the target, if there is one, holds it */
  bool typing;
  SDL_Rect typed_at; /* where the input method was told that the cursor is */
  bool composing;    /* an input method has begun what was not typed yet */
  bool chord;        /* the last key was a shortcut: the letter that SDL may send after it is none */
  unsigned mods;     /* KMOD_ bits, as of the last event taken */
  int signals;       /* levels of Ctrl-C that were told */
  int connection;    /* to the X server; -1: none that can be waited for */
  bool lost;         /* that the display is gone was told */
  Uint32 quit_event;
  SDL_Cursor *cursors[CAL_CURSORS];
  struct cal_texture *textures;
  cal_letters *letters;
};

static inline int cal_window_snap(const cal_window *w, double v) {
  const double pixels = v * w->scale, most = 1 << 24;
  return !(pixels > -most) ? -(1 << 24) : pixels > most ? 1 << 24 : (int)(pixels + (pixels < 0 ? -0.5 : 0.5));
}

/* Displays' scales are multiples of 1/120, as Wayland counts; a window of whole pixels has only nearly that many for each of its
 * coordinates, and letters would change their size while it is drawn larger. */
static inline double cal_window_scale(double ratio) { return (double)(int)(ratio * 120 + 0.5) / 120; }

/* The sizes as they are now; true when they are others than before. */
bool cal_window_measure(cal_window *w);

/* An owned copy in which each byte that is no UTF-8 is U+FFFD: other programs' texts are taken with anything in them. */
char *cal_window_utf8(const char *text, cal_error *err);

/* The renderer's textures are gone (a driver that started anew): pictures stay lost, letters come back by themselves. */
void cal_window_lose_textures(cal_window *w);
void cal_window_lose_target(cal_window *w);

cal_letters *cal_letters_open(cal_error *err);
void cal_letters_lose(cal_letters *letters);
cal_fonts *cal_letters_fonts(cal_letters *letters); /* borrowed: tests take fonts away */
void cal_letters_close(cal_letters *letters);

/* A quarter disc's whole: a white disc of `radius` device pixels on one of the letters' pages. NULL: no memory. */
SDL_Texture *cal_letters_disc(cal_window *w, int radius, SDL_Rect *where);

void cal_window_color(SDL_Texture *texture, uint32_t color); /* modulates white */

#endif
