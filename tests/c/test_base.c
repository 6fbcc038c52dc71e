#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/fold.h"
#include "core/base/fs.h"
#include "core/base/progress.h"
#include "core/base/room.h"
#include "core/base/sha1.h"
#include "core/base/sha256.h"
#include "core/base/suggest.h"
#include "test.h"

static const char *folded(const char *text, int columns) {
  static cal_buffer out;
  out.size = 0;
  cal_fold(&out, text, columns);
  cal_buffer_add_byte(&out, 0);
  return out.data;
}

TEST(lines_are_broken_at_spaces_and_go_on_further_in) {
  CHECK_TEXT(folded("error: one two three four five six seven eight nine\n     = say something that is longer than forty columns\n", 40),
             "error: one two three four five six seven\n  eight nine\n     = say something that is longer than\n       forty columns\n");
  CHECK_TEXT(folded("short\n\n  also short", 40), "short\n\n  also short");
  CHECK_TEXT(folded("", 40), "");
  CHECK_TEXT(folded("a line of more columns than there are in it, all the same", 39),
             "a line of more columns than there are in it, all the same");
}

TEST(lines_with_a_column_go_on_below_it_and_colours_take_no_room) {
  CHECK_TEXT(folded("  log FILE       every text that a picture had", 40),
             "  log FILE       every text that a\n                 picture had");
  CHECK_TEXT(folded("a name of many letters indeed   and words behind it", 40), "a name of many letters indeed   and\n  words behind it");
  CHECK_TEXT(folded("\033[1mphotos/a.png\033[0m   \033[2mfrom 1 (a person) to 2 (fake)\033[0m", 45),
             "\033[1mphotos/a.png\033[0m   \033[2mfrom 1 (a person) to 2 (fake)\033[0m");
  CHECK_TEXT(folded("\033[1ma.png\033[0m   \033[2mfrom 1 (a person) to 2 (template)\033[0m", 40),
             "\033[1ma.png\033[0m   \033[2mfrom 1 (a person) to 2\n        (template)\033[0m");
  CHECK_TEXT(folded("one two three four five six seven eight \033[", 40), "one two three four five six seven eight \033[");
}

TEST(words_sources_and_commands_are_not_broken) {
  static const char *const kept[] = {"   2 |   :caption { with = gemini { style = \"concise\" }, trigger = \"zkr\" }",
                                     "     |   ^^^^^^^                                    that is it",
                                     "     = go on with: calotype caption photos trigger=zkr with=gemini",
                                     "averylongwordwithoutanyspaceinitthatdoesnotfitatall"};
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) CHECK_TEXT(folded(kept[i], 40), kept[i]);
  CHECK_TEXT(folded("see https://example.org/a/very/long/address/that/fits/nowhere now", 40),
             "see\n  https://example.org/a/very/long/address/that/fits/nowhere\n  now");
  /* forty letters of two bytes fit into forty columns */
  CHECK_TEXT(folded("äääääääääääääääääää ääääääääääääääääääää", 40), "äääääääääääääääääää ääääääääääääääääääää");
}

TEST(sha256_of_the_empty_text_is_the_published_one) {
  char hex[CAL_SHA256_HEX];
  cal_sha256_hex("", 0, hex);
  CHECK_TEXT(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(sha1_is_that_of_the_standard_and_of_git) {
  static char many[1000];
  memset(many, 'a', sizeof many);
  const struct {
    const char *bytes;
    size_t size;
    int times;
    const char *hex;
  } known[] = {{"", 0, 1, "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
               {"abc", 3, 1, "a9993e364706816aba3e25717850c26c9cd0d89d"},
               {"blob 6\0hello\n", 13, 1, "ce013625030ba8dba906f756967f9e9ca394464a"},
               {many, sizeof many, 1000, "34aa973cd4c4daa4f61eeb2bdbad27316534016f"}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
    cal_sha1 h;
    char hex[CAL_SHA1_HEX];
    cal_sha1_start(&h);
    for (int j = 0; j < known[i].times; j++) cal_sha1_add(&h, known[i].bytes, known[i].size);
    cal_sha1_end(&h, hex);
    CHECK_TEXT(hex, known[i].hex);
  }
}

/* A limit on the size of files stands for a disk without room: write() fails half-way in the same manner. */
TEST(a_file_that_does_not_fit_leaves_the_old_one_and_no_other) {
  static char big[1 << 16];
  const char *tmp = getenv("CALOTYPE_TEST_TMP");
  char folder[512], path[600];
  snprintf(folder, sizeof folder, "%s/full-disk", tmp ? tmp : "/tmp");
  snprintf(path, sizeof path, "%s/a.txt", folder);
  cal_error err = {0};
  cal_fs *fs = cal_fs_new(NULL, 0, &err);
  CHECK(fs && !cal_fs_grant(fs, folder, CAL_FS_READ | CAL_FS_WRITE, &err));
  CHECK(!cal_fs_write(fs, path, "old", 3, &err));
  struct rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &(struct rlimit){4096, before.rlim_max});
  cal_status status = cal_fs_write(fs, path, big, sizeof big, &err);
  setrlimit(RLIMIT_FSIZE, &before);
  CHECK(status == CAL_E_IO);
  CHECK(strstr(err.text, path) != NULL);
  cal_buffer bytes = {0};
  CHECK(!cal_fs_read(fs, path, 0, &bytes, &err));
  CHECK_TEXT(bytes.data, "old");
  cal_fs_info *list = NULL;
  size_t count = 0;
  CHECK(!cal_fs_list(fs, folder, false, &list, &count, &err));
  CHECK(count == 1);
  cal_fs_list_free(list, count);
  cal_buffer_free(&bytes);
  cal_fs_remove(fs, path, &err);
  cal_fs_free(fs);
}

/* ---- files that grow ---- */

static cal_fs *grow_folder(char folder[512]) {
  const char *tmp = getenv("CALOTYPE_TEST_TMP");
  snprintf(folder, 512, "%s/grow", tmp ? tmp : "/tmp");
  cal_error err = {0};
  cal_fs *fs = cal_fs_new(NULL, CAL_FS_GUARDED, &err);
  CHECK(fs && !cal_fs_grant(fs, folder, CAL_FS_READ | CAL_FS_WRITE, &err));
  return fs;
}

TEST(a_file_grows_at_its_end_and_takes_the_place_of_another) {
  char folder[512], part[600], whole[600];
  cal_fs *fs = grow_folder(folder);
  snprintf(part, sizeof part, "%s/deep/a.part", folder);
  snprintf(whole, sizeof whole, "%s/deep/a", folder);
  cal_error err = {0};
  cal_buffer bytes = {0};
  for (int i = 0; i < 2; i++) {
    int fd = cal_fs_open_append(fs, part, &err);
    CHECK(fd >= 0 && write(fd, i ? "cd" : "ab", 2) == 2);
    if (fd >= 0) close(fd);
  }
  CHECK(!cal_fs_write(fs, whole, "old", 3, &err));
  CHECK(!cal_fs_rename(fs, part, whole, &err));
  CHECK(!cal_fs_read(fs, whole, 0, &bytes, &err));
  CHECK_TEXT(bytes.data, "abcd");
  CHECK(cal_fs_rename(fs, part, whole, &err) == CAL_E_NOTFOUND && strstr(err.text, part));
  CHECK(cal_fs_rename(fs, whole, "/tmp/calotype-elsewhere", &err) == CAL_E_DENIED);
  CHECK(cal_fs_open_append(fs, "/tmp/calotype-elsewhere", &err) < 0 && err.code == CAL_E_DENIED);
  CHECK(cal_fs_open_append(fs, folder, &err) < 0);
  snprintf(part, sizeof part, "%s/.git/config", folder);
  CHECK(cal_fs_open_append(fs, part, &err) < 0 && err.code == CAL_E_DENIED);
  snprintf(part, sizeof part, "%s/link", folder);
  CHECK(symlink("/tmp/calotype-elsewhere", part) == 0);
  CHECK(cal_fs_open_append(fs, part, &err) < 0 && err.code == CAL_E_DENIED);
  unlink(part);
  cal_buffer_free(&bytes);
  cal_fs_remove(fs, whole, &err);
  cal_fs_free(fs);
}

TEST(free_space_is_that_of_the_nearest_folder_that_is_there) {
  char folder[512];
  cal_fs *fs = grow_folder(folder);
  cal_error err = {0};
  uint64_t here = 0, below = 0;
  CHECK(!cal_fs_free_space(fs, "/tmp", &here, &err) && here > 0);
  CHECK(!cal_fs_free_space(fs, "/tmp/not/there/yet", &below, &err) && below > 0);
  CHECK(cal_fs_free_space(fs, "", &here, &err) == CAL_E_ARG);
  cal_fs_free(fs);
}

static const char *meant(const char *word, const char *const *names) {
  cal_suggestion s = {.word = word};
  for (; *names; names++) cal_suggestion_offer(&s, *names);
  const char *best = cal_suggestion_best(&s);
  return best ? best : "(none)";
}

TEST(what_was_meant_is_found_by_one_rule) {
#define MEANT(word, expected, ...) CHECK_TEXT(meant(word, (const char *const[]){__VA_ARGS__, NULL}), expected)
  MEANT("dedup", "dedupe", "reject", "dedupe");
  MEANT("DEDUPE", "dedupe", "reject", "dedupe");
  MEANT("rejcet", "reject", "eject", "reject"); /* swapped neighbours are one edit */
  MEANT("sharp", "sharpness_below", "side_below", "sharpness_below");
  MEANT("side", "(none)", "side_below", "side_above"); /* two begin with it */
  MEANT("side", "side_below", "side_below", "side_below");
  MEANT("zebra", "(none)", "dedupe", "reject");
  MEANT("x", "(none)", "y", "xy");
  MEANT("X", "x", "y", "x");
  MEANT("to", "too", "too", "of");
  MEANT("abcde", "(none)", "abxye", "vwxyz"); /* five letters: one edit */
  MEANT("abcdef", "abxyef", "abxyef", "vwxyz");
  MEANT("bat", "cat", "rat", "cat", "bats_"); /* of equals the first in the alphabet */
  MEANT("cat", "(none)", "cat");
  MEANT("dex", "(none)", "_dex", "__index");
  MEANT("_dxe", "_dex", "_dex");
  MEANT("", "(none)", "a");
  char longest[80];
  memset(longest, 'a', sizeof longest - 1);
  longest[sizeof longest - 1] = 0;
  MEANT(longest, "(none)", longest + 1);
  MEANT(longest + 15, longest + 16, longest + 16);
}

/* A file of the kernel, as it would be below `root`. */
static void kernel_says(const char *root, const char *path, const char *text) {
  char command[700];
  snprintf(command, sizeof command, "mkdir -p \"$(dirname '%s%s')\" && printf '%s' >'%s%s'", root, path, text, root, path);
  CHECK(system(command) == 0);
}

#define GROUP "/sys/fs/cgroup/docker/1f/"
#define FIRST "/sys/fs/cgroup/memory/"

TEST(the_memory_that_is_left_is_what_the_system_and_the_containers_around_leave) {
  const char *tmp = getenv("CALOTYPE_TEST_TMP");
  char root[300];
  snprintf(root, sizeof root, "%s/room", tmp ? tmp : "/tmp");
  CHECK(cal_room("") > 1000000);
  CHECK(cal_room(root) > 1000000); /* nothing is there to read: half of what the machine has */
  kernel_says(root, "/proc/meminfo", "MemTotal: 16000000 kB\nMemFree: 2000000 kB\nMemAvailable: 8000000 kB\n");
  CHECK(cal_room(root) == 8192000000u);

  kernel_says(root, "/proc/self/cgroup", "1:name=systemd:/docker/1f\n0::/docker/1f\n");
  CHECK(cal_room(root) == 8192000000u);
  kernel_says(root, GROUP "memory.max", "max\n");
  kernel_says(root, GROUP "memory.current", "3000000000\n");
  kernel_says(root, GROUP "memory.stat", "anon 900\nactive_file 300000000\ninactive_file 700000000\n");
  CHECK(cal_room(root) == 8192000000u);
  kernel_says(root, GROUP "memory.max", "4000000000\n");
  CHECK(cal_room(root) == 2000000000u); /* files that were read may go */
  kernel_says(root, GROUP "memory.max", "1000000000\n");
  CHECK(cal_room(root) == 1); /* all of it is taken; 0 would be "nobody knows" */
  kernel_says(root, GROUP "memory.max", "9000000000000\n");
  kernel_says(root, "/sys/fs/cgroup/docker/memory.max", "500000000\n"); /* the group around it */
  CHECK(cal_room(root) == 500000000u);
  kernel_says(root, "/proc/self/cgroup", "0::/docker/gone\n"); /* a name from outside */
  CHECK(cal_room(root) == 500000000u);

  kernel_says(root, "/proc/self/cgroup", "4:memory:/docker/1f\n3:cpuset:/docker/1f\n0::/\n");
  CHECK(cal_room(root) == 8192000000u);
  kernel_says(root, FIRST "memory.limit_in_bytes", "9223372036854771712\n"); /* none */
  CHECK(cal_room(root) == 8192000000u);
  kernel_says(root, FIRST "memory.limit_in_bytes", "2500000000\n");
  kernel_says(root, FIRST "memory.usage_in_bytes", "1500000000\n");
  kernel_says(root, FIRST "memory.stat", "inactive_file 1\ntotal_inactive_file 200000000\ntotal_active_file 50000000\n");
  CHECK(cal_room(root) == 1250000000u);
  kernel_says(root, "/proc/self/cgroup", "nonsense\n4:memory\n:::\n");
  CHECK(cal_room(root) == 8192000000u);
}

TEST(a_bar_is_one_line_of_its_terminal) {
  struct winsize size = {.ws_row = 10, .ws_col = 20};
  int fd;
  pid_t pid = forkpty(&fd, NULL, NULL, &size);
  if (pid == 0) {
    cal_progress *p = cal_progress_new("captions", 3000);
    poll(NULL, 0, 1050); /* none in the first second */
    cal_progress_set(p, 1500);
    _exit(0);
  }
  CHECK(pid > 0);
  char said[512];
  size_t got = 0;
  for (ssize_t n; got < sizeof said - 1 && (n = read(fd, said + got, sizeof said - 1 - got)) > 0;) got += (size_t)n;
  said[got] = 0;
  waitpid(pid, NULL, 0);
  close(fd);
  CHECK_TEXT(said, "\r\033[K  captions [=======");
}

TEST_MAIN()
