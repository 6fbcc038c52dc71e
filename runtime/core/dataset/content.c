#include "core/dataset/content.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/codec/json.h"
#include "core/image/encode.h"
#include "core/image/measure.h"
#include "core/image/resize.h"

/* ---- files ---- */

static const int64_t COARSE_NS = 2000000000; /* file systems without fractions of a second: FAT counts in twos */

int64_t cal_content_age(const cal_fs_info *info) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec - info->mtime_ns;
}

bool cal_content_steady(const cal_fs_info *info) {
  const int64_t age = cal_content_age(info);
  if (age < -COARSE_NS) return true; /* the clock was wrong then, or is now: whoever writes to it gives it another time */
  return age > CAL_TICK_NS && (info->mtime_ns % 1000000000 || age > COARSE_NS);
}

bool cal_content_same(const cal_fs_info *a, const cal_fs_info *b) {
  return a->device == b->device && a->inode == b->inode && a->size == b->size && a->mtime_ns == b->mtime_ns;
}

/* ---- kinds of results ---- */

static char measures_kind[48];
static const char unreadable_kind[] = "unreadable/" CAL_VERSION, look_kind[] = "thumb";

/* The kind of a result names how it was made: with a new measure, or another formula, everything is measured again.
 * Files that could not be decoded are tried again by the next version. */
static void name_kinds(void) {
  cal_sha256 h;
  char hex[CAL_SHA256_HEX];
  const cal_measure_row *row;
  cal_sha256_start(&h);
  cal_sha256_add(&h, "profile", 7);
  for (int i = 0; (row = cal_measure_row_at(i)); i++) {
    cal_sha256_add(&h, row->name, strlen(row->name) + 1);
    cal_sha256_add(&h, row->about, strlen(row->about) + 1);
  }
  cal_sha256_end(&h, hex);
  snprintf(measures_kind, sizeof measures_kind, "measures/%.12s", hex);
}

static const char *kind_of_measures(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, name_kinds);
  return measures_kind;
}

/* ---- measures as JSON ---- */

static cal_json *hash_text(uint64_t hash, cal_error *err) {
  char hex[17];
  snprintf(hex, sizeof hex, "%016llx", (unsigned long long)hash);
  return cal_json_from_text(hex, err);
}

static cal_json *one_value(const cal_measure_row *row, double value, cal_error *err) {
  return row->flag ? cal_json_from_bool(value != 0, err) : cal_json_from_number(value, err);
}

static cal_json *row_value(const cal_measure_row *row, const double *values, cal_error *err) {
  if (!row->parts) return one_value(row, *values, err);
  cal_json *object = cal_json_new(CAL_JSON_OBJECT, err);
  for (int i = 0; object && i < row->count; i++)
    if (cal_json_put(object, row->parts[i], one_value(row, values[i], err), err)) cal_json_free(object), object = NULL;
  return object;
}

/* The JSON that the store keeps and scripts see. Owned. */
static char *measures_text(const cal_measures *m, const char *thumb, cal_error *err) {
  cal_json *o = cal_json_new(CAL_JSON_OBJECT, err), *hashes = cal_json_new(CAL_JSON_ARRAY, err);
  cal_buffer text = {0};
  bool good = o && hashes;
  for (int k = 0; good && k < CAL_HASH_VARIANTS; k++) good = !cal_json_add(hashes, hash_text(m->hashes[k], err), err);
  if (good) good = !cal_json_put(o, "phashes", hashes, err), hashes = NULL;
  good = good && !cal_json_put(o, "phash", hash_text(m->hashes[0], err), err) &&
         !cal_json_put(o, "width", cal_json_from_number(m->width, err), err) &&
         !cal_json_put(o, "height", cal_json_from_number(m->height, err), err) &&
         !cal_json_put(o, "orientation", cal_json_from_number(m->orientation, err), err) &&
         !cal_json_put(o, "format", cal_json_from_text(cal_image_format_name(m->format), err), err) &&
         !cal_json_put(o, "thumb", cal_json_from_text(thumb, err), err) &&
         (!m->profile[0] || !cal_json_put(o, "profile", cal_json_from_text(m->profile, err), err));
  const double *values = m->values;
  const cal_measure_row *row;
  for (int i = 0; good && (row = cal_measure_row_at(i)); values += row->count, i++)
    good = !cal_json_put(o, row->name, row_value(row, values, err), err);
  good = good && !cal_json_write(o, 0, &text, err);
  cal_json_free(hashes);
  cal_json_free(o);
  if (good) return cal_buffer_take(&text);
  cal_buffer_free(&text);
  return NULL;
}

/* ---- thumbnails ---- */

cal_image *cal_content_small(const cal_image *im, cal_error *err) {
  const bool wide = im->width >= im->height;
  int side = wide ? im->width : im->height;
  if (side > CAL_THUMB_SIDE) side = CAL_THUMB_SIDE;
  cal_image *small = cal_image_resize(im, wide ? side : 0, wide ? 0 : side, CAL_AREA, err);
  cal_image *flat = small ? cal_image_rgb(small, NULL, err) : NULL;
  cal_image_free(small);
  return flat;
}

cal_status cal_content_put_thumb(cal_store *store, const cal_image *small, char sha[CAL_SHA256_HEX], cal_error *err) {
  cal_buffer bytes = {0};
  cal_status status = cal_image_encode(small, CAL_IMAGE_JPEG, &(cal_encode_options){.quality = 85}, &bytes, err);
  if (!status) status = cal_store_put_blob(store, bytes.data, bytes.size, sha, err);
  cal_buffer_free(&bytes);
  return status;
}

/* ---- measures ---- */

cal_status cal_content_measure(cal_store *store, const cal_buffer *bytes, const char *path, char **measures, cal_error *wrong,
                               cal_error *err) {
  cal_image_info info;
  cal_measures m;
  char thumb[CAL_SHA256_HEX];
  *measures = NULL;
  cal_image *im = cal_image_decode(bytes->data ? bytes->data : "", bytes->size, path, NULL, &info, wrong), *small = NULL;
  if (im && !cal_image_measure(im, &info, &m, wrong)) small = cal_content_small(im, wrong);
  cal_image_free(im);
  cal_status stored = small ? cal_content_put_thumb(store, small, thumb, err) : CAL_OK; /* no fault of the picture's */
  if (small && !stored) *measures = measures_text(&m, thumb, wrong);
  cal_image_free(small);
  if (!stored && !*measures && !wrong->code) cal_fail(wrong, CAL_E_MEMORY, "%s: not enough memory to measure it", path);
  return stored;
}

/* What is wrong with the bytes will be wrong again; the sentence is kept without the path, which may be another then. */
cal_status cal_content_keep(cal_store *store, const char *sha, const char *path, const char *measures, const cal_error *wrong,
                            cal_error *err) {
  if (measures) return cal_store_put(store, kind_of_measures(), sha, measures, strlen(measures), err);
  if (wrong->code != CAL_E_FORMAT && wrong->code != CAL_E_LIMIT) return CAL_OK;
  const size_t size = strlen(path);
  if (strncmp(wrong->text, path, size) || strncmp(wrong->text + size, ": ", 2)) return CAL_OK;
  cal_buffer kept = {0};
  cal_buffer_printf(&kept, "%s %s", cal_status_name(wrong->code), wrong->text + size + 2);
  cal_status status = kept.failed ? CAL_OK : cal_store_put(store, unreadable_kind, sha, kept.data, kept.size, err);
  cal_buffer_free(&kept);
  return status;
}

static bool has_thumb(cal_store *store, const cal_buffer *text) {
  cal_json *measures = cal_json_parse(text->data, text->size, NULL);
  const cal_json *thumb = cal_json_find(measures, "thumb");
  const char *sha = thumb ? cal_json_text(thumb) : NULL;
  bool there = sha && cal_store_has_blob(store, sha);
  cal_json_free(measures);
  return there;
}

cal_status cal_content_recall(cal_store *store, const char *sha, const char *path, char **measures, cal_error *wrong, cal_error *err) {
  cal_buffer text = {0};
  bool found = false;
  *measures = NULL;
  cal_status status = cal_store_get(store, kind_of_measures(), sha, &text, &found, err);
  if (!status && found && has_thumb(store, &text)) {
    if (!(*measures = cal_buffer_take(&text))) return cal_fail(err, CAL_E_MEMORY, "not enough memory for what was measured");
    return CAL_OK;
  }
  text.size = 0;
  if (!status) status = cal_store_get(store, unreadable_kind, sha, &text, &found, err);
  const char *space = !status && found ? strchr(text.data, ' ') : NULL;
  if (space) cal_fail(wrong, !strncmp(text.data, "LIMIT ", 6) ? CAL_E_LIMIT : CAL_E_FORMAT, "%s: %s", path, space + 1);
  cal_buffer_free(&text);
  return status;
}

/* ---- the look ---- */

static int side_of(const cal_json *value) {
  const double n = value ? cal_json_number(value) : 0;
  return n >= 1 && n <= CAL_IMAGE_SIDE ? (int)n : 0; /* no number is not within */
}

static bool take_look(const cal_buffer *text, cal_content_look *look) {
  cal_json *o = cal_json_parse(text->data, text->size, NULL);
  const cal_json *width = cal_json_find(o, "width"), *height = cal_json_find(o, "height"), *format = cal_json_find(o, "format"),
                 *thumb = cal_json_find(o, "thumb");
  *look = (cal_content_look){0};
  look->width = side_of(width);
  look->height = side_of(height);
  const char *name = format ? cal_json_text(format) : NULL;
  if (name && strlen(name) < sizeof look->format && !name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")])
    strcpy(look->format, name);
  if (thumb && cal_json_text(thumb) && cal_sha256_name(cal_json_text(thumb))) memcpy(look->thumb, cal_json_text(thumb), CAL_SHA256_HEX);
  cal_json_free(o);
  return look->width > 0 && look->height > 0 && look->format[0];
}

cal_status cal_content_recall_look(cal_store *store, const char *sha, cal_content_look *look, bool *found, cal_error *err) {
  const char *const kinds[] = {look_kind, kind_of_measures()}; /* the measures' thumbnail may be gone, and the loader's made since */
  cal_status status = CAL_OK;
  *found = false;
  for (int i = 0; i < 2 && !status && !(*found && look->thumb[0]); i++) {
    cal_buffer text = {0};
    cal_content_look other;
    bool there;
    status = cal_store_get(store, kinds[i], sha, &text, &there, err);
    if (!status && there && take_look(&text, &other)) *look = other, *found = true;
    cal_buffer_free(&text);
  }
  return status;
}

cal_status cal_content_keep_look(cal_store *store, const char *sha, const cal_content_look *look, cal_error *err) {
  char text[256]; /* none of the texts needs an escape */
  int size = snprintf(text, sizeof text, "{\"width\":%d,\"height\":%d,\"format\":\"%s\"", look->width, look->height, look->format);
  if (look->thumb[0]) size += snprintf(text + size, sizeof text - (size_t)size, ",\"thumb\":\"%s\"", look->thumb);
  text[size++] = '}';
  return cal_store_put(store, look_kind, sha, text, (size_t)size, err);
}
