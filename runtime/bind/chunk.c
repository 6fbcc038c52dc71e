#include "bind/chunk.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/sha256.h"
#include "core/text/lua_token.h"

static void chunk_free(cal_chunk *c) {
  if (!c) return;
  cal_free(c->source);
  cal_free(c->text);
  cal_free(c);
}

void cal_chunk_forget(cal_runtime *rt) {
  for (cal_chunk *c = rt->chunks, *next; c; c = next) {
    next = c->next;
    chunk_free(c);
  }
  rt->chunks = NULL;
}

const cal_chunk *cal_chunk_of(const cal_runtime *rt, const char *source) {
  for (const cal_chunk *c = rt->chunks; c; c = c->next)
    if (strcmp(c->source, source) == 0) return c;
  return NULL;
}

const cal_chunk *cal_chunk_named(const cal_runtime *rt, const char *name) {
  for (const cal_chunk *c = rt->chunks; c; c = c->next)
    if (strcmp(c->source, name) == 0 || strcmp(c->source + 1, name) == 0) return c;
  return NULL;
}

static cal_status keep(cal_runtime *rt, const char *source, const char *title, const char *text, size_t size, cal_error *err) {
  cal_chunk *c = cal_alloc_zero(1, sizeof *c, err);
  if (!c) return err->code;
  c->source = cal_copy_text(source, err);
  c->text = c->source ? cal_alloc(size + 1, err) : NULL;
  if (!c->text) return chunk_free(c), err->code;
  memcpy(c->text, text, size);
  c->text[size] = 0;
  c->size = size;
  memcpy(c->title, title, sizeof c->title);
  for (cal_chunk **at = &rt->chunks; *at; at = &(*at)->next) {
    cal_chunk *old = *at;
    if (strcmp(old->source, source) != 0) continue;
    *at = old->next;
    chunk_free(old);
    break;
  }
  c->next = rt->chunks;
  rt->chunks = c;
  return CAL_OK;
}

const char *cal_chunk_line(const cal_chunk *chunk, int line, size_t *size) {
  const char *at = chunk->text, *end = at + chunk->size;
  for (; line > 1; line--) {
    at = memchr(at, '\n', (size_t)(end - at));
    if (!at++) return NULL;
  }
  if (line < 1) return NULL;
  const char *stop = memchr(at, '\n', (size_t)(end - at));
  *size = (size_t)((stop ? stop : end) - at);
  if (*size && at[*size - 1] == '\r') --*size;
  return at;
}

bool cal_chunk_find(const cal_chunk *chunk, const char *word, bool call, int last, int *line, int *column) {
  cal_tokens scan = cal_tokens_begin(chunk->text, chunk->size);
  cal_token token, found = {0};
  bool have = cal_tokens_next(&scan, &token);
  while (have && token.line <= last) {
    cal_token next;
    bool more = cal_tokens_next(&scan, &next);
    if (token.line >= *line && cal_token_is(&scan, &token, word) && (!found.size || token.line == found.line)) {
      if (!found.size) found = token;
      char after = more ? scan.text[next.at] : 0;
      if (!call || after == '(' || after == '{' || after == '"' || after == '\'' || (after == '[' && next.kind == CAL_TOKEN_STRING)) {
        found = token;
        break;
      }
    }
    if (found.size && token.line > found.line) break;
    token = next;
    have = more;
  }
  if (!found.size) return false;
  *line = found.line;
  *column = found.column;
  return true;
}

/* --- Compiling ----------------------------------------------------------------------------------------------------- */

static int compile(lua_State *L, const char *text, size_t size, const char *source) {
  if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) text += 3, size -= 3;
  if (size && text[0] == '#') {
    const char *end = memchr(text, '\n', size);
    if (!end) end = text + size;
    size -= (size_t)(end - text);
    text = end;
  }
  return luaL_loadbufferx(L, text, size, source, "t");
}

/* The same complaint comes back when the text ends right after the token that is to blame: so several equal tokens on a
 * line are told apart. `message` lies on the stack. */
static bool blames(lua_State *L, const char *text, size_t end, const char *source, const char *message) {
  int status = compile(L, text, end, source);
  bool same = status == LUA_ERRSYNTAX && strcmp(lua_tostring(L, -1), message) == 0;
  lua_pop(L, 1);
  return same;
}

/* "recipe.lua:3: unexpected symbol near 'x'" at the top -> nil, { message, line, column, width, incomplete } */
static void push_syntax_error(lua_State *L, const char *text, size_t size, const char *source, const char *title) {
  const char *whole = lua_tostring(L, -1), *message = whole;
  size_t head = strlen(title);
  int line = 0, column = 0, width = 1;
  if (strncmp(whole, title, head) == 0 && whole[head] == ':') {
    char *end;
    line = (int)strtol(whole + head + 1, &end, 10);
    message = strncmp(end, ": ", 2) == 0 ? end + 2 : end;
  }
  const char *near = strstr(message, " near ");
  /* A quoted string cannot go on in the next line, so its end is no place to wait for more. */
  bool at_end = near && strcmp(near, " near <eof>") == 0 && strncmp(message, "unfinished string", 17) != 0;
  char word[256] = "";
  if (near && near[6] == '\'' && strlen(near + 7) < sizeof word) {
    strcpy(word, near + 7);
    word[strlen(word) - 1] = 0;
  }
  cal_tokens scan = cal_tokens_begin(text, size);
  cal_token token, last = {0}, first = {0};
  while (cal_tokens_next(&scan, &token)) {
    last = token;
    if (token.line == line && !first.size) first = token;
    bool same = word[0] &&
                (cal_token_is(&scan, &token, word) || (token.kind == CAL_TOKEN_BAD && strncmp(text + token.at, word, strlen(word)) == 0));
    if (!same || column || !blames(L, text, token.at + token.size, source, whole)) continue;
    line = token.line; /* of the token's start, for a string over several lines */
    column = token.column;
    width = (int)strlen(word);
  }
  if (at_end && last.size) line = last.line, column = last.column + (int)last.size;
  else if (!column && near && last.kind == CAL_TOKEN_BAD) line = last.line, column = last.column, width = (int)last.size;
  else if (!column && first.size) column = first.column, width = (int)first.size;
  lua_pushnil(L);
  lua_createtable(L, 0, 5);
  lua_pushstring(L, message);
  lua_setfield(L, -2, "message");
  lua_pushinteger(L, line);
  lua_setfield(L, -2, "line");
  lua_pushinteger(L, column ? column : 1);
  lua_setfield(L, -2, "column");
  lua_pushinteger(L, width);
  lua_setfield(L, -2, "width");
  lua_pushboolean(L, at_end);
  lua_setfield(L, -2, "incomplete");
  lua_remove(L, -3);
}

bool cal_chunk_load(lua_State *L, const char *text, size_t size, const char *source, int env) {
  env = lua_absindex(L, env);
  char title[LUA_IDSIZE];
  lua_Debug ar;
  if (luaL_loadbufferx(L, "", 0, source, "t") != LUA_OK) lua_error(L); /* asks Lua how it will write this name */
  lua_getinfo(L, ">S", &ar);
  memcpy(title, ar.short_src, sizeof title);
  cal_error err = {0};
  /* The text is kept before it is compiled: its syntax errors show an excerpt as well. */
  if (keep(cal_runtime_of(L), source, title, text, size, &err)) cal_raise(L, &err);
  int status = compile(L, text, size, source);
  if (status == LUA_ERRSYNTAX) {
    push_syntax_error(L, text, size, source, title);
    return false;
  }
  if (status != LUA_OK) lua_error(L);
  lua_pushvalue(L, env);
  lua_setupvalue(L, -2, 1);
  return true;
}

int cal_chunk_load_expression(lua_State *L, const char *text, size_t size, const char *source, int env) {
  env = lua_absindex(L, env);
  lua_pushliteral(L, "return ");
  lua_pushlstring(L, text, size);
  lua_concat(L, 2);
  int status = luaL_loadbufferx(L, lua_tostring(L, -1), size + 7, source, "t");
  lua_remove(L, -2);
  if (status != LUA_OK) return status;
  lua_pushvalue(L, env);
  lua_setupvalue(L, -2, 1);
  return LUA_OK;
}

/* --- The text of one function -------------------------------------------------------------------------------------- */

static bool opens_block(const cal_tokens *s, const cal_token *t) {
  return cal_token_is(s, t, "function") || cal_token_is(s, t, "do") || cal_token_is(s, t, "if") || cal_token_is(s, t, "repeat");
}

/* From the `function` token to past its `end`; false when the text ends first. */
static bool function_end(cal_tokens scan, cal_token *end) {
  int depth = 1;
  while (cal_tokens_next(&scan, end)) {
    if (end->kind != CAL_TOKEN_KEYWORD) continue;
    if (opens_block(&scan, end)) depth++;
    else if ((cal_token_is(&scan, end, "end") || cal_token_is(&scan, end, "until")) && --depth == 0) return true;
  }
  return false;
}

static int add_bytes(lua_State *L, const void *bytes, size_t size, void *context) {
  (void)L;
  cal_sha256_add(context, bytes, size);
  return 0;
}

void cal_chunk_push_function(lua_State *L, int index) {
  lua_Debug ar;
  lua_pushvalue(L, index);
  lua_getinfo(L, ">S", &ar);
  const cal_chunk *chunk = ar.what[0] == 'C' ? NULL : cal_chunk_of(cal_runtime_of(L), ar.source);
  if (!chunk) {
    lua_pushnil(L);
    return;
  }
  if (ar.what[0] == 'm') {
    lua_pushlstring(L, chunk->text, chunk->size);
    return;
  }
  cal_tokens scan = cal_tokens_begin(chunk->text, chunk->size);
  cal_token token, end;
  size_t from = 0, to = 0;
  int found = 0;
  while (cal_tokens_next(&scan, &token) && token.line <= ar.linedefined) {
    if (token.line != ar.linedefined || !cal_token_is(&scan, &token, "function")) continue;
    if (!function_end(scan, &end) || end.line != ar.lastlinedefined) continue;
    if (!found++) from = token.at;
    if (end.at + end.size > to) to = end.at + end.size;
  }
  if (!found) {
    lua_pushnil(L);
    return;
  }
  lua_pushlstring(L, chunk->text + from, to - from);
  if (found == 1) return;
  cal_sha256 hash;
  char mark[1 + CAL_SHA256_HEX] = "#";
  cal_sha256_start(&hash);
  lua_pushvalue(L, index);
  lua_dump(L, add_bytes, &hash, 1);
  lua_pop(L, 1);
  cal_sha256_end(&hash, mark + 1);
  lua_pushstring(L, mark);
  lua_concat(L, 2);
}
