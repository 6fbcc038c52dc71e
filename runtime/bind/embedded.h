/* embedded.h - the files that travel inside the binary: stdlib and scripts as bytecode, kernels as text.
 *
 *   size_t size;
 *   const void *bytes = cal_embedded_find("stdlib/recipe/schema.lua", &size);   // NULL: no such file
 *
 * uses: libc
 */
#ifndef CAL_BIND_EMBEDDED_H
#define CAL_BIND_EMBEDDED_H

#include <stddef.h>

typedef struct {
  const char *path; /* as in the repository; NULL ends the list */
  const unsigned char *bytes;
  size_t size;
  const char *script; /* NAME of scripts/NAME.lua, which `calotype NAME` runs; NULL for all others, those below scripts/tiny/ too */
  const char *header; /* of such a script: the comment that it opens with, without the dashes */
} cal_embedded;

extern const cal_embedded cal_embedded_files[]; /* written by runtime/embed.c at build time */

const void *cal_embedded_find(const char *path, size_t *size);

#endif
