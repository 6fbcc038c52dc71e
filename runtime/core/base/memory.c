#include "core/base/memory.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__APPLE__)
#include <malloc/malloc.h>
#define block_size(p) malloc_size(p)
#else
#include <malloc.h>
#define block_size(p) malloc_usable_size(p)
#endif

static atomic_size_t in_use, peak;
static atomic_long fail_in = -1;

static bool refused(void) {
  long left = atomic_load(&fail_in);
  if (left > 0) atomic_fetch_sub(&fail_in, 1);
  return left == 0;
}

static void *counted(void *block) {
  size_t now = atomic_fetch_add(&in_use, block_size(block)) + block_size(block);
  size_t high = atomic_load(&peak);
  while (now > high && !atomic_compare_exchange_weak(&peak, &high, now)) {
  }
  return block;
}

static void *no_memory(size_t bytes, cal_error *err) {
  cal_fail(err, CAL_E_MEMORY, "not enough memory for %zu more bytes (%zu in use)", bytes, cal_memory_in_use());
  return NULL;
}

void *cal_alloc(size_t bytes, cal_error *err) {
  void *block = refused() ? NULL : malloc(bytes ? bytes : 1);
  return block ? counted(block) : no_memory(bytes, err);
}

void *cal_alloc_zero(size_t count, size_t size, cal_error *err) {
  if (size && count > SIZE_MAX / size) return no_memory(SIZE_MAX, err);
  size_t bytes = count * size;
  void *block = refused() ? NULL : calloc(bytes ? bytes : 1, 1);
  return block ? counted(block) : no_memory(bytes, err);
}

void *cal_resize(void *block, size_t bytes, cal_error *err) {
  if (!block) return cal_alloc(bytes, err);
  size_t before = block_size(block);
  if (bytes > before && refused()) return no_memory(bytes, err);
  void *moved = realloc(block, bytes ? bytes : 1);
  if (!moved) return no_memory(bytes, err);
  atomic_fetch_sub(&in_use, before);
  return counted(moved);
}

void cal_free(void *block) {
  if (!block) return;
  atomic_fetch_sub(&in_use, block_size(block));
  free(block);
}

char *cal_copy_text(const char *text, cal_error *err) {
  size_t bytes = strlen(text) + 1;
  char *copy = cal_alloc(bytes, err);
  return copy ? memcpy(copy, text, bytes) : NULL;
}

size_t cal_memory_in_use(void) { return atomic_load(&in_use); }
size_t cal_memory_peak(void) { return atomic_load(&peak); }
void cal_memory_fail_after(long count) { atomic_store(&fail_in, count); }
