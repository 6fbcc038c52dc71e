#include "core/graph/strides.h"

#include <string.h>

void cal_strides_dense(cal_shape s, int64_t out[CAL_DIMS]) {
  int64_t stride = 1;
  for (int axis = s.rank; axis-- > 0; stride *= s.dim[axis]) out[axis] = stride;
}

void cal_strides_broadcast(cal_shape from, cal_shape to, int64_t out[CAL_DIMS]) {
  int64_t dense = 1;
  for (int axis = to.rank; axis-- > 0;) {
    int own = axis - (to.rank - from.rank);
    int64_t size = own >= 0 ? from.dim[own] : 1;
    out[axis] = size == 1 ? 0 : dense;
    dense *= size;
  }
}

bool cal_strides_are_dense(cal_shape s, const int64_t strides[CAL_DIMS]) {
  int64_t stride = 1;
  for (int axis = s.rank; axis-- > 0; stride *= s.dim[axis])
    if (s.dim[axis] != 1 && strides[axis] != stride) return false;
  return true;
}

void cal_strided_copy(cal_shape s, void *to, const int64_t *to_strides, const void *from, const int64_t *from_strides, size_t size) {
  if (cal_strides_are_dense(s, to_strides) && cal_strides_are_dense(s, from_strides)) {
    memcpy(to, from, (size_t)cal_shape_count(s) * size);
    return;
  }
  int64_t index[CAL_DIMS] = {0}, t = 0, f = 0;
  for (int64_t n = cal_shape_count(s), i = 0; i < n; i++) {
    memcpy((char *)to + (size_t)t * size, (const char *)from + (size_t)f * size, size);
    for (int axis = s.rank; axis-- > 0;) {
      bool carry = ++index[axis] == s.dim[axis];
      if (carry) index[axis] = 0;
      t += carry ? -to_strides[axis] * (s.dim[axis] - 1) : to_strides[axis];
      f += carry ? -from_strides[axis] * (s.dim[axis] - 1) : from_strides[axis];
      if (!carry) break;
    }
  }
}
