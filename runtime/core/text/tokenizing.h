/* tokenizing.h - what the kinds of tokenizers share; for their files alone. tokenizer.h is what others see.
 *
 *   static cal_status encode(const cal_tokenizer *t, const char *text, size_t size, cal_tokens *out, cal_error *err) {
 *     for (size_t i = 0; i < size; i++) {                       // a letter, a token
 *       int32_t id = cal_vocabulary_find(t->vocabulary, text + i, 1);
 *       if (cal_tokens_add(out, id < 0 ? t->special_id[CAL_UNKNOWN] : id, err)) return err->code;
 *     }
 *     return CAL_OK;
 *   }
 *
 * uses: base
 */
#ifndef CAL_TEXT_TOKENIZING_H
#define CAL_TEXT_TOKENIZING_H

#include <stdbool.h>

#include "core/text/tokenizer.h"
#include "core/text/vocabulary.h"

enum { CAL_BEGIN, CAL_END, CAL_PAD, CAL_UNKNOWN, CAL_SPECIALS, CAL_SPECIALS_MOST = CAL_SPECIALS + 1 };

typedef struct {
  /* A stretch of valid UTF-8 without special tokens, not empty. */
  cal_status (*encode)(const cal_tokenizer *t, const char *text, size_t size, cal_tokens *out, cal_error *err);
  /* What a token says among others: the first of all, the last of all. */
  void (*spell)(const char *token, size_t size, bool first, bool last, cal_buffer *out);
  void (*free)(cal_tokenizer *t); /* what the kind has besides; NULL: nothing */
} cal_tokenizer_kind;

/* A kind's own struct begins with this. */
struct cal_tokenizer {
  const cal_tokenizer_kind *kind;
  cal_vocabulary *vocabulary;
  int specials; /* those that have a role, then one that only stands for itself, where there is one */
  int32_t special_id[CAL_SPECIALS_MOST];
  const char *special[CAL_SPECIALS_MOST]; /* their spelling, owned by the vocabulary */
  size_t special_size[CAL_SPECIALS_MOST];
};

/* Those of `special` (may be NULL), the usual ones where it has none; the usual one without a role (may be NULL) if the vocabulary has it.
 * CAL_E_FORMAT names one that the vocabulary has not. */
cal_status cal_tokenizer_find_specials(cal_tokenizer *t, const cal_special_tokens *special, const char *const usual[CAL_SPECIALS_MOST],
                                       cal_error *err);

cal_status cal_tokens_add(cal_tokens *tokens, int32_t id, cal_error *err);

#endif
