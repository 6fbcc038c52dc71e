#include "core/codec/safetensors.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "core/base/random.h"
#include "test.h"

static cal_fs *fs;

/* A fresh path under the run's scratch folder, which `fs` may write. */
static const char *scratch(void) {
  static char path[512];
  static int serial;
  const char *top = getenv("CALOTYPE_TEST_TMP");
  if (!fs) {
    fs = cal_fs_new(NULL, 0, NULL);
    cal_fs_grant(fs, top ? top : "/tmp", CAL_FS_READ | CAL_FS_WRITE, NULL);
  }
  snprintf(path, sizeof path, "%s/st-%ld/%d.safetensors", top ? top : "/tmp", (long)getpid(), serial++);
  return path;
}

/* A file in memory: the header's length, the header, `data` zero bytes. Freed by the next call. */
static const char *file_of(const char *header, size_t data, size_t *size) {
  static char *bytes;
  size_t length = strlen(header);
  free(bytes);
  *size = 8 + length + data;
  bytes = calloc(1, *size);
  for (int i = 0; i < 8; i++) bytes[i] = (char)((uint64_t)length >> (8 * i));
  memcpy(bytes + 8, header, length);
  return bytes;
}

static cal_status refused_with(const char *header, size_t data, const char *part) {
  size_t size;
  const char *bytes = file_of(header, data, &size);
  cal_error err = {0};
  cal_st *st = cal_st_open_bytes(bytes, size, "x.safetensors", &err);
  if (st || !strstr(err.text, part) || !strstr(err.text, "x.safetensors")) printf("  %s: %s\n", header, st ? "was read" : err.text);
  CHECK(!st && strstr(err.text, part));
  cal_st_close(st);
  return err.code;
}

TEST(a_good_header_is_read_with_shapes_offsets_and_metadata) {
  size_t size;
  const char *bytes = file_of(
      "{\"b\":{\"dtype\":\"F16\",\"shape\":[2,3],\"data_offsets\":[4,16]},\"__metadata__\":{\"format\":\"pt\",\"a\":\"1\"},"
      "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
      "\"none\":{\"dtype\":\"I64\",\"shape\":[0,9007199254740992],\"data_offsets\":[4,4]}}  ",
      16, &size);
  cal_error err = {0};
  cal_st *st = cal_st_open_bytes(bytes, size, "x", &err);
  CHECK(st && cal_st_count(st) == 3);
  if (!st) return;
  const cal_st_tensor *a = cal_st_find(st, "a"), *b = cal_st_find(st, "b"), *none = cal_st_find(st, "none");
  CHECK(a && a->rank == 0 && a->size == 4 && a->dtype == CAL_ST_F32 && a->data == (const unsigned char *)bytes + size - 16);
  CHECK(b && b->rank == 2 && b->shape[0] == 2 && b->shape[1] == 3 && b->size == 12 && b->offset == size - 12);
  CHECK(none && none->size == 0 && none->rank == 2);
  CHECK(!cal_st_find(st, "c") && !cal_st_find(st, "__metadata__"));
  size_t notes;
  CHECK_TEXT(cal_st_notes(st, &notes)[0].key, "a");
  CHECK(notes == 2);
  CHECK_TEXT(cal_st_note_text(st, "format"), "pt");
  CHECK(!cal_st_note_text(st, "x"));
  cal_st_close(st);
}

TEST(every_lie_of_a_header_is_refused_with_the_tensor_and_the_numbers) {
#define T(name, dtype, shape, from, to) "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" from "," to "]}"
  refused_with("{" T("a", "F32", "[2]", "0", "8") "}", 4, "ends at byte 8 of the data; the file has 4");
  refused_with("{" T("a", "F32", "[2]", "0", "8") "}", 9, "the last 1 bytes belong to no tensor");
  refused_with("{" T("a", "F32", "[2]", "0", "12") "}", 12, "has 12 bytes; its shape and dtype need 8");
  refused_with("{" T("a", "F32", "[2]", "8", "0") "}", 8, "not two rising whole numbers");
  refused_with("{" T("a", "F32", "[2]", "-8", "0") "}", 8, "not two rising whole numbers");
  refused_with("{" T("a", "F32", "[2]", "0.5", "8.5") "}", 9, "not two rising whole numbers");
  refused_with("{" T("a", "F32", "[2]", "1e300", "1e301") "}", 9, "not two rising whole numbers");
  refused_with("{" T("a", "F32", "[2]", "0", "18446744073709551616") "}", 9, "not two rising whole numbers");
  refused_with("{" T("a", "F32", "[2]", "0", "9007199254740992") "}", 9, "ends at byte 9007199254740992");
  refused_with("{" T("a", "F32", "[2]", "0", "8") "," T("b", "F32", "[2]", "4", "12") "}", 12, "\"a\" and \"b\" overlap");
  refused_with("{" T("a", "F32", "[2]", "0", "8") "," T("b", "F32", "[2]", "0", "8") "}", 8, "overlap");
  refused_with("{" T("a", "F32", "[2]", "0", "8") "," T("b", "F32", "[2]", "12", "20") "}", 20, "4 bytes before tensor \"b\"");
  refused_with("{" T("a", "F32", "[2]", "0", "8") "," T("a", "F32", "[2]", "8", "16") "}", 16, "\"a\" stands twice");
  refused_with("{" T("a", "F31", "[2]", "0", "8") "}", 8, "dtype \"F31\"");
  refused_with("{" T("a", "F32", "[-2]", "0", "8") "}", 8, "no whole number");
  refused_with("{" T("a", "F32", "[\\\"2\\\"]", "0", "8") "}", 8, "json");
  refused_with("{" T("a", "F32", "[4294967296,4294967296,2]", "0", "8") "}", 8, "more numbers than any file");
  refused_with("{" T("a", "U8", "[9007199254740992,9007199254740992]", "0", "0") "}", 0, "more numbers than any file");
  refused_with("{" T("a", "U8", "[4294967296,4294967296]", "0", "0") "}", 0, "more numbers than any file");
  CHECK(refused_with("{" T("a", "U8", "[1,1,1,1,1,1,1,1,1]", "0", "1") "}", 1, "8 dimensions") == CAL_E_LIMIT);
  refused_with("{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "\"a\" has no dtype");
  refused_with("{\"a\":{\"dtype\":5,\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "\"a\" has no dtype");
  refused_with("{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", 8, "\"a\" has no shape");
  refused_with("{\"a\":{\"dtype\":\"F32\",\"shape\":{},\"data_offsets\":[0,8]}}", 8, "\"a\" has no shape");
  refused_with("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}", 8, "not two rising");
  refused_with("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,9]}}", 8, "not two rising");
  refused_with("{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "not two rising");
  refused_with("{\"a\":[]}", 0, "\"a\" is not an object");
  refused_with("{\"a\\u001b[2J\":[]}", 0, "\"a\\x1b[2J\"");
  refused_with("{\"__metadata__\":[]}", 0, "__metadata__ is not an object");
  refused_with("{\"__metadata__\":{\"a\":1}}", 0, "\"a\" is not a text");
  refused_with("[]", 0, "not an object");
  refused_with("", 0, "header: json");
  refused_with("{", 0, "header: json");
  char *deep = calloc(1, 300001);
  memset(deep, '[', 300000);
  CHECK(refused_with(deep, 0, "levels") == CAL_E_LIMIT);
  free(deep);
}

TEST(a_header_length_beyond_the_file_or_the_limit_is_refused) {
  size_t size;
  char *bytes = (char *)(uintptr_t)file_of("{}", 0, &size);
  cal_error err = {0};
  CHECK(!cal_st_open_bytes(bytes, 7, "x", &err) && strstr(err.text, "too few"));
  CHECK(!cal_st_open_bytes(NULL, 0, "x", &err) && strstr(err.text, "too few"));
  bytes[0] = 3;
  CHECK(!cal_st_open_bytes(bytes, size, "x", &err) && strstr(err.text, "claims 3 bytes"));
  memset(bytes, 0xff, 8);
  CHECK(!cal_st_open_bytes(bytes, size, "x", &err) && strstr(err.text, "claims 18446744073709551615 bytes"));
  size_t large = (size_t)CAL_ST_HEADER_MOST + 9;
  char *huge = calloc(1, large);
  for (int i = 0; i < 8; i++) huge[i] = (char)((uint64_t)(large - 8) >> (8 * i));
  CHECK(!cal_st_open_bytes(huge, large, "x", &err) && err.code == CAL_E_LIMIT);
  free(huge);
}

static cal_status write_three(const char *path, bool backwards, cal_error *err) {
  static const float weights[6] = {1, 2, 3, 4, 5, 6};
  static const unsigned char mask[3] = {7, 8, 9};
  static const uint16_t half = 0x3c00;
  const cal_st_tensor tensors[] = {{.name = "z.mask", .dtype = CAL_ST_U8, .rank = 1, .shape = {3}},
                                   {.name = "a.alpha", .dtype = CAL_ST_BF16, .rank = 0},
                                   {.name = "m.w \"q\"", .dtype = CAL_ST_F32, .rank = 2, .shape = {2, 3}},
                                   {.name = "empty", .dtype = CAL_ST_F64, .rank = 1, .shape = {0}}};
  const cal_st_tensor reversed[] = {tensors[3], tensors[2], tensors[1], tensors[0]};
  const cal_st_note notes[] = {{"ss_b", "caf\xc3\xa9\n"}, {"ss_a", "{\"x\":1}"}};
  const cal_st_note turned[] = {notes[1], notes[0]};
  cal_st_writer *w = cal_st_create(fs, path, backwards ? reversed : tensors, 4, backwards ? turned : notes, 2, err);
  if (!w) return err->code;
  cal_status status = CAL_OK;
  if (backwards) status = cal_st_write(w, "m.w \"q\"", 0, weights, sizeof weights, err);
  if (!status) status = cal_st_write(w, "z.mask", 0, mask, 1, err);
  if (!status) status = cal_st_write(w, "a.alpha", 0, &half, 2, err);
  if (!status) status = cal_st_write(w, "z.mask", 1, mask + 1, 2, err);
  if (!status && !backwards) status = cal_st_write(w, "m.w \"q\"", 0, weights, sizeof weights, err);
  if (!status) return cal_st_commit(w, err);
  cal_st_discard(w);
  return status;
}

TEST(what_is_written_is_read_and_is_the_same_in_any_order) {
  char first[512], second[512];
  strcpy(first, scratch());
  strcpy(second, scratch());
  cal_error err = {0};
  CHECK(write_three(first, false, &err) == CAL_OK);
  CHECK(write_three(second, true, &err) == CAL_OK);
  cal_buffer a = {0}, b = {0};
  CHECK(cal_fs_read(fs, first, 0, &a, &err) == CAL_OK && cal_fs_read(fs, second, 0, &b, &err) == CAL_OK);
  CHECK(a.size == b.size && !memcmp(a.data, b.data, a.size));
  cal_st *st = cal_st_open(fs, first, &err);
  CHECK(st && cal_st_count(st) == 4);
  if (st) {
    const cal_st_tensor *w = cal_st_find(st, "m.w \"q\""), *mask = cal_st_find(st, "z.mask");
    float third;
    memcpy(&third, w->data + 8, 4);
    CHECK(third == 3 && w->offset % 8 == 0 && mask->data[2] == 9);
    CHECK_TEXT(cal_st_note_text(st, "ss_b"), "caf\xc3\xa9\n");
    CHECK_TEXT(cal_st_note_text(st, "ss_a"), "{\"x\":1}");
  }
  cal_st_close(st);
  cal_buffer_free(&a);
  cal_buffer_free(&b);
}

TEST(a_file_cut_at_any_byte_is_refused) {
  char path[512];
  strcpy(path, scratch());
  cal_error err = {0};
  write_three(path, false, &err);
  cal_buffer whole = {0};
  CHECK(cal_fs_read(fs, path, 0, &whole, &err) == CAL_OK);
  for (size_t size = 0; size < whole.size; size++) {
    char *cut = malloc(size + 1); /* so that the checker sees any byte read behind the end */
    memcpy(cut, whole.data, size);
    char *exact = realloc(cut, size ? size : 1);
    cal_st *st = cal_st_open_bytes(exact, size, "cut", &err);
    CHECK(!st);
    cal_st_close(st);
    free(exact);
  }
  cal_random r = cal_random_seed(3, 0);
  for (int round = 0; round < 20000; round++) {
    cal_buffer copy = {0};
    cal_buffer_add(&copy, whole.data, whole.size);
    for (uint64_t n = 1 + cal_random_below(&r, 3); n; n--)
      copy.data[cal_random_below(&r, copy.size)] ^= (char)(1u << cal_random_below(&r, 8));
    cal_st *st = cal_st_open_bytes(copy.data, copy.size, "flipped", &err);
    for (size_t i = 0; st && i < cal_st_count(st); i++) {
      const cal_st_tensor *t = &cal_st_tensors(st)[i];
      CHECK(t->offset <= copy.size && t->size <= copy.size - t->offset);
    }
    cal_st_close(st);
    cal_buffer_free(&copy);
  }
  cal_buffer_free(&whole);
}

TEST(a_writer_refuses_what_was_not_declared_and_what_is_not_whole) {
  char path[512];
  strcpy(path, scratch());
  cal_error err = {0};
  cal_st_tensor t = {.name = "a", .dtype = CAL_ST_F32, .rank = 1, .shape = {2}}, twice[2] = {t, t};
  cal_st_note notes[] = {{"k", "1"}, {"k", "2"}}, bad = {"k", "\xff"};
  CHECK(!cal_st_create(fs, path, twice, 2, NULL, 0, &err) && strstr(err.text, "stands twice"));
  CHECK(!cal_st_create(fs, path, &t, 1, notes, 2, &err) && strstr(err.text, "stands twice"));
  CHECK(!cal_st_create(fs, path, &t, 1, &bad, 1, &err) && strstr(err.text, "not UTF-8"));
  t.name = "__metadata__";
  CHECK(!cal_st_create(fs, path, &t, 1, NULL, 0, &err) && err.code == CAL_E_ARG);
  t.name = "\xff";
  CHECK(!cal_st_create(fs, path, &t, 1, NULL, 0, &err) && strstr(err.text, "not UTF-8"));
  t = (cal_st_tensor){.name = "a", .dtype = CAL_ST_F32, .rank = 2, .shape = {(uint64_t)1 << 40, (uint64_t)1 << 40}};
  CHECK(!cal_st_create(fs, path, &t, 1, NULL, 0, &err) && err.code == CAL_E_ARG);
  t = (cal_st_tensor){.name = "a", .dtype = CAL_ST_F32, .rank = 9};
  CHECK(!cal_st_create(fs, path, &t, 1, NULL, 0, &err) && err.code == CAL_E_ARG);
  t = (cal_st_tensor){.name = "a", .dtype = CAL_ST_F32, .rank = 1, .shape = {2}};
  cal_st_writer *w = cal_st_create(fs, path, &t, 1, NULL, 0, &err);
  CHECK(w != NULL);
  CHECK(cal_st_write(w, "b", 0, "1234", 4, &err) == CAL_E_ARG);
  CHECK(cal_st_write(w, "a", 0, "123456789", 9, &err) == CAL_E_ARG);
  CHECK(cal_st_write(w, "a", 4, "1234", 4, &err) == CAL_E_ARG);
  CHECK(cal_st_write(w, "a", 0, "1234", 4, &err) == CAL_OK);
  CHECK(cal_st_commit(w, &err) == CAL_E_ARG && strstr(err.text, "only 4 of 8 bytes"));
  cal_fs_info info;
  CHECK(cal_fs_stat(fs, path, &info, &err) == CAL_E_NOTFOUND);
}

TEST(a_killed_writer_leaves_the_old_file_or_the_new_one) {
  char path[512];
  strcpy(path, scratch());
  cal_error err = {0};
  cal_random r = cal_random_seed(9, 0);
  for (int round = 0; round < 12; round++) {
    int ends[2];
    CHECK(pipe(ends) == 0);
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
      static float data[20000];
      cal_st_tensor t = {.name = "w", .dtype = CAL_ST_F32, .rank = 1, .shape = {20000}};
      for (int i = 0;; i++) {
        for (int k = 0; k < 20000; k++) data[k] = (float)i;
        cal_st_writer *w = cal_st_create(fs, path, &t, 1, NULL, 0, &err);
        if (!w || cal_st_write(w, "w", 0, data, sizeof data, &err) || cal_st_commit(w, &err) || (i == 0 && write(ends[1], "x", 1) != 1))
          _exit(1);
      }
    }
    char byte;
    CHECK(read(ends[0], &byte, 1) == 1);
    usleep((useconds_t)cal_random_below(&r, 8000));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(ends[0]);
    close(ends[1]);
    cal_st *st = cal_st_open(fs, path, &err);
    CHECK(st != NULL);
    if (!st) continue;
    const cal_st_tensor *t = cal_st_find(st, "w");
    CHECK(t && t->size == 80000 && !memcmp(t->data, t->data + 4, 80000 - 4));
    cal_st_close(st);
  }
}

TEST(no_allocation_that_fails_crashes_or_leaks) {
  char path[512];
  strcpy(path, scratch());
  cal_error err = {0};
  size_t before = cal_memory_in_use();
  cal_status status = CAL_E_MEMORY;
  int sweep = 0;
  for (; status && sweep < 1000; sweep++) {
    cal_memory_fail_after(sweep);
    err = (cal_error){0};
    status = write_three(path, false, &err);
    cal_st *st = status ? NULL : cal_st_open(fs, path, &err);
    if (!status && !st) status = err.code;
    cal_st_close(st);
    cal_memory_fail_after(-1);
    if (status) CHECK(status == CAL_E_MEMORY);
    CHECK(cal_memory_in_use() == before);
  }
  CHECK(status == CAL_OK && sweep > 40);
}

TEST_MAIN()
