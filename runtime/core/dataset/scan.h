/* scan.h - what a list of picture files is, in numbers; computed once per content.
 *
 *   cal_error err = {0};
 *   cal_fs *fs = cal_fs_new(NULL, 0, &err);
 *   cal_fs_grant(fs, "photos", CAL_FS_READ, &err);
 *   cal_store *store = cal_store_open(".calotype", NULL, &err);
 *   const char *paths[] = {"photos/cat.jpg", "photos/broken.jpg"};
 *   cal_scan scan;
 *   if (store && !cal_scan_files(fs, store, paths, 2, NULL, &scan, &err)) {
 *     for (size_t i = 0; i < scan.count; i++) puts(scan.items[i].measures ? scan.items[i].measures : scan.items[i].error);
 *     cal_scan_free(&scan);
 *   }
 *   cal_store_close(store);
 *   cal_fs_free(fs);
 *
 * A file is hashed when the store has not seen its device, inode, size and mtime together; a content is decoded, measured
 * and given a thumbnail when the store has no measures of it (a content that cannot be decoded is remembered, too). Both
 * run on all cores and are committed every few files, so that a kill or Ctrl-C keeps what is done. The store is used by
 * the calling thread alone, but for blobs.
 * uses: base codec image store
 */
#ifndef CAL_DATASET_SCAN_H
#define CAL_DATASET_SCAN_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/dataset/content.h"
#include "core/store/store.h"

typedef struct {
  char sha[CAL_SHA256_HEX]; /* "" when the file could not be read */
  uint64_t size;
  int64_t mtime_ns; /* as it was when the content was taken for `sha` */
  char *measures;   /* JSON: width, height, format, orientation, phash, phashes, the rows of core/image/measure, thumb (a
                      blob: JPEG), profile (when not sRGB); NULL when there is an error */
  cal_status code;  /* what is wrong with this file, and the sentence */
  char *error;
} cal_scan_item;

typedef struct {
  cal_scan_item *items;           /* in the order of the paths */
  size_t count, hashed, measured; /* measured: also those that turned out to be broken; `new` are the others */
  size_t new;
} cal_scan;

/* One bad file is its item's error; the scan fails only for the store, for memory and for Ctrl-C. `label` stands before
 * the progress bar; NULL: "measuring". */
cal_status cal_scan_files(const cal_fs *fs, cal_store *store, const char *const *paths, size_t count, const char *label, cal_scan *scan,
                          cal_error *err);
void cal_scan_free(cal_scan *scan);

#endif
