#include "core/window/display.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "core/base/library.h"
#include "core/window/parts.h"

static bool gone;
static cal_window *watched;

/* --- What SDL does without a display: nothing ------------------------------------------------------------------------------------- */
static int no_event(SDL_Event *event) { return (void)event, 0; }
static int no_wait(SDL_Event *event, int ms) { return (void)event, (void)ms, 0; }
static SDL_Texture *no_new_texture(SDL_Renderer *r, Uint32 format, int access, int width, int height) {
  return (void)r, (void)format, (void)access, (void)width, (void)height, NULL;
}
static void no_texture(SDL_Texture *texture) { (void)texture; }
static int no_target(SDL_Renderer *r, SDL_Texture *texture) { return (void)r, (void)texture, -1; }
static int no_pixels(SDL_Renderer *r, const SDL_Rect *area, Uint32 format, void *pixels, int pitch) {
  return (void)r, (void)area, (void)format, (void)pixels, (void)pitch, -1;
}
static void no_present(SDL_Renderer *r) { (void)r; }
static void no_window(SDL_Window *window) { (void)window; }
static void no_title(SDL_Window *window, const char *title) { (void)window, (void)title; }
static void no_size(SDL_Window *window, int width, int height) { (void)window, (void)width, (void)height; }
static int no_fullscreen(SDL_Window *window, Uint32 flags) { return (void)window, (void)flags, -1; }
static int no_copying(const char *text) { return (void)text, -1; }
static char *no_copied(void) { return NULL; }
static SDL_Cursor *no_new_cursor(SDL_SystemCursor kind) { return (void)kind, NULL; }
static void no_cursor(SDL_Cursor *cursor) { (void)cursor; }
static void no_typing(void) {}
static void no_typing_place(const SDL_Rect *area) { (void)area; }
static void no_quit(Uint32 what) { (void)what; }

static void lose_display(void) {
  gone = true;
  sdl.PollEvent = no_event, sdl.WaitEventTimeout = no_wait;
  sdl.CreateTexture = no_new_texture, sdl.DestroyTexture = no_texture;
  sdl.SetRenderTarget = no_target, sdl.RenderReadPixels = no_pixels;
  sdl.RenderPresent = sdl.DestroyRenderer = no_present;
  sdl.DestroyWindow = no_window, sdl.SetWindowTitle = no_title, sdl.SetWindowSize = no_size, sdl.SetWindowFullscreen = no_fullscreen;
  sdl.SetClipboardText = no_copying, sdl.GetClipboardText = no_copied;
  sdl.CreateSystemCursor = no_new_cursor, sdl.SetCursor = sdl.FreeCursor = no_cursor;
  sdl.StartTextInput = sdl.StopTextInput = no_typing, sdl.SetTextInputRect = no_typing_place;
  sdl.QuitSubSystem = no_quit;
  if (watched) watched->pixel_width = watched->pixel_height = 0, watched->drawing = false; /* nothing can be seen: frames do nothing */
}

/* --- Noticing ----------------------------------------------------------------------------------------------------------------------- */
#ifdef SDL_VIDEO_DRIVER_X11
static struct {
  int (*connection)(Display *);
  int (*(*on_error)(int (*)(Display *)))(Display *);
  void (*on_exit)(Display *, void (*)(Display *, void *), void *);
} x;

static const cal_symbol x_symbols[] = {{"XConnectionNumber", (void *)&x.connection},
                                       {"XSetIOErrorHandler", (void *)&x.on_error},
                                       {"XSetIOErrorExitHandler", (void *)&x.on_exit},
                                       {0}};
static const char *const x_names[] = {"libX11.so.6", "libX11.so", NULL};
static cal_library x_library = {"Xlib", x_names, x_symbols, "libx11-6", NULL};

static int says_nothing(Display *display) { return (void)display, 0; }

static void on_gone(Display *display, void *user) { /* that it returns lets Xlib's call fail; else Xlib would exit */
  (void)display, (void)user;
  lose_display();
}

void cal_display_watch(cal_window *w) {
  SDL_SysWMinfo info;
  memset(&info, 0, sizeof info);
  SDL_VERSION(&info.version);
  if (!sdl.GetWindowWMInfo(w->window, &info) || info.subsystem != SDL_SYSWM_X11 || cal_library_open(&x_library, NULL)) return;
  x.on_error(says_nothing);
  x.on_exit(info.info.x11.display, on_gone, NULL);
  w->connection = x.connection(info.info.x11.display);
  watched = w;
}
#else
void cal_display_watch(cal_window *w) { watched = w; }
#endif

void cal_display_forget(cal_window *w) {
  if (watched == w) watched = NULL;
}

bool cal_display_gone(void) { return gone; }

static bool hung_up(int connection) {
  struct pollfd at = {.fd = connection, .events = POLLIN};
  char byte;
  if (poll(&at, 1, 0) <= 0) return false;
  const ssize_t got = recv(connection, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
}

bool cal_display_look(cal_window *w) {
  if (!gone && w->connection >= 0 && hung_up(w->connection)) lose_display();
  return !gone;
}

void cal_display_wait(cal_window *w, int milliseconds) {
  struct pollfd at = {.fd = w->connection, .events = POLLIN};
  if (poll(&at, gone || w->connection < 0 ? 0 : 1, milliseconds) < 0) return; /* a signal */
}
