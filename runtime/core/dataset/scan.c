#include "core/dataset/scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/interrupt.h"
#include "core/base/progress.h"
#include "core/base/thread.h"
#include "core/dataset/content.h"

enum { PER_THREAD = 8 }; /* files per core between two commits */

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
} scanner;

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

static cal_status hash_file(void *context, size_t index, cal_error *err) {
  (void)err;
  scanner *s = context;
  work *w = s->todo[index];
  cal_fs_info after;
  w->steady = cal_content_steady(&w->info);
  int fd = cal_fs_open(s->fs, w->path, &w->err);
  if (fd >= 0) {
    if (!hash_open_file(fd, w->path, w->item->sha, &w->err) && !cal_fs_stat(s->fs, w->path, &after, &w->err) &&
        !cal_content_same(&w->info, &after))
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

static cal_status measure_file(void *context, size_t index, cal_error *err) {
  scanner *s = context;
  work *w = s->todo[index];
  cal_buffer bytes = {0};
  cal_status status = CAL_OK;
  if (!cal_fs_read(s->fs, w->path, CAL_PICTURE_MOST, &bytes, &w->err)) {
    char hex[CAL_SHA256_HEX];
    cal_sha256_hex(bytes.data, bytes.size, hex);
    if (strcmp(hex, w->item->sha)) cal_fail(&w->err, CAL_E_BUSY, "%s changed while it was being read; run again", w->path);
    else status = cal_content_measure(s->store, &bytes, w->path, &w->item->measures, &w->err, err);
  }
  cal_buffer_free(&bytes);
  w->done = !status;
  return status;
}

static cal_status keep_measures(scanner *s, work *w, cal_error *err) {
  return cal_content_keep(s->store, w->item->sha, w->path, w->item->measures, &w->err, err);
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
  const int64_t age = cal_content_age(&(cal_fs_info){.mtime_ns = newest});
  if (s->todo_count && age >= 0 && age <= CAL_TICK_NS) nanosleep(&(struct timespec){.tv_nsec = CAL_TICK_NS + 1000000 - age}, NULL);
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
    if (!status) status = cal_content_recall(s->store, w->item->sha, w->path, &w->item->measures, &w->err, err);
    w->done = w->item->measures || w->err.code;
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
