#include "core/net/retry.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *cal_transfer_name(cal_transfer transfer) {
  static const char *const names[] = {"ok", "resolve", "connect", "tls", "timeout", "stall", "cut", "too large", "other"};
  return (unsigned)transfer < sizeof names / sizeof *names ? names[transfer] : "other";
}

/* How many attempts this kind of failure is worth; 1: it would only fail again. */
static int worth(const cal_retry_case *c) {
  bool billed = c->class == CAL_RETRY_BILLED;
  switch (c->transfer) {
    case CAL_TRANSFER_OK: break;
    case CAL_TRANSFER_RESOLVE:
    case CAL_TRANSFER_CONNECT: return c->attempts;
    case CAL_TRANSFER_TIMEOUT:
    case CAL_TRANSFER_STALL:
    case CAL_TRANSFER_CUT: return billed && c->sent_any ? 1 : c->attempts;
    case CAL_TRANSFER_TLS: return 2; /* a handshake may be cut; a certificate stays wrong */
    case CAL_TRANSFER_TOO_LARGE:
    case CAL_TRANSFER_OTHER: return 1;
  }
  switch (c->status) {
    case 429:
    case 503: return c->attempts;
    case 408:
    case 499:
    case 502: return billed ? 1 : c->attempts;
    case 500:
    case 504: return billed ? 1 : 3; /* often the request itself: too long, too slow */
    default: return 1;
  }
}

cal_retry_advice cal_retry(const cal_retry_case *c) {
  cal_retry_advice advice = {.what = CAL_RETRY_GIVE_UP};
  char what[80];
  if (c->transfer != CAL_TRANSFER_OK) snprintf(what, sizeof what, "%s", cal_transfer_name(c->transfer));
  else snprintf(what, sizeof what, "status %d", c->status);
  int most = worth(c);
  if (most > c->attempts) most = c->attempts;
  double step = fmin(CAL_RETRY_LONGEST_STEP, ldexp(1, c->attempt > 1 ? (c->attempt < 8 ? c->attempt : 8) - 1 : 0));
  double random = c->random > 0 ? fmin(1, c->random) : 0;
  double wait = (c->hint > step ? c->hint : step) * (1 + 0.25 * random);
  bool temporary = worth(c) > 1;
  if (temporary && c->hint > CAL_RETRY_LONGEST_HINT) {
    advice.what = CAL_RETRY_STOP_SERVICE;
    snprintf(advice.why, sizeof advice.why, "%s, the server asks for a pause of %.0f s", what, c->hint);
  } else if (c->class == CAL_RETRY_BILLED && c->sent_any && !temporary && c->transfer != CAL_TRANSFER_OK)
    snprintf(advice.why, sizeof advice.why, "%s: the server may have taken the request, and a second one would be paid again", what);
  else if (!temporary) snprintf(advice.why, sizeof advice.why, "%s", what);
  else if (c->attempt >= most) snprintf(advice.why, sizeof advice.why, "after %d attempts", c->attempt);
  else if (c->left >= 0 && wait > c->left)
    snprintf(advice.why, sizeof advice.why, "%s, and the next attempt in %.0f s would be after the time limit", what, wait);
  else {
    advice.what = CAL_RETRY_WAIT;
    advice.seconds = wait;
    if (c->hint >= 0) snprintf(advice.why, sizeof advice.why, "%s, the server asks for %.3g s", what, c->hint);
    else snprintf(advice.why, sizeof advice.why, "%s", what);
  }
  return advice;
}

/* ---- what servers ask for ---- */

static bool read_date(const char *text, double *seconds) { /* Wed, 21 Oct 2015 07:28:00 GMT */
  struct tm date = {0};
  const char *end = strptime(text + strspn(text, " \t"), "%a, %d %b %Y %H:%M:%S GMT", &date);
  if (!end || end[strspn(end, " \t")]) return false;
  *seconds = (double)timegm(&date);
  return true;
}

static double after(const char *text, double now) {
  text += strspn(text, " \t");
  if (*text >= '0' && *text <= '9') {
    char *end;
    double seconds = strtod(text, &end);
    end += strspn(end, " \t");
    return *end == 0 && isfinite(seconds) ? seconds : -1;
  }
  double date;
  return read_date(text, &date) ? fmax(0, date - now) : -1;
}

double cal_retry_now(const char *date, double own) {
  double server;
  return date && read_date(date, &server) ? server : own;
}

/* The number of `;name=` in one item of a structured header; -1: not there. */
static double parameter(const char *item, size_t size, char name) {
  for (size_t i = 0; i + 3 < size + 1 && i + 2 < size; i++)
    if (item[i] == ';' && item[i + 1] == name && item[i + 2] == '=') return strtod(item + i + 3, NULL);
  return -1;
}

double cal_retry_hint(const char *retry_after, const char *rate_limit, double now) {
  double hint = retry_after ? after(retry_after, now) : -1;
  for (const char *item = rate_limit; item && *item;) {
    size_t size = strcspn(item, ",");
    double left = parameter(item, size, 'r'), seconds = parameter(item, size, 't');
    if (left == 0 && seconds >= 0 && isfinite(seconds)) hint = fmax(hint, seconds + 1);
    item += size + (item[size] != 0);
  }
  return hint;
}
