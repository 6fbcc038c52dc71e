#include "core/caption/gemini_files.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static const char who[] = "gemini batch";
enum { PIECE = 1 << 20 };                          /* bytes of a file that are written, or read, at once */
static const uint64_t MOST_IN_A_FILE = 2000000000; /* the service takes 2 GB */

/* ---- questions ---- */

struct cal_gemini_questions {
  cal_gemini_questions_options options;
  char *path, *model, *name;
  cal_buffer lines; /* all of them, or those that the file has not yet */
  cal_fs_file *file;
  uint64_t written;
  size_t count;
};

cal_gemini_questions *cal_gemini_questions_new(const cal_gemini_questions_options *options, cal_error *err) {
  cal_buffer path = {0}, body = {0}; /* of a call that is not made: a wrong name is told before anything is written */
  cal_status status = cal_gemini_batch_filed(options->model, options->name, "files/x", &path, &body, err);
  cal_buffer_free(&path);
  cal_buffer_free(&body);
  cal_gemini_questions *q = status ? NULL : cal_alloc_zero(1, sizeof *q, err);
  if (!q) return NULL;
  q->options = *options;
  if (!q->options.most_inside || q->options.most_inside > CAL_GEMINI_BATCH_MOST) q->options.most_inside = CAL_GEMINI_BATCH_MOST;
  if (!q->options.most_in_a_file) q->options.most_in_a_file = MOST_IN_A_FILE;
  q->path = cal_copy_text(options->path, err);
  q->model = cal_copy_text(options->model, err);
  q->name = cal_copy_text(options->name, err);
  if (q->path && q->model && q->name) return q;
  cal_gemini_questions_free(q);
  return NULL;
}

void cal_gemini_questions_free(cal_gemini_questions *q) {
  if (!q) return;
  cal_fs_file_discard(q->file);
  cal_buffer_free(&q->lines);
  cal_free(q->path), cal_free(q->model), cal_free(q->name);
  cal_free(q);
}

static cal_status flush(cal_gemini_questions *q, cal_error *err) {
  if (!q->file && !(q->file = cal_fs_create(q->options.fs, q->path, err))) return err ? err->code : CAL_E_IO;
  cal_status status = q->lines.size ? cal_fs_file_add(q->file, q->lines.data, q->lines.size, err) : CAL_OK;
  q->written += q->lines.size;
  q->lines.size = 0;
  return status;
}

cal_status cal_gemini_questions_add(cal_gemini_questions *q, const cal_wire_question *question, const char *key, cal_error *err) {
  const size_t was = q->lines.size;
  cal_status status = cal_gemini_batch_line(question, key, &q->lines, err);
  if (status) return status;
  const uint64_t size = q->written + q->lines.size;
  if (size > q->options.most_in_a_file) {
    q->lines.data[q->lines.size = was] = 0;
    return cal_fail(err, CAL_E_LIMIT, "%s: with %.100s its file would have more than %llu bytes; begin another one", who, key,
                    (unsigned long long)q->options.most_in_a_file);
  }
  q->count++;
  const uint64_t call = CAL_GEMINI_BATCH_FRAME + size + q->count * CAL_GEMINI_BATCH_EACH;
  if (q->file ? q->lines.size >= PIECE : call > q->options.most_inside) status = flush(q, err);
  return status;
}

cal_status cal_gemini_questions_end(cal_gemini_questions *q, cal_buffer *path, cal_buffer *body, uint64_t *file_size, cal_error *err) {
  *file_size = 0;
  if (!q->file) return cal_gemini_batch_inside(q->model, q->name, q->lines.data, q->lines.size, path, body, err);
  cal_status status = flush(q, err);
  if (status) return status;
  status = cal_fs_file_commit(q->file, err); /* frees it, also when it fails */
  q->file = NULL;
  if (!status) *file_size = q->written;
  return status;
}

/* ---- answers ---- */

struct cal_gemini_answers {
  int fd;
  char *path, *piece;
  cal_gemini_lines lines;
  bool ended;
};

cal_gemini_answers *cal_gemini_answers_open(const cal_fs *fs, const char *path, cal_error *err) {
  cal_gemini_answers *a = cal_alloc_zero(1, sizeof *a, err);
  if (!a) return NULL;
  a->fd = -1;
  a->path = cal_copy_text(path, err);
  a->piece = a->path ? cal_alloc(PIECE, err) : NULL;
  if (a->piece && (a->fd = cal_fs_open(fs, path, err)) >= 0) return a;
  cal_gemini_answers_close(a);
  return NULL;
}

void cal_gemini_answers_close(cal_gemini_answers *a) {
  if (!a) return;
  if (a->fd >= 0) close(a->fd);
  cal_gemini_lines_free(&a->lines);
  cal_free(a->path), cal_free(a->piece);
  cal_free(a);
}

cal_status cal_gemini_answers_next(cal_gemini_answers *a, cal_gemini_batch_each each, void *context, size_t *count, cal_error *err) {
  const size_t before = a->lines.index;
  cal_status status = CAL_OK;
  while (!status && !a->ended && a->lines.index == before) {
    const ssize_t got = read(a->fd, a->piece, PIECE);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) status = cal_fail_errno(err, errno, "%s cannot be read", a->path);
    else if (got) status = cal_gemini_lines_add(&a->lines, a->piece, (size_t)got, each, context, err);
    else a->ended = true, status = cal_gemini_lines_end(&a->lines, each, context, err);
  }
  *count = a->lines.index - before;
  return status;
}
