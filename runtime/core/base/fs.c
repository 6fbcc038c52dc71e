#include "core/base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "core/base/suggest.h"
#if defined(__linux__)
#include <linux/openat2.h>
#include <sys/syscall.h>
#endif
#ifndef O_PATH
#define O_PATH O_RDONLY
#endif

typedef struct {
  char *path; /* absolute, "/" alone or without a slash at the end */
  unsigned rights;
  int fd; /* the folder (of a single file: its folder, one descriptor for all of them), or -1 until first used */
  bool single;
} root;

typedef struct {
  char *path;
  int fd;
} shelf; /* a folder of single files */

struct cal_fs {
  char *base;
  unsigned flags;
  root *roots; /* the list may move and its rights grow: only under the lock. Paths and descriptors stay until the end. */
  size_t count;
  size_t *slots, slot_count; /* by path: number of a root from 1, 0 for none; slot_count is a power of two, at least half of it free */
  shelf *shelves;
  size_t shelf_count;
  pthread_mutex_t *lock;
};

/* ---- paths as text ---- */

static const char *last_slash(const char *path) { return strrchr(path, '/'); }

char *cal_fs_absolute(const cal_fs *fs, const char *path, cal_error *err) {
  if (!*path) return cal_fail(err, CAL_E_ARG, "a path is empty"), NULL;
  cal_buffer joined = {0};
  if (*path != '/') cal_buffer_printf(&joined, "%s/", fs->base);
  cal_buffer_add_text(&joined, path);
  char *text = cal_buffer_take(&joined);
  if (!text) return cal_fail(err, CAL_E_MEMORY, "not enough memory for a path"), NULL;
  char *out = text;
  for (char *part = text; *part;) {
    while (*part == '/') part++;
    size_t size = strcspn(part, "/");
    bool more = part[size] != 0;
    if (size == 2 && part[0] == '.' && part[1] == '.') {
      while (out > text && *--out != '/') {
      }
    } else if (size && !(size == 1 && *part == '.')) {
      *out++ = '/';
      memmove(out, part, size);
      out += size;
    }
    part += size + more;
  }
  if (out == text) *out++ = '/';
  *out = 0;
  return text;
}

/* /proc holds the environment and the open files of this process. */
static bool guarded(const char *path) {
  static const char *const names[] = {".env", ".ssh", ".git", ".gnupg", ".calotype"};
  if (strncmp(path, "/proc", 5) == 0 && (path[5] == 0 || path[5] == '/')) return true;
  for (const char *part = path; *part;) {
    part += strspn(part, "/");
    size_t size = strcspn(part, "/");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
      if (size == strlen(names[i]) && strncmp(part, names[i], size) == 0) return true;
    part += size;
  }
  return false;
}

/* The name that what was opened has now, whatever links led there. */
static bool real_name(int fd, char path[4097]) {
#if defined(F_GETPATH)
  return fcntl(fd, F_GETPATH, path) == 0;
#else
  char self[64];
  snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
  ssize_t size = readlink(self, path, 4096);
  if (size < 0) return false;
  path[size] = 0;
  return true;
#endif
}

/* Is what was opened guarded under its real name? A link below a root may have any name. */
static bool leads_to_guarded(int fd) {
  char path[4097];
  return real_name(fd, path) && guarded(path);
}

/* `fd`, or -1 with errno EXDEV when it leads where scripts may not look. */
static int keep_out(const cal_fs *fs, int fd) {
  if (fd < 0 || !(fs->flags & CAL_FS_GUARDED) || !leads_to_guarded(fd)) return fd;
  close(fd);
  errno = EXDEV;
  return -1;
}

/* Where the root of this path stands, or would: a set of ten thousand pictures is as many roots. NULL before the first. */
static size_t *slot_of(const cal_fs *fs, const char *path, size_t size) {
  if (!fs->slots) return NULL;
  uint64_t hash = 14695981039346656037u; /* FNV-1a */
  for (size_t i = 0; i < size; i++) hash = (hash ^ (unsigned char)path[i]) * 1099511628211u;
  for (size_t at = hash & (fs->slot_count - 1);; at = (at + 1) & (fs->slot_count - 1)) {
    const char *there = fs->slots[at] ? fs->roots[fs->slots[at] - 1].path : NULL;
    if (!there || (strncmp(there, path, size) == 0 && !there[size])) return &fs->slots[at];
  }
}

static cal_status make_slots(cal_fs *fs, cal_error *err) {
  if (fs->count * 2 + 2 <= fs->slot_count) return CAL_OK;
  size_t *before = fs->slots, count = fs->slot_count ? fs->slot_count * 2 : 16;
  size_t *slots = cal_alloc_zero(count, sizeof *slots, err);
  if (!slots) return CAL_E_MEMORY;
  fs->slots = slots, fs->slot_count = count;
  for (size_t i = 0; i < fs->count; i++) *slot_of(fs, fs->roots[i].path, strlen(fs->roots[i].path)) = i + 1;
  cal_free(before);
  return CAL_OK;
}

/* The longest root, copied. */
static bool find_root(const cal_fs *fs, const char *absolute, unsigned rights, root *found) {
  bool good = false;
  pthread_mutex_lock(fs->lock);
  const size_t whole = strlen(absolute);
  for (size_t size = whole; !good; size = size ? size : 1) {
    const size_t *slot = slot_of(fs, absolute, size);
    const root *r = slot && *slot ? &fs->roots[*slot - 1] : NULL;
    if (r && (r->rights & rights) == rights && (size == whole || !r->single)) *found = *r, good = true;
    if (size == 1) break;
    while (--size && absolute[size] != '/') {
    }
  }
  pthread_mutex_unlock(fs->lock);
  return good;
}

/* ---- roots ---- */

cal_fs *cal_fs_new(const char *base, unsigned flags, cal_error *err) {
  cal_fs *fs = cal_alloc_zero(1, sizeof *fs, err);
  if (!fs) return NULL;
  fs->flags = flags;
  if (!(fs->lock = cal_alloc(sizeof *fs->lock, err))) return cal_free(fs), NULL;
  pthread_mutex_init(fs->lock, NULL);
  char *here = getcwd(NULL, 0);
  if (!here) cal_fail_errno(err, errno, "the working folder cannot be read");
  else fs->base = cal_copy_text(here, err);
  free(here);
  if (fs->base && base) {
    char *wanted = cal_fs_absolute(fs, base, err);
    cal_free(fs->base);
    fs->base = wanted;
  }
  if (!fs->base) cal_fs_free(fs), fs = NULL;
  return fs;
}

void cal_fs_free(cal_fs *fs) {
  if (!fs) return;
  for (size_t i = 0; i < fs->count; i++) {
    if (fs->roots[i].fd >= 0 && !fs->roots[i].single) close(fs->roots[i].fd);
    cal_free(fs->roots[i].path);
  }
  for (size_t i = 0; i < fs->shelf_count; i++) {
    close(fs->shelves[i].fd);
    cal_free(fs->shelves[i].path);
  }
  cal_free(fs->shelves);
  cal_free(fs->slots);
  cal_free(fs->roots);
  cal_free(fs->base);
  pthread_mutex_destroy(fs->lock);
  cal_free(fs->lock);
  cal_free(fs);
}

/* A write root that does not exist is left unopened: nothing is made before the first write. */
static int open_root(const cal_fs *fs, const root *r, cal_error *err) {
  char *folder = r->path;
  char *parent = NULL;
  if (r->single) {
    size_t size = (size_t)(last_slash(r->path) - r->path);
    parent = cal_copy_text(r->path, err);
    if (!parent) return -1;
    parent[size ? size : 1] = 0;
    folder = parent;
  }
  int fd = keep_out(fs, open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (fd < 0 && errno == EXDEV) cal_fail(err, CAL_E_DENIED, "%s leads to what is closed to scripts (a symlink?)", folder);
  else if (fd < 0) cal_fail_errno(err, errno, "%s cannot be opened", folder);
  cal_free(parent);
  return fd;
}

/* The folder of a single file. A thousand of them share a descriptor: a process may have no more than that many. */
static int open_shelf(cal_fs *fs, const root *r, cal_error *err) {
  size_t size = (size_t)(last_slash(r->path) - r->path);
  struct stat there, kept;
  for (size_t i = fs->shelf_count; i-- > 0;) {
    const shelf *f = &fs->shelves[i];
    if (strncmp(f->path, r->path, size) != 0 || f->path[size]) continue;
    if (!stat(size ? f->path : "/", &there) && !fstat(f->fd, &kept) && there.st_dev == kept.st_dev && there.st_ino == kept.st_ino)
      return f->fd;
    break; /* another folder by now */
  }
  shelf *shelves = cal_resize(fs->shelves, (fs->shelf_count + 1) * sizeof *shelves, err);
  if (!shelves) return -1;
  fs->shelves = shelves;
  shelf made = {cal_copy_text(r->path, err), -1};
  if (!made.path) return -1;
  made.path[size] = 0;
  if ((made.fd = open_root(fs, r, err)) < 0) cal_free(made.path);
  else shelves[fs->shelf_count++] = made;
  return made.fd;
}

static cal_status grant(cal_fs *fs, const char *path, unsigned rights, cal_error *err) {
  char *absolute = cal_fs_absolute(fs, path, err);
  if (!absolute) return CAL_E_ARG;
  if ((fs->flags & CAL_FS_GUARDED) && guarded(absolute)) {
    cal_fail(err, CAL_E_DENIED, "%s: keys, repositories, /proc and calotype's own store are closed to scripts", path);
    cal_free(absolute);
    return CAL_E_DENIED;
  }
  if (make_slots(fs, err)) return cal_free(absolute), CAL_E_MEMORY;
  size_t *slot = slot_of(fs, absolute, strlen(absolute));
  if (*slot) {
    fs->roots[*slot - 1].rights |= rights;
    cal_free(absolute);
    return CAL_OK;
  }
  struct stat st;
  bool exists = stat(absolute, &st) == 0;
  if (!exists && !(rights & CAL_FS_WRITE)) {
    cal_fail_errno(err, errno, "%s cannot be opened", path);
    cal_free(absolute);
    return CAL_E_NOTFOUND;
  }
  root *roots = cal_resize(fs->roots, (fs->count + 1) * sizeof *roots, err);
  if (!roots) return cal_free(absolute), CAL_E_MEMORY;
  fs->roots = roots;
  root r = {absolute, rights, -1, exists && !S_ISDIR(st.st_mode)};
  if (exists && (r.fd = r.single ? open_shelf(fs, &r, err) : open_root(fs, &r, err)) < 0)
    return cal_free(absolute), err ? err->code : CAL_E_IO;
  roots[fs->count++] = r;
  *slot = fs->count;
  return CAL_OK;
}

cal_status cal_fs_grant(cal_fs *fs, const char *path, unsigned rights, cal_error *err) {
  pthread_mutex_lock(fs->lock);
  const cal_status status = grant(fs, path, rights, err);
  pthread_mutex_unlock(fs->lock);
  return status;
}

bool cal_fs_allows(const cal_fs *fs, const char *path, unsigned rights) {
  char *absolute = cal_fs_absolute(fs, path, NULL);
  root unused;
  bool allowed = absolute && find_root(fs, absolute, rights, &unused) && !((fs->flags & CAL_FS_GUARDED) && guarded(absolute));
  cal_free(absolute);
  return allowed;
}

/* ---- opening below a root ---- */

/* Without openat2: one part at a time, no links at all. */
static int open_by_parts(int folder, const char *relative, int flags) {
  int at = openat(folder, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  while (at >= 0) {
    char part[256];
    size_t size = strcspn(relative, "/");
    bool last = relative[size] == 0;
    int next = -1;
    if (size >= sizeof part) errno = ENAMETOOLONG;
    else {
      memcpy(part, relative, size);
      part[size] = 0;
      next = openat(at, part, (last ? flags : O_PATH | O_DIRECTORY) | O_NOFOLLOW | O_CLOEXEC, 0666);
    }
    int kept = errno;
    close(at);
    errno = kept;
    if (last || next < 0) return next;
    at = next;
    relative += size + 1;
  }
  return -1;
}

static int open_beneath(int folder, const char *relative, int flags) {
#if defined(SYS_openat2)
  static atomic_bool absent;
  if (!atomic_load(&absent)) {
    struct open_how how = {
        .flags = (unsigned)(flags | O_CLOEXEC), .mode = flags & O_CREAT ? 0666 : 0, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    int fd;
    do fd = (int)syscall(SYS_openat2, folder, relative, &how, sizeof how);
    while (fd < 0 && errno == EAGAIN); /* a rename raced with the walk */
    if (fd >= 0 || (errno != ENOSYS && errno != EPERM)) return fd;
    atomic_store(&absent, true);
  }
#endif
  return open_by_parts(folder, relative, flags);
}

static int open_below(const cal_fs *fs, int folder, const char *relative, int flags) {
  return keep_out(fs, open_beneath(folder, relative, flags));
}

/* Where a path lives: its root's descriptor and the rest. `absolute` owns the text that `relative` points into. */
typedef struct {
  char *absolute;
  const char *relative;
  int folder;
  bool opened; /* folder must be closed */
} place;

static void leave(place *p) {
  if (p->opened) close(p->folder);
  cal_free(p->absolute);
}

/* One part at a time, so that nothing is made behind a link to what is guarded. The caller reads errno. */
static cal_status make_folders(const cal_fs *fs, const char *path) {
  int at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  while (at >= 0 && *(path += strspn(path, "/"))) {
    char part[256];
    size_t size = strcspn(path, "/");
    int next = -1;
    if (size >= sizeof part) errno = ENAMETOOLONG;
    else {
      memcpy(part, path, size);
      part[size] = 0;
      if (mkdirat(at, part, 0777) == 0 || errno == EEXIST) next = keep_out(fs, openat(at, part, O_PATH | O_DIRECTORY | O_CLOEXEC));
    }
    int kept = errno;
    close(at);
    errno = kept;
    at = next;
    path += size;
  }
  if (at < 0) return CAL_E_IO;
  close(at);
  return CAL_OK;
}

static cal_status find_place(const cal_fs *fs, const char *path, unsigned rights, place *p, cal_error *err) {
  *p = (place){.folder = -1};
  p->absolute = cal_fs_absolute(fs, path, err);
  if (!p->absolute) return CAL_E_ARG;
  const char *doing = rights & CAL_FS_WRITE ? "written" : "read";
  root found, *r = find_root(fs, p->absolute, rights, &found) ? &found : NULL;
  cal_status status = CAL_OK;
  if ((fs->flags & CAL_FS_GUARDED) && guarded(p->absolute))
    status = cal_fail(err, CAL_E_DENIED, "%s may not be %s: keys, repositories, /proc and calotype's own store are closed to scripts", path,
                      doing);
  else if (!r) status = cal_fail(err, CAL_E_DENIED, "%s may not be %s: it is outside the folders this script was given", path, doing);
  if (!status && r) {
    p->folder = r->fd;
    if (p->folder < 0) {
      if (rights & CAL_FS_WRITE && make_folders(fs, r->path))
        status = errno == EXDEV ? cal_fail(err, CAL_E_DENIED, "%s leads to what is closed to scripts (a symlink?)", path)
                                : cal_fail_errno(err, errno, "%s cannot be made", r->path);
      if (!status && (p->folder = open_root(fs, r, err)) < 0) status = err ? err->code : CAL_E_IO;
      p->opened = !status;
    }
    size_t size = r->single ? (size_t)(last_slash(r->path) - r->path) : strlen(r->path);
    p->relative = p->absolute + (size == 1 && !r->single ? 0 : size);
    p->relative += strspn(p->relative, "/");
    if (!*p->relative) p->relative = ".";
  }
  if (status) leave(p), *p = (place){.folder = -1};
  return status;
}

static cal_status refuse(cal_error *err, int number, const char *path, const char *what) {
  if (number == EXDEV || number == ELOOP)
    return cal_fail(err, CAL_E_DENIED, "%s leads out of the folders this script was given, or to what is closed to scripts (a symlink?)",
                    path);
  return cal_fail_errno(err, number, "%s cannot be %s", path, what);
}

/* ---- reading ---- */

static cal_fs_info info_of(const struct stat *st) {
  cal_fs_info info = {.kind = S_ISREG(st->st_mode)   ? CAL_FS_FILE
                              : S_ISDIR(st->st_mode) ? CAL_FS_FOLDER
                                                     : CAL_FS_OTHER,
                      .size = (uint64_t)st->st_size,
                      .device = (uint64_t)st->st_dev,
                      .inode = (uint64_t)st->st_ino};
#if defined(__APPLE__)
  info.mtime_ns = (int64_t)st->st_mtimespec.tv_sec * 1000000000 + st->st_mtimespec.tv_nsec;
#else
  info.mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
#endif
  return info;
}

cal_status cal_fs_stat(const cal_fs *fs, const char *path, cal_fs_info *info, cal_error *err) {
  place p;
  cal_status status = find_place(fs, path, CAL_FS_READ, &p, err);
  if (status) return status;
  int fd = open_below(fs, p.folder, p.relative, O_PATH);
  struct stat st;
  if (fd < 0 || fstat(fd, &st) != 0) status = refuse(err, errno, path, "found");
  else *info = info_of(&st);
  if (fd >= 0) close(fd);
  leave(&p);
  return status;
}

char *cal_fs_real(const cal_fs *fs, const char *path, cal_error *err) {
  place p;
  if (find_place(fs, path, CAL_FS_READ, &p, err)) return NULL;
  char real[4097];
  int fd = open_below(fs, p.folder, p.relative, O_PATH);
  if (fd < 0) refuse(err, errno, path, "found");
  leave(&p);
  if (fd < 0) return NULL;
  const bool known = real_name(fd, real);
  if (!known) cal_fail_errno(err, errno, "the real name of %s is not to be had", path);
  close(fd);
  return known ? cal_copy_text(real, err) : NULL;
}

int cal_fs_open(const cal_fs *fs, const char *path, cal_error *err) {
  place p;
  if (find_place(fs, path, CAL_FS_READ, &p, err)) return -1;
  /* O_NONBLOCK: a named pipe among the pictures must not stop the scan. */
  int fd = open_below(fs, p.folder, p.relative, O_RDONLY | O_NONBLOCK);
  struct stat st;
  if (fd < 0) refuse(err, errno, path, "opened");
  else if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
    cal_fail(err, CAL_E_FORMAT, "%s is not a regular file", path);
    close(fd);
    fd = -1;
  }
  leave(&p);
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

/* ---- listing ---- */

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
  place p;
  cal_status status = find_place(fs, folder, CAL_FS_READ, &p, err);
  if (status) return status;
  int fd = open_below(fs, p.folder, p.relative, O_RDONLY | O_DIRECTORY);
  listing l = {0};
  status = fd < 0 ? refuse(err, errno, folder, "listed") : list_into(&l, fd, folder, recursive, 0, err);
  leave(&p);
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

/* ---- writing ---- */

char *cal_fs_nearest(const cal_fs *fs, const char *path) {
  char *at = cal_fs_absolute(fs, path, NULL), *found = NULL;
  if (!at) return NULL;
  struct stat st;
  char *part = at, *end = at;
  do { /* the first part that is not there */
    part = end + 1;
    end = part + strcspn(part, "/");
    char kept = *end;
    *end = 0;
    bool there = stat(at, &st) == 0;
    *end = kept;
    if (!there) break;
  } while (*end);
  char *word = cal_copy_text(part, NULL);
  if (word) word[end - part] = 0;
  char above = part[0];
  part[0] = 0;
  DIR *stream = word && *word ? opendir(at) : NULL;
  part[0] = above;
  cal_suggestion s = {.word = word};
  char *names[4096];
  size_t count = 0;
  for (struct dirent *entry; stream && count < sizeof names / sizeof *names && (entry = readdir(stream));)
    if (entry->d_name[0] != '.' && (names[count] = cal_copy_text(entry->d_name, NULL))) cal_suggestion_offer(&s, names[count++]);
  if (stream) closedir(stream);
  const char *best = stream ? cal_suggestion_best(&s) : NULL;
  size_t base = strlen(fs->base);
  const char *from = *path != '/' && strncmp(at, fs->base, base) == 0 && at[base] == '/' ? at + base + 1 : at;
  cal_buffer text = {0};
  if (best && from <= part) {
    cal_buffer_add(&text, from, (size_t)(part - from));
    cal_buffer_add_text(&text, best);
    cal_buffer_add_text(&text, end);
    found = cal_buffer_take(&text);
  }
  while (count) cal_free(names[--count]);
  cal_free(word);
  cal_free(at);
  return found;
}

cal_status cal_fs_writable(const cal_fs *fs, const char *path, bool folder, cal_error *err) {
  char *at = cal_fs_absolute(fs, path, err);
  if (!at) return CAL_E_ARG;
  struct stat st;
  int missing = 0;
  for (bool up = !folder;; up = true) {
    if (up) at[last_slash(at) > at ? last_slash(at) - at : 1] = 0;
    missing = stat(at, &st) ? errno : 0;
    if ((missing != ENOENT && missing != ENOTDIR) || !at[1]) break;
  }
  size_t base = strlen(fs->base);
  const char *shown = at; /* as it was said, where that was relative */
  if (*path != '/' && strncmp(at, fs->base, base) == 0 && (at[base] == '/' || !at[base])) shown = at[base] ? at + base + 1 : ".";
  cal_status status = CAL_OK;
  if (missing) status = cal_fail_errno(err, missing, "%s cannot be written", path);
  else if (!S_ISDIR(st.st_mode)) status = cal_fail(err, CAL_E_ARG, "%s is a file, not a folder", shown);
  else if (faccessat(AT_FDCWD, at, W_OK | X_OK, AT_EACCESS)) status = cal_fail_errno(err, errno, "nothing can be written to %s", shown);
  cal_free(at);
  return status;
}

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

/* The folder that holds `relative`, made if need be; *name is what is left. */
static int open_parent(const cal_fs *fs, const place *p, const char **name) {
  int at = openat(p->folder, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  const char *relative = p->relative;
  for (const char *slash; at >= 0 && (slash = strchr(relative, '/')); relative = slash + 1) {
    char part[256];
    size_t size = (size_t)(slash - relative);
    int next = -1;
    if (size >= sizeof part) errno = ENAMETOOLONG;
    else {
      memcpy(part, relative, size);
      part[size] = 0;
      if (mkdirat(at, part, 0777) == 0 || errno == EEXIST) next = open_below(fs, at, part, O_PATH | O_DIRECTORY);
    }
    int kept = errno;
    close(at);
    errno = kept;
    at = next;
  }
  *name = relative;
  return at;
}

static void name_temporary(cal_fs_file *file) {
  static atomic_uint serial;
  snprintf(file->temporary, sizeof file->temporary, ".%.200s.%ld-%u.tmp", file->name, (long)getpid(), atomic_fetch_add(&serial, 1));
}

cal_fs_file *cal_fs_create(const cal_fs *fs, const char *path, cal_error *err) {
  place p;
  if (find_place(fs, path, CAL_FS_WRITE, &p, err)) return NULL;
  cal_fs_file *file = cal_alloc_zero(1, sizeof *file, err);
  if (!file) return leave(&p), NULL;
  file->fd = file->folder = -1;
  file->path = cal_copy_text(path, err);
  const char *name = NULL;
  struct stat st;
  if (!file->path) goto failed;
  file->folder = open_parent(fs, &p, &name);
  if (file->folder < 0) {
    refuse(err, errno, path, "written");
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
  leave(&p);
  return file;
failed:
  leave(&p);
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

static void sync_folder(int folder) {
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
  if (wait) sync_folder(file->folder);
  free_file(file);
  return CAL_OK;
}

cal_status cal_fs_file_commit(cal_fs_file *file, cal_error *err) { return commit(file, true, err); }

void cal_fs_file_discard(cal_fs_file *file) {
  if (!file) return;
  if (file->temporary[0]) unlinkat(file->folder, file->temporary, 0);
  free_file(file);
}

int cal_fs_open_append(const cal_fs *fs, const char *path, cal_error *err) {
  place p;
  if (find_place(fs, path, CAL_FS_WRITE, &p, err)) return -1;
  const char *name = NULL;
  int folder = open_parent(fs, &p, &name);
  int fd = folder < 0 ? -1 : open_below(fs, folder, name, O_RDWR | O_CREAT | O_APPEND | O_NONBLOCK);
  struct stat st;
  if (fd < 0) refuse(err, errno, path, "written");
  else if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
    cal_fail(err, CAL_E_ARG, "%s exists and is not a regular file", path);
    close(fd);
    fd = -1;
  }
  if (folder >= 0) close(folder);
  leave(&p);
  return fd;
}

int cal_fs_lock(const cal_fs *fs, const char *folder, cal_error *err) {
  place p;
  if (find_place(fs, folder, CAL_FS_READ, &p, err)) return -1;
  int fd = open_below(fs, p.folder, p.relative, O_RDONLY | O_DIRECTORY | O_NONBLOCK);
  if (fd < 0) refuse(err, errno, folder, "opened");
  else if (flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) {
    cal_fail(err, CAL_E_BUSY, "another process works in %s; try again when it is done", folder);
    close(fd);
    fd = -1;
  }
  leave(&p);
  return fd;
}

cal_status cal_fs_rename(const cal_fs *fs, const char *from, const char *to, cal_error *err) {
  place old, new;
  cal_status status = find_place(fs, from, CAL_FS_WRITE, &old, err);
  if (status) return status;
  status = find_place(fs, to, CAL_FS_WRITE, &new, err);
  if (status) return leave(&old), status;
  const char *old_name, *new_name;
  int old_folder = open_parent(fs, &old, &old_name), new_folder = old_folder < 0 ? -1 : open_parent(fs, &new, &new_name);
  int fd = new_folder < 0 ? -1 : open_below(fs, old_folder, old_name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
  struct stat st;
  if (fd < 0) status = refuse(err, errno, from, "renamed");
  else if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) status = cal_fail(err, CAL_E_ARG, "%s is not a regular file", from);
  else if (fsync(fd) != 0 || renameat(old_folder, old_name, new_folder, new_name) != 0) status = refuse(err, errno, to, "written");
  if (fd >= 0) close(fd);
  fd = status ? -1 : openat(new_folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0) {
    fsync(fd);
    close(fd);
  }
  if (old_folder >= 0) close(old_folder);
  if (new_folder >= 0) close(new_folder);
  leave(&old);
  leave(&new);
  return status;
}

cal_status cal_fs_free_space(const cal_fs *fs, const char *path, uint64_t *bytes, cal_error *err) {
  char *at = cal_fs_absolute(fs, path, err);
  if (!at) return CAL_E_ARG;
  struct statvfs st;
  int failed = 0;
  while ((failed = statvfs(at, &st) ? errno : 0) && (failed == ENOENT || failed == ENOTDIR) && at[1])
    at[last_slash(at) > at ? last_slash(at) - at : 1] = 0;
  cal_status status = failed ? cal_fail_errno(err, failed, "the free space of %s cannot be asked for", path) : CAL_OK;
  if (!failed) *bytes = (uint64_t)st.f_bavail * st.f_frsize;
  cal_free(at);
  return status;
}

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

cal_status cal_fs_make_folder(const cal_fs *fs, const char *path, cal_error *err) {
  place p;
  cal_status status = find_place(fs, path, CAL_FS_WRITE, &p, err);
  if (status) return status;
  const char *name;
  int folder = open_parent(fs, &p, &name);
  bool made = folder >= 0 && (!strcmp(name, ".") || mkdirat(folder, name, 0777) == 0 || errno == EEXIST);
  if (!made) status = refuse(err, errno, path, "made");
  if (folder >= 0) close(folder);
  leave(&p);
  return status;
}

/* The folder that holds `relative`, which must be there; *name is what is left. */
static int find_parent(const cal_fs *fs, const place *p, const char **name) {
  const char *slash = last_slash(p->relative);
  *name = slash ? slash + 1 : p->relative;
  char *parent = cal_copy_text(p->relative, NULL);
  if (!parent) return errno = ENOMEM, -1;
  if (slash) parent[slash - p->relative] = 0;
  int folder = open_below(fs, p->folder, slash ? parent : ".", O_PATH | O_DIRECTORY), kept = errno;
  cal_free(parent);
  errno = kept;
  return folder;
}

static cal_status remove_entry(const cal_fs *fs, const char *path, int flags, cal_error *err) {
  place p;
  cal_status status = find_place(fs, path, CAL_FS_WRITE, &p, err);
  if (status) return status;
  const char *name;
  int folder = find_parent(fs, &p, &name);
  if (folder < 0 || unlinkat(folder, name, flags) != 0)
    status =
        errno == ENOTEMPTY || errno == EEXIST ? cal_fail(err, CAL_E_ARG, "%s is not empty", path) : refuse(err, errno, path, "removed");
  if (folder >= 0) close(folder);
  leave(&p);
  return status;
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
  const char *slash = last_slash(path);
  const long pid = left_by(slash ? slash + 1 : path);
  if (pid < 1 || pid != (pid_t)pid || kill((pid_t)pid, 0) == 0 || errno != ESRCH) return CAL_OK;
  place p;
  cal_status status = find_place(fs, path, CAL_FS_WRITE, &p, err);
  if (status) return status;
  const char *name;
  int folder = find_parent(fs, &p, &name);
  struct stat st;
  if (folder < 0) status = refuse(err, errno, path, "removed");
  else if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
           time(NULL) - st.st_mtime >= CAL_FS_LEFT_SECONDS) {
    *removed = unlinkat(folder, name, 0) == 0;
    if (!*removed && errno != ENOENT) status = refuse(err, errno, path, "removed");
  }
  if (folder >= 0) close(folder);
  leave(&p);
  return status;
}

/* Without the call that does it in one step: a second name, then the first one goes. A kill in between leaves both. */
static int rename_free(int from, const char *name, int to, const char *as) {
#if defined(SYS_renameat2) && defined(RENAME_NOREPLACE)
  if (syscall(SYS_renameat2, from, name, to, as, RENAME_NOREPLACE) == 0) return 0;
  if (errno != ENOSYS && errno != EINVAL) return -1;
#endif
  return linkat(from, name, to, as, 0) == 0 && unlinkat(from, name, 0) == 0 ? 0 : -1;
}

cal_status cal_fs_move(const cal_fs *fs, const char *from, const char *to, cal_error *err) {
  place a, b;
  cal_status status = find_place(fs, from, CAL_FS_WRITE, &a, err);
  if (status) return status;
  if ((status = find_place(fs, to, CAL_FS_WRITE, &b, err))) return leave(&a), status;
  const char *name, *as;
  struct stat st;
  int source = find_parent(fs, &a, &name), target = -1;
  if (source < 0 || fstatat(source, name, &st, AT_SYMLINK_NOFOLLOW)) status = refuse(err, errno, from, "moved");
  else if (!S_ISREG(st.st_mode)) /* a link that says where from here would lead elsewhere from there */
    status = cal_fail(err, CAL_E_ARG, "%s is %s: it is not moved", from, S_ISLNK(st.st_mode) ? "a link" : "no file");
  else if ((target = open_parent(fs, &b, &as)) < 0) status = refuse(err, errno, to, "written");
  else if (rename_free(source, name, target, as)) {
    if (errno == EEXIST) status = cal_fail(err, CAL_E_BUSY, "%s is there already: %s was not moved over it", to, from);
    else if (errno == EXDEV) status = cal_fail(err, CAL_E_ARG, "%s and %s are on different disks: nothing is moved between them", from, to);
    else status = cal_fail_errno(err, errno, "%s cannot be moved to %s", from, to);
  } else {
    sync_folder(target);
    sync_folder(source);
  }
  if (source >= 0) close(source);
  if (target >= 0) close(target);
  leave(&a);
  leave(&b);
  return status;
}

cal_status cal_fs_remove(const cal_fs *fs, const char *path, cal_error *err) { return remove_entry(fs, path, 0, err); }

cal_status cal_fs_remove_folder(const cal_fs *fs, const char *path, cal_error *err) { return remove_entry(fs, path, AT_REMOVEDIR, err); }
