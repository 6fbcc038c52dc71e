/* fs.h - files below declared roots, and writes that are whole or absent.
 *
 *   cal_error err = {0};
 *   cal_fs *fs = cal_fs_new(NULL, CAL_FS_GUARDED, &err);           // paths are relative to the working folder
 *   cal_fs_grant(fs, "photos", CAL_FS_READ, &err);
 *   cal_fs_grant(fs, "out", CAL_FS_READ | CAL_FS_WRITE, &err);
 *   cal_buffer bytes = {0};
 *   if (cal_fs_read(fs, "photos/cat.jpg", 0, &bytes, &err)) return err.code;
 *   cal_fs_write(fs, "out/cat.jpg", bytes.data, bytes.size, &err); // temp file, fsync, rename
 *   cal_buffer_free(&bytes);
 *   cal_fs_free(fs);
 *
 * Every file access of the program goes through a cal_fs. A path is made absolute as text, the longest root that
 * contains it is chosen, and the kernel resolves the rest below that root (openat2 with RESOLVE_BENEATH; where the
 * kernel lacks it, part by part without following links), so that neither ".." nor a symlink leads out.
 * For many threads at once, granting too.
 * uses: libc
 */
#ifndef CAL_BASE_FS_H
#define CAL_BASE_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/buffer.h"
#include "core/base/error.h"

typedef struct cal_fs cal_fs;

enum { CAL_FS_READ = 1, CAL_FS_WRITE = 2 };
enum { CAL_FS_GUARDED = 1 }; /* refuse .env, .ssh, .git, .gnupg and .calotype anywhere in a path: for scripts */

cal_fs *cal_fs_new(const char *base, unsigned flags, cal_error *err); /* base NULL: the working folder */
void cal_fs_free(cal_fs *fs);

/* Allow a folder and all below it, or one file. The path itself may be or pass a symlink: whoever grants it named it.
 * A folder for writing need not exist yet: the first write makes it. */
cal_status cal_fs_grant(cal_fs *fs, const char *path, unsigned rights, cal_error *err);
bool cal_fs_allows(const cal_fs *fs, const char *path, unsigned rights);

/* `path` as an absolute path without "." and "..", by text alone. Owned. */
char *cal_fs_absolute(const cal_fs *fs, const char *path, cal_error *err);

/* The absolute path without links of what is there and may be read: two names of one folder have the same. Owned; NULL with CAL_E_NOTFOUND.
 */
char *cal_fs_real(const cal_fs *fs, const char *path, cal_error *err);

typedef enum { CAL_FS_FILE, CAL_FS_FOLDER, CAL_FS_OTHER } cal_fs_kind;

typedef struct {
  char *path; /* owned by the list; NULL from cal_fs_stat */
  cal_fs_kind kind;
  uint64_t size, device, inode;
  int64_t mtime_ns, ctime_ns; /* written, and changed in any way: a name, a right, a link; that time nobody can set */
} cal_fs_info;

cal_status cal_fs_stat(const cal_fs *fs, const char *path, cal_fs_info *info, cal_error *err);

/* Entries of a folder sorted by path bytes, each path = `folder` "/" name. With `recursive`, entries below sub-folders
 * too (links to folders are listed as OTHER, not entered). Unreadable sub-folders are listed as OTHER. */
cal_status cal_fs_list(const cal_fs *fs, const char *folder, bool recursive, cal_fs_info **list, size_t *count, cal_error *err);
void cal_fs_list_free(cal_fs_info *list, size_t count);

/* Open for reading: a regular file. -1 on failure. The caller closes it. */
int cal_fs_open(const cal_fs *fs, const char *path, cal_error *err);

/* Append the whole file. `most` bytes at the most (0: no limit): CAL_E_LIMIT above. */
cal_status cal_fs_read(const cal_fs *fs, const char *path, uint64_t most, cal_buffer *out, cal_error *err);

/* Append what stands from byte `from` on, `most` bytes at the most; nothing when the file ends there or before: for what grows. */
cal_status cal_fs_read_part(const cal_fs *fs, const char *path, uint64_t from, size_t most, cal_buffer *out, cal_error *err);

/* A file's bytes as memory, read-only. An empty file gives data NULL and size 0. */
typedef struct {
  const unsigned char *data;
  size_t size;
} cal_mapping;
cal_status cal_fs_map(const cal_fs *fs, const char *path, cal_mapping *map, cal_error *err);
void cal_fs_unmap(cal_mapping *map);

/* A part of a mapping was read and is not needed for now: its pages leave the process's memory. They can be read again all the same. */
void cal_fs_unneeded(const cal_mapping *map, const void *from, size_t size);

/* Write atomically: afterwards the file has all the new bytes, or (on failure, kill, full disk) what it had before.
 * Missing folders below the root are made. */
cal_status cal_fs_write(const cal_fs *fs, const char *path, const void *bytes, size_t size, cal_error *err);

/* The same without waiting for the disk, for what is checked when it is read: after a power cut the file may be empty. */
cal_status cal_fs_write_soon(const cal_fs *fs, const char *path, const void *bytes, size_t size, cal_error *err);

/* The same in pieces. `commit` and `discard` free the file; after a failed write only `discard` is allowed. */
typedef struct cal_fs_file cal_fs_file;
cal_fs_file *cal_fs_create(const cal_fs *fs, const char *path, cal_error *err);
cal_status cal_fs_file_add(cal_fs_file *file, const void *bytes, size_t size, cal_error *err);
int cal_fs_file_descriptor(cal_fs_file *file); /* borrowed, for libraries that write by themselves; seekable */
cal_status cal_fs_file_commit(cal_fs_file *file, cal_error *err);
void cal_fs_file_discard(cal_fs_file *file);

/* For files that become new together: the bytes lie in a hidden file beside `path`, as a killed write would leave it, whose path is added
 * to `staged`. cal_fs_rename(fs, staged, path) gives it its place, cal_fs_remove(fs, staged) takes it back. */
cal_status cal_fs_stage(const cal_fs *fs, const char *path, const void *bytes, size_t size, cal_buffer *staged, cal_error *err);

/* Open for reading and for writing at the end, made (with its folders) when it is not there: for what grows line by line or piece by
 * piece. A regular file; -1 on failure. The caller closes it. */
int cal_fs_open_append(const cal_fs *fs, const char *path, cal_error *err);

/* Hold a folder that may be read: a descriptor, to be closed when done; a process that ends lets go, too. -1 with CAL_E_BUSY: another
 * process holds it. What is in the folder can be changed by anybody all the same: it is for those who ask. On disks that know no locks
 * everybody gets one. */
int cal_fs_lock(const cal_fs *fs, const char *folder, cal_error *err);

/* Give a file another name, taking the place of a file that had it: one step. What was written to it is on the disk first. */
cal_status cal_fs_rename(const cal_fs *fs, const char *from, const char *to, cal_error *err);

/* Bytes that could still be written where `path` is or will be, as the system says. */
cal_status cal_fs_free_space(const cal_fs *fs, const char *path, uint64_t *bytes, cal_error *err);

/* Whether `path` could be written now: the nearest of its folders that is there is a folder that takes new files (with `folder`, the path
 * is to be a folder itself). Only asked by name, before anything is granted or made: CAL_E_ARG "out is a file, not a folder", else what
 * the system says. A disk that fills up later is not foreseen. */
cal_status cal_fs_writable(const cal_fs *fs, const char *path, bool folder, cal_error *err);

/* For messages: `path` with its first missing part exchanged for the name beside it that was meant, or NULL. Names with a dot in front are
 * not offered. Owned. */
char *cal_fs_nearest(const cal_fs *fs, const char *path);

cal_status cal_fs_make_folder(const cal_fs *fs, const char *path, cal_error *err); /* with its parents; existing is fine */
cal_status cal_fs_remove(const cal_fs *fs, const char *path, cal_error *err);      /* a file */

/* What a write that was killed leaves is a file of its own, hidden beside the one it was for: ".cat.txt.4711-0.tmp", named after process
 * and write. It goes when its name is just so, it is a regular file of this user, nobody has that process's number, and it is older than
 * CAL_FS_LEFT_SECONDS (a process elsewhere may write on the same disk). *removed: whether it went; everything else stays, without an error.
 */
enum { CAL_FS_LEFT_SECONDS = 60 };
cal_status cal_fs_remove_left(const cal_fs *fs, const char *path, bool *removed, cal_error *err);

/* Give a file another name, in one step: at every moment it has the one or the other. The folders of `to` are made. Never over a file that
 * is there: CAL_E_BUSY, nothing moved. CAL_E_ARG for another disk, and for links and what is no
 * file. */
cal_status cal_fs_move(const cal_fs *fs, const char *from, const char *to, cal_error *err);

/* A folder with nothing in it; CAL_E_ARG when there is something. */
cal_status cal_fs_remove_folder(const cal_fs *fs, const char *path, cal_error *err);

#endif
