#include "core/net/talk.h"

#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/interrupt.h"
#include "core/base/log.h"
#include "core/base/random.h"
#include "core/codec/json.h"
#include "core/net/rate.h"
#include "core/net/tape.h"

enum {
  MOST_BODIES = 256 << 20, /* bytes */
  LATENCIES = 1 << 16,     /* kept; beyond, each has the same chance to stay */
  UNREACHABLE = 3,         /* requests in a row that gave up because nobody could be reached: the rest need not try */
  MOST_LOG = 32 << 20,     /* a longer log is set aside when it is opened */
  LONG_HINT = 30,          /* seconds: a pause that people notice, worth ... */
  LONG_ATTEMPTS = 2,       /* ... no more than these while the service answered nothing yet: it may never */
  MOST_HEADERS = 12,       /* of a request's own */
};
static const size_t MOST_FILE = (size_t)2 << 30; /* of a reply that becomes a file */

typedef enum { WAITING, FLYING, FINISHED } state;

typedef struct item {
  struct item *next;
  cal_talk *talk;
  void *tag;
  char *url, *type; /* type: the header's whole line */
  const char *path; /* in url */
  bool elsewhere;   /* url is not below the base's path */
  char *headers[MOST_HEADERS];
  double stall_seconds;
  const cal_fs *to_fs;
  char *to;
  cal_fs_file *out; /* of this attempt */
  char method[16];
  cal_buffer body;
  cal_retry_class class;
  state state;
  double tokens, not_before, first_start;
  int attempts, lost, most_lost;
  cal_talk_reply *reply; /* when FINISHED */
} item;

struct cal_talk {
  cal_talk *next;
  char *service, *base, *host, *header, *prefix;
  const char *base_path;    /* of base: "/v1" */
  cal_talk_options options; /* its texts are those above */
  cal_url url;
  cal_rate *gate;
  cal_fs *fs;
  cal_tape *tape;
  int log;
  item *items;                  /* as they were asked: what is tried again goes before what was asked later */
  int pending, flying, arrived; /* not yet handed out; of these on their way, and of these here */
  size_t body_bytes;
  double window, calm; /* how many may fly now; no halving before `calm` */
  int unreachable;
  bool told;         /* of the Ctrl-C that is on */
  cal_error stopped; /* code CAL_OK: it goes on */
  cal_random random;
  cal_talk_counts counts;
  float *latencies;
  size_t latency_count, latency_capacity;
};

/* What all talks of the process share. The gates stay when the last talk closes: a quota does not know about talks. */
static struct {
  cal_http *http;
  cal_rates *rates;
  cal_talk *talks;
} hub;

/* The file's folder: a file that is not there yet cannot be granted by itself. */
static cal_status grant(cal_talk *t, const char *path, unsigned rights, cal_error *err) {
  char *folder = cal_copy_text(path, err);
  if (!folder) return CAL_E_MEMORY;
  char *slash = strrchr(folder, '/');
  if (slash) slash[slash == folder] = 0;
  cal_status status = cal_fs_grant(t->fs, slash ? folder : ".", rights, err);
  cal_free(folder);
  return status ? cal_error_context(err, "%s", path) : CAL_OK;
}

/* --- The log -------------------------------------------------------------------------------------------------------- */
static cal_status open_log(cal_talk *t, const char *path, cal_error *err) {
  cal_fs_info info;
  cal_error none = {0};
  char *old = NULL;
  cal_buffer name = {0};
  cal_status status = grant(t, path, CAL_FS_READ | CAL_FS_WRITE, err);
  if (!status && !cal_fs_stat(t->fs, path, &info, &none) && info.size > MOST_LOG) {
    cal_buffer_printf(&name, "%s.old", path);
    old = cal_buffer_take(&name);
    if (old) cal_fs_rename(t->fs, path, old, &none);
    cal_free(old);
  }
  if (!status && (t->log = cal_fs_open_append(t->fs, path, err)) < 0) status = err->code;
  return status;
}

static void log_text(cal_buffer *line, const char *key, const char *text) {
  cal_buffer_printf(line, ",\"%s\":", key);
  cal_json_write_text(text, strlen(text), line);
}

/* One line for each attempt. No body, no header, no query; what was hidden elsewhere is hidden here too. A log that cannot be written any
 * more (a full disk) ends; the requests go on. */
static void note(cal_talk *t, const item *it, const cal_http_reply *reply, const char *label, double wait) {
  char date[CAL_DATE];
  cal_buffer line = {0};
  const int path = (int)strcspn(it->path, "?");
  if (t->log < 0 && cal_debug_depth() < 2) return;
  cal_date(date);
  cal_buffer_printf(&line, "{\"time\":\"%s\"", date);
  log_text(&line, "service", t->service);
  log_text(&line, "method", it->method);
  cal_buffer url = {0};
  cal_buffer_printf(&url, "%s:%s%s%.*s", t->url.host, t->url.port, it->elsewhere ? "" : t->base_path, path, it->path);
  log_text(&line, "url", url.failed ? "" : url.data);
  cal_buffer_free(&url);
  cal_buffer_printf(&line, ",\"status\":%d,\"ms\":%.0f,\"sent\":%llu,\"received\":%llu,\"attempt\":%d", reply->status,
                    reply->seconds * 1000, (unsigned long long)reply->bytes_sent, (unsigned long long)reply->bytes_received, it->attempts);
  log_text(&line, "verdict", label);
  if (wait > 0) cal_buffer_printf(&line, ",\"again_in\":%.3f", wait);
  cal_buffer_add_text(&line, "}\n");
  if (!line.failed && !cal_scrub(&line, NULL)) {
    if (cal_debug_depth() >= 2) cal_debug(2, "%.*s", (int)line.size - 1, line.data);
    if (t->log >= 0 && write(t->log, line.data, line.size) != (ssize_t)line.size) close(t->log), t->log = -1;
  }
  cal_buffer_free(&line);
}

/* --- Counting ------------------------------------------------------------------------------------------------------- */
static void count_error(cal_talk_counts *c, const char *label) {
  int i = 0;
  while (i < c->kinds && strcmp(c->errors[i].label, label) != 0) i++;
  if (i == CAL_TALK_KINDS) strcpy(c->errors[--i].label, "other");
  else if (i == c->kinds) strcpy(c->errors[c->kinds++].label, label);
  c->errors[i].count++;
}

static void count_latency(cal_talk *t, double seconds) {
  if (t->latency_count == t->latency_capacity && t->latency_capacity < LATENCIES) {
    const size_t more = t->latency_capacity ? t->latency_capacity * 2 : 256;
    float *grown = cal_resize(t->latencies, more * sizeof *grown, NULL);
    if (grown) t->latencies = grown, t->latency_capacity = more;
  }
  if (t->latency_count < t->latency_capacity) t->latencies[t->latency_count++] = (float)seconds;
  else if (t->latency_capacity) { /* every reply so far has the same chance to be among them */
    const uint64_t place = cal_random_below(&t->random, t->counts.ok);
    if (place < t->latency_capacity) t->latencies[place] = (float)seconds;
  }
}

static int by_size(const void *a, const void *b) {
  const float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

cal_status cal_talk_count(const cal_talk *t, cal_talk_counts *counts, cal_error *err) {
  *counts = t->counts;
  if (!t->latency_count) return CAL_OK;
  float *sorted = cal_alloc(t->latency_count * sizeof *sorted, err);
  if (!sorted) return CAL_E_MEMORY;
  memcpy(sorted, t->latencies, t->latency_count * sizeof *sorted);
  qsort(sorted, t->latency_count, sizeof *sorted, by_size);
  double *const out[] = {&counts->p50, &counts->p95, &counts->p99};
  static const double share[] = {0.50, 0.95, 0.99};
  for (int i = 0; i < 3; i++) *out[i] = sorted[(size_t)ceil(share[i] * (double)t->latency_count) - 1]; /* nearest rank */
  cal_free(sorted);
  return CAL_OK;
}

/* --- Items ---------------------------------------------------------------------------------------------------------- */
static void free_item(item *it) {
  if (it->reply) cal_http_reply_free(it->reply->http);
  cal_free(it->reply);
  cal_buffer_free(&it->body);
  cal_fs_file_discard(it->out);
  for (int i = 0; i < MOST_HEADERS; i++) cal_free(it->headers[i]);
  cal_free(it->url);
  cal_free(it->type);
  cal_free(it->to);
  cal_free(it);
}

static void drop_body(item *it) {
  it->talk->body_bytes -= it->body.size;
  cal_buffer_free(&it->body);
  it->body = (cal_buffer){0};
}

/* What people read: `first`, and `second` in brackets. Without keys, whatever the server quoted. */
static void set_why(cal_error *why, cal_status code, const char *first, const char *second) {
  cal_buffer text = {0};
  cal_buffer_add_text(&text, first);
  if (second && *second) cal_buffer_printf(&text, " (%s)", second);
  const bool shown = !text.failed && !cal_scrub(&text, NULL);
  cal_fail(why, code, "%s", shown && text.data ? text.data : "");
  cal_buffer_free(&text);
}

static void finish(item *it, cal_talk_end end, cal_http_reply *http, const char *label) {
  cal_talk_reply *r = it->reply;
  drop_body(it);
  it->state = FINISHED;
  it->talk->arrived++;
  r->tag = it->tag;
  r->end = end;
  r->http = http;
  r->attempts = it->attempts;
  r->lost = it->lost;
  r->seconds = it->attempts ? cal_clock() - it->first_start : 0;
  snprintf(r->label, sizeof r->label, "%s", label);
}

static void stop(cal_talk *t, const char *why) {
  if (!t->stopped.code) cal_fail(&t->stopped, CAL_E_NETWORK, "%s", why);
}

/* --- Replies that become files ---------------------------------------------------------------------------------------- */
static cal_status take_piece(void *context, const cal_http_reply *so_far, const void *bytes, size_t size, cal_error *err) {
  item *it = context;
  (void)so_far;
  if (!it->out && !(it->out = cal_fs_create(it->to_fs, it->to, err))) return err->code;
  return cal_fs_file_add(it->out, bytes, size, err);
}

/* The file gets its name, where the reply was a good one. */
static cal_status keep_file(item *it, const cal_http_reply *reply, cal_error *err) {
  if (!it->to || reply->status < 200 || reply->status > 299) return CAL_OK;
  if (!it->out && !(it->out = cal_fs_create(it->to_fs, it->to, err))) return err->code;
  cal_fs_file *whole = it->out;
  it->out = NULL;
  return cal_fs_file_commit(whole, err);
}

/* --- What a reply means --------------------------------------------------------------------------------------------- */
static void judge(cal_talk *t, item *it, const cal_http_reply *reply, cal_talk_judgement *j) {
  *j = (cal_talk_judgement){.hint = -1, .tokens = -1, .status = reply->status, .good = reply->status >= 200 && reply->status < 300};
  const cal_retry_case first = {
      .class = it->class, .attempt = 1, .attempts = 9, .status = reply->status, .sent_any = true, .hint = -1, .left = -1};
  if (!j->good && cal_retry(&first).what == CAL_RETRY_WAIT) j->what = CAL_TALK_AGAIN;
  if (j->good) strcpy(j->label, "done");
  else {
    snprintf(j->label, sizeof j->label, "%d", reply->status);
    snprintf(j->why, sizeof j->why, "%s: status %d", t->host, reply->status);
  }
  if (t->options.read) t->options.read(t->options.context, it->tag, reply, j);
}

static double hint_of(const cal_http_reply *reply, double body) {
  const double now = cal_retry_now(cal_http_header(reply, "date"), (double)time(NULL));
  const double header = cal_retry_hint(cal_http_header(reply, "retry-after"), cal_http_header(reply, "ratelimit"), now);
  return fmax(header, body);
}

static void slow_down(cal_talk *t, double until, double now) {
  if (t->gate) cal_rate_pause(t->gate, until);
  if (now < t->calm) return; /* one wave of refusals is one reason */
  t->window = fmax(1, floor(t->window / 2));
  t->calm = until;
}

/* Before anybody cuts it. What there is no memory for is empty then. */
static void scrub_reply(cal_http_reply *reply) {
  if (reply->body.size) cal_scrub_keys(&reply->body, NULL);
  if (reply->headers.size) cal_scrub_keys(&reply->headers, NULL);
}

/* An attempt into the counts, those of the talk and what the item may have lost. */
static void count_attempt(cal_talk *t, item *it, const cal_http_reply *reply, const cal_talk_judgement *j, bool arrived) {
  if (t->gate && it->tokens > 0 && j->tokens >= 0) cal_rate_correct(t->gate, it->tokens, j->tokens);
  t->counts.requests++;
  t->counts.bytes_sent += reply->bytes_sent;
  t->counts.bytes_received += reply->bytes_received;
  if (j->good) {
    t->counts.ok++;
    count_latency(t, reply->seconds);
    t->window = fmin(t->options.in_flight, t->window + 1 / t->window);
  } else count_error(&t->counts, j->label);
  if (arrived) t->unreachable = 0;
  const int answered = arrived ? 1 : 0; /* of those that went out; the others may have been taken */
  if (reply->sends > answered) it->lost += reply->sends - answered;
  else if (!arrived && reply->sent_any) it->lost++;
}

/* What to do after an attempt that was not kept. */
static cal_retry_advice advise(cal_talk *t, const item *it, const cal_http_reply *reply, const cal_talk_judgement *j, bool arrived) {
  cal_retry_case failed = {.class = it->class,
                           .attempt = it->attempts,
                           .attempts = t->options.attempts,
                           .transfer = reply->failure,
                           .status = j->status,
                           .sent_any = reply->sent_any,
                           .hint = arrived ? hint_of(reply, j->hint) : -1,
                           .random = cal_random_uniform(&t->random),
                           .left = -1};
  if (j->attempts > 0 && j->attempts < failed.attempts) failed.attempts = j->attempts;
  if (!t->counts.ok && failed.hint >= LONG_HINT && failed.attempts > LONG_ATTEMPTS) failed.attempts = LONG_ATTEMPTS;
  if (arrived) { /* the reader knows better than the status */
    const cal_retry_case alone = {.class = CAL_RETRY_SAFE, .attempt = 1, .attempts = 9, .status = j->status, .hint = -1, .left = -1};
    if (cal_retry(&alone).what != CAL_RETRY_WAIT) failed.status = 502;
  }
  cal_retry_advice advice = cal_retry(&failed);
  if (advice.what == CAL_RETRY_WAIT && it->most_lost && it->lost >= it->most_lost) {
    advice.what = CAL_RETRY_GIVE_UP;
    snprintf(advice.why, sizeof advice.why, "another attempt could cost more than is allowed");
  }
  return advice;
}

/* A reply, or the failure of a transfer, has come: keep it, try again, or give up. Takes `reply`. */
static void settle(item *it, cal_http_reply *reply) {
  cal_talk *t = it->talk;
  const double now = cal_clock();
  const bool arrived = reply->failure == CAL_TRANSFER_OK;
  cal_talk_judgement j = {.hint = -1, .tokens = -1, .what = CAL_TALK_AGAIN};
  if (arrived) scrub_reply(reply);
  if (arrived) judge(t, it, reply, &j);
  else snprintf(j.label, sizeof j.label, "%s", cal_transfer_name(reply->failure));
  count_attempt(t, it, reply, &j, arrived);

  cal_error disk = {0};
  if (!arrived && it->to && reply->why.code && reply->why.code != CAL_E_NETWORK) disk = reply->why;
  if (disk.code || (j.what == CAL_TALK_KEEP && keep_file(it, reply, &disk))) { /* a disk that is full: no attempt helps */
    note(t, it, reply, "disk", 0);
    set_why(&it->reply->why, disk.code, disk.text, NULL);
    finish(it, CAL_TALK_FAILED, reply, "disk");
    return;
  }
  if (j.what == CAL_TALK_KEEP) {
    note(t, it, reply, j.label, 0);
    set_why(&it->reply->why, CAL_OK, j.why, NULL);
    finish(it, CAL_TALK_DONE, reply, j.label);
    return;
  }
  if (j.what == CAL_TALK_LAST) {
    note(t, it, reply, j.label, 0);
    set_why(&it->reply->why, CAL_E_NETWORK, j.why, NULL);
    stop(t, it->reply->why.text);
    finish(it, CAL_TALK_STOPPED, reply, j.label);
    return;
  }

  cal_retry_advice advice = advise(t, it, reply, &j, arrived);
  const bool nobody =
      reply->failure == CAL_TRANSFER_RESOLVE || reply->failure == CAL_TRANSFER_CONNECT || reply->failure == CAL_TRANSFER_TLS;
  note(t, it, reply, j.label, advice.seconds);
  if (advice.what == CAL_RETRY_WAIT) {
    if (t->options.replay) advice.seconds = 0; /* it has been waited for */
    it->state = WAITING;
    it->not_before = now + advice.seconds;
    if (arrived && j.status == 429) slow_down(t, it->not_before, now);
    cal_http_reply_free(reply);
    return;
  }
  set_why(&it->reply->why, CAL_E_NETWORK, arrived ? j.why : reply->why.text,
          it->attempts > 1 || advice.what == CAL_RETRY_STOP_SERVICE || it->class == CAL_RETRY_BILLED || it->most_lost ? advice.why : NULL);
  if (advice.what == CAL_RETRY_STOP_SERVICE || (nobody && ++t->unreachable >= UNREACHABLE)) stop(t, it->reply->why.text);
  finish(it, advice.what == CAL_RETRY_STOP_SERVICE ? CAL_TALK_STOPPED : CAL_TALK_FAILED, reply, j.label);
}

/* --- Tapes ---------------------------------------------------------------------------------------------------------- */
static void add_header(cal_buffer *headers, const char *name, const char *value) {
  if (value) cal_buffer_add(headers, name, strlen(name) + 1), cal_buffer_add(headers, value, strlen(value) + 1);
}

/* What the tape has to say, as if it had come over the line. */
static void play(item *it) {
  cal_talk *t = it->talk;
  cal_tape_reply said = {0};
  cal_error err = {0};
  cal_http_reply *reply = cal_alloc_zero(1, sizeof *reply, &err);
  if (reply && !cal_tape_next(t->tape, it->method, it->path, it->body.data, it->body.size, &said, &err)) {
    reply->status = said.status;
    add_header(&reply->headers, "content-type", said.content_type);
    add_header(&reply->headers, "retry-after", said.retry_after);
    add_header(&reply->headers, "ratelimit", said.rate_limit);
    cal_buffer_add(&reply->body, said.body, said.size);
    if (!reply->headers.failed && !reply->body.failed) {
      settle(it, reply);
      return;
    }
    cal_fail(&err, CAL_E_MEMORY, "not enough memory for a reply of the tape");
  }
  cal_http_reply_free(reply);
  set_why(&it->reply->why, err.code, err.text, NULL);
  finish(it, CAL_TALK_FAILED, NULL, "tape");
}

/* On the disk before anybody sees it, without a key that the server may have quoted. A tape that cannot be written is not worth going on
 * for. */
static void record(item *it, cal_http_reply *reply) {
  cal_talk *t = it->talk;
  cal_error err = {0};
  cal_buffer body = {0};
  scrub_reply(reply); /* its headers go on the tape too */
  if (reply->body.size) cal_buffer_add(&body, reply->body.data, reply->body.size);
  if (body.failed || (body.data && cal_scrub(&body, &err))) {
    cal_buffer_free(&body);
    stop(t, "not enough memory to record a reply");
    return;
  }
  const cal_tape_reply said = {.status = reply->status,
                               .content_type = cal_http_header(reply, "content-type"),
                               .retry_after = cal_http_header(reply, "retry-after"),
                               .rate_limit = cal_http_header(reply, "ratelimit"),
                               .body = body.data,
                               .size = body.size};
  if (cal_tape_add(t->tape, it->method, it->path, it->body.data, it->body.size, &said, &err)) stop(t, err.text);
  cal_buffer_free(&body);
}

/* --- The queue ------------------------------------------------------------------------------------------------------ */
static void fly(item *it, double now) {
  cal_talk *t = it->talk;
  const char *lines[MOST_HEADERS + 3] = {it->type, "Accept: application/json"};
  for (int i = 0; i < MOST_HEADERS && it->headers[i]; i++) lines[i + 2] = it->headers[i];
  const cal_http_request request = {.method = it->method,
                                    .url = it->url,
                                    .headers = it->body.data ? lines : lines + 1,
                                    .secret = t->options.secret,
                                    .secret_header = t->options.secret_header,
                                    .secret_prefix = t->options.secret_prefix,
                                    .body = it->body.data,
                                    .body_size = it->body.size,
                                    .total_seconds = it->stall_seconds > 0 ? 0 : t->options.seconds,
                                    .stall_seconds = it->stall_seconds,
                                    .largest = it->to ? MOST_FILE : t->options.largest,
                                    .sink = it->to ? take_piece : NULL,
                                    .sink_context = it,
                                    /* Kept connections may all be as dead as the one that was lost. */
                                    .once = it->class == CAL_RETRY_BILLED || it->lost || (it->most_lost && it->lost + 1 >= it->most_lost)};
  cal_error err = {0};
  cal_fs_file_discard(it->out); /* what an attempt before brought */
  it->out = NULL;
  if (!it->attempts++) it->first_start = now;
  if (t->options.replay) {
    play(it);
    return;
  }
  if (cal_http_start(hub.http, &request, it, &err)) {
    set_why(&it->reply->why, err.code, err.text, NULL);
    if (err.code == CAL_E_DENIED) stop(t, err.text); /* nor will any other go there */
    finish(it, CAL_TALK_FAILED, NULL, "start");
    return;
  }
  it->state = FLYING;
  t->flying++;
}

/* Let go what may go now. Returns the seconds until more may. */
static double advance(cal_talk *t) {
  double soonest = HUGE_VAL;
  if (cal_interrupt_level()) return soonest;
  for (item *it = t->items; it; it = it->next) {
    if (it->state != WAITING) continue;
    if (t->stopped.code) {
      it->reply->why = t->stopped;
      finish(it, CAL_TALK_STOPPED, NULL, "stopped");
      continue;
    }
    if (t->flying + t->arrived >= (int)t->window) break; /* what a kill can lose is no more than one window */
    const double now = cal_clock();
    if (it->not_before > now) {
      soonest = fmin(soonest, it->not_before - now);
      continue;
    }
    const double wait = t->gate ? cal_rate_wait(t->gate, now, it->tokens) : 0;
    if (wait > 0) {
      soonest = fmin(soonest, wait);
      break;
    }
    if (t->gate) cal_rate_take(t->gate, now, it->tokens);
    fly(it, now);
  }
  return soonest;
}

static double advance_all(void) {
  double soonest = HUGE_VAL;
  for (cal_talk *t = hub.talks; t; t = t->next) soonest = fmin(soonest, advance(t));
  return soonest;
}

static cal_talk_reply *take_finished(cal_talk *t) {
  for (item **at = &t->items; *at; at = &(*at)->next) {
    item *it = *at;
    if (it->state != FINISHED) continue;
    cal_talk_reply *reply = it->reply;
    it->reply = NULL;
    *at = it->next;
    t->pending--, t->arrived--;
    free_item(it);
    return reply;
  }
  return NULL;
}

/* Move bytes for at most `seconds`. False: nothing came. */
static cal_status move_bytes(double seconds, bool *came, cal_error *err) {
  void *tag;
  cal_http_reply *reply = NULL;
  *came = false;
  if (hub.http && cal_http_flying(hub.http)) {
    cal_status status = cal_http_wait(hub.http, seconds, &tag, &reply, err);
    if (status) return status;
  } else if (seconds > 0) poll(NULL, 0, (int)ceil(seconds * 1000)); /* a gate or a pause; a signal ends it */
  if (!reply) return CAL_OK;
  item *it = tag;
  it->talk->flying--;
  if (it->talk->tape && reply->failure == CAL_TRANSFER_OK) record(it, reply);
  settle(it, reply);
  *came = true;
  return CAL_OK;
}

cal_status cal_talk_next(cal_talk *t, double seconds, cal_talk_reply **reply, cal_error *err) {
  const double end = seconds < 0 ? HUGE_VAL : cal_clock() + seconds;
  *reply = NULL;
  if (!cal_interrupt_level()) t->told = false;
  for (;;) {
    const double soonest = advance_all();
    if ((*reply = take_finished(t))) return CAL_OK;
    if (!t->items) return CAL_OK;
    const int level = cal_interrupt_level();
    const bool leave = level > 1 || (level && !t->told) || (level && !t->flying);
    const double left = end - cal_clock();
    bool came;
    cal_status status = move_bytes(leave || left <= 0 ? 0 : fmin(0.04, fmin(left, soonest)), &came, err);
    if (status) return status;
    if (came) continue;
    if (leave || left <= 0) {
      t->told = level > 0;
      return CAL_OK;
    }
    if (level) poll(NULL, 0, 5); /* core/net/http.h does not wait any more */
  }
}

int cal_talk_room(const cal_talk *t) {
  const int most = t->options.in_flight + (t->options.in_flight + 1) / 2;
  return t->body_bytes > MOST_BODIES || t->pending > most ? 0 : most - t->pending;
}

int cal_talk_pending(const cal_talk *t) { return t->pending; }

int cal_talk_flying(const cal_talk *t) { return t->flying; }

double cal_talk_pause(cal_talk *t) {
  double soonest = HUGE_VAL;
  const double now = cal_clock();
  for (item *it = t->items; it; it = it->next) {
    if (it->state != WAITING || t->stopped.code) return 0;
    soonest = fmin(soonest, fmax(it->not_before - now, t->gate ? cal_rate_wait(t->gate, now, it->tokens) : 0));
  }
  return isfinite(soonest) ? fmax(0, soonest) : 0;
}

bool cal_talk_recall(cal_talk *t, void *tag) {
  for (item *it = t->items; it; it = it->next)
    if (it->tag == tag && it->state == WAITING) {
      set_why(&it->reply->why, CAL_E_INTERRUPT, "taken back", NULL);
      finish(it, CAL_TALK_FAILED, NULL, "recalled");
      return true;
    }
  return false;
}

void cal_talk_reply_free(cal_talk_reply *reply) {
  if (!reply) return;
  cal_http_reply_free(reply->http);
  cal_free(reply);
}

/* The address of a request. One that a server told may only lead back to it: the key goes along. */
static cal_status make_address(cal_talk *t, item *it, const cal_talk_request *request, cal_error *err) {
  cal_buffer url = {0};
  const size_t base = strlen(t->base);
  if (request->url) {
    cal_url to;
    cal_status status = cal_url_read(request->url, &to, err);
    if (status) return cal_error_context(err, "%s", t->service), status;
    if (to.secure != t->url.secure || strcmp(to.host, t->url.host) != 0 || strcmp(to.port, t->url.port) != 0)
      return cal_fail(err, CAL_E_DENIED, "%s: %s:%s tells an address at %s:%s; nothing is sent to another server", t->service, t->url.host,
                      t->url.port, to.host, to.port);
    cal_buffer_add_text(&url, request->url);
    it->elsewhere = strncmp(request->url, t->base, base) != 0 || request->url[base] != '/';
  } else cal_buffer_printf(&url, "%s%s", t->base, request->path);
  if (!(it->url = cal_buffer_take(&url))) return cal_fail(err, CAL_E_MEMORY, "%s: not enough memory for a request", t->service);
  const char *slashes = it->elsewhere ? strstr(it->url, "://") : NULL;
  it->path = slashes ? slashes + 3 + strcspn(slashes + 3, "/") : it->url + base;
  return CAL_OK;
}

static cal_status make_item(cal_talk *t, item *it, const cal_talk_request *request, cal_error *err) {
  const char *method = request->method ? request->method : request->body.data ? "POST" : "GET";
  if ((!request->url && (!request->path || request->path[0] != '/')) || strlen(method) >= sizeof it->method)
    return cal_fail(err, CAL_E_ARG, "%s: a request has a path that begins with \"/\", and a method like GET", t->service);
  strcpy(it->method, method);
  cal_buffer type = {0};
  cal_status status = make_address(t, it, request, err);
  if (status) return status;
  cal_buffer_printf(&type, "Content-Type: %s", request->content_type ? request->content_type : "application/json");
  if (!(it->type = cal_buffer_take(&type))) return cal_fail(err, CAL_E_MEMORY, "%s: not enough memory for a request", t->service);
  for (int i = 0; request->headers && request->headers[i]; i++) {
    if (i == MOST_HEADERS) return cal_fail(err, CAL_E_ARG, "%s: more than %d headers", t->service, MOST_HEADERS);
    if (!(it->headers[i] = cal_copy_text(request->headers[i], err))) return CAL_E_MEMORY;
  }
  if (request->to && !(it->to = cal_copy_text(request->to, err))) return CAL_E_MEMORY;
  it->to_fs = request->to_fs, it->stall_seconds = request->stall_seconds;
  it->reply = cal_alloc_zero(1, sizeof *it->reply, err);
  return it->reply ? CAL_OK : CAL_E_MEMORY;
}

cal_status cal_talk_ask(cal_talk *t, cal_talk_request *request, void *tag, cal_error *err) {
  cal_status status = CAL_OK;
  item *it = NULL;
  if (request->body.failed) status = cal_fail(err, CAL_E_MEMORY, "%s: not enough memory for a request", t->service);
  else if (cal_talk_room(t) <= 0)
    status = cal_fail(err, CAL_E_BUSY, "%s: %d requests are pending; take a reply before asking more", t->service, t->pending);
  else if (!(it = cal_alloc_zero(1, sizeof *it, err))) status = CAL_E_MEMORY;
  else {
    it->talk = t, it->tag = tag, it->class = request->class, it->tokens = request->tokens, it->most_lost = request->most_lost;
    status = make_item(t, it, request, err);
  }
  if (status) {
    if (it) free_item(it);
    cal_buffer_free(&request->body);
    request->body = (cal_buffer){0};
    return status;
  }
  it->body = request->body;
  request->body = (cal_buffer){0};
  t->body_bytes += it->body.size;
  t->pending++;
  item **last = &t->items;
  while (*last) last = &(*last)->next;
  *last = it;
  /* Off at once when it may; and bytes move, since who asks may be busy for long between two questions. What goes wrong here goes wrong
   * again in cal_talk_next, and is told there. */
  bool came;
  advance(t);
  move_bytes(0, &came, NULL);
  return CAL_OK;
}

/* --- Open and close ------------------------------------------------------------------------------------------------- */
static cal_status check_place(const cal_talk *t, cal_error *err) {
  const cal_talk_options *o = &t->options;
  if (!o->secret || o->base_place != CAL_FROM_ENV_FILE || o->secret_place != CAL_FROM_ENVIRONMENT || cal_host_loopback(t->url.host))
    return CAL_OK;
  return cal_fail(err, CAL_E_DENIED,
                  "%s: the address of %s comes from .env and %s from the environment: a key is not sent to where only a .env points; "
                  "put both into .env, or both into the environment",
                  t->service, t->url.host, cal_secret_name(o->secret));
}

static cal_status prepare(cal_talk *t, const cal_talk_options *options, cal_error *err) {
  cal_talk_options *o = &t->options;
  *o = *options;
  o->in_flight = o->in_flight > 0 ? o->in_flight : 16;
  o->seconds = o->seconds > 0 ? o->seconds : 120;
  o->attempts = o->attempts > 0 ? o->attempts : 5;
  if (o->in_flight > 256) return cal_fail(err, CAL_E_ARG, "%s: in_flight is %d; 256 is the most", o->service, o->in_flight);
  if (o->record && o->replay) return cal_fail(err, CAL_E_ARG, "%s: a tape is recorded or replayed, not both", o->service);
  t->window = o->in_flight;
  t->service = cal_copy_text(options->service, err);
  t->base = cal_copy_text(options->base, err);
  if (o->secret_header) o->secret_header = t->header = cal_copy_text(o->secret_header, err);
  if (o->secret_prefix) o->secret_prefix = t->prefix = cal_copy_text(o->secret_prefix, err);
  if (!t->service || !t->base || (options->secret_header && !t->header) || (options->secret_prefix && !t->prefix)) return CAL_E_MEMORY;
  for (size_t size = strlen(t->base); size && t->base[size - 1] == '/'; size--) t->base[size - 1] = 0;
  o->service = t->service, o->base = t->base;
  cal_status status = cal_url_read(t->base, &t->url, err);
  if (status) return cal_error_context(err, "%s", t->service), status;
  t->host = t->url.host;
  const char *slashes = strstr(t->base, "://");
  t->base_path = slashes ? strchr(slashes + 3, '/') : NULL;
  if (!t->base_path) t->base_path = "";
  if ((status = check_place(t, err))) return status;
  if (t->base[strcspn(t->base, "?#")]) return cal_fail(err, CAL_E_ARG, "%s: a base address ends before \"?\" and \"#\"", t->service);
  if (!(t->fs = cal_fs_new(NULL, 0, err))) return CAL_E_MEMORY;
  const char *tape = o->record ? o->record : o->replay;
  const cal_fs *fs = o->fs && tape && cal_fs_allows(o->fs, tape, o->record ? CAL_FS_WRITE : CAL_FS_READ) ? o->fs : t->fs;
  if (tape && fs == t->fs && (status = grant(t, tape, CAL_FS_READ | (o->record ? CAL_FS_WRITE : 0), err))) return status;
  if (tape) {
    t->tape = o->record ? cal_tape_record(fs, tape, err) : cal_tape_replay(fs, tape, err);
    if (!t->tape) return err->code;
  }
  return o->log ? open_log(t, o->log, err) : CAL_OK;
}

static cal_status join(cal_talk *t, cal_error *err) {
  if (!t->options.replay) {
    if (!hub.http && !(hub.http = cal_http_open(err))) return err->code;
    if (!hub.rates && !(hub.rates = cal_rates_new(err))) return CAL_E_MEMORY;
    char name[sizeof t->url.host + sizeof t->url.port];
    snprintf(name, sizeof name, "%s:%s", t->url.host, t->url.port);
    if (!(t->gate = cal_rates_gate(hub.rates, name, t->options.secret, err))) return CAL_E_MEMORY;
    if (t->options.per_minute > 0 || t->options.tokens_per_minute > 0)
      cal_rate_set(t->gate, t->options.per_minute, t->options.tokens_per_minute);
  }
  t->next = hub.talks;
  hub.talks = t;
  return CAL_OK;
}

cal_talk *cal_talk_open(const cal_talk_options *options, cal_error *err) {
  cal_error own = {0};
  if (!err) err = &own;
  cal_talk *t = cal_alloc_zero(1, sizeof *t, err);
  if (!t) return NULL;
  t->log = -1;
  t->random = cal_random_seed((uint64_t)(cal_clock() * 1e9), (uint64_t)getpid());
  if (prepare(t, options, err) || join(t, err)) return cal_talk_close(t), NULL;
  return t;
}

/* Who left by a second Ctrl-C says nothing any more. */
static void tell_of_left(const cal_talk *t) {
  const int left = t->flying + t->arrived;
  if (t->options.paid && left && cal_interrupt_level() > 1)
    cal_log(CAL_WARNING, "%d answer%s of %s %s under way and may be paid, but will not be kept", left, left == 1 ? "" : "s", t->service,
            left == 1 ? "was" : "were");
}

void cal_talk_close(cal_talk *t) {
  if (!t) return;
  tell_of_left(t);
  for (item *it = t->items, *next; it; it = next) {
    next = it->next;
    if (it->state == FLYING) cal_http_cancel(hub.http, it);
    free_item(it);
  }
  for (cal_talk **at = &hub.talks; *at; at = &(*at)->next)
    if (*at == t) {
      *at = t->next;
      break;
    }
  if (!hub.talks) { /* connections end with the last talk */
    cal_http_close(hub.http);
    hub.http = NULL;
  }
  cal_tape_close(t->tape);
  cal_fs_free(t->fs);
  if (t->log >= 0) close(t->log);
  cal_free(t->latencies);
  cal_free(t->service), cal_free(t->base), cal_free(t->header), cal_free(t->prefix);
  cal_free(t);
}
