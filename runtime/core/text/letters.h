/* letters.h - what a character is, and its small letter: for looking at words in any script.
 *
 *   char text[] = "ZKR, ÉCOLE 7";
 *   cal_text_lower(text, sizeof text - 1);                      // "zkr, école 7", as many bytes as before
 *   size_t at = 0;
 *   int32_t c = cal_utf8_next(text, sizeof text - 1, &at);
 *   if (cal_letter_kind(c) == CAL_LETTER) printf("%zu\n", at);  // 1
 *
 * Kinds are Unicode's general categories, put together. What was found at a byte of the lowered text stands at the same byte of
 * the text as it was.
 * uses: base
 */
#ifndef CAL_TEXT_LETTERS_H
#define CAL_TEXT_LETTERS_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/buffer.h"

typedef enum {
  CAL_LETTER_NONE,  /* controls, formats, what is not assigned, and no character at all (-1) */
  CAL_LETTER,       /* L: a letter of any script */
  CAL_LETTER_MARK,  /* M: an accent or a vowel sign that belongs to the letter before it */
  CAL_LETTER_DIGIT, /* N: a number */
  CAL_LETTER_POINT, /* P: punctuation */
  CAL_LETTER_SIGN,  /* S: symbols, emoji */
  CAL_LETTER_SPACE, /* Z, and the controls that are white space */
} cal_letter;

cal_letter cal_letter_kind(int32_t c);

/* In place, letter by letter. A letter whose small one takes another number of bytes stays as it is (the Kelvin sign, the Turkish
 * dotted I and a few dozen more), and so do bytes that are no UTF-8: no position moves. */
void cal_text_lower(char *text, size_t size);

#endif
