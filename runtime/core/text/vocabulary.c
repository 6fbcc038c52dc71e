#include "core/text/vocabulary.h"

#include <string.h>

#include "core/base/buffer.h"
#include "core/base/memory.h"

typedef struct {
  size_t at; /* in `text` */
  uint32_t size;
  int32_t id;
} entry;

struct cal_vocabulary {
  cal_buffer text; /* every token, each with a NUL */
  entry *entries;
  size_t count, capacity;
  int32_t *slots; /* open addressing: entry index + 1, 0 is empty; slot_count is a power of two above twice the count */
  size_t slot_count;
  int32_t *by_id; /* entry index, -1 for a hole */
  int32_t id_count;
};

static uint64_t hash_of(const char *text, size_t size) {
  uint64_t h = 1469598103934665603u; /* FNV-1a */
  for (size_t i = 0; i < size; i++) h = (h ^ (unsigned char)text[i]) * 1099511628211u;
  return h ^ (h >> 29);
}

/* The slot that holds the token, or the empty one where it belongs. */
static size_t slot_of(const cal_vocabulary *v, const char *text, size_t size) {
  size_t slot = hash_of(text, size) & (v->slot_count - 1);
  for (; v->slots[slot]; slot = (slot + 1) & (v->slot_count - 1)) {
    const entry *e = &v->entries[v->slots[slot] - 1];
    if (e->size == size && !memcmp(v->text.data + e->at, text, size)) break;
  }
  return slot;
}

static cal_status grow(cal_vocabulary *v, cal_error *err) {
  size_t capacity = v->capacity ? 2 * v->capacity : 1024;
  entry *entries = cal_resize(v->entries, capacity * sizeof *entries, err);
  if (!entries) return CAL_E_MEMORY;
  v->entries = entries;
  int32_t *slots = cal_alloc_zero(4 * capacity, sizeof *slots, err);
  if (!slots) return CAL_E_MEMORY;
  cal_free(v->slots);
  v->slots = slots, v->slot_count = 4 * capacity, v->capacity = capacity;
  for (size_t i = 0; i < v->count; i++) v->slots[slot_of(v, v->text.data + entries[i].at, entries[i].size)] = (int32_t)i + 1;
  return CAL_OK;
}

static cal_status add(cal_vocabulary *v, const char *token, size_t size, int64_t id, cal_error *err) {
  if (v->count == v->capacity && grow(v, err)) return err ? err->code : CAL_E_MEMORY;
  if (id < 0 || id >= CAL_VOCABULARY_MOST)
    return cal_fail(err, CAL_E_LIMIT, "vocabulary: token \"%.60s\" has the id %lld; ids are 0 to %d", token, (long long)id,
                    CAL_VOCABULARY_MOST - 1);
  size_t slot = slot_of(v, token, size);
  if (v->slots[slot]) return cal_fail(err, CAL_E_FORMAT, "vocabulary: token \"%.60s\" comes twice", token);
  entry e = {v->text.size, (uint32_t)size, (int32_t)id};
  cal_buffer_add(&v->text, token, size);
  cal_buffer_add_byte(&v->text, 0);
  if (v->text.failed) return cal_fail(err, CAL_E_MEMORY, "vocabulary: no memory for %zu tokens", v->count + 1);
  v->entries[v->count++] = e;
  v->slots[slot] = (int32_t)v->count;
  return CAL_OK;
}

static cal_status index_ids(cal_vocabulary *v, cal_error *err) {
  for (size_t i = 0; i < v->count; i++)
    if (v->entries[i].id >= v->id_count) v->id_count = v->entries[i].id + 1;
  if (!(v->by_id = cal_alloc(((size_t)v->id_count + 1) * sizeof *v->by_id, err))) return CAL_E_MEMORY;
  memset(v->by_id, 0xff, ((size_t)v->id_count + 1) * sizeof *v->by_id);
  for (size_t i = 0; i < v->count; i++) {
    int32_t *place = &v->by_id[v->entries[i].id];
    if (*place >= 0)
      return cal_fail(err, CAL_E_FORMAT, "vocabulary: tokens \"%.60s\" and \"%.60s\" have the same id %d",
                      v->text.data + v->entries[*place].at, v->text.data + v->entries[i].at, v->entries[i].id);
    *place = (int32_t)i;
  }
  return CAL_OK;
}

/* ---- the little of JSON that vocab.json is made of --------------------------------------------------------------- */

typedef struct {
  const char *text;
  size_t size, at;
} reader;

static int peek(reader *r) {
  while (r->at < r->size && strchr(" \t\r\n", r->text[r->at]) && r->text[r->at]) r->at++;
  return r->at < r->size ? (unsigned char)r->text[r->at] : -1;
}

static cal_status bad(const reader *r, const char *what, cal_error *err) {
  return cal_fail(err, CAL_E_FORMAT, "vocabulary: byte %zu: %s; expected one JSON object of tokens and numbers", r->at, what);
}

static bool read_hex(reader *r, uint32_t *out) {
  if (r->size - r->at < 4) return false;
  *out = 0;
  for (int i = 0; i < 4; i++, r->at++) {
    int c = r->text[r->at] | 0x20;
    int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return false;
    *out = *out * 16 + (uint32_t)digit;
  }
  return true;
}

static void add_utf8(cal_buffer *b, uint32_t c) {
  if (c < 0x80) cal_buffer_add_byte(b, (char)c);
  else {
    int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    cal_buffer_add_byte(b, (char)((0xff00 >> (more + 1) & 0xff) | (c >> (6 * more))));
    while (more--) cal_buffer_add_byte(b, (char)(0x80 | (c >> (6 * more) & 0x3f)));
  }
}

static cal_status read_string(reader *r, cal_buffer *out, cal_error *err) {
  if (peek(r) != '"') return bad(r, "no string begins here", err);
  out->size = 0;
  for (r->at++; r->at < r->size && r->text[r->at] != '"';) {
    unsigned char c = (unsigned char)r->text[r->at];
    if (c < 0x20) return bad(r, "a control character in a string", err);
    if (c != '\\') {
      size_t from = r->at;
      if (cal_utf8_next(r->text, r->size, &r->at) < 0) return r->at = from, bad(r, "not UTF-8", err);
      cal_buffer_add(out, r->text + from, r->at - from);
      continue;
    }
    if (r->size - r->at < 2) break;
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    char escape = r->text[r->at + 1];
    const char *known = escape ? strchr(names, escape) : NULL;
    r->at += 2;
    uint32_t high, low;
    if (known) cal_buffer_add_byte(out, values[known - names]);
    else if (escape != 'u' || !read_hex(r, &high)) return bad(r, "a broken escape", err);
    else if (high < 0xd800 || high > 0xdfff) add_utf8(out, high);
    else if (high > 0xdbff || r->size - r->at < 6 || r->text[r->at] != '\\' || r->text[r->at + 1] != 'u' ||
             (r->at += 2, !read_hex(r, &low)) || low < 0xdc00 || low > 0xdfff)
      return bad(r, "half a surrogate pair", err);
    else add_utf8(out, 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
  }
  if (r->at >= r->size) return bad(r, "the text ends inside a string", err);
  r->at++;
  cal_buffer_add_byte(out, 0), out->size--; /* a NUL for messages; an empty token gets its memory too */
  return out->failed ? cal_fail(err, CAL_E_MEMORY, "vocabulary: no memory for a token of %zu bytes", out->size) : CAL_OK;
}

static cal_status read_entry(reader *r, cal_vocabulary *v, cal_buffer *token, cal_error *err) {
  cal_status status = read_string(r, token, err);
  if (status) return status;
  if (peek(r) != ':') return bad(r, "no ':' after a token", err);
  r->at++;
  peek(r);
  size_t from = r->at;
  bool negative = r->at < r->size && r->text[r->at] == '-';
  if (negative) r->at++;
  int64_t id = 0;
  size_t digits = r->at;
  for (; r->at < r->size && r->text[r->at] >= '0' && r->text[r->at] <= '9'; r->at++)
    if (id < INT32_MAX) id = id * 10 + (r->text[r->at] - '0');
  if (r->at == digits || (r->at < r->size && strchr(".eE", r->text[r->at]) && r->text[r->at]))
    return r->at = from, bad(r, "no whole number after a token", err);
  return add(v, token->data, token->size, negative ? -id : id, err);
}

static cal_status read_object(reader *r, cal_vocabulary *v, cal_buffer *token, cal_error *err) {
  if (peek(r) != '{') return bad(r, "no '{'", err);
  r->at++;
  if (peek(r) == '}') r->at++;
  else
    for (;;) {
      cal_status status = read_entry(r, v, token, err);
      if (status) return status;
      int next = peek(r);
      if (next != ',' && next != '}') return bad(r, next < 0 ? "the text ends inside the object" : "no ',' or '}' after a number", err);
      r->at++;
      if (next == '}') break;
    }
  return peek(r) >= 0 ? bad(r, "something follows the object", err) : CAL_OK;
}

cal_vocabulary *cal_vocabulary_read_json(const char *json, size_t size, cal_error *err) {
  cal_vocabulary *v = cal_alloc_zero(1, sizeof *v, err);
  if (!v) return NULL;
  reader r = {json, size, 0};
  cal_buffer token = {0};
  cal_status status = grow(v, err);
  if (!status) status = read_object(&r, v, &token, err);
  if (!status) status = index_ids(v, err);
  cal_buffer_free(&token);
  if (status) return cal_vocabulary_free(v), NULL;
  return v;
}

cal_vocabulary *cal_vocabulary_read_lines(const char *text, size_t size, cal_error *err) {
  cal_vocabulary *v = cal_alloc_zero(1, sizeof *v, err);
  if (!v) return NULL;
  cal_buffer token = {0};
  cal_status status = grow(v, err);
  for (size_t at = 0; at < size && !status;) {
    const char *end = memchr(text + at, '\n', size - at);
    const size_t length = end ? (size_t)(end - text) - at : size - at;
    token.size = 0;
    cal_buffer_add(&token, text + at, length && text[at + length - 1] == '\r' ? length - 1 : length);
    cal_buffer_add_byte(&token, 0); /* for messages */
    if (token.failed) status = cal_fail(err, CAL_E_MEMORY, "vocabulary: no memory for a token of %zu bytes", length);
    else status = add(v, token.data, token.size - 1, (int64_t)v->count, err);
    at += length + 1;
  }
  if (!status) status = index_ids(v, err);
  cal_buffer_free(&token);
  if (status) return cal_vocabulary_free(v), NULL;
  return v;
}

void cal_vocabulary_free(cal_vocabulary *v) {
  if (!v) return;
  cal_buffer_free(&v->text);
  cal_free(v->entries);
  cal_free(v->slots);
  cal_free(v->by_id);
  cal_free(v);
}

int32_t cal_vocabulary_find(const cal_vocabulary *v, const char *token, size_t size) {
  int32_t found = v->slots[slot_of(v, token, size)];
  return found ? v->entries[found - 1].id : -1;
}

int32_t cal_vocabulary_size(const cal_vocabulary *v) { return v->id_count; }

const char *cal_vocabulary_token(const cal_vocabulary *v, int32_t id, size_t *size) {
  if (id < 0 || id >= v->id_count || v->by_id[id] < 0) return NULL;
  const entry *e = &v->entries[v->by_id[id]];
  if (size) *size = e->size;
  return v->text.data + e->at;
}
