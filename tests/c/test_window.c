/* On SDL's dummy display: the software renderer draws into memory. */
#include "test.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/buffer.h"
#include "core/base/clock.h"
#include "core/base/fs.h"
#include "core/base/interrupt.h"
#include "core/base/memory.h"
#include "core/window/parts.h"

__attribute__((constructor)) static void dummy_display(void) {
  setenv("SDL_VIDEODRIVER", "dummy", 1);
  unsetenv("CALOTYPE_SCALE");
  unsetenv("CALOTYPE_FONT");
}

static cal_window *opened(void) {
  cal_error err = {0};
  cal_window *w = cal_window_open(&(cal_window_options){.title = "test", .width = 320, .height = 240}, &err);
  if (!w) printf("  %s\n", err.text);
  return w;
}

static int difference(const cal_image *a, const cal_image *b) {
  int most = a && b && a->width == b->width && a->height == b->height ? 0 : 256;
  for (size_t i = 0; most < 256 && i < cal_image_size(a); i++)
    if (abs(a->pixels[i] - b->pixels[i]) > most) most = abs(a->pixels[i] - b->pixels[i]);
  return most;
}

static cal_image *text_shot(cal_window *w, const char *text, double size, double *advance) {
  cal_error err = {0};
  const cal_letter_style style = {.size = size};
  cal_canvas_begin(w, 0x000000ff);
  const double a = cal_letters_draw(w, 10, 10, text, strlen(text), &style, 0xffffffff);
  cal_canvas_show(w);
  if (advance) *advance = a;
  return cal_window_screenshot(w, &err);
}

static int ink(const cal_image *im) {
  int count = 0;
  for (size_t i = 0; im && i < cal_image_size(im); i += 3) count += im->pixels[i] > 60;
  return count;
}

static void before(int number) { (void)number; }

TEST(a_window_leaves_the_signals_of_the_terminal_alone) {
  struct sigaction mine = {.sa_handler = before}, then, old;
  sigaction(SIGINT, &mine, &old);
  cal_window *w = opened();
  CHECK(w && sigaction(SIGINT, NULL, &then) == 0 && then.sa_handler == before);
  CHECK(sigaction(SIGTERM, NULL, &then) == 0 && then.sa_handler == SIG_DFL);
  cal_window_close(w);
  sigaction(SIGINT, &old, NULL);
}

static void *press(void *when) {
  usleep(100 * 1000);
  *(double *)when = cal_clock();
  cal_interrupt_raise();
  return NULL;
}

TEST(ctrl_c_ends_a_wait_within_50_ms_and_is_told_once) {
  cal_window *w = opened();
  cal_event e;
  double least = 10;
  if (!w) return;
  while (cal_event_next(w, 0.05, &e)) cal_event_free(&e);
  for (int i = 0; i < 10 && least >= 0.05; i++) { /* a busy machine may be late, but not always */
    pthread_t thread;
    double pressed = 0;
    if (pthread_create(&thread, NULL, press, &pressed)) SKIP("no thread");
    CHECK(cal_event_next(w, 10, &e) && e.kind == CAL_EVENT_QUIT && e.signal);
    const double heard = cal_clock();
    pthread_join(thread, NULL);
    if (heard - pressed < least) least = heard - pressed;
    CHECK(!cal_event_next(w, 0, &e));
    cal_interrupt_clear();
    CHECK(!cal_event_next(w, 0, &e));
  }
  CHECK(least < 0.05);
  cal_window_close(w);
}

TEST(a_wait_lasts_as_long_as_it_was_asked_to) {
  cal_window *w = opened();
  cal_event e;
  if (!w) return;
  while (cal_event_next(w, 0.05, &e)) cal_event_free(&e);
  double least = 10;
  for (int i = 0; i < 10 && least >= 0.2; i++) { /* a busy machine may be late, but not always */
    const double start = cal_clock();
    CHECK(!cal_event_next(w, 0.12, &e));
    const double took = cal_clock() - start;
    CHECK(took >= 0.11);
    if (took < least) least = took;
  }
  CHECK(least < 0.2);
  cal_window_close(w);
}

static cal_image *speckled(int width, int height, int channels) {
  cal_image *im = cal_image_new(width, height, channels, NULL);
  for (size_t i = 0; im && i < cal_image_size(im); i++) im->pixels[i] = (unsigned char)(i * 37 % 251);
  return im;
}

static cal_image *picture_shot(cal_window *w, const cal_image *im, const cal_area *to, const cal_area *from) {
  cal_error err = {0};
  cal_texture *t = cal_texture_new(w, im, &err);
  if (!t) return printf("  %s\n", err.text), NULL;
  cal_canvas_begin(w, 0x204060ff);
  CHECK(cal_canvas_picture(w, t, to, from));
  cal_canvas_show(w);
  cal_texture_free(t);
  return cal_window_screenshot(w, &err);
}

TEST(a_picture_larger_than_a_texture_may_be_is_drawn_from_parts_as_if_it_were_whole) {
  cal_window *w = opened();
  if (!w) return;
  const int whole = w->largest;
  static const cal_area to[] = {{10, 10, 100, 70}, {0, 0, 300, 210}, {-500, -300, 2000, 1400}};
  static const cal_area from = {13, 7, 60, 50};
  for (int channels = 1; channels <= 4; channels += channels == 1 ? 2 : 1) {
    cal_image *im = speckled(100, 70, channels);
    for (int k = 0; im && k < 6; k++) {
      w->largest = whole;
      cal_image *one = picture_shot(w, im, &to[k / 2], k % 2 ? &from : NULL);
      w->largest = 32;
      cal_error err = {0};
      cal_texture *t = cal_texture_new(w, im, &err);
      w->largest = whole;
      cal_canvas_begin(w, 0x204060ff);
      CHECK(t && cal_canvas_picture(w, t, &to[k / 2], k % 2 ? &from : NULL));
      cal_canvas_show(w);
      cal_image *parts = cal_window_screenshot(w, &err);
      /* Where parts meet, an enlarged picture's columns are found from the part's edge: half a pixel of the screen. At size 1 all are
       * equal. */
      long long sum = 0;
      for (size_t i = 0; one && parts && i < cal_image_size(one); i++) sum += abs(one->pixels[i] - parts->pixels[i]);
      if (k == 0) CHECK(difference(one, parts) == 0);
      else CHECK(one && parts && (double)sum / (double)cal_image_size(one) < 6);
      CHECK(t && cal_texture_bytes(t) > 100 * 70 * 4 && cal_texture_bytes(t) < 100 * 70 * 4 * 1.3);
      cal_image_free(one);
      cal_image_free(parts);
      cal_texture_free(t);
    }
    cal_image_free(im);
  }
  cal_window_close(w);
}

TEST(a_picture_far_enlarged_is_drawn_where_it_can_be_seen) {
  cal_window *w = opened();
  cal_image *im = speckled(50, 50, 3);
  if (!w || !im) return;
  /* 10000 times: pixel 20, 30 covers all of the window. */
  cal_image *shot = picture_shot(w, im, &(cal_area){-20.5 * 10000, -30.5 * 10000, 50.0 * 10000, 50.0 * 10000}, NULL);
  CHECK(shot && abs(cal_image_at(shot, 100, 100)[0] - cal_image_at(im, 20, 30)[0]) < 12);
  cal_image_free(shot);
  shot = picture_shot(w, im, &(cal_area){400, 0, 50, 50}, NULL);
  CHECK(shot && cal_image_at(shot, 319, 0)[2] == 0x60);
  cal_image_free(shot);
  cal_image_free(picture_shot(w, im, &(cal_area){-1e13, -1e13, 1e15, 1e15}, NULL)); /* one pixel covers more than an int counts */
  cal_image_free(picture_shot(w, im, &(cal_area){0, 0, 300, 300}, &(cal_area){3, 3, 1e-290, 1e-290}));
  shot = picture_shot(w, im, &(cal_area){10, 10, NAN, 1e300}, &(cal_area){-1e300, NAN, 1e300, -4});
  CHECK(shot && cal_image_at(shot, 20, 20)[2] == 0x60);
  cal_image_free(shot);
  cal_image_free(im);
  cal_window_close(w);
}

TEST(with_nothing_to_be_seen_frames_do_nothing) {
  cal_error err = {0};
  cal_window *w = opened();
  cal_image *im = speckled(8, 8, 4);
  if (!w || !im) return;
  cal_texture *t = cal_texture_new(w, im, &err);
  const int width = w->pixel_width;
  w->pixel_width = 0; /* an icon */
  cal_canvas_begin(w, 0xffffffff);
  cal_canvas_fill(w, 0, 0, 10, 10, 0xff);
  cal_canvas_round(w, 0, 0, 10, 10, 3, 0xff);
  cal_canvas_clip(w, &(cal_area){0, 0, 5, 5});
  CHECK(t && cal_canvas_picture(w, t, &(cal_area){0, 0, 8, 8}, NULL));
  CHECK(cal_letters_draw(w, 0, 0, "text", 4, &(cal_letter_style){.size = 14}, 0xff) > 20);
  cal_canvas_show(w);
  CHECK(!cal_window_screenshot(w, &err) && err.code == CAL_E_NOTFOUND);
  w->pixel_width = width;
  cal_image *shot = text_shot(w, "back", 14, NULL);
  CHECK(ink(shot) > 20);
  cal_image_free(shot);
  cal_texture_free(t);
  cal_image_free(im);
  cal_window_close(w);
}

TEST(a_display_without_memory_for_a_whole_frame_is_drawn_on_at_once) {
  cal_error err = {0};
  cal_window *w = opened();
  if (!w) return;
  const int whole = w->largest;
  w->largest = 16;
  cal_canvas_begin(w, 0x204060ff);
  cal_canvas_fill(w, 10, 10, 20, 20, 0xff0000ff);
  uint32_t pixel = 0;
  CHECK(!sdl.RenderReadPixels(w->renderer, &(SDL_Rect){15, 15, 1, 1}, SDL_PIXELFORMAT_ARGB8888, &pixel, 4) && pixel == 0xffff0000);
  cal_canvas_show(w);
  CHECK(!cal_window_screenshot(w, &err) && err.code == CAL_E_DEVICE && strstr(err.text, "no memory"));
  w->largest = whole;
  cal_image *shot = text_shot(w, "again", 14, NULL);
  CHECK(ink(shot) > 20);
  cal_image_free(shot);
  cal_window_close(w);
}

TEST(a_target_that_is_lost_within_a_frame_ends_the_frame) {
  cal_error err = {0};
  cal_window *w = opened();
  cal_event e;
  if (!w) return;
  while (cal_event_next(w, 0.02, &e)) cal_event_free(&e);
  cal_canvas_begin(w, 0x204060ff);
  SDL_Event reset = {.type = SDL_RENDER_TARGETS_RESET};
  CHECK(sdl.PushEvent(&reset) == 1 && cal_event_next(w, 0.1, &e) && e.kind == CAL_EVENT_EXPOSE);
  cal_canvas_fill(w, 0, 0, 10, 10, 0xff);
  cal_canvas_show(w);
  CHECK(!cal_window_screenshot(w, &err) && err.code == CAL_E_NOTFOUND);
  cal_image *shot = text_shot(w, "again", 14, NULL);
  CHECK(ink(shot) > 20);
  cal_image_free(shot);
  cal_window_close(w);
}

TEST(no_window_is_larger_than_its_display_nor_has_to_be) {
  cal_error err = {0};
  setenv("CALOTYPE_SCALE", "4", 1);
  cal_window *w = cal_window_open(&(cal_window_options){.width = 4000, .height = 3000, .least_width = 800, .least_height = 600}, &err);
  unsetenv("CALOTYPE_SCALE");
  SDL_Rect room;
  if (!w || sdl.GetDisplayUsableBounds(0, &room)) return;
  CHECK(w->pixel_width <= room.w && w->pixel_height <= room.h);
  cal_window_close(w);
}

TEST(a_scale_is_the_same_however_wide_the_window_is) {
  static const double scales[] = {1, 1.25, 4.0 / 3, 1.5, 1.75, 2, 2.5, 3};
  for (size_t i = 0; i < sizeof scales / sizeof *scales; i++)
    for (int width = 320; width < 4000; width += 7)
      CHECK_NEAR(cal_window_scale((int)(width * scales[i] + 0.5) / (double)width), scales[i], 1e-9);
}

TEST(letters_take_bounded_memory_and_come_back_after_they_were_put_out) {
  cal_window *w = opened();
  if (!w) return;
  cal_image *first = text_shot(w, "The same words again", 15, NULL);
  cal_buffer text = {0};
  for (int size = 60; size <= 200; size += 20) { /* fewer than the table of letters holds */
    text.size = 0;
    for (int c = 0x21; c < 0x400; c += 1) cal_buffer_printf(&text, "%c%c", c < 0x80 ? c : 0xc0 | c >> 6, c < 0x80 ? ' ' : 0x80 | (c & 63));
    cal_canvas_begin(w, 0x000000ff);
    for (size_t at = 0; at + 20 < text.size; at += 20) /* each line begins inside of the window, so that all are drawn */
      cal_letters_draw(w, 0, 0, text.data + at, 20, &(cal_letter_style){.size = size}, 0xffffffff);
    cal_canvas_show(w);
    CHECK(cal_letters_bytes(w) <= 16u << 20);
  }
  CHECK(cal_letters_bytes(w) == 16u << 20);
  cal_image *again = text_shot(w, "The same words again", 15, NULL);
  CHECK(ink(first) > 100);
  CHECK(difference(first, again) == 0);
  cal_image_free(first);
  cal_image_free(again);
  cal_buffer_free(&text);
  cal_window_close(w);
}

TEST(what_no_font_has_is_a_box_with_its_number) {
  cal_window *w = opened();
  if (!w) return;
  double advance;
  cal_image *shot = text_shot(w, "\xf4\x8f\xbf\xbd", 14, &advance); /* U+10FFFD: for private use */
  CHECK_NEAR(advance, 17, 0.001);
  int left = 320, right = 0, top = 240, bottom = 0;
  for (int y = 0; shot && y < 240; y++)
    for (int x = 0; x < 320; x++)
      if (cal_image_at(shot, x, y)[0] > 60) {
        if (x < left) left = x;
        if (x > right) right = x;
        if (y < top) top = y;
        bottom = y;
      }
  CHECK(right - left + 1 == 15);
  CHECK(bottom - top + 1 == 15);
  /* The second digit of the upper row is a 0, left above: 3 columns of its first line are set, its middle is empty. */
  CHECK(shot && cal_image_at(shot, left + 6, top + 2)[0] == 255 && cal_image_at(shot, left + 7, top + 2)[0] == 255);
  CHECK(shot && cal_image_at(shot, left + 7, top + 4)[0] == 0);
  cal_image_free(shot);
  cal_image *seven = text_shot(w, "\x07", 14, &advance);
  CHECK_NEAR(advance, 13, 0.001);
  CHECK(ink(seven) > 20);
  cal_image_free(seven);
  cal_window_close(w);
}

TEST(what_is_nothing_to_be_seen_is_a_box_and_letters_keep_their_joiners) {
  cal_window *w = opened();
  if (!w) return;
  const cal_letter_style style = {.size = 14};
  static const char *const boxes[] = {"\xe2\x80\xae", "\xe2\x81\xa6", "\xe2\x80\x8b", "\xef\xbb\xbf", "\xe3\x85\xa4",
                                      "\xcd\x8f",     "\xc2\xad",     "\xe2\x80\x8d", "\xef\xb8\x8f"};
  for (size_t i = 0; i < sizeof boxes / sizeof *boxes; i++) {
    char text[16];
    double out[16];
    snprintf(text, sizeof text, "a%sb", boxes[i]);
    CHECK(cal_letters_advances(w, text, strlen(text), &style, out) == 4);
    CHECK(out[2] - out[1] > 8);
    double drawn;
    cal_image *with = text_shot(w, text, 14, &drawn), *without = text_shot(w, "ab", 14, NULL);
    CHECK_NEAR(drawn, out[3], 0.001);
    CHECK(difference(with, without) > 0);
    cal_image_free(with), cal_image_free(without);
  }
  static const char *const kept[] = {"\xd9\x85\xe2\x80\x8c", "\xf0\x9f\x91\xa9\xe2\x80\x8d", "\xe2\x9d\xa4\xef\xb8\x8f",
                                     "\xc2\xa9\xef\xb8\x8f", "1\xef\xb8\x8f\xe2\x83\xa3"};
  for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
    double out[16];
    cal_letters_advances(w, kept[i], strlen(kept[i]), &style, out);
    CHECK_NEAR(out[2], out[1], 0.001);
  }
  cal_window_close(w);
}

TEST(without_any_font_plain_letters_are_drawn_from_strokes) {
  cal_window *w = opened();
  if (!w) return;
  cal_fonts *fonts = cal_letters_fonts(w->letters);
  for (int i = 0; i < CAL_FONT_STYLES; i++) fonts->lengths[i] = 0;
  double advance;
  cal_image *shot = text_shot(w, "Plain letters, 37 %", 16, &advance);
  CHECK(advance > 100 && advance < 250);
  CHECK(ink(shot) > 100);
  CHECK(cal_letters_height(w, &(cal_letter_style){.size = 16}) >= 16);
  cal_image_free(shot);
  shot = text_shot(w, "\xc3\xa9", 16, &advance); /* not among them: a box */
  CHECK_NEAR(advance, 13, 0.001);
  cal_image_free(shot);
  cal_window_close(w);
}

TEST(a_file_that_is_no_font_is_passed_over) {
  cal_window *w = opened();
  if (!w) return;
  cal_fonts *fonts = cal_letters_fonts(w->letters);
  if (fonts->lengths[0] < 1) {
    cal_window_close(w);
    SKIP("no font is installed");
  }
  const int spare = fonts->count < CAL_FONTS_MOST ? fonts->count++ : CAL_FONTS_MOST - 1;
  cal_free(fonts->files[spare].path);
  fonts->files[spare] = (cal_font_file){cal_copy_text("/etc/passwd", NULL), 0};
  memmove(fonts->chains[0] + 1, fonts->chains[0], sizeof(int) * (CAL_FONTS_MOST - 1));
  fonts->chains[0][0] = spare;
  cal_image *shot = text_shot(w, "letters", 16, NULL);
  CHECK(ink(shot) > 50);
  cal_image_free(shot);
  cal_window_close(w);
}

static long face_of(const cal_fonts *fonts, const char *name) {
  for (int i = 0; fonts && i < fonts->count; i++)
    if (strstr(fonts->files[i].path, name)) return fonts->files[i].face;
  return -1;
}

TEST(only_collections_have_a_face_for_each_language) {
  cal_error err = {0};
  const char *top = getenv("CALOTYPE_TEST_TMP"), *home = getenv("HOME"), *language = getenv("LC_ALL");
  char *home_before = cal_copy_text(home ? home : "/", NULL), *language_before = language ? cal_copy_text(language, NULL) : NULL;
  char folder[1024], path[1200];
  snprintf(folder, sizeof folder, "%s/window-%ld/.fonts", top ? top : "/tmp", (long)getpid());
  cal_fs *fs = cal_fs_new("/", 0, &err);
  CHECK(fs && !cal_fs_grant(fs, "/", CAL_FS_WRITE, &err) && !cal_fs_make_folder(fs, folder, &err));
  static const char *const names[] = {"NotoSansCJKsc-Try.otf", "NotoSansCJK-Try.ttc"};
  for (int i = 0; fs && i < 2; i++) {
    snprintf(path, sizeof path, "%s/%s", folder, names[i]);
    CHECK(!cal_fs_write(fs, path, "", 0, &err));
  }
  cal_fs_free(fs);
  *strrchr(folder, '/') = 0;
  setenv("HOME", folder, 1);
  setenv("LC_ALL", "zh_CN.UTF-8", 1);
  cal_fonts *fonts = cal_fonts_find(&err);
  setenv("HOME", home_before, 1);
  if (language_before) setenv("LC_ALL", language_before, 1);
  else unsetenv("LC_ALL");
  CHECK(face_of(fonts, "NotoSansCJKsc-Try.otf") == 0);
  CHECK(face_of(fonts, "NotoSansCJK-Try.ttc") == 2);
  cal_fonts_free(fonts);
  cal_free(home_before);
  cal_free(language_before);
}

TEST(a_collection_of_fewer_languages_gives_its_first) {
  cal_window *w = opened();
  if (!w) return;
  cal_fonts *fonts = cal_letters_fonts(w->letters);
  if (fonts->lengths[0] < 1) {
    cal_window_close(w);
    SKIP("no font is installed");
  }
  double before, after;
  cal_image *shot = text_shot(w, "letters", 16, &before);
  cal_image_free(shot);
  cal_window_close(w);
  if (!(w = opened())) return;
  fonts = cal_letters_fonts(w->letters);
  fonts->files[fonts->chains[0][0]].face = 50;
  shot = text_shot(w, "letters", 16, &after);
  CHECK(ink(shot) > 50 && after == before);
  cal_image_free(shot);
  cal_window_close(w);
}

TEST(marks_joiners_and_tabs_take_the_room_they_should) {
  cal_window *w = opened();
  if (!w) return;
  const cal_letter_style style = {.size = 14};
  double a[64];
  /* e, combining acute, n; then after an Arabic letter a joiner, a variation selector */
  CHECK(cal_letters_advances(w, "e\xcc\x81n", 4, &style, a) == 4);
  CHECK(a[0] == 0 && a[1] > 0 && a[2] == a[1] && a[3] > a[2]);
  CHECK(cal_letters_advances(w, "e\xcc\x81n", 4, &(cal_letter_style){.size = 14, .mono = true}, a) == 4 && a[2] == a[1]);
  CHECK(cal_letters_advances(w, "\xd9\x85\xe2\x80\x8d\xef\xb8\x8f", 8, &style, a) == 4);
  CHECK(a[1] > 0 && a[2] == a[1] && a[3] == a[1]);
  CHECK(cal_letters_advances(w, "    ", 4, &style, a) == 5);
  const double stop = a[4];
  CHECK(cal_letters_advances(w, "\ta\t", 3, &style, a) == 4);
  CHECK(a[1] == stop && a[3] == 2 * stop);
  CHECK(cal_letters_advances(w, "", 0, &style, a) == 1 && a[0] == 0);
  /* The accent is drawn above the e, not beside it. */
  cal_image *plain = text_shot(w, "e", 40, NULL), *accent = text_shot(w, "e\xcc\x81", 40, NULL);
  CHECK(ink(accent) > ink(plain));
  int right = 0, beside = 0;
  for (int y = 0; plain && accent && y < 240; y++)
    for (int x = 0; x < 320; x++) {
      if (cal_image_at(plain, x, y)[0] > 60 && x > right) right = x;
      if (cal_image_at(accent, x, y)[0] > 60 && x > beside) beside = x;
    }
  CHECK(beside <= right + 2);
  cal_image_free(plain);
  cal_image_free(accent);
  cal_window_close(w);
}

TEST(any_bytes_are_drawn_as_wide_as_they_are_measured) {
  cal_window *w = opened();
  if (!w) return;
  unsigned number = 12345; /* seeded */
  char bytes[96];
  double a[97];
  for (int round = 0; round < 300; round++) {
    const size_t size = (size_t)round % sizeof bytes;
    for (size_t i = 0; i < size; i++) bytes[i] = (char)((number = number * 1664525u + 1013904223u) >> 24);
    const cal_letter_style style = {.size = 5 + round % 40, .bold = round & 1, .mono = round & 2};
    const size_t count = cal_letters_advances(w, bytes, size, &style, a);
    CHECK(count >= 1 && count <= size + 1);
    for (size_t i = 1; i < count; i++) CHECK(a[i] >= a[i - 1]);
    cal_canvas_begin(w, 0xff);
    CHECK(cal_letters_draw(w, 1, 1, bytes, size, &style, 0xffffffff) == a[count - 1]);
    cal_canvas_show(w);
  }
  cal_window_close(w);
}

TEST(numbers_that_are_none_draw_nothing_and_break_nothing) {
  static const double odd[] = {NAN, INFINITY, -INFINITY, 1e300, -1e300, 0, -1, 1e9, 5};
  cal_window *w = opened();
  if (!w) return;
  cal_canvas_begin(w, 0xff);
  for (int i = 0; i < 9 * 9; i++) {
    const double a = odd[i / 9], b = odd[i % 9];
    cal_canvas_fill(w, a, b, b, a, 0xffffffff);
    cal_canvas_frame(w, a, b, 10, b, 0xffffff80, a);
    cal_canvas_round(w, 5, a, b, 10, a, 0xffffff80);
    cal_canvas_lines(w, (double[]){a, 3, 50, 60}, 2, 0xffffff80, 1);
    cal_canvas_lines(w, (double[]){7, b, 50, 60}, 2, 0xffffff80, 1);
    if (fabs(a) < 1e8 && fabs(b) < 1e8) cal_canvas_lines(w, (double[]){a, b, 3, 4, b, a}, 3, 0xffffff80, a);
    else cal_canvas_lines(w, (double[]){a, b, 3, 4}, 2, 0xffffff80, 1);
    cal_canvas_clip(w, &(cal_area){a, b, a, b});
    cal_letters_draw(w, a, b, "x", 1, &(cal_letter_style){.size = b}, 0xff);
  }
  cal_canvas_show(w);
  cal_window_close(w);
}

TEST(a_full_memory_is_told_and_leaves_no_window_behind) {
  cal_error err = {0};
  cal_image *im = speckled(20, 20, 3);
  cal_window *w = NULL;
  long count = 0;
  for (; !w && count < 4000; count++) {
    err.code = CAL_OK;
    cal_memory_fail_after(count);
    w = cal_window_open(&(cal_window_options){.title = "test", .width = 320, .height = 240}, &err);
    cal_memory_fail_after(-1);
    if (!w && err.code != CAL_E_MEMORY) break;
  }
  CHECK(w && count > 1);
  for (count = 0; w && im && count < 8; count++) {
    cal_memory_fail_after(count);
    cal_texture *t = cal_texture_new(w, im, &err);
    cal_canvas_begin(w, 0xff);
    cal_letters_draw(w, 1, 1, "some words", 10, &(cal_letter_style){.size = 20 + (double)count}, 0xffffffff);
    cal_canvas_round(w, 1, 1, 60, 60, 5 + (double)count, 0xffffffff);
    cal_canvas_show(w);
    cal_image *shot = cal_window_screenshot(w, &err);
    cal_memory_fail_after(-1);
    cal_image_free(shot);
    cal_texture_free(t);
  }
  cal_image_free(im);
  cal_window_close(w);
}

TEST(wrong_settings_are_told_by_name) {
  cal_error err = {0};
  setenv("CALOTYPE_SCALE", "big", 1);
  CHECK(!cal_window_open(&(cal_window_options){0}, &err) && err.code == CAL_E_ARG);
  CHECK_TEXT(err.text, "CALOTYPE_SCALE is 'big': a number from 0.5 to 4");
  unsetenv("CALOTYPE_SCALE");
  setenv("CALOTYPE_FONT", "/nowhere/a.ttf", 1);
  CHECK(!cal_window_open(&(cal_window_options){0}, &err) && err.code == CAL_E_NOTFOUND && strstr(err.text, "CALOTYPE_FONT"));
  setenv("CALOTYPE_FONT", "/etc", 1);
  CHECK(!cal_window_open(&(cal_window_options){0}, &err) && strstr(err.text, "CALOTYPE_FONT"));
  unsetenv("CALOTYPE_FONT");
  setenv("SDL_VIDEODRIVER", "nonsense", 1);
  CHECK(!cal_window_open(&(cal_window_options){0}, &err) && err.code == CAL_E_MISSING && strstr(err.text, "there is no display"));
  setenv("SDL_VIDEODRIVER", "dummy", 1);
  cal_window *w = opened();
  CHECK(w != NULL);
  cal_window_close(w);
}

TEST_MAIN()
