#include "core/window/canvas.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/window/parts.h"

void cal_window_color(SDL_Texture *texture, uint32_t color) {
  sdl.SetTextureColorMod(texture, (Uint8)(color >> 24), (Uint8)(color >> 16), (Uint8)(color >> 8));
  sdl.SetTextureAlphaMod(texture, (Uint8)color);
}

static void set_color(cal_window *w, uint32_t color) {
  sdl.SetRenderDrawBlendMode(w->renderer, (color & 0xff) == 0xff ? SDL_BLENDMODE_NONE : SDL_BLENDMODE_BLEND);
  sdl.SetRenderDrawColor(w->renderer, (Uint8)(color >> 24), (Uint8)(color >> 16), (Uint8)(color >> 8), (Uint8)color);
}

/* --- Frames -------------------------------------------------------------------------------------------------------- */
/* Drawn is on a texture, which can be read back; where the display has no memory for it, on the window itself. */
static bool choose_target(cal_window *w) {
  if (w->pixel_width < 1) return false;
  if (!w->target || w->target_width != w->pixel_width || w->target_height != w->pixel_height) {
    cal_window_lose_target(w);
    if (w->pixel_width <= w->largest && w->pixel_height <= w->largest)
      w->target = sdl.CreateTexture(w->renderer, SDL_PIXELFORMAT_ARGB8888, SDL_TEXTUREACCESS_TARGET, w->pixel_width, w->pixel_height);
    if (w->target) sdl.SetTextureBlendMode(w->target, SDL_BLENDMODE_NONE);
    w->target_width = w->pixel_width;
    w->target_height = w->pixel_height;
  }
  return sdl.SetRenderTarget(w->renderer, w->target) == 0;
}

void cal_canvas_begin(cal_window *w, uint32_t color) {
  w->begun = true;
  w->drawing = choose_target(w);
  if (!w->drawing) return;
  w->shown = false;
  sdl.RenderSetClipRect(w->renderer, NULL);
  set_color(w, color | 0xff);
  sdl.RenderClear(w->renderer);
}

void cal_canvas_show(cal_window *w) {
  if (w->drawing) {
    sdl.RenderSetClipRect(w->renderer, NULL);
    sdl.SetRenderTarget(w->renderer, NULL);
    if (w->target) sdl.RenderCopy(w->renderer, w->target, NULL, NULL);
    sdl.RenderPresent(w->renderer);
    w->shown = true;
  }
  w->drawing = w->begun = false;
}

bool cal_canvas_begun(const cal_window *w) { return w->begun; }

/* --- Rectangles ---------------------------------------------------------------------------------------------------- */
static SDL_Rect snapped(const cal_window *w, double x, double y, double width, double height) {
  const int left = cal_window_snap(w, x), top = cal_window_snap(w, y);
  const int wide = cal_window_snap(w, x + width) - left, high = cal_window_snap(w, y + height) - top;
  return (SDL_Rect){left, top, wide > 0 ? wide : 0, high > 0 ? high : 0};
}

static int pixels_thick(const cal_window *w, double thickness) {
  const int pixels = cal_window_snap(w, thickness);
  return pixels < 1 ? 1 : pixels;
}

static void fill_pixels(cal_window *w, SDL_Rect r) {
  if (r.w > 0 && r.h > 0) sdl.RenderFillRect(w->renderer, &r);
}

void cal_canvas_fill(cal_window *w, double x, double y, double width, double height, uint32_t color) {
  if (!w->drawing) return;
  set_color(w, color);
  fill_pixels(w, snapped(w, x, y, width, height));
}

void cal_canvas_frame(cal_window *w, double x, double y, double width, double height, uint32_t color, double thickness) {
  if (!w->drawing) return;
  const SDL_Rect r = snapped(w, x, y, width, height);
  const int t = pixels_thick(w, thickness);
  set_color(w, color);
  if (2 * t >= r.w || 2 * t >= r.h) {
    fill_pixels(w, r);
    return;
  }
  fill_pixels(w, (SDL_Rect){r.x, r.y, r.w, t});
  fill_pixels(w, (SDL_Rect){r.x, r.y + r.h - t, r.w, t});
  fill_pixels(w, (SDL_Rect){r.x, r.y + t, t, r.h - 2 * t});
  fill_pixels(w, (SDL_Rect){r.x + r.w - t, r.y + t, t, r.h - 2 * t});
}

void cal_canvas_round(cal_window *w, double x, double y, double width, double height, double radius, uint32_t color) {
  if (!w->drawing) return;
  const SDL_Rect r = snapped(w, x, y, width, height);
  const int half = (r.w < r.h ? r.w : r.h) / 2;
  int c = cal_window_snap(w, radius);
  if (c > half) c = half;
  SDL_Rect disc;
  SDL_Texture *page = c > 0 ? cal_letters_disc(w, c, &disc) : NULL; /* may be smaller than asked for: at most 128 pixels */
  if (page) c = disc.w / 2;
  else c = 0;
  set_color(w, color);
  fill_pixels(w, (SDL_Rect){r.x + c, r.y, r.w - 2 * c, c});
  fill_pixels(w, (SDL_Rect){r.x, r.y + c, r.w, r.h - 2 * c});
  fill_pixels(w, (SDL_Rect){r.x + c, r.y + r.h - c, r.w - 2 * c, c});
  if (!page) return;
  cal_window_color(page, color);
  for (int k = 0; k < 4; k++) {
    const int right = k & 1, low = k >> 1;
    const SDL_Rect from = {disc.x + right * c, disc.y + low * c, c, c};
    const SDL_Rect to = {right ? r.x + r.w - c : r.x, low ? r.y + r.h - c : r.y, c, c};
    sdl.RenderCopy(w->renderer, page, &from, &to);
  }
}

/* --- Lines. SDL's software renderer moves triangles to whole pixels, which breaks thin lines up: what a line covers of each pixel is
 * found here, column by column (row by row for steep ones), and drawn as rectangles on whole pixels, alike by every renderer. ------ */
enum { RECTANGLES = 256 };

typedef struct {
  cal_window *window;
  uint32_t color;
  bool steep; /* x and y have changed places */
  int count;
  SDL_Vertex corners[4 * RECTANGLES];
  int indices[6 * RECTANGLES];
} strip;

static void flush(strip *s) {
  if (s->count > 0) {
    sdl.SetRenderDrawBlendMode(s->window->renderer, SDL_BLENDMODE_BLEND);
    sdl.RenderGeometry(s->window->renderer, NULL, s->corners, 4 * s->count, s->indices, 6 * s->count);
  }
  s->count = 0;
}

/* A column of pixels at `x`, rows `top` .. `bottom`-1, of which `cover` is covered. */
static void add(strip *s, int x, int top, int bottom, double cover) {
  const Uint8 alpha = (Uint8)((s->color & 0xff) * cover + 0.5);
  if (top >= bottom || !alpha) return;
  if (s->count == RECTANGLES) flush(s);
  const int order[6] = {0, 1, 2, 0, 2, 3}, first = 4 * s->count;
  for (int k = 0; k < 4; k++) {
    const float along = (float)(x + (k == 1 || k == 2)), across = (float)(k >= 2 ? bottom : top);
    SDL_Vertex *v = &s->corners[first + k];
    v->position = s->steep ? (SDL_FPoint){across, along} : (SDL_FPoint){along, across};
    v->color = (SDL_Color){(Uint8)(s->color >> 24), (Uint8)(s->color >> 16), (Uint8)(s->color >> 8), alpha};
    v->tex_coord = (SDL_FPoint){0, 0};
  }
  for (int k = 0; k < 6; k++) s->indices[6 * s->count + k] = first + order[k];
  s->count++;
}

/* In device pixels; only what can be seen is gone through. */
static void slanted(strip *s, double ax, double ay, double bx, double by, double thick) {
  s->steep = fabs(by - ay) > fabs(bx - ax);
  double from = s->steep ? ay : ax, to = s->steep ? by : bx, first = s->steep ? ax : ay, last = s->steep ? bx : by;
  if (from > to) {
    const double t = from, u = first;
    from = to, first = last, to = t, last = u;
  }
  const double slope = (last - first) / (to - from), half = thick / 2 * sqrt(1 + slope * slope);
  const int end = s->steep ? s->window->target_height : s->window->target_width;
  if (!(to > 0) || !(from < end) || !isfinite(to - from) || !isfinite(slope) || !isfinite(half) || fabs(first) > 1e7 || fabs(last) > 1e7 ||
      half > 1e4)
    return;
  for (int x = from > 0 ? (int)from : 0; x < end && x < to; x++) {
    const double left = from > x ? from : x, right = to < x + 1 ? to : x + 1, width = right - left;
    const double middle = first + ((left + right) / 2 - from) * slope, top = middle - half, bottom = middle + half;
    const int high = (int)floor(top), low = (int)floor(bottom);
    if (high == low) add(s, x, high, high + 1, (bottom - top) * width);
    else {
      add(s, x, high, high + 1, (high + 1 - top) * width);
      add(s, x, high + 1, low, width);
      add(s, x, low, low + 1, (bottom - low) * width);
    }
  }
  flush(s);
}

static void line(strip *s, double ax, double ay, double bx, double by, double thickness) {
  cal_window *w = s->window;
  const int t = pixels_thick(w, thickness);
  const int x1 = cal_window_snap(w, ax), y1 = cal_window_snap(w, ay), x2 = cal_window_snap(w, bx), y2 = cal_window_snap(w, by);
  if (ax == bx || ay == by) { /* the band's middle is on the line, its ends are where the line's are */
    const int left = x1 < x2 ? x1 : x2, top = y1 < y2 ? y1 : y2;
    set_color(w, s->color);
    if (y1 == y2) fill_pixels(w, (SDL_Rect){left, y1 - t / 2, x1 == x2 ? t : abs(x2 - x1), t});
    else fill_pixels(w, (SDL_Rect){x1 - t / 2, top, t, abs(y2 - y1)});
    return;
  }
  const double thick = thickness * w->scale;
  slanted(s, ax * w->scale, ay * w->scale, bx * w->scale, by * w->scale, thick > 1 ? thick : 1);
}

void cal_canvas_lines(cal_window *w, const double *xy, size_t count, uint32_t color, double thickness) {
  if (!w->drawing) return;
  strip s;
  s.window = w;
  s.color = color;
  s.count = 0;
  const double r = thickness / 2;
  for (size_t i = 0; i + 1 < count; i++) {
    line(&s, xy[2 * i], xy[2 * i + 1], xy[2 * i + 2], xy[2 * i + 3], thickness);
    /* Thick ones have their corners closed; seen through, that would show. */
    if (i > 0 && r * w->scale >= 1.5 && (color & 0xff) == 0xff)
      cal_canvas_round(w, xy[2 * i] - r, xy[2 * i + 1] - r, 2 * r, 2 * r, r, color);
  }
}

void cal_canvas_clip(cal_window *w, const cal_area *area) {
  if (!w->drawing) return;
  if (!area) {
    sdl.RenderSetClipRect(w->renderer, NULL);
    return;
  }
  const SDL_Rect r = snapped(w, area->x, area->y, area->width, area->height);
  /* SDL takes an empty rectangle as no clip at all: one that lies outside is empty, too. */
  const SDL_Rect nothing = {-2, -2, 1, 1};
  sdl.RenderSetClipRect(w->renderer, r.w > 0 && r.h > 0 ? &r : &nothing);
}

/* --- Pictures ------------------------------------------------------------------------------------------------------ */
typedef struct {
  SDL_Texture *texture;
  SDL_Rect inner; /* of the picture: what this part is drawn for */
  int left, top;  /* where the texture's first pixel lies in the picture: one further out, so that neighbours blend */
} part;

struct cal_texture {
  cal_window *window; /* NULL: lost */
  cal_texture *next;
  int width, height, count;
  size_t bytes;
  part *parts;
};

enum { BAND = 64 };

/* Rows are turned into the renderers' own order of bytes, a band at a time. */
static bool upload(SDL_Texture *texture, const cal_image *im, SDL_Rect from, uint32_t *band) {
  for (int y = 0; y < from.h; y += BAND) {
    const int rows = from.h - y < BAND ? from.h - y : BAND;
    uint32_t *to = band;
    for (int k = 0; k < rows; k++) {
      const unsigned char *p = cal_image_at(im, from.x, from.y + y + k);
      switch (im->channels) {
        case 1:
          for (int x = 0; x < from.w; x++, p++) *to++ = 0xff000000u | *p * 0x10101u;
          break;
        case 3:
          for (int x = 0; x < from.w; x++, p += 3) *to++ = 0xff000000u | (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
          break;
        default:
          for (int x = 0; x < from.w; x++, p += 4) *to++ = (uint32_t)p[3] << 24 | (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
      }
    }
    const SDL_Rect where = {0, y, from.w, rows};
    if (sdl.UpdateTexture(texture, &where, band, from.w * 4)) return false;
  }
  return true;
}

static cal_status fill_parts(cal_texture *t, const cal_image *im, int side, cal_error *err) {
  const int whole = im->width <= side && im->height <= side, step = whole ? side : side - 2;
  const int columns = (im->width + step - 1) / step, rows = (im->height + step - 1) / step;
  t->parts = cal_alloc_zero((size_t)columns * (size_t)rows, sizeof *t->parts, err);
  uint32_t *band = t->parts ? cal_alloc((size_t)(im->width < side ? im->width : side) * BAND * 4, err) : NULL;
  cal_status status = band ? CAL_OK : CAL_E_MEMORY;
  for (int i = 0; !status && i < columns * rows; i++) {
    part *p = &t->parts[i];
    const int x = i % columns * step, y = i / columns * step;
    p->inner = (SDL_Rect){x, y, im->width - x < step ? im->width - x : step, im->height - y < step ? im->height - y : step};
    p->left = x > 0 ? x - 1 : 0;
    p->top = y > 0 ? y - 1 : 0;
    const int right = x + p->inner.w < im->width ? x + p->inner.w + 1 : im->width;
    const int low = y + p->inner.h < im->height ? y + p->inner.h + 1 : im->height;
    const SDL_Rect from = {p->left, p->top, right - p->left, low - p->top};
    p->texture = sdl.CreateTexture(t->window->renderer, SDL_PIXELFORMAT_ARGB8888, SDL_TEXTUREACCESS_STATIC, from.w, from.h);
    t->count = i + 1;
    if (!p->texture || !upload(p->texture, im, from, band)) {
      status =
          cal_fail(err, CAL_E_DEVICE, "a picture of %d x %d does not fit the display's memory: %s", im->width, im->height, sdl.GetError());
      break;
    }
    t->bytes += (size_t)from.w * (size_t)from.h * 4;
    sdl.SetTextureScaleMode(p->texture, SDL_ScaleModeLinear);
    sdl.SetTextureBlendMode(p->texture, im->channels == 4 ? SDL_BLENDMODE_BLEND : SDL_BLENDMODE_NONE);
  }
  cal_free(band);
  return status;
}

static void lose(cal_texture *t) {
  for (int i = 0; i < t->count; i++)
    if (t->parts[i].texture) sdl.DestroyTexture(t->parts[i].texture);
  cal_free(t->parts);
  t->parts = NULL;
  t->count = 0;
  t->bytes = 0;
  t->window = NULL;
}

cal_texture *cal_texture_new(cal_window *w, const cal_image *im, cal_error *err) {
  cal_texture *t = cal_alloc_zero(1, sizeof *t, err);
  if (!t) return NULL;
  t->window = w;
  t->width = im->width;
  t->height = im->height;
  t->next = w->textures;
  w->textures = t;
  if (!fill_parts(t, im, w->largest, err)) return t;
  cal_texture_free(t);
  return NULL;
}

void cal_texture_free(cal_texture *t) {
  if (!t) return;
  for (cal_texture **at = t->window ? &t->window->textures : NULL; at && *at; at = &(*at)->next)
    if (*at == t) {
      *at = t->next;
      break;
    }
  lose(t);
  cal_free(t);
}

void cal_window_lose_textures(cal_window *w) {
  while (w->textures) {
    cal_texture *t = w->textures;
    w->textures = t->next;
    lose(t);
  }
}

void cal_texture_size(const cal_texture *t, int *width, int *height) {
  *width = t->width;
  *height = t->height;
}

size_t cal_texture_bytes(const cal_texture *t) { return t->bytes; }

static int within(double v, int most) { return !(v > 0) ? 0 : v > most ? most : (int)v; }

/* The device pixel nearest to an edge; one far out of sight is taken nearer, for SDL's software renderer scales all of a target in memory.
 */
static int edge(double v, int side) {
  enum { AROUND = 1024 };
  return v > side + AROUND ? side + AROUND : !(v > -AROUND) ? -AROUND : (int)floor(v + 0.5);
}

bool cal_canvas_picture(cal_window *w, cal_texture *t, const cal_area *to, const cal_area *from) {
  if (t->window != w) return false;
  const cal_area all = {0, 0, t->width, t->height};
  if (!from) from = &all;
  if (!w->drawing || !(from->width > 0) || !(from->height > 0) || !(to->width > 0) || !(to->height > 0)) return true;
  /* Device pixels per pixel of the picture, and where its first one would lie. */
  const double across = to->width * w->scale / from->width, down = to->height * w->scale / from->height;
  const double left = to->x * w->scale - from->x * across, top = to->y * w->scale - from->y * down;
  /* Only what can be seen is drawn: a picture enlarged a hundred times is larger than renderers like. */
  const int x1 = within(floor(fmax(from->x, -left / across)), t->width);
  const int y1 = within(floor(fmax(from->y, -top / down)), t->height);
  const int x2 = within(ceil(fmin(from->x + from->width, (w->target_width - left) / across)), t->width);
  const int y2 = within(ceil(fmin(from->y + from->height, (w->target_height - top) / down)), t->height);
  for (int i = 0; i < t->count; i++) {
    const part *p = &t->parts[i];
    const int a = x1 > p->inner.x ? x1 : p->inner.x, b = x2 < p->inner.x + p->inner.w ? x2 : p->inner.x + p->inner.w;
    const int c = y1 > p->inner.y ? y1 : p->inner.y, d = y2 < p->inner.y + p->inner.h ? y2 : p->inner.y + p->inner.h;
    if (a >= b || c >= d) continue;
    const SDL_Rect source = {a - p->left, c - p->top, b - a, d - c};
    const int l = edge(left + a * across, w->target_width), r = edge(left + b * across, w->target_width);
    const int u = edge(top + c * down, w->target_height), v = edge(top + d * down, w->target_height);
    const SDL_Rect target = {l, u, r > l ? r - l : 1, v > u ? v - u : 1};
    sdl.RenderCopy(w->renderer, p->texture, &source, &target);
  }
  return true;
}
