#include "core/window/letters.h"

#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "core/base/buffer.h"
#include "core/base/fs.h"
#include "core/base/memory.h"
#include "core/image/resize.h"
#include "core/image/text.h"
#include "core/window/fonts.h"
#include "core/window/parts.h"

enum {
  LARGEST = 512,       /* device pixels of an em */
  PAGES = 4,           /* of letters that were drawn: PAGES * PAGE * PAGE * 4 bytes at most */
  PAGE = 1024,         /* pixels of a side */
  SHELVES = 128,       /* rows of letters on a page */
  GLYPHS = 1 << 15,    /* slots of the table; at three quarters it is emptied */
  DISC = 128,          /* largest radius */
  FARTHEST = 1 << 28,  /* pixels of a line */
  BAD_BYTE = 0x200000, /* + the byte: what is no UTF-8 */
  DISC_KEY = 0x300000, /* + the radius */
  SHOWN = 0x400000,    /* + the code point: one that is nothing to be seen, as a box */
};

typedef enum { BLANK = 1, FROM_FACE, FROM_STROKES, BOX, ROUND } glyph_kind;

typedef struct {
  uint64_t key; /* 0: a free slot */
  glyph_kind kind;
  bool colored;      /* a picture with colours of its own */
  bool mark;         /* stands on the letter before */
  int face, advance; /* device pixels */
  int left, top;     /* of its pixels: from the pen, from the top of the line box */
  int page;          /* -1: not drawn yet */
  unsigned long age; /* of the page when it was drawn: a page that was emptied since has another */
  SDL_Rect where;    /* on the page */
} glyph;

typedef struct {
  SDL_Texture *texture;
  unsigned long age, used;
  int shelves, bottom;
  struct {
    int y, height, right;
  } shelf[SHELVES];
} page;

typedef struct {
  TTF_Font *font;
  cal_mapping map;
  int px;
  bool broken;
} face;

struct cal_letters {
  cal_fonts *fonts;
  face faces[CAL_FONTS_MOST];
  struct {
    int ascent, height; /* 0: not looked at yet */
  } lines[CAL_FONT_STYLES][LARGEST + 1];
  glyph table[GLYPHS];
  int filled;
  page pages[PAGES];
  unsigned long clock, ages;
};

cal_letters *cal_letters_open(cal_error *err) {
  if (ttf.Init()) return cal_fail(err, CAL_E_DEVICE, "SDL2_ttf does not begin: %s", sdl.GetError()), NULL;
  cal_letters *l = cal_alloc_zero(1, sizeof *l, err);
  if (l && (l->fonts = cal_fonts_find(err))) return l;
  cal_free(l);
  ttf.Quit();
  return NULL;
}

void cal_letters_lose(cal_letters *l) {
  if (!l) return;
  for (int i = 0; i < PAGES; i++) {
    if (l->pages[i].texture) sdl.DestroyTexture(l->pages[i].texture);
    l->pages[i] = (page){.age = ++l->ages};
  }
}

void cal_letters_close(cal_letters *l) {
  if (!l) return;
  cal_letters_lose(l);
  for (int i = 0; i < CAL_FONTS_MOST; i++) {
    if (l->faces[i].font) ttf.CloseFont(l->faces[i].font);
    cal_fs_unmap(&l->faces[i].map);
  }
  cal_fonts_free(l->fonts);
  cal_free(l);
  ttf.Quit();
}

cal_fonts *cal_letters_fonts(cal_letters *l) { return l->fonts; }

size_t cal_letters_bytes(const cal_window *w) {
  size_t bytes = 0;
  for (int i = 0; i < PAGES; i++)
    if (w->letters->pages[i].texture) bytes += (size_t)PAGE * PAGE * 4;
  return bytes;
}

/* --- Fonts --------------------------------------------------------------------------------------------------------- */
static TTF_Font *font_in(const cal_mapping *map, long index, int px) {
  SDL_RWops *bytes = map->size > 0 && map->size <= INT32_MAX ? sdl.RWFromConstMem(map->data, (int)map->size) : NULL;
  return bytes ? ttf.OpenFontIndexRW(bytes, 1, px, index) : NULL;
}

static void open_face(face *f, const cal_font_file *file, int px) {
  cal_fs *fs = cal_fs_new("/", 0, NULL);
  if (fs && !cal_fs_grant(fs, file->path, CAL_FS_READ, NULL) && !cal_fs_map(fs, file->path, &f->map, NULL)) {
    f->font = font_in(&f->map, file->face, px);
    if (!f->font && file->face > 0) f->font = font_in(&f->map, 0, px); /* a collection of fewer */
  }
  cal_fs_free(fs);
  f->broken = !f->font;
  f->px = px;
  if (f->font) ttf.SetFontHinting(f->font, TTF_HINTING_LIGHT);
  else cal_fs_unmap(&f->map);
}

/* Whatever its size is now: to be asked which letters it has. NULL for a file that is none. */
static TTF_Font *font_of(cal_letters *l, int at, int px) {
  face *f = &l->faces[at];
  if (!f->font && !f->broken) open_face(f, &l->fonts->files[at], px);
  return f->font;
}

/* The font at this size, which costs it the letters that it has drawn. */
static TTF_Font *font_at(cal_letters *l, int at, int px) {
  face *f = &l->faces[at];
  if (font_of(l, at, px) && f->px != px) {
    if (ttf.SetFontSize(f->font, px)) return NULL;
    f->px = px;
  }
  return f->font;
}

/* Fonts of pictures (emoji) have one size only: how much smaller they are to be. */
static double shrink(TTF_Font *font, int px) {
  const double height = ttf.FontHeight(font);
  return height > 2.0 * px ? 1.2 * px / height : 1;
}

static void line_of(cal_letters *l, int style, int px, int *ascent, int *height) {
  if (!l->lines[style][px].height) {
    TTF_Font *font = NULL;
    for (int i = 0; !font && i < l->fonts->lengths[style]; i++) font = font_at(l, l->fonts->chains[style][i], px);
    const double by = font ? shrink(font, px) : 1;
    l->lines[style][px].ascent = font ? (int)(ttf.FontAscent(font) * by + 0.5) : px;
    l->lines[style][px].height = font ? (int)(ttf.FontHeight(font) * by + 0.5) : px + (px + 3) / 4;
    if (l->lines[style][px].height < 1) l->lines[style][px].height = 1;
  }
  *ascent = l->lines[style][px].ascent;
  *height = l->lines[style][px].height;
}

/* --- What a code point is, and how wide ---------------------------------------------------------------------------- */
static uint64_t key_of(int32_t c, int style, int px) { return ((uint64_t)px << 32) | ((uint64_t)style << 24) | (uint64_t)(c + 1); }

static glyph *slot_of(cal_letters *l, uint64_t key) {
  uint64_t at = (key * 0x9e3779b97f4a7c15u) >> 49;
  while (l->table[at].key && l->table[at].key != key) at = (at + 1) % GLYPHS;
  return &l->table[at];
}

static bool in_face(cal_letters *l, glyph *g, int32_t c, int style, int px) {
  for (int i = 0; i < l->fonts->lengths[style]; i++) {
    const int at = l->fonts->chains[style][i];
    TTF_Font *font = font_of(l, at, px);
    int left, right, low, high, advance;
    if (!font || !ttf.GlyphIsProvided32(font, (Uint32)c)) continue;
    if (!(font = font_at(l, at, px)) || ttf.GlyphMetrics32(font, (Uint32)c, &left, &right, &low, &high, &advance)) continue;
    int ascent, height;
    const double by = shrink(font, px);
    line_of(l, style, px, &ascent, &height);
    font = font_at(l, at, px);
    const int own = ttf.FontAscent(font), above = own - high < 0 ? own - high : 0;
    g->kind = FROM_FACE;
    g->face = at;
    g->advance = (int)(advance * by + 0.5);
    g->left = (int)((left < 0 ? left : 0) * by);
    g->top = ascent - (int)((own - above) * by + 0.5);
    if (g->mark && left >= 0) g->left = INT16_MAX; /* drawn beside the pen: to be put over the letter before */
    return true;
  }
  return false;
}

static int box_digits(int32_t c) {
  if (c >= SHOWN) c -= SHOWN;
  return c >= BAD_BYTE || c < 0x100 ? 2 : c < 0x10000 ? 4 : 6;
}
static int box_unit(int px) { return px < 26 ? 1 : px / 13; }
static int box_width(int32_t c, int px) { return (box_digits(c) == 6 ? 15 : 11) * box_unit(px); }
static int box_height(int32_t c, int px) { return (box_digits(c) == 2 ? 9 : 15) * box_unit(px); }

static double strokes_size(int px) { return px * 0.95; }

static void measure(cal_letters *l, glyph *g, int32_t c, int style, int px) {
  const utf8proc_category_t category = c < BAD_BYTE ? utf8proc_category(c) : UTF8PROC_CATEGORY_CC;
  const bool selector = (c >= 0xfe00 && c <= 0xfe0f) || (c >= 0xe0100 && c <= 0xe01ef) || c == 0x34f;
  g->page = -1;
  g->kind = BLANK;
  g->mark = category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_ME;
  if (category == UTF8PROC_CATEGORY_CF || selector) return; /* those that `next` left among letters that need them */
  const bool control = category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP;
  if (!control && in_face(l, g, c, style, px)) {
    if (g->mark) g->advance = 0;
    return;
  }
  int ascent, height;
  line_of(l, style, px, &ascent, &height);
  if (category == UTF8PROC_CATEGORY_ZS) g->advance = (px + 2) / 3;
  else if (c > ' ' && c < 127) {
    const char two[3] = {(char)c, (char)c, 0}, one[2] = {(char)c, 0};
    g->kind = FROM_STROKES;
    g->advance = (int)(cal_text_width(two, strokes_size(px)) - cal_text_width(one, strokes_size(px)) + 0.5);
    g->top = 0;
  } else {
    g->kind = BOX;
    g->mark = false;
    g->left = 1;
    g->top = ascent + 2 * box_unit(px) - box_height(c, px);
    g->advance = box_width(c, px) + 2;
  }
}

static glyph *glyph_of(cal_letters *l, int32_t c, int style, int px) {
  const uint64_t key = key_of(c, style, px);
  glyph *g = slot_of(l, key);
  if (g->key) return g;
  if (l->filled >= GLYPHS / 4 * 3) {
    memset(l->table, 0, sizeof l->table);
    l->filled = 0;
    g = slot_of(l, key);
  }
  l->filled++;
  *g = (glyph){.key = key, .page = -1};
  if (c < DISC_KEY || c >= SHOWN) measure(l, g, c, style, px);
  else g->kind = ROUND;
  return g;
}

/* --- Pages: letters stand on shelves; when all are full, the page that was not needed for longest is emptied --------- */
static bool on_shelf(page *p, int width, int height, SDL_Rect *where) {
  for (int i = 0; i < p->shelves; i++)
    if (height <= p->shelf[i].height && height * 4 >= p->shelf[i].height * 3 - 8 && p->shelf[i].right + width <= PAGE) {
      *where = (SDL_Rect){p->shelf[i].right, p->shelf[i].y, width, height};
      p->shelf[i].right += width;
      return true;
    }
  if (p->shelves == SHELVES || p->bottom + height > PAGE) return false;
  *where = (SDL_Rect){0, p->bottom, width, height};
  p->shelf[p->shelves].y = p->bottom;
  p->shelf[p->shelves].height = height;
  p->shelf[p->shelves++].right = width;
  p->bottom += height;
  return true;
}

static int page_for(cal_letters *l, SDL_Renderer *renderer, int width, int height, SDL_Rect *where) {
  int oldest = 0;
  if (width > PAGE || height > PAGE) return -1;
  for (int i = 0; i < PAGES; i++) {
    page *p = &l->pages[i];
    if (!p->texture) {
      p->texture = sdl.CreateTexture(renderer, SDL_PIXELFORMAT_ARGB8888, SDL_TEXTUREACCESS_STATIC, PAGE, PAGE);
      if (!p->texture) return -1;
      sdl.SetTextureBlendMode(p->texture, SDL_BLENDMODE_BLEND);
      sdl.SetTextureScaleMode(p->texture, SDL_ScaleModeNearest);
    }
    if (on_shelf(p, width, height, where)) return i;
    if (p->used < l->pages[oldest].used) oldest = i;
  }
  page *p = &l->pages[oldest];
  p->age = ++l->ages;
  p->shelves = p->bottom = 0;
  return on_shelf(p, width, height, where) ? oldest : -1;
}

/* `pixels`: ARGB, a letter's rim of nothing is cut away. */
static void keep(cal_letters *l, SDL_Renderer *renderer, glyph *g, const uint32_t *pixels, int pitch, int width, int height) {
  int x1 = width, x2 = 0, y1 = height, y2 = 0;
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++)
      if (pixels[(size_t)y * (size_t)pitch + (size_t)x] >> 24) {
        if (x < x1) x1 = x;
        if (x >= x2) x2 = x + 1;
        if (y < y1) y1 = y;
        y2 = y + 1;
      }
  if (x1 >= x2) {
    g->kind = BLANK;
    return;
  }
  g->page = page_for(l, renderer, x2 - x1, y2 - y1, &g->where);
  if (g->page < 0) return;
  g->age = l->pages[g->page].age;
  g->colored = false;
  for (int y = y1; y < y2 && !g->colored; y++)
    for (int x = x1; x < x2 && !g->colored; x++) {
      const uint32_t pixel = pixels[(size_t)y * (size_t)pitch + (size_t)x];
      g->colored = pixel >> 24 && (pixel & 0xffffff) != 0xffffff;
    }
  sdl.UpdateTexture(l->pages[g->page].texture, &g->where, pixels + (size_t)y1 * (size_t)pitch + x1, pitch * 4);
  if (g->left != INT16_MAX) g->left += x1;
  g->top += y1;
}

static void draw_face(cal_letters *l, SDL_Renderer *renderer, glyph *g, int32_t c, int px) {
  TTF_Font *font = font_at(l, g->face, px);
  const double by = font ? shrink(font, px) : 1;
  SDL_Surface *drawn = font ? ttf.RenderGlyph32_Blended(font, (Uint32)c, (SDL_Color){255, 255, 255, 255}) : NULL;
  SDL_Surface *argb = drawn ? sdl.ConvertSurfaceFormat(drawn, SDL_PIXELFORMAT_ARGB8888, 0) : NULL;
  if (drawn) sdl.FreeSurface(drawn);
  if (!argb) return;
  const int width = (int)(argb->w * by + 0.5), height = (int)(argb->h * by + 0.5);
  if (by == 1) keep(l, renderer, g, argb->pixels, argb->pitch / 4, argb->w, argb->h);
  else if (width > 0 && height > 0) { /* a picture of one size: bytes are B, G, R, A, which resizing does not mind */
    cal_image *large = cal_image_new(argb->w, argb->h, 4, NULL), *small = NULL;
    for (int y = 0; large && y < argb->h; y++)
      memcpy(cal_image_at(large, 0, y), (unsigned char *)argb->pixels + (ptrdiff_t)y * argb->pitch, (size_t)argb->w * 4);
    if (large) small = cal_image_resize(large, width, height, CAL_AREA, NULL);
    if (small) keep(l, renderer, g, (const uint32_t *)(const void *)small->pixels, width, width, height);
    cal_image_free(large);
    cal_image_free(small);
  }
  sdl.FreeSurface(argb);
}

static void draw_strokes(cal_letters *l, SDL_Renderer *renderer, glyph *g, int32_t c, int px) {
  const unsigned char white[4] = {255, 255, 255, 255};
  const char text[2] = {(char)c, 0};
  const int width = g->advance + 4, height = px + px / 2;
  cal_image *im = cal_image_new(width, height, 3, NULL);
  uint32_t *argb = im ? cal_alloc((size_t)width * (size_t)height * 4, NULL) : NULL;
  if (argb && !cal_draw_text(im, 1, px * 0.1, text, strokes_size(px), white, NULL)) {
    for (int i = 0; i < width * height; i++) argb[i] = 0xffffff | (uint32_t)im->pixels[3 * i] << 24;
    g->left = -1;
    g->top = 0;
    keep(l, renderer, g, argb, width, width, height);
  }
  cal_free(argb);
  cal_image_free(im);
}

/* Its number in hexadecimal digits of 3 x 5, in a frame. */
static void draw_box(cal_letters *l, SDL_Renderer *renderer, glyph *g, int32_t c, int px) {
  static const unsigned short digits[16] = {075557, 026227, 071747, 071717, 055711, 074717, 074757, 071111,
                                            075757, 075717, 075755, 065656, 074447, 065556, 074747, 074744};
  const int u = box_unit(px), width = box_width(c, px), height = box_height(c, px), count = box_digits(c);
  const int columns = count == 2 ? 2 : count / 2;
  uint32_t *argb = cal_alloc_zero((size_t)width * (size_t)height, 4, NULL);
  if (!argb) return;
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++)
      if (x < u || y < u || x >= width - u || y >= height - u) argb[y * width + x] = 0xffffffff;
  const uint32_t number = (uint32_t)(c >= SHOWN ? c - SHOWN : c >= BAD_BYTE ? c - BAD_BYTE : c);
  for (int i = 0; i < count; i++) {
    const unsigned bits = digits[number >> (4 * (count - 1 - i)) & 15];
    const int left = (2 + i % columns * 4) * u, top = (2 + i / columns * 6) * u;
    for (int y = 0; y < 5 * u; y++)
      for (int x = 0; x < 3 * u; x++)
        if (bits >> (3 * (4 - y / u) + 2 - x / u) & 1) argb[(top + y) * width + left + x] = 0xffffffff;
  }
  keep(l, renderer, g, argb, width, width, height);
  cal_free(argb);
}

static void draw_disc(cal_letters *l, SDL_Renderer *renderer, glyph *g, int radius) {
  const int side = 2 * radius;
  uint32_t *argb = cal_alloc((size_t)side * (size_t)side * 4, NULL);
  if (!argb) return;
  for (int y = 0; y < side; y++)
    for (int x = 0; x < side; x++) {
      const double dx = x + 0.5 - radius, dy = y + 0.5 - radius;
      const double cover = radius + 0.5 - __builtin_sqrt(dx * dx + dy * dy);
      const uint32_t alpha = cover <= 0 ? 0 : cover >= 1 ? 255 : (uint32_t)(cover * 255 + 0.5);
      argb[y * side + x] = 0xffffff | alpha << 24;
    }
  keep(l, renderer, g, argb, side, side, side);
  cal_free(argb);
}

/* On a page, now; false: not to be had. */
static bool ready(cal_letters *l, SDL_Renderer *renderer, glyph *g, int32_t c, int style, int px) {
  if (g->page >= 0 && g->age != l->pages[g->page].age) { /* its page was emptied: measure it anew, for left and top are of the pixels */
    const uint64_t key = g->key;
    *g = (glyph){.key = key, .page = -1, .kind = ROUND};
    if (c < DISC_KEY || c >= SHOWN) measure(l, g, c, style, px);
  }
  if (g->page < 0) {
    switch (g->kind) {
      case FROM_FACE: draw_face(l, renderer, g, c, px); break;
      case FROM_STROKES: draw_strokes(l, renderer, g, c, px); break;
      case BOX: draw_box(l, renderer, g, c, px); break;
      case ROUND: draw_disc(l, renderer, g, px); break;
      case BLANK: break;
    }
  }
  if (g->page < 0) return false;
  l->pages[g->page].used = ++l->clock;
  return true;
}

SDL_Texture *cal_letters_disc(cal_window *w, int radius, SDL_Rect *where) {
  cal_letters *l = w->letters;
  if (radius > DISC) radius = DISC;
  glyph *g = glyph_of(l, DISC_KEY, 0, radius);
  if (!ready(l, w->renderer, g, DISC_KEY, 0, radius)) return NULL;
  *where = g->where;
  return l->pages[g->page].texture;
}

/* --- Lines of text ------------------------------------------------------------------------------------------------- */
static int style_of(const cal_letter_style *style) { return (style->bold ? CAL_FONT_BOLD : 0) | (style->mono ? CAL_FONT_MONO : 0); }

static int px_of(const cal_window *w, const cal_letter_style *style) {
  const double size = style->size >= 4 ? style->size <= 256 ? style->size : 256 : 4;
  const int px = (int)(size * w->scale + 0.5);
  return px < 4 ? 4 : px > LARGEST ? LARGEST : px;
}

/* Code points without a picture of their own would make two names look like one, or hide words in a caption: they are boxes. But joiners
 * and selectors are needed within scripts and pictures: not after a letter of Latin, Greek or Cyrillic, where they do nothing. */
static bool unseen(int32_t c, int32_t before, const char *after, size_t left) {
  if (c < 0xad) return false;
  if (c == 0x200c || c == 0x200d) return before < 0x590;
  if ((c >= 0xfe00 && c <= 0xfe0f) || (c >= 0xe0100 && c <= 0xe01ef)) {
    if (before == 0xa9 || before == 0xae) return false;
    if (left >= 3 && !memcmp(after, "\xe2\x83\xa3", 3)) return false; /* the frame of a key, around a digit */
    return before < 0x590;
  }
  static const int32_t others[] = {0x34f, 0x115f, 0x1160, 0x17b4, 0x17b5, 0x2800, 0x3164, 0xffa0};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    if (c == others[i]) return true;
  return utf8proc_category(c) == UTF8PROC_CATEGORY_CF;
}

/* `before`: the code point before it, 0 for none. */
static int32_t next(const char *text, size_t size, size_t *at, int32_t *before) {
  const unsigned char byte = (unsigned char)text[*at];
  const int32_t c = cal_utf8_next(text, size, at), last = *before;
  *before = c < 0 ? 0 : c;
  if (c < 0) return BAD_BYTE + byte;
  return unseen(c, last, text + *at, size - *at) ? SHOWN + c : c;
}

/* Where the pen is after `c`; lines of more than FARTHEST pixels end there. */
static int moved(cal_letters *l, int pen, int32_t c, const glyph *g, int style, int px) {
  if (pen > FARTHEST) return pen;
  if (c != '\t') return pen + g->advance;
  const int stop = 4 * glyph_of(l, ' ', style, px)->advance;
  return stop > 0 ? (pen / stop + 1) * stop : pen;
}

double cal_letters_draw(cal_window *w, double x, double y, const char *text, size_t size, const cal_letter_style *style, uint32_t color) {
  cal_letters *l = w->letters;
  const int of = style_of(style), px = px_of(w, style), left = cal_window_snap(w, x), top = cal_window_snap(w, y);
  int32_t last = 0;
  int pen = 0, before = 0; /* the advance of the letter that a mark stands on */
  unsigned colored = 0;    /* pages that have the colour */
  for (size_t at = 0; at < size;) {
    const int32_t c = next(text, size, &at, &last);
    glyph *g = glyph_of(l, c, of, px);
    const int advance = g->advance;
    const bool seen = w->drawing && left + pen < w->target_width + px && left + pen > -2 * px - advance;
    if (seen && c != '\t' && ready(l, w->renderer, g, c, of, px)) {
      SDL_Texture *texture = l->pages[g->page].texture;
      const int over = g->left == INT16_MAX ? -before + (before - g->where.w) / 2 : g->left;
      const SDL_Rect to = {left + pen + over, top + g->top, g->where.w, g->where.h};
      if (g->colored || !(colored >> g->page & 1)) cal_window_color(texture, g->colored ? 0xffffff00 | (color & 0xff) : color);
      colored = g->colored ? colored & ~(1u << g->page) : colored | 1u << g->page;
      sdl.RenderCopy(w->renderer, texture, &g->where, &to);
    }
    if (!g->mark) before = advance;
    pen = moved(l, pen, c, g, of, px);
  }
  return pen / w->scale;
}

size_t cal_letters_advances(cal_window *w, const char *text, size_t size, const cal_letter_style *style, double *out) {
  cal_letters *l = w->letters;
  const int of = style_of(style), px = px_of(w, style);
  int32_t last = 0;
  int pen = 0;
  size_t count = 0;
  out[count++] = 0;
  for (size_t at = 0; at < size;) {
    const int32_t c = next(text, size, &at, &last);
    pen = moved(l, pen, c, glyph_of(l, c, of, px), of, px);
    out[count++] = pen / w->scale;
  }
  return count;
}

double cal_letters_height(cal_window *w, const cal_letter_style *style) {
  int ascent, height;
  line_of(w->letters, style_of(style), px_of(w, style), &ascent, &height);
  return height / w->scale;
}
