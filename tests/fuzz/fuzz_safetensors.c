/* Any bytes: a header is read, and then every tensor lies inside the file and has the size of its shape; or refused. */
#include <stdlib.h>

#include "core/codec/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  cal_error err = {0};
  cal_st *st = cal_st_open_bytes(bytes, size, "fuzz", &err);
  if (!st) return err.code && err.text[0] ? 0 : (abort(), 0);
  uint64_t sum = 0;
  for (size_t i = 0; i < cal_st_count(st); i++) {
    const cal_st_tensor *t = &cal_st_tensors(st)[i];
    uint64_t numbers = 1;
    for (int d = 0; d < t->rank; d++) numbers *= t->shape[d];
    if (t->offset > size || t->size > size - t->offset || numbers * cal_st_dtype_size(t->dtype) != t->size) abort();
    if (t->size) sum += t->data[0] + t->data[t->size - 1];
    if (cal_st_find(st, t->name) != t) abort();
  }
  cal_st_close(st);
  return sum > UINT64_MAX / 2;
}
