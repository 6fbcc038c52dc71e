/* graph.c - values, nodes, paths, states; no op is known here. */
#include "core/graph/graph.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/graph/op.h"

/* Values and nodes never move, so that pointers into a graph stay good while it grows. */
enum { BLOCK = 256, MOST_PATH = 512, MOST_DEPTH = 64, FLAT_ALIGNMENT = 64 };

typedef struct {
  void **block;
  int blocks, count;
  size_t size;
} stable;

typedef struct {
  uint64_t hash;
  int32_t index; /* 0: free */
} slot;

typedef struct {
  slot *slots;
  size_t capacity, used;
} table;

typedef struct {
  void *items;
  int count, capacity;
} list;

struct cal_graph {
  cal_error error;
  stable values, nodes, texts;
  table node_table, text_table, named; /* by content; named: inputs, weights and states by kind and name */
  char path[MOST_PATH];
  size_t path_size[MOST_DEPTH];
  int depth;
  const char *path_text; /* `path`, interned; NULL: not yet */
  int64_t flat_size;
  bool flat_closed;
  int64_t fused_heads;
  cal_value flat[CAL_GROUPS];
  list outputs[CAL_SEGMENTS], stores[CAL_SEGMENTS];
};

static const cal_value_info no_value = {.name = ""};

/* ---- storage ------------------------------------------------------------------------------------------------------ */

static void *stable_at(const stable *s, int index) { return (char *)s->block[index / BLOCK] + (size_t)(index % BLOCK) * s->size; }

static void *stable_add(stable *s, size_t size, cal_error *err) {
  s->size = size;
  if (s->count == s->blocks * BLOCK) {
    void **block = cal_resize(s->block, (size_t)(s->blocks + 1) * sizeof *block, err);
    if (!block) return NULL;
    s->block = block;
    if (!(block[s->blocks] = cal_alloc_zero(BLOCK, size, err))) return NULL;
    s->blocks++;
  }
  return stable_at(s, s->count++);
}

static void stable_free(stable *s) {
  for (int i = 0; i < s->blocks; i++) cal_free(s->block[i]);
  cal_free(s->block);
}

static void *list_add(list *l, size_t size, cal_error *err) {
  if (l->count == l->capacity) {
    int capacity = l->capacity ? l->capacity * 2 : 16;
    void *items = cal_resize(l->items, (size_t)capacity * size, err);
    if (!items) return NULL;
    l->items = items;
    l->capacity = capacity;
  }
  return (char *)l->items + (size_t)l->count++ * size;
}

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t size) { /* FNV-1a */
  const unsigned char *b = bytes;
  for (size_t i = 0; i < size; i++) hash = (hash ^ b[i]) * 0x100000001b3u;
  return hash;
}
static const uint64_t HASH_START = 0xcbf29ce484222325u;

/* The next entry with this hash; *at starts at SIZE_MAX. 0: no more, and *at is where it would be put. */
static int32_t table_next(const table *t, uint64_t hash, size_t *at) {
  if (!t->capacity) return 0;
  *at = *at == SIZE_MAX ? hash % t->capacity : (*at + 1) % t->capacity;
  for (; t->slots[*at].index; *at = (*at + 1) % t->capacity)
    if (t->slots[*at].hash == hash) return t->slots[*at].index;
  return 0;
}

static bool table_add(table *t, uint64_t hash, int32_t index, cal_error *err) {
  if (t->used * 2 >= t->capacity) {
    table bigger = {.capacity = t->capacity ? t->capacity * 2 : 256};
    if (!(bigger.slots = cal_alloc_zero(bigger.capacity, sizeof *bigger.slots, err))) return false;
    for (size_t i = 0; i < t->capacity; i++)
      if (t->slots[i].index) {
        size_t at = t->slots[i].hash % bigger.capacity;
        while (bigger.slots[at].index) at = (at + 1) % bigger.capacity;
        bigger.slots[at] = t->slots[i];
      }
    bigger.used = t->used;
    cal_free(t->slots);
    *t = bigger;
  }
  size_t at = hash % t->capacity;
  while (t->slots[at].index) at = (at + 1) % t->capacity;
  t->slots[at] = (slot){hash, index};
  t->used++;
  return true;
}

/* One copy of each text; NULL: no memory. */
static const char *intern(cal_graph *g, const char *text) {
  uint64_t hash = hash_bytes(HASH_START, text, strlen(text));
  size_t at = SIZE_MAX;
  for (int32_t i; (i = table_next(&g->text_table, hash, &at));) {
    const char *known = *(char **)stable_at(&g->texts, i - 1);
    if (strcmp(known, text) == 0) return known;
  }
  char *copy = cal_copy_text(text, &g->error);
  if (!copy) return NULL;
  char **place = stable_add(&g->texts, sizeof *place, &g->error);
  if (!place) return cal_free(copy), NULL;
  *place = copy;
  return table_add(&g->text_table, hash, g->texts.count, &g->error) ? copy : NULL;
}

/* ---- the graph ---------------------------------------------------------------------------------------------------- */

cal_graph *cal_graph_new(void) {
  cal_graph *g = cal_alloc_zero(1, sizeof *g, NULL);
  if (g && !stable_add(&g->values, sizeof(cal_value_info), NULL)) return cal_graph_free(g), NULL; /* value 0 is none */
  return g;
}

void cal_graph_free(cal_graph *g) {
  if (!g) return;
  for (int i = 1; i < g->values.count; i++) cal_free((void *)(uintptr_t)((cal_value_info *)stable_at(&g->values, i))->data);
  for (int i = 0; i < g->texts.count; i++) cal_free(*(char **)stable_at(&g->texts, i));
  stable_free(&g->values);
  stable_free(&g->nodes);
  stable_free(&g->texts);
  cal_free(g->node_table.slots);
  cal_free(g->text_table.slots);
  cal_free(g->named.slots);
  for (int i = 0; i < CAL_SEGMENTS; i++) cal_free(g->outputs[i].items), cal_free(g->stores[i].items);
  cal_free(g);
}

const cal_error *cal_graph_error(const cal_graph *g) { return &g->error; }

static cal_value add_context(cal_graph *g) {
  if (g->depth) cal_error_context(&g->error, "%s", g->path);
  return 0;
}

cal_value cal_graph_fail(cal_graph *g, cal_status code, const char *format, ...) {
  if (g->error.code) return 0;
  char text[CAL_ERROR_TEXT];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  cal_fail(&g->error, code, "%s", text);
  return add_context(g);
}

void cal_graph_fuse_attention(cal_graph *g, int64_t widest) { g->fused_heads = widest; }
bool cal_graph_fuses_attention(const cal_graph *g, int64_t size) { return size <= g->fused_heads; }

void cal_graph_enter(cal_graph *g, const char *part) {
  size_t size = g->depth ? strlen(g->path) : 0;
  if (g->depth == MOST_DEPTH || size + strlen(part) + 2 > MOST_PATH) {
    cal_graph_fail(g, CAL_E_LIMIT, "graph: the path is deeper than %d parts or longer than %d bytes at \"%s\"", MOST_DEPTH, MOST_PATH,
                   part);
    return;
  }
  g->path_size[g->depth++] = size;
  snprintf(g->path + size, MOST_PATH - size, "%s%s", size ? "." : "", part);
  g->path_text = NULL;
}

void cal_graph_leave(cal_graph *g) {
  if (g->error.code) return; /* what was entered after the first error may not have been */
  if (!g->depth) {
    cal_graph_fail(g, CAL_E_ARG, "graph: left a path that was never entered");
    return;
  }
  g->path[g->path_size[--g->depth]] = 0;
  g->path_text = NULL;
}

int cal_graph_value_count(const cal_graph *g) { return g->values.count - 1; }
int cal_graph_node_count(const cal_graph *g) { return g->nodes.count; }
const cal_node *cal_graph_node(const cal_graph *g, int index) { return stable_at(&g->nodes, index); }

const cal_value_info *cal_graph_info(const cal_graph *g, cal_value v) {
  return v > 0 && v < g->values.count ? stable_at(&g->values, v) : &no_value;
}

cal_shape cal_graph_shape(const cal_graph *g, cal_value v) { return cal_graph_info(g, v)->shape; }

/* ---- values ------------------------------------------------------------------------------------------------------- */

static bool shape_ok(cal_graph *g, const char *what, cal_shape s) {
  if (s.rank < 0 || s.rank > CAL_DIMS) {
    cal_graph_fail(g, CAL_E_LIMIT, "%s: %d axes; at most %d", what, s.rank, CAL_DIMS);
    return false;
  }
  int64_t count = 1;
  for (int i = 0; i < s.rank; i++)
    if (s.dim[i] < 1 || __builtin_mul_overflow(count, s.dim[i], &count) || count > INT64_MAX / 16) {
      char text[CAL_SHAPE_TEXT];
      cal_graph_fail(g, CAL_E_ARG, "%s: %s cannot be a shape: every size is at least 1, and the product must fit", what,
                     cal_shape_text(s, text));
      return false;
    }
  return true;
}

static cal_value new_value(cal_graph *g, const cal_value_info *info) {
  cal_value_info *place = stable_add(&g->values, sizeof *place, &g->error);
  if (!place) return add_context(g);
  *place = *info;
  return g->values.count - 1;
}

static uint64_t named_hash(cal_source source, cal_group group, const char *name) {
  unsigned char kind[2] = {(unsigned char)source, (unsigned char)group};
  return hash_bytes(hash_bytes(HASH_START, kind, sizeof kind), name, strlen(name));
}

/* Inputs, weights and states: found again by name; then dtype and shape must be the same. */
static cal_value named(cal_graph *g, const char *what, cal_value_info info, const char *name) {
  if (g->error.code || !shape_ok(g, name, info.shape)) return 0;
  uint64_t hash = named_hash(info.source, info.group, name);
  size_t at = SIZE_MAX;
  for (int32_t v; (v = table_next(&g->named, hash, &at));) {
    const cal_value_info *known = cal_graph_info(g, v);
    if (known->source != info.source || known->group != info.group || strcmp(known->name, name) != 0) continue;
    if (known->dtype == info.dtype && cal_shape_equal(known->shape, info.shape)) return v;
    char a[CAL_SHAPE_TEXT], b[CAL_SHAPE_TEXT];
    return cal_graph_fail(g, CAL_E_ARG, "%s \"%s\" is %s %s here and %s %s elsewhere", what, name, cal_dtype_name(info.dtype),
                          cal_shape_text(info.shape, a), cal_dtype_name(known->dtype), cal_shape_text(known->shape, b));
  }
  if (info.source == CAL_STATE && info.group == CAL_PARAMETERS) {
    if (g->flat_closed) return cal_graph_fail(g, CAL_E_ARG, "state \"%s\": the parameters are already in use as one flat value", name);
    info.flat_at = g->flat_size;
    g->flat_size += (cal_shape_count(info.shape) + FLAT_ALIGNMENT - 1) / FLAT_ALIGNMENT * FLAT_ALIGNMENT;
  }
  if (!(info.name = intern(g, name))) return add_context(g);
  cal_value v = new_value(g, &info);
  return v && table_add(&g->named, hash, v, &g->error) ? v : 0;
}

cal_value cal_graph_input(cal_graph *g, const char *name, cal_dtype dtype, cal_shape shape) {
  return named(g, "input", (cal_value_info){.source = CAL_INPUT, .dtype = dtype, .shape = shape}, name);
}

cal_value cal_graph_weight(cal_graph *g, const char *path, cal_dtype dtype, cal_shape shape) {
  return named(g, "weight", (cal_value_info){.source = CAL_WEIGHT, .dtype = dtype, .shape = shape}, path);
}

cal_value cal_graph_state(cal_graph *g, const char *name, cal_dtype dtype, cal_shape shape, cal_group group) {
  if (group != CAL_NO_GROUP && group != CAL_PARAMETERS)
    return cal_graph_fail(g, CAL_E_ARG, "state \"%s\": only parameters are declared; what mirrors them comes from cal_graph_mirror", name);
  if (group == CAL_PARAMETERS && dtype != CAL_F32)
    return cal_graph_fail(g, CAL_E_ARG, "state \"%s\": parameters are f32, not %s", name, cal_dtype_name(dtype));
  return named(g, "state", (cal_value_info){.source = CAL_STATE, .dtype = dtype, .shape = shape, .group = group}, name);
}

cal_value cal_graph_mirror(cal_graph *g, cal_value parameter, cal_group group) {
  if (g->error.code || !parameter) return 0;
  const cal_value_info *p = cal_graph_info(g, parameter);
  if (p->source != CAL_STATE || p->group != CAL_PARAMETERS || group <= CAL_PARAMETERS || group >= CAL_GROUPS)
    return cal_graph_fail(g, CAL_E_ARG, "mirror: value %d is no parameter, or group %d mirrors none", parameter, group);
  cal_value_info info = *p;
  info.group = group;
  return named(g, "state", info, p->name);
}

cal_value cal_graph_flat(cal_graph *g, cal_group group) {
  if (g->error.code) return 0;
  if (group <= CAL_NO_GROUP || group >= CAL_GROUPS || !g->flat_size)
    return cal_graph_fail(g, CAL_E_ARG, "flat: there are no parameters, or group %d is none", group);
  g->flat_closed = true;
  cal_value_info info = {.source = CAL_STATE, .dtype = CAL_F32, .shape = {1, {g->flat_size}}, .group = group, .name = "flat"};
  return g->flat[group] ? g->flat[group] : (g->flat[group] = new_value(g, &info));
}

int64_t cal_graph_flat_size(const cal_graph *g) { return g->flat_size; }

cal_value cal_graph_constant(cal_graph *g, cal_dtype dtype, cal_shape shape, const void *data) {
  if (g->error.code || !shape_ok(g, "constant", shape)) return 0;
  size_t size = (size_t)cal_shape_count(shape) * cal_dtype_size(dtype);
  uint64_t hash = named_hash(CAL_CONSTANT, CAL_NO_GROUP, "");
  hash = hash_bytes(hash_bytes(hash, &shape, sizeof shape), data, size);
  size_t at = SIZE_MAX;
  for (int32_t v; (v = table_next(&g->named, hash, &at));) {
    const cal_value_info *known = cal_graph_info(g, v);
    if (known->source == CAL_CONSTANT && known->dtype == dtype && cal_shape_equal(known->shape, shape) && !memcmp(known->data, data, size))
      return v;
  }
  void *copy = cal_alloc(size, &g->error);
  if (!copy) return add_context(g);
  memcpy(copy, data, size);
  cal_value_info info = {.source = CAL_CONSTANT, .dtype = dtype, .shape = shape, .name = "constant", .data = copy};
  cal_value v = new_value(g, &info);
  if (!v) return cal_free(copy), 0;
  return table_add(&g->named, hash, v, &g->error) ? v : 0;
}

cal_value cal_graph_number(cal_graph *g, double number) {
  float f = (float)number;
  return cal_graph_constant(g, CAL_F32, (cal_shape){0}, &f);
}

/* ---- nodes -------------------------------------------------------------------------------------------------------- */

static uint64_t node_hash(const cal_node *n) {
  uint64_t hash = hash_bytes(HASH_START, &n->op, sizeof n->op);
  hash = hash_bytes(hash, n->input, (size_t)n->inputs * sizeof *n->input);
  return hash_bytes(hash, &n->attr, sizeof n->attr);
}

static bool same_node(const cal_node *a, const cal_node *b) {
  return a->op == b->op && a->inputs == b->inputs && !memcmp(a->input, b->input, sizeof a->input) &&
         !memcmp(&a->attr, &b->attr, sizeof a->attr);
}

cal_value cal_graph_add(cal_graph *g, const cal_op *op, const cal_value *inputs, int count, const cal_attributes *attr) {
  if (g->error.code) return 0;
  if (count < op->least_inputs || count > op->most_inputs)
    return cal_graph_fail(g, CAL_E_ARG, "%s: %d inputs; it takes %d to %d", op->name, count, op->least_inputs, op->most_inputs);
  cal_node node = {.op = op, .inputs = count, .outputs = op->outputs};
  if (attr) node.attr = *attr;
  for (int i = 0; i < count; i++) {
    if (inputs[i] <= 0 || inputs[i] >= g->values.count)
      return cal_graph_fail(g, CAL_E_ARG, "%s: input %d is no value of this graph", op->name, i + 1);
    node.input[i] = inputs[i];
  }
  uint64_t hash = node_hash(&node);
  size_t at = SIZE_MAX;
  for (int32_t i; (i = table_next(&g->node_table, hash, &at));) {
    const cal_node *known = cal_graph_node(g, i - 1);
    if (same_node(known, &node)) return known->output[0];
  }
  cal_value_info out[CAL_MOST_OUTPUTS] = {{0}};
  if (op->infer(g, &node, out, &g->error)) return add_context(g);
  for (int i = 0; i < op->outputs; i++)
    if (!shape_ok(g, op->name, out[i].shape)) return 0;
  if (!g->path_text && !(g->path_text = intern(g, g->depth ? g->path : ""))) return add_context(g);
  node.path = g->path_text;
  for (int i = 0; i < op->outputs; i++) {
    cal_value_info info = {.source = CAL_COMPUTED, .dtype = out[i].dtype, .shape = out[i].shape};
    info.node = g->nodes.count;
    info.output = i;
    info.name = node.path;
    if (!(node.output[i] = new_value(g, &info))) return 0;
  }
  cal_node *place = stable_add(&g->nodes, sizeof *place, &g->error);
  if (!place) return add_context(g);
  *place = node;
  return table_add(&g->node_table, hash, g->nodes.count, &g->error) ? node.output[0] : 0;
}

/* ---- outputs and stores ------------------------------------------------------------------------------------------- */

void cal_graph_output(cal_graph *g, cal_segment segment, cal_value value) {
  if (g->error.code || !value) return;
  for (int i = 0; i < g->outputs[segment].count; i++)
    if (cal_graph_output_at(g, segment, i) == value) return;
  cal_value *place = list_add(&g->outputs[segment], sizeof *place, &g->error);
  if (place) *place = value;
}

static bool overlap(const cal_value_info *a, const cal_value_info *b) {
  if (a->group != b->group) return false;
  return a->flat_at < b->flat_at + cal_shape_count(b->shape) && b->flat_at < a->flat_at + cal_shape_count(a->shape);
}

void cal_graph_store(cal_graph *g, cal_segment segment, cal_value state, cal_value value, bool add) {
  if (g->error.code || !state || !value) return;
  const cal_value_info *s = cal_graph_info(g, state), *v = cal_graph_info(g, value);
  char a[CAL_SHAPE_TEXT], b[CAL_SHAPE_TEXT];
  if (s->source != CAL_STATE) {
    cal_graph_fail(g, CAL_E_ARG, "store: value %d is no state", state);
    return;
  }
  if (!cal_shape_equal(s->shape, v->shape) || v->dtype == CAL_I32 || s->dtype == CAL_I32) {
    cal_graph_fail(g, CAL_E_ARG, "store: state \"%s\" is %s %s, the value is %s %s", s->name, cal_dtype_name(s->dtype),
                   cal_shape_text(s->shape, a), cal_dtype_name(v->dtype), cal_shape_text(v->shape, b));
    return;
  }
  for (int i = 0; i < g->stores[segment].count; i++) {
    const cal_store known = cal_graph_store_at(g, segment, i);
    if (known.state == state || (s->group && overlap(s, cal_graph_info(g, known.state)))) {
      cal_graph_fail(g, CAL_E_ARG, "store: state \"%s\" is stored twice in one segment", s->name);
      return;
    }
  }
  cal_store *place = list_add(&g->stores[segment], sizeof *place, &g->error);
  if (place) *place = (cal_store){state, value, add};
}

int cal_graph_output_count(const cal_graph *g, cal_segment segment) { return g->outputs[segment].count; }
cal_value cal_graph_output_at(const cal_graph *g, cal_segment segment, int index) {
  return ((cal_value *)g->outputs[segment].items)[index];
}
int cal_graph_store_count(const cal_graph *g, cal_segment segment) { return g->stores[segment].count; }
cal_store cal_graph_store_at(const cal_graph *g, cal_segment segment, int index) { return ((cal_store *)g->stores[segment].items)[index]; }
