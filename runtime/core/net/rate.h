/* rate.h - when the next request may go.
 *
 *   cal_error err = {0};
 *   cal_rates *rates = cal_rates_new(&err);
 *   cal_rate *gate = cal_rates_gate(rates, "generativelanguage.googleapis.com", NULL, &err);   // borrowed from `rates`
 *   if (!gate) return err.code;
 *   cal_rate_set(gate, 60, 250000);                        // requests and tokens per minute; 0: no limit known
 *   double now = cal_clock();
 *   if (cal_rate_wait(gate, now, 1500) <= 0) cal_rate_take(gate, now, 1500);
 *   cal_rate_correct(gate, 1500, 1310);                    // what it turned out to be
 *   cal_rate_pause(gate, now + 54);                        // a 429 holds back everyone who shares the gate
 *   cal_rates_free(rates);
 *
 * Quotas are per host and key, so there is one gate for each pair, shared by all work. Within any 60 seconds no more requests
 * pass than the limit says, and no more tokens as long as the guesses are right; a tenth of the limit may go at once. A request
 * with more tokens than that goes when the gate is full and makes the next ones wait for it.
 *
 * Time is an argument, in seconds of any clock that goes forward; a step back counts as no time. Nothing here sleeps.
 * uses: base
 */
#ifndef CAL_NET_RATE_H
#define CAL_NET_RATE_H

#include "core/base/clock.h"
#include "core/base/error.h"

typedef struct cal_rates cal_rates;
typedef struct cal_rate cal_rate;

cal_rates *cal_rates_new(cal_error *err);
void cal_rates_free(cal_rates *rates);

/* The gate of `host` and `key`: any address that stands for the key, such as its cal_secret; NULL: no key. Made open when it is
 * not there yet. Lives as long as `rates`. NULL: CAL_E_MEMORY. */
cal_rate *cal_rates_gate(cal_rates *rates, const char *host, const void *key, cal_error *err);

/* Limits per minute; 0 or less: none. What was taken under the limits before still counts. */
void cal_rate_set(cal_rate *rate, double requests, double tokens);

double cal_rate_wait(cal_rate *rate, double now, double tokens); /* seconds until a request of `tokens` may go; 0: now */
void cal_rate_take(cal_rate *rate, double now, double tokens);   /* one goes */
void cal_rate_correct(cal_rate *rate, double guessed, double used);
void cal_rate_pause(cal_rate *rate, double until); /* nothing goes before; the later of two pauses counts */

#endif
