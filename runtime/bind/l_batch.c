/* l_batch.c - native.batch: many questions to Gemini, as one call or as a file to be sent before, and what comes back. It knows no net:
 * native.net sends it. Its files lie in the store's folder, which scripts have no way to. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bind/bind.h"
#include "bind/push.h"
#include "bind/question.h"
#include "core/caption/gemini_batch.h"
#include "core/caption/gemini_files.h"
#include "core/net/secret.h"

#define BATCH "calotype.batch"
#define ANSWERS "calotype.batch.answers"
#define FILED "calotype.batch.filed"
#define FOLDER "calotype.batch.folder"

/* --- Its files: batch-NAME.jsonl and batch-NAME.answers in one folder -------------------------------------------------- */
/* batch.size(path) -> its bytes | nil, message, code */
static int l_size(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  cal_error err = {0};
  cal_fs_info info = {0};
  cal_fs *fs = cal_bind_own_fs(path, &err);
  cal_status status = fs ? cal_fs_stat(fs, path, &info, &err) : err.code;
  cal_fs_free(fs);
  if (status) return cal_push_refusal(L, &err);
  return lua_pushinteger(L, (lua_Integer)info.size), 1;
}

/* batch.remove(path) -> true | nil, message, code; what is not there is fine */
static int l_remove(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  cal_error err = {0};
  cal_fs *fs = cal_bind_own_fs(path, &err);
  cal_status status = fs ? cal_fs_remove(fs, path, &err) : err.code;
  cal_fs_free(fs);
  if (status && status != CAL_E_NOTFOUND) return cal_push_refusal(L, &err);
  return lua_pushboolean(L, 1), 1;
}

typedef struct {
  cal_fs *fs;
  cal_fs_info *list;
  size_t count;
} folder;

static int l_free_folder(lua_State *L) {
  folder *f = luaL_checkudata(L, 1, FOLDER);
  cal_fs_list_free(f->list, f->count);
  cal_fs_free(f->fs);
  *f = (folder){0};
  return 0;
}

static bool ends(const char *text, const char *tail) {
  const size_t size = strlen(text), end = strlen(tail);
  return size >= end && strcmp(text + size - end, tail) == 0;
}

/* batch.sweep(folder, {names}) -> how many files were removed | nil, message, code: those of batches with other names, and what a kill left
 * of one that was being written. Not while another process asks with this store. */
static int l_sweep(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  cal_error err = {0};
  lua_Integer removed = 0;
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  folder *f = cal_push_shell(L, FOLDER, sizeof *f);
  if (!(f->fs = cal_bind_own_fs(lua_pushfstring(L, "%s/x", path), &err)) || cal_fs_list(f->fs, path, false, &f->list, &f->count, &err))
    return cal_push_refusal(L, &err);
  lua_settop(L, 3);
  lua_newtable(L); /* 4: the names that stay */
  for (lua_Integer i = 1, count = (lua_Integer)lua_rawlen(L, 2); i <= count; i++) {
    lua_rawgeti(L, 2, i);
    const char *name = luaL_checkstring(L, -1);
    lua_pushfstring(L, "batch-%s.jsonl", name), lua_pushboolean(L, 1), lua_rawset(L, 4);
    lua_pushfstring(L, "batch-%s.answers", name), lua_pushboolean(L, 1), lua_rawset(L, 4);
    lua_settop(L, 4);
  }
  for (size_t i = 0; i < f->count; i++) {
    const char *slash = strrchr(f->list[i].path, '/'), *name = slash ? slash + 1 : f->list[i].path;
    const bool whole = !strncmp(name, "batch-", 6) && (ends(name, ".jsonl") || ends(name, ".answers"));
    const bool part = !strncmp(name, ".batch-", 7) && ends(name, ".tmp");
    if (f->list[i].kind != CAL_FS_FILE || !(whole || part)) continue;
    lua_pushstring(L, name);
    const bool stays = lua_rawget(L, 4) != LUA_TNIL;
    lua_settop(L, 4);
    if (stays) continue;
    if (cal_fs_remove(f->fs, f->list[i].path, &err)) return cal_push_refusal(L, &err);
    removed++;
  }
  return lua_pushinteger(L, removed), 1;
}

/* --- Writing -------------------------------------------------------------------------------------------------------- */
typedef struct {
  cal_fs *fs;
  cal_gemini_questions *questions; /* NULL: closed */
  cal_buffer path, body;
  lua_Integer count;
} shell;

static int l_free(lua_State *L) {
  shell *s = luaL_checkudata(L, 1, BATCH);
  cal_gemini_questions_free(s->questions);
  cal_fs_free(s->fs);
  cal_buffer_free(&s->path);
  cal_buffer_free(&s->body);
  *s = (shell){0};
  return 0;
}

static int l_text(lua_State *L) {
  const shell *s = luaL_checkudata(L, 1, BATCH);
  lua_pushfstring(L, s->questions ? "batch (%I questions)" : "batch (closed)", (LUAI_UACINT)s->count);
  return 1;
}

static int l_count(lua_State *L) { return lua_pushinteger(L, ((shell *)luaL_checkudata(L, 1, BATCH))->count), 1; }

static uint64_t bytes_option(lua_State *L, const char *key) {
  const lua_Integer n = cal_option_integer(L, 1, key, 0);
  if (n < 0) luaL_error(L, "option '%s': bytes expected, got %I", key, n);
  return (uint64_t)n;
}

/* batch.new{model =, name =, path =, most_inside =, most_in_a_file =} -> batch: `name` is yours, and finds the batch again when the reply
 * to creating it was lost; `path` is where the questions go that are too many for a call: beyond `most_inside` bytes, all of them */
static int l_new(lua_State *L) {
  cal_error err = {0};
  luaL_checktype(L, 1, LUA_TTABLE);
  cal_gemini_questions_options o = {.model = cal_option_text(L, 1, "model", NULL),
                                    .name = cal_option_text(L, 1, "name", NULL),
                                    .path = cal_option_text(L, 1, "path", NULL),
                                    .most_inside = bytes_option(L, "most_inside"),
                                    .most_in_a_file = bytes_option(L, "most_in_a_file")};
  if (!o.path) luaL_error(L, "option 'path' is missing");
  shell *s = cal_push_shell(L, BATCH, sizeof *s);
  if (!(o.fs = s->fs = cal_bind_own_fs(o.path, &err)) || !(s->questions = cal_gemini_questions_new(&o, &err))) return cal_raise(L, &err);
  return 1;
}

static shell *check_open(lua_State *L) {
  shell *s = luaL_checkudata(L, 1, BATCH);
  if (!s->questions) luaL_error(L, "the batch is closed");
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
  if (cal_gemini_questions_add(s->questions, &question, key, &err)) return cal_push_refusal(L, &err);
  s->count++;
  return lua_pushboolean(L, 1), 1;
}

/* {method, path, body, class = "billed"}, for talk:request */
static void push_call(lua_State *L, const cal_buffer *path, const cal_buffer *body) {
  lua_createtable(L, 0, 4);
  lua_pushliteral(L, "POST");
  lua_setfield(L, -2, "method");
  lua_pushliteral(L, "billed");
  lua_setfield(L, -2, "class");
  lua_pushlstring(L, path->data, path->size);
  lua_setfield(L, -2, "path");
  lua_pushlstring(L, body->data, body->size);
  lua_setfield(L, -2, "body");
}

/* b:request() -> the call with the questions inside it | false, bytes of the file that is to be sent, whole and on the disk | nil, message,
 * code. The batch is closed with it. */
static int l_request(lua_State *L) {
  shell *s = check_open(L);
  cal_error err = {0};
  uint64_t size = 0;
  cal_status status = cal_gemini_questions_end(s->questions, &s->path, &s->body, &size, &err);
  cal_gemini_questions_free(s->questions);
  s->questions = NULL;
  if (status == CAL_E_ARG) return cal_raise(L, &err);
  if (status) return cal_push_refusal(L, &err);
  if (size) return lua_pushboolean(L, 0), lua_pushinteger(L, (lua_Integer)size), 2;
  push_call(L, &s->path, &s->body);
  cal_buffer_free(&s->path);
  cal_buffer_free(&s->body);
  return 1;
}

/* batch.filed{model =, name =, file = "files/abc"} -> the call for a file that was sent */
static int l_filed(lua_State *L) {
  cal_error err = {0};
  luaL_checktype(L, 1, LUA_TTABLE);
  const char *model = cal_option_text(L, 1, "model", NULL), *name = cal_option_text(L, 1, "name", NULL);
  const char *file = cal_option_text(L, 1, "file", NULL);
  shell *s = cal_push_shell(L, BATCH, sizeof *s);
  if (cal_gemini_batch_filed(model, name, file, &s->path, &s->body, &err)) return cal_raise(L, &err);
  push_call(L, &s->path, &s->body);
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

/* --- Files of answers -------------------------------------------------------------------------------------------------- */
typedef struct {
  cal_fs *fs;
  cal_gemini_answers *answers;
} filed;

static int l_close_answers(lua_State *L) {
  filed *f = luaL_checkudata(L, 1, FILED);
  cal_gemini_answers_close(f->answers);
  cal_fs_free(f->fs);
  *f = (filed){0};
  return 0;
}

static int l_answers_text(lua_State *L) {
  const filed *f = luaL_checkudata(L, 1, FILED);
  return lua_pushstring(L, f->answers ? "answers" : "answers (closed)"), 1;
}

/* batch.answers(path) -> answers | nil, message, code */
static int l_answers(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  cal_error err = {0};
  filed *f = cal_push_shell(L, FILED, sizeof *f);
  if (!(f->fs = cal_bind_own_fs(path, &err)) || !(f->answers = cal_gemini_answers_open(f->fs, path, &err)))
    return cal_push_refusal(L, &err);
  return 1;
}

/* answers:next() -> a list of the next few | nil: there are no more | nil, message, code */
static int l_next_answers(lua_State *L) {
  filed *f = luaL_checkudata(L, 1, FILED);
  cal_error err = {0};
  size_t count;
  if (!f->answers) luaL_error(L, "the answers are closed");
  answers *all = cal_push_shell(L, ANSWERS, sizeof *all);
  if (cal_gemini_answers_next(f->answers, keep, all, &count, &err)) return cal_push_refusal(L, &err);
  if (!count) return lua_pushnil(L), 1;
  push_answers(L, all);
  return 1;
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
  static const luaL_Reg functions[] = {
      {"new", l_new},         {"filed", l_filed}, {"read", l_read},     {"find", l_find},   {"lines", l_lines},
      {"answers", l_answers}, {"size", l_size},   {"remove", l_remove}, {"sweep", l_sweep}, {NULL, NULL}};
  static const luaL_Reg of_answers[] = {{"next", l_next_answers}, {"close", l_close_answers}, {NULL, NULL}};
  static const luaL_Reg none[] = {{NULL, NULL}};
  cal_register_type(L, BATCH, methods, l_free, l_text);
  cal_register_type(L, ANSWERS, none, l_free_answers, l_text);
  cal_register_type(L, FILED, of_answers, l_close_answers, l_answers_text);
  cal_register_type(L, FOLDER, none, l_free_folder, l_text);
  luaL_newlib(L, functions);
  return 1;
}
