#include "core/base/clock.h"

#include <stdio.h>
#include <time.h>

double cal_clock(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void cal_date(char out[CAL_DATE]) {
  time_t now = time(NULL);
  struct tm utc;
  gmtime_r(&now, &utc);
  strftime(out, CAL_DATE, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

char *cal_duration(double seconds, char *out) {
  if (!(seconds >= 0)) seconds = 0;
  if (seconds > 3.6e9) seconds = 3.6e9;
  long s = (long)(seconds + 0.5);
  if (seconds < 9.95) snprintf(out, 32, "%.1f s", seconds);
  else if (s < 60) snprintf(out, 32, "%ld s", s);
  else if (s < 3600) snprintf(out, 32, "%ld min %ld s", s / 60, s % 60);
  else snprintf(out, 32, "%ld h %ld min", s / 3600, s % 3600 / 60);
  return out;
}
