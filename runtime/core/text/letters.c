#include "core/text/letters.h"

#include <string.h>
#include <utf8proc.h>

cal_letter cal_letter_kind(int32_t c) {
  if ((c >= 9 && c <= 13) || c == 0x85) return CAL_LETTER_SPACE; /* Unicode calls them controls */
  utf8proc_category_t k = utf8proc_category(c);
  if (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO) return CAL_LETTER;
  if (k >= UTF8PROC_CATEGORY_MN && k <= UTF8PROC_CATEGORY_ME) return CAL_LETTER_MARK;
  if (k >= UTF8PROC_CATEGORY_ND && k <= UTF8PROC_CATEGORY_NO) return CAL_LETTER_DIGIT;
  if (k >= UTF8PROC_CATEGORY_PC && k <= UTF8PROC_CATEGORY_PO) return CAL_LETTER_POINT;
  if (k >= UTF8PROC_CATEGORY_SM && k <= UTF8PROC_CATEGORY_SO) return CAL_LETTER_SIGN;
  if (k >= UTF8PROC_CATEGORY_ZS && k <= UTF8PROC_CATEGORY_ZP) return CAL_LETTER_SPACE;
  return CAL_LETTER_NONE;
}

void cal_text_lower(char *text, size_t size) {
  for (size_t at = 0; at < size;) {
    const size_t from = at;
    const int32_t c = cal_utf8_next(text, size, &at);
    const int32_t small = c < 0 ? c : utf8proc_tolower(c);
    if (small == c) continue;
    utf8proc_uint8_t bytes[4];
    const utf8proc_ssize_t n = utf8proc_encode_char(small, bytes);
    if (n == (utf8proc_ssize_t)(at - from)) memcpy(text + from, bytes, (size_t)n);
  }
}
