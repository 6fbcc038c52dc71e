/* l_text.c - native.text: tokenizers; what letters are. */
#include <string.h>

#include "bind/bind.h"
#include "core/text/letters.h"
#include "core/text/next.h"
#include "core/text/tokenizer.h"

enum { LONGEST_FILE = 64 << 20, LONGEST_WINDOW = 1 << 16 };

static const char TYPE[] = "calotype.tokenizer";

static cal_tokenizer *check_tokenizer(lua_State *L) {
  cal_tokenizer **t = luaL_checkudata(L, 1, TYPE);
  if (!*t) luaL_error(L, "this tokenizer is closed");
  return *t;
}

static int l_free(lua_State *L) {
  cal_tokenizer **t = luaL_checkudata(L, 1, TYPE);
  cal_tokenizer_free(*t);
  *t = NULL;
  return 0;
}

static int l_to_string(lua_State *L) {
  cal_tokenizer **t = luaL_checkudata(L, 1, TYPE);
  if (!*t) lua_pushliteral(L, "tokenizer (closed)");
  else lua_pushfstring(L, "tokenizer (%d tokens)", (int)cal_tokenizer_size(*t));
  return 1;
}

/* text.clip(vocab_path, merges_path [, {begin=, ["end"]=, pad=, unknown=}]) -> tokenizer | nil, message, code */
static int l_clip(lua_State *L) {
  const char *paths[2] = {luaL_checkstring(L, 1), luaL_checkstring(L, 2)};
  cal_special_tokens special = {cal_option_text(L, 3, "begin", NULL), cal_option_text(L, 3, "end", NULL),
                                cal_option_text(L, 3, "pad", NULL), cal_option_text(L, 3, "unknown", NULL)};
  cal_tokenizer **shell = cal_push_shell(L, TYPE, sizeof *shell);
  cal_error err = {0};
  cal_buffer files[2] = {{0}, {0}};
  cal_status status = CAL_OK;
  for (int i = 0; i < 2 && !status; i++) status = cal_fs_read(cal_bind_fs(L), paths[i], LONGEST_FILE, &files[i], &err);
  if (!status) {
    *shell = cal_tokenizer_new_clip(files[0].data, files[0].size, files[1].data, files[1].size, &special, &err);
    if (!*shell) cal_error_context(&err, "%s with %s", paths[0], paths[1]);
  }
  for (int i = 0; i < 2; i++) cal_buffer_free(&files[i]);
  return *shell ? 1 : cal_push_refusal(L, &err);
}

/* text.wordpiece(vocabulary [, lower = true]) -> tokenizer | nil, message, code. `vocabulary`: the lines of vocab.txt */
static int l_wordpiece(lua_State *L) {
  size_t size;
  const char *vocab = luaL_checklstring(L, 1, &size);
  const bool lower = lua_isnoneornil(L, 2) || lua_toboolean(L, 2);
  cal_tokenizer **shell = cal_push_shell(L, TYPE, sizeof *shell);
  cal_error err = {0};
  *shell = cal_tokenizer_new_wordpiece(vocab, size, lower, &err);
  return *shell ? 1 : cal_push_refusal(L, &err);
}

/* The ids of a text live in a shell while Lua's table is made. */
static int l_tokens_free(lua_State *L) {
  cal_tokens_free(lua_touserdata(L, 1));
  return 0;
}

static int l_tokens_text(lua_State *L) {
  lua_pushliteral(L, "tokens");
  return 1;
}

static cal_tokens *push_tokens(lua_State *L, const cal_tokenizer *t, cal_error *err) {
  size_t size;
  const char *text = luaL_checklstring(L, 2, &size);
  cal_tokens *tokens = cal_push_shell(L, "calotype.tokens", sizeof *tokens);
  return cal_tokenizer_encode(t, text, size, tokens, err) ? NULL : tokens;
}

/* tokenizer:tokens(text) -> {ids}, without beginning and end | nil, message, code */
static int l_tokens(lua_State *L) {
  cal_error err = {0};
  cal_tokens *tokens = push_tokens(L, check_tokenizer(L), &err);
  if (!tokens) return cal_push_refusal(L, &err);
  lua_createtable(L, (int)tokens->count, 0);
  for (size_t i = 0; i < tokens->count; i++) {
    lua_pushinteger(L, tokens->ids[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* tokenizer:encode(text, length) -> {ids: begin, tokens, end, padding}, how many tokens were cut | nil, message, code */
static int l_encode(lua_State *L) {
  const cal_tokenizer *t = check_tokenizer(L);
  lua_Integer length = luaL_optinteger(L, 3, 77);
  luaL_argcheck(L, length >= 2 && length <= LONGEST_WINDOW, 3, "length is 2 to 65536");
  cal_error err = {0};
  cal_tokens *tokens = push_tokens(L, t, &err);
  if (!tokens) return cal_push_refusal(L, &err);
  int32_t *window = lua_newuserdatauv(L, (size_t)length * sizeof *window, 0);
  size_t cut = cal_tokenizer_window(t, tokens, window, (size_t)length);
  lua_createtable(L, (int)length, 0);
  for (lua_Integer i = 0; i < length; i++) {
    lua_pushinteger(L, window[i]);
    lua_rawseti(L, -2, i + 1);
  }
  lua_pushinteger(L, (lua_Integer)cut);
  return 2;
}

/* tokenizer:decode({ids}) -> text */
static int l_decode(lua_State *L) {
  const cal_tokenizer *t = check_tokenizer(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_Integer count = luaL_len(L, 2);
  int32_t *ids = lua_newuserdatauv(L, (size_t)count * sizeof *ids + 1, 0);
  for (lua_Integer i = 0; i < count; i++) {
    int whole;
    lua_rawgeti(L, 2, i + 1);
    lua_Integer id = lua_tointegerx(L, -1, &whole);
    if (!whole || id < 0 || id >= cal_tokenizer_size(t))
      return luaL_error(L, "token %d is no id; ids are 0 to %d", (int)i + 1, (int)cal_tokenizer_size(t) - 1);
    ids[i] = (int32_t)id;
    lua_pop(L, 1);
  }
  cal_error err = {0};
  cal_buffer text = {0};
  if (cal_tokenizer_decode(t, ids, (size_t)count, &text, &err)) {
    cal_buffer_free(&text);
    return cal_raise(L, &err);
  }
  return cal_push_buffer(L, &text);
}

static int l_size(lua_State *L) {
  lua_pushinteger(L, cal_tokenizer_size(check_tokenizer(L)));
  return 1;
}

/* tokenizer:id(token) -> integer | nil */
static int l_id(lua_State *L) {
  size_t size;
  const cal_tokenizer *t = check_tokenizer(L);
  const char *token = luaL_checklstring(L, 2, &size);
  int32_t id = cal_tokenizer_id(t, token, size);
  if (id < 0) lua_pushnil(L);
  else lua_pushinteger(L, id);
  return 1;
}

/* tokenizer:token(id) -> text as vocab.json spells it | nil */
static int l_token(lua_State *L) {
  const cal_tokenizer *t = check_tokenizer(L);
  lua_Integer id = luaL_checkinteger(L, 2);
  lua_pushstring(L, id >= 0 && id < cal_tokenizer_size(t) ? cal_tokenizer_token(t, (int32_t)id) : NULL);
  return 1;
}

/* text.kind(codepoint) -> "letter", "mark", "digit", "point", "sign", "space" or "none" */
static int l_kind(lua_State *L) {
  static const char *const names[] = {"none", "letter", "mark", "digit", "point", "sign", "space"};
  const lua_Integer c = luaL_checkinteger(L, 1);
  lua_pushstring(L, names[c >= 0 && c <= 0x10ffff ? cal_letter_kind((int32_t)c) : CAL_LETTER_NONE]);
  return 1;
}

/* text.lower(text) -> text with small letters, as many bytes as before */
static int l_lower(lua_State *L) {
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  luaL_Buffer b;
  char *copy = luaL_buffinitsize(L, &b, size);
  memcpy(copy, text, size);
  cal_text_lower(copy, size);
  luaL_pushresultsize(&b, size);
  return 1;
}

/* The tokens of a list, in memory that is Lua's and stays while it is on the stack. */
static int32_t *check_ids(lua_State *L, int arg, size_t *count) {
  if (lua_isnil(L, arg)) {
    *count = 0;
    return NULL;
  }
  luaL_checktype(L, arg, LUA_TTABLE);
  *count = (size_t)luaL_len(L, arg);
  int32_t *ids = lua_newuserdatauv(L, *count * sizeof *ids + 1, 0);
  for (size_t i = 0; i < *count; i++) {
    lua_rawgeti(L, arg, (lua_Integer)i + 1);
    const lua_Integer id = luaL_checkinteger(L, -1);
    if (id < 0 || id > INT32_MAX) luaL_error(L, "token %d is no id: %I", (int)i + 1, id);
    ids[i] = (int32_t)id;
    lua_pop(L, 1);
  }
  return ids;
}

/* text.best(logits, row, vocabulary, {count=, logarithms=false, penalty=1, seen={ids}, never=id}) -> {ids}, {scores}, best first
 * | nil, message, code. `logits`: f32 bytes of [rows, vocabulary]; rows count from 1. */
static int l_best(lua_State *L) {
  size_t size, seen_count;
  const char *bytes = luaL_checklstring(L, 1, &size);
  const lua_Integer row = luaL_checkinteger(L, 2), vocabulary = luaL_checkinteger(L, 3), count = cal_option_integer(L, 4, "count", 1);
  luaL_argcheck(L, vocabulary >= 1 && vocabulary <= INT32_MAX, 3, "a vocabulary has tokens");
  const size_t each = (size_t)vocabulary * sizeof(float);
  luaL_argcheck(L, row >= 1 && (size_t)row <= size / each, 2, "there are not so many rows");
  luaL_argcheck(L, count >= 1 && count <= vocabulary, 4, "count is 1 to the size of the vocabulary");
  const lua_Integer never = cal_option_integer(L, 4, "never", -1);
  luaL_argcheck(L, never >= -1 && never < vocabulary, 4, "never is a token of the vocabulary");
  if (lua_istable(L, 4)) lua_getfield(L, 4, "seen");
  else lua_pushnil(L);
  cal_next_rules rules = {
      .logarithms = cal_option_boolean(L, 4, "logarithms", 0), .penalty = cal_option_number(L, 4, "penalty", 1), .never = (int32_t)never};
  rules.seen = check_ids(L, lua_gettop(L), &seen_count);
  rules.seen_count = seen_count;
  float *logits = lua_newuserdatauv(L, each, 0); /* strings need not be aligned */
  memcpy(logits, bytes + (size_t)(row - 1) * each, each);
  cal_next *best = lua_newuserdatauv(L, (size_t)count * sizeof *best, 0);
  cal_error err = {0};
  if (cal_next_best(logits, (size_t)vocabulary, &rules, (size_t)count, best, &err)) return cal_push_refusal(L, &err);
  lua_createtable(L, (int)count, 0);
  lua_createtable(L, (int)count, 0);
  for (lua_Integer i = 0; i < count; i++) {
    lua_pushinteger(L, best[i].id);
    lua_rawseti(L, -3, i + 1);
    lua_pushnumber(L, (lua_Number)best[i].score);
    lua_rawseti(L, -2, i + 1);
  }
  return 2;
}

int luaopen_cal_text(lua_State *L);
int luaopen_cal_text(lua_State *L) {
  static const luaL_Reg methods[] = {{"tokens", l_tokens}, {"encode", l_encode}, {"decode", l_decode}, {"size", l_size},
                                     {"id", l_id},         {"token", l_token},   {NULL, NULL}};
  cal_register_type(L, TYPE, methods, l_free, l_to_string);
  cal_register_type(L, "calotype.tokens", (const luaL_Reg[]){{NULL, NULL}}, l_tokens_free, l_tokens_text);
  luaL_newlib(L, ((const luaL_Reg[]){
                     {"best", l_best}, {"clip", l_clip}, {"kind", l_kind}, {"lower", l_lower}, {"wordpiece", l_wordpiece}, {NULL, NULL}}));
  return 1;
}
