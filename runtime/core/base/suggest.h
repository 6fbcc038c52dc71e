/* suggest.h - "did you mean": the nearest of some names, by one rule for commands, verbs, options, parameters and globals.
 *
 *   cal_suggestion s = {.word = "dedup"};
 *   cal_suggestion_offer(&s, "reject");
 *   cal_suggestion_offer(&s, "dedupe");
 *   const char *meant = cal_suggestion_best(&s);   // "dedupe"; NULL: no name is near enough to be meant
 *
 * A name is near when at most a third of the word's bytes, and at least one, must be edited: put in, left out, exchanged, or swapped
 * with a neighbour. Upper and lower case make no difference. Of equally near names that of the word's length is taken, then the first
 * in the alphabet. Where none is near, three letters or more that exactly one name begins with stand for it. A worse guess would confuse
 * more than none. Names beginning with '_' are not offered to words that do not.
 *
 * Words and names are borrowed. Above 64 bytes nothing is near.
 * uses: libc
 */
#ifndef CAL_BASE_SUGGEST_H
#define CAL_BASE_SUGGEST_H

#include <stdbool.h>

typedef struct {
  const char *word; /* set by the caller; the rest begins as zero */
  const char *near, *begun;
  int edits, longer; /* of `near` */
  bool many;         /* more than one name begins with the word */
} cal_suggestion;

void cal_suggestion_offer(cal_suggestion *s, const char *name);
const char *cal_suggestion_best(const cal_suggestion *s);

#endif
