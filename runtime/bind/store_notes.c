/* store_notes.c - what a person does to pictures, as methods of native.store: marks, drafts, actions. */
#include <string.h>

#include "bind/bind.h"
#include "bind/push.h"
#include "bind/store.h"

#define NOTES "calotype.notes"
enum { LIMIT = 100 };

/* Rows live in a shell while tables are made of them. */
typedef struct {
  cal_note *notes;
  cal_action *actions;
  size_t count;
} rows;

static int l_free(lua_State *L) {
  rows *r = lua_touserdata(L, 1);
  if (r->notes) cal_notes_free(r->notes, r->count);
  if (r->actions) cal_actions_free(r->actions, r->count);
  *r = (rows){0};
  return 0;
}

static int l_text(lua_State *L) {
  lua_pushliteral(L, "notes");
  return 1;
}

void cal_register_notes(lua_State *L) { cal_register_type(L, NOTES, (const luaL_Reg[]){{NULL, NULL}}, l_free, l_text); }

/* A text without NUL bytes, which would end it in the store. */
static const char *check_text(lua_State *L, int arg) {
  size_t size;
  const char *text = luaL_checklstring(L, arg, &size);
  luaL_argcheck(L, strlen(text) == size, arg, "has a NUL byte");
  return text;
}

static const char *some_text(lua_State *L, int arg) { return lua_isnoneornil(L, arg) ? NULL : check_text(L, arg); }

static int answer(lua_State *L, cal_status status, const cal_error *err) {
  if (status) return cal_push_refusal(L, err);
  lua_pushboolean(L, 1);
  return 1;
}

static int push_notes(lua_State *L, const rows *r) {
  lua_createtable(L, 0, (int)r->count);
  for (size_t i = 0; i < r->count; i++) {
    lua_pushstring(L, r->notes[i].text);
    lua_setfield(L, -2, r->notes[i].sha);
  }
  return 1;
}

/* s:mark(sha, "star" | "reject", value | nil) -> true. Stars: "1" to "5"; the value of a reject: why. nil takes the mark back. */
static int l_mark(lua_State *L) {
  cal_store *s = cal_check_store(L, 1);
  const char *sha = luaL_checkstring(L, 2), *kind = check_text(L, 3), *value = some_text(L, 4);
  cal_error err = {0};
  return answer(L, cal_store_mark(s, sha, kind, value, &err), &err);
}

/* s:marks(kind) -> { [sha] = value } of the marks that are in force */
static int l_marks(lua_State *L) {
  cal_store *s = cal_check_store(L, 1);
  const char *kind = check_text(L, 2);
  cal_error err = {0};
  rows *r = cal_push_shell(L, NOTES, sizeof *r);
  if (cal_store_marks(s, kind, &r->notes, &r->count, &err)) return cal_push_refusal(L, &err);
  return push_notes(L, r);
}

/* s:draft(sha, text | nil [, seat]) -> true. What is being typed at a seat (0 unless said); nil: nothing any more. */
static int l_draft(lua_State *L) {
  cal_store *s = cal_check_store(L, 1);
  const char *sha = luaL_checkstring(L, 2), *text = some_text(L, 3);
  const lua_Integer seat = luaL_optinteger(L, 4, 0);
  luaL_argcheck(L, seat >= 0 && seat <= CAL_STORE_SEATS, 4, "no seat");
  cal_error err = {0};
  return answer(L, cal_store_draft(s, sha, (int)seat, text, &err), &err);
}

/* s:drafts() -> { { sha =, seat =, text = }, ... } of all seats */
static int l_drafts(lua_State *L) {
  cal_store *s = cal_check_store(L, 1);
  cal_error err = {0};
  rows *r = cal_push_shell(L, NOTES, sizeof *r);
  if (cal_store_drafts(s, &r->notes, &r->count, &err)) return cal_push_refusal(L, &err);
  lua_createtable(L, (int)r->count, 0);
  for (size_t i = 0; i < r->count; i++) {
    lua_createtable(L, 0, 3);
    lua_pushstring(L, r->notes[i].sha), lua_setfield(L, -2, "sha");
    cal_set_count(L, "seat", r->notes[i].id);
    lua_pushstring(L, r->notes[i].text), lua_setfield(L, -2, "text");
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* s:seat() -> number | nil, message, code. The lowest that no living process has at this store; kept until s is closed. */
static int l_seat(lua_State *L) {
  cal_store *s = cal_check_store(L, 1);
  cal_error err = {0};
  int seat;
  if (cal_store_seat(s, &seat, &err)) return cal_push_refusal(L, &err);
  lua_pushinteger(L, seat);
  return 1;
}

/* s:seated(seat) -> whether a living process has it, this one too */
static int l_seated(lua_State *L) {
  const lua_Integer seat = luaL_checkinteger(L, 2);
  lua_pushboolean(L, seat >= 1 && seat <= CAL_STORE_SEATS && cal_store_seated(cal_check_store(L, 1), (int)seat));
  return 1;
}

static char *need_text(lua_State *L, const char *key) {
  lua_getfield(L, 2, key);
  if (lua_type(L, -1) != LUA_TSTRING) luaL_error(L, "option '%s': string expected", key);
  size_t size;
  const char *text = lua_tolstring(L, -1, &size);
  if (strlen(text) != size) luaL_error(L, "option '%s' has a NUL byte", key);
  lua_pop(L, 1); /* the table holds it */
  return (char *)(uintptr_t)text;
}

/* s:add_action{ place =, title =, detail = JSON } -> id. Inside s:batch it is there with the changes that it tells of, or not at all. */
static int l_add_action(lua_State *L) {
  cal_store *s = cal_check_store(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  const cal_action action = {.place = need_text(L, "place"), .title = need_text(L, "title"), .detail = need_text(L, "detail")};
  cal_error err = {0};
  int64_t id;
  if (cal_store_add_action(s, &action, &id, &err)) return cal_push_refusal(L, &err);
  lua_pushinteger(L, id);
  return 1;
}

/* s:actions(place [, { limit = 100 }]) -> rows, newest first: id, place, title, detail, time, undone, dropped (cannot be done again) */
static int l_actions(lua_State *L) {
  cal_store *s = cal_check_store(L, 1);
  const char *place = check_text(L, 2);
  const lua_Integer limit = cal_option_integer(L, 3, "limit", LIMIT);
  if (limit < 1 || limit > 1000000) luaL_error(L, "option 'limit': %I is not 1 to 1000000", limit);
  cal_error err = {0};
  rows *r = cal_push_shell(L, NOTES, sizeof *r);
  if (cal_store_actions(s, place, (int)limit, &r->actions, &r->count, &err)) return cal_push_refusal(L, &err);
  lua_createtable(L, (int)r->count, 0);
  for (size_t i = 0; i < r->count; i++) {
    const cal_action *a = &r->actions[i];
    lua_createtable(L, 0, 7);
    cal_set_count(L, "id", a->id);
    lua_pushstring(L, a->place), lua_setfield(L, -2, "place"); /* also when empty */
    lua_pushstring(L, a->title), lua_setfield(L, -2, "title");
    lua_pushstring(L, a->detail), lua_setfield(L, -2, "detail");
    cal_set_text(L, "time", a->time);
    lua_pushboolean(L, a->undone), lua_setfield(L, -2, "undone");
    lua_pushboolean(L, a->dropped), lua_setfield(L, -2, "dropped");
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* s:undo_action(id, undone) -> true | nil, message, "NOTFOUND". false: it was done again. What it changed is for the caller to change back.
 */
static int l_undo_action(lua_State *L) {
  cal_store *s = cal_check_store(L, 1);
  const lua_Integer id = luaL_checkinteger(L, 2);
  luaL_checktype(L, 3, LUA_TBOOLEAN);
  cal_error err = {0};
  return answer(L, cal_store_undo_action(s, id, lua_toboolean(L, 3), &err), &err);
}

/* s:drop_undone(place) -> how many actions can no longer be done again: something new was done after they were undone */
static int l_drop_undone(lua_State *L) {
  cal_store *s = cal_check_store(L, 1);
  const char *place = check_text(L, 2);
  cal_error err = {0};
  int count;
  if (cal_store_drop_undone(s, place, &count, &err)) return cal_push_refusal(L, &err);
  lua_pushinteger(L, count);
  return 1;
}

const luaL_Reg cal_store_notes[] = {{"mark", l_mark},
                                    {"marks", l_marks},
                                    {"draft", l_draft},
                                    {"drafts", l_drafts},
                                    {"seat", l_seat},
                                    {"seated", l_seated},
                                    {"add_action", l_add_action},
                                    {"actions", l_actions},
                                    {"undo_action", l_undo_action},
                                    {"drop_undone", l_drop_undone},
                                    {NULL, NULL}};
