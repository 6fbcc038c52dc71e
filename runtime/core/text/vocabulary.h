/* vocabulary.h - the tokens of a model and their numbers.
 *
 *   cal_error err = {0};
 *   const char *json = "{\"a\": 0, \"b</w>\": 1}";
 *   cal_vocabulary *v = cal_vocabulary_read_json(json, 20, &err);   // NULL: err says what and at which byte
 *   int32_t id = cal_vocabulary_find(v, "b</w>", 5);                // 1; -1 when there is no such token
 *   cal_vocabulary_free(v);
 *
 * Tokens are any bytes (a byte-level vocabulary spells bytes as characters; that is its reader's affair).
 * uses: base
 */
#ifndef CAL_TEXT_VOCABULARY_H
#define CAL_TEXT_VOCABULARY_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"

typedef struct cal_vocabulary cal_vocabulary;

enum { CAL_VOCABULARY_MOST = 1 << 21 }; /* ids are below this: eight times the largest vocabulary in use */

/* One flat JSON object {"token": id, ...}: vocab.json. CAL_E_FORMAT for anything else, for a token or an id that comes twice;
 * CAL_E_LIMIT for an id out of range. */
cal_vocabulary *cal_vocabulary_read_json(const char *json, size_t size, cal_error *err);

/* One token a line, the first is 0: vocab.txt. A last line may end or not; "\r\n" ends one too. An empty line is a token of its own only
 * where another follows. CAL_E_FORMAT for a token that comes twice, CAL_E_LIMIT for too many. */
cal_vocabulary *cal_vocabulary_read_lines(const char *text, size_t size, cal_error *err);
void cal_vocabulary_free(cal_vocabulary *v);

int32_t cal_vocabulary_find(const cal_vocabulary *v, const char *token, size_t size); /* -1: none */
int32_t cal_vocabulary_size(const cal_vocabulary *v);                                 /* largest id + 1 */

/* The bytes of a token, NUL-terminated; NULL for an id that has none. `size` may be NULL. Lives as long as the vocabulary. */
const char *cal_vocabulary_token(const cal_vocabulary *v, int32_t id, size_t *size);

#endif
