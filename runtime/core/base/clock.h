/* clock.h - time that only goes forward, and dates for people.
 *
 *   double start = cal_clock();
 *   char date[CAL_DATE];
 *   cal_date(date);                        // "2026-11-21T08:15:00Z"
 *   double seconds = cal_clock() - start;
 *
 * uses: libc
 */
#ifndef CAL_BASE_CLOCK_H
#define CAL_BASE_CLOCK_H

enum { CAL_DATE = 24 };

double cal_clock(void);            /* seconds since some fixed moment, monotonic */
void cal_date(char out[CAL_DATE]); /* now, UTC, ISO 8601 */

/* "8 s", "4 min 10 s", "2 h 5 min": for progress and reports. `out` holds at least 32 bytes. */
char *cal_duration(double seconds, char *out);

#endif
