/* next.h - which token may come next: the best of what a language model says of each.
 *
 *   const float logits[4] = {0.5f, 2, -1, 1};
 *   cal_next_rules rules = {.penalty = 1, .logarithms = true, .never = -1};
 *   cal_next best[2];
 *   cal_error err = {0};
 *   if (!cal_next_best(logits, 4, &rules, 2, best, &err)) printf("%d, then %d\n", best[0].id, best[1].id);  // 1, then 3
 *
 * uses: base
 */
#ifndef CAL_TEXT_NEXT_H
#define CAL_TEXT_NEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"

typedef struct {
  bool logarithms; /* scores are logarithms of probabilities (beam search adds them up); else the logits themselves */
  double penalty;  /* of tokens in `seen`: positive scores are divided by it, others multiplied (Keskar et al., "CTRL", 2019); 1: none */
  const int32_t *seen; /* the text so far; a token counts once, however often it is there */
  size_t seen_count;
  int32_t never; /* this token may not come (the end, while a text is too short); -1: none */
} cal_next_rules;

typedef struct {
  int32_t id;
  float score;
} cal_next;

/* The `count` best of `vocabulary` logits, best first, of equal ones the smaller id. The order of the rules is transformers': logarithms,
 * penalty, never. CAL_E_FORMAT: a logit that is no number, by its place; CAL_E_ARG: count is none or more than the vocabulary, or a
 * token of `seen` or `never` is not in it; CAL_E_MEMORY. */
cal_status cal_next_best(const float *logits, size_t vocabulary, const cal_next_rules *rules, size_t count, cal_next *out, cal_error *err);

#endif
