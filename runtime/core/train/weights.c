#include "core/train/weights.h"

#include <math.h>
#include <string.h>

#include "core/graph/reference.h"

bool cal_weights_dtype(cal_st_dtype file, cal_dtype *out) {
  switch (file) {
    case CAL_ST_F32:
    case CAL_ST_F64: *out = CAL_F32; return true;
    case CAL_ST_F16: *out = CAL_F16; return true;
    case CAL_ST_BF16: *out = CAL_BF16; return true;
    default: return false;
  }
}

static size_t count_of(const cal_st_tensor *t) {
  size_t count = 1;
  for (int i = 0; i < t->rank; i++) count *= (size_t)t->shape[i];
  return count;
}

/* Where element `at` of the file's [out, in, kh, kw] is in [out, kh, kw, in]. */
static size_t turned(const cal_st_tensor *t, size_t at) {
  size_t in = (size_t)t->shape[1], window = (size_t)(t->shape[2] * t->shape[3]);
  size_t o = at / (in * window), i = at / window % in, p = at % window;
  return (o * window + p) * in + i;
}

static cal_status not_finite(const cal_st_tensor *t, size_t bad, size_t first, cal_error *err) {
  return cal_fail(err, CAL_E_FORMAT, "tensor \"%s\": %zu of its numbers are not finite, element %zu is the first", t->name, bad, first);
}

/* What rounds to a finite number of the dtype. */
static double limit_of(cal_dtype dtype) { return dtype == CAL_F16 ? 65519.99 : dtype == CAL_BF16 ? 3.39e38 : 3.4028235e38; }

enum { PIECE = 4096 };

cal_status cal_weights_read(const cal_st_tensor *t, bool kernel, cal_dtype dtype, void *out, size_t size, cal_error *err) {
  cal_dtype from;
  size_t count = count_of(t), width = cal_st_dtype_size(t->dtype), bad = 0, first = 0;
  if (!cal_weights_dtype(t->dtype, &from))
    return cal_fail(err, CAL_E_FORMAT, "tensor \"%s\" holds %s; F32, F16, BF16 and F64 are weights", t->name, cal_st_dtype_name(t->dtype));
  if (t->size != count * width || size != count * cal_dtype_size(dtype) || dtype == CAL_I32 || (kernel && t->rank != 4))
    return cal_fail(err, CAL_E_ARG, "tensor \"%s\": %zu numbers of %s do not fill %zu bytes of %s%s", t->name, count,
                    cal_st_dtype_name(t->dtype), size, cal_dtype_name(dtype), kernel ? " as a kernel" : "");
  double numbers[PIECE];
  unsigned char aligned[PIECE * 8]; /* the file's data may be unaligned */
  for (size_t at = 0; at < count; at += PIECE) {
    size_t n = count - at < PIECE ? count - at : PIECE;
    if (t->dtype == CAL_ST_F64) memcpy(numbers, t->data + at * width, n * width);
    else {
      memcpy(aligned, t->data + at * width, n * width);
      cal_numbers_of(from, aligned, (int64_t)n, numbers);
    }
    if (!kernel) cal_numbers_to(dtype, numbers, (int64_t)n, (char *)out + at * cal_dtype_size(dtype));
    for (size_t i = 0; i < n; i++) {
      if (!(fabs(numbers[i]) <= limit_of(dtype)) && !bad++) first = at + i;
      if (kernel) cal_numbers_to(dtype, &numbers[i], 1, (char *)out + turned(t, at + i) * cal_dtype_size(dtype));
    }
  }
  return bad ? not_finite(t, bad, first, err) : CAL_OK;
}

cal_status cal_weights_write(const cal_st_tensor *t, bool kernel, const float *numbers, size_t count, void *out, size_t size,
                             cal_error *err) {
  cal_dtype to;
  size_t bad = 0, first = 0;
  if (!cal_weights_dtype(t->dtype, &to) || t->dtype == CAL_ST_F64)
    return cal_fail(err, CAL_E_ARG, "tensor \"%s\": weights are written as F32, F16 or BF16, not %s", t->name, cal_st_dtype_name(t->dtype));
  if (count != count_of(t) || size != count * cal_dtype_size(to) || (kernel && t->rank != 4))
    return cal_fail(err, CAL_E_ARG, "tensor \"%s\": %zu numbers do not fill its %zu elements and %zu bytes", t->name, count, count_of(t),
                    size);
  for (size_t at = 0; at < count; at++) {
    double number = numbers[kernel ? turned(t, at) : at];
    if (!(fabs(number) <= limit_of(to)) && !bad++) first = at;
    cal_numbers_to(to, &number, 1, (char *)out + at * cal_dtype_size(to));
  }
  return bad ? not_finite(t, bad, first, err) : CAL_OK;
}
