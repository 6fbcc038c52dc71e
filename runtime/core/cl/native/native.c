/* native.c - steps of CPU devices as C over all cores: the candidate "native". Pointers are bound once; a step that is small
 * runs on the calling thread alone. */
#include <math.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/thread.h"
#include "core/cl/candidates.h"
#include "core/cl/native/attention.h"
#include "core/cl/native/vector.h"
#include "core/graph/strides.h"

enum {
  BLOCK = 512,     /* elements of a chain at a time */
  SHARE = 1 << 15, /* elements of one piece of work for the pool: about 10 us */
  LONGEST_ROW = 1 << 14,
  MOST_PIECES = 256, /* pieces of one sum; fixed by sizes, not by the number of threads: the same bits everywhere */
};

/* Pieces of `count` items so that a piece has about SHARE elements. */
static int64_t pieces_of(int64_t count, int64_t elements_each) {
  int64_t pieces = (count * elements_each + SHARE - 1) / SHARE;
  return pieces < 1 ? 1 : pieces > count ? count : pieces;
}

/* ---- chains -------------------------------------------------------------------------------------------------------- */

typedef struct {
  char *base;
  cal_dtype dtype;
  size_t size;
  int64_t stride[CAL_DIMS];
  bool repeated; /* one element for the whole space */
  bool in_step;  /* element i lies at i */
} operand;

typedef struct {
  const cal_vector *v;
  cal_shape space; /* at least one axis */
  int64_t count, inner;
  int inputs, outputs, length;
  operand input[CAL_CHAIN_INPUTS], output[CAL_CHAIN_OUTPUTS];
  int result[CAL_CHAIN_OUTPUTS];
  bool copy[CAL_CHAIN_OUTPUTS]; /* bits go over as they are */
  bool held[CAL_CHAIN_INPUTS];  /* goes out as it is, and another output may be written over it: read before anything is written */
  bool holds;                   /* some are */
  struct {
    cal_vector_row row; /* NULL: the number k */
    int bound[5];       /* registers of a b c y d */
    float k;
  } program[CAL_CHAIN_LENGTH];
  int64_t pieces;
} chain;

static operand operand_of(const cal_site *site, cal_shape space, const cal_place *place) {
  operand o = {.base = cal_site_host(site, place), .dtype = place->dtype, .size = cal_dtype_size(place->dtype), .repeated = true};
  for (int i = 0; i < space.rank; i++) {
    o.stride[i] = space.dim[i] == 1 ? 0 : place->stride[i];
    o.repeated = o.repeated && o.stride[i] == 0;
  }
  o.in_step = cal_strides_are_dense(space, place->stride);
  return o;
}

/* Bytes from the base to element `index` of the space. */
static int64_t offset_of(const operand *o, cal_shape space, int64_t index) {
  int64_t at = 0;
  for (int axis = space.rank; axis-- > 0; index /= space.dim[axis]) at += index % space.dim[axis] * o->stride[axis];
  return at * (int64_t)o->size;
}

/* Calls for each stretch of one row in [from, from + n): what load and store have in common. */
#define EACH_STRETCH(c, o, from, n, body)                           \
  for (int64_t done = 0, stretch; done < (n); done += stretch) {    \
    int64_t left = (c)->inner - ((from) + done) % (c)->inner;       \
    stretch = left < (n)-done ? left : (n)-done;                    \
    char *at = (o)->base + offset_of(o, (c)->space, (from) + done); \
    body;                                                           \
  }

static void load(const chain *c, const operand *o, int64_t from, int n, float *out) {
  const int64_t step = o->stride[c->space.rank - 1];
  if (o->in_step) c->v->load(out, o->base + from * (int64_t)o->size, o->dtype, 1, n);
  else EACH_STRETCH(c, o, from, n, c->v->load(out + done, at, o->dtype, step, (int)stretch));
}

static void store(const chain *c, const operand *o, int64_t from, int n, const float *x) {
  const int64_t step = o->stride[c->space.rank - 1];
  if (o->in_step) c->v->store(o->base + from * (int64_t)o->size, o->dtype, 1, x, n);
  else EACH_STRETCH(c, o, from, n, c->v->store(at, o->dtype, step, x + done, (int)stretch));
}

static void move(size_t size, char *to, int64_t to_step, const char *from, int64_t from_step, int64_t n) {
  if (to_step == 1 && from_step == 1) memmove(to, from, (size_t)n * size);
  else if (size == 4)
    for (int64_t i = 0; i < n; i++) ((uint32_t *)to)[i * to_step] = ((const uint32_t *)from)[i * from_step];
  else
    for (int64_t i = 0; i < n; i++) ((uint16_t *)to)[i * to_step] = ((const uint16_t *)from)[i * from_step];
}

static void copy(const chain *c, const operand *from_operand, const operand *to, int64_t from, int64_t n) {
  const int last = c->space.rank - 1;
  if (from_operand->in_step && to->in_step)
    move(to->size, to->base + from * (int64_t)to->size, 1, from_operand->base + from * (int64_t)to->size, 1, n);
  else
    EACH_STRETCH(c, to, from, n,
                 move(to->size, at, to->stride[last], from_operand->base + offset_of(from_operand, c->space, from + done),
                      from_operand->stride[last], stretch));
}

/* The bits of up to BLOCK elements out of memory, and into it. */
static void gather(const chain *c, const operand *o, int64_t from, int64_t n, char *bits) {
  EACH_STRETCH(c, o, from, n, move(o->size, bits + done * (int64_t)o->size, 1, at, o->stride[c->space.rank - 1], stretch));
}

static void scatter(const chain *c, const operand *o, int64_t from, int64_t n, const char *bits) {
  EACH_STRETCH(c, o, from, n, move(o->size, at, o->stride[c->space.rank - 1], bits + done * (int64_t)o->size, 1, stretch));
}

static void chain_piece(void *context, size_t piece) {
  const chain *c = context;
  float registers[CAL_CHAIN_INPUTS + CAL_CHAIN_LENGTH][BLOCK];
  uint32_t bits[CAL_CHAIN_OUTPUTS][BLOCK];
  const float *seen[CAL_CHAIN_INPUTS + CAL_CHAIN_LENGTH];
  int64_t share = (c->count + c->pieces - 1) / c->pieces, begin = (int64_t)piece * share,
          end = begin + share < c->count ? begin + share : c->count;
  bool only_copies = !c->holds;
  for (int i = 0; i < c->outputs; i++) only_copies = only_copies && c->copy[i];
  if (only_copies) {
    for (int i = 0; i < c->outputs; i++) copy(c, &c->input[c->result[i]], &c->output[i], begin, end - begin);
    return;
  }
  for (int i = 0; i < c->inputs; i++) {
    seen[i] = registers[i];
    if (c->input[i].repeated) c->v->load(registers[i], c->input[i].base, c->input[i].dtype, 0, BLOCK);
  }
  for (int i = 0; i < c->length; i++) {
    float *to = registers[c->inputs + i];
    seen[c->inputs + i] = to;
    for (int j = 0; !c->program[i].row && j < BLOCK; j++) to[j] = c->program[i].k;
  }
  for (int64_t from = begin; from < end; from += BLOCK) {
    const int n = (int)(end - from < BLOCK ? end - from : BLOCK);
    for (int i = 0; i < c->inputs; i++) {
      const operand *o = &c->input[i];
      if (o->repeated) continue;
      if (o->in_step && o->dtype == CAL_F32 && !c->held[i]) seen[i] = (const float *)(const void *)o->base + from; /* read where it is */
      else load(c, o, from, n, registers[i]);
    }
    for (int i = 0; i < c->length; i++) {
      if (!c->program[i].row) continue;
      const int *bound = c->program[i].bound;
      const float *in[5] = {seen[bound[0]], seen[bound[1]], seen[bound[2]], seen[bound[3]], seen[bound[4]]};
      c->program[i].row(registers[c->inputs + i], in, c->program[i].k, n);
    }
    /* Copies of bits read their input again: they go before anything is written over it, all of them before any where one
     * would be. */
    for (int i = 0; i < c->outputs; i++)
      if (c->copy[i] && c->held[c->result[i]]) gather(c, &c->input[c->result[i]], from, n, (char *)bits[i]);
    for (int i = 0; i < c->outputs; i++)
      if (c->copy[i] && !c->held[c->result[i]]) copy(c, &c->input[c->result[i]], &c->output[i], from, n);
    for (int i = 0; i < c->outputs; i++)
      if (!c->copy[i]) store(c, &c->output[i], from, n, seen[c->result[i]]);
      else if (c->held[c->result[i]]) scatter(c, &c->output[i], from, n, (const char *)bits[i]);
  }
}

static const char *end_of(const operand *o, cal_shape space) {
  int64_t last = 0;
  for (int i = 0; i < space.rank; i++) last += (space.dim[i] - 1) * o->stride[i];
  return o->base + (last + 1) * (int64_t)o->size;
}

/* An input that is a result must be held when an output other than its own copies lies on it. */
static void find_held(chain *c) {
  for (int i = 0; i < c->outputs; i++) {
    const int from = c->result[i];
    if (from >= c->inputs) continue;
    const operand *in = &c->input[from];
    for (int k = 0; k < c->outputs; k++)
      if (k != i && in->base < end_of(&c->output[k], c->space) && c->output[k].base < end_of(in, c->space)) c->held[from] = c->holds = true;
  }
}

static bool run_chain(void *state) {
  chain *c = state;
  cal_parallel_short((size_t)c->pieces, chain_piece, c);
  return true;
}

static cal_status prepare_chain(const cal_site *site, const cal_step *step, cal_prepared *out, cal_error *err) {
  const cal_chain *from = step->chain;
  chain *c = cal_alloc_zero(1, sizeof *c, err);
  if (!c) return CAL_E_MEMORY;
  out->state = c;
  out->free_state = cal_free;
  out->run = run_chain;
  c->v = cal_vector_best();
  c->space = from->space;
  if (!c->space.rank) c->space = cal_shape_of(1, (int64_t[]){1});
  c->count = cal_shape_count(c->space);
  c->inner = c->space.dim[c->space.rank - 1];
  c->inputs = from->inputs, c->outputs = from->outputs, c->length = from->length;
  for (int i = 0; i < c->inputs; i++) c->input[i] = operand_of(site, from->space, &from->input[i]);
  for (int i = 0; i < c->outputs; i++) {
    c->output[i] = operand_of(site, from->space, &from->output[i]);
    if (c->count == 1) c->output[i].in_step = true;
    c->result[i] = from->result[i];
    c->copy[i] = c->result[i] < c->inputs && from->input[c->result[i]].dtype == from->output[i].dtype;
  }
  find_held(c);
  for (int i = 0; i < c->length; i++) {
    const cal_instruction *in = &from->program[i];
    c->program[i].k = in->k;
    if (!in->row) continue;
    int index = cal_vector_row_find(in->row->inputs, in->row->text);
    if (index < 0) return cal_fail(err, CAL_E_ARG, "chain: no native row for %s", in->row->text);
    c->program[i].row = c->v->rows[index];
    for (int j = 0; j < 5; j++) c->program[i].bound[j] = c->inputs ? 0 : c->inputs + i; /* never read */
    for (int j = 0; in->row->inputs[j] && in->row->inputs[j] != 'k'; j++)
      c->program[i].bound[strchr("abcyd", in->row->inputs[j]) - "abcyd"] = in->operand[j];
  }
  /* Pieces end where blocks end. A stretch of few elements costs as much as a block. */
  int64_t each = 1 + c->length;
  c->pieces = pieces_of((c->count + BLOCK - 1) / BLOCK, BLOCK * each);
  int64_t share = (c->count + c->pieces - 1) / c->pieces;
  share = (share + BLOCK - 1) / BLOCK * BLOCK;
  c->pieces = (c->count + share - 1) / share;
  return CAL_OK;
}

/* ---- rows: a tensor's storage as floats, where it is or in a buffer of the caller ------------------------------------ */

typedef struct {
  char *base;
  cal_dtype dtype;
  size_t size;
} tensor;

static tensor tensor_of(const cal_site *site, const cal_place *place) {
  return (tensor){cal_site_host(site, place), place->dtype, cal_dtype_size(place->dtype)};
}

static const float *read_row(const cal_vector *v, const tensor *t, int64_t at, int64_t n, float *buffer) {
  const char *p = t->base + at * (int64_t)t->size;
  if (t->dtype == CAL_F32) return (const float *)(const void *)p;
  v->load(buffer, p, t->dtype, 1, (int)n);
  return buffer;
}

/* Where to write a row; write_row brings it to its place. */
static float *row_for(const tensor *t, int64_t at, float *buffer) {
  return t->dtype == CAL_F32 ? (float *)(void *)(t->base + at * (int64_t)t->size) : buffer;
}
static void write_row(const cal_vector *v, const tensor *t, int64_t at, int64_t n, const float *row) {
  if (t->dtype != CAL_F32) v->store(t->base + at * (int64_t)t->size, t->dtype, 1, row, (int)n);
}

/* ---- softmax -------------------------------------------------------------------------------------------------------- */

typedef struct {
  const cal_vector *v;
  tensor x, d, y;
  int64_t rows, width, pieces;
} softmax;

static void softmax_piece(void *context, size_t piece) {
  const softmax *s = context;
  float x_buffer[LONGEST_ROW], d_buffer[LONGEST_ROW];
  int64_t share = (s->rows + s->pieces - 1) / s->pieces, begin = (int64_t)piece * share,
          end = begin + share < s->rows ? begin + share : s->rows;
  for (int64_t row = begin; row < end; row++) {
    int64_t at = row * s->width;
    const float *x = read_row(s->v, &s->x, at, s->width, x_buffer);
    float *y = row_for(&s->y, at, x_buffer);
    if (s->d.base) s->v->softmax_dx(y, x, read_row(s->v, &s->d, at, s->width, d_buffer), s->width);
    else s->v->softmax(y, x, s->width);
    write_row(s->v, &s->y, at, s->width, y);
  }
}

static bool run_softmax(void *state) {
  softmax *s = state;
  cal_parallel_short((size_t)s->pieces, softmax_piece, s);
  return true;
}

static bool takes_softmax(const cal_step *step) {
  const cal_shape s = step->output[0].shape;
  return !s.rank || s.dim[s.rank - 1] <= LONGEST_ROW;
}

static cal_status prepare_softmax(const cal_site *site, const cal_step *step, cal_prepared *out, cal_error *err) {
  softmax *s = cal_alloc_zero(1, sizeof *s, err);
  if (!s) return CAL_E_MEMORY;
  const cal_shape shape = step->output[0].shape;
  *s = (softmax){.v = cal_vector_best(), .x = tensor_of(site, &step->input[0]), .y = tensor_of(site, &step->output[0])};
  if (step->inputs > 1) s->d = tensor_of(site, &step->input[1]);
  s->width = shape.rank ? shape.dim[shape.rank - 1] : 1;
  s->rows = cal_shape_count(shape) / s->width;
  s->pieces = pieces_of(s->rows, s->width * 4);
  out->state = s, out->free_state = cal_free, out->run = run_softmax;
  return CAL_OK;
}

/* ---- sums ------------------------------------------------------------------------------------------------------------ */

typedef struct {
  const cal_vector *v;
  tensor x, y;
  cal_reduction r;
  int64_t pieces, shares; /* pieces of work; shares of the terms of one result */
  bool columns;           /* kept neighbours lie side by side: add rows */
  float *partial;         /* [shares][results] */
} sum;

static int64_t walked(int64_t index, int axes, const int64_t *size, const int64_t *stride) {
  int64_t at = 0;
  for (int axis = axes; axis-- > 0; index /= size[axis]) at += index % size[axis] * stride[axis];
  return at;
}

/* The last kept axis is taken in stretches of up to BLOCK columns, whole stretches of rows added to them. */
static void sum_columns(const sum *s, int64_t share, int64_t column, float *out) {
  const cal_reduction *r = &s->r;
  float acc[BLOCK], buffer[BLOCK];
  const int64_t width = r->kept_size[r->kept - 1], start = walked(column, r->kept, r->kept_size, r->kept_stride);
  const int64_t left = width - column % width;
  const int n = (int)(left < BLOCK ? left : BLOCK);
  const int64_t each = (r->terms + s->shares - 1) / s->shares, end = (share + 1) * each < r->terms ? (share + 1) * each : r->terms;
  memset(acc, 0, sizeof acc);
  for (int64_t term = share * each; term < end; term++)
    s->v->add(acc, read_row(s->v, &s->x, start + walked(term, r->reduced, r->reduced_size, r->reduced_stride), n, buffer), n);
  memcpy(out + column, acc, (size_t)n * sizeof *acc);
}

static float sum_one(const sum *s, int64_t share, int64_t result) {
  const cal_reduction *r = &s->r;
  float buffer[BLOCK];
  const int64_t start = walked(result, r->kept, r->kept_size, r->kept_stride);
  const int64_t each = (r->terms + s->shares - 1) / s->shares, end = (share + 1) * each < r->terms ? (share + 1) * each : r->terms;
  const int64_t inner = r->reduced ? r->reduced_size[r->reduced - 1] : 1, step = r->reduced ? r->reduced_stride[r->reduced - 1] : 1;
  double total = 0;
  for (int64_t term = share * each, n; term < end; term += n) {
    const int64_t left = inner - term % inner;
    n = left < end - term ? left : end - term;
    n = n < BLOCK ? n : BLOCK;
    const int64_t at = start + walked(term, r->reduced, r->reduced_size, r->reduced_stride);
    if (step == 1) total += s->v->sum(read_row(s->v, &s->x, at, n, buffer), n);
    else {
      s->v->load(buffer, s->x.base + at * (int64_t)s->x.size, s->x.dtype, step, (int)n);
      total += s->v->sum(buffer, n);
    }
  }
  return (float)total;
}

static void sum_piece(void *context, size_t piece) {
  const sum *s = context;
  const int64_t share = (int64_t)piece % s->shares, block = (int64_t)piece / s->shares, blocks = s->pieces / s->shares;
  float *out = s->partial + share * s->r.results;
  if (s->columns) { /* block-th stretch of columns */
    const int64_t width = s->r.kept_size[s->r.kept - 1], stretches = (width + BLOCK - 1) / BLOCK;
    sum_columns(s, share, block / stretches * width + block % stretches * BLOCK, out);
    return;
  }
  const int64_t each = (s->r.results + blocks - 1) / blocks, end = (block + 1) * each < s->r.results ? (block + 1) * each : s->r.results;
  for (int64_t i = block * each; i < end; i++) out[i] = sum_one(s, share, i);
}

static bool run_sum(void *state) {
  sum *s = state;
  cal_parallel_short((size_t)s->pieces, sum_piece, s);
  for (int64_t share = 1; share < s->shares; share++) s->v->add(s->partial, s->partial + share * s->r.results, s->r.results);
  for (int64_t i = 0; i < s->r.results; i += 1 << 20)
    s->v->store(s->y.base + i * (int64_t)s->y.size, s->y.dtype, 1, s->partial + i,
                (int)(s->r.results - i < 1 << 20 ? s->r.results - i : 1 << 20));
  return true;
}

static void free_sum(void *state) {
  sum *s = state;
  cal_free(s->partial);
  cal_free(s);
}

static cal_status prepare_sum(const cal_site *site, const cal_step *step, cal_prepared *out, cal_error *err) {
  sum *s = cal_alloc_zero(1, sizeof *s, err);
  if (!s) return CAL_E_MEMORY;
  out->state = s, out->free_state = free_sum, out->run = run_sum;
  s->v = cal_vector_best();
  s->x = tensor_of(site, &step->input[0]);
  s->y = tensor_of(site, &step->output[0]);
  cal_reduction_of(step, &s->r);
  const cal_reduction *r = &s->r;
  s->columns = r->kept && r->kept_stride[r->kept - 1] == 1 && r->kept_size[r->kept - 1] > 1 &&
               !(r->reduced && r->reduced_stride[r->reduced - 1] == 1);
  int64_t blocks;
  if (s->columns) {
    const int64_t width = r->kept_size[r->kept - 1];
    blocks = r->results / width * ((width + BLOCK - 1) / BLOCK);
  } else blocks = pieces_of(r->results, r->terms);
  int64_t shares = r->results * r->terms / blocks / SHARE;
  s->shares = shares < 1 ? 1 : shares > MOST_PIECES ? MOST_PIECES : shares;
  if (s->shares > r->terms) s->shares = r->terms;
  s->pieces = blocks * s->shares;
  s->partial = cal_alloc((size_t)(s->shares * r->results) * sizeof *s->partial, err);
  return s->partial ? CAL_OK : CAL_E_MEMORY;
}

/* ---- norms ----------------------------------------------------------------------------------------------------------- */

/* Two ways. Where a group lies side by side (P = 1: layer norms) a row at a time. Else (group norms) whole pixels of C channels
 * are added up, so that vectors run over channels; then groups are made of channels, and every channel gets its own factors. */
typedef struct {
  const cal_vector *v;
  tensor x, d, gamma, beta, y;
  float *stats;         /* [B, groups, 2] */
  float *g, *h;         /* gamma and beta as floats, NULL where there is none: [C] */
  float *column, *sums; /* [B][6][C] factors of each channel; [parts][2][C] */
  int64_t B, P, C, groups, W, parts;
  double epsilon;
  enum { FORWARD, BACK, GAMMA } kind;
  int64_t pieces, now; /* now: which B a column pass is about */
  int pass;
} norm;

static void norm_rows(void *context, size_t piece) {
  const norm *s = context;
  float x_buffer[LONGEST_ROW], d_buffer[LONGEST_ROW], e_buffer[LONGEST_ROW];
  const int64_t rows = s->B * s->groups, share = (rows + s->pieces - 1) / s->pieces, begin = (int64_t)piece * share;
  const int64_t end = begin + share < rows ? begin + share : rows, W = s->W;
  for (int64_t row = begin; row < end; row++) {
    const int64_t at = row * W, channel = row % s->groups * W;
    const float *x = read_row(s->v, &s->x, at, W, x_buffer), *gamma = s->g ? s->g + channel : NULL, *beta = s->h ? s->h + channel : NULL;
    float *y = row_for(&s->y, at, x_buffer);
    if (s->kind == FORWARD) {
      const float mean = s->v->sum(x, W) / (float)W;
      const float rstd = 1.0f / sqrtf(s->v->squares(x, mean, W) / (float)W + (float)s->epsilon);
      s->v->affine(y, x, mean, rstd, gamma, beta, W);
      s->stats[row * 2] = mean, s->stats[row * 2 + 1] = rstd;
    } else {
      const float mean = s->stats[row * 2], rstd = s->stats[row * 2 + 1];
      const float *e = read_row(s->v, &s->d, at, W, d_buffer);
      if (gamma) s->v->multiply(e_buffer, e, gamma, W), e = e_buffer;
      const float sum_e = s->v->sum(e, W) / (float)W, sum_en = s->v->products(e, x, mean, W) * rstd / (float)W;
      /* rstd (e - sum_e - (x - mean) rstd sum_en) */
      for (int64_t i = 0; i < W; i++) y[i] = rstd * (e[i] - sum_e - (x[i] - mean) * (rstd * sum_en));
    }
    write_row(s->v, &s->y, at, W, y);
  }
}

/* One part of the positions of B number `now`: pass 0 adds up x; 1 adds (x - m)^2; 2 writes; 3 adds d and d (x - m); 4 writes. */
static void norm_columns(void *context, size_t part) {
  const norm *s = context;
  float x_buffer[LONGEST_ROW], d_buffer[LONGEST_ROW];
  const int64_t share = (s->P + s->parts - 1) / s->parts, begin = (int64_t)part * share, end = begin + share < s->P ? begin + share : s->P,
                C = s->C;
  float *sums = s->sums + (int64_t)part * 2 * C;
  const float *m = s->column, *a = m + C, *b = m + 2 * C, *t = m + 3 * C;
  if (s->pass != 2 && s->pass != 4) memset(sums, 0, (size_t)(2 * C) * sizeof *sums);
  for (int64_t p = begin; p < end; p++) {
    const int64_t at = (s->now * s->P + p) * C;
    const float *x = read_row(s->v, &s->x, at, C, x_buffer), *d = s->d.base ? read_row(s->v, &s->d, at, C, d_buffer) : NULL;
    float *y = row_for(&s->y, at, x_buffer);
    switch (s->pass) {
      case 0: s->v->add(sums, x, C); break;
      case 1: s->v->add_squares(sums, x, m, C); break;
      case 2: s->v->columns(y, x, m, a, t, C), write_row(s->v, &s->y, at, C, y); break;
      case 3: s->v->add(sums, d, C), s->v->add_products(sums + C, d, x, m, C); break;
      default: s->v->back(y, d, x, m, a, b, t, C), write_row(s->v, &s->y, at, C, y); break;
    }
  }
}

/* All parts of a pass; afterwards sums[0 .. 2C) hold the totals. */
static void norm_pass(norm *s, int pass) {
  s->pass = pass;
  cal_parallel_short((size_t)s->parts, norm_columns, s);
  for (int64_t part = 1; part < s->parts && pass != 2 && pass != 4; part++) s->v->add(s->sums, s->sums + part * 2 * s->C, 2 * s->C);
}

static float group_sum(const norm *s, const float *per_channel, int64_t group) {
  double total = 0;
  for (int64_t c = group * s->W; c < (group + 1) * s->W; c++) total += per_channel[c];
  return (float)total;
}

static void norm_forward(norm *s, int64_t b) {
  const int64_t C = s->C, W = s->W;
  float *m = s->column, *a = m + C, *t = m + 3 * C;
  const float count = (float)(s->P * W);
  s->now = b;
  norm_pass(s, 0);
  for (int64_t c = 0; c < C; c++) {
    if (c % W == 0) s->stats[(b * s->groups + c / W) * 2] = group_sum(s, s->sums, c / W) / count;
    m[c] = s->stats[(b * s->groups + c / W) * 2];
  }
  norm_pass(s, 1);
  for (int64_t c = 0; c < C; c++) {
    float *rstd = &s->stats[(b * s->groups + c / W) * 2 + 1];
    if (c % W == 0) *rstd = 1.0f / sqrtf(group_sum(s, s->sums, c / W) / count + (float)s->epsilon);
    a[c] = *rstd * (s->g ? s->g[c] : 1);
    t[c] = s->h ? s->h[c] : 0;
  }
  norm_pass(s, 2);
}

/* Fills the means, adds d and d (x - m). */
static void norm_products(norm *s, int64_t b) {
  s->now = b;
  for (int64_t c = 0; c < s->C; c++) s->column[c] = s->stats[(b * s->groups + c / s->W) * 2];
  norm_pass(s, 3);
}

static void norm_back(norm *s, int64_t b) {
  const int64_t C = s->C, W = s->W;
  float *a = s->column + C, *bb = s->column + 2 * C, *t = s->column + 3 * C;
  norm_products(s, b);
  for (int64_t c = 0; c < C && s->g; c++) s->sums[c] *= s->g[c], s->sums[C + c] *= s->g[c];
  for (int64_t group = 0; group < s->groups; group++) {
    const float rstd = s->stats[(b * s->groups + group) * 2 + 1], count = (float)(s->P * W);
    const float sum_e = group_sum(s, s->sums, group) / count, sum_en = group_sum(s, s->sums + C, group) * rstd / count;
    for (int64_t c = group * W; c < (group + 1) * W; c++) {
      a[c] = rstd * (s->g ? s->g[c] : 1);
      bb[c] = -rstd * rstd * sum_en;
      t[c] = -rstd * sum_e;
    }
  }
  norm_pass(s, 4);
}

/* d (x - mean) rstd of some rows of layer norms, added up by channel. */
static void norm_gamma_rows(void *context, size_t part) {
  const norm *s = context;
  float x_buffer[LONGEST_ROW], d_buffer[LONGEST_ROW], e_buffer[LONGEST_ROW];
  const int64_t share = (s->B + s->parts - 1) / s->parts, begin = (int64_t)part * share, end = begin + share < s->B ? begin + share : s->B,
                W = s->W;
  float *sums = s->sums + (int64_t)part * 2 * s->C;
  memset(sums, 0, (size_t)(2 * s->C) * sizeof *sums);
  for (int64_t b = begin; b < end; b++) {
    const float *x = read_row(s->v, &s->x, b * s->C, s->C, x_buffer), *d = read_row(s->v, &s->d, b * s->C, s->C, d_buffer);
    for (int64_t group = 0; group < s->groups; group++) {
      const float *stats = s->stats + (b * s->groups + group) * 2;
      s->v->affine(e_buffer + group * W, x + group * W, stats[0], stats[1], d + group * W, NULL, W);
    }
    s->v->add(sums, e_buffer, s->C);
  }
}

static bool run_norm(void *state) {
  norm *s = state;
  if (s->g && s->gamma.base) s->v->load(s->g, s->gamma.base, s->gamma.dtype, 1, (int)s->C);
  if (s->h && s->beta.base) s->v->load(s->h, s->beta.base, s->beta.dtype, 1, (int)s->C);
  if (s->kind == GAMMA && s->P == 1) {
    cal_parallel_short((size_t)s->parts, norm_gamma_rows, s);
    for (int64_t part = 1; part < s->parts; part++) s->v->add(s->sums, s->sums + part * 2 * s->C, s->C);
    s->v->store(s->y.base, s->y.dtype, 1, s->sums, (int)s->C);
  } else if (s->kind == GAMMA) {
    float *total = s->column + 4 * s->C;
    memset(total, 0, (size_t)s->C * sizeof *total);
    for (int64_t b = 0; b < s->B; b++) {
      norm_products(s, b);
      for (int64_t c = 0; c < s->C; c++) total[c] += s->sums[s->C + c] * s->stats[(b * s->groups + c / s->W) * 2 + 1];
    }
    s->v->store(s->y.base, s->y.dtype, 1, total, (int)s->C);
  } else if (s->P == 1) cal_parallel_short((size_t)s->pieces, norm_rows, s);
  else
    for (int64_t b = 0; b < s->B; b++) s->kind == FORWARD ? norm_forward(s, b) : norm_back(s, b);
  return true;
}

static void free_norm(void *state) {
  norm *s = state;
  cal_free(s->column);
  cal_free(s);
}

static bool takes_norm(const cal_step *step) {
  const cal_shape x = step->input[0].shape;
  return x.dim[x.rank - 1] <= LONGEST_ROW;
}

static cal_status prepare_norm(const cal_site *site, const cal_step *step, cal_prepared *out, cal_error *err) {
  norm *s = cal_alloc_zero(1, sizeof *s, err);
  if (!s) return CAL_E_MEMORY;
  out->state = s, out->free_state = free_norm, out->run = run_norm;
  const cal_place *x = &step->input[0];
  s->v = cal_vector_best();
  s->kind = cal_step_is(step, "norm") ? FORWARD : cal_step_is(step, "norm_dx") ? BACK : GAMMA;
  s->x = tensor_of(site, x);
  s->y = tensor_of(site, &step->output[0]);
  s->stats = (float *)(void *)cal_site_host(site, s->kind == FORWARD ? &step->output[1] : &step->input[1]);
  s->B = x->shape.dim[0];
  s->C = x->shape.dim[x->shape.rank - 1];
  s->P = cal_place_count(x) / s->B / s->C;
  s->groups = step->attr.i[0];
  s->W = s->C / s->groups;
  s->epsilon = step->attr.r[0];
  if (s->kind != FORWARD) s->d = tensor_of(site, &step->input[2]);
  const int gamma_at = s->kind == FORWARD ? 1 : 3;
  if (s->kind != GAMMA && step->inputs > gamma_at) s->gamma = tensor_of(site, &step->input[gamma_at]);
  if (s->kind == FORWARD && step->inputs > 2) s->beta = tensor_of(site, &step->input[2]);
  s->pieces = pieces_of(s->B * s->groups, s->W * 4);
  const int64_t rows = s->kind == GAMMA && s->P == 1 ? s->B : s->P; /* what a pass is divided by */
  int64_t parts = rows * s->C * 2 / SHARE;
  s->parts = parts < 1 ? 1 : parts > MOST_PIECES ? MOST_PIECES : parts;
  s->column = cal_alloc_zero((size_t)((7 + 2 * s->parts) * s->C), sizeof *s->column, err);
  if (!s->column) return CAL_E_MEMORY;
  s->sums = s->column + 7 * s->C;
  s->g = s->gamma.base ? s->column + 5 * s->C : NULL;
  s->h = s->beta.base ? s->column + 6 * s->C : NULL;
  return CAL_OK;
}

/* ---- embeddings ------------------------------------------------------------------------------------------------------ */

typedef struct {
  const cal_vector *v;
  tensor table, rows; /* the table or its gradient; what is read from it or what comes back */
  const int32_t *ids;
  int64_t V, D, count, pieces;
  bool back;
} embedding;

static void embedding_piece(void *context, size_t piece) {
  const embedding *e = context;
  const int64_t share = (e->count + e->pieces - 1) / e->pieces, begin = (int64_t)piece * share,
                end = begin + share < e->count ? begin + share : e->count;
  const size_t row = (size_t)e->D * e->table.size;
  for (int64_t i = begin; i < end; i++) {
    char *to = e->rows.base + (size_t)i * row;
    if (e->ids[i] >= 0 && e->ids[i] < e->V) memcpy(to, e->table.base + (size_t)e->ids[i] * row, row);
    else memset(to, 0, row);
  }
}

/* Some columns of the gradient: rows are added in the order of the ids. */
static void embedding_back_piece(void *context, size_t piece) {
  const embedding *e = context;
  float buffer[LONGEST_ROW];
  const int64_t share = (e->D + e->pieces - 1) / e->pieces, begin = (int64_t)piece * share,
                end = begin + share < e->D ? begin + share : e->D;
  if (begin >= end) return;
  float *table = (float *)(void *)e->table.base;
  for (int64_t row = 0; row < e->V; row++) memset(table + row * e->D + begin, 0, (size_t)(end - begin) * sizeof *table);
  for (int64_t i = 0; i < e->count; i++)
    if (e->ids[i] >= 0 && e->ids[i] < e->V)
      e->v->add(table + e->ids[i] * e->D + begin, read_row(e->v, &e->rows, i * e->D + begin, end - begin, buffer), end - begin);
}

static bool run_embedding(void *state) {
  embedding *e = state;
  cal_parallel_short((size_t)e->pieces, e->back ? embedding_back_piece : embedding_piece, e);
  return true;
}

static bool takes_embedding(const cal_step *step) {
  const bool back = step->inputs == 2 && cal_step_is(step, "embedding_dtable");
  return back ? step->output[0].dtype == CAL_F32 && step->output[0].shape.dim[1] <= LONGEST_ROW
              : step->input[0].dtype == step->output[0].dtype;
}

static cal_status prepare_embedding(const cal_site *site, const cal_step *step, cal_prepared *out, cal_error *err) {
  embedding *e = cal_alloc_zero(1, sizeof *e, err);
  if (!e) return CAL_E_MEMORY;
  out->state = e, out->free_state = cal_free, out->run = run_embedding;
  e->v = cal_vector_best();
  e->back = cal_step_is(step, "embedding_dtable");
  const cal_place *table = e->back ? &step->output[0] : &step->input[0], *ids = &step->input[e->back ? 0 : 1];
  e->table = tensor_of(site, table);
  e->rows = tensor_of(site, e->back ? &step->input[1] : &step->output[0]);
  e->ids = (const int32_t *)(void *)cal_site_host(site, ids);
  e->V = table->shape.dim[0], e->D = table->shape.dim[1], e->count = cal_place_count(ids);
  e->pieces = e->back ? pieces_of(e->D, (e->V + e->count) / 4 + 1) : pieces_of(e->count, e->D);
  if (e->back && e->pieces > (e->D + 15) / 16) e->pieces = (e->D + 15) / 16; /* a cache line at least */
  return CAL_OK;
}

/* ---- the table ------------------------------------------------------------------------------------------------------- */

static const struct {
  const char *op;
  bool (*takes)(const cal_step *step);
  cal_status (*prepare)(const cal_site *site, const cal_step *step, cal_prepared *out, cal_error *err);
} steps[] = {
    {"sum", NULL, prepare_sum},
    {"softmax", takes_softmax, prepare_softmax},
    {"softmax_dx", takes_softmax, prepare_softmax},
    {"norm", takes_norm, prepare_norm},
    {"norm_dx", takes_norm, prepare_norm},
    {"norm_dgamma", takes_norm, prepare_norm},
    {"embedding", takes_embedding, prepare_embedding},
    {"embedding_dtable", takes_embedding, prepare_embedding},
    {"attention", NULL, cal_native_attention},
    {"attention_dqkv", NULL, cal_native_attention_dqkv},
};

static int index_of(const cal_step *step) {
  for (int i = 0; i < (int)(sizeof steps / sizeof *steps); i++)
    if (cal_step_is(step, steps[i].op)) return i;
  return -1;
}

static bool takes(const cal_site *site, const cal_step *step) {
  if (!site->context->native) return false;
  if (step->kind == CAL_STEP_CHAIN) return true;
  int i = index_of(step);
  return i >= 0 && (!steps[i].takes || steps[i].takes(step));
}

static cal_status prepare(const cal_site *site, const cal_step *step, cal_prepared *out, cal_error *err) {
  return step->kind == CAL_STEP_CHAIN ? prepare_chain(site, step, out, err) : steps[index_of(step)].prepare(site, step, out, err);
}

const cal_candidate cal_native_candidate = {"native", takes, prepare};
