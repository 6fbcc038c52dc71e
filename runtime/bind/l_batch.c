/* l_batch.c - native.batch: many questions to Gemini as one body, and what comes back. It knows no net: native.net sends it. */
#include <stdio.h>
#include <string.h>

#include "bind/bind.h"
#include "bind/push.h"
#include "bind/question.h"
#include "core/caption/gemini_batch.h"
#include "core/net/secret.h"

#define BATCH "calotype.batch"
#define ANSWERS "calotype.batch.answers"

/* --- Writing -------------------------------------------------------------------------------------------------------- */
typedef struct {
  cal_buffer path, body;
  lua_Integer count;
  bool open;
} shell;

static int l_free(lua_State *L) {
  shell *s = luaL_checkudata(L, 1, BATCH);
  cal_buffer_free(&s->path);
  cal_buffer_free(&s->body);
  *s = (shell){0};
  return 0;
}

static int l_text(lua_State *L) {
  const shell *s = luaL_checkudata(L, 1, BATCH);
  lua_pushfstring(L, s->open ? "batch (%I questions)" : "batch (closed)", (LUAI_UACINT)s->count);
  return 1;
}

static int l_count(lua_State *L) { return lua_pushinteger(L, ((shell *)luaL_checkudata(L, 1, BATCH))->count), 1; }

/* batch.new{model =, name =} -> batch: `name` is yours, and finds the batch again when the reply to creating it was lost */
static int l_new(lua_State *L) {
  cal_error err = {0};
  luaL_checktype(L, 1, LUA_TTABLE);
  shell *s = cal_push_shell(L, BATCH, sizeof *s);
  if (cal_gemini_batch_begin(cal_option_text(L, 1, "model", NULL), cal_option_text(L, 1, "name", NULL), &s->path, &s->body, &err))
    return cal_raise(L, &err);
  s->open = true;
  return 1;
}

static shell *check_open(lua_State *L) {
  shell *s = luaL_checkudata(L, 1, BATCH);
  if (!s->open) luaL_error(L, "the batch is closed");
  return s;
}

/* b:add(key, question) -> true | nil, message, code: "LIMIT" when it is full; nothing was added then, and it can be sent */
static int l_add(lua_State *L) {
  shell *s = check_open(L);
  cal_error err = {0};
  cal_wire_picture pictures[CAL_QUESTION_PICTURES];
  const char *key = luaL_checkstring(L, 2);
  lua_settop(L, 3);
  const cal_wire_question question = cal_check_question(L, 3, pictures);
  if (cal_gemini_batch_add(&question, key, &s->body, &err)) return cal_push_refusal(L, &err);
  s->count++;
  return lua_pushboolean(L, 1), 1;
}

/* b:request() -> {method, path, body, class = "billed"}, for talk:request. The batch is closed with it. */
static int l_request(lua_State *L) {
  shell *s = check_open(L);
  cal_error err = {0};
  if (cal_gemini_batch_end(&s->body, &err)) return cal_raise(L, &err);
  lua_createtable(L, 0, 4);
  lua_pushliteral(L, "POST");
  lua_setfield(L, -2, "method");
  lua_pushliteral(L, "billed");
  lua_setfield(L, -2, "class");
  lua_pushlstring(L, s->path.data, s->path.size);
  lua_setfield(L, -2, "path");
  lua_pushlstring(L, s->body.data, s->body.size);
  lua_setfield(L, -2, "body");
  cal_buffer_free(&s->path);
  cal_buffer_free(&s->body);
  s->open = false;
  return 1;
}

/* --- Reading: first all answers into memory of their own, then into tables, which may raise ----------------------------------------------
 */
typedef struct {
  char *key; /* NULL: lost */
  cal_wire_answer answer;
} kept;

typedef struct {
  kept *list;
  size_t count, room;
} answers;

static int l_free_answers(lua_State *L) {
  answers *all = luaL_checkudata(L, 1, ANSWERS);
  for (size_t i = 0; i < all->count; i++) {
    cal_free(all->list[i].key);
    cal_wire_answer_free(&all->list[i].answer);
  }
  cal_free(all->list);
  *all = (answers){0};
  return 0;
}

static cal_status keep(void *context, size_t index, const char *key, const cal_wire_answer *answer, cal_error *err) {
  answers *all = context;
  (void)index;
  if (all->count == all->room) {
    const size_t room = all->room ? 2 * all->room : 64;
    kept *more = cal_resize(all->list, room * sizeof *more, err);
    if (!more) return CAL_E_MEMORY;
    all->list = more, all->room = room;
  }
  kept *k = &all->list[all->count++];
  *k = (kept){.answer = *answer};
  k->answer.text = (cal_buffer){0};
  cal_buffer_add(&k->answer.text, answer->text.data ? answer->text.data : "", answer->text.size);
  if (key && !(k->key = cal_copy_text(key, err))) return CAL_E_MEMORY;
  return k->answer.text.failed ? cal_fail(err, CAL_E_MEMORY, "not enough memory for a batch's answers") : CAL_OK;
}

/* What a server says may quote a key. */
static void set_why(lua_State *L, const char *why) {
  cal_buffer text = {0};
  cal_error err = {0};
  if (!*why) return;
  cal_buffer_add_text(&text, why);
  if (text.failed || cal_scrub(&text, &err)) {
    cal_buffer_free(&text);
    luaL_error(L, "not enough memory for a batch's answers");
  }
  cal_push_buffer(L, &text);
  lua_setfield(L, -2, "why");
}

/* A list of {key =, verdict =, why =, text =, model =, finish =, tokens =}. */
static void push_answers(lua_State *L, const answers *all) {
  lua_createtable(L, (int)all->count, 0);
  for (size_t i = 0; i < all->count; i++) {
    const kept *k = &all->list[i];
    lua_createtable(L, 0, 7);
    cal_set_text(L, "key", k->key);
    cal_set_text(L, "verdict", cal_wire_verdict_name(k->answer.verdict));
    set_why(L, k->answer.why);
    cal_set_answer(L, &k->answer);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

static void push_batch(lua_State *L, const cal_gemini_batch *b) {
  lua_createtable(L, 0, 10);
  cal_set_text(L, "verdict", cal_wire_verdict_name(b->verdict));
  set_why(L, b->why);
  if (b->verdict == CAL_WIRE_DONE) cal_set_text(L, "state", cal_gemini_batch_state_name(b->state));
  cal_set_text(L, "id", b->name);
  cal_set_text(L, "name", b->display_name);
  cal_set_text(L, "file", b->file);
  cal_set_count(L, "requests", b->requests);
  cal_set_count(L, "succeeded", b->succeeded);
  cal_set_count(L, "failed", b->failed);
}

/* batch.read(status, body) -> {verdict =, why =, state =, id = "batches/1", name =, file =, requests =, succeeded =, failed =, answers =
 * {...}}: the reply to creating a batch, or to GET /v1beta/ID. A verdict of "done" means that a batch was told of; states are pending,
 * running, succeeded, failed, cancelled, expired, unknown. */
static int l_read(lua_State *L) {
  size_t size;
  const int status = (int)luaL_checkinteger(L, 1);
  const char *body = luaL_checklstring(L, 2, &size);
  cal_error err = {0};
  cal_gemini_batch b;
  answers *all = cal_push_shell(L, ANSWERS, sizeof *all);
  if (cal_gemini_batch_read(status, NULL, body, size, keep, all, &b, &err)) return cal_raise(L, &err);
  push_batch(L, &b);
  push_answers(L, all);
  lua_setfield(L, -2, "answers");
  return 1;
}

/* batch.find(status, body, name) -> the same without answers, and the next page's token: the reply to GET /v1beta/batches */
static int l_find(lua_State *L) {
  size_t size;
  const int status = (int)luaL_checkinteger(L, 1);
  const char *body = luaL_checklstring(L, 2, &size), *name = luaL_checkstring(L, 3);
  char next[256];
  cal_error err = {0};
  cal_gemini_batch b;
  if (cal_gemini_batch_find(status, NULL, body, size, name, &b, next, &err)) return cal_raise(L, &err);
  push_batch(L, &b);
  if (*next) lua_pushstring(L, next);
  else lua_pushnil(L);
  return 2;
}

/* batch.lines(bytes) -> the answers in a file of them */
static int l_lines(lua_State *L) {
  size_t size;
  const char *bytes = luaL_checklstring(L, 1, &size);
  cal_error err = {0};
  answers *all = cal_push_shell(L, ANSWERS, sizeof *all);
  if (cal_gemini_batch_lines(bytes, size, keep, all, &err)) return cal_raise(L, &err);
  push_answers(L, all);
  return 1;
}

int luaopen_cal_batch(lua_State *L);
int luaopen_cal_batch(lua_State *L) {
  static const luaL_Reg methods[] = {{"add", l_add}, {"request", l_request}, {"close", l_free}, {"__len", l_count}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"new", l_new}, {"read", l_read}, {"find", l_find}, {"lines", l_lines}, {NULL, NULL}};
  static const luaL_Reg none[] = {{NULL, NULL}};
  cal_register_type(L, BATCH, methods, l_free, l_text);
  cal_register_type(L, ANSWERS, none, l_free_answers, l_text);
  luaL_newlib(L, functions);
  return 1;
}
