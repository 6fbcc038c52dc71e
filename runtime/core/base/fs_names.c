/* fs_names.c - names of what is there: folders made, files moved and removed. */
#include <stdio.h>
#include <sys/stat.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif

#include "core/base/fs_place.h"

cal_status cal_fs_make_folder(const cal_fs *fs, const char *path, cal_error *err) {
  cal_place p;
  cal_status status = cal_place_find(fs, path, CAL_FS_WRITE, &p, err);
  if (status) return status;
  const char *name;
  int folder = cal_place_make_parent(fs, &p, &name);
  bool made = folder >= 0 && (!strcmp(name, ".") || mkdirat(folder, name, 0777) == 0 || errno == EEXIST);
  if (!made) status = cal_place_refuse(err, errno, path, "made");
  if (folder >= 0) close(folder);
  cal_place_leave(&p);
  return status;
}

static cal_status remove_entry(const cal_fs *fs, const char *path, int flags, cal_error *err) {
  cal_place p;
  cal_status status = cal_place_find(fs, path, CAL_FS_WRITE, &p, err);
  if (status) return status;
  const char *name;
  int folder = cal_place_parent(fs, &p, &name);
  if (folder < 0 || unlinkat(folder, name, flags) != 0)
    status = errno == ENOTEMPTY || errno == EEXIST ? cal_fail(err, CAL_E_ARG, "%s is not empty", path)
                                                   : cal_place_refuse(err, errno, path, "removed");
  if (folder >= 0) close(folder);
  cal_place_leave(&p);
  return status;
}

cal_status cal_fs_remove(const cal_fs *fs, const char *path, cal_error *err) { return remove_entry(fs, path, 0, err); }

cal_status cal_fs_remove_folder(const cal_fs *fs, const char *path, cal_error *err) { return remove_entry(fs, path, AT_REMOVEDIR, err); }

cal_status cal_fs_rename(const cal_fs *fs, const char *from, const char *to, cal_error *err) {
  cal_place old, new;
  cal_status status = cal_place_find(fs, from, CAL_FS_WRITE, &old, err);
  if (status) return status;
  status = cal_place_find(fs, to, CAL_FS_WRITE, &new, err);
  if (status) return cal_place_leave(&old), status;
  const char *old_name, *new_name;
  int old_folder = cal_place_make_parent(fs, &old, &old_name),
      new_folder = old_folder < 0 ? -1 : cal_place_make_parent(fs, &new, &new_name);
  int fd = new_folder < 0 ? -1 : cal_place_open(fs, old_folder, old_name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
  struct stat st;
  if (fd < 0) status = cal_place_refuse(err, errno, from, "renamed");
  else if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) status = cal_fail(err, CAL_E_ARG, "%s is not a regular file", from);
  else if (fsync(fd) != 0 || renameat(old_folder, old_name, new_folder, new_name) != 0)
    status = cal_place_refuse(err, errno, to, "written");
  if (fd >= 0) close(fd);
  if (!status) cal_fs_sync_folder(new_folder);
  if (old_folder >= 0) close(old_folder);
  if (new_folder >= 0) close(new_folder);
  cal_place_leave(&old);
  cal_place_leave(&new);
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
  cal_place a, b;
  cal_status status = cal_place_find(fs, from, CAL_FS_WRITE, &a, err);
  if (status) return status;
  if ((status = cal_place_find(fs, to, CAL_FS_WRITE, &b, err))) return cal_place_leave(&a), status;
  const char *name, *as;
  struct stat st;
  int source = cal_place_parent(fs, &a, &name), target = -1;
  if (source < 0 || fstatat(source, name, &st, AT_SYMLINK_NOFOLLOW)) status = cal_place_refuse(err, errno, from, "moved");
  else if (!S_ISREG(st.st_mode)) /* a link that says where from here would lead elsewhere from there */
    status = cal_fail(err, CAL_E_ARG, "%s is %s: it is not moved", from, S_ISLNK(st.st_mode) ? "a link" : "no file");
  else if ((target = cal_place_make_parent(fs, &b, &as)) < 0) status = cal_place_refuse(err, errno, to, "written");
  else if (rename_free(source, name, target, as)) {
    if (errno == EEXIST) status = cal_fail(err, CAL_E_BUSY, "%s is there already: %s was not moved over it", to, from);
    else if (errno == EXDEV) status = cal_fail(err, CAL_E_ARG, "%s and %s are on different disks: nothing is moved between them", from, to);
    else status = cal_fail_errno(err, errno, "%s cannot be moved to %s", from, to);
  } else {
    cal_fs_sync_folder(target);
    cal_fs_sync_folder(source);
  }
  if (source >= 0) close(source);
  if (target >= 0) close(target);
  cal_place_leave(&a);
  cal_place_leave(&b);
  return status;
}
