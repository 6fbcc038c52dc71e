/* chunk.h - the sources of recipes: compiled from text only, kept for error messages and for cache keys.
 *
 *   static int run(lua_State *L, const char *text, int env) {
 *     if (!cal_chunk_load(L, text, strlen(text), "@recipe.lua", env)) return 2;   // nil, { message =, line =, column =, ... }
 *     lua_call(L, 0, 0);
 *     return 0;
 *   }
 *
 * "Recipe" means here: a chunk that came through cal_chunk_load, a line typed at the prompt included.
 * uses: base text
 */
#ifndef CAL_BIND_CHUNK_H
#define CAL_BIND_CHUNK_H

#include "bind/runtime.h"

typedef struct cal_chunk {
  struct cal_chunk *next;
  char *source;           /* as Lua has it: "@recipe.lua" */
  char *text;             /* NUL-terminated too */
  size_t size;            /* of text */
  char title[LUA_IDSIZE]; /* as Lua's messages have it: "recipe.lua" */
} cal_chunk;

/* Compile `text` (never bytecode; a first line with '#' is skipped) and keep it under `source`, where a chunk of that
 * name is replaced. `env`: index of the globals' table. Pushes the function and returns true, or pushes nil and
 * { message, line, column, width, incomplete } and returns false. Raises when memory ends. */
bool cal_chunk_load(lua_State *L, const char *text, size_t size, const char *source, int env);

/* For the prompt: compile `text` as "return TEXT" under the name of a chunk that is kept already, without keeping anything.
 * LUA_OK and the function, or another status and Lua's message. */
int cal_chunk_load_expression(lua_State *L, const char *text, size_t size, const char *source, int env);

const cal_chunk *cal_chunk_of(const cal_runtime *rt, const char *source);  /* NULL: not a recipe's */
const cal_chunk *cal_chunk_named(const cal_runtime *rt, const char *name); /* "recipe.lua" or "@recipe.lua" */
void cal_chunk_forget(cal_runtime *rt);                                    /* all of them */

/* Line `line` (from 1) without its end; NULL when there is none. */
const char *cal_chunk_line(const cal_chunk *chunk, int line, size_t *size);

/* Search from `line` on, at most to `last`, for the token `word`; *line and *column are set when found. `call` prefers a
 * token that is being called. Strings and comments do not count, except that a whole string literal may be the word. */
bool cal_chunk_find(const cal_chunk *chunk, const char *word, bool call, int last, int *line, int *column);

/* Push the source text of the function at `index`, or nil when it is not a recipe's. Where several functions share the
 * lines, so that the right one cannot be told, the text ends with the SHA-256 of this one's code. */
void cal_chunk_push_function(lua_State *L, int index);

#endif
