/* batch.c - Gemini's batches, with their requests in the call or in a file that was sent before, and the list of models.
 *
 *   POST /upload/v1beta/files, then the address in x-goog-upload-url      GET /v1beta/files/ID:download?alt=media
 *   POST /v1beta/models/M:batchGenerateContent     GET|DELETE /v1beta/batches[/ID]     POST /v1beta/batches/ID:cancel
 *
 * A batch is made when the request is read, even when its answer is then lost: that is what makes billed calls delicate. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"

typedef struct job {
  int id, looks;
  scenario *in;
  char model[96];
  char *name; /* displayName */
  bool by_file, cancelled;
  cal_buffer results; /* inlinedResponses, or lines */
  int results_file;
  struct job *next;
} job;
typedef struct file {
  int id;
  cal_buffer bytes;
  struct file *next;
} file;
static job *jobs;
static file *files;
static int serial = 100;

void batch_reset(void) {
  for (job *j; (j = jobs);) jobs = j->next, free(j->name), cal_buffer_free(&j->results), free(j);
  for (file *f; (f = files);) files = f->next, cal_buffer_free(&f->bytes), free(f);
}

static file *file_new(void) {
  file *f = calloc(1, sizeof *f);
  if (!f) abort();
  f->id = ++serial, f->next = files;
  return files = f;
}
static file *file_find(int id) {
  file *f = files;
  while (f && f->id != id) f = f->next;
  return f;
}

/* One request of a batch: its answer is made, and paid, now. */
static void result(job *j, const cal_json *item, int index) {
  const cal_json *key = cal_json_find(item, "key");
  if (!key) key = cal_json_find(cal_json_find(item, "metadata"), "key");
  question q;
  answer a = {0};
  question_of(&q, GEMINI, j->model, cal_json_find(item, "request"));
  bool bad = index == 0 && scenario_has(j->in, "batchitem");
  cal_buffer *out = &j->results;
  if (!j->by_file && index) cal_buffer_add_byte(out, ',');
  if (j->by_file) {
    cal_buffer_add_text(out, "{\"key\":");
    json_text(out, cal_json_text(key) ? cal_json_text(key) : "", cal_json_text(key) ? strlen(cal_json_text(key)) : 0);
  } else {
    cal_buffer_add_text(out, "{\"metadata\":{\"key\":");
    json_text(out, cal_json_text(key) ? cal_json_text(key) : "", cal_json_text(key) ? strlen(cal_json_text(key)) : 0);
    cal_buffer_add_byte(out, '}');
  }
  if (bad) cal_buffer_add_text(out, ",\"error\":{\"code\":13,\"message\":\"Internal error.\"}}");
  else {
    count *c = scenario_count(j->in, q.sha);
    answer_right(&q, &a);
    c->produced++, j->in->produced++;
    cal_buffer_add_text(out, ",\"response\":");
    cal_buffer_add(out, a.body.data, a.body.size);
    cal_buffer_add_byte(out, '}');
  }
  if (j->by_file) cal_buffer_add_byte(out, '\n');
  answer_free(&a);
}

static const char *state_of(const job *j) {
  if (j->cancelled) return "CANCELLED";
  if (j->looks <= (scenario_has(j->in, "batchslow") ? 3 : 1)) return j->looks == 0 ? "PENDING" : "RUNNING";
  if (scenario_has(j->in, "batchfailed")) return "FAILED";
  if (scenario_has(j->in, "batchexpired")) return "EXPIRED";
  return "SUCCEEDED";
}

static void show(job *j, bool with_results, cal_buffer *out) {
  const char *state = state_of(j), *prefix = scenario_has(j->in, "batchjob") ? "JOB_STATE" : "BATCH_STATE";
  bool done = !strcmp(state, "SUCCEEDED");
  cal_buffer_printf(
      out,
      "{\"name\":\"batches/%d\",\"metadata\":{\"@type\":\"type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch\","
      "\"model\":\"models/%s\",\"displayName\":",
      j->id, j->model);
  json_text(out, j->name, strlen(j->name));
  cal_buffer_printf(out, ",\"state\":\"%s_%s\",\"name\":\"batches/%d\"", prefix, state, j->id);
  if (done && with_results) {
    if (j->by_file && !j->results_file) {
      file *f = file_new();
      cal_buffer_add(&f->bytes, j->results.data, j->results.size);
      j->results_file = f->id;
    }
    if (j->by_file) cal_buffer_printf(out, ",\"output\":{\"responsesFile\":\"files/%d\"}", j->results_file);
    else cal_buffer_printf(out, ",\"output\":{\"inlinedResponses\":{\"inlinedResponses\":[%s]}}", j->results.data ? j->results.data : "");
  }
  cal_buffer_printf(out, "},\"done\":%s}", done || j->cancelled ? "true" : "false");
}

static void create(scenario *sc, const request *r, const char *model, answer *a) {
  cal_error err = {0};
  cal_json *tree = cal_json_parse(r->body.data ? r->body.data : "", r->body.size, &err);
  const cal_json *batch = cal_json_find(tree, "batch"), *input = cal_json_find(batch, "inputConfig");
  const char *name = cal_json_text(cal_json_find(batch, "displayName")), *in = cal_json_text(cal_json_find(input, "fileName"));
  const cal_json *list = cal_json_find(cal_json_find(input, "requests"), "requests");
  file *source = in && !strncmp(in, "files/", 6) ? file_find(atoi(in + 6)) : NULL;
  if (!list && !source) {
    answer_plain_error(GEMINI, 400, "INVALID_ARGUMENT", tree ? "batch.inputConfig has neither requests nor a file" : err.text, NULL, a);
    cal_json_free(tree);
    return;
  }
  job *j = calloc(1, sizeof *j);
  if (!j || !(j->name = strdup(name ? name : ""))) abort();
  j->id = ++serial, j->in = sc, j->by_file = source != NULL, j->next = jobs;
  snprintf(j->model, sizeof j->model, "%s", model);
  jobs = j;
  int index = 0;
  for (const cal_json *item = cal_json_first(list); item; item = cal_json_next(item)) result(j, item, index++);
  for (const char *line = source ? source->bytes.data : NULL; line && *line;) {
    size_t size = strcspn(line, "\n");
    cal_json *item = cal_json_parse(line, size, &err);
    if (item) result(j, item, index++);
    cal_json_free(item);
    line += size + (line[size] == '\n');
  }
  cal_json_free(tree);
  a->status = 200, a->type = "application/json";
  show(j, false, &a->body);
}

static void models(const char *only, answer *a) {
  static const char *const names[] = {"gemini-3.8-flash",      "gemini-3.6-flash",       "gemini-3.5-flash-lite",
                                      "gemini-3.1-flash-lite", "gemini-3.1-pro-preview", "gemini-2.5-flash-lite"};
  a->status = 200, a->type = "application/json";
  if (!*only) cal_buffer_add_text(&a->body, "{\"models\":[");
  bool found = false;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (*only && strcmp(only, names[i])) continue;
    cal_buffer_printf(&a->body,
                      "%s{\"name\":\"models/%s\",\"displayName\":\"%s\",\"inputTokenLimit\":1048576,\"outputTokenLimit\":65536,"
                      "\"supportedGenerationMethods\":[\"generateContent\",\"countTokens\",\"batchGenerateContent\"],\"thinking\":true}",
                      found ? "," : "", names[i], names[i]);
    found = true;
  }
  if (!*only) cal_buffer_add_text(&a->body, "]}");
  if (!found) answer_plain_error(GEMINI, 404, "NOT_FOUND", "models/retired is not found for API version v1beta.", NULL, a);
}

bool batch_answer(scenario *sc, const request *r, const char *path, int port, script *s) {
  bool upload = !strncmp(path, "/upload/v1beta/files", 20), batches = !strncmp(path, "/v1beta/batches", 15),
       get_file = !strncmp(path, "/v1beta/files/", 14);
  const char *model = !strncmp(path, "/v1beta/models", 14) ? path + 14 : NULL,
             *verb = model ? strstr(model, ":batchGenerateContent") : NULL;
  bool post = !strcmp(r->method, "POST");
  if (!upload && !batches && !get_file && !verb && !(model && !post)) return false;
  char key[1024], name[96] = "";
  snprintf(key, sizeof key, "%s %s", r->method, path);
  if (model && *model) snprintf(name, sizeof name, "%.*s", (int)strcspn(model + 1, ":"), model + 1);
  const fault *f = scenario_choose(sc, scenario_count(sc, key), name, BATCH, NULL);
  answer a = {0};
  if (f->make && f->status != 200) {
    question q = {.from = GEMINI};
    f->make(&q, f, &a);
  } else if (verb) create(sc, r, name, &a);
  else if (model) models(name, &a);
  else if (upload) {
    a.status = 200, a.type = "application/json";
    const char *mark = strstr(r->query, "upload_id=");
    if (!mark) {
      file *made = file_new();
      cal_buffer_printf(&a.headers,
                        "x-goog-upload-url: http://127.0.0.1:%d/s/%s/upload/v1beta/files?upload_id=%d\r\nx-goog-upload-status: active\r\n",
                        port, sc->name, made->id);
    } else {
      file *into = file_find(atoi(mark + 10));
      const char *what = request_header(r, "x-goog-upload-command");
      if (into) cal_buffer_add(&into->bytes, r->body.data, r->body.size);
      bool final = what && strstr(what, "finalize");
      cal_buffer_printf(&a.headers, "x-goog-upload-status: %s\r\n", final ? "final" : "active");
      if (final && into)
        cal_buffer_printf(
            &a.body,
            "{\"file\":{\"name\":\"files/%d\",\"uri\":\"http://127.0.0.1:%d/s/%s/v1beta/files/%d\",\"mimeType\":\"application/jsonl\","
            "\"sizeBytes\":\"%zu\",\"state\":\"ACTIVE\"}}",
            into->id, port, sc->name, into->id, into->bytes.size);
    }
  } else if (get_file) {
    file *from = file_find(atoi(path + 14));
    if (!from) answer_plain_error(GEMINI, 404, "NOT_FOUND", "no such file", NULL, &a);
    else a.status = 200, a.type = "application/octet-stream", cal_buffer_add(&a.body, from->bytes.data, from->bytes.size);
  } else if (!path[15]) {
    a.status = 200, a.type = "application/json";
    cal_buffer_add_text(&a.body, "{\"operations\":[");
    bool first = true;
    for (job *j = jobs; j; j = j->next) {
      if (j->in != sc) continue;
      if (!first) cal_buffer_add_byte(&a.body, ',');
      show(j, false, &a.body);
      first = false;
    }
    cal_buffer_add_text(&a.body, "]}");
  } else {
    job *j = jobs;
    while (j && j->id != atoi(path + 16)) j = j->next;
    if (!j) answer_plain_error(GEMINI, 404, "NOT_FOUND", "no such batch", NULL, &a);
    else {
      if (strstr(path, ":cancel")) j->cancelled = true;
      a.status = 200, a.type = "application/json";
      show(j, true, &a.body);
      if (!strcmp(r->method, "GET")) j->looks++;
    }
  }
  if (f->headers) cal_buffer_add_text(&a.headers, f->headers);
  scenario_record(sc, r, path, NULL, f, a.status);
  answer_deliver(&a, f->make ? WHOLE : f->how, s);
  answer_free(&a);
  return true;
}
