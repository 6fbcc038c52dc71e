/* json.h - JSON in and out, held to RFC 8259.
 *
 *   cal_error err = {0};
 *   cal_json *reply = cal_json_parse("{\"b\": [1, 2], \"a\": \"x\"}", 22, &err);
 *   const cal_json *a = cal_json_find(reply, "a");            // borrowed; NULL: not there
 *   cal_buffer out = {0};
 *   cal_json_write(reply, 0, &out, &err);                     // {"a":"x","b":[1,2]}
 *   printf("%s %s\n", cal_json_text(a), out.data);
 *   cal_buffer_free(&out);
 *   cal_json_free(reply);
 *
 * cJSON holds the tree. It reads more than JSON, so the text first passes a check of our own: grammar, UTF-8, depth,
 * size; duplicate keys and numbers outside a double are refused. Objects are in the order of their keys' bytes, and
 * the same value is always written as the same text: what is written can be hashed.
 * uses: base
 */
#ifndef CAL_CODEC_JSON_H
#define CAL_CODEC_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "core/base/buffer.h"
#include "core/base/error.h"

typedef struct cJSON cal_json;

enum { CAL_JSON_DEPTH = 100, CAL_JSON_MOST = 32 << 20 }; /* levels; bytes of text. Beyond: CAL_E_LIMIT */

typedef enum { CAL_JSON_NULL, CAL_JSON_BOOL, CAL_JSON_NUMBER, CAL_JSON_TEXT, CAL_JSON_ARRAY, CAL_JSON_OBJECT } cal_json_kind;

/* Owned tree. NULL and CAL_E_FORMAT with line and column, CAL_E_LIMIT or CAL_E_MEMORY. A string with a NUL character
 * (\u0000) is refused, since it would end early in C. */
cal_json *cal_json_parse(const char *text, size_t size, cal_error *err);
void cal_json_free(cal_json *value);

cal_json_kind cal_json_kind_of(const cal_json *value);
const cal_json *cal_json_find(const cal_json *object, const char *key); /* NULL also when it is no object, or NULL itself */
const cal_json *cal_json_first(const cal_json *parent);                 /* of an array or object; NULL: empty */
const cal_json *cal_json_next(const cal_json *value);
size_t cal_json_count(const cal_json *parent);
const char *cal_json_key(const cal_json *member);
const char *cal_json_text(const cal_json *value); /* NULL when it is no text */
double cal_json_number(const cal_json *value);    /* NaN when it is no number */
bool cal_json_bool(const cal_json *value);        /* true only for `true` */

/* Build. Values are owned by the caller until they are put into a parent, which takes them even when putting fails;
 * a NULL value (no memory) may be put and gives CAL_E_MEMORY, so that calls nest. Keys must not repeat. */
cal_json *cal_json_new(cal_json_kind kind, cal_error *err); /* null, false, 0, "", [], {} */
cal_json *cal_json_from_text(const char *text, cal_error *err);
cal_json *cal_json_from_number(double number, cal_error *err);
cal_json *cal_json_from_bool(bool truth, cal_error *err);
cal_status cal_json_put(cal_json *object, const char *key, cal_json *value, cal_error *err);
cal_status cal_json_add(cal_json *array, cal_json *value, cal_error *err);

/* Append as text: no spaces, or two per level with CAL_JSON_PRETTY. Members of objects are put in order on the way.
 * CAL_E_ARG for NaN, infinities, texts that are not UTF-8, repeated keys; CAL_E_LIMIT for too many levels. Whole numbers
 * within 2^53 are written without a point; others with the 15, 16 or 17 digits that give the same double again. */
enum { CAL_JSON_PRETTY = 1 };
cal_status cal_json_write(cal_json *value, unsigned flags, cal_buffer *out, cal_error *err);

/* One string with its quotes, for writers that stream. The text must be UTF-8. */
void cal_json_write_text(const char *text, size_t size, cal_buffer *out);

#endif
