/* lower.c - what a segment has to do: nodes become items, views become strides, copies appear where a reader does not take
 * strides, stores stand as early as they may. */
#include <string.h>

#include "core/base/memory.h"
#include "core/graph/items.h"
#include "core/graph/strides.h"

static bool grow(void **items, int count, int *capacity, size_t size, cal_error *err) {
  if (count < *capacity) return true;
  int bigger = *capacity ? *capacity * 2 : 64;
  void *block = cal_resize(*items, (size_t)bigger * size, err);
  if (!block) return false;
  *items = block;
  *capacity = bigger;
  return true;
}

void cal_items_free(cal_items *list) {
  cal_free(list->item);
  cal_free(list->before);
  cal_free(list->before_at);
  cal_free(list->after);
  cal_free(list->after_at);
  *list = (cal_items){0};
}

/* ---- memories and accesses -------------------------------------------------------------------------------------------- */

static int add_memory(cal_lowering *j, cal_memory m) {
  if (!grow((void **)&j->memories.at, j->memories.count, &j->memories.capacity, sizeof *j->memories.at, j->err)) return -1;
  m.segment = j->segment;
  m.home = j->memories.count;
  m.first = m.last = -1;
  j->memories.at[j->memories.count] = m;
  return j->memories.count++;
}

static int arena_memory(cal_lowering *j, cal_value v, cal_dtype dtype, int64_t count, const char *path) {
  return add_memory(j, (cal_memory){.storage = CAL_IN_ARENA, .value = v, .dtype = dtype, .count = count, .path = path});
}

cal_access cal_access_dense(int memory, int64_t at, cal_shape shape) {
  cal_access a = {.memory = memory, .at = at, .shape = shape};
  cal_strides_dense(shape, a.stride);
  return a;
}

static bool is_dense(const cal_access *a) { return cal_strides_are_dense(a->shape, a->stride); }

/* An input, constant, weight or state. */
bool cal_find_source(cal_lowering *j, cal_value v, cal_access *out) {
  static const cal_storage storages[] = {
      [CAL_INPUT] = CAL_IN_INPUTS, [CAL_CONSTANT] = CAL_IN_CONSTANTS, [CAL_WEIGHT] = CAL_IN_WEIGHTS, [CAL_STATE] = CAL_IN_STATES};
  const cal_value_info *info = cal_graph_info(j->g, v);
  bool grouped = info->source == CAL_STATE && info->group;
  int *memory = grouped ? &j->group_memory[info->group] : &j->source_memory[v];
  if (*memory < 0) {
    cal_memory m = {
        .storage = storages[info->source], .dtype = info->dtype, .value = v, .path = info->name, .count = cal_shape_count(info->shape)};
    if (grouped) m.group = info->group, m.value = 0, m.count = cal_graph_flat_size(j->g);
    if ((*memory = add_memory(j, m)) < 0) return false;
  }
  *out = cal_access_dense(*memory, grouped ? info->flat_at : 0, info->shape);
  return true;
}

/* As the operand of an elementwise op over `space`. */
static cal_access broadcast(const cal_access *a, cal_shape space) {
  cal_access out = {.memory = a->memory, .at = a->at, .shape = space};
  for (int i = 1; i <= a->shape.rank; i++)
    if (a->shape.dim[a->shape.rank - i] != 1) out.stride[space.rank - i] = a->stride[a->shape.rank - i];
  return out;
}

/* The same elements in the same order under another shape, if strides can say it: each new axis must stay inside a run of old axes
 * that step as one. */
static bool reshape_access(const cal_access *from, cal_shape to, cal_access *out) {
  int i = from->shape.rank - 1, o = to.rank - 1;
  *out = (cal_access){.memory = from->memory, .at = from->at, .shape = to};
  while (o >= 0) {
    if (to.dim[o] == 1) {
      o--;
      continue;
    }
    while (i >= 0 && from->shape.dim[i] == 1) i--;
    if (i < 0) return false; /* the counts were the same, so this is not reached */
    int64_t run = from->shape.dim[i], stride = from->stride[i], filled = 1;
    for (; o >= 0 && (filled < run || to.dim[o] == 1); o--) {
      filled *= to.dim[o];
      while (filled > run && i > 0) { /* the new axis reaches into the next old one */
        i--;
        if (from->shape.dim[i] == 1) continue;
        if (from->stride[i] != stride * run) return false;
        run *= from->shape.dim[i];
      }
      if (run % filled) return false;
      out->stride[o] = stride * (filled / to.dim[o]);
    }
    i--;
  }
  return true;
}

/* ---- items ------------------------------------------------------------------------------------------------------------ */

static cal_item *add_item(cal_lowering *j, cal_item item) {
  if (!grow((void **)&j->items.item, j->items.count, &j->items.capacity, sizeof *j->items.item, j->err)) return NULL;
  j->items.item[j->items.count] = item;
  return &j->items.item[j->items.count++];
}

/* A copy walks in the order in which its source lies, so that whatever makes the source can also write the copy. */
static bool add_copy(cal_lowering *j, cal_access from, cal_access to, const char *path) {
  for (int i = 1; i < from.shape.rank; i++)
    for (int k = i; k > 0 && from.stride[k - 1] < from.stride[k] && from.stride[k - 1] != 0; k--) {
      int64_t size = from.shape.dim[k], f = from.stride[k], t = to.stride[k];
      from.shape.dim[k] = from.shape.dim[k - 1], from.stride[k] = from.stride[k - 1], to.stride[k] = to.stride[k - 1];
      from.shape.dim[k - 1] = size, from.stride[k - 1] = f, to.stride[k - 1] = t;
    }
  to.shape = from.shape;
  return add_item(j, (cal_item){.path = path, .inputs = 1, .outputs = 1, .input = {from}, .output = {to}}) != NULL;
}

/* Where v is dense: where it is, or in a copy made once. What looks at a state may have to be `kept` as it is now. */
static bool dense(cal_lowering *j, cal_value v, bool kept, cal_access *out, const char *path) {
  *out = j->layout[v];
  if (is_dense(out) && !kept) return true;
  const cal_value_info *info = cal_graph_info(j->g, v);
  bool known = j->dense_copy[v] >= 0;
  if (!known && (j->dense_copy[v] = arena_memory(j, v, info->dtype, cal_shape_count(info->shape), path)) < 0) return false;
  cal_access copy = cal_access_dense(j->dense_copy[v], 0, info->shape);
  if (!known && !add_copy(j, *out, copy, path)) return false;
  *out = copy;
  return true;
}

static bool lower_view(cal_lowering *j, const cal_node *node) {
  const char *name = node->op->name;
  cal_access from = j->layout[node->input[0]], *to = &j->layout[node->output[0]];
  cal_shape shape = cal_graph_shape(j->g, node->output[0]);
  const int64_t *attr = node->attr.i;
  if (strcmp(name, "permute") == 0) {
    *to = from;
    to->shape = shape;
    for (int i = 0; i < shape.rank; i++) to->stride[i] = from.stride[attr[i]];
  } else if (strcmp(name, "slice") == 0) {
    *to = from;
    to->shape = shape;
    to->at += attr[1] * from.stride[attr[0]];
  } else if (strcmp(name, "expand") == 0) {
    *to = broadcast(&from, shape);
  } else if (!reshape_access(&from, shape, to)) {
    if (!dense(j, node->input[0], false, &from, node->path)) return false;
    *to = cal_access_dense(from.memory, from.at, shape);
  }
  return true;
}

static bool lower_concat(cal_lowering *j, const cal_node *node, const cal_access *to) {
  int64_t at = 0, axis = node->attr.i[0];
  for (int i = 0; i < node->inputs; i++) {
    cal_access from = j->layout[node->input[i]], part = *to;
    part.at += at * to->stride[axis];
    part.shape = from.shape;
    if (!add_copy(j, from, part, node->path)) return false;
    at += from.shape.dim[axis];
  }
  return true;
}

static bool lower_pad(cal_lowering *j, const cal_node *node, const cal_access *to) {
  cal_access from = j->layout[node->input[0]];
  const int64_t axis = node->attr.i[0], size[3] = {node->attr.i[1], from.shape.dim[axis], node->attr.i[2]};
  int64_t at = 0;
  for (int i = 0; i < 3; i++) {
    cal_access part = *to;
    part.at += at * to->stride[axis];
    part.shape.dim[axis] = size[i];
    at += size[i];
    if (i == 1 ? !add_copy(j, from, part, node->path)
               : size[i] && !add_item(j, (cal_item){.path = node->path, .outputs = 1, .output = {part}}))
      return false;
  }
  return true;
}

static bool lower_node(cal_lowering *j, const cal_node *node) {
  if (node->op->view) return lower_view(j, node);
  cal_item item = {.path = node->path, .inputs = node->inputs, .outputs = node->outputs};
  for (int i = 0; i < node->outputs; i++) {
    const cal_value_info *info = cal_graph_info(j->g, node->output[i]);
    int memory = arena_memory(j, node->output[i], info->dtype, cal_shape_count(info->shape), node->path);
    if (memory < 0) return false;
    j->layout[node->output[i]] = item.output[i] = cal_access_dense(memory, 0, info->shape);
  }
  if (strcmp(node->op->name, "concat") == 0) return lower_concat(j, node, &item.output[0]);
  if (strcmp(node->op->name, "pad") == 0) return lower_pad(j, node, &item.output[0]);
  for (int i = 0; i < node->inputs; i++) {
    item.input[i] = j->layout[node->input[i]];
    if (node->op->row) item.input[i] = broadcast(&item.input[i], item.output[0].shape);
    else if (!(node->op->strided >> i & 1) && !dense(j, node->input[i], false, &item.input[i], node->path)) return false;
  }
  if (node->op->row) {
    item.row = strcmp(node->op->name, "cast") == 0 ? NULL : node->op->row; /* places know their dtypes: a cast is a copy */
    item.k = (float)node->attr.r[0];
  } else {
    item.node = node;
  }
  return add_item(j, item) != NULL;
}

/* ---- stores ----------------------------------------------------------------------------------------------------------- */

/* What a node makes for nothing but a state is made there at once, if nobody reads the old state from then on: a gradient that is
 * not added to anything costs no copy and no memory. */
static bool made_in_state(cal_lowering *j, int store, const cal_access *from, const cal_access *to) {
  const cal_memory *m = &j->memories.at[from->memory];
  if (m->storage != CAL_IN_ARENA || m->pinned || m->dtype != j->memories.at[to->memory].dtype) return false;
  if (from->at || !is_dense(from) || m->count != cal_shape_count(to->shape)) return false;
  for (int i = 0; i < cal_graph_store_count(j->g, j->segment); i++)
    if (i != store && j->layout[cal_graph_store_at(j->g, j->segment, i).value].memory == from->memory) return false;
  int maker = -1, output = 0, last_reader = -1;
  for (int n = 0; n < j->items.count; n++) {
    const cal_item *item = &j->items.item[n];
    for (int k = 0; k < item->inputs; k++) {
      if (item->input[k].memory == from->memory) return false;
      if (cal_access_overlaps(&item->input[k], to)) last_reader = n;
    }
    for (int k = 0; k < item->outputs; k++)
      if (item->output[k].memory == from->memory) {
        if (maker >= 0 || !item->node) return false;
        maker = n, output = k;
      }
  }
  if (maker < 0 || last_reader >= maker) return false;
  j->items.item[maker].output[output].memory = to->memory;
  j->items.item[maker].output[output].at = to->at;
  return true;
}

/* Stores come as early as they may: after their value is there, and after the last reading of the old state. */
static bool lower_stores(cal_lowering *j) {
  int stores = cal_graph_store_count(j->g, j->segment), nodes = 0;
  for (int i = 0; i < stores; i++) { /* values that are states themselves are read before any store */
    cal_store st = cal_graph_store_at(j->g, j->segment, i);
    cal_access *from = &j->layout[st.value];
    const cal_memory *m = &j->memories.at[from->memory];
    if (m->storage != CAL_IN_STATES) continue;
    const char *name = cal_graph_info(j->g, st.state)->name;
    int copy = arena_memory(j, st.value, m->dtype, cal_shape_count(from->shape), name);
    if (copy < 0) return false;
    cal_access to = cal_access_dense(copy, 0, from->shape);
    if (!add_copy(j, *from, to, name)) return false;
    *from = to;
  }
  nodes = j->items.count;
  int *place = cal_alloc(((size_t)stores + 1) * sizeof *place, j->err), made = 0;
  if (!place) return false;
  for (int s = 0; s < stores; s++) {
    cal_store st = cal_graph_store_at(j->g, j->segment, s);
    cal_access from = j->layout[st.value], to;
    bool ok = cal_find_source(j, st.state, &to);
    if (ok && !st.add && made_in_state(j, s, &from, &to)) continue;
    const int i = made++;
    place[i] = 0;
    for (int n = 0; ok && n < nodes; n++) {
      const cal_item *item = &j->items.item[n];
      for (int k = 0; k < item->inputs; k++)
        if (cal_access_overlaps(&item->input[k], &to)) place[i] = n + 1;
      for (int k = 0; k < item->outputs; k++)
        if (item->output[k].memory == from.memory) place[i] = n + 1;
    }
    cal_item item = {.path = cal_graph_info(j->g, st.state)->name, .inputs = 1, .outputs = 1, .input = {from}, .output = {to}};
    if (st.add) item.row = cal_op_find("add")->row, item.inputs = 2, item.input[1] = from, item.input[0] = to;
    if (!ok || !add_item(j, item)) return cal_free(place), false;
  }
  /* Put them there, in one pass from the end. */
  cal_item *sorted = cal_alloc(((size_t)j->items.count + 1) * sizeof *sorted, j->err);
  if (!sorted) return cal_free(place), false;
  int count = 0;
  for (int n = 0; n <= nodes; n++) {
    for (int i = 0; i < made; i++)
      if (place[i] == n) sorted[count++] = j->items.item[nodes + i];
    if (n < nodes) sorted[count++] = j->items.item[n];
  }
  cal_free(place);
  cal_free(j->items.item);
  j->items.item = sorted;
  j->items.capacity = count + 1;
  return true;
}

/* ---- order ------------------------------------------------------------------------------------------------------------ */

typedef struct {
  int from, to;
} edge;

typedef struct {
  edge *e;
  int count, capacity;
} edges;

static bool add_edge(edges *list, int from, int to, cal_error *err) {
  if (!grow((void **)&list->e, list->count, &list->capacity, sizeof *list->e, err)) return false;
  list->e[list->count++] = (edge){from, to};
  return true;
}

static bool sort_edges(const edges *list, int items, bool backward, int **ends, int **at, cal_error *err) {
  *ends = cal_alloc(((size_t)list->count + 1) * sizeof **ends, err);
  *at = cal_alloc_zero((size_t)items + 2, sizeof **at, err);
  if (!*ends || !*at) return false;
  for (int i = 0; i < list->count; i++) (*at)[(backward ? list->e[i].to : list->e[i].from) + 2]++;
  for (int i = 2; i < items + 2; i++) (*at)[i] += (*at)[i - 1];
  for (int i = 0; i < list->count; i++)
    (*ends)[(*at)[(backward ? list->e[i].to : list->e[i].from) + 1]++] = backward ? list->e[i].from : list->e[i].to;
  return true;
}

/* Who waits for whom: a reader for every writer of what it reads, a store for the readers of what it overwrites. */
static bool find_order(cal_lowering *j) {
  int n = j->items.count;
  edges list = {0};
  int *writer = cal_alloc(((size_t)j->memories.count + 1) * sizeof *writer, j->err); /* by memory: the last item that writes it */
  int *next = cal_alloc(((size_t)n * CAL_MOST_OUTPUTS + 1) * sizeof *next, j->err);  /* by item and output: the one before it */
  int *reader = cal_alloc(((size_t)j->memories.count + 1) * sizeof *reader, j->err);
  int *next_reader = cal_alloc(((size_t)n * CAL_MOST_INPUTS + 1) * sizeof *next_reader, j->err);
  bool ok = writer && next && reader && next_reader;
  for (int i = 0; ok && i < j->memories.count; i++) writer[i] = reader[i] = -1;
  for (int i = 0; ok && i < n; i++) {
    const cal_item *item = &j->items.item[i];
    for (int k = 0; ok && k < item->inputs; k++) {
      int m = item->input[k].memory, me = i * CAL_MOST_INPUTS + k;
      for (int w = writer[m]; ok && w >= 0; w = next[w]) ok = add_edge(&list, w / CAL_MOST_OUTPUTS, i, j->err);
      next_reader[me] = reader[m];
      reader[m] = me;
    }
    for (int k = 0; ok && k < item->outputs; k++) {
      int m = item->output[k].memory, me = i * CAL_MOST_OUTPUTS + k;
      for (int r = j->memories.at[m].storage == CAL_IN_STATES ? reader[m] : -1; ok && r >= 0; r = next_reader[r]) {
        const cal_access *a = &j->items.item[r / CAL_MOST_INPUTS].input[r % CAL_MOST_INPUTS];
        if (r / CAL_MOST_INPUTS != i && cal_access_overlaps(a, &item->output[k])) ok = add_edge(&list, r / CAL_MOST_INPUTS, i, j->err);
      }
      if (j->memories.at[m].storage == CAL_IN_STATES) continue; /* nobody reads a state after it was stored */
      next[me] = writer[m];
      writer[m] = me;
      j->memories.at[m].writers++;
    }
  }
  ok = ok && sort_edges(&list, n, true, &j->items.before, &j->items.before_at, j->err) &&
       sort_edges(&list, n, false, &j->items.after, &j->items.after_at, j->err);
  cal_free(writer);
  cal_free(next);
  cal_free(reader);
  cal_free(next_reader);
  cal_free(list.e);
  return ok;
}

/* ---- the whole -------------------------------------------------------------------------------------------------------- */

static void find_wanted(cal_lowering *j) {
  memset(j->wanted, 0, (size_t)j->s->values);
  for (int i = 0; i < cal_graph_output_count(j->g, j->segment); i++) j->wanted[cal_graph_output_at(j->g, j->segment, i)] = 1;
  for (int i = 0; i < cal_graph_store_count(j->g, j->segment); i++) j->wanted[cal_graph_store_at(j->g, j->segment, i).value] = 1;
  for (int i = cal_graph_node_count(j->g); i-- > 0;) {
    const cal_node *node = cal_graph_node(j->g, i);
    bool wanted = false;
    for (int k = 0; k < node->outputs; k++) wanted = wanted || j->wanted[node->output[k]];
    for (int k = 0; wanted && k < node->inputs; k++) j->wanted[node->input[k]] = 1;
    if (wanted) j->wanted[node->output[0]] = 1;
  }
}

static bool lower_outputs(cal_lowering *j) {
  for (int i = 0; i < cal_graph_output_count(j->g, j->segment); i++) {
    cal_value v = cal_graph_output_at(j->g, j->segment, i);
    cal_place *p = &j->s->place[v];
    const cal_value_info *info = cal_graph_info(j->g, v);
    cal_access a;
    if (p->storage == CAL_IN_ARENA) return cal_fail(j->err, CAL_E_ARG, "%s: a value is an output of two segments", info->name), false;
    bool of_state = info->source == CAL_COMPUTED && j->memories.at[j->layout[v].memory].storage == CAL_IN_STATES;
    if (!dense(j, v, of_state, &a, info->name)) return false;
    cal_memory *m = &j->memories.at[a.memory];
    if (m->storage == CAL_IN_ARENA) m->pinned = true;
    *p = (cal_place){.storage = m->storage,
                     .chunk = a.memory,
                     .offset = a.at,
                     .dtype = info->dtype,
                     .shape = a.shape,
                     .value = m->value,
                     .group = m->group};
    memcpy(p->stride, a.stride, sizeof p->stride);
  }
  return true;
}

bool cal_lower_segment(cal_lowering *j) {
  cal_items_free(&j->items);
  find_wanted(j);
  for (cal_value v = 1; v < j->s->values; v++) {
    j->dense_copy[v] = -1;
    if (j->wanted[v] && cal_graph_info(j->g, v)->source != CAL_COMPUTED && !cal_find_source(j, v, &j->layout[v])) return false;
  }
  for (int i = 0; i < cal_graph_node_count(j->g); i++) {
    const cal_node *node = cal_graph_node(j->g, i);
    if (j->wanted[node->output[0]] && !lower_node(j, node)) return false;
  }
  return lower_outputs(j) && lower_stores(j) && find_order(j);
}
