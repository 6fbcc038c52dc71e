#include "core/dataset/duplicate.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "core/base/interrupt.h"
#include "core/base/memory.h"
#include "core/base/thread.h"

enum { MOST_PAIRS = 16 << 20, ROWS = 32, LOOK = 1 << 18 }; /* rows per task; pairs until Ctrl-C is looked for again */

/* ---- the inner loop: which of `list` are near `hash`? Writes their places, returns how many. ---- */

typedef size_t (*near_fn)(const uint64_t *list, size_t count, uint64_t hash, int distance, uint32_t *hits);

static inline __attribute__((always_inline)) size_t near_any(const uint64_t *list, size_t count, uint64_t hash, int distance,
                                                             uint32_t *hits) {
  size_t n = 0;
  for (size_t i = 0; i < count; i++) {
    hits[n] = (uint32_t)i;
    n += __builtin_popcountll(list[i] ^ hash) <= distance;
  }
  return n;
}

static size_t near_plain(const uint64_t *list, size_t count, uint64_t hash, int distance, uint32_t *hits) {
  return near_any(list, count, hash, distance, hits);
}

#if defined(__x86_64__)
__attribute__((target("popcnt"))) static size_t near_popcnt(const uint64_t *list, size_t count, uint64_t hash, int distance,
                                                            uint32_t *hits) {
  return near_any(list, count, hash, distance, hits);
}

__attribute__((target("avx512f,avx512vpopcntdq,popcnt"))) static size_t near_avx512(const uint64_t *list, size_t count, uint64_t hash,
                                                                                    int distance, uint32_t *hits) {
  size_t n = 0, i = 0;
  __m512i wanted = _mm512_set1_epi64((long long)hash), most = _mm512_set1_epi64(distance);
  for (; i + 8 <= count; i += 8) {
    __m512i bits = _mm512_popcnt_epi64(_mm512_xor_si512(_mm512_loadu_si512(list + i), wanted));
    for (unsigned mask = _mm512_cmple_epi64_mask(bits, most); mask; mask &= mask - 1)
      hits[n++] = (uint32_t)(i + (size_t)__builtin_ctz(mask));
  }
  size_t rest = near_any(list + i, count - i, hash, distance, hits + n);
  for (size_t k = 0; k < rest; k++) hits[n + k] += (uint32_t)i;
  return n + rest;
}
#endif

static int wished_path = -1;

static near_fn function_of(int path) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (path == 2) return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vpopcntdq") ? near_avx512 : NULL;
  if (path == 1) return __builtin_cpu_supports("popcnt") ? near_popcnt : NULL;
#endif
  return path == 0 ? near_plain : NULL;
}

static near_fn choose(void) {
  if (wished_path >= 0) return function_of(wished_path);
  near_fn fn = NULL;
  for (int path = 2; path >= 0 && !fn; path--) fn = function_of(path);
  return fn;
}

bool cal_duplicates_use(int path) {
  if (path >= 0 && !function_of(path)) return false;
  wished_path = path;
  return true;
}

/* ---- rows of pairs, on all cores ---- */

typedef struct {
  cal_duplicate_pair *list;
  size_t count, room;
} pair_list;

static bool add_pair(pair_list *l, cal_duplicate_pair pair) {
  if (l->count == l->room) {
    size_t room = l->room ? 2 * l->room : 16;
    cal_duplicate_pair *list = cal_resize(l->list, room * sizeof *list, NULL);
    if (!list) return false;
    l->list = list;
    l->room = room;
  }
  l->list[l->count++] = pair;
  return true;
}

typedef struct {
  size_t count;                    /* of different items */
  const uint32_t *who;             /* their places in the caller's list */
  uint64_t *columns[CAL_VARIANTS]; /* one array per variant; [0] is the hash itself */
  const unsigned char *turned;     /* has variants */
  int variants, distance;
  near_fn near;
  pair_list *found;     /* one per task */
  atomic_size_t *pairs; /* of all tasks */
} search;

static cal_status too_many(const search *s, cal_error *err) {
  return cal_fail(err, CAL_E_LIMIT, "duplicates: too many pairs at distance %d; take a smaller one", s->distance);
}

/* Sorted by second, and of one second the nearest first, then the plainest transform. */
static int by_second(const void *a, const void *b) {
  const cal_duplicate_pair *p = a, *q = b;
  if (p->second != q->second) return p->second < q->second ? -1 : 1;
  if (p->distance != q->distance) return p->distance < q->distance ? -1 : 1;
  return (p->transform > q->transform) - (p->transform < q->transform);
}

static cal_status search_rows(void *context, size_t task, cal_error *err) {
  search *s = context;
  pair_list *found = &s->found[task];
  size_t from = task * ROWS, to = from + ROWS < s->count ? from + ROWS : s->count;
  uint32_t *hits = cal_alloc((s->count - from) * sizeof *hits, err);
  if (!hits) return CAL_E_MEMORY;
  cal_status status = CAL_OK;
  for (size_t i = from; i < to && !status; i++) {
    size_t begin = found->count;
    uint64_t hash = s->columns[0][i];
    for (int v = 0; v < s->variants && !status; v++) {
      size_t n = s->near(s->columns[v] + i + 1, s->count - i - 1, hash, s->distance, hits);
      for (size_t k = 0; k < n && !status; k++) {
        size_t j = i + 1 + hits[k];
        if (v && !s->turned[j]) continue;
        int distance = __builtin_popcountll(hash ^ s->columns[v][j]);
        if (!add_pair(found, (cal_duplicate_pair){(uint32_t)i, (uint32_t)j, (uint8_t)distance, (uint8_t)v}))
          status = cal_fail(err, CAL_E_MEMORY, "duplicates: no memory for %zu pairs", found->count);
      }
    }
    /* One pair per picture, not one per transform. */
    if (found->count - begin > 1) {
      qsort(found->list + begin, found->count - begin, sizeof *found->list, by_second);
      size_t kept = begin + 1;
      for (size_t k = begin + 1; k < found->count; k++)
        if (found->list[k].second != found->list[kept - 1].second) found->list[kept++] = found->list[k];
      found->count = kept;
    }
    if (!status && atomic_fetch_add(s->pairs, found->count - begin) + found->count - begin > MOST_PAIRS) status = too_many(s, err);
    if (!status) status = cal_interrupt_check(err);
  }
  cal_free(hits);
  return status;
}

/* ---- equal ones first ---- */

/* An item with its place, so that qsort needs no context. */
typedef struct {
  const cal_duplicate_item *item;
  uint32_t place;
} row;

static int by_hashes(const void *a, const void *b) {
  const row *p = a, *q = b;
  if (p->item->count != q->item->count) return p->item->count - q->item->count;
  int order = memcmp(p->item->variants, q->item->variants, (size_t)p->item->count * sizeof *p->item->variants);
  return order ? order : (p->place > q->place) - (p->place < q->place);
}

static bool same_hashes(const row *p, const row *q) {
  return p->item->count == q->item->count &&
         !memcmp(p->item->variants, q->item->variants, (size_t)p->item->count * sizeof *p->item->variants);
}

static int by_sha(const void *a, const void *b) {
  const row *p = a, *q = b;
  int order = strcmp(p->item->sha ? p->item->sha : "", q->item->sha ? q->item->sha : "");
  return order ? order : (p->place > q->place) - (p->place < q->place);
}

static bool same_sha(const row *p, const row *q) { return p->item->sha && q->item->sha && !strcmp(p->item->sha, q->item->sha); }

static uint32_t root_of(uint32_t *up, uint32_t i) {
  while (up[i] != i) i = up[i] = up[up[i]];
  return i;
}

/* The smaller place becomes the root, so that roots are the first members of their groups. */
static void link_items(uint32_t *up, uint32_t a, uint32_t b) {
  a = root_of(up, a), b = root_of(up, b);
  if (a < b) up[b] = a;
  else up[a] = b;
}

static void link_equal(row *rows, size_t count, uint32_t *up, int (*order)(const void *, const void *),
                       bool (*same)(const row *, const row *)) {
  qsort(rows, count, sizeof *rows, order);
  for (size_t i = 1; i < count; i++)
    if (same(&rows[i - 1], &rows[i])) link_items(up, rows[i - 1].place, rows[i].place);
}

/* ---- groups ---- */

static cal_status make_groups(uint32_t *up, size_t count, cal_duplicates *found, cal_error *err) {
  uint32_t *next = cal_alloc_zero(count, sizeof *next, err); /* of a root: first its group's size, then where a member goes */
  found->members = cal_alloc(count * sizeof *found->members, err);
  found->starts = cal_alloc((count / 2 + 1) * sizeof *found->starts, err);
  if (!next || !found->members || !found->starts) return cal_free(next), CAL_E_MEMORY;
  for (size_t i = 0; i < count; i++) next[root_of(up, (uint32_t)i)]++;
  size_t at = 0;
  for (size_t i = 0; i < count; i++) {
    size_t size = next[i];
    next[i] = UINT32_MAX;
    if (size < 2) continue;
    found->starts[found->group_count++] = at;
    next[i] = (uint32_t)at;
    at += size;
  }
  found->starts[found->group_count] = at;
  for (size_t i = 0; i < count; i++) {
    uint32_t root = root_of(up, (uint32_t)i);
    if (next[root] != UINT32_MAX) found->members[next[root]++] = (uint32_t)i;
  }
  cal_free(next);
  return CAL_OK;
}

static int by_places(const void *a, const void *b) {
  const cal_duplicate_pair *p = a, *q = b;
  if (p->first != q->first) return p->first < q->first ? -1 : 1;
  return (p->second > q->second) - (p->second < q->second);
}

static cal_status prepare(search *s, const cal_duplicate_item *items, size_t count, uint32_t *up, uint32_t *who, cal_error *err) {
  row *rows = cal_alloc(count * sizeof *rows, err);
  if (!rows) return CAL_E_MEMORY;
  for (size_t i = 0; i < count; i++) rows[i] = (row){&items[i], (uint32_t)i}, up[i] = (uint32_t)i;
  link_equal(rows, count, up, by_hashes, same_hashes);
  link_equal(rows, count, up, by_sha, same_sha);
  cal_free(rows);
  for (size_t i = 0; i < count; i++)
    if (up[i] == i) who[s->count++] = (uint32_t)i;
  unsigned char *turned = cal_alloc(s->count, err);
  s->turned = turned;
  for (int v = 0; v < s->variants; v++)
    if (!(s->columns[v] = cal_alloc(s->count * sizeof **s->columns, err))) return CAL_E_MEMORY;
  if (!turned) return CAL_E_MEMORY;
  for (size_t k = 0; k < s->count; k++) {
    const cal_duplicate_item *item = &items[who[k]];
    turned[k] = item->count == CAL_VARIANTS;
    for (int v = 0; v < s->variants; v++) s->columns[v][k] = item->variants[v < item->count ? v : 0];
  }
  return CAL_OK;
}

/* The pairs of all tasks are in order already, and none of them are two equal ones: those, each with the first of them, are merged in. */
static cal_status collect(const search *s, size_t tasks, uint32_t *up, size_t count, cal_duplicates *found, cal_error *err) {
  size_t near = 0, equal = count - s->count, e = 0, n = 0;
  for (size_t t = 0; t < tasks; t++) near += s->found[t].count;
  if (near + equal > MOST_PAIRS) return too_many(s, err);
  found->pairs = cal_alloc((near + equal) * sizeof *found->pairs, err);
  cal_duplicate_pair *equals = cal_alloc(equal * sizeof *equals, err);
  cal_status status = found->pairs && equals ? CAL_OK : CAL_E_MEMORY;
  for (size_t i = 0; i < count && !status; i++) {
    uint32_t root = root_of(up, (uint32_t)i);
    if (root != i) equals[e++] = (cal_duplicate_pair){root, (uint32_t)i, 0, 0};
  }
  if (!status && equal) qsort(equals, equal, sizeof *equals, by_places);
  e = 0;
  for (size_t t = 0; t < tasks && !status; t++)
    for (size_t k = 0; k < s->found[t].count && !status; k++) {
      cal_duplicate_pair pair = s->found[t].list[k];
      pair.first = s->who[pair.first], pair.second = s->who[pair.second];
      while (e < equal && by_places(&equals[e], &pair) < 0) found->pairs[n++] = equals[e++];
      found->pairs[n++] = pair;
      link_items(up, pair.first, pair.second);
      if (n % LOOK == 0) status = cal_interrupt_check(err);
    }
  while (e < equal && !status) found->pairs[n++] = equals[e++];
  found->pair_count = n;
  cal_free(equals);
  return status;
}

const cal_duplicate_pair *cal_duplicates_pair(const cal_duplicates *found, uint32_t a, uint32_t b) {
  const cal_duplicate_pair wanted = {.first = a < b ? a : b, .second = a < b ? b : a};
  return found->pair_count ? bsearch(&wanted, found->pairs, found->pair_count, sizeof wanted, by_places) : NULL;
}

cal_status cal_duplicates_find(const cal_duplicate_item *items, size_t count, int distance, bool turned, cal_progress *progress,
                               cal_duplicates *found, cal_error *err) {
  *found = (cal_duplicates){0};
  if (distance < 0 || distance > 31) return cal_fail(err, CAL_E_ARG, "duplicates: the distance %d is not between 0 and 31 bits", distance);
  if (count > UINT32_MAX / 2) return cal_fail(err, CAL_E_LIMIT, "duplicates: %zu pictures are too many", count);
  for (size_t i = 0; i < count; i++)
    if (items[i].count != 1 && items[i].count != CAL_VARIANTS)
      return cal_fail(err, CAL_E_ARG, "duplicates: picture %zu has %d hashes; 1 or %d are needed", i + 1, items[i].count, CAL_VARIANTS);
  search s = {.variants = turned ? CAL_VARIANTS : 1, .distance = distance, .near = choose()};
  atomic_size_t pairs = 0;
  s.pairs = &pairs;
  uint32_t *up = cal_alloc(count * sizeof *up, err), *who = cal_alloc(count * sizeof *who, err);
  s.who = who;
  size_t tasks = 0;
  cal_status status = up && who ? prepare(&s, items, count, up, who, err) : CAL_E_MEMORY;
  if (!status) {
    tasks = (s.count + ROWS - 1) / ROWS;
    s.found = cal_alloc_zero(tasks, sizeof *s.found, err);
    status = s.found ? cal_parallel(tasks, search_rows, &s, progress, err) : CAL_E_MEMORY;
  }
  if (!status) status = collect(&s, tasks, up, count, found, err);
  if (!status) status = make_groups(up, count, found, err);
  for (size_t t = 0; t < tasks && s.found; t++) cal_free(s.found[t].list);
  for (int v = 0; v < CAL_VARIANTS; v++) cal_free(s.columns[v]);
  cal_free((void *)(uintptr_t)s.turned);
  cal_free(s.found);
  cal_free(who);
  cal_free(up);
  if (status) cal_duplicates_free(found);
  return status;
}

void cal_duplicates_free(cal_duplicates *found) {
  cal_free(found->pairs);
  cal_free(found->members);
  cal_free(found->starts);
  *found = (cal_duplicates){0};
}
