/* sidecar.h - the caption file beside a picture.
 *
 *   cal_error err = {0};
 *   cal_fs *fs = cal_fs_new(NULL, 0, &err);
 *   cal_fs_grant(fs, "photos", CAL_FS_READ, &err);
 *   cal_buffer text = {0};
 *   char *path = NULL;
 *   if (cal_sidecar_read(fs, "photos/cat.jpg", &text, &path, &err)) puts(err.text);
 *   else if (path) printf("%s says: %s\n", path, text.data);                     // photos/cat.txt says: a cat
 *   cal_free(path);
 *   cal_buffer_free(&text);
 *   cal_fs_free(fs);
 *
 * uses: base
 */
#ifndef CAL_DATASET_SIDECAR_H
#define CAL_DATASET_SIDECAR_H

#include <stdio.h>

#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/base/fs.h"
#include "core/base/memory.h"

enum { CAL_SIDECAR_MOST = 1 << 20 }; /* bytes */

/* Append the text of <stem>.txt, else of <stem>.caption, and set *path (owned) to the file that was read; NULL when there
 * is neither, or it may not be read. A byte order mark is dropped, CRLF and CR become LF, newlines at the end go. CAL_E_FORMAT for what is
 * not UTF-8, with the byte (counted from 1). */
cal_status cal_sidecar_read(const cal_fs *fs, const char *picture, cal_buffer *text, char **path, cal_error *err);

#endif
