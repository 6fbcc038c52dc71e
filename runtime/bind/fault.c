#include "bind/fault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bind/chunk.h"
#include "bind/stop.h"
#include "core/base/fold.h"
#include "core/base/suggest.h"
#include "core/text/lua_token.h"

#define TYPE "calotype.fault"

static bool is_fault(lua_State *L, int index) { return luaL_testudata(L, index, TYPE) != NULL; }

/* The table at the top becomes a fault. */
static void wrap(lua_State *L) {
  cal_push_shell(L, TYPE, 1);
  lua_insert(L, -2);
  lua_setiuservalue(L, -2, 1);
}

static lua_Integer integer_field(lua_State *L, int index, const char *key, lua_Integer otherwise) {
  lua_getfield(L, index, key);
  int is = 0;
  lua_Integer value = lua_tointegerx(L, -1, &is);
  lua_pop(L, 1);
  return is ? value : otherwise;
}

/* The string lives as long as the table. */
static const char *text_field(lua_State *L, int index, const char *key) {
  const char *text = lua_getfield(L, index, key) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
  lua_pop(L, 1);
  return text;
}

void cal_fault_push_stopped(lua_State *L) {
  lua_createtable(L, 0, 3);
  lua_pushliteral(L, "interrupted");
  lua_setfield(L, -2, "message");
  lua_pushinteger(L, CAL_EXIT_STOPPED);
  lua_setfield(L, -2, "exit");
  lua_newtable(L);
  lua_setfield(L, -2, "frames");
  wrap(L);
}

#define MEMORY_HINT "Lua may hold %d MB here; CALOTYPE_MEMORY=1024 in the environment raises that"
static int memory_cap(const cal_runtime *rt) { return (int)(rt->cap >> 20); }

void cal_fault_push_memory(lua_State *L) {
  lua_createtable(L, 0, 4);
  lua_pushliteral(L, "not enough memory");
  lua_setfield(L, -2, "message");
  lua_pushfstring(L, MEMORY_HINT, memory_cap(cal_runtime_of(L)));
  lua_setfield(L, -2, "hint");
  lua_pushinteger(L, CAL_EXIT_FAILED);
  lua_setfield(L, -2, "exit");
  lua_newtable(L);
  lua_setfield(L, -2, "frames");
  wrap(L);
}

/* --- Nearest name -------------------------------------------------------------------------------------------------- */

int cal_fault_push_nearest(lua_State *L, const char *word, int index) {
  index = lua_absindex(L, index);
  cal_suggestion s = {.word = word}; /* the strings live as long as the table */
  lua_pushnil(L);
  while (lua_next(L, index)) {
    int at = lua_type(L, -2) == LUA_TSTRING ? -2 : lua_type(L, -1) == LUA_TSTRING ? -1 : 0;
    if (at) cal_suggestion_offer(&s, lua_tostring(L, at));
    lua_pop(L, 1);
  }
  const char *best = cal_suggestion_best(&s);
  lua_pushstring(L, best);
  return best ? s.edits : 0;
}

/* --- What a message of Lua's is about ------------------------------------------------------------------------------ */

typedef struct {
  char kind[16], name[128]; /* "global", "imagse"; empty: nothing known */
  bool call, index_only;
} subject;

static bool between(const char *text, const char *before, char after, char *out, size_t room) {
  const char *from = strstr(text, before);
  if (!from) return false;
  from += strlen(before);
  const char *to = strchr(from, after);
  if (!to || (size_t)(to - from) >= room) return false;
  memcpy(out, from, (size_t)(to - from));
  out[to - from] = 0;
  return true;
}

static subject subject_of(const char *message) {
  subject s = {0};
  static const char *const kinds[] = {"global", "local", "method", "field", "upvalue", "constant"};
  s.call = strncmp(message, "attempt to call a ", 18) == 0;
  s.index_only = strncmp(message, "attempt to index a ", 19) == 0;
  if (strncmp(message, "attempt to ", 11) == 0)
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
      char before[24];
      strcpy(before, "(");
      strcat(before, kinds[i]);
      strcat(before, " '");
      if (between(message, before, '\'', s.name, sizeof s.name)) strcpy(s.kind, kinds[i]);
    }
  if (!s.name[0] && strncmp(message, "bad argument #", 14) == 0 && between(message, " to '", '\'', s.name, sizeof s.name)) {
    strcpy(s.kind, "argument");
    s.call = true;
    char *dot = strrchr(s.name, '.');
    if (dot) memmove(s.name, dot + 1, strlen(dot));
  }
  return s;
}

/* Push the table that a name would be looked up in, without running any code: raw, through __index tables. */
static bool push_raw(lua_State *L, int index, const char *key) {
  index = lua_absindex(L, index);
  for (int depth = 0; depth < 8 && lua_istable(L, index); depth++) {
    lua_pushstring(L, key);
    if (lua_rawget(L, index) != LUA_TNIL) return true;
    lua_pop(L, 1);
    if (luaL_getmetafield(L, index, "__index") == LUA_TNIL) return false;
    lua_replace(L, index);
  }
  return false;
}

/* Push the value of a variable as the function of `ar` sees it: a local, an upvalue, a global. */
static bool push_variable(lua_State *L, lua_Debug *ar, const char *name) {
  const char *is;
  bool have = false;
  for (int i = 1; (is = lua_getlocal(L, ar, i)); i++) {
    if (strcmp(is, name) != 0) {
      lua_pop(L, 1);
      continue;
    }
    if (have) lua_remove(L, -2); /* a later local of the same name hides the earlier */
    have = true;
  }
  if (have) return true;
  lua_getinfo(L, "f", ar);
  for (int i = 1; (is = lua_getupvalue(L, -1, i)); i++) {
    if (strcmp(is, name) == 0) return lua_remove(L, -2), true;
    lua_pop(L, 1);
  }
  for (int i = 1; (is = lua_getupvalue(L, -1, i)); i++) {
    if (strcmp(is, "_ENV") == 0) {
      lua_remove(L, -2);
      have = push_raw(L, -1, name);
      if (have) lua_remove(L, -2);
      else lua_pop(L, 1);
      return have;
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return false;
}

/* All names the table at the top offers, its __index tables' too, as one new table in its place. */
static void collect_names(lua_State *L) {
  lua_newtable(L);
  for (int depth = 0; depth < 8; depth++) {
    if (!lua_istable(L, -2)) break;
    lua_pushnil(L);
    while (lua_next(L, -3)) {
      lua_pop(L, 1);
      lua_pushvalue(L, -1);
      lua_pushboolean(L, 1);
      lua_rawset(L, -4);
    }
    if (luaL_getmetafield(L, -2, "__index") == LUA_TNIL) break;
    lua_replace(L, -3);
  }
  lua_remove(L, -2);
}

/* Push what might have been meant by the subject, or nil. */
static void push_suggestion(lua_State *L, lua_Debug *ar, const subject *s, const cal_chunk *chunk, int line, int column) {
  int top = lua_gettop(L);
  if (strcmp(s->kind, "global") == 0) {
    lua_getinfo(L, "f", ar);
    const char *is;
    bool have = false;
    for (int i = 1; !have && (is = lua_getupvalue(L, -1, i)); i++) {
      have = strcmp(is, "_ENV") == 0 && lua_istable(L, -1);
      if (!have) lua_pop(L, 1);
    }
    if (!have) lua_newtable(L);
    collect_names(L);
    for (int i = 1; (is = lua_getlocal(L, ar, i)); i++) { /* a local may have been meant as well */
      lua_pushboolean(L, is[0] != '(');
      lua_setfield(L, -3, is);
      lua_pop(L, 1);
    }
  } else if (strcmp(s->kind, "field") == 0 || strcmp(s->kind, "method") == 0) {
    /* a.b.NAME on this line: follow a and b. */
    cal_tokens scan = cal_tokens_begin(chunk->text, chunk->size);
    cal_token path[8], token;
    int count = 0;
    bool joined = false;
    while (cal_tokens_next(&scan, &token) && (token.line < line || (token.line == line && token.column < column))) {
      bool join = cal_token_is(&scan, &token, ".") || cal_token_is(&scan, &token, ":");
      if (token.kind == CAL_TOKEN_NAME && (joined || !join)) {
        if (!joined) count = 0;
        if (count < 8) path[count++] = token;
      } else if (!join) count = 0;
      joined = join && count > 0;
    }
    bool have = joined && count > 0;
    for (int i = 0; have && i < count; i++) {
      char name[64];
      if (path[i].size >= sizeof name) have = false;
      else {
        memcpy(name, scan.text + path[i].at, path[i].size);
        name[path[i].size] = 0;
        have = i == 0 ? push_variable(L, ar, name) : push_raw(L, -1, name);
      }
    }
    if (have && !lua_istable(L, -1) && luaL_getmetafield(L, -1, "__index") == LUA_TNIL) have = false;
    if (!have || !lua_istable(L, -1)) lua_newtable(L);
    collect_names(L);
  } else {
    lua_newtable(L);
  }
  cal_fault_push_nearest(L, s->name, -1);
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
}

/* --- From a message to a fault ------------------------------------------------------------------------------------- */

/* "recipe.lua:12: text": the chunk, the line and where the text begins. */
static const cal_chunk *strip_place(const cal_runtime *rt, const char **message, int *line) {
  for (const cal_chunk *c = rt->chunks; c; c = c->next) {
    size_t head = strlen(c->title);
    if (strncmp(*message, c->title, head) != 0 || (*message)[head] != ':') continue;
    char *end;
    long number = strtol(*message + head + 1, &end, 10);
    if (number < 1 || strncmp(end, ": ", 2) != 0) continue;
    *line = (int)number;
    *message = end + 2;
    return c;
  }
  return NULL;
}

/* "stdlib/recipe/check.lua:33: text", or one of scripts/: how long the place is, and the text. */
static const char *strip_stdlib(const cal_runtime *rt, const char *message, size_t *place) {
  const char *colon = strstr(message, ".lua:");
  const char *const folders[] = {"stdlib/", "scripts/", rt->stdlib, rt->scripts};
  bool ours = false;
  for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
    ours = ours || (folders[i] && strncmp(message, folders[i], strlen(folders[i])) == 0);
  char *end;
  if (!colon || !ours) return message;
  long number = strtol(colon + 5, &end, 10);
  if (number < 1 || strncmp(end, ": ", 2) != 0) return message;
  *place = (size_t)(end - message);
  return end + 2;
}

static void set_text(lua_State *L, const char *key, const char *text) { lua_pushstring(L, text), lua_setfield(L, -2, key); }
static void set_integer(lua_State *L, const char *key, lua_Integer n) { lua_pushinteger(L, n), lua_setfield(L, -2, key); }

/* Add to the table at the top: frames (the recipe's functions between here and the chunk), and the whole trace if asked. */
static void add_frames(lua_State *L, int from_level) {
  cal_runtime *rt = cal_runtime_of(L);
  lua_Debug ar;
  int count = 0, seen = 0;
  lua_newtable(L);
  for (int level = from_level; count < 12 && lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sln", &ar);
    const cal_chunk *c = ar.what[0] == 'C' ? NULL : cal_chunk_of(rt, ar.source);
    if (!c || seen++ == 0) continue; /* the first is the place itself */
    if (ar.what[0] == 'm') lua_pushfstring(L, "called from %s:%d", c->title, ar.currentline);
    else if (ar.name) lua_pushfstring(L, "called from %s:%d, in '%s'", c->title, ar.currentline, ar.name);
    else lua_pushfstring(L, "called from %s:%d, in the function of line %d", c->title, ar.currentline, ar.linedefined);
    lua_rawseti(L, -2, ++count);
  }
  lua_setfield(L, -2, "frames");
  if (!rt->trace) return;
  luaL_traceback(L, L, NULL, from_level);
  lua_setfield(L, -2, "trace");
}

/* A line without a name to point at: from its first token to its last. */
static void whole_line(const cal_chunk *chunk, int line, int *column, int *width) {
  cal_tokens scan = cal_tokens_begin(chunk->text, chunk->size);
  cal_token token;
  int from = 0, to = 0;
  while (cal_tokens_next(&scan, &token) && token.line <= line) {
    if (token.line != line) continue;
    if (!from) from = token.column;
    to = token.column + (int)token.size;
  }
  size_t size;
  if (!from || !cal_chunk_line(chunk, line, &size)) return;
  if (to > (int)size + 1) to = (int)size + 1; /* a long string runs on */
  *column = from;
  *width = to - from;
}

static int from_text(lua_State *L, const char *whole) {
  cal_runtime *rt = cal_runtime_of(L);
  int line = 0, column = 0, width = 0, last = 0;
  size_t place = 0;
  const char *message = whole;
  const cal_chunk *chunk = strip_place(rt, &message, &line);
  lua_Debug ar, at;
  bool have_frame = false;
  for (int level = 0; !have_frame && lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sl", &ar);
    const cal_chunk *c = ar.what[0] == 'C' ? NULL : cal_chunk_of(rt, ar.source);
    if (!c || (chunk && (c != chunk || ar.currentline != line))) continue;
    have_frame = true;
    at = ar;
    chunk = c;
    line = ar.currentline;
  }
  message = strip_stdlib(rt, message, &place);
  subject s = subject_of(message);
  lua_newtable(L);
  set_text(L, "message", message);
  set_integer(L, "exit", CAL_EXIT_FAILED);
  if (place) {
    lua_newtable(L);
    lua_pushliteral(L, "raised in ");
    lua_pushlstring(L, whole, place);
    lua_concat(L, 2);
    lua_rawseti(L, -2, 1);
    lua_setfield(L, -2, "notes");
  }
  if (chunk) {
    last = have_frame && at.lastlinedefined > line ? at.lastlinedefined : line + 64;
    if (s.name[0] && cal_chunk_find(chunk, s.name, s.call, last, &line, &column)) width = (int)strlen(s.name);
    else whole_line(chunk, line, &column, &width);
    set_text(L, "source", chunk->source + 1);
    set_integer(L, "line", line);
    if (column) set_integer(L, "column", column), set_integer(L, "width", width);
  }
  bool nil = strstr(message, "a nil value") != NULL;
  if (nil && s.name[0] && (s.call || s.index_only)) {
    if (strcmp(s.kind, "global") == 0) lua_pushfstring(L, "'%s' is not defined", s.name), lua_setfield(L, -2, "message");
    if (strcmp(s.kind, "method") == 0) lua_pushfstring(L, "there is no method ':%s' here", s.name), lua_setfield(L, -2, "message");
    if (strcmp(s.kind, "field") == 0 && s.call)
      lua_pushfstring(L, "there is no function '%s' here", s.name), lua_setfield(L, -2, "message");
    if (have_frame && strcmp(s.kind, "argument") != 0) {
      push_suggestion(L, &at, &s, chunk, line, column);
      if (!lua_isnil(L, -1))
        lua_pushfstring(L, "did you mean '%s%s'?", strcmp(s.kind, "method") == 0 ? ":" : "", lua_tostring(L, -1)),
            lua_setfield(L, -3, "hint");
      lua_pop(L, 1);
    }
  }
  add_frames(L, 1);
  wrap(L);
  return 1;
}

int cal_fault_handler(lua_State *L) {
  lua_settop(L, 1);
  if (cal_stop_is(L, 1)) return 1;
  if (is_fault(L, 1)) {
    lua_getiuservalue(L, 1, 1);
    if (lua_getfield(L, -1, "frames") == LUA_TNIL) {
      lua_pop(L, 1);
      add_frames(L, 1);
    }
    lua_settop(L, 1);
    return 1;
  }
  if (lua_type(L, 1) == LUA_TSTRING) return from_text(L, lua_tostring(L, 1));
  if (luaL_callmeta(L, 1, "__tostring") && lua_type(L, -1) == LUA_TSTRING) return from_text(L, lua_tostring(L, -1));
  return from_text(L, lua_pushfstring(L, "the error is a %s, not a text", luaL_typename(L, 1)));
}

int cal_fault_raise(lua_State *L, int index) {
  cal_runtime *rt = cal_runtime_of(L);
  index = lua_absindex(L, index);
  lua_newtable(L);
  int to = lua_gettop(L);
  static const char *const keys[] = {"message", "hint", "source", "line", "column", "width", "exit", "notes", "world"};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    lua_getfield(L, index, keys[i]);
    lua_setfield(L, to, keys[i]);
  }
  const char *token = text_field(L, index, "token"), *source = text_field(L, index, "source");
  int line = (int)integer_field(L, index, "line", 0), column = (int)integer_field(L, index, "column", 0);
  if (!text_field(L, to, "message")) return luaL_error(L, "fail: option 'message': string expected");
  if (integer_field(L, to, "exit", 0) == 0) set_integer(L, "exit", CAL_EXIT_USAGE);
  lua_getfield(L, index, "source");
  bool placeless = lua_isboolean(L, -1); /* source = false: the error has no place in a recipe */
  lua_pop(L, 1);
  if (placeless) lua_pushnil(L), lua_setfield(L, to, "source"), lua_newtable(L), lua_setfield(L, to, "frames");
  else if (!source) {
    lua_Debug ar;
    for (int level = 1; lua_getstack(L, level, &ar); level++) {
      lua_getinfo(L, "Sl", &ar);
      const cal_chunk *c = ar.what[0] == 'C' ? NULL : cal_chunk_of(rt, ar.source);
      if (!c) continue;
      source = c->source;
      set_text(L, "source", source + 1);
      if (!line) set_integer(L, "line", line = ar.currentline);
      break;
    }
  }
  const cal_chunk *chunk = source ? cal_chunk_named(rt, source) : NULL;
  if (chunk) set_text(L, "source", chunk->source + 1);
  if (chunk && line && !column) {
    int width = 0;
    if (token && cal_chunk_find(chunk, token, false, line + 256, &line, &column)) width = (int)strlen(token);
    else whole_line(chunk, line, &column, &width);
    set_integer(L, "line", line);
    if (column) set_integer(L, "column", column), set_integer(L, "width", width);
  }
  wrap(L);
  return lua_error(L);
}

/* --- The text ------------------------------------------------------------------------------------------------------ */

static void add_marked(cal_buffer *b, int margin, const char *mark, const char *text) {
  cal_buffer_printf(b, "%*s = %s", margin, "", mark);
  for (const char *end; (end = strchr(text, '\n')); text = end + 1) { /* further lines stand below the first */
    cal_buffer_add_printable(b, text, (size_t)(end - text));
    cal_buffer_printf(b, "\n%*s   ", margin, "");
  }
  cal_buffer_add_printable(b, text, strlen(text));
  cal_buffer_add_byte(b, '\n');
}

/* Columns that printable text takes on a terminal, as far as code points tell. */
static size_t shown_width(const char *text, size_t size) {
  size_t width = 0;
  for (size_t at = 0; at < size; width++) cal_utf8_next(text, size, &at);
  return width;
}

/* A piece of source, tabs as one space each so that carets stand where they should. */
static size_t add_piece(cal_buffer *b, const char *text, size_t size) {
  size_t from = b->size;
  cal_buffer_add_printable(b, text, size);
  if (b->failed) return 0;
  for (size_t i = from; i < b->size; i++)
    if (b->data[i] == '\t' || b->data[i] == '\n') b->data[i] = ' ';
  return shown_width(b->data + from, b->size - from);
}

static void add_excerpt(cal_buffer *b, const cal_chunk *chunk, int line, int column, int width) {
  enum { BEFORE = 60, WIDE = 110 }; /* of a long line, a window around the caret */
  size_t size, from = 0;
  const char *text = cal_chunk_line(chunk, line, &size);
  if (!text) return;
  size_t caret = column > 0 ? (size_t)column - 1 : 0;
  if (caret > size) caret = size;
  if (size > WIDE && caret > BEFORE) from = caret - BEFORE;
  while (from && ((unsigned char)text[from] & 0xc0) == 0x80) from--;
  size_t to = size - from > WIDE ? from + WIDE : size;
  while (to < size && ((unsigned char)text[to] & 0xc0) == 0x80) to++;
  size_t stop = width > 0 ? caret + (size_t)width : caret + 1;
  if (stop > to) stop = to;
  cal_buffer_printf(b, "%4d | %s", line, from ? "..." : "");
  size_t lead = (from ? 3 : 0) + add_piece(b, text + from, caret - from);
  size_t mark = add_piece(b, text + caret, stop > caret ? stop - caret : 0);
  add_piece(b, text + (stop > caret ? stop : caret), to - (stop > caret ? stop : caret));
  cal_buffer_printf(b, "%s\n", to < size ? "..." : "");
  if (column <= 0) return;
  cal_buffer_printf(b, "     | %*s", (int)lead, "");
  for (size_t i = 0; i < (mark ? mark : 1); i++) cal_buffer_add_byte(b, '^');
  cal_buffer_add_byte(b, '\n');
}

/* Ctrl-C is no mistake: no place, what is kept, how to go on. The fault's table is at `t`. */
static void add_stopped(lua_State *L, cal_buffer *b, int t) {
  const char *message = text_field(L, t, "message"), *hint = text_field(L, t, "hint");
  if (strncmp(message, "stopped", 7) == 0) message += 7;
  else if (strncmp(message, "interrupted", 11) == 0) message += 11;
  message += strspn(message, " :");
  cal_buffer_add_text(b, "stopped: ");
  if (!*message) message = "what is done is kept";
  cal_buffer_add_printable(b, message, strlen(message));
  cal_buffer_add_byte(b, '\n');
  if (hint) add_marked(b, 4, "", hint);
  if (lua_getfield(L, t, "notes") == LUA_TTABLE)
    for (int i = 1; lua_rawgeti(L, -1, i) == LUA_TSTRING; i++, lua_pop(L, 1)) add_marked(b, 4, "", lua_tostring(L, -1));
}

void cal_fault_push_text(lua_State *L, int index) {
  index = lua_absindex(L, index);
  cal_runtime *rt = cal_runtime_of(L);
  cal_buffer *b = cal_push_shell(L, "calotype.buffer", sizeof *b);
  if (is_fault(L, index) && cal_fault_exit(L, index) == CAL_EXIT_STOPPED) {
    int top = lua_gettop(L);
    lua_getiuservalue(L, index, 1);
    add_stopped(L, b, top + 1);
    lua_settop(L, top);
    cal_push_buffer(L, b);
    lua_remove(L, -2);
    return;
  }
  cal_buffer_add_text(b, "error: ");
  if (!is_fault(L, index)) {
    const char *text = lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : NULL;
    if (cal_stop_is(L, index)) text = "interrupted";
    if (!text) text = "an error that is not a text";
    cal_buffer_add_printable(b, text, strlen(text));
    cal_buffer_add_byte(b, '\n');
    if (strcmp(text, "not enough memory") == 0) cal_buffer_printf(b, "     = " MEMORY_HINT "\n", memory_cap(rt));
  } else {
    lua_getiuservalue(L, index, 1);
    int t = lua_gettop(L), line = (int)integer_field(L, t, "line", 0), column = (int)integer_field(L, t, "column", 0);
    const char *message = text_field(L, t, "message"), *source = text_field(L, t, "source"), *hint = text_field(L, t, "hint");
    cal_buffer_add_printable(b, message, strlen(message));
    cal_buffer_add_byte(b, '\n');
    if (source) {
      cal_buffer_add_text(b, "  --> ");
      cal_buffer_add_printable(b, source, strlen(source));
      if (line) cal_buffer_printf(b, ":%d", line);
      if (line && column) cal_buffer_printf(b, ":%d", column);
      cal_buffer_add_byte(b, '\n');
      const cal_chunk *chunk = cal_chunk_named(rt, source);
      if (chunk && line) add_excerpt(b, chunk, line, column, (int)integer_field(L, t, "width", 1));
    }
    if (hint) add_marked(b, 4, "", hint);
    static const char *const lists[] = {"notes", "frames"};
    for (int k = 0; k < 2; k++) {
      if (lua_getfield(L, t, lists[k]) == LUA_TTABLE)
        for (int i = 1; lua_rawgeti(L, -1, i) == LUA_TSTRING; i++, lua_pop(L, 1)) add_marked(b, 4, "", lua_tostring(L, -1));
      lua_settop(L, t);
    }
    const char *trace = text_field(L, t, "trace");
    if (trace) cal_buffer_add_printable(b, trace, strlen(trace)), cal_buffer_add_byte(b, '\n');
    lua_settop(L, t - 1);
  }
  cal_push_buffer(L, b);
  lua_remove(L, -2);
}

int cal_fault_print(lua_State *L) {
  cal_fault_push_text(L, 1);
  cal_stderr_put(lua_tostring(L, -1));
  return 0;
}

int cal_fault_exit(lua_State *L, int index) {
  if (cal_stop_is(L, index)) return CAL_EXIT_STOPPED;
  if (!is_fault(L, index)) return CAL_EXIT_FAILED;
  lua_getiuservalue(L, index, 1);
  int code = (int)integer_field(L, -1, "exit", CAL_EXIT_FAILED);
  lua_pop(L, 1);
  return code;
}

bool cal_fault_stopped(lua_State *L, int index) {
  if (cal_stop_is(L, index)) return true;
  if (!is_fault(L, index)) return false;
  lua_getiuservalue(L, index, 1);
  const char *message = text_field(L, -1, "message");
  lua_pop(L, 1);
  return message && strcmp(message, "interrupted") == 0;
}

/* --- What scripts see ---------------------------------------------------------------------------------------------- */

static int l_gc(lua_State *L) {
  (void)L; /* nothing native inside */
  return 0;
}

static int l_index(lua_State *L) {
  static const char *const open[] = {"message", "hint", "source", "line", "column", "exit", "world", NULL};
  luaL_checkudata(L, 1, TYPE);
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  for (int i = 0; open[i]; i++)
    if (strcmp(open[i], key) == 0) return lua_getiuservalue(L, 1, 1), lua_getfield(L, -1, key), 1;
  return lua_pushnil(L), 1;
}

/* In one line, as Lua's own messages are: recipe.lua:24: unknown option 'prefx' */
static int l_text(lua_State *L) {
  luaL_checkudata(L, 1, TYPE);
  lua_getiuservalue(L, 1, 1);
  const char *source = text_field(L, -1, "source"), *message = text_field(L, -1, "message");
  int line = (int)integer_field(L, -1, "line", 0);
  if (source && line) lua_pushfstring(L, "%s:%d: %s", source, line, message);
  else lua_pushstring(L, message);
  return 1;
}

void cal_fault_register(lua_State *L) { cal_register_type(L, TYPE, (const luaL_Reg[]){{"__index", l_index}, {NULL, NULL}}, l_gc, l_text); }
