/* canvas.h - a frame: rectangles, lines, pictures.
 *
 *   static void sheet(cal_window *w, cal_texture *cat) {
 *     cal_canvas_begin(w, 0x202020ff);
 *     cal_canvas_round(w, 10, 10, 220, 170, 6, 0x303030ff);
 *     cal_canvas_picture(w, cat, &(cal_area){20, 20, 200, 150}, NULL);
 *     cal_canvas_frame(w, 20, 20, 200, 150, 0xffffffff, 1);
 *     cal_canvas_show(w);
 *   }
 *   cal_error err = {0};
 *   cal_window *w = cal_window_open(&(cal_window_options){.title = "cat"}, &err);
 *   cal_image *im = cal_image_new(200, 150, 3, &err);
 *   cal_texture *cat = w && im ? cal_texture_new(w, im, &err) : NULL;
 *   if (cat) sheet(w, cat);
 *   cal_texture_free(cat);
 *   cal_image_free(im);
 *   cal_window_close(w);
 *
 * Coordinates are units, rounded to device pixels edge by edge; colours are 0xRRGGBBAA, straight alpha, laid over what is there.
 * Outside of begin and show, and while nothing can be seen (an icon, a size of zero), drawing does nothing. Where the display has no
 * memory for what is drawn to be read back, there are frames all the same, but no screenshots.
 * uses: base, image
 */
#ifndef CAL_WINDOW_CANVAS_H
#define CAL_WINDOW_CANVAS_H

#include <stddef.h>
#include <stdint.h>

#include "core/window/window.h"

void cal_canvas_begin(cal_window *w, uint32_t color);
void cal_canvas_show(cal_window *w);
bool cal_canvas_begun(const cal_window *w);

void cal_canvas_fill(cal_window *w, double x, double y, double width, double height, uint32_t color);
/* The frame lies inside the rectangle; thicknesses are at least one device pixel. */
void cal_canvas_frame(cal_window *w, double x, double y, double width, double height, uint32_t color, double thickness);
void cal_canvas_round(cal_window *w, double x, double y, double width, double height, double radius, uint32_t color);

/* `count` points x, y, x, y ... Level and upright lines are sharp, others smooth. */
void cal_canvas_lines(cal_window *w, const double *xy, size_t count, uint32_t color, double thickness);

typedef struct {
  double x, y, width, height;
} cal_area;

void cal_canvas_clip(cal_window *w, const cal_area *area); /* NULL: everything. A new frame begins with that. */

/* A picture in the display's memory: 4 bytes a pixel. It may outlive its window, empty. Larger ones than the renderer's largest texture
 * are kept in parts, all pixels. CAL_E_MEMORY, CAL_E_DEVICE. */
typedef struct cal_texture cal_texture;
cal_texture *cal_texture_new(cal_window *w, const cal_image *im, cal_error *err);
void cal_texture_free(cal_texture *t);
void cal_texture_size(const cal_texture *t, int *width, int *height);
size_t cal_texture_bytes(const cal_texture *t); /* 0 once it is lost */

/* `t`, or the part `from` of it (in its pixels), scaled to `to`. False: the texture is lost (a display that started anew, told by an
 * event; a closed window) and must be made again from its picture. Smaller than half, pictures are better scaled before. */
bool cal_canvas_picture(cal_window *w, cal_texture *t, const cal_area *to, const cal_area *from);

#endif
