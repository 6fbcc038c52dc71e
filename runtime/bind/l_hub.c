/* l_hub.c - native.hub: lists and files of Hugging Face's hub. */
#include <string.h>

#include "bind/bind.h"
#include "core/base/progress.h"
#include "core/net/download.h"

typedef struct {
  cal_hub *hub;
  cal_progress *progress; /* of all files together, while `all` is told */
  size_t before;          /* bytes of those that are done */
} shell;

static shell *check_hub(lua_State *L) {
  shell *s = luaL_checkudata(L, 1, "calotype.hub");
  if (!s->hub) luaL_error(L, "the hub is closed");
  return s;
}

static int l_close(lua_State *L) {
  shell *s = luaL_checkudata(L, 1, "calotype.hub");
  cal_progress_free(s->progress);
  cal_hub_close(s->hub);
  *s = (shell){0};
  return 0;
}

static int l_text(lua_State *L) {
  const shell *s = luaL_checkudata(L, 1, "calotype.hub");
  return lua_pushfstring(L, "hub(%s)", s->hub ? cal_hub_address(s->hub) : "closed"), 1;
}

/* hub.open() -> hub | nil, message, code. Where it is and which key goes along: see core/net/hub.h. */
static int l_open(lua_State *L) {
  cal_error err = {0};
  shell *s = cal_push_shell(L, "calotype.hub", sizeof *s);
  s->hub = cal_hub_open(&err);
  return s->hub ? 1 : cal_push_refusal(L, &err);
}

static int push_or_nil(lua_State *L, const char *text) { return text ? (void)lua_pushstring(L, text) : lua_pushnil(L), 1; }
static int l_address(lua_State *L) { return push_or_nil(L, cal_hub_address(check_hub(L)->hub)); }
static int l_key(lua_State *L) { return push_or_nil(L, cal_hub_key_name(check_hub(L)->hub)); } /* its name; the value stays in C */
static int l_note(lua_State *L) { return push_or_nil(L, cal_hub_note(check_hub(L)->hub)); }

/* The two texts of an answer, in a shell while Lua strings are made of them. */
typedef struct {
  cal_buffer body, next;
} answer;

static int l_answer_free(lua_State *L) {
  answer *a = lua_touserdata(L, 1);
  cal_buffer_free(&a->body);
  cal_buffer_free(&a->next);
  return 0;
}

static int l_answer_text(lua_State *L) { return lua_pushliteral(L, "answer"), 1; }

/* hub:get(repository, path) -> text, next | nil, message, code. `next` is the path of the next page, nil at the end. */
static int l_get(lua_State *L) {
  cal_error err = {0};
  shell *s = check_hub(L);
  const char *what = luaL_checkstring(L, 2), *path = luaL_checkstring(L, 3);
  answer *a = cal_push_shell(L, "calotype.hub_answer", sizeof *a);
  if (cal_hub_get(s->hub, what, path, &a->body, &a->next, &err)) return cal_push_refusal(L, &err);
  lua_pushlstring(L, a->body.data ? a->body.data : "", a->body.size);
  if (a->next.size) lua_pushlstring(L, a->next.data, a->next.size);
  else lua_pushnil(L);
  return 2;
}

/* hub:expect(all, kept): the bytes of all files that will be fetched, for one bar; `kept` of them are here. */
static int l_expect(lua_State *L) {
  shell *s = check_hub(L);
  lua_Integer all = luaL_checkinteger(L, 2), kept = luaL_optinteger(L, 3, 0);
  luaL_argcheck(L, all >= 0, 2, "must not be negative");
  luaL_argcheck(L, kept >= 0, 3, "must not be negative");
  cal_progress_free(s->progress);
  s->progress = cal_progress_new("fetching", (size_t)all);
  cal_progress_bytes(s->progress, (size_t)kept);
  s->before = 0;
  return 0;
}

static void on_progress(void *context, uint64_t done) {
  shell *s = context;
  cal_progress_set(s->progress, s->before + (size_t)done);
}

/* hub:fetch { repository =, revision =, path =, to = [, hash =, size =] } -> { commit =, hash =, size =, kept = } | nil, message, code. The
 * file stands whole and checked, or a part of it is kept: see core/net/download.h. */
static int l_fetch(lua_State *L) {
  cal_error err = {0};
  shell *s = check_hub(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  cal_download file = {.fs = cal_bind_fs(L), .progress = on_progress, .context = s};
  struct {
    const char *key, **value;
  } texts[] = {{"repository", &file.repository}, {"revision", &file.revision}, {"path", &file.path}, {"to", &file.to}};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    if (!(*texts[i].value = cal_option_text(L, 2, texts[i].key, NULL))) return luaL_error(L, "option '%s' is missing", texts[i].key);
  file.hash = cal_option_text(L, 2, "hash", NULL);
  lua_Integer size = cal_option_integer(L, 2, "size", 0);
  luaL_argcheck(L, size >= 0, 2, "size must not be negative");
  file.size = (uint64_t)size;
  cal_download_result result;
  if (cal_download_file(s->hub, &file, &result, &err)) return cal_push_refusal(L, &err);
  s->before += (size_t)result.size;
  lua_createtable(L, 0, 4);
  lua_pushstring(L, result.commit), lua_setfield(L, -2, "commit");
  lua_pushstring(L, result.hash), lua_setfield(L, -2, "hash");
  lua_pushinteger(L, (lua_Integer)result.size), lua_setfield(L, -2, "size");
  lua_pushinteger(L, (lua_Integer)result.kept), lua_setfield(L, -2, "kept");
  return 1;
}

/* hub.check(path, hash) -> true | nil, message, code; "FORMAT": the file has other bytes. */
static int l_check(lua_State *L) {
  cal_error err = {0};
  if (cal_download_check(cal_bind_fs(L), luaL_checkstring(L, 1), luaL_checkstring(L, 2), &err)) return cal_push_refusal(L, &err);
  return lua_pushboolean(L, 1), 1;
}

/* hub.path_ok(path) -> may it be the name of a file below a folder? For names that a server gives. */
static int l_path_ok(lua_State *L) {
  size_t size;
  const char *path = luaL_checklstring(L, 1, &size);
  return lua_pushboolean(L, strlen(path) == size && cal_download_path_ok(path)), 1;
}

/* hub.size(bytes) -> "1.2 GB" */
static int l_size(lua_State *L) {
  char text[32];
  lua_Integer bytes = luaL_checkinteger(L, 1);
  luaL_argcheck(L, bytes >= 0, 1, "must not be negative");
  return lua_pushstring(L, cal_download_size((uint64_t)bytes, text)), 1;
}

/* hub.room(path) -> bytes that are free where the path is or will be | nil, message, code */
static int l_room(lua_State *L) {
  cal_error err = {0};
  uint64_t bytes = 0;
  if (cal_fs_free_space(cal_bind_fs(L), luaL_checkstring(L, 1), &bytes, &err)) return cal_push_refusal(L, &err);
  return lua_pushinteger(L, (lua_Integer)(bytes > INT64_MAX ? INT64_MAX : bytes)), 1;
}

/* hub.escape(text [, slashes]) -> as a part of an address */
static int l_escape(lua_State *L) {
  cal_buffer out = {0};
  const char *text = luaL_checkstring(L, 1);
  cal_buffer_add(&out, "", 0);
  cal_hub_escape(&out, text, lua_toboolean(L, 2));
  return cal_push_buffer(L, &out);
}

int luaopen_cal_hub(lua_State *L);
int luaopen_cal_hub(lua_State *L) {
  static const luaL_Reg methods[] = {{"address", l_address}, {"key", l_key},     {"note", l_note},   {"get", l_get},
                                     {"expect", l_expect},   {"fetch", l_fetch}, {"close", l_close}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"open", l_open},     {"check", l_check}, {"path_ok", l_path_ok}, {"size", l_size}, {"room", l_room},
                                       {"escape", l_escape}, {NULL, NULL}};
  cal_register_type(L, "calotype.hub", methods, l_close, l_text);
  cal_register_type(L, "calotype.hub_answer", (const luaL_Reg[]){{NULL, NULL}}, l_answer_free, l_answer_text);
  luaL_newlib(L, functions);
  return 1;
}
