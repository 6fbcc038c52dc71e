/* tokenizer.h - text becomes the numbers a text encoder reads.
 *
 *   cal_error err = {0};
 *   const char *vocab = "{\"a</w>\": 0, \"<|startoftext|>\": 1, \"<|endoftext|>\": 2}", *merges = "#version: 0.2\n";
 *   cal_tokenizer *t = cal_tokenizer_new_clip(vocab, 51, merges, 14, NULL, &err);
 *   cal_tokens tokens = {0};
 *   if (!cal_tokenizer_encode(t, "A a", 3, &tokens, &err)) printf("%zu tokens\n", tokens.count);  // 2
 *   int32_t window[77];
 *   size_t cut = cal_tokenizer_window(t, &tokens, window, 77);        // begin, 0, 0, end, end ...; cut = 0
 *   cal_tokens_free(&tokens);
 *   cal_tokenizer_free(t);
 *
 * uses: base
 */
#ifndef CAL_TEXT_TOKENIZER_H
#define CAL_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buffer.h"
#include "core/base/error.h"

typedef struct cal_tokenizer cal_tokenizer;

/* The tokens with a meaning of their own; NULL members are CLIP's "<|startoftext|>" (begin) and "<|endoftext|>" (the others).
 * All four must be in the vocabulary. */
typedef struct {
  const char *begin, *end, *pad, *unknown;
} cal_special_tokens;

/* CLIP's byte-level BPE from the bytes of vocab.json and merges.txt. What it does with a text, in this order: special tokens
 * written out are taken as they are; the rest is composed (NFC) and lower-cased; cut into runs of letters, single digits, the
 * English endings 's 't 're 've 'm 'll 'd, and runs of anything else but white space, which is dropped; each piece's bytes
 * are merged pair by pair, the earliest line of merges.txt first, the last byte carrying "</w>".
 * CAL_E_FORMAT names the line or the token that does not fit. */
cal_tokenizer *cal_tokenizer_new_clip(const char *vocab, size_t vocab_size, const char *merges, size_t merges_size,
                                      const cal_special_tokens *special, cal_error *err);

/* BERT's WordPiece from the bytes of vocab.txt, whose [CLS], [SEP], [PAD] and [UNK] are begin, end, pad and unknown. Special tokens written
 * out are taken as they are; of the rest controls go, with `lower` accents go and letters become small; words end at white space, and
 * punctuation and ideographs are words of their own; each word is the longest token it begins with, then the longest "##" of what is left.
 */
cal_tokenizer *cal_tokenizer_new_wordpiece(const char *vocab, size_t vocab_size, bool lower, cal_error *err);
void cal_tokenizer_free(cal_tokenizer *t);

typedef struct {
  int32_t *ids;
  size_t count, capacity;
} cal_tokens;
void cal_tokens_free(cal_tokens *tokens);

/* Append the ids of `text` (UTF-8, at most 16 MiB), without a beginning or an end. CAL_E_FORMAT: not UTF-8. */
cal_status cal_tokenizer_encode(const cal_tokenizer *t, const char *text, size_t size, cal_tokens *out, cal_error *err);

/* What the text encoder reads: begin, as many tokens as fit, end, padding: `length` (>= 2) numbers. Returns how many were cut off. */
size_t cal_tokenizer_window(const cal_tokenizer *t, const cal_tokens *tokens, int32_t *window, size_t length);

/* The text of ids, words apart by one space. Bytes that are not UTF-8 come out as U+FFFD. CAL_E_ARG: no such id. */
cal_status cal_tokenizer_decode(const cal_tokenizer *t, const int32_t *ids, size_t count, cal_buffer *out, cal_error *err);

int32_t cal_tokenizer_size(const cal_tokenizer *t);                               /* largest id + 1: the least rows of an embedding table */
int32_t cal_tokenizer_id(const cal_tokenizer *t, const char *token, size_t size); /* -1: none */
const char *cal_tokenizer_token(const cal_tokenizer *t, int32_t id);              /* as vocab.json spells it; NULL: none */

#endif
