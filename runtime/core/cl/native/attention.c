/* attention.c - attention of CPU devices in blocks, as FlashAttention does it (Dao and others, 2022): the scores of 64 keys and 32
 * queries (backward: of 64 queries and 32 keys) stay in the nearest cache; backward makes them again. The sums of a softmax are
 * carried from block to block (Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018). The formulas are in
 * graph/ops/attention.c; exponents are powers of two here, which saves a product for each score.
 *
 * Heads are narrow, so vectors run over the 32 instead: over queries forward, where each query's largest score and sum are then plain
 * elements of vectors; over keys backward, where all products but dq have a side that is broadcast as it lies. Any width works; wide
 * heads leave the cache, and oneDNN's products are faster for them (docs/SPEED.md).
 *
 * Where a processor multiplies bf16, attention of bf16 goes forward by that: probabilities are rounded, sums and exponentials stay f32.
 *
 * Every 32 queries of a head (backward: every head) are worked out alone: the same bits whatever the number of threads. */
#include "core/cl/native/attention.h"

#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/thread.h"
#include "core/cl/native/vector.h"

enum {
  LANES = 32,
  ROWS = 64,
  SHARE = 1 << 13, /* pairs of a query and a key in one piece of work: about 10 us */
  PIECES = 4,      /* for each thread */
  WIDEST = 1024,   /* numbers of a head that are taken in pairs */
};

static const float LOG2_E = 1.44269504f, LN_2 = 0.693147181f;

typedef struct {
  char *base;
  cal_dtype dtype;
  size_t size;
  int64_t batch, token, head, element; /* strides, in elements */
} tensor;

typedef struct {
  const cal_vector *cpu;
  const cal_vector_pairs *pairs; /* forward of bf16 by its own products; NULL: in f32 */
  const cal_scratch *scratch;
  int64_t B, H, Tq, Tk, D, E; /* as in graph/ops/attention.c */
  int64_t wide;               /* D, filled up to whole vectors */
  bool causal;
  float scale;
  tensor q, k, v, o, d, dq, dk, dv;
  char *lse;
  cal_dtype lse_dtype;
  int64_t items, pieces; /* items: 32 queries of a head, backward heads; a piece is some items in a row, for one thread */
  int64_t floats;        /* of the scratch memory that each piece has for itself */
  bool copies[2];        /* whether k and v (backward: q and d) must be copied to be rows of floats */
} attention;

static tensor tensor_of(const cal_site *site, const cal_place *p) {
  return (tensor){cal_site_host(site, p), p->dtype, cal_dtype_size(p->dtype), p->stride[0], p->stride[1], p->stride[2], p->stride[3]};
}
static char *at(const tensor *t, int64_t b, int64_t token, int64_t h) {
  return t->base + (b * t->batch + token * t->token + h * t->head) * (int64_t)t->size;
}

/* Scratch memory is taken in whole vectors. */
static int64_t vectors(int64_t n) { return (n + 15) / 16 * 16; }
static float *take(float **from, int64_t n) {
  float *p = *from;
  *from += vectors(n);
  return p;
}

/* Rows of floats, one for each token: where they are, or copied to `into`. */
typedef struct {
  const float *p;
  int64_t row;
} rows;
static rows rows_of(const attention *a, const tensor *t, bool copy, int64_t b, int64_t h, int64_t tokens, int64_t width, float *into) {
  if (!copy) return (rows){(const float *)(const void *)at(t, b, 0, h), t->token};
  for (int64_t i = 0; i < tokens; i++) a->cpu->load(into + i * width, at(t, b, i, h), t->dtype, t->element, (int)width);
  return (rows){into, width};
}
static bool in_pairs(const tensor *t) { return t->dtype == CAL_BF16 && t->element == 1; }
static bool must_copy(const tensor *t) { return t->dtype != CAL_F32 || t->element != 1; }

/* Up to 32 tokens as columns: out [width, 32], 0 where there are no more: those lanes are worked out, too, and thrown away. And back. */
static void columns_of(const attention *a, const tensor *t, int64_t b, int64_t h, int64_t from, int n, int64_t width, float *out) {
  if (n < LANES) memset(out, 0, (size_t)(width * LANES) * sizeof *out);
  for (int64_t c = 0; c < width; c++)
    a->cpu->load(out + c * LANES, at(t, b, from, h) + c * t->element * (int64_t)t->size, t->dtype, t->token, n);
}
static void columns_to(const attention *a, const tensor *t, int64_t b, int64_t h, int64_t from, int n, int64_t width, const float *x) {
  for (int64_t c = 0; c < width; c++)
    a->cpu->store(at(t, b, from, h) + c * t->element * (int64_t)t->size, t->dtype, t->token, x + c * LANES, n);
}

/* ---- bf16, two numbers side by side ------------------------------------------------------------------------------------ */

/* Rows 2i and 2i + 1 of x [count, 32] become row i. With an odd number of rows one more must be there. */
static void pair_up(const attention *a, float *x, int64_t count) {
  if (count % 2) memset(x + count * LANES, 0, LANES * sizeof *x);
  for (int64_t i = 0; i < count; i += 2) a->pairs->round(x + i / 2 * LANES, x + i * LANES, x + (i + 1) * LANES, LANES);
}

/* The same of tokens as they are stored, `width` numbers each. */
static rows pairs_of(const attention *a, const tensor *t, int64_t b, int64_t h, int64_t tokens, int64_t width, float *into) {
  static const uint16_t zeros[WIDEST];
  for (int64_t i = 0; i < tokens; i += 2) {
    const uint16_t *first = (const uint16_t *)(const void *)at(t, b, i, h);
    a->pairs->join(into + i / 2 * width, first, i + 1 < tokens ? first + t->token : zeros, (int)width);
  }
  return (rows){into, width};
}

/* The block may have moved since this was prepared, so it is looked up each time. */
static float *piece_scratch(const attention *a, size_t piece) {
  const uintptr_t start = ((uintptr_t)a->scratch->block + 63) / 64 * 64;
  return (float *)start + (int64_t)piece * a->floats;
}

/* ---- forward --------------------------------------------------------------------------------------------------------- */

/* n queries of one head from `from` on, against all keys that they see. All see key 0: none is without a largest score
 * after the first block. */
static void forward_block(const attention *a, int64_t b, int64_t h, int64_t from, rows k, rows v, float *scratch) {
  const int64_t later = a->Tk - a->Tq;
  const int n = (int)(a->Tq - from < LANES ? a->Tq - from : LANES);
  const int64_t seen = a->causal ? from + n + later : a->Tk;
  float *q = take(&scratch, a->D * LANES), *o = take(&scratch, a->E * LANES), *s = take(&scratch, ROWS * LANES);
  float top[LANES], sum[LANES] = {0}, scale[LANES];
  for (int l = 0; l < LANES; l++) top[l] = -INFINITY;
  columns_of(a, &a->q, b, h, from, n, a->D, q);
  if (a->pairs) pair_up(a, q, a->D);
  else a->cpu->affine(q, q, 0, a->scale * LOG2_E, NULL, NULL, a->D * LANES);
  for (int64_t j = 0; j < seen; j += ROWS) {
    const int keys = (int)(seen - j < ROWS ? seen - j : ROWS);
    a->pairs ? a->pairs->block(&(cal_block){s, k.p + j * k.row, q, LANES, k.row, 1, LANES, keys, LANES, (int)a->D / 2}, false)
             : a->cpu->block(&(cal_block){s, k.p + j * k.row, q, LANES, k.row, 1, LANES, keys, LANES, (int)a->D}, false);
    if (a->pairs) a->cpu->affine(s, s, 0, a->scale * LOG2_E, NULL, NULL, (int64_t)keys * LANES);
    for (int i = 0; a->causal && i < keys; i++) /* query from + l sees keys up to from + l + later */
      for (int l = 0; l < LANES && from + l + later < j + i; l++) s[i * LANES + l] = -INFINITY;
    a->cpu->attend(s, keys, top, sum, scale);
    for (int64_t e = 0; j && e < a->E; e++) a->cpu->multiply(o + e * LANES, o + e * LANES, scale, LANES);
    if (a->pairs) {
      pair_up(a, s, keys);
      a->pairs->block(&(cal_block){o, v.p + j / 2 * v.row, s, LANES, 1, v.row, LANES, (int)a->E, LANES, (keys + 1) / 2}, j > 0);
    } else a->cpu->block(&(cal_block){o, v.p + j * v.row, s, LANES, 1, v.row, LANES, (int)a->E, LANES, keys}, j > 0);
  }
  for (int l = 0; l < LANES; l++) scale[l] = 1 / sum[l];
  for (int64_t e = 0; e < a->E; e++) a->cpu->multiply(o + e * LANES, o + e * LANES, scale, LANES);
  columns_to(a, &a->o, b, h, from, n, a->E, o);
  float *lse = (float *)(void *)a->lse + (b * a->H + h) * a->Tq + from;
  for (int l = 0; l < n; l++) lse[l] = (top[l] + log2f(sum[l])) * LN_2;
}

static int64_t copied_values(const attention *a) { return (a->pairs ? (a->Tk + 1) / 2 : a->Tk) * a->E; }

static void forward_piece(void *context, size_t piece) {
  const attention *a = context;
  const int64_t blocks = (a->Tq + LANES - 1) / LANES, share = (a->items + a->pieces - 1) / a->pieces;
  const int64_t begin = (int64_t)piece * share, end = begin + share < a->items ? begin + share : a->items;
  float *scratch = piece_scratch(a, piece);
  float *copied_k = take(&scratch, a->copies[0] ? a->Tk * a->D : 0), *copied_v = take(&scratch, a->copies[1] ? copied_values(a) : 0);
  rows k = {0}, v = {0};
  for (int64_t item = begin; item < end; item++) {
    const int64_t h = item / blocks % a->H, b = item / blocks / a->H;
    if (item == begin || item % blocks == 0) {
      k = a->pairs ? (rows){(const float *)(const void *)at(&a->k, b, 0, h), a->k.token / 2}
                   : rows_of(a, &a->k, a->copies[0], b, h, a->Tk, a->D, copied_k);
      v = a->pairs ? pairs_of(a, &a->v, b, h, a->Tk, a->E, copied_v) : rows_of(a, &a->v, a->copies[1], b, h, a->Tk, a->E, copied_v);
    }
    forward_block(a, b, h, item % blocks * LANES, k, v, scratch);
  }
}

/* ---- backward -------------------------------------------------------------------------------------------------------- */

/* What the blocks of keys of a head have in common. */
typedef struct {
  int64_t b, h;
  rows q, d;
  float *lse, *inner, *dq; /* [Tq] in powers of two; [Tq]: rowsum(d o); [Tq, wide]: added up block by block */
} head;

/* n keys of one head from `from` on: their dk and dv, and what they add to dq. */
static void back_block(const attention *a, const head *x, int64_t from, float *scratch) {
  const int64_t later = a->Tk - a->Tq;
  const int n = (int)(a->Tk - from < LANES ? a->Tk - from : LANES), D = (int)a->D, E = (int)a->E, wide = (int)a->wide;
  float *k = take(&scratch, D * LANES), *v = take(&scratch, E * LANES), *k_rows = take(&scratch, wide * LANES);
  float *dk = take(&scratch, D * LANES), *dv = take(&scratch, E * LANES), *s = take(&scratch, ROWS * LANES),
        *ds = take(&scratch, ROWS * LANES);
  columns_of(a, &a->k, x->b, x->h, from, n, D, k);
  columns_of(a, &a->v, x->b, x->h, from, n, E, v);
  memset(k_rows, 0, (size_t)(wide * LANES) * sizeof *k_rows);
  for (int j = 0; j < n; j++) a->cpu->load(k_rows + j * wide, at(&a->k, x->b, from + j, x->h), a->k.dtype, a->k.element, D);
  const int64_t first = a->causal && from > later ? from - later : 0; /* the first query that sees one of them */
  for (int64_t i = first; i < a->Tq; i += ROWS) {
    const int queries = (int)(a->Tq - i < ROWS ? a->Tq - i : ROWS);
    const float *q = x->q.p + i * x->q.row, *d = x->d.p + i * x->d.row;
    int keys[ROWS];
    for (int r = 0; r < queries; r++) {
      const int64_t seen = i + r + later + 1 - from;
      keys[r] = a->causal && seen < n ? (int)seen : n;
    }
    a->cpu->block(&(cal_block){s, q, k, LANES, x->q.row, 1, LANES, queries, LANES, D}, false);
    a->cpu->block(&(cal_block){ds, d, v, LANES, x->d.row, 1, LANES, queries, LANES, E}, false);
    a->cpu->attend_back(s, ds, queries, a->scale * LOG2_E, x->lse + i, x->inner + i, keys);
    a->cpu->block(&(cal_block){dv, d, s, LANES, 1, x->d.row, LANES, E, LANES, queries}, i > first);
    a->cpu->block(&(cal_block){dk, q, ds, LANES, 1, x->q.row, LANES, D, LANES, queries}, i > first);
    a->cpu->block(&(cal_block){x->dq + i * wide, ds, k_rows, wide, LANES, 1, wide, queries, wide, LANES}, from > 0);
  }
  a->cpu->affine(dk, dk, 0, a->scale, NULL, NULL, D * LANES);
  columns_to(a, &a->dk, x->b, x->h, from, n, D, dk);
  columns_to(a, &a->dv, x->b, x->h, from, n, E, dv);
}

static void back_piece(void *context, size_t piece) {
  const attention *a = context;
  const int64_t share = (a->items + a->pieces - 1) / a->pieces, begin = (int64_t)piece * share,
                end = begin + share < a->items ? begin + share : a->items;
  float *scratch = piece_scratch(a, piece);
  head x = {.lse = take(&scratch, a->Tq), .inner = take(&scratch, a->Tq), .dq = take(&scratch, a->Tq * a->wide)};
  float *copied_q = take(&scratch, a->copies[0] ? a->Tq * a->D : 0), *copied_d = take(&scratch, a->copies[1] ? a->Tq * a->E : 0);
  float *row = take(&scratch, a->E);
  for (int64_t item = begin; item < end; item++) {
    x.b = item / a->H, x.h = item % a->H;
    x.q = rows_of(a, &a->q, a->copies[0], x.b, x.h, a->Tq, a->D, copied_q);
    x.d = rows_of(a, &a->d, a->copies[1], x.b, x.h, a->Tq, a->E, copied_d);
    a->cpu->load(x.lse, a->lse + item * a->Tq * (int64_t)cal_dtype_size(a->lse_dtype), a->lse_dtype, 1, (int)a->Tq);
    a->cpu->affine(x.lse, x.lse, 0, LOG2_E, NULL, NULL, a->Tq);
    for (int64_t i = 0; i < a->Tq; i++) {
      a->cpu->load(row, at(&a->o, x.b, i, x.h), a->o.dtype, a->o.element, (int)a->E);
      x.inner[i] = a->cpu->products(row, x.d.p + i * x.d.row, 0, a->E);
    }
    for (int64_t from = 0; from < a->Tk; from += LANES) back_block(a, &x, from, scratch);
    a->cpu->affine(x.dq, x.dq, 0, a->scale, NULL, NULL, a->Tq * a->wide);
    for (int64_t i = 0; i < a->Tq; i++) a->cpu->store(at(&a->dq, x.b, i, x.h), a->dq.dtype, 1, x.dq + i * a->wide, (int)a->D);
  }
}

/* ---- preparing ------------------------------------------------------------------------------------------------------- */

static bool run_forward(void *state) {
  attention *a = state;
  cal_parallel_short((size_t)a->pieces, forward_piece, a);
  return true;
}
static bool run_back(void *state) {
  attention *a = state;
  cal_parallel_short((size_t)a->pieces, back_piece, a);
  return true;
}

/* What both directions have in common. */
static attention *start(const cal_site *site, const cal_step *step, cal_prepared *out, cal_error *err) {
  attention *a = cal_alloc_zero(1, sizeof *a, err);
  if (!a) return NULL;
  out->state = a, out->free_state = cal_free;
  const int64_t *q = step->input[0].shape.dim, *v = step->input[2].shape.dim;
  a->cpu = cal_vector_best();
  a->scratch = site->scratch;
  a->B = q[0], a->Tq = q[1], a->H = q[2], a->D = q[3], a->Tk = v[1], a->E = v[3], a->wide = vectors(a->D);
  a->causal = step->attr.i[0] != 0;
  a->scale = (float)step->attr.r[0];
  a->q = tensor_of(site, &step->input[0]), a->k = tensor_of(site, &step->input[1]), a->v = tensor_of(site, &step->input[2]);
  return a;
}

/* `items`, each of `pairs` of a query and a key, become pieces that need so many floats each. */
static cal_status share_out(const cal_site *site, attention *a, int64_t items, int64_t pairs, int64_t floats, cal_error *err) {
  const int64_t most = (int64_t)PIECES * cal_thread_count(), wanted = items * pairs / SHARE;
  a->items = items;
  a->pieces = wanted < 1 ? 1 : wanted > most ? most : wanted;
  if (a->pieces > items) a->pieces = items;
  const int64_t share = (items + a->pieces - 1) / a->pieces;
  a->pieces = (items + share - 1) / share; /* none without work */
  a->floats = floats;
  return cal_scratch_reserve(site, (size_t)(a->pieces * floats) * sizeof(float) + 64, err);
}

cal_status cal_native_attention(const cal_site *site, const cal_step *step, cal_prepared *out, cal_error *err) {
  attention *a = start(site, step, out, err);
  if (!a) return CAL_E_MEMORY;
  out->run = run_forward;
  a->o = tensor_of(site, &step->output[0]);
  a->lse = cal_site_host(site, &step->output[1]);
  if (a->q.dtype == CAL_BF16 && in_pairs(&a->k) && a->k.token % 2 == 0 && a->D % 2 == 0 && in_pairs(&a->v) && a->E <= WIDEST)
    a->pairs = cal_vector_pairs_best();
  a->copies[0] = !a->pairs && must_copy(&a->k), a->copies[1] = must_copy(&a->v);
  int64_t floats = (a->D + a->E + ROWS) * LANES;
  if (a->copies[0]) floats += vectors(a->Tk * a->D);
  if (a->copies[1]) floats += vectors(copied_values(a));
  return share_out(site, a, a->B * a->H * ((a->Tq + LANES - 1) / LANES), LANES * a->Tk, floats, err);
}

cal_status cal_native_attention_dqkv(const cal_site *site, const cal_step *step, cal_prepared *out, cal_error *err) {
  attention *a = start(site, step, out, err);
  if (!a) return CAL_E_MEMORY;
  out->run = run_back;
  a->o = tensor_of(site, &step->input[3]), a->d = tensor_of(site, &step->input[5]);
  a->lse = cal_site_host(site, &step->input[4]);
  a->lse_dtype = step->input[4].dtype;
  a->dq = tensor_of(site, &step->output[0]), a->dk = tensor_of(site, &step->output[1]), a->dv = tensor_of(site, &step->output[2]);
  a->copies[0] = must_copy(&a->q), a->copies[1] = must_copy(&a->d);
  int64_t floats = (2 * a->D + 2 * a->E + a->wide + 2 * ROWS) * LANES + 2 * vectors(a->Tq) + a->Tq * a->wide + vectors(a->E);
  if (a->copies[0]) floats += vectors(a->Tq * a->D);
  if (a->copies[1]) floats += vectors(a->Tq * a->E);
  return share_out(site, a, a->B * a->H, a->Tq * a->Tk, floats, err);
}
