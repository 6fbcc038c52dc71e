/* talk.h - requests to one service, many at a time, until each has its answer or a reason why not.
 *
 *   cal_error err = {0};
 *   cal_talk_options options = {.service = "local", .base = "http://127.0.0.1:8080", .log = "requests.log"};
 *   cal_talk *talk = cal_talk_open(&options, &err);
 *   if (!talk) return err.code;
 *   int tag = 1;
 *   cal_talk_request request = {.path = "/v1/models"};
 *   while (cal_talk_room(talk) > 0 && tag-- > 0) cal_talk_ask(talk, &request, &tag, &err);
 *   cal_talk_reply *reply;
 *   while (!cal_talk_next(talk, 60, &reply, &err) && reply) {
 *     if (reply->end == CAL_TALK_DONE) printf("%d, %zu bytes\n", reply->http->status, reply->http->body.size);
 *     else printf("%s\n", reply->why.text);
 *     cal_talk_reply_free(reply);
 *   }
 *   cal_talk_close(talk);
 *
 * What goes out waits for a place (in_flight, halved after each wave of 429 and growing again with good replies) and for the gate of
 * its host and key, which all talks of the process share. A reply holds its place until it is handed out: a kill loses no more answers
 * than one window. What fails is tried again as core/net/retry.h says. What a reply means is said by a callback: this file knows status
 * codes, no captions.
 * One thread uses all talks; while one is waited for, the others' bytes move and their queues advance too.
 * uses: base codec
 */
#ifndef CAL_NET_TALK_H
#define CAL_NET_TALK_H

#include "core/base/fs.h"
#include "core/net/http.h"
#include "core/net/retry.h"
#include "core/net/secret.h"

typedef struct cal_talk cal_talk;

/* What the reader makes of a whole reply. It finds what its status alone would mean, and changes that. */
typedef enum {
  CAL_TALK_KEEP,  /* this is the answer, good or not */
  CAL_TALK_AGAIN, /* core/net/retry.h decides; a status that it would not try again counts as 502 */
  CAL_TALK_LAST,  /* nothing of this service will work: the talk ends */
} cal_talk_what;

typedef struct {
  cal_talk_what what;
  bool good;      /* counts as ok */
  char label[24]; /* "done", "blocked": for the log and the counts */
  int status;     /* for core/net/retry.h: a body may tell another than the reply's */
  double hint;    /* seconds until the next attempt, as the body says; below 0: it does not */
  double tokens;  /* that were used; below 0: unknown */
  int attempts;   /* AGAIN: the most this is worth; 0: as many as the talk allows */
  char why[512];  /* for people, unless good */
} cal_talk_judgement;

typedef void (*cal_talk_reader)(void *context, void *tag, const cal_http_reply *reply, cal_talk_judgement *judgement);

typedef struct {
  const char *service;      /* "gemini": names it in the log and in sentences */
  const char *base;         /* "https://host/v1"; a "/" at its end is dropped */
  cal_env_place base_place; /* where the address comes from, CAL_FROM_NOWHERE for one of our own; and the key */
  cal_env_place secret_place;
  const cal_secret *secret;                  /* NULL: none */
  const char *secret_header, *secret_prefix; /* http.h */
  int in_flight;                             /* 1 to 256; 0: 16 */
  double per_minute, tokens_per_minute;      /* 0: no limit known */
  double seconds;                            /* for one attempt; 0: 120 */
  int attempts;                              /* 0: 5; 2 for what is to wait half a minute and more while nothing was answered yet */
  size_t largest;                            /* of a reply; 0: 4 MiB */
  const char *log;                           /* file that gets a line of JSON for each attempt; NULL: none */
  const char *record, *replay;               /* a tape to write, or to play instead of asking; NULL: none. core/net/tape.h */
  const cal_fs *fs;                          /* a tape in a folder that it allows is opened through it: no link leads out; or NULL */
  bool paid;            /* answers cost money: those that a second Ctrl-C leaves on their way are told when it closes */
  cal_talk_reader read; /* NULL: statuses 200 to 299 are good */
  void *context;
} cal_talk_options;

/* CAL_E_DENIED: a key of the environment would go to an address that only a .env names, which may lie in a folder that somebody else
 * made; loopback is fine. CAL_E_ARG, CAL_E_MISSING; a log or tape that cannot be opened. */
cal_talk *cal_talk_open(const cal_talk_options *options, cal_error *err);
void cal_talk_close(cal_talk *talk); /* NULL is fine. What still flies is dropped; nothing comes for the tags that are left */

typedef struct {
  const char *method; /* NULL: POST with a body, GET without */
  const char *path;   /* begins with "/"; goes behind the base */
  const char *url;    /* instead of `path`: an address that the service has told. CAL_E_DENIED unless scheme, host and port are those of
                         the base: the key goes along */
  const char *const *headers; /* "Name: value" lines, NULL at the end; NULL: none */
  cal_buffer body;            /* moved in by cal_talk_ask, whatever it returns */
  const char *content_type;   /* NULL: application/json */
  cal_retry_class class;
  double tokens;        /* that it will use, as far as known */
  double stall_seconds; /* instead of the talk's time for an attempt, for what is large: given up after so long below 1 kB/s */
  const cal_fs *to_fs;  /* with `to`: the body of a good reply becomes this file, whole or not at all, and takes the place of one that is */
  const char *to;       /* there; at most 2 GiB. `to_fs` is the caller's until the reply */
  int most_lost;        /* given up once it went out so often without a whole reply: each may be paid; 0: only attempts count */
} cal_talk_request;

/* Queue a request. It is complete in memory from here on, so ask no more than cal_talk_room says: CAL_E_BUSY above. */
cal_status cal_talk_ask(cal_talk *talk, cal_talk_request *request, void *tag, cal_error *err);

/* How many more may be asked now: in_flight and half as many ahead, less what is pending; 0 while bodies hold more than 256 MB. */
int cal_talk_room(const cal_talk *talk);
int cal_talk_pending(const cal_talk *talk); /* asked, and the reply not yet taken */
int cal_talk_flying(const cal_talk *talk);  /* of those on their way now: not waiting for a gate or for another try, and not arrived */

double cal_talk_pause(
    cal_talk *talk); /* seconds until the next may go, where all that is pending waits for a gate or another try; else 0 */

/* Take back what waits for a place, a gate or another try: its reply is there at once, FAILED with the label "recalled". False: it is on
 * its way, or has its reply, or is not known. */
bool cal_talk_recall(cal_talk *talk, void *tag);

typedef enum {
  CAL_TALK_DONE,    /* the reader kept the reply */
  CAL_TALK_FAILED,  /* given up, for this request */
  CAL_TALK_STOPPED, /* given up with all that is queued: see `why` */
} cal_talk_end;

typedef struct {
  void *tag;
  cal_talk_end end;
  cal_http_reply *http; /* of the last attempt; NULL: there was none */
  char label[24];       /* the reader's, or how the transfer failed: "done", "timeout", "503" */
  int attempts;
  int lost;       /* how often it went out and no whole reply came: a service may charge for each */
  double seconds; /* from the first attempt to the end */
  cal_error why;  /* unless DONE: CAL_E_NETWORK and a sentence, scrubbed. DONE: what the reader said, scrubbed, code CAL_OK */
} cal_talk_reply;

/* The next reply, the caller's. NULL: nothing is pending, `seconds` are over (below 0: as long as it takes), or Ctrl-C was pressed, seen
 * within 50 ms. From then on no new request goes out; what came until then is handed out first, and who calls again waits for what still
 * flies and may be billed, until a second Ctrl-C. */
cal_status cal_talk_next(cal_talk *talk, double seconds, cal_talk_reply **reply, cal_error *err);
void cal_talk_reply_free(cal_talk_reply *reply);

enum { CAL_TALK_KINDS = 24 };
typedef struct {
  uint64_t requests, ok; /* attempts that went out, and those with a good reply */
  double p50, p95, p99;  /* seconds of good replies; 0: none yet */
  uint64_t bytes_sent, bytes_received;
  int kinds; /* of what was not good, by label */
  struct {
    char label[24];
    uint64_t count;
  } errors[CAL_TALK_KINDS]; /* the last one is "other" when there are more */
} cal_talk_counts;
cal_status cal_talk_count(const cal_talk *talk, cal_talk_counts *counts, cal_error *err);

#endif
