/* reply.h - what the readers of replies share.
 *
 *   cal_error err = {0};
 *   cal_wire_answer answer;
 *   cal_reply_begin(&answer);
 *   const char *text = "{\"error\":{\"code\":429,,\"message\":\"Please retry in 1m2.5s.\"}}";
 *   cal_json *tree = cal_reply_parse(text, strlen(text), &err);                    // the doubled comma is forgiven
 *   const char *message = cal_json_text(cal_json_find(cal_json_find(tree, "error"), "message"));
 *   if (message) answer.wait_seconds = cal_reply_seconds_after(message, "retry in ");   // 62.5
 *   cal_reply_fault(&answer, "Gemini", 429, message);
 *   puts(answer.why);
 *   cal_json_free(tree);
 *   cal_wire_answer_free(&answer);
 *
 * uses: base codec
 */
#ifndef CAL_CAPTION_REPLY_H
#define CAL_CAPTION_REPLY_H

#include "core/caption/wire.h"
#include "core/codec/json.h"

void cal_reply_begin(cal_wire_answer *answer); /* nothing known */

/* JSON as servers send it: commas too many are left out. NULL with the reason of the first try, or CAL_E_MEMORY. */
cal_json *cal_reply_parse(const void *body, size_t size, cal_error *err);

/* Sets verdict and why. `why` is cut at 511 bytes between characters. */
void cal_reply_say(cal_wire_answer *answer, cal_wire_verdict verdict, const char *format, ...) CAL_PRINTF(3, 4);

/* A stranger's text on one line, printable, cut at `most` bytes: for messages. `out` needs most + 4 bytes. */
const char *cal_reply_quote(const char *text, size_t size, size_t most, char *out);

/* The same for names that are kept (a model, a finish): what would not be printable is left out. */
void cal_reply_name(const char *text, char *out, size_t room);

/* What a status alone says, with the server's message if there is one: who is "Gemini", "Hugging Face", "the server". */
void cal_reply_fault(cal_wire_answer *answer, const char *who, int status, const char *message);

/* The same for a body that is no JSON: a page of a proxy, plain text, nothing. `reason` is cal_reply_parse's. */
void cal_reply_no_json(cal_wire_answer *answer, const char *who, int status, const char *content_type, const void *body, size_t size,
                       const char *reason);

/* Clean the text and take a fence off; false when nothing is left, or more than CAL_WIRE_CAPTION_MOST. The bytes are UTF-8. */
bool cal_reply_text(cal_wire_answer *answer, const char *text, size_t size);

int64_t cal_reply_count(const cal_json *object, const char *key);    /* a whole number, also as text; -1: none */
double cal_reply_seconds(const char *text);                          /* "54s", "900ms", "1m26.4s" at its beginning; -1: none */
double cal_reply_seconds_after(const char *text, const char *words); /* the same after words, in any case; -1: none */
bool cal_reply_has(const char *text, const char *words);             /* in any case; false for NULL */

#endif
