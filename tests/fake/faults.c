/* faults.c - every way to misbehave, by name, as the services and what stands before them have been seen to do it.
 * `fake faults` prints the list. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"

static void right_text(const question *q, answer *a, const char *before, const char *after, const char *finish) {
  cal_buffer text = {0};
  cal_buffer_add_text(&text, before);
  question_text(q, &text);
  cal_buffer_add_text(&text, after);
  a->status = 200, a->type = "application/json", a->paid = true, a->intact = true;
  answer_words(q, text.data, text.size, finish, &a->body);
  cal_buffer_free(&text);
}

static void html(const question *q, const fault *f, answer *a) {
  (void)q;
  a->status = f->status, a->type = "text/html; charset=UTF-8";
  cal_buffer_printf(&a->body,
                    "<!DOCTYPE html>\n<html><head><title>%s</title></head><body><center><h1>%s</h1></center><hr>nginx</body></html>\n",
                    f->message, f->message);
}

static void array_error(const question *q, const fault *f, answer *a) {
  cal_buffer_add_byte(&a->body, '[');
  answer_error(q, f, a);
  cal_buffer_add_byte(&a->body, ']');
}

/* The whole error as text inside `message`, as gateways hand it on. */
static void nested_error(const question *q, const fault *f, answer *a) {
  answer inner = {0};
  answer_plain_error(GEMINI, f->status, f->word, f->message, f->details, &inner);
  answer_plain_error(q->from, f->status, "UNKNOWN", inner.body.data, NULL, a);
  answer_free(&inner);
}

static void odd_commas(const question *q, const fault *f, answer *a) {
  (void)q;
  a->status = f->status, a->type = "application/json";
  cal_buffer_printf(&a->body,
                    "{\"error\":{\"code\":%d,,\"message\":\"%s\",\"status\":\"%s\",,\"details\":[{\" "
                    "@type\":\"type.googleapis.com/google.rpc.RetryInfo\","
                    "\"retryDelay\":\"0.01s\"},]}}",
                    f->status, f->message, f->word);
}

/* What OpenAI calls a quota is money. */
static void no_credit(const question *q, const fault *f, answer *a) {
  if (q->from != OPENAI) {
    answer_error(q, f, a);
    return;
  }
  a->status = f->status, a->type = "application/json";
  cal_buffer_printf(&a->body,
                    "{\"error\":{\"message\":\"%s\",\"type\":\"insufficient_quota\",\"param\":null,\"code\":\"insufficient_quota\"}}",
                    f->message);
}

static void loading(const question *q, const fault *f, answer *a) {
  if (q->from != HUGGINGFACE) {
    answer_error(q, f, a);
    return;
  }
  a->status = 503, a->type = "application/json";
  cal_buffer_printf(&a->body, "{\"error\":\"Model %s is currently loading\",\"estimated_time\":0.05}", q->model);
}

/* Servers have been seen to quote what they were sent. */
static void echo_key(const question *q, const fault *f, answer *a) {
  extern char fake_key[512];
  char said[700];
  snprintf(said, sizeof said, f->message, fake_key);
  answer_plain_error(q->from, f->status, f->word, said, f->details, a);
}

/* The key in a caption, spelled as JSON within JSON may spell it. */
static void caption_key(const question *q, const fault *f, answer *a) {
  extern char fake_key[512];
  cal_buffer text = {0};
  cal_buffer_printf(&text, "{\"caption\":\"%s %s and ", f->message, fake_key);
  for (const char *c = fake_key; *c; c++) cal_buffer_printf(&text, "\\u%04x", (unsigned)(unsigned char)*c);
  cal_buffer_add_text(&text, "\"}");
  a->status = 200, a->type = "application/json", a->paid = true;
  answer_words(q, text.data, text.size, "STOP", &a->body);
  cal_buffer_free(&text);
}

static void redirect(const question *q, const fault *f, answer *a) {
  (void)q, (void)f;
  extern int fake_other_port;
  a->status = 302, a->type = "text/plain";
  cal_buffer_printf(&a->headers, "Location: http://localhost:%d/s/ok/v1beta/elsewhere\r\n", fake_other_port);
}

/* --- 200, but not as it should be ------------------------------------------------------------------------------------ */
static void blocked(const question *q, const fault *f, answer *a) {
  a->status = 200, a->type = "application/json", a->paid = true;
  if (q->from == GEMINI)
    cal_buffer_printf(&a->body,
                      "{\"promptFeedback\":{\"blockReason\":\"%s\",\"safetyRatings\":[]},\"usageMetadata\":{\"promptTokenCount\":1200,"
                      "\"totalTokenCount\":1200},\"modelVersion\":\"%s\"}",
                      f->word, q->model);
  else if (q->from == OPENAI)
    cal_buffer_printf(&a->body,
                      "{\"id\":\"x\",\"object\":\"chat.completion\",\"model\":\"%s\",\"choices\":[{\"index\":0,\"message\":{\"role\":"
                      "\"assistant\",\"content\":null,"
                      "\"refusal\":\"I can't help with that "
                      "picture.\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":600,\"completion_tokens\":9}}",
                      q->model);
  else answer_words(q, NULL, 0, "STOP", &a->body);
}

static void no_text(const question *q, const fault *f, answer *a) {
  a->status = 200, a->type = "application/json", a->paid = true;
  answer_words(q, NULL, 0, f->word, &a->body);
}

static void thought_only(const question *q, const fault *f, answer *a) {
  static const char thinking[] = "The user wants a caption of a picture.";
  a->status = 200, a->type = "application/json", a->paid = true;
  if (q->from == GEMINI)
    cal_buffer_printf(
        &a->body,
        "{\"candidates\":[{\"index\":0,\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"%s\",\"thought\":true}]},\"finishReason\":\"%"
        "s\"}],"
        "\"usageMetadata\":{\"promptTokenCount\":1200,\"thoughtsTokenCount\":500,\"totalTokenCount\":1700},\"modelVersion\":\"%s\"}",
        thinking, f->word, q->model);
  else
    cal_buffer_printf(
        &a->body,
        "{\"id\":\"x\",\"object\":\"chat.completion\",\"model\":\"%s\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
        "\"content\":\"\","
        "\"reasoning_content\":\"%s\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":600,\"completion_tokens\":9}}",
        q->model, thinking);
}

/* A thought, then the text in two parts. */
static void parts(const question *q, const fault *f, answer *a) {
  if (q->from != GEMINI) {
    right_text(q, a, "", "", "STOP");
    return;
  }
  cal_buffer text = {0};
  question_text(q, &text);
  (void)f;
  a->status = 200, a->type = "application/json", a->paid = true, a->intact = true;
  cal_buffer_add_text(&a->body, "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Let me look.\",\"thought\":true},{\"text\":");
  json_text(&a->body, text.data, text.size / 2);
  cal_buffer_add_text(&a->body, "},{\"text\":");
  json_text(&a->body, text.data + text.size / 2, text.size - text.size / 2);
  cal_buffer_printf(&a->body,
                    "}],\"role\":\"model\"},\"finishReason\":\"STOP\",\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":1200},"
                    "\"modelVersion\":\"%s\"}",
                    q->model);
  cal_buffer_free(&text);
}

static void half_text(const question *q, const fault *f, answer *a) {
  cal_buffer text = {0};
  question_text(q, &text);
  (void)f;
  a->status = 200, a->type = "application/json", a->paid = true;
  answer_words(q, text.data, text.size / 2, "MAX_TOKENS", &a->body);
  cal_buffer_free(&text);
}

static void unknown_finish(const question *q, const fault *f, answer *a) {
  cal_buffer text = {0};
  question_text(q, &text);
  a->status = 200, a->type = "application/json", a->paid = true;
  answer_words(q, text.data, text.size, f->word, &a->body);
  cal_buffer_free(&text);
}

static void fenced(const question *q, const fault *f, answer *a) { (void)f, right_text(q, a, "```json\n", "\n```", "STOP"); }
static void spaced(const question *q, const fault *f, answer *a) { (void)f, right_text(q, a, "\n\n  ", "  \n\n", "STOP"); }

/* The right answer, with `replace` put in the place of `find`. */
static void changed(const question *q, answer *a, const char *find, const char *replace, size_t size) {
  answer right = {0};
  answer_right(q, &right);
  const char *at = strstr(right.body.data, find);
  a->status = 200, a->type = right.type, a->paid = true, a->intact = true;
  if (!at) cal_buffer_add(&a->body, right.body.data, right.body.size);
  else {
    cal_buffer_add(&a->body, right.body.data, (size_t)(at - right.body.data));
    cal_buffer_add(&a->body, replace, size);
    cal_buffer_add_text(&a->body, at + strlen(find));
  }
  answer_free(&right);
}

static void truncated(const question *q, const fault *f, answer *a) {
  (void)f;
  answer_right(q, a);
  a->intact = false;
  a->body.size = a->body.size * 2 / 3, a->body.data[a->body.size] = 0;
}
static void nothing(const question *q, const fault *f, answer *a) {
  (void)q;
  a->status = f->status, a->type = "application/json", a->paid = f->status == 200;
}
static void wrong_type(const question *q, const fault *f, answer *a) { (void)f, answer_right(q, a), a->type = "text/html"; }
static void no_type(const question *q, const fault *f, answer *a) { (void)f, answer_right(q, a), a->type = NULL; }
static void bad_utf8(const question *q, const fault *f, answer *a) {
  (void)f, changed(q, a, "small", "sm\xff\xc3ll", 6), a->intact = false;
}
/* `small` gets something before it, inside the caption: escaped once more where the caption is JSON within JSON. */
static void odd_caption(const question *q, answer *a, const char *in_json, const char *plain) {
  cal_buffer caption = {0}, odd = {0};
  question_text(q, &caption);
  const char *at = strstr(caption.data, "small");
  if (at) {
    cal_buffer_add(&odd, caption.data, (size_t)(at - caption.data));
    cal_buffer_add_text(&odd, q->structured ? in_json : plain);
    cal_buffer_add_text(&odd, at);
  }
  a->status = 200, a->type = "application/json", a->paid = true, a->intact = true;
  answer_words(q, odd.data, odd.size, "STOP", &a->body);
  cal_buffer_free(&caption);
  cal_buffer_free(&odd);
}
static void nul_escaped(const question *q, const fault *f, answer *a) {
  (void)f;
  if (q->structured) odd_caption(q, a, "\\u0000", "");
  else changed(q, a, "small", "sm\\u0000ll", 10);
  a->intact = false;
}
static void terminal(const question *q, const fault *f, answer *a) {
  (void)f, odd_caption(q, a, "\\u001b[31m\\u202e", "\x1b[31m\xe2\x80\xae");
}
static void nul_raw(const question *q, const fault *f, answer *a) { (void)f, changed(q, a, "small", "sm\0ll", 5), a->intact = false; }
static void utf8(const question *q, const fault *f, answer *a) {
  static const char foreign[] = "gr\xc3\xbcnes \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\xa6\x8a, small";
  (void)f;
  changed(q, a, "small", foreign, sizeof foreign - 1);
}
static void strings(const question *q, const fault *f, answer *a) {
  (void)f;
  if (q->from == GEMINI) changed(q, a, "\"thoughtsTokenCount\":20", "\"thoughtsTokenCount\":\"20\"", 25);
  else changed(q, a, "\"prompt_tokens\":656", "\"prompt_tokens\":\"656\"", 21);
}
static void array_right(const question *q, const fault *f, answer *a) {
  (void)f;
  answer right = {0};
  answer_right(q, &right);
  cal_buffer_printf(&a->body, "[%s]", right.body.data);
  a->status = 200, a->type = "application/json", a->paid = true, a->intact = true;
  answer_free(&right);
}
static void rerouted(const question *q, const fault *f, answer *a) {
  question other = *q;
  snprintf(other.model, sizeof other.model, "%s", f->word);
  answer_right(&other, a);
}
static void bare(const question *q, const fault *f, answer *a) {
  if (q->from != GEMINI) {
    answer_right(q, a);
    return;
  }
  (void)f;
  cal_buffer text = {0};
  question_text(q, &text);
  a->status = 200, a->type = "application/json", a->paid = true, a->intact = true;
  cal_buffer_add_text(&a->body, "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":");
  json_text(&a->body, text.data, text.size);
  cal_buffer_add_text(&a->body, "}]}}]}");
  cal_buffer_free(&text);
}
static void deep(const question *q, const fault *f, answer *a) {
  (void)q, (void)f;
  a->status = 200, a->type = "application/json", a->paid = true;
  for (int i = 0; i < 100000; i++) cal_buffer_add_byte(&a->body, '[');
}
static void huge(const question *q, const fault *f, answer *a) {
  (void)f;
  answer right = {0};
  answer_right(q, &right);
  a->status = 200, a->type = "application/json", a->paid = true;
  for (int i = 0; i < 24 << 10; i++) cal_buffer_printf(&a->body, "%1024s", "");
  cal_buffer_add(&a->body, right.body.data, right.body.size);
  answer_free(&right);
}
static void error_in_200(const question *q, const fault *f, answer *a) {
  answer_plain_error(q->from, f->status, f->word, f->message, f->details, a);
  a->status = 200;
}
static void other_json(const question *q, const fault *f, answer *a) {
  (void)q, (void)f;
  a->status = 200, a->type = "application/json", a->paid = true;
  cal_buffer_add_text(&a->body, "{\"status\":\"ok\",\"candidates\":7,\"choices\":{},\"message\":[]}");
}

#define RPC "type.googleapis.com/google.rpc."
#define RETRY(delay) "{\"@type\":\"" RPC "RetryInfo\",\"retryDelay\":\"" delay "\"}"
#define QUOTA(id)                                                                        \
  "{\"@type\":\"" RPC                                                                    \
  "QuotaFailure\",\"violations\":[{\"quotaMetric\":\"generativelanguage.googleapis.com/" \
  "generate_content_free_tier_requests\",\"quotaId\":\"" id                              \
  "\",\"quotaDimensions\":{\"location\":\"global\",\"model\":\"gemini\"},\"quotaValue\":\"2\"}]}"
#define REASON(name) "{\"@type\":\"" RPC "ErrorInfo\",\"reason\":\"" name "\",\"domain\":\"googleapis.com\"}"
#define MINUTE "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"
#define DAY "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
#define EXHAUSTED "RESOURCE_EXHAUSTED"
#define QUOTA_TEXT "You exceeded your current quota, please check your plan and billing details."
#define OVERLOADED "The model is overloaded. Please try again later."

const fault fault_table[] = {
    {"ok", "the right answer", WHOLE, SOAK, NULL, 200, NULL, NULL, NULL, NULL},
    /* errors */
    {"429", "quota of the minute, RetryInfo 0.5s", WHOLE, 0, answer_error, 429, EXHAUSTED, QUOTA_TEXT,
     "[" QUOTA(MINUTE) "," RETRY("0.5s") "]", NULL},
    {"429fast", "quota of the minute, RetryInfo 10ms", WHOLE, SOAK, answer_error, 429, EXHAUSTED, QUOTA_TEXT,
     "[" QUOTA(MINUTE) "," RETRY("10ms") "]", NULL},
    {"429message", "the wait stands in the message alone", WHOLE, 0, answer_error, 429, EXHAUSTED, QUOTA_TEXT " Please retry in 0.25s.",
     NULL, NULL},
    {"429minute", "quota of the minute without a wait", WHOLE, 0, answer_error, 429, EXHAUSTED, QUOTA_TEXT, "[" QUOTA(MINUTE) "]", NULL},
    {"429day", "quota of the day", WHOLE, 0, answer_error, 429, EXHAUSTED, QUOTA_TEXT, "[" QUOTA(DAY) "," RETRY("0.5s") "]", NULL},
    {"429zero", "a quota whose limit is 0", WHOLE, 0, answer_error, 429, EXHAUSTED,
     QUOTA_TEXT "\n* Quota exceeded for metric: generate_content_free_tier_requests, limit: 0, model: gemini\nPlease retry in 0.5s.",
     "[" RETRY("0.5s") "]", NULL},
    {"429long", "RetryInfo of 19 hours", WHOLE, 0, answer_error, 429, EXHAUSTED, QUOTA_TEXT, "[" RETRY("68940s") "]", NULL},
    {"429capacity", "no capacity for this model", WHOLE, 0, answer_error, 429, EXHAUSTED, "No capacity available for model.",
     "[" REASON("MODEL_CAPACITY_EXHAUSTED") "]", NULL},
    {"429credit", "no credit is left", WHOLE, 0, no_credit, 429, EXHAUSTED,
     "You exceeded your current quota, please check your plan and billing details.", NULL, NULL},
    {"429after", "Retry-After: 1, no details", WHOLE, 0, answer_error, 429, EXHAUSTED, "Too many requests.", NULL, "Retry-After: 1\r\n"},
    {"429date", "Retry-After is a date, one second ahead by the server's own clock, which is decades ahead", WHOLE, 0, answer_error, 429,
     EXHAUSTED, "Too many requests.", NULL, "Date: Mon, 21 Oct 2075 07:28:00 GMT\r\nRetry-After: Mon, 21 Oct 2075 07:28:01 GMT\r\n"},
    {"429hub", "the hub's window, RateLimit t=1", WHOLE, FILES, answer_error, 429, EXHAUSTED, "Too many requests.", NULL,
     "RateLimit: \"api\";r=0;t=1\r\nRateLimit-Policy: \"fixed window\";\"api\";q=500;w=300\r\n"},
    {"429commas", "doubled commas and \" @type\"", WHOLE, SOAK, odd_commas, 429, EXHAUSTED, QUOTA_TEXT, NULL, NULL},
    {"429nested", "the error as text inside message", WHOLE, SOAK, nested_error, 429, EXHAUSTED, QUOTA_TEXT, "[" RETRY("10ms") "]", NULL},
    {"500", "INTERNAL", WHOLE, SOAK, answer_error, 500, "INTERNAL", "An internal error has occurred.", NULL, NULL},
    {"502html", "a proxy's page", WHOLE, SOAK, html, 502, NULL, "502 Bad Gateway", NULL, NULL},
    {"503", "overloaded, without details", WHOLE, SOAK, answer_error, 503, "UNAVAILABLE", OVERLOADED, NULL, NULL},
    {"503array", "overloaded, in an array of one", WHOLE, SOAK, array_error, 503, "UNAVAILABLE", OVERLOADED, NULL, NULL},
    {"503loading", "the model is being loaded", WHOLE, SOAK, loading, 503, "UNAVAILABLE", "Loading model", NULL, NULL},
    {"503empty", "no body", WHOLE, SOAK, nothing, 503, NULL, NULL, NULL, NULL},
    {"504", "DEADLINE_EXCEEDED", WHOLE, SOAK, answer_error, 504, "DEADLINE_EXCEEDED", "The request timed out.", NULL, NULL},
    {"499", "CANCELLED", WHOLE, SOAK, answer_error, 499, "CANCELLED", "The operation was cancelled.", NULL, NULL},
    {"408", "request timeout", WHOLE, SOAK, answer_error, 408, "DEADLINE_EXCEEDED", "Request timeout.", NULL, NULL},
    {"400", "a field that is wrong", WHOLE, 0, answer_error, 400, "INVALID_ARGUMENT", "Thinking level is not supported for this model.",
     NULL, NULL},
    {"400key", "the key is not valid", WHOLE, 0, answer_error, 400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.",
     "[" REASON("API_KEY_INVALID") "]", NULL},
    {"echo", "the key is not valid, and quoted", WHOLE, 0, echo_key, 400, "INVALID_ARGUMENT",
     "API key not valid: %s. Please pass a valid API key.", "[" REASON("API_KEY_INVALID") "]", NULL},
    {"echo503", "overloaded, and the key is quoted", WHOLE, 0, echo_key, 503, "UNAVAILABLE", "No room for requests with %s now.", NULL,
     NULL},
    {"echolong", "the key is quoted where sentences are cut", WHOLE, 0, echo_key, 400, "INVALID_ARGUMENT",
     "The request was refused for reasons that take more words than anybody cares to read, among them the length of this very sentence, "
     "which goes on and on until at last it names the key %s that was sent",
     NULL, NULL},
    {"echocaption", "a caption that quotes the key", WHOLE, 0, caption_key, 200, NULL, "a note that says", NULL, NULL},
    {"400region", "not offered here", WHOLE, 0, answer_error, 400, "FAILED_PRECONDITION",
     "User location is not supported for the API use without a billing account linked.", NULL, NULL},
    {"401", "no such key", WHOLE, 0, answer_error, 401, "UNAUTHENTICATED", "Invalid API Key", NULL, NULL},
    {"402", "no credit", WHOLE, 0, answer_error, 402, "FAILED_PRECONDITION", "You have exceeded your monthly included credits.", NULL,
     NULL},
    {"403", "the key may not", WHOLE, 0, answer_error, 403, "PERMISSION_DENIED", "Requests to this API are blocked.",
     "[" REASON("API_KEY_SERVICE_BLOCKED") "]", NULL},
    {"404", "the model is retired", WHOLE, 0, answer_error, 404, "NOT_FOUND",
     "models/retired is not found for API version v1beta, or is not supported for generateContent.", NULL, NULL},
    {"413", "too large", WHOLE, 0, answer_error, 413, "INVALID_ARGUMENT", "Request payload size exceeds the limit.", NULL, NULL},
    {"302", "to another host", WHOLE, 0, redirect, 302, NULL, NULL, NULL, NULL},
    /* answers without a caption, or with an odd one */
    {"blocked", "the prompt was blocked", WHOLE, 0, blocked, 200, "PROHIBITED_CONTENT", NULL, NULL, NULL},
    {"empty", "STOP without parts", WHOLE, SOAK, no_text, 200, "STOP", NULL, NULL, NULL},
    {"maxtokens", "MAX_TOKENS without parts", WHOLE, 0, no_text, 200, "MAX_TOKENS", NULL, NULL, NULL},
    {"half", "MAX_TOKENS after half of the text", WHOLE, 0, half_text, 200, "MAX_TOKENS", NULL, NULL, NULL},
    {"thought", "thoughts only, STOP", WHOLE, SOAK, thought_only, 200, "STOP", NULL, NULL, NULL},
    {"thoughtmax", "thoughts only, MAX_TOKENS", WHOLE, 0, thought_only, 200, "MAX_TOKENS", NULL, NULL, NULL},
    {"safety", "SAFETY", WHOLE, 0, no_text, 200, "SAFETY", NULL, NULL, NULL},
    {"prohibited", "PROHIBITED_CONTENT", WHOLE, 0, no_text, 200, "PROHIBITED_CONTENT", NULL, NULL, NULL},
    {"recitation", "RECITATION", WHOLE, 0, no_text, 200, "RECITATION", NULL, NULL, NULL},
    {"madeup", "a text, and a finish reason nobody knows", WHOLE, 0, unknown_finish, 200, "TOO_BEAUTIFUL", NULL, NULL, NULL},
    {"parts", "a thought, then the text in two parts", WHOLE, SOAK, parts, 200, NULL, NULL, NULL, NULL},
    {"fenced", "JSON in a markdown fence", WHOLE, SOAK, fenced, 200, NULL, NULL, NULL, NULL},
    {"spaced", "blank lines around the text", WHOLE, SOAK, spaced, 200, NULL, NULL, NULL, NULL},
    {"strings", "numbers as strings", WHOLE, SOAK, strings, 200, NULL, NULL, NULL, NULL},
    {"arrayok", "the right answer in an array of one", WHOLE, 0, array_right, 200, NULL, NULL, NULL, NULL},
    {"bare", "no finish reason, no counts, no model", WHOLE, 0, bare, 200, NULL, NULL, NULL, NULL},
    {"rerouted", "another model answers", WHOLE, 0, rerouted, 200, "gemini-9.9-surprise", NULL, NULL, NULL},
    {"utf8", "umlauts, kanji and a fox", CHUNKED_SMALL, 0, utf8, 200, NULL, NULL, NULL, NULL},
    {"terminal", "a colour code and a reversal of writing", WHOLE, 0, terminal, 200, NULL, NULL, NULL, NULL},
    {"badutf8", "bytes that are not UTF-8", WHOLE, LOST, bad_utf8, 200, NULL, NULL, NULL, NULL},
    {"nul", "\\u0000 in the text", WHOLE, LOST, nul_escaped, 200, NULL, NULL, NULL, NULL},
    {"rawnul", "a NUL byte in the body", WHOLE, LOST, nul_raw, 200, NULL, NULL, NULL, NULL},
    {"deep", "100000 open brackets", WHOLE, LOST, deep, 200, NULL, NULL, NULL, NULL},
    {"huge", "24 MB of blanks before the answer", WHOLE, LOST, huge, 200, NULL, NULL, NULL, NULL},
    {"nobody", "200 without a body", WHOLE, SOAK | LOST, nothing, 200, NULL, NULL, NULL, NULL},
    {"truncated", "two thirds of the JSON", WHOLE, SOAK | LOST, truncated, 200, NULL, NULL, NULL, NULL},
    {"html200", "a page with status 200", WHOLE, 0, html, 200, NULL, "Please log in", NULL, NULL},
    {"otherjson", "JSON of another shape", WHOLE, LOST, other_json, 200, NULL, NULL, NULL, NULL},
    {"error200", "an error with status 200", WHOLE, 0, error_in_200, 500, "INTERNAL", "an error was encountered while running the model",
     NULL, NULL},
    {"wrongtype", "the right answer, called text/html", WHOLE, 0, wrong_type, 200, NULL, NULL, NULL, NULL},
    {"notype", "no Content-Type", WHOLE, SOAK, no_type, 200, NULL, NULL, NULL, NULL},
    /* the right answer, on an odd way */
    {"slow", "in eight pieces", SLOWLY, SOAK, NULL, 200, NULL, NULL, NULL, NULL},
    {"drip", "byte by byte", DRIPPED, SOAK, NULL, 200, NULL, NULL, NULL, NULL},
    {"chunked", "in two chunks", CHUNKED, SOAK, NULL, 200, NULL, NULL, NULL, NULL},
    {"chunksmall", "in chunks of one to three bytes", CHUNKED_SMALL, SOAK, NULL, 200, NULL, NULL, NULL, NULL},
    {"http10", "HTTP/1.0, closed at the end", OLD_HTTP, SOAK, NULL, 200, NULL, NULL, NULL, NULL},
    {"closeafter", "closed after the answer, unannounced", CLOSED_AFTER, SOAK, NULL, 200, NULL, NULL, NULL, NULL},
    {"closereused", "a second request on a connection finds it closed", CLOSED_REUSED, SOAK, NULL, 200, NULL, NULL, NULL, NULL},
    {"informed", "100 and 103 come first", INFORMED, SOAK, NULL, 200, NULL, NULL, NULL, NULL},
    {"stall", "half of the body, then silence", STALLED, SOAK | LOST | SILENT, NULL, 200, NULL, NULL, NULL, NULL},
    {"stallhead", "silence", STALLED_HEAD, SOAK | LOST | SILENT, NULL, 200, NULL, NULL, NULL, NULL},
    {"cut", "half of the body, then closed", CUT, SOAK | LOST, NULL, 200, NULL, NULL, NULL, NULL},
    {"cuthead", "closed before the first byte", CUT_HEAD, SOAK | LOST, NULL, 200, NULL, NULL, NULL, NULL},
    {"cutinhead", "closed in the headers", CUT_IN_HEAD, SOAK | LOST, NULL, 200, NULL, NULL, NULL, NULL},
    {"reset", "half of the body, then a reset", RESET, SOAK | LOST, NULL, 200, NULL, NULL, NULL, NULL},
    {"resethead", "a reset before the first byte", RESET_HEAD, SOAK | LOST, NULL, 200, NULL, NULL, NULL, NULL},
    {"longer", "Content-Length promises ten bytes more", LONGER, SOAK | LOST, NULL, 200, NULL, NULL, NULL, NULL},
    {"shorter", "Content-Length is ten bytes short", SHORTER, SOAK | LOST, NULL, 200, NULL, NULL, NULL, NULL},
    {"negative", "Content-Length: -1", NEGATIVE, LOST, NULL, 200, NULL, NULL, NULL, NULL},
    {"chunkcut", "the last chunk is missing", CHUNKED_CUT, SOAK | LOST, NULL, 200, NULL, NULL, NULL, NULL},
    {"chunkbad", "a chunk's size is no number", CHUNKED_BAD, SOAK | LOST, NULL, 200, NULL, NULL, NULL, NULL},
    {"garbage", "bytes that are no HTTP", GARBAGE, LOST, NULL, 200, NULL, NULL, NULL, NULL},
    {"endlesshead", "a megabyte of headers", ENDLESS_HEAD, LOST, NULL, 200, NULL, NULL, NULL, NULL},
    /* files */
    {"direct", "no redirect to another host", WHOLE, FILES, NULL, 200, NULL, NULL, NULL, NULL},
    {"norange", "a range is answered with 200 and everything", WHOLE, FILES, NULL, 200, NULL, NULL, NULL, NULL},
    {"416", "every range is refused", WHOLE, FILES, NULL, 200, NULL, NULL, NULL, NULL},
    {"wrongrange", "206 with another range than was asked for", WHOLE, FILES, NULL, 200, NULL, NULL, NULL, NULL},
    {"changed", "cut once; the file is another one afterwards", WHOLE, FILES, NULL, 200, NULL, NULL, NULL, NULL},
    {"badsum", "one byte is wrong", WHOLE, FILES, NULL, 200, NULL, NULL, NULL, NULL},
    {"expired", "the signed address is no longer valid", WHOLE, FILES, NULL, 403, NULL, NULL, NULL, NULL},
    {"noetag", "no X-Linked-Etag, no ETag", WHOLE, FILES, NULL, 200, NULL, NULL, NULL, NULL},
    {"renamed", "the repository has another name now", WHOLE, FILES, NULL, 307, NULL, NULL, NULL, NULL},
    {"gated", "a licence must be accepted first", WHOLE, FILES, NULL, 403, NULL, NULL, NULL, NULL},
    {"norepo", "no such repository, or private", WHOLE, FILES, NULL, 401, NULL, NULL, NULL, NULL},
    {"norevision", "no such revision", WHOLE, FILES, NULL, 404, NULL, NULL, NULL, NULL},
    {"noentry", "no such file", WHOLE, FILES, NULL, 404, NULL, NULL, NULL, NULL},
    {"pages", "the list of files comes in two pages", WHOLE, FILES, NULL, 200, NULL, NULL, NULL, NULL},
    {"circle", "with pages: the last page names itself as the next", WHOLE, FILES, NULL, 200, NULL, NULL, NULL, NULL},
    {"hugesizes", "the list has two files of 900 TB", WHOLE, FILES, NULL, 200, NULL, NULL, NULL, NULL},
    {"hugesize", "the list has a file of 1e30 bytes", WHOLE, FILES, NULL, 200, NULL, NULL, NULL, NULL},
    {"lesssize", "the list has a file of -5 bytes", WHOLE, FILES, NULL, 200, NULL, NULL, NULL, NULL},
    {"nosize", "the list has a file without a size", WHOLE, FILES, NULL, 200, NULL, NULL, NULL, NULL},
    {"evilpaths", "the list names files outside the folder", WHOLE, FILES, NULL, 200, NULL, NULL, NULL, NULL},
    /* batches */
    {"batchslow", "pending for three looks", WHOLE, BATCH, NULL, 200, NULL, NULL, NULL, NULL},
    {"batchjob", "states called JOB_STATE_*", WHOLE, BATCH, NULL, 200, NULL, NULL, NULL, NULL},
    {"batchfast", "succeeded at the first look", WHOLE, BATCH, NULL, 200, NULL, NULL, NULL, NULL},
    {"create500", "a batch is not made: 500", WHOLE, BATCH, NULL, 200, NULL, NULL, NULL, NULL},
    {"batchfailed", "FAILED", WHOLE, BATCH, NULL, 200, NULL, NULL, NULL, NULL},
    {"batchexpired", "EXPIRED", WHOLE, BATCH, NULL, 200, NULL, NULL, NULL, NULL},
    {"batchitem", "the first request of a batch fails by itself", WHOLE, BATCH, NULL, 200, NULL, NULL, NULL, NULL},
    /* files of questions and of answers; those of UPLOAD happen to the pieces alone */
    {"piececut", "a piece is taken, and its reply never comes", CUT_HEAD, BATCH | UPLOAD, NULL, 200, NULL, NULL, NULL, NULL},
    {"piecehalf", "half of a piece is taken, then the connection is closed", CUT_HEAD, BATCH | UPLOAD, NULL, 200, NULL, NULL, NULL, NULL},
    {"piece503", "a piece is refused, overloaded", WHOLE, BATCH | UPLOAD, answer_error, 503, "UNAVAILABLE", OVERLOADED, NULL, NULL},
    {"piece400", "a piece is refused", WHOLE, BATCH | UPLOAD, answer_error, 400, "INVALID_ARGUMENT", "Upload has already been terminated.",
     NULL, NULL},
    {"piecequiet", "a piece is taken, without x-goog-upload-status", WHOLE, BATCH | UPLOAD, NULL, 200, NULL, NULL, NULL, NULL},
    {"piecelost", "the pieces so far are forgotten, and so is the upload", WHOLE, BATCH | UPLOAD, answer_error, 404, "NOT_FOUND",
     "Upload not found.", NULL, NULL},
    {"uploadelsewhere", "the address for the pieces is another host's", WHOLE, BATCH, NULL, 200, NULL, NULL, NULL, NULL},
    {"uploadnowhere", "no address for the pieces", WHOLE, BATCH, NULL, 200, NULL, NULL, NULL, NULL},
    {"uploadother", "a file of another size is told", WHOLE, BATCH, NULL, 200, NULL, NULL, NULL, NULL},
    {"filefull", "no more files are taken", WHOLE, BATCH, NULL, 429, NULL, NULL, NULL, NULL},
    {"filefailed", "a file that is whole is FAILED", WHOLE, BATCH, NULL, 200, NULL, NULL, NULL, NULL},
    {"filegone", "the first file that is whole is gone at once", WHOLE, BATCH, NULL, 200, NULL, NULL, NULL, NULL},
    {"filestay", "a file is not deleted: 503", WHOLE, BATCH, NULL, 200, NULL, NULL, NULL, NULL},
    {"linebad", "a line of the answers is damaged, always", WHOLE, BATCH, NULL, 200, NULL, NULL, NULL, NULL},
    {"linebadonce", "a line of the answers is damaged, the first time", WHOLE, BATCH, NULL, 200, NULL, NULL, NULL, NULL},
    {"linemissing", "a line of the answers is missing", WHOLE, BATCH, NULL, 200, NULL, NULL, NULL, NULL},
    {"lineorder", "the answers are the other way around", WHOLE, BATCH, NULL, 200, NULL, NULL, NULL, NULL},
    {"linetwice", "each answer stands there twice, and one of nobody's", WHOLE, BATCH, NULL, 200, NULL, NULL, NULL, NULL},
    {"answersgone", "the file of answers is gone", WHOLE, BATCH, NULL, 200, NULL, NULL, NULL, NULL},
    {"answerscut", "the file of answers is cut the first time", WHOLE, BATCH, NULL, 200, NULL, NULL, NULL, NULL},
    {0},
};

const fault *fault_find(const char *name, size_t size) {
  for (const fault *f = fault_table; f->name; f++)
    if (strlen(f->name) == size && !memcmp(f->name, name, size)) return f;
  return NULL;
}
