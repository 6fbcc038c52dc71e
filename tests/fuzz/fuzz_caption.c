/* The first byte chooses format (or a batch), status and direction; the rest is a reply's body, or a question's settings and schema.
 * A reply: an answer whose text and why are printable UTF-8, with words where it is done and a reason where it is not.
 * A question: refused with a reason, or a body that is JSON. */
#include <stdlib.h>
#include <string.h>

#include "core/caption/gemini_batch.h"
#include "core/caption/wire.h"
#include "core/codec/json.h"

static void require(bool condition) {
  if (!condition) abort();
}

static void check_printable(const char *text, size_t size, bool lines) {
  require(cal_utf8_valid(text, size, NULL));
  for (size_t i = 0; i < size; i++) {
    unsigned char c = (unsigned char)text[i];
    require((c >= 0x20 && c != 0x7f) || (lines && (c == '\n' || c == '\t')));
  }
}

static void read_reply(const cal_wire *wire, int status, const char *body, size_t size) {
  cal_wire_answer a;
  require(wire->read(status, size % 3 ? "application/json" : NULL, body, size, &a, NULL) == CAL_OK);
  require((a.verdict == CAL_WIRE_DONE) == !a.why[0]);
  require(a.verdict == CAL_WIRE_DONE ? a.text.size > 0 : a.verdict == CAL_WIRE_CUT || !a.text.size);
  require(a.text.size <= CAL_WIRE_CAPTION_MOST && a.wait_seconds >= -1 && a.wait_seconds <= 1e9);
  require(a.tokens_in >= -1 && a.tokens_out >= -1 && a.tokens_thought >= -1);
  check_printable(a.text.size ? a.text.data : "", a.text.size, true);
  check_printable(a.why, strlen(a.why), false);
  check_printable(a.model, strlen(a.model), false);
  check_printable(a.finish, strlen(a.finish), false);
  cal_wire_answer_free(&a);
}

static cal_status look(void *context, size_t index, const char *key, const cal_wire_answer *a, cal_error *err) {
  (void)index, (void)err;
  ++*(size_t *)context;
  require((a->verdict == CAL_WIRE_DONE) == !a->why[0] && (a->verdict != CAL_WIRE_DONE || a->text.size));
  if (key) require(cal_utf8_valid(key, strlen(key), NULL));
  check_printable(a->why, strlen(a->why), false);
  return CAL_OK;
}

static void read_batch(int status, const char *body, size_t size) {
  cal_gemini_batch b;
  size_t seen = 0;
  char next[256];
  require(cal_gemini_batch_read(status, NULL, body, size, look, &seen, &b, NULL) == CAL_OK && seen == b.answers);
  require(b.verdict == CAL_WIRE_DONE ? !strncmp(b.name, "batches/", 8) : b.why[0]);
  check_printable(b.why, strlen(b.why), false);
  check_printable(b.display_name, strlen(b.display_name), false);
  require(cal_gemini_batch_find(status, NULL, body, size, "my 1", &b, next, NULL) == CAL_OK);
  seen = 0;
  require(cal_gemini_batch_lines(body, size, look, &seen, NULL) == CAL_OK);
  cal_gemini_lines lines = {0}; /* the same in pieces */
  size_t again = 0;
  for (size_t at = 0, piece = 1; at < size; at += piece, piece = piece % 7 + 1) {
    if (piece > size - at) piece = size - at;
    require(cal_gemini_lines_add(&lines, body + at, piece, look, &again, NULL) == CAL_OK);
  }
  require(cal_gemini_lines_end(&lines, look, &again, NULL) == CAL_OK && again == seen);
  cal_gemini_lines_free(&lines);
}

static void ask(const cal_wire *wire, char *text, size_t size) {
  char *end = memchr(text, 0, size);
  const char *settings = text, *rest = end < text + size - 1 ? end + 1 : "";
  cal_wire_picture picture = {"\1\2\3", 3, "image/png"};
  cal_wire_question q = {.model = "m", .settings = settings, .pictures = &picture, .picture_count = 1};
  if (size % 2) q.schema = *rest ? rest : NULL;
  else q.user = rest, q.system = rest, q.model = size % 4 ? "m" : rest;
  cal_buffer path = {0}, body = {0};
  const char *type = NULL;
  cal_error err = {0};
  if (wire->build(&q, &path, &body, &type, &err)) {
    require(err.code && err.text[0]);
  } else {
    for (size_t i = 0; i < path.size; i++) require(path.data[i] > ' ' && path.data[i] < 127);
    cal_json *value = cal_json_parse(body.data, body.size, &err);
    require(value || strcmp(type, "application/json") != 0);
    cal_json_free(value);
  }
  cal_buffer_free(&path);
  cal_buffer_free(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  static const int statuses[] = {200, 400, 401, 403, 404, 429, 500, 503};
  if (!size) return 0;
  size_t count = 0;
  while (cal_wire_at(count)) count++;
  const cal_wire *wire = cal_wire_at((size_t)(bytes[0] & 7) % (count + 1)); /* NULL: a batch */
  char *text = malloc(size);                                                /* of its own size: a byte too far is seen */
  if (!text) return 0;
  memcpy(text, bytes + 1, size - 1);
  text[size - 1] = 0;
  if (wire && bytes[0] & 8) {
    ask(wire, text, size);
  } else {
    char *exact = malloc(size - 1 ? size - 1 : 1);
    if (exact) {
      memcpy(exact, text, size - 1);
      int status = statuses[bytes[0] >> 4 & 7];
      if (wire) read_reply(wire, status, exact, size - 1);
      else read_batch(status, exact, size - 1);
    }
    free(exact);
  }
  free(text);
  return 0;
}
