/* sha1.h - names that git gives. Not for anything that must be safe: use sha256.h there.
 *
 *   cal_sha1 h;
 *   char hex[CAL_SHA1_HEX];
 *   cal_sha1_start(&h);
 *   cal_sha1_add(&h, "blob 6\0hello\n", 13);     // git hash-object: the word, the size, a NUL, the bytes
 *   cal_sha1_end(&h, hex);                       // "ce013625030ba8dba906f756967f9e9ca394464a"
 *
 * FIPS 180-4.
 * uses: libc
 */
#ifndef CAL_BASE_SHA1_H
#define CAL_BASE_SHA1_H

#include <stddef.h>
#include <stdint.h>

enum { CAL_SHA1_HEX = 41 };

typedef struct {
  uint32_t state[5];
  uint64_t size;
  unsigned char block[64];
} cal_sha1;

void cal_sha1_start(cal_sha1 *h);
void cal_sha1_add(cal_sha1 *h, const void *bytes, size_t size);
void cal_sha1_end(cal_sha1 *h, char hex[CAL_SHA1_HEX]); /* lower case, NUL-terminated */

#endif
