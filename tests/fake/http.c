/* http.c - requests in, replies out. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fake.h"

static char *copy(const char *text, size_t size) {
  char *out = malloc(size + 1);
  if (!out) abort();
  memcpy(out, text, size);
  out[size] = 0;
  return out;
}

const char *request_header(const request *r, const char *name) {
  for (int i = 0; i < r->header_count; i++)
    if (!strcmp(r->names[i], name)) return r->values[i];
  return NULL;
}

void request_free(request *r) {
  free(r->method), free(r->path), free(r->query);
  for (int i = 0; i < r->header_count; i++) free(r->names[i]), free(r->values[i]);
  cal_buffer_free(&r->body);
  *r = (request){0};
}

/* The bytes of a chunked body from `at`; 1 and *end when it is whole, 0 when not yet, -1 when it is nonsense. */
static int unchunk(const cal_buffer *in, size_t at, cal_buffer *body, size_t *end) {
  for (;;) {
    const char *line = in->data + at, *stop = memmem(line, in->size - at, "\r\n", 2);
    if (!stop) return 0;
    char *tail;
    unsigned long size = strtoul(line, &tail, 16);
    if (tail == line) return -1;
    at += (size_t)(stop - line) + 2;
    if (in->size < at + size + 2) return 0;
    cal_buffer_add(body, in->data + at, size);
    at += size + 2;
    if (!size) return *end = at, 1;
  }
}

int request_read(cal_buffer *in, request *r, bool *continue_wanted) {
  *continue_wanted = false;
  char *head_end = in->size ? memmem(in->data, in->size, "\r\n\r\n", 4) : NULL;
  if (!head_end) return in->size > 1 << 20 ? -1 : 0;
  size_t head = (size_t)(head_end - in->data) + 4, end = head;
  const char *line = in->data, *stop = memmem(line, head, "\r\n", 2);
  const char *space = memchr(line, ' ', (size_t)(stop - line)), *space2 = space ? memchr(space + 1, ' ', (size_t)(stop - space - 1)) : NULL;
  if (!space2 || strncmp(space2, " HTTP/1.", 8)) return -1;
  request got = {.method = copy(line, (size_t)(space - line)), .old_client = space2[8] == '0'};
  const char *mark = memchr(space + 1, '?', (size_t)(space2 - space - 1));
  got.path = copy(space + 1, (size_t)((mark ? mark : space2) - space - 1));
  got.query = mark ? copy(mark + 1, (size_t)(space2 - mark - 1)) : copy("", 0);
  for (line = stop + 2; line < head_end && got.header_count < MOST_HEADERS; line = stop + 2) {
    stop = memmem(line, (size_t)(head_end + 2 - line), "\r\n", 2);
    const char *colon = memchr(line, ':', (size_t)(stop - line));
    if (!colon) return request_free(&got), -1;
    char *name = copy(line, (size_t)(colon - line));
    for (char *c = name; *c; c++) *c = (char)tolower((unsigned char)*c);
    const char *value = colon + 1, *value_end = stop;
    while (value < value_end && *value == ' ') value++;
    while (value_end > value && value_end[-1] == ' ') value_end--;
    got.names[got.header_count] = name;
    got.values[got.header_count++] = copy(value, (size_t)(value_end - value));
  }
  const char *length = request_header(&got, "content-length"), *coding = request_header(&got, "transfer-encoding");
  const char *connection = request_header(&got, "connection"), *expect = request_header(&got, "expect");
  if (connection && !strcasecmp(connection, "close")) got.old_client = true;
  int whole = 1;
  if (coding && strcasestr(coding, "chunked")) whole = unchunk(in, head, &got.body, &end);
  else if (length) {
    size_t size = strtoull(length, NULL, 10);
    if (in->size < head + size) whole = 0;
    else cal_buffer_add(&got.body, in->data + head, size), end = head + size;
  }
  if (whole <= 0) {
    *continue_wanted = whole == 0 && expect && in->size == head && strcasestr(expect, "100-continue");
    return request_free(&got), whole;
  }
  cal_buffer rest = {0};
  cal_buffer_add(&rest, in->data + end, in->size - end);
  cal_buffer_free(in);
  *in = rest;
  *r = got;
  return 1;
}

/* --- Replies -------------------------------------------------------------------------------------------------------- */
void script_add(script *s, step_kind kind, double seconds) {
  if (s->count == s->capacity) {
    s->capacity = s->capacity ? s->capacity * 2 : 8;
    s->items = realloc(s->items, (size_t)s->capacity * sizeof *s->items);
    if (!s->items) abort();
  }
  s->items[s->count++] = (step){.kind = kind, .seconds = seconds};
}

void script_send(script *s, const void *bytes, size_t size) {
  script_add(s, STEP_SEND, 0);
  cal_buffer_add(&s->items[s->count - 1].bytes, bytes, size);
}

void script_clear(script *s) {
  for (int i = 0; i < s->count; i++) cal_buffer_free(&s->items[i].bytes);
  free(s->items);
  *s = (script){0};
}

void answer_free(answer *a) {
  cal_buffer_free(&a->headers);
  cal_buffer_free(&a->body);
  *a = (answer){0};
}

static const char *reason(int status) {
  static const struct {
    int status;
    const char *text;
  } table[] = {{200, "OK"},
               {206, "Partial Content"},
               {302, "Found"},
               {307, "Temporary Redirect"},
               {400, "Bad Request"},
               {401, "Unauthorized"},
               {403, "Forbidden"},
               {404, "Not Found"},
               {408, "Request Timeout"},
               {416, "Range Not Satisfiable"},
               {429, "Too Many Requests"},
               {500, "Internal Server Error"},
               {502, "Bad Gateway"},
               {503, "Service Unavailable"},
               {504, "Gateway Timeout"}};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (table[i].status == status) return table[i].text;
  return "Other";
}

static void chunk(script *s, const char *bytes, size_t size) {
  cal_buffer out = {0};
  cal_buffer_printf(&out, "%zx\r\n", size);
  cal_buffer_add(&out, bytes, size);
  cal_buffer_add_text(&out, "\r\n");
  script_send(s, out.data, out.size);
  cal_buffer_free(&out);
}

static void send_head(script *s, const answer *a, delivery how) {
  cal_buffer head = {0};
  cal_buffer_printf(&head, "HTTP/%s %d %s\r\nServer: fake\r\n", how == OLD_HTTP ? "1.0" : "1.1", a->status, reason(a->status));
  if (a->type) cal_buffer_printf(&head, "Content-Type: %s\r\n", a->type);
  cal_buffer_add(&head, a->headers.data, a->headers.size);
  size_t size = a->head_only ? a->head_length : a->body.size;
  if (how == LONGER) size += 10;
  if (how == SHORTER) size = size > 10 ? size - 10 : 0;
  if (how == NEGATIVE) cal_buffer_add_text(&head, "Content-Length: -1\r\n");
  else if (how == CHUNKED || how == CHUNKED_SMALL || how == CHUNKED_CUT || how == CHUNKED_BAD)
    cal_buffer_add_text(&head, "Transfer-Encoding: chunked\r\n");
  else if (how != OLD_HTTP) cal_buffer_printf(&head, "Content-Length: %zu\r\n", size);
  if (how == ENDLESS_HEAD)
    for (int i = 0; i < 16 << 10; i++) cal_buffer_printf(&head, "X-More-%05d: %050d\r\n", i, i);
  cal_buffer_add_text(&head, "\r\n");
  if (how == CUT_IN_HEAD) script_send(s, head.data, head.size / 2);
  else if (how == DRIPPED)
    for (size_t i = 0; i < head.size; i++) script_send(s, head.data + i, 1);
  else script_send(s, head.data, head.size);
  cal_buffer_free(&head);
}

/* Broken deliveries of an answer without a body (HEAD) are whole ones. */
void answer_deliver(const answer *a, delivery how, script *s) {
  const char *body = a->body.data ? a->body.data : "";
  size_t size = a->head_only ? 0 : a->body.size, half = size / 2;
  if (how == STALLED_HEAD) {
    script_add(s, STEP_STALL, 0);
    return;
  }
  if (how == CUT_HEAD) {
    script_add(s, STEP_CLOSE, 0);
    return;
  }
  if (how == RESET_HEAD) {
    script_add(s, STEP_RESET, 0);
    return;
  }
  if (how == GARBAGE) {
    static const char garbage[] = "\x16\x03\x01 this is no HTTP\r\n\r\n";
    script_send(s, garbage, sizeof garbage - 1);
    script_add(s, STEP_CLOSE, 0);
    return;
  }
  if (how == INFORMED) {
    static const char first[] = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n";
    script_send(s, first, sizeof first - 1);
  }
  if (a->head_only) how = WHOLE;
  send_head(s, a, how);
  switch (how) {
    case SLOWLY:
      for (size_t i = 0; i < 8; i++) {
        script_send(s, body + size * i / 8, size * (i + 1) / 8 - size * i / 8);
        script_add(s, STEP_WAIT, 0.01);
      }
      break;
    case DRIPPED:
      for (size_t i = 0; i < size; i++) script_send(s, body + i, 1);
      break;
    case STALLED: script_send(s, body, half), script_add(s, STEP_STALL, 0); break;
    case CUT: script_send(s, body, half), script_add(s, STEP_CLOSE, 0); break;
    case CUT_IN_HEAD: script_add(s, STEP_CLOSE, 0); break;
    case RESET: script_send(s, body, half), script_add(s, STEP_WAIT, 0.005), script_add(s, STEP_RESET, 0); break;
    case LONGER: script_send(s, body, size), script_add(s, STEP_CLOSE, 0); break;
    case CHUNKED:
      chunk(s, body, half);
      chunk(s, body + half, size - half);
      chunk(s, "", 0);
      break;
    case CHUNKED_SMALL:
      for (size_t i = 0, n; i < size; i += n) n = i % 3 + 1 < size - i ? i % 3 + 1 : size - i, chunk(s, body + i, n);
      chunk(s, "", 0);
      break;
    case CHUNKED_CUT: chunk(s, body, half), script_add(s, STEP_CLOSE, 0); break;
    case CHUNKED_BAD:
      chunk(s, body, half);
      script_send(s, "zz\r\nnonsense\r\n", 14);
      script_add(s, STEP_CLOSE, 0);
      break;
    default: script_send(s, body, size); break;
  }
  if (a->paid) script_add(s, STEP_DELIVERED, 0);
  if (how == OLD_HTTP || how == CLOSED_AFTER || how == SHORTER || how == NEGATIVE) script_add(s, STEP_CLOSE, 0);
}
