/* program.h - kernels from text, compiled once per device.
 *
 *   cal_error err = {0};
 *   cal_context *c = cal_context_open(&(cal_context_options){0}, &err);
 *   if (!c) return err.code;
 *   cl_program p = cal_program_build(c, "twice", "kernel void twice(global float *x) { x[get_global_id(0)] *= 2; }", "", &err);
 *   if (!p) puts(err.text);                      // the compiler's words and the lines they are about
 *   cl_kernel k = cal_kernel_new(c, p, "twice", &err);
 *   cl.ReleaseKernel(k);                         // programs belong to the context
 *   cal_context_close(c);
 *
 * The same text with the same options is compiled once. What a driver compiled is kept in the context's cache folder by
 * sha256(text, options, device, driver); PoCL keeps its own, better one.
 * uses: base
 */
#ifndef CAL_CL_PROGRAM_H
#define CAL_CL_PROGRAM_H

#include "core/cl/context.h"

/* Borrowed: freed with the context. `title` names it in messages. NULL and CAL_E_DEVICE with the build log when the
 * compiler refuses; the whole log and the numbered source go to CALOTYPE_DEBUG=3. */
cl_program cal_program_build(cal_context *c, const char *title, const char *source, const char *options, cal_error *err);

/* kernels/NAME.cl, after kernels/common.cl, through the context's source finder. */
cl_program cal_program_file(cal_context *c, const char *name, const char *options, cal_error *err);

cl_kernel cal_kernel_new(cal_context *c, cl_program program, const char *name, cal_error *err); /* owned */

/* What a session compiled and what came from disk or from before. */
typedef struct {
  int built, loaded, reused;
  double seconds;
} cal_program_counts;
cal_program_counts cal_program_count(const cal_context *c);

cal_program_cache *cal_program_cache_new(cal_error *err);
void cal_program_cache_free(cal_program_cache *cache);

/* For tests: keep binaries on disk even where the driver has its own cache. */
void cal_program_cache_always(cal_context *c);

#endif
