/* onednn.h - products and convolutions of a CPU by oneDNN, opened when first needed.
 *
 *   cal_error err = {0};
 *   cal_onednn_tensor a = {CAL_F32, 2, {64, 32}, {32, 1}}, b = {CAL_F32, 2, {32, 16}, {16, 1}}, c = {CAL_F32, 2, {64, 16}, {16, 1}};
 *   cal_onednn *product = cal_onednn_matmul(&a, &b, &c, &err);     // compiled once
 *   if (!product) return err.code;                                 // not installed, or it has nothing for these
 *   float *x = calloc(64, 4 * 32), *y = calloc(32, 4 * 16), *z = calloc(64, 4 * 16);
 *   cal_onednn_run(product, x, y, z);                              // any number of times
 *   cal_onednn_free(product);
 *
 * Threads: its OpenMP workers sleep between calls (OMP_WAIT_POLICY=passive is set before it loads, unless someone set it
 * already), so that they never compete with PoCL's and with ours.
 * uses: base graph
 */
#ifndef CAL_CL_NATIVE_ONEDNN_H
#define CAL_CL_NATIVE_ONEDNN_H

#include "core/base/error.h"
#include "core/graph/graph.h"

typedef struct {
  cal_dtype dtype; /* f32 or bf16 */
  int rank;
  int64_t dim[CAL_DIMS], stride[CAL_DIMS]; /* strides in elements */
} cal_onednn_tensor;

typedef struct cal_onednn cal_onednn;

cal_status cal_onednn_open(cal_error *err); /* CAL_E_MISSING says what to install */

/* c [.., M, N] = a [.., M, K] b [.., K, N]; leading sizes are equal or 1. */
cal_onednn *cal_onednn_matmul(const cal_onednn_tensor *a, const cal_onednn_tensor *b, const cal_onednn_tensor *c, cal_error *err);

/* x [B, H, W, C], w [O, kh, kw, C], y [B, H', W', O]: what is worked out is y; dx; or dw. In the tensors' own places: for dx the
 * first tensor is what is written. Which is "first, second, result" for run: FORWARD x w y, DATA dy w dx, WEIGHTS x dy dw. */
typedef enum { CAL_ONEDNN_FORWARD, CAL_ONEDNN_DATA, CAL_ONEDNN_WEIGHTS } cal_onednn_kind;
cal_onednn *cal_onednn_conv2d(cal_onednn_kind kind, const cal_onednn_tensor *x, const cal_onednn_tensor *w, const cal_onednn_tensor *y,
                              cal_conv conv, cal_error *err);

/* The second operand is a frozen weight: where oneDNN wants it in another layout, it is brought there at the next run and kept
 * until cal_onednn_second_changed. */
void cal_onednn_second_is_frozen(cal_onednn *op);
void cal_onednn_second_changed(cal_onednn *op);
bool cal_onednn_second_is_kept(const cal_onednn *op); /* its bytes are not needed at the next run */

/* false: oneDNN refused to run it. */
bool cal_onednn_run(cal_onednn *op, const void *first, const void *second, void *result);
size_t cal_onednn_bytes(const cal_onednn *op); /* what it holds besides its operands */
void cal_onednn_free(cal_onednn *op);

#endif
