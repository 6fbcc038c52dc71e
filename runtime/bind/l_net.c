/* l_net.c - native.net: services on the net. For stdlib alone: recipes have no way to it, and keys have no way to Lua. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bind/bind.h"
#include "bind/push.h"
#include "bind/question.h"
#include "core/base/interrupt.h"
#include "core/caption/wire.h"
#include "core/net/secret.h"
#include "core/net/talk.h"

#define TALK "calotype.talk"
enum { MOST_NAMES = 8, MOST_PIECE = 64 << 20 };

/* What was asked and not yet taken; its tag stands under its address in the user value of its talk. */
typedef struct question {
  struct question *next;
  const cal_wire *wire;
  bool plain;              /* any request: its body is the answer */
  bool keep;               /* its refusals are answers too, and end nothing */
  char *wants[MOST_NAMES]; /* headers of the reply */
  cal_fs *fs;              /* of the file that the reply becomes */
  bool read;               /* `answer` says what came */
  cal_wire_answer answer;
} question;

typedef struct {
  cal_talk *talk;
  const cal_wire *wire;
  question *questions;
  cal_talk_reply *reply; /* while tables are made of it */
} shell;

/* --- The environment ------------------------------------------------------------------------------------------------ */
/* net.env(name) -> value, place | nil, "nowhere" | nil, message, code */
static int l_env(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  cal_buffer value = {0};
  cal_env_place place;
  cal_error err = {0};
  if (cal_env_is_secret(name)) {
    cal_fail(&err, CAL_E_DENIED, "%s looks like a key, and keys are not shown; net.has_key tells whether there is one", name);
    return cal_push_refusal(L, &err);
  }
  if (cal_env_get(name, &value, &place, &err)) {
    cal_buffer_free(&value);
    return cal_push_refusal(L, &err);
  }
  if (place == CAL_FROM_NOWHERE) {
    cal_buffer_free(&value);
    lua_pushnil(L);
  } else cal_push_buffer(L, &value);
  lua_pushstring(L, cal_env_place_name(place));
  return 2;
}

/* The list of names at `index`, borrowed from its strings. */
static void check_names(lua_State *L, int index, const char *names[MOST_NAMES + 1]) {
  luaL_checktype(L, index, LUA_TTABLE);
  const lua_Integer count = (lua_Integer)lua_rawlen(L, index);
  if (count > MOST_NAMES) luaL_error(L, "a list of %d names; %d are the most", (int)count, (int)MOST_NAMES);
  for (lua_Integer i = 0; i < count; i++) {
    if (lua_rawgeti(L, index, i + 1) != LUA_TSTRING) luaL_error(L, "a list of strings is expected, got %s in it", luaL_typename(L, -1));
    names[i] = lua_tostring(L, -1);
    lua_pop(L, 1); /* the table still holds it */
  }
  names[count] = NULL;
}

/* net.has_key{names} -> name, place | nil (none is set) | nil, message, code */
static int l_has_key(lua_State *L) {
  const char *names[MOST_NAMES + 1], *name;
  const cal_secret *secret;
  cal_env_place place;
  cal_error err = {0};
  check_names(L, 1, names);
  if (cal_secret_find(names, &secret, &name, &place, &err)) return cal_push_refusal(L, &err);
  if (!secret) return lua_pushnil(L), 1;
  lua_pushstring(L, name);
  lua_pushstring(L, cal_env_place_name(place));
  return 2;
}

/* net.names() -> the names that stand in .env */
static int l_names(lua_State *L) {
  lua_newtable(L);
  for (size_t i = 0; cal_env_name(i); i++) {
    lua_pushstring(L, cal_env_name(i));
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* net.private(host) -> is it, by its name alone, this machine or an address of a private network? */
static int l_private(lua_State *L) { return lua_pushboolean(L, cal_host_private(luaL_checkstring(L, 1))), 1; }

/* --- What a reply means --------------------------------------------------------------------------------------------- */
static void forget(question *q) {
  cal_wire_answer_free(&q->answer);
  q->answer = (cal_wire_answer){0};
  q->read = false;
}

static void free_question(question *q) {
  forget(q);
  for (int i = 0; i < MOST_NAMES; i++) cal_free(q->wants[i]);
  cal_fs_free(q->fs);
  cal_free(q);
}

static void read_reply(void *context, void *tag, const cal_http_reply *reply, cal_talk_judgement *j) {
  question *q = tag;
  cal_error err = {0};
  (void)context;
  forget(q);
  if (!q->wire || (q->plain && reply->status < 400)) {
    if (reply->status == 401 || reply->status == 403) j->what = CAL_TALK_LAST;
    return;
  }
  if (q->wire->read(reply->status, cal_http_header(reply, "content-type"), reply->body.data, reply->body.size, &q->answer, &err)) {
    j->what = CAL_TALK_KEEP, j->good = false;
    snprintf(j->label, sizeof j->label, "unread");
    snprintf(j->why, sizeof j->why, "%.500s", err.text);
    return;
  }
  if (q->answer.text.size) cal_scrub_keys(&q->answer.text, NULL); /* as JSON within JSON may spell it */
  const cal_wire_answer *a = &q->answer;
  q->read = true;
  j->what = a->verdict == CAL_WIRE_AGAIN ? CAL_TALK_AGAIN : a->verdict == CAL_WIRE_STOP && !q->keep ? CAL_TALK_LAST : CAL_TALK_KEEP;
  j->good = a->verdict == CAL_WIRE_DONE;
  if (a->status > 0) j->status = a->status;
  if (a->verdict == CAL_WIRE_AGAIN && j->status >= 400) snprintf(j->label, sizeof j->label, "%d", j->status);
  else snprintf(j->label, sizeof j->label, "%s", cal_wire_verdict_name(a->verdict));
  j->hint = a->wait_seconds;
  if (a->tokens_in >= 0)
    j->tokens =
        (double)a->tokens_in + (double)(a->tokens_out > 0 ? a->tokens_out : 0) + (double)(a->tokens_thought > 0 ? a->tokens_thought : 0);
  snprintf(j->why, sizeof j->why, "%s", a->why);
}

/* --- Talks ---------------------------------------------------------------------------------------------------------- */
static int l_free(lua_State *L) {
  shell *s = luaL_checkudata(L, 1, TALK);
  cal_talk_close(s->talk);
  cal_talk_reply_free(s->reply);
  for (question *q = s->questions, *next; q; q = next) {
    next = q->next;
    free_question(q);
  }
  *s = (shell){0};
  return 0;
}

static int l_text(lua_State *L) {
  shell *s = luaL_checkudata(L, 1, TALK);
  if (s->talk) lua_pushfstring(L, "talk (%d pending)", cal_talk_pending(s->talk));
  else lua_pushliteral(L, "talk (closed)");
  return 1;
}

static shell *check_talk(lua_State *L) {
  shell *s = luaL_checkudata(L, 1, TALK);
  if (!s->talk) luaL_error(L, "the talk is closed");
  return s;
}

/* Where the log goes when nothing is said: to the store's folder, once there is one. */
static const char *usual_log(lua_State *L) {
  const char *store = getenv("CALOTYPE_STORE");
  if (!store || !*store) store = ".calotype";
  return access(store, W_OK) == 0 ? lua_pushfstring(L, "%s/requests.log", store) : NULL;
}

static int small_option(lua_State *L, int table, const char *key) {
  const lua_Integer n = cal_option_integer(L, table, key, 0);
  if (n < 0 || n > 1000000) luaL_error(L, "option '%s': 0 to 1000000 expected, got %I", key, n);
  return (int)n;
}

static const char *not_empty(const char *text) { return text && *text ? text : NULL; }

/* net.talk{service =, wire =, base =, base_from =, keys =, in_flight =, per_minute =, tokens_per_minute =, seconds =, attempts =, record =,
 * replay =, log =, key_header =, key_prefix =, paid =} -> talk | nil, message, code. Without `wire` only requests may be made. `log = ""`
 * is none.
 */
static int l_talk(lua_State *L) {
  static const char *const places[] = {"default", "environment", ".env", NULL};
  static const cal_env_place place_of[] = {CAL_FROM_NOWHERE, CAL_FROM_ENVIRONMENT, CAL_FROM_ENV_FILE};
  const char *names[MOST_NAMES + 1] = {NULL};
  cal_error err = {0};
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  cal_talk_options o = {.service = cal_option_text(L, 1, "service", NULL),
                        .base = cal_option_text(L, 1, "base", NULL),
                        .in_flight = small_option(L, 1, "in_flight"),
                        .per_minute = cal_option_number(L, 1, "per_minute", 0),
                        .tokens_per_minute = cal_option_number(L, 1, "tokens_per_minute", 0),
                        .seconds = cal_option_number(L, 1, "seconds", 0),
                        .attempts = small_option(L, 1, "attempts"),
                        .record = not_empty(cal_option_text(L, 1, "record", NULL)),
                        .replay = not_empty(cal_option_text(L, 1, "replay", NULL)),
                        .fs = cal_bind_fs(L),
                        .paid = cal_option_boolean(L, 1, "paid", false),
                        .read = read_reply,
                        .largest = CAL_WIRE_REPLY_MOST};
  const char *wire_name = cal_option_text(L, 1, "wire", NULL);
  const cal_wire *wire = wire_name ? cal_wire_find(wire_name) : NULL;
  if (!o.service || !o.base) luaL_error(L, "a talk needs service and base");
  if (wire_name && !wire) luaL_error(L, "option 'wire': '%s' is none", wire_name);
  o.secret_header = cal_option_text(L, 1, "key_header", wire ? wire->key_header : "Authorization");
  o.secret_prefix = cal_option_text(L, 1, "key_prefix", wire ? wire->key_prefix : "Bearer ");
  lua_pushstring(L, cal_option_text(L, 1, "base_from", "default"));
  const int from = cal_check_choice(L, lua_gettop(L), NULL, places);
  o.base_place = place_of[from];
  if (lua_getfield(L, 1, "keys") != LUA_TNIL) check_names(L, lua_gettop(L), names);
  const char *log = cal_option_text(L, 1, "log", NULL);
  o.log = log ? not_empty(log) : usual_log(L);
  /* A tape needs no key. A service of our own list does; what somebody runs himself need not have one. */
  if (!o.replay && names[0]) {
    if (cal_secret_find(names, &o.secret, NULL, &o.secret_place, &err)) return cal_push_refusal(L, &err);
    if (!o.secret && from == 0) {
      cal_fail(&err, CAL_E_NOTFOUND, "%s needs a key: set %s in the environment or in .env", o.service, names[0]);
      return cal_push_refusal(L, &err);
    }
  }
  shell *s = cal_push_shell(L, TALK, sizeof *s);
  lua_newtable(L);
  lua_setiuservalue(L, -2, 1);
  s->wire = wire;
  s->talk = cal_talk_open(&o, &err);
  return s->talk ? 1 : cal_push_refusal(L, &err);
}

/* A question that its shell owns, with the tag at argument 2. */
static question *new_question(lua_State *L, shell *s) {
  cal_error err = {0};
  luaL_checkany(L, 2);
  luaL_argcheck(L, !lua_isnil(L, 2), 2, "a tag is not nil");
  luaL_checktype(L, 3, LUA_TTABLE);
  question *q = cal_alloc_zero(1, sizeof *q, &err);
  if (!q) return cal_raise(L, &err), NULL;
  q->wire = s->wire;
  q->next = s->questions;
  s->questions = q;
  lua_getiuservalue(L, 1, 1);
  lua_pushvalue(L, 2);
  lua_rawsetp(L, -2, q); /* may raise: the shell has it */
  lua_pop(L, 1);
  return q;
}

static void drop_question(lua_State *L, shell *s, question *q) {
  question **at = &s->questions;
  while (*at != q) at = &(*at)->next;
  *at = q->next;
  lua_getiuservalue(L, 1, 1);
  lua_pushnil(L);
  lua_rawsetp(L, -2, q);
  lua_pop(L, 1);
  free_question(q);
}

static int push_asked(lua_State *L, shell *s, question *q, cal_status status, const cal_error *err) {
  if (!status) return lua_pushboolean(L, 1), 1;
  drop_question(L, s, q);
  return cal_push_refusal(L, err);
}

/* talk:ask(tag, {model =, system =, user =, schema =, pictures = {{bytes =, mime =}}, max_tokens =, settings =, expected_tokens =,
 * most_lost = how often it may go out without a whole reply})
 * -> true | nil, message, code ("BUSY": talk:room() is 0) */
static int l_ask(lua_State *L) {
  shell *s = check_talk(L);
  cal_error err = {0};
  cal_wire_picture pictures[CAL_QUESTION_PICTURES];
  lua_settop(L, 3);
  luaL_checktype(L, 3, LUA_TTABLE);
  if (!s->wire) luaL_error(L, "the talk has no wire: only talk:request is possible");
  const cal_wire_question asked = cal_check_question(L, 3, pictures);
  cal_talk_request request = {
      .class = CAL_RETRY_SAFE, .tokens = cal_option_number(L, 3, "expected_tokens", 0), .most_lost = small_option(L, 3, "most_lost")};
  question *q = new_question(L, s);
  cal_buffer path = {0};
  cal_status status = cal_talk_room(s->talk) > 0 ? CAL_OK : cal_fail(&err, CAL_E_BUSY, "as many questions are pending as may be");
  if (!status) status = s->wire->build(&asked, &path, &request.body, &request.content_type, &err);
  if (!status && path.failed) status = cal_fail(&err, CAL_E_MEMORY, "not enough memory for a question");
  request.path = path.data;
  if (!status) status = cal_talk_ask(s->talk, &request, q, &err);
  cal_buffer_free(&request.body);
  cal_buffer_free(&path);
  return push_asked(L, s, q, status, &err);
}

/* A list of strings at `key`, borrowed from its table. NULL at the end. */
static void list_option(lua_State *L, const char *key, const char *list[MOST_NAMES + 1]) {
  list[0] = NULL;
  if (lua_getfield(L, 3, key) != LUA_TNIL) check_names(L, lua_gettop(L), list);
}

/* piece = {file =, from =, size =}: so many bytes of a file of the program's own */
static cal_status read_piece(lua_State *L, cal_buffer *body, cal_error *err) {
  const int table = lua_gettop(L);
  const char *path = cal_option_text(L, table, "file", NULL);
  const lua_Integer from = cal_option_integer(L, table, "from", 0), size = cal_option_integer(L, table, "size", 0);
  if (!path || from < 0 || size < 0 || size > MOST_PIECE)
    luaL_error(L, "option 'piece': a file, and up to %d bytes of it", (int)MOST_PIECE);
  cal_fs *fs = cal_bind_own_fs(path, err);
  const int fd = fs ? cal_fs_open(fs, path, err) : -1;
  cal_status status = fd < 0 ? err->code : CAL_OK;
  if (!status && !cal_buffer_reserve(body, (size_t)size + 1))
    status = cal_fail(err, CAL_E_MEMORY, "not enough memory for a piece of a file");
  while (!status && body->size < (size_t)size) {
    const ssize_t got = pread(fd, body->data + body->size, (size_t)size - body->size, (off_t)from + (off_t)body->size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) status = cal_fail_errno(err, errno, "%s cannot be read", path);
    else if (!got) status = cal_fail(err, CAL_E_IO, "%s has only %lld bytes", path, (long long)(from + (lua_Integer)body->size));
    else body->size += (size_t)got;
  }
  if (fd >= 0) close(fd);
  cal_fs_free(fs);
  return status;
}

/* talk:request(tag, {method =, path =, body =, class = "safe" | "billed", content_type =}) -> true | nil, message, code. Without `class`
 * GET and HEAD are safe to send again, others count as billed. Also: headers = {"Name: value"}; wants = {"name"}, headers of the reply, in
 * reply.headers; address = "https://...", told by this server, in place of path ("DENIED": it is another server's); piece = {file =, from
 * =, size =} in place of body; to = a file that a good reply becomes; stall = seconds below 1 kB/s, in place of a time for all of it; keep
 * = true: a refusal is an answer that ends nothing else. */
static int l_request(lua_State *L) {
  static const char *const classes[] = {"safe", "billed", NULL};
  shell *s = check_talk(L);
  cal_error err = {0};
  size_t size = 0;
  const char *headers[MOST_NAMES + 1], *wants[MOST_NAMES + 1];
  cal_status status = CAL_OK;
  lua_settop(L, 3);
  luaL_checktype(L, 3, LUA_TTABLE);
  cal_talk_request request = {.method = cal_option_text(L, 3, "method", NULL),
                              .path = cal_option_text(L, 3, "path", NULL),
                              .url = cal_option_text(L, 3, "address", NULL),
                              .content_type = cal_option_text(L, 3, "content_type", NULL),
                              .stall_seconds = cal_option_number(L, 3, "stall", 0),
                              .to = cal_option_text(L, 3, "to", NULL),
                              .headers = headers};
  if (!request.path && !request.url) luaL_error(L, "option 'path' is missing");
  list_option(L, "headers", headers);
  list_option(L, "wants", wants);
  const int type = lua_getfield(L, 3, "body");
  if (type != LUA_TNIL && type != LUA_TSTRING) luaL_error(L, "option 'body': string expected, got %s", luaL_typename(L, -1));
  const char *body = lua_tolstring(L, -1, &size);
  const int piece = lua_getfield(L, 3, "piece");
  if (piece != LUA_TNIL && piece != LUA_TTABLE) luaL_error(L, "option 'piece': table expected, got %s", luaL_typename(L, -1));
  if (!request.method) request.method = body || piece == LUA_TTABLE ? "POST" : "GET";
  const bool reads = strcmp(request.method, "GET") == 0 || strcmp(request.method, "HEAD") == 0;
  lua_pushstring(L, cal_option_text(L, 3, "class", reads ? "safe" : "billed"));
  request.class = cal_check_choice(L, lua_gettop(L), NULL, classes) ? CAL_RETRY_BILLED : CAL_RETRY_SAFE;
  lua_pop(L, 1); /* the piece is on top again */
  const bool keep = cal_option_boolean(L, 3, "keep", false);
  question *q = new_question(L, s);
  q->plain = true, q->keep = keep;
  for (int i = 0; !status && wants[i]; i++)
    if (!(q->wants[i] = cal_copy_text(wants[i], &err))) status = CAL_E_MEMORY;
  if (!status && request.to && !(request.to_fs = q->fs = cal_bind_own_fs(request.to, &err))) status = err.code;
  if (body) cal_buffer_add(&request.body, body, size);
  if (!status && piece == LUA_TTABLE) status = read_piece(L, &request.body, &err);
  if (!status) status = cal_talk_ask(s->talk, &request, q, &err);
  cal_buffer_free(&request.body);
  return push_asked(L, s, q, status, &err);
}

static void set_number(lua_State *L, const char *key, double n) { lua_pushnumber(L, n), lua_setfield(L, -2, key); }

static const char *verdict_of(const question *q, const cal_talk_reply *r) {
  if (r->end != CAL_TALK_DONE) return r->end == CAL_TALK_FAILED ? "failed" : "stop";
  if (q->read) return cal_wire_verdict_name(q->answer.verdict);
  return r->http->status >= 200 && r->http->status < 300 && q->plain ? "done" : "refused";
}

static void push_reply(lua_State *L, const question *q, const cal_talk_reply *r) {
  lua_createtable(L, 0, 10);
  cal_set_text(L, "verdict", verdict_of(q, r));
  cal_set_text(L, "why", r->why.text);
  cal_set_text(L, "kind", r->label);
  cal_set_count(L, "status", r->http ? r->http->status : 0);
  cal_set_count(L, "attempts", r->attempts);
  cal_set_count(L, "lost", r->lost);
  set_number(L, "seconds", r->seconds);
  if (r->http && q->wants[0]) {
    lua_newtable(L);
    for (int i = 0; i < MOST_NAMES && q->wants[i]; i++) cal_set_text(L, q->wants[i], cal_http_header(r->http, q->wants[i]));
    lua_setfield(L, -2, "headers");
  }
  if (q->plain && r->http && r->end == CAL_TALK_DONE) {
    lua_pushlstring(L, r->http->body.data ? r->http->body.data : "", r->http->body.size);
    lua_setfield(L, -2, "text");
  }
  if (!q->read || q->plain) return;
  cal_set_answer(L, &q->answer);
}

/* talk:next([seconds]) -> tag, reply {verdict, text, why, kind (of the log and the counts), model, tokens, finish, status, seconds,
 * attempts, lost (of these, how many went out and never had a whole reply: they may be paid too)} | nil (nothing is pending, or the time is
 * over) | nil, message, code ("INTERRUPT": Ctrl-C; who calls again waits for what still flies, until a second one) */
static int l_next(lua_State *L) {
  shell *s = check_talk(L);
  const double seconds = luaL_optnumber(L, 2, -1);
  cal_error err = {0};
  cal_talk_reply_free(s->reply); /* of a call that raised */
  s->reply = NULL;
  if (cal_talk_next(s->talk, seconds, &s->reply, &err)) return cal_push_refusal(L, &err);
  if (!s->reply) {
    if (cal_interrupt_check(&err)) return cal_push_refusal(L, &err);
    return lua_pushnil(L), 1;
  }
  question *q = s->reply->tag;
  lua_settop(L, 1);
  lua_getiuservalue(L, 1, 1);
  lua_rawgetp(L, 2, q);
  lua_remove(L, 2);
  push_reply(L, q, s->reply);
  drop_question(L, s, q);
  cal_talk_reply_free(s->reply);
  s->reply = NULL;
  return 2;
}

static int l_room(lua_State *L) { return lua_pushinteger(L, cal_talk_room(check_talk(L)->talk)), 1; }
static int l_flying(lua_State *L) { return lua_pushinteger(L, cal_talk_flying(check_talk(L)->talk)), 1; }

static int l_pending(lua_State *L) { return lua_pushinteger(L, cal_talk_pending(check_talk(L)->talk)), 1; }

/* talk:pause() -> seconds until the next question may go, where all wait; 0: some are on their way, or nothing is pending */
static int l_pause(lua_State *L) { return lua_pushnumber(L, cal_talk_pause(check_talk(L)->talk)), 1; }

/* talk:recall(tag) -> true: it waited, and its reply is there at once ("failed", kind "recalled"); false: it is on its way, or answered */
static int l_recall(lua_State *L) {
  shell *s = check_talk(L);
  luaL_checkany(L, 2);
  bool done = false;
  lua_settop(L, 2);
  lua_getiuservalue(L, 1, 1);
  for (question *q = s->questions; q && !done; q = q->next) {
    lua_rawgetp(L, 3, q);
    done = lua_rawequal(L, -1, 2) && cal_talk_recall(s->talk, q);
    lua_pop(L, 1);
  }
  return lua_pushboolean(L, done), 1;
}

/* talk:counts() -> {requests, ok, errors = {kind = n}, p50, p95, p99 (seconds of good replies; absent: none yet), bytes_sent,
 * bytes_received} */
static int l_counts(lua_State *L) {
  cal_talk_counts c;
  cal_error err = {0};
  if (cal_talk_count(check_talk(L)->talk, &c, &err)) return cal_raise(L, &err);
  lua_createtable(L, 0, 8);
  cal_set_count(L, "requests", (int64_t)c.requests);
  cal_set_count(L, "ok", (int64_t)c.ok);
  cal_set_count(L, "bytes_sent", (int64_t)c.bytes_sent);
  cal_set_count(L, "bytes_received", (int64_t)c.bytes_received);
  if (c.p50 > 0) set_number(L, "p50", c.p50), set_number(L, "p95", c.p95), set_number(L, "p99", c.p99);
  lua_createtable(L, 0, c.kinds);
  for (int i = 0; i < c.kinds; i++) cal_set_count(L, c.errors[i].label, (int64_t)c.errors[i].count);
  lua_setfield(L, -2, "errors");
  return 1;
}

int luaopen_cal_net(lua_State *L);
int luaopen_cal_net(lua_State *L) {
  static const luaL_Reg methods[] = {{"ask", l_ask},         {"request", l_request}, {"next", l_next},     {"room", l_room},
                                     {"pending", l_pending}, {"flying", l_flying},   {"counts", l_counts}, {"pause", l_pause},
                                     {"recall", l_recall},   {"close", l_free},      {NULL, NULL}};
  static const luaL_Reg functions[] = {{"env", l_env},         {"has_key", l_has_key}, {"names", l_names},
                                       {"private", l_private}, {"talk", l_talk},       {NULL, NULL}};
  cal_register_type(L, TALK, methods, l_free, l_text);
  luaL_newlib(L, functions);
  return 1;
}
