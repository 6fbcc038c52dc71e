/* place.c - which bytes of the arena each buffer gets. Large ones first, each into the gap that fits it best; two buffers may
 * share bytes when they are never needed at the same time. */
#include <inttypes.h>
#include <stdlib.h>

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

/* The tightest gap of a chunk between the blocks that live at the same time (`placed` is sorted by offset). */
static int64_t best_gap(const block *blocks, const int *placed, int count, int chunk, const block *b, int64_t size, bool no_reuse,
                        int64_t *waste) {
  int64_t free_from = 0, best = -1;
  *waste = INT64_MAX;
  for (int i = 0; i < count; i++) {
    const block *other = &blocks[placed[i]];
    if (other->chunk != chunk || !meet(b, other, no_reuse)) continue;
    int64_t gap = other->offset - free_from;
    if (gap >= b->bytes && gap - b->bytes < *waste) best = free_from, *waste = gap - b->bytes;
    if (other->offset + other->bytes > free_from) free_from = other->offset + other->bytes;
  }
  if (best >= 0) return best;
  *waste = size - free_from >= b->bytes ? size - free_from - b->bytes : 0;
  return free_from;
}

static cal_status place_block(block *blocks, int *placed, int count, int at, const cal_schedule_options *o, cal_schedule *s,
                              cal_error *err) {
  block *b = &blocks[at];
  int64_t least_growth = INT64_MAX, least_waste = INT64_MAX;
  b->chunk = -1;
  for (int chunk = 0; chunk < s->arena_chunks; chunk++) {
    int64_t waste, offset = best_gap(blocks, placed, count, chunk, b, s->arena_chunk[chunk], o->no_reuse, &waste);
    int64_t growth = offset + b->bytes - s->arena_chunk[chunk];
    if (growth < 0) growth = 0;
    if (o->largest_chunk && offset + b->bytes > o->largest_chunk) continue;
    if (growth > least_growth || (growth == least_growth && waste >= least_waste)) continue;
    least_growth = growth, least_waste = waste;
    b->chunk = chunk, b->offset = offset;
  }
  if (b->chunk < 0) {
    int64_t *chunks = cal_resize(s->arena_chunk, (size_t)(s->arena_chunks + 1) * sizeof *chunks, err);
    if (!chunks) return err->code;
    s->arena_chunk = chunks;
    chunks[b->chunk = s->arena_chunks++] = 0;
    b->offset = 0;
  }
  if (b->offset + b->bytes > s->arena_chunk[b->chunk]) s->arena_chunk[b->chunk] = b->offset + b->bytes;
  int i = count; /* keep `placed` sorted by offset */
  for (; i > 0 && blocks[placed[i - 1]].offset > b->offset; i--) placed[i] = placed[i - 1];
  placed[i] = at;
  return CAL_OK;
}

/* The most that lives at once in any segment. */
static int64_t most_alive(const block *blocks, int count) {
  int64_t most = 0;
  for (int i = 0; i < count; i++) { /* the sum can only rise where a block begins */
    int64_t sum = 0;
    for (int k = 0; k < count; k++)
      if (blocks[k].segment == blocks[i].segment ? blocks[k].first <= blocks[i].first && blocks[k].last >= blocks[i].first
                                                 : blocks[k].pinned)
        sum += blocks[k].bytes;
    if (sum > most) most = sum;
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

cal_status cal_place_arena(cal_memories *memories, const cal_schedule_options *o, cal_schedule *s, cal_error *err) {
  int count = 0;
  block *blocks = cal_alloc_zero((size_t)memories->count + 1, sizeof *blocks, err);
  int *placed = cal_alloc(((size_t)memories->count + 1) * sizeof *placed, err),
      *of = cal_alloc(((size_t)memories->count + 1) * sizeof *of, err);
  if (!blocks || !placed || !of) goto done;
  for (int i = 0; i < memories->count; i++) {
    const cal_memory *m = &memories->at[i];
    if (!in_arena(m)) continue;
    int64_t bytes = bytes_of(m);
    if (o->largest_chunk && bytes > o->largest_chunk) {
      cal_fail(err, CAL_E_LIMIT, "%s: a tensor of %" PRId64 " %s needs %" PRId64 " bytes; this device allows %" PRId64 " in one buffer",
               m->path, m->count, cal_dtype_name(m->dtype), bytes, o->largest_chunk);
      goto done;
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
  s->arena_needed = most_alive(blocks, count);
  qsort(blocks, (size_t)count, sizeof *blocks, by_size);
  for (int i = 0; i < count; i++)
    if (place_block(blocks, placed, i, i, o, s, err)) goto done;
  for (int i = 0; i < count; i++) of[blocks[i].memory] = i;
  for (int i = 0; i < memories->count; i++) {
    cal_memory *m = &memories->at[i];
    if (!in_arena(m)) continue;
    const block *b = &blocks[of[root_of(memories, i)]];
    m->chunk = b->chunk;
    m->offset = b->offset;
  }
done:
  cal_free(blocks);
  cal_free(placed);
  cal_free(of);
  return err->code;
}
