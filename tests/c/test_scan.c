#include "core/dataset/scan.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/base/interrupt.h"
#include "core/base/memory.h"
#include "core/base/random.h"
#include "core/base/thread.h"
#include "core/image/encode.h"
#include "test.h"

enum { N = 70 };

static char folder[512], store_folder[600];
static char names[N][600];
static const char *paths[N];
static cal_fs *fs;

/* A fresh folder with N small pictures of noise, and the name of a fresh store. */
static void set_up(int count) {
  static int serial;
  const char *top = getenv("CALOTYPE_TEST_TMP");
  snprintf(folder, sizeof folder, "%s/scan-%ld-%d", top ? top : "/tmp", (long)getpid(), serial++);
  snprintf(store_folder, sizeof store_folder, "%s/store", folder);
  fs = cal_fs_new(NULL, 0, NULL);
  cal_fs_grant(fs, folder, CAL_FS_READ | CAL_FS_WRITE, NULL);
  cal_random r = cal_random_seed(4, (uint64_t)serial);
  for (int i = 0; i < count; i++) {
    cal_image *im = cal_image_new(300, 200, 3, NULL);
    for (size_t k = 0; k < cal_image_size(im); k++) im->pixels[k] = (unsigned char)cal_random_bits(&r);
    snprintf(names[i], sizeof names[i], "%s/p%03d.jpg", folder, i);
    paths[i] = names[i];
    CHECK(cal_image_save(im, fs, names[i], NULL, NULL) == CAL_OK);
    cal_image_free(im);
  }
}

static void tear_down(void) { cal_fs_free(fs); }

static cal_status scan_all(int count, size_t *hashed, size_t *measured, cal_error *err) {
  cal_store *s = cal_store_open(store_folder, NULL, err);
  if (!s) return err->code;
  cal_scan scan;
  cal_status status = cal_scan_files(fs, s, paths, (size_t)count, NULL, &scan, err);
  *hashed = scan.hashed, *measured = scan.measured;
  if (!status) {
    for (int i = 0; i < count; i++)
      if (!scan.items[i].measures) status = scan.items[i].code;
    cal_scan_free(&scan);
  }
  cal_store_close(s);
  return status;
}

TEST(a_killed_scan_keeps_what_it_had_done) {
  set_up(N);
  size_t hashed = 0, measured = 0, left = N;
  cal_error err = {0};
  for (int round = 0; round < 35 && left == N; round++) { /* longer each time, until a kill hits the middle */
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
      scan_all(N, &hashed, &measured, &err);
      _exit(0);
    }
    const double pause = 0.02 * pow(1.25, round);
    nanosleep(&(struct timespec){.tv_sec = (time_t)pause, .tv_nsec = (long)(fmod(pause, 1) * 1e9)}, NULL);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    cal_store *s = cal_store_open(store_folder, NULL, &err);
    CHECK(s != NULL);
    cal_fs_info info;
    char sha[CAL_SHA256_HEX];
    bool found;
    left = 0;
    for (int i = 0; i < N; i++) {
      CHECK(!cal_fs_stat(fs, paths[i], &info, &err) && !cal_store_file(s, &info, sha, &found, &err));
      left += !found;
    }
    cal_store_close(s);
  }
  CHECK(left < N);
  CHECK(scan_all(N, &hashed, &measured, &err) == CAL_OK);
  CHECK(hashed == left);
  CHECK(scan_all(N, &hashed, &measured, &err) == CAL_OK && hashed == 0 && measured == 0);
  tear_down();
}

TEST(ctrl_c_keeps_what_was_done_and_says_so) {
  set_up(4);
  size_t hashed, measured;
  cal_error err = {0};
  cal_interrupt_raise();
  CHECK(scan_all(4, &hashed, &measured, &err) == CAL_E_INTERRUPT);
  cal_interrupt_clear();
  CHECK(scan_all(4, &hashed, &measured, &err) == CAL_OK && hashed == 4 && measured == 4);
  tear_down();
}

TEST(files_of_tomorrow_are_known_again_and_read_again_when_they_change) {
  set_up(2);
  size_t hashed, measured;
  cal_error err = {0};
  struct timespec times[2];
  clock_gettime(CLOCK_REALTIME, &times[0]); /* as if the clock had been two days ahead when they were written */
  times[0].tv_sec += 2 * 24 * 3600;
  times[1] = times[0];
  for (int i = 0; i < 2; i++) CHECK(!utimensat(AT_FDCWD, paths[i], times, 0));
  CHECK(scan_all(2, &hashed, &measured, &err) == CAL_OK && hashed == 2);
  CHECK(scan_all(2, &hashed, &measured, &err) == CAL_OK && hashed == 0);
  cal_image *im = cal_image_new(300, 200, 3, NULL);
  CHECK(im && cal_image_save(im, fs, names[0], NULL, NULL) == CAL_OK);
  cal_image_free(im);
  CHECK(scan_all(2, &hashed, &measured, &err) == CAL_OK && hashed == 1);
  tear_down();
}

TEST(no_allocation_that_fails_crashes_or_leaks) {
  set_up(3);
  setenv("CALOTYPE_THREADS", "2", 1);
  size_t hashed, measured;
  cal_error err = {0};
  CHECK(scan_all(3, &hashed, &measured, &err) == CAL_OK); /* the pool and the libraries are there now */
  cal_status status = CAL_E_MEMORY;
  int sweep = 0;
  size_t before = cal_memory_in_use();
  for (; status && sweep < 20000; sweep += 1 + sweep / 15) {
    snprintf(store_folder, sizeof store_folder, "%s/store-%d", folder, sweep);
    cal_memory_fail_after(sweep);
    err = (cal_error){0};
    status = scan_all(3, &hashed, &measured, &err);
    cal_memory_fail_after(-1);
    if (status && status != CAL_E_MEMORY) printf("  allocation %d: %s\n", sweep, err.text);
    CHECK(!status || status == CAL_E_MEMORY);
    CHECK(cal_memory_in_use() == before);
  }
  CHECK(status == CAL_OK && sweep > 100);
  tear_down();
}

TEST_MAIN()
