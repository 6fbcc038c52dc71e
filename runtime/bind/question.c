#include "bind/question.h"

#include "bind/bind.h"
#include "bind/push.h"

int luaopen_cal_json(lua_State *L);

/* The field as JSON text: a string as it is, a table written. It stays on the stack. */
static const char *json_field(lua_State *L, int index, const char *key) {
  const int type = lua_getfield(L, index, key);
  if (type == LUA_TNIL || type == LUA_TSTRING) return lua_tostring(L, -1);
  if (type != LUA_TTABLE) luaL_error(L, "option '%s': table or JSON text expected, got %s", key, luaL_typename(L, -1));
  luaL_requiref(L, "native.json", luaopen_cal_json, 0);
  lua_getfield(L, -1, "encode");
  lua_remove(L, -2);
  lua_insert(L, -2);
  lua_call(L, 1, 1);
  return luaL_checkstring(L, -1);
}

static const char *bytes_field(lua_State *L, const char *key, size_t *size) { /* of the table on top; the table holds it */
  if (lua_getfield(L, -1, key) != LUA_TSTRING) luaL_error(L, "a picture is { bytes = string, mime = string }");
  const char *bytes = lua_tolstring(L, -1, size);
  lua_pop(L, 1);
  return bytes;
}

static size_t check_pictures(lua_State *L, int index, cal_wire_picture pictures[CAL_QUESTION_PICTURES]) {
  size_t mime;
  if (lua_getfield(L, index, "pictures") == LUA_TNIL) return 0;
  if (!lua_istable(L, -1)) luaL_error(L, "option 'pictures': table expected, got %s", luaL_typename(L, -1));
  const size_t count = lua_rawlen(L, -1);
  if (count > CAL_QUESTION_PICTURES) luaL_error(L, "%d pictures in one question; %d are the most", (int)count, (int)CAL_QUESTION_PICTURES);
  for (size_t i = 0; i < count; i++) {
    if (lua_rawgeti(L, -1, (lua_Integer)i + 1) != LUA_TTABLE) luaL_error(L, "a picture is { bytes = string, mime = string }");
    pictures[i].bytes = bytes_field(L, "bytes", &pictures[i].size);
    pictures[i].mime = bytes_field(L, "mime", &mime);
    lua_pop(L, 1);
  }
  return count; /* the list stays on the stack */
}

cal_wire_question cal_check_question(lua_State *L, int index, cal_wire_picture pictures[CAL_QUESTION_PICTURES]) {
  index = lua_absindex(L, index);
  luaL_checktype(L, index, LUA_TTABLE);
  luaL_checkstack(L, 12, NULL);
  const lua_Integer most = cal_option_integer(L, index, "max_tokens", 0);
  if (most < 0 || most > 1000000) luaL_error(L, "option 'max_tokens': 0 to 1000000 expected, got %I", (LUAI_UACINT)most);
  return (cal_wire_question){.model = cal_option_text(L, index, "model", NULL),
                             .system = cal_option_text(L, index, "system", NULL),
                             .user = cal_option_text(L, index, "user", NULL),
                             .schema = json_field(L, index, "schema"),
                             .settings = json_field(L, index, "settings"),
                             .pictures = pictures,
                             .picture_count = check_pictures(L, index, pictures),
                             .max_tokens = (int)most};
}

void cal_set_answer(lua_State *L, const cal_wire_answer *a) {
  if (a->text.size) {
    lua_pushlstring(L, a->text.data, a->text.size);
    lua_setfield(L, -2, "text");
  }
  cal_set_text(L, "model", a->model);
  cal_set_text(L, "finish", a->finish);
  if (a->tokens_in < 0 && a->tokens_out < 0 && a->tokens_thought < 0) return;
  lua_createtable(L, 0, 3);
  cal_set_count(L, "input", a->tokens_in);
  cal_set_count(L, "output", a->tokens_out);
  cal_set_count(L, "thought", a->tokens_thought);
  lua_setfield(L, -2, "tokens");
}
