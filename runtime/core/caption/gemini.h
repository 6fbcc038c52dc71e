/* gemini.h - Google's generateContent, v1beta: the format "gemini" of wire.h.
 *
 *   cal_error err = {0};
 *   cal_wire_question question = {.model = "gemini-3.8-flash", .user = "Name one colour.", .max_tokens = 2048,
 *                                 .schema = "{\"type\":\"object\",\"properties\":{\"colour\":{\"type\":\"string\"}}}",
 *                                 .settings = "{\"thinking\":\"low\",\"media_resolution\":\"high\",\"safety\":\"block_none\"}"};
 *   cal_buffer path = {0}, body = {0};
 *   const char *content_type;
 *   if (cal_wire_gemini.build(&question, &path, &body, &content_type, &err)) puts(err.text);
 *   cal_buffer_free(&path);     // /v1beta/models/gemini-3.8-flash:generateContent
 *   cal_buffer_free(&body);
 *
 * Settings:
 * - thinking: a text (minimal, low, medium, high) is the level of the 3.x models; a whole number (-1: as much as it likes, 0: off,
 * up to 32768 tokens) is the budget of the 2.5 models. The other generation refuses it.
 * - media_resolution: low, medium, high: what a picture costs in tokens
 * - safety: a threshold for all categories (off, block_none, block_only_high, block_medium_and_above, block_low_and_above), or
 * one each: {harassment =, hate_speech =, sexually_explicit =, dangerous_content =}
 * - seed; temperature (0 .. 2; on its way out at Google: sent only when it is set); tier (flex, standard, priority)
 *
 * Pictures are image/png, jpeg, webp, heic or heif. The reply's parts that are thoughts are left out.
 * uses: base codec
 */
#ifndef CAL_CAPTION_GEMINI_H
#define CAL_CAPTION_GEMINI_H

#include "core/caption/wire.h"
#include "core/codec/json.h"

extern const cal_wire cal_wire_gemini;

/* The parts of it that batches also need. Append the body of a request; read a GenerateContentResponse into an answer that
 * was begun; read an error ({"code", "message", "status", "details"}, or a text), with the HTTP status it came with. */
cal_status cal_gemini_request(const cal_wire_question *question, cal_buffer *body, cal_error *err);
cal_status cal_gemini_response(const cal_json *response, cal_wire_answer *answer, cal_error *err);
void cal_gemini_error(const cal_json *error, int status, cal_wire_answer *answer);

/* Append "models/NAME" for a model named with or without it ("tunedModels/NAME" stays). */
cal_status cal_gemini_model(const char *model, cal_buffer *path, cal_error *err);

#endif
