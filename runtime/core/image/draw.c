#include "core/image/draw.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/interrupt.h"
#include "core/base/memory.h"

enum { LINES = 16, MUCH = 1 << 24 }; /* lines per pixel row; corners looked at between two looks for Ctrl-C, some 20 ms */
static const double far = 1e7;       /* pixels */

void cal_draw_blend(unsigned char *pixel, int channels, const unsigned char color[4], double coverage) {
  const double a = coverage * color[3] / 255;
  if (a <= 0) return;
  if (channels == 1) {
    const double gray = (0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]);
    pixel[0] = (unsigned char)(pixel[0] + (gray - pixel[0]) * a + 0.5);
  } else if (channels == 3) {
    for (int k = 0; k < 3; k++) pixel[k] = (unsigned char)(pixel[k] + (color[k] - pixel[k]) * a + 0.5);
  } else { /* straight alpha: source over destination */
    const double under = pixel[3] / 255.0 * (1 - a), sum = a + under;
    for (int k = 0; k < 3; k++) pixel[k] = (unsigned char)((color[k] * a + pixel[k] * under) / sum + 0.5);
    pixel[3] = (unsigned char)(sum * 255 + 0.5);
  }
}

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void add_span(double *cover, double a, double b, int width) {
  if (a < 0) a = 0;
  if (b > width) b = width;
  if (!(a < b)) return;
  const int first = (int)a, last = b >= width ? width - 1 : (int)b;
  if (first == last) {
    cover[first] += b - a;
    return;
  }
  cover[first] += first + 1 - a;
  for (int x = first + 1; x < last; x++) cover[x] += 1;
  cover[last] += b - last;
}

cal_status cal_draw_polygon(cal_image *im, const double *xy, size_t points, const unsigned char color[4], cal_error *err) {
  if (points < 3) return CAL_OK;
  double left = xy[0], right = xy[0], top = xy[1], bottom = xy[1];
  for (size_t i = 0; i < points; i++) {
    const double x = xy[2 * i], y = xy[2 * i + 1];
    if (!(fabs(x) <= far && fabs(y) <= far))
      return cal_fail(err, CAL_E_ARG, "draw: point %zu at %g, %g; coordinates go to %g", i + 1, x, y, far);
    left = fmin(left, x), right = fmax(right, x), top = fmin(top, y), bottom = fmax(bottom, y);
  }
  if (right <= 0 || bottom <= 0 || left >= im->width || top >= im->height) return CAL_OK;
  const int x_first = left < 0 ? 0 : (int)left, x_last = right >= im->width ? im->width - 1 : (int)right;
  const int y_first = top < 0 ? 0 : (int)top, y_last = bottom >= im->height ? im->height - 1 : (int)bottom;
  double *cover = cal_alloc_zero((size_t)im->width + points, sizeof *cover, err);
  if (!cover) return CAL_E_MEMORY;
  double *crossings = cover + im->width;
  cal_status status = CAL_OK;
  size_t work = 0;
  for (int y = y_first; y <= y_last && !status; y++) {
    for (int x = x_first; x <= x_last; x++) cover[x] = 0;
    for (int line = 0; line < LINES; line++) {
      const double at = y + (line + 0.5) / LINES;
      size_t count = 0;
      for (size_t i = 0, j = points - 1; i < points; j = i++) {
        const double x1 = xy[2 * j], y1 = xy[2 * j + 1], x2 = xy[2 * i], y2 = xy[2 * i + 1];
        if ((y1 <= at) != (y2 <= at)) crossings[count++] = x1 + (x2 - x1) * (at - y1) / (y2 - y1);
      }
      if (count > 2) qsort(crossings, count, sizeof *crossings, ascending);
      for (size_t i = 0; i + 1 < count; i += 2)
        add_span(cover, fmin(crossings[i], crossings[i + 1]), fmax(crossings[i], crossings[i + 1]), im->width);
    }
    for (int x = x_first; x <= x_last; x++)
      if (cover[x] > 0) cal_draw_blend(cal_image_at(im, x, y), im->channels, color, fmin(cover[x] / LINES, 1));
    if ((work += LINES * points) < MUCH) continue;
    work = 0;
    status = cal_interrupt_check(err);
  }
  cal_free(cover);
  return status;
}

cal_status cal_draw_ellipse(cal_image *im, double x, double y, double rx, double ry, double angle, const unsigned char color[4],
                            cal_error *err) {
  if (!(rx >= 0 && rx <= far && ry >= 0 && ry <= far && fabs(angle) <= far))
    return cal_fail(err, CAL_E_ARG, "draw: radii of %g and %g, angle %g", rx, ry, angle);
  /* So many corners that no chord is further than 1/100 pixel from the curve. */
  const size_t points = 12 + (size_t)ceil(23 * sqrt(fmax(rx, ry)));
  double *xy = cal_alloc(points * 2 * sizeof *xy, err);
  if (!xy) return CAL_E_MEMORY;
  const double c = cos(angle), s = sin(angle);
  for (size_t i = 0; i < points; i++) {
    const double t = 2 * M_PI * (double)i / (double)points, u = rx * cos(t), v = ry * sin(t);
    xy[2 * i] = x + u * c - v * s;
    xy[2 * i + 1] = y + u * s + v * c;
  }
  cal_status status = cal_draw_polygon(im, xy, points, color, err);
  cal_free(xy);
  return status;
}

cal_status cal_draw_circle(cal_image *im, double x, double y, double radius, const unsigned char color[4], cal_error *err) {
  return cal_draw_ellipse(im, x, y, radius, radius, 0, color, err);
}

cal_status cal_draw_line(cal_image *im, double x1, double y1, double x2, double y2, double width, const unsigned char color[4],
                         cal_error *err) {
  const double dx = x2 - x1, dy = y2 - y1, length = hypot(dx, dy);
  if (!(width >= 0 && width <= far)) return cal_fail(err, CAL_E_ARG, "draw: a line %g pixels wide", width);
  if (length == 0) return CAL_OK;
  const double nx = -dy / length * width / 2, ny = dx / length * width / 2;
  return cal_draw_polygon(im, (double[]){x1 + nx, y1 + ny, x2 + nx, y2 + ny, x2 - nx, y2 - ny, x1 - nx, y1 - ny}, 4, color, err);
}

cal_status cal_draw_rect(cal_image *im, double x, double y, double width, double height, const unsigned char color[4], cal_error *err) {
  return cal_draw_polygon(im, (double[]){x, y, x + width, y, x + width, y + height, x, y + height}, 4, color, err);
}

void cal_draw_paste(cal_image *im, const cal_image *other, int x, int y) {
  const long long left = x < 0 ? -(long long)x : 0, top = y < 0 ? -(long long)y : 0;
  const long long right = (long long)im->width - x < other->width ? (long long)im->width - x : other->width;
  const long long bottom = (long long)im->height - y < other->height ? (long long)im->height - y : other->height;
  for (long long row = top; row < bottom; row++) {
    if (left >= right) return;
    const unsigned char *from = cal_image_at(other, (int)left, (int)row);
    unsigned char *to = cal_image_at(im, (int)(x + left), (int)(y + row));
    if (other->channels == im->channels && other->channels != 4) {
      memcpy(to, from, (size_t)(right - left) * (size_t)im->channels);
      continue;
    }
    for (long long i = left; i < right; i++, from += other->channels, to += im->channels) {
      const unsigned char g = from[0];
      const unsigned char color[4] = {g, other->channels == 1 ? g : from[1], other->channels == 1 ? g : from[2],
                                      other->channels == 4 ? from[3] : 255};
      cal_draw_blend(to, im->channels, color, 1);
    }
  }
}
