#include "core/image/text.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "core/base/buffer.h"
#include "core/image/draw.h"
#include "core/image/font.h"

enum { SEGMENTS = 256, CURVE = 8 /* segments of one bend */ };

typedef struct {
  double x, y;
} point;

typedef struct {
  point from[SEGMENTS], to[SEGMENTS];
  int count;
} outline;

static void add(outline *o, point a, point b) {
  if (o->count < SEGMENTS) o->from[o->count] = a, o->to[o->count++] = b;
}

static point middle(point a, point b) { return (point){(a.x + b.x) / 2, (a.y + b.y) / 2}; }

static void bend(outline *o, point a, point toward, point b) {
  point last = a;
  for (int i = 1; i <= CURVE; i++) {
    const double t = (double)i / CURVE, u = 1 - t;
    const point next = {u * u * a.x + 2 * u * t * toward.x + t * t * b.x, u * u * a.y + 2 * u * t * toward.y + t * t * b.y};
    add(o, last, next);
    last = next;
  }
}

/* One stroke of font.h's little language; returns where it ends. */
static const char *stroke(outline *o, const char *s) {
  const char kind = *s++;
  point p[16];
  int n = 0;
  for (; s[0] && s[0] != ' ' && n < 16; s += 2) p[n++] = (point){s[0] - 'a', s[1] - 'a'};
  if (kind == '.') add(o, p[0], p[0]);
  else if (kind == '-')
    for (int i = 0; i + 1 < n; i++) add(o, p[i], p[i + 1]);
  else if (kind == '~')
    for (int i = 1; i + 1 < n; i++) bend(o, i == 1 ? p[0] : middle(p[i - 1], p[i]), p[i], i + 2 == n ? p[n - 1] : middle(p[i], p[i + 1]));
  else
    for (int i = 0; i < n; i++) bend(o, middle(p[(i + n - 1) % n], p[i]), p[i], middle(p[i], p[(i + 1) % n]));
  return *s == ' ' ? s + 1 : s;
}

static double distance_squared(point p, point a, point b) {
  const double dx = b.x - a.x, dy = b.y - a.y, length = dx * dx + dy * dy;
  double t = length > 0 ? ((p.x - a.x) * dx + (p.y - a.y) * dy) / length : 0;
  t = t < 0 ? 0 : t > 1 ? 1 : t;
  const double ex = p.x - a.x - t * dx, ey = p.y - a.y - t * dy;
  return ex * ex + ey * ey;
}

/* All strokes of a glyph are one shape: each pixel takes its distance to the nearest, so that crossings are not darker. */
static void draw_glyph(cal_image *im, double x, double y, const char *glyph, double unit, double radius, const unsigned char color[4]) {
  outline o = {.count = 0};
  for (const char *s = glyph + 1; *s;) s = stroke(&o, s);
  const double reach = radius + 1, right = x + (glyph[0] - 'a') * unit + reach, bottom = y + 18 * unit + reach;
  const int x_first = (int)fmax(0, floor(x - reach)), x_last = (int)fmin(im->width - 1, right);
  const int y_first = (int)fmax(0, floor(y - reach)), y_last = (int)fmin(im->height - 1, bottom);
  for (int i = 0; i < o.count; i++) {
    o.from[i] = (point){x + o.from[i].x * unit, y + o.from[i].y * unit};
    o.to[i] = (point){x + o.to[i].x * unit, y + o.to[i].y * unit};
  }
  for (int py = y_first; py <= y_last; py++)
    for (int px = x_first; px <= x_last; px++) {
      double cover = 0;
      for (int i = 0; i < o.count; i++) {
        const point a = o.from[i], b = o.to[i];
        const double wide = a.x == b.x && a.y == b.y ? radius * 1.25 : radius; /* dots a little larger */
        const double d = sqrt(distance_squared((point){px + 0.5, py + 0.5}, a, b));
        cover = fmax(cover, wide + 0.5 - d);
      }
      if (cover > 0) cal_draw_blend(cal_image_at(im, px, py), im->channels, color, fmin(cover, 1) * fmin(2 * radius, 1));
    }
}

static double advance(int code_point, double unit) { return (cal_font_glyph(code_point)[0] - 'a' + CAL_FONT_SPACING) * unit; }

double cal_text_width(const char *text, double size) {
  const size_t length = strlen(text);
  const double unit = size / CAL_FONT_LINE;
  double widest = 0, width = 0;
  for (size_t at = 0; at < length;) {
    const int32_t c = cal_utf8_next(text, length, &at);
    width = c == '\n' ? 0 : width + advance(c, unit);
    widest = fmax(widest, width);
  }
  return widest;
}

cal_status cal_draw_text(cal_image *im, double x, double y, const char *text, double size, const unsigned char color[4], cal_error *err) {
  if (!(size > 0 && size <= 4096)) return cal_fail(err, CAL_E_ARG, "text: a size of %g pixels; it goes to 4096", size);
  if (!(fabs(x) <= 1e7 && fabs(y) <= 1e7)) return cal_fail(err, CAL_E_ARG, "text: a place at %g, %g", x, y);
  const size_t length = strlen(text);
  const double unit = size / CAL_FONT_LINE, radius = (size * 0.07 + 0.35) / 2, start = x + CAL_FONT_SPACING * unit / 2;
  double at_x = start, line = y + unit;
  for (size_t at = 0; at < length;) {
    const int32_t c = cal_utf8_next(text, length, &at);
    if (c == '\n') {
      at_x = start;
      line += 1.25 * size;
      continue;
    }
    /* The baseline goes through the middle of a pixel: small letters stand crisp. */
    const double top = floor(line + CAL_FONT_BASELINE * unit) + 0.5 - CAL_FONT_BASELINE * unit;
    if (at_x < im->width && line < im->height) draw_glyph(im, at_x, top, cal_font_glyph(c), unit, radius, color);
    at_x += advance(c, unit);
  }
  return CAL_OK;
}
