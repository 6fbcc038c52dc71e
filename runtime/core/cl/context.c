#include "core/cl/context.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/memory.h"
#include "core/base/room.h"
#include "core/cl/device.h"
#include "core/cl/program.h"

enum { PAGE = 4096 };

static void take_limits(cal_context *c, const cal_device *d) {
  c->platform = d->platform_id;
  c->device = d->id;
  snprintf(c->name, sizeof c->name, "%s", d->name);
  snprintf(c->vendor, sizeof c->vendor, "%s", d->vendor);
  snprintf(c->version, sizeof c->version, "%s", d->version);
  snprintf(c->driver, sizeof c->driver, "%s", d->driver);
  snprintf(c->platform_name, sizeof c->platform_name, "%s", d->platform);
  c->pocl = strstr(c->platform_name, "Portable Computing Language") != NULL;
  c->cpu = d->kind == CAL_DEVICE_CPU;
  c->units = (int)d->compute_units;
  c->largest_group = (size_t)d->max_work_group;
  c->local_bytes = (size_t)d->local_memory;
  c->largest_buffer = d->largest_buffer;
  c->memory = d->memory;
  if (c->cpu) {
    const uint64_t room = cal_room(""); /* PoCL reports less on machines whose memory was plugged in later, and knows no containers */
    if (room) c->memory = room;
  }
}

/* ---- abilities, by trying ---------------------------------------------------------------------------------------- */

typedef struct {
  void *bytes; /* replaced by the driver with the buffer's address */
  int number;
} native_probe;

static void CL_CALLBACK native_writes(void *args) {
  native_probe *probe = args;
  *(int *)probe->bytes = probe->number;
}

static bool native_works(cal_context *c) {
  if (!c->cpu) return false;
  cal_chunk *chunk = cal_chunk_new(c, 64, "probe", NULL);
  if (!chunk) return false;
  native_probe probe = {NULL, 20261121};
  const void *at = &probe.bytes;
  int seen = 0;
  bool works = !cl.EnqueueNativeKernel(c->queue, native_writes, &probe, sizeof probe, 1, &chunk->memory, &at, 0, NULL, NULL) &&
               !cal_chunk_read(chunk, 0, &seen, sizeof seen, NULL) && seen == probe.number;
  works = works && *(int *)chunk->host == probe.number; /* the native kernel saw the same memory as the host */
  cal_chunk_free(chunk);
  return works;
}

/* Rounds to nearest even: a tie down, a tie up, a subnormal, the largest, an overflow, a sign. */
static bool half_storage_works(cal_context *c) {
  static const float numbers[8] = {1.0f + 1.0f / 2048, 1.0f + 3.0f / 2048, 5.9604645e-8f, 65504.0f, 65520.0f, -0.0f, -1.5f,
                                   0.333251953125f};
  static const uint16_t bits[8] = {0x3c00, 0x3c02, 0x0001, 0x7bff, 0x7c00, 0x8000, 0xbe00, 0x3555};
  static const char source[] =
      "kernel void probe(global const float *a, global ushort *b, global float *back) {\n"
      "  size_t i = get_global_id(0);\n"
      "  vstore_half_rte(a[i], i, (global half *)b);\n"
      "  back[i] = vload_half(i, (global const half *)b);\n"
      "}\n";
  uint16_t seen[8] = {0};
  float back[8] = {0};
  bool works = false;
  cal_chunk *a = cal_chunk_new(c, sizeof numbers, "probe", NULL), *b = cal_chunk_new(c, 64, "probe", NULL);
  cal_chunk *r = cal_chunk_new(c, 64, "probe", NULL);
  cl_program program = cal_program_build(c, "probe", source, "", NULL);
  cl_int code = CL_SUCCESS;
  cl_kernel kernel = program ? cl.CreateKernel(program, "probe", &code) : NULL;
  size_t eight = 8;
  if (a && b && r && kernel && !cal_chunk_write(a, 0, numbers, sizeof numbers, NULL) &&
      !cl.SetKernelArg(kernel, 0, sizeof(cl_mem), &a->memory) && !cl.SetKernelArg(kernel, 1, sizeof(cl_mem), &b->memory) &&
      !cl.SetKernelArg(kernel, 2, sizeof(cl_mem), &r->memory) &&
      !cl.EnqueueNDRangeKernel(c->queue, kernel, 1, NULL, &eight, &eight, 0, NULL, NULL) &&
      !cal_chunk_read(b, 0, seen, sizeof seen, NULL) && !cal_chunk_read(r, 0, back, sizeof back, NULL))
    works = !memcmp(seen, bits, sizeof bits) && back[0] == 1.0f && back[2] == numbers[2] && back[3] == 65504.0f && back[4] > 1e30f;
  if (kernel) cl.ReleaseKernel(kernel);
  cal_chunk_free(a);
  cal_chunk_free(b);
  cal_chunk_free(r);
  return works;
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

static void open_cache(cal_context *c, const char *folder) {
  if (folder && !*folder) return;
  cal_buffer path = {0};
  const char *home = getenv("HOME"), *xdg = getenv("XDG_CACHE_HOME");
  if (folder) cal_buffer_add_text(&path, folder);
  else if (xdg && *xdg) cal_buffer_printf(&path, "%s/calotype", xdg);
  else if (home && *home) cal_buffer_printf(&path, "%s/.cache/calotype", home);
  if (path.data && !path.failed) {
    /* A cache that cannot be had is no reason to refuse: everything works without one. */
    cal_error err = {0};
    c->cache = cal_fs_new(path.data, 0, &err);
    if (c->cache && cal_fs_grant(c->cache, path.data, CAL_FS_READ | CAL_FS_WRITE, &err)) cal_fs_free(c->cache), c->cache = NULL;
    if (!c->cache) cal_debug(1, "no cache of programs in %s: %s", path.data, err.text);
  }
  cal_buffer_free(&path);
}

cal_context *cal_context_open(const cal_context_options *options, cal_error *err) {
  cal_device *list = NULL;
  size_t count = 0;
  if (cal_device_list(&list, &count, err)) return NULL;
  const cal_device *chosen = cal_device_choose(list, count, options->wish, err);
  if (!chosen) {
    cal_device_list_free(list);
    return NULL;
  }
  cal_context *c = cal_alloc_zero(1, sizeof *c, err);
  if (c) take_limits(c, chosen);
  cal_device_list_free(list);
  if (!c) return NULL;
  c->find = options->find;
  cl_int code = CL_SUCCESS;
  cl_context_properties properties[] = {CL_CONTEXT_PLATFORM, (cl_context_properties)c->platform, 0};
  c->handle = cl.CreateContext(properties, 1, &c->device, NULL, NULL, &code);
  if (!c->handle) {
    cal_opencl_fail(err, code, "opening %s", c->name);
    goto failed;
  }
  c->queue = cl.CreateCommandQueue(c->handle, c->device, 0, &code);
  if (!c->queue) {
    cal_opencl_fail(err, code, "a queue on %s", c->name);
    goto failed;
  }
  c->programs = cal_program_cache_new(err);
  if (!c->programs) goto failed;
  open_cache(c, options->cache);
  c->native = native_works(c);
  c->half_storage = half_storage_works(c);
  cal_debug(1, "%s (%s, %s): %d units, %.1f GiB, %.1f GiB in one piece%s%s", c->name, c->version, c->driver, c->units,
            (double)c->memory / (1 << 30), (double)c->largest_buffer / (1 << 30), c->native ? ", native functions" : "",
            c->half_storage ? "" : ", no half storage");
  return c;
failed:
  cal_context_close(c);
  return NULL;
}

void cal_context_close(cal_context *c) {
  if (!c) return;
  if (c->queue) cl.Finish(c->queue);
  cal_program_cache_free(c->programs);
  if (c->queue) cl.ReleaseCommandQueue(c->queue);
  if (c->handle) cl.ReleaseContext(c->handle);
  cal_fs_free(c->cache);
  cal_free(c);
}

cal_status cal_context_finish(cal_context *c, cal_error *err) {
  cl_int code = cl.Finish(c->queue);
  return code ? cal_opencl_fail(err, code, "waiting for %s", c->name) : CAL_OK;
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

/* Bytes for people: "2.0 GiB". */
static const char *amount(uint64_t bytes, char out[32]) {
  if (bytes >= (uint64_t)1 << 29) snprintf(out, 32, "%.1f GiB", (double)bytes / (1 << 30));
  else if (bytes >= 1 << 19) snprintf(out, 32, "%.1f MiB", (double)bytes / (1 << 20));
  else snprintf(out, 32, "%llu bytes", (unsigned long long)bytes);
  return out;
}

cal_chunk *cal_chunk_new(cal_context *c, size_t bytes, const char *what, cal_error *err) {
  char asked[32], most[32];
  if (bytes == 0) bytes = 64;
  if (bytes > c->largest_buffer) {
    cal_fail(err, CAL_E_LIMIT, "%s: %s in one piece is more than the %s that %s gives", what, amount(bytes, asked),
             amount(c->largest_buffer, most), c->name);
    return NULL;
  }
  cal_chunk *chunk = cal_alloc_zero(1, sizeof *chunk, err);
  if (!chunk) return NULL;
  chunk->context = c;
  chunk->bytes = bytes;
  cl_int code = CL_SUCCESS;
  if (c->cpu) {
    size_t whole = (bytes + PAGE - 1) / PAGE * PAGE;
    chunk->block = cal_alloc_zero(1, whole + PAGE, err);
    if (!chunk->block) {
      cal_error_context(err, "%s", what);
      cal_free(chunk);
      return NULL;
    }
    chunk->host = (void *)(((uintptr_t)chunk->block + PAGE - 1) / PAGE * PAGE);
    chunk->memory = cl.CreateBuffer(c->handle, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, whole, chunk->host, &code);
  } else {
    chunk->memory = cl.CreateBuffer(c->handle, CL_MEM_READ_WRITE, bytes, NULL, &code);
    /* Written in pieces: clEnqueueFillBuffer is broken for large buffers on some drivers, and touching every page is what
     * makes them really allocate. */
    static char zeros[1 << 20]; /* never written: not const, so that it takes no room in the program */
    for (size_t at = 0; chunk->memory && !code && at < bytes; at += sizeof zeros)
      code = cl.EnqueueWriteBuffer(c->queue, chunk->memory, CL_FALSE, at, bytes - at < sizeof zeros ? bytes - at : sizeof zeros, zeros, 0,
                                   NULL, NULL);
    if (chunk->memory && !code) code = cl.Finish(c->queue);
  }
  if (!chunk->memory || code) {
    cal_opencl_fail(err, code, "%s: %s on %s", what, amount(bytes, asked), c->name);
    cal_chunk_free(chunk);
    return NULL;
  }
  return chunk;
}

void cal_chunk_free(cal_chunk *chunk) {
  if (!chunk) return;
  if (chunk->memory) cl.ReleaseMemObject(chunk->memory);
  cal_free(chunk->block);
  cal_free(chunk);
}

static cal_status inside(const cal_chunk *chunk, size_t at, size_t size, cal_error *err) {
  if (at <= chunk->bytes && size <= chunk->bytes - at) return CAL_OK;
  return cal_fail(err, CAL_E_ARG, "chunk: bytes %zu to %zu of %zu", at, at + size, chunk->bytes);
}

cal_status cal_chunk_write(cal_chunk *chunk, size_t at, const void *bytes, size_t size, cal_error *err) {
  if (inside(chunk, at, size, err)) return CAL_E_ARG;
  if (!size) return CAL_OK;
  cl_int code = cl.EnqueueWriteBuffer(chunk->context->queue, chunk->memory, CL_TRUE, at, size, bytes, 0, NULL, NULL);
  return code ? cal_opencl_fail(err, code, "writing %zu bytes to %s", size, chunk->context->name) : CAL_OK;
}

cal_status cal_chunk_read(cal_chunk *chunk, size_t at, void *bytes, size_t size, cal_error *err) {
  if (inside(chunk, at, size, err)) return CAL_E_ARG;
  if (!size) return CAL_OK;
  cl_int code = cl.EnqueueReadBuffer(chunk->context->queue, chunk->memory, CL_TRUE, at, size, bytes, 0, NULL, NULL);
  return code ? cal_opencl_fail(err, code, "reading %zu bytes from %s", size, chunk->context->name) : CAL_OK;
}
