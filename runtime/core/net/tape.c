#include "core/net/tape.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/memory.h"
#include "core/base/sha256.h"
#include "core/codec/json.h"
#include "core/net/secret.h"

static const char first_line[] = "{\"tape\":1}\n";

typedef struct {
  char key[CAL_SHA256_HEX];
  size_t at, size; /* its line */
} exchange;

struct cal_tape {
  char *path;
  int fd; /* -1: being played */
  cal_buffer bytes;
  exchange *exchanges; /* by key, then as recorded */
  size_t count, room;
  size_t *played; /* per exchange, at the first of its key: how many were handed out */
  cal_json *line; /* of the last reply */
  cal_buffer body;
};

static void key_of(const char *method, const char *path, const void *body, size_t size, char hex[CAL_SHA256_HEX]) {
  cal_sha256 h;
  cal_sha256_start(&h);
  cal_sha256_add(&h, method, strlen(method) + 1);
  cal_sha256_add(&h, path, strlen(path) + 1);
  if (size) cal_sha256_add(&h, body, size);
  cal_sha256_end(&h, hex);
}

void cal_tape_close(cal_tape *tape) {
  if (!tape) return;
  if (tape->fd >= 0) close(tape->fd);
  cal_buffer_free(&tape->bytes);
  cal_buffer_free(&tape->body);
  cal_json_free(tape->line);
  cal_free(tape->exchanges);
  cal_free(tape->played);
  cal_free(tape->path);
  cal_free(tape);
}

static cal_tape *new_tape(const char *path, cal_error *err) {
  cal_tape *tape = cal_alloc_zero(1, sizeof *tape, err);
  if (!tape) return NULL;
  tape->fd = -1;
  tape->path = cal_copy_text(path, err);
  if (!tape->path) cal_tape_close(tape), tape = NULL;
  return tape;
}

static cal_status no_tape(const char *path, cal_error *err) {
  return cal_fail(err, CAL_E_FORMAT, "%s is no recording: its first line is not {\"tape\":1}", path);
}

/* Replies are text; what is not is written as two digits for each byte. */
static void add_hex(cal_buffer *out, const unsigned char *bytes, size_t size) {
  static const char digits[] = "0123456789abcdef";
  for (size_t i = 0; i < size; i++) {
    cal_buffer_add_byte(out, digits[bytes[i] >> 4]);
    cal_buffer_add_byte(out, digits[bytes[i] & 15]);
  }
}

static cal_status from_hex(const char *text, cal_buffer *out, cal_error *err) {
  static const char digits[] = "0123456789abcdef";
  for (; *text; text += 2) {
    const char *high = strchr(digits, text[0]), *low = text[1] ? strchr(digits, text[1]) : NULL;
    if (!high || !low) return cal_fail(err, CAL_E_FORMAT, "\"hex\" is no row of hexadecimal bytes");
    cal_buffer_add_byte(out, (char)((high - digits) << 4 | (low - digits)));
  }
  return out->failed ? cal_fail(err, CAL_E_MEMORY, "not enough memory for a reply") : CAL_OK;
}

/* ---- recording ---- */

static cal_status put_line(cal_tape *tape, const char *bytes, size_t size, cal_error *err) {
  off_t before = lseek(tape->fd, 0, SEEK_END);
  while (size) {
    ssize_t put = write(tape->fd, bytes, size);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) {
      cal_fail_errno(err, errno, "%s cannot be written", tape->path);
      if (before >= 0 && ftruncate(tape->fd, before)) return CAL_E_IO; /* half a line is skipped when it is played */
      return CAL_E_IO;
    }
    bytes += put;
    size -= (size_t)put;
  }
  return fsync(tape->fd) ? cal_fail_errno(err, errno, "%s cannot be written", tape->path) : CAL_OK;
}

/* Cut off a line without its end. The file has at least its first line. */
static cal_status mend(cal_tape *tape, off_t size, cal_error *err) {
  char piece[4096];
  off_t end = size;
  while (end > 0) {
    size_t want = end < (off_t)sizeof piece ? (size_t)end : sizeof piece;
    if (pread(tape->fd, piece, want, end - (off_t)want) != (ssize_t)want)
      return cal_fail_errno(err, errno ? errno : EIO, "%s cannot be read", tape->path);
    while (want && piece[want - 1] != '\n') want--, end--;
    if (want) break;
  }
  if (end == size) return CAL_OK;
  return ftruncate(tape->fd, end) ? cal_fail_errno(err, errno, "%s cannot be written", tape->path) : CAL_OK;
}

cal_tape *cal_tape_record(const cal_fs *fs, const char *path, cal_error *err) {
  cal_tape *tape = new_tape(path, err);
  if (!tape) return NULL;
  cal_status status = CAL_OK;
  tape->fd = cal_fs_open_append(fs, path, err);
  if (tape->fd < 0) return cal_tape_close(tape), NULL;
  if (flock(tape->fd, LOCK_EX | LOCK_NB)) {
    status = errno == EWOULDBLOCK ? cal_fail(err, CAL_E_BUSY, "%s is being recorded by another process", path)
                                  : cal_fail_errno(err, errno, "%s cannot be locked", path);
  } else {
    char start[sizeof first_line] = "";
    const size_t length = sizeof first_line - 1;
    ssize_t got = pread(tape->fd, start, length, 0);
    bool begun = got > 0 && memcmp(start, first_line, (size_t)got) == 0; /* a kill may have cut the first line */
    if (got < 0) status = cal_fail_errno(err, errno, "%s cannot be read", path);
    else if (got && !begun) status = no_tape(path, err);
    else if (got < (ssize_t)length) {
      if (ftruncate(tape->fd, 0)) status = cal_fail_errno(err, errno, "%s cannot be written", path);
      else status = put_line(tape, first_line, length, err);
    } else status = mend(tape, lseek(tape->fd, 0, SEEK_END), err);
  }
  if (status) cal_tape_close(tape), tape = NULL;
  return tape;
}

static cal_status put_text(cal_json *line, const char *key, const char *text, cal_error *err) {
  return text ? cal_json_put(line, key, cal_json_from_text(text, err), err) : CAL_OK;
}

cal_status cal_tape_add(cal_tape *tape, const char *method, const char *path, const void *body, size_t size, const cal_tape_reply *reply,
                        cal_error *err) {
  if (tape->fd < 0) return cal_fail(err, CAL_E_ARG, "%s is being played, not recorded", tape->path);
  char key[CAL_SHA256_HEX], date[CAL_DATE];
  key_of(method, path, body, size, key);
  cal_date(date);
  cal_buffer shown = {0}, text = {0}, out = {0};
  cal_buffer_add_printable(&shown, path, strlen(path));
  cal_json *line = cal_json_new(CAL_JSON_OBJECT, err);
  cal_status status = line ? cal_scrub(&shown, err) : CAL_E_MEMORY;
  if (!status) status = put_text(line, "date", date, err);
  if (!status) status = put_text(line, "key", key, err);
  if (!status) status = put_text(line, "method", method, err);
  if (!status) status = put_text(line, "path", shown.data ? shown.data : "", err);
  if (!status) status = put_text(line, "content-type", reply->content_type, err);
  if (!status) status = put_text(line, "retry-after", reply->retry_after, err);
  if (!status) status = put_text(line, "ratelimit", reply->rate_limit, err);
  if (!status) status = cal_json_put(line, "status", cal_json_from_number(reply->status, err), err);
  bool plain = !reply->size || (!memchr(reply->body, 0, reply->size) && cal_utf8_valid(reply->body, reply->size, NULL));
  if (plain) cal_buffer_add(&text, reply->body, reply->size);
  else add_hex(&text, reply->body, reply->size);
  if (!status && text.failed)
    status = cal_fail(err, CAL_E_MEMORY, "%s: not enough memory for a reply of %zu bytes", tape->path, reply->size);
  if (!status) status = put_text(line, plain ? "body" : "hex", text.data, err);
  if (!status) status = cal_json_write(line, 0, &out, err);
  if (!status && out.size >= CAL_JSON_MOST)
    status = cal_fail(err, CAL_E_LIMIT, "%s: a reply of %zu bytes is too large for a recording", tape->path, reply->size);
  cal_buffer_add_byte(&out, '\n');
  if (!status && out.failed) status = cal_fail(err, CAL_E_MEMORY, "%s: not enough memory for a line", tape->path);
  if (!status) status = put_line(tape, out.data, out.size, err);
  cal_json_free(line);
  cal_buffer_free(&shown);
  cal_buffer_free(&text);
  cal_buffer_free(&out);
  return status;
}

/* ---- playing ---- */

static int by_key(const void *a, const void *b) {
  const exchange *x = a, *y = b;
  int order = strcmp(x->key, y->key);
  return order ? order : x->at < y->at ? -1 : x->at > y->at;
}

static cal_status read_exchange(cal_tape *tape, size_t at, size_t size, cal_error *err) {
  cal_json *line = cal_json_parse(tape->bytes.data + at, size, err);
  if (!line) return err ? err->code : CAL_E_FORMAT;
  const char *key = cal_json_text(cal_json_find(line, "key")), *packed = cal_json_text(cal_json_find(line, "hex"));
  double number = cal_json_number(cal_json_find(line, "status"));
  cal_status status = CAL_OK;
  cal_buffer body = {0};
  if (!key || strlen(key) != CAL_SHA256_HEX - 1 || !(number >= 100 && number <= 999) ||
      !(packed || cal_json_text(cal_json_find(line, "body"))))
    status = cal_fail(err, CAL_E_FORMAT, "this is no exchange: \"key\", \"status\" and \"body\" or \"hex\" belong there");
  else if (packed) status = from_hex(packed, &body, err);
  if (!status && tape->count == tape->room) {
    size_t room = tape->room ? 2 * tape->room : 64;
    exchange *more = cal_resize(tape->exchanges, room * sizeof *more, err);
    if (!more) status = CAL_E_MEMORY;
    else tape->exchanges = more, tape->room = room;
  }
  if (!status) {
    exchange *e = &tape->exchanges[tape->count++];
    *e = (exchange){.at = at, .size = size};
    memcpy(e->key, key, sizeof e->key);
  }
  cal_buffer_free(&body);
  cal_json_free(line);
  return status;
}

cal_tape *cal_tape_replay(const cal_fs *fs, const char *path, cal_error *err) {
  cal_tape *tape = new_tape(path, err);
  if (!tape) return NULL;
  cal_status status = cal_fs_read(fs, path, CAL_TAPE_MOST, &tape->bytes, err);
  const size_t length = sizeof first_line - 1;
  const cal_buffer *b = &tape->bytes;
  if (!status && (b->size < length || memcmp(b->data, first_line, length) != 0)) status = no_tape(path, err);
  int number = 2;
  for (size_t at = length; !status && at < b->size; number++) {
    const char *end = memchr(b->data + at, '\n', b->size - at);
    if (!end) break;
    size_t size = (size_t)(end - (b->data + at));
    status = read_exchange(tape, at, size, err);
    if (status && status != CAL_E_MEMORY) cal_error_context(err, "%s: line %d", path, number);
    at += size + 1;
  }
  if (!status && !(tape->played = cal_alloc_zero(tape->count + 1, sizeof *tape->played, err))) status = CAL_E_MEMORY;
  if (!status && tape->count) qsort(tape->exchanges, tape->count, sizeof *tape->exchanges, by_key);
  if (status) cal_tape_close(tape), tape = NULL;
  return tape;
}

cal_status cal_tape_next(cal_tape *tape, const char *method, const char *path, const void *body, size_t size, cal_tape_reply *reply,
                         cal_error *err) {
  *reply = (cal_tape_reply){0};
  if (tape->fd >= 0) return cal_fail(err, CAL_E_ARG, "%s is being recorded, not played", tape->path);
  exchange wanted = {.at = 0};
  key_of(method, path, body, size, wanted.key);
  size_t low = 0, high = tape->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (strcmp(tape->exchanges[middle].key, wanted.key) < 0) low = middle + 1;
    else high = middle;
  }
  size_t same = 0;
  while (low + same < tape->count && strcmp(tape->exchanges[low + same].key, wanted.key) == 0) same++;
  if (!same)
    return cal_fail(err, CAL_E_NOTFOUND,
                    "%s has no reply to this %s %s among its %zu: a picture, the prompt, the model or an option is another than when it "
                    "was recorded; record it again, with a key and the network",
                    tape->path, method, path, tape->count);
  size_t turn = tape->played[low] < same ? tape->played[low]++ : same - 1;
  const exchange *e = &tape->exchanges[low + turn];
  cal_json_free(tape->line);
  tape->line = cal_json_parse(tape->bytes.data + e->at, e->size, err);
  if (!tape->line) return err ? err->code : CAL_E_MEMORY;
  tape->body.size = 0;
  const char *packed = cal_json_text(cal_json_find(tape->line, "hex")), *text = cal_json_text(cal_json_find(tape->line, "body"));
  cal_status status = packed ? from_hex(packed, &tape->body, err) : CAL_OK;
  if (status) return status;
  *reply = (cal_tape_reply){
      .status = (int)cal_json_number(cal_json_find(tape->line, "status")),
      .content_type = cal_json_text(cal_json_find(tape->line, "content-type")),
      .retry_after = cal_json_text(cal_json_find(tape->line, "retry-after")),
      .rate_limit = cal_json_text(cal_json_find(tape->line, "ratelimit")),
      .body = packed ? tape->body.data : text,
      .size = packed ? tape->body.size : strlen(text),
  };
  return CAL_OK;
}
