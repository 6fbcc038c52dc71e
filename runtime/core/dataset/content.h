/* content.h - what the store keeps of a picture's content, under its sha256: measures, a thumbnail, or why it cannot be read.
 *
 *   cal_error err = {0}, wrong = {0};
 *   cal_fs *fs = cal_fs_new(NULL, 0, &err);
 *   cal_store *store = cal_store_open(".calotype", NULL, &err);
 *   cal_buffer bytes = {0};
 *   char *measures = NULL, sha[CAL_SHA256_HEX];
 *   if (!store || cal_fs_read(fs, "photos/cat.jpg", CAL_PICTURE_MOST, &bytes, &err)) return err.code;
 *   cal_sha256_hex(bytes.data, bytes.size, sha);
 *   cal_status status = cal_content_recall(store, sha, "photos/cat.jpg", &measures, &wrong, &err);
 *   if (!status && !measures && !wrong.code) {
 *     status = cal_content_measure(store, &bytes, "photos/cat.jpg", &measures, &wrong, &err);
 *     if (!status) status = cal_content_keep(store, sha, "photos/cat.jpg", measures, &wrong, &err);
 *   }
 *   puts(measures ? measures : wrong.text);
 *
 * `wrong` is said of the picture, `err` of the store and of memory. For the scan of a folder and for the loader, which must
 * know of each other's work.
 * uses: base codec image store
 */
#ifndef CAL_DATASET_CONTENT_H
#define CAL_DATASET_CONTENT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/image/image.h"
#include "core/store/store.h"

enum { CAL_THUMB_SIDE = 256, CAL_PICTURE_MOST = 1 << 30 }; /* pixels of a thumbnail's long side; bytes of a file */

/* ---- files ---- */

enum { CAL_TICK_NS = 20000000 }; /* two writes within a clock tick of the kernel leave the same mtime; ticks are 1 to 10 ms */

int64_t cal_content_age(const cal_fs_info *info); /* of the file, in ns; below 0: from the future */
bool cal_content_steady(const cal_fs_info *info); /* its mtime would show a change from now on: its hash may be remembered */
bool cal_content_same(const cal_fs_info *a, const cal_fs_info *b);

/* ---- measures ---- */

/* What the store knows: *measures (owned JSON; its thumbnail is there), or *wrong, or neither. */
cal_status cal_content_recall(cal_store *store, const char *sha, const char *path, char **measures, cal_error *wrong, cal_error *err);

/* Decode and measure; the thumbnail becomes a blob. CAL_OK with *wrong when it is no picture. Any thread. */
cal_status cal_content_measure(cal_store *store, const cal_buffer *bytes, const char *path, char **measures, cal_error *wrong,
                               cal_error *err);

/* One of both; of what is wrong only what would be wrong again. */
cal_status cal_content_keep(cal_store *store, const char *sha, const char *path, const char *measures, const cal_error *wrong,
                            cal_error *err);

/* ---- the look: what a grid of pictures needs ---- */

typedef struct {
  int width, height;          /* as displayed */
  char format[8];             /* "JPEG" */
  char thumb[CAL_SHA256_HEX]; /* a blob: JPEG of at most CAL_THUMB_SIDE; "" when none was made */
} cal_content_look;

/* Found among the measures, or as a result of kind "thumb". The blob is not asked for. */
cal_status cal_content_recall_look(cal_store *store, const char *sha, cal_content_look *look, bool *found, cal_error *err);
cal_status cal_content_keep_look(cal_store *store, const char *sha, const cal_content_look *look, cal_error *err);

cal_image *cal_content_small(const cal_image *im, cal_error *err); /* opaque, at most CAL_THUMB_SIDE */
cal_status cal_content_put_thumb(cal_store *store, const cal_image *small, char sha[CAL_SHA256_HEX], cal_error *err);

#endif
