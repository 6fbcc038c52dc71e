/* l_window.c - native.window: one window, what is drawn in it and what is done to it. */
#include <string.h>

#include "bind/bind.h"
#include "bind/picture.h"
#include "core/image/encode.h"
#include "core/window/canvas.h"
#include "core/window/event.h"
#include "core/window/fonts.h"
#include "core/window/letters.h"
#include "core/window/window.h"

static const char type_name[] = "calotype.window", texture_name[] = "calotype.texture";

static cal_window *check_window(lua_State *L) {
  cal_window **shell = luaL_checkudata(L, 1, type_name);
  luaL_argcheck(L, *shell, 1, "this window is closed");
  return *shell;
}

/* Drawing belongs between w:begin and w:show. */
static cal_window *check_frame(lua_State *L) {
  cal_window *w = check_window(L);
  if (!cal_canvas_begun(w)) luaL_error(L, "nothing is being drawn: w:begin(color) comes first");
  return w;
}

static uint32_t check_color(lua_State *L, int arg) {
  lua_Integer color = luaL_checkinteger(L, arg);
  luaL_argcheck(L, color >= 0 && color <= 0xffffffff, arg, "a colour is 0xRRGGBBAA");
  return (uint32_t)color;
}

static void numbers(lua_State *L, int first, int count, double *out) {
  for (int i = 0; i < count; i++) out[i] = luaL_checknumber(L, first + i);
}

static void set_text(lua_State *L, const char *key, const char *text) { lua_pushstring(L, text), lua_setfield(L, -2, key); }
static void set_number(lua_State *L, const char *key, double n) { lua_pushnumber(L, n), lua_setfield(L, -2, key); }
static void set_integer(lua_State *L, const char *key, lua_Integer n) { lua_pushinteger(L, n), lua_setfield(L, -2, key); }
static void set_boolean(lua_State *L, const char *key, int is) { lua_pushboolean(L, is), lua_setfield(L, -2, key); }

static int finish(lua_State *L, cal_status status, const cal_error *err) {
  if (status) return err->code == CAL_E_ARG ? cal_raise(L, err) : cal_push_refusal(L, err);
  lua_pushboolean(L, 1);
  return 1;
}

/* --- The window ---------------------------------------------------------------------------------------------------- */
/* window.open { title, width, height, least = {width, height} } -> window | nil, message, code */
static int l_open(lua_State *L) {
  cal_error err = {0};
  if (lua_isnoneornil(L, 1)) lua_settop(L, 0), lua_newtable(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  cal_window_options options = {.title = cal_option_text(L, 1, "title", "calotype"),
                                .width = cal_option_number(L, 1, "width", 0),
                                .height = cal_option_number(L, 1, "height", 0)};
  if (lua_getfield(L, 1, "least") != LUA_TNIL) {
    luaL_argcheck(L, lua_istable(L, -1), 1, "option 'least': {width, height} expected");
    lua_rawgeti(L, -1, 1);
    lua_rawgeti(L, -2, 2);
    luaL_argcheck(L, lua_isnumber(L, -1) && lua_isnumber(L, -2), 1, "option 'least': {width, height} expected");
    options.least_width = lua_tonumber(L, -2);
    options.least_height = lua_tonumber(L, -1);
  }
  cal_window **shell = cal_push_shell(L, type_name, sizeof *shell);
  *shell = cal_window_open(&options, &err);
  if (*shell) return 1;
  return err.code == CAL_E_ARG ? cal_raise(L, &err) : cal_push_refusal(L, &err);
}

/* window.display() -> true | nil, message, code: whether a window could be opened. */
static int l_display(lua_State *L) {
  cal_error err = {0};
  return finish(L, cal_window_display(&err), &err);
}

static int l_fonts_free(lua_State *L) {
  cal_fonts **shell = lua_touserdata(L, 1);
  cal_fonts_free(*shell);
  *shell = NULL;
  return 0;
}

static int l_fonts_text(lua_State *L) { return lua_pushliteral(L, "fonts"), 1; }

/* window.fonts() -> { path, ... }: the files that are asked for an upright letter, in their order; without a window. */
static int l_fonts(lua_State *L) {
  cal_error err = {0};
  cal_fonts **shell = cal_push_shell(L, "calotype.window.fonts", sizeof *shell);
  if (!(*shell = cal_fonts_find(&err))) return cal_push_refusal(L, &err);
  lua_createtable(L, (*shell)->lengths[0], 0);
  for (int i = 0; i < (*shell)->lengths[0]; i++) {
    lua_pushstring(L, (*shell)->files[(*shell)->chains[0][i]].path);
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

static int l_size(lua_State *L) {
  double width, height, scale;
  cal_window_size(check_window(L), &width, &height, &scale);
  lua_pushnumber(L, width);
  lua_pushnumber(L, height);
  lua_pushnumber(L, scale);
  return 3;
}

static int l_title(lua_State *L) {
  cal_window_title(check_window(L), luaL_checkstring(L, 2));
  return 0;
}

static int l_renderer(lua_State *L) { return lua_pushstring(L, cal_window_renderer(check_window(L))), 1; }

/* w:clipboard([text]) -> text */
static int l_clipboard(lua_State *L) {
  cal_error err = {0};
  cal_window *w = check_window(L);
  if (!lua_isnoneornil(L, 2)) {
    size_t size;
    const char *text = luaL_checklstring(L, 2, &size);
    luaL_argcheck(L, strlen(text) == size, 2, "a text with a zero byte");
    if (cal_window_clipboard_set(w, text, &err)) return cal_push_refusal(L, &err);
    lua_settop(L, 2);
    return 1;
  }
  char *text = cal_window_clipboard(w, &err);
  if (!text) return cal_push_refusal(L, &err);
  cal_buffer b = {text, strlen(text), strlen(text) + 1, false};
  return cal_push_buffer(L, &b);
}

static int l_cursor(lua_State *L) {
  static const char *const names[] = {"arrow", "hand", "text", "move", "wait", NULL};
  cal_window *w = check_window(L);
  cal_window_cursor(w, (cal_cursor)cal_check_choice(L, 2, NULL, names));
  return 0;
}

static int l_fullscreen(lua_State *L) {
  cal_error err = {0};
  cal_window *w = check_window(L);
  if (!lua_isnoneornil(L, 2) && cal_window_fullscreen(w, lua_toboolean(L, 2), &err)) return cal_push_refusal(L, &err);
  lua_pushboolean(L, cal_window_is_fullscreen(w));
  return 1;
}

static int l_typing(lua_State *L) {
  cal_window *w = check_window(L);
  double n[4] = {0};
  const bool on = !(lua_isboolean(L, 2) && !lua_toboolean(L, 2));
  if (on) numbers(L, 2, 4, n);
  cal_window_typing(w, on, n[0], n[1], n[2], n[3]);
  return 0;
}

/* w:screenshot() -> picture; w:screenshot(path) -> true; what was shown last */
static int l_screenshot(lua_State *L) {
  cal_error err = {0};
  cal_window *w = check_window(L);
  const char *path = luaL_optstring(L, 2, NULL);
  cal_image *im = cal_window_screenshot(w, &err);
  if (!im || !path) return cal_push_picture(L, im, &err);
  cal_status status = cal_image_save(im, cal_bind_fs(L), path, NULL, &err);
  cal_image_free(im);
  return finish(L, status, &err);
}

/* --- Events -------------------------------------------------------------------------------------------------------- */
static const char *const kinds[] = {
    [CAL_EVENT_KEY] = "key",       [CAL_EVENT_TEXT] = "text",       [CAL_EVENT_EDITING] = "editing", [CAL_EVENT_DOWN] = "mouse",
    [CAL_EVENT_UP] = "mouse",      [CAL_EVENT_MOVE] = "mouse",      [CAL_EVENT_WHEEL] = "mouse",     [CAL_EVENT_PATH] = "drop",
    [CAL_EVENT_DROP] = "drop",     [CAL_EVENT_DROPPED] = "dropped", [CAL_EVENT_RESIZE] = "resize",   [CAL_EVENT_FOCUS] = "focus",
    [CAL_EVENT_EXPOSE] = "expose", [CAL_EVENT_RESET] = "reset",     [CAL_EVENT_QUIT] = "quit"};
static const char *const whats[] = {"down", "up", "move", "wheel"};
static const char *const buttons[] = {"", "left", "middle", "right"};

typedef struct {
  cal_event event;
} event_shell;

static int l_event_free(lua_State *L) {
  event_shell *shell = lua_touserdata(L, 1);
  cal_event_free(&shell->event);
  return 0;
}

static int l_event_text(lua_State *L) { return lua_pushliteral(L, "event"), 1; }

static void push_event(lua_State *L, const cal_event *e) {
  lua_createtable(L, 0, 10);
  set_text(L, "kind", kinds[e->kind]);
  switch (e->kind) {
    case CAL_EVENT_KEY:
      set_text(L, "key", e->key);
      set_boolean(L, "again", e->again);
      break;
    case CAL_EVENT_EDITING:
      set_integer(L, "start", e->start);
      set_integer(L, "length", e->length);
      set_text(L, "text", e->text ? e->text : "");
      break;
    case CAL_EVENT_TEXT:
    case CAL_EVENT_DROP: set_text(L, "text", e->text); break;
    case CAL_EVENT_PATH: set_text(L, "path", e->text); break;
    case CAL_EVENT_DOWN:
    case CAL_EVENT_UP: set_integer(L, "clicks", e->clicks); break;
    case CAL_EVENT_MOVE:
    case CAL_EVENT_WHEEL:
      set_number(L, "dx", e->dx);
      set_number(L, "dy", e->dy);
      break;
    case CAL_EVENT_RESIZE:
      set_number(L, "width", e->width);
      set_number(L, "height", e->height);
      break;
    case CAL_EVENT_FOCUS: set_boolean(L, "on", e->on); break;
    case CAL_EVENT_QUIT:
      if (e->signal) set_boolean(L, "signal", 1);
      if (e->gone) set_boolean(L, "gone", 1);
      break;
    default: break;
  }
  const bool mouse = e->kind >= CAL_EVENT_DOWN && e->kind <= CAL_EVENT_WHEEL;
  if (mouse) {
    set_text(L, "what", whats[e->kind - CAL_EVENT_DOWN]);
    set_number(L, "x", e->x);
    set_number(L, "y", e->y);
    if (e->button) set_text(L, "button", buttons[e->button]);
  }
  if (mouse || e->kind == CAL_EVENT_KEY) {
    set_boolean(L, "ctrl", e->ctrl);
    set_boolean(L, "shift", e->shift);
    set_boolean(L, "alt", e->alt);
  }
}

/* w:event(seconds) -> event | nil */
static int l_event(lua_State *L) {
  cal_window *w = check_window(L);
  const double seconds = luaL_optnumber(L, 2, 0);
  luaL_argcheck(L, seconds >= 0, 2, "seconds to wait: 0 or more");
  event_shell *shell = cal_push_shell(L, "calotype.window.event", sizeof *shell);
  if (!cal_event_next(w, seconds, &shell->event)) return 0;
  push_event(L, &shell->event);
  cal_event_free(&shell->event);
  return 1;
}

static int one_of(lua_State *L, const char *key, const char *text, const char *const names[], int count) {
  for (int i = 0; text && i < count; i++)
    if (names[i] && strcmp(names[i], text) == 0) return i;
  return luaL_error(L, "an event's '%s' is '%s': there is none", key, text ? text : "nil");
}

/* w:push(event) -> true | nil, message, code */
static int l_push(lua_State *L) {
  cal_error err = {0};
  cal_window *w = check_window(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  cal_event e = {.ctrl = cal_option_boolean(L, 2, "ctrl", 0),
                 .shift = cal_option_boolean(L, 2, "shift", 0),
                 .alt = cal_option_boolean(L, 2, "alt", 0),
                 .again = cal_option_boolean(L, 2, "again", 0),
                 .on = cal_option_boolean(L, 2, "on", 1),
                 .signal = cal_option_boolean(L, 2, "signal", 0),
                 .x = cal_option_number(L, 2, "x", 0),
                 .y = cal_option_number(L, 2, "y", 0),
                 .dx = cal_option_number(L, 2, "dx", 0),
                 .dy = cal_option_number(L, 2, "dy", 0),
                 .width = cal_option_number(L, 2, "width", 0),
                 .height = cal_option_number(L, 2, "height", 0),
                 .clicks = (int)cal_option_integer(L, 2, "clicks", 1),
                 .start = (int)cal_option_integer(L, 2, "start", 0),
                 .length = (int)cal_option_integer(L, 2, "length", 0)};
  e.kind = (cal_event_kind)one_of(L, "kind", cal_option_text(L, 2, "kind", NULL), kinds, (int)(sizeof kinds / sizeof *kinds));
  const char *text = cal_option_text(L, 2, "text", NULL), *path = cal_option_text(L, 2, "path", NULL);
  const char *key = cal_option_text(L, 2, "key", "");
  if (e.kind == CAL_EVENT_DOWN) {
    e.kind = (cal_event_kind)(CAL_EVENT_DOWN + one_of(L, "what", cal_option_text(L, 2, "what", NULL), whats, 4));
    const char *other = e.kind == CAL_EVENT_DOWN || e.kind == CAL_EVENT_UP ? "left" : "";
    e.button = (cal_button)one_of(L, "button", cal_option_text(L, 2, "button", other), buttons, 4);
    luaL_argcheck(L, e.button || e.kind > CAL_EVENT_UP, 2, "an event's 'button': left, middle or right");
  }
  if (e.kind == CAL_EVENT_PATH && !path) e.kind = CAL_EVENT_DROP;
  if (e.kind == CAL_EVENT_PATH) text = path;
  luaL_argcheck(L, text || !(e.kind == CAL_EVENT_TEXT || e.kind == CAL_EVENT_DROP), 2, "an event's 'text' is missing");
  luaL_argcheck(L, strlen(key) < sizeof e.key, 2, "an event's 'key' is too long");
  strcpy(e.key, key);
  e.text = (char *)(uintptr_t)text; /* read only, and kept by the table */
  return finish(L, cal_event_push(w, &e, &err), &err);
}

/* --- Drawing ------------------------------------------------------------------------------------------------------- */
static int l_begin(lua_State *L) {
  cal_window *w = check_window(L);
  if (cal_canvas_begun(w)) return luaL_error(L, "a frame is being drawn already: w:show() ends it");
  cal_canvas_begin(w, check_color(L, 2));
  return 0;
}

static int l_show(lua_State *L) {
  cal_canvas_show(check_frame(L));
  return 0;
}

static int l_fill(lua_State *L) {
  double n[4];
  cal_window *w = check_frame(L);
  numbers(L, 2, 4, n);
  cal_canvas_fill(w, n[0], n[1], n[2], n[3], check_color(L, 6));
  return 0;
}

static int l_frame(lua_State *L) {
  double n[4];
  cal_window *w = check_frame(L);
  numbers(L, 2, 4, n);
  cal_canvas_frame(w, n[0], n[1], n[2], n[3], check_color(L, 6), luaL_optnumber(L, 7, 1));
  return 0;
}

static int l_round(lua_State *L) {
  double n[5];
  cal_window *w = check_frame(L);
  numbers(L, 2, 5, n);
  cal_canvas_round(w, n[0], n[1], n[2], n[3], n[4], check_color(L, 7));
  return 0;
}

static int l_line(lua_State *L) {
  double n[4];
  cal_window *w = check_frame(L);
  numbers(L, 2, 4, n);
  cal_canvas_lines(w, n, 2, check_color(L, 6), luaL_optnumber(L, 7, 1));
  return 0;
}

/* w:polyline({x1, y1, x2, y2, ...}, color [, thickness]) */
static int l_polyline(lua_State *L) {
  cal_window *w = check_frame(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  const uint32_t color = check_color(L, 3);
  const double thickness = luaL_optnumber(L, 4, 1);
  const size_t count = lua_rawlen(L, 2);
  luaL_argcheck(L, count % 2 == 0 && count <= 1 << 20, 2, "pairs of x and y expected");
  double *xy = lua_newuserdatauv(L, (count + 1) * sizeof *xy, 0);
  for (size_t i = 0; i < count; i++) {
    int fits;
    lua_rawgeti(L, 2, (lua_Integer)i + 1);
    xy[i] = lua_tonumberx(L, -1, &fits);
    luaL_argcheck(L, fits, 2, "pairs of x and y expected");
    lua_pop(L, 1);
  }
  cal_canvas_lines(w, xy, count / 2, color, thickness);
  return 0;
}

static int l_clip(lua_State *L) {
  cal_window *w = check_frame(L);
  double n[4];
  if (lua_isnoneornil(L, 2)) cal_canvas_clip(w, NULL);
  else {
    numbers(L, 2, 4, n);
    cal_canvas_clip(w, &(cal_area){n[0], n[1], n[2], n[3]});
  }
  return 0;
}

/* --- Text ---------------------------------------------------------------------------------------------------------- */
static cal_letter_style style_at(lua_State *L, int arg) {
  cal_letter_style style = {.size = cal_option_number(L, arg, "size", 14),
                            .bold = cal_option_boolean(L, arg, "bold", 0),
                            .mono = cal_option_boolean(L, arg, "mono", 0)};
  luaL_argcheck(L, style.size >= 4 && style.size <= 256, arg, "option 'size': 4 to 256");
  return style;
}

/* w:text(x, y, text, {size = 14, color = 0x000000ff, bold, mono}) -> advance */
static int l_text(lua_State *L) {
  double n[2];
  size_t size;
  cal_window *w = check_frame(L);
  numbers(L, 2, 2, n);
  const char *text = luaL_checklstring(L, 4, &size);
  const cal_letter_style style = style_at(L, 5);
  uint32_t color = 0x000000ff;
  if (!lua_isnoneornil(L, 5) && lua_getfield(L, 5, "color") != LUA_TNIL) color = check_color(L, lua_gettop(L));
  lua_pushnumber(L, cal_letters_draw(w, n[0], n[1], text, size, &style, color));
  return 1;
}

static int l_advances(lua_State *L) {
  size_t size;
  cal_window *w = check_window(L);
  const char *text = luaL_checklstring(L, 2, &size);
  const cal_letter_style style = style_at(L, 3);
  double *list = lua_newuserdatauv(L, (size + 1) * sizeof *list, 0);
  const size_t count = cal_letters_advances(w, text, size, &style, list);
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    lua_pushnumber(L, list[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* w:line_height(size or {size, bold, mono}) */
static int l_line_height(lua_State *L) {
  cal_window *w = check_window(L);
  cal_letter_style style = {.size = 14};
  if (lua_isnumber(L, 2)) {
    style.size = lua_tonumber(L, 2);
    luaL_argcheck(L, style.size >= 4 && style.size <= 256, 2, "a size is 4 to 256");
  } else style = style_at(L, 2);
  lua_pushnumber(L, cal_letters_height(w, &style));
  return 1;
}

/* --- Pictures ------------------------------------------------------------------------------------------------------ */
static cal_texture *check_texture(lua_State *L, int arg) {
  cal_texture **shell = luaL_checkudata(L, arg, texture_name);
  luaL_argcheck(L, *shell, arg, "this texture is closed");
  return *shell;
}

static int l_texture(lua_State *L) {
  cal_error err = {0};
  cal_window *w = check_window(L);
  const cal_image *im = cal_check_picture(L, 2);
  cal_texture **shell = cal_push_shell(L, texture_name, sizeof *shell);
  *shell = cal_texture_new(w, im, &err);
  return *shell ? 1 : cal_push_refusal(L, &err);
}

/* w:picture(texture, x, y, width, height [, sx, sy, swidth, sheight]) -> false when the texture is lost */
static int l_picture(lua_State *L) {
  double n[8];
  cal_window *w = check_frame(L);
  cal_texture *t = check_texture(L, 2);
  const bool part = !lua_isnoneornil(L, 7);
  numbers(L, 3, part ? 8 : 4, n);
  const cal_area from = part ? (cal_area){n[4], n[5], n[6], n[7]} : (cal_area){0};
  lua_pushboolean(L, cal_canvas_picture(w, t, &(cal_area){n[0], n[1], n[2], n[3]}, part ? &from : NULL));
  return 1;
}

static int l_texture_size(lua_State *L) {
  int width, height;
  cal_texture_size(check_texture(L, 1), &width, &height);
  lua_pushinteger(L, width);
  lua_pushinteger(L, height);
  return 2;
}

static int l_texture_bytes(lua_State *L) { return lua_pushinteger(L, (lua_Integer)cal_texture_bytes(check_texture(L, 1))), 1; }

static int l_texture_close(lua_State *L) {
  cal_texture **shell = luaL_checkudata(L, 1, texture_name);
  cal_texture_free(*shell);
  *shell = NULL;
  return 0;
}

static int l_texture_text(lua_State *L) {
  cal_texture **shell = luaL_checkudata(L, 1, texture_name);
  int width, height;
  if (!*shell) return lua_pushliteral(L, "texture (closed)"), 1;
  cal_texture_size(*shell, &width, &height);
  lua_pushfstring(L, cal_texture_bytes(*shell) ? "texture of %d x %d" : "texture of %d x %d (lost)", width, height);
  return 1;
}

static int l_close(lua_State *L) {
  cal_window **shell = luaL_checkudata(L, 1, type_name);
  cal_window_close(*shell);
  *shell = NULL;
  return 0;
}

static int l_window_text(lua_State *L) {
  cal_window **shell = luaL_checkudata(L, 1, type_name);
  return lua_pushstring(L, *shell ? "window" : "window (closed)"), 1;
}

int luaopen_cal_window(lua_State *L);
int luaopen_cal_window(lua_State *L) {
  static const luaL_Reg methods[] = {{"size", l_size},
                                     {"title", l_title},
                                     {"renderer", l_renderer},
                                     {"clipboard", l_clipboard},
                                     {"cursor", l_cursor},
                                     {"fullscreen", l_fullscreen},
                                     {"typing", l_typing},
                                     {"screenshot", l_screenshot},
                                     {"event", l_event},
                                     {"push", l_push},
                                     {"begin", l_begin},
                                     {"show", l_show},
                                     {"fill", l_fill},
                                     {"frame", l_frame},
                                     {"round", l_round},
                                     {"line", l_line},
                                     {"polyline", l_polyline},
                                     {"clip", l_clip},
                                     {"text", l_text},
                                     {"advances", l_advances},
                                     {"line_height", l_line_height},
                                     {"texture", l_texture},
                                     {"picture", l_picture},
                                     {"close", l_close},
                                     {NULL, NULL}};
  static const luaL_Reg texture_methods[] = {
      {"size", l_texture_size}, {"bytes", l_texture_bytes}, {"close", l_texture_close}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"open", l_open}, {"display", l_display}, {"fonts", l_fonts}, {NULL, NULL}};
  cal_register_type(L, type_name, methods, l_close, l_window_text);
  cal_register_type(L, texture_name, texture_methods, l_texture_close, l_texture_text);
  cal_register_type(L, "calotype.window.event", (const luaL_Reg[]){{NULL, NULL}}, l_event_free, l_event_text);
  cal_register_type(L, "calotype.window.fonts", (const luaL_Reg[]){{NULL, NULL}}, l_fonts_free, l_fonts_text);
  luaL_newlib(L, functions);
  return 1;
}
