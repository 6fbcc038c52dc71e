#include "core/base/process.h"

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/memory.h"
#include "test.h"

static cal_process *shell(const char *script) {
  const char *const words[] = {"sh", "-c", script, NULL};
  cal_error err = {0};
  cal_process *p = cal_process_start(&(cal_process_options){.words = words}, &err);
  if (!p) printf("  %s\n", err.text);
  return p;
}

/* Its lines, each with a "|" behind it, and its exit code; -1: it goes on and on. */
static int finish(cal_process *p, char *lines, size_t room) {
  const double until = cal_clock() + 60;
  cal_process_line line;
  size_t size = 0;
  bool ended = false;
  int code = -1;
  for (lines[0] = 0; !ended && cal_clock() < until; usleep(1000)) {
    ended = cal_process_ended(p, &code);
    while (cal_process_read(p, &line) && size + line.size + 2 < room) {
      memcpy(lines + size, line.text, line.size);
      size += line.size;
      lines[size++] = '|';
      lines[size] = 0;
    }
  }
  return ended ? code : -1;
}

static int open_files(void) {
  DIR *d = opendir("/proc/self/fd");
  int count = 0;
  while (d && readdir(d)) count++;
  if (d) closedir(d);
  return count;
}

TEST(any_bytes_come_as_they_are) {
  char lines[100];
  cal_process *p = shell("printf 'a\\0b\\n\\377\\n\\n'");
  CHECK(p && finish(p, lines, sizeof lines) == 0);
  CHECK(memcmp(lines, "a\0b|\377||", 8) == 0);
  cal_process_close(p);
}

TEST(no_descriptor_and_no_zombie_stays_of_many_and_of_those_that_cannot_start) {
  const int before = open_files();
  for (int i = 0; i < 60; i++) {
    cal_process *p = shell(i % 2 ? "echo x" : "exec sleep 30");
    char lines[100];
    if (i % 4 == 1) CHECK(finish(p, lines, sizeof lines) == 0);
    cal_process_close(p);
    const char *const words[] = {"/no/such/program", NULL};
    CHECK(!cal_process_start(&(cal_process_options){.words = words}, NULL));
  }
  CHECK(open_files() == before);
  CHECK(waitpid(-1, NULL, WNOHANG) < 0); /* no child at all */
  cal_process_close(NULL);
}

/* As after `calotype <&- >&- 2>&-`: the ends of the pipes get the numbers of the standard streams. */
TEST(a_program_starts_also_from_one_without_standard_streams) {
  for (int ignored = 0; ignored < 2; ignored++) {
    fflush(stdout);
    const pid_t child = fork();
    if (!child) {
      char lines[100];
      if (ignored) signal(SIGCHLD, SIG_IGN); /* and whoever started us did not want to hear of children */
      for (int fd = 0; fd < 3; fd++) close(fd);
      cal_process *p = shell("echo out; echo err >&2; cat; exit 5");
      const int code = p ? finish(p, lines, sizeof lines) : -1;
      _exit(code == 5 && (!strcmp(lines, "out|err|") || !strcmp(lines, "err|out|")) ? 0 : 1);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
  }
}

TEST(what_nobody_reads_waits_in_the_program_and_not_here) {
  cal_process *p = shell("head -c 10000000 /dev/zero | tr '\\0' x; echo; echo end");
  const size_t before = cal_memory_in_use();
  cal_process_line line = {0};
  int code;
  const double until = cal_clock() + 60;
  while (!cal_process_read(p, &line) && cal_clock() < until) usleep(500);
  CHECK(line.size > 0);
  size_t total = line.size;
  usleep(200000);
  CHECK(!cal_process_ended(p, &code));
  CHECK(cal_memory_in_use() - before < 300000);
  while (cal_clock() < until && !(line.size == 3 && !memcmp(line.text, "end", 3)))
    if (cal_process_read(p, &line)) total += line.size;
    else usleep(500);
  CHECK(total == 10000003);
  cal_process_close(p);
}

TEST(without_memory_nothing_starts_and_nothing_is_left) {
  const char *const words[] = {"true", NULL};
  const int before = open_files();
  int refused = 0;
  for (long after = 0; after < 400; after++) {
    cal_memory_fail_after(after);
    cal_error err = {0};
    cal_process *p = cal_process_start(&(cal_process_options){.words = words}, &err);
    cal_memory_fail_after(-1);
    CHECK(p || err.code == CAL_E_MEMORY);
    refused += !p;
    cal_process_close(p);
    if (p) break;
  }
  CHECK(refused > 3 && open_files() == before);
}

TEST_MAIN()
