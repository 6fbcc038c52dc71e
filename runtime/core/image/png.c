#include "core/image/png.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <png.h>

#include "core/base/interrupt.h"
#include "core/base/memory.h"

/* libpng reports and allocates through this; it never comes back from an error, and nothing is printed. */
typedef struct {
  jmp_buf out;
  char text[160];
  bool no_memory;
} trouble;

static void leave(png_structp png, png_const_charp message) {
  trouble *t = png_get_error_ptr(png);
  snprintf(t->text, sizeof t->text, "%s", message);
  longjmp(t->out, 1);
}

/* What libpng only warns of can cost pixels, so that all of it is refused but these: data behind the last pixel, and
 * chunks that mean nothing in a picture of this kind. Should libpng change a sentence, such files are refused. */
static void heed(png_structp png, png_const_charp message) {
  static const char *const harmless[] = {"Extra compressed data", "Too much image data", "invalid with alpha channel",
                                         "ignored in grayscale PNG"};
  if (((trouble *)png_get_error_ptr(png))->no_memory) return; /* zlib is asking, and must come to its own clean-up */
  for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
    if (strstr(message, harmless[i])) return;
  leave(png, message);
}

static png_voidp take(png_structp png, png_alloc_size_t bytes) {
  void *block = cal_alloc(bytes, NULL);
  if (!block) ((trouble *)png_get_mem_ptr(png))->no_memory = true;
  return block;
}

static void give(png_structp png, png_voidp block) {
  (void)png;
  cal_free(block);
}

/* --- Reading ------------------------------------------------------------------------------------------------------ */
typedef struct {
  trouble trouble;
  png_structp png;
  png_infop info;
  const unsigned char *bytes;
  size_t size, at, chunk; /* chunk: where the chunk being read begins */
  bool cut;
  unsigned char *indexes; /* of a picture with a palette */
  cal_image *im;
} decoder;

static void feed(png_structp png, png_bytep to, size_t count) {
  decoder *d = png_get_io_ptr(png);
  if ((png_get_io_state(png) & PNG_IO_MASK_LOC) == PNG_IO_CHUNK_HDR) d->chunk = d->at;
  if (count > d->size - d->at) {
    d->cut = true;
    png_error(png, "cut off");
  }
  memcpy(to, d->bytes + d->at, count);
  d->at += count;
}

/* libpng's own expansion does not look whether an index is in the palette. */
static cal_status colour(decoder *d) {
  png_colorp palette = NULL;
  png_bytep alpha = NULL;
  int colours = 0, alphas = 0;
  png_get_PLTE(d->png, d->info, &palette, &colours);
  png_get_tRNS(d->png, d->info, &alpha, &alphas, NULL);
  const unsigned char *index = d->indexes;
  for (int y = 0; y < d->im->height; y++)
    for (int x = 0; x < d->im->width; x++, index++) {
      if (*index >= colours) {
        snprintf(d->trouble.text, sizeof d->trouble.text, "row %d has colour %d, which is not in the palette of %d", y, *index, colours);
        return CAL_E_FORMAT;
      }
      unsigned char *to = cal_image_at(d->im, x, y);
      to[0] = palette[*index].red;
      to[1] = palette[*index].green;
      to[2] = palette[*index].blue;
      if (d->im->channels == 4) to[3] = *index < alphas ? alpha[*index] : 255;
    }
  return CAL_OK;
}

/* Everything that may jump out lies here; what it owns lies in `d`, so that no local is lost by the jump. */
static cal_status decode(decoder *d, cal_error *err) {
  if (setjmp(d->trouble.out)) return d->trouble.no_memory ? CAL_E_MEMORY : CAL_E_FORMAT;
  d->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &d->trouble, leave, heed, &d->trouble, take, give);
  if (!d->png || !(d->info = png_create_info_struct(d->png))) return CAL_E_MEMORY;
  png_structp png = d->png;
  png_set_read_fn(png, d, feed);
  png_set_user_limits(png, CAL_IMAGE_SIDE, CAL_IMAGE_SIDE);
  png_set_chunk_malloc_max(png, 0); /* long profiles and texts are skipped, not kept */
  png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1); /* all but IHDR, PLTE, tRNS, IDAT and IEND */
  png_set_benign_errors(png, 1);                                      /* they come to heed() */
  png_read_info(png, d->info);

  const unsigned width = png_get_image_width(png, d->info), height = png_get_image_height(png, d->info);
  const unsigned type = png_get_color_type(png, d->info);
  const bool see_through = (type & PNG_COLOR_MASK_ALPHA) || png_get_valid(png, d->info, PNG_INFO_tRNS);
  /* deflate packs at most 1032 : 1, so that a lie about the size is seen before the memory is asked for */
  if ((uint64_t)png_get_rowbytes(png, d->info) * height / 1040 > d->size) {
    snprintf(d->trouble.text, sizeof d->trouble.text, "%u x %u pixels cannot be in %zu bytes", width, height, d->size);
    return CAL_E_FORMAT;
  }
  d->im = cal_image_new((int)width, (int)height, see_through ? 4 : 3, err);
  if (!d->im) return err ? err->code : CAL_E_MEMORY;
  unsigned char *pixels = d->im->pixels;
  size_t row = (size_t)width * (size_t)d->im->channels;
  if (type == PNG_COLOR_TYPE_PALETTE) {
    row = width;
    pixels = d->indexes = cal_alloc(row * height, err);
    if (!pixels) return CAL_E_MEMORY;
    png_set_packing(png); /* one index per byte */
  } else {
    if (type == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(png);
    if (png_get_valid(png, d->info, PNG_INFO_tRNS)) png_set_tRNS_to_alpha(png);
    png_set_strip_16(png);
    png_set_gray_to_rgb(png);
  }
  const int passes = png_set_interlace_handling(png);
  png_read_update_info(png, d->info);
  if (png_get_rowbytes(png, d->info) != row) png_error(png, "rows of an unexpected length");
  for (int pass = 0; pass < passes; pass++)
    for (unsigned y = 0; y < height; y++) png_read_row(png, pixels + y * row, NULL);
  png_read_end(png, NULL);
  if (d->trouble.no_memory) return CAL_E_MEMORY;
  return d->indexes ? colour(d) : CAL_OK;
}

cal_image *cal_png_decode(const unsigned char *bytes, size_t size, const char *name, cal_error *err) {
  decoder *d = cal_alloc_zero(1, sizeof *d, err);
  if (!d) return NULL;
  d->bytes = bytes;
  d->size = size;
  cal_status status = decode(d, err);
  if (status == CAL_E_FORMAT && d->cut)
    cal_fail(err, status, "%s: the PNG is cut off: a chunk that begins at byte %zu goes on after byte %zu, the end of the file", name,
             d->chunk, size);
  else if (status == CAL_E_FORMAT) cal_fail(err, status, "%s: broken PNG: %s (at byte %zu)", name, d->trouble.text, d->chunk);
  else if (status == CAL_E_MEMORY) cal_fail(err, status, "%s: not enough memory to decode the PNG", name);
  cal_image *im = d->im;
  if (status) cal_image_free(im), im = NULL;
  png_destroy_read_struct(&d->png, &d->info, NULL);
  cal_free(d->indexes);
  cal_free(d);
  return im;
}

/* --- Writing ------------------------------------------------------------------------------------------------------ */
typedef struct {
  trouble trouble;
  png_structp png;
  png_infop info;
  cal_buffer *out;
} encoder;

static void store(png_structp png, png_bytep bytes, size_t count) {
  encoder *e = png_get_io_ptr(png);
  cal_buffer_add(e->out, bytes, count);
  if (!e->out->failed) return;
  e->trouble.no_memory = true;
  png_error(png, "not enough memory");
}

static void store_all(png_structp png) { (void)png; }

static cal_status add_text(encoder *e, const cal_png_text *text, cal_error *err) {
  const size_t length = strlen(text->key), value_length = strlen(text->value);
  bool fine = length >= 1 && length <= 79 && text->key[0] != ' ' && text->key[length - 1] != ' ' && !strstr(text->key, "  ");
  bool ascii = true;
  for (const char *c = text->key; *c; c++) fine = fine && *c >= ' ' && *c <= '~';
  if (!fine)
    return cal_fail(err, CAL_E_ARG, "png: a text's key has 1 to 79 printable ASCII characters without spaces at its ends or two in a row");
  if (!cal_utf8_valid(text->value, value_length, NULL)) return cal_fail(err, CAL_E_ARG, "png: the text '%s' is not UTF-8", text->key);
  if (value_length > INT32_MAX - 128) return cal_fail(err, CAL_E_LIMIT, "png: the text '%s' is too long", text->key);
  for (const char *c = text->value; *c; c++) ascii = ascii && (unsigned char)*c < 128;
  const png_text entry = {
      .compression = ascii ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE, .key = (char *)text->key, .text = (char *)text->value};
  png_set_text(e->png, e->info, &entry, 1);
  return CAL_OK;
}

static cal_status encode(encoder *e, const cal_image *im, const cal_png_text *text, size_t text_count, cal_progress *progress,
                         cal_error *err) {
  if (setjmp(e->trouble.out))
    return e->trouble.no_memory ? CAL_E_MEMORY : cal_fail(err, CAL_E_ARG, "png: %d x %d: %s", im->width, im->height, e->trouble.text);
  e->png = png_create_write_struct_2(PNG_LIBPNG_VER_STRING, &e->trouble, leave, heed, &e->trouble, take, give);
  if (!e->png || !(e->info = png_create_info_struct(e->png))) return CAL_E_MEMORY;
  png_set_write_fn(e->png, e, store, store_all);
  png_set_user_limits(e->png, CAL_IMAGE_SIDE, CAL_IMAGE_SIDE);
  png_set_compression_level(e->png, 6);
  png_set_IHDR(e->png, e->info, (unsigned)im->width, (unsigned)im->height, 8,
               im->channels == 1   ? PNG_COLOR_TYPE_GRAY
               : im->channels == 3 ? PNG_COLOR_TYPE_RGB
                                   : PNG_COLOR_TYPE_RGBA,
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_BASE, PNG_FILTER_TYPE_BASE);
  for (size_t i = 0; i < text_count; i++) {
    cal_status status = add_text(e, &text[i], err);
    if (status) return status;
  }
  png_write_info(e->png, e->info);
  for (int y = 0; y < im->height; y++) {
    if (progress && cal_interrupt_check(err)) return CAL_E_INTERRUPT;
    png_write_row(e->png, cal_image_at(im, 0, y));
    cal_progress_set(progress, (size_t)y + 1);
  }
  png_write_end(e->png, NULL);
  return e->trouble.no_memory ? CAL_E_MEMORY : CAL_OK;
}

cal_status cal_png_encode(const cal_image *im, const cal_png_text *text, size_t text_count, cal_progress *progress, cal_buffer *out,
                          cal_error *err) {
  encoder *e = cal_alloc_zero(1, sizeof *e, err);
  if (!e) return CAL_E_MEMORY;
  e->out = out;
  cal_status status = encode(e, im, text, text_count, progress, err);
  if (status == CAL_E_MEMORY) cal_fail(err, status, "png: not enough memory for %d x %d pixels", im->width, im->height);
  png_destroy_write_struct(&e->png, &e->info);
  cal_free(e);
  return status;
}
