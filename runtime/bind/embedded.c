#include "bind/embedded.h"

#include <string.h>

const void *cal_embedded_find(const char *path, size_t *size) {
  for (const cal_embedded *file = cal_embedded_files; file->path; file++) {
    if (strcmp(file->path, path) != 0) continue;
    *size = file->size;
    return file->bytes;
  }
  return NULL;
}
