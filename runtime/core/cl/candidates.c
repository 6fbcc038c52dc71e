#include "core/cl/candidates.h"

#include <string.h>

#include "core/base/memory.h"

const cal_candidate *const cal_candidates[] = {&cal_few_candidate,      &cal_onednn_candidate,  &cal_native_candidate,
                                               &cal_portable_candidate, &cal_clblast_candidate, NULL};

void cal_prepared_free(cal_prepared *p) {
  for (int i = 0; i < p->launches; i++)
    if (p->launch[i].kernel) cl.ReleaseKernel(p->launch[i].kernel);
  if (p->free_state) p->free_state(p->state);
  memset(p, 0, sizeof *p);
}

cal_status cal_scratch_reserve(const cal_site *site, size_t bytes, cal_error *err) {
  cal_scratch *scratch = site->scratch;
  if (bytes <= scratch->bytes) return CAL_OK;
  void *block = cal_alloc(bytes, err);
  if (!block) return CAL_E_MEMORY;
  const uint64_t more = bytes - scratch->bytes;
  *site->spare -= more < *site->spare ? more : *site->spare;
  cal_free(scratch->block);
  scratch->block = block;
  scratch->bytes = bytes;
  return CAL_OK;
}

bool cal_step_is(const cal_step *step, const char *op) { return step->kind == CAL_STEP_NODE && strcmp(step->op->name, op) == 0; }

int64_t cal_place_count(const cal_place *place) { return cal_shape_count(place->shape); }

void cal_product_of(const cal_step *step, cal_product *p) {
  const cal_place *a = &step->input[0], *b = &step->input[1], *c = &step->output[0];
  const bool ta = step->attr.i[0] & CAL_TRANSPOSE_A, tb = step->attr.i[0] & CAL_TRANSPOSE_B;
  const int ra = a->shape.rank, rb = b->shape.rank, rc = c->shape.rank;
  memset(p, 0, sizeof *p);
  p->M = c->shape.dim[rc - 2];
  p->N = c->shape.dim[rc - 1];
  p->K = a->shape.dim[ra - (ta ? 2 : 1)];
  p->a_row = a->stride[ra - (ta ? 1 : 2)];
  p->a_column = a->stride[ra - (ta ? 2 : 1)];
  p->b_row = b->stride[rb - (tb ? 1 : 2)];
  p->b_column = b->stride[rb - (tb ? 2 : 1)];
  p->c_row = c->stride[rc - 2];
  p->c_column = c->stride[rc - 1];
  for (int i = 0; i < 3; i++) { /* from the right: lead[2] is the innermost */
    int ia = ra - 3 - i, ib = rb - 3 - i, ic = rc - 3 - i, at = 2 - i;
    p->lead[at] = ic >= 0 ? c->shape.dim[ic] : 1;
    p->c_lead[at] = ic >= 0 ? c->stride[ic] : 0;
    p->a_lead[at] = ia >= 0 && a->shape.dim[ia] != 1 ? a->stride[ia] : 0;
    p->b_lead[at] = ib >= 0 && b->shape.dim[ib] != 1 ? b->stride[ib] : 0;
  }
}

void cal_convolution_of(const cal_step *step, cal_convolution *c) {
  const int64_t *i = step->attr.i;
  c->conv = (cal_conv){(int)i[0], (int)i[1], (int)i[2], (int)i[3], (int)i[4]};
  if (cal_step_is(step, "conv2d")) c->x = &step->input[0], c->w = &step->input[1], c->y = &step->output[0];
  else if (cal_step_is(step, "conv2d_dx")) c->y = &step->input[0], c->w = &step->input[1], c->x = &step->output[0];
  else c->y = &step->input[0], c->x = &step->input[1], c->w = &step->output[0];
}

/* Adds an axis behind those that are there, merging it with the last where both are walked as one. */
static void add_axis(int *count, int64_t *size, int64_t *stride, int64_t n, int64_t s) {
  if (n == 1) return;
  if (*count && stride[*count - 1] == s * n) {
    size[*count - 1] *= n;
    stride[*count - 1] = s;
    return;
  }
  size[*count] = n;
  stride[*count] = s;
  (*count)++;
}

void cal_reduction_of(const cal_step *step, cal_reduction *r) {
  const cal_place *x = &step->input[0];
  memset(r, 0, sizeof *r);
  r->results = r->terms = 1;
  for (int i = 0; i < x->shape.rank; i++) {
    if (step->attr.i[0] >> i & 1)
      add_axis(&r->reduced, r->reduced_size, r->reduced_stride, x->shape.dim[i], x->stride[i]), r->terms *= x->shape.dim[i];
    else add_axis(&r->kept, r->kept_size, r->kept_stride, x->shape.dim[i], x->stride[i]), r->results *= x->shape.dim[i];
  }
}
