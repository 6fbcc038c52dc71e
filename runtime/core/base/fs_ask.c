/* fs_ask.c - what can be said of a path by its name alone, before anything is granted or made. */
#include <dirent.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "core/base/fs_place.h"
#include "core/base/suggest.h"

/* "/a/b" becomes "/a", "/a" becomes "/". */
static void up(char *path) {
  char *slash = strrchr(path, '/');
  slash[slash == path] = 0;
}

cal_status cal_fs_writable(const cal_fs *fs, const char *path, bool folder, cal_error *err) {
  char *at = cal_fs_absolute(fs, path, err);
  if (!at) return CAL_E_ARG;
  struct stat st;
  int missing = 0;
  for (bool above = !folder;; above = true) {
    if (above) up(at);
    missing = stat(at, &st) ? errno : 0;
    if ((missing != ENOENT && missing != ENOTDIR) || !at[1]) break;
  }
  size_t base = strlen(cal_fs_base(fs));
  const char *shown = at; /* as it was said, where that was relative */
  if (*path != '/' && strncmp(at, cal_fs_base(fs), base) == 0 && (at[base] == '/' || !at[base])) shown = at[base] ? at + base + 1 : ".";
  cal_status status = CAL_OK;
  if (missing) status = cal_fail_errno(err, missing, "%s cannot be written", path);
  else if (!S_ISDIR(st.st_mode)) status = cal_fail(err, CAL_E_ARG, "%s is a file, not a folder", shown);
  else if (faccessat(AT_FDCWD, at, W_OK | X_OK, AT_EACCESS)) status = cal_fail_errno(err, errno, "nothing can be written to %s", shown);
  cal_free(at);
  return status;
}

cal_status cal_fs_free_space(const cal_fs *fs, const char *path, uint64_t *bytes, cal_error *err) {
  char *at = cal_fs_absolute(fs, path, err);
  if (!at) return CAL_E_ARG;
  struct statvfs st;
  int failed = 0;
  while ((failed = statvfs(at, &st) ? errno : 0) && (failed == ENOENT || failed == ENOTDIR) && at[1]) up(at);
  cal_status status = failed ? cal_fail_errno(err, failed, "the free space of %s cannot be asked for", path) : CAL_OK;
  if (!failed) *bytes = (uint64_t)st.f_bavail * st.f_frsize;
  cal_free(at);
  return status;
}

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
  size_t base = strlen(cal_fs_base(fs));
  const char *from = *path != '/' && strncmp(at, cal_fs_base(fs), base) == 0 && at[base] == '/' ? at + base + 1 : at;
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
