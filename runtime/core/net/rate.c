#include "core/net/rate.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "core/base/memory.h"

/* A bucket that fills steadily: with room B and B - 1 + 60 * fill <= the limit, no 60 seconds (the last moment left out) see more. */
typedef struct {
  double room, fill, level; /* units, units per second, units now; below 0: a debt */
  bool limited;
} bucket;

struct cal_rate {
  char *host;
  const void *key;
  bucket requests, tokens;
  double last, until;
  bool begun;
  cal_rate *next;
};

struct cal_rates {
  cal_rate *first;
};

cal_rates *cal_rates_new(cal_error *err) { return cal_alloc_zero(1, sizeof(cal_rates), err); }

void cal_rates_free(cal_rates *rates) {
  if (!rates) return;
  for (cal_rate *r = rates->first, *next; r; r = next) {
    next = r->next;
    cal_free(r->host);
    cal_free(r);
  }
  cal_free(rates);
}

cal_rate *cal_rates_gate(cal_rates *rates, const char *host, const void *key, cal_error *err) {
  for (cal_rate *r = rates->first; r; r = r->next)
    if (r->key == key && strcmp(r->host, host) == 0) return r;
  cal_rate *r = cal_alloc_zero(1, sizeof *r, err);
  if (!r) return NULL;
  r->host = cal_copy_text(host, err);
  if (!r->host) return cal_free(r), NULL;
  r->key = key;
  r->until = -HUGE_VAL;
  r->next = rates->first;
  return rates->first = r;
}

/* `grain` is what one unit means to the limit: requests are counted one by one, tokens are a flow. */
static void limit(bucket *b, double per_minute, double grain) {
  double taken = b->limited ? b->room - b->level : 0;
  b->limited = per_minute > 0;
  if (!b->limited) return;
  b->room = fmax(grain, floor(per_minute / 10));
  b->fill = (per_minute - b->room + grain) / 60;
  if (grain > per_minute) b->fill = per_minute / 60; /* less than one a minute */
  b->level = b->room - taken;
}

void cal_rate_set(cal_rate *rate, double requests, double tokens) {
  limit(&rate->requests, requests, 1);
  limit(&rate->tokens, tokens, 0);
}

static void flow(cal_rate *rate, double now) {
  double passed = rate->begun && now > rate->last ? now - rate->last : 0;
  if (!rate->begun || now > rate->last) rate->last = now;
  rate->begun = true;
  bucket *both[] = {&rate->requests, &rate->tokens};
  for (int i = 0; i < 2; i++) both[i]->level = fmin(both[i]->room, both[i]->level + passed * both[i]->fill);
}

static double until_full(const bucket *b, double units) {
  double missing = fmin(units, b->room) - b->level;
  return b->limited && missing > 1e-9 ? missing / b->fill : 0;
}

double cal_rate_wait(cal_rate *rate, double now, double tokens) {
  flow(rate, now);
  double wait = fmax(0, rate->until - now);
  wait = fmax(wait, until_full(&rate->requests, 1));
  return fmax(wait, until_full(&rate->tokens, fmax(0, tokens)));
}

void cal_rate_take(cal_rate *rate, double now, double tokens) {
  flow(rate, now);
  rate->requests.level -= 1;
  rate->tokens.level -= fmax(0, tokens);
}

void cal_rate_correct(cal_rate *rate, double guessed, double used) {
  bucket *b = &rate->tokens;
  b->level = fmin(b->room, b->level + fmax(0, guessed) - fmax(0, used));
}

void cal_rate_pause(cal_rate *rate, double until) {
  if (until > rate->until) rate->until = until;
}
