#include "core/image/jpeg.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>

#include "core/base/interrupt.h"
#include "core/base/memory.h"

/* A progressive file may repeat scans over a large picture for minutes of work in a few kilobytes; real ones have about
 * ten (the standard's spectral selection and bit planes allow some hundred). */
enum { MOST_SCANS = 200 };

/* libjpeg reports through this; it never returns to libjpeg, and nothing is printed. */
typedef struct {
  struct jpeg_error_mgr base;
  jmp_buf out;
  char text[JMSG_LENGTH_MAX];
  bool cut;
} trouble;

static void leave(j_common_ptr info) {
  trouble *t = (trouble *)info->err;
  if (!t->cut) t->base.format_message(info, t->text);
  longjmp(t->out, 1);
}

/* Level -1 is a warning. These do not touch a pixel: stray bytes between segments, a strange version number or colour
 * mark, an odd order of refinements. All others say that data was lost, and end the decoding. */
static void heed(j_common_ptr info, int level) {
  if (level >= 0) return;
  switch (info->err->msg_code) {
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_JFIF_MAJOR:
    case JWRN_ADOBE_XFORM:
    case JWRN_BOGUS_PROGRESSION: break;
    default: leave(info);
  }
}

static void keep_silent(j_common_ptr info) { (void)info; }

static void trouble_start(trouble *t) {
  jpeg_std_error(&t->base);
  t->base.error_exit = leave;
  t->base.emit_message = heed;
  t->base.output_message = keep_silent;
}

/* --- Reading ------------------------------------------------------------------------------------------------------ */
typedef struct {
  struct jpeg_decompress_struct c;
  struct jpeg_source_mgr source;
  struct jpeg_progress_mgr progress;
  trouble trouble;
  cal_image *im;
  unsigned char *line; /* one row of CMYK */
} decoder;

static void source_nothing(j_decompress_ptr c) { (void)c; }

static boolean source_end(j_decompress_ptr c) {
  ((trouble *)c->err)->cut = true;
  leave((j_common_ptr)c);
  return FALSE;
}

static void source_skip(j_decompress_ptr c, long count) {
  if (count <= 0) return;
  if ((size_t)count > c->src->bytes_in_buffer) {
    c->src->next_input_byte += c->src->bytes_in_buffer;
    c->src->bytes_in_buffer = 0;
    source_end(c);
  }
  c->src->next_input_byte += count;
  c->src->bytes_in_buffer -= (size_t)count;
}

static void count_scans(j_common_ptr info) {
  if (((j_decompress_ptr)info)->input_scan_number <= MOST_SCANS) return;
  trouble *t = (trouble *)info->err;
  snprintf(t->text, sizeof t->text, "more than %d scans", MOST_SCANS);
  longjmp(t->out, 1);
}

static int reduction(int side, int min_side) {
  if (min_side < 1) return 1;
  for (int by = 8; by > 1; by /= 2)
    if (side / by >= 2LL * min_side) return by;
  return 1;
}

/* Photoshop's CMYK is stored inverted, and says so by its Adobe segment. */
static void cmyk_to_rgb(const unsigned char *from, unsigned char *to, size_t count, bool inverted) {
  for (size_t i = 0; i < count; i++, from += 4, to += 3)
    for (int k = 0; k < 3; k++) {
      unsigned a = inverted ? from[k] : 255u - from[k], b = inverted ? from[3] : 255u - from[3];
      to[k] = (unsigned char)((a * b + 127) / 255);
    }
}

/* Everything that may jump out lies here; what it owns lies in `d`, so that no local is lost by the jump. */
static cal_status decode(decoder *d, int min_side, cal_error *err) {
  if (setjmp(d->trouble.out)) return CAL_E_FORMAT;
  struct jpeg_decompress_struct *c = &d->c;
  jpeg_read_header(c, TRUE);
  const bool four = c->num_components == 4;
  if (c->num_components != 1 && c->num_components != 3 && !four) {
    snprintf(d->trouble.text, sizeof d->trouble.text, "%d components", c->num_components);
    return CAL_E_FORMAT;
  }
  c->out_color_space = four ? JCS_CMYK : JCS_RGB;
  c->scale_num = 1;
  c->scale_denom = (unsigned)reduction((int)(c->image_width < c->image_height ? c->image_width : c->image_height), min_side);
  d->progress.progress_monitor = count_scans;
  c->progress = &d->progress;
  jpeg_start_decompress(c);
  d->im = cal_image_new((int)c->output_width, (int)c->output_height, 3, err);
  if (!d->im) return CAL_E_MEMORY;
  if (four && !(d->line = cal_alloc((size_t)c->output_width * 4, err))) return CAL_E_MEMORY;
  while (c->output_scanline < c->output_height) {
    unsigned char *row = cal_image_at(d->im, 0, (int)c->output_scanline);
    jpeg_read_scanlines(c, four ? &d->line : &row, 1);
    if (four) cmyk_to_rgb(d->line, row, c->output_width, c->saw_Adobe_marker);
  }
  jpeg_finish_decompress(c);
  return CAL_OK;
}

cal_image *cal_jpeg_decode(const unsigned char *bytes, size_t size, const char *name, int min_side, cal_error *err) {
  decoder *d = cal_alloc_zero(1, sizeof *d, err);
  if (!d) return NULL;
  trouble_start(&d->trouble);
  d->c.err = &d->trouble.base;
  if (setjmp(d->trouble.out)) { /* only for the lines below: no memory inside libjpeg */
    cal_free(d);
    return cal_fail(err, CAL_E_MEMORY, "%s: not enough memory for the JPEG decoder", name), NULL;
  }
  jpeg_create_decompress(&d->c);
  d->source = (struct jpeg_source_mgr){.next_input_byte = bytes,
                                       .bytes_in_buffer = size,
                                       .init_source = source_nothing,
                                       .fill_input_buffer = source_end,
                                       .skip_input_data = source_skip,
                                       .resync_to_restart = jpeg_resync_to_restart,
                                       .term_source = source_nothing};
  d->c.src = &d->source;
  cal_status status = decode(d, min_side, err);
  const size_t at = size - d->source.bytes_in_buffer;
  if (status == CAL_E_FORMAT && d->trouble.cut)
    cal_fail(err, status, "%s: the JPEG is cut off: it goes on after byte %zu, the end of the file", name, size);
  else if (status == CAL_E_FORMAT && d->trouble.base.msg_code == JERR_OUT_OF_MEMORY)
    cal_fail(err, CAL_E_MEMORY, "%s: not enough memory for the JPEG decoder", name);
  else if (status == CAL_E_FORMAT) cal_fail(err, status, "%s: broken JPEG at byte %zu of %zu: %s", name, at, size, d->trouble.text);
  cal_image *im = d->im;
  if (status) cal_image_free(im), im = NULL;
  jpeg_destroy_decompress(&d->c);
  cal_free(d->line);
  cal_free(d);
  return im;
}

/* --- Writing ------------------------------------------------------------------------------------------------------ */
typedef struct {
  struct jpeg_compress_struct c;
  struct jpeg_destination_mgr target;
  trouble trouble;
  struct jpeg_progress_mgr monitor;
  cal_progress *progress;
  bool stopped;
  cal_buffer *out;
  unsigned char bytes[16384];
} encoder;

static void target_reset(j_compress_ptr c) {
  encoder *e = c->client_data;
  e->target.next_output_byte = e->bytes;
  e->target.free_in_buffer = sizeof e->bytes;
}

static boolean target_full(j_compress_ptr c) {
  encoder *e = c->client_data;
  cal_buffer_add(e->out, e->bytes, sizeof e->bytes);
  target_reset(c);
  return TRUE;
}

static void target_end(j_compress_ptr c) {
  encoder *e = c->client_data;
  cal_buffer_add(e->out, e->bytes, sizeof e->bytes - e->target.free_in_buffer);
}

/* libjpeg tells it of each row of blocks, in both passes: the first measures for the tables, the second writes. */
static void watch(j_common_ptr info) {
  encoder *e = info->client_data;
  const struct jpeg_progress_mgr *m = &e->monitor;
  const double pass = m->pass_limit > 0 ? (double)m->pass_counter / (double)m->pass_limit : 0;
  if (m->total_passes > 0) cal_progress_set(e->progress, (size_t)((m->completed_passes + pass) / m->total_passes * e->c.image_height));
  if (!cal_interrupt_level()) return;
  e->stopped = true;
  longjmp(e->trouble.out, 1);
}

static cal_status encode(encoder *e, const cal_image *im, int quality) {
  if (setjmp(e->trouble.out)) return e->stopped ? CAL_E_INTERRUPT : CAL_E_MEMORY;
  struct jpeg_compress_struct *c = &e->c;
  jpeg_create_compress(c);
  e->target =
      (struct jpeg_destination_mgr){.init_destination = target_reset, .empty_output_buffer = target_full, .term_destination = target_end};
  c->dest = &e->target;
  c->client_data = e;
  e->monitor.progress_monitor = watch;
  if (e->progress) c->progress = &e->monitor;
  c->image_width = (unsigned)im->width;
  c->image_height = (unsigned)im->height;
  c->input_components = im->channels;
  c->in_color_space = im->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(c);
  jpeg_set_quality(c, quality, TRUE);
  c->optimize_coding = TRUE;
  if (im->channels == 3) c->comp_info[0].h_samp_factor = c->comp_info[0].v_samp_factor = quality >= 90 ? 1 : 2;
  jpeg_start_compress(c, TRUE);
  while (c->next_scanline < c->image_height) {
    unsigned char *row = cal_image_at(im, 0, (int)c->next_scanline);
    jpeg_write_scanlines(c, &row, 1);
  }
  jpeg_finish_compress(c);
  return CAL_OK;
}

cal_status cal_jpeg_encode(const cal_image *im, int quality, cal_progress *progress, cal_buffer *out, cal_error *err) {
  if (quality < 1 || quality > 100) return cal_fail(err, CAL_E_ARG, "jpeg: a quality of %d; it goes from 1 to 100", quality);
  if (im->width > JPEG_MAX_DIMENSION || im->height > JPEG_MAX_DIMENSION)
    return cal_fail(err, CAL_E_LIMIT, "jpeg: %d x %d; a JPEG's sides have at most %ld pixels: use PNG", im->width, im->height,
                    JPEG_MAX_DIMENSION);
  cal_image *flat = NULL;
  if (im->channels == 4 && !(flat = cal_image_rgb(im, NULL, err))) return CAL_E_MEMORY;
  encoder *e = cal_alloc_zero(1, sizeof *e, err);
  if (!e) return cal_image_free(flat), CAL_E_MEMORY;
  trouble_start(&e->trouble);
  e->c.err = &e->trouble.base;
  e->out = out;
  e->progress = progress;
  cal_status status = encode(e, flat ? flat : im, quality);
  if (status == CAL_E_INTERRUPT) cal_interrupt_check(err);
  else if (status) cal_fail(err, CAL_E_MEMORY, "jpeg: %s", e->trouble.text);
  else if (out->failed) status = cal_fail(err, CAL_E_MEMORY, "jpeg: not enough memory for %d x %d pixels", im->width, im->height);
  jpeg_destroy_compress(&e->c);
  cal_free(e);
  cal_image_free(flat);
  return status;
}
