#include "core/base/room.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* These are files of the kernel, not of the user: outside cal_fs. The number behind `name` in the file's lines, or all that it holds where
 * name is ""; false: there is none. */
static bool number_in(const char *path, const char *name, uint64_t *out) {
  FILE *f = fopen(path, "r");
  char line[256], key[64];
  unsigned long long number;
  bool found = false;
  while (f && !found && fgets(line, sizeof line, f)) {
    if (!*name) found = sscanf(line, "%llu", &number) == 1;
    else found = sscanf(line, "%63s %llu", key, &number) == 2 && !strcmp(key, name);
  }
  if (f) fclose(f);
  if (found) *out = number;
  return found;
}

typedef struct {
  const char *folder, *limit, *usage, *files[2];
} version;

static const version versions[2] = {
    {"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", {"total_inactive_file", "total_active_file"}},
    {"/sys/fs/cgroup", "memory.max", "memory.current", {"inactive_file", "active_file"}}};

/* What the group at `folder` leaves; UINT64_MAX: it has no limit, or there is no such group here. */
static uint64_t left_by(const char *folder, const version *v) {
  char path[PATH_MAX + 64];
  uint64_t limit, usage = 0;
  snprintf(path, sizeof path, "%s/%s", folder, v->limit);
  if (!number_in(path, "", &limit)) return UINT64_MAX; /* "max" is none */
  snprintf(path, sizeof path, "%s/%s", folder, v->usage);
  number_in(path, "", &usage);
  snprintf(path, sizeof path, "%s/memory.stat", folder);
  for (int i = 0; i < 2; i++) { /* as MemAvailable has it: a checkpoint that was read twice counts as active, and goes as well */
    uint64_t files = 0;
    number_in(path, v->files[i], &files);
    usage = files < usage ? usage - files : 0;
  }
  return usage < limit ? limit - usage : 1;
}

/* Of the group and all above it. In a container its own group is often what the kernel shows as the topmost, whatever its name outside. */
static uint64_t left_by_all(const char *root, const char *group, const version *v) {
  char folder[PATH_MAX];
  uint64_t least = UINT64_MAX;
  const int topmost = snprintf(folder, sizeof folder, "%s%s", root, v->folder);
  if (topmost + (int)strlen(group) + 1 > (int)sizeof folder) return least;
  strcat(folder, group);
  for (;;) {
    const uint64_t left = left_by(folder, v);
    if (left < least) least = left;
    char *end = strrchr(folder + topmost, '/');
    if (!end) return least;
    *end = 0;
  }
}

static uint64_t left_by_groups(const char *root) {
  char path[PATH_MAX], line[PATH_MAX];
  uint64_t least = UINT64_MAX;
  snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
  FILE *f = fopen(path, "r");
  while (f && fgets(line, sizeof line, f)) { /* "4:memory:/docker/1f", or "0::/user.slice" of the second version */
    line[strcspn(line, "\n")] = 0;
    char *names = strchr(line, ':'), *group = names ? strchr(names + 1, ':') : NULL;
    if (!group) continue;
    *names++ = 0, *group++ = 0;
    const bool second = !strcmp(line, "0") && !*names;
    if (!second && strcmp(names, "memory") != 0) continue;
    const uint64_t left = left_by_all(root, group, &versions[second]);
    if (left < least) least = left;
  }
  if (f) fclose(f);
  return least;
}

uint64_t cal_room(const char *root) {
  char path[PATH_MAX];
  uint64_t room = 0;
  snprintf(path, sizeof path, "%s/proc/meminfo", root);
  if (number_in(path, "MemAvailable:", &room)) room *= 1024;
  if (!room) {
    const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    room = pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size / 2 : 0;
  }
  const uint64_t left = left_by_groups(root);
  return left < room ? left : room;
}
