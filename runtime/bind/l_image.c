/* l_image.c - native.image: pictures as Lua values. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "bind/bind.h"
#include "bind/picture.h"
#include "bind/runtime.h"
#include "core/image/decode.h"
#include "core/image/draw.h"
#include "core/image/encode.h"
#include "core/image/floats.h"
#include "core/image/for_server.h"
#include "core/image/hash.h"
#include "core/image/measure.h"
#include "core/image/resize.h"
#include "core/image/text.h"

static const char type_name[] = "calotype.image";

cal_image *cal_check_picture(lua_State *L, int arg) {
  cal_image **shell = luaL_checkudata(L, arg, type_name);
  luaL_argcheck(L, *shell, arg, "this picture is closed");
  return *shell;
}

static cal_image *check_image(lua_State *L, int arg) { return cal_check_picture(L, arg); }
int luaopen_cal_image(lua_State *L);
static cal_image **new_image(lua_State *L) { return cal_push_shell(L, type_name, sizeof(cal_image *)); }

static int check_int(lua_State *L, int arg) {
  lua_Integer value = luaL_checkinteger(L, arg);
  luaL_argcheck(L, value >= -0x40000000 && value <= 0x40000000, arg, "the number is too large");
  return (int)value;
}

enum { PIXELS_PER_LUA = 4 }; /* pictures may hold this many times what Lua may */

static void drop(lua_State *L, cal_image **shell) {
  if (*shell) cal_runtime_of(L)->pictures -= cal_image_size(*shell);
  cal_image_free(*shell);
  *shell = NULL;
}

/* The picture on top of the stack is counted. Lua knows a shell of 8 bytes only: before there are too many, those that
 * nobody needs go. False, and the picture is freed, when even then there are too many. */
static bool count_picture(lua_State *L, cal_error *err) {
  cal_runtime *rt = cal_runtime_of(L);
  cal_image **shell = lua_touserdata(L, -1);
  const size_t most = PIXELS_PER_LUA * rt->cap;
  rt->pictures += cal_image_size(*shell);
  if (rt->pictures > most) lua_gc(L, LUA_GCCOLLECT);
  if (rt->pictures <= most) return true;
  cal_fail(err, CAL_E_MEMORY, "pictures hold %zu MB, more than the %zu that a script may: let go of some, or raise CALOTYPE_MEMORY",
           rt->pictures >> 20, most >> 20);
  drop(L, shell);
  return false;
}

/* Wrong sizes and crops are misuse and raise; everything else about memory and files is the world's. */
static int finish(lua_State *L, const cal_image *out, cal_error *err) {
  if (out && count_picture(L, err)) { /* tell the collector what hangs on the shell */
    lua_gc(L, LUA_GCSTEP, (int)(cal_image_size(out) >> 10));
    return 1;
  }
  return err->code == CAL_E_ARG ? cal_raise(L, err) : cal_push_refusal(L, err);
}

/* In a program that has asked for native.image nowhere its type is not known yet. What the shell needs may be refused by the memory's cap,
 * which raises: the picture is then still its owner's. */
static int push_picture(lua_State *L) {
  if (luaL_getmetatable(L, type_name) == LUA_TNIL) luaopen_cal_image(L);
  cal_image **given = lua_touserdata(L, 1), **out = new_image(L);
  *out = *given;
  *given = NULL;
  return 1;
}

int cal_push_picture(lua_State *L, cal_image *im, cal_error *err) {
  if (!im) return finish(L, NULL, err);
  lua_pushcfunction(L, push_picture);
  lua_pushlightuserdata(L, &im);
  if (lua_pcall(L, 1, 1, 0)) {
    cal_image_free(im);
    return lua_error(L);
  }
  return finish(L, *(cal_image **)lua_touserdata(L, -1), err);
}

/* {r, g, b [, a]} with 0 .. 255 each; alpha 255 when absent. Returns how many numbers were given. */
static int check_color(lua_State *L, int arg, unsigned char color[4]) {
  luaL_checktype(L, arg, LUA_TTABLE);
  color[3] = 255;
  int count = 0;
  for (; count < 4; count++) {
    int type = lua_rawgeti(L, arg, count + 1);
    if (type == LUA_TNIL) {
      lua_pop(L, 1);
      break;
    }
    lua_Number v = lua_tonumber(L, -1);
    luaL_argcheck(L, type == LUA_TNUMBER && v >= 0 && v <= 255, arg, "a colour is {r, g, b [, a]} with numbers from 0 to 255");
    color[count] = (unsigned char)(v + 0.5);
    lua_pop(L, 1);
  }
  luaL_argcheck(L, count >= 3, arg, "a colour is {r, g, b [, a]} with numbers from 0 to 255");
  return count;
}

/* image.new(w, h [, {r, g, b [, a]}]): with an alpha in the colour the picture has 4 channels. */
static int l_new(lua_State *L) {
  cal_error err = {0};
  int w = check_int(L, 1), h = check_int(L, 2), given = 3;
  unsigned char color[4] = {0, 0, 0, 255};
  if (!lua_isnoneornil(L, 3)) given = check_color(L, 3, color);
  cal_image **out = new_image(L);
  *out = cal_image_new(w, h, given, &err);
  for (size_t i = 0, n = *out ? cal_image_size(*out) : 0; i < n; i += (size_t)given) memcpy((*out)->pixels + i, color, (size_t)given);
  return finish(L, *out, &err);
}

static cal_image_hint hint_at(lua_State *L, int arg) {
  lua_Integer side = cal_option_integer(L, arg, "min_side", 0), most = cal_option_integer(L, arg, "max_pixels", 0);
  luaL_argcheck(L, side >= 0 && side <= CAL_IMAGE_SIDE, arg, "option 'min_side': 0 to a million pixels");
  luaL_argcheck(L, most >= 0, arg, "option 'max_pixels': 0 (the default) or more");
  return (cal_image_hint){.min_side = (int)side, .max_pixels = most};
}

static int l_load(lua_State *L) {
  cal_error err = {0};
  const char *path = luaL_checkstring(L, 1);
  cal_image_hint hint = hint_at(L, 2);
  cal_image **out = new_image(L);
  *out = cal_image_load(cal_bind_fs(L), path, &hint, NULL, &err);
  return finish(L, *out, &err);
}

/* image.decode(bytes, name [, options]): `name` stands in messages. */
static int l_decode(lua_State *L) {
  cal_error err = {0};
  size_t size;
  const char *bytes = luaL_checklstring(L, 1, &size), *name = luaL_optstring(L, 2, "picture");
  cal_image_hint hint = hint_at(L, 3);
  cal_image **out = new_image(L);
  *out = cal_image_decode(bytes, size, name, &hint, NULL, &err);
  return finish(L, *out, &err);
}

static void set_integer(lua_State *L, const char *key, lua_Integer value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, key);
}

static int l_probe(lua_State *L) {
  cal_error err = {0};
  cal_image_info info;
  if (cal_image_probe(cal_bind_fs(L), luaL_checkstring(L, 1), &info, &err)) return cal_push_refusal(L, &err);
  lua_createtable(L, 0, 6);
  set_integer(L, "bits", info.bits);
  set_integer(L, "samples", info.samples);
  set_integer(L, "width", cal_image_shown_width(&info));
  set_integer(L, "height", cal_image_shown_height(&info));
  set_integer(L, "orientation", info.orientation);
  lua_pushstring(L, cal_image_format_name(info.format));
  lua_setfield(L, -2, "format");
  if (info.profile[0]) lua_pushstring(L, info.profile), lua_setfield(L, -2, "profile");
  return 1;
}

static int l_width(lua_State *L) { return lua_pushinteger(L, check_image(L, 1)->width), 1; }
static int l_height(lua_State *L) { return lua_pushinteger(L, check_image(L, 1)->height), 1; }
static int l_channels(lua_State *L) { return lua_pushinteger(L, check_image(L, 1)->channels), 1; }

static unsigned char *check_pixel(lua_State *L, const cal_image *im) {
  lua_Integer x = luaL_checkinteger(L, 2), y = luaL_checkinteger(L, 3);
  if (x < 0 || y < 0 || x >= im->width || y >= im->height)
    luaL_error(L, "pixel %I, %I is outside; columns go from 0 to %d, rows from 0 to %d", (LUAI_UACINT)x, (LUAI_UACINT)y, im->width - 1,
               im->height - 1);
  return cal_image_at(im, (int)x, (int)y);
}

/* im:get(x, y) -> r, g, b, a, counted from 0 at the top left. */
static int l_get(lua_State *L) {
  const cal_image *im = check_image(L, 1);
  const unsigned char *p = check_pixel(L, im);
  for (int k = 0; k < 3; k++) lua_pushinteger(L, im->channels == 1 ? p[0] : p[k]);
  lua_pushinteger(L, im->channels == 4 ? p[3] : 255);
  return 4;
}

static int l_set(lua_State *L) {
  const cal_image *im = check_image(L, 1);
  unsigned char *p = check_pixel(L, im), color[4];
  check_color(L, 4, color);
  if (im->channels == 1) *p = cal_image_luma(color);
  else memcpy(p, color, (size_t)im->channels);
  lua_settop(L, 1);
  return 1;
}

static int l_bytes(lua_State *L) {
  const cal_image *im = check_image(L, 1);
  lua_pushlstring(L, (const char *)im->pixels, cal_image_size(im));
  return 1;
}

static int l_copy(lua_State *L) {
  cal_error err = {0};
  const cal_image *im = check_image(L, 1);
  cal_image **out = new_image(L);
  *out = cal_image_copy(im, &err);
  return finish(L, *out, &err);
}

static int l_resize(lua_State *L) {
  static const char *const filters[] = {"lanczos", "area", "bilinear", "bicubic", NULL};
  cal_error err = {0};
  const cal_image *im = check_image(L, 1);
  int w = check_int(L, 2), h = check_int(L, 3), filter = cal_check_choice(L, 4, "lanczos", filters);
  cal_image **out = new_image(L);
  *out = cal_image_resize(im, w, h, (cal_filter)filter, &err);
  return finish(L, *out, &err);
}

static int l_crop(lua_State *L) {
  cal_error err = {0};
  const cal_image *im = check_image(L, 1);
  int x = check_int(L, 2), y = check_int(L, 3), w = check_int(L, 4), h = check_int(L, 5);
  cal_image **out = new_image(L);
  *out = cal_image_crop(im, x, y, w, h, &err);
  return finish(L, *out, &err);
}

static int l_flip(lua_State *L) {
  cal_error err = {0};
  const cal_image *im = check_image(L, 1);
  cal_image **out = new_image(L);
  *out = cal_image_flip(im, &err);
  return finish(L, *out, &err);
}

/* im:rotate(quarter_turns), clockwise. */
static int l_rotate(lua_State *L) {
  cal_error err = {0};
  const cal_image *im = check_image(L, 1);
  int turns = check_int(L, 2);
  cal_image **out = new_image(L);
  *out = cal_image_rotate(im, turns, &err);
  return finish(L, *out, &err);
}

static int l_gray(lua_State *L) {
  cal_error err = {0};
  const cal_image *im = check_image(L, 1);
  cal_image **out = new_image(L);
  *out = cal_image_gray(im, &err);
  return finish(L, *out, &err);
}

static int l_rgb(lua_State *L) {
  cal_error err = {0};
  const cal_image *im = check_image(L, 1);
  unsigned char background[4] = {255, 255, 255, 255};
  if (!lua_isnoneornil(L, 2)) check_color(L, 2, background);
  cal_image **out = new_image(L);
  *out = cal_image_rgb(im, background, &err);
  return finish(L, *out, &err);
}

/* The options' text = {key = value} as a list sorted by key, in a userdata that stays on the stack; strings live in the table. */
static cal_encode_options encode_options(lua_State *L, int arg) {
  cal_encode_options options = {.quality = (int)cal_option_integer(L, arg, "quality", 95)};
  luaL_argcheck(L, options.quality >= 1 && options.quality <= 100, arg, "option 'quality': 1 to 100");
  if (lua_isnoneornil(L, arg) || lua_getfield(L, arg, "text") == LUA_TNIL) return options;
  luaL_argcheck(L, lua_istable(L, -1), arg, "option 'text': table expected");
  const int table = lua_gettop(L);
  size_t count = 0;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) count++;
  cal_png_text *list = lua_newuserdatauv(L, (count + 1) * sizeof *list, 0);
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    luaL_argcheck(L, lua_type(L, -2) == LUA_TSTRING && lua_type(L, -1) == LUA_TSTRING, arg,
                  "option 'text': {key = \"value\"} with strings only");
    size_t size, at = options.text_count++;
    cal_png_text entry = {lua_tostring(L, -2), lua_tolstring(L, -1, &size)};
    luaL_argcheck(L, strlen(entry.value) == size, arg, "option 'text': a value with a zero byte");
    for (; at > 0 && strcmp(list[at - 1].key, entry.key) > 0; at--) list[at] = list[at - 1];
    list[at] = entry;
  }
  options.text = list;
  return options;
}

static int l_encode(lua_State *L) {
  static const char *const formats[] = {"png", "jpeg", NULL};
  cal_error err = {0};
  const cal_image *im = check_image(L, 1);
  cal_image_format format = cal_check_choice(L, 2, NULL, formats) ? CAL_IMAGE_JPEG : CAL_IMAGE_PNG;
  cal_encode_options options = encode_options(L, 3);
  cal_buffer bytes = {0};
  if (cal_image_encode(im, format, &options, &bytes, &err)) {
    cal_buffer_free(&bytes);
    return finish(L, NULL, &err);
  }
  return cal_push_buffer(L, &bytes);
}

/* image.for_server(path [, {largest_bytes, largest_side, formats = {"jpeg", "png", "webp"}}]) -> bytes, mime */
static int l_for_server(lua_State *L) {
  static const char *const names[] = {"jpeg", "png", "webp", NULL};
  static const cal_image_format formats[] = {CAL_IMAGE_JPEG, CAL_IMAGE_PNG, CAL_IMAGE_WEBP};
  cal_error err = {0};
  const char *path = luaL_checkstring(L, 1), *mime;
  lua_Integer bytes = cal_option_integer(L, 2, "largest_bytes", 0), side = cal_option_integer(L, 2, "largest_side", 0);
  luaL_argcheck(L, bytes >= 0, 2, "option 'largest_bytes': 4096 or more");
  luaL_argcheck(L, side >= 0 && side <= CAL_IMAGE_SIDE, 2, "option 'largest_side': 64 pixels to a million");
  cal_for_server options = {.largest_bytes = (size_t)bytes, .largest_side = (int)side};
  if (!lua_isnoneornil(L, 2) && lua_getfield(L, 2, "formats") != LUA_TNIL) {
    luaL_argcheck(L, lua_istable(L, -1), 2, "option 'formats': a list of jpeg, png, webp");
    for (lua_Integer i = 1, count = luaL_len(L, -1); i <= count; i++, lua_pop(L, 1)) {
      const char *name = lua_rawgeti(L, -1, i) == LUA_TSTRING ? lua_tostring(L, -1) : "";
      int k = 0;
      while (names[k] && strcmp(names[k], name) != 0) k++;
      luaL_argcheck(L, names[k], 2, "option 'formats': a list of jpeg, png, webp");
      options.formats |= 1u << formats[k];
    }
    options.formats |= 1u << CAL_IMAGE_JPEG; /* an empty list, too */
  }
  cal_buffer out = {0};
  if (cal_image_for_server(cal_bind_fs(L), path, &options, &out, &mime, &err)) {
    cal_buffer_free(&out);
    return finish(L, NULL, &err);
  }
  cal_push_buffer(L, &out);
  lua_pushstring(L, mime);
  return 2;
}

/* im:save(path [, {quality, text, progress = "what the bar says"}]): with progress Ctrl-C stops it -> true | nil, message, code */
static int l_save(lua_State *L) {
  cal_error err = {0};
  const cal_image *im = check_image(L, 1);
  const char *path = luaL_checkstring(L, 2), *label = cal_option_text(L, 3, "progress", NULL);
  cal_encode_options options = encode_options(L, 3);
  if (label) options.progress = cal_progress_new(label, (size_t)im->height);
  cal_status status = cal_image_save(im, cal_bind_fs(L), path, &options, &err);
  cal_progress_free(options.progress);
  if (status) return finish(L, NULL, &err);
  lua_pushboolean(L, 1);
  return 1;
}

/* --- Numbers ------------------------------------------------------------------------------------------------------- */
static void push_hash(lua_State *L, uint64_t hash) {
  char hex[17];
  snprintf(hex, sizeof hex, "%016llx", (unsigned long long)hash);
  lua_pushstring(L, hex);
}

static int l_hash(lua_State *L) {
  cal_error err = {0};
  uint64_t hashes[CAL_HASH_VARIANTS];
  if (cal_image_hash(check_image(L, 1), hashes, &err)) return cal_push_refusal(L, &err);
  push_hash(L, hashes[0]);
  return 1;
}

static void push_value(lua_State *L, const cal_measure_row *row, double value) {
  if (row->flag) lua_pushboolean(L, value != 0);
  else lua_pushnumber(L, value);
}

/* im:measure(): a file's format and orientation are known to image.probe, not to a picture in memory. */
static int l_measure(lua_State *L) {
  cal_error err = {0};
  cal_measures m;
  if (cal_image_measure(check_image(L, 1), NULL, &m, &err)) return cal_push_refusal(L, &err);
  lua_newtable(L);
  set_integer(L, "width", m.width);
  set_integer(L, "height", m.height);
  push_hash(L, m.hashes[0]);
  lua_setfield(L, -2, "phash");
  lua_createtable(L, CAL_HASH_VARIANTS, 0);
  for (int k = 0; k < CAL_HASH_VARIANTS; k++) {
    push_hash(L, m.hashes[k]);
    lua_rawseti(L, -2, k + 1);
  }
  lua_setfield(L, -2, "phashes");
  const double *value = m.values;
  const cal_measure_row *row;
  for (int i = 0; (row = cal_measure_row_at(i)); i++, value += row->count) {
    if (row->parts) lua_newtable(L);
    for (int k = 0; row->parts && k < row->count; k++) {
      push_value(L, row, value[k]);
      lua_setfield(L, -2, row->parts[k]);
    }
    if (!row->parts) push_value(L, row, *value);
    lua_setfield(L, -2, row->name);
  }
  return 1;
}

/* --- Drawing: each changes the picture and returns it -------------------------------------------------------------- */
static int drawn(lua_State *L, cal_status status, cal_error *err) {
  if (status) return finish(L, NULL, err);
  lua_settop(L, 1);
  return 1;
}

/* im:fill_polygon({x, y, x, y, ...}, color) */
static int l_fill_polygon(lua_State *L) {
  cal_error err = {0};
  cal_image *im = check_image(L, 1);
  unsigned char color[4];
  luaL_checktype(L, 2, LUA_TTABLE);
  check_color(L, 3, color);
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
  return drawn(L, cal_draw_polygon(im, xy, count / 2, color, &err), &err);
}

static int l_circle(lua_State *L) {
  cal_error err = {0};
  unsigned char color[4];
  cal_image *im = check_image(L, 1);
  check_color(L, 5, color);
  return drawn(L, cal_draw_circle(im, luaL_checknumber(L, 2), luaL_checknumber(L, 3), luaL_checknumber(L, 4), color, &err), &err);
}

static int l_ellipse(lua_State *L) {
  cal_error err = {0};
  unsigned char color[4];
  double n[5];
  cal_image *im = check_image(L, 1);
  for (int i = 0; i < 5; i++) n[i] = luaL_checknumber(L, 2 + i);
  check_color(L, 7, color);
  return drawn(L, cal_draw_ellipse(im, n[0], n[1], n[2], n[3], n[4], color, &err), &err);
}

static int l_line(lua_State *L) {
  cal_error err = {0};
  unsigned char color[4];
  double n[5];
  cal_image *im = check_image(L, 1);
  for (int i = 0; i < 5; i++) n[i] = luaL_checknumber(L, 2 + i);
  check_color(L, 7, color);
  return drawn(L, cal_draw_line(im, n[0], n[1], n[2], n[3], n[4], color, &err), &err);
}

static int l_rect(lua_State *L) {
  cal_error err = {0};
  unsigned char color[4];
  double n[4];
  cal_image *im = check_image(L, 1);
  for (int i = 0; i < 4; i++) n[i] = luaL_checknumber(L, 2 + i);
  check_color(L, 6, color);
  return drawn(L, cal_draw_rect(im, n[0], n[1], n[2], n[3], color, &err), &err);
}

static int l_paste(lua_State *L) {
  cal_image *im = check_image(L, 1), *other = check_image(L, 2);
  luaL_argcheck(L, im != other, 2, "a picture cannot be pasted into itself; use a copy");
  cal_draw_paste(im, other, check_int(L, 3), check_int(L, 4));
  lua_settop(L, 1);
  return 1;
}

/* im:text(x, y, "text", {size = 12, color = {0, 0, 0}}) -> the width it took */
static int l_text(lua_State *L) {
  cal_error err = {0};
  unsigned char color[4] = {0, 0, 0, 255};
  cal_image *im = check_image(L, 1);
  const double x = luaL_checknumber(L, 2), y = luaL_checknumber(L, 3);
  const char *text = luaL_checkstring(L, 4);
  const double size = cal_option_number(L, 5, "size", 12);
  if (!lua_isnoneornil(L, 5) && lua_getfield(L, 5, "color") != LUA_TNIL) check_color(L, lua_gettop(L), color);
  if (cal_draw_text(im, x, y, text, size, color, &err)) return finish(L, NULL, &err);
  lua_pushnumber(L, cal_text_width(text, size));
  return 1;
}

static int l_text_width(lua_State *L) {
  lua_pushnumber(L, cal_text_width(luaL_checkstring(L, 1), luaL_optnumber(L, 2, 12)));
  return 1;
}

/* image.floats{im, ...} -> f32 bytes [B, H, W, 3] from -1 to 1, as a plan takes them; all pictures have one size */
static int l_floats(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  const lua_Integer count = luaL_len(L, 1);
  luaL_argcheck(L, count >= 1, 1, "a list of pictures is expected");
  luaL_Buffer b;
  const cal_image *first = NULL;
  size_t each = 0;
  float *scratch = NULL;
  for (lua_Integer i = 1; i <= count; i++) {
    lua_rawgeti(L, 1, i);
    const cal_image *im = check_image(L, -1);
    lua_pop(L, 1);
    if (!first) {
      first = im;
      each = (size_t)im->width * (size_t)im->height * 3 * sizeof(float);
      scratch = lua_newuserdatauv(L, each, 0);
      luaL_buffinitsize(L, &b, each * (size_t)count);
    }
    if (im->width != first->width || im->height != first->height)
      return luaL_error(L, "picture %d is %d x %d, the first is %d x %d", (int)i, im->width, im->height, first->width, first->height);
    cal_image_to_floats(im, scratch);
    luaL_addlstring(&b, (const char *)scratch, each);
  }
  luaL_pushresult(&b);
  return 1;
}

/* image.of_floats(bytes, w, h) -> {im, ...}, as many as the bytes hold */
static int l_of_floats(lua_State *L) {
  size_t size;
  const char *bytes = luaL_checklstring(L, 1, &size);
  const int width = check_int(L, 2), height = check_int(L, 3);
  luaL_argcheck(L, width > 0 && height > 0, 2, "sides of at least 1 are expected");
  const size_t each = (size_t)width * (size_t)height * 3 * sizeof(float);
  luaL_argcheck(L, size > 0 && size % each == 0, 1, "the bytes are no whole number of such pictures");
  float *numbers = lua_newuserdatauv(L, each, 0); /* strings need not be aligned */
  lua_newtable(L);
  cal_error err = {0};
  for (size_t i = 0; i < size / each; i++) {
    memcpy(numbers, bytes + i * each, each);
    cal_image **out = new_image(L);
    if (!(*out = cal_image_from_floats(numbers, width, height, &err)) || !count_picture(L, &err)) return finish(L, NULL, &err);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static int l_equal(lua_State *L) {
  const cal_image *a = check_image(L, 1), *b = check_image(L, 2);
  lua_pushboolean(L, a->width == b->width && a->height == b->height && a->channels == b->channels &&
                         memcmp(a->pixels, b->pixels, cal_image_size(a)) == 0);
  return 1;
}

static int l_close(lua_State *L) {
  drop(L, luaL_checkudata(L, 1, type_name));
  return 0;
}

static int l_text_of(lua_State *L) {
  cal_image **shell = luaL_checkudata(L, 1, type_name);
  static const char *const kinds[] = {"", "gray", "", "RGB", "RGBA"};
  if (*shell) lua_pushfstring(L, "picture of %d x %d, %s", (*shell)->width, (*shell)->height, kinds[(*shell)->channels]);
  else lua_pushliteral(L, "picture (closed)");
  return 1;
}

int luaopen_cal_image(lua_State *L) {
  static const luaL_Reg methods[] = {{"width", l_width},   {"height", l_height},   {"channels", l_channels},
                                     {"get", l_get},       {"set", l_set},         {"bytes", l_bytes},
                                     {"copy", l_copy},     {"resize", l_resize},   {"crop", l_crop},
                                     {"flip", l_flip},     {"rotate", l_rotate},   {"gray", l_gray},
                                     {"rgb", l_rgb},       {"encode", l_encode},   {"save", l_save},
                                     {"hash", l_hash},     {"measure", l_measure}, {"fill_polygon", l_fill_polygon},
                                     {"circle", l_circle}, {"ellipse", l_ellipse}, {"line", l_line},
                                     {"rect", l_rect},     {"paste", l_paste},     {"text", l_text},
                                     {"close", l_close},   {"__eq", l_equal},      {NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"new", l_new},       {"load", l_load},           {"decode", l_decode},         {"probe", l_probe}, {"text_width", l_text_width},
      {"floats", l_floats}, {"of_floats", l_of_floats}, {"for_server", l_for_server}, {NULL, NULL}};
  cal_register_type(L, type_name, methods, l_close, l_text_of);
  luaL_newlib(L, functions);
  return 1;
}
