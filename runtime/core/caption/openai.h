/* openai.h - chat completions as OpenAI, llama.cpp, vLLM, Ollama, LM Studio and many others speak them: the format "openai".
 *
 *   cal_error err = {0};
 *   cal_wire_question question = {.model = "llava", .user = "Name one colour.", .max_tokens = 300,
 *                                 .settings = "{\"temperature\":0.2,\"thinking\":false,\"extra\":{\"keep_alive\":\"10m\"}}"};
 *   cal_buffer path = {0}, body = {0};
 *   const char *content_type;
 *   if (cal_wire_openai.build(&question, &path, &body, &content_type, &err)) puts(err.text);
 *   cal_buffer_free(&path);     // /v1/chat/completions: the base address ends before /v1
 *   cal_buffer_free(&body);
 *
 * Pictures travel as data: addresses, which all of these take (llama.cpp reads no webp). The model may stay NULL for servers
 * that serve one. Settings:
 * - temperature (0 .. 2), seed, detail (low, high, auto: what a picture costs at OpenAI)
 * - thinking: false turns it off where the chat template knows how (llama.cpp, vLLM); a text is the reasoning_effort
 * - schema_as: json_schema (default), json_object, none, for servers that know less; limit_as: max_tokens (default),
 * max_completion_tokens (newer models of OpenAI)
 * - extra: an object of further fields for the top of the request
 *
 * Replies may also be Ollama's own form, lines of JSON, or a stream of events that nobody asked for.
 * uses: base codec
 */
#ifndef CAL_CAPTION_OPENAI_H
#define CAL_CAPTION_OPENAI_H

#include "core/caption/wire.h"

extern const cal_wire cal_wire_openai;

#endif
