#include "core/caption/openai.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/caption/ask.h"
#include "core/caption/reply.h"
#include "core/codec/base64.h"

static const char who[] = "openai";

/* ---- the question ---- */

static void add_text(cal_buffer *body, const char *before, const char *text, const char *after) {
  cal_buffer_add_text(body, before);
  cal_json_write_text(text, strlen(text), body);
  cal_buffer_add_text(body, after);
}

static void add_messages(const cal_wire_question *q, const char *detail, cal_buffer *body) {
  cal_buffer_add_text(body, "{\"messages\":[");
  if (q->system && *q->system) add_text(body, "{\"role\":\"system\",\"content\":", q->system, "},");
  cal_buffer_add_text(body, "{\"role\":\"user\",\"content\":");
  const char *user = q->user ? q->user : "";
  if (!q->picture_count) {
    add_text(body, "", user, "}]");
    return;
  }
  const char *before = "[";
  if (*user) add_text(body, "[{\"type\":\"text\",\"text\":", user, "}"), before = ",";
  for (size_t i = 0; i < q->picture_count; i++, before = ",") {
    cal_buffer_printf(body, "%s{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:%s;base64,", before, q->pictures[i].mime);
    cal_base64_encode(q->pictures[i].bytes, q->pictures[i].size, body);
    cal_buffer_add_byte(body, '"');
    if (detail) cal_buffer_printf(body, ",\"detail\":\"%s\"", detail);
    cal_buffer_add_text(body, "}}");
  }
  cal_buffer_add_text(body, "]}]");
}

static cal_status add_thinking(const cal_json *settings, cal_buffer *body, cal_error *err) {
  static const char *const efforts[] = {"none", "minimal", "low", "medium", "high", NULL};
  const cal_json *value = cal_json_find(settings, "thinking");
  if (!value) return CAL_OK;
  if (cal_json_kind_of(value) == CAL_JSON_BOOL) {
    cal_buffer_printf(body, ",\"chat_template_kwargs\":{\"enable_thinking\":%s}", cal_json_bool(value) ? "true" : "false");
    return CAL_OK;
  }
  int effort;
  cal_status status = cal_ask_choice(settings, "thinking", "openai: true, false, or", efforts, &effort, err);
  if (!status) cal_buffer_printf(body, ",\"reasoning_effort\":\"%s\"", efforts[effort]);
  return status;
}

static cal_status add_schema(const cal_wire_question *q, const cal_json *settings, cal_buffer *body, cal_error *err) {
  static const char *const forms[] = {"json_schema", "json_object", "none", NULL};
  int form;
  cal_status status = cal_ask_choice(settings, "schema_as", who, forms, &form, err);
  if (status || !q->schema || form == 2) return status;
  if (form == 1) return cal_buffer_add_text(body, ",\"response_format\":{\"type\":\"json_object\"}"), CAL_OK;
  status = cal_ask_json(q->schema, "schema", who,
                        ",\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"answer\",\"schema\":", body, err);
  if (!status) cal_buffer_add_text(body, "}}");
  return status;
}

static cal_status add_extra(const cal_json *settings, cal_buffer *body, cal_error *err) {
  static const char *const own[] = {"messages",    "model", "stream",          "max_tokens",       "max_completion_tokens",
                                    "temperature", "seed",  "response_format", "reasoning_effort", "chat_template_kwargs",
                                    NULL};
  const cal_json *extra = cal_json_find(settings, "extra");
  if (!extra) return CAL_OK;
  if (cal_json_kind_of(extra) != CAL_JSON_OBJECT)
    return cal_fail(err, CAL_E_ARG, "%s: extra: an object of further fields is expected", who);
  for (size_t i = 0; own[i]; i++)
    if (cal_json_find(extra, own[i])) return cal_fail(err, CAL_E_ARG, "%s: extra: %s is written from the other settings", who, own[i]);
  cal_buffer text = {0};
  cal_status status = cal_json_write((cal_json *)(uintptr_t)extra, 0, &text, err); /* already in order: nothing is changed */
  if (!status && text.size > 2) {
    cal_buffer_add_byte(body, ',');
    cal_buffer_add(body, text.data + 1, text.size - 2);
  }
  cal_buffer_free(&text);
  return status;
}

static cal_status add_fields(const cal_wire_question *q, const cal_json *settings, cal_buffer *body, cal_error *err) {
  static const char *const details[] = {"low", "high", "auto", NULL};
  static const char *const limits[] = {"max_tokens", "max_completion_tokens", NULL};
  int detail, limit = 0;
  cal_status status = cal_ask_choice(settings, "detail", who, details, &detail, err);
  if (!status) status = cal_ask_choice(settings, "limit_as", who, limits, &limit, err);
  if (status) return status;
  add_messages(q, detail < 0 ? NULL : details[detail], body);
  if (q->model && *q->model) add_text(body, ",\"model\":", q->model, "");
  cal_buffer_add_text(body, ",\"stream\":false");
  if (q->max_tokens) cal_buffer_printf(body, ",\"%s\":%d", limits[limit < 0 ? 0 : limit], q->max_tokens);
  status = cal_ask_number(settings, "temperature", who, 0, 2, false, ",\"temperature\":", body, err);
  if (!status) status = cal_ask_number(settings, "seed", who, 0, 0x1p53, true, ",\"seed\":", body, err);
  if (!status) status = add_thinking(settings, body, err);
  if (!status) status = add_schema(q, settings, body, err);
  if (!status) status = add_extra(settings, body, err);
  cal_buffer_add_byte(body, '}');
  return status;
}

static cal_status build(const cal_wire_question *q, cal_buffer *path, cal_buffer *body, const char **content_type, cal_error *err) {
  static const char *const known[] = {"temperature", "seed", "detail", "thinking", "schema_as", "limit_as", "extra", NULL};
  cal_json *settings;
  *content_type = "application/json";
  cal_status status = cal_ask_check(q, who, NULL, err);
  if (!status && q->model && !cal_utf8_valid(q->model, strlen(q->model), NULL))
    status = cal_fail(err, CAL_E_ARG, "%s: model: its name is not UTF-8", who);
  if (status || (status = cal_ask_settings(q->settings, who, known, &settings, err))) return status;
  cal_buffer_add_text(path, "/v1/chat/completions");
  size_t room = 4096;
  for (size_t i = 0; i < q->picture_count; i++) room += q->pictures[i].size / 3 * 4 + 160;
  cal_buffer_reserve(body, room);
  status = add_fields(q, settings, body, err);
  cal_json_free(settings);
  return status ? status : cal_ask_done(path, body, who, err);
}

/* ---- errors ---- */

static bool has_any(const char *text, const char *const *words) {
  for (size_t i = 0; words[i]; i++)
    if (cal_reply_has(text, words[i])) return true;
  return false;
}

/* FastAPI's {"detail": "..."} and {"detail": [{"msg": "..."}]}, and what stands at the top without "error". */
static const char *message_of(const cal_json *top, const cal_json *error) {
  const char *text = cal_json_text(error);
  if (!text) text = cal_json_text(cal_json_find(error, "message"));
  if (!text) text = cal_json_text(cal_json_find(top, "message"));
  const cal_json *detail = cal_json_find(top, "detail");
  if (!text) text = cal_json_text(detail);
  if (!text && detail && cal_json_kind_of(detail) == CAL_JSON_ARRAY) text = cal_json_text(cal_json_find(cal_json_first(detail), "msg"));
  return text ? text : "";
}

static void over_limit(const char *message, const char *quoted, cal_wire_answer *a) {
  static const char *const waits[] = {"try again in ", "retry in ", "retry after ", NULL};
  for (size_t i = 0; waits[i] && a->wait_seconds < 0; i++) a->wait_seconds = cal_reply_seconds_after(message, waits[i]);
  static const char *const daily[] = {"per day", "(RPD)", "(TPD)", "daily", NULL};
  if (has_any(message, daily) || a->wait_seconds > 300)
    cal_reply_say(a, CAL_WIRE_OTHER_MODEL,
                  "the server: this model's quota is used up for long (\"%s\"); go on later, or name another model", quoted);
  else if (a->wait_seconds >= 0) cal_reply_say(a, CAL_WIRE_AGAIN, "the server: over a limit, free again in %.3g s", a->wait_seconds);
  else cal_reply_say(a, CAL_WIRE_AGAIN, "the server takes no more requests for now (\"%s\")", quoted);
}

static void read_error(const cal_json *top, int status, cal_wire_answer *a) {
  static const char *const blind[] = {"image input is not supported",
                                      "mmproj",
                                      "not a multimodal model",
                                      "does not support image",
                                      "does not support vision",
                                      "required for image input",
                                      "support image input",
                                      "At most 0 image",
                                      NULL};
  static const char *const rules[] = {"content_policy", "content_filter", "content policy", "safety system", "was flagged", NULL};
  static const char *const context[] = {"context_length", "context length", "context size", "exceed_context", "context window", NULL};
  static const char *const elsewhere[] = {"model_not_found",
                                          "model_not_supported",
                                          "No endpoints found",
                                          "is not a chat model",
                                          "unknown model",
                                          "requires more system memory",
                                          NULL};
  static const char *const unreadable[] = {"failed to load image",
                                           "failed to decode image",
                                           "cannot identify image",
                                           "invalid image",
                                           "unable to process input image",
                                           "could not process image",
                                           NULL};
  static const char *const billing[] = {"insufficient_quota", "billing_hard_limit", "insufficient credit", NULL};
  const cal_json *error = cal_json_find(top, "error"), *code = cal_json_find(error, "code");
  const char *message = message_of(top, error), *word = cal_json_text(code), *type = cal_json_text(cal_json_find(error, "type"));
  char all[900], quoted[204];
  snprintf(all, sizeof all, "%.600s %.100s %.100s", message, word ? word : "", type ? type : "");
  cal_reply_quote(message, strlen(message), 200, quoted);
  if (status < 300) { /* an error inside a reply of 200 */
    double number = cal_json_number(code);
    status = number >= 300 && number < 600 ? (int)number : cal_reply_has(all, "not found") && cal_reply_has(all, "model") ? 404 : 500;
  }
  a->status = status;
  if (has_any(all, blind))
    cal_reply_say(a, CAL_WIRE_OTHER_MODEL,
                  "this model cannot see pictures (\"%s\"); name one with vision (llama.cpp: start it with its --mmproj file)", quoted);
  else if (has_any(all, rules))
    cal_reply_say(a, CAL_WIRE_BLOCKED,
                  "the server does not look at this picture (\"%s\"); write its caption by hand, or ask another provider", quoted);
  else if (status != 429 && has_any(all, context))
    cal_reply_say(
        a, CAL_WIRE_REFUSED,
        "the request does not fit into the model's context (\"%s\"); start the server with a larger one (llama.cpp -c, Ollama num_ctx) or "
        "send a smaller picture",
        quoted);
  else if (has_any(all, billing)) cal_reply_say(a, CAL_WIRE_STOP, "the account has no credit left (\"%s\"); look at its billing", quoted);
  else if (status == 429) over_limit(all, quoted, a);
  else if (status != 413 && has_any(all, unreadable))
    cal_reply_say(a, CAL_WIRE_REFUSED, "the server cannot read this picture (\"%s\"); save it as a plain JPEG or PNG", quoted);
  else if (status >= 400 && status < 500 && cal_reply_has(all, "response_format"))
    cal_reply_say(a, CAL_WIRE_REFUSED,
                  "the server does not know how the form of the answer is asked for (\"%s\"); schema_as = \"json_object\" or \"none\" asks "
                  "in another way",
                  quoted);
  else if (has_any(all, elsewhere) || ((status == 404 || status == 410) && cal_reply_has(all, "model")))
    cal_reply_say(a, CAL_WIRE_OTHER_MODEL,
                  "the server cannot serve this model (\"%s\"); name another one, or fetch it first (ollama pull NAME)", quoted);
  else if (status == 404)
    cal_reply_say(a, CAL_WIRE_STOP, "the server has nothing at this address (404 \"%s\"); look at the base URL, which ends before /v1",
                  quoted);
  else if (status == 503 && cal_reply_has(all, "loading"))
    a->wait_seconds = 5, cal_reply_say(a, CAL_WIRE_AGAIN, "the server is still loading the model; try again in a moment");
  else cal_reply_fault(a, "the server", status, message);
}

/* ---- answers: in one piece, or in many ---- */

typedef struct {
  cal_buffer text;
  bool thought, refused, ended, failed;
  char finish[48];
} sayings;

static void take_message(const cal_json *message, sayings *s) {
  static const char *const thoughts[] = {"reasoning_content", "reasoning", "thinking", NULL};
  const cal_json *content = cal_json_find(message, "content");
  const char *words = cal_json_text(content);
  if (words) cal_buffer_add_text(&s->text, words);
  else if (content && cal_json_kind_of(content) == CAL_JSON_ARRAY)
    for (const cal_json *part = cal_json_first(content); part; part = cal_json_next(part))
      if ((words = cal_json_text(cal_json_find(part, "text")))) cal_buffer_add_text(&s->text, words);
  for (size_t i = 0; thoughts[i]; i++) {
    words = cal_json_text(cal_json_find(message, thoughts[i]));
    if (words && *words) s->thought = true;
  }
  words = cal_json_text(cal_json_find(message, "refusal"));
  if (words && *words) s->refused = true;
}

static void take_usage(const cal_json *top, cal_wire_answer *a) {
  const cal_json *usage = cal_json_find(top, "usage");
  int64_t in = cal_reply_count(usage, "prompt_tokens"), out = cal_reply_count(usage, "completion_tokens");
  int64_t thought = cal_reply_count(cal_json_find(usage, "completion_tokens_details"), "reasoning_tokens");
  if (in < 0) in = cal_reply_count(top, "prompt_eval_count"); /* Ollama's */
  if (out < 0) out = cal_reply_count(top, "eval_count");
  if (in >= 0) a->tokens_in = in;
  if (out >= 0) a->tokens_out = thought > 0 && thought <= out ? out - thought : out; /* counted in both */
  if (thought >= 0) a->tokens_thought = thought;
}

/* One object of the reply. False: it was an error, and the answer says so. */
static bool take(const cal_json *top, int status, sayings *s, cal_wire_answer *a) {
  if (cal_json_kind_of(top) == CAL_JSON_ARRAY && cal_json_first(top)) top = cal_json_first(top);
  const cal_json *error = cal_json_find(top, "error");
  if (status >= 300 || (error && cal_json_kind_of(error) != CAL_JSON_NULL)) return read_error(top, status, a), false;
  const char *model = cal_json_text(cal_json_find(top, "model"));
  if (model) cal_reply_name(model, a->model, sizeof a->model);
  take_usage(top, a);
  const cal_json *choice = cal_json_first(cal_json_find(top, "choices"));
  const cal_json *message = cal_json_find(choice, "message");
  if (!message) message = cal_json_find(choice, "delta");
  if (!message) message = cal_json_find(top, "message");
  if (message) take_message(message, s);
  const char *words = cal_json_text(cal_json_find(top, "response")); /* Ollama's generate */
  if (!words) words = cal_json_text(cal_json_find(choice, "text"));
  if (words) cal_buffer_add_text(&s->text, words);
  words = cal_json_text(cal_json_find(top, "thinking"));
  if (words && *words) s->thought = true;
  const char *finish = cal_json_text(cal_json_find(choice, "finish_reason"));
  if (!finish) finish = cal_json_text(cal_json_find(top, "done_reason"));
  if (finish) cal_reply_name(finish, s->finish, sizeof s->finish);
  if (finish || cal_json_bool(cal_json_find(top, "done"))) s->ended = true;
  return true;
}

/* Lines of JSON, or events with "data: ". False: it is neither. */
static bool take_lines(const char *body, size_t size, int status, sayings *s, cal_wire_answer *a, bool *said, cal_error *memory) {
  size_t taken = 0;
  *said = true;
  for (size_t from = 0; from < size && *said;) {
    const char *line = body + from, *newline = memchr(line, '\n', size - from);
    size_t length = newline ? (size_t)(newline - line) : size - from;
    from += length + 1;
    if (length >= 5 && !strncmp(line, "data:", 5)) line += 5, length -= 5;
    while (length && (line[length - 1] == '\r' || line[length - 1] == ' ')) length--;
    while (length && *line == ' ') line++, length--;
    if (!length || *line == ':' || (length > 6 && !strncmp(line, "event:", 6))) continue;
    if (length == 6 && !strncmp(line, "[DONE]", 6)) {
      s->ended = true;
      continue;
    }
    cal_error own = {0};
    cal_json *tree = cal_reply_parse(line, length, &own);
    if (!tree && own.code == CAL_E_MEMORY) *memory = own;
    if (!tree) return taken > 0; /* cut off in the middle: it has not ended */
    *said = take(tree, status, s, a);
    cal_json_free(tree);
    taken++;
  }
  return taken > 0;
}

typedef enum { FINE, CUT, RULES, ODD } ending;

static ending finish_of(const char *word, cal_wire_answer *a) {
  static const struct {
    const char *name;
    ending ending;
  } known[] = {{"", FINE},          {"stop", FINE},          {"eos", FINE},
               {"eos_token", FINE}, {"stop_sequence", FINE}, {"end_turn", FINE},
               {"length", CUT},     {"max_tokens", CUT},     {"content_filter", RULES},
               {"refusal", RULES},  {"tool_calls", ODD},     {"function_call", ODD},
               {"error", ODD},      {"load", ODD},           {"unload", ODD}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    if (strcasecmp(word, known[i].name) != 0) continue;
    cal_reply_name(word, a->finish, sizeof a->finish);
    return known[i].ending;
  }
  cal_reply_name("OTHER", a->finish, sizeof a->finish);
  return FINE; /* servers have many words for a good end */
}

/* What stands after <think>...</think>; nothing when the thought is not closed. */
static const char *after_thoughts(const char *text, bool *thought) {
  for (const char *close; (close = strstr(text, "</think>"));) text = close + 8, *thought = true;
  const char *open = text + strspn(text, " \t\r\n");
  if (strncmp(open, "<think>", 7) != 0) return text;
  *thought = true;
  return text + strlen(text);
}

static cal_status conclude(sayings *s, cal_wire_answer *a, cal_error *err) {
  const char *text = after_thoughts(s->text.data ? s->text.data : "", &s->thought);
  size_t size = strlen(text);
  bool some = cal_reply_text(a, text, size);
  if (a->text.failed) return cal_fail(err, CAL_E_MEMORY, "openai: not enough memory for the answer");
  ending end = finish_of(s->finish, a);
  if (s->refused) end = RULES;
  if (end == CUT) {
    cal_reply_say(a, CAL_WIRE_CUT, "the model used up max_tokens%s; raise max_tokens or turn its thinking off",
                  some         ? " before the end of the answer"
                  : s->thought ? " for thinking"
                               : " before the first word");
  } else if (end == FINE && some && s->ended) {
    a->verdict = CAL_WIRE_DONE;
  } else {
    cal_buffer_free(&a->text);
    if (end == RULES)
      cal_reply_say(a, CAL_WIRE_BLOCKED, "the model refused to describe this picture; write its caption by hand, or ask another provider");
    else if (end == ODD) cal_reply_say(a, CAL_WIRE_EMPTY, "the model broke its answer off (%s); asking again may help", a->finish);
    else if (some) cal_reply_say(a, CAL_WIRE_EMPTY, "the server's reply broke off before its end; asking again may help");
    else if (size > CAL_WIRE_CAPTION_MOST)
      cal_reply_say(a, CAL_WIRE_EMPTY, "the model's answer has %zu bytes, too many for a caption", size);
    else
      cal_reply_say(a, CAL_WIRE_EMPTY, "the model's answer holds no words%s",
                    s->thought ? ", only thoughts; turn its thinking off (thinking = false)" : "; asking again may help");
  }
  return CAL_OK;
}

static cal_status read_reply(int status, const char *content_type, const void *body, size_t size, cal_wire_answer *a, cal_error *err) {
  cal_reply_begin(a);
  a->status = status;
  if (size > CAL_WIRE_REPLY_MOST)
    return cal_reply_say(a, CAL_WIRE_EMPTY, "the server's reply has %zu bytes, too many to be one", size), CAL_OK;
  sayings s = {0};
  cal_error own = {0};
  bool said = true, some = true;
  cal_json *tree = cal_reply_parse(body, size, &own);
  if (tree) {
    said = take(tree, status, &s, a);
    const cal_json *done = cal_json_find(tree, "done"); /* one line of Ollama's stream, or a whole answer */
    s.ended = s.ended || !done;
    cal_json_free(tree);
  } else if (own.code != CAL_E_MEMORY) {
    cal_error memory = {0};
    some = take_lines(body, size, status, &s, a, &said, &memory);
    if (memory.code) own = memory;
  }
  cal_status result = CAL_OK;
  if (own.code == CAL_E_MEMORY || s.text.failed) result = cal_fail(err, CAL_E_MEMORY, "openai: not enough memory for the reply");
  else if (!some) cal_reply_no_json(a, "the server", status, content_type, body, size, own.text);
  else if (said) result = conclude(&s, a, err);
  cal_buffer_free(&s.text);
  return result;
}

const cal_wire cal_wire_openai = {"openai", "Authorization", "Bearer ", build, read_reply};
