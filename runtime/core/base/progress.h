/* progress.h - a bar for people, a line now and then for log files.
 *
 *   cal_progress *p = cal_progress_new("measuring", 212);
 *   for (int i = 0; i < 212; i++) cal_progress_set(p, (size_t)i + 1);
 *   cal_progress_free(p);
 *
 * On a terminal: one line on stderr, redrawn at most ten times a second, wiped at the end. Elsewhere: a line every
 * 10 s, or every CALOTYPE_PROGRESS seconds. Nothing appears before one second has passed, so that quick work stays quiet. One thread draws.
 * uses: libc
 */
#ifndef CAL_BASE_PROGRESS_H
#define CAL_BASE_PROGRESS_H

#include <stddef.h>

typedef struct cal_progress cal_progress;

/* `total` 0: unknown, then only the count is shown. NULL when there is no memory: all calls take NULL. */
cal_progress *cal_progress_new(const char *label, size_t total);
void cal_progress_set(cal_progress *p, size_t done);
void cal_progress_note(cal_progress *p, const char *note); /* a few words behind the bar: "loss 0.0412", "$0.02" */
/* Counts are bytes: "1.2/6.6 GB" and how fast they come. `kept` of them were there before and took no time. */
void cal_progress_bytes(cal_progress *p, size_t kept);
void cal_progress_free(cal_progress *p); /* wipes the bar */
void cal_progress_quiet(int quiet);      /* 1: draw nothing anywhere (tests, --quiet) */

#endif
