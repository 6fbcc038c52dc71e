/* schedule.c - from a graph to steps with places: lower each segment to items, fuse them, find out how long each buffer is
 * needed, let some take the place of others, give all of them bytes. */
#include "core/graph/schedule.h"

#include <inttypes.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/graph/items.h"
#include "core/graph/strides.h"

enum { ALIGNMENT = 64, SMALL_INPUT = 64 };

/* ---- a segment -------------------------------------------------------------------------------------------------------- */

static cal_place place_of(const cal_lowering *j, const cal_access *a) {
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

static bool make_steps(cal_lowering *j) {
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
    if (!item->node) {
      if (chains[i]) step->flops = (double)chains[i]->length * (double)cal_shape_count(chains[i]->space);
      continue;
    }
    step->op = item->node->op;
    if (step->op->cost) step->flops = step->op->cost(j->g, item->node).flops;
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

static int64_t moved_bytes(const cal_place *p) {
  int64_t elements = 1;
  for (int i = 0; i < p->shape.rank; i++)
    if (p->stride[i]) elements *= p->shape.dim[i];
  return elements * (int64_t)cal_dtype_size(p->dtype);
}

int64_t cal_step_bytes(const cal_step *step) {
  cal_place *in, *out;
  int outputs, inputs = operands((cal_step *)step, &in, &out, &outputs);
  int64_t bytes = 0;
  for (int i = 0; i < inputs; i++) bytes += moved_bytes(&in[i]);
  for (int i = 0; i < outputs; i++) bytes += moved_bytes(&out[i]);
  return bytes;
}

/* How long each buffer is needed, in steps. */
static void find_lives(cal_lowering *j) {
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
static bool may_take_over(const cal_lowering *j, const cal_step *step, int t, const cal_place *in, int inputs, int i,
                          const cal_place *out) {
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

static void take_over(cal_lowering *j) {
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

static bool make_segment(cal_lowering *j) {
  if (!cal_lower_segment(j) || !make_steps(j)) return false;
  find_lives(j);
  if (!j->options->no_reuse) take_over(j);
  return true;
}

/* ---- what is not the arena -------------------------------------------------------------------------------------------- */

static int64_t round_up(int64_t bytes, int64_t to) { return (bytes + to - 1) / to * to; }

/* Into the last of `chunks`, or a new one. */
static bool append(cal_lowering *j, cal_memory *m, int *chunks, int64_t **sizes) {
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

static bool place_inputs(cal_lowering *j) {
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

static bool place_constants(cal_lowering *j) {
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

static bool place_rest(cal_lowering *j) {
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
static void settle(const cal_lowering *j, cal_place *p) {
  const cal_memory *m = &j->memories.at[p->chunk];
  p->offset = m->offset + p->offset * (int64_t)cal_dtype_size(p->dtype);
  p->chunk = m->chunk;
}

static void settle_all(cal_lowering *j) {
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
      cal_access a = cal_access_dense(memory, grouped ? info->flat_at : 0, info->shape);
      *p = place_of(j, &a);
      p->value = v;
    }
    if (p->storage) settle(j, p);
  }
}

/* ---- the whole -------------------------------------------------------------------------------------------------------- */

static bool start(cal_lowering *j) {
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
    if (cal_graph_info(j->g, v)->source == CAL_INPUT && !cal_find_source(j, v, &unused)) return false;
  }
  return true;
}

cal_schedule *cal_schedule_new(const cal_graph *g, const cal_schedule_options *options, cal_error *err) {
  static const cal_schedule_options defaults = {0};
  cal_error local = {0};
  if (!err) err = &local;
  if (cal_graph_error(g)->code) return *err = *cal_graph_error(g), NULL;
  cal_lowering j = {.g = g, .options = options ? options : &defaults, .err = err};
  if (!(j.s = cal_alloc_zero(1, sizeof *j.s, err))) return NULL;
  j.s->values = cal_graph_value_count(g) + 1;
  bool ok = start(&j);
  for (j.segment = 0; ok && j.segment < CAL_SEGMENTS; j.segment++) ok = make_segment(&j);
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
