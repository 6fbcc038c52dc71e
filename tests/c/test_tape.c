/* Exchanges that are recorded and played back. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "core/net/tape.h"
#include "test.h"

static char folder[512], path[600];

static cal_fs *open_folder(const char *content) {
  const char *tmp = getenv("CALOTYPE_TEST_TMP");
  snprintf(folder, sizeof folder, "%s/tape", tmp ? tmp : "/tmp");
  snprintf(path, sizeof path, "%s/a.rec", folder);
  cal_error err = {0};
  cal_fs *fs = cal_fs_new(NULL, 0, &err);
  CHECK(fs && !cal_fs_grant(fs, folder, CAL_FS_READ | CAL_FS_WRITE, &err));
  CHECK(!cal_fs_write(fs, path, "", 0, &err) && !cal_fs_remove(fs, path, &err));
  if (content) CHECK(!cal_fs_write(fs, path, content, strlen(content), &err));
  return fs;
}

static const char *content(const cal_fs *fs) {
  static char kept[4096];
  cal_buffer b = {0};
  cal_error err = {0};
  snprintf(kept, sizeof kept, "%s", cal_fs_read(fs, path, 0, &b, &err) ? err.text : b.data ? b.data : "");
  cal_buffer_free(&b);
  return kept;
}

static void record(const cal_fs *fs, const char *body, int status, const char *reply) {
  cal_error err = {0};
  cal_tape *tape = cal_tape_record(fs, path, &err);
  CHECK(tape != NULL);
  if (tape)
    CHECK(!cal_tape_add(tape, "POST", "/v1/ask", body, strlen(body),
                        &(cal_tape_reply){.status = status, .content_type = "text/plain", .body = reply, .size = strlen(reply)}, &err));
  cal_tape_close(tape);
}

static const char *next(cal_tape *tape, const char *body) {
  static char kept[CAL_ERROR_TEXT];
  cal_tape_reply reply;
  cal_error err = {0};
  if (cal_tape_next(tape, "POST", "/v1/ask", body, strlen(body), &reply, &err)) snprintf(kept, sizeof kept, "%s", err.text);
  else snprintf(kept, sizeof kept, "%d %s %.*s", reply.status, reply.content_type, (int)reply.size, (const char *)reply.body);
  return kept;
}

TEST(what_was_recorded_is_played_in_its_order_and_the_last_again) {
  cal_fs *fs = open_folder(NULL);
  cal_error err = {0};
  record(fs, "one", 503, "wait");
  record(fs, "two", 200, "zwei");
  record(fs, "one", 200, "eins");
  cal_tape *tape = cal_tape_replay(fs, path, &err);
  CHECK(tape != NULL);
  CHECK_TEXT(next(tape, "one"), "503 text/plain wait");
  CHECK_TEXT(next(tape, "one"), "200 text/plain eins");
  CHECK_TEXT(next(tape, "two"), "200 text/plain zwei");
  CHECK_TEXT(next(tape, "one"), "200 text/plain eins");
  CHECK(strstr(next(tape, "three"), "has no reply to this POST /v1/ask among its 3: a picture, the prompt") != NULL);
  cal_tape_reply reply;
  CHECK(cal_tape_next(tape, "GET", "/v1/ask", "one", 3, &reply, &err) == CAL_E_NOTFOUND && !reply.body);
  CHECK(cal_tape_next(tape, "POST", "/v1/asko", "ne", 2, &reply, &err) == CAL_E_NOTFOUND);
  CHECK(cal_tape_add(tape, "POST", "/", "", 0, &reply, &err) == CAL_E_ARG);
  cal_tape_close(tape);
  cal_fs_free(fs);
}

TEST(bytes_headers_and_empty_replies_come_back_as_they_were) {
  cal_fs *fs = open_folder(NULL);
  cal_error err = {0};
  cal_tape *tape = cal_tape_record(fs, path, &err);
  CHECK(!cal_tape_add(tape, "GET", "/bytes", NULL, 0,
                      &(cal_tape_reply){.status = 429, .retry_after = "3", .rate_limit = "\"api\";r=0;t=5", .body = "\0\xff\n", .size = 3},
                      &err));
  CHECK(!cal_tape_add(tape, "GET", "/empty", NULL, 0, &(cal_tape_reply){.status = 204}, &err));
  CHECK(!cal_tape_add(tape, "GET", "/?key=abcdef", NULL, 0, &(cal_tape_reply){.status = 200, .body = "a\n\"b\"", .size = 5}, &err));
  cal_tape_reply reply;
  CHECK(cal_tape_next(tape, "GET", "/empty", NULL, 0, &reply, &err) == CAL_E_ARG);
  CHECK(cal_tape_add(tape, "GET", "/", NULL, 0, &(cal_tape_reply){.status = 200, .content_type = "\xff"}, &err) == CAL_E_ARG);
  cal_tape_close(tape);
  CHECK(strstr(content(fs), "/?key=<hidden>") && !strstr(content(fs), "abcdef"));
  tape = cal_tape_replay(fs, path, &err);
  CHECK(!cal_tape_next(tape, "GET", "/bytes", NULL, 0, &reply, &err) && reply.status == 429 && reply.size == 3 &&
        !memcmp(reply.body, "\0\xff\n", 3));
  CHECK(!reply.content_type);
  CHECK_TEXT(reply.retry_after, "3");
  CHECK_TEXT(reply.rate_limit, "\"api\";r=0;t=5");
  CHECK(!cal_tape_next(tape, "GET", "/empty", NULL, 0, &reply, &err) && reply.status == 204 && reply.size == 0);
  CHECK(!cal_tape_next(tape, "GET", "/?key=abcdef", NULL, 0, &reply, &err) && reply.size == 5);
  cal_tape_close(tape);
  cal_fs_free(fs);
}

TEST(a_line_without_its_end_is_skipped_and_cut_off_when_recording_goes_on) {
  cal_fs *fs = open_folder(NULL);
  cal_error err = {0};
  record(fs, "one", 200, "eins");
  size_t whole = strlen(content(fs));
  for (size_t cut = 1; cut < 60; cut++) {
    CHECK(truncate(path, (off_t)whole) == 0);
    FILE *f = fopen(path, "ab");
    fprintf(f, "%.*s", (int)cut, "{\"body\":\"half a line that a kill has left behind, longer than this");
    fclose(f);
    cal_tape *tape = cal_tape_replay(fs, path, &err);
    CHECK_TEXT(next(tape, "one"), "200 text/plain eins");
    cal_tape_close(tape);
    cal_tape_close(cal_tape_record(fs, path, &err));
    CHECK(strlen(content(fs)) == whole);
  }
  record(fs, "two", 200, "zwei");
  cal_tape *tape = cal_tape_replay(fs, path, &err);
  CHECK_TEXT(next(tape, "two"), "200 text/plain zwei");
  cal_tape_close(tape);
  cal_fs_free(fs);
  fs = open_folder("{\"ta"); /* killed in its first line */
  record(fs, "one", 200, "eins");
  CHECK(strncmp(content(fs), "{\"tape\":1}\n{", 12) == 0);
  cal_fs_free(fs);
}

TEST(what_is_no_tape_is_neither_played_nor_written_to) {
  static const char *const bad[] = {"local x = 1\n", "{\"tape\":2}\n", "{\"tape\":1} \n"};
  cal_error err = {0};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    cal_fs *fs = open_folder(bad[i]);
    CHECK(!cal_tape_replay(fs, path, &err) && err.code == CAL_E_FORMAT && strstr(err.text, "is no recording"));
    CHECK(!cal_tape_record(fs, path, &err) && err.code == CAL_E_FORMAT);
    CHECK_TEXT(content(fs), bad[i]);
    cal_fs_free(fs);
  }
  static const char *const lines[] = {"\n", "{}\n", "[1]\n", "{\"key\":\"ab\",\"status\":200,\"body\":\"\"}\n", "{\"body\":1}\n"};
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
    char text[200];
    snprintf(text, sizeof text, "{\"tape\":1}\n%s", lines[i]);
    cal_fs *fs = open_folder(text);
    CHECK(!cal_tape_replay(fs, path, &err) && strstr(err.text, "a.rec: line 2: "));
    cal_fs_free(fs);
  }
  char text[200]; /* a status that is none, and bytes that are none */
  const char *rest[] = {"\"status\":99,\"body\":\"\"", "\"status\":200,\"hex\":\"abc\"", "\"status\":200,\"hex\":\"0G\""};
  for (int i = 0; i < 3; i++) {
    snprintf(text, sizeof text, "{\"tape\":1}\n{\"key\":\"%064d\",%s}\n", 7, rest[i]);
    cal_fs *fs = open_folder(text);
    CHECK(!cal_tape_replay(fs, path, &err) && strstr(err.text, "line 2: "));
    cal_fs_free(fs);
  }
  cal_fs *fs = open_folder(NULL);
  CHECK(!cal_tape_replay(fs, path, &err) && err.code == CAL_E_NOTFOUND);
  CHECK(!cal_tape_record(fs, "/nowhere/a.rec", &err) && err.code == CAL_E_DENIED);
  cal_fs_free(fs);
}

TEST(one_process_records_at_a_time) {
  cal_fs *fs = open_folder(NULL);
  cal_error err = {0};
  cal_tape *tape = cal_tape_record(fs, path, &err);
  CHECK(!cal_tape_record(fs, path, &err) && err.code == CAL_E_BUSY);
  cal_tape_close(tape);
  cal_tape *after = cal_tape_record(fs, path, &err);
  CHECK(after != NULL);
  cal_tape_close(after);
  cal_fs_free(fs);
}

/* A limit on the size of files stands for a disk without room. */
TEST(a_full_disk_leaves_a_tape_that_can_be_played) {
  cal_fs *fs = open_folder(NULL);
  static char big[20000];
  memset(big, 'a', sizeof big);
  cal_error err = {0};
  record(fs, "one", 200, "eins");
  struct rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, SIG_IGN);
  cal_tape *tape = cal_tape_record(fs, path, &err);
  setrlimit(RLIMIT_FSIZE, &(struct rlimit){8192, before.rlim_max});
  CHECK(cal_tape_add(tape, "POST", "/v1/ask", "two", 3, &(cal_tape_reply){.status = 200, .body = big, .size = sizeof big}, &err) ==
        CAL_E_IO);
  setrlimit(RLIMIT_FSIZE, &before);
  cal_tape_close(tape);
  tape = cal_tape_replay(fs, path, &err);
  CHECK_TEXT(next(tape, "one"), "200 text/plain eins");
  CHECK(strlen(content(fs)) < 1000);
  cal_tape_close(tape);
  cal_fs_free(fs);
}

TEST(no_memory_at_any_point_is_told_and_leaks_nothing) {
  cal_fs *fs = open_folder(NULL);
  record(fs, "one", 200, "eins");
  for (long i = 0, done = 0; !done && i < 200; i++) {
    cal_error err = {0};
    cal_tape_reply reply = {0};
    size_t held = cal_memory_in_use();
    cal_memory_fail_after(i);
    cal_tape *tape = cal_tape_replay(fs, path, &err);
    cal_status status = tape ? cal_tape_next(tape, "POST", "/v1/ask", "one", 3, &reply, &err) : err.code;
    cal_memory_fail_after(-1);
    CHECK(status == CAL_OK || status == CAL_E_MEMORY);
    done = status == CAL_OK;
    cal_tape_close(tape);
    CHECK(cal_memory_in_use() == held);
  }
  cal_fs_free(fs);
}

TEST_MAIN()
