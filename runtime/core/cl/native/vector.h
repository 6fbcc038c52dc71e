/* vector.h - the inner loops of CPU devices, compiled for what x86 processors can do and chosen once.
 *
 *   const cal_vector *v = cal_vector_best();
 *   float x[100] = {0}, y[100];
 *   v->softmax(y, x, 100);
 *   puts(v->name);                                     // "avx512", "avx2" or "plain"
 *
 * Sums run in 16 lanes that are added in a fixed order: the same processor gives the same bits whatever the number of threads.
 * uses: base graph
 */
#ifndef CAL_CL_NATIVE_VECTOR_H
#define CAL_CL_NATIVE_VECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/graph/graph.h"

/* One row of elementwise.def over n elements; in[0..4] are a b c y d, as far as the row has them. out may be one of them. */
typedef void (*cal_vector_row)(float *out, const float *const in[5], float k, int n);

/* A small product: c [M, N] = a [M, K] b [K, N]. b and c are rows of N numbers side by side, N a multiple of 16; a may have any
 * strides. Strides in elements. */
typedef struct {
  float *c;
  const float *a, *b;
  int64_t c_row, a_row, a_column, b_row;
  int M, N, K;
} cal_block;

typedef struct {
  const char *name;
  void (*load)(float *out, const void *from, cal_dtype dtype, int64_t stride, int n); /* stride in elements; 0 repeats */
  void (*store)(void *to, cal_dtype dtype, int64_t stride, const float *x, int n);
  float (*sum)(const float *x, int64_t n);
  float (*squares)(const float *x, float mean, int64_t n);                                     /* sum of (x - mean)^2 */
  float (*products)(const float *d, const float *x, float mean, int64_t n);                    /* sum of d (x - mean) */
  void (*multiply)(float *out, const float *x, const float *y, int64_t n);                     /* x y */
  void (*add)(float *acc, const float *x, int64_t n);                                          /* acc += x */
  void (*add_squares)(float *acc, const float *x, const float *m, int64_t n);                  /* acc += (x - m)^2 */
  void (*add_products)(float *acc, const float *d, const float *x, const float *m, int64_t n); /* acc += d (x - m) */
  /* (x - mean) scale gamma + beta with one mean and scale; gamma and beta may be NULL */
  void (*affine)(float *out, const float *x, float mean, float scale, const float *gamma, const float *beta, int64_t n);
  void (*columns)(float *out, const float *x, const float *m, const float *s, const float *t, int64_t n); /* (x - m) s + t */
  /* d a + (x - m) b + t */
  void (*back)(float *out, const float *d, const float *x, const float *m, const float *a, const float *b, const float *t, int64_t n);
  void (*softmax)(float *y, const float *x, int64_t n);
  void (*softmax_dx)(float *dx, const float *y, const float *d, int64_t n);
  /* c = a b, or c += a b with `add`. For what stays in the nearest cache: an attention's products. */
  void (*block)(const cal_block *p, bool add);
  /* Scores s [rows, 32] of 32 queries, a row for each key, in powers of two: they become 2^(s - top), 0 where they are -infinity.
   * top and sum [32] are carried from call to call, from -infinity and 0 on; all that was added up with earlier s is to be
   * multiplied by scale [32]. */
  void (*attend)(float *s, int rows, float *top, float *sum, float *scale);
  /* Products s = q k' and dp = d v' [rows, 32], a row for each query: s becomes p = 2^(s scale - lse), at most 1 or so, and dp becomes
   * p (dp - inner), both 0 from column keys[i] on. lse, inner and keys: [rows]. */
  void (*attend_back)(float *s, float *dp, int rows, float scale, const float *lse, const float *inner, const int *keys);
  const cal_vector_row *rows; /* where cal_vector_row_find says */
} cal_vector;

/* Two numbers of bf16 in the place of a float, which some processors multiply and add up as one. */
typedef struct {
  void (*block)(const cal_block *p,
                bool add); /* the same; a and b are pairs, of k and k + 1: K, strides and all else count pairs. c is f32 */
  void (*round)(float *out, const float *first, const float *second, int n);      /* n pairs of floats, rounded; out may be one of them */
  void (*join)(float *out, const uint16_t *first, const uint16_t *second, int n); /* of what is bf16 */
} cal_vector_pairs;
const cal_vector_pairs *cal_vector_pairs_best(void); /* NULL: not here */

const cal_vector *cal_vector_best(void);
const cal_vector *cal_vector_of(int level); /* 0: plain, then as far as this processor goes; NULL: not here. For tests. */

/* The row of elementwise.def with this text and these inputs; -1: there is none. */
int cal_vector_row_find(const char *inputs, const char *text);

#endif
