/* letters.h - text in a window.
 *
 *   static void label(cal_window *w, const char *text) {
 *     cal_letter_style style = {.size = 14, .bold = true};
 *     double end = cal_letters_draw(w, 10, 10, text, strlen(text), &style, 0xffffffff);     // the line box begins at y = 10
 *     cal_canvas_fill(w, 10 + end, 10, 1, cal_letters_height(w, &style), 0x80c0ffff);       // a cursor behind it
 *   }
 *   cal_error err = {0};
 *   cal_window *w = cal_window_open(&(cal_window_options){.title = "words"}, &err);
 *   if (w) cal_canvas_begin(w, 0x202020ff), label(w, "37 pictures"), cal_canvas_show(w);
 *   cal_window_close(w);
 *
 * One line, without wrapping. Each code point comes from the first font of a chain that has it (fonts.h); what none has is a box
 * with its number in hex. Controls, what turns the direction or is nothing to be seen, and bytes that are no UTF-8, are boxes too; a tab
 * goes to the next multiple of four spaces; marks stand on the letter before them; joiners and variation selectors take no room where
 * they are needed. Not shaped: Arabic letters do not join, Indic syllables are not put together, writing from right to left is shown
 * from left to right, pairs are not kerned.
 * Advances are whole device pixels: what is measured is what is drawn.
 * uses: base
 */
#ifndef CAL_WINDOW_LETTERS_H
#define CAL_WINDOW_LETTERS_H

#include <stdint.h>

#include "core/window/window.h"

typedef struct {
  double size; /* units: of the em; taken within 4 .. 256 */
  bool bold, mono;
} cal_letter_style;

/* Returns the advance in units. */
double cal_letters_draw(cal_window *w, double x, double y, const char *text, size_t size, const cal_letter_style *style, uint32_t color);

/* The x of every cursor position, from 0: one more than code points (a bad byte counts as one). `out` has room for size + 1 numbers;
 * returns how many were written. */
size_t cal_letters_advances(cal_window *w, const char *text, size_t size, const cal_letter_style *style, double *out);

double cal_letters_height(cal_window *w, const cal_letter_style *style); /* of the line box */
size_t cal_letters_bytes(const cal_window *w);                           /* of the pages that hold drawn letters: at most 16 MB */

#endif
