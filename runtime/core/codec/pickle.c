#include "core/codec/pickle.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/buffer.h"
#include "core/base/memory.h"
#include "core/codec/zip.h"

#define INSTEAD "take model.safetensors where there is one, or save the model again as that"

/* ---- values ----
 * One array holds them all and they name each other by number; a list may thus lie in itself. Their bytes and texts stay in the pickle. */

typedef enum { NONE, TRUTH, NUMBER, REAL, TEXT, TUPLE, LIST, DICT, GLOBAL, STORAGE, TENSOR } kind;

static const char *const kind_names[] = {"None",   "a truth value", "a number", "a number",  "a text",  "a tuple",
                                         "a list", "a dictionary",  "a name",   "a storage", "a tensor"};

enum { REBUILD_TENSOR = CAL_ST_F64 + 1, REBUILD_PARAMETER, ORDERED_DICT }; /* a global that is none of these is a storage's dtype */

static const struct {
  const char *module, *name;
  int means;
} globals[] = {
    {"torch._utils", "_rebuild_tensor_v2", REBUILD_TENSOR},
    {"torch._utils", "_rebuild_parameter", REBUILD_PARAMETER},
    {"collections", "OrderedDict", ORDERED_DICT},
    {"torch", "FloatStorage", CAL_ST_F32},
    {"torch", "HalfStorage", CAL_ST_F16},
    {"torch", "BFloat16Storage", CAL_ST_BF16},
    {"torch", "DoubleStorage", CAL_ST_F64},
    {"torch", "LongStorage", CAL_ST_I64},
    {"torch", "IntStorage", CAL_ST_I32},
    {"torch", "ShortStorage", CAL_ST_I16},
    {"torch", "CharStorage", CAL_ST_I8},
    {"torch", "ByteStorage", CAL_ST_U8},
    {"torch", "BoolStorage", CAL_ST_BOOL},
};

static const uint32_t NOTHING = UINT32_MAX; /* the end of a chain; on the stack: a mark */

typedef struct {
  kind kind;
  union {
    int64_t number; /* NUMBER; GLOBAL: what it means */
    struct {
      uint32_t at, size; /* in the pickle */
    } text;
    struct {
      uint32_t first, last, count; /* cells; a dictionary's are key, value, key ... */
    } items;
    struct {
      uint32_t key, count; /* TEXT, NUMBER */
      cal_st_dtype dtype;
    } storage;
    uint32_t arguments; /* TENSOR: a tuple of storage, offset, shape, strides ... */
  } is;
} value;

typedef struct {
  uint32_t value, next;
} cell;

typedef struct {
  void *data;
  size_t count, room;
} list;

typedef struct {
  const char *path; /* for messages */
  const unsigned char *bytes;
  size_t size, at, op; /* op: where the instruction began */
  list values, cells, stack, memo;
  cal_error *err;
} machine;

static cal_status refuse(machine *m, cal_status code, const char *why) {
  return cal_fail(m->err, code, "%s: byte %zu of its data.pkl: %s", m->path, m->op, why);
}

static cal_status broken(machine *m, const char *why) { return refuse(m, CAL_E_FORMAT, why); }

/* Room for `count` of `width` bytes each. */
static cal_status grow(machine *m, list *l, size_t count, size_t width, size_t most) {
  if (count > most) return refuse(m, CAL_E_LIMIT, "it makes more values than any model has");
  if (count <= l->room) return CAL_OK;
  size_t room = l->room ? l->room : 256;
  while (room < count) room *= 2;
  void *data = cal_resize(l->data, room * width, m->err);
  if (!data) return CAL_E_MEMORY;
  l->data = data, l->room = room;
  return CAL_OK;
}

static value *at(const machine *m, uint32_t index) { return (value *)m->values.data + index; }

static cal_status push(machine *m, uint32_t index) {
  cal_status status = grow(m, &m->stack, m->stack.count + 1, sizeof(uint32_t), CAL_PICKLE_STACK);
  if (!status) ((uint32_t *)m->stack.data)[m->stack.count++] = index;
  return status;
}

/* A new value on the stack. */
static cal_status make(machine *m, value v) {
  cal_status status = grow(m, &m->values, m->values.count + 1, sizeof v, CAL_PICKLE_VALUES);
  if (status) return status;
  *at(m, (uint32_t)m->values.count) = v;
  return push(m, (uint32_t)m->values.count++);
}

static cal_status pop(machine *m, uint32_t *index) {
  if (!m->stack.count) return broken(m, "its stack is empty");
  *index = ((uint32_t *)m->stack.data)[m->stack.count - 1];
  if (*index == NOTHING) return broken(m, "a mark stands where a value is expected");
  m->stack.count--;
  return CAL_OK;
}

static cal_status pop_kind(machine *m, kind expected, uint32_t *index) {
  cal_status status = pop(m, index);
  if (status || at(m, *index)->kind == expected) return status;
  char why[96];
  snprintf(why, sizeof why, "%s stands where %s is expected", kind_names[at(m, *index)->kind], kind_names[expected]);
  return broken(m, why);
}

/* The next `size` bytes; NULL at the end. */
static const unsigned char *take(machine *m, size_t size) {
  if (size > m->size - m->at) return NULL;
  m->at += size;
  return m->bytes + m->at - size;
}

static int64_t number_of(const unsigned char *bytes, int width) { /* little-endian, two's complement */
  uint64_t n = width && bytes[width - 1] & 0x80 ? UINT64_MAX : 0;
  while (width--) n = n << 8 | bytes[width];
  return (int64_t)n;
}

static cal_status cut(machine *m) { return broken(m, "it ends in the middle"); }

static cal_status make_number(machine *m, int width, bool is_signed) {
  const unsigned char *bytes = take(m, (size_t)width);
  if (!bytes) return cut(m);
  int64_t n = number_of(bytes, width);
  if (!is_signed) n &= (1 << 8 * width) - 1;
  return make(m, (value){.kind = NUMBER, .is.number = n});
}

static cal_status make_long(machine *m) {
  const unsigned char *width = take(m, 1), *bytes = width ? take(m, *width) : NULL;
  if (!bytes) return cut(m);
  if (*width > 8) return broken(m, "a number has more than 64 bits");
  return make(m, (value){.kind = NUMBER, .is.number = number_of(bytes, *width)});
}

/* `width`: bytes of its length. */
static cal_status make_text(machine *m, int width) {
  const unsigned char *length = take(m, (size_t)width);
  uint64_t bytes = 0;
  for (int i = width; length && i--;) bytes = bytes << 8 | length[i];
  const unsigned char *text = length && bytes <= m->size ? take(m, (size_t)bytes) : NULL;
  if (!text) return cut(m);
  size_t size = (size_t)(m->bytes + m->at - text);
  if (!cal_utf8_valid((const char *)text, size, NULL)) return broken(m, "a text is not UTF-8");
  return make(m, (value){.kind = TEXT, .is.text = {(uint32_t)(text - m->bytes), (uint32_t)size}});
}

static cal_status skip_real(machine *m) { return take(m, 8) ? make(m, (value){.kind = REAL}) : cut(m); }

/* ---- names of Python ---- */

/* Classes of these are parts of models. */
static bool of_a_model(const char *module, size_t size) {
  static const char *const begin[] = {"__main__", "torch.nn.modules.", "transformers.", "timm.", "diffusers.", "models.", "lavis."};
  for (size_t i = 0; i < sizeof begin / sizeof *begin; i++)
    if (size >= strlen(begin[i]) && memcmp(module, begin[i], strlen(begin[i])) == 0) return true;
  return false;
}

static bool same(const char *text, size_t size, const char *expected) {
  return size == strlen(expected) && memcmp(text, expected, size) == 0;
}

static cal_status deny(machine *m, const char *module, size_t module_size, const char *name, size_t name_size) {
  if (same(module, module_size, "torch._utils") && same(name, name_size, "_rebuild_tensor_v3"))
    return cal_fail(m->err, CAL_E_FORMAT, "%s has numbers of a kind that is not read (float8, or whole ones without a sign): " INSTEAD,
                    m->path);
  cal_buffer shown = {0};
  cal_buffer_add_printable(&shown, module, module_size < 100 ? module_size : 100);
  cal_buffer_add_byte(&shown, '.');
  cal_buffer_add_printable(&shown, name, name_size < 100 ? name_size : 100);
  for (size_t i = 0; i < shown.size; i++)
    if (shown.data[i] == '\n' || shown.data[i] == '\t') shown.data[i] = ' ';
  const char *it = shown.failed ? "a function of Python" : shown.data;
  cal_status status =
      of_a_model(module, module_size)
          ? cal_fail(m->err, CAL_E_FORMAT, "%s is a whole model as Python keeps it (%s), not its tensors: " INSTEAD " (its state_dict())",
                     m->path, it)
          : cal_fail(m->err, CAL_E_FORMAT, "%s wants to run %s; only tensors are read: " INSTEAD, m->path, it);
  cal_buffer_free(&shown);
  return status;
}

static cal_status find_global(machine *m, const char *module, size_t module_size, const char *name, size_t name_size) {
  for (size_t i = 0; i < sizeof globals / sizeof *globals; i++)
    if (same(module, module_size, globals[i].module) && same(name, name_size, globals[i].name))
      return make(m, (value){.kind = GLOBAL, .is.number = globals[i].means});
  return deny(m, module, module_size, name, name_size);
}

/* The two lines that follow. */
static cal_status make_global(machine *m) {
  const char *module = (const char *)m->bytes + m->at, *middle = memchr(module, '\n', m->size - m->at);
  const char *name = middle ? middle + 1 : NULL, *end = name ? memchr(name, '\n', m->size - (size_t)(name - (const char *)m->bytes)) : NULL;
  if (!end) return cut(m);
  m->at = (size_t)(end + 1 - (const char *)m->bytes);
  return find_global(m, module, (size_t)(middle - module), name, (size_t)(end - name));
}

/* The two texts on the stack. */
static cal_status make_stack_global(machine *m) {
  uint32_t module, name;
  cal_status status = pop_kind(m, TEXT, &name);
  if (!status) status = pop_kind(m, TEXT, &module);
  if (status) return status;
  const value a = *at(m, module), b = *at(m, name);
  return find_global(m, (const char *)m->bytes + a.is.text.at, a.is.text.size, (const char *)m->bytes + b.is.text.at, b.is.text.size);
}

/* ---- lists, tuples, dictionaries ---- */

/* Where the values above the highest mark begin in the stack. */
static cal_status above_mark(machine *m, size_t *from) {
  for (*from = m->stack.count; *from; --*from)
    if (((uint32_t *)m->stack.data)[*from - 1] == NOTHING) return CAL_OK;
  return broken(m, "there is no mark");
}

/* The values from `from` on leave the stack and become the last ones of `owner`. */
static cal_status append(machine *m, uint32_t owner, size_t from) {
  size_t count = m->stack.count - from;
  cal_status status = grow(m, &m->cells, m->cells.count + count, sizeof(cell), 4 * (size_t)CAL_PICKLE_VALUES);
  if (status) return status;
  value *v = at(m, owner);
  cell *cells = m->cells.data;
  for (size_t i = from; i < m->stack.count; i++) {
    uint32_t next = (uint32_t)m->cells.count++;
    cells[next] = (cell){((uint32_t *)m->stack.data)[i], NOTHING};
    if (v->is.items.count++) cells[v->is.items.last].next = next;
    else v->is.items.first = next;
    v->is.items.last = next;
  }
  m->stack.count = from;
  return CAL_OK;
}

static const value empty_items = {.kind = TUPLE, .is.items = {UINT32_MAX, UINT32_MAX, 0}};

static cal_status make_items(machine *m, kind k) {
  value v = empty_items;
  v.kind = k;
  return make(m, v);
}

/* A tuple of the values from `from` on, in their place (with the mark below them, if there is one). */
static cal_status make_tuple(machine *m, size_t from, bool marked) {
  for (size_t i = from; i < m->stack.count; i++)
    if (((uint32_t *)m->stack.data)[i] == NOTHING) return broken(m, "a mark stands where a value is expected");
  cal_status status = grow(m, &m->values, m->values.count + 1, sizeof(value), CAL_PICKLE_VALUES);
  if (status) return status;
  uint32_t tuple = (uint32_t)m->values.count++;
  *at(m, tuple) = empty_items;
  status = append(m, tuple, from);
  if (marked) m->stack.count--;
  return status ? status : push(m, tuple);
}

static cal_status tuple_of(machine *m, size_t count) {
  return m->stack.count < count ? broken(m, "its stack is empty") : make_tuple(m, m->stack.count - count, false);
}

static cal_status marked_tuple(machine *m) {
  size_t from;
  cal_status status = above_mark(m, &from);
  return status ? status : make_tuple(m, from, true);
}

/* APPENDS and SETITEMS: what stands above the mark goes into what stands below it. */
static cal_status fill(machine *m, kind expected) {
  size_t from;
  cal_status status = above_mark(m, &from);
  if (status) return status;
  uint32_t owner = from >= 2 ? ((uint32_t *)m->stack.data)[from - 2] : NOTHING;
  if (owner == NOTHING || at(m, owner)->kind != expected)
    return broken(m, expected == LIST ? "no list stands below the mark" : "no dictionary stands below the mark");
  if (expected == DICT && (m->stack.count - from) % 2) return broken(m, "a key has no value");
  status = append(m, owner, from);
  m->stack.count--;
  return status;
}

/* APPEND and SETITEM. */
static cal_status fill_one(machine *m, kind expected) {
  size_t count = expected == DICT ? 2 : 1;
  if (m->stack.count <= count) return broken(m, "its stack is empty");
  const uint32_t *top = (uint32_t *)m->stack.data + m->stack.count - count - 1;
  for (size_t i = 0; i <= count; i++)
    if (top[i] == NOTHING) return broken(m, "a mark stands where a value is expected");
  if (at(m, top[0])->kind != expected) return broken(m, expected == LIST ? "it appends to no list" : "it sets items of no dictionary");
  return append(m, top[0], m->stack.count - count);
}

/* ---- calls that are none ---- */

/* Whether `tuple` has exactly these kinds at its beginning; their numbers go to `out`. */
static bool has(const machine *m, uint32_t tuple, const kind *kinds, uint32_t count, uint32_t *out) {
  const value *v = at(m, tuple);
  uint32_t next = v->is.items.first;
  if (v->is.items.count < count) return false;
  for (uint32_t i = 0; i < count; i++) {
    const cell *c = (cell *)m->cells.data + next;
    if (at(m, c->value)->kind != kinds[i]) return false;
    out[i] = c->value;
    next = c->next;
  }
  return true;
}

static cal_status reduce(machine *m) {
  uint32_t arguments, function, part[6];
  cal_status status = pop_kind(m, TUPLE, &arguments);
  if (!status) status = pop_kind(m, GLOBAL, &function);
  if (status) return status;
  uint32_t count = at(m, arguments)->is.items.count;
  switch (at(m, function)->is.number) {
    case ORDERED_DICT: return count ? broken(m, "OrderedDict is given something") : make_items(m, DICT);
    case REBUILD_TENSOR:
      if ((count != 6 && count != 7) || !has(m, arguments, (const kind[]){STORAGE, NUMBER, TUPLE, TUPLE, TRUTH, DICT}, 6, part))
        return broken(m, "_rebuild_tensor_v2 is given something else than a storage, an offset, a shape and strides");
      return make(m, (value){.kind = TENSOR, .is.arguments = arguments});
    case REBUILD_PARAMETER:
      if (count != 3 || !has(m, arguments, (const kind[]){TENSOR, TRUTH, DICT}, 3, part))
        return broken(m, "_rebuild_parameter is given something else than a tensor");
      return push(m, part[0]);
    default: return broken(m, "a storage is called");
  }
}

/* ("storage", torch.FloatStorage, "0", "cpu", 6) */
static cal_status make_storage(machine *m) {
  uint32_t tuple, part[5];
  cal_status status = pop_kind(m, TUPLE, &tuple);
  if (status) return status;
  if (at(m, tuple)->is.items.count != 5 || !has(m, tuple, (const kind[]){TEXT, GLOBAL, TEXT, TEXT, NUMBER}, 5, part) ||
      at(m, part[1])->is.number > CAL_ST_F64 ||
      !same((const char *)m->bytes + at(m, part[0])->is.text.at, at(m, part[0])->is.text.size, "storage"))
    return broken(m, "what it asks to be loaded is no storage");
  return make(m, (value){.kind = STORAGE, .is.storage = {part[2], part[4], (cal_st_dtype)at(m, part[1])->is.number}});
}

/* What an OrderedDict has besides its items (_metadata) is not asked for. */
static cal_status build(machine *m) {
  uint32_t state, object;
  cal_status status = pop_kind(m, DICT, &state);
  if (!status) status = pop_kind(m, DICT, &object);
  return status ? status : push(m, object);
}

/* ---- memo ---- */

static cal_status memo_index(machine *m, int width, size_t *index) {
  const unsigned char *bytes = take(m, (size_t)width);
  if (!bytes) return cut(m);
  *index = (size_t)number_of(bytes, width) & (width == 1 ? 0xff : UINT32_MAX);
  return *index < CAL_PICKLE_STACK ? CAL_OK : refuse(m, CAL_E_LIMIT, "it remembers more values than any model has");
}

static cal_status remember(machine *m, size_t index) {
  uint32_t top;
  cal_status status = pop(m, &top);
  if (!status) status = grow(m, &m->memo, index + 1, sizeof top, CAL_PICKLE_STACK);
  if (status) return status;
  uint32_t *memo = m->memo.data;
  while (m->memo.count <= index) memo[m->memo.count++] = NOTHING;
  memo[index] = top;
  return push(m, top);
}

static cal_status put(machine *m, int width) {
  size_t index;
  cal_status status = memo_index(m, width, &index);
  return status ? status : remember(m, index);
}

static cal_status get(machine *m, int width) {
  size_t index;
  cal_status status = memo_index(m, width, &index);
  if (status) return status;
  uint32_t found = index < m->memo.count ? ((uint32_t *)m->memo.data)[index] : NOTHING;
  return found == NOTHING ? broken(m, "it asks for what it did not remember") : push(m, found);
}

/* ---- the machine ---- */

static cal_status step(machine *m, unsigned char op) {
  switch (op) {
    case '(': return push(m, NOTHING);
    case 'N': return make(m, (value){.kind = NONE});
    case 0x88:
    case 0x89: return make(m, (value){.kind = TRUTH});
    case 'J': return make_number(m, 4, true);
    case 'K': return make_number(m, 1, false);
    case 'M': return make_number(m, 2, false);
    case 0x8a: return make_long(m);
    case 'G': return skip_real(m);
    case 'X': return make_text(m, 4);
    case 0x8c: return make_text(m, 1);
    case 0x8d: return make_text(m, 8);
    case 0x93: return make_stack_global(m);
    case 0x94: return remember(m, m->memo.count);
    case 0x95: return take(m, 8) ? CAL_OK : cut(m); /* a frame: how much may be read ahead */
    case ')': return make_items(m, TUPLE);
    case ']': return make_items(m, LIST);
    case '}': return make_items(m, DICT);
    case 't': return marked_tuple(m);
    case 0x85: return tuple_of(m, 1);
    case 0x86: return tuple_of(m, 2);
    case 0x87: return tuple_of(m, 3);
    case 'a': return fill_one(m, LIST);
    case 'e': return fill(m, LIST);
    case 's': return fill_one(m, DICT);
    case 'u': return fill(m, DICT);
    case 'q': return put(m, 1);
    case 'r': return put(m, 4);
    case 'h': return get(m, 1);
    case 'j': return get(m, 4);
    case 'c': return make_global(m);
    case 'R': return reduce(m);
    case 'b': return build(m);
    case 'Q': return make_storage(m);
    default:
      return cal_fail(m->err, CAL_E_FORMAT, "%s: byte %zu of its data.pkl: instruction 0x%02x is none that makes tensors: " INSTEAD,
                      m->path, m->op, op);
  }
}

/* The value that the program leaves. */
static cal_status run(machine *m, uint32_t *result) {
  if (m->size < 2 || m->bytes[0] != 0x80) return broken(m, "it does not begin as a pickle does");
  if (m->bytes[1] < 2 || m->bytes[1] > 5)
    return cal_fail(m->err, CAL_E_FORMAT, "%s: its data.pkl is of protocol %d; 2 to 5 are read: " INSTEAD, m->path, m->bytes[1]);
  m->at = 2;
  for (;;) {
    m->op = m->at;
    const unsigned char *op = take(m, 1);
    if (!op) return cut(m);
    cal_status status = *op == '.' ? pop(m, result) : step(m, *op);
    if (status) return status;
    if (*op != '.') continue;
    if (m->stack.count) return broken(m, "it ends with more than one value");
    return m->at < m->size ? broken(m, "it goes on behind its end") : CAL_OK;
  }
}

static void stop(machine *m) {
  cal_free(m->values.data);
  cal_free(m->cells.data);
  cal_free(m->stack.data);
  cal_free(m->memo.data);
}

/* ---- the archive ---- */

typedef struct {
  const char *name; /* owned by the zip */
  size_t index;
  cal_buffer unpacked; /* of an entry that is compressed */
} entry;

typedef struct {
  cal_zip *zip;
  const unsigned char *bytes;
  char *folder; /* what data.pkl lies in, with its slash: "archive/" */
  entry *entries;
  size_t count;
  uint64_t unpacked;
  char *names; /* of the tensors */
} archive;

static void close_archive(void *keep) {
  archive *a = keep;
  for (size_t i = 0; a->entries && i < a->count; i++) cal_buffer_free(&a->entries[i].unpacked);
  cal_zip_close(a->zip);
  cal_free(a->folder);
  cal_free(a->entries);
  cal_free(a->names);
  cal_free(a);
}

static int by_name(const void *a, const void *b) { return strcmp(((const entry *)a)->name, ((const entry *)b)->name); }

/* The file FOLDER/`name` of the archive; NULL when it is not there. Names of entries are at most 1000 bytes (zip.c). */
static entry *find(const archive *a, const char *name) {
  char path[1200];
  if (snprintf(path, sizeof path, "%s%s", a->folder, name) >= (int)sizeof path) return NULL;
  entry key = {.name = path};
  return bsearch(&key, a->entries, a->count, sizeof key, by_name);
}

/* Lists the archive, finds its data.pkl and reads it into `pickle`. */
static cal_status open_archive(archive *a, const char *path, cal_buffer *pickle, cal_error *err) {
  a->count = cal_zip_count(a->zip);
  a->entries = cal_alloc_zero(a->count, sizeof *a->entries, err);
  if (!a->entries) return CAL_E_MEMORY;
  const char *program = NULL;
  for (size_t i = 0; i < a->count; i++) {
    const char *name = cal_zip_name(a->zip, i), *slash = strchr(name, '/');
    a->entries[i] = (entry){.name = name, .index = i};
    if (!slash || strcmp(slash, "/data.pkl") != 0) continue;
    if (program) return cal_fail(err, CAL_E_FORMAT, "%s: it has more than one data.pkl", path);
    program = name;
  }
  if (!program)
    return cal_fail(err, CAL_E_FORMAT, "%s: it is a zip without data.pkl, so torch.save did not write it; is it an archive of other files?",
                    path);
  if (a->count) qsort(a->entries, a->count, sizeof *a->entries, by_name);
  if (!(a->folder = cal_copy_text(program, err))) return CAL_E_MEMORY;
  strchr(a->folder, '/')[1] = 0;
  cal_buffer order = {0};
  const entry *byteorder = find(a, "byteorder"), *data = find(a, "data.pkl");
  cal_status status = byteorder ? cal_zip_read(a->zip, byteorder->index, 16, &order, err) : CAL_OK;
  if (!status && byteorder && !same(order.data, order.size, "little"))
    status = cal_fail(err, CAL_E_FORMAT,
                      "%s: its numbers are of a machine whose bytes stand the other way round (big-endian); save it again as "
                      "safetensors there",
                      path);
  cal_buffer_free(&order);
  if (!status) status = cal_zip_read(a->zip, data->index, CAL_PICKLE_MOST, pickle, err);
  return status;
}

/* The bytes of an entry, where they lie in the file or unpacked. */
static cal_status bytes_of(archive *a, entry *e, const unsigned char **bytes, cal_error *err) {
  *bytes = cal_zip_view(a->zip, e->index);
  uint64_t size = cal_zip_size(a->zip, e->index);
  if (*bytes || !size) return CAL_OK;
  if (!e->unpacked.data) {
    if (size > CAL_PICKLE_UNPACKED - a->unpacked)
      return cal_fail(err, CAL_E_LIMIT, "its numbers are compressed, and unpacked more than %d MB: " INSTEAD, CAL_PICKLE_UNPACKED >> 20);
    cal_status status = cal_zip_read(a->zip, e->index, size, &e->unpacked, err);
    if (status) return status;
    a->unpacked += size;
  }
  *bytes = (const unsigned char *)e->unpacked.data;
  return CAL_OK;
}

/* ---- tensors ---- */

static uint32_t item(const machine *m, uint32_t next, uint32_t *value_at) { /* the value at a cell; returns the cell after it */
  const cell *c = (cell *)m->cells.data + next;
  *value_at = c->value;
  return c->next;
}

/* The whole numbers of a tuple, 0 or more each. */
static bool sides(const machine *m, uint32_t tuple, uint64_t *out) {
  uint32_t next = at(m, tuple)->is.items.first, it;
  for (int i = 0; next != NOTHING; i++) {
    next = item(m, next, &it);
    if (at(m, it)->kind != NUMBER || at(m, it)->is.number < 0) return false;
    out[i] = (uint64_t)at(m, it)->is.number;
  }
  return true;
}

static cal_status place(machine *m, archive *a, uint32_t arguments, cal_st_tensor *t) {
  uint32_t part[4];
  has(m, arguments, (const kind[]){STORAGE, NUMBER, TUPLE, TUPLE}, 4, part); /* reduce saw to it */
  const value *storage = at(m, part[0]), *key = at(m, storage->is.storage.key), *shape = at(m, part[2]), *strides = at(m, part[3]);
  uint64_t stride[CAL_ST_DIMENSIONS], width = cal_st_dtype_size(storage->is.storage.dtype), numbers = 1;
  t->dtype = storage->is.storage.dtype;
  if (shape->is.items.count > CAL_ST_DIMENSIONS) return cal_fail(m->err, CAL_E_LIMIT, "it has more than %d dimensions", CAL_ST_DIMENSIONS);
  t->rank = (int)shape->is.items.count;
  if (strides->is.items.count != shape->is.items.count || !sides(m, part[2], t->shape) || !sides(m, part[3], stride))
    return cal_fail(m->err, CAL_E_FORMAT, "its shape and strides are not as many whole numbers");

  char name[128] = "data/";
  const char *own = (const char *)m->bytes + key->is.text.at;
  bool fits = key->is.text.size < 100 && !memchr(own, 0, key->is.text.size);
  if (fits) memcpy(name + 5, own, key->is.text.size);
  entry *e = fits ? find(a, name) : NULL;
  if (!e) return cal_fail(m->err, CAL_E_FORMAT, "its numbers are not in the file");
  uint64_t there = cal_zip_size(a->zip, e->index) / width;
  int64_t claimed = at(m, storage->is.storage.count)->is.number, offset = at(m, part[1])->is.number;
  if (claimed < 0 || (uint64_t)claimed != there || cal_zip_size(a->zip, e->index) % width)
    return cal_fail(m->err, CAL_E_FORMAT, "its storage is to have %lld numbers of %s; %s has %llu bytes", (long long)claimed,
                    cal_st_dtype_name(t->dtype), e->name, (unsigned long long)cal_zip_size(a->zip, e->index));

  bool empty = false, too_many = false, contiguous = true;
  for (int i = 0; i < t->rank; i++) empty = empty || !t->shape[i];
  for (int i = t->rank - 1; i >= 0 && !empty && !too_many; i--) {
    contiguous = contiguous && (t->shape[i] == 1 || stride[i] == numbers);
    too_many = t->shape[i] > there / numbers;
    if (!too_many) numbers *= t->shape[i];
  }
  if (empty) numbers = 0;
  if (too_many || (uint64_t)offset > there || /* a negative one, too */ numbers > there - (uint64_t)offset)
    return cal_fail(m->err, CAL_E_FORMAT, "from number %lld on it does not lie within its storage of %llu", (long long)offset,
                    (unsigned long long)there);
  if (!contiguous)
    return cal_fail(m->err, CAL_E_FORMAT,
                    "its numbers do not lie one after the other (a transposed or cut view); save the model again with .contiguous()");
  const unsigned char *bytes;
  cal_status status = bytes_of(a, e, &bytes, m->err);
  if (status) return status;
  t->size = numbers * width;
  t->data = bytes ? bytes + (uint64_t)offset * width : a->bytes;
  t->offset = e->unpacked.data || !bytes ? 0 : (uint64_t)(t->data - a->bytes);
  return CAL_OK;
}

/* How many values of a dictionary are tensors. */
static size_t count_tensors(const machine *m, uint32_t dict) {
  size_t count = 0;
  uint32_t key, it;
  for (uint32_t next = at(m, dict)->is.items.first; next != NOTHING;) {
    next = item(m, item(m, next, &key), &it);
    count += at(m, it)->kind == TENSOR;
  }
  return count;
}

/* The dictionary whose values are the tensors: the top one, or one in it. */
static cal_status find_state(machine *m, uint32_t top, uint32_t *found) {
  static const char *const below[] = {"state_dict", "model"};
  if (at(m, top)->kind != DICT)
    return cal_fail(m->err, CAL_E_FORMAT, "%s: a dictionary of tensors is expected, not %s", m->path, kind_names[at(m, top)->kind]);
  *found = top;
  if (count_tensors(m, top)) return CAL_OK;
  for (size_t i = 0; i < sizeof below / sizeof *below; i++) {
    uint32_t key, it;
    for (uint32_t next = at(m, top)->is.items.first; next != NOTHING;) {
      next = item(m, item(m, next, &key), &it);
      const value *k = at(m, key);
      if (k->kind != TEXT || !same((const char *)m->bytes + k->is.text.at, k->is.text.size, below[i])) continue;
      if (at(m, it)->kind != DICT || !count_tensors(m, it)) break; /* looked at once: it could stand there a million times */
      *found = it;
      return CAL_OK;
    }
  }
  return cal_fail(m->err, CAL_E_FORMAT, "%s: there are no tensors in it, nor in a \"state_dict\" or \"model\" of it", m->path);
}

static cal_status list_tensors(machine *m, archive *a, uint32_t state, cal_st_tensor **tensors, size_t *count) {
  size_t room = 0;
  uint32_t key, it;
  *count = 0;
  *tensors = cal_alloc_zero(count_tensors(m, state), sizeof **tensors, m->err);
  for (uint32_t next = at(m, state)->is.items.first; next != NOTHING;) {
    next = item(m, item(m, next, &key), &it);
    if (at(m, it)->kind == TENSOR && at(m, key)->kind == TEXT) room += at(m, key)->is.text.size + 1;
  }
  if (room > m->size) /* names that are not the same stand in the pickle beside one another */
    return cal_fail(m->err, CAL_E_FORMAT, "%s: tensors of one name stand in it", m->path);
  a->names = cal_alloc(room, m->err);
  if (!*tensors || !a->names) return CAL_E_MEMORY;
  char *name = a->names;
  for (uint32_t next = at(m, state)->is.items.first; next != NOTHING;) {
    next = item(m, item(m, next, &key), &it);
    if (at(m, it)->kind != TENSOR) continue;
    const value *k = at(m, key);
    const char *text = (const char *)m->bytes + k->is.text.at;
    if (k->kind != TEXT || memchr(text, 0, k->is.text.size)) return cal_fail(m->err, CAL_E_FORMAT, "%s: a tensor has no name", m->path);
    memcpy(name, text, k->is.text.size);
    name[k->is.text.size] = 0;
    cal_st_tensor *t = &(*tensors)[(*count)++];
    t->name = name;
    name += k->is.text.size + 1;
    cal_status status = place(m, a, at(m, it)->is.arguments, t);
    if (status) {
      cal_buffer shown = {0};
      cal_buffer_add_printable(&shown, t->name, strnlen(t->name, 60));
      if (strncmp(m->err->text, m->path, strlen(m->path)) != 0) /* the archive names itself */
        cal_error_context(m->err, "%s: tensor \"%s\"", m->path, shown.failed ? "?" : shown.data);
      cal_buffer_free(&shown);
      return status;
    }
  }
  return CAL_OK;
}

/* ---- opening ---- */

static uint64_t header_length(const unsigned char *bytes, size_t size) { /* were it safetensors; UINT64_MAX when it is too short for that */
  return size < 8 ? UINT64_MAX : (uint64_t)number_of(bytes, 8);
}

static bool is_zip(const unsigned char *bytes, size_t size) {
  return size >= 2 && bytes[0] == 'P' && bytes[1] == 'K' && header_length(bytes, size) > CAL_ST_HEADER_MOST;
}

static bool is_bare(const unsigned char *bytes, size_t size) {
  return size >= 2 && bytes[0] == 0x80 && bytes[1] >= 1 && bytes[1] <= 5 && header_length(bytes, size) > CAL_ST_HEADER_MOST;
}

/* What the first PyTorch wrote: an archive of tar. */
static bool is_tar(const unsigned char *bytes, size_t size) { return size >= 512 && memcmp(bytes + 257, "ustar", 5) == 0; }

static cal_st *open_map(cal_mapping map, bool mapped, const char *path, cal_error *err) {
  cal_error own = {0};
  if (!err) err = &own;
  const char *old = is_bare(map.data, map.size)  ? "a Python pickle without an archive around it, as PyTorch wrote them before version 1.6"
                    : is_tar(map.data, map.size) ? "a tar archive, as PyTorch wrote them before version 0.1.10"
                                                 : NULL;
  archive *a = old ? NULL : cal_alloc_zero(1, sizeof *a, err);
  if (!a) {
    if (old) cal_fail(err, CAL_E_FORMAT, "%s is %s; it is not read: " INSTEAD, path, old);
    if (mapped) cal_fs_unmap(&map);
    return NULL;
  }
  a->bytes = map.data;
  machine m = {.path = path, .err = err};
  cal_buffer pickle = {0};
  cal_st_tensor *tensors = NULL;
  size_t count = 0;
  uint32_t top;
  a->zip = cal_zip_open_bytes(map.data ? (const void *)map.data : "", map.size, path, err);
  cal_status status = a->zip ? open_archive(a, path, &pickle, err) : err->code;
  m.bytes = (const unsigned char *)pickle.data;
  m.size = pickle.size;
  if (!status) status = run(&m, &top);
  if (!status) status = find_state(&m, top, &top);
  if (!status) status = list_tensors(&m, a, top, &tensors, &count);
  stop(&m);
  cal_buffer_free(&pickle);
  if (status) {
    cal_free(tensors);
    close_archive(a);
    if (mapped) cal_fs_unmap(&map);
    return NULL;
  }
  cal_zip_close(a->zip), a->zip = NULL;
  cal_st *st = cal_st_take("PyTorch", mapped ? map : (cal_mapping){0}, tensors, count, a, close_archive, err);
  if (!st && err->code == CAL_E_FORMAT) cal_error_context(err, "%s", path);
  return st;
}

cal_st *cal_pickle_open(const cal_fs *fs, const char *path, cal_error *err) {
  cal_mapping map;
  return cal_fs_map(fs, path, &map, err) ? NULL : open_map(map, true, path, err);
}

cal_st *cal_pickle_open_bytes(const void *bytes, size_t size, const char *name, cal_error *err) {
  return open_map((cal_mapping){bytes, size}, false, name, err);
}

cal_st *cal_tensors_open(const cal_fs *fs, const char *path, cal_error *err) {
  cal_mapping map;
  if (cal_fs_map(fs, path, &map, err)) return NULL;
  bool pickle = is_zip(map.data, map.size) || is_bare(map.data, map.size) || is_tar(map.data, map.size);
  cal_fs_unmap(&map);
  return pickle ? cal_pickle_open(fs, path, err) : cal_st_open(fs, path, err);
}
