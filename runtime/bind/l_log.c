/* l_log.c - native.log: lines for people, progress, time. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bind/bind.h"
#include "core/base/clock.h"
#include "core/base/fold.h"
#include "core/base/log.h"
#include "core/base/progress.h"

/* log.say("info" | "warning" | "error", text) */
static int l_say(lua_State *L) {
  static const char *const names[] = {"error", "warning", "info", NULL};
  cal_log((cal_log_level)cal_check_choice(L, 1, NULL, names), "%s", luaL_checkstring(L, 2));
  return 0;
}

/* The line on stdout; folded to the terminal, if it is one. */
static void put_line(lua_State *L, cal_buffer *line, bool fold) {
  cal_buffer_add_byte(line, '\n');
  const int columns = fold ? cal_terminal_columns(STDOUT_FILENO) : 0;
  cal_buffer *put = line;
  if (columns) {
    put = cal_push_shell(L, "calotype.buffer", sizeof *put);
    cal_buffer_add_byte(line, 0);
    if (!line->failed) cal_fold(put, line->data, columns);
  }
  if (!line->failed && !put->failed) fwrite(put->data, 1, put->size, stdout);
  fflush(stdout);
  cal_buffer_free(put);
  if (put != line) cal_buffer_free(line);
}

static int put_text(lua_State *L, bool fold) {
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  cal_buffer *line = cal_push_shell(L, "calotype.buffer", sizeof *line);
  cal_buffer_add_printable(line, text, size);
  put_line(L, line, fold);
  return 0;
}

/* log.put(text): a line of data, on stdout, made safe for terminals. */
static int l_put(lua_State *L) { return put_text(L, false); }

/* log.put_words(text): such a line for people: on a terminal it is folded. */
static int l_put_words(lua_State *L) { return put_text(L, true); }

/* log.put_marked { "text", { "gone" | "new" | "faint" | "strong", "text" }, ... }: such a line with parts that stand out: in colours on a
 * terminal (NO_COLOR turns them off), where the line is folded, too; as [-gone-] and {+new+} elsewhere. */
static int l_put_marked(lua_State *L) {
  static const struct {
    const char *name, *color, *before, *after;
  } marks[] = {
      {"gone", "\033[31m", "[-", "-]"}, {"new", "\033[32m", "{+", "+}"}, {"faint", "\033[2m", "", ""}, {"strong", "\033[1m", "", ""}};
  enum { MARKS = sizeof marks / sizeof *marks };
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  const bool colors = isatty(STDOUT_FILENO) == 1 && !getenv("NO_COLOR");
  cal_buffer *line = cal_push_shell(L, "calotype.buffer", sizeof *line);
  const lua_Integer count = (lua_Integer)lua_rawlen(L, 1);
  for (lua_Integer i = 1; i <= count; i++) {
    int mark = MARKS;
    if (lua_rawgeti(L, 1, i) == LUA_TTABLE) {
      lua_rawgeti(L, -1, 1);
      const char *name = lua_tostring(L, -1);
      for (mark = 0; mark < MARKS && (!name || strcmp(name, marks[mark].name) != 0);) mark++;
      if (mark == MARKS) return luaL_error(L, "part %I: there is no mark '%s'", i, name ? name : "?");
      lua_pop(L, 1);
      lua_rawgeti(L, -1, 2);
    }
    size_t size;
    const char *text = lua_tolstring(L, -1, &size);
    if (!text) return luaL_error(L, "part %I is no text", i);
    if (mark < MARKS) cal_buffer_add_text(line, colors ? marks[mark].color : marks[mark].before);
    cal_buffer_add_printable(line, text, size);
    if (mark < MARKS) cal_buffer_add_text(line, colors ? "\033[0m" : marks[mark].after);
    lua_settop(L, 2);
  }
  put_line(L, line, true);
  return 0;
}

/* log.put_pixels { r, g, b, r2, g2, b2, ... }: a line of a picture for a terminal with colours: each character is two pixels, the second
 * below the first; 0 to 255. */
static int l_put_pixels(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  cal_buffer *line = cal_push_shell(L, "calotype.buffer", sizeof *line);
  const lua_Integer count = (lua_Integer)lua_rawlen(L, 1);
  for (lua_Integer i = 0; i + 6 <= count; i += 6) {
    int c[6];
    for (int k = 0; k < 6; k++) {
      lua_rawgeti(L, 1, i + k + 1);
      const lua_Number value = lua_tonumber(L, -1);
      c[k] = value > 0 ? value < 255 ? (int)value : 255 : 0;
      lua_pop(L, 1);
    }
    cal_buffer_printf(line, "\033[38;2;%d;%d;%dm\033[48;2;%d;%d;%dm\xe2\x96\x80", c[0], c[1], c[2], c[3], c[4], c[5]);
  }
  cal_buffer_add_text(line, "\033[0m\n");
  if (!line->failed) fwrite(line->data, 1, line->size, stdout);
  cal_buffer_free(line);
  return 0;
}

static int l_clock(lua_State *L) {
  lua_pushnumber(L, cal_clock());
  return 1;
}

static int l_date(lua_State *L) {
  char date[CAL_DATE];
  cal_date(date);
  lua_pushstring(L, date);
  return 1;
}

static int l_duration(lua_State *L) {
  char text[32];
  lua_pushstring(L, cal_duration(luaL_checknumber(L, 1), text));
  return 1;
}

/* log.terminal("stdout" | "stderr") -> its columns, or nil when it is not a terminal */
static int l_terminal(lua_State *L) {
  static const char *const names[] = {"stdout", "stderr", NULL};
  int fd = cal_check_choice(L, 1, "stdout", names) ? STDERR_FILENO : STDOUT_FILENO;
  const int columns = cal_terminal_columns(fd);
  if (columns) lua_pushinteger(L, columns);
  else lua_pushnil(L);
  return 1;
}

static cal_progress **check_progress(lua_State *L) { return luaL_checkudata(L, 1, "calotype.progress"); }

/* log.progress(label, total [, kept]) -> p; p:set(done), p:note(text), p:close(). With `kept` counts are bytes, and so many were there
 * before. */
static int l_progress(lua_State *L) {
  const char *label = luaL_checkstring(L, 1);
  lua_Integer total = luaL_optinteger(L, 2, 0);
  const lua_Integer kept = luaL_optinteger(L, 3, -1);
  cal_progress **p = cal_push_shell(L, "calotype.progress", sizeof *p);
  *p = cal_progress_new(label, total > 0 ? (size_t)total : 0);
  if (kept >= 0) cal_progress_bytes(*p, (size_t)kept);
  return 1;
}

static int l_set(lua_State *L) {
  cal_progress_set(*check_progress(L), (size_t)luaL_checkinteger(L, 2));
  return 0;
}

static int l_note(lua_State *L) {
  cal_progress_note(*check_progress(L), luaL_checkstring(L, 2));
  return 0;
}

static int l_close(lua_State *L) {
  cal_progress **p = check_progress(L);
  cal_progress_free(*p);
  *p = NULL;
  return 0;
}

static int l_text(lua_State *L) {
  lua_pushstring(L, *check_progress(L) ? "progress" : "progress (closed)");
  return 1;
}

int luaopen_cal_log(lua_State *L);
int luaopen_cal_log(lua_State *L) {
  static const luaL_Reg methods[] = {{"set", l_set}, {"note", l_note}, {"close", l_close}, {NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"put", l_put},     {"put_words", l_put_words}, {"put_marked", l_put_marked}, {"put_pixels", l_put_pixels}, {"say", l_say},
      {"clock", l_clock}, {"date", l_date},           {"duration", l_duration},     {"progress", l_progress},     {"terminal", l_terminal},
      {NULL, NULL}};
  cal_register_type(L, "calotype.progress", methods, l_close, l_text);
  luaL_newlib(L, functions);
  return 1;
}
