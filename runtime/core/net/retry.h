/* retry.h - once more, later, or not at all.
 *
 *   cal_retry_case failed = {.class = CAL_RETRY_SAFE, .attempt = 1, .attempts = 5, .status = 503, .hint = -1, .random = 0.5, .left = 100};
 *   cal_retry_advice advice = cal_retry(&failed);
 *   if (advice.what == CAL_RETRY_WAIT) printf("again in %.1f s: %s\n", advice.seconds, advice.why);   // 1.1 s: status 503
 *
 * What robust clients do, in one function without a clock: connection failures, cut and slow transfers, 408, 429, 499, 500, 502,
 * 503 and 504 are tried again after max(what the server asks for, 1, 2, 4 ... 60 seconds) and up to a quarter more, so that clients
 * that failed together do not come back together. Requests that make something which costs money and cannot be told from its
 * twin (a batch, a training) go again only when the server surely did not take the first: nothing was sent, 429 or 503.
 * A server that asks for more than five minutes is left alone for this run.
 * uses: base
 */
#ifndef CAL_NET_RETRY_H
#define CAL_NET_RETRY_H

#include <stdbool.h>

#include "core/base/error.h"

/* How a transfer ended before there was a whole reply. */
typedef enum {
  CAL_TRANSFER_OK,
  CAL_TRANSFER_RESOLVE,   /* the host's name has no address */
  CAL_TRANSFER_CONNECT,   /* nobody listens, no route, refused */
  CAL_TRANSFER_TLS,       /* no trust or no agreement */
  CAL_TRANSFER_TIMEOUT,   /* the time for all of it is over */
  CAL_TRANSFER_STALL,     /* too few bytes for too long */
  CAL_TRANSFER_CUT,       /* the connection ended early */
  CAL_TRANSFER_TOO_LARGE, /* more bytes than asked for */
  CAL_TRANSFER_OTHER,
} cal_transfer;

const char *cal_transfer_name(cal_transfer transfer); /* "connect", "too large" ... for counts and logs */

typedef enum { CAL_RETRY_SAFE, CAL_RETRY_BILLED } cal_retry_class;

typedef struct {
  cal_retry_class class;
  int attempt, attempts; /* that failed now, from 1; and how many there may be */
  cal_transfer transfer;
  int status;    /* HTTP, when transfer is CAL_TRANSFER_OK */
  bool sent_any; /* bytes of the request may have reached the server */
  double hint;   /* seconds the server asks for; below 0: none */
  double random; /* 0 to 1 */
  double left;   /* seconds until the call's own time is over; below 0: no such time */
} cal_retry_case;

typedef enum {
  CAL_RETRY_WAIT,
  CAL_RETRY_GIVE_UP,      /* this request */
  CAL_RETRY_STOP_SERVICE, /* everything at this host and key, for this run */
} cal_retry_what;

typedef struct {
  cal_retry_what what;
  double seconds; /* to wait; 0 unless CAL_RETRY_WAIT */
  char why[160];  /* "status 429, the server asks for 54 s" */
} cal_retry_advice;

enum { CAL_RETRY_LONGEST_HINT = 300, CAL_RETRY_LONGEST_STEP = 60 }; /* seconds */

cal_retry_advice cal_retry(const cal_retry_case *failed);

/* What a server asks for, in seconds; -1: nothing. `retry_after` and `rate_limit` are header values or NULL. Retry-After: seconds, or
 * an HTTP date, for which `now` is the time since 1970. RateLimit: `"api";r=0;t=55` with r = 0 asks for t + 1. */
double cal_retry_hint(const char *retry_after, const char *rate_limit, double now);

/* `now` for that: what the server's clock says in its Date header, since ours may be hours off; `own` where there is none. */
double cal_retry_now(const char *date, double own);

#endif
