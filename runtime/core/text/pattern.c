#include "core/text/pattern.h"

#include <stdio.h>
#include <string.h>

enum { DEEPEST = 200, POLL_EVERY = 4096 };

/* A place in the subject, or NULL: no match (or failed: m->status tells). */
typedef const char *place;

cal_match cal_match_begin(const char *subject, size_t subject_size, const char *pattern, size_t pattern_size) {
  return (cal_match){.subject = subject,
                     .subject_end = subject + subject_size,
                     .pattern = pattern,
                     .pattern_end = pattern + pattern_size,
                     .most = (UINT64_C(1) << 25) + 64 * (uint64_t)subject_size};
}

bool cal_pattern_is_plain(const char *pattern, size_t size) {
  for (size_t i = 0; i < size; i++)
    if (pattern[i] && strchr("^$*+?.([%-", pattern[i])) return false;
  return true;
}

static place fail(cal_match *m, cal_status status, const char *why) {
  m->status = status;
  snprintf(m->why, sizeof m->why, "%s", why);
  return NULL;
}

/* One unit of work. False: stop matching, m->status says why. */
static bool spend(cal_match *m) {
  if (++m->steps % POLL_EVERY) return true;
  if (m->steps > m->most) {
    fail(m, CAL_E_LIMIT, "");
    snprintf(m->why, sizeof m->why, "the pattern is too costly here: given up after %llu million steps",
             (unsigned long long)(m->steps / 1000000));
    return false;
  }
  if (m->stop && m->stop(m->context)) return fail(m, CAL_E_INTERRUPT, "interrupted"), false;
  return true;
}

/* --- One character ------------------------------------------------------------------------------------------------- */

static bool in_range(int c, int low, int high) { return c >= low && c <= high; }

static bool in_class(int c, int class) {
  int lower = class | 0x20;
  bool letter = in_range(c | 0x20, 'a', 'z') && c < 0x80, digit = in_range(c, '0', '9'), is;
  switch (in_range(lower, 'a', 'z') && class < 0x80 ? lower : 0) {
    case 'a': is = letter; break;
    case 'c': is = c < 0x20 || c == 0x7f; break;
    case 'd': is = digit; break;
    case 'g': is = in_range(c, 0x21, 0x7e); break;
    case 'l': is = in_range(c, 'a', 'z'); break;
    case 'p': is = in_range(c, 0x21, 0x7e) && !letter && !digit; break;
    case 's': is = c == ' ' || in_range(c, '\t', '\r'); break;
    case 'u': is = in_range(c, 'A', 'Z'); break;
    case 'w': is = letter || digit; break;
    case 'x': is = digit || (letter && in_range(c | 0x20, 'a', 'f')); break;
    case 'z': is = c == 0; break;
    default: return class == c;
  }
  return class == lower ? is : !is;
}

/* `set` is at "[", `close` at its "]". */
static bool in_set(int c, const char *set, const char *close) {
  const unsigned char *q = (const unsigned char *)set + 1, *end = (const unsigned char *)close;
  bool found = true;
  if (q < end && *q == '^') found = false, q++;
  for (; q < end; q++) {
    if (*q == '%') {
      if (++q <= end && in_class(c, *q)) return found;
    } else if (q + 2 < end && q[1] == '-') {
      if (in_range(c, q[0], q[2])) return found;
      q += 2;
    } else if (*q == c) {
      return found;
    }
  }
  return !found;
}

/* Past the single-character item at q; NULL when it is malformed. */
static const char *item_end(cal_match *m, const char *q) {
  if (*q == '%') return q + 1 == m->pattern_end ? fail(m, CAL_E_ARG, "malformed pattern (ends with '%')") : q + 2;
  if (*q != '[') return q + 1;
  q++;
  if (q < m->pattern_end && *q == '^') q++;
  for (bool first = true; first || q == m->pattern_end || *q != ']'; first = false) {
    if (q == m->pattern_end) return fail(m, CAL_E_ARG, "malformed pattern (missing ']')");
    if (*q++ == '%' && q < m->pattern_end) q++;
  }
  return q + 1;
}

static bool matches_one(const cal_match *m, place s, const char *item, const char *end) {
  if (s >= m->subject_end) return false;
  int c = (unsigned char)*s;
  switch (*item) {
    case '.': return true;
    case '%': return in_class(c, (unsigned char)item[1]);
    case '[': return in_set(c, item, end - 1);
    default: return (unsigned char)*item == c;
  }
}

/* --- Items that are more than one character ------------------------------------------------------------------------ */

static place match(cal_match *m, place s, const char *q);

static place balanced(cal_match *m, place s, const char *pair) {
  if (m->pattern_end - pair < 2) return fail(m, CAL_E_ARG, "malformed pattern (missing arguments to '%b')");
  if (s >= m->subject_end || *s != pair[0]) return NULL;
  for (int open = 1; ++s < m->subject_end;) {
    if (!spend(m)) return NULL;
    if (*s == pair[1]) {
      if (--open == 0) return s + 1;
    } else if (*s == pair[0]) {
      open++;
    }
  }
  return NULL;
}

/* As many as there are, then fewer and fewer. */
static place greedy(cal_match *m, place s, const char *item, const char *end) {
  ptrdiff_t count = 0;
  while (matches_one(m, s + count, item, end)) {
    if (!spend(m)) return NULL;
    count++;
  }
  for (; count >= 0; count--) {
    place to = match(m, s + count, end + 1);
    if (to || m->status) return to;
  }
  return NULL;
}

static place lazy(cal_match *m, place s, const char *item, const char *end) {
  for (;; s++) {
    place to = match(m, s, end + 1);
    if (to || m->status) return to;
    if (!matches_one(m, s, item, end)) return NULL;
  }
}

static place open_capture(cal_match *m, place s, const char *q, ptrdiff_t size) {
  if (m->captures == CAL_CAPTURES) return fail(m, CAL_E_ARG, "too many captures");
  m->capture[m->captures++] = (cal_capture){(size_t)(s - m->subject), size};
  place to = match(m, s, q);
  if (!to) m->captures--;
  return to;
}

static place close_capture(cal_match *m, place s, const char *q) {
  int i = m->captures - 1;
  while (i >= 0 && m->capture[i].size != CAL_CAPTURE_OPEN) i--;
  if (i < 0) return fail(m, CAL_E_ARG, "invalid pattern capture");
  m->capture[i].size = s - m->subject - (ptrdiff_t)m->capture[i].from;
  place to = match(m, s, q);
  if (!to) m->capture[i].size = CAL_CAPTURE_OPEN;
  return to;
}

static place same_again(cal_match *m, place s, int digit) {
  int i = digit - '1';
  if (i < 0 || i >= m->captures || m->capture[i].size == CAL_CAPTURE_OPEN) {
    fail(m, CAL_E_ARG, "");
    snprintf(m->why, sizeof m->why, "invalid capture index %%%d", i + 1);
    return NULL;
  }
  ptrdiff_t size = m->capture[i].size;
  if (size < 0 || m->subject_end - s < size || memcmp(s, m->subject + m->capture[i].from, (size_t)size) != 0) return NULL;
  m->steps += (uint64_t)size / 16; /* long copies cost */
  return s + size;
}

/* Between a character that is not in the set and one that is; the ends of the subject count as '\0'. -1: malformed. */
static int frontier(cal_match *m, place s, const char **q) {
  if (*q >= m->pattern_end || **q != '[') return fail(m, CAL_E_ARG, "missing '[' after '%f' in pattern"), -1;
  const char *end = item_end(m, *q);
  if (!end) return -1;
  int before = s == m->subject ? 0 : (unsigned char)s[-1], here = s < m->subject_end ? (unsigned char)*s : 0;
  bool is = !in_set(before, *q, end - 1) && in_set(here, *q, end - 1);
  *q = end;
  return is;
}

static place match_items(cal_match *m, place s, const char *q) {
  while (q < m->pattern_end) {
    if (!spend(m)) return NULL;
    if (*q == '(') {
      bool position = q + 1 < m->pattern_end && q[1] == ')';
      return open_capture(m, s, position ? q + 2 : q + 1, position ? CAL_CAPTURE_POSITION : CAL_CAPTURE_OPEN);
    }
    if (*q == ')') return close_capture(m, s, q + 1);
    if (*q == '$' && q + 1 == m->pattern_end) return s == m->subject_end ? s : NULL;
    if (*q == '%' && q + 1 < m->pattern_end) {
      int c = (unsigned char)q[1];
      if (c == 'b') {
        s = balanced(m, s, q + 2);
        if (!s) return NULL;
        q += 4;
        continue;
      }
      if (c == 'f') {
        q += 2;
        if (frontier(m, s, &q) != 1) return NULL;
        continue;
      }
      if (in_range(c, '0', '9')) {
        s = same_again(m, s, c);
        if (!s) return NULL;
        q += 2;
        continue;
      }
    }
    const char *end = item_end(m, q);
    if (!end) return NULL;
    int suffix = end < m->pattern_end ? *end : 0;
    if (suffix == '*') return greedy(m, s, q, end);
    if (suffix == '-') return lazy(m, s, q, end);
    bool one = matches_one(m, s, q, end);
    if (suffix == '+') return one ? greedy(m, s + 1, q, end) : NULL;
    if (suffix == '?') {
      if (one) {
        place to = match(m, s + 1, end + 1);
        if (to || m->status) return to;
      }
      q = end + 1;
      continue;
    }
    if (!one) return NULL;
    s++;
    q = end;
  }
  return s;
}

static place match(cal_match *m, place s, const char *q) {
  if (m->depth == DEEPEST) return fail(m, CAL_E_LIMIT, "pattern too complex");
  m->depth++;
  place to = match_items(m, s, q);
  m->depth--;
  return to;
}

cal_status cal_match_at(cal_match *m, size_t from, size_t *end, cal_error *err) {
  m->captures = 0;
  m->depth = 0;
  m->status = CAL_OK;
  if (!spend(m)) return cal_fail(err, m->status, "%s", m->why);
  place to = match(m, m->subject + from, m->pattern);
  *end = to ? (size_t)(to - m->subject) : CAL_NO_MATCH;
  return m->status ? cal_fail(err, m->status, "%s", m->why) : CAL_OK;
}
