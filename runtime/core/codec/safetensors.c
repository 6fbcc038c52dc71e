#include "core/codec/safetensors.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/codec/json.h"

static const struct {
  const char *name;
  size_t size;
} dtypes[] = {{"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1}, {"U16", 2}, {"I16", 2}, {"F16", 2},
              {"BF16", 2}, {"U32", 4}, {"I32", 4}, {"F32", 4},     {"U64", 8},     {"I64", 8}, {"F64", 8}};
enum { DTYPES = sizeof dtypes / sizeof *dtypes };

const char *cal_st_dtype_name(cal_st_dtype type) { return (unsigned)type < DTYPES ? dtypes[type].name : "?"; }
size_t cal_st_dtype_size(cal_st_dtype type) { return (unsigned)type < DTYPES ? dtypes[type].size : 0; }

/* Bytes of a tensor; false when they are more than 2^63. */
static bool measure(const cal_st_tensor *t, uint64_t *bytes) {
  uint64_t size = cal_st_dtype_size(t->dtype);
  bool empty = false;
  for (int i = 0; i < t->rank; i++) empty = empty || !t->shape[i];
  for (int i = 0; i < t->rank && !empty; i++) {
    if (t->shape[i] > ((uint64_t)1 << 63) / size) return false;
    size *= t->shape[i];
  }
  *bytes = empty ? 0 : size;
  return true;
}

static int by_name(const void *a, const void *b) { return strcmp(((const cal_st_tensor *)a)->name, ((const cal_st_tensor *)b)->name); }

/* ---- reading ---- */

struct cal_st {
  cal_mapping map; /* not of cal_st_open_bytes */
  cal_json *header;
  cal_st_tensor *tensors;
  cal_st_note *notes;
  size_t count, note_count;
  const char *format; /* of cal_st_take, like the next two */
  void *keep;
  void (*release)(void *keep);
};

/* A name as it may stand in a message. */
static const char *shown(const char *name, char room[128]) {
  cal_buffer b = {0};
  cal_buffer_add_printable(&b, name, strnlen(name, 60));
  snprintf(room, 128, "%s", b.data && !b.failed ? b.data : "?");
  cal_buffer_free(&b);
  return room;
}

/* A whole number of JSON that is exact in a double: 0 to 2^53. */
static bool whole(const cal_json *value, uint64_t *out) {
  double x = value ? cal_json_number(value) : (double)NAN;
  if (!(x >= 0 && x <= 0x1p53 && x == floor(x))) return false;
  *out = (uint64_t)x;
  return true;
}

static cal_status read_tensor(const cal_json *entry, uint64_t data_at, uint64_t data_size, cal_st_tensor *t, cal_error *err) {
  char room[128];
  const char *name = shown(cal_json_key(entry), room);
  if (cal_json_kind_of(entry) != CAL_JSON_OBJECT) return cal_fail(err, CAL_E_FORMAT, "tensor \"%s\" is not an object", name);
  const cal_json *type = cal_json_find(entry, "dtype"), *shape = cal_json_find(entry, "shape"),
                 *span = cal_json_find(entry, "data_offsets");
  const char *type_name = type ? cal_json_text(type) : NULL;
  int known = 0;
  while (type_name && known < DTYPES && strcmp(dtypes[known].name, type_name)) known++;
  if (!type_name) return cal_fail(err, CAL_E_FORMAT, "tensor \"%s\" has no dtype", name);
  if (known == DTYPES) {
    char type_room[128];
    return cal_fail(err, CAL_E_FORMAT, "tensor \"%s\" has the dtype \"%s\", which is not known", name, shown(type_name, type_room));
  }
  *t = (cal_st_tensor){.name = cal_json_key(entry), .dtype = (cal_st_dtype)known};
  if (!shape || cal_json_kind_of(shape) != CAL_JSON_ARRAY) return cal_fail(err, CAL_E_FORMAT, "tensor \"%s\" has no shape", name);
  for (const cal_json *side = cal_json_first(shape); side; side = cal_json_next(side)) {
    if (t->rank == CAL_ST_DIMENSIONS)
      return cal_fail(err, CAL_E_LIMIT, "tensor \"%s\" has more than %d dimensions", name, CAL_ST_DIMENSIONS);
    if (!whole(side, &t->shape[t->rank++]))
      return cal_fail(err, CAL_E_FORMAT, "tensor \"%s\": a side of its shape is no whole number", name);
  }
  uint64_t from, to, bytes;
  const cal_json *first = span && cal_json_kind_of(span) == CAL_JSON_ARRAY && cal_json_count(span) == 2 ? cal_json_first(span) : NULL;
  if (!first || !whole(first, &from) || !whole(cal_json_next(first), &to) || to < from)
    return cal_fail(err, CAL_E_FORMAT, "tensor \"%s\": its data_offsets are not two rising whole numbers", name);
  if (to > data_size)
    return cal_fail(err, CAL_E_FORMAT, "tensor \"%s\" ends at byte %llu of the data; the file has %llu. Is the download complete?", name,
                    (unsigned long long)to, (unsigned long long)data_size);
  if (!measure(t, &bytes)) return cal_fail(err, CAL_E_FORMAT, "tensor \"%s\": its shape has more numbers than any file", name);
  if (bytes != to - from)
    return cal_fail(err, CAL_E_FORMAT, "tensor \"%s\" has %llu bytes; its shape and dtype need %llu", name, (unsigned long long)(to - from),
                    (unsigned long long)bytes);
  t->offset = data_at + from;
  t->size = bytes;
  return CAL_OK;
}

static int by_offset(const void *a, const void *b) {
  const cal_st_tensor *s = a, *t = b;
  if (s->offset != t->offset) return s->offset < t->offset ? -1 : 1;
  return s->size < t->size ? -1 : s->size > t->size; /* an empty one before the one that begins where it lies */
}

/* Together the tensors are the data: no overlap, no gap. Sorts by offset. */
static cal_status check_cover(cal_st *st, uint64_t data_at, uint64_t end, cal_error *err) {
  if (st->count) qsort(st->tensors, st->count, sizeof *st->tensors, by_offset);
  uint64_t at = data_at;
  char room[128], other[128];
  for (size_t i = 0; i < st->count; i++) {
    const cal_st_tensor *t = &st->tensors[i];
    if (t->offset < at)
      return cal_fail(err, CAL_E_FORMAT, "tensors \"%s\" and \"%s\" overlap", shown(t[-1].name, room), shown(t->name, other));
    if (t->offset > at)
      return cal_fail(err, CAL_E_FORMAT, "%llu bytes before tensor \"%s\" belong to no tensor", (unsigned long long)(t->offset - at),
                      shown(t->name, room));
    at += t->size;
  }
  if (at < end) return cal_fail(err, CAL_E_FORMAT, "the last %llu bytes belong to no tensor", (unsigned long long)(end - at));
  return CAL_OK;
}

static cal_status read_header(cal_st *st, const unsigned char *bytes, size_t size, cal_error *err) {
  uint64_t length = 0;
  if (size < 8) return cal_fail(err, CAL_E_FORMAT, "%zu bytes are too few for a safetensors file", size);
  for (int i = 7; i >= 0; i--) length = length << 8 | bytes[i];
  if (length > size - 8)
    return cal_fail(err, CAL_E_FORMAT, "the header claims %llu bytes; the file has %zu. Not a safetensors file, or cut short",
                    (unsigned long long)length, size);
  if (length > CAL_ST_HEADER_MOST)
    return cal_fail(err, CAL_E_LIMIT, "the header has %llu bytes; at most %d are read", (unsigned long long)length, CAL_ST_HEADER_MOST);
  st->header = cal_json_parse((const char *)bytes + 8, (size_t)length, err);
  if (!st->header) return cal_error_context(err, "header"), err ? err->code : CAL_E_FORMAT;
  if (cal_json_kind_of(st->header) != CAL_JSON_OBJECT) return cal_fail(err, CAL_E_FORMAT, "the header is not an object");
  st->tensors = cal_alloc(cal_json_count(st->header) * sizeof *st->tensors, err);
  if (!st->tensors) return CAL_E_MEMORY;
  const cal_json *notes = NULL;
  uint64_t data_at = 8 + length;
  for (const cal_json *entry = cal_json_first(st->header); entry; entry = cal_json_next(entry)) {
    if (!strcmp(cal_json_key(entry), "__metadata__")) {
      notes = entry;
      continue;
    }
    cal_status status = read_tensor(entry, data_at, size - data_at, &st->tensors[st->count++], err);
    if (status) return status;
  }
  if (notes && cal_json_kind_of(notes) != CAL_JSON_OBJECT) return cal_fail(err, CAL_E_FORMAT, "__metadata__ is not an object");
  st->notes = cal_alloc(cal_json_count(notes) * sizeof *st->notes, err);
  if (!st->notes) return CAL_E_MEMORY;
  for (const cal_json *note = cal_json_first(notes); note; note = cal_json_next(note)) {
    const char *text = cal_json_text(note);
    char room[128];
    if (!text) return cal_fail(err, CAL_E_FORMAT, "__metadata__: \"%s\" is not a text", shown(cal_json_key(note), room));
    st->notes[st->note_count++] = (cal_st_note){cal_json_key(note), text};
  }
  cal_status status = check_cover(st, data_at, size, err);
  if (status) return status;
  for (size_t i = 0; i < st->count; i++) st->tensors[i].data = bytes + st->tensors[i].offset;
  if (st->count) qsort(st->tensors, st->count, sizeof *st->tensors, by_name);
  return CAL_OK;
}

static cal_st *open_bytes(cal_mapping map, bool mapped, const char *name, cal_error *err) {
  cal_st *st = cal_alloc_zero(1, sizeof *st, err);
  if (!st) {
    if (mapped) cal_fs_unmap(&map);
    return NULL;
  }
  if (mapped) st->map = map;
  if (read_header(st, map.data, map.size, err)) {
    cal_error_context(err, "%s", name);
    cal_st_close(st);
    return NULL;
  }
  return st;
}

cal_st *cal_st_open(const cal_fs *fs, const char *path, cal_error *err) {
  cal_mapping map;
  return cal_fs_map(fs, path, &map, err) ? NULL : open_bytes(map, true, path, err);
}

cal_st *cal_st_open_bytes(const void *bytes, size_t size, const char *name, cal_error *err) {
  return open_bytes((cal_mapping){bytes, size}, false, name, err);
}

void cal_st_close(cal_st *st) {
  if (!st) return;
  cal_json_free(st->header);
  cal_free(st->tensors);
  cal_free(st->notes);
  if (st->release) st->release(st->keep);
  cal_fs_unmap(&st->map);
  cal_free(st);
}

void cal_st_unneeded(const cal_st *st, const cal_st_tensor *t) {
  if (st->map.data && t->offset) cal_fs_unneeded(&st->map, t->data, t->size);
}

cal_st *cal_st_take(const char *format, cal_mapping map, cal_st_tensor *tensors, size_t count, void *keep, void (*release)(void *keep),
                    cal_error *err) {
  cal_st *st = cal_alloc_zero(1, sizeof *st, err);
  if (!st) {
    cal_free(tensors);
    release(keep);
    cal_fs_unmap(&map);
    return NULL;
  }
  *st = (cal_st){.map = map, .tensors = tensors, .count = count, .format = format, .keep = keep, .release = release};
  if (count) qsort(tensors, count, sizeof *tensors, by_name);
  char room[128];
  for (size_t i = 1; i < count; i++) {
    if (strcmp(tensors[i - 1].name, tensors[i].name)) continue;
    cal_fail(err, CAL_E_FORMAT, "tensor \"%s\" stands twice", shown(tensors[i].name, room));
    cal_st_close(st);
    return NULL;
  }
  return st;
}

const char *cal_st_format(const cal_st *st) { return st->format ? st->format : "safetensors"; }

size_t cal_st_count(const cal_st *st) { return st->count; }
const cal_st_tensor *cal_st_tensors(const cal_st *st) { return st->tensors; }

const cal_st_tensor *cal_st_find(const cal_st *st, const char *name) {
  cal_st_tensor key = {.name = name};
  return st->count ? bsearch(&key, st->tensors, st->count, sizeof key, by_name) : NULL;
}

const cal_st_note *cal_st_notes(const cal_st *st, size_t *count) {
  *count = st->note_count;
  return st->notes;
}

const char *cal_st_note_text(const cal_st *st, const char *key) {
  for (size_t i = 0; i < st->note_count; i++)
    if (!strcmp(st->notes[i].key, key)) return st->notes[i].value;
  return NULL;
}

/* ---- writing ---- */

typedef struct {
  cal_st_tensor t; /* the name is ours; offset counts from the start of the file */
  uint64_t written;
} planned;

struct cal_st_writer {
  cal_fs_file *file;
  char *path;
  planned *list; /* sorted by name */
  size_t count;
};

static int planned_by_name(const void *a, const void *b) { return strcmp(((const planned *)a)->t.name, ((const planned *)b)->t.name); }

static const cal_st_tensor *tensor_of(const void *pointer) { return &(*(planned *const *)pointer)->t; }

static int by_layout(const void *a, const void *b) {
  const cal_st_tensor *s = tensor_of(a), *t = tensor_of(b);
  size_t wide = cal_st_dtype_size(s->dtype), other = cal_st_dtype_size(t->dtype);
  if (wide != other) return wide > other ? -1 : 1;
  return strcmp(s->name, t->name);
}

static int note_by_key(const void *a, const void *b) { return strcmp(((const cal_st_note *)a)->key, ((const cal_st_note *)b)->key); }

static void free_writer(cal_st_writer *w) {
  for (size_t i = 0; i < w->count; i++) cal_free((void *)(uintptr_t)w->list[i].t.name);
  cal_free(w->list);
  cal_free(w->path);
  cal_free(w);
}

static cal_status plan(cal_st_writer *w, const cal_st_tensor *tensors, size_t count, cal_error *err) {
  planned **order = cal_alloc(count * sizeof *order, err);
  w->list = cal_alloc_zero(count, sizeof *w->list, err);
  cal_status status = order && w->list ? CAL_OK : CAL_E_MEMORY;
  char room[128];
  for (size_t i = 0; i < count && !status; i++) {
    planned *p = &w->list[i];
    p->t = tensors[i];
    p->t.name = cal_copy_text(tensors[i].name, err);
    w->count++;
    order[i] = p;
    if (!p->t.name) status = CAL_E_MEMORY;
    else if (!strcmp(p->t.name, "__metadata__")) status = cal_fail(err, CAL_E_ARG, "a tensor cannot be called __metadata__");
    else if (!cal_utf8_valid(p->t.name, strlen(p->t.name), NULL))
      status = cal_fail(err, CAL_E_ARG, "tensor \"%s\": its name is not UTF-8", shown(p->t.name, room));
    else if (p->t.rank < 0 || p->t.rank > CAL_ST_DIMENSIONS || !cal_st_dtype_size(p->t.dtype) || !measure(&p->t, &p->t.size))
      status = cal_fail(err, CAL_E_ARG, "tensor \"%s\": its dtype or shape cannot be written", shown(p->t.name, room));
  }
  if (!status && count) {
    qsort(w->list, count, sizeof *w->list, planned_by_name);
    for (size_t i = 1; i < count && !status; i++)
      if (!strcmp(w->list[i - 1].t.name, w->list[i].t.name))
        status = cal_fail(err, CAL_E_ARG, "tensor \"%s\" stands twice", shown(w->list[i].t.name, room));
    qsort(order, count, sizeof *order, by_layout);
    uint64_t at = 0;
    for (size_t i = 0; i < count && !status; i++) {
      order[i]->t.offset = at;
      at += order[i]->t.size;
      if (at > (uint64_t)1 << 53) status = cal_fail(err, CAL_E_ARG, "the tensors are larger than a file can be");
    }
  }
  cal_free(order);
  return status;
}

static cal_status write_notes(const cal_st_note *notes, size_t count, cal_buffer *out, cal_error *err) {
  cal_st_note *sorted = cal_alloc(count * sizeof *sorted, err);
  if (!sorted) return CAL_E_MEMORY;
  memcpy(sorted, notes, count * sizeof *sorted);
  qsort(sorted, count, sizeof *sorted, note_by_key);
  cal_status status = CAL_OK;
  char room[128];
  for (size_t i = 0; i < count && !status; i++) {
    const char *key = sorted[i].key, *value = sorted[i].value;
    if (i && !strcmp(sorted[i - 1].key, key)) status = cal_fail(err, CAL_E_ARG, "__metadata__: \"%s\" stands twice", shown(key, room));
    else if (!cal_utf8_valid(key, strlen(key), NULL) || !cal_utf8_valid(value, strlen(value), NULL))
      status = cal_fail(err, CAL_E_ARG, "__metadata__: \"%s\" is not UTF-8", shown(key, room));
    if (i) cal_buffer_add_byte(out, ',');
    cal_json_write_text(key, strlen(key), out);
    cal_buffer_add_byte(out, ':');
    cal_json_write_text(value, strlen(value), out);
  }
  cal_free(sorted);
  return status;
}

static cal_status write_header(cal_st_writer *w, const cal_st_note *notes, size_t note_count, cal_error *err) {
  cal_buffer out = {0};
  cal_buffer_add(&out, "\0\0\0\0\0\0\0\0{", 9);
  cal_status status = CAL_OK;
  if (note_count) {
    cal_buffer_add_text(&out, "\"__metadata__\":{");
    status = write_notes(notes, note_count, &out, err);
    cal_buffer_add_byte(&out, '}');
  }
  for (size_t i = 0; i < w->count; i++) {
    const cal_st_tensor *t = &w->list[i].t;
    if (i || note_count) cal_buffer_add_byte(&out, ',');
    cal_json_write_text(t->name, strlen(t->name), &out);
    cal_buffer_printf(&out, ":{\"dtype\":\"%s\",\"shape\":[", cal_st_dtype_name(t->dtype));
    for (int d = 0; d < t->rank; d++) cal_buffer_printf(&out, d ? ",%llu" : "%llu", (unsigned long long)t->shape[d]);
    cal_buffer_printf(&out, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)t->offset, (unsigned long long)(t->offset + t->size));
  }
  cal_buffer_add_byte(&out, '}');
  while (!out.failed && out.size % 8) cal_buffer_add_byte(&out, ' '); /* data begins aligned */
  if (!status && out.failed) status = cal_fail(err, CAL_E_MEMORY, "not enough memory for the header");
  if (!status && out.size - 8 > CAL_ST_HEADER_MOST)
    status = cal_fail(err, CAL_E_LIMIT, "the header would have %zu bytes; at most %d are read again", out.size - 8, CAL_ST_HEADER_MOST);
  if (!status) {
    for (int i = 0; i < 8; i++) out.data[i] = (char)((out.size - 8) >> (8 * i) & 255);
    for (size_t i = 0; i < w->count; i++) w->list[i].t.offset += out.size;
    status = cal_fs_file_add(w->file, out.data, out.size, err);
  }
  cal_buffer_free(&out);
  return status;
}

cal_st_writer *cal_st_create(const cal_fs *fs, const char *path, const cal_st_tensor *tensors, size_t count, const cal_st_note *notes,
                             size_t note_count, cal_error *err) {
  cal_st_writer *w = cal_alloc_zero(1, sizeof *w, err);
  if (!w) return NULL;
  cal_status status = (w->path = cal_copy_text(path, err)) ? plan(w, tensors, count, err) : CAL_E_MEMORY;
  if (status) cal_error_context(err, "%s", path);
  else if (!(w->file = cal_fs_create(fs, path, err))) status = CAL_E_IO;
  else if ((status = write_header(w, notes, note_count, err)) && status != CAL_E_IO) cal_error_context(err, "%s", path);
  if (!status) return w;
  cal_st_discard(w);
  return NULL;
}

cal_status cal_st_write(cal_st_writer *w, const char *name, uint64_t at, const void *bytes, size_t size, cal_error *err) {
  planned key = {.t = {.name = name}};
  planned *p = w->count ? bsearch(&key, w->list, w->count, sizeof key, planned_by_name) : NULL;
  char room[128];
  if (!p) return cal_fail(err, CAL_E_ARG, "%s: tensor \"%s\" was not declared", w->path, shown(name, room));
  if (at != p->written || size > p->t.size - at)
    return cal_fail(err, CAL_E_ARG, "%s: tensor \"%s\" has %llu of %llu bytes; a piece of %zu at %llu does not fit", w->path,
                    shown(name, room), (unsigned long long)p->written, (unsigned long long)p->t.size, size, (unsigned long long)at);
  if (lseek(cal_fs_file_descriptor(w->file), (off_t)(p->t.offset + at), SEEK_SET) < 0)
    return cal_fail_errno(err, errno, "%s cannot be written", w->path);
  cal_status status = cal_fs_file_add(w->file, bytes, size, err);
  if (!status) p->written += size;
  return status;
}

cal_status cal_st_commit(cal_st_writer *w, cal_error *err) {
  cal_status status = CAL_OK;
  char room[128];
  for (size_t i = 0; i < w->count && !status; i++) {
    const planned *p = &w->list[i];
    if (p->written < p->t.size)
      status = cal_fail(err, CAL_E_ARG, "%s: tensor \"%s\" has only %llu of %llu bytes", w->path, shown(p->t.name, room),
                        (unsigned long long)p->written, (unsigned long long)p->t.size);
  }
  if (status) cal_fs_file_discard(w->file);
  else status = cal_fs_file_commit(w->file, err);
  free_writer(w);
  return status;
}

void cal_st_discard(cal_st_writer *w) {
  if (!w) return;
  cal_fs_file_discard(w->file);
  free_writer(w);
}
