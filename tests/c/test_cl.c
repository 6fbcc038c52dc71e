/* test_cl.c - the device: opening it, its memory, its compiler, and what is said when one of them refuses. */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bind/embedded.h"
#include "core/base/memory.h"
#include "core/cl/context.h"
#include "core/cl/device.h"
#include "core/cl/program.h"
#include "test.h"

/* Runs `work` in a process of its own (the driver is not open there yet) and returns what it wrote. */
static void in_child(void (*work)(FILE *out), char *text, size_t room) {
  int ends[2];
  text[0] = '\0';
  fflush(stdout);
  if (pipe(ends)) return;
  pid_t child = fork();
  if (child == 0) {
    FILE *out = fdopen(ends[1], "w");
    if (out) work(out), fflush(out);
    _exit(0);
  }
  close(ends[1]);
  size_t size = 0;
  ssize_t got;
  while (size + 1 < room && (got = read(ends[0], text + size, room - 1 - size)) > 0) size += (size_t)got;
  text[size] = '\0';
  close(ends[0]);
  waitpid(child, NULL, 0);
}

static void open_without_driver(FILE *out) {
  setenv("OCL_ICD_VENDORS", "/nonexistent", 1);
  cal_error err = {0};
  cal_context *c = cal_context_open(&(cal_context_options){0}, &err);
  fprintf(out, "%s|%s", c ? "opened" : cal_status_name(err.code), err.text);
  cal_context_close(c);
}

static bool starts(const char *text, const char *with) { return !strncmp(text, with, strlen(with)); }

/* First, while this process has not opened OpenCL. */
TEST(without_a_driver_one_sentence_says_what_to_install) {
  char text[2048];
  in_child(open_without_driver, text, sizeof text);
  CHECK(starts(text, "MISSING|looking for OpenCL drivers: CL_PLATFORM_NOT_FOUND_KHR (-1001): "));
  CHECK(strstr(text, "apt-get install pocl-opencl-icd") != NULL);
}

static cal_context *device(void) {
  static cal_context *c;
  static bool tried;
  if (!tried) {
    tried = true;
    cal_error err = {0};
    c = cal_context_open(&(cal_context_options){.find = cal_embedded_find, .cache = ""}, &err);
    if (!c) printf("  %s\n", err.text);
  }
  return c;
}

static void close_device(void) __attribute__((destructor));
static void close_device(void) { cal_context_close(device()); }

#define DEVICE(c)            \
  cal_context *c = device(); \
  if (!c) SKIP("needs an OpenCL device")

TEST(a_wish_chooses_by_kind_then_by_a_part_of_a_name) {
  const cal_device list[] = {{.kind = CAL_DEVICE_GPU, .name = "Radeon RX"}, {.kind = CAL_DEVICE_CPU, .name = "cpu-haswell GPUless"}};
  cal_error err = {0};
  CHECK(cal_device_choose(list, 2, NULL, &err) == &list[0]);
  CHECK(cal_device_choose(list, 2, "", &err) == &list[0]);
  CHECK(cal_device_choose(list, 2, "CPU", &err) == &list[1]);
  CHECK(cal_device_choose(list, 2, "gpu", &err) == &list[0]);     /* by its kind, although the other has it in its name */
  CHECK(cal_device_choose(list + 1, 1, "gpu", &err) == &list[1]); /* no kind, but a part of its name */
  CHECK(cal_device_choose(list, 2, "radeon", &err) == &list[0]);
  CHECK(cal_device_choose(list, 2, "HASWELL", &err) == &list[1]);
  CHECK(!cal_device_choose(list, 2, "RTX", &err));
  CHECK(err.code == CAL_E_NOTFOUND);
  CHECK(strstr(err.text, "no OpenCL device fits \"RTX\"; there are: Radeon RX (GPU); cpu-haswell GPUless (CPU)") != NULL);
}

TEST(error_numbers_have_names_and_meanings) {
  CHECK_TEXT(cal_opencl_error_name(-5), "CL_OUT_OF_RESOURCES");
  CHECK_TEXT(cal_opencl_error_name(0), "CL_SUCCESS");
  CHECK_TEXT(cal_opencl_error_name(-123456), "CL error -123456");
  cal_error err = {0};
  CHECK(cal_opencl_fail(&err, -4, "unet.%s", "mid") == CAL_E_MEMORY);
  CHECK_TEXT(err.text,
             "unet.mid: CL_MEM_OBJECT_ALLOCATION_FAILURE (-4): the device has no memory left; a smaller batch or resolution needs less");
  CHECK(cal_opencl_fail(&err, -30, "x") == CAL_E_DEVICE);
  CHECK_TEXT(err.text, "x: CL_INVALID_VALUE (-30)");
}

TEST(a_wish_that_no_device_fits_lists_the_devices) {
  DEVICE(c);
  cal_error err = {0};
  CHECK(cal_context_open(&(cal_context_options){.wish = "no such device", .cache = ""}, &err) == NULL);
  CHECK(err.code == CAL_E_NOTFOUND);
  CHECK(strstr(err.text, "\"no such device\"") && strstr(err.text, c->name));
}

TEST(limits_and_abilities_of_the_device_are_known) {
  DEVICE(c);
  CHECK(c->name[0] && c->units > 0 && c->largest_group > 0 && c->largest_buffer > 1 << 20 && c->memory > 1 << 20);
  if (c->pocl) CHECK(c->cpu && c->native);
}

TEST(memory_starts_as_zeros_and_keeps_what_is_written) {
  DEVICE(c);
  cal_error err = {0};
  cal_chunk *x = cal_chunk_new(c, 100001, "x", &err);
  CHECK(x != NULL);
  unsigned char bytes[4] = {9, 9, 9, 9};
  CHECK(!cal_chunk_read(x, 99997, bytes, 4, &err) && bytes[0] == 0 && bytes[3] == 0);
  CHECK(!cal_chunk_write(x, 99997, "abcd", 4, &err));
  CHECK(!cal_chunk_read(x, 99997, bytes, 4, &err) && !memcmp(bytes, "abcd", 4));
  if (x->host) CHECK(!memcmp((char *)x->host + 99997, "abcd", 4));
  CHECK(cal_chunk_read(x, 99998, bytes, 4, &err) == CAL_E_ARG);
  CHECK(cal_chunk_write(x, (size_t)-2, bytes, 4, &err) == CAL_E_ARG);
  CHECK(strstr(err.text, "of 100001") != NULL);
  cal_chunk_free(x);
}

TEST(more_memory_than_the_device_gives_in_one_piece_is_refused_with_both_numbers) {
  DEVICE(c);
  cal_error err = {0};
  CHECK(cal_chunk_new(c, (size_t)c->largest_buffer + 1, "weights", &err) == NULL);
  CHECK(err.code == CAL_E_LIMIT);
  CHECK(starts(err.text, "weights: ") && strstr(err.text, "GiB") && strstr(err.text, c->name));
}

TEST(no_memory_at_any_point_of_opening_leaves_nothing_behind) {
  DEVICE(c);
  size_t before = cal_memory_in_use();
  for (long count = 0; count < 12; count++) {
    cal_error err = {0};
    cal_memory_fail_after(count);
    cal_context *other = cal_context_open(&(cal_context_options){.wish = c->name, .cache = ""}, &err);
    cal_memory_fail_after(-1);
    if (!other) CHECK(err.code != CAL_OK && err.text[0]);
    cal_context_close(other);
    CHECK(cal_memory_in_use() == before);
  }
}

TEST(a_kernel_the_compiler_refuses_is_shown_with_its_line) {
  DEVICE(c);
  cal_error err = {0};
  const char *source =
      "kernel void ok(global float *x) { x[0] = 1; }\n"
      "\n"
      "kernel void broken(global float *x) {\n"
      "  x[0] = undeclared_name;\n"
      "}\n";
  CHECK(cal_program_build(c, "kernels/broken.cl", source, "-DT=float", &err) == NULL);
  CHECK(err.code == CAL_E_DEVICE);
  CHECK(starts(err.text, "kernels/broken.cl: CL_BUILD_PROGRAM_FAILURE (-11): "));
  CHECK(strstr(err.text, "undeclared_name") != NULL);
  CHECK(strstr(err.text, "    4    x[0] = undeclared_name;") != NULL);
  CHECK(strstr(err.text, "-DT=float") != NULL);
}

TEST(a_program_is_compiled_once_and_a_wrong_kernel_name_is_named) {
  DEVICE(c);
  cal_error err = {0};
  cal_program_counts before = cal_program_count(c);
  const char *source = "kernel void three(global float *x) { x[get_global_id(0)] = 3; }";
  cl_program a = cal_program_build(c, "three", source, "", &err), b = cal_program_build(c, "three", source, "", &err);
  CHECK(a && a == b);
  CHECK(cal_program_count(c).built == before.built + 1 && cal_program_count(c).reused == before.reused + 1);
  CHECK(cal_kernel_new(c, a, "four", &err) == NULL);
  CHECK_TEXT(err.text, "kernel four: CL_INVALID_KERNEL_NAME (-46): the program has no kernel of this name");
  CHECK(cal_program_file(c, "no_such_kernel", "", &err) == NULL);
  CHECK(err.code == CAL_E_NOTFOUND);
}

static int run_three(cal_context *c, cl_program program) {
  cal_error err = {0};
  cl_kernel k = cal_kernel_new(c, program, "three", &err);
  cal_chunk *x = cal_chunk_new(c, 64, "x", &err);
  float seen = 0;
  size_t one = 1;
  if (k && x && !cl.SetKernelArg(k, 0, sizeof(cl_mem), &x->memory) &&
      !cl.EnqueueNDRangeKernel(c->queue, k, 1, NULL, &one, &one, 0, NULL, NULL))
    cal_chunk_read(x, 0, &seen, sizeof seen, &err);
  if (k) cl.ReleaseKernel(k);
  cal_chunk_free(x);
  return (int)seen;
}

TEST(compiled_programs_come_back_from_disk_and_a_damaged_one_is_compiled_again) {
  DEVICE(c);
  const char *scratch = getenv("CALOTYPE_TEST_TMP");
  char folder[256], command[600];
  snprintf(folder, sizeof folder, "%s/calotype-programs-%d", scratch ? scratch : "/tmp", (int)getpid());
  const char *source = "kernel void three(global float *x) { x[get_global_id(0)] = 3; }";
  for (int round = 0; round < 3; round++) {
    cal_error err = {0};
    cal_context *other = cal_context_open(&(cal_context_options){.wish = c->name, .cache = folder}, &err);
    CHECK(other && other->cache);
    if (!other) return;
    cal_program_cache_always(other);
    cal_program_counts before = cal_program_count(other);
    cl_program p = cal_program_build(other, "three", source, "", &err);
    CHECK(p && run_three(other, p) == 3);
    CHECK(cal_program_count(other).loaded - before.loaded == (round == 1));
    CHECK(cal_program_count(other).built - before.built == (round != 1));
    cal_context_close(other);
    if (round == 1) { /* flip the last byte of every file: the sum at the end no longer fits */
      snprintf(command, sizeof command,
               "for f in %s/*.clbin; do printf x | dd of=$f bs=1 seek=$(($(wc -c <$f) - 1)) conv=notrunc 2>/dev/null; done", folder);
      CHECK(system(command) == 0);
    }
  }
}

TEST_MAIN()
