/* memory.h - allocation that is counted and can be made to fail on purpose.
 *
 *   cal_error err = {0};
 *   float *row = cal_alloc(640 * sizeof *row, &err);     // NULL and CAL_E_MEMORY with the number of bytes
 *   if (!row) return err.code;
 *   cal_free(row);
 *
 * Pictures, tensors and Lua objects all come from here: what the program holds is one number.
 * uses: libc
 */
#ifndef CAL_BASE_MEMORY_H
#define CAL_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/error.h"

void *cal_alloc(size_t bytes, cal_error *err);                   /* uninitialised; 0 bytes gives a valid pointer */
void *cal_alloc_zero(size_t count, size_t size, cal_error *err); /* zeroed; the product is checked for overflow */
void *cal_resize(void *block, size_t bytes, cal_error *err);     /* like realloc: on failure `block` stays as it was */
void cal_free(void *block);                                      /* NULL is fine */
char *cal_copy_text(const char *text, cal_error *err);           /* owned copy of a C string */

size_t cal_memory_in_use(void); /* bytes now held, as the system's allocator rounds them */
size_t cal_memory_peak(void);   /* the most ever held */

/* For tests: the allocation after `count` more ones fails, and every one after it. Negative turns it off. */
void cal_memory_fail_after(long count);

#endif
