/* l_json.c - native.json: canonical JSON. */
#include <math.h>
#include <string.h>

#include "bind/bind.h"
#include "bind/push.h"
#include "core/codec/json.h"

#define ARRAY "calotype.json.array"

/* Where we are inside the value, for messages: a chain on the C stack. */
typedef struct step {
  const struct step *up;
  const char *key; /* NULL: `index` */
  lua_Integer index;
} step;

static void say_place(luaL_Buffer *b, lua_State *L, const step *s) {
  if (!s) return;
  say_place(b, L, s->up);
  if (s->key) lua_pushfstring(L, ".%s", s->key);
  else lua_pushfstring(L, "[%I]", s->index);
  luaL_addvalue(b);
}

static int wrong(lua_State *L, const step *s, const char *what) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addstring(&b, "json: ");
  if (s) luaL_addstring(&b, "at ");
  say_place(&b, L, s);
  if (s) luaL_addstring(&b, ": ");
  luaL_addstring(&b, what);
  luaL_pushresult(&b);
  return luaL_error(L, "%s", lua_tostring(L, -1));
}

static bool clean_text(const char *text, size_t size) { return !memchr(text, 0, size) && cal_utf8_valid(text, size, NULL); }

static bool is_array(lua_State *L, const step *s, int depth) {
  bool marked = false;
  if (lua_getmetatable(L, -1)) {
    luaL_getmetatable(L, ARRAY);
    marked = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
  }
  lua_Integer count = 0, highest = 0;
  bool words = false;
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    if (lua_isinteger(L, -2) && lua_tointeger(L, -2) > 0) {
      count++;
      if (lua_tointeger(L, -2) > highest) highest = lua_tointeger(L, -2);
    } else if (lua_type(L, -2) == LUA_TSTRING) {
      words = true;
    } else {
      wrong(L, s, "a table key that is neither a string nor a position");
    }
  }
  if (words && (count || marked)) wrong(L, s, "a table with positions and names is neither a list nor an object");
  if (highest != count) wrong(L, s, "a list with holes (use json.null)");
  (void)depth;
  return marked || count;
}

static void take(lua_State *L, cal_json *parent, const step *s, cal_json *value) {
  cal_error err = {0};
  if (s->key ? cal_json_put(parent, s->key, value, &err) : cal_json_add(parent, value, &err)) cal_raise(L, &err);
}

/* The value on top of the stack goes into `parent` at once, so that whatever raises later finds it owned by the shell. */
static void build(lua_State *L, cal_json *parent, const step *s, const step *shown, int depth) {
  cal_json *made = NULL;
  switch (lua_type(L, -1)) {
    case LUA_TBOOLEAN: take(L, parent, s, cal_json_from_bool(lua_toboolean(L, -1), NULL)); return;
    case LUA_TNUMBER: {
      lua_Number x = lua_tonumber(L, -1);
      if (!isfinite(x)) wrong(L, shown, "a number that is not finite cannot be written");
      if (lua_isinteger(L, -1) && fabs(x) > 0x1p53)
        wrong(L, shown, "a whole number beyond 2^53 loses digits in JSON: write it as a string");
      take(L, parent, s, cal_json_from_number(x, NULL));
      return;
    }
    case LUA_TSTRING: {
      size_t size;
      const char *text = lua_tolstring(L, -1, &size);
      if (!clean_text(text, size)) wrong(L, shown, "a string that is not UTF-8, or has a NUL byte, cannot be written");
      take(L, parent, s, cal_json_from_text(text, NULL));
      return;
    }
    case LUA_TLIGHTUSERDATA:
      if (lua_touserdata(L, -1)) break;
      take(L, parent, s, cal_json_new(CAL_JSON_NULL, NULL));
      return;
    case LUA_TTABLE: {
      if (depth >= CAL_JSON_DEPTH) wrong(L, NULL, "more than 100 levels (a table that contains itself?)");
      luaL_checkstack(L, 8, "json");
      bool array = is_array(L, shown, depth);
      made = cal_json_new(array ? CAL_JSON_ARRAY : CAL_JSON_OBJECT, NULL);
      take(L, parent, s, made);
      if (array) {
        lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
        for (lua_Integer i = 1; i <= count; i++) {
          step inner = {shown, NULL, i};
          lua_rawgeti(L, -1, i);
          build(L, made, &inner, &inner, depth + 1);
          lua_pop(L, 1);
        }
        return;
      }
      for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        size_t size;
        step inner = {shown, lua_tolstring(L, -2, &size), 0};
        if (!clean_text(inner.key, size)) wrong(L, shown, "a key that is not UTF-8, or has a NUL byte, cannot be written");
        build(L, made, &inner, &inner, depth + 1);
      }
      return;
    }
    default: break;
  }
  lua_pushfstring(L, "a %s cannot be written", luaL_typename(L, -1));
  wrong(L, shown, lua_tostring(L, -1));
}

static int l_free(lua_State *L) {
  cal_json **shell = lua_touserdata(L, 1);
  cal_json_free(*shell);
  *shell = NULL;
  return 0;
}

static int l_text(lua_State *L) {
  lua_pushliteral(L, "json");
  return 1;
}

/* json.encode(value [, {pretty = true}]) -> text. Keys sorted; the same value gives the same text. */
static int l_encode(lua_State *L) {
  luaL_checkany(L, 1);
  unsigned flags = cal_option_boolean(L, 2, "pretty", 0) ? CAL_JSON_PRETTY : 0;
  cal_error err = {0};
  cal_json **shell = cal_push_shell(L, "calotype.json", sizeof *shell);
  *shell = cal_json_new(CAL_JSON_ARRAY, &err);
  if (!*shell) return cal_raise(L, &err);
  lua_pushvalue(L, 1);
  step root = {0};
  build(L, *shell, &root, NULL, 0);
  cal_buffer out = {0};
  /* build() put the value into a list so that it was owned from the start. */
  if (cal_json_write((cal_json *)(uintptr_t)cal_json_first(*shell), flags, &out, &err)) return cal_buffer_free(&out), cal_raise(L, &err);
  cal_json_free(*shell);
  *shell = NULL;
  return cal_push_buffer(L, &out);
}

void cal_push_json(lua_State *L, const cal_json *value) {
  luaL_checkstack(L, 6, "json");
  switch (cal_json_kind_of(value)) {
    case CAL_JSON_NULL: lua_pushlightuserdata(L, NULL); return;
    case CAL_JSON_BOOL: lua_pushboolean(L, cal_json_bool(value)); return;
    case CAL_JSON_TEXT: lua_pushstring(L, cal_json_text(value)); return;
    case CAL_JSON_NUMBER: {
      double x = cal_json_number(value);
      if (x == floor(x) && fabs(x) <= 0x1p53) lua_pushinteger(L, (lua_Integer)x);
      else lua_pushnumber(L, x);
      return;
    }
    case CAL_JSON_ARRAY: {
      lua_createtable(L, (int)cal_json_count(value), 0);
      lua_Integer i = 0;
      for (const cal_json *child = cal_json_first(value); child; child = cal_json_next(child)) {
        cal_push_json(L, child);
        lua_rawseti(L, -2, ++i);
      }
      luaL_setmetatable(L, ARRAY);
      return;
    }
    case CAL_JSON_OBJECT:
      lua_newtable(L);
      for (const cal_json *child = cal_json_first(value); child; child = cal_json_next(child)) {
        lua_pushstring(L, cal_json_key(child));
        cal_push_json(L, child);
        lua_rawset(L, -3);
      }
  }
}

/* json.decode(text) -> value | nil, message, code. null is json.null; whole numbers within 2^53 are integers. */
static int l_decode(lua_State *L) {
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  cal_error err = {0};
  cal_json **shell = cal_push_shell(L, "calotype.json", sizeof *shell);
  *shell = cal_json_parse(text, size, &err);
  if (!*shell) return cal_push_refusal(L, &err);
  cal_push_json(L, *shell);
  cal_json_free(*shell);
  *shell = NULL;
  return 1;
}

/* json.array(t) -> t, marked: it is written as a list even when it is empty. */
static int l_array(lua_State *L) {
  if (lua_isnone(L, 1)) lua_newtable(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  luaL_setmetatable(L, ARRAY);
  return 1;
}

int luaopen_cal_json(lua_State *L);
int luaopen_cal_json(lua_State *L) {
  static const luaL_Reg functions[] = {{"encode", l_encode}, {"decode", l_decode}, {"array", l_array}, {NULL, NULL}};
  cal_register_type(L, "calotype.json", (const luaL_Reg[]){{NULL, NULL}}, l_free, l_text);
  luaL_newmetatable(L, ARRAY);
  lua_pop(L, 1);
  luaL_newlib(L, functions);
  lua_pushlightuserdata(L, NULL);
  lua_setfield(L, -2, "null");
  return 1;
}
