/* gemini_files.h - a batch that grows beyond its call into a file, and the answers out of one.
 *
 *   cal_error err = {0};
 *   cal_fs *fs = cal_fs_new(NULL, 0, &err);
 *   cal_fs_grant(fs, "work", CAL_FS_READ | CAL_FS_WRITE, &err);
 *   cal_gemini_questions_options options = {.fs = fs, .path = "work/mine.jsonl", .model = "gemini-3.8-flash", .name = "mine"};
 *   cal_gemini_questions *questions = cal_gemini_questions_new(&options, &err);
 *   cal_wire_question question = {.user = "Name one colour."};
 *   cal_gemini_questions_add(questions, &question, "img001", &err);     // CAL_E_LIMIT: full; end this one and begin another
 *   cal_buffer path = {0}, body = {0};
 *   uint64_t size;
 *   if (!cal_gemini_questions_end(questions, &path, &body, &size, &err) && size)
 *     puts("work/mine.jsonl is to be sent, then cal_gemini_batch_filed makes the call");
 *   cal_gemini_questions_free(questions);
 *   cal_buffer_free(&path);
 *   cal_buffer_free(&body);
 *   cal_fs_free(fs);
 *
 * There is no more in memory than goes inside a call, or one piece of a file. The file has its name when it is whole; before, a kill leaves
 * nothing of it.
 * uses: base codec
 */
#ifndef CAL_CAPTION_GEMINI_FILES_H
#define CAL_CAPTION_GEMINI_FILES_H

#include "core/base/fs.h"
#include "core/caption/gemini_batch.h"

typedef struct {
  const cal_fs *fs;        /* the caller's, until `free` */
  const char *path;        /* of the file, should one be needed; takes the place of one that is there */
  const char *model;       /* of the call */
  const char *name;        /* of the batch: its display name */
  uint64_t most_inside;    /* bytes of a call with the questions inside it; 0: CAL_GEMINI_BATCH_MOST, which is the most */
  uint64_t most_in_a_file; /* 0: 2,000,000,000 */
} cal_gemini_questions_options;

typedef struct cal_gemini_questions cal_gemini_questions;

/* CAL_E_ARG for a model or a name that cannot be one. */
cal_gemini_questions *cal_gemini_questions_new(const cal_gemini_questions_options *options, cal_error *err);
void cal_gemini_questions_free(cal_gemini_questions *q); /* NULL is fine; what was not ended leaves no file */

/* After CAL_E_LIMIT and CAL_E_ARG all is as it was before: go on, or end it. CAL_E_IO and its like: the file cannot be written; only `free`
 * is allowed then. */
cal_status cal_gemini_questions_add(cal_gemini_questions *q, const cal_wire_question *question, const char *key, cal_error *err);

/* The call, with *file_size 0; or the file, whole and on the disk, with its bytes in *file_size and no call. CAL_E_ARG when nothing was
 * added. Only `free` is allowed afterwards. */
cal_status cal_gemini_questions_end(cal_gemini_questions *q, cal_buffer *path, cal_buffer *body, uint64_t *file_size, cal_error *err);

/* A file of answers, a few lines at a time. */
typedef struct cal_gemini_answers cal_gemini_answers;
cal_gemini_answers *cal_gemini_answers_open(const cal_fs *fs, const char *path, cal_error *err);
void cal_gemini_answers_close(cal_gemini_answers *a); /* NULL is fine */

/* `each` for the answers of the next piece of the file, at least one; *count is how many, 0 at the end. */
cal_status cal_gemini_answers_next(cal_gemini_answers *a, cal_gemini_batch_each each, void *context, size_t *count, cal_error *err);

#endif
