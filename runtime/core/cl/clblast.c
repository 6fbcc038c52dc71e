/* clblast.c - f32 products of GPUs by CLBlast: the candidate "clblast". It stands last in the list: without a tuner nobody knows
 * whether it is faster than the portable kernel, and on CPU devices it is 10 to 30 times slower than oneDNN. Half products
 * are never given to it: it adds in half. */
#include <string.h>

#include "core/base/library.h"
#include "core/base/memory.h"
#include "core/cl/candidates.h"

/* Numbers and types of clblast_c.h, so that nothing is needed to build. */
enum { ROW_MAJOR = 101, TRANSPOSE_NO = 111, TRANSPOSE_YES = 112 };
static int (*sgemm)(int layout, int a_transpose, int b_transpose, size_t m, size_t n, size_t k, float alpha, cl_mem a, size_t a_offset,
                    size_t a_ld, cl_mem b, size_t b_offset, size_t b_ld, float beta, cl_mem c, size_t c_offset, size_t c_ld,
                    cl_command_queue *queue, cl_event *event);

static cal_status open_clblast(cal_error *err) {
  static const cal_symbol symbols[] = {{"CLBlastSgemm", (void *)&sgemm}, {0}};
  static const char *const names[] = {"libclblast.so.1", "libclblast.so", NULL};
  static cal_library library = {"CLBlast", names, symbols, "libclblast1", NULL};
  return cal_library_open(&library, err);
}

typedef struct {
  cal_product p;
  cl_mem a, b, c;
  size_t a_at, b_at, c_at; /* in floats */
  int a_transpose, b_transpose;
  size_t a_ld, b_ld;
} product;

static cl_int enqueue(void *state, cl_command_queue queue) {
  product *s = state;
  const cal_product *p = &s->p;
  for (int64_t x = 0; x < p->lead[0]; x++)
    for (int64_t y = 0; y < p->lead[1]; y++)
      for (int64_t z = 0; z < p->lead[2]; z++) {
        int status = sgemm(ROW_MAJOR, s->a_transpose, s->b_transpose, (size_t)p->M, (size_t)p->N, (size_t)p->K, 1.0f, s->a,
                           s->a_at + (size_t)(x * p->a_lead[0] + y * p->a_lead[1] + z * p->a_lead[2]), s->a_ld, s->b,
                           s->b_at + (size_t)(x * p->b_lead[0] + y * p->b_lead[1] + z * p->b_lead[2]), s->b_ld, 0.0f, s->c,
                           s->c_at + (size_t)(x * p->c_lead[0] + y * p->c_lead[1] + z * p->c_lead[2]), (size_t)p->c_row, &queue, NULL);
        if (status) return status > 0 || status < -1024 ? CL_INVALID_OPERATION : status;
      }
  return CL_SUCCESS;
}

/* A matrix as BLAS knows it: one of the two strides is 1. */
static bool as_blas(int64_t rows, int64_t columns, int64_t row, int64_t column, int *transpose, size_t *ld) {
  if (column == 1 && row >= columns) return *transpose = TRANSPOSE_NO, *ld = (size_t)row, true;
  if (row == 1 && column >= rows) return *transpose = TRANSPOSE_YES, *ld = (size_t)column, true;
  return false;
}

static bool takes(const cal_site *site, const cal_step *step) {
  (void)site;
  if (!cal_step_is(step, "matmul")) return false;
  for (int i = 0; i < 3; i++)
    if ((i < 2 ? step->input[i] : step->output[0]).dtype != CAL_F32) return false;
  return true;
}

static cal_status prepare(const cal_site *site, const cal_step *step, cal_prepared *out, cal_error *err) {
  if (open_clblast(err)) return CAL_E_MISSING;
  product *s = cal_alloc_zero(1, sizeof *s, err);
  if (!s) return CAL_E_MEMORY;
  out->state = s, out->free_state = cal_free, out->enqueue = enqueue;
  cal_product_of(step, &s->p);
  const cal_product *p = &s->p;
  if (!as_blas(p->M, p->K, p->a_row, p->a_column, &s->a_transpose, &s->a_ld) ||
      !as_blas(p->K, p->N, p->b_row, p->b_column, &s->b_transpose, &s->b_ld))
    return cal_fail(err, CAL_E_DEVICE, "CLBlast: no product for these layouts");
  s->a = cal_site_chunk(site, &step->input[0])->memory, s->a_at = (size_t)step->input[0].offset / 4;
  s->b = cal_site_chunk(site, &step->input[1])->memory, s->b_at = (size_t)step->input[1].offset / 4;
  s->c = cal_site_chunk(site, &step->output[0])->memory, s->c_at = (size_t)step->output[0].offset / 4;
  return CAL_OK;
}

const cal_candidate cal_clblast_candidate = {"clblast", takes, prepare};
