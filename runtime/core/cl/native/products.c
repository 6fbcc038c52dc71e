/* products.c - matrix products and convolutions of CPU devices by oneDNN: the candidate "onednn". What oneDNN does not take as it
 * is stored (f16, and pairs of different dtypes) goes through f32 in the plan's scratch memory, a large second operand a few of its
 * columns at a time: a copy that is kept would take twice the weight's own memory again, in every step that reads it. */
#include <string.h>

#include "core/base/memory.h"
#include "core/base/thread.h"
#include "core/cl/candidates.h"
#include "core/cl/native/onednn.h"
#include "core/cl/native/vector.h"
#include "core/graph/strides.h"

/* One operand: its bytes, and where its f32 copy is in the scratch memory if it needs one. */
typedef struct {
  char *base;
  cal_dtype dtype;
  bool copied;
  size_t scratch_at;
  cal_shape shape; /* of the copy: dense */
  int64_t stride[CAL_DIMS];
} side;

typedef struct {
  const cal_vector *v;
  cal_onednn *op;
  cal_scratch *scratch;
  side side[3]; /* first, second, result */
  /* When oneDNN has nothing good for the leading axes: products of matrices one after the other. */
  int64_t lead[3], step[3][3]; /* sizes; bytes to go for each operand */
  int64_t columns, tile;       /* of the second operand and the result: all, and those of one call */
  int64_t column[3];           /* bytes from one to the next, of the second operand as it is stored and of the result */
  /* The second operand is a frozen weight of which oneDNN keeps a form of its own: again only after it was written. */
  bool frozen;
  const uint64_t *version;
  uint64_t seen; /* version + 1 */
} product;

enum {
  PART = 1 << 15,   /* numbers of a thread at a time */
  COPIED = 2 << 20, /* bytes of a second operand's copy: little beside the weights, and in the caches when it is read */
};

typedef struct {
  const product *p;
  const side *s;
  float *floats;
  bool back;
  int64_t rows, width;
} conversion;

/* A row is the last axis; the shape's other axes give its start. */
static void convert_rows(void *context, size_t piece) {
  const conversion *c = context;
  const side *s = c->s;
  const int64_t each = PART / c->width + 1, begin = (int64_t)piece * each, end = begin + each < c->rows ? begin + each : c->rows;
  const int last = s->shape.rank - 1;
  for (int64_t row = begin; row < end; row++) {
    int64_t at = 0, rest = row;
    for (int axis = last; axis-- > 0; rest /= s->shape.dim[axis]) at += rest % s->shape.dim[axis] * s->stride[axis];
    char *bytes = s->base + at * (int64_t)cal_dtype_size(s->dtype);
    if (c->back) c->p->v->store(bytes, s->dtype, s->stride[last], c->floats + row * c->width, (int)c->width);
    else c->p->v->load(c->floats + row * c->width, bytes, s->dtype, s->stride[last], (int)c->width);
  }
}

static void convert(const product *p, const side *s, float *floats, bool back) {
  conversion c = {p, s, floats, back, 0, s->shape.dim[s->shape.rank - 1]};
  c.rows = cal_shape_count(s->shape) / c.width;
  const int64_t each = PART / c.width + 1;
  cal_parallel_short((size_t)((c.rows + each - 1) / each), convert_rows, &c);
}

static bool run(void *state) {
  product *p = state;
  char *at[3];
  const bool fresh = p->frozen && p->seen == *p->version + 1;
  if (p->frozen && !fresh) cal_onednn_second_changed(p->op);
  for (int i = 0; i < 3; i++) {
    const side *s = &p->side[i];
    at[i] = s->copied ? (char *)p->scratch->block + s->scratch_at : s->base;
    if (s->copied && i == 0) convert(p, s, (float *)(void *)at[i], false);
  }
  if (p->frozen) p->seen = *p->version + 1;
  bool good = true;
  for (int64_t next = 0; next < p->columns && good; next += p->tile) {
    const int64_t from = next < p->columns - p->tile ? next : p->columns - p->tile; /* the last may repeat some: to the same numbers */
    side part = p->side[1];
    part.base += from * p->column[1];
    if (part.copied && !(fresh && cal_onednn_second_is_kept(p->op))) convert(p, &part, (float *)(void *)at[1], false);
    for (int64_t x = 0; x < p->lead[0]; x++)
      for (int64_t y = 0; y < p->lead[1]; y++)
        for (int64_t z = 0; z < p->lead[2] && good; z++)
          good = cal_onednn_run(p->op, at[0] + x * p->step[0][0] + y * p->step[0][1] + z * p->step[0][2],
                                at[1] + x * p->step[1][0] + y * p->step[1][1] + z * p->step[1][2],
                                at[2] + x * p->step[2][0] + y * p->step[2][1] + z * p->step[2][2] + from * p->column[2]);
  }
  if (p->side[2].copied) convert(p, &p->side[2], (float *)(void *)at[2], true);
  return good;
}

static void free_product(void *state) {
  product *p = state;
  cal_onednn_free(p->op);
  cal_free(p);
}

/* All f32 as they are; bf16 operands as they are, where oneDNN has that for this processor; all else through f32. So is a matrix whose rows
 * and columns both have gaps. */
static void choose_storage(product *p, const bool gaps[3], bool halves) {
  const cal_dtype a = p->side[0].dtype, b = p->side[1].dtype, c = p->side[2].dtype;
  const bool direct =
      (a == CAL_F32 && b == CAL_F32 && c == CAL_F32) || (halves && a == CAL_BF16 && b == CAL_BF16 && (c == CAL_BF16 || c == CAL_F32));
  for (int i = 0; i < 3 && (!direct || gaps[0] || gaps[1] || gaps[2]); i++) p->side[i].copied = p->side[i].dtype != CAL_F32 || gaps[i];
}

static cal_status reserve(const cal_site *site, product *p, cal_error *err) {
  size_t at = 0;
  for (int i = 0; i < 3; i++) {
    side *s = &p->side[i];
    if (!s->copied) continue;
    s->scratch_at = at;
    at += ((size_t)cal_shape_count(s->shape) * 4 + 63) / 64 * 64;
  }
  p->scratch = site->scratch;
  return at ? cal_scratch_reserve(site, at, err) : CAL_OK;
}

/* Few enough columns of a copied second operand that their copy is small. `axis`: theirs in its shape. */
static void choose_tile(product *p, int64_t rows, int axis) {
  side *s = &p->side[1];
  const int64_t most = COPIED / 4 / rows > 16 ? COPIED / 4 / rows : 16;
  if (!s->copied || cal_shape_count(s->shape) != rows * p->columns || p->columns <= most) return;
  const int64_t tiles = (p->columns + most - 1) / most;
  p->tile = s->shape.dim[axis] = (p->columns + tiles - 1) / tiles;
  p->column[1] = s->stride[axis] * (int64_t)cal_dtype_size(s->dtype);
}

static void take_side(side *s, const cal_site *site, const cal_place *place) {
  s->base = cal_site_host(site, place);
  s->dtype = place->dtype;
  s->shape = place->shape;
  memcpy(s->stride, place->stride, sizeof s->stride);
}

/* As oneDNN is to see it: the copy is dense f32. */
static cal_onednn_tensor seen(const side *s) {
  cal_onednn_tensor t = {.dtype = s->copied ? CAL_F32 : s->dtype, .rank = s->shape.rank};
  memcpy(t.dim, s->shape.dim, sizeof t.dim);
  if (s->copied) cal_strides_dense(s->shape, t.stride);
  else memcpy(t.stride, s->stride, sizeof t.stride);
  return t;
}

static cal_onednn_tensor matrix(cal_dtype dtype, int64_t rows, int64_t columns, int64_t row, int64_t column) {
  cal_onednn_tensor t = {.dtype = dtype, .rank = 2, .dim = {rows, columns}, .stride = {row, column}};
  /* The stride along an axis of one element is never used, but oneDNN wants a layout it knows. */
  if (columns == 1 && row != 1) t.stride[1] = 1;
  if (rows == 1) t.stride[0] = column == 1 ? columns : t.stride[0] ? t.stride[0] : 1;
  return t;
}

/* The same matrix many times: as one product of tensors, the heads of an attention take one call instead of hundreds. What is
 * repeated has a size of 1. */
static cal_onednn_tensor with_leads(const cal_onednn_tensor *t, const int64_t lead[3], const int64_t stride[3]) {
  cal_onednn_tensor all = {.dtype = t->dtype};
  for (int axis = 0; axis < 3; axis++) {
    if (lead[axis] == 1) continue;
    all.dim[all.rank] = stride[axis] ? lead[axis] : 1;
    all.stride[all.rank++] = stride[axis] ? stride[axis] : t->dim[0] * t->dim[1];
  }
  for (int i = 0; i < 2; i++, all.rank++) all.dim[all.rank] = t->dim[i], all.stride[all.rank] = t->stride[i];
  return all;
}

static cal_status prepare_matmul(const cal_site *site, const cal_step *step, bool halves, product *p, cal_error *err) {
  cal_product sizes;
  cal_product_of(step, &sizes);
  take_side(&p->side[0], site, &step->input[0]);
  take_side(&p->side[1], site, &step->input[1]);
  take_side(&p->side[2], site, &step->output[0]);
  const bool gaps[3] = {sizes.a_row != 1 && sizes.a_column != 1 && sizes.M > 1 && sizes.K > 1,
                        sizes.b_row != 1 && sizes.b_column != 1 && sizes.K > 1 && sizes.N > 1, false};
  choose_storage(p, gaps, halves);
  p->columns = p->tile = sizes.N;
  choose_tile(p, sizes.K, step->input[1].shape.rank - (step->attr.i[0] & CAL_TRANSPOSE_B ? 2 : 1));
  if (reserve(site, p, err)) return CAL_E_MEMORY;
  /* The sizes again, with the strides of the copies. */
  cal_step copy = *step;
  for (int i = 0; i < 3; i++) {
    if (!p->side[i].copied) continue;
    cal_place *place = i < 2 ? &copy.input[i] : &copy.output[0];
    place->shape = p->side[i].shape;
    cal_strides_dense(place->shape, place->stride);
  }
  cal_product_of(&copy, &sizes);
  sizes.N = p->tile;
  const cal_dtype types[3] = {p->side[0].copied ? CAL_F32 : p->side[0].dtype, p->side[1].copied ? CAL_F32 : p->side[1].dtype,
                              p->side[2].copied ? CAL_F32 : p->side[2].dtype};
  cal_onednn_tensor a = matrix(types[0], sizes.M, sizes.K, sizes.a_row, sizes.a_column),
                    b = matrix(types[1], sizes.K, sizes.N, sizes.b_row, sizes.b_column),
                    c = matrix(types[2], sizes.M, sizes.N, sizes.c_row, sizes.c_column);
  p->column[2] = sizes.c_column * (int64_t)cal_dtype_size(types[2]);
  const int64_t *leads[3] = {sizes.a_lead, sizes.b_lead, sizes.c_lead};
  for (int axis = 0; axis < 3; axis++) p->lead[axis] = 1;
  /* With one thread the loop is a little faster. */
  if (cal_thread_count() > 1 && sizes.lead[0] * sizes.lead[1] * sizes.lead[2] > 1) {
    cal_onednn_tensor all[3] = {with_leads(&a, sizes.lead, leads[0]), with_leads(&b, sizes.lead, leads[1]),
                                with_leads(&c, sizes.lead, leads[2])};
    p->op = cal_onednn_matmul(&all[0], &all[1], &all[2], NULL);
    if (p->op) return CAL_OK;
  }
  for (int axis = 0; axis < 3; axis++) {
    p->lead[axis] = sizes.lead[axis];
    for (int i = 0; i < 3; i++) p->step[i][axis] = leads[i][axis] * (int64_t)cal_dtype_size(types[i]);
  }
  p->op = cal_onednn_matmul(&a, &b, &c, err);
  return p->op ? CAL_OK : CAL_E_DEVICE;
}

static cal_status prepare_conv(const cal_site *site, const cal_step *step, bool halves, product *p, cal_error *err) {
  cal_convolution c;
  cal_convolution_of(step, &c);
  const bool dx = cal_step_is(step, "conv2d_dx"), dw = cal_step_is(step, "conv2d_dw");
  /* onednn.h: FORWARD x w y, DATA dy w dx, WEIGHTS x dy dw */
  take_side(&p->side[0], site, dx ? c.y : c.x);
  take_side(&p->side[1], site, dw ? c.y : c.w);
  take_side(&p->side[2], site, dx ? c.x : dw ? c.w : c.y);
  static const bool no_gaps[3];
  choose_storage(p, no_gaps, halves);
  p->columns = p->tile = 1;
  if (reserve(site, p, err)) return CAL_E_MEMORY;
  cal_onednn_tensor x = seen(&p->side[dx ? 2 : 0]), w = seen(&p->side[dw ? 2 : 1]), y = seen(&p->side[dx ? 0 : dw ? 1 : 2]);
  for (int axis = 0; axis < 3; axis++) p->lead[axis] = 1;
  p->op = cal_onednn_conv2d(dx ? CAL_ONEDNN_DATA : dw ? CAL_ONEDNN_WEIGHTS : CAL_ONEDNN_FORWARD, &x, &w, &y, c.conv, err);
  return p->op ? CAL_OK : CAL_E_DEVICE;
}

static bool takes(const cal_site *site, const cal_step *step) {
  return site->context->native &&
         (cal_step_is(step, "matmul") || cal_step_is(step, "conv2d") || cal_step_is(step, "conv2d_dx") || cal_step_is(step, "conv2d_dw"));
}

/* After everything else is ready. Without room for a form of its own oneDNN brings the weight there at every run. */
static void freeze(const cal_site *site, const cal_step *step, product *p) {
  const size_t inside = cal_onednn_bytes(p->op);
  if (step->input[1].storage != CAL_IN_WEIGHTS || cal_step_is(step, "conv2d_dw") || !inside || inside > *site->spare) return;
  *site->spare -= inside;
  p->frozen = true;
  p->version = site->weights_version;
  cal_onednn_second_is_frozen(p->op);
}

static cal_status prepare(const cal_site *site, const cal_step *step, cal_prepared *out, cal_error *err) {
  product *p = cal_alloc_zero(1, sizeof *p, err);
  if (!p) return CAL_E_MEMORY;
  out->state = p, out->free_state = free_product, out->run = run;
  cal_status (*const make)(const cal_site *, const cal_step *, bool, product *, cal_error *) =
      cal_step_is(step, "matmul") ? prepare_matmul : prepare_conv;
  p->v = cal_vector_best();
  cal_status status = make(site, step, true, p, err);
  if (status == CAL_E_DEVICE && step->input[0].dtype == CAL_BF16) {
    *p = (product){.v = p->v};
    status = make(site, step, false, p, err);
  }
  if (!status) freeze(site, step, p);
  return status;
}

const cal_candidate cal_onednn_candidate = {"onednn", takes, prepare};
