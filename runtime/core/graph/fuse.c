/* fuse.c - which elementwise items run as one chain, and the program of that chain.
 *
 * Items come in an order in which everything is made before it is used. A chain runs where its last item stands; so two groups
 * may be joined if everything that uses the earlier one still comes later than the new place. That is a little stricter than
 * "no cycle", costs nothing to check, and keeps the order of the graph. */
#include <string.h>

#include "core/base/memory.h"
#include "core/graph/items.h"
#include "core/graph/reference.h"
#include "core/graph/strides.h"

/* While groups grow, their iteration spaces may have more axes than a place can hold; merged axes must fit at the end. */
enum { WIDE = 10, MOST_MEMBERS = 48 };

typedef struct {
  int rank;
  int64_t dim[WIDE];
} wide;

typedef struct {
  int members, member[MOST_MEMBERS]; /* items, ascending; 0 members: joined into another */
  wide space;                        /* no axes of size 1 */
} group;

typedef struct {
  const cal_items *list;
  const cal_memories *memories;
  const cal_graph *g;
  group *groups; /* by item: that of its first item */
  int *of;       /* by item: its group, -1 for nodes */
} job;

/* One operand in the wide space of its group. */
typedef struct {
  int memory;
  int64_t at, stride[WIDE];
} wide_access;

static int last_of(const job *j, int item) {
  return j->of[item] < 0 ? item : j->groups[j->of[item]].member[j->groups[j->of[item]].members - 1];
}

static wide wide_of(cal_shape s) {
  wide w = {0};
  for (int i = 0; i < s.rank; i++)
    if (s.dim[i] != 1) w.dim[w.rank++] = s.dim[i];
  return w;
}

/* The coarsest space that is finer than both. */
static bool refine(const wide *a, const wide *b, wide *out) {
  int64_t reversed[WIDE], x = 1, y = 1;
  int i = a->rank, j = b->rank, n = 0;
  while (i > 0 || j > 0 || x > 1 || y > 1) {
    if (x == 1 && i > 0) x = a->dim[--i];
    if (y == 1 && j > 0) y = b->dim[--j];
    int64_t step = x < y ? x : y;
    if (step < 2 || x % step || y % step || n == WIDE) return false;
    reversed[n++] = step;
    x /= step, y /= step;
  }
  out->rank = n;
  for (int k = 0; k < n; k++) out->dim[k] = reversed[n - 1 - k];
  return true;
}

static wide_access widen(const cal_access *a, const wide *space) {
  wide_access out = {.memory = a->memory, .at = a->at};
  int axis = space->rank;
  for (int i = a->shape.rank; i-- > 0;) {
    int64_t left = a->shape.dim[i], stride = a->stride[i];
    while (left > 1) {
      out.stride[--axis] = stride;
      stride *= space->dim[axis];
      left /= space->dim[axis];
    }
  }
  return out;
}

static bool same(const wide_access *a, const wide_access *b, const wide *space) {
  return a->memory == b->memory && a->at == b->at && !memcmp(a->stride, b->stride, (size_t)space->rank * sizeof *a->stride);
}

bool cal_access_overlaps(const cal_access *a, const cal_access *b) {
  int64_t a_end = a->at, b_end = b->at;
  if (a->memory != b->memory) return false;
  for (int i = 0; i < a->shape.rank; i++) a_end += (a->shape.dim[i] - 1) * a->stride[i];
  for (int i = 0; i < b->shape.rank; i++) b_end += (b->shape.dim[i] - 1) * b->stride[i];
  return a->at <= b_end && b->at <= a_end;
}

static bool is_number(const job *j, const cal_access *a) {
  const cal_memory *m = &j->memories->at[a->memory];
  return m->storage == CAL_IN_CONSTANTS && m->count == 1 && m->dtype != CAL_I32;
}

static float number_of(const job *j, const cal_access *a) {
  const cal_memory *m = &j->memories->at[a->memory];
  double number;
  cal_numbers_of(m->dtype, cal_graph_info(j->g, m->value)->data, 1, &number);
  return (float)number;
}

/* ---- the program of a group ----------------------------------------------------------------------------------------- */

typedef struct {
  cal_chain *chain; /* NULL: only find out whether it can be made */
  int loads, stores, length;
  wide_access load[CAL_CHAIN_INPUTS], store[CAL_CHAIN_OUTPUTS];
  int stored[CAL_CHAIN_OUTPUTS]; /* result of which instruction or load */
  cal_instruction program[CAL_CHAIN_LENGTH];
  int result[MOST_MEMBERS]; /* register of each member */
} program;

/* Registers below 64 are loads, from 64 on instructions, until the number of loads is known. */
enum { INSTRUCTION = 64 };

static int add_instruction(program *p, cal_instruction in) {
  for (int i = 0; i < p->length; i++)
    if (p->program[i].row == in.row && p->program[i].k == in.k && !memcmp(p->program[i].operand, in.operand, sizeof in.operand))
      return INSTRUCTION + i;
  if (p->length == CAL_CHAIN_LENGTH) return -1;
  p->program[p->length] = in;
  return INSTRUCTION + p->length++;
}

/* The register that holds input `k` of member `m`; -1: the group cannot be. */
static int operand(const job *j, const group *gr, program *p, int m, int k) {
  const cal_access *a = &j->list->item[gr->member[m]].input[k];
  if (is_number(j, a)) return add_instruction(p, (cal_instruction){.k = number_of(j, a)});
  wide_access read = widen(a, &gr->space);
  bool made_here = false;
  for (int w = 0; w < m; w++) { /* what an earlier member has just written is in its register, if it is the same element */
    const cal_access *out = &j->list->item[gr->member[w]].output[0];
    if (!cal_access_overlaps(out, a)) continue;
    wide_access written = widen(out, &gr->space);
    if (same(&read, &written, &gr->space)) return p->result[w];
    made_here = true;
  }
  if (made_here) return -1;
  for (int i = 0; i < p->loads; i++)
    if (same(&p->load[i], &read, &gr->space)) return i;
  if (p->loads == CAL_CHAIN_INPUTS) return -1;
  p->load[p->loads] = read;
  return p->loads++;
}

static bool inside(const group *gr, int item) {
  for (int i = 0; i < gr->members; i++)
    if (gr->member[i] == item) return true;
  return false;
}

/* Whether memory must hold what member `m` computes. */
static bool must_store(const job *j, const group *gr, int m) {
  int item = gr->member[m];
  const cal_memory *memory = &j->memories->at[j->list->item[item].output[0].memory];
  if (memory->storage != CAL_IN_ARENA || memory->pinned || memory->writers > 1) return true;
  for (int i = j->list->after_at[item]; i < j->list->after_at[item + 1]; i++) {
    const cal_item *user = &j->list->item[j->list->after[i]];
    for (int k = 0; k < user->inputs; k++)
      if (user->input[k].memory == j->list->item[item].output[0].memory && !inside(gr, j->list->after[i])) return true;
  }
  return false;
}

static bool write_program(const job *j, const group *gr, program *p) {
  for (int m = 0; m < gr->members; m++) {
    const cal_item *item = &j->list->item[gr->member[m]];
    cal_instruction in = {.row = item->row, .k = item->k};
    for (int k = 0; k < item->inputs; k++) {
      int from = operand(j, gr, p, m, k);
      if (from < 0) return false;
      in.operand[k] = (int8_t)from;
    }
    p->result[m] = !item->row && item->inputs ? in.operand[0] : add_instruction(p, in);
    if (p->result[m] < 0) return false;
    const cal_memory *memory = &j->memories->at[item->output[0].memory];
    if (memory->storage == CAL_IN_STATES) { /* who reads the old state here must read the very element that is overwritten */
      wide_access written = widen(&item->output[0], &gr->space);
      for (int r = 0; r < gr->members; r++)
        for (int k = 0; k < j->list->item[gr->member[r]].inputs; k++) {
          const cal_access *a = &j->list->item[gr->member[r]].input[k];
          wide_access read = widen(a, &gr->space);
          if (cal_access_overlaps(a, &item->output[0]) && !same(&read, &written, &gr->space)) return false;
        }
    }
    if (!must_store(j, gr, m)) continue;
    if (p->stores == CAL_CHAIN_OUTPUTS) return false;
    p->store[p->stores] = widen(&item->output[0], &gr->space);
    p->stored[p->stores++] = p->result[m];
  }
  return true;
}

/* Neighbouring axes become one where every operand steps through them as through one. Returns the number of axes left. */
static int merge_axes(program *p, wide *space) {
  for (int axis = space->rank - 2; axis >= 0; axis--) {
    bool one = true;
    for (int i = 0; i < p->loads + p->stores; i++) {
      const int64_t *stride = i < p->loads ? p->load[i].stride : p->store[i - p->loads].stride;
      one = one && stride[axis] == stride[axis + 1] * space->dim[axis + 1];
    }
    if (!one) continue;
    space->dim[axis] *= space->dim[axis + 1];
    for (int i = 0; i < p->loads + p->stores; i++) {
      int64_t *stride = i < p->loads ? p->load[i].stride : p->store[i - p->loads].stride;
      stride[axis] = stride[axis + 1];
      memmove(stride + axis + 1, stride + axis + 2, (size_t)(space->rank - axis - 2) * sizeof *stride);
    }
    memmove(space->dim + axis + 1, space->dim + axis + 2, (size_t)(space->rank - axis - 2) * sizeof *space->dim);
    space->rank--;
  }
  return space->rank;
}

static cal_place place_of(const job *j, const wide_access *a, const wide *space) {
  const cal_memory *m = &j->memories->at[a->memory];
  cal_place p = {.storage = m->storage, .group = m->group, .chunk = a->memory, .offset = a->at, .dtype = m->dtype, .value = m->value};
  p.shape = (cal_shape){.rank = space->rank};
  for (int i = 0; i < space->rank; i++) p.shape.dim[i] = space->dim[i], p.stride[i] = a->stride[i];
  return p;
}

static int8_t renumber(int reg, int loads) { return (int8_t)(reg < INSTRUCTION ? reg : reg - INSTRUCTION + loads); }

static bool build(const job *j, const group *gr, cal_chain *chain) {
  program p = {0};
  wide space = gr->space;
  if (!write_program(j, gr, &p) || merge_axes(&p, &space) > CAL_DIMS) return false;
  if (!chain) return true;
  chain->inputs = p.loads, chain->outputs = p.stores, chain->length = p.length;
  for (int i = 0; i < p.loads; i++) chain->input[i] = place_of(j, &p.load[i], &space);
  for (int i = 0; i < p.stores; i++) {
    chain->output[i] = place_of(j, &p.store[i], &space);
    chain->result[i] = renumber(p.stored[i], p.loads);
  }
  chain->space = (cal_shape){.rank = space.rank};
  memcpy(chain->space.dim, space.dim, (size_t)space.rank * sizeof *space.dim);
  for (int i = 0; i < p.length; i++) {
    chain->program[i] = p.program[i];
    int operands = p.program[i].row ? (int)strlen(p.program[i].row->inputs) - p.program[i].row->uses_k : 0;
    for (int k = 0; k < operands; k++) chain->program[i].operand[k] = renumber(p.program[i].operand[k], p.loads);
  }
  return true;
}

/* ---- which groups ---------------------------------------------------------------------------------------------------- */

static bool stays_before_its_users(const job *j, const group *gr, const group *joined, int place) {
  for (int m = 0; m < gr->members; m++) {
    int item = gr->member[m];
    for (int i = j->list->after_at[item]; i < j->list->after_at[item + 1]; i++) {
      int user = j->list->after[i];
      if (!inside(joined, user) && last_of(j, user) <= place) return false;
    }
  }
  return true;
}

static bool join(job *j, int a, int b) {
  group *x = &j->groups[a], *y = &j->groups[b], both = {0};
  if (a == b || x->members + y->members > MOST_MEMBERS || !refine(&x->space, &y->space, &both.space)) return false;
  for (int i = 0, k = 0; i < x->members || k < y->members;)
    both.member[both.members++] = k == y->members || (i < x->members && x->member[i] < y->member[k]) ? x->member[i++] : y->member[k++];
  int place = both.member[both.members - 1];
  if (!stays_before_its_users(j, x, &both, place) || !stays_before_its_users(j, y, &both, place) || !build(j, &both, NULL)) return false;
  x->members = y->members = 0;
  int into = both.member[0];
  j->groups[into] = both;
  for (int i = 0; i < both.members; i++) j->of[both.member[i]] = into;
  return true;
}

/* Other parts of one flat buffer are no reason to wait for each other. */
static bool reads_the_same(const cal_item *item, const cal_access *a) {
  for (int k = 0; k < item->inputs; k++)
    if (item->input[k].memory == a->memory && item->input[k].at == a->at) return true;
  return false;
}

/* The groups that an item could run with: those it waits for, then those that read what it reads. */
static void try_all(job *j, int item, const int *last_reader) {
  for (int i = j->list->before_at[item]; i < j->list->before_at[item + 1]; i++) {
    int before = j->list->before[i];
    if (j->of[before] >= 0) join(j, j->of[before], j->of[item]);
  }
  for (int k = 0; k < j->list->item[item].inputs; k++) {
    const cal_access *a = &j->list->item[item].input[k];
    int reader = last_reader[a->memory];
    if (reader >= 0 && !is_number(j, a) && cal_shape_count(a->shape) > 1 && reads_the_same(&j->list->item[reader], a))
      join(j, j->of[reader], j->of[item]);
  }
}

cal_chain **cal_fuse(const cal_items *list, const cal_memories *memories, const cal_graph *g, bool never, cal_error *err) {
  job j = {.list = list, .memories = memories, .g = g};
  cal_chain **chains = cal_alloc_zero((size_t)list->count + 1, sizeof *chains, err);
  int *last_reader = cal_alloc(((size_t)memories->count + 1) * sizeof *last_reader, err);
  j.groups = cal_alloc_zero((size_t)list->count + 1, sizeof *j.groups, err);
  j.of = cal_alloc_zero((size_t)list->count + 1, sizeof *j.of, err);
  bool ok = chains && last_reader && j.groups && j.of;
  for (int i = 0; ok && i < memories->count; i++) last_reader[i] = -1;
  for (int i = 0; ok && i < list->count; i++) {
    const cal_item *item = &list->item[i];
    j.of[i] = item->node ? -1 : i;
    if (!item->node) j.groups[i] = (group){.members = 1, .member = {i}, .space = wide_of(item->output[0].shape)};
  }
  for (int i = 0; ok && !never && i < list->count; i++) {
    if (list->item[i].node) continue;
    try_all(&j, i, last_reader);
    for (int k = 0; k < list->item[i].inputs; k++) last_reader[list->item[i].input[k].memory] = i;
  }
  for (int i = 0; ok && i < list->count; i++) {
    if (j.of[i] < 0 || last_of(&j, i) != i) continue;
    chains[i] = cal_alloc_zero(1, sizeof **chains, err);
    ok = chains[i] != NULL;
    if (ok && !build(&j, &j.groups[j.of[i]], chains[i])) {
      ok = false;
      cal_fail(err, CAL_E_LIMIT, "%s: an elementwise op with more than %d axes after splitting", list->item[i].path, CAL_DIMS);
    }
  }
  if (!ok && chains) {
    for (int i = 0; i < list->count; i++) cal_free(chains[i]);
    cal_free(chains);
    chains = NULL;
  }
  cal_free(last_reader);
  cal_free(j.groups);
  cal_free(j.of);
  return chains;
}
