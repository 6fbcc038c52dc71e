#include "core/caption/huggingface.h"

#include <string.h>

#include "core/caption/ask.h"
#include "core/caption/reply.h"
#include "core/codec/base64.h"

static const char who[] = "huggingface";

static cal_status build(const cal_wire_question *q, cal_buffer *path, cal_buffer *body, const char **content_type, cal_error *err) {
  static const char *const known[] = {"form", NULL}, *const forms[] = {"raw", "json", NULL};
  if ((q->system && *q->system) || (q->user && *q->user) || q->schema)
    return cal_fail(err, CAL_E_ARG,
                    "%s: an image-to-text model takes no prompt; ask a chat model through openai at https://router.huggingface.co", who);
  if (q->picture_count != 1) return cal_fail(err, CAL_E_ARG, "%s: exactly one picture is expected, not %zu", who, q->picture_count);
  cal_json *settings;
  int form;
  cal_status status = cal_ask_check(q, who, NULL, err);
  if (status || (status = cal_ask_settings(q->settings, who, known, &settings, err))) return status;
  status = cal_ask_choice(settings, "form", who, forms, &form, err);
  cal_json_free(settings);
  if (!status && form == 0 && q->max_tokens)
    status = cal_fail(err, CAL_E_ARG, "%s: form raw has no place for max_tokens; leave one of them out", who);
  if (status) return status;
  cal_buffer_add_text(path, q->model && *q->model ? "/models/" : "/");
  if (q->model && *q->model && (status = cal_ask_path(q->model, who, true, path, err))) return status;
  const cal_wire_picture *picture = q->pictures;
  if (form == 1 || q->max_tokens) {
    *content_type = "application/json";
    cal_buffer_reserve(body, picture->size / 3 * 4 + 100);
    cal_buffer_add_text(body, "{\"inputs\":\"");
    cal_base64_encode(picture->bytes, picture->size, body);
    cal_buffer_add_byte(body, '"');
    if (q->max_tokens) cal_buffer_printf(body, ",\"parameters\":{\"max_new_tokens\":%d}", q->max_tokens);
    cal_buffer_add_byte(body, '}');
  } else {
    *content_type = picture->mime;
    cal_buffer_add(body, picture->bytes, picture->size);
  }
  return cal_ask_done(path, body, who, err);
}

static void read_error(const cal_json *top, int status, cal_wire_answer *a) {
  const cal_json *error = cal_json_find(top, "error");
  const char *message = cal_json_text(error);
  if (!message && error && cal_json_kind_of(error) == CAL_JSON_ARRAY) message = cal_json_text(cal_json_first(error));
  if (!message) message = cal_json_text(cal_json_find(error, "message"));
  if (!message) message = "";
  char quoted[204];
  cal_reply_quote(message, strlen(message), 200, quoted);
  double load = cal_json_number(cal_json_find(top, "estimated_time"));
  if (status < 300) status = load >= 0 ? 503 : 500;
  a->status = status;
  if (status == 503 && (load >= 0 || cal_reply_has(message, "loading"))) {
    a->wait_seconds = load >= 0 && load < 60 ? load : load >= 60 ? 60 : 5;
    cal_reply_say(a, CAL_WIRE_AGAIN, "Hugging Face is loading the model; ready in about %.0f s",
                  load >= 0 && load < 1e6 ? load : a->wait_seconds);
  } else if (status == 404 || ((status == 400 || status == 422) && cal_reply_has(message, "not supported by")) ||
             cal_reply_has(message, "Repository not found")) {
    cal_reply_say(a, CAL_WIRE_OTHER_MODEL,
                  "Hugging Face does not serve this model here (\"%s\"); name another one, or ask a chat model through openai at "
                  "https://router.huggingface.co",
                  quoted);
  } else {
    cal_reply_fault(a, "Hugging Face", status, message);
  }
}

static cal_status read_reply(int status, const char *content_type, const void *body, size_t size, cal_wire_answer *a, cal_error *err) {
  cal_reply_begin(a);
  a->status = status;
  if (size > CAL_WIRE_REPLY_MOST)
    return cal_reply_say(a, CAL_WIRE_EMPTY, "Hugging Face's reply has %zu bytes, too many to be one", size), CAL_OK;
  cal_error own = {0};
  cal_json *tree = cal_reply_parse(body, size, &own);
  if (!tree) {
    if (own.code == CAL_E_MEMORY) return cal_fail(err, CAL_E_MEMORY, "huggingface: %s", own.text);
    cal_reply_no_json(a, "Hugging Face", status, content_type, body, size, own.text);
    return CAL_OK;
  }
  const cal_json *top = tree;
  for (int i = 0; i < 2 && top && cal_json_kind_of(top) == CAL_JSON_ARRAY; i++) top = cal_json_first(top); /* [[{...}]], [{...}] */
  const char *words = cal_json_text(cal_json_find(top, "generated_text"));
  if (status >= 300 || cal_json_find(top, "error")) read_error(top, status, a);
  else if (words && cal_reply_text(a, words, strlen(words))) a->verdict = CAL_WIRE_DONE;
  else if (words && strlen(words) > CAL_WIRE_CAPTION_MOST)
    cal_reply_say(a, CAL_WIRE_EMPTY, "the answer has %zu bytes, too many for a caption", strlen(words));
  else cal_reply_say(a, CAL_WIRE_EMPTY, "Hugging Face's reply holds no caption; does this model make text from pictures?");
  cal_json_free(tree);
  return a->text.failed ? cal_fail(err, CAL_E_MEMORY, "huggingface: not enough memory for the answer") : CAL_OK;
}

const cal_wire cal_wire_huggingface = {"huggingface", "Authorization", "Bearer ", build, read_reply};
