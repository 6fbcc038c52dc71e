/* fs_place.h - where a path lives, for the files of cal_fs. Not for others.
 *
 *   cal_error err = {0};
 *   cal_fs *fs = cal_fs_new(NULL, 0, &err);
 *   cal_place p;
 *   if (cal_place_find(fs, "photos/cat.jpg", CAL_FS_READ, &p, &err)) return err.code;
 *   int fd = cal_place_open(fs, p.folder, p.relative, O_RDONLY);
 *   if (fd < 0) cal_place_refuse(&err, errno, "photos/cat.jpg", "opened");
 *   cal_place_leave(&p);
 *
 * Descriptors are -1 with errno where nothing else is said, and the caller closes them.
 * uses: libc
 */
#ifndef CAL_BASE_FS_PLACE_H
#define CAL_BASE_FS_PLACE_H

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/base/fs.h"

#ifndef O_PATH
#define O_PATH O_RDONLY
#endif

/* The root's descriptor and the rest. `absolute` owns the text that `relative` points into. */
typedef struct {
  char *absolute;
  const char *relative; /* "." for the root itself */
  int folder;
  bool opened; /* folder must be closed */
} cal_place;

/* With the right to write a root that is not there yet is made. CAL_E_DENIED outside the roots, and for what is closed to scripts. */
cal_status cal_place_find(const cal_fs *fs, const char *path, unsigned rights, cal_place *p, cal_error *err);
void cal_place_leave(cal_place *p);

/* Open below a folder, which no link leads out of. */
int cal_place_open(const cal_fs *fs, int folder, const char *relative, int flags);

/* The folder that holds a place: with its folders made if need be, or as it is there. *name is what is left. */
int cal_place_make_parent(const cal_fs *fs, const cal_place *p, const char **name);
int cal_place_parent(const cal_fs *fs, const cal_place *p, const char **name);

/* What is said of errno; `what` is "read", "written" or the like. */
cal_status cal_place_refuse(cal_error *err, int number, const char *path, const char *what);

/* The folder that relative paths begin at. */
const char *cal_fs_base(const cal_fs *fs);

/* What was put into a folder is on the disk. */
void cal_fs_sync_folder(int folder);

#endif
