#include "core/base/suggest.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MOST = 64 };

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c; }

/* Damerau's distance, adjacent swaps counting one (optimal string alignment), without regard to case. */
static int edits(const char *a, size_t m, const char *b, size_t n) {
  int rows[3][MOST + 1];
  int *before = rows[0], *last = rows[1], *now = rows[2];
  for (size_t j = 0; j <= n; j++) last[j] = (int)j;
  for (size_t i = 1; i <= m; i++) {
    now[0] = (int)i;
    for (size_t j = 1; j <= n; j++) {
      const char x = lower(a[i - 1]), y = lower(b[j - 1]);
      int best = last[j - 1] + (x != y);
      if (last[j] + 1 < best) best = last[j] + 1;
      if (now[j - 1] + 1 < best) best = now[j - 1] + 1;
      bool swapped = i > 1 && j > 1 && x == lower(b[j - 2]) && lower(a[i - 2]) == y;
      if (swapped && before[j - 2] + 1 < best) best = before[j - 2] + 1;
      now[j] = best;
    }
    int *spare = before;
    before = last;
    last = now;
    now = spare;
  }
  return last[n];
}

void cal_suggestion_offer(cal_suggestion *s, const char *name) {
  const size_t size = strlen(s->word), length = strlen(name);
  if (!size || !length || size > MOST || length > MOST || (name[0] == '_' && s->word[0] != '_') || !strcmp(name, s->word)) return;
  const int most = size < 6 ? 1 : (int)size / 3, longer = abs((int)length - (int)size), away = edits(s->word, size, name, length);
  if (away <= most && away < (int)size) { /* a letter exchanged is another word when it is the only one */
    int order = s->near ? away != s->edits ? away - s->edits : longer != s->longer ? longer - s->longer : strcmp(name, s->near) : -1;
    if (order < 0) s->near = name, s->edits = away, s->longer = longer;
  }
  if (size >= 3 && length > size && strncasecmp(name, s->word, size) == 0) {
    s->many = s->many || (s->begun && strcmp(s->begun, name) != 0);
    s->begun = name;
  }
}

const char *cal_suggestion_best(const cal_suggestion *s) { return s->near ? s->near : s->many ? NULL : s->begun; }
