#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/buffer.h"
#include "core/base/memory.h"
#include "core/window/display.h"
#include "core/window/parts.h"

static cal_window *the_window; /* SDL has one queue of events, and calotype one window */

static cal_status went_away(cal_error *err) {
  return cal_fail(err, CAL_E_MISSING, "the display went away: start again where there is one");
}

static cal_status no_display(const char *why, cal_error *err) {
  return cal_fail(
      err, CAL_E_MISSING,
      "there is no display%s%s: a window needs one (over ssh: ssh -X); without it, :sheet and :report write files with the pictures, "
      "calotype show PICTURE draws one in the terminal",
      *why ? " that opens: " : "", why);
}

/* Where SDL finds no display it would take the text console, or a driver that shows nothing: both only on request. */
static cal_status init_video(cal_error *err) {
  const char *asked = getenv("SDL_VIDEODRIVER");
#ifdef __APPLE__
  const struct { const char *driver, *variable; } ways[] = {{"cocoa", NULL}};
#else
  const struct { const char *driver, *variable; } ways[] = {{"x11", "DISPLAY"}, {"wayland", "WAYLAND_DISPLAY"}};
#endif
  sdl.SetMainReady();
  sdl.SetHintWithPriority(SDL_HINT_NO_SIGNAL_HANDLERS, "1", SDL_HINT_OVERRIDE);
  sdl.SetHint(SDL_HINT_VIDEO_ALLOW_SCREENSAVER, "1");
  sdl.SetHint(SDL_HINT_VIDEO_X11_NET_WM_BYPASS_COMPOSITOR, "0");
  sdl.SetHint(SDL_HINT_MOUSE_FOCUS_CLICKTHROUGH, "1");
  sdl.SetHint(SDL_HINT_APP_NAME, "calotype");
  sdl.SetHint(SDL_HINT_IME_SHOW_UI, "1");
  sdl.SetHint(SDL_HINT_IME_SUPPORT_EXTENDED_TEXT, "1");
  if (asked && *asked) return sdl.InitSubSystem(SDL_INIT_VIDEO) ? no_display(sdl.GetError(), err) : CAL_OK;
  char why[256] = "";
  for (int i = 0; i < (int)(sizeof ways / sizeof *ways); i++) {
    const char *value = ways[i].variable ? getenv(ways[i].variable) : "";
    if (ways[i].variable && (!value || !*value)) continue;
    sdl.SetHint(SDL_HINT_VIDEODRIVER, ways[i].driver);
    if (!sdl.InitSubSystem(SDL_INIT_VIDEO)) return CAL_OK;
    if (*why) continue; /* the first is what desktops mean */
    if (ways[i].variable) snprintf(why, sizeof why, "%s is '%.80s' (%s)", ways[i].variable, value, sdl.GetError());
    else snprintf(why, sizeof why, "%s", sdl.GetError());
  }
  return no_display(why, err);
}

cal_status cal_window_display(cal_error *err) {
  if (cal_display_gone()) return went_away(err);
  if (the_window) return CAL_OK;
  cal_status status = cal_sdl_open(err);
  if (!status && !(status = init_video(err))) sdl.QuitSubSystem(SDL_INIT_VIDEO);
  return status;
}

/* CALOTYPE_SCALE; else, on X11, which knows no scale, what desktops tell their programs. */
static cal_status scale_wished(double *wish, cal_error *err) {
  const char *text = getenv("CALOTYPE_SCALE"), *desktop = getenv("GDK_SCALE"), *driver = sdl.GetCurrentVideoDriver();
  char *end;
  *wish = 0;
  if (text && *text) {
    *wish = strtod(text, &end);
    if (*end || !(*wish >= 0.5 && *wish <= 4)) return cal_fail(err, CAL_E_ARG, "CALOTYPE_SCALE is '%s': a number from 0.5 to 4", text);
  } else if (desktop && driver && strcmp(driver, "x11") == 0) {
    *wish = strtod(desktop, &end);
    if (*end || !(*wish >= 1 && *wish <= 4)) *wish = 0;
  }
  return CAL_OK;
}

bool cal_window_measure(cal_window *w) {
  int width = 0, height = 0, pixel_width = 0, pixel_height = 0;
  sdl.GetWindowSize(w->window, &width, &height);
  if (sdl.GetRendererOutputSize(w->renderer, &pixel_width, &pixel_height) || width < 1 || height < 1) pixel_width = pixel_height = 0;
  if (sdl.GetWindowFlags(w->window) & SDL_WINDOW_MINIMIZED) pixel_width = pixel_height = 0;
  const int old_width = w->pixel_width, old_height = w->pixel_height;
  const double old_scale = w->scale;
  w->pixel_width = pixel_width > 0 && pixel_height > 0 ? pixel_width : 0;
  w->pixel_height = w->pixel_width ? pixel_height : 0;
  if (w->pixel_width) {
    w->ratio = (double)pixel_width / width;
    w->scale = w->wish > 0 ? w->wish : cal_window_scale(w->ratio);
  }
  return w->pixel_width != old_width || w->pixel_height != old_height || w->scale != old_scale;
}

static int in_window(const cal_window *w, double units) {
  const double v = units * w->scale / w->ratio;
  return !(v >= 1) ? 1 : v > CAL_SIDE_MOST ? CAL_SIDE_MOST : (int)(v + 0.5);
}

static cal_status open_renderer(cal_window *w, cal_error *err) {
  w->renderer = sdl.CreateRenderer(w->window, -1, SDL_RENDERER_ACCELERATED | SDL_RENDERER_PRESENTVSYNC | SDL_RENDERER_TARGETTEXTURE);
  if (!w->renderer) w->renderer = sdl.CreateRenderer(w->window, -1, SDL_RENDERER_SOFTWARE);
  if (!w->renderer) w->renderer = sdl.CreateRenderer(w->window, -1, 0); /* SDL_RENDER_DRIVER names one that is neither */
  if (!w->renderer) return cal_fail(err, CAL_E_DEVICE, "nothing draws in the window: %s; SDL_RENDER_DRIVER=software may", sdl.GetError());
  SDL_RendererInfo info = {0};
  sdl.GetRendererInfo(w->renderer, &info);
  w->largest = info.max_texture_width > 0 && info.max_texture_width < CAL_SIDE_MOST ? info.max_texture_width : CAL_SIDE_MOST;
  if (info.max_texture_height > 0 && info.max_texture_height < w->largest) w->largest = info.max_texture_height;
  return CAL_OK;
}

/* In SDL's window coordinates, no larger than the display's room (0: unknown). */
static SDL_Point room_for(const cal_window *w, double width, double height, SDL_Rect room) {
  const SDL_Point wished = {in_window(w, width), in_window(w, height)};
  return (SDL_Point){room.w > 0 && wished.x > room.w ? room.w : wished.x, room.h > 0 && wished.y > room.h ? room.h : wished.y};
}

static cal_status open_sdl(cal_window *w, const cal_window_options *options, cal_error *err) {
  const double width = options->width > 0 ? options->width : 1280, height = options->height > 0 ? options->height : 800;
  const double least_width = options->least_width > 0 ? options->least_width : 320,
               least_height = options->least_height > 0 ? options->least_height : 240;
  w->scale = w->wish > 0 ? w->wish : 1;
  w->ratio = 1;
  SDL_Rect room;
  if (sdl.GetDisplayUsableBounds(0, &room)) room = (SDL_Rect){0, 0, 0, 0};
  SDL_Point size = room_for(w, width, height, room);
  w->window = sdl.CreateWindow("calotype", SDL_WINDOWPOS_CENTERED, SDL_WINDOWPOS_CENTERED, size.x, size.y,
                               SDL_WINDOW_RESIZABLE | SDL_WINDOW_ALLOW_HIGHDPI);
  if (!w->window) return cal_fail(err, CAL_E_DEVICE, "the window cannot be opened: %s", sdl.GetError());
  if (options->title) cal_window_title(w, options->title);
  cal_status status = open_renderer(w, err);
  if (status) return status;
  cal_window_measure(w);
  if (w->ratio != 1 && w->wish > 0) {
    size = room_for(w, width, height, room);
    sdl.SetWindowSize(w->window, size.x, size.y);
  }
  size = room_for(w, least_width, least_height, room);
  sdl.SetWindowMinimumSize(w->window, size.x, size.y);
  sdl.StopTextInput(); /* SDL begins with it on, and an input method would take the keys */
  sdl.EventState(SDL_DROPFILE, SDL_ENABLE);
  sdl.EventState(SDL_DROPTEXT, SDL_ENABLE);
  w->quit_event = sdl.RegisterEvents(1);
  cal_display_watch(w);
  cal_window_measure(w);
  return CAL_OK;
}

static bool side_ok(double side) { return side >= 0 && side <= CAL_SIDE_MOST; }

cal_window *cal_window_open(const cal_window_options *options, cal_error *err) {
  if (!side_ok(options->width) || !side_ok(options->height) || !side_ok(options->least_width) || !side_ok(options->least_height))
    return cal_fail(err, CAL_E_ARG, "a window of %g x %g, at least %g x %g: sides go up to %d", options->width, options->height,
                    options->least_width, options->least_height, CAL_SIDE_MOST),
           NULL;
  if (the_window) return cal_fail(err, CAL_E_BUSY, "a window is open already; close it first"), NULL;
  if (cal_display_gone()) return went_away(err), NULL;
  if (cal_sdl_open(err) || init_video(err)) return NULL;
  cal_window *w = cal_alloc_zero(1, sizeof *w, err);
  if (w) w->connection = -1;
  if (w && !scale_wished(&w->wish, err) && !open_sdl(w, options, err) && (w->letters = cal_letters_open(err))) return the_window = w;
  if (w) cal_window_close(w);
  else sdl.QuitSubSystem(SDL_INIT_VIDEO);
  return NULL;
}

void cal_window_lose_target(cal_window *w) {
  if (w->target) sdl.DestroyTexture(w->target);
  w->target = NULL;
  w->target_width = w->target_height = 0;
  w->shown = w->drawing = false;
}

void cal_window_close(cal_window *w) {
  if (!w) return;
  cal_event e;
  for (int i = 0; w->renderer && i < 65536 && cal_event_next(w, 0, &e); i++) cal_event_free(&e); /* what they hold would leak */
  cal_window_lose_textures(w);
  cal_window_lose_target(w);
  cal_letters_close(w->letters);
  for (int i = 0; i < CAL_CURSORS; i++)
    if (w->cursors[i]) sdl.FreeCursor(w->cursors[i]);
  if (w->renderer) sdl.DestroyRenderer(w->renderer);
  if (w->window) sdl.DestroyWindow(w->window);
  sdl.QuitSubSystem(SDL_INIT_VIDEO);
  cal_display_forget(w);
  if (the_window == w) the_window = NULL;
  cal_free(w);
}

void cal_window_size(const cal_window *w, double *width, double *height, double *scale) {
  *width = w->pixel_width / w->scale;
  *height = w->pixel_height / w->scale;
  *scale = w->scale;
}

/* --- Texts ------------------------------------------------------------------------------------------------------- */
char *cal_window_utf8(const char *text, cal_error *err) {
  const size_t size = strlen(text);
  if (cal_utf8_valid(text, size, NULL)) return cal_copy_text(text, err);
  cal_buffer b = {0};
  for (size_t from = 0, at = 0; from < size; from = at) {
    if (cal_utf8_next(text, size, &at) < 0) cal_buffer_add_text(&b, "\xef\xbf\xbd");
    else cal_buffer_add(&b, text + from, at - from);
  }
  char *clean = cal_buffer_take(&b);
  if (!clean) cal_fail(err, CAL_E_MEMORY, "not enough memory for a text of %zu bytes", size);
  return clean;
}

void cal_window_title(cal_window *w, const char *title) {
  char *clean = cal_window_utf8(title, NULL); /* macOS ends programs that name a window with anything else */
  if (clean) sdl.SetWindowTitle(w->window, clean);
  cal_free(clean);
}

const char *cal_window_renderer(const cal_window *w) {
  SDL_RendererInfo info = {0};
  return sdl.GetRendererInfo(w->renderer, &info) || !info.name ? "unknown" : info.name;
}

/* X11 hands a text over in one piece, and ends programs whose piece is larger than its server takes (16 MB are common). */
static cal_status clipboard_fits(const char *text, cal_error *err) {
  const size_t size = strlen(text);
  if (size <= CAL_CLIPBOARD_MOST) return CAL_OK;
  return cal_fail(err, CAL_E_LIMIT, "a text of %.1f MB: the clipboard is used for at most %d", (double)size / 1e6,
                  CAL_CLIPBOARD_MOST >> 20);
}

cal_status cal_window_clipboard_set(cal_window *w, const char *text, cal_error *err) {
  (void)w;
  cal_status status = clipboard_fits(text, err);
  char *clean = status ? NULL : cal_window_utf8(text, err);
  if (!clean) return status ? status : CAL_E_MEMORY;
  if (sdl.SetClipboardText(clean)) status = cal_fail(err, CAL_E_DEVICE, "the clipboard: %s", sdl.GetError());
  cal_free(clean);
  return status;
}

char *cal_window_clipboard(cal_window *w, cal_error *err) {
  (void)w;
  char *text = sdl.GetClipboardText();
  char *copy = text && clipboard_fits(text, err) ? NULL : cal_window_utf8(text ? text : "", err);
  if (text) sdl.free(text);
  return copy;
}

void cal_window_cursor(cal_window *w, cal_cursor cursor) {
  static const SDL_SystemCursor kinds[CAL_CURSORS] = {SDL_SYSTEM_CURSOR_ARROW, SDL_SYSTEM_CURSOR_HAND, SDL_SYSTEM_CURSOR_IBEAM,
                                                      SDL_SYSTEM_CURSOR_SIZEALL, SDL_SYSTEM_CURSOR_WAIT};
  if (!w->cursors[cursor]) w->cursors[cursor] = sdl.CreateSystemCursor(kinds[cursor]);
  if (w->cursors[cursor]) sdl.SetCursor(w->cursors[cursor]); /* a display without cursors keeps what it has */
}

bool cal_window_is_fullscreen(const cal_window *w) {
  return (sdl.GetWindowFlags(w->window) & SDL_WINDOW_FULLSCREEN_DESKTOP) == SDL_WINDOW_FULLSCREEN_DESKTOP;
}

cal_status cal_window_fullscreen(cal_window *w, bool on, cal_error *err) {
  if (sdl.SetWindowFullscreen(w->window, on ? SDL_WINDOW_FULLSCREEN_DESKTOP : 0))
    return cal_fail(err, CAL_E_DEVICE, "the whole screen: %s", sdl.GetError());
  return CAL_OK;
}

void cal_window_typing(cal_window *w, bool on, double x, double y, double width, double height) {
  if (on) {
    const SDL_Rect where = {in_window(w, x), in_window(w, y), in_window(w, width), in_window(w, height)};
    if (memcmp(&where, &w->typed_at, sizeof where)) sdl.SetTextInputRect(&where); /* a message to the input method, each time */
    w->typed_at = where;
  }
  if (on == w->typing) return;
  w->typing = on;
  w->composing = false;
  if (on) sdl.StartTextInput();
  else sdl.StopTextInput();
}

cal_image *cal_window_screenshot(cal_window *w, cal_error *err) {
  if (w->begun) return cal_fail(err, CAL_E_BUSY, "a frame is being drawn: a screenshot is of what was shown"), NULL;
  if (!w->shown) return cal_fail(err, CAL_E_NOTFOUND, "nothing was shown yet: there is no screenshot"), NULL;
  if (!w->target) return cal_fail(err, CAL_E_DEVICE, "the display has no memory for a screenshot"), NULL;
  cal_image *im = cal_image_new(w->target_width, w->target_height, 3, err);
  if (!im) return NULL;
  const bool read = !sdl.SetRenderTarget(w->renderer, w->target) &&
                    !sdl.RenderReadPixels(w->renderer, NULL, SDL_PIXELFORMAT_RGB24, im->pixels, im->width * 3);
  if (!read) cal_fail(err, CAL_E_DEVICE, "the screenshot cannot be read back: %s", sdl.GetError());
  sdl.SetRenderTarget(w->renderer, NULL);
  if (read) return im;
  cal_image_free(im);
  return NULL;
}
