#include "core/dataset/loader.h"

#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/memory.h"
#include "core/base/random.h"
#include "core/dataset/scan.h"
#include "core/image/decode.h"
#include "core/image/draw.h"
#include "core/image/encode.h"
#include "core/image/resize.h"
#include "test.h"

static char folder[512], store_folder[600], path_text[700];
static cal_fs *fs;

static void set_up(void) {
  static int serial;
  const char *top = getenv("CALOTYPE_TEST_TMP");
  snprintf(folder, sizeof folder, "%s/loader-%ld-%d", top ? top : "/tmp", (long)getpid(), serial++);
  snprintf(store_folder, sizeof store_folder, "%s/store", folder);
  fs = cal_fs_new(NULL, 0, NULL);
  cal_fs_grant(fs, folder, CAL_FS_READ | CAL_FS_WRITE, NULL);
}

static const char *path_of(int i) {
  snprintf(path_text, sizeof path_text, "%s/p%05d.png", folder, i);
  return path_text;
}

/* Every tenth is cut off. */
static void tiny_pictures(int count, int side) {
  for (int i = 0; i < count; i++) {
    cal_image *im = cal_image_new(side, side, 3, NULL);
    cal_buffer bytes = {0};
    memcpy(im->pixels, &i, sizeof i);
    CHECK(cal_image_encode(im, CAL_IMAGE_PNG, NULL, &bytes, NULL) == CAL_OK);
    FILE *f = fopen(path_of(i), "wb");
    if (!f && i == 0) mkdir(folder, 0755), f = fopen(path_of(i), "wb");
    CHECK(f && fwrite(bytes.data, 1, i % 10 == 9 ? bytes.size / 2 : bytes.size, f));
    fclose(f);
    cal_buffer_free(&bytes);
    cal_image_free(im);
  }
  usleep(30000); /* old enough to be remembered */
}

static cal_loader *open_loader(const cal_loader_options *options) {
  cal_error err = {0};
  cal_loader *l = cal_loader_open(fs, store_folder, options, &err);
  if (!l) printf("  %s\n", err.text);
  return l;
}

static bool next_within(cal_loader *l, cal_load_answer *answer, double seconds) {
  const double until = cal_clock() + seconds;
  while (!cal_loader_next(l, answer)) {
    if (cal_clock() > until || !cal_loader_pending(l)) return false;
    usleep(500);
  }
  return true;
}

static cal_status ask(cal_loader *l, int tag, cal_load_what what, double urgency) {
  return cal_loader_ask(
      l, &(cal_load_request){.tag = tag, .path = path_of(tag), .what = what, .urgency = urgency, .width = 6, .height = 6, .square = true},
      NULL);
}

TEST(ten_thousand_tiny_pictures_come_all_and_once_and_the_next_time_from_the_store) {
  enum { COUNT = 10000 };
  set_up();
  tiny_pictures(COUNT, 8);
  cal_loader *l = open_loader(NULL);
  for (int round = 0; round < 2; round++) {
    static unsigned char seen[COUNT];
    memset(seen, 0, sizeof seen);
    double slowest = 0;
    const double withheld = test_withheld();
    for (int i = 0; i < COUNT; i++) {
      const double start = cal_clock();
      CHECK(ask(l, i, CAL_LOAD_THUMB, i % 13) == CAL_OK);
      const double took = cal_clock() - start;
      if (took > slowest) slowest = took;
    }
    CHECK(slowest - (test_withheld() - withheld) < 0.5); /* never the time of a picture's work */
    cal_load_answer a;
    size_t most = 0;
    int good = 0, bad = 0;
    while (next_within(l, &a, 60)) {
      CHECK(a.tag >= 0 && a.tag < COUNT && !seen[a.tag]);
      seen[a.tag] = 1;
      good += a.image != NULL, bad += a.image == NULL;
      if (a.image) CHECK(a.image->width == 8 && a.width == 8 && !a.error && !a.note);
      else CHECK(a.code == CAL_E_FORMAT && strstr(a.error, path_of((int)a.tag)) && a.tag % 10 == 9);
      CHECK(strlen(a.sha) == 64);
      cal_load_answer_free(&a);
      if (cal_memory_in_use() > most) most = cal_memory_in_use();
    }
    CHECK(good == COUNT * 9 / 10 && bad == COUNT / 10);
    CHECK(most < (size_t)200 << 20);
  }
  cal_loader_close(l);
  cal_fs_free(fs);
}

TEST(asking_and_forgetting_at_random_answers_what_was_not_forgotten) {
  enum { COUNT = 300, STEPS = 20000 };
  set_up();
  tiny_pictures(COUNT, 8);
  cal_loader *l = open_loader(&(cal_loader_options){.threads = 3, .most_finished = 20000});
  cal_random r = cal_random_seed(3, 0);
  static unsigned char wanted[COUNT];
  cal_load_answer a;
  for (int step = 0; step < STEPS; step++) {
    const int i = (int)cal_random_below(&r, COUNT);
    const unsigned what = (unsigned)cal_random_below(&r, 10);
    if (what < 5) {
      CHECK(ask(l, i, (cal_load_what)what, (double)cal_random_below(&r, 5)) == CAL_OK);
      wanted[i] = 1;
    } else if (what < 8) {
      cal_loader_forget(l, i);
      wanted[i] = 0;
    } else if (cal_loader_next(l, &a)) {
      CHECK(wanted[a.tag]);
      wanted[a.tag] = 0;
      cal_load_answer_free(&a);
    }
  }
  while (next_within(l, &a, 60)) {
    CHECK(wanted[a.tag]);
    wanted[a.tag] = 0;
    cal_load_answer_free(&a);
  }
  for (int i = 0; i < COUNT; i++) CHECK(!wanted[i]);
  cal_loader_close(l);
  cal_fs_free(fs);
}

TEST(answers_that_nobody_takes_hold_no_more_than_was_allowed) {
  enum { COUNT = 60, SIDE = 256, ONE = SIDE * SIDE * 3 };
  set_up();
  tiny_pictures(COUNT, SIDE);
  cal_loader *l = open_loader(&(cal_loader_options){.threads = 2, .most_finished = 5 * ONE});
  const size_t before = cal_memory_in_use();
  for (int i = 0; i < COUNT; i++) CHECK(ask(l, i, CAL_LOAD_PICTURE, 0) == CAL_OK);
  for (int i = 0; i < 6000 && cal_memory_in_use() - before <= 4 * ONE; i++) usleep(10000);
  CHECK(cal_memory_in_use() - before > 4 * ONE);
  usleep(500000);
  CHECK(cal_memory_in_use() - before < 9 * ONE); /* of all: 54 */
  cal_load_answer a;
  int count = 0;
  while (next_within(l, &a, 60)) cal_load_answer_free(&a), count++;
  CHECK(count == COUNT);
  cal_loader_close(l);
  cal_fs_free(fs);
}

TEST(closing_waits_for_no_more_than_is_being_decoded) {
  set_up();
  tiny_pictures(40, 700);
  for (int round = 0; round < 8; round++) {
    cal_loader *l = open_loader(NULL);
    for (int i = 0; i < 40; i++)
      CHECK(ask(l, i, (cal_load_what[]){CAL_LOAD_PICTURE, CAL_LOAD_MEASURE, CAL_LOAD_FITTED}[round % 3], 0) == CAL_OK);
    usleep((useconds_t)round * 4000);
    const double start = cal_clock();
    cal_loader_close(l);
    CHECK(cal_clock() - start < 20);
  }
  cal_loader_close(NULL);
  cal_fs_free(fs);
}

TEST(a_folder_that_was_not_granted_is_not_read_and_may_be_granted_while_the_threads_work) {
  set_up();
  tiny_pictures(50, 8);
  cal_fs *none = cal_fs_new(NULL, 0, NULL), *mine = fs;
  fs = none;
  cal_loader *l = open_loader(NULL);
  cal_load_answer a;
  CHECK(ask(l, 1, CAL_LOAD_THUMB, 0) == CAL_OK && next_within(l, &a, 60));
  CHECK(a.code == CAL_E_DENIED && !a.image && !a.sha[0]);
  cal_load_answer_free(&a);
  for (int i = 0; i < 50; i++) CHECK(ask(l, i, CAL_LOAD_IDENTIFY, 0) == CAL_OK);
  for (int i = 0; i < 200; i++) {
    char text[700];
    snprintf(text, sizeof text, "%s/new%d", folder, i);
    CHECK(cal_fs_grant(none, i == 100 ? folder : text, CAL_FS_READ | CAL_FS_WRITE, NULL) == CAL_OK);
  }
  while (next_within(l, &a, 60)) cal_load_answer_free(&a);
  CHECK(ask(l, 1, CAL_LOAD_THUMB, 0) == CAL_OK && next_within(l, &a, 60) && a.image);
  cal_load_answer_free(&a);
  cal_loader_close(l);
  cal_fs_free(none);
  cal_fs_free(mine);
}

static atomic_bool done;

static void *touch(void *path) {
  while (!atomic_load(&done)) {
    FILE *f = fopen(path, "r+b");
    if (f) fputc('x', f), fclose(f);
    usleep(2000);
  }
  return NULL;
}

TEST(a_file_that_changes_while_it_is_read_is_busy_and_one_that_vanishes_is_not_found) {
  set_up();
  mkdir(folder, 0755);
  char path[700];
  strcpy(path, path_of(0));
  FILE *f = fopen(path, "wb");
  CHECK(f && ftruncate(fileno(f), 200 << 20) == 0);
  fclose(f);
  cal_loader *l = open_loader(NULL);
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, touch, path) == 0);
  usleep(10000);
  cal_load_answer a;
  CHECK(ask(l, 0, CAL_LOAD_IDENTIFY, 0) == CAL_OK && next_within(l, &a, 60));
  CHECK(a.code == CAL_E_BUSY && strstr(a.error, "changed while it was being read") && !a.sha[0]);
  cal_load_answer_free(&a);
  atomic_store(&done, true);
  pthread_join(thread, NULL);
  a.sha[0] = 'x';
  for (off_t size = 200 << 20; a.sha[0] && size < (off_t)16 << 30; size *= 2) { /* until it is not hashed before it goes */
    f = fopen(path, "wb");
    CHECK(f && ftruncate(fileno(f), size) == 0);
    fclose(f);
    CHECK(ask(l, 0, CAL_LOAD_IDENTIFY, 0) == CAL_OK);
    usleep(5000);
    unlink(path); /* perhaps while it is hashed, or before */
    CHECK(next_within(l, &a, 600));
    CHECK(a.sha[0] || a.code == CAL_E_NOTFOUND);
    cal_load_answer_free(&a);
  }
  CHECK(!a.sha[0]);
  /* What is forgotten while it is read does not keep its thread. */
  f = fopen(path, "wb");
  CHECK(f && ftruncate(fileno(f), (off_t)1 << 36) == 0); /* half a minute of hashing, and more */
  fclose(f);
  CHECK(ask(l, 0, CAL_LOAD_IDENTIFY, 0) == CAL_OK);
  usleep(20000);
  const double start = cal_clock();
  cal_loader_close(l);
  CHECK(cal_clock() - start < 10);
  unlink(path);
  cal_fs_free(fs);
}

static int is_ok(void *sound, int columns, char **texts, char **names) {
  (void)columns, (void)names;
  *(int *)sound = strcmp(texts[0], "ok") == 0;
  return 0;
}

/* A store that came with a folder may say anything. */
TEST(a_thumbnail_that_is_none_is_made_anew) {
  set_up();
  tiny_pictures(1, 8);
  cal_error err = {0};
  cal_loader *l = open_loader(&(cal_loader_options){.threads = 1});
  cal_load_answer a;
  CHECK(ask(l, 0, CAL_LOAD_THUMB, 0) == CAL_OK && next_within(l, &a, 60) && a.image);
  char sha[CAL_SHA256_HEX];
  memcpy(sha, a.sha, sizeof sha);
  cal_load_answer_free(&a);
  cal_store *s = cal_store_open(store_folder, NULL, &err);
  cal_content_look look = {.width = 8, .height = 8, .format = "PNG"};
  cal_image *large = cal_image_new(3000, 20, 3, &err);
  cal_buffer jpeg = {0};
  CHECK(s && large && !cal_image_encode(large, CAL_IMAGE_JPEG, NULL, &jpeg, &err));
  for (int k = 0; k < 2; k++) { /* a picture that is too large; bytes that are none */
    const char *bytes = k ? "none" : jpeg.data;
    CHECK(!cal_store_put_blob(s, bytes, k ? 4 : jpeg.size, look.thumb, &err) && !cal_content_keep_look(s, sha, &look, &err));
    CHECK(ask(l, 0, CAL_LOAD_THUMB, 0) == CAL_OK && next_within(l, &a, 60));
    CHECK(a.image && a.image->width == 8 && a.image->height == 8 && !a.error);
    cal_load_answer_free(&a);
  }
  const char odd[] = "{\"width\":1e99,\"height\":-1,\"format\":7,\"thumb\":[]}";
  CHECK(!cal_store_put(s, "thumb", sha, odd, sizeof odd - 1, &err));
  CHECK(ask(l, 0, CAL_LOAD_THUMB, 0) == CAL_OK && next_within(l, &a, 60) && a.image && a.width == 8);
  cal_load_answer_free(&a);
  cal_buffer_free(&jpeg);
  cal_image_free(large);
  cal_store_close(s);
  cal_loader_close(l);
  cal_fs_free(fs);
}

/* What a provider of captions did by itself before: white behind, a white border, bicubic. */
static cal_image *fitted_by_hand(const char *path, int width, int height, bool square) {
  cal_error err = {0};
  cal_image *im = cal_image_load(fs, path, NULL, NULL, &err), *rgb = im ? cal_image_rgb(im, NULL, &err) : NULL;
  if (!rgb) return NULL;
  const int side = im->width > im->height ? im->width : im->height;
  cal_image *border = cal_image_new(square ? side : im->width, square ? side : im->height, 3, &err);
  memset(border->pixels, 255, cal_image_size(border));
  cal_draw_paste(border, rgb, (border->width - im->width) / 2, (border->height - im->height) / 2);
  cal_image *made = cal_image_resize(border, width, height, CAL_BICUBIC, &err);
  cal_image_free(border);
  cal_image_free(rgb);
  cal_image_free(im);
  return made;
}

TEST(fitted_is_all_of_the_picture_on_white_in_exactly_the_size_that_was_asked_for) {
  static const struct {
    int width, height, channels;
    const char *name;
  } pictures[] = {
      {61, 30, 3, "wide.png"}, {30, 61, 4, "tall.png"}, {33, 33, 1, "gray.png"}, {640, 1200, 3, "large.jpg"}, {7, 1, 4, "line.png"}};
  static const int sizes[][2] = {{24, 24}, {50, 9}, {200, 300}};
  set_up();
  mkdir(folder, 0755);
  cal_loader *l = open_loader(NULL);
  cal_random r = cal_random_seed(11, 0);
  for (size_t p = 0; p < sizeof pictures / sizeof *pictures; p++) {
    cal_image *im = cal_image_new(pictures[p].width, pictures[p].height, pictures[p].channels, NULL);
    cal_buffer bytes = {0};
    for (size_t i = 0; i < cal_image_size(im); i++) im->pixels[i] = (unsigned char)cal_random_below(&r, 256);
    snprintf(path_text, sizeof path_text, "%s/%s", folder, pictures[p].name);
    CHECK(!cal_image_encode(im, p == 3 ? CAL_IMAGE_JPEG : CAL_IMAGE_PNG, NULL, &bytes, NULL));
    FILE *f = fopen(path_text, "wb");
    CHECK(f && fwrite(bytes.data, 1, bytes.size, f) == bytes.size);
    fclose(f);
    cal_buffer_free(&bytes);
    for (int k = 0; k < 6; k++) {
      const int width = sizes[k / 2][0], height = sizes[k / 2][1];
      const cal_load_request request = {.path = path_text, .what = CAL_LOAD_FITTED, .width = width, .height = height, .square = k % 2};
      cal_load_answer a;
      CHECK(!cal_loader_ask(l, &request, NULL) && next_within(l, &a, 60));
      CHECK(a.image && !a.error && a.width == im->width && a.height == im->height && strlen(a.sha) == 64);
      cal_image *expected = fitted_by_hand(path_text, width, height, k % 2);
      CHECK(expected && a.image && a.image->width == width && a.image->height == height && a.image->channels == 3);
      CHECK(expected && a.image && !memcmp(a.image->pixels, expected->pixels, cal_image_size(expected)));
      cal_image_free(expected);
      cal_load_answer_free(&a);
    }
    cal_image_free(im);
  }
  static const int wrong[][2] = {{0, 9}, {9, 0}, {-1, 9}, {9, CAL_IMAGE_SIDE + 1}};
  for (int i = 0; i < 4; i++) {
    cal_error err = {0};
    const cal_load_request request = {.path = "x.png", .what = CAL_LOAD_FITTED, .width = wrong[i][0], .height = wrong[i][1]};
    CHECK(cal_loader_ask(l, &request, &err) == CAL_E_ARG && strstr(err.text, "x.png") && strstr(err.text, "fitted"));
  }
  CHECK(cal_loader_pending(l) == 0);
  cal_loader_close(l);
  cal_fs_free(fs);
}

TEST(a_border_that_would_be_too_large_is_told_and_without_it_the_picture_is_fitted) {
  set_up();
  mkdir(folder, 0755);
  cal_image *im = cal_image_new(15000, 2, 3, NULL);
  cal_buffer bytes = {0};
  CHECK(im && !cal_image_encode(im, CAL_IMAGE_PNG, NULL, &bytes, NULL));
  FILE *f = fopen(path_of(0), "wb");
  CHECK(f && fwrite(bytes.data, 1, bytes.size, f) == bytes.size);
  fclose(f);
  cal_loader *l = open_loader(NULL);
  for (int square = 0; square < 2; square++) {
    const cal_load_request request = {.path = path_of(0), .what = CAL_LOAD_FITTED, .width = 8, .height = 8, .square = square};
    cal_load_answer a;
    CHECK(!cal_loader_ask(l, &request, NULL) && next_within(l, &a, 60));
    CHECK(square ? !a.image && a.code == CAL_E_LIMIT && strstr(a.error, "15000 x 2 with a border") && strstr(a.error, path_of(0))
                 : a.image && !a.error);
    cal_load_answer_free(&a);
  }
  cal_loader_close(l);
  cal_buffer_free(&bytes);
  cal_image_free(im);
  cal_fs_free(fs);
}

TEST(the_sha_of_what_was_fitted_is_that_of_its_bytes_whatever_the_store_says) {
  set_up();
  tiny_pictures(1, 8);
  cal_loader *l = open_loader(NULL);
  cal_store *s = cal_store_open(store_folder, NULL, NULL);
  char wrong[CAL_SHA256_HEX], sha[CAL_SHA256_HEX];
  memset(wrong, 'a', sizeof wrong - 1), wrong[sizeof wrong - 1] = 0;
  cal_fs_info info;
  bool found = false;
  CHECK(s && !cal_fs_stat(fs, path_of(0), &info, NULL) && !cal_store_remember_file(s, &info, wrong, NULL));
  cal_load_answer a;
  CHECK(ask(l, 0, CAL_LOAD_IDENTIFY, 0) == CAL_OK && next_within(l, &a, 60) && !strcmp(a.sha, wrong)); /* the others believe it */
  cal_load_answer_free(&a);
  for (int round = 0; round < 2; round++) {
    CHECK(ask(l, 0, CAL_LOAD_FITTED, 0) == CAL_OK && next_within(l, &a, 60) && a.image && strlen(a.sha) == 64 && strcmp(a.sha, wrong));
    CHECK(!cal_store_file(s, &info, sha, &found, NULL) && found && !strcmp(sha, a.sha));
    cal_load_answer_free(&a);
  }
  cal_store_close(s);
  cal_loader_close(l);
  cal_fs_free(fs);
}

TEST(a_kill_at_any_moment_leaves_a_sound_store_whose_thumbnails_are_there) {
  enum { COUNT = 400 };
  set_up();
  tiny_pictures(COUNT, 40);
  cal_random r = cal_random_seed(8, 0);
  int kept = 0;
  for (int round = 0; round < 15; round++) {
    int ends[2];
    char byte = 0;
    CHECK(pipe(ends) == 0);
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
      cal_loader *l = open_loader(NULL);
      cal_load_answer a;
      for (int i = 0; l && i < COUNT; i++) ask(l, (i * 7 + round * 31) % COUNT, (cal_load_what)(i % 5), 0);
      while (l && next_within(l, &a, 60) && write(ends[1], &byte, 1) == 1) cal_load_answer_free(&a);
      pause();
      _exit(1);
    }
    close(ends[1]);
    for (int i = 0; i < 5; i++) CHECK(read(ends[0], &byte, 1) == 1);
    usleep((useconds_t)cal_random_below(&r, 30000));
    kill(child, SIGKILL);
    close(ends[0]);
    waitpid(child, NULL, 0);
    char text[700];
    sqlite3 *db;
    int sound = 0;
    snprintf(text, sizeof text, "%s/store.db", store_folder);
    if (!sqlite3_open(text, &db)) sqlite3_exec(db, "PRAGMA integrity_check", is_ok, &sound, NULL);
    sqlite3_close(db);
    CHECK(sound);
  }
  cal_error err = {0};
  cal_store *s = cal_store_open(store_folder, NULL, &err);
  for (int i = 0; i < COUNT; i++) {
    cal_fs_info info;
    cal_content_look look;
    cal_buffer jpeg = {0};
    char sha[CAL_SHA256_HEX];
    bool found = false;
    CHECK(!cal_fs_stat(fs, path_of(i), &info, NULL) && !cal_store_file(s, &info, sha, &found, &err));
    if (found) CHECK(!cal_content_recall_look(s, sha, &look, &found, &err));
    if (!found || !look.thumb[0]) continue;
    CHECK(!cal_store_blob(s, look.thumb, &jpeg, &found, &err) && found);
    cal_buffer_free(&jpeg);
    kept++;
  }
  CHECK(kept > 10);
  cal_store_close(s);
  cal_fs_free(fs);
}

TEST(without_memory_there_is_an_error_or_an_answer_with_one_and_nothing_is_lost) {
  set_up();
  tiny_pictures(5, 60);
  int refused = 0, wrong = 0;
  for (long after = 0; after < 400; after += after < 150 ? 1 : 7) {
    cal_memory_fail_after(after);
    cal_error err = {0};
    cal_loader *l = cal_loader_open(fs, store_folder, &(cal_loader_options){.threads = 1}, &err);
    bool asked = l != NULL;
    for (int i = 0; l && i < 5; i++) {
      const cal_load_request request = {.tag = i, .path = path_of(i), .what = (cal_load_what)i, .width = 70, .height = 20, .square = true};
      asked = asked && !cal_loader_ask(l, &request, &err);
    }
    CHECK(asked || err.code);
    refused += !asked;
    cal_load_answer a;
    while (l && next_within(l, &a, 60)) {
      CHECK(a.image || a.measures || a.code || a.what == CAL_LOAD_IDENTIFY);
      wrong += a.code == CAL_E_MEMORY;
      cal_load_answer_free(&a);
    }
    cal_memory_fail_after(-1);
    cal_loader_close(l);
  }
  CHECK(refused > 5 && wrong > 5);
  cal_fs_free(fs);
}

TEST(one_that_is_refused_for_memory_leaves_the_one_before_under_its_tag) {
  set_up();
  tiny_pictures(2, 60);
  cal_loader *l = open_loader(NULL);
  int refused = 0;
  for (long after = 0; after < 4; after++) {
    CHECK(!ask(l, 0, CAL_LOAD_IDENTIFY, 0));
    cal_error err = {0};
    cal_memory_fail_after(after);
    const cal_status status = cal_loader_ask(l, &(cal_load_request){.tag = 0, .path = path_of(1), .what = CAL_LOAD_IDENTIFY}, &err);
    cal_memory_fail_after(-1);
    refused += status == CAL_E_MEMORY;
    CHECK(cal_loader_ask(l, &(cal_load_request){.tag = 0, .path = "", .what = CAL_LOAD_IDENTIFY}, NULL) == CAL_E_ARG);
    CHECK(cal_loader_pending(l) == 1);
    cal_load_answer a;
    if (!next_within(l, &a, 60)) CHECK(!"it was forgotten");
    else {
      if (status) CHECK(!strcmp(a.path, path_of(0)));
      cal_load_answer_free(&a);
    }
    CHECK(cal_loader_pending(l) == 0);
  }
  CHECK(refused > 0);
  cal_loader_close(l);
  cal_fs_free(fs);
}

TEST_MAIN()
