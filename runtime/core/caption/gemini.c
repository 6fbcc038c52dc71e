#include "core/caption/gemini.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/caption/ask.h"
#include "core/caption/reply.h"
#include "core/codec/base64.h"

static const char who[] = "gemini";

/* ---- the question ---- */

static void add_text(cal_buffer *body, const char *before, const char *text, const char *after) {
  cal_buffer_add_text(body, before);
  cal_json_write_text(text, strlen(text), body);
  cal_buffer_add_text(body, after);
}

static void add_contents(const cal_wire_question *q, cal_buffer *body) {
  cal_buffer_add_text(body, "{\"contents\":[{\"role\":\"user\",\"parts\":[");
  for (size_t i = 0; i < q->picture_count; i++) {
    cal_buffer_printf(body, "%s{\"inlineData\":{\"mimeType\":\"%s\",\"data\":\"", i ? "," : "", q->pictures[i].mime);
    cal_base64_encode(q->pictures[i].bytes, q->pictures[i].size, body);
    cal_buffer_add_text(body, "\"}}");
  }
  if (q->user && *q->user) add_text(body, q->picture_count ? ",{\"text\":" : "{\"text\":", q->user, "}");
  cal_buffer_add_text(body, "]}]");
  if (q->system && *q->system) add_text(body, ",\"systemInstruction\":{\"parts\":[{\"text\":", q->system, "}]}");
}

static cal_status add_thinking(const cal_json *settings, cal_buffer *config, cal_error *err) {
  static const char *const levels[] = {"minimal", "low", "medium", "high", NULL};
  const cal_json *value = cal_json_find(settings, "thinking");
  if (!value) return CAL_OK;
  cal_status status;
  if (cal_json_kind_of(value) == CAL_JSON_NUMBER) {
    status = cal_ask_number(settings, "thinking", who, -1, 32768, true, ",\"thinkingConfig\":{\"thinkingBudget\":", config, err);
  } else {
    int level;
    status = cal_ask_choice(settings, "thinking", who, levels, &level, err);
    if (!status) cal_buffer_printf(config, ",\"thinkingConfig\":{\"thinkingLevel\":\"%s\"", levels[level]);
  }
  if (!status) cal_buffer_add_byte(config, '}');
  return status;
}

static cal_status add_config(const cal_wire_question *q, const cal_json *settings, cal_buffer *body, cal_error *err) {
  static const char *const resolutions[] = {"low", "medium", "high", NULL};
  static const char *const names[] = {"LOW", "MEDIUM", "HIGH"};
  cal_buffer config = {0};
  int resolution;
  cal_status status = CAL_OK;
  if (q->max_tokens) cal_buffer_printf(&config, ",\"maxOutputTokens\":%d", q->max_tokens);
  if (q->schema)
    status = cal_ask_json(q->schema, "schema", who, ",\"responseMimeType\":\"application/json\",\"responseJsonSchema\":", &config, err);
  if (!status) status = add_thinking(settings, &config, err);
  if (!status) status = cal_ask_choice(settings, "media_resolution", who, resolutions, &resolution, err);
  if (!status && resolution >= 0) cal_buffer_printf(&config, ",\"mediaResolution\":\"MEDIA_RESOLUTION_%s\"", names[resolution]);
  if (!status) status = cal_ask_number(settings, "seed", who, INT32_MIN, INT32_MAX, true, ",\"seed\":", &config, err);
  if (!status) status = cal_ask_number(settings, "temperature", who, 0, 2, false, ",\"temperature\":", &config, err);
  if (config.failed) body->failed = true;
  if (!status && config.size) cal_buffer_printf(body, ",\"generationConfig\":{%s}", config.data + 1);
  cal_buffer_free(&config);
  return status;
}

static const char *const categories[] = {"harassment", "hate_speech", "sexually_explicit", "dangerous_content", NULL};
static const char *const category_names[] = {"HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT"};
static const char *const thresholds[] = {"off", "block_none", "block_only_high", "block_medium_and_above", "block_low_and_above", NULL};
static const char *const threshold_names[] = {"OFF", "BLOCK_NONE", "BLOCK_ONLY_HIGH", "BLOCK_MEDIUM_AND_ABOVE", "BLOCK_LOW_AND_ABOVE"};

static cal_status add_safety(const cal_json *settings, cal_buffer *body, cal_error *err) {
  const cal_json *safety = cal_json_find(settings, "safety");
  if (!safety) return CAL_OK;
  int same = -1, chosen[4] = {-1, -1, -1, -1};
  cal_status status = CAL_OK;
  if (cal_json_kind_of(safety) == CAL_JSON_OBJECT) {
    for (const cal_json *m = cal_json_first(safety); m && !status; m = cal_json_next(m)) {
      int i = 0;
      while (categories[i] && strcmp(categories[i], cal_json_key(m)) != 0) i++;
      if (!categories[i])
        return cal_fail(err, CAL_E_ARG, "%s: safety: the categories are harassment, hate_speech, sexually_explicit, dangerous_content",
                        who);
      status = cal_ask_choice(safety, categories[i], "gemini: safety", thresholds, &chosen[i], err);
    }
  } else {
    status = cal_ask_choice(settings, "safety", who, thresholds, &same, err);
  }
  const char *before = ",\"safetySettings\":[";
  for (int i = 0; i < 4 && !status; i++) {
    int threshold = same >= 0 ? same : chosen[i];
    if (threshold < 0) continue;
    cal_buffer_printf(body, "%s{\"category\":\"HARM_CATEGORY_%s\",\"threshold\":\"%s\"}", before, category_names[i],
                      threshold_names[threshold]);
    before = ",";
  }
  if (before[1] == 0) cal_buffer_add_byte(body, ']');
  return status;
}

cal_status cal_gemini_request(const cal_wire_question *q, cal_buffer *body, cal_error *err) {
  static const char *const mimes[] = {"image/jpeg", "image/png", "image/webp", "image/heic", "image/heif", NULL};
  static const char *const known[] = {"thinking", "media_resolution", "safety", "seed", "temperature", "tier", NULL};
  static const char *const tiers[] = {"flex", "standard", "priority", NULL};
  cal_json *settings;
  int tier = -1;
  cal_status status = cal_ask_check(q, who, mimes, err);
  if (status || (status = cal_ask_settings(q->settings, who, known, &settings, err))) return status;
  size_t room = 4096;
  for (size_t i = 0; i < q->picture_count; i++) room += q->pictures[i].size / 3 * 4 + 128;
  cal_buffer_reserve(body, room);
  add_contents(q, body);
  status = add_config(q, settings, body, err);
  if (!status) status = add_safety(settings, body, err);
  if (!status) status = cal_ask_choice(settings, "tier", who, tiers, &tier, err);
  if (!status && tier >= 0) cal_buffer_printf(body, ",\"serviceTier\":\"%s\"", tiers[tier]);
  cal_buffer_add_byte(body, '}');
  cal_json_free(settings);
  return status ? status : cal_ask_done(body, body, who, err);
}

cal_status cal_gemini_model(const char *model, cal_buffer *path, cal_error *err) {
  static const char *const kinds[] = {"models/", "tunedModels/"};
  const char *kind = kinds[0];
  for (int i = 0; i < 2; i++)
    if (model && !strncmp(model, kinds[i], strlen(kinds[i]))) kind = kinds[i], model += strlen(kind);
  cal_buffer_add_text(path, kind);
  return cal_ask_path(model, who, false, path, err);
}

static cal_status build(const cal_wire_question *q, cal_buffer *path, cal_buffer *body, const char **content_type, cal_error *err) {
  *content_type = "application/json";
  cal_buffer_add_text(path, "/v1beta/");
  cal_status status = cal_gemini_model(q->model, path, err);
  if (status) return status;
  cal_buffer_add_text(path, ":generateContent");
  status = cal_gemini_request(q, body, err);
  return status ? status : cal_ask_done(path, body, who, err);
}

/* ---- errors ---- */

typedef struct {
  int code;
  double delay; /* -1: none */
  bool per_day, per_minute;
  char status[48], reason[64], message[600];
} fault;

/* gRPC's numbers stand in batches where HTTP's stand elsewhere. */
static int http_of(double code) {
  static const int of_rpc[17] = {200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401};
  if (code >= 1 && code <= 16) return of_rpc[(int)code];
  return code >= 300 && code < 600 ? (int)code : 0;
}

static void gather_detail(const cal_json *detail, fault *f) {
  const cal_json *named = cal_json_find(detail, "@type");
  const char *type = cal_json_text(named ? named : cal_json_find(detail, " @type"));
  if (!type) return;
  if (strstr(type, "RetryInfo")) {
    double delay = cal_reply_seconds(cal_json_text(cal_json_find(detail, "retryDelay")));
    if (delay >= 0) f->delay = delay;
  } else if (strstr(type, "ErrorInfo")) {
    cal_reply_name(cal_json_text(cal_json_find(detail, "reason")), f->reason, sizeof f->reason);
  } else if (strstr(type, "QuotaFailure")) {
    for (const cal_json *v = cal_json_first(cal_json_find(detail, "violations")); v; v = cal_json_next(v)) {
      const char *id = cal_json_text(cal_json_find(v, "quotaId"));
      f->per_day = f->per_day || cal_reply_has(id, "PerDay") || cal_reply_has(id, "Daily");
      f->per_minute = f->per_minute || cal_reply_has(id, "PerMinute");
    }
  }
}

/* The error inside a message that is JSON itself: {"error": {...}}, [{"error": {...}}] or the error alone. */
static const cal_json *error_of(const cal_json *tree) {
  if (tree && cal_json_kind_of(tree) == CAL_JSON_ARRAY) tree = cal_json_first(tree);
  const cal_json *error = cal_json_find(tree, "error");
  return error ? error : cal_json_find(tree, "message") ? tree : NULL;
}

static void gather(const cal_json *error, fault *f, int depth) {
  const char *message = cal_json_text(error);
  if (!message) message = cal_json_text(cal_json_find(error, "message"));
  int code = http_of(cal_json_number(cal_json_find(error, "code")));
  if (code) f->code = code;
  const char *status = cal_json_text(cal_json_find(error, "status"));
  if (status) cal_reply_name(status, f->status, sizeof f->status);
  for (const cal_json *d = cal_json_first(cal_json_find(error, "details")); d; d = cal_json_next(d)) gather_detail(d, f);
  if (!message) return;
  cal_reply_quote(message, strlen(message), sizeof f->message - 4, f->message);
  if (f->delay < 0) f->delay = cal_reply_seconds_after(message, "retry in ");
  const char *open = message + strspn(message, " \t\r\n");
  cal_json *inner = depth < 10 && (*open == '{' || *open == '[') ? cal_reply_parse(open, strlen(open), NULL) : NULL;
  const cal_json *deeper = inner ? error_of(inner) : NULL;
  if (deeper) gather(deeper, f, depth + 1);
  cal_json_free(inner);
}

/* "limit: 0", not "limit: 05" or "limit: 0.5". */
static bool limit_is_zero(const char *message) {
  for (const char *p = message; (p = strstr(p, "limit:")); p++) {
    const char *n = p + 6 + strspn(p + 6, " \t");
    if (*n == '0' && !(n[1] >= '0' && n[1] <= '9') && !(n[1] == '.' && n[2] >= '0' && n[2] <= '9')) return true;
  }
  return false;
}

static void quota(const fault *f, const char *quoted, cal_wire_answer *a) {
  a->wait_seconds = f->delay;
  if (cal_reply_has(f->message, "spending") || cal_reply_has(f->message, "spend cap"))
    cal_reply_say(a, CAL_WIRE_STOP,
                  "Gemini: the project's spending limit is reached (\"%s\"); raise it in Google AI Studio, or go on later", quoted);
  else if (limit_is_zero(f->message))
    cal_reply_say(a, CAL_WIRE_OTHER_MODEL,
                  "Gemini gives this key no quota for this model (limit: 0); name another model, or turn billing on in Google AI Studio");
  else if (f->per_day)
    cal_reply_say(a, CAL_WIRE_OTHER_MODEL,
                  "Gemini: this model's quota of the day is used up; it comes back at midnight Pacific time, or name another model");
  else if (f->delay > 300)
    cal_reply_say(a, CAL_WIRE_OTHER_MODEL, "Gemini asks to wait %.0f minutes for this model; go on later, or name another model",
                  ceil(f->delay / 60));
  else if (f->delay < 0 && f->per_minute)
    a->wait_seconds = 60, cal_reply_say(a, CAL_WIRE_AGAIN, "Gemini: the quota of the minute is used up; the next minute will do");
  else if (f->delay >= 0) cal_reply_say(a, CAL_WIRE_AGAIN, "Gemini: over a quota, free again in %.3g s", f->delay);
  else cal_reply_say(a, CAL_WIRE_AGAIN, "Gemini takes no more requests for now (\"%s\")", quoted);
}

void cal_gemini_error(const cal_json *error, int status, cal_wire_answer *a) {
  fault f = {.code = status, .delay = -1};
  if (error) gather(error, &f, 0);
  if (f.code < 300) f.code = 500; /* an error that says no number */
  a->status = f.code;
  char quoted[204];
  cal_reply_quote(f.message, strlen(f.message), 200, quoted);
  if (f.delay >= 0) a->wait_seconds = f.delay;
  const bool refused = f.code >= 400 && f.code <= 403;
  if (refused && (!strcmp(f.reason, "API_KEY_INVALID") || cal_reply_has(f.message, "API key not valid") ||
                  cal_reply_has(f.message, "API key expired")))
    cal_reply_say(a, CAL_WIRE_STOP,
                  "Gemini does not accept the key (\"%s\"); make one at https://aistudio.google.com/apikey and put it into GEMINI_API_KEY",
                  quoted);
  else if (!strcmp(f.reason, "API_KEY_SERVICE_BLOCKED"))
    cal_reply_say(a, CAL_WIRE_STOP,
                  "this key is not for the Gemini API (\"%s\"); a key of Vertex does not serve here: make one at "
                  "https://aistudio.google.com/apikey",
                  quoted);
  else if (!strcmp(f.status, "FAILED_PRECONDITION") || cal_reply_has(f.message, "location is not supported"))
    cal_reply_say(a, CAL_WIRE_STOP, "Gemini does not serve this account as it is (\"%s\"); turn billing on in Google AI Studio", quoted);
  else if (!strcmp(f.reason, "MODEL_CAPACITY_EXHAUSTED"))
    cal_reply_say(a, CAL_WIRE_OTHER_MODEL, "Gemini has no room for this model now; name another model, or go on later");
  else if (f.code == 429) quota(&f, quoted, a);
  else if (f.code == 404 || f.code == 410)
    cal_reply_say(a, CAL_WIRE_OTHER_MODEL, "Gemini does not have this model, or no longer (\"%s\"); name another one", quoted);
  else cal_reply_fault(a, "Gemini", f.code, f.message);
}

/* ---- answers ---- */

typedef enum { FINE, CUT, RULES, ODD } ending;

static const struct {
  const char *name;
  ending ending;
} finishes[] = {{"STOP", FINE},
                {"MAX_TOKENS", CUT},
                {"SAFETY", RULES},
                {"RECITATION", RULES},
                {"LANGUAGE", RULES},
                {"BLOCKLIST", RULES},
                {"PROHIBITED_CONTENT", RULES},
                {"SPII", RULES},
                {"IMAGE_SAFETY", RULES},
                {"IMAGE_PROHIBITED_CONTENT", RULES},
                {"IMAGE_RECITATION", RULES},
                {"OTHER", ODD},
                {"IMAGE_OTHER", ODD},
                {"NO_IMAGE", ODD},
                {"MALFORMED_FUNCTION_CALL", ODD},
                {"UNEXPECTED_TOOL_CALL", ODD},
                {"TOO_MANY_TOOL_CALLS", ODD},
                {"FINISH_REASON_UNSPECIFIED", ODD}};

static ending finish_of(const char *word, cal_wire_answer *a) {
  for (size_t i = 0; i < sizeof finishes / sizeof *finishes; i++) {
    if (strcmp(word, finishes[i].name) != 0) continue;
    cal_reply_name(word, a->finish, sizeof a->finish);
    return finishes[i].ending;
  }
  cal_reply_name("OTHER", a->finish, sizeof a->finish);
  return ODD;
}

static void read_usage(const cal_json *usage, cal_wire_answer *a) {
  if (!usage || cal_json_kind_of(usage) != CAL_JSON_OBJECT) return;
  a->tokens_in = cal_reply_count(usage, "promptTokenCount");
  a->tokens_out = cal_reply_count(usage, "candidatesTokenCount");
  a->tokens_thought = cal_reply_count(usage, "thoughtsTokenCount");
  /* Zeros are left out on this wire. */
  if (a->tokens_in >= 0 && !cal_json_find(usage, "candidatesTokenCount")) a->tokens_out = 0;
  if (a->tokens_in >= 0 && !cal_json_find(usage, "thoughtsTokenCount")) a->tokens_thought = 0;
}

static const char rules_help[] = "write this picture's caption by hand, or ask another provider";

static cal_status read_candidate(const cal_json *candidate, cal_wire_answer *a, cal_error *err) {
  const cal_json *parts = cal_json_find(cal_json_find(candidate, "content"), "parts");
  cal_buffer text = {0};
  bool thoughts = false;
  for (const cal_json *p = cal_json_first(parts); p; p = cal_json_next(p)) {
    const char *words = cal_json_text(cal_json_find(p, "text"));
    if (words && cal_json_bool(cal_json_find(p, "thought"))) thoughts = true;
    else if (words) cal_buffer_add_text(&text, words);
  }
  size_t said = text.size;
  bool some = said && cal_reply_text(a, text.data, said), failed = text.failed || a->text.failed;
  cal_buffer_free(&text);
  if (failed) return cal_fail(err, CAL_E_MEMORY, "gemini: not enough memory for the answer");
  const char *word = cal_json_text(cal_json_find(candidate, "finishReason"));
  char shown[64];
  cal_reply_quote(word ? word : "", word ? strlen(word) : 0, 60, shown);
  switch (word ? finish_of(word, a) : FINE) {
    case FINE:
      if (some) a->verdict = CAL_WIRE_DONE;
      else if (said > CAL_WIRE_CAPTION_MOST)
        cal_reply_say(a, CAL_WIRE_EMPTY, "Gemini's answer has %zu bytes, too many for a caption", said);
      else
        cal_reply_say(a, CAL_WIRE_EMPTY, "Gemini's answer holds no words%s; asking again often helps", thoughts ? ", only thoughts" : "");
      return CAL_OK;
    case CUT:
      cal_reply_say(a, CAL_WIRE_CUT, "Gemini used up max_tokens%s; raise max_tokens or let it think less",
                    some                                ? " before the end of the answer"
                    : a->tokens_thought > 0 || thoughts ? " for thinking"
                                                        : " before the first word");
      return CAL_OK;
    case RULES:
      cal_buffer_free(&a->text);
      cal_reply_say(a, CAL_WIRE_BLOCKED, "Gemini broke its answer off (%s); %s", shown, rules_help);
      return CAL_OK;
    default:
      cal_buffer_free(&a->text);
      cal_reply_say(a, CAL_WIRE_EMPTY, "Gemini broke its answer off (%s); asking again may help", shown);
      return CAL_OK;
  }
}

cal_status cal_gemini_response(const cal_json *response, cal_wire_answer *a, cal_error *err) {
  cal_reply_name(cal_json_text(cal_json_find(response, "modelVersion")), a->model, sizeof a->model);
  read_usage(cal_json_find(response, "usageMetadata"), a);
  const cal_json *candidates = cal_json_find(response, "candidates");
  if (candidates && cal_json_kind_of(candidates) == CAL_JSON_ARRAY && cal_json_first(candidates))
    return read_candidate(cal_json_first(candidates), a, err);
  const char *reason = cal_json_text(cal_json_find(cal_json_find(response, "promptFeedback"), "blockReason"));
  if (reason) {
    char shown[64];
    cal_reply_name(reason, a->finish, sizeof a->finish);
    cal_reply_say(a, CAL_WIRE_BLOCKED, "Gemini does not look at this picture (%s); %s", cal_reply_quote(reason, strlen(reason), 60, shown),
                  rules_help);
  } else {
    cal_reply_say(a, CAL_WIRE_EMPTY, "Gemini's reply holds no answer; asking again often helps");
  }
  return CAL_OK;
}

static cal_status read_reply(int status, const char *content_type, const void *body, size_t size, cal_wire_answer *a, cal_error *err) {
  cal_reply_begin(a);
  a->status = status;
  if (size > CAL_WIRE_REPLY_MOST) return cal_reply_say(a, CAL_WIRE_EMPTY, "Gemini's reply has %zu bytes, too many to be one", size), CAL_OK;
  cal_error own = {0};
  cal_json *tree = cal_reply_parse(body, size, &own);
  if (!tree) {
    if (own.code == CAL_E_MEMORY) return cal_fail(err, CAL_E_MEMORY, "gemini: %s", own.text);
    cal_reply_no_json(a, "Gemini", status, content_type, body, size, own.text);
    return CAL_OK;
  }
  cal_status result = CAL_OK;
  const cal_json *top = cal_json_kind_of(tree) == CAL_JSON_ARRAY ? cal_json_first(tree) : tree;
  const cal_json *error = cal_json_find(top, "error");
  if (error || status >= 300) cal_gemini_error(error, status, a);
  else result = cal_gemini_response(top, a, err);
  cal_json_free(tree);
  return result;
}

const cal_wire cal_wire_gemini = {"gemini", "x-goog-api-key", "", build, read_reply};
