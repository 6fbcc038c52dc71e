/* candidates.h - the ways in which a step can be done on a device.
 *
 *   for (const cal_candidate *const *c = cal_candidates; *c; c++) puts((*c)->name);   // as a plan tries them
 *
 * A candidate says whether it takes a step on this device, and prepares it once: kernels with their arguments bound, or a
 * function of this program with its pointers. A plan takes the first that both takes the step and can be prepared: on a CPU
 * products of a few rows, oneDNN and native functions, on a GPU the portable kernels. CLBlast is last until it has been timed on
 * one: a plan uses it when it is asked for by name (`candidate` of cal_plan_options).
 * To add one: a file with its record, and a line in candidates.c; the tests try every one against the double reference.
 * uses: base graph
 */
#ifndef CAL_CL_CANDIDATES_H
#define CAL_CL_CANDIDATES_H

#include "core/cl/context.h"
#include "core/graph/schedule.h"

/* Memory that the steps of a plan share, one after the other: what is in it does not outlive a step. CPU devices only. */
typedef struct {
  void *block;
  size_t bytes;
} cal_scratch;

/* Where the places of a schedule are on this device. */
typedef struct {
  cal_context *context;
  cal_chunk *(*chunk)(void *plan, const cal_place *place);
  void *plan;
  cal_scratch *scratch;
  const uint64_t *weights_version; /* rises whenever a frozen weight is written */
  uint64_t *spare;                 /* bytes that copies of frozen weights may still take; who takes some lowers it */
} cal_site;

/* While preparing; the block may move. What it grows by is no longer spare. */
cal_status cal_scratch_reserve(const cal_site *site, size_t bytes, cal_error *err);

static inline cal_chunk *cal_site_chunk(const cal_site *site, const cal_place *place) { return site->chunk(site->plan, place); }
static inline char *cal_site_host(const cal_site *site, const cal_place *place) {
  return (char *)cal_site_chunk(site, place)->host + place->offset;
}

typedef struct {
  cl_kernel kernel;
  cl_uint axes;
  size_t global[3], local[3];
} cal_launch;

enum { CAL_MOST_LAUNCHES = 4 };

typedef struct cal_candidate cal_candidate;

typedef struct {
  const cal_candidate *candidate;
  int launches; /* kernels to enqueue, in order; */
  cal_launch launch[CAL_MOST_LAUNCHES];
  bool (*run)(void *state);                               /* or a function to call on the host, in the device's queue; */
  cl_int (*enqueue)(void *state, cl_command_queue queue); /* or something that enqueues by itself */
  void *state;
  void (*free_state)(void *state);
} cal_prepared;

struct cal_candidate {
  const char *name;
  bool (*takes)(const cal_site *site, const cal_step *step);
  cal_status (*prepare)(const cal_site *site, const cal_step *step, cal_prepared *out, cal_error *err);
};

extern const cal_candidate *const cal_candidates[]; /* NULL at the end */
void cal_prepared_free(cal_prepared *p);

extern const cal_candidate cal_portable_candidate; /* kernels/NAME.cl and generated chains: every step on every device */
extern const cal_candidate cal_native_candidate;   /* chains, sums, rows, norms, embeddings, attention as C over all cores */
extern const cal_candidate cal_few_candidate;      /* products of a few rows on CPU devices: a text model's next token */
extern const cal_candidate cal_onednn_candidate;   /* products and convolutions of CPU devices */
extern const cal_candidate cal_clblast_candidate;  /* f32 products of GPUs */

/* For candidates. */
bool cal_step_is(const cal_step *step, const char *op);
int64_t cal_place_count(const cal_place *place);

/* A product as sizes and strides in elements, whatever the flags said; leading axes filled up to three with 1. */
typedef struct {
  int64_t M, N, K, a_row, a_column, b_row, b_column, c_row, c_column;
  int64_t lead[3], a_lead[3], b_lead[3], c_lead[3];
} cal_product;
void cal_product_of(const cal_step *step, cal_product *p);

/* A convolution, its three tensors and which of them is worked out. */
typedef struct {
  const cal_place *x, *w, *y;
  cal_conv conv;
} cal_convolution;
void cal_convolution_of(const cal_step *step, cal_convolution *c);

/* What a sum keeps and what it adds up: sizes with strides of the input, axes of size 1 left out, neighbours merged. */
typedef struct {
  int kept, reduced;
  int64_t kept_size[CAL_DIMS], kept_stride[CAL_DIMS], reduced_size[CAL_DIMS], reduced_stride[CAL_DIMS];
  int64_t results, terms;
} cal_reduction;
void cal_reduction_of(const cal_step *step, cal_reduction *r);

#endif
