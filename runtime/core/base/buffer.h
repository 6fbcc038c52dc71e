/* buffer.h - bytes that grow, and the text of strangers made safe to print.
 *
 *   cal_buffer b = {0};
 *   cal_buffer_printf(&b, "%d pictures\n", 37);
 *   if (b.failed) return;                 // out of memory at any point: one check at the end is enough
 *   char *text = cal_buffer_take(&b);     // owned, NUL-terminated; b is empty again
 *   cal_free(text);
 *
 * uses: libc
 */
#ifndef CAL_BASE_BUFFER_H
#define CAL_BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/base/memory.h"

typedef struct {
  char *data; /* always NUL-terminated when not NULL */
  size_t size, capacity;
  bool failed;
} cal_buffer;

void cal_buffer_add(cal_buffer *b, const void *bytes, size_t size);
void cal_buffer_add_text(cal_buffer *b, const char *text);
void cal_buffer_add_byte(cal_buffer *b, char byte);
void cal_buffer_printf(cal_buffer *b, const char *format, ...) CAL_PRINTF(2, 3);
bool cal_buffer_reserve(cal_buffer *b, size_t more); /* room for `more` bytes and a NUL */
char *cal_buffer_take(cal_buffer *b);                /* moves the bytes out; NULL if `failed` */
void cal_buffer_free(cal_buffer *b);

/* UTF-8. `cal_utf8_next` reads one code point at *at (< size), moves *at past it and returns it, or -1 for a bad byte
 * (overlong, surrogate, above U+10FFFF, cut), moving one byte. */
int32_t cal_utf8_next(const char *text, size_t size, size_t *at);
bool cal_utf8_valid(const char *text, size_t size, size_t *bad_at); /* bad_at may be NULL */

/* Append `text` so that no terminal is fooled: C0 and C1 controls (but tab and newline), DEL, bidirectional controls
 * and bytes that are not UTF-8 become "\x1b"-style escapes. */
void cal_buffer_add_printable(cal_buffer *b, const char *text, size_t size);

#endif
