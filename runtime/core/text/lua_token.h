/* lua_token.h - a Lua source cut into tokens, with places.
 *
 *   cal_tokens scan = cal_tokens_begin("local x = 1 -- one", 18);
 *   cal_token token;
 *   while (cal_tokens_next(&scan, &token))
 *     if (token.kind == CAL_TOKEN_NAME) return token.column;   // 7: columns count bytes from 1
 *
 * Layout and comments give no tokens, nor does a first line that starts with '#'. For carets under errors, for the text of a
 * function and for completion; whether the program is right is the Lua compiler's business.
 * uses: libc
 */
#ifndef CAL_TEXT_LUA_TOKEN_H
#define CAL_TEXT_LUA_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

typedef enum {
  CAL_TOKEN_NAME,
  CAL_TOKEN_KEYWORD,
  CAL_TOKEN_NUMBER,
  CAL_TOKEN_STRING,
  CAL_TOKEN_SYMBOL,
  CAL_TOKEN_BAD /* an unfinished string or comment, or a byte that no Lua program has */
} cal_token_kind;

typedef struct {
  cal_token_kind kind;
  size_t at, size;  /* the bytes text[at .. at+size) */
  int line, column; /* of the first byte, from 1 */
} cal_token;

typedef struct {
  const char *text;
  size_t size, at, line_start;
  int line;
} cal_tokens;

cal_tokens cal_tokens_begin(const char *text, size_t size);
bool cal_tokens_next(cal_tokens *scan, cal_token *token); /* false: the end */

bool cal_token_is(const cal_tokens *scan, const cal_token *token, const char *word);

#endif
