/* gemini_batch.h - many questions to Gemini in one piece, answered within a day at half the price.
 *
 *   cal_error err = {0};
 *   cal_wire_question question = {.user = "Name one colour."};
 *   cal_buffer lines = {0}, path = {0}, body = {0};
 *   cal_gemini_batch_line(&question, "img001", &lines, &err);      // one after another
 *   cal_gemini_batch_inside("gemini-3.8-flash", "my-pictures-1", lines.data, lines.size, &path, &body, &err);
 *   // POST body to path; then, and every few minutes, GET /v1beta/batches/ID:
 *   const char *bytes = "{\"name\":\"batches/1\",\"metadata\":{\"state\":\"BATCH_STATE_RUNNING\",\"displayName\":\"my-pictures-1\"}}";
 *   cal_gemini_batch batch;
 *   if (!cal_gemini_batch_read(200, "application/json", bytes, strlen(bytes), NULL, NULL, &batch, &err)) puts(batch.name);
 *   cal_buffer_free(&lines);
 *   cal_buffer_free(&path);
 *   cal_buffer_free(&body);
 *
 * Questions go inside the call while it stays below CAL_GEMINI_BATCH_MOST, beyond that as a file of the same lines that was sent before:
 * core/caption/gemini_questions.h.
 * Creating a batch is not idempotent and costs money: keep its name at once; when the reply to creating it was lost, look for its display
 * name in the list before creating another. Pure functions of bytes, as in wire.h.
 * uses: base codec
 */
#ifndef CAL_CAPTION_GEMINI_BATCH_H
#define CAL_CAPTION_GEMINI_BATCH_H

#include "core/caption/wire.h"

enum { CAL_GEMINI_BATCH_MOST = 20 << 20 }; /* bytes of a body with the questions inside it */

/* Append {"key":...,"request":...} and a newline: all of it or nothing. Models of the questions are not looked at; their settings may
 * differ. A key is UTF-8 and comes back with the answer. CAL_E_ARG, CAL_E_MEMORY. */
cal_status cal_gemini_batch_line(const cal_wire_question *question, const char *key, cal_buffer *lines, cal_error *err);

/* The call with these lines inside it; CAL_E_LIMIT above CAL_GEMINI_BATCH_MOST. CAL_GEMINI_BATCH_FRAME bytes and CAL_GEMINI_BATCH_EACH for
 * each line are the most that it has more than the lines. */
enum { CAL_GEMINI_BATCH_FRAME = 1024, CAL_GEMINI_BATCH_EACH = 16 };
cal_status cal_gemini_batch_inside(const char *model, const char *display_name, const char *lines, size_t size, cal_buffer *path,
                                   cal_buffer *body, cal_error *err);

/* The call for a file of lines that was sent: `file` is its name there, "files/abc". */
cal_status cal_gemini_batch_filed(const char *model, const char *display_name, const char *file, cal_buffer *path, cal_buffer *body,
                                  cal_error *err);

typedef enum {
  CAL_GEMINI_BATCH_UNKNOWN,
  CAL_GEMINI_BATCH_PENDING,
  CAL_GEMINI_BATCH_RUNNING,
  CAL_GEMINI_BATCH_SUCCEEDED, /* single answers may still have failed */
  CAL_GEMINI_BATCH_FAILED,
  CAL_GEMINI_BATCH_CANCELLED,
  CAL_GEMINI_BATCH_EXPIRED,
} cal_gemini_batch_state;

const char *cal_gemini_batch_state_name(cal_gemini_batch_state state); /* "running" */

typedef struct {
  cal_wire_verdict verdict; /* CAL_WIRE_DONE: a batch was told of; otherwise status, wait_seconds and why are those of wire.h */
  int status;
  double wait_seconds;
  char why[512]; /* also why a batch failed or expired */
  cal_gemini_batch_state state;
  char name[128], display_name[128];   /* "batches/123" */
  char file[128];                      /* "files/abc", when the answers are in a file: GET /v1beta/files/abc:download?alt=media */
  int64_t requests, succeeded, failed; /* -1: unknown */
  size_t answers;                      /* that `each` was called for */
} cal_gemini_batch;

/* One answer of a batch. `key` is NULL when the server lost it; `index` counts the answers of this reply from 0. The answer
 * is the reader's again afterwards. Anything but CAL_OK ends the reading and is returned. */
typedef cal_status (*cal_gemini_batch_each)(void *context, size_t index, const char *key, const cal_wire_answer *answer, cal_error *err);

/* The reply to creating a batch or asking for one, with the answers in it if there are some. `each` may be NULL. */
cal_status cal_gemini_batch_read(int status, const char *content_type, const void *body, size_t size, cal_gemini_batch_each each,
                                 void *context, cal_gemini_batch *batch, cal_error *err);

/* The list, GET /v1beta/batches?pageSize=100: the first batch of that display name; the verdict is CAL_WIRE_EMPTY when there is none
 * on this page. `next` gets the token of the next page, "" after the last. */
cal_status cal_gemini_batch_find(int status, const char *content_type, const void *body, size_t size, const char *display_name,
                                 cal_gemini_batch *batch, char next[256], cal_error *err);

/* The lines of an answers' file, in pieces of any size. A line that cannot be read is an answer too: without a key, empty, with the line
 * in its why; so is one of more than CAL_WIRE_REPLY_MOST bytes, of which no more is kept. Begins as {0}. */
typedef struct {
  cal_buffer rest; /* of the line that is not whole yet */
  size_t number, index;
  bool too_long;
} cal_gemini_lines;
cal_status cal_gemini_lines_add(cal_gemini_lines *lines, const void *bytes, size_t size, cal_gemini_batch_each each, void *context,
                                cal_error *err);
cal_status cal_gemini_lines_end(cal_gemini_lines *lines, cal_gemini_batch_each each, void *context, cal_error *err); /* the last line */
void cal_gemini_lines_free(cal_gemini_lines *lines);

/* The whole file at once. */
cal_status cal_gemini_batch_lines(const void *bytes, size_t size, cal_gemini_batch_each each, void *context, cal_error *err);

#endif
