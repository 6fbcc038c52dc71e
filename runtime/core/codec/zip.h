/* zip.h - zip archives that come out the same twice, and that are not trusted when they come in.
 *
 *   cal_error err = {0};
 *   cal_fs *fs = cal_fs_new(NULL, 0, &err);
 *   cal_fs_grant(fs, "out", CAL_FS_READ | CAL_FS_WRITE, &err);
 *   const cal_zip_entry entries[] = {{.name = "hall.txt", .bytes = "a hall", .size = 6}, {.name = "hall.jpg", .path = "out/hall.jpg"}};
 *   if (cal_zip_write(fs, "out/hall.zip", entries, 2, 0, NULL, &err)) puts(err.text);
 *   cal_zip *z = cal_zip_open(fs, "out/hall.zip", &err);
 *   cal_buffer text = {0};
 *   if (z && !cal_zip_read(z, 0, 1 << 20, &text, &err)) puts(text.data);
 *   cal_buffer_free(&text);
 *   cal_zip_close(z);
 *   cal_fs_free(fs);
 *
 * libzip does the work. Written archives have the entries in the given order, one fixed time (1980-01-01 12:00, the
 * format's first day), compressed formats stored and everything else deflated: the same entries give the same bytes.
 * uses: base
 */
#ifndef CAL_CODEC_ZIP_H
#define CAL_CODEC_ZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/progress.h"

typedef struct {
  const char *name;  /* inside the archive, UTF-8 */
  const void *bytes; /* borrowed; not used when `path` is given */
  size_t size;
  const char *path; /* a file to copy in, read through the fs when its turn comes */
} cal_zip_entry;

enum { CAL_ZIP_FOLDERS = 1 }; /* names may have folder parts; most trainers read the top level only */

/* Write atomically. CAL_E_ARG for a name that is no plain relative path, or that stands twice (also when only the case
 * differs: half the world's file systems would lose one); CAL_E_INTERRUPT at Ctrl-C. `progress` counts entries. */
cal_status cal_zip_write(const cal_fs *fs, const char *path, const cal_zip_entry *entries, size_t count, unsigned flags,
                         cal_progress *progress, cal_error *err);

typedef struct cal_zip cal_zip;

/* Open for reading. Refused with CAL_E_FORMAT: no zip, names that lead out of a folder or stand twice. */
cal_zip *cal_zip_open(const cal_fs *fs, const char *path, cal_error *err);
cal_zip *cal_zip_open_bytes(const void *bytes, size_t size, const char *name, cal_error *err); /* bytes are borrowed */
void cal_zip_close(cal_zip *z);

size_t cal_zip_count(const cal_zip *z);
const char *cal_zip_name(const cal_zip *z, size_t index); /* a folder's name ends in "/" */
uint64_t cal_zip_size(const cal_zip *z, size_t index);    /* as the archive claims; reading checks it */
bool cal_zip_find(const cal_zip *z, const char *name, size_t *index);

/* Append an entry's bytes. CAL_E_LIMIT above `most`; CAL_E_FORMAT when size or checksum are not as claimed, or when it
 * is encrypted; CAL_E_INTERRUPT at Ctrl-C. */
cal_status cal_zip_read(cal_zip *z, size_t index, uint64_t most, cal_buffer *out, cal_error *err);

/* The bytes of an entry that is stored as it is, in an archive that was opened from bytes: borrowed from those, cal_zip_size of them, their
 * checksum not asked. NULL when there are no such bytes to point at (compressed, encrypted, a directory of two minds): read it then. */
const unsigned char *cal_zip_view(cal_zip *z, size_t index);

#endif
