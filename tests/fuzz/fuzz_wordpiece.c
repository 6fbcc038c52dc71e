/* fuzz_wordpiece - the lines of a vocabulary and a text, parted by a byte 0xff, which neither of them may hold; once in small letters, once
 * as it is. */
#include <stdint.h>
#include <string.h>

#include "core/text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *vocabulary = (const char *)data, *cut = memchr(vocabulary, 0xff, size);
  const size_t length = cut ? (size_t)(cut - vocabulary) : size, rest = cut ? size - length - 1 : 0;
  for (int lower = 0; lower < 2; lower++) {
    cal_tokenizer *t = cal_tokenizer_new_wordpiece(vocabulary, length, lower, NULL);
    if (!t) return 0;
    cal_tokens tokens = {0};
    cal_buffer text = {0};
    if (!cal_tokenizer_encode(t, cut ? cut + 1 : "", rest, &tokens, NULL)) cal_tokenizer_decode(t, tokens.ids, tokens.count, &text, NULL);
    cal_tokens_free(&tokens);
    cal_buffer_free(&text);
    cal_tokenizer_free(t);
  }
  return 0;
}
