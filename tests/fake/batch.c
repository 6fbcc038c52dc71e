/* batch.c - Gemini's batches, with their requests in the call or in a file that was sent before, and the list of models.
 *
 *   POST /upload/v1beta/files, then the address in x-goog-upload-url      GET /v1beta/files/ID:download?alt=media
 *   GET|DELETE /v1beta/files/ID: a file may have been given a name of the client's
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
  char results_file[64];
  struct job *next;
} job;
typedef struct file {
  char id[64];
  scenario *in;
  bool whole, answers;
  size_t promised;
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

int batch_files(const char *scenario_name) {
  int found = 0;
  for (file *f = files; f; f = f->next) found += f->whole && !f->answers && !strcmp(f->in->name, scenario_name);
  return found;
}

static file *file_new(scenario *sc, const char *id) {
  file *f = calloc(1, sizeof *f);
  if (!f) abort();
  if (id) snprintf(f->id, sizeof f->id, "%s", id);
  else snprintf(f->id, sizeof f->id, "%d", ++serial);
  f->in = sc, f->next = files;
  return files = f;
}
static file *file_find(const char *id) {
  const size_t size = strcspn(id, ":?&");
  file *f = files;
  while (f && (strlen(f->id) != size || memcmp(f->id, id, size) != 0)) f = f->next;
  return f;
}
static void file_drop(file *gone) {
  for (file **at = &files; *at; at = &(*at)->next)
    if (*at == gone) {
      *at = gone->next;
      cal_buffer_free(&gone->bytes), free(gone);
      return;
    }
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
  if (j->looks <= (scenario_has(j->in, "batchfast") ? -1 : scenario_has(j->in, "batchslow") ? 3 : 1))
    return j->looks == 0 ? "PENDING" : "RUNNING";
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
    if (j->by_file && !*j->results_file) {
      file *f = file_new(j->in, NULL);
      f->whole = f->answers = true;
      if (j->results.size) cal_buffer_add(&f->bytes, j->results.data, j->results.size);
      snprintf(j->results_file, sizeof j->results_file, "%s", f->id);
    }
    if (j->by_file) cal_buffer_printf(out, ",\"output\":{\"responsesFile\":\"files/%s\"}", j->results_file);
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
  file *source = in && !strncmp(in, "files/", 6) ? file_find(in + 6) : NULL;
  if (source && (!source->whole || scenario_has(sc, "filefailed"))) source = NULL;
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

/* --- Files that are sent, and files of answers ------------------------------------------------------------------------- */
static bool is_piece(const request *r) {
  const char *what = request_header(r, "x-goog-upload-command");
  return what && strstr(what, "upload");
}

static void show_file(const file *f, int port, cal_buffer *out) {
  cal_buffer_printf(out,
                    "{\"name\":\"files/%s\",\"uri\":\"http://127.0.0.1:%d/s/%s/v1beta/files/%s\",\"mimeType\":\"application/jsonl\","
                    "\"sizeBytes\":\"%zu\",\"state\":\"%s\"}",
                    f->id, port, f->in->name, f->id, f->bytes.size + (scenario_has(f->in, "uploadother") ? 1 : 0),
                    scenario_has(f->in, "filefailed") ? "FAILED" : "ACTIVE");
}

static void begin_file(scenario *sc, const request *r, int port, answer *a) {
  extern int fake_other_port;
  cal_json *tree = cal_json_parse(r->body.data ? r->body.data : "", r->body.size, NULL);
  const char *name = cal_json_text(cal_json_find(cal_json_find(tree, "file"), "name")), *what = request_header(r, "x-goog-upload-command");
  const char *size = request_header(r, "x-goog-upload-header-content-length"), *how = request_header(r, "x-goog-upload-protocol");
  if (name && strncmp(name, "files/", 6) == 0) name += 6;
  if (!what || strcmp(what, "start") || !how || strcmp(how, "resumable") || !size)
    answer_plain_error(GEMINI, 400, "INVALID_ARGUMENT", "an upload begins with its protocol, command and length", NULL, a);
  else if (name && (strlen(name) > 40 || name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-")]))
    answer_plain_error(GEMINI, 400, "INVALID_ARGUMENT", "not a name", NULL, a);
  else if (name && file_find(name) && file_find(name)->whole)
    answer_plain_error(GEMINI, 409, "ALREADY_EXISTS", "a file of this name exists", NULL, a);
  else if (scenario_has(sc, "filefull"))
    answer_plain_error(GEMINI, 400, "FAILED_PRECONDITION", "You have used up the storage of this project.", NULL, a);
  else {
    if (name && file_find(name)) file_drop(file_find(name));
    file *made = file_new(sc, name);
    made->promised = strtoull(size, NULL, 10);
    if (!scenario_has(sc, "uploadnowhere"))
      cal_buffer_printf(&a->headers,
                        "x-goog-upload-url: http://127.0.0.1:%d/s/%s/upload/v1beta/files?upload_id=%s&upload_protocol=resumable\r\n",
                        scenario_has(sc, "uploadelsewhere") ? fake_other_port : port, sc->name, made->id);
    cal_buffer_add_text(&a->headers, "x-goog-upload-status: active\r\n");
  }
  cal_json_free(tree);
}

static void send_file(scenario *sc, const request *r, const fault *f, int port, answer *a) {
  const char *mark = strstr(r->query, "upload_id="), *what = request_header(r, "x-goog-upload-command");
  a->status = 200, a->type = "application/json";
  if (!mark) {
    begin_file(sc, r, port, a);
    return;
  }
  file *into = file_find(mark + 10);
  const char *offset = request_header(r, "x-goog-upload-offset");
  const bool ask = what && !strcmp(what, "query"), final = what && strstr(what, "finalize");
  if (!into) answer_plain_error(GEMINI, 404, "NOT_FOUND", "Upload not found.", NULL, a);
  else if (ask) {
    cal_buffer_printf(&a->headers, "x-goog-upload-status: %s\r\nx-goog-upload-size-received: %zu\r\n", into->whole ? "final" : "active",
                      into->bytes.size);
  } else if (into->whole || !offset || strtoull(offset, NULL, 10) != into->bytes.size)
    answer_plain_error(GEMINI, 400, "INVALID_ARGUMENT", "the offset is not the number of bytes that are here", NULL, a);
  else {
    const bool half = !strcmp(f->name, "piecehalf");
    if (r->body.size) cal_buffer_add(&into->bytes, r->body.data, half ? r->body.size / 2 : r->body.size);
    if (final && !half && into->bytes.size != into->promised)
      answer_plain_error(GEMINI, 400, "INVALID_ARGUMENT", "the file has another length than was promised", NULL, a);
    else if (strcmp(f->name, "piecequiet")) cal_buffer_printf(&a->headers, "x-goog-upload-status: %s\r\n", final ? "final" : "active");
    if (final && !half) into->whole = true;
    if (into->whole) {
      cal_buffer_add_text(&a->body, "{\"file\":");
      show_file(into, port, &a->body);
      cal_buffer_add_byte(&a->body, '}');
      if (scenario_has(sc, "filegone") && scenario_count(sc, "filegone")->requests++ == 0) file_drop(into);
    }
  }
}

/* The lines as a scenario wants them. true: the reply is cut. */
static bool show_answers(scenario *sc, const file *from, answer *a) {
  const long times = scenario_count(sc, "answers")->requests++;
  const char *text = from->bytes.data ? from->bytes.data : "", *lines[4096];
  size_t found = 0;
  a->status = 200, a->type = "application/octet-stream";
  for (const char *at = text; *at && found < sizeof lines / sizeof *lines; at = strchr(at, '\n') + 1) lines[found++] = at;
  if (found == sizeof lines / sizeof *lines || !found) {
    cal_buffer_add(&a->body, text, from->bytes.size);
    return false;
  }
  for (size_t i = 0; i < found; i++) {
    const char *line = lines[scenario_has(sc, "lineorder") ? found - 1 - i : i];
    size_t size = strcspn(line, "\n");
    const bool first = i == 0, bad = scenario_has(sc, "linebad") || (scenario_has(sc, "linebadonce") && !times);
    if (first && scenario_has(sc, "linemissing")) continue;
    cal_buffer_add(&a->body, line, first && bad ? size / 2 : size);
    cal_buffer_add_byte(&a->body, '\n');
    if (!scenario_has(sc, "linetwice")) continue;
    cal_buffer_add(&a->body, line, size);
    cal_buffer_add_text(&a->body, "\r\n\n{\"key\":\"nobody\",\"error\":{\"code\":13,\"message\":\"?\"}}\n");
  }
  return scenario_has(sc, "answerscut") && !times;
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
  const bool piece = upload && strstr(r->query, "upload_id=") && is_piece(r);
  if (piece) snprintf(key, sizeof key, "PIECE");
  const fault *f = scenario_choose(sc, scenario_count(sc, key), name, piece ? BATCH | UPLOAD : BATCH, NULL);
  answer a = {0};
  bool cut = false;
  if (piece && f->status == 404) { /* the upload itself is gone */
    file *gone = file_find(strstr(r->query, "upload_id=") + 10);
    if (gone) file_drop(gone);
  }
  if (f->make && f->status != 200) {
    question q = {.from = GEMINI};
    f->make(&q, f, &a);
  } else if (verb && scenario_has(sc, "create500"))
    answer_plain_error(GEMINI, 500, "INTERNAL", "An internal error has occurred.", NULL, &a);
  else if (verb) create(sc, r, name, &a);
  else if (model) models(name, &a);
  else if (upload) send_file(sc, r, f, port, &a);
  else if (get_file) {
    file *from = file_find(path + 14);
    const bool download = strstr(path, ":download") != NULL;
    if (from && from->answers && scenario_has(sc, "answersgone")) from = NULL;
    if (!from)
      answer_plain_error(GEMINI, 403, "PERMISSION_DENIED", "You do not have permission to access the File, or it may not exist.", NULL, &a);
    else if (!strcmp(r->method, "DELETE") && scenario_has(sc, "filestay"))
      answer_plain_error(GEMINI, 503, "UNAVAILABLE", "Later.", NULL, &a);
    else if (!strcmp(r->method, "DELETE")) file_drop(from), a.status = 200, a.type = "application/json", cal_buffer_add_text(&a.body, "{}");
    else if (download && !from->answers)
      answer_plain_error(GEMINI, 400, "INVALID_ARGUMENT", "Only generated files can be downloaded.", NULL, &a);
    else if (download) cut = show_answers(sc, from, &a);
    else a.status = 200, a.type = "application/json", show_file(from, port, &a.body);
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
  answer_deliver(&a, cut ? CUT : f->make ? WHOLE : f->how, s);
  answer_free(&a);
  return true;
}
