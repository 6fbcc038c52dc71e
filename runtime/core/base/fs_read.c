/* fs_read.c - what is there: files, their bytes, and what a folder holds. */
#include <dirent.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "core/base/fs_place.h"

static cal_fs_info info_of(const struct stat *st) {
  cal_fs_info info = {.kind = S_ISREG(st->st_mode)   ? CAL_FS_FILE
                              : S_ISDIR(st->st_mode) ? CAL_FS_FOLDER
                                                     : CAL_FS_OTHER,
                      .size = (uint64_t)st->st_size,
                      .device = (uint64_t)st->st_dev,
                      .inode = (uint64_t)st->st_ino};
#if defined(__APPLE__)
  info.mtime_ns = (int64_t)st->st_mtimespec.tv_sec * 1000000000 + st->st_mtimespec.tv_nsec;
  info.ctime_ns = (int64_t)st->st_ctimespec.tv_sec * 1000000000 + st->st_ctimespec.tv_nsec;
#else
  info.mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
  info.ctime_ns = (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec;
#endif
  return info;
}

cal_status cal_fs_stat(const cal_fs *fs, const char *path, cal_fs_info *info, cal_error *err) {
  cal_place p;
  cal_status status = cal_place_find(fs, path, CAL_FS_READ, &p, err);
  if (status) return status;
  int fd = cal_place_open(fs, p.folder, p.relative, O_PATH);
  struct stat st;
  if (fd < 0 || fstat(fd, &st) != 0) status = cal_place_refuse(err, errno, path, "found");
  else *info = info_of(&st);
  if (fd >= 0) close(fd);
  cal_place_leave(&p);
  return status;
}

int cal_fs_open(const cal_fs *fs, const char *path, cal_error *err) {
  cal_place p;
  if (cal_place_find(fs, path, CAL_FS_READ, &p, err)) return -1;
  /* O_NONBLOCK: a named pipe among the pictures must not stop the scan. */
  int fd = cal_place_open(fs, p.folder, p.relative, O_RDONLY | O_NONBLOCK);
  struct stat st;
  if (fd < 0) cal_place_refuse(err, errno, path, "opened");
  else if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
    cal_fail(err, CAL_E_FORMAT, "%s is not a regular file", path);
    close(fd);
    fd = -1;
  }
  cal_place_leave(&p);
  return fd;
}

cal_status cal_fs_read(const cal_fs *fs, const char *path, uint64_t most, cal_buffer *out, cal_error *err) {
  int fd = cal_fs_open(fs, path, err);
  if (fd < 0) return err ? err->code : CAL_E_IO;
  struct stat st;
  cal_status status = CAL_OK;
  size_t before = out->size;
  if (fstat(fd, &st) == 0 && st.st_size > 0 && (!most || (uint64_t)st.st_size <= most)) cal_buffer_reserve(out, (size_t)st.st_size + 1);
  for (;;) {
    if (!cal_buffer_reserve(out, 65536)) {
      status = cal_fail(err, CAL_E_MEMORY, "%s: not enough memory to read it", path);
      break;
    }
    ssize_t got = read(fd, out->data + out->size, out->capacity - out->size - 1);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) status = cal_fail_errno(err, errno, "%s cannot be read", path);
    if (got <= 0) break;
    out->size += (size_t)got;
    out->data[out->size] = 0;
    if (most && out->size - before > most) {
      status = cal_fail(err, CAL_E_LIMIT, "%s is larger than %llu bytes", path, (unsigned long long)most);
      break;
    }
  }
  close(fd);
  if (status) out->size = before;
  return status;
}

cal_status cal_fs_read_part(const cal_fs *fs, const char *path, uint64_t from, size_t most, cal_buffer *out, cal_error *err) {
  if (from > INT64_MAX - most) return cal_fail(err, CAL_E_ARG, "%s: no file has a byte %llu", path, (unsigned long long)from);
  int fd = cal_fs_open(fs, path, err);
  if (fd < 0) return err ? err->code : CAL_E_IO;
  cal_status status = CAL_OK;
  for (const size_t before = out->size; out->size - before < most;) {
    size_t wish = most - (out->size - before);
    if (wish > 65536) wish = 65536;
    if (!cal_buffer_reserve(out, wish + 1)) {
      status = cal_fail(err, CAL_E_MEMORY, "%s: not enough memory to read it", path);
      break;
    }
    ssize_t got = pread(fd, out->data + out->size, wish, (off_t)(from + out->size - before));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) status = cal_fail_errno(err, errno, "%s cannot be read", path), out->size = before;
    if (got <= 0) break;
    out->size += (size_t)got;
    out->data[out->size] = 0;
  }
  close(fd);
  return status;
}

int cal_fs_lock(const cal_fs *fs, const char *folder, cal_error *err) {
  cal_place p;
  if (cal_place_find(fs, folder, CAL_FS_READ, &p, err)) return -1;
  int fd = cal_place_open(fs, p.folder, p.relative, O_RDONLY | O_DIRECTORY | O_NONBLOCK);
  if (fd < 0) cal_place_refuse(err, errno, folder, "opened");
  else if (flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) {
    cal_fail(err, CAL_E_BUSY, "another process works in %s; try again when it is done", folder);
    close(fd);
    fd = -1;
  }
  cal_place_leave(&p);
  return fd;
}

cal_status cal_fs_map(const cal_fs *fs, const char *path, cal_mapping *map, cal_error *err) {
  *map = (cal_mapping){0};
  int fd = cal_fs_open(fs, path, err);
  if (fd < 0) return err ? err->code : CAL_E_IO;
  struct stat st;
  cal_status status = CAL_OK;
  if (fstat(fd, &st) != 0) status = cal_fail_errno(err, errno, "%s cannot be read", path);
  else if (st.st_size > 0) {
    void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED) status = cal_fail_errno(err, errno, "%s cannot be mapped", path);
    else *map = (cal_mapping){data, (size_t)st.st_size};
  }
  close(fd);
  return status;
}

void cal_fs_unmap(cal_mapping *map) {
  if (map->data) munmap((void *)(uintptr_t)map->data, map->size);
  *map = (cal_mapping){0};
}

void cal_fs_unneeded(const cal_mapping *map, const void *from, size_t size) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE), at = (size_t)((const unsigned char *)from - map->data);
  const size_t first = (at + page - 1) / page * page, end = (at + size) / page * page; /* pages shared with neighbours stay */
  if (end > first) madvise((void *)(uintptr_t)(map->data + first), end - first, MADV_DONTNEED);
}

typedef struct {
  cal_fs_info *items;
  size_t count, room;
} listing;

static bool add_entry(listing *l, const char *folder, const char *name, cal_fs_info info) {
  if (l->count == l->room) {
    size_t room = l->room ? 2 * l->room : 64;
    cal_fs_info *items = cal_resize(l->items, room * sizeof *items, NULL);
    if (!items) return false;
    l->items = items;
    l->room = room;
  }
  cal_buffer path = {0};
  size_t size = strlen(folder);
  cal_buffer_printf(&path, "%s%s%s", folder, size && folder[size - 1] == '/' ? "" : "/", name);
  info.path = cal_buffer_take(&path);
  if (!info.path) return false;
  l->items[l->count++] = info;
  return true;
}

enum { DEEPEST = 64 }; /* folders below folders; deeper ones are listed, not entered */

static cal_status list_into(listing *l, int fd, const char *folder, bool recursive, int depth, cal_error *err) {
  DIR *stream = fdopendir(fd);
  if (!stream) {
    close(fd);
    return cal_fail_errno(err, errno, "%s cannot be listed", folder);
  }
  cal_status status = CAL_OK;
  for (struct dirent *entry; !status && (entry = readdir(stream));) {
    const char *name = entry->d_name;
    if (!strcmp(name, ".") || !strcmp(name, "..")) continue;
    struct stat st;
    cal_fs_info info = {.kind = CAL_FS_OTHER};
    bool link = false;
    if (fstatat(dirfd(stream), name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
      link = S_ISLNK(st.st_mode);
      /* What a link points to is looked up by text only to tell file from folder; opening is checked by the kernel. */
      if (!link || (fstatat(dirfd(stream), name, &st, 0) == 0 && !S_ISDIR(st.st_mode))) info = info_of(&st);
    }
    int inner = -1;
    if (recursive && info.kind == CAL_FS_FOLDER && depth < DEEPEST) {
      inner = openat(dirfd(stream), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      if (inner < 0) info.kind = CAL_FS_OTHER;
    }
    if (!add_entry(l, folder, name, info)) status = cal_fail(err, CAL_E_MEMORY, "%s: not enough memory to list it", folder);
    if (!status && inner >= 0) {
      char *sub = cal_copy_text(l->items[l->count - 1].path, err); /* the list may move while it grows */
      status = sub ? list_into(l, inner, sub, recursive, depth + 1, err) : CAL_E_MEMORY;
      cal_free(sub);
    } else if (inner >= 0) {
      close(inner);
    }
  }
  closedir(stream);
  return status;
}

static int by_path(const void *a, const void *b) { return strcmp(((const cal_fs_info *)a)->path, ((const cal_fs_info *)b)->path); }

cal_status cal_fs_list(const cal_fs *fs, const char *folder, bool recursive, cal_fs_info **list, size_t *count, cal_error *err) {
  *list = NULL;
  *count = 0;
  cal_place p;
  cal_status status = cal_place_find(fs, folder, CAL_FS_READ, &p, err);
  if (status) return status;
  int fd = cal_place_open(fs, p.folder, p.relative, O_RDONLY | O_DIRECTORY);
  listing l = {0};
  status = fd < 0 ? cal_place_refuse(err, errno, folder, "listed") : list_into(&l, fd, folder, recursive, 0, err);
  cal_place_leave(&p);
  if (status) {
    cal_fs_list_free(l.items, l.count);
    return status;
  }
  if (l.count) qsort(l.items, l.count, sizeof *l.items, by_path);
  *list = l.items;
  *count = l.count;
  return CAL_OK;
}

void cal_fs_list_free(cal_fs_info *list, size_t count) {
  for (size_t i = 0; i < count; i++) cal_free(list[i].path);
  cal_free(list);
}
