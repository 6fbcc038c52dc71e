/* wire.h - a question about a picture as the bytes that a service takes, and its reply as an answer.
 *
 *   cal_error err = {0};
 *   const cal_wire *wire = cal_wire_find("gemini");
 *   cal_wire_picture picture = {"...", 3, "image/jpeg"};
 *   cal_wire_question question = {.model = "gemini-3.8-flash", .user = "Caption it.", .pictures = &picture, .picture_count = 1};
 *   cal_buffer path = {0}, body = {0};
 *   const char *content_type;
 *   if (wire->build(&question, &path, &body, &content_type, &err)) puts(err.text);
 *   // POST body to path, with the key in the header wire->key_header; then, with the status and bytes that came back:
 *   const char *bytes = "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a cat\"}]},\"finishReason\":\"STOP\"}]}";
 *   cal_wire_answer answer = {0};
 *   if (wire->read(200, "application/json", bytes, strlen(bytes), &answer, &err)) puts(err.text);
 *   if (answer.verdict == CAL_WIRE_DONE) puts(answer.text.data);
 *   cal_wire_answer_free(&answer);
 *   cal_buffer_free(&path);
 *   cal_buffer_free(&body);
 *
 * Pure functions of bytes: nothing here knows a socket, a key or the time. One file per format: gemini.h, openai.h,
 * huggingface.h say which settings there are. The same question always gives the same bytes. What headers alone say
 * (Retry-After) is read where headers are known.
 * uses: base codec
 */
#ifndef CAL_CAPTION_WIRE_H
#define CAL_CAPTION_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "core/base/buffer.h"
#include "core/base/error.h"

enum {
  CAL_WIRE_REPLY_MOST = 8 << 20,    /* bytes of a reply; longer ones are not read */
  CAL_WIRE_CAPTION_MOST = 64 << 10, /* bytes of an answer's text */
  CAL_WIRE_QUESTION_MOST = 96 << 20 /* bytes of a question's pictures, before base64; Gemini takes requests of 100 MB */
};

typedef struct {
  const void *bytes;
  size_t size;
  const char *mime; /* "image/jpeg" */
} cal_wire_picture;

typedef struct {
  const char *model;  /* as the service names it; may stay NULL where the address names the model */
  const char *system; /* instructions; NULL or "": none */
  const char *user;   /* the question itself */
  const char *schema; /* JSON Schema of the answer, as JSON text; NULL: plain text is asked for */
  const cal_wire_picture *pictures;
  size_t picture_count;
  int max_tokens;       /* of the answer, thinking included; 0: the service's own limit */
  const char *settings; /* a JSON object of the format's own settings; NULL: none. An unknown one is CAL_E_ARG */
} cal_wire_question;

typedef enum {
  CAL_WIRE_DONE,
  CAL_WIRE_BLOCKED,     /* by the service's rules: the next time will be no better, and no other model is asked */
  CAL_WIRE_EMPTY,       /* an answer without words, or one that cannot be read: try again once or twice */
  CAL_WIRE_CUT,         /* max_tokens were used up; `text` is what came until then */
  CAL_WIRE_AGAIN,       /* busy, over a limit of the minute, broken on the way: core/net/retry.h decides */
  CAL_WIRE_OTHER_MODEL, /* this model is retired, unknown, full, blind, or its quota is used up */
  CAL_WIRE_STOP,        /* bad key, billing, wrong address: nothing of this service will work */
  CAL_WIRE_REFUSED,     /* this request is wrong; another picture may still be fine */
} cal_wire_verdict;

typedef struct {
  cal_wire_verdict verdict;
  cal_buffer text; /* the caption, or the JSON asked for: trimmed, UTF-8, no control character but newline and tab, fences removed */
  char model[96];  /* as the server names the model that answered; "": it does not say */
  char finish[48]; /* the server's word for how it ended; "OTHER" for words not known; "": none */
  int64_t tokens_in, tokens_out, tokens_thought; /* thought is not part of out: both are paid as output. -1: unknown */
  int status;                                    /* HTTP's, or the one that the error in the body names (also in a reply of 200) */
  double wait_seconds;                           /* the server's hint; -1: none */
  char why[512]; /* a sentence or two for people, with the next step; "" when done. It may quote the server: scrub it */
} cal_wire_answer;

typedef struct {
  const char *name;       /* "gemini" */
  const char *key_header; /* "x-goog-api-key", "Authorization" */
  const char *key_prefix; /* "", "Bearer " */

  /* Append the path (it follows the base address, which ends without "/") and the body. CAL_E_ARG for a question that the
   * service could not take: the message names the field. CAL_E_LIMIT, CAL_E_MEMORY. After a failure `body` holds a part. */
  cal_status (*build)(const cal_wire_question *question, cal_buffer *path, cal_buffer *body, const char **content_type, cal_error *err);

  /* Any status, any bytes: what the service says is a verdict, never an error. `content_type` may be NULL. `answer` is
   * overwritten; free it afterwards. Fails with CAL_E_MEMORY alone. A reply with a status of 400 and above may be one to
   * any request of the service (a list of models, a batch): it is read for its verdict and why. */
  cal_status (*read)(int status, const char *content_type, const void *body, size_t size, cal_wire_answer *answer, cal_error *err);
} cal_wire;

const cal_wire *cal_wire_find(const char *name); /* NULL: there is none of that name */
const cal_wire *cal_wire_at(size_t index);       /* all of them, from 0; NULL after the last */
void cal_wire_answer_free(cal_wire_answer *answer);

/* "done", "blocked", "empty", "cut", "again", "other_model", "stop", "refused". */
const char *cal_wire_verdict_name(cal_wire_verdict verdict);

#endif
