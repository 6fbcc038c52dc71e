/* answer.c - answers in the words of each service. */
#include <stdio.h>
#include <string.h>

#include "fake.h"

void json_text(cal_buffer *out, const char *text, size_t size) { cal_json_write_text(text, size, out); }

/* `finish` in Google's words; the others have three of their own. */
static const char *finish_of(service from, const char *finish) {
  if (from == GEMINI) return finish;
  if (!strcmp(finish, "STOP")) return "stop";
  if (!strcmp(finish, "MAX_TOKENS")) return "length";
  return from == OPENAI ? "content_filter" : "stop";
}

void answer_words(const question *q, const char *text, size_t size, const char *finish, cal_buffer *out) {
  finish = finish_of(q->from, finish);
  size_t tokens = (size + 3) / 4;
  switch (q->from) {
    case GEMINI:
      cal_buffer_add_text(out, "{\"candidates\":[{\"index\":0,");
      if (text) {
        cal_buffer_add_text(out, "\"content\":{\"role\":\"model\",\"parts\":[{\"text\":");
        json_text(out, text, size);
        cal_buffer_add_text(out, "}]},");
      } else cal_buffer_add_text(out, "\"content\":{\"role\":\"model\"},");
      cal_buffer_printf(
          out,
          "\"finishReason\":\"%s\",\"safetyRatings\":[]}],\"usageMetadata\":{\"promptTokenCount\":%d,\"candidatesTokenCount\":%zu,"
          "\"thoughtsTokenCount\":20,\"cachedContentTokenCount\":0,\"totalTokenCount\":%zu},\"modelVersion\":\"%s\",\"responseId\":"
          "\"fake\"}",
          finish, 80 + 1120 * q->pictures, tokens, 100 + 1120 * (size_t)q->pictures + tokens, q->model);
      break;
    case OPENAI:
      cal_buffer_add_text(out, "{\"id\":\"chatcmpl-fake\",\"object\":\"chat.completion\",\"created\":1,\"model\":");
      json_text(out, q->model, strlen(q->model));
      cal_buffer_add_text(out, ",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":");
      if (text) json_text(out, text, size);
      else cal_buffer_add_text(out, "null");
      cal_buffer_printf(out,
                        "},\"finish_reason\":\"%s\"}],\"usage\":{\"prompt_tokens\":%d,\"completion_tokens\":%zu,\"total_tokens\":%zu}}",
                        finish, 80 + 576 * q->pictures, tokens, 80 + 576 * (size_t)q->pictures + tokens);
      break;
    case OLLAMA_CHAT:
    case OLLAMA_GENERATE:
      cal_buffer_add_text(out, "{\"model\":");
      json_text(out, q->model, strlen(q->model));
      cal_buffer_add_text(out, q->from == OLLAMA_CHAT ? ",\"message\":{\"role\":\"assistant\",\"content\":" : ",\"response\":");
      json_text(out, text ? text : "", size);
      cal_buffer_printf(out, "%s,\"done\":true,\"done_reason\":\"%s\",\"prompt_eval_count\":%d,\"eval_count\":%zu}\n",
                        q->from == OLLAMA_CHAT ? "}" : "", finish, 80 + 576 * q->pictures, tokens);
      break;
    case HUGGINGFACE:
      cal_buffer_add_text(out, "[{\"generated_text\":");
      json_text(out, text ? text : "", size);
      cal_buffer_add_text(out, "}]");
      break;
  }
}

void answer_right(const question *q, answer *a) {
  cal_buffer text = {0};
  question_text(q, &text);
  a->status = 200, a->type = "application/json; charset=UTF-8", a->paid = true, a->intact = true;
  answer_words(q, text.data, text.size, "STOP", &a->body);
  cal_buffer_free(&text);
}

void answer_plain_error(service from, int status, const char *word, const char *message, const char *details, answer *a) {
  a->status = status, a->type = "application/json; charset=UTF-8";
  if (from == GEMINI) {
    cal_buffer_printf(&a->body, "{\n  \"error\": {\n    \"code\": %d,\n    \"message\": ", status);
    json_text(&a->body, message, strlen(message));
    cal_buffer_printf(&a->body, ",\n    \"status\": \"%s\"", word);
    if (details) cal_buffer_printf(&a->body, ",\n    \"details\": %s", details);
    cal_buffer_add_text(&a->body, "\n  }\n}\n");
  } else if (from == OPENAI) {
    cal_buffer_add_text(&a->body, "{\"error\":{\"message\":");
    json_text(&a->body, message, strlen(message));
    cal_buffer_printf(&a->body, ",\"type\":\"%s\",\"code\":%d}}",
                      status == 401   ? "authentication_error"
                      : status == 503 ? "unavailable_error"
                                      : "server_error",
                      status);
  } else {
    cal_buffer_add_text(&a->body, "{\"error\":");
    json_text(&a->body, message, strlen(message));
    cal_buffer_add_text(&a->body, "}");
  }
}

void answer_error(const question *q, const fault *f, answer *a) {
  answer_plain_error(q->from, f->status, f->word, f->message, f->details, a);
}
