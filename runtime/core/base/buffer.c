#include "core/base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool cal_buffer_reserve(cal_buffer *b, size_t more) {
  if (b->failed) return false;
  if (more > SIZE_MAX / 2 - b->size) return b->failed = true, false;
  size_t need = b->size + more + 1;
  if (need <= b->capacity) return true;
  size_t capacity = b->capacity < 64 ? 64 : b->capacity;
  while (capacity < need) capacity += capacity / 2;
  char *data = cal_resize(b->data, capacity, NULL);
  if (!data) return b->failed = true, false;
  b->data = data;
  b->capacity = capacity;
  return true;
}

void cal_buffer_add(cal_buffer *b, const void *bytes, size_t size) {
  if (!cal_buffer_reserve(b, size)) return;
  if (size) memcpy(b->data + b->size, bytes, size);
  b->size += size;
  b->data[b->size] = 0;
}

void cal_buffer_add_text(cal_buffer *b, const char *text) { cal_buffer_add(b, text, strlen(text)); }
void cal_buffer_add_byte(cal_buffer *b, char byte) { cal_buffer_add(b, &byte, 1); }

void cal_buffer_printf(cal_buffer *b, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int size = vsnprintf(NULL, 0, format, args);
  va_end(args);
  if (size >= 0 && cal_buffer_reserve(b, (size_t)size)) {
    vsnprintf(b->data + b->size, (size_t)size + 1, format, again);
    b->size += (size_t)size;
  }
  va_end(again);
}

char *cal_buffer_take(cal_buffer *b) {
  cal_buffer_reserve(b, 0);
  if (b->failed) {
    cal_buffer_free(b);
    return NULL;
  }
  if (!b->size) b->data[0] = 0;
  char *data = b->data;
  *b = (cal_buffer){0};
  return data;
}

void cal_buffer_free(cal_buffer *b) {
  cal_free(b->data);
  *b = (cal_buffer){0};
}

int32_t cal_utf8_next(const char *text, size_t size, size_t *at) {
  const unsigned char *s = (const unsigned char *)text + *at;
  size_t left = size - *at;
  int32_t code;
  size_t length;
  if (s[0] < 0x80) {
    ++*at;
    return s[0];
  }
  if (s[0] >= 0xc2 && s[0] < 0xe0) length = 2, code = s[0] & 0x1f;
  else if (s[0] >= 0xe0 && s[0] < 0xf0) length = 3, code = s[0] & 0x0f;
  else if (s[0] >= 0xf0 && s[0] < 0xf5) length = 4, code = s[0] & 0x07;
  else return ++*at, -1;
  if (length > left) return ++*at, -1;
  for (size_t i = 1; i < length; i++) {
    if ((s[i] & 0xc0) != 0x80) return ++*at, -1;
    code = code << 6 | (s[i] & 0x3f);
  }
  bool overlong = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  if (overlong || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return ++*at, -1;
  *at += length;
  return code;
}

bool cal_utf8_valid(const char *text, size_t size, size_t *bad_at) {
  for (size_t at = 0; at < size;) {
    size_t here = at;
    if (cal_utf8_next(text, size, &at) >= 0) continue;
    if (bad_at) *bad_at = here;
    return false;
  }
  return true;
}

/* Controls, and the marks that make a line read in another order than it runs ("Trojan source"). */
static bool fools_a_reader(int32_t code) {
  if (code < 0x20) return code != '\t' && code != '\n';
  return (code >= 0x7f && code < 0xa0) || (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) || code == 0x200e ||
         code == 0x200f || code == 0x061c || code == 0x2028 || code == 0x2029;
}

void cal_buffer_add_printable(cal_buffer *b, const char *text, size_t size) {
  for (size_t at = 0; at < size;) {
    size_t here = at;
    int32_t code = cal_utf8_next(text, size, &at);
    if (code < 0 || (code < 0x80 && fools_a_reader(code))) cal_buffer_printf(b, "\\x%02x", (unsigned char)text[here]);
    else if (fools_a_reader(code)) cal_buffer_printf(b, "\\u{%x}", (unsigned)code);
    else cal_buffer_add(b, text + here, at - here);
  }
}
