#include "core/dataset/scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/interrupt.h"
#include "core/base/progress.h"
#include "core/base/thread.h"
#include "core/codec/json.h"
#include "core/image/encode.h"
#include "core/image/measure.h"
#include "core/image/resize.h"

enum {
  PER_THREAD = 8,        /* files per core between two commits */
  TICK_NS = 20000000,    /* two writes within a clock tick of the kernel leave the same mtime; ticks are 1 to 10 ms */
  COARSE_NS = 2000000000 /* file systems without fractions of a second: FAT counts in twos */
};

/* One file on its way. Workers touch only their own. */
typedef struct {
  const char *path;
  cal_fs_info info;
  cal_scan_item *item;
  cal_error err;
  bool done, steady; /* steady: its mtime would show a later change */
} work;

typedef struct {
  const cal_fs *fs;
  cal_store *store;
  work *all;
  work **todo; /* those of the current pass, in order */
  size_t count, todo_count;
  char kind[48], kind_of_errors[48]; /* in the store */
} scanner;

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- passes over files ---- */

/* Run `task` for everything in `todo`, a few at a time, and `keep` what was finished in one batch of the store each. */
static cal_status run_pass(scanner *s, cal_task task, cal_status (*keep)(scanner *s, work *w, cal_error *err), const char *label,
                           size_t *kept, cal_error *err) {
  size_t step = (size_t)cal_thread_count() * PER_THREAD;
  cal_progress *progress = s->todo_count ? cal_progress_new(label, s->todo_count) : NULL;
  work **whole = s->todo;
  cal_status status = CAL_OK;
  for (size_t from = 0, total = s->todo_count; from < total && !status; from += step) {
    s->todo = whole + from;
    size_t count = total - from < step ? total - from : step;
    status = cal_parallel(count, task, s, NULL, err);
    cal_error inner = {0}; /* what was finished is kept whatever stopped the rest */
    cal_status stored = cal_store_begin(s->store, &inner);
    for (size_t i = 0; i < count && !stored; i++)
      if (s->todo[i]->done) stored = keep(s, s->todo[i], &inner), *kept += !stored;
    if (!stored) stored = cal_store_end(s->store, &inner);
    else cal_store_drop(s->store);
    if (stored && !status) {
      status = stored;
      if (err) *err = inner;
    }
    cal_progress_set(progress, from + count);
  }
  s->todo = whole;
  cal_progress_free(progress);
  return status;
}

static void settle(work *w) {
  w->item->code = w->err.code;
  if (w->err.code) w->item->error = cal_copy_text(w->err.text, NULL); /* NULL: said by the code alone */
}

/* ---- first pass: hashes ---- */

static cal_status hash_open_file(int fd, const char *path, char sha[CAL_SHA256_HEX], cal_error *err) {
  enum { PIECE = 256 << 10 };
  unsigned char *piece = cal_alloc(PIECE, err);
  if (!piece) return CAL_E_MEMORY;
  cal_sha256 h;
  cal_sha256_start(&h);
  cal_status status = CAL_OK;
  for (;;) {
    ssize_t got = read(fd, piece, PIECE);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) status = cal_fail_errno(err, errno, "%s cannot be read", path);
    if (got <= 0) break;
    cal_sha256_add(&h, piece, (size_t)got);
  }
  cal_free(piece);
  if (!status) cal_sha256_end(&h, sha);
  return status;
}

static bool same_file(const cal_fs_info *a, const cal_fs_info *b) {
  return a->device == b->device && a->inode == b->inode && a->size == b->size && a->mtime_ns == b->mtime_ns;
}

static cal_status hash_file(void *context, size_t index, cal_error *err) {
  (void)err;
  scanner *s = context;
  work *w = s->todo[index];
  cal_fs_info after;
  int64_t age = now_ns() - w->info.mtime_ns;
  bool future = age < -(int64_t)COARSE_NS; /* the clock was wrong then, or is now: whoever writes to it gives it another time */
  w->steady = future || (age > TICK_NS && (w->info.mtime_ns % 1000000000 || age > COARSE_NS));
  int fd = cal_fs_open(s->fs, w->path, &w->err);
  if (fd >= 0) {
    if (!hash_open_file(fd, w->path, w->item->sha, &w->err) && !cal_fs_stat(s->fs, w->path, &after, &w->err) &&
        !same_file(&w->info, &after))
      cal_fail(&w->err, CAL_E_BUSY, "%s changed while it was being read; run again", w->path);
    close(fd);
  }
  if (w->err.code) w->item->sha[0] = 0;
  w->done = true;
  return CAL_OK;
}

static cal_status keep_hash(scanner *s, work *w, cal_error *err) {
  if (w->err.code || !w->steady) return CAL_OK;
  return cal_store_remember_file(s->store, &w->info, w->item->sha, err);
}

/* ---- second pass: measures ---- */

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

/* Append a small JPEG. */
static cal_status make_thumb(const cal_image *im, cal_buffer *bytes, cal_error *err) {
  bool wide = im->width >= im->height;
  int side = wide ? im->width : im->height;
  if (side > CAL_THUMB_SIDE) side = CAL_THUMB_SIDE;
  cal_image *small = cal_image_resize(im, wide ? side : 0, wide ? 0 : side, CAL_AREA, err);
  cal_image *flat = small ? cal_image_rgb(small, NULL, err) : NULL;
  cal_status status = flat ? cal_image_encode(flat, CAL_IMAGE_JPEG, &(cal_encode_options){.quality = 85}, bytes, err) : CAL_E_MEMORY;
  cal_image_free(flat);
  cal_image_free(small);
  return status;
}

/* CAL_OK also when something is wrong with the picture: that is said in w->err. A store that cannot take the thumbnail is no
 * fault of the picture's. */
static cal_status measure_bytes(scanner *s, work *w, const cal_buffer *bytes, cal_error *err) {
  char hex[CAL_SHA256_HEX];
  cal_sha256_hex(bytes->data, bytes->size, hex);
  if (strcmp(hex, w->item->sha)) {
    cal_fail(&w->err, CAL_E_BUSY, "%s changed while it was being read; run again", w->path);
    return CAL_OK;
  }
  cal_image_info info;
  cal_measures m;
  cal_image *im = cal_image_decode(bytes->data, bytes->size, w->path, NULL, &info, &w->err);
  cal_buffer thumb = {0};
  const bool measured = im && !cal_image_measure(im, &info, &m, &w->err) && !make_thumb(im, &thumb, &w->err);
  cal_status stored = measured ? cal_store_put_blob(s->store, thumb.data, thumb.size, hex, err) : CAL_OK;
  if (measured && !stored) w->item->measures = measures_text(&m, hex, &w->err);
  cal_buffer_free(&thumb);
  cal_image_free(im);
  return stored;
}

static cal_status measure_file(void *context, size_t index, cal_error *err) {
  scanner *s = context;
  work *w = s->todo[index];
  cal_buffer bytes = {0};
  cal_status status = cal_fs_read(s->fs, w->path, CAL_PICTURE_MOST, &bytes, &w->err) ? CAL_OK : measure_bytes(s, w, &bytes, err);
  cal_buffer_free(&bytes);
  if (status) return status;
  if (!w->item->measures && !w->err.code) cal_fail(&w->err, CAL_E_MEMORY, "%s: not enough memory to measure it", w->path);
  w->done = true;
  return CAL_OK;
}

/* What is wrong with the bytes will be wrong again; the sentence is kept without the path, which may be another then. */
static cal_status keep_measures(scanner *s, work *w, cal_error *err) {
  const char *text = w->item->measures;
  if (text) return cal_store_put(s->store, s->kind, w->item->sha, text, strlen(text), err);
  if (w->err.code != CAL_E_FORMAT && w->err.code != CAL_E_LIMIT) return CAL_OK;
  const char *sentence = w->err.text;
  size_t path = strlen(w->path);
  if (strncmp(sentence, w->path, path) || strncmp(sentence + path, ": ", 2)) return CAL_OK;
  cal_buffer kept = {0};
  cal_buffer_printf(&kept, "%s %s", cal_status_name(w->err.code), sentence + path + 2);
  cal_status status = kept.failed ? CAL_OK : cal_store_put(s->store, s->kind_of_errors, w->item->sha, kept.data, kept.size, err);
  cal_buffer_free(&kept);
  return status;
}

/* ---- what the store knows ---- */

static bool has_thumb(cal_store *store, const cal_buffer *text) {
  cal_json *measures = cal_json_parse(text->data, text->size, NULL);
  const cal_json *thumb = cal_json_find(measures, "thumb");
  const char *sha = thumb ? cal_json_text(thumb) : NULL;
  bool there = sha && cal_store_has_blob(store, sha);
  cal_json_free(measures);
  return there;
}

/* Fill the item from the store; w->done tells whether it was there. */
static cal_status recall(scanner *s, work *w, cal_error *err) {
  cal_buffer text = {0};
  bool found = false;
  cal_status status = cal_store_get(s->store, s->kind, w->item->sha, &text, &found, err);
  w->done = !status && found && has_thumb(s->store, &text);
  if (w->done) {
    if (!(w->item->measures = cal_buffer_take(&text))) status = cal_fail(err, CAL_E_MEMORY, "scan: not enough memory");
    return status;
  }
  text.size = 0;
  if (!status) status = cal_store_get(s->store, s->kind_of_errors, w->item->sha, &text, &found, err);
  const char *space = !status && found ? strchr(text.data, ' ') : NULL;
  if (space) {
    bool limit = !strncmp(text.data, "LIMIT ", 6);
    cal_fail(&w->err, limit ? CAL_E_LIMIT : CAL_E_FORMAT, "%s: %s", w->path, space + 1);
    w->done = true;
  }
  cal_buffer_free(&text);
  return status;
}

/* The kind of a result names how it was made: with a new measure, or another formula, everything is measured again.
 * Files that could not be decoded are tried again by the next version. */
static void name_kinds(scanner *s) {
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
  snprintf(s->kind, sizeof s->kind, "measures/%.12s", hex);
  snprintf(s->kind_of_errors, sizeof s->kind_of_errors, "unreadable/%s", CAL_VERSION);
}

/* ---- the scan ---- */

static cal_status look_up_files(scanner *s, cal_error *err) {
  int64_t newest = 0;
  for (size_t i = 0; i < s->count; i++) {
    work *w = &s->all[i];
    bool known = false;
    cal_status status = i % 64 ? CAL_OK : cal_interrupt_check(err);
    if (status) return status;
    if (cal_fs_stat(s->fs, w->path, &w->info, &w->err)) continue;
    w->item->size = w->info.size;
    w->item->mtime_ns = w->info.mtime_ns;
    if (w->info.kind != CAL_FS_FILE) {
      cal_fail(&w->err, CAL_E_FORMAT, "%s is not a regular file", w->path);
      continue;
    }
    status = cal_store_file(s->store, &w->info, w->item->sha, &known, err);
    if (status) return status;
    if (known) continue;
    s->todo[s->todo_count++] = w;
    if (w->info.mtime_ns > newest) newest = w->info.mtime_ns;
  }
  /* A file that was written just now could be written again within the same tick: let the tick pass. */
  int64_t age = now_ns() - newest;
  if (s->todo_count && age >= 0 && age <= TICK_NS) nanosleep(&(struct timespec){.tv_nsec = TICK_NS + 1000000 - age}, NULL);
  return CAL_OK;
}

static int by_sha(const void *a, const void *b) {
  const work *p = *(work *const *)a, *q = *(work *const *)b;
  int order = strcmp(p->item->sha, q->item->sha);
  return order ? order : (p > q) - (p < q);
}

static int by_place(const void *a, const void *b) {
  const work *p = *(work *const *)a, *q = *(work *const *)b;
  return (p > q) - (p < q);
}

/* `sorted`: all good files by content, then place. The first of each content is looked up, and measured if need be. */
static cal_status look_up_contents(scanner *s, work **sorted, size_t count, cal_error *err) {
  s->todo_count = 0;
  for (size_t i = 0; i < count; i++) {
    work *w = sorted[i];
    w->done = false;
    if (i && !strcmp(sorted[i - 1]->item->sha, w->item->sha)) continue;
    cal_status status = i % 64 ? CAL_OK : cal_interrupt_check(err);
    if (!status) status = recall(s, w, err);
    if (status) return status;
    if (!w->done) s->todo[s->todo_count++] = w;
  }
  if (s->todo_count) qsort(s->todo, s->todo_count, sizeof *s->todo, by_place);
  return CAL_OK;
}

/* Files of one content share the first one's result. */
static cal_status share(work **sorted, size_t count, cal_error *err) {
  const work *first = NULL;
  for (size_t i = 0; i < count; i++) {
    work *w = sorted[i];
    if (!first || strcmp(first->item->sha, w->item->sha)) {
      first = w;
      continue;
    }
    if (first->item->measures) {
      if (!(w->item->measures = cal_copy_text(first->item->measures, err))) return CAL_E_MEMORY;
      continue;
    }
    size_t path = strlen(first->path);
    bool named = !strncmp(first->err.text, first->path, path) && first->err.text[path] == ':';
    if (named) cal_fail(&w->err, first->err.code, "%s%s", w->path, first->err.text + path);
    else w->err = first->err;
  }
  return CAL_OK;
}

cal_status cal_scan_files(const cal_fs *fs, cal_store *store, const char *const *paths, size_t count, const char *label, cal_scan *scan,
                          cal_error *err) {
  *scan = (cal_scan){.count = count};
  scanner s = {.fs = fs, .store = store, .count = count};
  work **sorted = cal_alloc(count * sizeof *sorted, err);
  s.all = cal_alloc_zero(count, sizeof *s.all, err);
  s.todo = cal_alloc(count * sizeof *s.todo, err);
  scan->items = cal_alloc_zero(count, sizeof *scan->items, err);
  cal_status status = sorted && s.all && s.todo && scan->items ? CAL_OK : CAL_E_MEMORY;
  size_t good = 0;
  if (!status) {
    for (size_t i = 0; i < count; i++) s.all[i].path = paths[i], s.all[i].item = &scan->items[i];
    name_kinds(&s);
    status = look_up_files(&s, err);
  }
  if (!status) status = run_pass(&s, hash_file, keep_hash, "hashing", &scan->hashed, err);
  if (!status) {
    for (size_t i = 0; i < count; i++)
      if (!s.all[i].err.code) sorted[good++] = &s.all[i];
    if (good) qsort(sorted, good, sizeof *sorted, by_sha);
    status = look_up_contents(&s, sorted, good, err);
  }
  if (!status) status = run_pass(&s, measure_file, keep_measures, label ? label : "measuring", &scan->measured, err);
  for (size_t i = 0; !status && i < s.todo_count; i++) scan->new += s.todo[i]->item->measures != NULL;
  if (!status) status = share(sorted, good, err);
  if (!status)
    for (size_t i = 0; i < count; i++) settle(&s.all[i]);
  cal_free(sorted);
  cal_free(s.all);
  cal_free(s.todo);
  if (status) cal_scan_free(scan);
  return status;
}

void cal_scan_free(cal_scan *scan) {
  for (size_t i = 0; scan->items && i < scan->count; i++) {
    cal_free(scan->items[i].measures);
    cal_free(scan->items[i].error);
  }
  cal_free(scan->items);
  *scan = (cal_scan){0};
}
