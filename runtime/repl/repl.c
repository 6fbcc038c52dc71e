#include "repl/repl.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bind/chunk.h"
#include "bind/fault.h"
#include "bind/stop.h"
#include "core/base/buffer.h"
#include "core/text/lua_token.h"
#include "repl/lines.h"

/* Places on the Lua stack that hold for the whole session. */
enum { HANDLER = 1, ENV, PROMPT, BASE = PROMPT };

typedef struct {
  cal_runtime *rt;
  lua_State *L;
  cal_lines *in;
  int number; /* of the piece being typed: repl[3] */
} session;

static void put(const char *text, size_t size) {
  cal_buffer safe = {0};
  cal_buffer_add_printable(&safe, text, size);
  if (safe.data) fwrite(safe.data, 1, safe.size, stdout);
  cal_buffer_free(&safe);
}

/* --- Calls that may raise ------------------------------------------------------------------------------------------ */

/* The function under `count` arguments at the top; leaves its results above BASE. False: it failed, and that was said. A Ctrl-C that came
 * meanwhile is for what follows, when it is a STEP of a piece, and else forgotten. */
typedef enum { STEP, LAST } position;
static bool call(session *s, int count, position where) {
  lua_State *L = s->L;
  cal_stop_arm(L);
  int status = lua_pcall(L, count, LUA_MULTRET, HANDLER);
  bool stopped = status != LUA_OK && (cal_stop_pending(L, -1) || cal_fault_exit(L, -1) == CAL_EXIT_STOPPED);
  if (status != LUA_OK || where == LAST) cal_stop_clear(s->rt);
  fflush(stdout);
  if (status == LUA_OK) return true;
  if (stopped) {
    fputs("stopped\n", stderr);
  } else {
    lua_pushcfunction(L, cal_fault_print);
    lua_insert(L, -2);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) fputs("error: not enough memory\n", stderr);
  }
  lua_settop(L, BASE);
  return false;
}

/* prompt.NAME(...): pushes the function; the arguments follow. */
static void push_prompt(session *s, const char *name) { lua_getfield(s->L, PROMPT, name); }

/* --- One piece ----------------------------------------------------------------------------------------------------- */

typedef struct {
  const char *text;
  size_t size;
  int number;
} piece;

/* In a protected call: (env, piece) -> function, or nil and the error's table, or false when more lines are needed. */
static int compile(lua_State *L) {
  const piece *p = lua_touserdata(L, 2);
  const char *source = lua_pushfstring(L, "@repl[%d]", p->number);
  bool whole = cal_chunk_load(L, p->text, p->size, source, 1), more = false;
  int top = lua_gettop(L);
  if (!whole) more = lua_getfield(L, top, "incomplete") == LUA_TBOOLEAN && lua_toboolean(L, -1);
  /* An expression is worth more than a statement: f() shows what it gives. */
  if (cal_chunk_load_expression(L, p->text, p->size, source, 1) == LUA_OK) return 1;
  const char *message = lua_tostring(L, -1);
  size_t size = strlen(message);
  if (!whole && size > 6 && strcmp(message + size - 6, " <eof>") == 0 && !strstr(message, "unfinished string")) more = true;
  if (!whole && more) return lua_pushboolean(L, 0), 1;
  lua_settop(L, top);
  return whole ? 1 : 2;
}

/* In a protected call: (error's table, source) raises it with its place. */
static int raise_syntax(lua_State *L) {
  lua_settop(L, 2);
  lua_setfield(L, 1, "source");
  return cal_fault_raise(L, 1);
}

typedef enum { DONE, MORE } outcome;

static void show_results(session *s, bool hide) {
  lua_State *L = s->L;
  int count = lua_gettop(L) - BASE;
  if (count == 0) return;
  lua_pushvalue(L, BASE + 1);
  lua_setfield(L, ENV, "_");
  for (int i = 1; i <= count && !hide; i++) {
    push_prompt(s, "show");
    lua_pushvalue(L, BASE + i);
    int top = lua_gettop(L) - 2;
    if (!call(s, 1, LAST)) return;
    size_t size;
    const char *text = lua_tolstring(L, -1, &size);
    if (text) put(text, size), putchar('\n');
    lua_settop(L, top);
  }
  fflush(stdout);
}

/* `last`: no more lines will come. */
static outcome run(session *s, const char *text, size_t size, bool last) {
  lua_State *L = s->L;
  piece p = {text, size, s->number};
  /* A ';' at the end hides the result. */
  cal_tokens scan = cal_tokens_begin(text, size);
  cal_token token, final = {0};
  while (cal_tokens_next(&scan, &token)) final = token;
  bool hide = final.size && cal_token_is(&scan, &final, ";");
  if (hide) p.size = final.at;
  lua_settop(L, BASE);
  lua_pushcfunction(L, compile);
  lua_pushvalue(L, ENV);
  lua_pushlightuserdata(L, &p);
  if (!call(s, 2, STEP)) return DONE;
  if (lua_isboolean(L, BASE + 1)) {
    if (!last) return lua_settop(L, BASE), MORE;
    lua_settop(L, BASE);
    fputs("error: the input ended inside a statement\n", stderr);
    return DONE;
  }
  if (lua_isnil(L, BASE + 1)) {
    lua_pushcfunction(L, raise_syntax);
    lua_insert(L, BASE + 2);
    lua_pushfstring(L, "repl[%d]", p.number);
    call(s, 2, LAST);
    return DONE;
  }
  lua_settop(L, BASE + 1);
  if (call(s, 0, LAST)) show_results(s, hide);
  lua_settop(L, BASE);
  return DONE;
}

static void help(session *s, const char *topic) {
  lua_State *L = s->L;
  lua_settop(L, BASE);
  push_prompt(s, "help");
  lua_pushstring(L, topic + strspn(topic, " \t?"));
  if (call(s, 1, LAST)) {
    size_t size;
    const char *text = lua_tolstring(L, -1, &size);
    if (text) put(text, size), putchar('\n');
  }
  lua_settop(L, BASE);
}

/* --- Completion ---------------------------------------------------------------------------------------------------- */

static char *complete(void *context, const char *before, char **list) {
  session *s = context;
  lua_State *L = s->L;
  int top = lua_gettop(L);
  push_prompt(s, "complete");
  lua_pushstring(L, before);
  lua_pushvalue(L, ENV);
  char *insert = NULL;
  if (lua_pcall(L, 2, 2, 0) == LUA_OK) { /* a failure here is no news */
    if (lua_type(L, -2) == LUA_TSTRING) insert = cal_copy_text(lua_tostring(L, -2), NULL);
    if (lua_type(L, -1) == LUA_TSTRING) *list = cal_copy_text(lua_tostring(L, -1), NULL);
  }
  lua_settop(L, top);
  return insert;
}

/* --- The session --------------------------------------------------------------------------------------------------- */

/* In a protected call: leaves env and the prompt's module. */
static int open_session(lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "prompt");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "env");
  lua_call(L, 0, 1);
  lua_insert(L, -2);
  return 2;
}

static bool leaves(const char *line) {
  return strcmp(line, "exit") == 0 || strcmp(line, "quit") == 0 || strcmp(line, "exit()") == 0 || strcmp(line, "quit()") == 0;
}

/* "calotype caption photos": a command of the shell, typed here. */
static bool for_the_shell(const char *line) {
  line += strspn(line, " \t");
  return strncmp(line, "calotype", 8) == 0 && (line[8] == ' ' || !line[8]);
}

/* help, help reject, help "reject", help(): what is behind the word; NULL when the line is something else. */
static const char *asks_help(const char *line) {
  line += strspn(line, " \t");
  if (*line == '?') return line;
  if (strncmp(line, "help", 4) != 0) return NULL;
  line += 4;
  const char *topic = line + strspn(line, " \t(\"':");
  if (topic == line && *line) return NULL;
  return !*topic || *topic == ')' || *topic == '_' || isalpha((unsigned char)*topic) ? topic : NULL;
}

bool cal_repl_speaks(const char *text) { return asks_help(text + strspn(text, " \t\r\n")); }

int cal_repl(cal_runtime *rt, const char *before, size_t before_size) {
  session s = {.rt = rt, .L = rt->L, .number = 1};
  lua_settop(s.L, 0);
  lua_pushcfunction(s.L, cal_fault_handler);
  lua_pushcfunction(s.L, open_session);
  if (lua_pcall(s.L, 0, 2, HANDLER) != LUA_OK) {
    int code = cal_fault_exit(s.L, -1);
    lua_pushcfunction(s.L, cal_fault_print);
    lua_insert(s.L, -2);
    lua_pcall(s.L, 1, 0, 0);
    return code;
  }
  s.in = cal_lines_open(complete, &s);
  if (!s.in) return CAL_EXIT_FAILED;
  if (before_size) cal_lines_give(s.in, before, before_size);
  if (isatty(STDIN_FILENO) == 1) puts("calotype " CAL_VERSION "   ?  help   ;  hide result   Ctrl-D  quit");
  cal_buffer text = {0};
  for (;;) {
    char *line = cal_lines_read(s.in, text.size ? ". " : "> ");
    if (!line) {
      if (cal_lines_stopped(s.in)) { /* Ctrl-C at the prompt: the piece is dropped */
        cal_stop_clear(rt);
        text.size = 0;
        putchar('\n');
        continue;
      }
      if (text.size) run(&s, text.data, text.size, true);
      break;
    }
    size_t size = strlen(line), blank = strspn(line, " \t\n");
    if (!text.size && (blank == size || leaves(line))) {
      bool leave = blank != size;
      cal_free(line);
      if (leave) break;
      continue;
    }
    cal_lines_remember(s.in, line);
    const char *topic = text.size ? NULL : asks_help(line);
    if (topic) {
      help(&s, topic);
    } else if (!text.size && for_the_shell(line)) {
      fputs("error: calotype's commands are for the shell; exit leaves the prompt\n", stderr);
    } else {
      if (text.size) cal_buffer_add_byte(&text, '\n');
      cal_buffer_add(&text, line, size);
      if (text.failed) cal_buffer_free(&text), fputs("error: not enough memory\n", stderr);
      else if (run(&s, text.data, text.size, false) == DONE) text.size = 0, s.number++;
    }
    cal_free(line);
  }
  if (isatty(STDIN_FILENO) == 1) putchar('\n');
  cal_buffer_free(&text);
  cal_lines_close(s.in);
  return CAL_EXIT_OK;
}
