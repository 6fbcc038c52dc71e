/* l_loader.c - native.loader: pictures made ready beside Lua's thread. */
#include <string.h>

#include "bind/bind.h"
#include "bind/picture.h"
#include "bind/push.h"
#include "bind/store.h"
#include "core/dataset/loader.h"

#define LOADER "calotype.loader"
#define ANSWER "calotype.answer"

static cal_loader *check_loader(lua_State *L) {
  cal_loader **shell = luaL_checkudata(L, 1, LOADER);
  if (!*shell) luaL_error(L, "the loader is closed");
  return *shell;
}

/* loader.open(store [, {threads = n, finished = bytes}]) -> l | nil, message, code. It has connections to the store's folder of its own:
 * the store may be closed before it, and may have a batch open. `finished`: how much the answers that nobody took may hold (64 MB). */
static int l_open(lua_State *L) {
  cal_store *store = cal_check_store(L, 1);
  const lua_Integer threads = cal_option_integer(L, 2, "threads", 0), finished = cal_option_integer(L, 2, "finished", 0);
  if (threads < 0 || threads > 64) luaL_error(L, "option 'threads': %I is not 0 to 64", threads);
  if (finished < 0) luaL_error(L, "option 'finished': %I is below 0", finished);
  cal_error err = {0};
  cal_loader **shell = cal_push_shell(L, LOADER, sizeof *shell);
  *shell = cal_loader_open(cal_bind_fs(L), cal_store_folder(store),
                           &(cal_loader_options){.threads = (int)threads, .most_finished = (size_t)finished}, &err);
  return *shell ? 1 : cal_push_refusal(L, &err);
}

static int l_close(lua_State *L) {
  cal_loader **shell = luaL_checkudata(L, 1, LOADER);
  cal_loader_close(*shell);
  *shell = NULL;
  return 0;
}

static int l_text(lua_State *L) {
  cal_loader **shell = luaL_checkudata(L, 1, LOADER);
  lua_pushstring(L, *shell ? "loader" : "loader (closed)");
  return 1;
}

static const char *const whats[] = {"thumb", "picture", "identify", "measure", "fitted", NULL}; /* as cal_load_what */

static int option_side(lua_State *L, const char *key, int least) {
  const lua_Integer side = cal_option_integer(L, 3, key, 0);
  if (side < least || side > CAL_IMAGE_SIDE) luaL_error(L, "option '%s': %I is not %d to %d", key, side, least, (int)CAL_IMAGE_SIDE);
  return (int)side;
}

/* l:ask(tag, { path =, what = "thumb" | "picture" | "identify" | "measure", side = 0, urgency = 0 }) -> true | nil, message, code
 * l:ask(tag, { path =, what = "fitted", width =, height =, square = false, urgency = 0 }): for a model, see loader.h
 * Asked again under a tag, only the new one is answered; when that is refused, the one before. side: of "picture", its long side at most so
 * many pixels; 0: as it is. */
static int l_ask(lua_State *L) {
  cal_loader *l = check_loader(L);
  const lua_Integer tag = luaL_checkinteger(L, 2);
  luaL_checktype(L, 3, LUA_TTABLE);
  lua_settop(L, 3);
  const char *path = cal_option_text(L, 3, "path", NULL);
  if (!path) luaL_error(L, "option 'path' is missing");
  const int side = option_side(L, "side", 0);
  const double urgency = cal_option_number(L, 3, "urgency", 0);
  const char *wanted = cal_option_text(L, 3, "what", "");
  int what = 0;
  while (whats[what] && strcmp(whats[what], wanted)) what++;
  if (!whats[what]) luaL_error(L, "option 'what': '%s' is not thumb, picture, identify, measure or fitted", wanted);
  cal_error err = {0};
  cal_load_request request = {.tag = tag, .path = path, .what = (cal_load_what)what, .side = side, .urgency = urgency};
  if (what == CAL_LOAD_FITTED) {
    request.width = option_side(L, "width", 1);
    request.height = option_side(L, "height", 1);
    request.square = cal_option_boolean(L, 3, "square", 0);
  }
  if (cal_loader_ask(l, &request, &err)) return cal_push_refusal(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

/* l:forget(tag): not begun, it never begins; begun, its answer is dropped */
static int l_forget(lua_State *L) {
  cal_loader_forget(check_loader(L), luaL_checkinteger(L, 2));
  return 0;
}

/* An answer lives in a shell while a table is made of it. */
typedef struct {
  cal_load_answer answer;
  cal_json *measures;
} answer_shell;

static int l_answer_free(lua_State *L) {
  answer_shell *shell = lua_touserdata(L, 1);
  cal_load_answer_free(&shell->answer);
  cal_json_free(shell->measures);
  shell->measures = NULL;
  return 0;
}

static int l_answer_text(lua_State *L) {
  lua_pushliteral(L, "answer");
  return 1;
}

static void set_wrong(lua_State *L, const char *text, cal_status code) {
  cal_set_text(L, "error", text ? text : "not enough memory");
  cal_set_text(L, "code", cal_status_name(code));
}

/* The record of dataset.scan, into the table on top. */
static void set_record(lua_State *L, answer_shell *shell, cal_error *err) {
  const cal_load_answer *a = &shell->answer;
  shell->measures = cal_json_parse(a->measures, strlen(a->measures), err);
  if (!shell->measures) return;
  cal_push_json(L, shell->measures);
  cal_set_text(L, "path", a->path);
  cal_set_text(L, "sha256", a->sha);
  cal_set_count(L, "size", (int64_t)a->size);
  lua_pushinteger(L, a->mtime_ns), lua_setfield(L, -2, "mtime_ns");
  lua_setfield(L, -2, "record");
}

/* l:next() -> { tag =, path =, what =, sha256 =, size =, width =, height =, format =, image =, record =, error =, code =, note = } | nil:
 * none is ready. Never waits. width and height: of the whole picture as displayed. error and code: what is wrong with this file; note: what
 * the store could not keep, the answer is good all the same. */
static int l_next(lua_State *L) {
  cal_loader *l = check_loader(L);
  answer_shell *shell = cal_push_shell(L, ANSWER, sizeof *shell);
  cal_load_answer *a = &shell->answer;
  if (!cal_loader_next(l, a)) return lua_pushnil(L), 1;
  lua_createtable(L, 0, 12);
  lua_pushinteger(L, a->tag), lua_setfield(L, -2, "tag");
  cal_set_text(L, "path", a->path);
  cal_set_text(L, "what", whats[a->what]);
  cal_set_text(L, "sha256", a->sha);
  cal_set_text(L, "format", a->format);
  cal_set_text(L, "note", a->note);
  if (a->sha[0]) cal_set_count(L, "size", (int64_t)a->size);
  if (a->width) cal_set_count(L, "width", a->width), cal_set_count(L, "height", a->height);
  if (a->code) set_wrong(L, a->error, a->code);
  cal_error err = {0};
  if (a->measures) set_record(L, shell, &err);
  if (a->image) {
    cal_image *im = a->image;
    a->image = NULL; /* it moves */
    const int table = lua_gettop(L);
    if (cal_push_picture(L, im, &err) == 1) lua_setfield(L, table, "image");
    lua_settop(L, table);
  }
  if (err.code) set_wrong(L, err.text, err.code);
  return 1;
}

/* l:pending() -> how many requests were not answered yet */
static int l_pending(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)cal_loader_pending(check_loader(L)));
  return 1;
}

int luaopen_cal_loader(lua_State *L);
int luaopen_cal_loader(lua_State *L) {
  static const luaL_Reg methods[] = {{"ask", l_ask},         {"forget", l_forget}, {"next", l_next},
                                     {"pending", l_pending}, {"close", l_close},   {NULL, NULL}};
  static const luaL_Reg functions[] = {{"open", l_open}, {NULL, NULL}};
  cal_register_type(L, LOADER, methods, l_close, l_text);
  cal_register_type(L, ANSWER, (const luaL_Reg[]){{NULL, NULL}}, l_answer_free, l_answer_text);
  luaL_newlib(L, functions);
  return 1;
}
