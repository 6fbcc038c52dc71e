/* shape.c - dtypes and shapes. */
#include <inttypes.h>
#include <stdio.h>

#include "core/graph/op.h"

size_t cal_dtype_size(cal_dtype dtype) { return dtype == CAL_F16 || dtype == CAL_BF16 ? 2 : 4; }

const char *cal_dtype_name(cal_dtype dtype) {
  static const char *const names[] = {"f32", "f16", "bf16", "i32"};
  return (unsigned)dtype < CAL_DTYPES ? names[dtype] : "?";
}

cal_dtype cal_dtype_wider(cal_dtype a, cal_dtype b) { return a == b ? a : CAL_F32; }

cal_shape cal_shape_of(int rank, const int64_t *dims) {
  cal_shape s = {.rank = rank};
  for (int i = 0; i < rank && i < CAL_DIMS; i++) s.dim[i] = dims[i];
  return s;
}

int64_t cal_shape_count(cal_shape s) {
  int64_t count = 1;
  for (int i = 0; i < s.rank; i++) count *= s.dim[i];
  return count;
}

bool cal_shape_equal(cal_shape a, cal_shape b) {
  if (a.rank != b.rank) return false;
  for (int i = 0; i < a.rank; i++)
    if (a.dim[i] != b.dim[i]) return false;
  return true;
}

char *cal_shape_text(cal_shape s, char out[CAL_SHAPE_TEXT]) {
  int at = snprintf(out, CAL_SHAPE_TEXT, "[");
  for (int i = 0; i < s.rank && i < CAL_DIMS && at < CAL_SHAPE_TEXT; i++)
    at += snprintf(out + at, (size_t)(CAL_SHAPE_TEXT - at), "%s%" PRId64, i ? ", " : "", s.dim[i]);
  if (at < CAL_SHAPE_TEXT) snprintf(out + at, (size_t)(CAL_SHAPE_TEXT - at), "]");
  return out;
}

cal_status cal_shape_broadcast(const char *op, cal_shape a, cal_shape b, cal_shape *out, cal_error *err) {
  cal_shape s = {.rank = a.rank > b.rank ? a.rank : b.rank};
  for (int i = 1; i <= s.rank; i++) {
    int64_t x = i <= a.rank ? a.dim[a.rank - i] : 1, y = i <= b.rank ? b.dim[b.rank - i] : 1;
    if (x != y && x != 1 && y != 1) {
      char left[CAL_SHAPE_TEXT], right[CAL_SHAPE_TEXT];
      return cal_fail(err, CAL_E_ARG, "%s: %s and %s do not fit together: axis %d from the right is %" PRId64 " and %" PRId64, op,
                      cal_shape_text(a, left), cal_shape_text(b, right), i, x, y);
    }
    s.dim[s.rank - i] = x == 1 ? y : x;
  }
  *out = s;
  return CAL_OK;
}

cal_dtype cal_result_dtype(const cal_node *node, cal_dtype otherwise) {
  int64_t asked = node->op->dtype_at ? node->attr.i[node->op->dtype_at] : 0;
  return asked ? (cal_dtype)(asked - 1) : otherwise;
}
