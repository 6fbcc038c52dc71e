/* schedule.c - from a graph to steps with places: lower each segment to items, fuse them, find out how long each buffer is
 * needed, let some take the place of others, give all of them bytes. */
#include "core/graph/schedule.h"

#include <inttypes.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/graph/items.h"
#include "core/graph/strides.h"

enum { ALIGNMENT = 64, SMALL_INPUT = 64 };

typedef struct {
  const cal_graph *g;
  const cal_schedule_options *options;
  cal_schedule *s;
  cal_error *err;
  cal_memories memories;
  int group_memory[CAL_GROUPS];
  int *source_memory; /* by value, of inputs, constants, weights, ungrouped states: -1 until used */

  /* Of the segment being lowered. */
  int segment;
  cal_items items;
  unsigned char *wanted; /* by value */
  cal_access *layout;    /* by value: where its elements are */
  int *dense_copy;       /* by value: memory of a dense copy, -1 */
} job;

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

static int add_memory(job *j, cal_memory m) {
  if (!grow((void **)&j->memories.at, j->memories.count, &j->memories.capacity, sizeof *j->memories.at, j->err)) return -1;
  m.segment = j->segment;
  m.home = j->memories.count;
  m.first = m.last = -1;
  j->memories.at[j->memories.count] = m;
  return j->memories.count++;
}

static int arena_memory(job *j, cal_value v, cal_dtype dtype, int64_t count, const char *path) {
  return add_memory(j, (cal_memory){.storage = CAL_IN_ARENA, .value = v, .dtype = dtype, .count = count, .path = path});
}

static cal_access dense_access(int memory, int64_t at, cal_shape shape) {
  cal_access a = {.memory = memory, .at = at, .shape = shape};
  cal_strides_dense(shape, a.stride);
  return a;
}

static bool is_dense(const cal_access *a) { return cal_strides_are_dense(a->shape, a->stride); }

/* An input, constant, weight or state. */
static bool find_source(job *j, cal_value v, cal_access *out) {
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
  *out = dense_access(*memory, grouped ? info->flat_at : 0, info->shape);
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

static cal_item *add_item(job *j, cal_item item) {
  if (!grow((void **)&j->items.item, j->items.count, &j->items.capacity, sizeof *j->items.item, j->err)) return NULL;
  j->items.item[j->items.count] = item;
  return &j->items.item[j->items.count++];
}

/* A copy walks in the order in which its source lies, so that whatever makes the source can also write the copy. */
static bool add_copy(job *j, cal_access from, cal_access to, const char *path) {
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
static bool dense(job *j, cal_value v, bool kept, cal_access *out, const char *path) {
  *out = j->layout[v];
  if (is_dense(out) && !kept) return true;
  const cal_value_info *info = cal_graph_info(j->g, v);
  bool known = j->dense_copy[v] >= 0;
  if (!known && (j->dense_copy[v] = arena_memory(j, v, info->dtype, cal_shape_count(info->shape), path)) < 0) return false;
  cal_access copy = dense_access(j->dense_copy[v], 0, info->shape);
  if (!known && !add_copy(j, *out, copy, path)) return false;
  *out = copy;
  return true;
}

static bool lower_view(job *j, const cal_node *node) {
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
    *to = dense_access(from.memory, from.at, shape);
  }
  return true;
}

static bool lower_concat(job *j, const cal_node *node, const cal_access *to) {
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

static bool lower_pad(job *j, const cal_node *node, const cal_access *to) {
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

static bool lower_node(job *j, const cal_node *node) {
  if (node->op->view) return lower_view(j, node);
  cal_item item = {.path = node->path, .inputs = node->inputs, .outputs = node->outputs};
  for (int i = 0; i < node->outputs; i++) {
    const cal_value_info *info = cal_graph_info(j->g, node->output[i]);
    int memory = arena_memory(j, node->output[i], info->dtype, cal_shape_count(info->shape), node->path);
    if (memory < 0) return false;
    j->layout[node->output[i]] = item.output[i] = dense_access(memory, 0, info->shape);
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

/* Stores come as early as they may: after their value is there, and after the last reading of the old state. */
static bool lower_stores(job *j) {
  int stores = cal_graph_store_count(j->g, j->segment), nodes = 0;
  for (int i = 0; i < stores; i++) { /* values that are states themselves are read before any store */
    cal_store st = cal_graph_store_at(j->g, j->segment, i);
    cal_access *from = &j->layout[st.value];
    const cal_memory *m = &j->memories.at[from->memory];
    if (m->storage != CAL_IN_STATES) continue;
    const char *name = cal_graph_info(j->g, st.state)->name;
    int copy = arena_memory(j, st.value, m->dtype, cal_shape_count(from->shape), name);
    if (copy < 0) return false;
    cal_access to = dense_access(copy, 0, from->shape);
    if (!add_copy(j, *from, to, name)) return false;
    *from = to;
  }
  nodes = j->items.count;
  int *place = cal_alloc(((size_t)stores + 1) * sizeof *place, j->err);
  if (!place) return false;
  for (int i = 0; i < stores; i++) {
    cal_store st = cal_graph_store_at(j->g, j->segment, i);
    cal_access from = j->layout[st.value], to;
    bool ok = find_source(j, st.state, &to);
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
    for (int i = 0; i < stores; i++)
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
static bool find_order(job *j) {
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

/* ---- a segment -------------------------------------------------------------------------------------------------------- */

static void find_wanted(job *j) {
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

static bool lower_outputs(job *j) {
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

static cal_place place_of(const job *j, const cal_access *a) {
  const cal_memory *m = &j->memories.at[a->memory];
  cal_place p = {.storage = m->storage,
                 .group = m->group,
                 .chunk = a->memory,
                 .offset = a->at,
                 .dtype = m->dtype,
                 .shape = a->shape,
                 .value = m->value};
  memcpy(p.stride, a->stride, sizeof p.stride);
  return p;
}

static bool make_steps(job *j) {
  cal_chain **chains = cal_fuse(&j->items, &j->memories, j->g, j->options->no_fusion, j->err);
  if (!chains) return false;
  cal_schedule_segment *out = &j->s->segment[j->segment];
  out->step = cal_alloc_zero((size_t)j->items.count + 1, sizeof *out->step, j->err);
  for (int i = 0; i < j->items.count; i++) {
    const cal_item *item = &j->items.item[i];
    if (!item->node && !chains[i]) continue;
    if (!out->step) {
      cal_free(chains[i]);
      continue;
    }
    cal_step *step = &out->step[out->steps++];
    *step = (cal_step){.kind = item->node ? CAL_STEP_NODE : CAL_STEP_CHAIN, .path = item->path, .chain = chains[i]};
    if (!item->node) continue;
    step->op = item->node->op;
    step->attr = item->node->attr;
    step->inputs = item->inputs;
    step->outputs = item->outputs;
    for (int k = 0; k < item->inputs; k++) step->input[k] = place_of(j, &item->input[k]);
    for (int k = 0; k < item->outputs; k++) step->output[k] = place_of(j, &item->output[k]);
  }
  cal_free(chains);
  return out->step != NULL;
}

static int operands(cal_step *step, cal_place **in, cal_place **out, int *outputs) {
  bool chain = step->kind == CAL_STEP_CHAIN;
  *in = chain ? step->chain->input : step->input;
  *out = chain ? step->chain->output : step->output;
  *outputs = chain ? step->chain->outputs : step->outputs;
  return chain ? step->chain->inputs : step->inputs;
}

/* How long each buffer is needed, in steps. */
static void find_lives(job *j) {
  cal_schedule_segment *seg = &j->s->segment[j->segment];
  for (int t = 0; t < seg->steps; t++) {
    cal_place *in, *out;
    int outputs, inputs = operands(&seg->step[t], &in, &out, &outputs);
    for (int i = 0; i < inputs + outputs; i++) {
      cal_place *p = i < inputs ? &in[i] : &out[i - inputs];
      cal_memory *m = &j->memories.at[p->chunk];
      if (p->group) j->s->group_used[p->group] = true;
      if (m->first < 0) m->first = t;
      m->last = m->pinned ? seg->steps : t;
    }
  }
}

/* Whether an output of step t may be written over input i: the input ends here, both are the same elements of buffers of one
 * size, and the step reads that buffer in no other way. */
static bool may_take_over(const job *j, const cal_step *step, int t, const cal_place *in, int inputs, int i, const cal_place *out) {
  const cal_memory *old = &j->memories.at[in[i].chunk], *new = &j->memories.at[out->chunk];
  bool node = step->kind == CAL_STEP_NODE;
  if (node && !(step->op->in_place >> i & 1)) return false;
  if (old->storage != CAL_IN_ARENA || new->storage != CAL_IN_ARENA || old->pinned || old->last != t || old->first == t || new->first != t)
    return false;
  if (old->segment != new->segment || old->dtype != new->dtype || old->count != new->count || new->writers != 1) return false;
  for (int k = 0; k < inputs; k++) {
    if (in[k].chunk != in[i].chunk) continue;
    if (node ? k != i
             : in[k].offset != out->offset || memcmp(in[k].stride, out->stride, (size_t)out->shape.rank * sizeof *out->stride) != 0)
      return false;
  }
  return !node || (in[i].offset == 0 && cal_shape_count(in[i].shape) == old->count && cal_strides_are_dense(in[i].shape, in[i].stride));
}

static void take_over(job *j) {
  cal_schedule_segment *seg = &j->s->segment[j->segment];
  for (int t = 0; t < seg->steps; t++) {
    cal_place *in, *out;
    int outputs, inputs = operands(&seg->step[t], &in, &out, &outputs), taken[CAL_CHAIN_OUTPUTS], count = 0;
    for (int o = 0; o < (seg->step[t].kind == CAL_STEP_NODE ? 1 : outputs); o++) {
      for (int i = 0; i < inputs; i++) {
        bool free_yet = true;
        for (int k = 0; k < count; k++) free_yet = free_yet && taken[k] != in[i].chunk;
        if (!free_yet || !may_take_over(j, &seg->step[t], t, in, inputs, i, &out[o])) continue;
        taken[count++] = in[i].chunk;
        j->memories.at[out[o].chunk].home = in[i].chunk;
        break;
      }
    }
  }
}

static bool lower_segment(job *j) {
  cal_items_free(&j->items);
  find_wanted(j);
  for (cal_value v = 1; v < j->s->values; v++) {
    j->dense_copy[v] = -1;
    if (j->wanted[v] && cal_graph_info(j->g, v)->source != CAL_COMPUTED && !find_source(j, v, &j->layout[v])) return false;
  }
  for (int i = 0; i < cal_graph_node_count(j->g); i++) {
    const cal_node *node = cal_graph_node(j->g, i);
    if (j->wanted[node->output[0]] && !lower_node(j, node)) return false;
  }
  if (!lower_outputs(j) || !lower_stores(j) || !find_order(j) || !make_steps(j)) return false;
  find_lives(j);
  if (!j->options->no_reuse) take_over(j);
  return true;
}

/* ---- what is not the arena -------------------------------------------------------------------------------------------- */

static int64_t round_up(int64_t bytes, int64_t to) { return (bytes + to - 1) / to * to; }

/* Into the last of `chunks`, or a new one. */
static bool append(job *j, cal_memory *m, int *chunks, int64_t **sizes) {
  int64_t bytes = round_up(m->count * (int64_t)cal_dtype_size(m->dtype), ALIGNMENT), limit = j->options->largest_chunk;
  if (limit && bytes > limit) {
    cal_fail(j->err, CAL_E_LIMIT, "%s: needs %" PRId64 " bytes; this device allows %" PRId64 " in one buffer", m->path, bytes, limit);
    return false;
  }
  if (!*chunks || (limit && (*sizes)[*chunks - 1] + bytes > limit)) {
    int64_t *bigger = cal_resize(*sizes, (size_t)(*chunks + 1) * sizeof *bigger, j->err);
    if (!bigger) return false;
    *sizes = bigger;
    bigger[(*chunks)++] = 0;
  }
  m->chunk = *chunks - 1;
  m->offset = (*sizes)[m->chunk];
  (*sizes)[m->chunk] += bytes;
  return true;
}

static bool place_inputs(job *j) {
  for (int large = 0; large < 2; large++) { /* small ones together: one short write per step */
    for (int i = 0; i < j->memories.count; i++) {
      cal_memory *m = &j->memories.at[i];
      int64_t bytes = m->count * (int64_t)cal_dtype_size(m->dtype);
      if (m->storage != CAL_IN_INPUTS || (bytes > SMALL_INPUT) != large) continue;
      j->s->inputs_size = round_up(j->s->inputs_size, large ? ALIGNMENT : 4);
      m->offset = j->s->inputs_size;
      j->s->inputs_size += bytes;
    }
  }
  if (j->options->largest_chunk && j->s->inputs_size > j->options->largest_chunk)
    cal_fail(j->err, CAL_E_LIMIT, "schedule: all inputs together have %" PRId64 " bytes; this device allows %" PRId64 " in one buffer",
             j->s->inputs_size, j->options->largest_chunk);
  return !j->err->code;
}

static bool place_constants(job *j) {
  for (int i = 0; i < j->memories.count; i++) {
    cal_memory *m = &j->memories.at[i];
    if (m->storage != CAL_IN_CONSTANTS) continue;
    m->offset = j->s->constants_size;
    j->s->constants_size = round_up(m->offset + m->count * (int64_t)cal_dtype_size(m->dtype), ALIGNMENT);
  }
  if (!(j->s->constants = cal_alloc_zero((size_t)j->s->constants_size, 1, j->err))) return false;
  for (int i = 0; i < j->memories.count; i++) {
    const cal_memory *m = &j->memories.at[i];
    if (m->storage == CAL_IN_CONSTANTS)
      memcpy(j->s->constants + m->offset, cal_graph_info(j->g, m->value)->data, (size_t)m->count * cal_dtype_size(m->dtype));
  }
  return true;
}

static bool place_rest(job *j) {
  for (int i = 0; i < j->memories.count; i++) {
    cal_memory *m = &j->memories.at[i];
    if (m->storage == CAL_IN_WEIGHTS && !append(j, m, &j->s->weight_chunks, &j->s->weight_chunk)) return false;
    if (m->storage == CAL_IN_STATES && !m->group && !append(j, m, &j->s->state_chunks, &j->s->state_chunk)) return false;
    if (m->group && j->options->largest_chunk && m->count * 4 > j->options->largest_chunk) {
      cal_fail(j->err, CAL_E_LIMIT, "schedule: %" PRId64 " parameters need %" PRId64 " bytes in one buffer; this device allows %" PRId64,
               m->count, m->count * 4, j->options->largest_chunk);
      return false;
    }
  }
  j->s->flat_size = cal_graph_flat_size(j->g);
  return place_inputs(j) && place_constants(j);
}

/* Until here `chunk` was the number of a memory and `offset` counted elements. */
static void settle(const job *j, cal_place *p) {
  const cal_memory *m = &j->memories.at[p->chunk];
  p->offset = m->offset + p->offset * (int64_t)cal_dtype_size(p->dtype);
  p->chunk = m->chunk;
}

static void settle_all(job *j) {
  for (int k = 0; k < CAL_SEGMENTS; k++) {
    cal_schedule_segment *seg = &j->s->segment[k];
    for (int t = 0; t < seg->steps; t++) {
      cal_place *in, *out;
      int outputs, inputs = operands(&seg->step[t], &in, &out, &outputs);
      for (int i = 0; i < inputs; i++) settle(j, &in[i]);
      for (int i = 0; i < outputs; i++) settle(j, &out[i]);
    }
  }
  for (cal_value v = 1; v < j->s->values; v++) {
    cal_place *p = &j->s->place[v];
    const cal_value_info *info = cal_graph_info(j->g, v);
    bool grouped = info->source == CAL_STATE && info->group;
    int memory = info->source == CAL_COMPUTED ? -1 : grouped ? j->group_memory[info->group] : j->source_memory[v];
    if (memory >= 0) {
      cal_access a = dense_access(memory, grouped ? info->flat_at : 0, info->shape);
      *p = place_of(j, &a);
      p->value = v;
    }
    if (p->storage) settle(j, p);
  }
}

/* ---- the whole -------------------------------------------------------------------------------------------------------- */

static bool start(job *j) {
  size_t n = (size_t)j->s->values;
  j->s->place = cal_alloc_zero(n, sizeof *j->s->place, j->err);
  j->source_memory = cal_alloc(n * sizeof *j->source_memory, j->err);
  j->wanted = cal_alloc_zero(n, 1, j->err);
  j->layout = cal_alloc_zero(n, sizeof *j->layout, j->err);
  j->dense_copy = cal_alloc(n * sizeof *j->dense_copy, j->err);
  if (!j->s->place || !j->source_memory || !j->wanted || !j->layout || !j->dense_copy) return false;
  for (int i = 0; i < CAL_GROUPS; i++) j->group_memory[i] = -1;
  for (size_t i = 0; i < n; i++) j->source_memory[i] = -1;
  for (cal_value v = 1; v < j->s->values; v++) { /* the host may write every input, used or not */
    cal_access unused;
    if (cal_graph_info(j->g, v)->source == CAL_INPUT && !find_source(j, v, &unused)) return false;
  }
  return true;
}

cal_schedule *cal_schedule_new(const cal_graph *g, const cal_schedule_options *options, cal_error *err) {
  static const cal_schedule_options defaults = {0};
  cal_error local = {0};
  if (!err) err = &local;
  if (cal_graph_error(g)->code) return *err = *cal_graph_error(g), NULL;
  job j = {.g = g, .options = options ? options : &defaults, .err = err};
  if (!(j.s = cal_alloc_zero(1, sizeof *j.s, err))) return NULL;
  j.s->values = cal_graph_value_count(g) + 1;
  bool ok = start(&j);
  for (j.segment = 0; ok && j.segment < CAL_SEGMENTS; j.segment++) ok = lower_segment(&j);
  ok = ok && cal_place_arena(&j.memories, j.options, j.s, err) == CAL_OK && place_rest(&j);
  if (ok) settle_all(&j);
  cal_items_free(&j.items);
  cal_free(j.memories.at);
  cal_free(j.source_memory);
  cal_free(j.wanted);
  cal_free(j.layout);
  cal_free(j.dense_copy);
  if (!ok) cal_schedule_free(j.s), j.s = NULL;
  return j.s;
}

void cal_schedule_free(cal_schedule *s) {
  if (!s) return;
  for (int k = 0; k < CAL_SEGMENTS; k++) {
    for (int t = 0; t < s->segment[k].steps; t++) cal_free(s->segment[k].step[t].chain);
    cal_free(s->segment[k].step);
  }
  cal_free(s->arena_chunk);
  cal_free(s->weight_chunk);
  cal_free(s->state_chunk);
  cal_free(s->constants);
  cal_free(s->place);
  cal_free(s);
}

const cal_place *cal_schedule_place(const cal_schedule *s, cal_value v) {
  return v > 0 && v < s->values && s->place[v].storage ? &s->place[v] : NULL;
}
