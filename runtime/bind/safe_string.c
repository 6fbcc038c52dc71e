/* safe_string.c - string for recipes: every loop has a bound or looks for Ctrl-C. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bind/safe_parts.h"
#include "bind/stop.h"
#include "core/text/pattern.h"

static size_t start_place(lua_Integer place, size_t size) { /* 0-based */
  if (place > 0) return (size_t)place - 1;
  if (place == 0 || place < -(lua_Integer)size) return 0;
  return size - (size_t)-place;
}

/* --- Patterns ------------------------------------------------------------------------------------------------------ */

static bool stop(void *L) { return cal_stop_due(L); }

static cal_match begin(lua_State *L, const char *subject, size_t subject_size, const char *pattern, size_t pattern_size) {
  cal_match m = cal_match_begin(subject, subject_size, pattern, pattern_size);
  m.stop = stop;
  m.context = L;
  return m;
}

static size_t match_at(lua_State *L, cal_match *m, size_t from) {
  cal_error err = {0};
  size_t end;
  cal_status status = cal_match_at(m, from, &end, &err);
  if (status == CAL_E_INTERRUPT) cal_stop_raise(L);
  if (status) luaL_error(L, "%s", err.text);
  return end;
}

/* Capture `i`, or the whole match when there are none. */
static void push_capture(lua_State *L, const cal_match *m, int i, size_t from, size_t end) {
  if (i >= m->captures) {
    if (i) luaL_error(L, "invalid capture index %%%d in replacement string", i + 1);
    lua_pushlstring(L, m->subject + from, end - from);
    return;
  }
  const cal_capture *c = &m->capture[i];
  if (c->size == CAL_CAPTURE_OPEN) luaL_error(L, "unfinished capture");
  if (c->size == CAL_CAPTURE_POSITION) lua_pushinteger(L, (lua_Integer)c->from + 1);
  else lua_pushlstring(L, m->subject + c->from, (size_t)c->size);
}

static int push_captures(lua_State *L, const cal_match *m, bool whole, size_t from, size_t end) {
  int count = m->captures == 0 && whole ? 1 : m->captures;
  luaL_checkstack(L, count, "too many captures");
  for (int i = 0; i < count; i++) push_capture(L, m, i, from, end);
  return count;
}

static int find_plain(lua_State *L, const char *subject, size_t size, const char *word, size_t word_size, size_t from) {
  const char *at = memmem(subject + from, size - from, word, word_size);
  if (!at) return lua_pushnil(L), 1;
  lua_pushinteger(L, at - subject + 1);
  lua_pushinteger(L, at - subject + (lua_Integer)word_size);
  return 2;
}

static int find(lua_State *L, bool want_place) {
  size_t size, pattern_size, end;
  const char *subject = luaL_checklstring(L, 1, &size), *pattern = luaL_checklstring(L, 2, &pattern_size);
  size_t from = start_place(luaL_optinteger(L, 3, 1), size);
  if (from > size) return lua_pushnil(L), 1;
  if (want_place && (lua_toboolean(L, 4) || cal_pattern_is_plain(pattern, pattern_size)))
    return find_plain(L, subject, size, pattern, pattern_size, from);
  bool anchored = pattern_size && pattern[0] == '^';
  cal_match m = begin(L, subject, size, pattern + anchored, pattern_size - anchored);
  do {
    end = match_at(L, &m, from);
    if (end == CAL_NO_MATCH) continue;
    if (!want_place) return push_captures(L, &m, true, from, end);
    lua_pushinteger(L, (lua_Integer)from + 1);
    lua_pushinteger(L, (lua_Integer)end);
    return 2 + push_captures(L, &m, false, from, end);
  } while (from++ < size && !anchored);
  return lua_pushnil(L), 1;
}

static int l_find(lua_State *L) { return find(L, true); }
static int l_match(lua_State *L) { return find(L, false); }

/* Upvalues: subject, pattern, where to go on, where the last match ended (-1: nowhere). */
static int gmatch_next(lua_State *L) {
  size_t size, pattern_size;
  const char *subject = lua_tolstring(L, lua_upvalueindex(1), &size), *pattern = lua_tolstring(L, lua_upvalueindex(2), &pattern_size);
  size_t from = (size_t)lua_tointeger(L, lua_upvalueindex(3));
  lua_Integer last = lua_tointeger(L, lua_upvalueindex(4));
  cal_match m = begin(L, subject, size, pattern, pattern_size);
  for (; from <= size; from++) {
    size_t end = match_at(L, &m, from);
    if (end == CAL_NO_MATCH || (lua_Integer)end == last) continue;
    lua_pushinteger(L, (lua_Integer)end);
    lua_copy(L, -1, lua_upvalueindex(3));
    lua_replace(L, lua_upvalueindex(4));
    return push_captures(L, &m, true, from, end);
  }
  lua_pushinteger(L, (lua_Integer)size + 1);
  lua_replace(L, lua_upvalueindex(3));
  return 0;
}

static int l_gmatch(lua_State *L) {
  size_t size;
  luaL_checklstring(L, 1, &size);
  luaL_checkstring(L, 2);
  size_t from = start_place(luaL_optinteger(L, 3, 1), size);
  lua_settop(L, 2);
  lua_pushinteger(L, (lua_Integer)(from > size ? size + 1 : from));
  lua_pushinteger(L, -1);
  lua_pushcclosure(L, gmatch_next, 4);
  return 1;
}

static void add_template(lua_State *L, luaL_Buffer *out, const cal_match *m, size_t from, size_t end) {
  size_t size;
  const char *text = lua_tolstring(L, 3, &size);
  for (size_t i = 0; i < size; i++) {
    if (text[i] != '%') {
      luaL_addchar(out, text[i]);
      continue;
    }
    char c = ++i < size ? text[i] : 0;
    if (c == '%') luaL_addchar(out, c);
    else if (c == '0') luaL_addlstring(out, m->subject + from, end - from);
    else if (c >= '1' && c <= '9') {
      push_capture(L, m, c - '1', from, end);
      luaL_tolstring(L, -1, NULL); /* a position is a number */
      lua_remove(L, -2);
      luaL_addvalue(out);
    } else luaL_error(L, "invalid use of '%%' in replacement string");
  }
}

/* Add what stands for the match; false: the match itself. */
static bool add_replacement(lua_State *L, luaL_Buffer *out, const cal_match *m, size_t from, size_t end, int kind) {
  if (kind == LUA_TFUNCTION) {
    lua_pushvalue(L, 3);
    lua_call(L, push_captures(L, m, true, from, end), 1);
  } else if (kind == LUA_TTABLE) {
    push_capture(L, m, 0, from, end);
    lua_gettable(L, 3);
  } else {
    add_template(L, out, m, from, end);
    return true;
  }
  if (!lua_toboolean(L, -1)) {
    lua_pop(L, 1);
    luaL_addlstring(out, m->subject + from, end - from);
    return false;
  }
  if (!lua_isstring(L, -1)) luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
  luaL_addvalue(out);
  return true;
}

static int l_gsub(lua_State *L) {
  size_t size, pattern_size, from = 0, last = CAL_NO_MATCH;
  const char *subject = luaL_checklstring(L, 1, &size), *pattern = luaL_checklstring(L, 2, &pattern_size);
  int kind = lua_type(L, 3);
  luaL_argexpected(L, kind == LUA_TNUMBER || kind == LUA_TSTRING || kind == LUA_TFUNCTION || kind == LUA_TTABLE, 3,
                   "string/function/table");
  lua_Integer most = luaL_optinteger(L, 4, (lua_Integer)size + 1), count = 0;
  bool anchored = pattern_size && pattern[0] == '^', changed = false;
  if (kind == LUA_TNUMBER) lua_tostring(L, 3);
  cal_match m = begin(L, subject, size, pattern + anchored, pattern_size - anchored);
  luaL_Buffer out;
  luaL_buffinit(L, &out);
  while (count < most) {
    size_t end = match_at(L, &m, from);
    if (end != CAL_NO_MATCH && end != last) {
      count++;
      changed |= add_replacement(L, &out, &m, from, end, kind);
      from = last = end;
    } else if (from < size) {
      luaL_addchar(&out, subject[from++]);
    } else break;
    if (anchored) break;
  }
  if (changed) {
    luaL_addlstring(&out, subject + from, size - from);
    luaL_pushresult(&out);
  } else lua_pushvalue(L, 1);
  lua_pushinteger(L, count);
  return 2;
}

/* --- rep and format ------------------------------------------------------------------------------------------------ */

static int l_rep(lua_State *L) {
  size_t size, separator_size;
  const char *text = luaL_checklstring(L, 1, &size);
  lua_Integer n = luaL_checkinteger(L, 2);
  const char *separator = luaL_optlstring(L, 3, "", &separator_size);
  size_t unit = size + separator_size, cap = cal_runtime_of(L)->cap;
  if (n <= 0 || unit == 0) return lua_pushliteral(L, ""), 1;
  if (unit < size || (size_t)n > cap / unit)
    return luaL_error(L, "rep: %I times %I bytes are more than a script may hold", n, (lua_Integer)unit);
  size_t total = unit * (size_t)n - separator_size, done = unit < total ? unit : total;
  luaL_Buffer out;
  char *to = luaL_buffinitsize(L, &out, total);
  memcpy(to, text, size);
  if (done > size) memcpy(to + size, separator, done - size);
  while (done < total) { /* double what is there: each part is a whole number of units, but for the last */
    size_t part = done < total - done ? done : total - done;
    memcpy(to + done, to, part);
    done += part;
  }
  luaL_pushresultsize(&out, total);
  return 1;
}

typedef struct {
  char flags[8], conversion;
  int width, precision; /* -1: none */
} format_item;

/* Reads the item after '%'; returns the place past it. */
static const char *read_item(lua_State *L, const char *at, const char *end, format_item *item) {
  const char *begin_at = at;
  size_t flags = 0;
  *item = (format_item){.width = -1, .precision = -1};
  for (; at < end && *at && strchr("-+#0 ", *at); at++) {
    if (strchr(item->flags, *at)) continue;
    item->flags[flags++] = *at;
  }
  int *number = &item->width, digits = 0;
  for (; at < end; at++) {
    if (*at >= '0' && *at <= '9' && digits < 2) *number = (*number < 0 ? 0 : *number) * 10 + (*at - '0'), digits++;
    else if (*at == '.' && number == &item->width) number = &item->precision, digits = 0, *number = 0;
    else break;
  }
  item->conversion = at < end ? *at : 0;
  bool known = item->conversion && strchr("cdiuoxXaAeEfgGqs", item->conversion) && at - begin_at < 20;
  if (!known) luaL_error(L, "invalid conversion '%%%s' to 'format'", lua_pushlstring(L, begin_at, (size_t)(at - begin_at) + (at < end)));
  return at + 1;
}

/* The item as C's printf has it, after the flags were checked against those that mean something here. */
static void c_format(lua_State *L, const format_item *item, const char *flags, bool precision, const char *length, char out[32]) {
  if (strspn(item->flags, flags) != strlen(item->flags) || (item->precision >= 0 && !precision))
    luaL_error(L, "invalid conversion specification: '%%%s...%c'", item->flags, item->conversion);
  int at = snprintf(out, 32, "%%%s", item->flags);
  if (item->width >= 0) at += snprintf(out + at, 32 - (size_t)at, "%d", item->width);
  if (item->precision >= 0) at += snprintf(out + at, 32 - (size_t)at, ".%d", item->precision);
  snprintf(out + at, 32 - (size_t)at, "%s%c", length, item->conversion);
}

static void add_quoted(luaL_Buffer *out, const char *text, size_t size) {
  luaL_addchar(out, '"');
  for (size_t i = 0; i < size; i++) {
    unsigned char c = (unsigned char)text[i];
    bool digit_next = i + 1 < size && text[i + 1] >= '0' && text[i + 1] <= '9';
    char code[8];
    if (c == '"' || c == '\\' || c == '\n') {
      luaL_addchar(out, '\\');
      luaL_addchar(out, (char)c);
    } else if (c < 0x20 || c == 0x7f) {
      snprintf(code, sizeof code, digit_next ? "\\%03d" : "\\%d", c);
      luaL_addstring(out, code);
    } else luaL_addchar(out, (char)c);
  }
  luaL_addchar(out, '"');
}

static void add_literal(lua_State *L, luaL_Buffer *out, int arg) {
  char text[64];
  switch (lua_type(L, arg)) {
    case LUA_TSTRING: {
      size_t size;
      const char *s = lua_tolstring(L, arg, &size);
      add_quoted(out, s, size);
      return;
    }
    case LUA_TNUMBER:
      if (lua_isinteger(L, arg)) {
        lua_Integer n = lua_tointeger(L, arg);
        snprintf(text, sizeof text, n == LUA_MININTEGER ? "0x%llx" : "%lld", (long long)n);
      } else {
        lua_Number n = lua_tonumber(L, arg);
        if (n == HUGE_VAL) strcpy(text, "1e9999");
        else if (n == -HUGE_VAL) strcpy(text, "-1e9999");
        else if (n != n) strcpy(text, "(0/0)");
        else snprintf(text, sizeof text, "%a", n);
      }
      luaL_addstring(out, text);
      return;
    case LUA_TNIL:
    case LUA_TBOOLEAN: luaL_addstring(out, lua_isnil(L, arg) ? "nil" : lua_toboolean(L, arg) ? "true" : "false"); return;
    default: luaL_argerror(L, arg, "value has no literal form");
  }
}

static int l_format(lua_State *L) {
  size_t size;
  const char *at = luaL_checklstring(L, 1, &size), *end = at + size;
  int top = lua_gettop(L), arg = 1;
  luaL_Buffer out;
  luaL_buffinit(L, &out);
  while (at < end) {
    if (*at != '%' || (at + 1 < end && at[1] == '%')) {
      luaL_addchar(&out, *at);
      at += *at == '%' ? 2 : 1;
      continue;
    }
    format_item item;
    char format[32], text[512]; /* the longest: %99.99f of 1e308, about 410 bytes */
    at = read_item(L, at + 1, end, &item);
    if (++arg > top) return luaL_argerror(L, arg, "no value");
    text[0] = 0;
    switch (item.conversion) {
      case 'c': {
        c_format(L, &item, "-", false, "", format);
        int n = snprintf(text, sizeof text, format, (int)luaL_checkinteger(L, arg));
        luaL_addlstring(&out, text, (size_t)n); /* may hold a zero byte */
        continue;
      }
      case 'd':
      case 'i':
      case 'u':
        c_format(L, &item, item.conversion == 'u' ? "-0" : "-+0 ", true, "ll", format);
        snprintf(text, sizeof text, format, (long long)luaL_checkinteger(L, arg));
        break;
      case 'o':
      case 'x':
      case 'X':
        c_format(L, &item, "-#0", true, "ll", format);
        snprintf(text, sizeof text, format, (long long)luaL_checkinteger(L, arg));
        break;
      case 'q':
        if (item.flags[0] || item.width >= 0 || item.precision >= 0) return luaL_error(L, "specifier '%%q' cannot have modifiers");
        add_literal(L, &out, arg);
        continue;
      case 's': {
        size_t length;
        c_format(L, &item, "-", true, "", format);
        const char *s = cal_safe_text(L, arg, &length);
        if (item.width < 0 && item.precision < 0 && !item.flags[0]) {
          luaL_addvalue(&out);
          continue;
        }
        luaL_argcheck(L, length == strlen(s), arg, "string contains zeros");
        if (item.precision < 0 && length >= 100) {
          luaL_addvalue(&out);
          continue;
        }
        snprintf(text, sizeof text, format, s);
        lua_pop(L, 1);
        break;
      }
      default: c_format(L, &item, "-+#0 ", true, "", format); snprintf(text, sizeof text, format, (double)luaL_checknumber(L, arg));
    }
    luaL_addstring(&out, text);
  }
  luaL_pushresult(&out);
  return 1;
}

void cal_safe_add_string(lua_State *L) {
  static const char *const stock[] = {"byte", "char", "len", "lower", "reverse", "sub", "upper", NULL};
  static const luaL_Reg own[] = {{"find", l_find}, {"match", l_match},   {"gmatch", l_gmatch}, {"gsub", l_gsub},
                                 {"rep", l_rep},   {"format", l_format}, {NULL, NULL}};
  cal_safe_copy(L, "string", stock);
  luaL_setfuncs(L, own, 0);
}
