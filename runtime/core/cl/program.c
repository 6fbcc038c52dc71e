#include "core/cl/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/memory.h"
#include "core/base/sha256.h"

typedef struct {
  char key[CAL_SHA256_HEX];
  cl_program program;
} entry;

struct cal_program_cache {
  entry *entries;
  size_t count, capacity;
  bool always;
  cal_program_counts counts;
};

cal_program_cache *cal_program_cache_new(cal_error *err) { return cal_alloc_zero(1, sizeof(cal_program_cache), err); }

void cal_program_cache_free(cal_program_cache *cache) {
  if (!cache) return;
  for (size_t i = 0; i < cache->count; i++) cl.ReleaseProgram(cache->entries[i].program);
  cal_free(cache->entries);
  cal_free(cache);
}

void cal_program_cache_always(cal_context *c) { c->programs->always = true; }

cal_program_counts cal_program_count(const cal_context *c) { return c->programs->counts; }

/* Every part ends with a zero byte, so that no two lists of parts give the same key. */
static void key_of(const cal_context *c, const char *source, const char *options, char key[CAL_SHA256_HEX]) {
  const char *parts[] = {"calotype program 1", source, options, c->name, c->vendor, c->version, c->driver, c->platform_name};
  cal_sha256 h;
  cal_sha256_start(&h);
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) cal_sha256_add(&h, parts[i], strlen(parts[i]) + 1);
  cal_sha256_end(&h, key);
}

static cal_status remember(cal_program_cache *cache, const char *key, cl_program program, cal_error *err) {
  if (cache->count == cache->capacity) {
    size_t capacity = cache->capacity ? cache->capacity * 2 : 32;
    entry *entries = cal_resize(cache->entries, capacity * sizeof *entries, err);
    if (!entries) return CAL_E_MEMORY;
    cache->entries = entries;
    cache->capacity = capacity;
  }
  entry *e = &cache->entries[cache->count++];
  memcpy(e->key, key, sizeof e->key);
  e->program = program;
  return CAL_OK;
}

/* ---- disk -------------------------------------------------------------------------------------------------------- */

static cl_program load(cal_context *c, const char *key, const char *options) {
  if (!c->cache || (c->pocl && !c->programs->always)) return NULL;
  char name[CAL_SHA256_HEX + 8];
  snprintf(name, sizeof name, "%s.clbin", key);
  cal_buffer bytes = {0};
  cl_program program = NULL;
  if (!cal_fs_read(c->cache, name, (uint64_t)256 << 20, &bytes, NULL) && bytes.size > CAL_SHA256_HEX) {
    /* The file ends with the sha256 of what is before it: drivers crash on a damaged binary. */
    size_t size = bytes.size - (CAL_SHA256_HEX - 1);
    char hex[CAL_SHA256_HEX];
    cal_sha256_hex(bytes.data, size, hex);
    if (!memcmp(hex, bytes.data + size, CAL_SHA256_HEX - 1)) {
      const unsigned char *data = (const unsigned char *)bytes.data;
      cl_int status = 0, code = 0;
      program = cl.CreateProgramWithBinary(c->handle, 1, &c->device, &size, &data, &status, &code);
      if (program && (code || status || cl.BuildProgram(program, 1, &c->device, options, NULL, NULL)))
        cl.ReleaseProgram(program), program = NULL;
    }
  }
  cal_buffer_free(&bytes);
  return program;
}

static void save(cal_context *c, const char *key, cl_program program) {
  if (!c->cache || (c->pocl && !c->programs->always)) return;
  char name[CAL_SHA256_HEX + 8], hex[CAL_SHA256_HEX];
  snprintf(name, sizeof name, "%s.clbin", key);
  size_t size = 0;
  if (cl.GetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof size, &size, NULL) || !size) return;
  unsigned char *bytes = cal_alloc(size + CAL_SHA256_HEX, NULL);
  if (!bytes) return;
  if (!cl.GetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof bytes, &bytes, NULL)) {
    cal_sha256_hex(bytes, size, hex);
    memcpy(bytes + size, hex, CAL_SHA256_HEX - 1);
    cal_error err = {0};
    if (cal_fs_write(c->cache, name, bytes, size + CAL_SHA256_HEX - 1, &err)) cal_debug(1, "program not kept: %s", err.text);
  }
  cal_free(bytes);
}

/* ---- what the compiler says --------------------------------------------------------------------------------------- */

/* Where a log first speaks of an error: "prog.cl:12:5: error: what", "error: prog.cl:12:5: what". The line's number, and in
 * *said the words after it. */
static int line_in_log(const char *log, const char **said) {
  const char *at = strstr(log, "error");
  *said = at ? at : log;
  if (!at) return 0;
  const char *p = at;
  while (p > log && p[-1] != '\n') p--;
  for (; *p && *p != '\n'; p++) {
    if (*p != ':') continue;
    char *end;
    long line = strtol(p + 1, &end, 10);
    if (end == p + 1 || *end != ':' || line <= 0 || line > 1000000) continue;
    if (p > at) *said = end + 1 + strspn(end + 1, "0123456789: ");
    return (int)line;
  }
  return 0;
}

static void add_lines(cal_buffer *out, const char *source, int from, int to) {
  int number = 1;
  for (const char *line = source; *line && number <= to; number++) {
    size_t length = strcspn(line, "\n");
    if (number >= from) cal_buffer_printf(out, "%5d  %.*s\n", number, (int)length, line);
    line += length + (line[length] == '\n');
  }
}

static void explain(cal_context *c, cl_program program, const char *title, const char *source, const char *options, cl_int code,
                    cal_error *err) {
  size_t size = 0;
  char *log = NULL;
  if (!cl.GetProgramBuildInfo(program, c->device, CL_PROGRAM_BUILD_LOG, 0, NULL, &size) && size &&
      (log = cal_alloc_zero(1, size + 1, NULL)))
    if (cl.GetProgramBuildInfo(program, c->device, CL_PROGRAM_BUILD_LOG, size, log, NULL)) log[0] = '\0';
  const char *first = log;
  int line = log ? line_in_log(log, &first) : 0;
  cal_buffer text = {0};
  if (first) cal_buffer_add_printable(&text, first, strcspn(first, "\n") < 300 ? strcspn(first, "\n") : 300);
  if (line) cal_buffer_printf(&text, " (line %d)\n", line), add_lines(&text, source, line > 2 ? line - 2 : 1, line + 1);
  if (text.size && text.data[text.size - 1] == '\n') text.data[--text.size] = '\0';
  cal_fail(err, CAL_E_DEVICE, "%s: %s (%d): the compiler of %s refused it%s%s%s%s", title, cal_opencl_error_name(code), (int)code, c->name,
           *options ? " with " : "", options, text.size ? ": " : "", text.data ? text.data : "");
  if (cal_debug_depth() >= 3) {
    cal_buffer whole = {0};
    add_lines(&whole, source, 1, 1 << 30);
    cal_debug(3, "%s\n%s", whole.data ? whole.data : "", log ? log : "");
    cal_buffer_free(&whole);
  }
  cal_buffer_free(&text);
  cal_free(log);
}

/* ---- building ----------------------------------------------------------------------------------------------------- */

cl_program cal_program_build(cal_context *c, const char *title, const char *source, const char *options, cal_error *err) {
  char key[CAL_SHA256_HEX];
  key_of(c, source, options, key);
  cal_program_cache *cache = c->programs;
  for (size_t i = 0; i < cache->count; i++)
    if (!memcmp(cache->entries[i].key, key, sizeof key)) return cache->counts.reused++, cache->entries[i].program;
  double start = cal_clock();
  cl_program program = load(c, key, options);
  if (program) cache->counts.loaded++;
  else {
    cl_int code = CL_SUCCESS;
    program = cl.CreateProgramWithSource(c->handle, 1, &source, NULL, &code);
    if (!program) return cal_opencl_fail(err, code, "%s", title), NULL;
    code = cl.BuildProgram(program, 1, &c->device, options, NULL, NULL);
    if (code) {
      explain(c, program, title, source, options, code, err);
      cl.ReleaseProgram(program);
      return NULL;
    }
    cache->counts.built++;
    save(c, key, program);
  }
  cache->counts.seconds += cal_clock() - start;
  cal_debug(3, "%s %s: %.0f ms", title, options, (cal_clock() - start) * 1e3);
  if (remember(cache, key, program, err)) {
    cl.ReleaseProgram(program);
    return NULL;
  }
  return program;
}

cl_program cal_program_file(cal_context *c, const char *name, const char *options, cal_error *err) {
  cal_buffer source = {0};
  const char *files[] = {"common", name};
  char path[128];
  for (int i = 0; i < 2; i++) {
    snprintf(path, sizeof path, "runtime/core/cl/kernels/%s.cl", files[i]);
    size_t size = 0;
    const void *bytes = c->find ? c->find(path, &size) : NULL;
    if (!bytes) {
      cal_buffer_free(&source);
      return cal_fail(err, CAL_E_NOTFOUND, "%s is not in this program", path), NULL;
    }
    cal_buffer_add(&source, bytes, size);
  }
  cl_program program = NULL;
  if (source.failed) cal_fail(err, CAL_E_MEMORY, "%s: no memory for its text", path);
  else program = cal_program_build(c, path + strlen("runtime/core/cl/"), source.data, options, err);
  cal_buffer_free(&source);
  return program;
}

cl_kernel cal_kernel_new(cal_context *c, cl_program program, const char *name, cal_error *err) {
  (void)c;
  cl_int code = CL_SUCCESS;
  cl_kernel kernel = cl.CreateKernel(program, name, &code);
  if (!kernel) cal_opencl_fail(err, code, "kernel %s", name);
  return kernel;
}
