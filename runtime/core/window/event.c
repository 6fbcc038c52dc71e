#include "core/window/event.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "core/base/buffer.h"
#include "core/base/clock.h"
#include "core/base/interrupt.h"
#include "core/base/memory.h"
#include "core/window/display.h"
#include "core/window/parts.h"

enum {
  SLICE_MS = 20,
  CTRL = 1,
  SHIFT = 2,
  ALT = 4,
};
/* A pushed mouse event has this as its mouse, with the modifiers in the lowest byte. SDL's own have none: they get those that the keys
 * before them in the queue held (what SDL_GetModState says may be younger). */
#define PUSHED 0x43414c00u
#define PUSHED_KEY 0x43

void cal_event_free(cal_event *e) {
  cal_free(e->text);
  e->text = NULL;
}

/* --- From SDL ------------------------------------------------------------------------------------------------------ */
static bool on_mac(void) { return strcmp(sdl.GetPlatform(), "Mac OS X") == 0; }

static void modifiers_of(cal_event *e, unsigned mods) {
  e->ctrl = (mods & KMOD_CTRL) || (on_mac() && (mods & KMOD_GUI));
  e->shift = mods & KMOD_SHIFT;
  e->alt = mods & KMOD_ALT;
}

static bool is_character(SDL_Keycode sym) { return sym >= ' ' && sym != SDLK_DELETE && !(sym & SDLK_SCANCODE_MASK); }

/* What writes letters on the keys' third level is no Alt while text is written: AltGr, which SDL calls the right Alt; on macOS both. */
static unsigned writing(unsigned mods) {
  const unsigned level = KMOD_MODE | (unsigned)(on_mac() ? KMOD_ALT : KMOD_RALT);
  return mods & level;
}

static void mouse_modifiers(const cal_window *w, cal_event *e, Uint32 which) {
  if ((which & 0xffffff00u) != PUSHED) modifiers_of(e, w->mods);
  else e->ctrl = which & CTRL, e->shift = which & SHIFT, e->alt = which & ALT;
}

static double units(const cal_window *w, double v) { return v * w->ratio / w->scale; }

static cal_button button_of(int button) {
  return button == SDL_BUTTON_LEFT     ? CAL_BUTTON_LEFT
         : button == SDL_BUTTON_MIDDLE ? CAL_BUTTON_MIDDLE
         : button == SDL_BUTTON_RIGHT  ? CAL_BUTTON_RIGHT
                                       : CAL_BUTTON_NONE;
}

static cal_button held(Uint32 state) {
  return state & SDL_BUTTON_LMASK   ? CAL_BUTTON_LEFT
         : state & SDL_BUTTON_MMASK ? CAL_BUTTON_MIDDLE
         : state & SDL_BUTTON_RMASK ? CAL_BUTTON_RIGHT
                                    : CAL_BUTTON_NONE;
}

/* Alphabets without a z have their shortcuts where a US keyboard has them: Ctrl+Z is Ctrl+я on a Russian one. */
static SDL_Keycode meant(const SDL_Keysym *key) {
  static const char places[] = "abcdefghijklmnopqrstuvwxyz1234567890\r\33\b\t -=[]\\\\;'`,./"; /* from SDL_SCANCODE_A on */
  enum { LATIN = 0x250 };                                                                      /* the first letters beyond it */
  const int at = (int)key->scancode - SDL_SCANCODE_A;
  return is_character(key->sym) && key->sym >= LATIN && at >= 0 && at < (int)sizeof places - 1 ? places[at] : key->sym;
}

/* The keypad's other half, while NumLock is off (there is none on macOS). */
static const char *keypad_move(const SDL_KeyboardEvent *key) {
  static const char *const moves[] = {"end", "down", "page down", "left", "", "right", "home", "up", "page up", "insert", "delete"};
  const int at = (int)key->keysym.scancode - SDL_SCANCODE_KP_1;
  return at < 0 || at > 10 || (key->keysym.mod & KMOD_NUM) || on_mac() ? NULL : moves[at];
}

static bool key_of(const cal_window *w, const SDL_KeyboardEvent *key, cal_event *e) {
  const char *move = keypad_move(key), *name = move ? move : sdl.GetKeyName(meant(&key->keysym));
  if (!*name || strlen(name) >= sizeof e->key) return false;
  strcpy(e->key, name);
  for (char *p = e->key; *p; p++)
    if (!(*p & 0x80)) *p = (char)tolower((unsigned char)*p);
  if (strcmp(e->key, "pageup") == 0) strcpy(e->key, "page up");
  if (strcmp(e->key, "pagedown") == 0) strcpy(e->key, "page down");
  e->kind = CAL_EVENT_KEY;
  e->again = key->repeat;
  modifiers_of(e, key->keysym.mod);
  if (w->typing && is_character(key->keysym.sym) && writing(key->keysym.mod)) e->alt = false;
  return true;
}

/* SDL before 2.32 sends the letter of Alt+F and the digit of Ctrl+1 as typed text, too. macOS tells the keys that an input method uses
 * up; elsewhere they do not come. */
static bool key_event(cal_window *w, const SDL_KeyboardEvent *key, cal_event *e) {
  const bool pushed = key->padding3 == PUSHED_KEY;
  if (!pushed) w->mods = key->keysym.mod;
  if (key->type == SDL_KEYUP) return false;
  const bool told = key_of(w, key, e);
  w->chord = !pushed && (e->ctrl || e->alt) && is_character(key->keysym.sym) && !writing(key->keysym.mod);
  return told && !(w->composing && on_mac() && !e->ctrl);
}

static void size_of(const cal_window *w, cal_event *e) {
  double scale;
  memset(e, 0, sizeof *e);
  e->kind = CAL_EVENT_RESIZE;
  cal_window_size(w, &e->width, &e->height, &scale);
}

static bool window_event(cal_window *w, const SDL_WindowEvent *from, cal_event *e) {
  switch (from->event) {
    case SDL_WINDOWEVENT_SIZE_CHANGED:
    case SDL_WINDOWEVENT_DISPLAY_CHANGED:
    case SDL_WINDOWEVENT_MINIMIZED:
    case SDL_WINDOWEVENT_RESTORED:
    case SDL_WINDOWEVENT_MAXIMIZED:
      if (!cal_window_measure(w)) return false;
      size_of(w, e);
      return true;
    case SDL_WINDOWEVENT_FOCUS_GAINED:
    case SDL_WINDOWEVENT_FOCUS_LOST:
      e->kind = CAL_EVENT_FOCUS;
      w->mods = (unsigned)sdl.GetModState();
      w->composing = false;
      e->on = from->event == SDL_WINDOWEVENT_FOCUS_GAINED;
      return true;
    case SDL_WINDOWEVENT_EXPOSED:
    case SDL_WINDOWEVENT_SHOWN: e->kind = CAL_EVENT_EXPOSE; return true;
    default: return false;
  }
}

/* Text that is SDL's own becomes ours, without a raise of memory's cap: what does not fit is not told. */
static bool text_of(cal_event *e, cal_event_kind kind, const char *text) {
  e->kind = kind;
  return text && *text && (e->text = cal_window_utf8(text, NULL)) != NULL;
}

static bool typed(cal_window *w, const char *text, cal_event *e) {
  size_t first = 0;
  const size_t size = strlen(text);
  if (size) cal_utf8_next(text, size, &first);
  const bool of_chord = w->chord && first == size; /* what an input method brings while Ctrl is held is longer, or follows what it edits */
  w->chord = w->composing = false;
  return w->typing && !of_chord && text_of(e, CAL_EVENT_TEXT, text);
}

/* Empty: the input method has ended. */
static bool edited(cal_window *w, const char *text, int start, int length, cal_event *e) {
  w->chord = false;
  w->composing = w->typing && text && *text;
  e->start = start;
  e->length = length;
  e->kind = CAL_EVENT_EDITING;
  if (w->typing) text_of(e, CAL_EVENT_EDITING, text);
  return w->typing;
}

static bool dropped(const SDL_DropEvent *drop, cal_event *e) {
  e->kind = drop->type == SDL_DROPFILE ? CAL_EVENT_PATH : CAL_EVENT_DROP;
  if (drop->file && *drop->file) e->text = e->kind == CAL_EVENT_PATH ? cal_copy_text(drop->file, NULL) : cal_window_utf8(drop->file, NULL);
  if (drop->file) sdl.free(drop->file);
  return e->text != NULL;
}

/* A click takes the cursor elsewhere, and what was composed with it. */
static bool button_event(cal_window *w, const SDL_MouseButtonEvent *from, cal_event *e) {
  e->kind = from->type == SDL_MOUSEBUTTONDOWN ? CAL_EVENT_DOWN : CAL_EVENT_UP;
  e->button = button_of(from->button);
  e->clicks = from->clicks;
  e->x = units(w, from->x), e->y = units(w, from->y);
  mouse_modifiers(w, e, from->which);
  w->composing = w->composing && e->kind == CAL_EVENT_UP;
  return e->button != CAL_BUTTON_NONE;
}

static bool motion_event(const cal_window *w, const SDL_MouseMotionEvent *from, cal_event *e) {
  e->kind = CAL_EVENT_MOVE;
  e->button = held(from->state);
  e->x = units(w, from->x), e->y = units(w, from->y);
  e->dx = units(w, from->xrel), e->dy = units(w, from->yrel);
  mouse_modifiers(w, e, from->which);
  return true;
}

static bool wheel_event(const cal_window *w, const SDL_MouseWheelEvent *from, cal_event *e) {
  int x = from->mouseX, y = from->mouseY;
  if ((from->which & 0xffffff00u) != PUSHED) sdl.GetMouseState(&x, &y); /* SDL before 2.26 does not say where it was */
  e->kind = CAL_EVENT_WHEEL;
  e->x = units(w, x), e->y = units(w, y);
  e->dx = (double)from->preciseX, e->dy = (double)from->preciseY;
  mouse_modifiers(w, e, from->which);
  return e->dx != 0 || e->dy != 0;
}

static bool take(cal_window *w, SDL_Event *from, cal_event *e) {
  bool told;
  memset(e, 0, sizeof *e);
  switch (from->type) {
    case SDL_QUIT: e->kind = CAL_EVENT_QUIT; return true;
    case SDL_KEYDOWN:
    case SDL_KEYUP: return key_event(w, &from->key, e);
    case SDL_TEXTINPUT: return typed(w, from->text.text, e);
    case SDL_TEXTEDITING: return edited(w, from->edit.text, from->edit.start, from->edit.length, e);
    case SDL_TEXTEDITING_EXT:
      told = edited(w, from->editExt.text, from->editExt.start, from->editExt.length, e);
      if (from->editExt.text) sdl.free(from->editExt.text);
      return told;
    case SDL_MOUSEBUTTONDOWN:
    case SDL_MOUSEBUTTONUP: return button_event(w, &from->button, e);
    case SDL_MOUSEMOTION: return motion_event(w, &from->motion, e);
    case SDL_MOUSEWHEEL: return wheel_event(w, &from->wheel, e);
    case SDL_DROPFILE:
    case SDL_DROPTEXT: return dropped(&from->drop, e);
    case SDL_DROPCOMPLETE: e->kind = CAL_EVENT_DROPPED; return true;
    case SDL_WINDOWEVENT: return window_event(w, &from->window, e);
    case SDL_RENDER_TARGETS_RESET: /* what was drawn is gone */
      cal_window_lose_target(w);
      e->kind = CAL_EVENT_EXPOSE;
      return true;
    case SDL_RENDER_DEVICE_RESET: /* so is everything else */
      cal_window_lose_target(w);
      cal_window_lose_textures(w);
      cal_letters_lose(w->letters);
      e->kind = CAL_EVENT_RESET;
      return true;
    default:
      e->kind = CAL_EVENT_QUIT;
      e->signal = w->quit_event != (Uint32)-1 && from->type == w->quit_event;
      return e->signal;
  }
}

/* Each level of Ctrl-C is told once. */
static bool interrupted(cal_window *w, cal_event *e) {
  const int level = cal_interrupt_level();
  if (level <= w->signals) {
    w->signals = level; /* it was cleared since */
    return false;
  }
  w->signals = level;
  memset(e, 0, sizeof *e);
  e->kind = CAL_EVENT_QUIT;
  e->signal = true;
  return true;
}

/* That the display went away is told once. */
static bool lost(cal_window *w, cal_event *e) {
  if (cal_display_look(w) || w->lost) return false;
  memset(e, 0, sizeof *e);
  e->kind = CAL_EVENT_QUIT;
  return w->lost = e->gone = true;
}

bool cal_event_next(cal_window *w, double seconds, cal_event *e) {
  const double end = cal_clock() + seconds;
  SDL_Event from;
  for (;;) {
    if (interrupted(w, e) || lost(w, e)) return true;
    while (sdl.PollEvent(&from))
      if (take(w, &from, e)) return true;
    if (cal_window_measure(w)) return size_of(w, e), true; /* a display's scale may change without an event of ours */
    const double left = end - cal_clock();
    if (seconds >= 0 && left <= 0) return false;
    const int ms = seconds < 0 || left * 1000 > SLICE_MS ? SLICE_MS : left * 1000 < 1 ? 1 : (int)(left * 1000);
    if (w->connection >= 0) cal_display_wait(w, ms); /* Xlib would read from a display that goes away meanwhile, and fall */
    else if (sdl.WaitEventTimeout(&from, ms) && take(w, &from, e)) return true;
  }
}

/* --- To SDL -------------------------------------------------------------------------------------------------------- */
static cal_status push(SDL_Event *event, cal_error *err) {
  const int pushed = sdl.PushEvent(event);
  return pushed < 0 ? cal_fail(err, CAL_E_DEVICE, "the event cannot be pushed: %s", sdl.GetError()) : CAL_OK;
}

static cal_status push_key(cal_window *w, const cal_event *e, cal_error *err) {
  const char *name = strcmp(e->key, "page up") == 0 ? "pageup" : strcmp(e->key, "page down") == 0 ? "pagedown" : e->key;
  const SDL_Keycode code = sdl.GetKeyFromName(name);
  if (code == SDLK_UNKNOWN) return cal_fail(err, CAL_E_ARG, "there is no key '%s': a, left, return, f5, page up, keypad 7 ...", e->key);
  SDL_Event event = {.key = {.type = SDL_KEYDOWN, .windowID = sdl.GetWindowID(w->window), .state = SDL_PRESSED, .repeat = e->again}};
  event.key.padding3 = PUSHED_KEY;
  event.key.keysym.sym = code;
  event.key.keysym.mod = (Uint16)((e->ctrl ? KMOD_LCTRL : 0) | (e->shift ? KMOD_LSHIFT : 0) | (e->alt ? KMOD_LALT : 0));
  return push(&event, err);
}

/* SDL's typed texts have 31 bytes at most; longer ones come in several events, as from a keyboard. */
static cal_status push_text(cal_window *w, const char *text, cal_error *err) {
  cal_status status = CAL_OK;
  for (size_t at = 0, size = strlen(text); !status && at < size;) {
    SDL_Event event = {.text = {.type = SDL_TEXTINPUT, .windowID = sdl.GetWindowID(w->window)}};
    size_t end = at, next = at;
    while (next < size && next - at < sizeof event.text.text - 1) {
      end = next;
      cal_utf8_next(text, size, &next);
      if (next - at <= sizeof event.text.text - 1) end = next;
    }
    memcpy(event.text.text, text + at, end - at);
    at = end;
    status = push(&event, err);
  }
  return status;
}

static cal_status push_owned(SDL_Event *event, char *text, cal_error *err) {
  if (!text) return cal_fail(err, CAL_E_MEMORY, "the event cannot be pushed: no memory for its text");
  cal_status status = push(event, err);
  if (status) sdl.free(text);
  return status;
}

/* The nearest whole number; what no int holds, and no number at all, within what SDL can take. */
static int whole(double v) {
  const double most = 1 << 24;
  return !(v > -most) ? -(1 << 24) : v > most ? 1 << 24 : (int)(v < 0 ? v - 0.5 : v + 0.5);
}

static int places(const cal_window *w, double v) { return whole(v * w->scale / w->ratio); }

cal_status cal_event_push(cal_window *w, const cal_event *e, cal_error *err) {
  static const Uint8 buttons[] = {0, SDL_BUTTON_LEFT, SDL_BUTTON_MIDDLE, SDL_BUTTON_RIGHT};
  const Uint32 id = sdl.GetWindowID(w->window), mouse = PUSHED | (e->ctrl ? CTRL : 0) | (e->shift ? SHIFT : 0) | (e->alt ? ALT : 0);
  const char *text = e->text ? e->text : "";
  SDL_Event event;
  memset(&event, 0, sizeof event);
  switch (e->kind) {
    case CAL_EVENT_KEY: return push_key(w, e, err);
    case CAL_EVENT_TEXT: return push_text(w, text, err);
    case CAL_EVENT_EDITING:
      event.editExt = (SDL_TextEditingExtEvent){.type = SDL_TEXTEDITING_EXT, .windowID = id, .text = sdl.strdup(text)};
      event.editExt.start = e->start;
      event.editExt.length = e->length;
      return push_owned(&event, event.editExt.text, err);
    case CAL_EVENT_DOWN:
    case CAL_EVENT_UP:
      event.button = (SDL_MouseButtonEvent){.type = SDL_MOUSEBUTTONDOWN, .windowID = id, .which = mouse, .state = SDL_PRESSED};
      if (e->kind == CAL_EVENT_UP) event.button.type = SDL_MOUSEBUTTONUP, event.button.state = SDL_RELEASED;
      event.button.button = buttons[e->button];
      event.button.clicks = (Uint8)(e->clicks < 1 ? 1 : e->clicks > 255 ? 255 : e->clicks);
      event.button.x = places(w, e->x), event.button.y = places(w, e->y);
      return push(&event, err);
    case CAL_EVENT_MOVE:
      event.motion = (SDL_MouseMotionEvent){.type = SDL_MOUSEMOTION, .windowID = id, .which = mouse};
      event.motion.state = e->button ? SDL_BUTTON(buttons[e->button]) : 0;
      event.motion.x = places(w, e->x), event.motion.y = places(w, e->y);
      event.motion.xrel = places(w, e->dx), event.motion.yrel = places(w, e->dy);
      return push(&event, err);
    case CAL_EVENT_WHEEL:
      event.wheel = (SDL_MouseWheelEvent){.type = SDL_MOUSEWHEEL, .windowID = id, .which = mouse};
      event.wheel.x = whole(trunc(e->dx)), event.wheel.y = whole(trunc(e->dy));
      event.wheel.preciseX = (float)e->dx, event.wheel.preciseY = (float)e->dy;
      event.wheel.mouseX = places(w, e->x), event.wheel.mouseY = places(w, e->y);
      return push(&event, err);
    case CAL_EVENT_PATH:
    case CAL_EVENT_DROP:
      event.drop =
          (SDL_DropEvent){.type = e->kind == CAL_EVENT_PATH ? SDL_DROPFILE : SDL_DROPTEXT, .windowID = id, .file = sdl.strdup(text)};
      return push_owned(&event, event.drop.file, err);
    case CAL_EVENT_DROPPED: event.drop = (SDL_DropEvent){.type = SDL_DROPCOMPLETE, .windowID = id}; return push(&event, err);
    case CAL_EVENT_RESIZE: {
      const int width = places(w, e->width), height = places(w, e->height);
      if (width < 1 || height < 1 || width > CAL_SIDE_MOST || height > CAL_SIDE_MOST)
        return cal_fail(err, CAL_E_ARG, "a window of %g x %g cannot be", e->width, e->height);
      sdl.SetWindowSize(w->window, width, height);
      return CAL_OK;
    }
    case CAL_EVENT_FOCUS:
    case CAL_EVENT_EXPOSE:
      event.window = (SDL_WindowEvent){.type = SDL_WINDOWEVENT, .windowID = id, .event = SDL_WINDOWEVENT_EXPOSED};
      if (e->kind == CAL_EVENT_FOCUS) event.window.event = e->on ? SDL_WINDOWEVENT_FOCUS_GAINED : SDL_WINDOWEVENT_FOCUS_LOST;
      return push(&event, err);
    case CAL_EVENT_RESET: event.type = SDL_RENDER_DEVICE_RESET; return push(&event, err);
    case CAL_EVENT_QUIT: event.type = e->signal ? w->quit_event : SDL_QUIT; return push(&event, err);
  }
  return cal_fail(err, CAL_E_ARG, "there is no such event");
}
