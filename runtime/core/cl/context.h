/* context.h - one device, opened: its queue, its limits, what it was seen to do.
 *
 *   cal_error err = {0};
 *   cal_context *c = cal_context_open(&(cal_context_options){.wish = "cpu"}, &err);
 *   if (!c) return err.code;                              // "no OpenCL driver is installed; ..."
 *   cal_chunk *x = cal_chunk_new(c, 1 << 20, "x", &err);  // zeroed memory of the device
 *   float one = 1;
 *   cal_chunk_write(x, 0, &one, sizeof one, &err);
 *   cal_chunk_free(x);
 *   cal_context_close(c);
 *
 * One in-order queue: nodes run in the order they were enqueued, so the same plan gives the same bits. Nothing here is
 * for several threads at once.
 * uses: base
 */
#ifndef CAL_CL_CONTEXT_H
#define CAL_CL_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/fs.h"
#include "core/cl/opencl.h"

/* Finds the text of "runtime/core/cl/kernels/matmul.cl"; not NUL-terminated. NULL: there is none. */
typedef const void *(*cal_source_finder)(const char *path, size_t *size);

typedef struct {
  const char *wish;       /* "cpu", "gpu" or a part of a device's name, upper or lower case; NULL: a GPU, else what there is */
  cal_source_finder find; /* where kernels come from; NULL: only programs given as text work */
  const char *cache;      /* folder for compiled programs; NULL: $XDG_CACHE_HOME/calotype; "": none */
} cal_context_options;

typedef struct cal_program_cache cal_program_cache;

typedef struct {
  cl_platform_id platform;
  cl_device_id device;
  cl_context handle;
  cl_command_queue queue;
  char name[128], vendor[128], version[128], driver[96], platform_name[128];
  bool cpu;                /* a CPU device: it works on the host's memory */
  bool native;             /* functions of this program run in its queue and see its buffers: seen to work */
  bool half_storage;       /* vload_half and vstore_half gave the right bits for every class of number */
  bool pocl;               /* keeps its own cache of compiled programs */
  int units;               /* compute units */
  size_t largest_group;    /* work-items in a work-group */
  size_t local_bytes;      /* local memory of a work-group */
  uint64_t largest_buffer; /* bytes in one piece */
  uint64_t memory;         /* bytes in all; of a CPU device what the system has available */
  cal_source_finder find;
  cal_program_cache *programs; /* program.h */
  cal_fs *cache;               /* rooted at the cache folder; NULL: none */
} cal_context;

/* NULL and CAL_E_MISSING when there is no driver, CAL_E_NOTFOUND (with the list of devices) when none fits the wish. */
cal_context *cal_context_open(const cal_context_options *options, cal_error *err);
void cal_context_close(cal_context *c); /* after everything made from it was freed */

/* Wait until all that was enqueued has ended. */
cal_status cal_context_finish(cal_context *c, cal_error *err);

/* A piece of the device's memory. On CPU devices it is the host's, aligned to a page, and `host` points to it. */
typedef struct {
  cal_context *context;
  cl_mem memory;
  size_t bytes;
  void *host;  /* CPU devices: the same bytes; else NULL */
  void *block; /* what was allocated */
} cal_chunk;

/* Zeroed. CAL_E_LIMIT above the device's largest piece, CAL_E_MEMORY when there is none left; `what` names it in messages. */
cal_chunk *cal_chunk_new(cal_context *c, size_t bytes, const char *what, cal_error *err);
void cal_chunk_free(cal_chunk *chunk);
cal_status cal_chunk_write(cal_chunk *chunk, size_t at, const void *bytes, size_t size, cal_error *err); /* waits */
cal_status cal_chunk_read(cal_chunk *chunk, size_t at, void *bytes, size_t size, cal_error *err);        /* waits */

#endif
