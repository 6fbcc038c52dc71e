#include "core/caption/gemini_batch.h"

#include <stdio.h>
#include <string.h>

#include "core/caption/ask.h"
#include "core/caption/gemini.h"
#include "core/caption/reply.h"

static const char who[] = "gemini batch";
enum { NAME_MOST = 120 };

/* ---- writing ---- */

/* {"key":KEY,"request":REQUEST} */
static const char before_key[] = "{\"key\":", before_request[] = ",\"request\":";
enum { BEFORE_KEY = sizeof before_key - 1, BEFORE_REQUEST = sizeof before_request - 1 };

cal_status cal_gemini_batch_line(const cal_wire_question *question, const char *key, cal_buffer *lines, cal_error *err) {
  const size_t was = lines->size;
  if (!key || !*key || !cal_utf8_valid(key, strlen(key), NULL)) return cal_fail(err, CAL_E_ARG, "%s: a key in UTF-8 is expected", who);
  char shown[104];
  cal_reply_quote(key, strlen(key), 100, shown);
  cal_buffer_add_text(lines, before_key);
  cal_json_write_text(key, strlen(key), lines);
  cal_buffer_add_text(lines, before_request);
  cal_status status = cal_gemini_request(question, lines, err);
  if (status) cal_error_context(err, "%s: %s", who, shown);
  if (!status) {
    cal_buffer_add_text(lines, "}\n");
    status = cal_ask_done(lines, lines, who, err);
  }
  if (status && lines->data) lines->data[lines->size = was] = 0;
  return status;
}

/* The path, and the body up to what is asked. */
static cal_status begin(const char *model, const char *display_name, cal_buffer *path, cal_buffer *body, cal_error *err) {
  if (!display_name || !*display_name || strlen(display_name) > NAME_MOST || !cal_utf8_valid(display_name, strlen(display_name), NULL))
    return cal_fail(err, CAL_E_ARG, "%s: a display name of 1 to %d bytes of UTF-8 is expected", who, NAME_MOST);
  cal_buffer_add_text(path, "/v1beta/");
  cal_status status = cal_gemini_model(model, path, err);
  if (status) return status;
  cal_buffer_add_text(path, ":batchGenerateContent");
  cal_buffer_add_text(body, "{\"batch\":{\"displayName\":");
  cal_json_write_text(display_name, strlen(display_name), body);
  cal_buffer_add_text(body, ",\"inputConfig\":{");
  return cal_ask_done(path, body, who, err);
}

/* Behind the key's last quote; a quote inside of it has a backslash. */
static size_t end_of_key(const char *line, size_t size) {
  size_t at = BEFORE_KEY + 1;
  while (at < size && line[at] != '"') at += line[at] == '\\' ? 2 : 1;
  return at + 1;
}

cal_status cal_gemini_batch_inside(const char *model, const char *display_name, const char *lines, size_t size, cal_buffer *path,
                                   cal_buffer *body, cal_error *err) {
  if (!size) return cal_fail(err, CAL_E_ARG, "%s: nothing was added to it", who);
  cal_status status = begin(model, display_name, path, body, err);
  if (status) return status;
  cal_buffer_add_text(body, "\"requests\":{\"requests\":[");
  for (size_t from = 0; from < size;) {
    const char *line = lines + from, *newline = memchr(line, '\n', size - from);
    const size_t length = newline ? (size_t)(newline - line) : size - from, key = end_of_key(line, length);
    if (length < BEFORE_KEY + BEFORE_REQUEST + 1 || key + BEFORE_REQUEST >= length)
      return cal_fail(err, CAL_E_ARG, "%s: byte %zu: a line of cal_gemini_batch_line is expected", who, from);
    cal_buffer_add_text(body, from ? ",{\"request\":" : "{\"request\":");
    cal_buffer_add(body, line + key + BEFORE_REQUEST, length - 1 - key - BEFORE_REQUEST);
    cal_buffer_add_text(body, ",\"metadata\":{\"key\":");
    cal_buffer_add(body, line + BEFORE_KEY, key - BEFORE_KEY);
    cal_buffer_add_text(body, "}}");
    from += length + 1;
  }
  cal_buffer_add_text(body, "]}}}}");
  if (!body->failed && body->size > CAL_GEMINI_BATCH_MOST)
    return cal_fail(err, CAL_E_LIMIT, "%s: it would have more than %d MB; send the questions as a file", who, CAL_GEMINI_BATCH_MOST >> 20);
  return cal_ask_done(path, body, who, err);
}

static const char path_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

cal_status cal_gemini_batch_filed(const char *model, const char *display_name, const char *file, cal_buffer *path, cal_buffer *body,
                                  cal_error *err) {
  if (!file || strncmp(file, "files/", 6) != 0 || !file[6] || file[6 + strspn(file + 6, path_letters)])
    return cal_fail(err, CAL_E_ARG, "%s: a file's name like files/abc is expected", who);
  cal_status status = begin(model, display_name, path, body, err);
  if (status) return status;
  cal_buffer_printf(body, "\"fileName\":\"%s\"}}}", file);
  return cal_ask_done(path, body, who, err);
}

/* ---- reading ---- */

static const char *const states[] = {"unknown", "pending", "running", "succeeded", "failed", "cancelled", "expired"};
enum { STATES = sizeof states / sizeof *states };

const char *cal_gemini_batch_state_name(cal_gemini_batch_state state) { return states[(size_t)state < STATES ? state : 0]; }

/* BATCH_STATE_RUNNING on the wire, JOB_STATE_RUNNING in Google's own libraries: what stands behind the last "_STATE_" counts. */
static cal_gemini_batch_state state_of(const char *word) {
  const char *found = word ? strstr(word, "STATE_") : NULL;
  if (found) word = found + 6;
  for (int i = 1; word && i < STATES; i++)
    if (strlen(word) == strlen(states[i]) && cal_reply_has(word, states[i])) return (cal_gemini_batch_state)i;
  return CAL_GEMINI_BATCH_UNKNOWN;
}

static cal_status read_item(const cal_json *item, size_t index, cal_gemini_batch_each each, void *context, cal_error *err) {
  const char *key = cal_json_text(cal_json_find(cal_json_find(item, "metadata"), "key"));
  if (!key) key = cal_json_text(cal_json_find(item, "key"));
  const cal_json *response = cal_json_find(item, "response"), *error = cal_json_find(item, "error");
  cal_wire_answer answer;
  cal_reply_begin(&answer);
  answer.status = 200;
  cal_status status = CAL_OK;
  if (response && cal_json_kind_of(response) == CAL_JSON_OBJECT) status = cal_gemini_response(response, &answer, err);
  else if (error) cal_gemini_error(error, 200, &answer);
  else cal_reply_say(&answer, CAL_WIRE_EMPTY, "Gemini's batch holds neither an answer nor an error here; asking again may help");
  if (!status) status = each(context, index, key, &answer, err);
  cal_wire_answer_free(&answer);
  return status;
}

/* "batches/123", "files/abc": they become paths of requests, so nothing else is taken. */
static void take_name(const cal_json *of, const char *key, const char *kind, char *out, size_t room) {
  const char *text = cal_json_text(cal_json_find(of, key));
  const size_t length = strlen(kind);
  if (!text || out[0] || strncmp(text, kind, length) != 0 || !text[length] || strlen(text) >= room) return;
  if (text[length] == '.' || text[length + strspn(text + length, path_letters)]) return;
  memcpy(out, text, strlen(text) + 1);
}

/* Display names are ours, and may hold any letters. */
static void take_display_name(const cal_json *of, cal_gemini_batch *batch) {
  const char *text = cal_json_text(cal_json_find(of, "displayName"));
  if (text && !batch->display_name[0]) cal_reply_quote(text, strlen(text), sizeof batch->display_name - 4, batch->display_name);
}

static void begin_batch(cal_gemini_batch *batch, int status) {
  *batch =
      (cal_gemini_batch){.verdict = CAL_WIRE_EMPTY, .status = status, .wait_seconds = -1, .requests = -1, .succeeded = -1, .failed = -1};
}

/* An operation whose metadata is the batch, or the batch itself. */
static void read_state(const cal_json *top, cal_gemini_batch *batch) {
  const cal_json *both[] = {top, cal_json_find(top, "metadata")};
  const cal_json *error = cal_json_find(top, "error");
  for (int i = 0; i < 2; i++) {
    const cal_json *stats = cal_json_find(both[i], "batchStats"), *state = cal_json_find(both[i], "state");
    take_name(both[i], "name", "batches/", batch->name, sizeof batch->name);
    take_display_name(both[i], batch);
    if (state) batch->state = state_of(cal_json_text(state));
    if (!stats) continue;
    batch->requests = cal_reply_count(stats, "requestCount");
    batch->succeeded = cal_reply_count(stats, "successfulRequestCount");
    batch->failed = cal_reply_count(stats, "failedRequestCount");
  }
  batch->verdict = CAL_WIRE_DONE;
  if (batch->state == CAL_GEMINI_BATCH_UNKNOWN && cal_json_bool(cal_json_find(top, "done")) && cal_json_find(top, "response"))
    batch->state = CAL_GEMINI_BATCH_SUCCEEDED;
  if (error && cal_json_kind_of(error) == CAL_JSON_OBJECT && batch->state != CAL_GEMINI_BATCH_CANCELLED) {
    cal_wire_answer answer;
    cal_reply_begin(&answer);
    cal_gemini_error(error, 200, &answer);
    if (batch->state != CAL_GEMINI_BATCH_EXPIRED) batch->state = CAL_GEMINI_BATCH_FAILED;
    snprintf(batch->why, sizeof batch->why, "%s", answer.why);
  } else if (batch->state == CAL_GEMINI_BATCH_EXPIRED) {
    snprintf(batch->why, sizeof batch->why, "Gemini did not come to this batch in its time; ask again, in smaller batches");
  } else if (batch->state == CAL_GEMINI_BATCH_FAILED) {
    snprintf(batch->why, sizeof batch->why, "Gemini says that this batch failed, and not why; ask again, or one by one");
  }
}

static cal_status read_answers(const cal_json *top, cal_gemini_batch_each each, void *context, cal_gemini_batch *batch, cal_error *err) {
  const cal_json *response = cal_json_find(top, "response"), *metadata = cal_json_find(top, "metadata");
  const cal_json *places[] = {response, cal_json_find(metadata, "output"), cal_json_find(response, "output"), cal_json_find(top, "output")};
  cal_status status = CAL_OK;
  for (int i = 0; i < 4 && !status && !batch->answers; i++) {
    take_name(places[i], "responsesFile", "files/", batch->file, sizeof batch->file);
    const cal_json *list = cal_json_find(places[i], "inlinedResponses");
    if (list && cal_json_kind_of(list) == CAL_JSON_OBJECT) list = cal_json_find(list, "inlinedResponses");
    if (!list || cal_json_kind_of(list) != CAL_JSON_ARRAY || !each) continue;
    for (const cal_json *item = cal_json_first(list); item && !status; item = cal_json_next(item))
      status = read_item(item, batch->answers++, each, context, err);
  }
  return status;
}

/* The tree of a reply that is one, or NULL and the batch says why; CAL_E_MEMORY. */
static cal_status parse(int status, const char *content_type, const void *body, size_t size, cal_gemini_batch *batch, cal_json **tree,
                        cal_error *err) {
  begin_batch(batch, status);
  cal_wire_answer answer;
  cal_reply_begin(&answer);
  answer.status = status;
  cal_error own = {0};
  *tree = cal_reply_parse(body, size, &own);
  if (!*tree && own.code == CAL_E_MEMORY) return cal_fail(err, CAL_E_MEMORY, "%s: %s", who, own.text);
  if (*tree && status < 300) return CAL_OK;
  if (*tree) {
    const cal_json *top = cal_json_kind_of(*tree) == CAL_JSON_ARRAY ? cal_json_first(*tree) : *tree;
    cal_gemini_error(cal_json_find(top, "error"), status, &answer);
  } else {
    cal_reply_no_json(&answer, "Gemini", status, content_type, body, size, own.text);
  }
  cal_json_free(*tree);
  *tree = NULL;
  batch->verdict = answer.verdict;
  batch->status = answer.status;
  batch->wait_seconds = answer.wait_seconds;
  memcpy(batch->why, answer.why, sizeof batch->why);
  return CAL_OK;
}

static void no_batch(cal_gemini_batch *batch, const char *why) {
  begin_batch(batch, batch->status);
  snprintf(batch->why, sizeof batch->why, "%s", why);
}

cal_status cal_gemini_batch_read(int status, const char *content_type, const void *body, size_t size, cal_gemini_batch_each each,
                                 void *context, cal_gemini_batch *batch, cal_error *err) {
  cal_json *tree;
  cal_status result = parse(status, content_type, body, size, batch, &tree, err);
  if (result || !tree) return result;
  read_state(tree, batch);
  if (!batch->name[0]) no_batch(batch, "Gemini's reply names no batch; look for it in the list by its display name");
  else result = read_answers(tree, each, context, batch, err);
  cal_json_free(tree);
  return result;
}

cal_status cal_gemini_batch_find(int status, const char *content_type, const void *body, size_t size, const char *display_name,
                                 cal_gemini_batch *batch, char next[256], cal_error *err) {
  cal_json *tree;
  next[0] = 0;
  cal_status result = parse(status, content_type, body, size, batch, &tree, err);
  if (result || !tree) return result;
  const cal_json *list = cal_json_find(tree, "operations");
  if (!list) list = cal_json_find(tree, "batches");
  cal_reply_name(cal_json_text(cal_json_find(tree, "nextPageToken")), next, 256);
  const cal_json *op = cal_json_first(list);
  for (; op; op = cal_json_next(op)) {
    const char *name = cal_json_text(cal_json_find(cal_json_find(op, "metadata"), "displayName"));
    if (!name) name = cal_json_text(cal_json_find(op, "displayName"));
    if (name && !strcmp(name, display_name)) break;
  }
  if (op) read_state(op, batch);
  if (!op || !batch->name[0]) no_batch(batch, "there is no batch of this display name here");
  cal_json_free(tree);
  return CAL_OK;
}

/* A line without its newline. */
static cal_status read_line(cal_gemini_lines *l, const char *line, size_t size, cal_gemini_batch_each each, void *context, cal_error *err) {
  l->number++;
  while (size && line[size - 1] && strchr(" \t\r", line[size - 1])) size--;
  if (!size && !l->too_long) return CAL_OK;
  cal_error own = {0};
  cal_json *tree = l->too_long ? NULL : cal_reply_parse(line, size, &own);
  if (tree) {
    cal_status status = read_item(tree, l->index++, each, context, err);
    cal_json_free(tree);
    return status;
  }
  if (own.code == CAL_E_MEMORY) return cal_fail(err, CAL_E_MEMORY, "%s: %s", who, own.text);
  if (l->too_long) snprintf(own.text, sizeof own.text, "it has more than %d MB", CAL_WIRE_REPLY_MOST >> 20);
  cal_wire_answer answer;
  cal_reply_begin(&answer);
  cal_reply_say(&answer, CAL_WIRE_EMPTY, "line %zu of the answers cannot be read (%s); ask for its picture again", l->number, own.text);
  cal_status status = each(context, l->index++, NULL, &answer, err);
  l->too_long = false;
  return status;
}

cal_status cal_gemini_lines_add(cal_gemini_lines *l, const void *bytes, size_t size, cal_gemini_batch_each each, void *context,
                                cal_error *err) {
  const char *text = bytes;
  cal_status status = CAL_OK;
  for (size_t from = 0; from < size && !status;) {
    const char *at = text + from, *newline = memchr(at, '\n', size - from);
    const size_t length = newline ? (size_t)(newline - at) : size - from;
    from += length + (newline != NULL);
    if (l->rest.size + length > CAL_WIRE_REPLY_MOST) l->too_long = true;
    if (newline && !l->rest.size) { /* all of it is here: no copy */
      status = read_line(l, at, length, each, context, err);
      continue;
    }
    if (!l->too_long) cal_buffer_add(&l->rest, at, length);
    if (l->rest.failed) return cal_fail(err, CAL_E_MEMORY, "%s: not enough memory for a line of answers", who);
    if (!newline) continue;
    status = read_line(l, l->rest.data ? l->rest.data : "", l->rest.size, each, context, err);
    l->rest.size = 0;
  }
  return status;
}

cal_status cal_gemini_lines_end(cal_gemini_lines *l, cal_gemini_batch_each each, void *context, cal_error *err) {
  cal_status status =
      l->rest.size || l->too_long ? read_line(l, l->rest.data ? l->rest.data : "", l->rest.size, each, context, err) : CAL_OK;
  l->rest.size = 0;
  return status;
}

void cal_gemini_lines_free(cal_gemini_lines *l) {
  cal_buffer_free(&l->rest);
  *l = (cal_gemini_lines){0};
}

cal_status cal_gemini_batch_lines(const void *bytes, size_t size, cal_gemini_batch_each each, void *context, cal_error *err) {
  cal_gemini_lines lines = {0};
  cal_status status = cal_gemini_lines_add(&lines, bytes, size, each, context, err);
  if (!status) status = cal_gemini_lines_end(&lines, each, context, err);
  cal_gemini_lines_free(&lines);
  return status;
}
