/* fs.c - roots and rights: where a path lives, and that nothing leads out of there. What is done there stands in fs_read.c, fs_write.c,
 * fs_names.c and fs_ask.c. */
#include "core/base/fs.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "core/base/fs_place.h"
#if defined(__linux__)
#include <linux/openat2.h>
#include <sys/syscall.h>
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

const char *cal_fs_base(const cal_fs *fs) { return fs->base; }

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

int cal_place_open(const cal_fs *fs, int folder, const char *relative, int flags) {
  return keep_out(fs, open_beneath(folder, relative, flags));
}

void cal_place_leave(cal_place *p) {
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

cal_status cal_place_find(const cal_fs *fs, const char *path, unsigned rights, cal_place *p, cal_error *err) {
  *p = (cal_place){.folder = -1};
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
  if (status) cal_place_leave(p), *p = (cal_place){.folder = -1};
  return status;
}

cal_status cal_place_refuse(cal_error *err, int number, const char *path, const char *what) {
  if (number == EXDEV || number == ELOOP)
    return cal_fail(err, CAL_E_DENIED, "%s leads out of the folders this script was given, or to what is closed to scripts (a symlink?)",
                    path);
  return cal_fail_errno(err, number, "%s cannot be %s", path, what);
}

int cal_place_make_parent(const cal_fs *fs, const cal_place *p, const char **name) {
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
      if (mkdirat(at, part, 0777) == 0 || errno == EEXIST) next = cal_place_open(fs, at, part, O_PATH | O_DIRECTORY);
    }
    int kept = errno;
    close(at);
    errno = kept;
    at = next;
  }
  *name = relative;
  return at;
}

int cal_place_parent(const cal_fs *fs, const cal_place *p, const char **name) {
  const char *slash = last_slash(p->relative);
  *name = slash ? slash + 1 : p->relative;
  char *parent = cal_copy_text(p->relative, NULL);
  if (!parent) return errno = ENOMEM, -1;
  if (slash) parent[slash - p->relative] = 0;
  int folder = cal_place_open(fs, p->folder, slash ? parent : ".", O_PATH | O_DIRECTORY), kept = errno;
  cal_free(parent);
  errno = kept;
  return folder;
}

char *cal_fs_real(const cal_fs *fs, const char *path, cal_error *err) {
  cal_place p;
  if (cal_place_find(fs, path, CAL_FS_READ, &p, err)) return NULL;
  char real[4097];
  int fd = cal_place_open(fs, p.folder, p.relative, O_PATH);
  if (fd < 0) cal_place_refuse(err, errno, path, "found");
  cal_place_leave(&p);
  if (fd < 0) return NULL;
  const bool known = real_name(fd, real);
  if (!known) cal_fail_errno(err, errno, "the real name of %s is not to be had", path);
  close(fd);
  return known ? cal_copy_text(real, err) : NULL;
}
