/* base64.h - bytes as text, RFC 4648 section 4: + and /, with padding, without line breaks.
 *
 *   cal_error err = {0};
 *   cal_buffer text = {0}, bytes = {0};
 *   cal_base64_encode("hello", 5, &text);                       // aGVsbG8=
 *   if (cal_base64_decode(text.data, text.size, &bytes, &err)) puts(err.text);
 *   cal_buffer_free(&bytes);
 *   cal_buffer_free(&text);
 *
 * uses: base
 */
#ifndef CAL_CODEC_BASE64_H
#define CAL_CODEC_BASE64_H

#include "core/base/buffer.h"

/* Append; `out` is grown once. No memory: out->failed. */
void cal_base64_encode(const void *bytes, size_t size, cal_buffer *out);

/* Append what the text stands for. CAL_E_FORMAT, with the place and `out` as it was, for any other character (spaces and
 * line breaks too), a wrong length, padding inside, or bits after the end that are not zero: each value has one text. */
cal_status cal_base64_decode(const char *text, size_t size, cal_buffer *out, cal_error *err);

#endif
