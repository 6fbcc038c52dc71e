/* strides.h - walking over tensors whose elements are not side by side.
 *
 *   cal_shape s = cal_shape_of(2, (int64_t[]){3, 4});
 *   int64_t dense[CAL_DIMS], turned[CAL_DIMS] = {1, 3};
 *   cal_strides_dense(s, dense);                                  // 4, 1
 *   float a[12] = {0}, b[12];
 *   cal_strided_copy(s, b, turned, a, dense, sizeof(float));      // b is a, transposed
 *
 * Strides count elements, not bytes.
 * uses: base
 */
#ifndef CAL_GRAPH_STRIDES_H
#define CAL_GRAPH_STRIDES_H

#include "core/graph/graph.h"

void cal_strides_dense(cal_shape s, int64_t out[CAL_DIMS]);

/* Of a dense tensor of shape `from` while walking over `to`: 0 where it is repeated. */
void cal_strides_broadcast(cal_shape from, cal_shape to, int64_t out[CAL_DIMS]);

/* Whether elements of a tensor with these strides lie side by side in order. Strides of axes of size 1 do not matter. */
bool cal_strides_are_dense(cal_shape s, const int64_t strides[CAL_DIMS]);

/* Copy elements of `size` bytes (2, 4 or 8). */
void cal_strided_copy(cal_shape s, void *to, const int64_t *to_strides, const void *from, const int64_t *from_strides, size_t size);

#endif
