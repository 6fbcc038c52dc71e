#include <stdlib.h>
#include <unistd.h>

#include "core/base/interrupt.h"
#include "core/base/memory.h"
#include "core/base/random.h"
#include "core/base/thread.h"
#include "core/image/decode.h"
#include "core/image/draw.h"
#include "core/image/encode.h"
#include "core/image/measure.h"
#include "core/image/resize.h"
#include "core/image/text.h"
#include "test.h"

static const char *const files[] = {"jpeg-orient6.jpg",
                                    "jpeg-progressive.jpg",
                                    "jpeg-cmyk.jpg",
                                    "png-rgb8-interlaced.png",
                                    "png-palette-alpha.png",
                                    "gif-interlaced.gif",
                                    "bmp.bmp",
                                    "bmp-palette.bmp",
                                    "webp.webp",
                                    "webp-animated.webp",
                                    "webp-orient6.webp",
                                    "tiff.tif",
                                    "qoi.qoi",
                                    "pnm.ppm"};
enum { FILES = sizeof files / sizeof *files };

static cal_fs *open_goldens(void) {
  cal_fs *fs = cal_fs_new(NULL, 0, NULL);
  if (fs) cal_fs_grant(fs, "tests/golden/image", CAL_FS_READ, NULL);
  return fs;
}

static cal_buffer read_golden(const char *name) {
  cal_buffer bytes = {0};
  char path[128];
  cal_fs *fs = open_goldens();
  snprintf(path, sizeof path, "tests/golden/image/%s", name);
  cal_error err = {0};
  if (cal_fs_read(fs, path, 0, &bytes, &err)) printf("%s\n", err.text);
  cal_fs_free(fs);
  return bytes;
}

/* A refusal has a code, a sentence and no picture; what is not refused can be looked at. */
static void decode_hostile(const char *name, const void *bytes, size_t size) {
  cal_error err = {0};
  cal_measures m;
  cal_image_info info;
  cal_image *im = cal_image_decode(bytes, size, name, &(cal_image_hint){.max_pixels = 1 << 22}, &info, &err);
  if (!im) CHECK(err.code && err.text[0]);
  else CHECK(cal_image_measure(im, &info, &m, &err) == CAL_OK);
  cal_image_free(im);
}

TEST(flipped_bits_are_refused_or_give_a_picture) {
  const uint64_t seed = 20261121;
  printf("seed %llu\n", (unsigned long long)seed);
  for (int f = 0; f < FILES; f++) {
    cal_random r = cal_random_seed(seed, (uint64_t)f);
    cal_buffer bytes = read_golden(files[f]);
    CHECK(bytes.size > 0);
    for (int round = 0; round < 300 && bytes.size; round++) {
      size_t at[4];
      unsigned char before[4];
      const int flips = 1 + (int)cal_random_below(&r, 4);
      for (int i = 0; i < flips; i++) { /* half of them in the header, where they hurt */
        at[i] = cal_random_below(&r, cal_random_below(&r, 2) && bytes.size > 64 ? 64 : bytes.size);
        before[i] = (unsigned char)bytes.data[at[i]];
        bytes.data[at[i]] = (char)(bytes.data[at[i]] ^ (1 << cal_random_below(&r, 8)));
      }
      decode_hostile(files[f], bytes.data, bytes.size);
      for (int i = flips; i-- > 0;) bytes.data[at[i]] = (char)before[i];
    }
    cal_buffer_free(&bytes);
  }
}

TEST(noise_behind_a_magic_number_is_refused) {
  static const struct {
    const char *bytes;
    size_t size;
  } magics[] = {{"\xff\xd8\xff\xe1", 4},
                {"\x89PNG\r\n\x1a\n", 8},
                {"GIF89a", 6},
                {"RIFF\xff\0\0\0WEBPVP8X", 16},
                {"BM", 2},
                {"II*\0", 4},
                {"qoif", 4},
                {"P6 ", 3}};
  cal_random r = cal_random_seed(7, 0);
  for (size_t k = 0; k < sizeof magics / sizeof *magics; k++)
    for (int round = 0; round < 60; round++) {
      unsigned char noise[300];
      for (size_t i = 0; i < sizeof noise; i++) noise[i] = (unsigned char)(cal_random_bits(&r) & (round % 2 ? 0xff : 0x03));
      memcpy(noise, magics[k].bytes, magics[k].size);
      decode_hostile("noise", noise, sizeof noise);
    }
}

/* In `count` runs the n-th allocation fails, until none does: each run ends with an error or a result, and leaks nothing. */
static int sweep(cal_status (*work)(void *context, cal_error *err), void *context) {
  for (long n = 0; n < 1000; n++) {
    const size_t before = cal_memory_in_use();
    cal_error err = {0};
    cal_memory_fail_after(n);
    cal_status status = work(context, &err);
    cal_memory_fail_after(-1);
    CHECK(cal_memory_in_use() == before);
    if (status == CAL_OK) return (int)n;
    CHECK(status == CAL_E_MEMORY && err.code == CAL_E_MEMORY);
    if (status != CAL_E_MEMORY) printf("allocation %ld: %s\n", n, err.text);
  }
  return -1;
}

static cal_status decode_one(void *context, cal_error *err) {
  const cal_buffer *bytes = context;
  cal_image *im = cal_image_decode(bytes->data, bytes->size, "x", NULL, NULL, err);
  cal_image_free(im);
  return im ? CAL_OK : err->code;
}

TEST(decoding_survives_every_failing_allocation) {
  for (int f = 0; f < FILES; f++) {
    cal_buffer bytes = read_golden(files[f]);
    decode_hostile(files[f], bytes.data, bytes.size); /* opens what is opened once */
    CHECK(sweep(decode_one, &bytes) >= 2);
    cal_buffer_free(&bytes);
  }
}

static cal_status work_on(void *context, cal_error *err) {
  static const unsigned char red[4] = {255, 0, 0, 200};
  const cal_image *im = context;
  cal_measures m;
  cal_buffer out = {0};
  cal_image *small = NULL, *flat = NULL, *turned = NULL, *part = NULL;
  cal_status status = CAL_E_MEMORY;
  if (!(small = cal_image_resize(im, 17, 23, CAL_LANCZOS3, err)) || !(flat = cal_image_rgb(small, NULL, err)) ||
      !(turned = cal_image_rotate(flat, 1, err)) || !(part = cal_image_crop(turned, 1, 2, 5, 6, err)))
    goto done;
  if ((status = cal_image_measure(im, NULL, &m, err)) || (status = cal_draw_circle(part, 2, 2, 2, red, err)) ||
      (status = cal_draw_text(part, 0, 0, "a", 10, red, err)) || (status = cal_image_encode(small, CAL_IMAGE_JPEG, NULL, &out, err)))
    goto done;
  status =
      cal_image_encode(small, CAL_IMAGE_PNG, &(cal_encode_options){.text = &(cal_png_text){"key", "\xc3\xa9"}, .text_count = 1}, &out, err);
done:
  cal_image_free(small);
  cal_image_free(flat);
  cal_image_free(turned);
  cal_image_free(part);
  cal_buffer_free(&out);
  return status;
}

TEST(resizing_measuring_drawing_and_encoding_survive_every_failing_allocation) {
  cal_image *im = cal_image_new(600, 40, 4, NULL);
  CHECK(im && sweep(work_on, im) > 20);
  cal_image_free(im);
}

static cal_status load_one(void *context, cal_error *err) {
  cal_fs *fs = context;
  cal_image_info info;
  cal_image *im = NULL;
  cal_status status = cal_image_probe(fs, "tests/golden/image/jpeg-orient6.jpg", &info, err);
  if (status) return status;
  im = cal_image_load(fs, "tests/golden/image/jpeg-orient6.jpg", NULL, &info, err);
  cal_image_free(im);
  return im ? CAL_OK : err->code;
}

TEST(probing_and_loading_survive_every_failing_allocation) {
  cal_fs *fs = open_goldens();
  CHECK(sweep(load_one, fs) > 3);
  cal_fs_free(fs);
}

typedef struct {
  cal_buffer bytes[FILES];
  uint64_t expected[FILES];
} crowd;

static cal_status hash_of(const cal_buffer *bytes, uint64_t *hash, cal_error *err) {
  uint64_t hashes[CAL_HASH_VARIANTS];
  cal_image *im = cal_image_decode(bytes->data, bytes->size, "x", NULL, NULL, err);
  cal_status status = im ? cal_image_hash(im, hashes, err) : err->code;
  cal_image_free(im);
  *hash = hashes[0];
  return status;
}

static cal_status decode_in_crowd(void *context, size_t index, cal_error *err) {
  crowd *c = context;
  uint64_t hash = 0;
  cal_status status = hash_of(&c->bytes[index % FILES], &hash, err);
  if (!status && hash != c->expected[index % FILES]) status = cal_fail(err, CAL_E_FORMAT, "%s differs", files[index % FILES]);
  return status;
}

TEST(many_threads_decode_the_same_pictures) {
  crowd c = {0};
  cal_error err = {0};
  for (int f = 0; f < FILES; f++) {
    c.bytes[f] = read_golden(files[f]);
    CHECK(hash_of(&c.bytes[f], &c.expected[f], &err) == CAL_OK);
  }
  if (cal_parallel(FILES * 60, decode_in_crowd, &c, NULL, &err)) {
    printf("%s\n", err.text);
    CHECK(!"all equal");
  }
  for (int f = 0; f < FILES; f++) cal_buffer_free(&c.bytes[f]);
}

TEST(exif_orientation_is_read_in_both_byte_orders_and_never_beyond_the_block) {
  unsigned char exif[26] = "MM\0*\0\0\0\10\0\1\1\22\0\3\0\0\0\1\0\6\0\0\0\0\0";
  CHECK(cal_image_exif_orientation(exif, sizeof exif) == 6);
  CHECK(cal_image_exif_orientation((const unsigned char *)"II*\0\10\0\0\0\1\0\22\1\3\0\1\0\0\0\3\0\0\0", 22) == 3);
  for (size_t size = 0; size < 20; size++) CHECK(cal_image_exif_orientation(exif, size) == 1);
  exif[19] = 9; /* no such orientation */
  CHECK(cal_image_exif_orientation(exif, sizeof exif) == 1);
  exif[4] = 0xff; /* a directory far outside */
  CHECK(cal_image_exif_orientation(exif, sizeof exif) == 1);
}

TEST(the_measures_are_found_by_name) {
  cal_measures m;
  cal_error err = {0};
  cal_image *im = cal_image_new(40, 30, 3, &err);
  cal_image_info info = {.format = CAL_IMAGE_JPEG, .width = 300, .height = 400, .orientation = 6};
  CHECK(im && cal_image_measure(im, &info, &m, &err) == CAL_OK);
  CHECK(m.width == 400 && m.height == 300 && m.format == CAL_IMAGE_JPEG && m.orientation == 6);
  CHECK(cal_measures_of(&m, "gray") && *cal_measures_of(&m, "gray") == 1);
  CHECK(!cal_measures_of(&m, "beauty"));
  int values = 0;
  for (int i = 0; cal_measure_row_at(i); i++) values += cal_measure_row_at(i)->count;
  CHECK(values > 5 && values <= CAL_MEASURE_VALUES);
  CHECK(!cal_measure_row_at(-1));
  cal_image_free(im);
}

TEST(the_eight_transforms_have_eight_names) {
  for (int a = 0; a < CAL_HASH_VARIANTS; a++)
    for (int b = 0; b < a; b++) CHECK(strcmp(cal_image_transform_name(a), cal_image_transform_name(b)) != 0);
  CHECK_TEXT(cal_image_transform_name(0), "same");
}

TEST(drawing_a_polygon_of_many_points_stops_at_ctrl_c_and_a_small_one_is_finished) {
  enum { MANY = 100000 };
  cal_error err = {0};
  cal_image *im = cal_image_new(40, 40, 3, &err), *whole = cal_image_new(40, 40, 3, &err);
  double *many = cal_alloc(2 * MANY * sizeof *many, &err);
  const double small[] = {0, 0, 40, 0, 0, 40};
  const unsigned char gray[] = {99, 99, 99, 255};
  CHECK(im && whole && many);
  if (!im || !whole || !many) return;
  for (int i = 0; i < MANY; i++) many[2 * i] = i % 40, many[2 * i + 1] = i % 2 * 40;
  CHECK(cal_draw_polygon(whole, small, 3, gray, &err) == CAL_OK);
  cal_interrupt_raise();
  CHECK(cal_draw_polygon(im, small, 3, gray, &err) == CAL_OK);
  CHECK(memcmp(cal_image_at(im, 0, 0), cal_image_at(whole, 0, 0), 40 * 40 * 3) == 0);
  CHECK(cal_draw_polygon(im, many, MANY, gray, &err) == CAL_E_INTERRUPT);
  cal_interrupt_clear();
  cal_free(many);
  cal_image_free(im);
  cal_image_free(whole);
}

TEST(encoding_what_takes_a_while_stops_at_ctrl_c_and_all_else_is_finished) {
  static const cal_image_format formats[] = {CAL_IMAGE_PNG, CAL_IMAGE_JPEG};
  cal_error err = {0};
  cal_image *im = cal_image_new(40, 400, 3, &err);
  cal_progress *bar = cal_progress_new("writing", 400);
  CHECK(im && bar);
  if (!im || !bar) return;
  for (int f = 0; f < 2; f++) {
    cal_buffer whole = {0}, watched = {0}, part = {0};
    CHECK(cal_image_encode(im, formats[f], NULL, &whole, &err) == CAL_OK);
    CHECK(cal_image_encode(im, formats[f], &(cal_encode_options){.progress = bar}, &watched, &err) == CAL_OK);
    CHECK(whole.size == watched.size && memcmp(whole.data, watched.data, whole.size) == 0);
    cal_buffer_free(&watched);
    cal_interrupt_raise();
    CHECK(cal_image_encode(im, formats[f], &(cal_encode_options){.progress = bar}, &part, &err) == CAL_E_INTERRUPT);
    CHECK_TEXT(err.text, "interrupted");
    CHECK(part.size < whole.size);
    CHECK(cal_image_encode(im, formats[f], NULL, &watched, &err) == CAL_OK);
    CHECK(whole.size == watched.size);
    cal_interrupt_clear();
    cal_buffer_free(&whole);
    cal_buffer_free(&watched);
    cal_buffer_free(&part);
  }
  cal_progress_free(bar);
  cal_image_free(im);
}

/* What is said on stderr while a picture is encoded whose bar began a second ago. */
static void encode_slowly(const cal_image *im, cal_image_format format, cal_progress *bar, char *said, size_t size) {
  cal_error err = {0};
  cal_buffer bytes = {0};
  FILE *file = tmpfile();
  const int stderr_before = dup(STDERR_FILENO);
  CHECK(file && stderr_before >= 0);
  fflush(stderr);
  dup2(fileno(file), STDERR_FILENO);
  const cal_status status = cal_image_encode(im, format, &(cal_encode_options){.progress = bar}, &bytes, &err);
  fflush(stderr);
  dup2(stderr_before, STDERR_FILENO);
  close(stderr_before);
  rewind(file);
  said[fread(said, 1, size - 1, file)] = 0;
  fclose(file);
  CHECK(status == CAL_OK);
  cal_buffer_free(&bytes);
}

TEST(encoding_what_takes_a_while_says_how_many_rows_are_done) {
  cal_error err = {0};
  cal_image *im = cal_image_new(2000, 400, 3, &err);
  setenv("CALOTYPE_PROGRESS", "0.1", 1);
  cal_progress *bars[] = {cal_progress_new("a PNG", 400), cal_progress_new("a JPEG", 400)};
  unsetenv("CALOTYPE_PROGRESS");
  usleep(1050000);
  char said[2][4096];
  encode_slowly(im, CAL_IMAGE_PNG, bars[0], said[0], sizeof said[0]);
  encode_slowly(im, CAL_IMAGE_JPEG, bars[1], said[1], sizeof said[1]);
  int png = -1, jpeg = -1;
  CHECK(sscanf(said[0], " a PNG [%*[= ]] %d/400", &png) == 1 && png >= 1 && png <= 400);
  CHECK(sscanf(said[1], " a JPEG [%*[= ]] %d/400", &jpeg) == 1 && jpeg >= 0 && jpeg <= 400);
  for (int f = 0; f < 2; f++) cal_progress_free(bars[f]);
  cal_image_free(im);
}

TEST_MAIN()
