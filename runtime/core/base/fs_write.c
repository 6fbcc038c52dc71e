/* fs_write.c - files that appear whole or not at all, what grows at its end, and what a killed write left. */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "core/base/fs_place.h"

struct cal_fs_file {
  int fd, folder;      /* folder: the one that will hold the file */
  char *path;          /* as the caller said it, for messages */
  char name[256];      /* the final name inside `folder` */
  char temporary[304]; /* its name while it grows; empty while it has none (O_TMPFILE) */
};

static void free_file(cal_fs_file *file) {
  if (file->fd >= 0) close(file->fd);
  if (file->folder >= 0) close(file->folder);
  cal_free(file->path);
  cal_free(file);
}

static void name_temporary(cal_fs_file *file) {
  static atomic_uint serial;
  snprintf(file->temporary, sizeof file->temporary, ".%.200s.%ld-%u.tmp", file->name, (long)getpid(), atomic_fetch_add(&serial, 1));
}

cal_fs_file *cal_fs_create(const cal_fs *fs, const char *path, cal_error *err) {
  cal_place p;
  if (cal_place_find(fs, path, CAL_FS_WRITE, &p, err)) return NULL;
  cal_fs_file *file = cal_alloc_zero(1, sizeof *file, err);
  if (!file) return cal_place_leave(&p), NULL;
  file->fd = file->folder = -1;
  file->path = cal_copy_text(path, err);
  const char *name = NULL;
  struct stat st;
  if (!file->path) goto failed;
  file->folder = cal_place_make_parent(fs, &p, &name);
  if (file->folder < 0) {
    cal_place_refuse(err, errno, path, "written");
    goto failed;
  }
  if (strlen(name) >= sizeof file->name || !strcmp(name, ".")) {
    cal_fail(err, CAL_E_ARG, "%s is not a name for a file", path);
    goto failed;
  }
  if (fstatat(file->folder, name, &st, 0) == 0 && !S_ISREG(st.st_mode)) {
    cal_fail(err, CAL_E_ARG, "%s exists and is not a regular file", path);
    goto failed;
  }
  snprintf(file->name, sizeof file->name, "%s", name);
#if defined(O_TMPFILE)
  file->fd = openat(file->folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0666); /* a kill leaves no trace */
#endif
  if (file->fd < 0) {
    name_temporary(file);
    file->fd = openat(file->folder, file->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  }
  if (file->fd < 0) {
    cal_fail_errno(err, errno, "%s cannot be written", path);
    file->temporary[0] = 0;
    goto failed;
  }
  cal_place_leave(&p);
  return file;
failed:
  cal_place_leave(&p);
  free_file(file);
  return NULL;
}

cal_status cal_fs_file_add(cal_fs_file *file, const void *bytes, size_t size, cal_error *err) {
  const char *at = bytes;
  while (size) {
    ssize_t put = write(file->fd, at, size);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return cal_fail_errno(err, errno, "%s cannot be written", file->path);
    at += put;
    size -= (size_t)put;
  }
  return CAL_OK;
}

int cal_fs_file_descriptor(cal_fs_file *file) { return file->fd; }

/* Give the file its name. One without a name yet takes a free one in a single step; to replace another it needs a name of
 * its own first, and a kill just there leaves that name behind, with the whole new content. */
static bool take_name(cal_fs_file *file) {
  if (!file->temporary[0]) {
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", file->fd);
    if (linkat(AT_FDCWD, self, file->folder, file->name, AT_SYMLINK_FOLLOW) == 0) return true;
    if (errno != EEXIST) return false;
    name_temporary(file);
    if (linkat(AT_FDCWD, self, file->folder, file->temporary, AT_SYMLINK_FOLLOW) != 0) return file->temporary[0] = 0, false;
  }
  return renameat(file->folder, file->temporary, file->folder, file->name) == 0;
}

void cal_fs_file_discard(cal_fs_file *file) {
  if (!file) return;
  if (file->temporary[0]) unlinkat(file->folder, file->temporary, 0);
  free_file(file);
}

void cal_fs_sync_folder(int folder) {
  int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* an O_PATH descriptor cannot be synced */
  if (fd < 0) return;
  fsync(fd);
  close(fd);
}

static cal_status commit(cal_fs_file *file, bool wait, cal_error *err) {
  const bool done = (!wait || fsync(file->fd) == 0) && take_name(file);
  if (!done) {
    cal_fail_errno(err, errno, "%s cannot be written", file->path);
    cal_fs_file_discard(file);
    return err ? err->code : CAL_E_IO;
  }
  if (wait) cal_fs_sync_folder(file->folder);
  free_file(file);
  return CAL_OK;
}

cal_status cal_fs_file_commit(cal_fs_file *file, cal_error *err) { return commit(file, true, err); }

static cal_status write_whole(const cal_fs *fs, const char *path, const void *bytes, size_t size, bool wait, cal_error *err) {
  cal_fs_file *file = cal_fs_create(fs, path, err);
  if (!file) return err ? err->code : CAL_E_IO;
  cal_status status = cal_fs_file_add(file, bytes, size, err);
  if (!status) return commit(file, wait, err);
  cal_fs_file_discard(file);
  return status;
}

cal_status cal_fs_write(const cal_fs *fs, const char *path, const void *bytes, size_t size, cal_error *err) {
  return write_whole(fs, path, bytes, size, true, err);
}

cal_status cal_fs_write_soon(const cal_fs *fs, const char *path, const void *bytes, size_t size, cal_error *err) {
  return write_whole(fs, path, bytes, size, false, err);
}

cal_status cal_fs_stage(const cal_fs *fs, const char *path, const void *bytes, size_t size, cal_buffer *staged, cal_error *err) {
  cal_fs_file *file = cal_fs_create(fs, path, err);
  if (!file) return err ? err->code : CAL_E_IO;
  cal_status status = cal_fs_file_add(file, bytes, size, err);
  if (!status && !file->temporary[0]) {
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", file->fd);
    name_temporary(file);
    if (linkat(AT_FDCWD, self, file->folder, file->temporary, AT_SYMLINK_FOLLOW) != 0) {
      status = cal_fail_errno(err, errno, "%s cannot be written", path);
      file->temporary[0] = 0;
    }
  }
  if (!status) {
    const char *slash = strrchr(path, '/');
    cal_buffer_add(staged, path, slash ? (size_t)(slash - path) + 1 : 0);
    cal_buffer_add_text(staged, file->temporary);
    if (staged->failed) status = cal_fail(err, CAL_E_MEMORY, "%s: no memory for its name", path);
  }
  if (!status) file->temporary[0] = 0; /* it stays */
  cal_fs_file_discard(file);
  return status;
}

int cal_fs_open_append(const cal_fs *fs, const char *path, cal_error *err) {
  cal_place p;
  if (cal_place_find(fs, path, CAL_FS_WRITE, &p, err)) return -1;
  const char *name = NULL;
  int folder = cal_place_make_parent(fs, &p, &name);
  int fd = folder < 0 ? -1 : cal_place_open(fs, folder, name, O_RDWR | O_CREAT | O_APPEND | O_NONBLOCK);
  struct stat st;
  if (fd < 0) cal_place_refuse(err, errno, path, "written");
  else if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
    cal_fail(err, CAL_E_ARG, "%s exists and is not a regular file", path);
    close(fd);
    fd = -1;
  }
  if (folder >= 0) close(folder);
  cal_place_leave(&p);
  return fd;
}

/* Digits at *at, without a zero in front of others; -1 when there are none, or more than a number of a process has. */
static long read_digits(const char **at) {
  const char *from = *at;
  char *end;
  if (*from < '0' || *from > '9' || (from[0] == '0' && from[1] >= '0' && from[1] <= '9')) return -1;
  const long value = strtol(from, &end, 10);
  *at = end;
  return end - from > 10 ? -1 : value;
}

/* As name_temporary makes them; the process's number, or -1. */
static long left_by(const char *name) {
  const size_t size = strlen(name);
  if (name[0] != '.' || size < sizeof ".a.1-0.tmp" - 1 || strcmp(name + size - 4, ".tmp")) return -1;
  const char *at = name + size - 4;
  while (at > name && at[-1] != '.') at--;
  if (at - name < 3) return -1; /* nothing between the two dots */
  const long pid = read_digits(&at);
  if (pid < 1 || *at++ != '-' || read_digits(&at) < 0) return -1;
  return at == name + size - 4 ? pid : -1;
}

cal_status cal_fs_remove_left(const cal_fs *fs, const char *path, bool *removed, cal_error *err) {
  *removed = false;
  const char *slash = strrchr(path, '/');
  const long pid = left_by(slash ? slash + 1 : path);
  if (pid < 1 || pid != (pid_t)pid || kill((pid_t)pid, 0) == 0 || errno != ESRCH) return CAL_OK;
  cal_place p;
  cal_status status = cal_place_find(fs, path, CAL_FS_WRITE, &p, err);
  if (status) return status;
  const char *name;
  int folder = cal_place_parent(fs, &p, &name);
  struct stat st;
  if (folder < 0) status = cal_place_refuse(err, errno, path, "removed");
  else if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
           time(NULL) - st.st_mtime >= CAL_FS_LEFT_SECONDS) {
    *removed = unlinkat(folder, name, 0) == 0;
    if (!*removed && errno != ENOENT) status = cal_place_refuse(err, errno, path, "removed");
  }
  if (folder >= 0) close(folder);
  cal_place_leave(&p);
  return status;
}
