/* pattern.h - Lua's patterns, matched with a budget: a recipe's pattern can be slow by mistake or on purpose.
 *
 *   cal_error err = {0};
 *   cal_match m = cal_match_begin("key = value", 11, "(%w+) = (%w+)", 13);
 *   size_t end;
 *   if (cal_match_at(&m, 0, &end, &err)) return err.code;        // malformed, too costly, or interrupted
 *   if (end != CAL_NO_MATCH) printf("%.*s\n", (int)m.capture[0].size, m.subject + m.capture[0].from);   // "key"
 *
 * The whole of Lua 5.4's patterns ("PiL" and the manual, 6.4.1): classes, sets, * + - ?, %b, %f, %1, captures of text and
 * of positions. Letters and digits are ASCII's. '^' is the caller's: begin after it and try one place only.
 * uses: base
 */
#ifndef CAL_TEXT_PATTERN_H
#define CAL_TEXT_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"

enum { CAL_CAPTURES = 32, CAL_CAPTURE_OPEN = -1, CAL_CAPTURE_POSITION = -2 };
#define CAL_NO_MATCH SIZE_MAX

typedef struct {
  size_t from;
  ptrdiff_t size; /* or CAL_CAPTURE_OPEN: ")" is missing, CAL_CAPTURE_POSITION: only `from` counts */
} cal_capture;

typedef struct {
  const char *subject, *subject_end, *pattern, *pattern_end;
  int captures;
  cal_capture capture[CAL_CAPTURES];
  uint64_t steps, most;        /* so far, and the budget: 2^25 + 64 per byte of the subject unless changed */
  bool (*stop)(void *context); /* asked every 4096 steps; true ends with CAL_E_INTERRUPT. May be NULL. */
  void *context;
  /* private */
  int depth;
  cal_status status;
  char why[96];
} cal_match;

cal_match cal_match_begin(const char *subject, size_t subject_size, const char *pattern, size_t pattern_size);

/* Does the pattern match at byte `from`? *end is where the match ends, or CAL_NO_MATCH. The captures are set. Steps add up
 * over calls. CAL_E_ARG: malformed; CAL_E_LIMIT: over the budget, or nested too deep. */
cal_status cal_match_at(cal_match *m, size_t from, size_t *end, cal_error *err);

bool cal_pattern_is_plain(const char *pattern, size_t size); /* no byte with a meaning */

#endif
