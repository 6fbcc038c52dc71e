/* weights.h - tensors of files become the bytes of a graph's values, and the other way round.
 *
 *   cal_error err = {0};
 *   float rows[2 * 3] = {0};
 *   uint16_t halves[2 * 3] = {0};
 *   cal_st_tensor t = {.name = "w", .dtype = CAL_ST_F16, .rank = 2, .shape = {2, 3}, .size = 12, .data = (void *)halves};
 *   if (!cal_weights_read(&t, false, CAL_F32, rows, sizeof rows, &err)) printf("%g\n", rows[5]);
 *
 * Files have PyTorch's layouts: a convolution's kernel is [out, in, kh, kw] there and [out, kh, kw, in] in a graph.
 * uses: base codec graph
 */
#ifndef CAL_TRAIN_WEIGHTS_H
#define CAL_TRAIN_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "core/base/error.h"
#include "core/codec/safetensors.h"
#include "core/graph/graph.h"

/* The tensor's numbers in `dtype` (a float) into `out`, which has exactly `size` bytes; with `kernel` turned into the graph's layout.
 * CAL_E_FORMAT, with the tensor's name: not F32, F16, BF16 or F64; a number that is not finite (the message says which and how
 * many), also when it only overflows in f16; CAL_E_ARG when the sizes do not fit. */
cal_status cal_weights_read(const cal_st_tensor *t, bool kernel, cal_dtype dtype, void *out, size_t size, cal_error *err);

/* The reverse: `count` f32 in the graph's layout into the bytes of a tensor whose name, dtype (F32, F16, BF16), rank and shape are
 * set. The same refusals. */
cal_status cal_weights_write(const cal_st_tensor *t, bool kernel, const float *numbers, size_t count, void *out, size_t size,
                             cal_error *err);

/* Whether this dtype of files is one for weights, and which of the graph's it is. F64 is read as f32. */
bool cal_weights_dtype(cal_st_dtype file, cal_dtype *out);

#endif
