/* fake.h - a server that answers like the remote services, and misbehaves when the path says so.
 *
 * http.c reads requests and writes replies; scenario.c reads `/s/NAME/` and counts; faults.c lists every way to misbehave;
 * question.c finds the picture in a request; answer.c words the answers; hub.c has files to download; batch.c has Gemini's
 * batches; client.c is the other side, for tests without one; main.c owns the sockets. One thread, no clock but poll's. */
#ifndef FAKE_H
#define FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buffer.h"
#include "core/base/sha256.h"
#include "core/codec/json.h"

/* --- http.c --------------------------------------------------------------------------------------------------------- */
enum { MOST_HEADERS = 64 };

typedef struct {
  char *method, *path, *query;                      /* path begins with '/'; query "" when there is none */
  char *names[MOST_HEADERS], *values[MOST_HEADERS]; /* names in lower case */
  int header_count;
  cal_buffer body;
  bool other;      /* came to the second port, which stands for another host */
  int serial;      /* 1: first on its connection */
  bool old_client; /* HTTP/1.0, or Connection: close */
} request;

/* 1: `in` held a whole request, which was moved out; 0: more is needed; -1: this is no HTTP. *continue_wanted: the client
 * waits for "100 Continue" before it sends the body. */
int request_read(cal_buffer *in, request *r, bool *continue_wanted);
void request_free(request *r);
const char *request_header(const request *r, const char *name); /* NULL: not there */

typedef enum { STEP_SEND, STEP_WAIT, STEP_CLOSE, STEP_RESET, STEP_STALL, STEP_DELIVERED } step_kind;
typedef struct {
  step_kind kind;
  cal_buffer bytes;
  double seconds;
} step;
typedef struct {
  step *items;
  int count, capacity, at;
  size_t sent; /* of the step that is being sent */
} script;
void script_send(script *s, const void *bytes, size_t size);
void script_add(script *s, step_kind kind, double seconds);
void script_clear(script *s);

/* How an answer travels. */
typedef enum {
  WHOLE,
  SLOWLY,       /* in eight pieces */
  DRIPPED,      /* byte by byte, the head too */
  STALLED,      /* half of the body, then silence */
  STALLED_HEAD, /* silence */
  CUT,          /* half of the body, then the connection is closed in order */
  CUT_HEAD,     /* closed before the first byte */
  CUT_IN_HEAD,  /* closed in the middle of the headers */
  RESET,        /* half of the body, then a reset */
  RESET_HEAD,   /* a reset before the first byte */
  LONGER,       /* Content-Length promises ten bytes more than there are; closed */
  SHORTER,      /* Content-Length is ten bytes short */
  NEGATIVE,     /* Content-Length: -1 */
  CHUNKED,
  CHUNKED_SMALL, /* chunks of one to three bytes, each sent by itself: splits UTF-8 */
  CHUNKED_CUT,   /* no last chunk */
  CHUNKED_BAD,   /* a chunk's size is no number */
  OLD_HTTP,      /* HTTP/1.0 without a length, closed at the end */
  CLOSED_AFTER,  /* whole and kept alive, as it says; then closed all the same */
  CLOSED_REUSED, /* a second request on one connection finds it closed */
  INFORMED,      /* 100 and 103 come first, unasked */
  GARBAGE,       /* bytes that are no HTTP */
  ENDLESS_HEAD,  /* a megabyte of headers */
} delivery;

typedef struct {
  int status;
  const char *type;   /* Content-Type, NULL: none */
  cal_buffer headers; /* more header lines, each with its CRLF */
  cal_buffer body;
  bool head_only; /* HEAD: length without body */
  size_t head_length;
  bool paid;   /* somebody was charged for it: a 200 that a model has written */
  bool intact; /* the caption can be read from the body */
} answer;
void answer_free(answer *a);
void answer_deliver(const answer *a, delivery how, script *s);

/* --- scenario.c ----------------------------------------------------------------------------------------------------- */
struct question;
typedef struct fault {
  const char *name, *about;
  delivery how;
  unsigned flags;
  void (*make)(const struct question *q, const struct fault *f, answer *a); /* NULL: the right answer */
  int status;
  const char *word, *message, *details; /* of Google's error; details: a JSON array or NULL */
  const char *headers;
} fault;
enum {
  SOAK = 1,    /* a client gets over it soon: one of those that `faults-5` mixes */
  LOST = 2,    /* what was paid for does not arrive */
  FILES = 4,   /* of files, see hub.c */
  BATCH = 8,   /* of batches, see batch.c */
  UPLOAD = 32, /* of the pieces of a file that is sent; with BATCH */
  SILENT = 16  /* the client must have a limit of its own; in `faults-5` only with `!` */
};
extern const fault fault_table[];
const fault *fault_find(const char *name, size_t size); /* NULL: no such name */

typedef struct {
  const fault *kind;
  long times;       /* 0: always */
  bool first_model; /* only for the model that the scenario heard of first */
  bool some;        /* only for keys that begin with 0 to 7 */
} scenario_item;

/* What is counted of one picture, or of one method and path without a picture. */
typedef struct count {
  char *key;
  long requests, produced, delivered, barren; /* barren: paid, but without a caption that can be read */
  struct count *next;
} count;

typedef struct scenario {
  char *name;
  scenario_item items[16];
  int item_count;
  double percent; /* faults-5: of all requests */
  uint64_t seed;
  bool silent_too;
  double seconds; /* until an answer is ready */
  char first_model[96];
  count *buckets[1024];
  long requests, produced, delivered, barren, left, open, most_open;
  struct scenario *next;
} scenario;
/* The scenario of that name, made when new; NULL: the name cannot be read, and *why says what. */
scenario *scenario_find(const char *name, size_t size, const char **why);
bool scenario_has(const scenario *s, const char *fault_name); /* named at all, however often it is to happen */
count *scenario_count(scenario *s, const char *key);
/* What happens to the next request with this key; counts it. `flags`: faults of FILES, BATCH or UPLOAD that fit here. */
const fault *scenario_choose(scenario *s, count *c, const char *model, unsigned flags, bool (*fits)(const fault *));
void scenario_counts(const char *name, cal_buffer *out);   /* GET /counts[/NAME] */
void scenario_requests(const char *name, cal_buffer *out); /* GET /requests[/NAME] */
void scenario_fault_list(cal_buffer *out);
void scenario_reset(void);
/* One line of GET /requests. */
void scenario_record(const scenario *s, const request *r, const char *path, const struct question *q, const fault *f, int status);

/* --- question.c ----------------------------------------------------------------------------------------------------- */
typedef enum { GEMINI, OPENAI, OLLAMA_CHAT, OLLAMA_GENERATE, HUGGINGFACE } service;
typedef struct question {
  service from;
  char model[96];
  char sha[CAL_SHA256_HEX]; /* of the first picture's bytes; "": none */
  int pictures;
  size_t picture_bytes;
  bool structured, stream;
  const cal_json *schema; /* NULL: none; borrowed from `tree` */
  cal_json *tree;
} question;
/* false: the body cannot be read; *why. */
bool question_read(question *q, service from, const char *model, const char *body, size_t size, bool raw_picture, const char **why);
void question_of(question *q, service from, const char *model, const cal_json *tree); /* tree stays the caller's */
void question_free(question *q);
void question_caption(const question *q, cal_buffer *out); /* "a small test picture, 0123456789ab" */
void question_text(const question *q, cal_buffer *out);    /* the caption, or JSON after the schema */

/* --- answer.c ------------------------------------------------------------------------------------------------------- */
/* Appends the whole body. `text` NULL: no text part at all. */
void answer_words(const question *q, const char *text, size_t size, const char *finish, cal_buffer *out);
void answer_right(const question *q, answer *a);
void answer_error(const question *q, const fault *f, answer *a);
void answer_plain_error(service from, int status, const char *word, const char *message, const char *details, answer *a);
void json_text(cal_buffer *out, const char *text, size_t size);

/* --- hub.c, batch.c ------------------------------------------------------------------------------------------------- */
/* true: the path was theirs, and the reply is in *s. */
bool hub_answer(scenario *sc, const request *r, const char *path, int other_port, script *s);
bool batch_answer(scenario *sc, const request *r, const char *path, int port, script *s);
void batch_reset(void);
int batch_files(const char *scenario_name); /* that were sent, whole, and lie here */

int client_main(int argc, char **args);

#endif
