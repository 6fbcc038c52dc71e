/* l_store.c - native.store: what a project remembers. */
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "bind/bind.h"
#include "bind/store.h"

#define STORE "calotype.store"
#define ROWS "calotype.rows"

cal_store *cal_check_store(lua_State *L, int arg) {
  cal_store **shell = luaL_checkudata(L, arg, STORE);
  if (!*shell) luaL_error(L, "the store is closed");
  return *shell;
}

static cal_store *check_store(lua_State *L) { return cal_check_store(L, 1); }

/* store.open(folder [, {busy = seconds, existing = true}]) -> s | nil, message, code. With `existing` none is made where there is none. The
 * folder is the program's own, so it is not asked of the script's file system; scripts have no way to this module. */
static int l_open(lua_State *L) {
  const char *folder = luaL_checkstring(L, 1);
  cal_store_options options = {.busy_seconds = cal_option_number(L, 2, "busy", 0)};
  cal_error err = {0};
  if (cal_option_boolean(L, 2, "existing", false) && access(lua_pushfstring(L, "%s/store.db", folder), F_OK) != 0)
    return cal_fail(&err, CAL_E_NOTFOUND, "there is no store in %s", folder), cal_push_refusal(L, &err);
  cal_store **shell = cal_push_shell(L, STORE, sizeof *shell);
  *shell = cal_store_open(folder, &options, &err);
  return *shell ? 1 : cal_push_refusal(L, &err);
}

static int l_close(lua_State *L) {
  cal_store **shell = luaL_checkudata(L, 1, STORE);
  cal_store_close(*shell);
  *shell = NULL;
  return 0;
}

/* s:wait(seconds): how long the next calls wait for another process. */
static int l_wait(lua_State *L) {
  cal_store *s = check_store(L);
  const double seconds = luaL_checknumber(L, 2);
  luaL_argcheck(L, seconds > 0 && seconds <= 3600, 2, "seconds are above 0, at most 3600");
  cal_store_wait(s, seconds);
  return 0;
}

static int l_text(lua_State *L) {
  cal_store **shell = luaL_checkudata(L, 1, STORE);
  if (*shell) lua_pushfstring(L, "store (%s)", cal_store_folder(*shell));
  else lua_pushliteral(L, "store (closed)");
  return 1;
}

static int push_true(lua_State *L) {
  lua_pushboolean(L, 1);
  return 1;
}

/* A buffer that was found, or nil alone. */
static int push_found(lua_State *L, cal_status status, bool found, cal_buffer *b, const cal_error *err) {
  if (!status && found) return cal_push_buffer(L, b);
  cal_buffer_free(b);
  if (status) return cal_push_refusal(L, err);
  lua_pushnil(L);
  return 1;
}

/* s:get(kind, key) -> string | nil (not there) | nil, message, code */
static int l_get(lua_State *L) {
  cal_store *s = check_store(L);
  const char *kind = luaL_checkstring(L, 2), *key = luaL_checkstring(L, 3);
  cal_error err = {0};
  cal_buffer value = {0};
  bool found = false;
  cal_status status = cal_store_get(s, kind, key, &value, &found, &err);
  return push_found(L, status, found, &value, &err);
}

static int l_put(lua_State *L) {
  cal_store *s = check_store(L);
  size_t size;
  const char *kind = luaL_checkstring(L, 2), *key = luaL_checkstring(L, 3), *value = luaL_checklstring(L, 4, &size);
  cal_error err = {0};
  return cal_store_put(s, kind, key, value, size, &err) ? cal_push_refusal(L, &err) : push_true(L);
}

/* s:batch(fn [, { whole = true }]) -> true | nil, message, code. What fn puts and adds reaches the disk together, which is a hundred times
 * quicker than one by one. When fn raises, what it did until then is kept (`whole`: nothing of it), and the error goes on. */
static int l_batch(lua_State *L) {
  cal_store *s = check_store(L);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  const bool whole = cal_option_boolean(L, 3, "whole", false);
  cal_error err = {0};
  if (cal_store_begin(s, &err)) return cal_push_refusal(L, &err);
  lua_pushvalue(L, 2);
  const bool raised = lua_pcall(L, 0, 0, 0) != LUA_OK;
  if (!raised) check_store(L); /* fn may have closed it */
  else if (!*(cal_store **)lua_touserdata(L, 1)) return lua_error(L);
  if (raised && whole) return cal_store_drop(s), lua_error(L);
  cal_status status = cal_store_end(s, &err);
  if (raised) return lua_error(L);
  return status ? cal_push_refusal(L, &err) : push_true(L);
}

/* s:put_blob(bytes) -> sha256 | nil, message, code */
static int l_put_blob(lua_State *L) {
  cal_store *s = check_store(L);
  size_t size;
  const char *bytes = luaL_checklstring(L, 2, &size);
  cal_error err = {0};
  char sha[CAL_SHA256_HEX];
  if (cal_store_put_blob(s, bytes, size, sha, &err)) return cal_push_refusal(L, &err);
  lua_pushstring(L, sha);
  return 1;
}

/* s:requests(from, most) -> what stands there in requests.log, how large the file is | nil, message, code. "", 0: there is none */
static int l_requests(lua_State *L) {
  cal_store *s = check_store(L);
  const lua_Integer from = luaL_checkinteger(L, 2), most = luaL_checkinteger(L, 3);
  luaL_argcheck(L, from >= 0, 2, "0 or more expected");
  luaL_argcheck(L, most > 0 && most <= 64 << 20, 3, "1 to 67108864 expected");
  cal_error err = {0};
  cal_buffer bytes = {0};
  uint64_t size;
  if (cal_store_requests(s, (uint64_t)from, (size_t)most, &bytes, &size, &err)) {
    cal_buffer_free(&bytes);
    return cal_push_refusal(L, &err);
  }
  cal_push_buffer(L, &bytes);
  lua_pushinteger(L, (lua_Integer)size);
  return 2;
}

/* s:blob(sha) -> bytes | nil */
static int l_blob(lua_State *L) {
  cal_store *s = check_store(L);
  const char *sha = luaL_checkstring(L, 2);
  cal_error err = {0};
  cal_buffer bytes = {0};
  bool found = false;
  cal_status status = cal_store_blob(s, sha, &bytes, &found, &err);
  return push_found(L, status, found, &bytes, &err);
}

/* s:seen(path) -> sha256 of a file that was hashed before and has not changed since | nil (not seen, or not there any more) */
static int l_seen(lua_State *L) {
  cal_store *s = check_store(L);
  const char *path = luaL_checkstring(L, 2);
  cal_error err = {0};
  cal_fs_info info;
  char sha[CAL_SHA256_HEX];
  bool found = false;
  if (!cal_fs_stat(cal_bind_fs(L), path, &info, &err) && cal_store_file(s, &info, sha, &found, &err)) return cal_push_refusal(L, &err);
  if (found) lua_pushstring(L, sha);
  else lua_pushnil(L);
  return 1;
}

/* s:seen_all(paths) -> { [path] = sha256 } of those among them that were hashed before and have not changed since */
static int l_seen_all(lua_State *L) {
  cal_store *s = check_store(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  const lua_Integer count = (lua_Integer)lua_rawlen(L, 2);
  cal_fs *fs = cal_bind_fs(L);
  lua_settop(L, 2);
  lua_createtable(L, 0, (int)count);
  for (lua_Integer i = 1; i <= count; i++, lua_settop(L, 3)) {
    if (lua_rawgeti(L, 2, i) != LUA_TSTRING) return luaL_error(L, "path %I is no string", i);
    cal_error err = {0};
    cal_fs_info info;
    char sha[CAL_SHA256_HEX];
    bool found = false;
    if (cal_fs_stat(fs, lua_tostring(L, -1), &info, &err)) continue;
    if (cal_store_file(s, &info, sha, &found, &err)) return cal_push_refusal(L, &err);
    if (!found) continue;
    lua_pushstring(L, sha);
    lua_rawset(L, 3);
  }
  return 1;
}

/* Rows live in a shell while tables are made of them. */
typedef struct {
  cal_caption *captions;
  cal_spend *spends;
  cal_run *runs;
  size_t count;
} rows;

static int l_rows_free(lua_State *L) {
  rows *r = lua_touserdata(L, 1);
  if (r->captions) cal_captions_free(r->captions, r->count);
  if (r->spends) cal_spends_free(r->spends, r->count);
  if (r->runs) cal_runs_free(r->runs, r->count);
  *r = (rows){0};
  return 0;
}

static int l_rows_text(lua_State *L) {
  lua_pushliteral(L, "rows");
  return 1;
}

static void set_text(lua_State *L, const char *key, const char *text) {
  if (!text) return;
  lua_pushstring(L, text);
  lua_setfield(L, -2, key);
}

static void set_integer(lua_State *L, const char *key, int64_t value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, key);
}

static void set_number(lua_State *L, const char *key, double value) {
  lua_pushnumber(L, value);
  lua_setfield(L, -2, key);
}

/* What is unknown is absent. */
static void set_usage(lua_State *L, const cal_usage *usage) {
  if (usage->cost >= 0) set_number(L, "cost", usage->cost);
  if (usage->seconds >= 0) set_number(L, "seconds", usage->seconds);
  if (usage->tokens_in >= 0) set_integer(L, "tokens_in", usage->tokens_in);
  if (usage->tokens_out >= 0) set_integer(L, "tokens_out", usage->tokens_out);
}

static void push_caption(lua_State *L, const cal_caption *c) {
  lua_createtable(L, 0, 16);
  set_integer(L, "id", c->id);
  set_usage(L, &c->usage);
  set_text(L, "prompt", c->prompt);
  if (c->restores) set_integer(L, "restores", c->restores);
  lua_pushboolean(L, c->aside);
  lua_setfield(L, -2, "aside");
  lua_pushboolean(L, c->in_force);
  lua_setfield(L, -2, "in_force");
  set_text(L, "sha", c->sha);
  set_text(L, "key", c->key);
  set_text(L, "text", c->text);
  set_text(L, "author", c->author);
  set_text(L, "provider", c->provider);
  set_text(L, "model", c->model);
  set_text(L, "detail", c->detail);
  set_text(L, "time", c->time);
}

/* s:caption(sha, key) -> the newest row under that key | nil */
static int l_caption(lua_State *L) {
  cal_store *s = check_store(L);
  const char *sha = luaL_checkstring(L, 2), *key = luaL_checkstring(L, 3);
  cal_error err = {0};
  rows *r = cal_push_shell(L, ROWS, sizeof *r);
  if (cal_store_captions(s, sha, key, &r->captions, &r->count, &err)) return cal_push_refusal(L, &err);
  if (r->count) push_caption(L, r->captions);
  else lua_pushnil(L);
  return 1;
}

/* s:caption_in_force(sha) -> the row that is the picture's text now | nil */
static int l_caption_in_force(lua_State *L) {
  cal_store *s = check_store(L);
  const char *sha = luaL_checkstring(L, 2);
  cal_error err = {0};
  rows *r = cal_push_shell(L, ROWS, sizeof *r);
  if (cal_store_caption_in_force(s, sha, &r->captions, &r->count, &err)) return cal_push_refusal(L, &err);
  if (r->count) push_caption(L, r->captions);
  else lua_pushnil(L);
  return 1;
}

/* s:texts([shas]) -> { [sha] = row in force }, of all pictures that have one or of those in the list */
static int l_texts(lua_State *L) {
  cal_store *s = check_store(L);
  const bool all = lua_isnoneornil(L, 2);
  if (!all) luaL_checktype(L, 2, LUA_TTABLE);
  const lua_Integer wanted = all ? 1 : (lua_Integer)lua_rawlen(L, 2);
  cal_error err = {0};
  lua_settop(L, 2);
  lua_createtable(L, 0, (int)wanted);
  rows *r = cal_push_shell(L, ROWS, sizeof *r);
  for (lua_Integer k = 1; k <= wanted; k++) {
    if (!all && lua_rawgeti(L, 2, k) != LUA_TSTRING) return luaL_error(L, "sha %I is no string", k);
    if (all ? cal_store_texts(s, &r->captions, &r->count, &err)
            : cal_store_caption_in_force(s, lua_tostring(L, -1), &r->captions, &r->count, &err))
      return cal_push_refusal(L, &err);
    for (size_t i = 0; i < r->count; i++) {
      push_caption(L, &r->captions[i]);
      lua_setfield(L, 3, r->captions[i].sha);
    }
    cal_captions_free(r->captions, r->count);
    *r = (rows){0};
    lua_settop(L, 4);
  }
  lua_settop(L, 3);
  return 1;
}

/* s:use_caption(id) -> true | nil, message, code: it is its picture's text from now on */
static int l_use_caption(lua_State *L) {
  cal_store *s = check_store(L);
  cal_error err = {0};
  return cal_store_use_caption(s, luaL_checkinteger(L, 2), &err) ? cal_push_refusal(L, &err) : push_true(L);
}

/* s:find_pictures(prefix [, limit]) -> { sha256, ... } of pictures with captions, whose sha256 begins so */
static int l_find_pictures(lua_State *L) {
  cal_store *s = check_store(L);
  const char *prefix = luaL_checkstring(L, 2);
  lua_Integer limit = luaL_optinteger(L, 3, 10);
  luaL_argcheck(L, limit > 0 && limit <= 1000000, 3, "must be 1 to 1000000");
  cal_error err = {0};
  rows *r = cal_push_shell(L, ROWS, sizeof *r);
  if (cal_store_find_pictures(s, prefix, (int)limit, &r->captions, &r->count, &err)) return cal_push_refusal(L, &err);
  lua_createtable(L, (int)r->count, 0);
  for (size_t i = 0; i < r->count; i++) {
    lua_pushstring(L, r->captions[i].sha);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* s:captions(sha) -> rows, oldest first. A row: id, sha, key, text, author, provider, model, detail, time, prompt, cost, seconds,
 * tokens_in, tokens_out, restores, aside, in_force; what is unknown is absent. */
static int l_captions(lua_State *L) {
  cal_store *s = check_store(L);
  const char *sha = luaL_checkstring(L, 2);
  cal_error err = {0};
  rows *r = cal_push_shell(L, ROWS, sizeof *r);
  if (cal_store_captions(s, sha, NULL, &r->captions, &r->count, &err)) return cal_push_refusal(L, &err);
  lua_createtable(L, (int)r->count, 0);
  for (size_t i = 0; i < r->count; i++) {
    push_caption(L, &r->captions[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static char *need_text(lua_State *L, const char *key) {
  const char *text = cal_option_text(L, 2, key, NULL);
  if (!text) luaL_error(L, "option '%s' is missing", key);
  return (char *)(uintptr_t)text; /* cal_caption owns its texts when it comes from the store; here they are only read */
}

static char *some_text(lua_State *L, const char *key) { return (char *)(uintptr_t)cal_option_text(L, 2, key, NULL); }

/* What is not given is unknown, and unknown is not nothing. */
static double some_number(lua_State *L, const char *key) {
  lua_Number value = cal_option_number(L, 2, key, -1);
  if (lua_getfield(L, 2, key) != LUA_TNIL && value < 0) luaL_error(L, "option '%s': %f is below 0", key, value);
  lua_pop(L, 1);
  return value;
}

static int64_t some_count(lua_State *L, const char *key) {
  lua_Integer value = cal_option_integer(L, 2, key, -1);
  if (lua_getfield(L, 2, key) != LUA_TNIL && value < 0) luaL_error(L, "option '%s': %I is below 0", key, value);
  lua_pop(L, 1);
  return value;
}

static cal_usage some_usage(lua_State *L) {
  return (cal_usage){some_number(L, "cost"), some_number(L, "seconds"), some_count(L, "tokens_in"), some_count(L, "tokens_out")};
}

/* s:add_caption{sha =, key =, text =, author = "human" | "model", provider =, model =, detail =, prompt =, cost =, seconds =, tokens_in =,
 * tokens_out =, restores =, aside =, spend = true, batch =} -> id. cost is in USD; with `spend` the request is noted as spending together
 * with the caption. */
static int l_add_caption(lua_State *L) {
  cal_store *s = check_store(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  cal_caption c = {.sha = need_text(L, "sha"),
                   .key = need_text(L, "key"),
                   .text = need_text(L, "text"),
                   .author = need_text(L, "author"),
                   .provider = some_text(L, "provider"),
                   .model = some_text(L, "model"),
                   .detail = some_text(L, "detail"),
                   .prompt = some_text(L, "prompt"),
                   .usage = some_usage(L),
                   .restores = cal_option_integer(L, 2, "restores", 0),
                   .aside = cal_option_boolean(L, 2, "aside", false)};
  const bool spend = cal_option_boolean(L, 2, "spend", false);
  const cal_spend paid = {.batch = some_text(L, "batch")};
  int64_t id;
  cal_error err = {0};
  lua_getfield(L, 2, "text");
  if (lua_rawlen(L, -1) != strlen(c.text)) {
    cal_fail(&err, CAL_E_ARG, "store: a caption has a NUL byte");
    return cal_push_refusal(L, &err);
  }
  if (cal_store_add_paid_caption(s, &c, spend ? &paid : NULL, &id, &err)) return cal_push_refusal(L, &err);
  lua_pushinteger(L, id);
  return 1;
}

/* s:add_spend{provider =, model =, sha =, batch =, why =, cost =, seconds =, tokens_in =, tokens_out =, caption = id} -> id */
static int l_add_spend(lua_State *L) {
  cal_store *s = check_store(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  const cal_spend spend = {.provider = need_text(L, "provider"),
                           .model = some_text(L, "model"),
                           .sha = some_text(L, "sha"),
                           .batch = some_text(L, "batch"),
                           .why = some_text(L, "why"),
                           .usage = some_usage(L),
                           .caption = cal_option_integer(L, 2, "caption", 0)};
  int64_t id;
  cal_error err = {0};
  if (cal_store_add_spend(s, &spend, &id, &err)) return cal_push_refusal(L, &err);
  lua_pushinteger(L, id);
  return 1;
}

/* s:spends(sha) -> rows of what was paid for that picture, oldest first; one without `caption` gave none, and says `why` */
static int l_spends(lua_State *L) {
  cal_store *s = check_store(L);
  const char *sha = luaL_checkstring(L, 2);
  cal_error err = {0};
  rows *r = cal_push_shell(L, ROWS, sizeof *r);
  if (cal_store_spends(s, sha, &r->spends, &r->count, &err)) return cal_push_refusal(L, &err);
  lua_createtable(L, (int)r->count, 0);
  for (size_t i = 0; i < r->count; i++) {
    const cal_spend *spend = &r->spends[i];
    lua_createtable(L, 0, 12);
    set_integer(L, "id", spend->id);
    set_text(L, "provider", spend->provider);
    set_text(L, "model", spend->model);
    set_text(L, "sha", spend->sha);
    set_text(L, "batch", spend->batch);
    set_text(L, "why", spend->why);
    set_text(L, "time", spend->time);
    set_usage(L, &spend->usage);
    if (spend->caption) set_integer(L, "caption", spend->caption);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* s:spent{provider =, since = "2026-11-21T00:00:00Z", run = id} -> { requests =, unknown =, cost =, tokens_in =, tokens_out = }; `unknown`
 * are the requests whose price nobody knows: they are not in `cost` */
static int l_spent(lua_State *L) {
  cal_store *s = check_store(L);
  if (lua_isnoneornil(L, 2)) lua_settop(L, 1), lua_newtable(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  const char *provider = some_text(L, "provider"), *since = some_text(L, "since");
  cal_spent sum;
  cal_error err = {0};
  if (cal_store_spent(s, provider, since, cal_option_integer(L, 2, "run", 0), &sum, &err)) return cal_push_refusal(L, &err);
  lua_createtable(L, 0, 5);
  set_integer(L, "requests", sum.requests);
  set_integer(L, "unknown", sum.unknown);
  set_number(L, "cost", sum.cost);
  set_number(L, "tokens_in", sum.tokens_in);
  set_number(L, "tokens_out", sum.tokens_out);
  return 1;
}

/* s:start_run{recipe =, params =} -> id */
static int l_start_run(lua_State *L) {
  cal_store *s = check_store(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  const char *recipe = need_text(L, "recipe"), *params = cal_option_text(L, 2, "params", "{}");
  int64_t id;
  cal_error err = {0};
  if (cal_store_start_run(s, recipe, params, &id, &err)) return cal_push_refusal(L, &err);
  lua_pushinteger(L, id);
  return 1;
}

/* s:finish_run(id, status [, detail]) */
static int l_finish_run(lua_State *L) {
  cal_store *s = check_store(L);
  lua_Integer id = luaL_checkinteger(L, 2);
  const char *status = luaL_checkstring(L, 3), *detail = luaL_optstring(L, 4, NULL);
  cal_error err = {0};
  return cal_store_finish_run(s, id, status, detail, &err) ? cal_push_refusal(L, &err) : push_true(L);
}

/* s:runs([limit]) -> rows, newest first; `finished` is absent while a run goes on, or when it was killed */
static int l_runs(lua_State *L) {
  cal_store *s = check_store(L);
  lua_Integer limit = luaL_optinteger(L, 2, 20);
  luaL_argcheck(L, limit > 0 && limit <= 1000000, 2, "must be 1 to 1000000");
  cal_error err = {0};
  rows *r = cal_push_shell(L, ROWS, sizeof *r);
  if (cal_store_runs(s, (int)limit, &r->runs, &r->count, &err)) return cal_push_refusal(L, &err);
  lua_createtable(L, (int)r->count, 0);
  for (size_t i = 0; i < r->count; i++) {
    const cal_run *run = &r->runs[i];
    lua_createtable(L, 0, 7);
    lua_pushinteger(L, run->id);
    lua_setfield(L, -2, "id");
    set_text(L, "recipe", run->recipe);
    set_text(L, "params", run->params);
    set_text(L, "started", run->started);
    set_text(L, "finished", run->finished);
    set_text(L, "status", run->status);
    set_text(L, "detail", run->detail);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* s:lock() -> true | false: another process has it | nil, message, code. s:unlock() as often. */
static int l_lock(lua_State *L) {
  cal_error err = {0};
  const cal_status status = cal_store_lock(check_store(L), &err);
  if (status && status != CAL_E_BUSY) return cal_push_refusal(L, &err);
  lua_pushboolean(L, !status);
  return 1;
}

static int l_unlock(lua_State *L) {
  cal_store_unlock(check_store(L));
  return 0;
}

static int l_folder(lua_State *L) {
  lua_pushstring(L, cal_store_folder(check_store(L)));
  return 1;
}

int luaopen_cal_store(lua_State *L);
int luaopen_cal_store(lua_State *L) {
  static const luaL_Reg methods[] = {{"close", l_close},
                                     {"get", l_get},
                                     {"put", l_put},
                                     {"put_blob", l_put_blob},
                                     {"blob", l_blob},
                                     {"requests", l_requests},
                                     {"seen", l_seen},
                                     {"seen_all", l_seen_all},
                                     {"texts", l_texts},
                                     {"caption", l_caption},
                                     {"captions", l_captions},
                                     {"caption_in_force", l_caption_in_force},
                                     {"use_caption", l_use_caption},
                                     {"find_pictures", l_find_pictures},
                                     {"add_caption", l_add_caption},
                                     {"add_spend", l_add_spend},
                                     {"spends", l_spends},
                                     {"spent", l_spent},
                                     {"start_run", l_start_run},
                                     {"runs", l_runs},
                                     {"folder", l_folder},
                                     {"lock", l_lock},
                                     {"unlock", l_unlock},
                                     {"wait", l_wait},
                                     {"finish_run", l_finish_run},
                                     {"batch", l_batch},
                                     {NULL, NULL}};
  static const luaL_Reg functions[] = {{"open", l_open}, {NULL, NULL}};
  cal_register_type(L, STORE, methods, l_close, l_text);
  cal_register_type(L, ROWS, (const luaL_Reg[]){{NULL, NULL}}, l_rows_free, l_rows_text);
  luaL_getmetatable(L, STORE);
  lua_getfield(L, -1, "__index");
  luaL_setfuncs(L, cal_store_notes, 0);
  lua_pop(L, 2);
  cal_register_notes(L);
  luaL_newlib(L, functions);
  return 1;
}
