/* draw.h - anti-aliased shapes.
 *
 *   cal_error err = {0};
 *   cal_image *im = cal_image_new(64, 64, 3, &err);
 *   const unsigned char red[4] = {200, 30, 30, 255};
 *   const double triangle[] = {32, 4, 60, 60, 4, 60};
 *   if (im) cal_draw_polygon(im, triangle, 3, red, &err);
 *   if (im) cal_draw_circle(im, 32, 44, 8.5, (unsigned char[4]){255, 255, 255, 128}, &err);
 *   cal_image_free(im);
 *
 * Coordinates are pixels; pixel (x, y) covers the square from x to x + 1 and y to y + 1. Colours are red, green, blue,
 * alpha; a one-channel picture gets their gray. What lies outside the picture is cut off. CAL_E_ARG: a coordinate that is
 * not a number or beyond ten million pixels.
 * uses: base
 */
#ifndef CAL_IMAGE_DRAW_H
#define CAL_IMAGE_DRAW_H

#include "core/image/image.h"

/* Even-odd filling: where a polygon covers itself, it is empty. Exact in x, 16 lines per pixel in y. `xy` holds `points` pairs.
 * CAL_E_INTERRUPT only in the middle of much work (a million corner rows): at Ctrl-C a step that draws small things is to be finished,
 * and its pictures must be the same. */
cal_status cal_draw_polygon(cal_image *im, const double *xy, size_t points, const unsigned char color[4], cal_error *err);

cal_status cal_draw_circle(cal_image *im, double x, double y, double radius, const unsigned char color[4], cal_error *err);

/* `angle` turns the ellipse clockwise on the screen, in radians. */
cal_status cal_draw_ellipse(cal_image *im, double x, double y, double rx, double ry, double angle, const unsigned char color[4],
                            cal_error *err);

/* Ends are cut square. */
cal_status cal_draw_line(cal_image *im, double x1, double y1, double x2, double y2, double width, const unsigned char color[4],
                         cal_error *err);
cal_status cal_draw_rect(cal_image *im, double x, double y, double width, double height, const unsigned char color[4], cal_error *err);

/* Lay `other` over `im` with its upper left corner at x, y; its alpha counts. */
void cal_draw_paste(cal_image *im, const cal_image *other, int x, int y);

/* Blend `color` into one pixel; `coverage` from 0 to 1 scales its alpha. */
void cal_draw_blend(unsigned char *pixel, int channels, const unsigned char color[4], double coverage);

#endif
