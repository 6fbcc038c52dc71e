/* loader.h - pictures made ready beside the thread that asks: thumbnails, pictures to look at, identities, measures.
 *
 *   cal_error err = {0};
 *   cal_fs *fs = cal_fs_new(NULL, 0, &err);
 *   cal_fs_grant(fs, "photos", CAL_FS_READ, &err);
 *   cal_loader *l = cal_loader_open(fs, ".calotype", NULL, &err);
 *   cal_load_answer answer;
 *   if (!l || cal_loader_ask(l, &(cal_load_request){.tag = 7, .path = "photos/cat.jpg", .what = CAL_LOAD_THUMB}, &err)) return err.code;
 *   while (cal_loader_pending(l))
 *     if (cal_loader_next(l, &answer)) {
 *       if (answer.image) printf("%s is %d x %d\n", answer.path, answer.width, answer.height);
 *       else puts(answer.error);
 *       cal_load_answer_free(&answer);
 *     }
 *   cal_loader_close(l);
 *   cal_fs_free(fs);
 *
 * A few threads of its own work beside cal_parallel, each with its own connection to the store. The most urgent request is
 * begun first, of equals the one asked first. What was learnt (the file's identity, the thumbnail's blob, measures) is in
 * the store before its answer is handed out, and is found there by dataset/scan.h, which knows the same. None of the calls
 * waits for a picture but `close`. Answers that nobody takes hold at most `most_finished` bytes of pixels, and those that
 * the threads have in hand: then the threads wait. What they decode at once is bounded as well: together at most
 * CAL_LOADER_DECODING bytes, or one picture alone. All calls from one thread.
 * uses: base image store
 */
#ifndef CAL_DATASET_LOADER_H
#define CAL_DATASET_LOADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/dataset/content.h"
#include "core/image/image.h"

typedef struct cal_loader cal_loader;

enum { CAL_LOADER_FINISHED = 64 << 20, CAL_LOADER_DECODING = 512 << 20, CAL_LOADER_THREADS = 4 };

typedef struct {
  int threads;          /* 0: the cores, at most CAL_LOADER_THREADS */
  size_t most_finished; /* bytes; 0: CAL_LOADER_FINISHED */
} cal_loader_options;

typedef enum {
  CAL_LOAD_THUMB,    /* at most CAL_THUMB_SIDE, opaque; kept in the store by content */
  CAL_LOAD_PICTURE,  /* its long side at most `side` (0: as it is); never larger than the file's; not kept */
  CAL_LOAD_IDENTIFY, /* no pixels: sha256, size as displayed, format */
  CAL_LOAD_MEASURE,  /* the measures of dataset/scan.h */
  CAL_LOAD_FITTED,   /* for a model: all of it on white, bicubic to exactly `width` x `height`, as Pillow does it; not kept */
} cal_load_what;

typedef struct {
  int64_t tag; /* the caller's name for the request; asked again under the same tag, only the new one is answered */
  const char *path;
  cal_load_what what;
  int side;
  double urgency;    /* higher first */
  int width, height; /* of FITTED, where its shape is changed, but: */
  bool square;       /* a white border makes it a square before, at both ends of its shorter side */
} cal_load_request;

typedef struct {
  int64_t tag;
  char *path;
  cal_load_what what;
  char sha[CAL_SHA256_HEX]; /* "" when the file could not be read; of FITTED that of the bytes that were decoded, whatever the store knew */
  uint64_t size;            /* of the file, and its time */
  int64_t mtime_ns;
  int width, height; /* of the whole picture as displayed; 0: unknown */
  char format[8];
  cal_image *image; /* of THUMB, PICTURE and FITTED; the last with three channels */
  char *measures;   /* of MEASURE: JSON, see scan.h */
  cal_status code;  /* what is wrong with this file, and the sentence: NOTFOUND, DENIED, FORMAT (also: no regular file), */
  char *error;      /* LIMIT (over CAL_PICTURE_MOST bytes), BUSY (it changed while it was read), MEMORY, MISSING, INTERRUPT */
  char *note;       /* or NULL: what the store could not keep; the answer is good all the same */
} cal_load_answer;

/* `fs` must live as long; the store's folder is made if it is not there. */
cal_loader *cal_loader_open(const cal_fs *fs, const char *store, const cal_loader_options *options, cal_error *err);
/* The path is copied. Refused (for want of memory, or as ARG), the one before under its tag is answered all the same. */
cal_status cal_loader_ask(cal_loader *l, const cal_load_request *request, cal_error *err);
void cal_loader_forget(cal_loader *l, int64_t tag);           /* not begun: never begins; begun: its answer is dropped; unknown: fine */
bool cal_loader_next(cal_loader *l, cal_load_answer *answer); /* never waits; the answer is the caller's */
size_t cal_loader_pending(const cal_loader *l);               /* requests whose answer was not handed out */
void cal_loader_close(cal_loader *l);                         /* what was not begun is forgotten; waits for what is being decoded */
void cal_load_answer_free(cal_load_answer *answer);

#endif
