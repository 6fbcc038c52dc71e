/* place.c - which bytes of the arena each buffer gets. Large ones first, each into the gap that fits it best; two buffers may
 * share bytes when they are never needed at the same time. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/graph/items.h"

enum { ALIGNMENT = 64 };

/* Buffers that took each other's place are one block. */
typedef struct {
  int memory; /* the first of them */
  int64_t bytes, offset;
  int chunk, segment, first, last;
  bool pinned;
} block;

static int by_size(const void *a, const void *b) {
  const block *x = a, *y = b;
  if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
  return x->memory - y->memory;
}

static bool meet(const block *a, const block *b, bool no_reuse) {
  if (no_reuse) return true;
  if (a->segment != b->segment) return a->pinned || b->pinned;
  return a->first <= b->last && b->first <= a->last;
}

static int64_t round_up(int64_t bytes) { return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

/* The blocks of one chunk, sorted by offset. */
typedef struct {
  int *block;
  int count, capacity;
} row;

/* The tightest gap of a chunk between the blocks that live at the same time. */
static int64_t best_gap(const block *blocks, const row *r, const block *b, int64_t size, bool no_reuse, int64_t *waste) {
  int64_t free_from = 0, best = -1;
  *waste = INT64_MAX;
  for (int i = 0; i < r->count; i++) {
    const block *other = &blocks[r->block[i]];
    if (!meet(b, other, no_reuse)) continue;
    int64_t gap = other->offset - free_from;
    if (gap >= b->bytes && gap - b->bytes < *waste) best = free_from, *waste = gap - b->bytes;
    if (other->offset + other->bytes > free_from) free_from = other->offset + other->bytes;
  }
  if (best >= 0) return best;
  *waste = size - free_from >= b->bytes ? size - free_from - b->bytes : 0;
  return free_from;
}

typedef struct {
  const cal_schedule_options *options;
  cal_schedule *s;
  block *blocks;
  row *rows; /* by chunk */
} job;

static bool insert(job *j, int at, cal_error *err) {
  row *r = &j->rows[j->blocks[at].chunk];
  if (r->count == r->capacity) {
    int capacity = r->capacity ? r->capacity * 2 : 64, *bigger = cal_resize(r->block, (size_t)capacity * sizeof *bigger, err);
    if (!bigger) return false;
    r->block = bigger;
    r->capacity = capacity;
  }
  int i = r->count++;
  for (; i > 0 && j->blocks[r->block[i - 1]].offset > j->blocks[at].offset; i--) r->block[i] = r->block[i - 1];
  r->block[i] = at;
  return true;
}

static bool new_chunk(job *j, cal_error *err) {
  size_t count = (size_t)j->s->arena_chunks + 1;
  int64_t *chunks = cal_resize(j->s->arena_chunk, count * sizeof *chunks, err);
  if (!chunks) return false;
  j->s->arena_chunk = chunks;
  row *rows = cal_resize(j->rows, count * sizeof *rows, err);
  if (!rows) return false;
  j->rows = rows;
  rows[count - 1] = (row){0};
  chunks[count - 1] = 0;
  j->s->arena_chunks++;
  return true;
}

static bool place_block(job *j, int at, cal_error *err) {
  block *b = &j->blocks[at];
  int64_t least_growth = INT64_MAX, least_waste = INT64_MAX, limit = j->options->largest_chunk;
  b->chunk = -1;
  for (int chunk = 0; chunk < j->s->arena_chunks; chunk++) {
    int64_t size = j->s->arena_chunk[chunk], waste, offset = best_gap(j->blocks, &j->rows[chunk], b, size, j->options->no_reuse, &waste);
    int64_t growth = offset + b->bytes > size ? offset + b->bytes - size : 0;
    if (limit && offset + b->bytes > limit) continue;
    if (growth > least_growth || (growth == least_growth && waste >= least_waste)) continue;
    least_growth = growth, least_waste = waste;
    b->chunk = chunk, b->offset = offset;
  }
  if (b->chunk < 0) {
    if (!new_chunk(j, err)) return false;
    b->chunk = j->s->arena_chunks - 1;
    b->offset = 0;
  }
  int64_t *size = &j->s->arena_chunk[b->chunk];
  if (b->offset + b->bytes > *size) *size = b->offset + b->bytes;
  return insert(j, at, err);
}

/* The most that lives at once in any segment; a pinned block of one lives in all others. */
static int64_t most_alive(const block *blocks, int count, int64_t *change, int steps) {
  int64_t most = 0;
  for (int segment = 0; segment < CAL_SEGMENTS; segment++) {
    int64_t alive = 0;
    memset(change, 0, ((size_t)steps + 2) * sizeof *change);
    for (int i = 0; i < count; i++) {
      const block *b = &blocks[i];
      if (b->segment == segment) change[b->first] += b->bytes, change[b->last + 1] -= b->bytes;
      else if (b->pinned) alive += b->bytes;
    }
    for (int t = 0; t <= steps; t++) {
      alive += change[t];
      if (alive > most) most = alive;
    }
  }
  return most;
}

static bool in_arena(const cal_memory *m) { return m->storage == CAL_IN_ARENA && m->first >= 0; }
static int64_t bytes_of(const cal_memory *m) { return round_up(m->count * (int64_t)cal_dtype_size(m->dtype)); }

/* Whose memory a buffer has taken over, if any; all of one size. */
static int root_of(const cal_memories *memories, int i) {
  while (memories->at[i].home != i) i = memories->at[i].home;
  return i;
}

/* One block per buffer that lives, or per row of buffers that take each other's place. `of`: by memory, its block. */
static int make_blocks(const cal_memories *memories, const cal_schedule_options *o, block *blocks, int *of, cal_error *err) {
  int count = 0;
  for (int i = 0; i < memories->count; i++) {
    const cal_memory *m = &memories->at[i];
    if (!in_arena(m)) continue;
    int64_t bytes = bytes_of(m);
    if (o->largest_chunk && bytes > o->largest_chunk) {
      cal_fail(err, CAL_E_LIMIT, "%s%sa tensor of %" PRId64 " %s needs %" PRId64 " bytes; this device allows %" PRId64 " in one buffer",
               m->path, *m->path ? ": " : "", m->count, cal_dtype_name(m->dtype), bytes, o->largest_chunk);
      return -1;
    }
    of[i] = count;
    if (m->home == i)
      blocks[count++] =
          (block){.memory = i, .bytes = bytes, .segment = m->segment, .first = m->first, .last = m->last, .pinned = m->pinned};
  }
  for (int i = 0; i < memories->count; i++) {
    const cal_memory *m = &memories->at[i];
    if (!in_arena(m) || m->home == i) continue;
    block *b = &blocks[of[root_of(memories, i)]];
    if (m->first < b->first) b->first = m->first;
    if (m->last > b->last) b->last = m->last;
    b->pinned = b->pinned || m->pinned;
  }
  return count;
}

cal_status cal_place_arena(cal_memories *memories, const cal_schedule_options *o, cal_schedule *s, cal_error *err) {
  int steps = 0;
  for (int i = 0; i < CAL_SEGMENTS; i++)
    if (s->segment[i].steps > steps) steps = s->segment[i].steps;
  job j = {.options = o, .s = s};
  j.blocks = cal_alloc_zero((size_t)memories->count + 1, sizeof *j.blocks, err);
  int *of = cal_alloc(((size_t)memories->count + 1) * sizeof *of, err);
  int64_t *change = cal_alloc(((size_t)steps + 3) * sizeof *change, err);
  int count = j.blocks && of && change ? make_blocks(memories, o, j.blocks, of, err) : -1;
  bool ok = count >= 0;
  if (ok) {
    s->arena_needed = most_alive(j.blocks, count, change, steps);
    qsort(j.blocks, (size_t)count, sizeof *j.blocks, by_size);
    for (int i = 0; ok && i < count; i++) {
      ok = place_block(&j, i, err);
      of[j.blocks[i].memory] = i;
    }
  }
  for (int i = 0; ok && i < memories->count; i++) {
    cal_memory *m = &memories->at[i];
    if (!in_arena(m)) continue;
    const block *b = &j.blocks[of[root_of(memories, i)]];
    m->chunk = b->chunk;
    m->offset = b->offset;
  }
  for (int i = 0; j.rows && i < s->arena_chunks; i++) cal_free(j.rows[i].block);
  cal_free(j.rows);
  cal_free(j.blocks);
  cal_free(of);
  cal_free(change);
  return ok ? CAL_OK : err->code;
}
