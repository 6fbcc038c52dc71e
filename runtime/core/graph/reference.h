/* reference.h - a graph computed on the host by the plain loops of its op records: what everything else is compared with, and
 * what computes small tensors at the prompt.
 *
 *   cal_error err = {0};
 *   cal_graph *g = cal_graph_new();
 *   cal_value x = cal_graph_input(g, "x", CAL_F32, cal_shape_of(1, (int64_t[]){2}));
 *   cal_value y = cal_square(g, x);
 *   cal_graph_output(g, CAL_SAMPLE, y);
 *   cal_reference *ref = cal_reference_new(g, CAL_IN_DOUBLE, &err);
 *   double in[2] = {3, 4}, out[2];
 *   if (ref && !cal_reference_set(ref, x, in, &err) && !cal_reference_run(ref, CAL_SAMPLE, &err) && !cal_reference_get(ref, y, out, &err))
 *     printf("%g\n", out[1]);                                       // 16
 *   cal_reference_free(ref);
 *   cal_graph_free(g);
 *
 * All floats are held in the chosen precision whatever their dtype: f16 and bf16 are not rounded here. States begin as zeros;
 * inputs and weights must be set. The graph may grow between runs.
 * uses: base
 */
#ifndef CAL_GRAPH_REFERENCE_H
#define CAL_GRAPH_REFERENCE_H

#include <stdio.h>

#include "core/graph/op.h"

typedef enum { CAL_IN_FLOAT, CAL_IN_DOUBLE } cal_precision;

typedef struct cal_reference cal_reference;

cal_reference *cal_reference_new(const cal_graph *g, cal_precision precision, cal_error *err);
void cal_reference_free(cal_reference *ref);

/* Of an input, weight or state: all its elements as numbers, or as bytes in its dtype. */
cal_status cal_reference_set(cal_reference *ref, cal_value v, const double *numbers, cal_error *err);
cal_status cal_reference_set_bytes(cal_reference *ref, cal_value v, const void *bytes, size_t size, cal_error *err);

/* Compute what the segment's outputs and stores need, then store. */
cal_status cal_reference_run(cal_reference *ref, cal_segment segment, cal_error *err);

/* Compute these values and what they need; nothing is stored. */
cal_status cal_reference_compute(cal_reference *ref, const cal_value *values, int count, cal_error *err);

/* A state, an input, or what the last run computed. CAL_E_NOTFOUND: it has not been computed. */
cal_status cal_reference_get(const cal_reference *ref, cal_value v, double *out, cal_error *err);

/* Elements of any dtype as numbers and back, `count` of them; f16 and bf16 are rounded to nearest, ties to even. */
void cal_numbers_of(cal_dtype dtype, const void *bytes, int64_t count, double *out);
void cal_numbers_to(cal_dtype dtype, const double *numbers, int64_t count, void *bytes);
float cal_f16_to_float(uint16_t half);
uint16_t cal_f16_of(float number);
float cal_bf16_to_float(uint16_t half);
uint16_t cal_bf16_of(float number);

#endif
