#include "core/text/next.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"

/* The logarithm of the sum of all exponentials, in double: what is taken from a logit to make it the logarithm of a probability. */
static double log_sum(const float *logits, size_t count) {
  float most = logits[0];
  for (size_t i = 1; i < count; i++)
    if (logits[i] > most) most = logits[i];
  double sum = -1; /* the largest's own 1 is added by log1p */
  for (size_t i = 0; i < count; i++) sum += exp((double)logits[i] - most);
  return most + log1p(sum);
}

/* Keep the best `count`: a small sorted list, its last the one to beat. */
static void offer(cal_next *list, size_t *have, size_t count, cal_next it) {
  size_t at = *have;
  while (at > 0 && list[at - 1].score < it.score) at--;
  if (at == count) return;
  size_t end = *have < count ? (*have)++ : count - 1;
  memmove(list + at + 1, list + at, (end - at) * sizeof *list);
  list[at] = it;
}

cal_status cal_next_best(const float *logits, size_t vocabulary, const cal_next_rules *rules, size_t count, cal_next *out, cal_error *err) {
  if (count < 1 || count > vocabulary || vocabulary > INT32_MAX)
    return cal_fail(err, CAL_E_ARG, "%zu best of %zu tokens", count, vocabulary);
  if (rules->never >= (int32_t)vocabulary) return cal_fail(err, CAL_E_ARG, "token %d of %zu", rules->never, vocabulary);
  for (size_t i = 0; i < vocabulary; i++)
    if (!isfinite(logits[i])) return cal_fail(err, CAL_E_FORMAT, "the logit of token %zu is not finite", i);
  for (size_t i = 0; i < rules->seen_count; i++)
    if (rules->seen[i] < 0 || rules->seen[i] >= (int32_t)vocabulary)
      return cal_fail(err, CAL_E_ARG, "token %d of %zu", rules->seen[i], vocabulary);
  unsigned char *seen = cal_alloc_zero(vocabulary, 1, err);
  if (!seen) return err->code;
  if (rules->penalty != 1)
    for (size_t i = 0; i < rules->seen_count; i++) seen[rules->seen[i]] = 1;
  const double less = rules->logarithms ? log_sum(logits, vocabulary) : 0;
  size_t have = 0;
  for (size_t i = 0; i < vocabulary; i++) {
    if ((int32_t)i == rules->never) continue;
    double score = logits[i] - less;
    if (seen[i]) score = score < 0 ? score * rules->penalty : score / rules->penalty;
    if (have < count || score > out[count - 1].score) offer(out, &have, count, (cal_next){(int32_t)i, (float)score});
  }
  cal_free(seen);
  for (; have < count; have++) out[have] = (cal_next){rules->never, -INFINITY}; /* all but one were asked for */
  return CAL_OK;
}
