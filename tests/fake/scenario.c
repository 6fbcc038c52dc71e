/* scenario.c - what `/s/NAME/` means, and what was counted under that name.
 *
 *   /s/ok/                        the right answer
 *   /s/503/                       always 503
 *   /s/503-twice,reset-once/      of each picture (or method and path): 503 twice, then a reset, then the right answer
 *   /s/404-first/                 404 for the model that is asked for first, the right answer for others
 *   /s/blocked-some/              for pictures whose sha256 begins with 0 to 7
 *   /s/faults-5/                  5 % of all requests meet a fault, each kind of `fake faults` marked "soak" equally often,
 *                                 chosen by a hash of picture and attempt; `faults-5:7` with seed 7, `faults-5:7!` with silences
 *   /s/ok@20/                     every answer takes 20 ms to be ready
 *   /s/503-once=mine/             what follows `=` only makes the name another one, with counts of its own */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"

static scenario *scenarios;
static cal_buffer records; /* lines of JSON, each begins with its scenario's name and a space */
static long record_count;
enum { MOST_RECORDS = 50000 };

static bool read_item(scenario *s, const char *text, size_t size, const char **why) {
  static char said[200];
  const char *dash = memrchr(text, '-', size);
  size_t name = dash ? (size_t)(dash - text) : size;
  scenario_item item = {0};
  if (dash) {
    const char *much = dash + 1;
    size_t left = size - name - 1;
    if (left == 4 && !memcmp(much, "once", 4)) item.times = 1;
    else if (left == 5 && !memcmp(much, "twice", 5)) item.times = 2;
    else if (left == 5 && !memcmp(much, "first", 5)) item.first_model = true;
    else if (left == 4 && !memcmp(much, "some", 4)) item.some = true;
    else if (left && isdigit((unsigned char)*much)) item.times = strtol(much, NULL, 10);
    else return *why = "after '-' stands once, twice, first, some or a number", false;
  }
  item.kind = fault_find(text, name);
  if (!item.kind)
    return snprintf(said, sizeof said, "there is no fault called \"%.*s\"; `fake faults` lists them", (int)name, text), *why = said, false;
  if (s->item_count == (int)(sizeof s->items / sizeof *s->items)) return *why = "too many faults in one name", false;
  s->items[s->item_count++] = item;
  return true;
}

scenario *scenario_find(const char *name, size_t size, const char **why) {
  for (scenario *s = scenarios; s; s = s->next)
    if (strlen(s->name) == size && !memcmp(s->name, name, size)) return s;
  scenario *s = calloc(1, sizeof *s);
  if (!s || !(s->name = strndup(name, size))) abort();
  const char *end = s->name + strcspn(s->name, "=@"), *at = s->name, *delay = strchr(s->name, '@');
  if (delay) s->seconds = strtod(delay + 1, NULL) / 1000;
  bool good = true;
  if (!strncmp(at, "faults-", 7)) {
    char *tail;
    s->percent = strtod(at + 7, &tail);
    if (*tail == ':') s->seed = strtoull(tail + 1, &tail, 10);
    s->silent_too = *tail == '!';
  } else
    while (good && at < end) {
      size_t length = strcspn(at, ",=@");
      good = read_item(s, at, length, why);
      at += length + (at[length] == ',');
    }
  if (!good) return free(s->name), free(s), NULL;
  s->next = scenarios;
  return scenarios = s;
}

static uint64_t hash(const char *text, uint64_t seed) {
  uint64_t h = 0xcbf29ce484222325u ^ seed * 0x9e3779b97f4a7c15u;
  for (; *text; text++) h = (h ^ (unsigned char)*text) * 0x100000001b3u;
  h ^= h >> 31, h *= 0xbf58476d1ce4e5b9u, h ^= h >> 27;
  return h * 0x94d049bb133111ebu >> 16;
}

count *scenario_count(scenario *s, const char *key) {
  count **bucket = &s->buckets[hash(key, 0) % 1024];
  for (count *c = *bucket; c; c = c->next)
    if (!strcmp(c->key, key)) return c;
  count *c = calloc(1, sizeof *c);
  if (!c || !(c->key = strdup(key))) abort();
  c->next = *bucket;
  return *bucket = c;
}

static const fault *soaked(const scenario *s, const count *c) {
  static const fault *kinds[200];
  int n = 0;
  for (const fault *f = fault_table + 1; f->name; f++)
    if (f->flags & SOAK && (s->silent_too || !(f->flags & SILENT))) kinds[n++] = f;
  char attempt[32];
  snprintf(attempt, sizeof attempt, "#%ld", c->requests);
  uint64_t h = hash(attempt, hash(c->key, s->seed));
  return (double)(h % 10000) < s->percent * 100 ? kinds[h / 10000 % (uint64_t)n] : fault_table;
}

const fault *scenario_choose(scenario *s, count *c, const char *model, unsigned flags, bool (*fits)(const fault *)) {
  long attempt = c->requests++;
  s->requests++;
  if (*model && !*s->first_model) snprintf(s->first_model, sizeof s->first_model, "%s", model);
  if (s->percent > 0) {
    const fault *f = soaked(s, c);
    return fits && !fits(f) ? fault_table : f;
  }
  for (int i = 0; i < s->item_count; i++) {
    const scenario_item *item = &s->items[i];
    if (item->kind->flags & (FILES | BATCH | UPLOAD) & ~flags) continue;
    if (flags & UPLOAD && !(item->kind->flags & UPLOAD)) continue;
    if (fits && !fits(item->kind)) continue;
    if (item->some) {
      if (*c->key >= '0' && *c->key <= '7') return item->kind;
      continue;
    }
    if (item->first_model) {
      if (!strcmp(model, s->first_model)) return item->kind;
      continue;
    }
    if (!item->times || attempt < item->times) return item->kind;
    attempt -= item->times;
  }
  return fault_table;
}

static void counts_of(const scenario *s, cal_buffer *out) {
  json_text(out, s->name, strlen(s->name));
  cal_buffer_printf(
      out, ":{\"requests\":%ld,\"produced\":%ld,\"delivered\":%ld,\"barren\":%ld,\"left\":%ld,\"open\":%ld,\"most_open\":%ld,\"of\":{",
      s->requests, s->produced, s->delivered, s->barren, s->left, s->open, s->most_open);
  bool first = true;
  for (int i = 0; i < 1024; i++)
    for (const count *c = s->buckets[i]; c; c = c->next, first = false) {
      if (!first) cal_buffer_add_byte(out, ',');
      json_text(out, c->key, strlen(c->key));
      cal_buffer_printf(out, ":{\"requests\":%ld,\"produced\":%ld,\"delivered\":%ld,\"barren\":%ld}", c->requests, c->produced,
                        c->delivered, c->barren);
    }
  cal_buffer_add_text(out, "}}");
}

void scenario_counts(const char *name, cal_buffer *out) {
  bool first = true;
  cal_buffer_add_byte(out, '{');
  for (const scenario *s = scenarios; s; s = s->next) {
    if (*name && strcmp(name, s->name)) continue;
    if (!first) cal_buffer_add_byte(out, ',');
    counts_of(s, out);
    first = false;
  }
  cal_buffer_add_byte(out, '}');
}

void scenario_requests(const char *name, cal_buffer *out) {
  size_t length = strlen(name), listed = 0;
  cal_buffer_add_byte(out, '[');
  for (size_t at = 0; at < records.size;) {
    const char *line = records.data + at, *space = strchr(line, ' '), *end = strchr(line, '\n');
    if (!length || ((size_t)(space - line) == length && !memcmp(line, name, length))) {
      if (listed++) cal_buffer_add_text(out, ",\n");
      cal_buffer_add(out, space + 1, (size_t)(end - space - 1));
    }
    at = (size_t)(end - records.data) + 1;
  }
  cal_buffer_add_byte(out, ']');
}

void scenario_fault_list(cal_buffer *out) {
  cal_buffer_add_byte(out, '[');
  for (const fault *f = fault_table; f->name; f++) {
    cal_buffer_add_text(out, f == fault_table ? "{\"name\":" : ",\n{\"name\":");
    json_text(out, f->name, strlen(f->name));
    cal_buffer_add_text(out, ",\"about\":");
    json_text(out, f->about, strlen(f->about));
    cal_buffer_printf(out, ",\"soak\":%s,\"lost\":%s,\"of\":\"%s\"}", f->flags & SOAK ? "true" : "false",
                      f->flags & LOST ? "true" : "false",
                      f->flags & FILES   ? "files"
                      : f->flags & BATCH ? "batches"
                                         : "all");
  }
  cal_buffer_add_text(out, "]\n");
}

void scenario_reset(void) {
  while (scenarios) {
    scenario *s = scenarios;
    if (s->open) break; /* somebody is being answered: its counts stay */
    for (int i = 0; i < 1024; i++)
      while (s->buckets[i]) {
        count *c = s->buckets[i];
        s->buckets[i] = c->next;
        free(c->key), free(c);
      }
    scenarios = s->next;
    free(s->name), free(s);
  }
  cal_buffer_free(&records);
  record_count = 0;
}

/* The body for a reader: long runs of base64 become their length. */
static void add_elided(const cal_buffer *body, cal_buffer *out) {
  size_t run = 0;
  for (size_t i = 0; i <= body->size && out->size < 16 << 10; i++) {
    char c = i < body->size ? body->data[i] : 0;
    if (isalnum((unsigned char)c) || c == '+' || c == '/' || c == '=') {
      run++;
      continue;
    }
    if (run > 200) cal_buffer_printf(out, "<%zu>", run);
    else cal_buffer_add(out, body->data + i - run, run);
    run = 0;
    if (i < body->size) cal_buffer_add_byte(out, c);
  }
}

void scenario_record(const scenario *s, const request *r, const char *path, const question *q, const fault *f, int status) {
  if (record_count++ >= MOST_RECORDS) return;
  cal_buffer line = {0};
  cal_buffer_printf(&line, "%s {\"n\":%ld,\"method\":", s->name, record_count);
  json_text(&line, r->method, strlen(r->method));
  cal_buffer_add_text(&line, ",\"path\":");
  json_text(&line, path, strlen(path));
  cal_buffer_add_text(&line, ",\"query\":");
  json_text(&line, r->query, strlen(r->query));
  cal_buffer_printf(&line, ",\"host\":\"%s\",\"on_connection\":%d,\"bytes\":%zu,\"fault\":\"%s\",\"status\":%d,\"headers\":{",
                    r->other ? "other" : "main", r->serial, r->body.size, f ? f->name : "ok", status);
  for (int i = 0; i < r->header_count; i++) {
    if (i) cal_buffer_add_byte(&line, ',');
    json_text(&line, r->names[i], strlen(r->names[i]));
    cal_buffer_add_byte(&line, ':');
    json_text(&line, r->values[i], strlen(r->values[i]));
  }
  cal_buffer_add_byte(&line, '}');
  if (q) {
    cal_buffer_printf(&line, ",\"picture\":\"%s\",\"pictures\":%d,\"picture_bytes\":%zu,\"model\":", q->sha, q->pictures, q->picture_bytes);
    json_text(&line, q->model, strlen(q->model));
  }
  cal_buffer body = {0};
  if (r->body.size && cal_utf8_valid(r->body.data, r->body.size, NULL)) add_elided(&r->body, &body);
  cal_buffer_add_text(&line, ",\"body\":");
  json_text(&line, body.data ? body.data : "", body.size);
  cal_buffer_add_text(&line, "}\n");
  cal_buffer_add(&records, line.data, line.size);
  cal_buffer_free(&body);
  cal_buffer_free(&line);
}

bool scenario_has(const scenario *s, const char *fault_name) {
  for (int i = 0; i < s->item_count; i++)
    if (!strcmp(s->items[i].kind->name, fault_name)) return true;
  return false;
}
