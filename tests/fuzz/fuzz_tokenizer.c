/* fuzz_tokenizer - a vocabulary, merges and a text, parted by bytes 0xff, which neither of them may hold. */
#include <stdint.h>
#include <string.h>

#include "core/text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *part[3] = {(const char *)data, "", ""};
  size_t length[3] = {size, 0, 0};
  for (int i = 0; i < 2; i++) {
    const char *cut = memchr(part[i], 0xff, length[i]);
    if (!cut) break;
    part[i + 1] = cut + 1;
    length[i + 1] = (size_t)(part[i] + length[i] - cut - 1);
    length[i] = (size_t)(cut - part[i]);
  }
  cal_tokenizer *t = cal_tokenizer_new_clip(part[0], length[0], part[1], length[1], NULL, NULL);
  if (!t) return 0;
  cal_tokens tokens = {0};
  cal_buffer text = {0};
  int32_t window[77];
  if (!cal_tokenizer_encode(t, part[2], length[2], &tokens, NULL)) {
    cal_tokenizer_window(t, &tokens, window, 77);
    cal_tokenizer_decode(t, tokens.ids, tokens.count, &text, NULL);
  }
  cal_tokens_free(&tokens);
  cal_buffer_free(&text);
  cal_tokenizer_free(t);
  return 0;
}
