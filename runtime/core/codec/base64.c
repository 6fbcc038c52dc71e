#include "core/codec/base64.h"

#include <string.h>

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void cal_base64_encode(const void *bytes, size_t size, cal_buffer *out) {
  const unsigned char *in = bytes;
  if (!cal_buffer_reserve(out, size / 3 * 4 + 4)) return;
  char *to = out->data + out->size;
  size_t i = 0;
  for (; size - i >= 3; i += 3, to += 4) {
    uint32_t three = (uint32_t)in[i] << 16 | (uint32_t)in[i + 1] << 8 | in[i + 2];
    to[0] = letters[three >> 18];
    to[1] = letters[three >> 12 & 63];
    to[2] = letters[three >> 6 & 63];
    to[3] = letters[three & 63];
  }
  if (i < size) {
    bool two = size - i == 2;
    uint32_t rest = (uint32_t)in[i] << 16 | (two ? (uint32_t)in[i + 1] << 8 : 0);
    to[0] = letters[rest >> 18];
    to[1] = letters[rest >> 12 & 63];
    to[2] = two ? letters[rest >> 6 & 63] : '=';
    to[3] = '=';
    to += 4;
  }
  *to = 0;
  out->size = (size_t)(to - out->data);
}

/* 0 .. 63, or -1. */
static int value_of(char letter) {
  if (letter >= 'A' && letter <= 'Z') return letter - 'A';
  if (letter >= 'a' && letter <= 'z') return letter - 'a' + 26;
  if (letter >= '0' && letter <= '9') return letter - '0' + 52;
  return letter == '+' ? 62 : letter == '/' ? 63 : -1;
}

cal_status cal_base64_decode(const char *text, size_t size, cal_buffer *out, cal_error *err) {
  if (size % 4) return cal_fail(err, CAL_E_FORMAT, "base64: %zu characters; a multiple of 4 is expected", size);
  const size_t before = out->size;
  const size_t padding = !size || text[size - 1] != '=' ? 0 : text[size - 2] == '=' ? 2 : 1;
  if (!cal_buffer_reserve(out, size / 4 * 3)) return cal_fail(err, CAL_E_MEMORY, "base64: not enough memory");
  char *to = out->data + before;
  for (size_t i = 0; i < size; i += 4, to += 3) {
    uint32_t four = 0;
    for (size_t k = i; k < i + 4; k++) {
      int value = k >= size - padding ? 0 : value_of(text[k]);
      if (value < 0) {
        out->data[before] = 0;
        return cal_fail(err, CAL_E_FORMAT, "base64: character %zu is none of A-Z a-z 0-9 + /", k + 1);
      }
      four = four << 6 | (uint32_t)value;
    }
    to[0] = (char)(four >> 16), to[1] = (char)(four >> 8), to[2] = (char)four;
  }
  out->size = before + size / 4 * 3 - padding;
  bool clean = true;
  for (size_t i = 0; i < padding; i++) clean = clean && !out->data[out->size + i];
  if (!clean) {
    out->size = before;
    out->data[before] = 0;
    return cal_fail(err, CAL_E_FORMAT, "base64: bits stand after the end; the text was cut or changed");
  }
  out->data[out->size] = 0;
  return CAL_OK;
}
